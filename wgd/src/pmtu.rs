//! How long a packet through the tunnel may be: path MTU by probing (RFC 8899, RFC 4821), for one peer.
//!
//! ICMP errors of the way between two gateways are often filtered, and can be forged. So echo requests of different
//! lengths go to the far tunnel address, in datagrams that no router may fragment: a length that is answered passes. A
//! *round* sends several lengths at once and repeats those without an answer; what is lost by chance is not taken for too
//! long.
//!
//! All lengths are those of the packet inside, in octets. Before the first answer [`BASE`] holds. While long packets are
//! sent, the MTU is confirmed each [`CONFIRM`] and a longer one is tried each [`RAISE`]: RFC 8899 §5.1.1 has 10 minutes,
//! but one search serves all the connections of a site, and its cost is some octets a second. Packets that any path
//! takes ([`LEAST`]) cause no probe, so an idle tunnel has none, and no timer either.

use std::time::{Duration, Instant};

mod round;

use round::{Purpose, Round};

use crate::settings::Mtu;

/// The shortest MTU: what an IPv4 path of 576 octets leaves. Every IPv4 host takes so much (RFC 791 §3.2).
pub(crate) const LEAST: u16 = 576 - 60;
/// What is taken for granted before an answer, RFC 8899 §5.1.2 `BASE_PLPMTU`: IPv6 needs it, and nearly every path has it.
pub(crate) const BASE: u16 = 1280;
/// The longest jumbo frames in use.
const LONGEST_PATH: u16 = 9216;
const CONFIRM: Duration = Duration::from_secs(2);
const RAISE: Duration = Duration::from_secs(60);
/// After a fall: a far end that had not noticed it yet sent answers in longer datagrams than now.
const RAISE_AGAIN: Duration = Duration::from_secs(5);
/// How long an answer may take before a probe is sent again, as long as the round trip is not known to be slow.
const PATIENCE: Duration = Duration::from_millis(250);
const MOST_PATIENCE: Duration = Duration::from_secs(1);
/// Later an answer says nothing of the path as it is.
const STALE: Duration = Duration::from_secs(3);
/// Probes whose answers are waited for: three tries of a round, and more.
const SENT: usize = 64;

/// The search for one path's MTU.
#[derive(Debug)]
pub(crate) struct PathMtu {
    /// Octets around a packet: of IP, UDP and WireGuard.
    overhead: u16,
    ceiling: Mtu,
    /// What is sent at most.
    mtu: u16,
    /// Nothing longer passes, as the search knows so far.
    high: u16,
    knowledge: Knowledge,
    round: Option<Round>,
    /// None: with the next long packet.
    confirm_at: Option<Instant>,
    /// Longer while nothing is answered.
    confirm_after: Duration,
    raise_at: Option<Instant>,
    raise_after: Duration,
    round_trip: Duration,
    sent: [Option<Sent>; SENT],
    sequence: u16,
}

/// Where the MTU comes from.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Knowledge {
    /// Nobody was asked yet.
    None,
    /// The far end was asked and has never answered.
    Unanswered,
    /// It answers.
    Probed,
}

/// An echo request to be sent.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Probe {
    /// Octets of the packet.
    pub(crate) length: u16,
    /// What its answer will carry.
    pub(crate) sequence: u16,
}

#[derive(Clone, Copy, Debug)]
struct Sent {
    probe: Probe,
    at: Instant,
}

impl PathMtu {
    pub(crate) fn new(ceiling: Mtu) -> Self {
        let mut path = Self {
            overhead: 60,
            ceiling,
            mtu: 0,
            high: 0,
            knowledge: Knowledge::None,
            round: None,
            confirm_at: None,
            confirm_after: CONFIRM,
            raise_at: None,
            raise_after: RAISE,
            round_trip: Duration::ZERO,
            sent: [None; SENT],
            sequence: 0,
        };
        path.high = path.highest();
        path.mtu = path.high.min(BASE);
        path
    }

    /// The longest packet that is to be sent.
    pub(crate) fn mtu(&self) -> u16 {
        self.mtu
    }

    pub(crate) fn knowledge(&self) -> Knowledge {
        self.knowledge
    }

    /// Nobody can be asked: what is configured holds, or what nearly every path has.
    pub(crate) fn assume(&mut self) {
        self.forget();
        self.knowledge = Knowledge::None;
        self.expect();
    }

    /// Whoever is asked from now on, nothing is known of the path to there. `overhead`: octets of IP, UDP and WireGuard.
    pub(crate) fn begin(&mut self, overhead: u16) {
        self.overhead = overhead;
        self.forget();
        self.high = self.highest();
        self.mtu = self.mtu.min(self.high);
        let lengths = self.plateaus(LEAST - 1, self.high);
        self.round = Some(Round::new(Purpose::Begin, lengths));
        self.confirm_at = None;
    }

