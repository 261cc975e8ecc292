//! connect-idp: the sign-in service of Therap Connect. **This page is the map.**
//!
//! # Words
//!
//! - **provider**: an agency, the tenant, known by its Provider Code; or the reserved *operator realm*.
//! - **user**: one person's account in one provider, known by Login Name.
//! - **handoff**: the way in from Therap Services: a signed *assertion* that becomes a session here within 30 seconds.
//! - **strike**: a wrong password that counts towards the lock; three in a row lock the account.
//! - **session**: one browser signed in. Its `sid` outlives renewals, its secret does not.
//! - **activity**: the lasting record of who signed in, how and from where, and of every administrative change.
//! - **place** and **seal** of a record: its number in the order of commits, and what proves both as they were.
//! - **epoch**: a number on users, providers and issuers; what was born under an older one is dead.
//! - **client**: a relying party (an *app*, to people), or a program that acts for itself.
//! - **interaction**: an app's request that waits for a person.
//! - **family**: everything that came of one authorization: access tokens, and at most one live refresh token.
//! - **key-encryption key**: a file in `keys/` that seals our *signing keys* in the database.
//! - **tie**: an issuer's stable `sub` bound to one of our users.
//!
//! # Floors
//!
//! A module uses only modules of the floors above its own; `tests/it/floors.rs` reads this list and checks.
//!
//! 1. [`time`]: instants, the clock, deadlines, randomness
//! 2. [`measure`]: series that any part may count in
//! 3. [`crypto`]: the only place that names josekit, argon2 and OpenSSL
//! 4. [`model`]: what things are; types that parse; no I/O
//! 5. [`config`], [`log`]: what the operator sets, checked at start; the request at hand, and how every line names it
//! 6. [`store`]: what is remembered; the only place that names a database's driver
//! 7. [`cache`]: what makes replicas quick and share counts, and may be lost; the only place that names redis
//! 8. [`outbound`]: the one guarded HTTP client, and mail
//! 9. [`metrics`]: what is counted
//! 10. [`app`]: what a request may use
//! 11. [`operations`]: what pages and commands all do, once: a rule, a store call, an event
//! 12. [`web`]: what a browser needs
//! 13. [`login`], [`handoff`], [`dashboard`], [`oidc`], [`console`], [`api`], [`scim`], [`help`]: the features, side by side
//! 14. [`jobs`]: what runs on a schedule
//! 15. [`router`]: every route on one screen
//! 16. [`serve`]: listen, drain, stop
//! 17. [`cli`]: the command line
//!
//! # Five walkthroughs
//!
//! **A password.** `POST /login` → [`login::form`] reads the form → [`operations::sign_in`] asks
//! [`operations::sign_in::check_password`]: a strike is reserved, the hash runs on [`crypto::password`]'s pool, the
//! strike is settled in the transaction of [`operations::sessions::open`] together with the session and its record → a
//! cookie and a 303 to where the user was going.
//!
//! **A handoff.** `POST /unified-login` → [`handoff::receive`]: Origin, form, the strict verifier of
//! [`handoff::assertion`], then one transaction: the `jti` is claimed, provider and user are checked, a pending handoff
//! is stored → a cookie of its own and a 303 to `/unified-login/complete` → [`handoff::complete`]: one transaction
//! before the deadline: pending becomes a session, recorded as "Login initiated from Therap Services" → 303 to the
//! Dashboard.
//!
//! **An app's sign-in.** `GET /oauth2/authorize` → [`oidc::authorize`]: *validate → decide → respond*. What needs a
//! person waits as an interaction ([`operations::interactions`]) and comes back from login, update or consent to be
//! checked again; then a code is born of the live session → `POST /oauth2/token` → [`oidc::token`]: the client is
//! authenticated ([`operations::clients::authenticate`]), the code is spent and its token family remembered in one
//! transaction.
//!
//! **An ending.** Logout ends one row of [`store::sessions`]. A lock, a deactivation or a reset
//! ([`operations::users`]) bumps an epoch, and every session, pending handoff, half-done sign-in, code and token born
//! before it is dead at its next use, on every replica. The same transaction leaves a note ([`store::logouts`]), from
//! which [`jobs::logout`] tells the apps. What nobody finished is settled by [`jobs`].
//!
//! **A record.** [`store::activity`] writes it in the transaction of what it records. [`jobs::activity`] then gives it
//! its place in the chain ([`operations::activity::chain`]), by which programs read on and
//! [`operations::activity::verify`] proves it.

// A panic is no answer: what cannot happen says why at the place (`expect`), and a text is cut where a character
// begins.
#![cfg_attr(not(test), deny(clippy::expect_used, clippy::panic, clippy::unreachable, clippy::string_slice))]
// A request's future holds that of its handler, which holds that of a statement, and so on down to the database's
// driver: optimised, they are laid out in one go.
#![recursion_limit = "256"]

pub mod time;

pub mod measure;

pub mod crypto;

pub mod model;

pub mod config;

pub mod log;

pub mod store;

pub mod cache;

pub mod outbound;

pub mod metrics;

pub mod app;

pub mod operations;

pub mod web;

pub mod login;

pub mod handoff;

pub mod dashboard;

pub mod oidc;

pub mod console;

pub mod api;

pub mod scim;

pub mod help;

pub mod jobs;

pub mod router;

pub mod serve;

pub mod cli;
