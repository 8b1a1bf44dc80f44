//! What a run took, for docs/scale.md.

use std::time::{Duration, Instant};

use crate::allocator::held;
use crate::network::{Network, Traffic};
use crate::site::{Site, rest, traffic};

/// Until everybody knows everything.
#[derive(Debug, Eq, PartialEq)]
pub(crate) struct Converged {
    /// From the start of all to the last UPDATE.
    pub(crate) time: Duration,
    /// What all have sent.
    pub(crate) traffic: Traffic,
    /// What the busiest node has sent and received.
    busiest: (Traffic, Traffic),
}

/// Starts all at once.
pub(crate) fn converge(site: &Site) -> (Network, Converged) {
    let began = Instant::now();
    let mut network = site.build();
    let start = network.now;
    let time = rest(&mut network) - start;
    let busiest = network.nodes.iter().map(|node| (node.sent, node.received));
    let busiest = busiest.max_by_key(|(sent, received)| sent.messages() + received.messages()).unwrap();
    let converged = Converged { time, traffic: traffic(&network), busiest };
    print(site, &network, &converged, began.elapsed());
    (network, converged)
}

fn print(site: &Site, network: &Network, converged: &Converged, took: Duration) {
    let Converged { time, traffic, busiest: (sent, received) } = converged;
    let gateway = &network.nodes[0];
    println!(
        "{:?}: {} gateways, {} prefixes: quiet {time:?} after the start, simulated in {took:?}",
        site.shape,
        site.gateways,
        site.owners().len(),
    );
    println!("  all: {} messages ({} UPDATEs), {} KiB", traffic.messages(), traffic.updates(), traffic.octets / 1024);
    println!(
        "  a gateway: {} UPDATEs sent, {} received, {} KiB received",
        gateway.sent.updates(),
        gateway.received.updates(),
        gateway.received.octets / 1024
    );
    println!(
        "  the busiest: {} UPDATEs sent, {} received, {} KiB sent",
        sent.updates(),
        received.updates(),
        sent.octets / 1024
    );
}

/// Takes the network apart: what the speaker of a gateway holds, and of a reflector.
pub(crate) fn print_memory(site: &Site, network: Network) {
    let held: Vec<usize> = network.nodes.into_iter().map(|node| held_by(node.speaker)).collect();
    let (gateways, reflectors) = held.split_at(site.gateways);
    let mean = |all: &[usize]| all.iter().sum::<usize>() / all.len().max(1) / 1024;
    println!("  memory: {} KiB a gateway, {} KiB a reflector", mean(gateways), mean(reflectors));
}

/// Drops a value, and says how many octets it held.
fn held_by<T>(value: T) -> usize {
    let before = held();
    drop(value);
    (before - held()) as usize
}
