//! What can be wrong with a message, and what follows (RFC 7606).

use std::error::Error;
use std::fmt;

use super::Notification;
use super::attribute::{AttrCode, descriptor};
use crate::types::Asn;

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
pub struct AttrError {
    /// Whose attribute.
    pub code: AttrCode,
    /// What is wrong.
    pub fault: AttrFault,
    /// The attribute as it came: flags, type, length and value. Empty where there is none to show.
    pub attribute: Vec<u8>,
}

/// What can be wrong with an attribute.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum AttrFault {
    /// It does not end before the attributes do, or its length is not there (RFC 7606 §4).
    Overrun,
    /// It came before (RFC 7606 §3(g)).
    Repeated,
    /// It is not there (RFC 7606 §3(d)).
    Missing,
    /// Its Optional bit is clear, and this speaker does not know it (RFC 4271 §6.3).
    UnknownWellKnown,
    /// Its Optional or Transitive bit is not what its specification says (RFC 7606 §3(c)).
    Flags {
        /// The flags.
        found: u8,
    },
    /// Its length is not what its specification says.
    Length {
        /// In octets.
        found: usize,
    },
    /// No such ORIGIN.
    Origin {
        /// The value.
        found: u8,
    },
    /// No such path segment type.
    SegmentType {
        /// The type.
        found: u8,
    },
    /// A path segment is empty, or longer than its attribute.
    SegmentLength,
    /// AS_SET or AS_CONFED_SET (RFC 9774 §3).
    AsSet,
    /// AS_CONFED_SEQUENCE from a neighbor outside any confederation (RFC 5065 §5).
    Confederation,
    /// AS 0 (RFC 7607 §2).
    ZeroAsn,
    /// The path does not begin with the neighbor's AS (RFC 4271 §6.3).
    FirstAsn {
        /// What it begins with; `None`: it is empty.
        found: Option<Asn>,
    },
    /// The next hop in MP_REACH_NLRI is of another length than its family has (RFC 7606 §7.11).
    NextHopLength {
        /// In octets.
        found: u8,
    },
    /// The NLRI in MP_REACH_NLRI or MP_UNREACH_NLRI cannot be told apart (RFC 7606 §5.3).
    Nlri,
}

/// What ends a session: a message that cannot be read, or an attribute error whose treatment says so.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum DecodeError {
    /// The marker is not all ones.
    Marker,
    /// The length is none that its message can have.
    MessageLength {
        /// The length field.
        found: u16,
    },
    /// No such message.
    MessageType {
        /// The type field.
        found: u8,
    },
    /// A length inside an OPEN does not fit, or the four-octet AS capability is not four octets.
    OpenMalformed,
    /// Not BGP-4.
    Version {
        /// The version field.
        found: u8,
    },
    /// The neighbor's AS is 0 (RFC 7607 §2).
    ZeroAsn,
    /// The BGP Identifier is 0.0.0.0 (RFC 6286 §2.2).
    ZeroIdentifier,
    /// An optional parameter other than capabilities.
    OptionalParameter {
        /// Its type.
        found: u8,
    },
    /// The fields of an UPDATE are longer than the UPDATE (RFC 7606 §3(b)).
    UpdateLengths,
    /// Withdrawn routes or NLRI cannot be told apart (RFC 7606 §5.3).
    NetworkField,
    /// An attribute error that ends the session.
    Attribute(AttrError),
    /// Begin or end of a route refresh that is not four octets (RFC 7313 §5).
    RefreshLength {
        /// The whole message, header included.
        message: Vec<u8>,
    },
}

impl AttrError {
    pub(super) const fn without_bytes(code: AttrCode, fault: AttrFault) -> Self {
        Self { code, fault, attribute: Vec::new() }
    }

    /// What follows, when the UPDATE announces something (else see [`super::ParsedAttributes::treatment`]).
    pub fn treatment(&self) -> Treatment {
        match self.fault {
            AttrFault::Repeated if self.code.carries_nlri() => Treatment::SessionReset, // RFC 7606 §3(g)
            AttrFault::Repeated => Treatment::AttributeDiscard,                         // §3(g)
            AttrFault::UnknownWellKnown => Treatment::SessionReset,                     // RFC 4271 §6.3
            AttrFault::Flags { .. } => Treatment::TreatAsWithdraw,                      // RFC 7606 §3(c)
            AttrFault::Missing => Treatment::TreatAsWithdraw,                           // §3(d)
            AttrFault::Overrun => Treatment::TreatAsWithdraw,                           // §4
            AttrFault::AsSet => Treatment::TreatAsWithdraw,                             // RFC 9774 §3
            // RFC 7607 §2: the numbers of AS4_PATH become the path's, so AS 0 weighs as much there.
            AttrFault::ZeroAsn if self.code == AttrCode::AS4_PATH => Treatment::TreatAsWithdraw,
            // RFC 7606 §7, a row each.
            _ => descriptor(self.code).map_or(Treatment::TreatAsWithdraw, |row| row.malformed),
        }
    }

