//! `doorward migrate`: makes the database ready for this version.

use crate::cli::context::Context;
use crate::cli::failure::Failure;

/// `doorward migrate`
#[derive(Debug, Default, clap::Args)]
pub struct Args {}

/// Runs `doorward migrate`.
pub async fn run(_args: Args, _context: Context) -> Result<(), Failure> {
    Err(Failure::not_so("`migrate` is not built yet"))
}
