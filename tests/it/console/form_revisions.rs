//! Forms that change what stands already: of two admins at one form the second is told what the first wrote, whatever
//! else was wrong with the form before, and loses nothing that was typed.

use connect_idp::model::user::UserType;
use connect_idp::web::notice::Notice;

use crate::actors::{ISSUER, Idp};
use crate::console::operator::therap_admin;

both_engines! {
    /// The five forms: a form that comes back with a fault is still the revision that was read, so that correcting it
    /// does not write over what somebody else saved meanwhile.
    async fn a_fault_in_between_hides_nobodys_change(engine: Engine) {
        let idp = Idp::start(engine).await;
        let (amina, app) = (idp.user("amina").create().await, idp.app("portal", |_| {}).await);
        let paul = idp.user("paul").user_type(UserType::ProviderAdmin).create().await;
        let mut his = idp.browser();
        his.sign_in(&paul).await;
        let (_, root) = therap_admin(&idp, "root").await;
        let issuer = idp.outsider().await.text(&format!("SELECT id FROM issuers WHERE issuer = '{ISSUER}'")).await;
        let user = format!("/admin/users/{}", amina.id);
        let provider = format!("/operator/providers/{}", idp.account(&amina).await.provider_id);
        let client = format!("/operator/clients/{}", app.client.id);
        let issuer = format!("/operator/issuers/{issuer}");
        for (browser, path, form, field, bad, label) in [
            (&his, &user, "#user-form", "name", ("email", "nonsense"), "Name"),
            (&his, &"/admin/provider".to_owned(), "#provider-form", "contact", ("time_zone", "Mars"), "Contact"),
            (&root, &provider, "#provider-form", "contact", ("time_zone", "Mars"), "Contact"),
            (&root, &client, "#client-form", "client_name", ("redirect_uris", ""), "Name"),
            (&root, &issuer, "#issuer-form", "display_name", ("origins", ""), "Display name"),
        ] {
            let (mut first, mut second) = (browser.clone(), browser.clone());
            let read = second.get(path).await;
            let good = read.form(form).fields[bad.0].clone();
            assert_eq!(first.submit(&read, form, &[(field, "First")]).await.notice(), Some(Notice::Saved), "{path}");
            let faulty = second.submit(&read, form, &[(field, "Second"), bad]).await;
            assert_eq!(faulty.status, 422, "{path}");
            assert_eq!(faulty.form(form).fields["revision"], read.form(form).fields["revision"], "{path}");
            let told = second.submit(&faulty, form, &[(bad.0, &good)]).await;
            assert_eq!(told.status, 409, "{path}");
            assert!(told.text("#stale").contains(&format!("{label} “First”")), "{path}: {}", told.text("#stale"));
            assert_eq!(told.form(form).fields[field], "Second", "{path}");
            let over = second.submit(&told, form, &[]).await;
            assert_eq!(over.notice(), Some(Notice::Saved), "{path}");
            assert_eq!(second.follow(over).await.form(form).fields[field], "Second", "{path}");
        }
    }
}
