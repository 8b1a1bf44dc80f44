//! `vpngw monitor packets` and `monitor tunnel`: what other programs read of a capture, and what is told of peers.
#![allow(clippy::unwrap_used)]

mod common;

use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, ensure};
use common::pair::{ENDS, comes_up, connected, site};
use common::schema::are_of_schema;
use common::{Lab, eventually, output, with_site};
use vpngw::lab::request::Fetch;

const PEER: &str = "aws";

/// Starts `vpngw monitor` at the home gateway as a program of the site.
fn monitor(lab: &mut Lab, name: &str, words: &[&str]) {
    lab.monitor("home", name, words);
}

/// Pings until a monitor has printed a line with all these words, and returns it.
async fn line(lab: &mut Lab, name: &str, words: &[&str]) -> String {
    eventually(&format!("{words:?} of {name}"), async || {
        for (pod, instance) in ENDS {
            lab.answered("pod", pod, instance).await?;
        }
        let said = lab.running.process(name)?.output();
        let found = said.lines().find(|line| words.iter().all(|word| line.contains(word)));
        Ok(found.with_context(|| said.clone())?.to_owned())
    })
    .await
}

/// What tcpdump, which begins each packet with a line of its own, says of a file's packets that pass the filter.
fn tcpdump(file: &Path, filter: &str) -> anyhow::Result<Vec<String>> {
    let mut command = Command::new("tcpdump");
    command.args(["-nn", "-r"]).arg(file).args(filter.split_whitespace());
    Ok(output(command)?.lines().map(str::to_owned).collect())
}

#[test]
fn tcpdump_reads_the_packets_of_both_directions_and_families() {
    with_site(&["tcpdump", "tshark"], site(), async |lab| {
        comes_up(lab).await;
        let file = lab.running.directory().file("peer.pcapng");
        let only_ipv6 = lab.running.directory().file("ipv6.pcapng");
        let (path, path_ipv6) = (file.display().to_string(), only_ipv6.display().to_string());
        monitor(lab, "all", &["packets", "--peer", PEER, "--write", &path]);
        monitor(lab, "ipv6", &["packets", "--address", ENDS[1].1, "--snap", "48", "--write", &path_ipv6]);
        eventually("echoes of both families, there and back", async || {
            for (pod, instance) in ENDS {
                ensure!(lab.answered("pod", pod, instance).await? == 3);
                for (from, to, kind) in [(pod, instance, "echo request"), (instance, pod, "echo reply")] {
                    let packets = tcpdump(&file, &format!("src host {from} and dst host {to}"))?;
                    ensure!(packets.iter().any(|packet| packet.contains(kind)), "{packets:?}");
                }
            }
            ensure!(tcpdump(&only_ipv6, "")?.len() >= 2);
            Ok(())
        })
        .await;
        // Super-segments are in it as the packets that the peer gets
        let to = std::net::SocketAddr::new(ENDS[0].1.parse().unwrap(), 7);
        let fetch = Fetch { to, from: ENDS[0].0.parse().ok(), octets: 1 << 20, timeout: common::DEADLINE };
        lab.node("pod").fetch(fetch).await.unwrap();
        eventually("packets of a transfer", async || {
            let packets = tcpdump(&file, "tcp port 7 and greater 1300")?;
            ensure!(packets.len() > 100, "{}", packets.len());
            Ok(())
        })
        .await;
        assert!(tcpdump(&file, "greater 1441").unwrap().is_empty());
        lab.interrupt("all").await;
        lab.interrupt("ipv6").await;
        assert!(tcpdump(&only_ipv6, "not ip6").unwrap().is_empty());
        let mut tshark = Command::new("tshark");
        let fields = ["frame.interface_name", "frame.packet_flags_direction", "frame.comment", "frame.cap_len"];
        tshark.arg("-r").arg(&only_ipv6).args(["-T", "fields", "-E", "separator=,"]);
        tshark.args(fields.iter().flat_map(|field| ["-e", field]));
        let shown = output(tshark).unwrap();
        for direction in ["1", "2"] {
            let wanted = |line: &str| {
                let number = |text: &str| u32::from_str_radix(text.trim_start_matches("0x"), 16).ok();
                let fields: Vec<&str> = line.split(',').collect();
                fields[0] == "tunnel"
                    && number(fields[1]) == direction.parse().ok()
                    && fields[2..] == ["peer aws", "48"]
            };
            assert!(shown.lines().any(wanted), "{direction}: {shown}");
        }
    });
}

#[test]
fn packets_are_lines_for_people_and_programs_while_a_filter_takes_them() {
    with_site(&[], site(), async |lab| {
        comes_up(lab).await;
        monitor(lab, "text", &["packets", "--address", ENDS[0].0]);
        monitor(lab, "json", &["packets", "--json", "--address", "fd20::/56"]);
        let (pod, instance) = ENDS[0];
        for (words, from, to, kind) in
            [("  out  aws  ", pod, instance, "request"), ("  in   aws  ", instance, pod, "reply")]
        {
            line(lab, "text", &[words, &format!("{from} > {to}: ICMP echo {kind}, 76 octets")]).await;
        }
        let json = line(lab, "json", &["\"direction\":\"out\"", "\"peer\":\"aws\""]).await;
        are_of_schema("monitor-packets", &json);
        for name in ["text", "json"] {
            lab.interrupt(name).await;
        }
        let said = lab.running.process("text").unwrap().output();
        assert!(!said.contains("fd20::"), "{said}");
        // A name that no peer has
        let mut command = Command::new(common::binary());
        command.arg("--socket").arg(lab.running.socket("home")).args(["monitor", "packets", "--peer", "nobody"]);
        let failed = command.output().unwrap();
        assert_eq!(failed.status.code(), Some(1));
        assert!(String::from_utf8_lossy(&failed.stderr).contains("there is no peer nobody"), "{failed:?}");
    });
}

#[test]
fn what_becomes_of_a_peer_is_told_as_it_happens() {
    with_site(&[], site(), async |lab| {
        lab.start("home");
        lab.answers("home").await;
        monitor(lab, "text", &["tunnel"]);
        monitor(lab, "json", &["tunnel", "--json"]);
        // Each hears from when it is connected on
        eventually("a peer that comes and goes", async || {
            lab.start("ec2");
            lab.expect_all(&connected()).await;
            for name in ["text", "json"] {
                let said = lab.running.process(name)?.output();
                ensure!(said.contains("handshake"), "{said}");
            }
            Ok(())
        })
        .await;
        let said = lab.running.process("text").unwrap().output();
        assert!(said.contains("Z  aws  handshake complete"), "{said}");
        eventually("the MTU of its path", async || {
            for (name, mtu) in [("text", "Z  aws  mtu 1440"), ("json", r#""mtu":1440"#)] {
                let said = lab.running.process(name)?.output();
                ensure!(said.contains(mtu), "{said}");
            }
            Ok(())
        })
        .await;
        are_of_schema("monitor-tunnel", &lab.running.process("json").unwrap().output());
        lab.kill("ec2").await;
        eventually("its silence", async || {
            let said = lab.running.process("text")?.output();
            ensure!(said.contains("Z  aws  up -> suspect") && said.contains("Z  aws  suspect -> down"), "{said}");
            Ok(())
        })
        .await;
        for name in ["text", "json"] {
            lab.interrupt(name).await;
        }
    });
}
