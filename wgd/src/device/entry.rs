//! One peer in the device: its settings, sessions, address, clock and counters.

use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use super::Output;
use super::path::Path;
use crate::backoff::{Backoff, Jitter};
use crate::batch::Batch;
use crate::capture::Direction;
use crate::drops::{Drops, Reason};
use crate::envelope::{Ecn, Envelope};
use crate::liveness::Liveness;
use crate::message::INITIATION;
use crate::peer::{Expired, Peer, Sealed};
use crate::settings::{Endpoint, PeerSettings, PublicKey};
use crate::view::{Event, Handshakes, PeerView};

mod rekey;
mod timers;
mod trouble;

use timers::Timers;
use trouble::Trouble;

/// After 90 s of tries a pause, so that a peer that is gone for long costs little.
const RETRY_FIRST: Duration = Duration::from_secs(5);
const RETRY_MOST: Duration = Duration::from_secs(20);
/// How long an initiation may be unanswered before the endpoint's name is looked up, and then again.
const LOOKUP_FIRST: Duration = Duration::from_secs(5);
const LOOKUP_MOST: Duration = Duration::from_secs(60);
/// How long one of several addresses has for an answer, until the next is tried.
const NEXT_AFTER: Duration = Duration::from_secs(2);

/// What passed in one direction.
#[derive(Debug, Default)]
struct Traffic {
    datagrams: u64,
    octets: u64,
}

impl Traffic {
    fn count(&mut self, octets: usize) {
        self.datagrams += 1;
        self.octets += octets as u64;
    }
}

#[derive(Debug)]
pub(super) struct Entry {
    pub(super) settings: PeerSettings,
    pub(super) peer: Peer,
    pub(super) liveness: Liveness,
    pub(super) drops: Drops,
    endpoint: Option<SocketAddr>,
    /// The endpoint's name was not looked up since it was set.
    unresolved: bool,
    /// Addresses found for it that were not tried since, the next one last; and since when the last one is.
    untried: Vec<SocketAddr>,
    tried: Option<Instant>,
    lookup: Backoff,
    retry: Backoff,
    /// Since when initiations are unanswered.
    asking: Option<Instant>,
    last_sent: Option<Instant>,
    received: Traffic,
    transmitted: Traffic,
    pub(super) handshakes: Handshakes,
    trouble: Trouble,
    /// Of the completed handshakes those that were told of.
    told_handshakes: u64,
    /// The static keys in use, ours and the peer's, as they were known last.
    told_keys: Option<(PublicKey, PublicKey)>,
    pub(super) path: Path,
    timers: Timers,
}

impl Entry {
    pub(super) fn new(settings: PeerSettings, peer: Peer, path: Path) -> Self {
        let liveness = Liveness::new(settings.watched);
        let (endpoint, unresolved) = match settings.endpoint {
            Some(Endpoint::Address(address)) => (Some(address), false),
            Some(Endpoint::Name(..)) => (None, true),
            None => (None, false),
        };
        Self {
            settings,
            peer,
            liveness,
            drops: Drops::default(),
            endpoint,
            unresolved,
            untried: Vec::new(),
            tried: None,
            lookup: Backoff::default(),
            retry: Backoff::default(),
            asking: None,
            last_sent: None,
            received: Traffic::default(),
            transmitted: Traffic::default(),
            handshakes: Handshakes::default(),
            trouble: Trouble::default(),
            told_handshakes: 0,
            told_keys: None,
            path,
            timers: Timers::default(),
        }
    }

    /// Encrypts and sends a packet, or keeps it until there is a session.
    pub(super) fn send(&mut self, now: Instant, buffer: &mut [u8], len: usize, out: &mut Output) {
        self.send_so(now, buffer, len, false, out);
    }

    /// The same, in a datagram that may be fragmented on its way.
    pub(super) fn send_in_pieces(&mut self, now: Instant, buffer: &mut [u8], len: usize, out: &mut Output) {
        self.send_so(now, buffer, len, true, out);
    }

    fn send_so(&mut self, now: Instant, buffer: &mut [u8], len: usize, fragment: bool, out: &mut Output) {
        let Some(to) = self.endpoint else { return self.drops.count(Reason::NoEndpoint) };
        out.tap.pass(now, Direction::Outbound, &self.settings, buffer.get(..len).unwrap_or_default());
        let envelope = Envelope { to, ecn: Ecn::of_packet(buffer), fragment };
        self.seal(now, buffer, len, self.path.mtu(), envelope, &mut out.datagrams);
        if self.path.wakes(now, len) {
            self.path.wake(now);
            self.probe(now, out);
        }
    }

    /// Encrypts and sends a packet, padded to no more than `mtu` octets, or keeps it until there is a session.
    pub(super) fn seal(
        &mut self,
        now: Instant,
        buffer: &mut [u8],
        len: usize,
        mtu: u16,
        envelope: Envelope,
        out: &mut Batch<Envelope>,
    ) {
        match self.peer.seal(now, buffer, len, usize::from(mtu), envelope, out.room()) {
            Sealed::Transport(len) => self.transmit(now, envelope, len, out),
            Sealed::Queued(Some(len)) => self.transmit(now, envelope.to.into(), len, out),
            Sealed::Queued(None) => {}
            Sealed::Full(initiation) => {
                self.drops.count(Reason::NoSession);
                self.transmit_made(now, initiation, out);
            }
        }
    }

