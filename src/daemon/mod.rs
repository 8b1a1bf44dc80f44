//! The composition root: builds the engines, wires them, starts and stops them in order.
//!
//! Threads: `vpngw` (this one: the FIB, the control API, timers; a current-thread runtime), `bgp` (the speaker),
//! `kernel` (netlink), `wg-…` (packets). Each owns its state; the others hold handles that send.

mod capture;
mod device;
mod endpoints;
mod gateway;
mod handle;
mod inputs;
mod instance;
mod journal;
mod log;
mod memory;
mod news;
mod permitted;
mod signals;
mod start;
mod stop;
mod systemd;
mod tunnel;
mod uapi;
mod warnings;
mod watchers;

pub use capture::Capture;
pub use device::{Removed, remove_leftovers};
pub use handle::{Handle, Neighbor, Status, Stop};
pub use journal::{Entry, Journal};
pub use stop::STOP_TIME;
pub use systemd::failed;
pub use uapi::TunnelView;
pub use watchers::{PeerChange, PeerNews, TunnelNews};

use anyhow::{Context as _, Result};
use config::{Config, Source};
use tokio::runtime::{Builder, Runtime};

use signals::Signals;

/// A gateway that already hears signals. Behind `vpngw run`.
#[derive(Debug)]
pub struct Daemon {
    runtime: Runtime,
    signals: Signals,
}

impl Daemon {
    /// The first thing to be done: from here on SIGTERM ends the program in order.
    ///
    /// # Errors
    /// Those of the system.
    pub fn prepare() -> Result<Self> {
        let runtime = Builder::new_current_thread().enable_all().build().context("cannot start the runtime")?;
        let signals = runtime.block_on(async { Signals::listen() })?;
        Ok(Self { runtime, signals })
    }

    /// Runs the gateway until it is told to stop. `sources` are the files that `config` was read from.
    ///
    /// # Errors
    /// One sentence: what could not be opened or made, or which part of the gateway ended.
    pub fn run(mut self, config: Config, sources: Vec<Source>) -> Result<()> {
        log::init(&config.log)?;
        let result = self.runtime.block_on(async {
            let (gateway, inputs) = start::start(config, sources).await?;
            gateway.run(inputs, &mut self.signals).await
        });
        // Does not wait for a name server that does not answer.
        self.runtime.shutdown_background();
        result
    }
}
