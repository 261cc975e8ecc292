//! The Therap Admin's page of signing keys: seen, replaced, replaced at once, taken back.

use std::time::Duration;

use connect_idp::crypto::jws::Algorithm;
use connect_idp::model::user::UserType;
use connect_idp::operations::keys::in_use;

use crate::actors::{Answer, Idp, PASSWORD};

const ROTATE: &str = "#alg-ES256 form[action$='/rotate']";
const AT_ONCE: &str = "#alg-ES256 form[action$='/rotate-at-once']";

fn states(page: &Answer) -> Vec<String> {
    page.texts("#alg-ES256 td[data-label=State]")
}

both_engines! {
    async fn keys_are_replaced_and_taken_back(engine: Engine) {
        let idp = Idp::start(engine).await;
        let me = idp.user("root").of("THERAP").user_type(UserType::TherapAdmin).create().await;
        let (mut one, mut two) = (idp.browser(), idp.browser());
        one.sign_in(&me).await;
        two.sign_in(&me).await;
        let page = one.get("/operator/keys").await;
        assert!(page.text("#alg-ES256 p.empty").starts_with("None yet.") && !page.has(ROTATE));
        let first = in_use::signer(&idp.app, Algorithm::Es256, idp.now()).await.unwrap().kid.clone();
        let page = one.get("/operator/keys").await;
        assert_eq!((states(&page), page.text("#alg-ES256 code")), (vec!["signing".to_owned()], first.clone()));
        // Announced; of two admins one does it.
        let sent = one.submit(&page, ROTATE, &[]).await;
        assert_eq!(one.told(sent).await, "A new key is published. It starts signing once every app knows it.");
        let sent = two.submit(&page, ROTATE, &[]).await;
        assert_eq!(two.told(sent).await, "A new key has already been published. Nothing was done.");
        let sent = two.submit(&page, AT_ONCE, &[]).await;
        assert_eq!(two.told(sent).await, "A new key has already been published. Nothing was done.");
        let page = one.get("/operator/keys").await;
        assert_eq!(states(&page), ["announced", "signing"]);
        assert!(!page.has(ROTATE));
        // At once, and back, needs the password again.
        idp.advance(Duration::from_mins(5));
        for form in [AT_ONCE, "#alg-ES256 form[action$=retire]"] {
            let sent = one.submit(&page, form, &[]).await;
            assert_eq!(sent.location(), "/operator/confirm?return_to=%2Foperator%2Fkeys");
        }
        let confirm = one.get("/operator/confirm?return_to=/operator/keys").await;
        assert_eq!(one.submit(&confirm, "#confirm-form", &[("password", PASSWORD)]).await.location(), "/operator/keys");
        let sent = one.submit(&page, AT_ONCE, &[]).await;
        assert_eq!(one.told(sent).await, "The new key is signing now.");
        let page = one.get("/operator/keys").await;
        assert_eq!(states(&page), ["signing", "verifying"]);
        // The one that signs is taken back: another takes its place.
        let sent = one.submit(&page, "#alg-ES256 form[action$=retire]", &[]).await;
        assert_eq!(one.told(sent).await, "The key is revoked. Tokens that it signed are no longer valid.");
        let sent = one.submit(&page, "#alg-ES256 form[action$=retire]", &[]).await;
        assert_eq!(one.told(sent).await, "The key is already revoked or retired. Nothing was done.");
        let page = one.get("/operator/keys").await;
        let found = states(&page);
        assert_eq!((found[0].as_str(), found[2].as_str()), ("signing", "verifying"));
        assert!(found[1].starts_with("retired revoked Jan 15, 2027"), "{found:?}");
        assert_eq!(page.texts("#alg-ES256 form[action$=retire]").len(), 2);
        for (path, fields, status) in [
            ("/operator/keys/retire", [("kid", "nobody's")], 404),
            ("/operator/keys/retire", [("kid", "\0")], 404),
            ("/operator/keys/rotate", [("alg", "HS256")], 400),
            ("/operator/keys/rotate-at-once", [("alg", "none")], 400),
        ] {
            assert_eq!(one.post(path, &fields).await.status, status, "{path}");
        }
        let kinds: Vec<_> = idp.activity().await.into_iter().map(|record| record.kind.to_string()).filter(|kind| kind.starts_with("signing_key")).collect();
        assert_eq!(kinds, ["signing_key_rotated", "signing_key_rotated", "signing_key_retired"]);
    }
}
