//! Proves that the record is as it was written (A3): walks the chain from its beginning, or from where records were
//! removed by retention, and names the first record that was changed, removed, inserted or moved.

use serde::{Deserialize, Serialize};

use crate::app::App;
use crate::crypto::secret::Secret;
use crate::operations::activity::chain::born;
use crate::operations::activity::chain_ends::was_pruned_by_us;
use crate::store::Error;
use crate::store::activity::chain::{self, Chain, Link};
use crate::store::activity::proof::Proof;
use crate::time::Timestamp;

/// How far the chain went at one time, kept where who can change the database cannot change it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Anchor {
    /// The last place.
    pub seq: i64,
    /// Its seal.
    pub hash: String,
    /// When this was written (RFC 3339).
    pub time: String,
}

/// What is wrong with the record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum What {
    /// The record says something else than what was sealed.
    Changed,
    /// It is this program's, word for word, but not what was sealed at this place.
    Moved,
    /// The record is gone, and its seal is left.
    Removed,
    /// The records from one place to another are gone, with their seals.
    Missing(i64, i64),
    /// This program did not write it.
    Inserted,
    /// The chain ends before it did once.
    CutOff(i64),
    /// The chain is another than it was when an anchor was exported.
    Rewritten,
    /// Records were removed, and not by the retention of this program.
    NotPruned,
}

/// The first thing that is wrong, and which record it is about.
#[derive(Clone, Debug)]
pub struct Fault {
    /// What.
    pub what: What,
    /// Its place, if it has one.
    pub seq: Option<i64>,
    /// The record's id, where it is known.
    pub id: Option<String>,
    /// When it was.
    pub at: Option<Timestamp>,
    /// Its reference number.
    pub reference: Option<String>,
}

impl What {
    /// One word for programs.
    #[must_use]
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Changed => "changed",
            Self::Moved => "moved",
            Self::Removed => "removed",
            Self::Missing(..) => "missing",
            Self::Inserted => "inserted",
            Self::CutOff(_) => "cut_off",
            Self::Rewritten => "rewritten",
            Self::NotPruned => "not_pruned",
        }
    }
}

impl Fault {
    /// What is wrong, as the end of a sentence.
    #[must_use]
    pub fn words(&self) -> String {
        let record = self.record();
        match self.what {
            What::Changed => format!("{record} was changed after it was sealed"),
            What::Moved => format!(
                "{record} does not stand where it was sealed: it was moved, or its provider or its seal was changed"
            ),
            What::Removed => format!("{record} was removed"),
            What::Missing(first, last) => {
                format!("the records of number {first} to {last} were removed with their seals, just before {record}")
            }
            What::Inserted => format!(
                "{record} was not written by this program: it was inserted or changed by hand, or an older version of the \
                 program ran beside this one (--older-version-until says until when)"
            ),
            What::CutOff(last) => {
                format!(
                    "the end was cut off: there were records up to number {last}, and {record} is the last one left"
                )
            }
            What::Rewritten => {
                format!("{record} is not the one that was sealed there once: the chain was written anew")
            }
            What::NotPruned => {
                format!("what came before {record} was removed, and not by the retention of this program")
            }
        }
    }

    fn record(&self) -> String {
        let Some(id) = &self.id else { return "no record".to_owned() };
        let time = self.at.map_or_else(|| "an unknown time".to_owned(), Timestamp::rfc3339);
        let reference = self.reference.as_deref().map_or_else(String::new, |text| format!(", reference number {text}"));
        let place = self.seq.map_or_else(|| "not sealed yet".to_owned(), |seq| format!("number {seq}"));
        format!("record {id} of {time}{reference} ({place})")
    }
}

/// What a walk found.
#[derive(Clone, Debug, Default)]
pub struct Verified {
    /// The number of records that are as they were written.
    pub records: i64,
    /// The last place that was looked at.
    pub last: i64,
    /// The last place that was removed by retention.
    pub pruned: i64,
    /// The number of those that have yet to go.
    pub to_remove: i64,
    /// The number of records that have no proof of their own: the version before wrote them.
    pub older: i64,
    /// The number of records that have no place yet.
    pub unsealed: i64,
    /// The number of anchors that could not be compared, because what they name was removed by retention.
    pub anchors_passed: usize,
    /// The first thing that is wrong.
    pub fault: Option<Fault>,
}

/// What is compared besides, and what is let pass.
#[derive(Clone, Debug, Default)]
pub struct Terms {
    /// What was exported before.
    pub anchors: Vec<Anchor>,
    /// Up to this moment an older version may have written records, beside this one too. Where it is not said, it may
    /// have until this one wrote its first.
    pub older_until: Option<Timestamp>,
}

impl Terms {
    /// Whether a record without a proof may be an older version's: when it was sealed or, if it is not yet, now; and
    /// whether a record with a proof came before it.
    fn may_be_older(&self, at: Timestamp, proven: bool) -> bool {
        self.older_until.map_or(!proven, |until| at < until)
    }
}

