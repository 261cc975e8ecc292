//! Moves every row of a SQLite database into an empty one of PostgreSQL: one transaction there, from the schema's first
//! step to the last comparison, so that a move that fails leaves nothing behind.
//!
//! Rows go as lines of PostgreSQL's COPY. A table's lines as they were read here and as the server says them afterwards
//! must be the same ones.

use std::borrow::Cow;
use std::fmt;

use anyhow::{Context as _, bail, ensure};
use futures_util::TryStreamExt as _;
use rusqlite::types::ValueRef;
use rusqlite::{Connection, Row};
use sqlx::{AssertSqlSafe, PgConnection, raw_sql};

use super::activity::proof::Written;
use super::database::{Database, Engine};
use super::migrations::{self, Schema};
use super::postgres::{is_kept_waiting, is_no_such_table};
use super::statement::can_be_stored;
use crate::crypto::secret::{Secret, Tally};
use crate::model::activity::Event;

/// Every table that is moved, after those that its rows point at.
const MOVED: &[&str] = &[
    "settings",
    "providers",
    "users",
    "external_ids",
    "user_changes",
    "provisioned_users",
    "strikes",
    "single_use",
    "issuers",
    "handoff_ties",
    "handoffs",
    "sessions",
    "pre_auths",
    "activity",
    "activity_seals",
    "activity_chain",
    "refused_handoffs",
    "signing_keys",
    "clients",
    "client_secrets",
    "consents",
    "interactions",
    "families",
    "codes",
    "access_tokens",
    "logout_notes",
    "logout_deliveries",
    "unified_login_steps",
    "password_links",
    "email_links",
    "mails",
    "idempotency_keys",
    "imports",
    "import_rows",
];

/// Where the steps of the schema are noted.
const STEPS_TABLE: &str = "_sqlx_migrations";

/// Those that are not, each with the reason.
const LEFT: &[(&str, &str)] = &[
    (STEPS_TABLE, "the steps of the schema are taken there, too"),
    ("replicas", "a sign of life of the replicas that run, each of which gives it anew"),
    ("strike_slots", "a guess in hand when the service was stopped, which lapses in seconds without a strike"),
];

/// So much goes to the server at a time.
const CHUNK: usize = 256 * 1024;
/// The number of rows between two words about how far it is.
const TELL_EVERY: u64 = 5000;

/// Hears what is done, how many rows of it, of how many.
pub type Told<'a> = dyn FnMut(&str, u64, u64) + 'a;

/// The connection broke while everything was to be kept.
#[derive(Clone, Copy, Debug)]
pub struct NobodyKnows;

impl fmt::Display for NobodyKnows {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(
            "the connection broke at the very end, and nobody knows whether all was written: see what `connect-idp doctor` says \
             of the new database; if it has no rows, move again",
        )
    }
}

