//! What the tunnel reads of an IP packet: addresses, length, and which flow it belongs to.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::message::field;

/// The protocol number of ICMP.
pub(crate) const ICMP: u8 = 1;
/// The protocol number of TCP.
pub(crate) const TCP: u8 = 6;
/// The protocol number of UDP.
pub(crate) const UDP: u8 = 17;
/// The next header of a fragment in IPv6.
pub(crate) const IPV6_FRAGMENT: u8 = 44;
/// The next header of ICMPv6.
pub(crate) const ICMPV6: u8 = 58;
const SCTP: u8 = 132;

const IPV4_HEADER: usize = 20;
const IPV6_HEADER: usize = 40;

/// An IP header whose length fields fit the packet.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Header {
    /// Where the packet comes from.
    pub source: IpAddr,
    /// Where it goes.
    pub destination: IpAddr,
    /// The whole packet, in octets; what follows is padding.
    pub length: usize,
    /// Where the payload begins, in octets.
    pub payload: usize,
    /// IPv4 protocol or the first IPv6 next header.
    pub protocol: u8,
    /// A piece of a packet: only the first piece has ports, so none is used.
    pub fragment: bool,
}

impl Header {
    /// None: not IP, or lengths that contradict each other.
    pub fn parse(octets: &[u8]) -> Option<Self> {
        match octets.first()? >> 4 {
            4 => Self::parse_ipv4(octets),
            6 => Self::parse_ipv6(octets),
            _ => None,
        }
    }

    /// RFC 791 §3.1.
    fn parse_ipv4(octets: &[u8]) -> Option<Self> {
        let header: [u8; IPV4_HEADER] = field(octets, 0)?;
        let payload = usize::from(header[0] & 0x0f) * 4;
        let length = usize::from(u16::from_be_bytes([header[2], header[3]]));
        if payload < IPV4_HEADER || length < payload || length > octets.len() {
            return None;
        }
        Some(Self {
            source: Ipv4Addr::from(field::<4>(&header, 12)?).into(),
            destination: Ipv4Addr::from(field::<4>(&header, 16)?).into(),
            length,
            payload,
            protocol: header[9],
            fragment: u16::from_be_bytes([header[6], header[7]]) & 0x3fff != 0, // More Fragments, or an offset
        })
    }

    /// RFC 8200 §3.
    fn parse_ipv6(octets: &[u8]) -> Option<Self> {
        let header: [u8; IPV6_HEADER] = field(octets, 0)?;
        let length = IPV6_HEADER + usize::from(u16::from_be_bytes([header[4], header[5]]));
        if length > octets.len() {
            return None;
        }
        Some(Self {
            source: Ipv6Addr::from(field::<16>(&header, 8)?).into(),
            destination: Ipv6Addr::from(field::<16>(&header, 24)?).into(),
            length,
            payload: IPV6_HEADER,
            protocol: header[6],
            fragment: false, // a fragment header is a protocol without ports
        })
    }

    /// Equal for all packets of a flow, in one direction: addresses, protocol, and ports where there are any.
    pub fn flow(&self, octets: &[u8]) -> u64 {
        let ports = match self.protocol {
            TCP | UDP | SCTP if !self.fragment => field(octets, self.payload).map_or(0, u32::from_be_bytes),
            _ => 0,
        };
        let (source, destination) = (fold(self.source), fold(self.destination));
        mix(mix(mix(u64::from(ports) << 8 | u64::from(self.protocol)) ^ source) ^ destination)
    }
}

fn fold(address: IpAddr) -> u64 {
    match address {
        IpAddr::V4(address) => u64::from(address.to_bits()),
        IpAddr::V6(address) => {
            let [high, low] = [address.to_bits() >> 64, address.to_bits()].map(|half| half as u64);
            mix(high) ^ low
        }
    }
}

/// Every bit of the input moves about half the bits of the output (the finisher of MurmurHash3).
fn mix(mut value: u64) -> u64 {
    value = (value ^ (value >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
    value = (value ^ (value >> 33)).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    value ^ (value >> 33)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    fn udp(source_port: u16) -> Vec<u8> {
        let mut packet = vec![0x45, 0, 0, 28, 0, 0, 0, 0, 64, UDP, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2];
        packet.extend(source_port.to_be_bytes());
        packet.extend([0, 53, 0, 8, 0, 0]);
        packet
    }

    fn flow(packet: &[u8]) -> u64 {
        Header::parse(packet).map_or(0, |header| header.flow(packet))
    }

    #[test]
    fn a_length_field_longer_than_the_packet_or_shorter_than_the_header_is_refused() {
        assert_eq!(Header::parse(&udp(1)).map(|header| header.length), Some(28));
        for length in [0, 19, 29] {
            let mut packet = udp(1);
            packet[3] = length;
            assert_eq!(Header::parse(&packet), None);
        }
    }

    #[test]
    fn padding_is_not_part_of_the_packet() {
        let mut packet = udp(1);
        packet.extend([0; 4]);
        assert_eq!(Header::parse(&packet).map(|header| header.length), Some(28));
    }

    #[test]
    fn flows_spread_evenly_and_fragments_of_a_packet_stay_together() {
        let even = (0..1000).filter(|port| flow(&udp(*port)).is_multiple_of(2)).count();
        assert!((400..600).contains(&even), "{even} of 1000");
        let fragments = (0..10).map(|port| {
            let mut packet = udp(port);
            packet[6] = 0x20;
            flow(&packet)
        });
        assert_eq!(fragments.collect::<BTreeSet<_>>().len(), 1);
    }

    proptest! {
        #[test]
        fn a_parsed_header_lies_inside_its_packet(octets in proptest::collection::vec(any::<u8>(), 0..100)) {
            if let Some(header) = Header::parse(&octets) {
                prop_assert!(header.payload <= header.length && header.length <= octets.len());
                header.flow(&octets);
            }
        }
    }
}
