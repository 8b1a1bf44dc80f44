//! The reference page and the schema: what the readers say of themselves.

/// One section, as its reader describes it.
#[derive(Clone, Debug)]
pub(crate) struct Section {
    /// `bgp.neighbor`; a name that the user chooses stands as `NAME`.
    pub(crate) path: String,
    /// An array of tables.
    pub(crate) many: bool,
    /// The user chooses the keys.
    pub(crate) free: bool,
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
