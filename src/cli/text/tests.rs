#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;

use ipnet::IpNet;

use super::*;
use crate::control::api::*;

fn net(text: &str) -> IpNet {
    text.parse().unwrap()
}

fn path(neighbor: &str, next_hop: &str) -> Path {
    Path {
        neighbor: neighbor.into(),
        neighbor_address: Some(next_hop.parse().unwrap()),
        best: true,
        multipath: true,
        not_best: None,
        stale: false,
        as_path: vec![64512],
        as_path_text: "64512".into(),
        origin: Origin::Igp,
        next_hop: Some(next_hop.parse().unwrap()),
        local_pref: Some(200),
        med: None,
        communities: vec!["64513:100".into()],
        large_communities: vec![],
        extended_communities: vec![],
        only_to_customer: None,
        path_id: None,
        age_seconds: 187,
        policy: None,
        wireguard_peer: None,
    }
}

fn loser(neighbor: &str, next_hop: &str, why: &str) -> Path {
    Path { best: false, multipath: false, not_best: Some(why.into()), ..path(neighbor, next_hop) }
}

fn own() -> Path {
    Path {
        neighbor: "originate".into(),
        neighbor_address: None,
        next_hop: None,
        as_path: vec![],
        as_path_text: String::new(),
        local_pref: None,
        communities: vec![],
        age_seconds: 93_600,
        ..path("", "::")
    }
}

fn route(prefix: &str, not_installed: Option<&str>, paths: Vec<Path>) -> Route {
    let prefix = net(prefix);
    let family = if prefix.addr().is_ipv4() { Family::Ipv4 } else { Family::Ipv6 };
    Route { prefix, family, installed: not_installed.is_none(), not_installed: not_installed.map(Into::into), paths }
}

#[test]
fn routes_mark_the_best_and_say_why_the_others_are_not() {
    let tunnel = |path| Path { wireguard_peer: Some("homelab".into()), ..path };
    let second = Path { best: false, ..path("cilium/192.168.2.20", "192.168.2.20") };
    let answer = Routes {
        routes: vec![
            route("10.20.0.0/16", Some("our own, left to the kernel"), vec![own()]),
            route("10.42.0.0/24", None, vec![path("cilium/192.168.2.19", "192.168.2.19"), second]),
            route(
                "10.244.0.0/24",
                None,
                vec![tunnel(path("homelab", "169.254.64.2")), loser("edge", "192.168.2.1", "lower local preference")],
            ),
            route(
                "10.99.0.0/16",
                Some("no usable path"),
                vec![tunnel(loser("homelab", "169.254.64.2", "outside routed-ips of homelab"))],
            ),
            route(
                "fd64::/64",
                Some("the kernel refused it"),
                vec![Path { stale: true, ..path("homelab", "fd64:64::2") }],
            ),
        ],
        next: None,
    };
    insta::assert_snapshot!(routes(&answer));
}

#[test]
fn received_routes_say_why_they_were_not_let_in() {
    let accepted = |path| ReceivedPath { path, accepted: true, rejected: None };
    let refused = ReceivedPath {
        path: Path { best: false, med: Some(10), origin: Origin::Incomplete, ..path("homelab", "169.254.64.2") },
        accepted: false,
        rejected: Some("no rule of from-home matches".into()),
    };
    let received_route = |prefix, path| ReceivedRoute { prefix: net(prefix), family: Family::Ipv4, paths: vec![path] };
    let answer = Received {
        routes: vec![
            received_route("10.244.0.0/24", accepted(path("homelab", "169.254.64.2"))),
            received_route("10.245.0.0/24", accepted(loser("homelab", "169.254.64.2", "longer AS_PATH"))),
            received_route("172.16.0.0/12", refused),
        ],
        next: None,
    };
    insta::assert_snapshot!(received(&answer));
}

#[test]
fn advertised_routes_are_shown_as_they_were_told() {
    let large_communities = vec!["64513:1:2".into()];
    let told = Path { large_communities, only_to_customer: Some(64513), ..path("homelab", "169.254.64.1") };
    let answer = Advertised {
        routes: vec![AdvertisedRoute { prefix: net("10.20.0.0/16"), family: Family::Ipv4, paths: vec![told] }],
        next: None,
    };
    insta::assert_snapshot!(advertised(&answer));
}

