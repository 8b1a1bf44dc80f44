//! A thin layer over [`vpngw::lab`]: build a site, start its programs, wait for a state, and show the state of everything
//! when a test fails.
//!
//! A test process never enters a namespace. Nothing here has a fixed port or path on the host, so tests run side by side.
#![allow(dead_code, reason = "every test file uses a part of it")]
#![allow(clippy::unwrap_used, clippy::print_stderr, unreachable_pub, missing_docs)]

pub mod container;
pub mod daemon;
pub mod dump;
pub mod frr;
pub mod gobgp;
pub mod hub;
pub mod kernel;
pub mod packages;
pub mod pair;
pub mod schema;
pub mod streams;
pub mod systemd;
pub mod tools;
pub mod wireguard;

use std::fs;
use std::net::{IpAddr, SocketAddr};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use serde_json::Value;
use vpngw::lab::directory::Directory;
use vpngw::lab::namespace::Namespace;
use vpngw::lab::process::Signal;
use vpngw::lab::request::Ping;
use vpngw::lab::running::Running;
use vpngw::lab::site::{Expectation, Site, ip};

/// Ten times what anything here takes.
pub const DEADLINE: Duration = Duration::from_secs(180);
/// Between two looks.
pub const PAUSE: Duration = Duration::from_millis(100);
/// How long a program may take to end in order.
const STOP: Duration = Duration::from_secs(60);
/// How long all of them may take after a failure.
const GRACE: Duration = Duration::from_secs(10);

/// The program under test.
pub fn binary() -> PathBuf {
    std::env::var_os("VPNGW_BIN").map_or_else(|| env!("CARGO_BIN_EXE_vpngw").into(), Into::into)
}

/// Whether what a test needs is there; CI must not skip.
pub fn can_run(programs: &[&str]) -> bool {
    let root = fs::metadata("/proc/self").unwrap().uid() == 0;
    let mut missing: Vec<String> = programs
        .iter()
        .filter(|program| !is_installed(program))
        .map(|program| format!("the program {program}"))
        .collect();
    if !root {
        missing.insert(0, "root".to_owned());
    }
    if missing.is_empty() {
        return true;
    }
    let missing = missing.join(", ");
    assert!(std::env::var_os("VPNGW_CI").is_none(), "CI must run this test, which needs {missing}");
    eprintln!("skipped: this test needs {missing}");
    false
}

fn is_installed(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain(["/usr/sbin".into(), "/usr/lib/frr".into()])
        .any(|directory| directory.join(program).is_file())
}

/// Builds the site and hands it to the test; its programs are ended in order afterwards. Skips, and says so, without root
/// or without one of the programs.
pub fn with_site(programs: &[&str], site: Site, test: impl AsyncFnOnce(&mut Lab)) {
    if !can_run(&[programs, &["ip"]].concat()) {
        return;
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let running = Running::build(&site, &binary()).await.unwrap();
        let nodes = site.nodes.iter().map(|node| node.name).collect();
        let mut lab = Lab { running, nodes, directories: Vec::new() };
        test(&mut lab).await;
        lab.finish().await;
    });
}

/// Looks until it holds.
///
/// # Panics
/// With the last reason, where it does not within [`DEADLINE`], or the seconds that `VPNGW_DEADLINE` has: for whoever
/// writes a test.
pub async fn eventually<T>(what: &str, mut look: impl AsyncFnMut() -> anyhow::Result<T>) -> T {
    let seconds = std::env::var("VPNGW_DEADLINE").ok().and_then(|seconds| seconds.parse().ok());
    let deadline = seconds.map_or(DEADLINE, Duration::from_secs);
    let start = Instant::now();
    loop {
        match look().await {
            Ok(found) => return found,
            Err(error) if start.elapsed() > deadline => panic!("{what}: still not after {deadline:?}: {error:#}"),
            Err(_) => tokio::time::sleep(PAUSE).await,
        }
    }
}

/// A site that runs under a test. When the test panics, everything about it is printed.
pub struct Lab {
    pub running: Running,
    nodes: Vec<&'static str>,
    /// Of programs that need one that is theirs; removed last.
    directories: Vec<Directory>,
}

impl Lab {
    pub fn node(&self, name: &str) -> &Namespace {
        self.running.network().node(name).unwrap()
    }

    /// Starts a gateway of the site.
    pub fn start(&mut self, gateway: &str) {
        self.running.start(gateway).unwrap();
    }

    pub fn start_all(&mut self, gateways: &[&str]) {
        gateways.iter().for_each(|gateway| self.start(gateway));
    }

    /// SIGTERM, and the wait for a good end.
    pub async fn terminate(&mut self, program: &str) {
        let status = self.running.process(program).unwrap().terminate(STOP).await.unwrap();
        assert!(status.success(), "{program} has failed: {status}");
    }

    /// Ctrl-C, and the wait for a good end.
    pub async fn interrupt(&mut self, program: &str) {
        let process = self.running.process(program).unwrap();
        process.signal(Signal::Interrupt).unwrap();
        let status = process.wait(STOP).await.unwrap();
        assert!(status.success(), "{program} has failed: {status}");
    }

    /// SIGKILL.
    pub async fn kill(&mut self, program: &str) {
        self.running.kill(program).await.unwrap();
    }

