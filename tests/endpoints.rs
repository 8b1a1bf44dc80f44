//! Where the tunnel's packets go: by names that come, change and have dead addresses, from memory after a restart, and with
//! a mark by a way of their own.
#![allow(clippy::unwrap_used)]

mod common;

use std::path::PathBuf;

use anyhow::{Context as _, ensure};
use common::pair::{connected, site};
use common::{Lab, binary, eventually, output, with_site};
use serde_json::Value;
use vpngw::lab::site::Expectation;

const NAME: &str = "gw.hub.test";
/// What the mount namespace of a gateway with its own /etc/hosts takes.
const PROGRAMS: [&str; 3] = ["unshare", "mount", "sh"];

/// The home gateway with a name for an endpoint, and a file of names and a resolver of its own.
struct Home {
    hosts: PathBuf,
    config: PathBuf,
    resolver: PathBuf,
}

impl Home {
    fn new(lab: &Lab, addresses: &[&str]) -> Self {
        let directory = lab.running.directory();
        let ec2 = directory.public_key("ec2").unwrap().to_string();
        let text = include_str!("common/pair/home.toml").replace("${EC2_PUBLIC_KEY}", &ec2);
        let text = text.replace("${LAB}", directory.path().to_str().unwrap());
        let text = text.replace("\"203.0.113.10:51820\"", &format!("\"{NAME}:51820\""));
        assert!(text.contains(NAME));
        let home = Self {
            hosts: lab.file("hosts", ""),
            config: lab.file("named.toml", &text),
            resolver: lab.file("resolv.conf", "nameserver 127.0.0.1\noptions timeout:1 attempts:1\n"),
        };
        home.name_is_at(addresses);
        home
    }

    /// The file stays the same one, for it is mounted.
    fn name_is_at(&self, addresses: &[&str]) {
        let lines: String = addresses.iter().map(|address| format!("{address} {NAME}\n")).collect();
        std::fs::write(&self.hosts, lines).unwrap();
    }

    fn start(&self, lab: &mut Lab) {
        let script =
            "mount --bind \"$0\" /etc/hosts && mount --bind \"$1\" /etc/resolv.conf && exec \"$2\" run --config \"$3\"";
        let mut command = lab.node("home").command("unshare");
        command.args(["--mount", "--propagation", "private", "sh", "-c", script]);
        command.args([&self.hosts, &self.resolver, &binary(), &self.config]);
        lab.running.run("home", command).unwrap();
    }
}

fn peer(lab: &Lab, gateway: &str) -> anyhow::Result<Value> {
    let shown = lab.show(gateway, &["peers"])?;
    shown["peers"].as_array().and_then(|peers| peers.first()).cloned().context("no peer")
}

fn endpoint(lab: &Lab, gateway: &str) -> String {
    peer(lab, gateway).unwrap()["endpoint"].as_str().unwrap_or_default().to_owned()
}

fn ip(lab: &Lab, node: &str, words: &str) {
    let arguments: Vec<&str> = words.split(' ').collect();
    lab.output(node, "ip", &arguments).unwrap();
}

#[test]
fn a_name_that_is_not_there_yet_is_found_when_it_appears() {
    with_site(&PROGRAMS, site(), async |lab| {
        let home = Home::new(lab, &[]);
        lab.start("ec2");
        home.start(lab);
        eventually("a peer without an address", async || {
            let note = peer(lab, "home")?["note"].to_string();
            ensure!(note.contains("has no address yet"), "{note}");
            Ok(())
        })
        .await;
        home.name_is_at(&["203.0.113.10"]);
        lab.expect_all(&connected()).await;
        assert_eq!(endpoint(lab, "home"), "203.0.113.10:51820");
    });
}

#[test]
fn of_a_names_addresses_the_next_is_tried_where_the_first_is_dead() {
    with_site(&PROGRAMS, site(), async |lab| {
        // Nearer to our own address, so that the resolver has it first (RFC 6724, rule 9)
        let home = Home::new(lab, &["203.0.113.3", "203.0.113.10"]);
        lab.start("ec2");
        home.start(lab);
        lab.expect_all(&connected()).await;
        assert_eq!(endpoint(lab, "home"), "203.0.113.10:51820");
        let tried = lab.output("home", "ip", &["neighbor", "show", "203.0.113.3"]).unwrap();
        assert!(tried.contains("203.0.113.3"), "the dead address was never tried: {tried}");
    });
}

