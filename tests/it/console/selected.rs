//! What a Provider Admin does to several users at once: confirmed once (G34), done and recorded one by one, told of each.

use std::collections::BTreeMap;

use connect_idp::model::user::UserType;
use connect_idp::web::notice::Notice;

use crate::actors::{Answer, Browser, Idp, User};

async fn admin(idp: &Idp, name: &str) -> (User, Browser) {
    let user = idp.user(name).user_type(UserType::ProviderAdmin).create().await;
    let mut browser = idp.browser();
    browser.sign_in(&user).await;
    (user, browser)
}

/// The address that the list's form leads to.
fn of<'a>(act: &str, users: impl IntoIterator<Item = &'a User>) -> String {
    let ticked: Vec<_> = users.into_iter().map(|user| format!("user.{}=yes", user.id)).collect();
    format!("/admin/users/selected/{act}?{}&list=q%3Duser", ticked.join("&"))
}

async fn users<const N: usize>(idp: &Idp) -> [User; N] {
    let mut made = Vec::new();
    for n in 0..N {
        made.push(idp.user(&format!("user{n:02}")).create().await);
    }
    made.try_into().unwrap()
}

/// What the page says of each.
fn results(page: &Answer) -> BTreeMap<String, String> {
    let names = page.texts("#selected-table td[data-label='Login Name']");
    names.into_iter().zip(page.texts("#selected-table td[data-label=Result]")).collect()
}

async fn acts(idp: &Idp) -> Vec<String> {
    let records = idp.activity().await;
    let by_admins = records.iter().filter(|record| record.actor.starts_with("admin "));
    by_admins.map(|record| format!("{} {}", record.kind, record.login_name.clone().unwrap_or_default())).collect()
}

