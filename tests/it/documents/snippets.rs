//! The programs on the page of a client are parts of those that tests/clients runs: filled in with a client's values, each line
//! is one of the program's, in its order.

use connect_idp::model::client::kind::ClientKind;
use connect_idp::model::client::{AuthMethod, Metadata};
use scraper::{Html, Selector};

use super::text;
use crate::actors::{Answer, Engine, Idp};
use crate::console::operator::therap_admin;

const ISSUER: &str = "https://connect.example.org";
const API: &str = "https://api.example.org/";

/// A client, a program of its page, the program that is run, what stands there in place of the client's values, and lines
/// that no program that is run needs.
struct Case {
    kind: ClientKind,
    pinned: Option<AuthMethod>,
    id: &'static str,
    program: &'static str,
    in_place_of: &'static [(&'static str, &'static str)],
    own: &'static [&'static str],
}

const CASES: &[Case] = &[
    Case {
        kind: ClientKind::WebApp,
        pinned: None,
        id: "node",
        program: "tests/clients/openid_client/app.mjs",
        in_place_of: &[
            ("new URL(\"https://connect.example.org\"), \"portal\", process.env.", "new URL(ISSUER), CLIENT_ID, "),
            ("\"https://portal.example/callback\"", "`${APP_URL}/callback`"),
            ("\"openid profile email provider\"", "'openid profile email provider'"),
            ("export async function signIn() {", "async 'GET /sign-in'() {"),
            ("export async function callback(", "async 'GET /callback'("),
        ],
        own: &[],
    },
    Case {
        kind: ClientKind::WebApp,
        pinned: None,
        id: "python",
        program: "tests/clients/authlib/app.py",
        in_place_of: &[
            ("redirect, session", "redirect, render_template_string, session"),
            ("\"SESSION_COOKIE_SECURE\"] = True", "\"SESSION_COOKIE_SECURE\"] = APP_URL.startswith(\"https:\")"),
            ("client_id=\"portal\"", "client_id=os.environ[\"CLIENT_ID\"]"),
            ("\"https://connect.example.org/", "os.environ[\"ISSUER\"] + \"/"),
            ("\"https://portal.example/callback\"", "APP_URL + \"/callback\""),
        ],
        own: &["session[\"sub\"] = tokens[\"userinfo\"][\"sub\"]  # Authlib's name for the claims of the ID token"],
    },
    Case {
        kind: ClientKind::WebApp,
        pinned: None,
        id: "rust",
        program: "tests/clients/openidconnect/main.rs",
        in_place_of: &[
            ("\"https://connect.example.org\".into()", "var(\"ISSUER\")?"),
            ("\"portal\".into()", "var(\"CLIENT_ID\")?"),
            ("\"https://portal.example/callback\".into()", "format!(\"{url}/callback\")"),
        ],
        own: &[],
    },
    Case {
        kind: ClientKind::WebApp,
        pinned: None,
        id: "apache",
        program: "tests/clients/apache/apache.conf",
        in_place_of: &[
            (
                "\"https://connect.example.org/.well-known/openid-configuration\"",
                "${ISSUER}/.well-known/openid-configuration",
            ),
            ("\"portal\"", "${CLIENT_ID}"),
            ("\"https://portal.example/callback\"", "${APP_URL}/private/redirect_uri"),
        ],
        own: &[],
    },
    Case {
        kind: ClientKind::SinglePageApp,
        pinned: None,
        id: "browser",
        program: "tests/clients/oidc_client_ts/app.js",
        in_place_of: &[
            ("\"https://connect.example.org\"", "settings.issuer"),
            ("\"portal\"", "settings.clientId"),
            ("\"https://portal.example/signed-in.html\"", "`${here}signed-in.html`"),
            ("\"https://portal.example/signed-out.html\"", "`${here}signed-out.html`"),
            ("\"/signed-in.html\"", "'/signed-in.html'"),
            ("\"/signed-out.html\"", "'/signed-out.html'"),
            ("\"openid profile email provider\"", "'openid profile email provider'"),
        ],
        own: &[],
    },
    Case {
        kind: ClientKind::Service,
        pinned: None,
        id: "curl",
        program: "tests/clients/curl/token.sh",
        in_place_of: CURL,
        own: &[],
    },
    Case {
        kind: ClientKind::Service,
        pinned: Some(AuthMethod::Post),
        id: "curl",
        program: "tests/clients/curl/token_post.sh",
        in_place_of: CURL,
        own: &[],
    },
    Case {
        kind: ClientKind::Service,
        pinned: None,
        id: "node",
        program: "tests/clients/openid_client/service.mjs",
        in_place_of: &[
            ("new URL(\"https://connect.example.org\"), \"portal\", process.env.", "new URL(ISSUER), CLIENT_ID, "),
            ("\"unified-login.read\"", "SCOPE"),
            ("\"https://api.example.org/\"", "RESOURCE"),
        ],
        own: &[],
    },
    Case {
        kind: ClientKind::Service,
        pinned: Some(AuthMethod::Basic),
        id: "node",
        program: "tests/clients/openid_client/service.mjs",
        in_place_of: &[
            ("process.env.", ""),
            ("const config = ", "const pinned = "),
            ("new URL(\"https://connect.example.org\"), \"portal\"", "new URL(ISSUER), PINNED_ID"),
            (
                "const tokens = await client.clientCredentialsGrant(config, ",
                "const pinnedTokens = await client.clientCredentialsGrant(pinned, ",
            ),
            ("\"unified-login.read\", resource: \"https://api.example.org/\"", "SCOPE"),
        ],
        own: &[],
    },
    Case {
        kind: ClientKind::ResourceServer,
        pinned: None,
        id: "curl",
        program: "tests/clients/curl/introspect.sh",
        in_place_of: CURL,
        own: &[],
    },
    Case {
        kind: ClientKind::ResourceServer,
        pinned: None,
        id: "node",
        program: "tests/clients/openid_client/service.mjs",
        in_place_of: &[
            (
                "new URL(\"https://connect.example.org\"), \"portal\", process.env.CLIENT_SECRET",
                "new URL(ISSUER), API_ID, API_SECRET",
            ),
            ("\"https://connect.example.org\"", "ISSUER"),
            ("\"https://api.example.org/\"", "RESOURCE"),
            ("export ", ""),
        ],
        own: &[],
    },
    Case {
        kind: ClientKind::ResourceServer,
        pinned: None,
        id: "spring",
        program: "tests/clients/spring/src/main/java/example/App.java",
        in_place_of: &[
            ("jwtDecoder()", "jwtDecoder(@Value(\"${ISSUER}\") String issuer)"),
            ("\"https://api.example.org/\"", "issuer"),
            ("the client_id of the app that calls", "portal"),
        ],
        own: &["String issuer = \"https://connect.example.org\";"],
    },
];