fn session(name: &str, state: SessionState) -> Neighbor {
    Neighbor {
        name: name.into(),
        description: Some("the other end".into()),
        address: "169.254.64.2".parse().unwrap(),
        asn: Some(64512),
        router_id: Some("192.168.2.3".parse().unwrap()),
        state,
        note: None,
        uptime_seconds: Some(93_600),
        families: vec![Family::Ipv4, Family::Ipv6],
        received: 12,
        accepted: 11,
        advertised: 3,
        pending: 0,
        unsent_bytes: 0,
        draining: false,
        rejected: 1,
        messages_received: Messages { open: 1, update: 20, keepalive: 300, ..Messages::default() },
        messages_sent: Messages { open: 1, update: 5, keepalive: 301, notification: 1, route_refresh: 2 },
        counters: Counters { announced: 40, withdrawn: 28, treat_as_withdraw: 2, flaps: 1, ..Counters::default() },
        history: vec![
            Past { up: true, text: "established".into(), at: "2026-11-21T10:11:13Z".into() },
            Past { up: false, text: "received Cease/Administrative Reset".into(), at: "2026-11-21T10:11:12Z".into() },
        ],
        last_error: Some(LastError {
            sent: false,
            code: Some(6),
            subcode: Some(2),
            treatment: None,
            text: "received Cease/Administrative Shutdown: \"back at 5\u{1b}[2J\"".into(),
            data_hex: "06".into(),
            at: "2026-11-21T10:11:12Z".into(),
        }),
        hold_time_seconds: Some(90),
        capabilities: vec!["multiprotocol ipv4".into(), "route-refresh".into()],
        via: Some("homelab".into()),
        bfd: (),
    }
}

fn down() -> Neighbor {
    Neighbor {
        asn: None,
        router_id: None,
        note: Some("tunnel down".into()),
        uptime_seconds: None,
        families: vec![],
        received: 0,
        accepted: 0,
        advertised: 0,
        rejected: 0,
        messages_received: Messages::default(),
        messages_sent: Messages::default(),
        counters: Counters::default(),
        history: vec![],
        hold_time_seconds: None,
        capabilities: vec![],
        via: None,
        description: None,
        ..session("edge", SessionState::OpenSent)
    }
}

#[test]
fn neighbors_are_a_line_each() {
    insta::assert_snapshot!(neighbors(&Neighbors {
        neighbors: vec![session("homelab", SessionState::Established), down()]
    }));
}

#[test]
fn one_neighbor_is_shown_in_full() {
    let both = [neighbor(&session("homelab", SessionState::Established)), neighbor(&down())];
    insta::assert_snapshot!(both.join("\n"));
}

#[test]
fn what_a_neighbor_writes_cannot_move_the_cursor() {
    let shown = neighbor(&session("homelab", SessionState::Idle)) + &neighbors(&Neighbors { neighbors: vec![down()] });
    assert!(shown.contains("back at 5\u{fffd}[2J"));
    assert!(!shown.contains(|character: char| character.is_control() && character != '\n'));
}

#[test]
fn peers_are_shown_as_wg_does() {
    let peer = Peer {
        name: "homelab".into(),
        public_key: "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=".into(),
        endpoint: Some("203.0.113.7:51820".parse().unwrap()),
        state: PeerState::Up,
        note: None,
        handshake_age_seconds: Some(63),
        handshakes: Handshakes {
            initiations_sent: 9,
            initiations_received: 2,
            responses_sent: 2,
            responses_received: 3,
            completed: 5,
        },
        allowed_ips: vec![net("169.254.64.2/32"), net("fd64:64::2/128")],
        allowed_ips_from_bgp: (0..20).map(|number| net(&format!("10.244.{number}.0/24"))).collect(),
        receive_bytes: 1_258_291,
        transmit_bytes: 92,
        receive_packets: 873,
        transmit_packets: 1,
        queued_packets: 2,
        received_age_seconds: Some(9),
        sent_age_seconds: Some(63),
        drops: BTreeMap::from([("ceiling".into(), 1), ("source".into(), 3)]),
        mtu: 1440,
        mtu_note: None,
        offloads: vec![],
    };
    let silent = Peer {
        name: "office".into(),
        endpoint: None,
        state: PeerState::Down,
        mtu: 1280,
        mtu_note: Some("not probed yet".into()),
        note: Some("nothing has arrived yet, and it has no endpoint: it must come to us".into()),
        handshake_age_seconds: None,
        received_age_seconds: None,
        queued_packets: 0,
        allowed_ips_from_bgp: vec![],
        drops: BTreeMap::new(),
        ..peer.clone()
    };
    insta::assert_snapshot!(peers(&Peers { peers: vec![peer, silent] }));
}

#[test]
fn the_fib_shows_where_packets_go() {
    let group = |send: &[&str], backup: &[&str]| {
        let names = |names: &[&str]| names.iter().map(ToString::to_string).collect();
        Some(TunnelGroup { send: names(send), backup: names(backup), accept: names(send) })
    };
    let hop = |address: Option<&str>, interface: &str| FibNextHop {
        address: address.map(|address| address.parse().unwrap()),
        interface: interface.into(),
        weight: 1,
    };
    let installed = FibRoute {
        prefix: net("10.244.0.0/24"),
        table: 254,
        next_hops: vec![hop(None, "wg0")],
        discard: false,
        state: FibState::Installed,
        error: None,
        tunnel: group(&["homelab"], &["office"]),
        vpc: vec![],
    };
    let answer = Fib {
        routes: vec![
            installed.clone(),
            FibRoute {
                prefix: net("10.42.0.0/24"),
                next_hops: vec![hop(Some("192.168.2.19"), "eth0"), hop(Some("192.168.2.20"), "eth0")],
                tunnel: None,
                ..installed.clone()
            },
            FibRoute {
                prefix: net("10.42.0.0/16"),
                next_hops: vec![],
                discard: true,
                tunnel: None,
                ..installed.clone()
            },
            FibRoute {
                prefix: net("fd64::/64"),
                table: 100,
                next_hops: vec![],
                state: FibState::Failed,
                error: Some("Network is down".into()),
                ..installed
            },
        ],
        next: None,
    };
    insta::assert_snapshot!(fib(&answer));
}

