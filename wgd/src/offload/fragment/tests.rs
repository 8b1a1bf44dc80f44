#![allow(clippy::unwrap_used)]

use proptest::prelude::*;

use super::*;
use crate::offload::PADDING;
use crate::samples::{Sample, naive};

/// What comes out; whoever takes a fragment writes its padding.
fn fragments(packet: &[u8], mtu: u16) -> Vec<Vec<u8>> {
    let mut buffer = packet.to_vec();
    buffer.resize(packet.len() + PADDING, 0);
    let header = Header::parse(&buffer).unwrap();
    let mut fragments = Vec::new();
    let taken = fragment(&mut buffer, &header, mtu, |buffer, len| {
        fragments.push(buffer[..len].to_vec());
        buffer[len..len + PADDING].fill(0xee);
    });
    assert!(taken);
    fragments
}

fn place(fragment: &[u8]) -> (usize, bool) {
    let fields = u16::from_be_bytes([fragment[6], fragment[7]]);
    (usize::from(fields & OFFSET) * 8, fields & MORE_FRAGMENTS != 0)
}

/// RFC 791 §3.2: the payload, by the offsets.
fn reassembled(fragments: &[Vec<u8>]) -> Vec<u8> {
    let mut payload = Vec::new();
    for (index, fragment) in fragments.iter().enumerate() {
        let header = Header::parse(fragment).unwrap();
        assert_eq!((header.length, naive(&fragment[..header.payload])), (fragment.len(), 0));
        assert_eq!(place(fragment), (payload.len(), index + 1 < fragments.len()));
        payload.extend(&fragment[header.payload..]);
    }
    payload
}

fn packet(options: &[u8], payload: usize) -> Vec<u8> {
    let plain = Sample {
        dont_fragment: false,
        payload: (0..payload).map(|at| (at % 251) as u8).collect(),
        ..Sample::new(false, true)
    }
    .packet();
    let mut packet = [&plain[..20], options, &plain[20..]].concat();
    let length = packet.len() as u16;
    packet[0] = 0x40 | ((20 + options.len()) / 4) as u8;
    packet[2..4].copy_from_slice(&length.to_be_bytes());
    packet[10..12].fill(0);
    let sum = naive(&packet[..20 + options.len()]).to_be_bytes();
    packet[10..12].copy_from_slice(&sum);
    packet
}

#[test]
fn options_without_the_copied_flag_are_in_the_first_fragment_only() {
    // Timestamp, NOP, strict source route, end
    let options = [68, 4, 5, 0, 1, 137, 7, 4, 10, 0, 0, 9];
    let fragments = fragments(&packet(&options, 3000), 1000);
    assert_eq!(fragments[0][20..32], options);
    assert_eq!((fragments[1][0], &fragments[1][20..28]), (0x47, &[137, 7, 4, 10, 0, 0, 9, 0][..]));
    assert_eq!(reassembled(&fragments), packet(&options, 3000)[32..]);
}

#[test]
fn a_fragment_is_fragmented_at_its_place() {
    let mut middle = packet(&[], 2000);
    middle[6..8].copy_from_slice(&(MORE_FRAGMENTS | 100).to_be_bytes());
    let fragments = fragments(&middle, 1500);
    let places: Vec<_> = fragments.iter().map(|fragment| place(fragment)).collect();
    assert_eq!(places, [(800, true), (800 + 1480, true)]);
}

#[test]
fn what_is_not_ipv4_is_left_alone() {
    let mut packet = Sample { payload: vec![1; 2000], ..Sample::new(true, true) }.packet();
    let header = Header::parse(&packet).unwrap();
    assert!(!fragment(&mut packet, &header, 1280, |_, _| panic!("nothing to take")));
}

proptest! {
    #[test]
    fn fragments_fit_and_are_the_packet_again(
        words in 0usize..=10,
        option: u8,
        payload in 1usize..9000,
        mtu in 516u16..9000,
    ) {
        let mut options = vec![NOP; words * 4];
        if let Some([kind, length, ..]) = options.get_mut(..2) {
            (*kind, *length) = (option, 2);
        }
        let packet = packet(&options, payload);
        let fragments = fragments(&packet, mtu);
        prop_assert!(fragments.iter().all(|fragment| fragment.len() <= usize::from(mtu)));
        prop_assert_eq!(&reassembled(&fragments)[..], &packet[20 + options.len()..]);
    }
}
