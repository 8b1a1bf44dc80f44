//! UPDATEs as bytes, packed: as many prefixes in each as it has room for.

use std::net::{IpAddr, Ipv4Addr};

use bytes::{BufMut, BytesMut};
use ipnet::IpNet;

use super::as_path::{AsPath, AsnWidth, needs_four_octets};
use super::attribute::{EXTENDED_LENGTH, OPTIONAL, PARTIAL, TRANSITIVE, descriptor};
use super::message::{MessageType, begin, finish, put_length};
use super::nlri::{octets, write_prefix};
use super::{Aggregator, AttrCode, Context, MpNextHop, PathAttributes, UnknownAttribute};
use crate::types::{Family, LargeCommunity};

/// Appends one UPDATE that announces as many of `prefixes` (all of one family) as fit, and returns how many.
/// `attributes` are as they shall stand (AS already prepended, LOCAL_PREF only if internal). IPv4 with an IPv4
/// next hop goes into the message's own fields, all else into MP_REACH_NLRI. 0 = not even one fits (RFC 8654 §4).
pub fn write_reach(
    out: &mut BytesMut,
    context: &Context,
    attributes: &PathAttributes,
    next_hop: MpNextHop,
    prefixes: &[IpNet],
) -> usize {
    let Some(first) = prefixes.first() else { return 0 };
    match (Family::of(first), next_hop.address) {
        (Family::Ipv4, IpAddr::V4(address)) => {
            write_update(out, context, |out, limit| {
                out.put_u16(0); // no withdrawn routes
                let length_at = begin_length(out);
                write_attributes(attributes, Some(address), context.four_octet_as, out);
                finish_length(length_at, out);
                write_prefixes(prefixes, limit, out)
            })
        }
        (family, _) => write_update(out, context, |out, limit| {
            out.put_u16(0);
            let length_at = begin_length(out);
            let attributes_at = out.len();
            write_attributes(attributes, None, context.four_octet_as, out);
            let mp_reach_at = out.len();
            let count = write_mp_reach(family, next_hop, prefixes, limit, out);
            out[attributes_at..].rotate_left(mp_reach_at - attributes_at); // RFC 7606 §5.1: it comes first
            finish_length(length_at, out);
            count
        }),
    }
}

/// Appends one UPDATE that withdraws as many of `prefixes` (all of one family) as fit, and returns how many.
pub fn write_unreach(out: &mut BytesMut, context: &Context, prefixes: &[IpNet]) -> usize {
    let Some(first) = prefixes.first() else { return 0 };
    match Family::of(first) {
        Family::Ipv4 => write_update(out, context, |out, limit| {
            let length_at = begin_length(out);
            let count = write_prefixes(prefixes, limit.saturating_sub(2), out);
            finish_length(length_at, out);
            out.put_u16(0); // no attributes
            count
        }),
        family => write_update(out, context, |out, limit| {
            out.put_u16(0); // no withdrawn routes in the message's own field
            let length_at = begin_length(out);
            let value_at = begin_mp(AttrCode::MP_UNREACH_NLRI, family, out);
            let count = write_prefixes(prefixes, limit, out);
            finish_length(value_at, out);
            finish_length(length_at, out);
            count
        }),
    }
}

/// Appends an End-of-RIB (RFC 4724 §2).
pub fn write_end_of_rib(out: &mut BytesMut, family: Family) {
    let start = begin(MessageType::Update, out);
    out.put_u16(0);
    let length_at = begin_length(out);
    if family != Family::Ipv4 {
        let value_at = begin_mp(AttrCode::MP_UNREACH_NLRI, family, out);
        finish_length(value_at, out);
    }
    finish_length(length_at, out);
    finish(start, out);
}

/// Appends what `body` writes before `limit` as an UPDATE, or nothing where it counts no prefixes.
fn write_update(out: &mut BytesMut, context: &Context, body: impl FnOnce(&mut BytesMut, usize) -> usize) -> usize {
    let start = begin(MessageType::Update, out);
    let limit = start + context.max_message.min(usize::from(u16::MAX));
    let count = body(out, limit);
    if count == 0 {
        out.truncate(start);
    } else {
        finish(start, out);
    }
    count
}

/// Appends prefixes, none beyond `limit`; returns how many.
fn write_prefixes(prefixes: &[IpNet], limit: usize, out: &mut BytesMut) -> usize {
    let fits = |prefix: &&IpNet, out: &BytesMut| out.len() + 1 + octets(prefix.prefix_len()) <= limit;
    let mut count = 0;
    while let Some(prefix) = prefixes.get(count).filter(|prefix| fits(prefix, out)) {
        write_prefix(prefix, out);
        count += 1;
    }
    count
}

fn write_mp_reach(family: Family, next_hop: MpNextHop, prefixes: &[IpNet], limit: usize, out: &mut BytesMut) -> usize {
    let value_at = begin_mp(AttrCode::MP_REACH_NLRI, family, out);
    let address = match next_hop.address {
        IpAddr::V4(address) => address.to_ipv6_mapped(), // only IPv4 routes have an IPv4 next hop
        IpAddr::V6(address) => address,
    };
    out.put_u8(if next_hop.link_local.is_some() { 32 } else { 16 }); // RFC 2545 §3
    out.put_slice(&address.octets());
    if let Some(link_local) = next_hop.link_local {
        out.put_slice(&link_local.octets());
    }
    out.put_u8(0); // RFC 4760 §3: reserved
    let count = write_prefixes(prefixes, limit, out);
    finish_length(value_at, out);
    count
}

