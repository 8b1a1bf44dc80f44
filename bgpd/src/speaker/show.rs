//! Plain values of what is inside, made when asked.

use std::net::IpAddr;
use std::time::{Duration, Instant};

use super::add_path::path_of;
use super::export::{Best, Exporter};
use super::groups::Group;
use super::neighbor::{Neighbor, NeighborId, Session};
use super::sender::Sender;
use super::session::Obstacle;
use super::silence::causes_of_silence;
use super::{Slice, Speaker};
use crate::policy::Protocol;
use crate::rib::{DestinationId, Filter, Outcome, Path, Rib, Source, SourceId, Verdict};
use crate::types::Families;
use crate::view::{Counters, NeighborView, PathView, PolicyView, RouteView, SessionState};
use crate::wire::{Capability, ParsedAttributes, PathAttributes};

/// Neighbors.
impl Speaker {
    pub(super) fn neighbor_views(&self, now: Instant) -> Vec<NeighborView> {
        self.neighbors.by_name().map(|(id, neighbor)| self.neighbor_view(now, id, neighbor)).collect()
    }

    pub(super) fn find_view(&self, now: Instant, neighbor: &str) -> Option<NeighborView> {
        let id = self.neighbors.find(neighbor)?;
        Some(self.neighbor_view(now, id, self.neighbors.get(id)?))
    }

    fn neighbor_view(&self, now: Instant, id: NeighborId, neighbor: &Neighbor) -> NeighborView {
        let settings = &neighbor.settings;
        let session = neighbor.session.as_ref();
        let negotiated = session.map(|session| &session.negotiated);
        let source = neighbor.source().map(|source| self.rib.source(source));
        let group = session.and_then(|session| Some((id, self.groups.get(session.group)?)));
        NeighborView {
            name: neighbor.name.clone(),
            description: settings.session.description.clone(),
            address: settings.address,
            asn: negotiated.map(|negotiated| negotiated.asn).or(neighbor.configured_asn(&self.settings)),
            router_id: negotiated.map(|negotiated| negotiated.router_id),
            state: neighbor.fsm.state(),
            uptime: session.map(|session| now.saturating_duration_since(session.since)),
            families: negotiated.map_or_else(Families::default, |negotiated| negotiated.families),
            received: source.map_or(0, |source| source.received.len()),
            accepted: source.map_or(0, |source| source.accepted),
            advertised: group.map_or(0, |(id, group)| group.advertised(id)),
            pending: group.map_or(0, |(_, group)| group.out.pending(&self.rib) + self.unswept()),
            connection: session.map(|session| session.connection),
            draining: neighbor.admin.is_draining(),
            hold_time: negotiated.map(|negotiated| negotiated.hold_time),
            capabilities: negotiated
                .map_or_else(Vec::new, |negotiated| negotiated.capabilities.iter().map(Capability::name).collect()),
            via: settings.via.clone(),
            note: self.note(now, neighbor),
            counters: Counters { discarded: source.map_or(0, Source::discarded), ..neighbor.record.counters },
            history: neighbor.record.history(now),
            last_error: neighbor.record.last_error(now),
        }
    }

    /// What stands in the way of a neighbor.
    fn note(&self, now: Instant, neighbor: &Neighbor) -> Option<String> {
        let draining = neighbor.admin.is_draining().then(|| "draining".to_owned());
        let mut notes = Vec::from_iter(draining);
        if let Some(obstacle) = self.obstacle(neighbor) {
            notes.push(obstacle.to_string());
        } else if let Some(session) = &neighbor.session {
            self.session_notes(neighbor, session, &mut notes);
        } else if neighbor.fsm.state() < SessionState::OpenSent {
            let session = &neighbor.settings.session;
            let causes = causes_of_silence(session.password.is_some(), session.ttl_security.is_some());
            notes.extend(causes.map(|causes| format!("it has not connected: it does not dial, or {causes}")));
        }
        notes.extend(neighbor.retained_note(now));
        notes.extend(self.restart.note(&neighbor.name, now));
        (!notes.is_empty()).then(|| notes.join("; "))
    }

    /// What stands in the way of an Established session's routes.
    fn session_notes(&self, neighbor: &Neighbor, session: &Session, notes: &mut Vec<String>) {
        let nothing_in = self.rib.source(session.source).import == Filter::Nothing;
        let nothing_out = session.export == Filter::Nothing;
        match (nothing_in, nothing_out) {
            (true, true) => notes.push("(Policy): nothing passes without import and export policy".to_owned()),
            (true, false) => notes.push("(Policy): nothing comes in without import policy".to_owned()),
            (false, true) => notes.push("(Policy): nothing goes out without export policy".to_owned()),
            (false, false) => {}
        }
        self.limit_notes(neighbor, session, notes);
        let negotiated = &session.negotiated;
        let offered =
            neighbor.settings.session.families.unwrap_or(self.ends(negotiated.local, negotiated.remote).families);
        let both = offered.intersection(Capability::families(&negotiated.capabilities));
        for family in both.iter().filter(|family| !negotiated.families.contains(*family)) {
            notes.push(format!("{family} can be carried since the link has an address of it: after a reset"));
        }
        let exporter = self.exporter(neighbor, session);
        for family in session.negotiated.families.iter().filter(|family| exporter.own_next_hop(*family).is_none()) {
            notes.push(format!(
                "{family} is not announced with ourselves as next hop: the link has no {family} address"
            ));
        }
    }

