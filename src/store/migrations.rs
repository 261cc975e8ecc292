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
];

/// Runs what is missing, under the engine's own lock where it has one.
pub(super) fn migrator(sqlite: bool) -> Migrator {
    let migration = |(version, name, sql): &(i64, &'static str, &'static str)| {
        let sql: SqlStr = (*sql).into_sql_str();
        Migration::new(*version, (*name).into(), MigrationType::Simple, sql, false)
    };
    let mut migrator = Migrator::with_migrations(HISTORY.iter().map(migration).collect());
    // SQLite has no advisory locks; who opens the file holds a file lock instead (app::open).
    migrator.set_locking(!sqlite);
    // The next version may have migrated already.
    migrator.set_ignore_missing(true);
    migrator
}

/// The version this program was made for.
pub(super) fn newest() -> i64 {
    HISTORY.iter().map(|(version, ..)| *version).max().unwrap_or(0)
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
}
