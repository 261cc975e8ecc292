//! What systemd is told of us: that we serve, that we live, that we stop. Where nothing listens, nothing is said.

use std::time::Duration;

use sd_notify::NotifyState;

/// Requests are answered from now on; and says that we live, as often as is asked for. The runtime that answers
/// requests says it: one that hangs falls silent.
pub(super) fn ready() {
    tell(&NotifyState::Ready);
    let Some(within) = sd_notify::watchdog_enabled().filter(|within| *within > Duration::ZERO) else { return };
    tokio::spawn(async move {
        let mut beats = tokio::time::interval(within / 2);
        loop {
            beats.tick().await;
            tell(&NotifyState::Watchdog);
        }
    });
}

/// The end has begun.
pub(super) fn stopping() {
    tell(&NotifyState::Stopping);
}

fn tell(state: &NotifyState<'_>) {
    if let Err(error) = sd_notify::notify(std::slice::from_ref(state)) {
        tracing::warn!("systemd could not be told \"{state}\": {error}");
    }
}
