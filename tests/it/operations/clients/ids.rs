//! Ids of clients as other providers gave them: every printable ASCII character (RFC 6749 appendix A.1), wherever an id
//! goes.

use connect_idp::model::activity::Kind;
use connect_idp::model::client::AuthMethod;
use connect_idp::model::header_text::ascii;
use connect_idp::model::user::UserType;
use connect_idp::operations::clients;
use serde_json::{Value, json};

use crate::actors::{Idp, RelyingParty, claims, encode};
use crate::cli::export::{applied, command, export};
use crate::operations::clients::lifecycle::{draft, read};

const IDS: [&str; 9] = [
    "https://app.example/x?y=z&a=b#f",
    "urn:app:1",
    "me@app+1 x",
    "%2F%41%",
    "<b title=\"'&amp;'\">\\",
    "=HYPERLINK(1)",
    "..%2f../x;y",
    "-!#$&()*,.[]^_`{|}~ ",
    "a  b",
];
const CALLBACK: &str = "https://app.example/callback";
const HOME: &str = "https://app.example/bye";

/// As a page shows it.
fn shown(id: &str) -> String {
    id.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// As a program writes it into a path.
fn segment(id: &str) -> String {
    id.bytes().fold(String::new(), |path, b| format!("{path}%{b:02X}"))
}

async fn app(idp: &Idp, id: &str) -> RelyingParty {
    idp.app(id, |m| {
        m.client_name = None;
        m.redirect_uris = vec![CALLBACK.into()];
        m.post_logout_redirect_uris = vec![HOME.into()];
        m.initiate_login_uri = Some("https://app.example/start".into());
        m.first_party = false;
    })
    .await
}

both_engines! {
    /// From the request through consent, tokens (RFC 6749 §2.3.1: Basic with form-encoded halves) and a refresh to the
    /// logout.
    async fn people_sign_in_at_an_app_whatever_its_id(engine: Engine) {
        let idp = Idp::start(engine).await;
        let amina = idp.user("amina").create().await;
        for id in IDS {
            let basic = app(&idp, id).await;
            let mut post = basic.clone();
            post.client.metadata.token_endpoint_auth_method = Some(AuthMethod::Post);
            let mut browser = idp.browser();
            browser.sign_in(&amina).await;
            let page = basic.send(&mut browser, &[]).await;
            assert_eq!(page.text("#client-name"), shown(id));
            let answer = browser.submit_by(&page, "#consent-form", "decision", "allow").await;
            browser.follow_within(answer).await;
            for way in [&basic, &post] {
                let tokens = way.tokens(&mut browser, &amina, &[]).await;
                assert_eq!(claims(tokens["id_token"].as_str().unwrap())["aud"], id);
                assert_eq!(way.refresh(tokens["refresh_token"].as_str().unwrap()).await.status, 200, "{id}");
                let said = way.post("/oauth2/introspect", &[("token", tokens["access_token"].as_str().unwrap())]).await;
                assert_eq!(said.json()["client_id"], id);
            }
            assert_eq!(browser.get("/sessions").await.texts("[data-label=App]"), [shown(id)]);
            let named = [("client_id", id), ("post_logout_redirect_uri", HOME)];
            let page = browser.get(&format!("/oauth2/end_session?{}", encode(&named))).await;
            let answer = browser.submit(&page, "#logout-form", &[]).await;
            assert_eq!(answer.text("#back-to-app"), format!("Back to {}", shown(id)));
            let first = browser.click(&idp.therap_services().assertion(&amina).claim("target", id).sign()).await;
            let landed = browser.complete(&first).await;
            assert!(landed.attribute("#onwards", "href").unwrap().starts_with("https://app.example/start?iss="), "{id}");
            let hint = basic.tokens(&mut browser, &amina, &[]).await["id_token"].as_str().unwrap().to_owned();
            browser.get(&format!("/oauth2/end_session?{}", encode(&[("id_token_hint", &hint)]))).await;
            let wanted = Some(format!("asked for by {id}"));
            let logouts = idp.activity().await.into_iter().filter(|record| record.kind == Kind::Logout && record.note == wanted);
            assert_eq!(logouts.count(), 1, "{id}");
            idp.outsider().await.run("DELETE FROM consents").await;
        }
    }

    /// By program: percent-encoded in the path, and as it is in bodies, cursors and the record.
    async fn programs_manage_a_client_whatever_its_id(engine: Engine) {
        let idp = Idp::start(engine).await;
        let program = idp.client("ops", "clients.read clients.write").await;
        for id in IDS {
            let new = json!({"client_id": id, "redirect_uris": [CALLBACK]});
            let made = program.post("/api/v1/clients", &new).await;
            made.assert(201);
            let location = ascii(&made.headers["location"]).unwrap().to_owned();
            let path = location.strip_prefix("https://connect.example.org").unwrap_or(&location);
            assert_eq!(program.get(path).await.assert(200).json["client_id"], id, "{path}");
            let path = format!("/api/v1/clients/{}", segment(id));
            let shown = program.get(&path).await;
            program.patch(&path, shown.assert(200).etag(), &json!({"scope": "openid"})).await.assert(200);
            program.post(&format!("{path}/rotate-secret"), &json!({})).await.assert(200);
            assert_eq!(program.act(&format!("{path}/disable")).await.assert(200).json["enabled"], false);
            assert_eq!(program.act(&format!("{path}/enable")).await.assert(200).json["client_id"], id);
            let kinds = idp.activity().await.into_iter().filter(|record| record.note.as_deref() == Some(id)).count();
            assert_eq!(kinds, 4, "made, a new secret, off, on");
        }
        let (mut listed, mut next) = (Vec::new(), String::new());
        loop {
            let page = program.get(&format!("/api/v1/clients?limit=1{next}")).await;
            listed.push(page.assert(200).json["items"][0]["client_id"].as_str().unwrap().to_owned());
            let Some(cursor) = page.json["next"].as_str() else { break };
            next = format!("&{}", encode(&[("cursor", cursor)]));
        }
        listed.sort();
        let mut wanted = [&IDS[..], &["ops"]].concat();
        wanted.sort_unstable();
        assert_eq!(listed, wanted);
        for id in IDS {
            let path = format!("/api/v1/clients/{}", segment(id));
            program.send("DELETE", &path, &[("if-match", "*")], None).await.assert(204);
        }
        for bad in ["/app", " app", "a\tb", "é", ""] {
            let refused = program.post("/api/v1/clients", &json!({"client_id": bad, "redirect_uris": [CALLBACK]})).await;
            assert_eq!((refused.status, &refused.json["errors"][0]["key"]), (422, &json!("client_id")), "{bad}");
        }
    }

    /// On the operator's pages, page by page, and in the record's file, where nothing is a formula.
    async fn operators_manage_a_client_whatever_its_id(engine: Engine) {
        let idp = Idp::start(engine).await;
        let root = idp.user("root").of("THERAP").user_type(UserType::TherapAdmin).create().await;
        let mut browser = idp.browser();
        browser.sign_in(&root).await;
        let page = browser.get("/operator/clients/new?kind=web").await;
        for id in IDS {
            let fields = [("client_id", id), ("redirect_uris", CALLBACK)];
            let slip = browser.submit(&page, "#new-client-form", &fields).await;
            assert_eq!(slip.text("#slip-client-id"), shown(id), "{:?}", slip.texts("#form-errors li"));
            let page = browser.get(&slip.attribute("#go-on", "href").unwrap()).await;
            assert_eq!(page.text("#client-state"), format!("{} On", shown(id)));
            assert!(read(&idp, id).await.is_some());
        }
        for number in 0..60 {
            let metadata = draft(&json!({"redirect_uris": [CALLBACK]})).new_metadata(idp.app.config.client_rules()).unwrap();
            let client = clients::build(&idp.act(), &format!("a&after=+%20{number}"), metadata, true);
            assert!(clients::create(&idp.act(), &client, None).await.unwrap());
        }
        let first = browser.get("/operator/clients").await;
        let second = browser.get(&first.attribute("a[rel=next]", "href").unwrap()).await;
        let rows = [first, second].map(|page| page.texts("#clients-table td[data-label=client_id]"));
        assert_eq!((rows[0].len(), rows[1].len()), (50, 60 + IDS.len() - 50));
        assert!(rows[1].iter().all(|id| !rows[0].contains(id)), "each once");
        let file = browser.get("/operator/activity/export").await.body;
        assert!(file.contains(",\"'=HYPERLINK(1)\","), "{file}");
    }

    /// By command and by seed file.
    async fn commands_manage_a_client_whatever_its_id(engine: Engine) {
        let idp = Idp::start(engine).await;
        for id in IDS {
            let create = ["client", "create", "--client-id", id, "--redirect-uri", CALLBACK];
            let (code, said, err) = command(&idp, &create).await;
            assert_eq!((code, err.as_str()), (0, ""), "{said}");
            let (_, said, _) = command(&idp, &["client", "set", "--client-id", id, "--scope", "openid"]).await;
            assert_eq!(said, format!("Client {id} has a new scope.\n"));
            let (_, said, _) = command(&idp, &["client", "show", "--client-id", id, "--output", "json"]).await;
            assert_eq!(serde_json::from_str::<Value>(&said).unwrap()["client_id"], id);
        }
        let file = export(&idp, &["--without-users"]).await;
        assert_eq!(applied(&idp, &file, &["--prune"]).await, "= nothing changed\n");
        for id in IDS {
            let (code, said, _) = command(&idp, &["client", "delete", "--client-id", id]).await;
            assert_eq!((code, said), (0, format!("Client {id} is deleted, with everything that was its.\n")));
        }
        let made = applied(&idp, &file, &[]).await;
        for id in IDS {
            assert!(made.contains(&format!("+ client {id} (no secret")), "{made}");
            assert_eq!(read(&idp, id).await.unwrap().metadata.scope, "openid");
        }
        let refused = ["client", "create", "--client-id", "/app", "--redirect-uri", CALLBACK];
        let (code, _, err) = command(&idp, &refused).await;
        assert!(code == 1 && err.contains("neither '/' nor a space"), "{code} {err}");
    }
}
