//! The gateway's task: what the speaker, the kernel, the tunnel and the operator say goes to the FIB, and what the FIB
//! wants goes to them.
//!
//! Runs on the thread `vpngw`, which owns the FIB. Nothing here waits for a neighbor, a peer or a name server: slow
//! work is a job whose result comes back as one more input.

use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use bgpd::net::Bgp;
use bgpd::speaker::{Event, Input};
use bgpd::types::NextHop;
use config::Config;
use tokio::task::JoinSet;
use tracing::{info, warn};
use wgd::settings::{PeerSettings, PublicKey};
use wgd::view::PeerState;

use super::device::Device;
use super::endpoints::Endpoints;
use super::handle::Stop;
use super::inputs::{Heard, Inputs, sleep_until};
use super::instance::Instance;
use super::journal::Journal;
use super::memory::Memory;
use super::signals::Signals;
use super::watchers::Watchers;
use crate::fib::{Fib, Work};
use crate::kernel::{self, Address, Kernel, Resolution, Route};

/// A question to the gateway's task, run between two inputs.
pub(super) type Call = Box<dyn FnOnce(&mut Gateway) + Send>;
/// Questions that may wait; an asker beyond waits for room.
pub(super) const CALLS: usize = 64;
/// Between two tries of a question that the kernel did not answer.
const ASK_AGAIN: Duration = Duration::from_secs(1);

/// The task's state.
#[derive(Debug)]
pub(super) struct Gateway {
    pub(super) fib: Fib,
    pub(super) journal: Journal,
    pub(super) started: Instant,
    pub(super) stopping: Option<Stop>,
    /// By peer; one that nobody watches is always up.
    pub(super) peer_states: BTreeMap<PublicKey, PeerState>,
    pub(super) endpoints: Endpoints,
    pub(super) kernel: Kernel,
    pub(super) config: Config,
    pub(super) bgp: Option<Bgp>,
    pub(super) device: Option<Device>,
    pub(super) jobs: JoinSet<Done>,
    /// What a former run has left and nobody wants goes then at the latest; `None`: it has gone.
    settle_at: Option<Instant>,
    /// There are neighbors that the gateway before has remembered.
    awaits: bool,
    /// The speaker has told all that it was to wait for, or will not say when.
    told: bool,
    own_routes: Asking,
    addresses: Asking,
    pub(super) memory: Memory,
    remembering: Asking,
    pub(super) held: Held,
    /// Who follows the tunnel.
    pub(super) watchers: Watchers,
}

/// What the next gateway needs: let go before the control socket goes, which says that we have stopped.
#[derive(Debug)]
pub(super) struct Held {
    pub(super) instance: Instance,
    /// The observe listeners, and that of `wg`.
    pub(super) observers: JoinSet<io::Result<()>>,
    /// Its name in the file system.
    pub(super) wg_socket: Option<PathBuf>,
}

/// The result of a job.
#[derive(Debug)]
pub(super) enum Done {
    Kernel(io::Result<Vec<io::Result<()>>>),
    Resolved(Vec<(NextHop, Resolution)>),
    Addresses(Vec<Address>),
    OwnRoutes(Vec<Route>),
    Remembered(io::Result<()>),
    Endpoint(PublicKey, String, io::Result<Vec<SocketAddr>>),
}

impl Gateway {
    pub(super) fn new(
        config: Config,
        kernel: Kernel,
        fib: Fib,
        bgp: Option<Bgp>,
        device: Option<Device>,
        memory: Memory,
        held: Held,
    ) -> Self {
        let started = Instant::now();
        // Without a speaker there is nobody who might still want something.
        let leftovers = config.bgp.as_ref().map_or(Duration::ZERO, |bgp| bgp.speaker.select_deferral);
        let awaits = !memory.before().is_empty();
        let peers = config.wireguard.as_ref().map_or(&[][..], |wireguard| &wireguard.tunnel.peers);
        let mut endpoints = Endpoints::default();
        endpoints.set_peers(peers);
        let state = |peer: &PeerSettings| if peer.watched { PeerState::Down } else { PeerState::Up };
        Self {
            fib,
            journal: Journal::default(),
            started,
            stopping: None,
            peer_states: peers.iter().map(|peer| (peer.public_key, state(peer))).collect(),
            endpoints,
            config,
            kernel,
            bgp,
            device,
            jobs: JoinSet::new(),
            settle_at: Some(started + leftovers),
            awaits,
            told: !awaits,
            own_routes: Asking::default(),
            addresses: Asking::default(),
            memory,
            remembering: Asking::default(),
            held,
            watchers: Watchers::default(),
        }
    }

