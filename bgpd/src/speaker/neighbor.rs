//! Neighbors: what is wanted of each, its state machine, its session.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::fsm::{Fsm, Identity, Negotiated};
use crate::rib::{AdjRibOut, Filter, SourceId};
use crate::settings::{DynamicNeighborSettings, NeighborSettings, RemoteAs, Settings};
use crate::types::{Asn, ConnectionId, Family};
use crate::wire::Notification;

/// The number of a neighbor; never used twice.
pub(super) type NeighborId = u32;

/// How long a neighbor that dialled in is shown after its session is gone.
const REMEMBERED: Duration = Duration::from_secs(300);

/// One neighbor.
#[derive(Debug)]
pub(super) struct Neighbor {
    /// As shown.
    pub(super) name: String,
    /// For policies: the name, and for one that dialled in also that of its range.
    pub(super) names: Arc<[String]>,
    /// It dialled in, to this socket.
    pub(super) dynamic: Option<Dynamic>,
    pub(super) settings: NeighborSettings,
    pub(super) fsm: Fsm,
    /// The FSM was told to start.
    pub(super) running: bool,
    /// Settings have changed that the FSM takes up when its session ends.
    pub(super) outdated: bool,
    /// Down by the operator's command.
    pub(super) disabled: Option<Disabled>,
    /// It sent more prefixes of this family than allowed; down until reset.
    pub(super) over_limit: Option<Family>,
    pub(super) session: Option<Session>,
    pub(super) last_error: Option<PastError>,
    /// When its FSM is due, as far as [`Neighbors`] knows.
    deadline: Option<Instant>,
}

/// [`super::Command::Disable`].
#[derive(Clone, Debug, Default)]
pub(super) struct Disabled {
    pub(super) message: Option<String>,
}

/// A neighbor that dialled in.
#[derive(Clone, Debug)]
pub(super) struct Dynamic {
    /// The name of its range.
    pub(super) range: String,
    /// The listening socket: the session's key together with the neighbor's address.
    pub(super) local: SocketAddr,
    /// Since when it has neither session nor connection.
    pub(super) idle_since: Option<Instant>,
}

/// Routes flow.
#[derive(Debug)]
pub(super) struct Session {
    pub(super) connection: ConnectionId,
    pub(super) negotiated: Negotiated,
    pub(super) since: Instant,
    pub(super) source: SourceId,
    pub(super) export: Filter,
    pub(super) out: AdjRibOut,
}

/// The end of a session.
#[derive(Clone, Debug)]
pub(super) struct PastError {
    pub(super) sent: bool,
    pub(super) notification: Option<Notification>,
    pub(super) text: String,
    pub(super) at: Instant,
}

impl Neighbor {
    /// One with an address of its own.
    pub(super) fn configured(name: &str, settings: &NeighborSettings, router: &Settings, seed: u64) -> Self {
        Self::new(name.to_owned(), [name.to_owned()].into(), settings.clone(), None, router, seed)
    }

    /// One that dialled in.
    pub(super) fn dialled_in(
        name: String,
        range: &str,
        settings: &DynamicNeighborSettings,
        (local, remote): (SocketAddr, SocketAddr),
        router: &Settings,
        seed: u64,
    ) -> Self {
        let names = [name.clone(), range.to_owned()].into();
        let dynamic = Dynamic { range: range.to_owned(), local, idle_since: None };
        Self::new(name, names, settings.of(remote.ip()), Some(dynamic), router, seed)
    }

    fn new(
        name: String,
        names: Arc<[String]>,
        settings: NeighborSettings,
        dynamic: Option<Dynamic>,
        router: &Settings,
        seed: u64,
    ) -> Self {
        let fsm = new_fsm(&settings, router, seed);
        Self {
            name,
            names,
            dynamic,
            settings,
            fsm,
            running: false,
            outdated: false,
            disabled: None,
            over_limit: None,
            session: None,
            last_error: None,
            deadline: None,
        }
    }

