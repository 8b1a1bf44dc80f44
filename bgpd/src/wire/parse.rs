//! Path attributes from bytes, every fault with its RFC 7606 treatment.

use std::net::Ipv4Addr;

use super::as_path::{AsnWidth, read_asn};
use super::attribute::{OPTIONAL, PARTIAL, RawAttribute, RawAttributes, TRANSITIVE, descriptor};
use super::{
    Aggregator, AsPath, AttrCode, AttrError, AttrFault, AttributeBytes, Context, DecodeError, Origin, PathAttributes,
    Treatment, UnknownAttribute,
};
use crate::types::{Asn, Community, ExtendedCommunity, LargeCommunity};

/// What came of reading path attributes.
#[derive(Clone, Debug, Default)]
pub struct ParsedAttributes {
    /// Meaningful unless [`ParsedAttributes::treatment`] is stronger than attribute discard.
    pub attributes: PathAttributes,
    /// NEXT_HOP, where it stood.
    pub next_hop: Option<Ipv4Addr>,
    /// Everything that was wrong, in order.
    pub errors: Vec<AttrError>,
    /// The UPDATE announces something. Else there is nothing to withdraw instead, and an error that asks for it
    /// ends the session (RFC 7606 §5.2).
    pub announces: bool,
}

impl ParsedAttributes {
    /// The strongest of the errors (RFC 7606 §3(h)); `None` without errors.
    pub fn treatment(&self) -> Option<Treatment> {
        self.errors.iter().map(|error| self.treatment_of(error)).max()
    }

    /// The first error that ends the session, where one does.
    pub fn reset(&self) -> Option<DecodeError> {
        let ends = |error: &&AttrError| self.treatment_of(error) == Treatment::SessionReset;
        self.errors.iter().find(ends).cloned().map(DecodeError::Attribute)
    }

    fn treatment_of(&self, error: &AttrError) -> Treatment {
        match error.treatment() {
            Treatment::TreatAsWithdraw if !self.announces => Treatment::SessionReset, // RFC 7606 §5.2
            treatment => treatment,
        }
    }
}

impl AttributeBytes<'_> {
    /// Reads them. What the message announces says which of them must be there (RFC 7606 §3(d)). Missing LOCAL_PREF
    /// from an internal neighbor is an error; LOCAL_PREF from an external one is dropped.
    pub fn parse(&self, context: &Context) -> ParsedAttributes {
        let mut parsed = ParsedAttributes::default();
        self.parse_into(context, &mut parsed);
        parsed
    }

    /// As [`AttributeBytes::parse`], over what is there and with its memory.
    pub fn parse_into(&self, context: &Context, parsed: &mut ParsedAttributes) {
        parsed.attributes.clear();
        parsed.next_hop = None;
        parsed.errors.clear();
        parsed.announces = self.has_nlri || self.has_mp_nlri;
        let mut reader = Reader::new(context, parsed);
        for item in RawAttributes::new(self.bytes) {
            match item {
                Ok(attribute) => reader.take(&attribute),
                Err(rest) => reader.parsed.errors.push(overrun(rest)),
            }
        }
        reader.finish(self.has_nlri);
    }
}

fn overrun(rest: &[u8]) -> AttrError {
    let code = AttrCode(rest.get(1).copied().unwrap_or(0));
    AttrError { code, fault: AttrFault::Overrun, attribute: rest.to_vec() }
}

/// What is read so far.
struct Reader<'a> {
    context: &'a Context,
    /// One bit a code.
    seen: [u64; 4],
    parsed: &'a mut ParsedAttributes,
    /// AS_PATH as it came, once it is read: its first number is judged last, when AS4_PATH is known.
    as_path: Option<&'a [u8]>,
    as4_path: Option<AsPath>,
    as4_aggregator: Option<Aggregator>,
}

impl<'a> Reader<'a> {
    fn new(context: &'a Context, parsed: &'a mut ParsedAttributes) -> Self {
        Self { context, seen: [0; 4], parsed, as_path: None, as4_path: None, as4_aggregator: None }
    }

    fn take(&mut self, attribute: &RawAttribute<'a>) {
        if self.is_ignored(attribute.code) {
            return;
        }
        if !self.mark_seen(attribute.code) {
            self.parsed.errors.push(attribute.error(AttrFault::Repeated)); // RFC 7606 §3(g)
        } else if let Err(fault) = self.read(attribute) {
            self.parsed.errors.push(attribute.error(fault));
        }
    }

