//! What a peer costs the others: a busy one beside 0, 100 and 1000 idle ones, and what those cost by themselves.
//!
//! `cargo bench -p wgd --bench hub`. Peers are idle when they were configured and nothing was said to them.
#![allow(clippy::print_stdout)] // a bench has nobody else to tell
#![allow(unsafe_code)] // an allocator cannot be told otherwise

use std::alloc::{GlobalAlloc, Layout, System};
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use criterion::{Criterion, criterion_group, criterion_main};
use wgd::device::{Device, Output};
use wgd::settings::{Endpoint, Mtu, PeerSettings, PrivateKey, Settings};

/// The system's allocator, and a count of the octets that it has given out.
struct Counting;

static OCTETS: AtomicUsize = AtomicUsize::new(0);

#[global_allocator]
static COUNTING: Counting = Counting;

// SAFETY: every call goes to the system's allocator as it is.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        OCTETS.fetch_add(layout.size(), Ordering::Relaxed);
        // SAFETY: the caller keeps the contract.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        OCTETS.fetch_sub(layout.size(), Ordering::Relaxed);
        // SAFETY: the caller keeps the contract.
        unsafe { System.dealloc(pointer, layout) }
    }
}

const HUB: u32 = 0x0a00_0000;
const BUSY: u32 = HUB + 1;
const IDLE: [u32; 3] = [0, 100, 1000];

fn key(host: u32) -> PrivateKey {
    let mut key = [7; 32];
    key[..4].copy_from_slice(&host.to_be_bytes());
    PrivateKey(key.into())
}

fn address(host: u32) -> SocketAddr {
    SocketAddr::new(Ipv4Addr::from_bits(host).into(), 51820)
}

fn device(now: Instant, host: u32, peers: impl Iterator<Item = u32>) -> Device {
    let peer = |host: u32| PeerSettings {
        endpoint: Some(Endpoint::Address(address(host))),
        allowed_ips: vec![ipnet::IpNet::from(std::net::IpAddr::from(Ipv4Addr::from_bits(host)))],
        ..PeerSettings::new(format!("peer {host}"), key(host).public_key())
    };
    let settings = Settings { mtu: Mtu::Octets(1420), ..Settings::new(key(host), peers.map(peer).collect()) };
    Device::new(now, settings, 1, &mut Output::default())
}

/// The hub with its busy spoke and so many idle ones.
fn hub(now: Instant, idle: u32) -> Device {
    device(now, HUB, BUSY..=BUSY + idle)
}

/// From the hub to the busy spoke.
fn packet(length: u16) -> Vec<u8> {
    let mut packet = vec![0; usize::from(length) + 15];
    packet[0] = 0x45;
    packet[2..4].copy_from_slice(&length.to_be_bytes());
    packet[9] = 59;
    packet[12..16].copy_from_slice(&HUB.to_be_bytes());
    packet[16..20].copy_from_slice(&BUSY.to_be_bytes());
    packet
}

fn carry(now: Instant, from: &mut Output, host: u32, to: &mut (Device, Output)) {
    from.datagrams.iter().for_each(|(datagram, _)| to.0.inbound(now, address(host), datagram, &mut to.1));
    from.datagrams.clear();
}

fn one_packet(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("one packet of 64 octets beside idle peers");
    for idle in IDLE {
        let now = Instant::now();
        let mut hub = (hub(now, idle), Output::default());
        let mut spoke = (device(now, BUSY, HUB..=HUB), Output::default());
        let mut packet = packet(64);
        hub.0.outbound(now, &mut packet, 64, &mut hub.1);
        for _ in 0..2 {
            carry(now, &mut hub.1, HUB, &mut spoke);
            carry(now, &mut spoke.1, BUSY, &mut hub);
        }
        group.bench_function(idle.to_string(), |bencher| {
            bencher.iter(|| {
                spoke.1.packets.clear();
                let now = Instant::now();
                hub.0.outbound(now, &mut packet, 64, &mut hub.1);
                hub.0.tick(now, &mut hub.1);
                carry(now, &mut hub.1, HUB, &mut spoke);
                assert_eq!(spoke.1.packets.len(), 1);
            });
        });
    }
    group.finish();
}

fn an_idle_second(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("a second of nothing but idle peers");
    for idle in IDLE {
        let mut now = Instant::now();
        let (mut hub, mut out) = (hub(now, idle), Output::default());
        group.bench_function(idle.to_string(), |bencher| {
            bencher.iter(|| {
                let end = now + Duration::from_secs(1);
                while let Some(due) = hub.next_timeout().filter(|due| *due <= end) {
                    hub.tick(due, &mut out);
                }
                now = end;
            });
        });
        println!("{} visits of {idle} idle peers in all", hub.visits() - u64::from(idle) - 1);
    }
    group.finish();
}

/// No time is taken: what is printed is what there is to know.
fn memory(_: &mut Criterion) {
    let now = Instant::now();
    let before = OCTETS.load(Ordering::Relaxed);
    let one = hub(now, 0);
    let with_one = OCTETS.load(Ordering::Relaxed);
    let many = hub(now, 1000);
    let with_both = OCTETS.load(Ordering::Relaxed);
    println!("memory of a device with one peer: {} octets", with_one - before);
    println!("of each of 1000 idle peers more: {} octets", (with_both - with_one - (with_one - before)) / 1000);
    drop((one, many));
}

criterion_group!(benches, one_packet, an_idle_second, memory);
criterion_main!(benches);
