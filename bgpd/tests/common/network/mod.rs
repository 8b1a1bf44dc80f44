//! Speakers joined in virtual time: bytes take a while and arrive in pieces, connections break, hosts answer.
//!
//! Only speakers that something reached are looked at, so that hundreds of them cost no more than what they say.

mod power;
mod traffic;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use bgpd::settings::Settings;
use bgpd::speaker::{Action, Command, CommandError, Event, FibChoice, Input, NextHopState, Restarted, Slice};
use bgpd::types::{ConnectionId, NextHop};
use bgpd::view::{NeighborView, RouteView, SessionState};
use bgpd::{Speaker, speaker};
use bytes::BytesMut;
use ipnet::IpNet;

pub(crate) use self::traffic::Traffic;

/// How long bytes are under way, at least.
const LATENCY: Duration = Duration::from_millis(1);

/// The whole world.
pub(crate) struct Network {
    pub(crate) now: Instant,
    pub(crate) nodes: Vec<Node>,
    /// How much longer than [`LATENCY`] the longest link may take; each has its own time, by the seed.
    pub(crate) spread: Duration,
    /// When routes were last put under way.
    pub(crate) last_update: Instant,
    numbers: HashMap<IpAddr, usize>,
    /// Nodes that something has reached since they were last looked at.
    awake: BTreeSet<usize>,
    /// When each node is due.
    deadlines: BTreeSet<(Instant, usize)>,
    /// By (node, connection): the other end.
    links: BTreeMap<(usize, ConnectionId), Link>,
    /// What arrives when; the number keeps order among equals.
    arrivals: BTreeMap<(Instant, u64), Arrival>,
    count: u64,
    seed: u64,
    random: u64,
    /// Turns since time last moved.
    turns_now: usize,
    unreachable: BTreeSet<(usize, usize)>,
}

/// A speaker on its host.
pub(crate) struct Node {
    pub(crate) speaker: Speaker,
    pub(crate) address: IpAddr,
    pub(crate) fib: BTreeMap<IpNet, FibChoice>,
    /// It has heard all that a restarted speaker waits for.
    pub(crate) fib_complete: bool,
    /// How often the FIB heard of a prefix.
    pub(crate) fib_changes: Vec<IpNet>,
    pub(crate) events: Vec<Event>,
    pub(crate) keys: Vec<IpNet>,
    pub(crate) dials: Vec<speaker::Connect>,
    pub(crate) adopted: Vec<speaker::SocketSettings>,
    pub(crate) wanted: BTreeSet<NextHop>,
    /// What the host says of next hops, where not the usual.
    pub(crate) next_hops: BTreeMap<IpAddr, NextHopState>,
    /// What strangers hear, and whether they still listen.
    pub(crate) heard: HashMap<ConnectionId, BytesMut>,
    pub(crate) closed: BTreeSet<ConnectionId>,
    /// Strangers that read nothing until their connection is closed.
    pub(crate) unread_by: BTreeSet<ConnectionId>,
    /// It takes nothing from its neighbors' sockets: they cannot send.
    pub(crate) deaf: bool,
    /// Its host answers nothing of its own.
    pub(crate) mute: bool,
    /// Where strangers arrive, as its host says.
    pub(crate) interface: Option<&'static str>,
    /// Its host has no power.
    pub(crate) dead: bool,
    pub(crate) sent: Traffic,
    pub(crate) received: Traffic,
    /// As in [`Network::deadlines`].
    deadline: Option<Instant>,
    unread: HashMap<ConnectionId, BytesMut>,
    writable: BTreeSet<ConnectionId>,
    accepted: u64,
}

struct Link {
    node: usize,
    connection: ConnectionId,
    /// Nothing arrives before this: bytes keep their order.
    free: Instant,
}

enum Arrival {
    Accepted { node: usize, connection: ConnectionId, local: SocketAddr, remote: SocketAddr },
    Connected { node: usize, connection: ConnectionId, local: SocketAddr, remote: SocketAddr },
    Failed { node: usize, connection: ConnectionId },
    Bytes { node: usize, connection: ConnectionId, bytes: Vec<u8> },
    Closed { node: usize, connection: ConnectionId, error: Option<String> },
}

impl Arrival {
    /// Where it arrives.
    fn node(&self) -> usize {
        match self {
            Self::Accepted { node, .. }
            | Self::Connected { node, .. }
            | Self::Failed { node, .. }
            | Self::Bytes { node, .. }
            | Self::Closed { node, .. } => *node,
        }
    }
}

