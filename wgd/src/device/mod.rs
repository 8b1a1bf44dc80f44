//! The tunnel without its sockets: packets and datagrams in, datagrams and packets out.
//!
//! One thread owns a device. Nothing here reads a clock or a descriptor (boringtun, inside `peer`, reads its own
//! clock). What comes out goes into the caller's [`Output`], whose buffers are used again.

use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddr;
use std::time::{Duration, Instant, SystemTime};

use ipnet::IpNet;

use crate::backoff::Jitter;
use crate::batch::Batch;
use crate::capture::{Direction, Tap};
use crate::deadlines::Deadlines;
use crate::drops::{Drops, Reason};
use crate::envelope::{self, Ecn, Envelope};
use crate::fault::{Fault, Strangers};
use crate::flood::Gate;
use crate::message::KEEPALIVE_LEN;
use crate::mss;
use crate::offload::{NetHeader, split};
use crate::packet::Header;
use crate::peer::Opened;
use crate::pmtu::BASE;
use crate::settings::{Mtu, PublicKey, Settings};
use crate::table::{Change, PeerId, Table};
use crate::view::{Event, PeerState, PeerView};

mod entry;
mod handshake;
mod keys;
mod oversize;
mod path;
mod reconcile;

use entry::Entry;
use keys::Keys;
pub use keys::{Rekey, RekeyError};
use oversize::Errors;

/// How fine time is here: a peer is visited no more often, and what is due is done this much later at most.
pub const TICK: Duration = Duration::from_millis(250);

/// What a call made.
#[derive(Debug, Default)]
pub struct Output {
    /// For UDP, each with where it goes.
    pub datagrams: Batch<Envelope>,
    /// For the TUN.
    pub packets: Batch<()>,
    /// For whoever listens.
    pub events: Vec<Event>,
    /// For whoever looks on.
    pub tap: Tap,
}

/// All peers of one tunnel.
#[derive(Debug)]
pub struct Device {
    keys: Keys,
    /// Of initiations, and of responses.
    gates: [Gate; 2],
    mtu: Mtu,
    /// The device's MTU as it was told.
    told_mtu: u16,
    /// A peer's path or state is not what it was when that was told.
    paths_changed: bool,
    addresses: Vec<IpNet>,
    errors: Errors,
    clamp_mss: bool,
    /// By [`PeerId`].
    entries: Vec<Option<Entry>>,
    /// Places in `entries` that nobody has.
    free: Vec<PeerId>,
    /// As in the settings.
    order: Vec<PeerId>,
    by_key: HashMap<PublicKey, PeerId>,
    /// By the key that takes the place of the one in `by_key`.
    by_next_key: HashMap<PublicKey, PeerId>,
    /// By the index that a peer's datagrams carry; boringtun numbers sessions in its low octet.
    by_index: hashbrown::HashMap<u32, PeerId>,
    last_index: u32,
    table: Table,
    /// By [`PeerId`]: its next visit.
    deadlines: Deadlines,
    visits: u64,
    drops: Drops,
    strangers: Strangers,
    jitter: Jitter,
}

impl Device {
    /// A device that starts its work at once. The seed spreads retries and indices; it is no secret.
    pub fn new(now: Instant, settings: Settings, seed: u64, out: &mut Output) -> Self {
        Self::new_at(now, SystemTime::UNIX_EPOCH, settings, seed, out)
    }

    /// The same where it is known what time it is, by which a next private key has its turn.
    pub fn new_at(now: Instant, time: SystemTime, settings: Settings, seed: u64, out: &mut Output) -> Self {
        let mut jitter = Jitter::new(seed);
        let mut device = Self {
            keys: Keys::new(&settings, (now, time)),
            gates: [(); 2].map(|()| Gate::new(now, jitter.next())),
            mtu: settings.mtu,
            told_mtu: BASE,
            paths_changed: false,
            addresses: Vec::new(),
            errors: Errors::default(),
            clamp_mss: settings.clamp_mss,
            entries: Vec::new(),
            free: Vec::new(),
            order: Vec::new(),
            by_key: HashMap::new(),
            by_next_key: HashMap::new(),
            by_index: hashbrown::HashMap::new(),
            last_index: jitter.next() as u32,
            table: Table::default(),
            deadlines: Deadlines::default(),
            visits: 0,
            drops: Drops::default(),
            strangers: Strangers::default(),
            jitter,
        };
        device.settings(now, settings, out);
        device
    }

    /// A packet from the TUN: the first `len` octets of `buffer`. The rest, at best 15 octets, serves as padding.
    pub fn outbound(&mut self, now: Instant, buffer: &mut [u8], len: usize, out: &mut Output) {
        self.outbound_offloaded(now, &NetHeader::default(), buffer, len, out);
    }

