//! Who a client is: exactly one way of proving it a request, and the registered one alone, where one is registered
//! (RFC 6749 §2.3, RFC 7523 §2.2).

use std::sync::Arc;
use std::time::Duration;

use axum::http::{HeaderMap, header};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use subtle::ConstantTimeEq as _;

use crate::app::App;
use crate::cache::clients::KnownClient;
use crate::crypto::jws::{Algorithm, Unverified};
use crate::crypto::secret::digest;
use crate::log;
use crate::model::client::{AuthMethod, Client, ClientProof, ProvenBy};
use crate::model::header_text;
use crate::operations::clients::hash_secret;
use crate::operations::clients::keys;
use crate::store::clients::WorkingSecret;
use crate::store::{self, in_one_statement};
use crate::time::Timestamp;

/// The form of a client assertion (RFC 7523 §2.2).
pub const ASSERTION_TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
/// An assertion is never longer.
const MAX_BYTES: usize = 8192;
/// How far another clock may be from ours.
const SKEW: Duration = Duration::from_secs(15);
/// An assertion lives no longer: its `jti` is remembered for a day.
const MAX_LIFE: Duration = Duration::from_hours(1);
/// The purpose under which the `jti` of an assertion is used up.
const ASSERTION: &str = "client_assertion";

/// A client that proved who it is, and what it asks.
#[derive(Clone, Debug)]
pub struct ClientRequest<T> {
    /// The client, switched on.
    pub client: Arc<Client>,
    /// How it proved that.
    pub proof: ClientProof,
    /// What it asks.
    pub asked: T,
}

