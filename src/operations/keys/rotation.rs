//! How our signing keys come and go (G20): made on first need, announced ahead of their use, taken back when they are
//! stolen. Each action is one transaction that holds the algorithm's rows, with one record; of many at once one acts.

use std::sync::Arc;
use std::time::Duration;

use crate::app::App;
use crate::cache::signing_keys::Snapshot;
use crate::crypto::jws::Algorithm;
use crate::crypto::seal;
use crate::crypto::signing::generate;
use crate::model::activity::{Event, Kind, Outcome, Visitor};
use crate::model::signing_key::{State, states, successor_due};
use crate::operations::admin_context::{AdminContext, Version, in_act};
use crate::operations::keys::known::{LONGEST_LIFE, purpose, read_again};
use crate::store::keys::{self, StoredKey};
use crate::store::{Conn, Error, Tx, activity, in_transaction};
use crate::time::Timestamp;

/// What signs at once signs from so long ago: on a replica whose clock is behind, too.
const CLOCKS: Duration = Duration::from_secs(5);
/// A private half is kept this long after it signed last.
const KEEP_SPENT: Duration = Duration::from_hours(1);
/// As many keys of one algorithm are published at most: readers bound what they read (G22).
const MOST_PUBLISHED: usize = 16;

/// When a new key is to sign.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    /// Once whoever keeps our JWK Set has seen it.
    Announced,
    /// Now: whoever keeps our JWK Set has to fetch it again.
    AtOnce,
}

/// The result of a rotation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Rotated {
    /// This key takes over then.
    Done {
        /// The new key.
        kid: String,
        /// When it signs.
        signs_from: Timestamp,
    },
    /// A key is announced already, or somebody else rotated at this moment; nothing was done.
    Already {
        /// That key.
        kid: String,
        /// When it signs.
        signs_from: Timestamp,
    },
    /// Too many keys still verify: no more are published.
    TooMany,
}

/// The result of taking a key back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Retired {
    /// It is worth nothing any more.
    Done {
        /// The key that takes its place, where it had one.
        successor: Option<String>,
    },
    /// It was worth nothing already.
    Already,
    /// The keys changed since it was confirmed; nothing was done.
    Stale,
    /// There is no such key.
    NotFound,
}

/// The version of an algorithm's keys, for who is asked to confirm an act: each key that comes and each step in the life of
/// one makes another.
pub fn version<'a>(keys: impl Iterator<Item = (&'a StoredKey, State)>) -> Version {
    keys.fold(Version { revision: 0, epoch: 0 }, |version, (key, state)| Version {
        revision: version.revision.max(key.generation),
        epoch: version.epoch
            + match state {
                State::Announced => 0,
                State::Signing => 1,
                State::Verifying => 2,
                State::Retired => 3,
            },
    })
}

/// The keys of one algorithm, oldest first, held by a transaction.
struct Held {
    keys: Vec<StoredKey>,
    states: Vec<State>,
}

impl Held {
    async fn of(tx: &mut Tx, alg: &str, now: Timestamp) -> Result<Self, Error> {
        Ok(Self::new(keys::lock_for_update(tx, alg).await?, now))
    }

    fn new(keys: Vec<StoredKey>, now: Timestamp) -> Self {
        let states = states(&keys.iter().map(StoredKey::dates).collect::<Vec<_>>(), now);
        Self { keys, states }
    }

    fn newest(&self) -> Option<(&StoredKey, State)> {
        self.keys.last().zip(self.states.last().copied())
    }

    fn announced(&self) -> Option<&StoredKey> {
        self.newest().filter(|(_, state)| *state == State::Announced).map(|(key, _)| key)
    }

    fn signing(&self) -> Option<&StoredKey> {
        self.keys.iter().zip(&self.states).find(|(_, state)| **state == State::Signing).map(|(key, _)| key)
    }

