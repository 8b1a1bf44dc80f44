//! A machine with systemd as its first process, in namespaces of its own over a copy-on-write view of this host's root:
//! a package installed there never touches the host.

use std::collections::BTreeSet;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::{Context as _, ensure};
use vpngw::lab::namespace::Namespace;

use super::eventually;

/// What is needed beside a root that systemd is installed in.
pub const PROGRAMS: [&str; 4] = ["systemctl", "unshare", "nsenter", "setpriv"];

/// What a login would have.
const PATH: &str = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Ends with its drop, or with the thread that booted it.
pub struct Machine {
    /// `unshare`, whose child is systemd.
    keeper: Child,
    /// Of systemd, as the host sees it.
    init: u32,
    cgroup: String,
}

impl Machine {
    /// Boots it in a network namespace and waits until everything is started.
    pub async fn boot(namespace: &Namespace) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let cgroup = format!("vpngw-test-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let mut command = namespace.command("unshare");
        command.args(["--mount", "--uts", "--ipc", "--pid", "--fork", "--kill-child", "bash", "-c"]);
        command.args([include_str!("systemd/boot"), "boot", &cgroup]);
        let keeper = command.stdin(Stdio::null()).stdout(Stdio::null()).spawn().unwrap();
        let mut machine = Self { keeper, init: 0, cgroup };
        machine.init = eventually("the first process of the machine", async || machine.first_process()).await;
        eventually("the boot of the machine", async || {
            let state = machine.sh("systemctl is-system-running")?;
            let state = String::from_utf8_lossy(&state.stdout);
            ensure!(["running", "degraded"].contains(&state.trim()), "the machine is {state}");
            Ok(())
        })
        .await;
        machine
    }

    /// Once it is systemd.
    fn first_process(&self) -> anyhow::Result<u32> {
        let keeper = self.keeper.id();
        let children = fs::read_to_string(format!("/proc/{keeper}/task/{keeper}/children"))?;
        let init: u32 = children.trim().parse().context("there is no first process")?;
        let name = fs::read_to_string(format!("/proc/{init}/comm"))?;
        ensure!(name.trim() == "systemd", "the first process is still {name}");
        Ok(init)
    }

    /// Runs a shell command as root, with nothing of our environment. One that hangs is ended after two minutes.
    ///
    /// # Errors
    /// Where it could not be started; that it fails is in its status.
    pub fn sh(&self, command: &str) -> anyhow::Result<Output> {
        let mut shell = self.enter();
        shell.args(["timeout", "--kill-after=10", "120", "sh", "-c", command]);
        shell.stdin(Stdio::null()).output().with_context(|| command.to_owned())
    }

    /// Standard output of a shell command that succeeds.
    ///
    /// # Errors
    /// With everything it said, where it does not.
    pub fn run(&self, command: &str) -> anyhow::Result<String> {
        let output = self.sh(command)?;
        let (stdout, stderr) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        ensure!(output.status.success(), "{command}: {}: {stdout}{stderr}", output.status);
        Ok(stdout.into_owned())
    }

    /// A shell command still to be started.
    pub fn shell(&self, command: &str) -> Command {
        let mut shell = self.enter();
        shell.args(["sh", "-c", command]);
        shell
    }

    fn enter(&self) -> Command {
        let mut enter = Command::new("nsenter");
        enter.args(["--target", &self.init.to_string(), "--all", "--"]);
        enter.args(["env", "-i", PATH, "HOME=/root", "LC_ALL=C.UTF-8"]);
        enter
    }

    /// Puts a file of the host into the machine, whether or not the machine can see it.
    pub fn put(&self, file: &Path, path: &str) {
        self.write(path, &fs::read(file).unwrap());
    }

    /// Writes a file of the machine; its directory is made.
    pub fn write(&self, path: &str, octets: &[u8]) {
        let mut writer = self.shell(&format!("mkdir -p \"$(dirname '{path}')\" && cat >'{path}'"));
        let mut writer = writer.stdin(Stdio::piped()).spawn().unwrap();
        writer.stdin.take().unwrap().write_all(octets).unwrap();
        assert!(writer.wait().unwrap().success(), "{path} was not written");
    }

    /// Every file that is not as on the host: made, changed, or removed.
    pub fn changed(&self) -> BTreeSet<PathBuf> {
        let found = self.run("cd /run/changed && find . -not -type d -printf '/%P\\n'").unwrap();
        found.lines().map(PathBuf::from).collect()
    }

    /// What its services said, and in which state they are: for a test that fails.
    pub fn story(&self) -> String {
        let tell = |command| self.sh(command).map(|output| String::from_utf8_lossy(&output.stdout).into_owned());
        [
            "systemctl --no-pager --failed",
            "systemctl --no-pager --full status vpngw",
            "journalctl --no-pager -u vpngw -n 80",
        ]
        .map(|command| format!("--- {command}\n{}", tell(command).unwrap_or_default()))
        .join("\n")
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("{}", self.story());
        }
        // With its keeper the first process ends, and with that every other.
        let _ = self.keeper.kill();
        let _ = self.keeper.wait();
        // The kernel may still be at it: a cgroup that is not empty yet cannot be removed.
        let remove = format!(
            "mount -t cgroup2 none /mnt && cd /mnt || exit 1
            for try in $(seq 100); do
                [ ! -d {0} ] || find {0} -depth -type d -exec rmdir {{}} + 2>/dev/null
                [ -d {0} ] || exit 0
                sleep 0.1
            done
            exit 1",
            self.cgroup
        );
        let removed = Command::new("unshare").args(["--mount", "sh", "-c", &remove]).status();
        if !removed.is_ok_and(|status| status.success()) {
            eprintln!("cgroup {} was not removed", self.cgroup);
        }
    }
}
