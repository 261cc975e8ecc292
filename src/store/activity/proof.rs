//! What shows that a record is as this program wrote it, and where (A3): a proof of its own, made when it is written,
//! and the seal of its place, made when it gets one. Both are keyed: who has the database alone can make neither.

use std::borrow::Cow;

use rusqlite::types::{FromSql, FromSqlResult, ValueRef};
use sqlx::error::BoxDynError;
use sqlx::postgres::{PgTypeInfo, PgValueRef};
use sqlx::{Decode, Postgres, Type};

use crate::crypto::secret::Secret;
use crate::model::activity::Event;
use crate::model::session::Method;
use crate::store::{Column, from_row};

/// What the bytes begin with, so that no proof is ever a seal, nor one of another form.
const PROOF: u8 = 1;
const SEAL: u8 = 2;

/// A text as it stands there: in SQLite its bytes may be anything by now.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stored(Vec<u8>);

impl Stored {
    /// As people can read it.
    #[must_use]
    pub fn text(&self) -> Cow<'_, str> {
        String::from_utf8_lossy(&self.0)
    }

    /// The text, where it is one.
    #[must_use]
    pub fn as_text(&self) -> Option<&str> {
        std::str::from_utf8(&self.0).ok()
    }
}

impl From<String> for Stored {
    fn from(text: String) -> Self {
        Self(text.into_bytes())
    }
}

impl FromSql for Stored {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        value.as_bytes().map(|bytes| Self(bytes.to_vec()))
    }
}

impl Type<Postgres> for Stored {
    fn type_info() -> PgTypeInfo {
        <str as Type<Postgres>>::type_info()
    }

    fn compatible(ty: &PgTypeInfo) -> bool {
        <str as Type<Postgres>>::compatible(ty)
    }
}

impl<'r> Decode<'r, Postgres> for Stored {
    fn decode(value: PgValueRef<'r>) -> Result<Self, BoxDynError> {
        value.as_bytes().map(|bytes| Self(bytes.to_vec()))
    }
}

impl Column for Stored {}
impl Column for Option<Stored> {}

/// A record as it stands in the database, whatever it says by now. All of it may be missing.
#[derive(Clone, Debug, Default)]
pub struct Written {
    id: Option<Stored>,
    /// When (Unix ms).
    pub at: Option<i64>,
    reference: Option<Stored>,
    kind: Option<Stored>,
    note: Option<Stored>,
    provider_id: Option<Stored>,
    provider_code: Option<Stored>,
    user_id: Option<Stored>,
    login_name: Option<Stored>,
    name_hash: Option<Stored>,
    actor: Option<Stored>,
    login_type: Option<Stored>,
    outcome: Option<Stored>,
    reason: Option<Stored>,
    address: Option<Stored>,
    browser: Option<Stored>,
    session_id: Option<Stored>,
    handoff_id: Option<Stored>,
    proof: Option<Stored>,
}
from_row!(Written {
    id, at, reference, kind, note, provider_id, provider_code, user_id, login_name, name_hash, actor, login_type, outcome,
    reason, address, browser, session_id, handoff_id, proof,
} parsed {});

/// The columns of a [`Written`], of a table that is called `a`. In SQLite anything may stand in any column by now.
macro_rules! written {
    () => {
        "CAST(a.id AS TEXT) AS id, CAST(a.at AS BIGINT) AS at, CAST(a.provider_id AS TEXT) AS provider_id, \
         CAST(a.provider_code AS TEXT) AS provider_code, CAST(a.user_id AS TEXT) AS user_id, \
         CAST(a.login_name AS TEXT) AS login_name, CAST(a.name_hash AS TEXT) AS name_hash, \
         CAST(a.actor AS TEXT) AS actor, CAST(a.kind AS TEXT) AS kind, \
         CAST(a.login_type AS TEXT) AS login_type, CAST(a.note AS TEXT) AS note, \
         CAST(a.outcome AS TEXT) AS outcome, CAST(a.reason AS TEXT) AS reason, \
         CAST(a.address AS TEXT) AS address, CAST(a.browser AS TEXT) AS browser, \
         CAST(a.reference AS TEXT) AS reference, CAST(a.session_id AS TEXT) AS session_id, \
         CAST(a.handoff_id AS TEXT) AS handoff_id, CAST(a.proof AS TEXT) AS proof"
    };
}
pub(in crate::store) use written;

/// Whether a record is this program's own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Proof {
    /// This program wrote it, word for word.
    Good,
    /// It has a proof of another text, or one that nobody with the key made.
    Bad,
    /// It has none.
    None,
}

impl Written {
    /// How a new record will stand there. Its provider is found when it is written.
    pub(in crate::store) fn of(event: &Event) -> Self {
        let e = event.clone();
        Self {
            id: Some(e.id.into()),
            at: Some(e.at.0),
            reference: Some(e.visitor.reference.into()),
            kind: Some(e.kind.to_string().into()),
            note: e.note.map(Stored::from),
            provider_id: None,
            provider_code: None,
            user_id: e.user_id.map(Stored::from),
            login_name: e.login_name.map(Stored::from),
            name_hash: e.name_hash.map(Stored::from),
            actor: Some(e.actor.into()),
            login_type: e.method.map(|method| Method::login_type(method).to_owned().into()),
            outcome: Some(e.outcome.to_string().into()),
            reason: e.reason.map(Stored::from),
            address: Some(e.visitor.address.into()),
            browser: Some(e.visitor.browser.into()),
            session_id: e.session_id.map(Stored::from),
            handoff_id: e.handoff_id.map(Stored::from),
            proof: None,
        }
    }

