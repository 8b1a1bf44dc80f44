#![allow(clippy::unwrap_used)]

use std::fmt::Debug;
use std::time::Duration;

use bgpd::policy::{NewNextHop, PathPattern, PrefixRange, Wildcard};
use bgpd::types::{Asn, Community, ExtendedCommunity, HoldTime, LargeCommunity};
use toml::de::DeValue;
use wgd::settings::Endpoint;

use super::*;
use crate::{Context, OnStop, no_secrets};

/// Reads one value as TOML writes it.
fn read<T: Value>(text: &str) -> Option<T> {
    let value = DeValue::parse(text).unwrap();
    let context = Context {
        default_router_id: None,
        default_on_stop: OnStop::Withdraw,
        now: std::time::SystemTime::UNIX_EPOCH,
        env: &|_| None,
        secrets: &no_secrets,
    };
    T::read(Node { file: 0, value: &value, context: &context }).ok()
}

fn all_are<T: Value + Debug + PartialEq>(texts: &[&str], expected: &T) {
    for text in texts {
        assert_eq!(read::<T>(text).as_ref(), Some(expected), "{text}");
    }
}

fn none_is<T: Value + Debug + PartialEq>(texts: &[&str]) {
    for text in texts {
        assert_eq!(read::<T>(text), None, "{text}");
    }
}

#[test]
fn durations_have_a_unit_or_are_seconds() {
    all_are(&["120", "'120s'", "'2m'", "'120000ms'", "0x78"], &Interval(Duration::from_secs(120)));
    all_are(&["'1h'"], &Interval(Duration::from_secs(3600)));
    none_is::<Interval>(&[
        "0", "-1", "1.5", "'s'", "'1'", "'1 s'", "'1d'", "'-1s'", "'999ms'", "65536", "true", "['1s']",
    ]);
    none_is::<Interval>(&["'99999999999999999999s'", "'18446744073709551615h'", "99999999999999999999"]);
    all_are(&["0", "'0s'", "'0ms'"], &IntervalOrNever(None));
    all_are(&["25"], &IntervalOrNever(Some(Duration::from_secs(25))));
}

#[test]
fn a_hold_time_is_zero_or_three_whole_seconds_and_more() {
    all_are(&["0"], &HoldTime::new(0).unwrap());
    all_are(&["3", "'3s'", "'3000ms'"], &HoldTime::new(3).unwrap());
    none_is::<HoldTime>(&["1", "2", "65536", "'3500ms'", "'19h'", "'3'"]);
}

#[test]
fn endpoints_are_addresses_or_names_with_a_port() {
    all_are(&["'192.0.2.1:51820'"], &Endpoint::Address("192.0.2.1:51820".parse().unwrap()));
    all_are(&["'[2001:db8::1]:1'"], &Endpoint::Address("[2001:db8::1]:1".parse().unwrap()));
    all_are(&["'gw.example.net.:1'"], &Endpoint::Name("gw.example.net.".to_owned(), 1));
    all_are(&["'gw_1:65535'"], &Endpoint::Name("gw_1".to_owned(), 65535));
    none_is::<Endpoint>(&["'gw'", "'gw:0'", "'gw:65536'", "':1'", "'192.0.2.256:1'", "'2001:db8::1:51820'", "'a b:1'"]);
    none_is::<Endpoint>(&["'-a.b:1'", "'a-.b:1'", "'a..b:1'", "'0.0.0.0:1'", "'[::]:1'", "51820"]);
}

#[test]
fn prefix_ranges_are_written_as_in_every_router() {
    let range = |min, max| PrefixRange { prefix: "10.0.0.0/8".parse().unwrap(), min, max };
    all_are(&["'10.0.0.0/8'"], &range(8, 8));
    all_are(&["'10.0.0.0/8 le 24'", "'10.0.0.0/8  le  24'"], &range(8, 24));
    all_are(&["'10.0.0.0/8 ge 24'"], &range(24, 32));
    all_are(&["'10.0.0.0/8 ge 9 le 24'"], &range(9, 24));
    none_is::<PrefixRange>(&["'10.0.0.0/8 le 24 ge 9'", "'10.0.0.0/8 ge 25 le 24'", "'10.0.0.0/8 ge'", "'10.0.0.0'"]);
    none_is::<PrefixRange>(&["'10.0.0.1/8'", "'fd00::/8 le 129'", "'10.0.0.0/8 le 4294967297'", "'le 8'", "''", "8"]);
}

#[test]
fn ranges_of_numbers_are_exact_or_bounded() {
    all_are(&["3"], &NumberRange(3..=3));
    all_are(&["'le 3'"], &NumberRange(0..=3));
    all_are(&["'ge 2'"], &NumberRange(2..=u32::MAX));
    all_are(&["'ge 2 le 3'"], &NumberRange(2..=3));
    none_is::<NumberRange>(&["-1", "''", "'3'", "'ge 3 le 2'"]);
}

#[test]
fn communities_have_their_registered_names() {
    all_are(&["'64513:100'"], &Wildcard::from(Community(64513 << 16 | 100)));
    all_are(&["'no-export'", "'65535:65281'"], &Wildcard::from(Community::NO_EXPORT));
    all_are(&["'accept-own'"], &Wildcard::from(Community(0xFFFF_0001)));
    let refused = ["'65536:1'", "'1:65536'", "'+1:1'", "'1'", "'1:2:3'", "'internet'", "1", "'1:1*'"];
    none_is::<Wildcard<Community>>(&refused);
    let large = LargeCommunity { global: 1, local1: 2, local2: u32::MAX };
    all_are(&["'1:2:4294967295'"], &Wildcard::from(large));
    none_is::<Wildcard<LargeCommunity>>(&["'1:2'", "'1:2:3:4'", "'1:2:4294967296'", "'::'", "'1:2:'"]);
}

