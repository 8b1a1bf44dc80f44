//! Whether a policy asks for blackholing (RFC 7999).

use super::{Policy, Rule, Wildcard};
use crate::types::Community;

impl Policy {
    /// Whether the rule that decided, or one that changes the route, names BLACKHOLE. RFC 7999 §4: nothing is discarded
    /// that the operator has not asked for, and a rule that lets everything pass does not ask.
    pub fn asks_for_blackhole(&self, rule: Option<u32>, changes: &[u32]) -> bool {
        let mut rules = changes.iter().copied().chain(rule).filter_map(|index| self.rules.get(index as usize));
        rules.any(names_blackhole)
    }
}

fn names_blackhole(rule: &Rule) -> bool {
    let matched = rule.matches.community.iter().flatten().filter_map(Wildcard::exact);
    let set = rule.set.community.set.iter().flatten().chain(&rule.set.community.add).copied();
    matched.chain(set).any(|community| community == Community::BLACKHOLE)
}
