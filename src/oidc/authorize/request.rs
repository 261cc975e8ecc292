//! *Validate*: from parameters to a request that is good, or an error and where it may go. Before client and redirect
//! URI are proven an error is our own page; after that it is a redirect (RFC 6749 §4.1.2.1).

use std::borrow::Cow;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use url::Url;

use super::request_object::Unverified;
use crate::app::App;
use crate::cache::clients::KnownClient;
use crate::log;
use crate::model::address::is_loopback;
use crate::model::authorization::{AuthorizationRequest, ClaimsRequest, Prompt, ResponseMode};
use crate::model::client::{ApplicationType, Client, GrantType};
use crate::model::scope::{self, Scope};
use crate::oidc::id_token::read_hint;
use crate::oidc::params::{MAX_TEXT, Params};
use crate::store;
use crate::time::Timestamp;

/// `claims` and `acr_values` are never longer.
const MAX_LIST: usize = 4096;
/// The response types of the standards that are not offered.
const KNOWN_RESPONSE_TYPES: [&str; 8] = [
    "token",
    "none",
    "id_token",
    "id_token token",
    "code id_token",
    "code token",
    "code id_token token",
    "token id_token",
];

/// Why a request is not good, by who is told.
#[derive(Debug)]
pub enum AuthorizeError {
    /// The person, on our own page: nobody has proven a redirect URI.
    Page(&'static str, Cow<'static, str>),
    /// The client, at its redirect URI.
    Redirect(Box<Answer>),
    /// The database failed.
    Failed(store::Error),
}

impl From<store::Error> for AuthorizeError {
    fn from(error: store::Error) -> Self {
        Self::Failed(error)
    }
}

/// Where an answer goes, and the error it carries.
#[derive(Clone, Debug)]
pub struct Answer {
    /// A registered redirect URI.
    pub redirect_uri: String,
    /// How it travels.
    pub response_mode: ResponseMode,
    /// Given back as it came.
    pub state: Option<String>,
    /// The code.
    pub code: &'static str,
    /// What is wrong, in words.
    pub description: Cow<'static, str>,
}

/// Reads and checks a request (RFC 6749 §4.1.1, OpenID Connect Core §3.1.2.2): first the client and its `redirect_uri`,
/// to which every later error goes.
///
/// # Errors
/// [`AuthorizeError`]: our own page while no redirect URI is proven, from then on an answer to the client; the first
/// fault alone.
pub async fn validate(
    app: &App,
    params: &Params,
    now: Timestamp,
) -> Result<(Arc<Client>, AuthorizationRequest), AuthorizeError> {
    let client_id = named_client(params)?;
    let found = store::clients::with_secrets(&mut app.db.read().await?, client_id, now).await?;
    let found = found.map(|(client, secrets)| app.clients.put(KnownClient { client: Arc::new(client), secrets }));
    validate_for(app, found, params, now).await
}

/// The same of a request of the client that was found.
///
/// # Errors
/// What is wrong with it.
pub async fn validate_for(
    app: &App,
    found: Option<Arc<Client>>,
    params: &Params,
    now: Timestamp,
) -> Result<(Arc<Client>, AuthorizationRequest), AuthorizeError> {
    let (client, redirect_uri) = prove_redirect(found, params)?;
    let response_mode = params.get("response_mode").map(str::parse::<ResponseMode>);
    // OAuth 2.0 Multiple Response Types §2.1: what would bring tokens is answered in the fragment, errors too.
    let brings_tokens = params.get("response_type").is_some_and(|types| types.contains("token"));
    let usual = if brings_tokens { ResponseMode::Fragment } else { ResponseMode::Query };
    let answer_in = response_mode.clone().and_then(Result::ok).unwrap_or(usual);
    let state = params.get("state").filter(|state| state.len() <= MAX_TEXT).map(str::to_owned);
    let answer = Answer {
        redirect_uri: redirect_uri.clone(),
        response_mode: answer_in,
        state: state.clone(),
        code: "invalid_request",
        description: Cow::default(),
    };
    let refuse = |code: &'static str, description: Cow<'static, str>| {
        AuthorizeError::Redirect(Box::new(Answer { code, description, ..answer.clone() }))
    };
    if let Some(object) = params.get("request").filter(|_| params.repeated().is_none()) {
        // In the way that it asked for itself, or its client could not read this.
        let asked = Unverified::read(object);
        return Err(AuthorizeError::Redirect(Box::new(Answer {
            response_mode: asked.response_mode.unwrap_or(answer_in),
            state: asked.state.or(state),
            code: "request_not_supported",
            description: "request is not supported here".into(),
            ..answer
        })));
    }
    if params.get("request_uri").is_some() && params.repeated().is_none() {
        // Nothing is fetched, whatever address it names.
        return Err(refuse("request_uri_not_supported", "request_uri is not supported here".into()));
    }
    if let Some(Err(_)) = response_mode {
        return Err(refuse("invalid_request", "response_mode is none of query, fragment, form_post".into()));
    }
    let mut request = check(params, &client, redirect_uri.clone(), answer_in, state.clone())
        .map_err(|(code, description)| refuse(code, description))?;
    if let Some(hint) = params.get("id_token_hint") {
        let hint = read_hint(app, hint, now).await?;
        let hint = hint.ok_or_else(|| refuse("invalid_request", "id_token_hint is not an ID token of ours".into()))?;
        if request.hinted_sub.as_ref().is_some_and(|sub| *sub != hint.sub) {
            return Err(refuse("login_required", "id_token_hint and claims name two users".into()));
        }
        request.hinted_sub = Some(hint.sub);
    }
    Ok((client, request))
}

