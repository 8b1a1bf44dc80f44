//! UPDATE (RFC 4271 §4.3, RFC 4760): located without copying, attributes read only when asked.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::attribute::{OPTIONAL, RawAttribute, RawAttributes};
use super::{AttrCode, AttrError, AttrFault, Context, DecodeError, Nlri};
use crate::types::Family;

/// An UPDATE whose parts are located and whose NLRI are checked.
#[derive(Clone, Debug)]
pub struct Update<'a> {
    /// Withdrawn IPv4 routes of the message's own field.
    pub withdrawn: Nlri<'a>,
    /// Withdrawn routes of MP_UNREACH_NLRI, where negotiated.
    pub mp_withdrawn: Option<Nlri<'a>>,
    /// IPv4 routes of the message's own field; their next hop is NEXT_HOP.
    pub nlri: Nlri<'a>,
    /// Routes of MP_REACH_NLRI, where negotiated, with their next hop.
    pub mp_nlri: Option<(MpNextHop, Nlri<'a>)>,
    /// The path attributes, not yet read.
    pub attributes: AttributeBytes<'a>,
    /// A family that was not negotiated stood in the message and was ignored.
    pub ignored_family: bool,
}

/// The next hop of MP_REACH_NLRI: 4, 16 or 32 octets (RFC 4760 §3, RFC 2545 §3, RFC 8950).
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct MpNextHop {
    /// The (global) address.
    pub address: IpAddr,
    /// The link-local address that came with it.
    pub link_local: Option<Ipv6Addr>,
}

/// The path attributes as bytes, and what the rest of their message has to do with them.
#[derive(Clone, Copy, Debug)]
pub struct AttributeBytes<'a> {
    /// The whole field; lengths not trusted.
    pub(super) bytes: &'a [u8],
    /// The message's own field has NLRI.
    pub(super) has_nlri: bool,
    /// MP_REACH_NLRI has NLRI, of a negotiated family or not.
    pub(super) has_mp_nlri: bool,
    /// MP_REACH_NLRI or MP_UNREACH_NLRI is among them.
    has_mp: bool,
    /// One of these has wrong flags.
    has_wrong_mp_flags: bool,
}

impl<'a> Update<'a> {
    /// Reads what follows the header.
    pub(super) fn decode(body: &'a [u8], context: &Context) -> Result<Self, DecodeError> {
        let (withdrawn, rest) = length_prefixed(body)?;
        let (attributes, nlri) = length_prefixed(rest)?;
        let has_ids = context.paths_received.ipv4;
        let withdrawn = Nlri::check(Family::Ipv4, has_ids, withdrawn).ok_or(DecodeError::NetworkField)?;
        let nlri = Nlri::check(Family::Ipv4, has_ids, nlri).ok_or(DecodeError::NetworkField)?;
        let mut update = Self {
            withdrawn,
            mp_withdrawn: None,
            nlri,
            mp_nlri: None,
            attributes: AttributeBytes::new(attributes, !nlri.is_empty()),
            ignored_family: false,
        };
        if !context.families.ipv4 {
            update.ignore_own_fields();
        }
        update.locate_mp(context).map_err(DecodeError::Attribute)?;
        Ok(update)
    }

    /// The family whose End-of-RIB this is (RFC 4724 §2).
    pub fn end_of_rib(&self) -> Option<Family> {
        if self.ignored_family || !self.withdrawn.is_empty() || !self.nlri.is_empty() {
            return None;
        }
        match self.mp_withdrawn {
            None if self.attributes.bytes.is_empty() => Some(Family::Ipv4),
            Some(nlri) if nlri.is_empty() && RawAttributes::new(self.attributes.bytes).count() == 1 => {
                Some(nlri.family)
            }
            _ => None,
        }
    }

    /// RFC 4760 §8: without IPv4 unicast the message's own fields have nothing to say.
    fn ignore_own_fields(&mut self) {
        self.ignored_family = !self.withdrawn.is_empty() || !self.nlri.is_empty();
        self.withdrawn = Nlri::empty(Family::Ipv4);
        self.nlri = Nlri::empty(Family::Ipv4);
    }

    /// Finds MP_REACH_NLRI and MP_UNREACH_NLRI. What comes behind an attribute that overruns cannot be found; that
    /// it overruns is for [`AttributeBytes::parse`] to say.
    fn locate_mp(&mut self, context: &Context) -> Result<(), AttrError> {
        let mut seen_reach = false;
        let mut seen_unreach = false;
        for attribute in RawAttributes::new(self.attributes.bytes).flatten().filter(|found| found.code.carries_nlri()) {
            let reach = attribute.code == AttrCode::MP_REACH_NLRI;
            let seen = if reach { &mut seen_reach } else { &mut seen_unreach };
            if std::mem::replace(seen, true) {
                return Err(AttrError::without_bytes(attribute.code, AttrFault::Repeated)); // RFC 7606 §3(g)
            }
            self.attributes.has_mp = true;
            self.attributes.has_wrong_mp_flags |= !attribute.flags_are(OPTIONAL);
            let read =
                if reach { self.take_reach(&attribute, context) } else { self.take_unreach(&attribute, context) };
            read.map_err(|fault| attribute.error(fault))?;
        }
        Ok(())
    }

