//! Clients as operators keep them: metadata, secrets, switching off, removing.

use std::time::Duration;

use connect_idp::model::client::draft::Draft;
use connect_idp::model::client::{Client, Metadata};
use connect_idp::model::user::UserType;
use connect_idp::operations::admin_context::Switched;
use connect_idp::operations::clients::{self, Changed, Deleted, Rotated};
use connect_idp::store;
use serde_json::{Value, json};

use crate::actors::Idp;
use crate::cli::export::{applied, command, export};

const FIRST: &str = "the-first-secret-of-the-portal-1";
const SECOND: &str = "the-second-secret-of-the-portal-";
const DAY: Duration = Duration::from_hours(24);

pub fn draft(members: &Value) -> Draft {
    Draft::parse(members.as_object().unwrap().clone()).unwrap()
}

pub fn portal() -> Value {
    json!({"redirect_uris": ["https://portal.example.org/callback"]})
}

pub async fn create(idp: &Idp, client_id: &str, members: &Value, secret: Option<&str>) -> Client {
    let metadata = draft(members).new_metadata(idp.app.config.client_rules()).unwrap();
    let client = clients::build(&idp.act(), client_id, metadata, true);
    assert!(clients::create(&idp.act(), &client, secret).await.unwrap());
    client
}

pub async fn read(idp: &Idp, client_id: &str) -> Option<Client> {
    store::clients::by_client_id(&mut idp.app.db.read().await.unwrap(), client_id).await.unwrap()
}

/// Whether a secret works now.
async fn works(idp: &Idp, client: &Client, secret: &str) -> bool {
    let mut conn = idp.app.db.read().await.unwrap();
    let hashes = store::clients::secret_hashes(&mut conn, &client.id, idp.now()).await.unwrap();
    hashes.contains(&clients::hash_secret(&idp.app, &client.client_id, secret))
}

