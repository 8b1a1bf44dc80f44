//! What holds for any message: written and read again it is the same, and no bytes do any harm.

use std::time::Duration;

use proptest::collection::{btree_set, vec};
use proptest::option;
use proptest::prelude::*;

use super::*;
use crate::types::{BgpIdentifier, Community, ExtendedCommunity, LargeCommunity};

fn any_asn() -> impl Strategy<Value = Asn> {
    prop_oneof![1..=65535_u32, 1..=u32::MAX].prop_map(asn)
}

fn any_address() -> impl Strategy<Value = Ipv4Addr> {
    any::<u32>().prop_map(Ipv4Addr::from_bits)
}

fn any_path() -> impl Strategy<Value = AsPath> {
    prop_oneof![vec(any_asn(), 0..6), vec(any_asn(), 0..600)].prop_map(|asns| AsPath { asns })
}

/// A code that this speaker does not know.
fn unknown_code() -> impl Strategy<Value = u8> {
    any::<u8>().prop_filter("known", |code| attribute::descriptor(AttrCode(*code)).is_none())
}

fn sorted<T: Ord + std::fmt::Debug>(item: impl Strategy<Value = T>) -> impl Strategy<Value = Vec<T>> {
    btree_set(item, 0..40).prop_map(|items| items.into_iter().collect())
}

prop_compose! {
    fn any_large_community()(global: u32, local1: u32, local2: u32) -> LargeCommunity {
        LargeCommunity { global, local1, local2 }
    }
}

prop_compose! {
    fn any_attributes()(
        origin in prop_oneof![Just(Origin::Igp), Just(Origin::Egp), Just(Origin::Incomplete)],
        as_path in any_path(),
        med: Option<u32>,
        atomic_aggregate: bool,
        aggregator in option::of((any_asn(), any_address()).prop_map(|(asn, address)| Aggregator { asn, address })),
        communities in sorted(any::<u32>().prop_map(Community)),
        reflection in option::of((any::<u32>(), any_address(), vec(any_address(), 1..5))),
        extended_communities in sorted(any::<u64>().prop_map(ExtendedCommunity)),
        large_communities in sorted(any_large_community()),
        only_to_customer: Option<u32>,
        unknown in btree_set(unknown_code(), 0..4),
        value in vec(any::<u8>(), 0..300),
    ) -> PathAttributes {
        let unknown = unknown.into_iter().map(|code| UnknownAttribute { code, value: value.clone() }).collect();
        let local_pref = reflection.as_ref().map(|(local_pref, ..)| *local_pref);
        let originator_id = reflection.as_ref().map(|(_, originator_id, _)| *originator_id);
        let cluster_list = reflection.map(|(.., cluster_list)| cluster_list).unwrap_or_default();
        PathAttributes {
            origin, as_path, med, local_pref, atomic_aggregate, aggregator, communities, originator_id, cluster_list,
            extended_communities, large_communities, only_to_customer, unknown, partial: PartialBits::default(),
        }
    }
}

fn any_prefixes(family: Family) -> impl Strategy<Value = Vec<IpNet>> {
    let longest = if family == Family::Ipv4 { 32_u8 } else { 128 };
    let prefix = (any::<u128>(), 0..=longest).prop_map(move |(bits, length)| {
        let address = match family {
            Family::Ipv4 => IpAddr::V4(Ipv4Addr::from_bits(bits as u32)),
            Family::Ipv6 => IpAddr::V6(std::net::Ipv6Addr::from_bits(bits)),
        };
        IpNet::new(address, length).unwrap().trunc()
    });
    vec(prefix, 1..200)
}

prop_compose! {
    fn any_next_hop(family: Family)(v4: u32, v6: u128, classic: bool, link_local in option::of(any::<u64>())) -> MpNextHop {
        if family == Family::Ipv4 && classic {
            return IpAddr::V4(Ipv4Addr::from_bits(v4)).into();
        }
        let link_local = link_local.map(|bits| std::net::Ipv6Addr::from_bits(0xFE80 << 112 | u128::from(bits)));
        MpNextHop { address: IpAddr::V6(std::net::Ipv6Addr::from_bits(v6)), link_local }
    }
}

