//! Stopping, in order: the sessions, while the tunnel can still carry the NOTIFICATION; then our routes, then the device, and
//! last the control socket, whose end says that the next gateway can start.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use bgpd::speaker;
use config::settings::OnStop;
use tracing::{info, warn};

use super::gateway::Gateway;
use super::handle::Stop;
use super::inputs::sleep_until;
use super::systemd;

/// How long the removal of our routes may take: while many network namespaces end, the kernel lets a change wait for seconds.
const WITHDRAW_TIME: Duration = Duration::from_secs(10);
/// How long a clean stop may take: the end of the sessions, then our routes.
pub const STOP_TIME: Duration = bgpd::net::STOP_TIME.saturating_add(WITHDRAW_TIME);

impl Gateway {
    pub(super) async fn stop(mut self, how: Stop) -> Result<()> {
        let on_stop = match how {
            Stop::AsConfigured => self.config.on_stop,
            Stop::KeepRoutes => OnStop::Keep,
            Stop::Withdraw => OnStop::Withdraw,
        };
        systemd::stopping();
        info!(keep_routes = on_stop == OnStop::Keep, "stopping");
        if let Some(bgp) = self.bgp.take() {
            bgp.stop(match on_stop {
                OnStop::Keep => speaker::Stop::Keep,
                OnStop::Withdraw => speaker::Stop::Withdraw,
            })
            .await;
        }
        let withdrawn = match on_stop {
            OnStop::Keep => Ok(()),
            OnStop::Withdraw => self.withdraw().await,
        };
        if on_stop == OnStop::Withdraw {
            self.memory.erase();
        }
        if let Some(device) = self.device.take() {
            if let Err(error) = device.outlive_us(on_stop) {
                warn!("{error:#}");
            }
            device.tunnel.stop();
        }
        self.held.observers.shutdown().await;
        // Leftover sockets are no harm: the next start finds that nobody answers and removes them.
        if let Some(socket) = &self.held.wg_socket {
            let _ = std::fs::remove_file(socket);
        }
        drop(self.held.instance);
        let _ = std::fs::remove_file(&self.config.control.socket);
        withdrawn
    }

    /// Only the kernel's answers count: the tunnel and its table go with the device.
    async fn withdraw(&mut self) -> Result<()> {
        self.fib.withdraw_all();
        let deadline = Instant::now() + WITHDRAW_TIME;
        loop {
            self.do_work().await;
            if self.fib.withdrawn() {
                return Ok(());
            }
            let retry = self.fib.next_timeout();
            tokio::select! {
                Some(done) = self.jobs.join_next() => self.done(done.context("a job of the gateway panicked")?).await,
                () = sleep_until(retry) => {}
                () = sleep_until(Some(deadline)) => bail!("our routes could not be removed within {WITHDRAW_TIME:?}"),
            }
        }
    }
}
