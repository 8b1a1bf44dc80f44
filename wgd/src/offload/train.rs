//! Datagrams that leave in one call with UDP_SEGMENT: equal in length but the last, to one address, and alike outside.

use std::net::SocketAddr;

use crate::batch::Batch;
use crate::envelope::Envelope;

/// The kernel's `UDP_MAX_SEGMENTS`, which is 128 since 6.9.
pub(super) const SEGMENTS: usize = 64;
/// The longest payload of UDP in IPv4.
const OCTETS: usize = 65_535 - 20 - 8;

/// Neighboring datagrams of a batch.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Train {
    /// Where they go, and how.
    pub envelope: Envelope,
    /// Where they start in the octets of the batch, one behind the other.
    pub start: usize,
    /// Octets of all.
    pub len: usize,
    /// Octets of each but the last, which may be shorter.
    pub segment: usize,
    /// How many.
    pub datagrams: usize,
}

impl Train {
    /// Each datagram for itself.
    pub fn singles(self) -> impl Iterator<Item = Self> {
        (0..self.datagrams).map(move |index| {
            let at = index * self.segment;
            let len = self.segment.min(self.len - at);
            Self { start: self.start + at, len, segment: len, datagrams: 1, ..self }
        })
    }
}

/// The datagrams of a batch, in their order; those to an address that is not `coupled` each for itself.
pub fn trains(batch: &Batch<Envelope>, coupled: impl Fn(SocketAddr) -> bool) -> impl Iterator<Item = Train> {
    let mut datagrams = batch.iter().map(|(datagram, envelope)| (datagram.len(), *envelope)).peekable();
    let mut end = 0;
    std::iter::from_fn(move || {
        let (segment, envelope) = datagrams.next()?;
        let mut train = Train { envelope, start: end, len: segment, segment, datagrams: 1 };
        let (mut last, most) = (segment, if coupled(envelope.to) { SEGMENTS } else { 1 });
        while let Some((next, _)) = datagrams.next_if(|(next, other)| {
            let fits = train.datagrams < most && train.len + next <= OCTETS;
            fits && *other == envelope && last == segment && (1..=segment).contains(next)
        }) {
            (train.len, train.datagrams, last) = (train.len + next, train.datagrams + 1, next);
        }
        end += train.len;
        Some(train)
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::envelope::Ecn;

    fn batch(datagrams: &[(usize, u8)]) -> Batch<Envelope> {
        let mut batch = Batch::default();
        for (index, (len, to)) in datagrams.iter().enumerate() {
            batch.room()[..*len].fill(index as u8);
            batch.push(*len, SocketAddr::new([192, 0, 2, *to].into(), 51820).into());
        }
        batch
    }

    #[test]
    fn a_shorter_datagram_a_longer_one_and_another_address_end_a_train() {
        let batch = batch(&[(9, 1), (9, 1), (4, 1), (4, 1), (9, 1), (9, 2), (0, 2), (0, 2)]);
        let shape = |train: Train| (train.segment, train.datagrams, train.len);
        let expected = [(9, 3, 22), (4, 1, 4), (9, 1, 9), (9, 1, 9), (0, 1, 0), (0, 1, 0)];
        assert_eq!(trains(&batch, |_| true).map(shape).collect::<Vec<_>>(), expected);
        assert_eq!(trains(&batch, |_| false).count(), 8);
    }

    #[test]
    fn another_ecn_field_ends_a_train() {
        let mut marked = Batch::default();
        for ecn in [Ecn::NotEct, Ecn::NotEct, Ecn::Ce, Ecn::Ect0, Ecn::Ect0] {
            let to = SocketAddr::new([192, 0, 2, 1].into(), 51820);
            marked.push(9, Envelope { ecn, ..to.into() });
        }
        assert_eq!(trains(&marked, |_| true).map(|train| train.datagrams).collect::<Vec<_>>(), [2, 1, 2]);
    }

    #[test]
    fn a_train_is_no_longer_than_the_kernel_allows() {
        let count = |len| trains(&batch(&[(len, 1); 130]), |_| true).map(|train| train.datagrams).collect::<Vec<_>>();
        assert_eq!(count(96), [64, 64, 2]);
        assert_eq!(count(1452), [45, 45, 40]);
    }

    proptest! {
        #[test]
        fn trains_hold_every_datagram_in_its_order(
            datagrams in proptest::collection::vec((prop_oneof![Just(0usize), Just(7), 1usize..2000], 1u8..3), 0..100),
            coupled: bool,
        ) {
            let batch = batch(&datagrams);
            let taken: Vec<_> = trains(&batch, |_| coupled)
                .flat_map(|train| {
                    let singles: Vec<_> = train.singles().collect();
                    assert_eq!(singles.len(), train.datagrams);
                    singles
                })
                .map(|single| (&batch.octets()[single.start..][..single.len], single.envelope))
                .collect();
            let expected: Vec<_> = batch.iter().map(|(octets, envelope)| (octets, *envelope)).collect();
            prop_assert_eq!(taken, expected);
        }
    }
}
