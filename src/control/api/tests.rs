#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use bgpd::types::{Asn, BgpIdentifier, Community, ExtendedCommunity, Families, LargeCommunity};
use bgpd::view::{self, NeighborView, PathView, PolicyView, RouteView};
use bgpd::wire::{AsPath, Notification, Origin, PathAttributes};
use ipnet::IpNet;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use wgd::settings::PublicKey;
use wgd::view::PeerState;

use super::*;
use crate::kernel::Link;
use crate::{daemon, fib};

/// As JSON. What is read back is the same; and whatever field an older gateway did not know, its answer is read.
fn shown<T: Serialize + DeserializeOwned + PartialEq + std::fmt::Debug>(value: &T) -> Value {
    let text = serde_json::to_string(value).unwrap();
    assert_eq!(&serde_json::from_str::<T>(&text).unwrap(), value);
    let whole: Value = serde_json::from_str(&text).unwrap();
    for older in without_one(&whole) {
        let read = serde_json::from_value::<T>(older.clone());
        assert!(read.is_ok(), "{older}: {}", read.unwrap_err());
    }
    whole
}

/// The value without one of its fields, or of those of what is in it: each that there is.
fn without_one(value: &Value) -> Vec<Value> {
    let mut all = Vec::new();
    match value {
        Value::Object(fields) => {
            for (name, field) in fields {
                let mut fewer = fields.clone();
                fewer.remove(name);
                all.push(Value::Object(fewer));
                all.extend(without_one(field).into_iter().map(|field| {
                    let mut other = fields.clone();
                    other.insert(name.clone(), field);
                    Value::Object(other)
                }));
            }
        }
        Value::Array(items) => {
            for (position, item) in items.iter().enumerate() {
                all.extend(without_one(item).into_iter().map(|item| {
                    let mut others = items.clone();
                    others[position] = item;
                    Value::Array(others)
                }));
            }
        }
        _ => {}
    }
    all
}

#[test]
fn the_answer_of_a_gateway_that_knows_less_is_read() {
    let text = r#"{"neighbors": [{"name": "far", "address": "192.0.2.2", "asn": 64513, "state": "established"}]}"#;
    let Neighbors { neighbors } = serde_json::from_str(text).unwrap();
    let [far] = neighbors.as_slice() else { panic!("{neighbors:?}") };
    assert_eq!((far.name.as_str(), far.asn, far.state), ("far", Some(64513), SessionState::Established));
    assert_eq!((far.draining, far.pending, far.counters), (false, 0, Counters::default()));
}

fn net(text: &str) -> IpNet {
    text.parse().unwrap()
}

fn path() -> PathView {
    let asns = [64512, 4_200_000_000].map(|number| Asn::new(number).unwrap()).to_vec();
    PathView {
        neighbor: "homelab".into(),
        neighbor_address: Some("169.254.64.2".parse().unwrap()),
        best: true,
        multipath: true,
        path_id: None,
        stale: false,
        not_best: None,
        attributes: PathAttributes {
            origin: Origin::Incomplete,
            as_path: AsPath { asns },
            local_pref: Some(200),
            communities: vec![Community(64513 << 16 | 100)],
            large_communities: vec![LargeCommunity { global: 1, local1: 2, local2: 3 }],
            extended_communities: vec![ExtendedCommunity(0x0002_FC00_0000_0064)],
            only_to_customer: Some(64512),
            ..PathAttributes::default()
        },
        next_hop: Some("169.254.64.2".parse().unwrap()),
        wireguard_peer: Some("homelab".into()),
        age: Duration::from_millis(61_999),
        policy: Some(PolicyView { name: "from-home".into(), rule: 1, line: 42 }),
        rejected: None,
    }
}

fn route(paths: Vec<PathView>) -> RouteView {
    RouteView { prefix: net("10.244.0.0/24"), paths }
}

fn fib_route(state: fib::State, error: Option<&str>) -> fib::RouteView {
    fib::RouteView {
        prefix: net("10.244.0.0/24"),
        table: 254,
        hops: vec![(None, 7), (Some("fe80::1".parse().unwrap()), 2)],
        discard: false,
        state,
        error: error.map(Into::into),
        tunnel: Some([vec!["homelab".into()], vec![], vec!["homelab".into(), "other".into()]]),
    }
}

