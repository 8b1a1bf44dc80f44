//! What the tasks of the thread `bgp` share: the speaker, the connections, the ways out. Runs on thread `bgp`.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::future::{pending, poll_fn};
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::task::{Poll, ready};
use std::time::{Duration, Instant};

use bytes::BytesMut;
use tokio::net::TcpStream;
use tokio::runtime::Runtime;
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{Notify, mpsc};
use tokio::task::{AbortHandle, JoinError, JoinSet, LocalSet, spawn_local, yield_now};
use tokio::time::{sleep_until, timeout};

use super::accept::{self, Listener};
use super::connection::{self, Connection};
use super::monitor::Monitors;
use super::station::Station;
use super::{Call, Request};
use super::{dial, socket};
use crate::monitor::MonitorId;
use crate::speaker::{Action, Event, FibChange, Input, Monitoring, Speaker, Stop};
use crate::types::ConnectionId;

/// How long [`super::Bgp::stop`] waits for connections to drain.
pub const STOP_TIME: Duration = Duration::from_secs(2);
/// Prefixes in one message to the FIB.
const FIB_BATCH: usize = 256;
/// Accepted connections that the speaker has not adopted, those it refused included; beyond: closed unheard.
const MAX_UNADOPTED: usize = 256;

/// The ways out of the thread.
pub(super) struct Outlets {
    pub(super) fib: mpsc::Sender<Vec<FibChange>>,
    pub(super) events: mpsc::Sender<Event>,
}

/// The thread's main function; returns when it is asked to stop.
pub(super) fn run(
    runtime: &Runtime,
    speaker: Speaker,
    listeners: Vec<Listener>,
    requests: mpsc::Receiver<Request>,
    outlets: Outlets,
) {
    let core = Core {
        speaker,
        dials: BTreeMap::new(),
        connections: BTreeMap::new(),
        paused: Vec::new(),
        stations: Vec::new(),
        monitors: Monitors::new(),
    };
    let shell = Rc::new(Shell {
        core: RefCell::new(core),
        listeners,
        outlets,
        tasks: RefCell::default(),
        full: Cell::new(Full::default()),
        armed: Cell::new(None),
        rearm: Notify::new(),
        news: Notify::new(),
        gone: Notify::new(),
        accepted: Cell::new(0),
        buffer: Cell::default(),
    });
    // The timer is a task like the connections, so that those which became readable before it get their turn
    // first: no hold timer runs out over bytes that are already here.
    LocalSet::new().block_on(runtime, async move {
        if spawn_local(shell.serve(requests)).await.is_err() {
            tracing::error!("thread bgp panicked");
        }
    });
}

/// Shared by all tasks of the thread. Nothing stays borrowed while a task waits.
pub(super) struct Shell {
    core: RefCell<Core>,
    pub(super) listeners: Vec<Listener>,
    outlets: Outlets,
    /// Connections, dials, listeners.
    tasks: RefCell<JoinSet<()>>,
    full: Cell<Full>,
    /// The deadline for which [`Shell::serve`] sleeps.
    armed: Cell<Option<Instant>>,
    /// There is an earlier one.
    rearm: Notify,
    /// There is something to hear.
    news: Notify,
    /// A connection has ended.
    gone: Notify,
    /// The number of the last accepted connection.
    accepted: Cell<u64>,
    /// A buffer for whoever has its turn.
    buffer: Cell<BytesMut>,
}

pub(super) struct Core {
    pub(super) speaker: Speaker,
    dials: BTreeMap<ConnectionId, AbortHandle>,
    connections: BTreeMap<ConnectionId, Rc<Connection>>,
    /// Those that wait until they may read.
    paused: Vec<ConnectionId>,
    /// As the settings have them.
    pub(super) stations: Vec<Station>,
    pub(super) monitors: Monitors,
}

impl Core {
    fn is_drained(&self) -> bool {
        self.connections.is_empty() && !self.stations.iter().any(Station::is_connected)
    }

    /// By connection: octets that the other side has not acknowledged.
    pub(super) fn unsent(&self) -> BTreeMap<ConnectionId, usize> {
        self.connections.iter().map(|(id, connection)| (*id, connection.unsent())).collect()
    }
}

/// Outlets that had no room.
#[derive(Clone, Copy, Default)]
struct Full {
    fib: bool,
    events: bool,
}

/// The turns of the speaker.
impl Shell {
    async fn serve(self: Rc<Self>, mut requests: mpsc::Receiver<Request>) {
        let accepting: Vec<_> =
            (0..self.listeners.len()).map(|index| self.spawn(accept::serve(self.clone(), index))).collect();
        let telling = self.spawn(self.clone().tell());
        self.reconcile_stations(&mut self.core.borrow_mut());
        self.settle();
        let how = loop {
            tokio::select! {
                request = requests.recv() => match request {
                    Some(Request::Call(call)) => {
                        self.call(call);
                        self.settle();
                    }
                    Some(Request::Monitor(watch, answer)) => {
                        // Who no longer waits for the answer drops the monitor, which then ends.
                        let _ = answer.send(self.monitor(&mut self.core.borrow_mut(), watch));
                    }
                    Some(Request::Stop(how)) => break how,
                    None => break Stop::Withdraw,
                },
                () = self.deadline() => {
                    yield_now().await; // lets sockets go first that the kernel knows to be readable
                    self.input(Input::Timer);
                }
                () = self.rearm.notified() => {}
                error = self.panicked() => {
                    tracing::error!(%error, "the speaker panicked");
                    return;
                }
            }
        };
        accepting.iter().for_each(|task| task.abort());
        self.input(Input::Stop(how));
        if timeout(STOP_TIME, self.drained()).await.is_err() {
            tracing::warn!("connections were cut that did not drain in time");
        }
        telling.abort();
        self.pour();
    }

