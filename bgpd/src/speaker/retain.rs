//! Routes of a neighbor that is away: kept as stale, until it has told all of them again or has had its time
//! (RFC 4724 §4.2, RFC 8538 §4, RFC 9494 §4.2).

use std::time::{Duration, Instant};

use super::Speaker;
use super::neighbor::{Neighbor, NeighborId, Session};
use super::sweep::{Sweep, Work};
use crate::fsm::{DownReason, Graceful, Negotiated};
use crate::rib::{Source, SourceId};
use crate::settings::GracefulRestartSettings;
use crate::types::{Families, Family};

/// What a session has left, from when it was lost until all of it is told again or over.
#[derive(Debug)]
pub(super) struct Retained {
    pub(super) source: SourceId,
    stale: [Option<Stale>; 2],
}

/// The stale paths of a family.
#[derive(Clone, Copy, Debug)]
struct Stale {
    /// The neighbor's Restart Time ends; `None`: it is back.
    back_by: Option<Instant>,
    /// They are kept no longer than this.
    until: Instant,
    /// How long they are kept after that as the last resort; zero: not at all.
    long_lived_time: Duration,
    /// That time has begun.
    is_long_lived: bool,
}

impl Stale {
    fn new(now: Instant, settings: &GracefulRestartSettings, agreed: &Graceful, family: Family) -> Self {
        let long_lived_time = agreed.long_lived(family).map_or(Duration::ZERO, |long_lived| long_lived.stale_time);
        Self {
            back_by: Some(now + agreed.restart_time),
            until: now + settings.stale_time,
            long_lived_time,
            is_long_lived: false,
        }
    }

    fn deadline(&self) -> Instant {
        self.back_by.map_or(self.until, |back_by| back_by.min(self.until))
    }

    /// What follows when the deadline is reached; `None`: they go. That a neighbor is back and does not come to the end
    /// of what it tells is no reason to keep for long what it has not told.
    fn next(self, now: Instant) -> Option<Self> {
        let goes_on = self.back_by.is_some() && !self.long_lived_time.is_zero();
        goes_on.then(|| Self { back_by: None, until: now + self.long_lived_time, is_long_lived: true, ..self })
    }

    /// Whether a session that is there again lets them stay: it says that the ways of before are still used.
    fn survives(&self, agreed: Option<&Graceful>, family: Family) -> bool {
        agreed.is_some_and(|agreed| match self.is_long_lived {
            false => agreed.forwarding.contains(family), // RFC 4724 §4.2
            true => agreed.long_lived(family).is_some_and(|long_lived| long_lived.forwarding), // RFC 9494 §4.2
        })
    }
}

impl Retained {
    /// When something is over.
    pub(super) fn next_deadline(&self) -> Option<Instant> {
        self.stale.iter().flatten().map(Stale::deadline).min()
    }

    /// When all is over, if the neighbor does not come back.
    pub(super) fn ends_at(&self) -> Option<Instant> {
        let end =
            |stale: &Stale| stale.deadline() + if stale.is_long_lived { Duration::ZERO } else { stale.long_lived_time };
        self.stale.iter().flatten().map(end).max()
    }

    fn families(&self, which: impl Fn(Family, &Stale) -> bool) -> Families {
        let is_it = |family: &Family| self.stale[*family as usize].as_ref().is_some_and(|stale| which(*family, stale));
        Family::ALL.into_iter().filter(is_it).collect()
    }
}

/// Families whose paths outlive a session that has ended so.
fn outliving(negotiated: &Negotiated, reason: &DownReason) -> Families {
    let Some(agreed) = &negotiated.graceful else { return Families::default() };
    let keeps = match reason {
        DownReason::Closed | DownReason::Left(_) | DownReason::Replaced => true,
        // RFC 8538 §4
        DownReason::Sent(notification) | DownReason::Received(notification) => {
            agreed.notification && !notification.is_hard_reset()
        }
    };
    if keeps { agreed.families } else { Families::default() }
}

impl Speaker {
    /// A session has ended: its paths stay for a while, or go.
    pub(super) fn leave(&mut self, id: NeighborId, session: &Session, reason: &DownReason) {
        self.collecting = Some(0);
        let source = session.source;
        let Some(neighbor) = self.neighbors.get_mut(id) else { return };
        let settings = neighbor.settings.session.graceful_restart.as_ref();
        let kept = outliving(&session.negotiated, reason);
        let (Some(settings), Some(agreed), false) = (settings, &session.negotiated.graceful, kept.is_empty()) else {
            neighbor.retained = None;
            return self.flush(source);
        };
        let before = neighbor.retained.take();
        let stale = Family::ALL.map(|family| {
            let long_lived = before.as_ref().and_then(|before| before.stale[family as usize]);
            // RFC 9494 §4.2: what is long-lived does not begin anew.
            let goes_on = long_lived.filter(|stale| stale.is_long_lived);
            goes_on.or_else(|| kept.contains(family).then(|| Stale::new(self.now, settings, agreed, family)))
        });
        let retained = Retained { source, stale };
        let long_lived = retained.families(|_, stale| stale.is_long_lived);
        neighbor.retained = Some(retained);
        self.sweeps.retain(|sweep| !sweep.is_of_stale(source));
        self.rib.source_mut(source).lose();
        self.sweep(Sweep::of(source, Work::Doomed));
        self.expire(source, Family::ALL.into_iter().filter(|family| !kept.contains(*family)).collect());
        self.make_long_lived(source, long_lived);
        self.judge_dead_tunnels(source);
    }

