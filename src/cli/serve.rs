//! `doorward serve`: the server.

use crate::cli::context::Context;
use crate::cli::failure::Failure;

/// `doorward serve`
#[derive(Debug, Default, clap::Args)]
pub struct Args {}

/// Runs `doorward serve`.
pub async fn run(_args: Args, _context: Context) -> Result<(), Failure> {
    Err(Failure::not_so("`serve` is not built yet"))
}
