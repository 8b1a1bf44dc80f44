//! BGP4MP (RFC 6396 §4.4) with microseconds (§3): what sessions do and say.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use bytes::{BufMut, BytesMut};

use super::{write_address, write_record};
use crate::types::{Asn, Family};
use crate::view::SessionState;

/// BGP4MP with a timestamp that goes on in microseconds (RFC 6396 §4).
const BGP4MP_ET: u16 = 17;
/// BGP4MP_STATE_CHANGE_AS4 (RFC 6396 §4.4.4).
const STATE_CHANGE_AS4: u16 = 5;

/// A session as each record about it names it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Ends {
    /// The neighbor's address.
    pub(crate) remote: IpAddr,
    /// Ours; `None`: not known before there is a connection.
    pub(crate) local: Option<IpAddr>,
    /// The neighbor's AS; `None`: not known before its OPEN.
    pub(crate) remote_asn: Option<Asn>,
    /// The AS that we show it.
    pub(crate) local_asn: Asn,
}

/// What a message is.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct MessageKind {
    /// We sent it.
    pub(crate) sent: bool,
    /// AS_PATH has two octets an AS: the session is one of RFC 6793's OLD speakers.
    pub(crate) two_octet_as: bool,
    /// Its prefixes have path identifiers (RFC 7911).
    pub(crate) path_ids: bool,
}

impl MessageKind {
    /// RFC 6396 §4.4.2, §4.4.3, §4.4.5, §4.4.6; RFC 8050 §3.
    const fn subtype(self) -> u16 {
        match (self.path_ids, self.sent, self.two_octet_as) {
            (false, false, true) => 1,  // BGP4MP_MESSAGE
            (false, false, false) => 4, // BGP4MP_MESSAGE_AS4
            (false, true, true) => 6,   // BGP4MP_MESSAGE_LOCAL
            (false, true, false) => 7,  // BGP4MP_MESSAGE_AS4_LOCAL
            (true, false, true) => 8,   // BGP4MP_MESSAGE_ADDPATH
            (true, false, false) => 9,  // BGP4MP_MESSAGE_AS4_ADDPATH
            (true, true, true) => 10,   // BGP4MP_MESSAGE_LOCAL_ADDPATH
            (true, true, false) => 11,  // BGP4MP_MESSAGE_AS4_LOCAL_ADDPATH
        }
    }
}

/// A session is in another state.
pub(crate) fn write_state_change(
    at: Duration,
    ends: &Ends,
    before: SessionState,
    now: SessionState,
    out: &mut BytesMut,
) {
    write(at, STATE_CHANGE_AS4, out, |out| {
        write_ends(ends, false, out);
        out.put_u16(code(before));
        out.put_u16(code(now));
    });
}

/// A session has said something; `message` is a whole BGP message.
pub(crate) fn write_message(at: Duration, ends: &Ends, kind: MessageKind, message: &[u8], out: &mut BytesMut) {
    write(at, kind.subtype(), out, |out| {
        write_ends(ends, kind.two_octet_as, out);
        out.put_slice(message);
    });
}

/// RFC 6396 §3: the microseconds stand before the record itself, and count in its length.
fn write(at: Duration, subtype: u16, out: &mut BytesMut, body: impl FnOnce(&mut BytesMut)) {
    write_record(out, at.as_secs() as u32, BGP4MP_ET, subtype, |out| {
        out.put_u32(at.subsec_micros());
        body(out);
    });
}

/// RFC 6396 §4.4.1, §4.4.2. What is not known is zero.
fn write_ends(ends: &Ends, two_octet_as: bool, out: &mut BytesMut) {
    for asn in [ends.remote_asn.map_or(0, Asn::get), ends.local_asn.get()] {
        match u16::try_from(asn) {
            Ok(short) if two_octet_as => out.put_u16(short),
            Err(_) if two_octet_as => out.put_u16(Asn::TRANS.get() as u16), // RFC 6793 §9
            _ => out.put_u32(asn),
        }
    }
    out.put_u16(0); // no interface index
    let family = Family::of_address(&ends.remote);
    out.put_u16(family.afi_safi().0);
    write_address(out, ends.remote);
    let unknown = match family {
        Family::Ipv4 => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        Family::Ipv6 => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
    };
    write_address(out, ends.local.filter(|local| Family::of_address(local) == family).unwrap_or(unknown));
}

/// RFC 6396 §4.4.1.
const fn code(state: SessionState) -> u16 {
    match state {
        SessionState::Idle => 1,
        SessionState::Connect => 2,
        SessionState::Active => 3,
        SessionState::OpenSent => 4,
        SessionState::OpenConfirm => 5,
        SessionState::Established => 6,
    }
}
