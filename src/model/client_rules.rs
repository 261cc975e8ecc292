//! What the metadata of a client must be (RFC 7591 §2, OpenID Connect Registration §2, RFC 8252 for native ones). Pure:
//! what has to be fetched is judged by whoever fetches it.

use url::Url;

use super::address::{self, is_loopback, shown};
use super::client::{ApplicationType, AuthMethod, GrantType, Metadata};
use super::scope::{self, CLIENT_SCOPES, Scope};
use super::text::check_line;
use super::unfit::Unfit;
use crate::crypto::client_keys::{ClientKeys, MOST_BYTES};

/// Which comforts of testing the configuration allows.
#[derive(Clone, Copy, Debug, Default)]
pub struct Rules {
    /// http for loopback hosts.
    pub loopback_http: bool,
    /// Published test keys.
    pub test_keys: bool,
}

/// A client has at most so many redirect URIs, and as many addresses to go to after a logout.
const MOST_URIS: usize = 50;
const MOST_RESOURCES: usize = 20;
const MOST_WORDS: usize = 10;
/// `default_max_age` at most: ten years.
const MOST_AGE: u64 = 10 * 366 * 24 * 3600;

/// The error code of RFC 7591 §3.2.2 for metadata that are refused.
#[must_use]
pub fn error_code(unfit: &Unfit) -> &'static str {
    if unfit.key == "redirect_uris" { "invalid_redirect_uri" } else { "invalid_client_metadata" }
}

/// Judges a `client_id`: what stands unencoded in an address and in HTTP Basic.
///
/// # Errors
/// What it must be.
pub fn check_client_id(client_id: &str) -> Result<(), Unfit> {
    let legal = |b: u8| b.is_ascii_alphanumeric() || b"._~-".contains(&b);
    let good = (1..=255).contains(&client_id.len()) && client_id.bytes().all(legal);
    good.then_some(())
        .ok_or_else(|| Unfit::new("client_id", "must be 1 to 255 of A-Z, a-z, 0-9, '.', '_', '~' and '-'"))
}

/// Reads a client's JWK Set under the house's rules: published test keys open no door that matters (G21).
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

type Judged = Result<(), Unfit>;

impl Metadata {
    /// Judges the whole: each member by itself, then those that must fit together.
    ///
    /// # Errors
    /// The first member that is not accepted; [`error_code`] names its kind.
    pub fn check(&self, rules: Rules) -> Judged {
        self.check_redirects(rules)?;
        self.check_grants()?;
        self.check_credentials(rules)?;
        self.check_scope()?;
        self.check_addresses(rules)?;
        self.check_rest()
    }

    /// Whether an answer may go to this address: it is a registered one, byte for byte; a native client's port on a
    /// loopback address is whatever was free (RFC 8252 §7.3).
    #[must_use]
    pub fn allows_redirect(&self, uri: &str) -> bool {
        let native = self.application_type == ApplicationType::Native;
        let same = |own: &String| {
            own == uri
                || (native
                    && loopback_without_port(own).is_some()
                    && loopback_without_port(own) == loopback_without_port(uri))
        };
        self.redirect_uris.iter().any(same)
    }

    fn check_redirects(&self, rules: Rules) -> Judged {
        for (key, uris) in
            [("redirect_uris", &self.redirect_uris), ("post_logout_redirect_uris", &self.post_logout_redirect_uris)]
        {
            if uris.len() > MOST_URIS {
                return Err(Unfit::new(key, format!("holds more than {MOST_URIS} addresses")));
            }
            for uri in uris {
                check_redirect(uri, self.application_type, rules).map_err(|why| Unfit::new(key, why))?;
            }
        }
        if self.redirect_uris.is_empty() && self.may(GrantType::AuthorizationCode) {
            return Err(Unfit::new("redirect_uris", "is empty: a client that signs people in needs at least one"));
        }
        Ok(())
    }

    /// RFC 7591 §2.1.
    fn check_grants(&self) -> Judged {
        let mut seen: Vec<GrantType> = Vec::new();
        for grant in &self.grant_types {
            if seen.contains(grant) {
                return Err(Unfit::new("grant_types", format!("holds {grant} twice")));
            }
            seen.push(*grant);
        }
        if seen.is_empty() {
            return Err(Unfit::new("grant_types", "is empty: without any the client can do nothing"));
        }
        let code = self.may(GrantType::AuthorizationCode);
        if self.may(GrantType::RefreshToken) && !code {
            return Err(Unfit::new(
                "grant_types",
                "holds refresh_token without authorization_code, which alone gives one",
            ));
        }
        if let Some(other) = self.response_types.iter().find(|name| *name != "code") {
            return Err(Unfit::new("response_types", format!("holds {}: only \"code\" is supported", shown(other))));
        }
        match (code, self.response_types.len()) {
            (true, 1) | (false, 0) => Ok(()),
            (true, 0) => {
                Err(Unfit::new("response_types", "must hold \"code\", as grant_types holds authorization_code"))
            }
            (true, _) => Err(Unfit::new("response_types", "holds \"code\" twice")),
            (false, _) => {
                Err(Unfit::new("response_types", "must be empty, as grant_types does not hold authorization_code"))
            }
        }
    }