    /// Attributes that mean nothing from this neighbor, whatever is in them.
    fn is_ignored(&self, code: AttrCode) -> bool {
        match code {
            // RFC 7606 §7.5, §7.9, §7.10
            AttrCode::LOCAL_PREF | AttrCode::ORIGINATOR_ID | AttrCode::CLUSTER_LIST => !self.context.internal,
            AttrCode::AS4_PATH | AttrCode::AS4_AGGREGATOR => self.context.four_octet_as, // RFC 6793 §4.1
            _ => false,
        }
    }

    /// Whether this is the first time.
    fn mark_seen(&mut self, code: AttrCode) -> bool {
        let word = &mut self.seen[usize::from(code.0 / 64)];
        let bit = 1 << (code.0 % 64);
        let first = *word & bit == 0;
        *word |= bit;
        first
    }

    fn has_seen(&self, code: AttrCode) -> bool {
        self.seen[usize::from(code.0 / 64)] & 1 << (code.0 % 64) != 0
    }

    fn read(&mut self, attribute: &RawAttribute<'a>) -> Result<(), AttrFault> {
        let Some(row) = descriptor(attribute.code) else { return self.read_unknown(attribute) };
        if !attribute.flags_are(row.flags) {
            return Err(AttrFault::Flags { found: attribute.flags }); // RFC 7606 §3(c)
        }
        if !row.length.allows(attribute.value.len(), width(self.context).octets()) {
            return Err(AttrFault::Length { found: attribute.value.len() });
        }
        self.read_value(attribute)?;
        if attribute.flags & PARTIAL != 0 && attribute.code.keeps_partial() {
            self.parsed.attributes.partial.insert(attribute.code);
        }
        Ok(())
    }

    /// The value of a known attribute whose length is right.
    fn read_value(&mut self, attribute: &RawAttribute<'a>) -> Result<(), AttrFault> {
        let value = attribute.value;
        let attributes = &mut self.parsed.attributes;
        match attribute.code {
            AttrCode::ORIGIN => attributes.origin = read_origin(value)?,
            AttrCode::AS_PATH => {
                attributes.as_path.read(value, width(self.context))?;
                self.as_path = Some(attribute.whole);
            }
            AttrCode::NEXT_HOP => self.parsed.next_hop = addresses(value).next(),
            AttrCode::MULTI_EXIT_DISC => attributes.med = numbers(value).next(),
            AttrCode::LOCAL_PREF => attributes.local_pref = numbers(value).next(),
            AttrCode::ATOMIC_AGGREGATE => attributes.atomic_aggregate = true,
            AttrCode::AGGREGATOR => attributes.aggregator = Some(read_aggregator(value)?),
            AttrCode::COMMUNITIES => fill(&mut attributes.communities, numbers(value).map(Community)),
            AttrCode::ORIGINATOR_ID => attributes.originator_id = addresses(value).next(),
            AttrCode::CLUSTER_LIST => attributes.cluster_list.extend(addresses(value)),
            AttrCode::EXTENDED_COMMUNITIES => {
                fill(&mut attributes.extended_communities, extended_communities(value));
            }
            AttrCode::AS4_PATH => self.as4_path = Some(AsPath::read_as4(value)?),
            AttrCode::AS4_AGGREGATOR => self.as4_aggregator = Some(read_aggregator(value)?),
            AttrCode::ONLY_TO_CUSTOMER => attributes.only_to_customer = numbers(value).next(),
            AttrCode::LARGE_COMMUNITY => fill(&mut attributes.large_communities, large_communities(value)),
            _ => {} // MP_REACH_NLRI and MP_UNREACH_NLRI: read when the UPDATE was
        }
        Ok(())
    }

    fn read_unknown(&mut self, attribute: &RawAttribute<'_>) -> Result<(), AttrFault> {
        if attribute.flags & OPTIONAL == 0 {
            return Err(AttrFault::UnknownWellKnown); // RFC 4271 §6.3
        }
        if attribute.flags & TRANSITIVE != 0 {
            let unknown = UnknownAttribute { code: attribute.code.0, value: attribute.value.to_vec() };
            self.parsed.attributes.unknown.push(unknown); // RFC 4271 §5: kept; without Transitive: quietly ignored
        }
        Ok(())
    }