    /// Waits until a gateway answers on its control socket.
    pub async fn answers(&self, gateway: &str) {
        eventually(gateway, async || self.show(gateway, &["status"])).await;
    }

    /// Starts `vpngw monitor` at a gateway as a program of the site.
    pub fn monitor(&mut self, gateway: &str, name: &str, words: &[&str]) {
        let mut command = Command::new(binary());
        command.arg("--socket").arg(self.running.socket(gateway)).arg("monitor").args(words);
        self.running.run(name, command).unwrap();
    }

    /// Waits until an expectation holds.
    pub async fn expect(&self, expectation: Expectation) {
        eventually(&expectation.to_string(), async || self.holds(&expectation).await).await;
    }

    pub async fn expect_all(&self, expectations: &[Expectation]) {
        for expectation in expectations {
            self.expect(expectation.clone()).await;
        }
    }

    /// Looks once.
    pub async fn holds(&self, expectation: &Expectation) -> anyhow::Result<()> {
        let finding = self.running.witnesses().check(expectation).await;
        finding.verdict.map(drop).map_err(anyhow::Error::msg)
    }

    /// What `vpngw show … --json` prints.
    pub fn show(&self, gateway: &str, what: &[&str]) -> anyhow::Result<Value> {
        let mut command = Command::new(binary());
        command.arg("--socket").arg(self.running.socket(gateway)).arg("show").args(what).arg("--json");
        Ok(serde_json::from_str(&output(command)?)?)
    }

    /// A command of the operator, with its end.
    pub async fn tell(&self, gateway: &str, words: &[&str]) {
        let mut command = Command::new(binary());
        command.arg("--socket").arg(self.running.socket(gateway)).args(words);
        tokio::task::spawn_blocking(|| output(command)).await.unwrap().unwrap();
    }

    /// What a program in a node's namespace prints.
    pub fn output(&self, node: &str, program: &str, arguments: &[&str]) -> anyhow::Result<String> {
        let mut command = self.node(node).command(program);
        command.args(arguments);
        output(command)
    }

    /// What a probe of the kubelet gets, from the node's own network.
    pub fn probe(&self, node: &str, address: SocketAddr, path: &str) -> anyhow::Result<String> {
        let script = format!(
            "exec 3<>/dev/tcp/{}/{}; printf 'GET {path} HTTP/1.1\\r\\nHost: probe\\r\\nConnection: close\\r\\n\\r\\n' >&3; cat <&3",
            address.ip(),
            address.port()
        );
        self.output(node, "bash", &["-c", &script])
    }

    /// Waits until one echo comes back.
    pub async fn pings(&self, node: &str, from: &str, to: &str) {
        eventually(&format!("ping from {node} to {to}"), async || {
            ensure!(self.answered(node, from, to).await? > 0, "no answer");
            Ok(())
        })
        .await;
    }

    /// Asks three times; the number of answers.
    pub async fn answered(&self, node: &str, from: &str, to: &str) -> anyhow::Result<usize> {
        let (from, to): (IpAddr, IpAddr) = (from.parse()?, to.parse()?);
        let (interval, timeout) = (Duration::from_millis(100), Duration::from_secs(1));
        let echoes = self.node(node).ping(Ping { to, from: Some(from), count: 3, interval, timeout }).await?;
        Ok(echoes.round_trips.len())
    }

    /// Asks three times, and each is answered, however long that takes on a busy machine.
    pub async fn are_answered(&self, node: &str, from: &str, to: &str) {
        let (interval, timeout) = (Duration::from_millis(100), Duration::from_secs(30));
        let ping = Ping { to: ip(to), from: Some(ip(from)), count: 3, interval, timeout };
        let echoes = self.node(node).ping(ping).await.unwrap();
        assert_eq!(echoes.round_trips.len(), 3, "{from} to {to}: {:?}", echoes.error);
    }

    /// A file that only its owner can read.
    pub fn file(&self, name: &str, text: &str) -> PathBuf {
        self.running.directory().write(name, text).unwrap()
    }

    /// FRR leaves files behind where it is killed.
    fn end_in_order(&mut self) {
        let start = Instant::now();
        for process in self.running.processes() {
            let _ = process.signal(Signal::Terminate);
            while matches!(process.ended(), Ok(None)) && start.elapsed() < GRACE {
                std::thread::sleep(PAUSE);
            }
        }
    }

    /// Ends every program in order. A gateway that has stopped leaves no route of its own.
    async fn finish(&mut self) {
        self.running.stop().await.unwrap();
        let leftovers = self.running.leftovers().await.unwrap();
        assert!(leftovers.is_empty(), "routes were left behind: {leftovers:?}");
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        if std::thread::panicking() {
            dump::everything(self);
            self.end_in_order();
        }
    }
}

/// Standard output of a command that succeeds.
pub fn output(mut command: Command) -> anyhow::Result<String> {
    let program = Path::new(command.get_program()).display().to_string();
    let output = command.output().with_context(|| program.clone())?;
    let (stdout, stderr) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    ensure!(output.status.success(), "{program}: {}: {stdout}{stderr}", output.status);
    Ok(stdout.into_owned())
}
