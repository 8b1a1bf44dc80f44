//! Five hundred neighbors from one listen range, at the real program: all up and exchanging within seconds, what each costs,
//! and what becomes of them when file descriptors run out.
#![allow(clippy::unwrap_used)]
#![allow(clippy::print_stdout)] // what was measured

mod common;
#[path = "scale/crowd.rs"]
mod crowd;
#[path = "scale/mesh.rs"]
mod mesh;

use anyhow::{Context as _, ensure};
use common::{Lab, eventually, with_site};
use vpngw::lab::site::{Gateway, Link, Node, Port, Site};

/// How many dial in.
const MEMBERS: u16 = 500;
/// Where they dial.
const HUB: &str = "10.91.0.1:179";
/// The reflector and the crowd.
const GATEWAY: &str = "reflector";
const CROWD: &str = "crowd";

fn site() -> Site {
    Site {
        name: "scale",
        drawing: "crowd (10.90.0.0/16) - reflector",
        nodes: vec![Node::host("reflector").route("10.90.0.0/16", "10.91.0.2"), Node::host("crowd")],
        links: vec![Link::new(
            "cable",
            vec![Port::new("reflector", "eth0", &["10.91.0.1/24"]), Port::new("crowd", "eth0", &["10.91.0.2/24"])],
        )],
        gateways: vec![Gateway {
            name: GATEWAY,
            node: GATEWAY,
            config: include_str!("scale/reflector.toml").to_owned(),
        }],
        expectations: Vec::new(),
    }
}

/// Every address of the range is the crowd's.
fn start_crowd(lab: &mut Lab) {
    lab.output(CROWD, "ip", &["route", "add", "local", "10.90.0.0/16", "dev", "lo"]).unwrap();
    let mut command = lab.node(CROWD).command(std::env::current_exe().unwrap());
    command.args(["--exact", "five_hundred_neighbors", "--ignored", "--nocapture"]);
    lab.running.run(CROWD, command).unwrap();
}

/// Waits until each has a session and has heard of the others' prefixes; the line that says when.
async fn all_complete(lab: &mut Lab) -> String {
    let wanted = format!("{MEMBERS} established, {MEMBERS} complete");
    eventually(&wanted, async || {
        let output = lab.running.process(CROWD)?.output();
        let line = output.lines().last().unwrap_or_default();
        ensure!(line.starts_with(&wanted), "{line}");
        Ok(line.to_owned())
    })
    .await
}

fn established(lab: &Lab) -> anyhow::Result<usize> {
    let shown = lab.show(GATEWAY, &["neighbors"])?;
    let neighbors = shown["neighbors"].as_array().context("no neighbors")?;
    Ok(neighbors.iter().filter(|neighbor| neighbor["state"] == "established").count())
}

/// A line of `/proc/PID/status` in KiB.
fn memory(pid: u32, name: &str) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
    line.trim_matches([':', '\t', ' ', 'k', 'B']).parse().unwrap()
}

#[test]
#[ignore = "run by the tests below, in a namespace"]
fn five_hundred_neighbors() {
    crowd::run();
}

#[test]
fn five_hundred_neighbors_of_one_range_exchange_their_routes() {
    with_site(&[], site(), async |lab| {
        lab.start(GATEWAY);
        lab.answers(GATEWAY).await;
        let pid = lab.running.process(GATEWAY).unwrap().pid();
        let before = memory(pid, "VmRSS");
        start_crowd(lab);
        println!("{}", all_complete(lab).await);
        let after = memory(pid, "VmRSS");
        println!(
            "resident: {before} KiB alone, {after} KiB with all: {} KiB a neighbor; {} KiB at most",
            (after - before) / u64::from(MEMBERS),
            memory(pid, "VmHWM")
        );
        assert_eq!(established(lab).unwrap(), usize::from(MEMBERS));
        lab.kill(CROWD).await;
        eventually("no neighbor", async || {
            let left = established(lab)?;
            ensure!(left == 0, "{left} are still there");
            Ok(())
        })
        .await;
    });
}

#[test]
fn without_descriptors_it_answers_and_takes_the_others_in_when_there_are_some_again() {
    with_site(&["prlimit"], site(), async |lab| {
        lab.start(GATEWAY);
        lab.answers(GATEWAY).await;
        let pid = lab.running.process(GATEWAY).unwrap().pid().to_string();
        lab.output(GATEWAY, "prlimit", &["--pid", &pid, "--nofile=100:"]).unwrap();
        start_crowd(lab);
        let some = eventually("as many as there is room for", async || {
            let log = lab.running.process(GATEWAY)?.output();
            ensure!(log.contains("file descriptors are left"), "{log}");
            let some = established(lab)?;
            ensure!(some > 0, "none is established");
            Ok(some)
        })
        .await;
        assert!(some < 100, "{some} established");
        lab.output(GATEWAY, "prlimit", &["--pid", &pid, "--nofile=2000:"]).unwrap();
        println!("{}", all_complete(lab).await);
        lab.kill(CROWD).await;
    });
}
