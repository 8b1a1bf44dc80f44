//! Whatever settings came before: a device is as one that was made with the last of them, and what did not change was not
//! touched.

use proptest::prelude::*;

use super::*;

/// Our own key, and the preshared keys, by number. With the first of each Bob, who is peer 2, has a session.
const PRIVATE_KEYS: [u8; 2] = [1, 9];
const PRESHARED_KEYS: [u8; 2] = [5, 6];

fn arbitrary_peer() -> impl Strategy<Value = PeerSettings> {
    let endpoint = prop_oneof![
        Just(None),
        (7..9u8).prop_map(|number| Some(Endpoint::Address(udp_address(number)))),
        Just(Some(Endpoint::Name("gw.example.net".to_owned(), 51820))),
    ];
    let allowed = proptest::collection::vec(0..ALLOWED.len(), 0..3);
    (2..6u8, any::<prop::sample::Index>(), endpoint, proptest::option::of(5..30u64), allowed, any::<bool>()).prop_map(
        |(number, psk, endpoint, keepalive, allowed, watched)| {
            let mut peer = peer(number, None);
            peer.preshared_key = preshared_key(PRESHARED_KEYS[psk.index(2)]);
            peer.endpoint = endpoint;
            peer.persistent_keepalive = keepalive.map(seconds);
            peer.allowed_ips.extend(allowed.into_iter().map(|index| ALLOWED[index].parse::<ipnet::IpNet>().unwrap()));
            peer.watched = watched;
            peer
        },
    )
}

/// Shared by peers at times, and one inside another.
const ALLOWED: [&str; 4] = ["10.1.0.0/16", "10.1.2.0/24", "fd01::/16", "0.0.0.0/0"];
/// In each of them, in a route, and in nothing.
const SAMPLES: [&str; 7] = ["10.0.0.2", "10.0.0.3", "10.1.0.1", "10.1.2.1", "203.0.113.1", "fd01::1", "fd02::1"];

fn arbitrary_settings() -> impl Strategy<Value = Settings> {
    let key = prop_oneof![4 => Just(PRIVATE_KEYS[0]), 1 => Just(PRIVATE_KEYS[1])];
    // A public key may be given twice: the first counts
    (key, proptest::collection::vec(arbitrary_peer(), 0..6), 1300..1500u16)
        .prop_map(|(key, peers, mtu)| Settings { mtu: Mtu::Octets(mtu), ..settings(key, peers) })
}

fn routes() -> [Change; 2] {
    let group = |send: u8, backup: u8| Group {
        send: vec![public_key(send)],
        backup: vec![public_key(backup)],
        accept: vec![public_key(send), public_key(backup)],
    };
    let change = |prefix: &str, group| Change { prefix: prefix.parse().unwrap(), group: Some(group) };
    [change("203.0.113.0/24", group(3, 2)), change("10.1.2.0/24", group(2, 4))]
}

fn indices(entry: &Entry) -> Vec<u32> {
    entry.peer.indices().collect()
}

fn entry(device: &Device, number: u8) -> Option<&Entry> {
    device.entries[device.by_key.get(&public_key(number))?.0 as usize].as_ref()
}

/// Who carries a packet to each sample, and who may send one from there.
fn carries(device: &Device) -> Vec<(Option<PublicKey>, Vec<u8>)> {
    let key = |id: PeerId| device.entries[id.0 as usize].as_ref().map(|entry| entry.settings.public_key);
    let of = |address: &&str| {
        let address = address.parse().unwrap();
        let admits =
            |number: &u8| device.by_key.get(&public_key(*number)).is_some_and(|id| device.table.admits(address, *id));
        (device.table.egress(address, || 7).and_then(key), (2..6).filter(admits).collect())
    };
    SAMPLES.iter().map(of).collect()
}

/// Name, key, state, and allowed IPs.
type Shown = (String, PublicKey, PeerState, Vec<ipnet::IpNet>);

/// What is shown, but for addresses that a peer was heard at before.
fn shown(device: &Device, now: Instant) -> Vec<Shown> {
    let view = |peer: PeerView| {
        // Bob was heard, and is up for it
        let state = if peer.public_key == public_key(2) { PeerState::Up } else { peer.state };
        (peer.name, peer.public_key, state, peer.allowed_ips)
    };
    device.peers(now).into_iter().map(view).collect()
}

