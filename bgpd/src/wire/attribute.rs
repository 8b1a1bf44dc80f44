//! One path attribute as bytes, and what the specifications ask of it: a table, one row each.

use std::fmt;

use super::{AttrError, AttrFault, Treatment};

/// Attribute Flags (RFC 4271 §4.3).
pub(super) const OPTIONAL: u8 = 0x80;
pub(super) const TRANSITIVE: u8 = 0x40;
pub(super) const PARTIAL: u8 = 0x20;
pub(super) const EXTENDED_LENGTH: u8 = 0x10;
pub(super) const OPTIONAL_TRANSITIVE: u8 = OPTIONAL | TRANSITIVE;

/// An attribute's type code.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct AttrCode(pub u8);

#[allow(missing_docs)]
impl AttrCode {
    pub const ORIGIN: Self = Self(1);
    pub const AS_PATH: Self = Self(2);
    pub const NEXT_HOP: Self = Self(3);
    pub const MULTI_EXIT_DISC: Self = Self(4);
    pub const LOCAL_PREF: Self = Self(5);
    pub const ATOMIC_AGGREGATE: Self = Self(6);
    pub const AGGREGATOR: Self = Self(7);
    pub const COMMUNITIES: Self = Self(8);
    pub const ORIGINATOR_ID: Self = Self(9);
    pub const CLUSTER_LIST: Self = Self(10);
    pub const MP_REACH_NLRI: Self = Self(14);
    pub const MP_UNREACH_NLRI: Self = Self(15);
    pub const EXTENDED_COMMUNITIES: Self = Self(16);
    pub const AS4_PATH: Self = Self(17);
    pub const AS4_AGGREGATOR: Self = Self(18);
    pub const LARGE_COMMUNITY: Self = Self(32);
    pub const ONLY_TO_CUSTOMER: Self = Self(35);
}

impl AttrCode {
    /// Whether NLRI stand in it, so that nothing can be withdrawn once it cannot be read.
    pub const fn carries_nlri(self) -> bool {
        matches!(self, Self::MP_REACH_NLRI | Self::MP_UNREACH_NLRI)
    }

    /// Whether it is passed on with the Partial bit that it came with (RFC 4271 §5). What is in AS4_PATH and
    /// AS4_AGGREGATOR goes on in other attributes.
    pub(super) const fn keeps_partial(self) -> bool {
        matches!(
            self,
            Self::AGGREGATOR
                | Self::COMMUNITIES
                | Self::EXTENDED_COMMUNITIES
                | Self::LARGE_COMMUNITY
                | Self::ONLY_TO_CUSTOMER
        )
    }
}

impl fmt::Display for AttrCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match descriptor(*self) {
            Some(row) => f.write_str(row.name),
            None => write!(f, "attribute {}", self.0),
        }
    }
}

/// What the specification of an attribute says.
#[derive(Debug)]
pub(super) struct Descriptor {
    pub(super) code: AttrCode,
    pub(super) name: &'static str,
    /// Optional and Transitive as they must be.
    pub(super) flags: u8,
    pub(super) length: Length,
    /// What follows when it is malformed.
    pub(super) malformed: Treatment,
}

/// How long an attribute's value may be.
#[derive(Clone, Copy, Debug)]
pub(super) enum Length {
    /// So many octets.
    Exactly(usize),
    /// Once or more so many octets (RFC 7606 §4: zero is an error).
    Multiple(usize),
    /// An AS number and so many octets.
    AsnAnd(usize),
    /// Its reader says.
    Inside,
}

impl Length {
    /// `asn`: octets of an AS number.
    pub(super) const fn allows(self, found: usize, asn: usize) -> bool {
        match self {
            Self::Exactly(octets) => found == octets,
            Self::Multiple(octets) => found != 0 && found.is_multiple_of(octets),
            Self::AsnAnd(octets) => found == asn + octets,
            Self::Inside => true,
        }
    }
}

/// `None` for an attribute this speaker does not know.
pub(super) fn descriptor(code: AttrCode) -> Option<&'static Descriptor> {
    DESCRIPTORS.get(usize::from(ROWS[usize::from(code.0)]))
}

/// The row of each code; beyond the last: unknown.
static ROWS: [u8; 256] = {
    let mut rows = [u8::MAX; 256];
    let mut row = 0;
    while row < DESCRIPTORS.len() {
        rows[DESCRIPTORS[row].code.0 as usize] = row as u8;
        row += 1;
    }
    rows
};

const fn row(code: AttrCode, name: &'static str, flags: u8, length: Length, malformed: Treatment) -> Descriptor {
    Descriptor { code, name, flags, length, malformed }
}

const WELL_KNOWN: u8 = TRANSITIVE;

use Length::{AsnAnd, Exactly, Inside, Multiple};
use Treatment::{AttributeDiscard, SessionReset, TreatAsWithdraw};