    /// Another way to the same peer: what is known is in doubt.
    pub(crate) fn moved(&mut self, overhead: u16) {
        self.overhead = overhead;
        if self.knowledge == Knowledge::None && self.raise_at.is_some() {
            self.expect();
        }
        (self.confirm_at, self.raise_at, self.confirm_after) = (None, None, CONFIRM);
        if self.knowledge == Knowledge::Probed && !self.is_beginning() {
            self.forget();
            self.doubt();
        }
    }

    /// The configuration has another ceiling.
    pub(crate) fn set_ceiling(&mut self, ceiling: Mtu) {
        if std::mem::replace(&mut self.ceiling, ceiling) == ceiling {
            return;
        }
        match self.knowledge {
            Knowledge::Probed => {
                self.forget();
                self.mtu = self.mtu.min(self.highest());
                (self.confirm_at, self.raise_at) = (None, None);
            }
            Knowledge::None | Knowledge::Unanswered if self.round.is_none() => self.expect(),
            Knowledge::None | Knowledge::Unanswered => self.begin(self.overhead),
        }
    }

    /// A packet of so many octets is sent: true, if [`Self::poll`] has to be asked because of it.
    pub(crate) fn wakes(&self, now: Instant, length: usize) -> bool {
        length > usize::from(LEAST) && is_due(self.confirm_at, now) && self.round.is_none()
    }

    /// What is to be sent now; to be asked until there is nothing, when [`Self::wakes`] says so, when [`Self::next_due`]
    /// has come, and after an answer.
    pub(crate) fn poll(&mut self, now: Instant) -> Option<Probe> {
        self.turn(now);
        let length = self.round.as_mut()?.next_length()?;
        let probe = Probe { length, sequence: self.sequence };
        self.sent[usize::from(self.sequence) % SENT] = Some(Sent { probe, at: now });
        self.sequence = self.sequence.wrapping_add(1);
        Some(probe)
    }

    /// Begins what a long packet has woken.
    pub(crate) fn wake(&mut self, now: Instant) {
        if self.round.is_some() || !is_due(self.confirm_at, now) {
            return;
        }
        self.confirm_at = Some(now + self.confirm_after);
        match self.knowledge {
            // The host may send more by now than it did
            Knowledge::None if self.raise_at.is_some_and(|at| now >= at) => self.expect(),
            Knowledge::None => {}
            Knowledge::Unanswered => self.begin(self.overhead),
            Knowledge::Probed => self.round = Some(Round::new(Purpose::Confirm, vec![self.mtu])),
        }
    }

    /// When [`Self::poll`] has something to do by itself.
    pub(crate) fn next_due(&self) -> Option<Instant> {
        self.round.as_ref()?.until
    }

    /// An answer came. False: it is none that was waited for.
    pub(crate) fn answered(&mut self, now: Instant, sequence: u16) -> bool {
        let place = &mut self.sent[usize::from(sequence) % SENT];
        let Some(sent) = place.take_if(|sent| sent.probe.sequence == sequence) else { return false };
        let age = now.saturating_duration_since(sent.at);
        if age > STALE {
            return true;
        }
        self.round_trip = age;
        self.confirm_after = CONFIRM;
        let length = sent.probe.length;
        if !self.is_beginning() || length > BASE {
            self.mtu = self.mtu.max(length);
        }
        self.high = self.high.max(length);
        if let Some(round) = &mut self.round {
            round.answered(length);
            if round.is_decided() {
                self.judge(now);
            }
        }
        true
    }

    /// The host itself does not send packets of so many octets to the peer: no probe has to find that out.
    pub(crate) fn refused(&mut self, now: Instant, length: u16) {
        let length = length.max(LEAST + 1);
        self.high = self.high.min(length - 1);
        if self.mtu >= length && self.knowledge != Knowledge::Probed {
            self.mtu = self.mtu.min(self.assumed());
            self.raise_at = Some(now + RAISE);
        } else if self.mtu >= length && !self.is_doubted() {
            self.forget();
            self.doubt();
        }
        if let Some(round) = &mut self.round {
            round.refused(length);
            if round.is_decided() {
                self.judge(now);
            }
        }
    }

    fn highest(&self) -> u16 {
        match self.ceiling {
            Mtu::Auto => LONGEST_PATH - self.overhead,
            Mtu::Octets(octets) => octets.min(u16::MAX - self.overhead),
        }
    }

    /// What holds while nobody answers.
    fn assumed(&self) -> u16 {
        let assumed = match self.ceiling {
            Mtu::Auto => BASE,
            Mtu::Octets(_) => self.highest(),
        };
        if assumed <= self.high {
            return assumed;
        }
        // The host refuses it. What it takes it does not say: RFC 1191 §7.1
        self.plateaus(LEAST - 1, self.high + 1).into_iter().rev().nth(1).unwrap_or(LEAST)
    }

    /// Whatever the host refused before.
    fn expect(&mut self) {
        self.high = self.highest();
        self.mtu = self.assumed();
        self.raise_at = None;
    }

