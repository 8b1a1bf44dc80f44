//! Graceful restart with FRR, BIRD and GoBGP: either side restarts, and no route and no packet is lost.
#![allow(clippy::unwrap_used)]

mod common;
#[path = "restart/peers.rs"]
mod peers;

use std::time::Duration;

use anyhow::{Context as _, ensure};
use common::streams::Streams;
use common::{Lab, eventually, with_site};
use peers::{Bird, Ends, Frr, GoBgp, Peer};
use serde_json::Value;
use vpngw::lab::site::{Gateway, Link, Node, Port, Site};

/// What the edge announces; the service is in it.
pub const SERVICES: &str = "10.50.0.0/24";
/// What we announce; the client is in it.
pub const CLIENTS: &str = "10.60.0.0/24";
/// How long who restarts is away.
const AWAY: Duration = Duration::from_secs(1);
/// Between two echo requests.
const INTERVAL: Duration = Duration::from_millis(20);

/// The way back does not depend on the edge's daemon: what is measured is what our kernel forwards.
fn site() -> Site {
    Site {
        name: "restart",
        drawing: "client - gw - edge - service",
        nodes: vec![
            Node::host("client").route("0.0.0.0/0", "10.60.0.1"),
            Node::router("gw"),
            Node::router("edge").route(CLIENTS, "192.0.2.1"),
            Node::host("service").route("0.0.0.0/0", "10.50.0.1"),
        ],
        links: vec![
            Link::new(
                "clients",
                vec![Port::new("gw", "eth1", &["10.60.0.1/24"]), Port::new("client", "eth0", &["10.60.0.10/24"])],
            ),
            Link::new(
                "between",
                vec![Port::new("gw", "eth0", &["192.0.2.1/24"]), Port::new("edge", "eth0", &["192.0.2.2/24"])],
            ),
            Link::new(
                "services",
                vec![Port::new("edge", "eth1", &["10.50.0.1/24"]), Port::new("service", "eth0", &["10.50.0.10/24"])],
            ),
        ],
        gateways: vec![Gateway {
            name: "gw",
            node: "gw",
            config: format!(
                r#"
                router = {{ asn = 64511, router-id = "192.0.2.1", on-stop = "keep" }}
                bgp.neighbor = [{{ name = "edge", address = "192.0.2.2", asn = 64600, connect-retry = "1s",
                                   import = "accept-all", export = "accept-all" }}]
                bgp.originate = [{{ prefix = "{CLIENTS}" }}]
                control.socket = "${{LAB}}/gw.sock"
                "#
            ),
        }],
        expectations: Vec::new(),
    }
}

/// Our path to the service.
fn path(lab: &Lab) -> anyhow::Result<Value> {
    let shown = lab.show("gw", &["routes", SERVICES])?;
    let paths = shown["routes"][0]["paths"].as_array().with_context(|| shown.to_string())?;
    paths.first().cloned().with_context(|| shown.to_string())
}

/// Whether it is fresh or stale; in use it is always.
async fn path_is_stale(lab: &Lab, stale: bool) {
    eventually(&format!("a path that is stale: {stale}"), async || {
        let path = path(lab)?;
        ensure!(path["best"] == true && path["stale"] == stale, "{path}");
        Ok(())
    })
    .await;
}

async fn session_is_up(lab: &Lab) -> Value {
    eventually("the session", async || {
        let shown = lab.show("gw", &["neighbor", "edge"])?;
        ensure!(shown["state"] == "established", "{shown}");
        Ok(shown)
    })
    .await
}

/// What watches from outside: the kernel's own log of its routes, and packets.
async fn watch(lab: &mut Lab) -> Streams {
    let mut monitor = lab.node("gw").command("ip");
    monitor.args(["-timestamp", "monitor", "route"]);
    lab.running.run("monitor", monitor).unwrap();
    Streams::start(lab, [("client", "10.60.0.10", "10.50.0.10")], INTERVAL).await
}

