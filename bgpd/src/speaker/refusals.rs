//! What neighbors and strangers do wrong is told, but nobody fills the journal by doing it again and again: after a few
//! a minute from one address the others are only counted.

use std::collections::{BTreeMap, VecDeque};
use std::net::{IpAddr, Ipv6Addr};
use std::time::{Duration, Instant};

use super::Event;

/// What one address does wrong is counted for so long,
const WINDOW: Duration = Duration::from_secs(60);
/// and told so often meanwhile.
const TOLD: usize = 5;
/// Addresses that are told apart. What others do wrong is counted together.
const ADDRESSES: usize = 1024;
const OTHERS: IpAddr = IpAddr::V6(Ipv6Addr::UNSPECIFIED);

/// A refusal.
#[derive(Debug)]
pub(super) struct Refusal {
    pub(super) neighbor: Option<String>,
    pub(super) remote: IpAddr,
    pub(super) text: String,
}

/// Those of the last minute.
#[derive(Debug, Default)]
pub(super) struct Refusals {
    counted: BTreeMap<IpAddr, Counted>,
    /// When the window of an address ends, the next first.
    ends: VecDeque<(Instant, IpAddr)>,
}

#[derive(Debug, Default)]
struct Counted {
    all: usize,
    /// The last one that was not told.
    untold: Option<Refusal>,
}

impl Refusals {
    /// Takes note of a refusal, which comes back if it is to be told now.
    pub(super) fn note(&mut self, now: Instant, refusal: Refusal) -> Option<Event> {
        let known = self.counted.contains_key(&refusal.remote) || self.counted.len() < ADDRESSES;
        let address = if known { refusal.remote } else { OTHERS };
        let counted = self.counted.entry(address).or_insert_with(|| {
            self.ends.push_back((now + WINDOW, address));
            Counted::default()
        });
        counted.all += 1;
        if counted.all <= TOLD {
            return Some(refusal.into());
        }
        counted.untold = Some(refusal);
        None
    }

    /// When a window ends.
    pub(super) fn next_deadline(&self) -> Option<Instant> {
        self.ends.front().map(|(end, _)| *end)
    }

    /// What was counted in a window that has ended.
    pub(super) fn poll(&mut self, now: Instant) -> Option<Event> {
        while self.next_deadline().is_some_and(|end| end <= now) {
            let (_, address) = self.ends.pop_front()?;
            let Counted { all, untold } = self.counted.remove(&address).unwrap_or_default();
            if let Some(last) = untold {
                let who = if address == OTHERS { " from several addresses" } else { "" };
                let text = format!("{} more within a minute{who}, the last: {}", all - TOLD, last.text);
                return Some(Refusal { text, ..last }.into());
            }
        }
        None
    }
}

impl From<Refusal> for Event {
    fn from(Refusal { neighbor, remote, text }: Refusal) -> Self {
        Self::Refused { neighbor, remote, text }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn refusal(last: u32) -> Refusal {
        Refusal { neighbor: None, remote: std::net::Ipv4Addr::from_bits(last).into(), text: format!("no {last}") }
    }

    fn text(event: Option<Event>) -> Option<String> {
        match event? {
            Event::Refused { text, .. } => Some(text),
            event => panic!("{event:?}"),
        }
    }

    #[test]
    fn the_first_of_a_minute_are_told_and_the_others_counted() {
        let (mut refusals, start) = (Refusals::default(), Instant::now());
        let told = (0..50).filter(|_| refusals.note(start, refusal(7)).is_some()).count();
        assert_eq!(told, TOLD);
        assert!(refusals.note(start, refusal(8)).is_some(), "each address for itself");
        let end = refusals.next_deadline().unwrap();
        assert_eq!(text(refusals.poll(end - Duration::from_secs(1))), None);
        assert_eq!(text(refusals.poll(end)).unwrap(), "45 more within a minute, the last: no 7");
        assert_eq!(text(refusals.poll(end)), None, "all of the other were told");
        assert_eq!(refusals.next_deadline(), None);
        assert!(refusals.note(end, refusal(7)).is_some(), "the next minute begins anew");
    }

    #[test]
    fn many_addresses_cost_bounded_memory() {
        let (mut refusals, start) = (Refusals::default(), Instant::now());
        let told = (0..100_000).filter(|last| refusals.note(start, refusal(*last)).is_some()).count();
        assert_eq!(told, ADDRESSES + TOLD);
        assert_eq!((refusals.counted.len(), refusals.ends.len()), (ADDRESSES + 1, ADDRESSES + 1));
        let summary = text(refusals.poll(start + WINDOW)).unwrap();
        assert_eq!(summary, "98971 more within a minute from several addresses, the last: no 99999");
        assert!(refusals.counted.is_empty());
    }
}
