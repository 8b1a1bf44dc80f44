//! NOTIFICATION (RFC 4271 §4.5) and the names of its codes.

use std::fmt::Write as _;

use bytes::{BufMut, BytesMut};

use super::message::{MessageType, begin, finish};
use super::{HEADER, MAX_MESSAGE};

const CEASE: u8 = 6;
const ADMINISTRATIVE_SHUTDOWN: u8 = 2;
const ADMINISTRATIVE_RESET: u8 = 4;
const HARD_RESET: u8 = 9;

/// Why a session ends.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct Notification {
    /// Error code.
    pub code: u8,
    /// Error subcode.
    pub subcode: u8,
    /// Data.
    pub data: Vec<u8>,
}

impl Notification {
    /// A NOTIFICATION without data.
    pub const fn new(code: u8, subcode: u8) -> Self {
        Self { code, subcode, data: Vec::new() }
    }

    /// Cease with a shutdown communication (RFC 9003), cut at 255 octets on a character's edge.
    pub fn cease_with_message(subcode: u8, message: &str) -> Self {
        let end = (0..=message.len().min(255)).rev().find(|end| message.is_char_boundary(*end)).unwrap_or(0);
        let mut notification = Self::new(CEASE, subcode);
        if end > 0 {
            notification.data.push(end as u8); // at most 255
            notification.data.extend_from_slice(&message.as_bytes()[..end]);
        }
        notification
    }

    /// The same as a Hard Reset, which carries it (RFC 8538 §3).
    #[must_use]
    pub fn hard_reset(self) -> Self {
        let data = [self.code, self.subcode].into_iter().chain(self.data).collect();
        Self { data, ..Self::new(CEASE, HARD_RESET) }
    }

    /// Whether routes are to be forgotten although N was agreed on.
    pub const fn is_hard_reset(&self) -> bool {
        self.code == CEASE && self.subcode == HARD_RESET
    }

    /// The shutdown communication, where there is one.
    pub fn message(&self) -> Option<&str> {
        if !self.carries_message() {
            return None;
        }
        let (&length, text) = self.data.split_first()?;
        let text = text.get(..usize::from(length)).filter(|text| !text.is_empty())?;
        std::str::from_utf8(text).ok()
    }

    /// Name of code and subcode, and the shutdown communication: `Cease/Administrative Shutdown: "bye"`. One that
    /// cannot be read is shown in hex; what a Hard Reset carries (RFC 8538 §3) stands in parentheses.
    pub fn text(&self) -> String {
        let mut text = self.text_of_this();
        if let (CEASE, HARD_RESET, [code, subcode, data @ ..]) = (self.code, self.subcode, &self.data[..]) {
            let carried = Self { code: *code, subcode: *subcode, data: data.to_vec() };
            let _ = write!(text, " ({})", carried.text_of_this());
        }
        text
    }

    fn text_of_this(&self) -> String {
        let mut text = match (code_name(self.code), subcode_name(self.code, self.subcode)) {
            (Some(code), Some(subcode)) => format!("{code}/{subcode}"),
            (Some(code), None) if self.subcode == 0 => code.to_owned(),
            (Some(code), None) => format!("{code}/{}", self.subcode),
            (None, _) => format!("error {}/{}", self.code, self.subcode),
        };
        if let Some(message) = self.message() {
            let _ = write!(text, ": {message:?}"); // quoted, with control characters escaped: a neighbor wrote it
        } else if self.carries_message() && self.data.first().is_some_and(|length| *length != 0) {
            text.push_str(": 0x");
            text.extend(self.data.iter().map(|octet| format!("{octet:02x}")));
        }
        text
    }

    /// Appends the whole message. Data that it has no room for is cut off.
    pub fn write(&self, out: &mut BytesMut) {
        let start = begin(MessageType::Notification, out);
        out.put_u8(self.code);
        out.put_u8(self.subcode);
        out.put_slice(&self.data[..self.data.len().min(MAX_MESSAGE - HEADER - 2)]);
        finish(start, out);
    }

    /// Reads what follows the header; `None` below two octets.
    pub(super) fn decode(body: &[u8]) -> Option<Self> {
        let (&[code, subcode], data) = body.split_first_chunk()?;
        Some(Self { code, subcode, data: data.to_vec() })
    }

    fn carries_message(&self) -> bool {
        self.code == CEASE && matches!(self.subcode, ADMINISTRATIVE_SHUTDOWN | ADMINISTRATIVE_RESET)
    }
}

const fn code_name(code: u8) -> Option<&'static str> {
    Some(match code {
        1 => "Message Header Error",
        2 => "OPEN Message Error",
        3 => "UPDATE Message Error",
        4 => "Hold Timer Expired",
        5 => "Finite State Machine Error",
        CEASE => "Cease",
        7 => "ROUTE-REFRESH Message Error", // RFC 7313 §5
        8 => "Send Hold Timer Expired",     // RFC 9687 §4
        _ => return None,
    })
}

#[rustfmt::skip]
const fn subcode_name(code: u8, subcode: u8) -> Option<&'static str> {
    Some(match (code, subcode) {
        (1, 1) => "Connection Not Synchronized",
        (1, 2) => "Bad Message Length",
        (1, 3) => "Bad Message Type",

        (2, 1) => "Unsupported Version Number",
        (2, 2) => "Bad Peer AS",
        (2, 3) => "Bad BGP Identifier",
        (2, 4) => "Unsupported Optional Parameter",
        (2, 5) => "Authentication Failure",
        (2, 6) => "Unacceptable Hold Time",
        (2, 7) => "Unsupported Capability", // RFC 5492 §5
        (2, 11) => "Role Mismatch",         // RFC 9234 §4.2

        (3, 1) => "Malformed Attribute List",
        (3, 2) => "Unrecognized Well-known Attribute",
        (3, 3) => "Missing Well-known Attribute",
        (3, 4) => "Attribute Flags Error",
        (3, 5) => "Attribute Length Error",
        (3, 6) => "Invalid ORIGIN Attribute",
        (3, 7) => "AS Routing Loop",
        (3, 8) => "Invalid NEXT_HOP Attribute",
        (3, 9) => "Optional Attribute Error",
        (3, 10) => "Invalid Network Field",
        (3, 11) => "Malformed AS_PATH",

        (5, 1) => "Receive Unexpected Message in OpenSent State", // RFC 6608 §3
        (5, 2) => "Receive Unexpected Message in OpenConfirm State",
        (5, 3) => "Receive Unexpected Message in Established State",

        (CEASE, 1) => "Maximum Number of Prefixes Reached", // RFC 4486 §3
        (CEASE, ADMINISTRATIVE_SHUTDOWN) => "Administrative Shutdown",
        (CEASE, 3) => "Peer De-configured",
        (CEASE, ADMINISTRATIVE_RESET) => "Administrative Reset",
        (CEASE, 5) => "Connection Rejected",
        (CEASE, 6) => "Other Configuration Change",
        (CEASE, 7) => "Connection Collision Resolution",
        (CEASE, 8) => "Out of Resources",
        (CEASE, HARD_RESET) => "Hard Reset", // RFC 8538 §3
        (CEASE, 10) => "BFD Down",           // RFC 9384 §3

        (7, 1) => "Invalid Message Length",
        _ => return None,
    })
}
