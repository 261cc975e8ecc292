//! Sets as others publish them.

use std::sync::LazyLock;

use josekit::jwk::Jwk;
use josekit::jwk::alg::ec::EcCurve;
use josekit::jwk::alg::ecx::EcxCurve;
use josekit::jwk::alg::ed::EdCurve;
use josekit::jws::{ES256, EdDSA, JwsSigner, PS256, RS256};
use serde_json::json;

use super::*;
use crate::crypto::client_keys::ClientKeys;
use crate::crypto::jws::{Algorithm, Unverified};
use crate::time::Random;

fn public(key: &Jwk) -> Value {
    Value::Object(key.to_public_key().unwrap().as_ref().clone())
}

fn with(key: &Value, changes: Value) -> Value {
    let mut key = key.clone();
    key.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
    key.as_object_mut().unwrap().retain(|_, value| !value.is_null());
    key
}

fn set(keys: &[Value]) -> String {
    json!({ "keys": keys }).to_string()
}

/// Made once: RSA takes its time.
static EC: LazyLock<Value> = LazyLock::new(|| public(&Jwk::generate_ec_key(EcCurve::P256).unwrap()));
static RSA: LazyLock<Value> = LazyLock::new(|| public(&Jwk::generate_rsa_key(2048).unwrap()));
static ED: LazyLock<Value> = LazyLock::new(|| public(&Jwk::generate_ed_key(EdCurve::Ed25519).unwrap()));

fn ec(kid: &str) -> Value {
    with(&EC, json!({ "kid": kid }))
}

/// What stands beside the good keys in the sets of others; why each is passed over; and whether a client's is, too.
fn unusable() -> Vec<(Value, &'static str, bool)> {
    let (ec, rsa) = (ec("x"), with(&RSA, json!({"kid": "x", "alg": "PS256"})));
    let p384 = public(&Jwk::generate_ec_key(EcCurve::P384).unwrap());
    let x25519 = public(&Jwk::generate_ecx_key(EcxCurve::X25519).unwrap());
    let short = public(&Jwk::generate_rsa_key(1024).unwrap());
    vec![
        (json!({"kty": "AKP", "alg": "ML-DSA-65", "pub": "AAAA", "kid": "pq-1"}), "kind not accepted (AKP)", true),
        (with(&rsa, json!({"use": "enc", "alg": "RSA-OAEP"})), "not for signatures", true),
        (with(&ec, json!({"use": ["sig"]})), "not for signatures", true),
        (with(&p384, json!({"kid": "x"})), "kind not accepted (EC P-384)", true),
        (with(&x25519, json!({"kid": "x", "use": null})), "kind not accepted (OKP X25519)", true),
        (with(&RSA, json!({"kid": "x"})), "needs an \"alg\"", false),
        (with(&EC, json!({})), "has no \"kid\"", false),
        (with(&EC, json!({"kid": ""})), "has no \"kid\"", false),
        (with(&EC, json!({"kid": 5})), "\"kid\" that is not a text", true),
        (with(&EC, json!({"kid": "x".repeat(256)})), "\"kid\" that is not a text", true),
        (with(&ec, json!({"key_ops": ["sign"]})), "\"key_ops\"", true),
        (with(&ec, json!({"key_ops": "verify"})), "\"key_ops\"", true),
        (with(&rsa, json!({"alg": "RS512"})), "\"alg\" that is not", true),
        (with(&ec, json!({"alg": "HS256"})), "\"alg\" that is not", true),
        (with(&ec, json!({"alg": 7})), "\"alg\" that is not", true),
        (with(&rsa, json!({"alg": "ES256"})), "does not fit its \"kty\"", true),
        (with(&short, json!({"kid": "x", "alg": "RS256"})), "1024 bits", true),
        (with(&rsa, json!({"n": "A".repeat(10_924)})), "0 bits", true),
        (with(&rsa, json!({"n": "_".repeat(10_924)})), "65544 bits", true),
        (with(&rsa, json!({"e": "AQ"})), "exponent", true),
        (with(&rsa, json!({"e": "AAAAAQ"})), "exponent", true),
        (with(&rsa, json!({"e": "BA"})), "exponent", true),
        (with(&rsa, json!({"e": null})), "has no \"e\"", true),
        (with(&ec, json!({"x": null})), "has no \"x\"", true),
        (with(&ec, json!({"y": 1})), "has no \"y\"", true),
        (with(&ec, json!({"x": format!("{}=", ec["x"].as_str().unwrap())})), "has no \"x\" in base64url", true),
        (with(&ec, json!({"x": "++++"})), "has no \"x\" in base64url", true),
        (with(&ec, json!({"x": "AAAA"})), "not 32 bytes", true),
        (with(&ec, json!({"x": ec["y"], "y": ec["x"]})), "not usable", true),
        (with(&ED, json!({"kid": "x", "x": "AAAA"})), "not 32 bytes", true),
        (with(&ec, json!({"kty": null})), "kind not accepted", true),
        (with(&ec, json!({"kty": 5})), "kind not accepted", true),
        (json!("not a key"), "is not an object", true),
        (json!(null), "is not an object", true),
        (json!([]), "is not an object", true),
        (json!({}), "kind not accepted", true),
    ]
}