    /// The AS that we show it.
    pub(super) fn local_asn(&self, router: &Settings) -> Asn {
        self.settings.session.local_asn.unwrap_or(router.asn)
    }

    /// Begins anew with the settings as they are now.
    pub(super) fn renew_fsm(&mut self, router: &Settings, seed: u64) {
        self.fsm = new_fsm(&self.settings, router, seed);
        self.running = false;
        self.outdated = false;
    }

    /// Whether it is known to be in another AS than the one we show it, before its OPEN says so.
    pub(super) fn is_surely_external(&self, router: &Settings) -> bool {
        match &self.settings.asn {
            RemoteAs::External => true,
            RemoteAs::Internal => false,
            RemoteAs::OneOf(asns) => !asns.contains(&self.local_asn(router)),
        }
    }

    /// Since when it may be forgotten: it dialled in, is gone, and nobody wants to keep it out.
    pub(super) fn forgettable_since(&self) -> Option<Instant> {
        let idle_since = self.dynamic.as_ref()?.idle_since?;
        (self.disabled.is_none() && self.over_limit.is_none()).then_some(idle_since)
    }

    /// Nothing is left to show.
    pub(super) fn is_over(&self, now: Instant) -> bool {
        self.forgettable_since().is_some_and(|since| now >= since + REMEMBERED)
    }

    /// The connection that routes flow on.
    pub(super) fn session_on(&mut self, connection: ConnectionId) -> Option<&mut Session> {
        self.session.as_mut().filter(|session| session.connection == connection)
    }
}

fn new_fsm(settings: &NeighborSettings, router: &Settings, seed: u64) -> Fsm {
    let local_asn = settings.session.local_asn.unwrap_or(router.asn);
    let identity = Identity { local_asn, router_id: router.router_id };
    Fsm::new(identity, settings.asn.clone(), settings.passive, settings.session.clone(), seed)
}

impl DynamicNeighborSettings {
    /// The settings of a neighbor that dialled in from `address`.
    pub(super) fn of(&self, address: IpAddr) -> NeighborSettings {
        NeighborSettings {
            address,
            zone: None,
            port: 179,
            local_address: None,
            passive: true,
            shutdown: false,
            via: None,
            asn: self.asn.clone(),
            session: self.session.clone(),
        }
    }
}

/// All neighbors.
#[derive(Debug, Default)]
pub(super) struct Neighbors {
    all: BTreeMap<NeighborId, Neighbor>,
    names: BTreeMap<String, NeighborId>,
    deadlines: BTreeSet<(Instant, NeighborId)>,
    created: NeighborId,
}

impl Neighbors {
    pub(super) fn insert(&mut self, neighbor: Neighbor) -> NeighborId {
        let id = self.created;
        self.created += 1;
        self.names.insert(neighbor.name.clone(), id);
        self.all.insert(id, neighbor);
        id
    }

    pub(super) fn remove(&mut self, id: NeighborId) -> Option<Neighbor> {
        let neighbor = self.all.remove(&id)?;
        self.names.remove(&neighbor.name);
        if let Some(deadline) = neighbor.deadline {
            self.deadlines.remove(&(deadline, id));
        }
        Some(neighbor)
    }

    pub(super) fn get(&self, id: NeighborId) -> Option<&Neighbor> {
        self.all.get(&id)
    }

    pub(super) fn get_mut(&mut self, id: NeighborId) -> Option<&mut Neighbor> {
        self.all.get_mut(&id)
    }

    /// By name.
    pub(super) fn named(&self, name: &str) -> Option<NeighborId> {
        self.names.get(name).copied()
    }

    /// By name, or by an address that only one has.
    pub(super) fn find(&self, name: &str) -> Option<NeighborId> {
        self.named(name).or_else(|| {
            let address: IpAddr = name.parse().ok()?;
            let mut found = self.iter().filter(|(_, neighbor)| neighbor.settings.address == address);
            found.next().filter(|_| found.next().is_none()).map(|(id, _)| id)
        })
    }

