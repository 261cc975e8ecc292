//! A `[[user]]` of the seed file on its way into the database.

use super::{Applying, Stop, refuse};
use crate::cli::seed::{Locked, Password, SeedUser, Tie};
use crate::model::issuer::TrustedIssuer;
use crate::model::provider::Provider;
use crate::model::user::{Account, STRIKES, UserType};
use crate::operations::admin_context::Switched;
use crate::operations::{issuers, users};
use crate::store::issuers::Tied;
use crate::store::users::NewUser;
use crate::store::{self, Error};

impl Applying<'_> {
    pub(super) async fn user(
        &mut self,
        seed: &SeedUser,
        provider: &Provider,
        hash: Option<&str>,
        trusted: &[TrustedIssuer],
    ) -> Result<(), Stop> {
        let what = format!("user {}/{}", provider.code, seed.login_name.shown());
        let external_id_taken = || {
            let why = "another user of the provider has it: take it from that one first, or give that one this Login Name with \
                       `user rename`";
            refuse(&seed.place, "external_id", why)
        };
        let wrong_type = || {
            let why =
                "Therap Admins, and only they, belong to the operator realm: write the type that fits the provider";
            refuse(&seed.place, "user_type", why)
        };
        if let Some(known) = store::users::by_name(self.tx, &seed.provider, &seed.login_name).await? {
            let Some(held) = store::users::lock_for_update(self.tx, &provider.id, &known.id).await? else {
                return Err(Error::Damaged(what).into());
            };
            let mut keys = match users::change(self.tx, self.act, held.clone(), &seed.draft).await? {
                users::Changed::Keys(keys) => keys,
                users::Changed::ExternalIdTaken => return Err(external_id_taken()),
                // The file names no other one.
                users::Changed::NameTaken => return Err(Error::Damaged(what).into()),
                users::Changed::WrongType | users::Changed::NotFound | users::Changed::Own => return Err(wrong_type()),
            };
            if let Some(active) = seed.active {
                match users::switch_active(self.tx, self.act, &held, active).await? {
                    Switched::Done => keys.push("active"),
                    Switched::LastAdmin => {
                        return Err(Stop::Refused(format!(
                            "{what}: the last Therap Admin who can sign in stays active"
                        )));
                    }
                    Switched::Already
                    | Switched::NotFound
                    | Switched::OperatorRealm
                    | Switched::Own
                    | Switched::Stale => {}
                }
            }
            if self.tie(seed, &held, trusted).await? {
                keys.push("handoff_sub");
            }
            self.changed(&what, &keys);
            return Ok(());
        }
        let Some(hash) = hash else {
            return Err(refuse(&seed.place, "login_name", "the user went away while this ran: run it again"));
        };
        let new = self.new_user(seed, hash)?;
        match users::add(self.tx, self.act, provider, &new).await? {
            users::Created::Yes(_) => {}
            users::Created::WrongType => return Err(wrong_type()),
            users::Created::ExternalIdTaken => return Err(external_id_taken()),
            users::Created::NameTaken | users::Created::NoSuchProvider => return Err(Error::Damaged(what).into()),
        }
        if !seed.ties.is_empty() {
            let made = store::users::by_id(self.tx, &new.id).await?.ok_or_else(|| Error::Damaged(what.clone()))?;
            self.tie(seed, &made, trusted).await?;
        }
        let hint = if matches!(seed.password, Password::None) {
            " (no password: `user reset-password` gives one)"
        } else {
            ""
        };
        self.made(&format!("{what}{hint}"));
        Ok(())
    }

    fn new_user(&self, seed: &SeedUser, hash: &str) -> Result<NewUser, Stop> {
        let Some(name) = seed.draft.name.clone() else {
            return Err(refuse(
                &seed.place,
                "name",
                "is missing, and the user is not there yet: give the person's name",
            ));
        };
        Ok(NewUser {
            id: self.act.app.random.id(self.act.now),
            login_name: seed.login_name.clone(),
            name,
            user_type: seed.draft.user_type.unwrap_or(UserType::Regular),
            active: seed.active.unwrap_or(true),
            admin_locked: matches!(seed.locked, Locked::Admin | Locked::Both),
            failures: if matches!(seed.locked, Locked::Password | Locked::Both) { STRIKES } else { 0 },
            password_hash: hash.to_owned(),
            temporary_until: seed
                .temporary
                .then(|| seed.temporary_until.unwrap_or_else(|| users::temporary_until(&self.act.app, self.act.now))),
            claims: seed.draft.claims.clone().unwrap_or_default().to_json(),
            external_id: seed.draft.external_id.clone().filter(|id| !id.is_empty()),
        })
    }

    /// Ties what the file ties; whether that was new.
    async fn tie(&mut self, seed: &SeedUser, user: &Account, trusted: &[TrustedIssuer]) -> Result<bool, Stop> {
        let taken = |why: &str| Err(refuse(&seed.place, "handoff_sub", why));
        let mut new = false;
        for tie in &seed.ties {
            let issuer = issuer_of(tie, trusted).map_err(|why| refuse(&seed.place, "handoff_issuer", why))?;
            match issuers::tie(self.tx, self.act, issuer, user, &tie.sub).await? {
                Tied::No => new = true,
                Tied::Yes => {}
                Tied::SubElsewhere => {
                    return taken("is tied to another user of the provider: untie that one first with `user untie`");
                }
                Tied::UserElsewhere => {
                    return taken("is not the one that the user is tied to: untie the user first with `user untie`");
                }
            }
        }
        Ok(new)
    }
}

fn issuer_of<'a>(tie: &Tie, trusted: &'a [TrustedIssuer]) -> Result<&'a TrustedIssuer, &'static str> {
    match (&tie.issuer, trusted) {
        (Some(name), _) => trusted
            .iter()
            .find(|issuer| issuer.issuer == *name)
            .ok_or("there is no such trusted issuer: add a [[trusted_issuer]] table for it"),
        (None, [only]) => Ok(only),
        (None, []) => Err(
            "handoff_sub needs a trusted issuer and there is none yet: add a [[trusted_issuer]] table, or take handoff_sub out",
        ),
        (None, _) => Err("is missing, and several issuers are trusted: say which one handoff_sub is of"),
    }
}
