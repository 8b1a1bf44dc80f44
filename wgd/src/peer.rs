//! One peer's keys and sessions. The only file that names boringtun.
//!
//! boringtun's `Tunn` does the Noise handshake, the ciphers and the replay window, by its own clock. What it leaves to
//! its caller is done here: padding, low-order points, counters at their end, the way of queued packets out once a
//! session is *confirmed*, who began a session and how old it is (a keepalive keeps a session fresh, as in the
//! kernel's implementation; `Tunn` counts data only). `Tunn` panics where an output is too small: all outputs are
//! rooms of a [`Batch`](crate::batch::Batch), which hold anything. What is put there starts at the first octet.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use boringtun::noise::errors::WireGuardError;
use boringtun::noise::handshake::parse_handshake_anon;
use boringtun::noise::rate_limiter::RateLimiter;
use boringtun::noise::{Packet, Tunn, TunnResult};
use boringtun::x25519;

use crate::drops::Reason;
use crate::message::{TRANSPORT, field};
use crate::settings::{PresharedKey, PrivateKey, PublicKey};

/// Handshake messages a second before senders must prove their address with a cookie. One costs about 0.1 ms of a
/// core, so a flood takes a twentieth of it.
pub(crate) const HANDSHAKES_PER_SECOND: u64 = 500;
/// Packets that wait for a session. `Tunn` would drop silently beyond 256.
const QUEUE: usize = 128;
/// WireGuard paper, section 6.1.
const REJECT_AFTER_MESSAGES: u64 = u64::MAX - (1 << 13);
const REKEY_AFTER_TIME: Duration = Duration::from_secs(120);
/// The public key that belongs to a private one.
pub(crate) fn public_key(private: &PrivateKey) -> PublicKey {
    PublicKey(x25519::PublicKey::from(&x25519::StaticSecret::from(*private.0)).to_bytes())
}

/// Our own key, and what protects it from floods.
pub(crate) struct Identity {
    private: x25519::StaticSecret,
    public: x25519::PublicKey,
    /// Counts each handshake message once. `Tunn` asks a limiter again, so it gets one that never refuses.
    limiter: RateLimiter,
    /// When the limiter's second began.
    second: Option<Instant>,
    unlimited: Arc<RateLimiter>,
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Identity").field(&PublicKey(self.public.to_bytes())).finish()
    }
}

/// What to do with a handshake message.
#[derive(Debug)]
pub(crate) enum Admission {
    /// Go on.
    Admitted,
    /// Under load: a cookie reply of so many octets is in the output.
    Cookie(usize),
    /// It is made for another public key than ours.
    OtherKey,
}

impl Identity {
    pub(crate) fn new(private: &PrivateKey) -> Self {
        let private = x25519::StaticSecret::from(*private.0);
        let public = x25519::PublicKey::from(&private);
        let limiter = RateLimiter::new(&public, HANDSHAKES_PER_SECOND);
        let unlimited = Arc::new(RateLimiter::new(&public, u64::MAX));
        Self { private, public, limiter, second: None, unlimited }
    }

    /// Checks the MACs of a handshake message, before anything costly is done for it.
    pub(crate) fn admit(&mut self, now: Instant, from: IpAddr, datagram: &[u8], out: &mut [u8]) -> Admission {
        if self.second.is_none_or(|second| now.saturating_duration_since(second) >= Duration::from_secs(1)) {
            self.limiter.reset_count();
            self.second = Some(now);
        }
        match self.limiter.verify_packet(Some(from), datagram, out) {
            Ok(_) => Admission::Admitted,
            Err(TunnResult::WriteToNetwork(cookie)) => Admission::Cookie(cookie.len()),
            Err(_) => Admission::OtherKey,
        }
    }

    /// Who claims to have sent an initiation. Costs one multiplication on the curve.
    pub(crate) fn initiator(&self, datagram: &[u8]) -> Option<PublicKey> {
        let Ok(Packet::HandshakeInit(initiation)) = Tunn::parse_incoming_packet(datagram) else { return None };
        let half = parse_handshake_anon(&self.private, &self.public, &initiation).ok()?;
        Some(PublicKey(half.peer_static_public))
    }
}

/// One peer's sessions.
pub(crate) struct Peer {
    tunn: Tunn,
    queued: usize,
    /// The session that we answered to and that no packet has confirmed: its index with us.
    unconfirmed: Option<u32>,
    established: Option<Established>,
    expired: bool,
}

#[derive(Clone, Copy, Debug)]
struct Established {
    at: Instant,
    initiator: bool,
}

