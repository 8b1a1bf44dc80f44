//! Log lines to stderr: text with colour on a terminal, plain text, or JSON.

use std::io::{self, IsTerminal as _};

use anyhow::{Context as _, Result};
use config::settings::{Log, LogFormat};
use tracing_subscriber::EnvFilter;

pub(super) fn init(log: &Log) -> Result<()> {
    // boringtun calls it an error when a session ends that nobody uses; what matters of it, `wgd` says. A level for
    // `boringtun` in the configuration comes later in the list and wins.
    let filter = EnvFilter::try_new(format!("boringtun=off,{}", log.level))
        .with_context(|| format!("[log] level `{}` is no filter", log.level))?;
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr).with_target(false);
    let colour = log.format == LogFormat::Auto && io::stderr().is_terminal();
    let started = match log.format {
        LogFormat::Json => builder.json().try_init(),
        LogFormat::Auto | LogFormat::Text => builder.with_ansi(colour).try_init(),
    };
    started.map_err(|error| anyhow::anyhow!("cannot start logging: {error}"))
}
