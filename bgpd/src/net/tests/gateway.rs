//! A speaker on its thread, as tests drive it.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener};
use std::time::{Duration, Instant};

use ipnet::{IpNet, Ipv4Net};

use super::super::{Bgp, Outputs};
use crate::Settings;
use crate::settings::{NeighborSettings, Originate, PolicyName, RemoteAs, SessionSettings};
use crate::speaker::{Event, FibChange, Input, NextHopState};
use crate::types::{Asn, BgpIdentifier};
use crate::view::{NeighborView, SessionState};

/// Ten times what anything here takes on a busy machine.
pub(super) const PATIENCE: Duration = Duration::from_secs(30);

pub(super) fn asn(number: u32) -> Asn {
    Asn::new(number).unwrap()
}

/// A speaker without neighbors.
pub(super) fn settings(asn_number: u32, last_octet: u8) -> Settings {
    Settings::new(asn(asn_number), BgpIdentifier::new(Ipv4Addr::new(10, 0, 0, last_octet)).unwrap())
}

/// What tests change before the thread starts.
impl Settings {
    /// A neighbor of any other AS that accepts and announces everything.
    pub(super) fn neighbor(self, name: &str, address: SocketAddr, change: impl FnOnce(&mut NeighborSettings)) -> Self {
        let mut neighbor = NeighborSettings {
            port: address.port(),
            ..NeighborSettings::new(
                address.ip(),
                RemoteAs::External,
                SessionSettings {
                    import: Some(PolicyName::AcceptAll),
                    export: Some(PolicyName::AcceptAll),
                    connect_retry: Duration::from_secs(1),
                    ..SessionSettings::default()
                },
            )
        };
        change(&mut neighbor);
        let mut neighbors = self.neighbors;
        neighbors.insert(name.to_owned(), neighbor);
        Self { neighbors, ..self }
    }

    pub(super) fn originating(mut self, prefixes: impl IntoIterator<Item = IpNet>) -> Self {
        let originate = |prefix| Originate { prefix, next_hop: None, discard: false };
        self.originate = prefixes.into_iter().map(originate).collect();
        self
    }
}

/// A running speaker. Every next hop it asks for is up and on its link.
pub(super) struct Gateway {
    pub(super) bgp: Bgp,
    pub(super) outputs: Outputs,
    pub(super) events: Vec<Event>,
    pub(super) fib: BTreeMap<IpNet, FibChange>,
}

impl Gateway {
    pub(super) fn start(settings: Settings, listeners: Vec<TcpListener>) -> Self {
        let (bgp, outputs) = Bgp::start(settings, listeners, Vec::new(), 7).unwrap();
        Self { bgp, outputs, events: Vec::new(), fib: BTreeMap::new() }
    }

    /// Until `done`, or the test fails and says what it saw.
    pub(super) async fn until(&mut self, what: &str, done: impl Fn(&Self, &[NeighborView]) -> bool) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            self.listen().await;
            let neighbors = self.neighbors().await;
            if done(self, &neighbors) {
                return;
            }
            let (events, fib) = (&self.events, &self.fib);
            assert!(Instant::now() < deadline, "never {what}: {neighbors:#?}\n{events:#?}\n{fib:#?}");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    pub(super) async fn until_established(&mut self) {
        self.until("established", |_, neighbors| {
            neighbors.iter().all(|neighbor| neighbor.state == SessionState::Established)
        })
        .await;
    }

    pub(super) async fn neighbors(&self) -> Vec<NeighborView> {
        self.bgp.call(|speaker, now| speaker.neighbors(now)).await.unwrap()
    }

    /// Takes in what the thread has told, and answers what it has asked.
    async fn listen(&mut self) {
        while let Ok(changes) = self.outputs.fib.try_recv() {
            self.fib.extend(changes.into_iter().map(|change| (change.prefix, change)));
        }
        while let Ok(event) = self.outputs.events.try_recv() {
            if let Event::NextHopWanted(next_hop) = event {
                let state = NextHopState { up: true, connected: true, ..NextHopState::default() };
                let answer = vec![(next_hop, state)];
                self.bgp.call(move |speaker, now| speaker.input(now, Input::NextHops(answer))).await.unwrap();
            }
            self.events.push(event);
        }
    }
}

pub(super) fn listener(address: impl Into<IpAddr>) -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind((address.into(), 0)).unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

/// The /24 prefixes from 11.0.0.0 on.
pub(super) fn many_prefixes(count: u32) -> impl Iterator<Item = IpNet> {
    (0..count).filter_map(|number| Ipv4Net::new((0x0B00_0000 + (number << 8)).into(), 24).ok()).map(IpNet::V4)
}
