//! What a datagram is to carry outside of the tunnel: where it goes, and its ECN field.

use std::net::SocketAddr;

use crate::offload::checksum::Sum;

/// How a datagram is sent.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Envelope {
    /// Where to.
    pub to: SocketAddr,
    /// The outer ECN field.
    pub ecn: Ecn,
    /// It may be fragmented on its way: an IPv6 packet of no more than 1280 octets (RFC 8200 §5). Any other says that it
    /// must not.
    pub fragment: bool,
}

impl From<SocketAddr> for Envelope {
    fn from(to: SocketAddr) -> Self {
        Self { to, ecn: Ecn::NotEct, fragment: false }
    }
}

/// The ECN field of an IP header, RFC 3168 §5.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Ecn {
    /// 00: its transport does not understand ECN.
    #[default]
    NotEct,
    /// 01.
    Ect1,
    /// 10.
    Ect0,
    /// 11: congestion experienced.
    Ce,
}

impl Ecn {
    /// Of an octet of the TOS or traffic class.
    pub fn of(octet: u8) -> Self {
        match octet & 3 {
            0 => Self::NotEct,
            1 => Self::Ect1,
            2 => Self::Ect0,
            _ => Self::Ce,
        }
    }

    /// Of an IP packet; what is none has none. In normal mode the outer field is the same: RFC 6040 §4.1.
    pub fn of_packet(packet: &[u8]) -> Self {
        match packet {
            [first, second, ..] if first >> 4 == 4 => Self::of(*second),
            [first, second, ..] if first >> 4 == 6 => Self::of(*second >> 4),
            _ => Self::NotEct,
        }
    }

    /// The two bits.
    pub fn bits(self) -> u8 {
        self as u8
    }
}

/// Gives a packet that left the tunnel the ECN field that RFC 6040 §4.2 has for this outer one. False: it must be dropped.
pub fn decapsulate(packet: &mut [u8], outer: Ecn) -> bool {
    let inner = Ecn::of_packet(packet);
    let new = match (inner, outer) {
        (Ecn::NotEct, Ecn::Ce) => return false,
        (Ecn::Ect0 | Ecn::Ect1, Ecn::Ce) => Ecn::Ce,
        (Ecn::Ect0, Ecn::Ect1) => Ecn::Ect1,
        _ => inner,
    };
    if new != inner {
        set(packet, new);
    }
    true
}

/// `packet` is one of IP.
fn set(packet: &mut [u8], ecn: Ecn) {
    let is_ipv4 = packet[0] >> 4 == 4;
    if !is_ipv4 {
        packet[1] = packet[1] & 0xcf | ecn.bits() << 4;
        return;
    }
    let old = u16::from_be_bytes([packet[0], packet[1]]);
    packet[1] = packet[1] & 0xfc | ecn.bits();
    let new = u16::from_be_bytes([packet[0], packet[1]]);
    if let Some(sum) = packet.get_mut(10..12) {
        // RFC 1624 §3, equation 3
        let updated =
            Sum::default().and_number(!u16::from_be_bytes([sum[0], sum[1]])).without_number(old).and_number(new);
        sum.copy_from_slice(&updated.checksum());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples::{Sample, naive};

    const ALL: [Ecn; 4] = [Ecn::NotEct, Ecn::Ect1, Ecn::Ect0, Ecn::Ce];

    fn marked(ipv6: bool, ecn: Ecn) -> Vec<u8> {
        let mut packet = Sample::new(ipv6, true).packet();
        set(&mut packet, ecn);
        packet
    }

    #[test]
    fn what_leaves_the_tunnel_is_as_the_table_of_rfc_6040_says() {
        use Ecn::{Ce, Ect0, Ect1, NotEct};
        // Inner, then for each outer: Not-ECT, ECT(0), ECT(1), CE
        let table = [
            (NotEct, [Some(NotEct), Some(NotEct), Some(NotEct), None]),
            (Ect0, [Some(Ect0), Some(Ect0), Some(Ect1), Some(Ce)]),
            (Ect1, [Some(Ect1), Some(Ect1), Some(Ect1), Some(Ce)]),
            (Ce, [Some(Ce), Some(Ce), Some(Ce), Some(Ce)]),
        ];
        for (inner, row) in table {
            for (outer, expected) in [NotEct, Ect0, Ect1, Ce].into_iter().zip(row) {
                for ipv6 in [false, true] {
                    let mut packet = marked(ipv6, inner);
                    let kept = decapsulate(&mut packet, outer);
                    assert_eq!(kept.then(|| Ecn::of_packet(&packet)), expected, "{inner:?} in {outer:?}");
                    assert_eq!(packet[2..10], marked(ipv6, inner)[2..10]);
                    assert!(ipv6 || naive(&packet[..20]) == 0, "the header's checksum");
                }
            }
        }
    }

    #[test]
    fn the_dscp_stays_and_other_octets_have_no_field() {
        for ecn in ALL {
            assert_eq!(Ecn::of(ecn.bits()), ecn);
            let mut packet = marked(true, Ecn::NotEct);
            packet[..2].copy_from_slice(&[0x6b, 0x8f]); // DSCP EF, and a flow label
            set(&mut packet, ecn);
            assert_eq!((packet[0], packet[1] & 0xcf), (0x6b, 0x8f));
        }
        assert_eq!(Ecn::of_packet(&[]), Ecn::NotEct);
        assert_eq!(Ecn::of_packet(&[0x15, 3]), Ecn::NotEct);
    }
}