#[test]
fn a_route_is_shown_with_every_field() {
    let installed = fib_route(fib::State::Installed, None);
    let expected = json!({
        "prefix": "10.244.0.0/24", "family": "ipv4", "installed": true, "not_installed": null,
        "paths": [{
            "neighbor": "homelab", "neighbor_address": "169.254.64.2", "best": true, "multipath": true, "not_best": null,
            "stale": false, "as_path": [64512, 4_200_000_000_u32], "as_path_text": "64512 4200000000",
            "origin": "incomplete", "next_hop": "169.254.64.2", "local_pref": 200, "med": null,
            "communities": ["64513:100"], "large_communities": ["1:2:3"],
            "extended_communities": ["rt:64512:100"], "only_to_customer": 64512, "path_id": null, "age_seconds": 61,
            "policy": {"name": "from-home", "rule": 1, "line": 42}, "wireguard_peer": "homelab",
        }],
    });
    assert_eq!(shown(&Route::new(&route(vec![path()]), Some(&installed))), expected);
}

#[test]
fn a_route_that_is_not_in_the_kernel_says_why() {
    let why = |paths: Vec<PathView>, fib: Option<fib::RouteView>| Route::new(&route(paths), fib.as_ref()).not_installed;
    let state = |state, error| why(vec![path()], Some(fib_route(state, error)));
    assert_eq!(state(fib::State::Installed, None), None);
    assert_eq!(state(fib::State::Stale, None), None);
    assert_eq!(state(fib::State::Pending, None).unwrap(), "on its way to the kernel");
    assert_eq!(state(fib::State::Failed, Some("Network is down")).unwrap(), "Network is down");
    assert_eq!(state(fib::State::Foreign, None).unwrap(), "somebody else's route stands in its place");
    assert_eq!(why(vec![path()], None).unwrap(), "not yet given to the kernel");
    assert_eq!(why(vec![PathView { neighbor_address: None, ..path() }], None).unwrap(), "our own, left to the kernel");
    assert_eq!(why(vec![PathView { best: false, ..path() }], None).unwrap(), "no usable path");
}

#[test]
fn a_received_path_says_whether_it_was_let_in() {
    let refused = PathView { rejected: Some("no rule of from-home matches".into()), ..path() };
    let received = shown(&ReceivedRoute::from(&route(vec![path(), refused])));
    assert_eq!(received["paths"][0]["accepted"], json!(true));
    assert_eq!(received["paths"][0]["rejected"], Value::Null);
    assert_eq!(received["paths"][1]["accepted"], json!(false));
    assert_eq!(received["paths"][1]["rejected"], json!("no rule of from-home matches"));
    assert_eq!(received["paths"][1]["as_path_text"], json!("64512 4200000000"));
}

#[test]
fn a_built_in_policy_has_no_line() {
    let policy = PolicyView { name: "accept-all".into(), rule: 1, line: 0 };
    assert_eq!(shown(&Policy::from(&policy)), json!({"name": "accept-all", "rule": 1, "line": null}));
}

#[test]
fn a_full_slice_says_where_to_go_on() {
    let views = [route(vec![]), RouteView { prefix: net("10.244.1.0/24"), paths: vec![] }];
    let slice = |limit| Table::slice(&views, limit, |view| view.prefix, |view| AdvertisedRoute::from(view));
    assert_eq!(shown(&slice(2))["next"], json!("10.244.1.0/24"));
    assert_eq!(shown(&slice(3)).get("next"), None);
}

#[test]
fn a_prefix_whose_every_path_was_refused_is_not_in_the_loc_rib_but_counts_in_its_slice() {
    let refused = RouteView { prefix: net("10.244.1.0/24"), paths: vec![] };
    let slice = Routes::new(&[route(vec![path()]), refused], 2, &[fib_route(fib::State::Installed, None)]);
    assert_eq!(slice.routes.len(), 1);
    assert!(slice.routes[0].installed);
    assert_eq!(slice.next, Some(net("10.244.1.0/24")));
}

