//! `doorward demo`: everything on this machine, with nothing to set up.

use crate::cli::context::Context;
use crate::cli::failure::Failure;

/// `doorward demo`
#[derive(Debug, Default, clap::Args)]
pub struct Args {}

/// Runs `doorward demo`.
pub async fn run(_args: Args, _context: Context) -> Result<(), Failure> {
    Err(Failure::not_so("`demo` is not built yet"))
}
