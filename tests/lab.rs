//! The lab itself: namespaces, links, probes; and `vpngw lab` as a user runs it.
#![allow(clippy::unwrap_used)]

mod common;

use std::future::Future;
use std::net::SocketAddr;
use std::process::Command;
use std::time::Duration;

use anyhow::ensure;
use common::{DEADLINE, eventually, with_site};
use vpngw::lab::directory::Directory;
use vpngw::lab::homelab_aws;
use vpngw::lab::process::{Process, Signal};
use vpngw::lab::request::{Fetch, Ping};
use vpngw::lab::site::{Link, Node, Port, Site, ip, net};

/// How long what has come true is watched.
const STAYS: Duration = Duration::from_secs(5);

/// Two hosts, a router between them, one of the links a switch.
fn three_nodes() -> Site {
    Site {
        name: "three",
        drawing: "",
        nodes: vec![
            Node::host("left").route("0.0.0.0/0", "192.0.2.1").route("::/0", "2001:db8::1"),
            Node::router("middle"),
            Node::host("right")
                .address("203.0.113.7/32")
                .route_from("0.0.0.0/0", "198.51.100.1", "203.0.113.7")
                .route("::/0", "2001:db8:1::1")
                .echo("[::]:7"),
            Node::host("idle"),
        ],
        links: vec![
            Link::new(
                "switch",
                vec![
                    Port::new("left", "eth0", &["192.0.2.10/24", "2001:db8::10/64"]),
                    Port::new("middle", "left0", &["192.0.2.1/24", "2001:db8::1/64"]),
                    Port::new("idle", "eth0", &["192.0.2.11/24", "2001:db8::11/64"]),
                ],
            ),
            Link::new(
                "cable",
                vec![
                    Port::new("middle", "right0", &["198.51.100.1/24", "2001:db8:1::1/64"]),
                    Port::new("right", "eth0", &["198.51.100.10/24", "2001:db8:1::10/64"]),
                ],
            ),
        ],
        gateways: Vec::new(),
        expectations: Vec::new(),
    }
}

fn once(from: Option<&str>, to: &str) -> Ping {
    let (interval, timeout) = (Duration::ZERO, Duration::from_secs(10));
    Ping { to: ip(to), from: from.map(ip), count: 2, interval, timeout }
}

#[test]
fn hosts_reach_each_other_through_a_switch_and_a_router_in_both_families() {
    with_site(&[], three_nodes(), async |lab| {
        for (from, to) in
            [("192.0.2.10", "198.51.100.10"), ("2001:db8::10", "2001:db8:1::10"), ("192.0.2.10", "192.0.2.11")]
        {
            let echoes = lab.node("left").ping(once(Some(from), to)).await.unwrap();
            assert_eq!((echoes.sent, echoes.round_trips.len()), (2, 2), "{to}: {:?}", echoes.error);
        }
        for to in ["198.51.100.10:7", "[2001:db8:1::10]:7"] {
            let to: SocketAddr = to.parse().unwrap();
            let fetch = Fetch { to, from: None, octets: 1_000_001, timeout: Duration::from_secs(60) };
            assert_eq!(lab.node("left").fetch(fetch).await.unwrap(), 1_000_001);
        }
    });
}

#[test]
fn an_echo_that_nobody_answers_is_counted_and_explained() {
    with_site(&[], three_nodes(), async |lab| {
        let ping = Ping { timeout: Duration::from_millis(300), ..once(None, "198.51.100.99") };
        let echoes = lab.node("left").ping(ping).await.unwrap();
        assert_eq!((echoes.sent, echoes.round_trips.len()), (2, 0));
        assert!(echoes.error.is_some());
        let error = lab.node("middle").ping(once(None, "10.0.0.1")).await.unwrap_err();
        assert!(format!("{error:#}").contains("no way to 10.0.0.1"), "{error:#}");
    });
}

#[test]
fn static_routes_carry_their_source_address_and_are_listed_by_protocol() {
    with_site(&[], three_nodes(), async |lab| {
        let shown = lab.output("right", "ip", &["-4", "route", "show", "default"]).unwrap();
        assert!(shown.contains("src 203.0.113.7"), "{shown}");
        let routes = lab.node("right").routes(4).await.unwrap();
        assert_eq!(routes.iter().map(|route| route.prefix).collect::<Vec<_>>(), [net("0.0.0.0/0"), net("::/0")]);
        assert_eq!(routes[0].hops[0].link, "eth0");
        assert!(lab.node("right").routes(157).await.unwrap().is_empty());
    });
}

#[test]
fn the_agent_refuses_to_work_in_the_hosts_own_namespace() {
    let output = std::process::Command::new(common::binary()).arg("lab-node").output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("in a network namespace of its own"), "{said}");
}

/// Runs `vpngw lab` with a temporary directory by which everything it makes can be told.
struct UserLab {
    temporary: Directory,
    process: Process,
}

