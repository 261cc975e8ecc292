//! A provider's settings, and the Provider Admin's side of Unified Login (U1).

use connect_idp::model::provider::UnifiedLogin;
use connect_idp::model::user::UserType;
use connect_idp::web::notice::Notice;

use crate::actors::{Browser, Idp};

async fn admin(idp: &Idp, code: &str) -> Browser {
    let paul = idp.user("paul").of(code).user_type(UserType::ProviderAdmin).create().await;
    let mut browser = idp.browser();
    browser.sign_in(&paul).await;
    browser
}

both_engines! {
    /// Name, time zone, contact, limits within the operator's; the contact helps who is signed in.
    async fn the_settings_are_changed(engine: Engine) {
        let idp = Idp::start(engine).await;
        let mut browser = admin(&idp, "SUNRISE-IL").await;
        let page = browser.get("/admin/provider").await;
        let change = [("name", "Sunrise"), ("contact", "Office, 555-0100"), ("idle_minutes", "10"), ("time_zone", "America/Denver")];
        let done = browser.submit(&page, "#provider-form", &change).await;
        let page = browser.follow(done).await;
        assert_eq!(page.text("p.message"), "The changes were saved.");
        assert_eq!(page.attribute("#idle-minutes", "value").as_deref(), Some("10"));
        assert_eq!(browser.get("/").await.text("#contact"), "Office, 555-0100");
        assert!(!idp.browser().get("/forgot-password").await.body.contains("555-0100"), "nobody is known there");
        let record = idp.activity().await.pop().unwrap();
        assert_eq!((record.kind.as_str(), record.actor.as_str()), ("provider_changed", "admin paul"));
        assert_eq!(record.note.as_deref(), Some("name, time_zone, contact, idle_minutes"));
        let bad = [("name", ""), ("time_zone", "Mars"), ("contact", "a\nb"), ("idle_minutes", "31"), ("absolute_hours", "x")];
        let told = browser.submit(&page, "#provider-form", &bad).await;
        assert_eq!(told.status, 422);
        assert_eq!(told.texts("#form-errors li").len(), 5);
        assert_eq!(told.attribute("#time-zone", "value").as_deref(), Some("Mars"));
        assert!(told.text("#idle-minutes-error").contains("operator's limit, 30"));
        assert!(browser.submit(&page, "#provider-form", &[]).await.notice() == Some(Notice::NothingToSave));
    }

    /// Two admins at the settings: the second is told.
    async fn the_second_of_two_admins_is_told(engine: Engine) {
        let idp = Idp::start(engine).await;
        let mut browser = admin(&idp, "SUNRISE-IL").await;
        let page = browser.get("/admin/provider").await;
        browser.submit(&page, "#provider-form", &[("name", "First")]).await.location();
        let told = browser.submit(&page, "#provider-form", &[("contact", "Second")]).await;
        assert_eq!(told.status, 409);
        assert!(told.text("#stale").contains("“First”"));
        assert_eq!(told.attribute("#contact", "value").as_deref(), Some("Second"));
        browser.submit(&told, "#provider-form", &[]).await.location();
    }

    /// U1: asked with a note, withdrawn, asked again; each step is history and a record.
    async fn unified_login_is_asked_for_and_withdrawn(engine: Engine) {
        let idp = Idp::start(engine).await;
        idp.provider("CEDAR-OR", |p| p.unified_login = UnifiedLogin::Off).await;
        let mut browser = admin(&idp, "CEDAR-OR").await;
        let page = browser.get("/admin/provider").await;
        let long = "x".repeat(501);
        let told = browser.submit(&page, "#request-form", &[("note", &long)]).await;
        assert_eq!((told.status.as_u16(), told.text("#note-error").as_str()), (422, "The note must be at most 500 characters."));
        assert_eq!(told.text("#note"), long);
        let done = browser.submit(&page, "#request-form", &[("note", "We have\r\n200 users.")]).await;
        let asked = browser.follow(done).await;
        assert_eq!(asked.text("p.message"), "Request sent. Therap will review it.");
        assert!(asked.text("#unified-state").starts_with("Requested."));
        assert_eq!(asked.texts("#steps-table td[data-label=Note]"), ["We have 200 users."]);
        let twice = browser.submit(&page, "#request-form", &[]).await;
        assert!(browser.follow(twice).await.text("p.message").starts_with("The state of Unified Login has changed since"));
        let done = browser.submit(&asked, "#withdraw-form", &[]).await;
        let page = browser.follow(done).await;
        assert_eq!(page.texts("#steps-table td[data-label=Step]"), ["Withdrawn", "Requested"]);
        browser.submit(&page, "#request-form", &[]).await.location();
        let records = idp.activity().await;
        let notes: Vec<_> = records.iter().filter(|r| r.kind.as_str() == "unified_login_changed").map(|r| r.note.as_deref().unwrap()).collect();
        assert_eq!(notes, ["from off to requested; We have\n200 users.", "from requested to off; withdrawn", "from off to requested"]);
        assert!(!browser.get("/admin/provider").await.has("#request-form"));
    }

    /// Where it is on, there is nothing to ask for, and nothing to switch off.
    async fn what_is_on_stays_on(engine: Engine) {
        let idp = Idp::start(engine).await;
        let mut browser = admin(&idp, "SUNRISE-IL").await;
        let page = browser.get("/admin/provider").await;
        assert!(page.text("#unified-state").starts_with("On."));
        assert!(!page.has("#request-form") && !page.has("#withdraw-form"));
        for path in ["/admin/provider/request", "/admin/provider/withdraw"] {
            let sent = browser.post(path, &[]).await;
            assert!(browser.told(sent).await.starts_with("The state of Unified Login has changed since."), "{path}");
        }
        assert!(browser.get("/admin/provider").await.text("#unified-state").starts_with("On."));
    }
}
