//! 100 thousand routes through the door: decoded, interned, judged, decided, and packed for another neighbor.
//!
//! `cargo bench -p bgpd --no-default-features`

#![allow(clippy::unwrap_used, missing_docs)]

mod world;

use std::net::Ipv4Addr;

use bgpd::speaker::Command;
use bgpd::types::ConnectionId;
use bytes::BytesMut;
use criterion::{BatchSize, Criterion, criterion_group, criterion_main};

use world::{World, table, withdrawal};

const ROUTES: u32 = 100_000;

fn in_to_out(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("100k routes");
    group.sample_size(10);
    let first = table(Ipv4Addr::new(10, 0, 1, 1), ROUTES);

    group.bench_function("in to out", |bencher| {
        let prepare = || {
            let mut world = World::new();
            let (from, _) = world.neighbor(1);
            world.neighbor(2);
            (world, from)
        };
        bencher.iter_batched(prepare, |(mut world, from)| (world.say(from, &first), world), BatchSize::PerIteration);
    });

    group.bench_function("in to out and to the FIB", |bencher| {
        let prepare = || {
            let mut world = World::forwarding();
            let (from, _) = world.neighbor(1);
            world.neighbor(2);
            (world, from)
        };
        bencher.iter_batched(prepare, |(mut world, from)| (world.say(from, &first), world), BatchSize::PerIteration);
    });

    group.bench_function("the same again", |bencher| {
        let prepare = || {
            let mut world = World::new();
            let (from, _) = world.neighbor(1);
            world.say(from, &first);
            (world, from)
        };
        bencher.iter_batched(prepare, |(mut world, from)| (world.say(from, &first), world), BatchSize::PerIteration);
    });

    for (name, count, routes) in
        [("from ten neighbors", 10, ROUTES), ("a tenth of them from each of fifty neighbors", 50, ROUTES / 10)]
    {
        let tables: Vec<BytesMut> = (1..=count).map(|last| table(Ipv4Addr::new(10, 0, 1, last), routes)).collect();
        let prepare = || {
            let mut world = World::new();
            let neighbors: Vec<_> = (1..=count).map(|last| world.neighbor(last).0).collect();
            (world, neighbors)
        };
        let run = |(mut world, neighbors): (World, Vec<ConnectionId>)| {
            for (from, table) in neighbors.iter().zip(&tables) {
                world.say(*from, table);
            }
            world
        };
        group.bench_function(name, |bencher| bencher.iter_batched(prepare, run, BatchSize::PerIteration));
    }

    group.bench_function("to a late neighbor", |bencher| {
        let prepare = || {
            let mut world = World::new();
            let (from, _) = world.neighbor(1);
            world.say(from, &first);
            world
        };
        bencher.iter_batched(prepare, |mut world| (world.neighbor(2), world), BatchSize::PerIteration);
    });

    let withdrawn = withdrawal(ROUTES);
    group.bench_function("withdrawn", |bencher| {
        let prepare = || {
            let mut world = World::new();
            let (from, _) = world.neighbor(1);
            world.neighbor(2);
            world.say(from, &first);
            (world, from)
        };
        bencher.iter_batched(
            prepare,
            |(mut world, from)| (world.say(from, &withdrawn), world),
            BatchSize::PerIteration,
        );
    });

    group.bench_function("lost with their neighbor", |bencher| {
        let prepare = || {
            let mut world = World::new();
            let (from, _) = world.neighbor(1);
            world.neighbor(2);
            world.say(from, &first);
            world
        };
        let run = |mut world: World| {
            world.speaker.command(world.now, "all/10.0.1.1", &Command::Reset).unwrap();
            (world.settle(), world)
        };
        bencher.iter_batched(prepare, run, BatchSize::PerIteration);
    });
    group.finish();
}

criterion_group!(benches, in_to_out);
criterion_main!(benches);
