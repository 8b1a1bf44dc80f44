//! wireguard-go, the reference in userspace, in a namespace, with `wg` to command it.

use std::path::Path;
use std::process::Command;

use super::{Lab, eventually, output};

/// `wg show INTERFACE dump`, of a peer.
#[derive(Debug)]
pub struct Peer {
    pub endpoint: String,
    /// Unix time, 0 = never.
    pub latest_handshake: u64,
    pub receive_bytes: u64,
    pub transmit_bytes: u64,
}

/// A running `wireguard-go`.
pub struct WireguardGo {
    node: &'static str,
    interface: &'static str,
    pid: u32,
}

impl Lab {
    /// Starts it in a node's namespace and gives it a configuration as `wg setconf` takes it. The interface is left down.
    pub async fn wireguard_go(&mut self, node: &'static str, interface: &'static str, config: &Path) -> WireguardGo {
        let name = format!("wireguard-go-{interface}");
        // Its socket has a fixed place under /run: it gets a /run of its own.
        let script = "mount -t tmpfs none /run && exec wireguard-go --foreground \"$0\"";
        let mut command = self.node(node).command("unshare");
        command.args(["--mount", "--propagation", "private", "sh", "-c", script, interface]);
        self.running.run(&name, command).unwrap();
        let pid = self.running.process(&name).unwrap().pid();
        let wireguard = WireguardGo { node, interface, pid };
        let config = config.to_str().unwrap();
        eventually(&name, async || output(wireguard.wg(self, &["setconf", interface, config]))).await;
        wireguard
    }
}

impl WireguardGo {
    fn wg(&self, lab: &Lab, arguments: &[&str]) -> Command {
        let mut command = lab.node(self.node).command("nsenter");
        command.arg(format!("--mount=/proc/{}/ns/mnt", self.pid)).arg("wg").args(arguments);
        command
    }

    /// Its peers.
    pub fn peers(&self, lab: &Lab) -> anyhow::Result<Vec<Peer>> {
        let dump = output(self.wg(lab, &["show", self.interface, "dump"]))?;
        // The first line is the interface itself. Columns: public key, preshared key, endpoint, allowed IPs, latest
        // handshake, received, sent, keepalive.
        dump.lines().skip(1).map(peer).collect()
    }
}

fn peer(line: &str) -> anyhow::Result<Peer> {
    let columns: Vec<&str> = line.split('\t').collect();
    let column = |index: usize| columns.get(index).copied().unwrap_or_default();
    Ok(Peer {
        endpoint: column(2).to_owned(),
        latest_handshake: column(4).parse()?,
        receive_bytes: column(5).parse()?,
        transmit_bytes: column(6).parse()?,
    })
}
