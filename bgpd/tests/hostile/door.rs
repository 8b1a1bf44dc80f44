//! The speaker's door as its shell stands before it: pieces of 64 KiB in, as long as the speaker may read, and a turn
//! of a millisecond for each. One good neighbor, with a hold time of 3 s, listens to all of it.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use bgpd::Speaker;
use bgpd::settings::{NeighborSettings, Settings};
use bgpd::speaker::{Action, Event, Input, NextHopState};
use bgpd::types::{ConnectionId, HoldTime};
use bgpd::view::{NeighborView, SessionState};
use bgpd::wire;
use bytes::{Buf, BytesMut};

use crate::raw::open;
use crate::settings::{Told, address, neighbor, router};

/// What the shell reads at once.
const READ: usize = 64 * 1024;
/// What the socket of a neighbor that does not read takes.
const SOCKET: usize = 256 * 1024;
/// No call of the speaker works longer.
const TURN: Duration = Duration::from_millis(1);
const HOLD_TIME: u16 = 3;

pub(crate) const GOOD: ConnectionId = ConnectionId(1);
pub(crate) const BAD: ConnectionId = ConnectionId(2);

pub(crate) struct Door {
    pub(crate) speaker: Speaker,
    pub(crate) now: Instant,
    /// Octets that a connection may still be sent; others take everything.
    room: HashMap<ConnectionId, usize>,
    /// The rest of the program hears nothing of events and the FIB.
    pub(crate) busy: bool,
    /// What came for the good neighbor and is no whole message yet.
    inbox: BytesMut,
    /// When it last heard a KEEPALIVE, and when it last sent one.
    heard: Instant,
    said: Instant,
    /// The longest time between two KEEPALIVEs.
    pub(crate) longest: Duration,
    scratch: BytesMut,
}

impl Door {
    /// Both sessions are Established; `change` says how the bad neighbor is configured.
    pub(crate) fn new(change: impl FnOnce(&mut NeighborSettings)) -> Self {
        let mut bad = neighbor("10.0.0.11", 64513);
        bad.passive = true;
        change(&mut bad);
        let mut good = neighbor("10.0.0.12", 64514);
        good.passive = true;
        good.session.hold_time = HoldTime::new(HOLD_TIME).unwrap();
        let settings = router(64512, "10.0.0.1").with_neighbor("bad", bad).with_neighbor("good", good);
        Self::with(settings)
    }

    fn with(settings: Settings) -> Self {
        let now = Instant::now();
        let (room, inbox, scratch) = Default::default();
        let speaker = Speaker::new(now, settings, 7);
        let mut door =
            Self { speaker, now, room, busy: false, inbox, heard: now, said: now, longest: Duration::ZERO, scratch };
        door.establish(GOOD, "10.0.0.12", 64514);
        door.establish(BAD, "10.0.0.11", 64513);
        door.longest = Duration::ZERO;
        door
    }

    pub(crate) fn establish(&mut self, connection: ConnectionId, from: &str, asn: u32) {
        self.accept(connection, from);
        let mut out = BytesMut::new();
        open(asn, from).write(&mut out);
        wire::write_keepalive(&mut out);
        self.feed(connection, &mut out);
    }

    pub(crate) fn accept(&mut self, connection: ConnectionId, from: &str) {
        let [local, remote] = ["10.0.0.1", from].map(|text| SocketAddr::new(address(text), 179));
        self.input(Input::Accepted { connection, local, remote, interface: None });
    }

    /// From now on a connection takes no more than its socket does.
    pub(crate) fn stop_reading(&mut self, connection: ConnectionId) {
        self.room.insert(connection, SOCKET);
    }

    /// Octets that arrive, as fast as the speaker takes them. What it does not take is left: the beginning of a
    /// message, or everything while it may not read.
    pub(crate) fn feed(&mut self, connection: ConnectionId, bytes: &mut BytesMut) {
        while !bytes.is_empty() && self.may_read() {
            let rest = bytes.split_off(bytes.len().min(READ));
            let before = bytes.len();
            self.speaker.input(self.now, Input::Bytes { connection, bytes });
            let used = before - bytes.len();
            bytes.unsplit(rest);
            self.pass(TURN);
            if used == 0 {
                return;
            }
        }
    }