impl Network {
    /// Speakers by address, none of which has moved.
    pub(crate) fn new(seed: u64, nodes: impl IntoIterator<Item = (IpAddr, Settings)>) -> Self {
        let now = Instant::now();
        let nodes = nodes.into_iter().zip(seed..).map(|((address, settings), seed)| Node {
            speaker: Speaker::new(now, settings, seed),
            address,
            fib: BTreeMap::new(),
            fib_complete: false,
            fib_changes: Vec::new(),
            events: Vec::new(),
            keys: Vec::new(),
            dials: Vec::new(),
            adopted: Vec::new(),
            wanted: BTreeSet::new(),
            next_hops: BTreeMap::new(),
            heard: HashMap::new(),
            closed: BTreeSet::new(),
            unread_by: BTreeSet::new(),
            deaf: false,
            mute: false,
            interface: None,
            dead: false,
            sent: Traffic::default(),
            received: Traffic::default(),
            deadline: None,
            unread: HashMap::new(),
            writable: BTreeSet::new(),
            accepted: 0,
        });
        let nodes: Vec<_> = nodes.collect();
        let numbers = nodes.iter().map(|node| node.address).zip(0..).collect();
        let random = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
        Self {
            now,
            nodes,
            spread: Duration::ZERO,
            last_update: now,
            numbers,
            awake: BTreeSet::new(),
            deadlines: BTreeSet::new(),
            links: BTreeMap::new(),
            arrivals: BTreeMap::new(),
            count: 0,
            seed,
            random,
            turns_now: 0,
            unreachable: BTreeSet::new(),
        }
    }

    /// Lets time pass.
    pub(crate) fn run_for(&mut self, time: Duration) {
        let end = self.now + time;
        self.settle_all();
        while let Some(next) = self.next_time().filter(|next| *next <= end) {
            self.advance(next);
        }
        self.now = end;
    }

    /// Lets time pass until something holds, ten minutes at most.
    pub(crate) fn run_until(&mut self, what: &str, holds: impl Fn(&Self) -> bool) {
        let end = self.now + Duration::from_secs(600);
        self.settle_all();
        while !holds(self) {
            let Some(next) = self.next_time().filter(|next| *next <= end) else { panic!("never: {what}\n{self}") };
            self.advance(next);
        }
    }

    fn advance(&mut self, next: Instant) {
        self.turns_now = if next > self.now { 0 } else { self.turns_now + 1 };
        assert!(self.turns_now < 10_000, "time stands still\n{self}");
        self.now = self.now.max(next);
        self.arrive();
        self.time_out();
        self.settle();
    }

    /// Gives a speaker something.
    pub(crate) fn input(&mut self, node: usize, input: Input<'_>) {
        self.nodes[node].speaker.input(self.now, input);
        self.settle_one(node);
    }

    pub(crate) fn command(&mut self, node: usize, neighbor: &str, command: Command) {
        // Where nothing can be done there is nothing to see.
        let _ = self.try_command(node, neighbor, &command);
    }

    pub(crate) fn try_command(&mut self, node: usize, neighbor: &str, command: &Command) -> Result<(), CommandError> {
        let done = self.nodes[node].speaker.command(self.now, neighbor, command);
        self.settle_one(node);
        done
    }

    pub(crate) fn reload(&mut self, node: usize, settings: Settings) {
        self.input(node, Input::Settings(Box::new(settings)));
    }

    /// The host has something new to say.
    pub(crate) fn answer(&mut self, node: usize, address: IpAddr, state: NextHopState) {
        self.nodes[node].next_hops.insert(address, state.clone());
        self.input(node, Input::NextHops(vec![(address.into(), state)]));
    }

    /// Breaks all connections between two nodes.
    pub(crate) fn cut(&mut self, left: usize, right: usize) {
        let broken: Vec<_> = self
            .links
            .iter()
            .filter(|((node, _), link)| (*node, link.node) == (left, right) || (*node, link.node) == (right, left))
            .map(|(end, _)| *end)
            .collect();
        for (node, connection) in broken {
            self.links.remove(&(node, connection));
            self.nodes[node].unread.remove(&connection);
            self.input(node, Input::Closed { connection, error: Some("reset by peer".to_owned()) });
        }
    }

    /// The program of a node crashes, and another follows. The kernel keeps what it has.
    pub(crate) fn restart(&mut self, node: usize, settings: Settings, before: Restarted) {
        let others = (0..self.nodes.len()).filter(|other| *other != node);
        others.collect::<Vec<_>>().into_iter().for_each(|other| self.cut(node, other));
        self.arrivals.retain(|_, arrival| arrival.node() != node);
        self.random(1);
        let crashed = &mut self.nodes[node];
        crashed.speaker = Speaker::new(self.now, settings, self.random);
        crashed.wanted.clear();
        crashed.writable.clear();
        crashed.fib_changes.clear();
        self.input(node, Input::Restarted(before));
    }