    fn of_kid(&self, kid: &str) -> Option<(&StoredKey, State)> {
        self.keys.iter().zip(self.states.iter().copied()).find(|(key, _)| key.kid == kid)
    }

    fn is_stale(&self, act: &AdminContext) -> bool {
        act.is_stale(version(self.keys.iter().zip(self.states.iter().copied())))
    }

    fn published(&self) -> usize {
        self.states.iter().filter(|state| state.is_published()).count()
    }

    /// Whether a successor of the newest key is to be announced.
    fn is_due(&self, app: &App, now: Timestamp) -> bool {
        let settings = &app.config.keys;
        let due = |key: &StoredKey| successor_due(&key.dates(), settings.lasts(), settings.announce()) <= now;
        self.newest().is_some_and(|(key, state)| state != State::Announced && due(key))
    }

    /// Adds a key after these; `false` when another came first.
    async fn add(&self, tx: &mut Tx, new: &mut StoredKey, signs_from: Timestamp) -> Result<bool, Error> {
        new.generation = self.keys.last().map_or(0, |last| last.generation) + 1;
        new.signs_from = signs_from.0;
        keys::insert(tx, new).await
    }

    /// Lets the key that signs go on verifying what it signed until its successor took over.
    async fn demote(&self, tx: &mut Tx, signs_from: Timestamp) -> Result<(), Error> {
        match self.signing() {
            Some(key) => keys::verify_until(tx, &key.kid, signs_from.after(LONGEST_LIFE)).await,
            None => Ok(()),
        }
    }
}

/// Makes an algorithm's first key, unless there is one, and says which keys there are. It signs at once: nobody keeps a
/// set without it.
pub async fn make_first(app: &App, alg: Algorithm, now: Timestamp) -> Result<Arc<Snapshot>, Error> {
    let _one = app.signing_keys.making().lock().await;
    // Somebody may have made it while we waited.
    let known = read_again(app, now).await?;
    if known.signing(alg, now).is_some() {
        return Ok(known);
    }
    let new = make(app, alg, now).await?;
    let kid = new.kid.clone();
    let made = in_transaction!(app.db, app.patient_deadline(), [new], |tx| {
        let held = Held::of(tx, &new.alg, now).await?;
        let mut new = new;
        Ok(held.signing().is_none() && held.add(tx, &mut new, now.before(CLOCKS)).await?)
    })?;
    if made {
        tracing::info!(key.kid = %kid, "the first {} key was made", alg.name());
    }
    read_again(app, now).await
}

/// Gives an algorithm a new key. One that is announced already is waited for, or signs at once.
pub async fn rotate(act: &AdminContext, alg: Algorithm, when: When) -> Result<Rotated, Error> {
    let now = act.now;
    make_first(&act.app, alg, now).await?;
    let rows = keys::list(&mut act.app.db.read().await?).await?;
    let newest = rows.iter().filter(|row| row.alg == alg.name()).map(|row| row.generation).max();
    let new = make(&act.app, alg, now).await?;
    let rotated = in_act!(act, [new], |tx| {
        let held = Held::of(tx, &new.alg, now).await?;
        rotate_held(tx, &act, &held, new, when, newest).await
    })?;
    read_again(&act.app, now).await?;
    Ok(rotated)
}

