//! `handoff explain`: what is said to the people who build the sending side.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE, URL_SAFE_NO_PAD};
use connect_idp::config::Site;
use connect_idp::handoff::explain::{Explanation, Reader, explain};
use connect_idp::handoff::trail::Outcome;
use connect_idp::model::provider::UnifiedLogin;
use connect_idp::model::refusal::Refusal;
use connect_idp::time::Timestamp;
use serde_json::{Value, json};

use crate::actors::{ISSUER, Idp, User, public_jwks};
use crate::operations::clients::keys::Publisher;

/// The steps of an explanation as `name: detail` lines, by how they stood.
struct Read {
    wrong: Vec<String>,
    skipped: Vec<&'static str>,
    good: Vec<&'static str>,
}

fn read(explanation: &Explanation) -> Read {
    let mut read = Read { wrong: Vec::new(), skipped: Vec::new(), good: Vec::new() };
    for step in &explanation.checks {
        match step.outcome {
            Outcome::Good => read.good.push(step.name),
            Outcome::Wrong(refusal) => read.wrong.push(format!("{} {refusal} {}", step.name, step.detail)),
            Outcome::Skipped => read.skipped.push(step.name),
        }
    }
    read
}

async fn explained(idp: &Idp, assertion: &str) -> Read {
    read(&explain(&idp.app, assertion, None, Reader::Operator).await.unwrap())
}

/// One wrong step, whose line holds all these words.
async fn assert_one_wrong(idp: &Idp, assertion: &str, words: &[&str]) {
    let read = explained(idp, assertion).await;
    let [wrong] = read.wrong.as_slice() else { panic!("{words:?}: {:?}", read.wrong) };
    for word in words {
        assert!(wrong.contains(word), "{word}: {wrong}");
    }
}

/// The DER of two numbers of 32 bytes.
fn der(raw: &[u8]) -> Vec<u8> {
    let integer = |digits: &[u8]| {
        let zeros = digits.iter().take_while(|byte| **byte == 0).count();
        let mut digits = digits[zeros..].to_vec();
        if digits[0] >= 0x80 {
            digits.insert(0, 0);
        }
        [vec![2, u8::try_from(digits.len()).unwrap()], digits].concat()
    };
    let both = [integer(&raw[..32]), integer(&raw[32..])].concat();
    [vec![0x30, u8::try_from(both.len()).unwrap()], both].concat()
}

