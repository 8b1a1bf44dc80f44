//! One connection: bytes in, bytes out, and an end in which no NOTIFICATION is lost. Runs on thread `bgp`.

use std::cell::Cell;
use std::io::{self, ErrorKind};
use std::net::{Shutdown, SocketAddr};
use std::rc::Rc;
use std::time::Duration;

use bytes::{Buf, BytesMut};
use socket2::SockRef;
use tokio::net::TcpStream;
use tokio::sync::Notify;
use tokio::task::yield_now;
use tokio::time::timeout;

use super::shell::Shell;
use super::socket;
use crate::speaker::{Input, SocketSettings};
use crate::types::ConnectionId;

/// How much is read in one turn.
const READ: usize = 64 * 1024;
/// How much is taken from the speaker in one turn. More is taken only when it is written: what a slow reader has not
/// read stays with the speaker, which measures the send hold time by it.
const WRITE: usize = 64 * 1024;
/// How long a closed connection may take to send its rest and to hear the other side's end.
const LINGER: Duration = Duration::from_secs(1);

/// What others may do to a connection.
pub(super) struct Connection {
    pub(super) id: ConnectionId,
    stream: TcpStream,
    remote: SocketAddr,
    adopted: Cell<bool>,
    closing: Cell<bool>,
    /// Why it may not stay, where it lacks what a neighbor's connection must have.
    refused: Cell<Option<io::Error>>,
    /// The speaker has something to send.
    pending: Cell<bool>,
    /// Octets taken from the speaker that the socket did not take yet.
    unwritten: Cell<usize>,
    changed: Notify,
}

impl Connection {
    pub(super) fn new(id: ConnectionId, stream: TcpStream, remote: SocketAddr, adopted: bool) -> Self {
        Self {
            id,
            stream,
            remote,
            adopted: Cell::new(adopted),
            closing: Cell::new(false),
            refused: Cell::new(None),
            pending: Cell::new(false),
            unwritten: Cell::new(0),
            changed: Notify::new(),
        }
    }

    /// Octets that left the speaker and that the other side has not acknowledged.
    pub(super) fn unsent(&self) -> usize {
        self.unwritten.get() + socket::unacknowledged(&self.stream)
    }

    pub(super) fn is_adopted(&self) -> bool {
        self.adopted.get()
    }

    /// Gives an accepted connection its TTLs. One that cannot have them is closed: it would lack its protection.
    pub(super) fn adopt(&self, settings: SocketSettings) {
        let protected = socket::set_ttl(&self.stream, self.remote.ip(), settings);
        match protected.and_then(|()| self.arrived_near(settings)) {
            Ok(()) => self.adopted.set(true),
            Err(error) => {
                tracing::debug!(remote = %self.remote, %error, "a connection was closed");
                self.refused.set(Some(error));
                self.close();
            }
        }
    }

    /// RFC 5082 §3 holds for the first packets, too, which came before the kernel knew how far this neighbor may be.
    fn arrived_near(&self, settings: SocketSettings) -> io::Result<()> {
        let Some(least) = settings.min_ttl else { return Ok(()) };
        match socket::arrival_ttl(&self.stream, self.stream.local_addr()?) {
            Some(ttl) if ttl < least => {
                Err(io::Error::other(format!("it came with a TTL of {ttl}, and ttl-security wants {least} at least")))
            }
            _ => Ok(()),
        }
    }

    /// Sends the rest, then ends.
    pub(super) fn close(&self) {
        self.closing.set(true);
        self.wake_to_send();
    }

    pub(super) fn wake_to_send(&self) {
        self.pending.set(true);
        self.wake();
    }

    pub(super) fn wake(&self) {
        self.changed.notify_one();
    }
}

/// The task of a connection.
pub(super) async fn run(shell: Rc<Shell>, connection: Rc<Connection>) {
    let mut pump = Pump {
        shell,
        connection,
        unread: BytesMut::new(),
        incomplete: false,
        unwritten: BytesMut::new(),
        broken: None,
    };
    let mut yielded = true;
    let error = loop {
        if pump.connection.closing.get() {
            // A stranger is told nothing, so nothing can be lost, and it holds no place.
            if pump.connection.is_adopted() {
                // Whatever is missing after this time is lost.
                let _ = timeout(LINGER, pump.linger()).await;
            }
            break pump.connection.refused.take();
        }
        match (pump.send(), pump.receive()) {
            (_, Receiving::Gone(error)) => break pump.broken.or(error),
            (_, Receiving::More { is_sure }) => {
                pump.send(); // an answer does not wait for the others' turns
                // Mostly a look finds nothing, and the thread sleeps at once: who was answered may need its processor
                yielded = is_sure || !yielded;
                if yielded {
                    yield_now().await;
                }
            }
            (Sending::More, _) => yield_now().await,
            (sending, receiving) => {
                pump.wait(matches!(receiving, Receiving::Waiting), matches!(sending, Sending::Waiting)).await;
            }
        }
    };
    pump.shell.ended(pump.connection.id, error);
}

