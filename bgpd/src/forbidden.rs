//! Destinations that are no business of a routing protocol: no route of any neighbor, nor one of our own, may capture
//! them. One list for the configuration, the speaker and the kernel's routes.

use std::net::{Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;

const LOOPBACK: &str = "loopback destinations are never installed";
const LINK_LOCAL: &str = "link-local destinations are never installed";
const MULTICAST: &str = "multicast destinations are never installed";
const CLASS_E: &str = "class E destinations are never installed";
const MAPPED: &str = "IPv4-mapped destinations are never installed";

/// With the address in the upper bits.
const IPV4: [(u128, u8, &str); 4] = [
    (v4([127, 0, 0, 0]), 8, LOOPBACK),
    (v4([169, 254, 0, 0]), 16, LINK_LOCAL),
    (v4([224, 0, 0, 0]), 4, MULTICAST),
    (v4([240, 0, 0, 0]), 4, CLASS_E),
];

const IPV6: [(u128, u8, &str); 4] = [
    (Ipv6Addr::LOCALHOST.to_bits(), 128, LOOPBACK),
    (Ipv4Addr::UNSPECIFIED.to_ipv6_mapped().to_bits(), 96, MAPPED),
    (Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0).to_bits(), 10, LINK_LOCAL),
    (Ipv6Addr::new(0xff00, 0, 0, 0, 0, 0, 0, 0).to_bits(), 8, MULTICAST),
];

const fn v4([a, b, c, d]: [u8; 4]) -> u128 {
    (Ipv4Addr::new(a, b, c, d).to_bits() as u128) << 96
}

/// Why a prefix is never installed; `None`: it may be. What merely contains such destinations may be.
///
/// Every route comes by here: bits are compared, not prefixes.
pub fn never_installed(prefix: &IpNet) -> Option<&'static str> {
    let (forbidden, bits) = match prefix {
        IpNet::V4(net) => (&IPV4, u128::from(net.addr().to_bits()) << 96),
        IpNet::V6(net) => (&IPV6, net.addr().to_bits()),
    };
    let mut forbidden = forbidden.iter();
    let is_inside =
        |address: u128, length: u8| prefix.prefix_len() >= length && (bits ^ address) >> (128 - length) == 0;
    forbidden.find(|(address, length, _)| is_inside(*address, *length)).map(|(_, _, why)| *why)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn destinations_of_no_route_are_never_installed_but_what_contains_them_is() {
        let never = |text: &str| never_installed(&text.parse().unwrap()).is_some();
        for text in ["127.0.0.0/8", "127.0.0.1/32", "224.0.0.0/4", "239.1.0.0/16", "240.0.0.0/4", "255.255.255.255/32"]
        {
            assert!(never(text), "{text}");
        }
        for text in ["169.254.0.0/16", "fe80::/10", "fe80::1/128", "ff02::/16", "::1/128", "::ffff:10.0.0.0/104"] {
            assert!(never(text), "{text}");
        }
        for text in ["0.0.0.0/0", "128.0.0.0/1", "192.0.0.0/2", "169.0.0.0/8", "::/0", "fc00::/6", "10.0.0.0/8"] {
            assert!(!never(text), "{text}");
        }
    }
}
