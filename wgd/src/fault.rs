//! Handshakes that come to nothing, and peers of whom nothing comes: in words, for whoever set the tunnel up.
//!
//! A wrong key is answered with silence by every WireGuard implementation, as is a closed port. What tells them apart
//! is what arrives at the other end: so it is kept here and told in the log, once a minute and source, of few sources
//! at a time: whoever sends many wrong handshakes fills neither memory nor log.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use crate::settings::PublicKey;

/// How long what arrived is worth a word: as long as a session without an answer lasts.
pub(crate) const KEPT: Duration = Duration::from_secs(180);
const TELL_AGAIN: Duration = Duration::from_secs(60);
/// Sources that belong to no peer.
const SOURCES: usize = 16;

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
        let told = place.map(|seen| seen.told).filter(|told| now.saturating_duration_since(*told) < TELL_AGAIN);
        if told.is_none() {
            tracing::warn!(peer, %from, reason = %fault, "handshakes do not fit");
        }
        *place = Some(Self { from, fault, at: now, told: told.unwrap_or(now) });
    }

    fn is_old(&self, now: Instant) -> bool {
        now.saturating_duration_since(self.at) >= KEPT
    }
}

impl fmt::Display for Seen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "handshakes arrive from {} but do not fit: {}", self.from, self.fault)
    }
}

/// Faults that belong to no peer, by source.
#[derive(Debug, Default)]
pub(crate) struct Strangers(Vec<Option<Seen>>);

impl Strangers {
    /// Where no place is free the fault is only counted, by its caller.
    pub(crate) fn keep(&mut self, now: Instant, from: SocketAddr, fault: Fault) {
        let same = |seen: &Option<Seen>| seen.is_some_and(|seen| seen.from.ip() == from.ip());
        let old = |seen: &Option<Seen>| seen.is_none_or(|seen| seen.is_old(now));
        let place = self.0.iter().position(same).or_else(|| {
            if self.0.len() < SOURCES {
                self.0.push(None);
            }
            self.0.iter().position(old)
        });
        if let Some(place) = place.and_then(|place| self.0.get_mut(place)) {
            if old(place) {
                *place = None;
            }
            Seen::keep(place, now, from, fault, None);
        }
    }

    /// From this host, if lately.
    pub(crate) fn from(&self, now: Instant, host: IpAddr) -> Option<&Seen> {
        self.recent(now).find(|seen| seen.from.ip() == host)
    }

    /// Those of hosts where no peer is.
    pub(crate) fn elsewhere(&self, now: Instant, hosts: &[IpAddr]) -> Vec<String> {
        self.recent(now).filter(|seen| !hosts.contains(&seen.from.ip())).map(ToString::to_string).collect()
    }

    fn recent(&self, now: Instant) -> impl Iterator<Item = &Seen> {
        self.0.iter().flatten().filter(move |seen| !seen.is_old(now))
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
    use super::*;

    fn source(host: u8, port: u16) -> SocketAddr {
        SocketAddr::new([192, 0, 2, host].into(), port)
    }

    #[test]
    fn a_flood_from_everywhere_is_kept_of_few_sources_and_a_source_is_one_whatever_its_port() {
        let (start, mut strangers) = (Instant::now(), Strangers::default());
        for number in 0..1000 {
            strangers.keep(start, source(number as u8, number), Fault::OtherKey);
        }
        assert_eq!(strangers.0.len(), SOURCES);
        strangers.keep(start, source(0, 7), Fault::UnknownPeer(PublicKey([0; 32])));
        let first = strangers.from(start, source(0, 0).ip()).map(ToString::to_string);
        let expected = "handshakes arrive from 192.0.2.0:7 but do not fit: no peer has their public key \
                        AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
        assert_eq!(first.as_deref(), Some(expected));
        assert_eq!(strangers.elsewhere(start, &[source(0, 0).ip()]).len(), SOURCES - 1);
    }

    #[test]
    fn what_is_old_makes_room() {
        let (start, mut strangers) = (Instant::now(), Strangers::default());
        for host in 0..SOURCES as u8 {
            strangers.keep(start, source(host, 1), Fault::OtherKey);
        }
        strangers.keep(start + KEPT, source(99, 1), Fault::OtherKey);
        assert_eq!(strangers.elsewhere(start + KEPT, &[]).len(), 1);
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
