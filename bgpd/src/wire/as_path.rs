//! AS_PATH (RFC 4271 §5.1.2), and its two shapes on the wire (RFC 6793).

use std::fmt;

use bytes::{BufMut, BytesMut};

use super::AttrFault;
use crate::types::Asn;

/// The most numbers that a segment has room for.
const SEGMENT_MAX: usize = 255;

const AS_SET: u8 = 1;
const AS_SEQUENCE: u8 = 2;
const AS_CONFED_SEQUENCE: u8 = 3;
const AS_CONFED_SET: u8 = 4;

/// AS_PATH: the numbers, the nearest first. AS_SETs never pass the decoder (RFC 9774), and where one AS_SEQUENCE ends and
/// the next begins says nothing, so that the numbers are all there is.
#[derive(Clone, Debug, Default, Eq, Hash, PartialEq)]
pub struct AsPath {
    /// The numbers.
    pub asns: Vec<Asn>,
}

impl AsPath {
    /// The numbers, the nearest first.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = Asn> {
        self.asns.iter().copied()
    }

    /// What the decision compares (RFC 4271 §9.1.2.2 a).
    pub fn length(&self) -> u32 {
        self.asns.len() as u32
    }

    /// The AS that the route came from last; `None`: it began in the neighbor's AS (or ours).
    pub fn first(&self) -> Option<Asn> {
        self.asns.first().copied()
    }

    /// The AS where the route began.
    pub fn origin_asn(&self) -> Option<Asn> {
        self.asns.last().copied()
    }

    /// Whether an AS stands anywhere in it.
    pub fn contains(&self, asn: Asn) -> bool {
        self.asns.contains(&asn)
    }

    /// How often an AS stands in it.
    pub fn count(&self, asn: Asn) -> usize {
        self.iter().filter(|found| *found == asn).count()
    }

    /// Puts an AS before all others, so many times.
    pub fn prepend(&mut self, asn: Asn, times: u8) {
        self.asns.splice(..0, std::iter::repeat_n(asn, usize::from(times)));
    }

    /// What an OLD speaker sent, with the numbers that it could not read put back (RFC 6793 §4.2.3).
    pub(super) fn merge(&mut self, as4_path: &Self) {
        if let Some(leading) = self.asns.len().checked_sub(as4_path.asns.len()) {
            self.asns.truncate(leading);
            self.asns.extend_from_slice(&as4_path.asns);
        }
    }

    /// Octets on the wire, with so many an AS number.
    pub(super) fn encoded_len(&self, width: AsnWidth) -> usize {
        2 * self.asns.len().div_ceil(SEGMENT_MAX) + self.asns.len() * width.octets()
    }

    /// Appends it as segments.
    pub(super) fn write(&self, width: AsnWidth, out: &mut BytesMut) {
        for segment in self.asns.chunks(SEGMENT_MAX) {
            out.put_slice(&[AS_SEQUENCE, segment.len() as u8]); // at most SEGMENT_MAX
            segment.iter().for_each(|asn| width.write(*asn, out));
        }
    }

    /// Reads AS_PATH over what is there.
    pub(super) fn read(&mut self, bytes: &[u8], width: AsnWidth) -> Result<(), AttrFault> {
        self.asns.clear();
        for_each_segment(bytes, width, |kind, numbers| match kind {
            AS_SEQUENCE => self.push_sequence(numbers, width),
            AS_SET | AS_CONFED_SET => Err(AttrFault::AsSet), // RFC 9774 §3
            AS_CONFED_SEQUENCE => Err(AttrFault::Confederation),
            found => Err(AttrFault::SegmentType { found }),
        })
    }

    /// Reads AS4_PATH (RFC 6793 §6): one number at least; confederation segments are dropped.
    pub(super) fn read_as4(bytes: &[u8]) -> Result<Self, AttrFault> {
        if bytes.len() < 6 {
            return Err(AttrFault::Length { found: bytes.len() });
        }
        let mut path = Self::default();
        for_each_segment(bytes, AsnWidth::Four, |kind, numbers| match kind {
            AS_SEQUENCE => path.push_sequence(numbers, AsnWidth::Four),
            AS_SET => Err(AttrFault::AsSet), // RFC 9774 §3
            AS_CONFED_SEQUENCE | AS_CONFED_SET => Ok(()),
            found => Err(AttrFault::SegmentType { found }),
        })?;
        Ok(path)
    }

    fn push_sequence(&mut self, numbers: &[u8], width: AsnWidth) -> Result<(), AttrFault> {
        let asn = |number| Asn::new(number).ok_or(AttrFault::ZeroAsn); // RFC 7607 §2
        match width {
            AsnWidth::Four => {
                for octets in numbers.as_chunks().0 {
                    self.asns.push(asn(u32::from_be_bytes(*octets))?);
                }
            }
            AsnWidth::Two => {
                for octets in numbers.as_chunks().0 {
                    self.asns.push(asn(u16::from_be_bytes(*octets).into())?);
                }
            }
        }
        Ok(())
    }
}

impl FromIterator<Asn> for AsPath {
    fn from_iter<I: IntoIterator<Item = Asn>>(asns: I) -> Self {
        Self { asns: asns.into_iter().collect() }
    }
}

/// `64512 64513`; nothing for an empty path.
impl fmt::Display for AsPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, asn) in self.iter().enumerate() {
            if position > 0 {
                f.write_str(" ")?;
            }
            asn.fmt(f)?;
        }
        Ok(())
    }
}

/// How many octets an AS number has on a session (RFC 6793).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum AsnWidth {
    Two,
    Four,
}

impl AsnWidth {
    pub(super) const fn octets(self) -> usize {
        match self {
            Self::Two => 2,
            Self::Four => 4,
        }
    }

    /// Appends a number, AS_TRANS in place of one that does not fit.
    pub(super) fn write(self, asn: Asn, out: &mut BytesMut) {
        match self {
            Self::Two => out.put_u16(u16::try_from(asn.get()).unwrap_or(Asn::TRANS.get() as u16)),
            Self::Four => out.put_u32(asn.get()),
        }
    }
}

/// Calls `take` with the type and the numbers of each segment.
fn for_each_segment(
    mut bytes: &[u8],
    width: AsnWidth,
    mut take: impl FnMut(u8, &[u8]) -> Result<(), AttrFault>,
) -> Result<(), AttrFault> {
    while let Some((&[kind, count], rest)) = bytes.split_first_chunk() {
        let octets = usize::from(count) * width.octets();
        if octets == 0 {
            return Err(AttrFault::SegmentLength); // RFC 7606 §7.2
        }
        let (numbers, rest) = rest.split_at_checked(octets).ok_or(AttrFault::SegmentLength)?;
        take(kind, numbers)?;
        bytes = rest;
    }
    if bytes.is_empty() { Ok(()) } else { Err(AttrFault::SegmentLength) }
}

/// Whether a number does not fit two octets.
pub(super) fn needs_four_octets(asn: Asn) -> bool {
    asn.get() > u32::from(u16::MAX)
}

/// A number of any width.
pub(super) fn read_asn(octets: &[u8]) -> Result<Asn, AttrFault> {
    let number = octets.iter().fold(0, |number, octet| number << 8 | u32::from(*octet));
    Asn::new(number).ok_or(AttrFault::ZeroAsn) // RFC 7607 §2
}
