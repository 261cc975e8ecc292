//! What happens at once: on the machine's clock, over two replicas, and checked by what the database holds afterwards.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use connect_idp::config::Config;
use connect_idp::operations;
use connect_idp::store;
use connect_idp::time::Random;
use futures_util::future::join_all;

use crate::actors::{Answer, Engine, ISSUER, Idp, PASSWORD, User};

const INVALID: &str = "Invalid Credentials";
const LOCKED: &str = "Your account has been locked. Please contact your agency administrator.";

fn many(config: &mut Config) {
    config.database.connections = 10;
}

/// Two replicas on one database.
async fn two(engine: Engine) -> [Idp; 2] {
    let idp = Idp::start_live(engine, many).await;
    let other = idp.replica(|_| {}).await;
    [idp, other]
}

/// Starts every future on a task of its own, and waits for them all.
async fn at_once<T: Send + 'static>(
    futures: impl IntoIterator<Item = impl Future<Output = T> + Send + 'static>,
) -> Vec<T> {
    let tasks: Vec<_> = futures.into_iter().map(tokio::spawn).collect();
    join_all(tasks).await.into_iter().map(Result::unwrap).collect()
}

/// Up to a number of milliseconds, to the hundredth.
fn chance(milliseconds: u64) -> Duration {
    Duration::from_micros(u64::from_be_bytes(Random::System.bytes()) % (milliseconds * 1000))
}

/// How many answers of each kind there are.
fn tally(answers: &[Answer]) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for answer in answers {
        let kind = if answer.status == 303 {
            "in".to_owned()
        } else {
            format!("{} {}", answer.status.as_u16(), answer.message().unwrap_or_default())
        };
        *counts.entry(kind).or_insert(0) += 1;
    }
    counts
}

fn counted(lines: &[String], line: &str) -> usize {
    lines.iter().filter(|found| *found == line).count()
}

