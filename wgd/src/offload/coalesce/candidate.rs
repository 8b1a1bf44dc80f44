//! One packet, as far as it matters for being taken together with others.

use crate::message::field;
use crate::offload::checksum::Sum;
use crate::offload::header::{Kind, NetHeader};
use crate::packet::{Header, TCP, UDP};

const TCP_MIN: usize = 20;
const TCP_FLAGS: usize = 13;
const PSH: u8 = 0x08;
const ACK: u8 = 0x10;
const TCP_CHECKSUM: usize = 16;
const UDP_HEADER: usize = 8;
const UDP_CHECKSUM: usize = 6;
const IPV4_HEADER: usize = 20;
const DONT_FRAGMENT: u8 = 0x40;

/// A segment or datagram with data and nothing that is for itself alone.
#[derive(Clone, Copy, Debug)]
pub(super) struct Candidate {
    /// Octets of payload.
    pub(super) payload: usize,
    pub(super) is_udp: bool,
    /// The data is to be handed over with it.
    pub(super) pushes: bool,
    /// Where the transport header starts.
    transport: usize,
    header_len: usize,
    sequence: u32,
}

impl Candidate {
    /// And the hash of its flow, which any packet has.
    pub(super) fn parse(packet: &[u8]) -> (u64, Option<Self>) {
        let Some(header) = Header::parse(packet) else { return (0, None) };
        let flow = header.flow(packet);
        // IPv4 options are for each packet; padding would end up between payloads
        let is_plain = !header.fragment
            && header.length == packet.len()
            && (header.source.is_ipv6() || header.payload == IPV4_HEADER);
        let candidate = match header.protocol {
            TCP if is_plain => Self::tcp(&packet[header.payload..], header.payload),
            UDP if is_plain => Self::udp(&packet[header.payload..], header.payload),
            _ => None,
        };
        (flow, candidate)
    }

    fn tcp(segment: &[u8], transport: usize) -> Option<Self> {
        let header: [u8; TCP_MIN] = field(segment, 0)?;
        let own = usize::from(header[12] >> 4) * 4;
        let payload = segment.len().checked_sub(own).filter(|payload| *payload > 0 && own >= TCP_MIN)?;
        let sequence = u32::from_be_bytes(field(segment, 4)?);
        // RFC 9293 §3.1: all others say something of this very segment
        let is_data = header[12] & 0x0f == 0 && header[TCP_FLAGS] & !PSH == ACK;
        let pushes = header[TCP_FLAGS] & PSH != 0;
        is_data.then_some(Self { payload, is_udp: false, pushes, transport, header_len: transport + own, sequence })
    }

    fn udp(datagram: &[u8], transport: usize) -> Option<Self> {
        let header: [u8; UDP_HEADER] = field(datagram, 0)?;
        let payload = datagram.len() - UDP_HEADER;
        let is_whole = usize::from(u16::from_be_bytes([header[4], header[5]])) == datagram.len();
        // RFC 768: a checksum of zero is none, and the host would make one
        let is_summed = header[UDP_CHECKSUM..] != [0; 2];
        let header_len = transport + UDP_HEADER;
        (is_whole && is_summed && payload > 0).then_some(Self {
            payload,
            is_udp: true,
            pushes: false,
            transport,
            header_len,
            sequence: 0,
        })
    }

    /// The other's data comes right after.
    pub(super) fn precedes(&self, other: &Self) -> bool {
        self.is_udp || (!self.pushes && self.sequence.wrapping_add(self.payload as u32) == other.sequence)
    }

    /// The two packets of equal kind differ in nothing that the host could not work out, where the other is `index`
    /// packets later.
    pub(super) fn same_headers(&self, first: &[u8], other: &[u8], index: usize) -> bool {
        let (Some((ip, transport)), Some((other_ip, other_transport))) = (self.headers(first), self.headers(other))
        else {
            return false;
        };
        let same = |one: &[u8], other: &[u8], fields: &[(usize, usize)]| {
            fields.iter().all(|(from, until)| one[*from..*until] == other[*from..*until])
        };
        let same_ip = if ip[0] >> 4 == 6 {
            ip[0] == other_ip[0] && same(ip, other_ip, &[(1, 4), (6, 40)])
        } else {
            // RFC 6864 §4.1: without fragmentation the identification says nothing
            let id = |ip: &[u8]| u16::from_be_bytes([ip[4], ip[5]]);
            let in_order = ip[6] & DONT_FRAGMENT != 0 || id(ip).wrapping_add(index as u16) == id(other_ip);
            in_order && same(ip, other_ip, &[(0, 2), (6, 10), (12, IPV4_HEADER)])
        };
        same_ip
            && if self.is_udp {
                same(transport, other_transport, &[(0, 4)])
            } else {
                // Not the sequence number, PSH and the checksum
                same(transport, other_transport, &[(0, 4), (8, 13), (14, 16), (18, transport.len())])
            }
    }

    /// The checksums are right.
    pub(super) fn is_intact(&self, packet: &[u8]) -> bool {
        let (ip, segment) = packet.split_at(self.transport);
        (ip[0] >> 4 == 6 || Sum::of(ip).is_valid()) && self.pseudo(ip, segment.len()).and(segment).is_valid()
    }

    /// Makes the headers of the packet those of a super-segment of so many octets: what to tell the host of it.
    pub(super) fn head(&self, packet: &mut [u8], octets: u16, pushes: bool) -> NetHeader {
        let (ip, segment) = packet.split_at_mut(self.transport);
        let is_ipv6 = ip[0] >> 4 == 6;
        if is_ipv6 {
            ip[4..6].copy_from_slice(&(octets - self.transport as u16).to_be_bytes());
        } else {
            ip[2..4].copy_from_slice(&octets.to_be_bytes());
            ip[10..12].fill(0);
            let sum = Sum::of(ip).checksum();
            ip[10..12].copy_from_slice(&sum);
        }
        let length = octets - self.transport as u16;
        let checksum = if self.is_udp {
            segment[4..6].copy_from_slice(&length.to_be_bytes());
            UDP_CHECKSUM
        } else {
            segment[TCP_FLAGS] |= if pushes { PSH } else { 0 };
            TCP_CHECKSUM
        };
        let partial = self.pseudo(ip, length.into()).partial();
        segment[checksum..checksum + 2].copy_from_slice(&partial);
        NetHeader {
            needs_checksum: true,
            kind: match (self.is_udp, is_ipv6) {
                (true, _) => Kind::Udp,
                (false, true) => Kind::TcpIpv6,
                (false, false) => Kind::TcpIpv4,
            },
            header_len: self.header_len as u16,
            segment: self.payload as u16,
            checksum_start: self.transport as u16,
            checksum_offset: checksum as u16,
        }
    }

    /// IP and transport header of a packet that has no fewer octets in them.
    fn headers<'a>(&self, packet: &'a [u8]) -> Option<(&'a [u8], &'a [u8])> {
        packet.get(..self.header_len)?.split_at_checked(self.transport)
    }

    /// RFC 9293 §3.1, RFC 8200 §8.1.
    fn pseudo(&self, ip: &[u8], length: usize) -> Sum {
        let addresses = if ip[0] >> 4 == 6 { &ip[8..40] } else { &ip[12..IPV4_HEADER] };
        let protocol = if self.is_udp { UDP } else { TCP };
        Sum::of(addresses).and_number(protocol.into()).and_number(length as u16)
    }
}
