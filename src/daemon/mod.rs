//! The composition root: builds the engines, wires them, starts and stops them in order.
//!
//! Threads: `vpngw` (this one: the FIB, the control API, timers; a current-thread runtime), `bgp` (the speaker),
//! `kernel` (netlink), `wg-…` (packets). Each owns its state; the others hold handles that send.

mod gateway;
mod handle;
mod inputs;
mod journal;
mod log;
mod news;
mod start;
mod warnings;

pub use handle::{Handle, Status, Stop};
pub use journal::{Entry, Journal};

use anyhow::{Context as _, Result};
use config::{Config, Source};

/// Runs the gateway until it is told to stop. Behind `vpngw run`. `sources` are the files that `config` was read from.
///
/// # Errors
/// One sentence: what could not be opened or made, or which part of the gateway ended.
pub fn run(config: Config, sources: Vec<Source>) -> Result<()> {
    log::init(&config.log)?;
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().context("cannot start the runtime")?;
    let result = runtime.block_on(async {
        let (gateway, inputs) = start::start(config, sources).await?;
        gateway.run(inputs).await
    });
    // Does not wait for a name server that does not answer.
    runtime.shutdown_background();
    result
}
