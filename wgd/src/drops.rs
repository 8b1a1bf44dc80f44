//! Why packets are dropped, and how many were.

use std::collections::BTreeMap;

/// Why a packet or datagram went nowhere.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Reason {
    /// Neither an IP packet nor a WireGuard message, or a length field that does not fit.
    Malformed,
    /// No prefix of the table holds the destination.
    NoRoute,
    /// The peer's address is not known.
    NoEndpoint,
    /// The peer does not answer and its queue is full, or a datagram is for a session that is gone.
    NoSession,
    /// The inner source is not the peer's to use.
    SourceNotAllowed,
    /// A counter or a handshake's timestamp that was seen before, a timestamp that is older, or a counter past its end.
    Replay,
    /// A datagram that others have overtaken by more than the replay window: loss, not an attack.
    TooLate,
    /// A datagram that does not authenticate.
    BadMac,
    /// A handshake message made for another public key than ours.
    OtherKey,
    /// A response that does not decrypt: another preshared key.
    PresharedKey,
    /// A handshake message under load, answered with a cookie.
    RateLimited,
    /// An initiation by a key that no peer has.
    UnknownPeer,
    /// A datagram for an index that no peer has.
    UnknownIndex,
    /// A packet that does not fit the path, and must not be fragmented: its sender was told so.
    TooBig,
    /// Congestion was marked on the way, which the packet inside cannot say: RFC 6040 §4.2 has it dropped.
    Congestion,
    /// The host refused to send a datagram or to take a packet.
    #[cfg_attr(not(feature = "net"), allow(dead_code))]
    HostRefused,
}

impl Reason {
    const ALL: [Self; 16] = [
        Self::Malformed,
        Self::NoRoute,
        Self::NoEndpoint,
        Self::NoSession,
        Self::SourceNotAllowed,
        Self::Replay,
        Self::TooLate,
        Self::BadMac,
        Self::OtherKey,
        Self::PresharedKey,
        Self::RateLimited,
        Self::UnknownPeer,
        Self::UnknownIndex,
        Self::TooBig,
        Self::Congestion,
        Self::HostRefused,
    ];

    fn name(self) -> &'static str {
        match self {
            Self::Malformed => "malformed",
            Self::NoRoute => "no route",
            Self::NoEndpoint => "no endpoint",
            Self::NoSession => "no session",
            Self::SourceNotAllowed => "source not allowed",
            Self::Replay => "replay",
            Self::TooLate => "too late",
            Self::BadMac => "bad mac",
            Self::OtherKey => "for another public key",
            Self::PresharedKey => "preshared key",
            Self::RateLimited => "rate limited",
            Self::UnknownPeer => "unknown peer",
            Self::UnknownIndex => "unknown index",
            Self::TooBig => "too big",
            Self::Congestion => "congestion",
            Self::HostRefused => "host refused",
        }
    }
}

/// Counters of one peer, or of the device.
#[derive(Debug, Default)]
pub(crate) struct Drops([u64; Reason::ALL.len()]);

impl Drops {
    pub(crate) fn count(&mut self, reason: Reason) {
        self.add(reason, 1);
    }

    pub(crate) fn add(&mut self, reason: Reason, packets: u64) {
        self.0[reason as usize] += packets;
    }

    /// Those that are not zero, by name.
    pub(crate) fn view(&self) -> BTreeMap<&'static str, u64> {
        Reason::ALL.into_iter().map(|reason| (reason.name(), self.0[reason as usize])).filter(|(_, n)| *n > 0).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_has_a_counter_of_its_own() {
        let mut drops = Drops::default();
        for (index, reason) in Reason::ALL.into_iter().enumerate() {
            assert_eq!(reason as usize, index);
            drops.add(reason, index as u64 + 1);
        }
        assert_eq!(drops.view().len(), Reason::ALL.len());
        assert_eq!(drops.view()["host refused"], 16);
    }
}
