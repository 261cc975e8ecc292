//! The end of a session that nobody ended: the login page says why, and a form that came too late comes back filled, once,
//! to whoever typed it.

use std::time::Duration;

use axum::http::Method;
use connect_idp::model::provider::UnifiedLogin;
use connect_idp::model::user::UserType;
use connect_idp::web::kept_form::MAX_SEALED;

use super::operator::therap_admin;
use crate::actors::{Answer, Browser, From, Idp, PASSWORD, User, encode};

const IDLE: Duration = Duration::from_mins(31);
const KEPT: &str = "Your session ended after 30 minutes without use. What you typed is kept.";
const BACK: &str = "What you typed before your session ended is back. Nothing was saved yet: check it, then send it.";

async fn provider_admin(idp: &Idp) -> (User, Browser) {
    let paul = idp.user("paul").user_type(UserType::ProviderAdmin).create().await;
    let mut browser = idp.browser();
    browser.sign_in(&paul).await;
    (paul, browser)
}

/// Signs in on the login page that an answer leads to; what the page said, and the page that the sign-in leads to.
async fn through_login(browser: &mut Browser, led: Answer, user: &User) -> (String, Answer) {
    let login = browser.follow(led).await;
    let fields = [
        ("login_name", user.login_name.as_str()),
        ("password", user.password.as_str()),
        ("provider_code", user.provider_code.as_str()),
    ];
    let said = login.texts("#login-notice").join(" ");
    let back = browser.submit(&login, "#login-form", &fields).await;
    (said, browser.follow(back).await)
}

/// What is typed into a form of a page comes back, and nothing was done.
async fn comes_back(idp: &Idp, browser: &mut Browser, user: &User, page: &str, form: &str, typed: &[(&str, &str)]) {
    let shown = browser.get(page).await;
    assert_eq!(shown.status, 200, "{page}");
    idp.advance(IDLE);
    let before = idp.activity().await.len();
    let mut sent = typed.to_vec();
    if shown.has(&format!("{form} [name=password]")) {
        sent.push(("password", PASSWORD));
    }
    let late = browser.submit(&shown, form, &sent).await;
    let kept = late.cookies().into_iter().find(|(name, _)| name.contains("connect-form")).expect("it is kept");
    assert!(kept.1.len() <= MAX_SEALED, "{page}");
    let (said, back) = through_login(browser, late, user).await;
    assert_eq!(said, KEPT, "{page}");
    assert_eq!((back.status.as_u16(), back.path.as_str()), (200, page));
    let filled = back.form(form).fields;
    for (name, value) in typed {
        assert_eq!(filled.get(*name).map(|held| held.trim()), Some(*value), "{name} at {page}");
    }
    assert_eq!(filled.get("password").map_or("", String::as_str), "", "{page}");
    assert!(!back.body.contains(PASSWORD), "{page}");
    assert!(back.texts("#notice").first().is_none_or(|said| said == BACK), "{page}: {:?}", back.texts("#notice"));
    assert_eq!(idp.activity().await.len(), before + 1, "a sign-in, and nothing else: {page}");
    assert!(!browser.cookies.keys().any(|name| name.contains("connect-form")), "{page}: it is kept no longer");
    let (name, value) = typed[0];
    assert_ne!(
        browser.get(page).await.form(form).fields.get(name).map(|held| held.trim()),
        Some(value),
        "{page}: once"
    );
}

