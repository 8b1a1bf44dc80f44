//! Connections that end, and what the other side hears of it.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr};

use super::gateway::{listener, many_prefixes};
use super::neighbor::Heard;
use super::*;
use crate::speaker::Event;
use crate::wire::Notification;

const FAR: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 9);

/// A speaker that waits for a neighbor on 127.0.0.9.
fn gateway() -> (Gateway, SocketAddr) {
    let (listening, at) = listener(Ipv4Addr::LOCALHOST);
    let unused = SocketAddr::from((FAR, 1));
    let settings = settings(64513, 1).neighbor("far", unused, |neighbor| neighbor.passive = true);
    (Gateway::start(settings, vec![listening]), at)
}

/// The kernel drops what is queued for a neighbor when a socket is closed with bytes unread.
#[tokio::test]
async fn a_notification_arrives_behind_a_full_queue_although_more_was_sent_than_read() {
    let (listening, at) = listener(Ipv4Addr::LOCALHOST);
    let unused = SocketAddr::from((FAR, 1));
    let settings = settings(64513, 1)
        .neighbor("far", unused, |neighbor| neighbor.passive = true)
        .originating(many_prefixes(100_000));
    let gateway = Gateway::start(settings, vec![listening]);
    let heard = tokio::task::spawn_blocking(move || {
        let mut far = RawNeighbor::dial_with_receive_buffer(FAR, at, 32 * 1024);
        far.establish(64600, 90);
        let mut waiting = vec![0; 16 * 1024];
        while far.stream.peek(&mut waiting).unwrap() < waiting.len() {
            std::thread::yield_now();
        }
        // No header (1/1), and much behind it. It may fail when the far end is done with draining.
        let _ = far.stream.write_all(&[0; 100_000]);
        loop {
            match far.hear() {
                Heard::Keepalive | Heard::Other => {}
                last => return (last, far.hear()),
            }
        }
    });
    let (Heard::Notification(notification), Heard::End) = heard.await.unwrap() else { panic!("no NOTIFICATION") };
    assert_eq!((notification.code, notification.subcode), (1, 1));
    gateway.bgp.stop(crate::speaker::Stop::Withdraw).await;
}

#[tokio::test]
async fn a_refused_open_is_answered() {
    let (_gateway, at) = gateway();
    let heard = tokio::task::spawn_blocking(move || {
        let mut far = RawNeighbor::dial(FAR, at);
        assert!(matches!(far.hear(), Heard::Open(_)));
        far.send(|out| RawNeighbor::open(64513, 90).write(out)); // our AS, and not an internal neighbor
        (far.hear(), far.hear())
    });
    assert_eq!(heard.await.unwrap(), (Heard::Notification(Notification::new(2, 2)), Heard::End));
}

#[tokio::test]
async fn a_connection_from_an_unknown_address_is_closed_and_told_of() {
    let (mut gateway, at) = gateway();
    let heard = tokio::task::spawn_blocking(move || RawNeighbor::dial(Ipv4Addr::new(127, 0, 0, 10), at).hear());
    assert_eq!(heard.await.unwrap(), Heard::End);
    gateway
        .until("says who was refused", |gateway, _| {
            gateway.events.iter().any(|event| matches!(event, Event::Refused { neighbor: None, remote, .. } if remote.to_string() == "127.0.0.10"))
        })
        .await;
}

/// What it sends may be there before the kernel has been told how far away the neighbor may be.
#[tokio::test]
async fn a_neighbor_that_is_too_far_away_is_not_heard_at_all() {
    let (listening, at) = listener(Ipv4Addr::LOCALHOST);
    let settings = settings(64513, 1).neighbor("far", SocketAddr::from((FAR, 1)), |neighbor| {
        neighbor.passive = true;
        neighbor.session.ttl_security = Some(1);
    });
    let mut gateway = Gateway::start(settings, vec![listening]);
    let heard = tokio::task::spawn_blocking(move || {
        let mut far = RawNeighbor::dial(FAR, at);
        far.send(|out| RawNeighbor::open(64600, 90).write(out));
        far.send(crate::wire::write_keepalive);
        // Not even an OPEN: an end, or a reset because of what was not read.
        matches!(far.stream.read(&mut [0; 64]), Ok(0) | Err(_))
    });
    let why = "connection lost: it came with a TTL of 64, and ttl-security wants 255 at least";
    gateway.until(why, |_, neighbors| neighbors[0].last_error.as_ref().is_some_and(|error| error.text == why)).await;
    assert!(heard.await.unwrap());
}

#[tokio::test]
async fn stopping_tells_every_neighbor_and_ends_the_thread() {
    let (gateway, at) = gateway();
    let mut far = tokio::task::spawn_blocking(move || {
        let mut far = RawNeighbor::dial(FAR, at);
        far.establish(64600, 90);
        far
    })
    .await
    .unwrap();
    let last = tokio::task::spawn_blocking(move || {
        loop {
            match far.hear() {
                Heard::Keepalive | Heard::Other => {}
                Heard::Notification(notification) => return (notification, far.hear()),
                unexpected => panic!("{unexpected:?} in place of a NOTIFICATION"),
            }
        }
    });
    let other_handle = gateway.bgp.clone();
    gateway.bgp.stop(crate::speaker::Stop::Withdraw).await;
    assert_eq!(last.await.unwrap(), (Notification::new(6, 2), Heard::End));
    assert_eq!(other_handle.call(|_, _| ()).await, None);
}

#[tokio::test]
async fn the_last_handle_ends_the_thread() {
    let (Gateway { bgp, mut outputs, .. }, _) = gateway();
    drop(bgp);
    while outputs.events.recv().await.is_some() {}
    assert!(outputs.fib.recv().await.is_none());
}

#[tokio::test]
async fn a_panic_ends_the_thread_and_everybody_sees_it() {
    let (Gateway { bgp, mut outputs, .. }, _) = gateway();
    assert_eq!(bgp.call(|_, _| panic!("on purpose")).await, None::<()>);
    while outputs.events.recv().await.is_some() {}
    assert_eq!(bgp.call(|_, _| ()).await, None);
    bgp.stop(crate::speaker::Stop::Withdraw).await;
}

#[tokio::test]
async fn a_message_in_pieces_is_one_message() {
    let (mut gateway, at) = gateway();
    let far = tokio::task::spawn_blocking(move || {
        let mut far = RawNeighbor::dial(FAR, at);
        let mut message = bytes::BytesMut::new();
        RawNeighbor::open(64600, 90).write(&mut message);
        crate::wire::write_keepalive(&mut message);
        for octet in message {
            far.stream.write_all(&[octet]).unwrap();
        }
        far
    });
    let _far = far.await.unwrap();
    gateway.until_established().await;
}
