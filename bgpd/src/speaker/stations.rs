//! Monitoring stations (RFC 7854): what each session says, before policy, for whoever watches.
//!
//! A station that connects hears of every session and then of its Adj-RIB-In, a slice a poll; what a neighbor says
//! meanwhile goes in between, as it came. What waits for a station is bounded: one that does not read is dropped, and
//! hears everything anew when it is connected again. Without a station a message costs one look at an empty map.

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use bytes::BytesMut;
use ipnet::IpNet;

use super::Speaker;
use super::clock::Clock;
use super::neighbor::{NeighborId, Session};
use crate::bmp::{self, Down, Gauge, Peer};
use crate::fsm::DownReason;
use crate::rib::{DestinationId, SetId, SourceId};
use crate::types::{ConnectionId, Family};
use crate::wire::{self, MpNextHop, Open, ParsedAttributes};

/// What may wait for a station: some seconds of a busy table's changes.
const LIMIT: usize = 8 << 20;
/// Destinations of an Adj-RIB-In in one poll.
const SLICE: usize = 512;
/// Between two Statistics Reports.
const STATISTICS: Duration = Duration::from_secs(60);

/// What there is for a station.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Monitoring {
    /// There is more.
    More,
    /// Nothing for now.
    Nothing,
    /// It did not keep up: close its connection.
    Behind,
    /// That was the last: send it, and close.
    Over,
}

/// Those that are connected, by name.
#[derive(Debug, Default)]
pub(super) struct Stations(BTreeMap<String, Station>);

#[derive(Debug)]
struct Station {
    /// Known since it connected.
    clock: Clock,
    out: BytesMut,
    /// What is still to be shown of sessions, the first at the front.
    dumps: VecDeque<Dump>,
    statistics: Instant,
    behind: bool,
    over: bool,
}

/// An Adj-RIB-In that is being shown.
#[derive(Debug)]
struct Dump {
    neighbor: NeighborId,
    source: SourceId,
    from: DestinationId,
}

impl Stations {
    /// Whether nobody watches.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn next_deadline(&self) -> Option<Instant> {
        self.0.values().map(|station| station.statistics).min()
    }

    /// Gives each of them a message, if it still keeps up.
    fn tell(&mut self, now: Instant, write: impl Fn(Duration, &mut BytesMut)) {
        for station in self.0.values_mut().filter(|station| !station.behind) {
            write(station.clock.at(now), &mut station.out);
            if station.out.len() > LIMIT {
                station.behind = true;
                station.out = BytesMut::new();
            }
        }
    }
}

impl Station {
    fn has_something(&self) -> bool {
        !self.out.is_empty() || !self.dumps.is_empty() || self.behind || self.over
    }
}

/// For the shell.
impl Speaker {
    /// Stations with something to send.
    pub fn stations_waiting(&self) -> impl Iterator<Item = &str> {
        self.stations.0.iter().filter(|(_, station)| station.has_something()).map(|(name, _)| name.as_str())
    }

    /// Appends what there is for a station, a few KiB at a time.
    pub fn poll_station(&mut self, now: Instant, name: &str, out: &mut BytesMut) -> Monitoring {
        self.now = self.now.max(now);
        let Some(station) = self.stations.0.get_mut(name) else { return Monitoring::Over };
        if station.behind {
            return Monitoring::Behind;
        }
        out.unsplit(station.out.split());
        if station.over {
            return Monitoring::Over;
        }
        let (at, dump) = (station.clock.at(self.now), station.dumps.pop_front());
        let Some(dump) = dump else { return Monitoring::Nothing };
        if let Some(rest) = self.show_slice(dump, at, out)
            && let Some(station) = self.stations.0.get_mut(name)
        {
            station.dumps.push_front(rest);
        }
        Monitoring::More
    }