    fn check_credentials(&self, rules: Rules) -> Judged {
        if self.jwks.is_some() && self.jwks_uri.is_some() {
            return Err(Unfit::new("jwks_uri", "stands beside jwks: give one of the two"));
        }
        if let Some(address) = &self.jwks_uri {
            check_web("jwks_uri", address, rules)?;
        }
        let method = self.token_endpoint_auth_method;
        let signs = method == AuthMethod::PrivateKeyJwt;
        if let Some(jwks) = &self.jwks {
            let text = jwks.to_string();
            if text.len() > MOST_BYTES {
                return Err(Unfit::new("jwks", format!("is longer than {MOST_BYTES} bytes")));
            }
            let keys = read_keys(&text, rules).map_err(|why| Unfit::new("jwks", why))?;
            if signs && keys.is_empty() {
                let why = keys.skipped().first().map(|why| format!(": {why}")).unwrap_or_default();
                return Err(Unfit::new("jwks", format!("holds no key that can verify the client's assertions{why}")));
            }
        }
        if signs && self.jwks.is_none() && self.jwks_uri.is_none() {
            return Err(Unfit::new("jwks", "is missing, and so is jwks_uri: private_key_jwt needs one of the two"));
        }
        if self.is_public() && self.may(GrantType::ClientCredentials) {
            return Err(Unfit::new(
                "grant_types",
                "holds client_credentials, but a client without credentials has none",
            ));
        }
        Ok(())
    }

    fn check_scope(&self) -> Judged {
        let unfit = |why: String| Err(Unfit::new("scope", why));
        if self.scope.len() > 1000 {
            return unfit("must be at most 1000 characters".into());
        }
        let Some(scopes) = Scope::parse(&self.scope) else {
            return unfit("must be names with single spaces between them".into());
        };
        if let Some(name) = scopes.names().find(|name| !scope::is_known(name)) {
            return unfit(format!("holds {}, which is no scope here", shown(name)));
        }
        match scopes.names().find(|name| CLIENT_SCOPES.contains(name)) {
            Some(name) if !self.may(GrantType::ClientCredentials) => {
                unfit(format!("holds {name}, which needs client_credentials among grant_types"))
            }
            _ => Ok(()),
        }
    }

    fn check_addresses(&self, rules: Rules) -> Judged {
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
                return Err(Unfit::new(key, format!("holds {}, an address with a fragment", shown(address))));
            }
        }
        let Some(logout) = self.frontchannel_logout_uri.as_deref().and_then(|text| Url::parse(text).ok()) else {
            return Ok(());
        };
        // OpenID Connect Front-Channel Logout §2: scheme, host and port are those of a redirect URI.
        let beside = |uri: &String| Url::parse(uri).is_ok_and(|url| url.origin() == logout.origin());
        if !self.redirect_uris.iter().any(beside) {
            let why = "must have scheme, host and port of one of the redirect_uris";
            return Err(Unfit::new("frontchannel_logout_uri", why));
        }
        Ok(())
    }

    fn check_rest(&self) -> Judged {
        if let Some(name) = &self.client_name {
            check_line(name, 200).map_err(|why| Unfit::new("client_name", why))?;
        }
        for (key, words) in [("contacts", &self.contacts), ("default_acr_values", &self.default_acr_values)] {
            if words.len() > MOST_WORDS {
                return Err(Unfit::new(key, format!("holds more than {MOST_WORDS} values")));
            }
            for word in words {
                check_line(word, 255).map_err(|why| Unfit::new(key, format!("each value {why}")))?;
            }
        }
        if self.default_acr_values.iter().any(|word| word.contains(' ')) {
            return Err(Unfit::new("default_acr_values", "each value must be one word"));
        }
        if self.default_max_age.is_some_and(|age| age > MOST_AGE) {
            return Err(Unfit::new("default_max_age", format!("must be at most {MOST_AGE} seconds")));
        }
        if self.resources.len() > MOST_RESOURCES {
            return Err(Unfit::new("resources", format!("holds more than {MOST_RESOURCES} addresses")));
        }
        for resource in &self.resources {
            // RFC 8707 §2: an absolute URI without a fragment.
            let url = address::absolute(resource).map_err(|why| Unfit::new("resources", why))?;
            if url.fragment().is_some() {
                return Err(Unfit::new("resources", format!("holds {}, an address with a fragment", shown(resource))));
            }
        }
        Ok(())
    }
}

fn check_web(key: &'static str, text: &str, rules: Rules) -> Result<Url, Unfit> {
    address::web(text, rules.loopback_http).map_err(|why| Unfit::new(key, why))
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

/// Host and what follows the port, of http to a loopback address.
fn loopback_without_port(uri: &str) -> Option<(&str, &str)> {
    let rest = uri.strip_prefix("http://")?;
    let host = ["127.0.0.1", "[::1]"].into_iter().find(|host| rest.starts_with(host))?;
    let rest = &rest[host.len()..];
    let Some(port) = rest.strip_prefix(':') else {
        return (rest.is_empty() || rest.starts_with(['/', '?'])).then_some((host, rest));
    };
    let end = port.find(['/', '?']).unwrap_or(port.len());
    let number = port[..end].parse::<u16>().ok().filter(|_| port.as_bytes()[..end].iter().all(u8::is_ascii_digit));
    number.map(|_| (host, &port[end..]))
}
