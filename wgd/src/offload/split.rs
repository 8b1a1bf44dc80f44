//! What the host left to do for a packet to send: checksums, and cutting a super-segment into packets.
//!
//! No payload is moved. The headers of each packet are written right before its own payload, over the end of the packet
//! before it, which has been taken by then.

use super::checksum::Sum;
use super::header::{Kind, NetHeader};
use super::keep_behind;
use crate::message::field;

/// The longest headers of a super-segment: IPv6 with extension headers, and TCP with options.
const HEADERS: usize = 256;

const TCP_MIN: usize = 20;
const TCP_FLAGS: usize = 13;
const FIN_PSH: u8 = 0x09;
const CWR: u8 = 0x80;
const TCP_CHECKSUM: usize = 16;
const UDP_HEADER: usize = 8;
const UDP_CHECKSUM: usize = 6;
const UDP_LENGTH: usize = 4;

/// Finishes the packet in the first `len` octets of `buffer`, and calls `each` with every packet that it holds: as the
/// start of a buffer, whose next 15 octets serve as padding where there are so many, and its length. A TCP segment is
/// cut to what fits `mtu` octets if it is longer.
///
/// False: header and packet contradict each other, and nothing was taken.
pub fn split(
    header: &NetHeader,
    buffer: &mut [u8],
    len: usize,
    mtu: u16,
    mut each: impl FnMut(&mut [u8], usize),
) -> bool {
    let Some(packet) = buffer.get_mut(..len) else { return false };
    if header.kind == Kind::Single {
        let finished = !header.needs_checksum || finish(header, packet).is_some();
        if finished {
            each(buffer, len);
        }
        return finished;
    }
    let Some(plan) = Plan::new(header, packet, mtu) else { return false };
    for at in (0..plan.payload).step_by(plan.segment) {
        let length = plan.write(buffer, at);
        keep_behind(buffer, at, length, &mut each);
    }
    true
}

/// Completes the checksum of one packet.
fn finish(header: &NetHeader, packet: &mut [u8]) -> Option<()> {
    let summed = packet.get_mut(usize::from(header.checksum_start)..)?;
    let at = usize::from(header.checksum_offset);
    summed.get(at..at + 2)?;
    // The sum of the pseudo header is in the field, and is summed with the rest
    let checksum = Sum::of(summed).checksum();
    // RFC 768: zero says that there is none
    let checksum = if checksum == [0; 2] && at == UDP_CHECKSUM { [0xff; 2] } else { checksum };
    summed[at..at + 2].copy_from_slice(&checksum);
    Some(())
}

/// How to cut a super-segment.
struct Plan {
    /// IP and transport header.
    headers: [u8; HEADERS],
    /// Where the transport header starts.
    transport: usize,
    /// Where the payload starts.
    header_len: usize,
    /// Octets of payload.
    payload: usize,
    /// Octets of payload in each packet but the last.
    segment: usize,
    is_udp: bool,
    /// Of the pseudo header, without a length.
    pseudo: Sum,
}

impl Plan {
    fn new(header: &NetHeader, packet: &[u8], mtu: u16) -> Option<Self> {
        let transport = usize::from(header.checksum_start);
        let first = *packet.first()?;
        let is_udp = header.kind == Kind::Udp;
        let is_behind_ip = match (header.kind, first >> 4) {
            (Kind::TcpIpv4 | Kind::Udp, 4) => transport >= 20 && transport == usize::from(first & 0x0f) * 4,
            (Kind::TcpIpv6 | Kind::Udp, 6) => transport >= 40, // extension headers are repeated as they are
            _ => false,
        };
        let checksum = if is_udp { UDP_CHECKSUM } else { TCP_CHECKSUM };
        let is_consistent = is_behind_ip && header.needs_checksum && usize::from(header.checksum_offset) == checksum;
        let segment = packet.get(transport..).filter(|_| is_consistent)?;
        // `header_len` is not to be relied on: see there
        let own = if is_udp { UDP_HEADER } else { usize::from(segment.get(12)? >> 4) * 4 };
        let header_len = transport + own;
        if (!is_udp && own < TCP_MIN) || header_len > HEADERS || header_len >= packet.len() {
            return None;
        }
        let fits = usize::from(mtu).saturating_sub(header_len);
        let segment_len = match usize::from(header.segment) {
            // A datagram's bounds are its sender's
            segment if is_udp => segment,
            segment => segment.min(fits),
        };
        if segment_len == 0 {
            return None;
        }
        let mut headers = [0; HEADERS];
        headers[..header_len].copy_from_slice(&packet[..header_len]);
        let partial = u16::from_be_bytes(field(segment, checksum)?);
        let length = u16::try_from(segment.len()).ok()?;
        headers[transport + checksum..][..2].fill(0);
        Some(Self {
            headers,
            transport,
            header_len,
            payload: packet.len() - header_len,
            segment: segment_len,
            is_udp,
            pseudo: Sum::default().and_number(partial).without_number(length),
        })
    }

    /// Makes a packet of the payload that starts at `at`: the octets from `at` on, so many.
    fn write(&self, buffer: &mut [u8], at: usize) -> usize {
        let payload = self.segment.min(self.payload - at);
        let length = self.header_len + payload;
        let packet = &mut buffer[at..at + length];
        packet[..self.header_len].copy_from_slice(&self.headers[..self.header_len]);
        let index = (at / self.segment) as u16;
        let (ip, segment) = packet.split_at_mut(self.transport);
        write_ip(ip, length as u16, index);
        let checksum = if self.is_udp {
            let length = segment.len() as u16;
            segment[UDP_LENGTH..UDP_LENGTH + 2].copy_from_slice(&length.to_be_bytes());
            UDP_CHECKSUM
        } else {
            let sequence = u32::from_be_bytes([segment[4], segment[5], segment[6], segment[7]]);
            segment[4..8].copy_from_slice(&sequence.wrapping_add(at as u32).to_be_bytes());
            let is_last = at + payload == self.payload;
            // What ends the data is said with its end; RFC 3168 §6.1.2: CWR on the first new data
            segment[TCP_FLAGS] &= !(if is_last { 0 } else { FIN_PSH } | if at == 0 { 0 } else { CWR });
            TCP_CHECKSUM
        };
        let sum = self.pseudo.and_number(segment.len() as u16).and(segment).checksum();
        let sum = if self.is_udp && sum == [0; 2] { [0xff; 2] } else { sum };
        segment[checksum..checksum + 2].copy_from_slice(&sum);
        length
    }
}

/// The fields of an IP header that differ between the packets of a super-segment.
fn write_ip(ip: &mut [u8], length: u16, index: u16) {
    if ip[0] >> 4 == 6 {
        ip[4..6].copy_from_slice(&(length - 40).to_be_bytes());
        return;
    }
    let id = u16::from_be_bytes([ip[4], ip[5]]).wrapping_add(index);
    ip[2..4].copy_from_slice(&length.to_be_bytes());
    ip[4..6].copy_from_slice(&id.to_be_bytes());
    ip[10..12].fill(0);
    let sum = Sum::of(ip).checksum();
    ip[10..12].copy_from_slice(&sum);
}

#[cfg(test)]
mod tests;