    /// A station is connected, at this time of the wall's clock.
    pub(super) fn station_up(&mut self, name: String, wall: Duration) {
        let mut out = BytesMut::new();
        bmp::initiation(&self.settings.router_id.to_string(), &mut out);
        let mut dumps = VecDeque::new();
        for (id, neighbor) in self.neighbors.iter() {
            let Some(session) = &neighbor.session else { continue };
            self.write_peer_up(session, wall, &mut out);
            dumps.push_back(Dump { neighbor: id, source: session.source, from: 0 });
        }
        let statistics = self.now + STATISTICS;
        let clock = Clock { known: self.now, wall };
        let over = self.stopped.is_some();
        self.stations.0.insert(name, Station { clock, out, dumps, statistics, behind: false, over });
    }

    /// It is gone.
    pub(super) fn station_down(&mut self, name: &str) {
        self.stations.0.remove(name);
    }
}

/// What happens to sessions.
impl Speaker {
    /// Sends an OPEN, and keeps it for stations to come.
    pub(super) fn send_open(&mut self, connection: ConnectionId, open: &Open) {
        let mut octets = BytesMut::new();
        open.write(&mut octets);
        self.send(connection, |out| out.extend_from_slice(&octets));
        self.connections.keep_open(connection, 0, &octets);
    }

    /// A session is Established.
    pub(super) fn monitor_up(&mut self, id: NeighborId) {
        if self.stations.is_empty() {
            return;
        }
        let mut stations = std::mem::take(&mut self.stations);
        if let Some(session) = self.session(id) {
            stations.tell(self.now, |at, out| self.write_peer_up(session, at, out));
        }
        self.stations = stations;
    }

    /// It is about to end.
    pub(super) fn monitor_down(&mut self, id: NeighborId, reason: &DownReason) {
        let Some(peer) = self.session(id).map(peer).filter(|_| !self.stations.is_empty()) else { return };
        let down = match reason {
            DownReason::Sent(notification) => Down::Sent(notification),
            DownReason::Received(notification) => Down::Received(notification),
            DownReason::Left(_) => Down::Left,
            DownReason::Closed | DownReason::Replaced => Down::Closed,
        };
        self.stations.tell(self.now, |at, out| bmp::peer_down(&peer, at, down, out));
        for station in self.stations.0.values_mut() {
            station.dumps.retain(|dump| dump.neighbor != id);
        }
    }

    /// An UPDATE came on a session's connection.
    pub(super) fn monitor_update(&mut self, id: NeighborId, connection: ConnectionId, update: &[u8]) {
        if self.stations.is_empty() {
            return;
        }
        let Some(session) = self.session(id).filter(|session| session.connection == connection) else { return };
        let peer = peer(session);
        self.stations.tell(self.now, |at, out| bmp::route_monitoring(&peer, at, update, out));
    }

    /// The speaker stops; sessions have ended.
    pub(super) fn monitor_stop(&mut self) {
        self.stations.tell(self.now, |_, out| bmp::termination(out));
        self.stations.0.values_mut().for_each(|station| station.over = true);
    }

    /// Statistics that are due.
    pub(super) fn monitor_statistics(&mut self) {
        if self.stations.next_deadline().is_none_or(|due| due > self.now) {
            return;
        }
        let mut stations = std::mem::take(&mut self.stations);
        for station in stations.0.values_mut().filter(|station| station.statistics <= self.now) {
            station.statistics = self.now + STATISTICS;
            if station.behind {
                continue;
            }
            let at = station.clock.at(self.now);
            for (_, neighbor) in self.neighbors.iter() {
                if let Some(session) = &neighbor.session {
                    bmp::statistics_report(&peer(session), at, &self.gauges(session), &mut station.out);
                }
            }
        }
        self.stations = stations;
    }

    fn gauges(&self, session: &Session) -> Vec<Gauge> {
        let source = self.rib.source(session.source);
        let families = session.negotiated.families.iter();
        [Gauge::Received(source.received.len() as u64), Gauge::LocRib(self.rib.reachable() as u64)]
            .into_iter()
            .chain(families.map(|family| Gauge::ReceivedOf(family, source.prefixes_of(family) as u64)))
            .collect()
    }

