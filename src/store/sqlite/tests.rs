//! What sharing a commit must not change.

use std::path::Path;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Barrier, Mutex};
use std::time::Duration;

use futures_util::FutureExt as _;
use tempfile::TempDir;

use crate::config;
use crate::store::sqlite_files::InUse;
use crate::store::{Database, Error, in_transaction, query};
use crate::time::{Clock, Deadline, Timestamp};

const NOW: Timestamp = Timestamp(1_800_000_000_000);

async fn open(dir: &Path, clock: Clock) -> Database {
    let url = Database::sqlite_url(&dir.join("t.db"));
    let settings = config::Database { url, connections: 4, ..config::Database::default() };
    Database::open(&settings, clock).await.unwrap()
}

async fn with_table() -> (TempDir, Database, Clock) {
    let dir = tempfile::tempdir().unwrap();
    let clock = Clock::fixed(NOW);
    let db = open(dir.path(), clock.clone()).await;
    db.meddle("CREATE TABLE words (word TEXT PRIMARY KEY)").await;
    (dir, db, clock)
}

async fn words(db: &Database) -> Vec<String> {
    let mut conn = db.read().await.unwrap();
    let found: Vec<(String,)> = query("SELECT word FROM words ORDER BY word").fetch_all(&mut conn).await.unwrap();
    found.into_iter().map(|(word,)| word).collect()
}

async fn write(db: &Database, word: &'static str) -> Result<(), Error> {
    in_transaction!(db, Deadline::after(Duration::from_mins(1), NOW), [], |tx| {
        query("INSERT INTO words VALUES ($1)").bind(word).execute(tx).await?;
        Ok(())
    })
}

/// Keeps the writer at work, which has begun, until the barrier opens: what is asked meanwhile waits together.
fn keep_busy(db: &Database) -> (Arc<Barrier>, tokio::task::JoinHandle<Result<(), Error>>) {
    let barrier = Arc::new(Barrier::new(2));
    let (db, held, has_waited) = (db.clone(), Arc::clone(&barrier), Arc::new(AtomicBool::new(false)));
    let busy = tokio::spawn(async move {
        in_transaction!(db, Deadline::after(Duration::from_mins(1), NOW), [held, has_waited], |_tx| {
            // It may be done once more.
            if !has_waited.swap(true, Ordering::SeqCst) {
                held.wait();
                held.wait();
            }
            Ok(())
        })
    });
    barrier.wait();
    (barrier, busy)
}

/// Work that waits for its turn by now.
fn queued<'a, T>(work: impl Future<Output = T> + Send + 'a) -> Pin<Box<dyn Future<Output = T> + Send + 'a>> {
    let mut work: Pin<Box<dyn Future<Output = T> + Send + 'a>> = Box::pin(work);
    assert!(work.as_mut().now_or_never().is_none(), "the writer is not kept busy");
    work
}

#[tokio::test(flavor = "multi_thread")]
async fn in_a_shared_commit_whatever_fails_takes_nothing_else_with_it() {
    let (_dir, db, clock) = with_table().await;
    write(&db, "taken").await.unwrap();
    let (barrier, busy) = keep_busy(&db);
    let (runs, told) = (Arc::new(AtomicU32::new(0)), Arc::new(Mutex::new(Vec::new())));
    let words_in_turn = ["first", "withdrawn", "dies", "taken", "late", "last"].map(|word| {
        let (db, clock, runs, told) = (db.clone(), clock.clone(), Arc::clone(&runs), Arc::clone(&told));
        queued(async move {
            let patience = Duration::from_secs(if word == "late" { 1 } else { 60 });
            in_transaction!(db, Deadline::after(patience, NOW), [clock, runs, told], |tx| {
                runs.fetch_add(1, Ordering::SeqCst);
                tx.after_commit(move || told.lock().unwrap().push(word));
                query("INSERT INTO words VALUES ($1)").bind(word).execute(tx).await?;
                match word {
                    "withdrawn" => Err(Error::Withdrawn),
                    "dies" => panic!("on purpose"),
                    // Its own deadline passes while others are done already.
                    "late" => {
                        clock.advance(Duration::from_secs(2));
                        Ok(())
                    }
                    _ => Ok(()),
                }
            })
        })
    });
    barrier.wait();
    busy.await.unwrap().unwrap();
    let mut said = Vec::new();
    for word in words_in_turn {
        said.push(word.await);
    }
    assert!(matches!(
        said.as_slice(),
        [Ok(()), Err(Error::Withdrawn), Err(Error::TaskDied), Err(Error::Unexpected(_)), Err(Error::Late), Ok(())]
    ));
    assert_eq!(words(&db).await, ["first", "last", "taken"]);
    assert!(runs.load(Ordering::SeqCst) > 6, "none was done once more after the late one");
    assert_eq!(*told.lock().unwrap(), ["first", "last"], "what is committed says so once, and nothing else does");
}

