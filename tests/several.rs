//! One gateway with two others at the far ends of two tunnels: both have a prefix of their own, and one that both announce.
#![allow(clippy::unwrap_used)]

mod common;

use anyhow::{Context as _, ensure};
use common::hub::{self, SHARED};
use common::{Lab, eventually, with_site};
use serde_json::Value;
use vpngw::lab::site::{Expectation, Node, Site};

/// In the shared prefix of IPv4; a host behind either gateway has it.
const SERVICE: &str = "10.50.0.1";
const SERVER: &str = "10.20.0.20";

fn site() -> Site {
    let configs =
        [include_str!("several/hub.toml"), include_str!("several/left.toml"), include_str!("several/right.toml")];
    let host = |name, gateway| Node::host(name).address("10.50.0.1/32").route("0.0.0.0/0", gateway);
    let hosts = vec![host("left-host", "10.31.0.1"), host("right-host", "10.32.0.1")];
    hub::site("several", configs, hosts, [("left-host", "eth0"), ("right-host", "eth0")])
}

/// Both tunnels, and the sessions in them.
fn connected() -> Vec<Expectation> {
    let of =
        |peer| [Expectation::Tunnel { gateway: "hub", peer }, Expectation::Session { gateway: "hub", neighbor: peer }];
    ["left", "right"].into_iter().flat_map(of).collect()
}

/// The hub's tunnel group of the shared prefix: names of the peers to send to, of those in reserve, and of those whose
/// packets are accepted.
fn group(lab: &Lab) -> anyhow::Result<[Vec<String>; 3]> {
    let shown = lab.show("hub", &["fib"])?;
    let route = shown["routes"].as_array().and_then(|routes| routes.iter().find(|route| route["prefix"] == SHARED[0]));
    let tunnel = &route.with_context(|| shown.to_string())?["tunnel"];
    let names = |key: &str| -> anyhow::Result<Vec<String>> {
        let list = tunnel[key].as_array().with_context(|| tunnel.to_string())?;
        Ok(list.iter().filter_map(Value::as_str).map(str::to_owned).collect())
    };
    Ok([names("send")?, names("backup")?, names("accept")?])
}

/// The service answers the server, and each far end's own host reaches it.
async fn works(lab: &Lab) {
    lab.expect_all(&connected()).await;
    lab.pings("left-host", "10.31.0.10", SERVER).await;
    lab.pings("right-host", "10.32.0.10", SERVER).await;
    lab.pings("server", SERVER, SERVICE).await;
}

#[test]
fn a_prefix_that_two_peers_announce_is_stolen_from_neither() {
    with_site(&[], site(), async |lab| {
        lab.start_all(&["hub", "left", "right"]);
        works(lab).await;
        eventually("both peers in the group", async || {
            let [send, backup, accept] = group(lab)?;
            let mut used = [send.clone(), backup].concat();
            used.sort();
            ensure!(!send.is_empty() && used == ["left", "right"], "{used:?}");
            ensure!(accept.len() == 2, "{accept:?}");
            Ok(())
        })
        .await;
        // A packet may come by either: whom the hub does not send to is no spoofer. Answers go to one of the two.
        eventually("an answer to the service's own address", async || {
            let left = lab.answered("left-host", SERVICE, "10.20.0.10").await?;
            let right = lab.answered("right-host", SERVICE, "10.20.0.10").await?;
            ensure!(left + right > 0, "no answer");
            Ok(())
        })
        .await;
        for peer in ["left", "right"] {
            let peers = lab.show("hub", &["peers"]).unwrap();
            let peers = peers["peers"].as_array().unwrap();
            let shown = peers.iter().find(|shown| shown["name"] == peer).unwrap();
            assert!(shown["allowed_ips_from_bgp"].to_string().contains(SHARED[0]), "{shown}");
            assert!(shown["drops"]["source not allowed"].is_null(), "{shown}");
        }
    });
}

#[test]
fn when_one_of_two_far_ends_goes_the_other_carries_the_shared_prefix() {
    with_site(&[], site(), async |lab| {
        lab.start_all(&["hub", "left", "right"]);
        for gone in ["left", "right"] {
            works(lab).await;
            lab.terminate(gone).await;
            let stays = if gone == "left" { "right" } else { "left" };
            eventually("one peer in the group", async || {
                let [send, ..] = group(lab)?;
                ensure!(send == [stays], "{send:?}");
                Ok(())
            })
            .await;
            lab.pings("server", SERVER, SERVICE).await;
            lab.start(gone);
        }
        works(lab).await;
    });
}