/// What was moved: each table with the number of its rows.
#[derive(Clone, Debug, Default)]
pub struct Moved(pub Vec<(&'static str, u64)>);

impl Moved {
    /// All rows.
    #[must_use]
    pub fn rows(&self) -> u64 {
        self.0.iter().map(|(_, rows)| rows).sum()
    }
}

/// How PostgreSQL keeps a column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Type {
    Text,
    Integer,
    Boolean,
}

/// A table as both sides have it.
struct Table {
    name: &'static str,
    columns: Vec<(String, Type)>,
    rows: u64,
}

impl Table {
    fn list(&self) -> String {
        let names: Vec<_> = self.columns.iter().map(|(name, _)| format!("\"{name}\"")).collect();
        names.join(", ")
    }
}

/// Moves all rows, and writes there that this was done; `key` proves it. Nobody else may have the source open; nothing
/// is written to it.
///
/// # Errors
/// When the target is not an empty PostgreSQL, or something cannot be read, converted or written: then it is as it was.
pub async fn move_all(
    source: &Database,
    target: &Database,
    (event, key): (&Event, &Secret),
    told: &mut Told<'_>,
) -> anyhow::Result<Moved> {
    let Engine::Sqlite(sqlite) = &source.engine else { bail!("only a SQLite database is moved") };
    let Engine::Postgres(server) = &target.engine else { bail!("a database is moved to PostgreSQL alone") };
    refuse_another(&source.schema().await?).context("the SQLite database")?;
    let from = sqlite.reader()?;
    let rows = count(&from)?;
    let mut pooled = server.acquire_alone().await?;
    let mut to = server.begin_to_change_schema(&mut pooled).await?;
    look_at_target(&mut to).await?;
    migrations::migrator_without_indices().run(&mut *to).await.context("the schema cannot be made there")?;
    take_empty(&mut to).await?;
    for index in migrations::indices() {
        execute(&mut to, &format!("DROP INDEX IF EXISTS {}", index.name)).await?;
    }
    let (mut moved, mut done) = (Moved::default(), 0);
    let of: u64 = rows.iter().map(|(_, rows)| rows).sum();
    for (name, rows) in rows {
        let table = Table { name, columns: columns(&from, &mut to, name).await?, rows };
        let mut tell = |so_far| told(&format!("rows, {name}"), done + so_far, of);
        let sent = copy(&table, &from, &mut to, &mut tell).await.with_context(|| format!("table {name}"))?;
        told(&format!("rows, comparing {name}"), done + rows, of);
        let there = tally(&table, &mut to).await.with_context(|| format!("table {name}"))?;
        ensure!(
            sent == there && sent.count() == table.rows,
            "the table {name} does not say there what it says here: of {} rows {} arrived, and they are not all the same",
            table.rows,
            there.count()
        );
        done += rows;
        moved.0.push((name, rows));
    }
    for index in migrations::indices() {
        told(&format!("rows, the index {}", index.name), done, of);
        execute(&mut to, &index.build_at_once()).await?;
    }
    for (name, _) in &moved.0 {
        execute(&mut to, &format!("ANALYZE {name}")).await?;
    }
    record(&mut to, event, key).await.context("the record of the move")?;
    to.commit().await.context(NobodyKnows)?;
    Ok(moved)
}

/// The first record of the new database. It is of nobody and of no provider.
async fn record(to: &mut PgConnection, event: &Event, key: &Secret) -> anyhow::Result<()> {
    const SQL: &str = "INSERT INTO activity (id, at, actor, kind, note, outcome, address, browser, reference, proof) \
                       VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)";
    sqlx::query(SQL)
        .bind(&event.id)
        .bind(event.at.0)
        .bind(&event.actor)
        .bind(event.kind.as_str())
        .bind(&event.note)
        .bind(event.outcome.as_str())
        .bind(&event.visitor.address)
        .bind(&event.visitor.browser)
        .bind(&event.visitor.reference)
        .bind(Written::of(event).proof_by(key))
        .execute(to)
        .await?;
    Ok(())
}

fn refuse_another(schema: &Schema) -> anyhow::Result<()> {
    if let Some(refusal) = schema.refusal() {
        bail!("{refusal}");
    }
    if let Some(notice) = schema.notice() {
        bail!("{notice}: move it with the program that made it");
    }
    Ok(())
}

/// What is there of each table that is moved. A table that nobody thought of stops the move.
fn count(from: &Connection) -> anyhow::Result<Vec<(&'static str, u64)>> {
    const TABLES: &str =
        "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\'";
    for name in names(from, TABLES, [])? {
        let known = MOVED.contains(&name.as_str()) || LEFT.iter().any(|(left, _)| *left == name);
        ensure!(known, "the database has a table {name}, which is not of this program: remove it, or move it by hand");
    }
    let mut counted = Vec::with_capacity(MOVED.len());
    for name in MOVED {
        let rows: i64 = from.query_row(&format!("SELECT COUNT(*) FROM {name}"), [], |row| row.get(0))?;
        counted.push((*name, u64::try_from(rows)?));
    }
    Ok(counted)
}

fn names(from: &Connection, sql: &str, bound: impl rusqlite::Params) -> rusqlite::Result<Vec<String>> {
    from.prepare(sql)?.query_map(bound, |row| row.get(0))?.collect()
}

/// Whether the target is what a move may fill: without tables, or with the tables of this program's schema alone.
async fn look_at_target(to: &mut PgConnection) -> anyhow::Result<()> {
    const ENCODING: &str = "SHOW server_encoding";
    const TABLES: &str = "SELECT CAST(c.relname AS TEXT) FROM pg_class c WHERE c.relkind IN ('r', 'p') \
                          AND c.relnamespace = (SELECT oid FROM pg_namespace WHERE nspname = current_schema()) \
                          AND NOT EXISTS (SELECT 1 FROM pg_depend d WHERE d.objid = c.oid AND d.deptype = 'e')";
    const STEPS: &str = "SELECT version, checksum, success FROM _sqlx_migrations ORDER BY version";
    let (encoding,): (String,) = sqlx::query_as(ENCODING).fetch_one(&mut *to).await?;
    ensure!(encoding == "UTF8", "the new database keeps text as {encoding}: create it with ENCODING 'UTF8'");
    let tables: Vec<(String,)> = sqlx::query_as(TABLES).fetch_all(&mut *to).await?;
    let foreign = tables.iter().find(|(name,)| !is_ours(name));
    if let Some((name,)) = foreign {
        bail!("the new database has a table {name}, which is not of this program: create a database for it alone");
    }
    if tables.is_empty() {
        return Ok(());
    }
    let found: Result<Vec<(i64, Vec<u8>, bool)>, sqlx::Error> = sqlx::query_as(STEPS).fetch_all(&mut *to).await;
    let steps = match found {
        Err(error) if is_no_such_table(&error) => Vec::new(),
        found => found?,
    };
    let has_history = !steps.is_empty() || tables.iter().all(|(name,)| name == STEPS_TABLE);
    ensure!(has_history, "the new database has tables and no history of its schema: create an empty one");
    let schema = Schema::of(&steps);
    if schema.is_of_this_program() { Ok(()) } else { refuse_another(&schema).context("the new database") }
}

fn is_ours(table: &str) -> bool {
    MOVED.contains(&table) || LEFT.iter().any(|(left, _)| *left == table)
}

/// Takes every table for oneself, and what `connect-idp migrate` has written away; any other row stops the move.
async fn take_empty(to: &mut PgConnection) -> anyhow::Result<()> {
    let left = LEFT.iter().map(|(name, _)| *name).filter(|name| *name != STEPS_TABLE);
    let all: Vec<&str> = MOVED.iter().copied().chain(left).collect();
    let taken = execute(to, &format!("LOCK TABLE {} IN ACCESS EXCLUSIVE MODE", all.join(", "))).await;
    if let Err(error) = taken {
        ensure!(!is_kept_waiting(&error), "somebody is at work in the new database: stop what uses it, and move again");
        return Err(error);
    }
    for name in all {
        let made_by_migrate = match name {
            "settings" => "TRUE",
            "providers" => "kind = 'operator'",
            "activity_chain" => "seq = 0",
            _ => "FALSE",
        };
        let found = format!("SELECT CAST(1 AS BIGINT) FROM {name} WHERE NOT ({made_by_migrate}) LIMIT 1");
        let found = raw_sql(AssertSqlSafe(found)).fetch_optional(&mut *to).await?;
        ensure!(found.is_none(), "the new database is not empty, {name} has rows: create an empty one, and name that");
    }
    for name in ["settings", "providers", "activity_chain"] {
        execute(to, &format!("DELETE FROM {name}")).await?;
    }
    Ok(())
}

async fn execute(to: &mut PgConnection, sql: &str) -> anyhow::Result<()> {
    raw_sql(AssertSqlSafe(sql.to_owned())).execute(to).await?;
    Ok(())
}

/// A table's columns, as PostgreSQL keeps them; both sides must have the same.
async fn columns(from: &Connection, to: &mut PgConnection, table: &str) -> anyhow::Result<Vec<(String, Type)>> {
    const THERE: &str = "SELECT CAST(attname AS TEXT), format_type(atttypid, NULL) FROM pg_attribute \
                         WHERE attrelid = CAST(to_regclass($1) AS OID) AND attnum > 0 AND NOT attisdropped ORDER BY attnum";
    const HERE: &str = "SELECT name FROM pragma_table_info(?1)";
    let there: Vec<(String, String)> = sqlx::query_as(THERE).bind(table).fetch_all(to).await?;
    let here = names(from, HERE, [table])?;
    let mut columns = Vec::with_capacity(there.len());
    for (name, kind) in there {
        let kind = match kind.as_str() {
            "text" => Type::Text,
            "bigint" => Type::Integer,
            "boolean" => Type::Boolean,
            other => bail!("the column {table}.{name} is of a type that nothing is known of here: {other}"),
        };
        columns.push((name, kind));
    }
    let same = here.len() == columns.len() && here.iter().all(|name| columns.iter().any(|(there, _)| there == name));
    ensure!(same, "the table {table} has other columns there than here: move it with the program that made it");
    Ok(columns)
}

/// Sends a table's rows, and counts what was sent.
async fn copy(
    table: &Table,
    from: &Connection,
    to: &mut PgConnection,
    tell: &mut dyn FnMut(u64),
) -> anyhow::Result<Tally> {
    let list = table.list();
    let mut sent = Tally::default();
    let mut statement = from.prepare(&format!("SELECT {list} FROM {}", table.name))?;
    let mut rows = statement.query([])?;
    let mut sink = to.copy_in_raw(&format!("COPY {} ({list}) FROM STDIN", table.name)).await?;
    let mut lines = Vec::with_capacity(CHUNK + CHUNK / 4);
    // Broken off by an error, the connection is closed with what was half sent.
    while let Some(row) = rows.next()? {
        let begin = lines.len();
        write_line(table, row, &mut lines)?;
        sent.add(&lines[begin..]);
        if lines.len() >= CHUNK {
            sink.send(lines.as_slice()).await?;
            lines.clear();
        }
        if sent.count().is_multiple_of(TELL_EVERY) {
            tell(sent.count());
        }
    }
    sink.send(lines.as_slice()).await?;
    sink.finish().await?;
    Ok(sent)
}

/// A row as one line, without the end of the line.
fn write_line(table: &Table, row: &Row<'_>, line: &mut Vec<u8>) -> anyhow::Result<()> {
    for (index, (name, kind)) in table.columns.iter().enumerate() {
        if index > 0 {
            line.push(b'\t');
        }
        let cell = cell(row, index, *kind).with_context(|| format!("the column {name} of a row cannot be moved"))?;
        match cell {
            Some(text) => escape(&text, line),
            None => line.extend_from_slice(b"\\N"),
        }
    }
    line.push(b'\n');
    Ok(())
}

fn cell<'r>(row: &'r Row<'_>, index: usize, kind: Type) -> anyhow::Result<Option<Cow<'r, str>>> {
    let text: Cow<'_, str> = match (kind, row.get_ref(index)?) {
        (_, ValueRef::Null) => return Ok(None),
        (Type::Text, ValueRef::Text(text)) => {
            std::str::from_utf8(text).context("it holds a text that is no UTF-8")?.into()
        }
        (Type::Integer, ValueRef::Integer(number)) => number.to_string().into(),
        (Type::Boolean, ValueRef::Integer(number)) => if number == 0 { "f" } else { "t" }.into(),
        (Type::Text | Type::Integer | Type::Boolean, found) => bail!("it holds a value of type {}", found.data_type()),
    };
    ensure!(can_be_stored(&text), "it holds a NUL character, which PostgreSQL does not store");
    Ok(Some(text))
}

