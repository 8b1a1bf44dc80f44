//! TCP MSS clamp: a SYN through the tunnel announces no more than fits it.
//!
//! Path MTU discovery fails where ICMP is filtered, and both ends of a site-to-site tunnel have filters. The option
//! is lowered in SYN and SYN-ACK, in both directions (RFC 9293 §3.7.1, RFC 6691); a SYN without it is left alone,
//! since the default of RFC 9293 is below every MTU there is.

use std::net::IpAddr;

use crate::message::field;
use crate::packet::{Header, TCP};

const TCP_HEADER: usize = 20;
const SYN: u8 = 0x02;
const END: u8 = 0;
const NOP: u8 = 1;
const MSS: u8 = 2;
const CHECKSUM: usize = 16;

/// Lowers the MSS option of a SYN to what fits `mtu` octets; any other packet stays as it is.
pub fn clamp(packet: &mut [u8], header: &Header, mtu: u16) {
    if header.protocol != TCP || header.fragment {
        return;
    }
    let Some(segment) = packet.get_mut(header.payload..header.length) else { return };
    if segment.len() < TCP_HEADER || segment[13] & SYN == 0 {
        return;
    }
    let ip_header = if matches!(header.source, IpAddr::V4(_)) { 20 } else { 40 };
    let most = mtu.saturating_sub(ip_header + TCP_HEADER as u16); // RFC 6691 §2: without IP or TCP options
    if let Some(at) = mss_offset(segment) {
        lower(segment, at, most);
    }
}

/// Where the value of the MSS option is.
fn mss_offset(segment: &[u8]) -> Option<usize> {
    let end = usize::from(segment[12] >> 4) * 4;
    let options = segment.get(..end)?;
    let mut at = TCP_HEADER;
    loop {
        match *options.get(at)? {
            END => return None,
            NOP => at += 1,
            kind => {
                let length = usize::from(*options.get(at + 1)?);
                if kind == MSS && length == 4 {
                    return (at + 4 <= end).then_some(at + 2);
                }
                at += if length < 2 { return None } else { length };
            }
        }
    }
}

fn lower(segment: &mut [u8], at: usize, most: u16) {
    let (Some(value), Some(sum)) = (field(segment, at), field(segment, CHECKSUM)) else { return };
    let old = u16::from_be_bytes(value);
    if old <= most {
        return;
    }
    segment[at..at + 2].copy_from_slice(&most.to_be_bytes());
    // RFC 1071 §2(B): a value at an odd offset counts with its octets swapped
    let [old, new] = [old, most].map(|value| if at.is_multiple_of(2) { value } else { value.swap_bytes() });
    let updated = update(u16::from_be_bytes(sum), old, new);
    segment[CHECKSUM..CHECKSUM + 2].copy_from_slice(&updated.to_be_bytes());
}

/// RFC 1624 §3, equation 3.
fn update(checksum: u16, old: u16, new: u16) -> u16 {
    let mut sum = u32::from(!checksum) + u32::from(!old) + u32::from(new);
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !(sum as u16)
}

#[cfg(test)]
mod tests;
