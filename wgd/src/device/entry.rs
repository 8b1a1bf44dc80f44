//! One peer in the device: its settings, sessions, address, clock and counters.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use ipnet::IpNet;

use super::Output;
use crate::backoff::{Backoff, Jitter};
use crate::batch::Batch;
use crate::drops::{Drops, Reason};
use crate::fault::{Fault, KEPT, Seen, Silence};
use crate::liveness::{Liveness, SUSPECT_AFTER};
use crate::message::INITIATION;
use crate::peer::{Expired, Peer, Sealed};
use crate::settings::{Endpoint, PeerSettings};
use crate::view::{Event, PeerView};

/// After 90 s of tries a pause, so that a peer that is gone for long costs little.
const RETRY_FIRST: Duration = Duration::from_secs(5);
const RETRY_MOST: Duration = Duration::from_secs(20);
/// How long an initiation may be unanswered before the endpoint's name is looked up, and then again.
const LOOKUP_FIRST: Duration = Duration::from_secs(5);
const LOOKUP_MOST: Duration = Duration::from_secs(60);
/// How long an initiation may be unanswered before a word is said of it, and before it is told in the log.
const SILENT_AFTER: Duration = Duration::from_secs(5);
const TELL_AFTER: Duration = Duration::from_secs(15);

#[derive(Debug)]
pub(super) struct Entry {
    pub(super) settings: PeerSettings,
    pub(super) peer: Peer,
    pub(super) index: u32,
    pub(super) liveness: Liveness,
    pub(super) drops: Drops,
    endpoint: Option<SocketAddr>,
    /// The endpoint's name was not looked up since it was set.
    unresolved: bool,
    lookup: Backoff,
    retry: Backoff,
    /// Since when initiations are unanswered.
    asking: Option<Instant>,
    last_sent: Option<Instant>,
    received: u64,
    transmitted: u64,
    fault: Option<Seen>,
    /// Since the peer was heard last: how many of its initiations were answered, and the last of them.
    answers: u32,
    last_answer: Option<(Instant, SocketAddr)>,
    /// What was told in the log of its silence.
    told: Option<Silence>,
}

impl Entry {
    pub(super) fn new(settings: PeerSettings, peer: Peer, index: u32) -> Self {
        let liveness = Liveness::new(settings.watched);
        let (endpoint, unresolved) = match settings.endpoint {
            Some(Endpoint::Address(address)) => (Some(address), false),
            Some(Endpoint::Name(..)) => (None, true),
            None => (None, false),
        };
        Self {
            settings,
            peer,
            index,
            liveness,
            drops: Drops::default(),
            endpoint,
            unresolved,
            lookup: Backoff::default(),
            retry: Backoff::default(),
            asking: None,
            last_sent: None,
            received: 0,
            transmitted: 0,
            fault: None,
            answers: 0,
            last_answer: None,
            told: None,
        }
    }

    /// Encrypts and sends a packet, or keeps it until there is a session.
    pub(super) fn send(&mut self, now: Instant, buffer: &mut [u8], len: usize, mtu: u16, out: &mut Output) {
        let Some(to) = self.endpoint else { return self.drops.count(Reason::NoEndpoint) };
        match self.peer.seal(buffer, len, usize::from(mtu), out.datagrams.room()) {
            Sealed::Transport(len) | Sealed::Queued(Some(len)) => self.transmit(now, to, len, &mut out.datagrams),
            Sealed::Queued(None) => {}
            Sealed::Full(initiation) => {
                self.drops.count(Reason::NoSession);
                self.transmit_made(now, initiation, &mut out.datagrams);
            }
        }
    }

    /// Packets that waited leave, now that there is a session.
    pub(super) fn drain(&mut self, now: Instant, out: &mut Batch<SocketAddr>) {
        while let Some(len) = self.peer.unqueue(out.room()) {
            self.transmit_made(now, Some(len), out);
        }
    }