fn neighbor() -> daemon::Neighbor {
    let view = NeighborView {
        name: "homelab".into(),
        description: None,
        address: "169.254.64.2".parse().unwrap(),
        asn: Asn::new(64512),
        router_id: BgpIdentifier::new("10.0.0.1".parse().unwrap()),
        state: view::SessionState::OpenConfirm,
        uptime: None,
        families: Families::ALL,
        received: 3,
        accepted: 2,
        advertised: 1,
        pending: 4,
        connection: None,
        draining: true,
        hold_time: Some(Duration::from_secs(90)),
        capabilities: vec!["route-refresh".into()],
        via: Some("homelab".into()),
        note: None,
        counters: view::Counters {
            received: view::Messages { open: 1, update: 2, notification: 3, keepalive: 4, route_refresh: 5 },
            sent: view::Messages { open: 6, update: 7, notification: 8, keepalive: 9, route_refresh: 10 },
            announced: 11,
            withdrawn: 12,
            discarded: 13,
            treat_as_withdraw: 14,
            attribute_discard: 15,
            ignored_families: 16,
            flaps: 17,
        },
        history: vec![view::PastView { up: false, text: "hold timer".into(), age: Duration::from_secs(60) }],
        last_error: Some(view::LastError {
            sent: true,
            notification: Some(Notification { code: 6, subcode: 4, data: vec![0, 0xAB] }),
            treatment: None,
            text: "Cease/Administrative Reset".into(),
            age: Duration::from_secs(60),
        }),
    };
    daemon::Neighbor { view, unsent_bytes: 23 }
}

#[test]
fn a_neighbor_is_shown_with_every_field() {
    let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_060);
    let expected = json!({
        "name": "homelab", "description": null, "address": "169.254.64.2", "asn": 64512, "router_id": "10.0.0.1",
        "state": "open_confirm", "note": null, "uptime_seconds": null, "families": ["ipv4", "ipv6"],
        "received": 3, "accepted": 2, "rejected": 1, "advertised": 1, "pending": 4, "unsent_bytes": 23, "draining": true,
        "messages_received": {"open": 1, "update": 2, "notification": 3, "keepalive": 4, "route_refresh": 5},
        "messages_sent": {"open": 6, "update": 7, "notification": 8, "keepalive": 9, "route_refresh": 10},
        "counters": {"announced": 11, "withdrawn": 12, "discarded": 13, "treat_as_withdraw": 14, "attribute_discard": 15,
                     "ignored_families": 16, "flaps": 17},
        "history": [{"up": false, "text": "hold timer", "at": "2027-01-15T08:00:00Z"}],
        "last_error": {"sent": true, "code": 6, "subcode": 4, "treatment": null, "text": "Cease/Administrative Reset",
                       "data_hex": "00ab", "at": "2027-01-15T08:00:00Z"},
        "hold_time_seconds": 90, "capabilities": ["route-refresh"], "via": "homelab", "bfd": null,
    });
    assert_eq!(shown(&Neighbor::new(&neighbor(), now)), expected);
}

#[test]
fn a_connection_that_just_broke_has_no_code() {
    let mut neighbor = neighbor();
    neighbor.view.last_error.as_mut().unwrap().notification = None;
    let error = shown(&Neighbor::new(&neighbor, SystemTime::now()).last_error);
    assert_eq!((&error["code"], &error["subcode"], &error["data_hex"]), (&Value::Null, &Value::Null, &json!("")));
}

