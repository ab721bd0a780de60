//! `doorward config`: what the operator has said, checked and shown.

use crate::cli::context::Context;
use crate::cli::failure::Failure;

/// `doorward config`
#[derive(Debug, Default, clap::Args)]
pub struct Args {}

/// Runs `doorward config`.
pub async fn run(_args: Args, _context: Context) -> Result<(), Failure> {
    Err(Failure::not_so("`config` is not built yet"))
}
