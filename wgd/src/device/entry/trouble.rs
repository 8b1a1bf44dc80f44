//! Why nothing comes of a peer, as far as it can be known here: from what arrives, and from what does not.

use std::mem::{Discriminant, discriminant};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use super::{Entry, elapsed};
use crate::drops::Reason;
use crate::fault::{Fault, KEPT, Seen, Silence};
use crate::liveness::SUSPECT_AFTER;

/// How long an initiation may be unanswered before a word is said of it, and before it is told in the log.
const SILENT_AFTER: Duration = Duration::from_secs(5);
const TELL_AFTER: Duration = Duration::from_secs(15);

/// What is kept of a peer that is not heard.
#[derive(Debug, Default)]
pub(super) struct Trouble {
    fault: Option<Seen>,
    /// What comes from where the peer is or should be, and is not by its key.
    strange: Option<Seen>,
    /// Since the peer was heard last: how many of its initiations were answered, and the last of them.
    answers: u32,
    last_answer: Option<(Instant, SocketAddr)>,
    /// What was told in the log of its silence, whatever the address: that turns with each look-up, and with each NAT.
    told: Option<Discriminant<Silence>>,
}

impl Trouble {
    /// The peer was heard. The faults stay, for the minute within which they are not told again.
    pub(super) fn end(&mut self) {
        (self.answers, self.last_answer, self.told) = (0, None, None);
    }
}

impl Entry {
    /// An initiation of the peer's, of so many octets, was answered.
    pub(in crate::device) fn answered(&mut self, now: Instant, from: SocketAddr, octets: usize) {
        self.received.count(octets);
        self.trouble.answers = self.trouble.answers.saturating_add(1);
        self.trouble.last_answer = Some((now, from));
    }

    /// A handshake message of the peer's came to nothing.
    pub(in crate::device) fn refuse(&mut self, now: Instant, from: SocketAddr, reason: Reason) {
        self.drops.count(reason);
        let fault = match reason {
            Reason::PresharedKey => Fault::PresharedKey,
            Reason::Replay => Fault::OldTimestamp,
            _ => return,
        };
        if !self.is_heard(now) {
            Seen::keep(&mut self.trouble.fault, now, from, fault, Some(&self.settings.name));
        }
    }

    /// Tells the log why nothing comes of the peer, once until it is heard or the reason is another.
    pub(in crate::device) fn complain(&mut self, now: Instant) {
        if let Some(silence) = self.untold(now) {
            tracing::warn!(peer = self.settings.name, reason = %silence, "no tunnel to the peer");
        }
    }

    /// When there may be something to tell.
    pub(super) fn complaints_due(&self) -> impl Iterator<Item = Instant> {
        let unconfirmed = self.liveness.heard().filter(|_| self.trouble.answers > 1).map(|heard| heard + SUSPECT_AFTER);
        let unanswered = self.asking.map(|since| since + TELL_AFTER);
        unconfirmed.into_iter().chain(unanswered)
    }

    fn untold(&mut self, now: Instant) -> Option<Silence> {
        let silence = self.silence(now)?;
        let is_due = match silence {
            Silence::Unanswered(_) => self.asking.is_some_and(|since| elapsed(now, since) >= TELL_AFTER),
            Silence::Unconfirmed(_) => true,
            // It may be meant so; and who looks names up tells of those that are not found
            Silence::NoEndpoint | Silence::NoAddress => false,
        };
        let kind = discriminant(&silence);
        (is_due && self.trouble.told.replace(kind) != Some(kind)).then_some(silence)
    }

    /// A handshake message that is not by the peer's key came from there.
    pub(in crate::device) fn suspect(&mut self, now: Instant, from: SocketAddr, fault: Fault) {
        Seen::keep(&mut self.trouble.strange, now, from, fault, Some(&self.settings.name));
    }

    /// Whoever was strange may be known now.
    pub(in crate::device) fn trust_again(&mut self) {
        self.trouble.strange = None;
    }