/// Why it is not let in.
#[derive(Debug)]
pub enum NotProven {
    /// The request itself is wrong.
    Malformed(&'static str),
    /// It is not who it says, or does not prove it as registered. Whether it tried HTTP Basic.
    Refused(&'static str, bool),
    /// The database failed.
    Failed(store::Error),
}

impl From<store::Error> for NotProven {
    fn from(error: store::Error) -> Self {
        Self::Failed(error)
    }
}

/// What a request offers as proof.
#[derive(Debug, PartialEq, Eq)]
struct Offer {
    client_id: String,
    proof: Proof,
}

#[derive(Debug, PartialEq, Eq)]
enum Proof {
    Basic(String),
    Post(String),
    Assertion(String),
    None,
}

/// The parameters that prove a client, as a form gave them.
#[derive(Clone, Copy, Debug, Default)]
pub struct Fields<'a> {
    /// `client_id`
    pub client_id: Option<&'a str>,
    /// `client_secret`
    pub client_secret: Option<&'a str>,
    /// `client_assertion_type`
    pub assertion_type: Option<&'a str>,
    /// `client_assertion`
    pub assertion: Option<&'a str>,
}

/// Authenticates the client of a request to `endpoint`, one of our paths: the client, and by what.
///
/// # Errors
/// Why it is not let in.
pub async fn authenticate(
    app: &App,
    headers: &HeaderMap,
    fields: Fields<'_>,
    endpoint: &str,
    now: Timestamp,
) -> Result<(Arc<Client>, ClientProof), NotProven> {
    let offer = offer(headers, fields)?;
    let found = store::clients::with_secrets(&mut app.db.read().await?, &offer.client_id, now).await?;
    let Some((client, secrets)) = found.filter(|(client, _)| client.enabled) else {
        app.clients.forget(&offer.client_id);
        return Err(offer.refused("client_id is not registered, or switched off"));
    };
    log::name_client(&client.client_id);
    let known = KnownClient { client: Arc::new(client), secrets };
    app.clients.put(known.clone());
    let by = match &offer.proof {
        Proof::Assertion(text) if known.method() == Some(AuthMethod::PrivateKeyJwt) => {
            prove_by_assertion(app, &known.client, text, endpoint, now).await?;
            ProvenBy::Registration(known.client.revision)
        }
        Proof::Assertion(_) | Proof::Basic(_) | Proof::Post(_) | Proof::None => check(app, &offer, &known, now)?,
    };
    Ok(known.proven(by, None))
}

/// The same by what is known of the client since an earlier request: a proof that the statement which counts must read once
/// more ([`ClientProof::known`]). `None` where nothing is known, or it proves nothing; and for assertions, which are used up
/// where they are checked.
pub fn authenticate_known(
    app: &App,
    headers: &HeaderMap,
    fields: Fields<'_>,
    now: Timestamp,
) -> Option<(Arc<Client>, ClientProof)> {
    let offer = offer(headers, fields).ok()?;
    let known = app.clients.get(&offer.client_id)?;
    let by = check(app, &offer, &known, now).ok()?;
    log::name_client(&known.client.client_id);
    Some(known.proven(by, Some(known.client.revision)))
}

/// Whether an offer is what the client is registered with; assertions aside.
fn check(app: &App, offer: &Offer, known: &KnownClient, now: Timestamp) -> Result<ProvenBy, NotProven> {
    let refused = |why| Err(offer.refused(why));
    match (&offer.proof, known.method()) {
        (Proof::Basic(secret), None | Some(AuthMethod::Basic))
        | (Proof::Post(secret), None | Some(AuthMethod::Post)) => {
            let mut working = known.secrets.iter().filter(|secret| secret.works(now)).peekable();
            if working.peek().is_none() {
                return refused("this client has no secret yet: whoever runs the service makes one");
            }
            let given = hash_secret(app, &known.client.client_id, secret);
            // Compared with each, so that the time taken does not say which one it was.
            let is_given = |secret: &WorkingSecret| bool::from(secret.hash.as_bytes().ct_eq(given.as_bytes()));
            let right = working.fold(None, |right, secret| if is_given(secret) { Some(secret) } else { right });
            right.map_or_else(|| refused("client_secret is not right"), |right| Ok(ProvenBy::Secret(right.id.clone())))
        }
        (Proof::None, Some(AuthMethod::None)) => Ok(ProvenBy::Registration(known.client.revision)),
        (_, None) => refused("this client authenticates by client_secret_basic or client_secret_post"),
        (_, Some(AuthMethod::Basic)) => refused("this client authenticates by client_secret_basic"),
        (_, Some(AuthMethod::Post)) => refused("this client authenticates by client_secret_post"),
        (_, Some(AuthMethod::PrivateKeyJwt)) => refused("this client authenticates by private_key_jwt"),
        (_, Some(AuthMethod::None)) => refused("this client is public: it sends client_id and no credentials"),
    }
}

impl KnownClient {
    fn method(&self) -> Option<AuthMethod> {
        self.client.metadata.token_endpoint_auth_method
    }