    fn take_reach(&mut self, attribute: &RawAttribute<'a>, context: &Context) -> Result<(), AttrFault> {
        let short = AttrFault::Length { found: attribute.value.len() };
        let (family, rest) = split_family(attribute.value).ok_or(short)?;
        let (&length, rest) = rest.split_first().ok_or(short)?;
        let next_hop_length = AttrFault::NextHopLength { found: length };
        let (next_hop, rest) = rest.split_at_checked(usize::from(length)).ok_or(next_hop_length)?;
        let (_reserved, nlri) = rest.split_first().ok_or(short)?; // RFC 4760 §3: ignored
        self.attributes.has_mp_nlri = !nlri.is_empty();
        match family.filter(|family| context.families.contains(*family)) {
            Some(family) => {
                let next_hop = MpNextHop::read(family, next_hop).ok_or(next_hop_length)?;
                self.mp_nlri = Some((
                    next_hop,
                    Nlri::check(family, context.paths_received.contains(family), nlri).ok_or(AttrFault::Nlri)?,
                ));
            }
            None => self.ignored_family = true, // RFC 4760 §7
        }
        Ok(())
    }

    fn take_unreach(&mut self, attribute: &RawAttribute<'a>, context: &Context) -> Result<(), AttrFault> {
        let short = AttrFault::Length { found: attribute.value.len() };
        let (family, nlri) = split_family(attribute.value).ok_or(short)?;
        match family.filter(|family| context.families.contains(*family)) {
            Some(family) => {
                self.mp_withdrawn =
                    Some(Nlri::check(family, context.paths_received.contains(family), nlri).ok_or(AttrFault::Nlri)?)
            }
            None => self.ignored_family = true, // RFC 4760 §7
        }
        Ok(())
    }
}

impl From<IpAddr> for MpNextHop {
    fn from(address: IpAddr) -> Self {
        Self { address, link_local: None }
    }
}

impl MpNextHop {
    /// `None` where the family has no next hop of that length.
    fn read(family: Family, octets: &[u8]) -> Option<Self> {
        if let Ok(octets) = <[u8; 4]>::try_from(octets) {
            let address = IpAddr::V4(Ipv4Addr::from(octets));
            return (family == Family::Ipv4).then_some(Self { address, link_local: None });
        }
        let (global, rest) = octets.split_first_chunk::<16>()?;
        let link_local = match rest.len() {
            0 => None,
            // RFC 2545 §3: the second address is link-local; anything else in its place says nothing.
            16 => {
                rest.first_chunk::<16>().map(|octets| Ipv6Addr::from(*octets)).filter(Ipv6Addr::is_unicast_link_local)
            }
            _ => return None,
        };
        Some(Self { address: IpAddr::V6(Ipv6Addr::from(*global)), link_local })
    }
}

impl<'a> AttributeBytes<'a> {
    const fn new(bytes: &'a [u8], has_nlri: bool) -> Self {
        Self { bytes, has_nlri, has_mp_nlri: false, has_mp: false, has_wrong_mp_flags: false }
    }

    /// Attributes by what [`AttributeBytes::key`] wrote, to be read again. Nothing for anything else.
    pub fn from_key(key: &'a [u8]) -> Self {
        let (flags, bytes) = key.split_first().map_or((0, key), |(flags, bytes)| (*flags, bytes));
        Self { has_mp_nlri: flags & 2 != 0, has_wrong_mp_flags: flags & 4 != 0, ..Self::new(bytes, flags & 1 != 0) }
    }

    /// The key under which equal attribute sets are the same: all attributes as they came, but MP_REACH_NLRI and
    /// MP_UNREACH_NLRI, and what else decides about them. Appends to `key`; a second UPDATE with the same key, read
    /// in the same context, parses to the same attributes and treatment.
    pub fn key(&self, key: &mut Vec<u8>) {
        key.push(u8::from(self.has_nlri) | u8::from(self.has_mp_nlri) << 1 | u8::from(self.has_wrong_mp_flags) << 2);
        if !self.has_mp {
            key.extend_from_slice(self.bytes);
            return;
        }
        for item in RawAttributes::new(self.bytes) {
            match item {
                Ok(attribute) if attribute.code.carries_nlri() => {}
                Ok(attribute) => key.extend_from_slice(attribute.whole),
                Err(rest) => key.extend_from_slice(rest),
            }
        }
    }
}

/// A two-octet length, so many octets, and the rest.
fn length_prefixed(bytes: &[u8]) -> Result<(&[u8], &[u8]), DecodeError> {
    let (length, rest) = bytes.split_first_chunk().ok_or(DecodeError::UpdateLengths)?;
    rest.split_at_checked(usize::from(u16::from_be_bytes(*length))).ok_or(DecodeError::UpdateLengths)
}

/// AFI and SAFI; the inner `None` is a family that this speaker does not carry.
fn split_family(value: &[u8]) -> Option<(Option<Family>, &[u8])> {
    let (&[afi_high, afi_low, safi], rest) = value.split_first_chunk()?;
    Some((Family::from_afi_safi(u16::from_be_bytes([afi_high, afi_low]), safi), rest))
}
