//! `doorward config`: what the operator has said, checked and shown. Reads what a server would read, asks whom a server
//! would ask, and starts nothing.

use clap::Subcommand;

use crate::cli::check::{self, Depth, Finding, Outcome};
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
    let depth = if offline { Depth::Configuration } else { Depth::Start };
    say(check::before_the_start(loaded, depth).await)
}

/// Says what was found: what is as it should be as data, the rest as talk. The failure is the last one, those before it are
/// said.
fn say(findings: Vec<Finding>) -> Result<(), Failure> {
    let mut last: Option<Failure> = None;
    let mut facts = String::new();
    for Finding { outcome, found, hint, .. } in findings {
        match outcome {
            Outcome::Fine => {
                facts.push_str(&found);
                facts.push('\n');
            }
            Outcome::Warning => talk(&format!("warning: {found}")),
            Outcome::Failure(code) => {
                let before = last.replace(Failure { code, message: found, hint });
                before.inspect(|failure| talk(&failure.to_string()));
            }
            Outcome::Skipped => {}
        }
    }
    // Whoever reads no further must not be told that all is fine where it is not.
    let verdict = if last.is_none() { "configuration is fine\n" } else { "" };
    print(&format!("{verdict}{facts}"))?;
    last.map_or(Ok(()), Err)
}

fn warn(loaded: &Loaded) {
    for warning in &loaded.warnings {
        talk(&format!("warning: {warning}"));
    }
}
