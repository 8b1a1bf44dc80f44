//! A tunnel through bad weather: a relay between its ends loses datagrams, delays them and lets some overtake others; or
//! somebody sits there who repeats what they see.
#![allow(clippy::unwrap_used)]

mod common;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use common::pair::{ENDS, connected, exchanged, site};
use common::{Lab, eventually, with_site};
use vpngw::lab::request::{Fetch, Relay};
use vpngw::lab::site::{Site, socket};

/// Where the home gateway finds the relay, which is on the far end's host.
const RELAY: &str = "203.0.113.10:40000";
const SERVER: &str = "203.0.113.10:51820";

fn relay() -> Relay {
    let (listen, to) = (socket(RELAY), socket(SERVER));
    Relay { listen, to, loss: 0, delay: Duration::ZERO, reorder: 0, attack: 0, seed: 7 }
}

/// The pair, which meets at the relay, and has exchanged its routes.
async fn through(lab: &mut Lab, relay: Relay) -> SocketAddr {
    let relay = lab.node("ec2").relay(relay).await.unwrap();
    lab.start_all(&["home", "ec2"]);
    lab.expect_all(&connected()).await;
    lab.expect_all(&exchanged()).await;
    relay
}

fn relayed_site() -> Site {
    let mut site = site();
    for gateway in &mut site.gateways {
        gateway.config = gateway.config.replace(SERVER, RELAY);
    }
    site
}

/// Octets through the tunnel and back, from both ends and by both families.
async fn transfers(lab: &Lab, octets: u64) {
    for (pod, instance) in ENDS {
        for (node, from, to) in [("pod", pod, instance), ("instance", instance, pod)] {
            let (from, to) = (from.parse().ok(), SocketAddr::new(to.parse().unwrap(), 7));
            let fetch = Fetch { to, from, octets, timeout: common::DEADLINE };
            assert_eq!(lab.node(node).fetch(fetch).await.unwrap(), octets);
        }
    }
}

fn sessions_never_went_down(lab: &Lab) {
    for (gateway, name) in [("home", "aws"), ("ec2", "homelab")] {
        let neighbor = lab.show(gateway, &["neighbor", name]).unwrap();
        assert!(neighbor["state"] == "established" && neighbor["counters"]["flaps"] == 0, "{neighbor}");
    }
}

#[test]
fn a_transfer_goes_on_and_nothing_but_the_loss_is_lost() {
    with_site(&[], relayed_site(), async |lab| {
        let delay = Duration::from_millis(50);
        let relay = Relay { loss: 100, delay, reorder: 500, ..relay() };
        let relay = through(lab, relay).await;
        transfers(lab, 512 << 10).await;
        let relayed = lab.node("ec2").relayed(relay).await.unwrap();
        let all = relayed.passed + relayed.lost;
        assert!((all / 300..all / 30).contains(&relayed.lost), "{relayed:?}");
        assert!(relayed.overtook > all / 100, "{relayed:?}");
        sessions_never_went_down(lab);
        for gateway in ["home", "ec2"] {
            let peers = lab.show(gateway, &["peers"]).unwrap();
            let drops = peers["peers"][0]["drops"].as_object().unwrap();
            // Whoever is overtaken by fewer than the window has places is not late: RFC 6479
            let lost = drops.keys().filter(|reason| !["no endpoint", "no session"].contains(&reason.as_str()));
            assert_eq!(lost.count(), 0, "{drops:?}");
        }
    });
}

/// What both gateways have dropped, of peers and of nobody, by reason.
fn drops(lab: &Lab) -> anyhow::Result<BTreeMap<String, u64>> {
    let mut all = BTreeMap::new();
    for gateway in ["home", "ec2"] {
        let (status, peers) = (lab.show(gateway, &["status"])?, lab.show(gateway, &["peers"])?);
        for counted in [&status["tunnels"]["drops"], &peers["peers"][0]["drops"]] {
            for (reason, count) in counted.as_object().context("no drops")? {
                *all.entry(reason.clone()).or_default() += count.as_u64().context("no number")?;
            }
        }
    }
    Ok(all)
}

#[test]
fn what_is_sent_again_cut_or_changed_on_the_way_is_dropped_and_counted_by_reason() {
    with_site(&[], relayed_site(), async |lab| {
        let relay = through(lab, Relay { attack: 1000, ..relay() }).await;
        let endpoint = |gateway| anyhow::Ok(lab.show(gateway, &["peers"])?["peers"][0]["endpoint"].clone());
        let before = endpoint("ec2").unwrap();
        transfers(lab, 32 << 20).await;
        // Whoever sent them has another address. It is not followed there, but for a datagram that the host had no room
        // for when it came first.
        eventually("the endpoints of before", async || {
            ensure!(endpoint("home")? == RELAY && endpoint("ec2")? == before);
            Ok(())
        })
        .await;
        sessions_never_went_down(lab);
        let drops = drops(lab).unwrap();
        let relayed = lab.node("ec2").relayed(relay).await.unwrap();
        let count = |reason: &str| drops.get(reason).copied().unwrap_or_default();
        // A counter is looked at before anything is decrypted: what was cut or changed behind it is sent again, too
        let certain = ["replay", "too late", "bad mac", "malformed", "unknown index"].map(count);
        assert!(certain[0] > 0 && certain[2..].iter().all(|count| *count > 0), "{drops:?}");
        // And those whose index has become that of another session of the peer; nothing that is genuine
        let (certain, all) = (certain.iter().sum::<u64>(), certain.iter().sum::<u64>() + count("no session"));
        assert!(certain <= relayed.forged, "{relayed:?} {drops:?}");
        // A busy host's socket may be full
        assert!(all > relayed.forged * 9 / 10, "{relayed:?} {drops:?}");
    });
}
