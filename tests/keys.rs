//! Static keys that are replaced while packets pass, sessions that are renewed by command, and a flood of handshakes.
#![allow(clippy::unwrap_used, clippy::print_stderr)]

mod common;

use std::net::SocketAddr;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, ensure};
use common::pair::{ENDS, connected, exchanged, site};
use common::{DEADLINE, Lab, eventually, with_site};
use serde_json::Value;
use vpngw::lab::request::{Fate, Fetch, Flood, Run, Stream};
use vpngw::lab::site::Site;
use wgd::device::{Device, Output};
use wgd::settings::{Endpoint, Mtu, PeerSettings, PrivateKey, PublicKey, Settings};

const PING_INTERVAL: Duration = Duration::from_millis(20);

/// Echo requests all the time, in both directions and both families.
struct Streams(Vec<(&'static str, u64)>);

impl Streams {
    async fn start(lab: &Lab) -> Self {
        let mut streams = Vec::new();
        for (pod, instance) in ENDS {
            for (node, from, to) in [("pod", pod, instance), ("instance", instance, pod)] {
                lab.pings(node, from, to).await;
                let stream = Stream { to: to.parse().unwrap(), from: from.parse().ok(), interval: PING_INTERVAL };
                streams.push((node, lab.node(node).stream(stream).await.unwrap()));
            }
        }
        Self(streams)
    }

    async fn all_were_answered(self, lab: &Lab) {
        for (node, number) in self.0 {
            let runs: Vec<Run> = lab.node(node).end_stream(number).await.unwrap();
            assert!(runs.len() == 1 && runs[0].fate == Fate::Answered && runs[0].requests > 20, "{node}: {runs:?}");
        }
    }
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

async fn works(lab: &Lab) {
    lab.expect_all(&connected()).await;
    lab.expect_all(&exchanged()).await;
}

/// The session is up since before.
async fn session_is_older(lab: &Lab, age: Duration) {
    for gateway in ["home", "ec2"] {
        let neighbors = lab.show(gateway, &["neighbors"]).unwrap();
        let uptime = neighbors["neighbors"][0]["uptime_seconds"].as_u64();
        assert!(uptime.is_some_and(|uptime| uptime >= age.as_secs()), "{neighbors}");
    }
}

/// The home gateway gets a key of the name `next` beside its own, which the other end knows.
fn rotating(from: SystemTime) -> Site {
    let from = humantime::format_rfc3339_seconds(from);
    let next = format!("[wireguard]\nnext-private-key = {{ file = \"${{LAB}}/next.key\", from = \"{from}\" }}\n");
    edited(|name, config| match name {
        "home" => config.replace("[wireguard]\n", &next),
        "ec2" => {
            config.replace("preshared-key-file", "next-public-key    = \"${NEXT_PUBLIC_KEY}\"\npreshared-key-file")
        }
        _ => config,
    })
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
    // Whole seconds, as the configuration has it
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let turn = UNIX_EPOCH + Duration::from_secs(now.as_secs() + 20);
    with_site(&[], rotating(turn), async |lab| {
        let key = lab.running.directory().private_key("next").unwrap().to_string();
        lab.running.edit("ec2", |config| config.replace("${NEXT_PUBLIC_KEY}", &key)).unwrap();
        lab.start_all(&["home", "ec2"]);
        works(lab).await;
        let (began, old) = (Instant::now(), lab.running.directory().public_key("home").unwrap().to_string());
        let in_use = |key: String| {
            async move |lab: &Lab| {
                for gateway in ["home", "ec2"] {
                    let peer = peer(lab, gateway)?;
                    ensure!(peer["note"].as_str().is_some_and(|note| note.contains(&key)), "{gateway}: {peer}");
                }
                anyhow::Ok(())
            }
        };
        lab.monitor("ec2", "monitor", &["tunnel"]);
        let streams = Streams::start(lab).await;
        assert!(SystemTime::now() < turn, "this machine is slower than any before: the time has come already");
        in_use(old)(lab).await.unwrap();
        let rates = tokio::join!(transfer(lab, 64 << 20), async {
            eventually("the next key in use at both ends", async || in_use(key.clone())(lab).await).await;
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
            let before = completed(lab, gateway).unwrap();
            lab.tell(gateway, &["peer", name, "rekey"]).await;
            eventually("a new session", async || {
                ensure!(completed(lab, gateway)? > before);
                Ok(())
            })
            .await;
        }
        in_use(key.clone())(lab).await.unwrap();
        transfer(lab, 64 << 20).await;
        streams.all_were_answered(lab).await;
        session_is_older(lab, began.elapsed()).await;

        // The old key goes: one end after the other
        let next = lab.running.directory().file("next.key");
        std::fs::copy(next, lab.running.directory().file("home.key")).unwrap();
        lab.running
            .edit("home", |config| {
                config
                    .lines()
                    .filter(|line| !line.starts_with("next-private-key"))
                    .map(|line| format!("{line}\n"))
                    .collect()
            })
            .unwrap();
        lab.terminate("home").await;
        lab.start("home");
        works(lab).await;
        lab.running
            .edit("ec2", |config| {
                let without = config.lines().filter(|line| !line.starts_with("public-key"));
                without.map(|line| format!("{}\n", line.replace("next-public-key ", "public-key "))).collect()
            })
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
        let streams = Streams::start(lab).await;
        for (gateway, name) in [("home", "aws"), ("ec2", "homelab"), ("home", "aws")] {
            let before = completed(lab, gateway).unwrap();
            lab.tell(gateway, &["peer", name, "rekey"]).await;
            eventually("a new session", async || {
                ensure!(completed(lab, gateway)? > before);
                Ok(())
            })
            .await;
            transfer(lab, 64 << 20).await;
        }
        streams.all_were_answered(lab).await;
        let before = completed(lab, "home").unwrap();
        lab.tell("home", &["peer", "aws", "reset"]).await;
        eventually("a new session", async || {
            ensure!(completed(lab, "home")? > before);
            Ok(())
        })
        .await;
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
    const FLOOD: Duration = Duration::from_secs(30);
    with_site(&[], site(), async |lab| {
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
        let octets = (before * 10.0) as u64;
        let (began, sessions) = (Instant::now(), completed(lab, "home").unwrap());
        let flood = Flood {
            to: "203.0.113.2:51820".parse().unwrap(),
            sources: "198.18.0.0/15".parse().unwrap(),
            datagrams,
            per_second: 10_000,
            time: FLOOD,
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
            eventually("a session under load", async || {
                ensure!(completed(lab, "home")? > initiated);
                Ok(())
            })
            .await;
            (during, transferred, initiated, began.elapsed())
        };
        let (sent, (during, transferred, initiated, settled)) = tokio::join!(lab.node("ec2").flood(flood), under_flood);
        let sent = sent.unwrap();
        eprintln!(
            "{:.0} initiations/s for {FLOOD:?}: a transfer of {octets} octets each way had {:.0} Mbit/s, before the flood \
             {:.0} Mbit/s; it was over after {transferred:?}, and a session thrown away meanwhile was back after {settled:?}",
            sent as f64 / FLOOD.as_secs_f64(),
            during * 8.0 / 1e6,
            before * 8.0 / 1e6,
        );
        assert_eq!(initiated, sessions, "no session was lost under the flood, and none had to be made");
        assert!(settled < FLOOD, "the handshake was completed under load: {settled:?} of {FLOOD:?}");
        session_is_older(lab, began.elapsed()).await;
        for reason in ["rate limited", "unknown peer", "for another public key", "malformed"] {
            assert!(dropped(lab, reason).unwrap() > 0, "{reason}: {}", lab.show("home", &["status"]).unwrap());
        }
        works(lab).await;
    });
}
