//! A UDP relay with bad weather: it loses datagrams, delays them, and lets some overtake others. For kernels without netem.
//! And with somebody on the way who repeats datagrams, cut or changed, from an address of their own.
//!
//! Runs in the agent. Which datagrams meet what follows from the seed and from their order of arrival alone.

use std::collections::VecDeque;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Context as _;
use socket2::SockRef;
use tokio::net::UdpSocket;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep_until};

use super::request::{Relay, Relayed};

/// Of a rate.
const WHOLE: u64 = 10_000;
/// Datagrams that wait for their time in one direction; more are lost, as in the queue of a router.
const WAITING: usize = 1 << 15;
/// So that nothing is lost before the relay.
const BUFFER: usize = 8 << 20;
const LARGEST: usize = 65_535;

/// A relay that runs until it is dropped.
pub(super) struct Running {
    tasks: [JoinHandle<()>; 2],
    counts: Arc<Mutex<Relayed>>,
    /// Where it listens.
    pub(super) address: SocketAddr,
}

impl Running {
    pub(super) async fn start(relay: Relay) -> anyhow::Result<Self> {
        let near = open(relay.listen).await?;
        let any = if relay.to.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
        let far = open(SocketAddr::new(any, 0)).await?;
        let (address, counts) = (near.local_addr()?, Arc::<Mutex<Relayed>>::default());
        let attacker = Arc::new(open(SocketAddr::new(any, 0)).await?);
        let (near, far, client) = (Arc::new(near), Arc::new(far), Arc::<Mutex<Option<SocketAddr>>>::default());
        let way = |seed: u64| Way {
            relay: relay.clone(),
            counts: Arc::clone(&counts),
            attacker: Arc::clone(&attacker),
            random: relay.seed ^ seed,
        };
        let there = carry(Arc::clone(&near), Arc::clone(&far), way(0), {
            let client = Arc::clone(&client);
            move |from| {
                *client.lock().unwrap_or_else(PoisonError::into_inner) = Some(from);
                Some(relay.to)
            }
        });
        // Nobody to send back to before somebody has come
        let back = carry(far, near, way(1), move |_| *client.lock().unwrap_or_else(PoisonError::into_inner));
        Ok(Self { tasks: [tokio::spawn(there), tokio::spawn(back)], counts, address })
    }

    /// What became of the datagrams so far, in both directions.
    pub(super) fn counts(&self) -> Relayed {
        *self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}

async fn open(address: SocketAddr) -> anyhow::Result<UdpSocket> {
    let socket = UdpSocket::bind(address).await.with_context(|| format!("bind UDP {address}"))?;
    SockRef::from(&socket).set_recv_buffer_size(BUFFER)?;
    SockRef::from(&socket).set_send_buffer_size(BUFFER)?;
    Ok(socket)
}

/// One direction's weather.
struct Way {
    relay: Relay,
    counts: Arc<Mutex<Relayed>>,
    attacker: Arc<UdpSocket>,
    random: u64,
}

/// What becomes of a datagram.
enum Fate {
    Lost,
    Overtakes,
    Waits,
}

impl Way {
    fn meet(&mut self, waiting: usize) -> Fate {
        let (lost, overtakes) = (self.chance(self.relay.loss), self.chance(self.relay.reorder));
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        if lost || waiting == WAITING {
            counts.lost += 1;
            return Fate::Lost;
        }
        counts.passed += 1;
        if overtakes && waiting > 0 {
            counts.overtook += 1;
            return Fate::Overtakes;
        }
        Fate::Waits
    }

    /// What is refused counts as lost behind us.
    async fn send(&mut self, by: &UdpSocket, datagram: &[u8], to: SocketAddr) {
        let _ = by.send_to(datagram, to).await;
        for forged in self.forged(datagram) {
            let _ = self.attacker.send_to(&forged, to).await;
        }
    }

    /// What somebody who sees a datagram can send besides: the same once more, a part of it, and with a bit changed.
    fn forged(&mut self, datagram: &[u8]) -> Vec<Vec<u8>> {
        if datagram.is_empty() || !self.chance(self.relay.attack) {
            return Vec::new();
        }
        let cut = datagram[..self.below(datagram.len())].to_vec();
        let mut changed = datagram.to_vec();
        changed[self.below(datagram.len())] ^= 1 << self.below(8);
        let forged = vec![datagram.to_vec(), cut, changed];
        self.counts.lock().unwrap_or_else(PoisonError::into_inner).forged += forged.len() as u64;
        forged
    }

    fn chance(&mut self, rate: u32) -> bool {
        self.next() % WHOLE < u64::from(rate)
    }

    fn below(&mut self, end: usize) -> usize {
        (self.next() % end as u64) as usize
    }

    fn next(&mut self) -> u64 {
        // SplitMix64
        self.random = self.random.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.random;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }
}

/// Carries what one socket receives to whom the other sends.
async fn carry(from: Arc<UdpSocket>, by: Arc<UdpSocket>, mut way: Way, to: impl Fn(SocketAddr) -> Option<SocketAddr>) {
    let mut waiting: VecDeque<(Instant, SocketAddr, Vec<u8>)> = VecDeque::new();
    let mut buffer = vec![0; LARGEST];
    loop {
        let due = waiting.front().map(|(at, ..)| *at);
        tokio::select! {
            biased;
            () = async { match due { Some(at) => sleep_until(at).await, None => std::future::pending().await } } => {
                while waiting.front().is_some_and(|(at, ..)| *at <= Instant::now())
                    && let Some((_, to, datagram)) = waiting.pop_front()
                {
                    way.send(&by, &datagram, to).await;
                }
            }
            received = from.recv_from(&mut buffer) => {
                // An ICMP error about something sent before
                let Ok((length, from)) = received else { continue };
                let Some(to) = to(from) else { continue };
                match way.meet(waiting.len()) {
                    Fate::Lost => {}
                    Fate::Overtakes => way.send(&by, &buffer[..length], to).await,
                    Fate::Waits => waiting.push_back((Instant::now() + way.relay.delay, to, buffer[..length].to_vec())),
                }
            }
        }
    }
}
