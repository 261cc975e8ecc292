//! The record in the order of commits (A5), and as it was written (A3): sealed, verified, and removed by retention
//! alone.

use std::collections::BTreeSet;
use std::time::Duration;

use connect_idp::jobs;
use connect_idp::model::activity::{Event, Kind, Outcome, Visitor};
use connect_idp::operations::activity::chain::{self, From};
use connect_idp::operations::activity::prune::{self, Planned};
use connect_idp::operations::activity::verify::{Anchor, Terms, What, anchor, verify, verify_end};
use connect_idp::store::Error;
use connect_idp::store::activity::Filter;
use connect_idp::store::activity::record;
use connect_idp::time::Timestamp;
use futures_util::future::join_all;

use crate::actors::{Engine, Idp};

/// A record that is made now, and written when its transaction comes to it.
fn event(idp: &Idp) -> Event {
    let visitor = Visitor { reference: idp.app.random.reference(), ..Visitor::default() };
    Event::new(Kind::ClientChanged, Outcome::Success, "operator root", &visitor, idp.now(), &idp.app.random)
}

async fn write(idp: &Idp, event: &Event) {
    in_tx!(idp, [event], |tx| record(tx, &event).await);
}

/// Writes a number of records; their ids.
async fn write_some(idp: &Idp, count: usize) -> Vec<String> {
    let mut ids = Vec::new();
    for _ in 0..count {
        let event = event(idp);
        write(idp, &event).await;
        ids.push(event.id);
    }
    ids
}

/// The same in one transaction.
async fn write_many(idp: &Idp, count: usize) {
    let events: Vec<Event> = (0..count).map(|_| event(idp)).collect();
    in_tx!(idp, [events], |tx| {
        for event in &events {
            record(tx, event).await?;
        }
        Ok(())
    });
}

async fn seal(idp: &Idp) {
    assert!(chain::seal(&idp.app, From::LastTime, usize::MAX).await.unwrap().all);
}

/// What `activity verify` names first.
async fn named(idp: &Idp, anchors: &[Anchor]) -> Option<(What, Option<String>)> {
    let terms = Terms { anchors: anchors.to_vec(), ..Terms::default() };
    let verified = verify(&idp.app, &terms, |_, _| {}).await.unwrap();
    verified.fault.map(|fault| (fault.what, fault.id))
}

/// Removes what is older, as the command does; how many went.
async fn prune(idp: &Idp, before: Timestamp) -> i64 {
    match prune::plan(&idp.app, before, Terms::default(), |_| {}).await.unwrap() {
        Planned::Remove(plan) => {
            assert!(prune::begin(&idp.act(), &plan).await.unwrap());
            jobs::remove_pruned(&idp.app).await.unwrap();
            plan.count
        }
        Planned::Nothing => 0,
        Planned::Wrong(fault) => panic!("{}", fault.words()),
    }
}

/// Keeps the record as it is, so that what is done to it can be undone.
const KEEP: &str = "CREATE TABLE kept AS SELECT * FROM activity; CREATE TABLE kept_seals AS SELECT * FROM activity_seals; \
                    CREATE TABLE kept_chain AS SELECT * FROM activity_chain";
const UNDO: &str = "DELETE FROM activity; INSERT INTO activity SELECT * FROM kept; DELETE FROM activity_seals; \
                    INSERT INTO activity_seals SELECT * FROM kept_seals; DELETE FROM activity_chain; \
                    INSERT INTO activity_chain SELECT * FROM kept_chain";

