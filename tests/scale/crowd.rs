//! Five hundred internal neighbors in one process, each at an address of its own: what a listen range meets.
//!
//! Their messages are written and read here, octet by octet, and not by the codec under test.

use std::cell::Cell;
use std::collections::HashSet;
use std::io::{self, ErrorKind};
use std::net::{Ipv4Addr, SocketAddr};
use std::rc::Rc;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpSocket;
use tokio::net::tcp::OwnedReadHalf;
use tokio::task::{LocalSet, spawn_local};
use tokio::time::{interval, sleep};

use super::{HUB, MEMBERS};

/// Prefixes of each.
const PREFIXES: u16 = 4;
/// Between two tries to connect.
const RETRY: Duration = Duration::from_secs(1);
const KEEPALIVE: Duration = Duration::from_secs(10);

const OPEN: u8 = 1;
const UPDATE: u8 = 2;
const NOTIFICATION: u8 = 3;
const ALIVE: u8 = 4;

/// How far all of them are.
#[derive(Default)]
struct Progress {
    /// Those with a session.
    established: Cell<usize>,
    /// Those that have heard of every other's prefixes.
    complete: Cell<usize>,
}

/// Runs until it is killed, and prints how far it is.
pub(crate) fn run() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    LocalSet::new().block_on(&runtime, async {
        let progress = Rc::new(Progress::default());
        for member in 0..MEMBERS {
            spawn_local(live(member, progress.clone()));
        }
        let began = Instant::now();
        let mut said = (0, 0);
        loop {
            let now = (progress.established.get(), progress.complete.get());
            if now != said {
                println!("{} established, {} complete after {:?}", now.0, now.1, began.elapsed());
                said = now;
            }
            sleep(Duration::from_millis(50)).await;
        }
    });
}

async fn live(member: u16, progress: Rc<Progress>) {
    loop {
        let mut heard = Heard { progress: &progress, established: false, prefixes: HashSet::new() };
        // Whatever went wrong, it tries again.
        let _ = session(member, &mut heard).await;
        drop(heard);
        sleep(RETRY).await;
    }
}

/// What one session has heard; counted out again when it ends.
struct Heard<'a> {
    progress: &'a Progress,
    established: bool,
    prefixes: HashSet<[u8; 3]>,
}

impl Heard<'_> {
    fn is_complete(&self) -> bool {
        self.prefixes.len() == usize::from(MEMBERS - 1) * usize::from(PREFIXES)
    }

    fn change(&mut self, change: impl FnOnce(&mut Self)) {
        let add =
            |count: &Cell<usize>, is: bool, was: bool| count.set(count.get() + usize::from(is) - usize::from(was));
        let (was_established, was_complete) = (self.established, self.is_complete());
        change(self);
        add(&self.progress.established, self.established, was_established);
        add(&self.progress.complete, self.is_complete(), was_complete);
    }
}

impl Drop for Heard<'_> {
    fn drop(&mut self) {
        self.change(|heard| {
            heard.established = false;
            heard.prefixes.clear();
        });
    }
}

async fn session(member: u16, heard: &mut Heard<'_>) -> io::Result<()> {
    let [high, low] = (member + 1).to_be_bytes();
    let address = Ipv4Addr::new(10, 90, high, low);
    let socket = TcpSocket::new_v4()?;
    socket.bind(SocketAddr::from((address, 0)))?;
    let (mut reader, mut writer) = socket.connect(HUB.parse().unwrap()).await?.into_split();
    writer.write_all(&message(OPEN, &open(address))).await?;
    read(&mut reader, OPEN).await?;
    writer.write_all(&message(ALIVE, &[])).await?;
    read(&mut reader, ALIVE).await?;
    heard.change(|heard| heard.established = true);
    writer.write_all(&message(UPDATE, &update(member, address))).await?;
    let alive = spawn_local(async move {
        let mut ticks = interval(KEEPALIVE);
        while writer.write_all(&message(ALIVE, &[])).await.is_ok() {
            ticks.tick().await;
        }
    });
    let ended = listen(&mut reader, heard).await;
    alive.abort();
    ended
}

/// Takes in what it is told, until the session ends.
async fn listen(reader: &mut OwnedReadHalf, heard: &mut Heard<'_>) -> io::Result<()> {
    loop {
        let (kind, body) = next(reader).await?;
        if kind == NOTIFICATION {
            return Err(ErrorKind::ConnectionAborted.into());
        }
        if kind == UPDATE {
            let (withdrawn, rest) = counted(&body);
            let (_, announced) = counted(rest);
            heard.change(|heard| {
                prefixes(withdrawn).for_each(|prefix| {
                    heard.prefixes.remove(&prefix);
                });
                heard.prefixes.extend(prefixes(announced));
            });
        }
    }
}

/// A field with its length before it (RFC 4271 §4.3), and what follows.
fn counted(body: &[u8]) -> (&[u8], &[u8]) {
    body[2..].split_at(usize::from(u16::from_be_bytes([body[0], body[1]])))
}

/// All are of 24 bits.
fn prefixes(nlri: &[u8]) -> impl Iterator<Item = [u8; 3]> {
    nlri.chunks(4).map(move |prefix| {
        assert_eq!(prefix[0], 24, "{nlri:?}");
        [prefix[1], prefix[2], prefix[3]]
    })
}

async fn read(reader: &mut OwnedReadHalf, wanted: u8) -> io::Result<()> {
    let (kind, _) = next(reader).await?;
    if kind == wanted { Ok(()) } else { Err(ErrorKind::InvalidData.into()) }
}

async fn next(reader: &mut OwnedReadHalf) -> io::Result<(u8, Vec<u8>)> {
    let mut header = [0; 19];
    reader.read_exact(&mut header).await?;
    let mut body = vec![0; usize::from(u16::from_be_bytes([header[16], header[17]])) - header.len()];
    reader.read_exact(&mut body).await?;
    Ok((header[18], body))
}

/// RFC 4271 §4.1.
fn message(kind: u8, body: &[u8]) -> Vec<u8> {
    let length = (19 + body.len() as u16).to_be_bytes();
    [&[0xFF; 16][..], &length, &[kind], body].concat()
}

/// AS 64512, a hold time of 90 s, and one capability: IPv4 unicast.
fn open(identifier: Ipv4Addr) -> Vec<u8> {
    [&[4, 0xFC, 0x00, 0, 90][..], &identifier.octets(), &[8, 2, 6, 1, 4, 0, 1, 0, 1]].concat()
}

/// ORIGIN, an empty AS_PATH, NEXT_HOP, LOCAL_PREF, and its prefixes.
fn update(member: u16, next_hop: Ipv4Addr) -> Vec<u8> {
    let next_hop = [&[0x40, 3, 4][..], &next_hop.octets()].concat();
    let attributes = [&[0x40, 1, 1, 0, 0x40, 2, 0][..], &next_hop, &[0x40, 5, 4, 0, 0, 0, 100]].concat();
    let nlri = (0..PREFIXES).flat_map(|number| {
        let [high, low] = (member * PREFIXES + number).to_be_bytes();
        [24, 100, high, low]
    });
    let length = (attributes.len() as u16).to_be_bytes();
    [&[0, 0][..], &length, &attributes].concat().into_iter().chain(nlri).collect()
}
