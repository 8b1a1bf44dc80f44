//! A peer while keys change: sessions under several pairs of static keys, ours and its own, and the choice among them.
//!
//! In: what the settings and the clock say of keys, and what the peer proves. Out: the pair that handshakes are begun
//! under, and the session that packets leave by, which is always the newest one, whichever key made it. Without a
//! rotation there is one pair and nothing to choose.
//!
//! Nobody tells us which keys the peer's configuration has. So a handshake that is not answered for [`NEXT_AFTER`] is
//! tried under the next pair, long before the session in use is over: a far end that does not know our next key yet, or
//! our present one no more, costs no packet.

use std::collections::VecDeque;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use super::{Opened, Sessions, Unanswered};
use crate::drops::Reason;
use crate::envelope::Envelope;
use crate::message::{INITIATION, field};
use crate::settings::PublicKey;

/// Packets that wait for a session.
const QUEUE: usize = 128;
/// Two tries (paper, section 6.4) before the next pair. Four pairs take 40 s, and 60 s lie between a session's renewal
/// and its end.
const NEXT_AFTER: Duration = Duration::from_secs(10);
/// Paper, section 6.1: REKEY_ATTEMPT_TIME. `Tunn` keeps it for one pair.
const GIVE_UP_AFTER: Duration = Duration::from_secs(90);
/// Paper, section 6.4: never more than one initiation in this time. `Tunn` would begin again with the next packet when the
/// peer's initiation has crossed ours, and not know the answer to the first.
const REKEY_TIMEOUT: Duration = Duration::from_secs(5);
/// A session under another pair than the best is renewed before the peer renews it.
const IMPROVE_AFTER: Duration = Duration::from_secs(100);

/// One peer's sessions.
#[derive(Debug)]
pub(crate) struct Peer {
    /// At least one; those of our present key before those of our next one.
    pairs: Vec<Sessions>,
    /// Which of them packets leave by.
    sending: Option<usize>,
    /// A handshake that we began and that is not answered.
    asking: Option<Asking>,
    /// Our key that handshakes are begun with, and the peer's that they are for.
    ours: PublicKey,
    theirs: PublicKey,
    /// Each with how it is to be sent.
    queue: VecDeque<(Vec<u8>, Envelope)>,
    /// Sessions that both ends have confirmed.
    completed: u64,
}

#[derive(Clone, Copy, Debug)]
struct Asking {
    pair: usize,
    /// When the first pair was asked, and this one.
    begun: Instant,
    since: Instant,
    /// When an initiation was sent last.
    sent: Instant,
}

/// What became of a packet to send.
#[derive(Debug)]
pub(crate) enum Sealed {
    /// Transport data of so many octets is in the output.
    Transport(usize),
    /// The packet waits for a session; perhaps an initiation is in the output.
    Queued(Option<usize>),
    /// No session and no room in the queue; perhaps an initiation is in the output.
    Full(Option<usize>),
}

/// Every try to reach the peer went unanswered for 90 s.
#[derive(Debug)]
pub(crate) struct Expired {
    /// Packets that waited.
    pub(crate) dropped: usize,
}

impl Peer {
    /// Handshakes are begun with our key `ours`, and are for the peer's key `theirs`.
    pub(crate) fn new(pairs: Vec<Sessions>, ours: PublicKey, theirs: PublicKey) -> Self {
        Self { pairs, sending: None, asking: None, ours, theirs, queue: VecDeque::new(), completed: 0 }
    }

    /// What the peer's datagrams may carry.
    pub(crate) fn indices(&self) -> impl Iterator<Item = u32> {
        self.pairs.iter().map(|sessions| sessions.index)
    }

    /// Whether there are sessions for these pairs of keys, ours and the peer's, and no other.
    pub(crate) fn has_pairs(&self, keys: &[(PublicKey, PublicKey)]) -> bool {
        self.pairs.iter().map(Sessions::keys).eq(keys.iter().copied())
    }

    /// All sessions, to be given back by [`Self::change`].
    pub(crate) fn release(&mut self) -> Vec<Sessions> {
        std::mem::take(&mut self.pairs)
    }

    /// Other keys. Packets leave by the newest of the sessions that are left.
    pub(crate) fn change(&mut self, now: Instant, pairs: Vec<Sessions>, ours: PublicKey, theirs: PublicKey) {
        self.pairs = pairs;
        self.sending = self.newest(now);
        self.asking = None;
        self.ours = ours;
        if !self.pairs.iter().any(|sessions| sessions.theirs == self.theirs) {
            self.theirs = theirs;
        }
    }

