//! Packets as a file that tcpdump and Wireshark read: pcapng (draft-ietf-opsawg-pcapng), blocks of octets in our order.

use crate::control::api::Direction;

const SECTION_HEADER: u32 = 0x0A0D_0D0A;
const INTERFACE_DESCRIPTION: u32 = 1;
const ENHANCED_PACKET: u32 = 6;
/// Says which order of octets the section has.
const BYTE_ORDER: u32 = 0x1A2B_3C4D;
const VERSION: [u16; 2] = [1, 0];
/// LINKTYPE_RAW: an IP packet, without anything before it.
const RAW: u16 = 101;

/// Codes of options; some mean different things in different blocks.
const COMMENT: u16 = 1;
const SHB_USERAPPL: u16 = 4;
const IF_NAME: u16 = 2;
const IF_TSRESOL: u16 = 9;
const EPB_FLAGS: u16 = 2;
const EPB_DROPCOUNT: u16 = 4;

/// How a file begins: of packets of which `snap` octets are kept at most, with times in nanoseconds.
pub(super) fn begin(snap: u32) -> Vec<u8> {
    let mut section = BYTE_ORDER.to_ne_bytes().to_vec();
    section.extend(VERSION.iter().flat_map(|number| number.to_ne_bytes()));
    section.extend((-1_i64).to_ne_bytes()); // of unknown length
    option(&mut section, SHB_USERAPPL, concat!("vpngw ", env!("CARGO_PKG_VERSION")).as_bytes());
    let mut interface = [RAW.to_ne_bytes(), [0; 2]].concat();
    interface.extend(snap.to_ne_bytes());
    option(&mut interface, IF_NAME, b"tunnel");
    option(&mut interface, IF_TSRESOL, &[9]); // 10 to the power of -9
    let mut file = block(SECTION_HEADER, section);
    file.extend(block(INTERFACE_DESCRIPTION, interface));
    file
}

/// A packet, its time in nanoseconds since 1970; `missed` are those before it that are not in the file.
pub(super) fn packet(at: u64, direction: Direction, peer: &str, length: u32, octets: &[u8], missed: u64) -> Vec<u8> {
    let mut body = 0_u32.to_ne_bytes().to_vec(); // of the first interface
    for number in [(at >> 32) as u32, at as u32, octets.len() as u32, length] {
        body.extend(number.to_ne_bytes());
    }
    body.extend(octets);
    pad(&mut body);
    option(&mut body, COMMENT, format!("peer {peer}").as_bytes());
    let direction: u32 = match direction {
        Direction::In => 1,
        Direction::Out => 2,
    };
    option(&mut body, EPB_FLAGS, &direction.to_ne_bytes());
    if missed > 0 {
        option(&mut body, EPB_DROPCOUNT, &missed.to_ne_bytes());
    }
    block(ENHANCED_PACKET, body)
}

/// Options end with one of zeros, which a block ends with here.
fn block(kind: u32, mut body: Vec<u8>) -> Vec<u8> {
    body.extend([0; 4]);
    let length = (body.len() as u32 + 12).to_ne_bytes();
    [&kind.to_ne_bytes(), &length, body.as_slice(), &length].concat()
}

fn option(body: &mut Vec<u8>, code: u16, value: &[u8]) {
    let value = &value[..value.len().min(usize::from(u16::MAX))];
    body.extend(code.to_ne_bytes());
    body.extend((value.len() as u16).to_ne_bytes());
    body.extend(value);
    pad(body);
}

/// Everything begins at a multiple of 32 bits.
fn pad(body: &mut Vec<u8>) {
    body.resize(body.len().next_multiple_of(4), 0);
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    /// Kinds and bodies of blocks, whose lengths must agree.
    fn blocks(mut file: &[u8]) -> Vec<(u32, Vec<u8>)> {
        let number = |octets: &[u8]| u32::from_ne_bytes(octets[..4].try_into().unwrap());
        let mut blocks = Vec::new();
        while !file.is_empty() {
            let length = number(&file[4..]) as usize;
            assert_eq!((length % 4, number(&file[length - 4..]) as usize), (0, length));
            blocks.push((number(file), file[8..length - 4].to_vec()));
            file = &file[length..];
        }
        blocks
    }

    #[test]
    fn a_file_begins_with_its_section_and_interface() {
        let blocks = blocks(&begin(96));
        assert_eq!(blocks.iter().map(|(kind, _)| *kind).collect::<Vec<_>>(), [SECTION_HEADER, INTERFACE_DESCRIPTION]);
        assert_eq!(blocks[1].1[..8], [&101_u16.to_ne_bytes()[..], &[0; 2], &96_u32.to_ne_bytes()].concat());
    }

    #[test]
    fn a_packet_of_any_length_is_a_whole_block() {
        for length in 0..9_u8 {
            let octets: Vec<u8> = (0..length).collect();
            let file = packet(0x0102_0304_0506_0708, Direction::Out, "far", 1400, &octets, 7);
            let [(ENHANCED_PACKET, body)] = &blocks(&file)[..] else { panic!("{file:?}") };
            let numbers = [0, 0x0102_0304, 0x0506_0708, u32::from(length), 1400].map(u32::to_ne_bytes).concat();
            assert_eq!(body[..20], numbers);
            assert_eq!(body[20..20 + octets.len()], octets);
        }
    }
}
