//! The speaker's result, brought to the host: pure. Wanted against installed; the difference is the work, in order.
//!
//! Add: the tunnel's table (acknowledged by every worker), then the kernel route. Remove: the reverse.

mod entries;
mod entry;
mod guard;
mod next_hops;
mod plan;
mod round;
mod view;
mod work;

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bgpd::speaker::{FibChange, NextHopState};
use bgpd::types::NextHop;
use ipnet::IpNet;
use wgd::settings::PublicKey;
use wgd::table::{Change, Group};

use self::entries::{Changing, Entries};
use self::entry::Entry;
use self::next_hops::NextHops;
use self::plan::{Body, Choice, Plans, Problem, Wanted};
use self::round::Round;
use self::work::TunnelBatch;
use crate::kernel::{Resolution, Route, RouteOp, Target, effective_metric};

/// What the FIB is told about the host and the configuration.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Program the kernel at all.
    pub install: bool,
    /// What a former run has left stays as it is until [`Fib::settled`], whatever the speaker says meanwhile: packets go the
    /// ways of before until it has heard all its neighbors (RFC 4724 §4.1).
    pub restarted: bool,
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

/// Why there are no kernel routes.
const SWITCHED_OFF: &str = "kernel routes are switched off (install = false)";

impl Settings {
    /// Whether there is anything to bring routes to. Else nobody needs to tell the FIB of any.
    pub fn programs(&self) -> bool {
        self.install || self.tunnel.is_some()
    }
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
    /// They are kernel routes as well, whatever the speaker says: a tunnel without BGP.
    pub static_routes: bool,
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

/// From where the tunnel's peers may send, as far as one look goes.
#[derive(Clone, Debug)]
pub struct Permitted {
    /// Destinations in order, with the groups that the tunnel has for them.
    pub prefixes: Vec<(IpNet, Arc<Group>)>,
    /// Where the next look begins; absent: this was all.
    pub next: Option<Place>,
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
    settings: Settings,
    next_hops: NextHops,
    plans: Plans,
    entries: Entries,
    tunnel: Round<Place>,
    kernel: Round<Place>,
    tunnel_batch: Option<TunnelBatch>,
    kernel_batch: Option<Vec<Place>>,
    /// Refused just now: the clock comes with [`Fib::poll_work`].
    refused: Vec<(Place, Duration)>,
    retries: BTreeSet<(Instant, Place)>,
    /// What the speaker says of prefixes that are static routes: theirs when those go.
    unheeded: BTreeMap<IpNet, Choice>,
    settled: bool,
    withdrawing: bool,
}

/// A place in the kernel. A former run may have used another table or metric.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Place {
    prefix: IpNet,
    table: u32,
    metric: u32,
}

impl Fib {
    /// `found`: routes with our protocol number that a former run has left.
    pub fn new(settings: Settings, found: Vec<Route>) -> Self {
        let mut fib = Self {
            next_hops: NextHops::new(settings.tunnel.clone()),
            entries: Entries::new(&settings),
            settings,
            plans: Plans::default(),
            tunnel: Round::default(),
            kernel: Round::default(),
            tunnel_batch: None,
            kernel_batch: None,
            refused: Vec::new(),
            retries: BTreeSet::new(),
            unheeded: BTreeMap::new(),
            settled: false,
            withdrawing: false,
        };
        for route in found {
            let Self { entries, settings, .. } = &mut fib;
            entries.get_or_insert(Place::of(&route), || Entry::left_over(Body::of(settings, &route)));
        }
        fib.pin_static_routes();
        fib
    }

    /// Routes of the configuration, which need no word of the speaker.
    fn pin_static_routes(&mut self) {
        for prefix in self.static_routes() {
            let said = self.entries.get(&self.entries.place(prefix)).and_then(|entry| entry.choice.as_deref());
            if let Some(said) = said.filter(|said| !said.pinned) {
                self.unheeded.insert(prefix, said.clone());
            }
            self.choose(prefix, Some(Choice::pinned(&prefix)));
        }
    }

