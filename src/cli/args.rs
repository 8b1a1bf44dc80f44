//! The command line's words.

use std::path::PathBuf;
use std::time::Duration;

use clap::builder::PossibleValuesParser;
use clap::{Args, Parser, Subcommand, ValueEnum, ValueHint};
use clap_complete::ArgValueCandidates;

use super::completions::{self, Shell};
use super::help;
use crate::{control, lab};

/// A BGP and WireGuard VPN gateway.
///
/// One program that is a BGP speaker and a WireGuard tunnel, both in userspace: a route that a neighbor announces becomes
/// a permission of a WireGuard peer and a route of the kernel in one step.
#[derive(Debug, Parser)]
#[command(
    name = "vpngw",
    version,
    arg_required_else_help = true,
    disable_help_subcommand = true,
    after_long_help = help::sections()
)]
pub(super) struct Arguments {
    /// Control socket of the running gateway
    #[arg(long, global = true, value_name = "PATH", env = "VPNGW_SOCKET", default_value = "/run/vpngw/vpngw.sock")]
    pub(super) socket: PathBuf,
    #[command(subcommand)]
    pub(super) command: Command,
}

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Run the gateway
    Run {
        /// Its configuration; `conf.d/*.toml` beside it is read too
        #[arg(long, value_name = "FILE", default_value = "/etc/vpngw/vpngw.toml")]
        config: PathBuf,
        /// What SIGTERM leaves behind where the file has no `on-stop`
        #[arg(long, value_name = "WHAT", value_enum, default_value = "withdraw")]
        on_stop: OnStop,
    },
    /// Stop the running gateway and wait for its end
    Stop(Stop),
    /// Check configurations: each file by itself, and all of them together
    ///
    /// Prints everything that is wrong, with file, line and column, and nothing where all is right. Both ends of a tunnel
    /// in one call are also checked against each other.
    Check(Check),
    /// Show what the running gateway knows
    ///
    /// Tables for people; with --json the answers of the control API, which keep their form.
    Show(Show),
    /// Print a line each time something changes, until Ctrl-C
    ///
    /// With --json an object a line, with the names that `show` has. A monitor that does not keep up is told how many
    /// changes it has missed. With --write nothing is printed: what the sessions say, or the packets, goes to a file.
    Monitor(Monitor),
    /// Tell a BGP neighbor's session what to do
    Neighbor {
        /// Name or address, as `show neighbors` has it, or `all`
        #[arg(add = ArgValueCandidates::new(completions::neighbors_or_all))]
        name: String,
        #[command(subcommand)]
        command: NeighborCommand,
    },
    /// Tell a WireGuard peer's tunnel what to do
    Peer {
        /// Name or public key, as `show peers` has it
        #[arg(add = ArgValueCandidates::new(completions::peers))]
        name: String,
        #[command(subcommand)]
        command: PeerCommand,
    },
    /// Make WireGuard keys
    ///
    /// Keys are printed in base64, as the tool wg prints them. A file that holds a private or preshared key must not be
    /// readable by everyone: set the umask before it is written.
    Key {
        #[command(subcommand)]
        command: KeyCommand,
    },
    /// Build a whole site on this machine, in network namespaces
    ///
    /// Two real gateways, and stand-ins for the hosts behind them. Needs root and nothing else; everything is removed at
    /// the end. Fails unless everything that the site must do came true and stayed so.
    Lab {
        /// Which one
        #[arg(default_value = "homelab-aws", value_parser = PossibleValuesParser::new(lab::SITES))]
        site: String,
        /// End by itself after this time: 60s, 5m
        #[arg(long = "for", value_name = "DURATION", value_parser = duration)]
        duration: Option<Duration>,
    },
    /// Print a script that completes words in a shell
    ///
    /// The script asks vpngw itself, found by PATH, so that neighbors are completed from the running gateway. To use it in
    /// this shell only: source <(vpngw completions bash), or vpngw completions fish | source.
    Completions {
        /// Which one
        shell: Shell,
    },
    /// Write the manual pages, for packagers
    #[command(hide = true)]
    Man {
        /// Where they are written; made if it is not there
        #[arg(value_name = "DIRECTORY", value_hint = ValueHint::DirPath)]
        directory: PathBuf,
    },
    /// The part of a lab that lives inside a namespace
    #[command(hide = true)]
    LabNode,
}

#[derive(Args, Debug)]
pub(super) struct Stop {
    /// Remove our routes and the device, whatever `on-stop` says
    #[arg(long, conflicts_with = "keep_routes")]
    pub(super) withdraw: bool,
    /// Leave our routes in the kernel, whatever `on-stop` says
    #[arg(long)]
    pub(super) keep_routes: bool,
    /// The gateway of this configuration; where it does not run, what it has kept is removed
    #[arg(long, value_name = "FILE", requires = "withdraw", conflicts_with = "keep_routes")]
    pub(super) config: Option<PathBuf>,
}

