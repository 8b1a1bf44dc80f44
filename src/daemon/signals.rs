//! The signals that the gateway obeys.
//!
//! They are heard before anything else begins: until there is a handler SIGTERM kills, and the first process of a
//! container does not even hear it. One that comes during the start waits until the start is done.

use anyhow::{Context as _, Result};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tracing::info;

/// Heard since it was made.
#[derive(Debug)]
pub(super) struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
}

impl Signals {
    /// Needs the runtime's context.
    pub(super) fn listen() -> Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate()).context("cannot listen for SIGTERM")?,
            interrupt: signal(SignalKind::interrupt()).context("cannot listen for SIGINT")?,
            hangup: signal(SignalKind::hangup()).context("cannot listen for SIGHUP")?,
        })
    }

    /// Waits for one that asks to stop. Cancel safe.
    pub(super) async fn stop(&mut self) {
        loop {
            tokio::select! {
                _ = self.terminate.recv() => return,
                _ = self.interrupt.recv() => return,
                // A terminal that closes is no reason to stop forwarding.
                _ = self.hangup.recv() => info!("SIGHUP is ignored: a changed configuration needs a restart"),
            }
        }
    }
}