both_engines! {
    async fn every_form_of_a_provider_admin_comes_back(engine: Engine) {
        let idp = Idp::start_with(engine, |config| config.throttle.enabled = false).await;
        let (paul, mut browser) = provider_admin(&idp).await;
        let amina = idp.user("amina").create().await;
        let user = format!("/admin/users/{}", amina.id);
        for (page, form, typed) in [
            ("/admin/users/new", "#new-user-form", vec![("login_name", "nora"), ("name", "Nóra <b>&amp;"), ("user_type", "Provider Admin")]),
            (&user, "#user-form", vec![("name", "Amina \u{1f642} Yusuf"), ("email", "amina@example.org")]),
            (&format!("{user}/lock"), "#confirm-form", vec![("reason", "Asked for by \"her\" supervisor")]),
            ("/admin/provider", "#provider-form", vec![("contact", "Front desk"), ("idle_minutes", "many")]),
            ("/admin/provider", "#request-form", vec![("note", "Please.")]),
        ] {
            if form == "#request-form" {
                let provider = idp.account(&amina).await.provider_id;
                idp.outsider().await.run(&format!("UPDATE providers SET unified_login = 'off' WHERE id = '{provider}'")).await;
            }
            comes_back(&idp, &mut browser, &paul, page, form, &typed).await;
        }
        idp.assert_invariants().await;
    }

    async fn every_form_of_a_therap_admin_comes_back(engine: Engine) {
        let idp = Idp::start_with(engine, |config| config.throttle.enabled = false).await;
        let (root, mut browser) = therap_admin(&idp, "root").await;
        let client = idp.app("portal", |_| {}).await.client.id;
        let issuer = idp.trust("https://other.example.net", |_| {}).await.id;
        let provider = idp.provider("OTHER", |provider| provider.unified_login = UnifiedLogin::On).await.id;
        let waiting = idp.provider("WAITING", |provider| provider.unified_login = UnifiedLogin::Requested).await.id;
        let of = |list: &str, id: &str| format!("/operator/{list}/{id}");
        let decide = format!("form[action='/operator/requests/{waiting}']");
        for (page, form, typed) in [
            ("/operator/providers/new".to_owned(), "#new-provider-form", vec![("code", "NEW-1"), ("name", "New Homes")]),
            (of("providers", &provider), "#provider-form", vec![("name", "Other Homes"), ("absolute_hours", "8")]),
            (of("providers", &provider), "#new-admin-form", vec![("login_name", "pia"), ("admin_name", "Pia")]),
            (of("providers", &provider) + "/switch-off", "#confirm-form", vec![("note", "As agreed.\nIn May.")]),
            ("/operator/requests".to_owned(), &decide, vec![("reason", "Not yet.")]),
            ("/operator/clients/new?kind=web".to_owned(), "#new-client-form", vec![("client_id", "tour"), ("scope", "openid email")]),
            (of("clients", &client), "#client-form", vec![("client_name", "Care Portal 2")]),
            (of("clients", &client) + "/rotate-secret", "#confirm-form", vec![("keep_old", "168")]),
            ("/operator/issuers/new".to_owned(), "#new-issuer-form", vec![("issuer", "https://new.example.net"), ("acr", "a=b")]),
            (of("issuers", &issuer), "#issuer-form", vec![("display_name", "The others")]),
        ] {
            comes_back(&idp, &mut browser, &root, &page, form, &typed).await;
        }
        idp.assert_invariants().await;
    }

    /// Not another user in the same browser, not after a quarter of an hour, and any replica gives it back.
    async fn a_form_is_given_to_whoever_typed_it_alone(engine: Engine) {
        let idp = Idp::start(engine).await;
        let (paul, mut browser) = provider_admin(&idp).await;
        let pia = idp.user("pia").user_type(UserType::ProviderAdmin).create().await;
        let fields = [("login_name", "nora"), ("name", "Nora Secretive"), ("user_type", "Regular User")];
        idp.advance(IDLE);
        let late = browser.post("/admin/users/new", &fields).await;
        let mut later = browser.clone();
        let (said, page) = through_login(&mut browser, late, &pia).await;
        assert_eq!((said.as_str(), page.path.as_str()), (KEPT, "/admin/users/new"));
        assert!(!page.body.contains("Secretive") && !page.has("#notice"));

        let mut there = later.clone().at(&idp.replica(|_| {}).await);
        there.sign_in(&paul).await;
        assert_eq!(there.get("/admin/users/new").await.form("#new-user-form").fields["name"], "Nora Secretive");

        later.sign_in(&paul).await;
        // Another page does not take it.
        assert!(!later.get("/admin/provider").await.has("#notice"));
        assert!(!later.get(&format!("/admin/users/{}", pia.id)).await.body.contains("Secretive"));
        idp.advance(Duration::from_mins(15));
        assert!(!later.get("/admin/users/new").await.body.contains("Secretive"));
    }

    /// What is secret is not kept, what is too long is not, and the page says so; what another site sends is not looked at.
    async fn what_is_kept_has_bounds(engine: Engine) {
        let idp = Idp::start(engine).await;
        let (paul, mut browser) = provider_admin(&idp).await;
        let idle = "Your session ended after 30 minutes without use.";
        let long = "ö".repeat(3000);
        idp.advance(IDLE);
        for (path, fields, told) in [
            ("/admin/provider/request", vec![("note", long.as_str())], " What you typed was too long to be kept."),
            ("/admin/users/new", vec![("password", PASSWORD), ("client_secret", PASSWORD), ("name", "")], ""),
            ("/password/change", vec![("current_password", PASSWORD), ("new_password", "Better-Horse-10")], ""),
            ("/sessions/end-others", vec![], ""),
        ] {
            let late = browser.post(path, &fields).await;
            assert!(!late.cookies().iter().any(|(name, _)| name.contains("connect-form")), "{path}");
            let login = browser.follow(late).await;
            assert_eq!(login.text("#login-notice"), format!("{idle}{told}"), "{path}");
        }
        let fields = encode(&[("login_name", "nora"), ("name", "Nora")]);
        let mut seen = browser.clone();
        let foreign = seen.go(Method::POST, "/admin/users/new", &From::Foreign("https://evil.example".into()), Some(fields)).await;
        assert_eq!(foreign.status, 403);
        assert!(!foreign.cookies().iter().any(|(name, _)| name.contains("connect-form")));
        browser.sign_in(&paul).await;
        assert!(!browser.get("/admin/users/new").await.has("#notice"));
    }

    /// G38: only an end that time alone brought is told as one.
    async fn the_login_page_says_why_one_is_there(engine: Engine) {
        let idp = Idp::start(engine).await;
        let amina = idp.user("amina").create().await;
        let mut browser = idp.browser();
        browser.sign_in(&amina).await;
        idp.advance(Duration::from_mins(30));
        let led = browser.get("/activity").await;
        let login = browser.follow(led).await;
        assert_eq!(login.text("#login-notice"), "Your session ended after 30 minutes without use.");
        assert!(!browser.get("/login").await.has("#login-notice"), "once");

        // Used to its last minute.
        browser.sign_in(&amina).await;
        for _ in 0..24 {
            idp.advance(Duration::from_mins(29));
            assert_eq!(browser.get("/activity").await.status, 200);
        }
        let last = browser.get("/activity").await;
        assert!(last.text("#session-end").ends_with(" CST. It cannot be extended."), "{}", last.text("#session-end"));
        idp.advance(Duration::from_mins(24));
        let led = browser.get("/activity").await;
        let login = browser.follow(led).await;
        assert_eq!(login.text("#login-notice"), "Your session ended after 12 hours, the longest that a session can last.");

        // Ended by somebody, and idle since.
        browser.sign_in(&amina).await;
        idp.lock(&amina).await;
        idp.advance(IDLE);
        let led = browser.get("/activity").await;
        assert!(!browser.follow(led).await.has("#login-notice"));
    }

    /// To ask for the time that is left is no use; to renew is one, from our own pages alone, and never beyond the limit.
    async fn the_time_that_is_left_is_told_and_renewed(engine: Engine) {
        let idp = Idp::start(engine).await;
        let amina = idp.user("amina").create().await;
        let mut browser = idp.browser();
        let left = |answer: &Answer| {
            let left: serde_json::Value = serde_json::from_str(&answer.body).unwrap();
            (left["idle_seconds"].as_u64().unwrap(), left["absolute_seconds"].as_u64().unwrap())
        };
        assert_eq!(left(&browser.get("/sessions/time").await), (0, 0));
        assert_eq!(browser.post("/sessions/time", &[]).await.location(), "/login?return_to=%2Fsessions");
        browser.sign_in(&amina).await;
        let page = browser.get("/").await;
        assert_eq!(page.attribute("body", "data-idle-seconds").as_deref(), Some("1800"));
        assert_eq!(page.attribute("body", "data-warn-seconds").as_deref(), Some("120"));
        assert_eq!(page.text("#session-end"), "Your session ends at Jan 15, 2027, 2:30:00 AM CST unless you use this site before then.");
        idp.advance(Duration::from_mins(28));
        for _ in 0..2 {
            assert_eq!(left(&browser.get("/sessions/time").await), (120, 41_520));
        }
        let foreign = From::Foreign("https://evil.example".into());
        let mut elsewhere = browser.clone();
        assert_eq!(elsewhere.go(Method::POST, "/sessions/time", &foreign, Some(String::new())).await.status, 403);
        assert_eq!(left(&browser.get("/sessions/time").await), (120, 41_520));
        assert_eq!(left(&browser.post("/sessions/time", &[]).await), (1800, 41_520));
        for _ in 0..23 {
            idp.advance(Duration::from_mins(29));
            browser.post("/sessions/time", &[]).await;
        }
        idp.advance(Duration::from_mins(24));
        assert_eq!(left(&browser.post("/sessions/time", &[]).await), (1800, 60));
        idp.advance(Duration::from_mins(1));
        assert_eq!(browser.post("/sessions/time", &[]).await.status, 303);
        assert_eq!(left(&browser.get("/sessions/time").await), (0, 0));
    }
}
