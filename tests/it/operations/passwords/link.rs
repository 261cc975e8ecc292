//! The one-time link by which the first Therap Admin sets a password: there is no default account.

use std::time::Duration;

use connect_idp::model::user::UserType;
use connect_idp::operations::passwords::link;
use connect_idp::operations::providers;
use connect_idp::store::passwords::links::Carrier;

use crate::actors::{Answer, Browser, Idp, PASSWORD, User};

async fn root(idp: &Idp) -> User {
    idp.user("root").of("THERAP").user_type(UserType::TherapAdmin).temporary().create().await
}

/// The path of a new link.
async fn link(idp: &Idp, user: &User) -> String {
    let link = link::make(&idp.act(), &user.provider_id, &user.id, false).await.unwrap().unwrap();
    link.address.strip_prefix(&idp.app.config.issuer).unwrap().to_owned()
}

async fn set(browser: &mut Browser, path: &str, password: &str) -> Answer {
    browser.post(path, &[("new_password", password), ("confirm_new_password", password)]).await
}

fn assert_over(answer: &Answer) {
    assert_eq!(answer.status, 404);
    assert!(answer.has("#link-over"));
}

both_engines! {
    /// A provider that forbids mailed links forbids those that are on their way; what an operator made goes on working.
    async fn a_mailed_link_works_while_the_provider_allows_it(engine: Engine) {
        let idp = Idp::start(engine).await;
        let amina = idp.user("amina").create().await;
        let made = link(&idp, &amina).await;
        let (account, until) = (idp.account(&amina).await, idp.now().after(Duration::from_mins(15)));
        let app = idp.app.clone();
        let mailed = in_tx!(idp, [account, app], |tx| link::make_in(tx, &app, &account, until, Carrier::Mail("")).await);
        let mailed = mailed.address.strip_prefix(&idp.app.config.issuer).unwrap().to_owned();
        let mut browser = idp.browser();
        assert_eq!(browser.get(&mailed).await.status, 200);
        let off = providers::Draft { reset_by_mail: Some(false), ..providers::Draft::default() };
        providers::set(&idp.act(), &amina.provider_id, &off).await.unwrap();
        assert_over(&browser.get(&mailed).await);
        assert_over(&set(&mut browser, &mailed, "Another-Horse-9").await);
        assert_eq!(set(&mut browser, &made, "Another-Horse-9").await.status, 303);
    }

    /// Opened as often as one likes, used once; the password is the user's own, and the old one is nothing.
    async fn a_link_sets_a_password_once(engine: Engine) {
        let idp = Idp::start(engine).await;
        let root = root(&idp).await;
        let path = link(&idp, &root).await;
        let mut browser = idp.browser();
        for _ in 0..2 {
            assert_eq!(browser.get(&path).await.text("h1"), "Set Your Password");
        }
        let page = browser.get(&path).await;
        let weak = browser.submit(&page, "#update-form", &[("new_password", "weak"), ("confirm_new_password", "other")]).await;
        assert_eq!(weak.status, 422);
        assert!(weak.has("#new-password-errors li") && weak.has("#confirm-new-password-errors li"));
        let done = set(&mut browser, &path, "Better-Horse-10").await;
        let login = browser.follow(done).await;
        assert_eq!(login.text("#login-notice"), "Your password is set. Please sign in with it.");
        assert_over(&set(&mut browser, &path, "Third-Horse-11").await);
        assert_over(&browser.get(&path).await);
        assert_eq!(browser.log_in(&root, PASSWORD).await.status, 403);
        assert_eq!(browser.log_in(&root, "Better-Horse-10").await.location(), "/");
        idp.assert_activity(["password_reset success", "password_updated success", "sign_in refused wrong_password", "sign_in success"]).await;
        idp.assert_invariants().await;
    }

    /// It ends sessions and lifts a password lock, never an admin's.
    async fn a_link_lifts_a_password_lock_and_ends_sessions(engine: Engine) {
        let idp = Idp::start(engine).await;
        let amina = idp.user("amina").create().await;
        let mut hers = idp.browser();
        hers.sign_in(&amina).await;
        for _ in 0..3 {
            idp.browser().log_in(&amina, "Wrong-Horse-9").await;
        }
        let path = link(&idp, &amina).await;
        set(&mut idp.browser(), &path, "Better-Horse-10").await.location();
        hers.assert_signed_out().await;
        assert_eq!(idp.account(&amina).await.failures, 0);
        let omar = idp.user("omar").admin_locked().create().await;
        let path = link(&idp, &omar).await;
        set(&mut idp.browser(), &path, "Better-Horse-10").await.location();
        assert!(idp.account(&omar).await.admin_locked);
    }

    /// A link is over with its time, a reset, a deactivation, a newer password; nonsense never was one.
    async fn a_link_dies_with_what_it_rests_on(engine: Engine) {
        let idp = Idp::start(engine).await;
        let mut browser = idp.browser();
        for act in 0..4 {
            let user = idp.user(&format!("user{act}")).create().await;
            let path = link(&idp, &user).await;
            assert_eq!(browser.get(&path).await.status, 200);
            match act {
                0 => idp.reset_password(&user, "Other-Horse-11").await,
                1 => idp.set_active(&user, false).await,
                2 => drop(set(&mut browser, &link(&idp, &user).await, "Better-Horse-10").await),
                _ => idp.advance(Duration::from_hours(24)),
            }
            assert_over(&browser.get(&path).await);
            assert_over(&set(&mut browser, &path, "Better-Horse-10").await);
        }
        for path in ["/password/reset/x", "/password/reset/%00", "/password/reset/AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"] {
            assert_over(&browser.get(path).await);
        }
        assert_eq!(browser.get("/password/reset/").await.status, 404);
    }

    /// Many at once: one sets the password.
    async fn of_many_uses_at_once_one_wins(engine: Engine) {
        let idp = Idp::start(engine).await;
        let root = root(&idp).await;
        let path = link(&idp, &root).await;
        let tasks: Vec<_> = (0..8).map(|n| {
            let (mut browser, path) = (idp.browser(), path.clone());
            tokio::spawn(async move { set(&mut browser, &path, &format!("Better-Horse-{n}")).await.status.as_u16() })
        }).collect();
        let mut answers = Vec::new();
        for task in tasks {
            answers.push(task.await.unwrap());
        }
        assert_eq!(answers.iter().filter(|status| **status == 303).count(), 1, "{answers:?}");
        assert!(answers.iter().all(|status| matches!(status, 303 | 404)));
    }
}