fn any_announcement() -> impl Strategy<Value = (Vec<IpNet>, MpNextHop)> {
    prop_oneof![Just(Family::Ipv4), Just(Family::Ipv6)]
        .prop_flat_map(|family| (any_prefixes(family), any_next_hop(family)))
}

/// Internal where LOCAL_PREF is there, so that whatever was written must be read.
fn context_of(attributes: &PathAttributes, four_octet_as: bool) -> Context {
    Context {
        four_octet_as,
        internal: attributes.local_pref.is_some(),
        enforce_first_asn: false,
        max_message: 65535,
        max_received: 65535,
        ..external()
    }
}

fn any_capability() -> impl Strategy<Value = Capability> {
    let other = any::<u8>().prop_filter("known", |code| ![1, 2, 5, 6, 9, 64, 65, 69, 70, 71, 73, 75].contains(code));
    prop_oneof![
        (any::<u16>(), any::<u8>()).prop_map(|(afi, safi)| Capability::Multiprotocol { afi, safi }),
        Just(Capability::RouteRefresh),
        Just(Capability::ExtendedMessage),
        Just(Capability::EnhancedRouteRefresh),
        any::<u8>().prop_map(Capability::Role),
        vec((any::<u16>(), any::<u16>(), any::<u16>()), 0..=42).prop_map(|tuples| {
            let encoding = |(afi, safi, next_hop_afi)| NextHopEncoding { afi, safi, next_hop_afi };
            Capability::ExtendedNextHop(tuples.into_iter().map(encoding).collect())
        }),
        vec((any::<u16>(), any::<u8>(), any::<u8>()), 0..=63).prop_map(|tuples| {
            let family = |(afi, safi, mode)| AddPathFamily { afi, safi, mode };
            Capability::AddPath(tuples.into_iter().map(family).collect())
        }),
        (any::<[bool; 2]>(), 0..=4095_u64, vec((any::<u16>(), any::<u8>(), any::<bool>()), 0..=63)).prop_map(
            |([restarted, notification], seconds, families)| {
                let family = |(afi, safi, forwarding)| KeptFamily { afi, safi, forwarding };
                let families = families.into_iter().map(family).collect();
                let restart_time = Duration::from_secs(seconds);
                Capability::GracefulRestart(GracefulRestart { restarted, notification, restart_time, families })
            }
        ),
        vec((any::<u16>(), any::<u8>(), any::<bool>(), 0..=0xFF_FFFF_u64), 0..=36).prop_map(|families| {
            let family = |(afi, safi, forwarding, seconds)| LongLivedFamily {
                afi,
                safi,
                forwarding,
                stale_time: Duration::from_secs(seconds),
            };
            Capability::LongLived(families.into_iter().map(family).collect())
        }),
        (other, vec(any::<u8>(), 0..=255)).prop_map(|(code, value)| Capability::Other { code, value }),
    ]
}

/// A message as it might come, with octets changed, and perhaps cut.
fn any_damaged_message() -> impl Strategy<Value = Vec<u8>> {
    let update = (any_attributes(), any_announcement()).prop_map(|(attributes, (prefixes, next_hop))| {
        let mut out = BytesMut::new();
        write_reach(&mut out, &Context { max_message: 65535, ..external() }, &attributes, next_hop, &prefixes);
        out.to_vec()
    });
    let body = (1..=5_u8, vec(any::<u8>(), 0..200)).prop_map(|(kind, body)| message(kind, &body));
    let fields = (vec(any::<u8>(), 0..20), vec(any::<u8>(), 0..100), vec(any::<u8>(), 0..20))
        .prop_map(|(withdrawn, attributes, nlri)| update_message(&withdrawn, &attributes, &nlri));
    let damage = vec((any::<prop::sample::Index>(), any::<u8>()), 0..8);
    (prop_oneof![update, body, fields], damage).prop_map(|(mut bytes, damage)| {
        for (at, octet) in damage.iter().filter(|_| bytes.len() > HEADER).collect::<Vec<_>>() {
            let at = HEADER + at.index(bytes.len() - HEADER);
            bytes[at] = *octet;
        }
        bytes
    })
}

