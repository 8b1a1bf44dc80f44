//! Messages as they stand on the wire (RFC 4271 §4), and errors that carry their treatment (RFC 7606).

mod attributes;
mod error;
mod message;
mod nlri;
mod notification;
mod open;
mod update;

pub use attributes::{Aggregator, AsPath, Origin, PathAttributes, Segment, SegmentKind, UnknownAttribute};
pub use error::{AttrError, DecodeError, Treatment};
pub use message::{Context, Message, RouteRefresh, decode, frame_length, write_keepalive, write_route_refresh};
pub use nlri::Nlri;
pub use notification::Notification;
pub use open::{Capability, Open};
pub use update::{AttributeBytes, MpNextHop, ParsedAttributes, Update, write_end_of_rib, write_reach, write_unreach};

/// The longest message without RFC 8654.
pub const MAX_MESSAGE: usize = 4096;
/// Marker, length and type.
pub const HEADER: usize = 19;
