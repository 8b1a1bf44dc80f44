//! Update groups: neighbors that are told the same, in the same words, share one Adj-RIB-Out, and every UPDATE is written
//! once for all of them.
//!
//! A session begins as a group of its own, with everything there is to be told. A group that has nothing left to tell
//! joins another that has nothing left and tells the same. A neighbor that does not keep up, or asks for everything
//! again, leaves with a copy of what the group was told, and comes back when it has caught up.

use std::collections::BTreeMap;
use std::net::IpAddr;

use super::neighbor::NeighborId;
use super::room::Room;
use crate::rib::{AdjRibOut, NOTHING, SourceId};
use crate::types::{ConnectionId, Families};

/// The number of a group; never used twice.
pub(super) type GroupId = u32;

/// One group.
#[derive(Debug)]
pub(super) struct Group {
    pub(super) members: Vec<Member>,
    pub(super) out: AdjRibOut,
    /// Its only member is told so much at most. It stays alone.
    pub(super) room: Option<Room>,
}

/// One neighbor of a group.
#[derive(Clone, Debug)]
pub(super) struct Member {
    pub(super) neighbor: NeighborId,
    pub(super) connection: ConnectionId,
    /// What it announces itself, and is therefore not told.
    pub(super) source: SourceId,
    pub(super) address: IpAddr,
    /// How many of the destinations that the group was told are such.
    pub(super) own: usize,
}

/// Who of a group hears something.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Audience {
    /// Everybody but this one, or [`NOTHING`].
    pub(super) except: SourceId,
    /// This one alone, or [`NOTHING`].
    pub(super) only: SourceId,
    /// Nobody with this address: it would be told to be its own next hop (RFC 4271 §5.1.3).
    pub(super) not_at: Option<IpAddr>,
}

impl Audience {
    pub(super) const EVERYBODY: Self = Self { except: NOTHING, only: NOTHING, not_at: None };

    pub(super) fn hears(&self, member: &Member) -> bool {
        member.source != self.except
            && (self.only == NOTHING || self.only == member.source)
            && self.not_at != Some(member.address)
    }
}

impl Group {
    /// Whether anybody hears it.
    pub(super) fn has(&self, audience: Audience) -> bool {
        self.members.iter().any(|member| audience.hears(member))
    }

    /// What the group was told of so many destinations is this source's now.
    pub(super) fn count_own(&mut self, source: SourceId, by: isize) {
        if let Some(member) = self.members.iter_mut().find(|member| member.source == source) {
            member.own = member.own.saturating_add_signed(by);
        }
    }

    /// Makes those due that had to wait and have room now; `false`: there are none.
    pub(super) fn fill_room(&mut self) -> bool {
        let Self { room, out, .. } = self;
        room.as_mut().is_some_and(|room| room.fill(out))
    }

    /// How many prefixes a member was told.
    pub(super) fn advertised(&self, neighbor: NeighborId) -> usize {
        let own = self.members.iter().find(|member| member.neighbor == neighbor).map_or(0, |member| member.own);
        self.out.told.len().saturating_sub(own)
    }
}

/// All of them.
#[derive(Debug, Default)]
pub(super) struct Groups {
    all: BTreeMap<GroupId, Group>,
    created: GroupId,
}

impl Groups {
    /// A session begins.
    pub(super) fn begin(&mut self, member: Member, families: Families, room: Option<Room>) -> GroupId {
        self.insert(Group { members: vec![member], out: AdjRibOut::new(families), room })
    }

    fn insert(&mut self, group: Group) -> GroupId {
        self.created += 1;
        self.all.insert(self.created, group);
        self.created
    }

    pub(super) fn get(&self, id: GroupId) -> Option<&Group> {
        self.all.get(&id)
    }

    pub(super) fn get_mut(&mut self, id: GroupId) -> Option<&mut Group> {
        self.all.get_mut(&id)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (GroupId, &Group)> {
        self.all.iter().map(|(id, group)| (*id, group))
    }

    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Group> {
        self.all.values_mut()
    }

    /// A session is over.
    pub(super) fn leave(&mut self, id: GroupId, neighbor: NeighborId) -> Option<Member> {
        let group = self.all.get_mut(&id)?;
        let position = group.members.iter().position(|member| member.neighbor == neighbor)?;
        let member = group.members.remove(position);
        if group.members.is_empty() {
            self.all.remove(&id);
        }
        Some(member)
    }

    /// A neighbor goes its own way, knowing what its group was told.
    pub(super) fn split(&mut self, id: GroupId, neighbor: NeighborId) -> GroupId {
        let Some(group) = self.all.get(&id).filter(|group| group.members.len() > 1) else { return id };
        let out = group.out.clone();
        match self.leave(id, neighbor) {
            Some(member) => self.insert(Group { members: vec![member], out, room: None }),
            None => id,
        }
    }

    /// The members of one group become members of another that was told the same. Who they are.
    pub(super) fn merge(&mut self, from: GroupId, into: GroupId) -> Vec<NeighborId> {
        let Some(group) = self.all.remove(&from) else { return Vec::new() };
        let moved = group.members.iter().map(|member| member.neighbor).collect();
        if let Some(into) = self.all.get_mut(&into) {
            into.members.extend(group.members);
        }
        moved
    }

    /// Destinations `64 * index …` that may not be forgotten yet.
    pub(super) fn held(&self, index: u32) -> u64 {
        let held = |group: &Group| group.out.held(index) | group.room.as_ref().map_or(0, |room| room.held(index));
        self.all.values().fold(0, |all, group| all | held(group))
    }
}
