//! GoBGP, the engine inside Cilium, in a namespace: it dials and does not listen.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context as _, ensure};
use serde_json::Value;

use super::{Lab, eventually, output};

/// `session_state` of GoBGP's API.
const ESTABLISHED: u64 = 6;

/// What a Cilium node is told.
pub struct Settings<'a> {
    pub asn: u32,
    pub router_id: &'a str,
    /// Each with its AS.
    pub neighbors: &'a [(&'a str, u32)],
    pub families: Families,
    /// TCP-MD5, where the sessions have one.
    pub password: Option<&'a str>,
}

/// Which families a session offers.
#[derive(Clone, Copy)]
pub enum Families {
    /// That of its addresses.
    Own,
    /// Both, as Cilium does where nothing else is written.
    Both,
}

/// A running `gobgpd`.
pub struct GoBgp {
    socket: PathBuf,
}

impl Settings<'_> {
    fn text(&self) -> String {
        let mut text =
            format!("[global.config]\n  as = {}\n  router-id = \"{}\"\n  port = -1\n", self.asn, self.router_id);
        let password =
            self.password.map(|password| format!("    auth-password = \"{password}\"\n")).unwrap_or_default();
        for (address, asn) in self.neighbors {
            // External sessions leave with TTL 1: that is GoBGP's default, and Cilium's.
            write!(
                text,
                "[[neighbors]]\n  [neighbors.config]\n    neighbor-address = \"{address}\"\n    peer-as = {asn}\n{password}  \
                 [neighbors.timers.config]\n    connect-retry = 5\n    idle-hold-time-after-reset = 5\n"
            )
            .unwrap();
            let families = match self.families {
                Families::Both => &["ipv4-unicast", "ipv6-unicast"][..],
                Families::Own if address.contains(':') => &["ipv6-unicast"],
                Families::Own => &["ipv4-unicast"],
            };
            for family in families {
                write!(
                    text,
                    "  [[neighbors.afi-safis]]\n    [neighbors.afi-safis.config]\n      afi-safi-name = \"{family}\"\n"
                )
                .unwrap();
            }
        }
        text
    }
}

impl Lab {
    /// Starts `gobgpd` in a node's namespace and waits until it takes commands.
    pub async fn gobgp(&mut self, name: &str, node: &str, settings: &Settings<'_>) -> GoBgp {
        self.gobgpd(name, node, &settings.text(), &["--log-level=debug"]).await
    }

    /// AS 64513 on the node `far`, with a session to the gateway at 192.0.2.1, AS 64512.
    pub async fn gobgp_far(&mut self) -> GoBgp {
        let neighbors = &[("192.0.2.1", 64512)];
        let settings =
            Settings { asn: 64513, router_id: "192.0.2.2", neighbors, families: Families::Own, password: None };
        let gobgp = self.gobgp("gobgp", "far", &settings).await;
        gobgp.established("192.0.2.1").await;
        gobgp
    }

    /// The same with a configuration and options of any kind.
    pub async fn gobgpd(&mut self, name: &str, node: &str, config: &str, options: &[&str]) -> GoBgp {
        let config = self.file(&format!("{name}.toml"), config);
        let socket = self.running.directory().file(&format!("{name}.api"));
        // One that was killed has left it, and the next one does not take it over.
        let _ = std::fs::remove_file(&socket);
        let mut command = self.node(node).command("gobgpd");
        command.arg("--config-file").arg(config).args(["--log-plain", "--pprof-disable"]).args(options);
        command.arg(format!("--api-hosts=unix://{}", socket.display()));
        self.running.run(name, command).unwrap();
        let gobgp = GoBgp { socket };
        eventually(name, async || gobgp.ask(&["global"])).await;
        gobgp
    }
}

impl GoBgp {
    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new("gobgp");
        command.arg(format!("--target=unix://{}", self.socket.display())).args(arguments);
        command
    }

    /// What `gobgp --json` prints.
    pub fn ask(&self, arguments: &[&str]) -> anyhow::Result<Value> {
        let mut command = self.command(arguments);
        command.arg("--json");
        Ok(serde_json::from_str(&output(command)?)?)
    }

    /// What a command says that does not answer in JSON.
    pub fn run(&self, arguments: &[&str]) -> anyhow::Result<String> {
        output(self.command(arguments))
    }

    pub fn announce(&self, prefix: &str) {
        self.change("add", prefix);
    }

    pub fn withdraw(&self, prefix: &str) {
        self.change("del", prefix);
    }

    fn change(&self, verb: &str, prefix: &str) {
        let family = if prefix.contains(':') { "ipv6" } else { "ipv4" };
        output(self.command(&["global", "rib", verb, "-a", family, prefix])).unwrap();
    }

    /// Waits until the session is up.
    pub async fn established(&self, neighbor: &str) {
        eventually(&format!("GoBGP's session with {neighbor}"), async || {
            let shown = self.ask(&["neighbor", neighbor])?;
            let state = shown["state"]["session_state"].as_u64().with_context(|| shown.to_string())?;
            ensure!(state == ESTABLISHED, "state {state}");
            Ok(())
        })
        .await;
    }

    /// Prefixes that the neighbor has told it.
    pub fn received(&self, neighbor: &str) -> anyhow::Result<Vec<String>> {
        let family = if neighbor.contains(':') { "ipv6" } else { "ipv4" };
        let shown = self.ask(&["neighbor", neighbor, "adj-in", "-a", family])?;
        Ok(shown.as_object().map(|routes| routes.keys().cloned().collect()).unwrap_or_default())
    }
}
