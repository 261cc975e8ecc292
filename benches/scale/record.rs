//! How long the record takes to be sealed when the service first meets it, and to be verified.

use std::time::Instant;

use connect_idp::app::App;
use connect_idp::operations::activity::chain::{From, seal};
use connect_idp::operations::activity::verify::{Terms, verify};

/// Seals all of it, then verifies all of it.
pub async fn measure(app: &App) {
    let started = Instant::now();
    let sealed = seal(app, From::TheBeginning, usize::MAX).await.unwrap();
    print("sealed", sealed.count, started);
    let started = Instant::now();
    let verified = verify(app, &Terms::default(), |_, _| {}).await.unwrap();
    assert!(verified.fault.is_none(), "{}", verified.fault.unwrap().words());
    print("verified", verified.records, started);
}

fn print(what: &str, records: i64, started: Instant) {
    let seconds = started.elapsed().as_secs_f64();
    println!("{records} records {what} in {seconds:.1} s, {:.0} a second", records as f64 / seconds);
}
