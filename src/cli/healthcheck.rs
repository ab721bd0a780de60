//! `doorward healthcheck`: asks the running server whether it is alive, where it listens, in the way it is served there. For
//! containers, which have no other program to ask with.

use std::time::Duration;

use crate::cli::context::Context;
use crate::cli::failure::Failure;
use crate::cli::knock;
use crate::cli::output::talk;
use crate::config::problem::quoted;
use crate::config::server::Listen;
use crate::web::paths;

/// How long the answer may take.
const PATIENCE: Duration = Duration::from_secs(3);

/// What to do where nobody answers.
const DOCTOR: &str = "start it, with this very configuration; where it does run, `doorward doctor` looks further";

/// `doorward healthcheck`
#[derive(Debug, Default, clap::Args)]
pub struct Args {}

/// Runs `doorward healthcheck`.
pub async fn run(_args: Args, context: Context) -> Result<(), Failure> {
    let config = context.load()?.config;
    let place = match &config.server.listen {
        Listen::Tcp { host, port } => format!("{host}:{port}"),
        Listen::Unix(path) => format!("unix:{}", path.display()),
    };
    let path = format!("{}{}", config.public_url.path(), paths::HEALTHZ);
    match tokio::time::timeout(PATIENCE, knock::where_it_listens(&config, &path, &[])).await {
        Ok(Ok(answer)) if answer.line.starts_with("HTTP/1.1 200 ") => {
            talk("alive");
            Ok(())
        }
        Ok(Ok(answer)) => {
            let failure = Failure::not_so(format!("{place} answered {}", quoted(answer.line.trim())));
            Err(failure.hint("another program may listen there; `doorward doctor` tells"))
        }
        Ok(Err(error)) => Err(Failure::not_so(error.to_string()).hint(DOCTOR)),
        Err(_) => {
            let failure = Failure::not_so(format!("{place} gave no answer within {} seconds", PATIENCE.as_secs()));
            Err(failure.hint(DOCTOR))
        }
    }
}
