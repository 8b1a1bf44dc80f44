//! Bulk transfers through the tunnel with segmentation offloads, and where a path has none.
#![allow(clippy::unwrap_used)]

mod common;

use anyhow::Context as _;
use common::pair::{ENDS, comes_up, site};
use common::{Lab, with_site};
use vpngw::lab::request::Fetch;

/// There and back again, every octet compared.
const OCTETS: u64 = 48 << 20;
/// The tunnel's MTU. What is longer on average was not passed packet by packet.
const MTU: u64 = 1420;
/// The gateways, and their peers' names.
const GATEWAYS: [(&str, &str); 2] = [("home", "aws"), ("ec2", "homelab")];
const UDP_GSO: &str = "udp-gso";

/// Both ends of a connection send at once, in both families, whoever opened it.
async fn transfers(lab: &Lab, octets: u64) {
    for (pod, instance) in ENDS {
        for (node, from, to) in [("pod", pod, instance), ("instance", instance, pod)] {
            let (from, to) = (from.parse().ok(), std::net::SocketAddr::new(to.parse().unwrap(), 7));
            let fetch = Fetch { to, from, octets, timeout: common::DEADLINE };
            assert_eq!(lab.node(node).fetch(fetch).await.unwrap(), octets);
        }
    }
}

/// Octets of an average packet that a link has received and sent.
fn average(lab: &Lab, node: &str, link: &str) -> [u64; 2] {
    let text = lab.output(node, "ip", &["-statistics", "-json", "link", "show", link]).unwrap();
    let links: serde_json::Value = serde_json::from_str(&text).unwrap();
    ["rx", "tx"].map(|direction| {
        let counters = &links[0]["stats64"][direction];
        counters["bytes"].as_u64().unwrap() / counters["packets"].as_u64().unwrap()
    })
}

fn offloads(lab: &Lab, gateway: &str, name: &str) -> anyhow::Result<Vec<String>> {
    let peers = lab.show(gateway, &["peers"])?;
    let peer = peers["peers"].as_array().and_then(|peers| peers.iter().find(|peer| peer["name"] == name));
    Ok(serde_json::from_value(peer.context("no such peer")?["offloads"].clone())?)
}

#[test]
fn bulk_transfers_pass_tun_and_wire_as_super_segments_and_arrive_as_they_were_sent() {
    with_site(&[], site(), async |lab| {
        comes_up(lab).await;
        transfers(lab, OCTETS).await;
        for (gateway, peer) in GATEWAYS {
            let offloads = offloads(lab, gateway, peer).unwrap();
            assert!(
                ["tun-gro", "tun-tso", UDP_GSO, "udp-gro"].iter().all(|name| offloads.contains(&(*name).into())),
                "{offloads:?}"
            );
            for link in ["wg0", "wan0"] {
                let average = average(lab, gateway, link);
                assert!(average.iter().all(|octets| *octets > 2 * MTU), "{gateway} {link}: {average:?}");
            }
        }
    });
}

#[test]
fn an_interface_that_takes_less_shortens_the_datagrams_of_trains_and_nothing_is_lost() {
    with_site(&[], site(), async |lab| {
        comes_up(lab).await;
        transfers(lab, OCTETS / 16).await;
        for (gateway, _) in GATEWAYS {
            lab.output(gateway, "ip", &["link", "set", "wan0", "mtu", "1280"]).unwrap();
        }
        transfers(lab, OCTETS / 16).await;
        for (gateway, peer) in GATEWAYS {
            let offloads = offloads(lab, gateway, peer).unwrap();
            assert!(offloads.contains(&UDP_GSO.into()), "{offloads:?}");
        }
    });
}
