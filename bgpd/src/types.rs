//! The field's nouns as types: after the edge, a value of the type is correct.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use ipnet::IpNet;

/// An autonomous system number (RFC 6793), never 0 (RFC 7607).
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Asn(u32);

impl Asn {
    /// AS_TRANS (RFC 6793 §9): stands in two octets for a number that needs four.
    pub const TRANS: Self = Self(23456);

    /// `None` for 0.
    pub const fn new(number: u32) -> Option<Self> {
        if number == 0 { None } else { Some(Self(number)) }
    }

    /// The number itself.
    pub const fn get(self) -> u32 {
        self.0
    }

    /// Whether it has a meaning only inside a site (RFC 6996 §5).
    pub const fn is_private(self) -> bool {
        matches!(self.0, 64512..=65534 | 4_200_000_000..=4_294_967_294)
    }

    /// Whether it may be given to a speaker of ours: not AS_TRANS, nor the last of the two ranges (RFC 7300).
    pub const fn is_assignable(self) -> bool {
        !matches!(self.0, 23456 | 65535 | 4_294_967_295)
    }
}

impl fmt::Display for Asn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A BGP Identifier: four octets, not zero (RFC 6286 §2.1).
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct BgpIdentifier(u32);

impl BgpIdentifier {
    /// `None` for 0.0.0.0.
    pub const fn new(address: Ipv4Addr) -> Option<Self> {
        match address.to_bits() {
            0 => None,
            bits => Some(Self(bits)),
        }
    }

    /// As dotted quad.
    pub const fn address(self) -> Ipv4Addr {
        Ipv4Addr::from_bits(self.0)
    }
}

impl fmt::Display for BgpIdentifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.address().fmt(f)
    }
}

/// The address families this speaker carries (RFC 4760): unicast of IPv4 and IPv6.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Family {
    /// AFI 1, SAFI 1.
    Ipv4,
    /// AFI 2, SAFI 1.
    Ipv6,
}

impl Family {
    /// Both, in order.
    pub const ALL: [Self; 2] = [Self::Ipv4, Self::Ipv6];

    /// The family a prefix belongs to.
    pub const fn of(prefix: &IpNet) -> Self {
        match prefix {
            IpNet::V4(_) => Self::Ipv4,
            IpNet::V6(_) => Self::Ipv6,
        }
    }

    /// The family an address belongs to.
    pub const fn of_address(address: &IpAddr) -> Self {
        match address {
            IpAddr::V4(_) => Self::Ipv4,
            IpAddr::V6(_) => Self::Ipv6,
        }
    }

    /// Address Family Identifier and Subsequent AFI, as on the wire.
    pub const fn afi_safi(self) -> (u16, u8) {
        match self {
            Self::Ipv4 => (1, 1),
            Self::Ipv6 => (2, 1),
        }
    }

    /// `None` for a family this speaker does not carry.
    pub const fn from_afi_safi(afi: u16, safi: u8) -> Option<Self> {
        match (afi, safi) {
            (1, 1) => Some(Self::Ipv4),
            (2, 1) => Some(Self::Ipv6),
            _ => None,
        }
    }

    /// `ipv4` or `ipv6`, as in the configuration.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ipv4 => "ipv4",
            Self::Ipv6 => "ipv6",
        }
    }
}

impl fmt::Display for Family {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A set of families, in the order of [`Family::ALL`].
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub struct Families {
    /// IPv4 unicast is in the set.
    pub ipv4: bool,
    /// IPv6 unicast is in the set.
    pub ipv6: bool,
}

impl Families {
    /// Both.
    pub const ALL: Self = Self { ipv4: true, ipv6: true };
    /// IPv4 alone, as a neighbor without the multiprotocol capability has it (RFC 4760 §8).
    pub const IPV4: Self = Self { ipv4: true, ipv6: false };
    /// IPv6 alone.
    pub const IPV6: Self = Self { ipv4: false, ipv6: true };

    /// Whether the family is in the set.
    pub const fn contains(self, family: Family) -> bool {
        match family {
            Family::Ipv4 => self.ipv4,
            Family::Ipv6 => self.ipv6,
        }
    }

    /// Adds a family.
    pub const fn insert(&mut self, family: Family) {
        match family {
            Family::Ipv4 => self.ipv4 = true,
            Family::Ipv6 => self.ipv6 = true,
        }
    }

    /// Takes a family out.
    pub const fn remove(&mut self, family: Family) {
        match family {
            Family::Ipv4 => self.ipv4 = false,
            Family::Ipv6 => self.ipv6 = false,
        }
    }

    /// What both sets have.
    #[must_use]
    pub const fn intersection(self, other: Self) -> Self {
        Self { ipv4: self.ipv4 && other.ipv4, ipv6: self.ipv6 && other.ipv6 }
    }

    /// Whether nothing is in the set.
    pub const fn is_empty(self) -> bool {
        !self.ipv4 && !self.ipv6
    }

