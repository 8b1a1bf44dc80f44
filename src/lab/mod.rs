//! Sites as data, built in network namespaces: behind `vpngw lab` and under the site tests.
//!
//! A [`site::Site`] says who is there and what must be true; [`running::Running`] makes it real with this very binary and
//! nothing else; [`watch::Watch`] follows it. The lab's own process never enters a namespace: it has an agent
//! ([`node`]) in each. All of it ends with the lab: children are killed and waited for, namespaces end with their processes.

pub mod check;
pub mod directory;
mod flood;
pub mod homelab_aws;
pub mod namespace;
pub mod network;
pub mod node;
mod ping;
pub mod process;
mod relay;
pub mod request;
pub mod running;
mod screen;
pub mod site;
mod stream;
mod tcp;
#[cfg(test)]
mod tests;
pub mod watch;

use std::future::Future;
use std::io;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, bail};
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::{interval, sleep};

use running::Running;
use screen::Screen;
use site::Site;
use watch::Watch;

/// The sites that there are, by name.
pub const SITES: [&str; 1] = ["homelab-aws"];

/// How often the picture on a terminal is drawn.
const PICTURE: Duration = Duration::from_millis(250);
/// How much of a gateway's log is shown when something failed.
const LOG_LINES: usize = 20;

/// What `vpngw lab` was told.
#[derive(Clone, Debug)]
pub struct Options {
    /// One of [`SITES`].
    pub site: String,
    /// Absent: until Ctrl-C.
    pub duration: Option<Duration>,
}

/// Builds the site, follows it, and removes it. Succeeds only if everything the site must do came true and stayed so, and
/// its gateways left no route behind.
///
/// # Errors
/// Without root, for a site that there is not, and where it cannot be built.
pub fn run(options: Options) -> anyhow::Result<ExitCode> {
    let site = match options.site.as_str() {
        "homelab-aws" => homelab_aws::site(),
        other => bail!("there is no site {other}; there is: {}", SITES.join(", ")),
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(follow(&site, options.duration))
}

async fn follow(site: &Site, duration: Option<Duration>) -> anyhow::Result<ExitCode> {
    // From here on Ctrl-C ends the lab in order; a site half built is removed by its drop.
    let end = ended(duration)?;
    tokio::pin!(end);
    let binary = std::env::current_exe().context("the path of this program")?;
    let mut running = tokio::select! {
        built = Running::build(site, &binary) => built?,
        () = &mut end => bail!("ended before the site was built"),
    };
    for gateway in &site.gateways {
        running.start(gateway.name)?;
    }
    let mut watch = Watch::start(&site.expectations, running.witnesses());
    let screen = Screen::open(site.drawing)?;
    let crash = show(&mut watch, &screen, &mut running, end).await?;
    screen.close(&watch)?;
    let mut problems: Vec<String> = crash.iter().cloned().collect();
    if !watch.succeeded() {
        problems.push("not everything came true and stayed so".to_owned());
        show_logs(&mut running);
    }
    drop(watch);
    // The stop would tell of a crash once more.
    let stopped = running.stop().await.err().filter(|_| crash.is_none());
    problems.extend(stopped.map(|error| format!("{error:#}")));
    let leftovers = running.leftovers().await?;
    problems.extend(leftovers.iter().map(|(node, count)| format!("{count} routes were left behind on {node}")));
    if problems.is_empty() {
        return Ok(ExitCode::SUCCESS);
    }
    bail!(problems.join("; "))
}

/// Ctrl-C, SIGTERM, or the end of the time.
fn ended(duration: Option<Duration>) -> io::Result<impl Future<Output = ()>> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    Ok(async move {
        let time = async {
            match duration {
                Some(duration) => sleep(duration).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
            () = time => {}
        }
    })
}

/// Follows the site until the end; a gateway that ends before says how.
async fn show(
    watch: &mut Watch,
    screen: &Screen,
    running: &mut Running,
    mut end: impl Future<Output = ()> + Unpin,
) -> anyhow::Result<Option<String>> {
    let mut picture = interval(PICTURE);
    loop {
        tokio::select! {
            (record, change) = watch.next() => screen.tell(record, change)?,
            _ = picture.tick() => {
                screen.draw(watch)?;
                if let Some(crash) = running.ended()? {
                    return Ok(Some(crash));
                }
            }
            () = &mut end => return Ok(None),
        }
    }
}

/// To standard error, which is for talk.
fn show_logs(running: &mut Running) {
    for process in running.processes() {
        let output = process.output();
        let lines: Vec<&str> = output.lines().collect();
        let last = lines.len().saturating_sub(LOG_LINES);
        anstream::eprintln!("--- {} says last:\n{}", process.name(), lines[last..].join("\n"));
    }
}
