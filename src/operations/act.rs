//! An administrative act: who does it, when, and until when it is worth doing. Pages and commands make one and hand it
//! to the operation; the operation writes its record from it.

use super::Actor;
use crate::app::App;
use crate::model::event::{Event, Kind, Outcome};
use crate::model::provider::Provider;
pub use crate::model::unfit::Unfit;
use crate::time::{Deadline, Timestamp};

/// One act. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Act {
    /// The house it is done in.
    pub app: App,
    /// Who does it.
    pub actor: Actor,
    /// When.
    pub now: Timestamp,
    /// Until when its transaction may commit.
    pub deadline: Deadline,
}

impl Act {
    /// The record of what this act did, with nobody named yet.
    #[must_use]
    pub fn event(&self, kind: Kind) -> Event {
        Event::new(kind, Outcome::Success, &self.actor.name, &self.actor.visitor, self.now, &self.app.random)
    }

    /// The record of what this act did to a provider.
    #[must_use]
    pub fn event_of(&self, kind: Kind, provider: &Provider) -> Event {
        let mut event = self.event(kind);
        event.provider_id = Some(provider.id.clone());
        event.provider_code = Some(provider.code.clone());
        event
    }
}

/// What became of switching something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Switched {
    /// It is so now, and recorded.
    Done,
    /// It was so already; nothing is recorded.
    Already,
    /// There is no such thing here.
    NotFound,
    /// The operator realm stays as it is.
    OperatorRealm,
}

/// What became of a change of data.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Changed {
    /// These keys have new values now, and that is recorded; when it is empty, nothing was new and nothing is recorded.
    Keys(Vec<&'static str>),
    /// There is no such thing here.
    NotFound,
    /// The operator realm keeps its name.
    OperatorRealm,
}
