//! Capabilities (RFC 5492).

use std::fmt::Write as _;

use bytes::{BufMut, BytesMut};

use super::DecodeError;
use super::restart::{self, GracefulRestart, LongLivedFamily};
use crate::role::Role;
use crate::types::{Families, Family};

const MULTIPROTOCOL: u8 = 1;
const ROUTE_REFRESH: u8 = 2;
const EXTENDED_NEXT_HOP: u8 = 5;
const EXTENDED_MESSAGE: u8 = 6;
const ROLE: u8 = 9;
const GRACEFUL_RESTART: u8 = 64;
const FOUR_OCTET_AS: u8 = 65;
const ADD_PATH: u8 = 69;
const ENHANCED_ROUTE_REFRESH: u8 = 70;
const LONG_LIVED: u8 = 71;

/// A capability.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Capability {
    /// 1 (RFC 4760).
    Multiprotocol {
        /// Address Family Identifier, as it came.
        afi: u16,
        /// Subsequent AFI, as it came.
        safi: u8,
    },
    /// 2 (RFC 2918).
    RouteRefresh,
    /// 5 (RFC 8950).
    ExtendedNextHop(Vec<NextHopEncoding>),
    /// 6 (RFC 8654).
    ExtendedMessage,
    /// 9 (RFC 9234): the sender's role, as it came.
    Role(u8),
    /// 64 (RFC 4724).
    GracefulRestart(GracefulRestart),
    /// 65 (RFC 6793).
    FourOctetAs(u32),
    /// 69 (RFC 7911).
    AddPath(Vec<AddPathFamily>),
    /// 70 (RFC 7313).
    EnhancedRouteRefresh,
    /// 71 (RFC 9494).
    LongLived(Vec<LongLivedFamily>),
    /// Everything else, kept. Those with a name have a length that their specification allows.
    Other {
        /// Its code.
        code: u8,
        /// Its value, 255 octets at most.
        value: Vec<u8>,
    },
}

/// Routes of a family may have a next hop of an address family (RFC 8950 §4).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct NextHopEncoding {
    /// Address Family Identifier of the routes, as it came.
    pub afi: u16,
    /// Subsequent AFI of the routes, as it came, in two octets.
    pub safi: u16,
    /// Address Family Identifier of the next hop, as it came.
    pub next_hop_afi: u16,
}

impl NextHopEncoding {
    /// IPv4 unicast over an IPv6 next hop, the one that this speaker knows.
    pub const IPV4_OVER_IPV6: Self = Self { afi: 1, safi: 1, next_hop_afi: 2 };
}

/// Several paths of a family's routes, each with an identifier (RFC 7911 §4).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct AddPathFamily {
    /// Address Family Identifier, as it came.
    pub afi: u16,
    /// Subsequent AFI, as it came.
    pub safi: u8,
    /// Send/Receive, as it came: 1 the sender takes several, 2 it sends several, 3 both.
    pub mode: u8,
}

impl From<Family> for Capability {
    fn from(family: Family) -> Self {
        let (afi, safi) = family.afi_safi();
        Self::Multiprotocol { afi, safi }
    }
}

impl Capability {
    /// The families of the multiprotocol capabilities among these; IPv4 where there is none (RFC 4760 §8).
    pub fn families(capabilities: &[Self]) -> Families {
        let mut families = None;
        for capability in capabilities {
            if let Self::Multiprotocol { afi, safi } = capability {
                let families = families.get_or_insert_with(Families::default);
                if let Some(family) = Family::from_afi_safi(*afi, *safi) {
                    families.insert(family);
                }
            }
        }
        families.unwrap_or(Families::IPV4)
    }

    /// Its code.
    pub const fn code(&self) -> u8 {
        match self {
            Self::Multiprotocol { .. } => MULTIPROTOCOL,
            Self::RouteRefresh => ROUTE_REFRESH,
            Self::ExtendedNextHop(_) => EXTENDED_NEXT_HOP,
            Self::ExtendedMessage => EXTENDED_MESSAGE,
            Self::Role(_) => ROLE,
            Self::GracefulRestart(_) => GRACEFUL_RESTART,
            Self::FourOctetAs(_) => FOUR_OCTET_AS,
            Self::AddPath(_) => ADD_PATH,
            Self::EnhancedRouteRefresh => ENHANCED_ROUTE_REFRESH,
            Self::LongLived(_) => LONG_LIVED,
            Self::Other { code, .. } => *code,
        }
    }

