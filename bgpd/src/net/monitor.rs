//! Monitors (`vpngw monitor`): what there is for one goes into its channel as fast as that is read. Runs on thread `bgp`.

use std::collections::HashMap;
use std::rc::Rc;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use tokio::sync::{Notify, mpsc};

use super::Monitor;
use super::shell::{Core, Shell};
use crate::monitor::{MonitorId, News, Watch};
use crate::speaker::Speaker;

/// Batches that wait for who reads; when full, what comes waits inside the speaker, which counts what has no room there.
const BATCHES: usize = 4;
/// Octets in a batch, and one piece of news more.
const BATCH: usize = 32 * 1024;

/// Tasks of monitors, and how each is told that there is something for it.
pub(super) type Monitors = HashMap<MonitorId, Rc<Notify>>;

impl Core {
    /// Tells those that the speaker has something for.
    pub(super) fn wake_monitors(&self) {
        let waiting = self.speaker.monitors_waiting();
        waiting.filter_map(|id| self.monitors.get(&id)).for_each(|monitor| monitor.notify_one());
    }
}

impl Shell {
    /// Begins a monitor; `None`: there are too many.
    pub(super) fn monitor(self: &Rc<Self>, core: &mut Core, watch: Watch) -> Option<Monitor> {
        let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let id = core.speaker.watch(Instant::now(), watch, wall)?;
        let (outlet, news) = mpsc::channel(BATCHES);
        let waiting = Rc::<Notify>::default();
        core.monitors.insert(id, waiting.clone());
        self.spawn(run(self.clone(), id, outlet, waiting));
        Some(news)
    }
}

/// The task of a monitor: until who reads is gone.
async fn run(shell: Rc<Shell>, id: MonitorId, outlet: mpsc::Sender<Vec<News>>, waiting: Rc<Notify>) {
    let poll = |speaker: &mut Speaker| speaker.poll_monitor(id, BATCH);
    while let Ok(room) = outlet.reserve().await {
        let news = loop {
            let news = shell.with_speaker(poll);
            if !news.is_empty() {
                break news;
            }
            tokio::select! {
                () = waiting.notified() => {}
                () = outlet.closed() => break news, // none, for nobody
            }
        };
        room.send(news);
    }
    shell.end_monitor(id);
}
