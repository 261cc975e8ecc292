//! The workbench: every check on a page, for those who build senders.

use std::time::Duration;

use connect_idp::config::Site;
use connect_idp::model::user::UserType;
use serde_json::Value;

use crate::actors::{Idp, public_jwks};
use crate::console::operator::therap_admin;
use crate::operations::clients::keys::Publisher;

both_engines! {
    async fn a_beta_site_shows_senders_every_check(engine: Engine) {
        let idp = Idp::start_with(engine, |config| config.site = Site::Beta).await;
        let amina = idp.user("amina").create().await;
        let mut browser = idp.browser();
        assert!(browser.get("/workbench").await.has("#workbench-form textarea#assertion"));
        let empty = browser.post("/workbench", &[("assertion", " \n")]).await;
        assert_eq!((empty.status.as_u16(), empty.text("#assertion-error")), (422, "Please paste an assertion.".into()));

        let assertion = idp.therap_services().sign(&amina);
        let good = browser.post("/workbench", &[("assertion", &format!("{assertion}\n"))]).await;
        assert_eq!((good.status.as_u16(), good.text("#verdict")), (200, "It would be accepted, sent from a registered page.".into()));
        assert!(good.texts("#checks-table .pill").iter().all(|state| state == "Good"), "{}", good.text("#checks-table"));
        // It is not spent.
        assert!(browser.hand_off(&assertion).await.has("#dashboard"));

        let wrong = idp.therap_services().assertion(&amina).claim("aud", "x").without("jti").sign();
        let wrong = browser.post("/workbench", &[("assertion", &wrong)]).await;
        assert_eq!(wrong.texts("#checks-table .pill").iter().filter(|state| *state == "Wrong").count(), 2);
        assert_eq!(wrong.text("#assertion").trim(), wrong.text("#assertion"));
    }

    /// What an issuer's own key did not vouch for tells nobody which agencies and people there are.
    async fn strangers_learn_of_nobody(engine: Engine) {
        let idp = Idp::start_with(engine, |config| config.site = Site::Beta).await;
        let amina = idp.user("amina").admin_locked().create().await;
        let mut forged = Vec::new();
        for name in ["amina", "nobody"] {
            let assertion = idp.therap_services().assertion(&amina).claim("login_name", name).claim("aud", "x").sign();
            let page = idp.browser().post("/workbench", &[("assertion", &assertion)]).await;
            let rows = page.texts("#checks-table tbody tr");
            let (_, account) = rows.split_at(rows.iter().position(|row| row.contains("in time")).unwrap());
            assert!(account.len() == 9 && account.iter().all(|row| row.contains("Not checked")), "{account:?}");
            forged.push(account.to_vec());
        }
        assert_eq!(forged[0], forged[1]);
    }

    async fn elsewhere_it_is_for_therap_admins(engine: Engine) {
        let idp = Idp::start(engine).await;
        assert_eq!(idp.browser().get("/workbench").await.location(), "/login?return_to=%2Fworkbench");
        assert_eq!(idp.browser().post("/workbench", &[("assertion", "x")]).await.status, 303);
        let boss = idp.user("boss").user_type(UserType::ProviderAdmin).create().await;
        let mut browser = idp.browser();
        browser.sign_in(&boss).await;
        assert_eq!(browser.get("/workbench").await.status, 404);
        let (_, mut root) = therap_admin(&idp, "root").await;
        let unproven = idp.therap_services().assertion(&boss).claim("login_name", "nobody").claim("aud", "x").sign();
        let page = root.post("/workbench", &[("assertion", &unproven)]).await;
        assert!(page.text("#checks-table").contains("user exists"), "{}", page.text("#checks-table"));
        assert_eq!(page.texts("#checks-table .pill").iter().filter(|state| *state == "Wrong").count(), 2);
    }

    /// Why an issuer's key set was not taken, beside the keys that are used instead.
    async fn it_says_how_the_key_set_was_fetched(engine: Engine) {
        let publisher = Publisher::start().await;
        publisher.says(axum::http::StatusCode::OK, &public_jwks(&["es256"]));
        let idp = Idp::start_with(engine, |config| config.site = Site::Beta).await;
        let amina = idp.user("amina").create().await;
        let address = publisher.address.clone();
        idp.trust("https://named.example.net", |i| (i.jwks, i.jwks_uri) = (None, Some(address.clone()))).await;
        let assertion = idp.therap_services().under("https://named.example.net", "es256").sign(&amina);
        let mut browser = idp.browser();
        let taken = browser.post("/workbench", &[("assertion", &assertion)]).await;
        assert!(taken.text("#key-set").contains(&address) && taken.text("#key-set").contains("last fetched it at"));
        assert!(!taken.has("#key-set .bad"));
        publisher.says(axum::http::StatusCode::OK, "{\"keys\": []}");
        idp.advance(Duration::from_secs(61));
        let not_taken = browser.post("/workbench", &[("assertion", &assertion)]).await;
        assert!(not_taken.text("#key-set .bad").contains("not taken"), "{}", not_taken.text("#key-set"));
        assert!(not_taken.text("#key-set ul").contains("es256"));
    }

    /// A key of the page signs assertions that are accepted; the page does not make what takes long.
    async fn it_makes_a_key_to_try_with(engine: Engine) {
        let idp = Idp::start_with(engine, |config| config.site = Site::Beta).await;
        let mut browser = idp.browser();
        for alg in ["ES256", "EdDSA"] {
            let page = browser.post("/workbench", &[("new_key", alg)]).await;
            let private: Value = serde_json::from_str(&page.text("#new-private-key")).unwrap();
            let public: Value = serde_json::from_str(&page.text("#new-public-keys")).unwrap();
            assert_eq!((private["alg"].as_str(), &private["kid"]), (Some(alg), &public["keys"][0]["kid"]));
            assert!(private["d"].is_string() && public["keys"][0]["d"].is_null() && private["x"] == public["keys"][0]["x"]);
        }
        assert_eq!(browser.post("/workbench", &[("new_key", "RS256")]).await.status, 400);
    }

    /// U10: on a beta site the page of a refused handoff says what was wrong, elsewhere it does not.
    async fn a_refused_handoff_says_why_on_a_beta_site_alone(engine: Engine) {
        for (site, says) in [(Site::Beta, true), (Site::Production, false)] {
            let idp = Idp::start_with(engine, |config| config.site = site).await;
            let amina = idp.user("amina").create().await;
            let assertion = idp.therap_services().assertion(&amina).claim("aud", "x").sign();
            let page = idp.browser().hand_off(&assertion).await;
            assert_eq!((page.status.as_u16(), page.has("#handoff-reason")), (403, says));
        }
    }
}
