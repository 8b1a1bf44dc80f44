#![allow(clippy::unwrap_used)]

mod golden;
mod graceful;
mod messages;
mod negotiation;
mod pair;
mod properties;
mod timers;

use std::net::{Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use super::{Action, DownReason, Ends, Event, Fsm, Identity};
use crate::settings::{RemoteAs, SessionSettings};
use crate::types::{Asn, BgpIdentifier, ConnectionId, Families, Family};
use crate::view::SessionState;
use crate::wire::{Capability, Notification, Open};

pub(super) const BYE: Notification = Notification::new(6, 2);

pub(super) const fn connection(number: u64) -> ConnectionId {
    ConnectionId(number)
}

pub(super) fn asn(number: u32) -> Asn {
    Asn::new(number).unwrap()
}

pub(super) fn identity(asn_number: u32, last_octet: u8) -> Identity {
    let router_id = BgpIdentifier::new(Ipv4Addr::new(10, 0, 0, last_octet)).unwrap();
    Identity { local_asn: asn(asn_number), router_id }
}

/// On a link with IPv4 alone.
fn ends() -> Ends {
    Ends { local: address(1), remote: address(2), families: Families::IPV4 }
}

pub(super) fn address(last_octet: u8) -> SocketAddr {
    SocketAddr::from(([192, 0, 2, last_octet], 179))
}

/// The OPEN of the neighbor: AS 64512, identifier 10.0.0.9.
pub(super) fn neighbor_open() -> Open {
    let them = identity(64512, 9);
    Open {
        asn: them.local_asn,
        hold_time: 90,
        router_id: them.router_id,
        capabilities: vec![
            multiprotocol(Family::Ipv4),
            Capability::RouteRefresh,
            Capability::FourOctetAs(them.local_asn.get()),
        ],
    }
}

pub(super) fn multiprotocol(family: Family) -> Capability {
    let (afi, safi) = family.afi_safi();
    Capability::Multiprotocol { afi, safi }
}

/// A machine under test, with its clock and what it last did.
#[derive(Clone, Debug)]
pub(super) struct Bench {
    pub(super) fsm: Fsm,
    pub(super) now: Instant,
    pub(super) actions: Vec<Action>,
}

impl Bench {
    /// AS 64513, identifier 10.0.0.5: lower than the neighbor's.
    pub(super) fn new() -> Self {
        Self::with(SessionSettings::default())
    }

    pub(super) fn with(session: SessionSettings) -> Self {
        Self::build(identity(64513, 5), RemoteAs::OneOf(vec![asn(64512)]), false, session)
    }

    pub(super) fn build(identity: Identity, remote_as: RemoteAs, passive: bool, session: SessionSettings) -> Self {
        Self { fsm: Fsm::new(identity, remote_as, passive, session, 1), now: Instant::now(), actions: Vec::new() }
    }

    /// One event; a dial it causes gets number 1.
    pub(super) fn step(&mut self, event: Event<'_>) -> &mut Self {
        self.actions.clear();
        self.fsm.step(self.now, event, &mut self.actions);
        if self.actions.contains(&Action::Connect) {
            self.fsm.dialling(connection(1));
        }
        self
    }

    pub(super) fn accepted(&mut self, number: u64) -> &mut Self {
        self.step(Event::Accepted { connection: connection(number), ends: ends() })
    }

    pub(super) fn connected(&mut self, number: u64) -> &mut Self {
        self.step(Event::Connected { connection: connection(number), ends: ends() })
    }

    pub(super) fn open(&mut self, number: u64, open: &Open) -> &mut Self {
        self.step(Event::Open { connection: connection(number), open })
    }

    pub(super) fn keepalive(&mut self, number: u64) -> &mut Self {
        self.step(Event::Keepalive { connection: connection(number) })
    }

    pub(super) fn wait(&mut self, time: Duration) -> &mut Self {
        self.now += time;
        self.step(Event::Timer)
    }

    /// Until the next deadline, which must exist.
    pub(super) fn wait_for_timer(&mut self) -> &mut Self {
        self.now = self.fsm.next_timeout().unwrap();
        self.step(Event::Timer)
    }

    /// Dialled by us, OPEN sent.
    pub(super) fn open_sent(mut self) -> Self {
        self.step(Event::Start).connected(1);
        self
    }

    /// Dialled by us, both OPENs there.
    pub(super) fn open_confirm(mut self) -> Self {
        self = self.open_sent();
        self.open(1, &neighbor_open());
        self
    }

    /// Dialled by us, routes may flow.
    pub(super) fn established(mut self) -> Self {
        self = self.open_confirm();
        self.keepalive(1);
        assert_eq!(self.fsm.state(), SessionState::Established);
        self
    }

    /// What was sent when the connection was closed.
    pub(super) fn refusal(&self) -> &Notification {
        let refusal = self.actions.iter().find_map(|action| match action {
            Action::Close { notification: Some(notification), .. } => Some(notification),
            _ => None,
        });
        refusal.unwrap_or_else(|| panic!("nothing was refused: {:?}", self.actions))
    }
}

pub(super) fn close(number: u64, notification: Notification) -> Action {
    Action::Close { connection: connection(number), notification: Some(notification) }
}

pub(super) fn failed(notification: Notification) -> Action {
    Action::Failed { reason: DownReason::Sent(notification) }
}
