//! The operator's first page, and the numbers in the navigation.

use std::time::Duration;

use connect_idp::model::provider::UnifiedLogin;
use connect_idp::operations::keys::in_use;

use super::operator::therap_admin;
use crate::actors::{Idp, PASSWORD};

const ATTENTION: &str = "#attention li";

both_engines! {
    async fn what_needs_attention_comes_first_and_is_counted_in_the_navigation(engine: Engine) {
        let idp = Idp::start(engine).await;
        let (_, mut root) = therap_admin(&idp, "root").await;
        let home = root.get("/operator").await;
        assert_eq!(home.text("#attention-none"), "Nothing needs your attention.");
        assert!(!home.has(".badge"));
        for code in ["CEDAR-OR", "MAPLE-VT"] {
            idp.provider(code, |provider| provider.unified_login = UnifiedLogin::Requested).await;
        }
        let client = idp.app("portal", |_| {}).await.client.id;
        let mut outsider = idp.outsider().await;
        for (sid, state, attempts) in [("a", "waiting", 1), ("b", "waiting", 0), ("c", "given_up", 9)] {
            let now = idp.now().0;
            let settled = if state == "given_up" { now.to_string() } else { "NULL".to_owned() };
            outsider.run(&format!(
                "INSERT INTO logout_deliveries (sid, client, user_id, state, attempts, created_at, next_at, settled_at) \
                 VALUES ('{sid}', '{client}', 'u', '{state}', {attempts}, {now}, {now}, {settled})"
            )).await;
        }
        let home = root.get("/operator").await;
        assert_eq!(home.texts(ATTENTION), [
            "2 requests for Unified Login wait for a decision. Decide",
            "2 logouts have not been accepted by an app. 1 of them will not be tried again. See why",
        ]);
        for path in ["/operator", "/operator/keys", "/"] {
            let page = root.get(path).await;
            assert_eq!(page.text("#pending-requests"), "2 pending", "{path}");
            assert_eq!(page.text("#pending-logouts"), "1 undelivered logout", "{path}");
        }
        let queue = root.get("/operator/requests").await;
        let form = queue.form("form.decide");
        let done = root.post(&form.action, &[("step", &form.fields["step"]), ("decision", "decline"), ("reason", "Not yet.")]).await;
        assert_eq!(root.follow(done).await.text("#pending-requests"), "1 pending", "at once");

        // Nobody else's pages say it.
        let amina = idp.user("amina").create().await;
        let mut hers = idp.browser();
        hers.sign_in(&amina).await;
        assert!(!hers.get("/").await.has(".badge"));
    }

    /// A number in the navigation is never a scan: it stops at a hundred.
    async fn what_is_counted_on_each_page_has_an_end(engine: Engine) {
        let idp = Idp::start(engine).await;
        let (_, mut root) = therap_admin(&idp, "root").await;
        for number in 0..101 {
            idp.provider(&format!("P-{number}"), |provider| provider.unified_login = UnifiedLogin::Requested).await;
        }
        assert_eq!(root.get("/operator/keys").await.text("#pending-requests"), "99+ pending");
    }

    /// G20: what comes by itself is told ahead; what should have come and did not is told as a fault.
    async fn keys_near_their_date_are_named(engine: Engine) {
        let idp = Idp::start_with(engine, |config| config.session.absolute_hours = 24).await;
        let (root_user, mut root) = therap_admin(&idp, "root").await;
        in_use::jwks(&idp.app, idp.now()).await.unwrap();
        let lasts = idp.app.config.keys.lasts();
        assert!(root.get("/operator").await.has("#attention-none"));
        idp.advance(lasts.checked_sub(Duration::from_hours(6 * 24)).unwrap());
        root.sign_in(&root_user).await;
        let near = root.get("/operator").await.texts(ATTENTION);
        assert!(near.iter().any(|text| text.starts_with("The RS256 key will be replaced automatically on ")), "{near:?}");
        idp.advance(Duration::from_hours(7 * 24));
        root.sign_in(&root_user).await;
        let past = root.get("/operator").await.texts(ATTENTION);
        assert!(past.iter().any(|text| text.starts_with("The RS256 key was due to be replaced on ")), "{past:?}");
        let keys = root.get("/operator/keys").await;
        let form = keys.form("form[action='/operator/keys/rotate']");
        let fields: Vec<_> = form.fields.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let alg = form.fields["alg"].clone();
        root.post("/operator/keys/rotate", &fields).await.location();
        let announced = root.get("/operator").await.texts(ATTENTION);
        assert!(announced.iter().any(|text| text.starts_with(&format!("The new {alg} key starts signing on "))), "{announced:?}");
        assert!(!announced.iter().any(|text| text.starts_with(&format!("The {alg} key was due"))), "{announced:?}");
    }

    async fn replicas_out_of_step_are_named(engine: Engine) {
        let idp = Idp::start(engine).await;
        let (_, mut root) = therap_admin(&idp, "root").await;
        let mut outsider = idp.outsider().await;
        let until = i64::MAX;
        for (host, version, idle) in [("web-1", "1.0.0", 30), ("web-2", "1.0.1", 31)] {
            outsider.run(&format!(
                "INSERT INTO replicas (id, host, version, started_at, seen_at, expires_at, settings) VALUES \
                 ('{host}', '{host}', '{version}', 1, 1, {until}, '{{\"session.idle_minutes\":\"{idle}\"}}')"
            )).await;
        }
        assert_eq!(root.get("/operator").await.texts(ATTENTION), [
            "Replicas run different versions: 1.0.0, 1.0.1.",
            "Replicas have different values of session.idle_minutes: web-1 differs from web-2. Run connect-idp doctor.",
        ]);
    }

    /// Today so far stands beside the same hours a week ago; the picture has the last 24 hours, its numbers those in which
    /// somebody tried.
    async fn todays_sign_ins_stand_beside_those_of_a_week_ago(engine: Engine) {
        let idp = Idp::start_with(engine, |config| config.throttle.enabled = false).await;
        let (root_user, mut root) = therap_admin(&idp, "root").await;
        let amina = idp.user("amina").create().await;
        let sign_in = async |count| for _ in 0..count { idp.browser().sign_in(&amina).await; };
        sign_in(2).await;
        idp.browser().log_in(&amina, "Wrong-Horse-1").await;
        // An hour later the same day: not by this time.
        idp.advance(Duration::from_hours(1));
        sign_in(4).await;
        idp.advance(Duration::from_hours(7 * 24 - 1));
        sign_in(1).await;
        root.sign_in(&root_user).await;
        let home = root.get("/operator").await;
        assert_eq!(home.texts("#today-table tbody th"), [
            "Direct Login", "Unified Login", "Direct Login refused", "Unified Login refused",
        ]);
        assert_eq!(home.texts("#today-table tbody td"), ["2", "3", "0", "0", "0", "1", "0", "0"]);
        let label = home.attribute("#hours-chart", "aria-label").unwrap();
        assert!(label.starts_with("Sign-ins per hour from 2027-01-21 ") && label.contains("Direct Login 2;"), "{label}");
        assert_eq!(home.texts("#hours-table tbody tr").len(), 1);
        assert!(home.has("#hours-chart svg rect") && !home.body.contains(PASSWORD));
    }
}
