//! `doorward migrate`: makes the database ready for this version, which a server also does when it starts. For those
//! who give the server an account that may not change tables.

use crate::cli::context::Context;
use crate::cli::database;
use crate::cli::failure::Failure;
use crate::cli::output::{print, talk};

/// `doorward migrate`
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Prints what would be done, and does nothing
    #[arg(long)]
    dry_run: bool,
}

/// Runs `doorward migrate`.
pub async fn run(args: Args, context: Context) -> Result<(), Failure> {
    let (config, store) = database::unprepared(&context)?;
    let issuer = config.provider.as_ref().map(|provider| provider.issuer.as_str());
    let done = async {
        let (plan, warnings) = (store.plan(issuer).await?, store.warnings().await?);
        for warning in warnings {
            talk(&format!("warning: {warning}"));
        }
        if !args.dry_run {
            store.prepare(issuer).await?;
        }
        Ok::<_, Failure>(plan)
    };
    let done = done.await;
    store.close().await;
    let plan = done?;
    for line in &plan {
        print(&format!("{line}\n"))?;
    }
    talk(match (plan.is_empty(), args.dry_run) {
        (true, _) => "the database is ready; there is nothing to do",
        (false, true) => "nothing was changed; `doorward migrate` does it",
        (false, false) => "done",
    });
    Ok(())
}
