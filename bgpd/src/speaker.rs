//! The whole speaker behind one door: sessions, RIB, policy, UPDATEs. Pure.
//!
//! Every input is a turn: what it says is taken in, what it touched is decided once, and what follows waits behind
//! the `poll_…` functions: for the FIB at once, for each neighbor as fast as it reads. Work that grows with the
//! table (a lost session, a changed policy, a next hop) is done a slice a turn.

mod accept;
mod add_path;
mod clock;
mod commands;
mod connections;
mod export;
mod groups;
mod limits;
mod memory;
mod monitors;
mod neighbor;
mod neighbors;
mod own;
mod receive;
mod record;
mod refresh;
mod refusals;
mod reload;
mod restart;
mod retain;
mod room;
mod sender;
mod session;
mod show;
mod silence;
mod stations;
mod sweep;
mod transmit;
mod turn;
mod undecided;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::BytesMut;
use ipnet::IpNet;

pub use self::commands::CommandError;
use self::connections::Connections;
use self::groups::Groups;
use self::limits::Direction;
use self::monitors::Monitors;
use self::neighbors::Neighbors;
use self::own::OwnRoutes;
use self::refusals::Refusals;
use self::restart::Restart;
use self::sender::Writing;
#[cfg(feature = "net")]
pub(crate) use self::silence::causes_of_silence;
pub use self::stations::Monitoring;
use self::stations::Stations;
use self::sweep::Sweep;
use self::undecided::Undecided;
use crate::fsm;
use crate::rib::{Change, Rib};
use crate::settings::{Password, Settings};
use crate::types::{ConnectionId, NextHop};
use crate::view::{NeighborView, RouteView};
use crate::wire::Notification;

/// What comes in.
#[allow(missing_docs)]
#[derive(Debug)]
pub enum Input<'a> {
    /// A listener took a connection, which arrived on this interface, where the host says so; it need not be asked unless
    /// [`Speaker::asks_for_interface`]. IPv4 addresses are IPv4, whatever the socket. Refused ones are answered with [`Action::Close`].
    Accepted { connection: ConnectionId, local: SocketAddr, remote: SocketAddr, interface: Option<String> },
    /// A connection asked for by [`Action::Connect`] stands.
    Connected { connection: ConnectionId, local: SocketAddr, remote: SocketAddr },
    /// It failed.
    ConnectFailed { connection: ConnectionId, error: String },
    /// Bytes of a connection; what is used is taken off the front, an incomplete or not yet wanted rest stays.
    Bytes { connection: ConnectionId, bytes: &'a mut BytesMut },
    /// The other side closed, or the connection broke.
    Closed { connection: ConnectionId, error: Option<String> },
    /// A deadline of [`Speaker::next_timeout`] is reached.
    Timer,
    /// What the host knows of next hops that were asked for by [`Event::NextHopWanted`].
    NextHops(Vec<(NextHop, NextHopState)>),
    /// WireGuard peers that went up or down. A `via` never heard of is down.
    Vias(Vec<Via>),
    /// The global address of the other family on the link of each of our addresses, whole: what a neighbor is told
    /// as next hop of a family that the session's own addresses cannot carry (RFC 2545 §3).
    Companions(Vec<(IpAddr, IpAddr)>),
    /// A monitoring station (RFC 7854) is connected, at this time since 1970.
    StationUp { station: String, wall: Duration },
    /// It is gone, or is to be dropped.
    StationDown { station: String },
    /// Before any connection: another speaker ran here before this one.
    Restarted(Restarted),
    /// A new desired state, whole.
    Settings(Box<Settings>),
    /// No sessions any more.
    Stop(Stop),
}

/// A WireGuard peer, as sessions hang on it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Via {
    /// Its name.
    pub name: String,
    /// It answers.
    pub up: bool,
    /// The interface of its tunnel.
    pub interface: String,
}

/// What another speaker has left to this one.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Restarted {
    /// Neighbors that it had sessions with, and that keep routes ([`Event::SessionUp`]).
    pub neighbors: BTreeSet<String>,
    /// Packets still take the ways that it knew.
    pub forwarding: bool,
}

/// How a speaker stops.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Stop {
    /// What was told stays true: neighbors that can shall keep it (RFC 4724 §4.1).
    Keep,
    /// It does not: Cease (6/2 Administrative Shutdown) to everybody.
    Withdraw,
}

