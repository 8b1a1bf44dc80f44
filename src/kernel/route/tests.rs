#![allow(clippy::unwrap_used)]

use std::net::{Ipv4Addr, Ipv6Addr};

use libc::RTM_NEWROUTE;
use proptest::prelude::*;

use super::*;
use crate::kernel::message::messages;

fn address() -> impl Strategy<Value = IpAddr> {
    prop_oneof![any::<Ipv4Addr>().prop_map(IpAddr::V4), any::<Ipv6Addr>().prop_map(IpAddr::V6)]
}

/// An address that may be a gateway of this family's routes: IPv6 for both (RFC 8950), IPv4 for IPv4.
fn gateway(prefix: IpNet) -> impl Strategy<Value = IpAddr> {
    address().prop_filter("no IPv4 gateway in IPv6", move |it| it.is_ipv6() || matches!(prefix, IpNet::V4(_)))
}

fn prefix() -> impl Strategy<Value = IpNet> {
    (address(), any::<prop::sample::Index>()).prop_map(|(address, length)| {
        let longest = IpNet::from(address).max_prefix_len();
        IpNet::new(address, length.index(usize::from(longest) + 1) as u8).unwrap().trunc()
    })
}

fn target(prefix: IpNet) -> impl Strategy<Value = Target> {
    let hop = (prop::option::of(gateway(prefix)), 1..u32::MAX);
    let hop = hop.prop_map(|(gateway, interface)| Hop { gateway, interface });
    prop_oneof![Just(Target::Discard), prop::collection::vec(hop, 1..65).prop_map(Target::Hops)]
}

fn route() -> impl Strategy<Value = Route> {
    prefix().prop_flat_map(|prefix| {
        let parts = (target(prefix), prop::option::of(gateway(prefix)), 1..u32::MAX, 1..u32::MAX, any::<u8>());
        parts.prop_map(move |(target, source, table, metric, protocol)| {
            let source = source.filter(|it| it.is_ipv4() == matches!(prefix, IpNet::V4(_)));
            Route { prefix, table, metric, protocol, target, source }
        })
    })
}

fn encode(route: &Route) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut message = Message::begin(&mut bytes, RTM_NEWROUTE, 0, 7);
    put_route(&mut message, route);
    message.finish();
    bytes
}

proptest! {
    #[test]
    fn what_is_written_is_read_again(route in route()) {
        let bytes = encode(&route);
        let all: Vec<_> = messages(&bytes).collect();
        prop_assert_eq!(all.len(), 1);
        prop_assert_eq!((all[0].kind, all[0].sequence), (RTM_NEWROUTE, 7));
        prop_assert_eq!(decode(all[0].payload).unwrap().route, route);
    }

    #[test]
    fn no_octets_make_the_reader_panic(route in route(), cut in any::<prop::sample::Index>(), at in any::<prop::sample::Index>(), octet: u8) {
        let mut bytes = encode(&route);
        let at = at.index(bytes.len());
        bytes[at] = octet;
        bytes.truncate(cut.index(bytes.len() + 1));
        messages(&bytes).for_each(|message| drop(decode(message.payload)));
        let _ = decode(&bytes);
    }

    #[test]
    fn noise_is_no_message(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        messages(&bytes).for_each(|message| drop(decode(message.payload)));
        let _ = decode(&bytes);
        attributes(&bytes).for_each(drop);
    }
}
