//! Handshakes that come to nothing, and peers of whom nothing comes: in words, for whoever set the tunnel up.
//!
//! A wrong key is answered with silence by every WireGuard implementation, as is a closed port. What tells them apart
//! is what arrives at the other end: so it is kept here and told in the log, once a minute and source, of few sources
//! at a time: whoever sends many wrong handshakes fills neither memory nor log.

use std::cmp::Reverse;
use std::fmt;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use crate::settings::PublicKey;

/// How long what arrived is worth a word: as long as a session without an answer lasts.
pub(crate) const KEPT: Duration = Duration::from_secs(180);
const TELL_AGAIN: Duration = Duration::from_secs(60);
/// How many faults a second are looked at: to find whose one is takes a walk over all peers.
const LOOKS: u32 = 100;
/// Sources that belong to no peer: those that are kept, and those that are shown.
const SOURCES: usize = 16;
const SHOWN: usize = 3;

/// What is wrong with a handshake message.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Fault {
    /// Its sender has another public key for us: paper, section 5.4.4.
    OtherKey,
    /// An initiation by a key that no peer has.
    UnknownPeer(PublicKey),
    /// The peer's response does not decrypt, though it was made for us.
    PresharedKey,
    /// The peer's initiation is not newer than one before: paper, section 5.1.
    OldTimestamp,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OtherKey => f.write_str("they are made for another public key than ours"),
            Self::UnknownPeer(key) => write!(f, "no peer has their public key {key}"),
            Self::PresharedKey => f.write_str("the preshared keys differ"),
            Self::OldTimestamp => {
                f.write_str("they are older than one before: played back, or the clock there went back")
            }
        }
    }
}

/// The last fault of one source.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Seen {
    from: SocketAddr,
    fault: Fault,
    pub(crate) at: Instant,
    told: Instant,
}

impl Seen {
    /// Keeps a fault in the place of the one before, and tells it where that is not a minute ago.
    pub(crate) fn keep(place: &mut Option<Self>, now: Instant, from: SocketAddr, fault: Fault, peer: Option<&str>) {
        let told = place.filter(|seen| seen.is_told(now)).map(|seen| seen.told);
        if told.is_none() {
            tracing::warn!(peer, %from, reason = %fault, "handshakes do not fit");
        }
        *place = Some(Self { from, fault, at: now, told: told.unwrap_or(now) });
    }

    pub(crate) fn is_old(&self, now: Instant) -> bool {
        now.saturating_duration_since(self.at) >= KEPT
    }

    fn is_told(&self, now: Instant) -> bool {
        now.saturating_duration_since(self.told) < TELL_AGAIN
    }
}

impl fmt::Display for Seen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "handshakes arrive from {} but do not fit: {}", self.from, self.fault)
    }
}

/// Faults of hosts where no peer is known to be. Anybody can cause them, with any source: a place is another's only a
/// minute after its source was told, so that the log has a line a minute and place.
#[derive(Debug, Default)]
pub(crate) struct Strangers {
    seen: [Option<Seen>; SOURCES],
    /// When the second began in which faults are counted, and how many there were.
    second: Option<Instant>,
    looks: u32,
}

impl Strangers {
    /// Whether one more fault is looked at. Beyond that it is only counted, by its caller: whoever waits for the tunnel
    /// sends again.
    pub(crate) fn looks(&mut self, now: Instant) -> bool {
        if self.second.is_none_or(|second| now.saturating_duration_since(second) >= Duration::from_secs(1)) {
            (self.second, self.looks) = (Some(now), 0);
        }
        self.looks = self.looks.saturating_add(1);
        self.looks <= LOOKS
    }

    /// Where no place is free the fault is only counted, by its caller.
    pub(crate) fn keep(&mut self, now: Instant, from: SocketAddr, fault: Fault) {
        let same = |seen: &Option<Seen>| seen.is_some_and(|seen| seen.from.ip() == from.ip());
        let free = |seen: &Option<Seen>| seen.is_none_or(|seen| !seen.is_told(now));
        let places = self.seen.iter_mut().filter(|seen| same(seen) || free(seen));
        // Whoever waits for the tunnel sends again; one of many made up sources does not
        if let Some(place) = places.max_by_key(|seen| (same(seen), Reverse(seen.map(|seen| seen.at)))) {
            Seen::keep(place, now, from, fault, None);
        }
    }