both_engines! {
    /// A5: what got its id first and was committed last is not behind whoever reads on.
    async fn a_reader_who_remembers_where_it_stopped_misses_no_record(engine: Engine) {
        let idp = Idp::start(engine).await;
        let ops = idp.client("ops", "activity.read").await;
        let slow = event(&idp);
        let quick = write_some(&idp, 3).await;
        let page = ops.get("/api/v1/activity?order=recorded&kind=client_changed&limit=200").await;
        let ids = |told: &crate::actors::Told| -> Vec<String> {
            let items = told.assert(200).json["items"].as_array().unwrap();
            items.iter().map(|item| item["id"].as_str().unwrap().to_owned()).collect()
        };
        assert_eq!(ids(&page), quick);
        let next = page.json["next"].as_str().unwrap();
        let on = format!("/api/v1/activity?order=recorded&kind=client_changed&cursor={next}");
        assert_eq!(ids(&ops.get(&on).await), Vec::<String>::new());
        write(&idp, &slow).await;
        assert!(slow.id < quick[0]);
        let page = ops.get(&on).await;
        assert_eq!(ids(&page), [slow.id], "the same cursor shows what came since");
        assert_eq!(ids(&ops.get(&on).await), ids(&page));
    }

    /// A5: the same while a transaction is open all the time.
    async fn a_record_has_no_place_before_its_commit(engine: Engine) {
        if engine == Engine::Sqlite {
            // There, nobody else writes while a transaction is open.
            return;
        }
        let idp = Idp::start(engine).await;
        let mut slow = idp.outsider().await;
        let open = "BEGIN; INSERT INTO activity (id, at, actor, kind, outcome, reference) \
                    VALUES ('00000000-0000-7000-8000-000000000000', 1, 'system', 'client_changed', 'success', 'AAAA-AAAA')";
        slow.run(open).await;
        let quick = write_some(&idp, 2).await;
        let first = chain::page(&idp.app, &Filter::default(), 0, 100).await.unwrap();
        assert!(first.records.iter().map(|placed| &placed.record.id).eq(&quick));
        slow.run("COMMIT").await;
        // So old an id is looked for once a day.
        chain::seal(&idp.app, From::TheBeginning, usize::MAX).await.unwrap();
        let second = chain::page(&idp.app, &Filter::default(), first.read_to, 100).await.unwrap();
        assert_eq!(second.records[0].record.reference, "AAAA-AAAA");
    }

    /// A5: read while others write, in pages of three: each record once, none twice.
    async fn whoever_reads_on_while_others_write_reads_each_record_once(engine: Engine) {
        let idp = Idp::start_live(engine, |_| {}).await;
        let other = idp.replica(|_| {}).await;
        let writers = (0..6).map(|number| {
            let idp = if number % 2 == 0 { idp.clone() } else { other.clone() };
            tokio::spawn(async move { write_some(&idp, 20).await })
        });
        let writing = tokio::spawn(join_all(writers.collect::<Vec<_>>()));
        let (mut read, mut after) = (Vec::new(), 0);
        loop {
            let over = writing.is_finished();
            let page = chain::page(&idp.app, &Filter::default(), after, 3).await.unwrap();
            after = page.read_to;
            read.extend(page.records.into_iter().map(|placed| placed.record.id));
            if over && after == page.last {
                break;
            }
        }
        let written: BTreeSet<String> = writing.await.unwrap().into_iter().flat_map(Result::unwrap).collect();
        assert_eq!(read.len(), 120);
        assert_eq!(read.into_iter().collect::<BTreeSet<_>>(), written);
        idp.assert_invariants().await;
    }

    async fn replicas_that_seal_at_once_give_each_record_one_place(engine: Engine) {
        let idp = Idp::start(engine).await;
        let other = idp.replica(|_| {}).await;
        write_some(&idp, 120).await;
        let sealing = (0..12).map(|number| {
            let app = if number % 2 == 0 { idp.app.clone() } else { other.app.clone() };
            tokio::spawn(async move { chain::seal(&app, From::LastTime, usize::MAX).await.unwrap().count })
        });
        let counts = join_all(sealing.collect::<Vec<_>>()).await.into_iter().map(Result::unwrap);
        assert_eq!(counts.sum::<i64>(), 120);
        let numbers = "SELECT COUNT(*) * 1000000 + MIN(seq) * 1000 + MAX(seq) FROM activity_seals";
        assert_eq!(idp.number(numbers).await, 120_001_120);
        let verified = idp.verified().await;
        assert!(verified.fault.is_none() && verified.records == 120 && verified.unsealed == 0);
    }

    /// Nothing is sealed in the transaction of what is recorded.
    async fn a_sign_in_waits_for_nobody_who_seals(engine: Engine) {
        let idp = Idp::start(engine).await;
        let amina = idp.user("amina").create().await;
        idp.browser().sign_in(&amina).await;
        assert_eq!(idp.number("SELECT COUNT(*) FROM activity_seals").await, 0);
        if engine == Engine::Postgres {
            let mut sealing = idp.outsider().await;
            sealing.run("BEGIN; SELECT * FROM activity_chain FOR UPDATE").await;
            idp.browser().sign_in(&amina).await;
            sealing.run("COMMIT").await;
        }
        let sealed = idp.activity().await.len();
        assert_eq!(i64::try_from(sealed).unwrap(), idp.number("SELECT COUNT(*) FROM activity_seals").await);
    }

    async fn a_page_in_order_is_filtered_and_kept_to_its_provider(engine: Engine) {
        let idp = Idp::start(engine).await;
        idp.provider("OTHER", |_| {}).await;
        let (amina, carla) = (idp.user("amina").create().await, idp.user("carla").of("OTHER").create().await);
        idp.browser().sign_in(&carla).await;
        idp.browser().log_in(&amina, "Wrong-Horse-9").await;
        idp.browser().sign_in(&amina).await;
        idp.lock(&amina).await;
        let agency = idp.client("agency", "activity.read:SUNRISE-IL").await;
        let own = "/api/v1/providers/SUNRISE-IL/activity?order=recorded";
        for (query, wanted) in [
            ("", &["sign_in refused", "sign_in success", "account_locked success"][..]),
            ("&kind=sign_in", &["sign_in refused", "sign_in success"]),
            ("&outcome=success", &["sign_in success", "account_locked success"]),
            ("&login_type=Direct+Login&outcome=refused", &["sign_in refused"]),
            (&format!("&user_id={}", carla.id), &[]),
        ] {
            let page = agency.get(&format!("{own}{query}")).await;
            let lines: Vec<_> = page.assert(200).json["items"].as_array().unwrap().iter()
                .map(|item| format!("{} {}", item["kind"].as_str().unwrap(), item["outcome"].as_str().unwrap())).collect();
            assert_eq!(lines, wanted, "{query}");
            assert!(page.json["next"].is_string(), "{query}: there is always a next");
        }
        let by = agency.get(&format!("{own}&kind=account_locked")).await;
        assert_eq!(by.json["items"][0]["actor"], "Therap", "as an agency reads it");
        for cursor in ["nonsense", "-1", "007", "1000000", "00000000-0000-7000-8000-000000000000"] {
            assert_eq!(agency.get(&format!("{own}&cursor={cursor}")).await.status, 422, "{cursor}");
        }
        assert_eq!(agency.get("/api/v1/providers/SUNRISE-IL/activity?cursor=3").await.status, 422);
        assert_eq!(agency.get("/api/v1/providers/SUNRISE-IL/activity?order=backwards").await.status, 400);
    }

    /// A3: whatever is done to the record with the database alone, the first record that is not as it was is named.
    async fn verify_names_the_first_record_that_is_not_as_it_was_written(engine: Engine) {
        let idp = Idp::start(engine).await;
        let early = {
            write_some(&idp, 2).await;
            seal(&idp).await;
            anchor(&idp.app).await.unwrap()
        };
        write_some(&idp, 6).await;
        seal(&idp).await;
        let late = anchor(&idp.app).await.unwrap();
        let ids: Vec<String> = idp.activity().await.into_iter().map(|record| record.id).collect();
        assert_eq!((early.seq, late.seq, named(&idp, &[early.clone(), late.clone()]).await), (2, 8, None));
        let mut outsider = idp.outsider().await;
        outsider.run(KEEP).await;
        let id = |number: usize| Some(ids[number - 1].clone());
        let of = |number: usize| format!("WHERE id = '{}'", ids[number - 1]);
        let insert = |id: &str| {
            format!(
                "INSERT INTO activity (id, at, actor, kind, outcome, reference, proof) \
                 SELECT '{id}', at, actor, kind, outcome, reference, proof FROM activity {}",
                of(4)
            )
        };
        let forged = "01930000-0000-7000-8000-000000000001";
        for (done, wanted) in [
            (format!("UPDATE activity SET outcome = 'refused' {}", of(4)), Some((What::Changed, id(4)))),
            (format!("UPDATE activity SET reason = '' {}", of(4)), Some((What::Changed, id(4)))),
            (format!("UPDATE activity SET at = at + 1 {}; UPDATE activity SET note = 'x' {}", of(7), of(5)),
             Some((What::Changed, id(5)))),
            (format!("UPDATE activity SET provider_code = 'X' {}", of(4)), Some((What::Moved, id(4)))),
            (format!("UPDATE activity SET proof = NULL {}", of(4)), Some((What::Changed, id(4)))),
            (format!("DELETE FROM activity {}", of(4)), Some((What::Removed, id(4)))),
            (format!("DELETE FROM activity {}; DELETE FROM activity_seals WHERE seq = 4", of(4)),
             Some((What::Missing(4, 4), id(5)))),
            (format!("DELETE FROM activity {}; DELETE FROM activity_seals WHERE seq = 1", of(1)),
             Some((What::Missing(1, 1), id(2)))),
            ("UPDATE activity_seals SET sealed_at = sealed_at + 1 WHERE seq = 3".into(), Some((What::Moved, id(3)))),
            ("UPDATE activity_seals SET hash = 'x' WHERE seq = 6".into(), Some((What::Moved, id(6)))),
            (insert(forged), Some((What::Inserted, Some(forged.to_owned())))),
            (format!("UPDATE activity_seals SET activity_id = 'x' WHERE seq = 4; \
                      UPDATE activity_seals SET activity_id = '{}' WHERE seq = 5; \
                      UPDATE activity_seals SET activity_id = '{}' WHERE seq = 4", ids[3], ids[4]),
             Some((What::Moved, id(5)))),
            (format!("DELETE FROM activity {}; DELETE FROM activity_seals WHERE seq = 8", of(8)),
             Some((What::CutOff(8), id(7)))),
        ] {
            outsider.run(&done).await;
            assert_eq!(named(&idp, &[]).await, wanted, "{done}");
            outsider.run(UNDO).await;
            assert_eq!(named(&idp, &[]).await, None);
        }
        if engine == Engine::Sqlite {
            for odd in ["at = 'yesterday'", "note = x'61'", "actor = 7"] {
                outsider.run(&format!("UPDATE activity SET {odd} {}", of(4))).await;
                assert_eq!(named(&idp, &[]).await, Some((What::Changed, id(4))), "{odd}");
                outsider.run(UNDO).await;
            }
        }
        // Without a trace in the database: only an anchor knows.
        let cut = format!(
            "DELETE FROM activity {}; DELETE FROM activity_seals WHERE seq = 8; \
             UPDATE activity_chain SET seq = 7, hash = (SELECT hash FROM activity_seals WHERE seq = 7)",
            of(8)
        );
        outsider.run(&cut).await;
        assert_eq!(named(&idp, &[]).await, None);
        assert_eq!(named(&idp, std::slice::from_ref(&early)).await, None);
        assert_eq!(named(&idp, &[early.clone(), late.clone()]).await, Some((What::CutOff(8), id(7))));
        outsider.run(UNDO).await;
        // All of it sealed again, later and with one record fewer.
        let anew = format!(
            "DELETE FROM activity {}; DELETE FROM activity_seals; UPDATE activity_chain SET seq = 0, hash = '', looked_to = ''",
            of(1)
        );
        outsider.run(&anew).await;
        // By a service that was started since: one that runs refuses.
        seal(&idp.replica(|_| {}).await).await;
        assert_eq!(named(&idp, &[]).await, None);
        assert_eq!(named(&idp, &[early]).await, Some((What::Rewritten, id(3))));
    }

    /// A3: what is inserted by hand is named although the service seals it like anything that it finds.
    async fn what_was_inserted_is_named_before_and_after_it_is_sealed(engine: Engine) {
        let idp = Idp::start(engine).await;
        write_some(&idp, 3).await;
        seal(&idp).await;
        let forged = idp.app.random.id(idp.now());
        let insert = format!(
            "INSERT INTO activity (id, at, actor, kind, outcome, reference) \
             VALUES ('{forged}', {}, 'admin paul', 'user_changed', 'success', 'AAAA-BBBB')",
            idp.now().0
        );
        idp.outsider().await.run(&insert).await;
        assert_eq!(named(&idp, &[]).await, Some((What::Inserted, Some(forged.clone()))));
        seal(&idp).await;
        let fault = idp.verified().await.fault.unwrap();
        assert_eq!((fault.what.clone(), fault.seq, fault.id.as_ref()), (What::Inserted, Some(4), Some(&forged)));
        assert!(fault.words().contains("reference number AAAA-BBBB (number 4)"), "{}", fault.words());
    }

    /// What the version before wrote is sealed as it is, and told apart.
    async fn records_of_an_older_version_are_sealed_first_and_told(engine: Engine) {
        let idp = Idp::start(engine).await;
        write_many(&idp, 700).await;
        let mut outsider = idp.outsider().await;
        outsider.run("UPDATE activity SET proof = NULL").await;
        idp.advance(Duration::from_hours(2));
        write_some(&idp, 5).await;
        let sealed = chain::seal(&idp.app, From::LastTime, 1).await.unwrap();
        assert!(!sealed.all && sealed.count == 500, "in batches");
        seal(&idp).await;
        let verified = idp.verified().await;
        assert!(verified.fault.is_none());
        assert_eq!((verified.records, verified.older, verified.unsealed), (705, 700, 0));
        outsider.run("UPDATE activity SET actor = 'nobody' WHERE id = (SELECT MIN(id) FROM activity)").await;
        assert_eq!(idp.verified().await.fault.unwrap().what, What::Changed);
    }

    /// What is dated far back is found by the looks that go further back.
    async fn what_was_slow_to_commit_is_sealed_later(engine: Engine) {
        let idp = Idp::start(engine).await;
        let born_now = || Event { id: idp.app.random.id_born(idp.now()), ..event(&idp) };
        let (very_slow, slow) = (born_now(), { idp.advance(Duration::from_hours(3)); born_now() });
        idp.advance(Duration::from_mins(30));
        write(&idp, &born_now()).await;
        seal(&idp).await;
        idp.advance(Duration::from_mins(30));
        write(&idp, &born_now()).await;
        seal(&idp).await;
        write(&idp, &slow).await;
        write(&idp, &very_slow).await;
        for (from, count) in [(From::LastTime, 0), (From::AnHourBefore, 1), (From::TheBeginning, 1)] {
            assert_eq!(chain::seal(&idp.app, from, usize::MAX).await.unwrap().count, count, "{from:?}");
        }
        idp.assert_invariants().await;
    }

    /// A3: retention removes the oldest, with a record of it, and what is left still verifies.
    async fn what_retention_leaves_still_verifies(engine: Engine) {
        let idp = Idp::start(engine).await;
        let amina = idp.user("amina").create().await;
        idp.browser().sign_in(&amina).await;
        write_many(&idp, 600).await;
        idp.advance(Duration::from_hours(24 * 400));
        idp.browser().sign_in(&amina).await;
        let early = { seal(&idp).await; anchor(&idp.app).await.unwrap() };
        assert_eq!(prune(&idp, idp.now()).await, 601);
        assert_eq!(idp.record().await, ["activity_pruned success", "sign_in success"]);
        let act = idp.activity().await.pop().unwrap();
        assert!(act.note.unwrap().starts_with("601 records before 2028-02-19T08:00:00.000Z, up to number 601 ("));
        let verified = idp.verified().await;
        assert_eq!((verified.fault.is_none(), verified.records, verified.pruned, verified.to_remove), (true, 2, 601, 0));
        assert_eq!(named(&idp, &[early]).await, None);
        assert_eq!(prune(&idp, idp.now()).await, 0);
        idp.assert_invariants().await;

        // Everything, the record of the act before included: its own is the first of what is left.
        idp.advance(Duration::from_hours(1));
        assert_eq!(prune(&idp, idp.now().after(Duration::from_hours(1))).await, 2);
        assert_eq!(idp.record().await, ["activity_pruned success"]);
        assert_eq!(idp.verified().await.last, 604);
        idp.assert_invariants().await;
        idp.browser().sign_in(&amina).await;
        idp.assert_invariants().await;
    }

    /// A3: nobody removes the beginning but the command.
    async fn a_beginning_that_retention_did_not_remove_is_named(engine: Engine) {
        let idp = Idp::start(engine).await;
        write_some(&idp, 5).await;
        seal(&idp).await;
        let mut outsider = idp.outsider().await;
        outsider.run(KEEP).await;
        let cut = "UPDATE activity_chain SET pruned_seq = 2, pruned_hash = (SELECT hash FROM activity_seals WHERE seq = 2); \
                   DELETE FROM activity WHERE id IN (SELECT activity_id FROM activity_seals WHERE seq <= 2); \
                   DELETE FROM activity_seals WHERE seq <= 2";
        let third = idp.activity().await[2].id.clone();
        outsider.run(cut).await;
        assert_eq!(named(&idp, &[]).await, Some((What::NotPruned, Some(third))));
        outsider.run(UNDO).await;
        // An act of retention is no excuse for another one.
        idp.advance(Duration::from_hours(1));
        write_some(&idp, 3).await;
        seal(&idp).await;
        assert_eq!(prune(&idp, idp.now()).await, 5);
        seal(&idp).await;
        outsider.run(&cut.replace("seq = 2", "seq = 7").replace("<= 2", "<= 7")).await;
        assert_eq!(named(&idp, &[]).await.unwrap().0, What::NotPruned);
    }

    /// What was tampered with is evidence.
    async fn retention_removes_nothing_that_is_not_as_it_was_written(engine: Engine) {
        let idp = Idp::start(engine).await;
        let ids = write_some(&idp, 5).await;
        seal(&idp).await;
        idp.outsider().await.run(&format!("UPDATE activity SET actor = 'x' WHERE id = '{}'", ids[2])).await;
        let later = idp.now().after(Duration::from_hours(1));
        let planned = prune::plan(&idp.app, later, Terms::default(), |_| {}).await.unwrap();
        let Planned::Wrong(fault) = planned else { panic!("{planned:?}") };
        assert_eq!((fault.what, fault.id), (What::Changed, Some(ids[2].clone())));
    }

    /// A command that is killed half-way leaves what the service finishes; what is begun is out of the record at once.
    async fn a_removal_that_broke_off_is_finished_by_the_service(engine: Engine) {
        let idp = Idp::start(engine).await;
        write_many(&idp, 1200).await;
        idp.advance(Duration::from_hours(1));
        seal(&idp).await;
        let planned = prune::plan(&idp.app, idp.now(), Terms::default(), |_| {}).await.unwrap();
        let Planned::Remove(plan) = planned else { panic!() };
        assert!(prune::begin(&idp.act(), &plan).await.unwrap());
        assert!(!prune::begin(&idp.act(), &plan).await.unwrap(), "not twice");
        assert_eq!(prune::remove_some(&idp.app).await.unwrap(), 500);
        let verified = idp.verified().await;
        assert_eq!((verified.fault.is_none(), verified.to_remove, verified.unsealed), (true, 700, 1));
        assert_eq!(idp.record().await, ["activity_pruned success"]);
        jobs::remove_pruned(&idp.app).await.unwrap();
        assert_eq!(idp.number("SELECT COUNT(*) FROM activity").await, 1);
        idp.assert_invariants().await;
    }

    /// Removed, sealed, written, read and verified at once: nothing is lost, nothing sealed twice, nothing named.
    async fn retention_and_sealing_at_once_leave_one_chain(engine: Engine) {
        let idp = Idp::start(engine).await;
        let other = idp.replica(|_| {}).await;
        write_many(&idp, 700).await;
        idp.advance(Duration::from_hours(1));
        let writing = [idp.clone(), other.clone()].map(|idp| tokio::spawn(async move { write_some(&idp, 60).await.len() }));
        let sealing = {
            let app = other.app.clone();
            tokio::spawn(async move {
                for _ in 0..30 {
                    chain::seal(&app, From::TheBeginning, usize::MAX).await.unwrap();
                }
            })
        };
        let verifying = {
            let app = other.app.clone();
            tokio::spawn(async move {
                for _ in 0..5 {
                    let fault = verify(&app, &Terms::default(), |_, _| {}).await.unwrap().fault;
                    assert!(fault.is_none(), "{}", fault.unwrap().words());
                }
            })
        };
        seal(&idp).await;
        assert_eq!(prune(&idp, idp.now()).await, 700);
        sealing.await.unwrap();
        verifying.await.unwrap();
        for writer in writing {
            assert_eq!(writer.await.unwrap(), 60);
        }
        seal(&idp).await;
        let verified = idp.verified().await;
        assert_eq!((verified.records, verified.pruned, verified.to_remove, verified.unsealed), (121, 700, 0, 0));
        idp.assert_invariants().await;
    }

    /// What an older version wrote beside this one passes where it is said until when, in all three: it is removed, and
    /// `doctor` lets it be. What was put in later than that does not, at the beginning either.
    async fn records_of_an_older_version_beside_this_one_pass_until_a_moment(engine: Engine) {
        let idp = Idp::start(engine).await;
        let ids = write_some(&idp, 3).await;
        let mut outsider = idp.outsider().await;
        outsider.run(&format!("UPDATE activity SET proof = NULL WHERE id = '{}'", ids[1])).await;
        seal(&idp).await;
        idp.advance(Duration::from_hours(1));
        let until = Terms { older_until: Some(idp.now()), ..Terms::default() };
        let before = Terms { older_until: Some(Timestamp(1)), ..Terms::default() };
        let found = async |terms: &Terms| {
            let whole = verify(&idp.app, terms, |_, _| {}).await.unwrap();
            let end = verify_end(&idp.app, 2, terms.clone()).await.unwrap();
            let planned = prune::plan(&idp.app, idp.now(), terms.clone(), |_| {}).await.unwrap();
            (whole.fault.is_none(), end.fault.is_none(), matches!(planned, Planned::Remove(_)))
        };
        assert_eq!(found(&until).await, (true, true, true));
        assert_eq!(found(&before).await, (false, false, false));
        // The end begins with it: nothing that is looked at came before.
        assert_eq!(found(&Terms::default()).await, (false, true, false));
    }

    /// A3: a running service that finds the chain cut off, or put back to an older one, seals nothing upon it, and does
    /// when it is whole again. What has its place can be read all the while.
    async fn nothing_is_sealed_upon_a_chain_that_was_put_back(engine: Engine) {
        let idp = Idp::start(engine).await;
        write_some(&idp, 3).await;
        seal(&idp).await;
        let mut outsider = idp.outsider().await;
        outsider.run(KEEP).await;
        write_some(&idp, 4).await;
        seal(&idp).await;
        assert_eq!(chain::seal(&idp.app, From::LastTime, 1).await.unwrap().count, 0);
        let whole = "CREATE TABLE whole_seals AS SELECT * FROM activity_seals; CREATE TABLE whole_chain AS SELECT * FROM activity_chain";
        outsider.run(whole).await;
        let back = "DELETE FROM activity_seals WHERE seq > 3; DELETE FROM activity_chain; INSERT INTO activity_chain SELECT * FROM kept_chain";
        for (what, change) in [
            ("put back", back.to_owned()),
            ("written anew", "UPDATE activity_chain SET hash = 'other'".to_owned()),
            ("as if it were pruned", "UPDATE activity_chain SET seq = 900, pruned_seq = 900, pruned_hash = hash".to_owned()),
            ("another in its midst", "UPDATE activity_chain SET seq = 8; UPDATE activity_seals SET hash = 'other' WHERE seq = 7".to_owned()),
        ] {
            outsider.run(&change).await;
            let sealed = chain::seal(&idp.app, From::LastTime, usize::MAX).await;
            assert!(matches!(sealed, Err(Error::Damaged(_))), "{what}: {sealed:?}");
            let page = chain::page(&idp.app, &Filter::default(), 0, 100).await.unwrap();
            assert!(page.records.len() >= 3 || what.contains("pruned"), "{what}");
            outsider.run("DELETE FROM activity_seals; INSERT INTO activity_seals SELECT * FROM whole_seals; \
                          DELETE FROM activity_chain; INSERT INTO activity_chain SELECT * FROM whole_chain").await;
            write_some(&idp, 1).await;
        }
        assert_eq!(chain::seal(&idp.app, From::LastTime, usize::MAX).await.unwrap().count, 4);
        // Retention is no such thing, however much it takes.
        idp.advance(Duration::from_hours(1));
        write_some(&idp, 2).await;
        let other = idp.replica(|_| {}).await;
        seal(&other).await;
        assert_eq!(prune(&other, idp.now()).await, 11);
        seal(&idp).await;
        assert!(idp.verified().await.fault.is_none());
    }

    /// In SQLite anything may stand in a column by now: such a record is named, and keeps nobody's from being sealed.
    async fn bytes_that_are_no_text_do_not_stop_the_sealing(engine: Engine) {
        if engine == Engine::Postgres {
            // There, a text is one.
            return;
        }
        let idp = Idp::start(engine).await;
        let ids = write_some(&idp, 3).await;
        let mut outsider = idp.outsider().await;
        let broken = format!("UPDATE activity SET browser = CAST(x'ff00fe' AS TEXT) WHERE id = '{}'", ids[1]);
        outsider.run(&broken).await;
        seal(&idp).await;
        assert_eq!(named(&idp, &[]).await, Some((What::Inserted, Some(ids[1].clone()))));
        outsider.run("DELETE FROM activity_seals; UPDATE activity_chain SET seq = 0, hash = '', looked_to = ''; DELETE FROM activity").await;
        let idp = idp.replica(|_| {}).await;
        write_some(&idp, 1).await;
        outsider
            .run("INSERT INTO activity (id, at, actor, kind, outcome, reference) VALUES \
                  (CAST(x'ff' AS TEXT), 1, 'x', 'client_changed', 'success', 'r'), (x'ff', 1, 'x', 'client_changed', 'success', 'r')")
            .await;
        seal(&idp).await;
        write_some(&idp, 1).await;
        seal(&idp).await;
        let verified = idp.verified().await;
        assert_eq!((verified.records, verified.fault.map(|fault| fault.what)), (2, Some(What::Inserted)));
    }

    /// The quick look at the end, for `doctor`.
    async fn the_end_of_the_chain_is_proven_without_the_rest(engine: Engine) {
        let idp = Idp::start(engine).await;
        let ids = write_some(&idp, 10).await;
        seal(&idp).await;
        let end = async || verify_end(&idp.app, 4, Terms::default()).await.unwrap();
        let mut known = anchor(&idp.app).await.unwrap();
        let newer = write_some(&idp, 6).await;
        seal(&idp).await;
        let compared = async |anchor: &Anchor| {
            let terms = Terms { anchors: vec![anchor.clone()], ..Terms::default() };
            verify_end(&idp.app, 4, terms).await.unwrap().fault.map(|fault| (fault.what, fault.id))
        };
        assert_eq!(compared(&known).await, None, "far from the end, and looked at all the same");
        known.hash = "other".into();
        assert_eq!(compared(&known).await, Some((What::Rewritten, Some(ids[9].clone()))));
        known.seq = 17;
        assert_eq!(compared(&known).await.unwrap().0, What::CutOff(17));
        assert_eq!((end().await.fault.is_none(), end().await.records), (true, 4));
        let mut outsider = idp.outsider().await;
        let ids: Vec<_> = ids.into_iter().skip(6).chain(newer).collect();
        let change = |number: usize| format!("UPDATE activity SET actor = 'x' WHERE id = '{}'", ids[number]);
        outsider.run(&change(3)).await;
        assert!(end().await.fault.is_none(), "that is what the whole walk is for");
        outsider.run(&change(8)).await;
        assert_eq!(end().await.fault.map(|fault| fault.id), Some(Some(ids[8].clone())));
    }

    /// The picture of sign-ins does not keep what was removed.
    async fn days_that_were_removed_are_counted_again(engine: Engine) {
        let idp = Idp::start(engine).await;
        let root = idp.user("root").of("THERAP").user_type(connect_idp::model::user::UserType::TherapAdmin).create().await;
        idp.browser().sign_in(&root).await;
        idp.advance(Duration::from_hours(48));
        let mut browser = idp.browser();
        browser.sign_in(&root).await;
        let counted = async |browser: &mut crate::actors::Browser| {
            let page = browser.get("/operator/activity").await;
            page.texts("#sign-ins-legend strong")[0].clone()
        };
        assert_eq!(counted(&mut browser).await, "2");
        seal(&idp).await;
        assert_eq!(prune(&idp, idp.now()).await, 1);
        assert_eq!(counted(&mut browser).await, "1");
    }
}
