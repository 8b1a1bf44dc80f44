//! Where text goes: data to stdout, talk to stderr, colour only to a terminal. Data has none.

use std::fmt;
use std::io::{self, ErrorKind, IsTerminal as _, Write as _};

use anyhow::Context as _;

/// Goes to the terminal's corner and clears it (ECMA-48 CUP and ED).
const CLEAR: &str = "\u{1b}[H\u{1b}[2J";

/// Whoever read our stdout has gone (`| head`): no failure, and nothing more to do.
#[derive(Debug)]
pub(super) struct Closed;

impl fmt::Display for Closed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("stdout is closed")
    }
}

impl std::error::Error for Closed {}

/// Prints data.
pub(super) fn print(text: &str) -> anyhow::Result<()> {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Err(Closed.into()),
        result => result.context("cannot write to stdout"),
    }
}

/// Prints data in place of what stands on the terminal; under it where there is none.
pub(super) fn print_again(text: &str) -> anyhow::Result<()> {
    if io::stdout().is_terminal() { print(&format!("{CLEAR}{text}")) } else { print(text) }
}

/// Says something to a person. A closed stderr is not worth an error: nobody listens.
pub(super) fn say(text: &str) {
    let _ = writeln!(anstream::stderr().lock(), "{text}");
}

/// Says why it failed, in one sentence.
pub(super) fn fail(sentence: impl fmt::Display) {
    say(&format!("\u{1b}[1;31merror\u{1b}[0m: {sentence}"));
}