/// What the operator may ask of a neighbor.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Command {
    /// End the session (Cease 6/4) and start again.
    Reset,
    /// Ask for all routes again (RFC 2918), or evaluate what is kept again.
    Refresh,
    /// Send all routes again.
    Resend,
    /// Cease 6/2 with a message (RFC 9003); down until enabled. Ends a drain.
    Disable(Option<String>),
    /// Its paths are about to go (RFC 8326), until enabled: what it is told carries GRACEFUL_SHUTDOWN, and what it
    /// told has the least preference. The session stays. One that is disabled stays disabled.
    Drain,
    /// End of [`Command::Disable`] and [`Command::Drain`]. Of [`ALL`], while any of them drain: these only.
    Enable,
}

/// In place of a neighbor's name: every neighbor that there is, those that dialled in included. [`Command::Drain`] and
/// [`Command::Disable`] then reach those too that come before [`Command::Enable`].
pub const ALL: &str = "all";

/// What the host knows of a next hop.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct NextHopState {
    /// Packets to it have a way.
    pub up: bool,
    /// Why not, for people.
    pub reason: Option<String>,
    /// Prefixes that may be sent there; absent = all. A path outside is ineligible (the ceiling).
    pub admits: Option<Arc<[IpNet]>>,
    /// It lies behind a tunnel: internal neighbors get ourselves as next hop.
    pub tunnel: bool,
    /// It is an address of this very host: valid and announced, never installed.
    pub local: bool,
    /// On a link of ours, no gateway between.
    pub connected: bool,
    /// Cost to get there (RFC 4271 §9.1.2.2 e).
    pub metric: u32,
    /// The WireGuard peer, for people.
    pub wireguard_peer: Option<String>,
}

/// What the shell has to do.
#[allow(missing_docs)]
#[derive(Clone, Debug)]
pub enum Action {
    /// Dial.
    Connect(Connect),
    /// Send what [`Speaker::poll_transmit`] still has, shut down writing, drain until EOF or 1 s, close.
    Close { connection: ConnectionId },
    /// Give an accepted connection its TTL and DSCP; sent before the first byte.
    Adopt { connection: ConnectionId, socket: SocketSettings },
    /// TCP-MD5 keys for the listening sockets, whole: prefix and key.
    ListenKeys(Vec<(IpNet, Password)>),
}

/// A connection to make.
#[derive(Clone, Debug)]
pub struct Connect {
    /// Its name from now on, chosen by the speaker from the upper half of the numbers (the shell numbers
    /// accepted connections from the lower half).
    pub connection: ConnectionId,
    /// Where to.
    pub remote: SocketAddr,
    /// Interface name for a link-local address.
    pub zone: Option<String>,
    /// Where from.
    pub local: Option<IpAddr>,
    /// TCP-MD5.
    pub password: Option<Password>,
    /// TTL and the like.
    pub socket: SocketSettings,
    /// Give up after this time.
    pub timeout: Duration,
}

/// What a session's socket needs.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct SocketSettings {
    /// TTL or hop limit of what we send; absent: the system's.
    pub ttl: Option<u8>,
    /// The lowest TTL that may arrive (RFC 5082).
    pub min_ttl: Option<u8>,
}

/// What the rest of the program hears.
#[allow(missing_docs)]
#[derive(Clone, Debug)]
pub enum Event {
    /// A path needs this next hop: answer with [`Input::NextHops`], now and on every change.
    NextHopWanted(NextHop),
    /// Nobody needs it any more.
    NextHopUnwanted(NextHop),
    /// A session is Established.
    SessionUp {
        neighbor: String,
        /// Routes outlive the session: after a restart the neighbor is worth waiting for.
        graceful: bool,
    },
    /// A session ended.
    SessionDown { neighbor: String, sent: bool, notification: Option<Notification>, text: String },
    /// A neighbor has sent as many prefixes as people want to hear of, or more than allowed.
    Limit { neighbor: String, text: String },
    /// A connection or message was refused, and why. Only a few a minute are told of one address, and then a count.
    Refused { neighbor: Option<String>, remote: IpAddr, text: String },
}

/// The FIB's work for one prefix: the newest state, whole.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct FibChange {
    /// The destination.
    pub prefix: IpNet,
    /// Absent: no usable path.
    pub choice: Option<FibChoice>,
}

