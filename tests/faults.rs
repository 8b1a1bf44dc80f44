//! The commonest faults of a new installation, told apart by what either end says of them.
#![allow(clippy::unwrap_used)]

mod common;

use anyhow::ensure;
use common::pair::{connected, exchanged, site};
use common::{Lab, eventually, with_site};
use serde_json::Value;
use vpngw::lab::request::Request;
use vpngw::lab::site::Site;

/// As a user of `show` and the log sees one end.
const HOME: (&str, &str) = ("home", "aws");
const EC2: (&str, &str) = ("ec2", "homelab");

const SILENCE: &str = "nothing arrives from 203.0.113.10:51820: its UDP port is not reached, or a public key is wrong";
const NOTHING: &str = "nothing has arrived yet, and it has no endpoint: it must come to us";

/// The pair with one line of one end another.
fn broken(gateway: &str, from: &str, to: &str) -> Site {
    let mut site = site();
    let gateway = site.gateways.iter_mut().find(|found| found.name == gateway).unwrap();
    assert!(gateway.config.contains(from), "{}", gateway.config);
    gateway.config = gateway.config.replace(from, to);
    site
}

async fn note(lab: &Lab, (gateway, peer): (&str, &str), expected: &str) {
    eventually(&format!("the note at {gateway}: {expected}"), async || {
        let shown = lab.show(gateway, &["peers"])?;
        let note = shown["peers"][0]["note"].as_str().unwrap_or_default();
        ensure!(note == expected, "{shown}");
        let status = lab.show(gateway, &["status"])?;
        ensure!(warns(&status, &format!("peer {peer}: {expected}")), "{status}");
        Ok(())
    })
    .await;
}

async fn warning(lab: &Lab, gateway: &str, expected: &str) -> Value {
    eventually(&format!("the warning at {gateway}: {expected}"), async || {
        let status = lab.show(gateway, &["status"])?;
        ensure!(warns(&status, expected), "{status}");
        Ok(status)
    })
    .await
}

fn warns(status: &Value, expected: &str) -> bool {
    status["warnings"].as_array().is_some_and(|warnings| warnings.iter().any(|warning| warning == expected))
}

async fn logs(lab: &mut Lab, gateway: &str, expected: &[&str]) {
    eventually(&format!("the log of {gateway}"), async || {
        let log = lab.running.process(gateway)?.output();
        let found = log.lines().any(|line| expected.iter().all(|words| line.contains(words)));
        ensure!(found, "{expected:?} is not in:\n{log}");
        Ok(())
    })
    .await;
}

#[test]
fn a_tunnel_that_is_up_has_nothing_to_say_and_what_is_switched_off_behind_it_is_told() {
    with_site(&[], site(), async |lab| {
        lab.start_all(&["home", "ec2"]);
        lab.expect_all(&connected()).await;
        lab.expect_all(&exchanged()).await;
        for (gateway, _) in [HOME, EC2] {
            // A machine that stalls makes a peer suspect for a moment
            eventually(&format!("nothing to say at {gateway}"), async || {
                let (status, peers) = (lab.show(gateway, &["status"])?, lab.show(gateway, &["peers"])?);
                ensure!(status["warnings"] == Value::Array(vec![]), "{status}");
                ensure!(peers["peers"][0]["note"].is_null(), "{peers}");
                Ok(())
            })
            .await;
        }
        let strict = "strict reverse-path filtering drops packets whose way back is another";
        for (name, value, expected) in [
            (
                "net/ipv4/ip_forward",
                "0",
                "net.ipv4.ip_forward is 0: IPv4 packets between the tunnel and other links are not forwarded"
                    .to_owned(),
            ),
            (
                "net/ipv6/conf/all/forwarding",
                "0",
                "net.ipv6.conf.all.forwarding is 0: IPv6 packets between the tunnel and other links are not forwarded"
                    .to_owned(),
            ),
            ("net/ipv4/conf/wg0/rp_filter", "1", format!("net.ipv4.conf.wg0.rp_filter is 1: on wg0, {strict}")),
        ] {
            let sysctl = |value: &str| Request::Sysctl { name: name.to_owned(), value: value.to_owned() };
            lab.node("ec2").perform(sysctl(value)).await.unwrap();
            warning(lab, "ec2", &expected).await;
            lab.node("ec2").perform(sysctl(if value == "0" { "1" } else { "0" })).await.unwrap();
        }
        // The greater of the two counts.
        let all =
            |value: &str| Request::Sysctl { name: "net/ipv4/conf/all/rp_filter".to_owned(), value: value.to_owned() };
        lab.node("ec2").perform(all("1")).await.unwrap();
        warning(lab, "ec2", &format!("net.ipv4.conf.all.rp_filter is 1: on wg0, {strict}")).await;
        lab.node("ec2").perform(all("2")).await.unwrap();
        assert!(!lab.show("ec2", &["status"]).unwrap()["warnings"].to_string().contains("rp_filter"));
    });
}

