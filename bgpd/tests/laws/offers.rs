//! What our OPEN says, octet by octet, with every capability that settings ask for (RFC 5492 §4).

use std::time::Duration;

use bgpd::role::Role;
use bgpd::settings::{AddPath, GracefulRestartSettings, NeighborSettings};
use bgpd::speaker::{Input, Restarted};
use bgpd::types::{Families, HoldTime};

use crate::frame::GATEWAY;
use crate::network::Network;
use crate::octets::{opening, opening_of};
use crate::raw::Raw;
use crate::settings::{Told, address, asn, neighbor, router};

/// Both families, route refresh, four-octet AS 64512, IPv4 over IPv6, and extended messages.
const FIRST: &str = "01 04 00010001 01 04 00020001 02 00 41 04 0000FC00";
const USUAL: &str = "05 06 0001 0001 0002 06 00";
/// The enhanced refresh.
const LAST: &str = "46 00";

/// A line: how the neighbor is configured, our AS, the hold time, and the capabilities.
type Line = (&'static str, fn(&mut NeighborSettings), &'static str, &'static str, String);

fn line(what: &'static str, configured: fn(&mut NeighborSettings), between: &str, behind: &str) -> Line {
    (what, configured, "FC00", "005A", format!("{FIRST} {USUAL} {between} {LAST} {behind}"))
}

fn lines() -> Vec<Line> {
    vec![
        line("nothing special", |_| (), "", ""),
        ("a hold time of 3 s", |says| says.session.hold_time = HoldTime::new(3).unwrap(), "FC00", "0003", {
            format!("{FIRST} {USUAL} {LAST}")
        }),
        ("without extended messages (RFC 8654 §3)", |says| says.session.extended_messages = false, "FC00", "005A", {
            format!("{FIRST} 05 06 0001 0001 0002 {LAST}")
        }),
        ("without IPv4 over IPv6 (RFC 8950 §4)", |says| says.session.extended_next_hop = false, "FC00", "005A", {
            format!("{FIRST} 06 00 {LAST}")
        }),
        (
            "IPv6 alone: there is no IPv4 to go over it",
            |says| says.session.families = Some(Families::IPV6),
            "FC00",
            "005A",
            format!("01 04 00020001 02 00 41 04 0000FC00 06 00 {LAST}"),
        ),
        (
            "an AS beyond two octets (RFC 6793 §4.2.1)",
            |says| says.session.local_asn = Some(asn(4_200_000_000)),
            "5BA0",
            "005A",
            format!("01 04 00010001 01 04 00020001 02 00 41 04 FA56EA00 {USUAL} {LAST}"),
        ),
        // RFC 9234 §4.1
        line("provider", |says| says.session.role = Some(Role::Provider), "09 01 00", ""),
        line("route server", |says| says.session.role = Some(Role::RouteServer), "09 01 01", ""),
        line("client of one", |says| says.session.role = Some(Role::RouteServerClient), "09 01 02", ""),
        line("customer", |says| says.session.role = Some(Role::Customer), "09 01 03", ""),
        line("peer", |says| says.session.role = Some(Role::Peer), "09 01 04", ""),
        // RFC 7911 §4
        line("takes several paths", add_path(AddPath::Receive), "45 08 00010101 00020101", ""),
        line("sends several", add_path(AddPath::Send), "45 08 00010102 00020102", ""),
        line("both", add_path(AddPath::Both), "45 08 00010103 00020103", ""),
        // RFC 4724 §3 and RFC 8538 §2: N and 120 s; RFC 9494 §3.1: 600 s
        line("graceful restart", |says| keeps(says, None), "", "40 0A 4078 00010100 00020100"),
        line(
            "long-lived graceful restart",
            |says| keeps(says, Some(Duration::from_secs(600))),
            "",
            "40 0A 4078 00010100 00020100 47 0E 00010100000258 00020100000258",
        ),
    ]
}

fn add_path(mode: AddPath) -> fn(&mut NeighborSettings) {
    match mode {
        AddPath::Receive => |says| says.session.add_path = Some(AddPath::Receive),
        AddPath::Send => |says| says.session.add_path = Some(AddPath::Send),
        AddPath::Both => |says| says.session.add_path = Some(AddPath::Both),
    }
}

fn keeps(says: &mut NeighborSettings, long_lived_stale_time: Option<Duration>) {
    says.session.graceful_restart = Some(GracefulRestartSettings { long_lived_stale_time, ..Default::default() });
}

fn network(configured: fn(&mut NeighborSettings)) -> Network {
    let mut says = neighbor("10.0.0.11", 64513);
    configured(&mut says);
    Network::new(7, [(address("10.0.0.1"), router(64512, "10.0.0.1").with_neighbor("says", says))])
}

#[test]
fn our_open_says_what_is_configured() {
    for (what, configured, number, hold_time, capabilities) in lines() {
        let mut network = network(configured);
        let mut raw = Raw::connect(&mut network, GATEWAY, "10.0.0.11", 64513);
        let heard = raw.take(&mut network);
        assert_eq!(heard, opening_of(&format!("{number} {hold_time} 0A000001"), &capabilities), "{what}: {heard:02x?}");
    }
}

/// RFC 4724 §3 and §4.1, RFC 8538 §2: R and N before twelve bits of seconds, F before reserved bits.
#[test]
fn after_a_restart_our_open_has_r_once_and_f_where_packets_still_take_the_ways_of_before() {
    let before = |forwarding| Restarted { neighbors: ["says".to_owned()].into(), forwarding };
    let lines = [
        ("a first start", None, "4078 00010100 00020100"),
        ("after a restart, the kernel emptied", Some(before(false)), "C078 00010100 00020100"),
        ("after a restart, the kernel as it was", Some(before(true)), "C078 00010180 00020180"),
    ];
    for (what, before, first) in lines {
        let mut network = network(|says| keeps(says, None));
        if let Some(before) = before {
            network.input(GATEWAY, Input::Restarted(before));
        }
        for restart in [first, "4078 00010180 00020180"] {
            let mut raw = Raw::connect(&mut network, GATEWAY, "10.0.0.11", 64513);
            let heard = raw.take(&mut network);
            let capabilities = format!("{FIRST} {USUAL} {LAST} 40 0A {restart}");
            assert_eq!(heard, opening_of("FC00 005A 0A000001", &capabilities), "{what}: {heard:02x?}");
            raw.say(&mut network, |out| out.extend_from_slice(&opening("41 04 0000FC01")));
            raw.say(&mut network, bgpd::wire::write_keepalive);
            raw.lose(&mut network);
        }
    }
}