    /// Tells the rest of the program what there is to hear. A task of its own, so that neighbors that were woken before
    /// are told first: to wake another thread takes longer than to send.
    async fn tell(self: Rc<Self>) {
        loop {
            tokio::select! {
                () = self.news.notified() => {}
                () = self.room() => {}
            }
            self.pour();
        }
    }

    /// What a handle asks for; it may be a change of the settings.
    fn call(self: &Rc<Self>, call: Call) {
        let core = &mut *self.core.borrow_mut();
        call(core, Instant::now());
        self.reconcile_stations(core);
    }

    /// What needs no turn.
    pub(super) fn with_speaker<T>(&self, work: impl FnOnce(&mut Speaker) -> T) -> T {
        work(&mut self.core.borrow_mut().speaker)
    }

    /// Nobody reads what a monitor hears.
    pub(super) fn end_monitor(&self, id: MonitorId) {
        let core = &mut *self.core.borrow_mut();
        core.speaker.unwatch(id);
        core.monitors.remove(&id);
    }

    /// Gives the speaker something, and does what follows.
    pub(super) fn input(self: &Rc<Self>, input: Input<'_>) {
        self.core.borrow_mut().speaker.input(Instant::now(), input);
        self.settle();
    }

    /// Appends what there is for a monitoring station.
    pub(super) fn poll_station(&self, name: &str, out: &mut BytesMut) -> Monitoring {
        self.core.borrow_mut().speaker.poll_station(Instant::now(), name, out)
    }

    /// Appends what a connection has to send, up to a length and a message more; `false`: that was all.
    pub(super) fn transmit(self: &Rc<Self>, connection: ConnectionId, out: &mut BytesMut, length: usize) -> bool {
        let mut more = true;
        while more && out.len() < length {
            more = self.core.borrow_mut().speaker.poll_transmit(Instant::now(), connection, out);
        }
        self.settle(); // what is sent moves deadlines
        more
    }

    /// Whether a connection may read. If not, it is woken when it may.
    pub(super) fn may_read(&self, connection: ConnectionId) -> bool {
        let core = &mut *self.core.borrow_mut();
        let may_read = core.speaker.may_read();
        if !may_read && !core.paused.contains(&connection) {
            core.paused.push(connection);
        }
        may_read
    }

    /// Does all that the speaker wants done.
    fn settle(self: &Rc<Self>) {
        let core = &mut *self.core.borrow_mut();
        while let Some(action) = core.speaker.poll_action() {
            self.act(core, action);
        }
        while let Some(connection) = core.speaker.poll_writable() {
            if let Some(connection) = core.connections.get(&connection) {
                connection.wake_to_send();
            }
        }
        if core.speaker.has_news() {
            self.news.notify_one();
        }
        self.go_on(core);
    }

    /// Moves what there is to hear into the outlets.
    fn pour(&self) {
        let core = &mut *self.core.borrow_mut();
        self.full.set(Full {
            events: pour(&self.outlets.events, || core.speaker.poll_event()),
            fib: pour(&self.outlets.fib, || {
                let batch = core.speaker.poll_fib(FIB_BATCH);
                (!batch.is_empty() || core.speaker.poll_fib_complete()).then_some(batch)
            }),
        });
        self.go_on(core);
    }

    /// Whoever waited for what has just been done.
    fn go_on(&self, core: &mut Core) {
        core.wake_stations();
        core.wake_monitors();
        let (speaker, connections) = (&core.speaker, &core.connections);
        core.paused.retain(|id| match connections.get(id) {
            Some(connection) if speaker.may_read() => {
                connection.wake();
                false
            }
            other => other.is_some(),
        });
        let next = core.speaker.next_timeout();
        if next.is_some_and(|next| self.armed.get().is_none_or(|armed| next < armed)) {
            self.rearm.notify_one();
        }
    }

    fn act(self: &Rc<Self>, core: &mut Core, action: Action) {
        match action {
            Action::Connect(connect) => {
                let connection = connect.connection;
                let dial = self.spawn(dial::run(self.clone(), connect));
                core.dials.insert(connection, dial);
            }
            Action::Close { connection } => {
                if let Some(dial) = core.dials.remove(&connection) {
                    dial.abort();
                } else if let Some(connection) = core.connections.get(&connection) {
                    connection.close();
                }
            }
            Action::Adopt { connection, socket } => {
                if let Some(connection) = core.connections.get(&connection) {
                    connection.adopt(socket);
                }
            }
            Action::ListenKeys(keys) => self.listeners.iter().for_each(|listener| listener.set_keys(&keys)),
        }
    }
}

