//! The consent page (OpenID Connect Core §3.1.2.4).

use crate::actors::{Callback, Idp};

both_engines! {
    /// What an app of others asks for is shown, asked once and remembered; `prompt=consent` asks again.
    async fn consent_is_asked_once_and_remembered(engine: Engine) {
        let idp = Idp::start(engine).await;
        let amina = idp.user("amina").create().await;
        let app = idp.app("portal", |m| {
            m.first_party = false;
            m.logo_uri = Some("https://portal.example/logo.png".into());
            m.policy_uri = Some("https://portal.example/policy".into());
            m.tos_uri = Some("https://portal.example/terms".into());
        }).await;
        let mut browser = idp.browser();
        browser.sign_in(&amina).await;
        Callback::of(&app.send(&mut browser, &[("prompt", "none")]).await).assert_error("consent_required");
        let page = app.send(&mut browser, &[]).await;
        assert_eq!(page.text("#client-name"), "The portal");
        assert_eq!(page.attribute("#client-policy", "href").as_deref(), Some("https://portal.example/policy"));
        assert_eq!(page.attribute("#client-tos", "href").as_deref(), Some("https://portal.example/terms"));
        assert_eq!(page.attribute("#client-logo", "src").as_deref(), Some("https://portal.example/logo.png"));
        assert!(page.header("content-security-policy").unwrap().contains("img-src 'self' https://portal.example"));
        assert_eq!(page.texts("#consent-scopes li").len(), 4);
        let answer = browser.submit_by(&page, "#consent-form", "decision", "allow").await;
        assert!(!Callback::of(&browser.follow_within(answer).await).code().is_empty());
        // prompt=none works right afterwards, and without a page from now on.
        assert!(!Callback::of(&app.send(&mut browser, &[("prompt", "none")]).await).code().is_empty());
        assert!(app.send(&mut browser, &[("prompt", "consent")]).await.has("#consent-form"));
        assert!(app.send(&mut browser, &[("scope", "openid phone")]).await.has("#consent-form"), "more than was allowed");
        Callback::of(&app.send(&mut browser, &[("scope", "openid"), ("prompt", "none")]).await).code();
        let claims = r#"{"userinfo":{"phone_number":null}}"#;
        assert!(app.send(&mut browser, &[("claims", claims)]).await.has("#consent-form"), "claims one by one count");
        assert!(idp.record().await.contains(&"consent_given success".to_owned()));
    }

    /// RFC 6749 §4.1.2.1: a no is `access_denied`; nothing is remembered, and other sites cannot say yes.
    async fn a_no_is_told_to_the_app(engine: Engine) {
        let idp = Idp::start(engine).await;
        let amina = idp.user("amina").create().await;
        let app = idp.app("portal", |m| m.first_party = false).await;
        let mut browser = idp.browser();
        browser.sign_in(&amina).await;
        let page = app.send(&mut browser, &[]).await;
        let answer = browser.submit_by(&page, "#consent-form", "decision", "deny").await;
        Callback::of(&answer).assert_error("access_denied");
        assert!(app.send(&mut browser, &[]).await.has("#consent-form"));
        assert_eq!(browser.post("/consent", &[("i", "x"), ("decision", "allow")]).await.status, 400);
        let mut other = idp.browser();
        other.sign_in(&idp.user("bruno").create().await).await;
        let handle = page.form("#consent-form").fields["i"].clone();
        assert_eq!(other.post("/consent", &[("i", &handle), ("decision", "allow")]).await.status, 400);
        // Another user in another tab of this browser: the page was not shown to that one.
        let page = app.send(&mut browser, &[]).await;
        browser.sign_in(&idp.user("carla").create().await).await;
        let answer = browser.submit_by(&page, "#consent-form", "decision", "allow").await;
        assert!(browser.follow_within(answer).await.has("#consent-form"));
        assert_eq!(idp.number("SELECT COUNT(*) FROM consents").await, 0);
    }

    /// A user sees what was allowed, and takes it back: the app's tokens end with it.
    async fn a_consent_is_withdrawn_on_the_sessions_page(engine: Engine) {
        let idp = Idp::start(engine).await;
        let amina = idp.user("amina").create().await;
        let app = idp.app("portal", |m| m.first_party = false).await;
        let mut browser = idp.browser();
        browser.sign_in(&amina).await;
        let page = app.send(&mut browser, &[("scope", "openid offline_access")]).await;
        let answer = browser.submit_by(&page, "#consent-form", "decision", "allow").await;
        let callback = Callback::of(&browser.follow_within(answer).await);
        let tokens = app.exchange(callback.code()).await.json();
        let page = browser.get("/sessions").await;
        assert_eq!(page.texts("#consents-table tbody td")[0], "The portal");
        let answer = browser.submit(&page, "form[action='/sessions/withdraw']", &[]).await;
        assert!(!browser.follow(answer).await.has("#consents-table"));
        assert_eq!(app.userinfo(tokens["access_token"].as_str().unwrap()).await.status, 401);
        app.refresh(tokens["refresh_token"].as_str().unwrap()).await.assert_oauth_error(400, "invalid_grant");
        assert!(app.send(&mut browser, &[]).await.has("#consent-form"));
        assert!(idp.record().await.contains(&"consent_withdrawn success".to_owned()));
    }
}
