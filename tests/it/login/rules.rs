//! Direct login, rule by rule (docs/rules.md, L2 to L10).

use std::time::Duration;

use axum::http::{HeaderMap, Method};
use connect_idp::config::Site;
use connect_idp::model::password_rules::Broken;
use connect_idp::model::user::UserType;

use crate::actors::{Answer, Browser, Idp, PASSWORD, User};

const INVALID: &str = "Invalid Credentials";
const LOCKED: &str = "Your account has been locked. Please contact your agency administrator.";
const NEW: &str = "Another-Horse-10";

/// Types a wrong password.
async fn miss(browser: &mut Browser, user: &User) -> Answer {
    browser.log_in(user, "Wrong-Horse-9").await
}

/// Fills in the Update Password page that this answer leads to.
async fn update(browser: &mut Browser, answer: Answer, new: &str, again: &str) -> Answer {
    let page = browser.follow(answer).await;
    assert_eq!(page.text("h1"), "Update Password");
    browser.submit(&page, "#update-form", &[("new_password", new), ("confirm_new_password", again)]).await
}

both_engines! {
    /// L1, L2: the login page and what stands on it.
    async fn the_front_door_leads_to_the_login_page(engine: Engine) {
        let mut browser = Idp::start(engine).await.browser();
        let page = browser.get("/").await;
        assert_eq!(page.location(), "/login");
        let page = browser.follow(page).await;
        assert_eq!(page.status, 200);
        for (input, label) in [("login-name", "Login Name"), ("password", "Password"), ("provider-code", "Provider Code")] {
            assert_eq!(page.text(&format!("label[for={input}]")), label);
            assert_eq!(page.attribute(&format!("#{input}"), "name").unwrap(), input.replace('-', "_"));
        }
        assert_eq!(page.text("#login-form #login-submit"), "Therap Connect Login");
        assert_eq!(page.text("a#forgot-password"), "Forgot Password?");
        assert_eq!(page.text("a#therap-services"), "Therap Services");
        assert!(!page.has("#login-error") && !page.has("#beta-banner"));
    }

    /// L2: each empty field has its own message, and nobody tried anything.
    async fn each_empty_field_has_its_own_message(engine: Engine) {
        let idp = Idp::start(engine).await;
        let mut browser = idp.browser();
        let name = ("#login-name-error", "Please enter your Login Name.");
        let password = ("#password-error", "Please enter your Password.");
        let code = ("#provider-code-error", "Please enter your Provider Code.");
        for (typed, wanted) in [
            (["", "x", "x"], vec![name]),
            (["x", "", "x"], vec![password]),
            (["x", "x", ""], vec![code]),
            (["", "", ""], vec![name, password, code]),
        ] {
            let answer = browser.try_login(typed[0], typed[1], typed[2]).await;
            assert_eq!(answer.status, 422);
            assert_eq!(answer.texts(".field-error").len(), wanted.len());
            for (place, message) in wanted {
                assert_eq!(answer.text(place), message);
            }
            assert_eq!(answer.attribute("#login-name", "value").unwrap(), typed[0]);
            assert_eq!(answer.attribute("#password", "value"), None, "a password is never written on a page");
        }
        idp.assert_activity([]).await;
    }

    /// L2: case counts in Password and Provider Code, not in Login Name; nothing is trimmed.
    async fn case_counts_where_it_must_and_nothing_is_trimmed(engine: Engine) {
        let idp = Idp::start(engine).await;
        let amina = idp.user("amina").create().await;
        for spelling in ["amina", "AMINA", "Ａmina"] {
            let mut browser = idp.browser();
            assert_eq!(browser.try_login(spelling, PASSWORD, "SUNRISE-IL").await.location(), "/");
            browser.assert_signed_in_as(&amina).await;
        }
        for (name, password, code) in [
            ("amina ", PASSWORD, "SUNRISE-IL"),
            (" amina", PASSWORD, "SUNRISE-IL"),
            ("amina", PASSWORD, "sunrise-il"),
            ("amina", PASSWORD, "SUNRISE-IL "),
            ("amina", "correct-horse-9", "SUNRISE-IL"),
            ("amina", "Correct-Horse-9 ", "SUNRISE-IL"),
        ] {
            idp.browser().try_login(name, password, code).await.assert_page(403, INVALID);
        }
    }

    /// L3: whatever was wrong, three times over: the same status, headers and length.
    async fn refusals_cannot_be_told_apart(engine: Engine) {
        let idp = Idp::start(engine).await;
        idp.provider("CLOSED", |p| p.active = false).await;
        let known = idp.user("amina").create().await;
        let others = [
            User::nobody("nobody-with-a-rather-long-name-indeed", "SUNRISE-IL"),
            User::nobody("b", "NO-SUCH-AGENCY-IN-THIS-WHOLE-LAND"),
            User::nobody("not a name\u{1}", "not a code"),
            idp.user("gone-since-a-while").inactive().create().await,
            idp.user("c").of("CLOSED").create().await,
        ];
        for (attempt, message) in [INVALID, INVALID, LOCKED, LOCKED].into_iter().enumerate() {
            // A fourth try brings the right password: it must make no difference either.
            let password = if attempt == 3 { PASSWORD } else { "Wrong-Horse-9" };
            let first = idp.browser().log_in(&known, password).await;
            first.assert_page(403, message);
            for other in &others {
                let answer = idp.browser().log_in(other, password).await;
                answer.assert_page(403, message);
                assert_eq!(answer.outside(), first.outside(), "{} at try {attempt}", other.login_name);
            }
        }
    }

    /// L4: the third wrong password in a row locks, and a right one in between sets the count back.
    async fn three_wrong_passwords_in_a_row_lock(engine: Engine) {
        let idp = Idp::start(engine).await;
        let amina = idp.user("amina").create().await;
        let mut browser = idp.browser();
        miss(&mut browser, &amina).await.assert_page(403, INVALID);
        miss(&mut browser, &amina).await.assert_page(403, INVALID);
        browser.sign_in(&amina).await;
        miss(&mut browser, &amina).await.assert_page(403, INVALID);
        miss(&mut browser, &amina).await.assert_page(403, INVALID);
        miss(&mut browser, &amina).await.assert_page(403, LOCKED);
        browser.log_in(&amina, PASSWORD).await.assert_page(403, LOCKED);
        // R4: a password lock touches no live session.
        browser.assert_signed_in_as(&amina).await;
        idp.assert_activity([
            "sign_in refused wrong_password",
            "sign_in refused wrong_password",
            "sign_in success",
            "sign_in refused wrong_password",
            "sign_in refused wrong_password",
            "sign_in refused wrong_password",
            "account_locked success three_wrong_passwords",
            "sign_in refused password_locked",
        ])
        .await;
        idp.assert_invariants().await;
    }

    /// L5: an admin's lock reads the same as a password lock, whatever is typed, and ends what is live (R4).
    async fn an_admin_lock_keeps_out_and_ends(engine: Engine) {
        let idp = Idp::start(engine).await;
        let amina = idp.user("amina").create().await;
        let mut browser = idp.browser();
        browser.sign_in(&amina).await;
        idp.lock(&amina).await;
        browser.assert_signed_out().await;
        browser.log_in(&amina, PASSWORD).await.assert_page(403, LOCKED);
        miss(&mut browser, &amina).await.assert_page(403, LOCKED);
        idp.unlock(&amina).await;
        browser.assert_signed_out().await;
        browser.sign_in(&amina).await;
        idp.assert_activity([
            "sign_in success",
            "account_locked success",
            "sign_in refused admin_locked",
            "sign_in refused wrong_password",
            "account_unlocked success",
            "sign_in success",
        ])
        .await;
    }

    /// L5: an unknown name is refused twice, then locked, forgets after 24 hours, and never becomes a user's burden.
    async fn unknown_accounts_lapse_and_never_carry_over(engine: Engine) {
        let idp = Idp::start(engine).await;
        let nobody = User::nobody("Nadia", "SUNRISE-IL");
        let mut browser = idp.browser();
        for message in [INVALID, INVALID, LOCKED, LOCKED] {
            browser.log_in(&nobody, PASSWORD).await.assert_page(403, message);
        }
        // Another spelling of the name is the same nobody; another name is not.
        browser.try_login("NADIA", PASSWORD, "SUNRISE-IL").await.assert_page(403, LOCKED);
        browser.try_login("Nadine", PASSWORD, "SUNRISE-IL").await.assert_page(403, INVALID);
        idp.advance(Duration::from_hours(24).checked_sub(Duration::from_millis(1)).unwrap());
        browser.log_in(&nobody, PASSWORD).await.assert_page(403, LOCKED);
        idp.advance(Duration::from_millis(1));
        for message in [INVALID, INVALID, LOCKED] {
            browser.log_in(&nobody, PASSWORD).await.assert_page(403, message);
        }
        let nadia = idp.user("nadia").create().await;
        browser.sign_in(&nadia).await;
        browser.assert_signed_in_as(&nadia).await;
    }

    /// L5: strikes at a deactivated user are an unknown account's; the user returns with a clean slate.
    async fn a_reactivated_user_has_no_strikes_from_before(engine: Engine) {
        let idp = Idp::start(engine).await;
        let amina = idp.user("amina").inactive().create().await;
        let mut browser = idp.browser();
        for message in [INVALID, INVALID, LOCKED] {
            browser.log_in(&amina, PASSWORD).await.assert_page(403, message);
        }
        idp.set_active(&amina, true).await;
        browser.sign_in(&amina).await;
        idp.set_active(&amina, false).await;
        browser.assert_signed_out().await;
        idp.set_active(&amina, true).await;
        browser.assert_signed_out().await;
        idp.set_provider_active(&amina.provider_id, false).await;
        browser.log_in(&amina, PASSWORD).await.assert_page(403, LOCKED);
        idp.set_provider_active(&amina.provider_id, true).await;
        browser.sign_in(&amina).await;
    }

    /// L6.
    async fn the_forgot_password_page_says_who_can_help(engine: Engine) {
        let mut browser = Idp::start(engine).await.browser();
        let page = browser.get("/forgot-password?return_to=%2Factivity").await;
        assert_eq!((page.status.as_u16(), page.text("h1").as_str()), (200, "Forgot Password?"));
        assert_eq!(page.text("#back"), "Back");
        assert_eq!(page.attribute("#back", "href").unwrap(), "/login?return_to=/activity");
        assert_eq!(browser.get("/forgot-password").await.attribute("#back", "href").unwrap(), "/login");
    }

    /// L7, L9: a temporary password opens the Update Password page and nothing else until it is replaced.
    async fn a_temporary_password_must_be_updated_first(engine: Engine) {
        let idp = Idp::start(engine).await;
        let amina = idp.user("amina").temporary().create().await;
        let mut browser = idp.browser();
        let page = browser.get("/activity").await;
        assert_eq!(page.location(), "/login?return_to=%2Factivity");
        let page = browser.follow(page).await;
        let typed = [("login_name", "amina"), ("password", PASSWORD), ("provider_code", "SUNRISE-IL")];
        let answer = browser.submit(&page, "#login-form", &typed).await;
        assert_eq!(answer.location(), "/password/update?return_to=%2Factivity");
        assert_eq!(browser.session(), None, "no session until it is done");
        for path in ["/", "/activity", "/sessions", "/password/change"] {
            assert_eq!(browser.get(path).await.location(), "/password/update", "{path}");
        }
        for path in ["/password/change", "/sessions/end", "/sessions/end-others"] {
            assert_eq!(browser.post(path, &[]).await.location(), "/password/update", "{path}");
        }
        assert_eq!(idp.sessions(&amina).await, 0);
        let done = update(&mut browser, answer, NEW, NEW).await;
        assert_eq!(done.location(), "/activity");
        browser.assert_signed_in_as(&amina).await;
        idp.browser().log_in(&amina, PASSWORD).await.assert_page(403, INVALID);
        assert_eq!(idp.browser().log_in(&amina, NEW).await.location(), "/");
        idp.assert_activity([
            "sign_in unfinished temporary_password",
            "password_updated success",
            "sign_in success",
            "sign_in refused wrong_password",
            "sign_in success",
        ])
        .await;
        idp.assert_invariants().await;
    }

    /// L7: an expired temporary password is simply wrong, without a strike.
    async fn an_expired_temporary_password_is_wrong_without_a_strike(engine: Engine) {
        let idp = Idp::start(engine).await;
        let amina = idp.user("amina").temporary().create().await;
        let mut browser = idp.browser();
        idp.advance(Duration::from_hours(7 * 24).checked_sub(Duration::from_millis(1)).unwrap());
        assert_eq!(browser.log_in(&amina, PASSWORD).await.location(), "/password/update");
        idp.advance(Duration::from_millis(1));
        for _ in 0..4 {
            idp.browser().log_in(&amina, PASSWORD).await.assert_page(403, INVALID);
        }
        assert_eq!(idp.account(&amina).await.failures, 0);
        let expired = "sign_in refused temporary_password_expired";
        idp.assert_activity(["sign_in unfinished temporary_password", expired, expired, expired, expired]).await;
    }

    /// L8: each broken rule has its message, all at once; an empty field and a wrong confirmation have theirs.
    async fn every_broken_password_rule_is_named(engine: Engine) {
        let idp = Idp::start(engine).await;
        let amina = idp.user("amina").temporary().create().await;
        let mut browser = idp.browser();
        let answer = browser.log_in(&amina, PASSWORD).await;
        let page = browser.follow(answer).await;
        assert_eq!(page.text("label[for=new-password]"), "New Password");
        assert_eq!(page.text("label[for=confirm-new-password]"), "Confirm New Password");
        assert_eq!(page.text("#update-submit"), "Update");
        let same = "The two new passwords are not the same.";
        let empty = "Please enter a new password.";
        let again = "Please enter the new password again.";
        let messages = |rules: &[Broken]| rules.iter().map(|rule| rule.message()).collect::<Vec<_>>();
        for (new, confirmation, wrong, unconfirmed) in [
            ("", "", vec![empty], vec![again]),
            ("", NEW, vec![empty], vec![same]),
            (NEW, "", vec![], vec![again]),
            (NEW, "Another-Horse-11", vec![], vec![same]),
            ("abc", "abc", messages(&[Broken::Length, Broken::Uppercase, Broken::Digit, Broken::Special]), vec![]),
            ("ABCDEFGH1!", "ABCDEFGH1!", messages(&[Broken::Lowercase]), vec![]),
            (" Another-Horse-10", " Another-Horse-10", messages(&[Broken::Edges]), vec![]),
            ("Another\tHorse-10", "Another\tHorse-10", messages(&[Broken::Control]), vec![]),
            (PASSWORD, PASSWORD, vec!["The new password must differ from the current one."], vec![]),
        ] {
            let typed = [("new_password", new), ("confirm_new_password", confirmation)];
            let answer = browser.submit(&page, "#update-form", &typed).await;
            assert_eq!(answer.status, 422, "{new:?}");
            assert_eq!(answer.texts("#new-password-errors li"), wrong, "{new:?}");
            assert_eq!(answer.texts("#confirm-new-password-errors li"), unconfirmed, "{new:?}");
            assert_eq!(answer.attribute("#new-password", "value"), None);
        }
        assert_eq!(idp.account(&amina).await.failures, 0, "none of this is a guess");
        idp.assert_activity(["sign_in unfinished temporary_password"]).await;
    }

    /// L8, G25: emoji and spaces are welcome; spellings of one text are one password.
    async fn a_password_may_hold_any_character(engine: Engine) {
        let idp = Idp::start(engine).await;
        let amina = idp.user("amina").temporary().create().await;
        let mut browser = idp.browser();
        let answer = browser.log_in(&amina, PASSWORD).await;
        let new = "Cafe\u{301} 🐎 am\u{a0}Fluß 9";
        assert_eq!(update(&mut browser, answer, new, new).await.location(), "/");
        assert_eq!(idp.browser().log_in(&amina, "Café 🐎 am Fluß 9").await.location(), "/");
        idp.browser().log_in(&amina, "Cafe 🐎 am Fluß 9").await.assert_page(403, INVALID);
    }

    /// L7: a reset ends sessions, lifts a password lock, and never an admin's.
    async fn a_reset_lifts_a_password_lock_and_never_an_admin_lock(engine: Engine) {
        let idp = Idp::start(engine).await;
        let amina = idp.user("amina").create().await;
        let mut browser = idp.browser();
        browser.sign_in(&amina).await;
        for message in [INVALID, INVALID, LOCKED] {
            miss(&mut idp.browser(), &amina).await.assert_page(403, message);
        }
        idp.reset_password(&amina, NEW).await;
        browser.assert_signed_out().await;
        idp.browser().log_in(&amina, PASSWORD).await.assert_page(403, INVALID);
        assert_eq!(browser.log_in(&amina, NEW).await.location(), "/password/update");
        idp.lock(&amina).await;
        idp.reset_password(&amina, "Third-Horse-11").await;
        idp.browser().log_in(&amina, "Third-Horse-11").await.assert_page(403, LOCKED);
        assert_eq!(browser.get("/password/update").await.location(), "/", "the half-done sign-in died with the lock");
    }

    /// L7: a second reset, or a lock, while the Update Password page is open.
    async fn an_update_page_left_open_opens_nothing_after_a_change(engine: Engine) {
        let idp = Idp::start(engine).await;
        let amina = idp.user("amina").temporary().create().await;
        let typed = [("new_password", NEW), ("confirm_new_password", NEW)];
        let mut browser = idp.browser();
        let answer = browser.log_in(&amina, PASSWORD).await;
        let page = browser.follow(answer).await;
        idp.reset_password(&amina, "Third-Horse-11").await;
        assert_eq!(browser.submit(&page, "#update-form", &typed).await.location(), "/");
        browser.assert_signed_out().await;

        let answer = browser.log_in(&amina, "Third-Horse-11").await;
        let page = browser.follow(answer).await;
        for _ in 0..3 {
            miss(&mut idp.browser(), &amina).await;
        }
        let answer = browser.submit(&page, "#update-form", &typed).await;
        answer.assert_page(403, LOCKED);
        assert_eq!(idp.sessions(&amina).await, 0);
        idp.assert_invariants().await;
    }

    /// L7: half an hour is enough to choose a password.
    async fn an_unfinished_sign_in_ends_by_itself(engine: Engine) {
        let idp = Idp::start(engine).await;
        let amina = idp.user("amina").temporary().create().await;
        let mut browser = idp.browser();
        browser.log_in(&amina, PASSWORD).await;
        idp.advance(Duration::from_mins(30));
        assert_eq!(browser.get("/password/update").await.location(), "/");
        browser.assert_signed_out().await;
    }

    /// L8: a change at will asks for the current password, ends the other sessions and keeps this one.
    async fn a_change_at_will_ends_the_other_sessions(engine: Engine) {
        let idp = Idp::start(engine).await;
        let amina = idp.user("amina").create().await;
        let (mut here, mut there) = (idp.browser(), idp.browser());
        here.sign_in(&amina).await;
        there.sign_in(&amina).await;
        let page = here.get("/.well-known/change-password").await;
        let page = here.follow(page).await;
        let typed = |current, new| [("current_password", current), ("new_password", new), ("confirm_new_password", new)];
        let answer = here.submit(&page, "#update-form", &typed("", NEW)).await;
        assert_eq!(answer.status, 422);
        assert_eq!(answer.text("#current-password-errors"), "Please enter your current password.");
        let answer = here.submit(&page, "#update-form", &typed("Wrong-Horse-9", NEW)).await;
        assert_eq!(answer.status, 422);
        assert_eq!(answer.text("#current-password-errors"), "The current password is incorrect.");
        assert_eq!(idp.account(&amina).await.failures, 0, "whoever is signed in locks nobody (G35)");
        let answer = here.submit(&page, "#update-form", &typed(PASSWORD, PASSWORD)).await;
        assert_eq!(answer.text("#new-password-errors"), "The new password must differ from the current one.");
        let mut copied = here.clone();
        let answer = here.submit(&page, "#update-form", &typed(PASSWORD, NEW)).await;
        assert_eq!(here.told(answer).await, "Your password was changed. Your other sessions were ended.");
        here.assert_signed_in_as(&amina).await;
        // Every typed password renews the secret (U3).
        copied.assert_signed_out().await;
        there.assert_signed_out().await;
        assert_eq!(idp.browser().log_in(&amina, NEW).await.location(), "/");
        idp.assert_activity([
            "sign_in success",
            "sign_in success",
            "password_changed refused wrong_password",
            "password_changed success",
            "sign_in success",
        ])
        .await;
    }

    /// L8: whoever only holds the session learns nothing about the password from the page that changes it.
    async fn the_change_page_is_no_oracle(engine: Engine) {
        let idp = Idp::start(engine).await;
        let amina = idp.user("amina").create().await;
        let mut browser = idp.browser();
        browser.sign_in(&amina).await;
        let typed = |current, new| [("current_password", current), ("new_password", new), ("confirm_new_password", new)];
        for new in [PASSWORD, NEW] {
            let answer = browser.post("/password/change", &typed("", new)).await;
            assert_eq!((answer.status.as_u16(), answer.texts(".field-errors li")), (422, vec!["Please enter your current password.".into()]));
            let answer = browser.post("/password/change", &typed("Wrong-Horse-9", new)).await;
            assert_eq!((answer.status.as_u16(), answer.texts(".field-errors li")), (422, vec!["The current password is incorrect.".into()]));
        }
        assert_eq!(idp.account(&amina).await.failures, 0);
    }

    /// G35: guessing through a session that is open ends that session at the third, and locks nobody.
    async fn the_third_wrong_password_in_a_session_ends_it_and_locks_nobody(engine: Engine) {
        let idp = Idp::start(engine).await;
        let amina = idp.user("amina").create().await;
        let (mut browser, mut other) = (idp.browser(), idp.browser());
        browser.sign_in(&amina).await;
        other.sign_in(&amina).await;
        let typed = [("current_password", "Wrong-Horse-9"), ("new_password", NEW), ("confirm_new_password", NEW)];
        for _ in 0..2 {
            browser.post("/password/change", &typed).await.assert_page(422, "The current password is incorrect.");
        }
        let over = browser.post("/password/change", &typed).await;
        assert_eq!(over.location(), "/login");
        let page = browser.follow(over).await;
        assert!(page.text("#login-notice").starts_with("You were signed out"), "{}", page.text("#login-notice"));
        browser.assert_signed_out().await;
        other.assert_signed_in_as(&amina).await;
        assert_eq!(idp.account(&amina).await.failures, 0);
        assert_eq!(idp.browser().log_in(&amina, PASSWORD).await.location(), "/");
        idp.assert_activity([
            "sign_in success",
            "sign_in success",
            "password_changed refused wrong_password",
            "password_changed refused wrong_password",
            "password_changed refused wrong_password",
            "session_ended success three_wrong_passwords",
            "sign_in success",
        ])
        .await;
        idp.assert_invariants().await;
    }

    /// G35, G3: however many guesses arrive at once, three are answered, and the session is over.
    async fn guesses_in_a_session_race_to_three_answers(engine: Engine) {
        let idp = Idp::start(engine).await;
        let amina = idp.user("amina").create().await;
        let mut browser = idp.browser();
        browser.sign_in(&amina).await;
        let typed = [("current_password", "Wrong-Horse-9"), ("new_password", NEW), ("confirm_new_password", NEW)];
        let guesses = (0..20).map(|_| {
            let mut tab = browser.clone();
            async move { tab.post("/password/change", &typed).await.status.as_u16() }
        });
        let answers = futures_util::future::join_all(guesses).await;
        assert_eq!(answers.iter().filter(|status| **status == 422).count(), 2, "{answers:?}");
        browser.assert_signed_out().await;
        let wrong = idp.activity().await.iter().filter(|record| record.reason.as_deref() == Some("wrong_password")).count();
        assert_eq!((wrong, idp.account(&amina).await.failures), (3, 0));
    }

    /// G35: what strangers type on the login page bars nobody who is signed in from what asks for the password.
    async fn strangers_strikes_bar_nobody_who_is_signed_in(engine: Engine) {
        let idp = Idp::start(engine).await;
        let amina = idp.user("amina").create().await;
        let mut browser = idp.browser();
        browser.sign_in(&amina).await;
        for _ in 0..3 {
            idp.browser().log_in(&amina, "Wrong-Horse-9").await;
        }
        idp.browser().log_in(&amina, PASSWORD).await.assert_page(403, LOCKED);
        let right = [("current_password", PASSWORD), ("new_password", NEW), ("confirm_new_password", NEW)];
        assert_eq!(browser.post("/password/change", &right).await.location(), "/sessions");
        browser.assert_signed_in_as(&amina).await;
        idp.browser().log_in(&amina, NEW).await.assert_page(403, LOCKED);
    }

    /// G31: what needs no hash is checked first, and every page that takes a password has the throttle of the login
    /// page.
    async fn every_page_that_takes_a_password_is_throttled(engine: Engine) {
        let idp = Idp::start_with(engine, |config| {
            config.throttle.enabled = true;
            config.throttle.address_per_minute = 2;
        })
        .await;
        let tina = idp.user("tina").temporary().create().await;
        let mut browser = idp.browser();
        browser.log_in(&tina, PASSWORD).await;
        let weak = [("new_password", "weak"), ("confirm_new_password", "weak")];
        for _ in 0..5 {
            assert_eq!(browser.post("/password/update", &weak).await.status, 422, "a rule is broken: no try is taken");
        }
        let same = [("new_password", PASSWORD), ("confirm_new_password", PASSWORD)];
        assert_eq!(browser.post("/password/update", &same).await.status, 422);
        let told = browser.post("/password/update", &same).await;
        told.assert_page(429, "Too many sign-ins from your network. Please try again in 31 seconds.");
        assert_eq!(told.headers["retry-after"], "31");
        idp.advance(Duration::from_mins(1));
        let new = [("new_password", NEW), ("confirm_new_password", NEW)];
        assert_eq!(browser.post("/password/update", &new).await.location(), "/");
        let change = [("current_password", NEW), ("new_password", PASSWORD), ("confirm_new_password", PASSWORD)];
        let wrong = [("current_password", "Wrong-Horse-9"), ("new_password", PASSWORD), ("confirm_new_password", PASSWORD)];
        assert_eq!(browser.post("/password/change", &wrong).await.status, 422);
        assert_eq!(browser.post("/password/change", &change).await.status, 429);
    }

    /// L10: after logout the session is dead on the server, whatever the browser kept.
    async fn after_logout_the_session_is_dead_on_the_server(engine: Engine) {
        let idp = Idp::start(engine).await;
        let amina = idp.user("amina").create().await;
        let mut browser = idp.browser();
        browser.sign_in(&amina).await;
        let mut thief = browser.clone();
        let page = browser.get("/").await;
        assert_eq!(page.text("#profile-initials"), "AD");
        assert_eq!(page.texts("#profile-panel dd"), ["amina", "SUNRISE-IL Homes (SUNRISE-IL)"]);
        assert_eq!(page.text("#profile-panel .profile-name"), amina.name);
        assert_eq!(page.text("#logout"), "Logout");
        let answer = browser.submit(&page, "#profile-panel form", &[]).await;
        let page = browser.follow(answer).await;
        assert_eq!(page.text("#login-notice"), "You have logged out. Please close this tab.");
        assert_eq!(browser.cookies.keys().collect::<Vec<_>>(), ["__Host-connect-provider"], "the Provider Code alone");
        thief.assert_signed_out().await;
        // Again, and without any session: harmless, and nothing to record.
        assert_eq!(browser.post("/logout", &[]).await.status, 303);
        assert_eq!(thief.post("/logout", &[]).await.status, 303);
        idp.assert_activity(["sign_in success", "logout success"]).await;
    }

    /// L10: only admins see a User Type.
    async fn only_admins_see_their_user_type(engine: Engine) {
        let idp = Idp::start(engine).await;
        let regular = idp.user("regular").create().await;
        let admin = idp.user("boss").user_type(UserType::ProviderAdmin).create().await;
        let operator = idp.user("root").of("THERAP").user_type(UserType::TherapAdmin).create().await;
        for (user, wanted) in [(regular, vec![]), (admin, vec!["Provider Admin"]), (operator, vec!["Therap Admin"])] {
            let mut browser = idp.browser();
            browser.sign_in(&user).await;
            assert_eq!(browser.get("/").await.texts("#user-type"), wanted);
        }
    }

    /// G12: whoever wrote the link, a sign-in ends on this site.
    async fn return_to_never_leaves_this_site(engine: Engine) {
        let idp = Idp::start(engine).await;
        let amina = idp.user("amina").create().await;
        for (asked, wanted) in [
            ("/activity", "/activity"),
            ("/sessions?a=b&c=d", "/sessions?a=b&c=d"),
            ("https://evil.example/", "/"),
            ("//evil.example/", "/"),
            ("/\\evil.example/", "/"),
            ("/%2e//evil.example", "/"),
            ("/\t/evil.example", "/"),
            ("javascript:alert(1)", "/"),
            ("activity", "/"),
            ("/login", "/"),
            ("/logout", "/"),
        ] {
            let mut browser = idp.browser();
            let typed = [("login_name", "amina"), ("password", PASSWORD), ("provider_code", "SUNRISE-IL"), ("return_to", asked)];
            assert_eq!(browser.post("/login", &typed).await.location(), wanted, "{asked}");
            browser.assert_signed_in_as(&amina).await;
            let query = url::form_urlencoded::Serializer::new(String::new()).append_pair("return_to", asked).finish();
            assert_eq!(browser.get(&format!("/login?{query}")).await.location(), wanted, "{asked}");
        }
        let mut browser = idp.browser();
        let page = browser.get("/login?return_to=/activity").await;
        let wrong = [("login_name", "amina"), ("password", "x"), ("provider_code", "SUNRISE-IL")];
        let page = browser.submit(&page, "#login-form", &wrong).await;
        page.assert_page(403, INVALID);
        let right = [("password", PASSWORD)];
        assert_eq!(browser.submit(&page, "#login-form", &right).await.location(), "/activity");
    }

    /// G22, A1: too many tries from one address are answered 429, and are no tries.
    async fn too_many_tries_from_one_address_are_throttled(engine: Engine) {
        let idp = Idp::start_with(engine, |config| {
            config.throttle.enabled = true;
            config.throttle.address_per_minute = 3;
        })
        .await;
        let amina = idp.user("amina").create().await;
        let mut browser = idp.browser();
        for _ in 0..3 {
            browser.sign_in(&amina).await;
        }
        let answer = browser.log_in(&amina, PASSWORD).await;
        assert_eq!((answer.status.as_u16(), answer.header("retry-after")), (429, Some("21")));
        assert_eq!(answer.text("#login-error"), "Too many sign-ins from your network. Please try again in 21 seconds.");
        let mut elsewhere = idp.browser();
        elsewhere.address = "192.0.2.8".parse().unwrap();
        elsewhere.sign_in(&amina).await;
        idp.advance(Duration::from_secs(21));
        browser.sign_in(&amina).await;
        assert_eq!(idp.record().await, vec!["sign_in success"; 5]);
    }

    /// The cost of hashing grows with the years: a right password is hashed again, and nothing else changes.
    async fn a_right_password_is_hashed_anew_under_another_cost(engine: Engine) {
        let idp = Idp::start(engine).await;
        let amina = idp.user("amina").create().await;
        let mut browser = idp.browser();
        browser.sign_in(&amina).await;
        let before = idp.account(&amina).await;
        let dearer = idp.replica(|config| config.password.iterations = 2).await;
        miss(&mut dearer.browser(), &amina).await;
        assert_eq!(idp.account(&amina).await.password_hash, before.password_hash);
        dearer.browser().sign_in(&amina).await;
        let after = idp.account(&amina).await;
        assert!(after.password_hash.starts_with("$argon2id$v=19$m=8,t=2,p=1$"), "{}", after.password_hash);
        assert_eq!((after.password_version, after.epoch), (before.password_version, before.epoch));
        browser.assert_signed_in_as(&amina).await;
        dearer.browser().sign_in(&amina).await;
    }

    /// An idle session ends after 30 minutes, any session after 12 hours.
    async fn a_session_ends_by_idleness_and_by_age(engine: Engine) {
        let idp = Idp::start(engine).await;
        let amina = idp.user("amina").create().await;
        let mut browser = idp.browser();
        browser.sign_in(&amina).await;
        browser.assert_signed_in_as(&amina).await;
        idp.advance(Duration::from_mins(30).checked_sub(Duration::from_millis(1)).unwrap());
        browser.assert_signed_in_as(&amina).await;
        idp.advance(Duration::from_mins(30));
        browser.assert_signed_out().await;

        browser.sign_in(&amina).await;
        for _ in 0..25 {
            browser.assert_signed_in_as(&amina).await;
            idp.advance(Duration::from_mins(29));
        }
        // 12 hours and 5 minutes: used all the time, and over all the same.
        browser.assert_signed_out().await;
        idp.assert_activity(["sign_in success", "sign_in success"]).await;
    }

    /// A provider's own limits hold within the operator's.
    async fn a_provider_may_shorten_its_sessions(engine: Engine) {
        let idp = Idp::start(engine).await;
        idp.provider("STRICT", |p| (p.idle_minutes, p.absolute_hours) = (Some(5), Some(1))).await;
        let amina = idp.user("amina").of("STRICT").create().await;
        let mut browser = idp.browser();
        browser.sign_in(&amina).await;
        idp.advance(Duration::from_mins(5));
        browser.assert_signed_out().await;
        browser.sign_in(&amina).await;
        for _ in 0..15 {
            browser.assert_signed_in_as(&amina).await;
            idp.advance(Duration::from_mins(4));
        }
        browser.assert_signed_out().await;
    }

    /// U3: signing in again renews: another secret, the same `sid`; the old secret is dead.
    async fn every_sign_in_has_a_new_secret(engine: Engine) {
        let idp = Idp::start(engine).await;
        let amina = idp.user("amina").create().await;
        let mut browser = idp.browser();
        // Fixation: whatever secret a browser brings along, it gets another one.
        let planted = connect_idp::crypto::secret::Secret::random(&idp.app.random).reveal();
        browser.cookies.insert("__Host-connect-session".into(), planted.clone());
        browser.sign_in(&amina).await;
        let first = browser.session().unwrap();
        assert_ne!(first, planted);
        let mut old = browser.clone();
        idp.advance(Duration::from_mins(1));
        browser.sign_in(&amina).await;
        assert_ne!(browser.session().unwrap(), first);
        idp.advance(Duration::from_secs(11));
        old.assert_signed_out().await;
        browser.assert_signed_in_as(&amina).await;
        let sids = "SELECT COUNT(DISTINCT sid) FROM sessions";
        assert_eq!(idp.number(sids).await, 1, "one session as apps know it");
        idp.browser().sign_in(&amina).await;
        assert_eq!(idp.number(sids).await, 2);
        idp.assert_activity(["sign_in success", "sign_in success", "sign_in success"]).await;
        idp.assert_invariants().await;
    }

    /// U3: another user in the same browser ends the first one's session.
    async fn another_user_in_the_same_browser_ends_the_first_session(engine: Engine) {
        let idp = Idp::start(engine).await;
        let (amina, bob) = (idp.user("amina").create().await, idp.user("bob").create().await);
        let mut browser = idp.browser();
        browser.sign_in(&amina).await;
        let mut old = browser.clone();
        miss(&mut browser, &bob).await.assert_page(403, INVALID);
        browser.assert_signed_in_as(&amina).await;
        browser.sign_in(&bob).await;
        browser.assert_signed_in_as(&bob).await;
        old.assert_signed_out().await;
        assert_eq!(idp.number("SELECT COUNT(DISTINCT sid) FROM sessions").await, 2);
        idp.assert_activity([
            "sign_in success",
            "sign_in refused wrong_password",
            "sign_in success",
            "session_ended success another_user_signed_in",
        ])
        .await;
    }

    /// U3: no unfinished sign-in of one user is continued as another, in either order.
    async fn an_unfinished_sign_in_is_never_continued_as_another(engine: Engine) {
        let idp = Idp::start(engine).await;
        let (amina, bob) = (idp.user("amina").temporary().create().await, idp.user("bob").create().await);
        let mut browser = idp.browser();
        browser.log_in(&amina, PASSWORD).await;
        let mut stale = browser.clone();
        browser.sign_in(&bob).await;
        browser.assert_signed_in_as(&bob).await;
        assert_eq!(stale.get("/password/update").await.location(), "/", "amina's half-done sign-in is over");

        browser.log_in(&amina, PASSWORD).await;
        assert_eq!(browser.get("/").await.location(), "/password/update");
        assert_eq!(idp.sessions(&bob).await, 0, "no unfinished sign-in beside another's session");
        assert_eq!(browser.post("/logout", &[]).await.status, 303);
        browser.assert_signed_out().await;
    }

    /// G27, A1: a form that another site sent is refused, and is no try.
    async fn a_form_from_another_site_is_refused(engine: Engine) {
        let idp = Idp::start(engine).await;
        let amina = idp.user("amina").create().await;
        let mut browser = idp.browser();
        browser.sign_in(&amina).await;
        for path in ["/login", "/logout", "/password/change", "/password/update", "/sessions/end-others"] {
            for (name, value) in [("sec-fetch-site", "cross-site"), ("sec-fetch-site", "same-site"), ("origin", "https://evil.example"), ("origin", "null")] {
                let mut headers = HeaderMap::new();
                headers.insert(name, value.parse().unwrap());
                headers.insert("content-type", "application/x-www-form-urlencoded".parse().unwrap());
                let cookie = format!("__Host-connect-session={}", browser.session().unwrap());
                headers.insert("cookie", cookie.parse().unwrap());
                let answer = browser.send(Method::POST, path, headers, "login_name=amina&password=x&provider_code=x").await;
                answer.assert_page(403, "For your safety it was not accepted. Open Therap Connect and try again there.");
                assert_eq!(answer.text("#error-code"), "403");
            }
        }
        browser.assert_signed_in_as(&amina).await;
        idp.assert_activity(["sign_in success"]).await;
    }

    /// A1, G16: what is no form, or one field twice, is no try.
    async fn malformed_forms_are_no_tries(engine: Engine) {
        let idp = Idp::start(engine).await;
        let mut browser = idp.browser();
        let form = "application/x-www-form-urlencoded";
        for (content_type, body, status) in [
            ("application/json", "{}".to_owned(), 400),
            (form, "login_name=a&login_name=b&password=x&provider_code=y".to_owned(), 400),
            (form, format!("login_name={}", "a".repeat(20_000)), 400),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert("content-type", content_type.parse().unwrap());
            let answer = browser.send(Method::POST, "/login", headers, body).await;
            assert_eq!(answer.status, status);
            assert!(answer.has("#error-page #reference"));
        }
        idp.assert_activity([]).await;
    }

    /// My sessions: I end one of mine, and nobody else's.
    async fn a_user_ends_their_own_sessions_alone(engine: Engine) {
        let idp = Idp::start(engine).await;
        let (amina, bob) = (idp.user("amina").create().await, idp.user("bob").create().await);
        let (mut here, mut there, mut bobs) = (idp.browser(), idp.browser(), idp.browser());
        here.sign_in(&amina).await;
        there.sign_in(&amina).await;
        bobs.sign_in(&bob).await;
        let page = here.get("/sessions").await;
        assert_eq!(page.texts("#sessions-table tbody tr").len(), 2);
        let bobs_id = {
            let mut conn = idp.app.db.read().await.unwrap();
            connect_idp::store::sessions::of_user(&mut conn, &bob.id, idp.now()).await.unwrap()[0].id.clone()
        };
        here.post("/sessions/end", &[("session", &bobs_id)]).await;
        bobs.assert_signed_in_as(&bob).await;
        let answer = here.submit(&page, "#sessions-table form", &[]).await;
        let page = here.follow(answer).await;
        assert_eq!(page.texts("#sessions-table tbody tr").len(), 1);
        there.assert_signed_out().await;
        here.assert_signed_in_as(&amina).await;
        let ended = "session_ended success ended_from_another_session";
        idp.assert_activity(["sign_in success", "sign_in success", "sign_in success", ended]).await;
    }

    /// L11: beta says so on every page.
    async fn beta_says_so_on_every_page(engine: Engine) {
        let idp = Idp::start_with(engine, |config| config.site = Site::Beta).await;
        let amina = idp.user("amina").create().await;
        let mut browser = idp.browser();
        let refused = browser.click("x").await;
        let mut pages = vec![browser.get("/login").await, browser.get("/nowhere").await, browser.get("/forgot-password").await, refused];
        browser.sign_in(&amina).await;
        for path in ["/", "/activity", "/sessions", "/password/change"] {
            pages.push(browser.get(path).await);
        }
        for page in pages {
            assert!(page.text("#beta-banner").ends_with("This is a non-production site for training and testing."), "{}", page.path);
            assert!(page.text("title").starts_with("[BETA] "), "{}", page.path);
        }
    }
}