    /// A datagram of `octets` proved that the peer is alive, and that it is there: it may roam. True: its state
    /// changed.
    pub(super) fn hear(&mut self, now: Instant, from: SocketAddr, octets: usize, events: &mut Vec<Event>) -> bool {
        self.settle_at(from, events);
        self.received += octets as u64;
        self.asking = None;
        (self.answers, self.last_answer, self.told) = (0, None, None);
        self.retry.reset();
        if !self.unresolved {
            self.lookup.reset();
        }
        self.liveness.hear(now)
    }

    /// The first `len` octets of the room go to the peer.
    pub(super) fn transmit(&mut self, now: Instant, to: SocketAddr, len: usize, out: &mut Batch<SocketAddr>) {
        if out.room().first() == Some(&INITIATION) {
            self.asking.get_or_insert(now);
        }
        self.last_sent = Some(now);
        self.transmitted += len as u64;
        out.push(len, to);
    }

    /// An initiation of the peer's was answered.
    pub(super) fn answered(&mut self, now: Instant, from: SocketAddr) {
        self.answers = self.answers.saturating_add(1);
        self.last_answer = Some((now, from));
    }

    /// A handshake message of the peer's came to nothing.
    pub(super) fn refuse(&mut self, now: Instant, from: SocketAddr, reason: Reason) {
        self.drops.count(reason);
        let fault = match reason {
            Reason::PresharedKey => Fault::PresharedKey,
            Reason::Replay => Fault::OldTimestamp,
            _ => return,
        };
        if !self.is_heard(now) {
            Seen::keep(&mut self.fault, now, from, fault, Some(&self.settings.name));
        }
    }

    /// Tells the log why nothing comes of the peer, once until it is heard or the reason is another.
    pub(super) fn complain(&mut self, now: Instant) {
        let Some(silence) = self.silence(now) else { return };
        let is_due = match silence {
            Silence::Unanswered(_) => self.asking.is_some_and(|since| elapsed(now, since) >= TELL_AFTER),
            Silence::Unconfirmed(_) => true,
            // It may be meant so; and who looks names up tells of those that are not found
            Silence::NoEndpoint | Silence::NoAddress => false,
        };
        if is_due && self.told.replace(silence) != Some(silence) {
            tracing::warn!(peer = self.settings.name, reason = %silence, "no tunnel to the peer");
        }
    }

    /// True: the state of the peer changed.
    pub(super) fn tick(&mut self, now: Instant, jitter: &mut Jitter, out: &mut Output) -> bool {
        match self.peer.tick(out.datagrams.room()) {
            Ok(made) => self.transmit_made(now, made, &mut out.datagrams),
            Err(expired) => self.give_up(now, expired, jitter),
        }
        if self.wants_handshake(now) {
            self.initiate(now, false, &mut out.datagrams);
        } else if self.wants_keepalive(now) {
            let made = self.peer.keep_alive(out.datagrams.room());
            self.transmit_made(now, made, &mut out.datagrams);
        }
        self.look_up(now, jitter, &mut out.events);
        self.liveness.check(now, self.settings.watched)
    }

    /// Addresses of the endpoint's name.
    pub(super) fn found(&mut self, now: Instant, addresses: &[SocketAddr], out: &mut Output) {
        let Some(first) = addresses.first() else { return };
        let settled = self.endpoint.is_some() && self.asking.is_none();
        if !std::mem::take(&mut self.unresolved) && settled {
            return;
        }
        let current = addresses.iter().position(|address| Some(*address) == self.endpoint && !settled);
        let next = current.and_then(|at| addresses.get(at + 1)).unwrap_or(first);
        self.move_to(now, *next, out);
    }

    /// What the settings say of the endpoint has changed. A peer that was learned stays where it is.
    pub(super) fn endpoint_changed(&mut self, now: Instant, out: &mut Output) {
        self.unresolved = matches!(self.settings.endpoint, Some(Endpoint::Name(..)));
        self.lookup.reset();
        if let Some(Endpoint::Address(address)) = self.settings.endpoint {
            self.move_to(now, address, out);
        }
    }

