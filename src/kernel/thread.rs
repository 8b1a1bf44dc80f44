//! The thread `kernel`: owns both sockets, does one job after the other, listens in between.

// The only way to wait for a socket that tokio does not know is unsafe.
#![allow(unsafe_code)]

use std::io;
use std::os::fd::AsFd;
use std::thread;
use std::time::Instant;

use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::sync::mpsc;
use tokio::time;

use super::Event;
use super::monitor::Monitor;
use super::socket::Requests;

/// Work for the thread; it answers by itself.
pub(super) type Job = Box<dyn FnOnce(&mut Netlink) + Send>;

/// What the thread owns.
pub(super) struct Netlink {
    pub(super) requests: Requests,
    pub(super) monitor: Monitor,
    pub(super) protocol: u8,
}

impl Netlink {
    /// Opens the sockets in the caller's network namespace.
    pub(super) fn open(protocol: u8) -> io::Result<Self> {
        let requests = Requests::open()?;
        let monitor = Monitor::open(protocol, requests.port())?;
        Ok(Self { requests, monitor, protocol })
    }
}

/// Starts the thread. It ends when nobody can send a job any more.
pub(super) fn spawn(netlink: Netlink, jobs: mpsc::Receiver<Job>, events: mpsc::Sender<Event>) -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    thread::Builder::new().name("kernel".to_owned()).spawn(move || {
        if let Err(error) = runtime.block_on(run(netlink, jobs, events)) {
            tracing::error!(%error, "the kernel thread has ended");
        }
    })?;
    Ok(())
}

async fn run(mut netlink: Netlink, mut jobs: mpsc::Receiver<Job>, events: mpsc::Sender<Event>) -> io::Result<()> {
    // A second descriptor of the same socket: this one only waits.
    let waiter = netlink.monitor.socket().as_fd().try_clone_to_owned()?;
    // SAFETY: an `OwnedFd` names the same open descriptor for as long as it lives.
    let notifications = unsafe { AsyncFd::register_with_interest(waiter, Interest::READABLE) }?;
    loop {
        tokio::select! {
            job = jobs.recv() => match job {
                Some(job) => job(&mut netlink),
                None => return Ok(()),
            },
            readable = notifications.readable() => readable?.clear_ready(),
            () = wait_until(netlink.monitor.next_timeout()) => {}
        }
        netlink.monitor.drain();
        netlink.monitor.tell(Instant::now(), &events);
    }
}

async fn wait_until(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => time::sleep_until(deadline.into()).await,
        None => std::future::pending().await,
    }
}
