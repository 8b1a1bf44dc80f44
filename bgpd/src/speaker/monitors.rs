//! Monitors: who watches sessions and best routes as they change, and what waits for each.
//!
//! A monitor reads what there is for it when it likes. What waits is bounded by octets; beyond that, changes are only
//! counted, and the count stands in their place. Where nobody watches, a turn, a message and a state cost one look at a
//! number each, and a prefix nothing.

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};

use super::Speaker;
use super::clock::Clock;
use super::neighbor::{Neighbor, NeighborId};
use super::show::name_of;
use crate::fsm;
use crate::monitor::{MonitorId, News, RouteChange, SessionChange, Watch};
use crate::mrt::{Ends, MessageKind, write_message, write_state_change};
use crate::rib::{Change, SetId, SourceId};
use crate::types::ConnectionId;
use crate::view::{PathView, SessionState};
use crate::wire::{self, Context, HEADER, Message};

/// How many there may be.
const MOST: usize = 8;
/// Octets that may wait for one of them.
const LIMIT: usize = 4 << 20;
/// What one change takes besides what it refers to.
const CHANGE: usize = 128;
/// What a record has besides its message, at most: its headers, two AS numbers and two addresses.
const RECORD: usize = 64;
/// Attribute sets that are read for monitors in one turn: routes beyond count as missed.
const SETS: usize = 512;
/// The type octet of UPDATE.
const UPDATE: u8 = 2;

/// All of them.
#[derive(Debug, Default)]
pub(super) struct Monitors {
    all: BTreeMap<MonitorId, Monitor>,
    created: u64,
    /// A bit for each [`Watch`] that somebody has.
    watched: u8,
    /// As the last of them has said.
    clock: Option<Clock>,
    /// Sources that the turn forgets, and whose they were.
    leaving: BTreeMap<SourceId, String>,
}

#[derive(Debug)]
struct Monitor {
    watch: Watch,
    /// Each with the octets it takes.
    waiting: VecDeque<(News, usize)>,
    octets: usize,
}

const fn bit(watch: Watch) -> u8 {
    1 << watch as u8
}

/// Both kinds of records.
const RECORDS: u8 = bit(Watch::SessionRecords) | bit(Watch::RouteRecords);

impl Monitors {
    /// Whether anybody watches anything.
    pub(super) fn is_watched(&self) -> bool {
        self.watched != 0
    }

    fn watches(&self, bits: u8) -> bool {
        self.watched & bits != 0
    }

    fn count(&mut self) {
        self.watched = self.all.values().fold(0, |watched, monitor| watched | bit(monitor.watch));
    }

    /// The wall's time.
    fn at(&self, now: Instant) -> Duration {
        self.clock.map_or(Duration::ZERO, |clock| clock.at(now))
    }

    fn on(&mut self, watch: Watch) -> impl Iterator<Item = &mut Monitor> {
        self.all.values_mut().filter(move |monitor| monitor.watch == watch)
    }

    fn tell(&mut self, watch: Watch, news: &News, octets: usize) {
        self.on(watch).for_each(|monitor| monitor.tell(news, octets));
    }

    /// Whether one of them has room for more.
    fn has_room(&self, watch: Watch) -> bool {
        self.all.values().any(|monitor| monitor.watch == watch && monitor.octets < LIMIT)
    }

    fn miss(&mut self, watch: Watch) {
        self.on(watch).for_each(Monitor::miss);
    }
}

impl Monitor {
    fn tell(&mut self, news: &News, octets: usize) {
        if self.octets >= LIMIT {
            return self.miss();
        }
        self.octets += octets;
        self.waiting.push_back((news.clone(), octets));
    }

    fn miss(&mut self) {
        match self.waiting.back_mut() {
            Some((News::Missed(count), _)) => *count += 1,
            _ => self.waiting.push_back((News::Missed(1), 0)),
        }
    }
}

/// For the shell.
impl Speaker {
    /// Somebody watches from now on, at this time since 1970. `None`: there are too many already.
    pub fn watch(&mut self, now: Instant, watch: Watch, wall: Duration) -> Option<MonitorId> {
        let monitors = &mut self.monitors;
        if monitors.all.len() >= MOST {
            return None;
        }
        monitors.created += 1;
        let id = MonitorId(monitors.created);
        monitors.clock = Some(Clock { known: now, wall });
        monitors.all.insert(id, Monitor { watch, waiting: VecDeque::new(), octets: 0 });
        monitors.count();
        Some(id)
    }