/// What became of the decision.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct FibChoice {
    /// The multipath set; empty where the best path is not to be installed (`not_installed`) or is a discard.
    pub best: Vec<NextHop>,
    /// The best path is a discard route.
    pub discard: bool,
    /// Why nothing is installed, for people.
    pub not_installed: Option<&'static str>,
    /// Usable next hops after the multipath set.
    pub backup: Vec<NextHop>,
    /// Next hops of every accepted, eligible path: what may arrive from there.
    pub accepted: Vec<NextHop>,
}

/// Loc-RIB, received and advertised tables are shown in slices.
#[derive(Clone, Copy, Debug)]
pub struct Slice {
    /// Prefixes after this one.
    pub after: Option<IpNet>,
    /// This many at most.
    pub limit: usize,
    /// Only this prefix, and what is more specific.
    pub within: Option<IpNet>,
}

/// The speaker. Owned by one thread.
pub struct Speaker {
    settings: Settings,
    /// The time of the last input.
    now: Instant,
    /// Ages of paths are counted from here.
    began: Instant,
    /// For the jitter of timers.
    seed: u64,
    /// [`Input::Stop`] came, and what it said.
    stopped: Option<Stop>,
    /// WireGuard peers, by name.
    vias: BTreeMap<String, Via>,
    /// Of our addresses: the address of the other family on the same link.
    companions: BTreeMap<IpAddr, IpAddr>,
    neighbors: Neighbors,
    groups: Groups,
    connections: Connections,
    undecided: Undecided,
    refusals: Refusals,
    stations: Stations,
    monitors: Monitors,
    restart: Restart,
    rib: Rib,
    own: OwnRoutes,
    sweeps: VecDeque<Sweep>,
    /// Where the search for destinations that are over stands; `None`: none is due.
    collecting: Option<u32>,
    actions: VecDeque<Action>,
    events: VecDeque<Event>,
    listen_keys: Vec<(IpNet, Password)>,
    /// The error of the connection that is being closed.
    lost: Option<String>,
    fsm_actions: Vec<fsm::Action>,
    changes: Vec<Change>,
    writing: Writing,
}

impl Speaker {
    /// A speaker that has not yet moved. `seed` feeds the jitter of its timers (RFC 4271 §10).
    pub fn new(now: Instant, settings: Settings, seed: u64) -> Self {
        let mut rib = Rib::new(seed, settings.multipath);
        let own = OwnRoutes::new(&mut rib, &settings);
        let mut speaker = Self {
            now,
            began: now,
            seed,
            stopped: None,
            vias: BTreeMap::new(),
            companions: BTreeMap::new(),
            neighbors: Neighbors::default(),
            groups: Groups::default(),
            connections: Connections::default(),
            undecided: Undecided::default(),
            refusals: Refusals::default(),
            stations: Stations::default(),
            monitors: Monitors::default(),
            restart: Restart::default(),
            rib,
            own,
            sweeps: VecDeque::new(),
            collecting: None,
            actions: VecDeque::new(),
            events: VecDeque::new(),
            listen_keys: Vec::new(),
            lost: None,
            fsm_actions: Vec::new(),
            changes: Vec::new(),
            writing: Writing::default(),
            settings,
        };
        speaker.begin();
        speaker
    }

    /// Takes one input. No call works longer than about a millisecond; what is left is taken up by the next
    /// ([`Speaker::next_timeout`] is then already past).
    pub fn input(&mut self, now: Instant, input: Input<'_>) {
        self.now = self.now.max(now);
        match input {
            Input::Accepted { connection, local, remote, interface } => {
                self.accepted(connection, (local, remote), interface.as_deref());
            }
            Input::Connected { connection, local, remote } => self.connected(connection, local, remote),
            Input::ConnectFailed { connection, error } => self.connect_failed(connection, &error),
            Input::Bytes { connection, bytes } => self.bytes(connection, bytes),
            Input::Closed { connection, error } => self.closed(connection, error),
            Input::Timer => self.timers(),
            Input::NextHops(answers) => self.next_hops(answers),
            Input::Vias(vias) => self.vias(vias),
            Input::Companions(companions) => self.companions(companions),
            Input::StationUp { station, wall } => self.station_up(station, wall),
            Input::StationDown { station } => self.station_down(&station),
            Input::Restarted(before) => self.restarted(before),
            Input::Settings(settings) => self.reload(*settings),
            Input::Stop(how) => self.stop(how),
        }
        self.turn();
    }