/// No route of ours has been deleted, and no packet lost.
async fn nothing_was_lost(lab: &mut Lab, packets: Streams) {
    let monitor = lab.running.process("monitor").unwrap();
    let seen = monitor.output();
    lab.kill("monitor").await;
    let deleted: Vec<&str> =
        seen.lines().filter(|line| line.contains("Deleted") && line.contains("10.50.0.0/24")).collect();
    assert_eq!(deleted, [""; 0], "{seen}");
    packets.all_were_answered(lab).await;
}

/// Session up, routes both ways, packets flow.
async fn began(lab: &mut Lab, peer: &mut impl Peer) -> Streams {
    peer.start(lab, false).await;
    lab.start("gw");
    session_is_up(lab).await;
    path_is_stale(lab, false).await;
    lab.kernel_route("gw", SERVICES, true).await;
    eventually("our route at the peer", async || peer.has_route(lab, false)).await;
    lab.pings("client", "10.60.0.10", "10.50.0.10").await;
    watch(lab).await
}

/// The peer ends in these ways, and comes back.
fn the_peer_restarts(programs: &[&str], mut peer: impl Peer, ends: &[Ends]) {
    with_site(programs, site(), async |lab| {
        let packets = began(lab, &mut peer).await;
        for end in ends {
            peer.end(lab, *end).await;
            path_is_stale(lab, true).await;
            tokio::time::sleep(AWAY).await;
            path_is_stale(lab, true).await;
            peer.start(lab, true).await;
            let neighbor = session_is_up(lab).await;
            let restart = neighbor["capabilities"]
                .as_array()
                .unwrap()
                .iter()
                .find_map(|capability| capability.as_str().filter(|name| name.starts_with("graceful-restart")));
            assert_eq!(restart, Some(peer.capability()), "{neighbor}");
            path_is_stale(lab, false).await;
            eventually("our route at the peer", async || peer.has_route(lab, false)).await;
        }
        nothing_was_lost(lab, packets).await;
        lab.tell("gw", &["stop", "--withdraw"]).await;
    });
}

/// We crash, and then stop as for an upgrade.
fn we_restart(programs: &[&str], mut peer: impl Peer) {
    with_site(programs, site(), async |lab| {
        let packets = began(lab, &mut peer).await;
        for crash in [true, false] {
            if crash {
                lab.kill("gw").await;
            } else {
                lab.terminate("gw").await;
            }
            eventually("our route, kept by the peer", async || peer.has_route(lab, true)).await;
            tokio::time::sleep(AWAY).await;
            peer.has_route(lab, true).unwrap();
            lab.start("gw");
            session_is_up(lab).await;
            eventually("our bits, as the peer sees them", async || peer.sees_that_we_have_restarted(lab)).await;
            eventually("our route, told again", async || peer.has_route(lab, false)).await;
            path_is_stale(lab, false).await;
            eventually("the kernel's route, ours again", async || {
                let shown = lab.show("gw", &["fib"])?;
                ensure!(shown["routes"][0]["state"] == "installed", "{shown}");
                Ok(())
            })
            .await;
        }
        nothing_was_lost(lab, packets).await;
        lab.tell("gw", &["stop", "--withdraw"]).await;
    });
}

#[test]
fn frr_restarts_and_nothing_is_lost() {
    the_peer_restarts(&["bgpd", "zebra", "vtysh"], Frr::default(), &[Ends::Killed, Ends::InOrder]);
}

#[test]
fn bird_restarts_and_nothing_is_lost() {
    the_peer_restarts(&["bird", "birdc"], Bird::default(), &[Ends::Killed, Ends::InOrder]);
}

#[test]
fn gobgp_restarts_and_nothing_is_lost() {
    the_peer_restarts(&["gobgpd", "gobgp"], GoBgp::default(), &[Ends::Killed, Ends::InOrder]);
}

#[test]
fn we_restart_beside_frr_and_nothing_is_lost() {
    we_restart(&["bgpd", "zebra", "vtysh"], Frr::default());
}

#[test]
fn we_restart_beside_bird_and_nothing_is_lost() {
    we_restart(&["bird", "birdc"], Bird::default());
}

#[test]
fn we_restart_beside_gobgp_and_nothing_is_lost() {
    we_restart(&["gobgpd", "gobgp"], GoBgp::default());
}
