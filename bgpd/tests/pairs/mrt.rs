//! The table in the MRT format (RFC 6396), octet by octet.

use std::fmt::Write as _;
use std::time::Duration;

use bgpd::mrt::{self, Collector, TableDump};
use bgpd::settings::AddPath;
use bgpd::speaker::Slice;
use bgpd::types::{Community, Families, LargeCommunity};
use bgpd::wire::{AddPathFamily, Capability, Context, PathAttributes, UnknownAttribute};
use ipnet::IpNet;

use crate::network::{EVERYTHING, Network};
use crate::raw::{Raw, path};
use crate::settings::{Told, address, neighbor, range, router};

const AT: Duration = Duration::from_secs(0x6700_0000);

/// Two neighbors with sessions, one without, and prefixes of everybody.
fn network() -> Network {
    let settings = router(64512, "192.0.2.1")
        .with_range("nodes", range("10.0.0.0/16", 64600, 10))
        .with_neighbor("quiet", neighbor("fd00::9", 4_200_000_000))
        .originating(&["10.9.0.0/16", "fd09::/32"]);
    let mut network = Network::new(1, [(address("10.0.0.1"), settings)]);
    let mut first = Raw::establish(&mut network, 0, "10.0.0.11", 64600);
    let mut second = Raw::establish(&mut network, 0, "10.0.0.12", 64600);
    let attributes = PathAttributes {
        med: Some(7),
        communities: vec![Community(0xFC00_0064)],
        large_communities: vec![LargeCommunity { global: 1, local1: 2, local2: 3 }],
        unknown: vec![UnknownAttribute { code: 99, value: vec![0xAA] }],
        ..path(&[64600, 4_200_000_001])
    };
    first.announce(&mut network, &attributes, "10.0.0.11", &["10.1.2.0/23"]);
    second.announce(&mut network, &path(&[64600]), "10.0.0.12", &["10.1.2.0/23", "10.3.0.0/16"]);
    network.run_for(Duration::from_secs(60));
    second.announce(&mut network, &path(&[64600]), "fd00::12", &["fd01::/20"]);
    network.run_for(Duration::from_secs(5));
    network
}

fn dump(network: &Network, slice: Slice, sequence: u32) -> (Vec<u8>, u32) {
    let speaker = &network.nodes[0].speaker;
    let collector = Collector::new(speaker.settings(), AT);
    let mut dump = TableDump::new(collector, &speaker.neighbors(network.now), sequence);
    speaker.routes(network.now, slice).iter().for_each(|route| dump.route(route));
    let (octets, next) = dump.finish();
    (octets.to_vec(), next)
}

fn hex(octets: &[u8]) -> String {
    octets.iter().fold(String::new(), |mut text, octet| {
        write!(text, "{octet:02x}").unwrap();
        text
    })
}

#[test]
fn a_dump_has_every_path_with_its_neighbor_and_its_attributes() {
    let (octets, next) = dump(&network(), EVERYTHING, 0);
    let lines: Vec<String> = mrt::records(&octets).map(|record| hex(record.octets)).collect();
    assert_eq!(next, 5);
    // Time, type 13, subtype, length; and then what RFC 6396 §4.3 has for it.
    let expected = [
        // Our identifier, no view name, four neighbors; each with its type, identifier, address and AS.
        "67000000 000d 0001 00000048 c0000201 0000 0004 02 c0000201 00000000 0000fc00 02 0a00000b 0a00000b 0000fc58
         02 0a00000c 0a00000c 0000fc58 03 00000000 fd000000000000000000000000000009 fa56ea00",
        // Number, prefix, two paths; each with its neighbor, its time, and its attributes.
        "67000000 000d 0002 00000067 00000000 17 0a0102 0002
         0002 66ffffbf 0014 40010100 4002060201 0000fc58 400304 0a00000c
         0001 66ffffbf 0039 40010100 40020a0202 0000fc58fa56ea01 400304 0a00000b 800404 00000007 c00804 fc000064
         c0200c 000000010000000200000003 e06301 aa",
        "67000000 000d 0002 00000025 00000001 10 0a03 0001 0002 66ffffbf 0014 40010100 4002060201 0000fc58
         400304 0a00000c",
        // Our own: number 0, and no next hop.
        "67000000 000d 0002 0000001f 00000002 10 0a09 0001 0000 66ffffbf 000e 40010100 400200 400304 00000000",
        // Of MP_REACH_NLRI the next hop alone.
        "67000000 000d 0004 00000033 00000003 14 fd0100 0001 0002 66fffffb 0021 40010100 4002060201 0000fc58
         800e11 10 fd000000000000000000000000000012",
        "67000000 000d 0004 0000002e 00000004 20 fd090000 0001 0000 66ffffbf 001b 40010100 400200
         800e11 10 00000000000000000000000000000000",
    ];
    assert_eq!(lines, expected.map(|line| line.split_whitespace().collect::<String>()));
    assert_eq!(lines.concat(), hex(&octets));
}

