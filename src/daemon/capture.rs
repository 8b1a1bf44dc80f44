//! Captures (`vpngw monitor packets`): from the tunnel's worker to who reads, without either waiting for the other.

use std::ops::ControlFlow;
use std::time::{Instant, SystemTime};

use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::mpsc::{self, Receiver};
use wgd::capture::{Captured, Filter, Packets};
use wgd::net::Tunnel;

/// Batches on their way to who reads; when full, packets wait in the worker, which counts what has no room there.
const BATCHES: usize = 4;

/// A capture that runs. Dropping it ends it.
#[derive(Debug)]
pub struct Capture {
    /// Packets in batches, to the end of the tunnel.
    pub packets: Receiver<Packets>,
    /// The same moment by both clocks.
    began: (Instant, SystemTime),
}

impl Capture {
    /// Begins one; `None`: there are too many, or the tunnel has ended.
    pub(super) fn start(tunnel: &Tunnel, filter: Filter) -> Option<Self> {
        let (outlet, packets) = mpsc::channel(BATCHES);
        let sink = move |waiting: &mut Packets| {
            match outlet.try_reserve() {
                Ok(room) if !waiting.is_empty() => room.send(waiting.take()),
                Ok(_) | Err(TrySendError::Full(())) => {}
                Err(TrySendError::Closed(())) => return ControlFlow::Break(()),
            }
            ControlFlow::Continue(())
        };
        tunnel.capture(filter, Box::new(sink)).then(|| Self { packets, began: (Instant::now(), SystemTime::now()) })
    }

    /// When a packet passed.
    pub fn time(&self, captured: &Captured<'_>) -> SystemTime {
        let (instant, time) = self.began;
        match captured.at.checked_duration_since(instant) {
            Some(after) => time + after,
            None => time - instant.saturating_duration_since(captured.at),
        }
    }
}
