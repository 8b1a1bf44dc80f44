//! How much work a flood of handshake messages may cause: WireGuard paper, section 5.3.
//!
//! A handshake costs about 0.1 ms of the core that moves packets, and anybody who knows our public key can ask for
//! one, from any address. So a moderate rate is worked on as it comes. Beyond it we are under load, until a second has
//! passed in which the rate was kept: a sender must prove its address by a cookie, and an address that is proved has a
//! rate of its own. Each rate allows a short burst, which bounds what one turn of the worker spends here.

use std::net::IpAddr;
use std::time::{Duration, Instant};

/// Handshake messages that need no cookie.
pub(crate) const UNPROVED: Rate = Rate { per_second: 500, burst: 32 };
/// Handshake messages with a cookie, of all senders.
pub(crate) const PROVED: Rate = Rate { per_second: 500, burst: 32 };
/// Cookies given out. One costs some microseconds; without a cookie its peer cannot come in, so there are many.
pub(crate) const COOKIES: Rate = Rate { per_second: 20_000, burst: 256 };
/// One address; as the kernel's implementation.
pub(crate) const PER_SOURCE: Rate = Rate { per_second: 20, burst: 5 };
/// How long we are under load after the rate was exceeded.
const LOADED_FOR: Duration = Duration::from_secs(1);
/// Addresses share places, by a hash that senders do not know: memory is bounded, whoever sends.
const SOURCES: usize = 4096;

/// So many at once, and then so many a second.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rate {
    pub(crate) per_second: u32,
    pub(crate) burst: u32,
}

/// What is left of a [`Rate`]: the time at which it is whole again.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bucket(Instant);

impl Bucket {
    pub(crate) fn new(now: Instant) -> Self {
        Self(now)
    }

    /// Takes one, if one is left.
    pub(crate) fn take(&mut self, now: Instant, rate: Rate) -> bool {
        let one = Duration::from_secs(1) / rate.per_second;
        let whole_at = self.0.max(now) + one;
        let is_left = whole_at <= now + one * rate.burst;
        if is_left {
            self.0 = whole_at;
        }
        is_left
    }
}

/// Where handshake messages of one type come in.
#[derive(Debug)]
pub(crate) struct Gate {
    unproved: Bucket,
    loaded_until: Instant,
    proved: Bucket,
    cookies: Bucket,
    sources: Vec<Bucket>,
    seed: u64,
}

impl Gate {
    pub(crate) fn new(now: Instant, seed: u64) -> Self {
        let whole = Bucket::new(now);
        Self { unproved: whole, loaded_until: now, proved: whole, cookies: whole, sources: Vec::new(), seed }
    }

    /// Whether the next message is worked on without a cookie.
    pub(crate) fn is_open(&mut self, now: Instant) -> bool {
        if now < self.loaded_until {
            return false;
        }
        let is_open = self.unproved.take(now, UNPROVED);
        if !is_open {
            self.loaded_until = now + LOADED_FOR;
        }
        is_open
    }

    /// Whether a message whose sender has proved its address is worked on.
    pub(crate) fn admits(&mut self, now: Instant, from: IpAddr) -> bool {
        if self.sources.is_empty() {
            self.sources = vec![Bucket::new(now); SOURCES]; // 64 KiB, where there ever was a flood
        }
        let place = place(self.seed, from);
        self.sources[place].take(now, PER_SOURCE) && self.proved.take(now, PROVED)
    }

    /// Whether the next message without a cookie is answered with one.
    pub(crate) fn gives_cookie(&mut self, now: Instant) -> bool {
        self.cookies.take(now, COOKIES)
    }
}

/// Of an IPv6 address only its network counts, as who has one address of it has all.
fn place(seed: u64, from: IpAddr) -> usize {
    let network = match from {
        IpAddr::V4(address) => u64::from(address.to_bits()),
        IpAddr::V6(address) => (address.to_bits() >> 64) as u64,
    };
    // splitmix64
    let mut mixed = network.wrapping_add(seed).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    ((mixed ^ (mixed >> 31)) as usize) % SOURCES
}

#[cfg(test)]
mod tests {
    use super::*;

    fn millis(count: u64) -> Duration {
        Duration::from_millis(count)
    }

    fn address(number: u32) -> IpAddr {
        IpAddr::V4(number.into())
    }

    /// How many of so many at once get through.
    fn let_in(mut take: impl FnMut() -> bool) -> u32 {
        (0..100_000).map(|_| u32::from(take())).sum()
    }

    #[test]
    fn a_bucket_gives_its_burst_at_once_and_then_its_rate() {
        let (start, rate) = (Instant::now(), Rate { per_second: 20, burst: 5 });
        let mut bucket = Bucket::new(start);
        assert_eq!(let_in(|| bucket.take(start, rate)), 5);
        assert_eq!(let_in(|| bucket.take(start + millis(49), rate)), 0);
        assert_eq!(let_in(|| bucket.take(start + millis(100), rate)), 2);
        assert_eq!(let_in(|| bucket.take(start + millis(60_000), rate)), 5, "what is not taken is not saved");
    }

    #[test]
    fn a_flood_costs_a_burst_a_second_and_a_moderate_rate_none() {
        let start = Instant::now();
        let mut gate = Gate::new(start, 1);
        let flood: u32 =
            (0..10_000).map(|at| u32::from(gate.is_open(start + millis(at)) && gate.is_open(start + millis(at)))).sum();
        assert!(flood <= 32 * 10, "{flood}");
        let mut gate = Gate::new(start, 1);
        assert!((0..10_000).all(|at| gate.is_open(start + millis(at * 2))), "500 a second");
    }

    #[test]
    fn one_address_gets_20_a_second_and_leaves_room_for_others() {
        let start = Instant::now();
        let mut gate = Gate::new(start, 1);
        assert_eq!(let_in(|| gate.admits(start, address(1))), 5);
        assert!(gate.admits(start, address(2)));
        assert_eq!(let_in(|| gate.admits(start + millis(1000), address(1))), 5);
    }

    #[test]
    fn many_addresses_together_have_a_rate_too() {
        let start = Instant::now();
        let (mut gate, mut number) = (Gate::new(start, 1), 0);
        let admitted = let_in(|| {
            number += 1;
            gate.admits(start, address(number))
        });
        assert_eq!(admitted, PROVED.burst);
    }

    #[test]
    fn an_ipv6_network_is_one_source() {
        let (one, same) = ("2001:db8::1".parse().ok(), "2001:db8::ffff:2".parse().ok());
        let places = [one, same].map(|address| address.map(|address: IpAddr| place(7, address)));
        assert!(places[0].is_some() && places[0] == places[1], "{places:?}");
        assert_ne!(place(7, address(1)), place(8, address(1)), "senders do not know where they are");
    }
}
