//! Super-segments: many packets of a flow behind one header, which the host and its TUN pass as one.
//!
//! A packet of a bulk transfer costs the kernel as much as its crypto. So the TUN hands over up to 64 KiB of one flow at
//! a time with a header that says what is left to do ([`NetHeader`]): [`split`] does it, right where the octets lie.
//! What comes out of the tunnel goes the other way: [`Coalescer`] finds packets that follow each other in a flow. And
//! [`trains`] finds datagrams that UDP can send in one call. Nothing here copies a payload.

pub mod checksum;

mod coalesce;
mod fragment;
mod header;
mod split;
mod train;

#[cfg(feature = "net")]
pub(crate) use coalesce::PACKETS;
pub use coalesce::{Accepts, Coalescer, Run};
pub use fragment::fragment;
pub use header::{Kind, NetHeader};
pub use split::split;
pub use train::{Train, trains};

/// Octets after a packet that whoever takes it may overwrite.
const PADDING: usize = 15;

/// Hands a packet over that lies in a buffer, and keeps what is behind it from the padding.
fn keep_behind(buffer: &mut [u8], at: usize, length: usize, each: &mut impl FnMut(&mut [u8], usize)) {
    let after = at + length..(at + length + PADDING).min(buffer.len());
    let mut kept = [0; PADDING];
    kept[..after.len()].copy_from_slice(&buffer[after.clone()]);
    each(&mut buffer[at..], length);
    buffer[after.clone()].copy_from_slice(&kept[..after.len()]);
}
