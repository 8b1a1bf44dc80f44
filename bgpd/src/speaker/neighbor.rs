//! Neighbors: what is wanted of each, its state machine, its session.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::Command;
use super::groups::GroupId;
use super::limits::Limits;
use super::record::Record;
use super::refresh::Refreshes;
use super::retain::Retained;
use crate::fsm::{Fsm, Identity, Negotiated};
use crate::rib::{Filter, SourceId};
use crate::settings::{DynamicNeighborSettings, NeighborSettings, RemoteAs, Settings};
use crate::types::{Asn, ConnectionId, Families};

/// The number of a neighbor; never used twice.
pub(super) type NeighborId = u32;

/// How long a neighbor that dialled in is shown after its session is gone.
const REMEMBERED: Duration = Duration::from_secs(300);

/// One neighbor.
#[derive(Debug)]
pub(super) struct Neighbor {
    /// As shown.
    pub(super) name: String,
    /// For policies: the name, and for one that dialled in also that of its range.
    pub(super) names: Arc<[String]>,
    /// It dialled in, to this socket.
    pub(super) dynamic: Option<Dynamic>,
    pub(super) settings: NeighborSettings,
    pub(super) fsm: Fsm,
    /// The FSM was told to start.
    pub(super) running: bool,
    /// Settings have changed that the FSM takes up when its session ends.
    pub(super) outdated: bool,
    /// By the operator's command.
    pub(super) admin: AdminState,
    /// What `max-prefixes` has made of it.
    pub(super) limits: Limits,
    pub(super) session: Option<Session>,
    /// What its last session has left.
    pub(super) retained: Option<Retained>,
    pub(super) record: Record,
    /// When it is due, as far as [`super::neighbors::Neighbors`] has noted.
    pub(super) deadline: Option<Instant>,
}

/// What the operator's commands have made of a neighbor.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(super) enum AdminState {
    /// As configured.
    #[default]
    Enabled,
    /// Its paths are about to go (RFC 8326).
    Draining,
    /// Down, and what it was told.
    Disabled(Option<String>),
}

impl AdminState {
    /// What a command makes of it. Who is disabled has no session that could be drained.
    pub(super) fn follow(&mut self, command: &Command) {
        *self = match command {
            Command::Disable(message) => Self::Disabled(message.clone()),
            Command::Drain if !matches!(self, Self::Disabled(_)) => Self::Draining,
            Command::Enable => Self::Enabled,
            Command::Drain | Command::Reset | Command::Refresh | Command::Resend => return,
        }
    }

    pub(super) fn is_draining(&self) -> bool {
        *self == Self::Draining
    }
}

/// A neighbor that dialled in.
#[derive(Clone, Debug)]
pub(super) struct Dynamic {
    /// The name of its range.
    pub(super) range: String,
    /// The listening socket: the session's key together with the neighbor's address.
    pub(super) local: SocketAddr,
    /// Since when it has neither session nor connection.
    pub(super) idle_since: Option<Instant>,
}

/// Routes flow.
#[derive(Debug)]
pub(super) struct Session {
    pub(super) connection: ConnectionId,
    pub(super) negotiated: Negotiated,
    pub(super) since: Instant,
    pub(super) source: SourceId,
    pub(super) export: Filter,
    /// With whom it shares what it is told.
    pub(super) group: GroupId,
    /// Families of which the neighbor has not yet told all.
    pub(super) untold: Families,
    pub(super) refresh: Refreshes,
}

impl Neighbor {
    /// One with an address of its own.
    pub(super) fn configured(name: &str, settings: &NeighborSettings, router: &Settings, seed: u64) -> Self {
        Self::new(name.to_owned(), [name.to_owned()].into(), settings.clone(), None, router, seed)
    }

    /// One that dialled in.
    pub(super) fn dialled_in(
        name: String,
        range: &str,
        settings: &DynamicNeighborSettings,
        (local, remote): (SocketAddr, SocketAddr),
        router: &Settings,
        seed: u64,
    ) -> Self {
        let names = [name.clone(), range.to_owned()].into();
        let dynamic = Dynamic { range: range.to_owned(), local, idle_since: None };
        Self::new(name, names, settings.of(remote.ip()), Some(dynamic), router, seed)
    }

