//! The thread `bgp`: sockets in, [`Speaker`], sockets out (RFC 4271 §8.2.1).
//!
//! One OS thread with a current-thread tokio runtime owns the speaker and every socket. Each connection, listener
//! and dial is a task of that thread that waits for its socket and then gives the speaker one turn; no
//! turn awaits anything, so a slow reader makes neither a KEEPALIVE nor a timer late, and between a session and the
//! speaker there is neither channel nor lock.

mod accept;
mod connection;
mod dial;
mod monitor;
mod shell;
mod socket;
mod station;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::io;
use std::net::TcpListener;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Instant;

use tokio::runtime::Builder;
use tokio::sync::{mpsc, oneshot};

pub use self::shell::STOP_TIME;
use crate::monitor::{News, Watch};
use crate::settings::Settings;
use crate::speaker::{Event, FibChange, Input, Speaker, Stop};
use crate::types::ConnectionId;

/// Calls that wait for the thread; when full, the caller waits.
const CALLS: usize = 64;
/// Batches of [`FibChange`]; when full, the speaker keeps what is dirty and merges it.
const FIB_BATCHES: usize = 64;
/// Events; when full, the speaker keeps them in order.
const EVENTS: usize = 1024;

/// A handle on the thread, which owns the speaker. The thread ends with [`Bgp::stop`], with its last handle, or with a
/// panic; then every call returns `None` and the [`Outputs`] end.
#[derive(Clone, Debug)]
pub struct Bgp {
    requests: mpsc::Sender<Request>,
    thread: Arc<Mutex<Option<JoinHandle<()>>>>,
}

/// What the speaker tells the rest of the program. A dropped receiver loses what would have come.
#[derive(Debug)]
pub struct Outputs {
    /// The FIB's work, in batches. After [`Input::Restarted`] an empty one says, as End-of-RIB does, that all has been told
    /// that there was to wait for.
    pub fib: mpsc::Receiver<Vec<FibChange>>,
    /// What happened.
    pub events: mpsc::Receiver<Event>,
}

/// What a monitor hears, in batches, to the end of the thread. A dropped receiver ends it.
pub type Monitor = mpsc::Receiver<Vec<News>>;

/// What handles ask of the thread.
enum Request {
    Call(Call),
    Monitor(Watch, oneshot::Sender<Option<Monitor>>),
    Stop(Stop),
}

type Call = Box<dyn FnOnce(&mut shell::Core, Instant) + Send>;

impl Bgp {
    /// Starts the thread. `listeners` are already bound and listening; `first` are inputs before any connection, such as
    /// [`Input::Companions`], which decide what the first sessions offer; `seed` feeds the jitter of timers.
    ///
    /// # Errors
    /// Where the thread or its runtime cannot be made, or a listener does not take its options.
    pub fn start(
        settings: Settings,
        listeners: Vec<TcpListener>,
        first: Vec<Input<'static>>,
        seed: u64,
    ) -> io::Result<(Self, Outputs)> {
        let runtime = Builder::new_current_thread().enable_io().enable_time().build()?;
        let listeners = {
            let _context = runtime.enter(); // where tokio registers the listeners
            listeners.into_iter().map(accept::Listener::new).collect::<io::Result<Vec<_>>>()?
        };
        let (requests, asked) = mpsc::channel(CALLS);
        let (fib_sender, fib) = mpsc::channel(FIB_BATCHES);
        let (event_sender, events) = mpsc::channel(EVENTS);
        let thread = std::thread::Builder::new().name("bgp".to_owned()).spawn(move || {
            let mut speaker = Speaker::new(Instant::now(), settings, seed);
            first.into_iter().for_each(|input| speaker.input(Instant::now(), input));
            shell::run(&runtime, speaker, listeners, asked, shell::Outlets { fib: fib_sender, events: event_sender });
        })?;
        Ok((Self { requests, thread: Arc::new(Mutex::new(Some(thread))) }, Outputs { fib, events }))
    }

    /// Runs a closure on the speaker between two turns: the one way for queries, commands and inputs. `None` when
    /// the thread is gone.
    pub async fn call<T: Send + 'static>(
        &self,
        f: impl FnOnce(&mut Speaker, Instant) -> T + Send + 'static,
    ) -> Option<T> {
        self.ask(|core, now| f(&mut core.speaker, now)).await
    }

    /// For each connection the octets that its neighbor's TCP has not acknowledged: what is under way, and what waits in
    /// the socket or before it. `None` when the thread is gone.
    pub async fn unsent(&self) -> Option<BTreeMap<ConnectionId, usize>> {
        self.ask(|core, _| core.unsent()).await
    }

    /// Begins a monitor. `None` where there are too many, or the thread is gone.
    pub async fn monitor(&self, watch: Watch) -> Option<Monitor> {
        let (answer, answered) = oneshot::channel();
        self.requests.send(Request::Monitor(watch, answer)).await.ok()?;
        answered.await.ok().flatten()
    }

    async fn ask<T: Send + 'static>(
        &self,
        f: impl FnOnce(&mut shell::Core, Instant) -> T + Send + 'static,
    ) -> Option<T> {
        let (answer, answered) = oneshot::channel();
        let call = Request::Call(Box::new(move |core, now| {
            // A caller that no longer waits has no use for the answer.
            let _ = answer.send(f(core, now));
        }));
        self.requests.send(call).await.ok()?;
        answered.await.ok()
    }

    /// Ends all sessions as [`Input::Stop`] does, waits until the NOTIFICATIONs are out and the connections drained, at
    /// most two seconds, and joins the thread.
    pub async fn stop(self, how: Stop) {
        // Fails only where the thread is already gone.
        let _ = self.requests.send(Request::Stop(how)).await;
        self.requests.closed().await;
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(thread) = thread
            && thread.join().is_err()
        {
            tracing::error!("thread bgp panicked");
        }
    }
}