impl fmt::Debug for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Peer").field("queued", &self.queued).field("established", &self.established).finish()
    }
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

/// What was in a datagram that authenticated.
#[derive(Debug, Eq, PartialEq)]
pub(crate) enum Opened {
    /// An IP packet of so many octets is in the output.
    Packet(usize),
    /// Nothing.
    Keepalive,
    /// Something that is not an IP packet.
    Malformed,
}

/// Every try to reach the peer went unanswered for 90 s.
#[derive(Debug)]
pub(crate) struct Expired {
    /// Packets that waited.
    pub(crate) dropped: usize,
}

impl Peer {
    /// `index` (24 bits) is what the peer's datagrams will carry; no other peer may have it.
    pub(crate) fn new(identity: &Identity, key: PublicKey, preshared: Option<&PresharedKey>, index: u32) -> Self {
        let tunn = Tunn::new(
            identity.private.clone(),
            key.0.into(),
            preshared.map(|key| *key.0),
            None, // persistent keepalives are the device's: by its clock, and changed without a new session
            index,
            Some(Arc::clone(&identity.unlimited)),
        );
        Self { tunn, queued: 0, unconfirmed: None, established: None, expired: false }
    }

    /// Encrypts the packet in the first `len` octets of `buffer`, whose rest serves as padding.
    pub(crate) fn seal(&mut self, buffer: &mut [u8], len: usize, mtu: usize, out: &mut [u8]) -> Sealed {
        if self.queued >= QUEUE {
            return Sealed::Full(self.initiate(out, false));
        }
        let padded = len.next_multiple_of(16).min(mtu).min(buffer.len()).max(len); // paper, section 5.4.6
        buffer[len..padded].fill(0);
        match self.tunn.encapsulate(&buffer[..padded], out) {
            TunnResult::WriteToNetwork(datagram) if datagram[0] == TRANSPORT => Sealed::Transport(datagram.len()),
            result => {
                self.queued += 1;
                Sealed::Queued(written(&result))
            }
        }
    }

    /// Decrypts transport data; `out` has room for all of `datagram`. On a confirmation of a new session queued
    /// packets wait to be taken by [`Self::unqueue`].
    pub(crate) fn open(&mut self, now: Instant, datagram: &[u8], out: &mut [u8]) -> Result<Opened, Reason> {
        let (receiver, counter) = (field(datagram, 4), field(datagram, 8).map(u64::from_le_bytes));
        if counter.is_none_or(|counter| counter >= REJECT_AFTER_MESSAGES) {
            return Err(Reason::Replay);
        }
        let opened = match self.tunn.decapsulate(None, datagram, out) {
            TunnResult::WriteToTunnelV4(packet, _) | TunnResult::WriteToTunnelV6(packet, _) => {
                Opened::Packet(packet.len())
            }
            TunnResult::Done => Opened::Keepalive,
            // Its form was checked before: only what was inside can be wrong
            TunnResult::Err(WireGuardError::InvalidPacket) => Opened::Malformed,
            TunnResult::Err(error) => return Err(reason(&error)),
            TunnResult::WriteToNetwork(_) => return Err(Reason::Malformed),
        };
        let receiver = receiver.map(u32::from_le_bytes);
        if self.unconfirmed.is_some() && receiver == self.unconfirmed {
            self.unconfirmed = None;
            self.established = Some(Established { at: now, initiator: false });
        }
        Ok(opened)
    }

    /// Answers an initiation whose MACs and ephemeral were checked: octets of the response.
    pub(crate) fn respond(&mut self, from: IpAddr, datagram: &[u8], out: &mut [u8]) -> Result<usize, Reason> {
        match self.tunn.decapsulate(Some(from), datagram, out) {
            TunnResult::WriteToNetwork(response) => {
                self.unconfirmed = field(response, 4).map(u32::from_le_bytes);
                Ok(response.len())
            }
            TunnResult::Err(error) => Err(reason(&error)),
            _ => Err(Reason::Malformed),
        }
    }

    /// Takes a response whose MACs and ephemeral were checked: octets of the keepalive that confirms it.
    pub(crate) fn confirm(
        &mut self,
        now: Instant,
        from: IpAddr,
        datagram: &[u8],
        out: &mut [u8],
    ) -> Result<usize, Reason> {
        match self.tunn.decapsulate(Some(from), datagram, out) {
            TunnResult::WriteToNetwork(keepalive) => {
                self.established = Some(Established { at: now, initiator: true });
                Ok(keepalive.len())
            }
            // Who made it knows our public key and our index, as its MAC shows: what is left is the preshared key
            TunnResult::Err(WireGuardError::InvalidAeadTag) => Err(Reason::PresharedKey),
            TunnResult::Err(error) => Err(reason(&error)),
            _ => Err(Reason::Malformed),
        }
    }