    /// Packets that waited leave, now that there is a session.
    pub(super) fn drain(&mut self, now: Instant, out: &mut Batch<Envelope>) {
        let Some(to) = self.endpoint else { return };
        while let Some((len, envelope)) = self.peer.unqueue(now, out.room()) {
            self.transmit(now, Envelope { to, ..envelope }, len, out); // it may have moved meanwhile
        }
    }

    /// A datagram of `octets` proved that the peer is alive, and that it is there: it may roam. True: its state
    /// changed.
    pub(super) fn hear(&mut self, now: Instant, from: SocketAddr, octets: usize, events: &mut Vec<Event>) -> bool {
        self.settle_at(from, events);
        self.received.count(octets);
        self.timers.received(octets);
        self.asking = None;
        self.untried.clear();
        self.trouble.end();
        self.retry.reset();
        if !self.unresolved {
            self.lookup.reset();
        }
        self.liveness.hear(now)
    }

    /// The first `len` octets of the room go to the peer.
    pub(super) fn transmit(&mut self, now: Instant, envelope: Envelope, len: usize, out: &mut Batch<Envelope>) {
        let kind = out.room().first().copied();
        if kind == Some(INITIATION) {
            self.asking.get_or_insert(now);
            self.handshakes.initiations_sent += 1;
        }
        self.timers.sent(now, kind, len);
        self.last_sent = Some(now);
        self.transmitted.count(len);
        out.push(len, envelope);
    }

    /// True: the state of the peer changed.
    pub(super) fn tick(&mut self, now: Instant, jitter: &mut Jitter, out: &mut Output) -> bool {
        for pair in 0..self.peer.ticks() {
            match self.peer.tick(now, pair, out.datagrams.room()) {
                Ok(made) => self.transmit_made(now, made, &mut out.datagrams),
                Err(expired) => self.give_up(now, expired, jitter),
            }
        }
        if self.wants_handshake(now) {
            self.initiate(now, false, &mut out.datagrams);
        } else if self.wants_keepalive(now) {
            let made = self.peer.keep_alive(now, out.datagrams.room());
            self.transmit_made(now, made, &mut out.datagrams);
        }
        self.probe(now, out);
        if self.next_address_due().is_some_and(|due| now >= due) {
            self.try_next(now, out);
        }
        self.look_up(now, jitter, &mut out.events);
        self.liveness.check(now, self.settings.watched)
    }

    /// Addresses of the endpoint's name, all of which are tried in turn; one that answers is kept.
    pub(super) fn found(&mut self, now: Instant, addresses: &[SocketAddr], out: &mut Output) {
        if addresses.is_empty() {
            return;
        }
        let settled = self.endpoint.is_some() && self.asking.is_none();
        if !std::mem::take(&mut self.unresolved) && settled {
            return;
        }
        self.untried = addresses.iter().rev().copied().collect();
        self.try_next(now, out);
    }

    /// What the settings say of the endpoint has changed. A peer that was learned stays where it is.
    pub(super) fn endpoint_changed(&mut self, now: Instant, out: &mut Output) {
        self.unresolved = matches!(self.settings.endpoint, Some(Endpoint::Name(..)));
        self.untried.clear();
        self.lookup.reset();
        if let Some(Endpoint::Address(address)) = self.settings.endpoint {
            self.move_to(now, address, out);
        }
    }

    /// Sessions with other keys: the old ones are gone.
    pub(super) fn replace_peer(&mut self, peer: Peer) {
        self.drops.add(Reason::NoSession, self.peer.queued() as u64);
        self.handshakes.completed += self.peer.completed();
        self.peer = peer;
        self.begin_anew();
    }

    /// Whatever was tried before was tried with other keys.
    fn begin_anew(&mut self) {
        self.asking = None;
        self.trouble = Trouble::default();
        self.timers = Timers::default();
        self.retry.reset();
    }

    /// The peer's response made a session.
    pub(super) fn established(&mut self, now: Instant) {
        self.timers.began(now);
    }

    /// When the next of several addresses is tried.
    fn next_address_due(&self) -> Option<Instant> {
        let is_waiting = self.asking.is_some() && !self.untried.is_empty();
        self.tried.filter(|_| is_waiting).map(|tried| tried + NEXT_AFTER)
    }

    fn try_next(&mut self, now: Instant, out: &mut Output) {
        let Some(next) = self.untried.pop() else { return };
        self.tried = Some(now);
        self.move_to(now, next, out);
    }

    /// Tells of a handshake that was completed since the last call.
    pub(super) fn tell_handshake(&mut self, events: &mut Vec<Event>) {
        let completed = self.completed_handshakes();
        if std::mem::replace(&mut self.told_handshakes, completed) != completed {
            events.push(Event::Handshake(self.settings.public_key));
            self.tell_keys(events);
        }
    }

    fn completed_handshakes(&self) -> u64 {
        self.handshakes.completed + self.peer.completed()
    }

