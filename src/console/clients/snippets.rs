//! What the page of a client gives to its engineers: programs that are filled in with this client's values. Each is a part
//! of one that tests/clients runs, which tests/it/documents/snippets.rs compares. The secret is never in them: they read
//! `CLIENT_SECRET` of the environment.

use askama::Template;
use serde_json::Value;
use url::Url;

use crate::model::address::is_loopback;
use crate::model::client::kind::ClientKind;
use crate::model::client::{AuthMethod, Client, Metadata};
use crate::model::scope::OPENID;

/// All of it.
pub(super) struct Connect {
    pub(super) client_id: String,
    pub(super) discovery: String,
    pub(super) hints: Vec<&'static str>,
    pub(super) snippets: Vec<Snippet>,
}

pub(super) struct Snippet {
    pub(super) id: &'static str,
    pub(super) title: &'static str,
    pub(super) text: String,
}

impl Connect {
    /// For a client of an issuer.
    pub(super) fn of(issuer: &str, client: &Client) -> Self {
        let kind = ClientKind::of(&client.metadata);
        Self {
            client_id: client.client_id.clone(),
            discovery: format!("{issuer}/.well-known/openid-configuration"),
            hints: hints(kind, &client.metadata),
            snippets: snippets(kind, issuer, client),
        }
    }
}

/// What no program says.
fn hints(kind: ClientKind, metadata: &Metadata) -> Vec<&'static str> {
    let mut hints = Vec::new();
    if kind == ClientKind::NativeApp {
        hints.push("Sign people in in the system’s browser, never in a web view of the app (RFC 8252 §8.12).");
        let loopback = |uri: &String| Url::parse(uri).is_ok_and(|url| url.scheme() == "http" && is_loopback(&url));
        hints.push(if metadata.redirect_uris.iter().any(loopback) {
            "Listen on a port that the system gives you, and send it in redirect_uri: of a loopback address the port may be any \
             (§7.3). Close the port after the answer."
        } else {
            "Let the system open the app at its redirect URI: by a link that it claims (§7.2), or a scheme of its own (§7.1)."
        });
        hints.push(
            "Send PKCE with S256, a state and a nonce, and compare iss in the answer with the issuer (§8.1, §8.10).",
        );
        hints.push("It has no secret: what is in an app is in everybody’s hands (§8.5).");
    }
    match metadata.token_endpoint_auth_method {
        Some(AuthMethod::PrivateKeyJwt) => {
            hints.push("It proves itself by a key (private_key_jwt): give the library the private key in place of CLIENT_SECRET.");
        }
        None | Some(AuthMethod::Basic | AuthMethod::Post) if kind == ClientKind::NativeApp => {
            hints.push("This one has a secret all the same: anybody who has the app can read it.");
        }
        None | Some(AuthMethod::Basic | AuthMethod::Post) => {
            hints.push("Put the client secret into the environment variable CLIENT_SECRET, not into the program.");
        }
        Some(AuthMethod::None) => {}
    }
    hints
}

fn snippets(kind: ClientKind, issuer: &str, client: &Client) -> Vec<Snippet> {
    let pinned_to = client.metadata.token_endpoint_auth_method.map_or("", AuthMethod::as_str);
    let metadata = &client.metadata;
    let (has_post_logout, has_resource) =
        (!metadata.post_logout_redirect_uris.is_empty(), !metadata.resources.is_empty());
    let values = |quote| Values::of(issuer, client, quote);
    let (code, shell) = (values(in_code), values(in_shell));
    let snippet = |id, title, text: askama::Result<String>| Snippet { id, title, text: text.unwrap_or_default() };
    match kind {
        ClientKind::WebApp => {
            let apache = values(in_apache);
            vec![
                snippet("node", "Node, openid-client", OpenidClient { is: &code, pinned_to }.render()),
                snippet("python", "Python, Authlib with Flask", Authlib { is: &code, pinned_to }.render()),
                snippet("rust", "Rust, openidconnect", Openidconnect { is: &code, pinned_to }.render()),
                snippet("apache", "Apache, mod_auth_openidc", Apache { is: &apache, pinned_to }.render()),
            ]
        }
        ClientKind::SinglePageApp => {
            vec![snippet(
                "browser",
                "In the browser, oidc-client-ts",
                OidcClientTs { is: &code, has_post_logout }.render(),
            )]
        }
        ClientKind::NativeApp => {
            vec![snippet("native", "Settings, for AppAuth and its like", Native { is: &values(as_it_is) }.render())]
        }
        // Who signs assertions needs a library.
        ClientKind::Service => vec![
            snippet("curl", "curl", Token { is: &shell, pinned_to, has_resource }.render()),
            snippet("node", "Node, openid-client", Service { is: &code, pinned_to, has_resource }.render()),
        ]
        .split_off(usize::from(!metadata.has_secret())),
        ClientKind::ResourceServer => vec![
            snippet("curl", "Introspection, curl", Introspect { is: &shell, pinned_to }.render()),
            snippet("node", "Introspection and at+jwt, Node", ResourceServer { is: &code, pinned_to }.render()),
            snippet("spring", "at+jwt, Spring Security", Spring { is: &code }.render()),
        ]
        .split_off(usize::from(!metadata.has_secret())),
    }
}