    /// Keeps a cookie for the next initiation.
    pub(crate) fn take_cookie(&mut self, datagram: &[u8], out: &mut [u8]) -> Result<(), Reason> {
        match self.tunn.decapsulate(None, datagram, out) {
            TunnResult::Err(error) => Err(reason(&error)),
            _ => Ok(()),
        }
    }

    /// The next packet that waited for a session, encrypted.
    pub(crate) fn unqueue(&mut self, out: &mut [u8]) -> Option<usize> {
        if self.queued == 0 {
            return None;
        }
        match self.tunn.decapsulate(None, &[], out) {
            TunnResult::WriteToNetwork(datagram) => {
                self.queued -= usize::from(datagram[0] == TRANSPORT);
                Some(datagram.len())
            }
            _ => None,
        }
    }

    /// An initiation, unless one is on its way; with `again` a second one.
    pub(crate) fn initiate(&mut self, out: &mut [u8], again: bool) -> Option<usize> {
        written(&self.tunn.format_handshake_initiation(out, again))
    }

    /// A keepalive, or without a session an initiation unless one is on its way.
    pub(crate) fn keep_alive(&mut self, out: &mut [u8]) -> Option<usize> {
        if self.has_session() { written(&self.tunn.encapsulate(&[], out)) } else { self.initiate(out, false) }
    }

    /// Retransmissions, passive keepalives and the end of old sessions; also sets the time that packets are noted with.
    pub(crate) fn tick(&mut self, out: &mut [u8]) -> Result<Option<usize>, Expired> {
        match self.tunn.update_timers(out) {
            // `Tunn` repeats it until something starts a handshake
            TunnResult::Err(WireGuardError::ConnectionExpired) => match std::mem::replace(&mut self.expired, true) {
                false => Err(Expired { dropped: std::mem::take(&mut self.queued) }),
                true => Ok(None),
            },
            result => {
                self.expired = false;
                Ok(written(&result))
            }
        }
    }

    /// Whether packets can leave at once.
    pub(crate) fn has_session(&self) -> bool {
        self.tunn.time_since_last_handshake().is_some()
    }

    /// The session is ours to renew, and old: WireGuard paper, section 6.2.
    pub(crate) fn wants_rekey(&self, now: Instant, last_sent: Option<Instant>) -> bool {
        self.rekey_due(last_sent).is_some_and(|due| now >= due)
    }

    /// When [`Self::wants_rekey`] becomes true.
    pub(crate) fn rekey_due(&self, last_sent: Option<Instant>) -> Option<Instant> {
        let session = self.established.filter(|session| session.initiator && self.has_session())?;
        last_sent.filter(|sent| *sent > session.at).map(|_| session.at + REKEY_AFTER_TIME)
    }

    /// When the last handshake was completed.
    pub(crate) fn last_handshake(&self) -> Option<Instant> {
        self.established.map(|session| session.at)
    }

    /// Packets that wait for a session.
    pub(crate) fn queued(&self) -> usize {
        self.queued
    }
}

fn written(result: &TunnResult<'_>) -> Option<usize> {
    match result {
        TunnResult::WriteToNetwork(datagram) => Some(datagram.len()),
        _ => None,
    }
}

fn reason(error: &WireGuardError) -> Reason {
    match error {
        WireGuardError::DuplicateCounter | WireGuardError::InvalidCounter | WireGuardError::WrongTai64nTimestamp => {
            Reason::Replay
        }
        WireGuardError::NoCurrentSession | WireGuardError::WrongIndex | WireGuardError::UnexpectedPacket => {
            Reason::NoSession
        }
        WireGuardError::InvalidAeadTag | WireGuardError::InvalidMac | WireGuardError::WrongKey => Reason::BadMac,
        _ => Reason::Malformed,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::curve::{LOW_ORDER, is_low_order};

    #[test]
    fn a_shared_secret_with_a_point_of_low_order_is_zero() {
        let secret = x25519::StaticSecret::from([0x5a; 32]);
        for mut point in LOW_ORDER {
            for top_bit in [0, 0x80] {
                point[31] = point[31] & 0x7f | top_bit;
                assert!(is_low_order(&point));
                assert!(!secret.diffie_hellman(&point.into()).was_contributory(), "{point:02x?}");
            }
        }
        assert!(!is_low_order(x25519::PublicKey::from(&secret).as_bytes()));
    }
}