#[test]
fn a_peer_is_shown_with_every_field() {
    let view = wgd::view::PeerView {
        name: "homelab".into(),
        public_key: PublicKey([0; 32]),
        endpoint: Some("203.0.113.7:51820".parse().unwrap()),
        state: wgd::view::PeerState::Suspect,
        handshake_age: Some(Duration::from_secs(63)),
        handshakes: wgd::view::Handshakes { initiations_sent: 5, completed: 2, ..wgd::view::Handshakes::default() },
        note: Some("the preshared keys differ".into()),
        allowed_ips: vec![net("169.254.64.2/32")],
        allowed_ips_from_bgp: vec![net("10.244.0.0/24")],
        receive_bytes: 1,
        mtu: 1440,
        mtu_note: Some("not probed yet".into()),
        transmit_bytes: u64::MAX,
        receive_packets: 2,
        transmit_packets: 3,
        queued_packets: 4,
        received_age: Some(Duration::from_secs(5)),
        sent_age: Some(Duration::from_millis(6999)),
        offloads: vec!["tun-tso", "udp-gso"],
        drops: BTreeMap::from([("source", 3)]),
    };
    let expected = json!({
        "name": "homelab", "public_key": "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
        "endpoint": "203.0.113.7:51820", "state": "suspect",
        "note": "the preshared keys differ", "handshake_age_seconds": 63,
        "handshakes": {"initiations_sent": 5, "initiations_received": 0, "responses_sent": 0, "responses_received": 0,
                       "completed": 2},
        "allowed_ips": ["169.254.64.2/32"], "allowed_ips_from_bgp": ["10.244.0.0/24"],
        "receive_bytes": 1, "transmit_bytes": u64::MAX, "receive_packets": 2, "transmit_packets": 3,
        "queued_packets": 4, "received_age_seconds": 5, "sent_age_seconds": 6, "drops": {"source": 3},
        "mtu": 1440, "mtu_note": "not probed yet", "offloads": ["tun-tso", "udp-gso"],
    });
    assert_eq!(shown(&Peer::from(&view)), expected);
}

#[test]
fn a_fib_route_names_its_interfaces() {
    let links = [Link { index: 7, name: "wg0".into(), up: true, running: true, mtu: 1420, alias: None }];
    let expected = json!({
        "prefix": "10.244.0.0/24", "table": 254, "discard": false, "state": "failed", "error": "Network is down",
        "next_hops": [{"address": null, "interface": "wg0", "weight": 1},
                      {"address": "fe80::1", "interface": "#2", "weight": 1}],
        "tunnel": {"send": ["homelab"], "backup": [], "accept": ["homelab", "other"]}, "vpc": [],
    });
    let view = fib_route(fib::State::Failed, Some("Network is down"));
    assert_eq!(shown(&FibRoute::new(&view, &links)), expected);
}

#[test]
fn the_status_counts_what_there_is() {
    let status = daemon::Status {
        asn: Asn::new(64513),
        router_id: Some("10.20.0.10".parse().unwrap()),
        not_ready: vec!["wg0 is not up".into()],
        warnings: vec!["net.ipv4.ip_forward is 0".into()],
        uptime: Duration::from_secs(9),
        peers: BTreeMap::from([(PeerState::Up, 1), (PeerState::Down, 2)]),
        drops: BTreeMap::from([("unknown peer", 4)]),
        established: 1,
        sessions: 3,
        loc_rib: 7,
        fib: BTreeMap::from([(fib::State::Installed, 6), (fib::State::Failed, 1)]),
    };
    let expected = json!({
        "router": {"asn": 64513, "router_id": "10.20.0.10"}, "ready": false, "not_ready": ["wg0 is not up"],
        "warnings": ["net.ipv4.ip_forward is 0"],
        "version": env!("CARGO_PKG_VERSION"), "uptime_seconds": 9,
        "tunnels": {"up": 1, "suspect": 0, "down": 2, "drops": {"unknown peer": 4}}, "sessions": {"established": 1, "configured": 3},
        "routes": {"loc_rib": 7, "fib": {"installed": 6, "pending": 0, "failed": 1, "stale": 0, "foreign": 0}},
    });
    assert_eq!(shown(&Status::from(status)), expected);
    assert!(Status::from(daemon::Status::default()).ready);
}

#[test]
fn an_event_says_when_in_utc() {
    let event = daemon::Entry {
        number: 3,
        at: SystemTime::UNIX_EPOCH + Duration::from_millis(1_800_000_000_500),
        kind: "session-up",
        subject: "homelab".into(),
        text: "established".into(),
    };
    let expected = json!({"number": 3, "at": "2027-01-15T08:00:00Z", "kind": "session-up", "subject": "homelab",
                          "text": "established"});
    assert_eq!(shown(&Event::from(event)), expected);
}