    fn session(&self, id: NeighborId) -> Option<&Session> {
        self.neighbors.get(id).and_then(|neighbor| neighbor.session.as_ref())
    }

    fn write_peer_up(&self, session: &Session, at: Duration, out: &mut BytesMut) {
        let ends = (session.negotiated.local, session.negotiated.remote);
        let opens = self.connections.opens(session.connection);
        bmp::peer_up(&peer(session), at, ends, opens, out);
    }
}

/// Adj-RIB-In.
impl Speaker {
    /// Shows the next slice of an Adj-RIB-In as UPDATEs, and End-of-RIB when that was all; what is left of it.
    fn show_slice(&self, mut dump: Dump, at: Duration, out: &mut BytesMut) -> Option<Dump> {
        let session = self.session(dump.neighbor).filter(|session| session.source == dump.source)?;
        let mut slice: Vec<(SetId, IpNet)> = Vec::new();
        while slice.len() < SLICE {
            let Some(destination) = self.rib.next_received(dump.source, dump.from) else {
                self.show_paths(session, slice, at, out);
                self.show_end(session, at, out);
                return None;
            };
            dump.from = destination + 1;
            if self.rib.source(dump.source).is_stale(destination) {
                continue; // of an earlier session, which the station has seen end
            }
            let paths = self.rib.paths_of(dump.source, destination);
            slice.extend(paths.map(|path| (path.set, self.rib.prefix(destination))));
        }
        self.show_paths(session, slice, at, out);
        Some(dump)
    }

    fn show_paths(&self, session: &Session, mut slice: Vec<(SetId, IpNet)>, at: Duration, out: &mut BytesMut) {
        slice.sort_unstable_by_key(|(set, prefix)| (*set, Family::of(prefix)));
        let mut parsed = ParsedAttributes::default();
        let mut update = BytesMut::new();
        let peer = peer(session);
        for same in slice.chunk_by(|(left, one), (right, other)| left == right && Family::of(one) == Family::of(other))
        {
            let Some((set, _)) = same.first() else { continue };
            let next_hop = self.rib.set(*set).received(self.rib.source(session.source), &mut parsed);
            let Some(next_hop) = next_hop else { continue }; // it came without one, and counts as withdrawn
            let next_hop = MpNextHop { address: next_hop.address, link_local: None };
            let prefixes: Vec<IpNet> = same.iter().map(|(_, prefix)| *prefix).collect();
            let mut shown = 0;
            while shown < prefixes.len() {
                update.clear();
                let context = &session.negotiated.context;
                let (attributes, rest) = (&parsed.attributes, &prefixes[shown..]);
                let written = match self.rib.set(*set).path_id() {
                    None => wire::write_reach(&mut update, context, attributes, next_hop, rest),
                    // RFC 7854 §4.2: as the OPENs of the session have it.
                    Some(id) => {
                        let paths: Vec<(u32, IpNet)> = rest.iter().map(|prefix| (id, *prefix)).collect();
                        wire::write_reach(&mut update, context, attributes, next_hop, &paths)
                    }
                };
                if written == 0 {
                    break; // it came in a message of the same length, so this is none of them
                }
                shown += written;
                bmp::route_monitoring(&peer, at, &update, out);
            }
        }
    }

    /// RFC 7854 §5: that was what there is.
    fn show_end(&self, session: &Session, at: Duration, out: &mut BytesMut) {
        let mut update = BytesMut::new();
        for family in session.negotiated.families.iter() {
            update.clear();
            wire::write_end_of_rib(&mut update, family);
            bmp::route_monitoring(&peer(session), at, &update, out);
        }
    }
}

fn peer(session: &Session) -> Peer {
    let negotiated = &session.negotiated;
    Peer {
        address: negotiated.remote.ip(),
        asn: negotiated.asn,
        router_id: negotiated.router_id,
        two_octet_as: !negotiated.context.four_octet_as,
    }
}
