//! The Therap Admin's pages of clients: made, changed, given a new secret, switched off, deleted.

use std::time::Duration;

use connect_idp::model::client::kind::ClientKind;
use connect_idp::model::client::{ApplicationType, AuthMethod, GrantType, Metadata};
use connect_idp::model::user::UserType;

use crate::actors::{Browser, Idp, PASSWORD};

async fn therap_admin(idp: &Idp, login_name: &str) -> Browser {
    let root = idp.user(login_name).of("THERAP").user_type(UserType::TherapAdmin).create().await;
    let mut browser = idp.browser();
    browser.sign_in(&root).await;
    browser
}

async fn stored(idp: &Idp, client_id: &str) -> Option<Metadata> {
    let mut conn = idp.app.db.read().await.unwrap();
    let found = connect_idp::store::clients::by_client_id(&mut conn, client_id).await.unwrap();
    found.map(|client| client.metadata)
}

both_engines! {
    /// Made with its secret shown once; what is wrong is said all at once; it signs people in.
    async fn a_client_is_made_and_its_secret_shown_once(engine: Engine) {
        let idp = Idp::start(engine).await;
        let mut root = therap_admin(&idp, "root").await;
        assert_eq!(root.get("/operator/clients").await.text("p.empty"), "None yet.");
        let page = root.get("/operator/clients/new?kind=web").await;
        let bad = root.submit(&page, "#new-client-form", &[
            ("client_id", "/not/good"), ("client_name", "Kept"), ("scope", "openid nothing"), ("jwks_uri", "ftp://x"), ("default_max_age", ""),
        ]).await;
        assert_eq!(bad.status, 422);
        let wrong = bad.texts("#form-errors li");
        assert_eq!(wrong.len(), 4, "{wrong:?}");
        let bad = root.submit(&page, "#new-client-form", &[("client_id", "portal"), ("scope", "openid nothing"), ("jwks_uri", "ftp://x"), ("client_name", "Kept")]).await;
        assert_eq!(bad.texts("#form-errors li").len(), 3, "{:?}", bad.texts("#form-errors li"));
        assert!(bad.has("#redirect-uris-error") && bad.has("#jwks-uri-error") && bad.has("#scope-error"));
        assert_eq!(bad.attribute("#client-name", "value").as_deref(), Some("Kept"));
        let unread = root.submit(&page, "#new-client-form", &[("client_id", "portal"), ("default_max_age", "soon"), ("jwks", "{"), ("redirect_uris", "https://a.example/")]).await;
        assert!(unread.has("#default-max-age-error") && unread.has("#jwks-error") && !unread.has("#redirect-uris-error"));
        let good = [
            ("client_id", "portal"), ("client_name", "Care Portal"), ("redirect_uris", "https://portal.example/callback\r\nhttps://portal.example/b\r\n"),
        ];
        let slip = root.submit(&page, "#new-client-form", &good).await;
        assert_eq!((slip.status.as_u16(), slip.text("#slip-client-id").as_str()), (200, "portal"), "{:?}", slip.texts("#form-errors li"));
        let secret = slip.text("#client-secret");
        let taken = root.submit(&page, "#new-client-form", &[("client_id", "portal"), ("scope", "nothing")]).await;
        assert_eq!(taken.text("#client-id-error"), "A client with this ID already exists.");
        assert!(taken.has("#scope-error") && taken.has("#redirect-uris-error"), "with all else that is wrong");
        let page = root.get(&slip.attribute("#go-on", "href").unwrap()).await;
        assert!(!page.body.contains(&secret));
        assert_eq!(page.text("#client-state"), "portal On");
        let metadata = stored(&idp, "portal").await.unwrap();
        assert_eq!(metadata.redirect_uris, ["https://portal.example/callback", "https://portal.example/b"]);
        assert_eq!(metadata.scope, "openid profile email");
        let hashes = idp.number("SELECT COUNT(*) FROM client_secrets").await;
        assert_eq!(hashes, 1);
        assert_eq!(root.get("/operator/clients").await.texts("#clients-table td[data-label=client_id]"), ["portal"]);
        let record = idp.activity().await.pop().unwrap();
        assert_eq!((record.kind.as_str(), record.actor.as_str(), record.note.as_deref()), ("client_created", "therap admin root", Some("portal")));
    }

    /// Each kind has its form, which makes a client of that kind; the rest is there, closed, and keeps what a kind needs.
    async fn a_client_of_each_kind_is_made_by_its_own_few_fields(engine: Engine) {
        let idp = Idp::start(engine).await;
        let mut root = therap_admin(&idp, "root").await;
        let kinds = root.get("/operator/clients/new").await;
        let links = kinds.links("#kinds a");
        assert_eq!(links.len(), ClientKind::ALL.len());
        let callback = ("redirect_uris", "https://a.example/cb");
        for (kind, link) in ClientKind::ALL.iter().zip(links) {
            let page = root.get(&link).await;
            assert_eq!(page.text("h1"), format!("New client: {}", kind.name()));
            assert!(page.has("#advanced") && !page.has("#advanced[open]"), "{kind}");
            let (fields, method): (Vec<(&str, &str)>, _) = match kind {
                ClientKind::WebApp => (vec![callback, ("token_endpoint_auth_method", "client_secret_post"), ("id_token_claims", "yes")], Some(AuthMethod::Post)),
                ClientKind::SinglePageApp => (vec![callback], Some(AuthMethod::None)),
                ClientKind::NativeApp => (vec![("redirect_uris", "http://127.0.0.1/cb\norg.example.app:/cb")], Some(AuthMethod::None)),
                ClientKind::Service => (vec![("scope", "users.read:SUNRISE-IL")], None),
                ClientKind::ResourceServer => (vec![("resources", "https://api.example.org/")], None),
            };
            // As a browser sends it: the page's own fields, and the boxes that were ticked.
            let mut form = page.form("#new-client-form");
            form.fields.extend(fields.into_iter().chain([("client_id", kind.as_str())]).map(|(name, text)| (name.to_owned(), text.to_owned())));
            let typed: Vec<_> = form.fields.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect();
            let made = root.post(&form.action, &typed).await;
            let metadata = stored(&idp, kind.as_str()).await.unwrap_or_else(|| panic!("{kind}: {:?}", made.texts("#form-errors li")));
            assert_eq!((ClientKind::of(&metadata), metadata.token_endpoint_auth_method), (*kind, method));
            assert_eq!(metadata.id_token_claims, *kind == ClientKind::WebApp);
            assert_eq!(metadata.application_type == ApplicationType::Native, *kind == ClientKind::NativeApp);
            assert_eq!(made.has("#client-secret"), metadata.has_secret(), "{kind}");
            let after = if made.has("#client-secret") { made } else { root.follow(made).await };
            assert!(after.has("#connect pre") && after.body.contains("https://connect.example.org/.well-known/openid-configuration"), "{kind}");
        }
        let none = root.post("/operator/clients/new", &[("client_id", "x")]).await;
        assert_eq!((none.status.as_u16(), none.has("#kinds")), (422, true));
        assert_eq!(root.get("/operator/clients/new?kind=toaster").await.links("#kinds a").len(), 5);
    }

    /// All that is wrong with each of the fields at once; what is hidden and wrong is opened; what is set stays open.
    async fn every_fault_is_told_and_the_advanced_part_opened(engine: Engine) {
        let idp = Idp::start(engine).await;
        let mut root = therap_admin(&idp, "root").await;
        let page = root.get("/operator/clients/new?kind=web").await;
        let typed = [
            ("client_id", "portal"), ("client_name", "Kept"), ("redirect_uris", "http://a.example/\nhttps://b.example/\nx"), ("scope", "openid nap doze"),
            ("contacts", "a@example.org"), ("tos_uri", "nowhere"), ("default_max_age", "soon"), ("jwks", "{"),
        ];
        let bad = root.submit(&page, "#new-client-form", &typed).await;
        assert_eq!(bad.status, 422);
        let fields = bad.links("#form-errors a");
        assert_eq!(fields, ["#redirect-uris", "#redirect-uris", "#scope", "#scope", "#tos-uri", "#jwks", "#default-max-age"]);
        assert!(bad.text("#redirect-uris-error").contains("http://a.example/") && bad.text("#redirect-uris-error").contains("\"x\""));
        assert!(bad.text("#scope-error").contains("nap") && bad.text("#scope-error").contains("doze"));
        assert!(bad.has("#advanced[open]"));
        let form = bad.form("#new-client-form");
        for (name, text) in typed {
            assert_eq!(form.fields[name].trim(), text, "{name}");
        }
        let only_scope = root.submit(&page, "#new-client-form", &[("client_id", "portal"), ("redirect_uris", "https://b.example/"), ("scope", "nap")]).await;
        assert!(only_scope.has("#scope-error") && !only_scope.has("#advanced[open]"));
        let plain = idp.app("plain", |m| *m = Metadata { redirect_uris: vec!["https://a.example/".into()], ..ClientKind::WebApp.metadata() }).await;
        let set = idp.app("set", |m| m.first_party = true).await;
        assert!(!root.get(&format!("/operator/clients/{}", plain.client.id)).await.has("#advanced[open]"));
        assert!(root.get(&format!("/operator/clients/{}", set.client.id)).await.has("#advanced[open]"));
    }

    /// By name, `client_id`, kind, and on or off, together; with paging that keeps the search.
    async fn clients_are_searched(engine: Engine) {
        let idp = Idp::start(engine).await;
        let mut root = therap_admin(&idp, "root").await;
        for n in 0..55 {
            idp.app(&format!("web-{n:02}"), |m| m.client_name = Some(format!("Ördner {n}"))).await;
        }
        let phone = idp.app("phone", |m| {
            *m = Metadata { client_name: Some("100% Ärzte_App".into()), redirect_uris: vec!["org.example.app:/cb".into()], ..ClientKind::NativeApp.metadata() };
        }).await;
        idp.app("robot", |m| *m = ClientKind::Service.metadata()).await;
        root.confirm(&format!("/operator/clients/{}/disable", phone.client.id), &[]).await.location();
        let found = async |root: &mut Browser, query: &str| {
            root.get(&format!("/operator/clients?{query}")).await.texts("#clients-table td[data-label=client_id]")
        };
        for (query, wanted) in [
            ("q=%C3%A4RZTE", vec!["phone"]), ("q=100%25", vec!["phone"]), ("q=e_a", vec!["phone"]), ("q=ROB", vec!["robot"]), ("kind=native", vec!["phone"]),
            ("kind=service&state=on", vec!["robot"]), ("kind=service&state=off", vec![]), ("state=off", vec!["phone"]), ("q=web-5&kind=web&state=on", vec!["web-50", "web-51", "web-52", "web-53", "web-54"]),
            ("q=%27%20OR%201%3D1", vec![]), ("kind=single-page", vec![]),
        ] {
            assert_eq!(found(&mut root, query).await, wanted, "{query}");
        }
        assert_eq!(root.get("/operator/clients?q=nobody").await.text("p.empty"), "No clients match.");
        let first = root.get("/operator/clients?q=%C3%B6rd&kind=web").await;
        assert_eq!(first.texts("#clients-table tbody tr").len(), 50);
        assert_eq!((first.attribute("#q", "value").as_deref(), first.form("#clients-search").fields["kind"].as_str()), (Some("örd"), "web"));
        let next = first.attribute(".pages-older", "href").unwrap();
        let second = root.get(&next).await;
        assert_eq!(second.texts("#clients-table td[data-label=client_id]"), ["web-50", "web-51", "web-52", "web-53", "web-54"]);
        assert!(!second.has(".pages-older"));
        assert_eq!(second.links(".pages a"), ["/operator/clients?q=%C3%B6rd&kind=web"]);
    }

    /// A search that finds little looks at so many and says so; its next page goes on.
    async fn a_search_of_many_clients_stops_and_goes_on(engine: Engine) {
        let idp = Idp::start(engine).await;
        let mut root = therap_admin(&idp, "root").await;
        let last = idp.app("zz", |m| *m = ClientKind::Service.metadata()).await;
        let outsider = &mut idp.outsider().await;
        for n in 0..2001 {
            let sql = format!(
                "INSERT INTO clients (id, client_id, metadata, enabled, epoch, revision, created_at) \
                 SELECT 'x{n}', 'many-{n:04}', '{{}}', enabled, 1, 1, 1 FROM clients WHERE id = '{}'",
                last.client.id
            );
            outsider.run(&sql).await;
        }
        let page = root.get("/operator/clients?kind=service").await;
        assert_eq!((page.text("p.empty").as_str(), page.has("#stopped")), ("No clients match so far.", true));
        let next = root.get(&page.attribute(".pages-older", "href").unwrap()).await;
        assert_eq!(next.texts("#clients-table td[data-label=client_id]"), ["zz"]);
        assert!(!next.has(".pages-older") && !next.has("#stopped"));
    }

    /// Every member goes through the form and back; two admins at one client, nothing lost.
    async fn a_client_is_changed_by_one_admin_at_a_time(engine: Engine) {
        let idp = Idp::start(engine).await;
        let portal = idp.app("portal", |m| {
            m.grant_types = vec![GrantType::RefreshToken, GrantType::AuthorizationCode];
            m.default_max_age = Some(60);
        }).await;
        let before = portal.client.metadata.clone();
        let (mut one, mut two) = (therap_admin(&idp, "root").await, therap_admin(&idp, "rosa").await);
        let path = format!("/operator/clients/{}", portal.client.id);
        let page = one.get(&path).await;
        let same = one.submit(&page, "#client-form", &[]).await;
        assert_eq!(one.told(same).await, "No changes to save.");
        assert_eq!(stored(&idp, "portal").await.unwrap(), before);
        let saved = one.submit(&page, "#client-form", &[
            ("client_name", ""), ("default_max_age", ""), ("backchannel_logout_uri", "https://portal.example/logout"), ("contacts", "a@example.org\nb@example.org"),
        ]).await;
        assert_eq!(one.told(saved).await, "The changes were saved.");
        let stale = two.submit(&page, "#client-form", &[("client_name", "Theirs")]).await;
        assert_eq!((stale.status.as_u16(), stale.has("#stale")), (409, true));
        assert_eq!(stale.attribute("#client-name", "value").as_deref(), Some("Theirs"));
        let after = stored(&idp, "portal").await.unwrap();
        let wanted = Metadata {
            client_name: None, default_max_age: None, backchannel_logout_uri: Some("https://portal.example/logout".into()),
            contacts: vec!["a@example.org".into(), "b@example.org".into()], ..before.clone()
        };
        assert_eq!(after, wanted);
        let over = two.submit(&stale, "#client-form", &[]).await;
        assert_eq!(two.told(over).await, "The changes were saved.");
        assert_eq!(stored(&idp, "portal").await.unwrap(), Metadata { client_name: Some("Theirs".into()), ..before });
        let page = one.get(&path).await;
        let bad = one.submit(&page, "#client-form", &[("redirect_uris", ""), ("client_name", "Kept")]).await;
        assert_eq!((bad.status.as_u16(), bad.has("#redirect-uris-error")), (422, true));
        assert_eq!(bad.attribute("#client-name", "value").as_deref(), Some("Kept"));
        let public = one.submit(&page, "#client-form", &[("token_endpoint_auth_method", "none")]).await;
        assert_eq!(one.told(public).await, "The changes were saved.");
        assert_eq!(stored(&idp, "portal").await.unwrap().token_endpoint_auth_method, Some(AuthMethod::None));
        let page = one.get(&path).await;
        assert!(!page.has("#rotate-secret") && page.texts("#secrets-list li") == ["None."]);
    }

    /// A fault after the password was proven: the renewed session is on the 503, and the same form sent again is saved
    /// (U3).
    async fn a_fault_after_the_password_keeps_the_renewed_session(engine: Engine) {
        let idp = Idp::start(engine).await;
        let mut root = therap_admin(&idp, "root").await;
        let client = |name| vec![("client_id", name), ("redirect_uris", "https://portal.example/callback")];
        let issuer = |name| vec![("issuer", name), ("display_name", "One"), ("origins", "https://new.example"), ("jwks_uri", "https://new.example/keys")];
        let page = root.get("/operator/clients/new?kind=web").await;
        let made = root.submit(&page, "#new-client-form", &client("portal")).await;
        let client_path = made.attribute("#go-on", "href").unwrap();
        let page = root.get("/operator/issuers/new").await;
        let made = root.submit(&page, "#new-issuer-form", &issuer("https://new.example")).await;
        let issuer_path = made.location().to_owned();
        for (path, form, field) in [(&client_path, "#client-form", "client_name"), (&issuer_path, "#issuer-form", "display_name")] {
            let page = root.get(path).await;
            let saved = root.submit(&page, form, &[(field, "Two")]).await;
            assert_eq!(root.told(saved).await, "The changes were saved.");
        }
        // From now on a second record of these kinds cannot be written.
        let fault = "CREATE UNIQUE INDEX fault ON activity (kind) WHERE kind IN \
                     ('client_created', 'client_changed', 'issuer_created', 'issuer_changed')";
        for (path, form, fields) in [
            ("/operator/clients/new?kind=web", "#new-client-form", client("other")),
            ("/operator/issuers/new", "#new-issuer-form", issuer("https://other.example")),
            (client_path.as_str(), "#client-form", vec![("client_name", "Three")]),
            (issuer_path.as_str(), "#issuer-form", vec![("display_name", "Three")]),
        ] {
            idp.outsider().await.run(fault).await;
            idp.advance(Duration::from_mins(5));
            let page = root.get(path).await;
            assert!(page.has("#password"), "{path}");
            let before = root.session();
            let with_password: Vec<_> = fields.iter().copied().chain([("password", PASSWORD)]).collect();
            assert_eq!(root.submit(&page, form, &with_password).await.status, 503, "{path}");
            assert_ne!(root.session(), before, "{path}");
            assert!(!root.get(path).await.has("#password"), "{path}: still signed in, and lately");
            idp.outsider().await.run("DROP INDEX fault").await;
            let again = root.submit(&page, form, &fields).await;
            assert!(again.has("#client-secret") || root.follow(again).await.has("#notice"), "{path}");
            // The next round begins with one record of each kind.
            idp.outsider().await.run("DELETE FROM activity WHERE id NOT IN (SELECT MIN(id) FROM activity GROUP BY kind)").await;
        }
    }

    /// Typed too long ago, the password is asked for on the form itself: what was typed stays.
    async fn what_hands_sign_ins_to_others_is_saved_by_who_is_there(engine: Engine) {
        let idp = Idp::start(engine).await;
        let me = idp.user("root").of("THERAP").user_type(UserType::TherapAdmin).create().await;
        let mut root = idp.browser();
        root.sign_in(&me).await;
        idp.advance(Duration::from_mins(5));
        for (new, form, id, wrong_id, fields) in [
            ("/operator/clients/new?kind=web", "#new-client-form", "#client-name", "#client-id",
                vec![("client_id", "portal"), ("client_name", "Kept"), ("redirect_uris", "https://portal.example/callback")]),
            ("/operator/issuers/new", "#new-issuer-form", "#display-name", "#jwks-uri",
                vec![("issuer", "https://new.example"), ("display_name", "Kept"), ("origins", "https://new.example"), ("jwks_uri", "https://new.example/keys")]),
        ] {
            let page = root.get(new).await;
            assert!(page.has("#password"), "{new}");
            let tries = idp.activity().await.len();
            let bad = root.submit(&page, form, &[("password", "Wrong-Horse-9")]).await;
            assert_eq!((bad.status.as_u16(), bad.has(&format!("{wrong_id}-error")), bad.has("#password-error")), (422, true, false));
            let missing = root.submit(&page, form, &fields).await;
            assert_eq!((missing.status.as_u16(), missing.attribute("#form-errors a", "href").as_deref()), (422, Some("#password")));
            assert_eq!(missing.attribute(id, "value").as_deref(), Some("Kept"));
            assert_eq!(idp.activity().await.len(), tries, "no password was checked");
            let wrong = root.submit(&missing, form, &[("password", "Wrong-Horse-9")]).await;
            assert_eq!((wrong.status.as_u16(), wrong.text("#password-error").as_str()), (403, "The password is incorrect."));
            assert_eq!(wrong.attribute(id, "value").as_deref(), Some("Kept"));
            assert!(!wrong.body.contains("Wrong-Horse-9"));
            assert_eq!(idp.activity().await.pop().unwrap().reason.as_deref(), Some("wrong_password"));
            let made = root.submit(&wrong, form, &[("password", PASSWORD)]).await;
            assert!(made.has("#client-secret") || root.told(made).await == "Handoffs from this issuer are now trusted.", "{new}");
            let fresh = root.get(new).await;
            assert_eq!((fresh.status.as_u16(), fresh.has("#password")), (200, false), "the session was renewed");
            idp.advance(Duration::from_mins(5));
        }

        root.sign_in(&me).await;
        let client = format!("/operator/clients/{}", idp.outsider().await.text("SELECT id FROM clients").await);
        let issuer = format!("/operator/issuers/{}", idp.outsider().await.text("SELECT id FROM issuers WHERE issuer = 'https://new.example'").await);
        for (path, form, field, id) in [(&client, "#client-form", "client_name", "#client-name"), (&issuer, "#issuer-form", "display_name", "#display-name")] {
            let page = root.get(path).await;
            assert!(!page.has("#password"), "{path}");
            idp.advance(Duration::from_mins(5));
            let asked = root.submit(&page, form, &[(field, "Other")]).await;
            assert_eq!((asked.status.as_u16(), asked.attribute(id, "value").as_deref()), (422, Some("Other")));
            assert_eq!(root.get(path).await.attribute(id, "value").as_deref(), Some("Kept"));
            let saved = root.submit(&asked, form, &[("password", PASSWORD)]).await;
            let saved = root.follow(saved).await;
            assert_eq!((saved.text("#notice").as_str(), saved.attribute(id, "value").as_deref()), ("The changes were saved.", Some("Other")));
        }
        idp.advance(Duration::from_mins(5));
        let page = root.get(&client).await;
        let wrong = [("client_name", "Third"), ("password", "Wrong-Horse-9")];
        for _ in 0..2 {
            assert_eq!(root.submit(&page, "#client-form", &wrong).await.text("#password-error"), "The password is incorrect.");
        }
        assert!(root.submit(&page, "#client-form", &wrong).await.location().starts_with("/login?return_to="));
        root.assert_signed_out().await;
        assert_eq!(stored(&idp, "portal").await.unwrap().client_name.as_deref(), Some("Other"));
        idp.assert_invariants().await;
    }

    /// A new secret at once or with an overlap; not twice from one page; the password first.
    async fn a_secret_is_replaced_with_an_overlap(engine: Engine) {
        let idp = Idp::start(engine).await;
        let mut portal = idp.app("portal", |_| {}).await;
        let amina = idp.user("amina").create().await;
        let mut hers = idp.browser();
        let token = portal.tokens(&mut hers, &amina, &[]).await["access_token"].as_str().unwrap().to_owned();
        let me = idp.user("root").of("THERAP").user_type(UserType::TherapAdmin).create().await;
        let mut root = idp.browser();
        root.sign_in(&me).await;
        let path = format!("/operator/clients/{}", portal.client.id);
        let rotate = format!("{path}/rotate-secret");
        let page = root.get(&rotate).await;
        let slip = root.confirm_on(&page, &[("keep_old", "1")]).await;
        assert_eq!(slip.text("#old-until"), "The old secrets work until Jan 15, 2027, 4:00:00 AM EST.");
        let again = root.confirm_on(&page, &[]).await;
        assert_eq!((again.status.as_u16(), again.has("#stale")), (409, true));
        assert_eq!(root.get(&path).await.texts("#secrets-list li").len(), 2);
        let old = portal.clone();
        portal.secret = slip.text("#client-secret");
        assert!(portal.is_active(&token).await && old.is_active(&token).await);
        idp.advance(Duration::from_hours(1));
        assert_eq!(old.post("/oauth2/introspect", &[("token", &token)]).await.status, 401);
        root.sign_in(&me).await;
        idp.advance(Duration::from_mins(5));
        let page = root.get(&rotate).await;
        let unproven = root.submit(&page, "#confirm-form", &[("keep_old", "0")]).await;
        assert_eq!((unproven.status.as_u16(), unproven.has("#confirm-password-error")), (422, true));
        assert_eq!(unproven.form("#confirm-form").fields["keep_old"], "0", "what was chosen stays");
        let nonsense = root.confirm_on(&page, &[("keep_old", "9999")]).await;
        assert_eq!((nonsense.status.as_u16(), nonsense.has("#keep-old-error")), (422, true));
        let slip = root.confirm_on(&page, &[("keep_old", "0")]).await;
        assert_eq!(portal.post("/oauth2/introspect", &[("token", &token)]).await.status, 401);
        portal.secret = slip.text("#client-secret");
        assert_eq!(portal.post("/oauth2/introspect", &[("token", &token)]).await.status, 200);
    }

    /// Off: what it was given is dead for good; deleted: everything that was its is gone, of the client that was read.
    async fn a_client_is_switched_off_and_deleted(engine: Engine) {
        let idp = Idp::start(engine).await;
        let portal = idp.app("portal", |_| {}).await;
        let amina = idp.user("amina").create().await;
        let mut hers = idp.browser();
        let token = portal.tokens(&mut hers, &amina, &[]).await["access_token"].as_str().unwrap().to_owned();
        let mut root = therap_admin(&idp, "root").await;
        let path = format!("/operator/clients/{}", portal.client.id);
        let read = root.get(&path).await;
        assert!(read.body.contains("the tokens of 1 sign-in,"));
        let delete = format!("{path}/delete");
        let read = root.get(&delete).await;
        assert_eq!(read.text("h1"), "Delete the client The portal?");
        assert_eq!(read.texts("#confirm-effects li")[1], "Revokes the tokens of 1 sign-in.");
        let done = root.confirm(&format!("{path}/disable"), &[]).await;
        assert_eq!(root.follow(done).await.text("#client-state"), "portal Off");
        assert_eq!(portal.post("/oauth2/introspect", &[("token", &token)]).await.status, 401);
        root.confirm(&format!("{path}/enable"), &[]).await.location();
        assert!(!portal.is_active(&token).await);
        let older = root.confirm_on(&read, &[]).await;
        assert_eq!((older.status.as_u16(), older.has("#stale")), (409, true));
        let gone = root.confirm_on(&older, &[]).await;
        let list = root.follow(gone).await;
        assert_eq!(list.text("p.message"), "Client deleted, with its secrets, consents and tokens.");
        assert_eq!(root.get(&path).await.status, 404);
        assert_eq!(idp.number("SELECT COUNT(*) FROM families").await, 0);
        let kinds: Vec<_> = idp.activity().await.into_iter().map(|record| record.kind.to_string()).filter(|kind| kind.starts_with("client_")).collect();
        assert_eq!(kinds, ["client_disabled", "client_enabled", "client_deleted"]);
        idp.assert_invariants().await;
    }

    /// Every client once, page by page.
    async fn clients_are_paged(engine: Engine) {
        let idp = Idp::start(engine).await;
        let mut root = therap_admin(&idp, "root").await;
        let mut wanted = Vec::new();
        for n in 0..60 {
            wanted.push(format!("app-{n:02}"));
            idp.app(&wanted[n], |_| {}).await;
        }
        let first = root.get("/operator/clients").await;
        let second = root.get(&first.attribute(".pages-older", "href").unwrap()).await;
        let mut seen = first.texts("#clients-table td[data-label=client_id]");
        seen.extend(second.texts("#clients-table td[data-label=client_id]"));
        assert_eq!(seen, wanted);
        assert!(!second.has(".pages-older"));
        assert_eq!(root.get("/operator/clients?after=%00").await.texts("#clients-table tbody tr").len(), 50);
    }

    /// By client, with what went wrong last; linked from the front page and from the client's own.
    async fn logouts_not_taken_are_listed_by_client(engine: Engine) {
        let idp = Idp::start(engine).await;
        let (portal, quiet) = (idp.app("portal", |_| {}).await, idp.app("quiet", |_| {}).await);
        let mut root = therap_admin(&idp, "root").await;
        assert_eq!(root.get("/operator/deliveries").await.text("p.empty"), "Every logout was delivered.");
        for (client, sid, state, attempts, next_at, settled_at, error) in [
            (&portal, "a", "waiting", 1, 10, "NULL", "'it answered 500'"),
            (&portal, "b", "waiting", 4, 30, "NULL", "'it did not answer'"),
            (&portal, "c", "given_up", 9, 20, "20", "'it answered 404'"),
            (&portal, "d", "delivered", 1, 40, "40", "NULL"),
            (&quiet, "e", "waiting", 0, 50, "NULL", "NULL"),
            (&quiet, "f", "delivered", 2, 50, "50", "NULL"),
        ] {
            let sql = format!(
                "INSERT INTO logout_deliveries (client, sid, user_id, state, attempts, next_at, created_at, settled_at, last_error) \
                 VALUES ('{}', '{sid}', 'u', '{state}', {attempts}, {next_at}, 1, {settled_at}, {error})",
                client.client.id
            );
            idp.outsider().await.run(&sql).await;
        }
        let page = root.get("/operator/deliveries").await;
        assert_eq!(page.texts("#deliveries-table tbody td"), ["portal", "2", "1", "it did not answer"]);
        assert!(root.get("/operator").await.has("a[href='/operator/deliveries']"));
        let path = |client: &str| format!("/operator/clients/{client}");
        assert_eq!(root.get(&path(&portal.client.id)).await.text("#deliveries"), "2 waiting to be retried, 1 abandoned.");
        assert_eq!(root.get(&path(&quiet.client.id)).await.text("#deliveries"), "0 waiting to be retried, 0 abandoned.");
    }
}
