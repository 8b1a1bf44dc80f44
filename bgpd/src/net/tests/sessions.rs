//! Whole speakers that talk over the loopback interface.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::{Duration, Instant};

use ipnet::IpNet;
use zeroize::Zeroizing;

use super::gateway::{PATIENCE, listener, many_prefixes};
use super::neighbor::Heard;
use super::*;
use crate::settings::{NeighborSettings, Password};
use crate::speaker::Event;
use crate::types::{ConnectionId, Families};
use crate::view::NeighborView;
use crate::wire::Notification;

const ONE: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 1);
const TWO: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);

fn prefix(text: &str) -> IpNet {
    text.parse().unwrap()
}

fn from(local: impl Into<IpAddr>) -> impl FnOnce(&mut NeighborSettings) {
    let local = local.into();
    move |neighbor| neighbor.local_address = Some(local)
}

/// Two speakers on 127.0.0.1 and 127.0.0.2 that dial each other, `change` applied to both.
fn pair(change: impl Fn(&mut NeighborSettings)) -> (Gateway, Gateway) {
    let (one, at_one) = listener(ONE);
    let (two, at_two) = listener(TWO);
    let both = |local: Ipv4Addr| {
        let change = &change;
        move |neighbor: &mut NeighborSettings| {
            from(local)(neighbor);
            change(neighbor);
        }
    };
    let aws = settings(64513, 1).neighbor("home", at_two, both(ONE)).originating([prefix("10.20.0.0/16")]);
    let home = settings(64512, 2).neighbor("aws", at_one, both(TWO)).originating([prefix("10.244.0.0/16")]);
    (Gateway::start(aws, vec![one]), Gateway::start(home, vec![two]))
}

#[tokio::test]
async fn two_speakers_that_dial_each_other_exchange_a_prefix_each_way() {
    let (mut aws, mut home) = pair(|_| {});
    let installed = |gateway: &Gateway, text: &str, next_hop: Ipv4Addr| {
        gateway
            .fib
            .get(&prefix(text))
            .and_then(|change| change.choice.as_ref())
            .is_some_and(|choice| choice.best.iter().any(|best| best.address == IpAddr::V4(next_hop)))
    };
    home.until("has the prefix of aws", |home, _| installed(home, "10.20.0.0/16", ONE)).await;
    aws.until("has the prefix of home", |aws, _| installed(aws, "10.244.0.0/16", TWO)).await;
    aws.until_established().await;
    home.until_established().await;

    aws.bgp.clone().stop(crate::speaker::Stop::Withdraw).await;
    assert_eq!(aws.bgp.call(|_, _| ()).await, None);
    let shutdown = |event: &Event| {
        matches!(
            event,
            Event::SessionDown { sent: false, notification: Some(Notification { code: 6, subcode: 9, data }), .. } if data[..] == [6, 2]
        )
    };
    home.until("hears of the shutdown", |home, _| home.events.iter().any(shutdown)).await;
    home.until("loses the prefix of aws", |home, _| {
        home.fib.get(&prefix("10.20.0.0/16")).is_some_and(|change| change.choice.is_none())
    })
    .await;
}

#[tokio::test]
async fn a_session_with_a_password_on_both_sides_comes_up() {
    let password = |neighbor: &mut NeighborSettings| {
        neighbor.session.password = Some(Password(Zeroizing::new(b"secret".to_vec())));
    };
    let (mut aws, mut home) = pair(password);
    aws.until_established().await;
    home.until_established().await;
}

#[tokio::test]
async fn silence_of_a_neighbor_with_another_password_is_told_as_what_it_may_be() {
    let password = |secret: &[u8]| Some(Password(Zeroizing::new(secret.to_vec())));
    let (listening, at) = listener(TWO);
    let mut home = Gateway::start(
        settings(64512, 2).neighbor("aws", SocketAddr::from((ONE, 1)), |neighbor| {
            neighbor.passive = true;
            neighbor.session.password = password(b"another");
        }),
        vec![listening],
    );
    let mut aws = Gateway::start(
        settings(64513, 1).neighbor("home", at, |neighbor| {
            neighbor.local_address = Some(ONE.into());
            neighbor.session.password = password(b"secret");
            neighbor.session.connect_retry = Duration::from_secs(1);
        }),
        Vec::new(),
    );
    let why = "no connection: no answer within 700ms: it is not reached, or the TCP-MD5 passwords differ";
    let told = |neighbor: &NeighborView| neighbor.last_error.as_ref().is_some_and(|error| error.text == why);
    aws.until(why, |_, neighbors| told(&neighbors[0])).await;
    let why = "it has not connected: it does not dial, or the TCP-MD5 passwords differ";
    home.until(why, |_, neighbors| neighbors[0].note.as_deref() == Some(why)).await;
}