    fn new(
        name: String,
        names: Arc<[String]>,
        settings: NeighborSettings,
        dynamic: Option<Dynamic>,
        router: &Settings,
        seed: u64,
    ) -> Self {
        let fsm = new_fsm(&settings, router, seed);
        Self {
            name,
            names,
            dynamic,
            settings,
            fsm,
            running: false,
            outdated: false,
            admin: AdminState::default(),
            limits: Limits::default(),
            session: None,
            retained: None,
            record: Record::default(),
            deadline: None,
        }
    }

    /// The AS that we show it.
    pub(super) fn local_asn(&self, router: &Settings) -> Asn {
        self.settings.session.local_asn.unwrap_or(router.asn)
    }

    /// Its AS, where it is configured as one number.
    pub(super) fn configured_asn(&self, router: &Settings) -> Option<Asn> {
        match &self.settings.asn {
            RemoteAs::OneOf(asns) if asns.len() == 1 => asns.first().copied(),
            RemoteAs::Internal => Some(self.local_asn(router)),
            RemoteAs::OneOf(_) | RemoteAs::External => None,
        }
    }

    /// Begins anew with the settings as they are now.
    pub(super) fn renew_fsm(&mut self, router: &Settings, seed: u64) {
        let preserved = self.fsm.preserved;
        self.fsm = new_fsm(&self.settings, router, seed);
        self.fsm.preserved = preserved;
        self.running = false;
        self.outdated = false;
    }

    /// Whether it is known to be in another AS than the one we show it, before its OPEN says so.
    pub(super) fn is_surely_external(&self, router: &Settings) -> bool {
        match &self.settings.asn {
            RemoteAs::External => true,
            RemoteAs::Internal => false,
            RemoteAs::OneOf(asns) => !asns.contains(&self.local_asn(router)),
        }
    }

    /// When it may be forgotten: it dialled in, is gone, and nothing keeps it away. That it drains does not: within a
    /// drain of all it comes back as it was.
    pub(super) fn forgotten_at(&self) -> Option<Instant> {
        let idle_since = self.dynamic.as_ref()?.idle_since?;
        let kept_away = matches!(self.admin, AdminState::Disabled(_)) || self.limits.over.is_some();
        let kept_until = self.retained.as_ref().and_then(Retained::ends_at);
        (!kept_away).then(|| kept_until.max(Some(idle_since + REMEMBERED))).flatten()
    }

    /// Itself, where it has a session.
    pub(super) fn with_session(&self) -> Option<(&Self, &Session)> {
        Some((self, self.session.as_ref()?))
    }

    /// When it is due.
    pub(super) fn next_timeout(&self) -> Option<Instant> {
        let refresh = self.session.as_ref().and_then(|session| session.refresh.next_deadline());
        let retained = self.retained.as_ref().and_then(Retained::next_deadline);
        let times = [self.fsm.next_timeout(), self.forgotten_at(), self.limits.restart_at(), refresh, retained];
        times.into_iter().flatten().min()
    }

    /// The connection that routes flow on.
    pub(super) fn session_on(&mut self, connection: ConnectionId) -> Option<&mut Session> {
        self.session.as_mut().filter(|session| session.connection == connection)
    }
}

fn new_fsm(settings: &NeighborSettings, router: &Settings, seed: u64) -> Fsm {
    let local_asn = settings.session.local_asn.unwrap_or(router.asn);
    let identity = Identity { local_asn, router_id: router.router_id };
    Fsm::new(identity, settings.asn.clone(), settings.passive, settings.session.clone(), seed)
}

impl DynamicNeighborSettings {
    /// The settings of a neighbor that dialled in from `address`.
    pub(super) fn of(&self, address: IpAddr) -> NeighborSettings {
        NeighborSettings { passive: true, ..NeighborSettings::new(address, self.asn.clone(), self.session.clone()) }
    }
}
