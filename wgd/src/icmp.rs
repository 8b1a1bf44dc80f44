//! ICMP: errors about packets that are too long (RFC 792, RFC 1191; RFC 4443 §3.2), and echoes that probe a path.

use std::net::IpAddr;

use crate::message::field;
use crate::offload::checksum::Sum;
use crate::packet::{Header, ICMP, ICMPV6, IPV6_FRAGMENT};

const IPV4_HEADER: usize = 20;
const IPV6_HEADER: usize = 40;
const ICMP_HEADER: usize = 8;
const FRAGMENT_HEADER: usize = 8;
const HOP_LIMIT: u8 = 64;
/// RFC 1812 §4.3.2.3: as much of the packet as fits.
const IPV4_ERROR: usize = 576;
/// RFC 4443 §2.4(c).
const IPV6_ERROR: usize = 1280;
/// Destination Unreachable, Fragmentation Needed.
const FRAGMENTATION_NEEDED: [u8; 2] = [3, 4];
const PACKET_TOO_BIG: [u8; 2] = [2, 0];
/// In the payload of an echo: what else has its identifier is not ours.
const MARK: [u8; 8] = *b"path MTU";

/// An echo request to be made.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Echo {
    pub(crate) source: IpAddr,
    pub(crate) destination: IpAddr,
    pub(crate) identifier: u16,
    pub(crate) sequence: u16,
}

/// An answer to an echo of ours, or a later fragment of one.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Reply {
    /// The answer, or its first fragment: with the identification of the fragments.
    Whole { identifier: u16, sequence: u16, fragments: Option<u32> },
    /// A later fragment of an ICMP message.
    Fragment(u32),
}

/// Writes an error about a packet that is longer than `mtu`: its length. None: there must be none.
pub(crate) fn too_big(packet: &[u8], header: &Header, mtu: u16, source: IpAddr, out: &mut [u8]) -> Option<usize> {
    if !may_be_told(packet, header) {
        return None;
    }
    let (headers, most) = if header.source.is_ipv4() {
        (IPV4_HEADER + ICMP_HEADER, IPV4_ERROR)
    } else {
        (IPV6_HEADER + ICMP_HEADER, IPV6_ERROR)
    };
    let quoted = packet.get(..header.length.min(most - headers))?;
    let length = headers + quoted.len();
    out.get_mut(headers..length)?.copy_from_slice(quoted);
    let ip = headers - ICMP_HEADER;
    let [high, low] = mtu.to_be_bytes();
    let [kind, code] = if header.source.is_ipv4() { FRAGMENTATION_NEEDED } else { PACKET_TOO_BIG };
    // RFC 1191 §4 and RFC 4443 §3.2 have the MTU at the same place, for numbers of 16 bits
    out[ip..headers].copy_from_slice(&[kind, code, 0, 0, 0, 0, high, low]);
    finish(&mut out[..length], source, header.source)?;
    Some(length)
}

/// RFC 1122 §3.2.2 and RFC 1812 §4.3.2.7, RFC 4443 §2.4(e): never about an error, to a group or from no single host, or
/// about a later fragment.
fn may_be_told(packet: &[u8], header: &Header) -> bool {
    let is_one = |address: IpAddr| match address {
        IpAddr::V4(address) => !matches!(address.octets()[0], 0 | 127 | 224..),
        IpAddr::V6(address) => !address.is_unspecified() && !address.is_multicast() && !address.is_loopback(),
    };
    is_one(header.source)
        && is_one(header.destination)
        && !is_later_fragment(packet, header)
        && !is_error(packet, header)
}

fn is_later_fragment(packet: &[u8], header: &Header) -> bool {
    let offset = match (header.source, header.protocol) {
        (IpAddr::V4(_), _) => field(packet, 6).map(|octets| u16::from_be_bytes(octets) & 0x1fff),
        (IpAddr::V6(_), IPV6_FRAGMENT) => {
            field(packet, header.payload + 2).map(|octets| u16::from_be_bytes(octets) & 0xfff8)
        }
        (IpAddr::V6(_), _) => Some(0),
    };
    offset != Some(0)
}

/// What is not known to be none: RFC 4443 §2.4(e.1), RFC 1122 §3.2.2.
fn is_error(packet: &[u8], header: &Header) -> bool {
    let kind = |at: usize| packet.get(..header.length).and_then(|packet| packet.get(at)).copied();
    match header.protocol {
        ICMP => kind(header.payload).is_none_or(|kind| matches!(kind, 3 | 4 | 5 | 11 | 12)),
        ICMPV6 => kind(header.payload).is_none_or(|kind| kind < 128 || kind == 137), // 137: Redirect
        IPV6_FRAGMENT if header.source.is_ipv6() && kind(header.payload) == Some(ICMPV6) => {
            kind(header.payload + FRAGMENT_HEADER).is_none_or(|kind| kind < 128 || kind == 137)
        }
        _ => false,
    }
}

