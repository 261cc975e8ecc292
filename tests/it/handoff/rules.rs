//! Unified Login, rule by rule (docs/rules.md, U2 to U14; docs/handoff.md).

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::http::{HeaderMap, Method};
use connect_idp::config::Site;
use connect_idp::crypto::secret::Secret;
use connect_idp::handoff::explain::{self, Reader};
use connect_idp::handoff::trail::Outcome;
use connect_idp::jobs;
use connect_idp::metrics::text::Format;
use connect_idp::model::provider::UnifiedLogin;
use connect_idp::model::refusal::Refusal;
use connect_idp::model::user::UserType;
use connect_idp::operations;
use connect_idp::operations::admin_context::{Edited, Switched};
use serde_json::json;

use crate::actors::{Answer, Browser, ISSUER, Idp, PASSWORD, User, encode, public_jwks};

const INVALID: &str = "Invalid Credential";
const LOCKED: &str = "Your Therap Connect account has been locked. Please contact your agency administrator";
const LATE: &str = "Login failed due to request timeout. Please try again from Therap Services";

/// A second before: waiting is timed by the runtime's clock, which runs on while the fixed one stands still. The
/// very millisecond is a unit test's.
fn just_before(seconds: u64) -> Duration {
    Duration::from_secs(seconds - 1)
}

/// How often each reason was logged and counted.
fn counted(idp: &Idp) -> BTreeMap<String, u64> {
    let text = idp.app.metrics.text(Format::Classic);
    let lines = text.lines().filter_map(|line| line.strip_prefix("connect_idp_handoff_refusals_total{reason=\""));
    lines
        .map(|line| {
            let (reason, count) = line.split_once("\"} ").unwrap();
            (reason.to_owned(), count.parse().unwrap())
        })
        .filter(|(_, count)| *count > 0)
        .collect()
}

/// The handoff's own cookie, as this browser holds it.
fn handle(browser: &Browser) -> Option<(String, String)> {
    let mut found = browser.cookies.iter().filter(|(name, _)| name.starts_with("__Host-handoff-"));
    found.next().map(|(name, value)| (name.clone(), value.clone()))
}

/// The answer set no session and cleared none.
fn assert_session_untouched(answer: &Answer) {
    let session = answer.cookies().into_iter().find(|(name, _)| name.ends_with("connect-session"));
    assert_eq!(session, None, "at {}", answer.path);
}