    /// Encrypts the packet in the first `len` octets of `buffer`, whose rest serves as padding. If it has to wait, so does
    /// its envelope.
    pub(crate) fn seal(
        &mut self,
        now: Instant,
        buffer: &mut [u8],
        len: usize,
        mtu: usize,
        envelope: Envelope,
        out: &mut [u8],
    ) -> Sealed {
        let padded = len.next_multiple_of(16).min(mtu).min(buffer.len()).max(len); // paper, section 5.4.6
        buffer[len..padded].fill(0);
        let packet = &buffer[..padded];
        if let Some(len) = self.sender().and_then(|sessions| sessions.seal(now, packet, out)) {
            return Sealed::Transport(len);
        }
        self.sending = None;
        if self.queue.len() >= QUEUE {
            return Sealed::Full(self.initiate(now, out, false));
        }
        self.queue.push_back((packet.to_vec(), envelope));
        Sealed::Queued(self.initiate(now, out, false))
    }

    /// Decrypts transport data; `out` has room for all of `datagram`.
    pub(crate) fn open(&mut self, now: Instant, datagram: &[u8], out: &mut [u8]) -> Result<Opened, Reason> {
        let pair = self.receiver(datagram, 4)?;
        let (opened, confirms) = self.pairs[pair].open(now, datagram, out)?;
        if confirms {
            self.settle(pair);
        }
        Ok(opened)
    }

    /// Answers an initiation made for our key `ours` by the peer's `theirs`, whose MACs and ephemeral were checked:
    /// octets of the response.
    pub(crate) fn respond(
        &mut self,
        (ours, theirs): (PublicKey, PublicKey),
        from: IpAddr,
        datagram: &[u8],
        out: &mut [u8],
    ) -> Result<usize, Reason> {
        let mut pairs = self.pairs.iter_mut();
        let sessions = pairs.find(|sessions| sessions.ours == ours && sessions.theirs == theirs);
        sessions.ok_or(Reason::UnknownPeer)?.respond(from, datagram, out)
    }

    /// Takes a response whose MACs and ephemeral were checked: octets of the keepalive that confirms it.
    pub(crate) fn confirm(
        &mut self,
        now: Instant,
        from: IpAddr,
        datagram: &[u8],
        out: &mut [u8],
    ) -> Result<usize, Reason> {
        let pair = self.receiver(datagram, 8)?;
        let keepalive = self.pairs[pair].confirm(now, from, datagram, out)?;
        self.settle(pair);
        Ok(keepalive)
    }

    /// Keeps a cookie for the next initiation.
    pub(crate) fn take_cookie(&mut self, datagram: &[u8], out: &mut [u8]) -> Result<(), Reason> {
        let pair = self.receiver(datagram, 4)?;
        self.pairs[pair].take_cookie(datagram, out)
    }

    /// The next packet that waited for a session, encrypted.
    pub(crate) fn unqueue(&mut self, now: Instant, out: &mut [u8]) -> Option<(usize, Envelope)> {
        let sessions = self.pairs.get_mut(self.sending?)?;
        let (packet, envelope) = self.queue.front()?;
        let sealed = (sessions.seal(now, packet, out)?, *envelope);
        self.queue.pop_front();
        Some(sealed)
    }

    /// An initiation, unless one is on its way; with `again` a second one.
    pub(crate) fn initiate(&mut self, now: Instant, out: &mut [u8], again: bool) -> Option<usize> {
        if !again && self.asking.is_some_and(|asking| now.saturating_duration_since(asking.sent) < REKEY_TIMEOUT) {
            return None;
        }
        // What another pair has on its way is no try of this one
        let again = again || self.asking.is_none();
        let best = self.best();
        let asking = self.asking.get_or_insert(Asking { pair: best, begun: now, since: now, sent: now });
        let made = self.pairs[asking.pair].initiate(out, again)?;
        asking.sent = now;
        Some(made)
    }

    /// A keepalive, or without a session an initiation unless one is on its way.
    pub(crate) fn keep_alive(&mut self, now: Instant, out: &mut [u8]) -> Option<usize> {
        let made = self.sender().and_then(|sessions| sessions.seal(now, &[], out));
        made.or_else(|| self.initiate(now, out, false))
    }

    /// How often [`Self::tick`] is to be called at a time, from 0.
    pub(crate) fn ticks(&self) -> usize {
        self.pairs.len()
    }

