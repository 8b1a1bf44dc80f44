//! Who follows the tunnel (`vpngw monitor tunnel`): what has become of a peer goes to everybody who watches.
//!
//! The gateway's task never waits for one of them: who does not keep up hears how many changes it has missed.

use std::net::SocketAddr;
use std::time::SystemTime;

use tokio::sync::broadcast::{self, error::RecvError};
use tokio::sync::mpsc;
use wgd::settings::PublicKey;
use wgd::view::PeerState;

/// Changes that wait for the slowest; when full, the oldest goes.
const WAITING: usize = 1024;
/// On their way to one of them; when full, the next waits above.
const ON_THE_WAY: usize = 16;
/// Watchers at a time.
const MOST: usize = 4;

/// What has become of a WireGuard peer.
#[derive(Clone, Debug)]
pub struct PeerChange {
    /// When the gateway heard of it.
    pub at: SystemTime,
    /// As configured.
    pub name: String,
    /// Its key.
    pub public_key: PublicKey,
    /// What is new.
    pub what: PeerNews,
}

/// What is new of a peer.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum PeerNews {
    /// Whether it answers: before, where that was known, and now.
    State(Option<PeerState>, PeerState),
    /// It is somewhere else.
    Endpoint(SocketAddr),
    /// A handshake was completed: there are new session keys.
    Handshake,
    /// The session in use is under other static keys: our public key, and the peer's.
    Keys {
        /// Ours.
        ours: PublicKey,
        /// The peer's.
        theirs: PublicKey,
    },
    /// The longest packet that is sent to it is another one, of so many octets.
    Mtu(u16),
}

/// What a watcher hears.
#[derive(Clone, Debug)]
pub enum TunnelNews {
    /// A peer has changed.
    Peer(PeerChange),
    /// So many changes had no room.
    Missed(u64),
}

/// Everybody who watches.
#[derive(Debug)]
pub(super) struct Watchers(broadcast::Sender<PeerChange>);

impl Default for Watchers {
    fn default() -> Self {
        Self(broadcast::Sender::new(WAITING))
    }
}

impl Watchers {
    /// Tells all of them.
    pub(super) fn tell(&self, name: &str, public_key: PublicKey, what: PeerNews) {
        if self.0.receiver_count() > 0 {
            // The last of them may have gone meanwhile
            let _ = self.0.send(PeerChange { at: SystemTime::now(), name: name.to_owned(), public_key, what });
        }
    }

    /// One more; `None`: there are too many.
    pub(super) fn add(&self) -> Option<mpsc::Receiver<TunnelNews>> {
        if self.0.receiver_count() >= MOST {
            return None;
        }
        let (outlet, news) = mpsc::channel(ON_THE_WAY);
        tokio::spawn(forward(self.0.subscribe(), outlet));
        Some(news)
    }
}

/// Until who reads is gone, or the gateway.
async fn forward(mut changes: broadcast::Receiver<PeerChange>, outlet: mpsc::Sender<TunnelNews>) {
    loop {
        let news = tokio::select! {
            change = changes.recv() => match change {
                Ok(change) => TunnelNews::Peer(change),
                Err(RecvError::Lagged(missed)) => TunnelNews::Missed(missed),
                Err(RecvError::Closed) => return,
            },
            () = outlet.closed() => return,
        };
        if outlet.send(news).await.is_err() {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    const KEY: PublicKey = PublicKey([1; 32]);

    #[tokio::test]
    async fn a_watcher_that_does_not_keep_up_hears_how_much_it_has_missed() {
        let watchers = Watchers::default();
        let mut news = watchers.add().unwrap();
        for _ in 0..2 * WAITING {
            watchers.tell("far", KEY, PeerNews::Handshake);
        }
        drop(watchers);
        let (mut told, mut missed) = (0, 0);
        while let Some(news) = news.recv().await {
            match news {
                TunnelNews::Peer(_) => told += 1,
                TunnelNews::Missed(count) => missed += count,
            }
        }
        assert!(told >= WAITING as u64 && missed > 0, "{told} {missed}");
        assert_eq!(told + missed, 2 * WAITING as u64);
    }

    #[tokio::test]
    async fn who_stops_reading_leaves_the_place_to_another() {
        let watchers = Watchers::default();
        let mut all: Vec<_> = (0..MOST).map(|_| watchers.add().unwrap()).collect();
        assert!(watchers.add().is_none());
        all.pop();
        tokio::time::timeout(std::time::Duration::from_secs(30), async {
            while watchers.0.receiver_count() == MOST {
                tokio::task::yield_now().await;
            }
        })
        .await
        .unwrap();
        assert!(watchers.add().is_some());
    }
}
