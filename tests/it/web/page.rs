//! Titles: what a page shows, and whether the form was taken.

use connect_idp::model::user::UserType;

use crate::actors::{Idp, PASSWORD};
use crate::console::operator::therap_admin;

both_engines! {
    async fn a_title_names_what_the_page_shows(engine: Engine) {
        let idp = Idp::start(engine).await;
        let paul = idp.user("paul").user_type(UserType::ProviderAdmin).create().await;
        let mut admin = idp.browser();
        admin.sign_in(&paul).await;
        let amina = idp.user("amina").create().await;
        let user = format!("/admin/users/{}", amina.id);
        let page = admin.get(&user).await;
        let name = page.text("h1");
        assert_eq!(page.text("title"), format!("{name} · Users · Therap Connect"));
        assert_eq!(admin.get(&format!("{user}/lock")).await.text("title"), format!("{name} · Lock user · Therap Connect"));
        let (_, mut root) = therap_admin(&idp, "root").await;
        let client = idp.app("portal", |_| {}).await.client.id;
        let issuer = idp.trust("https://other.example.net", |issuer| issuer.display_name = "The & others".into()).await.id;
        let provider = idp.provider("OTHER", |provider| provider.name = "Other <Homes>".into()).await.id;
        for (path, title) in [
            (format!("/operator/clients/{client}"), "The portal · Clients"),
            (format!("/operator/clients/{client}/delete"), "The portal · Delete client"),
            (format!("/operator/issuers/{issuer}"), "The & others · Trusted issuers"),
            (format!("/operator/providers/{provider}"), "Other <Homes> · Providers"),
        ] {
            assert_eq!(root.get(&path).await.text("title"), format!("{title} · Therap Connect"));
        }
    }

    /// The title is what a screen reader says first: a form that was refused begins with the word, at every page.
    async fn a_refused_form_says_so_in_its_title(engine: Engine) {
        let idp = Idp::start(engine).await;
        let paul = idp.user("paul").user_type(UserType::ProviderAdmin).create().await;
        let mut admin = idp.browser();
        assert_eq!(admin.try_login("", "", "").await.text("title"), "Error: Sign in · Therap Connect");
        assert_eq!(admin.log_in(&paul, "Wrong-Horse-1").await.text("title"), "Error: Sign in · Therap Connect");
        admin.sign_in(&paul).await;
        let wrong = [("current_password", PASSWORD), ("new_password", "x"), ("confirm_new_password", "y")];
        for (path, fields, title) in [
            ("/admin/users/new", [("name", ""), ("login_name", ""), ("email", "")], "New user"),
            ("/admin/provider", [("name", ""), ("time_zone", ""), ("contact", "")], "Provider"),
            ("/password/change", wrong, "Change Password"),
        ] {
            let refused = admin.post(path, &fields).await;
            assert_eq!(refused.status, 422, "{path}");
            assert_eq!(refused.text("title"), format!("Error: {title} · Therap Connect"));
            assert_eq!(admin.get(path).await.text("title"), format!("{title} · Therap Connect"));
        }
        // No form: the heading says what it is.
        assert_eq!(admin.get("/nowhere").await.text("title"), "Page not found · Therap Connect");
        assert_eq!(admin.click("x").await.text("title"), "Sign-in refused · Therap Connect");
        let beta = Idp::start_with(engine, |config| config.site = connect_idp::config::Site::Beta).await;
        assert_eq!(beta.browser().try_login("", "", "").await.text("title"), "[BETA] Error: Sign in · Therap Connect");
    }
}
