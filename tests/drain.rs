//! A gateway that is to go down, and FRR with a second way: nothing is lost on the way to it.
#![allow(clippy::unwrap_used)]

mod common;

use std::cell::Cell;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use common::frr::Frr;
use common::{Lab, eventually, with_site};
use serde_json::Value;
use vpngw::lab::request::Ping;
use vpngw::lab::site::{Gateway, Link, Node, Port, Site, ip};

const PROGRAMS: [&str; 3] = ["bgpd", "zebra", "vtysh"];
const SERVICE: &str = "10.50.0.1";
const PREFIX: &str = "10.50.0.0/24";
const ONE: &str = "192.0.2.11";
const TWO: &str = "192.0.2.12";
/// At a time.
const PINGS: u16 = 20;

/// It likes the first gateway better, whatever its kernel does with both.
const EDGE: &str = "\
router bgp 64600
 bgp router-id 192.0.2.1
 no bgp ebgp-requires-policy
 neighbor 192.0.2.11 remote-as 64511
 neighbor 192.0.2.12 remote-as 64512
 address-family ipv4 unicast
  maximum-paths 1
  neighbor 192.0.2.11 route-map preferred in
 exit-address-family
route-map preferred permit 10
 set local-preference 200
";

fn site() -> Site {
    Site {
        name: "drain",
        drawing: "edge - one - service; edge - two - service",
        nodes: vec![
            Node::router("edge"),
            Node::router("one"),
            Node::router("two"),
            Node::host("service").route("192.0.2.0/24", "10.50.0.12"),
        ],
        links: vec![
            Link::new(
                "outside",
                vec![
                    Port::new("edge", "eth0", &["192.0.2.1/24"]),
                    Port::new("one", "eth0", &["192.0.2.11/24"]),
                    Port::new("two", "eth0", &["192.0.2.12/24"]),
                ],
            ),
            Link::new(
                "inside",
                vec![
                    Port::new("one", "eth1", &["10.50.0.11/24"]),
                    Port::new("two", "eth1", &["10.50.0.12/24"]),
                    Port::new("service", "eth0", &["10.50.0.1/24"]),
                ],
            ),
        ],
        gateways: vec![gateway("one", 64511, "10.50.0.11"), gateway("two", 64512, "10.50.0.12")],
        expectations: Vec::new(),
    }
}

fn gateway(name: &'static str, asn: u32, router_id: &str) -> Gateway {
    let config = format!(
        r#"
        router = {{ asn = {asn}, router-id = "{router_id}" }}
        bgp.neighbor = [{{ name = "edge", address = "192.0.2.1", asn = 64600, import = "accept-all", export = "accept-all" }}]
        bgp.originate = [{{ prefix = "{PREFIX}" }}]
        control.socket = "${{LAB}}/{name}.sock"
        "#
    );
    Gateway { name, node: name, config }
}

/// FRR's paths to the service, by the gateway that told it.
fn path(frr: &Frr, from: &str) -> anyhow::Result<Value> {
    let shown = frr.ask(&format!("show bgp ipv4 unicast {PREFIX} json"))?;
    let paths = shown["paths"].as_array().with_context(|| shown.to_string())?;
    let of = |path: &&Value| path["peer"]["peerId"] == from;
    paths.iter().find(of).cloned().with_context(|| format!("no path from {from}: {shown}"))
}

async fn chosen(frr: &Frr, from: &str) -> Value {
    eventually(&format!("FRR's best path is {from}'s"), async || {
        let path = path(frr, from)?;
        ensure!(path["bestpath"]["overall"] == true, "{path}");
        Ok(path)
    })
    .await
}