/// What [`Shell::serve`] and [`Shell::tell`] wait for.
impl Shell {
    async fn deadline(&self) {
        let next = self.core.borrow().speaker.next_timeout();
        self.armed.set(next);
        match next {
            Some(next) if next <= Instant::now() => {} // the timer wheel turns a millisecond at a time
            Some(next) => sleep_until(next.into()).await,
            None => pending().await,
        }
    }

    /// Until an outlet that was full has room again.
    async fn room(&self) {
        let Full { fib, events } = self.full.get();
        // What it returns does not matter: the next turn finds out.
        tokio::select! {
            _ = self.outlets.fib.reserve(), if fib => {}
            _ = self.outlets.events.reserve(), if events => {}
            () = pending(), if !fib && !events => {}
        }
    }

    /// Until a task panics. The speaker may be broken then, so the thread goes down and everybody sees it.
    async fn panicked(&self) -> JoinError {
        poll_fn(|context| {
            loop {
                match ready!(self.tasks.borrow_mut().poll_join_next(context)) {
                    Some(Err(error)) if error.is_panic() => return Poll::Ready(error),
                    Some(_) => {}
                    None => return Poll::Pending, // tasks are made by tasks, or by whoever asks again after that
                }
            }
        })
        .await
    }

    pub(super) fn spawn(&self, task: impl Future<Output = ()> + 'static) -> AbortHandle {
        self.tasks.borrow_mut().spawn_local(task)
    }

    /// A connection has ended: whoever waits for the last of them looks again.
    pub(super) fn has_gone(&self) {
        self.gone.notify_waiters();
    }

    async fn drained(&self) {
        loop {
            let gone = self.gone.notified();
            if self.core.borrow().is_drained() {
                return;
            }
            gone.await;
        }
    }
}

/// Connections that come and go.
impl Shell {
    /// Takes a connection in, or closes it where too many are undecided.
    pub(super) fn accepted(self: &Rc<Self>, stream: TcpStream, remote: SocketAddr) -> io::Result<()> {
        let undecided = self.core.borrow().connections.values().filter(|connection| !connection.is_adopted()).count();
        if undecided >= MAX_UNADOPTED {
            tracing::warn!(undecided, "a connection was closed because too many are undecided");
            return Ok(());
        }
        let (bare_local, remote) = (stream.local_addr()?, socket::canonical(remote));
        let local = socket::canonical(bare_local);
        let interface = || socket::arrival_interface(&stream, bare_local).and_then(socket::interface_name);
        let interface = self.core.borrow().speaker.asks_for_interface(remote.ip()).then(interface).flatten();
        self.accepted.set(self.accepted.get() + 1);
        let connection = ConnectionId(self.accepted.get());
        self.open(Connection::new(connection, stream, remote, false));
        self.input(Input::Accepted { connection, local, remote, interface });
        Ok(())
    }

    /// A dial of this thread has come to its end.
    pub(super) fn dialled(self: &Rc<Self>, connection: ConnectionId, result: io::Result<TcpStream>) {
        self.core.borrow_mut().dials.remove(&connection);
        let ends = result.and_then(|stream| {
            Ok((socket::canonical(stream.local_addr()?), socket::canonical(stream.peer_addr()?), stream))
        });
        match ends {
            Ok((local, remote, stream)) => {
                self.open(Connection::new(connection, stream, remote, true));
                self.input(Input::Connected { connection, local, remote });
            }
            Err(error) => self.input(Input::ConnectFailed { connection, error: error.to_string() }),
        }
    }

    fn open(self: &Rc<Self>, connection: Connection) {
        let connection = Rc::new(connection);
        self.core.borrow_mut().connections.insert(connection.id, connection.clone());
        self.spawn(connection::run(self.clone(), connection));
    }

    /// A connection is gone, whoever ended it.
    pub(super) fn ended(self: &Rc<Self>, connection: ConnectionId, error: Option<io::Error>) {
        self.core.borrow_mut().connections.remove(&connection);
        self.input(Input::Closed { connection, error: error.map(|error| error.to_string()) });
        self.has_gone();
    }

    /// An empty buffer, to be given back by [`Shell::return_buffer`] unless it is still in use: connections without
    /// anything under way hold none.
    pub(super) fn take_buffer(&self) -> BytesMut {
        self.buffer.take()
    }

    pub(super) fn return_buffer(&self, mut buffer: BytesMut) {
        buffer.clear();
        self.buffer.set(buffer);
    }
}

/// Moves values into a channel while it has room; whether it is full. Without a receiver they are dropped.
fn pour<T>(outlet: &mpsc::Sender<T>, mut next: impl FnMut() -> Option<T>) -> bool {
    loop {
        let permit = match outlet.try_reserve() {
            Ok(permit) => Some(permit),
            Err(TrySendError::Closed(())) => None,
            Err(TrySendError::Full(())) => return true,
        };
        match (next(), permit) {
            (None, _) => return false,
            (Some(value), Some(permit)) => permit.send(value),
            (Some(_), None) => {}
        }
    }
}
