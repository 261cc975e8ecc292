//! Who reaches which admin page: every route × everybody × own, foreign and unknown objects, from one table. What is
//! foreign is answered as what is unknown (G15), and a route without a row fails.

use std::collections::BTreeSet;

use axum::http::Method;
use connect_idp::crypto::jws::Algorithm;
use connect_idp::model::user::UserType;
use connect_idp::operations::keys::in_use;

use crate::actors::{Answer, Browser, Idp, User, encode, twenty_at_once};

/// Whose page it is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Side {
    ProviderAdmin,
    TherapAdmin,
}
use Side::{ProviderAdmin as Provider, TherapAdmin as Therap};

/// What the `{id}` in a path names.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Object {
    Nothing,
    User,
    Provider,
    Issuer,
    Client,
    Import,
}
use Object::{
    Client as AClient, Import as AnImport, Issuer as AnIssuer, Nothing, Provider as AProvider, User as AUser,
};

type Row = (&'static str, &'static str, Side, Object, &'static [(&'static str, &'static str)]);

/// Method, path, whose, of what, with which fields.
const TABLE: &[Row] = &[
    ("GET", "/admin/users", Provider, Nothing, &[]),
    ("GET", "/admin/users/selected/lock", Provider, Nothing, &[]),
    ("POST", "/admin/users/selected/lock", Provider, Nothing, &[]),
    ("GET", "/admin/users/selected/unlock", Provider, Nothing, &[]),
    ("POST", "/admin/users/selected/unlock", Provider, Nothing, &[]),
    ("GET", "/admin/users/selected/end-sessions", Provider, Nothing, &[]),
    ("POST", "/admin/users/selected/end-sessions", Provider, Nothing, &[]),
    ("GET", "/admin/users/selected/reset-password", Provider, Nothing, &[]),
    ("POST", "/admin/users/selected/reset-password", Provider, Nothing, &[]),
    ("GET", "/admin/users/new", Provider, Nothing, &[]),
    ("POST", "/admin/users/new", Provider, Nothing, &[]),
    ("GET", "/admin/users/import", Provider, Nothing, &[]),
    ("POST", "/admin/users/import", Provider, Nothing, &[]),
    ("GET", "/admin/users/import/template", Provider, Nothing, &[]),
    ("GET", "/admin/users/import/{id}", Provider, AnImport, &[]),
    ("GET", "/admin/users/import/{id}/report", Provider, AnImport, &[]),
    ("POST", "/admin/users/import/{id}/report", Provider, AnImport, &[]),
    ("GET", "/admin/users/import/{id}/slips", Provider, AnImport, &[]),
    ("POST", "/admin/users/import/{id}/slips", Provider, AnImport, &[]),
    ("GET", "/admin/users/export", Provider, Nothing, &[]),
    ("GET", "/admin/users/{id}", Provider, AUser, &[]),
    ("POST", "/admin/users/{id}", Provider, AUser, &[("name", "A"), ("user_type", "Regular User"), ("revision", "1")]),
    ("GET", "/admin/users/{id}/lock", Provider, AUser, &[]),
    ("POST", "/admin/users/{id}/lock", Provider, AUser, &[]),
    ("POST", "/admin/users/{id}/unlock", Provider, AUser, &[("lock", "admin")]),
    ("GET", "/admin/users/{id}/deactivate", Provider, AUser, &[]),
    ("POST", "/admin/users/{id}/deactivate", Provider, AUser, &[]),
    ("POST", "/admin/users/{id}/reactivate", Provider, AUser, &[]),
    ("GET", "/admin/users/{id}/reset-password", Provider, AUser, &[]),
    ("POST", "/admin/users/{id}/reset-password", Provider, AUser, &[]),
    ("GET", "/admin/users/{id}/end-sessions", Provider, AUser, &[]),
    ("POST", "/admin/users/{id}/end-sessions", Provider, AUser, &[]),
    ("POST", "/admin/users/{id}/send-verification", Provider, AUser, &[]),
    ("POST", "/admin/users/{id}/check-email", Provider, AUser, &[("email", "amina@example.org")]),
    ("POST", "/admin/users/{id}/invite", Provider, AUser, &[]),
    ("GET", "/admin/users/{id}/untie", Provider, AUser, &[("issuer", "https://secure.example.net")]),
    ("POST", "/admin/users/{id}/untie", Provider, AUser, &[("issuer", "https://secure.example.net")]),
    ("GET", "/admin/activity", Provider, Nothing, &[]),
    ("GET", "/admin/activity/export", Provider, Nothing, &[]),
    ("GET", "/admin/provider", Provider, Nothing, &[]),
    ("POST", "/admin/provider", Provider, Nothing, &[]),
    ("POST", "/admin/provider/request", Provider, Nothing, &[]),
    ("POST", "/admin/provider/withdraw", Provider, Nothing, &[]),
    ("GET", "/operator", Therap, Nothing, &[]),
    ("GET", "/operator/export", Therap, Nothing, &[]),
    ("GET", "/operator/requests", Therap, Nothing, &[]),
    ("POST", "/operator/requests/{id}", Therap, AProvider, &[("decision", "approve")]),
    ("GET", "/operator/requests/{id}/approve", Therap, AProvider, &[]),
    ("POST", "/operator/requests/{id}/approve", Therap, AProvider, &[]),
    ("GET", "/operator/providers", Therap, Nothing, &[]),
    ("GET", "/operator/providers/new", Therap, Nothing, &[]),
    ("POST", "/operator/providers/new", Therap, Nothing, &[]),
    ("GET", "/operator/providers/{id}", Therap, AProvider, &[]),
    ("POST", "/operator/providers/{id}", Therap, AProvider, &[]),
    ("POST", "/operator/providers/{id}/activate", Therap, AProvider, &[]),
    ("GET", "/operator/providers/{id}/deactivate", Therap, AProvider, &[]),
    ("POST", "/operator/providers/{id}/deactivate", Therap, AProvider, &[]),
    ("GET", "/operator/providers/{id}/end-sessions", Therap, AProvider, &[]),
    ("POST", "/operator/providers/{id}/end-sessions", Therap, AProvider, &[]),
    ("POST", "/operator/providers/{id}/unlock-all", Therap, AProvider, &[]),
    ("GET", "/operator/providers/{id}/switch-off", Therap, AProvider, &[]),
    ("POST", "/operator/providers/{id}/switch-off", Therap, AProvider, &[]),
    ("POST", "/operator/providers/{id}/admins", Therap, AProvider, &[]),
    ("GET", "/operator/providers/{id}/reset-password", Therap, AProvider, &[("user", PIA)]),
    ("POST", "/operator/providers/{id}/reset-password", Therap, AProvider, &[("user", PIA)]),
    ("GET", "/operator/providers/{id}/users", Therap, AProvider, &[]),
    ("GET", "/operator/providers/{id}/users/{user}", Therap, AProvider, &[]),
    ("GET", "/operator/providers/{id}/users/{user}/unlock", Therap, AProvider, &[("lock", "admin")]),
    ("POST", "/operator/providers/{id}/users/{user}/unlock", Therap, AProvider, &[("lock", "admin")]),
    ("GET", "/operator/providers/{id}/users/{user}/end-sessions", Therap, AProvider, &[]),
    ("POST", "/operator/providers/{id}/users/{user}/end-sessions", Therap, AProvider, &[]),
    ("GET", "/operator/clients", Therap, Nothing, &[]),
    ("GET", "/operator/clients/new", Therap, Nothing, &[]),
    ("POST", "/operator/clients/new", Therap, Nothing, &[]),
    ("GET", "/operator/clients/{id}", Therap, AClient, &[]),
    ("POST", "/operator/clients/{id}", Therap, AClient, &[]),
    ("GET", "/operator/clients/{id}/rotate-secret", Therap, AClient, &[]),
    ("POST", "/operator/clients/{id}/rotate-secret", Therap, AClient, &[]),
    ("GET", "/operator/clients/{id}/disable", Therap, AClient, &[]),
    ("POST", "/operator/clients/{id}/disable", Therap, AClient, &[]),
    ("GET", "/operator/clients/{id}/enable", Therap, AClient, &[]),
    ("POST", "/operator/clients/{id}/enable", Therap, AClient, &[]),
    ("GET", "/operator/clients/{id}/delete", Therap, AClient, &[]),
    ("POST", "/operator/clients/{id}/delete", Therap, AClient, &[]),
    ("GET", "/operator/deliveries", Therap, Nothing, &[]),
    ("GET", "/operator/keys", Therap, Nothing, &[]),
    ("POST", "/operator/keys/rotate", Therap, Nothing, &[("alg", "ES256")]),
    ("GET", "/operator/keys/rotate-at-once", Therap, Nothing, &[("alg", "ES256")]),
    ("POST", "/operator/keys/rotate-at-once", Therap, Nothing, &[("alg", "ES256")]),
    ("GET", "/operator/keys/retire", Therap, Nothing, &[("kid", KID)]),
    ("POST", "/operator/keys/retire", Therap, Nothing, &[("kid", KID)]),
    ("GET", "/operator/issuers", Therap, Nothing, &[]),
    ("GET", "/operator/issuers/new", Therap, Nothing, &[]),
    ("POST", "/operator/issuers/new", Therap, Nothing, &[]),
    ("GET", "/operator/issuers/{id}", Therap, AnIssuer, &[]),
    ("POST", "/operator/issuers/{id}", Therap, AnIssuer, &[]),
    ("GET", "/operator/issuers/{id}/disable", Therap, AnIssuer, &[]),
    ("POST", "/operator/issuers/{id}/disable", Therap, AnIssuer, &[]),
    ("GET", "/operator/issuers/{id}/enable", Therap, AnIssuer, &[]),
    ("POST", "/operator/issuers/{id}/enable", Therap, AnIssuer, &[]),
    ("GET", "/operator/issuers/{id}/end-sessions", Therap, AnIssuer, &[]),
    ("POST", "/operator/issuers/{id}/end-sessions", Therap, AnIssuer, &[]),
    ("GET", "/operator/issuers/{id}/untie", Therap, AnIssuer, &[]),
    ("POST", "/operator/issuers/{id}/untie", Therap, AnIssuer, &[]),
    ("GET", "/operator/activity", Therap, Nothing, &[]),
    ("GET", "/operator/activity/export", Therap, Nothing, &[]),
];

/// Stands in a field for the id of the Provider Admin elsewhere.
const PIA: &str = "(pia)";
/// Stands in a field for one of our signing keys.
const KID: &str = "(kid)";

const UNKNOWN: &str = "01900000-0000-7000-8000-000000000000";

struct Cast {
    nobody: Browser,
    regular: Browser,
    here: Browser,
    elsewhere: Browser,
    therap: Browser,
    own: User,
    foreign: User,
    pia: User,
    issuer: String,
    client: String,
    kid: String,
}

async fn cast(idp: &Idp) -> Cast {
    idp.provider("OTHER", |_| {}).await;
    let pia = idp.user("pia").of("OTHER").user_type(UserType::ProviderAdmin).create().await;
    let issuer = idp.trust("https://other.example.net", |_| {}).await.id;
    let client = idp.app("portal", |_| {}).await.client.id;
    let own = idp.user("amina").create().await;
    let signed_in = async |user: User| {
        let mut browser = idp.browser();
        browser.sign_in(&user).await;
        browser
    };
    Cast {
        nobody: idp.browser(),
        regular: signed_in(idp.user("rita").create().await).await,
        here: signed_in(idp.user("paul").user_type(UserType::ProviderAdmin).create().await).await,
        elsewhere: signed_in(pia.clone()).await,
        therap: signed_in(idp.user("root").of("THERAP").user_type(UserType::TherapAdmin).create().await).await,
        foreign: idp.user("carla").of("OTHER").create().await,
        own,
        pia,
        issuer,
        client,
        kid: in_use::signer(&idp.app, Algorithm::Es256, idp.now()).await.unwrap().kid.clone(),
    }
}

/// Whether the row is of a confirmation: it is asked and answered at one address, which names its object.
fn is_confirmation(row: &Row) -> bool {
    let is_asked = TABLE.iter().any(|other| other.0 == "GET" && other.1 == row.1);
    is_asked && row.1.rsplit('/').next().is_some_and(|act| ACTS.contains(&act))
}

const ACTS: [&str; 14] = [
    "lock",
    "unlock",
    "approve",
    "deactivate",
    "reset-password",
    "end-sessions",
    "switch-off",
    "rotate-secret",
    "disable",
    "enable",
    "delete",
    "untie",
    "rotate-at-once",
    "retire",
];

/// The address of a row, and the fields of its form.
fn address<'a>(row: &'a Row, id: &str, meanings: &'a [(&str, &str)]) -> (String, Vec<(&'a str, &'a str)>) {
    let meant = |value| meanings.iter().find(|(name, _)| *name == value).map_or(value, |(_, meant)| *meant);
    let path = row.1.replace("{id}", id).replace("{user}", meant(PIA));
    let fields: Vec<_> = row.4.iter().map(|(name, value)| (*name, meant(*value))).collect();
    if is_confirmation(row) && !fields.is_empty() {
        (format!("{path}?{}", encode(&fields)), Vec::new())
    } else {
        (path, fields)
    }
}

