// Small conveniences of the pages. Every page works without this file.
"use strict";

/** Every element that matches, as an array. */
const all = (selector) => Array.from(document.querySelectorAll(selector));

/** A new element with these properties. */
const make = (tag, properties) => Object.assign(document.createElement(tag), properties);

// ---- Back button: a page kept by the browser must not show what a logout has closed ----

window.addEventListener("pageshow", (event) => {
  all("form[data-once]").forEach(release);
  if (event.persisted && document.body.hasAttribute("data-private")) {
    document.documentElement.hidden = true;
    // Not reload(): after a POST that would ask to send the form again.
    location.replace(location.pathname + location.search);
  }
});

// ---- Forms that are sent once, however often the button is pressed ----

// A stopped or failed request fires no event, so the form opens again by itself.
const RELEASE_AFTER_MS = 8000;

function release(form) {
  delete form.dataset.sent;
  form.querySelector("[type=submit]").removeAttribute("aria-disabled");
}

for (const form of all("form[data-once]")) {
  form.addEventListener("submit", (event) => {
    if ("sent" in form.dataset) {
      event.preventDefault();
      return;
    }
    form.dataset.sent = "";
    // Not disabled: a disabled button loses the focus.
    form.querySelector("[type=submit]").setAttribute("aria-disabled", "true");
    setTimeout(() => release(form), RELEASE_AFTER_MS);
  });
}

// ---- Passwords: show and hide, and a word about Caps Lock ----

for (const input of all(".password > input")) {
  const label = document.querySelector(`label[for="${input.id}"]`).textContent;
  const button = make("button", { type: "button", className: "reveal", textContent: "Show" });
  const caps = make("p", { className: "hint" });
  caps.setAttribute("role", "status");

  const show = (shown) => {
    input.type = shown ? "text" : "password";
    button.textContent = shown ? "Hide" : "Show";
    button.setAttribute("aria-label", `${button.textContent} ${label}`);
    button.setAttribute("aria-pressed", String(shown));
  };

  button.addEventListener("click", () => show(input.type === "password"));
  // Browsers remember what was typed into text fields, and password managers look for password fields.
  input.form.addEventListener("submit", () => show(false));
  input.addEventListener("keyup", (event) => {
    const on = event.getModifierState?.("CapsLock") ?? false;
    caps.textContent = on ? "Caps Lock is on." : "";
  });
  input.addEventListener("blur", () => { caps.textContent = ""; });

  show(false);
  input.after(button);
  input.parentElement.after(caps);
}

// ---- Password rules, marked as the user types; the server decides ----

const RULES = {
  length: (text) => [...text].length >= 8 && [...text].length <= 64,
  upper: (text) => /[A-Z]/.test(text),
  lower: (text) => /[a-z]/.test(text),
  digit: (text) => /[0-9]/.test(text),
  special: (text) => /[^\p{Alphabetic}\p{N}\p{White_Space}\p{Cc}]/u.test(text),
  edges: (text) => !/^\p{White_Space}|\p{White_Space}$/u.test(text),
  control: (text) => !/\p{Cc}/u.test(text),
};

/** Marks one rule as "yes", "no" or, while nothing is typed, not at all. */
function mark(item, met) {
  item.querySelector(".visually-hidden")?.remove();
  delete item.dataset.met;
  if (met === undefined) return;
  item.dataset.met = met ? "yes" : "no";
  item.append(make("span", { className: "visually-hidden", textContent: met ? " (met)" : " (not met yet)" }));
}

const newPassword = document.getElementById("new-password");
if (newPassword) {
  const confirmation = document.getElementById("confirm-new-password");
  const progress = make("p", { className: "visually-hidden" });
  progress.setAttribute("role", "status");
  document.getElementById("update-form").append(progress);

  const judge = () => {
    const text = newPassword.value.normalize("NFC");
    const again = confirmation.value.normalize("NFC");
    for (const item of all("#password-rules li")) {
      mark(item, text === "" ? undefined : RULES[item.dataset.rule](text));
    }
    mark(document.querySelector("[data-rule=match]"), again === "" ? undefined : again === text);
  };

  // Read out after a pause, not at every key.
  const PAUSE_MS = 1200;
  let pause;
  const announce = () => {
    const open = all("#update-form [data-met=no]").length;
    progress.textContent = open === 0 ? "All password rules are met." : `Password rules not met yet: ${open}.`;
  };

  for (const input of [newPassword, confirmation]) {
    input.addEventListener("input", () => {
      judge();
      clearTimeout(pause);
      pause = setTimeout(announce, PAUSE_MS);
    });
  }
  judge();
}

// ---- Profile panel: closes on Escape, on a click elsewhere, and when the focus moves on ----

