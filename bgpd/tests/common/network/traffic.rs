//! What was said, counted by the type of message.

use std::ops::{AddAssign, Sub};

/// RFC 4271 §4.1.
const HEADER: usize = 19;

/// Messages, whole.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct Traffic {
    /// By the type code of RFC 4271 §4.1 and RFC 2918 §3; none has 0.
    messages: [u64; 6],
    pub(crate) octets: u64,
}

impl Traffic {
    /// Counts what a speaker has written: it writes whole messages.
    pub(crate) fn of(mut bytes: &[u8]) -> Self {
        let mut traffic = Self { octets: bytes.len() as u64, ..Self::default() };
        while let Some((header, _)) = bytes.split_first_chunk::<HEADER>() {
            traffic.messages[usize::from(header[18])] += 1;
            bytes = &bytes[usize::from(u16::from_be_bytes([header[16], header[17]]))..];
        }
        traffic
    }

    pub(crate) fn updates(&self) -> u64 {
        self.messages[2]
    }

    pub(crate) fn keepalives(&self) -> u64 {
        self.messages[4]
    }

    pub(crate) fn messages(&self) -> u64 {
        self.messages.iter().sum()
    }
}

impl AddAssign for Traffic {
    fn add_assign(&mut self, other: Self) {
        self.messages.iter_mut().zip(other.messages).for_each(|(count, more)| *count += more);
        self.octets += other.octets;
    }
}

impl Sub for Traffic {
    type Output = Self;

    fn sub(mut self, earlier: Self) -> Self {
        self.messages.iter_mut().zip(earlier.messages).for_each(|(count, less)| *count -= less);
        self.octets -= earlier.octets;
        self
    }
}

impl std::iter::Sum for Traffic {
    fn sum<I: Iterator<Item = Self>>(all: I) -> Self {
        all.fold(Self::default(), |mut sum, traffic| {
            sum += traffic;
            sum
        })
    }
}
