//! vpngw.