const profile = document.querySelector(".profile");
if (profile) {
  document.addEventListener("click", (event) => {
    if (!profile.contains(event.target)) profile.open = false;
  });
  profile.addEventListener("focusout", (event) => {
    // To nothing: another window has the focus now, and may give it back.
    if (event.relatedTarget && !profile.contains(event.relatedTarget)) profile.open = false;
  });
  document.addEventListener("keydown", (event) => {
    if (event.key !== "Escape" || !profile.open) return;
    profile.open = false;
    profile.querySelector("summary").focus();
  });
}

// ---- The end of a session: a warning that renews it, in every tab; what counts is what the server says ----

const SESSION_TIME = "/sessions/time";
const ANNOUNCED_SECONDS = [60, 30, 10];

if ("idleSeconds" in document.body.dataset) warnBeforeTheEnd();

function warnBeforeTheEnd() {
  const { idleSeconds, absoluteSeconds, warnSeconds } = document.body.dataset;
  const at = (seconds) => Date.now() + Number(seconds) * 1000;
  const timesOf = (idle, absolute) => ({ idle: at(idle), absolute: at(absolute) });
  let times = timesOf(idleSeconds, absoluteSeconds);
  // What the server was asked about, what is shown, and what was closed by hand.
  let asked = "";
  let isAsking = false;
  let shown = "";
  let closed = "";

  const tabs = "BroadcastChannel" in window ? new BroadcastChannel("session-time") : undefined;
  document.getElementById("session-end").hidden = true;

  const dialog = make("dialog", { id: "session-dialog", className: "session-dialog" });
  dialog.setAttribute("role", "alertdialog");
  dialog.setAttribute("aria-labelledby", "session-dialog-heading");
  dialog.setAttribute("aria-describedby", "session-dialog-text");
  const heading = make("h2", { id: "session-dialog-heading" });
  const text = make("p", { id: "session-dialog-text" });
  const clock = make("p", { id: "session-dialog-clock", className: "figure" });
  // Read out now and then, not each second.
  clock.setAttribute("aria-hidden", "true");
  const status = make("p", { id: "session-dialog-status" });
  status.setAttribute("role", "status");
  const renewal = make("button", { type: "button", id: "session-renew", textContent: "Stay signed in" });
  const signIn = make("a", { id: "session-sign-in", className: "button", textContent: "Sign in" });
  const dismissal = make("button", { type: "button", id: "session-dismiss", className: "outline" });
  const actions = make("p", { className: "actions" });
  actions.append(renewal, signIn, dismissal);
  const box = document.createElement("article");
  box.append(heading, text, clock, status, actions);
  dialog.append(box);
  document.body.append(dialog);

  const words = {
    idle: [
      "Are you still there?",
      "You have not used this site for a while. To protect your account, you will be signed out soon.",
    ],
    absolute: [
      "Your session ends soon",
      "It has lasted as long as a session can, and cannot be extended. Save your work now. Afterwards you can sign in again.",
    ],
    over: [
      "Your session has ended",
      "Sign in to continue. Were you filling in a form? Go back to the page and send the form: what you typed is kept, and is there again after you sign in. Passwords and files are not kept.",
    ],
  };

  function hide() {
    shown = "";
    if (dialog.open) dialog.close();
  }

  function show(kind) {
    if (shown === kind || closed === kind) return;
    shown = kind;
    [heading.textContent, text.textContent] = words[kind];
    status.textContent = "";
    dialog.classList.toggle("over", kind === "over");
    renewal.hidden = kind !== "idle";
    signIn.hidden = kind !== "over";
    signIn.href = `/login?return_to=${encodeURIComponent(location.pathname + location.search)}`;
    dismissal.hidden = kind === "idle";
    dismissal.textContent = kind === "over" ? "Back to the page" : "OK";
    clock.hidden = kind === "over";
    if (!dialog.open) dialog.showModal();
    (kind === "idle" ? renewal : kind === "over" ? signIn : dismissal).focus();
  }

  function dismiss() {
    closed = shown;
    hide();
  }

  function adopt(newer) {
    times = newer;
    tick();
  }

  /** What the server says; without an answer, what is known stands. */
  async function ask() {
    isAsking = true;
    try {
      const answer = await fetch(SESSION_TIME, { cache: "no-store" });
      const left = answer.ok ? await answer.json() : undefined;
      if (left) times = timesOf(left.idle_seconds, left.absolute_seconds);
    } catch {
      // Offline.
    }
    isAsking = false;
    tick();
  }

  async function renew() {
    status.textContent = "";
    let answer;
    try {
      answer = await fetch(SESSION_TIME, { method: "POST", redirect: "manual", cache: "no-store" });
    } catch {
      // Offline.
    }
    if (answer?.ok) {
      const left = await answer.json();
      times = timesOf(left.idle_seconds, left.absolute_seconds);
      tabs?.postMessage(times);
      tick();
    } else if (answer?.type === "opaqueredirect") {
      // To the login page: the session is over.
      adopt(timesOf(0, 0));
    } else {
      status.textContent = "Therap Connect could not be reached. Please try again.";
    }
  }

  function tick() {
    const left = Math.ceil((Math.min(times.idle, times.absolute) - Date.now()) / 1000);
    if (left > warnSeconds) {
      asked = "";
      closed = "";
      hide();
      return;
    }
    if (isAsking) return;
    const question = left > 0 ? "soon" : "over";
    if (asked !== question) {
      asked = question;
      ask();
      return;
    }
    show(left <= 0 ? "over" : times.absolute <= times.idle ? "absolute" : "idle");
    if (shown === "" || left <= 0) return;
    clock.textContent = `${Math.floor(left / 60)}:${String(left % 60).padStart(2, "0")}`;
    if (ANNOUNCED_SECONDS.includes(left)) status.textContent = left === 60 ? "1 minute left." : `${left} seconds left.`;
  }

  renewal.addEventListener("click", renew);
  dismissal.addEventListener("click", dismiss);
  dialog.addEventListener("keydown", (event) => {
    if (event.key !== "Escape") return;
    event.preventDefault();
    if (shown === "idle") renew();
    else dismiss();
  });
  tabs?.addEventListener("message", ({ data }) => {
    if (Math.min(data.idle, data.absolute) > Math.min(times.idle, times.absolute)) adopt(data);
  });
  tabs?.postMessage(times);
  addEventListener("visibilitychange", tick);
  setInterval(tick, 1000);
}

