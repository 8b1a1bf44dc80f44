//! Streams of ICMP echo requests: one every few milliseconds, whether the one before was answered or not, and what became
//! of each.
//!
//! Runs in the agent, as [`super::ping`]. Each turn of a stream sends one request and reads what has come, so that nothing
//! here is quicker or slower than the interval.
#![allow(unsafe_code)] // the error queue of a socket is not std's

use std::ffi::c_int;
use std::io::{self, ErrorKind, Read as _};
use std::net::{IpAddr, SocketAddr};
use std::os::fd::AsRawFd as _;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::Context as _;
use socket2::Socket;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep_until, timeout};

use super::ping;
use super::request::{Fate, Run, Stream};

/// Sequence numbers have 16 bits: a stream of more would mix up its first and its last requests.
const MOST: usize = 1 << 16;
/// Room for answers that come while this program is kept from running, in octets: the usual is full after half a second.
const ROOM: c_int = 4 << 20;
/// How long the last answers may take.
const GRACE: Duration = Duration::from_secs(10);

/// A stream that runs until it is ended, or dropped.
pub(super) struct Running {
    fates: Arc<Mutex<Vec<Fate>>>,
    ending: Arc<AtomicBool>,
    task: JoinHandle<()>,
}

impl Running {
    pub(super) fn start(stream: &Stream) -> anyhow::Result<Self> {
        let socket = ping::socket(stream.to, stream.from)?;
        receive_errors(&socket, stream.to).context("ICMP errors of a ping socket")?;
        set(&socket, libc::SOL_SOCKET, libc::SO_RCVBUFFORCE, ROOM).context("room for answers")?;
        let (fates, ending) = (Arc::default(), Arc::default());
        let task = tokio::spawn(run(socket, stream.clone(), Arc::clone(&fates), Arc::clone(&ending)));
        Ok(Self { fates, ending, task })
    }

    /// What became of the requests so far; the newest may still be answered.
    pub(super) fn runs(&self) -> Vec<Run> {
        let fates = self.fates.lock().unwrap_or_else(PoisonError::into_inner);
        fates.chunk_by(|one, next| one == next).map(|run| Run { fate: run[0], requests: run.len() }).collect()
    }

    /// Sends no more, waits for the last answers, and says what became of all.
    pub(super) async fn end(mut self) -> anyhow::Result<Vec<Run>> {
        self.ending.store(true, Ordering::Relaxed);
        (&mut self.task).await.context("a stream of echo requests")?;
        Ok(self.runs())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn run(socket: Socket, stream: Stream, fates: Arc<Mutex<Vec<Fate>>>, ending: Arc<AtomicBool>) {
    // Not connected: that is refused where there is no way yet.
    let to = SocketAddr::new(stream.to, 0).into();
    let mut next = Instant::now();
    while !ending.load(Ordering::Relaxed) {
        {
            let mut fates = fates.lock().unwrap_or_else(PoisonError::into_inner);
            take(&socket, &mut fates);
            if fates.len() == MOST {
                break;
            }
            let request = ping::request(stream.to, fates.len() as u16);
            // What another request met is told by `send` too, once. The second answer is about this request.
            let send = || socket.send_to(&request, &to);
            fates.push(if send().or_else(|_| send()).is_ok() { Fate::Lost } else { Fate::Unreachable });
        }
        next += stream.interval;
        sleep_until(next).await;
    }
    let all = async {
        while {
            let mut fates = fates.lock().unwrap_or_else(PoisonError::into_inner);
            take(&socket, &mut fates);
            fates.contains(&Fate::Lost)
        } {
            next += stream.interval;
            sleep_until(next).await;
        }
    };
    let _ = timeout(GRACE, all).await; // what is lost stays lost
}

/// Takes what has come: answers, and errors about what was sent.
fn take(mut socket: &Socket, fates: &mut [Fate]) {
    let mut message = [0; 2048];
    loop {
        match socket.read(&mut message) {
            Ok(len) => note(fates, &message[..len], Fate::Answered),
            Err(error) if error.kind() == ErrorKind::WouldBlock => break,
            Err(_) => {} // told once, and again in the queue below
        }
    }
    while let Ok(len) = read_error(socket, &mut message) {
        note(fates, &message[..len], Fate::Unreachable);
    }
}

/// An error quotes the request from its ICMP header on.
fn note(fates: &mut [Fate], message: &[u8], fate: Fate) {
    if let Some([high, low]) = message.get(6..8) {
        let sequence = usize::from(u16::from_be_bytes([*high, *low]));
        if let Some(place) = fates.get_mut(sequence) {
            *place = fate;
        }
    }
}

/// ICMP errors go to the error queue, with what they are about, instead of being hints that a socket may ignore.
fn receive_errors(socket: &Socket, to: IpAddr) -> io::Result<()> {
    let (level, option) = match to {
        IpAddr::V4(_) => (libc::SOL_IP, libc::IP_RECVERR),
        IpAddr::V6(_) => (libc::SOL_IPV6, libc::IPV6_RECVERR),
    };
    set(socket, level, option, 1)
}

fn set(socket: &Socket, level: c_int, option: c_int, value: c_int) -> io::Result<()> {
    let (pointer, length) = ((&raw const value).cast(), size_of::<c_int>() as _);
    // SAFETY: the option's value is an `int`, which lives until the end of the call
    let result = unsafe { libc::setsockopt(socket.as_raw_fd(), level, option, pointer, length) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

fn read_error(socket: &Socket, message: &mut [u8]) -> io::Result<usize> {
    let flags = libc::MSG_ERRQUEUE | libc::MSG_DONTWAIT;
    // SAFETY: the kernel writes at most as many octets as the buffer has
    let len = unsafe { libc::recv(socket.as_raw_fd(), message.as_mut_ptr().cast(), message.len(), flags) };
    usize::try_from(len).map_err(|_| io::Error::last_os_error())
}
