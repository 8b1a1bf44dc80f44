//! `[kernel]`, `[control]` and `[log]`.

use crate::raw::Keys;
use crate::settings::{Control, Kernel, Log, LogFormat};
use crate::value::{FilePath, LogLevel, ProtocolNumber, Table, Text, Within};

pub(super) fn kernel(keys: &mut Keys<'_, '_>) -> Kernel {
    let install = keys.or("install", true, "False: learn and announce, program nothing.");
    let table = keys.or("table", Table::MAIN, "Routing table of our routes.");
    let metric = keys.or("metric", Within::<u32, 1, { u32::MAX }>(20), "Metric of our routes.");
    let protocol = keys.or(
        "protocol",
        ProtocolNumber(157),
        "Routing protocol number by which we know our own routes; two instances on one host must differ.",
    );
    let preferred_source = keys.optional(
        "preferred-source",
        "Source address of what this host sends over our routes, one per family; absent: `router-id` where that is an \
         address of this host. ICMP errors of the tunnel (\"fragmentation needed\") come from there too.",
    );
    let forwarding = keys.optional("forwarding", "Set IP forwarding of both families at start; absent: only checked.");
    let rp_filter = keys.optional(
        "rp-filter",
        "Set the reverse-path filter of the tunnel's device at start: true = loose, false = off; absent: only checked.",
    );
    Kernel {
        install,
        table: table.0,
        metric: metric.0,
        protocol: protocol.0,
        preferred_source: preferred_source.unwrap_or_default(),
        forwarding,
        rp_filter,
    }
}

pub(super) fn control(keys: &mut Keys<'_, '_>) -> Control {
    let socket = FilePath("/run/vpngw/vpngw.sock".into());
    Control {
        socket: keys.or("socket", socket, "Unix socket of the API, mode 0660.").0,
        group: keys
            .optional(
                "group",
                "Group that may use the socket; the gateway's user must be in it (in a unit: `SupplementaryGroups=`).",
            )
            .map(|group: Text| group.0),
        observe: keys.or(
            "observe",
            Vec::new(),
            "Where to listen for reads over TCP: /healthz, /readyz and what `show` reads.",
        ),
    }
}

pub(super) fn log(keys: &mut Keys<'_, '_>) -> Log {
    Log {
        level: keys.or("level", LogLevel("info".to_owned()), "What is logged, as a whole or by module.").0,
        format: keys.or(
            "format",
            LogFormat::Auto,
            "`auto` is text, with colour on a terminal; `json` is one object a line.",
        ),
    }
}