    /// No new connections between two nodes, or again.
    pub(crate) fn set_reachable(&mut self, left: usize, right: usize, reachable: bool) {
        for pair in [(left, right), (right, left)] {
            if reachable {
                self.unreachable.remove(&pair)
            } else {
                self.unreachable.insert(pair)
            };
        }
    }

    /// Somebody connects from an address that is no node's; what it hears is in [`Node::heard`].
    pub(crate) fn stranger(&mut self, node: usize, local: SocketAddr, remote: SocketAddr) -> ConnectionId {
        let connection = self.nodes[node].next_connection();
        self.nodes[node].heard.insert(connection, BytesMut::new());
        let interface = self.nodes[node].interface.map(str::to_owned);
        self.input(node, Input::Accepted { connection, local, remote, interface });
        connection
    }

    /// What a stranger sends.
    pub(crate) fn say(&mut self, node: usize, connection: ConnectionId, bytes: &[u8]) {
        self.nodes[node].receive(self.now, connection, bytes);
        self.settle_one(node);
    }

    pub(crate) fn state(&self, node: usize, neighbor: &str) -> SessionState {
        self.neighbor(node, neighbor).state
    }

    pub(crate) fn neighbor(&self, node: usize, neighbor: &str) -> NeighborView {
        let neighbors = self.nodes[node].speaker.neighbors(self.now);
        neighbors.into_iter().find(|view| view.name == neighbor).unwrap_or_else(|| panic!("no {neighbor}\n{self}"))
    }

    pub(crate) fn routes(&self, node: usize) -> Vec<RouteView> {
        self.nodes[node].speaker.routes(self.now, EVERYTHING)
    }

    pub(crate) fn route(&self, node: usize, prefix: &str) -> Option<RouteView> {
        let prefix: IpNet = prefix.parse().unwrap();
        self.routes(node).into_iter().find(|route| route.prefix == prefix)
    }

    pub(crate) fn received(&self, node: usize, neighbor: &str) -> Vec<RouteView> {
        self.nodes[node].speaker.received(self.now, neighbor, EVERYTHING).unwrap()
    }

    pub(crate) fn advertised(&self, node: usize, neighbor: &str) -> Vec<RouteView> {
        self.nodes[node].speaker.advertised(self.now, neighbor, EVERYTHING).unwrap()
    }

    /// Prefixes that the FIB has, with their next hops.
    pub(crate) fn fib(&self, node: usize) -> BTreeMap<String, Vec<String>> {
        let fib = self.nodes[node].fib.iter();
        fib.map(|(prefix, choice)| {
            let best = choice.best.iter().map(|next_hop| next_hop.address.to_string());
            (prefix.to_string(), if choice.discard { vec!["discard".to_owned()] } else { best.collect() })
        })
        .collect()
    }

    fn next_time(&self) -> Option<Instant> {
        let arrival = self.arrivals.first_key_value().map(|((time, _), _)| *time);
        self.deadlines.first().map(|(time, _)| *time).into_iter().chain(arrival).min()
    }

    fn arrive(&mut self) {
        while let Some(entry) = self.arrivals.first_entry().filter(|entry| entry.key().0 <= self.now) {
            let arrival = entry.remove();
            self.deliver(arrival);
        }
    }

    fn time_out(&mut self) {
        let due: Vec<_> =
            self.deadlines.iter().take_while(|(time, _)| *time <= self.now).map(|(_, node)| *node).collect();
        for node in due {
            // What has arrived at this very moment may have moved it.
            if self.nodes[node].speaker.next_timeout().is_some_and(|next| next <= self.now) {
                self.nodes[node].speaker.input(self.now, Input::Timer);
            }
            self.awake.insert(node);
        }
    }

