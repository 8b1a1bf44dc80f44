//! The FIB as people see it.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;

use bgpd::types::Family;
use ipnet::IpNet;
use wgd::settings::PublicKey;
use wgd::table::Group;

use super::entry::Entry;
use super::{Fib, Permitted, Place, RouteView, SWITCHED_OFF, State};
use crate::kernel::Target;

impl Fib {
    /// Destinations in order.
    pub fn routes(&self, after: Option<IpNet>, limit: usize) -> Vec<RouteView> {
        let last_of = |prefix| Place { prefix, table: u32::MAX, metric: u32::MAX };
        let start = after.map_or(Bound::Unbounded, |prefix| Bound::Excluded(last_of(prefix)));
        let shown =
            self.entries.range((start, Bound::Unbounded)).filter(|(place, entry)| self.entries.shows(place, entry));
        shown.take(limit).map(|(place, entry)| self.view(place, entry)).collect()
    }

    /// One destination.
    pub fn route(&self, prefix: &IpNet) -> Option<RouteView> {
        let place = self.entries.place(*prefix);
        match self.entries.get(&place) {
            Some(entry) => Some(self.view(&place, entry)),
            None => (!self.settings.programs()).then(|| RouteView {
                prefix: place.prefix,
                table: place.table,
                hops: Vec::new(),
                discard: false,
                state: State::Pending,
                error: Some(SWITCHED_OFF.to_owned()),
                tunnel: None,
            }),
        }
    }

    /// From where the tunnel's peers may send, besides their own allowed IPs: what they have of the routing table. Looks at
    /// so many destinations at most, for there may be a million of them.
    pub fn permitted(&self, after: Option<Place>, most: usize) -> Permitted {
        let start = after.map_or(Bound::Unbounded, Bound::Excluded);
        let mut prefixes = Vec::new();
        let mut next = None;
        for (place, entry) in self.entries.range((start, Bound::Unbounded)).take(most) {
            prefixes.extend(entry.acknowledged().map(|group| (place.prefix, Arc::clone(group))));
            next = Some(*place);
        }
        let is_last = next == self.entries.last_key_value().map(|(place, _)| *place);
        Permitted { prefixes, next: next.filter(|_| !is_last) }
    }

    /// Counts by state.
    pub fn counts(&self) -> BTreeMap<State, usize> {
        self.entries.counts()
    }

    /// Whether a route of the family leads into the tunnel.
    pub fn leads_into_tunnel(&self, family: Family) -> bool {
        self.entries.leads_into_tunnel(family)
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
            error: error.map(str::to_owned),
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
