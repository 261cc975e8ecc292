//! The Provider Code that a device remembers.

use connect_idp::model::header_text::ascii;

use crate::actors::{Idp, PASSWORD};

both_engines! {
    async fn a_device_remembers_the_provider_code_unless_it_is_shared(engine: Engine) {
        let idp = Idp::start(engine).await;
        let amina = idp.user("amina").create().await;
        let new = idp.user("new").temporary().create().await;
        let mut browser = idp.browser();
        let cookie = |browser: &crate::actors::Browser| {
            browser.cookies.iter().find(|(name, _)| name.contains("connect-provider")).map(|(name, value)| (name.clone(), value.clone()))
        };
        // What was refused is not remembered.
        browser.log_in(&amina, "Wrong-Horse-1").await;
        assert_eq!(cookie(&browser), None);
        let set = browser.log_in(&amina, PASSWORD).await;
        assert_eq!(cookie(&browser).unwrap(), ("__Host-connect-provider".to_owned(), "SUNRISE-IL".to_owned()));
        let mut headers = set.headers.get_all("set-cookie").iter().map(|value| ascii(value).unwrap());
        let header = headers.find(|text| text.starts_with("__Host-connect-provider=")).unwrap();
        assert!(header.ends_with("; Path=/; HttpOnly; SameSite=Lax; Secure; Max-Age=31536000"), "{header}");
        browser.post("/logout", &[]).await.location();
        let page = browser.get("/login").await;
        let form = page.form("#login-form").fields;
        assert_eq!((form["provider_code"].as_str(), form["login_name"].as_str()), ("SUNRISE-IL", ""));
        assert_eq!(page.attribute("#shared-computer", "checked"), None);
        assert_eq!(page.attribute("#shared-computer", "form").as_deref(), Some("login-form"));

        // Shared: nothing is remembered, and the box stays ticked; also where a password is due.
        let fields = [("login_name", "new"), ("password", PASSWORD), ("provider_code", "SUNRISE-IL"), ("shared_computer", "yes")];
        assert_eq!(browser.post("/login", &fields).await.location(), "/password/update");
        let page = browser.get("/login").await;
        assert_eq!(page.form("#login-form").fields["provider_code"], "");
        assert_eq!(page.attribute("#shared-computer", "checked").as_deref(), Some(""));
        // What was ticked stays when the form comes back.
        let wrong = [("login_name", "nobody"), ("password", "x"), ("provider_code", "SUNRISE-IL"), ("shared_computer", "yes")];
        assert_eq!(browser.post("/login", &wrong).await.attribute("#shared-computer", "checked").as_deref(), Some(""));
        browser.log_in(&new, PASSWORD).await;
        assert_eq!(browser.get("/login").await.form("#login-form").fields["provider_code"], "SUNRISE-IL");

        // What no Provider Code is, nobody set.
        for strange in ["<b>", "a b", "%00", ""] {
            browser.cookies.insert("__Host-connect-provider".into(), strange.into());
            assert_eq!(browser.get("/login").await.form("#login-form").fields["provider_code"], "", "{strange}");
        }
    }
}
