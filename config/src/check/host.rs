//! The whole, `[router]` and `[kernel]`.

use super::duplicates;
use crate::raw::{Place, Report};
use crate::read::Draft;

pub(super) fn laws(draft: &Draft, report: &mut Report) {
    if draft.wireguard.is_none() && draft.bgp.is_none() {
        report.missing(Place::WHOLE, "there is nothing to do", "add [wireguard], [bgp] or both");
    }
    let kernel = &draft.kernel;
    let sources = kernel.value.preferred_source.iter().enumerate();
    let families: Vec<_> =
        sources.map(|(index, source)| (source.is_ipv4(), kernel.places.item("preferred-source", index))).collect();
    duplicates(&families, report, |_| "preferred-source has two addresses of one family".to_owned());
    if kernel.value.rp_filter.is_some() && draft.wireguard.is_none() {
        let label = "it is set on the tunnel's device, and there is no [wireguard]";
        report.error(kernel.places.of("rp-filter"), "rp-filter needs a tunnel", label);
    }
}