async fn ask(browser: &mut Browser, row: &Row, id: &str, meanings: &[(&str, &str)]) -> Answer {
    let (path, fields) = address(row, id, meanings);
    match row.0 {
        "GET" => browser.get(&path).await,
        _ => browser.post(&path, &fields).await,
    }
}

/// The same; what is asked is confirmed.
async fn act(browser: &mut Browser, row: &Row, id: &str, meanings: &[(&str, &str)]) -> Answer {
    // The Provider Admin elsewhere needs the password for the rows that follow.
    if row.0 == "POST" && is_confirmation(row) && row.4.iter().all(|(_, value)| *value != PIA) {
        let (path, _) = address(row, id, meanings);
        let page = browser.get(&path).await;
        if page.has("#confirm-form") {
            return browser.confirm_on(&page, &[]).await;
        }
    }
    ask(browser, row, id, meanings).await
}

/// The id of an import that this admin began.
async fn begin_import(browser: &mut Browser) -> String {
    let shown = browser.post("/admin/users/import", &[("text", "login_name,name\nimported,Imported\n")]).await;
    let started = browser.submit(&shown, "#create-form", &[]).await;
    started.location().rsplit('/').next().unwrap().to_owned()
}

/// What everybody is told of a page that is not there.
fn is_not_there(answer: &Answer) -> bool {
    answer.status == 404 && answer.text("#error-description") == "There is no page at this address."
}

