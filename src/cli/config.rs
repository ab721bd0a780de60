//! `doorward config`: what the operator has said, checked and shown. Reads what a server would read, starts nothing.

use clap::Subcommand;

use crate::cli::context::Context;
use crate::cli::failure::Failure;
use crate::cli::output::{print, talk};
use crate::config::{Loaded, show};
use crate::web::paths;

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
        Command::Show => {
            let loaded = context.load()?;
            warn(&loaded);
            print(&show::toml(&loaded.settings))
        }
    }
}

fn check(context: &Context) -> Result<(), Failure> {
    let loaded = context.load_for_serving()?;
    warn(&loaded);
    let redirect_uri = loaded.config.public_url.join(paths::CALLBACK);
    print(&format!("configuration is fine\nredirect URI to register: {redirect_uri}\n"))
}

fn warn(loaded: &Loaded) {
    for warning in &loaded.warnings {
        talk(&format!("warning: {warning}"));
    }
}
