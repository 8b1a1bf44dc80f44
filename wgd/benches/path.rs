//! What one packet costs: sealing and opening between two devices, and finding its peer in a table.

use std::hint::black_box;
use std::net::SocketAddr;
use std::time::Instant;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use wgd::device::{Device, Output};
use wgd::offload::checksum::Sum;
use wgd::offload::{Accepts, Coalescer, Kind, NetHeader, trains};
use wgd::settings::{Endpoint, Mtu, PeerSettings, PrivateKey, Settings};
use wgd::table::{Change, Group};

const ALICE: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1)), 51820);
const BOB: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 2)), 51820);

fn private_key(number: u8) -> PrivateKey {
    PrivateKey([number; 32].into())
}

fn device(number: u8, peer: u8, endpoint: SocketAddr) -> Device {
    let prefix = format!("10.0.0.{peer}/32").parse().expect("a prefix");
    let peer = PeerSettings {
        endpoint: Some(Endpoint::Address(endpoint)),
        allowed_ips: vec![prefix],
        ..PeerSettings::new("", private_key(peer).public_key())
    };
    let settings = Settings { mtu: Mtu::Octets(1420), ..Settings::new(private_key(number), vec![peer]) };
    Device::new(Instant::now(), settings, 1, &mut Output::default())
}

/// 10.0.0.1 to 10.0.0.2.
fn packet(length: u16) -> Vec<u8> {
    let mut packet = vec![0; usize::from(length) + 15];
    packet[0] = 0x45;
    packet[2..4].copy_from_slice(&length.to_be_bytes());
    packet[9] = 17;
    packet[12..20].copy_from_slice(&[10, 0, 0, 1, 10, 0, 0, 2]);
    packet
}

/// Carries what one end made to the other.
fn carry(now: Instant, from: &mut Output, address: SocketAddr, to: &mut (Device, Output)) {
    from.datagrams.iter().for_each(|(datagram, _)| to.0.inbound(now, address, datagram, &mut to.1));
    from.datagrams.clear();
}

/// A handshake and what waited for it.
fn settle(now: Instant, alice: &mut (Device, Output), bob: &mut (Device, Output)) {
    for _ in 0..2 {
        carry(now, &mut alice.1, ALICE, bob);
        carry(now, &mut bob.1, BOB, alice);
    }
}

fn seal_and_open(criterion: &mut Criterion) {
    let now = Instant::now();
    let mut alice = (device(1, 2, BOB), Output::default());
    let mut bob = (device(2, 1, ALICE), Output::default());
    alice.0.outbound(now, &mut packet(64), 64, &mut alice.1);
    settle(now, &mut alice, &mut bob);
    bob.1.packets.clear();
    let mut group = criterion.benchmark_group("seal and open");
    for length in [64, 1420] {
        let mut packet = packet(length);
        group.throughput(Throughput::Bytes(length.into()));
        group.bench_function(format!("{length} octets"), |bencher| {
            bencher.iter(|| {
                alice.0.outbound(now, &mut packet, usize::from(length), &mut alice.1);
                carry(now, &mut alice.1, ALICE, &mut bob);
                assert_eq!(bob.1.packets.len(), 1);
                bob.1.packets.clear();
            });
        });
    }
    group.finish();
}

fn handshake(criterion: &mut Criterion) {
    let now = Instant::now();
    let mut bob = (device(2, 1, ALICE), Output::default());
    criterion.bench_function("handshake", |bencher| {
        bencher.iter(|| {
            let mut alice = (device(1, 2, BOB), Output::default());
            alice.0.outbound(now, &mut packet(64), 64, &mut alice.1);
            settle(now, &mut alice, &mut bob);
            bob.1.packets.clear();
        });
    });
}

/// 64 KiB of one flow at a time: cut, sealed, opened, and put together again.
fn super_segments(criterion: &mut Criterion) {
    const LENGTH: u16 = 20 + 20 + 47 * 1380;
    let now = Instant::now();
    let mut alice = (device(1, 2, BOB), Output::default());
    let mut bob = (device(2, 1, ALICE), Output::default());
    alice.0.outbound(now, &mut packet(64), 64, &mut alice.1);
    settle(now, &mut alice, &mut bob);
    bob.1.packets.clear();
    let mut segment = packet(LENGTH);
    segment[6] = 0x40;
    segment[9] = 6;
    segment[32..34].copy_from_slice(&[0x50, 0x10]);
    // The sum of the pseudo header
    let sum = Sum::of(&segment[12..20]).and_number(6).and_number(LENGTH - 20).partial();
    segment[36..38].copy_from_slice(&sum);
    let header = NetHeader {
        needs_checksum: true,
        kind: Kind::TcpIpv4,
        header_len: 40,
        segment: 1380,
        checksum_start: 20,
        checksum_offset: 16,
    };
    let (mut buffer, mut coalescer) = (segment.clone(), Coalescer::default());
    let mut group = criterion.benchmark_group("super-segment");
    group.throughput(Throughput::Bytes(LENGTH.into()));
    group.bench_function("through both ends", |bencher| {
        bencher.iter(|| {
            buffer.copy_from_slice(&segment);
            alice.0.outbound_offloaded(now, &header, &mut buffer, LENGTH.into(), &mut alice.1);
            assert_eq!(trains(&alice.1.datagrams, |_| true).count(), 2);
            carry(now, &mut alice.1, ALICE, &mut bob);
            coalescer.coalesce(&mut bob.1.packets, Accepts { tcp: true, udp: true });
            assert_eq!(coalescer.runs().count(), 1);
            bob.1.packets.clear();
        });
    });
    group.finish();
}

/// No session: what is measured is the way to the peer, which has no endpoint.
fn lookup(criterion: &mut Criterion) {
    let now = Instant::now();
    let mut out = Output::default();
    let mut device = device(1, 2, BOB);
    let group = Group { send: vec![private_key(9).public_key()], ..Group::default() };
    let prefix = |number: u32| {
        let length = 16 + (number % 9) as u8;
        ipnet::Ipv4Net::new((number << 8).into(), length).expect("a length").trunc().into()
    };
    device.table(
        Instant::now(),
        (0..100_000).map(|number| Change { prefix: prefix(number * 100), group: Some(group.clone()) }),
    );
    let mut packet = packet(64);
    let mut number = 0u32;
    criterion.bench_function("lookup among 100000 prefixes of 9 lengths", |bencher| {
        bencher.iter(|| {
            number = number.wrapping_add(0x9e37_79b9);
            packet[16..20].copy_from_slice(&number.to_be_bytes());
            device.outbound(now, black_box(&mut packet), 64, &mut out);
        });
    });
}

criterion_group!(benches, seal_and_open, super_segments, handshake, lookup);
criterion_main!(benches);
