//! What an update group hears of its routes: which of them, in which UPDATEs, and who of the group.

use bytes::BytesMut;
use ipnet::IpNet;

use super::export::{Best, Exporter};
use super::groups::{Audience, Group, Member};
use super::own::OwnRoutes;
use super::room::Room;
use crate::policy::Inquiry;
use crate::rib::{DestinationId, Due, NOTHING, Rib, SetId};
use crate::types::{Families, Family};
use crate::wire::{self, Context, MpNextHop, ParsedAttributes, PathAttributes};

/// One group's view of the RIB.
pub(super) struct Sender<'a> {
    pub(super) exporter: Exporter<'a>,
    pub(super) context: &'a Context,
    pub(super) rib: &'a Rib,
    pub(super) own: &'a OwnRoutes,
}

/// What is being written, with the memory of what was written before.
#[derive(Debug, Default)]
pub(super) struct Writing {
    /// The destinations to write about.
    pub(super) run: Vec<Due>,
    /// Messages, whole.
    pub(super) bytes: BytesMut,
    /// Prefixes that had no room in an UPDATE.
    pub(super) too_long: Vec<IpNet>,
    /// Who hears what, up to which octet.
    segments: Vec<(Audience, usize)>,
    /// The best path as it stands in the Loc-RIB.
    pub(super) best: ParsedAttributes,
    /// As it is told.
    pub(super) told: PathAttributes,
    batches: Vec<Batch>,
    withdrawn: Vec<Due>,
    prefixes: Vec<IpNet>,
}

/// Destinations that leave with the same attributes.
#[derive(Debug)]
struct Batch {
    family: Family,
    told: Told,
    routes: Vec<Due>,
}

/// How a prefix is told.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Told {
    pub(super) next_hop: MpNextHop,
    /// The next hop is another's, who may be of the group.
    pub(super) kept: bool,
    /// Rules of the export policy whose `set` changes the attributes.
    pub(super) changes: Vec<u32>,
}

impl Told {
    /// Who hears of it: not who announces the path itself, nor who is its next hop.
    fn audience(&self, best: &Best<'_>) -> Audience {
        let not_at = self.kept.then_some(self.next_hop.address);
        Audience { except: best.set.source, not_at, ..Audience::EVERYBODY }
    }
}

