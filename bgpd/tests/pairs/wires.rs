//! Two speakers that dial each other, and a network that delivers in any order that TCP allows: what is on its way at
//! one end of a connection keeps its order, and nothing else does.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use bgpd::Speaker;
use bgpd::settings::Settings;
use bgpd::speaker::{Action, Event, Input, NextHopState};
use bgpd::types::{ConnectionId, HoldTime};
use bgpd::view::{NeighborView, SessionState};
use bytes::BytesMut;

use crate::network::EVERYTHING;
use crate::settings::{Told, neighbor, router};

/// What is on its way to one end of a connection.
#[derive(Clone, Debug)]
enum Item {
    /// The connection stands: `Accepted` or `Connected`.
    Up,
    Bytes(Vec<u8>),
    /// In order, or by a reset.
    Closed(Option<String>),
}

/// A connection, by its number, and the end where something arrives.
pub(crate) type Place = (usize, usize);

/// Two speakers and the connections between them.
pub(crate) struct Wires {
    pub(crate) now: Instant,
    pub(crate) ends: [Speaker; 2],
    /// An end that has closed a connection, or was told that it is closed, has no queue there.
    queues: BTreeMap<Place, VecDeque<Item>>,
    /// Who dialled, and under which number of its own.
    dials: Vec<(usize, ConnectionId)>,
    /// Bytes of these were lost: the far end has forgotten the connection.
    lost: BTreeSet<Place>,
    /// Nobody is ever told that the far end has forgotten these.
    silent: BTreeSet<usize>,
    /// Nothing comes back from a far end that has forgotten a connection, and no dial arrives.
    pub(crate) dark: bool,
    unread: BTreeMap<Place, BytesMut>,
}

/// Both ends' settings: AS 64512 at 10.0.0.1 and 64513 at 10.0.0.2, each with a prefix.
pub(crate) fn ends(identifiers: [&str; 2], hold_times: [u16; 2]) -> [Settings; 2] {
    [0, 1].map(|end: usize| {
        let mut far = neighbor(&format!("10.0.0.{}", 2 - end), 64513 - end as u32);
        far.session.hold_time = HoldTime::new(hold_times[end]).unwrap();
        router(64512 + end as u32, identifiers[end])
            .with_neighbor("far", far)
            .originating(&[&format!("10.{end}.0.0/16")])
    })
}

impl Wires {
    /// Neither has heard anything; both dial.
    pub(crate) fn new(settings: [Settings; 2], seed: u64) -> Self {
        let now = Instant::now();
        let mut number = seed;
        let ends = settings.map(|settings| {
            number += 1;
            Speaker::new(now, settings, number)
        });
        let (queues, dials, lost, silent, unread) = Default::default();
        let mut wires = Self { now, ends, queues, dials, lost, silent, dark: false, unread };
        (0..2).for_each(|end| wires.pump(end));
        wires
    }

    pub(crate) fn input(&mut self, end: usize, input: Input<'_>) {
        self.ends[end].input(self.now, input);
        self.pump(end);
    }

    /// Where something may arrive next.
    pub(crate) fn deliverable(&self) -> Vec<Place> {
        self.queues.iter().filter(|(_, queue)| !queue.is_empty()).map(|(place, _)| *place).collect()
    }

    pub(crate) fn deliver(&mut self, place: Place) {
        let Some(item) = self.queues.get_mut(&place).and_then(VecDeque::pop_front) else { return };
        let (number, end) = place;
        let connection = self.id(place);
        match item {
            Item::Up => {
                let (dialler, listener) =
                    ([10, 0, 0, self.dials[number].0 as u8 + 1], [10, 0, 0, 2 - self.dials[number].0 as u8]);
                let from = SocketAddr::from((dialler, 40_000 + number as u16));
                let to = SocketAddr::from((listener, 179));
                let input = match self.dials[number].0 == end {
                    true => Input::Connected { connection, local: from, remote: to },
                    false => Input::Accepted { connection, local: to, remote: from, interface: None },
                };
                self.input(end, input);
            }
            Item::Bytes(bytes) => self.receive(place, &bytes),
            Item::Closed(error) => {
                self.forget(place);
                self.input(end, Input::Closed { connection, error });
            }
        }
    }

    fn receive(&mut self, place: Place, bytes: &[u8]) {
        let mut unread = self.unread.remove(&place).unwrap_or_default();
        unread.extend_from_slice(bytes);
        loop {
            let before = unread.len();
            self.input(place.1, Input::Bytes { connection: self.id(place), bytes: &mut unread });
            if unread.is_empty() || unread.len() == before {
                break;
            }
        }
        self.unread.insert(place, unread);
    }

    /// Does what a speaker wants.
    fn pump(&mut self, end: usize) {
        loop {
            while let Some(action) = self.ends[end].poll_action() {
                self.act(end, action);
            }
            while let Some(connection) = self.ends[end].poll_writable() {
                self.transmit(end, connection);
            }
            let mut answers = Vec::new();
            while let Some(event) = self.ends[end].poll_event() {
                if let Event::NextHopWanted(next_hop) = event {
                    answers.push((next_hop, NextHopState { up: true, connected: true, ..NextHopState::default() }));
                }
            }
            self.ends[end].poll_fib(usize::MAX);
            if answers.is_empty() {
                return;
            }
            self.ends[end].input(self.now, Input::NextHops(answers));
        }
    }

    fn act(&mut self, end: usize, action: Action) {
        match action {
            Action::Connect(connect) => {
                let number = self.dials.len();
                self.dials.push((end, connect.connection));
                self.queues.insert((number, end), VecDeque::new());
                if !self.dark {
                    self.queues.insert((number, end), VecDeque::from([Item::Up]));
                    self.queues.insert((number, 1 - end), VecDeque::from([Item::Up]));
                }
            }
            Action::Close { connection } => {
                self.transmit(end, connection);
                let place = self.place(end, connection);
                self.forget(place);
                self.put((place.0, 1 - end), Item::Closed(None));
            }
            Action::Adopt { .. } | Action::ListenKeys(_) => {}
        }
    }

