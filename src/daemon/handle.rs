//! What the control API may ask of the running gateway.

use std::collections::BTreeMap;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bgpd::Speaker;
use bgpd::monitor::Watch;
use bgpd::mrt::Collector;
use bgpd::net::{Bgp, Monitor};
use bgpd::speaker::{ALL, Command, CommandError, Slice};
use bgpd::types::Asn;
use bgpd::view::{NeighborView, RouteView, SessionState};
use config::Source;
use ipnet::IpNet;
use tokio::sync::{mpsc, oneshot};
use wgd::capture::Filter;
use wgd::device::{Rekey, RekeyError};
use wgd::settings::PublicKey;
use wgd::uapi::{self, Changes};
use wgd::view::{PeerState, PeerView};

use super::capture::Capture;
use super::gateway::{Call, Gateway};
use super::journal::Entry;
use super::uapi::TunnelView;
use super::warnings;
use super::watchers::TunnelNews;
use crate::fib;
use crate::kernel::Link;

/// Asks the speaker's thread and the gateway's task. Cheap to clone. When the gateway is stopping, answers are empty.
#[derive(Clone)]
pub struct Handle {
    calls: mpsc::Sender<Call>,
    bgp: Option<Bgp>,
    sources: Arc<Vec<Source>>,
}

impl fmt::Debug for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Handle")
    }
}

/// How to stop.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Stop {
    /// As `on-stop` says.
    AsConfigured,
    /// Routes and device removed.
    Withdraw,
    /// Kernel routes and device stay.
    KeepRoutes,
}

/// A BGP neighbor.
#[derive(Clone, Debug)]
pub struct Neighbor {
    /// As the speaker sees it.
    pub view: NeighborView,
    /// What it was sent and has not acknowledged, and what waits in its socket.
    pub unsent_bytes: usize,
}

/// The gateway in short.
#[derive(Clone, Debug, Default)]
pub struct Status {
    /// Our AS, where there is a speaker.
    pub asn: Option<Asn>,
    /// Our identifier.
    pub router_id: Option<Ipv4Addr>,
    /// What is not up, though it does not wait for others; empty: ready.
    pub not_ready: Vec<String>,
    /// Since the start.
    pub uptime: Duration,
    /// What would stop traffic, a sentence each.
    pub warnings: Vec<String>,
    /// WireGuard peers by state.
    pub peers: BTreeMap<PeerState, usize>,
    /// What the tunnel dropped that belongs to no peer, by reason.
    pub drops: BTreeMap<&'static str, u64>,
    /// Sessions that are Established.
    pub established: usize,
    /// Sessions that are configured or have dialled in.
    pub sessions: usize,
    /// Destinations in the Loc-RIB.
    pub loc_rib: usize,
    /// The FIB by state.
    pub fib: BTreeMap<fib::State, usize>,
}

/// Why a monitor does not begin.
const TOO_MANY: &str = "there are too many monitors already";
const NO_TUNNEL: &str = "there is nothing to watch without [wireguard]";

impl Handle {
    pub(super) fn new(calls: mpsc::Sender<Call>, bgp: Option<Bgp>, sources: Arc<Vec<Source>>) -> Self {
        Self { calls, bgp, sources }
    }

    /// The gateway in short.
    pub async fn status(&self) -> Status {
        let speaker = self
            .speaker(|speaker, now| {
                let neighbors = speaker.neighbors(now);
                let up = neighbors.iter().filter(|neighbor| neighbor.state == SessionState::Established).count();
                let settings = speaker.settings();
                let warnings = warnings::of_sessions(&neighbors);
                (settings.asn, settings.router_id.address(), up, neighbors.len(), speaker.destinations(), warnings)
            })
            .await;
        let (asn, router_id, established, sessions, loc_rib, of_sessions) = match speaker {
            Some((asn, router_id, up, all, destinations, warnings)) => {
                (Some(asn), Some(router_id), up, all, destinations, warnings)
            }
            None => Default::default(),
        };
        let host = self.gateway(|gateway| {
            let mut peers = BTreeMap::new();
            for state in gateway.peer_states.values() {
                *peers.entry(*state).or_insert(0) += 1;
            }
            (gateway.started.elapsed(), peers, (gateway.warnings(), gateway.drops()), gateway.fib.counts())
        });
        let (host, not_ready) = (host.await, self.not_ready().await);
        let Some((uptime, peers, (mut warnings, drops), fib)) = host else {
            return Status { not_ready, ..Status::default() };
        };
        warnings.extend(of_sessions);
        Status { asn, router_id, not_ready, uptime, warnings, peers, drops, established, sessions, loc_rib, fib }
    }

