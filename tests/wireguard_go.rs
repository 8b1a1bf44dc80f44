//! wireguard-go, the reference, as the far end of the tunnel.
#![allow(clippy::unwrap_used)]

mod common;

use std::fs;
use std::net::SocketAddr;

use anyhow::ensure;
use common::pair::{ENDS, PODS};
use common::wireguard_go::WireguardGo;
use common::{Lab, eventually, pair, with_site};
use vpngw::lab::request::{Fetch, Request};
use vpngw::lab::site::{Expectation, Site, net};

const PROGRAMS: [&str; 4] = ["wireguard-go", "wg", "unshare", "nsenter"];
const INTERFACE: &str = "wg0";
/// Two handshake initiations or more.
const TWO_INITIATIONS: u64 = 2 * 148;

/// A tunnel without BGP: its routes are the peer's allowed IPs.
const HOME: &str = r#"
[wireguard]
private-key-file = "${LAB}/home.key"
listen-port      = 51820
addresses        = ["169.254.64.2/30", "fd64:64::2/126"]

[[wireguard.peer]]
name               = "reference"
public-key         = "${EC2_PUBLIC_KEY}"
preshared-key-file = "${LAB}/tunnel.psk"
endpoint           = "203.0.113.10:51820"
allowed-ips        = ["169.254.64.1/32", "fd64:64::1/128", "10.20.0.0/16", "fd20::/56"]
static-routes      = true

[control]
socket = "${LAB}/home.sock"
"#;

fn site() -> Site {
    let mut site = pair::site();
    for gateway in &mut site.gateways {
        if gateway.name == "home" {
            gateway.config = HOME.to_owned();
        }
    }
    site
}

/// wireguard-go in the place of the EC2 gateway, with the pods behind its peer.
async fn far_end(lab: &mut Lab, preshared_key: &str) -> WireguardGo {
    let directory = lab.running.directory();
    let private_key = fs::read_to_string(directory.file("ec2.key")).unwrap();
    let public_key = directory.public_key("home").unwrap();
    let config = format!(
        "[Interface]\nPrivateKey = {private_key}\nListenPort = 51820\n[Peer]\nPublicKey = {public_key}\n\
         PresharedKey = {preshared_key}\nEndpoint = 203.0.113.2:51820\nAllowedIPs = 169.254.64.2/32, fd64:64::2/128, {}\n",
        PODS.join(", ")
    );
    let config = lab.file("reference.conf", &config);
    let wireguard = lab.wireguard_go("ec2", INTERFACE, &config).await;
    let node = lab.node("ec2");
    for address in ["169.254.64.1/30", "fd64:64::1/126"] {
        node.address(INTERFACE, net(address)).await.unwrap();
    }
    node.perform(Request::Up { link: INTERFACE.to_owned() }).await.unwrap();
    for prefix in PODS {
        lab.output("ec2", "ip", &["route", "add", prefix, "dev", INTERFACE]).unwrap();
    }
    wireguard
}

#[test]
fn a_tunnel_to_wireguard_go_carries_packets_both_ways_whoever_begins() {
    for pod_begins in [true, false] {
        with_site(&PROGRAMS, site(), async |lab| {
            let psk = fs::read_to_string(lab.running.directory().file("tunnel.psk")).unwrap();
            let reference = far_end(lab, &psk).await;
            lab.start("home");
            lab.answers("home").await;
            for (pod, instance) in ENDS {
                let directions = [("pod", pod, instance), ("instance", instance, pod)];
                for (node, from, to) in if pod_begins { directions } else { [directions[1], directions[0]] } {
                    lab.pings(node, from, to).await;
                }
            }
            lab.expect(Expectation::Tunnel { gateway: "home", peer: "reference" }).await;
            // Super-segments at our end, packets at theirs
            let (octets, timeout) = (8 << 20, common::DEADLINE);
            for (pod, instance) in ENDS {
                let to = SocketAddr::new(instance.parse().unwrap(), 7);
                let fetch = Fetch { to, from: pod.parse().ok(), octets, timeout };
                assert_eq!(lab.node("pod").fetch(fetch).await.unwrap(), octets);
            }
            let peers = reference.peers(lab).unwrap();
            assert!(peers[0].latest_handshake > 0 && peers[0].receive_bytes > 0, "{peers:?}");
            assert_eq!(peers[0].endpoint, "203.0.113.2:51820");
        });
    }
}

#[test]
fn another_preshared_key_lets_no_handshake_succeed() {
    with_site(&PROGRAMS, site(), async |lab| {
        let directory = lab.running.directory();
        let other = fs::read_to_string(directory.preshared_key("other").unwrap()).unwrap();
        let reference = far_end(lab, &other).await;
        lab.start("home");
        lab.answers("home").await;
        // Both sides have tried, more than once.
        eventually("handshake messages both ways", async || {
            for (node, from, to) in [("pod", ENDS[0].0, ENDS[0].1), ("instance", ENDS[0].1, ENDS[0].0)] {
                ensure!(lab.answered(node, from, to).await? == 0, "{from} reached {to}");
            }
            let peer = &reference.peers(lab)?[0];
            ensure!(peer.receive_bytes >= TWO_INITIATIONS && peer.transmit_bytes >= TWO_INITIATIONS, "{peer:?}");
            Ok(())
        })
        .await;
        assert_eq!(reference.peers(lab).unwrap()[0].latest_handshake, 0);
        assert!(lab.holds(&Expectation::Tunnel { gateway: "home", peer: "reference" }).await.is_err());
    });
}
