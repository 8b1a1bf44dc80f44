//! What a gateway remembers for the one after it: the neighbors that keep routes and have a session, and where WireGuard
//! peers were heard that have no endpoint in the configuration. After a crash the neighbors are waited for before anybody
//! is told anything (RFC 4724 §4.1), and the peers are asked at once: else the tunnel is gone until they notice.
//!
//! A file in the state directory that systemd gives its service (`StateDirectory=`, `$STATE_DIRECTORY`); without one
//! nothing is remembered.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::{env, fs, io};

use serde::{Deserialize, Serialize};
use tracing::warn;
use wgd::settings::PublicKey;

/// The file, and what it says.
#[derive(Debug)]
pub(super) struct Memory {
    /// Absent: nothing is remembered.
    path: Option<PathBuf>,
    /// Those of the gateway before, until they are back or no longer waited for: it may crash once more.
    before: BTreeSet<String>,
    up: BTreeSet<String>,
    /// By public key, in base64.
    endpoints: BTreeMap<String, SocketAddr>,
}

#[derive(Default, Deserialize, Serialize)]
struct Content {
    neighbors: BTreeSet<String>,
    #[serde(default)]
    endpoints: BTreeMap<String, SocketAddr>,
}

impl Memory {
    /// What the gateway before with this protocol number has left. A file that cannot be read counts as empty.
    pub(super) fn recall(protocol: u8) -> Self {
        // Of several directories the first.
        let directory = env::var_os("STATE_DIRECTORY").and_then(|paths| env::split_paths(&paths).next());
        Self::open(directory.map(|directory| directory.join(format!("restart-{protocol}.json"))))
    }

    fn open(path: Option<PathBuf>) -> Self {
        let read = |path: &PathBuf| match fs::read(path) {
            Ok(text) => Ok(serde_json::from_slice(&text)?),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Content::default()),
            Err(error) => Err(error),
        };
        let content = path.as_ref().map_or_else(Content::default, |path| {
            read(path).unwrap_or_else(|error| {
                warn!(path = %path.display(), %error, "the neighbors and peers of before are forgotten");
                Content::default()
            })
        });
        Self { path, before: content.neighbors, up: BTreeSet::new(), endpoints: content.endpoints }
    }

    /// Where a peer was heard last.
    pub(super) fn endpoint(&self, peer: &PublicKey) -> Option<SocketAddr> {
        self.endpoints.get(&peer.to_string()).copied()
    }

    /// A peer was heard there. True: it was elsewhere before.
    pub(super) fn note_endpoint(&mut self, peer: &PublicKey, address: SocketAddr) -> bool {
        self.endpoints.insert(peer.to_string(), address) != Some(address)
    }

    /// Peers that are not among these are nobody's any more.
    pub(super) fn retain_endpoints(&mut self, peers: &BTreeSet<PublicKey>) {
        let keys: BTreeSet<String> = peers.iter().map(ToString::to_string).collect();
        self.endpoints.retain(|key, _| keys.contains(key));
    }

    /// Neighbors that had a session with the gateway before.
    pub(super) fn before(&self) -> &BTreeSet<String> {
        &self.before
    }

    /// Nobody is waited for any more.
    pub(super) fn forget_before(&mut self) {
        self.before.clear();
    }

    /// A neighbor that keeps routes has a session, or none any more.
    pub(super) fn note(&mut self, neighbor: &str, up: bool) {
        if up {
            self.before.remove(neighbor);
            self.up.insert(neighbor.to_owned());
        } else {
            self.up.remove(neighbor);
        }
    }

    /// How to write it down; may take a while. `None`: nothing is remembered.
    pub(super) fn write(&self) -> Option<impl FnOnce() -> io::Result<()> + Send + 'static> {
        let path = self.path.clone()?;
        let neighbors = self.before.union(&self.up).cloned().collect();
        let content = Content { neighbors, endpoints: self.endpoints.clone() };
        Some(move || {
            // Whole or not at all, whenever the program ends.
            let new = path.with_extension("new");
            if let Some(directory) = path.parent() {
                fs::create_dir_all(directory)?;
            }
            fs::write(&new, serde_json::to_vec(&content)?)?;
            fs::rename(new, path)
        })
    }

    /// Nothing that was told stays true.
    pub(super) fn erase(self) {
        if let Some(path) = self.path {
            // A gateway that finds no route of ours pays no heed to it anyway.
            let _ = fs::remove_file(path);
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn write(memory: &Memory) {
        memory.write().unwrap()().unwrap();
    }

    #[test]
    fn the_next_gateway_knows_who_was_up_and_who_was_still_waited_for() {
        let directory = tempfile();
        let path = directory.join("state").join("restart-157.json");
        let mut memory = Memory::open(Some(path.clone()));
        assert!(memory.before().is_empty());
        ["a", "b", "c"].into_iter().for_each(|name| memory.note(name, true));
        memory.note("c", false);
        write(&memory);

        let mut second = Memory::open(Some(path.clone()));
        assert!(second.before().iter().eq(["a", "b"]));
        second.note("b", true);
        write(&second);
        assert!(Memory::open(Some(path.clone())).before().iter().eq(["a", "b"]), "it crashes again");
        second.forget_before();
        write(&second);
        assert!(Memory::open(Some(path.clone())).before().iter().eq(["b"]));
        second.erase();
        assert!(Memory::open(Some(path)).before().is_empty());
        fs::remove_dir_all(directory).unwrap();
    }

    #[test]
    fn the_next_gateway_knows_where_the_peers_of_its_configuration_were() {
        let directory = tempfile();
        let path = directory.join("restart-157.json");
        fs::write(&path, "{\"neighbors\": [\"a\"]}").unwrap();
        let mut memory = Memory::open(Some(path.clone()));
        assert!(memory.before().iter().eq(["a"]), "written by a version that knew no endpoints");
        let [home, office, away] = [1, 2, 3].map(|number| PublicKey([number; 32]));
        let addresses = ["192.0.2.1:51820", "[2001:db8::1]:7"].map(|address| address.parse().unwrap());
        assert!(memory.note_endpoint(&home, addresses[0]));
        assert!(memory.note_endpoint(&home, addresses[1]));
        assert!(!memory.note_endpoint(&home, addresses[1]));
        memory.note_endpoint(&office, addresses[0]);
        write(&memory);

        let mut second = Memory::open(Some(path));
        second.retain_endpoints(&BTreeSet::from([home, away]));
        assert_eq!([home, office, away].map(|peer| second.endpoint(&peer)), [Some(addresses[1]), None, None]);
        second.erase();
        fs::remove_dir_all(directory).unwrap();
    }

    #[test]
    fn a_file_that_is_not_ours_counts_as_empty() {
        let directory = tempfile();
        let path = directory.join("restart-1.json");
        fs::write(&path, "{\"neighbors\": 7}").unwrap();
        assert!(Memory::open(Some(path)).before().is_empty());
        assert!(Memory::open(None).write().is_none());
        fs::remove_dir_all(directory).unwrap();
    }

    fn tempfile() -> PathBuf {
        use std::sync::atomic::{AtomicU32, Ordering};
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let directory = env::temp_dir().join(format!("vpngw-memory-{}-{number}", std::process::id()));
        fs::create_dir(&directory).unwrap();
        directory
    }
}
