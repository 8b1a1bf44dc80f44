//! What the gateway's task listens to, as one stream.

use std::future;
use std::time::Instant;

use bgpd::net::Outputs;
use bgpd::speaker::{Event, FibChange};
use tokio::sync::mpsc;

use super::gateway::Call;
use super::news::{Mailbox, News};
use crate::kernel;

/// What the task listens to.
#[derive(Debug)]
pub(super) struct Inputs {
    pub(super) calls: mpsc::Receiver<Call>,
    pub(super) speaker: Option<Outputs>,
    pub(super) kernel: mpsc::Receiver<kernel::Event>,
    pub(super) mailbox: Mailbox,
}

/// One input of the task.
pub(super) enum Heard {
    Call(Call),
    Fib(Vec<FibChange>),
    Event(Event),
    Kernel(kernel::Event),
    News(News),
    Ended(&'static str),
}

impl Inputs {
    /// The next of them. Cancel safe: each branch is.
    pub(super) async fn next(&mut self) -> Heard {
        let (fib, events) = match &mut self.speaker {
            Some(outputs) => (Some(&mut outputs.fib), Some(&mut outputs.events)),
            None => (None, None),
        };
        tokio::select! {
            biased;
            news = self.mailbox.take() => Heard::News(news),
            event = receive(events) => event.map_or(Heard::Ended("speaker"), Heard::Event),
            event = self.kernel.recv() => event.map_or(Heard::Ended("kernel's thread"), Heard::Kernel),
            changes = receive(fib) => changes.map_or(Heard::Ended("speaker"), Heard::Fib),
            call = self.calls.recv() => call.map_or(Heard::Ended("control API"), Heard::Call),
        }
    }
}

/// Of a part that may be absent: then never.
async fn receive<T>(channel: Option<&mut mpsc::Receiver<T>>) -> Option<T> {
    match channel {
        Some(channel) => channel.recv().await,
        None => future::pending().await,
    }
}

pub(super) async fn sleep_until(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline.into()).await,
        None => future::pending().await,
    }
}
