//! A Provider Admin and the users of one provider: finding, making, changing, locking, resetting, ending (G15).

use std::time::Duration;

use connect_idp::cache::hash_queue::Whose;
use connect_idp::config::Config;
use connect_idp::model::user::UserType;
use connect_idp::web::notice::Notice;
use futures_util::FutureExt;
use serde_json::json;
use zeroize::Zeroizing;

use crate::actors::{Answer, Browser, ISSUER, Idp, PASSWORD, User};
use crate::console::operator::therap_admin;
use crate::metrics::value;

/// A Provider Admin, signed in.
async fn admin(idp: &Idp) -> (User, Browser) {
    let paul = idp.user("paul").user_type(UserType::ProviderAdmin).create().await;
    let mut browser = idp.browser();
    browser.sign_in(&paul).await;
    (paul, browser)
}

fn page_of(user: &User) -> String {
    format!("/admin/users/{}", user.id)
}

fn names(list: &Answer) -> Vec<String> {
    list.texts("#users-table td[data-label='Login Name']")
}

async fn kinds(idp: &Idp) -> Vec<String> {
    let records = idp.activity().await;
    records.iter().filter(|r| r.actor == "admin paul").map(|r| r.kind.to_string()).collect()
}

both_engines! {
    /// The list: by name, page by page, and nobody of another provider.
    async fn the_list_is_sorted_and_paged(engine: Engine) {
        let idp = Idp::start(engine).await;
        let (_, mut browser) = admin(&idp).await;
        idp.provider("OTHER", |_| {}).await;
        idp.user("aaa-stranger").of("OTHER").create().await;
        for n in 0..60 {
            idp.user(&format!("user{n:02}")).create().await;
        }
        let mut seen = Vec::new();
        let mut next = Some("/admin/users".to_owned());
        let mut pages = 0;
        while let Some(path) = next {
            let list = browser.get(&path).await;
            assert_eq!(list.status, 200);
            seen.extend(names(&list));
            next = list.has(".pages-older").then(|| list.attribute(".pages-older", "href").unwrap());
            pages += 1;
        }
        let mut wanted: Vec<_> = (0..60).map(|n| format!("user{n:02}")).collect();
        wanted.insert(0, "paul".into());
        assert_eq!((seen, pages), (wanted, 3));
        let foreign = browser.get("/admin/users?after=nonsense&sort=login_name").await;
        assert_eq!(names(&foreign)[0], "paul", "a cursor that is none begins anew");
    }

    /// By a part of either name in any case, with signs taken literally; by state; by type.
    async fn users_are_found_as_one_would_expect(engine: Engine) {
        let idp = Idp::start(engine).await;
        let (_, mut browser) = admin(&idp).await;
        idp.user("Amina").create().await;
        idp.user("a_b").create().await;
        idp.user("axb").create().await;
        idp.user("Émile").create().await;
        idp.user("locked").failures(3).create().await;
        idp.user("barred").admin_locked().create().await;
        idp.user("gone").inactive().create().await;
        let new = idp.user("new").temporary().create().await;
        browser.post(&page_of(&new), &[("name", "Zoë Ärmel"), ("email", ""), ("user_type", "Regular User"), ("revision", "1")]).await;
        for (query, wanted) in [
            ("q=AMIN", vec!["Amina"]),
            ("q=ina+dia", vec!["Amina"]),
            ("q=a_b", vec!["a_b"]),
            ("q=%25", vec![]),
            ("q=%C3%89MI", vec!["Émile"]),
            ("q=zo%C3%8B", vec!["new"]),
            ("q=%00%C3%84rm", vec!["new"]),
            ("q=%27", vec![]),
            ("state=locked", vec!["barred", "locked"]),
            ("state=password_locked", vec!["locked"]),
            ("state=admin_locked", vec!["barred"]),
            ("state=deactivated", vec!["gone"]),
            ("state=temporary", vec!["new"]),
            ("user_type=Provider+Admin", vec!["paul"]),
            ("user_type=Therap+Admin&q=amina", vec!["Amina"]),
            ("state=never_signed_in&sort=login_name", vec!["a_b", "Amina", "axb", "barred", "locked", "new", "Émile"]),
        ] {
            let list = browser.get(&format!("/admin/users?{query}")).await;
            let (mut found, mut wanted) = (names(&list), wanted.iter().map(ToString::to_string).collect::<Vec<_>>());
            // The engines' collations differ in where signs and accents stand.
            found.sort();
            wanted.sort();
            assert_eq!(found, wanted, "{query}");
        }
        let list = browser.get("/admin/users?q=paul").await;
        assert_eq!(list.text("#users-table td[data-label='Last sign-in']"), "Jan 15, 2027, 2:00:00 AM CST");
        assert_eq!(browser.get("/admin/users?q=gone").await.texts("#users-table .pill"), ["Deactivated"]);
    }

    /// A new user signs in with the password that was shown once, and must replace it.
    async fn a_new_user_is_made_with_a_password_shown_once(engine: Engine) {
        let idp = Idp::start(engine).await;
        let (_, mut browser) = admin(&idp).await;
        let blank = browser.get("/admin/users/new").await;
        let filled = [("login_name", "Nina"), ("name", "Nina Roy"), ("email", "nina@example.org")];
        let shown = browser.submit(&blank, "#new-user-form", &filled).await;
        assert_eq!(shown.status, 200, "{:?}", shown.texts("#form-errors"));
        let password = shown.text("#temporary-password");
        let again = browser.submit(&blank, "#new-user-form", &filled).await;
        assert_eq!(again.status, 422);
        assert_eq!(again.text("#login-name-error"), "Another user has this Login Name already. Please choose another one.");
        assert_eq!(again.text("#form-errors li"), again.text("#login-name-error"));
        assert_eq!(again.attribute("#name", "value").as_deref(), Some("Nina Roy"));
        assert!(!again.body.contains(&password));
        let nina = idp.browser().try_login("nina", &password, "SUNRISE-IL").await;
        assert_eq!(nina.location(), "/password/update");
        assert_eq!(kinds(&idp).await, ["user_created"]);
        let found = browser.get("/admin/users?q=nina").await;
        assert_eq!(found.texts("#users-table .pill"), ["Active", "Temporary password"]);
    }

    /// What was typed stays, and every fault stands at its field and in the summary.
    async fn a_form_says_what_is_wrong_and_keeps_what_was_typed(engine: Engine) {
        let idp = Idp::start(engine).await;
        let (_, mut browser) = admin(&idp).await;
        let bad = [("login_name", "a b"), ("name", " x"), ("email", "nobody"), ("user_type", "Therap Admin")];
        let page = browser.post("/admin/users/new", &bad).await;
        assert_eq!(page.status, 422);
        assert_eq!(page.texts("#form-errors li").len(), 4);
        for (id, value) in [("login-name", "a b"), ("name", " x"), ("email", "nobody")] {
            assert_eq!(page.attribute(&format!("#{id}"), "value").as_deref(), Some(value));
            assert_eq!(page.attribute(&format!("#{id}"), "aria-invalid").as_deref(), Some("true"));
            assert!(page.has(&format!("#{id}-error")));
        }
        assert_eq!(page.text("#user-type-choice-error"), "Please choose a User Type.");
        let none = browser.post("/admin/users/new", &[]).await;
        assert_eq!(none.status, 422);
        assert!(idp.activity().await.iter().all(|record| record.actor == "user"));
        let html = [("login_name", "x\"><script>"), ("name", "<b>\"x\"</b>"), ("email", ""), ("user_type", "Regular User")];
        let page = browser.post("/admin/users/new", &html).await;
        assert!(!page.has("b") && page.texts("script").len() == 1, "what was typed is text");
    }

    /// Name, address and type; only what is new is recorded, and the type's change by its names.
    async fn a_users_data_are_changed(engine: Engine) {
        let idp = Idp::start(engine).await;
        let (_, mut browser) = admin(&idp).await;
        let amina = idp.user("amina").create().await;
        let page = browser.get(&page_of(&amina)).await;
        let change = [("name", "Amina B. Diallo"), ("email", "a@example.org"), ("user_type", "Provider Admin")];
        let done = browser.submit(&page, "#user-form", &change).await;
        let page = browser.follow(done).await;
        assert_eq!(page.text("p.message"), "The changes were saved.");
        assert_eq!(page.text("h1"), "Amina B. Diallo");
        assert_eq!(page.attribute("#email", "value").as_deref(), Some("a@example.org"));
        let record = idp.activity().await.pop().unwrap();
        assert_eq!(record.note.as_deref(), Some("name, user_type, claims; from Regular User to Provider Admin"));
        assert_eq!((record.actor.as_str(), record.login_name.as_deref()), ("admin paul", Some("amina")));
        let same = browser.submit(&page, "#user-form", &[]).await;
        assert_eq!(browser.told(same).await, "No changes to save.");
        let never = browser.submit(&page, "#user-form", &[("user_type", "Therap Admin")]).await;
        assert_eq!(never.status, 422);
        assert_eq!(idp.account(&amina).await.user_type, UserType::ProviderAdmin);
    }

    /// Two admins at one user: the second is told what stands there, and loses nothing that was typed.
    async fn the_second_of_two_admins_is_told(engine: Engine) {
        let idp = Idp::start(engine).await;
        let (_, mut paul) = admin(&idp).await;
        let pia = idp.user("pia").user_type(UserType::ProviderAdmin).create().await;
        let mut second = idp.browser();
        second.sign_in(&pia).await;
        let amina = idp.user("amina").create().await;
        let (ours, theirs) = (paul.get(&page_of(&amina)).await, second.get(&page_of(&amina)).await);
        paul.submit(&ours, "#user-form", &[("name", "First")]).await.location();
        let told = second.submit(&theirs, "#user-form", &[("name", "Second"), ("email", "s@example.org")]).await;
        assert_eq!(told.status, 409);
        assert!(told.text("#stale").contains("Name “First”"));
        assert_eq!(told.attribute("#name", "value").as_deref(), Some("Second"));
        assert_eq!(told.attribute("#email", "value").as_deref(), Some("s@example.org"));
        assert_eq!(idp.account(&amina).await.name, "First");
        second.submit(&told, "#user-form", &[]).await.location();
        assert_eq!(idp.account(&amina).await.name, "Second");
    }

    /// Many at once, all from the same page: one writes, the others are told.
    async fn of_many_edits_at_once_one_wins(engine: Engine) {
        let idp = Idp::start(engine).await;
        let (_, mut browser) = admin(&idp).await;
        let amina = idp.user("amina").create().await;
        let page = browser.get(&page_of(&amina)).await;
        let edits = (0..8).map(|n| {
            let (mut browser, page) = (browser.clone(), page.clone());
            tokio::spawn(async move {
                browser.submit(&page, "#user-form", &[("name", &format!("Name {n}"))]).await.status.as_u16()
            })
        });
        let mut answers = Vec::new();
        for edit in edits.collect::<Vec<_>>() {
            answers.push(edit.await.unwrap());
        }
        answers.sort_unstable();
        assert_eq!(answers, [303, 409, 409, 409, 409, 409, 409, 409]);
        assert_eq!(kinds(&idp).await, ["user_changed"]);
    }

    /// Each lock is removed alone, under its own name; an admin's lock and a deactivation end every session (R4).
    async fn the_two_locks_are_kept_apart(engine: Engine) {
        let idp = Idp::start(engine).await;
        let (_, mut browser) = admin(&idp).await;
        let amina = idp.user("amina").create().await;
        let mut hers = idp.browser();
        hers.sign_in(&amina).await;
        let done = browser.confirm(&format!("{}/lock", page_of(&amina)), &[]).await;
        let page = browser.follow(done).await;
        assert_eq!(page.text("p.message"), "The user is locked by an admin. Every session was ended.");
        hers.assert_signed_out().await;
        for _ in 0..3 {
            hers.log_in(&amina, "Wrong-Horse-9").await;
        }
        let page = browser.get(&page_of(&amina)).await;
        assert_eq!(page.texts("#user-state .pill"), ["Active", "Password locked", "Locked by an admin"]);
        let done = browser.submit(&page, "#admin-lock form", &[]).await;
        let page = browser.follow(done).await;
        assert_eq!(page.texts("#user-state .pill"), ["Active", "Password locked"]);
        assert_eq!(hers.log_in(&amina, PASSWORD).await.status, 403);
        let done = browser.submit(&page, "#password-lock form", &[]).await;
        browser.follow(done).await;
        hers.sign_in(&amina).await;
        let off = format!("{}/deactivate", page_of(&amina));
        browser.confirm(&off, &[]).await.location();
        hers.assert_signed_out().await;
        assert_eq!(hers.log_in(&amina, PASSWORD).await.message().as_deref(), Some("Invalid Credentials"));
        assert_eq!(browser.get(&off).await.notice(), Some(Notice::AlreadyDone));
        browser.post(&off.replace("deactivate", "reactivate"), &[]).await.location();
        hers.sign_in(&amina).await;
        assert_eq!(
            kinds(&idp).await,
            ["account_locked", "account_unlocked", "account_unlocked", "user_deactivated", "user_reactivated"]
        );
        let nonsense = browser.post(&format!("{}/unlock", page_of(&amina)), &[("lock", "every")]).await;
        assert_eq!(nonsense.status, 400);
        idp.assert_invariants().await;
    }

    /// L7: ends sessions, lifts a password lock, never an admin's; a page loaded again resets nothing.
    async fn a_reset_shows_a_password_once(engine: Engine) {
        let idp = Idp::start(engine).await;
        let (_, mut browser) = admin(&idp).await;
        let lena = idp.user("lena").failures(3).create().await;
        let page = browser.get(&format!("{}/reset-password", page_of(&lena))).await;
        let shown = browser.confirm_on(&page, &[]).await;
        assert_eq!(shown.status, 200);
        let password = shown.text("#temporary-password");
        assert!(!shown.has(".message.bad"));
        let reloaded = browser.confirm_on(&page, &[]).await;
        assert_eq!((reloaded.status.as_u16(), reloaded.has("#stale")), (409, true));
        assert_eq!(idp.browser().log_in(&lena, &password).await.location(), "/password/update");
        let omar = idp.user("omar").admin_locked().create().await;
        let shown = browser.confirm(&format!("{}/reset-password", page_of(&omar)), &[]).await;
        assert!(shown.text(".message.bad").starts_with("The account is still locked by an admin"));
        assert_eq!(kinds(&idp).await, ["password_reset", "password_reset"]);
        for user in [&lena, &omar] {
            assert!(idp.account(user).await.must_update());
        }
    }

    /// One session, or all of them; another user's is as good as none.
    async fn sessions_are_ended(engine: Engine) {
        let idp = Idp::start(engine).await;
        let (_, mut browser) = admin(&idp).await;
        let (amina, bob) = (idp.user("amina").create().await, idp.user("bob").create().await);
        let (mut one, mut two, mut his) = (idp.browser(), idp.browser(), idp.browser());
        one.sign_in(&amina).await;
        idp.advance(Duration::from_mins(1));
        two.sign_in(&amina).await;
        his.sign_in(&bob).await;
        let page = browser.get(&page_of(&amina)).await;
        assert_eq!(page.texts("#sessions-table tbody tr").len(), 2);
        let newest = page.attribute("#sessions-table tbody tr:first-child a", "href").unwrap();
        let (all, query) = newest.split_once('?').unwrap();
        let foreign = browser.get(&format!("{}/end-sessions?{query}", page_of(&bob))).await;
        assert_eq!(foreign.notice(), Some(Notice::AlreadyDone));
        let asked = browser.get(&newest).await;
        assert_eq!(asked.text("h1"), format!("End this session of {}?", amina.name));
        assert!(!asked.has("#confirm-password"));
        two.assert_signed_in_as(&amina).await;
        let done = browser.confirm_on(&asked, &[]).await;
        assert_eq!(browser.told(done).await, "The session was ended.");
        two.assert_signed_out().await;
        one.assert_signed_in_as(&amina).await;
        let done = browser.confirm(all, &[]).await;
        assert_eq!(browser.told(done).await, "Every session was ended.");
        one.assert_signed_out().await;
        his.assert_signed_in_as(&bob).await;
        assert_eq!(browser.get(&format!("{all}?session=nonsense%00")).await.notice(), Some(Notice::AlreadyDone));
        // A page from before there was a confirmation.
        assert_eq!(browser.post(all, &[("session", "x")]).await.status, 409);
        assert_eq!(kinds(&idp).await, ["session_ended", "session_ended"]);
    }

    /// U12: until it is untied, another account over there is refused.
    async fn a_tie_is_removed(engine: Engine) {
        let idp = Idp::start(engine).await;
        let (_, mut browser) = admin(&idp).await;
        let amina = idp.user("amina").create().await;
        idp.browser().hand_off(&idp.therap_services().sign(&amina)).await;
        let page = browser.get(&page_of(&amina)).await;
        assert!(page.text("#ties .act p").contains(ISSUER));
        let asked = browser.get(&page.attribute("#ties .act a", "href").unwrap()).await;
        assert_eq!(asked.texts("#confirm-object dd")[4], ISSUER);
        let done = browser.confirm_on(&asked, &[]).await;
        let page = browser.follow(done).await;
        assert!(page.has("#ties .empty"));
        assert_eq!(kinds(&idp).await, ["handoff_untied"]);
        assert_eq!(browser.confirm_on(&asked, &[]).await.notice(), Some(Notice::AlreadyDone));
        // Tied again meanwhile, to another account over there: it is another version, and asked again.
        idp.browser().hand_off(&idp.therap_services().assertion(&amina).claim("sub", "another").sign()).await;
        assert_eq!(browser.confirm_on(&asked, &[]).await.status, 409);
        let unknown = browser.get(&format!("{}/untie?issuer=https://nobody%00.example", page_of(&amina))).await;
        assert_eq!(unknown.notice(), Some(Notice::AlreadyDone));
    }

    /// What is known stands first: who made the account, each way's last sign-in, the password's age, sessions, apps.
    async fn a_users_page_says_what_is_known(engine: Engine) {
        let idp = Idp::start(engine).await;
        let (_, mut browser) = admin(&idp).await;
        let facts = async |browser: &mut Browser, user: &User| {
            let page = browser.get(&page_of(user)).await;
            let (names, values) = (page.texts("#user-facts dt"), page.texts("#user-facts dd"));
            names.into_iter().zip(values).collect::<std::collections::HashMap<_, _>>()
        };
        let blank = browser.get("/admin/users/new").await;
        let shown = browser.submit(&blank, "#new-user-form", &[("login_name", "nina"), ("name", "Nina Roy")]).await;
        let id = shown.attribute("#go-on", "href").unwrap().rsplit('/').next().unwrap().to_owned();
        let nina = User { id, ..User::nobody("nina", "SUNRISE-IL") };
        idp.advance(Duration::from_mins(10));
        let known = facts(&mut browser, &nina).await;
        assert_eq!(known["Created"], "Jan 15, 2027, 2:00:00 AM CST, by paul");
        assert_eq!((&*known["Last Direct Login"], &*known["Last Unified Login"]), ("None on record", "None on record"));
        let until = "Temporary, until Jan 22, 2027, 2:00:00 AM CST";
        assert_eq!(known["Password"], format!("Set 10 minutes ago, Jan 15, 2027, 2:00:00 AM CST {until}"));
        assert_eq!((&*known["Sessions now"], &*known["Apps with access"]), ("0", "None"));
        assert_eq!(known["E-mail address"], "None");

        let amina = idp.user("amina").create().await;
        let app = idp.app("portal", |_| {}).await;
        let mut hers = idp.browser();
        hers.sign_in(&amina).await;
        app.tokens(&mut hers, &amina, &[]).await;
        idp.advance(Duration::from_mins(5));
        idp.browser().hand_off(&idp.therap_services().sign(&amina)).await.assert_dashboard();
        let known = facts(&mut browser, &amina).await;
        assert_eq!(known["Last Direct Login"], "Jan 15, 2027, 2:10:00 AM CST");
        assert_eq!(known["Last Unified Login"], "Jan 15, 2027, 2:15:00 AM CST");
        assert_eq!((&*known["Sessions now"], &*known["Apps with access"]), ("2", "The portal"));
        // A reset is a new password, and ends what apps hold.
        idp.reset_password(&amina, "Better-Horse-10").await;
        let page = browser.get(&page_of(&amina)).await;
        assert_eq!(page.texts("#user-state .pill"), ["Active", "Temporary password"]);
        assert_eq!(page.attribute("#user-state .pill:first-of-type", "data-tone").as_deref(), Some("good"));
        let known = facts(&mut browser, &amina).await;
        assert!(known["Password"].starts_with("Set 0 minutes ago, Jan 15, 2027, 2:15:00 AM CST"), "{}", known["Password"]);
        assert_eq!(known["Sessions now"], "0");
        // A temporary password that is over says so.
        idp.advance(Duration::from_hours(24 * 8));
        browser.sign_in(&User::nobody("paul", "SUNRISE-IL")).await;
        assert!(facts(&mut browser, &amina).await["Password"].contains("Temporary, expired Jan 22"));
    }

    /// Whoever makes a user while the service is busy is told so on the form, and loses nothing that was typed,
    /// whichever kind of admin it is.
    async fn a_busy_house_keeps_what_was_typed(engine: Engine) {
        let narrow = |config: &mut Config| (config.password.threads, config.password.queue) = (1, 1);
        let idp = Idp::start_with(engine, narrow).await;
        let (paul, mut admin) = admin(&idp).await;
        let (_, mut root) = therap_admin(&idp, "root").await;
        let blank = admin.get("/admin/users/new").await;
        let agency = root.get(&format!("/operator/providers/{}", idp.account(&paul).await.provider_id)).await;
        // Two hashes that take seconds: one is worked on, one waits, and there is no room for a third.
        let slow = "$argon2id$v=19$m=65536,t=60,p=1$c29tZXNhbHRzb21lc2FsdA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
        let turn = idp.app.hashes.turn(Whose::Account("slow")).await;
        let slow = || Box::pin(idp.app.hashes.verify(&turn, Zeroizing::new(PASSWORD.into()), Some(slow.into())));
        let (mut first, mut second) = (slow(), slow());
        assert!((&mut first).now_or_never().is_none() && (&mut second).now_or_never().is_none());

        let user = [("login_name", "nina"), ("name", "Nina Ng"), ("email", "nina@example.org")];
        let busy = admin.submit(&blank, "#new-user-form", &user).await;
        let of_admin = [("login_name", "nina"), ("admin_name", "Nina Ng"), ("email", "nina@example.org")];
        let busy_too = root.submit(&agency, "#new-admin-form", &of_admin).await;
        for (answer, name) in [(busy, "#name"), (busy_too, "#admin-name")] {
            assert_eq!((answer.status.as_u16(), answer.header("retry-after")), (503, Some("2")));
            assert!(answer.text("#login-name-error").starts_with("Therap Connect is busy"));
            let kept = ["#login-name", name, "#email"].map(|field| answer.attribute(field, "value").unwrap());
            assert_eq!(kept, ["nina", "Nina Ng", "nina@example.org"]);
        }
        // Each is counted once, by the answer that left.
        assert_eq!(value(&idp, "connect_idp_busy_total").await, "2");
    }

    /// A reset that is refused anyway makes no hash, and waits for none (G31).
    async fn a_reset_that_is_refused_makes_no_hash(engine: Engine) {
        let narrow = |config: &mut Config| (config.password.threads, config.password.queue) = (1, 1);
        let idp = Idp::start_with(engine, narrow).await;
        let (paul, mut browser) = admin(&idp).await;
        let (amina, other) = (idp.user("amina").create().await, idp.provider("OTHER", |_| {}).await);
        let program = idp.client("hr", "users.write").await;
        let slow = "$argon2id$v=19$m=65536,t=60,p=1$c29tZXNhbHRzb21lc2FsdA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
        let turn = idp.app.hashes.turn(Whose::Account("slow")).await;
        let slow = || Box::pin(idp.app.hashes.verify(&turn, Zeroizing::new(PASSWORD.into()), Some(slow.into())));
        let (mut first, mut second) = (slow(), slow());
        assert!((&mut first).now_or_never().is_none() && (&mut second).now_or_never().is_none());

        let reset = |user: &User| format!("{}/reset-password", page_of(user));
        assert_eq!(browser.post(&reset(&paul), &[("seen", "1.1.1")]).await.notice(), Some(Notice::OwnAccount));
        assert_eq!(browser.post(&reset(&amina), &[("seen", "1.1.0")]).await.status, 409);
        let path = format!("/api/v1/providers/{}/users/{}/reset-password", other.code, amina.id);
        assert_eq!(program.post(&path, &json!({})).await.status, 404, "nobody of that provider's");
        assert_eq!(browser.confirm(&reset(&amina), &[]).await.status, 503, "what is not refused needs a hash");
    }

    /// Nobody saws off the branch that one sits on: a provider cannot lose its admin to that admin.
    async fn an_admin_does_nothing_to_the_own_account(engine: Engine) {
        let idp = Idp::start(engine).await;
        let (paul, mut browser) = admin(&idp).await;
        for act in ["lock", "deactivate", "reset-password"] {
            let asked = browser.get(&format!("{}/{act}", page_of(&paul))).await;
            assert_eq!(asked.notice(), Some(Notice::OwnAccount), "{act}");
            let done = browser.post(&format!("{}/{act}", page_of(&paul)), &[("seen", "1.1.1")]).await;
            assert!(browser.told(done).await.starts_with("You cannot do this to your own account"), "{act}");
        }
        let page = browser.get(&page_of(&paul)).await;
        assert!(!page.has("#user-form select"));
        let fields = [("name", "Paul the Second"), ("email", ""), ("user_type", "Regular User"), ("revision", "1")];
        browser.post(&page_of(&paul), &fields).await.location();
        assert_eq!(idp.account(&paul).await.user_type, UserType::ProviderAdmin);
        browser.assert_signed_in_as(&paul).await;
    }

    /// How many tries there were on names that nobody has (people see an attack by it).
    async fn tries_on_unknown_names_are_counted(engine: Engine) {
        let idp = Idp::start(engine).await;
        let (_, mut browser) = admin(&idp).await;
        idp.browser().try_login("zoe", "Wrong-Horse-9", "SUNRISE-IL").await;
        idp.browser().try_login("zora", "Wrong-Horse-9", "SUNRISE-IL").await;
        idp.browser().try_login("zora", "Wrong-Horse-9", "ELSEWHERE").await;
        assert!(browser.get("/admin/users").await.text("#strangers").ends_with("last 30 days: 2"));
        idp.advance(Duration::from_hours(24 * 31));
        let paul = User::nobody("paul", "SUNRISE-IL");
        browser.sign_in(&paul).await;
        assert!(browser.get("/admin/users").await.text("#strangers").ends_with("last 30 days: 0"));
    }

    /// L1: the page that a late form came from is where the login page leads back to.
    async fn a_form_sent_after_the_session_leads_back_to_its_page(engine: Engine) {
        let idp = Idp::start(engine).await;
        let amina = idp.user("amina").create().await;
        let mut nobody = idp.browser();
        for (path, wanted) in [
            (format!("{}/lock", page_of(&amina)), format!("{}/lock", page_of(&amina))),
            (format!("{}/reactivate", page_of(&amina)), page_of(&amina)),
            (page_of(&amina), page_of(&amina)),
            ("/admin/users/selected/unlock".into(), "/admin/users/selected/unlock".into()),
            ("/admin/users/new".into(), "/admin/users/new".into()),
        ] {
            let answer = nobody.post(&path, &[]).await;
            assert_eq!(answer.location(), format!("/login?return_to={}", wanted.replace('/', "%2F")));
        }
    }
}
