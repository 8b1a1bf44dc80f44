//! A child process that cannot outlive the lab: killed and waited for when dropped, killed by the kernel when we die.
#![allow(unsafe_code)] // What happens between fork and exec, and signals by number, are libc's.

use std::ffi::CStr;
use std::fs::{self, File};
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::ptr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};
use tokio::time::{Instant, sleep};

/// How often an ending process is looked at.
const POLL: Duration = Duration::from_millis(10);

/// A running program with its output in a file.
#[derive(Debug)]
pub struct Process {
    name: String,
    child: Child,
    log: PathBuf,
}

/// A request to a process.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Signal {
    /// SIGINT: end in order, as Ctrl-C asks.
    Interrupt,
    /// SIGTERM: end in order.
    Terminate,
    /// SIGKILL: end now, as in a crash.
    Kill,
}

impl Process {
    /// Starts a command; its standard output and error go to the end of the file `log`.
    ///
    /// # Errors
    /// Where the program cannot be started or the file not be opened.
    pub fn start(name: &str, mut command: Command, log: &Path) -> anyhow::Result<Self> {
        let file = File::options().create(true).append(true).open(log)?;
        command.stdin(Stdio::null()).stdout(file.try_clone()?).stderr(file);
        let program = command.get_program().to_string_lossy().into_owned();
        let child = command.spawn().with_context(|| format!("start {program}"))?;
        Ok(Self { name: name.to_owned(), child, log: log.to_owned() })
    }

    /// What it is called.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its process id; it stays ours until the process was waited for.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// How it ended, where it did.
    ///
    /// # Errors
    /// Those of `waitpid`.
    pub fn ended(&mut self) -> io::Result<Option<ExitStatus>> {
        self.child.try_wait()
    }

    /// Sends a signal; to a process that has ended, nothing.
    ///
    /// # Errors
    /// Those of `kill`.
    pub fn signal(&mut self, signal: Signal) -> io::Result<()> {
        if self.ended()?.is_some() {
            return Ok(());
        }
        let number = match signal {
            Signal::Interrupt => libc::SIGINT,
            Signal::Terminate => libc::SIGTERM,
            Signal::Kill => libc::SIGKILL,
        };
        // SAFETY: no memory is touched; the child was not waited for, so its id is not another process's.
        match unsafe { libc::kill(self.child.id().cast_signed(), number) } {
            0 => Ok(()),
            _ => Err(io::Error::last_os_error()),
        }
    }

    /// Waits for the end.
    ///
    /// # Errors
    /// Where it still runs after `limit`.
    pub async fn wait(&mut self, limit: Duration) -> anyhow::Result<ExitStatus> {
        let deadline = Instant::now() + limit;
        loop {
            if let Some(status) = self.ended()? {
                return Ok(status);
            }
            if Instant::now() > deadline {
                bail!("{} has not ended within {limit:?}", self.name);
            }
            sleep(POLL).await;
        }
    }

    /// SIGTERM, and the wait for the end.
    ///
    /// # Errors
    /// Where it still runs after `limit`.
    pub async fn terminate(&mut self, limit: Duration) -> anyhow::Result<ExitStatus> {
        self.signal(Signal::Terminate)?;
        self.wait(limit).await
    }

    /// SIGKILL, and the wait for the end.
    ///
    /// # Errors
    /// Where it cannot be waited for.
    pub async fn kill(&mut self) -> anyhow::Result<ExitStatus> {
        self.signal(Signal::Kill)?;
        self.wait(Duration::from_secs(30)).await
    }

    /// Everything it wrote.
    pub fn output(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_else(|error| format!("{}: {error}", self.log.display()))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        end(&mut self.child);
    }
}

/// Kills a child and waits for it.
pub(super) fn end(child: &mut Child) {
    // Neither can fail but for a child that has ended.
    let _ = child.kill();
    let _ = child.wait();
}

/// A command in a network namespace of its own.
pub(super) fn in_new_namespace(command: &mut Command) -> &mut Command {
    // SAFETY: between fork and exec only system calls are made, none of which allocates.
    unsafe { command.pre_exec(|| check(libc::unshare(libc::CLONE_NEWNET))) };
    dies_with_us(command)
}

/// A command in the network namespace of the descriptor.
pub(super) fn in_namespace(command: &mut Command, namespace: Arc<OwnedFd>) -> &mut Command {
    // SAFETY: as above; the closure holds the descriptor open.
    unsafe { command.pre_exec(move || check(libc::setns(namespace.as_raw_fd(), libc::CLONE_NEWNET))) };
    dies_with_us(command)
}

/// A command with a `/run` of its own: there `wg` finds every tunnel of a host in one directory, whatever its network.
pub(super) fn with_own_run(command: &mut Command) -> &mut Command {
    let mount = |source: Option<&CStr>, target: &CStr, flags| {
        let source = source.map_or(ptr::null(), CStr::as_ptr);
        // SAFETY: both strings end with a zero and live as long as the call; the kind is the same, and no data is given.
        check(unsafe { libc::mount(source, target.as_ptr(), source, flags, ptr::null()) })
    };
    let change = move || {
        // SAFETY: no memory is touched.
        check(unsafe { libc::unshare(libc::CLONE_NEWNS) })?;
        mount(None, c"/", libc::MS_REC | libc::MS_PRIVATE)?;
        mount(Some(c"tmpfs"), c"/run", 0)
    };
    // SAFETY: between fork and exec only system calls are made, none of which allocates.
    unsafe { command.pre_exec(change) }
}

/// The kernel kills the child when the *thread* that started it ends. A group of its own keeps the terminal's Ctrl-C away.
fn dies_with_us(command: &mut Command) -> &mut Command {
    let parent = std::process::id().cast_signed();
    let bind = move || {
        // SAFETY: no memory is touched.
        check(unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) })?;
        // SAFETY: no memory is touched.
        match unsafe { libc::getppid() } == parent {
            true => Ok(()),
            false => Err(io::ErrorKind::BrokenPipe.into()),
        }
    };
    // SAFETY: between fork and exec only system calls are made, none of which allocates.
    unsafe { command.process_group(0).pre_exec(bind) }
}

fn check(result: libc::c_int) -> io::Result<()> {
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}
