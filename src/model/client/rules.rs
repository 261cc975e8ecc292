//! What the metadata of a client must be (RFC 7591 §2, OpenID Connect Registration §2, RFC 8252 for native ones). Pure:
//! what has to be fetched is checked by whoever fetches it.

use url::Url;

use crate::crypto::client_keys::ClientKeys;
use crate::crypto::key_set::MOST_BYTES;
use crate::model::address::{self, is_loopback, shown};
use crate::model::client::{ApplicationType, AuthMethod, GrantType, Metadata};
use crate::model::scope::{self, Scope};
use crate::model::text::check_line;
use crate::model::validation_error::ValidationError;

/// Which comforts of testing the configuration allows.
#[derive(Clone, Copy, Debug, Default)]
pub struct Rules {
    /// http for loopback hosts.
    pub loopback_http: bool,
    /// Published test keys.
    pub test_keys: bool,
}

/// The most redirect URIs that a client has, and as many addresses to go to after a logout.
const MOST_URIS: usize = 50;
const MOST_RESOURCES: usize = 20;
const MOST_WORDS: usize = 10;
/// `default_max_age` at most: ten years.
const MOST_AGE: u64 = 10 * 366 * 24 * 3600;

/// The error code of RFC 7591 §3.2.2 for metadata that are refused.
#[must_use]
pub fn error_code(invalid: &ValidationError) -> &'static str {
    if invalid.key == "redirect_uris" { "invalid_redirect_uri" } else { "invalid_client_metadata" }
}

/// Checks a `client_id`: every printable ASCII character may be in it (RFC 6749 appendix A.1). A handoff's `target`
/// tells an app from a path by its first one.
///
/// # Errors
/// What it must be.
pub fn check_client_id(client_id: &str) -> Result<(), ValidationError> {
    let good = (1..=255).contains(&client_id.len())
        && client_id.bytes().all(|b| (0x20..=0x7e).contains(&b))
        && !client_id.starts_with(['/', ' '])
        // No program can ask at such a path: what reads addresses folds them.
        && !matches!(client_id, "." | "..");
    let why = "must be 1 to 255 printable ASCII characters, the first of them neither '/' nor a space, and not \".\" or \"..\"";
    good.then_some(()).ok_or_else(|| ValidationError::new("client_id", why))
}

/// Reads a client's JWK Set under the rules of this service: published test keys are refused in production (G21).
///
/// # Errors
/// One sentence that says what to change.
pub fn read_keys(jwks: &str, rules: Rules) -> Result<ClientKeys, String> {
    let keys = ClientKeys::parse(jwks)?;
    if let Some(kid) = keys.kids().find(|kid| kid.starts_with("TEST-ONLY") && !rules.test_keys) {
        return Err(format!(
            "key \"{kid}\" is a published test key, whose private half everybody knows: use a key of the client's own"
        ));
    }
    Ok(keys)
}

/// What a client's JWK Set holds that is passed over (RFC 7517 §5), a sentence each without its full stop.
#[must_use]
pub fn key_warnings(jwks: &serde_json::Value) -> Vec<String> {
    ClientKeys::parse(&jwks.to_string()).map(|keys| keys.skipped().to_vec()).unwrap_or_default()
}

