//! A key that takes another's place, at our end or at a peer's.

use std::time::{Duration, SystemTime};

use wgd::settings::PrivateKey;

use super::duplicates;
use crate::raw::{Entry, Report};
use crate::read::Tunnel;
use crate::secrets::DUMMY;

/// Time to tell the far ends.
const NEAR: Duration = Duration::from_secs(10 * 60);

pub(super) fn laws(tunnel: &Entry<Tunnel>, report: &mut Report) {
    let Entry { value: tunnel, places } = tunnel;
    let all = tunnel.peers.iter().flat_map(|peer| {
        let next = peer.value.settings.next_public_key.map(|key| (key, peer.places.of("next-public-key")));
        [Some((peer.value.settings.public_key, peer.places.of("public-key"))), next].into_iter().flatten()
    });
    duplicates(&all.collect::<Vec<_>>(), report, |key| format!("public key {key} is given twice"));
    let next = tunnel.next_private_key.as_ref().and_then(|next| Some((next.value.as_ref()?, &next.places)));
    let (Some((next, next_places)), Some(private_key)) = (next, &tunnel.private_key) else { return };
    if is_unread(&next.key) {
        return;
    }
    if next.key == *private_key {
        let label = "make a new one: vpngw key generate";
        report
            .error(next_places.of("file"), "next-private-key is the key in use", label)
            .also(places.of("private-key-file"), "the key in use");
    }
    let (own, own_next) = (private_key.public_key(), next.key.public_key());
    for peer in &tunnel.peers {
        let settings = &peer.value.settings;
        let keys = [("public-key", Some(settings.public_key)), ("next-public-key", settings.next_public_key)];
        for (name, _) in keys.into_iter().filter(|(_, key)| *key == Some(own_next) && settings.public_key != own) {
            let title = format!("{name} of peer `{}` is that of our next-private-key", settings.name);
            report
                .error(peer.places.of(name), title, "a peer has a key of its own")
                .also(next_places.of("file"), "ours");
        }
    }
}

pub(super) fn advice(tunnel: &Tunnel, now: SystemTime, report: &mut Report) {
    let Some(entry) = &tunnel.next_private_key else { return };
    let Some(next) = &entry.value else { return };
    let public_key = if is_unread(&next.key) { String::new() } else { format!(" {}", next.key.public_key()) };
    let place = entry.places.of("from");
    if next.from <= now {
        let label = "when every far end has it: make it private-key-file, and take next-private-key out";
        report.warning(place, "the next private key is in use already", label);
    } else if next.from < now + NEAR {
        let label = format!("by then every far end needs its public key{public_key}");
        report.warning(place, "the next private key is in use in less than 10 minutes", label);
    }
}

/// Keys are not read where only the form is checked.
fn is_unread(key: &PrivateKey) -> bool {
    PrivateKey::from_base64(DUMMY).is_ok_and(|dummy| dummy == *key)
}
