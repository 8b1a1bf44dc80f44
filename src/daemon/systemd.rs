//! What systemd is told: that we are up, that we are alive, that we stop, and why a start has failed.
//!
//! Nothing is told where NOTIFY_SOCKET is not set. The gateway starts no programs, so nobody inherits that variable.

use std::time::Duration;

use sd_notify::NotifyState;
use tokio::time::{MissedTickBehavior, interval};
use tracing::warn;

use super::handle::Handle;

/// Everything that does not wait for others is up.
pub(super) fn ready() {
    notify(&NotifyState::Ready);
}

/// The ordered stop has begun.
pub(super) fn stopping() {
    notify(&NotifyState::Stopping);
}

/// The sentence that `systemctl status` shows of a gateway that has ended.
pub fn failed(why: &str) {
    // A line is what the protocol can carry.
    notify(&NotifyState::Status(&why.replace('\n', " ")));
}

/// Pings as long as all threads answer. One that hangs is never pinged for again: systemd kills and restarts us.
pub(super) async fn watchdog(handle: Handle) {
    let Some(limit) = sd_notify::watchdog_enabled().filter(|limit| *limit >= Duration::from_millis(3)) else { return };
    let mut beat = interval(limit / 3);
    beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        beat.tick().await;
        if !handle.threads_answer().await {
            return; // It is stopping, in the time that the unit gives for it.
        }
        notify(&NotifyState::Watchdog);
    }
}

fn notify(state: &NotifyState<'_>) {
    if let Err(error) = sd_notify::notify(std::slice::from_ref(state)) {
        warn!(%error, "cannot tell systemd");
    }
}
