//! 100 thousand routes through the door: decoded, interned, judged, decided, and packed for another neighbor.
//!
//! `cargo bench -p bgpd --no-default-features`

#![allow(clippy::unwrap_used, missing_docs)]

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Instant;

use bgpd::Speaker;
use bgpd::settings::{DynamicNeighborSettings, PolicyName, RemoteAs, SessionSettings, Settings};
use bgpd::speaker::{Command, Event, Input, NextHopState};
use bgpd::types::{Asn, BgpIdentifier, Community, ConnectionId, Families, Family};
use bgpd::wire::{self, Capability, Context, MpNextHop, Open, PathAttributes};
use bytes::{Buf, BytesMut};
use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use ipnet::{IpNet, Ipv4Net};

const ROUTES: u32 = 100_000;
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
        asn: asn(64512),
        router_id: BgpIdentifier::new(Ipv4Addr::new(10, 0, 0, 1)).unwrap(),
        multipath: 8,
        neighbors: BTreeMap::new(),
        dynamic_neighbors: [("all".to_owned(), dynamic)].into(),
        originate: Vec::new(),
        aggregates: Vec::new(),
        policies: BTreeMap::new(),
        stations: Vec::new(),
    }
}

fn context() -> Context {
    Context {
        four_octet_as: true,
        enhanced_refresh: false,
        internal: false,
        remote_asn: asn(64600),
        families: Families::IPV4,
        enforce_first_asn: false,
        max_message: wire::MAX_MESSAGE,
        max_received: wire::MAX_MESSAGE,
        paths_sent: Families::NONE,
        paths_received: Families::NONE,
    }
}

/// The table as one neighbor sends it.
fn table(from: Ipv4Addr) -> BytesMut {
    let mut out = BytesMut::new();
    let prefixes: Vec<IpNet> = (0..ROUTES)
        .map(|number| Ipv4Net::new_assert(Ipv4Addr::from_bits(0x0B00_0000 + number * 0x100), 24).into())
        .collect();
    for (number, prefixes) in (0..).zip(prefixes.chunks(PREFIXES_PER_SET)) {
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

/// A speaker and what its neighbors see of it.
struct World {
    speaker: Speaker,
    now: Instant,
    connections: u64,
}

impl World {
    fn new() -> Self {
        let now = Instant::now();
        Self { speaker: Speaker::new(now, gateway(), 1), now, connections: 0 }
    }

    fn neighbor(&mut self, last: u8) -> (ConnectionId, Ipv4Addr) {
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
    fn say(&mut self, connection: ConnectionId, bytes: &[u8]) -> usize {
        let mut heard = 0;
        let mut inbox = BytesMut::new();
        for piece in bytes.chunks(READ) {
            inbox.extend_from_slice(piece);
            loop {
                let before = inbox.remaining();
                self.speaker.input(self.now, Input::Bytes { connection, bytes: &mut inbox });
                heard += self.settle();
                if inbox.is_empty() || inbox.remaining() == before {
                    break;
                }
            }
        }
        heard
    }

    fn settle(&mut self) -> usize {
        let mut heard = 0;
        let mut out = BytesMut::with_capacity(READ);
        loop {
            while self.speaker.poll_action().is_some() {}
            while let Some(event) = self.speaker.poll_event() {
                if let Event::NextHopWanted(next_hop) = event {
                    let state = NextHopState { up: true, connected: true, ..NextHopState::default() };
                    self.speaker.input(self.now, Input::NextHops(vec![(next_hop, state)]));
                }
            }
            while let Some(connection) = self.speaker.poll_writable() {
                while self.speaker.poll_transmit(self.now, connection, &mut out) {}
                heard += out.len();
                out.clear();
            }
            while !self.speaker.poll_fib(256).is_empty() {}
            if self.speaker.next_timeout().is_none_or(|next| next > self.now) {
                return heard;
            }
            self.speaker.input(self.now, Input::Timer);
        }
    }
}

fn in_to_out(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("100k routes");
    group.sample_size(10);
    let table_of = |last| table(Ipv4Addr::new(10, 0, 1, last));
    let first = table_of(1);

    group.bench_function("in to out", |bencher| {
        let prepare = || {
            let mut world = World::new();
            let (from, _) = world.neighbor(1);
            world.neighbor(2);
            (world, from)
        };
        bencher.iter_batched(prepare, |(mut world, from)| (world.say(from, &first), world), BatchSize::PerIteration);
    });

    group.bench_function("the same again", |bencher| {
        let prepare = || {
            let mut world = World::new();
            let (from, _) = world.neighbor(1);
            world.say(from, &first);
            (world, from)
        };
        bencher.iter_batched(prepare, |(mut world, from)| (world.say(from, &first), world), BatchSize::PerIteration);
    });

    group.bench_function("from ten neighbors", |bencher| {
        let tables: Vec<BytesMut> = (1..=10).map(table_of).collect();
        let prepare = || {
            let mut world = World::new();
            let neighbors: Vec<_> = (1..=10).map(|last| world.neighbor(last).0).collect();
            (world, neighbors)
        };
        let run = |(mut world, neighbors): (World, Vec<ConnectionId>)| {
            for (from, table) in neighbors.iter().zip(&tables) {
                world.say(*from, table);
            }
            world
        };
        bencher.iter_batched(prepare, run, BatchSize::PerIteration);
    });

    group.bench_function("to a late neighbor", |bencher| {
        let prepare = || {
            let mut world = World::new();
            let (from, _) = world.neighbor(1);
            world.say(from, &first);
            world
        };
        bencher.iter_batched(prepare, |mut world| (world.neighbor(2), world), BatchSize::PerIteration);
    });

    group.bench_function("lost with their neighbor", |bencher| {
        let prepare = || {
            let mut world = World::new();
            let (from, _) = world.neighbor(1);
            world.neighbor(2);
            world.say(from, &first);
            world
        };
        let run = |mut world: World| {
            world.speaker.command(world.now, "all/10.0.1.1", &Command::Reset).unwrap();
            (world.settle(), world)
        };
        bencher.iter_batched(prepare, run, BatchSize::PerIteration);
    });
    group.finish();
}

criterion_group!(benches, in_to_out);
criterion_main!(benches);
