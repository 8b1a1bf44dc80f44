//! The worker thread: TUN, UDP, and the device between them.
//!
//! One thread owns the device and both directions (two were no faster in a trial, and slower to answer). Others hold a
//! [`Tunnel`], which sends it commands through a bounded queue; a full queue blocks them until the worker is done with
//! the packets it holds.

use std::collections::BTreeMap;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::io::{self, Write};
use std::net::{SocketAddr, UdpSocket};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::sync::{Mutex, PoisonError};
use std::thread::JoinHandle;

use crate::capture::{Capture, Filter, Sink};
use crate::device::{Rekey, RekeyError};
use crate::settings::{PublicKey, Settings};
use crate::table::{Change, Generation};
pub use crate::view::Event;
use crate::view::PeerView;

mod marks;
mod mmsg;
mod offloads;
mod poll;
mod tun;
mod udp;
mod worker;

use worker::{Command, Worker};

/// Commands that wait for the worker.
const QUEUE: usize = 64;

/// Descriptors, opened by the caller: a TUN without packet information, in non-blocking mode, and UDP sockets of one port.
#[derive(Debug)]
pub struct Io {
    /// `IFF_TUN | IFF_NO_PI`, and for offloads `IFF_VNET_HDR`.
    pub tun: OwnedFd,
    /// IPv4, IPv6, or both. An IPv6 socket alone may be dual-stack.
    pub udp: Vec<UdpSocket>,
}

/// A running tunnel. Dropping it stops the workers.
#[derive(Debug)]
pub struct Tunnel {
    commands: SyncSender<Command>,
    wake: UnixStream,
    /// Held while a batch is queued, so that generations arrive in order.
    generation: Mutex<Generation>,
    worker: Option<JoinHandle<()>>,
}

impl Tunnel {
    /// Starts the worker. It calls `events`, which must not block.
    ///
    /// # Errors
    /// The host gives no socket pair or no thread.
    pub fn start(io: Io, settings: Settings, events: impl Fn(Event) + Send + Clone + 'static) -> io::Result<Self> {
        let (commands, queue) = sync_channel(QUEUE);
        let (wake, woken) = UnixStream::pair()?;
        wake.set_nonblocking(true)?;
        woken.set_nonblocking(true)?;
        let body = move || {
            let run = || Worker::new(io, settings, seed(), woken, queue, events.clone()).run();
            match catch_unwind(AssertUnwindSafe(run)) {
                Ok(Ok(())) => {}
                Ok(Err(error)) => events(Event::Failed(error.to_string())),
                Err(_) => events(Event::Failed("the worker panicked".to_owned())),
            }
        };
        let worker = std::thread::Builder::new().name("wireguard".to_owned()).spawn(body)?;
        Ok(Self { commands, wake, generation: Mutex::default(), worker: Some(worker) })
    }

    /// A new desired state, whole; only what differs is touched.
    pub fn settings(&self, settings: Settings) {
        self.command(Command::Settings(Box::new(settings)));
    }

    /// A batch of changes to the routed table, answered by [`Event::TableApplied`]. At most 1024 changes a batch; full
    /// queue: blocks the caller for less than a batch of packets takes.
    pub fn table(&self, changes: Vec<Change>) -> Generation {
        let mut generation = self.generation.lock().unwrap_or_else(PoisonError::into_inner);
        generation.0 += 1;
        self.command(Command::Table(*generation, changes));
        *generation
    }

    /// Addresses found for a peer's name, best first.
    pub fn endpoint(&self, peer: PublicKey, addresses: Vec<SocketAddr>) {
        self.command(Command::Endpoint(peer, addresses));
    }

    /// A new session with a peer, by its name or public key.
    ///
    /// # Errors
    /// Nothing was done; also when the worker has ended, which knows no peers.
    pub fn rekey(&self, peer: String, how: Rekey) -> Result<(), RekeyError> {
        let (answer, answered) = sync_channel(1);
        self.command(Command::Rekey(peer, how, answer));
        answered.recv().unwrap_or(Err(RekeyError::NoSuchPeer))
    }

    /// Every peer, in the order of the settings; none when the worker has ended.
    pub fn peers(&self) -> Vec<PeerView> {
        self.ask(Command::Peers)
    }

    /// Packets and datagrams dropped that belong to no peer, by reason.
    pub fn drops(&self) -> BTreeMap<&'static str, u64> {
        self.ask(Command::Drops)
    }

    /// What does not come up: a sentence each, as [`crate::device::Device::faults`] tells it.
    pub fn faults(&self) -> Vec<String> {
        self.ask(Command::Faults)
    }

    /// Begins a capture, which ends when its sink says so. False: there are [`crate::capture::MOST`] already, or the worker
    /// has ended.
    pub fn capture(&self, filter: Filter, sink: Sink) -> bool {
        self.ask(|answer| Command::Capture(Box::new(Capture::new(filter, sink)), answer))
    }

    /// Ends sessions and threads.
    pub fn stop(self) {
        drop(self);
    }

    fn ask<T: Default>(&self, question: impl FnOnce(SyncSender<T>) -> Command) -> T {
        let (answer, answered) = sync_channel(1);
        self.command(question(answer));
        answered.recv().unwrap_or_default()
    }

    /// After the worker has ended commands go nowhere; that it ended was told by [`Event::Failed`].
    fn command(&self, command: Command) {
        if self.commands.send(command).is_ok() {
            let _ = (&self.wake).write(&[0]); // full: it is awake
        }
    }
}

impl Drop for Tunnel {
    fn drop(&mut self) {
        self.command(Command::Stop);
        if let Some(worker) = self.worker.take() {
            let _ = worker.join(); // its panic was told as an event
        }
    }
}

fn seed() -> u64 {
    RandomState::new().build_hasher().finish()
}
