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

/// AS_PATH: segments, the nearest first.
#[derive(Clone, Debug, Default, Eq, Hash, PartialEq)]
pub struct AsPath {
    /// The segments, none empty.
    pub segments: Vec<Segment>,
}

/// One segment.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct Segment {
    /// Its kind.
    pub kind: SegmentKind,
    /// 1 to 255 numbers.
    pub asns: Vec<Asn>,
}

/// What a segment is. AS_SETs never pass the decoder (RFC 9774).
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum SegmentKind {
    /// AS_SEQUENCE.
    Sequence,
}

impl AsPath {
    /// The numbers, the nearest first.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = Asn> {
        self.segments.iter().flat_map(|segment| segment.asns.iter().copied())
    }

    /// What the decision compares (RFC 4271 §9.1.2.2 a).
    pub fn length(&self) -> u32 {
        self.segments.iter().map(|segment| segment.asns.len() as u32).sum()
    }

    /// The AS that the route came from last; `None`: it began in the neighbor's AS (or ours).
    pub fn first(&self) -> Option<Asn> {
        self.iter().next()
    }

    /// The AS where the route began.
    pub fn origin_asn(&self) -> Option<Asn> {
        self.iter().next_back()
    }

    /// Whether an AS stands anywhere in it.
    pub fn contains(&self, asn: Asn) -> bool {
        self.iter().any(|found| found == asn)
    }

    /// How often an AS stands in it.
    pub fn count(&self, asn: Asn) -> usize {
        self.iter().filter(|found| *found == asn).count()
    }

    /// Puts an AS before all others, so many times.
    pub fn prepend(&mut self, asn: Asn, times: u8) {
        let mut times = usize::from(times);
        if let Some(first) = self.segments.first_mut() {
            let fitting = times.min(SEGMENT_MAX.saturating_sub(first.asns.len()));
            first.asns.splice(..0, std::iter::repeat_n(asn, fitting));
            times -= fitting;
        }
        if times > 0 {
            // RFC 4271 §5.1.2 b: a segment that is full gets one before it.
            self.segments.insert(0, Segment { kind: SegmentKind::Sequence, asns: vec![asn; times] });
        }
    }

    /// What an OLD speaker sent, with the numbers that it could not read put back (RFC 6793 §4.2.3).
    pub(super) fn merge(self, as4_path: Self) -> Self {
        match self.length().checked_sub(as4_path.length()) {
            None => self,
            Some(0) => as4_path,
            Some(leading) => self.iter().take(leading as usize).chain(as4_path.iter()).collect(),
        }
    }

    /// Octets on the wire, with so many an AS number.
    pub(super) fn encoded_len(&self, width: AsnWidth) -> usize {
        self.runs().map(|run| 2 + run.len() * width.octets()).sum()
    }

    /// Appends the segments.
    pub(super) fn write(&self, width: AsnWidth, out: &mut BytesMut) {
        for run in self.runs() {
            out.put_u8(AS_SEQUENCE);
            out.put_u8(run.len() as u8); // at most SEGMENT_MAX
            run.iter().for_each(|asn| width.write(*asn, out));
        }
    }

    /// Reads AS_PATH.
    pub(super) fn read(bytes: &[u8], width: AsnWidth) -> Result<Self, AttrFault> {
        let mut path = Self::default();
        for_each_segment(bytes, width, |kind, numbers| match kind {
            AS_SEQUENCE => path.push_sequence(numbers, width),
            AS_SET | AS_CONFED_SET => Err(AttrFault::AsSet), // RFC 9774 §3
            AS_CONFED_SEQUENCE => Err(AttrFault::Confederation),
            found => Err(AttrFault::SegmentType { found }),
        })?;
        Ok(path)
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
        let asns = numbers.chunks_exact(width.octets()).map(read_asn).collect::<Result<_, _>>()?;
        self.segments.push(Segment { kind: SegmentKind::Sequence, asns });
        Ok(())
    }

    /// The segments' numbers in runs that fit a segment.
    fn runs(&self) -> impl Iterator<Item = &[Asn]> {
        self.segments.iter().flat_map(|segment| segment.asns.chunks(SEGMENT_MAX))
    }
}

impl FromIterator<Asn> for AsPath {
    fn from_iter<I: IntoIterator<Item = Asn>>(asns: I) -> Self {
        let asns: Vec<Asn> = asns.into_iter().collect();
        let segment = |run: &[Asn]| Segment { kind: SegmentKind::Sequence, asns: run.to_vec() };
        Self { segments: asns.chunks(SEGMENT_MAX).map(segment).collect() }
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
