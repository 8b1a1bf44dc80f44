//! Capabilities (RFC 5492).

use bytes::{BufMut, BytesMut};

use super::DecodeError;
use super::restart::{self, GracefulRestart, LongLivedFamily};
use crate::types::{Families, Family};

const MULTIPROTOCOL: u8 = 1;
const ROUTE_REFRESH: u8 = 2;
const GRACEFUL_RESTART: u8 = 64;
const FOUR_OCTET_AS: u8 = 65;
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
    /// 64 (RFC 4724).
    GracefulRestart(GracefulRestart),
    /// 65 (RFC 6793).
    FourOctetAs(u32),
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
            Self::GracefulRestart(_) => GRACEFUL_RESTART,
            Self::FourOctetAs(_) => FOUR_OCTET_AS,
            Self::LongLived(_) => LONG_LIVED,
            Self::Other { code, .. } => *code,
        }
    }

    /// Its name for people: `route-refresh`, `multiprotocol ipv6`, `graceful-restart 120s N ipv4:F`, `capability 99`.
    pub fn name(&self) -> String {
        match self {
            Self::Multiprotocol { afi, safi } => match Family::from_afi_safi(*afi, *safi) {
                Some(family) => format!("multiprotocol {family}"),
                None => format!("multiprotocol {afi}/{safi}"),
            },
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
            Self::RouteRefresh => out.put_u8(0),
            Self::FourOctetAs(asn) => {
                out.put_u8(4);
                out.put_u32(*asn);
            }
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
    known(5, "extended-next-hop", |value| value.len() % 6 == 0), // RFC 8950 §4
    known(6, "extended-message", <[u8]>::is_empty),              // RFC 8654 §3
    known(9, "role", |value| value.len() == 1),                  // RFC 9234 §4.1
    known(FOUR_OCTET_AS, "four-octet-as", |value| value.len() == 4),
    known(69, "add-path", |value| value.len() % 4 == 0), // RFC 7911 §4
    known(70, "enhanced-route-refresh", <[u8]>::is_empty), // RFC 7313 §3.1
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