impl UserLab {
    fn start(arguments: &[&str]) -> Self {
        let temporary = Directory::create().unwrap();
        let mut command = Command::new(common::binary());
        command.arg("lab").args(arguments).env("TMPDIR", temporary.file("tmp"));
        std::fs::create_dir(temporary.file("tmp")).unwrap();
        let process = Process::start("lab", command, &temporary.file("lab.log")).unwrap();
        Self { temporary, process }
    }

    /// Processes that the lab has started, and itself.
    fn processes(&self) -> Vec<String> {
        let mark = format!("TMPDIR={}", self.temporary.file("tmp").display());
        let entries = std::fs::read_dir("/proc").unwrap().flatten();
        let marked = entries.filter(|entry| {
            let environment = std::fs::read(entry.path().join("environ")).unwrap_or_default();
            environment.split(|octet| *octet == 0).any(|variable| variable == mark.as_bytes())
        });
        let command =
            |entry: std::fs::DirEntry| std::fs::read_to_string(entry.path().join("cmdline")).unwrap_or_default();
        marked.map(command).collect()
    }

    async fn nothing_is_left(&self) {
        eventually("the lab's processes are gone", async || {
            let processes = self.processes();
            ensure!(processes.is_empty(), "{processes:?}");
            Ok(())
        })
        .await;
    }

    fn files(&self) -> usize {
        std::fs::read_dir(self.temporary.file("tmp")).unwrap().count()
    }

    /// Waits until this many things have come true.
    async fn has_shown(&self, count: usize) {
        eventually("the lab's lines", async || {
            let output = self.process.output();
            ensure!(output.lines().filter(|line| line.contains(" s  ok ")).count() >= count, "{output}");
            Ok(())
        })
        .await;
    }

    /// Waits until a namespace has been made and a gateway says something.
    async fn has_begun(&self) {
        self.has_shown(1).await;
    }
}

fn block_on(test: impl Future<Output = ()>) {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(test);
}

#[test]
fn vpngw_lab_shows_the_whole_site_at_work_and_leaves_nothing() {
    if !common::can_run(&[]) {
        return;
    }
    block_on(async {
        let mut lab = UserLab::start(&["homelab-aws"]);
        lab.has_shown(homelab_aws::site().expectations.len()).await;
        tokio::time::sleep(STAYS).await;
        lab.process.signal(Signal::Interrupt).unwrap();
        let status = lab.process.wait(DEADLINE).await.unwrap();
        let output = lab.process.output();
        assert!(status.success(), "{status}\n{output}");
        assert!(output.contains("home LAN 192.168.2.0/24"), "{output}");
        let shown = [
            ("✓ tunnel   home - aws", "203.0.113.10:51820"),
            ("✓ kernel   home", "10.20.0.0/16"),
            ("✓ kernel   home", "fd20::/56"),
            ("✓ kernel   ec2", "10.245.0.0/16"),
            ("✓ kernel   ec2", "fd00:10:244::/64"),
            ("✓ ping     pod-19 > instance", " 0 lost"),
            ("✓ ping     instance > pod-19", "fd00:10:244:1::10 in "),
        ];
        for (what, detail) in shown {
            let line = output.lines().find(|line| line.starts_with(what));
            assert!(line.is_some_and(|line| line.contains(detail)), "no {detail} in {what} of\n{output}");
        }
        assert_eq!(lab.files(), 0);
        lab.nothing_is_left().await;
    });
}

#[test]
fn vpngw_lab_ends_clean_after_its_time_and_says_what_did_not_come_true() {
    if !common::can_run(&[]) {
        return;
    }
    block_on(async {
        let mut lab = UserLab::start(&["homelab-aws", "--for", "1ms"]);
        let status = lab.process.wait(DEADLINE).await.unwrap();
        assert!(!status.success(), "{}", lab.process.output());
        assert_eq!(lab.files(), 0);
        lab.nothing_is_left().await;
    });
}

#[test]
fn vpngw_lab_ends_clean_on_interrupt() {
    if !common::can_run(&[]) {
        return;
    }
    block_on(async {
        let mut lab = UserLab::start(&[]);
        lab.has_begun().await;
        lab.process.signal(Signal::Interrupt).unwrap();
        lab.process.wait(DEADLINE).await.unwrap();
        assert_eq!(lab.files(), 0);
        lab.nothing_is_left().await;
    });
}

#[test]
fn processes_of_a_lab_that_is_killed_end_with_it() {
    if !common::can_run(&[]) {
        return;
    }
    block_on(async {
        let mut lab = UserLab::start(&[]);
        lab.has_begun().await;
        assert!(lab.processes().len() > 10, "{:?}", lab.processes());
        lab.process.kill().await.unwrap();
        lab.nothing_is_left().await;
    });
}
