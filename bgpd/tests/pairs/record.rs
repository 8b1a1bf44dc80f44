//! What is remembered of a neighbor: messages by number, faults with their bytes, ups and downs.

use std::time::Duration;

use bgpd::settings::Settings;
use bgpd::speaker::Command;
use bgpd::types::Families;
use bgpd::view::{Counters, LastError, Messages};
use bgpd::wire::{Treatment, write_route_refresh};
use bytes::BufMut;

use crate::network::Network;
use crate::raw::{Raw, path};
use crate::settings::{Told, address, neighbor, router};

const GATEWAY: usize = 0;

fn gateway() -> Settings {
    router(64512, "10.0.0.1").originating(&["10.20.0.0/16"]).with_neighbor("left", neighbor("10.0.0.11", 64513))
}

fn network(settings: Settings) -> (Network, Raw) {
    let mut network = Network::new(23, [(address("10.0.0.1"), settings)]);
    let left = Raw::settled(&mut network, GATEWAY, "10.0.0.11", 64513);
    (network, left)
}

fn counters(network: &Network) -> Counters {
    network.neighbor(GATEWAY, "left").counters
}

fn last_error(network: &Network) -> LastError {
    network.neighbor(GATEWAY, "left").last_error.unwrap()
}

/// An UPDATE for 10.1.0.0/16 with ORIGIN, AS_PATH and NEXT_HOP, and these attributes.
fn update(left: &mut Raw, network: &mut Network, origin: u8, more: &[u8]) {
    left.say(network, |out| {
        let length = 20 + more.len() as u8;
        out.put_bytes(0xFF, 16);
        out.put_slice(&[0, 19 + 4 + length + 3, 2, 0, 0, 0, length]);
        out.put_slice(&[0x40, 1, 1, origin]);
        out.put_slice(&[0x40, 2, 6, 2, 1, 0, 0, 0xFC, 1]);
        out.put_slice(&[0x40, 3, 4, 10, 0, 0, 11]);
        out.put_slice(more);
        out.put_slice(&[16, 10, 1]);
    });
}

#[test]
fn messages_are_counted_by_type_and_prefixes_by_what_became_of_them() {
    let (mut network, mut left) = network(gateway());
    left.announce(&mut network, &path(&[64513]), "10.0.0.11", &["10.1.0.0/16", "10.2.0.0/16"]);
    left.announce(&mut network, &path(&[64513, 65001]), "10.0.0.11", &["10.2.0.0/16"]);
    left.withdraw(&mut network, &["10.1.0.0/16", "10.9.0.0/16"]);
    left.say(&mut network, |out| write_route_refresh(bgpd::types::Family::Ipv4, 0, out));
    network.command(GATEWAY, "left", Command::Refresh);
    left.hear(&mut network);
    let Counters { received, sent, announced, withdrawn, .. } = counters(&network);
    assert_eq!(received, Messages { open: 1, update: 3, keepalive: 1, route_refresh: 1, notification: 0 });
    // One route twice, and End-of-RIB of two families; a refresh of each.
    assert_eq!(sent, Messages { open: 1, update: 4, keepalive: 1, route_refresh: 2, notification: 0 });
    assert_eq!((announced, withdrawn), (3, 2));
    network.command(GATEWAY, "left", Command::Reset);
    assert_eq!(left.hear(&mut network), ["notification 6/4 Cease/Administrative Reset"]);
    assert_eq!((counters(&network).sent.notification, counters(&network).flaps), (1, 1));
}

#[test]
fn a_fault_that_a_session_survives_is_the_last_error_with_its_attribute() {
    let (mut network, mut left) = network(gateway());
    update(&mut left, &mut network, 7, &[]);
    let error = last_error(&network);
    assert_eq!((error.sent, error.treatment), (false, Some(Treatment::TreatAsWithdraw)));
    let notification = error.notification.unwrap();
    assert_eq!((notification.code, notification.subcode), (3, 6));
    assert_eq!(notification.data, [0x40, 1, 1, 7]);
    assert_eq!(error.text, "UPDATE: ORIGIN is 7, allowed are 0, 1 and 2; its routes count as withdrawn");
    assert_eq!(counters(&network).treat_as_withdraw, 1);
    assert!(!left.is_closed(&network));
}

/// RFC 4271 §6.3 has no data for it.
#[test]
fn an_attribute_that_comes_twice_is_shown_too() {
    let (mut network, mut left) = network(gateway());
    update(&mut left, &mut network, 0, &[0x40, 1, 1, 2]);
    let error = last_error(&network);
    assert_eq!(error.treatment, Some(Treatment::AttributeDiscard));
    assert_eq!(error.notification.unwrap().data, [0x40, 1, 1, 2]);
    assert_eq!(counters(&network).attribute_discard, 1);
    assert_eq!(network.fib(GATEWAY).len(), 1, "the first counts");
}

#[test]
fn a_family_that_was_not_agreed_on_is_ignored_and_counted() {
    let (mut network, mut left) = network(gateway().session("left", |session| session.families = Some(Families::IPV4)));
    left.announce(&mut network, &path(&[64513]), "fd00::11", &["fd01::/16"]);
    assert_eq!((counters(&network).ignored_families, network.neighbor(GATEWAY, "left").received), (1, 0));
    assert!(!left.is_closed(&network));
}

#[test]
fn the_last_ups_and_downs_are_kept_with_their_reasons() {
    let (mut network, _) = network(gateway());
    for _ in 0..10 {
        network.command(GATEWAY, "left", Command::Reset);
        network.run_for(Duration::from_secs(1));
        Raw::settled(&mut network, GATEWAY, "10.0.0.11", 64513);
    }
    let view = network.neighbor(GATEWAY, "left");
    assert_eq!((view.history.len(), view.counters.flaps), (16, 10));
    let newest: Vec<_> = view.history[..3].iter().map(|past| (past.up, past.text.as_str())).collect();
    let reset = (false, "sent Cease/Administrative Reset");
    assert_eq!(newest, [(true, "established"), reset, (true, "established")]);
    assert_eq!(view.history[1].age, Duration::from_secs(1));
}
