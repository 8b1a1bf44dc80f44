//! Neighbors that mean harm, before real sockets. What they cost in memory, `tests/hostile` shows.

use std::io::{ErrorKind, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use bytes::BytesMut;
use zeroize::Zeroizing;

use super::gateway::{asn, listener, many_prefixes};
use super::neighbor::Heard;
use super::*;
use crate::settings::{NeighborSettings, Password};
use crate::speaker::Stop;
use crate::types::{Community, Families, HoldTime};
use crate::view::SessionState;
use crate::wire::{Context, PathAttributes, write_keepalive, write_reach};

const NEVER_READS: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 3);
const FLOODS: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 6);
const GOOD: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 4);

/// In seconds: three times what is between two KEEPALIVEs.
const HOLD_TIME: u16 = 9;

fn waits(neighbor: &mut NeighborSettings) {
    neighbor.passive = true;
}

fn at(address: Ipv4Addr) -> SocketAddr {
    SocketAddr::from((address, 1))
}

/// One is sent a large table and reads nothing of it, one changes the attributes of a thousand routes as fast as it can
/// write; a third one's KEEPALIVEs are still in time, and heard in time.
#[tokio::test]
async fn who_never_reads_and_who_floods_make_no_keepalive_late() {
    let (listening, to) = listener(Ipv4Addr::LOCALHOST);
    let settings = settings(64513, 1)
        .neighbor("never-reads", at(NEVER_READS), waits)
        .neighbor("floods", at(FLOODS), waits)
        .neighbor("good", at(GOOD), |neighbor| {
            waits(neighbor);
            neighbor.session.hold_time = HoldTime::new(HOLD_TIME).unwrap();
            neighbor.session.export = None; // only KEEPALIVEs
        })
        .originating(many_prefixes(100_000));
    let gateway = Gateway::start(settings, vec![listening]);

    let done = Arc::new(AtomicBool::new(false));
    let flood = std::thread::spawn({
        let done = Arc::clone(&done);
        move || flood(to, &done)
    });
    let watched = tokio::task::spawn_blocking(move || {
        let mut never_reads = RawNeighbor::dial(NEVER_READS, to);
        never_reads.establish(64600, 90);
        let mut good = RawNeighbor::dial(GOOD, to);
        let longest = longest_silence(&mut good);
        ([never_reads, good], longest)
    });
    let (_open, longest) = watched.await.unwrap();
    let states = gateway.neighbors().await;
    done.store(true, Ordering::Relaxed);
    let written = flood.join().unwrap();

    assert!(longest < Duration::from_secs(HOLD_TIME.into()), "a KEEPALIVE came after {longest:?}");
    assert!(written > 1 << 20, "the flood was {written} octets");
    let up = states.iter().filter(|neighbor| neighbor.state == SessionState::Established).count();
    assert_eq!(up, 3, "{states:#?}");
    gateway.bgp.stop(Stop::Withdraw).await;
}

/// The longest time between four KEEPALIVEs, one every three seconds.
fn longest_silence(good: &mut RawNeighbor) -> Duration {
    good.establish(64601, HOLD_TIME);
    let mut last = Instant::now();
    let mut longest = Duration::ZERO;
    for _ in 0..4 {
        while good.hear() != Heard::Keepalive {}
        good.send(write_keepalive);
        longest = longest.max(last.elapsed());
        last = Instant::now();
    }
    longest
}

/// How many octets were written until somebody has seen enough. It reads nothing either.
fn flood(to: SocketAddr, done: &AtomicBool) -> usize {
    let mut far = RawNeighbor::dial(FLOODS, to);
    far.establish(64602, 90);
    let updates = updates();
    let mut written = 0;
    while !done.load(Ordering::Relaxed) {
        match far.stream.write(&updates[written % updates.len()..]) {
            Ok(octets) => written += octets,
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
            Err(error) => panic!("after {written} octets: {error}"),
        }
    }
    written
}

/// Two rounds of a thousand routes, each with its own 900 communities, which are others in the next round.
fn updates() -> BytesMut {
    let context = Context { families: Families::IPV4, ..Context::new(asn(64602)) };
    let mut out = BytesMut::new();
    for (number, prefix) in (0..).zip(many_prefixes(1000).chain(many_prefixes(1000))) {
        let attributes = PathAttributes {
            as_path: [asn(64602)].into_iter().collect(),
            communities: (number * 900..(number + 1) * 900).map(Community).collect(),
            ..PathAttributes::default()
        };
        assert_eq!(write_reach(&mut out, &context, &attributes, IpAddr::V4(FLOODS).into(), &[prefix]), 1);
    }
    out
}

#[tokio::test]
async fn who_does_not_know_the_password_is_not_heard() {
    let (listening, to) = listener(Ipv4Addr::LOCALHOST);
    let settings = settings(64513, 1).neighbor("good", at(GOOD), |neighbor| {
        waits(neighbor);
        neighbor.session.password = Some(Password(Zeroizing::new(b"secret".to_vec())));
    });
    let gateway = Gateway::start(settings, vec![listening]);
    gateway.neighbors().await; // the listener has its key
    let connected = tokio::task::spawn_blocking(move || {
        let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
        socket.bind(&SocketAddr::from((GOOD, 0)).into()).unwrap();
        socket.connect_timeout(&to.into(), Duration::from_millis(500)).is_ok()
    });
    assert!(!connected.await.unwrap());
    gateway.bgp.stop(Stop::Withdraw).await;
}