/// As `[router] on-stop`.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub(super) enum OnStop {
    /// Routes and device are removed
    Withdraw,
    /// Routes and device stay, also after a crash
    Keep,
}

impl From<OnStop> for config::OnStop {
    fn from(on_stop: OnStop) -> Self {
        match on_stop {
            OnStop::Withdraw => Self::Withdraw,
            OnStop::Keep => Self::Keep,
        }
    }
}

#[derive(Args, Debug)]
pub(super) struct Check {
    /// A gateway's main file; `conf.d/*.toml` beside it is read too
    #[arg(required_unless_present = "schema", value_name = "FILE")]
    pub(super) files: Vec<PathBuf>,
    /// Do not read the files that hold keys and passwords
    #[arg(long)]
    pub(super) no_secrets: bool,
    /// Print the JSON Schema of a configuration file instead
    #[arg(long, conflicts_with_all = ["files", "no_secrets"])]
    pub(super) schema: bool,
}

#[derive(Args, Debug)]
#[command(subcommand_value_name = "WHAT", subcommand_help_heading = "What")]
pub(super) struct Show {
    /// Print JSON, as docs/schema has it
    #[arg(long, global = true)]
    pub(super) json: bool,
    /// Show it again every second
    #[arg(long, global = true)]
    pub(super) watch: bool,
    #[command(subcommand)]
    pub(super) what: What,
}

#[derive(Debug, Subcommand)]
pub(super) enum What {
    /// The gateway in short
    Status,
    /// BGP neighbors, a line each
    Neighbors,
    /// One BGP neighbor
    Neighbor {
        /// Name or address
        #[arg(add = ArgValueCandidates::new(completions::neighbors))]
        name: String,
    },
    /// The Loc-RIB: every path, and why it is or is not used
    Routes {
        /// Only this prefix and what is inside it; of an address, the longest prefix that covers it
        #[arg(value_parser = prefix)]
        prefix: Option<String>,
        /// Write them to a file in the MRT format, which bgpdump reads, in place of showing them
        #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath, conflicts_with_all = ["json", "watch"])]
        mrt: Option<PathBuf>,
    },
    /// What a neighbor sent, before policy
    Received {
        /// Name or address
        #[arg(add = ArgValueCandidates::new(completions::neighbors))]
        name: String,
    },
    /// What a neighbor was told
    Advertised {
        /// Name or address
        #[arg(add = ArgValueCandidates::new(completions::neighbors))]
        name: String,
    },
    /// What the kernel and the tunnel were told
    Fib,
    /// WireGuard peers
    Peers,
    /// What happened last
    Events,
    /// The configuration files as they were read
    Config,
}

#[derive(Args, Debug)]
#[command(subcommand_value_name = "WHAT", subcommand_help_heading = "What")]
pub(super) struct Monitor {
    /// Print JSON, an object a line, as docs/schema has it
    #[arg(long, global = true)]
    pub(super) json: bool,
    /// Write to a file in place of printing: MRT, which bgpdump reads; of packets pcapng, which tcpdump reads
    #[arg(long, global = true, value_name = "FILE", value_hint = ValueHint::FilePath, conflicts_with = "json")]
    pub(super) write: Option<PathBuf>,
    #[command(subcommand)]
    pub(super) what: Watched,
}

#[derive(Clone, Debug, Subcommand)]
pub(super) enum Watched {
    /// States of BGP sessions, and why they ended; with --write also every message that is no UPDATE
    Sessions,
    /// Best routes of the Loc-RIB; with --write every UPDATE, received and sent, and the states of the sessions
    Routes,
    /// WireGuard peers: whether they answer, where they are, and when there are new session keys
    Tunnel,
    /// Packets inside the tunnel, in both directions
    Packets(Packets),
}

#[derive(Args, Clone, Debug)]
pub(super) struct Packets {
    /// Only to and from this WireGuard peer
    #[arg(long, value_name = "NAME", add = ArgValueCandidates::new(completions::peers))]
    pub(super) peer: Option<String>,
    /// Only packets whose source or destination is this address, or inside this prefix
    #[arg(long, value_name = "PREFIX", value_parser = prefix)]
    pub(super) address: Option<String>,
    /// Keep so many octets of each packet
    #[arg(long, value_name = "OCTETS", default_value_t = u16::MAX)]
    pub(super) snap: u16,
}

#[derive(Debug, Subcommand)]
pub(super) enum NeighborCommand {
    /// End the session and start it again
    Reset,
    /// Ask for all its routes again
    Refresh,
    /// Send it all routes again
    Resend,
    /// End the session and keep it down
    Disable {
        /// Told to the neighbor
        message: Option<String>,
    },
    /// Let it choose other paths before ours go: what it is told carries GRACEFUL_SHUTDOWN, until `enable`
    Drain {
        /// Return when everything is sent and this time has passed since: 5s, 1m
        #[arg(long, value_name = "DURATION", value_parser = duration)]
        wait: Option<Duration>,
    },
    /// Undo `disable` and `drain`
    Enable,
}

