//! Locks, deactivation and reset, as the person meets them (L3 to L5, L7, R4).

use crate::harness::Stage;
use crate::harness::people::{AMINA, BRUNO, LENA, OMAR, PAUL, Person};

pub const LOCKED: &str = "Your account has been locked. Please contact your agency administrator.";
pub const INVALID: &str = "Invalid Credentials";

/// L4, L5
pub async fn three_wrong_passwords(Stage { browser, demo }: &Stage) {
    let tries = async |user: &Person, answers: &[&str]| {
        for answer in answers {
            browser.try_login(user, "Wrong#2026").await;
            browser.reads("#login-error", answer).await;
            assert_eq!(browser.status().await, 403);
        }
    };
    tries(&AMINA, &[INVALID, INVALID]).await;
    // A right one sets the count back to zero.
    browser.sign_in(&AMINA).await;
    browser.log_out().await;
    tries(&AMINA, &[INVALID, INVALID, LOCKED, LOCKED]).await;
    browser.try_login(&AMINA, AMINA.password).await;
    browser.reads("#login-error", LOCKED).await;

    demo.on_user("unlock", &AMINA);
    browser.sign_in(&AMINA).await;
    browser.log_out().await;

    // Nobody can tell whether there is such an account.
    let nobody = Person { login_name: "nobody", ..AMINA };
    tries(&nobody, &[INVALID, INVALID, LOCKED]).await;
}

#[tokio::test]
async fn the_third_wrong_password_locks() {
    let Some(stage) = Stage::in_chromium().await else { return };
    three_wrong_passwords(&stage).await;
}

/// L5, L7
#[tokio::test]
async fn either_lock_reads_the_same_and_a_reset_lifts_the_one_of_passwords() {
    let Some(stage) = Stage::in_chromium().await else { return };
    let Stage { browser, demo } = &stage;
    for user in [LENA, OMAR] {
        browser.try_login(&user, user.password).await;
        browser.reads("#login-error", LOCKED).await;
        assert_eq!(browser.status().await, 403);
    }
    let (lena, omar) = (demo.reset_password(&LENA), demo.reset_password(&OMAR));

    browser.try_login(&OMAR, &omar).await;
    browser.reads("#login-error", LOCKED).await;
    browser.try_login(&LENA, &lena).await;
    browser.is_at("/password/update").await;
}

/// R4: what an admin does ends the sessions at once; three wrong guesses of a stranger end none.
#[tokio::test]
async fn an_admin_ends_sessions_and_a_stranger_does_not() {
    let Some(stage) = Stage::in_chromium().await else { return };
    let Stage { browser, demo } = &stage;
    let stranger = stage.another_browser().await;
    browser.sign_in(&AMINA).await;
    for _ in 0..3 {
        stranger.try_login(&AMINA, "Wrong#2026").await;
    }
    stranger.reads("#login-error", LOCKED).await;
    browser.reload().await;
    browser.is_in_as(&AMINA).await;

    demo.on_user("lock", &AMINA);
    browser.reload().await;
    browser.is_at("/login").await;
    demo.on_user("unlock", &AMINA);

    browser.sign_in(&BRUNO).await;
    demo.on_user("deactivate", &BRUNO);
    browser.open("/activity").await;
    browser.is_at("/login?return_to=%2Factivity").await;
    browser.enter(BRUNO.login_name, BRUNO.password, BRUNO.provider).await;
    browser.reads("#login-error", INVALID).await;

    browser.sign_in(&PAUL).await;
    let temporary = demo.reset_password(&PAUL);
    browser.reload().await;
    browser.is_at("/login").await;
    browser.enter(PAUL.login_name, PAUL.password, PAUL.provider).await;
    browser.reads("#login-error", INVALID).await;
    browser.enter(PAUL.login_name, &temporary, PAUL.provider).await;
    browser.is_at("/password/update").await;
}