// ---- Copying: a button beside everything that is copied elsewhere ----

// What is shown once and was neither copied nor printed is lost by leaving.
let isKept = false;
for (const kept of ["copy", "beforeprint"]) addEventListener(kept, () => { isKept = true; });

const SAID_MS = 2500;
const said = make("p", { className: "visually-hidden" });
said.setAttribute("role", "status");
document.body.append(said);

// Browsers give the clipboard to secure pages alone.
for (const shown of navigator.clipboard ? all("[data-copy]") : []) {
  const button = make("button", { type: "button", className: "copy no-print" });
  const name = (word) => {
    button.textContent = word;
    button.setAttribute("aria-label", `${word} ${shown.dataset.copy}`);
  };
  name("Copy");
  button.addEventListener("click", async () => {
    const isCopied = await navigator.clipboard.writeText(shown.textContent.trim()).then(() => true, () => false);
    // What stands elsewhere too is no copy of what is shown once.
    isKept ||= isCopied && shown.dataset.again === undefined;
    name(isCopied ? "Copied" : "Not copied");
    said.textContent = isCopied ? `Copied ${shown.dataset.copy}.` : "It could not be copied: mark it and copy it by hand.";
    setTimeout(() => {
      name("Copy");
      said.textContent = "";
    }, SAID_MS);
  });
  shown.after(" ", button);
}

for (const onwards of all("a[data-keeps]")) {
  onwards.addEventListener("click", (event) => {
    if (isKept || document.getElementById("leave-anyway")) return;
    event.preventDefault();
    const asked = make("p", { className: "message bad no-print" });
    const anyway = make("a", { id: "leave-anyway", href: onwards.href, textContent: "Leave anyway" });
    asked.setAttribute("role", "alert");
    asked.append(`${onwards.dataset.keeps} is not shown again, and was neither copied nor printed. `, anyway);
    onwards.parentElement.before(asked);
  });
}

// ---- Printing: a button for it, where there is a browser to be asked ----

for (const button of all("button[data-print]")) {
  button.hidden = false;
  button.addEventListener("click", () => print());
}

// ---- Choosing everybody on a page: one box that ticks all of a table ----

for (const place of all("[data-select-all]")) {
  const boxes = all(`#${place.dataset.selectAll} input[type=checkbox]`);
  if (boxes.length === 0) continue;
  const everybody = make("input", { type: "checkbox", id: "select-all" });
  const label = make("label", { htmlFor: "select-all", textContent: "Select all on this page" });
  const count = () => {
    const ticked = boxes.filter((box) => box.checked).length;
    everybody.checked = ticked === boxes.length;
    everybody.indeterminate = ticked > 0 && ticked < boxes.length;
  };
  everybody.addEventListener("change", () => {
    for (const box of boxes) box.checked = everybody.checked;
  });
  for (const box of boxes) box.addEventListener("change", count);
  // The Back button brings ticks back.
  addEventListener("pageshow", count);
  place.append(everybody, label);
  place.hidden = false;
  count();
}
