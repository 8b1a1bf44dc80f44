//! New sessions that are not due by themselves: a key has its turn, or an operator asks.

use std::time::Instant;

use super::{Entry, Output};
use crate::peer::Sessions;
use crate::settings::PublicKey;
use crate::view::Event;

impl Entry {
    /// Handshakes are begun with this key of ours from now on, the first at once where there is a session to renew.
    pub(in crate::device) fn lead_with(&mut self, now: Instant, ours: PublicKey, out: &mut Output) {
        if self.peer.lead_with(ours) && self.endpoint.is_some() && (self.peer.has_session() || self.keeps_session()) {
            self.rekey(now, out);
        }
    }

    /// Sessions under other keys than before; those that are left go on.
    pub(in crate::device) fn change_pairs(&mut self, now: Instant, pairs: Vec<Sessions>, ours: PublicKey) {
        self.peer.change(now, pairs, ours, self.settings.public_key);
        if !self.peer.has_session() {
            self.begin_anew();
        }
    }

    /// A new session; the old one is used until then.
    pub(in crate::device) fn rekey(&mut self, now: Instant, out: &mut Output) {
        self.initiate(now, true, &mut out.datagrams);
    }

    /// Tells of the static keys in use, where others were before.
    pub(in crate::device) fn tell_keys(&mut self, events: &mut Vec<Event>) {
        let Some(keys) = self.peer.keys() else { return };
        if self.told_keys.replace(keys).is_some_and(|before| before != keys) {
            events.push(Event::Keys(self.settings.public_key, keys));
        }
    }

    /// In words, where a rotation leaves a choice.
    pub(super) fn keys_in_use(&self) -> Option<String> {
        let (ours, theirs) = self.peer.keys()?;
        let ours = self.peer.has_choice_of_ours().then(|| format!("our public key {ours}"));
        let theirs = self.settings.next_public_key.map(|_| format!("its public key {theirs}"));
        let keys: Vec<String> = ours.into_iter().chain(theirs).collect();
        (!keys.is_empty()).then(|| format!("in use: {}", keys.join(", ")))
    }
}
