//! `vpngw`.

use std::process::ExitCode;

fn main() -> ExitCode {
    vpngw::cli::main()
}
