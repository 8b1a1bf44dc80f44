//! Follows a site: every expectation is looked at again and again, and what comes true must stay true.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

use super::check::{Finding, Witnesses};
use super::site::Expectation;

/// From one look to the next.
const PAUSE: Duration = Duration::from_millis(500);
/// Findings that nobody has taken yet; whoever looks waits until there is room.
const FINDINGS: usize = 64;

/// What is known of one expectation.
#[derive(Clone, Debug)]
pub struct Record {
    /// What should be.
    pub expectation: Expectation,
    /// When it was true first, since the start of the watch.
    pub first: Option<Duration>,
    /// When it was looked at last.
    pub at: Duration,
    /// How it stood the last time: a few words, or why not.
    pub last: Result<String, String>,
    /// How often it was found not to hold after it first did.
    pub failures: u64,
    /// The first of these.
    pub failure: Option<String>,
    /// Echoes, from the first one that was answered.
    pub echoes: EchoCount,
}

/// Counts of ICMP echoes.
#[derive(Clone, Debug, Default)]
pub struct EchoCount {
    /// Requests.
    pub sent: u64,
    /// Answers.
    pub received: u64,
    /// Sum of the round-trip times.
    pub total: Duration,
    /// The shortest and the longest round-trip time.
    pub range: Option<(Duration, Duration)>,
}

/// How a finding differs from the one before.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Change {
    /// It holds, for the first time.
    CameTrue,
    /// It held, and does not.
    Failed,
    /// It holds again.
    Returned,
    /// Nothing.
    None,
}

/// The records of a site and the tasks that look.
#[derive(Debug)]
pub struct Watch {
    start: Instant,
    records: Vec<Record>,
    findings: mpsc::Receiver<(usize, Finding)>,
    _lookers: JoinSet<()>,
}

impl Watch {
    /// Starts to look, one task for each expectation.
    pub fn start(expectations: &[Expectation], witnesses: Witnesses) -> Self {
        let witnesses = Arc::new(witnesses);
        let (sender, findings) = mpsc::channel(FINDINGS);
        let mut lookers = JoinSet::new();
        for (index, expectation) in expectations.iter().cloned().enumerate() {
            let (witnesses, sender) = (Arc::clone(&witnesses), sender.clone());
            lookers.spawn(async move {
                while sender.send((index, witnesses.check(&expectation).await)).await.is_ok() {
                    sleep(PAUSE).await;
                }
            });
        }
        let records = expectations.iter().cloned().map(Record::new).collect();
        Self { start: Instant::now(), records, findings, _lookers: lookers }
    }

    /// Waits for the next finding, and says which record it has changed, and how.
    pub async fn next(&mut self) -> (&Record, Change) {
        match self.findings.recv().await {
            Some((index, finding)) => {
                let change = self.records[index].note(finding, self.start.elapsed());
                (&self.records[index], change)
            }
            // Every looker has failed, which they cannot: there is nothing more to see.
            None => std::future::pending().await,
        }
    }

    /// Since the start.
    pub fn elapsed(&self) -> Duration {
        self.start.elapsed()
    }

    /// In the order of the site.
    pub fn records(&self) -> &[Record] {
        &self.records
    }

    /// Everything came true and stayed so.
    pub fn succeeded(&self) -> bool {
        self.records.iter().all(Record::succeeded)
    }
}

impl Record {
    fn new(expectation: Expectation) -> Self {
        let last = Err("not looked at yet".to_owned());
        Self {
            expectation,
            first: None,
            at: Duration::ZERO,
            last,
            failures: 0,
            failure: None,
            echoes: EchoCount::default(),
        }
    }

    /// It came true and stayed so.
    pub fn succeeded(&self) -> bool {
        self.first.is_some() && self.failures == 0
    }

    fn note(&mut self, finding: Finding, now: Duration) -> Change {
        let change = match (&self.last, &finding.verdict) {
            (_, Ok(_)) if self.first.is_none() => Change::CameTrue,
            (Err(_), Ok(_)) => Change::Returned,
            (Ok(_), Err(_)) => Change::Failed,
            _ => Change::None,
        };
        if change == Change::CameTrue {
            self.first = Some(now);
        }
        if self.first.is_some() {
            self.echoes.add(finding.echoes.sent, &finding.echoes.round_trips);
        }
        if let (Some(_), Err(why)) = (self.first, &finding.verdict) {
            self.failures += 1;
            self.failure.get_or_insert_with(|| why.clone());
        }
        (self.last, self.at) = (finding.verdict, now);
        change
    }
}

impl EchoCount {
    fn add(&mut self, sent: u64, round_trips: &[Duration]) {
        self.sent += sent;
        self.received += round_trips.len() as u64;
        for time in round_trips {
            self.total += *time;
            let (shortest, longest) = self.range.unwrap_or((*time, *time));
            self.range = Some((shortest.min(*time), longest.max(*time)));
        }
    }

    /// Requests without an answer.
    pub fn lost(&self) -> u64 {
        self.sent - self.received
    }

    /// The mean round-trip time.
    pub fn mean(&self) -> Option<Duration> {
        self.range.map(|_| self.total.div_f64(self.received as f64))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::lab::request::Echoes;

    fn record() -> Record {
        Record::new(Expectation::Tunnel { gateway: "home", peer: "aws" })
    }

    fn finding(holds: bool) -> Finding {
        let verdict = if holds { Ok("up".to_owned()) } else { Err("down".to_owned()) };
        Finding { verdict, echoes: Echoes::default() }
    }

    fn echo(round_trip: Option<u64>) -> Finding {
        let round_trips = round_trip.into_iter().map(Duration::from_millis).collect();
        Finding { echoes: Echoes { sent: 1, round_trips, error: None }, ..finding(round_trip.is_some()) }
    }

    #[test]
    fn what_comes_true_and_stays_so_has_succeeded() {
        let mut record = record();
        assert_eq!(record.note(finding(false), Duration::from_secs(1)), Change::None);
        assert!(!record.succeeded());
        assert_eq!(record.note(finding(true), Duration::from_secs(2)), Change::CameTrue);
        assert_eq!(record.note(finding(true), Duration::from_secs(3)), Change::None);
        assert_eq!(record.first, Some(Duration::from_secs(2)));
        assert!(record.succeeded());
    }

    #[test]
    fn what_fails_after_it_came_true_has_not_succeeded_even_if_it_returns() {
        let mut record = record();
        record.note(finding(true), Duration::from_secs(1));
        assert_eq!(record.note(finding(false), Duration::from_secs(2)), Change::Failed);
        assert_eq!(record.note(finding(true), Duration::from_secs(3)), Change::Returned);
        assert!(!record.succeeded());
        assert_eq!(record.failure.as_deref(), Some("down"));
    }

    #[test]
    fn echoes_count_as_lost_only_after_the_first_answer() {
        let mut record = record();
        for round_trip in [None, None, Some(2), None, Some(4)] {
            record.note(echo(round_trip), Duration::ZERO);
        }
        assert_eq!((record.echoes.sent, record.echoes.lost()), (3, 1));
        assert_eq!(record.echoes.range, Some((Duration::from_millis(2), Duration::from_millis(4))));
        assert_eq!(record.echoes.mean(), Some(Duration::from_millis(3)));
    }
}
