//! `doorward tokens`: API tokens for people's programs.

use crate::cli::context::Context;
use crate::cli::failure::Failure;

/// `doorward tokens`
#[derive(Debug, Default, clap::Args)]
pub struct Args {}

/// Runs `doorward tokens`.
pub async fn run(_args: Args, _context: Context) -> Result<(), Failure> {
    Err(Failure::not_so("`tokens` is not built yet"))
}