/// The `client_id` of a request.
///
/// # Errors
/// When it is not there exactly once, or the redirect URI is there twice.
pub fn named_client(params: &Params) -> Result<&str, AuthorizeError> {
    if let Some(name @ ("client_id" | "redirect_uri")) = params.repeated() {
        return Err(AuthorizeError::Page("invalid_request", format!("{name} was sent twice.").into()));
    }
    params.get("client_id").ok_or(AuthorizeError::Page("invalid_request", "client_id is missing.".into()))
}

/// The client and one of its redirect URIs: until both are proven nothing is sent anywhere.
fn prove_redirect(client: Option<Arc<Client>>, params: &Params) -> Result<(Arc<Client>, String), AuthorizeError> {
    let page = |code, why: &'static str| AuthorizeError::Page(code, why.into());
    let client = client.ok_or_else(|| page("invalid_client", "client_id is not registered."))?;
    log::name_client(&client.client_id);
    if !client.enabled {
        return Err(page("invalid_client", "This app is switched off. Ask whoever runs it."));
    }
    let redirect_uri = params.get("redirect_uri").ok_or_else(|| page("invalid_request", "redirect_uri is missing."))?;
    if !is_registered(&client, redirect_uri) {
        // Without its query and fragment: whoever sends it anywhere else puts there what they hold.
        let shown: String = redirect_uri.chars().take_while(|c| !matches!(c, '?' | '#')).take(200).collect();
        tracing::info!(redirect_uri = shown, "this redirect_uri is not registered");
        return Err(page("invalid_request", "redirect_uri is not registered for this app."));
    }
    Ok((client, redirect_uri.to_owned()))
}

/// Whether an address is one of a client's redirect URIs, byte for byte; of a native app on loopback whatever its port
/// (RFC 8252 §7.3).
#[must_use]
pub fn is_registered(client: &Client, redirect_uri: &str) -> bool {
    let registered = &client.metadata.redirect_uris;
    if registered.iter().any(|one| one == redirect_uri) {
        return true;
    }
    let portless = |text: &str| {
        let mut url = Url::parse(text).ok().filter(|url| url.scheme() == "http" && is_loopback(url))?;
        // What does not read back the same is not what was registered.
        (url.as_str() == text || url.as_str().strip_suffix('/') == Some(text)).then_some(())?;
        url.set_port(None).ok()?;
        Some(url)
    };
    client.metadata.application_type == ApplicationType::Native
        && portless(redirect_uri)
            .is_some_and(|asked| registered.iter().any(|one| portless(one).as_ref() == Some(&asked)))
}

type Wrong = (&'static str, Cow<'static, str>);