/// Path attributes that might come, right or wrong.
fn any_attribute_bytes() -> impl Strategy<Value = Vec<u8>> {
    let right = [ORIGIN, AS_PATH, NEXT_HOP, LOCAL_PREF, &[0x80, 4, 4, 0, 0, 0, 1], &[0xC0, 8, 4, 0, 0, 0, 1]];
    let wrong: [&[u8]; 4] = [&[0x40, 99, 0], &[0xC0, 8, 0], &[0xC0, 8, 9], &[0x40]];
    vec(prop::sample::select([&right[..], &wrong[..]].concat()), 0..8).prop_map(|attributes| attributes.concat())
}

/// UPDATEs that have these attributes in common.
fn around(attributes: &[u8]) -> Vec<Vec<u8>> {
    let wrong_flags = [&[0xC0], &MP_REACH[1..]].concat();
    let another_reach = [&MP_REACH[..MP_REACH.len() - 1], &[0xB9]].concat();
    let mut frames = vec![];
    for mp in [&[], MP_REACH, MP_UNREACH, &wrong_flags, &another_reach] {
        for nlri in [&[], TEN, &[8, 11]] {
            frames.push(update_message(&[], &[mp, attributes].concat(), nlri));
            frames.push(update_message(TEN, &[attributes, mp].concat(), nlri));
        }
    }
    frames
}

type KeyAndResult = (Vec<u8>, (Option<Treatment>, PathAttributes, Option<Ipv4Addr>));

fn key_and_result(frame: &[u8], context: &Context) -> Option<KeyAndResult> {
    let Ok(Message::Update(update)) = decode(frame, context) else { return None };
    let mut key = Vec::new();
    update.attributes.key(&mut key);
    let parsed = update.attributes.parse(context);
    Some((key, (parsed.treatment(), parsed.attributes, parsed.next_hop)))
}

/// Reads all there is to read. Whatever it is, what is said about it must agree with itself.
fn read_everything(bytes: &[u8], context: &Context) {
    let framed = frame_length(bytes, context.max_received);
    match decode(bytes, context) {
        Ok(Message::Update(update)) => {
            assert_eq!(framed, Ok(Some(bytes.len())));
            let nlri =
                [Some(update.withdrawn), Some(update.nlri), update.mp_withdrawn, update.mp_nlri.map(|(_, nlri)| nlri)];
            for nlri in nlri.into_iter().flatten() {
                assert!(nlri.iter().all(|prefix| prefix == prefix.trunc() && Family::of(&prefix) == nlri.family));
                assert_eq!(nlri.is_empty(), nlri.iter().next().is_none());
            }
            let parsed = update.attributes.parse(context);
            assert_eq!(parsed.treatment().is_none(), parsed.errors.is_empty());
            assert_eq!(parsed.reset().is_some(), parsed.treatment() == Some(Treatment::SessionReset));
            parsed.errors.iter().for_each(|error| assert!(!error.to_string().is_empty()));
            parsed.reset().iter().for_each(well_answered);
            update.end_of_rib();
            update.attributes.key(&mut Vec::new());
        }
        Ok(Message::Notification(notification)) => assert!(!notification.text().is_empty()),
        Ok(Message::Open(open)) => open.capabilities.iter().for_each(|found| assert!(!found.name().is_empty())),
        Ok(_) => {}
        Err(error) => well_answered(&error),
    }
}

/// A NOTIFICATION that any neighbor can read.
fn well_answered(error: &DecodeError) {
    let notification = Notification::from(error);
    assert!(!notification.text().contains("error ") && !error.to_string().is_empty());
    let mut out = BytesMut::new();
    notification.write(&mut out);
    assert_eq!(frame_length(&out, MAX_MESSAGE), Ok(Some(out.len())));
}

