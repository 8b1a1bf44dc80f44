//! Paths whose MTU changes, and paths shorter than the interfaces at their ends: two gateways with two routers between them.
#![allow(clippy::unwrap_used)]

mod common;

use std::future::Future;
use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use common::pair::{self, ENDS, comes_up};
use common::{Lab, eventually, with_site};
use vpngw::lab::request::Fetch;
use vpngw::lab::site::{Link, Node, Port, Site};

/// The gateways, and their peers' names.
const GATEWAYS: [(&str, &str); 2] = [("home", "aws"), ("ec2", "homelab")];
/// Both ends of the link in the middle.
const MIDDLE: [&str; 2] = ["isp", "transit"];
/// Of all other links on the way.
const EDGES: [(&str, &str); 8] = [
    ("home", "wan0"),
    ("isp", "home0"),
    ("ec2", "wan0"),
    ("transit", "ec2"),
    ("home", "pod0"),
    ("pod", "eth0"),
    ("ec2", "vpc0"),
    ("instance", "eth0"),
];
/// Of IPv4, UDP and WireGuard.
const OVERHEAD: u64 = 60;
/// There and back again, every octet compared.
const OCTETS: u64 = 16 << 20;
/// Longer than any test: a transfer that is to be under way while a path changes.
const ENDLESS: u64 = 1 << 50;
const ECHO: u16 = 7;

/// The pair, with two routers where it has a cable.
fn site() -> Site {
    let mut site = pair::site();
    for node in &mut site.nodes {
        let way = match node.name {
            "home" => ("198.51.100.0/24", "203.0.113.1"),
            "ec2" => ("203.0.113.0/24", "198.51.100.1"),
            _ => continue,
        };
        *node = node.clone().route(way.0, way.1);
    }
    site.nodes.push(Node::router("isp").route("198.51.100.0/24", "192.0.2.2"));
    site.nodes.push(Node::router("transit").route("203.0.113.0/24", "192.0.2.1"));
    site.links.retain(|link| link.name != "internet");
    let cable = |name, near, far| Link::new(name, vec![near, far]);
    site.links.extend([
        cable("access", Port::new("home", "wan0", &["203.0.113.2/24"]), Port::new("isp", "home0", &["203.0.113.1/24"])),
        cable(
            "middle",
            Port::new("isp", "middle", &["192.0.2.1/30"]),
            Port::new("transit", "middle", &["192.0.2.2/30"]),
        ),
        cable(
            "cloud",
            Port::new("transit", "ec2", &["198.51.100.1/24"]),
            Port::new("ec2", "wan0", &["198.51.100.10/24"]),
        ),
    ]);
    for gateway in &mut site.gateways {
        gateway.config = gateway.config.replace("203.0.113.10:51820", "198.51.100.10:51820");
    }
    site
}

fn set_mtu(lab: &Lab, node: &str, link: &str, mtu: u16) {
    lab.output(node, "ip", &["link", "set", link, "mtu", &mtu.to_string()]).unwrap();
}

fn set_middle(lab: &Lab, mtu: u16) {
    MIDDLE.into_iter().for_each(|node| set_mtu(lab, node, "middle", mtu));
}

/// What a gateway sends its peer at most, as it shows it.
fn shown(lab: &Lab, gateway: &str, peer: &str) -> anyhow::Result<u64> {
    let peers = lab.show(gateway, &["peers"])?;
    let peer = peers["peers"].as_array().and_then(|peers| peers.iter().find(|found| found["name"] == peer));
    peer.context("no such peer")?["mtu"].as_u64().context("no MTU")
}

/// The MTU of a gateway's device.
fn of_device(lab: &Lab, gateway: &str) -> anyhow::Result<u64> {
    let links: serde_json::Value =
        serde_json::from_str(&lab.output(gateway, "ip", &["-json", "link", "show", "wg0"])?)?;
    links[0]["mtu"].as_u64().context("no MTU")
}

/// Both ends find what a path of so many octets leaves, and so do their devices, but that IPv6 needs 1280 octets.
async fn finds(lab: &Lab, path: u64) {
    for (gateway, peer) in GATEWAYS {
        eventually(&format!("{gateway} knows the MTU"), async || {
            let (mtu, device) = (shown(lab, gateway, peer)?, of_device(lab, gateway)?);
            let fits = path - OVERHEAD;
            ensure!((mtu, device) == (fits, fits.max(1280)), "peer {mtu}, device {device}");
            Ok(())
        })
        .await;
    }
}

fn transfer(
    lab: &Lab,
    (node, from, to): (&str, &str, &str),
    octets: u64,
) -> impl Future<Output = anyhow::Result<u64>> + use<> {
    let namespace = lab.node(node).clone();
    let (from, to) = (from.parse().ok(), SocketAddr::new(to.parse().unwrap(), ECHO));
    async move { namespace.fetch(Fetch { to, from, octets, timeout: common::DEADLINE * 2 }).await }
}

/// Both ends send at once, in both families, whoever opened the connection.
async fn transfers(lab: &Lab) {
    for (pod, instance) in ENDS {
        for way in [("pod", pod, instance), ("instance", instance, pod)] {
            assert_eq!(transfer(lab, way, OCTETS).await.unwrap(), OCTETS);
        }
    }
}

