//! The daemons of the field at the edge, with graceful restart switched on: how they start and end, and what they show.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context as _, ensure};
use vpngw::lab::process::Signal;

use crate::common::frr::Frr as RunningFrr;
use crate::common::gobgp::GoBgp as RunningGoBgp;
use crate::common::{DEADLINE, Lab, eventually, output};
use crate::{CLIENTS, SERVICES};

/// How a daemon ends.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Ends {
    /// SIGKILL.
    Killed,
    /// As its operator would have it, for a restart.
    InOrder,
}

pub(crate) trait Peer {
    /// Starts it, for the first time or after its end, and lets it announce [`SERVICES`].
    async fn start(&mut self, lab: &mut Lab, again: bool);
    async fn end(&mut self, lab: &mut Lab, how: Ends);
    /// How `show neighbor` names its capability after a restart.
    fn capability(&self) -> &'static str;
    /// It has our route: told by a session that is there, or kept for us.
    fn has_route(&self, lab: &Lab, kept: bool) -> anyhow::Result<()>;
    /// R, F and N of our last OPEN, as its own commands show them.
    fn sees_that_we_have_restarted(&self, lab: &Lab) -> anyhow::Result<()>;
}

fn has_all(text: &str, parts: &[&str]) -> anyhow::Result<()> {
    parts.iter().try_for_each(|part| {
        ensure!(text.contains(part), "no {part:?} in {text}");
        Ok(())
    })
}

/// bgpd; zebra stays.
#[derive(Default)]
pub(crate) struct Frr(Option<RunningFrr>);

const FRR: &str = "\
router bgp 64600
 bgp router-id 192.0.2.2
 bgp graceful-restart
 bgp graceful-restart preserve-fw-state
 no bgp ebgp-requires-policy
 no bgp network import-check
 neighbor 192.0.2.1 remote-as 64511
 neighbor 192.0.2.1 timers connect 1
 address-family ipv4 unicast
  network 10.50.0.0/24
 exit-address-family
";

impl Frr {
    fn vtysh(&self, command: &str) -> anyhow::Result<String> {
        self.0.as_ref().context("it was not started")?.vtysh(&[command])
    }
}

impl Peer for Frr {
    async fn start(&mut self, lab: &mut Lab, again: bool) {
        match &self.0 {
            Some(frr) if again => lab.frr_daemon(frr, "frr", "edge", "bgpd"),
            _ => self.0 = Some(lab.frr("frr", "edge", FRR).await),
        }
    }

    async fn end(&mut self, lab: &mut Lab, how: Ends) {
        match how {
            Ends::Killed => lab.kill("frr-bgpd").await,
            Ends::InOrder => lab.terminate("frr-bgpd").await,
        }
    }

    fn capability(&self) -> &'static str {
        "graceful-restart 120s R N ipv4:F"
    }

    fn has_route(&self, _: &Lab, kept: bool) -> anyhow::Result<()> {
        let shown = self.vtysh(&format!("show bgp ipv4 unicast {CLIENTS} json"))?;
        ensure!(shown.contains("\"valid\":true") && shown.contains("\"stale\":true") == kept, "{shown}");
        Ok(())
    }

    fn sees_that_we_have_restarted(&self, _: &Lab) -> anyhow::Result<()> {
        let shown = self.vtysh("show bgp ipv4 neighbors 192.0.2.1 graceful-restart json")?;
        let shown: String = shown.split_whitespace().collect();
        has_all(&shown, &["\"rBit\":true", "\"nBit\":true", "\"fBit\":true"])
    }
}

#[derive(Default)]
pub(crate) struct Bird(Option<PathBuf>);

const BIRD: &str = "
log stderr all;
debug protocols all;
router id 192.0.2.2;
protocol device { }
protocol static { ipv4; route 10.50.0.0/24 unreachable; }
protocol bgp vpngw {
    local 192.0.2.2 as 64600;
    neighbor 192.0.2.1 as 64511;
    graceful restart on;
    connect delay time 1;
    connect retry time 1;
    error wait time 1, 2;
    ipv4 { import all; export all; };
}
";

impl Bird {
    fn ask(&self, words: &[&str]) -> anyhow::Result<String> {
        let mut command = Command::new("birdc");
        command.arg("-s").arg(self.0.as_ref().context("it was not started")?).args(words);
        output(command)
    }
}