/// Looks again and again, until told to stop, for more guesses in hand than there are chances.
fn watch_slots(idp: &Idp, stop: &Arc<AtomicBool>) -> tokio::task::JoinHandle<i64> {
    let (idp, stop) = (idp.clone(), Arc::clone(stop));
    tokio::spawn(async move {
        let mut most = 0;
        let mut outsider = idp.outsider().await;
        while !stop.load(Ordering::SeqCst) {
            let sql = "SELECT CAST(COALESCE(MAX(n), 0) AS BIGINT) FROM (SELECT COUNT(*) AS n FROM strike_slots GROUP BY account) AS per_account";
            most = most.max(outsider.number(sql).await);
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        most
    })
}

both_engines! {
    /// L4, G3: however many guesses arrive at once, on however many replicas, three are answered before the lock.
    async fn two_hundred_wrong_guesses_at_once_are_three_strikes(engine: Engine) {
        let [a, b] = two(engine).await;
        let amina = a.user("amina").create().await;
        let nobody = User::nobody("nobody", "SUNRISE-IL");
        for user in [&amina, &nobody] {
            let stop = Arc::new(AtomicBool::new(false));
            let watcher = watch_slots(&a, &stop);
            let answers = at_once((0..200).map(|number| {
                let (mut browser, user) = ([&a, &b][number % 2].browser(), user.clone());
                async move { browser.log_in(&user, &format!("Wrong-Horse-{number}")).await }
            }))
            .await;
            stop.store(true, Ordering::SeqCst);
            assert!(watcher.await.unwrap() <= 3, "guesses in hand");
            let tally = tally(&answers);
            let answered = |kind: &str| tally.get(kind).copied().unwrap_or(0);
            assert_eq!(answered("in"), 0, "{tally:?}");
            assert!(answered(&format!("403 {INVALID}")) <= 2 && answered(&format!("403 {LOCKED}")) >= 1, "{tally:?}");
        }
        a.browser().log_in(&amina, PASSWORD).await.assert_page(403, LOCKED);
        assert_eq!(a.account(&amina).await.failures, 3);
        let records = a.activity().await;
        let of = |user: Option<&str>, reason: &str| {
            records.iter().filter(|r| r.user_id.as_deref() == user && r.reason.as_deref() == Some(reason)).count()
        };
        assert_eq!(of(Some(&amina.id), "wrong_password"), 3);
        assert_eq!(of(Some(&amina.id), "three_wrong_passwords"), 1);
        assert_eq!(a.number("SELECT failures FROM strikes WHERE user_id IS NULL").await, 3);
        a.assert_invariants().await;
    }

    /// L4: right passwords that arrive together all get in.
    async fn right_passwords_together_all_get_in(engine: Engine) {
        let [a, b] = two(engine).await;
        let amina = a.user("amina").failures(2).create().await;
        let browsers = at_once((0..20).map(|number| {
            let (mut browser, user) = ([&a, &b][number % 2].browser(), amina.clone());
            async move {
                browser.sign_in(&user).await;
                browser
            }
        }))
        .await;
        for mut browser in browsers {
            browser.assert_signed_in_as(&amina).await;
        }
        assert_eq!(a.record().await, vec!["sign_in success"; 20]);
        assert_eq!(a.sessions(&amina).await, 20);
        a.assert_invariants().await;
    }

    /// L4, G9: with two strikes standing, a right and a wrong password race: never a lock and a sign-in after it.
    async fn a_password_lock_races_a_right_password(engine: Engine) {
        let [a, b] = two(engine).await;
        let (mut first, mut second) = (0, 0);
        for round in 0..30 {
            let user = a.user(&format!("u{round}")).failures(2).create().await;
            let (mut right, mut wrong) = (a.browser(), b.browser());
            let (one, two) = (user.clone(), user.clone());
            let (pause, other) = (chance(4), chance(4));
            let right = tokio::spawn(async move {
                tokio::time::sleep(pause).await;
                right.log_in(&one, PASSWORD).await
            });
            let wrong = tokio::spawn(async move {
                tokio::time::sleep(other).await;
                wrong.log_in(&two, "Wrong-Horse-9").await
            });
            let (right, wrong) = (right.await.unwrap(), wrong.await.unwrap());
            let failures = a.account(&user).await.failures;
            if right.status == 303 {
                first += 1;
                wrong.assert_page(403, INVALID);
                assert_eq!((failures, a.sessions(&user).await), (1, 1));
            } else {
                second += 1;
                right.assert_page(403, LOCKED);
                wrong.assert_page(403, LOCKED);
                assert_eq!((failures, a.sessions(&user).await), (3, 0));
            }
        }
        eprintln!("right first {first}, wrong first {second}");
        a.assert_invariants().await;
    }

    /// L4, R4: a password lock races a handoff: once it stands, no handoff opens anything.
    async fn a_password_lock_races_a_handoff(engine: Engine) {
        let [a, b] = two(engine).await;
        for round in 0..30 {
            let user = a.user(&format!("u{round}")).failures(2).create().await;
            let (mut click, mut wrong) = (a.browser(), b.browser());
            let (assertion, guessed, pause) = (a.therap_services().sign(&user), user.clone(), chance(6));
            let click = tokio::spawn(async move { click.hand_off(&assertion).await });
            let wrong = tokio::spawn(async move {
                tokio::time::sleep(pause).await;
                wrong.log_in(&guessed, "Wrong-Horse-9").await
            });
            wrong.await.unwrap().assert_page(403, LOCKED);
            let opened = click.await.unwrap().status == 200;
            assert_eq!(a.sessions(&user).await, usize::from(opened));
            let records = a.activity().await;
            let position = |reason: Option<&str>| records.iter().position(|r| r.user_id.as_deref() == Some(&user.id) && r.reason.as_deref() == reason);
            if !opened {
                assert!(position(Some("password_locked")).is_some());
            }
            a.browser().hand_off(&a.therap_services().sign(&user)).await.assert_handoff_refused(
                "Your Therap Connect account has been locked. Please contact your agency administrator",
            );
        }
        a.assert_invariants().await;
    }

    /// U5, U8, G2: one assertion two hundred times at once: one session, one success, one repeat on record.
    async fn one_assertion_two_hundred_times_at_once(engine: Engine) {
        let [a, b] = two(engine).await;
        let amina = a.user("amina").create().await;
        let assertion = a.therap_services().sign(&amina);
        let answers = at_once((0..200).map(|number| {
            let (mut browser, assertion) = ([&a, &b][number % 2].browser(), assertion.clone());
            async move {
                let answer = browser.hand_off(&assertion).await;
                (browser, answer)
            }
        }))
        .await;
        let (mut inside, mut refused) = (0, 0);
        for (mut browser, answer) in answers {
            if answer.status == 200 {
                inside += 1;
                browser.assert_signed_in_as(&amina).await;
            } else {
                refused += 1;
                answer.assert_handoff_refused("Invalid Credential");
            }
        }
        assert_eq!((inside, refused), (1, 199));
        a.assert_activity(["sign_in success", "sign_in refused replayed"]).await;
        assert_eq!(a.number("SELECT COUNT(*) FROM handoffs").await, 1);
        assert_eq!(a.number("SELECT COUNT(*) FROM sessions").await, 1);
        a.assert_invariants().await;
    }

    /// docs/handoff.md: the second step many times at once, on two replicas: one session, and everybody is given it.
    async fn the_second_step_many_times_at_once_is_one_session(engine: Engine) {
        let [a, b] = two(engine).await;
        let amina = a.user("amina").create().await;
        let mut browser = a.browser();
        let first = browser.click(&a.therap_services().sign(&amina)).await;
        let browsers = at_once((0..32).map(|number| {
            let (mut browser, first) = (browser.clone().at([&a, &b][number % 2]), first.clone());
            async move {
                assert_eq!(browser.complete(&first).await.location(), "/");
                browser
            }
        }))
        .await;
        let mut secrets: Vec<_> = browsers.iter().map(|browser| browser.session().unwrap()).collect();
        secrets.dedup();
        assert_eq!(secrets.len(), 1);
        a.assert_activity(["sign_in success"]).await;
        a.assert_invariants().await;
    }

    /// G9: an admin's lock, a deactivation or a reset, at any moment of a sign-in or a handoff: nothing usable is left.
    async fn nothing_usable_is_born_of_a_race_with_an_admin(engine: Engine) {
        let [a, b] = two(engine).await;
        let mut born = 0;
        for round in 0..50 {
            let code = format!("RACE-{round}");
            a.provider(&code, |_| {}).await;
            let user = a.user("u").of(&code).create().await;
            let mut browser = a.browser();
            let (by_handoff, assertion) = (round % 2 == 0, a.therap_services().sign(&user));
            let (guest, pause) = (user.clone(), chance(if by_handoff { 12 } else { 8 }));
            let sign_in = tokio::spawn(async move {
                let answer = if by_handoff { browser.hand_off(&assertion).await } else { browser.log_in(&guest, PASSWORD).await };
                (browser, answer)
            });
            let (admin, target) = (b.clone(), user.clone());
            let act = tokio::spawn(async move {
                tokio::time::sleep(pause).await;
                match round / 2 % 4 {
                    0 => admin.set_active(&target, false).await,
                    1 => admin.set_provider_active(&target.provider_id, false).await,
                    // A handoff that begins after a reset is welcome (U11).
                    2 if !by_handoff => admin.reset_password(&target, "Another-Horse-10").await,
                    _ => admin.lock(&target).await,
                }
            });
            let (mut browser, answer) = sign_in.await.unwrap();
            act.await.unwrap();
            born += usize::from(browser.session().is_some());
            browser.assert_signed_out().await;
            assert_eq!(a.sessions(&user).await, 0, "round {round}: {:?}", answer.message());
            // What is undone brings nothing back.
            a.unlock(&user).await;
            a.set_active(&user, true).await;
            a.set_provider_active(&user.provider_id, true).await;
            browser.assert_signed_out().await;
            let records = a.activity().await;
            let tries = records.iter().filter(|r| r.user_id.as_deref() == Some(&user.id) && r.kind.as_str() == "sign_in").count();
            assert_eq!(tries, 1, "round {round}: exactly one outcome, {:?}", answer.message());
        }
        eprintln!("{born} of 50 had a session for a moment");
        a.assert_invariants().await;
    }

    /// U13, G9: an issuer is switched off and its sessions ended while handoffs are under way.
    async fn nothing_usable_is_born_of_a_race_with_a_disabled_issuer(engine: Engine) {
        let [a, b] = two(engine).await;
        for round in 0..20 {
            let name = format!("https://issuer-{round}.example.net");
            a.trust(&name, |_| {}).await;
            b.app.issuers.forget();
            let user = a.user(&format!("u{round}")).create().await;
            let assertion = a.therap_services().under(&name, "es256").sign(&user);
            let (mut browser, origin, pause) = (a.browser(), name.clone(), chance(12));
            let click = tokio::spawn(async move {
                let first = browser.click_from(&origin, &assertion).await;
                if first.status == 303 {
                    browser.complete(&first).await;
                }
                browser
            });
            tokio::time::sleep(pause).await;
            operations::issuers::disable(&b.act(), &name, true).await.unwrap();
            click.await.unwrap().assert_signed_out().await;
            assert_eq!(a.sessions(&user).await, 0);
        }
        a.assert_invariants().await;
    }

    /// U12: two handoffs at once tie one `sub` to two users, or one user to two `sub`s: one of them wins.
    async fn one_of_two_ties_at_once_wins(engine: Engine) {
        let [a, b] = two(engine).await;
        for round in 0..20 {
            let one = a.user(&format!("one-{round}")).create().await;
            let two = a.user(&format!("two-{round}")).create().await;
            let sub = format!("person-{round}");
            let pair = if round % 2 == 0 {
                [(&one, sub.clone()), (&two, sub)]
            } else {
                [(&one, sub.clone()), (&one, format!("{sub}-b"))]
            };
            let answers = at_once(pair.into_iter().zip([&a, &b]).map(|((user, sub), idp)| {
                let (mut browser, assertion) = (idp.browser(), a.therap_services().assertion(user).claim("sub", sub).sign());
                async move { browser.hand_off(&assertion).await }
            }))
            .await;
            let inside = answers.iter().filter(|answer| answer.status == 200).count();
            assert_eq!(inside, 1, "round {round}: {:?}", tally(&answers));
            answers.iter().find(|answer| answer.status != 200).unwrap().assert_handoff_refused("Invalid Credential");
        }
        let lines = a.record().await;
        let refused = ["sign_in refused sub_tied_to_another_user", "sign_in refused user_tied_to_another_sub"];
        assert_eq!(refused.map(|line| counted(&lines, line)), [10, 10]);
        assert_eq!(counted(&lines, "sign_in success"), 20);
        a.assert_invariants().await;
    }

    /// U3: a double click: two assertions, two tabs, one browser. Both end signed in, whatever it held before.
    async fn a_double_click_ends_signed_in(engine: Engine) {
        let [a, b] = two(engine).await;
        for round in 0..20 {
            let user = a.user(&format!("u{round}")).create().await;
            let mut held = a.browser();
            if round % 2 == 1 {
                held.sign_in(&user).await;
            }
            let tabs = at_once([&a, &b].map(|idp| {
                let (mut tab, assertion, pause) = (held.clone().at(idp), a.therap_services().sign(&user), chance(6));
                async move {
                    tokio::time::sleep(pause).await;
                    let first = tab.click(&assertion).await;
                    let second = tab.complete(&first).await;
                    assert_eq!(second.location(), "/", "{:?}", second.message());
                    tab
                }
            }))
            .await;
            // The browser keeps whichever cookie came last; either must do.
            for mut tab in tabs {
                tab.assert_signed_in_as(&user).await;
            }
        }
        assert_eq!(counted(&a.record().await, "sign_in success"), 50);
        a.assert_invariants().await;
    }

    /// L7: the Update Password form twice at once: one update, one session.
    async fn a_forced_update_happens_once(engine: Engine) {
        let [a, b] = two(engine).await;
        for round in 0..10 {
            let user = a.user(&format!("u{round}")).temporary().create().await;
            let mut browser = a.browser();
            browser.log_in(&user, PASSWORD).await;
            let answers = at_once([(&a, "Another-Horse-10"), (&b, "Another-Horse-11")].map(|(idp, new)| {
                let mut tab = browser.clone().at(idp);
                async move { tab.post("/password/update", &[("new_password", new), ("confirm_new_password", new)]).await }
            }))
            .await;
            let opened = answers.iter().filter(|answer| answer.cookies().iter().any(|(name, value)| name.ends_with("session") && !value.is_empty()));
            assert_eq!(opened.count(), 1);
            assert_eq!(a.sessions(&user).await, 1);
        }
        let lines = a.record().await;
        assert_eq!((counted(&lines, "password_updated success"), counted(&lines, "sign_in success")), (10, 10));
        a.assert_invariants().await;
    }

    /// L8: two changes at will at once: one password stands, and it is the one that was said to be taken.
    async fn one_of_two_password_changes_wins(engine: Engine) {
        let [a, b] = two(engine).await;
        for round in 0..10 {
            let user = a.user(&format!("u{round}")).create().await;
            let mut browser = a.browser();
            browser.sign_in(&user).await;
            let news = ["Another-Horse-10", "Another-Horse-11"];
            let answers = at_once([&a, &b].into_iter().zip(news).map(|(idp, new)| {
                let mut tab = browser.clone().at(idp);
                let typed = [("current_password", PASSWORD), ("new_password", new), ("confirm_new_password", new)];
                async move {
                    let answer = tab.post("/password/change", &typed).await;
                    let is_taken = answer.status == 303 && answer.location() == "/sessions";
                    is_taken.then_some((tab, new))
                }
            }))
            .await;
            let mut taken: Vec<_> = answers.into_iter().flatten().collect();
            assert_eq!(taken.len(), 1);
            let (tab, new) = taken.remove(0);
            assert_eq!(a.browser().log_in(&user, new).await.location(), "/");
            tab.at(&a).assert_signed_in_as(&user).await;
        }
        assert_eq!(counted(&a.record().await, "password_changed success"), 10);
        a.assert_invariants().await;
    }

    /// L10: logging out in several tabs at once is one logout.
    async fn a_logout_in_many_tabs_is_one_logout(engine: Engine) {
        let [a, b] = two(engine).await;
        let amina = a.user("amina").create().await;
        let mut browser = a.browser();
        browser.sign_in(&amina).await;
        at_once((0..10).map(|number| {
            let mut tab = browser.clone().at([&a, &b][number % 2]);
            async move { assert_eq!(tab.post("/logout", &[]).await.status, 303) }
        }))
        .await;
        browser.assert_signed_out().await;
        a.assert_activity(["sign_in success", "logout success"]).await;
    }

    /// U8: sweeps on every replica at once settle each handoff once.
    async fn sweeps_at_once_settle_each_handoff_once(engine: Engine) {
        let idp = Idp::start(engine).await;
        let other = idp.replica(|_| {}).await;
        let amina = idp.user("amina").create().await;
        for _ in 0..20 {
            idp.browser().click(&idp.therap_services().sign(&amina)).await;
        }
        let mut lost = idp.browser();
        let first = lost.click(&idp.therap_services().sign(&amina)).await;
        lost.complete(&first).await;
        idp.advance(Duration::from_mins(5));
        at_once((0..8).map(|number| {
            let app = [&idp, &other][number % 2].app.clone();
            // A sweep that meets another one may be told to come again.
            async move { drop(connect_idp::jobs::sweep(&app).await) }
        }))
        .await;
        connect_idp::jobs::sweep(&idp.app).await.unwrap();
        let lines = idp.record().await;
        assert_eq!((counted(&lines, "sign_in refused timed_out"), counted(&lines, "sign_in success")), (21, 1));
        idp.assert_invariants().await;
    }

    /// The store's promises, each with 32 who want the same (G2, G3, U12).
    async fn the_store_gives_each_thing_once(engine: Engine) {
        let idp = Idp::start_live(engine, many).await;
        let amina = idp.user("amina").create().await;
        let (account, now) = (idp.account(&amina).await, idp.app.clock.now());

        let claims = at_once((0..32).map(|_| {
            let idp = idp.clone();
            async move { in_tx!(idp, [], |tx| store::single_use::claim(tx, "test", "issuer", "hash", now).await) }
        }));
        assert_eq!(claims.await.into_iter().filter(|won| *won).count(), 1);

        let guessed = store::strikes::Guessed::User(amina.id.clone());
        let slots = at_once((0..32).map(|number| {
            let (idp, guessed, slot) = (idp.clone(), guessed.clone(), format!("slot-{number}"));
            let (until, later) = (now.after(Duration::from_secs(15)), now.after(Duration::from_hours(24)));
            async move { in_tx!(idp, [guessed, slot], |tx| store::strikes::reserve(tx, &guessed, &slot, now, until, later).await) }
        }));
        let slots = slots.await;
        let given: Vec<_> = slots.iter().filter_map(|r| if let store::strikes::Reserved::Slot(id) = r { Some(id.clone()) } else { None }).collect();
        assert_eq!(given.len(), 3);
        let released = at_once(given.iter().cycle().take(32).map(|slot| {
            let (idp, id, slot) = (idp.clone(), amina.id.clone(), slot.clone());
            async move { in_tx!(idp, [id, slot], |tx| store::strikes::release(tx, &id, &slot, now).await) }
        }));
        assert_eq!(released.await.into_iter().filter(|mine| *mine).count(), 3);

        let updates = at_once((0..32).map(|number| {
            let (idp, account, hash) = (idp.clone(), account.clone(), format!("hash-{number}"));
            async move { in_tx!(idp, [account, hash], |tx| store::users::set_password(tx, &account, &hash).await) }
        }));
        assert_eq!(updates.await.into_iter().filter(|won| *won).count(), 1);

        let issuer = idp.number("SELECT COUNT(*) FROM issuers").await;
        assert_eq!(issuer, 1);
        let id = idp.outsider().await.text(&format!("SELECT id FROM issuers WHERE issuer = '{ISSUER}'")).await;
        let ties = at_once((0..32).map(|number| {
            let (idp, id, user, sub) = (idp.clone(), id.clone(), amina.clone(), format!("sub-{number}"));
            async move {
                in_tx!(idp, [id, user, sub], |tx| store::issuers::tie(tx, &id, &user.provider_id, &sub, &user.id, now).await)
            }
        }));
        assert_eq!(ties.await.into_iter().filter(|won| *won).count(), 1);
    }
}