/// RFC 7517 §5, G37: each kind of unusable key is passed over beside a good one, and named.
#[test]
fn what_cannot_be_used_is_passed_over_and_named() {
    for (key, words, for_clients) in unusable() {
        for keys in [[ec("sig-1"), key.clone()], [key.clone(), ec("sig-1")]] {
            let read = VerifyingKeys::parse(&set(&keys)).unwrap_or_else(|why| panic!("{key}: {why}"));
            assert_eq!(read.names(), [("sig-1".to_owned(), "ES256")], "{key}");
            // A key without a kid has its number alone.
            let without_kid = words == "has no \"kid\"" || words.contains("kind not accepted");
            let [why] = read.skipped() else { panic!("{key}: {:?}", read.skipped()) };
            assert!(why.contains(words) || without_kid && why.contains("has no \"kid\""), "{key}: {why}");
            assert!(why.contains("number ") && why.len() < 300, "{why}");
            let clients = ClientKeys::parse(&set(&keys)).unwrap();
            assert_eq!(clients.skipped().len(), usize::from(for_clients), "{key}");
            assert!(clients.knows("sig-1"));
        }
        let alone = VerifyingKeys::parse(&set(std::slice::from_ref(&key)));
        assert!(alone.unwrap_err().contains("no key that can be used: key number 1"), "{key}");
        assert_eq!(ClientKeys::parse(&set(&[key])).unwrap().is_empty(), for_clients);
    }
    let named =
        VerifyingKeys::parse(&set(&[ec("sig-1"), json!({"kty": "AKP", "pub": "AA", "kid": "pq\u{7}-1"})])).unwrap();
    assert!(named.skipped()[0].starts_with("key number 2 (\"pq-1\") is of a kind"), "{:?}", named.skipped());
}

/// What stands beside a good key in its own members is ignored.
#[test]
fn other_members_of_a_key_are_ignored() {
    for beside in [
        json!({"x5c": ["not a certificate"], "x5t": 5, "x5u": "http://nowhere", "x5t#S256": null}),
        json!({"key_ops": ["verify", "verify", "encrypt"], "use": "sig", "alg": "ES256"}),
        json!({"ext": true, "nbf": "x", "exp": 1, "custom": {"deep": [1, 2]}, "revoked": {}}),
    ] {
        let keys = VerifyingKeys::parse(&set(&[with(&ec("a"), beside.clone())]))
            .unwrap_or_else(|why| panic!("{beside}: {why}"));
        assert!(keys.get("a").is_some() && keys.skipped().is_empty());
    }
    // Java's BigInteger writes a zero before the number.
    let n =
        base64::Engine::decode(&base64::engine::general_purpose::URL_SAFE_NO_PAD, RSA["n"].as_str().unwrap()).unwrap();
    let n = base64::Engine::encode(&base64::engine::general_purpose::URL_SAFE_NO_PAD, [&[0], n.as_slice()].concat());
    let keys = VerifyingKeys::parse(&set(&[with(&RSA, json!({"n": n, "kid": "a", "alg": "RS256"}))])).unwrap();
    assert!(keys.get("a").is_some());
    assert!(VerifyingKeys::parse(&format!("\u{feff}{}", set(&[ec("a")]))).is_ok());
    assert!(VerifyingKeys::parse(&json!({"keys": [ec("a")], "issuer": "x", "next": null}).to_string()).is_ok());
}

