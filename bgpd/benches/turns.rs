//! How long the speaker's turns take with a large table: none may hold up a KEEPALIVE, so none may grow with the table.
//!
//! `cargo bench -p bgpd --no-default-features --bench turns`

#![allow(clippy::unwrap_used, clippy::print_stdout, missing_docs)]

mod world;

use std::net::Ipv4Addr;

use bgpd::speaker::{Command, Input, NextHopState};

use world::{World, table, withdrawal};

const ROUTES: u32 = 1_000_000;
/// Upper ends of the histogram's columns, in microseconds.
const COLUMNS: [u128; 8] = [10, 50, 100, 250, 500, 1000, 2000, u128::MAX];

fn main() {
    let address = Ipv4Addr::new(10, 0, 1, 1);
    let everything = table(address, ROUTES);
    println!("turns of a speaker that has {ROUTES} routes, by microseconds");
    let columns = COLUMNS.map(|end| if end == u128::MAX { "more".to_owned() } else { format!("<{end}") });
    println!("{:<34}{:>8}  {}", "", "longest", columns.map(|column| format!("{column:>8}")).concat());

    let mut world = World::forwarding();
    let (from, _) = world.neighbor(1);
    world.neighbor(2);
    world.turns.clear();
    world.say(from, &everything);
    show("in to out and to the FIB", &mut world);
    world.say(from, &everything);
    show("the same again", &mut world);
    world.neighbor(3);
    show("to a late neighbor", &mut world);
    flip(&mut world, address);
    show("a next hop goes and comes", &mut world);
    world.turn(|speaker, now| speaker.command(now, "all/10.0.1.2", &Command::Resend)).unwrap();
    world.settle();
    show("everything again to one of a group", &mut world);
    world.say(from, &withdrawal(ROUTES));
    show("withdrawn", &mut world);
    world.say(from, &everything);
    show("in again", &mut world);
    world.turn(|speaker, now| speaker.command(now, "all/10.0.1.1", &Command::Reset)).unwrap();
    world.settle();
    show("lost with their neighbor", &mut world);
}

fn flip(world: &mut World, address: Ipv4Addr) {
    for up in [false, true] {
        let state = NextHopState { up, connected: true, ..NextHopState::default() };
        world.turn(|speaker, now| {
            speaker.input(now, Input::NextHops(vec![(std::net::IpAddr::V4(address).into(), state)]))
        });
        world.settle();
    }
}

fn show(what: &str, world: &mut World) {
    let turns = std::mem::take(&mut world.turns);
    let longest = turns.iter().max().copied().unwrap_or_default();
    let mut counts = [0_usize; COLUMNS.len()];
    for turn in &turns {
        let column = COLUMNS.iter().position(|end| turn.as_micros() < *end).unwrap_or(COLUMNS.len() - 1);
        counts[column] += 1;
    }
    println!("{what:<34}{:>8}  {}", longest.as_micros(), counts.map(|count| format!("{count:>8}")).concat());
}
