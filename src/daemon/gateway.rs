//! The gateway's task: what the speaker, the kernel, the tunnel and the operator say goes to the FIB, and what the FIB
//! wants goes to them.
//!
//! Runs on the thread `vpngw`, which owns the FIB. Nothing here waits for a neighbor, a peer or a name server: slow
//! work is a job whose result comes back as one more input.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::AsFd as _;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use bgpd::net::Bgp;
use bgpd::speaker::{Event, Input};
use bgpd::types::NextHop;
use config::Config;
use config::settings::OnStop;
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::JoinSet;
use tracing::{info, warn};
use wgd::settings::PublicKey;
use wgd::view::{PeerState, PeerView};

use super::handle::Stop;
use super::inputs::{Heard, Inputs, sleep_until};
use super::journal::Journal;
use super::news::News;
use super::start::Device;
use crate::fib::{Fib, Work};
use crate::host;
use crate::kernel::{self, Address, Kernel, Resolution, Route};

/// A question to the gateway's task, run between two inputs.
pub(super) type Call = Box<dyn FnOnce(&mut Gateway) + Send>;
/// Questions that may wait; an asker beyond waits for room.
pub(super) const CALLS: usize = 64;
/// What a former run has left is kept this long for its neighbors to come back (RFC 4724 §4.1).
const LEFTOVERS: Duration = Duration::from_secs(180);
/// How long a clean stop may take.
const STOP: Duration = Duration::from_secs(5);

/// The task's state.
#[derive(Debug)]
pub(super) struct Gateway {
    pub(super) fib: Fib,
    pub(super) journal: Journal,
    pub(super) started: Instant,
    pub(super) stopping: Option<Stop>,
    pub(super) kernel: Kernel,
    config: Config,
    bgp: Option<Bgp>,
    device: Option<Device>,
    jobs: JoinSet<Done>,
    settle_at: Option<Instant>,
}

/// The result of a job.
#[derive(Debug)]
enum Done {
    Kernel(io::Result<Vec<io::Result<()>>>),
    Resolved(Vec<NextHop>, io::Result<Vec<Resolution>>),
    Companions(io::Result<Vec<(IpAddr, IpAddr)>>),
    OwnRoutes(io::Result<Vec<Route>>),
    Endpoint(PublicKey, String, io::Result<Vec<SocketAddr>>),
}

impl Gateway {
    pub(super) fn new(config: Config, kernel: Kernel, fib: Fib, bgp: Option<Bgp>, device: Option<Device>) -> Self {
        let started = Instant::now();
        Self {
            fib,
            journal: Journal::default(),
            started,
            stopping: None,
            config,
            kernel,
            bgp,
            device,
            jobs: JoinSet::new(),
            settle_at: Some(started + LEFTOVERS),
        }
    }

    /// Until told to stop, or until a part ends.
    pub(super) async fn run(mut self, mut inputs: Inputs) -> Result<()> {
        self.host_changed();
        self.tell_endpoints();
        let mut terminate = signal(SignalKind::terminate()).context("cannot listen for SIGTERM")?;
        let mut interrupt = signal(SignalKind::interrupt()).context("cannot listen for SIGINT")?;
        loop {
            self.do_work().await;
            let timeout = self.next_timeout();
            if let Some(how) = self.stopping {
                return self.stop(how, inputs).await;
            }
            tokio::select! {
                _ = terminate.recv() => self.stopping = Some(Stop::AsConfigured),
                _ = interrupt.recv() => self.stopping = Some(Stop::AsConfigured),
                input = inputs.next() => self.take(input).await?,
                Some(done) = self.jobs.join_next() => self.done(done.context("a job of the gateway panicked")?).await?,
                () = sleep_until(timeout) => self.timeout(),
            }
        }
    }

    async fn take(&mut self, input: Heard) -> Result<()> {
        match input {
            Heard::Call(call) => call(self),
            Heard::Fib(changes) => self.fib.changes(changes),
            Heard::Event(event) => self.event(event),
            Heard::Kernel(event) => self.kernel_event(event),
            Heard::News(news) => self.news(news).await?,
            Heard::Ended(part) => bail!("the {part} ended unexpectedly"),
        }
        Ok(())
    }

