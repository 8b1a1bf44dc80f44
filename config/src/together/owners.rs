//! Prefixes that two ends both take for theirs.
//!
//! Two gateways of one AS may announce the same prefix, and two may take the pods of one cluster: then its listen range has
//! the same name in both files. Addresses of services are host routes and belong to no one.

use bgpd::policy::Action;
use bgpd::settings::{PolicyName, RemoteAs};
use bgpd::types::Asn;
use ipnet::IpNet;

use super::tunnel::both_ways;
use super::{End, Findings};
use crate::check::{fits, overlap};

/// The pods of a cluster, by the name of its listen range.
struct Pool<'c> {
    cluster: &'c str,
    asn: &'c RemoteAs,
    prefix: IpNet,
}

pub(super) fn check(one: End<'_>, other: End<'_>, findings: &mut Findings) {
    for ours in pools(one) {
        for theirs in
            pools(other).iter().filter(|theirs| theirs.prefix == ours.prefix && theirs.cluster != ours.cluster)
        {
            let message = format!(
                "{} is claimed by both `{}` here and `{}` in {}",
                ours.prefix, ours.cluster, theirs.cluster, other.file
            );
            findings.error(one, message, "give each cluster a pod CIDR of its own".to_owned());
        }
    }
    for (ours, asn) in originated(one) {
        for (_, their_asn) in originated(other).filter(|(theirs, their_asn)| *theirs == ours && *their_asn != asn) {
            let message = format!("{ours} is announced by both AS {asn} here and AS {their_asn} in {}", other.file);
            findings.error(one, message, "a prefix has one owner".to_owned());
        }
    }
    both_ways(one, other, |from, to| taken(from, to, findings));
}

/// Pods that lie where a stranger's prefix does. One of the cluster's own nodes is no stranger.
fn taken(from: End<'_>, to: End<'_>, findings: &mut Findings) {
    let Some(ours) = from.bgp() else { return };
    for pool in pools(from) {
        let mut strangers = originated(to).filter(|(_, asn)| !fits(pool.asn, ours.speaker.asn, *asn));
        if let Some((prefix, _)) = strangers.find(|(prefix, _)| overlap(prefix, &pool.prefix)) {
            let (cluster, file) = (pool.cluster, to.file);
            let message = format!("{} of `{cluster}` overlaps {prefix}, which {file} announces", pool.prefix);
            findings.error(from, message, "a prefix has one owner".to_owned());
        }
    }
}

fn originated<'c>(end: End<'c>) -> impl Iterator<Item = (IpNet, Asn)> + use<'c> {
    end.bgp().into_iter().flat_map(|bgp| {
        let originate = bgp.speaker.originate.iter().map(|originate| originate.prefix);
        let aggregates = bgp.speaker.aggregates.iter().map(|aggregate| aggregate.prefix);
        originate.chain(aggregates).filter(|prefix| prefix.prefix_len() > 0).map(|prefix| (prefix, bgp.speaker.asn))
    })
}

fn pools(end: End<'_>) -> Vec<Pool<'_>> {
    let mut pools = Vec::new();
    let Some(bgp) = end.bgp() else { return pools };
    for (cluster, dynamic) in &bgp.speaker.dynamic_neighbors {
        let Some(PolicyName::Named(name)) = &dynamic.session.import else { continue };
        let rules = bgp.speaker.policies.get(name).into_iter().flat_map(|policy| &policy.rules);
        let passing =
            rules.filter(|rule| rule.action != Action::Reject).filter_map(|rule| rule.matches.prefix.as_ref());
        for entry in passing.flat_map(|set| set.entries()) {
            let length = entry.prefix.prefix_len();
            if length > 0 && length < entry.max && entry.max < entry.prefix.max_prefix_len() {
                pools.push(Pool { cluster, asn: &dynamic.asn, prefix: entry.prefix });
            }
        }
    }
    pools
}
