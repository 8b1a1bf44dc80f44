//! FRR, the engine inside UniFi's routers and MetalLB, in a namespace: zebra and bgpd with sockets of their own.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, chown};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;
use vpngw::lab::directory::Directory;

use super::{Lab, eventually, output};

const DAEMONS: &str = "/usr/lib/frr";

/// A running FRR.
pub struct Frr {
    sockets: PathBuf,
}

impl Lab {
    /// Starts zebra and bgpd in a node's namespace. A bgpd that finds no zebra tries again only after 10 s; until then it
    /// knows no address of its own, and tells IPv6 routes with a next hop of IPv4.
    pub async fn frr(&mut self, name: &str, node: &str, config: &str) -> Frr {
        // FRR gives up root before it opens its sockets: it needs a directory of its own.
        let directory = Directory::create().unwrap();
        let frr = Frr { sockets: directory.path().to_owned() };
        give_to_frr(directory.path());
        for (daemon, text) in [("zebra", ""), ("bgpd", config)] {
            give_to_frr(&directory.write(&format!("{daemon}.conf"), text).unwrap());
            self.frr_daemon(&frr, name, node, daemon);
            eventually("zebra", async || Ok(UnixStream::connect(frr.zebra())?)).await;
        }
        self.directories.push(directory);
        frr
    }

    /// Starts one of its daemons, which has ended, with its configuration of before.
    pub fn frr_daemon(&mut self, frr: &Frr, name: &str, node: &str, daemon: &str) {
        let file = |name: &str| frr.sockets.join(name);
        let mut command = self.node(node).command(format!("{DAEMONS}/{daemon}"));
        command.arg("--vty_socket").arg(&frr.sockets).args(["--vty_port", "0", "--log", "stdout"]);
        command.arg("--socket").arg(frr.zebra()).arg("--config_file").arg(file(&format!("{daemon}.conf")));
        command.arg("--pid_file").arg(file(&format!("{daemon}.pid")));
        self.running.run(&format!("{name}-{daemon}"), command).unwrap();
    }
}

impl Frr {
    /// Where zebra listens for the others.
    fn zebra(&self) -> PathBuf {
        self.sockets.join("zserv.api")
    }

    /// What `vtysh` prints as JSON; the command must end with `json`.
    pub fn ask(&self, command: &str) -> anyhow::Result<Value> {
        Ok(serde_json::from_str(&self.vtysh(&[command])?)?)
    }

    /// Runs commands one after the other, as in `configure terminal`.
    pub fn vtysh(&self, commands: &[&str]) -> anyhow::Result<String> {
        let mut vtysh = Command::new("vtysh");
        vtysh.arg("--vty_socket").arg(&self.sockets).arg("--config_dir").arg(&self.sockets);
        for command in commands {
            vtysh.args(["-c", command]);
        }
        output(vtysh)
    }
}

fn give_to_frr(path: &Path) {
    // The package's own directory tells who that is.
    let owner = fs::metadata("/etc/frr").unwrap();
    chown(path, Some(owner.uid()), Some(owner.gid())).unwrap();
}