/// Octets that the instance's side has sent into its tunnel.
fn carried(lab: &Lab) -> anyhow::Result<u64> {
    let text = lab.output("ec2", "ip", &["-statistics", "-json", "link", "show", "wg0"])?;
    let links: serde_json::Value = serde_json::from_str(&text)?;
    links[0]["stats64"]["tx"]["bytes"].as_u64().context("no counter")
}

/// So much more arrives, of the transfers that are under way.
async fn goes_on(lab: &Lab) {
    let before = carried(lab).unwrap();
    eventually("the transfers", async || {
        let carried = carried(lab)? - before;
        ensure!(carried > OCTETS, "{carried} octets");
        Ok(())
    })
    .await;
}

/// ICMP errors that a router has sent.
fn errors(lab: &Lab, node: &str) -> u64 {
    let text = lab.output(node, "cat", &["/proc/net/snmp"]).unwrap();
    let mut lines = text.lines().filter_map(|line| line.strip_prefix("Icmp: "));
    let (names, values) = (lines.next().unwrap(), lines.next().unwrap());
    let (_, value) = names.split(' ').zip(values.split(' ')).find(|(name, _)| *name == "OutDestUnreachs").unwrap();
    value.parse().unwrap()
}

/// The path falls to 1280 octets, and rises again if so wanted, in the middle of a transfer in each family.
async fn falls(lab: &mut Lab, rises: bool) {
    comes_up(lab).await;
    finds(lab, 1500).await;
    let both = ENDS.map(|(pod, instance)| transfer(lab, ("pod", pod, instance), ENDLESS));
    let [ipv4, ipv6] = both;
    let lab = &*lab;
    let changes = async {
        goes_on(lab).await;
        set_middle(lab, 1280);
        finds(lab, 1280).await;
        goes_on(lab).await;
        if rises {
            set_middle(lab, 1500);
            finds(lab, 1500).await;
            goes_on(lab).await;
        }
    };
    tokio::select! {
        ended = ipv4 => panic!("the transfer over IPv4 has ended: {ended:?}"),
        ended = ipv6 => panic!("the transfer over IPv6 has ended: {ended:?}"),
        () = changes => {}
    }
}

#[test]
fn a_transfer_goes_on_while_its_path_shrinks_and_grows_again() {
    with_site(&[], site(), async |lab| {
        falls(lab, true).await;
        assert!(MIDDLE.into_iter().all(|node| errors(lab, node) > 0), "the routers say what is too long");
    });
}

#[test]
fn a_transfer_goes_on_while_its_path_becomes_a_black_hole() {
    with_site(&[], site(), async |lab| {
        for node in MIDDLE {
            // What the router itself sends
            lab.output(node, "ip", &["rule", "add", "iif", "lo", "ipproto", "icmp", "blackhole"]).unwrap();
        }
        falls(lab, false).await;
        assert!(MIDDLE.into_iter().all(|node| errors(lab, node) == 0), "nobody says what is too long");
    });
}

#[test]
fn jumbo_frames_at_the_ends_and_a_short_path_between_are_no_black_hole_from_the_start() {
    with_site(&[], site(), async |lab| {
        EDGES.into_iter().for_each(|(node, link)| set_mtu(lab, node, link, 9001));
        set_middle(lab, 1400);
        comes_up(lab).await;
        transfers(lab).await;
        finds(lab, 1400).await;
        transfers(lab).await;
    });
}

#[test]
fn jumbo_frames_all_the_way_are_used() {
    with_site(&[], site(), async |lab| {
        EDGES.into_iter().for_each(|(node, link)| set_mtu(lab, node, link, 9001));
        set_middle(lab, 9001);
        comes_up(lab).await;
        finds(lab, 9001).await;
        transfers(lab).await;
    });
}

#[test]
fn datagrams_that_do_not_fit_are_fragmented_or_their_sender_is_told() {
    with_site(&["ping"], site(), async |lab| {
        comes_up(lab).await;
        set_middle(lab, 1280);
        let timeout = Duration::from_secs(1).as_secs().to_string();
        for (pod, instance) in ENDS {
            lab.pings("pod", pod, instance).await;
            // What is longer than any link here is fragmented by the pod, by its gateway, or below the tunnel
            eventually(&format!("long pings to {instance}"), async || {
                lab.output("pod", "ping", &["-M", "dont", "-s", "1400", "-c", "1", "-W", &timeout, "-I", pod, instance])
            })
            .await;
        }
        let (pod, instance) = ENDS[0];
        for (gateway, peer) in GATEWAYS {
            eventually(&format!("{gateway} knows the MTU"), async || {
                lab.output("pod", "ping", &["-s", "1000", "-c", "1", "-W", &timeout, "-I", pod, instance])?;
                let mtu = shown(lab, gateway, peer)?;
                ensure!(mtu == 1280 - OVERHEAD, "{mtu}");
                Ok(())
            })
            .await;
        }
        eventually("an error that names the MTU", async || {
            // Longer than what passes, shorter than the device's MTU: the kernel lets it into the tunnel
            let arguments = ["-M", "do", "-s", "1240", "-c", "1", "-W", &timeout, "-I", pod, instance];
            let mut command = lab.node("pod").command("ping");
            let said = command.args(arguments).output()?;
            let said = [said.stdout, said.stderr].concat();
            let said = String::from_utf8_lossy(&said);
            ensure!(said.contains("mtu = 1220") || said.contains("mtu=1220"), "{said}");
            Ok(())
        })
        .await;
    });
}