both_engines! {
    /// U2, U4: a click ends on the Dashboard, and is recorded as what it was.
    async fn a_click_in_therap_services_opens_a_session(engine: Engine) {
        let idp = Idp::start(engine).await;
        let amina = idp.user("amina").create().await;
        let mut browser = idp.browser();
        let first = browser.click(&idp.therap_services().sign(&amina)).await;
        let (cookie, _) = handle(&browser).unwrap();
        assert_eq!(first.location(), format!("/unified-login/complete?h={}", &cookie["__Host-handoff-".len()..]));
        assert!(first.header("set-cookie").unwrap().ends_with("; Max-Age=600"));
        assert_eq!(browser.session(), None, "pending is no session");
        idp.assert_activity([]).await;
        let second = browser.complete(&first).await;
        assert_eq!(second.location(), "/");
        browser.assert_signed_in_as(&amina).await;
        let [record] = idp.activity().await.try_into().unwrap();
        assert_eq!(crate::actors::line(&record), "sign_in success");
        assert_eq!(record.login_type.as_deref(), Some("Unified Login"));
        assert_eq!(record.note.as_deref(), Some("Login initiated from Therap Services"));
        assert_eq!(record.user_id.as_deref(), Some(amina.id.as_str()));
        assert_eq!(record.address.as_deref(), Some("192.0.2.7"));
        idp.assert_invariants().await;
    }

    /// Every algorithm that a key may have.
    async fn each_algorithm_is_accepted(engine: Engine) {
        let idp = Idp::start(engine).await;
        let amina = idp.user("amina").create().await;
        for kid in ["es256", "ps256", "rs256", "eddsa"] {
            let mut browser = idp.browser();
            browser.hand_off(&idp.therap_services().under(ISSUER, kid).sign(&amina)).await;
            browser.assert_signed_in_as(&amina).await;
        }
    }

    /// An assertion signs in once, whoever carries it the second time; of repeats the first is recorded.
    async fn a_replayed_assertion_is_refused(engine: Engine) {
        let idp = Idp::start(engine).await;
        let amina = idp.user("amina").create().await;
        let assertion = idp.therap_services().sign(&amina);
        let mut browser = idp.browser();
        browser.hand_off(&assertion).await;
        browser.assert_signed_in_as(&amina).await;
        for _ in 0..3 {
            let mut thief = idp.browser();
            thief.hand_off(&assertion).await.assert_handoff_refused(INVALID);
            thief.assert_signed_out().await;
        }
        // The same `jti` in another assertion is the same click.
        let other = idp.therap_services().assertion(&amina);
        let again = other.clone().sign();
        browser.hand_off(&again).await;
        idp.browser().hand_off(&other.claim("target", "/activity").sign()).await.assert_handoff_refused(INVALID);
        browser.assert_signed_in_as(&amina).await;
        idp.assert_activity(["sign_in success", "sign_in refused replayed", "sign_in success", "sign_in refused replayed"]).await;
        assert_eq!(counted(&idp)["replayed"], 4);
    }

    /// U5, U7, U8: what comes from the wrong place is refused and logged, recorded nowhere, and spends nothing.
    async fn a_wrong_sender_spends_nothing(engine: Engine) {
        let idp = Idp::start(engine).await;
        let amina = idp.user("amina").create().await;
        let assertion = idp.therap_services().sign(&amina);
        let form = encode(&[("assertion", &assertion)]);
        let good = [
            ("origin", ISSUER),
            ("content-type", "application/x-www-form-urlencoded"),
            ("sec-fetch-mode", "navigate"),
            ("sec-fetch-dest", "document"),
            ("sec-fetch-site", "cross-site"),
        ];
        let twice = format!("{form}&{form}");
        let both = format!("{form}&handle=x");
        let huge = format!("{form}&x={}", "x".repeat(20_000));
        let cases: Vec<(&str, &str, &str, Method, &str, &str)> = vec![
            ("origin_missing", "origin", "", Method::POST, "/unified-login", &form),
            ("origin_null", "origin", "null", Method::POST, "/unified-login", &form),
            ("origin_not_registered", "origin", "https://evil.example", Method::POST, "/unified-login", &form),
            ("origin_not_registered", "origin", "https://connect.example.org", Method::POST, "/unified-login", &form),
            ("origin_not_registered", "origin", "https://secure.example.net/", Method::POST, "/unified-login", &form),
            ("not_a_top_level_navigation", "sec-fetch-dest", "iframe", Method::POST, "/unified-login", &form),
            ("not_a_top_level_navigation", "sec-fetch-mode", "cors", Method::POST, "/unified-login", &form),
            ("not_post", "origin", ISSUER, Method::GET, "/unified-login", &form),
            ("not_post", "origin", ISSUER, Method::PUT, "/unified-login", &form),
            ("query_not_allowed", "origin", ISSUER, Method::POST, "/unified-login?assertion=x", &form),
            ("not_a_form", "content-type", "application/json", Method::POST, "/unified-login", &form),
            ("not_a_form", "content-type", "text/plain", Method::POST, "/unified-login", &form),
            ("too_large", "origin", ISSUER, Method::POST, "/unified-login", &huge),
            ("field_missing", "origin", ISSUER, Method::POST, "/unified-login", "assertio=x"),
            ("field_repeated", "origin", ISSUER, Method::POST, "/unified-login", &twice),
            ("both_fields", "origin", ISSUER, Method::POST, "/unified-login", &both),
        ];
        let mut wanted = BTreeMap::new();
        for (reason, header, value, method, path, body) in cases {
            let mut headers: HeaderMap = good.iter().map(|(k, v)| (k.parse().unwrap(), v.parse().unwrap())).collect();
            headers.remove(header);
            if !value.is_empty() {
                headers.insert(header, value.parse().unwrap());
            }
            let answer = idp.browser().send(method, path, headers, body.to_owned()).await;
            answer.assert_handoff_refused(INVALID);
            assert!(answer.cookies().is_empty());
            *wanted.entry(reason.to_owned()).or_insert(0) += 1;
            assert_eq!(counted(&idp), wanted, "{reason}");
        }
        idp.assert_activity([]).await;
        // Fetch metadata may be absent.
        let headers = good[..2].iter().map(|(k, v)| (k.parse().unwrap(), v.parse().unwrap())).collect();
        let mut browser = idp.browser();
        let first = browser.send(Method::POST, "/unified-login", headers, form).await;
        browser.complete(&first).await;
        browser.assert_signed_in_as(&amina).await;
    }

    /// U8: before a trusted signature is proven nothing is recorded, and nothing is spent.
    async fn what_is_not_proven_is_not_recorded(engine: Engine) {
        let idp = Idp::start(engine).await;
        let other = "https://other.example.net";
        idp.trust(other, |issuer| issuer.jwks = Some(public_jwks(&["other"]))).await;
        idp.trust("https://off.example.net", |issuer| issuer.enabled = false).await;
        let amina = idp.user("amina").create().await;
        let good = idp.therap_services().assertion(&amina);
        let cut = good.sign().rsplit_once('.').unwrap().0.to_owned();
        let off = idp.therap_services().under("https://off.example.net", "es256");
        let foreign = idp.therap_services().under(other, "other");
        for (reason, assertion) in [
            ("not_compact_jws", String::new()),
            ("not_compact_jws", cut),
            ("not_canonical_base64url", format!("{}\n", good.sign())),
            ("wrong_typ", good.clone().header("typ", "JWT").sign()),
            ("header_member_not_allowed", good.clone().header("jku", "https://evil.example/jwks").sign()),
            ("alg_not_allowed", good.clone().header("alg", "none").sign()),
            ("kid_missing", good.clone().header("kid", "").sign()),
            ("unknown_issuer", good.clone().claim("iss", "https://evil.example").sign()),
            ("issuer_disabled", off.sign(&amina)),
            ("unknown_kid", good.clone().header("kid", "other").sign()),
            ("alg_does_not_fit_key", good.clone().header("alg", "EdDSA").sign()),
            ("bad_signature", good.clone().signed_by("other").sign()),
            ("origin_of_another_issuer", foreign.sign(&amina)),
            ("claims_not_json", good.clone().raw_claims("{").sign()),
        ] {
            let before = counted(&idp).get(reason).copied().unwrap_or(0);
            idp.browser().hand_off(&assertion).await.assert_handoff_refused(INVALID);
            assert_eq!(counted(&idp).get(reason).copied(), Some(before + 1), "{reason}");
        }
        idp.assert_activity([]).await;
        assert_eq!(idp.number("SELECT COUNT(*) FROM single_use").await, 0);
        let mut browser = idp.browser();
        browser.hand_off(&good.sign()).await;
        browser.assert_signed_in_as(&amina).await;
    }

    /// U8: from a trusted signature on, what is wrong with the claims is recorded, once for each assertion.
    async fn wrong_claims_are_recorded_once(engine: Engine) {
        let idp = Idp::start(engine).await;
        let amina = idp.user("amina").create().await;
        let now = idp.now().seconds();
        for (reason, change) in [
            ("wrong_aud", json!({ "aud": "https://connect.example.org/" })),
            ("wrong_aud", json!({ "aud": ["https://connect.example.org", "https://other.example.org"] })),
            ("claim_malformed", json!({ "sub": "" })),
            ("claim_malformed", json!({ "jti": "short" })),
            ("claim_malformed", json!({ "iat": 1.5 })),
            ("claim_malformed", json!({ "login_name": "a\0b" })),
            ("claim_malformed", json!({ "provider_code": 7 })),
            ("exp_before_iat", json!({ "exp": now })),
            ("lifetime_too_long", json!({ "exp": now + 61 })),
            ("issued_in_future", json!({ "iat": now + 6, "exp": now + 36 })),
            ("not_yet_valid", json!({ "nbf": now + 6 })),
        ] {
            let mut assertion = idp.therap_services().assertion(&amina);
            assertion.claims.extend(change.as_object().unwrap().clone());
            let assertion = assertion.sign();
            let before = idp.activity().await.len();
            for _ in 0..2 {
                idp.browser().hand_off(&assertion).await.assert_handoff_refused(INVALID);
            }
            let records = idp.activity().await;
            assert_eq!(records.len(), before + 1, "{reason}");
            let named = records.iter().filter(|record| record.reason.as_deref() == Some(reason)).count();
            assert!(named >= 1, "{reason}");
            assert!(records.iter().all(|r| r.actor == format!("issuer {ISSUER}") && r.login_type.as_deref() == Some("Unified Login")));
        }
        let gone = idp.therap_services().assertion(&amina).without("sub").sign();
        idp.browser().hand_off(&gone).await.assert_handoff_refused(INVALID);
        assert_eq!(idp.sessions(&amina).await, 0);
        let mut browser = idp.browser();
        browser.hand_off(&idp.therap_services().assertion(&amina).claim("whatever", json!({ "a": 1 })).sign()).await;
        browser.assert_signed_in_as(&amina).await;
    }

    /// U5: provider and user; each refusal spends the assertion.
    async fn who_may_not_come_is_refused_with_the_true_reason(engine: Engine) {
        let idp = Idp::start(engine).await;
        idp.provider("CLOSED", |p| p.active = false).await;
        idp.provider("OFF", |p| p.unified_login = UnifiedLogin::Off).await;
        idp.provider("ASKED", |p| p.unified_login = UnifiedLogin::Requested).await;
        let operator = idp.user("root").of("THERAP").user_type(UserType::TherapAdmin).create().await;
        let deactivated = idp.user("gone").inactive().create().await;
        let locked_and_off = idp.user("locked").of("OFF").admin_locked().create().await;
        let long = "x".repeat(3000);
        let cases = [
            ("unknown_provider", User::nobody("amina", "NOWHERE")),
            ("unknown_provider", User::nobody("amina", "not a code")),
            ("unknown_provider", User::nobody("amina", "sunrise-il")),
            ("inactive_provider", User::nobody("amina", "CLOSED")),
            ("inactive_provider", idp.user("c").of("CLOSED").create().await),
            ("unified_login_off", User::nobody("amina", "OFF")),
            ("unified_login_off", idp.user("o").of("OFF").create().await),
            ("unified_login_off", idp.user("a").of("ASKED").create().await),
            ("unified_login_off", locked_and_off),
            ("unknown_user", User::nobody("amina ", "SUNRISE-IL")),
            ("unknown_user", User::nobody("a\u{1}b", "SUNRISE-IL")),
            ("unknown_user", User::nobody(&long, "SUNRISE-IL")),
            ("deactivated_user", deactivated.clone()),
            ("therap_admin", operator),
        ];
        let mut wanted: Vec<String> = Vec::new();
        for (reason, user) in &cases {
            idp.browser().hand_off(&idp.therap_services().assertion(user).claim("sub", "x").sign()).await.assert_handoff_refused(INVALID);
            wanted.push(format!("sign_in refused {reason}"));
            wanted.sort();
            assert_eq!(idp.record().await, wanted, "{} {}", user.login_name, user.provider_code);
        }
        assert!(idp.activity().await.iter().all(|record| record.login_name.as_ref().unwrap().chars().count() <= 255));
        assert_eq!(idp.number("SELECT COUNT(*) FROM handoff_ties").await, 0);
        // Mended a second too late: the assertion is spent.
        let assertion = idp.therap_services().sign(&deactivated);
        idp.browser().hand_off(&assertion).await.assert_handoff_refused(INVALID);
        idp.set_active(&deactivated, true).await;
        idp.browser().hand_off(&assertion).await.assert_handoff_refused(INVALID);
        assert_eq!(counted(&idp)["replayed"], 1);
    }

    /// U12, L2: case counts in the Provider Code alone.
    async fn the_login_name_is_found_in_any_case(engine: Engine) {
        let idp = Idp::start(engine).await;
        let amina = idp.user("amina").create().await;
        let mut browser = idp.browser();
        browser.hand_off(&idp.therap_services().assertion(&amina).claim("login_name", "AMINA").sign()).await;
        browser.assert_signed_in_as(&amina).await;
    }

    /// U6, U11, U13: a lock is told as a lock; refused handoffs never lock, and neither charge nor clear strikes.
    async fn a_locked_account_is_told_so(engine: Engine) {
        let idp = Idp::start(engine).await;
        let by_password = idp.user("three").failures(3).create().await;
        let by_admin = idp.user("admin").admin_locked().create().await;
        let nearly = idp.user("nearly").failures(2).create().await;
        for user in [&by_password, &by_admin] {
            for _ in 0..4 {
                idp.browser().hand_off(&idp.therap_services().sign(user)).await.assert_handoff_refused(LOCKED);
            }
        }
        for _ in 0..4 {
            let forged = idp.therap_services().assertion(&nearly).signed_by("other").sign();
            idp.browser().hand_off(&forged).await.assert_handoff_refused(INVALID);
        }
        let mut browser = idp.browser();
        browser.hand_off(&idp.therap_services().sign(&nearly)).await;
        browser.assert_signed_in_as(&nearly).await;
        assert_eq!(idp.account(&nearly).await.failures, 2);
        idp.unlock(&by_password).await;
        browser.hand_off(&idp.therap_services().sign(&by_password)).await;
        browser.assert_signed_in_as(&by_password).await;
        let reasons = idp.record().await;
        let count = |reason: &str| reasons.iter().filter(|line| line.ends_with(reason)).count();
        assert_eq!((count("password_locked"), count("admin_locked")), (4, 4));
        idp.assert_invariants().await;
    }

    /// U7: at 29 seconds it is in time, at 30 it is late, at the first step and at the second.
    async fn at_exactly_the_deadline_it_is_late(engine: Engine) {
        let idp = Idp::start(engine).await;
        let amina = idp.user("amina").create().await;
        // Both steps in the last second.
        let assertion = idp.therap_services().sign(&amina);
        idp.advance(just_before(30));
        let mut browser = idp.browser();
        browser.hand_off(&assertion).await;
        browser.assert_signed_in_as(&amina).await;
        // The first step at the deadline.
        let assertion = idp.therap_services().sign(&amina);
        idp.advance(Duration::from_secs(30));
        idp.browser().hand_off(&assertion).await.assert_handoff_refused(LATE);
        // The second step just before, and at, the deadline.
        for (pass, late) in [(just_before(30), false), (Duration::from_secs(30), true)] {
            let assertion = idp.therap_services().sign(&amina);
            let mut browser = idp.browser();
            let first = browser.click(&assertion).await;
            idp.advance(pass);
            let second = browser.complete(&first).await;
            if late {
                second.assert_handoff_refused(LATE);
                assert_eq!(handle(&browser), None, "the handoff's own cookie is cleared");
                browser.assert_signed_out().await;
            } else {
                browser.follow(second).await;
                browser.assert_signed_in_as(&amina).await;
            }
        }
        jobs::sweep(&idp.app).await.unwrap();
        idp.assert_activity(["sign_in success", "sign_in refused timed_out", "sign_in success", "sign_in refused timed_out"]).await;
        idp.assert_invariants().await;
    }

    /// U7: an `exp` that is sooner counts; a later one gives no more time.
    async fn a_sooner_exp_counts_and_a_later_gives_nothing(engine: Engine) {
        let idp = Idp::start(engine).await;
        let amina = idp.user("amina").create().await;
        let iat = idp.now().seconds();
        let until = |exp: i64| idp.therap_services().assertion(&amina).claim("iat", iat).claim("exp", exp).sign();
        let (ten, ten_too, sixty) = (until(iat + 10), until(iat + 10), until(iat + 60));
        idp.advance(just_before(10));
        let mut browser = idp.browser();
        browser.hand_off(&ten).await;
        browser.assert_signed_in_as(&amina).await;
        let first = browser.click(&ten_too).await;
        idp.advance(Duration::from_secs(1));
        browser.complete(&first).await.assert_handoff_refused(LATE);
        idp.browser().hand_off(&until(iat + 10)).await.assert_handoff_refused(LATE);
        browser.assert_signed_in_as(&amina).await;
        idp.advance(Duration::from_secs(20));
        idp.browser().hand_off(&sixty).await.assert_handoff_refused(LATE);
    }

    /// U14: a click up to 5 seconds in our future is accepted, and has 30 seconds from its receipt.
    async fn a_clock_ahead_of_ours_gains_no_time(engine: Engine) {
        let idp = Idp::start(engine).await;
        let amina = idp.user("amina").create().await;
        for (pass, late) in [(just_before(30), false), (Duration::from_secs(30), true)] {
            let assertion = idp.therap_services().assertion(&amina).minted(5).sign();
            let mut browser = idp.browser();
            let first = browser.click(&assertion).await;
            idp.advance(pass);
            let second = browser.complete(&first).await;
            assert_eq!(second.status.as_u16(), if late { 403 } else { 303 });
        }
    }

    /// U7: the order of the checks. A late one that is anything else besides, and anything that comes before lateness.
    async fn the_order_of_checks_is_kept(engine: Engine) {
        let idp = Idp::start(engine).await;
        let amina = idp.user("amina").create().await;
        let locked = idp.user("locked").admin_locked().create().await;
        let nobody = User::nobody("nobody", "NOWHERE");
        let used = idp.therap_services().sign(&amina);
        idp.browser().hand_off(&used).await;
        let [late_locked, late_nobody, late_good] = [&locked, &nobody, &amina].map(|user| idp.therap_services().sign(user));
        let late_forged = idp.therap_services().assertion(&amina).signed_by("other").sign();
        let late_aud = idp.therap_services().assertion(&amina).claim("aud", "x").sign();
        idp.advance(Duration::from_secs(31));
        for (assertion, message) in [(&late_locked, LATE), (&late_nobody, LATE), (&used, LATE), (&late_forged, INVALID), (&late_aud, INVALID)] {
            idp.browser().hand_off(assertion).await.assert_handoff_refused(message);
        }
        idp.browser().click_from("https://evil.example", &late_good).await.assert_handoff_refused(INVALID);
        let mut wanted = vec![
            "sign_in success",
            "sign_in refused timed_out",
            "sign_in refused timed_out",
            "sign_in refused replayed",
            "sign_in refused wrong_aud",
        ];
        wanted.sort_unstable();
        assert_eq!(idp.record().await, wanted);
        // Late, it is spent all the same; a locked user's is late first, locked next time.
        idp.browser().hand_off(&late_locked).await.assert_handoff_refused(LATE);
        idp.browser().hand_off(&idp.therap_services().sign(&locked)).await.assert_handoff_refused(LOCKED);
        let mixed = idp.therap_services().assertion(&locked);
        idp.browser().hand_off(&mixed.sign()).await.assert_handoff_refused(LOCKED);
        idp.browser().hand_off(&mixed.sign()).await.assert_handoff_refused(INVALID);
    }

    /// U12: the first accepted handoff ties `sub` and user, both ways, within issuer and provider.
    async fn a_sub_and_a_user_are_tied_both_ways(engine: Engine) {
        let idp = Idp::start(engine).await;
        idp.provider("SUNSET", |_| {}).await;
        let other_issuer = "https://other.example.net";
        idp.trust(other_issuer, |issuer| issuer.jwks = Some(public_jwks(&["other"]))).await;
        let (amina, bob) = (idp.user("amina").create().await, idp.user("bob").create().await);
        let elsewhere = idp.user("amina").of("SUNSET").create().await;
        let ts = idp.therap_services();
        let by = |user: &User, sub: &str| ts.assertion(user).claim("sub", sub).sign();
        let mut browser = idp.browser();
        // A first step alone ties nothing.
        browser.click(&by(&bob, "person-1")).await;
        browser.hand_off(&by(&amina, "person-1")).await;
        browser.assert_signed_in_as(&amina).await;
        idp.browser().hand_off(&by(&amina, "person-2")).await.assert_handoff_refused(INVALID);
        idp.browser().hand_off(&by(&bob, "person-1")).await.assert_handoff_refused(INVALID);
        assert_eq!((counted(&idp)["user_tied_to_another_sub"], counted(&idp)["sub_tied_to_another_user"]), (1, 1));
        // Another provider, and another issuer, are other worlds.
        browser.hand_off(&by(&elsewhere, "person-1")).await;
        browser.assert_signed_in_as(&elsewhere).await;
        let foreign = ts.clone().under(other_issuer, "other").assertion(&bob).claim("sub", "person-1").sign();
        let first = browser.click_from(other_issuer, &foreign).await;
        browser.complete(&first).await;
        browser.assert_signed_in_as(&bob).await;
        // The first handoff of all never came to its end: its tie is checked there too.
        let mut slow = idp.browser();
        let first = slow.click(&by(&bob, "person-3")).await;
        let untied = operations::users::untie(&idp.act(), &amina.provider_id, &amina.id, Some(ISSUER)).await.unwrap();
        assert_eq!(untied, operations::users::Untied::Yes(1));
        idp.browser().hand_off(&by(&amina, "person-3")).await;
        slow.complete(&first).await.assert_handoff_refused(INVALID);
        assert_eq!(counted(&idp)["sub_tied_to_another_user"], 2);
        assert_eq!(operations::issuers::untie_all(&idp.act(), ISSUER).await.unwrap(), Edited::Changed(Some(2)));
        browser.hand_off(&by(&bob, "person-3")).await;
        browser.assert_signed_in_as(&bob).await;
        idp.assert_invariants().await;
    }

    /// U12: the lock is told only to whom the `sub` fits.
    async fn a_wrong_sub_is_not_told_of_a_lock(engine: Engine) {
        let idp = Idp::start(engine).await;
        let amina = idp.user("amina").create().await;
        idp.browser().hand_off(&idp.therap_services().sign(&amina)).await;
        idp.lock(&amina).await;
        let wrong = idp.therap_services().assertion(&amina).claim("sub", "somebody else").sign();
        idp.browser().hand_off(&wrong).await.assert_handoff_refused(INVALID);
        idp.browser().hand_off(&idp.therap_services().sign(&amina)).await.assert_handoff_refused(LOCKED);
    }

    /// U3: the same user's session is renewed under its `sid`, by either sign-in method; the old secret is dead.
    async fn the_same_users_session_is_renewed(engine: Engine) {
        let idp = Idp::start(engine).await;
        let amina = idp.user("amina").create().await;
        let mut browser = idp.browser();
        browser.sign_in(&amina).await;
        let mut old = browser.clone();
        idp.advance(Duration::from_mins(1));
        browser.hand_off(&idp.therap_services().sign(&amina)).await;
        browser.assert_signed_in_as(&amina).await;
        // A tab that asked with the old secret in that very moment is asked to wait, not to sign in.
        let moment = old.get("/activity").await;
        assert_eq!((moment.status.as_u16(), moment.text("h1").as_str()), (200, "One moment…"));
        assert_eq!(moment.attribute("meta[http-equiv=refresh]", "content").unwrap(), "1;url=/activity");
        idp.advance(Duration::from_secs(10));
        old.assert_signed_out().await;
        idp.advance(Duration::from_mins(1));
        browser.sign_in(&amina).await;
        browser.assert_signed_in_as(&amina).await;
        assert_eq!(idp.number("SELECT COUNT(DISTINCT sid) FROM sessions").await, 1);
        assert_eq!(idp.sessions(&amina).await, 1);
        idp.assert_activity(["sign_in success", "sign_in success", "sign_in success"]).await;
        idp.assert_invariants().await;
    }

    /// U3: another user's session is ended; a refused handoff leaves everything as it was.
    async fn another_users_session_is_ended_and_a_refusal_leaves_it(engine: Engine) {
        let idp = Idp::start(engine).await;
        let (amina, bob) = (idp.user("amina").create().await, idp.user("bob").create().await);
        let locked = idp.user("locked").admin_locked().create().await;
        let mut browser = idp.browser();
        browser.sign_in(&amina).await;
        let mut old = browser.clone();
        for refused in [idp.therap_services().sign(&locked), "nonsense".into()] {
            assert_session_untouched(&browser.hand_off(&refused).await);
            browser.assert_signed_in_as(&amina).await;
        }
        let late = idp.therap_services().sign(&bob);
        let first = browser.click(&late).await;
        idp.advance(Duration::from_secs(31));
        let second = browser.complete(&first).await;
        second.assert_handoff_refused(LATE);
        assert_session_untouched(&second);
        browser.assert_signed_in_as(&amina).await;
        browser.hand_off(&idp.therap_services().sign(&bob)).await;
        browser.assert_signed_in_as(&bob).await;
        old.assert_signed_out().await;
        assert_eq!(idp.sessions(&amina).await, 0);
        assert_eq!(idp.number("SELECT COUNT(DISTINCT sid) FROM sessions").await, 2);
        let ended = "session_ended success another_user_signed_in";
        idp.assert_activity(["sign_in success", "sign_in refused admin_locked", "sign_in refused timed_out", "sign_in success", ended]).await;
    }

    /// U3, U11: a temporary password does not matter to a handoff, whose session is whole; the next direct login does.
    async fn a_temporary_password_does_not_matter_to_a_handoff(engine: Engine) {
        let idp = Idp::start(engine).await;
        let (amina, bob) = (idp.user("amina").temporary().create().await, idp.user("bob").create().await);
        let mut browser = idp.browser();
        // Even with a half-done direct login in the same browser, hers or another's.
        for user in [&amina, &bob] {
            browser.log_in(&amina, PASSWORD).await;
            assert_eq!(browser.get("/").await.location(), "/password/update");
            browser.hand_off(&idp.therap_services().sign(user)).await;
            browser.assert_signed_in_as(user).await;
        }
        assert_eq!(idp.browser().log_in(&amina, PASSWORD).await.location(), "/password/update");
        assert_eq!(idp.number("SELECT COUNT(*) FROM pre_auths").await, 1, "what the handoffs found is gone");
        idp.assert_invariants().await;
    }

    /// U3: logging out here says nothing to Therap Services, and the next click works.
    async fn after_a_logout_the_next_click_works(engine: Engine) {
        let idp = Idp::start(engine).await;
        let amina = idp.user("amina").create().await;
        let mut browser = idp.browser();
        for _ in 0..2 {
            browser.hand_off(&idp.therap_services().sign(&amina)).await;
            browser.assert_signed_in_as(&amina).await;
            browser.post("/logout", &[]).await;
            browser.assert_signed_out().await;
        }
        idp.assert_activity(["sign_in success", "logout success", "sign_in success", "logout success"]).await;
    }

    /// U7: a session that nobody has used does not begin after the deadline, however its second step is repeated.
    async fn a_second_step_repeated_too_late_ends_what_nobody_used(engine: Engine) {
        let idp = Idp::start(engine).await;
        let amina = idp.user("amina").create().await;
        let mut browser = idp.browser();
        let first = browser.click(&idp.therap_services().sign(&amina)).await;
        let mut lost = browser.clone();
        assert_eq!(lost.complete(&first).await.location(), "/");
        idp.advance(Duration::from_secs(30));
        let late = browser.complete(&first).await;
        late.assert_handoff_refused(LATE);
        lost.assert_signed_out().await;
        assert_eq!(idp.sessions(&amina).await, 0);
        idp.assert_activity(["sign_in success", "sign_in refused timed_out"]).await;
        idp.assert_invariants().await;
    }

    /// A replica whose clock is known to be wrong takes no handoff: by it the 30 seconds would be longer or shorter.
    async fn a_replica_with_a_wrong_clock_takes_no_handoff(engine: Engine) {
        let idp = Idp::start(engine).await;
        let amina = idp.user("amina").create().await;
        let assertion = idp.therap_services().sign(&amina);
        idp.app.find_clock_wrong(true);
        let refused = idp.browser().click(&assertion).await;
        refused.assert_page(503, "You could not be signed in just now. Please try again from Therap Services.");
        idp.app.find_clock_wrong(false);
        assert_eq!(idp.browser().hand_off(&assertion).await.status, 200);
        idp.assert_activity(["sign_in success"]).await;
    }

    /// docs/handoff.md: a repeat of the second step sets the same cookie while the session lives, and else none.
    async fn the_second_step_may_be_repeated(engine: Engine) {
        let idp = Idp::start(engine).await;
        let amina = idp.user("amina").create().await;
        let mut browser = idp.browser();
        let first = browser.click(&idp.therap_services().assertion(&amina).claim("target", "/activity").sign()).await;
        assert_eq!(browser.complete(&first).await.location(), "/activity");
        let session = browser.session().unwrap();
        // The answer was lost on the way; on another replica it is the same.
        browser.cookies.remove("__Host-connect-session");
        let mut browser = browser.at(&idp.replica(|_| {}).await);
        assert_eq!(browser.complete(&first).await.location(), "/");
        assert_eq!(browser.session().unwrap(), session);
        browser.assert_signed_in_as(&amina).await;
        // Still the same long after the 30 seconds.
        idp.advance(Duration::from_mins(9));
        assert_eq!(browser.complete(&first).await.location(), "/");
        browser.assert_signed_in_as(&amina).await;
        // Not by a stranger: without the cookie, or with somebody else's.
        let mut thief = idp.browser();
        thief.complete(&first).await.assert_handoff_refused(INVALID);
        let (name, _) = handle(&browser).unwrap();
        thief.cookies.insert(name, Secret::random(&idp.app.random).reveal());
        thief.complete(&first).await.assert_handoff_refused(INVALID);
        thief.get("/unified-login/complete").await.assert_handoff_refused(INVALID);
        thief.get("/unified-login/complete?h=x").await.assert_handoff_refused(INVALID);
        // After a logout it brings nothing back, nor after a renewal.
        browser.post("/logout", &[]).await;
        let again = browser.complete(&first).await;
        assert_eq!(again.location(), "/");
        assert_session_untouched(&again);
        browser.assert_signed_out().await;
        browser.sign_in(&amina).await;
        assert_session_untouched(&browser.complete(&first).await);
        browser.assert_signed_in_as(&amina).await;
        idp.assert_activity(["sign_in success", "logout success", "sign_in success"]).await;
    }

    /// U8: what nobody completes is one recorded failure, however often it is swept.
    async fn a_handoff_that_nobody_completes_fails_once(engine: Engine) {
        let idp = Idp::start(engine).await;
        let amina = idp.user("amina").create().await;
        let mut browser = idp.browser();
        let first = browser.click(&idp.therap_services().sign(&amina)).await;
        idp.advance(just_before(30));
        jobs::sweep(&idp.app).await.unwrap();
        idp.assert_activity([]).await;
        idp.advance(Duration::from_secs(1));
        for _ in 0..3 {
            jobs::sweep(&idp.app).await.unwrap();
        }
        browser.complete(&first).await.assert_handoff_refused(LATE);
        let [record] = idp.activity().await.try_into().unwrap();
        assert_eq!(crate::actors::line(&record), "sign_in refused timed_out");
        assert_eq!((record.user_id.as_deref(), record.address.as_deref()), (Some(amina.id.as_str()), Some("192.0.2.7")));
        assert_eq!(record.handoff_id.as_deref(), first.location().rsplit_once('=').map(|(_, id)| id));
        idp.assert_invariants().await;
    }

    /// U8: late at the second step, without a sweep, is recorded by that step, and the sweep adds nothing.
    async fn a_late_second_step_is_recorded_once(engine: Engine) {
        let idp = Idp::start(engine).await;
        let amina = idp.user("amina").create().await;
        let mut browser = idp.browser();
        let first = browser.click(&idp.therap_services().sign(&amina)).await;
        idp.advance(Duration::from_secs(30));
        browser.complete(&first).await.assert_handoff_refused(LATE);
        jobs::sweep(&idp.app).await.unwrap();
        idp.assert_activity(["sign_in refused timed_out"]).await;
    }

    /// U8: a session that nobody was given is ended after five minutes, with a record that follows its success.
    async fn a_session_that_nobody_was_given_is_ended(engine: Engine) {
        let idp = Idp::start(engine).await;
        let amina = idp.user("amina").create().await;
        let (mut lost, mut used) = (idp.browser(), idp.browser());
        for browser in [&mut lost, &mut used] {
            let first = browser.click(&idp.therap_services().sign(&amina)).await;
            assert_eq!(browser.complete(&first).await.location(), "/");
        }
        used.assert_signed_in_as(&amina).await;
        idp.advance(just_before(300));
        jobs::sweep(&idp.app).await.unwrap();
        assert_eq!(idp.sessions(&amina).await, 2);
        idp.advance(Duration::from_secs(1));
        // Over even before the sweep comes.
        lost.assert_signed_out().await;
        for _ in 0..2 {
            jobs::sweep(&idp.app).await.unwrap();
        }
        lost.assert_signed_out().await;
        used.assert_signed_in_as(&amina).await;
        let records = idp.activity().await;
        assert_eq!(records.len(), 3);
        let newest = records.last().unwrap();
        assert_eq!(crate::actors::line(newest), "sign_in refused timed_out");
        assert!(records[..2].iter().any(|r| r.handoff_id == newest.handoff_id && r.outcome.as_str() == "success"));
        idp.assert_invariants().await;
    }

    /// docs/handoff.md: `target` is a path on this site; anything else is the Dashboard.
    async fn a_target_is_a_path_on_this_site_or_nothing(engine: Engine) {
        let idp = Idp::start(engine).await;
        let amina = idp.user("amina").create().await;
        for (target, wanted) in [
            ("/activity", "/activity"),
            ("/sessions?x=1", "/sessions?x=1"),
            ("https://evil.example/", "/"),
            ("//evil.example/", "/"),
            ("/\\evil.example", "/"),
            ("", "/"),
            ("/logout", "/"),
            ("no-such-client", "/"),
        ] {
            let mut browser = idp.browser();
            let first = browser.click(&idp.therap_services().assertion(&amina).claim("target", target).sign()).await;
            assert_eq!(browser.complete(&first).await.location(), wanted, "{target}");
            browser.assert_signed_in_as(&amina).await;
        }
    }

    /// R2: `acr` by the issuer's mapping, `amr` and `auth_time` as the assertion says.
    async fn acr_amr_and_auth_time_reach_the_session(engine: Engine) {
        let idp = Idp::start(engine).await;
        let amina = idp.user("amina").create().await;
        let now = idp.now().seconds();
        let plain = idp.therap_services().assertion(&amina);
        let full = plain.clone().claim("acr", "urn:therap:mfa").claim("amr", json!(["pwd", "otp"])).claim("auth_time", now - 3600);
        let unmapped = plain.clone().claim("acr", "urn:therap:other").claim("amr", json!([]));
        for (assertion, wanted) in [
            (plain, ("urn:therap-connect:acr:handoff", "none", now)),
            (full, ("urn:example:mfa", "[\"pwd\",\"otp\"]", now - 3600)),
            (unmapped, ("urn:therap-connect:acr:handoff", "[]", now)),
        ] {
            let jti = connect_idp::crypto::secret::digest(assertion.sign());
            idp.browser().hand_off(&assertion.claim("jti", jti).sign()).await;
            let mut outsider = idp.outsider().await;
            let last = "FROM sessions ORDER BY created_at DESC LIMIT 1";
            let acr = outsider.text(&format!("SELECT acr {last}")).await;
            let amr = outsider.text(&format!("SELECT COALESCE(amr, 'none') {last}")).await;
            let auth_time = outsider.number(&format!("SELECT auth_time {last}")).await;
            assert_eq!((acr.as_str(), amr.as_str(), auth_time), (wanted.0, wanted.1, wanted.2 * 1000));
            idp.advance(Duration::from_secs(1));
        }
        idp.browser().sign_in(&amina).await;
        let mut outsider = idp.outsider().await;
        let last = "FROM sessions ORDER BY created_at DESC LIMIT 1";
        assert_eq!(outsider.text(&format!("SELECT acr {last}")).await, "urn:therap-connect:acr:password");
        assert_eq!(outsider.text(&format!("SELECT amr {last}")).await, "[\"pwd\"]");
    }

    /// G9: what changes between the two steps counts, and is recorded once.
    async fn what_changes_between_the_steps_counts(engine: Engine) {
        let idp = Idp::start(engine).await;
        for (change, message, reason) in [
            ("admin lock", LOCKED, "admin_locked"),
            ("password lock", LOCKED, "password_locked"),
            ("lock and unlock", INVALID, "changed_meanwhile"),
            ("deactivate", INVALID, "deactivated_user"),
            ("reset", INVALID, "changed_meanwhile"),
            ("unified login off", INVALID, "unified_login_off"),
            ("provider off", INVALID, "inactive_provider"),
            ("issuer off", INVALID, "changed_meanwhile"),
        ] {
            let code = change.to_uppercase().replace(' ', "-");
            idp.provider(&code, |_| {}).await;
            let user = idp.user("u").of(&code).create().await;
            let mut browser = idp.browser();
            let first = browser.click(&idp.therap_services().sign(&user)).await;
            match change {
                "admin lock" => idp.lock(&user).await,
                "password lock" => {
                    for _ in 0..3 {
                        idp.browser().log_in(&user, "Wrong-Horse-9").await;
                    }
                }
                "lock and unlock" => {
                    idp.lock(&user).await;
                    idp.unlock(&user).await;
                }
                "deactivate" => idp.set_active(&user, false).await,
                "reset" => idp.reset_password(&user, "Another-Horse-10").await,
                "unified login off" => {
                    let act = idp.act();
                    let off = operations::providers::set_unified_login(&act, &user.provider_id, UnifiedLogin::Off).await;
                    assert_eq!(off.unwrap(), Switched::Done);
                }
                "provider off" => idp.set_provider_active(&user.provider_id, false).await,
                "issuer off" => {
                    let off = operations::issuers::disable(&idp.act(), ISSUER, false).await.unwrap();
                    assert_eq!(off, Switched::Done);
                }
                other => panic!("{other}"),
            }
            let second = browser.complete(&first).await;
            second.assert_handoff_refused(message);
            assert_eq!(handle(&browser), None);
            // A repeat says no other thing.
            let repeat = browser.complete(&first).await;
            repeat.assert_handoff_refused(INVALID);
            assert_eq!(idp.sessions(&user).await, 0, "{change}");
            let records = idp.activity().await;
            let of_handoff: Vec<_> = records.iter().filter(|r| r.handoff_id.is_some() && r.user_id.as_deref() == Some(&user.id)).collect();
            assert_eq!(of_handoff.len(), 1, "{change}");
            assert_eq!(of_handoff[0].reason.as_deref(), Some(reason), "{change}");
        }
        idp.advance(Duration::from_mins(1));
        let before = idp.activity().await.len();
        jobs::sweep(&idp.app).await.unwrap();
        assert_eq!(idp.activity().await.len(), before);
        idp.assert_invariants().await;
    }

    /// U13: an issuer is switched off and on at once, on every replica, and its sessions end only when asked to.
    async fn an_issuer_is_switched_off_at_once(engine: Engine) {
        let idp = Idp::start(engine).await;
        let replica = idp.replica(|_| {}).await;
        let amina = idp.user("amina").create().await;
        let mut browser = replica.browser();
        browser.hand_off(&idp.therap_services().sign(&amina)).await;
        browser.assert_signed_in_as(&amina).await;
        let mut direct = replica.browser();
        direct.sign_in(&amina).await;
        operations::issuers::disable(&idp.act(), ISSUER, false).await.unwrap();
        let assertion = idp.therap_services().sign(&amina);
        replica.browser().hand_off(&assertion).await.assert_handoff_refused(INVALID);
        assert_eq!(counted(&replica)["issuer_disabled"], 1);
        browser.assert_signed_in_as(&amina).await;
        operations::issuers::enable(&idp.act(), ISSUER).await.unwrap();
        idp.browser().hand_off(&assertion).await;
        // The other replica looks again when its snapshot is a second old.
        idp.advance(Duration::from_secs(1));
        let mut other = replica.browser();
        other.hand_off(&idp.therap_services().sign(&amina)).await;
        other.assert_signed_in_as(&amina).await;
        operations::issuers::end_sessions(&idp.act(), ISSUER).await.unwrap();
        browser.assert_signed_out().await;
        other.assert_signed_out().await;
        direct.assert_signed_in_as(&amina).await;
        let mut after = replica.browser();
        after.hand_off(&idp.therap_services().sign(&amina)).await;
        after.assert_signed_in_as(&amina).await;
    }

    /// G2: an issuer that sent as much as can be remembered is told to wait; nothing is spent or forgotten.
    async fn a_full_memory_of_an_issuer_is_a_busy_page(engine: Engine) {
        let idp = Idp::start(engine).await;
        let amina = idp.user("amina").create().await;
        let id = idp.outsider().await.text(&format!("SELECT id FROM issuers WHERE issuer = '{ISSUER}'")).await;
        idp.app.issuers.set_full([id].into());
        let (mut browser, assertion) = (idp.browser(), idp.therap_services().sign(&amina));
        let answer = browser.hand_off(&assertion).await;
        answer.assert_page(503, "You could not be signed in just now. Please try again from Therap Services.");
        assert!(answer.has("main a[href='https://secure.therapservices.net/']"));
        idp.assert_activity([]).await;
        idp.app.issuers.set_full([].into());
        browser.hand_off(&assertion).await;
        browser.assert_signed_in_as(&amina).await;
    }

    /// U13: replaced keys are dead at once, on every replica.
    async fn replaced_keys_are_dead_at_once(engine: Engine) {
        let idp = Idp::start(engine).await;
        let replica = idp.replica(|_| {}).await;
        let amina = idp.user("amina").create().await;
        replica.browser().hand_off(&idp.therap_services().sign(&amina)).await;
        let draft = operations::issuers::Draft { jwks: Some(public_jwks(&["eddsa"])), ..Default::default() };
        operations::issuers::set(&idp.act(), ISSUER, &draft).await.unwrap();
        replica.browser().hand_off(&idp.therap_services().sign(&amina)).await.assert_handoff_refused(INVALID);
        assert_eq!(counted(&replica)["unknown_kid"], 1);
        let mut browser = replica.browser();
        browser.hand_off(&idp.therap_services().under(ISSUER, "eddsa").sign(&amina)).await;
        browser.assert_signed_in_as(&amina).await;
    }

    /// An origin that was registered a moment ago is known on every replica within a second.
    async fn a_new_origin_is_known_within_a_second(engine: Engine) {
        let idp = Idp::start(engine).await;
        let replica = idp.replica(|_| {}).await;
        let amina = idp.user("amina").create().await;
        replica.browser().hand_off(&idp.therap_services().sign(&amina)).await;
        let origins = Some(vec![ISSUER.to_owned(), "https://www.example.net".to_owned()]);
        let draft = operations::issuers::Draft { origins, ..Default::default() };
        operations::issuers::set(&idp.act(), ISSUER, &draft).await.unwrap();
        idp.advance(Duration::from_secs(1));
        let mut browser = replica.browser();
        let first = browser.click_from("https://www.example.net", &idp.therap_services().sign(&amina)).await;
        browser.complete(&first).await;
        browser.assert_signed_in_as(&amina).await;
    }

    /// U13: keys at an address: fetched when needed, at most once a minute for a `kid` that nobody knows, and the last
    /// good ones are kept.
    async fn published_keys_are_fetched_and_the_last_good_ones_kept(engine: Engine) {
        let keys = KeyServer::start(&public_jwks(&["es256"])).await;
        let idp = Idp::start_with(engine, |config| config.site = Site::Beta).await;
        let issuer = "https://fetched.example.net";
        let address = keys.address.clone();
        idp.trust(issuer, |i| (i.jwks, i.jwks_uri) = (None, Some(address))).await;
        let amina = idp.user("amina").create().await;
        let by = |kid: &str| idp.therap_services().under(issuer, kid).sign(&amina);
        assert!(accepted(&idp, issuer, &by("es256")).await);
        assert!(accepted(&idp, issuer, &by("es256")).await);
        assert_eq!(keys.asked(), 1);
        // A new key is fetched, but not sooner than a minute after the last time, whoever asks how often.
        keys.answer(200, &public_jwks(&["es256", "rs256"]));
        idp.advance(Duration::from_secs(59));
        for _ in 0..5 {
            assert!(!accepted(&idp, issuer, &by("rs256")).await);
        }
        assert_eq!(keys.asked(), 1);
        idp.advance(Duration::from_secs(1));
        assert!(accepted(&idp, issuer, &by("rs256")).await);
        assert_eq!(keys.asked(), 2);
        // What is broken, empty, private or gone replaces nothing.
        for (status, text) in [(200, "{\"keys\":[]}".to_owned()), (200, "{".into()), (500, String::new()), (302, String::new()), (200, "x".repeat(70_000))] {
            keys.answer(status, &text);
            idp.advance(Duration::from_mins(1));
            let before = keys.asked();
            assert!(!accepted(&idp, issuer, &by("ps256")).await);
            assert_eq!(keys.asked(), before + 1);
            assert!(accepted(&idp, issuer, &by("rs256")).await);
        }
        // A restart while the address is dead starts from the last good ones.
        let restarted = idp.replica(|_| {}).await;
        assert!(accepted(&restarted, issuer, &by("es256")).await);
        // A key that is taken out is gone with the next fetch.
        keys.answer(200, &public_jwks(&["ps256"]));
        idp.advance(Duration::from_mins(1));
        assert!(accepted(&idp, issuer, &by("ps256")).await);
        assert!(!accepted(&idp, issuer, &by("es256")).await);
    }

    /// `explain` says what the service would say, and spends nothing.
    async fn explain_agrees_with_the_service(engine: Engine) {
        let idp = Idp::start(engine).await;
        let amina = idp.user("amina").create().await;
        let locked = idp.user("locked").admin_locked().create().await;
        let explain = async |assertion: &str| explain::explain(&idp.app, assertion, None, Reader::Operator).await.unwrap();
        let good = idp.therap_services().sign(&amina);
        for _ in 0..2 {
            assert!(explain(&good).await.refused.is_none());
        }
        idp.browser().hand_off(&good).await;
        for (assertion, wanted) in [
            (good, "replayed"),
            (idp.therap_services().sign(&locked), "admin_locked"),
            (idp.therap_services().sign(&User::nobody("x", "SUNRISE-IL")), "unknown_user"),
            (idp.therap_services().assertion(&amina).claim("aud", "x").sign(), "wrong_aud"),
            (idp.therap_services().assertion(&amina).minted(-30).sign(), "timed_out"),
            ("x".into(), "not_compact_jws"),
        ] {
            let explanation = explain(&assertion).await;
            assert_eq!(explanation.refused.map(Refusal::as_str), Some(wanted));
            let wrong = explanation.checks.iter().find_map(|step| match step.outcome {
                Outcome::Wrong(refusal) => Some(refusal),
                Outcome::Good | Outcome::Skipped => None,
            });
            assert_eq!(wrong.map(Refusal::as_str), Some(wanted));
        }
    }

    /// What is over is forgotten, and what must be remembered is not (G2).
    async fn the_purge_forgets_what_is_over_alone(engine: Engine) {
        let idp = Idp::start(engine).await;
        let amina = idp.user("amina").create().await;
        let mut browser = idp.browser();
        let assertion = idp.therap_services().sign(&amina);
        browser.hand_off(&assertion).await;
        browser.assert_signed_in_as(&amina).await;
        idp.browser().log_in(&User::nobody("x", "y"), "z").await;
        let rows = async |table: &str| idp.number(&format!("SELECT COUNT(*) FROM {table}")).await;
        idp.advance(just_before(24 * 3600));
        jobs::purge(&idp.app).await.unwrap();
        assert_eq!([rows("single_use").await, rows("handoffs").await, rows("sessions").await, rows("strikes").await], [1, 1, 1, 2]);
        idp.assert_invariants().await;
        idp.advance(Duration::from_secs(1));
        jobs::purge(&idp.app).await.unwrap();
        assert_eq!([rows("single_use").await, rows("handoffs").await, rows("sessions").await, rows("strikes").await], [0, 0, 1, 1]);
        idp.advance(Duration::from_hours(48));
        jobs::purge(&idp.app).await.unwrap();
        assert_eq!((rows("sessions").await, rows("activity").await), (0, 2));
    }
}

