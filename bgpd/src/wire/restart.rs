//! The capabilities of graceful restart (RFC 4724 §3, RFC 8538 §2) and of its long-lived form (RFC 9494 §3.1).

use std::fmt::{self, Write as _};
use std::time::Duration;

use bytes::{BufMut, BytesMut};

use crate::types::Family;

/// Restart Flags, the upper four bits of the first two octets.
const RESTARTED: u16 = 0x8000;
const NOTIFICATION: u16 = 0x4000; // RFC 8538 §2
/// Flags of a family.
const FORWARDING: u8 = 0x80;

/// 64: what its sender keeps, and expects to be kept for it, while it restarts.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct GracefulRestart {
    /// R: the sender has restarted; it is not to be waited for (RFC 4724 §3).
    pub restarted: bool,
    /// N: a NOTIFICATION is no reason to forget routes either, unless it is a Hard Reset (RFC 8538 §2).
    pub notification: bool,
    /// How long the sender may take to come back, in whole seconds, 4095 at most.
    pub restart_time: Duration,
    /// Families whose routes are to be kept.
    pub families: Vec<KeptFamily>,
}

/// A family of [`GracefulRestart`].
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct KeptFamily {
    /// Address Family Identifier, as it came.
    pub afi: u16,
    /// Subsequent AFI, as it came.
    pub safi: u8,
    /// F: the sender still forwards by what it knew before.
    pub forwarding: bool,
}

/// A family of the long-lived capability (71).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct LongLivedFamily {
    /// Address Family Identifier, as it came.
    pub afi: u16,
    /// Subsequent AFI, as it came.
    pub safi: u8,
    /// F: the sender still forwards by what it knew before.
    pub forwarding: bool,
    /// How long the sender's routes may be kept after the Restart Time, in whole seconds of 24 bits.
    pub stale_time: Duration,
}

impl KeptFamily {
    /// One that this speaker carries.
    pub const fn new(family: Family, forwarding: bool) -> Self {
        let (afi, safi) = family.afi_safi();
        Self { afi, safi, forwarding }
    }

    /// Which it is, where this speaker carries it.
    pub const fn family(&self) -> Option<Family> {
        Family::from_afi_safi(self.afi, self.safi)
    }
}

impl LongLivedFamily {
    /// One that this speaker carries.
    pub const fn new(family: Family, forwarding: bool, stale_time: Duration) -> Self {
        let (afi, safi) = family.afi_safi();
        Self { afi, safi, forwarding, stale_time }
    }

    /// Which it is, where this speaker carries it.
    pub const fn family(&self) -> Option<Family> {
        Family::from_afi_safi(self.afi, self.safi)
    }
}

impl GracefulRestart {
    /// The longest Restart Time: twelve bits of seconds.
    pub const MAX_RESTART_TIME: Duration = Duration::from_secs(0xFFF);
    /// The longest Long-lived Stale Time: 24 bits of seconds.
    pub const MAX_STALE_TIME: Duration = Duration::from_secs(0xFF_FFFF);

    /// Reads a value; `None`: it has a length that it cannot have.
    pub(super) fn read(value: &[u8]) -> Option<Self> {
        let (flags_and_time, families) = value.split_first_chunk::<2>()?;
        let flags_and_time = u16::from_be_bytes(*flags_and_time);
        let (families, []) = families.as_chunks::<4>() else { return None };
        let family = |&[high, low, safi, flags]: &[u8; 4]| KeptFamily {
            afi: u16::from_be_bytes([high, low]),
            safi,
            forwarding: flags & FORWARDING != 0,
        };
        Some(Self {
            restarted: flags_and_time & RESTARTED != 0,
            notification: flags_and_time & NOTIFICATION != 0,
            restart_time: Duration::from_secs(u64::from(flags_and_time & 0xFFF)),
            families: families.iter().map(family).collect(),
        })
    }

    /// Appends length and value. Families beyond the 63 that one has room for are left out.
    pub(super) fn write(&self, out: &mut BytesMut) {
        let families = &self.families[..self.families.len().min(63)];
        out.put_u8((2 + 4 * families.len()) as u8); // at most 254
        let seconds = self.restart_time.min(Self::MAX_RESTART_TIME).as_secs() as u16; // twelve bits
        let flag = |set: bool, flag| if set { flag } else { 0 };
        out.put_u16(flag(self.restarted, RESTARTED) | flag(self.notification, NOTIFICATION) | seconds);
        for family in families {
            out.put_u16(family.afi);
            out.put_slice(&[family.safi, if family.forwarding { FORWARDING } else { 0 }]);
        }
    }
}

/// Reads the value of the long-lived capability; `None`: it has a length that it cannot have.
pub(super) fn read_long_lived(value: &[u8]) -> Option<Vec<LongLivedFamily>> {
    let (families, []) = value.as_chunks::<7>() else { return None };
    let family = |&[high, low, safi, flags, a, b, c]: &[u8; 7]| LongLivedFamily {
        afi: u16::from_be_bytes([high, low]),
        safi,
        forwarding: flags & FORWARDING != 0,
        stale_time: Duration::from_secs(u64::from(u32::from_be_bytes([0, a, b, c]))),
    };
    Some(families.iter().map(family).collect())
}

/// Appends length and value. Families beyond the 36 that one has room for are left out.
pub(super) fn write_long_lived(families: &[LongLivedFamily], out: &mut BytesMut) {
    let families = &families[..families.len().min(36)];
    out.put_u8((7 * families.len()) as u8); // at most 252
    for family in families {
        let seconds = family.stale_time.min(GracefulRestart::MAX_STALE_TIME).as_secs();
        out.put_u16(family.afi);
        out.put_slice(&[family.safi, if family.forwarding { FORWARDING } else { 0 }]);
        out.put_uint(seconds, 3);
    }
}

/// For people, with the bits by the letters of the RFCs: `graceful-restart 120s R N ipv4:F ipv6`.
impl fmt::Display for GracefulRestart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "graceful-restart {}s", self.restart_time.as_secs())?;
        for (set, letter) in [(self.restarted, 'R'), (self.notification, 'N')] {
            if set {
                write!(f, " {letter}")?;
            }
        }
        self.families.iter().try_for_each(|family| {
            write_family(f, family.afi, family.safi)?;
            f.write_str(if family.forwarding { ":F" } else { "" })
        })
    }
}

/// For people: `long-lived-graceful-restart ipv4:F 3600s`.
pub(super) fn long_lived_name(families: &[LongLivedFamily]) -> String {
    let mut name = "long-lived-graceful-restart".to_owned();
    for family in families {
        let forwarding = if family.forwarding { ":F" } else { "" };
        // Into a string nothing can fail.
        let _ = write_family(&mut name, family.afi, family.safi);
        let _ = write!(name, "{forwarding} {}s", family.stale_time.as_secs());
    }
    name
}

fn write_family(out: &mut impl fmt::Write, afi: u16, safi: u8) -> fmt::Result {
    match Family::from_afi_safi(afi, safi) {
        Some(family) => write!(out, " {family}"),
        None => write!(out, " {afi}/{safi}"),
    }
}