    fn static_routes(&self) -> BTreeSet<IpNet> {
        let peers = self.settings.tunnel.iter().flat_map(|tunnel| &tunnel.peers).filter(|peer| peer.static_routes);
        peers.flat_map(|peer| peer.allowed_ips.iter().map(IpNet::trunc)).collect()
    }

    /// The tunnel's peers are others now, or have other allowed IPs. Where a static route goes, the speaker's for the same
    /// prefix comes.
    pub fn tunnel_peers(&mut self, peers: Vec<TunnelPeer>) {
        let before = self.static_routes();
        if let Some(tunnel) = &mut self.settings.tunnel {
            tunnel.peers.clone_from(&peers);
        }
        for gone in before.difference(&self.static_routes()) {
            let said = self.unheeded.remove(gone);
            self.choose(*gone, said);
        }
        self.pin_static_routes();
        let next_hops = self.next_hops.set_peers(peers);
        if self.plans.renew(&self.settings, &self.next_hops, &next_hops) {
            self.reconsider_all();
        }
    }

    /// The speaker's news.
    pub fn changes(&mut self, changes: Vec<FibChange>) {
        for FibChange { prefix, choice } in changes {
            let choice = choice.map(|choice| Choice::new(&prefix, choice));
            let pinned = self.entries.get(&self.entries.place(prefix)).is_some_and(Entry::is_pinned);
            match choice {
                choice if !pinned => self.choose(prefix, choice),
                Some(choice) => drop(self.unheeded.insert(prefix, choice)),
                None => drop(self.unheeded.remove(&prefix)),
            }
        }
    }

    /// The speaker wants to know of a next hop, or no longer.
    pub fn next_hop(&mut self, next_hop: NextHop, wanted: bool) {
        self.next_hops.want(next_hop, wanted);
        self.reconsider_covering(next_hop.address);
    }

    /// Links, addresses or foreign routes changed: every next hop is looked up again, and what the kernel has refused it may
    /// take now.
    pub fn host_changed(&mut self) {
        self.next_hops.look_up_all();
        self.retry_all();
    }

    /// Answer to [`Work::Resolve`].
    pub fn resolved(&mut self, resolutions: Vec<(NextHop, Resolution)>) {
        let changed = self.next_hops.resolved(resolutions);
        if self.plans.renew(&self.settings, &self.next_hops, &changed) {
            self.reconsider_all();
        }
        changed.iter().for_each(|next_hop| self.reconsider_covering(next_hop.address));
    }

    /// The addresses to which the tunnel sends its packets now: no route into the tunnel may capture them.
    pub fn endpoints(&mut self, endpoints: Vec<IpAddr>) {
        let changed = self.next_hops.set_endpoints(endpoints);
        changed.into_iter().for_each(|address| self.reconsider_covering(address));
    }

    /// A peer's state: a dead peer is a dead next hop. A peer never heard of is alive.
    pub fn peer(&mut self, peer: PublicKey, alive: bool) {
        self.next_hops.set_peer(peer, alive);
    }

    /// A route of ours was changed behind our back.
    pub fn own_route_lost(&mut self, route: &Route) {
        let body = Body::of(&self.settings, route);
        let place = Place::of(route);
        self.entry(place).meddled(Some(&body));
        self.schedule(place);
    }

    /// What the kernel has of ours, after lost messages.
    pub fn resync(&mut self, found: Vec<Route>) {
        let body = |route: Route| (Place::of(&route), Body::of(&self.settings, &route));
        let found: BTreeMap<Place, Body> = found.into_iter().map(body).collect();
        for (place, body) in &found {
            self.entry(*place).seen(Some(body));
        }
        self.entries.for_each(|place, entry| {
            if !found.contains_key(place) {
                entry.seen(None);
            }
        });
        self.schedule_all();
    }

    /// Nobody is waited for any more: what the speaker wants takes the place of what a former run has left there. What it does
    /// not want stays until [`Fib::settled`].
    pub fn release(&mut self) {
        self.settings.restarted = false;
        self.entries.for_each(|_, entry| entry.left_over &= entry.choice.is_none());
        self.schedule_all();
    }

