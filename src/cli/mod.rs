//! The command line: argv to a subcommand, its outcome to an exit code.
//!
//! 0 done; 1 failed, with one sentence on stderr; 2 usage or configuration error, with everything that is wrong.

mod args;
mod command;
mod key;
mod output;
mod show;
mod text;

use std::future::Future;
use std::process::ExitCode;

use clap::Parser as _;

use self::args::{Arguments, Command};
use self::output::{Closed, fail};
use crate::control::Client;
use crate::daemon;

/// Runs the program and says how it ended.
pub fn main() -> ExitCode {
    match run(Arguments::parse()) {
        Ok(code) => code,
        Err(error) if error.is::<Closed>() => ExitCode::SUCCESS,
        Err(error) => {
            fail(&error);
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: Arguments) -> anyhow::Result<ExitCode> {
    let client = Client::new(arguments.socket);
    match arguments.command {
        Command::Run { config } => daemon::run(&config)?,
        Command::Stop(stop) => wait_for(command::stop(&client, &stop))?,
        Command::Show(arguments) => wait_for(show::show(&client, &arguments))?,
        Command::Neighbor { name, command } => wait_for(command::neighbor(&client, &name, command))?,
        Command::Key { command } => key::key(&command)?,
    }
    Ok(ExitCode::SUCCESS)
}

/// The client needs a runtime, the rest of the command line none.
fn wait_for<T>(work: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(work)
}
