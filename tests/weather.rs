//! A tunnel through bad weather: a relay between its ends loses datagrams, delays them and lets some overtake others.
#![allow(clippy::unwrap_used)]

mod common;

use std::time::Duration;

use common::pair::{ENDS, connected, exchanged, site};
use common::with_site;
use vpngw::lab::request::{Fetch, Relay};
use vpngw::lab::site::socket;

/// Where the home gateway finds the relay, which is on the far end's host.
const RELAY: &str = "203.0.113.10:40000";
const SERVER: &str = "203.0.113.10:51820";
const OCTETS: u64 = 512 << 10;

#[test]
fn a_transfer_goes_on_and_nothing_but_the_loss_is_lost() {
    let mut site = site();
    for gateway in &mut site.gateways {
        gateway.config = gateway.config.replace(SERVER, RELAY);
    }
    with_site(&[], site, async |lab| {
        let delay = Duration::from_millis(50);
        let relay = Relay { listen: socket(RELAY), to: socket(SERVER), loss: 100, delay, reorder: 500, seed: 7 };
        let relay = lab.node("ec2").relay(relay).await.unwrap();
        lab.start_all(&["home", "ec2"]);
        lab.expect_all(&connected()).await;
        lab.expect_all(&exchanged()).await;
        for (pod, instance) in ENDS {
            for (node, from, to) in [("pod", pod, instance), ("instance", instance, pod)] {
                let (from, to) = (from.parse().ok(), std::net::SocketAddr::new(to.parse().unwrap(), 7));
                let fetch = Fetch { to, from, octets: OCTETS, timeout: common::DEADLINE };
                assert_eq!(lab.node(node).fetch(fetch).await.unwrap(), OCTETS);
            }
        }
        let relayed = lab.node("ec2").relayed(relay).await.unwrap();
        let all = relayed.passed + relayed.lost;
        assert!((all / 300..all / 30).contains(&relayed.lost), "{relayed:?}");
        assert!(relayed.overtook > all / 100, "{relayed:?}");
        for (gateway, name) in [("home", "aws"), ("ec2", "homelab")] {
            let neighbor = lab.show(gateway, &["neighbor", name]).unwrap();
            assert!(neighbor["state"] == "established" && neighbor["counters"]["flaps"] == 0, "{neighbor}");
            let peers = lab.show(gateway, &["peers"]).unwrap();
            let drops = peers["peers"][0]["drops"].as_object().unwrap();
            // Whoever is overtaken by fewer than the window has places is not late: RFC 6479
            let lost = drops.keys().filter(|reason| !["no endpoint", "no session"].contains(&reason.as_str()));
            assert_eq!(lost.count(), 0, "{drops:?}");
        }
    });
}
