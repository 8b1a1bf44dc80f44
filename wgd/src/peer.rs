//! One peer's keys and sessions. The only file that names boringtun.
//!
//! boringtun's `Tunn` does the Noise handshake, the ciphers and the replay window, by its own clock. What it leaves to
//! its caller is done here: padding, low-order points, counters at their end and sessions at theirs, who began a
//! session and how old it is (a keepalive keeps a session fresh, as in the kernel's implementation; `Tunn` counts data
//! only). `Tunn` panics where an output is too small: all outputs are rooms of a [`Batch`](crate::batch::Batch), which
//! hold anything. What is put there starts at the first octet.
//!
//! A `Tunn` knows one pair of static keys. While a key is replaced there are several pairs, and one [`Sessions`] each:
//! [`Peer`] chooses among them.

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

mod pairs;

pub(crate) use pairs::{Expired, Peer, Sealed};

/// WireGuard paper, section 6.1.
const REKEY_AFTER_MESSAGES: u64 = 1 << 60;
const REJECT_AFTER_MESSAGES: u64 = u64::MAX - (1 << 13);
const REKEY_AFTER_TIME: Duration = Duration::from_secs(120);
const REJECT_AFTER_TIME: Duration = Duration::from_secs(180);

/// The public key that belongs to a private one.
pub(crate) fn public_key(private: &PrivateKey) -> PublicKey {
    PublicKey(x25519::PublicKey::from(&x25519::StaticSecret::from(*private.0)).to_bytes())
}

/// One of our own keys, and the MACs that are made with it.
pub(crate) struct Identity {
    private: x25519::StaticSecret,
    public: x25519::PublicKey,
    /// Checks MAC1, and never asks for more: `Tunn` asks it again.
    unlimited: Arc<RateLimiter>,
    /// Checks MAC2 too, always.
    strict: RateLimiter,
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Identity").field(&self.public_key()).finish()
    }
}

impl Identity {
    pub(crate) fn new(private: &PrivateKey) -> Self {
        let private = x25519::StaticSecret::from(*private.0);
        let public = x25519::PublicKey::from(&private);
        let unlimited = Arc::new(RateLimiter::new(&public, u64::MAX));
        Self { private, public, unlimited, strict: RateLimiter::new(&public, 0) }
    }

    pub(crate) fn public_key(&self) -> PublicKey {
        PublicKey(self.public.to_bytes())
    }

    /// Whether a handshake message is made for this key: its MAC1 says so.
    pub(crate) fn is_meant(&self, datagram: &[u8]) -> bool {
        self.unlimited.verify_packet(None, datagram, &mut []).is_ok()
    }

    /// Whether the sender of a message that is meant has proved its address by a cookie. Err: octets of the reply that
    /// gives it one.
    pub(crate) fn check_cookie(&self, from: IpAddr, datagram: &[u8], out: &mut [u8]) -> Result<(), usize> {
        match self.strict.verify_packet(Some(from), datagram, out) {
            Ok(_) => Ok(()),
            Err(result) => Err(written(&result).unwrap_or(0)),
        }
    }

    /// Who claims to have sent an initiation. Costs one multiplication on the curve.
    pub(crate) fn initiator(&self, datagram: &[u8]) -> Option<PublicKey> {
        let Ok(Packet::HandshakeInit(initiation)) = Tunn::parse_incoming_packet(datagram) else { return None };
        let half = parse_handshake_anon(&self.private, &self.public, &initiation).ok()?;
        Some(PublicKey(half.peer_static_public))
    }
}

/// The sessions under one pair of static keys, ours and the peer's.
pub(crate) struct Sessions {
    tunn: Tunn,
    ours: PublicKey,
    theirs: PublicKey,
    /// What the peer's datagrams carry, without the octet that numbers sessions.
    index: u32,
    /// The session that we answered to and that no packet has confirmed: its index with us.
    unconfirmed: Option<u32>,
    /// Of the session that packets leave by.
    established: Option<Established>,
    expired: bool,
}

#[derive(Clone, Copy, Debug)]
struct Established {
    at: Instant,
    initiator: bool,
    /// The counter of the last datagram that we sent.
    counter: u64,
}

impl Established {
    fn new(at: Instant, initiator: bool) -> Self {
        Self { at, initiator, counter: 0 }
    }

    /// WireGuard paper, section 6.2: nothing is sent any more.
    fn is_over(&self, now: Instant) -> bool {
        self.counter >= REJECT_AFTER_MESSAGES - 1 || now.saturating_duration_since(self.at) >= REJECT_AFTER_TIME
    }

    /// When it is time for a new session: for who began this one when it is old, for each end when it has sent much.
    fn rekey_due(&self, last_sent: Option<Instant>) -> Option<Instant> {
        let used = last_sent.is_some_and(|sent| sent > self.at);
        let aged = (self.initiator && used).then_some(self.at + REKEY_AFTER_TIME);
        if self.counter >= REKEY_AFTER_MESSAGES { Some(self.at) } else { aged }
    }
}

impl fmt::Debug for Sessions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { ours, theirs, index, established, .. } = self;
        f.debug_tuple("Sessions").field(ours).field(theirs).field(index).field(established).finish()
    }
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
struct Unanswered;