    /// How a neighbor is told of routes.
    pub(super) fn exporter<'a>(&'a self, neighbor: &'a Neighbor, session: &'a Session) -> Exporter<'a> {
        Exporter::new(neighbor, session, &self.settings, &self.companions)
    }
}

impl std::fmt::Display for Obstacle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Stopped(_) => f.write_str("stopping"),
            Self::Shutdown => f.write_str("shut down"),
            Self::Disabled(None) => f.write_str("disabled"),
            Self::Disabled(Some(message)) => write!(f, "disabled: {message}"),
            Self::TunnelDown(via) => write!(f, "tunnel down: {via}"),
            Self::OverLimit(over) => over.fmt(f),
        }
    }
}

/// Routes.
impl Speaker {
    pub(super) fn route_views(&self, now: Instant, slice: &Slice) -> Vec<RouteView> {
        self.rib.slice(slice).into_iter().map(|destination| self.route_view(now, destination)).collect()
    }

    /// The longest prefix of the Loc-RIB that covers an address and is used; where none is used, the longest.
    pub fn longest_match(&self, now: Instant, address: IpAddr) -> Option<RouteView> {
        let used = self.rib.covering(address).find(|id| self.rib.best(*id).is_some());
        let views = used.into_iter().chain(self.rib.covering(address)).map(|id| self.route_view(now, id));
        views.into_iter().find(|view| !view.paths.is_empty())
    }

    fn route_view(&self, now: Instant, destination: DestinationId) -> RouteView {
        let ranking = self.rib.rank(destination);
        let multipath = self.rib.multipath_len(&ranking.eligible);
        let mut paths = Vec::new();
        for (position, (_, path)) in ranking.eligible.iter().enumerate() {
            let lost_by = Rib::lost_by(&ranking, position).map(|step| step.to_string());
            let view = self.path_view(now, destination, *path);
            paths.push(PathView { best: position == 0, multipath: position < multipath, not_best: lost_by, ..view });
        }
        for (path, verdict) in &ranking.others {
            if let Verdict::Ineligible(why) = verdict {
                paths.push(PathView { not_best: Some(why.to_string()), ..self.path_view(now, destination, *path) });
            }
        }
        RouteView { prefix: self.rib.prefix(destination), paths }
    }

    /// As in the Loc-RIB.
    pub(super) fn path_view(&self, now: Instant, destination: DestinationId, path: Path) -> PathView {
        let set = self.rib.set(path.set);
        let source = self.rib.source(set.source);
        let mut parsed = ParsedAttributes::default();
        let next_hop = set.attributes(source, &mut parsed);
        let (neighbor, neighbor_address) = name_of(source);
        PathView {
            neighbor,
            neighbor_address,
            best: false,
            multipath: false,
            not_best: None,
            attributes: parsed.attributes,
            next_hop: next_hop.map(|next_hop| next_hop.address),
            wireguard_peer: self.rib.next_hop_state(set).and_then(|state| state.wireguard_peer.clone()),
            stale: source.is_stale(destination),
            path_id: set.path_id(),
            age: self.age(now, path),
            policy: policy_view(&set.outcome, source),
            rejected: None,
        }
    }

    fn age(&self, now: Instant, path: Path) -> Duration {
        now.saturating_duration_since(self.began).saturating_sub(Duration::from_secs(path.since.into()))
    }

    pub(super) fn received_views(&self, now: Instant, neighbor: &str, slice: &Slice) -> Option<Vec<RouteView>> {
        let neighbor = self.neighbors.get(self.neighbors.find(neighbor)?)?;
        let Some(source) = neighbor.source() else { return Some(Vec::new()) };
        let destinations = self.rib.slice_of(slice, self.rib.source(source).received.iter());
        Some(destinations.into_iter().map(|destination| self.received_view(now, source, destination)).collect())
    }

