//! Points of Curve25519 that no honest key is: with them every shared secret is zero, and known to everyone.
//!
//! The WireGuard paper (section 5.4) and RFC 7748 §6.1 ask for a check of the shared secret. A comparison with the
//! few points that lead there says the same and costs no multiplication.

/// The u-coordinates of low order, little-endian, also those not reduced modulo p = 2^255 - 19.
pub(crate) const LOW_ORDER: [[u8; 32]; 7] = [
    [0; 32],
    {
        let mut one = [0; 32];
        one[0] = 1;
        one
    },
    [
        0xe0, 0xeb, 0x7a, 0x7c, 0x3b, 0x41, 0xb8, 0xae, 0x16, 0x56, 0xe3, 0xfa, 0xf1, 0x9f, 0xc4, 0x6a, 0xda, 0x09,
        0x8d, 0xeb, 0x9c, 0x32, 0xb1, 0xfd, 0x86, 0x62, 0x05, 0x16, 0x5f, 0x49, 0xb8, 0x00,
    ],
    [
        0x5f, 0x9c, 0x95, 0xbc, 0xa3, 0x50, 0x8c, 0x24, 0xb1, 0xd0, 0xb1, 0x55, 0x9c, 0x83, 0xef, 0x5b, 0x04, 0x44,
        0x5c, 0xc4, 0x58, 0x1c, 0x8e, 0x86, 0xd8, 0x22, 0x4e, 0xdd, 0xd0, 0x9f, 0x11, 0x57,
    ],
    near_p(0xec),
    near_p(0xed),
    near_p(0xee),
];

/// p - 1, p and p + 1 differ in their first octet.
const fn near_p(first: u8) -> [u8; 32] {
    let mut point = [0xff; 32];
    point[0] = first;
    point[31] = 0x7f;
    point
}

/// Whether a shared secret with this point is zero whatever the private key.
pub(crate) fn is_low_order(point: &[u8; 32]) -> bool {
    let mut point = *point;
    point[31] &= 0x7f; // RFC 7748 §5: the top bit is ignored
    LOW_ORDER.contains(&point)
}