    fn proven(&self, by: ProvenBy, known: Option<i64>) -> (Arc<Client>, ClientProof) {
        let client = &self.client;
        (Arc::clone(client), ClientProof { client: client.id.clone(), epoch: client.epoch, known, by })
    }
}

impl Offer {
    const fn refused(&self, why: &'static str) -> NotProven {
        NotProven::Refused(why, matches!(self.proof, Proof::Basic(_)))
    }
}

/// What is offered, if it is exactly one thing.
fn offer(headers: &HeaderMap, fields: Fields<'_>) -> Result<Offer, NotProven> {
    let in_body = fields.client_secret.is_some() || fields.assertion.is_some() || fields.assertion_type.is_some();
    if let Some(value) = headers.get(header::AUTHORIZATION) {
        let refused = |why| NotProven::Refused(why, true);
        if in_body {
            return Err(NotProven::Malformed("the client authenticates in more than one way"));
        }
        let text = header_text::ascii(value).ok_or_else(|| refused("the Authorization header is not text"))?;
        let (client_id, secret) = basic(text).ok_or_else(|| refused("the Authorization header is not HTTP Basic"))?;
        if fields.client_id.is_some_and(|named| named != client_id) {
            return Err(NotProven::Malformed("client_id is not the one that authenticates"));
        }
        return Ok(Offer { client_id, proof: Proof::Basic(secret) });
    }
    match (fields.assertion_type, fields.assertion, fields.client_secret) {
        (None, None, None) => {
            let named = fields.client_id.ok_or(NotProven::Refused(
                "no client authentication: send HTTP Basic, a client assertion, or client_id",
                false,
            ))?;
            Ok(Offer { client_id: named.to_owned(), proof: Proof::None })
        }
        (None, None, Some(secret)) => {
            let named = fields.client_id.ok_or(NotProven::Refused("client_id is missing", false))?;
            Ok(Offer { client_id: named.to_owned(), proof: Proof::Post(secret.to_owned()) })
        }
        (Some(ASSERTION_TYPE), Some(text), None) => {
            let issuer = Unverified::parse(text, MAX_BYTES).ok().and_then(|jws| jws.claims().ok());
            let issuer = issuer.as_ref().and_then(|claims| claims.get("iss")).and_then(Value::as_str);
            let client_id = issuer.ok_or(NotProven::Refused("client_assertion is not a JWT with iss", false))?;
            if fields.client_id.is_some_and(|named| named != client_id) {
                return Err(NotProven::Refused("client_id is not the iss of client_assertion", false));
            }
            Ok(Offer { client_id: client_id.to_owned(), proof: Proof::Assertion(text.to_owned()) })
        }
        (_, _, Some(_)) => Err(NotProven::Malformed("the client authenticates in more than one way")),
        (_, None, None) => Err(NotProven::Refused("client_assertion is missing", false)),
        (_, Some(_), None) => Err(NotProven::Refused("client_assertion_type is not the one of RFC 7523", false)),
    }
}

/// HTTP Basic as RFC 6749 §2.3.1 has it: both halves are form-encoded before they are joined.
fn basic(text: &str) -> Option<(String, String)> {
    let (scheme, encoded) = text.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("Basic") {
        return None;
    }
    let decoded = String::from_utf8(STANDARD.decode(encoded.trim()).ok()?).ok()?;
    let (id, secret) = decoded.split_once(':')?;
    Some((form_decode(id), form_decode(secret)))
}

fn form_decode(text: &str) -> String {
    // As a form's one name: everything up to "=" or "&", which encoding would have escaped.
    let escaped = text.replace('=', "%3D").replace('&', "%26");
    url::form_urlencoded::parse(escaped.as_bytes()).next().map(|(name, _)| name.into_owned()).unwrap_or_default()
}

async fn prove_by_assertion(
    app: &App,
    client: &Client,
    text: &str,
    endpoint: &str,
    now: Timestamp,
) -> Result<(), NotProven> {
    let refused = |why| NotProven::Refused(why, false);
    let jws = Unverified::parse(text, MAX_BYTES).map_err(|_| refused("client_assertion is not a compact JWS"))?;
    let claims = jws.claims().map_err(|_| refused("the claims of client_assertion are not a JSON object"))?;
    if jws.header.contains_key("crit") {
        return Err(refused("client_assertion has a crit header"));
    }
    let alg = jws.header.get("alg").and_then(Value::as_str).and_then(|alg| alg.parse::<Algorithm>().ok());
    let alg = alg.ok_or_else(|| refused("the alg of client_assertion is none of RS256, PS256, ES256, EdDSA"))?;
    if client.metadata.token_endpoint_auth_signing_alg.is_some_and(|only| only != alg) {
        return Err(refused("the alg of client_assertion is not the registered one"));
    }
    let kid = jws.header.get("kid").and_then(Value::as_str);
    if !keys::verifies(app, client, &jws, kid, alg, now).await {
        return Err(refused("the signature of client_assertion is not by a key of this client"));
    }
    let (jti, usable_from) = check_claims(&claims, client, &app.config.issuer, endpoint, now).map_err(refused)?;
    if app.issuers.is_full(&client.id) {
        return Err(NotProven::Failed(store::Error::Full));
    }
    let (row, hash) = (client.id.clone(), digest(jti));
    let first = in_one_statement!(app.db, app.ordinary_deadline(now), [row, hash], |tx| {
        store::single_use::claim_usable(tx, ASSERTION, &row, &hash, usable_from, now).await
    })?;
    first.then_some(()).ok_or_else(|| refused("client_assertion was used before"))
}

/// What the claims must say (RFC 7523 §3, OpenID Connect Core §9); the `jti`, and since when we would have taken it.
fn check_claims<'a>(
    claims: &'a serde_json::Map<String, Value>,
    client: &Client,
    issuer: &str,
    endpoint: &str,
    now: Timestamp,
) -> Result<(&'a str, Timestamp), &'static str> {
    let text = |name: &str| claims.get(name).and_then(Value::as_str);
    let time =
        |name: &str| claims.get(name).map(|value| value.as_f64().ok_or("a time in client_assertion is not a number"));
    #[expect(clippy::cast_possible_truncation, reason = "seconds since 1970 fit, and what does not is far from now")]
    let instant = |seconds: f64| Timestamp((seconds * 1000.0) as i64);
    if text("iss") != Some(&client.client_id) || text("sub") != Some(&client.client_id) {
        return Err("iss and sub of client_assertion must both be the client_id");
    }
    let audiences: Vec<&str> = match claims.get("aud") {
        Some(Value::String(one)) => vec![one],
        Some(Value::Array(many)) => many.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    };
    let ours = [issuer.to_owned(), format!("{issuer}/oauth2/token"), format!("{issuer}{endpoint}")];
    if !audiences.iter().any(|aud| ours.iter().any(|our| our == aud)) {
        return Err("aud of client_assertion must be this issuer or its token endpoint");
    }
    let expires = instant(time("exp").ok_or("exp of client_assertion is missing")??);
    if expires.after(SKEW) <= now {
        return Err("client_assertion is expired");
    }
    if expires > now.after(MAX_LIFE).after(SKEW) {
        return Err("client_assertion lives longer than an hour");
    }
    let mut usable_from = expires.before(MAX_LIFE);
    for name in ["nbf", "iat"] {
        if let Some(from) = time(name) {
            let from = instant(from?);
            if from > now.after(SKEW) {
                return Err("client_assertion is from the future");
            }
            usable_from = usable_from.max(from);
        }
    }
    let jti = text("jti").filter(|jti| !jti.is_empty()).ok_or("jti of client_assertion is missing")?;
    Ok((jti, usable_from.before(SKEW)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn basic_header(text: &str) -> HeaderMap {
        let value = format!("Basic {}", STANDARD.encode(text)).parse().unwrap();
        HeaderMap::from_iter([(header::AUTHORIZATION, value)])
    }

    /// RFC 6749 §2.3.1 and appendix B.
    #[test]
    fn both_halves_of_basic_are_form_encoded() {
        let offer = offer(&basic_header("my%20app:a%3Ab+c%25:=&"), Fields::default()).unwrap();
        assert_eq!((offer.client_id.as_str(), offer.proof), ("my app", Proof::Basic("a:b c%:=&".into())));
    }

    #[test]
    fn exactly_one_way_is_taken() {
        let both = Fields { client_secret: Some("x"), ..Fields::default() };
        assert!(matches!(offer(&basic_header("a:b"), both), Err(NotProven::Malformed(_))));
        let other = Fields { client_id: Some("c"), ..Fields::default() };
        assert!(matches!(offer(&basic_header("a:b"), other), Err(NotProven::Malformed(_))));
        assert!(matches!(offer(&HeaderMap::new(), Fields::default()), Err(NotProven::Refused(_, false))));
        let post = Fields { client_id: Some("a"), client_secret: Some("b"), ..Fields::default() };
        assert_eq!(offer(&HeaderMap::new(), post).unwrap().proof, Proof::Post("b".into()));
        let wrong = Fields { assertion: Some("x"), assertion_type: Some("y"), ..Fields::default() };
        assert!(matches!(offer(&HeaderMap::new(), wrong), Err(NotProven::Refused(..))));
    }
}
