//! The schema's history, embedded: the files of `migrations/`, in order. A released one is never edited (G23); how it
//! is run may change.

use std::ops::Range;

use sqlx::migrate::{Migration, MigrationType, Migrator};
use sqlx::{AssertSqlSafe, SqlSafeStr as _, SqlStr};

const HISTORY: &[(i64, &str, &str)] = &[
    (1, "foundation", include_str!("../../migrations/0001_foundation.sql")),
    (2, "openid_provider", include_str!("../../migrations/0002_openid_provider.sql")),
    (3, "admin", include_str!("../../migrations/0003_admin.sql")),
    (4, "mail", include_str!("../../migrations/0004_mail.sql")),
    (5, "scale", include_str!("../../migrations/0005_scale.sql")),
    (6, "activity_counts", include_str!("../../migrations/0006_activity_counts.sql")),
    (8, "reset_by_mail", include_str!("../../migrations/0008_reset_by_mail.sql")),
    (9, "api", include_str!("../../migrations/0009_api.sql")),
    (10, "mailed_links", include_str!("../../migrations/0010_mailed_links.sql")),
    (11, "activity_chain", include_str!("../../migrations/0011_activity_chain.sql")),
    (12, "whose_request", include_str!("../../migrations/0012_whose_request.sql")),
    (13, "imports", include_str!("../../migrations/0013_imports.sql")),
    (14, "answered_requests", include_str!("../../migrations/0014_answered_requests.sql")),
    (15, "replicas", include_str!("../../migrations/0015_replicas.sql")),
    (16, "email_proofs", include_str!("../../migrations/0016_email_proofs.sql")),
    (17, "import_slips", include_str!("../../migrations/0017_import_slips.sql")),
    (18, "lists", include_str!("../../migrations/0018_lists.sql")),
    (22, "people", include_str!("../../migrations/0022_people.sql")),
    (23, "provisioned", include_str!("../../migrations/0023_provisioned.sql")),
];

/// The number of the last step.
pub(super) fn last() -> i64 {
    HISTORY.last().map_or(0, |(version, ..)| *version)
}

/// Runs what is missing, and holds no lock: on SQLite who opens the file does (`app::open`), on PostgreSQL the
/// transaction that it runs in.
pub(super) fn migrator() -> Migrator {
    migrator_of(|migration| migration)
}

/// The same for a PostgreSQL that is in use: without the [`indices`] that are built apart from it.
pub(super) fn migrator_without_indices() -> Migrator {
    let apart = indices();
    migrator_of(|mut migration| {
        // What was released is known by the checksum of its whole text, which stays.
        if let Some(text) = without(migration.sql.as_str(), &apart) {
            migration.sql = AssertSqlSafe(text).into_sql_str();
        }
        migration
    })
}

fn migrator_of(change: impl Fn(Migration) -> Migration) -> Migrator {
    let migration = |(version, name, sql): &(i64, &'static str, &'static str)| {
        let sql: SqlStr = (*sql).into_sql_str();
        change(Migration::new(*version, (*name).into(), MigrationType::Simple, sql, false))
    };
    let mut migrator = Migrator::with_migrations(HISTORY.iter().map(migration).collect());
    migrator.set_locking(false);
    // The next version may have migrated already.
    migrator.set_ignore_missing(true);
    migrator
}

/// An index of a table that was there before it, and may be large and in use: built in a transaction, it would stop
/// every sign-in until it is done. PostgreSQL builds it beside everything else, outside of any transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Index {
    /// Its name.
    pub(super) name: &'static str,
    /// What comes after the name.
    definition: String,
}

impl Index {
    /// Builds it, unless it is there.
    pub(super) fn build(&self) -> String {
        format!("CREATE INDEX CONCURRENTLY IF NOT EXISTS {} {}", self.name, self.definition)
    }

