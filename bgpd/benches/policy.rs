//! One route asked of a policy: a prefix set of 1, 1000 and 100 thousand entries, an expression over the path, and a
//! policy with both, asked about one prefix and about all of an UPDATE.
#![allow(missing_docs, clippy::unwrap_used)]

use std::hint::black_box;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use bgpd::policy::{Action, Match, PathMatch, PathPattern, Policy, PrefixRange, PrefixSet, Protocol, Route, Rule, Set};
use bgpd::types::{Asn, Community};
use bgpd::wire::{AsPath, PathAttributes};
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use ipnet::{IpNet, Ipv4Net};

/// In an UPDATE of 4096 octets.
const PREFIXES: u32 = 1000;

fn asn(number: u32) -> Asn {
    Asn::new(number).unwrap()
}

fn attributes() -> PathAttributes {
    PathAttributes {
        as_path: AsPath::from_iter([64512, 3356, 1299, 13335].map(asn)),
        communities: [0x0D1C_0003, 0x0D1C_0056, 0x0D1C_0240].map(Community).to_vec(),
        ..PathAttributes::default()
    }
}

fn prefix(number: u32, length: u8) -> IpNet {
    Ipv4Net::new_assert(Ipv4Addr::from_bits(number << 8), length).trunc().into()
}

/// Of lengths from 16 to 24, in which every second number lies.
fn set(entries: u32) -> PrefixSet {
    let ranges = (0..entries).map(|number| prefix(2 * number, 16 + (number % 9) as u8));
    ranges.map(PrefixRange::and_longer).collect()
}

fn route(prefix: IpNet) -> Route<'static> {
    let next_hop = Some(IpAddr::from([169, 254, 64, 2]));
    Route { prefix, protocol: Protocol::Bgp, neighbor: &[], next_hop, asn: asn(64513) }
}

fn rule(matches: Match) -> Rule {
    Rule { line: 1, matches, set: Set::default(), action: Action::Accept }
}

fn policy(rules: Vec<Rule>) -> Policy {
    Policy { name: "bench".to_owned(), rules }
}

fn expression() -> Match {
    let patterns = vec![PathPattern::new("_(64513|1299_[0-9]+_7018)_").unwrap()];
    Match { as_path: Some(PathMatch { patterns, ..PathMatch::default() }), ..Match::default() }
}

fn prefix_sets(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("prefix set");
    for entries in [1, 1000, 100_000] {
        let set = set(entries);
        let asked: Vec<_> = (0..PREFIXES).map(|number| prefix(number * entries.div_ceil(500), 24)).collect();
        group.throughput(Throughput::Elements(PREFIXES.into()));
        group.bench_function(BenchmarkId::from_parameter(entries), |bencher| {
            bencher.iter(|| asked.iter().filter(|prefix| set.contains(black_box(prefix))).count());
        });
    }
}

fn rules(criterion: &mut Criterion) {
    let attributes = attributes();
    let by_path = policy(vec![rule(expression())]);
    let by_both =
        policy(vec![rule(expression()), rule(Match { prefix: Some(Arc::new(set(1000))), ..Match::default() })]);
    let mut group = criterion.benchmark_group("policy");
    group.bench_function("an expression over the path", |bencher| {
        bencher.iter(|| by_path.ask(black_box(&attributes)).evaluate(&route(prefix(1, 24))));
    });
    group.throughput(Throughput::Elements(PREFIXES.into()));
    group.bench_function("an expression and a prefix set, for an UPDATE", |bencher| {
        bencher.iter(|| {
            let mut inquiry = by_both.ask(black_box(&attributes));
            (0..PREFIXES).filter(|number| inquiry.evaluate(&route(prefix(*number, 24))).accepted).count()
        });
    });
}

criterion_group!(benches, prefix_sets, rules);
criterion_main!(benches);
