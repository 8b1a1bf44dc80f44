//! Headers and the choice of the message (RFC 4271 §4.1).

use bytes::{BufMut, BytesMut};

use super::{DecodeError, HEADER, MAX_MESSAGE, Notification, Open, Update};
use crate::types::{Asn, Families, Family};

const MARKER: [u8; 16] = [0xFF; 16];

/// One message.
#[derive(Clone, Debug)]
pub enum Message<'a> {
    /// OPEN.
    Open(Open),
    /// UPDATE.
    Update(Update<'a>),
    /// NOTIFICATION.
    Notification(Notification),
    /// KEEPALIVE.
    Keepalive,
    /// ROUTE-REFRESH (RFC 2918, RFC 7313).
    RouteRefresh(RouteRefresh),
}

/// ROUTE-REFRESH.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct RouteRefresh {
    /// `None`: to be ignored. A family this speaker does not carry, a subtype or a length it does not know
    /// (RFC 7313 §5).
    pub family: Option<Family>,
    /// [`RouteRefresh::REQUEST`], [`RouteRefresh::BEGIN`], [`RouteRefresh::END`], or another.
    pub subtype: u8,
}

/// Subtypes.
impl RouteRefresh {
    /// The family is wanted again (RFC 2918).
    pub const REQUEST: u8 = 0;
    /// BoRR: it begins to be sent again (RFC 7313 §3.2).
    pub const BEGIN: u8 = 1;
    /// EoRR: all of it is sent again.
    pub const END: u8 = 2;
}

/// What a session has negotiated, as far as the codec needs it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Context {
    /// Both sides have four-octet AS numbers (RFC 6793).
    pub four_octet_as: bool,
    /// Both sides have the enhanced route refresh (RFC 7313).
    pub enhanced_refresh: bool,
    /// The neighbor is internal.
    pub internal: bool,
    /// The neighbor's AS.
    pub remote_asn: Asn,
    /// Negotiated families; others are ignored and counted (RFC 4760 §7).
    pub families: Families,
    /// RFC 4271 §6.3: the first AS must be the neighbor's. False where
    /// [`crate::settings::SessionSettings::enforce_first_asn`] is.
    pub enforce_first_asn: bool,
    /// The longest message that we may send (RFC 8654).
    pub max_message: usize,
    /// The longest message that we take (RFC 8654).
    pub max_received: usize,
    /// Families of which we send several paths, each with an identifier (RFC 7911).
    pub paths_sent: Families,
    /// Families of which we take several.
    pub paths_received: Families,
}

impl Context {
    /// With an external neighbor of this AS: both families, four-octet AS numbers, and nothing that another capability
    /// would have to offer.
    pub const fn new(remote_asn: Asn) -> Self {
        Self {
            four_octet_as: true,
            enhanced_refresh: false,
            internal: false,
            remote_asn,
            families: Families::ALL,
            enforce_first_asn: true,
            max_message: MAX_MESSAGE,
            max_received: MAX_MESSAGE,
            paths_sent: Families::NONE,
            paths_received: Families::NONE,
        }
    }

    /// As far as it decides how messages are written, which it does alike for many neighbors.
    #[must_use]
    pub const fn writing(self) -> Self {
        let paths_received = Families::NONE;
        Self {
            remote_asn: Asn::TRANS,
            enforce_first_asn: false,
            enhanced_refresh: false,
            max_received: 0,
            paths_received,
            ..self
        }
    }
}

/// The type octet of a message.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum MessageType {
    Open = 1,
    Update = 2,
    Notification = 3,
    Keepalive = 4,
    RouteRefresh = 5,
}

impl MessageType {
    const fn from_octet(octet: u8) -> Option<Self> {
        Some(match octet {
            1 => Self::Open,
            2 => Self::Update,
            3 => Self::Notification,
            4 => Self::Keepalive,
            5 => Self::RouteRefresh,
            _ => return None,
        })
    }

    /// The lengths that it may have, header included (RFC 4271 §6.1; RFC 8654 §4: not OPEN and KEEPALIVE).
    const fn allows(self, length: usize, max_message: usize) -> bool {
        match self {
            Self::Open => length >= 29 && length <= MAX_MESSAGE,
            Self::Update => length >= 23 && length <= max_message,
            Self::Notification => length >= 21 && length <= max_message,
            Self::Keepalive => length == HEADER,
            Self::RouteRefresh => length >= 23 && length <= max_message,
        }
    }
}

/// The length of the message at the front of `buffer`; `None` while its header or body is incomplete. Marker,
/// length and type are checked as soon as the header is there.
pub fn frame_length(buffer: &[u8], max_message: usize) -> Result<Option<usize>, DecodeError> {
    let Some(header) = buffer.first_chunk() else { return Ok(None) };
    let (_, length) = read_header(header, max_message)?;
    Ok((buffer.len() >= length).then_some(length))
}