    fn finish(mut self, has_nlri: bool) {
        self.merge_four_octet_numbers();
        if self.parsed.announces {
            self.check_mandatory(has_nlri);
            self.check_first_asn();
        }
        self.parsed.attributes.unknown.sort_unstable_by_key(|attribute| attribute.code);
    }

    /// RFC 6793 §4.2.3.
    fn merge_four_octet_numbers(&mut self) {
        let attributes = &mut self.parsed.attributes;
        if let (Some(aggregator), Some(as4_aggregator)) = (&mut attributes.aggregator, self.as4_aggregator) {
            if aggregator.asn != Asn::TRANS {
                return; // somebody who reads two octets wrote it since
            }
            *aggregator = as4_aggregator;
        }
        if let (Some(_), Some(as4_path)) = (self.as_path, &self.as4_path) {
            attributes.as_path.merge(as4_path);
        }
    }

    /// RFC 7606 §3(d); RFC 4271 §5.1.3: NEXT_HOP belongs to the message's own field; §5.1.5: LOCAL_PREF.
    fn check_mandatory(&mut self, has_nlri: bool) {
        let mandatory = [
            (AttrCode::ORIGIN, true),
            (AttrCode::AS_PATH, true),
            (AttrCode::NEXT_HOP, has_nlri),
            (AttrCode::LOCAL_PREF, self.context.internal),
        ];
        for (code, needed) in mandatory {
            if needed && !self.has_seen(code) {
                self.parsed.errors.push(AttrError::without_bytes(code, AttrFault::Missing));
            }
        }
    }

    /// RFC 4271 §6.3, RFC 7606 §7.2.
    fn check_first_asn(&mut self) {
        let Some(as_path) = self.as_path.filter(|_| self.context.enforce_first_asn && !self.context.internal) else {
            return;
        };
        let found = self.parsed.attributes.as_path.first();
        if found != Some(self.context.remote_asn) {
            let attribute = as_path.to_vec();
            self.parsed.errors.push(AttrError {
                code: AttrCode::AS_PATH,
                fault: AttrFault::FirstAsn { found },
                attribute,
            });
        }
    }
}

/// How many octets an AS number has on the session.
const fn width(context: &Context) -> AsnWidth {
    if context.four_octet_as { AsnWidth::Four } else { AsnWidth::Two }
}

fn read_origin(value: &[u8]) -> Result<Origin, AttrFault> {
    match value {
        [0] => Ok(Origin::Igp),
        [1] => Ok(Origin::Egp),
        [2] => Ok(Origin::Incomplete),
        [found] => Err(AttrFault::Origin { found: *found }),
        _ => Err(AttrFault::Length { found: value.len() }),
    }
}

fn read_aggregator(value: &[u8]) -> Result<Aggregator, AttrFault> {
    let (asn, address) = value.split_last_chunk::<4>().ok_or(AttrFault::Length { found: value.len() })?;
    Ok(Aggregator { asn: read_asn(asn)?, address: Ipv4Addr::from(*address) })
}

fn numbers(value: &[u8]) -> impl Iterator<Item = u32> {
    value.as_chunks().0.iter().map(|octets| u32::from_be_bytes(*octets))
}

fn addresses(value: &[u8]) -> impl Iterator<Item = Ipv4Addr> {
    numbers(value).map(Ipv4Addr::from_bits)
}

fn extended_communities(value: &[u8]) -> impl Iterator<Item = ExtendedCommunity> {
    value.as_chunks().0.iter().map(|octets| ExtendedCommunity(u64::from_be_bytes(*octets)))
}

fn large_communities(value: &[u8]) -> impl Iterator<Item = LargeCommunity> {
    value.as_chunks::<12>().0.iter().map(|octets| {
        let [global, local1, local2] = [0, 4, 8].map(|at| numbers(&octets[at..]).next().unwrap_or_default());
        LargeCommunity { global, local1, local2 }
    })
}

/// Sorted, without repetition.
fn fill<T: Ord>(set: &mut Vec<T>, items: impl Iterator<Item = T>) {
    set.extend(items);
    set.sort_unstable();
    set.dedup();
}