    /// Its name for people: `route-refresh`, `multiprotocol ipv6`, `role customer`, `add-path ipv4 both`,
    /// `graceful-restart 120s N ipv4:F`, `capability 99`.
    pub fn name(&self) -> String {
        match self {
            Self::Multiprotocol { afi, safi } => format!("multiprotocol {}", family_name(*afi, *safi)),
            Self::Role(code) => match Role::from_code(*code) {
                Some(role) => format!("role {role}"),
                None => format!("role {code}"),
            },
            Self::AddPath(families) => families.iter().fold("add-path".to_owned(), |mut name, family| {
                let mode = match family.mode {
                    1 => "receive",
                    2 => "send",
                    3 => "both",
                    _ => "unknown",
                };
                let _ = write!(name, " {} {mode}", family_name(family.afi, family.safi));
                name
            }),
            Self::GracefulRestart(restart) => restart.to_string(),
            Self::LongLived(families) => restart::long_lived_name(families),
            _ => match KNOWN.iter().find(|known| known.code == self.code()) {
                Some(known) => known.name.to_owned(),
                None => format!("capability {}", self.code()),
            },
        }
    }

    /// Reads the capabilities of one optional parameter. One of a length that it cannot have is as if it were not
    /// there, but for the four-octet AS: without it the neighbor's AS would be a guess.
    pub(super) fn read_all(mut bytes: &[u8], into: &mut Vec<Self>) -> Result<(), DecodeError> {
        while let Some((&code, rest)) = bytes.split_first() {
            let (&length, rest) = rest.split_first().ok_or(DecodeError::OpenMalformed)?;
            let (value, rest) = rest.split_at_checked(usize::from(length)).ok_or(DecodeError::OpenMalformed)?;
            into.extend(Self::read(code, value)?);
            bytes = rest;
        }
        Ok(())
    }

    fn read(code: u8, value: &[u8]) -> Result<Option<Self>, DecodeError> {
        Ok(match (code, value) {
            (MULTIPROTOCOL, &[high, low, _reserved, safi]) => {
                Some(Self::Multiprotocol { afi: u16::from_be_bytes([high, low]), safi })
            }
            (ROUTE_REFRESH, []) => Some(Self::RouteRefresh),
            (EXTENDED_NEXT_HOP, value) if value.len().is_multiple_of(6) => {
                Some(Self::ExtendedNextHop(value.as_chunks().0.iter().map(next_hop_encoding).collect()))
            }
            (EXTENDED_MESSAGE, []) => Some(Self::ExtendedMessage),
            (ROLE, &[role]) => Some(Self::Role(role)),
            (ADD_PATH, value) if value.len().is_multiple_of(4) => {
                Some(Self::AddPath(value.as_chunks().0.iter().map(add_path_family).collect()))
            }
            (ENHANCED_ROUTE_REFRESH, []) => Some(Self::EnhancedRouteRefresh),
            (GRACEFUL_RESTART, value) => GracefulRestart::read(value).map(Self::GracefulRestart),
            (LONG_LIVED, value) => restart::read_long_lived(value).map(Self::LongLived),
            (FOUR_OCTET_AS, &[a, b, c, d]) => Some(Self::FourOctetAs(u32::from_be_bytes([a, b, c, d]))),
            (FOUR_OCTET_AS, _) => return Err(DecodeError::OpenMalformed),
            _ if KNOWN.iter().any(|known| known.code == code && !(known.allows)(value)) => None,
            _ => Some(Self::Other { code, value: value.to_vec() }),
        })
    }