/// Writes an echo request of `length` octets, which no router may fragment. None: too few octets for one.
pub(crate) fn echo(echo: &Echo, length: u16, out: &mut [u8]) -> Option<()> {
    let length = usize::from(length);
    let packet = out.get_mut(..length)?;
    let (ip, request) = if echo.source.is_ipv4() { (IPV4_HEADER, 8) } else { (IPV6_HEADER, 128) };
    let (headers, rest) = packet.split_at_mut_checked(ip + ICMP_HEADER)?;
    let (mark, padding) = rest.split_at_mut_checked(MARK.len())?;
    let ([id, id_low], [sequence, sequence_low]) = (echo.identifier.to_be_bytes(), echo.sequence.to_be_bytes());
    headers[ip..].copy_from_slice(&[request, 0, 0, 0, id, id_low, sequence, sequence_low]);
    mark.copy_from_slice(&MARK);
    padding.fill(0);
    finish(packet, echo.source, echo.destination)
}

/// The IP header and all checksums of a packet whose ICMP message is there.
fn finish(packet: &mut [u8], source: IpAddr, destination: IpAddr) -> Option<()> {
    let length = u16::try_from(packet.len()).ok()?;
    match (source, destination) {
        (IpAddr::V4(source), IpAddr::V4(destination)) => {
            let (ip, message) = packet.split_at_mut_checked(IPV4_HEADER)?;
            let [high, low] = length.to_be_bytes();
            // RFC 6864 §4.1: an atomic datagram may have any identification
            ip[..12].copy_from_slice(&[0x45, 0, high, low, 0, 0, 0x40, 0, HOP_LIMIT, ICMP, 0, 0]);
            ip[12..16].copy_from_slice(&source.octets());
            ip[16..20].copy_from_slice(&destination.octets());
            let sum = Sum::of(ip).checksum();
            ip[10..12].copy_from_slice(&sum);
            let sum = Sum::of(message).checksum();
            message[2..4].copy_from_slice(&sum);
        }
        (IpAddr::V6(source), IpAddr::V6(destination)) => {
            let (ip, message) = packet.split_at_mut_checked(IPV6_HEADER)?;
            let payload = length - IPV6_HEADER as u16;
            let [high, low] = payload.to_be_bytes();
            ip[..8].copy_from_slice(&[0x60, 0, 0, 0, high, low, ICMPV6, HOP_LIMIT]);
            ip[8..24].copy_from_slice(&source.octets());
            ip[24..40].copy_from_slice(&destination.octets());
            let pseudo = Sum::of(&ip[8..40]).and_number(payload).and_number(ICMPV6.into()); // RFC 8200 §8.1
            let sum = pseudo.and(message).checksum();
            message[2..4].copy_from_slice(&sum);
        }
        _ => return None,
    }
    Some(())
}

/// Whether a packet is an answer to an echo of this kind. A far end with a smaller MTU answers in fragments.
pub(crate) fn reply(packet: &[u8], header: &Header) -> Option<Reply> {
    let (at, fragments, offset) = match (header.source, header.protocol) {
        (IpAddr::V4(_), ICMP) => {
            let offset = u16::from_be_bytes(field(packet, 6)?) & 0x1fff;
            let id = u16::from_be_bytes(field(packet, 4)?);
            (header.payload, header.fragment.then_some(u32::from(id)), offset)
        }
        (IpAddr::V6(_), ICMPV6) => (header.payload, None, 0),
        (IpAddr::V6(_), IPV6_FRAGMENT) if packet.get(header.payload) == Some(&ICMPV6) => {
            let offset = u16::from_be_bytes(field(packet, header.payload + 2)?) >> 3;
            let id = u32::from_be_bytes(field(packet, header.payload + 4)?);
            (header.payload + FRAGMENT_HEADER, Some(id), offset)
        }
        _ => return None,
    };
    if let Some(id) = fragments.filter(|_| offset > 0) {
        return Some(Reply::Fragment(id));
    }
    let answer = if header.source.is_ipv4() { 0 } else { 129 };
    let message: [u8; ICMP_HEADER + MARK.len()] = field(packet.get(..header.length)?, at)?;
    let is_ours = message[..2] == [answer, 0] && message[ICMP_HEADER..] == MARK;
    let [identifier, sequence] = [4, 6].map(|at| u16::from_be_bytes([message[at], message[at + 1]]));
    is_ours.then_some(Reply::Whole { identifier, sequence, fragments })
}

#[cfg(test)]
mod tests;
