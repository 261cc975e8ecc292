//! What goes wrong between two rules that are each right: found by review, kept by tests.

use std::time::Duration;

use connect_idp::model::activity::{Kind, Visitor};
use connect_idp::operations::sessions::open::Browser;
use connect_idp::operations::sign_in::check_password::{Attempt, Typist};
use connect_idp::operations::sign_in::{SignIn, sign_in};
use connect_idp::store::sessions;
use connect_idp::time::Deadline;
use zeroize::Zeroizing;

use crate::actors::{Idp, PASSWORD};

const INVALID: &str = "Invalid Credentials";
const LOCKED: &str = "Your account has been locked. Please contact your agency administrator.";

both_engines! {
    /// Whoever holds a session but not the password learns nothing about it from the change page (G4).
    async fn the_change_page_says_nothing_about_a_password_that_nobody_proved(engine: Engine) {
        let idp = Idp::start(engine).await;
        let amina = idp.user("amina").create().await;
        let mut browser = idp.browser();
        browser.sign_in(&amina).await;
        let page = browser.get("/password/change").await;
        let guess = [("current_password", "x"), ("new_password", PASSWORD), ("confirm_new_password", PASSWORD)];
        let answer = browser.submit(&page, "#update-form", &guess).await;
        assert_eq!(answer.text("#new-password-errors"), "");
        assert_eq!(answer.text("#current-password-errors"), "The current password is incorrect.");
        idp.assert_activity(["sign_in success", "password_changed refused wrong_password"]).await;
    }

    /// A guess that nobody waits for any longer is neither compared nor counted: overload locks nobody (G3).
    async fn a_guess_past_its_deadline_is_not_counted(engine: Engine) {
        let idp = Idp::start(engine).await;
        let amina = idp.user("amina").create().await;
        for _ in 0..4 {
            let attempt = Attempt {
                provider_code: amina.provider_code.clone(),
                login_name: "amina".into(),
                password: Zeroizing::new("Wrong-Horse-9".into()),
                purpose: Kind::SignIn,
                typist: Typist::Stranger,
                visitor: Visitor::default(),
                deadline: Deadline::at(idp.now(), idp.now()),
            };
            assert!(matches!(sign_in(&idp.app, attempt, Browser::default()).await.unwrap(), SignIn::Busy));
        }
        assert_eq!(idp.account(&amina).await.failures, 0);
        idp.assert_activity([]).await;
    }

    /// A password typed again in a session that ended while it was compared begins nothing (G9).
    async fn a_password_typed_again_brings_no_ended_session_back(engine: Engine) {
        let idp = Idp::start(engine).await;
        let amina = idp.user("amina").create().await;
        let mut browser = idp.browser();
        browser.sign_in(&amina).await;
        let session = sessions::of_user(&mut idp.app.db.read().await.unwrap(), &amina.id, idp.now()).await.unwrap().remove(0);
        browser.post("/logout", &[]).await;
        let attempt = Attempt {
            provider_code: amina.provider_code.clone(),
            login_name: "amina".into(),
            password: Zeroizing::new(PASSWORD.into()),
            purpose: Kind::SignIn,
            typist: Typist::SignedIn(session),
            visitor: Visitor::default(),
            deadline: idp.app.ordinary_deadline(idp.now()),
        };
        assert!(matches!(sign_in(&idp.app, attempt, Browser::default()).await.unwrap(), SignIn::SignedOut));
        assert_eq!(idp.sessions(&amina).await, 0);
        idp.assert_activity(["sign_in success", "logout success"]).await;
    }

    /// L5: an admin's lock is answered as one whatever was typed, also where the temporary password is over.
    async fn a_locked_account_says_so_with_an_expired_temporary_password_too(engine: Engine) {
        let idp = Idp::start(engine).await;
        let tina = idp.user("tina").temporary().admin_locked().create().await;
        idp.advance(Duration::from_hours(24 * 8));
        idp.browser().log_in(&tina, PASSWORD).await.assert_page(403, LOCKED);
        idp.unlock(&tina).await;
        idp.browser().log_in(&tina, PASSWORD).await.assert_page(403, INVALID);
    }

    /// A session that is used lives, however short its idle limit.
    async fn an_idle_limit_of_one_minute_signs_out_nobody_who_is_there(engine: Engine) {
        let idp = Idp::start_with(engine, |config| config.session.idle_minutes = 1).await;
        let amina = idp.user("amina").create().await;
        let mut browser = idp.browser();
        browser.sign_in(&amina).await;
        for _ in 0..8 {
            idp.advance(Duration::from_secs(40));
            browser.assert_signed_in_as(&amina).await;
        }
        idp.advance(Duration::from_secs(61));
        browser.assert_signed_out().await;
    }

    /// Text that PostgreSQL cannot store is no fault of the database's: the Dashboard, not a 503.
    async fn a_target_with_nul_lands_on_the_dashboard(engine: Engine) {
        let idp = Idp::start(engine).await;
        let amina = idp.user("amina").create().await;
        let mut browser = idp.browser();
        let assertion = idp.therap_services().assertion(&amina).claim("target", "/\0").claim("amr", vec!["a\0b"]).sign();
        let first = browser.click(&assertion).await;
        assert_eq!(browser.complete(&first).await.location(), "/");
        browser.assert_signed_in_as(&amina).await;
    }

    /// Ending all others is one act with one record, and ends them all.
    async fn ending_all_other_sessions_is_one_act(engine: Engine) {
        let idp = Idp::start(engine).await;
        let amina = idp.user("amina").create().await;
        let (mut here, mut there, mut elsewhere) = (idp.browser(), idp.browser(), idp.browser());
        here.sign_in(&amina).await;
        there.sign_in(&amina).await;
        elsewhere.sign_in(&amina).await;
        assert_eq!(here.post("/sessions/end-others", &[]).await.location(), "/sessions");
        here.assert_signed_in_as(&amina).await;
        there.assert_signed_out().await;
        elsewhere.assert_signed_out().await;
        let ended = "session_ended success all_others_ended";
        idp.assert_activity(["sign_in success", "sign_in success", "sign_in success", ended]).await;
    }
}