    /// What is not up, though it does not wait for others.
    pub async fn not_ready(&self) -> Vec<String> {
        let is_stopping = self.gateway(|gateway| gateway.stopping.is_some()).await.unwrap_or(true);
        is_stopping.then(|| "stopping".to_owned()).into_iter().collect()
    }

    /// Every BGP neighbor, by name.
    pub async fn neighbors(&self) -> Vec<Neighbor> {
        let views = self.speaker(|speaker, now| speaker.neighbors(now)).await.unwrap_or_default();
        self.with_unsent(views).await
    }

    /// A BGP neighbor, by name or address.
    pub async fn neighbor(&self, neighbor: String) -> Option<Neighbor> {
        let view = self.speaker(move |speaker, now| speaker.neighbor(now, &neighbor)).await.flatten();
        self.with_unsent(Vec::from_iter(view)).await.pop()
    }

    /// Asked for after the views: who had nothing pending, and has nothing unsent then, has been told everything.
    async fn with_unsent(&self, views: Vec<NeighborView>) -> Vec<Neighbor> {
        let unsent = match &self.bgp {
            Some(bgp) => bgp.unsent().await.unwrap_or_default(),
            None => BTreeMap::new(),
        };
        let unsent_bytes =
            |view: &NeighborView| view.connection.and_then(|connection| unsent.get(&connection)).map_or(0, |all| *all);
        views.into_iter().map(|view| Neighbor { unsent_bytes: unsent_bytes(&view), view }).collect()
    }

    /// A slice of the Loc-RIB.
    pub async fn routes(&self, slice: Slice) -> Vec<RouteView> {
        self.speaker(move |speaker, now| speaker.routes(now, slice)).await.unwrap_or_default()
    }

    /// A slice of the Loc-RIB with the neighbors of that moment, for a dump; absent without a speaker.
    pub async fn dump(&self, slice: Slice, at: Duration) -> Option<(Collector, Vec<NeighborView>, Vec<RouteView>)> {
        self.speaker(move |speaker, now| {
            (Collector::new(speaker.settings(), at), speaker.neighbors(now), speaker.routes(now, slice))
        })
        .await
    }

    /// The longest prefix of the Loc-RIB that covers an address.
    pub async fn longest_match(&self, address: IpAddr) -> Option<RouteView> {
        self.speaker(move |speaker, now| speaker.longest_match(now, address)).await.flatten()
    }

    /// A slice of what a neighbor (name or address) has sent; `None`: no such neighbor.
    pub async fn received(&self, neighbor: String, slice: Slice) -> Option<Vec<RouteView>> {
        self.speaker(move |speaker, now| speaker.received(now, &neighbor, slice)).await.flatten()
    }

    /// A slice of what a neighbor was told; `None`: no such neighbor.
    pub async fn advertised(&self, neighbor: String, slice: Slice) -> Option<Vec<RouteView>> {
        self.speaker(move |speaker, now| speaker.advertised(now, &neighbor, slice)).await.flatten()
    }

    /// A slice of the FIB.
    pub async fn fib(&self, after: Option<IpNet>, limit: usize) -> Vec<fib::RouteView> {
        self.gateway(move |gateway| gateway.fib.routes(after, limit)).await.unwrap_or_default()
    }

    /// Those of these destinations that the FIB knows.
    pub async fn fib_routes(&self, prefixes: Vec<IpNet>) -> Vec<fib::RouteView> {
        let find = move |gateway: &mut Gateway| prefixes.iter().filter_map(|p| gateway.fib.route(p)).collect();
        self.gateway(find).await.unwrap_or_default()
    }

    /// Every WireGuard peer, in file order.
    pub async fn peers(&self) -> Vec<PeerView> {
        let peers = self.gateway(|gateway| gateway.peers()).await.unwrap_or_default();
        self.with_permitted(peers).await
    }

    /// A new session with a WireGuard peer (name or public key).
    ///
    /// # Errors
    ///
    /// When nothing was done.
    pub async fn rekey(&self, peer: String, how: Rekey) -> Result<(), RekeyError> {
        let done = self.gateway(move |gateway| gateway.rekey(peer, how)).await;
        done.unwrap_or(Err(RekeyError::NoSuchPeer))
    }

    /// The kernel's links, for the names behind indices.
    pub async fn links(&self) -> Vec<Link> {
        match self.gateway(|gateway| gateway.kernel.clone()).await {
            Some(kernel) => kernel.links().await.unwrap_or_default(),
            None => Vec::new(),
        }
    }

    /// What happened after the entry with this number.
    pub async fn events(&self, after: u64) -> Vec<Entry> {
        self.gateway(move |gateway| gateway.journal.after(after)).await.unwrap_or_default()
    }