    /// The source of a new session: that of the last one, where its paths still mean the same.
    pub(super) fn resume(&mut self, id: NeighborId, session: Source, agreed: Option<&Graceful>) -> SourceId {
        let Some(retained) = self.neighbors.get_mut(id).and_then(|neighbor| neighbor.retained.as_mut()) else {
            return self.rib.add_source(session);
        };
        let source = retained.source;
        if !self.rib.source_mut(source).resume(&session) {
            self.forget(id);
            return self.rib.add_source(session);
        }
        let over = retained.families(|family, stale| !stale.survives(agreed, family));
        for stale in retained.stale.iter_mut().flatten() {
            stale.back_by = None;
        }
        self.end_stale(id, over);
        self.judge_dead_tunnels(source);
        source
    }

    /// The neighbor has told all its routes of a family (RFC 4724 §4.2).
    pub(super) fn end_of_rib(&mut self, id: NeighborId, family: Family) {
        self.told_all(id, family);
        self.end_stale(id, Families::from_iter([family]));
    }

    /// What is stale of these families goes.
    fn end_stale(&mut self, id: NeighborId, families: Families) {
        let Some(neighbor) = self.neighbors.get_mut(id) else { return };
        let Some(retained) = &mut neighbor.retained else { return };
        let source = retained.source;
        families.iter().for_each(|family| retained.stale[family as usize] = None);
        let is_over = retained.stale.iter().all(Option::is_none);
        if is_over {
            neighbor.retained = None;
        }
        self.expire(source, families);
        if is_over && self.rib.source(source).waits {
            self.flush(source); // RFC 4724 §4.2: the neighbor has not come back in time
        }
    }

    /// What is kept for a neighbor goes at once: it is another one, or is not wanted any more.
    pub(super) fn forget(&mut self, id: NeighborId) {
        let Some(neighbor) = self.neighbors.get_mut(id) else { return };
        let Some(retained) = neighbor.retained.take() else { return };
        match &neighbor.session {
            Some(session) if session.source == retained.source => self.expire(retained.source, Families::ALL),
            _ => self.flush(retained.source),
        }
    }

    /// Times that are over.
    pub(super) fn age_retained(&mut self, id: NeighborId) {
        let now = self.now;
        let Some(retained) = self.neighbors.get_mut(id).and_then(|neighbor| neighbor.retained.as_mut()) else { return };
        let due = retained.families(|_, stale| stale.deadline() <= now);
        let mut over = Families::default();
        let mut long_lived = Families::default();
        for family in due.iter() {
            let stale = &mut retained.stale[family as usize];
            *stale = stale.and_then(|stale| stale.next(now));
            if stale.is_some() { long_lived.insert(family) } else { over.insert(family) }
        }
        let source = retained.source;
        self.make_long_lived(source, long_lived);
        if !over.is_empty() {
            self.end_stale(id, over);
        }
    }

    /// All that a source has is not used any more, and goes.
    fn flush(&mut self, source: SourceId) {
        self.rib.source_mut(source).gone = true;
        self.sweeps.push_back(Sweep::of(source, Work::Flush));
        self.collecting = Some(0);
    }

    fn expire(&mut self, source: SourceId, families: Families) {
        if families.is_empty() {
            return;
        }
        families.iter().for_each(|family| self.rib.source_mut(source).long_lived.remove(family));
        self.sweep(Sweep::of(source, Work::Expire(families)));
        self.collecting = Some(0);
    }

    fn make_long_lived(&mut self, source: SourceId, families: Families) {
        if !families.is_empty() {
            families.iter().for_each(|family| self.rib.source_mut(source).long_lived.insert(family));
            self.sweep(Sweep::of(source, Work::LongLived(families)));
        }
    }

    /// Whether a neighbor is away decides what a dead tunnel means for its paths.
    fn judge_dead_tunnels(&mut self, source: SourceId) {
        for next_hop in self.rib.dead_next_hops_of(source) {
            self.sweep(Sweep::next_hop(source, next_hop, false));
        }
    }
}

impl Neighbor {
    /// Where its paths are: of its session, or of the last one.
    pub(super) fn source(&self) -> Option<SourceId> {
        let retained = self.retained.as_ref().map(|retained| retained.source);
        self.session.as_ref().map(|session| session.source).or(retained)
    }

    /// For people: what is kept for it, and how long.
    pub(super) fn retained_note(&self, now: Instant) -> Option<String> {
        let retained = self.retained.as_ref()?;
        let left = retained.next_deadline()?.saturating_duration_since(now).as_secs();
        Some(match (&self.session, retained.stale.iter().flatten().any(|stale| stale.is_long_lived)) {
            (Some(_), _) => format!("it has not told all its routes again: the others are kept for {left} s"),
            (None, false) => format!("its routes are kept for {left} s"),
            (None, true) => format!("its routes are kept as the last resort for {left} s"),
        })
    }
}
