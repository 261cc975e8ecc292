//! After each fault: nothing acknowledged is lost, nothing is doubled, nothing is unrecorded.

use futures_util::stream::{self, StreamExt as _};

use super::crowd::{Crowd, Harm};
use super::dice::Dice;
use crate::support::{PASSWORD, PROVIDER};
use crate::visitors::LOCKED;

const AT_ONCE: usize = 8;
const SUCCESS: &str = "activity WHERE kind = 'sign_in' AND outcome = 'success'";

/// Looks at everything while everybody rests; from then on each request is answered as always.
pub async fn check(crowd: &Crowd, dice: &mut Dice) {
    let _rest = crowd.rest().await;
    crowd.expect(Harm::None);
    nothing_is_lost(crowd, dice).await;
    unlock(crowd).await;
    everything_is_recorded(crowd).await;
    crowd.setup.cli(&["doctor"]);
    crowd.setup.cli(&["activity", "verify"]);
}

async fn nothing_is_lost(crowd: &Crowd, dice: &mut Dice) {
    let (sessions, ended) = {
        let mut ledger = crowd.ledger();
        (ledger.sessions(dice), ledger.ended(dice))
    };
    let lives = async |session: String| {
        assert!(crowd.front.is_signed_in(&session).await, "a sign-in that was acknowledged is lost: {session}");
    };
    stream::iter(sessions).for_each_concurrent(AT_ONCE, lives).await;
    let is_dead = async |session: String| {
        for replica in &crowd.each {
            assert!(!replica.is_signed_in(&session).await, "a logout that was acknowledged is undone: {session}");
        }
    };
    stream::iter(ended).for_each_concurrent(AT_ONCE, is_dead).await;
    let locked: Vec<String> = {
        let ledger = crowd.ledger();
        let all = &ledger.locked;
        (0..5.min(all.len())).map(|_| all[dice.below(all.len())].clone()).collect()
    };
    for user in locked {
        let answer = crowd.front.try_log_in(&user, PASSWORD, None).await.unwrap();
        assert_eq!(answer.text("login-error"), LOCKED, "{user}: a lock that was acknowledged is undone");
    }
    let families = crowd.ledger().families();
    for _ in 0..families {
        crowd.refresh_one().await;
    }
}

/// Lets those in again who have been locked the longest: somebody guesses at them later.
async fn unlock(crowd: &Crowd) {
    let locked = crowd.ledger().long_locked();
    for user in locked {
        crowd.setup.cli(&["user", "unlock", "--provider", PROVIDER, "--login-name", &user]);
        let answer = crowd.front.try_log_in(&user, PASSWORD, None).await.unwrap();
        let session = answer.session().unwrap_or_else(|| panic!("{user} is not unlocked: {answer:?}"));
        crowd.ledger().signed_in(session);
        crowd.ledger().unguessed.push_back(user);
    }
}

async fn everything_is_recorded(crowd: &Crowd) {
    let (begun, completed, sign_ins, guesses) = {
        let mut ledger = crowd.ledger();
        let (begun, completed) = (std::mem::take(&mut ledger.begun), std::mem::take(&mut ledger.completed));
        (begun, completed, ledger.sign_ins, ledger.guesses + ledger.locked.len())
    };
    let setup = &crowd.setup;
    let all = |ids: &std::collections::BTreeSet<String>| {
        let quoted: Vec<String> = ids.iter().map(|id| format!("'{}'", id.replace('\'', ""))).collect();
        if quoted.is_empty() { "NULL".to_owned() } else { quoted.join(",") }
    };
    let known = setup.count(&format!("handoffs WHERE id IN ({})", all(&begun))).await;
    assert_eq!(known, begun.len(), "a handoff that was acknowledged is lost");
    let done = setup.count(&format!("handoffs WHERE state = 'completed' AND id IN ({})", all(&completed))).await;
    assert_eq!(done, completed.len(), "a handoff that was completed is not");
    let recorded = setup.count(&format!("{SUCCESS} AND handoff_id IN ({})", all(&completed))).await;
    assert_eq!(recorded, completed.len(), "each has one record");
    let recorded = setup.count(SUCCESS).await;
    assert!(recorded >= sign_ins, "{sign_ins} sign-ins were acknowledged, {recorded} are recorded");
    let recorded = setup.count("activity WHERE reason = 'wrong_password'").await;
    assert!(recorded >= guesses, "{guesses} wrong passwords were answered, {recorded} are recorded");
}
