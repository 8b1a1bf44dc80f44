//! Two machines that dial each other, over a network that delivers in every order TCP allows.

use std::collections::{BTreeMap, HashSet, VecDeque};

use proptest::prelude::*;

use super::*;
use crate::settings::RemoteAs;

/// What waits to arrive at one end of a connection. TCP keeps the order within a direction, nothing across.
#[derive(Clone, Debug)]
enum Item {
    /// The connection stands: `Accepted` or `Connected`.
    Up,
    Open(Open),
    Keepalive,
    Notification(Notification),
    Closed,
}

/// Two speakers and the connections between them.
#[derive(Clone, Debug)]
struct Pair {
    now: Instant,
    ends: [Fsm; 2],
    /// What is on the way: by connection and the end where it arrives.
    network: BTreeMap<(ConnectionId, usize), VecDeque<Item>>,
    /// Which end dialled, by connection number less one.
    diallers: Vec<usize>,
}

impl Pair {
    fn new(identities: [Identity; 2]) -> Self {
        let fsm = |seed: usize| {
            let remote_as = RemoteAs::OneOf(vec![asn(64512), asn(64513)]);
            Fsm::new(identities[seed].clone(), remote_as, false, SessionSettings::default(), seed as u64)
        };
        let ends = [fsm(0), fsm(1)];
        let mut pair = Self { now: Instant::now(), ends, network: BTreeMap::new(), diallers: Vec::new() };
        pair.step(0, Event::Start);
        pair.step(1, Event::Start);
        pair
    }

    fn step(&mut self, end: usize, event: Event<'_>) {
        let mut actions = Vec::new();
        self.ends[end].step(self.now, event, &mut actions);
        for action in actions {
            match action {
                Action::Connect => self.dial(end),
                Action::SendOpen { connection, open } => self.send(end, connection, Item::Open(open)),
                Action::SendKeepalive { connection } => self.send(end, connection, Item::Keepalive),
                Action::Close { connection, notification } => self.close(end, connection, notification),
                Action::Established { .. } | Action::Down { .. } | Action::Failed { .. } => {}
            }
        }
    }

    fn dial(&mut self, end: usize) {
        self.diallers.push(end);
        let connection = connection(self.diallers.len() as u64);
        self.ends[end].dialling(connection);
        for end in [0, 1] {
            self.network.insert((connection, end), VecDeque::from([Item::Up]));
        }
    }

    fn send(&mut self, from: usize, connection: ConnectionId, item: Item) {
        // Absent: the other end has closed.
        if let Some(queue) = self.network.get_mut(&(connection, 1 - from)) {
            queue.push_back(item);
        }
        self.step(from, Event::Sent { connection, pending: false });
    }

    fn close(&mut self, from: usize, connection: ConnectionId, notification: Option<Notification>) {
        if let Some(notification) = notification {
            self.send(from, connection, Item::Notification(notification));
        }
        self.send(from, connection, Item::Closed);
        self.network.remove(&(connection, from));
    }

    fn deliverable(&self) -> Vec<(ConnectionId, usize)> {
        self.network.iter().filter(|(_, queue)| !queue.is_empty()).map(|(place, _)| *place).collect()
    }

    fn deliver(&mut self, (connection, end): (ConnectionId, usize)) {
        let Some(item) = self.network.get_mut(&(connection, end)).and_then(VecDeque::pop_front) else { return };
        match &item {
            Item::Up if self.is_dialler(connection, end) => {
                self.step(end, Event::Connected { connection, ends: ends() });
            }
            Item::Up => self.step(end, Event::Accepted { connection, ends: ends() }),
            Item::Open(open) => self.step(end, Event::Open { connection, open }),
            Item::Keepalive => self.step(end, Event::Keepalive { connection }),
            Item::Notification(notification) => self.step(end, Event::Notification { connection, notification }),
            Item::Closed => {
                self.network.remove(&(connection, end));
                self.step(end, Event::Closed { connection });
            }
        }
    }

    fn is_dialler(&self, connection: ConnectionId, end: usize) -> bool {
        self.diallers[connection.0 as usize - 1] == end
    }

    fn established(&self) -> [bool; 2] {
        [0, 1].map(|end| self.ends[end].state() == SessionState::Established)
    }
}

