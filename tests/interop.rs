//! The gateway with FRR, BIRD 2, GoBGP, OpenBGPD and ExaBGP as Debian 12 has them: every scenario with every daemon, each
//! a test of its own in namespaces of its own. docs/interop.md has the matrix.
//!
//!     tests/all --test interop                              all of it
//!     tests/all --test interop bird                         one daemon
//!     tests/all --test interop tables_are_equal             one scenario
#![allow(clippy::unwrap_used)]

mod common;
#[path = "interop/site.rs"]
mod site;
#[path = "interop/tables.rs"]
mod tables;

use common::daemon::bird::Bird;
use common::daemon::exabgp::ExaBgp;
use common::daemon::frr::Frr;
use common::daemon::gobgp::GoBgp;
use common::daemon::openbgpd::OpenBgpd;

/// A module for each scenario, a test in it for each daemon.
macro_rules! with_each_daemon {
    ($($file:ident::$scenario:ident,)*) => {$(
        mod $scenario {
            use super::{Bird, ExaBgp, Frr, GoBgp, OpenBgpd, $file::$scenario};

            #[test]
            fn bird() {
                $scenario::<Bird>();
            }

            #[test]
            fn exabgp() {
                $scenario::<ExaBgp>();
            }

            #[test]
            fn frr() {
                $scenario::<Frr>();
            }

            #[test]
            fn gobgp() {
                $scenario::<GoBgp>();
            }

            #[test]
            fn openbgpd() {
                $scenario::<OpenBgpd>();
            }
        }
    )*};
}

with_each_daemon! {
    tables::tables_are_equal_on_one_session_of_both_families,
    tables::tables_are_equal_on_a_session_of_each_family,
}
