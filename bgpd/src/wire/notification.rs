//! NOTIFICATION (RFC 4271 §4.5) and the names of its codes.

use bytes::BytesMut;

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

#[allow(clippy::todo)]
impl Notification {
    /// A NOTIFICATION without data.
    pub const fn new(code: u8, subcode: u8) -> Self {
        Self { code, subcode, data: Vec::new() }
    }

    /// Cease with a shutdown communication (RFC 9003), cut at 255 octets on a character's edge.
    pub fn cease_with_message(subcode: u8, message: &str) -> Self {
        let _ = (subcode, message);
        todo!()
    }

    /// The shutdown communication, where there is one.
    pub fn message(&self) -> Option<&str> {
        todo!()
    }

    /// Name of code and subcode, and the shutdown communication: `Cease/Administrative Shutdown: "bye"`.
    pub fn text(&self) -> String {
        todo!()
    }

    /// Appends the whole message.
    pub fn write(&self, out: &mut BytesMut) {
        let _ = out;
        todo!()
    }
}