#[test]
fn the_status_fits_a_glance() {
    let mut answer = Status {
        router: Router { asn: Some(64513), router_id: Some("10.20.0.10".parse().unwrap()) },
        ready: true,
        not_ready: vec![],
        warnings: vec![],
        version: "0.1.0".into(),
        uptime_seconds: 7500,
        tunnels: TunnelCounts { up: 1, suspect: 0, down: 1, drops: BTreeMap::new() },
        sessions: SessionCounts { established: 1, configured: 2 },
        routes: RouteCounts { loc_rib: 7, fib: FibCounts { installed: 6, failed: 1, ..FibCounts::default() } },
    };
    let ready = status(&answer);
    answer.ready = false;
    answer.not_ready = vec!["wg0 is not up".into(), "no router ID".into()];
    answer.router = Router { asn: None, router_id: None };
    answer.tunnels =
        TunnelCounts { drops: BTreeMap::from([("for another public key".into(), 12)]), ..Default::default() };
    answer.warnings = vec![
        "net.ipv4.ip_forward is 0: IPv4 packets between the tunnel and other links are not forwarded".into(),
        "peer homelab: nothing arrives from 203.0.113.7:51820: its UDP port is not reached, or a public key is wrong"
            .into(),
    ];
    insta::assert_snapshot!([ready, status(&answer)].join("\n"));
}

#[test]
fn events_are_in_order() {
    let event = |number, kind: &str, text: &str| Event {
        number,
        at: format!("2026-11-21T10:11:{number}Z"),
        kind: kind.into(),
        subject: "homelab".into(),
        text: text.into(),
    };
    let events = vec![event(12, "peer-up", "handshake complete"), event(13, "session-up", "established")];
    insta::assert_snapshot!(super::events(&Events { events }));
}

#[test]
fn the_configuration_is_shown_file_by_file() {
    let file = |name: &str, text: &str| ConfigFile { name: name.into(), text: text.into() };
    let files = vec![
        file("/etc/vpngw/vpngw.toml", "[router]\nasn = 64513\n"),
        file("/etc/vpngw/conf.d/a.toml", "[log]\r\n\tlevel = \"debug\""),
    ];
    let shown = config(&ConfigFiles { files: files.clone(), drift: Vec::new() });
    insta::assert_snapshot!(shown);
    let drift = vec!["peer eu is removed".to_owned(), "peer us: persistent-keepalive is off, not 10s".to_owned()];
    let expected = "\n# changed by wg, until the next start:\n#   peer eu is removed\n#   peer us: persistent-keepalive is off, not 10s\n";
    assert_eq!(config(&ConfigFiles { files, drift }), format!("{shown}{expected}"));
}

#[test]
fn a_change_of_a_session_is_a_line_with_its_reason() {
    let change = SessionChange {
        at: "2026-11-21T10:11:12.000213Z".into(),
        name: "homelab".into(),
        address: "169.254.64.2".parse().unwrap(),
        asn: Some(64512),
        before: SessionState::OpenConfirm,
        state: SessionState::Established,
        reason: None,
    };
    assert_eq!(
        session_change(&Line::Change(change.clone())),
        "2026-11-21T10:11:12.000213Z  homelab  169.254.64.2  open-confirm -> established"
    );
    let reason = Some("received Cease/Administrative Shutdown: \"\u{1b}[2J\"".into());
    let ended = SessionChange { before: SessionState::Established, state: SessionState::Active, reason, ..change };
    assert_eq!(
        session_change(&Line::Change(ended)),
        "2026-11-21T10:11:12.000213Z  homelab  169.254.64.2  established -> active: \
         received Cease/Administrative Shutdown: \"\u{fffd}[2J\""
    );
}

#[test]
fn a_change_of_a_best_route_is_a_line() {
    let change = |path: Option<Path>| {
        route_change(&Line::Change(RouteChange {
            at: "2026-11-21T10:11:12.104310Z".into(),
            prefix: net("10.244.0.0/24"),
            family: Family::Ipv4,
            withdrawn: path.is_none(),
            neighbor: Some("homelab".into()),
            path,
        }))
    };
    let begin = "2026-11-21T10:11:12.104310Z  10.244.0.0/24";
    assert_eq!(
        change(Some(path("homelab", "169.254.64.2"))),
        format!("{begin}  via 169.254.64.2  from homelab  64512 i")
    );
    assert_eq!(change(None), format!("{begin}  withdrawn  from homelab"));
    assert_eq!(route_change(&Line::Missed { missed: 1 }), "1 change was missed");
    assert_eq!(session_change(&Line::Missed { missed: 17 }), "17 changes were missed");
}
