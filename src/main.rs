//! The program: hands the command line and the environment to the operator's room, and ends with its exit code.

use std::process::ExitCode;

fn main() -> ExitCode {
    doorward::cli::main(std::env::args_os(), std::env::vars_os())
}