/// Takes what is wrong: a key, and why.
type Sink<'a> = &'a mut dyn FnMut(&'static str, String);

impl Metadata {
    /// Checks the whole: each member alone, then those that must fit together.
    ///
    /// # Errors
    /// The first fault; [`error_code`] names its kind.
    pub fn check(&self, rules: Rules) -> Result<(), ValidationError> {
        self.all_errors(rules).into_iter().next().map_or(Ok(()), Err)
    }

    /// What of the whole is not accepted: every fault of every member.
    #[must_use]
    pub fn all_errors(&self, rules: Rules) -> Vec<ValidationError> {
        let mut faults = Vec::new();
        let mut add = |key, why| faults.push(ValidationError::new(key, why));
        self.check_redirects(rules, &mut add);
        self.check_grants(&mut add);
        self.check_credentials(rules, &mut add);
        self.check_scope(&mut add);
        self.check_addresses(rules, &mut add);
        self.check_rest(&mut add);
        faults
    }

    fn check_redirects(&self, rules: Rules, add: Sink<'_>) {
        for (key, uris) in
            [("redirect_uris", &self.redirect_uris), ("post_logout_redirect_uris", &self.post_logout_redirect_uris)]
        {
            if uris.len() > MOST_URIS {
                add(key, format!("holds more than {MOST_URIS} addresses"));
            }
            for uri in uris.iter().take(MOST_URIS) {
                if let Err(why) = check_redirect(uri, self.application_type, rules) {
                    add(key, why);
                }
            }
        }
        if self.redirect_uris.is_empty() && self.may(GrantType::AuthorizationCode) {
            add("redirect_uris", "is empty: a client that signs people in needs at least one".into());
        }
    }

    /// RFC 7591 §2.1. A client without any grant is a resource server, which only introspects (RFC 7662).
    fn check_grants(&self, add: Sink<'_>) {
        let mut seen: Vec<GrantType> = Vec::new();
        for grant in &self.grant_types {
            if seen.contains(grant) {
                add("grant_types", format!("holds {grant} twice"));
            }
            seen.push(*grant);
        }
        if seen.is_empty() && self.is_public() {
            add("grant_types", "is empty: a client without credentials may not introspect either".into());
        } else if seen.is_empty() && self.resources.is_empty() && !self.introspect_all {
            let why = "is empty, as are the resources that it may introspect tokens for: it could do nothing";
            add("grant_types", why.into());
        }
        let code = self.may(GrantType::AuthorizationCode);
        if self.may(GrantType::RefreshToken) && !code {
            add("grant_types", "holds refresh_token without authorization_code, which alone gives one".into());
        }
        for other in self.response_types.iter().filter(|name| *name != "code").take(MOST_WORDS) {
            add("response_types", format!("holds {}: only \"code\" is supported", shown(other)));
        }
        let why = match (code, self.response_types.iter().filter(|name| *name == "code").count()) {
            (true, 1) | (false, 0) => return,
            (true, 0) => "must hold \"code\", as grant_types holds authorization_code",
            (true, _) => "holds \"code\" twice",
            (false, _) => "must be empty, as grant_types does not hold authorization_code",
        };
        add("response_types", why.into());
    }

    fn check_credentials(&self, rules: Rules, add: Sink<'_>) {
        if self.jwks.is_some() && self.jwks_uri.is_some() {
            add("jwks_uri", "stands beside jwks: give one of the two".into());
        }
        if let Some(Err(why)) = self.jwks_uri.as_ref().map(|address| address::web(address, rules.loopback_http)) {
            add("jwks_uri", why);
        }
        let signs = self.token_endpoint_auth_method == Some(AuthMethod::PrivateKeyJwt);
        if let Some(Err(why)) = self.jwks.as_ref().map(|jwks| check_keys(jwks, signs, rules)) {
            add("jwks", why);
        }
        if signs && self.jwks.is_none() && self.jwks_uri.is_none() {
            add("jwks", "is missing, and so is jwks_uri: private_key_jwt needs one of the two".into());
        }
        if self.is_public() && self.may(GrantType::ClientCredentials) {
            add("grant_types", "holds client_credentials, but a client without credentials has none".into());
        }
        if self.is_public() && self.introspect_all {
            add("introspect_all", "is on, but a client without credentials may introspect nothing".into());
        }
    }

    fn check_scope(&self, add: Sink<'_>) {
        if self.scope.len() > 1000 {
            return add("scope", "must be at most 1000 characters".into());
        }
        let Some(scopes) = Scope::parse(&self.scope) else {
            return add("scope", "must be names with single spaces between them".into());
        };
        for name in scopes.names() {
            if !scope::is_known(name) {
                add("scope", format!("holds {}, which is no scope here", shown(name)));
            } else if scope::is_for_clients(name) && !self.may(GrantType::ClientCredentials) {
                add("scope", format!("holds {name}, which needs client_credentials among grant_types"));
            }
        }
    }

    fn check_addresses(&self, rules: Rules, add: Sink<'_>) {
        for (key, address, bare) in [
            ("logo_uri", &self.logo_uri, false),
            ("client_uri", &self.client_uri, false),
            ("policy_uri", &self.policy_uri, false),
            ("tos_uri", &self.tos_uri, false),
            ("initiate_login_uri", &self.initiate_login_uri, true),
            ("backchannel_logout_uri", &self.backchannel_logout_uri, true),
            ("frontchannel_logout_uri", &self.frontchannel_logout_uri, true),
        ] {
            let Some(address) = address else { continue };
            match address::web(address, rules.loopback_http) {
                Err(why) => add(key, why),
                Ok(url) if bare && url.fragment().is_some() => {
                    add(key, format!("holds {}, an address with a fragment", shown(address)));
                }
                Ok(_) => {}
            }
        }
        let Some(logout) = self.frontchannel_logout_uri.as_deref().and_then(|text| Url::parse(text).ok()) else {
            return;
        };
        // OpenID Connect Front-Channel Logout §2: scheme, host and port are those of a redirect URI.
        let beside = |uri: &String| Url::parse(uri).is_ok_and(|url| url.origin() == logout.origin());
        if !self.redirect_uris.iter().any(beside) {
            let why = "must have scheme, host and port of one of the redirect_uris";
            add("frontchannel_logout_uri", why.into());
        }
    }

    fn check_rest(&self, add: Sink<'_>) {
        if let Some(Err(why)) = self.client_name.as_ref().map(|name| check_line(name, 200)) {
            add("client_name", why);
        }
        for (key, words) in [("contacts", &self.contacts), ("default_acr_values", &self.default_acr_values)] {
            if words.len() > MOST_WORDS {
                add(key, format!("holds more than {MOST_WORDS} values"));
            }
            if let Some(why) = words.iter().find_map(|word| check_line(word, 255).err()) {
                add(key, format!("each value {why}"));
            }
        }
        if self.default_acr_values.iter().any(|word| word.contains(' ')) {
            add("default_acr_values", "each value must be one word".into());
        }
        if self.default_max_age.is_some_and(|age| age > MOST_AGE) {
            add("default_max_age", format!("must be at most {MOST_AGE} seconds"));
        }
        if self.resources.len() > MOST_RESOURCES {
            add("resources", format!("holds more than {MOST_RESOURCES} addresses"));
        }
        for resource in self.resources.iter().take(MOST_RESOURCES) {
            // RFC 8707 §2: an absolute URI without a fragment.
            match address::absolute(resource) {
                Err(why) => add("resources", why),
                Ok(url) if url.fragment().is_some() => {
                    add("resources", format!("holds {}, an address with a fragment", shown(resource)));
                }
                Ok(_) => {}
            }
        }
    }
}

/// A client's key set, which must hold a usable key if it `signs` with one.
fn check_keys(jwks: &serde_json::Value, signs: bool, rules: Rules) -> Result<(), String> {
    let text = jwks.to_string();
    if text.len() > MOST_BYTES {
        return Err(format!("is longer than {MOST_BYTES} bytes"));
    }
    let keys = read_keys(&text, rules)?;
    if signs && keys.is_empty() {
        let why = keys.skipped().first().map(|why| format!(": {why}")).unwrap_or_default();
        return Err(format!("holds no key that can verify the client's assertions{why}"));
    }
    Ok(())
}

/// Where answers may go (RFC 6749 §3.1.2, RFC 8252 §7, RFC 9700 §4.1).
fn check_redirect(text: &str, kind: ApplicationType, rules: Rules) -> Result<(), String> {
    let url = address::absolute(text)?;
    if text.contains('#') {
        return Err(format!("holds {}, an address with a fragment", shown(text)));
    }
    if text.contains('*') {
        return Err(format!("holds {}: addresses are compared byte for byte, without wildcards", shown(text)));
    }
    match kind {
        ApplicationType::Web => address::web(text, rules.loopback_http).map(drop),
        ApplicationType::Native => match url.scheme() {
            "https" => address::web(text, false).map(drop),
            "http" if is_loopback(&url) => address::web(text, true).map(drop),
            "http" => Err(format!("holds {}: http is for loopback addresses only", shown(text))),
            // RFC 8252 §7.1: a domain name that the app's maker controls, in reverse order.
            scheme if scheme.contains('.') => Ok(()),
            _ => Err(format!(
                "holds {}: a scheme of the app's own must have a dot, such as org.example.app",
                shown(text)
            )),
        },
    }
}

#[cfg(test)]
#[expect(clippy::needless_pass_by_value, reason = "json!(…) reads better without &")]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    const KEY: &str = r#"{"kty":"EC","crv":"P-256","x":"QlZDrGpOH98XOLEUquJsBwwJTenqECunjDu3eiRqSVU","y":"I9eXDYJ2LsxDePSy9IewZ9UbptxSRTHbtA2lcGIfKL0"}"#;

    fn check(rules: Rules, members: Value) -> Result<(), ValidationError> {
        let mut whole = json!({"redirect_uris": ["https://portal.example.org/callback"]});
        whole.as_object_mut().unwrap().extend(members.as_object().unwrap().clone());
        serde_json::from_value::<Metadata>(whole).unwrap().check(rules)
    }

    fn accepted(members: Value) {
        assert_eq!(check(Rules::default(), members.clone()), Ok(()), "{members}");
    }

    fn refused(members: Value, key: &str) {
        let invalid = check(Rules::default(), members.clone()).expect_err(&members.to_string());
        assert_eq!(invalid.key, key, "{members}: {invalid}");
        let kind = if key == "redirect_uris" { "invalid_redirect_uri" } else { "invalid_client_metadata" };
        assert_eq!(error_code(&invalid), kind);
        assert!(invalid.to_string().len() < 400, "{invalid}");
    }

    fn keys(count: usize) -> Value {
        let key: Value = serde_json::from_str(KEY).unwrap();
        json!({"keys": vec![key; count]})
    }

    /// OpenID Connect Registration §2, RFC 9700 §4.1: absolute https addresses without fragment and wildcard.
    #[test]
    fn redirect_uris_of_web_clients() {
        accepted(json!({"redirect_uris": ["https://a.example/cb?x=y", "https://b.example:8443/cb"]}));
        for bad in [
            "https://a.example/cb#f",
            "https://a.example/cb#",
            "/cb",
            "a.example/cb",
            "http://a.example/cb",
            "http://localhost/cb",
            "http://127.0.0.1:4000/cb",
            "https://*.example.org/cb",
            "https://a.example/*",
            "https://u:p@a.example/cb",
            "https://u@a.example/cb",
            "https://a.example\\@b.example/",
            "https:/a.example/cb",
            "org.example.app:/cb",
            "javascript:alert(1)",
            "data:text/html,x",
            "https://a.example/c b",
            "",
        ] {
            refused(json!({"redirect_uris": ["https://a.example/cb", bad]}), "redirect_uris");
            refused(json!({"post_logout_redirect_uris": [bad]}), "post_logout_redirect_uris");
        }
        let testing = Rules { loopback_http: true, ..Rules::default() };
        assert!(check(testing, json!({"redirect_uris": ["http://localhost:4000/cb"]})).is_ok());
        assert!(check(testing, json!({"redirect_uris": ["http://a.example/cb"]})).is_err());
    }

    /// RFC 8252 §7: schemes of the app's own, claimed https, loopback with any port.
    #[test]
    fn redirect_uris_of_native_clients() {
        let native = |uri: &str| json!({"application_type": "native", "redirect_uris": [uri]});
        for good in [
            "org.example.app:/cb",
            "org.example.app://cb",
            "https://app.example.org/cb",
            "http://127.0.0.1/cb",
            "http://127.0.0.1:4000/cb",
            "http://[::1]:4000/cb",
            "http://localhost:4000/cb",
        ] {
            accepted(native(good));
        }
        for bad in [
            "myapp:/cb",
            "http://a.example/cb",
            "http://127.1/cb",
            "org.example.app:/cb#x",
            "javascript:alert(1)",
            "cb",
        ] {
            refused(native(bad), "redirect_uris");
        }
    }

    /// RFC 7591 §2.1.
    #[test]
    fn grants_and_response_types_fit_together() {
        accepted(json!({"grant_types": ["authorization_code", "refresh_token", "client_credentials"]}));
        accepted(json!({"grant_types": ["client_credentials"], "response_types": [], "redirect_uris": []}));
        refused(json!({"grant_types": []}), "grant_types");
        let none = json!({"grant_types": [], "response_types": [], "redirect_uris": []});
        refused(none.clone(), "grant_types");
        for (introspects, public) in
            [(json!({"resources": ["https://api.example.org/"]}), false), (json!({"introspect_all": true}), true)]
        {
            let mut resource_server = none.as_object().unwrap().clone();
            resource_server.extend(introspects.as_object().unwrap().clone());
            accepted(resource_server.clone().into());
            resource_server.insert("token_endpoint_auth_method".into(), "none".into());
            let errors =
                serde_json::from_value::<Metadata>(resource_server.into()).unwrap().all_errors(Rules::default());
            let keys: Vec<_> = errors.iter().map(|error| error.key).collect();
            assert_eq!(keys, if public { vec!["grant_types", "introspect_all"] } else { vec!["grant_types"] });
        }
        refused(json!({"grant_types": ["refresh_token"], "response_types": []}), "grant_types");
        refused(json!({"grant_types": ["authorization_code", "authorization_code"]}), "grant_types");
        refused(json!({"grant_types": ["client_credentials"]}), "response_types");
        refused(json!({"response_types": []}), "response_types");
        refused(json!({"response_types": ["code", "code"]}), "response_types");
        refused(json!({"response_types": ["code", "id_token"]}), "response_types");
        refused(json!({"redirect_uris": []}), "redirect_uris");
    }

    /// Who a client says it is, and what proves it.
    #[test]
    fn methods_and_credentials_fit_together() {
        accepted(json!({"token_endpoint_auth_method": "private_key_jwt", "jwks": keys(1)}));
        accepted(json!({"token_endpoint_auth_method": "private_key_jwt", "jwks_uri": "https://a.example/jwks"}));
        accepted(json!({"token_endpoint_auth_method": "none"}));
        accepted(json!({"jwks": {"keys": [{"kty": "XYZ"}]}}));
        refused(json!({"token_endpoint_auth_method": "private_key_jwt"}), "jwks");
        refused(json!({"token_endpoint_auth_method": "private_key_jwt", "jwks": {"keys": [{"kty": "XYZ"}]}}), "jwks");
        refused(json!({"jwks": keys(1), "jwks_uri": "https://a.example/jwks"}), "jwks_uri");
        refused(json!({"jwks_uri": "http://a.example/jwks"}), "jwks_uri");
        refused(json!({"jwks": {}}), "jwks");
        refused(json!({"jwks": [1]}), "jwks");
        refused(json!({"jwks": {"keys": [{"kty": "oct", "k": "AAAA"}]}}), "jwks");
        refused(json!({"jwks": keys(51)}), "jwks");
        let both = ["authorization_code", "client_credentials"];
        refused(json!({"token_endpoint_auth_method": "none", "grant_types": both}), "grant_types");
        refused(json!({"token_endpoint_auth_method": "none", "introspect_all": true}), "introspect_all");
        let published = json!({"jwks": {"keys": [{"kid": "TEST-ONLY-a", "kty": "EC", "crv": "P-256",
            "x": "QlZDrGpOH98XOLEUquJsBwwJTenqECunjDu3eiRqSVU", "y": "I9eXDYJ2LsxDePSy9IewZ9UbptxSRTHbtA2lcGIfKL0"}]}});
        refused(published.clone(), "jwks");
        assert_eq!(check(Rules { test_keys: true, ..Rules::default() }, published), Ok(()));
    }

    #[test]
    fn scopes_are_known_and_fit_the_grants() {
        accepted(json!({"scope": "openid profile email address phone provider offline_access"}));
        accepted(json!({"scope": ""}));
        let both = ["authorization_code", "client_credentials"];
        accepted(json!({"scope": "openid unified-login.read", "grant_types": both}));
        refused(json!({"scope": "openid unified-login.read"}), "scope");
        refused(json!({"scope": "openid nap"}), "scope");
        refused(json!({"scope": "open\"id"}), "scope");
        refused(json!({"scope": "openid ".repeat(200)}), "scope");
    }

    #[test]
    fn other_addresses_are_https() {
        for key in [
            "logo_uri",
            "client_uri",
            "policy_uri",
            "tos_uri",
            "initiate_login_uri",
            "backchannel_logout_uri",
            "frontchannel_logout_uri",
        ] {
            let fragment = matches!(key, "logo_uri" | "client_uri" | "policy_uri" | "tos_uri");
            accepted(json!({key: "https://portal.example.org/x?y=z"}));
            refused(json!({key: "http://portal.example.org/x"}), key);
            refused(json!({key: "http://localhost/x"}), key);
            refused(json!({key: "javascript:alert(1)"}), key);
            refused(json!({key: "https://u:p@portal.example.org/x"}), key);
            refused(json!({key: format!("https://portal.example.org/{}", "x".repeat(2048))}), key);
            let with_fragment = json!({key: "https://portal.example.org/x#f"});
            if fragment { accepted(with_fragment) } else { refused(with_fragment, key) }
        }
        // OpenID Connect Front-Channel Logout §2.
        refused(json!({"frontchannel_logout_uri": "https://portal.example.org:8443/x"}), "frontchannel_logout_uri");
        accepted(json!({"backchannel_logout_uri": "https://other.example/x"}));
    }

    /// Whoever filled in a form reads all of it at once.
    #[test]
    fn every_fault_of_every_member_is_said() {
        let whole = json!({
            "redirect_uris": ["ftp://a.example/", "https://a.example/cb", "https://a.example/#x"], "scope": "openid nap doze",
            "client_name": "", "resources": ["api", "https://api.example.org/#x"], "tos_uri": "x", "policy_uri": "y",
            "contacts": ["", "b@example.org", "\n"], "default_max_age": MOST_AGE + 1,
        });
        let errors = serde_json::from_value::<Metadata>(whole).unwrap().all_errors(Rules::default());
        let keys: Vec<_> = errors.iter().map(|error| error.key).collect();
        let wanted = [
            "redirect_uris",
            "redirect_uris",
            "scope",
            "scope",
            "policy_uri",
            "tos_uri",
            "client_name",
            "contacts",
            "default_max_age",
            "resources",
            "resources",
        ];
        assert_eq!(keys, wanted, "{errors:?}");
    }

    /// G22: everything has a number.
    #[test]
    fn everything_is_bounded() {
        let many = |count: usize| vec!["https://a.example/cb"; count];
        accepted(json!({"redirect_uris": many(50)}));
        refused(json!({"redirect_uris": many(51)}), "redirect_uris");
        refused(json!({"redirect_uris": [format!("https://a.example/{}", "x".repeat(2048))]}), "redirect_uris");
        refused(json!({"post_logout_redirect_uris": many(51)}), "post_logout_redirect_uris");
        refused(json!({"client_name": "x".repeat(201)}), "client_name");
        refused(json!({"client_name": ""}), "client_name");
        refused(json!({"client_name": "a\nb"}), "client_name");
        refused(json!({"contacts": vec!["a@example.org"; 11]}), "contacts");
        refused(json!({"contacts": ["x".repeat(256)]}), "contacts");
        refused(json!({"default_acr_values": vec!["a"; 11]}), "default_acr_values");
        refused(json!({"default_acr_values": ["a b"]}), "default_acr_values");
        refused(json!({"default_max_age": MOST_AGE + 1}), "default_max_age");
        accepted(json!({"default_max_age": 0, "resources": ["urn:example:api", "https://api.example.org/"]}));
        refused(json!({"resources": vec!["urn:a"; 21]}), "resources");
        refused(json!({"resources": ["https://api.example.org/#x"]}), "resources");
        refused(json!({"resources": ["api"]}), "resources");
        refused(json!({"jwks": {"keys": [], "x": "x".repeat(MOST_BYTES)}}), "jwks");
        for (client_id, good) in [
            ("portal", true),
            ("Care.Portal_1~x-y", true),
            ("", false),
            ("https://app.example/a b?c=d&e#f", true),
            ("!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~ ", true),
            ("/app", false),
            (" app", false),
            ("a\tb", false),
            ("a\u{7f}", false),
            ("\u{e9}", false),
        ] {
            assert_eq!(check_client_id(client_id).is_ok(), good, "{client_id}");
        }
        assert!(check_client_id(&"x".repeat(255)).is_ok() && check_client_id(&"x".repeat(256)).is_err());
    }
}