impl Sender<'_> {
    /// Whether a destination may be told at all.
    pub(super) fn carries(&self, destination: DestinationId) -> bool {
        let prefix = || self.rib.prefix(destination);
        self.context.families.contains(self.rib.family(destination)) && !self.own.is_suppressed(prefix)
    }

    /// How a prefix is told; `None`: it is not.
    pub(super) fn judge(&self, best: &Best<'_>, inquiry: Option<&mut Inquiry<'_>>, prefix: IpNet) -> Option<Told> {
        let changes = self.exporter.evaluate(best, inquiry, prefix)?;
        let (next_hop, kept) = self.exporter.next_hop(best, Family::of(&prefix), &changes)?;
        Some(Told { next_hop, kept, changes })
    }

    /// Tells a group of the run's destinations, whose best path has this set, or which have none.
    pub(super) fn send(&self, set: Option<SetId>, group: &mut Group, writing: &mut Writing) {
        let mut parsed = std::mem::take(&mut writing.best);
        let best = set.map(|set| Best::new(self.rib, set, &mut parsed)).filter(|best| self.exporter.may_tell(best));
        self.sort_out(best.as_ref(), group, writing);
        if let Some(best) = &best {
            let mut batches = std::mem::take(&mut writing.batches);
            for batch in batches.iter_mut().take_while(|batch| !batch.routes.is_empty()) {
                self.exporter.attributes(best, &batch.told.changes, &mut writing.told);
                self.announce(best, batch, group, writing);
                batch.routes.clear();
            }
            writing.batches = batches;
        }
        writing.best = parsed;
        self.withdraw(group, writing);
    }

    /// Puts each destination of the run where it goes: with those that leave alike, or with those that are withdrawn.
    fn sort_out(&self, best: Option<&Best<'_>>, group: &mut Group, writing: &mut Writing) {
        let Writing { run, batches, withdrawn, .. } = writing;
        let looks_at_prefix = self.exporter.filter.looks_at_prefix();
        let mut inquiry = best.and_then(|best| self.exporter.filter.ask(best.attributes));
        // By family: where the last route went, where that is where all go.
        let mut same: [Option<Option<usize>>; 2] = [None; 2];
        for due in run.drain(..) {
            let family = self.rib.family(due.destination);
            let place = match (best, same[family as usize]) {
                (None, _) => None,
                _ if !self.carries(due.destination) => None,
                (Some(_), Some(place)) => place,
                (Some(best), None) => {
                    let told = self.judge(best, inquiry.as_mut(), self.rib.prefix(due.destination));
                    let heard = told.filter(|told| group.room.is_none() || group.has(told.audience(best)));
                    let place = heard.map(|told| place(batches, family, told));
                    if !looks_at_prefix {
                        same[family as usize] = Some(place);
                    }
                    place
                }
            };
            let was_told = due.told != NOTHING;
            let admit = |room: &mut Room| room.admit(family, due.destination, was_told, place.is_some());
            let admitted = group.room.as_mut().is_none_or(admit);
            match place.filter(|_| admitted) {
                Some(place) => batches[place].routes.push(due),
                None if was_told => withdrawn.push(due),
                None => {}
            }
        }
    }

    fn announce(&self, best: &Best<'_>, batch: &Batch, group: &mut Group, writing: &mut Writing) {
        let source = best.set.source;
        let audience = batch.told.audience(best);
        let heard = group.has(audience);
        writing.prefixes.clear();
        writing.prefixes.extend(batch.routes.iter().map(|due| self.rib.prefix(due.destination)));
        let mut at = 0;
        let mut news = 0;
        while at < batch.routes.len() {
            let rest = &writing.prefixes[at..];
            let written = match heard {
                false => rest.len(),
                true => wire::write_reach(&mut writing.bytes, self.context, &writing.told, batch.told.next_hop, rest),
            };
            if written == 0 {
                writing.too_long.push(writing.prefixes[at]);
                if let Some(room) = &mut group.room {
                    room.give_back(batch.family);
                }
                // RFC 8654 §4: what the neighbors have is no longer true.
                writing.withdrawn.extend(Some(batch.routes[at]).filter(|due| due.told != NOTHING));
                at += 1;
            }
            for due in &batch.routes[at..at + written] {
                group.out.told.insert(due.destination);
                news += isize::from(due.told != source);
                if due.told != NOTHING && due.told != source {
                    group.count_own(due.told, -1);
                }
            }
            at += written;
        }
        writing.end_segment(audience);
        group.count_own(source, news);
        self.take_back(audience, batch, group, writing);
    }

    /// Members that are not told what the others are, but may have been told before: who announces the path itself, and
    /// who is its next hop.
    fn take_back(&self, audience: Audience, batch: &Batch, group: &Group, writing: &mut Writing) {
        for member in group.members.iter().filter(|member| !audience.hears(member)) {
            let was_told = |due: &&Due| due.told != NOTHING && due.told != member.source;
            writing.prefixes.clear();
            let routes = batch.routes.iter().filter(was_told);
            writing.prefixes.extend(routes.map(|due| self.rib.prefix(due.destination)));
            self.write_withdrawn(Audience { only: member.source, ..Audience::EVERYBODY }, writing);
        }
    }

    /// Withdraws from everybody but those whose paths were told.
    fn withdraw(&self, group: &mut Group, writing: &mut Writing) {
        let mut withdrawn = std::mem::take(&mut writing.withdrawn);
        withdrawn.sort_unstable_by_key(|due| (due.told, due.destination));
        for dues in withdrawn.chunk_by(|left, right| left.told == right.told) {
            let told = dues[0].told;
            writing.prefixes.clear();
            for due in dues {
                group.out.told.remove(due.destination);
                writing.prefixes.push(self.rib.prefix(due.destination));
            }
            group.count_own(told, -(dues.len() as isize)); // as many as a window at most
            let audience = Audience { except: told, ..Audience::EVERYBODY };
            if group.has(audience) {
                self.write_withdrawn(audience, writing);
            }
        }
        withdrawn.clear();
        writing.withdrawn = withdrawn;
    }

    /// Withdraws the prefixes that are noted.
    fn write_withdrawn(&self, audience: Audience, writing: &mut Writing) {
        writing.prefixes.sort_unstable_by_key(Family::of);
        for prefixes in writing.prefixes.chunk_by(|left, right| Family::of(left) == Family::of(right)) {
            let mut at = 0;
            while at < prefixes.len() {
                // A prefix alone always fits in a message.
                at += wire::write_unreach(&mut writing.bytes, self.context, &prefixes[at..]).max(1);
            }
        }
        writing.end_segment(audience);
    }
}

/// The batch of routes that are told so, a new one if there is none.
fn place(batches: &mut Vec<Batch>, family: Family, told: Told) -> usize {
    let is_it = |batch: &Batch| batch.routes.is_empty() || batch.family == family && batch.told == told;
    let place = batches.iter().position(is_it).unwrap_or(batches.len());
    match batches.get_mut(place) {
        Some(batch) if batch.routes.is_empty() => (batch.family, batch.told) = (family, told),
        Some(_) => {}
        None => batches.push(Batch { family, told, routes: Vec::new() }),
    }
    place
}

impl Writing {
    /// What was written since the last segment is for these.
    pub(super) fn end_segment(&mut self, audience: Audience) {
        let end = self.bytes.len();
        let begin = self.segments.last().map_or(0, |(_, end)| *end);
        match self.segments.last_mut() {
            _ if begin == end => {}
            Some((last, until)) if *last == audience => *until = end,
            _ => self.segments.push((audience, end)),
        }
    }

    /// Everything of the beginning is told.
    pub(super) fn end_of_rib(&mut self, families: Families) {
        families.iter().for_each(|family| wire::write_end_of_rib(&mut self.bytes, family));
        self.end_segment(Audience::EVERYBODY);
    }

    /// A refresh begins or ends, for a neighbor that wants to know (RFC 7313 §4.1).
    pub(super) fn mark_refresh(&mut self, families: Families, subtype: u8, context: &Context) {
        if context.enhanced_refresh {
            families.iter().for_each(|family| wire::write_route_refresh(family, subtype, &mut self.bytes));
            self.end_segment(Audience::EVERYBODY);
        }
    }

    /// Appends what a member hears.
    pub(super) fn copy_for(&self, member: &Member, out: &mut BytesMut) {
        let mut begin = 0;
        for (audience, end) in &self.segments {
            if audience.hears(member) {
                out.extend_from_slice(&self.bytes[begin..*end]);
            }
            begin = *end;
        }
    }

    /// Everybody has it.
    pub(super) fn clear(&mut self) {
        self.bytes.clear();
        self.segments.clear();
    }
}