    /// Does what the operator asks of a neighbor (name or address), or of [`ALL`].
    ///
    /// # Errors
    /// Nothing was done: there is no such neighbor, or no session that it could be done to.
    pub fn command(&mut self, now: Instant, neighbor: &str, command: &Command) -> Result<(), CommandError> {
        self.now = self.now.max(now);
        let done = self.do_command(neighbor, command);
        self.turn();
        done
    }

    /// Appends bytes for a connection, a few KiB at a time; `false` when there is nothing (more) to send.
    pub fn poll_transmit(&mut self, now: Instant, connection: ConnectionId, out: &mut BytesMut) -> bool {
        self.now = self.now.max(now);
        let owner = self.connections.get_mut(connection).map(|connection| (connection.neighbor, connection.ends));
        let begin = out.len();
        let more = self.transmit(connection, out);
        if let Some((owner, ends)) = owner {
            self.count_sent(owner, &out[begin..]);
            self.monitor_sent(owner, connection, ends, &out[begin..]);
            self.enforce_limit(owner, Direction::Out);
        }
        more
    }

    /// Connections with something to send since they last had nothing.
    pub fn poll_writable(&mut self) -> Option<ConnectionId> {
        self.connections.poll_writable()
    }

    /// Whether more may be read: what was sent before is decided, and what is to be heard of it has room.
    pub fn may_read(&self) -> bool {
        self.rib.touched() == 0 && self.events.len() < turn::EVENTS
    }

    /// The next thing for the shell to do.
    pub fn poll_action(&mut self) -> Option<Action> {
        self.actions.pop_front()
    }

    /// Whether there may be something to hear: [`Speaker::poll_event`], [`Speaker::poll_fib`] and then
    /// [`Speaker::poll_fib_complete`] say what.
    pub fn has_news(&self) -> bool {
        !self.events.is_empty() || self.rib.has_fib_work() || self.restart.is_waiting()
    }

    /// The next thing to hear.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// At most `max` prefixes whose choice has changed; none after [`Input::Stop`].
    pub fn poll_fib(&mut self, max: usize) -> Vec<FibChange> {
        if self.stopped.is_some() {
            return Vec::new(); // what becomes of what is installed is not the speaker's to say
        }
        let changes = self.rib.poll_fib(max);
        if !changes.is_empty() {
            self.collect_soon(); // what the FIB has let go of
        }
        changes
    }

    /// Nobody forwards by what is learned here: [`Speaker::poll_fib`] has nothing.
    pub fn leave_fib(&mut self) {
        self.rib.leave_fib();
    }

    /// After [`Input::Restarted`], once: [`Speaker::poll_fib`] has told all that there was to wait for.
    pub fn poll_fib_complete(&mut self) -> bool {
        self.fib_complete()
    }

    /// When [`Input::Timer`] is due.
    pub fn next_timeout(&self) -> Option<Instant> {
        if self.has_work() {
            return Some(self.now);
        }
        let deadlines = [
            self.neighbors.next_deadline(),
            self.undecided.next_deadline(),
            self.refusals.next_deadline(),
            self.restart.next_deadline(),
            self.stations.next_deadline(),
        ];
        deadlines.into_iter().flatten().min()
    }

    /// The desired state it was told last.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// How many destinations of the Loc-RIB have a best path.
    pub fn destinations(&self) -> usize {
        self.rib.reachable()
    }

    /// Every neighbor, by name.
    pub fn neighbors(&self, now: Instant) -> Vec<NeighborView> {
        self.neighbor_views(now)
    }

    /// One of them, by name or address.
    pub fn neighbor(&self, now: Instant, neighbor: &str) -> Option<NeighborView> {
        self.find_view(now, neighbor)
    }

    /// Loc-RIB.
    pub fn routes(&self, now: Instant, slice: Slice) -> Vec<RouteView> {
        self.route_views(now, &slice)
    }

    /// Adj-RIB-In of a neighbor (name or address), before policy.
    pub fn received(&self, now: Instant, neighbor: &str, slice: Slice) -> Option<Vec<RouteView>> {
        self.received_views(now, neighbor, &slice)
    }

    /// Adj-RIB-Out of a neighbor, as it was told.
    pub fn advertised(&self, now: Instant, neighbor: &str, slice: Slice) -> Option<Vec<RouteView>> {
        self.advertised_views(now, neighbor, &slice)
    }
}
