//! `[prefix-set]`, `[as-set]` and `[community-set]`, and the keys that name their sets.

use std::cell::Cell;
use std::collections::BTreeMap;

use bgpd::policy::{PrefixRange, Wildcard};
use bgpd::types::Asn;

use super::martians;
use crate::raw::{Keys, Place, Report, nearest};
use crate::value::{AnyCommunity, CommunityKind, Member, PathItem, SetOr, Value};

/// All sets by name.
pub(crate) struct Sets {
    prefix: Named<PrefixRange>,
    asn: Named<Asn>,
    community: Named<AnyCommunity>,
}

/// The sets of one section.
type Named<T> = BTreeMap<String, Set<T>>;

/// One set.
pub(crate) struct Set<T> {
    /// `None`: could not be read, which was reported.
    members: Option<Vec<T>>,
    /// `None`: built in.
    place: Option<Place>,
    used: Cell<bool>,
}

/// Prefixes that a rule lets match, and the set that says so.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Claim {
    /// `None`: they stand in the rule itself.
    pub(crate) set: Option<String>,
    pub(crate) range: PrefixRange,
}

/// What a set's members are read as.
pub(crate) trait Collected: Member {
    /// What the sets hold.
    type Held: Copy;

    fn named(sets: &Sets) -> &Named<Self::Held>;

    /// `None`: not of this type.
    fn from_held(held: Self::Held) -> Option<Self>;
}

/// Reads the three sections.
pub(super) fn sets(keys: &mut Keys<'_, '_>) -> Sets {
    let mut prefix =
        section(keys, "prefix-set", "Prefixes by name; `martians` is built in.", "Prefixes and their lengths.");
    let asn = section(keys, "as-set", "AS numbers by name.", "AS numbers.");
    let doc = "Communities of any kind by name; a key that names the set takes those of its kind.";
    let community = section(keys, "community-set", doc, "Communities.");
    if let Some(Set { place: Some(place), .. }) = prefix.get(martians::NAME) {
        keys.walk.report.error(*place, "prefix-set `martians` is built in", "choose another name");
    }
    let built_in = Set { members: Some(martians::prefixes()), place: None, used: Cell::new(true) };
    prefix.insert(martians::NAME.to_owned(), built_in);
    Sets { prefix, asn, community }
}

fn section<T: Value>(keys: &mut Keys<'_, '_>, name: &str, doc: &'static str, members: &'static str) -> Named<T> {
    let entry = keys.table(name, doc, |keys| {
        let mut named = Named::new();
        for name in keys.names() {
            let members = keys.optional(&name, members);
            let place = Some(keys.places.of(&name));
            named.insert(name, Set { members, place, used: Cell::new(false) });
        }
        named
    });
    entry.map(|entry| entry.value).unwrap_or_default()
}

impl Sets {
    /// A key that takes set names and literals.
    pub(super) fn members<T: Collected>(
        &self,
        keys: &mut Keys<'_, '_>,
        name: &str,
        doc: &'static str,
    ) -> Option<Vec<T>> {
        let items = keys.optional(name, doc)?;
        Some(self.resolve(keys, name, items).into_iter().map(|(_, member)| member).collect())
    }

    /// A key that takes prefix sets and prefixes: each prefix with the set it came from.
    pub(super) fn prefixes(&self, keys: &mut Keys<'_, '_>, name: &str, doc: &'static str) -> Option<Vec<Claim>> {
        let items = keys.optional(name, doc)?;
        Some(self.resolve(keys, name, items).into_iter().map(|(set, range)| Claim { set, range }).collect())
    }

    /// The sets that nothing names, with their section.
    pub(crate) fn unused(&self) -> Vec<(&'static str, &str, Place)> {
        let prefix = unused(&self.prefix).map(|(name, place)| ("prefix-set", name, place));
        let asn = unused(&self.asn).map(|(name, place)| ("as-set", name, place));
        let community = unused(&self.community).map(|(name, place)| ("community-set", name, place));
        prefix.chain(asn).chain(community).collect()
    }

    fn resolve<T: Collected>(
        &self,
        keys: &mut Keys<'_, '_>,
        key: &str,
        items: Vec<SetOr<T>>,
    ) -> Vec<(Option<String>, T)> {
        let mut members = Vec::new();
        for (index, item) in items.into_iter().enumerate() {
            let place = keys.places.item(key, index);
            match item {
                SetOr::Literal(literal) => members.push((None, literal)),
                SetOr::Set(set) => {
                    let found = self.look_up(&mut keys.walk.report, place, &set);
                    members.extend(found.into_iter().map(|member| (Some(set.clone()), member)));
                }
            }
        }
        members
    }

    fn look_up<T: Collected>(&self, report: &mut Report, place: Place, name: &str) -> Vec<T> {
        let sets = T::named(self);
        let Some(set) = sets.get(name) else {
            let label = match nearest(name, sets.keys().map(String::as_str)) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("define it in [{}]", T::SECTION),
            };
            report.error(place, format!("there is no {} `{name}`", T::SECTION), label);
            return Vec::new();
        };
        set.used.set(true);
        let held = set.members.iter().flatten().copied();
        let members: Vec<T> = held.filter_map(T::from_held).collect();
        if members.is_empty() && set.members.as_ref().is_some_and(|held| !held.is_empty()) {
            let title = format!("{} `{name}` has no member of this kind", T::SECTION);
            report.error(place, title, format!("needed: {}", T::allowed()));
        }
        members
    }
}

fn unused<T>(named: &Named<T>) -> impl Iterator<Item = (&str, Place)> {
    named.iter().filter(|(_, set)| !set.used.get()).filter_map(|(name, set)| Some((name.as_str(), set.place?)))
}

impl Collected for PrefixRange {
    type Held = Self;

    fn named(sets: &Sets) -> &Named<Self> {
        &sets.prefix
    }

    fn from_held(held: Self) -> Option<Self> {
        Some(held)
    }
}

impl Collected for Asn {
    type Held = Self;

    fn named(sets: &Sets) -> &Named<Self> {
        &sets.asn
    }

    fn from_held(held: Self) -> Option<Self> {
        Some(held)
    }
}

impl Collected for PathItem {
    type Held = Asn;

    fn named(sets: &Sets) -> &Named<Asn> {
        &sets.asn
    }

    fn from_held(held: Asn) -> Option<Self> {
        Some(Self::Asn(held))
    }
}

impl<T: CommunityKind> Collected for Wildcard<T> {
    type Held = AnyCommunity;

    fn named(sets: &Sets) -> &Named<AnyCommunity> {
        &sets.community
    }

    fn from_held(held: AnyCommunity) -> Option<Self> {
        T::of(held)
    }
}
