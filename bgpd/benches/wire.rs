//! The codec: a packed UPDATE of 4096 octets and an OPEN, read and written. Throughput counts prefixes.
#![allow(missing_docs, clippy::unwrap_used)]

use std::hint::black_box;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use bytes::BytesMut;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use ipnet::{IpNet, Ipv4Net, Ipv6Net};

use bgpd::types::{Asn, BgpIdentifier, Community, Family};
use bgpd::wire::{
    AsPath, Capability, Context, MAX_MESSAGE, Message, MpNextHop, Open, PathAttributes, Update, decode, frame_length,
    write_reach, write_unreach,
};

fn asn(number: u32) -> Asn {
    Asn::new(number).unwrap()
}

fn context() -> Context {
    Context::new(asn(64512))
}

fn attributes() -> PathAttributes {
    PathAttributes {
        as_path: AsPath::from_iter([64512, 3356, 1299, 13335].map(asn)),
        med: Some(100),
        communities: [0x0D1C_0003, 0x0D1C_0056, 0x0D1C_0240].map(Community).to_vec(),
        ..Default::default()
    }
}

/// Prefixes enough for one message, and what they are announced with.
fn table(family: Family) -> (Vec<IpNet>, MpNextHop) {
    let address = match family {
        Family::Ipv4 => IpAddr::V4(Ipv4Addr::new(169, 254, 64, 2)),
        Family::Ipv6 => IpAddr::V6(Ipv6Addr::from_bits(0xfd64_0064 << 96 | 2)),
    };
    let prefix = |number: u32| match family {
        Family::Ipv4 => Ipv4Net::new_assert(Ipv4Addr::from_bits(number << 8), 24).into(),
        Family::Ipv6 => {
            Ipv6Net::new_assert(Ipv6Addr::from_bits((0x2001_0db8_0000 + u128::from(number)) << 80), 48).into()
        }
    };
    ((0x0A_0000..0x0A_1000).map(prefix).collect(), address.into())
}

fn update<'a>(frame: &'a [u8], context: &Context) -> Update<'a> {
    match decode(frame, context) {
        Ok(Message::Update(update)) => update,
        other => unreachable!("{other:?}"),
    }
}

fn updates(criterion: &mut Criterion) {
    for family in Family::ALL {
        let (prefixes, next_hop) = table(family);
        let (context, attributes) = (context(), attributes());
        let mut frame = BytesMut::new();
        let count = write_reach(&mut frame, &context, &attributes, next_hop, &prefixes);
        let mut group = criterion.benchmark_group(format!("update/{family}"));
        group.throughput(Throughput::Elements(count as u64));

        group.bench_function("decode and walk the NLRI", |bench| {
            bench.iter(|| {
                let length = frame_length(black_box(&frame), MAX_MESSAGE).unwrap().unwrap();
                let update = update(&frame[..length], &context);
                let nlri = update.mp_nlri.map_or(update.nlri, |(_, nlri)| nlri);
                nlri.iter().map(|prefix| u64::from(prefix.prefix_len())).sum::<u64>()
            });
        });
        group.bench_function("encode an announcement", |bench| {
            let mut out = BytesMut::with_capacity(64 * 1024);
            bench.iter(|| {
                out.clear();
                write_reach(&mut out, &context, black_box(&attributes), next_hop, &prefixes)
            });
        });
        group.bench_function("encode a withdrawal", |bench| {
            let mut out = BytesMut::with_capacity(64 * 1024);
            bench.iter(|| {
                out.clear();
                write_unreach(&mut out, &context, black_box(&prefixes))
            });
        });
        group.finish();

        let update = update(&frame, &context);
        let mut group = criterion.benchmark_group(format!("attributes/{family}"));
        group.bench_function("parse", |bench| bench.iter(|| black_box(update.attributes).parse(&context)));
        group.bench_function("key", |bench| {
            let mut key = Vec::with_capacity(256);
            bench.iter(|| {
                key.clear();
                black_box(update.attributes).key(&mut key);
                key.len()
            });
        });
        group.finish();
    }
}

fn opens(criterion: &mut Criterion) {
    let open = Open {
        asn: asn(64512),
        hold_time: 90,
        router_id: BgpIdentifier::new(Ipv4Addr::new(10, 20, 0, 10)).unwrap(),
        capabilities: vec![
            Family::Ipv4.into(),
            Family::Ipv6.into(),
            Capability::RouteRefresh,
            Capability::FourOctetAs(64512),
            Capability::Other { code: 64, value: vec![0x40, 0x78, 0, 1, 1, 0x80, 0, 2, 1, 0x80] },
        ],
    };
    let mut frame = BytesMut::new();
    open.write(&mut frame);
    criterion.bench_function("open/decode", |bench| bench.iter(|| decode(black_box(&frame), &context()).is_ok()));
    criterion.bench_function("open/encode", |bench| {
        let mut out = BytesMut::with_capacity(MAX_MESSAGE);
        bench.iter(|| {
            out.clear();
            black_box(&open).write(&mut out);
        });
    });
}

criterion_group!(benches, updates, opens);
criterion_main!(benches);