    /// Hands out what the FIB wants, until it wants nothing more for now.
    async fn do_work(&mut self) {
        while let Some(work) = self.fib.poll_work(Instant::now()) {
            match work {
                Work::Tunnel(changes) => {
                    if let Some(device) = &self.device {
                        self.fib.tunnel_sent(device.tunnel.table(changes));
                    }
                }
                Work::Kernel(ops) => {
                    let kernel = self.kernel.clone();
                    self.jobs.spawn(async move { Done::Kernel(kernel.routes(ops).await) });
                }
                Work::Resolve(hops) => {
                    let kernel = self.kernel.clone();
                    self.jobs.spawn(async move {
                        let asked = hops.iter().map(|hop| (hop.address, hop.scope)).collect();
                        Done::Resolved(hops, kernel.resolve(asked).await)
                    });
                }
                Work::NextHops(states) => {
                    if let Some(bgp) = &self.bgp {
                        bgp.call(move |speaker, now| speaker.input(now, Input::NextHops(states))).await;
                    }
                }
            }
        }
    }

    async fn done(&mut self, done: Done) -> Result<()> {
        match done {
            Done::Kernel(results) => self.fib.kernel_done(results),
            Done::Resolved(hops, resolutions) => {
                let resolutions = resolutions.context("the kernel's thread is gone")?;
                self.fib.resolved(hops.into_iter().zip(resolutions).collect());
            }
            Done::Companions(companions) => {
                if let (Some(bgp), Ok(companions)) = (&self.bgp, companions) {
                    bgp.call(move |speaker, now| speaker.input(now, Input::Companions(companions))).await;
                }
            }
            Done::OwnRoutes(routes) => self.fib.resync(routes.context("cannot read the kernel's routes")?),
            Done::Endpoint(peer, name, addresses) => self.endpoint(peer, &name, addresses),
        }
        Ok(())
    }

    fn event(&mut self, event: Event) {
        match event {
            Event::NextHopWanted(hop) => self.fib.next_hop(hop, true),
            Event::NextHopUnwanted(hop) => self.fib.next_hop(hop, false),
            Event::SessionUp { neighbor } => {
                info!(neighbor, "session up");
                self.journal.write("session-up", neighbor, "Established");
            }
            Event::SessionDown { neighbor, sent, text, .. } => {
                warn!(neighbor, sent, reason = text, "session down");
                self.journal.write("session-down", neighbor, text);
            }
            Event::Refused { neighbor, remote, text } => {
                warn!(neighbor, %remote, reason = text, "refused");
                self.journal.write("refused", neighbor.unwrap_or_else(|| remote.to_string()), text);
            }
        }
    }

    fn kernel_event(&mut self, event: kernel::Event) {
        match event {
            kernel::Event::Changed => self.host_changed(),
            kernel::Event::OwnRoute(route) => {
                self.journal.write("kernel", route.prefix.to_string(), "changed behind our back");
                self.fib.own_route_lost(&route);
            }
            kernel::Event::Lost => {
                let kernel = self.kernel.clone();
                self.jobs.spawn(async move { Done::OwnRoutes(kernel.own_routes().await) });
                self.host_changed();
            }
        }
    }

    /// Links or addresses may be others: next hops are looked up again, and the speaker hears which addresses share
    /// a link.
    fn host_changed(&mut self) {
        self.fib.host_changed();
        let kernel = self.kernel.clone();
        self.jobs.spawn(async move { Done::Companions(kernel.addresses().await.map(|own| companions(&own))) });
    }

    /// Liveness first: the FIB flips before the speaker hears of it.
    async fn news(&mut self, news: News) -> Result<()> {
        if let Some(why) = news.failed {
            bail!("the tunnel ended: {why}");
        }
        if let Some(generation) = news.applied {
            self.fib.tunnel_applied(generation);
        }
        let mut vias = Vec::new();
        for (peer, state) in news.peers {
            let alive = state != PeerState::Down;
            self.fib.peer(peer, alive);
            let Some(name) = self.peer_name(&peer) else { continue };
            let (kind, text) = match state {
                PeerState::Up => ("peer-up", "answers"),
                PeerState::Suspect => ("peer-suspect", "slow to answer"),
                PeerState::Down => ("peer-down", "does not answer"),
            };
            info!(peer = name, "{text}");
            self.journal.write(kind, name.clone(), text);
            vias.push((name, alive));
        }
        if let Some(bgp) = self.bgp.as_ref().filter(|_| !vias.is_empty()) {
            bgp.call(move |speaker, now| speaker.input(now, Input::Vias(vias))).await;
        }
        for (peer, (name, port)) in news.endpoints {
            self.jobs.spawn(async move {
                let found = tokio::net::lookup_host((name.as_str(), port)).await.map(Iterator::collect);
                Done::Endpoint(peer, name, found)
            });
        }
        self.tell_endpoints();
        Ok(())
    }

