//! Parses the command line and runs it.

use std::process::ExitCode;

fn main() -> ExitCode {
    connect_idp::cli::Cli::run(std::env::args_os())
}
