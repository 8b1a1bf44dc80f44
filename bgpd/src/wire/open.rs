//! OPEN (RFC 4271 §4.2) with its optional parameters (RFC 5492, RFC 9072).

use bytes::{BufMut, BytesMut};

use super::message::{MessageType, begin, begin_length, finish, finish_length};
use super::{Capability, DecodeError};
use crate::types::{Asn, BgpIdentifier, Families};

const VERSION: u8 = 4;
/// The optional parameter that carries capabilities (RFC 5492 §4).
const CAPABILITIES: u8 = 2;
/// In the place of the first parameter's type: parameters are in their extended form (RFC 9072 §2).
const EXTENDED: u8 = 255;

/// An OPEN, its capabilities read.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Open {
    /// The AS: of the 4-octet capability where there is one (RFC 6793).
    pub asn: Asn,
    /// In seconds, as offered: may be 1 or 2, which the FSM refuses with 2/6.
    pub hold_time: u16,
    /// Never zero (2/3).
    pub router_id: BgpIdentifier,
    /// In order.
    pub capabilities: Vec<Capability>,
}

impl Open {
    /// The families of the multiprotocol capabilities; IPv4 where there is none (RFC 4760 §8).
    pub fn families(&self) -> Families {
        Capability::families(&self.capabilities)
    }

    /// Whether the 4-octet AS capability is there.
    pub fn four_octet_as(&self) -> bool {
        four_octet_asn(&self.capabilities).is_some()
    }

    /// Appends the whole message.
    pub fn write(&self, out: &mut BytesMut) {
        let start = begin(MessageType::Open, out);
        out.put_u8(VERSION);
        out.put_u16(u16::try_from(self.asn.get()).unwrap_or(Asn::TRANS.get() as u16)); // RFC 6793 §4.2.1
        out.put_u16(self.hold_time);
        out.put_slice(&self.router_id.address().octets());
        let mut capabilities = BytesMut::new();
        self.capabilities.iter().for_each(|capability| capability.write(&mut capabilities));
        write_parameters(&capabilities, out);
        finish(start, out);
    }

    /// Reads what follows the header.
    pub(super) fn decode(body: &[u8]) -> Result<Self, DecodeError> {
        let (&[version, as_high, as_low, hold_high, hold_low, a, b, c, d, length], rest) =
            body.split_first_chunk().ok_or(DecodeError::OpenMalformed)?;
        if version != VERSION {
            return Err(DecodeError::Version { found: version });
        }
        let capabilities = read_parameters(length, rest)?;
        let two_octet_asn = u16::from_be_bytes([as_high, as_low]);
        let asn = four_octet_asn(&capabilities).unwrap_or(u32::from(two_octet_asn));
        Ok(Self {
            asn: Asn::new(asn).filter(|_| two_octet_asn != 0).ok_or(DecodeError::ZeroAsn)?, // RFC 7607 §2
            hold_time: u16::from_be_bytes([hold_high, hold_low]),
            router_id: BgpIdentifier::new([a, b, c, d].into()).ok_or(DecodeError::ZeroIdentifier)?,
            capabilities,
        })
    }
}

fn four_octet_asn(capabilities: &[Capability]) -> Option<u32> {
    capabilities.iter().find_map(|capability| match capability {
        Capability::FourOctetAs(asn) => Some(*asn),
        _ => None,
    })
}

/// All capabilities in one parameter (RFC 5492 §4), in the extended form where they need it (RFC 9072 §2).
fn write_parameters(capabilities: &[u8], out: &mut BytesMut) {
    match u8::try_from(capabilities.len() + 2) {
        Ok(2) => out.put_u8(0),
        Ok(length) => {
            out.put_slice(&[length, CAPABILITIES, length - 2]);
            out.put_slice(capabilities);
        }
        Err(_) => {
            out.put_slice(&[EXTENDED, EXTENDED]);
            let parameters = begin_length(out);
            out.put_u8(CAPABILITIES);
            let parameter = begin_length(out);
            out.put_slice(capabilities);
            finish_length(parameter, out);
            finish_length(parameters, out);
        }
    }
}

/// `length` is the octet that says how long `parameters` are.
fn read_parameters(length: u8, parameters: &[u8]) -> Result<Vec<Capability>, DecodeError> {
    let (extended, mut rest) = match *parameters {
        // RFC 9072 §2: `length` then counts for nothing, unless it is 0.
        [EXTENDED, high, low, ref rest @ ..]
            if length != 0 && rest.len() == usize::from(u16::from_be_bytes([high, low])) =>
        {
            (true, rest)
        }
        [EXTENDED, ..] => return Err(DecodeError::OpenMalformed),
        _ if parameters.len() == usize::from(length) => (false, parameters),
        _ => return Err(DecodeError::OpenMalformed),
    };
    let mut capabilities = Vec::new();
    while !rest.is_empty() {
        let (kind, value, after) = split_parameter(extended, rest).ok_or(DecodeError::OpenMalformed)?;
        match kind {
            CAPABILITIES => Capability::read_all(value, &mut capabilities)?,
            found => return Err(DecodeError::OptionalParameter { found }),
        }
        rest = after;
    }
    Ok(capabilities)
}

/// Type, value and what follows.
fn split_parameter(extended: bool, bytes: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (kind, length, rest) = match *bytes {
        [kind, high, low, ref rest @ ..] if extended => (kind, usize::from(u16::from_be_bytes([high, low])), rest),
        [kind, length, ref rest @ ..] if !extended => (kind, usize::from(length), rest),
        _ => return None,
    };
    let (value, rest) = rest.split_at_checked(length)?;
    Some((kind, value, rest))
}
