//! `doorward openapi`: prints the OpenAPI document.

use crate::cli::context::Context;
use crate::cli::failure::Failure;

/// `doorward openapi`
#[derive(Debug, Default, clap::Args)]
pub struct Args {}

/// Runs `doorward openapi`.
pub async fn run(_args: Args, _context: Context) -> Result<(), Failure> {
    Err(Failure::not_so("`openapi` is not built yet"))
}
