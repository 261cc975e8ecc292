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

type Checked = Result<(), ValidationError>;

impl Metadata {
    /// Checks the whole: each member alone, then those that must fit together.
    ///
    /// # Errors
    /// The first member that is not accepted; [`error_code`] names its kind.
    pub fn check(&self, rules: Rules) -> Checked {
        self.all_errors(rules).into_iter().next().map_or(Ok(()), Err)
    }

    /// What of the whole is not accepted, one member of each kind at most.
    #[must_use]
    pub fn all_errors(&self, rules: Rules) -> Vec<ValidationError> {
        let checked = [
            self.check_redirects(rules),
            self.check_grants(),
            self.check_credentials(rules),
            self.check_scope(),
            self.check_addresses(rules),
            self.check_rest(),
        ];
        checked.into_iter().filter_map(Result::err).collect()
    }

    fn check_redirects(&self, rules: Rules) -> Checked {
        for (key, uris) in
            [("redirect_uris", &self.redirect_uris), ("post_logout_redirect_uris", &self.post_logout_redirect_uris)]
        {
            if uris.len() > MOST_URIS {
                return Err(ValidationError::new(key, format!("holds more than {MOST_URIS} addresses")));
            }
            for uri in uris {
                check_redirect(uri, self.application_type, rules).map_err(|why| ValidationError::new(key, why))?;
            }
        }
        if self.redirect_uris.is_empty() && self.may(GrantType::AuthorizationCode) {
            return Err(ValidationError::new(
                "redirect_uris",
                "is empty: a client that signs people in needs at least one",
            ));
        }
        Ok(())
    }

    /// RFC 7591 §2.1.
    fn check_grants(&self) -> Checked {
        let mut seen: Vec<GrantType> = Vec::new();
        for grant in &self.grant_types {
            if seen.contains(grant) {
                return Err(ValidationError::new("grant_types", format!("holds {grant} twice")));
            }
            seen.push(*grant);
        }
        if seen.is_empty() {
            return Err(ValidationError::new("grant_types", "is empty: without any the client can do nothing"));
        }
        let code = self.may(GrantType::AuthorizationCode);
        if self.may(GrantType::RefreshToken) && !code {
            return Err(ValidationError::new(
                "grant_types",
                "holds refresh_token without authorization_code, which alone gives one",
            ));
        }
        if let Some(other) = self.response_types.iter().find(|name| *name != "code") {
            return Err(ValidationError::new(
                "response_types",
                format!("holds {}: only \"code\" is supported", shown(other)),
            ));
        }
        match (code, self.response_types.len()) {
            (true, 1) | (false, 0) => Ok(()),
            (true, 0) => Err(ValidationError::new(
                "response_types",
                "must hold \"code\", as grant_types holds authorization_code",
            )),
            (true, _) => Err(ValidationError::new("response_types", "holds \"code\" twice")),
            (false, _) => Err(ValidationError::new(
                "response_types",
                "must be empty, as grant_types does not hold authorization_code",
            )),
        }
    }

    fn check_credentials(&self, rules: Rules) -> Checked {
        if self.jwks.is_some() && self.jwks_uri.is_some() {
            return Err(ValidationError::new("jwks_uri", "stands beside jwks: give one of the two"));
        }
        if let Some(address) = &self.jwks_uri {
            check_web("jwks_uri", address, rules)?;
        }
        let signs = self.token_endpoint_auth_method == Some(AuthMethod::PrivateKeyJwt);
        if let Some(jwks) = &self.jwks {
            let text = jwks.to_string();
            if text.len() > MOST_BYTES {
                return Err(ValidationError::new("jwks", format!("is longer than {MOST_BYTES} bytes")));
            }
            let keys = read_keys(&text, rules).map_err(|why| ValidationError::new("jwks", why))?;
            if signs && keys.is_empty() {
                let why = keys.skipped().first().map(|why| format!(": {why}")).unwrap_or_default();
                return Err(ValidationError::new(
                    "jwks",
                    format!("holds no key that can verify the client's assertions{why}"),
                ));
            }
        }
        if signs && self.jwks.is_none() && self.jwks_uri.is_none() {
            return Err(ValidationError::new(
                "jwks",
                "is missing, and so is jwks_uri: private_key_jwt needs one of the two",
            ));
        }
        if self.is_public() && self.may(GrantType::ClientCredentials) {
            return Err(ValidationError::new(
                "grant_types",
                "holds client_credentials, but a client without credentials has none",
            ));
        }
        if self.is_public() && self.introspect_all {
            return Err(ValidationError::new(
                "introspect_all",
                "is on, but a client without credentials may introspect nothing",
            ));
        }
        Ok(())
    }