/// Walks the whole chain; `told` hears how far it has come, and how far it has to go.
pub async fn verify(app: &App, terms: &Terms, mut told: impl FnMut(i64, i64)) -> Result<Verified, Error> {
    loop {
        let chain = chain::chain(&mut app.db.read_much().await?).await?;
        let verified = walk(app, &chain, terms, &mut told).await?;
        // Records were removed by retention while we walked: what we saw was between two states.
        let now = chain::chain(&mut app.db.read_much().await?).await?;
        if verified.fault.is_none() || now.pruned_seq == chain.pruned_seq {
            return Ok(verified);
        }
    }
}

async fn walk(app: &App, chain: &Chain, terms: &Terms, told: &mut impl FnMut(i64, i64)) -> Result<Verified, Error> {
    let mut walk = Walk::begun(app, chain, terms.clone());
    let mut verified = Verified { pruned: chain.pruned_seq, ..Verified::default() };
    verified.to_remove = chain::count_to_remove(&mut app.db.read_much().await?, chain.pruned_seq).await?;
    let passed = |anchor: &&Anchor| anchor.seq < chain.pruned_seq;
    verified.anchors_passed = terms.anchors.iter().filter(passed).count();
    let mut fault = None;
    while fault.is_none() {
        let links = chain::links(&mut app.db.read_much().await?, walk.seq).await?;
        if links.is_empty() {
            fault = walk.ended(chain);
            break;
        }
        fault = links.into_iter().find_map(|link| walk.step(link));
        told(walk.seq - chain.pruned_seq, chain.seq - chain.pruned_seq);
    }
    if fault.is_none() {
        (verified.unsealed, fault) = walk.unsealed(app).await?;
    }
    if fault.is_none() {
        fault = walk.pruned(app, chain).await?;
    }
    (verified.records, verified.last, verified.older) = (walk.seq - chain.pruned_seq, walk.seq, walk.older);
    verified.fault = fault;
    Ok(verified)
}

/// Where a walk has come to.
pub(in crate::operations) struct Walk {
    key: Secret,
    /// The place of the last seal that was right.
    pub(in crate::operations) seq: i64,
    /// That seal.
    pub(in crate::operations) hash: String,
    head: (i64, String),
    last: Option<Link>,
    terms: Terms,
    /// A record with a proof came by: all that come after it have one, too.
    proven: bool,
    older: i64,
}

impl Walk {
    /// Begins after what was removed by retention.
    pub(in crate::operations) fn begun(app: &App, chain: &Chain, terms: Terms) -> Self {
        Self {
            key: app.record_key.clone(),
            seq: chain.pruned_seq,
            hash: chain.pruned_hash.clone(),
            head: (chain.seq, chain.hash.clone()),
            last: None,
            terms,
            proven: false,
            older: 0,
        }
    }

    /// Whether the next seal is right, with the record that stands there.
    pub(in crate::operations) fn step(&mut self, link: Link) -> Option<Fault> {
        let key = &self.key;
        let sealed = || link.written.seal(key, &self.hash, link.seq, link.sealed_at) == link.hash;
        let what = if link.seq != self.seq + 1 {
            Some(What::Missing(self.seq + 1, link.seq - 1))
        } else if link.written.id().is_none() {
            Some(What::Removed)
        } else {
            match (sealed(), link.written.proof(key)) {
                (true, Proof::Good) => {
                    self.proven = true;
                    None
                }
                (true, Proof::None) if self.terms.may_be_older(Timestamp(link.sealed_at), self.proven) => {
                    self.older += 1;
                    None
                }
                (true, Proof::Bad | Proof::None) => Some(What::Inserted),
                (false, Proof::Good) => Some(What::Moved),
                (false, Proof::Bad | Proof::None) => Some(What::Changed),
            }
        };
        let known = self.terms.anchors.iter().map(|anchor| (anchor.seq, &anchor.hash));
        let other = |(seq, hash): (i64, &String)| seq == link.seq && *hash != link.hash;
        let what = what.or_else(|| known.chain([(self.head.0, &self.head.1)]).any(other).then_some(What::Rewritten));
        if what.is_none() {
            (self.seq, self.hash) = (link.seq, link.hash.clone());
        }
        let fault = what.map(|what| fault(what, &link));
        self.last = Some(link);
        fault
    }

    /// Whether this is an end that the chain may have.
    fn ended(&self, chain: &Chain) -> Option<Fault> {
        let furthest = self.terms.anchors.iter().map(|anchor| anchor.seq).chain([chain.seq]).max()?;
        (self.seq < furthest).then(|| match &self.last {
            Some(last) => fault(What::CutOff(furthest), last),
            None => Fault { what: What::CutOff(furthest), seq: Some(self.seq), id: None, at: None, reference: None },
        })
    }

