//! One statement for either engine: its text, what is bound, and the rows that come back. It is written once and
//! compiled once; on SQLite the answer is ready at once, on PostgreSQL it is awaited.

use std::borrow::Cow;
use std::cell::Cell;

use sqlx::postgres::PgRow;
use sqlx::{AssertSqlSafe, Row as _, SqlSafeStr as _, SqlStr};

use super::error::Error;

/// A statement's text, with `$1`, `$2`, … for what is bound.
#[derive(Clone, Debug)]
pub struct Sql {
    sqlite: SqlStr,
    postgres: SqlStr,
}

impl From<&'static str> for Sql {
    fn from(text: &'static str) -> Self {
        Self::each(text, text)
    }
}

impl Sql {
    /// A text for each engine, where they truly differ.
    #[must_use]
    pub const fn each(sqlite: &'static str, postgres: &'static str) -> Self {
        Self { sqlite: SqlStr::from_static(sqlite), postgres: SqlStr::from_static(postgres) }
    }

    /// Made of pieces of this program's own text: nothing of it may come from anywhere else.
    #[must_use]
    pub fn composed(text: String) -> Self {
        let text = AssertSqlSafe(text).into_sql_str();
        Self { sqlite: text.clone(), postgres: text }
    }

    pub(super) fn for_sqlite(&self) -> &str {
        self.sqlite.as_str()
    }

    pub(super) const fn for_postgres(&self) -> &SqlStr {
        &self.postgres
    }
}

/// A statement with a row lock, which PostgreSQL needs and SQLite's one writer does not.
macro_rules! locking {
    (($($sql:tt)+), $lock:literal) => {
        $crate::store::Sql::each($($sql)+, concat!($($sql)+, " ", $lock))
    };
    ($sql:literal, $lock:literal) => {
        $crate::store::locking!(($sql), $lock)
    };
}
pub(crate) use locking;

/// What is bound. PostgreSQL wants to know the type of a NULL, too.
#[derive(Clone, Debug)]
pub enum Value<'q> {
    /// TEXT.
    Text(Option<Cow<'q, str>>),
    /// BIGINT.
    Integer(Option<i64>),
    /// BOOLEAN.
    Boolean(Option<bool>),
}

macro_rules! values {
    ($($type:ty, $from:ident => $value:expr;)*) => {
        $(impl<'q> From<$type> for Value<'q> {
            fn from($from: $type) -> Self {
                $value
            }
        })*
    };
}
values! {
    &'q str, text => Self::Text(Some(Cow::Borrowed(text)));
    &'q String, text => Self::Text(Some(Cow::Borrowed(text)));
    String, text => Self::Text(Some(Cow::Owned(text)));
    Option<&'q str>, text => Self::Text(text.map(Cow::Borrowed));
    Option<&'q String>, text => Self::Text(text.map(|text| Cow::Borrowed(text.as_str())));
    &'q Option<String>, text => Self::Text(text.as_deref().map(Cow::Borrowed));
    Option<String>, text => Self::Text(text.map(Cow::Owned));
    i64, number => Self::Integer(Some(number));
    Option<i64>, number => Self::Integer(number);
    bool, is => Self::Boolean(Some(is));
    Option<bool>, is => Self::Boolean(is);
}

impl rusqlite::ToSql for Value<'_> {
    fn to_sql(&self) -> rusqlite::Result<rusqlite::types::ToSqlOutput<'_>> {
        match self {
            Self::Text(Some(text)) => Ok(text.as_ref().into()),
            Self::Text(None) => rusqlite::types::Null.to_sql(),
            Self::Integer(number) => number.to_sql(),
            Self::Boolean(is) => is.to_sql(),
        }
    }
}

/// What a column may be read as.
pub trait Column:
    rusqlite::types::FromSql + for<'r> sqlx::Decode<'r, sqlx::Postgres> + sqlx::Type<sqlx::Postgres>
{
}
impl Column for String {}
impl Column for Option<String> {}
impl Column for i64 {}
impl Column for Option<i64> {}
impl Column for bool {}
impl Column for Option<bool> {}
impl Column for Vec<u8> {}

/// A row of either engine.
#[derive(Debug)]
pub enum Row<'r> {
    /// SQLite's, and the place after the column that was read last: columns are mostly read in their order.
    Sqlite(&'r rusqlite::Row<'r>, Cell<usize>),
    /// PostgreSQL's.
    Postgres(&'r PgRow),
}

impl Row<'_> {
    /// The column of this name.
    ///
    /// # Errors
    /// When there is none, or it holds something else.
    pub fn get<T: Column>(&self, name: &str) -> Result<T, Error> {
        match self {
            Self::Sqlite(row, next) => {
                let statement: &rusqlite::Statement<'_> = row.as_ref();
                let count = statement.column_count();
                let place = (0..count)
                    .map(|step| (next.get() + step) % count)
                    .find(|place| statement.column_name(*place).is_ok_and(|found| found == name))
                    .ok_or_else(|| Error::Unexpected(format!("there is no column {name}")))?;
                next.set(place + 1);
                Ok(row.get(place)?)
            }
            Self::Postgres(row) => Ok(row.try_get(name)?),
        }
    }

    /// The column at this place, from 0.
    ///
    /// # Errors
    /// When there is none, or it holds something else.
    pub fn at<T: Column>(&self, place: usize) -> Result<T, Error> {
        match self {
            Self::Sqlite(row, _) => Ok(row.get(place)?),
            Self::Postgres(row) => Ok(row.try_get(place)?),
        }
    }
}

/// What is read off a row.
pub trait FromRow: Sized {
    /// Reads it.
    ///
    /// # Errors
    /// When a column is missing, or holds something else.
    fn from_row(row: &Row<'_>) -> Result<Self, Error>;
}

macro_rules! tuples {
    ($(($($type:ident $place:literal),*))*) => {
        $(impl<$($type: Column),*> FromRow for ($($type,)*) {
            fn from_row(row: &Row<'_>) -> Result<Self, Error> {
                Ok(($(row.at::<$type>($place)?,)*))
            }
        })*
    };
}
tuples! {
    (A 0)
    (A 0, B 1)
    (A 0, B 1, C 2)
    (A 0, B 1, C 2, D 3)
    (A 0, B 1, C 2, D 3, E 4)
}

/// Lets a row become a struct by column names: columns after `parsed` are words that parse, fields after `within` are
/// rows of their own, out of the same columns.
macro_rules! from_row {
    ($type:ty { $($field:ident),* $(,)? } parsed { $($parsed:ident),* $(,)? }) => {
        $crate::store::from_row!($type { $($field),* } parsed { $($parsed),* } within {});
    };
    ($type:ty { $($field:ident),* $(,)? } parsed { $($parsed:ident),* } within { $($within:ident),* }) => {
        impl $crate::store::FromRow for $type {
            fn from_row(row: &$crate::store::Row<'_>) -> Result<Self, $crate::store::Error> {
                Ok(Self {
                    $($field: row.get(stringify!($field))?,)*
                    $($parsed: $crate::store::parsed(&row.get::<String>(stringify!($parsed))?)?,)*
                    $($within: $crate::store::FromRow::from_row(row)?,)*
                })
            }
        }
    };
}
pub(crate) use from_row;

/// The value of a word.
pub(super) fn parsed<T: std::str::FromStr<Err = String>>(word: &str) -> Result<T, Error> {
    word.parse().map_err(Error::Damaged)
}

/// Whether PostgreSQL takes a text at all. What cannot be stored is not there, on either engine.
pub(super) fn can_be_stored(text: &str) -> bool {
    !text.contains('\0')
}
