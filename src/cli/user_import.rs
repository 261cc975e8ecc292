//! `user import`: many users out of a CSV file, with a report of every row.

use std::path::Path;

use anyhow::{anyhow, ensure};
use futures_util::{StreamExt as _, stream};
use zeroize::Zeroizing;

use super::console::{Output, Row};
use super::{Console, act, find_provider, read_file};
use crate::app::App;
use crate::operations::user_import::{self, Fate};
use crate::operations::users;
use crate::store;

/// As many rows are read from one file.
const MOST_ROWS: usize = 100_000;

pub(super) async fn run(
    app: &App,
    file: &Path,
    provider: &str,
    dry_run: bool,
    output: Output,
    console: &mut Console,
) -> anyhow::Result<()> {
    let text = Zeroizing::new(read_file(file)?);
    let provider = find_provider(app, provider).await?;
    let mut conn = app.db.read().await?;
    let trusted = store::issuers::list(&mut conn).await?;
    let mut rows = user_import::read(&text, &provider, &trusted, MOST_ROWS)
        .map_err(|why| anyhow!("{} is not a file of users: {why}", file.display()))?;
    user_import::compare(&mut conn, &provider, &mut rows).await?;
    drop(conn);
    let (mut report, mut refused, mut broke) = (Vec::new(), 0, None);
    // As many hashes at once as there are threads: nobody waits in the pool's queue, so nobody is turned away.
    let at_once = app.config.pool_limits().threads;
    let ready = rows.into_iter().map(|row| async move {
        let hashed = match &row.fate {
            Fate::Create(person) if !dry_run => {
                let password = person.password(app);
                let hash = users::hash(app, &password).await;
                Some(hash.map(|hash| (password, hash)))
            }
            Fate::Create(_) | Fate::Exists | Fate::Refused(_) => None,
        };
        (row, hashed)
    });
    let mut ready = std::pin::pin!(stream::iter(ready).buffered(at_once));
    while let Some((mut row, hashed)) = ready.next().await {
        let mut password = None;
        if let (Fate::Create(person), Some(hashed)) = (&row.fate, hashed) {
            let made = match hashed {
                Ok((made, hash)) => user_import::create(&act(app), &provider.id, person, hash)
                    .await
                    .map(|fate| (made, fate))
                    .map_err(Into::into),
                Err(_) => Err(anyhow!("the machine is too busy to hash passwords: import the file again")),
            };
            match made {
                Ok((made, None)) => password = Some(made),
                Ok((_, Some(fate))) => row.fate = fate,
                // What was made so far is reported all the same: its passwords are nowhere else.
                Err(error) => {
                    broke = Some(error);
                    break;
                }
            }
        }
        let (fate, why) = match &row.fate {
            Fate::Create(_) if dry_run => ("will be created", String::new()),
            Fate::Create(_) => ("created", String::new()),
            Fate::Exists => ("exists", String::new()),
            Fate::Refused(why) => ("refused", why.join(" ")),
        };
        refused += usize::from(matches!(row.fate, Fate::Refused(_)));
        report.push(
            Row::default()
                .with("line", row.line)
                .with("login_name", row.login_name)
                .with("fate", fate)
                .with("temporary_password", password.map(|password| password.to_string()))
                .with("why", Some(why).filter(|why| !why.is_empty())),
        );
        console.progress(format_args!("{} rows", report.len()));
    }
    console.progress_done();
    console.rows(output.format, &report)?;
    if let Some(error) = broke {
        return Err(error);
    }
    ensure!(refused == 0, "{refused} of {} rows were refused: mend them and import the file again", report.len());
    Ok(())
}