#[tokio::test]
async fn a_session_with_ttl_security_on_both_sides_comes_up() {
    let (mut aws, mut home) = pair(|neighbor| neighbor.session.ttl_security = Some(1));
    aws.until_established().await;
    home.until_established().await;
}

#[tokio::test]
async fn a_dual_stack_listener_hears_ipv4_neighbors_as_ipv4() {
    let (both, at_both) = listener(Ipv6Addr::UNSPECIFIED);
    let unused = SocketAddr::from((TWO, 1));
    let mut aws =
        Gateway::start(settings(64513, 1).neighbor("home", unused, |neighbor| neighbor.passive = true), vec![both]);
    let target = SocketAddr::from((ONE, at_both.port()));
    let mut home = Gateway::start(settings(64512, 2).neighbor("aws", target, from(TWO)), Vec::new());
    home.until_established().await;
    aws.until_established().await;
    assert_eq!(aws.neighbors().await[0].families, Families::IPV4);
}

#[tokio::test]
async fn a_session_over_ipv6_carries_ipv6() {
    let (listening, at) = listener(Ipv6Addr::LOCALHOST);
    let unused = SocketAddr::from((Ipv6Addr::LOCALHOST, 1));
    let mut aws = Gateway::start(
        settings(64513, 1).neighbor("home", unused, |neighbor| neighbor.passive = true),
        vec![listening],
    );
    let home = settings(64512, 2).neighbor("aws", at, from(Ipv6Addr::LOCALHOST));
    let mut home = Gateway::start(home, Vec::new());
    // No route: both ends have one address, and no neighbor is told that it is its own next hop.
    home.until_established().await;
    aws.until_established().await;
    assert_eq!(aws.neighbors().await[0].families, Families::IPV6);
}

#[tokio::test]
async fn a_neighbor_that_nobody_answers_says_why() {
    let (closed, at) = listener(TWO);
    drop(closed);
    let mut aws = Gateway::start(settings(64513, 1).neighbor("home", at, from(ONE)), Vec::new());
    aws.until("has failed", |_, neighbors| {
        neighbors[0].last_error.as_ref().is_some_and(|error| error.text.contains("refused"))
    })
    .await;
}

#[tokio::test]
async fn what_a_neighbor_has_not_acknowledged_is_counted() {
    let (listening, at) = listener(ONE);
    let settings = settings(64513, 1)
        .neighbor("slow", SocketAddr::from((Ipv4Addr::new(127, 0, 0, 5), 1)), |neighbor| neighbor.passive = true)
        .originating(many_prefixes(400_000));
    let mut gateway = Gateway::start(settings, vec![listening]);
    let dial = move || {
        let mut slow = RawNeighbor::dial_with_receive_buffer(Ipv4Addr::new(127, 0, 0, 5), at, 4096);
        slow.establish(64600, 90);
        slow
    };
    let mut slow = tokio::task::spawn_blocking(dial).await.unwrap();
    // The socket takes no more, and what is behind it waits in the speaker.
    gateway.until("is stuck", |_, neighbors| neighbors[0].connection.is_some() && neighbors[0].pending > 0).await;
    let connection = gateway.neighbors().await[0].connection.unwrap();
    until_unsent(&gateway, connection, |octets| octets > 0).await;

    let reader = std::thread::spawn(move || while slow.hear() != Heard::End {});
    gateway.until("has nothing pending", |_, neighbors| neighbors[0].pending == 0).await;
    until_unsent(&gateway, connection, |octets| octets == 0).await;
    gateway.bgp.stop(crate::speaker::Stop::Withdraw).await;
    reader.join().unwrap();
}

async fn until_unsent(gateway: &Gateway, connection: ConnectionId, holds: impl Fn(usize) -> bool) {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let octets = gateway.bgp.unsent().await.unwrap()[&connection];
        if holds(octets) {
            return;
        }
        assert!(Instant::now() < deadline, "{octets} octets are unsent");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