const CURL: &[(&str, &str)] = &[
    ("\"portal:$CLIENT_SECRET\"", "\"$CLIENT_ID:$CLIENT_SECRET\""),
    ("client_id=portal", "client_id=$CLIENT_ID"),
    ("scope=unified-login.read", "scope=$SCOPE"),
    ("resource=https://api.example.org/", "resource=$RESOURCE"),
    ("https://connect.example.org", "$ISSUER"),
];

/// A client of a kind, with the values that the programs take.
fn fill(kind: ClientKind, pinned: Option<AuthMethod>, metadata: &mut Metadata) {
    let name = metadata.client_name.take();
    *metadata = Metadata { client_name: name, ..kind.metadata() };
    metadata.token_endpoint_auth_method = pinned.or(metadata.token_endpoint_auth_method);
    match kind {
        ClientKind::WebApp | ClientKind::SinglePageApp | ClientKind::NativeApp => {
            metadata.scope = "openid profile email provider".into();
            let page = if kind == ClientKind::WebApp { "callback" } else { "signed-in.html" };
            metadata.redirect_uris = vec![format!("https://portal.example/{page}")];
            metadata.post_logout_redirect_uris = vec!["https://portal.example/signed-out.html".into()];
        }
        ClientKind::Service => metadata.scope = "unified-login.read".into(),
        ClientKind::ResourceServer => {}
    }
    if matches!(kind, ClientKind::Service | ClientKind::ResourceServer) {
        metadata.resources = vec![API.into()];
    }
}

/// The programs of a page, by their ids, as they are copied.
fn programs(page: &Answer) -> Vec<(String, String)> {
    let document = Html::parse_document(&page.body);
    let all = Selector::parse("#connect pre").unwrap();
    let program = |element: scraper::ElementRef| {
        let id = element.value().id().unwrap().strip_prefix("snippet-").unwrap().to_owned();
        (id, element.text().collect::<String>())
    };
    document.select(&all).map(program).collect()
}

/// The lines that do something.
fn lines(program: &str) -> Vec<String> {
    let is_comment = |line: &str| line.starts_with("//") || line.starts_with('#') || line.starts_with("/*");
    let lines = program.lines().map(str::trim).filter(|line| line.contains(char::is_alphabetic) && !is_comment(line));
    lines.map(str::to_owned).collect()
}

