//! The other implementations among themselves: shows that the harness starts, commands and reads each of them, so that a
//! failure of a site test is the gateway's.
#![allow(clippy::unwrap_used)]

mod common;

use std::time::Duration;

use anyhow::ensure;
use common::gobgp::{Families, Settings};
use common::wireguard::Program;
use common::{eventually, with_site};
use vpngw::lab::request::{Ping, Request};
use vpngw::lab::site::{Link, Node, Port, Site, ip, net};

fn two_routers() -> Site {
    Site {
        name: "two",
        drawing: "",
        nodes: vec![Node::router("left"), Node::router("right")],
        links: vec![Link::new(
            "cable",
            vec![
                Port::new("left", "eth0", &["192.0.2.1/24", "2001:db8::1/64"]),
                Port::new("right", "eth0", &["192.0.2.2/24", "2001:db8::2/64"]),
            ],
        )],
        gateways: Vec::new(),
        expectations: Vec::new(),
    }
}

const FRR: &str = "\
router bgp 64600
 bgp router-id 192.0.2.1
 no bgp ebgp-requires-policy
 no bgp network import-check
 neighbor 192.0.2.2 remote-as 64512
 neighbor 2001:db8::2 remote-as 64512
 address-family ipv4 unicast
  network 198.51.100.0/24
  no neighbor 2001:db8::2 activate
 exit-address-family
 address-family ipv6 unicast
  neighbor 2001:db8::2 activate
 exit-address-family
";

#[test]
fn gobgp_tells_frr_a_route_in_each_family_and_takes_it_back() {
    with_site(&["gobgpd", "gobgp", "bgpd", "zebra", "vtysh"], two_routers(), async |lab| {
        let frr = lab.frr("frr", "left", FRR).await;
        let neighbors = [("192.0.2.1", 64600), ("2001:db8::1", 64600)];
        let gobgp = lab
            .gobgp(
                "gobgp",
                "right",
                &Settings {
                    asn: 64512,
                    router_id: "192.0.2.2",
                    neighbors: &neighbors,
                    families: Families::Own,
                    password: None,
                },
            )
            .await;
        for (neighbor, prefix) in [("192.0.2.1", "10.244.1.0/24"), ("2001:db8::1", "fd00:10:244:1::/64")] {
            gobgp.established(neighbor).await;
            gobgp.announce(prefix);
            eventually("the route in the kernel", async || {
                let routes = lab.ip_routes("left", "bgp")?;
                ensure!(routes.keys().any(|found| *found == net(prefix)), "{routes:?}");
                Ok(())
            })
            .await;
            gobgp.withdraw(prefix);
            eventually("the route gone from the kernel", async || {
                let routes = lab.ip_routes("left", "bgp")?;
                ensure!(!routes.keys().any(|found| *found == net(prefix)), "{routes:?}");
                Ok(())
            })
            .await;
        }
        let summary = frr.ask("show bgp ipv4 unicast summary json").unwrap();
        assert_eq!(summary["peers"]["192.0.2.2"]["state"], "Established", "{summary}");
        eventually("FRR's own prefix at GoBGP", async || {
            ensure!(gobgp.received("192.0.2.1")?.iter().any(|prefix| prefix == "198.51.100.0/24"));
            Ok(())
        })
        .await;
    });
}

#[test]
fn two_wireguard_go_reach_each_other_through_their_tunnel() {
    with_site(&["wireguard-go", "wg", "unshare", "nsenter"], two_routers(), async |lab| {
        let directory = lab.running.directory();
        let keys = ["left", "right"].map(|name| directory.private_key(name).unwrap());
        let psk = std::fs::read_to_string(directory.preshared_key("test").unwrap()).unwrap();
        let ends = [
            ("left", "wgl0", keys[1], "192.0.2.2", "10.9.0.1/24"),
            ("right", "wgr0", keys[0], "192.0.2.1", "10.9.0.2/24"),
        ];
        let mut started = Vec::new();
        for (node, interface, peer, endpoint, address) in ends {
            let key = std::fs::read_to_string(lab.running.directory().file(&format!("{node}.key"))).unwrap();
            let text = format!(
                "[Interface]\nPrivateKey = {key}\nListenPort = 51820\n[Peer]\nPublicKey = {peer}\nPresharedKey = {psk}\n\
                 Endpoint = {endpoint}:51820\nAllowedIPs = 10.9.0.0/24\n"
            );
            let file = lab.file(&format!("{interface}.conf"), &text);
            started.push(lab.wireguard(Program::WireguardGo, node, interface, &file).await);
            lab.node(node).address(interface, net(address)).await.unwrap();
            lab.node(node).perform(Request::Up { link: interface.to_owned() }).await.unwrap();
        }
        let (interval, timeout) = (Duration::from_millis(100), Duration::from_secs(10));
        let ping = Ping { to: ip("10.9.0.2"), from: Some(ip("10.9.0.1")), count: 3, interval, timeout };
        assert_eq!(lab.node("left").ping(ping).await.unwrap().round_trips.len(), 3);
        for wireguard in started {
            let peers = wireguard.peers(lab).unwrap();
            assert!(peers.len() == 1 && peers[0].latest_handshake > 0 && peers[0].receive_bytes > 0, "{peers:?}");
        }
    });
}
