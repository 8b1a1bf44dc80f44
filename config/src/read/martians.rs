//! The built-in prefix set `martians`: what has no business in a routing table.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use bgpd::policy::PrefixRange;
use ipnet::IpNet;

/// The set's name.
pub(crate) const NAME: &str = "martians";

/// What the registries of RFC 6890 call not forwardable, and multicast.
const IPV4: [([u8; 4], u8); 8] = [
    ([0, 0, 0, 0], 8),
    ([127, 0, 0, 0], 8),
    ([169, 254, 0, 0], 16),
    ([192, 0, 2, 0], 24),
    ([198, 51, 100, 0], 24),
    ([203, 0, 113, 0], 24),
    ([224, 0, 0, 0], 4),
    ([240, 0, 0, 0], 4),
];

const IPV6: [([u16; 8], u8); 6] = [
    ([0, 0, 0, 0, 0, 0, 0, 0], 128),
    ([0, 0, 0, 0, 0, 0, 0, 1], 128),
    ([0, 0, 0, 0, 0, 0xffff, 0, 0], 96),
    ([0x2001, 0xdb8, 0, 0, 0, 0, 0, 0], 32),
    ([0xfe80, 0, 0, 0, 0, 0, 0, 0], 10),
    ([0xff00, 0, 0, 0, 0, 0, 0, 0], 8),
];

/// The prefixes and everything inside them.
pub(crate) fn prefixes() -> Vec<PrefixRange> {
    let ipv4 = IPV4.map(|(address, length)| (IpAddr::from(Ipv4Addr::from(address)), length));
    let ipv6 = IPV6.map(|(address, length)| (IpAddr::from(Ipv6Addr::from(address)), length));
    let prefixes = ipv4.into_iter().chain(ipv6).filter_map(|(address, length)| IpNet::new(address, length).ok());
    prefixes.map(PrefixRange::and_longer).collect()
}
