//! Echo requests in a steady beat, between the servers and the service, in both directions and families at once.

#![allow(unreachable_pub)]

use std::time::Duration;

use anyhow::ensure;
use vpngw::lab::request::{Fate, Run, Stream};

use crate::common::{Lab, eventually};

/// Who asks, from which address, and whom.
pub type Way = (&'static str, &'static str, &'static str);

/// From the server behind the hub to the service behind two tunnels.
pub const THERE: [Way; 2] = [("server", "10.20.0.20", "10.50.0.1"), ("server", "fd20::20", "fd50::1")];
/// From the hub itself, whose kernel says of each packet at once that it has no way; Linux tells others so once a second.
pub const HUB: [Way; 2] = [("hub", "10.20.0.10", "10.50.0.1"), ("hub", "fd20::10", "fd50::1")];
/// From the service to the server.
pub const BACK: [Way; 2] = [("service", "10.50.0.1", "10.20.0.20"), ("service", "fd50::1", "fd20::20")];

const INTERVAL: Duration = Duration::from_millis(5);

/// Streams that run, by their numbers at the nodes that ask.
pub struct Streams(Vec<(Way, u64)>);

impl Streams {
    pub async fn start(lab: &Lab) -> Self {
        let mut streams = Vec::new();
        for way in THERE.into_iter().chain(HUB).chain(BACK) {
            let (node, from, to) = way;
            let stream = Stream { to: to.parse().unwrap(), from: from.parse().ok(), interval: INTERVAL };
            streams.push((way, lab.node(node).stream(stream).await.unwrap()));
        }
        Self(streams)
    }

    /// Waits until so many requests more were sent in each stream.
    pub async fn go_on(&self, lab: &Lab, requests: usize) {
        self.wait(lab, requests, |_| true).await;
    }

    /// Waits until so many requests more were answered in each stream.
    pub async fn are_answered(&self, lab: &Lab, requests: usize) {
        self.wait(lab, requests, |run| run.fate == Fate::Answered).await;
    }

    /// Ends all: what became of the requests of each.
    pub async fn end(self, lab: &Lab) -> Vec<(Way, Vec<Run>)> {
        let mut ended = Vec::new();
        for ((node, from, to), number) in self.0 {
            ended.push(((node, from, to), lab.node(node).end_stream(number).await.unwrap()));
        }
        ended
    }

    async fn wait(&self, lab: &Lab, requests: usize, counts: impl Fn(&Run) -> bool) {
        for ((node, from, to), number) in &self.0 {
            let count = async || -> anyhow::Result<usize> {
                let runs = lab.node(node).streamed(*number).await?;
                Ok(runs.iter().filter(|run| counts(run)).map(|run| run.requests).sum())
            };
            let before = count().await.unwrap();
            eventually(&format!("{requests} requests more from {from} to {to}"), async || {
                let now = count().await?;
                ensure!(now >= before + requests, "{now} after {before}");
                Ok(())
            })
            .await;
        }
    }
}
