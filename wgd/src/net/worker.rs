//! Thread `wireguard`: the loop that moves packets. Owns the device.
//!
//! A turn waits for any descriptor, then takes at most one batch from each direction: under full load a packet waits
//! for two batches at most. No lock and no allocation per packet.

use std::collections::BTreeMap;
use std::io::{self, Read};
use std::net::SocketAddr;
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::sync::mpsc::{Receiver, SyncSender, TryRecvError};
use std::time::{Duration, Instant, SystemTime};

use super::mmsg::Inbox;
use super::offloads;
use super::poll::Poll;
use super::tun::{Packet, Tun};
use super::udp::Udp;
use super::{Event, Io};
use crate::capture::Capture;
use crate::device::{Device, Output, Rekey, RekeyError, TICK};
use crate::settings::{PublicKey, Settings};
use crate::table::{Change, Generation};
use crate::view::PeerView;

/// What others ask of the worker.
#[derive(Debug)]
pub(super) enum Command {
    Settings(Box<Settings>),
    Table(Generation, Vec<Change>),
    Endpoint(PublicKey, Vec<SocketAddr>),
    Rekey(String, Rekey, SyncSender<Result<(), RekeyError>>),
    Peers(SyncSender<Vec<PeerView>>),
    Drops(SyncSender<BTreeMap<&'static str, u64>>),
    Faults(SyncSender<Vec<String>>),
    Capture(Box<Capture>, SyncSender<bool>),
    Stop,
}

pub(super) struct Worker<F> {
    tun: Tun,
    udp: Udp,
    woken: UnixStream,
    queue: Receiver<Command>,
    events: F,
    poll: Poll,
    device: Device,
    /// When descriptors that rest are asked again.
    rested: Option<Instant>,
    out: Output,
}

impl<F: Fn(Event)> Worker<F> {
    pub(super) fn new(
        io: Io,
        settings: Settings,
        seed: u64,
        woken: UnixStream,
        queue: Receiver<Command>,
        events: F,
    ) -> Self {
        let mut out = Output::default();
        let device = Device::new_at(Instant::now(), SystemTime::now(), settings, seed, &mut out);
        let (tun, udp) = (Tun::new(io.tun), Udp::new(io.udp));
        let descriptors = [woken.as_raw_fd(), tun.as_raw_fd()].into_iter().chain(udp.descriptors());
        Self { poll: Poll::new(descriptors), tun, udp, woken, queue, events, device, rested: None, out }
    }

    /// Until it is told to stop (Ok), or the TUN is gone.
    pub(super) fn run(mut self) -> io::Result<()> {
        loop {
            let now = Instant::now();
            self.flush(now)?;
            if self.device.next_timeout().is_some_and(|due| now >= due) {
                self.device.time(now, SystemTime::now(), &mut self.out);
                self.device.tick(now, &mut self.out);
                self.flush(now)?;
            }
            if self.rested.is_some_and(|until| now >= until) {
                self.poll.wake_all();
                self.rested = None;
            }
            self.poll.wait(self.timeout(now))?;
            if self.poll.is_ready(WOKEN) {
                while matches!((&self.woken).read(&mut [0; 64]), Ok(1..)) {}
            }
            if !self.obey() {
                return Ok(());
            }
            let now = Instant::now();
            self.take_packets(now)?;
            self.flush(now)?;
            self.take_datagrams(now);
        }
    }

    /// How long there is nothing to do but what descriptors bring.
    fn timeout(&self, now: Instant) -> Duration {
        let due = self.device.next_timeout().into_iter().chain(self.rested).min();
        due.map_or(Duration::MAX, |due| due.saturating_duration_since(now))
    }

    /// Leaves a descriptor out for a moment.
    fn rest(&mut self, now: Instant, descriptor: usize) {
        self.poll.rest(descriptor);
        self.rested.get_or_insert(now + TICK);
    }