/// Each index is one peer's, each peer has its own, and no place is lost.
fn is_in_order(device: &Device) -> Result<(), TestCaseError> {
    let there = || device.entries.iter().enumerate().filter_map(|(place, entry)| Some((place, entry.as_ref()?)));
    prop_assert_eq!(there().map(|(_, entry)| entry.peer.indices().count()).sum::<usize>(), device.by_index.len());
    prop_assert_eq!(there().count(), device.by_key.len());
    prop_assert_eq!(there().count(), device.order.len());
    prop_assert_eq!(there().count() + device.free.len(), device.entries.len());
    for (place, entry) in there() {
        prop_assert!(entry.peer.indices().all(|index| device.by_index[&index].0 as usize == place));
        prop_assert_eq!(device.by_key[&entry.settings.public_key].0 as usize, place);
    }
    Ok(())
}

/// Alice asks Bob; with keys that fit they have a session afterwards.
fn connect(alice: &mut End, bob: &mut End, now: Instant) {
    alice.device.endpoint(now, public_key(2), &[udp_address(2)], &mut alice.out);
    alice.send(now, &packet("10.0.0.1", "10.0.0.2", b"hello"));
    for _ in 0..4 {
        alice.take().into_iter().for_each(|(_, datagram)| bob.receive(now, udp_address(1), &datagram));
        bob.take().into_iter().for_each(|(_, datagram)| alice.receive(now, udp_address(2), &datagram));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn a_device_is_as_a_new_one_and_what_did_not_change_keeps_its_session(
        sequence in proptest::collection::vec(arbitrary_settings(), 1..8),
    ) {
        let now = Instant::now();
        let mut alice = End::new(now, 1, settings(PRIVATE_KEYS[0], Vec::new()));
        alice.device.table(now, routes());
        let mut of_alice = peer(1, None);
        of_alice.preshared_key = preshared_key(PRESHARED_KEYS[0]);
        let mut bob = End::new(now, 2, settings(2, vec![of_alice]));
        let bobs = |settings: &Settings| settings.peers.iter().find(|peer| peer.public_key == public_key(2)).cloned();
        for settings in sequence {
            let before = (alice.settings.private_key.clone(), bobs(&alice.settings).map(|peer| peer.preshared_key));
            let had = entry(&alice.device, 2).map(|entry| (indices(entry), entry.peer.has_session()));
            let stays = before == (settings.private_key.clone(), bobs(&settings).map(|peer| peer.preshared_key));
            alice.change(now, |mine| *mine = settings.clone());

            is_in_order(&alice.device)?;
            let mut fresh = End::new(now, 1, settings.clone());
            fresh.device.table(now, routes());
            if let (Some(entry), Some(new)) = (entry(&alice.device, 2), entry(&fresh.device, 2)) {
                let has = (indices(entry), entry.peer.has_session());
                match stays {
                    true => prop_assert_eq!(Some(has), had),
                    false => prop_assert!(!has.1 && had.is_none_or(|(before, _)| before.iter().all(|index| !has.0.contains(index)))),
                }
                // Bob may be up, for he was heard; that is all that may differ
                let state = entry.liveness.state();
                prop_assert!(state == PeerState::Up || state == new.liveness.state());
                let bob = fresh.device.by_key[&public_key(2)];
                fresh.device.table.set_down(bob, state == PeerState::Down);
            }
            prop_assert_eq!(carries(&alice.device), carries(&fresh.device));
            prop_assert_eq!(shown(&alice.device, now), shown(&fresh.device, now));
            for peer in &settings.peers {
                let number = (2..6).find(|number| public_key(*number) == peer.public_key).unwrap();
                let (old, new) = (entry(&alice.device, number).unwrap(), entry(&fresh.device, number).unwrap());
                prop_assert_eq!(&old.settings, &new.settings);
                if matches!(new.settings.endpoint, Some(Endpoint::Address(_))) && number != 2 {
                    prop_assert_eq!(old.endpoint(), new.endpoint());
                }
            }
            connect(&mut alice, &mut bob, now);
            let fits = alice.settings.private_key == private_key(PRIVATE_KEYS[0])
                && entry(&alice.device, 2).is_some_and(|bob| bob.settings.preshared_key == preshared_key(PRESHARED_KEYS[0]));
            let has_session = entry(&alice.device, 2).is_some_and(|bob| bob.peer.has_session());
            prop_assert_eq!(has_session, fits);
        }
    }
}
