//! Headers and the choice of the message (RFC 4271 §4.1).

use bytes::BytesMut;

use super::{DecodeError, Notification, Open, Update};
use crate::types::{Asn, Families, Family};

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
    /// `None`: a family this speaker does not carry.
    pub family: Option<Family>,
    /// 0 = request, 1 = begin, 2 = end of an enhanced refresh.
    pub subtype: u8,
}

/// What a session has negotiated, as far as the codec needs it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Context {
    /// Both sides have four-octet AS numbers (RFC 6793).
    pub four_octet_as: bool,
    /// The neighbor is internal.
    pub internal: bool,
    /// The neighbor's AS.
    pub remote_asn: Asn,
    /// Negotiated families; others are ignored and counted (RFC 4760 §7).
    pub families: Families,
    /// RFC 4271 §6.3: the first AS must be the neighbor's. False where [`crate::settings::SessionSettings::enforce_first_asn`] is.
    pub enforce_first_asn: bool,
    /// The longest message either way (RFC 8654).
    pub max_message: usize,
}

/// The length of the message at the front of `buffer`; `None` while its header or body is incomplete. Marker,
/// length and type are checked as soon as the header is there.
#[allow(clippy::todo)]
pub fn frame_length(buffer: &[u8], max_message: usize) -> Result<Option<usize>, DecodeError> {
    let _ = (buffer, max_message);
    todo!()
}

/// Reads one whole message, header included. Before Established `context` matters for nothing but UPDATE.
#[allow(clippy::todo)]
pub fn decode<'a>(frame: &'a [u8], context: &Context) -> Result<Message<'a>, DecodeError> {
    let _ = (frame, context);
    todo!()
}

/// Appends a KEEPALIVE.
#[allow(clippy::todo)]
pub fn write_keepalive(out: &mut BytesMut) {
    let _ = out;
    todo!()
}

/// Appends a ROUTE-REFRESH request.
#[allow(clippy::todo)]
pub fn write_route_refresh(family: Family, out: &mut BytesMut) {
    let _ = (family, out);
    todo!()
}
