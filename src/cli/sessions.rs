//! `doorward sessions`: which browsers are signed in.

use crate::cli::context::Context;
use crate::cli::failure::Failure;

/// `doorward sessions`
#[derive(Debug, Default, clap::Args)]
pub struct Args {}

/// Runs `doorward sessions`.
pub async fn run(_args: Args, _context: Context) -> Result<(), Failure> {
    Err(Failure::not_so("`sessions` is not built yet"))
}