/// What would be dangerous, or is no set, is refused whatever stands beside it.
#[test]
fn secrets_and_what_is_no_set_are_refused_as_a_whole() {
    let good = ec("a");
    let private = Value::Object(Jwk::generate_ec_key(EcCurve::P256).unwrap().as_ref().clone());
    let twice = set(std::slice::from_ref(&good)).replace("\"kid\"", "\"kid\":\"b\",\"kid\"");
    for (jwks, words) in [
        (set(&[good.clone(), with(&private, json!({"kid": "b"}))]), "private member \"d\""),
        (set(&[good.clone(), private.clone()]), "private member \"d\""),
        (set(&[good.clone(), with(&private, json!({"kid": "b", "use": "enc"}))]), "private member \"d\""),
        (set(&[good.clone(), json!({"kty": "oct", "k": "AAAA"})]), "private member \"k\""),
        (set(&[good.clone(), json!({"kty": "AKP", "alg": "ML-DSA-65", "priv": "AAAA"})]), "private member \"priv\""),
        (set(&[good.clone(), json!({"kty": "RSA", "qi": null})]), "private member \"qi\""),
        (twice, "a member name is repeated"),
        ("{}".into(), "no array"),
        ("{\"keys\":{}}".into(), "no array"),
        ("{\"keys\":null}".into(), "no array"),
        ("{\"Keys\":[]}".into(), "no array"),
        ("[]".into(), "not a JSON object"),
        (String::new(), "not a JSON object"),
        ("<html>".into(), "not a JSON object"),
        (format!("{} x", set(std::slice::from_ref(&good))), "not a JSON object"),
        (set(&vec![good.clone(); MOST_KEYS + 1]), "more than 50 keys"),
        (format!("{}{}", set(std::slice::from_ref(&good)), " ".repeat(MOST_BYTES)), "longer than 65536 bytes"),
    ] {
        let (issuers, clients) = (VerifyingKeys::parse(&jwks), ClientKeys::parse(&jwks));
        assert!(issuers.as_ref().is_err_and(|why| why.contains(words) && why.len() < 300), "{words}: {issuers:?}");
        assert!(clients.as_ref().is_err_and(|why| why.contains(words)), "{words}: {clients:?}");
    }
    assert_eq!(VerifyingKeys::parse("{\"keys\":[]}").unwrap_err(), "the JWK Set holds no key");
    assert!(VerifyingKeys::parse(&set(&vec![good; MOST_KEYS])).is_ok());
}

/// Two keys of one `kid`: nobody can tell which is meant. The same key twice is one.
#[test]
fn different_keys_of_one_kid_are_both_passed_over() {
    let other = with(&public(&Jwk::generate_ec_key(EcCurve::P256).unwrap()), json!({"kid": "a"}));
    let keys = VerifyingKeys::parse(&set(&[ec("a"), ec("b"), other.clone()])).unwrap();
    assert_eq!(keys.names(), [("b".to_owned(), "ES256")]);
    assert_eq!(keys.skipped(), ["keys number 1 and 3 (\"a\") are different keys of one \"kid\""]);
    assert!(VerifyingKeys::parse(&set(&[ec("a"), other.clone()])).is_err());
    let both = [with(&RSA, json!({"kid": "a", "alg": "RS256"})), with(&RSA, json!({"kid": "a", "alg": "PS256"}))];
    assert!(VerifyingKeys::parse(&set(&both)).is_err(), "one key is good for one algorithm");
    let same = VerifyingKeys::parse(&set(&[ec("a"), with(&ec("a"), json!({"use": "sig"}))])).unwrap();
    assert_eq!((same.names().len(), same.skipped().len()), (1, 0));
    // One that is for something else does not count: some publish a pair under one name.
    let pair = VerifyingKeys::parse(&set(&[ec("a"), with(&other, json!({"use": "enc"}))])).unwrap();
    assert_eq!((pair.names().len(), pair.skipped().len()), (1, 1));
    // A client's are tried one after the other.
    assert_eq!(ClientKeys::parse(&set(&[ec("a"), other])).unwrap().candidates(Some("a"), Algorithm::Es256).count(), 2);
}

