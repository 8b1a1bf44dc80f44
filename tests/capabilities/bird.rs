//! BIRD 2 in a namespace, with a configuration of any kind.

use std::path::PathBuf;
use std::process::Command;

use crate::common::{Lab, eventually, output};

/// What a test that uses it needs.
pub(crate) const PROGRAMS: &[&str] = &["bird", "birdc"];

/// A running BIRD.
pub(crate) struct Bird {
    socket: PathBuf,
}

impl Bird {
    /// Starts it in a node's namespace and waits until it answers. The protocol `far` is the session.
    pub(crate) async fn start(lab: &mut Lab, node: &str, config: &str) -> Self {
        let file = lab.file(&format!("{node}-bird.conf"), &format!("log stderr all;\nprotocol device {{ }}\n{config}"));
        let socket = lab.running.directory().file(&format!("{node}-bird.ctl"));
        let mut command = lab.node(node).command("/usr/sbin/bird");
        command.args(["-f", "-c"]).arg(file).arg("-s").arg(&socket).arg("-P").arg(socket.with_extension("pid"));
        lab.running.run(&format!("{node}-bird"), command).unwrap();
        let bird = Self { socket };
        eventually("BIRD", async || bird.ask("show status")).await;
        bird
    }

    /// What `birdc` prints.
    pub(crate) fn ask(&self, command: &str) -> anyhow::Result<String> {
        let mut birdc = Command::new("/usr/sbin/birdc");
        birdc.arg("-s").arg(&self.socket).args(command.split(' '));
        output(birdc)
    }

    /// What it has of a prefix from the gateway, with all attributes.
    pub(crate) fn received(&self, prefix: &str) -> anyhow::Result<String> {
        let text = self.ask(&format!("show route {prefix} all protocol far"))?;
        anyhow::ensure!(text.contains(prefix), "{text}");
        Ok(text)
    }
}
