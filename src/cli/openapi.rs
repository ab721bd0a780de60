//! `doorward openapi`: prints the OpenAPI document, as the server serves it.

use crate::cli::context::Context;
use crate::cli::failure::Failure;
use crate::cli::output::print;
use crate::web::api;
use crate::web::cookies::Cookies;
use crate::web::paths;

/// `doorward openapi`
#[derive(Debug, Default, clap::Args)]
pub struct Args {}

/// Runs `doorward openapi`.
pub async fn run(_args: Args, context: Context) -> Result<(), Failure> {
    let config = context.config()?;
    let cookies = Cookies::new(&config.public_url, None).shared_with(config.sessions.cookie_domain.as_deref());
    let document = api::document(&cookies, &config.public_url.join(paths::API));
    print(&format!("{document:#}\n"))
}
