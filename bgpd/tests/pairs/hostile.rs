//! A neighbor that sends anything: it costs itself its session, and nobody else anything.

use bgpd::speaker::Command;
use bgpd::types::Community;
use bgpd::view::SessionState;
use bgpd::wire::{self, Context, MpNextHop, PathAttributes, UnknownAttribute};
use bytes::BytesMut;
use ipnet::IpNet;
use proptest::prelude::*;

use crate::network::Network;
use crate::raw::{Raw, path};
use crate::settings::{Told, address, asn, neighbor, router};

const GATEWAY: usize = 0;

/// Good UPDATEs of both families, with nearly every attribute.
fn stream() -> Vec<u8> {
    let context = Context::new(asn(64513));
    let mut out = BytesMut::new();
    for number in 0..6 {
        let attributes = PathAttributes {
            med: Some(number),
            communities: vec![Community(number), Community(0xFFFF_FF01)],
            unknown: vec![UnknownAttribute { code: 99, value: vec![7; number as usize] }],
            ..path(&[64513, 65000 + number])
        };
        let ipv4: IpNet = format!("10.{number}.0.0/16").parse().unwrap();
        let ipv6: IpNet = format!("fd00:{number}::/32").parse().unwrap();
        let via = |text| MpNextHop { address: address(text), link_local: None };
        wire::write_reach(&mut out, &context, &attributes, via("10.0.0.11"), &[ipv4]);
        wire::write_reach(&mut out, &context, &attributes, via("fd00::11"), &[ipv6]);
        if number % 2 == 0 {
            wire::write_unreach(&mut out, &context, &[ipv4]);
            wire::write_unreach(&mut out, &context, &[ipv6]);
        }
    }
    out.to_vec()
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn whatever_one_neighbor_sends_the_others_keep_what_they_have(
        flips in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..6),
        cut in any::<prop::sample::Index>(),
        garbage in proptest::collection::vec(any::<u8>(), 0..64),
    ) {
        let settings = router(64512, "10.0.0.1")
            .with_neighbor("bad", neighbor("10.0.0.11", 64513))
            .with_neighbor("good", neighbor("10.0.0.12", 64514));
        let mut network = Network::new(17, [(address("10.0.0.1"), settings)]);
        let mut bad = Raw::establish(&mut network, GATEWAY, "10.0.0.11", 64513);
        let mut good = Raw::establish(&mut network, GATEWAY, "10.0.0.12", 64514);
        good.announce(&mut network, &path(&[64514]), "10.0.0.12", &["172.16.0.0/12"]);

        let mut bytes = stream();
        for (at, value) in flips {
            let at = at.index(bytes.len());
            bytes[at] = value;
        }
        let cut = cut.index(bytes.len());
        bytes.splice(cut..cut, garbage);
        bad.say(&mut network, |out| out.extend_from_slice(&bytes));
        network.run_for(std::time::Duration::from_secs(1));
        prop_assert_eq!(network.state(GATEWAY, "good"), SessionState::Established);
        prop_assert!(!good.is_closed(&network));
        good.hear(&mut network); // what it hears, it can read

        network.command(GATEWAY, "bad", Command::Disable(None));
        network.run_for(std::time::Duration::from_secs(1));
        let left: Vec<_> = network.routes(GATEWAY).into_iter().map(|route| route.prefix.to_string()).collect();
        prop_assert_eq!(left, ["172.16.0.0/12"]);
        prop_assert_eq!(network.fib(GATEWAY).len(), 1);
        prop_assert_eq!(network.nodes[GATEWAY].wanted.len(), 1);
        prop_assert_eq!(network.neighbor(GATEWAY, "good").advertised, 0);
    }
}