fn check(
    params: &Params,
    client: &Client,
    redirect_uri: String,
    response_mode: ResponseMode,
    state: Option<String>,
) -> Result<AuthorizationRequest, Wrong> {
    let wrong = |why: &'static str| -> Wrong { ("invalid_request", why.into()) };
    if let Some(name) = params.repeated() {
        let shown: String = name.chars().take(40).collect();
        return Err(("invalid_request", format!("{shown} was sent twice").into()));
    }
    if params.get("registration").is_some() {
        return Err(("registration_not_supported", "registration is not supported here".into()));
    }
    check_response_type(params, client)?;
    if params.get("nonce").is_some_and(|nonce| nonce.contains('\0')) {
        return Err(wrong("nonce holds a NUL"));
    }
    for name in ["state", "nonce"] {
        if params.get(name).is_some_and(|text| text.len() > MAX_TEXT) {
            return Err(("invalid_request", format!("{name} is longer than {MAX_TEXT} bytes").into()));
        }
    }
    for name in ["claims", "acr_values"] {
        if params.get(name).is_some_and(|text| text.len() > MAX_LIST) {
            return Err(("invalid_request", format!("{name} is longer than {MAX_LIST} bytes").into()));
        }
    }
    let claims = params.get("claims").map(ClaimsRequest::parse).transpose();
    let claims = claims.map_err(|why| ("invalid_request", Cow::from(format!("claims {why}"))))?.unwrap_or_default();
    let max_age = match params.get("max_age").map(str::parse::<u64>) {
        None => client.metadata.default_max_age,
        Some(Ok(seconds)) => Some(seconds),
        Some(Err(_)) => return Err(wrong("max_age is not a number of seconds")),
    };
    let resources: Vec<String> = params.all("resource").map(str::to_owned).collect();
    if let Some(unknown) = resources.iter().find(|one| !client.metadata.resources.contains(one)) {
        let shown: String = unknown.chars().take(100).collect();
        return Err(("invalid_target", format!("resource {shown} is not one that this client may ask for").into()));
    }
    let words = |text: &str| text.split(' ').filter(|word| !word.is_empty()).map(str::to_owned).collect::<Vec<_>>();
    Ok(AuthorizationRequest {
        client_id: client.client_id.clone(),
        redirect_uri,
        response_mode,
        state,
        scope: check_scope(params.get("scope"), client)?.to_string(),
        nonce: params.get("nonce").map(str::to_owned),
        code_challenge: check_challenge(params, client).map_err(wrong)?,
        prompt: check_prompt(params.get("prompt")).map_err(wrong)?,
        max_age,
        login_hint: params.get("login_hint").map(|hint| hint.chars().take(255).collect()),
        // OpenID Connect Core §5.5.1: a `sub` that is asked for is the user that is meant.
        hinted_sub: claims.wanted_sub(),
        acr_values: params.get("acr_values").map_or_else(|| client.metadata.default_acr_values.clone(), words),
        claims,
        resources,
    })
}

fn check_response_type(params: &Params, client: &Client) -> Result<(), Wrong> {
    let Some(wanted) = params.get("response_type") else {
        return Err(("invalid_request", "response_type is missing".into()));
    };
    if wanted != "code" {
        let why = if KNOWN_RESPONSE_TYPES.contains(&wanted) {
            "only response_type code is offered here"
        } else {
            "response_type is unknown"
        };
        return Err(("unsupported_response_type", why.into()));
    }
    let may = client.metadata.may(GrantType::AuthorizationCode)
        && client.metadata.response_types.iter().any(|one| one == "code");
    may.then_some(()).ok_or(("unauthorized_client", "this client may not use the code flow".into()))
}

/// What the client may have of what it asks for: narrowed, never widened; what is unknown is ignored.
fn check_scope(asked: Option<&str>, client: &Client) -> Result<Scope, Wrong> {
    let scope = Scope::parse(asked.unwrap_or_default())
        .ok_or(("invalid_scope", "scope holds a character that scopes cannot have".into()))?;
    let about_users: Vec<&str> =
        scope.names().filter(|name| scope::USER_SCOPES.iter().any(|(one, ..)| one == name)).collect();
    let mut scope = Scope::parse(&about_users.join(" ")).unwrap_or_default().within(&client.metadata.scopes());
    if !client.metadata.may(GrantType::RefreshToken) {
        // OpenID Connect Core §11: ignored where no refresh token can come of it.
        scope = scope.without(scope::OFFLINE_ACCESS);
    }
    if scope.is_empty() {
        return Err(("invalid_scope", "scope names nothing that this client may ask for; openid is usual".into()));
    }
    Ok(scope)
}

fn check_challenge(params: &Params, client: &Client) -> Result<Option<String>, &'static str> {
    let (challenge, method) = (params.get("code_challenge"), params.get("code_challenge_method"));
    let Some(challenge) = challenge else {
        if method.is_some() {
            return Err("code_challenge_method was sent without code_challenge");
        }
        return if client.metadata.needs_pkce() {
            Err("code_challenge is missing: this client must use PKCE")
        } else {
            Ok(None)
        };
    };
    if method != Some("S256") {
        return Err("code_challenge_method must be S256");
    }
    let good = URL_SAFE_NO_PAD.decode(challenge).is_ok_and(|digest| digest.len() == 32);
    good.then(|| Some(challenge.to_owned())).ok_or("code_challenge is not the base64url of a SHA-256")
}