    /// Gives the speaker time to decide what it was told.
    fn may_read(&mut self) -> bool {
        for _ in 0..100 {
            if self.speaker.may_read() {
                return true;
            }
            self.pass(TURN);
        }
        false
    }

    fn input(&mut self, input: Input<'_>) {
        self.speaker.input(self.now, input);
        self.pump();
    }

    /// Time passes. What is left of the speaker's work takes a turn at a time.
    pub(crate) fn pass(&mut self, time: Duration) {
        let end = self.now + time;
        while self.now < end {
            let due = self.speaker.next_timeout().is_some_and(|next| next <= self.now);
            if due {
                self.input(Input::Timer);
            }
            if self.now - self.said >= Duration::from_secs(1) {
                self.said = self.now;
                let mut keepalive = BytesMut::new();
                wire::write_keepalive(&mut keepalive);
                self.input(Input::Bytes { connection: GOOD, bytes: &mut keepalive });
            }
            let next = [self.speaker.next_timeout(), Some(self.said + Duration::from_secs(1)), Some(end)];
            let next = next.into_iter().flatten().min().unwrap_or(end);
            self.now = next.max(self.now + if due { TURN } else { Duration::ZERO });
        }
        self.pump();
    }

    /// Until no work is left.
    pub(crate) fn rest(&mut self) {
        while self.speaker.next_timeout().is_some_and(|next| next <= self.now) {
            self.pass(TURN);
        }
    }

    fn pump(&mut self) {
        if !self.busy {
            self.listen();
        }
        while self.speaker.poll_writable().is_some() {}
        self.transmit(GOOD);
        self.transmit(BAD);
        while let Some(action) = self.speaker.poll_action() {
            if let Action::Close { connection } = action {
                while self.speaker.poll_transmit(self.now, connection, &mut self.scratch) {}
                self.speaker.input(self.now, Input::Closed { connection, error: None });
            }
        }
    }

    fn listen(&mut self) {
        let mut answers = Vec::new();
        while let Some(event) = self.speaker.poll_event() {
            if let Event::NextHopWanted(next_hop) = event {
                answers.push((next_hop, NextHopState { up: true, connected: true, ..NextHopState::default() }));
            }
        }
        if !answers.is_empty() {
            self.speaker.input(self.now, Input::NextHops(answers));
        }
        while !self.speaker.poll_fib(256).is_empty() {}
    }

    fn transmit(&mut self, connection: ConnectionId) {
        let mut more = true;
        while more && self.room.get(&connection).is_none_or(|room| *room > 0) {
            self.scratch.clear();
            more = self.speaker.poll_transmit(self.now, connection, &mut self.scratch);
            if let Some(room) = self.room.get_mut(&connection) {
                *room = room.saturating_sub(self.scratch.len());
            }
            if connection == GOOD {
                self.inbox.extend_from_slice(&self.scratch);
                self.hear();
            }
        }
    }

    /// What the good neighbor hears: KEEPALIVEs count.
    fn hear(&mut self) {
        while let Some(length) = wire::frame_length(&self.inbox, wire::MAX_MESSAGE).unwrap() {
            if self.inbox[18] == 4 {
                self.longest = self.longest.max(self.now - self.heard);
                self.heard = self.now;
            }
            self.inbox.advance(length);
        }
    }

    pub(crate) fn bad(&self) -> NeighborView {
        self.speaker.neighbor(self.now, "bad").unwrap()
    }

    /// The good neighbor's session stands, and its KEEPALIVEs came in time.
    pub(crate) fn is_well(&self) {
        assert_eq!(self.speaker.neighbor(self.now, "good").unwrap().state, SessionState::Established);
        let late = self.now - self.heard;
        let limit = Duration::from_secs(HOLD_TIME.into()) / 3 + TURN;
        assert!(self.longest.max(late) <= limit, "a KEEPALIVE came after {:?}, {late:?} ago", self.longest);
    }
}