    fn deliver(&mut self, arrival: Arrival) {
        let now = self.now;
        let node = arrival.node();
        if self.nodes[node].dead {
            return;
        }
        self.awake.insert(node);
        match arrival {
            Arrival::Accepted { node, connection, local, remote } => {
                let input = Input::Accepted { connection, local, remote, interface: None };
                self.nodes[node].speaker.input(now, input);
            }
            Arrival::Connected { node, connection, local, remote } => {
                self.nodes[node].speaker.input(now, Input::Connected { connection, local, remote });
            }
            Arrival::Failed { node, connection } => {
                let input = Input::ConnectFailed { connection, error: "connection refused".to_owned() };
                self.nodes[node].speaker.input(now, input);
            }
            Arrival::Bytes { node, connection, bytes } => self.nodes[node].receive(now, connection, &bytes),
            Arrival::Closed { node, connection, error } => {
                self.links.remove(&(node, connection));
                self.nodes[node].unread.remove(&connection);
                self.nodes[node].speaker.input(now, Input::Closed { connection, error });
            }
        }
    }

    /// Also those that a test has done something to.
    fn settle_all(&mut self) {
        self.awake.extend(0..self.nodes.len());
        self.settle();
    }

    fn settle_one(&mut self, node: usize) {
        self.awake.insert(node);
        self.settle();
    }

    /// Does what the speakers want, until none wants anything.
    fn settle(&mut self) {
        for index in std::mem::take(&mut self.awake) {
            if self.nodes[index].dead {
                continue;
            }
            while let Some(action) = self.nodes[index].speaker.poll_action() {
                self.act(index, action);
            }
            self.nodes[index].listen(self.now);
            while let Some(connection) = self.nodes[index].speaker.poll_writable() {
                self.nodes[index].writable.insert(connection);
            }
            for connection in self.nodes[index].writable.clone() {
                self.transmit(index, connection);
            }
            self.nodes[index].listen(self.now);
            self.schedule_timer(index);
        }
    }

    fn schedule_timer(&mut self, index: usize) {
        let node = &mut self.nodes[index];
        let due = node.speaker.next_timeout();
        let before = std::mem::replace(&mut node.deadline, due);
        if before != due {
            before.map(|before| self.deadlines.remove(&(before, index)));
            due.map(|due| self.deadlines.insert((due, index)));
        }
    }

    fn transmit(&mut self, index: usize, connection: ConnectionId) {
        let Some(other) = self.links.get(&(index, connection)).map(|link| link.node) else {
            self.nodes[index].transmit_to_stranger(self.now, connection);
            return;
        };
        if self.nodes[other].deaf {
            return;
        }
        let mut out = BytesMut::new();
        while self.nodes[index].speaker.poll_transmit(self.now, connection, &mut out) {}
        self.nodes[index].writable.remove(&connection);
        self.carry(index, connection, &out);
    }

    /// Puts bytes under way, in pieces.
    fn carry(&mut self, index: usize, connection: ConnectionId, mut bytes: &[u8]) {
        let Some(other) = self.links.get(&(index, connection)).map(|link| link.node) else { return };
        let traffic = Traffic::of(bytes);
        self.nodes[index].sent += traffic;
        self.nodes[other].received += traffic;
        if traffic.updates() > 0 {
            self.last_update = self.now;
        }
        let latency = self.latency(index, other);
        while !bytes.is_empty() {
            let length = (self.random(3000) as usize + 1).min(bytes.len());
            let (piece, rest) = bytes.split_at(length);
            bytes = rest;
            let Some(link) = self.links.get_mut(&(index, connection)) else { return };
            let arrival = Arrival::Bytes { node: link.node, connection: link.connection, bytes: piece.to_vec() };
            let at = (self.now + latency).max(link.free);
            link.free = at;
            self.schedule(at, arrival);
        }
    }

    fn act(&mut self, index: usize, action: Action) {
        match action {
            Action::Connect(connect) => self.dial(index, connect),
            Action::Close { connection } => {
                self.nodes[index].unread_by.remove(&connection);
                self.transmit(index, connection);
                self.nodes[index].closed.insert(connection);
                if let Some(link) = self.links.remove(&(index, connection)) {
                    let at = (self.now + self.latency(index, link.node)).max(link.free);
                    let closed = Arrival::Closed { node: link.node, connection: link.connection, error: None };
                    self.schedule(at, closed);
                    self.schedule(at, Arrival::Closed { node: index, connection, error: None });
                }
            }
            Action::Adopt { socket, .. } => self.nodes[index].adopted.push(socket),
            Action::ListenKeys(keys) => {
                self.nodes[index].keys = keys.into_iter().map(|(prefix, _)| prefix).collect();
            }
        }
    }