fn contexts() -> [Context; 6] {
    let extended = |context| Context { max_message: 65535, max_received: 65535, ..context };
    let ipv4 = Context { families: Families::IPV4, ..internal() };
    let ipv6 = Context { families: Families::IPV6, ..old() };
    [external(), internal(), old(), ipv4, ipv6, Context { internal: true, ..old() }].map(extended)
}

proptest! {
    #[test]
    fn an_announcement_comes_back_as_it_was_written(
        attributes in any_attributes(), (prefixes, next_hop) in any_announcement(), four_octet_as: bool,
    ) {
        let context = context_of(&attributes, four_octet_as);
        let mut out = BytesMut::new();
        let count = write_reach(&mut out, &context, &attributes, next_hop, &prefixes);
        prop_assert_eq!(count, prefixes.len());
        let update = update(&out, &context);
        let parsed = update.attributes.parse(&context);
        let (found, nlri) = update.mp_nlri.unwrap_or_else(|| (IpAddr::V4(parsed.next_hop.unwrap()).into(), update.nlri));
        prop_assert_eq!(found, next_hop);
        prop_assert!(nlri.iter().eq(prefixes));
        prop_assert_eq!(parsed.errors, []);
        prop_assert_eq!(parsed.attributes, attributes);
    }

    #[test]
    fn a_withdrawal_comes_back_as_it_was_written((prefixes, _) in any_announcement()) {
        let mut out = BytesMut::new();
        let count = write_unreach(&mut out, &external(), &prefixes);
        let update = update(&out, &external());
        prop_assert!(update.mp_withdrawn.unwrap_or(update.withdrawn).iter().eq(prefixes[..count].iter().copied()));
    }

    #[test]
    fn an_open_comes_back_as_it_was_written(
        asn in any_asn(), hold_time: u16, router_id in 1..=u32::MAX, capabilities in vec(any_capability(), 0..12),
    ) {
        let router_id = BgpIdentifier::new(Ipv4Addr::from_bits(router_id)).unwrap();
        let capabilities = [vec![Capability::FourOctetAs(asn.get())], capabilities].concat();
        let open = Open { asn, hold_time, router_id, capabilities };
        let mut out = BytesMut::new();
        open.write(&mut out);
        let Ok(Message::Open(read)) = decode(&out, &external()) else { panic!("{out:?}") };
        prop_assert_eq!(read, open);
    }

    #[test]
    fn no_bytes_do_harm(bytes in vec(any::<u8>(), 0..300)) {
        contexts().iter().for_each(|context| read_everything(&bytes, context));
    }

    #[test]
    fn no_damaged_message_does_harm(bytes in any_damaged_message()) {
        contexts().iter().for_each(|context| read_everything(&bytes, context));
    }

    #[test]
    fn a_key_stands_for_one_result(attributes in any_attribute_bytes()) {
        for context in contexts() {
            let results: Vec<_> = around(&attributes).iter().filter_map(|frame| key_and_result(frame, &context)).collect();
            for (position, first) in results.iter().enumerate() {
                for second in &results[..position] {
                    prop_assert!(first.0 != second.0 || first == second);
                }
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))] // each case reads some thousand messages

    #[test]
    fn a_message_cut_anywhere_does_no_harm(attributes in any_attributes(), (prefixes, next_hop) in any_announcement()) {
        let context = context_of(&attributes, true);
        let mut out = BytesMut::new();
        write_reach(&mut out, &context, &attributes, next_hop, &prefixes);
        for end in 0..out.len() {
            read_everything(&out[..end], &context);
            if let Some(body) = out.get(HEADER..end) {
                read_everything(&message(UPDATE, body), &context);
            }
        }
        // The attributes cut anywhere, the field's length with them: the NLRI are still found.
        let body = update(&out, &context);
        let bytes = body.attributes.bytes;
        for end in 0..bytes.len() {
            read_everything(&update_message(&[], &bytes[..end], TEN), &context);
        }
    }
}
