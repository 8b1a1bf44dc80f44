//! A moment: a date with a time and its distance from UTC.

use std::time::{Duration, SystemTime};

use toml::value::{Date, Datetime, Offset, Time};

use super::Value;
use crate::raw::{Node, Wrongs};

/// A moment after 1970, as TOML's own type or as text.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Moment(pub(crate) SystemTime);

impl Value for Moment {
    fn allowed() -> String {
        "date and time with their distance from UTC: 2026-03-01T02:00:00Z".to_owned()
    }

    fn schema() -> String {
        "\"type\": \"string\", \"format\": \"date-time\"".to_owned()
    }

    fn read(node: Node<'_>) -> Result<Self, Wrongs> {
        let datetime = match node.text()? {
            Some(text) => text.parse().ok(),
            None => node.datetime(),
        };
        let Some(Datetime { date: Some(date), time: Some(time), offset }) = datetime else {
            return Err(node.not_allowed(Self::allowed()).into());
        };
        let Some(offset) = offset else {
            return Err(node.wrong("has no distance from UTC", "write `Z` or `+01:00` behind it").into());
        };
        moment(date, time, offset).map(Self).ok_or_else(|| node.not_allowed("a moment after 1970").into())
    }
}

fn moment(date: Date, time: Time, offset: Offset) -> Option<SystemTime> {
    let minutes = match offset {
        Offset::Z => 0,
        Offset::Custom { minutes } => i64::from(minutes),
    };
    let clock =
        (i64::from(time.hour) * 60 + i64::from(time.minute) - minutes) * 60 + i64::from(time.second.unwrap_or(0));
    let seconds = u64::try_from(days(date) * 86_400 + clock).ok()?;
    SystemTime::UNIX_EPOCH.checked_add(Duration::new(seconds, time.nanosecond.unwrap_or(0)))
}

/// Days since 1970 in the Gregorian calendar, counted in years that begin in March, so that a leap day is a last day.
fn days(Date { year, month, day }: Date) -> i64 {
    let (year, month) = (i64::from(year) - i64::from(month <= 2), (i64::from(month) + 9) % 12);
    let of_years = year * 365 + year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400);
    // 719,468 days lie between the first of March of the year 0 and 1970
    of_years + (month * 153 + 2) / 5 + i64::from(day) - 1 - 719_468
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn seconds(text: &str) -> Option<u64> {
        let Datetime { date, time, offset } = text.parse().unwrap();
        let moment = moment(date.unwrap(), time.unwrap(), offset.unwrap())?;
        Some(moment.duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs())
    }

    #[test]
    fn moments_are_seconds_since_1970_in_utc() {
        // As GNU date prints them with +%s
        for (text, expected) in [
            ("1970-01-01T00:00:00Z", 0),
            ("2000-02-29T12:00:00Z", 951_825_600),
            ("2000-03-01T00:00:00Z", 951_868_800),
            ("2026-03-01T02:00:00+01:00", 1_772_326_800),
            ("2026-12-31T23:59:59-05:30", 1_798_781_399),
            ("2100-03-01T00:00:00Z", 4_107_542_400),
        ] {
            assert_eq!(seconds(text), Some(expected), "{text}");
        }
        assert_eq!(seconds("1969-12-31T23:59:59Z"), None);
    }
}
