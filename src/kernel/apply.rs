//! Batches of route operations. Nothing but routes with our protocol number is ever changed.
//!
//! NLM_F_REPLACE is not used: it replaces a route of the same destination and metric whatever its protocol. A route is
//! created with NLM_F_EXCL. Where that finds the place taken, the new route first stands at the next metric while ours is
//! deleted (by protocol) and created again: without a gap for packets, and a foreign route in the place stays there.

use std::collections::HashMap;
use std::io;

use ipnet::IpNet;
use libc::{EEXIST, ESRCH, NLM_F_CREATE, NLM_F_EXCL, RTM_DELROUTE, RTM_GETROUTE, RTM_NEWROUTE};

use super::route::{self, KernelRoute, effective_metric};
use super::socket::Answer;
use super::thread::Netlink;
use super::{Route, RouteOp};

/// One message of a batch.
enum Step {
    Create(Route),
    Delete(Route),
}

impl Netlink {
    /// Applies a batch. Where answers were lost, nobody knows what stands where: everything is to be compared.
    pub(super) fn apply(&mut self, ops: &[RouteOp]) -> io::Result<Vec<io::Result<()>>> {
        self.two_rounds(ops).inspect_err(|_| self.monitor.note_loss())
    }

    /// First every operation in order, then the second round for what found its place taken.
    fn two_rounds(&mut self, ops: &[RouteOp]) -> io::Result<Vec<io::Result<()>>> {
        let steps: Vec<Step> = ops.iter().map(Step::first).collect();
        let mut results = self.steps(&steps)?;
        let taken: Vec<usize> = (0..ops.len()).filter(|&index| is_taken(&ops[index], &results[index])).collect();
        let taken_routes: Vec<&Route> = taken.iter().map(|&index| ops[index].route()).collect();
        for (&index, result) in taken.iter().zip(self.exchange_ours(&taken_routes)?) {
            results[index] = result;
        }
        let foreign: Vec<usize> = (0..ops.len()).filter(|&index| is_taken(&ops[index], &results[index])).collect();
        let owners = if foreign.is_empty() { HashMap::new() } else { self.owners()? };
        let say = |(op, answer): (&RouteOp, Answer)| match answer {
            Err(refused) if is_taken(op, &Err(refused.clone())) => Err(foreign_error(op.route(), &owners)),
            Err(refused) if refused.errno == ESRCH && matches!(op, RouteOp::Delete(_)) => Ok(()),
            answer => answer.map(drop).map_err(io::Error::from),
        };
        Ok(ops.iter().zip(results).map(say).collect())
    }

    /// Puts each route in the place of ours with the same destination and metric.
    fn exchange_ours(&mut self, routes: &[&Route]) -> io::Result<Vec<Answer>> {
        let stand_ins: Vec<Step> = routes.iter().map(|route| Step::Create(stand_in(route))).collect();
        let mut results = self.steps(&stand_ins)?;
        // What the kernel refuses even elsewhere leaves the old route alone.
        let possible: Vec<usize> = (0..routes.len()).filter(|&index| !is_refused(&results[index])).collect();
        let steps: Vec<Step> = possible.iter().flat_map(|&index| exchange(routes[index])).collect();
        let answers = self.steps(&steps)?;
        for (&index, answers) in possible.iter().zip(answers.chunks(EXCHANGE)) {
            results[index] = answers[EXCHANGE_CREATE].clone();
        }
        Ok(results)
    }

    fn steps(&mut self, steps: &[Step]) -> io::Result<Vec<Answer>> {
        let create = (RTM_NEWROUTE, (NLM_F_CREATE | NLM_F_EXCL) as u16);
        let monitor = &mut self.monitor;
        self.requests.commands(
            steps,
            |step| if matches!(step, Step::Create(_)) { create } else { (RTM_DELROUTE, 0) },
            |step, message| match step {
                Step::Create(route) => route::put_route(message, route),
                Step::Delete(route) => route::put_deletion(message, route),
            },
            // Our own notifications do not get that far, but those of others may come while a long batch runs.
            || monitor.drain(),
        )
    }

    /// Who owns which place, to name the program behind a foreign route.
    fn owners(&mut self) -> io::Result<HashMap<(IpNet, u32, u32), u8>> {
        let routes = self.all_routes(0)?;
        Ok(routes.into_iter().map(|KernelRoute { route, .. }| (place(&route), route.protocol)).collect())
    }

    /// Every route with our protocol number, in every table.
    pub(super) fn own_routes(&mut self) -> io::Result<Vec<Route>> {
        let routes = self.all_routes(self.protocol)?;
        Ok(routes.into_iter().map(|found| found.route).collect())
    }

    /// Every route with this protocol number (0: any), in every table.
    fn all_routes(&mut self, protocol: u8) -> io::Result<Vec<KernelRoute>> {
        let mut routes = Vec::new();
        for family in [libc::AF_INET as u8, libc::AF_INET6 as u8] {
            routes.append(&mut self.requests.dump(
                RTM_GETROUTE,
                |message| route::put_filter(message, family, 0, protocol),
                |found| route::decode(found.payload),
            )?);
        }
        Ok(routes)
    }
}

impl Step {
    fn first(op: &RouteOp) -> Self {
        match op {
            RouteOp::Replace(route) => Self::Create(route.clone()),
            RouteOp::Delete(route) => Self::Delete(route.clone()),
        }
    }
}

/// Steps of [`exchange`].
const EXCHANGE: usize = 3;
/// The step of [`exchange`] that decides.
const EXCHANGE_CREATE: usize = 1;

fn exchange(route: &Route) -> [Step; EXCHANGE] {
    [Step::Delete(route.clone()), Step::Create(route.clone()), Step::Delete(stand_in(route))]
}

/// The same route at the next metric.
fn stand_in(route: &Route) -> Route {
    let metric = effective_metric(&route.prefix, route.metric);
    Route { metric: metric.checked_add(1).unwrap_or(metric - 1), ..route.clone() }
}

fn is_taken(op: &RouteOp, answer: &Answer) -> bool {
    matches!(op, RouteOp::Replace(_)) && matches!(answer, Err(refused) if refused.errno == EEXIST)
}

/// A stand-in that is there already, left by a crash or somebody else's, serves as well.
fn is_refused(answer: &Answer) -> bool {
    matches!(answer, Err(refused) if refused.errno != EEXIST)
}

fn place(route: &Route) -> (IpNet, u32, u32) {
    (route.prefix, route.table, effective_metric(&route.prefix, route.metric))
}

fn foreign_error(route: &Route, owners: &HashMap<(IpNet, u32, u32), u8>) -> io::Error {
    let owner = owners.get(&place(route)).map_or_else(String::new, |protocol| format!(" (protocol {protocol})"));
    let sentence = format!("a route of another program{owner} stands there with metric {}", route.metric);
    io::Error::new(io::ErrorKind::AlreadyExists, sentence)
}
