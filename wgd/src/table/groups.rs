//! Groups, each held once: prefixes with the same choice share it, and a peer that dies is a change of groups, not of
//! prefixes.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::Group;
use crate::settings::PublicKey;

/// A peer inside the device.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub(crate) struct PeerId(pub(crate) u32);

/// A group inside the table.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct GroupId(u32);

/// All groups in use.
#[derive(Debug, Default)]
pub(super) struct Groups {
    slots: Vec<Option<Shared>>,
    free: Vec<u32>,
    known: HashMap<Arc<Group>, GroupId>,
    ids: HashMap<PublicKey, PeerId>,
    down: HashSet<PeerId>,
}

#[derive(Debug)]
struct Shared {
    wanted: Arc<Group>,
    prefixes: u64,
    sends: bool,
    send: Vec<PeerId>,
    backup: Vec<PeerId>,
    /// Those that carry now: flows go there that cannot go to their own of `send`.
    fallback: Vec<PeerId>,
    /// Those of `send` that carry nothing now.
    down: Vec<PeerId>,
    accept: Vec<PeerId>,
}

impl Groups {
    /// The group with this choice, for one prefix more.
    pub(super) fn intern(&mut self, group: Group) -> GroupId {
        if let Some(id) = self.known.get(&group).copied() {
            if let Some(shared) = self.slot(id) {
                shared.prefixes += 1;
            }
            return id;
        }
        let wanted = Arc::new(group);
        let shared = self.resolve(Arc::clone(&wanted), 1);
        let id = match self.free.pop() {
            Some(free) => GroupId(free),
            None => {
                self.slots.push(None);
                GroupId(self.slots.len() as u32 - 1)
            }
        };
        self.slots[id.0 as usize] = Some(shared);
        self.known.insert(wanted, id);
        id
    }

    /// One prefix less.
    pub(super) fn release(&mut self, id: GroupId) {
        let Some(shared) = self.slot(id) else { return };
        shared.prefixes -= 1;
        if shared.prefixes == 0 {
            let wanted = Arc::clone(&shared.wanted);
            self.known.remove(&wanted);
            self.slots[id.0 as usize] = None;
            self.free.push(id.0);
        }
    }

    /// Whether anyone is to be sent to; a group without only admits sources.
    pub(super) fn sends(&self, id: GroupId) -> bool {
        self.get(id).is_some_and(|shared| shared.sends)
    }

    /// The peer of a flow. Flows of live peers stay where they are when another dies. When all are down the first
    /// still gets the packet: its queue waits for the handshake.
    pub(super) fn choose(&self, id: GroupId, flow: impl FnOnce() -> u64) -> Option<PeerId> {
        let shared = self.get(id)?;
        if let [only] = shared.fallback.as_slice() {
            return Some(*only);
        }
        let flow = flow();
        let own = *pick(&shared.send, flow)?;
        if shared.down.contains(&own) { pick(&shared.fallback, flow >> 32).copied() } else { Some(own) }
    }

    /// Whether packets may come from this peer.
    pub(super) fn accepts(&self, id: GroupId, peer: PeerId) -> bool {
        self.accepted(id).contains(&peer)
    }

    /// Whether whoever another group accepts packets from is one of those of this one.
    pub(super) fn accepts_all_of(&self, id: GroupId, other: GroupId) -> bool {
        let wanted = |id| self.get(id).map_or(&[][..], |shared| &shared.wanted.accept);
        wanted(other).iter().all(|peer| wanted(id).contains(peer))
    }

    /// Whom packets may come from.
    pub(super) fn accepted(&self, id: GroupId) -> &[PeerId] {
        self.get(id).map_or(&[], |shared| &shared.accept)
    }

    /// Every peer there is.
    pub(super) fn set_peers(&mut self, ids: HashMap<PublicKey, PeerId>) {
        let present: HashSet<_> = ids.values().copied().collect();
        self.down.retain(|peer| present.contains(peer));
        self.ids = ids;
        self.resolve_all(|_| true);
    }

    /// A peer died or came back.
    pub(super) fn set_down(&mut self, peer: PeerId, down: bool) {
        let changed = if down { self.down.insert(peer) } else { self.down.remove(&peer) };
        if changed {
            self.resolve_all(|shared| shared.send.contains(&peer) || shared.backup.contains(&peer));
        }
    }

    #[cfg(test)]
    pub(super) fn in_use(&self) -> usize {
        debug_assert_eq!(self.known.len(), self.slots.len() - self.free.len());
        self.known.len()
    }

    fn get(&self, id: GroupId) -> Option<&Shared> {
        self.slots.get(id.0 as usize)?.as_ref()
    }

    fn slot(&mut self, id: GroupId) -> Option<&mut Shared> {
        self.slots.get_mut(id.0 as usize)?.as_mut()
    }

    fn resolve_all(&mut self, concerns: impl Fn(&Shared) -> bool) {
        for index in 0..self.slots.len() {
            if let Some(shared) = self.slots[index].as_ref().filter(|shared| concerns(shared)) {
                self.slots[index] = Some(self.resolve(Arc::clone(&shared.wanted), shared.prefixes));
            }
        }
    }

    /// Keys to peers that exist, and those to where packets can go now.
    fn resolve(&self, wanted: Arc<Group>, prefixes: u64) -> Shared {
        let known =
            |keys: &[PublicKey]| -> Vec<PeerId> { keys.iter().filter_map(|key| self.ids.get(key).copied()).collect() };
        let (send, backup, accept) = (known(&wanted.send), known(&wanted.backup), known(&wanted.accept));
        let is_down = |peer: &PeerId| self.down.contains(peer);
        let (down, live): (Vec<_>, Vec<_>) = send.iter().copied().partition(is_down);
        let stands_by = || backup.iter().copied().find(|peer| !is_down(peer));
        let fallback = match live.is_empty() {
            false => live,
            true => stands_by().or(send.first().copied()).or(backup.first().copied()).into_iter().collect(),
        };
        let sends = !wanted.send.is_empty() || !wanted.backup.is_empty();
        Shared { wanted, prefixes, sends, send, backup, fallback, down, accept }
    }
}

fn pick(peers: &[PeerId], flow: u64) -> Option<&PeerId> {
    let index = flow.checked_rem(peers.len() as u64)?;
    peers.get(index as usize)
}
