//! The Internet checksum (RFC 1071), fast: a bulk transfer has every octet summed once at each end.

/// A sum that is not folded yet, in the octet order of this machine: RFC 1071 §2(B) has the sum come out right in any.
#[derive(Clone, Copy, Debug, Default)]
pub struct Sum(u64);

impl Sum {
    /// The sum of some octets.
    pub fn of(octets: &[u8]) -> Self {
        Self::default().and(octets)
    }

    /// With octets that follow an even number of others.
    pub fn and(self, octets: &[u8]) -> Self {
        // Carries gather in the upper half, so that eight octets are two additions
        let (words, rest) = octets.as_chunks();
        let wide = words.iter().fold(0u128, |sum, word| sum.wrapping_add(u64::from_ne_bytes(*word).into()));
        let mut sum = fold(self.0) + fold(wide as u64) + fold((wide >> 64) as u64);
        for word in rest.chunks(2) {
            let last = word.get(1).copied().unwrap_or(0); // RFC 1071 §1(1)
            sum += u64::from(u16::from_ne_bytes([word[0], last]));
        }
        Self(sum)
    }

    /// With a number of 16 bits.
    pub fn and_number(self, number: u16) -> Self {
        self.and(&number.to_be_bytes())
    }

    /// Without a number of 16 bits that is in it.
    pub fn without_number(self, number: u16) -> Self {
        self.and_number(!number)
    }

    /// The octets of the sum, as a partial checksum is written.
    pub fn partial(self) -> [u8; 2] {
        (fold(fold(fold(self.0))) as u16).to_ne_bytes()
    }

    /// The octets of a checksum.
    pub fn checksum(self) -> [u8; 2] {
        self.partial().map(|octet| !octet)
    }

    /// What was summed had its checksum in it, and that was right.
    pub fn is_valid(self) -> bool {
        self.partial() == [0xff; 2]
    }
}

/// The same modulo 2^16 - 1, in 18 bits at most; of those in 17, and of those in 16.
fn fold(sum: u64) -> u64 {
    (sum & 0xffff) + (sum >> 16 & 0xffff) + (sum >> 32 & 0xffff) + (sum >> 48)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::samples::naive;

    #[test]
    fn the_example_of_rfc_1071_has_its_sum() {
        assert_eq!(Sum::of(&[0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7]).partial(), [0xdd, 0xf2]);
    }

    #[test]
    fn a_packet_of_ones_does_not_overflow() {
        assert_eq!(u16::from_be_bytes(Sum::of(&[0xff; 65_535]).checksum()), naive(&[0xff; 65_535]));
    }

    proptest! {
        #[test]
        fn the_checksum_is_that_of_the_naive_one(
            octets in proptest::collection::vec(any::<u8>(), 0..300),
            edges in proptest::collection::vec(prop_oneof![Just(0u8), Just(0xff)], 0..200),
            at in 0usize..100,
            number: u16,
        ) {
            for octets in [octets, edges] {
                prop_assert_eq!(u16::from_be_bytes(Sum::of(&octets).checksum()), naive(&octets));
                let (start, end) = octets.split_at((at * 2).min(octets.len() / 2 * 2));
                prop_assert_eq!(Sum::of(start).and(end).partial(), Sum::of(&octets).partial());
                let with = Sum::of(&octets).and_number(number);
                let both = [&number.to_be_bytes(), octets.as_slice()].concat();
                prop_assert_eq!(with.checksum(), Sum::of(&both).checksum());
                // Zero has two forms
                let (without, plain) = (with.without_number(number), Sum::of(&octets));
                let canonical = |sum: Sum| if sum.is_valid() { [0; 2] } else { sum.partial() };
                prop_assert_eq!(canonical(without), canonical(plain));
            }
        }
    }
}
