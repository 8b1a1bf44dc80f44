//! A new desired state: only what differs is touched.

use std::time::Instant;

use super::path::{Path, ends};
use super::{Device, Entry, Output, announce, entry_mut};
use crate::fault::Strangers;
use crate::peer::{Identity, Peer};
use crate::settings::{PeerSettings, Settings};
use crate::table::PeerId;
use crate::view::{Event, PeerState};

impl Device {
    /// The whole desired state. A new private key replaces every session; a peer's new preshared key replaces its own.
    pub fn settings(&mut self, now: Instant, settings: Settings, out: &mut Output) {
        let new_key = settings.private_key != self.private_key;
        if new_key {
            self.identity = Identity::new(&settings.private_key);
            self.private_key = settings.private_key;
        }
        // Whoever was a stranger may be known now
        self.strangers = Strangers::default();
        self.entries.iter_mut().flatten().for_each(Entry::trust_again);
        (self.mtu, self.clamp_mss) = (settings.mtu, settings.clamp_mss);
        self.addresses = settings.addresses;
        self.errors.set_sources(settings.icmp_sources);
        let mut before = std::mem::take(&mut self.by_key);
        self.order.clear();
        let mut added = Vec::new();
        for peer in &settings.peers {
            if self.by_key.contains_key(&peer.public_key) {
                tracing::warn!(peer = peer.name, "a public key is given twice; the second peer is ignored");
                continue;
            }
            let id = match before.remove(&peer.public_key) {
                Some(id) => self.update(now, id, peer, new_key, out),
                None => {
                    let id = self.add(peer);
                    added.push(id);
                    id
                }
            };
            self.by_key.insert(peer.public_key, id);
            self.order.push(id);
        }
        before.into_values().for_each(|id| self.remove(id, out));
        self.table.set_peers(&settings.peers, self.by_key.clone());
        for id in added {
            self.announce_down(id, out);
        }
        for place in 0..self.entries.len() {
            self.visit(now, PeerId(place as u32), out); // what a peer wants, it does at once
        }
        self.settle_mtu(&mut out.events);
    }

    fn add(&mut self, settings: &PeerSettings) -> PeerId {
        let id = self.free.pop().unwrap_or_else(|| {
            self.entries.push(None);
            PeerId(self.entries.len() as u32 - 1)
        });
        let (peer, index) = self.keyed(id, settings);
        let path = Path::new(self.mtu, ends(&self.addresses, settings));
        self.entries[id.0 as usize] = Some(Entry::new(settings.clone(), peer, index, path));
        id
    }

    fn update(&mut self, now: Instant, id: PeerId, settings: &PeerSettings, new_key: bool, out: &mut Output) -> PeerId {
        let Some(entry) = entry_mut(&mut self.entries, id) else { return self.add(settings) };
        entry.path.configure(self.mtu, ends(&self.addresses, settings));
        let (old_index, old) = (entry.index, std::mem::replace(&mut entry.settings, settings.clone()));
        if new_key || old.preshared_key != settings.preshared_key {
            self.by_index.remove(&old_index);
            let (peer, index) = self.keyed(id, settings);
            if let Some(entry) = entry_mut(&mut self.entries, id) {
                entry.replace_peer(peer, index);
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
        if let Some(entry) = self.entries.get_mut(id.0 as usize).and_then(Option::take) {
            self.by_index.remove(&entry.index);
            self.deadlines.set(id.0, None);
            self.free.push(id);
            if entry.settings.watched && entry.liveness.state() != PeerState::Down {
                out.events.push(Event::PeerState(entry.settings.public_key, PeerState::Down));
            }
        }
    }

    /// Keys and an index that no other peer has, and that the peer's datagrams of before do not carry.
    fn keyed(&mut self, id: PeerId, settings: &PeerSettings) -> (Peer, u32) {
        loop {
            self.last_index = self.last_index.wrapping_add(1) & 0x00ff_ffff;
            if !self.by_index.contains_key(&self.last_index) {
                break;
            }
        }
        self.by_index.insert(self.last_index, id);
        let preshared = settings.preshared_key.as_ref();
        (Peer::new(&self.identity, settings.public_key, preshared, self.last_index), self.last_index)
    }

    /// A watched peer begins as down.
    fn announce_down(&mut self, id: PeerId, out: &mut Output) {
        let Some(entry) = entry_mut(&mut self.entries, id) else { return };
        if entry.liveness.state() == PeerState::Down {
            announce(id, entry, &mut self.table, &mut out.events);
        }
    }
}
