#![allow(clippy::unwrap_used)]

use proptest::prelude::*;

use super::*;
use crate::offload::PADDING;
use crate::samples::{ACK, CWR, FIN, PSH, Sample, transport_checksum};

/// What comes out; whoever takes a packet writes its padding.
fn packets(header: &NetHeader, packet: &[u8], mtu: u16) -> Option<Vec<Vec<u8>>> {
    let mut buffer = packet.to_vec();
    buffer.resize(packet.len() + PADDING, 0);
    let mut packets = Vec::new();
    let taken = split(header, &mut buffer, packet.len(), mtu, |buffer, len| {
        packets.push(buffer[..len].to_vec());
        buffer[len..len + PADDING].fill(0xee);
    });
    assert!(taken || packets.is_empty());
    taken.then_some(packets)
}

/// The packets of a super-segment, each made by itself.
fn expected(sample: &Sample, segment: usize) -> Vec<Vec<u8>> {
    let count = sample.payload.len().div_ceil(segment);
    let part = |(index, payload): (usize, &[u8])| {
        let mut part = Sample { payload: payload.to_vec(), ..sample.clone() };
        part.id = part.id.wrapping_add(index as u16);
        part.sequence = part.sequence.wrapping_add((index * segment) as u32);
        part.flags &= !if index + 1 < count { FIN | PSH } else { 0 };
        part.flags &= !if index > 0 { CWR } else { 0 };
        part.packet()
    };
    sample.payload.chunks(segment).enumerate().map(part).collect()
}

fn sample() -> impl Strategy<Value = Sample> {
    let payload = proptest::collection::vec(any::<u8>(), 1..9000);
    let options = (0usize..=10).prop_flat_map(|words| proptest::collection::vec(any::<u8>(), words * 4));
    let (kinds, numbers) = (any::<[bool; 6]>(), any::<(u16, u32)>());
    (kinds, numbers, options, payload).prop_map(|(kinds, (id, sequence), options, payload)| {
        let [ipv6, udp, dont_fragment, ends, pushes, reduced] = kinds;
        let flags = ACK + u8::from(ends) * FIN + u8::from(pushes) * PSH + u8::from(reduced) * CWR;
        Sample { id, dont_fragment, sequence, flags, options, payload, ..Sample::new(ipv6, udp) }
    })
}

proptest! {
    #[test]
    fn a_super_segment_becomes_the_packets_that_its_sender_would_have_made(sample in sample(), segment in 1u16..1500) {
        // So few that the test is done in a moment
        let segment = segment.max(sample.payload.len() as u16 / 64 + 1);
        let packets = packets(&sample.offload(segment), &sample.unfinished(), 9000).unwrap();
        prop_assert_eq!(packets, expected(&sample, segment.into()));
    }

    #[test]
    fn the_checksum_of_a_packet_is_finished(sample in sample()) {
        let packets = packets(&sample.offload(0), &sample.unfinished(), 9000).unwrap();
        prop_assert_eq!(packets, [sample.packet()]);
    }

    #[test]
    fn segments_that_are_too_long_for_the_mtu_are_cut_to_it(sample in sample(), mtu in 1280u16..1500) {
        let sample = Sample { udp: false, ..sample };
        let most = usize::from(mtu) - sample.header_len();
        let packets = packets(&sample.offload(8900), &sample.unfinished(), mtu).unwrap();
        prop_assert_eq!(packets, expected(&sample, most));
    }

    #[test]
    fn any_header_and_any_octets_are_survived(
        header: [u8; NetHeader::LEN],
        mut octets in proptest::collection::vec(any::<u8>(), 0..300),
        kind in 0u8..7,
        start in prop_oneof![Just(20u16), Just(40), any::<u16>()],
        offset in prop_oneof![Just(6u16), Just(16), any::<u16>()],
    ) {
        if let Some(first) = octets.first_mut() { *first = if *first & 0x80 == 0 { 0x45 } else { 0x60 } }
        let mut header = NetHeader { checksum_start: start, checksum_offset: offset, ..NetHeader::parse(&header) };
        header.kind = NetHeader::parse(&[0, kind, 0, 0, 0, 0, 0, 0, 0, 0]).kind;
        let total: usize = packets(&header, &octets, 1420).unwrap_or_default().iter().map(Vec::len).sum();
        prop_assert!(total <= octets.len() * 300);
    }
}

#[test]
fn what_contradicts_itself_is_refused() {
    let sample = Sample { payload: vec![1; 3000], ..Sample::new(false, false) };
    let (good, packet) = (sample.offload(1000), sample.unfinished());
    assert_eq!(packets(&good, &packet, 1420).map(|packets| packets.len()), Some(3));
    for bad in [
        NetHeader { segment: 0, ..good },
        NetHeader { needs_checksum: false, ..good },
        NetHeader { kind: Kind::TcpIpv6, ..good },
        NetHeader { kind: Kind::Unknown(0x81), ..good },
        NetHeader { checksum_start: 24, ..good },
        NetHeader { checksum_start: 4000, ..good },
        NetHeader { checksum_offset: 6, ..good },
        NetHeader { kind: Kind::Single, checksum_start: 3039, ..good },
    ] {
        assert_eq!(packets(&bad, &packet, 1420), None, "{bad:?}");
    }
    assert_eq!(packets(&good, &packet[..40], 1420), None, "no payload");
    assert_eq!(packets(&good, &packet, 40), None, "headers alone fill the MTU");
}

#[test]
fn a_datagram_whose_checksum_is_zero_is_not_sent_without_one() {
    let sample = Sample::new(true, true).summing_to_zero();
    let single = packets(&sample.offload(0), &sample.unfinished(), 1420).unwrap();
    assert_eq!((single.as_slice(), &single[0][46..48]), (&[sample.packet()][..], &[0xff; 2][..]));
    let twice = Sample { payload: sample.payload.repeat(2), ..sample.clone() };
    assert_eq!(packets(&sample.offload(2), &twice.unfinished(), 1420).unwrap(), vec![sample.packet(); 2]);
}

#[test]
fn extension_headers_are_repeated() {
    let sample = Sample { payload: vec![3; 2500], ..Sample::new(true, false) };
    let mut packet = sample.unfinished();
    let padding = [6, 0, 1, 4, 0, 0, 0, 0]; // destination options with nothing in them, before TCP
    packet.splice(40..40, padding);
    packet[6] = 60;
    packet[5] = packet[5].wrapping_add(8);
    let header = NetHeader { checksum_start: 48, ..sample.offload(1000) };
    for (mut found, expected) in packets(&header, &packet, 1420).unwrap().into_iter().zip(expected(&sample, 1000)) {
        assert_eq!(found.drain(40..48).collect::<Vec<_>>(), padding);
        assert_eq!(usize::from(u16::from_be_bytes([found[4], found[5]])), found.len() - 40 + 8);
        assert_eq!(found[40..], expected[40..]);
        assert_eq!(transport_checksum(&expected), 0);
    }
}