    /// The tunnel as it is; `None`: there is none, or the gateway is stopping.
    pub async fn tunnel(&self) -> Option<TunnelView> {
        let view = self.gateway(|gateway| gateway.tunnel_view()).await.flatten()?;
        Some(TunnelView { peers: self.with_permitted(view.peers).await, ..view })
    }

    /// Changes the tunnel until the next start, whole or not at all; `None`: the gateway is stopping.
    pub async fn change_tunnel(&self, changes: Changes) -> Option<Result<(), uapi::Error>> {
        self.gateway(move |gateway| gateway.change_tunnel(&changes)).await
    }

    /// How the tunnel differs from the configuration, a sentence each.
    pub async fn drift(&self) -> Vec<String> {
        self.gateway(|gateway| gateway.drift()).await.unwrap_or_default()
    }

    /// The configuration files as read.
    pub fn config(&self) -> &[Source] {
        &self.sources
    }

    /// Begins to watch.
    ///
    /// # Errors
    ///
    /// Why not, in one sentence.
    pub async fn monitor(&self, watch: Watch) -> Result<Monitor, &'static str> {
        let bgp = self.bgp.as_ref().ok_or("there is nothing to watch without [bgp]")?;
        bgp.monitor(watch).await.ok_or(TOO_MANY)
    }

    /// Begins to follow the tunnel's peers.
    ///
    /// # Errors
    ///
    /// Why not, in one sentence.
    pub async fn monitor_tunnel(&self) -> Result<mpsc::Receiver<TunnelNews>, &'static str> {
        let added = self.gateway(|gateway| gateway.device.as_ref().map(|_| gateway.watchers.add()));
        added.await.flatten().ok_or(NO_TUNNEL)?.ok_or(TOO_MANY)
    }

    /// Begins to capture the tunnel's packets.
    ///
    /// # Errors
    ///
    /// Why not, in one sentence.
    pub async fn capture(&self, filter: Filter) -> Result<Capture, &'static str> {
        let begun =
            self.gateway(|gateway| gateway.device.as_ref().map(|device| Capture::start(&device.tunnel, filter)));
        begun.await.flatten().ok_or(NO_TUNNEL)?.ok_or(TOO_MANY)
    }

    /// The key of a WireGuard peer by its name, where one is given.
    ///
    /// # Errors
    ///
    /// The name, where no peer has it.
    pub async fn peer_key(&self, name: Option<String>) -> Result<Option<PublicKey>, String> {
        let Some(name) = name else { return Ok(None) };
        let peers = self.gateway(|gateway| gateway.peers()).await.unwrap_or_default();
        let found = peers.into_iter().find(|peer| peer.name == name);
        found.map(|peer| Some(peer.public_key)).ok_or(name)
    }

    /// A command for a neighbor (name or address), or for all.
    ///
    /// # Errors
    ///
    /// When nothing was done. Without a speaker there are no neighbors, so a command for all of them is done.
    pub async fn neighbor_command(&self, neighbor: String, command: Command) -> Result<(), CommandError> {
        let done = self.speaker({
            let neighbor = neighbor.clone();
            move |speaker, now| speaker.command(now, &neighbor, &command)
        });
        match done.await {
            Some(done) => done,
            None if neighbor == ALL => Ok(()),
            None => Err(CommandError::NoSuchNeighbor(neighbor)),
        }
    }

    /// Stops the gateway; returns when it has begun to.
    pub async fn stop(&self, how: Stop) {
        self.gateway(move |gateway| gateway.stopping = Some(how)).await;
    }

    /// Asks every thread something and waits for all of them; false: the gateway is stopping.
    pub async fn threads_answer(&self) -> bool {
        let kernel = self.gateway(|gateway| {
            gateway.tunnel_answers();
            gateway.kernel.clone()
        });
        let Some(kernel) = kernel.await else { return false };
        let speaker = self.bgp.is_none() || self.speaker(|_, _| ()).await.is_some();
        speaker && kernel.answers().await.is_ok()
    }

    async fn speaker<T: Send + 'static>(
        &self,
        question: impl FnOnce(&mut Speaker, Instant) -> T + Send + 'static,
    ) -> Option<T> {
        self.bgp.as_ref()?.call(question).await
    }

    pub(super) async fn gateway<T: Send + 'static>(
        &self,
        question: impl FnOnce(&mut Gateway) -> T + Send + 'static,
    ) -> Option<T> {
        let (answer, answered) = oneshot::channel();
        let call: Call = Box::new(move |gateway| drop(answer.send(question(gateway))));
        self.calls.send(call).await.ok()?;
        answered.await.ok()
    }
}
