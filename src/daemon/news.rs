//! What the tunnel's workers tell the gateway, folded: the newest of each kind, so that it is bounded by the number of
//! peers, a worker never waits, and nothing that matters is lost.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::Notify;
use wgd::net::Event;
use wgd::settings::PublicKey;
use wgd::table::Generation;
use wgd::view::PeerState;

/// Everything since the last look.
#[derive(Debug, Default)]
pub(super) struct News {
    /// The newest generation that every worker has.
    pub(super) applied: Option<Generation>,
    /// Newest state by peer.
    pub(super) peers: BTreeMap<PublicKey, PeerState>,
    /// Where peers are, newest by peer.
    pub(super) moved: BTreeMap<PublicKey, SocketAddr>,
    /// Peers with which a handshake was completed.
    pub(super) handshakes: BTreeSet<PublicKey>,
    /// The longest packets that are sent to peers, where that has changed.
    pub(super) mtus: BTreeMap<PublicKey, u16>,
    /// Static keys in use with peers, ours and theirs, where they have changed.
    pub(super) keys: BTreeMap<PublicKey, (PublicKey, PublicKey)>,
    /// Names to look up, by peer.
    pub(super) endpoints: BTreeMap<PublicKey, (String, u16)>,
    /// The device's MTU, where it has changed.
    pub(super) mtu: Option<u16>,
    /// The tunnel is gone, and why.
    pub(super) failed: Option<String>,
}

/// Shared by the workers (writing) and the gateway's task (reading).
#[derive(Clone, Debug, Default)]
pub(super) struct Mailbox {
    inner: Arc<(Mutex<News>, Notify)>,
}

impl Mailbox {
    pub(super) fn put(&self, event: Event) {
        let (news, notify) = &*self.inner;
        let mut news = news.lock().unwrap_or_else(PoisonError::into_inner);
        match event {
            Event::TableApplied(generation) => news.applied = news.applied.max(Some(generation)),
            Event::PeerState(peer, state) => drop(news.peers.insert(peer, state)),
            Event::Endpoint(peer, address) => drop(news.moved.insert(peer, address)),
            Event::Handshake(peer) => drop(news.handshakes.insert(peer)),
            Event::PeerMtu(peer, mtu) => drop(news.mtus.insert(peer, mtu)),
            Event::Keys(peer, keys) => drop(news.keys.insert(peer, keys)),
            Event::EndpointWanted(peer, name, port) => drop(news.endpoints.insert(peer, (name, port))),
            Event::Mtu(mtu) => news.mtu = Some(mtu),
            Event::Failed(why) => news.failed = Some(why),
        }
        notify.notify_one();
    }

    /// Waits until there is something. Cancel safe.
    pub(super) async fn take(&self) -> News {
        let (news, notify) = &*self.inner;
        notify.notified().await;
        std::mem::take(&mut *news.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(flavor = "current_thread")]
    async fn the_newest_of_each_kind_is_kept() {
        let (mailbox, peer) = (Mailbox::default(), PublicKey([7; 32]));
        mailbox.put(Event::TableApplied(Generation(2)));
        mailbox.put(Event::TableApplied(Generation(1)));
        mailbox.put(Event::PeerState(peer, PeerState::Down));
        mailbox.put(Event::PeerState(peer, PeerState::Up));
        let news = mailbox.take().await;
        assert_eq!(news.applied, Some(Generation(2)));
        assert_eq!(news.peers.into_iter().collect::<Vec<_>>(), [(peer, PeerState::Up)]);
    }
}