/// Moves bytes between the socket and the speaker, a turn at a time.
struct Pump {
    shell: Rc<Shell>,
    connection: Rc<Connection>,
    /// What the speaker has left: the beginning of a message, or what it did not want yet.
    unread: BytesMut,
    /// It is the former.
    incomplete: bool,
    /// What the socket did not take yet.
    unwritten: BytesMut,
    /// Why writing failed. The other side may have said more before it went, so reading goes on to its end.
    broken: Option<io::Error>,
}

/// What became of a turn of sending.
enum Sending {
    /// There is nothing to send.
    Done,
    /// The socket takes no more.
    Waiting,
    /// There is more for another turn.
    More,
}

/// What became of a turn of receiving.
enum Receiving {
    /// The speaker wants no more now.
    Paused,
    /// The socket has no more.
    Waiting,
    /// There may be more for another turn; surely, where what was read filled the room for it.
    More { is_sure: bool },
    /// The other side has closed, or the connection broke.
    Gone(Option<io::Error>),
}

impl Pump {
    fn send(&mut self) -> Sending {
        let sending = self.take_and_write();
        self.connection.unwritten.set(self.unwritten.len());
        sending
    }

    fn take_and_write(&mut self) -> Sending {
        if self.broken.is_some() {
            return Sending::Done;
        }
        if self.unwritten.is_empty() {
            if !self.connection.pending.replace(false) {
                return Sending::Done;
            }
            self.unwritten = self.shell.take_buffer();
            if self.shell.transmit(self.connection.id, &mut self.unwritten, WRITE) {
                self.connection.pending.set(true);
            }
        }
        while !self.unwritten.is_empty() {
            match self.connection.stream.try_write(&self.unwritten) {
                Ok(written) => self.unwritten.advance(written),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Sending::Waiting,
                Err(error) => {
                    self.broken = Some(error);
                    return Sending::Done;
                }
            }
        }
        self.shell.return_buffer(std::mem::take(&mut self.unwritten));
        if self.connection.pending.get() { Sending::More } else { Sending::Done }
    }

    fn receive(&mut self) -> Receiving {
        if !self.shell.may_read(self.connection.id) {
            return Receiving::Paused;
        }
        let mut buffer = self.shell.take_buffer();
        buffer.extend_from_slice(&self.unread);
        let read = if self.unread.is_empty() || self.incomplete {
            buffer.reserve(READ);
            self.connection.stream.try_read_buf(&mut buffer)
        } else {
            Ok(READ) // what the speaker did not want before comes first
        };
        let receiving = match read {
            Ok(0) => Receiving::Gone(None),
            Ok(read) => {
                self.offer(&mut buffer);
                Receiving::More { is_sure: read >= READ }
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => Receiving::Waiting,
            Err(error) => Receiving::Gone(Some(error)),
        };
        self.unread.clear();
        self.unread.extend_from_slice(&buffer);
        self.shell.return_buffer(buffer);
        receiving
    }

    fn offer(&mut self, buffer: &mut BytesMut) {
        let offered = buffer.len();
        self.shell.input(Input::Bytes { connection: self.connection.id, bytes: buffer });
        // It may read and still took nothing: the rest of the message is on its way.
        self.incomplete = buffer.len() == offered;
    }

    /// Until the socket is ready for what is wanted of it, or somebody changed the connection.
    async fn wait(&self, readable: bool, writable: bool) {
        let stream = &self.connection.stream;
        // An error shows in the next turn, when the socket is used.
        tokio::select! {
            _ = stream.readable(), if readable => {}
            _ = stream.writable(), if writable => {}
            () = self.connection.changed.notified() => {}
        }
    }

    /// A socket that is closed with bytes unread sends RST, and drops what it has not sent yet. So: send the rest, shut
    /// down writing, and read to the end; at once, because the other side may only read after it has written.
    async fn linger(&mut self) {
        let connection = Rc::clone(&self.connection);
        tokio::join!(self.finish(), drain(&connection.stream));
    }

    async fn finish(&mut self) {
        loop {
            match self.send() {
                Sending::Done => break,
                Sending::More => yield_now().await,
                Sending::Waiting => self.wait(false, true).await,
            }
        }
        // Fails where the other side is already gone.
        let _ = SockRef::from(&self.connection.stream).shutdown(Shutdown::Write);
    }
}

async fn drain(stream: &TcpStream) {
    let mut sink = [0; 4096];
    while stream.readable().await.is_ok() {
        match stream.try_read(&mut sink) {
            Ok(0) => return,
            Ok(_) => yield_now().await,
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Err(_) => return,
        }
    }
}
