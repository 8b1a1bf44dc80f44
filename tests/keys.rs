//! Static keys that are replaced while packets pass, sessions that are renewed by command, and a flood of handshakes.
#![allow(clippy::unwrap_used, clippy::print_stderr)]

mod common;

use std::cell::Cell;
use std::net::SocketAddr;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, ensure};
use common::pair::{ENDS, site, works};
use common::streams::Streams;
use common::{DEADLINE, Lab, eventually, with_site};
use serde_json::Value;
use vpngw::lab::request::{Fetch, Flood};
use vpngw::lab::site::Site;
use wgd::device::{Device, Output};
use wgd::settings::{Endpoint, Mtu, PeerSettings, PrivateKey, PublicKey, Settings};

const PING_INTERVAL: Duration = Duration::from_millis(20);

/// Echo requests all the time, in both directions and both families.
async fn streams(lab: &Lab) -> Streams {
    let ways = ENDS.map(|(pod, instance)| [("pod", pod, instance), ("instance", instance, pod)]).concat();
    for (node, from, to) in &ways {
        lab.pings(node, from, to).await;
    }
    Streams::start(lab, ways, PING_INTERVAL).await
}

/// Octets through the tunnel and back; octets a second.
async fn transfer(lab: &Lab, octets: u64) -> f64 {
    let (pod, instance) = ENDS[0];
    let to = SocketAddr::new(instance.parse().unwrap(), 7);
    let start = Instant::now();
    let fetch = Fetch { to, from: pod.parse().ok(), octets, timeout: DEADLINE };
    assert_eq!(lab.node("pod").fetch(fetch).await.unwrap(), octets);
    octets as f64 / start.elapsed().as_secs_f64()
}

fn peer(lab: &Lab, gateway: &str) -> anyhow::Result<Value> {
    let peers = lab.show(gateway, &["peers"])?;
    Ok(peers["peers"].get(0).context("no peer")?.clone())
}

fn completed(lab: &Lab, gateway: &str) -> anyhow::Result<u64> {
    peer(lab, gateway)?["handshakes"]["completed"].as_u64().context("completed")
}

/// Waits until another session has begun than those before.
async fn has_a_new_session(lab: &Lab, gateway: &str, before: u64) {
    eventually(&format!("a new session of {gateway}"), async || {
        let now = completed(lab, gateway)?;
        ensure!(now > before, "{now} after {before}");
        Ok(())
    })
    .await;
}

/// Has a gateway begin one.
async fn renews(lab: &Lab, gateway: &str, peer: &str, how: &str) {
    let before = completed(lab, gateway).unwrap();
    lab.tell(gateway, &["peer", peer, how]).await;
    has_a_new_session(lab, gateway, before).await;
}

/// The session is up since before.
async fn session_is_older(lab: &Lab, age: Duration) {
    for gateway in ["home", "ec2"] {
        let neighbors = lab.show(gateway, &["neighbors"]).unwrap();
        let uptime = neighbors["neighbors"][0]["uptime_seconds"].as_u64();
        assert!(uptime.is_some_and(|uptime| uptime >= age.as_secs()), "{neighbors}");
    }
}

/// The home gateway gets a key of the name `next` beside its own, at a time that is put in later; the other end knows it.
fn rotating() -> Site {
    edited(|name, config| match name {
        "home" => config.replace("[wireguard]\n", "[wireguard]\nnext-private-key = {}\n"),
        "ec2" => {
            config.replace("preshared-key-file", "next-public-key    = \"${NEXT_PUBLIC_KEY}\"\npreshared-key-file")
        }
        _ => config,
    })
}

/// Whether both gateways have a key in use, as their notes say.
fn in_use(lab: &Lab, key: &str) -> anyhow::Result<()> {
    for gateway in ["home", "ec2"] {
        let peer = peer(lab, gateway)?;
        ensure!(peer["note"].as_str().is_some_and(|note| note.contains(key)), "{gateway}: {peer}");
    }
    Ok(())
}

