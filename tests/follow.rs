//! The tunnel follows BGP: what GoBGP announces behind two tunnels is reachable, and its source acceptable, in one step, and
//! no packet is lost when the route changes or moves.
#![allow(clippy::unwrap_used)]

mod common;

use std::time::Duration;

use anyhow::{Context as _, ensure};
use common::daemon::{Attributes, mrt};
use common::gobgp::{Families, GoBgp, Settings};
use common::hub::{self, SHARED};
use common::streams::{Streams, Way};
use common::{Lab, eventually, with_site};
use ipnet::IpNet;
use serde_json::{Value, json};
use vpngw::lab::request::Fate;
use vpngw::lab::site::{Node, Site, ip, net};

const PROGRAMS: [&str; 2] = ["gobgpd", "gobgp"];
const SIDES: [&str; 2] = ["left", "right"];
/// Behind a peer that dies.
const MANY: u32 = 10_000;

/// From the server behind the hub to the service behind two tunnels.
const THERE: [Way; 2] = [("server", "10.20.0.20", "10.50.0.1"), ("server", "fd20::20", "fd50::1")];
/// From the hub itself, whose kernel says of each packet at once that it has no way; Linux tells others so once a second.
const HUB: [Way; 2] = [("hub", "10.20.0.10", "10.50.0.1"), ("hub", "fd20::10", "fd50::1")];
/// From the service to the server.
const BACK: [Way; 2] = [("service", "10.50.0.1", "10.20.0.20"), ("service", "fd50::1", "fd20::20")];

fn site() -> Site {
    let configs =
        [include_str!("follow/hub.toml"), include_str!("follow/left.toml"), include_str!("follow/right.toml")];
    let service = Node::host("service")
        .address("10.50.0.1/32")
        .address("fd50::1/128")
        .route("10.20.0.0/16", "10.31.0.1")
        .route("fd20::/56", "fd31::1");
    hub::site("follow", configs, vec![service], [("service", "eth0"), ("service", "eth1")])
}

/// Both tunnels with GoBGP at their far ends, and the sessions through them.
async fn comes_up(lab: &mut Lab) -> [GoBgp; 2] {
    lab.start_all(&["hub", "left", "right"]);
    for gateway in ["hub", "left", "right"] {
        lab.answers(gateway).await;
        // On a machine that is busy with other things, a program may be kept waiting for longer than the usual 500 packets.
        lab.output(gateway, "ip", &["link", "set", "wg0", "txqueuelen", "10000"]).unwrap();
    }
    let mut speakers = Vec::new();
    for (name, router_id) in SIDES.into_iter().zip(["10.31.0.1", "10.32.0.1"]) {
        let neighbors = &[("169.254.64.1", 64513), ("fd64:64::1", 64513)];
        let settings = Settings { asn: 64513, router_id, neighbors, families: Families::Own, password: None };
        let speaker = lab.gobgp(&format!("gobgp-{name}"), name, &settings).await;
        for (neighbor, _) in neighbors {
            speaker.established(neighbor).await;
        }
        speakers.push(speaker);
    }
    speakers.try_into().ok().unwrap()
}

/// On all ways, in both families at once.
async fn streams(lab: &Lab) -> Streams {
    Streams::start(lab, [THERE, HUB, BACK].concat(), Duration::from_millis(5)).await
}

/// Announces both prefixes with these attributes, in the words of GoBGP.
fn announce(speaker: &GoBgp, attributes: &[&str]) {
    for prefix in SHARED {
        let family = if prefix.contains(':') { "ipv6" } else { "ipv4" };
        speaker.run(&[&["global", "rib", "add", "-a", family, prefix], attributes].concat()).unwrap();
    }
}

fn withdraw(speaker: &GoBgp) {
    SHARED.iter().for_each(|prefix| speaker.withdraw(prefix));
}

/// The hub's tunnel group of a prefix, acknowledged, with the kernel's route.
fn group(lab: &Lab, prefix: &str) -> anyhow::Result<Value> {
    let shown = lab.show("hub", &["fib"])?;
    let route = shown["routes"].as_array().and_then(|routes| routes.iter().find(|route| route["prefix"] == prefix));
    let route = route.with_context(|| shown.to_string())?;
    ensure!(route["state"] == "installed", "{route}");
    Ok(route["tunnel"].clone())
}

/// Waits until both prefixes are sent to these peers, and may come from those.
async fn uses(lab: &Lab, send: &[&str], backup: &[&str]) {
    let mut accept = [send, backup].concat();
    accept.sort_unstable();
    let wanted = json!({ "send": send, "backup": backup, "accept": accept });
    for prefix in SHARED {
        eventually(&format!("{prefix}: {wanted}"), async || {
            let mut group = group(lab, prefix)?;
            let names = group["accept"].as_array_mut().context("no peers")?;
            names.sort_by_key(ToString::to_string);
            ensure!(group == wanted, "{group}");
            Ok(())
        })
        .await;
    }
}

/// The service sends by this side from now on.
fn service_sends_by(lab: &Lab, side: &str) {
    let [ipv4, ipv6] = if side == "left" { ["10.31.0.1", "fd31::1"] } else { ["10.32.0.1", "fd32::1"] };
    for (prefix, gateway) in [("10.20.0.0/16", ipv4), ("fd20::/56", ipv6)] {
        let words = ["route", "replace", prefix, "via", gateway, "proto", "static", "metric", "10"];
        lab.output("service", "ip", &words).unwrap();
    }
}

