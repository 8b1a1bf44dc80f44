//! The FIB as people see it.

use std::collections::BTreeMap;
use std::ops::Bound;

use ipnet::IpNet;
use wgd::settings::PublicKey;
use wgd::table::Group;

use super::entry::Entry;
use super::{Fib, Place, RouteView, State};
use crate::kernel::Target;

impl Fib {
    /// Destinations in order.
    pub fn routes(&self, after: Option<IpNet>, limit: usize) -> Vec<RouteView> {
        let last_of = |prefix| Place { prefix, table: u32::MAX, metric: u32::MAX };
        let start = after.map_or(Bound::Unbounded, |prefix| Bound::Excluded(last_of(prefix)));
        let shown = self.entries.range((start, Bound::Unbounded)).filter(|(place, entry)| self.shows(place, entry));
        shown.take(limit).map(|(place, entry)| self.view(place, entry)).collect()
    }

    /// One destination.
    pub fn route(&self, prefix: &IpNet) -> Option<RouteView> {
        let place = self.place(*prefix);
        self.entries.get(&place).map(|entry| self.view(&place, entry))
    }

    /// Counts by state.
    pub fn counts(&self) -> BTreeMap<State, usize> {
        let mut counts = BTreeMap::new();
        for (_, entry) in self.entries.iter().filter(|(place, entry)| self.shows(place, entry)) {
            *counts.entry(entry.state().0).or_default() += 1;
        }
        counts
    }

    /// Whether a route of the family leads into the tunnel.
    pub fn leads_into_tunnel(&self, ipv4: bool) -> bool {
        self.entries.iter().any(|(place, entry)| place.prefix.addr().is_ipv4() == ipv4 && entry.group().is_some())
    }

    /// What stands in another table or metric is only there to be removed.
    fn shows(&self, place: &Place, entry: &Entry) -> bool {
        *place == self.place(place.prefix) && entry.is_shown()
    }

    fn view(&self, place: &Place, entry: &Entry) -> RouteView {
        let (state, error) = entry.state();
        let target = entry.body().map(|body| &body.target);
        let hops = match target {
            Some(Target::Hops(hops)) => hops.iter().map(|hop| (hop.gateway, hop.interface)).collect(),
            Some(Target::Discard) | None => Vec::new(),
        };
        RouteView {
            prefix: place.prefix,
            table: place.table,
            hops,
            discard: target == Some(&Target::Discard),
            state,
            error,
            tunnel: entry.group().map(|group| self.names(group)),
        }
    }

    fn names(&self, group: &Group) -> [Vec<String>; 3] {
        let name = |key: &PublicKey| {
            let peer = self.settings.tunnel.as_ref().and_then(|tunnel| tunnel.peer(key));
            peer.map_or_else(|| key.to_string(), |peer| peer.name.clone())
        };
        [&group.send, &group.backup, &group.accept].map(|keys| keys.iter().map(name).collect())
    }
}
