//! Destinations that are no business of a routing protocol: no route of any neighbor, nor one of our own, may capture
//! them. One list for the configuration, the speaker and the kernel's routes.

use std::net::{Ipv4Addr, Ipv6Addr};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

const FORBIDDEN: [(IpNet, &str); 8] = [
    (v4([127, 0, 0, 0], 8), "loopback destinations are never installed"),
    (v4([169, 254, 0, 0], 16), "link-local destinations are never installed"),
    (v4([224, 0, 0, 0], 4), "multicast destinations are never installed"),
    (v4([240, 0, 0, 0], 4), "class E destinations are never installed"),
    (v6(Ipv6Addr::LOCALHOST, 128), "loopback destinations are never installed"),
    (v6(Ipv4Addr::UNSPECIFIED.to_ipv6_mapped(), 96), "IPv4-mapped destinations are never installed"),
    (v6(Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0), 10), "link-local destinations are never installed"),
    (v6(Ipv6Addr::new(0xff00, 0, 0, 0, 0, 0, 0, 0), 8), "multicast destinations are never installed"),
];

/// Why a prefix is never installed; `None`: it may be. What merely contains such destinations may be.
pub fn never_installed(prefix: &IpNet) -> Option<&'static str> {
    FORBIDDEN.iter().find(|(forbidden, _)| forbidden.contains(prefix)).map(|(_, why)| *why)
}

const fn v4([a, b, c, d]: [u8; 4], length: u8) -> IpNet {
    IpNet::V4(Ipv4Net::new_assert(Ipv4Addr::new(a, b, c, d), length))
}

const fn v6(address: Ipv6Addr, length: u8) -> IpNet {
    IpNet::V6(Ipv6Net::new_assert(address, length))
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
