//! What a group of routes says of itself: whom it answers, and how much body and time a request may take. The layers
//! around a route read this, and never ask for its path.

use std::time::Duration;

use axum::response::Response;

use super::shares::Use;
use crate::app::App;
use crate::metrics::labels::Route;
use crate::model::activity::Visitor;

/// What all routes of a group have in common.
#[derive(Clone, Copy, Debug)]
pub struct Group {
    /// Whom they answer.
    pub audience: Audience,
    /// Whose forms they take.
    pub forms: Forms,
    /// The largest body, in bytes.
    pub body: usize,
    /// How long a request may take.
    pub time: Time,
    /// What a request takes its place for, while many are in hand.
    pub places: Use,
    /// As what it is counted.
    pub counted: Route,
    /// Whether it has a line in the log.
    pub logged: Logged,
}

/// Whom routes answer, and so how a refusal or a fault is told that no handler put into words.
#[derive(Clone, Copy, Debug)]
pub struct Audience {
    /// The whole answer in place of a bare error; it is logged there.
    pub render: fn(&App, &Response, &Visitor) -> Response,
    /// What is told where one network has its share: to ask again after this number of seconds.
    pub too_often: fn(u64) -> Response,
}

/// Whose forms routes take (G27).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Forms {
    /// Those of our own pages alone, because they act on a cookie.
    Ours,
    /// Other sites' and programs' too, by design: nothing here acts on a cookie.
    Anybodys,
}

/// How long a request may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Time {
    /// So long for the body, and as long again from then on for the answer. Its present is when its body was there.
    Each(Duration),
    /// What `handoff.timeout_seconds` says, counted from the arrival (U7): the handler is told that a body is late, and
    /// answers. So long in all at most.
    Handoff(Duration),
}

/// Which requests have a line in the log. What has no route always has one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Logged {
    /// Each.
    Always,
    /// As `log.assets` says.
    AsAssets,
    /// As `log.health` says.
    AsHealth,
}