    fn received_view(&self, now: Instant, source: SourceId, destination: DestinationId) -> RouteView {
        let paths = self.rib.paths_of(source, destination).map(|path| {
            let set = self.rib.set(path.set);
            let mut parsed = ParsedAttributes::default();
            let next_hop = set.received(self.rib.source(set.source), &mut parsed);
            let best = self.rib.best(destination) == Some(path.set);
            PathView {
                best,
                not_best: match self.rib.verdict(destination, path) {
                    Verdict::Ineligible(why) if !best => Some(why.to_string()), // the last resort is
                    _ => None,
                },
                attributes: parsed.attributes,
                next_hop: next_hop.map(|next_hop| next_hop.address),
                rejected: set.outcome.rejected.is_some().then(|| set.outcome.to_string()),
                ..self.path_view(now, destination, path)
            }
        });
        RouteView { prefix: self.rib.prefix(destination), paths: paths.collect() }
    }

    pub(super) fn advertised_views(&self, now: Instant, neighbor: &str, slice: &Slice) -> Option<Vec<RouteView>> {
        let Some((neighbor, session)) = self.session_of(self.neighbors.find(neighbor)?) else {
            return Some(Vec::new());
        };
        let Some(group) = self.groups.get(session.group) else { return Some(Vec::new()) };
        let is_own = |set| self.rib.set(set).source == session.source;
        let is_told = |id: &DestinationId| match &group.paths {
            Some(paths) if paths.families.contains(self.rib.family(*id)) => true,
            _ => !self.rib.best(*id).is_some_and(is_own),
        };
        let destinations = self.rib.slice_of(slice, group.out.told.iter().filter(is_told));
        let routes = destinations.into_iter().map(|id| {
            let paths = self.told_paths(group, id).into_iter();
            let views = paths.filter_map(|(path, path_id)| {
                let view = self.advertised_view(now, neighbor, session, id, path)?;
                Some(PathView { path_id, best: self.rib.best(id) == Some(path.set), ..view })
            });
            RouteView { prefix: self.rib.prefix(id), paths: views.collect() }
        });
        Some(routes.filter(|route| !route.paths.is_empty()).collect())
    }

    /// What a group was told of a destination, or is to be told: the best path, or several, each with its identifier.
    fn told_paths(&self, group: &Group, destination: DestinationId) -> Vec<(Path, Option<u32>)> {
        let family = self.rib.family(destination);
        match group.paths.as_ref().filter(|paths| paths.families.contains(family)) {
            Some(paths) => {
                let told = paths.of(destination);
                told.filter_map(|(key, id)| Some((path_of(&self.rib, destination, key)?, Some(id)))).collect()
            }
            None => self
                .rib
                .best(destination)
                .and_then(|_| self.rib.paths(destination).first())
                .map(|path| (*path, None))
                .into_iter()
                .collect(),
        }
    }

    /// What was told, or is on its way: what the neighbor was told is the path as it is now.
    fn advertised_view(
        &self,
        now: Instant,
        neighbor: &Neighbor,
        session: &Session,
        destination: DestinationId,
        path: Path,
    ) -> Option<PathView> {
        let exporter = self.exporter(neighbor, session);
        let context = &session.negotiated.context;
        let sender = Sender { exporter, context, rib: &self.rib, own: &self.own };
        let mut parsed = ParsedAttributes::default();
        let best = Best::new(&self.rib, path.set, &mut parsed);
        if best.set.source == session.source || !sender.exporter.may_tell(&best) {
            return None;
        }
        let prefix = self.rib.prefix(destination);
        let mut inquiry = sender.exporter.filter.ask(best.attributes);
        let told = sender.judge(&best, inquiry.as_mut(), prefix).filter(|_| sender.carries(destination))?;
        if told.kept && told.next_hop.address == session.negotiated.remote.ip() {
            return None;
        }
        let mut attributes = PathAttributes::default();
        sender.exporter.attributes(&best, &told.changes, &mut attributes);
        let next_hop = Some(told.next_hop.address);
        Some(PathView { attributes, next_hop, policy: None, ..self.path_view(now, destination, path) })
    }

    fn session_of(&self, id: NeighborId) -> Option<(&Neighbor, &Session)> {
        self.neighbors.get(id)?.with_session()
    }
}

/// Whose it is, for people.
pub(super) fn name_of(source: &Source) -> (String, Option<IpAddr>) {
    match source.protocol {
        Protocol::Originate => ("originate".to_owned(), None),
        Protocol::Aggregate => ("aggregate".to_owned(), None),
        Protocol::Bgp => (source.names.first().cloned().unwrap_or_default(), Some(source.address)),
    }
}

fn policy_view(outcome: &Outcome, source: &Source) -> Option<PolicyView> {
    if source.protocol == Protocol::Bgp && source.import == Filter::Everything && outcome.rejected.is_none() {
        return Some(PolicyView { name: "accept-all".to_owned(), rule: 1, line: 0 });
    }
    let policy = outcome.policy.as_ref()?;
    let index = outcome.rule?;
    let rule = policy.rules.get(index as usize)?;
    Some(PolicyView { name: policy.name.clone(), rule: index as usize + 1, line: rule.line })
}