fn check_prompt(text: Option<&str>) -> Result<Prompt, &'static str> {
    let mut prompt = Prompt::default();
    for word in text.unwrap_or_default().split(' ').filter(|word| !word.is_empty()) {
        match word {
            "none" => prompt.none = true,
            "login" => prompt.login = true,
            "consent" => prompt.consent = true,
            "select_account" => prompt.select_account = true,
            _ => return Err("prompt holds a word that is none of none, login, consent, select_account"),
        }
    }
    if prompt.none && (prompt.login || prompt.consent || prompt.select_account) {
        return Err("prompt none stands beside another word");
    }
    Ok(prompt)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::client::{AuthMethod, Metadata};

    fn client(change: impl FnOnce(&mut Metadata)) -> Client {
        let mut metadata = Metadata {
            redirect_uris: vec!["https://app.example/cb?x=1".into(), "http://127.0.0.1/cb".into()],
            scope: "openid profile offline_access".into(),
            ..Metadata::default()
        };
        change(&mut metadata);
        let (id, client_id) = ("1".into(), "app".into());
        Client { id, client_id, metadata, enabled: true, epoch: 1, revision: 1, created_at: 0 }
    }

    fn checked(query: &str, client: &Client) -> Result<AuthorizationRequest, Wrong> {
        check(&Params::parse(query.as_bytes()), client, "https://app.example/cb".into(), ResponseMode::Query, None)
    }

    const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";

    /// RFC 9700 §2.1; RFC 8252 §7.3.
    #[test]
    fn redirect_uris_match_byte_for_byte_and_native_loopback_at_any_port() {
        let web = client(|_| {});
        assert!(is_registered(&web, "https://app.example/cb?x=1"));
        for other in [
            "https://app.example/cb",
            "https://app.example/cb?x=1&y=2",
            "https://app.example/cb?x=1/",
            "HTTPS://app.example/cb?x=1",
        ] {
            assert!(!is_registered(&web, other), "{other}");
        }
        assert!(!is_registered(&web, "http://127.0.0.1:5000/cb"));
        let native = client(|m| m.application_type = ApplicationType::Native);
        assert!(is_registered(&native, "http://127.0.0.1:5000/cb"));
        for other in [
            "http://127.0.0.1:5000/cb2",
            "http://127.0.0.2:5000/cb",
            "http://127.0.0.1:5000/cb?x",
            "http://127.0.0.1.evil.example/cb",
            "http://user@127.0.0.1/cb",
        ] {
            assert!(!is_registered(&native, other), "{other}");
        }
    }

    #[test]
    fn each_wrong_parameter_is_named() {
        let app = client(|_| {});
        for (query, code, words) in [
            ("scope=openid", "invalid_request", "response_type is missing"),
            ("response_type=foo&scope=openid", "unsupported_response_type", "unknown"),
            ("response_type=id_token&scope=openid", "unsupported_response_type", "only"),
            ("response_type=code&scope=openid&scope=profile", "invalid_request", "scope was sent twice"),
            ("response_type=code&scope=a%22", "invalid_scope", "character"),
            ("response_type=code", "invalid_scope", "names nothing"),
            ("response_type=code&scope=openid&registration=x", "registration_not_supported", "registration"),
            ("response_type=code&scope=openid&prompt=none%20login", "invalid_request", "prompt none"),
            ("response_type=code&scope=openid&prompt=maybe", "invalid_request", "prompt"),
            ("response_type=code&scope=openid&max_age=-1", "invalid_request", "max_age"),
            ("response_type=code&scope=openid&claims=%7B", "invalid_request", "claims"),
            (
                "response_type=code&scope=openid&code_challenge=x&code_challenge_method=S256",
                "invalid_request",
                "base64url",
            ),
            ("response_type=code&scope=openid&code_challenge=x&code_challenge_method=plain", "invalid_request", "S256"),
            ("response_type=code&scope=openid&code_challenge_method=S256", "invalid_request", "without code_challenge"),
            ("response_type=code&scope=openid&resource=https://x", "invalid_target", "resource"),
        ] {
            let (got, why) = checked(query, &app).unwrap_err();
            assert!(got == code && why.contains(words), "{query}: {got} {why}");
        }
        let public = client(|m| m.token_endpoint_auth_method = Some(AuthMethod::None));
        assert!(checked("response_type=code&scope=openid", &public).unwrap_err().1.contains("PKCE"));
        let machine = client(|m| m.grant_types = vec![GrantType::ClientCredentials]);
        assert_eq!(checked("response_type=code&scope=openid", &machine).unwrap_err().0, "unauthorized_client");
    }

    #[test]
    fn a_scope_is_narrowed_and_unknown_parameters_are_ignored() {
        let query = format!(
            "response_type=code&scope=openid%20email%20provider%20foo%20profile%20offline_access&ui_locales=x&foo=bar&code_challenge={CHALLENGE}&code_challenge_method=S256"
        );
        let request = checked(&query, &client(|_| {})).unwrap();
        assert_eq!((request.scope.as_str(), request.code_challenge.as_deref()), ("openid profile", Some(CHALLENGE)));
        let refreshing = client(|m| m.grant_types.push(GrantType::RefreshToken));
        assert_eq!(checked(&query, &refreshing).unwrap().scope, "offline_access openid profile");
    }
}
