//! Echo requests in a steady beat, on several ways at once.

use std::time::Duration;

use anyhow::ensure;
use vpngw::lab::request::{Fate, Run, Stream};

use super::{Lab, eventually};

/// Who asks, from which address, and whom.
pub type Way = (&'static str, &'static str, &'static str);

/// Streams that run, by their numbers at the nodes that ask.
pub struct Streams(Vec<(Way, u64)>);

impl Streams {
    pub async fn start(lab: &Lab, ways: impl IntoIterator<Item = Way>, interval: Duration) -> Self {
        let mut streams = Vec::new();
        for way in ways {
            let (node, from, to) = way;
            let stream = Stream { to: to.parse().unwrap(), from: from.parse().ok(), interval };
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

    /// Ends all: what became of the requests of each. All at once: the last answers have some time to come.
    pub async fn end(self, lab: &Lab) -> Vec<(Way, Vec<Run>)> {
        let end = |(way, number): (Way, u64)| {
            let node = lab.node(way.0).clone();
            (way, tokio::spawn(async move { node.end_stream(number).await.unwrap() }))
        };
        let ending: Vec<_> = self.0.into_iter().map(end).collect();
        let mut ended = Vec::new();
        for (way, runs) in ending {
            ended.push((way, runs.await.unwrap()));
        }
        ended
    }

    /// Ends all: there were some requests, and every one was answered.
    pub async fn all_were_answered(self, lab: &Lab) {
        for (way, runs) in self.end(lab).await {
            assert!(runs.len() == 1 && runs[0].fate == Fate::Answered && runs[0].requests > 20, "{way:?}: {runs:?}");
        }
    }

    async fn wait(&self, lab: &Lab, requests: usize, counts: impl Fn(&Run) -> bool) {
        let before = self.count(lab, &counts).await.unwrap();
        eventually(&format!("{requests} requests more of each stream"), async || {
            let now = self.count(lab, &counts).await?;
            let few = before.iter().zip(&now).position(|(before, now)| *now < before + requests);
            ensure!(few.is_none(), "{:?}: {now:?} after {before:?}", few.map(|stream| self.0[stream].0));
            Ok(())
        })
        .await;
    }

    async fn count(&self, lab: &Lab, counts: impl Fn(&Run) -> bool) -> anyhow::Result<Vec<usize>> {
        let mut found = Vec::new();
        for ((node, ..), number) in &self.0 {
            let runs = lab.node(node).streamed(*number).await?;
            found.push(runs.iter().filter(|run| counts(run)).map(|run| run.requests).sum());
        }
        Ok(found)
    }
}