#[derive(Clone, Copy, Debug, Subcommand)]
pub(super) enum PeerCommand {
    /// Make a new session; the old one carries packets until then
    Rekey,
    /// Throw the session away and make a new one
    Reset,
}

#[derive(Debug, Subcommand)]
pub(super) enum KeyCommand {
    /// A new private key
    Generate,
    /// The public key of the private key on stdin
    Public,
    /// A new preshared key
    Preshared,
}

/// A prefix with its host bits cleared, or an address as it is.
fn prefix(text: &str) -> Result<String, &'static str> {
    let prefix = control::parse_prefix(text).ok_or("a prefix or an address is expected")?;
    Ok(if text.contains('/') { prefix.to_string() } else { prefix.addr().to_string() })
}

/// As in the configuration: with a unit, or seconds.
fn duration(text: &str) -> Result<Duration, humantime::DurationError> {
    text.parse().map(Duration::from_secs).or_else(|_| humantime::parse_duration(text))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use clap::CommandFactory as _;

    use super::*;

    fn parse(line: &str) -> Result<Arguments, clap::Error> {
        Arguments::try_parse_from(line.split(' '))
    }

    #[test]
    fn the_command_line_has_no_contradictions() {
        Arguments::command().debug_assert();
    }

    /// `show status`, `neighbor NAME reset`: every command that has none below it, and no hidden one.
    fn leaves(command: &clap::Command, words: &str) -> Vec<String> {
        let below: Vec<_> = command.get_subcommands().filter(|below| !below.is_hide_set()).collect();
        if below.is_empty() {
            return vec![words.to_owned()];
        }
        let names = command.get_positionals().filter_map(|name| name.get_value_names()).flatten();
        let words = names.fold(words.to_owned(), |words, name| format!("{words} {name}"));
        below.iter().flat_map(|below| leaves(below, format!("{words} {}", below.get_name()).trim())).collect()
    }

    #[test]
    fn every_command_is_in_the_reference() {
        let page = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/cli.md")).unwrap();
        let missing: Vec<_> =
            leaves(&Arguments::command(), "").into_iter().filter(|words| !page.contains(words)).collect();
        assert_eq!(missing, Vec::<String>::new());
    }

    #[test]
    fn json_and_watch_may_stand_after_what_is_shown() {
        let Command::Show(show) = parse("vpngw show routes 10.1.2.3/8 --json --watch").unwrap().command else {
            panic!()
        };
        assert!(show.json && show.watch);
        let What::Routes { prefix, .. } = show.what else { panic!() };
        assert_eq!(prefix.unwrap(), "10.0.0.0/8");
    }

    #[test]
    fn an_address_stays_one() {
        assert_eq!(prefix("fd00:0::1").unwrap(), "fd00::1");
        assert_eq!(prefix("fd00::1/128").unwrap(), "fd00::1/128");
        assert!(prefix("10.0.0.0/33").is_err());
    }

    #[test]
    fn the_socket_may_stand_last() {
        assert_eq!(parse("vpngw show fib --socket /s").unwrap().socket, PathBuf::from("/s"));
    }

    #[test]
    fn a_stop_cannot_both_withdraw_and_keep() {
        assert_eq!(parse("vpngw stop --withdraw --keep-routes").unwrap_err().exit_code(), 2);
    }

    #[test]
    fn only_a_stop_that_withdraws_needs_to_know_the_configuration() {
        assert!(parse("vpngw stop --withdraw --config /f").is_ok());
        assert_eq!(parse("vpngw stop --config /f").unwrap_err().exit_code(), 2);
        assert_eq!(parse("vpngw stop --keep-routes --config /f").unwrap_err().exit_code(), 2);
    }

    #[test]
    fn a_check_needs_a_file_or_the_wish_for_the_schema() {
        assert_eq!(parse("vpngw check").unwrap_err().exit_code(), 2);
        assert!(parse("vpngw check --schema").is_ok());
    }

    #[test]
    fn a_site_that_there_is_not_is_answered_with_those_that_there_are() {
        let error = parse("vpngw lab wrong").unwrap_err();
        assert_eq!(error.exit_code(), 2);
        assert!(error.to_string().contains("[possible values: homelab-aws]"), "{error}");
    }

    #[test]
    fn a_duration_has_a_unit_or_is_in_seconds() {
        assert_eq!(duration("90").unwrap(), Duration::from_secs(90));
        assert_eq!(duration("2m").unwrap(), Duration::from_secs(120));
        assert!(duration("soon").is_err());
    }
}