#[test]
fn a_closed_port_is_silence_at_both_ends() {
    with_site(&[], broken("ec2", "= 51820", "= 51821"), async |lab| {
        lab.start_all(&["home", "ec2"]);
        note(lab, HOME, SILENCE).await;
        note(lab, EC2, NOTHING).await;
        logs(lab, "home", &["WARN", "no tunnel to the peer", "nothing arrives from 203.0.113.10:51820"]).await;
        let status = lab.show("ec2", &["status"]).unwrap();
        let drops = &status["tunnels"]["drops"];
        assert!(drops["for another public key"].is_null() && drops["unknown peer"].is_null(), "{status}");
    });
}

#[test]
fn a_wrong_key_of_the_far_end_is_seen_there() {
    with_site(&[], broken("home", "${EC2_PUBLIC_KEY}", "${SPEAKER_PUBLIC_KEY}"), async |lab| {
        lab.start_all(&["home", "ec2"]);
        let expected =
            "handshakes arrive from 203.0.113.2:51820 but do not fit: they are made for another public key than ours";
        let status = warning(lab, "ec2", expected).await;
        assert!(status["tunnels"]["drops"]["for another public key"].as_u64() > Some(0), "{status}");
        logs(lab, "ec2", &["WARN", "handshakes do not fit", "203.0.113.2:51820", "another public key"]).await;
        note(lab, HOME, SILENCE).await;
    });
}

#[test]
fn a_key_that_no_peer_has_is_named() {
    with_site(&[], broken("ec2", "${HOME_PUBLIC_KEY}", "${SPEAKER_PUBLIC_KEY}"), async |lab| {
        lab.start_all(&["home", "ec2"]);
        let key = lab.running.directory().public_key("home").unwrap();
        let expected =
            format!("handshakes arrive from 203.0.113.2:51820 but do not fit: no peer has their public key {key}");
        let status = warning(lab, "ec2", &expected).await;
        assert!(status["tunnels"]["drops"]["unknown peer"].as_u64() > Some(0), "{status}");
        logs(lab, "ec2", &["WARN", "handshakes do not fit", &key.to_string()]).await;
        note(lab, HOME, SILENCE).await;
    });
}

#[test]
fn another_preshared_key_is_told_at_both_ends() {
    with_site(&[], broken("ec2", "tunnel.psk", "other.psk"), async |lab| {
        lab.running.directory().preshared_key("other").unwrap();
        lab.start_all(&["home", "ec2"]);
        note(lab, HOME, "handshakes arrive from 203.0.113.10:51820 but do not fit: the preshared keys differ").await;
        let expected = "handshakes arrive from 203.0.113.2:51820 and are answered, but nothing follows: the preshared keys \
                        differ, or our answers do not arrive";
        note(lab, EC2, expected).await;
        logs(lab, "home", &["WARN", "handshakes do not fit", "aws", "the preshared keys differ"]).await;
    });
}