both_engines! {
    /// From the list to the answer and back: the page names everybody, says what ends in numbers, and does nothing before it
    /// is confirmed.
    async fn several_are_locked_with_a_reason(engine: Engine) {
        let idp = Idp::start(engine).await;
        let (_, mut browser) = admin(&idp, "paul").await;
        let some: [User; 3] = users(&idp).await;
        let mut hers = idp.browser();
        hers.sign_in(&some[0]).await;
        let list = browser.get("/admin/users?q=user").await;
        assert_eq!(list.attributes("#users-table input[type=checkbox]", "aria-label"), ["Select user00", "Select user01", "Select user02"]);
        let form = list.form("#selection");
        assert_eq!((form.action.as_str(), form.fields["list"].as_str()), ("/admin/users/selected/lock", "q=user"));
        let asked = browser.get(&of("lock", &some)).await;
        assert_eq!(asked.text("h1"), "Lock 3 users?");
        for user in &some {
            assert!(asked.text("#confirm-object dd").contains(&format!("{} ({})", user.name, user.login_name)));
        }
        assert_eq!(asked.texts("#confirm-effects li")[0], "Ends 1 session of 1 user.");
        assert_eq!(asked.attribute("#confirm-cancel", "href").as_deref(), Some("/admin/users?q=user"));
        let bad = browser.confirm_on(&asked, &[("reason", &"x".repeat(501))]).await;
        assert_eq!((bad.status.as_u16(), bad.has("#reason-error")), (422, true));
        assert_eq!(browser.post(&of("lock", &some), &[]).await.status, 409, "nothing at the first press");
        assert!(acts(&idp).await.is_empty());
        let done = browser.confirm_on(&asked, &[("reason", "left together")]).await;
        assert_eq!((done.status.as_u16(), done.text("h1").as_str()), (200, "Done for 3 of 3 users"));
        assert!(results(&done).values().all(|result| result == "Locked. Every session was ended."));
        assert_eq!(done.attribute("#go-on", "href").as_deref(), Some("/admin/users?q=user"));
        hers.assert_signed_out().await;
        assert_eq!(acts(&idp).await, ["account_locked user00", "account_locked user01", "account_locked user02"]);
        let notes: Vec<_> = idp.activity().await.into_iter().filter_map(|record| record.note).filter(|note| note.contains("left")).collect();
        assert_eq!(notes, vec!["locked by an administrator; left together"; 3]);
        let again = browser.confirm_on(&asked, &[]).await;
        assert_eq!(again.notice(), Some(Notice::AlreadyDone));
        assert_eq!(acts(&idp).await.len(), 3);
    }

    /// Of both locks, for those who have one; who has none is left out, and so is whoever is another provider's (G15).
    async fn several_are_unlocked(engine: Engine) {
        let idp = Idp::start(engine).await;
        let (_, mut browser) = admin(&idp, "paul").await;
        idp.provider("OTHER", |_| {}).await;
        let lena = idp.user("lena").failures(3).create().await;
        let omar = idp.user("omar").admin_locked().create().await;
        let (kept, free) = (idp.user("kept").admin_locked().create().await, idp.user("free").create().await);
        let foreign = idp.user("foreign").of("OTHER").failures(3).create().await;
        let asked = browser.get(&of("unlock", [&lena, &omar, &free, &foreign])).await;
        assert_eq!(
            asked.texts("#confirm-effects li"),
            ["Removes 1 password lock and 1 admin lock.", "Left out, because not locked: 1 user."]
        );
        let done = browser.confirm_on(&asked, &[]).await;
        let wanted = ["lena", "omar"].map(|name| (name.to_owned(), "Unlocked.".to_owned()));
        assert_eq!(results(&done), BTreeMap::from(wanted));
        assert!(!idp.account(&omar).await.admin_locked && idp.account(&kept).await.admin_locked);
        assert_eq!((idp.account(&lena).await.failures, idp.account(&foreign).await.failures), (0, 3));
        assert_eq!(acts(&idp).await, ["account_unlocked lena", "account_unlocked omar"]);
        assert_eq!(browser.get(&of("unlock", [&foreign])).await.notice(), Some(Notice::NobodySelected));
        assert_eq!(browser.get(&of("unlock", [&free])).await.notice(), Some(Notice::AlreadyDone));
    }

    /// Every session of each, in numbers before and after; never one's own.
    async fn sessions_of_several_are_ended(engine: Engine) {
        let idp = Idp::start(engine).await;
        let (paul, mut browser) = admin(&idp, "paul").await;
        let some: [User; 2] = users(&idp).await;
        let mut theirs = [idp.browser(), idp.browser()];
        for browser in &mut theirs {
            browser.sign_in(&some[0]).await;
        }
        let asked = browser.get(&of("end-sessions", some.iter().chain([&paul]))).await;
        let effects = asked.texts("#confirm-effects li");
        assert_eq!((effects[0].as_str(), effects[2].as_str()), ("Ends 2 sessions of 1 user.", "Your own account is left out. Ask another Provider Admin."));
        let done = browser.confirm_on(&asked, &[]).await;
        assert_eq!(results(&done)["user00"], "2 sessions ended.");
        assert_eq!(results(&done)["user01"], "Done. No session was open.");
        for browser in &mut theirs {
            browser.assert_signed_out().await;
        }
        browser.assert_signed_in_as(&paul).await;
        assert_eq!(acts(&idp).await, ["session_ended user00", "session_ended user01"]);
        for act in ["lock", "end-sessions", "reset-password"] {
            assert_eq!(browser.get(&of(act, [&paul])).await.notice(), Some(Notice::OwnAccount), "{act}");
        }
    }

    /// A temporary password each, shown once; whoever is locked by an admin stays so.
    async fn passwords_of_several_are_reset(engine: Engine) {
        let idp = Idp::start(engine).await;
        let (_, mut browser) = admin(&idp, "paul").await;
        let some: [User; 2] = users(&idp).await;
        let barred = idp.user("user99").admin_locked().create().await;
        let asked = browser.get(&of("reset-password", some.iter().chain([&barred]))).await;
        assert!(asked.texts("#confirm-effects li").contains(&"Locked by an admin, and stays so: 1 user.".to_owned()));
        let done = browser.confirm_on(&asked, &[]).await;
        let passwords = done.texts(".temporary-password");
        assert_eq!(passwords.len(), 3);
        assert!(done.has("#go-on[data-keeps]"));
        assert!(results(&done)["user99"].contains("still locked by an admin"));
        for (user, password) in some.iter().zip(&passwords) {
            let answer = idp.browser().try_login(&user.login_name, password, "SUNRISE-IL").await;
            assert_eq!(answer.location(), "/password/update");
        }
        assert_eq!(acts(&idp).await.len(), 3);
        // Loaded again, it replaces nothing that was just printed.
        assert_eq!(browser.confirm_on(&asked, &[]).await.status, 409);
        assert_eq!(acts(&idp).await.len(), 3);
    }

    /// What is no selection is said, and does nothing.
    async fn a_selection_has_bounds(engine: Engine) {
        let idp = Idp::start(engine).await;
        let (_, mut browser) = admin(&idp, "paul").await;
        let some: [User; 26] = users(&idp).await;
        assert_eq!(browser.get(&of("lock", &some[..25])).await.status, 200);
        for (path, status) in [
            (of("lock", &some), 400),
            (of("lock", [&some[0], &some[0]]), 400),
            (of("deactivate", &some[..1]), 404),
            ("/admin/users/selected".to_owned(), 404),
        ] {
            assert_eq!(browser.get(&path).await.status, status, "{path}");
            let answer = browser.post(&path, &[("seen", "")]).await;
            assert!(answer.status.as_u16() == status || answer.status == 405, "{path}: {}", answer.status);
        }
        let nobody = browser.get("/admin/users/selected/lock?user.nonsense=yes&list=state%3Dlocked%26evil%3D1").await;
        assert_eq!((nobody.location(), nobody.notice()), ("/admin/users?state=locked", Some(Notice::NobodySelected)));
        assert!(acts(&idp).await.is_empty());
        // The way leads back to it through the sign-in.
        let path = of("lock", &some[..2]);
        let query = url::form_urlencoded::Serializer::new(String::new()).append_pair("return_to", &path).finish();
        assert_eq!(idp.browser().post(&path, &[]).await.location(), format!("/login?{query}"));
    }

    /// Whoever changed since the page was opened: nothing is done to anybody, and it is asked again.
    async fn nothing_is_done_of_what_was_not_seen(engine: Engine) {
        let idp = Idp::start(engine).await;
        let (_, mut browser) = admin(&idp, "paul").await;
        let some: [User; 3] = users(&idp).await;
        let asked = browser.get(&of("reset-password", &some)).await;
        idp.reset_password(&some[1], "Better-Horse-10").await;
        let told = browser.confirm_on(&asked, &[]).await;
        assert_eq!((told.status.as_u16(), told.has("#stale")), (409, true));
        assert!(acts(&idp).await.is_empty());
        assert_eq!(browser.confirm_on(&told, &[]).await.texts(".temporary-password").len(), 3);
    }

    /// Two admins at two replicas, at the same people at once: each user is done once, recorded once, and told to one of them.
    async fn two_at_once_do_each_once(engine: Engine) {
        let idp = Idp::start_live(engine, |config| config.database.connections = 10).await;
        let other = idp.replica(|_| {}).await;
        let some: [User; 10] = users(&idp).await;
        let (_, mut paul) = admin(&idp, "paul").await;
        let (_, mut pia) = admin(&other, "pia").await;
        for (act, kind) in [("reset-password", "password_reset"), ("lock", "account_locked"), ("unlock", "account_unlocked")] {
            let (his, hers) = (paul.get(&of(act, &some)).await, pia.get(&of(act, some.iter().rev())).await);
            let (one, two) = {
                let (mut paul, mut pia) = (paul.clone(), pia.clone());
                let one = tokio::spawn(async move { paul.confirm_on(&his, &[]).await });
                let two = tokio::spawn(async move { pia.confirm_on(&hers, &[]).await });
                (one.await.unwrap(), two.await.unwrap())
            };
            let mut done = BTreeMap::new();
            for answer in [&one, &two] {
                assert!([200, 303, 409].contains(&answer.status.as_u16()), "{act}: {}", answer.status);
                for (name, result) in results(answer) {
                    if !result.starts_with("Not done") {
                        *done.entry(name).or_insert(0) += 1;
                    }
                }
            }
            let each: BTreeMap<_, _> = some.iter().map(|user| (user.login_name.clone(), 1)).collect();
            assert_eq!(done, each, "{act}");
            let records = acts(&idp).await;
            assert_eq!(records.iter().filter(|line| line.starts_with(kind)).count(), 10, "{act}");
            if act == "reset-password" {
                let passwords = one.texts(".temporary-password").len() + two.texts(".temporary-password").len();
                assert_eq!(passwords, 10);
            }
        }
        idp.assert_invariants().await;
    }
}