/// The message at the front of what was written here, header included, and what follows it.
pub(crate) fn split_message(written: &[u8]) -> Option<(&[u8], &[u8])> {
    let header: &[u8; HEADER] = written.first_chunk()?;
    let length = usize::from(u16::from_be_bytes([header[16], header[17]])).max(HEADER);
    Some(written.split_at(length.min(written.len())))
}

/// Reads one whole message, header included. Before Established `context` matters for nothing but UPDATE.
pub fn decode<'a>(frame: &'a [u8], context: &Context) -> Result<Message<'a>, DecodeError> {
    let wrong_length = DecodeError::MessageLength { found: u16::try_from(frame.len()).unwrap_or(u16::MAX) };
    let Some((header, body)) = frame.split_first_chunk() else { return Err(wrong_length) };
    let (kind, length) = read_header(header, context.max_received)?;
    if length != frame.len() {
        return Err(wrong_length);
    }
    Ok(match kind {
        MessageType::Open => Message::Open(Open::decode(body)?),
        MessageType::Update => Message::Update(Update::decode(body, context)?),
        MessageType::Notification => Message::Notification(Notification::decode(body).ok_or(wrong_length)?),
        MessageType::Keepalive => Message::Keepalive,
        MessageType::RouteRefresh => Message::RouteRefresh(RouteRefresh::decode(frame, context)?),
    })
}

/// Appends a KEEPALIVE.
pub fn write_keepalive(out: &mut BytesMut) {
    let start = begin(MessageType::Keepalive, out);
    finish(start, out);
}

/// Appends a ROUTE-REFRESH; `subtype` is one of [`RouteRefresh`]'s.
pub fn write_route_refresh(family: Family, subtype: u8, out: &mut BytesMut) {
    let start = begin(MessageType::RouteRefresh, out);
    let (afi, safi) = family.afi_safi();
    out.put_u16(afi);
    out.put_u8(subtype);
    out.put_u8(safi);
    finish(start, out);
}

/// Appends a header whose length [`finish`] fills in. Returns where it begins.
pub(super) fn begin(kind: MessageType, out: &mut BytesMut) -> usize {
    let start = out.len();
    out.put_slice(&MARKER);
    out.put_u16(0);
    out.put_u8(kind as u8);
    start
}

/// Fills in the length of the message that begins at `start` and ends here.
pub(super) fn finish(start: usize, out: &mut BytesMut) {
    put_length(out.len() - start, start + MARKER.len(), out);
}

/// Appends room for a two-octet length that [`finish_length`] fills in. Returns where.
pub(super) fn begin_length(out: &mut BytesMut) -> usize {
    let at = out.len();
    out.put_u16(0);
    at
}

/// Fills it in: what follows it is that long.
pub(super) fn finish_length(at: usize, out: &mut BytesMut) {
    put_length(out.len() - at - 2, at, out);
}

/// A length beyond two octets stands in a message that is too long to be sent.
fn put_length(length: usize, at: usize, out: &mut BytesMut) {
    let length = u16::try_from(length).unwrap_or(u16::MAX);
    out[at..at + 2].copy_from_slice(&length.to_be_bytes());
}

/// RFC 4271 §6.1, in its order.
fn read_header(header: &[u8; HEADER], max_message: usize) -> Result<(MessageType, usize), DecodeError> {
    let &[ref marker @ .., high, low, kind] = header;
    if *marker != MARKER {
        return Err(DecodeError::Marker);
    }
    let found = u16::from_be_bytes([high, low]);
    let length = usize::from(found);
    if length < HEADER || length > max_message {
        return Err(DecodeError::MessageLength { found });
    }
    let kind = MessageType::from_octet(kind).ok_or(DecodeError::MessageType { found: kind })?;
    if !kind.allows(length, max_message) {
        return Err(DecodeError::MessageLength { found });
    }
    Ok((kind, length))
}

impl RouteRefresh {
    /// Reads a whole message whose length is at least 23.
    fn decode(frame: &[u8], context: &Context) -> Result<Self, DecodeError> {
        let ignored = |subtype| Self { family: None, subtype };
        match frame[HEADER..] {
            [high, low, subtype @ 0..=2, safi] => {
                Ok(Self { family: Family::from_afi_safi(u16::from_be_bytes([high, low]), safi), subtype })
            }
            [_, _, 1 | 2, ..] if context.enhanced_refresh => {
                Err(DecodeError::RefreshLength { message: frame.to_vec() })
            }
            [_, _, subtype, ..] => Ok(ignored(subtype)),
            _ => Ok(ignored(0)),
        }
    }
}
