//! The header before each packet of a TUN with `IFF_VNET_HDR`: `struct virtio_net_hdr`, in the octet order of the host
//! (virtio 1.2, section 5.1.6, as the legacy interface has it).

const NEEDS_CHECKSUM: u8 = 1;
const TCP_IPV4: u8 = 1;
const TCP_IPV6: u8 = 4;
const UDP: u8 = 5;

/// What is left to do for a packet, or may be left to the host.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct NetHeader {
    /// The checksum field holds the sum of the pseudo header only: `checksum_start` and `checksum_offset` say where.
    pub needs_checksum: bool,
    /// Whether it is a super-segment.
    pub kind: Kind,
    /// Octets of the headers. The kernel may give more, for a packet that it forwards.
    pub header_len: u16,
    /// Octets of payload in each packet but the last.
    pub segment: u16,
    /// Where summing starts: the transport header.
    pub checksum_start: u16,
    /// Where the checksum is, from there.
    pub checksum_offset: u16,
}

/// Of what a packet consists.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Kind {
    /// One packet.
    #[default]
    Single,
    /// TCP segments in IPv4.
    TcpIpv4,
    /// TCP segments in IPv6.
    TcpIpv6,
    /// UDP datagrams in either.
    Udp,
    /// Not asked for.
    Unknown(u8),
}

impl NetHeader {
    /// Octets of it.
    pub const LEN: usize = 10;

    /// From its octets.
    pub fn parse(octets: &[u8; Self::LEN]) -> Self {
        let [flags, kind, fields @ ..] = octets;
        let [header_len, segment, checksum_start, checksum_offset] =
            [0, 2, 4, 6].map(|at| u16::from_ne_bytes([fields[at], fields[at + 1]]));
        Self {
            needs_checksum: flags & NEEDS_CHECKSUM != 0,
            kind: match *kind {
                0 => Kind::Single,
                TCP_IPV4 => Kind::TcpIpv4,
                TCP_IPV6 => Kind::TcpIpv6,
                UDP => Kind::Udp,
                unknown => Kind::Unknown(unknown),
            },
            header_len,
            segment,
            checksum_start,
            checksum_offset,
        }
    }

    /// Its octets.
    pub fn octets(&self) -> [u8; Self::LEN] {
        let kind = match self.kind {
            Kind::Single => 0,
            Kind::TcpIpv4 => TCP_IPV4,
            Kind::TcpIpv6 => TCP_IPV6,
            Kind::Udp => UDP,
            Kind::Unknown(unknown) => unknown,
        };
        let mut octets = [0; Self::LEN];
        octets[0] = u8::from(self.needs_checksum) * NEEDS_CHECKSUM;
        octets[1] = kind;
        let fields = [self.header_len, self.segment, self.checksum_start, self.checksum_offset];
        for (place, field) in octets[2..].chunks_exact_mut(2).zip(fields) {
            place.copy_from_slice(&field.to_ne_bytes());
        }
        octets
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_is_read_as_it_was_written() {
        for kind in [Kind::Single, Kind::TcpIpv4, Kind::TcpIpv6, Kind::Udp, Kind::Unknown(0x81)] {
            let header = NetHeader {
                needs_checksum: kind != Kind::Single,
                kind,
                header_len: 0x0102,
                segment: 0x0304,
                checksum_start: 0x0506,
                checksum_offset: 0x0708,
            };
            assert_eq!(NetHeader::parse(&header.octets()), header);
        }
        assert_eq!(NetHeader::default().octets(), [0; NetHeader::LEN]);
    }
}