impl Peer for Bird {
    async fn start(&mut self, lab: &mut Lab, again: bool) {
        let config = lab.file("bird.conf", BIRD);
        let socket = lab.running.directory().file("bird.ctl");
        let mut command = lab.node("edge").command("/usr/sbin/bird");
        command.arg("-f").arg("-c").arg(config).arg("-s").arg(&socket);
        if again {
            command.arg("-R");
        }
        lab.running.run("bird", command).unwrap();
        self.0 = Some(socket);
        eventually("birdc", async || self.ask(&["show", "status"])).await;
    }

    async fn end(&mut self, lab: &mut Lab, how: Ends) {
        match how {
            Ends::Killed => lab.kill("bird").await,
            Ends::InOrder => {
                self.ask(&["graceful", "restart"]).unwrap();
                lab.running.process("bird").unwrap().wait(DEADLINE).await.unwrap();
            }
        }
    }

    fn capability(&self) -> &'static str {
        "graceful-restart 120s R ipv4:F"
    }

    fn has_route(&self, _: &Lab, kept: bool) -> anyhow::Result<()> {
        let shown = self.ask(&["show", "route", "for", CLIENTS, "all"])?;
        has_all(&shown, &[CLIENTS, "64511"])?;
        // It marks no path as stale; until our End-of-RIB it says that all of them are.
        let session = self.ask(&["show", "protocols", "all", "vpngw"])?;
        ensure!(session.contains("Established") != kept, "{session}");
        ensure!(session.contains("Neighbor graceful restart active") == kept, "{session}");
        Ok(())
    }

    fn sees_that_we_have_restarted(&self, _: &Lab) -> anyhow::Result<()> {
        // It knows nothing of N.
        let shown = self.ask(&["show", "protocols", "all", "vpngw"])?;
        let (_, theirs) = shown.split_once("Neighbor capabilities").with_context(|| shown.clone())?;
        has_all(theirs, &["Restart time: 120", "Restart recovery", "AF preserved: ipv4"])
    }
}

#[derive(Default)]
pub(crate) struct GoBgp(Option<RunningGoBgp>);

const GOBGP: &str = "
[global.config]
  as = 64600
  router-id = \"192.0.2.2\"
  port = -1
[[neighbors]]
  [neighbors.config]
    neighbor-address = \"192.0.2.1\"
    peer-as = 64511
  [neighbors.timers.config]
    connect-retry = 5
    idle-hold-time-after-reset = 5
  [neighbors.graceful-restart.config]
    enabled = true
    restart-time = 120
    notification-enabled = true
  [[neighbors.afi-safis]]
    [neighbors.afi-safis.config]
      afi-safi-name = \"ipv4-unicast\"
    [neighbors.afi-safis.mp-graceful-restart.config]
      enabled = true
";

impl GoBgp {
    fn ask(&self, words: &[&str]) -> anyhow::Result<String> {
        self.0.as_ref().context("it was not started")?.run(words)
    }
}

impl Peer for GoBgp {
    async fn start(&mut self, lab: &mut Lab, again: bool) {
        let options = ["--log-level=debug", "--graceful-restart"];
        let gobgp = lab.gobgpd("gobgp", "edge", GOBGP, &options[..1 + usize::from(again)]).await;
        // It dials only after a while: this is what it knows by then.
        gobgp.announce(SERVICES);
        self.0 = Some(gobgp);
    }

    async fn end(&mut self, lab: &mut Lab, how: Ends) {
        match how {
            Ends::Killed => lab.kill("gobgp").await,
            Ends::InOrder => {
                let gobgp = lab.running.process("gobgp").unwrap();
                gobgp.signal(Signal::Terminate).unwrap();
                gobgp.wait(DEADLINE).await.unwrap();
            }
        }
    }

    fn capability(&self) -> &'static str {
        "graceful-restart 120s R N ipv4:F"
    }

    fn has_route(&self, _: &Lab, kept: bool) -> anyhow::Result<()> {
        let shown = self.ask(&["global", "rib", CLIENTS])?;
        has_all(&shown, &[CLIENTS, "64511"])?;
        // `S` stands before a stale one.
        ensure!(shown.lines().any(|line| line.starts_with('S')) == kept, "{shown}");
        Ok(())
    }

    fn sees_that_we_have_restarted(&self, _: &Lab) -> anyhow::Result<()> {
        let shown = self.ask(&["neighbor", "192.0.2.1"])?;
        has_all(&shown, &["restart flag set", "notification flag set", "forward flag set"])
    }
}