    /// The speaker has told everything it had at start: what a former run has left and nobody wants is removed.
    pub fn settled(&mut self) {
        self.settled = true;
        self.entries.for_each(|_, entry| entry.left_over = false);
        self.schedule_all();
    }

    /// Remove everything of ours (clean stop).
    pub fn withdraw_all(&mut self) {
        self.withdrawing = true;
        self.settled();
        self.reconsider_all();
        self.retry_all();
    }
}

impl Fib {
    /// What is known of a place; new ones belong to a former run until the speaker has told everything.
    fn entry(&mut self, place: Place) -> Changing<'_> {
        let left_over = !self.settled;
        self.entries.get_or_insert(place, || Entry::unknown(left_over))
    }

    fn choose(&mut self, prefix: IpNet, choice: Option<Choice>) {
        let choice = choice.map(|choice| self.plans.share(&self.settings, &self.next_hops, choice));
        let place = self.entries.place(prefix);
        // Routes of the configuration itself wait for nobody.
        let keep = self.settings.restarted && !self.settled && choice.as_ref().is_none_or(|choice| !choice.pinned);
        let mut entry = self.entry(place);
        entry.choice = choice;
        entry.left_over = keep && entry.is_kept_over();
        drop(entry);
        self.reconsider(place);
    }

    /// Works out anew what a destination should have.
    fn reconsider(&mut self, place: Place) {
        let Some(mut entry) = self.entries.get_mut(&place) else { return };
        let choice = entry.choice.as_ref().filter(|_| !self.withdrawing);
        let wanted = choice.and_then(|choice| Some((choice, self.plans.wanted(choice)?))).map(|(choice, wanted)| {
            let Self { settings, next_hops, .. } = self;
            let body = wanted.kernel.as_deref();
            match guard::refusal(settings, next_hops, &place.prefix, body, choice.pinned) {
                Some(why) => Arc::new(Wanted { problem: Some(Problem::Refused(why)), ..Wanted::default() }),
                None => wanted,
            }
        });
        entry.want(wanted);
        drop(entry);
        self.schedule(place);
    }

    fn reconsider_all(&mut self) {
        let places: Vec<Place> = self.entries.keys().copied().collect();
        places.into_iter().for_each(|place| self.reconsider(place));
    }

    /// The same for every destination that covers an address: it may be captured now, or no longer.
    fn reconsider_covering(&mut self, address: IpAddr) {
        let prefixes =
            (0..=IpNet::from(address).max_prefix_len()).filter_map(|length| IpNet::new(address, length).ok());
        prefixes.for_each(|prefix| self.reconsider(self.entries.place(prefix.trunc())));
    }

    /// Queues what can be done for a destination, or forgets it.
    fn schedule(&mut self, place: Place) {
        let Some(entry) = self.entries.get(&place) else { return };
        if entry.is_empty() {
            self.entries.remove(&place);
            return;
        }
        if entry.tunnel_step().is_some() {
            self.tunnel.insert(place);
        }
        if entry.kernel_step().is_some() {
            self.kernel.insert(place);
        }
    }

    fn schedule_all(&mut self) {
        let places: Vec<Place> = self.entries.keys().copied().collect();
        places.into_iter().for_each(|place| self.schedule(place));
    }
}

impl Place {
    fn of(route: &Route) -> Self {
        Self { prefix: route.prefix, table: route.table, metric: effective_metric(&route.prefix, route.metric) }
    }

    /// The operation that puts this there.
    fn op(self, protocol: u8, body: Option<&Body>) -> RouteOp {
        let Self { prefix, table, metric } = self;
        let route = |target, source| Route { prefix, table, metric, protocol, target, source };
        match body {
            Some(body) => RouteOp::Replace(route(body.target.clone(), body.source)),
            // By its place alone, whatever stands there.
            None => RouteOp::Delete(route(Target::Hops(Vec::new()), None)),
        }
    }
}

#[cfg(test)]
mod tests;
