//! The Therap Admin: providers and their first admins, requests for Unified Login, trusted issuers, the record of all,
//! and the password once more before what cannot be undone.

use std::time::Duration;

use connect_idp::model::provider::UnifiedLogin;
use connect_idp::model::user::UserType;
use connect_idp::web::notice::Notice;

use crate::actors::{Answer, Browser, ISSUER, Idp, User, public_jwks};

pub async fn therap_admin(idp: &Idp, login_name: &str) -> (User, Browser) {
    let root = idp.user(login_name).of("THERAP").user_type(UserType::TherapAdmin).create().await;
    let mut browser = idp.browser();
    browser.sign_in(&root).await;
    (root, browser)
}

async fn provider_admin(idp: &Idp, code: &str) -> Browser {
    let paul = idp.user("paul").of(code).user_type(UserType::ProviderAdmin).create().await;
    let mut browser = idp.browser();
    browser.sign_in(&paul).await;
    browser
}

/// The only row of the queue's form, with one of its buttons.
async fn decide(browser: &mut Browser, page: &Answer, decision: &str, reason: &str) -> Answer {
    let form = page.form("form.decide");
    let step = form.fields["step"].clone();
    if decision == "approve" {
        // A page from before there was a confirmation leads to it.
        let led = browser.post(&form.action, &[("step", &step), ("decision", decision)]).await;
        assert_eq!(led.location(), format!("{}/approve", form.action));
        let asked = browser.follow(led).await;
        return browser.confirm_on(&asked, &[("reason", reason)]).await;
    }
    browser.post(&form.action, &[("step", &step), ("decision", decision), ("reason", reason)]).await
}

async fn state(idp: &Idp, id: &str) -> UnifiedLogin {
    let mut conn = idp.app.db.read().await.unwrap();
    connect_idp::store::providers::by_id(&mut conn, id).await.unwrap().unwrap().unified_login
}