#[test]
fn paths_with_identifiers_stand_in_records_of_their_own() {
    let settings = router(64512, "192.0.2.1")
        .with_range("nodes", range("10.0.0.0/16", 64600, 10))
        .with_neighbor("several", neighbor("10.0.0.10", 64520))
        .session("several", |session| session.add_path = Some(AddPath::Receive));
    let mut network = Network::new(1, [(address("10.0.0.1"), settings)]);
    let families = [1, 2].map(|afi| AddPathFamily { afi, safi: 1, mode: 2 });
    let agreed = |context: &mut Context| context.paths_sent = Families::ALL;
    let capabilities = [Capability::AddPath(families.to_vec())];
    let mut several = Raw::with(&mut network, 0, "10.0.0.10", 64520, &capabilities, agreed);
    let mut plain = Raw::establish(&mut network, 0, "10.0.0.11", 64600);
    several.announce_paths(&mut network, &path(&[64520]), "10.0.0.10", &[(1, "10.1.0.0/16")]);
    several.announce_paths(&mut network, &path(&[64520, 65001]), "10.0.0.10", &[(0x0102_0304, "10.1.0.0/16")]);
    several.announce_paths(&mut network, &path(&[64520]), "fd00::10", &[(9, "fd01::/20")]);
    plain.announce(&mut network, &path(&[64600]), "10.0.0.11", &["10.1.0.0/16"]);
    network.run_for(Duration::from_secs(5));
    let (octets, next) = dump(&network, EVERYTHING, 0);
    assert_eq!(next, 3);
    let lines: Vec<String> = mrt::records(&octets).skip(1).map(|record| hex(record.octets)).collect();
    // RFC 8050 §4: the identifier stands after the time.
    let expected = [
        "67000000 000d 0002 00000025 00000000 10 0a01 0001 0001 67000000 0014 40010100 4002060201 0000fc58
         400304 0a00000b",
        "67000000 000d 0008 0000004d 00000001 10 0a01 0002
         0002 67000000 00000001 0014 40010100 4002060201 0000fc08 400304 0a00000a
         0002 67000000 01020304 0018 40010100 40020a0202 0000fc08 0000fde9 400304 0a00000a",
        "67000000 000d 000a 00000037 00000002 14 fd0100 0001 0002 67000000 00000009 0021 40010100 4002060201 0000fc08
         800e11 10 fd000000000000000000000000000010",
    ];
    let times = |line: &str| line.replace("66fffffb", "67000000");
    let lines: Vec<String> = lines.iter().map(|line| times(line)).collect();
    assert_eq!(lines, expected.map(|line| line.split_whitespace().collect::<String>()));
    let prefixes: Vec<_> = mrt::records(&octets).filter_map(|record| record.prefix()).collect();
    assert_eq!(prefixes, ["10.1.0.0/16", "10.1.0.0/16", "fd01::/20"].map(|text| text.parse::<IpNet>().unwrap()));
}

#[test]
fn slices_go_on_where_the_last_one_ended() {
    let network = network();
    let (whole, _) = dump(&network, EVERYTHING, 0);
    let (mut sequence, mut after, mut joined) = (0, None, Vec::new());
    loop {
        let (octets, next) = dump(&network, Slice { after, limit: 2, within: None }, sequence);
        let mut records = mrt::records(&octets);
        let table = records.next().unwrap();
        assert!(table.is_peer_index_table() && table.prefix().is_none());
        if joined.is_empty() {
            joined.extend_from_slice(table.octets);
        }
        let before = joined.len();
        for record in records {
            after = record.prefix();
            joined.extend_from_slice(record.octets);
        }
        if joined.len() == before {
            break;
        }
        sequence = next;
    }
    assert_eq!(hex(&joined), hex(&whole));
    let prefixes: Vec<IpNet> = mrt::records(&whole).filter_map(|record| record.prefix()).collect();
    let shown: Vec<IpNet> = network.routes(0).iter().map(|route| route.prefix).collect();
    assert_eq!(prefixes, shown);
}

#[test]
fn what_is_no_dump_has_no_records() {
    let (octets, _) = dump(&network(), EVERYTHING, 0);
    assert_eq!(mrt::records(&octets[..octets.len() - 1]).count(), 5); // the last is not whole
    assert_eq!(mrt::records(&[0xFF; 64]).count(), 0);
    assert_eq!(mrt::records(&[]).count(), 0);
}