    /// Whose connection this is for certain: a configured neighbor's, or of one that dialled in and is still there.
    /// `local` is our end, `remote` the other's address.
    pub(super) fn owner(&self, local: SocketAddr, remote: IpAddr) -> Option<NeighborId> {
        let candidates = || self.iter().filter(|(_, neighbor)| neighbor.settings.address == remote);
        let configured = candidates().find(|(_, neighbor)| {
            let address = neighbor.settings.local_address;
            neighbor.dynamic.is_none() && address.is_none_or(|address| address == local.ip())
        });
        let there = |dynamic: &Dynamic| dynamic.local == local && dynamic.idle_since.is_none();
        let dialled_in = || candidates().find(|(_, neighbor)| neighbor.dynamic.as_ref().is_some_and(there));
        configured.or_else(dialled_in).map(|(id, _)| id)
    }

    /// The neighbor of a range with this address that dials this socket of ours.
    pub(super) fn dialled_in(&self, range: &str, local: SocketAddr, remote: IpAddr) -> Option<NeighborId> {
        let is_it = |dynamic: &Dynamic| dynamic.local == local && dynamic.range == range;
        let mut candidates = self.iter().filter(|(_, neighbor)| neighbor.settings.address == remote);
        candidates.find(|(_, neighbor)| neighbor.dynamic.as_ref().is_some_and(is_it)).map(|(id, _)| id)
    }

    /// How many of a range dialled in.
    pub(super) fn count_of(&self, range: &str) -> usize {
        let of_range = |neighbor: &&Neighbor| neighbor.dynamic.as_ref().is_some_and(|dynamic| dynamic.range == range);
        self.all.values().filter(of_range).count()
    }

    /// `RANGE/ADDRESS`, with our port where another socket of ours has that name.
    pub(super) fn free_name(&self, range: &str, local: SocketAddr, remote: IpAddr) -> String {
        let name = format!("{range}/{remote}");
        if self.named(&name).is_none() { name } else { format!("{name}:{}", local.port()) }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (NeighborId, &Neighbor)> {
        self.all.iter().map(|(id, neighbor)| (*id, neighbor))
    }

    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = (NeighborId, &mut Neighbor)> {
        self.all.iter_mut().map(|(id, neighbor)| (*id, neighbor))
    }

    pub(super) fn ids(&self) -> Vec<NeighborId> {
        self.all.keys().copied().collect()
    }

    /// By name.
    pub(super) fn by_name(&self) -> impl Iterator<Item = &Neighbor> {
        self.names.values().filter_map(|id| self.all.get(id))
    }

    pub(super) fn next_deadline(&self) -> Option<Instant> {
        self.deadlines.first().map(|(deadline, _)| *deadline)
    }

    /// A neighbor that is due by `now`; it is not due again until [`Neighbors::schedule`].
    pub(super) fn pop_due(&mut self, now: Instant) -> Option<NeighborId> {
        let (_, id) = self.deadlines.first().copied().filter(|(deadline, _)| *deadline <= now)?;
        self.deadlines.pop_first();
        if let Some(neighbor) = self.all.get_mut(&id) {
            neighbor.deadline = None;
        }
        Some(id)
    }

    /// Takes note of when a neighbor is due. One that is due later than noted is found out when the note comes up:
    /// hold timers move with every message.
    pub(super) fn schedule(&mut self, id: NeighborId) {
        let Some(neighbor) = self.all.get_mut(&id) else { return };
        let forgotten = neighbor.forgettable_since().map(|since| since + REMEMBERED);
        let Some(due) = neighbor.fsm.next_timeout().into_iter().chain(forgotten).min() else { return };
        if neighbor.deadline.is_none_or(|deadline| due < deadline) {
            if let Some(deadline) = neighbor.deadline.replace(due) {
                self.deadlines.remove(&(deadline, id));
            }
            self.deadlines.insert((due, id));
        }
    }
}