    fn transmit(&mut self, end: usize, connection: ConnectionId) {
        let mut out = BytesMut::new();
        while self.ends[end].poll_transmit(self.now, connection, &mut out) {}
        if !out.is_empty() {
            let (number, _) = self.place(end, connection);
            self.put((number, 1 - end), Item::Bytes(out.to_vec()));
        }
    }

    /// Sends something on its way, which comes back as a reset where the far end has forgotten the connection.
    fn put(&mut self, place: Place, item: Item) {
        let from = (place.0, 1 - place.1);
        match self.queues.get_mut(&place) {
            Some(queue) => queue.push_back(item),
            None => self.lose(from),
        }
    }

    /// What this end has sent finds nobody.
    fn lose(&mut self, from: Place) {
        self.lost.insert(from);
        if !self.dark {
            self.heal();
        }
    }

    fn reset(&mut self, place: Place) {
        if let Some(queue) =
            self.queues.get_mut(&place).filter(|queue| !queue.iter().any(|item| matches!(item, Item::Closed(_))))
        {
            queue.push_back(Item::Closed(Some("connection reset".to_owned())));
        }
    }

    fn forget(&mut self, place: Place) {
        self.unread.remove(&place);
        let unheard = self.queues.remove(&place).unwrap_or_default();
        if unheard.iter().any(|item| matches!(item, Item::Bytes(_))) {
            self.lose((place.0, 1 - place.1));
        }
    }

    fn id(&self, (number, end): Place) -> ConnectionId {
        let (dialler, connection) = self.dials[number];
        if dialler == end { connection } else { ConnectionId(number as u64) }
    }

    fn place(&self, end: usize, connection: ConnectionId) -> Place {
        let dialled = self.dials.iter().position(|dial| *dial == (end, connection));
        (dialled.unwrap_or(connection.0 as usize), end)
    }
}

/// What goes wrong, and what is right again.
impl Wires {
    /// One end is told that the connection is gone, and what is on its way to it is lost. The other end is told when
    /// it has sent something.
    pub(crate) fn break_at(&mut self, place: Place) {
        if let Some(queue) = self.queues.get_mut(&place) {
            queue.push_front(Item::Closed(Some("connection reset".to_owned())));
        }
    }

    /// The same, but the other end is never told: a firewall has forgotten the connection too.
    pub(crate) fn break_silently(&mut self, place: Place) {
        self.silent.insert(place.0);
        self.break_at(place);
    }

    /// Time passes, and the network stands still.
    pub(crate) fn wait(&mut self, time: Duration) {
        let until = self.now + time;
        while let Some(next) = self.next_timeout().filter(|next| *next <= until) {
            self.now = self.now.max(next);
            self.time_out();
        }
        self.now = until;
    }

    /// Time passes, and everything arrives at once, until something holds; `false`: it never did.
    pub(crate) fn run_until(&mut self, limit: Duration, holds: impl Fn(&Self) -> bool) -> bool {
        let began = self.now;
        loop {
            while let Some(place) = self.deliverable().first() {
                self.deliver(*place);
            }
            if holds(self) {
                return true;
            }
            let Some(next) = self.next_timeout().filter(|next| *next <= began + limit) else { return false };
            self.now = self.now.max(next);
            self.time_out();
        }
    }

    /// The network is good again: who has sent to an end that has forgotten the connection hears of it.
    pub(crate) fn heal(&mut self) {
        self.dark = false;
        for place in std::mem::take(&mut self.lost) {
            if !self.silent.contains(&place.0) {
                self.reset(place);
            }
        }
    }

    fn next_timeout(&self) -> Option<Instant> {
        self.ends.iter().filter_map(Speaker::next_timeout).min()
    }

    fn time_out(&mut self) {
        for end in 0..2 {
            if self.ends[end].next_timeout().is_some_and(|next| next <= self.now) {
                self.input(end, Input::Timer);
            }
        }
    }
}

/// What can be seen.
impl Wires {
    pub(crate) fn view(&self, end: usize) -> NeighborView {
        self.ends[end].neighbor(self.now, "far").unwrap()
    }

    pub(crate) fn are_established(&self) -> bool {
        (0..2).all(|end| self.view(end).state == SessionState::Established)
    }

    /// Each has the other's prefixes, and nothing else of it.
    pub(crate) fn are_equal(&self) -> bool {
        self.are_established()
            && (0..2).all(|end| {
                let received = self.ends[end].received(self.now, "far", EVERYTHING).unwrap_or_default();
                let received = received.into_iter().map(|route| route.prefix);
                let originated = &self.ends[1 - end].settings().originate;
                received.eq(originated.iter().map(|originate| originate.prefix))
            })
    }

    /// Connections that neither end has forgotten.
    pub(crate) fn open(&self) -> usize {
        (0..self.dials.len()).filter(|number| (0..2).all(|end| self.queues.contains_key(&(*number, end)))).count()
    }

    /// Whether a connection has ended without a word.
    pub(crate) fn has_silence(&self) -> bool {
        !self.silent.is_empty()
    }

    pub(crate) fn dialled(&self) -> usize {
        self.dials.len()
    }
}

impl std::fmt::Display for Wires {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for end in 0..2 {
            let view = self.view(end);
            writeln!(f, "{end}: {:?} {} received, {:?}", view.state, view.received, view.last_error)?;
        }
        writeln!(f, "{} dials, on the way: {:?}", self.dials.len(), self.queues)
    }
}