/// A client's values as literals of a language.
struct Values {
    issuer: String,
    discovery: String,
    client_id: String,
    redirect_uri: String,
    callback_path: String,
    post_logout: String,
    post_logout_path: String,
    scope: String,
    /// A literal for each but `openid`, which libraries add.
    scopes: String,
    resource: String,
    token_endpoint: String,
    introspection_endpoint: String,
    client_id_field: String,
    scope_field: String,
    resource_field: String,
    basic: String,
}

impl Values {
    fn of(issuer: &str, client: &Client, quote: fn(&str) -> String) -> Self {
        let metadata = &client.metadata;
        let first = |list: &[String]| list.first().cloned().unwrap_or_default();
        let path = |uri: &str| Url::parse(uri).map(|url| url.path().to_owned()).unwrap_or_default();
        let (redirect_uri, post_logout) = (first(&metadata.redirect_uris), first(&metadata.post_logout_redirect_uris));
        let resource = match first(&metadata.resources) {
            // What a JWT access token without a resource is for.
            none if none.is_empty() => issuer.to_owned(),
            resource => resource,
        };
        let others = metadata.scope.split(' ').filter(|name| !name.is_empty() && *name != OPENID);
        // RFC 6749 §2.3.1: both halves of HTTP Basic are form-encoded; a secret of ours stays as it is.
        let encoded: String = url::form_urlencoded::byte_serialize(client.client_id.as_bytes()).collect();
        Self {
            issuer: quote(issuer),
            discovery: quote(&format!("{issuer}/.well-known/openid-configuration")),
            client_id: quote(&client.client_id),
            callback_path: quote(&path(&redirect_uri)),
            redirect_uri: quote(&redirect_uri),
            post_logout_path: quote(&path(&post_logout)),
            post_logout: quote(&post_logout),
            scope: quote(&metadata.scope),
            scopes: others.map(quote).collect::<Vec<_>>().join(", "),
            token_endpoint: quote(&format!("{issuer}/oauth2/token")),
            introspection_endpoint: quote(&format!("{issuer}/oauth2/introspect")),
            client_id_field: quote(&format!("client_id={}", client.client_id)),
            scope_field: quote(&format!("scope={}", metadata.scope)),
            resource_field: quote(&format!("resource={resource}")),
            resource: quote(&resource),
            basic: format!("\"{encoded}:$CLIENT_SECRET\""),
        }
    }
}

/// A text of JavaScript, Python, Rust and Java.
fn in_code(text: &str) -> String {
    Value::from(text).to_string()
}

/// An argument of a POSIX shell.
fn in_shell(text: &str) -> String {
    let mut quoted = String::from('"');
    for c in text.chars() {
        if matches!(c, '"' | '\\' | '$' | '`') {
            quoted.push('\\');
        }
        quoted.push(c);
    }
    quoted + "\""
}

/// An argument of a directive of Apache's.
fn in_apache(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

fn as_it_is(text: &str) -> String {
    text.to_owned()
}

macro_rules! template {
    ($name:ident, $path:tt, $($field:ident: $type:ty),*) => {
        #[derive(Template)]
        #[template(path = $path, escape = "none")]
        struct $name<'a> {
            is: &'a Values,
            $($field: $type,)*
        }
    };
}

template!(OpenidClient, "console/clients/snippets/openid_client.mjs", pinned_to: &'a str);
template!(Authlib, "console/clients/snippets/authlib.py", pinned_to: &'a str);
template!(Openidconnect, "console/clients/snippets/openidconnect.rs", pinned_to: &'a str);
template!(Apache, "console/clients/snippets/apache.conf", pinned_to: &'a str);
template!(OidcClientTs, "console/clients/snippets/oidc_client_ts.js", has_post_logout: bool);
template!(Native, "console/clients/snippets/native.txt",);
template!(Token, "console/clients/snippets/token.sh", pinned_to: &'a str, has_resource: bool);
template!(Service, "console/clients/snippets/service.mjs", pinned_to: &'a str, has_resource: bool);
template!(Introspect, "console/clients/snippets/introspect.sh", pinned_to: &'a str);
template!(ResourceServer, "console/clients/snippets/resource_server.mjs", pinned_to: &'a str);
template!(Spring, "console/clients/snippets/spring.java",);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_a_client_is_called_stays_one_text() {
        let name = "a\"b'c$d`e\\f{{ g }}";
        assert_eq!(in_code(name), r#""a\"b'c$d`e\\f{{ g }}""#);
        assert_eq!(in_shell(name), r#""a\"b'c\$d\`e\\f{{ g }}""#);
        assert_eq!(in_apache(name), r#""a\"b'c$d`e\\f{{ g }}""#);
    }
}
