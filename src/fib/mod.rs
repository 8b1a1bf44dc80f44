//! The speaker's result, brought to the host: pure. Wanted against installed; the difference is the work, in order.
//!
//! Add: the tunnel's table (acknowledged by every worker), then the kernel route. Remove: the reverse.

use std::collections::BTreeMap;
use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Instant;

use bgpd::speaker::{FibChange, NextHopState};
use bgpd::types::NextHop;
use ipnet::IpNet;
use wgd::settings::PublicKey;
use wgd::table::{Change, Generation};

use crate::kernel::{Resolution, Route, RouteOp};

/// What the FIB is told about the host and the configuration.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Program the kernel at all.
    pub install: bool,
    /// Table, metric and protocol of our routes.
    pub table: u32,
    /// Metric.
    pub metric: u32,
    /// Protocol number.
    pub protocol: u8,
    /// Preferred sources, at most one a family.
    pub preferred_source: Vec<IpAddr>,
    /// The tunnel, where there is one.
    pub tunnel: Option<TunnelSettings>,
}

/// The tunnel as the FIB sees it.
#[derive(Clone, Debug)]
pub struct TunnelSettings {
    /// Index of the tunnel's device.
    pub interface: u32,
    /// Its peers.
    pub peers: Vec<TunnelPeer>,
}

/// One peer.
#[derive(Clone, Debug)]
pub struct TunnelPeer {
    /// Who.
    pub key: PublicKey,
    /// For people.
    pub name: String,
    /// A next hop that lies here is this peer's.
    pub allowed_ips: Vec<IpNet>,
    /// The ceiling.
    pub routed_ips: Arc<[IpNet]>,
}

/// Work for the host.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Work {
    /// Give this batch to the tunnel and answer with [`Fib::tunnel_applied`].
    Tunnel(Vec<Change>),
    /// Give this batch to the kernel and answer with [`Fib::kernel_done`].
    Kernel(Vec<RouteOp>),
    /// Look these up and answer with [`Fib::resolved`].
    Resolve(Vec<NextHop>),
    /// Tell the speaker.
    NextHops(Vec<(NextHop, NextHopState)>),
}

/// A destination as it stands.
#[derive(Clone, Debug)]
pub struct RouteView {
    /// Destination.
    pub prefix: IpNet,
    /// Kernel table.
    pub table: u32,
    /// Hops: address, interface index.
    pub hops: Vec<(Option<IpAddr>, u32)>,
    /// Discard route.
    pub discard: bool,
    /// `installed`, `pending`, `failed`, `stale`, `foreign`.
    pub state: State,
    /// Why it failed or is not installed.
    pub error: Option<String>,
    /// Names of the peers: send, backup, accept.
    pub tunnel: Option<[Vec<String>; 3]>,
}

/// How far a destination is.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum State {
    /// The kernel has it.
    Installed,
    /// On its way.
    Pending,
    /// The kernel refused.
    Failed,
    /// Kept although its last path is gone.
    Stale,
    /// Somebody else's route stands in the way.
    Foreign,
}

/// The FIB. Owned by the daemon's task.
#[derive(Debug)]
pub struct Fib {
    #[allow(dead_code)]
    settings: Settings,
}

#[allow(clippy::todo, unused_variables)]
impl Fib {
    /// `found`: routes with our protocol number that a former run has left.
    pub fn new(settings: Settings, found: Vec<Route>) -> Self {
        todo!()
    }

    /// The speaker's news.
    pub fn changes(&mut self, changes: Vec<FibChange>) {
        todo!()
    }

    /// The speaker wants to know of a next hop, or no longer.
    pub fn next_hop(&mut self, next_hop: NextHop, wanted: bool) {
        todo!()
    }

    /// Links, addresses or foreign routes changed: every next hop is looked up again.
    pub fn host_changed(&mut self) {
        todo!()
    }

    /// Answer to [`Work::Resolve`].
    pub fn resolved(&mut self, resolutions: Vec<(NextHop, Resolution)>) {
        todo!()
    }

    /// The addresses to which the tunnel sends its packets now: no route into the tunnel may capture them.
    pub fn endpoints(&mut self, endpoints: Vec<IpAddr>) {
        todo!()
    }

    /// A peer's state: a dead peer is a dead next hop.
    pub fn peer(&mut self, peer: PublicKey, alive: bool) {
        todo!()
    }

    /// Which generation the batch of the last [`Work::Tunnel`] got.
    pub fn tunnel_sent(&mut self, generation: Generation) {
        todo!()
    }

    /// Every worker has it.
    pub fn tunnel_applied(&mut self, generation: Generation) {
        todo!()
    }

    /// Answer to [`Work::Kernel`]: what [`crate::kernel::Kernel::routes`] returned.
    pub fn kernel_done(&mut self, results: io::Result<Vec<io::Result<()>>>) {
        todo!()
    }

    /// A route of ours was changed behind our back.
    pub fn own_route_lost(&mut self, route: &Route) {
        todo!()
    }

    /// What the kernel really has of ours, after lost messages.
    pub fn resync(&mut self, found: Vec<Route>) {
        todo!()
    }

    /// The speaker has told everything it had at start: what a former run has left and nobody wants is removed.
    pub fn settled(&mut self) {
        todo!()
    }

    /// Remove everything of ours (clean stop).
    pub fn withdraw_all(&mut self) {
        todo!()
    }

    /// The next piece of work; at most one [`Work::Tunnel`] and one [`Work::Kernel`] are under way at a time.
    pub fn poll_work(&mut self, now: Instant) -> Option<Work> {
        todo!()
    }

    /// Nothing is under way or waiting.
    pub fn idle(&self) -> bool {
        todo!()
    }

    /// When failed routes are tried again.
    pub fn next_timeout(&self) -> Option<Instant> {
        todo!()
    }

    /// Destinations in order.
    pub fn routes(&self, after: Option<IpNet>, limit: usize) -> Vec<RouteView> {
        todo!()
    }

    /// One destination.
    pub fn route(&self, prefix: &IpNet) -> Option<RouteView> {
        todo!()
    }

    /// Counts by state.
    pub fn counts(&self) -> BTreeMap<State, usize> {
        todo!()
    }
}
