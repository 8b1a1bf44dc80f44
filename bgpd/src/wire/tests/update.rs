//! UPDATE.

use super::*;

#[test]
fn what_is_announced_is_what_is_read() {
    let attributes = PathAttributes {
        as_path: [asn(64512), asn(4_200_000_001)].into_iter().collect(),
        med: Some(7),
        ..Default::default()
    };
    for (context, four) in [(external(), true), (Context { four_octet_as: false, ..external() }, false)] {
        let mut out = BytesMut::new();
        let prefixes = [net("10.0.0.0/8"), net("0.0.0.0/0"), net("192.168.2.1/32")];
        let next_hop = MpNextHop { address: IpAddr::V4(Ipv4Addr::new(169, 254, 64, 2)), link_local: None };
        assert_eq!(write_reach(&mut out, &context, &attributes, next_hop, &prefixes), 3);
        let Message::Update(update) = decode(&out, &context).unwrap() else { panic!("{four}") };
        assert!(update.nlri.iter().eq(prefixes));
        let parsed = update.attributes.parse(&context);
        assert_eq!(parsed.errors, []);
        assert_eq!(parsed.attributes, attributes);
    }
}

#[test]
fn ipv6_round_trip() {
    let attributes = PathAttributes { as_path: [asn(64512)].into_iter().collect(), ..Default::default() };
    let context = external();
    let mut out = BytesMut::new();
    let prefixes = [net("2001:db8::/32"), net("::/0"), net("2001:db8::1/128")];
    let next_hop = MpNextHop {
        address: IpAddr::V6("fd64:64::2".parse::<Ipv6Addr>().unwrap()),
        link_local: Some("fe80::1".parse().unwrap()),
    };
    assert_eq!(write_reach(&mut out, &context, &attributes, next_hop, &prefixes), 3);
    let Message::Update(update) = decode(&out, &context).unwrap() else { panic!() };
    let (found, nlri) = update.mp_nlri.unwrap();
    assert_eq!(found, next_hop);
    assert!(nlri.iter().eq(prefixes));
    assert_eq!(nlri.family, Family::Ipv6);
    assert_eq!(update.attributes.parse(&context).attributes, attributes);
}
