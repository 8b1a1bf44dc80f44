//! What is remembered of a neighbor for people: messages and faults by number, its last ups and downs.

use std::collections::VecDeque;
use std::time::Instant;

use super::Speaker;
use super::neighbor::NeighborId;
use super::refusals::Refusal;
use crate::view::{Counters, LastError, PastView};
use crate::wire::{self, AttrError, DecodeError, HEADER, Notification, Treatment};

/// Ups and downs that are remembered.
const PASTS: usize = 16;
/// Octets of a faulty attribute that are kept: as many as a NOTIFICATION of 4096 octets could show.
const SHOWN: usize = 4096 - HEADER - 2;

/// What is remembered of a neighbor, for as long as it is configured.
#[derive(Clone, Debug, Default)]
pub(super) struct Record {
    pub(super) counters: Counters,
    pub(super) last_error: Option<PastError>,
    /// The oldest first.
    past: VecDeque<Past>,
}

/// The end of a session, or a fault that it survived.
#[derive(Clone, Debug)]
pub(super) struct PastError {
    pub(super) sent: bool,
    pub(super) notification: Option<Notification>,
    /// What was done instead of ending the session.
    pub(super) treatment: Option<Treatment>,
    pub(super) text: String,
    pub(super) at: Instant,
}

/// A session came up, or ended.
#[derive(Clone, Debug)]
struct Past {
    up: bool,
    text: String,
    at: Instant,
}

impl Record {
    /// A session came up.
    pub(super) fn up(&mut self, now: Instant) {
        self.remember(Past { up: true, text: "established".to_owned(), at: now });
    }

    /// It ended.
    pub(super) fn down(&mut self, now: Instant, text: &str) {
        self.counters.flaps += 1;
        self.remember(Past { up: false, text: text.to_owned(), at: now });
    }

    fn remember(&mut self, past: Past) {
        if self.past.len() == PASTS {
            self.past.pop_front();
        }
        self.past.push_back(past);
    }

    /// The newest first.
    pub(super) fn history(&self, now: Instant) -> Vec<PastView> {
        let past = self.past.iter().rev();
        past.map(|Past { up, text, at }| PastView {
            up: *up,
            text: text.clone(),
            age: now.saturating_duration_since(*at),
        })
        .collect()
    }

    pub(super) fn last_error(&self, now: Instant) -> Option<LastError> {
        let PastError { sent, notification, treatment, text, at } = self.last_error.as_ref()?;
        Some(LastError {
            sent: *sent,
            notification: notification.clone(),
            treatment: *treatment,
            text: text.clone(),
            age: now.saturating_duration_since(*at),
        })
    }
}

impl Speaker {
    /// Counts whole messages that leave for a neighbor, whoever wrote them.
    pub(super) fn count_sent(&mut self, id: NeighborId, mut bytes: &[u8]) {
        let Some(neighbor) = self.neighbors.get_mut(id) else { return };
        while let Some((message, rest)) = wire::split_message(bytes) {
            neighbor.record.counters.sent.count(message[HEADER - 1]);
            bytes = rest;
        }
    }

    /// RFC 7606 §2: what was wrong with an UPDATE that did not end the session is told to people.
    pub(super) fn report(&mut self, id: NeighborId, errors: &[AttrError]) {
        let Some(worst) = errors.iter().max_by_key(|error| error.treatment()) else { return };
        let now = self.now;
        let Some(neighbor) = self.neighbors.get_mut(id) else { return };
        let counters = &mut neighbor.record.counters;
        let treatment = worst.treatment();
        let what = match treatment {
            Treatment::AttributeDiscard => {
                counters.attribute_discard += errors.len() as u64;
                "an attribute was dropped"
            }
            Treatment::TreatAsWithdraw | Treatment::SessionReset => {
                counters.treat_as_withdraw += 1;
                "its routes count as withdrawn"
            }
        };
        let text = format!("UPDATE: {worst}; {what}");
        neighbor.record.last_error = Some(PastError {
            sent: false,
            notification: Some(would_be(worst)),
            treatment: Some(treatment),
            text: text.clone(),
            at: now,
        });
        let remote = neighbor.settings.address;
        let neighbor = Some(neighbor.name.clone());
        self.refuse(Refusal { neighbor, remote, text });
    }
}

/// The NOTIFICATION that RFC 4271 §6.3 would have, with the attribute where it would have no data.
fn would_be(error: &AttrError) -> Notification {
    let mut notification = Notification::from(&DecodeError::Attribute(error.clone()));
    if notification.data.is_empty() {
        notification.data.clone_from(&error.attribute);
    }
    notification.data.truncate(SHOWN);
    notification
}