/// As the server itself writes a text into a line of COPY.
fn escape(text: &str, line: &mut Vec<u8>) {
    for byte in text.bytes() {
        let letter = match byte {
            b'\\' => b'\\',
            0x08 => b'b',
            0x0c => b'f',
            b'\n' => b'n',
            b'\r' => b'r',
            b'\t' => b't',
            0x0b => b'v',
            _ => {
                line.push(byte);
                continue;
            }
        };
        line.extend_from_slice(&[b'\\', letter]);
    }
}

/// What the server says that the table holds.
async fn tally(table: &Table, to: &mut PgConnection) -> anyhow::Result<Tally> {
    let mut found = Tally::default();
    let mut said = to.copy_out_raw(&format!("COPY {} ({}) TO STDOUT", table.name, table.list())).await?;
    let mut rest: Vec<u8> = Vec::new();
    while let Some(bytes) = said.try_next().await? {
        rest.extend_from_slice(&bytes);
        let whole = rest.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
        for line in rest[..whole].split_inclusive(|byte| *byte == b'\n') {
            found.add(line);
        }
        rest.drain(..whole);
    }
    ensure!(rest.is_empty(), "the server ended within a row");
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::sqlite_files::Place;

    async fn migrated(dir: &std::path::Path) -> (crate::config::Config, Database) {
        let mut config = crate::config::Config::default();
        config.database.url = Database::sqlite_url(&dir.join("connect.db"));
        let db = Database::open(&config.database, crate::time::Clock::System).await.unwrap();
        db.migrate().await.unwrap();
        (config, db)
    }

    /// A new table is moved, or left for a reason that stands above; and no row comes before one that it points at.
    #[tokio::test]
    async fn no_table_is_forgotten_and_none_comes_too_early() {
        let dir = tempfile::tempdir().unwrap();
        let (config, db) = migrated(dir.path()).await;
        db.close().await;
        drop(db);
        let db = Database::open_alone(Place::of(&config).unwrap().take().unwrap().unwrap()).unwrap();
        let Engine::Sqlite(sqlite) = &db.engine else { unreachable!() };
        let conn = sqlite.reader().unwrap();
        let found = count(&conn).unwrap();
        assert_eq!(found.len(), MOVED.len());
        assert!(LEFT.iter().all(|(name, why)| !MOVED.contains(name) && why.len() > 20));
        for (index, name) in MOVED.iter().enumerate() {
            let parents = names(&conn, "SELECT \"table\" FROM pragma_foreign_key_list(?1)", [*name]).unwrap();
            for parent in parents {
                let place = MOVED.iter().position(|other| *other == parent);
                assert!(place.is_some_and(|place| place <= index), "{name} points at {parent}, which comes after it");
            }
        }
        // Nothing is written through what has it alone.
        let written = conn.execute("DELETE FROM activity_chain", []);
        assert!(written.unwrap_err().to_string().contains("readonly"), "it can be written");
    }

    #[test]
    fn a_text_is_written_as_the_server_writes_it() {
        let mut line = Vec::new();
        escape("a\\b\tc\nd\re\u{8}f\u{b}g\u{c}h\u{1}é\\N", &mut line);
        assert_eq!(String::from_utf8(line).unwrap(), "a\\\\b\\tc\\nd\\re\\bf\\vg\\fh\u{1}é\\\\N");
    }
}