    /// Where the peer's datagrams go.
    pub(super) fn endpoint(&self) -> Option<SocketAddr> {
        self.endpoint
    }

    /// The peer is there, or is said to be.
    pub(super) fn is_at(&self, host: IpAddr) -> bool {
        let said = match self.settings.endpoint {
            Some(Endpoint::Address(address)) => Some(address),
            _ => None,
        };
        self.endpoint.into_iter().chain(said).any(|address| address.ip() == host)
    }

    /// A watched peer that has not come yet.
    pub(super) fn is_awaited(&self) -> bool {
        self.settings.watched && self.liveness.heard().is_none()
    }

    pub(super) fn view(&self, now: Instant) -> PeerView {
        let handshake = self.peer.last_handshake();
        PeerView {
            name: self.settings.name.clone(),
            public_key: self.settings.public_key,
            endpoint: self.endpoint,
            state: self.liveness.state(),
            handshake_age: handshake.map(|at| elapsed(now, at)),
            allowed_ips: self.settings.allowed_ips.clone(),
            allowed_ips_from_bgp: Vec::new(), // the routing's
            receive_bytes: self.received.octets,
            transmit_bytes: self.transmitted.octets,
            receive_packets: self.received.datagrams,
            transmit_packets: self.transmitted.datagrams,
            queued_packets: self.peer.queued(),
            received_age: self.liveness.heard().map(|at| elapsed(now, at)),
            sent_age: self.last_sent.map(|at| elapsed(now, at)),
            note: self.note(now).or_else(|| self.keys_in_use()),
            mtu: self.path.mtu(),
            mtu_note: self.path.note(),
            handshakes: Handshakes { completed: self.completed_handshakes(), ..self.handshakes },
            offloads: Vec::new(), // the shell's
            drops: self.drops.view(),
        }
    }

    fn transmit_made(&mut self, now: Instant, made: Option<usize>, out: &mut Batch<Envelope>) {
        match (made, self.endpoint) {
            (Some(len), Some(to)) => self.transmit(now, to.into(), len, out),
            (Some(_), None) => self.drops.count(Reason::NoEndpoint),
            (None, _) => {}
        }
    }

    fn initiate(&mut self, now: Instant, again: bool, out: &mut Batch<Envelope>) {
        let made = self.peer.initiate(now, out.room(), again);
        self.transmit_made(now, made, out);
    }

    fn move_to(&mut self, now: Instant, address: SocketAddr, out: &mut Output) {
        if !self.settle_at(address, &mut out.events) {
            return;
        }
        if self.keeps_session() || self.asking.is_some() {
            self.initiate(now, true, &mut out.datagrams);
        }
    }

    /// True: it was elsewhere before.
    fn settle_at(&mut self, address: SocketAddr, events: &mut Vec<Event>) -> bool {
        let moved = self.endpoint.replace(address) != Some(address);
        if moved {
            self.path_moved(address);
            events.push(Event::Endpoint(self.settings.public_key, address));
        }
        moved
    }

    /// WireGuard starts a handshake for a packet to send; these peers are to have a session without one.
    fn keeps_session(&self) -> bool {
        self.settings.watched || self.settings.persistent_keepalive.is_some()
    }

    fn wants_handshake(&self, now: Instant) -> bool {
        self.endpoint.is_some()
            && self.retry.is_due(now)
            && (self.liveness.wants_probe(now)
                || self.peer.wants_rekey(now, self.last_sent)
                || (self.keeps_session() && !self.peer.has_session()))
    }

    fn wants_keepalive(&self, now: Instant) -> bool {
        let silent = |interval| self.last_sent.is_none_or(|sent| elapsed(now, sent) >= interval);
        self.settings.persistent_keepalive.is_some_and(silent) && self.peer.has_session()
    }

    fn give_up(&mut self, now: Instant, expired: Expired, jitter: &mut Jitter) {
        self.drops.add(Reason::NoSession, expired.dropped as u64);
        self.retry.tried(now, RETRY_FIRST, RETRY_MOST, jitter);
        if !self.keeps_session() {
            self.asking = None;
        }
    }

    /// When it is time to ask whether the peer is elsewhere now: nobody answers, at none of the addresses.
    fn lookup_wanted(&self) -> Option<Instant> {
        let asking = self.asking.filter(|_| self.untried.is_empty())?;
        Some(self.tried.map_or(asking, |tried| tried.max(asking)) + LOOKUP_FIRST)
    }

    fn look_up(&mut self, now: Instant, jitter: &mut Jitter, events: &mut Vec<Event>) {
        let Some(Endpoint::Name(name, port)) = &self.settings.endpoint else { return };
        let unanswered = self.lookup_wanted().is_some_and(|due| now >= due);
        if (self.unresolved || unanswered) && self.lookup.is_due(now) {
            events.push(Event::EndpointWanted(self.settings.public_key, name.clone(), *port));
            self.lookup.tried(now, LOOKUP_FIRST, LOOKUP_MOST, jitter);
        }
    }
}

fn elapsed(now: Instant, since: Instant) -> Duration {
    now.saturating_duration_since(since)
}