    fn endpoint(&mut self, peer: PublicKey, name: &str, addresses: io::Result<Vec<SocketAddr>>) {
        let Some(device) = &self.device else { return };
        match addresses {
            Ok(addresses) if !addresses.is_empty() => device.tunnel.endpoint(peer, addresses),
            Ok(_) => warn!(name, "endpoint has no address"),
            Err(error) => warn!(name, %error, "endpoint not found"),
        }
        self.tell_endpoints();
    }

    /// The recursion guard needs to know where the tunnel's own packets go.
    fn tell_endpoints(&mut self) {
        let peers = self.peers();
        let addresses = peers.iter().filter_map(|peer| peer.endpoint).map(|endpoint| endpoint.ip());
        self.fib.endpoints(addresses.collect());
    }

    fn timeout(&mut self) {
        if self.settle_at.is_some_and(|at| at <= Instant::now()) {
            self.settle_at = None;
            self.fib.settled();
        }
    }

    fn next_timeout(&self) -> Option<Instant> {
        self.settle_at.into_iter().chain(self.fib.next_timeout()).min()
    }

    fn peer_name(&self, key: &PublicKey) -> Option<String> {
        let peers = &self.config.wireguard.as_ref()?.tunnel.peers;
        peers.iter().find(|peer| peer.public_key == *key).map(|peer| peer.name.clone())
    }

    /// Every WireGuard peer.
    pub(super) fn peers(&self) -> Vec<PeerView> {
        self.device.as_ref().map(|device| device.tunnel.peers()).unwrap_or_default()
    }

    /// Sessions end first, while the tunnel can still carry the NOTIFICATION; then our routes go, then the device.
    async fn stop(mut self, how: Stop, inputs: Inputs) -> Result<()> {
        let keep = match how {
            Stop::AsConfigured => self.config.on_stop == OnStop::Keep,
            Stop::KeepRoutes => true,
            Stop::Withdraw => false,
        };
        info!(keep_routes = keep, "stopping");
        if let Some(bgp) = self.bgp.take() {
            bgp.stop().await;
        }
        let withdrawn = if keep { Ok(()) } else { self.withdraw(inputs).await };
        if let Some(device) = self.device.take() {
            host::set_persistent(device.tun.as_fd(), keep).context("cannot set the device's persistence")?;
            device.tunnel.stop();
        }
        // A leftover socket is no harm: the next start finds that nobody answers and removes it.
        let _ = std::fs::remove_file(&self.config.control.socket);
        withdrawn
    }

    async fn withdraw(&mut self, inputs: Inputs) -> Result<()> {
        self.fib.withdraw_all();
        let deadline = Instant::now() + STOP;
        loop {
            self.do_work().await;
            if self.fib.idle() {
                return Ok(());
            }
            tokio::select! {
                news = inputs.mailbox.take() => {
                    if let Some(generation) = news.applied {
                        self.fib.tunnel_applied(generation);
                    }
                }
                Some(done) = self.jobs.join_next() => self.done(done.context("a job of the gateway panicked")?).await?,
                () = sleep_until(Some(deadline)) => bail!("our routes could not be removed within {STOP:?}"),
            }
        }
    }
}

/// For each address, the first of the other family on its link.
fn companions(own: &[Address]) -> Vec<(IpAddr, IpAddr)> {
    let other = |one: &Address| {
        own.iter().find(|other| {
            let address = other.address.addr();
            other.interface == one.interface && address.is_ipv4() != one.address.addr().is_ipv4() && !is_local(&address)
        })
    };
    own.iter().filter_map(|one| Some((one.address.addr(), other(one)?.address.addr()))).collect()
}

/// Not an address that a neighbor could send to. IPv4 link-local is not meant: tunnels are numbered from it.
fn is_local(address: &IpAddr) -> bool {
    address.is_loopback() || matches!(address, IpAddr::V6(address) if address.is_unicast_link_local())
}
