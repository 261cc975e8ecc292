//! What is true of each page in each state: no id stands twice, what is pointed at is there, every control has exactly one
//! label, and every button and link has words.

use std::collections::{BTreeMap, BTreeSet};

use connect_idp::model::client::kind::ClientKind;
use connect_idp::model::user::UserType;
use scraper::{ElementRef, Html, Selector};

use crate::actors::{Answer, Browser, Idp, PASSWORD, User};
use crate::console::operator::therap_admin;

fn select<'a>(page: &'a Html, select: &str) -> Vec<ElementRef<'a>> {
    page.select(&Selector::parse(select).unwrap()).collect()
}

/// What is wrong with a page.
fn faults(page: &Html) -> Vec<String> {
    let mut ids = BTreeMap::new();
    for element in select(page, "[id]") {
        *ids.entry(element.value().id().unwrap()).or_insert(0) += 1;
    }
    let mut wrong: Vec<_> =
        ids.iter().filter(|(_, count)| **count > 1).map(|(id, _)| format!("#{id} stands twice")).collect();
    for name in ["for", "aria-labelledby", "aria-describedby", "aria-controls"] {
        for element in select(page, &format!("[{name}]")) {
            for id in element.value().attr(name).unwrap().split_whitespace().filter(|id| !ids.contains_key(id)) {
                wrong.push(format!("{name} names #{id}, which is not there"));
            }
        }
    }
    let named: BTreeSet<_> = select(page, "a[href^='#']").iter().filter_map(|link| link.value().attr("href")).collect();
    wrong.extend(
        named
            .into_iter()
            .filter(|to| !ids.contains_key(to.trim_start_matches('#')))
            .map(|to| format!("{to} leads nowhere")),
    );
    for control in select(page, "input:not([type=hidden]), select, textarea") {
        let value = control.value();
        let by_id = value.id().map_or(0, |id| {
            select(page, "label[for]").iter().filter(|label| label.value().attr("for") == Some(id)).count()
        });
        let around =
            control.ancestors().filter_map(ElementRef::wrap).filter(|above| above.value().name() == "label").count();
        let own = ["aria-label", "aria-labelledby"].iter().filter(|name| value.attr(name).is_some()).count();
        if by_id + around + own != 1 {
            wrong.push(format!("{} labels: {}", by_id + around + own, control.html()));
        }
    }
    for element in select(page, "a[href], button") {
        let has_words =
            element.text().any(|text| !text.trim().is_empty()) || element.value().attr("aria-label").is_some();
        if !has_words {
            wrong.push(format!("no words: {}", element.html()));
        }
    }
    wrong
}

/// The pages that were looked at.
#[derive(Default)]
struct Looks {
    seen: usize,
    wrong: Vec<String>,
}

impl Looks {
    fn at(&mut self, answer: &Answer, state: &str) {
        self.seen += 1;
        let wrong = faults(&Html::parse_document(&answer.body));
        self.wrong
            .extend(wrong.into_iter().map(|wrong| format!("{} ({state}, {}): {wrong}", answer.path, answer.status)));
    }

    async fn open(&mut self, browser: &mut Browser, paths: &[&str]) {
        for path in paths {
            let page = browser.get(path).await;
            assert_eq!(page.status, 200, "{path}");
            self.at(&page, "opened");
        }
    }

    /// What each form says when nothing is typed.
    async fn send_empty(&mut self, browser: &mut Browser, paths: &[&str]) {
        for path in paths {
            let page = browser.post(path, &[]).await;
            assert!(matches!(page.status.as_u16(), 403 | 409 | 422), "{path}: {}", page.status);
            self.at(&page, "sent empty");
        }
    }
}

async fn before_the_sign_in(idp: &Idp, looks: &mut Looks) {
    let mut nobody = idp.browser();
    looks.open(&mut nobody, &["/login", "/forgot-password", "/api/v1"]).await;
    looks.send_empty(&mut nobody, &["/login"]).await;
    looks.at(&nobody.get("/nothing").await, "not there");
    let stranger = nobody.try_login("nobody", "Wrong-Horse-9", "SUNRISE-IL").await;
    looks.at(&stranger, "refused");
    let locked = idp.user("lena").failures(3).create().await;
    looks.at(&nobody.hand_off(&idp.therap_services().sign(&locked)).await, "a handoff of who is locked");
    let tina = idp.user("tina").temporary().create().await;
    let answer = nobody.log_in(&tina, &tina.password).await;
    looks.at(&nobody.follow(answer).await, "opened");
    looks.send_empty(&mut nobody, &["/password/update"]).await;
}

