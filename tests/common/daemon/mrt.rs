//! A table as a file (RFC 6396 TABLE_DUMP_V2): how GoBGP takes attributes that its command line has no words for, and many
//! routes at once.

use std::net::{IpAddr, Ipv4Addr};

use ipnet::IpNet;

use super::Attributes;

const TABLE_DUMP_V2: u16 = 13;
const PEER_INDEX_TABLE: u16 = 1;
const RIB_IPV4_UNICAST: u16 = 2;
const RIB_IPV6_UNICAST: u16 = 4;

/// Flags of an attribute: Optional, Transitive, Extended Length.
const TRANSITIVE: u8 = 0x50;
const OPTIONAL: u8 = 0x90;
const OPTIONAL_TRANSITIVE: u8 = 0xD0;

/// The file; every route must have a next hop.
pub fn table<'a>(routes: impl Iterator<Item = (&'a IpNet, &'a Attributes)>) -> Vec<u8> {
    let mut file = Vec::new();
    // The collector, a view without a name, and the one peer that told it: an IPv4 address, an AS of four octets.
    let (collector, peer_type) = (Ipv4Addr::LOCALHOST.octets(), 2);
    let peer = [&[peer_type][..], &collector, &collector, &0_u32.to_be_bytes()].concat();
    record(&mut file, PEER_INDEX_TABLE, &[&collector[..], &[0, 0, 0, 1], &peer].concat());
    for (number, (prefix, attributes)) in routes.enumerate() {
        let subtype = if prefix.addr().is_ipv4() { RIB_IPV4_UNICAST } else { RIB_IPV6_UNICAST };
        let nlri = [&[prefix.prefix_len()][..], &octets(prefix.addr())[..usize::from(prefix.prefix_len().div_ceil(8))]]
            .concat();
        let attributes = encoded(&nlri, attributes);
        let length = u16::try_from(attributes.len()).unwrap();
        let mut body = u32::try_from(number).unwrap().to_be_bytes().to_vec();
        body.extend(nlri);
        // One entry, of peer 0, originated at no time.
        body.extend([0, 1, 0, 0, 0, 0, 0, 0]);
        body.extend(length.to_be_bytes());
        body.extend(attributes);
        record(&mut file, subtype, &body);
    }
    file
}

fn record(file: &mut Vec<u8>, subtype: u16, body: &[u8]) {
    file.extend(0_u32.to_be_bytes());
    file.extend(TABLE_DUMP_V2.to_be_bytes());
    file.extend(subtype.to_be_bytes());
    file.extend(u32::try_from(body.len()).unwrap().to_be_bytes());
    file.extend(body);
}

fn encoded(nlri: &[u8], attributes: &Attributes) -> Vec<u8> {
    let mut out = Vec::new();
    let mut attribute = |flags: u8, code: u8, value: &[u8]| {
        out.extend([flags, code]);
        out.extend(u16::try_from(value.len()).unwrap().to_be_bytes());
        out.extend(value);
    };
    attribute(TRANSITIVE, 1, &[attributes.origin as u8]);
    let mut path = Vec::new();
    if !attributes.as_path.is_empty() {
        path.extend([2, u8::try_from(attributes.as_path.len()).unwrap()]);
        path.extend(attributes.as_path.iter().flat_map(|asn| asn.to_be_bytes()));
    }
    attribute(TRANSITIVE, 2, &path);
    let next_hop = attributes.next_hop.expect("a next hop");
    match next_hop {
        IpAddr::V4(next_hop) => attribute(TRANSITIVE, 3, &next_hop.octets()),
        // GoBGP 3.10 takes the attribute only whole, RFC 6396 section 4.3.4 would have the next hop alone: IPv6 unicast.
        IpAddr::V6(next_hop) => {
            attribute(OPTIONAL, 14, &[&[0, 2, 1, 16][..], &next_hop.octets(), &[0], nlri].concat());
        }
    }
    if let Some(med) = attributes.med {
        attribute(OPTIONAL, 4, &med.to_be_bytes());
    }
    if let Some(local_pref) = attributes.local_pref {
        attribute(TRANSITIVE, 5, &local_pref.to_be_bytes());
    }
    let mut list = |code: u8, octets: Vec<u8>| {
        if !octets.is_empty() {
            attribute(OPTIONAL_TRANSITIVE, code, &octets);
        }
    };
    let communities = attributes.communities.iter();
    list(8, communities.flat_map(|(asn, value)| [asn.to_be_bytes(), value.to_be_bytes()].concat()).collect());
    list(16, attributes.extended_communities.iter().flat_map(|community| community.to_be_bytes()).collect());
    let large = attributes.large_communities.iter();
    list(32, large.flat_map(|(one, two, three)| [one, two, three].map(|part| part.to_be_bytes()).concat()).collect());
    out
}

fn octets(address: IpAddr) -> Vec<u8> {
    match address {
        IpAddr::V4(address) => address.octets().to_vec(),
        IpAddr::V6(address) => address.octets().to_vec(),
    }
}
