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
#[derive(Clone, Debug)]
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
        let mut reader = Reader::new(context);
        for item in RawAttributes::new(self.bytes) {
            match item {
                Ok(attribute) => reader.take(&attribute),
                Err(rest) => reader.errors.push(overrun(rest)),
            }
        }
        reader.finish(self.has_nlri, self.has_mp_nlri)
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
    attributes: PathAttributes,
    next_hop: Option<Ipv4Addr>,
    as_path: Option<AsPath>,
    /// AS_PATH as it came: its first number is judged last, when AS4_PATH is known.
    as_path_bytes: &'a [u8],
    as4_path: Option<AsPath>,
    as4_aggregator: Option<Aggregator>,
    errors: Vec<AttrError>,
}

impl<'a> Reader<'a> {
    fn new(context: &'a Context) -> Self {
        Self {
            context,
            seen: [0; 4],
            attributes: PathAttributes::default(),
            next_hop: None,
            as_path: None,
            as_path_bytes: &[],
            as4_path: None,
            as4_aggregator: None,
            errors: Vec::new(),
        }
    }

    fn take(&mut self, attribute: &RawAttribute<'a>) {
        if self.is_ignored(attribute.code) {
            return;
        }
        if !self.mark_seen(attribute.code) {
            self.errors.push(AttrError::without_bytes(attribute.code, AttrFault::Repeated)); // RFC 7606 §3(g)
        } else if let Err(fault) = self.read(attribute) {
            self.errors.push(attribute.error(fault));
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

    fn width(&self) -> AsnWidth {
        if self.context.four_octet_as { AsnWidth::Four } else { AsnWidth::Two }
    }

    fn read(&mut self, attribute: &RawAttribute<'a>) -> Result<(), AttrFault> {
        let Some(row) = descriptor(attribute.code) else { return self.read_unknown(attribute) };
        if !attribute.flags_are(row.flags) {
            return Err(AttrFault::Flags { found: attribute.flags }); // RFC 7606 §3(c)
        }
        if !row.length.allows(attribute.value.len(), self.width().octets()) {
            return Err(AttrFault::Length { found: attribute.value.len() });
        }
        self.read_value(attribute)?;
        if attribute.flags & PARTIAL != 0 && attribute.code.keeps_partial() {
            self.attributes.partial.insert(attribute.code);
        }
        Ok(())
    }

    /// The value of a known attribute whose length is right.
    fn read_value(&mut self, attribute: &RawAttribute<'a>) -> Result<(), AttrFault> {
        let value = attribute.value;
        match attribute.code {
            AttrCode::ORIGIN => self.attributes.origin = read_origin(value)?,
            AttrCode::AS_PATH => {
                self.as_path = Some(AsPath::read(value, self.width())?);
                self.as_path_bytes = attribute.whole;
            }
            AttrCode::NEXT_HOP => self.next_hop = addresses(value).next(),
            AttrCode::MULTI_EXIT_DISC => self.attributes.med = numbers(value).next(),
            AttrCode::LOCAL_PREF => self.attributes.local_pref = numbers(value).next(),
            AttrCode::ATOMIC_AGGREGATE => self.attributes.atomic_aggregate = true,
            AttrCode::AGGREGATOR => self.attributes.aggregator = Some(read_aggregator(value)?),
            AttrCode::COMMUNITIES => self.attributes.communities = set(numbers(value).map(Community)),
            AttrCode::ORIGINATOR_ID => self.attributes.originator_id = addresses(value).next(),
            AttrCode::CLUSTER_LIST => self.attributes.cluster_list = addresses(value).collect(),
            AttrCode::EXTENDED_COMMUNITIES => self.attributes.extended_communities = set(extended_communities(value)),
            AttrCode::AS4_PATH => self.as4_path = Some(AsPath::read_as4(value)?),
            AttrCode::AS4_AGGREGATOR => self.as4_aggregator = Some(read_aggregator(value)?),
            AttrCode::ONLY_TO_CUSTOMER => self.attributes.only_to_customer = numbers(value).next(),
            AttrCode::LARGE_COMMUNITY => self.attributes.large_communities = set(large_communities(value)),
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
            self.attributes.unknown.push(unknown); // RFC 4271 §5: kept; without Transitive: quietly ignored
        }
        Ok(())
    }

    fn finish(mut self, has_nlri: bool, has_mp_nlri: bool) -> ParsedAttributes {
        let announces = has_nlri || has_mp_nlri;
        self.merge_four_octet_numbers();
        if announces {
            self.check_mandatory(has_nlri);
            self.check_first_asn();
        }
        self.attributes.as_path = self.as_path.unwrap_or_default();
        self.attributes.unknown.sort_unstable_by_key(|attribute| attribute.code);
        ParsedAttributes { attributes: self.attributes, next_hop: self.next_hop, errors: self.errors, announces }
    }

    /// RFC 6793 §4.2.3.
    fn merge_four_octet_numbers(&mut self) {
        if let (Some(aggregator), Some(as4_aggregator)) = (&mut self.attributes.aggregator, self.as4_aggregator) {
            if aggregator.asn != Asn::TRANS {
                return; // somebody who reads two octets wrote it since
            }
            *aggregator = as4_aggregator;
        }
        if let Some(as4_path) = self.as4_path.take() {
            self.as_path = self.as_path.take().map(|path| path.merge(as4_path));
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
                self.errors.push(AttrError::without_bytes(code, AttrFault::Missing));
            }
        }
    }

    /// RFC 4271 §6.3, RFC 7606 §7.2.
    fn check_first_asn(&mut self) {
        let Some(path) = self.as_path.as_ref().filter(|_| self.context.enforce_first_asn && !self.context.internal)
        else {
            return;
        };
        let found = path.first();
        if found != Some(self.context.remote_asn) {
            let attribute = self.as_path_bytes.to_vec();
            self.errors.push(AttrError { code: AttrCode::AS_PATH, fault: AttrFault::FirstAsn { found }, attribute });
        }
    }
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
fn set<T: Ord>(items: impl Iterator<Item = T>) -> Vec<T> {
    let mut items: Vec<T> = items.collect();
    items.sort_unstable();
    items.dedup();
    items
}
