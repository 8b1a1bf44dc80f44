//! UPDATEs as bytes, packed: as many prefixes in each as it has room for.

use std::net::{IpAddr, Ipv4Addr};

use bytes::{BufMut, BytesMut};

use super::as_path::{AsPath, AsnWidth, needs_four_octets};
use super::attribute::{EXTENDED_LENGTH, OPTIONAL, OPTIONAL_TRANSITIVE, PARTIAL, descriptor};
use super::message::{MessageType, begin, begin_length, finish, finish_length};
use super::nlri::{Destination, LONGEST, write_destination};
use super::{Aggregator, AttrCode, Context, MpNextHop, PartialBits, PathAttributes, UnknownAttribute};
use crate::types::{Family, LargeCommunity};

/// Appends one UPDATE that announces as many of `prefixes` (all of one family) as fit, and returns how many.
/// `attributes` are as they shall stand (AS already prepended, LOCAL_PREF only if internal). IPv4 with an IPv4
/// next hop goes into the message's own fields, all else into MP_REACH_NLRI. 0 = not even one fits (RFC 8654 §4).
pub fn write_reach<T: Destination>(
    out: &mut BytesMut,
    context: &Context,
    attributes: &PathAttributes,
    next_hop: MpNextHop,
    prefixes: &[T],
) -> usize {
    let Some(first) = prefixes.first() else { return 0 };
    match (Family::of(first.prefix()), next_hop.address) {
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
pub fn write_unreach<T: Destination>(out: &mut BytesMut, context: &Context, prefixes: &[T]) -> usize {
    let Some(first) = prefixes.first() else { return 0 };
    match Family::of(first.prefix()) {
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
fn write_prefixes<T: Destination>(prefixes: &[T], limit: usize, out: &mut BytesMut) -> usize {
    let (mut end, mut count) = (out.len(), 0);
    let room = (LONGEST * prefixes.len()).min(limit.saturating_sub(end) + LONGEST);
    out.resize(end + room, 0);
    while let Some(prefix) = prefixes.get(count) {
        let length = write_destination(prefix, &mut out[end..]);
        if end + length > limit {
            break;
        }
        end += length;
        count += 1;
    }
    out.truncate(end);
    count
}

fn write_mp_reach(
    family: Family,
    next_hop: MpNextHop,
    prefixes: &[impl Destination],
    limit: usize,
    out: &mut BytesMut,
) -> usize {
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

/// Appends the attributes in the order of their codes (RFC 4271 §5), all but MP_REACH_NLRI.
pub(crate) fn write_attributes(
    attributes: &PathAttributes,
    next_hop: Option<Ipv4Addr>,
    four_octet_as: bool,
    out: &mut BytesMut,
) {
    let width = if four_octet_as { AsnWidth::Four } else { AsnWidth::Two };
    let mut writer = AttributeWriter { partial: attributes.partial, out };
    writer.value(AttrCode::ORIGIN, &[attributes.origin as u8]);
    writer.path(AttrCode::AS_PATH, &attributes.as_path, width);
    if let Some(next_hop) = next_hop {
        writer.value(AttrCode::NEXT_HOP, &next_hop.octets());
    }
    if let Some(med) = attributes.med {
        writer.value(AttrCode::MULTI_EXIT_DISC, &med.to_be_bytes());
    }
    if let Some(local_pref) = attributes.local_pref {
        writer.value(AttrCode::LOCAL_PREF, &local_pref.to_be_bytes());
    }
    if attributes.atomic_aggregate {
        writer.value(AttrCode::ATOMIC_AGGREGATE, &[]);
    }
    if let Some(aggregator) = attributes.aggregator {
        writer.aggregator(AttrCode::AGGREGATOR, aggregator, width);
    }
    writer.list(AttrCode::COMMUNITIES, &attributes.communities, |community| community.0.to_be_bytes());
    if let Some(originator_id) = attributes.originator_id {
        writer.value(AttrCode::ORIGINATOR_ID, &originator_id.octets());
    }
    writer.list(AttrCode::CLUSTER_LIST, &attributes.cluster_list, Ipv4Addr::octets);
    let extended_communities = &attributes.extended_communities;
    writer.list(AttrCode::EXTENDED_COMMUNITIES, extended_communities, |community| community.0.to_be_bytes());
    if !four_octet_as {
        writer.four_octet_numbers(attributes);
    }
    let mut unknown = attributes.unknown.as_slice();
    writer.unknown_below(AttrCode::LARGE_COMMUNITY, &mut unknown);
    writer.list(AttrCode::LARGE_COMMUNITY, &attributes.large_communities, large_community_octets);
    writer.unknown_below(AttrCode::ONLY_TO_CUSTOMER, &mut unknown);
    if let Some(asn) = attributes.only_to_customer {
        writer.value(AttrCode::ONLY_TO_CUSTOMER, &asn.to_be_bytes());
    }
    unknown.iter().for_each(|unknown| writer.unknown(unknown));
}

struct AttributeWriter<'a> {
    partial: PartialBits,
    out: &'a mut BytesMut,
}

impl AttributeWriter<'_> {
    fn value(&mut self, code: AttrCode, value: &[u8]) {
        self.known_header(code, value.len());
        self.out.put_slice(value);
    }

    fn path(&mut self, code: AttrCode, path: &AsPath, width: AsnWidth) {
        self.known_header(code, path.encoded_len(width));
        path.write(width, self.out);
    }

    fn aggregator(&mut self, code: AttrCode, aggregator: Aggregator, width: AsnWidth) {
        self.known_header(code, width.octets() + 4);
        width.write(aggregator.asn, self.out);
        self.out.put_slice(&aggregator.address.octets());
    }

    /// A list, where it has items (RFC 7606 §4: none of these may be empty).
    fn list<T, const N: usize>(&mut self, code: AttrCode, items: &[T], octets: impl Fn(&T) -> [u8; N]) {
        if !items.is_empty() {
            self.known_header(code, items.len() * N);
            items.iter().for_each(|item| self.out.put_slice(&octets(item)));
        }
    }

    /// What an OLD speaker cannot read but passes on (RFC 6793 §4.2.2).
    fn four_octet_numbers(&mut self, attributes: &PathAttributes) {
        if attributes.as_path.iter().any(needs_four_octets) {
            self.path(AttrCode::AS4_PATH, &attributes.as_path, AsnWidth::Four);
        }
        if let Some(aggregator) = attributes.aggregator.filter(|aggregator| needs_four_octets(aggregator.asn)) {
            self.aggregator(AttrCode::AS4_AGGREGATOR, aggregator, AsnWidth::Four);
        }
    }

    /// Those of lower codes; they leave the list.
    fn unknown_below(&mut self, code: AttrCode, list: &mut &[UnknownAttribute]) {
        let (below, rest) = list.split_at(list.partition_point(|unknown| unknown.code < code.0));
        below.iter().for_each(|unknown| self.unknown(unknown));
        *list = rest;
    }

    fn unknown(&mut self, attribute: &UnknownAttribute) {
        let flags = OPTIONAL_TRANSITIVE | PARTIAL; // RFC 4271 §5
        self.header(flags, AttrCode(attribute.code), attribute.value.len());
        self.out.put_slice(&attribute.value);
    }

    fn known_header(&mut self, code: AttrCode, length: usize) {
        let flags = descriptor(code).map_or(OPTIONAL_TRANSITIVE, |row| row.flags);
        self.header(if self.partial.contains(code) { flags | PARTIAL } else { flags }, code, length);
    }

    /// Flags, type and length. A length beyond two octets stands in an UPDATE that is too long to be sent.
    fn header(&mut self, flags: u8, code: AttrCode, length: usize) {
        match u8::try_from(length) {
            Ok(length) => self.out.put_slice(&[flags, code.0, length]),
            Err(_) => {
                self.out.put_slice(&[flags | EXTENDED_LENGTH, code.0]);
                self.out.put_u16(u16::try_from(length).unwrap_or(u16::MAX));
            }
        }
    }
}

fn large_community_octets(community: &LargeCommunity) -> [u8; 12] {
    let mut octets = [0; 12];
    for (part, number) in octets.chunks_exact_mut(4).zip([community.global, community.local1, community.local2]) {
        part.copy_from_slice(&number.to_be_bytes());
    }
    octets
}