#[test]
fn an_announced_route_is_reachable_and_its_source_acceptable_in_one_step() {
    with_site(&PROGRAMS, site(), async |lab| {
        let [left, _right] = comes_up(lab).await;
        let streams = streams(lab).await;
        streams.go_on(lab, 100).await;
        announce(&left, &[]);
        uses(lab, &["left"], &[]).await;
        streams.are_answered(lab, 100).await;
        for attributes in
            [&["med", "7"][..], &["local-pref", "300"], &["community", "64513:1"], &["origin", "egp"], &[]]
        {
            announce(&left, attributes);
            streams.are_answered(lab, 50).await;
        }
        for (way, runs) in streams.end(lab).await {
            let fates: Vec<Fate> = runs.iter().map(|run| run.fate).collect();
            let (last, before) = fates.split_last().unwrap();
            assert!(*last == Fate::Answered && !before.contains(last), "{way:?}: {runs:?}");
            // The first packet that finds the kernel's route is answered, and there is no packet without a word
            assert!(!HUB.contains(&way) || before == [Fate::Unreachable], "{way:?}: {runs:?}");
        }
    });
}

#[test]
fn a_route_that_moves_between_two_tunnels_loses_nothing() {
    with_site(&PROGRAMS, site(), async |lab| {
        let [left, right] = comes_up(lab).await;
        announce(&left, &[]);
        uses(lab, &["left"], &[]).await;
        for (node, from, to) in THERE.into_iter().chain(BACK) {
            lab.pings(node, from, to).await;
        }
        let streams = streams(lab).await;
        for _ in 0..3 {
            // A better one comes
            announce(&right, &["local-pref", "200"]);
            uses(lab, &["right"], &["left"]).await;
            streams.are_answered(lab, 50).await;
            // The other becomes better
            announce(&left, &["local-pref", "300"]);
            uses(lab, &["left"], &["right"]).await;
            streams.are_answered(lab, 50).await;
            // By MULTI_EXIT_DISC
            announce(&right, &["local-pref", "300", "med", "10"]);
            announce(&left, &["local-pref", "300", "med", "20"]);
            uses(lab, &["right"], &["left"]).await;
            streams.are_answered(lab, 50).await;
            announce(&left, &["local-pref", "300", "med", "5"]);
            uses(lab, &["left"], &["right"]).await;
            // The better one is withdrawn, by a side that sends nothing any more
            service_sends_by(lab, "right");
            streams.are_answered(lab, 50).await;
            withdraw(&left);
            uses(lab, &["right"], &[]).await;
            streams.are_answered(lab, 50).await;
            // Back to the start: a worse one comes, the better one goes
            announce(&left, &[]);
            uses(lab, &["right"], &["left"]).await;
            service_sends_by(lab, "left");
            streams.are_answered(lab, 50).await;
            withdraw(&right);
            uses(lab, &["left"], &[]).await;
            streams.are_answered(lab, 50).await;
        }
        streams.all_were_answered(lab).await;
    });
}

/// Has GoBGP announce ten thousand routes, and waits until the hub has as many paths of its.
async fn announce_many(lab: &Lab, side: &str, speaker: &GoBgp, next_hop: &str, local_pref: u32) {
    let attributes = Attributes { next_hop: Some(ip(next_hop)), local_pref: Some(local_pref), ..Attributes::default() };
    let prefix = |number: u32| net(&format!("10.{}.{}.0/24", 64 + (number >> 8), number & 0xff));
    let prefixes: Vec<IpNet> = (0..MANY).map(prefix).collect();
    let file = lab.running.directory().file(&format!("{side}.mrt"));
    // The command ends before its last routes were taken, so each is there twice
    let twice = prefixes.iter().chain(&prefixes).map(|prefix| (prefix, &attributes));
    std::fs::write(&file, mrt::table(twice)).unwrap();
    speaker.run(&["mrt", "inject", "global", &file.display().to_string()]).unwrap();
    eventually(&format!("{MANY} routes of {side}"), async || {
        let shown = lab.show("hub", &["neighbor", side])?;
        // And the one of the service
        ensure!(shown["accepted"] == MANY + 1, "{}", shown["accepted"]);
        Ok(())
    })
    .await;
}

#[test]
fn ten_thousand_routes_of_a_peer_that_dies_move_to_the_backup_while_its_session_is_up() {
    with_site(&PROGRAMS, site(), async |lab| {
        let [left, right] = comes_up(lab).await;
        announce(&right, &["local-pref", "100"]);
        announce(&left, &["local-pref", "200"]);
        announce_many(lab, "right", &right, "169.254.64.32", 100).await;
        announce_many(lab, "left", &left, "169.254.64.31", 200).await;
        uses(lab, &["left"], &["right"]).await;
        service_sends_by(lab, "right");
        for (node, from, to) in THERE.into_iter().chain(BACK) {
            lab.pings(node, from, to).await;
        }
        let streams = streams(lab).await;
        streams.are_answered(lab, 50).await;

        lab.output("left", "ip", &["link", "set", "wan0", "down"]).unwrap();
        streams.are_answered(lab, 200).await;
        let shown = lab.show("hub", &["peers"]).unwrap();
        assert!(shown["peers"][0]["name"] == "left" && shown["peers"][0]["state"] == "down", "{shown}");
        // A session without `via` knows nothing of it before its hold time
        assert_eq!(lab.show("hub", &["neighbor", "left"]).unwrap()["state"], "established");

        lab.output("left", "ip", &["link", "set", "wan0", "up"]).unwrap();
        uses(lab, &["left"], &["right"]).await;
        streams.are_answered(lab, 50).await;
        for (way, runs) in streams.end(lab).await {
            let fates: Vec<Fate> = runs.iter().map(|run| run.fate).collect();
            // What went to the dead peer is lost, for as long as it is silence and not yet death
            assert_eq!(fates, [Fate::Answered, Fate::Lost, Fate::Answered], "{way:?}: {runs:?}");
        }
    });
}