    fn check_scope(&self) -> Checked {
        let invalid = |why: String| Err(ValidationError::new("scope", why));
        if self.scope.len() > 1000 {
            return invalid("must be at most 1000 characters".into());
        }
        let Some(scopes) = Scope::parse(&self.scope) else {
            return invalid("must be names with single spaces between them".into());
        };
        if let Some(name) = scopes.names().find(|name| !scope::is_known(name)) {
            return invalid(format!("holds {}, which is no scope here", shown(name)));
        }
        match scopes.names().find(|name| scope::is_for_clients(name)) {
            Some(name) if !self.may(GrantType::ClientCredentials) => {
                invalid(format!("holds {name}, which needs client_credentials among grant_types"))
            }
            _ => Ok(()),
        }
    }

    fn check_addresses(&self, rules: Rules) -> Checked {
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
            let url = check_web(key, address, rules)?;
            if bare && url.fragment().is_some() {
                return Err(ValidationError::new(key, format!("holds {}, an address with a fragment", shown(address))));
            }
        }
        let Some(logout) = self.frontchannel_logout_uri.as_deref().and_then(|text| Url::parse(text).ok()) else {
            return Ok(());
        };
        // OpenID Connect Front-Channel Logout §2: scheme, host and port are those of a redirect URI.
        let beside = |uri: &String| Url::parse(uri).is_ok_and(|url| url.origin() == logout.origin());
        if !self.redirect_uris.iter().any(beside) {
            let why = "must have scheme, host and port of one of the redirect_uris";
            return Err(ValidationError::new("frontchannel_logout_uri", why));
        }
        Ok(())
    }

    fn check_rest(&self) -> Checked {
        if let Some(name) = &self.client_name {
            check_line(name, 200).map_err(|why| ValidationError::new("client_name", why))?;
        }
        for (key, words) in [("contacts", &self.contacts), ("default_acr_values", &self.default_acr_values)] {
            if words.len() > MOST_WORDS {
                return Err(ValidationError::new(key, format!("holds more than {MOST_WORDS} values")));
            }
            for word in words {
                check_line(word, 255).map_err(|why| ValidationError::new(key, format!("each value {why}")))?;
            }
        }
        if self.default_acr_values.iter().any(|word| word.contains(' ')) {
            return Err(ValidationError::new("default_acr_values", "each value must be one word"));
        }
        if self.default_max_age.is_some_and(|age| age > MOST_AGE) {
            return Err(ValidationError::new("default_max_age", format!("must be at most {MOST_AGE} seconds")));
        }
        if self.resources.len() > MOST_RESOURCES {
            return Err(ValidationError::new("resources", format!("holds more than {MOST_RESOURCES} addresses")));
        }
        for resource in &self.resources {
            // RFC 8707 §2: an absolute URI without a fragment.
            let url = address::absolute(resource).map_err(|why| ValidationError::new("resources", why))?;
            if url.fragment().is_some() {
                return Err(ValidationError::new(
                    "resources",
                    format!("holds {}, an address with a fragment", shown(resource)),
                ));
            }
        }
        Ok(())
    }
}

fn check_web(key: &'static str, text: &str, rules: Rules) -> Result<Url, ValidationError> {
    address::web(text, rules.loopback_http).map_err(|why| ValidationError::new(key, why))
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
