//! RFC 7911, octet by octet: who sends several paths to whom, and how they come and go.

use bgpd::settings::AddPath;
use bgpd::types::{Families, Family};
use bgpd::view::SessionState;
use bgpd::wire::Notification;

use crate::frame::{AS_PATH, GATEWAY, NEXT_HOP, ORIGIN, Scene};
use crate::octets::{octets, update, updates};
use crate::settings::originate;

/// Both families, both ways.
const BOTH: &str = "45 08 00010103 00020103";
/// How 10.20.0.0/16 and fd00:20::/32, which are ours, are announced.
const OURS: &str = "40 01 01 00  40 02 06 02 01 0000FC00";
const OUR_NEXT_HOP: &str = "40 03 04 0A000001";

fn several(capability: &str, ours: Option<AddPath>) -> Scene {
    Scene::opened(capability, |says| says.session.add_path = ours).0
}

/// MP_REACH_NLRI of IPv6 prefixes, its length in two octets as we write it.
fn mp_reach(next_hop: &str, nlri: &str) -> String {
    let value = format!("0002 01 10 {next_hop} 00 {nlri}");
    format!("90 0E {:04X} {value}", octets(&value).len())
}

const THEIR_IPV6: &str = "FD000000000000000000000000000011";
const OUR_IPV6: &str = "FD000000000000000000000000000001";

/// What we ask for, what the neighbor offers, and whether we then send identifiers of IPv4 and IPv6 paths, and take them
/// (§4: one side must send, the other receive).
#[test]
fn identifiers_are_there_where_one_side_sends_and_the_other_receives() {
    let none = Families::NONE;
    let lines = [
        ("both and both", Some(AddPath::Both), BOTH, Families::ALL, Families::ALL),
        ("we send, it receives", Some(AddPath::Send), "45 08 00010101 00020101", Families::ALL, none),
        ("we receive, it sends", Some(AddPath::Receive), "45 08 00010102 00020102", none, Families::ALL),
        ("both send", Some(AddPath::Send), "45 08 00010102 00020102", none, none),
        ("both receive", Some(AddPath::Receive), "45 08 00010101 00020101", none, none),
        ("it does neither", Some(AddPath::Both), "", none, none),
        ("we do neither", None, BOTH, none, none),
        ("one family", Some(AddPath::Both), "45 04 00020103", Families::IPV6, Families::IPV6),
        ("a way for each family", Some(AddPath::Both), "45 08 00010101 00020102", Families::IPV4, Families::IPV6),
        ("a mode that is none (§4)", Some(AddPath::Both), "45 08 00010104 00020100", none, none),
        ("a family that nobody knows", Some(AddPath::Both), "45 08 00190103 00010103", Families::IPV4, Families::IPV4),
        ("a length that it cannot have", Some(AddPath::Both), "45 07 00010103 000201", none, none),
    ];
    for (what, ours, theirs, sent, received) in lines {
        let mut scene = several(theirs, ours);
        scene.answer();
        let id = |family| if sent.contains(family) { "00000001" } else { "" };
        scene.reload_all(|settings| settings.originate = vec![originate("10.20.0.0/16"), originate("fd00:20::/32")]);
        let ipv4 = update("", &[OURS, OUR_NEXT_HOP], &format!("{} 10 0A14", id(Family::Ipv4)));
        let ipv6 = mp_reach(OUR_IPV6, &format!("{} 20 FD000020", id(Family::Ipv6)));
        let heard = updates(&scene.answer());
        assert_eq!(heard, updates(&[ipv4, update("", &[&ipv6, OURS], "")].concat()), "{what}: {heard:02x?}");

        let id = |family| if received.contains(family) { "00000007" } else { "" };
        scene.say(&update("", &[ORIGIN, AS_PATH, NEXT_HOP], &format!("{} 10 0A01", id(Family::Ipv4))));
        scene.say(&update(
            "",
            &[&mp_reach(THEIR_IPV6, &format!("{} 20 FD000001", id(Family::Ipv6))), ORIGIN, AS_PATH],
            "",
        ));
        for (family, prefix) in [(Family::Ipv4, "10.1.0.0/16"), (Family::Ipv6, "fd00:1::/32")] {
            let path = &scene.network.route(GATEWAY, prefix).unwrap_or_else(|| panic!("{what}: no {prefix}")).paths[0];
            assert_eq!(path.path_id, received.contains(family).then_some(7), "{what}: {prefix}");
        }
    }
}

