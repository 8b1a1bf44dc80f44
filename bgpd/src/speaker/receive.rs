//! From bytes to messages, from messages to the state machine and the RIB.

use bytes::{Buf, BytesMut};

use super::Speaker;
use super::limits::Direction;
use super::neighbor::NeighborId;
use crate::fsm;
use crate::rib::{Key, SourceId};
use crate::types::{ConnectionId, Family};
use crate::wire::{self, AttrError, DecodeError, Message, Nlri, Notification, Update};

/// Destinations touched in one turn, beyond which no further message is taken.
const TOUCHED: usize = 2048;

impl Speaker {
    /// Takes whole messages off the front.
    pub(super) fn bytes(&mut self, connection: ConnectionId, bytes: &mut BytesMut) {
        self.decide_connection(connection, bytes);
        let Some(id) = self.connections.open(connection).map(|open| open.neighbor) else {
            if !self.undecided.contains(connection) {
                bytes.clear();
            }
            return;
        };
        self.step(id, fsm::Event::Alive { connection });
        let mut used = 0;
        let mut fault = None;
        // What comes behind too many routes is for another turn.
        while self.rib.touched() < TOUCHED && self.connections.open(connection).is_some() {
            match self.message(id, connection, &bytes[used..]) {
                Ok(0) => break,
                Ok(length) => used += length,
                Err(notification) => {
                    fault = Some(notification);
                    break;
                }
            }
        }
        self.rib.take_in();
        self.enforce_limit(id, Direction::In);
        if let Some(notification) = fault.or_else(|| self.check_memory(id).err()) {
            self.step(id, fsm::Event::Malformed { connection, notification });
        }
        if self.connections.open(connection).is_some() {
            bytes.advance(used);
        } else {
            bytes.clear(); // it is closing: what else came on it counts for nothing
        }
    }

    /// Takes the message at the front of `bytes` and returns its length; 0: it is not complete.
    fn message(&mut self, id: NeighborId, connection: ConnectionId, bytes: &[u8]) -> Result<usize, Notification> {
        let Some(neighbor) = self.neighbors.get_mut(id) else { return Ok(0) };
        let context = neighbor.fsm.context(connection);
        let refused = |error: DecodeError| Notification::from(&error);
        let Some(length) = wire::frame_length(bytes, context.max_received).map_err(refused)? else { return Ok(0) };
        neighbor.record.counters.received.count(bytes[wire::HEADER - 1]);
        self.monitor_received(id, connection, &bytes[..length]);
        let message = wire::decode(&bytes[..length], &context).map_err(refused)?;
        if !matches!(message, Message::Update(_)) {
            self.rib.take_in(); // the end of a session finds all that was said in it
        }
        match message {
            Message::Open(open) => {
                self.connections.keep_open(connection, 1, &bytes[..length]);
                self.step(id, fsm::Event::Open { connection, open: &open });
            }
            Message::Keepalive => self.step(id, fsm::Event::Keepalive { connection }),
            Message::Notification(notification) => {
                self.step(id, fsm::Event::Notification { connection, notification: &notification });
            }
            Message::Update(update) => {
                self.monitor_update(id, connection, &bytes[..length]);
                self.update(id, connection, &update).map_err(refused)?;
            }
            Message::RouteRefresh(refresh) => {
                self.step(id, fsm::Event::RouteRefresh { connection });
                self.route_refresh(id, connection, refresh);
            }
        }
        Ok(length)
    }

    /// Takes an UPDATE of an Established session; before that the FSM refuses it.
    fn update(&mut self, id: NeighborId, connection: ConnectionId, update: &Update<'_>) -> Result<(), DecodeError> {
        let session = self.neighbors.get_mut(id).and_then(|neighbor| neighbor.session_on(connection));
        let Some(session) = session else {
            self.step(id, fsm::Event::Update { connection });
            return Ok(());
        };
        let source = session.source;
        let since = self.since();
        let (mut withdrawn, mut announced) = (0, 0);
        // RFC 4271 §4.3: a prefix that is withdrawn and announced at once is announced.
        for (id, prefix) in update.withdrawn.paths().chain(update.mp_withdrawn.iter().flat_map(|nlri| nlri.paths())) {
            self.rib.withdraw(source, id, prefix, since);
            withdrawn += 1;
        }
        let errors = self.announcements(source, update, &mut announced);
        if let Some(neighbor) = self.neighbors.get_mut(id) {
            let counters = &mut neighbor.record.counters;
            counters.withdrawn += withdrawn;
            counters.announced += announced;
            counters.ignored_families += u64::from(update.ignored_family);
        }
        self.report(id, &errors?);
        if let Some(family) = update.end_of_rib() {
            self.rib.take_in(); // what has arrived is told again
            self.end_of_rib(id, family);
        }
        Ok(())
    }

    /// The prefixes of both fields, each with its next hop, counted.
    fn announcements(
        &mut self,
        source: SourceId,
        update: &Update<'_>,
        announced: &mut u64,
    ) -> Result<Vec<AttrError>, DecodeError> {
        let mut errors = Vec::new();
        if !update.nlri.is_empty() {
            let key = Key::new(Family::Ipv4, None, update.attributes);
            errors.extend(self.import(source, key, &update.nlri, announced)?);
        }
        match update.mp_nlri {
            Some((next_hop, nlri)) if !nlri.is_empty() => {
                let key = Key::new(nlri.family, Some(next_hop), update.attributes);
                errors.extend(self.import(source, key, &nlri, announced)?);
            }
            _ if update.nlri.is_empty() && update.end_of_rib().is_none() => {
                // RFC 7606 §5.2: attributes that announce nothing may still be wrong.
                let parsed = update.attributes.parse(&self.rib.source(source).context);
                parsed.reset().map_or(Ok(()), Err)?;
                errors.extend(parsed.errors);
            }
            _ => {}
        }
        Ok(errors)
    }

    /// The prefixes of one field.
    fn import(
        &mut self,
        source: SourceId,
        key: Key<'_>,
        nlri: &Nlri<'_>,
        announced: &mut u64,
    ) -> Result<Vec<AttrError>, DecodeError> {
        let since = self.since();
        if !nlri.has_ids {
            return self.rib.import(source, &key, nlri.iter().inspect(|_| *announced += 1), since);
        }
        let paths: Vec<_> = nlri.paths().collect();
        *announced += paths.len() as u64;
        let mut errors = Vec::new();
        for paths in paths.chunk_by(|left, right| left.0 == right.0) {
            let key = key.with_id(paths[0].0);
            errors.extend(self.rib.import(source, &key, paths.iter().map(|(_, prefix)| *prefix), since)?);
        }
        Ok(errors)
    }
}
