//! Our own static keys: the present one and, while it is replaced, the next.
//!
//! The paper knows no change of keys: whoever has another key is another peer. So both ends say beforehand what comes,
//! and every handshake is an ordinary one, by an old key or by a new one. Ours are told apart by MAC1, which is made
//! with the public key of whom a message is for.

use std::fmt;
use std::time::{Duration, Instant, SystemTime};

use super::{Device, Entry, Output, entry_mut};
use crate::peer::Identity;
use crate::settings::{NextPrivateKey, PeerSettings, PrivateKey, PublicKey, Settings};
use crate::table::PeerId;

/// A clock that is set is noticed after so long.
const LOOK_EVERY: Duration = Duration::from_secs(60);

#[derive(Debug)]
pub(super) struct Keys {
    private: PrivateKey,
    present: Identity,
    next: Option<(NextPrivateKey, Identity)>,
    /// What time it was last, and when that was.
    time: (Instant, SystemTime),
    /// What was told to the peers last.
    lead: PublicKey,
}

impl Keys {
    pub(super) fn new(settings: &Settings, time: (Instant, SystemTime)) -> Self {
        let next = |next: &NextPrivateKey| (next.clone(), Identity::new(&next.key));
        let mut keys = Self {
            private: settings.private_key.clone(),
            present: Identity::new(&settings.private_key),
            next: settings.next_private_key.as_ref().filter(|next| next.key != settings.private_key).map(next),
            time,
            lead: settings.private_key.public_key(),
        };
        keys.lead = keys.leading();
        keys
    }

    /// Whether the settings have other keys, or another time for the next.
    pub(super) fn differ(&self, settings: &Settings) -> bool {
        let next = self.next.as_ref().map(|(next, _)| next);
        self.private != settings.private_key || next != settings.next_private_key.as_ref()
    }

    pub(super) fn change(&mut self, now: Instant, settings: &Settings) {
        let (lead, (at, time)) = (self.lead, self.time);
        let time = time.checked_add(now.saturating_duration_since(at)).unwrap_or(time);
        *self = Self { lead, ..Self::new(settings, (now, time)) };
    }

    /// When to look at the clock next, which may be set meanwhile; absent: it does not matter what time it is.
    pub(super) fn look_at(&self) -> Option<Instant> {
        let (next, _) = self.next.as_ref()?;
        let (at, time) = self.time;
        let wait = next.from.duration_since(time).ok().filter(|wait| !wait.is_zero())?;
        Some(at + wait.min(LOOK_EVERY))
    }

    /// The key that a handshake message is made for.
    pub(super) fn meant(&self, datagram: &[u8]) -> Option<&Identity> {
        self.all().find(|identity| identity.is_meant(datagram))
    }

    /// Who claims to have sent an initiation that is made for our key `ours`.
    pub(super) fn initiator(&self, ours: PublicKey, datagram: &[u8]) -> Option<PublicKey> {
        self.identity(ours)?.initiator(datagram)
    }

    pub(super) fn identity(&self, ours: PublicKey) -> Option<&Identity> {
        self.all().find(|identity| identity.public_key() == ours)
    }

    /// The key that handshakes are begun with.
    pub(super) fn leading(&self) -> PublicKey {
        let due = self.next.as_ref().filter(|(next, _)| self.time.1 >= next.from);
        due.map_or(&self.present, |(_, identity)| identity).public_key()
    }

    /// Every pair of a key of ours and a key of the peer's, in the order that [`Peer`](crate::peer::Peer) wants.
    pub(super) fn pairs(&self, peer: &PeerSettings) -> Vec<(PublicKey, PublicKey)> {
        let next = peer.next_public_key.filter(|next| *next != peer.public_key);
        let theirs = || [Some(peer.public_key), next].into_iter().flatten();
        self.all().flat_map(|ours| theirs().map(|theirs| (ours.public_key(), theirs))).collect()
    }

    fn all(&self) -> impl Iterator<Item = &Identity> {
        [Some(&self.present), self.next.as_ref().map(|(_, identity)| identity)].into_iter().flatten()
    }
}

/// Why a peer was told nothing.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum RekeyError {
    /// No peer has this name or public key.
    NoSuchPeer,
    /// It is not known where the peer is: it must come to us.
    NoEndpoint,
}

impl fmt::Display for RekeyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoSuchPeer => "there is no such peer",
            Self::NoEndpoint => "it is not known where the peer is: only it can begin",
        })
    }
}

impl std::error::Error for RekeyError {}

/// A new session with a peer, at once.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Rekey {
    /// The old session is used until then.
    Rekey,
    /// The old session is gone, and what waited for one.
    Reset,
}

impl Device {
    /// A new session with a peer, by its name or public key.
    ///
    /// # Errors
    /// Nothing was done.
    pub fn rekey(&mut self, now: Instant, peer: &str, how: Rekey, out: &mut Output) -> Result<(), RekeyError> {
        let is_meant = |entry: &Entry| entry.settings.name == peer || entry.settings.public_key.to_string() == peer;
        let found = self.entries.iter().position(|entry| entry.as_ref().is_some_and(is_meant));
        let id = PeerId(found.ok_or(RekeyError::NoSuchPeer)? as u32);
        if entry_mut(&mut self.entries, id).is_none_or(|entry| entry.endpoint().is_none()) {
            return Err(RekeyError::NoEndpoint);
        }
        self.wake(now, id, out);
        if how == Rekey::Reset {
            self.replace(id);
        }
        if let Some(entry) = entry_mut(&mut self.entries, id) {
            entry.rekey(now, out);
        }
        self.visit(now, id, out);
        Ok(())
    }

    /// What time it is. When that of the next private key has come, every peer with a session gets one under that key;
    /// the old one is used meanwhile.
    pub fn time(&mut self, now: Instant, time: SystemTime, out: &mut Output) {
        self.keys.time = (now, time);
        self.lead(now, out);
    }

    /// Handshakes are begun with the key whose turn it is.
    pub(super) fn lead(&mut self, now: Instant, out: &mut Output) {
        let leading = self.keys.leading();
        if std::mem::replace(&mut self.keys.lead, leading) == leading {
            return;
        }
        tracing::info!(public_key = %leading, "handshakes are begun with another key of ours");
        for place in 0..self.entries.len() {
            let id = PeerId(place as u32);
            self.wake(now, id, out);
            if let Some(entry) = entry_mut(&mut self.entries, id) {
                entry.lead_with(now, leading, out);
            }
            self.visit(now, id, out);
        }
    }
}
