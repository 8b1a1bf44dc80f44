//! The site `homelab-aws` with real peers: GoBGP for the Cilium of each node, FRR for the edge router.
#![allow(clippy::unwrap_used)]

mod common;

use std::collections::BTreeSet;

use anyhow::ensure;
use common::frr::Frr;
use common::gobgp::{Families, GoBgp, Settings};
use common::{Lab, eventually, with_site};
use ipnet::IpNet;
use vpngw::lab::homelab_aws;
use vpngw::lab::site::{Expectation, Site, nets};

const PROGRAMS: [&str; 6] = ["gobgpd", "gobgp", "bgpd", "zebra", "vtysh", "nft"];
const VPC: [&str; 3] = ["10.20.0.0/16", "10.20.128.0/20", "fd20::/56"];

/// The edge as UniFi's template has it, and with a default route that the gateway must not take.
const EDGE: &str = "\
frr defaults traditional
router bgp 64600
 bgp router-id 192.168.2.1
 no bgp ebgp-requires-policy
 neighbor 192.168.2.195 remote-as 64512
 address-family ipv4 unicast
  neighbor 192.168.2.195 default-originate
 exit-address-family
 address-family ipv6 unicast
  neighbor 192.168.2.195 activate
  neighbor 192.168.2.195 default-originate
 exit-address-family
";

/// What a firewall does whose connection tracking sees one direction only.
const DROP_INVALID: &str = "\
table inet edge {
  chain forward {
    type filter hook forward priority 0; policy accept;
    ct state invalid counter drop
    ct state new,established,related counter accept
  }
}
";

/// Cilium on one node.
struct Node {
    name: &'static str,
    node: &'static str,
    asn: u32,
    address: &'static str,
    prefixes: &'static [&'static str],
}

/// On the gateway's own host, beside it, and in the other cluster.
const NODES: [Node; 3] = [
    Node {
        name: "cilium-195",
        node: "home",
        asn: 64512,
        address: "192.168.2.195",
        prefixes: &["10.244.0.0/24", "fd00:10:244::/64"],
    },
    Node {
        name: "cilium-19",
        node: "node-19",
        asn: 64512,
        address: "192.168.2.19",
        prefixes: &["10.244.1.0/24", "fd00:10:244:1::/64", "192.168.2.201/32", "fd02:2::201/128"],
    },
    Node {
        name: "cilium-20",
        node: "node-20",
        asn: 64520,
        address: "192.168.2.20",
        prefixes: &["10.245.1.0/24", "fd00:10:245:1::/64", "192.168.2.202/32", "fd02:2::202/128"],
    },
];

struct Peers {
    cilium: Vec<GoBgp>,
    edge: Frr,
}

/// The gateways are ours, everything else is not.
fn site() -> Site {
    let mut site = homelab_aws::site();
    site.gateways.retain(|gateway| ["home", "ec2"].contains(&gateway.name));
    // FRR's routes have its own protocol number.
    site.expectations.retain(|expectation| !matches!(expectation, Expectation::KernelRoutes { node: "edge", .. }));
    site
}

async fn start(lab: &mut Lab) -> Peers {
    lab.start_all(&["home", "ec2"]);
    start_peers(lab).await
}

async fn start_peers(lab: &mut Lab) -> Peers {
    let edge = lab.frr("edge", "edge", EDGE).await;
    let mut cilium = Vec::new();
    for node in &NODES {
        cilium.push(start_cilium(lab, node, &["192.168.2.195", "fd02:2::195"], Families::Own).await);
    }
    Peers { cilium, edge }
}