#[test]
fn any_number_of_a_community_may_be_any() {
    let standard = |value, mask| Wildcard::new(Community(value), Community(mask));
    all_are(&["'64513:*'"], &standard(64513 << 16, 0xFFFF_0000));
    all_are(&["'*:100'"], &standard(100, 0xFFFF));
    all_are(&["'*:*'"], &standard(0, 0));
    let large = LargeCommunity { global: 7, local1: 0, local2: 9 };
    let mask = LargeCommunity { global: u32::MAX, local1: 0, local2: u32::MAX };
    all_are(&["'7:*:9'"], &Wildcard::new(large, mask));
    let extended = |value, mask| Wildcard::new(ExtendedCommunity(value), ExtendedCommunity(mask));
    all_are(&["'rt:64513:*'"], &extended(0x0002_FC01_0000_0000, 0xFFFF_FFFF_0000_0000));
    all_are(&["'ro:70000:*'", "'soo:70000:*'"], &extended(0x0203_0001_1170_0000, 0xFFFF_FFFF_FFFF_0000));
    none_is::<Wildcard<ExtendedCommunity>>(&["'rt:*:1'", "'*:1:1'", "'0x0002fc01********'"]);
}

#[test]
fn extended_communities_know_numbers_of_both_sizes_and_addresses() {
    let one = |octets| Wildcard::from(ExtendedCommunity(octets));
    all_are(&["'rt:64513:100'", "'0x0002fc0100000064'"], &one(0x0002_FC01_0000_0064));
    all_are(&["'ro:70000:9'", "'soo:70000:9'"], &one(0x0203_0001_1170_0009));
    all_are(&["'rt:10.0.0.1:9'"], &one(0x0102_0A00_0001_0009));
    none_is::<Wildcard<ExtendedCommunity>>(&["'rt:70000:70000'", "'rt:10.0.0.1:65536'", "'so:1:2'", "'0x2'", "'rt:1'"]);
    none_is::<Wildcard<ExtendedCommunity>>(&["'0x+002fc010000006'"]);
}

#[test]
fn extended_communities_are_shown_as_they_are_written() {
    for text in ["rt:64513:100", "ro:70000:9", "rt:10.0.0.1:9", "0x0302fc0100000064", "0x020200000001000a"] {
        let community = ExtendedCommunity::parse(text).unwrap().exact().unwrap();
        assert_eq!(community.to_string(), text);
    }
}

#[test]
fn a_path_holds_numbers_or_matches_an_expression() {
    all_are(&["64512"], &PathItem::Asn(Asn::new(64512).unwrap()));
    all_are(&["'^64512_'"], &PathItem::Pattern(PathPattern::new("^64512_").unwrap()));
    none_is::<PathItem>(&["'64512'", "'64512 64513'", "''", "'(1'", "0", "4294967296", "'_1.{200}_1.{200}'"]);
}

#[test]
fn addresses_of_neighbors_are_unicast_and_link_local_ones_have_a_zone() {
    let zoned = NeighborAddress { address: "fe80::1".parse().unwrap(), zone: Some("eth0".to_owned()) };
    all_are(&["'fe80::1%eth0'"], &zoned);
    let plain = NeighborAddress { address: "169.254.64.1".parse().unwrap(), zone: None };
    all_are(&["'169.254.64.1'"], &plain);
    none_is::<NeighborAddress>(&["'fe80::1'", "'fe80::1%'", "'fe80::1%a/b'", "'fd00::1%eth0'", "'0.0.0.0'", "'::'"]);
    none_is::<NeighborAddress>(&["'::ffff:10.0.0.1'", "'::ffff:a00:1'"]);
    none_is::<NeighborAddress>(&["'224.0.0.5'", "'ff02::1'", "'255.255.255.255'", "'gw.example.net'", "1"]);
}

#[test]
fn a_next_hop_is_the_address_of_a_host_or_ourselves() {
    all_are(&["'self'"], &NewNextHop::Ourselves);
    all_are(&["'10.0.0.1'"], &NewNextHop::Address("10.0.0.1".parse().unwrap()));
    all_are(&["'fd00::1'"], &NewNextHop::Address("fd00::1".parse().unwrap()));
    none_is::<NewNextHop>(&["'::ffff:10.0.0.1'", "'0.0.0.0'", "'224.0.0.5'", "'gw'", "1"]);
}

#[test]
fn names_can_stand_in_commands() {
    all_are(&["'home-lab_1.a'"], &Name("home-lab_1.a".to_owned()));
    none_is::<Name>(&["''", "'a/b'", "'a b'", "'a\tb'", "1"]);
    all_are(&["'wg-home0'"], &InterfaceName("wg-home0".to_owned()));
    none_is::<InterfaceName>(&["''", "'.'", "'..'", "'a/b'", "'wg%d'", "'sixteen-octets--'", "'wg 0'"]);
}

#[test]
fn every_item_of_a_list_is_refused_on_its_own() {
    let text = "['10.0.0.0/8', '10.0.0.1/8', 5, 'fd00::/8', '10.0.0.0']";
    let value = DeValue::parse(text).unwrap();
    let context = Context {
        default_router_id: None,
        default_on_stop: OnStop::Withdraw,
        now: std::time::SystemTime::UNIX_EPOCH,
        env: &|_| None,
        secrets: &no_secrets,
    };
    let wrongs = Vec::<Prefix>::read(Node { file: 0, value: &value, context: &context }).unwrap_err().0;
    let found: Vec<_> = wrongs.iter().map(|wrong| &text[wrong.place.start..wrong.place.end]).collect();
    assert_eq!(found, ["'10.0.0.1/8'", "5", "'10.0.0.0'"]);
}
