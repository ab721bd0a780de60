//! `doorward config`: what the operator has said, checked and shown. Reads what a server would read, asks whom a server
//! would ask, and starts nothing.

use clap::Subcommand;

use crate::cli::check;
use crate::cli::context::Context;
use crate::cli::failure::Failure;
use crate::cli::output::{print, talk};
use crate::config::{Loaded, show};

/// `doorward config`
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Says whether the configuration is fine, and what database, provider and port say to it
    Check {
        /// Looks at the configuration alone and asks nobody
        #[arg(long)]
        offline: bool,
    },
    /// Prints the configuration as it was understood, where each value comes from, and secrets as …
    Show,
}

/// Runs `doorward config`.
pub async fn run(args: Args, context: Context) -> Result<(), Failure> {
    match args.command {
        Command::Check { offline } => check(&context, offline).await,
        Command::Show => {
            let loaded = context.load()?;
            warn(&loaded);
            print(&show::toml(&loaded.settings))
        }
    }
}

async fn check(context: &Context, offline: bool) -> Result<(), Failure> {
    let loaded = context.load_for_serving()?;
    warn(&loaded);
    check::certificate(&loaded.config)?;
    print(&format!("configuration is fine\n{}\n", check::redirect_uri(&loaded.config)))?;
    if offline { Ok(()) } else { check::everything(&loaded.config).await.say() }
}

fn warn(loaded: &Loaded) {
    for warning in &loaded.warnings {
        talk(&format!("warning: {warning}"));
    }
}