    /// False: to stop.
    fn obey(&mut self) -> bool {
        loop {
            let command = match self.queue.try_recv() {
                Ok(command) => command,
                Err(TryRecvError::Empty) => return true,
                Err(TryRecvError::Disconnected) => return false,
            };
            let now = Instant::now();
            match command {
                Command::Settings(settings) => self.device.settings(now, *settings, &mut self.out),
                Command::Table(generation, changes) => {
                    self.device.table(now, changes);
                    self.out.events.push(Event::TableApplied(generation));
                }
                Command::Endpoint(peer, addresses) => self.device.endpoint(now, peer, &addresses, &mut self.out),
                // Who asked may have gone
                Command::Rekey(peer, how, answer) => {
                    drop(answer.send(self.device.rekey(now, &peer, how, &mut self.out)))
                }
                Command::Peers(answer) => drop(answer.send(self.peers(now))),
                Command::Drops(answer) => drop(answer.send(self.device.drops())),
                Command::Faults(answer) => drop(answer.send(self.device.faults(now))),
                Command::Capture(capture, answer) => drop(answer.send(self.out.tap.add(*capture))),
                Command::Stop => return false,
            }
        }
    }

    fn peers(&self, now: Instant) -> Vec<PeerView> {
        let mut peers = self.device.peers(now);
        for peer in &mut peers {
            let udp = peer.endpoint.and_then(|endpoint| self.udp.offloads(endpoint));
            peer.offloads = offloads::names(self.tun.offloads(), udp);
        }
        peers
    }

    fn take_packets(&mut self, now: Instant) -> io::Result<()> {
        if !self.poll.is_ready(TUN) {
            return Ok(());
        }
        for _ in 0..PACKETS {
            match self.tun.read() {
                Ok(Some(Packet { offload, buffer, len })) => {
                    self.device.outbound_offloaded(now, &offload, buffer, len, &mut self.out);
                }
                Ok(None) => break,
                Err(error) if tun_is_gone(&error) => return Err(error),
                Err(_) => {
                    self.rest(now, TUN);
                    break;
                }
            }
            if self.out.datagrams.octets().len() > OCTETS {
                break;
            }
        }
        Ok(())
    }

    fn take_datagrams(&mut self, now: Instant) {
        for socket in 0..self.udp.len() {
            if !self.poll.is_ready(UDP + socket) {
                continue;
            }
            let mut taken = 0;
            while taken < PACKETS {
                let Ok(inbox) = self.udp.receive(socket) else {
                    // An ICMP error that belongs to a datagram sent before; it is gone once it is read
                    self.device.count_refused(1);
                    self.rest(now, UDP + socket);
                    break;
                };
                for (from, ecn, datagram) in inbox.datagrams() {
                    self.device.inbound_marked(now, from, ecn, datagram, &mut self.out);
                    taken += 1;
                }
                if inbox.len() < Inbox::MOST {
                    break;
                }
            }
        }
    }

    /// What the device made goes out.
    fn flush(&mut self, now: Instant) -> io::Result<()> {
        let mut refused = 0;
        // A datagram that was too long makes shorter probes
        for _ in 0..SENDS {
            refused += self.udp.send(now, &self.out.datagrams);
            self.out.datagrams.clear();
            for long in self.udp.too_long() {
                self.device.too_long(now, long.to, long.octets, long.datagrams, &mut self.out);
            }
            if self.out.datagrams.is_empty() {
                break;
            }
        }
        refused += self.tun.write(&mut self.out.packets)?;
        self.out.packets.clear();
        if refused > 0 {
            self.device.count_refused(refused);
        }
        self.out.tap.hand_over();
        self.out.events.drain(..).for_each(&self.events);
        Ok(())
    }
}

/// Of one turn and direction: packets, and octets of datagrams made of them.
const PACKETS: usize = 128;
const OCTETS: usize = 128 << 10;
/// How often a flush sends, at most.
const SENDS: usize = 16;
/// Places among the descriptors.
const WOKEN: usize = 0;
const TUN: usize = 1;
const UDP: usize = 2;

/// The device was deleted under us.
pub(super) fn tun_is_gone(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EBADFD | libc::ENODEV | libc::EFAULT))
}