    /// Its id; `None` where the record is gone.
    #[must_use]
    pub const fn id(&self) -> Option<&Stored> {
        self.id.as_ref()
    }

    /// The reference number, as people can read it.
    #[must_use]
    pub fn reference(&self) -> Option<String> {
        self.reference.as_ref().map(|text| text.text().into_owned())
    }

    /// What stands beneath.
    #[must_use]
    pub fn note(&self) -> Option<&str> {
        self.note.as_ref().and_then(Stored::as_text)
    }

    /// The proof of this text, but for its provider, which the seal holds.
    pub(in crate::store) fn proof_by(&self, key: &Secret) -> String {
        let mut bytes = Bytes::begun(PROOF);
        self.add_to(&mut bytes);
        key.mac(&bytes.0)
    }

    /// Whether this program wrote it.
    #[must_use]
    pub fn proof(&self, key: &Secret) -> Proof {
        match &self.proof {
            None => Proof::None,
            Some(proof) if proof.0 == self.proof_by(key).into_bytes() => Proof::Good,
            Some(_) => Proof::Bad,
        }
    }

    /// The seal of this record at a place, after the seal before it.
    #[must_use]
    pub fn seal(&self, key: &Secret, before: &str, seq: i64, sealed_at: i64) -> String {
        let mut bytes = Bytes::begun(SEAL);
        bytes.text(Some(before.as_bytes()));
        bytes.number(seq);
        bytes.number(sealed_at);
        self.add_to(&mut bytes);
        for text in [&self.provider_id, &self.provider_code, &self.proof] {
            bytes.text(text.as_ref().map(|text| text.0.as_slice()));
        }
        key.mac(&bytes.0)
    }

    fn add_to(&self, bytes: &mut Bytes) {
        bytes.number(self.at.unwrap_or_default());
        for text in [
            &self.id,
            &self.user_id,
            &self.login_name,
            &self.name_hash,
            &self.actor,
            &self.kind,
            &self.login_type,
            &self.note,
            &self.outcome,
            &self.reason,
            &self.address,
            &self.browser,
            &self.reference,
            &self.session_id,
            &self.handoff_id,
        ] {
            bytes.text(text.as_ref().map(|text| text.0.as_slice()));
        }
    }
}

/// Bytes that can be read in one way only: every text says how long it is, and nothing is not an empty text.
struct Bytes(Vec<u8>);

impl Bytes {
    fn begun(with: u8) -> Self {
        let mut bytes = Vec::with_capacity(512);
        bytes.push(with);
        Self(bytes)
    }

    fn number(&mut self, number: i64) {
        self.0.extend(number.to_be_bytes());
    }

    fn text(&mut self, text: Option<&[u8]>) {
        let length = text.map_or(0, |text| text.len() as u64 + 1);
        self.0.extend(length.to_be_bytes());
        self.0.extend(text.unwrap_or_default());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record() -> Written {
        let text = |text: &str| Some(Stored::from(text.to_owned()));
        Written {
            id: text("1"),
            at: Some(1),
            kind: text("sign_in"),
            reason: text(""),
            proof: text("p"),
            ..Written::default()
        }
    }

    #[test]
    fn every_part_of_a_record_and_of_its_place_changes_the_seal() {
        let key = Secret::from_bytes([7; 32]);
        let text = || Some(Stored::from("x".to_owned()));
        let seal = |record: &Written| record.seal(&key, "before", 1, 2);
        let mut seals = vec![
            seal(&record()),
            record().seal(&key, "other", 1, 2),
            record().seal(&key, "before", 2, 2),
            record().seal(&key, "before", 1, 3),
            record().seal(&Secret::from_bytes([8; 32]), "before", 1, 2),
        ];
        for other in [
            Written { id: text(), ..record() },
            Written { at: Some(2), ..record() },
            Written { reference: text(), ..record() },
            Written { kind: text(), ..record() },
            Written { note: text(), ..record() },
            Written { provider_id: text(), ..record() },
            Written { provider_code: text(), ..record() },
            Written { user_id: text(), ..record() },
            Written { login_name: text(), ..record() },
            Written { name_hash: text(), ..record() },
            Written { actor: text(), ..record() },
            Written { login_type: text(), ..record() },
            Written { outcome: text(), ..record() },
            Written { reason: text(), ..record() },
            Written { reason: None, ..record() },
            Written { address: text(), ..record() },
            Written { browser: text(), ..record() },
            Written { session_id: text(), ..record() },
            Written { handoff_id: text(), ..record() },
            Written { proof: text(), ..record() },
        ] {
            seals.push(seal(&other));
        }
        let count = seals.len();
        seals.sort();
        seals.dedup();
        assert_eq!(seals.len(), count);
    }

    #[test]
    fn a_proof_is_of_one_text_by_one_key_and_no_seal() {
        let key = Secret::from_bytes([7; 32]);
        let proven = |record: Written| Written { proof: Some(record.proof_by(&key).into()), ..record };
        let written = proven(record());
        assert_eq!(written.proof(&key), Proof::Good);
        assert_eq!(written.proof(&Secret::from_bytes([8; 32])), Proof::Bad);
        assert_eq!(Written { actor: Some("x".to_owned().into()), ..written.clone() }.proof(&key), Proof::Bad);
        assert_eq!(Written { proof: None, ..written.clone() }.proof(&key), Proof::None);
        let moved = Written { kind: None, login_type: written.kind.clone(), ..written.clone() };
        assert_eq!(moved.proof(&key), Proof::Bad, "a text does not slip into its neighbour's place");
    }
}
