//! `vpngw completions`: a script that asks this very program for the words that fit, so that the names of the running
//! gateway's neighbors are among them.
//!
//! The script calls `vpngw` with [`VARIABLE`] set; without it nothing here happens.

use std::env;
use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context as _;
use bgpd::speaker::ALL;
use clap::{CommandFactory as _, ValueEnum};
use clap_complete::CompletionCandidate;
use clap_complete::env::{Bash, CompleteEnv, EnvCompleter, Fish, Shells, Zsh};
use tokio::time::timeout;

use super::args::Arguments;
use super::output::print;
use super::wait_for;
use crate::control::{Client, api};

/// Says that a shell asks, and which.
const VARIABLE: &str = "VPNGW_COMPLETE";
/// Nobody waits longer for a key to answer.
const ANSWER_TIME: Duration = Duration::from_millis(500);

/// zsh reads an installed script, a file `_vpngw`, as the body of a function when the first words are asked for: they are
/// to come then, and not at the second key.
const ZSH_FIRST: &str = "
if [[ ${funcstack[1]-} == _vpngw ]]; then
    _clap_dynamic_completer_vpngw \"$@\"
fi
";

/// A shell that is known.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(super) enum Shell {
    Bash,
    Zsh,
    Fish,
}

impl Shell {
    fn completer(self) -> &'static dyn EnvCompleter {
        match self {
            Self::Bash => &Bash,
            Self::Zsh => &Zsh,
            Self::Fish => &Fish,
        }
    }
}

/// Answers a shell that asks for words, and ends; returns where none asks.
pub(super) fn answer() {
    CompleteEnv::with_factory(command).var(VARIABLE).shells(Shells(&[&Bash, &Zsh, &Fish])).complete();
}

/// Prints the script.
pub(super) fn script(shell: Shell) -> anyhow::Result<()> {
    let mut script = Vec::new();
    shell.completer().write_registration(VARIABLE, "vpngw", "vpngw", "vpngw", &mut script)?;
    let mut script = String::from_utf8(script).context("the script is not text")?;
    if matches!(shell, Shell::Zsh) {
        script.push_str(ZSH_FIRST);
    }
    print(script.trim_start())
}

/// The command line. `neighbor` and `peer` are followed by a name; their verbs fit only behind that.
fn command() -> clap::Command {
    let command = Arguments::command();
    for named in ["neighbor", "peer"] {
        if env::args_os().rev().nth(1).is_some_and(|before| before == named) {
            return command.mut_subcommand(named, |command| {
                clap::Command::new(named).args(command.get_arguments().cloned().collect::<Vec<_>>())
            });
        }
    }
    command
}

/// The names of the running gateway's neighbors; none where none runs.
pub(super) fn neighbors() -> Vec<CompletionCandidate> {
    let client = Client::new(socket());
    let answer = in_time(client.get::<api::Neighbors>("/v1/neighbors"));
    let neighbors = answer.map(|answer| answer.neighbors).unwrap_or_default();
    neighbors.into_iter().map(|neighbor| CompletionCandidate::new(neighbor.name)).collect()
}

/// The names of the running gateway's WireGuard peers; none where none runs.
pub(super) fn peers() -> Vec<CompletionCandidate> {
    let client = Client::new(socket());
    let answer = in_time(client.get::<api::Peers>("/v1/peers"));
    let peers = answer.map(|answer| answer.peers).unwrap_or_default();
    peers.into_iter().map(|peer| CompletionCandidate::new(peer.name)).collect()
}

fn in_time<T>(answer: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    wait_for(async { timeout(ANSWER_TIME, answer).await? })
}

/// What a command may be said to: a neighbor, or all of them.
pub(super) fn neighbors_or_all() -> Vec<CompletionCandidate> {
    neighbors().into_iter().chain([CompletionCandidate::new(ALL)]).collect()
}

/// Of the line as far as it is written: its `--socket`, else that of the environment, else the usual one.
fn socket() -> PathBuf {
    let words: Vec<OsString> = env::args_os().skip_while(|word| word != "--").skip(1).collect();
    let matches = Arguments::command().ignore_errors(true).try_get_matches_from(words);
    matches.ok().and_then(|matches| matches.get_one("socket").cloned()).unwrap_or_default()
}