    /// A packet from a TUN with offloads, for which something is left to do; it may be a super-segment.
    pub fn outbound_offloaded(
        &mut self,
        now: Instant,
        offload: &NetHeader,
        buffer: &mut [u8],
        len: usize,
        out: &mut Output,
    ) {
        let Some(header) = buffer.get(..len).and_then(Header::parse) else {
            return self.drops.count(Reason::Malformed);
        };
        let Some(id) = self.table.egress(header.destination, || header.flow(buffer)) else {
            return self.drops.count(Reason::NoRoute);
        };
        self.wake(now, id, out);
        let Some(entry) = entry_mut(&mut self.entries, id) else { return };
        let (mtu, clamp_mss, errors) = (entry.path.mtu(), self.clamp_mss, &mut self.errors);
        entry.tell_of_cut(now, offload, buffer, &header, errors, out);
        let is_sound = split(offload, buffer, header.length, mtu, |buffer, len| {
            let header = Header { length: len, ..header };
            if clamp_mss {
                mss::clamp(buffer, &header, mtu);
            }
            if len > usize::from(mtu) {
                entry.send_oversize(now, buffer, &header, errors, out);
            } else {
                entry.send(now, buffer, len, out);
            }
        });
        if !is_sound {
            self.drops.count(Reason::Malformed);
        }
    }

    /// A datagram from UDP.
    pub fn inbound(&mut self, now: Instant, from: SocketAddr, datagram: &[u8], out: &mut Output) {
        self.inbound_marked(now, from, Ecn::NotEct, datagram, out);
    }

    /// A datagram from UDP, with the ECN field of its header.
    pub fn inbound_marked(&mut self, now: Instant, from: SocketAddr, ecn: Ecn, datagram: &[u8], out: &mut Output) {
        if let Err(reason) = self.receive(now, from, ecn, datagram, out) {
            self.drops.count(reason);
        }
    }

    /// Lets time pass: retransmissions, keepalives, liveness. To be called at [`Self::next_timeout`]; what is not due
    /// costs nothing.
    pub fn tick(&mut self, now: Instant, out: &mut Output) {
        while let Some(slot) = self.deadlines.take_due(now) {
            self.visit(now, PeerId(slot), out);
        }
        self.table.forget(now);
        if std::mem::take(&mut self.paths_changed) {
            self.settle_mtu(&mut out.events);
        }
    }

    /// When [`Self::tick`] or [`Self::time`] has something to do next, if nothing is sent or received before. May have passed.
    pub fn next_timeout(&self) -> Option<Instant> {
        let others = [self.table.next_timeout(), self.keys.look_at()];
        self.deadlines.next().into_iter().chain(others.into_iter().flatten()).min()
    }

    /// How often a peer was visited for the sake of its timers: what an idle tunnel costs.
    pub fn visits(&self) -> u64 {
        self.visits
    }

    /// Changes of the routed table.
    pub fn table(&mut self, now: Instant, changes: impl IntoIterator<Item = Change>) {
        for change in changes {
            self.table.apply(now, change);
        }
    }

    /// Addresses found for a peer's name, best first. The peer moves if it does not answer where it is now; asked
    /// again, it goes to the next of them.
    pub fn endpoint(&mut self, now: Instant, peer: PublicKey, addresses: &[SocketAddr], out: &mut Output) {
        let Some(id) = self.by_key.get(&peer).copied() else { return };
        self.wake(now, id, out);
        if let Some(entry) = entry_mut(&mut self.entries, id) {
            entry.found(now, addresses, out);
        }
    }

    /// Every peer, in the order of the settings.
    pub fn peers(&self, now: Instant) -> Vec<PeerView> {
        let view = |id: &PeerId| Some(self.entries.get(id.0 as usize)?.as_ref()?.view(now));
        self.order.iter().filter_map(view).collect()
    }