    /// Retransmissions, passive keepalives and the end of old sessions of one pair.
    pub(crate) fn tick(&mut self, now: Instant, pair: usize, out: &mut [u8]) -> Result<Option<usize>, Expired> {
        let made = self.pairs[pair].tick(out);
        self.sending = self.sending.filter(|pair| self.pairs[*pair].has_session(now)).or_else(|| self.newest(now));
        let is_asked = self.asking.is_some_and(|asking| asking.pair == pair);
        match made {
            Err(Unanswered) if is_asked && !self.has_asked_enough(now) => Ok(self.initiate(now, out, true)),
            Err(Unanswered) if is_asked => Err(self.give_up()),
            Err(Unanswered) => Ok(None),
            Ok(made) if is_asked => self.ask_on(now, made, out),
            Ok(Some(len)) if out.first() == Some(&INITIATION) => {
                Ok(self.is_wanted(pair).then(|| self.ask(now, pair, len, out)).flatten())
            }
            Ok(made) => Ok(made),
        }
    }

    /// Handshakes are begun with this key of ours from now on. False: they are already.
    pub(crate) fn lead_with(&mut self, ours: PublicKey) -> bool {
        let is_new = std::mem::replace(&mut self.ours, ours) != ours;
        if is_new {
            self.asking = None;
        }
        is_new
    }

    /// When the newest initiation was sent, while none is answered.
    pub(crate) fn asked(&self) -> Option<Instant> {
        self.asking.map(|asking| asking.sent)
    }

    /// Whether we have a key beside the present one.
    pub(crate) fn has_choice_of_ours(&self) -> bool {
        self.pairs.iter().any(|sessions| sessions.ours != self.pairs[0].ours)
    }

    /// Sessions that both ends have confirmed.
    pub(crate) fn completed(&self) -> u64 {
        self.completed
    }

    /// Whether packets can leave at once.
    pub(crate) fn has_session(&self) -> bool {
        self.sending.is_some()
    }

    /// It is time for a new session, and up to us to begin it: WireGuard paper, section 6.2.
    pub(crate) fn wants_rekey(&self, now: Instant, last_sent: Option<Instant>) -> bool {
        self.rekey_due(last_sent).is_some_and(|due| now >= due)
    }

    /// When [`Self::wants_rekey`] becomes true.
    pub(crate) fn rekey_due(&self, last_sent: Option<Instant>) -> Option<Instant> {
        let pair = self.sending?;
        let session = self.pairs[pair].established?;
        let improve_due = (pair != self.best()).then_some(session.at + IMPROVE_AFTER);
        session.rekey_due(last_sent).into_iter().chain(improve_due).min()
    }

    /// When the last handshake was completed.
    pub(crate) fn last_handshake(&self) -> Option<Instant> {
        self.pairs.iter().filter_map(|sessions| Some(sessions.established?.at)).max()
    }

    /// Packets that wait for a session.
    pub(crate) fn queued(&self) -> usize {
        self.queue.len()
    }

    /// The keys of the session in use, ours and the peer's; absent without a session.
    pub(crate) fn keys(&self) -> Option<(PublicKey, PublicKey)> {
        self.sending.map(|pair| self.pairs[pair].keys())
    }

    fn sender(&mut self) -> Option<&mut Sessions> {
        self.pairs.get_mut(self.sending?)
    }

    /// Whose session a datagram is for.
    fn receiver(&self, datagram: &[u8], offset: usize) -> Result<usize, Reason> {
        let receiver = field(datagram, offset).map(u32::from_le_bytes).ok_or(Reason::Malformed)?;
        let pair = self.pairs.iter().position(|sessions| sessions.index == receiver >> 8);
        pair.ok_or(Reason::UnknownIndex)
    }

    /// There is a new session: packets leave by it, and the peer knows its keys.
    fn settle(&mut self, pair: usize) {
        self.sending = Some(pair);
        self.asking = None;
        self.completed += 1;
        self.theirs = self.pairs[pair].theirs;
        if !self.candidates().contains(&pair) {
            self.ours = self.pairs[pair].ours;
        }
    }

    /// The pairs that handshakes may be begun under, the best first: our next key is not used before its time.
    fn candidates(&self) -> Vec<usize> {
        let last = self.pairs.iter().rposition(|sessions| sessions.ours == self.ours).unwrap_or(0);
        let mut candidates: Vec<usize> = (0..=last).collect();
        let is_other = |pair: &usize| (self.pairs[*pair].ours != self.ours, self.pairs[*pair].theirs != self.theirs);
        candidates.sort_by_key(is_other);
        candidates
    }

    fn best(&self) -> usize {
        let is_best = |sessions: &Sessions| sessions.ours == self.ours && sessions.theirs == self.theirs;
        self.pairs.iter().position(is_best).unwrap_or(0)
    }

