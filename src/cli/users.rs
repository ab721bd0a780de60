//! `doorward users`: who has signed in.

use crate::cli::context::Context;
use crate::cli::failure::Failure;

/// `doorward users`
#[derive(Debug, Default, clap::Args)]
pub struct Args {}

/// Runs `doorward users`.
pub async fn run(_args: Args, _context: Context) -> Result<(), Failure> {
    Err(Failure::not_so("`users` is not built yet"))
}
