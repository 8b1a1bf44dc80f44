//! Communities with parts that may be anything: `64513:*`.

use crate::types::{Community, ExtendedCommunity, LargeCommunity};

/// A community, or all that agree with it in some of their bits.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Wildcard<T> {
    /// Bits outside the mask are clear.
    value: T,
    mask: T,
}

/// What has bits to agree in.
pub trait Bits: Copy + Eq {
    /// Every bit set.
    const ALL: Self;

    /// The bits that both have.
    #[must_use]
    fn and(self, other: Self) -> Self;
}

impl<T: Bits> Wildcard<T> {
    /// Everything that agrees with `value` where `mask` has bits.
    pub fn new(value: T, mask: T) -> Self {
        Self { value: value.and(mask), mask }
    }

    /// Whether a community is meant.
    pub fn matches(&self, found: T) -> bool {
        found.and(self.mask) == self.value
    }

    /// The only one that is meant; `None`: there are several.
    pub fn exact(&self) -> Option<T> {
        (self.mask == T::ALL).then_some(self.value)
    }

    /// Whether whatever the other means is meant too.
    pub fn covers(&self, other: &Self) -> bool {
        self.mask.and(other.mask) == self.mask && self.matches(other.value)
    }
}

impl<T: Bits> From<T> for Wildcard<T> {
    fn from(value: T) -> Self {
        Self { value, mask: T::ALL }
    }
}

impl Bits for Community {
    const ALL: Self = Self(u32::MAX);

    fn and(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }
}

impl Bits for ExtendedCommunity {
    const ALL: Self = Self(u64::MAX);

    fn and(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }
}

impl Bits for LargeCommunity {
    const ALL: Self = Self { global: u32::MAX, local1: u32::MAX, local2: u32::MAX };

    fn and(self, other: Self) -> Self {
        Self {
            global: self.global & other.global,
            local1: self.local1 & other.local1,
            local2: self.local2 & other.local2,
        }
    }
}
