//! Where text goes: data to stdout, talk to stderr, colour only to a terminal.

use std::fmt;
use std::io::{self, ErrorKind, Write as _};

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
    let mut out = anstream::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Err(Closed.into()),
        result => Ok(result?),
    }
}

/// Says something to a person. A closed stderr is not worth an error: nobody listens.
pub(super) fn say(text: &str) {
    let _ = writeln!(anstream::stderr().lock(), "{text}");
}

/// Says why it failed, in one sentence.
pub(super) fn fail(error: &anyhow::Error) {
    say(&format!("\u{1b}[1;31merror\u{1b}[0m: {error:#}"));
}

/// Clears the terminal that stdout is, and goes to its corner.
pub(super) fn clear() -> anyhow::Result<()> {
    if io::IsTerminal::is_terminal(&io::stdout()) { print("\u{1b}[H\u{1b}[2J\u{1b}[3J") } else { Ok(()) }
}