async fn rotate_held(
    tx: &mut Tx,
    act: &AdminContext,
    held: &Held,
    mut new: StoredKey,
    when: When,
    newest: Option<i64>,
) -> Result<Rotated, Error> {
    let now = act.now;
    let already = |key: &StoredKey| Rotated::Already { kid: key.kid.clone(), signs_from: Timestamp(key.signs_from) };
    let at_once = now.before(CLOCKS);
    if let Some(last) = held.keys.last().filter(|_| held.is_stale(act)) {
        return Ok(already(last));
    }
    let (key, signs_from) = match (held.announced(), when) {
        (Some(announced), When::Announced) => return Ok(already(announced)),
        (Some(announced), When::AtOnce) => {
            keys::sign_from(tx, &announced.kid, at_once).await?;
            (announced, at_once)
        }
        (None, _) => {
            let signs_from = match when {
                When::Announced => now.after(act.app.config.keys.announce()),
                When::AtOnce => at_once,
            };
            let last = held.keys.last();
            // Somebody else rotated since this act began.
            if let Some(last) = last.filter(|last| Some(last.generation) != newest) {
                return Ok(already(last));
            }
            if held.published() >= MOST_PUBLISHED {
                return Ok(Rotated::TooMany);
            }
            add_successor(tx, held, &mut new, signs_from).await?;
            (&new, signs_from)
        }
    };
    held.demote(tx, signs_from).await?;
    let signs_from = signs_from.max(now);
    activity::record(tx, &act.event(Kind::SigningKeyRotated).noting(note(key, signs_from))).await?;
    Ok(Rotated::Done { kid: key.kid.clone(), signs_from })
}

/// Takes a key back at once, as when it was stolen: what it signed is worth nothing any more. Where it was to sign, now
/// or later, another takes its place in the same transaction.
pub async fn retire(act: &AdminContext, kid: &str) -> Result<Retired, Error> {
    let now = act.now;
    let rows = keys::list(&mut act.app.db.read().await?).await?;
    let Some(row) = rows.iter().find(|row| row.kid == kid) else {
        return Ok(Retired::NotFound);
    };
    let new = make(&act.app, algorithm(row)?, now).await?;
    let kid = kid.to_owned();
    let retired = in_act!(act, [new, kid], |tx| {
        let held = Held::of(tx, &new.alg, now).await?;
        retire_held(tx, &act, &held, new, &kid).await
    })?;
    read_again(&act.app, now).await?;
    Ok(retired)
}

async fn retire_held(
    tx: &mut Tx,
    act: &AdminContext,
    held: &Held,
    mut new: StoredKey,
    kid: &str,
) -> Result<Retired, Error> {
    let now = act.now;
    let Some((key, state)) = held.of_kid(kid) else {
        return Ok(Retired::NotFound);
    };
    if key.retired_at.is_some() {
        return Ok(Retired::Already);
    }
    if held.is_stale(act) {
        return Ok(Retired::Stale);
    }
    keys::retire(tx, kid, now).await?;
    let at_once = now.before(CLOCKS);
    let successor = match (state, held.announced()) {
        (State::Signing, Some(announced)) => {
            keys::sign_from(tx, &announced.kid, at_once).await?;
            Some(announced)
        }
        (State::Signing, None) => {
            add_successor(tx, held, &mut new, at_once).await?;
            Some(&new)
        }
        (State::Announced, _) => {
            let signs_from = now.after(act.app.config.keys.announce());
            add_successor(tx, held, &mut new, signs_from).await?;
            held.demote(tx, signs_from).await?;
            Some(&new)
        }
        (State::Verifying | State::Retired, _) => None,
    };
    let successor = successor.map(|key| key.kid.clone());
    let event = act.event(Kind::SigningKeyRetired);
    activity::record(tx, &event.noting(format!("{} {kid}, which was {state}", key.alg))).await?;
    Ok(Retired::Done { successor })
}

/// Adds a key to an algorithm that has some: whoever else adds one waits for the rows that are held.
async fn add_successor(tx: &mut Tx, held: &Held, new: &mut StoredKey, signs_from: Timestamp) -> Result<(), Error> {
    if held.add(tx, new, signs_from).await? {
        return Ok(());
    }
    Err(Error::Damaged(format!("another {} key came between: try again", new.alg)))
}