both_engines! {
    /// U1, both sides: asked, seen with its age, approved; the handoff works; switched off with a reason.
    async fn a_request_is_approved_and_unified_login_works(engine: Engine) {
        let idp = Idp::start(engine).await;
        let cedar = idp.provider("CEDAR-OR", |p| p.unified_login = UnifiedLogin::Off).await;
        let mut paul = provider_admin(&idp, "CEDAR-OR").await;
        let carla = idp.user("carla").of("CEDAR-OR").create().await;
        let page = paul.get("/admin/provider").await;
        paul.submit(&page, "#request-form", &[("note", "Please.")]).await.location();
        idp.browser().hand_off(&idp.therap_services().sign(&carla)).await.assert_handoff_refused("Invalid Credential");
        idp.advance(Duration::from_mins(10));
        let (_, mut root) = therap_admin(&idp, "root").await;
        assert_eq!(root.get("/operator").await.text("#waiting"), "1");
        let queue = root.get("/operator/requests").await;
        assert_eq!(queue.texts("#waiting .facts dd")[..4], ["CEDAR-OR", "10 minutes since Jan 15, 2027, 3:00:00 AM EST", "admin paul", "Please."]);
        let done = decide(&mut root, &queue, "approve", "").await;
        let queue = root.follow(done).await;
        assert_eq!(queue.text("p.message"), "The request was approved: Unified Login is on.");
        assert!(!queue.has("#waiting form"));
        idp.browser().hand_off(&idp.therap_services().sign(&carla)).await.assert_dashboard();
        let page = paul.get("/admin/provider").await;
        assert!(page.text("#unified-state").starts_with("On."));
        assert_eq!(page.texts("#steps-table td[data-label=By]"), ["Therap Admin", "paul"]);
        let off = format!("/operator/providers/{}/switch-off", cedar.id);
        let long = root.confirm(&off, &[("note", &"x".repeat(501))]).await;
        assert_eq!((long.status.as_u16(), long.has("#note-error")), (422, true));
        let done = root.confirm(&off, &[("note", "As agreed.")]).await;
        assert_eq!(root.told(done).await, "Unified Login was switched off.");
        let page = paul.get("/admin/provider").await;
        assert_eq!(page.texts("#steps-table td[data-label=Note]")[0], "As agreed.");
        let notes: Vec<_> = idp.activity().await.into_iter().filter(|r| r.kind.as_str() == "unified_login_changed").map(|r| (r.actor, r.note.unwrap())).collect();
        let notes: Vec<_> = notes.iter().map(|(actor, note)| (actor.as_str(), note.as_str())).collect();
        assert_eq!(notes, [
            ("admin paul", "from off to requested; Please."),
            ("therap admin root", "from requested to on"),
            ("therap admin root", "from on to off; As agreed."),
        ]);
        idp.browser().hand_off(&idp.therap_services().sign(&carla)).await.assert_handoff_refused("Invalid Credential");
    }

    /// A decline needs a reason, which the provider reads.
    async fn a_request_is_declined_with_a_reason(engine: Engine) {
        let idp = Idp::start(engine).await;
        let cedar = idp.provider("CEDAR-OR", |p| p.unified_login = UnifiedLogin::Requested).await;
        let (_, mut root) = therap_admin(&idp, "root").await;
        let queue = root.get("/operator/requests").await;
        let told = decide(&mut root, &queue, "decline", "").await;
        assert_eq!((told.status.as_u16(), told.message().as_deref()), (422, Some("The reason must say why the request is declined.")));
        let long = "x".repeat(501);
        let told = decide(&mut root, &queue, "decline", &long).await;
        assert_eq!((told.status.as_u16(), told.text("form.decide textarea")), (422, long));
        assert_eq!(decide(&mut root, &queue, "perhaps", "").await.status, 400);
        assert_eq!(decide(&mut root, &queue, "decline", "Not yet.").await.notice(), Some(Notice::RequestDeclined));
        assert_eq!(state(&idp, &cedar.id).await, UnifiedLogin::Off);
        let mut paul = provider_admin(&idp, "CEDAR-OR").await;
        let page = paul.get("/admin/provider").await;
        assert_eq!(page.texts("#steps-table td[data-label=Step]"), ["Declined"]);
        assert_eq!(page.texts("#steps-table td[data-label=Note]"), ["Not yet."]);
    }

    /// Of two Therap Admins one decides; what was withdrawn and asked again is another request.
    async fn one_request_is_decided_once(engine: Engine) {
        let idp = Idp::start(engine).await;
        let cedar = idp.provider("CEDAR-OR", |p| p.unified_login = UnifiedLogin::Off).await;
        let mut paul = provider_admin(&idp, "CEDAR-OR").await;
        let (_, mut one) = therap_admin(&idp, "root").await;
        let (_, mut two) = therap_admin(&idp, "rosa").await;
        paul.post("/admin/provider/request", &[("note", "first")]).await.location();
        let read = one.get("/operator/requests").await;
        paul.post("/admin/provider/withdraw", &[]).await.location();
        paul.post("/admin/provider/request", &[("note", "second")]).await.location();
        // What is confirmed is what the confirmation shows.
        let asked = one.get(&format!("/operator/requests/{}/approve", cedar.id)).await;
        assert!(asked.texts("#confirm-object dd").contains(&"second".to_owned()));
        paul.post("/admin/provider/withdraw", &[]).await.location();
        assert_eq!(one.confirm_on(&asked, &[]).await.notice(), Some(Notice::RequestMovedOn));
        paul.post("/admin/provider/request", &[("note", "third")]).await.location();
        let told = one.confirm_on(&asked, &[]).await;
        assert_eq!((told.status.as_u16(), told.has("#stale")), (409, true));
        // Whatever was written to it.
        for invalid in ["", "a\tb", &"x".repeat(501)] {
            let told = decide(&mut one, &read, "decline", invalid).await.notice();
            assert_eq!(told, Some(Notice::RequestMovedOn), "{invalid}");
        }
        assert_eq!(state(&idp, &cedar.id).await, UnifiedLogin::Requested);
        let read = two.get("/operator/requests").await;
        let told = decide(&mut two, &read, "decline", "a\tb").await;
        assert_eq!(told.status, 422);
        assert!(told.body.contains("must not contain control characters"), "{}", told.body);
        let answers = {
            let (_, mut three) = therap_admin(&idp, "ruth").await;
            let (_, mut four) = therap_admin(&idp, "rita").await;
            let path = format!("/operator/requests/{}/approve", cedar.id);
            let (asked, too) = (one.get(&path).await, four.get(&path).await);
            let all = tokio::join!(
                one.confirm_on(&asked, &[]),
                decide(&mut two, &read, "decline", "no"),
                decide(&mut three, &read, "decline", "no"),
                four.confirm_on(&too, &[]),
            );
            [all.0, all.1, all.2, all.3]
        };
        let stale = answers.iter().filter(|answer| answer.notice() == Some(Notice::RequestMovedOn)).count();
        assert_eq!(stale, 3);
        let steps = idp.number("SELECT COUNT(*) FROM unified_login_steps").await;
        assert_eq!(steps, 6);
    }

    /// The whole beginning without a command line: provider, first admin, first sign-in, first user.
    async fn a_provider_begins_with_its_first_admin(engine: Engine) {
        let idp = Idp::start(engine).await;
        let (_, mut root) = therap_admin(&idp, "root").await;
        let page = root.get("/operator/providers/new").await;
        let bad = root.submit(&page, "#new-provider-form", &[("code", "NOT GOOD"), ("idle_minutes", "31")]).await;
        assert_eq!(bad.status, 422);
        assert_eq!(bad.texts("#form-errors li").len(), 3);
        let taken = root.submit(&page, "#new-provider-form", &[("code", "sunrise-il"), ("name", "X")]).await;
        assert_eq!(taken.text("#code-error"), "Another provider has this code already, in this or another case.");
        let made = root.submit(&page, "#new-provider-form", &[("code", "NEW-TX"), ("name", "New Home"), ("time_zone", "America/Chicago")]).await;
        let page = root.follow(made).await;
        assert_eq!(page.text("h1"), "New Home");
        let bad = root.submit(&page, "#new-admin-form", &[("login_name", "a b")]).await;
        assert_eq!((bad.status.as_u16(), bad.texts("#form-errors li").len()), (422, 2));
        let slip = root.submit(&page, "#new-admin-form", &[("login_name", "nora"), ("admin_name", "Nora New"), ("email", "")]).await;
        let password = slip.text("#temporary-password");
        let page = root.get(&slip.attribute("#go-on", "href").unwrap()).await;
        assert_eq!(page.texts("#admins-table td[data-label=State]"), ["Active Temporary password"]);
        let reset = root.get(&page.attribute("#admins-table a.button", "href").unwrap()).await;
        assert_eq!(reset.text("h1"), "Reset the password of Nora New?");
        let slip = root.confirm_on(&reset, &[]).await;
        assert_ne!(slip.text("#temporary-password"), password);
        let stale = root.confirm_on(&reset, &[]).await;
        assert_eq!((stale.status.as_u16(), stale.has("#stale")), (409, true));
        let mut nora = idp.browser();
        let answer = nora.try_login("nora", &slip.text("#temporary-password"), "NEW-TX").await;
        let update = nora.follow(answer).await;
        let done = nora.submit(&update, "#update-form", &[("new_password", "Better-Horse-10"), ("confirm_new_password", "Better-Horse-10")]).await;
        let home = nora.follow(done).await;
        assert!(home.has("nav a[href='/admin/users']") && !home.has("nav a[href='/operator']"));
        let list = root.get("/operator/providers?q=new+h").await;
        assert_eq!(list.texts("#providers-table td[data-label=Code]"), ["NEW-TX"]);
        let theirs = root.get("/operator/activity?provider=NEW-TX").await;
        let kinds = theirs.texts("#activity-table td[data-label=By]");
        assert!(kinds.contains(&"therap admin root".to_owned()), "{kinds:?}");
    }

    /// A reset reaches the Provider Admins of that provider alone.
    async fn an_operator_resets_admins_alone(engine: Engine) {
        let idp = Idp::start(engine).await;
        let (_, mut root) = therap_admin(&idp, "root").await;
        let other = idp.provider("OTHER", |_| {}).await;
        let (amina, paul) = (idp.user("amina").create().await, idp.user("paul").user_type(UserType::ProviderAdmin).create().await);
        let path = |provider: &str, user: &str| format!("/operator/providers/{provider}/reset-password?user={user}");
        for (provider, user) in [(&amina.provider_id, &amina.id), (&other.id, &paul.id), (&paul.provider_id, &"x".to_owned())] {
            for answer in [root.get(&path(provider, user)).await, root.post(&path(provider, user), &[("seen", "1")]).await] {
                assert!(matches!(answer.status.as_u16(), 400 | 404), "{}", answer.status);
            }
        }
        assert_eq!(root.confirm(&path(&paul.provider_id, &paul.id), &[]).await.status, 200);
        let realm = idp.number("SELECT COUNT(*) FROM providers WHERE kind = 'operator'").await;
        assert_eq!(realm, 1);
    }

    /// G34: what ends sessions is confirmed on a page that names it, with the password, however lately that was typed. A wrong
    /// one is no strike, and the account that strangers locked bars no admin who is there (G35).
    async fn what_cannot_be_undone_needs_the_password_again(engine: Engine) {
        let idp = Idp::start(engine).await;
        let (me, mut root) = therap_admin(&idp, "root").await;
        let amina = idp.user("amina").create().await;
        let mut hers = idp.browser();
        hers.sign_in(&amina).await;
        let path = format!("/operator/providers/{}", amina.provider_id);
        let page = root.get(&path).await;
        let confirm = root.get(&page.attribute("#deactivate", "href").unwrap()).await;
        assert_eq!(confirm.text("h1"), "Deactivate SUNRISE-IL Homes?");
        assert_eq!(confirm.texts("#confirm-object dd"), ["SUNRISE-IL Homes", "SUNRISE-IL"]);
        assert_eq!(confirm.texts("#confirm-effects li")[0], "Ends 1 session of 1 user.");
        assert_eq!(confirm.attribute("#confirm-cancel", "href").as_deref(), Some(path.as_str()));
        hers.assert_signed_in_as(&amina).await;
        let empty = root.submit(&confirm, "#confirm-form", &[]).await;
        let error = "#confirm-password-error";
        assert_eq!((empty.status.as_u16(), empty.text(error).as_str()), (422, "Please enter your Password."));
        let wrong = root.submit(&confirm, "#confirm-form", &[("password", "Wrong-Horse-9")]).await;
        assert_eq!((wrong.status.as_u16(), wrong.text(error).as_str()), (403, "The password is incorrect."));
        assert_eq!(wrong.text("h1"), "Deactivate SUNRISE-IL Homes?", "nothing is lost");
        hers.assert_signed_in_as(&amina).await;
        for _ in 0..3 {
            idp.browser().log_in(&me, "Wrong-Horse-9").await;
        }
        assert_eq!(idp.account(&me).await.failures, 3);
        let before = root.session();
        let done = root.confirm_on(&wrong, &[]).await;
        assert_eq!(done.location(), path);
        assert_ne!(root.session(), before, "the session is renewed (U3)");
        assert_eq!(idp.account(&me).await.failures, 3, "only another admin unlocks");
        assert_eq!(root.told(done).await, "The provider is inactive. Every session of the provider was ended.");
        hers.assert_signed_out().await;
        let page = root.get(&path).await;
        root.submit(&page, "form[action$='/activate']", &[]).await.location();
        hers.sign_in(&amina).await;
        root.confirm(&format!("{path}/end-sessions"), &[]).await.location();
        hers.assert_signed_out().await;
        idp.assert_invariants().await;
    }

    /// After an attack: every password lock of the provider, and no admin's lock.
    async fn every_password_lock_of_a_provider_goes_at_once(engine: Engine) {
        let idp = Idp::start(engine).await;
        let (_, mut root) = therap_admin(&idp, "root").await;
        idp.provider("OTHER", |_| {}).await;
        let (a, b) = (idp.user("a").failures(3).create().await, idp.user("b").failures(3).admin_locked().create().await);
        let (c, d) = (idp.user("c").failures(2).create().await, idp.user("d").of("OTHER").failures(3).create().await);
        root.post(&format!("/operator/providers/{}/unlock-all", a.provider_id), &[]).await.location();
        let mut failures = Vec::new();
        for user in [&a, &b, &c, &d] {
            failures.push(idp.account(user).await.failures);
        }
        assert_eq!(failures, [0, 0, 2, 3]);
        assert!(idp.account(&b).await.admin_locked);
        let record = idp.activity().await.pop().unwrap();
        assert_eq!((record.kind.as_str(), record.note.as_deref()), ("account_unlocked", Some("every password lock of the provider: 2")));
    }

    /// U13: trusted, changed, switched off at once with its sessions, on again; two admins at one.
    async fn an_issuer_is_trusted_changed_and_switched_off(engine: Engine) {
        let idp = Idp::start(engine).await;
        let (_, mut root) = therap_admin(&idp, "root").await;
        let page = root.get("/operator/issuers/new").await;
        let blank = root.submit(&page, "#new-issuer-form", &[]).await;
        let faulty: Vec<_> = ["issuer", "display-name", "origins", "jwks-uri"]
            .into_iter()
            .filter(|id| blank.attribute(&format!("#{id}"), "aria-invalid").is_some())
            .collect();
        let said = blank.texts("#form-errors li");
        assert_eq!(faulty, ["issuer", "display-name", "origins", "jwks-uri"], "{said:?}");
        assert!(said.iter().all(|said| said.starts_with(char::is_uppercase)), "{said:?}");
        let bad = root.submit(&page, "#new-issuer-form", &[("issuer", "ftp://x"), ("origins", "https://x/"), ("jwks", "{}"), ("acr", "nothing")]).await;
        assert_eq!(bad.status, 422);
        assert!(bad.has("#origins-error") && bad.has("#jwks-error") && bad.has("#acr-error") && bad.has("#display-name-error"));
        let keys = public_jwks(&["es256"]).replace("TEST-ONLY", "own");
        let good = [("issuer", "https://new.example.net"), ("display_name", "New"), ("origins", "https://new.example.net\r\n"), ("jwks", &keys), ("acr", "")];
        let made = root.submit(&page, "#new-issuer-form", &good).await;
        let page = root.follow(made).await;
        assert_eq!(page.text("h1"), "https://new.example.net", "{:?}", page.texts("#form-errors"));
        let saved = root.submit(&page, "#issuer-form", &[("display_name", "Newer")]).await;
        assert_eq!(saved.notice(), Some(Notice::Saved));
        let stale = root.submit(&page, "#issuer-form", &[("display_name", "Newest")]).await;
        assert_eq!((stale.status.as_u16(), stale.has("#stale")), (409, true));
        assert_eq!(stale.attribute("#display-name", "value").as_deref(), Some("Newest"));
        let amina = idp.user("amina").create().await;
        let mut hers = idp.browser();
        hers.hand_off(&idp.therap_services().sign(&amina)).await;
        hers.assert_signed_in_as(&amina).await;
        let list = root.get("/operator/issuers").await;
        let row = list.texts("#issuers-table td[data-label=Issuer]").iter().position(|name| name == ISSUER).unwrap();
        let mut conn = idp.app.db.read().await.unwrap();
        let id = connect_idp::store::issuers::list(&mut conn).await.unwrap()[row].id.clone();
        drop(conn);
        let path = format!("/operator/issuers/{id}");
        assert!(root.get(&path).await.text("#issuer-state").ends_with("1 user is linked to it."));
        let off = root.get(&format!("{path}/disable")).await;
        assert_eq!(off.text("label[for=end-too]"), "Also end the 1 session that it opened, of 1 user");
        root.confirm_on(&off, &[("end_sessions", "yes")]).await.location();
        hers.assert_signed_out().await;
        idp.browser().hand_off(&idp.therap_services().sign(&amina)).await.assert_handoff_refused("Invalid Credential");
        root.confirm(&format!("{path}/enable"), &[]).await.location();
        hers.hand_off(&idp.therap_services().sign(&amina)).await;
        hers.assert_signed_in_as(&amina).await;
        root.confirm(&format!("{path}/untie"), &[]).await.location();
        assert!(root.get(&path).await.text("#issuer-state").ends_with("0 users are linked to it."));
        root.confirm(&format!("{path}/end-sessions"), &[]).await.location();
        hers.assert_signed_out().await;
    }

    /// A session made by handoff never reaches these pages, even if one of a Therap Admin came to be.
    async fn no_handoff_reaches_these_pages(engine: Engine) {
        let idp = Idp::start(engine).await;
        let (_, mut root) = therap_admin(&idp, "root").await;
        assert_eq!(root.get("/operator").await.status, 200);
        let forged = "UPDATE sessions SET method = 'handoff', handoff_id = 'forged', used_at = created_at, \
                      issuer_id = (SELECT MIN(id) FROM issuers), issuer_epoch = 1";
        idp.outsider().await.run(forged).await;
        assert_eq!(root.get("/").await.status, 200, "the session itself lives");
        for path in ["/operator", "/operator/providers", "/operator/keys", "/operator/activity/export"] {
            assert_eq!(root.get(path).await.status, 404, "{path}");
        }
        // A Provider Admin may come by either sign-in method.
        let paul = idp.user("paul").user_type(UserType::ProviderAdmin).create().await;
        let mut browser = idp.browser();
        browser.hand_off(&idp.therap_services().sign(&paul)).await;
        assert_eq!(browser.get("/admin/users").await.status, 200);
    }

    /// Every agency once, page by page, found by a part of its name or code; the operator realm is none.
    async fn providers_are_paged_and_found(engine: Engine) {
        let idp = Idp::start(engine).await;
        let (_, mut root) = therap_admin(&idp, "root").await;
        for n in 0..60 {
            idp.provider(&format!("Agency-{n:02}"), |p| p.active = n % 2 == 0).await;
        }
        let mut seen = Vec::new();
        let mut next = Some("/operator/providers".to_owned());
        while let Some(path) = next {
            let list = root.get(&path).await;
            seen.extend(list.texts("#providers-table td[data-label=Code]"));
            next = list.has(".pages-older").then(|| list.attribute(".pages-older", "href").unwrap());
        }
        let mut wanted: Vec<_> = (0..60).map(|n| format!("Agency-{n:02}")).collect();
        wanted.push("SUNRISE-IL".into());
        assert_eq!(seen, wanted);
        for (query, count) in [
            ("q=agency-1", 10), ("q=SUNRISE", 1), ("q=THERAP", 0), ("q=%25", 0), ("q=homes&state=inactive", 30),
            ("state=requested", 0), ("after=zzz", 0), ("after=%00", 50), ("state=nonsense", 50),
        ] {
            let list = root.get(&format!("/operator/providers?{query}")).await;
            assert_eq!(list.texts("#providers-table tbody tr").len(), count, "{query}");
        }
    }

    /// Across providers, with the actors' names; a Login Name needs its provider.
    async fn the_record_of_all_is_filtered(engine: Engine) {
        let idp = Idp::start(engine).await;
        idp.provider("OTHER", |_| {}).await;
        let (_, mut root) = therap_admin(&idp, "root").await;
        for user in [idp.user("amina").create().await, idp.user("carla").of("OTHER").create().await] {
            idp.browser().sign_in(&user).await;
            idp.browser().log_in(&user, "Wrong-Horse-9").await;
        }
        idp.browser().try_login("x", "y", "NOWHERE").await;
        for (query, count) in [
            ("", 6), ("provider=OTHER", 2), ("provider=OTHER&user=carla", 2), ("provider=OTHER&user=amina", 0),
            ("outcome=refused", 3), ("unknown=yes", 1), ("kind=sign_in&outcome=success", 3), ("provider=THERAP", 1),
        ] {
            let page = root.get(&format!("/operator/activity?{query}")).await;
            assert_eq!(page.texts("#activity-table tbody tr").len(), count, "{query}");
            let file = root.get(&page.attribute("#export", "href").unwrap()).await;
            assert_eq!(file.body.lines().count(), count + 1, "{query}");
        }
        for (query, id) in [("provider=nowhere", "#provider"), ("user=amina", "#user"), ("provider=%00", "#provider")] {
            let page = root.get(&format!("/operator/activity?{query}")).await;
            assert_eq!((page.status.as_u16(), page.attribute("#form-errors a", "href").as_deref()), (422, Some(id)));
        }
        let home = root.get("/operator").await;
        assert_eq!(home.texts("#hours-table tbody td"), ["Jan 15, 2027, 3:00:00 AM EST", "3", "3", "0", "0"]);
        assert_eq!(home.texts("#refusals dd"), ["2", "1"]);
    }
}

impl Answer {
    /// A handoff that ended on the Dashboard.
    #[track_caller]
    pub fn assert_dashboard(&self) {
        assert!(self.has("main#dashboard"), "{} {:?}", self.status, self.message());
    }
}