/// Whatever is mixed with whatever: what is good is taken, all else is named, and no more.
#[test]
fn any_mixture_yields_exactly_its_good_keys() {
    let random = Random::seeded(37);
    let good = [
        ec("ec"),
        with(&RSA, json!({"kid": "rs", "alg": "RS256"})),
        with(&RSA, json!({"kid": "ps", "alg": "PS256", "use": "sig"})),
        with(&ED, json!({"kid": "ed", "key_ops": ["verify"]})),
    ];
    let bad = unusable();
    for _ in 0..300 {
        let bytes = random.bytes::<12>();
        let mut keys = Vec::new();
        let mut names = Vec::new();
        for byte in bytes {
            let pick = usize::from(byte);
            if pick % 3 == 0 {
                let key = &good[pick / 3 % good.len()];
                names.push(key["kid"].as_str().unwrap().to_owned());
                keys.push(key.clone());
            } else {
                // A name of its own, where it has one, so that only what it is decides.
                let key = &bad[pick % bad.len()].0;
                let is_x = key.get("kid").is_some_and(|kid| kid == "x");
                keys.push(if is_x { with(key, json!({"kid": format!("x{}", keys.len())})) } else { key.clone() });
            }
        }
        let skipped = keys.len() - names.len();
        names.sort();
        names.dedup();
        match VerifyingKeys::parse(&set(&keys)) {
            Ok(read) => {
                assert_eq!(read.names().into_iter().map(|(kid, _)| kid).collect::<Vec<_>>(), names);
                assert_eq!(read.skipped().len(), skipped);
            }
            Err(_) => assert!(names.is_empty(), "{keys:?}"),
        }
    }
}

#[test]
fn each_algorithm_verifies_its_own_signature_and_no_other() {
    fn compact(signer: &dyn JwsSigner) -> String {
        let signature = signer.sign(b"e30.e30").unwrap();
        format!("e30.e30.{}", base64::Engine::encode(&base64::engine::general_purpose::URL_SAFE_NO_PAD, signature))
    }
    let ec = Jwk::generate_ec_key(EcCurve::P256).unwrap();
    let (rs, ps) = (Jwk::generate_rsa_key(2048).unwrap(), Jwk::generate_rsa_key(2048).unwrap());
    let ed = Jwk::generate_ed_key(EdCurve::Ed25519).unwrap();
    let publics = [(&ec, "ec", "ES256"), (&rs, "rs", "RS256"), (&ps, "ps", "PS256"), (&ed, "ed", "EdDSA")];
    let publics = publics.map(|(key, kid, alg)| with(&public(key), json!({"kid": kid, "alg": alg})));
    let keys = VerifyingKeys::parse(&set(&publics)).unwrap();
    let signers: [(&str, Box<dyn JwsSigner>); 4] = [
        ("ec", Box::new(ES256.signer_from_jwk(&ec).unwrap())),
        ("rs", Box::new(RS256.signer_from_jwk(&rs).unwrap())),
        ("ps", Box::new(PS256.signer_from_jwk(&ps).unwrap())),
        ("ed", Box::new(EdDSA.signer_from_jwk(&ed).unwrap())),
    ];
    for (signed_by, signer) in &signers {
        let text = compact(signer.as_ref());
        let jws = Unverified::parse(&text, 8192).unwrap();
        for asked in ["ec", "rs", "ps", "ed"] {
            assert_eq!(keys.get(asked).unwrap().verify(&jws), asked == *signed_by, "{signed_by} by {asked}");
        }
    }
}