    /// Builds it in the transaction that fills the table, which nobody else has yet.
    pub(super) fn build_at_once(&self) -> String {
        format!("CREATE INDEX {} {}", self.name, self.definition)
    }

    /// Removes what is left of a build that was broken off.
    pub(super) fn remove(&self) -> String {
        format!("DROP INDEX CONCURRENTLY IF EXISTS {}", self.name)
    }
}

/// Every [`Index`] of the history that stands at its end. One that makes rows unique is a rule, and comes with its
/// step.
pub(super) fn indices() -> Vec<Index> {
    let mut found: Vec<Index> = Vec::new();
    for (_, _, sql) in HISTORY {
        let steps = statements(sql);
        let new = |table: &str| steps.iter().any(|(_, words)| words.starts_with(&["CREATE", "TABLE", table]));
        for (_, words) in &steps {
            match words.as_slice() {
                ["CREATE", "INDEX", name, definition @ ..] if definition.get(1).is_some_and(|table| !new(table)) => {
                    found.push(Index { name, definition: definition.join(" ") });
                }
                ["DROP", "INDEX", name] => found.retain(|index| index.name != *name),
                _ => {}
            }
        }
    }
    found
}

/// A step without the statements that make these indices; `None` when it makes none of them.
fn without(sql: &str, apart: &[Index]) -> Option<String> {
    let is_apart = |words: &[&str]| match words {
        ["CREATE", "INDEX", name, definition @ ..] => {
            apart.iter().any(|index| index.name == *name && index.definition == definition.join(" "))
        }
        _ => false,
    };
    let found: Vec<_> = statements(sql).into_iter().filter(|(_, words)| is_apart(words)).collect();
    let mut text = sql.to_owned();
    for (range, _) in found.iter().rev() {
        text.replace_range(range.clone(), "");
    }
    (!found.is_empty()).then_some(text)
}

/// The statements of a file of ours, each with the place where it stands: a line that is no comment begins one, and one
/// that ends with a semicolon ends it.
fn statements(sql: &str) -> Vec<(Range<usize>, Vec<&str>)> {
    let (mut found, mut words, mut begin, mut at) = (Vec::new(), Vec::new(), 0, 0);
    for line in sql.split_inclusive('\n') {
        let end = at + line.len();
        let text = line.trim();
        if !text.starts_with("--") && !text.is_empty() {
            if words.is_empty() {
                begin = at;
            }
            words.extend(text.trim_end_matches(';').split_whitespace());
            if text.ends_with(';') {
                found.push((begin..end, std::mem::take(&mut words)));
            }
        }
        at = end;
    }
    found
}

/// How a database's schema stands to the one that this program was made for: step by step, not by the last one alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Schema {
    missing: Vec<String>,
    /// Steps that are there under a number of ours and are not ours.
    foreign: Vec<String>,
    unknown: Vec<String>,
}

impl Schema {
    /// From the steps that were taken: number, checksum, whether it was done.
    pub(super) fn of(applied: &[(i64, Vec<u8>, bool)]) -> Self {
        let migrator = migrator();
        let (mut missing, mut foreign) = (Vec::new(), Vec::new());
        for step in migrator.iter() {
            let name = || format!("{:04}_{}", step.version, step.description);
            match applied.iter().find(|(version, ..)| *version == step.version) {
                Some((_, checksum, true)) if **checksum == *step.checksum => {}
                Some((_, _, true)) => foreign.push(name()),
                Some((_, _, false)) | None => missing.push(name()),
            }
        }
        let unknown = applied.iter().map(|(version, ..)| *version).filter(|version| !migrator.version_exists(*version));
        Self { missing, foreign, unknown: unknown.map(|version| format!("{version:04}")).collect() }
    }

    /// Whether each step that was taken is one of ours, if not all were.
    pub(super) const fn is_of_this_program(&self) -> bool {
        self.foreign.is_empty() && self.unknown.is_empty()
    }

