//! Confirmations (G34): no such act at the first press, none of another version than the one that was shown, and nothing lost
//! on the way.

use connect_idp::model::provider::UnifiedLogin;
use connect_idp::model::user::UserType;
use connect_idp::operations::admin_context::{Edited, Switched};
use connect_idp::operations::users::{Ended, Locks, Unlocked, Untied};
use connect_idp::operations::{issuers, providers, users};
use connect_idp::web::notice::Notice;

use super::operator::therap_admin;
use crate::actors::{Browser, ISSUER, Idp, PASSWORD, User, encode};

/// A Provider Admin, signed in.
async fn provider_admin(idp: &Idp) -> Browser {
    let paul = idp.user("paul").user_type(UserType::ProviderAdmin).create().await;
    let mut browser = idp.browser();
    browser.sign_in(&paul).await;
    browser
}

fn of_user(user: &User, act: &str) -> String {
    format!("/admin/users/{}/{act}", user.id)
}

/// Every confirmation of a Therap Admin, of an object of its own each.
async fn of_therap(idp: &Idp) -> Vec<String> {
    let client = idp.app("portal", |_| {}).await.client.id;
    let issuer = idp.trust("https://other.example.net", |_| {}).await.id;
    let provider = idp.provider("OTHER", |_| {}).await.id;
    let pia = idp.user("pia").of("OTHER").user_type(UserType::ProviderAdmin).create().await;
    connect_idp::operations::keys::in_use::jwks(&idp.app, idp.now()).await.unwrap();
    let kid = idp.outsider().await.text("SELECT kid FROM signing_keys WHERE alg = 'RS256'").await;
    let asking = idp.provider("ASKING", |p| p.unified_login = UnifiedLogin::Requested).await.id;
    let lena = idp.user("lena").of("OTHER").failures(3).admin_locked().create().await.id;
    let of_lena = format!("/operator/providers/{provider}/users/{lena}");
    let mut paths = vec![
        format!("/operator/requests/{asking}/approve"),
        format!("{of_lena}/unlock?lock=password"),
        format!("{of_lena}/unlock?lock=admin"),
        format!("{of_lena}/end-sessions"),
        format!("/operator/providers/{provider}/reset-password?user={}", pia.id),
        "/operator/keys/rotate-at-once?alg=RS256".to_owned(),
        format!("/operator/keys/retire?kid={kid}"),
    ];
    for (list, id, acts) in [
        ("clients", client, ["delete", "disable", "rotate-secret"]),
        ("issuers", issuer, ["disable", "end-sessions", "untie"]),
        ("providers", provider, ["deactivate", "end-sessions", "switch-off"]),
    ] {
        paths.extend(acts.map(|act| format!("/operator/{list}/{id}/{act}")));
    }
    paths
}

/// Two who opened a confirmation confirm it at once: one of them acts, and there is one record.
async fn at_once(idp: &Idp, (one, first): (&mut Browser, &str), (two, second): (&mut Browser, &str), kind: &str) {
    let (ours, theirs) = (one.get(first).await, two.get(second).await);
    let (a, b) = tokio::join!(one.confirm_on(&ours, &[]), two.confirm_on(&theirs, &[]));
    let done = [&a, &b].into_iter().filter(|answer| answer.notice().is_some_and(Notice::is_good)).count();
    assert_eq!(done, 1, "{kind}: {} {}", a.status, b.status);
    assert_eq!(idp.record().await.iter().filter(|line| line.starts_with(kind)).count(), 1, "{kind}");
}