    /// Until told to stop, or until a part ends; either way it stops in order.
    pub(super) async fn run(mut self, mut inputs: Inputs, signals: &mut Signals) -> Result<()> {
        let ended = self.serve(&mut inputs, signals).await;
        let stopped = self.stop(*ended.as_ref().unwrap_or(&Stop::AsConfigured)).await;
        ended.and(stopped)
    }

    async fn serve(&mut self, inputs: &mut Inputs, signals: &mut Signals) -> Result<Stop> {
        self.host_changed();
        self.fib.endpoints(self.endpoints.addresses());
        self.recall_endpoints();
        self.remember_soon(); // who is waited for, and nobody else
        loop {
            self.do_work().await;
            let timeout = self.next_timeout();
            if let Some(how) = self.stopping {
                return Ok(how);
            }
            tokio::select! {
                () = signals.stop() => self.stopping = Some(Stop::AsConfigured),
                input = inputs.next() => self.take(input).await?,
                Some(done) = self.jobs.join_next() => self.done(done.context("a job of the gateway panicked")?).await,
                () = sleep_until(timeout) => self.settle(),
            }
        }
    }

    async fn take(&mut self, input: Heard) -> Result<()> {
        match input {
            Heard::Call(call) => call(self),
            Heard::Fib(changes) if changes.is_empty() => {
                self.told = true;
                self.fib.release();
                self.settle();
            }
            Heard::Fib(changes) => self.fib.changes(changes),
            Heard::Event(event) => self.event(event),
            Heard::Kernel(event) => self.kernel_event(event),
            Heard::News(news) => self.news(news).await?,
            Heard::Ended(part) => bail!("the {part} ended unexpectedly"),
        }
        Ok(())
    }