    /// Sessions with other keys: the old ones are gone.
    pub(super) fn replace_peer(&mut self, peer: Peer, index: u32) {
        self.drops.add(Reason::NoSession, self.peer.queued() as u64);
        self.peer = peer;
        self.index = index;
        self.asking = None;
        self.retry.reset();
    }

    /// Where the peer's datagrams go.
    pub(super) fn endpoint(&self) -> Option<SocketAddr> {
        self.endpoint
    }

    pub(super) fn view(&self, now: Instant, allowed_ips_from_bgp: Vec<IpNet>) -> PeerView {
        let handshake = self.peer.last_handshake();
        PeerView {
            name: self.settings.name.clone(),
            public_key: self.settings.public_key,
            endpoint: self.endpoint,
            state: self.liveness.state(),
            handshake_age: handshake.map(|at| elapsed(now, at)),
            allowed_ips: self.settings.allowed_ips.clone(),
            allowed_ips_from_bgp,
            receive_bytes: self.received,
            transmit_bytes: self.transmitted,
            note: None,
            drops: self.drops.view(),
        }
    }

    /// `strange`: what comes from where the peer is, and is not by its key.
    pub(super) fn note(&self, now: Instant, strange: Option<&Seen>) -> Option<String> {
        let since =
            |seen: &&Seen| self.liveness.heard().is_none_or(|heard| seen.at > heard) && elapsed(now, seen.at) < KEPT;
        let fault = self.fault.as_ref().filter(since).or_else(|| strange.filter(since));
        match fault.filter(|_| !self.is_heard(now)) {
            Some(fault) => Some(fault.to_string()),
            None => self.silence(now).map(|silence| silence.to_string()),
        }
    }

    fn silence(&self, now: Instant) -> Option<Silence> {
        if self.is_heard(now) {
            return None;
        }
        // One may be lost on its way
        let answer = self.last_answer.filter(|(at, _)| self.answers > 1 && elapsed(now, *at) < KEPT);
        if let Some((_, from)) = answer {
            return Some(Silence::Unconfirmed(from));
        }
        let never = self.liveness.heard().is_none();
        let sent = self.asking.or(self.last_sent.filter(|_| never));
        match self.endpoint {
            Some(to) => sent.filter(|at| elapsed(now, *at) >= SILENT_AFTER).map(|_| Silence::Unanswered(to)),
            None if self.unresolved => Some(Silence::NoAddress),
            None => never.then_some(Silence::NoEndpoint),
        }
    }

    fn is_heard(&self, now: Instant) -> bool {
        self.liveness.heard().is_some_and(|heard| elapsed(now, heard) < SUSPECT_AFTER)
    }

    fn transmit_made(&mut self, now: Instant, made: Option<usize>, out: &mut Batch<SocketAddr>) {
        match (made, self.endpoint) {
            (Some(len), Some(to)) => self.transmit(now, to, len, out),
            (Some(_), None) => self.drops.count(Reason::NoEndpoint),
            (None, _) => {}
        }
    }

    fn initiate(&mut self, now: Instant, again: bool, out: &mut Batch<SocketAddr>) {
        let made = self.peer.initiate(out.room(), again);
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

    fn look_up(&mut self, now: Instant, jitter: &mut Jitter, events: &mut Vec<Event>) {
        let Some(Endpoint::Name(name, port)) = &self.settings.endpoint else { return };
        let unanswered = self.asking.is_some_and(|since| elapsed(now, since) >= LOOKUP_FIRST);
        if (self.unresolved || unanswered) && self.lookup.is_due(now) {
            events.push(Event::EndpointWanted(self.settings.public_key, name.clone(), *port));
            self.lookup.tried(now, LOOKUP_FIRST, LOOKUP_MOST, jitter);
        }
    }
}

fn elapsed(now: Instant, since: Instant) -> Duration {
    now.saturating_duration_since(since)
}