/// What runs on a schedule: makes what every set holds and what clients ask for, announces successors, forgets private
/// halves that are of no more use. Safe on several replicas at once.
pub async fn look_after(app: &App, wanted: &[Algorithm], now: Timestamp) -> Result<(), Error> {
    for alg in wanted {
        make_first(app, *alg, now).await?;
    }
    let rows = keys::list(&mut app.db.read().await?).await?;
    for keys in rows.chunk_by(|a, b| a.alg == b.alg) {
        if Held::new(keys.to_vec(), now).is_due(app, now) {
            announce_successor(app, algorithm(&keys[0])?, now).await?;
        }
    }
    // Two keys of different times never sign at once, so this one's last signature is LONGEST_LIFE older.
    let until = now.after(LONGEST_LIFE).before(KEEP_SPENT);
    if keys::has_spent(&mut app.db.read().await?, until).await? {
        let forgotten = in_transaction!(app.db, app.patient_deadline(), [], |tx| keys::forget_spent(tx, until).await)?;
        tracing::info!("the private halves of {forgotten} signing keys that sign no more are forgotten");
    }
    Ok(())
}

/// When the first of the keys that sign has done so for as long as it should; `None` where there is no key yet. A
/// successor was announced before.
pub async fn first_expiry(app: &App, conn: &mut Conn, now: Timestamp) -> Result<Option<Timestamp>, Error> {
    let rows = keys::known_since(conn, now).await?;
    let newest = rows.chunk_by(|a, b| a.alg == b.alg).filter_map(<[StoredKey]>::last);
    Ok(newest.map(|key| Timestamp(key.signs_from).after(app.config.keys.lasts())).min())
}

async fn announce_successor(app: &App, alg: Algorithm, now: Timestamp) -> Result<(), Error> {
    let new = make(app, alg, now).await?;
    let kid = new.kid.clone();
    let signs_from = now.after(app.config.keys.announce());
    let visitor = Visitor { reference: app.random.reference(), ..Visitor::default() };
    let event = Event::new(Kind::SigningKeyRotated, Outcome::Success, "system", &visitor, now, &app.random)
        .noting(note(&new, signs_from));
    let announced = in_transaction!(app.db, app.patient_deadline(), [app, new, event], |tx| {
        let held = Held::of(tx, &new.alg, now).await?;
        let mut new = new;
        let announced = held.is_due(&app, now) && held.add(tx, &mut new, signs_from).await?;
        if announced {
            held.demote(tx, signs_from).await?;
            activity::record(tx, &event).await?;
        }
        Ok(announced)
    })?;
    if announced {
        tracing::info!(key.kid = %kid, "a new {} key is announced: it signs from {}", alg.name(), signs_from.rfc3339());
    }
    read_again(app, now).await?;
    Ok(())
}

/// A key that is not stored yet. Made off the executor: RSA takes a tenth of a second or more.
async fn make(app: &App, alg: Algorithm, now: Timestamp) -> Result<StoredKey, Error> {
    let bits = app.config.keys.rsa_bits;
    let made = tokio::task::spawn_blocking(move || generate(alg, bits)).await.map_err(|_| Error::TaskDied)?;
    let made = made.map_err(|error| Error::Damaged(error.to_string()))?;
    let sealed = seal::seal(&app.keys, &purpose(&made.kid), made.private_jwk.as_bytes());
    Ok(StoredKey {
        kid: made.kid,
        alg: alg.name().into(),
        generation: 0,
        public_jwk: made.public_jwk,
        sealed_jwk: sealed.map_err(|error| Error::Damaged(error.to_string()))?,
        created_at: now.0,
        signs_from: now.0,
        verifies_until: None,
        retired_at: None,
    })
}

/// The algorithm of a row.
pub(in crate::operations) fn algorithm(key: &StoredKey) -> Result<Algorithm, Error> {
    key.alg
        .parse()
        .map_err(|()| Error::Damaged(format!("signing key {} has an unknown algorithm {}", key.kid, key.alg)))
}

fn note(key: &StoredKey, signs_from: Timestamp) -> String {
    format!("{} {}, signs from {}", key.alg, key.kid, signs_from.rfc3339())
}
