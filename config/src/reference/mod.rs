//! The reference page, the manual page and the schema: what the readers say of themselves when they are run over no file at all.

mod manual;
mod page;
mod schema;

pub use manual::manual;
pub use page::reference;
pub use schema::schema;

use crate::raw::{Keys, Report, Walk};
use crate::{Context, OnStop, no_secrets, read};

/// One section, as its reader describes it.
#[derive(Clone, Debug)]
pub(crate) struct Section {
    /// `bgp.neighbor`; a name that the user chooses stands as `NAME`.
    pub(crate) path: String,
    /// An array of tables.
    pub(crate) many: bool,
    /// The user chooses the keys.
    pub(crate) free: bool,
    /// It may be written as the value of this key alone.
    pub(crate) short: Option<&'static str>,
    /// `false` may stand in its place.
    pub(crate) or_false: bool,
    pub(crate) doc: &'static str,
    pub(crate) keys: Vec<KeyLine>,
}

/// One key.
#[derive(Clone, Debug)]
pub(crate) struct KeyLine {
    pub(crate) name: String,
    pub(crate) allowed: String,
    pub(crate) schema: String,
    pub(crate) need: Need,
    pub(crate) doc: &'static str,
}

/// Whether a key must be there.
#[derive(Clone, Debug)]
pub(crate) enum Need {
    /// It must.
    Required,
    /// It may be absent.
    Optional,
    /// Absent, it is this.
    Default(String),
}

impl Section {
    /// The path of the section around it; empty at the top.
    fn parent(&self) -> &str {
        self.path.rsplit_once('.').map_or("", |(parent, _)| parent)
    }

    /// Its name in the section around it.
    fn name(&self) -> &str {
        self.path.rsplit('.').next().unwrap_or_default()
    }
}

/// Every section, the outer before the inner.
fn sections() -> Vec<Section> {
    let context = Context {
        default_router_id: None,
        default_on_stop: OnStop::Withdraw,
        now: std::time::SystemTime::UNIX_EPOCH,
        env: &|_| None,
        secrets: &no_secrets,
    };
    let mut walk = Walk { sources: &[], context: &context, report: Report::default(), sections: Some(Vec::new()) };
    Keys::root(&mut walk, Vec::new(), read::everything);
    walk.sections.unwrap_or_default()
}

#[cfg(test)]
mod tests;
