//! The longest match of an address, against a look at every prefix.

use std::net::IpAddr;
use std::time::Duration;

use bgpd::settings::Settings;
use ipnet::IpNet;
use proptest::collection::btree_set;
use proptest::prelude::*;

use crate::network::Network;
use crate::settings::{address, originate, router};

/// Addresses of either family of which many begin alike.
fn any_address() -> impl Strategy<Value = IpAddr> {
    let ipv4 = (0u32..16, 0u32..4).prop_map(|(high, low)| IpAddr::from((high << 26 | low).to_be_bytes()));
    let ipv6 = (0u128..16, 0u128..4).prop_map(|(high, low)| IpAddr::from((high << 122 | low).to_be_bytes()));
    prop_oneof![ipv4, ipv6]
}

fn any_prefix() -> impl Strategy<Value = IpNet> {
    (any_address(), 0u8..=128).prop_map(|(address, length)| {
        let longest = if address.is_ipv4() { 32 } else { 128 };
        IpNet::new(address, length.min(longest)).unwrap().trunc()
    })
}

proptest! {
    #[test]
    fn the_longest_match_is_that_of_a_look_at_every_prefix(
        prefixes in btree_set(any_prefix(), 0..40),
        addresses in btree_set(any_address(), 1..40),
    ) {
        let originate = prefixes.iter().map(|prefix| originate(&prefix.to_string())).collect();
        let settings = Settings { originate, ..router(64512, "10.0.0.1") };
        let mut network = Network::new(1, [(address("192.0.2.1"), settings)]);
        network.run_for(Duration::from_millis(1));
        let speaker = &network.nodes[0].speaker;
        for address in addresses {
            let found = speaker.longest_match(network.now, address).map(|route| route.prefix);
            let covering = prefixes.iter().filter(|prefix| prefix.contains(&address));
            prop_assert_eq!(found, covering.max_by_key(|prefix| prefix.prefix_len()).copied(), "{}", address);
        }
    }
}
