//! Work for the host: batches out, answers in, refused routes again after a while.

use std::io;
use std::time::Instant;

use wgd::table::{Change, Generation};

use super::entry::Entry;
use super::{Fib, Place, Work};

/// Destinations in a [`Work::Tunnel`] or [`Work::Kernel`].
const BATCH: usize = 1000;

/// A batch on its way to the tunnel's workers.
#[derive(Debug)]
pub(super) struct TunnelBatch {
    places: Vec<Place>,
    generation: Option<Generation>,
}

impl Fib {
    /// The next piece of work; at most one of each kind but [`Work::NextHops`] is under way at a time.
    pub fn poll_work(&mut self, now: Instant) -> Option<Work> {
        self.run_clock(now);
        if let Some(next_hops) = self.next_hops.poll_look_up() {
            return Some(Work::Resolve(next_hops));
        }
        if let Some(states) = self.next_hops.poll_tell() {
            return Some(Work::NextHops(states));
        }
        self.poll_tunnel().or_else(|| self.poll_kernel())
    }

    fn poll_tunnel(&mut self) -> Option<Work> {
        if self.tunnel_batch.is_some() {
            return None;
        }
        let (mut places, mut changes) = (Vec::new(), Vec::new());
        while changes.len() < BATCH
            && let Some(place) = self.tunnel.take()
        {
            let Some(mut entry) = self.entries.get_mut(&place) else { continue };
            let Some(group) = entry.tunnel_step() else { continue };
            entry.tunnel_sent(group.clone());
            places.push(place);
            changes.push(Change { prefix: place.prefix, group: group.as_deref().cloned() });
        }
        self.tunnel_batch = (!places.is_empty()).then_some(TunnelBatch { places, generation: None });
        self.tunnel_batch.is_some().then_some(Work::Tunnel(changes))
    }

    fn poll_kernel(&mut self) -> Option<Work> {
        if self.kernel_batch.is_some() {
            return None;
        }
        let (mut places, mut ops) = (Vec::new(), Vec::new());
        while ops.len() < BATCH
            && let Some(place) = self.kernel.take()
        {
            let Some(mut entry) = self.entries.get_mut(&place) else { continue };
            let Some(body) = entry.kernel_step() else { continue };
            entry.kernel_sent(body.clone());
            places.push(place);
            ops.push(place.op(self.settings.protocol, body.as_deref()));
        }
        self.kernel_batch = (!places.is_empty()).then_some(places);
        self.kernel_batch.is_some().then_some(Work::Kernel(ops))
    }

    /// Gives new failures their time, and lets those whose time has come be tried again.
    fn run_clock(&mut self, now: Instant) {
        let refused = std::mem::take(&mut self.refused);
        self.retries.extend(refused.into_iter().map(|(place, delay)| (now + delay, place)));
        while self.retries.first().is_some_and(|(at, _)| *at <= now)
            && let Some((_, place)) = self.retries.pop_first()
        {
            self.retry(place);
        }
    }

    /// Whatever was refused is tried again now.
    pub(super) fn retry_all(&mut self) {
        let later = std::mem::take(&mut self.retries).into_iter().map(|(_, place)| place);
        let refused = std::mem::take(&mut self.refused).into_iter().map(|(place, _)| place);
        later.chain(refused).for_each(|place| self.retry(place));
    }

    fn retry(&mut self, place: Place) {
        if let Some(mut entry) = self.entries.get_mut(&place) {
            entry.retry();
        }
        self.schedule(place);
    }

    /// Nothing is under way or waiting, but for the next try of what was refused.
    #[cfg(test)]
    pub(super) fn idle(&self) -> bool {
        self.tunnel_batch.is_none()
            && self.kernel_batch.is_none()
            && self.tunnel.is_empty()
            && self.kernel.is_empty()
            && self.next_hops.idle()
    }

    /// Nothing of ours is in the kernel, nor on its way. A deletion that was refused is still to be done; nobody else is
    /// waited for: without routes into it, the tunnel's table does not matter any more.
    pub fn withdrawn(&self) -> bool {
        let asks_kernel = self.kernel_batch.is_some() || !self.kernel.is_empty();
        !asks_kernel && !self.entries.values().any(Entry::has_kernel_side)
    }

    /// When failed routes are tried again.
    pub fn next_timeout(&self) -> Option<Instant> {
        self.retries.first().map(|(at, _)| *at)
    }

    /// Which generation the batch of the last [`Work::Tunnel`] got.
    pub fn tunnel_sent(&mut self, generation: Generation) {
        if let Some(batch) = &mut self.tunnel_batch {
            batch.generation = Some(generation);
        }
    }

    /// Every worker has it.
    pub fn tunnel_applied(&mut self, generation: Generation) {
        let is_done = |batch: &mut TunnelBatch| batch.generation.is_some_and(|sent| sent <= generation);
        let Some(batch) = self.tunnel_batch.take_if(is_done) else { return };
        for place in batch.places {
            if let Some(mut entry) = self.entries.get_mut(&place) {
                entry.tunnel_applied();
            }
            self.schedule(place);
        }
    }

    /// Answer to [`Work::Kernel`]: what [`crate::kernel::Kernel::routes`] returned.
    pub fn kernel_done(&mut self, results: io::Result<Vec<io::Result<()>>>) {
        let Some(places) = self.kernel_batch.take() else { return };
        self.next_hops.look_up_unreachable();
        let (mut results, whole) = match results {
            Ok(results) => (results.into_iter(), None),
            Err(error) => (Vec::new().into_iter(), Some(error)),
        };
        for place in places {
            let result = results.next();
            let certain = result.is_some();
            let unanswered = || {
                let why = whole.as_ref().map_or_else(|| "the kernel did not answer".to_owned(), ToString::to_string);
                Err(io::Error::other(why))
            };
            if let Some(mut entry) = self.entries.get_mut(&place) {
                let retry = entry.kernel_done(result.unwrap_or_else(unanswered), certain);
                self.refused.extend(retry.map(|delay| (place, delay)));
            }
            self.schedule(place);
        }
    }
}