fn works(answer: &Answer) -> bool {
    match answer.status.as_u16() {
        303 => !answer.location().starts_with("/login"),
        // What is not confirmed is asked again.
        status => matches!(status, 200 | 409 | 422),
    }
}

both_engines! {
    async fn exactly_what_is_allowed_works(engine: Engine) {
        let idp = Idp::start(engine).await;
        let mut cast = cast(&idp).await;
        let (own, foreign, pia) = (cast.own.id.clone(), cast.foreign.id.clone(), cast.pia.id.clone());
        let (provider, issuer, client) = (cast.pia.provider_id.clone(), cast.issuer.clone(), cast.client.clone());
        let kid = cast.kid.clone();
        let imports = [begin_import(&mut cast.here).await, begin_import(&mut cast.elsewhere).await];
        let meanings = [(PIA, pia.as_str()), (KID, kid.as_str())];
        for row in TABLE {
            let named = format!("{} {}", row.0, row.1);
            let objects: &[&str] = match row.3 {
                Nothing => &[""],
                AUser => &[&own, &foreign, UNKNOWN, "nonsense", "%00"],
                AProvider => &[&provider, &issuer, UNKNOWN, "nonsense", "%00"],
                AClient => &[&client, &issuer, UNKNOWN, "nonsense", "%00"],
                AnIssuer => &[&issuer, &provider, UNKNOWN, "nonsense", "%00"],
                AnImport => &[&imports[0], &imports[1], UNKNOWN, "nonsense", "%00"],
            };
            let (of_here, of_elsewhere) =
                if row.3 == AnImport { (&imports[0], &imports[1]) } else { (&own, &foreign) };
            for id in objects {
                let told = act(&mut cast.nobody, row, id, &meanings).await;
                assert!(told.status == 303 && told.location().starts_with("/login?return_to="), "nobody: {named}");
                assert!(is_not_there(&act(&mut cast.regular, row, id, &meanings).await), "a Regular User: {named} {id}");
                let provider_admins = [("here", &mut cast.here, of_here), ("elsewhere", &mut cast.elsewhere, of_elsewhere)];
                for (who, browser, theirs) in provider_admins {
                    let answer = act(browser, row, id, &meanings).await;
                    if row.2 == Side::ProviderAdmin && (id.is_empty() || id == theirs) {
                        assert!(works(&answer), "an admin {who}: {named} {id}: {}", answer.status);
                    } else {
                        assert!(is_not_there(&answer), "an admin {who}: {named} {id}: {}", answer.status);
                    }
                }
                let answer = act(&mut cast.therap, row, id, &meanings).await;
                if row.2 == Side::TherapAdmin && *id == objects[0] {
                    assert!(works(&answer), "a Therap Admin: {named} {id}: {}", answer.status);
                } else {
                    assert!(is_not_there(&answer), "a Therap Admin: {named} {id}: {}", answer.status);
                }
                if row.2 == Side::TherapAdmin && (row.1.ends_with("/end-sessions") || row.1.ends_with("/deactivate")) {
                    // Signed out by what was asked for.
                    idp.set_provider_active(&provider, true).await;
                    cast.elsewhere.sign_in(&cast.pia).await;
                }
            }
        }
        idp.assert_invariants().await;
    }

    /// G29: each page, asked for twenty times at once, is answered by two connections.
    async fn two_connections_answer_twenty_at_once(engine: Engine) {
        let idp = Idp::start_with(engine, |config| {
            config.database.connections = 2;
            config.throttle.enabled = false;
        }).await;
        let mut cast = cast(&idp).await;
        let import = begin_import(&mut cast.here).await;
        for row in TABLE {
            let id = match row.3 {
                Nothing => "",
                AUser => &cast.own.id,
                AProvider => &cast.pia.provider_id,
                AClient => &cast.client,
                AnIssuer => &cast.issuer,
                AnImport => &import,
            };
            let browser = if row.2 == Side::ProviderAdmin { &cast.here } else { &cast.therap };
            twenty_at_once(row.1, || {
                let (mut browser, id) = (browser.clone(), id.to_owned());
                let (pia, kid) = (cast.pia.id.clone(), cast.kid.clone());
                async move { ask(&mut browser, row, &id, &[(PIA, &pia), (KID, &kid)]).await.status }
            }).await;
        }
        idp.assert_invariants().await;
    }

    /// No form of another site does anything.
    async fn a_foreign_form_is_refused_everywhere(engine: Engine) {
        let idp = Idp::start(engine).await;
        let mut cast = cast(&idp).await;
        let before = idp.activity().await.len();
        for row in TABLE.iter().filter(|row| row.0 == "POST") {
            let path = row.1.replace("{id}", &cast.own.id).replace("{user}", &cast.own.id);
            for browser in [&mut cast.here, &mut cast.therap] {
                let mut headers = axum::http::HeaderMap::new();
                headers.insert("sec-fetch-site", "cross-site".parse().unwrap());
                headers.insert("content-type", "application/x-www-form-urlencoded".parse().unwrap());
                let cookies: Vec<_> = browser.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
                headers.insert("cookie", cookies.join("; ").parse().unwrap());
                assert_eq!(browser.send(Method::POST, &path, headers, "").await.status, 403, "{path}");
            }
        }
        assert_eq!(idp.activity().await.len(), before);
    }
}

/// Every route of the admins in src/router.rs, with its methods.
fn routes() -> BTreeSet<(String, String)> {
    let source = include_str!("../../../src/router.rs");
    let mut routes = BTreeSet::new();
    for call in source.split(".route(").skip(1) {
        let Some((path, handlers)) = call.trim_start().strip_prefix('"').and_then(|rest| rest.split_once('"')) else {
            continue;
        };
        if path.starts_with("/admin") || path.starts_with("/operator") {
            if handlers.contains("confirmed::<") {
                routes.extend(["GET", "POST"].map(|method| (method.to_owned(), path.to_owned())));
            }
            for (word, method) in
                [("get(", "GET"), ("post(", "POST"), ("put(", "PUT"), ("delete(", "DELETE"), ("any(", "ANY")]
            {
                if handlers.split(|c: char| !c.is_ascii_alphanumeric() && c != '(').any(|part| part.starts_with(word)) {
                    routes.insert((method.to_owned(), path.to_owned()));
                }
            }
        }
    }
    routes
}

#[test]
fn every_route_has_a_row() {
    let rows: BTreeSet<_> = TABLE.iter().map(|row| (row.0.to_owned(), row.1.to_owned())).collect();
    assert_eq!(routes(), rows);
}
