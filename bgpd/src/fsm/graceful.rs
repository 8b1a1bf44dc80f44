//! What both OPENs agree on for the time that a session is gone (RFC 4724, RFC 8538, RFC 9494), and how a session is
//! ended that knows of it.

use std::time::Duration;

use super::connection::{Connection, State};
use crate::settings::SessionSettings;
use crate::types::{Families, Family};
use crate::wire::{Capability, GracefulRestart, KeptFamily, LongLivedFamily, Notification, Open};

/// What an OPEN says of our own forwarding.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Preserved {
    /// R: we have restarted, and this neighbor knows us from before.
    pub restarted: bool,
    /// F: packets still take the ways of before.
    pub forwarding: bool,
}

/// What the neighbor asks for, of what this speaker does.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Graceful {
    /// Both said N: a NOTIFICATION keeps routes too, unless it is a Hard Reset (RFC 8538 §4).
    pub notification: bool,
    /// R: the neighbor has restarted.
    pub restarted: bool,
    /// How long it may take to come back.
    pub restart_time: Duration,
    /// Families whose routes are kept for it.
    pub families: Families,
    /// F: of these, where it still forwards by what was told before.
    pub forwarding: Families,
    /// The long-lived part by family; `None`: not offered by both.
    long_lived: [Option<LongLived>; 2],
    /// It knows what LLGR_STALE means, whatever we offer (RFC 9494 §4.3).
    pub takes_long_lived: bool,
}

/// The long-lived part of a family.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct LongLived {
    /// How long its routes are kept after the Restart Time: as it asks, and not longer than we offer ourselves.
    pub stale_time: Duration,
    /// F: it still forwards by what was told before.
    pub forwarding: bool,
}

impl Graceful {
    /// What the long-lived procedures do with a family, where both have them.
    pub fn long_lived(&self, family: Family) -> Option<LongLived> {
        self.long_lived[family as usize]
    }
}

/// Our capabilities of graceful restart.
pub(super) fn offer(session: &SessionSettings, families: Families, preserved: Preserved) -> Vec<Capability> {
    let Some(settings) = &session.graceful_restart else { return Vec::new() };
    let Preserved { restarted, forwarding } = preserved;
    let mut capabilities = vec![Capability::GracefulRestart(GracefulRestart {
        restarted,
        notification: true,
        restart_time: settings.restart_time,
        families: families.iter().map(|family| KeptFamily::new(family, forwarding)).collect(),
    })];
    if let Some(stale_time) = settings.long_lived_stale_time {
        let family = |family| LongLivedFamily::new(family, forwarding, stale_time);
        capabilities.push(Capability::LongLived(families.iter().map(family).collect()));
    }
    capabilities
}

/// What an OPEN agrees to, for the families of the session. Of several capabilities the last counts (RFC 5492 §4 leaves
/// it open).
pub(super) fn agree(session: &SessionSettings, open: &Open, families: Families) -> Option<Graceful> {
    let settings = session.graceful_restart.as_ref()?;
    let theirs = open.capabilities.iter().rev().find_map(|capability| match capability {
        Capability::GracefulRestart(restart) => Some(restart),
        _ => None,
    })?;
    let kept = theirs.families.iter().filter_map(|kept| Some((kept.family()?, kept.forwarding)));
    let of_session = kept.filter(|(family, _)| families.contains(*family));
    let mut long_lived = [None; 2];
    if let Some(longest) = settings.long_lived_stale_time {
        for (family, offered) in open.capabilities.iter().flat_map(long_lived_families) {
            long_lived[family as usize] =
                Some(LongLived { stale_time: offered.stale_time.min(longest), forwarding: offered.forwarding });
        }
    }
    Some(Graceful {
        notification: theirs.notification,
        restarted: theirs.restarted,
        restart_time: theirs.restart_time,
        families: of_session.clone().map(|(family, _)| family).collect(),
        forwarding: of_session.filter(|(_, forwarding)| *forwarding).map(|(family, _)| family).collect(),
        long_lived,
        takes_long_lived: open.capabilities.iter().any(|capability| matches!(capability, Capability::LongLived(_))),
    })
}

fn long_lived_families(capability: &Capability) -> impl Iterator<Item = (Family, &LongLivedFamily)> {
    let families = match capability {
        Capability::LongLived(families) => families.as_slice(),
        _ => &[],
    };
    families.iter().filter_map(|offered| Some((offered.family()?, offered)))
}

/// How sessions are ended.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Farewell {
    /// What was told is no longer true: a Hard Reset where N was agreed on (RFC 8538 §5).
    Hard(Notification),
    /// A NOTIFICATION like any other.
    Plain(Notification),
    /// What was told stays true: not a word to a neighbor that keeps routes for us, since without N a NOTIFICATION would
    /// make it forget them (RFC 4724 §4.2). Others get the NOTIFICATION.
    Silent(Notification),
}

impl Farewell {
    /// The reason.
    pub(super) fn notification(&self) -> &Notification {
        match self {
            Self::Hard(notification) | Self::Plain(notification) | Self::Silent(notification) => notification,
        }
    }

    /// What is sent on a connection.
    pub(super) fn on(&self, connection: &Connection) -> Option<Notification> {
        let graceful = match &connection.state {
            State::Established { negotiated, .. } => negotiated.graceful.as_ref(),
            _ => None,
        };
        match (self, graceful) {
            (Self::Silent(_), Some(_)) => None,
            (Self::Hard(notification), Some(graceful)) if graceful.notification => {
                Some(notification.clone().hard_reset())
            }
            _ => Some(self.notification().clone()),
        }
    }
}

impl From<Notification> for Farewell {
    fn from(notification: Notification) -> Self {
        Self::Plain(notification)
    }
}
