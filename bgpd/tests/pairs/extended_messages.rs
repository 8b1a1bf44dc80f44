//! Messages of more than 4096 octets (RFC 8654).

use bgpd::settings::Settings;
use bgpd::view::SessionState;
use bgpd::wire::{self, Capability, Context, PathAttributes, UnknownAttribute};

use crate::network::Network;
use crate::raw::{Raw, path};
use crate::settings::{Told, address, neighbor, router};

const GATEWAY: usize = 0;

/// AS 64512 at 10.0.0.1, with neighbors at 10.0.0.11, .12 and .13.
fn gateway() -> Settings {
    router(64512, "10.0.0.1")
        .with_neighbor("left", neighbor("10.0.0.11", 64513))
        .with_neighbor("right", neighbor("10.0.0.12", 64514))
        .with_neighbor("old", neighbor("10.0.0.13", 64515))
}

fn network(settings: Settings) -> Network {
    Network::new(5, [(address("10.0.0.1"), settings)])
}

fn extended(network: &mut Network, from: &str, number: u32) -> Raw {
    Raw::with(network, GATEWAY, from, number, &[Capability::ExtendedMessage], lengthen)
}

fn lengthen(context: &mut Context) {
    context.max_message = wire::MAX_EXTENDED_MESSAGE;
    context.max_received = wire::MAX_EXTENDED_MESSAGE;
}

/// A path whose unknown attribute has so many octets.
fn of_octets(octets: usize) -> PathAttributes {
    PathAttributes { unknown: vec![UnknownAttribute { code: 99, value: vec![0; octets] }], ..path(&[64513]) }
}

/// What an UPDATE for one /16 by 64513 has besides the octets of its unknown attribute: header, two lengths, ORIGIN,
/// AS_PATH, NEXT_HOP, the attribute's own header, and the prefix.
const AROUND: usize = 19 + 4 + 4 + 9 + 7 + 4 + 3;
/// Our AS before the neighbor's.
const PREPENDED: usize = 4;

#[test]
fn a_long_route_goes_on_to_whoever_takes_it_and_is_withdrawn_from_who_does_not() {
    let mut network = network(gateway());
    let mut left = extended(&mut network, "10.0.0.11", 64513);
    let mut right = extended(&mut network, "10.0.0.12", 64514);
    let mut old = Raw::settled(&mut network, GATEWAY, "10.0.0.13", 64515);
    left.announce(&mut network, &path(&[64513]), "10.0.0.11", &["10.1.0.0/16"]);
    for raw in [&mut right, &mut old] {
        assert_eq!(raw.hear(&mut network), ["10.1.0.0/16 via 10.0.0.1 igp [64512 64513]"]);
    }
    left.announce(&mut network, &of_octets(60_000), "10.0.0.11", &["10.1.0.0/16"]);
    let heard = right.hear(&mut network);
    assert!(heard.len() == 1 && heard[0].starts_with("10.1.0.0/16 via 10.0.0.1"), "{} messages", heard.len());
    assert_eq!(old.hear(&mut network), ["withdraw 10.1.0.0/16"]); // RFC 8654 §4
    let last = format!("{:?}", network.nodes[GATEWAY].events.last());
    assert!(last.contains("10.1.0.0/16 is too long to be passed on"), "{network}");
}

#[test]
fn sixty_four_kibibytes_less_one_are_the_end_in_both_directions() {
    let mut network = network(gateway());
    let mut left = extended(&mut network, "10.0.0.11", 64513);
    let mut right = extended(&mut network, "10.0.0.12", 64514);
    let longest = wire::MAX_EXTENDED_MESSAGE - AROUND;
    left.announce(&mut network, &of_octets(longest - PREPENDED), "10.0.0.11", &["10.1.0.0/16"]);
    assert_eq!(network.nodes[GATEWAY].heard[&right.id()].len(), wire::MAX_EXTENDED_MESSAGE);
    right.hear(&mut network);
    left.announce(&mut network, &of_octets(longest), "10.0.0.11", &["10.1.0.0/16"]);
    assert_eq!(right.hear(&mut network), ["withdraw 10.1.0.0/16"]);
    assert_eq!(network.state(GATEWAY, "left"), SessionState::Established);
}

#[test]
fn a_long_message_is_refused_where_we_did_not_offer_to_take_it() {
    let mut network = network(gateway().session("left", |session| session.extended_messages = false));
    let mut left = extended(&mut network, "10.0.0.11", 64513);
    left.announce(&mut network, &of_octets(5000 - AROUND), "10.0.0.11", &["10.1.0.0/16"]);
    // RFC 8654 §5, RFC 4271 §6.1: the length is the data.
    let error = network.neighbor(GATEWAY, "left").last_error.unwrap();
    let notification = error.notification.unwrap();
    assert_eq!((notification.code, notification.subcode), (1, 2));
    assert_eq!(notification.data, 5000_u16.to_be_bytes());
    assert!(error.sent);
}

#[test]
fn open_and_keepalive_stay_short() {
    let mut network = network(gateway());
    for (kind, length) in [(1, 4097_u16), (4, 20)] {
        let mut left = extended(&mut network, "10.0.0.11", 64513);
        left.say(&mut network, |out| {
            out.extend_from_slice(&[0xFF; 16]);
            out.extend_from_slice(&length.to_be_bytes());
            out.extend_from_slice(&[kind]);
        });
        let notification = network.neighbor(GATEWAY, "left").last_error.unwrap().notification.unwrap();
        assert_eq!(
            (notification.code, notification.subcode, &notification.data[..]),
            (1, 2, &length.to_be_bytes()[..])
        );
        network.run_for(std::time::Duration::from_secs(120)); // it was damped for its fault
    }
}