    /// It does not watch any more.
    pub fn unwatch(&mut self, id: MonitorId) {
        self.monitors.all.remove(&id);
        self.monitors.count();
    }

    /// Monitors with something to hear.
    pub fn monitors_waiting(&self) -> impl Iterator<Item = MonitorId> {
        self.monitors.all.iter().filter(|(_, monitor)| !monitor.waiting.is_empty()).map(|(id, _)| *id)
    }

    /// What there is for a monitor, the oldest first: one thing, and more up to so many octets.
    pub fn poll_monitor(&mut self, id: MonitorId, octets: usize) -> Vec<News> {
        let Some(monitor) = self.monitors.all.get_mut(&id) else { return Vec::new() };
        let (mut news, mut taken) = (Vec::new(), 0);
        while let Some((next, length)) = monitor.waiting.pop_front() {
            news.push(next);
            taken += length;
            if taken >= octets {
                break;
            }
        }
        monitor.octets -= taken;
        news
    }
}

/// Sessions.
impl Speaker {
    /// A neighbor's FSM has made a step, and `actions` are what follows.
    pub(super) fn monitor_step(&mut self, id: NeighborId, before: SessionState, actions: &[fsm::Action]) {
        let Some(neighbor) = self.neighbors.get(id) else { return };
        let now = neighbor.fsm.state();
        if now == before {
            return;
        }
        let at = self.monitors.at(self.now);
        let ends = self.ends_of(neighbor, None);
        let change = SessionChange {
            at,
            neighbor: neighbor.name.clone(),
            address: ends.remote,
            asn: ends.remote_asn,
            before,
            now,
            reason: self.reason(neighbor, now, actions),
        };
        let octets = CHANGE + change.neighbor.len() + change.reason.as_ref().map_or(0, String::len);
        self.monitors.tell(Watch::Sessions, &News::Session(Arc::new(change)), octets);
        if self.monitors.watches(RECORDS) {
            let mut record = BytesMut::new();
            write_state_change(at, &ends, before, now, &mut record);
            let record = record.freeze();
            self.tell_record(Watch::SessionRecords, &record);
            self.tell_record(Watch::RouteRecords, &record);
        }
    }

    /// Why a session, or a try, has ended.
    fn reason(&self, neighbor: &Neighbor, now: SessionState, actions: &[fsm::Action]) -> Option<String> {
        let ended = actions.iter().find_map(|action| match action {
            fsm::Action::Down { reason } | fsm::Action::Failed { reason } => Some(self.text(reason)),
            _ => None,
        });
        let obstacle = || self.obstacle(neighbor).filter(|_| now == SessionState::Idle).map(|why| why.to_string());
        ended.or_else(obstacle)
    }

    /// As records name a session; `on`: our end of its connection and the other.
    fn ends_of(&self, neighbor: &Neighbor, on: Option<(SocketAddr, SocketAddr)>) -> Ends {
        let session = neighbor.session.as_ref().map(|session| &session.negotiated);
        let negotiated = neighbor.fsm.negotiated().or(session);
        let agreed = negotiated.map(|negotiated| (negotiated.local, negotiated.remote));
        let local = on.or(agreed).map(|(local, _)| local.ip()).or(neighbor.settings.local_address);
        Ends {
            remote: neighbor.settings.address,
            local,
            remote_asn: negotiated.map(|negotiated| negotiated.asn).or(neighbor.configured_asn(&self.settings)),
            local_asn: neighbor.local_asn(&self.settings),
        }
    }
}

/// Messages.
impl Speaker {
    /// A neighbor has sent a message.
    pub(super) fn monitor_received(&mut self, id: NeighborId, connection: ConnectionId, message: &[u8]) {
        if self.monitors.watches(RECORDS) {
            let on = self.connections.open(connection).and_then(|connection| connection.ends);
            self.record(id, connection, on, false, message);
        }
    }

    /// A neighbor is sent whole messages.
    pub(super) fn monitor_sent(
        &mut self,
        id: NeighborId,
        connection: ConnectionId,
        on: Option<(SocketAddr, SocketAddr)>,
        mut messages: &[u8],
    ) {
        if !self.monitors.watches(RECORDS) {
            return;
        }
        while let Some((message, rest)) = wire::split_message(messages) {
            self.record(id, connection, on, true, message);
            messages = rest;
        }
    }

