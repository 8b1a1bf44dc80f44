//! The path to a stock WireGuard, which knows nothing of probes: its host answers them, in fragments where its own MTU is
//! shorter.

use anyhow::{Context as _, ensure};

use crate::common::pair::ENDS;
use crate::common::wireguard::Program;
use crate::common::{Lab, eventually};
use crate::ends::{IPV4, IPV6, KNOWS, Outside, Trial, transfer};

const OCTETS: u64 = 8 << 20;

/// Of UDP and WireGuard, and of IP.
fn overhead(outside: Outside) -> u64 {
    40 + if outside.length == IPV4.length { 20 } else { 40 }
}

async fn finds(lab: &Lab, mtu: u64) {
    eventually("the MTU of the path", async || {
        let peers = lab.show("home", &["peers"])?;
        let far = peers["peers"].as_array().and_then(|peers| peers.iter().find(|peer| peer["name"] == "far"));
        ensure!(far.context("no peer")?["mtu"] == mtu, "{peers}");
        Ok(())
    })
    .await;
}

/// The path is one of Ethernet, and then shorter than anything that the far end knows of.
fn is_found(program: Program, outside: Outside, shorter: u64) {
    Trial { program, outside, ours: KNOWS, theirs: KNOWS }.connected(async |lab, _, _| {
        finds(lab, 1500 - overhead(outside)).await;
        for node in ["home", "ec2"] {
            lab.output(node, "ip", &["link", "set", "wan0", "mtu", &shorter.to_string()]).unwrap();
        }
        for (pod, instance) in ENDS {
            for (node, end) in [("pod", (pod, instance)), ("instance", (instance, pod))] {
                assert_eq!(lab.node(node).fetch(transfer(end, OCTETS)).await.unwrap(), OCTETS);
            }
        }
        finds(lab, shorter - overhead(outside)).await;
    });
}

#[test]
fn the_path_to_wireguard_go_is_found() {
    is_found(Program::WireguardGo, IPV4, 1280);
}

#[test]
fn the_path_to_boringtun_is_found() {
    is_found(Program::BoringTun, IPV6, 1400);
}