#[test]
fn a_gateway_that_is_drained_before_it_stops_loses_nothing() {
    with_site(&PROGRAMS, site(), async |lab| {
        let frr = lab.frr("frr", "edge", EDGE).await;
        lab.start_all(&["one", "two"]);
        chosen(&frr, ONE).await;
        eventually("the other way is there", async || path(&frr, TWO)).await;
        lab.pings("edge", "192.0.2.1", SERVICE).await;

        let moved = Cell::new(false);
        let drain = async {
            drained(lab, &frr).await;
            moved.set(true);
        };
        tokio::join!(pings_until(lab, &moved), drain);

        // It may stay after all.
        lab.tell("one", &["neighbor", "all", "enable"]).await;
        let path = chosen(&frr, ONE).await;
        assert!(path["community"].is_null(), "{path}");

        lab.tell("one", &["neighbor", "edge", "drain", "--wait", "500ms"]).await;
        chosen(&frr, TWO).await;
        lab.terminate("one").await;
        eventually("only one path is left", async || {
            ensure!(path_is_gone(&frr), "it is still there");
            Ok(())
        })
        .await;
        lab.pings("edge", "192.0.2.1", SERVICE).await;
    });
}

/// Every request is answered, before FRR has moved and after.
async fn pings_until(lab: &Lab, moved: &Cell<bool>) {
    let (interval, timeout) = (Duration::from_millis(10), Duration::from_secs(30));
    let ping = Ping { to: ip(SERVICE), from: None, count: PINGS, interval, timeout };
    let mut last = false;
    while !last {
        last = moved.get();
        let echoes = lab.node("edge").ping(ping.clone()).await.unwrap();
        assert_eq!(echoes.round_trips.len(), usize::from(PINGS), "{:?}", echoes.error);
    }
}

/// The session stays, and the path too, as the worse one.
async fn drained(lab: &Lab, frr: &Frr) {
    lab.tell("one", &["neighbor", "all", "drain", "--wait", "1s"]).await;
    eventually("FRR has the worse path", async || {
        let path = path(frr, ONE)?;
        ensure!(path["community"]["string"] == "graceful-shutdown" && path["locPrf"] == 0, "{path}");
        Ok(())
    })
    .await;
    chosen(frr, TWO).await;
    eventually("it was told everything", async || {
        let shown = lab.show("one", &["neighbor", "edge"])?;
        ensure!(shown["state"] == "established" && shown["draining"] == true, "{shown}");
        ensure!(shown["pending"] == 0 && shown["unsent_bytes"] == 0, "{shown}");
        Ok(())
    })
    .await;
}

fn path_is_gone(frr: &Frr) -> bool {
    path(frr, ONE).is_err() && path(frr, TWO).is_ok()
}

#[test]
fn what_frr_marks_is_used_last_and_told_so() {
    with_site(&PROGRAMS, site(), async |lab| {
        let frr = lab.frr("frr", "edge", EDGE).await;
        lab.start_all(&["one", "two"]);
        chosen(&frr, ONE).await;
        let local_pref = async |prefix: &str| {
            let shown = lab.show("one", &["routes", prefix])?;
            let path = &shown["routes"][0]["paths"][0];
            ensure!(path["neighbor"] == "edge", "{shown}");
            Ok((path["local_pref"].clone(), path["communities"].clone()))
        };
        frr.vtysh(&["configure terminal", "router bgp 64600", "no bgp network import-check"]).unwrap();
        frr.vtysh(&["configure terminal", "router bgp 64600", "address-family ipv4", "network 198.51.100.0/24"])
            .unwrap();
        eventually("FRR's own prefix", async || {
            let (local_pref, _) = local_pref("198.51.100.0/24").await?;
            ensure!(local_pref.is_null(), "{local_pref}");
            Ok(())
        })
        .await;
        frr.vtysh(&["configure terminal", "router bgp 64600", "bgp graceful-shutdown"]).unwrap();
        eventually("it is the last to be used", async || {
            let (local_pref, communities) = local_pref("198.51.100.0/24").await?;
            ensure!(local_pref == 0 && communities == serde_json::json!(["65535:0"]), "{local_pref} {communities}");
            Ok(())
        })
        .await;
    });
}