    /// The families in the set.
    pub fn iter(self) -> impl Iterator<Item = Family> {
        Family::ALL.into_iter().filter(move |family| self.contains(*family))
    }
}

impl FromIterator<Family> for Families {
    fn from_iter<I: IntoIterator<Item = Family>>(families: I) -> Self {
        let mut set = Self::default();
        families.into_iter().for_each(|family| set.insert(family));
        set
    }
}

/// A hold time in whole seconds: 0 (no keepalives at all) or at least 3 (RFC 4271 §4.2).
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct HoldTime(u16);

impl HoldTime {
    /// The suggested value (RFC 4271 §10).
    pub const DEFAULT: Self = Self(90);

    /// `None` for 1 and 2.
    pub const fn new(seconds: u16) -> Option<Self> {
        match seconds {
            1 | 2 => None,
            seconds => Some(Self(seconds)),
        }
    }

    /// As in the OPEN message.
    pub const fn seconds(self) -> u16 {
        self.0
    }

    /// `None` where no hold timer runs.
    pub const fn duration(self) -> Option<Duration> {
        if self.0 == 0 { None } else { Some(Duration::from_secs(self.0 as u64)) }
    }
}

/// A community (RFC 1997): the AS in the upper half, its value in the lower.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Community(pub u32);

impl Community {
    /// RFC 8326: the path is about to go.
    pub const GRACEFUL_SHUTDOWN: Self = Self(0xFFFF_0000);
    /// RFC 7999: packets there are to be dropped.
    pub const BLACKHOLE: Self = Self(0xFFFF_029A);
    /// RFC 9494: kept although its neighbor has been gone for long; the last resort.
    pub const LLGR_STALE: Self = Self(0xFFFF_0006);
    /// RFC 9494: not to be kept so long.
    pub const NO_LLGR: Self = Self(0xFFFF_0007);
    /// RFC 1997: not beyond the confederation.
    pub const NO_EXPORT: Self = Self(0xFFFF_FF01);
    /// RFC 1997: to no neighbor.
    pub const NO_ADVERTISE: Self = Self(0xFFFF_FF02);
    /// RFC 1997: not to external neighbors.
    pub const NO_EXPORT_SUBCONFED: Self = Self(0xFFFF_FF03);
    /// RFC 3765: not to neighbors that are peers (RFC 9234).
    pub const NO_PEER: Self = Self(0xFFFF_FF04);

    /// Those of the registry that people write by name.
    pub const WELL_KNOWN: [(&'static str, Self); 9] = [
        ("no-export", Self::NO_EXPORT),
        ("no-advertise", Self::NO_ADVERTISE),
        ("no-export-subconfed", Self::NO_EXPORT_SUBCONFED),
        ("no-peer", Self::NO_PEER),
        ("blackhole", Self::BLACKHOLE),
        ("graceful-shutdown", Self::GRACEFUL_SHUTDOWN),
        ("accept-own", Self(0xFFFF_0001)), // RFC 7611
        ("llgr-stale", Self::LLGR_STALE),
        ("no-llgr", Self::NO_LLGR),
    ];
}

impl fmt::Display for Community {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.0 >> 16, self.0 & 0xFFFF)
    }
}

/// An extended community (RFC 4360): eight octets, kept as they are.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct ExtendedCommunity(pub u64);

/// `rt:64512:1` and `ro:64512:1` as they are written in the configuration, others in hexadecimal digits.
impl fmt::Display for ExtendedCommunity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [kind, subtype, a, b, c, d, e, g] = self.0.to_be_bytes();
        let name = match subtype {
            2 => "rt",
            3 => "ro",
            _ => return write!(f, "0x{:016x}", self.0),
        };
        let last = u16::from_be_bytes([e, g]);
        match kind {
            // RFC 4360 §3.1, §3.2, RFC 5668
            0 => write!(f, "{name}:{}:{}", u16::from_be_bytes([a, b]), u32::from_be_bytes([c, d, e, g])),
            1 => write!(f, "{name}:{}:{last}", Ipv4Addr::new(a, b, c, d)),
            // A smaller number would be read back as one of two octets.
            2 if a | b != 0 => write!(f, "{name}:{}:{last}", u32::from_be_bytes([a, b, c, d])),
            _ => write!(f, "0x{:016x}", self.0),
        }
    }
}

/// A large community (RFC 8092).
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct LargeCommunity {
    /// The Global Administrator: an AS number.
    pub global: u32,
    /// Local Data Part 1.
    pub local1: u32,
    /// Local Data Part 2.
    pub local2: u32,
}

impl fmt::Display for LargeCommunity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.global, self.local1, self.local2)
    }
}

/// Names a TCP connection between the shell and the speaker; never used twice.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct ConnectionId(pub u64);

/// An address to forward to; the interface where the address alone does not say (link-local).
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct NextHop {
    /// The address.
    pub address: IpAddr,
    /// The interface index of a link-local address, else 0.
    pub scope: u32,
}

impl From<IpAddr> for NextHop {
    fn from(address: IpAddr) -> Self {
        Self { address, scope: 0 }
    }
}
