//! Every destination by its place, and what there is of each kind: counted where an entry changes, for a walk over a
//! million of them would keep the gateway's task from dead tunnels whenever somebody asks.

use std::collections::BTreeMap;
use std::ops::{Deref, DerefMut};

use bgpd::types::Family;
use ipnet::IpNet;

use super::entry::Entry;
use super::{Place, Settings, State};
use crate::kernel::effective_metric;

/// The entries. They can be read as the map that they are, and changed only so that it is counted.
#[derive(Debug)]
pub(super) struct Entries {
    home: Home,
    known: BTreeMap<Place, Entry>,
    counts: Counts,
}

/// Where routes of ours belong. What stands in another table or metric is only there to be removed.
#[derive(Clone, Copy, Debug)]
struct Home {
    table: u32,
    metric: u32,
}

/// What is counted of an entry.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
struct Kinds {
    shown: Option<State>,
    tunnel: Option<Family>,
}

/// How many entries there are of each kind.
#[derive(Debug, Default)]
struct Counts {
    shown: BTreeMap<State, usize>,
    tunnel: BTreeMap<Family, usize>,
}

/// An entry that is being changed; counted anew when that is done.
#[derive(Debug)]
pub(super) struct Changing<'a> {
    home: Home,
    place: Place,
    before: Kinds,
    entry: &'a mut Entry,
    counts: &'a mut Counts,
}

impl Entries {
    pub(super) fn new(settings: &Settings) -> Self {
        let home = Home { table: settings.table, metric: settings.metric };
        Self { home, known: BTreeMap::new(), counts: Counts::default() }
    }

    /// Where the route of a destination belongs.
    pub(super) fn place(&self, prefix: IpNet) -> Place {
        self.home.place(prefix)
    }

    /// Whether a place is worth a line.
    pub(super) fn shows(&self, place: &Place, entry: &Entry) -> bool {
        self.home.shows(place, entry)
    }

    /// Those that are shown, by state.
    pub(super) fn counts(&self) -> BTreeMap<State, usize> {
        self.counts.shown.iter().filter(|(_, count)| **count > 0).map(|(state, count)| (*state, *count)).collect()
    }

    /// Whether a route of the family leads into the tunnel.
    pub(super) fn leads_into_tunnel(&self, family: Family) -> bool {
        self.counts.tunnel.get(&family).is_some_and(|count| *count > 0)
    }

    /// To change what is known of a place.
    pub(super) fn get_mut(&mut self, place: &Place) -> Option<Changing<'_>> {
        let Self { home, known, counts } = self;
        let entry = known.get_mut(place)?;
        Some(Changing { home: *home, place: *place, before: home.kinds(place, entry), entry, counts })
    }

    /// The same; where nothing is known yet, this.
    pub(super) fn get_or_insert(&mut self, place: Place, new: impl FnOnce() -> Entry) -> Changing<'_> {
        let Self { home, known, counts } = self;
        let mut before = Kinds::default();
        let entry = known.entry(place).and_modify(|entry| before = home.kinds(&place, entry)).or_insert_with(new);
        Changing { home: *home, place, before, entry, counts }
    }

    /// Changes all of them.
    pub(super) fn for_each(&mut self, mut change: impl FnMut(&Place, &mut Entry)) {
        let Self { home, known, counts } = self;
        for (place, entry) in known {
            let before = home.kinds(place, entry);
            change(place, entry);
            counts.replace(before, home.kinds(place, entry));
        }
    }

    /// Forgets a place.
    pub(super) fn remove(&mut self, place: &Place) {
        if let Some(entry) = self.known.remove(place) {
            self.counts.replace(self.home.kinds(place, &entry), Kinds::default());
        }
    }
}

impl Deref for Entries {
    type Target = BTreeMap<Place, Entry>;

    fn deref(&self) -> &Self::Target {
        &self.known
    }
}

impl Home {
    fn place(self, prefix: IpNet) -> Place {
        Place { prefix, table: self.table, metric: effective_metric(&prefix, self.metric) }
    }

    fn shows(self, place: &Place, entry: &Entry) -> bool {
        *place == self.place(place.prefix) && entry.is_shown()
    }

    fn kinds(self, place: &Place, entry: &Entry) -> Kinds {
        Kinds {
            shown: self.shows(place, entry).then(|| entry.state().0),
            tunnel: entry.group().map(|_| Family::of(&place.prefix)),
        }
    }
}

impl Counts {
    fn replace(&mut self, before: Kinds, now: Kinds) {
        if before == now {
            return;
        }
        before.shown.and_then(|state| self.shown.get_mut(&state)).into_iter().for_each(|count| *count -= 1);
        before.tunnel.and_then(|family| self.tunnel.get_mut(&family)).into_iter().for_each(|count| *count -= 1);
        now.shown.into_iter().for_each(|state| *self.shown.entry(state).or_default() += 1);
        now.tunnel.into_iter().for_each(|family| *self.tunnel.entry(family).or_default() += 1);
    }
}

impl Deref for Changing<'_> {
    type Target = Entry;

    fn deref(&self) -> &Entry {
        self.entry
    }
}

impl DerefMut for Changing<'_> {
    fn deref_mut(&mut self) -> &mut Entry {
        self.entry
    }
}

impl Drop for Changing<'_> {
    fn drop(&mut self) {
        self.counts.replace(self.before, self.home.kinds(&self.place, self.entry));
    }
}
