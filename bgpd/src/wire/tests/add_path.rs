//! Path identifiers in NLRI (RFC 7911 §3).

use super::*;

fn several() -> Context {
    Context { paths_received: Families::ALL, paths_sent: Families::ALL, ..external() }
}

fn net(text: &str) -> IpNet {
    text.parse().unwrap()
}

#[test]
fn an_identifier_stands_before_each_prefix() {
    let body = [&[0, 0, 0, 7][..], TEN, &[0xFF, 0xFF, 0xFF, 0xFF, 0]].concat();
    let frame = update_message(&body, &[], &[]);
    let found: Vec<_> = update(&frame, &several()).withdrawn.paths().collect();
    assert_eq!(found, [(Some(7), net("10.0.0.0/8")), (Some(u32::MAX), net("0.0.0.0/0"))]);
    let found: Vec<_> = update(&update_message(TEN, &[], &[]), &external()).withdrawn.paths().collect();
    assert_eq!(found, [(None, net("10.0.0.0/8"))]);
}

#[test]
fn a_family_that_was_not_agreed_on_has_none() {
    let ipv6_only = Context { paths_received: Families::IPV6, ..external() };
    let frame = update_message(TEN, &[], &[]);
    assert_eq!(update(&frame, &ipv6_only).withdrawn.paths().next(), Some((None, net("10.0.0.0/8"))));
}

#[test]
fn an_identifier_that_is_cut_off_is_an_invalid_network_field() {
    for broken in [&[0, 0, 0][..], &[0, 0, 0, 7], &[0, 0, 0, 7, 8], &[0, 0, 0, 7, 33, 1, 2, 3, 4, 5]] {
        let frame = update_message(broken, &[], &[]);
        assert_eq!(answer(&decode(&frame, &several()).unwrap_err()), (3, 10, vec![]), "{broken:?}");
    }
}

#[test]
fn what_is_written_is_read_again_in_both_families() {
    let attributes = PathAttributes { as_path: [asn(64512)].into_iter().collect(), ..PathAttributes::default() };
    for (prefixes, next_hop) in [(["10.0.0.0/8", "10.1.0.0/16"], "192.0.2.1"), (["fd00::/8", "::/0"], "fd00::1")] {
        let paths: Vec<(u32, IpNet)> = (1..).zip(prefixes.map(net)).collect();
        let mut out = BytesMut::new();
        let next_hop = next_hop.parse::<IpAddr>().unwrap().into();
        assert_eq!(write_reach(&mut out, &several(), &attributes, next_hop, &paths), 2);
        let read = update(&out, &several());
        let nlri = read.mp_nlri.map_or(read.nlri, |(_, nlri)| nlri);
        let found: Vec<_> = nlri.paths().map(|(id, prefix)| (id.unwrap(), prefix)).collect();
        assert_eq!(found, paths);
        out.clear();
        assert_eq!(write_unreach(&mut out, &several(), &paths), 2);
        let read = update(&out, &several());
        let found: Vec<_> =
            read.mp_withdrawn.unwrap_or(read.withdrawn).paths().map(|(id, prefix)| (id.unwrap(), prefix)).collect();
        assert_eq!(found, paths);
    }
}

#[test]
fn no_message_is_longer_than_it_may_be() {
    let paths: Vec<(u32, IpNet)> = (0..2000).map(|id| (id, net("10.0.0.0/24"))).collect();
    let mut out = BytesMut::new();
    let count = write_unreach(&mut out, &several(), &paths);
    assert_eq!(count, (MAX_MESSAGE - 23) / 8);
    assert!(out.len() <= MAX_MESSAGE);
}
