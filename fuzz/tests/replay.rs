//! The corpus through its properties: every file as it is, cut anywhere, and with octets changed.
#![allow(clippy::unwrap_used)]

use std::fs;
use std::path::Path;

/// How often the octets of a file are changed; `VPNGW_LONG=1` for a thousand times as many.
const MUTATIONS: u64 = 500;
/// At how many places a file is cut, about; `VPNGW_LONG=1` for all. Messages are shorter, and cut at each.
const CUTS: usize = 256;

#[test]
fn the_wire_corpus_holds() {
    replay("corpus/wire", vpngw_fuzz::wire::stream);
}

#[test]
fn the_corpus_of_attributes_holds() {
    replay("corpus/attributes", vpngw_fuzz::attributes::attributes);
}

#[test]
fn the_corpus_of_openings_holds() {
    replay("corpus/openings", vpngw_fuzz::negotiation::opening);
}

#[test]
fn the_corpus_of_sessions_holds() {
    replay("corpus/sessions", vpngw_fuzz::session::session);
}

#[test]
fn the_corpus_of_datagrams_holds() {
    replay("corpus/datagrams", vpngw_fuzz::wgd::datagrams);
}

#[test]
fn the_corpus_of_packets_holds() {
    replay("corpus/packets", vpngw_fuzz::wgd::packets);
}

#[test]
fn the_corpus_of_packets_that_do_not_fit_holds() {
    replay("corpus/oversize", vpngw_fuzz::wgd::oversize);
}

#[test]
fn the_corpus_of_super_segments_holds() {
    replay("corpus/super-segments", vpngw_fuzz::wgd::super_segments);
}

#[test]
fn the_corpus_of_packets_to_coalesce_holds() {
    replay("corpus/coalesce", vpngw_fuzz::wgd::coalesced);
}

#[test]
fn the_corpus_of_segments_to_clamp_holds() {
    replay("corpus/clamp", vpngw_fuzz::wgd::clamp);
}

#[test]
fn the_corpus_of_the_words_of_wg_holds() {
    replay("corpus/uapi", vpngw_fuzz::uapi::requests);
}

#[test]
fn the_corpus_of_tunnels_holds() {
    // A handshake takes as long as a hundred messages
    replay_some("corpus/tunnels", vpngw_fuzz::tunnel::tunnel, mutations() / 10);
}

#[test]
fn broken_configurations_hold() {
    // To read a text twice and to show what is wrong takes as long as hundreds of messages, and there are many of them
    replay_some("../config/tests/broken", vpngw_fuzz::config::text, mutations() / 20);
}

fn replay(name: &str, property: fn(&[u8])) {
    replay_some(name, property, mutations());
}

/// A directory beside this package's manifest, with so many changes of each file.
fn replay_some(name: &str, property: fn(&[u8]), mutations: u64) {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join(name);
    let mut files: Vec<_> = fs::read_dir(&directory).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    assert!(!files.is_empty(), "{} is empty", directory.display());
    let inputs: Vec<Vec<u8>> = files.iter().map(|file| fs::read(file).unwrap()).collect();
    for (file, input) in files.iter().zip(&inputs) {
        let name = file.display();
        hold(property, input, || format!("{name}"));
        for end in (0..input.len()).step_by(if is_long() { 1 } else { 1 + input.len() / CUTS }) {
            hold(property, &input[..end], || format!("{name} cut at {end}"));
        }
        for seed in 0..mutations {
            hold(property, &mutated(input, &inputs, seed), || format!("{name} with seed {seed}"));
        }
    }
}

/// Says which input it was when a property does not hold.
fn hold(property: fn(&[u8]), input: &[u8], name: impl FnOnce() -> String) {
    if std::panic::catch_unwind(|| property(input)).is_err() {
        panic!("does not hold for {}: {input:02x?}", name());
    }
}

fn is_long() -> bool {
    std::env::var_os("VPNGW_LONG").is_some()
}

fn mutations() -> u64 {
    if is_long() { MUTATIONS * 1000 } else { MUTATIONS }
}

/// The same for the same seed: one to eight octets changed, put in or taken out, or a piece of another input in
/// their place; lengths that no longer fit are half the point.
fn mutated(input: &[u8], inputs: &[Vec<u8>], seed: u64) -> Vec<u8> {
    let mut random = Random(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1);
    let mut bytes = input.to_vec();
    for _ in 0..=random.below(8) {
        let at = random.below(bytes.len() + 1);
        match random.below(6) {
            0 => bytes.insert(at, random.octet()),
            1 if at < bytes.len() => drop(bytes.remove(at)),
            2 => {
                let other = &inputs[random.below(inputs.len())];
                let from = random.below(other.len() + 1);
                let until = from + random.below(other.len() - from + 1).min(64);
                bytes.splice(at..at, other[from..until].iter().copied());
            }
            _ if at < bytes.len() => bytes[at] = random.octet(),
            _ => {}
        }
    }
    bytes
}

/// Xorshift: good enough to move octets about.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound.max(1) as u64) as usize
    }

    /// Small numbers and the edges as often as all others: they are the lengths.
    fn octet(&mut self) -> u8 {
        match self.next() % 4 {
            0 => self.below(40) as u8,
            1 => [0, 1, 0x7F, 0x80, 0xC0, 0xFF][self.below(6)],
            _ => self.next() as u8,
        }
    }
}
