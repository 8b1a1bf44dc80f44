//! A speaker, and what its neighbors see of it, for the benches.
#![allow(dead_code, clippy::unwrap_used)] // each bench uses its part

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use bgpd::Speaker;
use bgpd::settings::{DynamicNeighborSettings, PolicyName, RemoteAs, SessionSettings, Settings};
use bgpd::speaker::{Event, Input, NextHopState};
use bgpd::types::{Asn, BgpIdentifier, Community, ConnectionId, Families, Family};
use bgpd::wire::{self, Capability, Context, MpNextHop, Open, PathAttributes};
use bytes::{Buf, BytesMut};
use ipnet::{IpNet, Ipv4Net};

/// As in a full table: about one attribute set for seven prefixes.
const PREFIXES_PER_SET: usize = 7;
/// What a socket gives in one turn.
const READ: usize = 64 * 1024;

fn asn(number: u32) -> Asn {
    Asn::new(number).unwrap()
}

fn gateway() -> Settings {
    let session = SessionSettings {
        families: Some(Families::IPV4),
        import: Some(PolicyName::AcceptAll),
        export: Some(PolicyName::AcceptAll),
        enforce_first_asn: false,
        ..SessionSettings::default()
    };
    let range: IpNet = "10.0.0.0/8".parse().unwrap();
    let dynamic = DynamicNeighborSettings { range: vec![range], asn: RemoteAs::External, limit: 1000, session };
    Settings {
        dynamic_neighbors: [("all".to_owned(), dynamic)].into(),
        ..Settings::new(asn(64512), BgpIdentifier::new(Ipv4Addr::new(10, 0, 0, 1)).unwrap())
    }
}

fn context() -> Context {
    Context { families: Families::IPV4, enforce_first_asn: false, ..Context::new(asn(64600)) }
}

/// The table as one neighbor sends it.
pub(crate) fn table(from: Ipv4Addr, routes: u32) -> BytesMut {
    let mut out = BytesMut::new();
    for (number, prefixes) in (0..).zip(prefixes(routes).chunks(PREFIXES_PER_SET)) {
        let attributes = PathAttributes {
            as_path: [64600, 3356, 1299, 60_000 + number % 5000, 70_000 + number].map(asn).into_iter().collect(),
            med: number.is_multiple_of(3).then_some(number),
            communities: (0..number % 6).map(|low| Community(3356 << 16 | low)).collect(),
            ..PathAttributes::default()
        };
        let next_hop = MpNextHop { address: IpAddr::V4(from), link_local: None };
        wire::write_reach(&mut out, &context(), &attributes, next_hop, prefixes);
    }
    out
}

/// The table as the neighbor takes it back.
pub(crate) fn withdrawal(routes: u32) -> BytesMut {
    let (mut out, prefixes, mut at) = (BytesMut::new(), prefixes(routes), 0);
    while at < prefixes.len() {
        at += wire::write_unreach(&mut out, &context(), &prefixes[at..]);
    }
    out
}

fn prefixes(routes: u32) -> Vec<IpNet> {
    let addresses = (0..routes).map(|number| Ipv4Addr::from_bits(0x0B00_0000 + number * 0x100));
    addresses.map(|address| Ipv4Net::new_assert(address, 24).into()).collect()
}

/// A speaker and what its neighbors see of it.
pub(crate) struct World {
    pub(crate) speaker: Speaker,
    pub(crate) now: Instant,
    connections: u64,
    /// How long each call of the speaker took.
    pub(crate) turns: Vec<Duration>,
}

impl World {
    pub(crate) fn new() -> Self {
        let now = Instant::now();
        let mut speaker = Speaker::new(now, gateway(), 1);
        speaker.leave_fib();
        Self { speaker, now, connections: 0, turns: Vec::new() }
    }

    /// One whose choices are taken out as a FIB would.
    pub(crate) fn forwarding() -> Self {
        let now = Instant::now();
        Self { speaker: Speaker::new(now, gateway(), 1), now, connections: 0, turns: Vec::new() }
    }

    /// One call of the speaker, timed.
    pub(crate) fn turn<T>(&mut self, call: impl FnOnce(&mut Speaker, Instant) -> T) -> T {
        let began = Instant::now();
        let done = call(&mut self.speaker, self.now);
        self.turns.push(began.elapsed());
        done
    }

    pub(crate) fn neighbor(&mut self, last: u8) -> (ConnectionId, Ipv4Addr) {
        let address = Ipv4Addr::new(10, 0, 1, last);
        self.connections += 1;
        let connection = ConnectionId(self.connections);
        let local = SocketAddr::from(([10, 0, 0, 1], 179));
        let remote = SocketAddr::from((address, 40000));
        self.speaker.input(self.now, Input::Accepted { connection, local, remote, interface: None });
        let (afi, safi) = Family::Ipv4.afi_safi();
        let number = 64600 + u32::from(last);
        let open = Open {
            asn: asn(number),
            hold_time: 90,
            router_id: BgpIdentifier::new(address).unwrap(),
            capabilities: vec![Capability::Multiprotocol { afi, safi }, Capability::FourOctetAs(number)],
        };
        let mut bytes = BytesMut::new();
        open.write(&mut bytes);
        wire::write_keepalive(&mut bytes);
        self.say(connection, &bytes);
        (connection, address)
    }

    /// What a neighbor sends, as much at a time as a socket gives; what others hear is counted.
    pub(crate) fn say(&mut self, connection: ConnectionId, bytes: &[u8]) -> usize {
        let mut heard = 0;
        let mut inbox = BytesMut::new();
        for piece in bytes.chunks(READ) {
            inbox.extend_from_slice(piece);
            loop {
                let before = inbox.remaining();
                self.turn(|speaker, now| speaker.input(now, Input::Bytes { connection, bytes: &mut inbox }));
                heard += self.settle();
                if inbox.is_empty() || inbox.remaining() == before {
                    break;
                }
            }
        }
        heard
    }

    pub(crate) fn settle(&mut self) -> usize {
        let mut heard = 0;
        let mut out = BytesMut::with_capacity(READ);
        loop {
            while self.speaker.poll_action().is_some() {}
            while let Some(event) = self.speaker.poll_event() {
                if let Event::NextHopWanted(next_hop) = event {
                    let state = NextHopState { up: true, connected: true, ..NextHopState::default() };
                    self.turn(|speaker, now| speaker.input(now, Input::NextHops(vec![(next_hop, state)])));
                }
            }
            while let Some(connection) = self.speaker.poll_writable() {
                while self.turn(|speaker, now| speaker.poll_transmit(now, connection, &mut out)) {}
                heard += out.len();
                out.clear();
            }
            while self.turn(|speaker, _| !speaker.poll_fib(256).is_empty()) {}
            if self.speaker.next_timeout().is_none_or(|next| next > self.now) {
                return heard;
            }
            self.turn(|speaker, now| speaker.input(now, Input::Timer));
        }
    }
}
