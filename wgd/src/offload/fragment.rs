//! Fragments of an IPv4 packet (RFC 791 §2.3, §3.2), for a packet that its sender allows to be fragmented.
//!
//! No payload is moved: each fragment's header is written right before its own payload, over the end of the fragment
//! before it, which has been taken by then.

use super::checksum::Sum;
use super::keep_behind;
use crate::packet::Header;

/// The longest header of IPv4.
const HEADER: usize = 60;
const PLAIN_HEADER: usize = 20;
const MORE_FRAGMENTS: u16 = 0x2000;
const OFFSET: u16 = 0x1fff;
/// Options: copied into all fragments.
const COPIED: u8 = 0x80;
const END: u8 = 0;
const NOP: u8 = 1;

/// Calls `each` with fragments of the packet at the start of `buffer`, of `mtu` octets at most: as the start of a buffer,
/// whose next 15 octets serve as padding where there are so many, and its length.
///
/// False: not IPv4, or an MTU that leaves no payload; nothing was taken.
pub fn fragment(buffer: &mut [u8], header: &Header, mtu: u16, mut each: impl FnMut(&mut [u8], usize)) -> bool {
    let Some(first) = buffer.get(..header.payload).filter(|_| header.source.is_ipv4()) else { return false };
    if !(PLAIN_HEADER..=HEADER).contains(&first.len()) || header.length > buffer.len() {
        return false;
    }
    let mut headers = [[0; HEADER]; 2];
    headers[0][..first.len()].copy_from_slice(first);
    let lengths = [first.len(), copied(first, &mut headers[1])];
    let fields = u16::from_be_bytes([first[6], first[7]]);
    let (flags, offset) = (fields & !(OFFSET | MORE_FRAGMENTS), usize::from(fields & OFFSET));
    let (mut at, end) = (header.payload, header.length);
    while at < end {
        let later = usize::from(at > header.payload);
        let header_len = lengths[later];
        let most = usize::from(mtu).saturating_sub(header_len) / 8 * 8;
        if most == 0 {
            return false;
        }
        let payload = most.min(end - at);
        let more = if at + payload < end { MORE_FRAGMENTS } else { fields & MORE_FRAGMENTS };
        let place = offset + (at - header.payload) / 8;
        let start = at - header_len;
        let length = header_len + payload;
        let ip = &mut buffer[start..at];
        ip.copy_from_slice(&headers[later][..header_len]);
        ip[2..4].copy_from_slice(&(length as u16).to_be_bytes());
        ip[6..8].copy_from_slice(&(flags | more | place as u16 & OFFSET).to_be_bytes());
        ip[10..12].fill(0);
        let sum = Sum::of(ip).checksum();
        ip[10..12].copy_from_slice(&sum);
        keep_behind(buffer, start, length, &mut each);
        at += payload;
    }
    true
}

/// The header of later fragments, with the options that are copied (RFC 791 §3.1): its length.
fn copied(first: &[u8], header: &mut [u8; HEADER]) -> usize {
    header[..PLAIN_HEADER].copy_from_slice(&first[..PLAIN_HEADER]);
    let (mut end, mut options) = (PLAIN_HEADER, &first[PLAIN_HEADER..]);
    while let Some(kind) = options.first().copied().filter(|kind| *kind != END) {
        let length = if kind == NOP { 1 } else { options.get(1).map_or(0, |length| usize::from(*length)) };
        let Some((option, rest)) = options.split_at_checked(length).filter(|(option, _)| !option.is_empty()) else {
            break;
        };
        if kind & COPIED != 0 {
            header[end..end + length].copy_from_slice(option);
            end += length;
        }
        options = rest;
    }
    let padded = end.next_multiple_of(4);
    header[end..padded].fill(END);
    header[0] = 0x40 | (padded / 4) as u8;
    padded
}

#[cfg(test)]
mod tests;