async fn of_everybody(idp: &Idp, looks: &mut Looks) {
    let amina = idp.user("amina").create().await;
    let app = idp.app("others", |m| m.first_party = false).await;
    let mut hers = idp.browser();
    hers.sign_in(&amina).await;
    looks.at(&app.send(&mut hers, &[]).await, "consent");
    looks.at(&hers.get("/oauth2/end_session").await, "logout");
    looks.open(&mut hers, &["/", "/activity", "/sessions", "/password/change"]).await;
    looks.send_empty(&mut hers, &["/password/change"]).await;
}

async fn of_a_provider_admin(idp: &Idp, looks: &mut Looks) {
    let paul = idp.user("paul").user_type(UserType::ProviderAdmin).create().await;
    let other = idp.user("nina").create().await;
    let locked = idp.user("omar").admin_locked().create().await;
    let mut his = idp.browser();
    his.sign_in(&paul).await;
    let page = |user: &User, act: &str| format!("/admin/users/{}{act}", user.id);
    for path in [
        "/admin/users",
        "/admin/users/new",
        "/admin/users/import",
        "/admin/activity",
        "/admin/provider",
        &page(&paul, ""),
        &page(&other, ""),
        &page(&locked, ""),
        &page(&other, "/lock"),
        &page(&other, "/deactivate"),
        &page(&other, "/reset-password"),
        &page(&other, "/end-sessions"),
    ] {
        looks.open(&mut his, &[path]).await;
    }
    let preview = his.post("/admin/users/import", &[("text", "login_name,name\nzoe,Zoe\na b,\n")]).await;
    looks.at(&preview, "a preview");
    for path in ["/admin/users/new", "/admin/provider", &page(&other, ""), &page(&other, "/lock")] {
        looks.send_empty(&mut his, &[path]).await;
    }
    let long = his.confirm(&page(&other, "/lock"), &[("reason", &"x".repeat(501))]).await;
    looks.at(&long, "a reason that is too long");
    let slip = his.confirm(&page(&other, "/reset-password"), &[]).await;
    looks.at(&slip, "a temporary password");
}

async fn of_a_therap_admin(idp: &Idp, looks: &mut Looks) {
    let (_, mut root) = therap_admin(idp, "root").await;
    let client = idp.app("portal", |_| {}).await.client.id;
    let issuer = idp.trust("https://other.example.net", |_| {}).await.id;
    let provider = idp.provider("OTHER", |_| {}).await.id;
    let pia = idp.user("pia").of("OTHER").user_type(UserType::ProviderAdmin).create().await;
    let acts = |list: &str, id: &str, acts: &[&str]| -> Vec<String> {
        acts.iter().map(|act| format!("/operator/{list}/{id}{act}")).collect()
    };
    let mut paths = acts("clients", &client, &["", "/delete", "/disable", "/rotate-secret"]);
    paths.extend(acts("issuers", &issuer, &["", "/disable", "/end-sessions", "/untie"]));
    paths.extend(acts("providers", &provider, &["", "/deactivate", "/end-sessions", "/switch-off"]));
    paths.push(format!("/operator/providers/{provider}/reset-password?user={}", pia.id));
    paths.push("/operator/keys/rotate-at-once?alg=RS256".into());
    let users = format!("/operator/providers/{provider}/users");
    for below in [String::new(), format!("/{}", pia.id), format!("/{}/end-sessions", pia.id)] {
        looks.open(&mut root, &[&format!("{users}{below}")]).await;
    }
    looks.open(&mut root, &["/operator", "/operator/requests", "/operator/providers", "/operator/providers/new"]).await;
    looks
        .open(&mut root, &["/operator/clients", "/operator/clients/new", "/operator/issuers", "/operator/issuers/new"])
        .await;
    looks.open(&mut root, &["/operator/activity", "/operator/deliveries", "/operator/keys", "/workbench"]).await;
    looks.send_empty(&mut root, &["/workbench"]).await;
    looks.at(&root.post("/workbench", &[("assertion", "e30.e30.e30")]).await, "checks");
    looks.at(&root.post("/workbench", &[("new_key", "ES256")]).await, "a new key");
    looks.open(&mut root, &["/operator/clients?q=portal&kind=web&state=on", "/operator/clients?kind=native"]).await;
    for kind in ClientKind::ALL {
        let path = format!("/operator/clients/new?kind={kind}");
        looks.open(&mut root, &[&path]).await;
        looks.send_empty(&mut root, &[&path]).await;
        let app = idp.app(&format!("a-{kind}"), |m| *m = kind.metadata()).await;
        looks.open(&mut root, &[&format!("/operator/clients/{}", app.client.id)]).await;
    }
    looks.open(&mut root, &["/operator/activity", "/operator/deliveries", "/operator/keys"]).await;
    for path in &paths {
        looks.open(&mut root, &[path]).await;
        looks.send_empty(&mut root, &[path]).await;
    }
    looks.send_empty(&mut root, &["/operator/providers/new", "/operator/clients/new", "/operator/issuers/new"]).await;
    let delete = root.get(&format!("/operator/clients/{client}/delete")).await;
    looks.at(&root.submit(&delete, "#confirm-form", &[]).await, "without the password");
    looks.at(&root.submit(&delete, "#confirm-form", &[("password", "Wrong-Horse-9")]).await, "a wrong password");
    let secret = root.confirm(&format!("/operator/clients/{client}/rotate-secret"), &[]).await;
    assert!(secret.has("#client-secret") && !secret.body.contains(PASSWORD));
    looks.at(&secret, "a new secret");
}

