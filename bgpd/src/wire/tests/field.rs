//! What GoBGP 3.10 (the engine inside Cilium), BIRD 2.0.12 and FRR 8.4.4 put on the wire, recorded.

use super::*;
use crate::types::{Community, LargeCommunity};

/// The octets of a hexadecimal text.
fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<u32> = text.chars().filter_map(|digit| digit.to_digit(16)).collect();
    digits.chunks(2).map(|pair| (pair[0] << 4 | pair[1]) as u8).collect()
}

fn capabilities(body: &str) -> Vec<String> {
    match decode(&message(OPEN, &hex(body)), &external()) {
        Ok(Message::Open(open)) => open.capabilities.iter().map(Capability::name).collect(),
        other => panic!("{other:?}"),
    }
}

/// What an UPDATE says that has no fault.
fn read(body: &str, context: &Context) -> (ParsedAttributes, Vec<String>) {
    let frame = message(UPDATE, &hex(body));
    let update = update(&frame, context);
    let parsed = update.attributes.parse(context);
    assert_eq!(parsed.errors, []);
    let nlri = update.mp_nlri.map_or(update.nlri, |(_, nlri)| nlri);
    (parsed, texts(nlri))
}

#[test]
fn the_open_of_gobgp() {
    let names = capabilities(
        "04fc00005a0a6300023202300200490402766d0001040001000101040002000141040000fc00400a405a000101000002010047000506000100010002",
    );
    let expected = [
        "route-refresh",
        "fqdn",
        "multiprotocol ipv4",
        "multiprotocol ipv6",
        "four-octet-as",
        "graceful-restart 90s N ipv4 ipv6",
        "long-lived-graceful-restart",
        "extended-next-hop",
    ];
    assert_eq!(names, expected);
}

#[test]
fn the_open_of_bird() {
    let names = capabilities(
        "04fc0000f00a6300022602240104000100010104000200010200400a0078000101000002010041040000fc0046004700",
    );
    let expected = [
        "multiprotocol ipv4",
        "multiprotocol ipv6",
        "route-refresh",
        "graceful-restart 120s ipv4 ipv6",
        "four-octet-as",
        "enhanced-route-refresh",
        "long-lived-graceful-restart",
    ];
    assert_eq!(names, expected);
}

#[test]
fn the_open_of_frr_in_the_extended_form() {
    let names = capabilities(
        "04fc0000b40a630002ffff006402000601040001000102000601040002000102000280000200020200020002460002000641040000fc0002
         0002060002000a4508000101010002010102000b49090767617465776179000200044002c078020010470e0001018000000000020180000000",
    );
    let expected = [
        "multiprotocol ipv4",
        "multiprotocol ipv6",
        "capability 128",
        "route-refresh",
        "enhanced-route-refresh",
        "four-octet-as",
        "extended-message",
        "add-path ipv4 receive ipv6 receive",
        "fqdn",
        "graceful-restart 120s R N",
        "long-lived-graceful-restart ipv4:F 0s ipv6:F 0s",
    ];
    assert_eq!(names, expected);
}

#[test]
fn gobgp_announces_with_every_attribute() {
    let (parsed, nlri) = read(
        "000000444001010240020e02030000fc00fa56ea010000fdf280040400000005c00708fa56ea0101020304c00804fc000007c0200c0000000100
         000002000000034003040a630002180af402",
        &external(),
    );
    assert_eq!(nlri, ["10.244.2.0/24"]);
    assert_eq!(parsed.next_hop, Some(Ipv4Addr::new(10, 99, 0, 2)));
    let expected = PathAttributes {
        origin: Origin::Incomplete,
        as_path: path(&[64512, 4_200_000_001, 65010]),
        med: Some(5),
        aggregator: Some(Aggregator { asn: asn(4_200_000_001), address: Ipv4Addr::new(1, 2, 3, 4) }),
        communities: vec![Community(64512 << 16 | 7)],
        large_communities: vec![LargeCommunity { global: 1, local1: 2, local2: 3 }],
        ..Default::default()
    };
    assert_eq!(parsed.attributes, expected);
}

#[test]
fn gobgp_says_the_same_to_a_neighbor_with_two_octets() {
    let (parsed, nlri) = read(
        "00000058400101024002080203fc005ba0fdf280040400000005c007065ba001020304c00804fc000007c0200c00000001000000020000000340
         03040a630002c0110e02030000fc00fa56ea010000fdf2c01208fa56ea0101020304180af402",
        &old(),
    );
    assert_eq!(nlri, ["10.244.2.0/24"]);
    assert_eq!(parsed.attributes.as_path, path(&[64512, 4_200_000_001, 65010]));
    let aggregator = Aggregator { asn: asn(4_200_000_001), address: Ipv4Addr::new(1, 2, 3, 4) };
    assert_eq!(parsed.attributes.aggregator, Some(aggregator));
}

#[test]
fn gobgp_and_frr_send_a_mapped_next_hop_for_ipv6_over_ipv4() {
    for body in [
        "0000002e4001010240020602010000fc00800e1e0002011000000000000000000000ffff0a6300020040fdd2000000000000",
        "00000036900e001d0002011000000000000000000000ffff0a6300020034fdd214fe0fb000400101005002000602010000fc008004040000
         0000",
    ] {
        let frame = message(UPDATE, &hex(body));
        let update = update(&frame, &external());
        assert_eq!(update.attributes.parse(&external()).errors, []);
        let (next_hop, _) = update.mp_nlri.unwrap();
        assert_eq!(next_hop.address, IpAddr::V6(Ipv4Addr::new(10, 99, 0, 2).to_ipv6_mapped()));
    }
}

#[test]
fn bird_announces_in_both_families() {
    let (parsed, nlri) = read(
        "00000040400101 0040020a02020000fc00fa56ea024003040a63000280040400000007c00804fc000005c010080002fc0000000009c0200c0000
         fc000000000100000002180af500",
        &external(),
    );
    assert_eq!(nlri, ["10.245.0.0/24"]);
    assert_eq!(parsed.attributes.med, Some(7));
    let frame = message(
        UPDATE,
        &hex("0000002f900e001e00020110fd9900000000000000000000000000020040fd640064000000004001010040020602010000fc00"),
    );
    let (next_hop, nlri) = update(&frame, &external()).mp_nlri.unwrap();
    assert_eq!(next_hop, IpAddr::V6("fd99::2".parse().unwrap()).into());
    assert_eq!(texts(nlri), ["fd64:64::/64"]);
}

#[test]
fn bird_ends_its_tables_with_end_of_rib() {
    for (body, family) in [("00000000", Family::Ipv4), ("00000006800f03000201", Family::Ipv6)] {
        let frame = message(UPDATE, &hex(body));
        assert_eq!(update(&frame, &external()).end_of_rib(), Some(family));
    }
}
