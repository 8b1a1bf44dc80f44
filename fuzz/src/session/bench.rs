//! A speaker on its host, for neighbors that are played.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use bgpd::Speaker;
use bgpd::settings::{NeighborSettings, RemoteAs, SessionSettings, Settings};
use bgpd::speaker::{Action, Event, FibChoice, Input, NextHopState, Slice};
use bgpd::types::{Asn, BgpIdentifier, ConnectionId};
use bgpd::view::{NeighborView, SessionState};
use bytes::BytesMut;
use ipnet::IpNet;

/// Instants of one run are relative to this.
static START: LazyLock<Instant> = LazyLock::new(Instant::now);

/// Everything of a table.
pub(crate) const EVERYTHING: Slice = Slice { after: None, limit: usize::MAX, within: None };

pub(crate) struct Bench {
    pub(crate) speaker: Speaker,
    now: Instant,
    /// Connections that stand: what came for them, and what the speaker has not taken of what they sent.
    open: BTreeMap<ConnectionId, Ends>,
    /// What was sent on connections that are closed.
    last: BTreeMap<ConnectionId, BytesMut>,
    /// What the host says of an address: a way, or none.
    pub(crate) ways: BTreeMap<IpAddr, bool>,
    pub(crate) fib: BTreeMap<IpNet, FibChoice>,
}

#[derive(Default)]
struct Ends {
    heard: BytesMut,
    unread: BytesMut,
    /// It takes nothing.
    deaf: bool,
}

/// AS 64512, without neighbors.
pub(crate) fn router() -> Settings {
    Settings {
        multipath: 4,
        ..Settings::new(
            asn(64512),
            BgpIdentifier::new(Ipv4Addr::new(10, 0, 0, 1)).unwrap_or_else(|| unreachable!("it is not zero")),
        )
    }
}

pub(crate) fn asn(number: u32) -> Asn {
    Asn::new(number).unwrap_or(Asn::TRANS)
}

/// One that dials.
pub(crate) fn neighbor(at: &str, asn: RemoteAs, session: SessionSettings) -> NeighborSettings {
    NeighborSettings { passive: true, ..NeighborSettings::new(address(at), asn, session) }
}

pub(crate) fn address(text: &str) -> IpAddr {
    text.parse().unwrap_or_else(|_| unreachable!("{text} is an address"))
}

impl Bench {
    pub(crate) fn new(settings: Settings) -> Self {
        let speaker = Speaker::new(*START, settings, 1);
        let (open, last, ways, fib) = Default::default();
        let mut bench = Self { speaker, now: *START, open, last, ways, fib };
        bench.input(Input::Companions(vec![(address("10.0.0.1"), address("fd00::1"))]));
        bench
    }

    pub(crate) fn input(&mut self, input: Input<'_>) {
        self.speaker.input(self.now, input);
        self.pump();
    }

    pub(crate) fn accept(&mut self, connection: ConnectionId, from: &str) {
        self.open.insert(connection, Ends::default());
        let [local, remote] = ["10.0.0.1", from].map(|text| SocketAddr::new(address(text), 179));
        self.input(Input::Accepted { connection, local, remote, interface: None });
    }

    pub(crate) fn receive(&mut self, connection: ConnectionId, bytes: &[u8]) {
        let Some(ends) = self.open.get_mut(&connection) else { return };
        let mut unread = std::mem::take(&mut ends.unread);
        unread.extend_from_slice(bytes);
        loop {
            let before = unread.len();
            self.input(Input::Bytes { connection, bytes: &mut unread });
            self.rest();
            if unread.is_empty() || unread.len() == before {
                break;
            }
        }
        if let Some(ends) = self.open.get_mut(&connection) {
            ends.unread = unread;
        }
    }

    /// The connection breaks.
    pub(crate) fn close(&mut self, connection: ConnectionId) {
        if self.open.remove(&connection).is_some() {
            self.input(Input::Closed { connection, error: None });
        }
    }

    pub(crate) fn is_open(&self, connection: ConnectionId) -> bool {
        self.open.contains_key(&connection)
    }

    pub(crate) fn set_deaf(&mut self, connection: ConnectionId, deaf: bool) {
        if let Some(ends) = self.open.get_mut(&connection) {
            ends.deaf = deaf;
        }
        self.pump();
    }

    /// What came since the last time.
    pub(crate) fn heard(&mut self, connection: ConnectionId) -> BytesMut {
        match self.open.get_mut(&connection) {
            Some(ends) => ends.heard.split(),
            None => self.last.remove(&connection).unwrap_or_default(),
        }
    }

    /// Time passes.
    pub(crate) fn pass(&mut self, time: Duration) {
        let end = self.now + time;
        while let Some(next) = self.speaker.next_timeout().filter(|next| *next <= end) {
            self.now = self.now.max(next);
            self.input(Input::Timer);
        }
        self.now = end;
    }

    /// Until no work is left that needs no input.
    pub(crate) fn rest(&mut self) {
        self.pass(Duration::ZERO);
    }

    pub(crate) fn now(&self) -> Instant {
        self.now
    }

    pub(crate) fn view(&self, name: &str) -> NeighborView {
        self.speaker.neighbor(self.now, name).unwrap_or_else(|| unreachable!("{name} is configured"))
    }

    pub(crate) fn state(&self, name: &str) -> SessionState {
        self.view(name).state
    }

    /// The host's answer about an address.
    pub(crate) fn way(&self, address: IpAddr) -> NextHopState {
        let up = self.ways.get(&address).copied().unwrap_or(true);
        NextHopState { up, connected: true, ..NextHopState::default() }
    }

    fn pump(&mut self) {
        loop {
            self.install();
            let mut answers = Vec::new();
            while let Some(event) = self.speaker.poll_event() {
                if let Event::NextHopWanted(next_hop) = event {
                    answers.push((next_hop, self.way(next_hop.address)));
                }
            }
            self.transmit();
            while let Some(action) = self.speaker.poll_action() {
                self.act(action);
            }
            if answers.is_empty() {
                return;
            }
            self.speaker.input(self.now, Input::NextHops(answers));
        }
    }

    fn install(&mut self) {
        loop {
            let changes = self.speaker.poll_fib(100);
            if changes.is_empty() {
                return;
            }
            for change in changes {
                match change.choice {
                    Some(choice) => self.fib.insert(change.prefix, choice),
                    None => self.fib.remove(&change.prefix),
                };
            }
        }
    }

    fn act(&mut self, action: Action) {
        let Action::Close { connection } = action else { return };
        let mut heard = self.open.remove(&connection).map(|ends| ends.heard).unwrap_or_default();
        while self.speaker.poll_transmit(self.now, connection, &mut heard) {}
        self.last.insert(connection, heard);
        self.speaker.input(self.now, Input::Closed { connection, error: None });
    }

    fn transmit(&mut self) {
        while self.speaker.poll_writable().is_some() {}
        for (connection, ends) in self.open.iter_mut().filter(|(_, ends)| !ends.deaf) {
            while self.speaker.poll_transmit(self.now, *connection, &mut ends.heard) {}
        }
    }
}
