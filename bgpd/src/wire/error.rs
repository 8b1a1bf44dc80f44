//! What can be wrong with a message, and what follows (RFC 7606).

use super::Notification;

/// RFC 7606 §2, mildest first. Several errors: the strongest wins (§3(h)), so the rule is `max()`.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Treatment {
    /// The attribute is dropped, the route goes on.
    AttributeDiscard,
    /// The routes of the UPDATE are withdrawn.
    TreatAsWithdraw,
    /// NOTIFICATION, and the session ends.
    SessionReset,
}

/// One thing wrong with the attributes of an UPDATE.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum AttrError {}

impl AttrError {
    /// What follows.
    pub fn treatment(&self) -> Treatment {
        match *self {}
    }
}

/// What ends a session: a message that cannot be read, or an attribute error whose treatment says so.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum DecodeError {}

/// The only place that picks code, subcode and data.
impl From<&DecodeError> for Notification {
    fn from(error: &DecodeError) -> Self {
        match *error {}
    }
}