    /// Why this program cannot work on it, and what to do.
    #[must_use]
    pub fn refusal(&self) -> Option<String> {
        if !self.foreign.is_empty() {
            let steps = self.foreign.join(", ");
            Some(format!(
                "the database's schema is not of this program: its {steps} is another one. Correct database.url, or use \
                 the program that made it"
            ))
        } else if self.missing.len() == HISTORY.len() {
            Some("the database has no schema yet: run `connect-idp migrate` first".into())
        } else if !self.missing.is_empty() {
            Some(format!(
                "the database's schema is older than this program, it lacks {}: run `connect-idp migrate` first",
                self.missing.join(", ")
            ))
        } else {
            None
        }
    }

    /// What is to be known of it although this program can work on it: a newer one only has more (G23).
    #[must_use]
    pub fn notice(&self) -> Option<String> {
        let steps = self.unknown.join(", ");
        (!self.unknown.is_empty()).then(|| {
            format!(
                "the database's schema is newer than this program, which does not know its {steps}: the two go together, \
                 bring this program up to date when all is well"
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_of_the_history_is_in_it() {
        let files = std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/migrations")).unwrap();
        let mut names: Vec<_> = files.map(|file| file.unwrap().file_name().into_string().unwrap()).collect();
        names.retain(|name| name != "README.md");
        names.sort();
        assert_eq!(
            names,
            HISTORY.iter().map(|(version, name, _)| format!("{version:04}_{name}.sql")).collect::<Vec<_>>()
        );
    }

    #[test]
    fn an_index_of_a_table_that_was_there_is_built_apart_once() {
        let apart = indices();
        let names: Vec<_> = apart.iter().map(|index| index.name).collect();
        // Of a table of its own step, and one that a later step made in another form.
        assert!(names.contains(&"activity_reference") && names.contains(&"sessions_sid"));
        assert!(!names.contains(&"refused_handoffs_reference") && !names.contains(&"activity_sign_ins"));
        assert_eq!(names.iter().filter(|name| **name == "activity_strangers").count(), 1);
        let long = apart.iter().find(|index| index.name == "activity_named").unwrap();
        assert!(
            long.build()
                .starts_with("CREATE INDEX CONCURRENTLY IF NOT EXISTS activity_named ON activity (provider_id,")
        );
        assert!(long.build().contains(" WHERE "), "{}", long.build());
        let (whole, rest) = (migrator(), migrator_without_indices());
        let created = |migrator: &Migrator| {
            let texts = migrator.iter().map(|step| step.sql.as_str().matches("CREATE INDEX").count());
            texts.sum::<usize>()
        };
        assert_eq!(created(&whole), created(&rest) + apart.len());
        assert!(whole.iter().map(|step| &step.checksum).eq(rest.iter().map(|step| &step.checksum)));
    }

    #[test]
    fn each_step_of_the_schema_counts_and_not_the_last_alone() {
        let ours = || migrator().iter().map(|m| (m.version, m.checksum.to_vec(), true)).collect::<Vec<_>>();
        let refusal = |applied: &[_]| Schema::of(applied).refusal().unwrap_or_default();
        assert_eq!((refusal(&ours()), Schema::of(&ours()).notice()), (String::new(), None));
        assert!(refusal(&[]).contains("no schema yet"));

        let mut gap = ours();
        gap.remove(4);
        assert!(refusal(&gap).contains("lacks 0005_scale: run `connect-idp migrate`"), "{}", refusal(&gap));
        let mut half = ours();
        half[4].2 = false;
        assert!(refusal(&half).contains("lacks 0005_scale"));
        let mut other = ours();
        other[4].1 = vec![1];
        assert!(refusal(&other).contains("its 0005_scale is another one"), "{}", refusal(&other));

        let mut newer = ours();
        newer.push((9999, vec![1], true));
        assert_eq!(refusal(&newer), "", "a newer schema only has more");
        assert!(Schema::of(&newer).notice().unwrap().contains("does not know its 9999"));
    }
}