    fn record(
        &mut self,
        id: NeighborId,
        connection: ConnectionId,
        on: Option<(SocketAddr, SocketAddr)>,
        sent: bool,
        message: &[u8],
    ) {
        let Some(neighbor) = self.neighbors.get(id) else { return };
        let is_update = message.get(HEADER - 1) == Some(&UPDATE);
        let watch = if is_update { Watch::RouteRecords } else { Watch::SessionRecords };
        let of_session = neighbor.session.as_ref().is_some_and(|session| session.connection == connection);
        // What is still sent of routes behind the end of a session is none of its routes any more.
        if !self.monitors.watches(bit(watch)) || is_update && !of_session {
            return;
        }
        if !self.monitors.has_room(watch) {
            return self.monitors.miss(watch);
        }
        let kind = match is_update {
            true => kind(&neighbor.fsm.context(connection), sent, message),
            false => MessageKind { sent, ..MessageKind::default() },
        };
        let ends = self.ends_of(neighbor, on);
        let mut record = BytesMut::with_capacity(RECORD + message.len());
        write_message(self.monitors.at(self.now), &ends, kind, message, &mut record);
        self.tell_record(watch, &record.freeze());
    }

    fn tell_record(&mut self, watch: Watch, record: &Bytes) {
        self.monitors.tell(watch, &News::Record(record.clone()), CHANGE + record.len());
    }
}

/// What an UPDATE of a session with this context is.
fn kind(context: &Context, sent: bool, message: &[u8]) -> MessageKind {
    let paths_received = if sent { context.paths_sent } else { context.paths_received };
    let path_ids = match wire::decode(message, &Context { paths_received, ..*context }) {
        Ok(Message::Update(update)) => {
            let mp = update.mp_nlri.map(|(_, nlri)| nlri);
            let fields = [Some(update.withdrawn), Some(update.nlri), update.mp_withdrawn, mp];
            fields.into_iter().flatten().any(|nlri| nlri.has_ids && !nlri.is_empty())
        }
        _ => false,
    };
    MessageKind { sent, two_octet_as: !context.four_octet_as, path_ids }
}

/// Best routes.
impl Speaker {
    /// A turn has decided.
    pub(super) fn monitor_routes(&mut self, changes: &[Change]) {
        if !self.monitors.watches(bit(Watch::Routes)) {
            return;
        }
        let at = self.monitors.at(self.now);
        let mut last: Option<(SetId, Arc<PathView>)> = None;
        let mut left = SETS;
        for change in changes.iter().filter(|change| change.best) {
            let set = self.rib.best(change.destination);
            let is_known = last.as_ref().is_some_and(|(known, _)| Some(*known) == set);
            if !self.monitors.has_room(Watch::Routes) || left == 0 && set.is_some() && !is_known {
                self.monitors.miss(Watch::Routes);
                continue;
            }
            let mut octets = CHANGE;
            if let Some(set) = set.filter(|_| !is_known)
                && let Some(best) = self.best_view(change)
            {
                left -= 1;
                // Read, attributes take up to four times their octets.
                octets += size_of::<PathView>() + 4 * self.rib.set(set).octets();
                last = Some((set, Arc::new(best)));
            }
            let best = set.and_then(|_| last.as_ref().map(|(_, best)| Arc::clone(best)));
            let neighbor = if best.is_none() { self.whose(change) } else { None };
            let change = RouteChange { at, prefix: self.rib.prefix(change.destination), best, neighbor };
            self.monitors.tell(Watch::Routes, &News::Route(change), octets);
        }
        self.monitors.leaving.clear();
    }

    fn best_view(&self, change: &Change) -> Option<PathView> {
        let path = self.rib.paths(change.destination).first()?;
        Some(PathView { best: true, multipath: true, ..self.path_view(self.now, change.destination, *path) })
    }

    /// Whose path was the best before.
    fn whose(&self, change: &Change) -> Option<String> {
        let before = change.source?;
        match self.rib.find_source(before) {
            Some(source) => Some(name_of(source).0),
            None => self.monitors.leaving.get(&before).cloned(),
        }
    }

    /// A source is about to be forgotten, in the turn that tells of the last of its routes.
    pub(super) fn monitor_leaving(&mut self, source: SourceId) {
        if self.monitors.watches(bit(Watch::Routes))
            && let Some(left) = self.rib.find_source(source)
        {
            self.monitors.leaving.insert(source, name_of(left).0);
        }
    }
}
