//! The lab itself: namespaces, links, probes; and `vpngw lab` as a user runs it.
#![allow(clippy::unwrap_used)]

mod common;

use std::net::SocketAddr;
use std::time::Duration;

use common::with_site;
use vpngw::lab::request::{Fetch, Ping};
use vpngw::lab::site::{Link, Node, Port, Site, ip, net};

/// Two hosts, a router between them, one of the links a switch.
fn three_nodes() -> Site {
    Site {
        name: "three",
        drawing: "",
        nodes: vec![
            Node::host("left").route("0.0.0.0/0", "192.0.2.1").route("::/0", "2001:db8::1"),
            Node::router("middle"),
            Node::host("right")
                .address("203.0.113.7/32")
                .route_from("0.0.0.0/0", "198.51.100.1", "203.0.113.7")
                .route("::/0", "2001:db8:1::1")
                .echo("[::]:7"),
            Node::host("idle"),
        ],
        links: vec![
            Link::new(
                "switch",
                vec![
                    Port::new("left", "eth0", &["192.0.2.10/24", "2001:db8::10/64"]),
                    Port::new("middle", "left0", &["192.0.2.1/24", "2001:db8::1/64"]),
                    Port::new("idle", "eth0", &["192.0.2.11/24", "2001:db8::11/64"]),
                ],
            ),
            Link::new(
                "cable",
                vec![
                    Port::new("middle", "right0", &["198.51.100.1/24", "2001:db8:1::1/64"]),
                    Port::new("right", "eth0", &["198.51.100.10/24", "2001:db8:1::10/64"]),
                ],
            ),
        ],
        gateways: Vec::new(),
        expectations: Vec::new(),
    }
}

fn once(from: Option<&str>, to: &str) -> Ping {
    let (interval, timeout) = (Duration::ZERO, Duration::from_secs(10));
    Ping { to: ip(to), from: from.map(ip), count: 2, interval, timeout }
}

#[test]
fn hosts_reach_each_other_through_a_switch_and_a_router_in_both_families() {
    with_site(&[], three_nodes(), async |lab| {
        for (from, to) in
            [("192.0.2.10", "198.51.100.10"), ("2001:db8::10", "2001:db8:1::10"), ("192.0.2.10", "192.0.2.11")]
        {
            let echoes = lab.node("left").ping(once(Some(from), to)).await.unwrap();
            assert_eq!((echoes.sent, echoes.round_trips.len()), (2, 2), "{to}: {:?}", echoes.error);
        }
        for to in ["198.51.100.10:7", "[2001:db8:1::10]:7"] {
            let to: SocketAddr = to.parse().unwrap();
            let fetch = Fetch { to, from: None, octets: 1_000_001, timeout: Duration::from_secs(60) };
            assert_eq!(lab.node("left").fetch(fetch).await.unwrap(), 1_000_001);
        }
    });
}

#[test]
fn an_echo_that_nobody_answers_is_counted_and_explained() {
    with_site(&[], three_nodes(), async |lab| {
        let ping = Ping { timeout: Duration::from_millis(300), ..once(None, "198.51.100.99") };
        let echoes = lab.node("left").ping(ping).await.unwrap();
        assert_eq!((echoes.sent, echoes.round_trips.len()), (2, 0));
        assert!(echoes.error.is_some());
        let error = lab.node("middle").ping(once(None, "10.0.0.1")).await.unwrap_err();
        assert!(format!("{error:#}").contains("no way to 10.0.0.1"), "{error:#}");
    });
}

#[test]
fn static_routes_carry_their_source_address_and_are_listed_by_protocol() {
    with_site(&[], three_nodes(), async |lab| {
        let shown = lab.output("right", "ip", &["-4", "route", "show", "default"]).unwrap();
        assert!(shown.contains("src 203.0.113.7"), "{shown}");
        let routes = lab.node("right").routes(4).await.unwrap();
        assert_eq!(routes.iter().map(|route| route.prefix).collect::<Vec<_>>(), [net("0.0.0.0/0"), net("::/0")]);
        assert_eq!(routes[0].hops[0].link, "eth0");
        assert!(lab.node("right").routes(157).await.unwrap().is_empty());
    });
}

#[test]
fn the_agent_refuses_to_work_in_the_hosts_own_namespace() {
    let output = std::process::Command::new(common::binary()).arg("lab-node").output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("in a network namespace of its own"), "{said}");
}
