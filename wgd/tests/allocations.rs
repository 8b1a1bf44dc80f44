//! Two running tunnels under a counting allocator.
#![allow(clippy::unwrap_used)]
#![allow(unsafe_code)] // an allocator cannot be told otherwise

use std::alloc::{GlobalAlloc, Layout, System};
use std::net::UdpSocket;
use std::os::unix::net::UnixDatagram;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use wgd::net::{Io, Tunnel};
use wgd::settings::{Endpoint, Mtu, PeerSettings, PrivateKey, Settings};

const PATIENCE: Duration = Duration::from_secs(20);

/// The system's allocator, and a count of all threads.
struct Counting;

static ALLOCATIONS: AtomicU64 = AtomicU64::new(0);

#[global_allocator]
static COUNTING: Counting = Counting;

// SAFETY: every call goes to the system's allocator as it is.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        // SAFETY: the caller keeps the contract.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller keeps the contract.
        unsafe { System.dealloc(pointer, layout) }
    }
}

fn start(number: u8, udp: UdpSocket, endpoint: Option<Endpoint>) -> (Tunnel, UnixDatagram) {
    let private_key = |number| PrivateKey([number; 32].into());
    let peer = PeerSettings {
        endpoint,
        allowed_ips: vec![format!("10.0.0.{}/32", 3 - number).parse().unwrap()],
        ..PeerSettings::new("", private_key(3 - number).public_key())
    };
    let settings = Settings { mtu: Mtu::Octets(1420), ..Settings::new(private_key(number), vec![peer]) };
    let (inside, outside) = UnixDatagram::pair().unwrap();
    inside.set_nonblocking(true).unwrap();
    outside.set_read_timeout(Some(PATIENCE)).unwrap();
    (Tunnel::start(Io { tun: inside.into(), udp: vec![udp] }, settings, |_| {}).unwrap(), outside)
}

#[test]
fn a_packet_costs_no_allocation() {
    let udp = [(); 2].map(|()| UdpSocket::bind("127.0.0.1:0").unwrap());
    let second_at = Endpoint::Address(udp[1].local_addr().unwrap());
    let [first, second] = udp;
    let (_first, here) = start(1, first, Some(second_at));
    let (_second, there) = start(2, second, None);
    let packet = [&[0x45, 0, 0, 21, 0, 0, 0, 0, 64, 59, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2][..], &[7]].concat();
    let mut received = [0; 100];
    let mut carry = |packets: u32| {
        for _ in 0..packets {
            here.send(&packet).unwrap();
            assert_eq!(there.recv(&mut received).unwrap(), packet.len());
        }
    };
    carry(1000);
    let before = ALLOCATIONS.load(Ordering::Relaxed);
    carry(10_000);
    let allocations = ALLOCATIONS.load(Ordering::Relaxed) - before;
    assert_eq!(allocations, 0);
}
