//! The tunnel's table: prefix to group, for sending and for the source filter.

use ipnet::IpNet;

use crate::settings::PublicKey;

/// Who may carry a prefix. Prefixes with the same choice share one group inside the device.
#[derive(Clone, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Group {
    /// Flows are hashed over those of them that are not down.
    pub send: Vec<PublicKey>,
    /// In order; the first that is not down is used while all of `send` are.
    pub backup: Vec<PublicKey>,
    /// A packet with a source in the prefix may come from any of these (feasible-path RPF, RFC 3704 §2.4).
    pub accept: Vec<PublicKey>,
}

/// One change of the routed part of the table. Static allowed IPs are the settings' own and win for sending.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Change {
    /// The prefix.
    pub prefix: IpNet,
    /// Absent: the prefix is no longer routed.
    pub group: Option<Group>,
}

/// Counts batches of changes.
#[derive(Clone, Copy, Debug, Default, Eq, Ord, PartialEq, PartialOrd)]
pub struct Generation(pub u64);