    fn is_beginning(&self) -> bool {
        self.round.as_ref().is_some_and(|round| round.purpose == Purpose::Begin)
    }

    fn is_doubted(&self) -> bool {
        self.round.as_ref().is_some_and(|round| matches!(round.purpose, Purpose::Begin | Purpose::Doubt))
    }

    /// What is on its way says nothing any more.
    fn forget(&mut self) {
        self.round = None;
        self.sent = [None; SENT];
    }

    fn patience(&self) -> Duration {
        (self.round_trip * 3).clamp(PATIENCE, MOST_PATIENCE)
    }

    fn turn(&mut self, now: Instant) {
        let patience = self.patience();
        let Some(round) = &mut self.round else { return };
        if round.is_over(now) {
            self.judge(now);
        }
        if let Some(round) = &mut self.round {
            round.start_try(now, patience);
        }
    }

    /// What a round has shown.
    fn judge(&mut self, now: Instant) {
        let Some(round) = self.round.take() else { return };
        let (best, too_long) = (round.best(), round.too_long());
        match (round.purpose, best) {
            (Purpose::Begin, None) => {
                self.knowledge = Knowledge::Unanswered;
                self.mtu = self.assumed();
                (self.confirm_at, self.confirm_after) = (Some(now + RAISE), RAISE);
            }
            (Purpose::Confirm, None) => self.doubt(),
            // Short ones are lost too: that is no matter of length
            (Purpose::Doubt, None) => {
                self.confirm_after = (self.confirm_after * 2).min(RAISE);
                self.confirm_at = Some(now + self.confirm_after);
            }
            (Purpose::Confirm, Some(_)) if is_due(self.raise_at, now) => self.raise(now),
            (Purpose::Confirm, Some(_)) => {}
            (Purpose::Doubt, Some(best)) if best >= self.mtu => {
                if is_due(self.raise_at, now) {
                    self.raise(now);
                }
            }
            (purpose @ (Purpose::Begin | Purpose::Doubt), Some(best)) => {
                if purpose == Purpose::Doubt {
                    self.raise_after = RAISE_AGAIN;
                }
                self.knowledge = Knowledge::Probed;
                self.mtu = best;
                self.forget();
                self.search(now, too_long);
            }
            (Purpose::Search, _) => self.search(now, too_long),
        }
    }

    /// Something was said to be longer than the path takes, or nothing. Lengths between are tried, until there is none.
    fn search(&mut self, now: Instant, too_long: Option<u16>) {
        let below = too_long.map_or(self.high, |length| length - 1);
        self.high = self.high.min(below).max(self.mtu);
        if self.high > self.mtu {
            self.round = Some(Round::new(Purpose::Search, between(self.mtu, self.high)));
            return;
        }
        self.raise_at = Some(now + std::mem::replace(&mut self.raise_after, RAISE));
        self.confirm_at = Some(now + self.confirm_after);
    }

    /// Is the path longer than it was?
    fn raise(&mut self, now: Instant) {
        self.high = self.highest();
        if self.high <= self.mtu {
            self.raise_at = Some(now + RAISE);
            return;
        }
        let mut lengths = self.plateaus(self.mtu + 1, self.high);
        lengths.insert(0, self.mtu + 1); // whatever is longer, this one passes then
        lengths.dedup();
        self.round = Some(Round::new(Purpose::Search, lengths));
    }

    /// Does it still pass, or does only something shorter?
    fn doubt(&mut self) {
        self.high = self.highest();
        self.round = Some(Round::new(Purpose::Doubt, self.plateaus(LEAST - 1, self.mtu)));
    }

    /// What common paths take, of lengths above `low` and up to `high`; `high` itself is the last.
    fn plateaus(&self, low: u16, high: u16) -> Vec<u16> {
        let common = PATHS.into_iter().map(|path| path - self.overhead);
        let lengths = [LEAST, BASE].into_iter().chain(common);
        let mut lengths: Vec<u16> = lengths.filter(|length| (low + 1..high).contains(length)).chain([high]).collect();
        lengths.sort_unstable();
        lengths.dedup();
        lengths
    }
}

/// Path MTUs that are common (RFC 1191 §7): IPv6's least, tunnels, nested WireGuard, GENEVE and VXLAN, Google Cloud, 6in4,
/// PPPoE, Ethernet, AWS between regions and within a VPC.
const PATHS: [u16; 10] = [1280, 1400, 1420, 1450, 1460, 1480, 1492, 1500, 8500, 9001];

fn is_due(at: Option<Instant>, now: Instant) -> bool {
    at.is_none_or(|at| now >= at)
}

/// Lengths above `low`, as far from each other, up to `high`.
fn between(low: u16, high: u16) -> Vec<u16> {
    const LENGTHS: u16 = 8;
    let (all, count) = (high - low, LENGTHS.min(high - low));
    (1..=count).map(|part| low + (u32::from(all) * u32::from(part) / u32::from(count)) as u16).collect()
}

#[cfg(test)]
mod tests;