    /// The subcode of UPDATE Message Error, and its data (RFC 4271 §6.3).
    fn subcode_and_data(&self) -> (u8, Vec<u8>) {
        let optional_attribute = self.code.carries_nlri();
        match self.fault {
            AttrFault::Overrun | AttrFault::Repeated => (1, Vec::new()),
            AttrFault::UnknownWellKnown => (2, self.attribute.clone()),
            AttrFault::Missing => (3, vec![self.code.0]),
            AttrFault::Flags { .. } => (4, self.attribute.clone()),
            AttrFault::Length { .. } if !optional_attribute => (5, self.attribute.clone()),
            AttrFault::Origin { .. } => (6, self.attribute.clone()),
            AttrFault::Length { .. } | AttrFault::NextHopLength { .. } | AttrFault::Nlri => (9, self.attribute.clone()),
            AttrFault::SegmentType { .. }
            | AttrFault::SegmentLength
            | AttrFault::AsSet
            | AttrFault::Confederation
            | AttrFault::ZeroAsn
            | AttrFault::FirstAsn { .. } => (11, Vec::new()), // RFC 4271 §6.3 names no data
        }
    }
}

/// The only place that picks code, subcode and data.
impl From<&DecodeError> for Notification {
    fn from(error: &DecodeError) -> Self {
        let (code, subcode, data) = match error {
            DecodeError::Marker => (1, 1, Vec::new()),
            DecodeError::MessageLength { found } => (1, 2, found.to_be_bytes().to_vec()),
            DecodeError::MessageType { found } => (1, 3, vec![*found]),
            DecodeError::OpenMalformed => (2, 0, Vec::new()),
            DecodeError::Version { .. } => (2, 1, 4_u16.to_be_bytes().to_vec()), // RFC 4271 §6.2: what we do speak
            DecodeError::ZeroAsn => (2, 2, Vec::new()),
            DecodeError::ZeroIdentifier => (2, 3, Vec::new()),
            DecodeError::OptionalParameter { .. } => (2, 4, Vec::new()),
            DecodeError::UpdateLengths => (3, 1, Vec::new()),
            DecodeError::NetworkField => (3, 10, Vec::new()),
            DecodeError::Attribute(error) => {
                let (subcode, data) = error.subcode_and_data();
                (3, subcode, data)
            }
            DecodeError::RefreshLength { message } => (7, 1, message.clone()),
        };
        Self { code, subcode, data }
    }
}

impl fmt::Display for Treatment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::AttributeDiscard => "attribute discard",
            Self::TreatAsWithdraw => "treat-as-withdraw",
            Self::SessionReset => "session reset",
        })
    }
}

impl fmt::Display for AttrError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.code, self.fault)
    }
}

impl fmt::Display for AttrFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Overrun => f.write_str("is longer than the attributes"),
            Self::Repeated => f.write_str("is there more than once"),
            Self::Missing => f.write_str("is missing"),
            Self::UnknownWellKnown => f.write_str("is well-known, but not to this speaker"),
            Self::Flags { found } => write!(f, "has flags {found:#04x}, which it may not have"),
            Self::Length { found } => write!(f, "has {found} octets, which it may not have"),
            Self::Origin { found } => write!(f, "is {found}, allowed are 0, 1 and 2"),
            Self::SegmentType { found } => write!(f, "has a segment of type {found}, allowed is 2 (AS_SEQUENCE)"),
            Self::SegmentLength => f.write_str("has a segment that is empty or longer than the attribute"),
            Self::AsSet => f.write_str("has an AS_SET, which RFC 9774 no longer allows"),
            Self::Confederation => f.write_str("has a confederation segment, but the neighbor is in none of ours"),
            Self::ZeroAsn => f.write_str("has AS 0"),
            Self::FirstAsn { found: Some(found) } => write!(f, "begins with AS {found}, not with the neighbor's"),
            Self::FirstAsn { found: None } => f.write_str("is empty, but must begin with the neighbor's AS"),
            Self::NextHopLength { found } => write!(f, "has a next hop of {found} octets, which its family has not"),
            Self::Nlri => f.write_str("has NLRI that do not end where it ends"),
        }
    }
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Marker => f.write_str("the marker is not all ones"),
            Self::MessageLength { found } => write!(f, "a length of {found} octets is not allowed for this message"),
            Self::MessageType { found } => write!(f, "message type {found} is not known, allowed are 1 to 5"),
            Self::OpenMalformed => f.write_str("the OPEN's optional parameters do not fit their lengths"),
            Self::Version { found } => write!(f, "version {found} is not spoken here, allowed is 4"),
            Self::ZeroAsn => f.write_str("the neighbor's AS is 0"),
            Self::ZeroIdentifier => f.write_str("the neighbor's BGP Identifier is 0.0.0.0"),
            Self::OptionalParameter { found } => {
                write!(f, "optional parameter {found} is not known, allowed is 2 (capabilities)")
            }
            Self::UpdateLengths => f.write_str("the UPDATE's fields are longer than the UPDATE"),
            Self::NetworkField => f.write_str("the prefixes of the UPDATE do not end where their field ends"),
            Self::Attribute(error) => error.fmt(f),
            Self::RefreshLength { message } => {
                write!(f, "a ROUTE-REFRESH of {} octets is not allowed for its subtype", message.len())
            }
        }
    }
}

impl Error for AttrError {}
impl Error for DecodeError {}
