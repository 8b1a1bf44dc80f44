//! The composition root: builds the engines, wires them, starts and stops them in order.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::path::Path;
use std::time::{Duration, SystemTime};

use bgpd::speaker::{Command, Slice};
use bgpd::types::Asn;
use ipnet::IpNet;

use crate::fib;

/// What the control API may ask of the running gateway. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Handle {}

/// How to stop.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Stop {
    /// As `on-stop` says.
    AsConfigured,
    /// Routes and device removed.
    Withdraw,
    /// Kernel routes stay.
    KeepRoutes,
}

/// The gateway in short.
#[derive(Clone, Debug)]
pub struct Status {
    /// Our AS, where there is a speaker.
    pub asn: Option<Asn>,
    /// Our identifier.
    pub router_id: Option<Ipv4Addr>,
    /// Everything that does not wait for others is up.
    pub ready: bool,
    /// Why not.
    pub not_ready: Vec<String>,
    /// Since the start.
    pub uptime: Duration,
    /// Peers by state.
    pub peers: BTreeMap<&'static str, usize>,
    /// Sessions: established, configured.
    pub sessions: (usize, usize),
    /// Destinations in the Loc-RIB, and the FIB by state.
    pub loc_rib: usize,
    /// FIB by state.
    pub fib: BTreeMap<fib::State, usize>,
}

/// Something that happened, newest last; the last 1000 are kept.
#[derive(Clone, Debug)]
pub struct LogEvent {
    /// Counts up.
    pub number: u64,
    /// When.
    pub at: SystemTime,
    /// `session-up`, `session-down`, `peer-up`, `peer-suspect`, `peer-down`, `refused`, `kernel`.
    pub kind: &'static str,
    /// The neighbor or peer.
    pub subject: String,
    /// One sentence.
    pub text: String,
}

#[allow(clippy::todo, unused_variables, clippy::unused_async, missing_docs)]
impl Handle {
    pub async fn status(&self) -> Status {
        todo!()
    }

    pub async fn neighbors(&self) -> Vec<bgpd::view::NeighborView> {
        todo!()
    }

    pub async fn routes(&self, slice: Slice) -> Vec<bgpd::view::RouteView> {
        todo!()
    }

    /// `None`: no such neighbor.
    pub async fn received(&self, neighbor: String, slice: Slice) -> Option<Vec<bgpd::view::RouteView>> {
        todo!()
    }

    /// `None`: no such neighbor.
    pub async fn advertised(&self, neighbor: String, slice: Slice) -> Option<Vec<bgpd::view::RouteView>> {
        todo!()
    }

    pub async fn fib(&self, after: Option<IpNet>, limit: usize) -> Vec<fib::RouteView> {
        todo!()
    }

    /// These prefixes, where the FIB knows them.
    pub async fn fib_routes(&self, prefixes: Vec<IpNet>) -> Vec<fib::RouteView> {
        todo!()
    }

    pub async fn peers(&self) -> Vec<wgd::view::PeerView> {
        todo!()
    }

    /// Device name and MTU by link index, for `show fib` and `show peers`.
    pub async fn links(&self) -> Vec<crate::kernel::Link> {
        todo!()
    }

    pub async fn events(&self, after: u64) -> Vec<LogEvent> {
        todo!()
    }

    /// The configuration files as read, by name.
    pub fn config(&self) -> &[config::Source] {
        todo!()
    }

    /// Name or address; false: no such neighbor.
    pub async fn neighbor_command(&self, neighbor: String, command: Command) -> bool {
        todo!()
    }

    pub fn stop(&self, how: Stop) {
        todo!()
    }
}

/// Runs the gateway until it is told to stop. Behind `vpngw run`.
#[allow(clippy::todo, unused_variables, clippy::missing_errors_doc)]
pub fn run(config: &Path) -> anyhow::Result<()> {
    todo!()
}