both_engines! {
    /// During a rotation two secrets work; then the old one ends.
    async fn two_secrets_work_during_a_rotation(engine: Engine) {
        let idp = Idp::start(engine).await;
        let client = create(&idp, "portal", &portal(), Some(FIRST)).await;
        assert!(works(&idp, &client, FIRST).await && !works(&idp, &client, SECOND).await);
        let rotated = clients::rotate_secret(&idp.act(), "portal", SECOND, DAY, None).await.unwrap();
        assert_eq!(rotated, Rotated::Done { before: 1 });
        assert!(works(&idp, &client, FIRST).await && works(&idp, &client, SECOND).await);
        idp.advance(DAY.checked_sub(Duration::from_millis(1)).unwrap());
        assert!(works(&idp, &client, FIRST).await);
        idp.advance(Duration::from_millis(1));
        assert!(!works(&idp, &client, FIRST).await && works(&idp, &client, SECOND).await);
        idp.assert_activity(["client_created success", "client_secret_rotated success"]).await;
    }

    /// Without an overlap the old secrets end at once, those of an earlier rotation too.
    async fn a_rotation_without_overlap_ends_every_older_secret(engine: Engine) {
        let idp = Idp::start(engine).await;
        let client = create(&idp, "portal", &portal(), Some(FIRST)).await;
        clients::rotate_secret(&idp.act(), "portal", SECOND, DAY, None).await.unwrap();
        idp.advance(Duration::from_secs(1));
        let third = clients::make_secret(&idp.app);
        let rotated = clients::rotate_secret(&idp.act(), "portal", &third, Duration::ZERO, None).await.unwrap();
        assert_eq!(rotated, Rotated::Done { before: 2 });
        assert!(!works(&idp, &client, FIRST).await && !works(&idp, &client, SECOND).await);
        assert!(works(&idp, &client, &third).await);
    }

    /// A shorter overlap shortens a longer one, never the other way round.
    async fn an_overlap_is_never_stretched(engine: Engine) {
        let idp = Idp::start(engine).await;
        let client = create(&idp, "portal", &portal(), Some(FIRST)).await;
        clients::rotate_secret(&idp.act(), "portal", SECOND, Duration::from_hours(1), None).await.unwrap();
        clients::rotate_secret(&idp.act(), "portal", "the-third-secret", DAY, None).await.unwrap();
        idp.advance(Duration::from_hours(1));
        assert!(!works(&idp, &client, FIRST).await && works(&idp, &client, SECOND).await);
    }

    /// The table of secrets does not grow with rotations (G22), and the newest always works.
    async fn twenty_secrets_are_remembered(engine: Engine) {
        let idp = Idp::start(engine).await;
        let client = create(&idp, "portal", &portal(), Some(FIRST)).await;
        for number in 0..25 {
            let secret = format!("secret-number-{number}");
            clients::rotate_secret(&idp.act(), "portal", &secret, DAY, None).await.unwrap();
        }
        assert_eq!(idp.number("SELECT COUNT(*) FROM client_secrets").await, 20);
        assert!(works(&idp, &client, "secret-number-24").await && !works(&idp, &client, FIRST).await);
    }

    /// A secret fits the client that it was made for and no other, and stands nowhere as it was typed.
    async fn a_secret_is_a_keyed_hash_of_its_client(engine: Engine) {
        let idp = Idp::start(engine).await;
        create(&idp, "portal", &portal(), Some(FIRST)).await;
        let other = create(&idp, "other", &portal(), Some(SECOND)).await;
        assert!(!works(&idp, &other, FIRST).await);
        let hash = idp.outsider().await.text("SELECT hash FROM client_secrets ORDER BY id LIMIT 1").await;
        assert!(hash.len() == 43 && !hash.contains("secret"), "{hash}");
    }

    /// What a disabled client was given is dead by its epoch (G9), also when it is enabled again.
    async fn disabling_bumps_the_epoch_once(engine: Engine) {
        let idp = Idp::start(engine).await;
        let made = create(&idp, "portal", &portal(), None).await;
        let states = async |enabled| clients::set_enabled(&idp.act(), "portal", enabled).await.unwrap();
        assert_eq!(states(true).await, Switched::Already);
        assert_eq!(states(false).await, Switched::Done);
        let off = read(&idp, "portal").await.unwrap();
        assert_eq!((off.enabled, off.epoch, off.revision), (false, 2, made.revision + 1));
        assert_eq!(states(false).await, Switched::Already);
        assert_eq!(states(true).await, Switched::Done);
        let on = read(&idp, "portal").await.unwrap();
        assert_eq!((on.enabled, on.epoch, on.revision), (true, 2, made.revision + 2));
        assert_eq!(clients::set_enabled(&idp.act(), "nobody", false).await.unwrap(), Switched::NotFound);
        idp.assert_activity(["client_created success", "client_disabled success", "client_enabled success"]).await;
    }

    /// A deleted client leaves nothing behind but its records.
    async fn deleting_takes_everything_along(engine: Engine) {
        let idp = Idp::start(engine).await;
        let client = create(&idp, "portal", &portal(), Some(FIRST)).await;
        let sql = format!(
            "INSERT INTO access_tokens (hash, client, client_epoch, scope, audience, created_at, expires_at) \
             VALUES ('h', '{}', 1, '', '', 1, 2)",
            client.id
        );
        idp.outsider().await.run(&sql).await;
        assert_eq!(clients::delete(&idp.act(), "portal", None).await.unwrap(), Deleted::Done);
        assert!(read(&idp, "portal").await.is_none());
        assert_eq!(idp.number("SELECT COUNT(*) FROM client_secrets").await, 0);
        assert_eq!(idp.number("SELECT COUNT(*) FROM access_tokens").await, 0);
        assert_eq!(clients::delete(&idp.act(), "portal", None).await.unwrap(), Deleted::NotFound);
        // The name is free again, and is another client: a revision that was read of the first is not one of its.
        idp.advance(Duration::from_secs(1));
        let again = create(&idp, "portal", &portal(), None).await;
        assert_ne!(again.revision, client.revision);
        assert_eq!(clients::delete(&idp.act(), "portal", Some(client.revision)).await.unwrap(), Deleted::Stale);
        assert!(!works(&idp, &again, FIRST).await);
        idp.assert_activity(["client_created success", "client_created success", "client_deleted success"]).await;
    }

    /// A change is checked with what stands already, is one record, and makes a new revision.
    async fn a_change_is_checked_as_a_whole(engine: Engine) {
        let idp = Idp::start(engine).await;
        let before = create(&idp, "portal", &portal(), Some(FIRST)).await;
        let set = async |members: Value| clients::set(&idp.act(), "portal", &draft(&members)).await.unwrap();
        let Changed::Invalid(invalid) = set(json!({"redirect_uris": []})).await else { panic!("accepted") };
        assert_eq!(invalid.key, "redirect_uris");
        assert_eq!(set(json!({"client_name": null})).await, Changed::Keys(Vec::new()));
        assert_eq!(read(&idp, "portal").await.unwrap().revision, before.revision);
        assert_eq!(set(json!({"client_name": "Portal"})).await, Changed::Keys(vec!["client_name"]));
        let after = read(&idp, "portal").await.unwrap();
        assert_eq!((after.revision, after.epoch), (before.revision + 1, 1));
        assert_eq!(after.metadata, Metadata { client_name: Some("Portal".into()), ..before.metadata });
        assert_eq!(clients::set(&idp.act(), "nobody", &Draft::default()).await.unwrap(), Changed::NotFound);
        idp.assert_activity(["client_created success", "client_changed success"]).await;
    }

    /// Whoever changes to a method without secrets has none that could come back.
    async fn a_method_without_secrets_ends_them(engine: Engine) {
        let idp = Idp::start(engine).await;
        let client = create(&idp, "portal", &portal(), Some(FIRST)).await;
        for method in ["none", "client_secret_basic"] {
            let change = draft(&json!({"token_endpoint_auth_method": method}));
            assert_eq!(clients::set(&idp.act(), "portal", &change).await.unwrap(), Changed::Keys(vec!["token_endpoint_auth_method"]));
            assert!(!works(&idp, &client, FIRST).await);
            let rotated = clients::rotate_secret(&idp.act(), "portal", SECOND, DAY, None).await.unwrap();
            assert_eq!(rotated == Rotated::NoSecret, method == "none");
        }
        assert!(works(&idp, &client, SECOND).await);
    }

    /// However many make a client at once, one does.
    async fn a_client_id_is_taken_once(engine: Engine) {
        let idp = Idp::start(engine).await;
        let metadata = draft(&portal()).new_metadata(idp.app.config.client_rules()).unwrap();
        let make = || {
            let (act, metadata) = (idp.act(), metadata.clone());
            async move { clients::create(&act, &clients::build(&act, "portal", metadata, true), Some(FIRST)).await.unwrap() }
        };
        let answers = futures_util::future::join_all((0..32).map(|_| make())).await;
        assert_eq!(answers.into_iter().filter(|made| *made).count(), 1);
        assert_eq!(idp.number("SELECT COUNT(*) FROM client_secrets").await, 1);
        idp.assert_activity(["client_created success"]).await;
    }

    /// A member of ours is set by command, seed file, page and API, shown by each, and exported.
    async fn a_members_value_is_set_by_every_way(engine: Engine) {
        let idp = Idp::start(engine).await;
        let program = idp.client("ops", "clients.read clients.write").await;
        let root = idp.user("root").of("THERAP").user_type(UserType::TherapAdmin).create().await;
        let mut browser = idp.browser();
        browser.sign_in(&root).await;
        let client = create(&idp, "portal", &portal(), Some(FIRST)).await;
        let page = format!("/operator/clients/{}", client.id);
        let shown = async || program.get("/api/v1/clients/portal").await.assert(200).json.clone();
        for (key, flag) in [("id_token_claims", "--id-token-claims"), ("introspect_all", "--introspect-all")] {
            let id = format!("#{}", key.replace('_', "-"));
            assert_eq!(shown().await[key], false, "off by default");
            let (code, said, err) = command(&idp, &["client", "set", "--client-id", "portal", flag]).await;
            assert_eq!((code, said, err), (0, format!("Client portal has a new {key}.\n"), String::new()));
            let file = export(&idp, &["--without-users"]).await;
            let form = browser.get(&page).await;
            assert_eq!((shown().await[key].as_bool(), form.attribute(&id, "checked")), (Some(true), Some(String::new())));
            let off = format!("[[client]]\nclient_id = \"portal\"\n{key} = false\n");
            assert_eq!(applied(&idp, &off, &[]).await, format!("~ client portal: {key}\n"));
            assert_eq!(applied(&idp, &file, &[]).await, format!("~ client portal: {key}\n"), "as it was exported");
            assert_eq!(program.patch("/api/v1/clients/portal", "*", &json!({key: false})).await.assert(200).json[key], false);
            let form = browser.get(&page).await;
            assert_eq!(form.attribute(&id, "checked"), None);
            let saved = browser.submit_by(&form, "#client-form", key, "yes").await;
            assert_eq!(browser.told(saved).await, "The changes were saved.");
            let (_, said, _) = command(&idp, &["client", "show", "--client-id", "portal", "--output", "json"]).await;
            assert_eq!(serde_json::from_str::<Value>(&said).unwrap()[key], true);
        }
    }
}