    /// A few of the last minutes, the newest first.
    pub(crate) fn newest(&self, now: Instant) -> Vec<String> {
        let mut recent: Vec<&Seen> = self.seen.iter().flatten().filter(|seen| !seen.is_old(now)).collect();
        recent.sort_by_key(|seen| Reverse(seen.at));
        recent.into_iter().take(SHOWN).map(ToString::to_string).collect()
    }
}

/// Why nothing comes of a peer, as far as it can be known here.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Silence {
    /// It was never heard, and where it is is not known.
    NoEndpoint,
    /// Its endpoint's name has no address yet.
    NoAddress,
    /// What is sent there is not answered.
    Unanswered(SocketAddr),
    /// Its handshakes are answered, and it never goes on.
    Unconfirmed(SocketAddr),
}

impl fmt::Display for Silence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoEndpoint => f.write_str("nothing has arrived yet, and it has no endpoint: it must come to us"),
            Self::NoAddress => f.write_str("the name of its endpoint has no address yet"),
            Self::Unanswered(to) => {
                write!(f, "nothing arrives from {to}: its UDP port is not reached, or a public key is wrong")
            }
            Self::Unconfirmed(from) => write!(
                f,
                "handshakes arrive from {from} and are answered, but nothing follows: the preshared keys differ, or our \
                 answers do not arrive"
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use super::*;

    fn source(host: u8, port: u16) -> SocketAddr {
        SocketAddr::new([192, 0, 2, host].into(), port)
    }

    fn hosts(strangers: &Strangers) -> Vec<u8> {
        let host = |seen: &Seen| match seen.from.ip() {
            IpAddr::V4(address) => address.octets()[3],
            IpAddr::V6(_) => 0,
        };
        let mut hosts: Vec<u8> = strangers.seen.iter().flatten().map(host).collect();
        hosts.sort_unstable();
        hosts
    }

    #[test]
    fn a_flood_from_everywhere_is_told_of_few_sources_a_minute() {
        let (start, mut strangers) = (Instant::now(), Strangers::default());
        (0..1000).for_each(|number| strangers.keep(start, source(number as u8, number), Fault::OtherKey));
        let first: Vec<u8> = (0..SOURCES as u8).collect();
        assert_eq!(hosts(&strangers), first);
        strangers.keep(start + TELL_AGAIN / 2, source(99, 1), Fault::OtherKey);
        assert_eq!(hosts(&strangers), first, "each of them was told in this minute");
    }

    #[test]
    fn of_a_flood_some_a_second_are_looked_at() {
        let (start, mut strangers) = (Instant::now(), Strangers::default());
        let mut looks = |millis| {
            let now = start + Duration::from_millis(millis);
            (0..10_000).filter(|_| strangers.looks(now)).count()
        };
        assert_eq!([0, 999, 1000].map(&mut looks), [LOOKS as usize, 0, LOOKS as usize]);
    }

    #[test]
    fn a_source_is_one_whatever_its_port() {
        let (start, mut strangers) = (Instant::now(), Strangers::default());
        strangers.keep(start, source(1, 1), Fault::OtherKey);
        strangers.keep(start, source(1, 7), Fault::UnknownPeer(PublicKey([0; 32])));
        let expected = "handshakes arrive from 192.0.2.1:7 but do not fit: no peer has their public key \
                        AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
        assert_eq!(strangers.newest(start), [expected]);
    }

    #[test]
    fn who_sends_again_and_again_outlasts_who_sent_once() {
        let (start, mut strangers) = (Instant::now(), Strangers::default());
        (0..SOURCES as u8).for_each(|host| strangers.keep(start, source(host, 1), Fault::OtherKey));
        strangers.keep(start + Duration::from_secs(55), source(0, 1), Fault::OtherKey);
        (100..115).for_each(|host| strangers.keep(start + TELL_AGAIN, source(host, 1), Fault::OtherKey));
        assert!(hosts(&strangers).contains(&0), "{:?}", hosts(&strangers));
        assert_eq!(strangers.newest(start + TELL_AGAIN).len(), SHOWN);
        assert!(strangers.newest(start + TELL_AGAIN + KEPT).is_empty());
    }

    #[test]
    fn a_source_is_told_once_a_minute() {
        let (start, mut place) = (Instant::now(), None);
        let mut told = |after| {
            Seen::keep(&mut place, start + Duration::from_secs(after), source(1, 1), Fault::PresharedKey, Some("home"));
            place.map(|seen| seen.told.duration_since(start).as_secs())
        };
        assert_eq!([0, 5, 59, 60, 61].map(&mut told), [Some(0), Some(0), Some(0), Some(60), Some(60)]);
    }
}