    /// Appends code, length and value.
    pub(super) fn write(&self, out: &mut BytesMut) {
        out.put_u8(self.code());
        match self {
            Self::Multiprotocol { afi, safi } => {
                out.put_u8(4);
                out.put_u16(*afi);
                out.put_u8(0);
                out.put_u8(*safi);
            }
            Self::RouteRefresh | Self::ExtendedMessage | Self::EnhancedRouteRefresh => out.put_u8(0),
            Self::ExtendedNextHop(encodings) => put_list(out, encodings, |encoding, out| {
                out.put_u16(encoding.afi);
                out.put_u16(encoding.safi);
                out.put_u16(encoding.next_hop_afi);
            }),
            Self::Role(role) => out.put_slice(&[1, *role]),
            Self::FourOctetAs(asn) => {
                out.put_u8(4);
                out.put_u32(*asn);
            }
            Self::AddPath(families) => put_list(out, families, |family, out| {
                out.put_u16(family.afi);
                out.put_slice(&[family.safi, family.mode]);
            }),
            Self::GracefulRestart(restart) => restart.write(out),
            Self::LongLived(families) => restart::write_long_lived(families, out),
            Self::Other { value, .. } => {
                let length = u8::try_from(value.len()).unwrap_or(u8::MAX);
                out.put_u8(length);
                out.put_slice(&value[..usize::from(length)]);
            }
        }
    }
}

/// A length in one octet and so many items; those that it has no room for are left out.
fn put_list<T>(out: &mut BytesMut, items: &[T], put: impl Fn(&T, &mut BytesMut)) {
    let at = out.len();
    out.put_u8(0);
    for item in items {
        let end = out.len();
        put(item, out);
        if out.len() - at - 1 > usize::from(u8::MAX) {
            out.truncate(end);
            break;
        }
    }
    out[at] = (out.len() - at - 1) as u8; // at most 255
}

fn next_hop_encoding(&[a, b, c, d, e, f]: &[u8; 6]) -> NextHopEncoding {
    let [afi, safi, next_hop_afi] = [[a, b], [c, d], [e, f]].map(u16::from_be_bytes);
    NextHopEncoding { afi, safi, next_hop_afi }
}

fn add_path_family(&[high, low, safi, mode]: &[u8; 4]) -> AddPathFamily {
    AddPathFamily { afi: u16::from_be_bytes([high, low]), safi, mode }
}

fn family_name(afi: u16, safi: u8) -> String {
    Family::from_afi_safi(afi, safi).map_or_else(|| format!("{afi}/{safi}"), |family| family.to_string())
}

struct Known {
    code: u8,
    name: &'static str,
    /// Whether a value has a length that it can have.
    allows: fn(&[u8]) -> bool,
}

const fn known(code: u8, name: &'static str, allows: fn(&[u8]) -> bool) -> Known {
    Known { code, name, allows }
}

static KNOWN: [Known; 10] = [
    known(MULTIPROTOCOL, "multiprotocol", |value| value.len() == 4),
    known(ROUTE_REFRESH, "route-refresh", <[u8]>::is_empty),
    known(EXTENDED_NEXT_HOP, "extended-next-hop", |value| value.len() % 6 == 0), // RFC 8950 §4
    known(EXTENDED_MESSAGE, "extended-message", <[u8]>::is_empty),               // RFC 8654 §3
    known(ROLE, "role", |value| value.len() == 1),                               // RFC 9234 §4.1
    known(FOUR_OCTET_AS, "four-octet-as", |value| value.len() == 4),
    known(ADD_PATH, "add-path", |value| value.len() % 4 == 0), // RFC 7911 §4
    known(ENHANCED_ROUTE_REFRESH, "enhanced-route-refresh", <[u8]>::is_empty), // RFC 7313 §3.1
    known(73, "fqdn", is_fqdn),
    known(75, "software-version", |value| !value.is_empty()),
];

/// A length and a host name, a length and a domain name (draft-walton-bgp-hostname-capability §3).
fn is_fqdn(value: &[u8]) -> bool {
    fn after_name(value: &[u8]) -> Option<&[u8]> {
        value.split_first().and_then(|(&length, rest)| rest.get(usize::from(length)..))
    }
    after_name(value).and_then(after_name).is_some_and(<[u8]>::is_empty)
}
