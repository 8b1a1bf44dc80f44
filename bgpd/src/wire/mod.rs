//! Messages as they stand on the wire (RFC 4271 §4), and errors that carry their treatment (RFC 7606).
//!
//! Reading: [`frame_length`] finds a message in a stream, [`decode`] locates its parts without copying, and
//! [`AttributeBytes::parse`] reads path attributes only for a set not seen before. Nothing here trusts a length.
//! Writing: every message appends itself, whole, to a `BytesMut`.

mod as_path;
mod attribute;
mod attributes;
mod capability;
mod error;
mod message;
mod nlri;
mod notification;
mod open;
mod parse;
mod restart;
mod update;
mod write;

#[cfg(test)]
mod tests;

pub use as_path::AsPath;
pub use attribute::AttrCode;
pub use attributes::{Aggregator, Origin, PartialBits, PathAttributes, UnknownAttribute};
pub use capability::{AddPathFamily, Capability, NextHopEncoding};
pub use error::{AttrError, AttrFault, DecodeError, Treatment};
pub(crate) use message::split_message;
pub use message::{Context, Message, RouteRefresh, decode, frame_length, write_keepalive, write_route_refresh};
pub(crate) use nlri::prefix_octets;
pub use nlri::{Destination, Nlri};
pub use notification::Notification;
pub use open::Open;
pub use parse::ParsedAttributes;
pub use restart::{GracefulRestart, KeptFamily, LongLivedFamily};
pub use update::{AttributeBytes, MpNextHop, Update};
pub(crate) use write::write_attributes;
pub use write::{write_end_of_rib, write_reach, write_unreach};

/// The longest message without RFC 8654.
pub const MAX_MESSAGE: usize = 4096;
/// The longest message with it.
pub const MAX_EXTENDED_MESSAGE: usize = 65535;
/// Marker, length and type.
pub const HEADER: usize = 19;