    fn dial(&mut self, index: usize, connect: speaker::Connect) {
        let connection = connect.connection;
        let remote = connect.remote;
        self.nodes[index].dials.push(connect);
        let listener = self.numbers.get(&remote.ip()).copied().filter(|other| !self.nodes[*other].dead);
        let Some(other) = listener.filter(|other| !self.unreachable.contains(&(index, *other))) else {
            self.schedule(self.now + LATENCY, Arrival::Failed { node: index, connection });
            return;
        };
        let at = self.now + self.latency(index, other);
        let local = SocketAddr::new(self.nodes[index].address, 40000 + (self.count % 20000) as u16);
        let accepted = self.nodes[other].next_connection();
        self.links.insert((index, connection), Link { node: other, connection: accepted, free: at });
        self.links.insert((other, accepted), Link { node: index, connection, free: at });
        self.schedule(at, Arrival::Accepted { node: other, connection: accepted, local: remote, remote: local });
        self.schedule(at, Arrival::Connected { node: index, connection, local, remote });
    }

    fn schedule(&mut self, at: Instant, arrival: Arrival) {
        self.count += 1;
        self.arrivals.insert((at, self.count), arrival);
    }

    /// The same both ways.
    fn latency(&self, left: usize, right: usize) -> Duration {
        let pair = ((left.min(right) as u64) << 32) | left.max(right) as u64;
        let mixed =
            (pair ^ self.seed).wrapping_mul(0x9E37_79B9_7F4A_7C15).rotate_left(32).wrapping_mul(0xD1B5_4A32_D192_ED03);
        LATENCY + self.spread.mul_f64((mixed >> 40) as f64 / f64::from(1 << 24))
    }

    fn random(&mut self, below: u64) -> u64 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        self.random % below
    }
}

pub(crate) const EVERYTHING: Slice = Slice { after: None, limit: usize::MAX, within: None };

impl Node {
    fn next_connection(&mut self) -> ConnectionId {
        self.accepted += 1;
        ConnectionId(self.accepted)
    }

    fn transmit_to_stranger(&mut self, now: Instant, connection: ConnectionId) {
        if self.unread_by.contains(&connection) {
            return;
        }
        self.writable.remove(&connection);
        if let Some(heard) = self.heard.get_mut(&connection) {
            while self.speaker.poll_transmit(now, connection, heard) {}
        }
    }

    fn receive(&mut self, now: Instant, connection: ConnectionId, bytes: &[u8]) {
        let mut unread = self.unread.remove(&connection).unwrap_or_default();
        unread.extend_from_slice(bytes);
        loop {
            let before = unread.len();
            self.speaker.input(now, Input::Bytes { connection, bytes: &mut unread });
            if unread.is_empty() || unread.len() == before {
                break;
            }
        }
        self.unread.insert(connection, unread);
    }

    /// Events, the host's answers, and the FIB.
    fn listen(&mut self, now: Instant) {
        while let Some(event) = self.speaker.poll_event() {
            match event {
                Event::NextHopWanted(next_hop) => {
                    assert!(self.wanted.insert(next_hop), "{next_hop:?} is wanted twice");
                    if !self.mute {
                        let state = self.host_knows(next_hop.address);
                        self.speaker.input(now, Input::NextHops(vec![(next_hop, state)]));
                    }
                }
                Event::NextHopUnwanted(next_hop) => {
                    assert!(self.wanted.remove(&next_hop), "{next_hop:?} was not wanted");
                }
                event => self.events.push(event),
            }
        }
        loop {
            let changes = self.speaker.poll_fib(100);
            if changes.is_empty() {
                break;
            }
            for change in changes {
                self.fib_changes.push(change.prefix);
                match change.choice {
                    Some(choice) => self.fib.insert(change.prefix, choice),
                    None => self.fib.remove(&change.prefix),
                };
            }
        }
        self.fib_complete |= self.speaker.poll_fib_complete();
    }

    /// Everything is on a link, unless a test says otherwise.
    fn host_knows(&self, address: IpAddr) -> NextHopState {
        let local = address == self.address;
        let usual = NextHopState { up: true, connected: true, local, ..NextHopState::default() };
        self.next_hops.get(&address).cloned().unwrap_or(usual)
    }
}

/// What a test that fails wants to see.
impl std::fmt::Display for Network {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for node in &self.nodes {
            writeln!(f, "{}:", node.address)?;
            for view in node.speaker.neighbors(self.now) {
                writeln!(f, "  {} {:?} {:?} {:?}", view.name, view.state, view.note, view.last_error)?;
            }
            for route in node.speaker.routes(self.now, EVERYTHING) {
                for path in route.paths {
                    writeln!(f, "  {} by {} {:?}", route.prefix, path.neighbor, path.not_best)?;
                }
            }
            node.events.iter().try_for_each(|event| writeln!(f, "  {event:?}"))?;
        }
        Ok(())
    }
}