both_engines! {
    /// It goes on after the first fault: whoever mends one learns of the next at once.
    async fn every_check_is_made_whatever_was_wrong_before(engine: Engine) {
        let idp = Idp::start(engine).await;
        let locked = idp.user("locked").admin_locked().create().await;
        let assertion = idp.therap_services().assertion(&locked).header("typ", "JWT").header("cty", "JWT").claim("aud", "x")
            .claim("amr", "pwd").without("jti").minted(-40).sign();
        let explanation = explain(&idp.app, &assertion, None, Reader::Operator).await.unwrap();
        assert_eq!(explanation.refused, Some(Refusal::HeaderMemberNotAllowed));
        let read = read(&explanation);
        let wrong: Vec<_> = read.wrong.iter().map(|line| line.split(' ').next().unwrap()).collect();
        assert_eq!(wrong, ["header", "header", "aud", "jti", "amr", "in", "user"], "{:?}", read.wrong);
        assert!(read.wrong[6].starts_with("user not locked admin_locked"), "{:?}", read.wrong);
        assert_eq!(read.skipped, ["jti unused"]);
        let good = explain(&idp.app, &idp.therap_services().sign(&idp.user("amina").create().await), None, Reader::Operator).await.unwrap();
        assert_eq!(good.checks.len(), explanation.checks.len(), "the same checks, however they stand");
        for nothing in ["", "x", "a.b.c", "{}", "\n", "..", &"x".repeat(60_000)] {
            let read = explained(&idp, nothing).await;
            assert_eq!(read.wrong.len() + read.skipped.len() + read.good.len(), good.checks.len(), "{nothing:.10}");
        }
        // Of the provider and the user, each alone.
        idp.provider("CEDAR-OR", |p| (p.unified_login, p.active) = (UnifiedLogin::Off, false)).await;
        let gone = User::nobody("gone", "CEDAR-OR");
        let read = explained(&idp, &idp.therap_services().sign(&gone)).await;
        let wrong: Vec<_> = read.wrong.iter().map(|line| line.split(' ').take(2).collect::<Vec<_>>().join(" ")).collect();
        assert_eq!(wrong, ["provider active", "Unified Login", "user exists"]);
        assert_eq!(read.skipped, ["user may arrive by handoff", "sub fits the user", "user not locked"]);
    }

    /// What was pasted a minute later is checked to its end, and at its own time it is what it was.
    async fn an_old_assertion_is_checked_at_its_own_time(engine: Engine) {
        let idp = Idp::start(engine).await;
        let amina = idp.user("amina").create().await;
        let assertion = idp.therap_services().sign(&amina);
        let minted = idp.now();
        idp.advance(Duration::from_mins(10));
        let late = explain(&idp.app, &assertion, None, Reader::Operator).await.unwrap();
        assert_eq!(late.refused, Some(Refusal::TimedOut));
        assert_eq!(late.at_its_time.map(Timestamp::seconds), Some(minted.seconds()));
        let read = read(&late);
        assert!(read.wrong[0].contains("late by 570.0 seconds") && read.good.contains(&"user not locked"), "{:?}", read.wrong);
        let then = explain(&idp.app, &assertion, late.at_its_time, Reader::Operator).await.unwrap();
        assert_eq!(then.refused, None);
        let both = idp.therap_services().assertion(&User::nobody("x", "SUNRISE-IL")).minted(-60).sign();
        let both = explain(&idp.app, &both, None, Reader::Operator).await.unwrap();
        assert_eq!((both.refused, both.at_its_time), (Some(Refusal::TimedOut), None), "more is wrong than the time");
    }

    /// The habits of libraries are recognised, and named with their cure.
    async fn what_libraries_do_is_recognised(engine: Engine) {
        let idp = Idp::start(engine).await;
        let amina = idp.user("amina").create().await;
        let good = || idp.therap_services().assertion(&amina);
        let signed = good().sign();
        let (input, signature) = signed.rsplit_once('.').unwrap();
        let raw = URL_SAFE_NO_PAD.decode(signature).unwrap();
        let as_der = format!("{input}.{}", URL_SAFE_NO_PAD.encode(der(&raw)));
        assert_one_wrong(&idp, &as_der, &["signature bad_signature", "DER", "P1363", "right otherwise"]).await;
        let foreign = good().signed_by("other").sign();
        let (input, signature) = foreign.rsplit_once('.').unwrap();
        let foreign_der = format!("{input}.{}", URL_SAFE_NO_PAD.encode(der(&URL_SAFE_NO_PAD.decode(signature).unwrap())));
        assert_one_wrong(&idp, &foreign_der, &["DER", "not made with key"]).await;
        assert_one_wrong(&idp, &foreign, &["another private key"]).await;
        assert_one_wrong(&idp, &format!("{signed}=="), &["form not_canonical_base64url", "padding"]).await;
        assert_one_wrong(&idp, &format!("{} {}", &signed[..20], &signed[20..]), &["form", "white space"]).await;
        let recode = |part: &str, how: &base64::engine::GeneralPurpose| how.encode(URL_SAFE_NO_PAD.decode(part).unwrap());
        let parts: Vec<&str> = signed.split('.').collect();
        let padded = parts.iter().map(|part| recode(part, &URL_SAFE)).collect::<Vec<_>>().join(".");
        let standard = parts.iter().map(|part| recode(part, &STANDARD)).collect::<Vec<_>>().join(".");
        for sent in [padded, standard] {
            if sent != signed {
                assert_one_wrong(&idp, &sent, &["form not_canonical_base64url"]).await;
            }
        }
        let wrong_kid = good().signed_by("rs256").header("alg", "RS256").sign();
        let read = explained(&idp, &wrong_kid).await;
        assert!(read.wrong[0].starts_with("alg of the key alg_does_not_fit_key \"RS256\", must be \"ES256\""), "{:?}", read.wrong);
        assert_eq!(read.skipped, ["signature"]);
    }

    /// A claim that breaks a rule is shown beside the rule.
    async fn a_broken_rule_is_told(engine: Engine) {
        let idp = Idp::start(engine).await;
        let amina = idp.user("amina").create().await;
        let good = || idp.therap_services().assertion(&amina);
        let (iat, aud) = (good().claims["iat"].as_i64().unwrap(), idp.app.config.issuer.clone());
        for (name, value, words) in [
            ("sub", json!(""), &["claim_malformed", "must be a text of 1 to 255"][..]),
            ("sub", json!(4711), &["write it in quotes"]),
            ("login_name", Value::Null, &["claim_malformed", "null is no value"]),
            ("jti", json!("short"), &["5 characters", "must be a text of 22 to 128"]),
            ("auth_time", json!(1.5), &["must be whole seconds", "round it down"]),
            ("auth_time", json!(iat.to_string()), &["must be whole seconds", "without quotes"]),
            ("amr", json!("pwd"), &["must be an array of texts"]),
            ("target", json!(1), &["must be a text"]),
            ("aud", json!(format!("{aud}/")), &["wrong_aud", "slash at the end"]),
            ("aud", json!([aud, "x"]), &["wrong_aud", "alone"]),
            ("aud", Value::Null, &["wrong_aud", "must be"]),
        ] {
            assert_one_wrong(&idp, &good().claim(name, value).sign(), words).await;
        }
        let missing = explained(&idp, &good().without("sub").sign()).await;
        assert!(missing.wrong[0].starts_with("sub claim_missing absent, must be a text"), "{:?}", missing.wrong);
        assert_eq!(missing.skipped, ["sub fits the user"]);
        let millis = explained(&idp, &good().claim("iat", iat * 1000).claim("exp", (iat + 30) * 1000).sign()).await;
        assert!(millis.wrong.iter().take(2).all(|line| line.contains("milliseconds?")), "{:?}", millis.wrong);
        let slash = explained(&idp, &good().claim("iss", format!("{ISSUER}/")).sign()).await;
        assert!(slash.wrong[0].contains(&format!("must be one of \"{ISSUER}\": probably \"{ISSUER}\" is meant")), "{:?}", slash.wrong);
        let kid = explained(&idp, &good().header("kid", "ES256").sign()).await;
        assert!(kid.wrong[0].contains("must be one of \"eddsa\" (EdDSA), \"es256\" (ES256)") && kid.wrong[0].contains("probably \"es256\""), "{:?}", kid.wrong);
        assert_eq!(kid.skipped, ["alg of the key", "signature"]);
    }

    /// What Java, C# and PHP write is taken, in the POST and here alike.
    async fn what_serializers_write_is_taken(engine: Engine) {
        let idp = Idp::start(engine).await;
        let amina = idp.user("amina").create().await;
        let whole = idp.therap_services().assertion(&amina);
        let (iat, exp) = (whole.claims["iat"].as_i64().unwrap(), whole.claims["exp"].as_i64().unwrap());
        let mantissa = |seconds: i64| format!("{}.{:09}E9", seconds / 1_000_000_000, seconds % 1_000_000_000);
        for (iat_text, exp_text) in [(format!("{iat}.0"), format!("{exp}.00")), (mantissa(iat), mantissa(exp))] {
            let claims = whole.clone().claim("jti", format!("{iat_text:0>30}").replace('.', "_")).claim("auth_time", Value::Null)
                .claim("amr", Value::Null).claim("acr", Value::Null).claim("target", Value::Null).claim("nbf", Value::Null);
            let text = Value::from(claims.claims.clone()).to_string()
                .replace(&format!("\"iat\":{iat}"), &format!("\"iat\":{iat_text}"))
                .replace(&format!("\"exp\":{exp}"), &format!("\"exp\":{exp_text}"));
            let assertion = claims.raw_claims(text.clone()).sign();
            assert_eq!(explain(&idp.app, &assertion, None, Reader::Operator).await.unwrap().refused, None, "{text}");
            let mut browser = idp.browser();
            browser.hand_off(&assertion).await;
            browser.assert_signed_in_as(&amina).await;
        }
        for fraction in [format!("{iat}.5"), format!("\"{iat}\""), "1e300".into()] {
            let text = Value::from(whole.claims.clone()).to_string().replace(&format!("\"iat\":{iat}"), &format!("\"iat\":{fraction}"));
            let assertion = whole.clone().raw_claims(text).sign();
            assert_eq!(explain(&idp.app, &assertion, None, Reader::Operator).await.unwrap().refused, Some(Refusal::ClaimMalformed), "{fraction}");
            idp.browser().hand_off(&assertion).await.assert_handoff_refused("Invalid Credential");
        }
    }

    /// The keys of the issuer that is named are fetched, and no others.
    async fn only_the_named_issuers_keys_are_fetched(engine: Engine) {
        let (named, other) = (Publisher::start().await, Publisher::start().await);
        named.says(axum::http::StatusCode::OK, &public_jwks(&["es256"]));
        let idp = Idp::start_with(engine, |config| config.site = Site::Beta).await;
        let amina = idp.user("amina").create().await;
        for (issuer, publisher) in [("https://named.example.net", &named), ("https://other.example.net", &other)] {
            let address = publisher.address.clone();
            idp.trust(issuer, |i| (i.jwks, i.jwks_uri) = (None, Some(address))).await;
        }
        let assertion = idp.therap_services().under("https://named.example.net", "es256").sign(&amina);
        assert_eq!(explain(&idp.app, &assertion, None, Reader::Operator).await.unwrap().refused, None);
        assert_eq!((named.asked(), other.asked()), (1, 0));
        explain(&idp.app, &idp.therap_services().assertion(&amina).claim("iss", "https://nobody.example").sign(), None, Reader::Operator).await.unwrap();
        assert_eq!((named.asked(), other.asked()), (1, 0));
    }
}
