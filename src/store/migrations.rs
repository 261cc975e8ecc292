//! The schema's history, embedded: the files of `migrations/`, in order. A released one is never edited (G23).

use sqlx::migrate::{Migration, MigrationType, Migrator};
use sqlx::{SqlSafeStr as _, SqlStr};

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
];

/// Runs what is missing, and holds no lock: on SQLite who opens the file does (`app::open`), on PostgreSQL the transaction
/// that it runs in.
pub(super) fn migrator() -> Migrator {
    let migration = |(version, name, sql): &(i64, &'static str, &'static str)| {
        let sql: SqlStr = (*sql).into_sql_str();
        Migration::new(*version, (*name).into(), MigrationType::Simple, sql, false)
    };
    let mut migrator = Migrator::with_migrations(HISTORY.iter().map(migration).collect());
    migrator.set_locking(false);
    // The next version may have migrated already.
    migrator.set_ignore_missing(true);
    migrator
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
        names.sort();
        assert_eq!(
            names,
            HISTORY.iter().map(|(version, name, _)| format!("{version:04}_{name}.sql")).collect::<Vec<_>>()
        );
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