/// Whether a click from an issuer's page signs somebody in.
async fn accepted(idp: &Idp, issuer: &str, assertion: &str) -> bool {
    let mut browser = idp.browser();
    let first = browser.click_from(issuer, assertion).await;
    if first.status == 303 {
        browser.complete(&first).await;
    }
    browser.who().await.is_some()
}

/// Where an issuer publishes its keys.
struct KeyServer {
    address: String,
    says: Arc<Mutex<(u16, String)>>,
    asked: Arc<AtomicUsize>,
}

impl KeyServer {
    async fn start(jwks: &str) -> Self {
        let says = Arc::new(Mutex::new((200, jwks.to_owned())));
        let asked = Arc::new(AtomicUsize::new(0));
        let (answers, count) = (Arc::clone(&says), Arc::clone(&asked));
        let routes = axum::Router::new().route(
            "/keys",
            axum::routing::get(async move || {
                count.fetch_add(1, Ordering::SeqCst);
                let (status, text) = answers.lock().unwrap().clone();
                (axum::http::StatusCode::from_u16(status).unwrap(), [("location", "/keys")], text)
            }),
        );
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}/keys", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, routes).await });
        Self { address, says, asked }
    }

    fn answer(&self, status: u16, text: &str) {
        *self.says.lock().unwrap() = (status, text.to_owned());
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }
}