    /// Hands out what the FIB wants, until it wants nothing more for now.
    pub(super) async fn do_work(&mut self) {
        while let Some(work) = self.fib.poll_work(Instant::now()) {
            match work {
                Work::Tunnel(changes) => {
                    if let Some(device) = &self.device {
                        let generation = device.tunnel.table(changes);
                        self.fib.tunnel_sent(generation);
                    }
                }
                Work::Kernel(ops) => {
                    let kernel = self.kernel.clone();
                    self.jobs.spawn(async move { Done::Kernel(kernel.routes(ops).await) });
                }
                Work::Resolve(hops) => {
                    let kernel = self.kernel.clone();
                    self.jobs.spawn(async move {
                        let asked: Vec<_> = hops.iter().map(|hop| (hop.address, hop.scope)).collect();
                        let found = answer("look next hops up", || kernel.resolve(asked.clone())).await;
                        Done::Resolved(hops.into_iter().zip(found).collect())
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

    pub(super) async fn done(&mut self, done: Done) {
        match done {
            Done::Kernel(results) => self.fib.kernel_done(results),
            Done::Resolved(resolutions) => self.fib.resolved(resolutions),
            Done::Addresses(own) => {
                self.restore_addresses(&own);
                let companions = companions(&own);
                if let Some(bgp) = &self.bgp {
                    bgp.call(move |speaker, now| speaker.input(now, Input::Companions(companions))).await;
                }
                if self.addresses.answered() {
                    self.ask_addresses();
                }
            }
            Done::OwnRoutes(routes) => {
                self.fib.resync(routes);
                if self.own_routes.answered() {
                    self.ask_own_routes();
                }
            }
            Done::Remembered(result) => {
                if let Err(error) = result {
                    warn!(%error, "cannot write down who is up: after a crash nobody is waited for");
                }
                if self.remembering.answered() {
                    self.write_memory();
                }
            }
            Done::Endpoint(peer, name, addresses) => self.endpoint(peer, &name, addresses),
        }
    }

    fn event(&mut self, event: Event) {
        match event {
            Event::NextHopWanted(hop) => self.fib.next_hop(hop, true),
            Event::NextHopUnwanted(hop) => self.fib.next_hop(hop, false),
            Event::SessionUp { neighbor, graceful } => {
                info!(neighbor, "session up");
                if graceful {
                    self.remember(&neighbor, true);
                    self.settle();
                }
                self.journal.write("session-up", neighbor, "Established");
            }
            Event::SessionDown { neighbor, sent, text, .. } => {
                warn!(neighbor, sent, reason = text, "session down");
                self.remember(&neighbor, false);
                self.journal.write("session-down", neighbor, text);
            }
            Event::Limit { neighbor, text } => {
                warn!(neighbor, reason = text, "max-prefixes");
                self.journal.write("limit", neighbor, text);
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
                if self.own_routes.wanted() {
                    self.ask_own_routes();
                }
                self.host_changed();
            }
        }
    }

    /// Links or addresses may be others: next hops are looked up again, and the speaker hears which addresses share
    /// a link.
    fn host_changed(&mut self) {
        self.fib.host_changed();
        if self.addresses.wanted() {
            self.ask_addresses();
        }
    }

    fn ask_own_routes(&mut self) {
        let kernel = self.kernel.clone();
        self.jobs.spawn(async move { Done::OwnRoutes(answer("read our routes", || kernel.own_routes()).await) });
    }

    fn ask_addresses(&mut self) {
        let kernel = self.kernel.clone();
        self.jobs.spawn(async move { Done::Addresses(answer("read our addresses", || kernel.addresses()).await) });
    }

    /// What a former run has left and nobody wants is removed: once the neighbors of before are back and have told all, else
    /// when its time is over. Who is not waited for, as one that does without graceful restart now, may still tell it.
    fn settle(&mut self) {
        let Some(at) = self.settle_at.filter(|_| self.told) else { return };
        let all_back = self.awaits && self.memory.before().is_empty();
        if !all_back && at > Instant::now() {
            return;
        }
        self.settle_at = None;
        self.memory.forget_before();
        self.remember_soon();
        self.fib.settled();
    }

    /// The next gateway waits for those that keep routes.
    fn remember(&mut self, neighbor: &str, up: bool) {
        self.memory.note(neighbor, up);
        self.remember_soon();
    }

    pub(super) fn remember_soon(&mut self) {
        if self.remembering.wanted() {
            self.write_memory();
        }
    }

    fn write_memory(&mut self) {
        match self.memory.write() {
            Some(write) => drop(self.jobs.spawn_blocking(move || Done::Remembered(write()))),
            None => self.remembering = Asking::No,
        }
    }

    fn next_timeout(&self) -> Option<Instant> {
        self.settle_at.filter(|_| self.told).into_iter().chain(self.fib.next_timeout()).min()
    }
}

/// A question to the kernel of which one is under way at most, however often its answer becomes stale.
#[derive(Debug, Default)]
enum Asking {
    #[default]
    No,
    UnderWay,
    /// What is under way may be stale when it comes.
    Again,
}

impl Asking {
    /// The answer is stale. True: ask now.
    fn wanted(&mut self) -> bool {
        let now = matches!(self, Self::No);
        *self = if now { Self::UnderWay } else { Self::Again };
        now
    }

    /// The answer came. True: ask once more.
    fn answered(&mut self) -> bool {
        let again = matches!(self, Self::Again);
        *self = if again { Self::UnderWay } else { Self::No };
        again
    }
}

/// Asks the kernel until it answers: a question that fails (no buffers, out of time) says nothing about routes.
async fn answer<T, F: Future<Output = io::Result<T>>>(what: &str, question: impl Fn() -> F) -> T {
    loop {
        match question().await {
            Ok(answer) => return answer,
            Err(error) => warn!(%error, "cannot {what}, trying again"),
        }
        tokio::time::sleep(ASK_AGAIN).await;
    }
}

/// For each address, the first of the other family on its link.
pub(super) fn companions(own: &[Address]) -> Vec<(IpAddr, IpAddr)> {
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
