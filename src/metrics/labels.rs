//! The labels of what is counted: closed lists all. What a stranger sends is never one.

use crate::measure::{Label, Series, label, labels};
use crate::model::client::{AccessTokenFormat, GrantType};
use crate::model::refusal::Refusal;
use crate::model::session::Method;

label!(Refusal as "reason");
label!(GrantType as "grant");
label!(AccessTokenFormat as "format");

labels! {
    /// How a sign-in by password ended.
    pub enum PasswordOutcome as "outcome" {
        /// A session.
        Success = "success",
        /// The password is temporary: the Update Password page.
        Unfinished = "unfinished",
        /// "Invalid Credentials".
        Refused = "refused",
        /// "Your account has been locked…".
        Locked = "locked",
        /// Three were wrong in a session that asked for it again.
        SessionOver = "session_over",
        /// The session that asked for it again ended meanwhile.
        SignedOut = "signed_out",
        /// Nothing was answered for want of time or room.
        Busy = "busy",
        /// Nothing could be answered: the database failed.
        Failed = "failed",
    }
}

labels! {
    /// How a handoff ended.
    pub enum HandoffOutcome as "outcome" {
        /// A session.
        Success = "success",
        /// Refused.
        Refused = "refused",
        /// More than 30 seconds from the click.
        TimedOut = "timed_out",
        /// Nothing could be answered: the database failed, or our clock is wrong.
        Failed = "failed",
    }
}

/// A sign-in: by which method, and how it ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SignedIn {
    /// Login Name and Password.
    Password(PasswordOutcome),
    /// From Therap Services.
    Handoff(HandoffOutcome),
}

impl Series for SignedIn {
    fn all() -> Vec<Self> {
        let passwords = PasswordOutcome::ALL.iter().copied().map(Self::Password);
        passwords.chain(HandoffOutcome::ALL.iter().copied().map(Self::Handoff)).collect()
    }

    fn index(self) -> usize {
        match self {
            Self::Password(outcome) => Label::index(outcome),
            Self::Handoff(outcome) => PasswordOutcome::ALL.len() + Label::index(outcome),
        }
    }

    fn labels(self) -> Vec<(&'static str, &'static str)> {
        let (method, outcome) = match self {
            Self::Password(outcome) => (Method::Password, outcome.as_str()),
            Self::Handoff(outcome) => (Method::Handoff, outcome.as_str()),
        };
        vec![("method", method.as_str()), ("outcome", outcome)]
    }
}

labels! {
    /// Which lock an account got.
    pub enum Lockout as "lock" {
        /// Three wrong passwords.
        Password = "password",
        /// An administrator's.
        Admin = "admin",
    }
}

labels! {
    /// How a try to tell an app of a logout, or to send a mail, ended.
    pub enum Told as "outcome" {
        /// It arrived.
        Delivered = "delivered",
        /// It will be tried again.
        Failed = "failed",
        /// It will not be tried again.
        GivenUp = "given_up",
    }
}

labels! {
    /// What runs on a schedule.
    pub enum Job as "name" {
        /// Handoffs that nobody completed, sessions that nobody was given.
        Sweep = "sweep",
        /// Refused handoffs are written down.
        RefusedHandoffs = "refused_handoffs",
        /// Answers that were kept for a retry are forgotten.
        KeptAnswers = "kept_answers",
        /// The rest of what retention removes.
        Retention = "retention",
        /// Signing keys are made and rotated.
        SigningKeys = "signing_keys",
        /// What is over is forgotten.
        Purge = "purge",
        /// This replica's sign of life is given.
        SignOfLife = "sign_of_life",
        /// What a proxy said that could not be read is noted.
        ProxyNotes = "proxy_notes",
        /// Remembered assertions are counted.
        SingleUse = "single_use",
        /// Sign-ins of days that are over are counted.
        DayCounts = "day_counts",
        /// When users last signed in is noted.
        SignInTimes = "sign_in_times",
        /// The issuers' keys are fetched again.
        IssuerKeys = "issuer_keys",
        /// Apps are told of logouts.
        Logouts = "logouts",
        /// Mails are sent.
        Mail = "mail",
        /// User Activity is sealed.
        Sealing = "sealing",
    }
}

labels! {
    /// What a request asked for: a group of routes.
    pub enum Route as "route" {
        /// `/login`, `/logout`, passwords.
        Login = "login",
        /// `/unified-login` and below.
        Handoff = "handoff",
        /// The Dashboard, my activity, my sessions.
        Dashboard = "dashboard",
        /// The authorization endpoint, consent, the end of a session.
        Authorize = "authorize",
        /// The token endpoint.
        Token = "token",
        /// What else apps ask of `/oauth2`.
        Oauth = "oauth",
        /// Discovery, and the JWK Set.
        Discovery = "discovery",
        /// The Provider Admin's pages.
        Admin = "admin",
        /// The Therap Admin's pages.
        Operator = "operator",
        /// Programs, and directories.
        Api = "api",
        /// Style sheets, scripts, icons.
        Assets = "assets",
        /// What is none of these: the handbooks, and mostly nothing at all.
        Other = "other",
    }
}

labels! {
    /// How a request was answered.
    pub enum Status as "status" {
        /// As wished.
        Success = "2xx",
        /// Go there.
        Redirection = "3xx",
        /// The asker's fault.
        ClientError = "4xx",
        /// Ours.
        ServerError = "5xx",
        /// Not at all: whoever asked went away.
        Abandoned = "abandoned",
    }
}

impl Status {
    /// The class of a status.
    #[must_use]
    pub const fn of(status: u16) -> Self {
        match status {
            0..300 => Self::Success,
            300..400 => Self::Redirection,
            400..500 => Self::ClientError,
            500.. => Self::ServerError,
        }
    }
}

labels! {
    /// Whether a connection of the database, or a thread that hashes, works.
    pub enum Busyness as "state" {
        /// Somebody has it.
        InUse = "in_use",
        /// It waits for work.
        Idle = "idle",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_in_order<S: Series>() -> bool {
        S::all().into_iter().map(S::index).eq(0..S::all().len())
    }

    /// The place of each is its own, whatever the order of the list of words.
    #[test]
    fn each_label_has_a_place_of_its_own() {
        assert!(is_in_order::<Refusal>() && is_in_order::<GrantType>() && is_in_order::<AccessTokenFormat>());
        assert!(is_in_order::<SignedIn>() && is_in_order::<(Route, Status)>() && is_in_order::<Job>());
    }
}
