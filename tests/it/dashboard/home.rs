//! The Dashboard's apps.

use connect_idp::web::shape::MAX_LOGO_ORIGINS;

use crate::actors::Idp;

both_engines! {
    /// A tile for each app that can be opened; the policy allows the origins of its logos and no other.
    async fn an_app_is_a_tile_with_its_logo(engine: Engine) {
        let idp = Idp::start(engine).await;
        let amina = idp.user("amina").create().await;
        let named = |logo: Option<&str>| {
            let logo = logo.map(str::to_owned);
            move |m: &mut connect_idp::model::client::Metadata| {
                m.client_uri = Some("https://app.example.org/".into());
                m.logo_uri = logo;
            }
        };
        idp.app("aa", named(Some("https://logos.example.org/aa.png"))).await;
        idp.app("bb", named(None)).await;
        idp.app("cc", |_| {}).await;
        idp.app("dd", |m| { named(Some("https://secret.example.org/dd.png"))(m); m.first_party = false }).await;
        let mut browser = idp.browser();
        browser.sign_in(&amina).await;
        let home = browser.get("/").await;
        assert_eq!(home.texts("#apps a.button.tile"), ["The aa", "The bb"], "those that can be opened, and were allowed");
        assert_eq!(home.attribute(".tile img", "src").as_deref(), Some("https://logos.example.org/aa.png"));
        assert_eq!(home.attribute(".tile img", "alt").as_deref(), Some(""));
        assert_eq!(home.attribute(".tile[data-letter]", "data-letter").as_deref(), Some("T"));
        let policy = home.header("content-security-policy").unwrap();
        assert!(policy.contains("; img-src 'self' https://logos.example.org; form-action 'self'; connect-src 'self'"), "{policy}");
        assert!(!policy.contains("secret"));
    }

    async fn the_policy_does_not_grow_without_end(engine: Engine) {
        let idp = Idp::start(engine).await;
        let amina = idp.user("amina").create().await;
        for number in 0..MAX_LOGO_ORIGINS + 2 {
            idp.app(&format!("app-{number:02}"), |m| {
                m.client_uri = Some("https://app.example.org/".into());
                m.logo_uri = Some(format!("https://logos-{number}.example.org/logo.png"));
            }).await;
        }
        let mut browser = idp.browser();
        browser.sign_in(&amina).await;
        let home = browser.get("/").await;
        assert_eq!((home.texts(".tile img").len(), home.texts(".tile[data-letter]").len()), (MAX_LOGO_ORIGINS, 2));
        assert_eq!(home.header("content-security-policy").unwrap().matches("https://logos-").count(), MAX_LOGO_ORIGINS);
    }
}
