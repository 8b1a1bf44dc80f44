//! `max-prefixes`: how many prefixes a neighbor may send, and what follows when there are more (RFC 4271 §6.7).

use std::fmt;
use std::time::{Duration, Instant};

use super::neighbor::{Neighbor, NeighborId};
use super::{Event, Speaker};
use crate::rib::SourceId;
use crate::settings::{LimitAction, PrefixLimit};
use crate::types::Family;

/// What the limits have made of a neighbor.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Limits {
    /// It sent more than allowed, and is down.
    pub(super) over: Option<OverLimit>,
    /// What people have been told, by family.
    told: [Level; 2],
}

/// Too many prefixes, and for how long that keeps a neighbor down.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct OverLimit {
    pub(super) family: Family,
    pub(super) limit: u32,
    /// `None`: until it is reset.
    restart_after: Option<Duration>,
    restart_at: Option<Instant>,
}

/// How close to its limit a family is.
#[derive(Clone, Copy, Debug, Default, Eq, Ord, PartialEq, PartialOrd)]
enum Level {
    #[default]
    Below,
    Warned,
    Over,
}

impl Limits {
    /// When an [`OverLimit`] ends by itself.
    pub(super) fn restart_at(&self) -> Option<Instant> {
        self.over?.restart_at
    }
}

impl fmt::Display for OverLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "sent more than {} {} prefixes: down until reset", self.limit, self.family)?;
        match self.restart_after {
            Some(time) => write!(f, ", or for {} s", time.as_secs()),
            None => Ok(()),
        }
    }
}

impl PrefixLimit {
    /// Prefixes from which on people are warned.
    fn warning_level(&self) -> usize {
        (u64::from(self.limit) * u64::from(self.warning)).div_ceil(100) as usize // at most the limit
    }

    /// What there is to say of so many prefixes. `discarded`: there were more.
    fn level(&self, prefixes: usize, discarded: bool, before: Level) -> Level {
        let warning = self.warning_level();
        // A count that goes up and down around the level is told of once.
        let warning = if before >= Level::Warned { warning - warning / 10 } else { warning };
        match prefixes {
            _ if discarded || prefixes > self.limit as usize => Level::Over,
            _ if prefixes >= warning && prefixes > 0 => Level::Warned,
            _ => Level::Below,
        }
    }

    /// Beyond so many, prefixes are not taken.
    pub(super) fn most(&self) -> Option<u32> {
        (self.action == LimitAction::Discard).then_some(self.limit)
    }
}

impl Speaker {
    /// Holds what a neighbor has sent against its limit.
    pub(super) fn enforce_limit(&mut self, id: NeighborId, source: SourceId) {
        let Some(neighbor) = self.neighbors.get_mut(id) else { return };
        let Some(limit) = neighbor.settings.session.max_prefixes else { return };
        self.rib.take_in(); // what has arrived counts
        let source = self.rib.source(source);
        let mut texts = Vec::new();
        for family in Family::ALL {
            let (prefixes, discarded) = (source.prefixes_of(family), source.discarded[family as usize] > 0);
            let told = &mut neighbor.limits.told[family as usize];
            let level = limit.level(prefixes, discarded, *told);
            if level > *told {
                texts.push(text(&limit, family, prefixes, level));
            }
            *told = level;
            if level == Level::Over && limit.action == LimitAction::Cease && neighbor.limits.over.is_none() {
                let restart_at = limit.restart_after.map(|time| self.now + time);
                let PrefixLimit { limit, restart_after, .. } = limit;
                neighbor.limits.over = Some(OverLimit { family, limit, restart_after, restart_at });
            }
        }
        let (name, over) = (neighbor.name.clone(), neighbor.limits.over.is_some());
        texts.into_iter().for_each(|text| self.tell(Some(Event::Limit { neighbor: name.clone(), text })));
        if over {
            self.reconcile(id);
        }
    }

    /// Lets a neighbor come back that was kept away for a time.
    pub(super) fn lift_limit(&mut self, id: NeighborId) {
        let Some(neighbor) = self.neighbors.get_mut(id) else { return };
        if neighbor.limits.restart_at().is_some_and(|at| at <= self.now) {
            neighbor.limits = Limits::default();
            self.reconcile(id);
        }
    }

    /// What there is to say of a session's prefixes, for people.
    pub(super) fn limit_notes(&self, neighbor: &Neighbor, source: SourceId, notes: &mut Vec<String>) {
        let Some(limit) = neighbor.settings.session.max_prefixes else { return };
        for family in Family::ALL {
            let level = neighbor.limits.told[family as usize];
            if level > Level::Below {
                notes.push(text(&limit, family, self.rib.source(source).prefixes_of(family), level));
            }
        }
    }
}

fn text(limit: &PrefixLimit, family: Family, prefixes: usize, level: Level) -> String {
    let most = limit.limit;
    match (level, limit.action) {
        (Level::Below | Level::Warned, _) => format!("sent {prefixes} of at most {most} {family} prefixes"),
        (Level::Over, LimitAction::Cease | LimitAction::Warn) => {
            format!("sent {prefixes} {family} prefixes, more than {most}")
        }
        (Level::Over, LimitAction::Discard) => {
            format!("sent more than {most} {family} prefixes: others are discarded until it is refreshed")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_warning_is_due_from_its_level_on_and_again_only_after_a_tenth_less() {
        let limit = PrefixLimit { warning: 80, ..PrefixLimit::new(100) };
        let level = |prefixes, before| limit.level(prefixes, false, before);
        assert_eq!((level(79, Level::Below), level(80, Level::Below)), (Level::Below, Level::Warned));
        assert_eq!((level(72, Level::Warned), level(71, Level::Warned)), (Level::Warned, Level::Below));
        assert_eq!((level(100, Level::Warned), level(101, Level::Warned)), (Level::Warned, Level::Over));
        assert_eq!(limit.level(100, true, Level::Below), Level::Over);
    }

    #[test]
    fn small_limits_do_not_warn_of_nothing() {
        let limit = PrefixLimit { warning: 1, ..PrefixLimit::new(1) };
        assert_eq!(limit.level(0, false, Level::Warned), Level::Below);
        assert_eq!(limit.level(1, false, Level::Below), Level::Warned);
    }
}