#[rustfmt::skip]
static DESCRIPTORS: [Descriptor; 17] = [
    row(AttrCode::ORIGIN,               "ORIGIN",               WELL_KNOWN,          Exactly(1),   TreatAsWithdraw),  // RFC 7606 §7.1
    row(AttrCode::AS_PATH,              "AS_PATH",              WELL_KNOWN,          Inside,       TreatAsWithdraw),  // §7.2
    row(AttrCode::NEXT_HOP,             "NEXT_HOP",             WELL_KNOWN,          Exactly(4),   TreatAsWithdraw),  // §7.3
    row(AttrCode::MULTI_EXIT_DISC,      "MULTI_EXIT_DISC",      OPTIONAL,            Exactly(4),   TreatAsWithdraw),  // §7.4
    row(AttrCode::LOCAL_PREF,           "LOCAL_PREF",           WELL_KNOWN,          Exactly(4),   TreatAsWithdraw),  // §7.5
    row(AttrCode::ATOMIC_AGGREGATE,     "ATOMIC_AGGREGATE",     WELL_KNOWN,          Exactly(0),   AttributeDiscard), // §7.6
    row(AttrCode::AGGREGATOR,           "AGGREGATOR",           OPTIONAL_TRANSITIVE, AsnAnd(4),    AttributeDiscard), // §7.7
    row(AttrCode::COMMUNITIES,          "COMMUNITIES",          OPTIONAL_TRANSITIVE, Multiple(4),  TreatAsWithdraw),  // §7.8
    row(AttrCode::ORIGINATOR_ID,        "ORIGINATOR_ID",        OPTIONAL,            Exactly(4),   TreatAsWithdraw),  // §7.9
    row(AttrCode::CLUSTER_LIST,         "CLUSTER_LIST",         OPTIONAL,            Multiple(4),  TreatAsWithdraw),  // §7.10
    row(AttrCode::MP_REACH_NLRI,        "MP_REACH_NLRI",        OPTIONAL,            Inside,       SessionReset),     // §7.11
    row(AttrCode::MP_UNREACH_NLRI,      "MP_UNREACH_NLRI",      OPTIONAL,            Inside,       SessionReset),     // §7.12
    row(AttrCode::EXTENDED_COMMUNITIES, "EXTENDED_COMMUNITIES", OPTIONAL_TRANSITIVE, Multiple(8),  TreatAsWithdraw),  // §7.14
    row(AttrCode::AS4_PATH,             "AS4_PATH",             OPTIONAL_TRANSITIVE, Inside,       AttributeDiscard), // RFC 6793 §6
    row(AttrCode::AS4_AGGREGATOR,       "AS4_AGGREGATOR",       OPTIONAL_TRANSITIVE, Exactly(8),   AttributeDiscard), // RFC 6793 §6
    row(AttrCode::LARGE_COMMUNITY,      "LARGE_COMMUNITY",      OPTIONAL_TRANSITIVE, Multiple(12), TreatAsWithdraw),  // RFC 8092 §6
    row(AttrCode::ONLY_TO_CUSTOMER,     "OTC",                  OPTIONAL_TRANSITIVE, Exactly(4),   TreatAsWithdraw),  // RFC 9234 §5
];

/// One attribute, its value not yet read.
#[derive(Clone, Copy, Debug)]
pub(super) struct RawAttribute<'a> {
    pub(super) flags: u8,
    pub(super) code: AttrCode,
    pub(super) value: &'a [u8],
    /// Flags, type, length and value.
    pub(super) whole: &'a [u8],
}

impl RawAttribute<'_> {
    /// Something wrong with it.
    pub(super) fn error(&self, fault: AttrFault) -> AttrError {
        AttrError { code: self.code, fault, attribute: self.whole.to_vec() }
    }

    /// Whether Optional and Transitive are as its specification says. The other bits decide nothing (RFC 7606 §3(c)).
    pub(super) fn flags_are(&self, specified: u8) -> bool {
        self.flags & OPTIONAL_TRANSITIVE == specified
    }
}

/// The attributes in order. The item after which nothing can be told apart is `Err` with the rest, and the last.
#[derive(Clone, Copy, Debug)]
pub(super) struct RawAttributes<'a> {
    rest: &'a [u8],
}

impl<'a> RawAttributes<'a> {
    pub(super) const fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }
}

impl<'a> Iterator for RawAttributes<'a> {
    type Item = Result<RawAttribute<'a>, &'a [u8]>;

    fn next(&mut self) -> Option<Self::Item> {
        let bytes = std::mem::take(&mut self.rest);
        if bytes.is_empty() {
            return None;
        }
        let Some((attribute, rest)) = split_attribute(bytes) else { return Some(Err(bytes)) };
        self.rest = rest;
        Some(Ok(attribute))
    }
}

/// `None`: the length is not there, or leads past the end (RFC 7606 §4).
fn split_attribute(bytes: &[u8]) -> Option<(RawAttribute<'_>, &[u8])> {
    let (header, length) = match *bytes {
        [flags, _, high, low, ..] if flags & EXTENDED_LENGTH != 0 => (4, usize::from(u16::from_be_bytes([high, low]))),
        [flags, _, length, ..] if flags & EXTENDED_LENGTH == 0 => (3, usize::from(length)),
        _ => return None,
    };
    let (whole, rest) = bytes.split_at_checked(header + length)?;
    Some((RawAttribute { flags: whole[0], code: AttrCode(whole[1]), value: &whole[header..], whole }, rest))
}