#[test]
fn a_name_whose_address_changes_while_the_tunnel_is_down_is_followed() {
    with_site(&PROGRAMS, site(), async |lab| {
        let home = Home::new(lab, &["203.0.113.10"]);
        lab.start("ec2");
        home.start(lab);
        lab.expect_all(&connected()).await;
        lab.kill("ec2").await;
        // It comes back elsewhere and does not know where home is: home must find it
        std::fs::remove_dir_all(lab.running.directory().file("ec2.state")).unwrap();
        ip(lab, "ec2", "address del 203.0.113.10/24 dev wan0");
        ip(lab, "ec2", "address add 203.0.113.11/24 dev wan0");
        home.name_is_at(&["203.0.113.11"]);
        lab.start("ec2");
        eventually("the new address", async || {
            ensure!(peer(lab, "home")?["endpoint"] == "203.0.113.11:51820", "{}", peer(lab, "home")?);
            Ok(())
        })
        .await;
        lab.expect_all(&connected()).await;
    });
}

#[test]
fn a_gateway_that_starts_again_asks_its_peer_where_it_was_heard_last() {
    with_site(&[], site(), async |lab| {
        lab.start_all(&["home", "ec2"]);
        lab.expect_all(&connected()).await;
        let memory = lab.running.directory().file("ec2.state").join("restart-157.json");
        eventually("what ec2 remembers", async || {
            let text = std::fs::read_to_string(&memory)?;
            ensure!(text.contains("203.0.113.2:51820"), "{text}");
            Ok(())
        })
        .await;
        lab.kill("ec2").await;
        lab.start("ec2");
        lab.expect(Expectation::Tunnel { gateway: "ec2", peer: "homelab" }).await;
        // Home has an address to ask, too, and does once it notices the silence: that is not what ended it.
        let handshakes = peer(lab, "ec2").unwrap()["handshakes"].clone();
        assert!(handshakes["responses_received"].as_u64() > Some(0), "{handshakes}");
        lab.expect_all(&connected()).await;

        // A hint, no more: home is elsewhere now
        lab.kill("ec2").await;
        ip(lab, "home", "address del 203.0.113.2/24 dev wan0");
        ip(lab, "home", "address add 203.0.113.4/24 dev wan0");
        lab.start("ec2");
        lab.expect_all(&connected()).await;
        assert_eq!(endpoint(lab, "ec2"), "203.0.113.4:51820");

        lab.tell("ec2", &["stop", "--withdraw"]).await;
        eventually("nothing remembered", async || {
            ensure!(!memory.exists());
            Ok(())
        })
        .await;
    });
}

#[test]
fn the_tunnels_own_packets_carry_the_mark_and_take_the_way_of_its_rule() {
    let mut site = site();
    let home = &mut site.gateways[0];
    home.config = home.config.replace("[wireguard]\n", "[wireguard]\nfwmark = { value = 0x10, mask = 0x10 }\n");
    with_site(&[], site, async |lab| {
        ip(lab, "home", "route add 203.0.113.0/24 dev wan0 table 100");
        ip(lab, "home", "rule add fwmark 0x10/0x10 lookup 100");
        ip(lab, "home", "route del 203.0.113.0/24 dev wan0");
        let way = |mark: &[&str]| {
            let mut command = lab.node("home").command("ip");
            command.args(["route", "get", "203.0.113.10"]).args(mark);
            output(command)
        };
        assert!(way(&[]).is_err(), "there is a way without the mark");
        assert!(way(&["mark", "0x10"]).unwrap().contains("wan0"));
        lab.start_all(&["home", "ec2"]);
        lab.expect_all(&connected()).await;
        // What was decrypted and what is carried has no mark: it takes the tunnel
        lab.pings("pod", "10.244.1.10", "10.20.0.20").await;
    });
}
