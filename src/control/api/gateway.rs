//! The gateway as a whole: status, events, configuration, and what it can be told.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use config::Source;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use wgd::view::PeerState;

use super::timestamp;
use crate::{daemon, fib};

/// The gateway in short. `GET /v1/status`.
#[derive(Clone, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(default)]
pub struct Status {
    /// Who we are.
    pub router: Router,
    /// Everything that does not wait for others is up.
    pub ready: bool,
    /// What is not.
    pub not_ready: Vec<String>,
    /// What would stop traffic, as far as it can be known here: a sentence each.
    pub warnings: Vec<String>,
    /// Of the running program.
    pub version: String,
    /// Since its start.
    pub uptime_seconds: u64,
    /// WireGuard peers.
    pub tunnels: TunnelCounts,
    /// BGP sessions.
    pub sessions: SessionCounts,
    /// Prefixes.
    pub routes: RouteCounts,
}

/// Who we are.
#[derive(Clone, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(default)]
pub struct Router {
    /// Our AS; null without `[bgp]`.
    pub asn: Option<u32>,
    /// Our BGP Identifier; null without `[bgp]`.
    pub router_id: Option<Ipv4Addr>,
}

/// WireGuard peers by state.
#[derive(Clone, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(default)]
#[allow(missing_docs)]
pub struct TunnelCounts {
    pub up: usize,
    pub suspect: usize,
    pub down: usize,
    /// Packets and datagrams dropped that belong to no peer, by reason.
    pub drops: BTreeMap<String, u64>,
}

/// BGP sessions.
#[derive(Clone, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(default)]
pub struct SessionCounts {
    /// Up.
    pub established: usize,
    /// Configured neighbors, and those that dialled in.
    pub configured: usize,
}

/// Prefixes.
#[derive(Clone, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(default)]
pub struct RouteCounts {
    /// In the Loc-RIB.
    pub loc_rib: usize,
    /// In the FIB, by state.
    pub fib: FibCounts,
}

/// Prefixes of the FIB by state.
#[derive(Clone, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(default)]
#[allow(missing_docs)]
pub struct FibCounts {
    pub installed: usize,
    pub pending: usize,
    pub failed: usize,
    pub stale: usize,
    pub foreign: usize,
}

/// `GET /v1/events`.
#[derive(Clone, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(default)]
pub struct Events {
    /// The newest last.
    pub events: Vec<Event>,
}

/// Something that happened.
#[derive(Clone, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(default)]
pub struct Event {
    /// Counts up from the start.
    pub number: u64,
    /// When, in UTC (RFC 3339).
    pub at: String,
    /// `session-up`, `peer-down` and the like.
    pub kind: String,
    /// The neighbor or peer.
    pub subject: String,
    /// In one sentence.
    pub text: String,
}

/// `GET /v1/config`.
#[derive(Clone, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(default)]
pub struct ConfigFiles {
    /// In the order in which they were read.
    pub files: Vec<ConfigFile>,
    /// How the running tunnel differs from them since `wg` changed it, a sentence each; a restart undoes it.
    pub drift: Vec<String>,
}

/// A file of the configuration as it was read.
#[derive(Clone, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(default)]
pub struct ConfigFile {
    /// Its path.
    pub name: String,
    /// What stands in it.
    pub text: String,
}

/// `GET /readyz`.
#[derive(Clone, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(default)]
pub struct Readiness {
    /// Everything that does not wait for others is up.
    pub ready: bool,
    /// What is not.
    pub not_ready: Vec<String>,
}

/// `GET /healthz`.
#[derive(Clone, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(default)]
pub struct Health {
    /// The gateway answers.
    pub healthy: bool,
}

/// Body of `POST /v1/stop`; may be left out.
#[derive(Clone, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Stop {
    /// What becomes of our routes; null: as `on-stop` says.
    pub routes: Option<StopRoutes>,
}

/// What becomes of our routes.
#[derive(Clone, Copy, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum StopRoutes {
    /// They are removed, and the device with them.
    Withdraw,
    /// They stay in the kernel.
    Keep,
}

impl From<daemon::Status> for Status {
    fn from(status: daemon::Status) -> Self {
        let peers = |state| status.peers.get(&state).copied().unwrap_or_default();
        let fib = |state| status.fib.get(&state).copied().unwrap_or_default();
        Self {
            router: Router { asn: status.asn.map(|asn| asn.get()), router_id: status.router_id },
            ready: status.not_ready.is_empty(),
            version: env!("CARGO_PKG_VERSION").into(),
            uptime_seconds: status.uptime.as_secs(),
            tunnels: TunnelCounts {
                up: peers(PeerState::Up),
                suspect: peers(PeerState::Suspect),
                down: peers(PeerState::Down),
                drops: status.drops.into_iter().map(|(reason, count)| (reason.into(), count)).collect(),
            },
            sessions: SessionCounts { established: status.established, configured: status.sessions },
            routes: RouteCounts {
                loc_rib: status.loc_rib,
                fib: FibCounts {
                    installed: fib(fib::State::Installed),
                    pending: fib(fib::State::Pending),
                    failed: fib(fib::State::Failed),
                    stale: fib(fib::State::Stale),
                    foreign: fib(fib::State::Foreign),
                },
            },
            not_ready: status.not_ready,
            warnings: status.warnings,
        }
    }
}

impl From<daemon::Entry> for Event {
    fn from(event: daemon::Entry) -> Self {
        Self {
            number: event.number,
            at: timestamp(event.at),
            kind: event.kind.into(),
            subject: event.subject,
            text: event.text,
        }
    }
}

impl From<&Source> for ConfigFile {
    fn from(source: &Source) -> Self {
        Self { name: source.name.clone(), text: source.text.clone() }
    }
}

impl From<Stop> for daemon::Stop {
    fn from(stop: Stop) -> Self {
        match stop.routes {
            None => Self::AsConfigured,
            Some(StopRoutes::Withdraw) => Self::Withdraw,
            Some(StopRoutes::Keep) => Self::KeepRoutes,
        }
    }
}
