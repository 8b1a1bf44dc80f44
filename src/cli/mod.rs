//! The command line: argv to a subcommand, its outcome to an exit code.
//!
//! 0 done; 1 failed, with one sentence on stderr; 2 usage or configuration error, with everything that is wrong.

mod args;
mod check;
mod command;
mod completions;
mod help;
mod key;
mod man;
mod monitor;
mod mrt;
mod output;
mod pcapng;
mod show;
mod text;

use std::future::Future;
use std::path::Path;
use std::process::ExitCode;

use clap::Parser as _;
use config::OnStop;

use self::args::{Arguments, Command};
pub use self::command::SEND_TIME;
use self::output::{Closed, fail};
use crate::control::Client;
use crate::daemon::Daemon;
use crate::source::{LoadError, load};
use crate::{daemon, host, lab};

/// Usage or configuration error.
const USAGE: u8 = 2;

/// Runs the program and says how it ended.
pub fn main() -> ExitCode {
    completions::answer();
    match run(Arguments::parse()) {
        Ok(code) => code,
        Err(error) if error.is::<Closed>() => ExitCode::SUCCESS,
        Err(error) => match error.downcast_ref::<LoadError>() {
            Some(refused) => {
                check::explain(refused);
                ExitCode::from(USAGE)
            }
            None => {
                fail(format_args!("{error:#}"));
                ExitCode::FAILURE
            }
        },
    }
}

fn run(arguments: Arguments) -> anyhow::Result<ExitCode> {
    let client = Client::new(arguments.socket);
    match arguments.command {
        Command::Run { config, on_stop } => run_gateway(&config, on_stop.into())?,
        Command::Stop(stop) => wait_for(command::stop(&client, &stop))?,
        Command::Check(arguments) => return check::check(&arguments),
        Command::Show(arguments) => wait_for(show::show(&client, &arguments))?,
        Command::Monitor(arguments) => wait_for(monitor::monitor(&client, &arguments))?,
        Command::Neighbor { name, command } => wait_for(command::neighbor(&client, &name, command))?,
        Command::Peer { name, command } => wait_for(command::peer(&client, &name, command))?,
        Command::Key { command } => key::key(&command)?,
        Command::Lab { site, duration } => return lab::run(lab::Options { site, duration }),
        Command::Completions { shell } => completions::script(shell)?,
        Command::Man { directory } => man::man(&directory)?,
        Command::LabNode => return lab::node::run(),
    }
    Ok(ExitCode::SUCCESS)
}

fn run_gateway(path: &Path, on_stop: OnStop) -> anyhow::Result<()> {
    // Signals are heard from here on, before anything is read.
    let daemon = Daemon::prepare()?;
    let run = || {
        // Before the first thread.
        host::raise_capabilities()?;
        let loaded = load(path, true, host::first_ipv4(), on_stop)?;
        check::tell(&loaded.warnings);
        daemon.run(loaded.config, loaded.sources)
    };
    run().inspect_err(|error| daemon::failed(&check::in_short(error)))
}

/// The client needs a runtime, the rest of the command line none.
fn wait_for<T>(work: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(work)
}