    /// A handshake that `pair` began by itself: only the session in use is to be renewed.
    fn is_wanted(&self, pair: usize) -> bool {
        self.asking.is_none() && self.sending.is_none_or(|sending| sending == pair)
    }

    /// A new session is wanted by `pair`, whose initiation is in the output; the best one asks for it.
    fn ask(&mut self, now: Instant, pair: usize, len: usize, out: &mut [u8]) -> Option<usize> {
        if pair != self.best() {
            return self.initiate(now, out, false);
        }
        self.asking = Some(Asking { pair, begun: now, since: now, sent: now });
        Some(len)
    }

    /// The pair that is asked made this in a tick. The next one has its turn when nothing came of it.
    fn ask_on(&mut self, now: Instant, made: Option<usize>, out: &mut [u8]) -> Result<Option<usize>, Expired> {
        let candidates = self.candidates();
        let Some(asking) = &mut self.asking else { return Ok(made) };
        if made.is_some() && out.first() == Some(&INITIATION) {
            asking.sent = now;
        }
        let has_others = candidates.len() > 1;
        if has_others && now.saturating_duration_since(asking.begun) >= GIVE_UP_AFTER {
            return Err(self.give_up());
        }
        if !has_others || now.saturating_duration_since(asking.since) < NEXT_AFTER {
            // `Tunn` forgets to repeat its initiation when the peer's has crossed it
            let is_forgotten = made.is_none() && now.saturating_duration_since(asking.sent) >= REKEY_TIMEOUT;
            return Ok(if is_forgotten { self.initiate(now, out, true) } else { made });
        }
        let place = candidates.iter().position(|pair| *pair == asking.pair).map_or(0, |place| place + 1);
        let next = candidates[place % candidates.len()];
        (asking.pair, asking.since, asking.sent) = (next, now, now);
        Ok(self.pairs[next].initiate(out, true))
    }

    /// `Tunn` says that nobody answers also when it forgets old keys (paper, section 6.3), and then the handshake that has
    /// just begun with them. Its own 90 s begin up to a visit earlier than ours.
    fn has_asked_enough(&self, now: Instant) -> bool {
        let enough = GIVE_UP_AFTER - REKEY_TIMEOUT;
        self.asking.is_none_or(|asking| now.saturating_duration_since(asking.begun) >= enough)
    }

    fn give_up(&mut self) -> Expired {
        self.asking = None;
        let dropped = self.queue.len();
        self.queue.clear();
        Expired { dropped }
    }

    fn newest(&self, now: Instant) -> Option<usize> {
        let usable = (0..self.pairs.len()).filter(|pair| self.pairs[*pair].has_session(now));
        usable.max_by_key(|pair| self.pairs[*pair].established.map(|session| session.at))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::net::SocketAddr;

    use zeroize::Zeroizing;

    use super::*;
    use crate::peer::{Identity, REJECT_AFTER_MESSAGES};
    use crate::settings::PrivateKey;

    fn identity(number: u8) -> Identity {
        Identity::new(&PrivateKey(Zeroizing::new([number; 32])))
    }

    fn peer(ours: u8, theirs: u8) -> Peer {
        let (ours, theirs) = (identity(ours), identity(theirs).public_key());
        let pairs = vec![Sessions::new(&ours, theirs, None, 7)];
        Peer::new(pairs, ours.public_key(), theirs)
    }

    #[test]
    fn the_last_counter_is_sent_and_the_next_packet_waits_for_a_new_session() {
        let (now, from) = (Instant::now(), IpAddr::from([192, 0, 2, 1]));
        let to = SocketAddr::new(from, 51820);
        let (mut alice, mut bob, mut out, mut back) = (peer(1, 2), peer(2, 1), vec![0; 2000], vec![0; 2000]);
        let len = alice.initiate(now, &mut out, false).unwrap();
        let keys = bob.pairs[0].keys();
        let len = bob.respond(keys, from, &out[..len], &mut back).unwrap();
        alice.confirm(now, from, &back[..len], &mut out).unwrap();
        let mut packet = [0x45; 64];
        for (counter, expected) in [(1, true), (REJECT_AFTER_MESSAGES - 2, true), (REJECT_AFTER_MESSAGES - 1, false)] {
            alice.pairs[0].established.as_mut().unwrap().counter = counter;
            let sealed = alice.seal(now, &mut packet, 20, 1420, to.into(), &mut out);
            assert_eq!(matches!(sealed, Sealed::Transport(_)), expected, "{counter}: {sealed:?}");
        }
        assert_eq!((out[0], alice.queued()), (INITIATION, 1));
    }
}