impl Sessions {
    /// `index` (24 bits) is what the peer's datagrams will carry; no other sessions may have it.
    pub(crate) fn new(identity: &Identity, theirs: PublicKey, preshared: Option<&PresharedKey>, index: u32) -> Self {
        let tunn = Tunn::new(
            identity.private.clone(),
            theirs.0.into(),
            preshared.map(|key| *key.0),
            None, // persistent keepalives are the device's: by its clock, and changed without a new session
            index,
            Some(Arc::clone(&identity.unlimited)),
        );
        let ours = identity.public_key();
        Self { tunn, ours, theirs, index, unconfirmed: None, established: None, expired: false }
    }

    /// Ours, and the peer's.
    pub(crate) fn keys(&self) -> (PublicKey, PublicKey) {
        (self.ours, self.theirs)
    }

    /// What the peer's datagrams carry, without the octet that numbers sessions.
    pub(crate) fn index(&self) -> u32 {
        self.index
    }

    /// Encrypts a packet, or nothing for a keepalive. None: there is no session, or it is over.
    fn seal(&mut self, now: Instant, packet: &[u8], out: &mut [u8]) -> Option<usize> {
        let established = self.established.as_mut().filter(|session| !session.is_over(now))?;
        // Without a session it would keep the packet for later, and nobody would count it
        let datagram = match self.tunn.encapsulate(packet, out) {
            TunnResult::WriteToNetwork(datagram) if datagram[0] == TRANSPORT => datagram,
            _ => return None,
        };
        established.counter = field(datagram, 8).map_or(u64::MAX, u64::from_le_bytes);
        Some(datagram.len())
    }

    /// Decrypts transport data; `out` has room for all of `datagram`. With whether it confirms a new session.
    fn open(&mut self, now: Instant, datagram: &[u8], out: &mut [u8]) -> Result<(Opened, bool), Reason> {
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
        let confirms = self.unconfirmed.is_some() && receiver.map(u32::from_le_bytes) == self.unconfirmed;
        if confirms {
            self.unconfirmed = None;
            self.established = Some(Established::new(now, false));
        }
        Ok((opened, confirms))
    }

    /// Answers an initiation whose MACs and ephemeral were checked: octets of the response.
    fn respond(&mut self, from: IpAddr, datagram: &[u8], out: &mut [u8]) -> Result<usize, Reason> {
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
    fn confirm(&mut self, now: Instant, from: IpAddr, datagram: &[u8], out: &mut [u8]) -> Result<usize, Reason> {
        match self.tunn.decapsulate(Some(from), datagram, out) {
            TunnResult::WriteToNetwork(keepalive) => {
                self.established = Some(Established::new(now, true));
                Ok(keepalive.len())
            }
            // Who made it knows our public key and our index, as its MAC shows: what is left is the preshared key
            TunnResult::Err(WireGuardError::InvalidAeadTag) => Err(Reason::PresharedKey),
            TunnResult::Err(error) => Err(reason(&error)),
            _ => Err(Reason::Malformed),
        }
    }

    /// Keeps a cookie for the next initiation.
    fn take_cookie(&mut self, datagram: &[u8], out: &mut [u8]) -> Result<(), Reason> {
        match self.tunn.decapsulate(None, datagram, out) {
            TunnResult::Err(error) => Err(reason(&error)),
            _ => Ok(()),
        }
    }

    /// An initiation, unless one is on its way; with `again` a second one.
    fn initiate(&mut self, out: &mut [u8], again: bool) -> Option<usize> {
        written(&self.tunn.format_handshake_initiation(out, again))
    }

    /// Retransmissions, passive keepalives and the end of old sessions; also sets the time that packets are noted with.
    fn tick(&mut self, out: &mut [u8]) -> Result<Option<usize>, Unanswered> {
        match self.tunn.update_timers(out) {
            // `Tunn` repeats it until something starts a handshake
            TunnResult::Err(WireGuardError::ConnectionExpired) => match std::mem::replace(&mut self.expired, true) {
                false => Err(Unanswered),
                true => Ok(None),
            },
            result => {
                self.expired = false;
                Ok(written(&result))
            }
        }
    }

    /// Whether packets can leave.
    fn has_session(&self, now: Instant) -> bool {
        self.established.is_some_and(|session| !session.is_over(now)) && self.tunn.time_since_last_handshake().is_some()
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
        WireGuardError::DuplicateCounter | WireGuardError::WrongTai64nTimestamp => Reason::Replay,
        WireGuardError::InvalidCounter => Reason::TooLate,
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
    fn a_session_is_renewed_after_2_to_the_60_messages_by_either_end_and_ends_before_its_counter_does() {
        let now = Instant::now();
        for initiator in [true, false] {
            let session = |counter| Established { counter, ..Established::new(now, initiator) };
            assert_eq!(session((1 << 60) - 1).rekey_due(Some(now)), None);
            assert_eq!(session(1 << 60).rekey_due(Some(now)), Some(now));
            assert!(!session(u64::MAX - (1 << 13) - 2).is_over(now));
            assert!(session(u64::MAX - (1 << 13) - 1).is_over(now), "the last counter that may be sent was");
        }
    }

    #[test]
    fn a_session_is_renewed_after_120_s_by_who_began_it_and_over_after_180_s() {
        let start = Instant::now();
        let sent = Some(start + Duration::from_secs(1));
        let due = |initiator| Established::new(start, initiator).rekey_due(sent);
        assert_eq!([true, false].map(due), [Some(start + Duration::from_secs(120)), None]);
        let is_over = |seconds| Established::new(start, true).is_over(start + Duration::from_secs(seconds));
        assert_eq!([179, 180].map(is_over), [false, true]);
    }

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
