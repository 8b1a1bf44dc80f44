//! The gateway with FRR, BIRD 2, GoBGP, OpenBGPD and ExaBGP as Debian 12 has them: every scenario with every daemon, each
//! a test of its own in namespaces of its own. docs/interop.md has the matrix.
//!
//!     tests/all --test interop                              all of it
//!     tests/all --test interop bird                         one daemon
//!     tests/all --test interop tables_are_equal             one scenario
#![allow(clippy::print_stdout)] // what a daemon cannot do
#![allow(clippy::unwrap_used)]

mod common;
#[path = "interop/ends.rs"]
mod ends;
#[path = "interop/internal.rs"]
mod internal;
#[path = "interop/large.rs"]
mod large;
#[path = "interop/life.rs"]
mod life;
#[path = "interop/odd.rs"]
mod odd;
#[path = "interop/refresh.rs"]
mod refresh;
#[path = "interop/site.rs"]
mod site;
#[path = "interop/tables.rs"]
mod tables;
#[path = "interop/transport.rs"]
mod transport;

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
    transport::a_session_with_a_password_comes_up_whoever_dials,
    transport::a_session_with_a_password_comes_up_from_a_listen_range,
    transport::a_session_with_another_password_stays_down_and_says_why,
    transport::a_session_with_gtsm_comes_up_whoever_dials,
    transport::a_neighbor_without_gtsm_stays_down_where_we_have_it,
    transport::a_session_through_a_router_comes_up_with_multihop_and_with_gtsm,
    refresh::routes_are_asked_for_again_by_us_and_by_them,
    ends::a_reset_of_ours_is_seen_there_and_the_session_comes_back,
    ends::a_shutdown_message_of_ours_is_seen_there,
    ends::a_shutdown_message_of_theirs_is_seen_here,
    ends::too_many_prefixes_of_theirs_end_the_session_and_it_hears_so,
    ends::too_many_prefixes_of_ours_end_the_session_and_we_say_so,
    internal::we_reflect_to_and_from_the_daemon,
    internal::the_daemon_reflects_to_and_from_us,
    life::both_ends_have_as_numbers_of_four_octets,
    life::a_neighbor_of_two_octets_hears_as_trans_and_the_path_in_as4_path,
    life::a_hold_time_of_three_seconds_is_kept,
    life::a_session_without_a_hold_time_stays,
    life::either_side_is_killed_and_comes_back,
    large::large_tables_are_equal,
}
