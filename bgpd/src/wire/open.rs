//! OPEN and its capabilities (RFC 4271 §4.2, RFC 5492).

use bytes::BytesMut;

use crate::types::{Asn, BgpIdentifier, Families};

/// An OPEN, its capabilities read.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Open {
    /// The AS: of the 4-octet capability where there is one (RFC 6793).
    pub asn: Asn,
    /// In seconds, as offered: may be 1 or 2, which the FSM refuses with 2/6.
    pub hold_time: u16,
    /// Never zero (2/3).
    pub router_id: BgpIdentifier,
    /// In order.
    pub capabilities: Vec<Capability>,
}

/// A capability.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Capability {
    /// 1 (RFC 4760), AFI and SAFI as they came.
    Multiprotocol { afi: u16, safi: u8 },
    /// 2 (RFC 2918).
    RouteRefresh,
    /// 65 (RFC 6793).
    FourOctetAs(u32),
    /// Everything else, kept.
    Other { code: u8, value: Vec<u8> },
}

#[allow(clippy::todo)]
impl Open {
    /// The families of the multiprotocol capabilities; IPv4 where there is none (RFC 4760 §8).
    pub fn families(&self) -> Families {
        todo!()
    }

    /// Whether the 4-octet AS capability is there.
    pub fn four_octet_as(&self) -> bool {
        todo!()
    }

    /// Appends the whole message.
    pub fn write(&self, out: &mut BytesMut) {
        let _ = out;
        todo!()
    }
}

#[allow(clippy::todo)]
impl Capability {
    /// Its code.
    pub fn code(&self) -> u8 {
        todo!()
    }

    /// Its name for people: `route-refresh`, `multiprotocol ipv6`, `graceful-restart`, `capability 99`.
    pub fn name(&self) -> String {
        todo!()
    }
}
