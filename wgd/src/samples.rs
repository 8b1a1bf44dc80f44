//! TCP segments and UDP datagrams for tests, with checksums made the slow way.

use std::net::{Ipv4Addr, Ipv6Addr};

use crate::offload::{Kind, NetHeader};
use crate::packet::{Header, TCP, UDP};

pub(crate) const FIN: u8 = 0x01;
pub(crate) const SYN: u8 = 0x02;
pub(crate) const PSH: u8 = 0x08;
pub(crate) const ACK: u8 = 0x10;
pub(crate) const CWR: u8 = 0x80;

/// A packet from 10.0.0.1 or fd00::1 to 10.0.0.2 or fd00::2.
#[derive(Clone, Debug)]
pub(crate) struct Sample {
    pub(crate) ipv6: bool,
    /// Else TCP.
    pub(crate) udp: bool,
    pub(crate) port: u16,
    pub(crate) id: u16,
    pub(crate) dont_fragment: bool,
    pub(crate) sequence: u32,
    pub(crate) flags: u8,
    pub(crate) window: u16,
    /// Of TCP; a multiple of four octets.
    pub(crate) options: Vec<u8>,
    pub(crate) payload: Vec<u8>,
}

impl Sample {
    pub(crate) fn new(ipv6: bool, udp: bool) -> Self {
        let (options, payload) = (Vec::new(), Vec::new());
        Self {
            ipv6,
            udp,
            port: 5201,
            id: 7,
            dont_fragment: true,
            sequence: 1,
            flags: ACK,
            window: 256,
            options,
            payload,
        }
    }

    /// With a payload that makes the checksum zero.
    pub(crate) fn summing_to_zero(mut self) -> Self {
        self.payload = vec![0; 2];
        let sum = transport_checksum(&self.unsummed());
        self.payload = sum.to_be_bytes().to_vec();
        assert_eq!(transport_checksum(&self.unsummed()), 0);
        self
    }

    /// Octets of the headers.
    pub(crate) fn header_len(&self) -> usize {
        let ip = if self.ipv6 { 40 } else { 20 };
        ip + if self.udp { 8 } else { 20 + self.options.len() }
    }

    /// With checksums that are right.
    pub(crate) fn packet(&self) -> Vec<u8> {
        let mut packet = self.unsummed();
        let at = self.checksum_at();
        let sum = match transport_checksum(&packet) {
            0 if self.udp => 0xffff,
            sum => sum,
        };
        packet[at..at + 2].copy_from_slice(&sum.to_be_bytes());
        packet
    }

    /// As the host hands it over: the checksum is the sum of the pseudo header only.
    pub(crate) fn unfinished(&self) -> Vec<u8> {
        let mut packet = self.unsummed();
        let at = self.checksum_at();
        let sum = !naive(&pseudo_header(&packet));
        packet[at..at + 2].copy_from_slice(&sum.to_be_bytes());
        packet
    }

    /// What the host says of it as a super-segment of such segments, or with 0 of one packet.
    pub(crate) fn offload(&self, segment: u16) -> NetHeader {
        let transport = if self.ipv6 { 40 } else { 20 };
        NetHeader {
            needs_checksum: true,
            kind: match (segment, self.udp, self.ipv6) {
                (0, ..) => Kind::Single,
                (_, true, _) => Kind::Udp,
                (_, false, true) => Kind::TcpIpv6,
                (_, false, false) => Kind::TcpIpv4,
            },
            header_len: self.header_len() as u16,
            segment,
            checksum_start: transport,
            checksum_offset: if self.udp { 6 } else { 16 },
        }
    }

    fn checksum_at(&self) -> usize {
        (if self.ipv6 { 40 } else { 20 }) + if self.udp { 6 } else { 16 }
    }

    fn unsummed(&self) -> Vec<u8> {
        let mut transport = self.port.to_be_bytes().to_vec();
        transport.extend([0, 179]);
        if self.udp {
            transport.extend(((8 + self.payload.len()) as u16).to_be_bytes());
            transport.extend([0, 0]);
        } else {
            transport.extend(self.sequence.to_be_bytes());
            transport.extend([0, 0, 0, 9, ((20 + self.options.len()) as u8 / 4) << 4, self.flags]);
            transport.extend(self.window.to_be_bytes());
            transport.extend([0; 4]);
            transport.extend(&self.options);
        }
        transport.extend(&self.payload);
        let protocol = if self.udp { UDP } else { TCP };
        let length = transport.len() as u16;
        let mut packet = if self.ipv6 {
            let [high, low] = length.to_be_bytes();
            let address = |number| Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, number).octets();
            [&[0x60, 0, 0, 0, high, low, protocol, 64][..], &address(1), &address(2)].concat()
        } else {
            let ([high, low], id) = ((length + 20).to_be_bytes(), self.id.to_be_bytes());
            let fragment = if self.dont_fragment { 0x40 } else { 0 };
            let head = [0x45, 0, high, low, id[0], id[1], fragment, 0, 64, protocol, 0, 0];
            let address = |number| Ipv4Addr::new(10, 0, 0, number).octets();
            let mut header = [&head[..], &address(1), &address(2)].concat();
            let sum = naive(&header).to_be_bytes();
            header[10..12].copy_from_slice(&sum);
            header
        };
        packet.extend(transport);
        packet
    }
}

/// The Internet checksum, RFC 1071 §4.1.
pub(crate) fn naive(octets: &[u8]) -> u16 {
    let mut sum = 0u32;
    for word in octets.chunks(2) {
        sum += u32::from(word[0]) << 8 | u32::from(word.get(1).copied().unwrap_or(0));
    }
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !(sum as u16)
}

/// Of a TCP segment or UDP datagram with its pseudo header: zero when the one inside is right.
pub(crate) fn transport_checksum(packet: &[u8]) -> u16 {
    let Some(header) = Header::parse(packet) else { return 1 };
    naive(&[&pseudo_header(packet), &packet[header.payload..header.length]].concat())
}

fn pseudo_header(packet: &[u8]) -> Vec<u8> {
    let Some(header) = Header::parse(packet) else { return Vec::new() };
    let addresses = if header.source.is_ipv4() { &packet[12..20] } else { &packet[8..40] };
    let [high, low] = ((header.length - header.payload) as u16).to_be_bytes();
    [addresses, &[0, header.protocol, high, low]].concat()
}