    /// Packets and datagrams dropped that belong to no peer, by reason.
    pub fn drops(&self) -> BTreeMap<&'static str, u64> {
        self.drops.view()
    }

    /// What does not come up: a sentence each, of peers that are watched or have an endpoint. While a watched peer has
    /// never been heard, also of the newest handshakes that fit nobody: they may be its own.
    pub fn faults(&self, now: Instant) -> Vec<String> {
        let entries = || self.order.iter().filter_map(|id| self.entries.get(id.0 as usize)?.as_ref());
        let expected = entries().filter(|entry| entry.settings.watched || entry.endpoint().is_some());
        let faults = expected.filter_map(|entry| Some(format!("peer {}: {}", entry.settings.name, entry.note(now)?)));
        let strangers = entries().any(Entry::is_awaited).then(|| self.strangers.newest(now));
        faults.chain(strangers.into_iter().flatten()).collect()
    }

    /// A handshake message that fits no peer's key: of the peers that are where it comes from, else of a stranger.
    fn misfit(&mut self, now: Instant, from: SocketAddr, fault: Fault) {
        if !self.strangers.looks(now) {
            return;
        }
        let mut there = self.entries.iter_mut().flatten().filter(|entry| entry.is_at(from.ip())).peekable();
        if there.peek().is_none() {
            self.strangers.keep(now, from, fault);
        }
        there.for_each(|entry| entry.suspect(now, from, fault));
    }

    /// Counts what the host refused to send or to take.
    #[cfg(feature = "net")]
    pub(crate) fn count_refused(&mut self, packets: u64) {
        self.drops.add(Reason::HostRefused, packets);
    }

    /// Does what is due of a peer. Its next visit comes later than now.
    fn visit(&mut self, now: Instant, id: PeerId, out: &mut Output) {
        let Some(entry) = entry_mut(&mut self.entries, id) else { return };
        self.visits += 1;
        entry.complain(now);
        if entry.tick(now, &mut self.jitter, out) {
            announce(id, entry, &mut self.table, &mut out.events);
        }
        entry.tell_keys(&mut out.events);
        entry.tell_mtu(&mut out.events);
        self.paths_changed |= entry.path_changed();
        self.deadlines.set(id.0, entry.next_visit(now));
    }

    /// To be called before a packet passes to or from a peer: it is noted with the time of the last visit.
    fn wake(&mut self, now: Instant, id: PeerId, out: &mut Output) {
        if entry_mut(&mut self.entries, id).is_some_and(|entry| !entry.passes()) {
            self.visit(now, id, out);
        }
    }

    /// To be called when a packet that wakes nobody has changed what is due of a peer.
    fn schedule(&mut self, now: Instant, id: PeerId) {
        if let Some(entry) = entry_mut(&mut self.entries, id).filter(|entry| !entry.is_awake()) {
            self.deadlines.set(id.0, entry.due(now));
        }
    }

    /// Transport data of a peer, whose index is known. Drops from here on are the peer's.
    fn transport(&mut self, now: Instant, from: SocketAddr, ecn: Ecn, id: PeerId, datagram: &[u8], out: &mut Output) {
        // A keepalive wakes nobody: of many idle peers each sends some
        if datagram.len() > KEEPALIVE_LEN {
            self.wake(now, id, out);
        } else if entry_mut(&mut self.entries, id).is_some_and(|entry| entry.is_stale(now)) {
            self.visit(now, id, out);
        }
        let Some(entry) = entry_mut(&mut self.entries, id) else { return };
        let opened = match entry.peer.open(now, datagram, out.packets.room()) {
            Ok(opened) => opened,
            Err(reason) => return entry.drops.count(reason),
        };
        if entry.hear(now, from, datagram.len(), &mut out.events) {
            announce(id, entry, &mut self.table, &mut out.events);
        }
        entry.tell_handshake(&mut out.events);
        entry.drain(now, &mut out.datagrams);
        let packet = match opened {
            Opened::Packet(len) => &mut out.packets.room()[..len],
            Opened::Keepalive => {
                entry.probe(now, out);
                return self.schedule(now, id);
            }
            Opened::Malformed => return entry.drops.count(Reason::Malformed),
        };
        let Some(header) = Header::parse(packet) else { return entry.drops.count(Reason::Malformed) };
        if !self.table.admits(header.source, id) {
            return entry.drops.count(Reason::SourceNotAllowed);
        }
        if entry.takes_answer(now, packet, &header) {
            return entry.probe(now, out);
        }
        if ecn != Ecn::NotEct && !envelope::decapsulate(packet, ecn) {
            return entry.drops.count(Reason::Congestion);
        }
        if self.clamp_mss {
            mss::clamp(packet, &header, entry.path.mtu());
        }
        out.tap.pass(now, Direction::Inbound, &entry.settings, &packet[..header.length]);
        out.packets.push(header.length, ());
    }
}

fn entry_mut(entries: &mut [Option<Entry>], id: PeerId) -> Option<&mut Entry> {
    entries.get_mut(id.0 as usize)?.as_mut()
}

/// A peer's state changed: the table follows, then whoever listens.
fn announce(id: PeerId, entry: &Entry, table: &mut Table, events: &mut Vec<Event>) {
    let state = entry.liveness.state();
    table.set_down(id, state == PeerState::Down);
    events.push(Event::PeerState(entry.settings.public_key, state));
}

#[cfg(test)]
mod tests;