    /// Whether what is missing at the beginning was removed by retention.
    pub(in crate::operations) async fn pruned(&self, app: &App, chain: &Chain) -> Result<Option<Fault>, Error> {
        if chain.pruned_seq == 0 {
            return Ok(None);
        }
        let ours = was_pruned_by_us(app, chain).await?;
        let here = |anchor: &&Anchor| anchor.seq == chain.pruned_seq && anchor.hash != chain.pruned_hash;
        let rewritten = self.terms.anchors.iter().any(|anchor| here(&anchor));
        let first = chain::links(&mut app.db.read_much().await?, chain.pruned_seq).await?;
        let fault = |what| match first.first() {
            Some(link) => fault(what, link),
            None => Fault { what, seq: Some(chain.pruned_seq), id: None, at: None, reference: None },
        };
        Ok(if !ours {
            Some(fault(What::NotPruned))
        } else if rewritten {
            Some(fault(What::Rewritten))
        } else {
            None
        })
    }

    /// How many records have no place yet, and the first of them that this program did not write.
    async fn unsealed(&self, app: &App) -> Result<(i64, Option<Fault>), Error> {
        let (mut after, mut count) = (String::new(), 0);
        loop {
            let mut conn = app.db.read_much().await?;
            let window = chain::look(&mut conn, &after).await?;
            let mut found = Vec::new();
            if window.unsealed {
                found = chain::unsealed(&mut conn, &after).await?;
            }
            drop(conn);
            for record in &found {
                count += 1;
                let good = match record.proof(&self.key) {
                    Proof::Good => true,
                    Proof::Bad => false,
                    Proof::None => self.terms.may_be_older(app.clock.now(), self.proven),
                };
                if !good {
                    let (id, reference) = (record.id().map(|id| id.text().into_owned()), record.reference());
                    let at = record.at.map(Timestamp);
                    return Ok((count, Some(Fault { what: What::Inserted, seq: None, id, at, reference })));
                }
            }
            let full = i64::try_from(found.len()).is_ok_and(|found| found == chain::BATCH);
            let last = found.pop().and_then(|record| Some(record.id()?.as_text()?.to_owned())).filter(|_| full);
            match last.or(window.end) {
                Some(next) => after = next,
                None => return Ok((count, None)),
            }
        }
    }
}

/// What is wrong at a seal, with what is known of its record.
fn fault(what: What, link: &Link) -> Fault {
    let written = &link.written;
    Fault {
        what,
        seq: Some(link.seq),
        id: Some(link.activity_id.clone()),
        at: written.at.map(Timestamp).or_else(|| born(&link.activity_id)),
        reference: written.reference(),
    }
}

/// How far the chain goes now, to be kept elsewhere.
pub async fn anchor(app: &App) -> Result<Anchor, Error> {
    let chain = chain::chain(&mut app.db.read_much().await?).await?;
    Ok(Anchor { seq: chain.seq, hash: chain.hash, time: app.clock.now().rfc3339() })
}

/// The end of the chain alone, a given number of its seals, and where an anchor names one: quick, however long the
/// record is.
pub async fn verify_end(app: &App, seals: i64, terms: Terms) -> Result<Verified, Error> {
    let mut conn = app.db.read_much().await?;
    let mut chain = chain::chain(&mut conn).await?;
    for anchor in terms.anchors.iter().filter(|anchor| (chain.pruned_seq + 1..=chain.seq).contains(&anchor.seq)) {
        if chain::hash_at(&mut conn, anchor.seq).await?.as_ref() != Some(&anchor.hash) {
            let there = chain::links(&mut conn, anchor.seq - 1).await?;
            let fault = match there.first() {
                Some(link) => fault(What::Rewritten, link),
                None => Fault { what: What::CutOff(anchor.seq), seq: None, id: None, at: None, reference: None },
            };
            return Ok(Verified { fault: Some(fault), ..Verified::default() });
        }
    }
    let from = chain.seq - seals;
    if from > chain.pruned_seq {
        let Some(hash) = chain::hash_at(&mut conn, from).await? else {
            let what = What::Missing(from, from);
            let fault = Fault { what, seq: Some(from), id: None, at: None, reference: None };
            return Ok(Verified { fault: Some(fault), ..Verified::default() });
        };
        (chain.pruned_seq, chain.pruned_hash) = (from, hash);
    }
    let mut walk = Walk::begun(app, &chain, terms);
    let mut fault = None;
    while fault.is_none() {
        let links = chain::links(&mut conn, walk.seq).await?;
        if links.is_empty() {
            fault = walk.ended(&chain);
            break;
        }
        fault = links.into_iter().find_map(|link| walk.step(link));
    }
    Ok(Verified {
        records: walk.seq - chain.pruned_seq,
        last: walk.seq,
        older: walk.older,
        fault,
        ..Verified::default()
    })
}
