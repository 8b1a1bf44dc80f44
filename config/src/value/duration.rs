//! Durations: a number with a unit, or bare seconds.

use std::time::Duration;

use bgpd::types::HoldTime;

use super::{Value, Written};
use crate::raw::{Node, Wrong, Wrongs};

const FORM: &str = "\"300ms\", \"90s\", \"2m\", \"1h\" or a number of seconds";
const SCHEMA: &str = "\"type\": [\"string\", \"integer\"]";

/// What the wire's and the timers' 16 bits of seconds can hold.
const LONGEST: Duration = Duration::from_secs(65535);

/// A time between two events, at least a second.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Interval(pub(crate) Duration);

/// An [`Interval`]; 0 is never.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct IntervalOrNever(pub(crate) Option<Duration>);

impl Value for Interval {
    fn allowed() -> String {
        "duration of 1s to 65535s".to_owned()
    }

    fn schema() -> String {
        SCHEMA.to_owned()
    }

    fn read(node: Node<'_>) -> Result<Self, Wrongs> {
        let found = duration(node)?;
        if (Duration::from_secs(1)..=LONGEST).contains(&found) {
            return Ok(Self(found));
        }
        Err(node.not_allowed("1s to 65535s").into())
    }
}

impl Written for Interval {
    fn written(&self) -> String {
        format!("\"{}s\"", self.0.as_secs())
    }
}

impl Value for IntervalOrNever {
    fn allowed() -> String {
        "duration of 1s to 65535s, or 0 for never".to_owned()
    }

    fn schema() -> String {
        SCHEMA.to_owned()
    }

    fn read(node: Node<'_>) -> Result<Self, Wrongs> {
        if duration(node)?.is_zero() {
            return Ok(Self(None));
        }
        Interval::read(node).map(|interval| Self(Some(interval.0)))
    }
}

/// Whole seconds, as the wire has them.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Seconds<const LEAST: u64, const MOST: u64>(pub(crate) Duration);

impl<const LEAST: u64, const MOST: u64> Value for Seconds<LEAST, MOST> {
    fn allowed() -> String {
        format!("duration of {LEAST} to {MOST} whole seconds")
    }

    fn schema() -> String {
        SCHEMA.to_owned()
    }

    fn read(node: Node<'_>) -> Result<Self, Wrongs> {
        let found = duration(node)?;
        if found.subsec_nanos() == 0 && (LEAST..=MOST).contains(&found.as_secs()) {
            return Ok(Self(found));
        }
        Err(node.not_allowed(format!("{LEAST} to {MOST} whole seconds")).into())
    }
}

impl<const LEAST: u64, const MOST: u64> Written for Seconds<LEAST, MOST> {
    fn written(&self) -> String {
        format!("\"{}s\"", self.0.as_secs())
    }
}

impl Value for HoldTime {
    fn allowed() -> String {
        "duration of whole seconds: 0, or 3 to 65535".to_owned()
    }

    fn schema() -> String {
        SCHEMA.to_owned()
    }

    fn read(node: Node<'_>) -> Result<Self, Wrongs> {
        let found = duration(node)?;
        if found.subsec_nanos() != 0 || found > LONGEST {
            return Err(node.not_allowed("0, or 3 to 65535 whole seconds").into());
        }
        let seconds = u16::try_from(found.as_secs()).ok().and_then(Self::new);
        seconds.ok_or_else(|| node.not_allowed("0, or 3 and more").into()) // RFC 4271 §4.2
    }
}

impl Written for HoldTime {
    fn written(&self) -> String {
        format!("\"{}s\"", self.seconds())
    }
}

fn duration(node: Node<'_>) -> Result<Duration, Wrong> {
    let found = match node.text()? {
        Some(text) => with_unit(&text),
        None => node.integer().and_then(|seconds| u64::try_from(seconds).ok()).map(Duration::from_secs),
    };
    found.ok_or_else(|| node.wrong("is not a duration", format!("allowed: {FORM}")))
}

fn with_unit(text: &str) -> Option<Duration> {
    let unit = text.find(|c: char| !c.is_ascii_digit())?;
    let number: u64 = text[..unit].parse().ok()?;
    let milliseconds = match &text[unit..] {
        "ms" => 1,
        "s" => 1000,
        "m" => 60_000,
        "h" => 3_600_000,
        _ => return None,
    };
    number.checked_mul(milliseconds).map(Duration::from_millis)
}
