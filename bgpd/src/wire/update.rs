//! UPDATE (RFC 4271 §4.3, RFC 4760): located without copying, attributes read only when asked.

use std::net::IpAddr;

use bytes::BytesMut;
use ipnet::IpNet;

use super::{AttrError, Context, Nlri, PathAttributes, Treatment};
use crate::types::Family;

/// An UPDATE whose parts are located and whose NLRI are checked.
#[derive(Clone, Debug)]
pub struct Update<'a> {
    /// Withdrawn IPv4 routes of the message's own field.
    pub withdrawn: Nlri<'a>,
    /// Withdrawn routes of MP_UNREACH_NLRI, where negotiated.
    pub mp_withdrawn: Option<Nlri<'a>>,
    /// IPv4 routes of the message's own field; their next hop is NEXT_HOP.
    pub nlri: Nlri<'a>,
    /// Routes of MP_REACH_NLRI, where negotiated, with their next hop.
    pub mp_nlri: Option<(MpNextHop, Nlri<'a>)>,
    /// The path attributes, not yet read.
    pub attributes: AttributeBytes<'a>,
    /// A family that was not negotiated stood in the message and was ignored.
    pub ignored_family: bool,
}

/// The next hop of MP_REACH_NLRI: 4, 16 or 32 octets (RFC 4760 §3, RFC 2545 §3, RFC 8950).
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct MpNextHop {
    /// The (global) address.
    pub address: IpAddr,
    /// The link-local address that came with it.
    pub link_local: Option<std::net::Ipv6Addr>,
}

/// The path attributes as bytes.
#[derive(Clone, Copy, Debug)]
pub struct AttributeBytes<'a> {
    /// The whole field; lengths not trusted.
    #[allow(dead_code)]
    pub(super) bytes: &'a [u8],
}

/// What came of reading path attributes.
#[derive(Clone, Debug)]
pub struct ParsedAttributes {
    /// Meaningful unless [`ParsedAttributes::treatment`] is stronger than attribute discard.
    pub attributes: PathAttributes,
    /// NEXT_HOP, where it stood.
    pub next_hop: Option<std::net::Ipv4Addr>,
    /// Everything that was wrong, in order.
    pub errors: Vec<AttrError>,
}

#[allow(clippy::todo)]
impl ParsedAttributes {
    /// The strongest of the errors (RFC 7606 §3(h)); `None` without errors.
    pub fn treatment(&self) -> Option<Treatment> {
        todo!()
    }
}

#[allow(clippy::todo)]
impl Update<'_> {
    /// The family whose End-of-RIB this is (RFC 4724 §2).
    pub fn end_of_rib(&self) -> Option<Family> {
        todo!()
    }
}

#[allow(clippy::todo)]
impl AttributeBytes<'_> {
    /// The key under which equal attribute sets are the same: all attributes as they came, but
    /// MP_REACH_NLRI and MP_UNREACH_NLRI. Appends to `key`; a second UPDATE with the same key, read in the
    /// same context, parses to the same.
    pub fn key(&self, key: &mut Vec<u8>) {
        let _ = key;
        todo!()
    }

    /// Reads them. `has_nlri` and `has_mp_nlri` say which mandatory attributes must be there (RFC 7606 §3(d)).
    /// Missing LOCAL_PREF from an internal neighbor is an error; LOCAL_PREF from an external one is dropped.
    pub fn parse(&self, context: &Context, has_nlri: bool, has_mp_nlri: bool) -> ParsedAttributes {
        let _ = (context, has_nlri, has_mp_nlri);
        todo!()
    }
}

/// Appends one UPDATE that announces as many of `prefixes` (all of one family) as fit, and returns how many.
/// `attributes` are as they shall stand (AS already prepended, LOCAL_PREF only if internal). IPv4 with an IPv4
/// next hop goes into the message's own fields, all else into MP_REACH_NLRI. 0 = not even one fits (RFC 8654 §4).
#[allow(clippy::todo)]
pub fn write_reach(
    out: &mut BytesMut,
    context: &Context,
    attributes: &PathAttributes,
    next_hop: MpNextHop,
    prefixes: &[IpNet],
) -> usize {
    let _ = (out, context, attributes, next_hop, prefixes);
    todo!()
}

/// Appends one UPDATE that withdraws as many of `prefixes` (all of one family) as fit, and returns how many.
#[allow(clippy::todo)]
pub fn write_unreach(out: &mut BytesMut, context: &Context, prefixes: &[IpNet]) -> usize {
    let _ = (out, context, prefixes);
    todo!()
}

/// Appends an End-of-RIB (RFC 4724 §2).
#[allow(clippy::todo)]
pub fn write_end_of_rib(out: &mut BytesMut, family: Family) {
    let _ = (out, family);
    todo!()
}
