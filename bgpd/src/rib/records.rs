//! One record a destination, by number. Those of IPv4 and of IPv6 lie apart: neither pays for the other's addresses.

use std::net::IpAddr;
use std::ops::{Index, IndexMut};

use ipnet::IpNet;

use super::paths::Path;
use super::slab::Slab;
use crate::types::Family;

/// The number of a destination: that of its record among those of its family, with the family after the lowest twelve
/// bits. So pages of [`super::Bits`] are of one family too.
pub(crate) type DestinationId = u32;

const FAMILY: u32 = 12;

/// What is kept of a destination beside its address.
#[derive(Debug)]
pub(super) struct Record {
    /// The prefix's.
    length: u8,
    /// What is due.
    pub(super) flags: u8,
    /// How many paths there are.
    pub(super) paths: Paths,
    /// The one path; of more, the number of their block, and how many.
    pub(super) path: Path,
}

/// How many paths there are. Nearly every prefix has one only.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Paths {
    None,
    One,
    Many,
}

/// A record with its address, host bits cleared.
#[derive(Debug)]
struct Entry<A> {
    address: A,
    record: Record,
}

/// All records.
#[derive(Debug, Default)]
pub(super) struct Records {
    ipv4: Slab<Entry<[u8; 4]>>,
    ipv6: Slab<Entry<[u8; 16]>>,
}

impl Records {
    /// A record with its first path.
    pub(super) fn insert(&mut self, prefix: IpNet, path: Path, flags: u8) -> DestinationId {
        let record = Record { length: prefix.prefix_len(), flags, paths: Paths::One, path };
        let place = match prefix.addr() {
            IpAddr::V4(address) => self.ipv4.insert(Entry { address: address.octets(), record }),
            IpAddr::V6(address) => self.ipv6.insert(Entry { address: address.octets(), record }),
        };
        number(place, Family::of(&prefix))
    }

    /// Takes a record out.
    pub(super) fn remove(&mut self, id: DestinationId) {
        match family(id) {
            Family::Ipv4 => drop(self.ipv4.remove(place(id))),
            Family::Ipv6 => drop(self.ipv6.remove(place(id))),
        }
    }

    /// Whether there is one.
    pub(super) fn contains(&self, id: DestinationId) -> bool {
        match family(id) {
            Family::Ipv4 => self.ipv4.get(place(id)).is_some(),
            Family::Ipv6 => self.ipv6.get(place(id)).is_some(),
        }
    }

    /// The prefix of a destination whose number is held.
    #[inline]
    pub(super) fn prefix(&self, id: DestinationId) -> IpNet {
        match family(id) {
            Family::Ipv4 => self.ipv4[place(id)].prefix(),
            Family::Ipv6 => self.ipv6[place(id)].prefix(),
        }
    }

    /// Whether a destination whose number is held has this prefix.
    #[inline]
    pub(super) fn is(&self, id: DestinationId, prefix: &IpNet) -> bool {
        match (family(id), prefix) {
            (Family::Ipv4, IpNet::V4(net)) => {
                let entry = &self.ipv4[place(id)];
                entry.address == net.addr().octets() && entry.record.length == net.prefix_len()
            }
            (Family::Ipv6, IpNet::V6(net)) => {
                let entry = &self.ipv6[place(id)];
                entry.address == net.addr().octets() && entry.record.length == net.prefix_len()
            }
            _ => false,
        }
    }

    /// The numbers of all, in no order that means anything.
    pub(super) fn ids(&self) -> impl Iterator<Item = DestinationId> {
        let ipv4 = self.ipv4.iter().map(|(place, _)| number(place, Family::Ipv4));
        ipv4.chain(self.ipv6.iter().map(|(place, _)| number(place, Family::Ipv6)))
    }
}

impl<A: Copy> Entry<A>
where
    IpAddr: From<A>,
{
    #[inline]
    fn prefix(&self) -> IpNet {
        IpNet::new_assert(self.address.into(), self.record.length)
    }
}

/// A destination whose number is held.
impl Index<DestinationId> for Records {
    type Output = Record;

    #[inline]
    fn index(&self, id: DestinationId) -> &Record {
        match family(id) {
            Family::Ipv4 => &self.ipv4[place(id)].record,
            Family::Ipv6 => &self.ipv6[place(id)].record,
        }
    }
}

impl IndexMut<DestinationId> for Records {
    #[inline]
    fn index_mut(&mut self, id: DestinationId) -> &mut Record {
        match family(id) {
            Family::Ipv4 => &mut self.ipv4[place(id)].record,
            Family::Ipv6 => &mut self.ipv6[place(id)].record,
        }
    }
}

/// The family of a destination.
pub(super) const fn family(id: DestinationId) -> Family {
    if id >> FAMILY & 1 == 0 { Family::Ipv4 } else { Family::Ipv6 }
}

const fn number(place: u32, family: Family) -> DestinationId {
    let low = place & ((1 << FAMILY) - 1);
    low | (family as u32) << FAMILY | (place - low) << 1
}

const fn place(id: DestinationId) -> u32 {
    id & ((1 << FAMILY) - 1) | id >> (FAMILY + 1) << FAMILY
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_stays_within_its_memory() {
        assert_eq!(size_of::<Option<Entry<[u8; 4]>>>(), 16);
        assert_eq!(size_of::<Option<Entry<[u8; 16]>>>(), 28);
    }

    #[test]
    fn a_number_says_family_and_place() {
        for at in [0, 1, 4095, 4096, 8191, 1 << 20, (1 << 31) - 1] {
            for of in Family::ALL {
                assert_eq!((place(number(at, of)), family(number(at, of))), (at, of));
            }
        }
        assert_eq!(number(4096, Family::Ipv4), 8192);
        assert_eq!(number(4095, Family::Ipv6), 8191);
    }
}
