//! `kill -9` at any point of a restore: the old installation whole, or the restored one whole; and a backup is no less
//! of one for being taken while people sign in.

use std::collections::BTreeSet;
use std::process::Stdio;
use std::time::Duration;

use crate::setup::Setup;
use crate::support::{CHEAP, Engine, PASSWORD};

/// Kills after these milliseconds; a whole restore here takes about as long as the longest.
const KILLS: u64 = 30;

on_engines! { a_restore_that_is_killed_leaves_the_old_or_the_new_whole: sqlite }
async fn a_restore_that_is_killed_leaves_the_old_or_the_new_whole(engine: Engine) {
    let setup = Setup::new(engine, 5, CHEAP, "").await;
    let file = setup.folder.path().join("backup.tar");
    let mut service = setup.serve().await;
    let visitors = service.visitors();
    let signed_in = visitors.try_log_in("user0", PASSWORD, None).await.unwrap().session().unwrap();
    setup.cli(&["backup", file.to_str().unwrap()]);
    assert_eq!(visitors.get("/", Some(&signed_in)).await.unwrap().status, 200);
    service.terminate();
    assert!(service.ended(Duration::from_mins(1)).await.success());

    let restore = ["restore", file.to_str().unwrap(), "--replace", "--yes"];
    let began = tokio::time::Instant::now();
    setup.cli(&restore);
    let whole = u64::try_from(began.elapsed().as_millis()).unwrap();
    let mut outcomes = BTreeSet::new();
    for kill in 0..KILLS {
        // An act that the backup does not know tells the old from the new.
        setup.cli(&["user", "lock", "--provider", "SUNRISE-IL", "--login-name", "user1"]);
        let mut child = setup.command(&restore).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        tokio::time::sleep(Duration::from_millis(whole * kill / KILLS)).await;
        child.kill().unwrap();
        child.wait().unwrap();
        setup.cli(&["migrate"]);
        setup.cli(&["activity", "verify"]);
        let record = setup.cli(&["activity", "export"]);
        let has = |kind: &str| record.contains(&format!("\"{kind}\""));
        assert!(has("user_created") && has("restored"), "{record}");
        let locked = has("account_locked");
        outcomes.insert(locked);
        setup.cli(&restore);
        outcomes.insert(setup.cli(&["activity", "export"]).contains("\"account_locked\""));
    }
    // The lock was there after some kills, and is not after a restore that ends.
    assert_eq!(outcomes, BTreeSet::from([false, true]));
    let service = setup.serve().await;
    assert_eq!(
        service.visitors().get("/", Some(&signed_in)).await.unwrap().status,
        303,
        "a session older than the restore"
    );
}