#[tokio::test(flavor = "multi_thread")]
async fn work_not_begun_by_its_deadline_never_is() {
    let (dir, db, _clock) = with_table().await;
    let other = rusqlite::Connection::open(dir.path().join("t.db")).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let deadline = Deadline::after(Duration::from_millis(200), NOW);
    let written = in_transaction!(db, deadline, [], |tx| {
        query("INSERT INTO words VALUES ('late')").execute(tx).await?;
        Ok(())
    });
    assert!(matches!(written, Err(Error::Late)));
    other.execute_batch("ROLLBACK").unwrap();
    write(&db, "later").await.unwrap();
    assert_eq!(words(&db).await, ["later"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_caller_that_goes_away_cancels_nothing() {
    let (_dir, db, _clock) = with_table().await;
    let (barrier, busy) = keep_busy(&db);
    drop(queued(write(&db, "left")));
    barrier.wait();
    busy.await.unwrap().unwrap();
    write(&db, "stayed").await.unwrap();
    assert_eq!(words(&db).await, ["left", "stayed"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_asked_before_the_end_is_done_and_what_comes_after_it_is_refused() {
    let (dir, db, _clock) = with_table().await;
    let (barrier, busy) = keep_busy(&db);
    let waiting = queued(write(&db, "in time"));
    let closing = queued(db.close());
    barrier.wait();
    busy.await.unwrap().unwrap();
    waiting.await.unwrap();
    closing.await;
    assert!(matches!(write(&db, "too late").await, Err(Error::Unavailable(_))));
    assert!(matches!(db.read().await, Err(Error::Unavailable(_))));
    assert!(!dir.path().join("t.db-wal").exists(), "the log is not folded into the file");
    assert_eq!(words(&open(dir.path(), Clock::fixed(NOW)).await).await, ["in time"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_the_last_to_have_it_leaves_the_file_to_others() {
    let (dir, db, _clock) = with_table().await;
    let (barrier, busy) = keep_busy(&db);
    // Nobody waits for this one.
    busy.abort();
    std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(100));
        barrier.wait();
    });
    let _ = busy.await;
    drop(db);
    assert!(InUse::alone(&dir.path().join("t.db")).unwrap().is_some(), "the file is in use");
}

/// A body may have the database as well, as those of most operations have.
#[tokio::test(flavor = "multi_thread")]
async fn who_has_an_answer_is_the_last_to_have_it() {
    for _ in 0..200 {
        let (dir, db, _clock) = with_table().await;
        let kept = db.clone();
        let done = in_transaction!(db, Deadline::after(Duration::from_mins(1), NOW), [kept], |tx| {
            query("INSERT INTO words VALUES ($1)").bind(kept.engine_name()).execute(tx).await?;
            Ok(())
        });
        done.unwrap();
        drop((db, kept));
        assert!(InUse::alone(&dir.path().join("t.db")).unwrap().is_some(), "the file is in use");
    }
}

/// A body that makes light of a statement's failure is not believed, and takes nobody with it.
#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_kept_after_a_statement_that_failed() {
    let (_dir, db, _clock) = with_table().await;
    write(&db, "taken").await.unwrap();
    let (barrier, busy) = keep_busy(&db);
    let light = queued(async {
        in_transaction!(db, Deadline::after(Duration::from_mins(1), NOW), [], |tx| {
            query("INSERT INTO words VALUES ('light')").execute(tx).await?;
            let _ = query("INSERT INTO words VALUES ('taken')").execute(tx).await;
            Ok(())
        })
    });
    let other = queued(write(&db, "other"));
    barrier.wait();
    busy.await.unwrap().unwrap();
    assert!(matches!(light.await, Err(Error::Unexpected(_))));
    other.await.unwrap();
    assert_eq!(words(&db).await, ["other", "taken"]);
}

/// SQLite takes all of a transaction back when its disk is full; who was done already is done once more.
#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_is_only_for_whom_it_is_full() {
    let (_dir, db, _clock) = with_table().await;
    db.meddle("CREATE TABLE large (bytes BLOB)").await;
    db.meddle("PRAGMA max_page_count = 60").await;
    let (barrier, busy) = keep_busy(&db);
    let small = queued(write(&db, "small"));
    let large = queued(async {
        in_transaction!(db, Deadline::after(Duration::from_mins(1), NOW), [], |tx| {
            query("INSERT INTO large VALUES (zeroblob(1000000))").execute(tx).await?;
            Ok(())
        })
    });
    let last = queued(write(&db, "last"));
    barrier.wait();
    busy.await.unwrap().unwrap();
    small.await.unwrap();
    assert!(matches!(large.await, Err(Error::Unavailable(_))));
    last.await.unwrap();
    assert_eq!(words(&db).await, ["last", "small"]);
}
