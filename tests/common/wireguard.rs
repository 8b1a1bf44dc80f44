//! Other WireGuards in userspace, each in a namespace, and `wg` to command them and ours.
//!
//! Their sockets have a fixed place under /run: each has a /run of its own.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Context as _;

use super::{Lab, eventually, output};

/// A stock WireGuard.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Program {
    /// Debian's, the reference.
    WireguardGo,
    /// As `tests/tools` builds it.
    BoringTun,
}

/// `wg show INTERFACE dump`, of a peer.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Peer {
    pub public_key: String,
    pub endpoint: String,
    /// Unix time, 0 = never.
    pub latest_handshake: u64,
    pub receive_bytes: u64,
    pub transmit_bytes: u64,
}

/// A running tunnel that `wg` commands.
#[derive(Clone, Copy, Debug)]
pub struct Wireguard {
    node: &'static str,
    interface: &'static str,
    pid: u32,
}

impl Program {
    /// The file to run; of one that is not there, `None`, said on stderr. CI must not skip.
    pub fn find(self) -> Option<PathBuf> {
        let built = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap().join("boringtun/bin/boringtun-cli");
        match self {
            Self::WireguardGo => Some("wireguard-go".into()), // with_site() asks for it
            Self::BoringTun if built.is_file() => Some(built),
            Self::BoringTun => {
                assert!(
                    std::env::var_os("VPNGW_CI").is_none(),
                    "CI must run this test, which needs {}",
                    built.display()
                );
                eprintln!("skipped: this test needs boringtun-cli, which tests/tools builds");
                None
            }
        }
    }

    /// BoringTun's connected sockets could not follow an address of its own that changes.
    fn arguments(self) -> &'static str {
        match self {
            Self::WireguardGo => "--foreground",
            Self::BoringTun => "--foreground --disable-drop-privileges --disable-connected-udp",
        }
    }
}

impl Lab {
    /// Starts one in a node's namespace and gives it a configuration as `wg setconf` takes it. The interface is left down.
    /// Its process is called `far-NODE`; one of before has been killed.
    pub async fn wireguard(
        &mut self,
        program: Program,
        node: &'static str,
        interface: &'static str,
        config: &Path,
    ) -> Wireguard {
        let name = format!("far-{node}");
        let script = format!("mount -t tmpfs none /run && exec \"$1\" {} \"$0\"", program.arguments());
        let mut command = self.node(node).command("unshare");
        command.args(["--mount", "--propagation", "private", "sh", "-c", &script, interface]);
        command.arg(program.find().unwrap());
        self.running.run(&name, command).unwrap();
        let wireguard = Wireguard { node, interface, pid: self.running.process(&name).unwrap().pid() };
        eventually(&name, async || wireguard.listens()).await;
        wireguard.wg(self, &["setconf", interface, config.to_str().unwrap()]).unwrap();
        wireguard
    }

    /// Our own tunnel as `wg` sees it. The gateway runs in the node of its name.
    pub async fn our_wireguard(&mut self, gateway: &'static str, interface: &'static str) -> Wireguard {
        let pid = self.running.process(gateway).unwrap().pid();
        let wireguard = Wireguard { node: gateway, interface, pid };
        eventually("the socket of wg", async || wireguard.peers(self)).await;
        wireguard
    }
}

impl Wireguard {
    /// Whether it listens for `wg`, which must not ask before: it would remove the socket.
    fn listens(&self) -> anyhow::Result<()> {
        let name = format!("/{}.sock", self.interface);
        let sockets = fs::read_to_string(format!("/proc/{}/net/unix", self.pid))?;
        // Columns: address, count, protocol, flags, type, state, inode, name. The flag is __SO_ACCEPTCON.
        let listens = |line: &str| line.ends_with(&name) && line.split_whitespace().nth(3) == Some("00010000");
        anyhow::ensure!(sockets.lines().any(listens), "it does not listen yet");
        Ok(())
    }

    /// What `wg` prints.
    pub fn wg(&self, lab: &Lab, arguments: &[&str]) -> anyhow::Result<String> {
        let mut command = lab.node(self.node).command("nsenter");
        command.arg(format!("--mount=/proc/{}/ns/mnt", self.pid)).arg("wg").args(arguments);
        output(command)
    }

    /// `wg set INTERFACE …`.
    pub fn set(&self, lab: &Lab, arguments: &[&str]) -> anyhow::Result<()> {
        self.wg(lab, &[&["set", self.interface], arguments].concat()).map(drop)
    }

    /// Its peers.
    pub fn peers(&self, lab: &Lab) -> anyhow::Result<Vec<Peer>> {
        let dump = self.wg(lab, &["show", self.interface, "dump"])?;
        // The first line is the interface itself. Columns: public key, preshared key, endpoint, allowed IPs, latest
        // handshake, received, sent, keepalive.
        dump.lines().skip(1).map(peer).collect()
    }

    /// Its one peer.
    pub fn peer(&self, lab: &Lab) -> anyhow::Result<Peer> {
        self.peers(lab)?.pop().context("there is no peer")
    }

    /// Of all its peers. BoringTun tells the time since then.
    pub fn latest_handshake(&self, lab: &Lab) -> anyhow::Result<u64> {
        self.peers(lab)?.iter().map(|peer| peer.latest_handshake).max().context("there is no peer")
    }

    /// Whether datagrams wait in its sockets.
    pub fn has_mail(&self, port: u16) -> anyhow::Result<bool> {
        let tables = ["udp", "udp6"].map(|table| fs::read_to_string(format!("/proc/{}/net/{table}", self.pid)));
        let local = format!(":{port:04X}");
        let mut found = false;
        for table in tables {
            // Columns: number, local address, remote address, state, octets to send and received.
            let sockets = table?;
            let mut sockets = sockets.lines().skip(1).map(|line| line.split_whitespace().collect::<Vec<_>>());
            found |= sockets.any(|columns| columns[1].ends_with(&local) && !columns[4].ends_with(":00000000"));
        }
        Ok(found)
    }

    /// SIGSTOP or SIGCONT, and the wait until it is so.
    pub async fn hold(&self, hold: bool) {
        let (signal, state) = if hold { ("-STOP", "T") } else { ("-CONT", "RSD") };
        let mut kill = Command::new("kill");
        kill.args([signal, &self.pid.to_string()]);
        output(kill).unwrap();
        eventually("the process to be held or let go", async || {
            let stat = fs::read_to_string(format!("/proc/{}/stat", self.pid))?;
            let now = stat.rsplit(") ").next().and_then(|rest| rest.chars().next()).context("no state")?;
            anyhow::ensure!(state.contains(now), "{stat}");
            Ok(())
        })
        .await;
    }
}

fn peer(line: &str) -> anyhow::Result<Peer> {
    let columns: Vec<&str> = line.split('\t').collect();
    let column = |index: usize| columns.get(index).copied().unwrap_or_default();
    Ok(Peer {
        public_key: column(0).to_owned(),
        endpoint: column(2).to_owned(),
        latest_handshake: column(4).parse()?,
        receive_bytes: column(5).parse()?,
        transmit_bytes: column(6).parse()?,
    })
}