/// Flags, type, a two-octet length for [`finish_length`], AFI and SAFI.
fn begin_mp(code: AttrCode, family: Family, out: &mut BytesMut) -> usize {
    out.put_u8(OPTIONAL | EXTENDED_LENGTH);
    out.put_u8(code.0);
    let length_at = begin_length(out);
    let (afi, safi) = family.afi_safi();
    out.put_u16(afi);
    out.put_u8(safi);
    length_at
}

/// Appends room for a two-octet length; returns where.
fn begin_length(out: &mut BytesMut) -> usize {
    let at = out.len();
    out.put_u16(0);
    at
}

/// Fills it in: what follows it is that long.
fn finish_length(at: usize, out: &mut BytesMut) {
    put_length(out.len() - at - 2, at, out);
}

/// Appends the attributes in the order of their codes (RFC 4271 §5), all but MP_REACH_NLRI.
fn write_attributes(attributes: &PathAttributes, next_hop: Option<Ipv4Addr>, four_octet_as: bool, out: &mut BytesMut) {
    let width = if four_octet_as { AsnWidth::Four } else { AsnWidth::Two };
    write_value(AttrCode::ORIGIN, &[attributes.origin as u8], out);
    write_path(AttrCode::AS_PATH, &attributes.as_path, width, out);
    if let Some(next_hop) = next_hop {
        write_value(AttrCode::NEXT_HOP, &next_hop.octets(), out);
    }
    if let Some(med) = attributes.med {
        write_value(AttrCode::MULTI_EXIT_DISC, &med.to_be_bytes(), out);
    }
    if let Some(local_pref) = attributes.local_pref {
        write_value(AttrCode::LOCAL_PREF, &local_pref.to_be_bytes(), out);
    }
    if attributes.atomic_aggregate {
        write_value(AttrCode::ATOMIC_AGGREGATE, &[], out);
    }
    if let Some(aggregator) = attributes.aggregator {
        write_aggregator(AttrCode::AGGREGATOR, aggregator, width, out);
    }
    write_list(AttrCode::COMMUNITIES, &attributes.communities, |community| community.0.to_be_bytes(), out);
    if let Some(originator_id) = attributes.originator_id {
        write_value(AttrCode::ORIGINATOR_ID, &originator_id.octets(), out);
    }
    write_list(AttrCode::CLUSTER_LIST, &attributes.cluster_list, Ipv4Addr::octets, out);
    write_list(
        AttrCode::EXTENDED_COMMUNITIES,
        &attributes.extended_communities,
        |community| community.0.to_be_bytes(),
        out,
    );
    if !four_octet_as {
        write_four_octet_numbers(attributes, out);
    }
    write_list(AttrCode::LARGE_COMMUNITY, &attributes.large_communities, large_community_octets, out);
    attributes.unknown.iter().for_each(|unknown| write_unknown(unknown, out));
}

/// What an OLD speaker cannot read but passes on (RFC 6793 §4.2.2).
fn write_four_octet_numbers(attributes: &PathAttributes, out: &mut BytesMut) {
    if attributes.as_path.needs_four_octets() {
        write_path(AttrCode::AS4_PATH, &attributes.as_path, AsnWidth::Four, out);
    }
    if let Some(aggregator) = attributes.aggregator.filter(|aggregator| needs_four_octets(aggregator.asn)) {
        write_aggregator(AttrCode::AS4_AGGREGATOR, aggregator, AsnWidth::Four, out);
    }
}

fn write_value(code: AttrCode, value: &[u8], out: &mut BytesMut) {
    write_attribute_header(specified_flags(code), code, value.len(), out);
    out.put_slice(value);
}

fn write_path(code: AttrCode, path: &AsPath, width: AsnWidth, out: &mut BytesMut) {
    write_attribute_header(specified_flags(code), code, path.encoded_len(width), out);
    path.write(width, out);
}

fn write_aggregator(code: AttrCode, aggregator: Aggregator, width: AsnWidth, out: &mut BytesMut) {
    write_attribute_header(specified_flags(code), code, width.octets() + 4, out);
    width.write(aggregator.asn, out);
    out.put_slice(&aggregator.address.octets());
}

/// Appends a list, where it has items (RFC 7606 §4: none of these may be empty).
fn write_list<T, const N: usize>(code: AttrCode, items: &[T], octets: impl Fn(&T) -> [u8; N], out: &mut BytesMut) {
    if !items.is_empty() {
        write_attribute_header(specified_flags(code), code, items.len() * N, out);
        items.iter().for_each(|item| out.put_slice(&octets(item)));
    }
}

/// RFC 4271 §5: Partial, for it passes through a speaker that does not know it.
fn write_unknown(attribute: &UnknownAttribute, out: &mut BytesMut) {
    let flags = OPTIONAL | TRANSITIVE | PARTIAL;
    write_attribute_header(flags, AttrCode(attribute.code), attribute.value.len(), out);
    out.put_slice(&attribute.value);
}

/// Flags, type and length. A length beyond two octets stands in an UPDATE that is too long to be sent.
fn write_attribute_header(flags: u8, code: AttrCode, length: usize, out: &mut BytesMut) {
    match u8::try_from(length) {
        Ok(length) => out.put_slice(&[flags, code.0, length]),
        Err(_) => {
            out.put_slice(&[flags | EXTENDED_LENGTH, code.0]);
            out.put_u16(u16::try_from(length).unwrap_or(u16::MAX));
        }
    }
}

fn specified_flags(code: AttrCode) -> u8 {
    descriptor(code).map_or(OPTIONAL | TRANSITIVE, |row| row.flags)
}

fn large_community_octets(community: &LargeCommunity) -> [u8; 12] {
    let mut octets = [0; 12];
    for (part, number) in octets.chunks_exact_mut(4).zip([community.global, community.local1, community.local2]) {
        part.copy_from_slice(&number.to_be_bytes());
    }
    octets
}
