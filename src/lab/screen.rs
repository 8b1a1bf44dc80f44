//! What a person sees of a site that runs: on a terminal a picture that is drawn again, else a line for each thing that
//! came true.

use std::fmt;
use std::io::{self, IsTerminal as _, Write};
use std::time::Duration;

use super::site::Expectation;
use super::watch::{Change, Record, Watch};

/// Alternate screen, no cursor, no line wrap; and back.
const ENTER: &str = "\x1b[?1049h\x1b[?25l\x1b[?7l";
const LEAVE: &str = "\x1b[?7h\x1b[?25h\x1b[?1049l";
const HOME: &str = "\x1b[H";
const CLEAR_LINE: &str = "\x1b[K";
const CLEAR_BELOW: &str = "\x1b[J";
const GREEN: &str = "\x1b[32m";
const RED: &str = "\x1b[31m";
const PLAIN: &str = "\x1b[0m";

/// Standard output. Dropping it leaves the terminal as it was.
#[derive(Debug)]
pub(super) struct Screen {
    terminal: bool,
    drawing: &'static str,
}

impl Screen {
    /// Shows the topology.
    pub(super) fn open(drawing: &'static str) -> io::Result<Self> {
        let screen = Self { terminal: io::stdout().is_terminal(), drawing };
        let mut out = io::stdout().lock();
        if screen.terminal {
            write!(out, "{ENTER}")?;
        } else {
            writeln!(out, "{drawing}")?;
        }
        out.flush()?;
        Ok(screen)
    }

    /// Shows one finding, where lines are shown and it is news.
    pub(super) fn tell(&self, record: &Record, change: Change) -> io::Result<()> {
        let word = match change {
            Change::None => return Ok(()),
            _ if self.terminal => return Ok(()),
            Change::CameTrue => "ok",
            Change::Failed => "FAILED",
            Change::Returned => "again",
        };
        let mut out = io::stdout().lock();
        writeln!(out, "{:7.2} s  {word:<6}  {}: {}", record.at.as_secs_f64(), record.expectation, said(&record.last))?;
        out.flush()
    }

    /// Draws everything, on a terminal.
    pub(super) fn draw(&self, watch: &Watch) -> io::Result<()> {
        if !self.terminal {
            return Ok(());
        }
        let mut picture = String::from(HOME);
        for line in self.drawing.lines().chain([""]).map(str::to_owned).chain(lines(watch, true)) {
            picture.push_str(&line);
            picture.push_str(CLEAR_LINE);
            picture.push('\n');
        }
        picture.push_str(CLEAR_BELOW);
        let mut out = io::stdout().lock();
        out.write_all(picture.as_bytes())?;
        out.flush()
    }

    /// Leaves the last state for good.
    pub(super) fn close(self, watch: &Watch) -> io::Result<()> {
        let (colour, drawing) = (self.terminal, self.drawing);
        drop(self);
        let mut out = io::stdout().lock();
        // Lines have told the history already; a picture leaves none.
        writeln!(out, "{}", if colour { drawing } else { "" })?;
        for line in lines(watch, colour) {
            writeln!(out, "{line}")?;
        }
        out.flush()
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        if self.terminal {
            // Also on a panic; a terminal that is gone needs no repair.
            let _ = write!(io::stdout(), "{LEAVE}").and_then(|()| io::stdout().flush());
        }
    }
}

fn lines(watch: &Watch, colour: bool) -> Vec<String> {
    let mut lines: Vec<String> = watch.records().iter().map(|record| line(record, colour)).collect();
    let hold = watch.records().iter().filter(|record| record.last.is_ok()).count();
    let seconds = watch.elapsed().as_secs();
    lines.push(format!("{seconds} s: {hold} of {} hold", watch.records().len()));
    lines
}

fn line(record: &Record, colour: bool) -> String {
    let (tint, mark) = match (&record.last, record.first) {
        (Ok(_), _) if record.failures == 0 => (GREEN, "✓"),
        (Ok(_), _) => (RED, "✓"),
        (Err(_), Some(_)) => (RED, "✗"),
        (Err(_), None) => ("", "·"),
    };
    let mark = if colour { format!("{tint}{mark}{PLAIN}") } else { mark.to_owned() };
    let mut line = format!("{mark} {:<38} {}", record.expectation.to_string(), said(&record.last));
    if let Some((shortest, longest)) = record.echoes.range {
        let echoes = &record.echoes;
        let mean = milliseconds(echoes.mean().unwrap_or_default());
        let (shortest, longest) = (milliseconds(shortest), milliseconds(longest));
        line += &format!("; {} sent, {} lost, {shortest}/{mean}/{longest} ms", echoes.sent, echoes.lost());
    }
    if let Some(failure) = &record.failure {
        line += &format!("; failed {} times, first: {failure}", record.failures);
    }
    line
}

fn said(last: &Result<String, String>) -> &str {
    match last {
        Ok(text) | Err(text) => text,
    }
}

fn milliseconds(time: Duration) -> String {
    format!("{:.2}", time.as_secs_f64() * 1000.0)
}

impl fmt::Display for Expectation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tunnel { gateway, peer } => write!(f, "tunnel   {gateway} - {peer}"),
            Self::Session { gateway, neighbor } => write!(f, "session  {gateway} - {neighbor}"),
            Self::Routes { gateway, .. } => write!(f, "routes   {gateway}"),
            Self::KernelRoutes { node, .. } => write!(f, "kernel   {node}"),
            Self::Ping { from, to, .. } => write!(f, "ping     {from} > {to}"),
            Self::Tcp { from, to, .. } => write!(f, "tcp      {from} > {to}"),
        }
    }
}
