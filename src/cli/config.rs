//! `doorward config`: what the operator has said, checked and shown. Reads what a server would read, and starts nothing.

use clap::Subcommand;

use crate::cli::context::Context;
use crate::cli::failure::Failure;
use crate::cli::output::{print, talk};
use crate::config::show;

/// `doorward config`
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Says whether the configuration is fine, and everything that is wrong where it is not
    Check,
    /// Prints the configuration as it was understood, where each value comes from, and secrets as …
    Show,
}

/// Runs `doorward config`.
pub async fn run(args: Args, context: Context) -> Result<(), Failure> {
    match args.command {
        Command::Check => check(&context),
        Command::Show => print(&show::toml(&context.load_and_warn()?.settings)),
    }
}

fn check(context: &Context) -> Result<(), Failure> {
    let loaded = context.load_for_serving()?;
    for warning in &loaded.warnings {
        talk(&format!("warning: {warning}"));
    }
    let redirect_uri = loaded.config.public_url.join("/login/callback");
    print(&format!("configuration is fine\nredirect URI to register: {redirect_uri}\n"))
}