/// The next key's time has not come when everything runs, and a monitor: on a machine that is slower it is later.
async fn begins_with_the_old_key(lab: &mut Lab) -> (SystemTime, Streams) {
    let old = lab.running.directory().public_key("home").unwrap().to_string();
    for seconds in [20, 60, 180] {
        // Whole seconds, as the configuration has it
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        let turn = UNIX_EPOCH + Duration::from_secs(now.as_secs() + seconds);
        let from = humantime::format_rfc3339_seconds(turn);
        let key = format!("next-private-key = {{ file = \"${{LAB}}/next.key\", from = \"{from}\" }}");
        lab.running.edit("home", |config| with_line(config, "next-private-key", Some(&key))).unwrap();
        lab.start_all(&["home", "ec2"]);
        works(lab).await;
        lab.monitor("ec2", "monitor", &["tunnel"]);
        let streams = streams(lab).await;
        let found = in_use(lab, &old);
        if SystemTime::now() < turn {
            found.unwrap();
            return (turn, streams);
        }
        drop(streams.end(lab).await);
        lab.kill("monitor").await;
    }
    panic!("after three minutes the gateways were not connected");
}

/// A configuration with another line in the place of the one that begins so, or none.
fn with_line(config: &str, begin: &str, line: Option<&str>) -> String {
    let lines = config.lines().filter_map(|found| if found.starts_with(begin) { line } else { Some(found) });
    lines.map(|line| format!("{line}\n")).collect()
}

/// The site with other configurations.
fn edited(edit: impl Fn(&str, String) -> String) -> Site {
    let mut site = site();
    for gateway in &mut site.gateways {
        gateway.config = edit(gateway.name, gateway.config.clone());
    }
    site
}

#[test]
fn a_private_key_is_replaced_with_overlap_and_no_packet_is_lost() {
    with_site(&[], rotating(), async |lab| {
        let key = lab.running.directory().private_key("next").unwrap().to_string();
        lab.running.edit("ec2", |config| config.replace("${NEXT_PUBLIC_KEY}", &key)).unwrap();
        let (turn, streams) = begins_with_the_old_key(lab).await;
        let began = Instant::now();
        let rates = tokio::join!(transfer(lab, 64 << 20), async {
            eventually("the next key in use at both ends", async || in_use(lab, &key)).await;
        });
        eprintln!("while the key was replaced: {:.0} Mbit/s", rates.0 * 8.0 / 1e6);
        assert!(SystemTime::now() >= turn);
        eventually("the monitor tells of the next key", async || {
            let said = lab.running.process("monitor")?.output();
            let ours = lab.running.directory().public_key("ec2")?;
            ensure!(said.contains(&format!("Z  homelab  our public key {ours}, its {key}")), "{said}");
            Ok(())
        })
        .await;
        lab.kill("monitor").await;
        // By either end, under the new keys
        for (gateway, name) in [("home", "aws"), ("ec2", "homelab")] {
            renews(lab, gateway, name, "rekey").await;
        }
        in_use(lab, &key).unwrap();
        transfer(lab, 64 << 20).await;
        streams.all_were_answered(lab).await;
        session_is_older(lab, began.elapsed()).await;

        // The old key goes: one end after the other
        let next = lab.running.directory().file("next.key");
        std::fs::copy(next, lab.running.directory().file("home.key")).unwrap();
        lab.running.edit("home", |config| with_line(config, "next-private-key", None)).unwrap();
        lab.terminate("home").await;
        lab.start("home");
        works(lab).await;
        lab.running
            .edit("ec2", |config| with_line(config, "public-key", None).replace("next-public-key ", "public-key "))
            .unwrap();
        lab.terminate("ec2").await;
        lab.start("ec2");
        works(lab).await;
        transfer(lab, 1 << 20).await;
        for gateway in ["home", "ec2"] {
            assert_eq!(peer(lab, gateway).unwrap()["note"], Value::Null);
        }
    });
}

#[test]
fn a_session_is_renewed_by_command_without_loss_and_thrown_away_by_another() {
    with_site(&[], site(), async |lab| {
        lab.start_all(&["home", "ec2"]);
        works(lab).await;
        let streams = streams(lab).await;
        for (gateway, name) in [("home", "aws"), ("ec2", "homelab"), ("home", "aws")] {
            renews(lab, gateway, name, "rekey").await;
            transfer(lab, 64 << 20).await;
        }
        streams.all_were_answered(lab).await;
        renews(lab, "home", "aws", "reset").await;
        works(lab).await;
    });
}

