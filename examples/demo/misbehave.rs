//! Everything that a sender can do wrong: one row each.

use crate::cast::sub;
use crate::sender::{Draft, Sender, Signer};

const INVALID: &str = "Invalid Credential";
const TIMED_OUT: &str = "Login failed due to request timeout. Please try again from Therap Services";

/// How the assertion is carried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// By a form that POSTs it, as it should be.
    Post,
    /// The last good one of this visitor, a second time.
    Again,
    /// By the page of somebody else.
    Foreign,
    /// In the address.
    Get,
    /// In a frame.
    Frame,
    /// Twice in one form.
    Twice,
}

/// One thing done wrong.
#[derive(Debug)]
pub struct Trick {
    /// `misbehave-<name>` is the button.
    pub name: &'static str,
    pub label: &'static str,
    pub explanation: &'static str,
    pub expected: &'static str,
    pub way: Way,
    spoil: fn(&Sender, &mut Draft),
}

impl Trick {
    /// The assertion, for this user where it does not need another.
    pub fn assertion(&self, sender: &Sender, provider_code: &str, login_name: &str) -> anyhow::Result<String> {
        let mut draft = sender.draft(provider_code, login_name);
        (self.spoil)(sender, &mut draft);
        sender.sign(&draft)
    }

    const fn new(
        name: &'static str,
        label: &'static str,
        spoil: fn(&Sender, &mut Draft),
        explanation: &'static str,
    ) -> Self {
        Self { name, label, explanation, expected: INVALID, way: Way::Post, spoil }
    }

    const fn expecting(self, expected: &'static str) -> Self {
        Self { expected, ..self }
    }

    const fn by(self, way: Way) -> Self {
        Self { way, ..self }
    }
}

/// The trick of this name.
pub fn find(name: &str) -> Option<&'static Trick> {
    ALL.iter().find(|trick| trick.name == name)
}

/// All of them, in the order of the page.
pub static ALL: [Trick; 18] = [
    Trick::new(
        "forged-signature",
        "Forged signature",
        |_, d| d.signer = Signer::Forger,
        "Signed with another key under our key's name.",
    ),
    Trick::new(
        "unknown-kid",
        "Unknown kid",
        |_, d| d.kid = "nobody-published-this".into(),
        "The header names a key that was never published.",
    ),
    Trick::new("wrong-typ", "Wrong typ", |_, d| d.typ = "JWT".into(), "A JWT of another kind, well signed."),
    Trick::new("alg-none", "alg none", |_, d| d.signer = Signer::Nobody, "Not signed at all."),
    Trick::new(
        "unknown-issuer",
        "Unknown issuer",
        |_, d| d.iss = "https://nobody.example".into(),
        "From an issuer that nobody trusts.",
    ),
    Trick::new(
        "another-issuer",
        "Another issuer's",
        Sender::as_other,
        "A sister product's good assertion, sent from this product's page.",
    ),
    Trick::new(
        "wrong-audience",
        "Wrong audience",
        |_, d| d.aud = "https://another.example".into(),
        "Meant for somebody else.",
    ),
    Trick::new("future", "From the future", |_, d| d.iat_offset = 60, "Minted 60 seconds from now: 5 are forgiven."),
    Trick::new("late", "Late", |_, d| (d.iat_offset, d.lifetime) = (-31, 60), "Minted 31 seconds ago.")
        .expecting(TIMED_OUT),
    Trick::new(
        "expires-at-once",
        "Expires at once",
        |_, d| (d.iat_offset, d.lifetime) = (-1, 1),
        "Good for a single second, which is over.",
    )
    .expecting(TIMED_OUT),
    Trick::new(
        "replayed",
        "Replayed",
        |_, _| (),
        "Your last good one, sent again. Use the Therap Connect button first, less than 30 seconds ago.",
    )
    .by(Way::Again),
    Trick::new(
        "unknown-provider",
        "Unknown provider",
        |_, d| d.provider_code = "NOWHERE-XX".into(),
        "A Provider Code that does not exist.",
    ),
    Trick::new(
        "unknown-user",
        "Unknown user",
        |_, d| d.login_name = "nobody".into(),
        "A Login Name that does not exist.",
    ),
    Trick::new("tied-sub", "Another user's sub", tied_sub, "Says amina, with the sub that is tied to bruno."),
    Trick::new(
        "foreign-page",
        "From a foreign page",
        |_, _| (),
        "A good assertion, sent by a page that nobody registered.",
    )
    .by(Way::Foreign),
    Trick::new("get", "By GET", |_, _| (), "A good assertion in the address.").by(Way::Get),
    Trick::new(
        "iframe",
        "In an iframe",
        |_, _| (),
        "A good assertion, sent inside a frame. The browser shows its own error there.",
    )
    .expecting("nothing of Therap Connect")
    .by(Way::Frame),
    Trick::new("two-fields", "Two fields", |_, _| (), "The same good assertion twice in one form.").by(Way::Twice),
];

fn tied_sub(_: &Sender, draft: &mut Draft) {
    (draft.provider_code, draft.login_name, draft.sub) = ("SUNRISE-IL".into(), "amina".into(), sub("bruno"));
}