both_engines! {
    /// Neither a form that confirms nothing, nor one without the password, does anything; a password that was typed a moment
    /// ago is asked for again.
    async fn nothing_is_done_at_the_first_press(engine: Engine) {
        let idp = Idp::start_with(engine, |config| config.throttle.enabled = false).await;
        let (_, mut root) = therap_admin(&idp, "root").await;
        let mut paul = provider_admin(&idp).await;
        let amina = idp.user("amina").create().await;
        let paths = of_therap(&idp).await;
        let before = idp.activity().await.len();
        for path in &paths {
            let page = root.get(path).await;
            assert_eq!(page.form("#confirm-form").action, *path);
            assert!(!page.texts("#confirm-object dd").is_empty() && !page.texts("#confirm-effects li").is_empty(), "{path}");
            let old = root.post(path, &[]).await;
            assert_eq!((old.status.as_u16(), old.has("#stale")), (409, true), "{path}");
            let unproven = root.submit(&page, "#confirm-form", &[]).await;
            assert_eq!((unproven.status.as_u16(), unproven.has("#confirm-password-error")), (422, true), "{path}");
        }
        for act in ["lock", "deactivate", "reset-password", "end-sessions"] {
            let page = paul.get(&of_user(&amina, act)).await;
            assert!(page.has("#confirm-submit") && !page.has("#confirm-password"), "{act}");
            assert_eq!(paul.post(&of_user(&amina, act), &[]).await.status, 409, "{act}");
        }
        assert_eq!(idp.activity().await.len(), before);
    }

    /// Two tabs, a reload, somebody else: what changed since is shown as it is now, and asked again.
    async fn of_two_tabs_the_second_is_told(engine: Engine) {
        let idp = Idp::start(engine).await;
        let (_, mut root) = therap_admin(&idp, "root").await;
        let mut paul = provider_admin(&idp).await;
        let amina = idp.user("amina").create().await;
        let provider = idp.account(&amina).await.provider_id;
        let path = format!("/operator/providers/{provider}/end-sessions");
        let (one, two) = (root.get(&path).await, root.get(&path).await);
        root.confirm_on(&one, &[]).await.location();
        for _ in 0..2 {
            let told = root.confirm_on(&two, &[]).await;
            assert_eq!((told.status.as_u16(), told.has("#stale")), (409, true));
        }
        let ended = idp.record().await.iter().filter(|line| line.starts_with("session_ended")).count();
        assert_eq!(ended, 1);
        // Paul was signed out with everybody.
        paul.sign_in(&User::nobody("paul", "SUNRISE-IL")).await;
        let lock = paul.get(&of_user(&amina, "lock")).await;
        idp.reset_password(&amina, "Better-Horse-10").await;
        let told = paul.confirm_on(&lock, &[("reason", "as I meant it")]).await;
        assert_eq!((told.status.as_u16(), told.has("#stale")), (409, true));
        assert_eq!(told.attribute("#reason", "value").as_deref(), Some("as I meant it"), "what was typed stays");
        assert!(!idp.account(&amina).await.admin_locked);
        paul.confirm_on(&told, &[]).await.location();
        assert!(idp.account(&amina).await.admin_locked);
        assert_eq!(paul.get(&of_user(&amina, "lock")).await.notice(), Some(Notice::AlreadyDone));
    }

    /// The operation itself compares the version, in its own transaction.
    async fn an_act_of_another_version_is_not_done(engine: Engine) {
        let idp = Idp::start(engine).await;
        let amina = idp.user("amina").create().await;
        let mut conn = idp.app.db.read().await.unwrap();
        let id = idp.account(&amina).await.provider_id;
        let provider = connect_idp::store::providers::by_id(&mut conn, &id).await.unwrap().unwrap();
        let seen = provider.version();
        drop(conn);
        let end = async || providers::end_sessions(&idp.act().of(seen), &id).await.unwrap();
        assert_eq!((end().await, end().await), (Switched::Done, Switched::Stale));
        assert_eq!(providers::set_active(&idp.act().of(seen), &id, false).await.unwrap(), Switched::Stale);
    }

    /// What is kept beside an object's row, and shown with it, makes another version of it too.
    async fn what_stands_beside_an_object_is_part_of_its_version(engine: Engine) {
        let idp = Idp::start(engine).await;
        let amina = idp.user("amina").create().await;
        let (user, id) = (idp.account(&amina).await, amina.provider_id.clone());
        let provider = async || {
            let mut conn = idp.app.db.read().await.unwrap();
            connect_idp::store::providers::by_id(&mut conn, &id).await.unwrap().unwrap()
        };
        let issuer = async || {
            let mut conn = idp.app.db.read().await.unwrap();
            connect_idp::store::issuers::by_name(&mut conn, ISSUER).await.unwrap().unwrap()
        };
        let seen = provider().await.version();
        providers::set_unified_login(&idp.act(), &id, UnifiedLogin::Off).await.unwrap();
        assert_eq!(providers::set_active(&idp.act().of(seen), &id, false).await.unwrap(), Switched::Stale);
        providers::set_unified_login(&idp.act(), &id, UnifiedLogin::On).await.unwrap();

        idp.browser().hand_off(&idp.therap_services().sign(&amina)).await.assert_dashboard();
        let seen = user.version();
        let untie = async || users::untie(&idp.act().of(seen), &id, &amina.id, Some(ISSUER)).await.unwrap();
        assert_eq!((untie().await, untie().await), (Untied::Yes(1), Untied::Stale));
        let end = users::end_sessions(&idp.act().of(seen), &id, &amina.id).await.unwrap();
        let unlocked = users::unlock(&idp.act().of(seen), &id, &amina.id, Locks::Both).await.unwrap();
        assert_eq!((end, unlocked), (Ended::Stale, Unlocked::Stale));

        idp.browser().hand_off(&idp.therap_services().sign(&amina)).await.assert_dashboard();
        let seen = issuer().await.version();
        let untie_all = async || issuers::untie_all(&idp.act().of(seen), ISSUER).await.unwrap();
        assert_eq!((untie_all().await, untie_all().await), (Edited::Changed(Some(1)), Edited::Stale));
        assert_eq!(issuers::disable(&idp.act().of(seen), ISSUER, true).await.unwrap(), Switched::Stale);
    }

    /// Two admins who confirm the same version at once: one acts, the other is told; there is one record.
    async fn of_two_admins_who_confirm_at_once_one_acts(engine: Engine) {
        let idp = Idp::start(engine).await;
        let (_, mut root) = therap_admin(&idp, "root").await;
        let (_, mut rosa) = therap_admin(&idp, "rosa").await;
        let mut paul = provider_admin(&idp).await;
        let pia = idp.user("pia").user_type(UserType::ProviderAdmin).create().await;
        let mut pias = idp.browser();
        pias.sign_in(&pia).await;
        let lena = idp.user("lena").create().await;
        idp.browser().hand_off(&idp.therap_services().sign(&lena)).await.assert_dashboard();
        let asking = idp.provider("ASKING", |p| p.unified_login = UnifiedLogin::Requested).await.id;
        let approve = format!("/operator/requests/{asking}/approve");
        at_once(&idp, (&mut root, &approve), (&mut rosa, &approve), "unified_login_changed").await;
        let outside = format!("/operator/providers/{}/users/{}/end-sessions", lena.provider_id, lena.id);
        let inside = of_user(&lena, "end-sessions");
        at_once(&idp, (&mut root, &outside), (&mut paul, &inside), "session_ended").await;
        let untie = format!("{}?{}", of_user(&lena, "untie"), encode(&[("issuer", ISSUER)]));
        at_once(&idp, (&mut paul, &untie), (&mut pias, &untie), "handoff_untied").await;
        idp.assert_invariants().await;
    }

    /// G35: the third wrong password ends the session; the sign-in leads back to the same confirmation, which is asked again.
    async fn the_way_leads_back_through_the_sign_in(engine: Engine) {
        let idp = Idp::start(engine).await;
        let (_, mut root) = therap_admin(&idp, "root").await;
        let paths = of_therap(&idp).await;
        let retire = paths.iter().find(|path| path.contains("retire?kid=")).unwrap();
        let page = root.get(retire).await;
        for _ in 0..2 {
            assert_eq!(root.submit(&page, "#confirm-form", &[("password", "Wrong-Horse-9")]).await.status, 403);
        }
        let over = root.submit(&page, "#confirm-form", &[("password", "Wrong-Horse-9")]).await;
        let query = url::form_urlencoded::Serializer::new(String::new()).append_pair("return_to", retire).finish();
        assert_eq!(over.location(), format!("/login?{query}"));
        // The same form once more, without a session.
        let late = root.submit(&page, "#confirm-form", &[("password", PASSWORD)]).await;
        assert_eq!(late.location(), format!("/login?{query}"));
        let login = root.follow(late).await;
        let fields = [("login_name", "root"), ("password", PASSWORD), ("provider_code", "THERAP")];
        let back = root.submit(&login, "#login-form", &fields).await;
        assert_eq!(back.location(), *retire);
        assert!(root.follow(back).await.has("#confirm-form"));
    }

    /// Why a user is locked is in the record and on the user's page, for admins; the user does not read it.
    async fn a_lock_has_a_reason(engine: Engine) {
        let idp = Idp::start(engine).await;
        let mut paul = provider_admin(&idp).await;
        let amina = idp.user("amina").create().await;
        let path = of_user(&amina, "lock");
        for bad in ["x".repeat(501), "a\u{7}b".to_owned(), "a\nb".to_owned()] {
            let told = paul.confirm(&path, &[("reason", &bad)]).await;
            assert_eq!((told.status.as_u16(), told.has("#reason-error")), (422, true), "{bad:?}");
        }
        let reason = "ö".repeat(500);
        let done = paul.confirm(&path, &[("reason", &reason)]).await;
        let page = paul.follow(done).await;
        assert!(page.text("#lock-reason").starts_with(&format!("Reason: {reason}. Locked by paul, Jan 15, 2027")));
        let record = idp.activity().await.pop().unwrap();
        assert_eq!(record.note, Some(format!("locked by an administrator; {reason}")));
        idp.unlock(&amina).await;
        let mut hers = idp.browser();
        hers.sign_in(&amina).await;
        assert!(!hers.get("/activity").await.body.contains("ööö"));
        // Without a reason, and by somebody else.
        idp.lock(&amina).await;
        let page = paul.get(&format!("/admin/users/{}", amina.id)).await;
        assert!(page.text("#lock-reason").starts_with("Locked by "), "{}", page.text("#lock-reason"));
    }

    /// A form that is asked and sent at one address comes back to it after a sign-in, whichever page that is: what names them
    /// in `web::form_paths` knows each route that has both.
    async fn a_form_without_a_session_comes_back_to_where_it_is_asked(engine: Engine) {
        let idp = Idp::start(engine).await;
        let routes = include_str!("../routes.txt").lines().filter_map(|line| line.strip_suffix(" GET,HEAD,POST person"));
        let paths: Vec<_> = routes.filter(|path| path.starts_with("/admin") || path.starts_with("/operator")).collect();
        assert!(paths.len() > 20, "{paths:?}");
        for path in paths {
            let id = "01a3185c-5000-7006-8017-cab0d246e56d";
            let path = path.replace("{id}", id).replace("{user}", id);
            let led = idp.browser().post(&path, &[]).await;
            // What is had of an import is asked for on its page.
            let asked = if path.contains("/import/") { path.rsplit_once('/').unwrap().0 } else { &path };
            assert_eq!(led.location(), format!("/login?return_to={}", asked.replace('/', "%2F")));
        }
    }
}
