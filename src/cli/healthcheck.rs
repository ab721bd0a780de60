//! `doorward healthcheck`: asks the running server whether it is alive.

use crate::cli::context::Context;
use crate::cli::failure::Failure;

/// `doorward healthcheck`
#[derive(Debug, Default, clap::Args)]
pub struct Args {}

/// Runs `doorward healthcheck`.
pub async fn run(_args: Args, _context: Context) -> Result<(), Failure> {
    Err(Failure::not_so("`healthcheck` is not built yet"))
}