impl Pair {
    /// Connections that neither end has closed.
    fn open_connections(&self) -> usize {
        let open = |number: &u64| (0..2).all(|end| self.network.contains_key(&(connection(*number), end)));
        (1..=self.diallers.len() as u64).filter(open).count()
    }

    /// Delivers everything, then lets the clock run to the next deadline, for this long.
    fn run(&mut self, time: Duration) {
        let end = self.now + time;
        loop {
            while let Some(place) = self.deliverable().first() {
                self.deliver(*place);
            }
            let Some(next) = self.ends.iter().filter_map(Fsm::next_timeout).min().filter(|next| *next <= end) else {
                break;
            };
            self.now = self.now.max(next);
            self.timers();
        }
        self.now = end;
    }

    fn timers(&mut self) {
        for end in [0, 1] {
            if self.ends[end].next_timeout().is_some_and(|deadline| deadline <= self.now) {
                self.step(end, Event::Timer);
            }
        }
    }

    fn break_connection(&mut self, number: u64) {
        for end in [0, 1] {
            if let Some(queue) = self.network.get_mut(&(connection(number), end)) {
                *queue = VecDeque::from([Item::Closed]);
            }
        }
    }
}

fn identities() -> [[Identity; 2]; 4] {
    [
        [identity(64512, 1), identity(64513, 2)],
        [identity(64512, 2), identity(64513, 1)],
        [identity(64512, 2), identity(64512, 1)],
        [identity(64512, 1), identity(64513, 1)], // RFC 6286: the AS decides
    ]
}

#[test]
fn a_collision_leaves_one_session_in_every_order_of_arrival_without_another_dial() {
    for identities in identities() {
        let mut seen = HashSet::new();
        let mut todo = vec![Pair::new(identities)];
        while let Some(pair) = todo.pop() {
            if !seen.insert(format!("{pair:?}")) {
                continue;
            }
            let places = pair.deliverable();
            if places.is_empty() {
                assert_eq!(pair.established(), [true, true], "{pair:#?}");
                assert_eq!((pair.open_connections(), pair.diallers.len()), (1, 2), "{pair:#?}");
            }
            todo.extend(places.into_iter().map(|place| {
                let mut next = pair.clone();
                next.deliver(place);
                next
            }));
        }
        assert!(seen.len() > 100, "only {} states explored", seen.len());
    }
}

#[test]
fn two_speakers_stay_established_for_a_day() {
    let mut pair = Pair::new(identities()[0].clone());
    pair.run(Duration::from_secs(24 * 3600));
    assert_eq!((pair.established(), pair.diallers.len()), ([true, true], 2));
}

#[derive(Clone, Debug)]
enum Chaos {
    Deliver(prop::sample::Index),
    Break(prop::sample::Index),
    Wait(u64),
    Reset(usize),
    Bounce(usize),
}

fn chaos() -> impl Strategy<Value = Chaos> {
    prop_oneof![
        8 => any::<prop::sample::Index>().prop_map(Chaos::Deliver),
        1 => any::<prop::sample::Index>().prop_map(Chaos::Break),
        2 => (0_u64..30_000).prop_map(Chaos::Wait),
        1 => (0..2_usize).prop_map(Chaos::Reset),
        1 => (0..2_usize).prop_map(Chaos::Bounce),
    ]
}

proptest! {
    #[test]
    fn whatever_happens_two_speakers_find_each_other_again(
        which in 0..4_usize,
        chaos in prop::collection::vec(chaos(), 0..60),
    ) {
        let mut pair = Pair::new(identities()[which].clone());
        for event in chaos {
            match event {
                Chaos::Deliver(index) => {
                    let places = pair.deliverable();
                    if !places.is_empty() {
                        pair.deliver(*index.get(&places));
                    }
                }
                Chaos::Break(index) => pair.break_connection(index.index(pair.diallers.len()) as u64 + 1),
                Chaos::Wait(millis) => {
                    pair.now += Duration::from_millis(millis);
                    pair.timers();
                }
                Chaos::Reset(end) => pair.step(end, Event::Reset(Notification::new(6, 4).into())),
                Chaos::Bounce(end) => {
                    pair.step(end, Event::Stop(BYE.into()));
                    pair.step(end, Event::Start);
                }
            }
        }
        pair.run(Duration::from_secs(400));
        prop_assert_eq!(pair.established(), [true, true]);
        prop_assert_eq!(pair.open_connections(), 1);
    }
}
