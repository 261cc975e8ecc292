//! What shows that a record is as this program wrote it, and where (A3): a proof of its own, made when it is written, and
//! the seal of its place, made when it gets one. Both are keyed: who has the database alone can make neither.

use super::from_row;
use crate::crypto::secret::Secret;
use crate::model::event::Event;
use crate::model::session::Method;

/// What the bytes begin with, so that no proof is ever a seal, nor one of another form.
const PROOF: u8 = 1;
const SEAL: u8 = 2;

/// A record as it stands in the database, whatever it says by now. All of it may be missing.
#[derive(Clone, Debug, Default)]
pub struct Written {
    /// Its id.
    pub id: Option<String>,
    /// When (Unix ms).
    pub at: Option<i64>,
    /// The reference number.
    pub reference: Option<String>,
    /// What.
    pub kind: Option<String>,
    /// What stands beneath.
    pub note: Option<String>,
    provider_id: Option<String>,
    provider_code: Option<String>,
    user_id: Option<String>,
    login_name: Option<String>,
    name_hash: Option<String>,
    actor: Option<String>,
    login_type: Option<String>,
    outcome: Option<String>,
    reason: Option<String>,
    address: Option<String>,
    browser: Option<String>,
    session_id: Option<String>,
    handoff_id: Option<String>,
    proof: Option<String>,
}
from_row!(Written {
    id, at, reference, kind, note, provider_id, provider_code, user_id, login_name, name_hash, actor, login_type, outcome,
    reason, address, browser, session_id, handoff_id, proof,
} parsed {});

/// The columns of a [`Written`], of a table that is called `a`. In SQLite anything may stand in any column by now.
macro_rules! written {
    () => {
        "a.id, CAST(a.at AS BIGINT) AS at, CAST(a.provider_id AS TEXT) AS provider_id, \
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
pub(super) use written;

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
    pub(super) fn of(event: &Event) -> Self {
        let e = event.clone();
        Self {
            id: Some(e.id),
            at: Some(e.at.0),
            reference: Some(e.visitor.reference),
            kind: Some(e.kind.to_string()),
            note: e.note,
            provider_id: None,
            provider_code: None,
            user_id: e.user_id,
            login_name: e.login_name,
            name_hash: e.name_hash,
            actor: Some(e.actor),
            login_type: e.method.map(|method| Method::login_type(method).to_owned()),
            outcome: Some(e.outcome.to_string()),
            reason: e.reason,
            address: Some(e.visitor.address),
            browser: Some(e.visitor.browser),
            session_id: e.session_id,
            handoff_id: e.handoff_id,
            proof: None,
        }
    }

    /// The proof of this text, but for its provider, which the seal holds.
    pub(super) fn proof_by(&self, key: &Secret) -> String {
        let mut bytes = Bytes::begun(PROOF);
        self.add_to(&mut bytes);
        key.mac(&bytes.0)
    }

    /// Whether this program wrote it.
    #[must_use]
    pub fn proof(&self, key: &Secret) -> Proof {
        match &self.proof {
            None => Proof::None,
            Some(proof) if *proof == self.proof_by(key) => Proof::Good,
            Some(_) => Proof::Bad,
        }
    }

    /// The seal of this record at a place, after the seal before it.
    #[must_use]
    pub fn seal(&self, key: &Secret, before: &str, seq: i64, sealed_at: i64) -> String {
        let mut bytes = Bytes::begun(SEAL);
        bytes.text(Some(before));
        bytes.number(seq);
        bytes.number(sealed_at);
        self.add_to(&mut bytes);
        for text in [&self.provider_id, &self.provider_code, &self.proof] {
            bytes.text(text.as_deref());
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
            bytes.text(text.as_deref());
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

    fn text(&mut self, text: Option<&str>) {
        let length = text.map_or(0, |text| text.len() as u64 + 1);
        self.0.extend(length.to_be_bytes());
        self.0.extend(text.unwrap_or_default().as_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record() -> Written {
        let text = |text: &str| Some(text.to_owned());
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
        let text = || Some("x".to_owned());
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
        let proven = |record: Written| Written { proof: Some(record.proof_by(&key)), ..record };
        let written = proven(record());
        assert_eq!(written.proof(&key), Proof::Good);
        assert_eq!(written.proof(&Secret::from_bytes([8; 32])), Proof::Bad);
        assert_eq!(Written { actor: Some("x".into()), ..written.clone() }.proof(&key), Proof::Bad);
        assert_eq!(Written { proof: None, ..written.clone() }.proof(&key), Proof::None);
        let moved = Written { kind: None, login_type: written.kind.clone(), ..written.clone() };
        assert_eq!(moved.proof(&key), Proof::Bad, "a text does not slip into its neighbour's place");
    }
}
