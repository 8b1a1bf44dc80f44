//! `max-prefixes` and `max-prefixes-out`: how many prefixes a neighbor may send and is told, and what follows when there
//! are more (RFC 4271 §6.7).

use std::fmt;
use std::time::{Duration, Instant};

use super::neighbor::{Neighbor, NeighborId, Session};
use super::room::Room;
use super::session::{ADMINISTRATIVE_SHUTDOWN, CEASE};
use super::{Event, Speaker};
use crate::settings::{LimitAction, PrefixLimit, SessionSettings};
use crate::types::Family;
use crate::wire::Notification;

/// RFC 4486 §3.
const MAXIMUM_PREFIXES: u8 = 1;

/// What the limits have made of a neighbor.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Limits {
    /// There were more than allowed, and it is down.
    pub(super) over: Option<OverLimit>,
    /// What people have been told, by direction and family.
    levels: [[Level; 2]; 2],
}

/// Which of the limits.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Direction {
    In,
    Out,
}

/// Too many prefixes, and for how long that keeps a neighbor down.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct OverLimit {
    direction: Direction,
    family: Family,
    limit: u32,
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

impl Direction {
    fn limit(self, session: &SessionSettings) -> Option<PrefixLimit> {
        match self {
            Self::In => session.max_prefixes,
            Self::Out => session.max_prefixes_out,
        }
    }
}

impl OverLimit {
    /// What the neighbor is told.
    pub(super) fn notification(&self) -> Notification {
        match self.direction {
            Direction::In => {
                // RFC 4486 §4: the data says which family, and how many were allowed.
                let (afi, safi) = self.family.afi_safi();
                let [high, low] = afi.to_be_bytes();
                let data = [high, low, safi].into_iter().chain(self.limit.to_be_bytes());
                Notification { data: data.collect(), ..Notification::new(CEASE, MAXIMUM_PREFIXES) }
            }
            // The neighbor has sent nothing that it should not.
            Direction::Out => {
                Notification::cease_with_message(ADMINISTRATIVE_SHUTDOWN, "too many prefixes to announce")
            }
        }
    }
}

impl fmt::Display for OverLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = match self.direction {
            Direction::In => "sent",
            Direction::Out => "was to be told",
        };
        write!(f, "{what} more than {} {} prefixes: down until reset", self.limit, self.family)?;
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

    /// What there is to say of so many prefixes. `more`: there were others.
    fn level(&self, prefixes: usize, more: bool, before: Level) -> Level {
        let warning = self.warning_level();
        // A count that goes up and down around the level is told of once.
        let warning = if before >= Level::Warned { warning - warning / 10 } else { warning };
        match prefixes {
            _ if more || prefixes > self.limit as usize => Level::Over,
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
    /// Holds what a neighbor has sent, or was told, against its limit.
    pub(super) fn enforce_limit(&mut self, id: NeighborId, direction: Direction) {
        let Some(neighbor) = self.neighbors.get(id) else { return };
        let Some(limit) = direction.limit(&neighbor.settings.session) else { return };
        let Some(found) = neighbor.session.as_ref().map(|session| self.prefixes(session, direction)) else { return };
        let Some(neighbor) = self.neighbors.get_mut(id) else { return };
        let mut texts = Vec::new();
        for (family, (prefixes, more)) in Family::ALL.into_iter().zip(found) {
            let before = &mut neighbor.limits.levels[direction as usize][family as usize];
            let level = limit.level(prefixes, more, *before);
            if level > *before {
                texts.push(text(direction, &limit, family, prefixes, level));
            }
            *before = level;
            if level == Level::Over && limit.action == LimitAction::Cease && neighbor.limits.over.is_none() {
                let restart_at = limit.restart_after.map(|time| self.now + time);
                let PrefixLimit { limit, restart_after, .. } = limit;
                neighbor.limits.over = Some(OverLimit { direction, family, limit, restart_after, restart_at });
            }
        }
        let over = neighbor.limits.over.is_some();
        if !texts.is_empty() {
            let name = neighbor.name.clone();
            texts.into_iter().for_each(|text| self.tell(Some(Event::Limit { neighbor: name.clone(), text })));
        }
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

    /// By family: how many, and whether there were others.
    fn prefixes(&self, session: &Session, direction: Direction) -> [(usize, bool); 2] {
        match direction {
            Direction::In => {
                let source = self.rib.source(session.source);
                Family::ALL.map(|family| (source.fresh_prefixes_of(family), source.discarded[family as usize] > 0))
            }
            Direction::Out => {
                let room = self.groups.get(session.group).and_then(|group| group.room.as_ref());
                room.map_or([(0, false); 2], Room::state)
            }
        }
    }

    /// What there is to say of a session's prefixes, for people.
    pub(super) fn limit_notes(&self, neighbor: &Neighbor, session: &Session, notes: &mut Vec<String>) {
        for direction in [Direction::In, Direction::Out] {
            let Some(limit) = direction.limit(&neighbor.settings.session) else { continue };
            for (family, (prefixes, more)) in Family::ALL.into_iter().zip(self.prefixes(session, direction)) {
                let before = neighbor.limits.levels[direction as usize][family as usize];
                let level = limit.level(prefixes, more, before);
                if level > Level::Below {
                    notes.push(text(direction, &limit, family, prefixes, level));
                }
            }
        }
    }
}

fn text(direction: Direction, limit: &PrefixLimit, family: Family, prefixes: usize, level: Level) -> String {
    let most = limit.limit;
    let what = match direction {
        Direction::In => "sent",
        Direction::Out => "was told",
    };
    match (level, limit.action, direction) {
        (Level::Below | Level::Warned, ..) => format!("{what} {prefixes} of at most {most} {family} prefixes"),
        (Level::Over, LimitAction::Discard, Direction::In) => {
            format!("sent more than {most} {family} prefixes: others are discarded until it is refreshed")
        }
        (Level::Over, LimitAction::Discard, Direction::Out) => {
            format!("was told {prefixes} {family} prefixes: others wait until there is room")
        }
        (Level::Over, LimitAction::Cease, Direction::Out) => {
            format!("was to be told more than {most} {family} prefixes")
        }
        (Level::Over, LimitAction::Cease | LimitAction::Warn, _) => {
            format!("{what} {prefixes} {family} prefixes, more than {most}")
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
