//! The Therap Admin's page of signing keys: seen, replaced, replaced at once, taken back.

use connect_idp::crypto::jws::Algorithm;
use connect_idp::model::user::UserType;
use connect_idp::operations::keys::in_use;

use crate::actors::{Answer, Idp};

const ROTATE: &str = "#alg-ES256 form[action$='/rotate']";
const AT_ONCE: &str = "/operator/keys/rotate-at-once?alg=ES256";
const REVOKE: &str = "#alg-ES256 a[href*='/retire?kid=']";

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
        let confirm = two.get(AT_ONCE).await;
        assert_eq!(confirm.texts("#confirm-effects li")[0], "The pending key starts signing now.");
        let page = one.get("/operator/keys").await;
        assert_eq!(states(&page), ["announced", "signing"]);
        assert!(!page.has(ROTATE));
        // Both are confirmed with the password.
        let revoke = page.links(REVOKE).pop().unwrap();
        for address in [AT_ONCE, &revoke] {
            let page = one.get(address).await;
            let sent = one.submit(&page, "#confirm-form", &[]).await;
            assert_eq!((sent.status.as_u16(), sent.has("#confirm-password-error")), (422, true));
        }
        let sent = one.confirm(AT_ONCE, &[]).await;
        assert_eq!(one.told(sent).await, "The new key is signing now.");
        let late = two.confirm_on(&confirm, &[]).await;
        assert_eq!((late.status.as_u16(), late.has("#stale")), (409, true));
        let page = one.get("/operator/keys").await;
        assert_eq!(states(&page), ["signing", "verifying"]);
        // The one that signs is taken back: another takes its place.
        let signing = page.links(REVOKE).remove(0);
        let sent = one.confirm(&signing, &[]).await;
        assert_eq!(one.told(sent).await, "The key is revoked. Tokens that it signed are no longer valid.");
        let sent = one.get(&signing).await;
        assert_eq!(one.told(sent).await, "The key is already revoked or retired. Nothing was done.");
        let page = one.get("/operator/keys").await;
        let found = states(&page);
        assert_eq!((found[0].as_str(), found[2].as_str()), ("signing", "verifying"));
        assert!(found[1].starts_with("retired revoked Jan 15, 2027"), "{found:?}");
        assert_eq!(page.links(REVOKE).len(), 2);
        assert_eq!(one.post("/operator/keys/rotate", &[("alg", "HS256")]).await.status, 400);
        for (path, status) in [
            ("/operator/keys/retire?kid=nobody%27s", 404),
            ("/operator/keys/retire?kid=%00", 404),
            ("/operator/keys/retire", 404),
            ("/operator/keys/rotate-at-once?alg=none", 400),
        ] {
            assert_eq!(one.get(path).await.status, status, "{path}");
            assert_eq!(one.post(path, &[]).await.status, status, "{path}");
        }
        let kinds: Vec<_> = idp.activity().await.into_iter().map(|record| record.kind.to_string()).filter(|kind| kind.starts_with("signing_key")).collect();
        assert_eq!(kinds, ["signing_key_rotated", "signing_key_rotated", "signing_key_retired"]);
    }
}
