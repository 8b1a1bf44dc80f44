//! A new desired state: only what differs is touched.

use std::collections::HashMap;
use std::time::Instant;

use super::path::{Path, ends};
use super::{Device, Entry, Output, announce, entry_mut};
use crate::fault::Strangers;
use crate::peer::{Peer, Sessions};
use crate::settings::{PeerSettings, PublicKey, Settings};
use crate::table::PeerId;
use crate::view::{Event, PeerState};

impl Device {
    /// The whole desired state. Sessions end with the keys that made them, whichever end's, and with a preshared key.
    pub fn settings(&mut self, now: Instant, settings: Settings, out: &mut Output) {
        if self.keys.differ(&settings) {
            self.keys.change(now, &settings);
        }
        // Whoever was a stranger may be known now
        self.strangers = Strangers::default();
        self.entries.iter_mut().flatten().for_each(Entry::trust_again);
        (self.mtu, self.clamp_mss) = (settings.mtu, settings.clamp_mss);
        self.addresses = settings.addresses;
        self.errors.set_sources(settings.icmp_sources);
        let mut before =
            Known { by_key: std::mem::take(&mut self.by_key), by_next_key: std::mem::take(&mut self.by_next_key) };
        self.order.clear();
        let mut added = Vec::new();
        for peer in &settings.peers {
            if self.by_key.contains_key(&peer.public_key) || self.by_next_key.contains_key(&peer.public_key) {
                tracing::warn!(peer = peer.name, "a public key is given twice; the second peer is ignored");
                continue;
            }
            let id = match before.take(peer) {
                Some(id) => self.update(now, id, peer, out),
                None => {
                    let id = self.add(peer);
                    added.push(id);
                    id
                }
            };
            self.by_key.insert(peer.public_key, id);
            self.by_next_key.extend(peer.next_public_key.map(|key| (key, id)));
            self.order.push(id);
        }
        before.by_key.into_values().for_each(|id| self.remove(id, out));
        self.table.set_peers(&settings.peers, self.by_key.clone());
        for id in added {
            self.announce_down(id, out);
        }
        self.lead(now, out);
        for place in 0..self.entries.len() {
            self.visit(now, PeerId(place as u32), out); // what a peer wants, it does at once
        }
        self.settle_mtu(&mut out.events);
    }

    /// The sessions of a peer are gone.
    pub(super) fn replace(&mut self, id: PeerId) {
        let Some(entry) = entry_mut(&mut self.entries, id) else { return };
        let settings = entry.settings.clone();
        self.forget_indices(id);
        let pairs = self.sessions(id, &settings, Vec::new());
        if let Some(entry) = entry_mut(&mut self.entries, id) {
            entry.replace_peer(Peer::new(pairs, self.keys.leading(), settings.public_key));
        }
    }

    fn add(&mut self, settings: &PeerSettings) -> PeerId {
        let id = self.free.pop().unwrap_or_else(|| {
            self.entries.push(None);
            PeerId(self.entries.len() as u32 - 1)
        });
        let pairs = self.sessions(id, settings, Vec::new());
        let peer = Peer::new(pairs, self.keys.leading(), settings.public_key);
        let path = Path::new(self.mtu, ends(&self.addresses, settings));
        self.entries[id.0 as usize] = Some(Entry::new(settings.clone(), peer, path));
        id
    }

    fn update(&mut self, now: Instant, id: PeerId, settings: &PeerSettings, out: &mut Output) -> PeerId {
        let Some(entry) = entry_mut(&mut self.entries, id) else { return self.add(settings) };
        entry.path.configure(self.mtu, ends(&self.addresses, settings));
        let old = std::mem::replace(&mut entry.settings, settings.clone());
        if old.preshared_key != settings.preshared_key {
            self.replace(id);
        } else if !entry.peer.has_pairs(&self.keys.pairs(settings)) {
            let kept = entry.peer.release();
            for sessions in &kept {
                self.by_index.remove(&sessions.index());
            }
            let pairs = self.sessions(id, settings, kept);
            if let Some(entry) = entry_mut(&mut self.entries, id) {
                entry.change_pairs(now, pairs, self.keys.leading());
            }
        }
        if old.endpoint != settings.endpoint {
            self.wake(now, id, out);
            if let Some(entry) = entry_mut(&mut self.entries, id) {
                entry.endpoint_changed(now, out);
            }
        }
        id
    }

    /// Whoever watches a peer hears that it is down: what lives with it ends.
    fn remove(&mut self, id: PeerId, out: &mut Output) {
        self.forget_indices(id);
        if let Some(entry) = self.entries.get_mut(id.0 as usize).and_then(Option::take) {
            self.deadlines.set(id.0, None);
            self.free.push(id);
            if entry.settings.watched && entry.liveness.state() != PeerState::Down {
                out.events.push(Event::PeerState(entry.settings.public_key, PeerState::Down));
            }
        }
    }

    fn forget_indices(&mut self, id: PeerId) {
        let entry = self.entries.get(id.0 as usize).and_then(Option::as_ref);
        for index in entry.iter().flat_map(|entry| entry.peer.indices()) {
            self.by_index.remove(&index);
        }
    }

    /// Sessions for each pair of keys: those that are `kept`, and new ones.
    fn sessions(&mut self, id: PeerId, settings: &PeerSettings, mut kept: Vec<Sessions>) -> Vec<Sessions> {
        let mut all = Vec::new();
        for (ours, theirs) in self.keys.pairs(settings) {
            let index = kept.iter().position(|sessions| sessions.keys() == (ours, theirs));
            let sessions = match (index, self.keys.identity(ours)) {
                (Some(index), _) => kept.swap_remove(index),
                (None, Some(identity)) => {
                    let index = unused(&mut self.last_index, &self.by_index);
                    Sessions::new(identity, theirs, settings.preshared_key.as_ref(), index)
                }
                (None, None) => continue, // a pair is of keys that there are
            };
            self.by_index.insert(sessions.index(), id);
            all.push(sessions);
        }
        all
    }

    /// A watched peer begins as down.
    fn announce_down(&mut self, id: PeerId, out: &mut Output) {
        let Some(entry) = entry_mut(&mut self.entries, id) else { return };
        if entry.liveness.state() == PeerState::Down {
            announce(id, entry, &mut self.table, &mut out.events);
        }
    }
}

/// The peers before a change.
struct Known {
    by_key: HashMap<PublicKey, PeerId>,
    by_next_key: HashMap<PublicKey, PeerId>,
}

impl Known {
    /// A peer is known by its public key, which may have been its next one.
    fn take(&mut self, peer: &PeerSettings) -> Option<PeerId> {
        if let Some(id) = self.by_key.remove(&peer.public_key) {
            return Some(id);
        }
        let id = *self.by_next_key.get(&peer.public_key)?;
        let key = *self.by_key.iter().find(|(_, known)| **known == id)?.0;
        self.by_key.remove(&key)
    }
}

/// An index that no peer has, and that the datagrams of sessions before do not carry.
fn unused(last: &mut u32, used: &hashbrown::HashMap<u32, PeerId>) -> u32 {
    loop {
        *last = last.wrapping_add(1) & 0x00ff_ffff;
        if !used.contains_key(last) {
            return *last;
        }
    }
}