/// An initiation by somebody whom the gateway does not know: it costs the gateway what one by a peer costs.
fn initiation(to: PublicKey) -> Vec<u8> {
    let peer = PeerSettings {
        endpoint: Some(Endpoint::Address("203.0.113.2:51820".parse().unwrap())),
        persistent_keepalive: Some(Duration::from_secs(1)),
        ..PeerSettings::new("victim", to)
    };
    let private_key = PrivateKey([0x42; 32].into());
    let settings = Settings { clamp_mss: false, mtu: Mtu::Octets(1420), ..Settings::new(private_key, vec![peer]) };
    let mut out = Output::default();
    Device::new(Instant::now(), settings, 1, &mut out);
    out.datagrams.get(0).unwrap().to_vec()
}

fn dropped(lab: &Lab, reason: &str) -> anyhow::Result<u64> {
    Ok(lab.show("home", &["status"])?["tunnels"]["drops"][reason].as_u64().unwrap_or(0))
}

#[test]
fn a_flood_of_10_000_initiations_a_second_from_forged_sources_stops_no_transfer_and_keeps_no_peer_out() {
    with_site(&[], site(), async |lab| {
        let started = Instant::now();
        lab.start_all(&["home", "ec2"]);
        works(lab).await;
        // The answers go somewhere, as in the Internet
        lab.output("home", "ip", &["route", "add", "198.18.0.0/15", "via", "203.0.113.10"]).unwrap();
        let good = initiation(lab.running.directory().public_key("home").unwrap());
        let mut bad = good.clone();
        bad[40] ^= 1;
        // Nineteen of twenty ask for a handshake; what is cut, or has a bit flipped, costs less
        let mut datagrams = vec![good.clone(); 38];
        datagrams.extend([bad, good[..147].to_vec()]);
        let before = transfer(lab, 64 << 20).await;
        let octets = (before * 3.0) as u64;
        let (began, sessions) = (Instant::now(), completed(lab, "home").unwrap());
        let flood = Flood {
            to: "203.0.113.2:51820".parse().unwrap(),
            sources: "198.18.0.0/15".parse().unwrap(),
            datagrams,
            per_second: 10_000,
            time: Duration::from_secs(2),
        };
        let settled = Cell::new(None);
        let flooded = async {
            let mut sent = 0;
            while settled.get().is_none() {
                sent += lab.node("ec2").flood(flood.clone()).await.unwrap();
            }
            sent as f64 / began.elapsed().as_secs_f64()
        };
        let under_flood = async {
            eventually("load", async || {
                ensure!(dropped(lab, "rate limited")? > 1000);
                Ok(())
            })
            .await;
            let during = transfer(lab, octets).await;
            let transferred = began.elapsed();
            let initiated = completed(lab, "home").unwrap();
            // Whoever is known must prove its address too, and comes in
            lab.tell("ec2", &["peer", "homelab", "reset"]).await;
            has_a_new_session(lab, "home", initiated).await;
            settled.set(Some(began.elapsed()));
            (during, transferred, initiated)
        };
        let (rate, (during, transferred, initiated)) = tokio::join!(flooded, under_flood);
        eprintln!(
            "{rate:.0} datagrams/s: a transfer of {octets} octets each way had {:.0} Mbit/s, before the flood {:.0} Mbit/s; \
             it was over after {transferred:?}, and a session thrown away meanwhile was back after {:?}",
            during * 8.0 / 1e6,
            before * 8.0 / 1e6,
            settled.get().unwrap(),
        );
        // Each is renewed after two minutes
        let renewed = started.elapsed().as_secs() / 120;
        assert!(initiated - sessions <= renewed, "a session was lost under the flood: {sessions}, then {initiated}");
        session_is_older(lab, began.elapsed()).await;
        for reason in ["rate limited", "unknown peer", "for another public key", "malformed"] {
            assert!(dropped(lab, reason).unwrap() > 0, "{reason}: {}", lab.show("home", &["status"]).unwrap());
        }
        works(lab).await;
    });
}