/// WCAG 1.3.1, 4.1.2: read by machines, each page is what it looks like.
#[tokio::test]
async fn every_page_is_sound_in_every_state() {
    let idp = Idp::start(crate::actors::Engine::Sqlite).await;
    connect_idp::operations::keys::in_use::jwks(&idp.app, idp.now()).await.unwrap();
    let mut looks = Looks::default();
    before_the_sign_in(&idp, &mut looks).await;
    of_everybody(&idp, &mut looks).await;
    of_a_provider_admin(&idp, &mut looks).await;
    of_a_therap_admin(&idp, &mut looks).await;
    assert!(looks.wrong.is_empty(), "{} faults on {} pages: {:#?}", looks.wrong.len(), looks.seen, looks.wrong);
    assert!(looks.seen > 70, "{} pages", looks.seen);
}

/// The checks find what they look for.
#[test]
fn what_is_wrong_with_a_page_is_found() {
    let page = |body: &str| faults(&Html::parse_document(body)).len();
    assert_eq!(page("<label for=a>A</label><input id=a>"), 0);
    assert_eq!(page("<p id=a></p><label for=a>A</label><input id=a>"), 1);
    assert_eq!(page("<input id=a><input type=hidden name=x>"), 1);
    assert_eq!(page("<label for=a>A</label><input id=a aria-label=A>"), 1);
    assert_eq!(page("<input id=a aria-describedby=b aria-label=A>"), 1);
    assert_eq!(page("<button></button><a href='#x'>x</a>"), 2);
}

/// The description of the API is read as words: no marks are left in it, and there is a way home.
#[tokio::test]
async fn the_page_of_the_api_is_words() {
    let idp = Idp::start(crate::actors::Engine::Sqlite).await;
    let page = idp.browser().get("/api/v1").await;
    assert_eq!(page.attribute("#home", "href").as_deref(), Some("/"));
    let marked: Vec<_> = page.texts("main *").into_iter().filter(|text| text.contains('`')).collect();
    assert!(marked.is_empty(), "{marked:?}");
}

/// What browsers and crawlers ask for unasked is there; whom to tell of a weakness, where it is configured (RFC 9116).
#[tokio::test]
async fn what_is_asked_for_unasked_is_there() {
    let contact = "mailto:security@example.org";
    let idp =
        Idp::start_with(crate::actors::Engine::Sqlite, |config| config.security_contact = Some(contact.into())).await;
    let mut browser = idp.browser();
    let icon = browser.get("/favicon.ico").await;
    assert_eq!((icon.status.as_u16(), icon.header("content-type")), (200, Some("image/x-icon")));
    let robots = browser.get("/robots.txt").await;
    assert_eq!((robots.status.as_u16(), robots.body.as_str()), (200, "User-agent: *\nDisallow: /\n"));
    let told = browser.get("/.well-known/security.txt").await;
    assert_eq!(told.header("content-type"), Some("text/plain; charset=utf-8"));
    let lines: Vec<_> = told.body.lines().collect();
    assert_eq!(lines[0], format!("Contact: {contact}"));
    assert_eq!(lines[1], "Expires: 2027-04-15T08:00:00.000Z");
    assert!(lines.iter().any(|line| *line == format!("Canonical: {}/.well-known/security.txt", idp.app.config.issuer)));
    let silent = Idp::start(crate::actors::Engine::Sqlite).await;
    assert_eq!(silent.browser().get("/.well-known/security.txt").await.status, 404);
}

/// A change that was refused did not happen, and its row does not say so.
#[tokio::test]
async fn what_was_refused_is_named_as_what_was_tried() {
    let idp = Idp::start(crate::actors::Engine::Sqlite).await;
    let amina = idp.user("amina").create().await;
    let mut browser = idp.browser();
    browser.sign_in(&amina).await;
    let typed = [
        ("current_password", "Wrong-Horse-9"),
        ("new_password", "Better-Horse-10"),
        ("confirm_new_password", "Better-Horse-10"),
    ];
    assert!(browser.post("/password/change", &typed).await.status.is_client_error());
    assert_eq!(browser.get("/").await.texts(".timeline-what")[0], "Password change Refused");
    assert_eq!(browser.get("/activity").await.texts("#activity-table td[data-label=What]")[0], "Password change");
}
