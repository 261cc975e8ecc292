//! Who there is: read from `seed.toml`, which the product's own `apply` reads too; here with the trusted issuers and
//! the clients, whose keys and addresses are new at each start.

use anyhow::Context as _;
use serde::Deserialize;
use toml::{Table, Value};

use crate::place::Addresses;
use crate::sender::Sender;
use crate::{portal, therap};

const SEED: &str = include_str!("seed.toml");

/// What each user is there to show: the way in with a password, and the way in with the button.
const PURPOSES: [(&str, &str, &str); 10] = [
    ("amina", "the Dashboard", "the Dashboard"),
    ("bruno", "the Dashboard", "the Dashboard; another user there is signed out"),
    ("paul", "the Dashboard; a Provider Admin: \"Users\", \"User Activity\", \"Provider\"", "the Dashboard"),
    ("tina", "has to choose a new password first", "the Dashboard: no password is used"),
    ("lena", "locked by three wrong passwords", "locked"),
    ("omar", "locked by an admin", "locked"),
    ("dora", "deactivated: \"Invalid Credentials\"", "\"Invalid Credential\""),
    ("carla", "the Dashboard", "Unified Login is off: \"Invalid Credential\""),
    ("ines", "inactive provider: \"Invalid Credentials\"", "\"Invalid Credential\""),
    ("root", "the Dashboard; a Therap Admin: \"Operator\" and what is below it", "never: \"Invalid Credential\""),
];

/// All of them.
#[derive(Debug)]
pub struct Cast {
    /// Who has an account with Therap Connect.
    pub people: Vec<Person>,
    /// Who is known to the stand-in for Therap Services: the same, and one more.
    pub therap_users: Vec<TherapUser>,
    /// What `apply` is given.
    pub seed: String,
}

/// A `[[user]]` of the seed, as far as the demo shows it.
#[derive(Clone, Debug, Deserialize)]
pub struct Person {
    pub provider: String,
    pub login_name: String,
    pub name: String,
    pub password: String,
}

impl Person {
    /// What happens with a password, and with the button.
    pub fn purpose(&self) -> (&'static str, &'static str) {
        let found = PURPOSES.iter().find(|(name, ..)| *name == self.login_name);
        found.map_or(("", ""), |(_, password, button)| (password, button))
    }
}

/// Somebody who can sign in to the stand-in for Therap Services.
#[derive(Clone, Debug)]
pub struct TherapUser {
    pub provider: String,
    pub login_name: String,
    pub name: String,
    /// What the button does for them.
    pub outcome: String,
}

impl TherapUser {
    /// `SUNRISE-IL/amina`
    pub fn key(&self) -> String {
        format!("{}/{}", self.provider, self.login_name)
    }

    /// The sender's own, stable id.
    pub fn sub(&self) -> String {
        sub(&self.login_name)
    }
}

/// The sender's own, stable id of a user.
pub fn sub(login_name: &str) -> String {
    format!("ts-{login_name}")
}

impl Cast {
    pub fn read(addresses: &Addresses, sender: &Sender) -> anyhow::Result<Self> {
        let mut seed: Table = SEED.parse().context("seed.toml")?;
        let people = Vec::<Person>::deserialize(seed["user"].clone()).context("seed.toml")?;
        for user in seed["user"].as_array_mut().into_iter().flatten().filter_map(Value::as_table_mut) {
            if user.contains_key("handoff_sub") {
                user.insert("handoff_issuer".into(), sender.issuer.clone().into());
            }
        }
        let issuers = [
            trusted(&sender.issuer, "Therap Services", &addresses.therap_services, &sender.jwks()?),
            // Trusted, but not for the pages that the demo sends from.
            trusted(&sender.other_issuer, "Another sister product", "https://sister.example", &sender.other_jwks()?),
        ];
        seed.insert("trusted_issuer".into(), Value::Array(issuers.into_iter().map(Value::Table).collect()));
        let clients = [portal::client(&addresses.portal), therap::client()];
        seed.insert("client".into(), Value::Array(clients.into_iter().map(Value::Table).collect()));
        let mut therap_users: Vec<TherapUser> = people.iter().map(known).collect();
        therap_users.push(TherapUser {
            provider: "SUNRISE-IL".into(),
            login_name: "zoe".into(),
            name: "Zoe Martin".into(),
            outcome: "no such user in Therap Connect: Invalid Credential".into(),
        });
        Ok(Self { people, therap_users, seed: toml::to_string(&seed)? })
    }
}

fn known(person: &Person) -> TherapUser {
    TherapUser {
        provider: person.provider.clone(),
        login_name: person.login_name.clone(),
        name: person.name.clone(),
        outcome: person.purpose().1.to_owned(),
    }
}

fn trusted(issuer: &str, name: &str, origin: &str, jwks: &str) -> Table {
    let mut table = Table::new();
    table.insert("issuer".into(), issuer.into());
    table.insert("display_name".into(), name.into());
    table.insert("origins".into(), Value::Array(vec![origin.into()]));
    table.insert("jwks".into(), jwks.into());
    table
}