    /// What is known of why nothing comes of the peer.
    pub(in crate::device) fn note(&self, now: Instant) -> Option<String> {
        if self.is_heard(now) {
            return None;
        }
        let since = |seen: &&Seen| self.liveness.heard().is_none_or(|heard| seen.at > heard) && !seen.is_old(now);
        let fault = [&self.trouble.fault, &self.trouble.strange].into_iter().flatten().find(since);
        fault.map(ToString::to_string).or_else(|| Some(self.silence(now)?.to_string()))
    }

    fn silence(&self, now: Instant) -> Option<Silence> {
        if self.is_heard(now) {
            return None;
        }
        // One may be lost on its way
        let answer = self.trouble.last_answer.filter(|(at, _)| self.trouble.answers > 1 && elapsed(now, *at) < KEPT);
        if let Some((_, from)) = answer {
            return Some(Silence::Unconfirmed(from));
        }
        let never = self.liveness.heard().is_none();
        let sent = self.asking.or(self.last_sent.filter(|_| never));
        match self.endpoint {
            Some(to) => sent.filter(|at| elapsed(now, *at) >= SILENT_AFTER).map(|_| Silence::Unanswered(to)),
            None if self.unresolved => Some(Silence::NoAddress),
            None => never.then_some(Silence::NoEndpoint),
        }
    }

    fn is_heard(&self, now: Instant) -> bool {
        self.liveness.heard().is_some_and(|heard| elapsed(now, heard) < SUSPECT_AFTER)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use zeroize::Zeroizing;

    use super::*;
    use crate::backoff::Jitter;
    use crate::device::Output;
    use crate::device::path::Path;
    use crate::peer::{Identity, Peer, Sessions};
    use crate::settings::{Endpoint, Mtu, PeerSettings, PrivateKey};
    use crate::view::Event;

    fn entry(endpoint: Option<Endpoint>) -> Entry {
        let key = |number| PrivateKey(Zeroizing::new([number; 32]));
        let settings = PeerSettings { endpoint, watched: true, ..PeerSettings::new("homelab", key(2).public_key()) };
        let identity = Identity::new(&key(1));
        let pairs = vec![Sessions::new(&identity, settings.public_key, None, 1)];
        let peer = Peer::new(pairs, identity.public_key(), settings.public_key);
        Entry::new(settings, peer, Path::new(Mtu::Octets(1420), Vec::new()))
    }

    #[test]
    fn a_name_with_two_addresses_is_told_once_however_often_the_peer_is_sought_at_the_other() {
        let mut entry = entry(Some(Endpoint::Name("home.example.net".to_owned(), 51820)));
        let addresses = ["192.0.2.1:51820", "[2001:db8::1]:51820"].map(|address| address.parse().unwrap());
        let (mut now, mut out, mut jitter) = (Instant::now(), Output::default(), Jitter::new(1));
        let (mut moves, mut told) = (0, 0);
        for _ in 0..4 * 600 {
            told += u32::from(entry.untold(now).is_some());
            entry.tick(now, &mut jitter, &mut out);
            let is_wanted = |event: &Event| matches!(event, Event::EndpointWanted(..));
            if std::mem::take(&mut out.events).iter().any(is_wanted) {
                entry.found(now, &addresses, &mut out);
                moves += 1;
            }
            now += Duration::from_millis(250);
        }
        assert!(moves > 5, "{moves}");
        assert_eq!(told, 1);
    }

    #[test]
    fn a_peer_that_changes_its_port_is_told_once() {
        let mut entry = entry(None);
        let now = Instant::now();
        let mut told = |port| {
            entry.answered(now, SocketAddr::new([192, 0, 2, 1].into(), port), 148);
            entry.untold(now).is_some()
        };
        assert_eq!([1, 2, 3, 4].map(&mut told), [false, true, false, false], "one may be lost on its way");
    }
}