/// Identifiers of the paths to both prefixes, the best first.
fn ids(scene: &Scene) -> [Vec<u32>; 2] {
    ["10.1.0.0/16", "fd00:1::/32"].map(|prefix| {
        let route = scene.network.route(GATEWAY, prefix);
        let mut ids: Vec<_> = route.iter().flat_map(|route| &route.paths).filter_map(|path| path.path_id).collect();
        ids.sort_unstable();
        ids
    })
}

/// What is said, and the identifiers of the paths of each family that are there then.
type Step = (&'static str, Vec<u8>, [&'static [u32]; 2]);

/// §3 and §5: in every field of both families, a prefix and an identifier are a path.
#[test]
fn paths_come_and_go_by_prefix_and_identifier() {
    let mut scene = several(BOTH, Some(AddPath::Both));
    let announce = |nlri| update("", &[ORIGIN, AS_PATH, NEXT_HOP], nlri);
    let mp_announce = |nlri| update("", &[&mp_reach(THEIR_IPV6, nlri), ORIGIN, AS_PATH], "");
    let steps: [Step; 9] = [
        ("IPv4, 1", announce("00000001 10 0A01"), [&[1], &[]]),
        ("IPv4, the greatest", announce("FFFFFFFF 10 0A01"), [&[1, u32::MAX], &[]]),
        ("IPv4, 0, which is one too", announce("00000000 10 0A01"), [&[0, 1, u32::MAX], &[]]),
        ("IPv4, one again", announce("00000001 10 0A01"), [&[0, 1, u32::MAX], &[]]),
        ("IPv6, two at once", mp_announce("00000001 20 FD000001 00000002 20 FD000001"), [&[0, 1, u32::MAX], &[1, 2]]),
        ("IPv4, one goes", update("00000001 10 0A01", &[], ""), [&[0, u32::MAX], &[1, 2]]),
        ("IPv4, one that is not there", update("00000005 10 0A01", &[], ""), [&[0, u32::MAX], &[1, 2]]),
        ("IPv6, one goes", update("", &["80 0F 0C 0002 01 00000002 20 FD000001"], ""), [&[0, u32::MAX], &[1]]),
        (
            "IPv4, malformed (RFC 7606 §2): the one that it names",
            update("", &["40 01 01 07", AS_PATH, NEXT_HOP], "00000000 10 0A01"),
            [&[u32::MAX], &[1]],
        ),
    ];
    for (what, says, expected) in steps {
        scene.say(&says);
        assert_eq!(ids(&scene), expected, "{what}");
        assert_eq!(scene.network.state(GATEWAY, "says"), SessionState::Established, "{what}");
    }
    let heard = scene.hears.hear(&mut scene.network);
    assert!(heard.iter().all(|line| !line.contains('#')), "who has not agreed to it hears of one path: {heard:?}");
}

/// RFC 7606 §5.3, with identifiers.
#[test]
fn paths_that_cannot_be_told_apart_end_the_session() {
    let announce = |nlri| update("", &[ORIGIN, AS_PATH, NEXT_HOP], nlri);
    let cut = "80 0F 07 0002 01 00000001";
    let long = "80 0F 09 0002 01 00000001 81 FD";
    let beyond = mp_reach(THEIR_IPV6, "00000001 20 FD0000");
    let lines = [
        ("without identifiers", announce("10 0A01"), (3, 10, "")),
        ("an identifier alone", announce("00000001"), (3, 10, "")),
        ("half an identifier behind a path", announce("00000001 10 0A01 0000"), (3, 10, "")),
        ("33 bits", announce("00000001 21 0A01000080"), (3, 10, "")),
        ("a prefix beyond the field", announce("00000001 18 0A01"), (3, 10, "")),
        ("withdrawn without identifiers", update("10 0A01", &[], ""), (3, 10, "")),
        ("an IPv6 identifier alone", update("", &[cut], ""), (3, 9, cut)),
        ("129 bits", update("", &[long], ""), (3, 9, long)),
        ("an IPv6 prefix beyond its attribute", update("", &[&beyond, ORIGIN, AS_PATH], ""), (3, 9, &*beyond)),
    ];
    for (what, says, (code, subcode, data)) in lines {
        let mut scene = several(BOTH, Some(AddPath::Both));
        scene.answer();
        scene.say(&says);
        scene.ends(what, &Notification { data: octets(data), ..Notification::new(code, subcode) });
    }
}
