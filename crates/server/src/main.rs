//! The `alertcast` program.

use std::process::ExitCode;

fn main() -> ExitCode {
    alertcast::cli::main()
}
