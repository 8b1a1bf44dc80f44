//! Numbers found by what they stand for: a hash table of `u32` in shards.
//!
//! One big table stops for tens of milliseconds when it grows. Shards of unequal weight grow one after the other,
//! each for well under a millisecond at a million entries. The hash is seeded: a neighbor cannot choose prefixes or
//! attributes that collide.

use hashbrown::HashTable;
use ipnet::IpNet;

const SHARDS: usize = 256;

/// Numbers by hash. What they stand for lies elsewhere.
#[derive(Debug)]
pub(crate) struct Index {
    shards: Vec<HashTable<u32>>,
}

impl Default for Index {
    fn default() -> Self {
        Self { shards: (0..SHARDS).map(|_| HashTable::new()).collect() }
    }
}

impl Index {
    /// The number under `hash` that `is_it` knows.
    pub(crate) fn find(&self, hash: u64, mut is_it: impl FnMut(u32) -> bool) -> Option<u32> {
        self.shards[shard(hash)].find(hash, |id| is_it(*id)).copied()
    }

    /// Puts a number in that is not there yet; `hash_of` finds the hashes of others when the shard grows.
    pub(crate) fn insert(&mut self, hash: u64, id: u32, hash_of: impl Fn(u32) -> u64) {
        self.shards[shard(hash)].insert_unique(hash, id, |id| hash_of(*id));
    }

    /// Takes a number out.
    pub(crate) fn remove(&mut self, hash: u64, id: u32) {
        if let Ok(entry) = self.shards[shard(hash)].find_entry(hash, |found| *found == id) {
            entry.remove();
        }
    }
}

/// Density falls from 2 at the first shard to 2/3 at the last, so that sizes double at different times.
fn shard(hash: u64) -> usize {
    let point = hash >> 24 & 0xFFFF; // neither the bits of the bucket nor those of the tag
    ((point * (point + 0x1_0000)) >> 25) as usize
}

/// Hashes under one seed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Seed(u64);

const MULTIPLIER: u64 = 0x9E37_79B9_7F4A_7C15;

impl Seed {
    /// Different seeds give different hashes.
    pub(crate) const fn new(seed: u64) -> Self {
        Self(fold(seed ^ MULTIPLIER, MULTIPLIER) | 1)
    }

    /// The hash of a prefix.
    pub(crate) fn prefix(self, prefix: &IpNet) -> u64 {
        let length = u64::from(prefix.prefix_len());
        match prefix {
            IpNet::V4(net) => self.pair(u64::from(net.addr().to_bits()), length),
            IpNet::V6(net) => {
                let bits = net.addr().to_bits();
                self.pair((bits >> 64) as u64, bits as u64 ^ (length | 0x100).rotate_left(32))
            }
        }
    }

    /// The hash of bytes that belong to `owner`.
    pub(crate) fn bytes(self, owner: u32, bytes: &[u8]) -> u64 {
        let (words, rest) = bytes.as_chunks();
        let mut last = [0; 8];
        last[..rest.len()].copy_from_slice(rest);
        let start = self.pair(u64::from(owner), bytes.len() as u64);
        words
            .iter()
            .chain([&last])
            .fold(start, |state, word| fold(state ^ u64::from_le_bytes(*word), self.0 ^ MULTIPLIER))
    }

    fn pair(self, left: u64, right: u64) -> u64 {
        fold(fold(left ^ self.0, MULTIPLIER) ^ right, self.0)
    }
}

/// A multiplication whose upper half comes back to the lower.
const fn fold(left: u64, right: u64) -> u64 {
    let product = left as u128 * right as u128;
    product as u64 ^ (product >> 64) as u64
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn every_hash_has_a_shard_and_weights_differ() {
        let mut sizes = [0; SHARDS];
        (0..1 << 16).for_each(|point: u64| sizes[shard(point << 24)] += 1);
        assert!(sizes[0] > 2 * sizes[SHARDS - 1], "{} and {}", sizes[0], sizes[SHARDS - 1]);
        assert!(sizes.iter().all(|size| *size > 0));
    }

    #[test]
    fn neighboring_prefixes_spread_over_the_shards() {
        let seed = Seed::new(7);
        let hash_of = |id: u32| seed.prefix(&IpNet::from(std::net::IpAddr::from(std::net::Ipv4Addr::from_bits(id))));
        let mut index = Index::default();
        (0..65536).for_each(|id| index.insert(hash_of(id), id, hash_of));
        let largest = index.shards.iter().map(HashTable::len).max().unwrap();
        assert!(largest < 3 * 65536 / SHARDS, "{largest} in one shard");
    }

    #[test]
    fn a_byte_more_is_another_hash() {
        let seed = Seed::new(1);
        assert_ne!(seed.bytes(0, &[0; 8]), seed.bytes(0, &[0; 7]));
        assert_ne!(seed.bytes(0, &[0; 8]), seed.bytes(1, &[0; 8]));
        assert_ne!(Seed::new(1).bytes(0, b"abc"), Seed::new(2).bytes(0, b"abc"));
    }
}
