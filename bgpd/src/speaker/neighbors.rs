//! All neighbors, by number, by name, and by when they are due.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};
use std::time::Instant;

use super::neighbor::{AdminState, Dynamic, Neighbor, NeighborId};
use crate::settings::NeighborSettings;

/// All neighbors.
#[derive(Debug, Default)]
pub(super) struct Neighbors {
    all: BTreeMap<NeighborId, Neighbor>,
    names: BTreeMap<String, NeighborId>,
    deadlines: BTreeSet<(Instant, NeighborId)>,
    created: NeighborId,
    /// What the operator's commands have made of all: those that come begin so.
    pub(super) newcomers: AdminState,
}

impl Neighbors {
    pub(super) fn insert(&mut self, mut neighbor: Neighbor) -> NeighborId {
        neighbor.admin.clone_from(&self.newcomers);
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

    /// By name, or by an address that only one has, with its interface where that is needed (`fe80::1%eth0`).
    pub(super) fn find(&self, name: &str) -> Option<NeighborId> {
        self.named(name).or_else(|| {
            let (address, zone) = name.split_once('%').map_or((name, None), |(address, zone)| (address, Some(zone)));
            let address: IpAddr = address.parse().ok()?;
            let is_it = |settings: &NeighborSettings| {
                settings.address == address && zone.is_none_or(|zone| settings.zone.as_deref() == Some(zone))
            };
            let mut found = self.iter().filter(|(_, neighbor)| is_it(&neighbor.settings));
            found.next().filter(|_| found.next().is_none()).map(|(id, _)| id)
        })
    }

    /// Whose connection this is for certain: a configured neighbor's, or of one that dialled in and is still there.
    /// `local` is our end, `remote` the other's address, which more than one link may know (RFC 4007 §6).
    pub(super) fn owner(&self, local: SocketAddr, remote: IpAddr, interface: Option<&str>) -> Option<NeighborId> {
        let candidates = || self.iter().filter(|(_, neighbor)| neighbor.settings.address == remote);
        let configured = candidates().find(|(_, neighbor)| {
            let NeighborSettings { local_address, zone, .. } = &neighbor.settings;
            neighbor.dynamic.is_none()
                && local_address.is_none_or(|address| address == local.ip())
                && (zone.is_none() || zone.as_deref() == interface)
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

    /// `RANGE/ADDRESS`, with our socket behind it where a session with another one has that name.
    pub(super) fn free_name(&self, range: &str, local: SocketAddr, remote: IpAddr) -> String {
        let name = format!("{range}/{remote}");
        if self.named(&name).is_none() { name } else { format!("{name}@{local}") }
    }

    /// Whether any is draining, or all are, those that are still to come.
    pub(super) fn any_draining(&self) -> bool {
        self.newcomers.is_draining() || self.all.values().any(|neighbor| neighbor.admin.is_draining())
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
    pub(super) fn by_name(&self) -> impl Iterator<Item = (NeighborId, &Neighbor)> {
        self.names.values().filter_map(|id| Some((*id, self.all.get(id)?)))
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
        let Some(due) = neighbor.next_timeout() else { return };
        if neighbor.deadline.is_none_or(|deadline| due < deadline) {
            if let Some(deadline) = neighbor.deadline.replace(due) {
                self.deadlines.remove(&(deadline, id));
            }
            self.deadlines.insert((due, id));
        }
    }
}