#[tokio::test]
async fn each_program_on_the_page_of_a_client_is_part_of_one_that_is_run() {
    let mut compared = Vec::new();
    for case in CASES {
        let idp = Idp::start(Engine::Sqlite).await;
        let (_, mut root) = therap_admin(&idp, "root").await;
        let app = idp.app("portal", |metadata| fill(case.kind, case.pinned, metadata)).await;
        let page = root.get(&format!("/operator/clients/{}", app.client.id)).await;
        assert!(!page.body.contains(&app.secret), "the secret is on no page that can be opened again");
        let all = programs(&page);
        let (_, shown) =
            all.iter().find(|(id, _)| id == case.id).unwrap_or_else(|| panic!("{}: {all:?}", case.program));
        let mut filled = shown.clone();
        for (value, name) in case.in_place_of {
            filled = filled.replace(value, name);
        }
        // How the app in Rust keeps its client and tells of failures is its own affair.
        let run = text(case.program).replace(".map_err(failed)", "").replace("app.client", "client");
        let run = run
            .replace("app.http", "http")
            .replace(".ok_or_else(|| failed(\"no ID token came\"))", ".ok_or(\"no ID token came\")");
        let mut run = lines(&run).into_iter();
        for line in lines(&filled).iter().filter(|line| !case.own.contains(&line.as_str())) {
            assert!(run.any(|other| other == *line), "{} has not (or not there): {line}\n{shown}", case.program);
        }
        compared.extend(case.pinned.is_none().then(|| (case.kind.as_str(), case.id)));
    }
    let idp = Idp::start(Engine::Sqlite).await;
    let (_, mut root) = therap_admin(&idp, "root").await;
    for kind in ClientKind::ALL {
        let app = idp.app(&format!("a-{kind}"), |metadata| fill(*kind, None, metadata)).await;
        let page = root.get(&format!("/operator/clients/{}", app.client.id)).await;
        assert_eq!(page.text("#client-kind"), kind.name());
        assert_eq!(page.text("#discovery"), format!("{ISSUER}/.well-known/openid-configuration"));
        for (id, program) in programs(&page) {
            assert!(!program.trim().is_empty(), "{kind} {id}");
            let is_compared = compared.contains(&(kind.as_str(), id.as_str()));
            assert_eq!(is_compared, *kind != ClientKind::NativeApp, "{kind} {id}");
        }
    }
}

/// RFC 8252: what a native app has to know is said; and a client that is pinned is told how its library does it.
#[tokio::test]
async fn what_no_program_says_is_said() {
    let idp = Idp::start(Engine::Sqlite).await;
    let (_, mut root) = therap_admin(&idp, "root").await;
    let native = |uri: &'static str| {
        move |m: &mut Metadata| {
            fill(ClientKind::NativeApp, None, m);
            (m.redirect_uris, m.post_logout_redirect_uris) = (vec![uri.into()], Vec::new());
        }
    };
    for (name, uri, section) in
        [("loop", "http://127.0.0.1/callback", "§7.3"), ("own", "org.example.app:/callback", "§7.1")]
    {
        let app = idp.app(name, native(uri)).await;
        let page = root.get(&format!("/operator/clients/{}", app.client.id)).await;
        let hints = page.texts("#connect-hints li");
        assert!(hints.len() == 4 && hints[1].contains(section), "{hints:?}");
        assert!(page.text("#snippet-native").contains(uri));
        assert!(!page.has("details#advanced[open]"));
    }
    for (name, pinned, id, how) in [
        ("basic", AuthMethod::Basic, "node", "client.ClientSecretBasic("),
        ("post", AuthMethod::Post, "python", "\"token_endpoint_auth_method\": \"client_secret_post\""),
        ("post-too", AuthMethod::Post, "rust", "set_auth_type(AuthType::RequestBody)"),
        ("post-again", AuthMethod::Post, "apache", "OIDCProviderTokenEndpointAuth client_secret_post"),
    ] {
        let app = idp.app(name, |m| fill(ClientKind::WebApp, Some(pinned), m)).await;
        let page = root.get(&format!("/operator/clients/{}", app.client.id)).await;
        assert!(page.text(&format!("#snippet-{id}")).contains(how), "{id}");
    }
    let signs = |m: &mut Metadata| {
        fill(ClientKind::Service, Some(AuthMethod::PrivateKeyJwt), m);
        m.jwks_uri = Some("https://portal.example/jwks".into());
    };
    let app = idp.app("signs", signs).await;
    let page = root.get(&format!("/operator/clients/{}", app.client.id)).await;
    assert!(!page.has("#snippet-curl") && page.text("#connect-hints").contains("private_key_jwt"));
}
