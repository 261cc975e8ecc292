//! The button where it must not open anything, and everything a sender can do wrong (U5 to U7, U10).

use crate::harness::people::{AMINA, BRUNO, CARLA, DORA, INES, LENA, OMAR, ROOT, ZOE};
use crate::harness::{Browser, Demo, Stage, eventually};

const INVALID: &str = "Invalid Credential";
const LOCKED: &str = "Your Therap Connect account has been locked. Please contact your agency administrator";
const LATE: &str = "Login failed due to request timeout. Please try again from Therap Services";

/// U5, U6; a refused handoff leaves the browser's session as it was (U3).
pub async fn everybody_refused(Stage { browser, demo }: &Stage) {
    browser.sign_in(&AMINA).await;
    let connect = browser.tab().await;
    browser.open_tab().await;
    let there = browser.tab().await;
    let people = [
        (CARLA, INVALID),
        (INES, INVALID),
        (DORA, INVALID),
        (ROOT, INVALID),
        (ZOE, INVALID),
        (LENA, LOCKED),
        (OMAR, LOCKED),
    ];
    for (user, message) in people {
        browser.log_in_to_therap(demo, &user).await;
        browser.press_the_button(demo).await;
        browser.is_refused(demo, message).await;
        browser.close_tab(&there).await;
    }
    browser.go_to_tab(&connect).await;
    browser.reload().await;
    browser.is_in_as(&AMINA).await;
    // No refused handoff locks anybody (U13).
    browser.log_out().await;
    browser.sign_in(&AMINA).await;
}

#[tokio::test]
async fn who_may_not_come_in_reads_why_and_nothing_changes() {
    let Some(stage) = Stage::in_chromium().await else { return };
    everybody_refused(&stage).await;
}

/// U5, U7, U10: each button of the demo's page, with what it must lead to.
pub async fn misbehaviour(Stage { browser, demo }: &Stage) {
    const TRICKS: [(&str, &str); 16] = [
        ("forged-signature", INVALID),
        ("unknown-kid", INVALID),
        ("wrong-typ", INVALID),
        ("alg-none", INVALID),
        ("unknown-issuer", INVALID),
        ("another-issuer", INVALID),
        ("wrong-audience", INVALID),
        ("future", INVALID),
        ("late", LATE),
        ("expires-at-once", LATE),
        ("unknown-provider", INVALID),
        ("unknown-user", INVALID),
        ("tied-sub", INVALID),
        ("foreign-page", INVALID),
        ("get", INVALID),
        ("two-fields", INVALID),
    ];
    browser.log_in_to_therap(demo, &AMINA).await;
    let there = browser.tab().await;
    browser.open(&demo.therap("/misbehave")).await;
    let buttons = browser
        .run("return [...document.querySelectorAll('[id^=misbehave-]')].map((b) => b.id.slice(10)).sort().join(' ')")
        .await;
    let others = ["double-click", "iframe", "replayed"];
    let mut known: Vec<_> = TRICKS.iter().map(|(name, _)| *name).chain(others).collect();
    known.sort_unstable();
    assert_eq!(buttons, known.join(" "), "every button has its expectation here");

    for (name, message) in TRICKS {
        browser.click_to_new_tab(&format!("#misbehave-{name}")).await;
        browser.is_refused(demo, message).await;
        browser.close_tab(&there).await;
    }
    framed(browser, demo).await;
    browser.close_tab(&there).await;
    browser.open("/").await;
    browser.is_at("/login").await;

    // The last good one, a second time.
    browser.press_the_button(demo).await;
    browser.is_in_as(&AMINA).await;
    browser.close_tab(&there).await;
    browser.open(&demo.therap("/misbehave")).await;
    browser.click_to_new_tab("#misbehave-replayed").await;
    browser.is_refused(demo, INVALID).await;
    browser.open("/").await;
    browser.is_in_as(&AMINA).await;
}

/// The browser shows nothing of ours inside a frame, and nobody is signed in by it.
async fn framed(browser: &Browser, demo: &Demo) {
    browser.click_to_new_tab("#misbehave-iframe").await;
    let refused = eventually(async || if demo.log().contains("not_a_top_level_navigation") { Ok(()) } else { Err(()) });
    refused.await.unwrap_or_else(|_| panic!("the frame's handoff is refused: {}", demo.log()));
    browser.enter_frame("#frame").await;
    for ours in ["#handoff-error", "#reference", "#login-form", "#dashboard"] {
        assert!(!browser.has(ours).await, "{ours} in a frame");
    }
    browser.leave_frame().await;
}

#[tokio::test]
async fn whatever_a_sender_does_wrong_is_refused() {
    let Some(stage) = Stage::in_chromium().await else { return };
    misbehaviour(&stage).await;
}

/// U7, U14: the clock of the click.
#[tokio::test]
async fn thirty_seconds_are_never_stretched() {
    let Some(stage) = Stage::in_chromium().await else { return };
    let Stage { browser, demo } = &stage;
    browser.log_in_to_therap(demo, &BRUNO).await;
    let there = browser.tab().await;
    for (offset, message) in [(-30, LATE), (-3600, LATE), (60, INVALID), (3600, INVALID)] {
        browser.send(demo, &demo.assertion(&BRUNO, offset).await).await;
        browser.is_refused(demo, message).await;
        browser.close_tab(&there).await;
    }
    browser.open("/").await;
    browser.is_at("/login").await;
    for offset in [-10, 4] {
        browser.send(demo, &demo.assertion(&BRUNO, offset).await).await;
        browser.is_in_as(&BRUNO).await;
        browser.close_tab(&there).await;
    }
    let assertion = demo.assertion_with(&BRUNO, &[("iat_offset", "-31"), ("lifetime", "60")]).await;
    browser.send(demo, &assertion).await;
    browser.is_refused(demo, LATE).await;
}

/// U5: a page that nobody registered carries nothing, however good.
#[tokio::test]
async fn a_foreign_page_cannot_carry_an_assertion() {
    let Some(stage) = Stage::in_chromium().await else { return };
    let Stage { browser, demo } = &stage;
    let assertion = demo.assertion(&BRUNO, 0).await;
    browser.open(demo.foreign()).await;
    browser.fill("#foreign-assertion", &assertion).await;
    browser.click_to_new_tab("#foreign-send").await;
    browser.is_refused(demo, INVALID).await;
    // It was not spent by that (U7).
    browser.log_in_to_therap(demo, &BRUNO).await;
    browser.send(demo, &assertion).await;
    browser.is_in_as(&BRUNO).await;
}