async fn start_cilium(lab: &mut Lab, node: &Node, gateways: &[&'static str], families: Families) -> GoBgp {
    let neighbors: Vec<(&str, u32)> = gateways.iter().map(|address| (*address, 64512)).collect();
    let settings = Settings { asn: node.asn, router_id: node.address, neighbors: &neighbors, families, password: None };
    let gobgp = lab.gobgp(node.name, node.node, &settings).await;
    node.prefixes.iter().for_each(|prefix| gobgp.announce(prefix));
    gobgp
}

/// Everything the site must do.
async fn works(lab: &Lab) {
    lab.expect_all(&site().expectations).await;
    eventually("the edge's routes", async || {
        let found: BTreeSet<IpNet> = lab.ip_routes("edge", "bgp")?.into_keys().collect();
        ensure!(found == nets(&VPC).into_iter().collect(), "{found:?}");
        Ok(())
    })
    .await;
}

#[test]
fn the_site_works_with_gobgp_as_cilium_and_frr_as_the_edge() {
    with_site(&PROGRAMS, site(), async |lab| {
        let peers = start(lab).await;
        works(lab).await;
        for gobgp in &peers.cilium {
            gobgp.established("192.168.2.195").await;
            gobgp.established("fd02:2::195").await;
        }
        for gateway in ["home", "ec2"] {
            lab.fib_and_kernel_agree(gateway).await;
        }
        // No prefix is sent back, to nobody: Cilium hears of the VPC and of nothing else.
        for gobgp in &peers.cilium {
            eventually("what Cilium hears", async || {
                let v4 = gobgp.received("192.168.2.195")?;
                let v6 = gobgp.received("fd02:2::195")?;
                let heard: BTreeSet<&str> = v4.iter().chain(&v6).map(String::as_str).collect();
                ensure!(heard == VPC.into_iter().collect(), "{heard:?}");
                Ok(())
            })
            .await;
        }
        let shown = peers.edge.ask("show bgp ipv4 unicast summary json").unwrap();
        assert_eq!(shown["peers"]["192.168.2.195"]["state"], "Established", "{shown}");
        let told: BTreeSet<IpNet> = prefixes(lab, "ec2", &["advertised", "homelab"]).unwrap();
        assert_eq!(told, nets(&VPC).into_iter().collect());
    });
}

#[test]
fn packets_pass_also_where_the_edge_drops_what_it_takes_for_invalid() {
    with_site(&PROGRAMS, site(), async |lab| {
        let rules = lab.file("edge.nft", DROP_INVALID);
        lab.output("edge", "nft", &["-f", rules.to_str().unwrap()]).unwrap();
        let _peers = start(lab).await;
        works(lab).await;
    });
}

#[test]
fn the_peers_may_be_there_before_the_gateways() {
    with_site(&PROGRAMS, site(), async |lab| {
        let _peers = start_peers(lab).await;
        lab.start_all(&["ec2", "home"]);
        works(lab).await;
    });
}

#[test]
fn a_route_that_gobgp_withdraws_is_gone_from_the_far_ends_kernel() {
    with_site(&PROGRAMS, site(), async |lab| {
        let peers = start(lab).await;
        works(lab).await;
        let [_, mlops, administration] = &peers.cilium[..] else { panic!() };
        for prefix in ["10.244.1.0/24", "fd00:10:244:1::/64"] {
            mlops.withdraw(prefix);
            lab.kernel_route("home", prefix, false).await;
            lab.kernel_route("ec2", prefix, false).await;
            mlops.announce(prefix);
            lab.kernel_route("ec2", prefix, true).await;
        }
        // A summary stays while one prefix in it does, and goes with the last.
        mlops.withdraw("192.168.2.201/32");
        lab.kernel_route("home", "192.168.2.201/32", false).await;
        lab.kernel_route("ec2", "192.168.2.192/26", true).await;
        administration.withdraw("192.168.2.202/32");
        lab.kernel_route("ec2", "192.168.2.192/26", false).await;
        administration.withdraw("10.245.1.0/24");
        lab.kernel_route("home", "10.245.0.0/16", false).await;
        lab.kernel_route("ec2", "10.245.0.0/16", false).await;
        for gateway in ["home", "ec2"] {
            lab.fib_and_kernel_agree(gateway).await;
        }
    });
}

#[test]
fn a_cilium_that_is_killed_takes_its_routes_with_it() {
    with_site(&PROGRAMS, site(), async |lab| {
        let _peers = start(lab).await;
        works(lab).await;
        lab.kill("cilium-19").await;
        for prefix in ["10.244.1.0/24", "fd00:10:244:1::/64", "192.168.2.201/32"] {
            lab.kernel_route("home", prefix, false).await;
        }
        lab.kernel_route("ec2", "10.244.1.0/24", false).await;
        lab.kernel_route("ec2", "10.244.0.0/24", true).await;
    });
}

/// One session with both families is Cilium's default; its IPv6 next hop is then the IPv4 address in IPv6's clothes.
#[test]
fn a_mapped_ipv6_next_hop_is_never_installed_as_it_is_and_the_session_stays() {
    with_site(&PROGRAMS, site(), async |lab| {
        lab.start_all(&["home", "ec2"]);
        let [.., mlops, administration] = &NODES;
        for node in [mlops, administration] {
            let gobgp = start_cilium(lab, node, &["192.168.2.195"], Families::Both).await;
            gobgp.established("192.168.2.195").await;
        }
        for node in [mlops, administration] {
            lab.kernel_route("home", node.prefixes[0], true).await;
            eventually("the IPv6 prefix at the gateway", async || {
                let name = if node.asn == 64512 { "mlops" } else { "administration" };
                let received = prefixes(lab, "home", &["received", &format!("{name}/{}", node.address)])?;
                ensure!(received == nets(node.prefixes).into_iter().collect(), "{received:?}");
                Ok(())
            })
            .await;
        }
        for (prefix, hops) in lab.ip_routes("home", "157").unwrap() {
            for (gateway, _) in hops {
                assert!(!gateway.is_some_and(|gateway| gateway.starts_with("::ffff:")), "{prefix}");
            }
        }
    });
}

fn prefixes(lab: &Lab, gateway: &str, what: &[&str]) -> anyhow::Result<BTreeSet<IpNet>> {
    let shown = lab.show(gateway, what)?;
    let routes = shown["routes"].as_array().cloned().unwrap_or_default();
    routes.iter().map(|route| Ok(route["prefix"].as_str().unwrap_or_default().parse()?)).collect()
}
