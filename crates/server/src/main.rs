//! The `alertcast` program.

use std::process::ExitCode;

fn main() -> ExitCode {
    #[cfg(feature = "failpoints")]
    if let Err(error) = alertcast::failpoints::arm_from_environment() {
        eprintln!("{}: {error:#}", alertcast::failpoints::VARIABLE);
        return ExitCode::FAILURE;
    }
    alertcast::cli::main()
}
