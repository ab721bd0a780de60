//! What an operator types. Each command is a file of its own; what a command leaves behind is written there.
//!
//! Standard output is for data, standard error for talk. A command ends with 0 (fine), 1 (failed, or the thing that was
//! checked is not right), 2 (misused), 69 (something it depends on is away) or 78 (the configuration is wrong).

pub mod access;
pub mod audit;
pub mod check;
pub mod completions;
pub mod config;
pub mod context;
pub mod database;
pub mod demo;
pub mod doctor;
pub mod failure;
pub mod healthcheck;
pub mod init;
pub mod keychain;
pub mod keys;
pub mod knock;
pub mod migrate;
pub mod openapi;
pub mod output;
pub mod pages;
pub mod proxy_config;
pub mod reload;
pub mod serve;
pub mod sessions;
pub mod signals;
pub mod supervisor;
pub mod table;
pub mod terminal;
pub mod tokens;
pub mod users;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::cli::context::{Context, Flags};
use crate::cli::failure::Failure;
use crate::cli::output::talk;

/// The version, the commit it was built from and the kind of machine it was built for.
const VERSION: &str =
    concat!(env!("CARGO_PKG_VERSION"), " (", env!("DOORWARD_COMMIT"), ", ", env!("DOORWARD_TARGET"), ")");

/// Lets a site say "Sign in with Google".
///
/// Without a command Doorward serves. To see it work with nothing set up: doorward demo
#[derive(Debug, Parser)]
#[command(name = "doorward", version = VERSION, max_term_width = 100)]
struct Cli {
    #[command(flatten)]
    flags: Flags,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serves the site's sign-in (what happens without a command, too)
    Serve(serve::Args),
    /// Shows everything on this machine, with a pretend provider and nothing to set up
    Demo(demo::Args),
    /// Asks a few questions and writes config.toml
    Init(init::Args),
    /// Checks the configuration, or shows what it amounts to
    Config(config::Args),
    /// Looks at everything the site depends on while it runs, and says what is wrong and what to do
    Doctor(doctor::Args),
    /// Asks the running server whether it is alive
    Healthcheck(healthcheck::Args),
    /// Brings the tables that belong to Doorward up to date
    Migrate(migrate::Args),
    /// Tells which rule lets somebody in or keeps them out
    Access(access::Args),
    /// Lists the people who have signed in; blocks, deletes, exports them
    Users(users::Args),
    /// Lists and ends the sessions of browsers
    Sessions(sessions::Args),
    /// Creates, lists and revokes API tokens
    Tokens(tokens::Args),
    /// Prints what a proxy needs to ask Doorward about each request to an app
    ProxyConfig(proxy_config::Args),
    /// Lists and rotates the keys that sign assertions for apps, and those that seal sign-ins under way
    Keys(keys::Args),
    /// Lists what happened: sign-ins, refusals, sign-outs, changes
    Audit(audit::Args),
    /// Takes the pages' templates out, to be made one's own
    Pages(pages::Args),
    /// Signs this terminal in to a site, by a code typed in a browser
    Login(terminal::Login),
    /// Shows who this terminal is signed in as
    Me(terminal::Me),
    /// Signs this terminal out and revokes its token
    Logout(terminal::Logout),
    /// Prints the OpenAPI document
    Openapi(openapi::Args),
    /// Prints what a shell needs to complete commands of Doorward
    Completions(completions::Args),
    /// Prints the manual page, or writes one for each command
    Manual(completions::Manual),
}

/// Does what the command line says, in the environment given; both as the system hands them over.
pub fn main(
    arguments: impl IntoIterator<Item = OsString>,
    environment: impl IntoIterator<Item = (OsString, OsString)>,
) -> ExitCode {
    let cli = match Cli::try_parse_from(arguments) {
        Ok(cli) => cli,
        Err(error) => {
            // Help and version are answers, not errors; a closed pipe is nobody's fault.
            let _ = error.print();
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(failure::USAGE));
        }
    };
    let ran = run(cli.command, Context::new(cli.flags, environment));
    crate::logging::flush();
    match ran {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            talk(&failure.to_string());
            ExitCode::from(failure.code)
        }
    }
}

/// How many threads answer requests: one processor is left to the database and to whoever else has work here. A thread
/// more than can run takes the requests that should have asked the database together, and wakes the others to share them.
fn workers() -> usize {
    std::thread::available_parallelism().map_or(1, |processors| processors.get().saturating_sub(1).max(1))
}

fn run(command: Option<Command>, context: Context) -> Result<(), Failure> {
    // One TLS provider for every crate, in place before the first of them looks for it. It is refused only where one
    // is in place already, which can only be the same.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(workers()).enable_all().build();
    let runtime = runtime.map_err(|error| Failure::not_so(format!("the threads could not be started: {error}")))?;
    runtime.block_on(async {
        match command {
            None => serve::run(serve::Args::default(), context).await,
            Some(Command::Serve(args)) => serve::run(args, context).await,
            Some(Command::Demo(args)) => demo::run(args, context).await,
            Some(Command::Init(args)) => init::run(args, context).await,
            Some(Command::Config(args)) => config::run(args, context).await,
            Some(Command::Doctor(args)) => doctor::run(args, context).await,
            Some(Command::Healthcheck(args)) => healthcheck::run(args, context).await,
            Some(Command::Migrate(args)) => migrate::run(args, context).await,
            Some(Command::Access(args)) => access::run(args, context).await,
            Some(Command::Audit(args)) => audit::run(args, context).await,
            Some(Command::Users(args)) => users::run(args, context).await,
            Some(Command::Sessions(args)) => sessions::run(args, context).await,
            Some(Command::Tokens(args)) => tokens::run(args, context).await,
            Some(Command::Keys(args)) => keys::run(args, context).await,
            Some(Command::ProxyConfig(args)) => proxy_config::run(args, context).await,
            Some(Command::Pages(args)) => pages::run(args, context).await,
            Some(Command::Login(args)) => terminal::login(args, context).await,
            Some(Command::Me(args)) => terminal::me(args, context).await,
            Some(Command::Logout(args)) => terminal::logout(args, context).await,
            Some(Command::Openapi(args)) => openapi::run(args, context).await,
            Some(Command::Completions(args)) => completions::run(&args),
            Some(Command::Manual(args)) => completions::manual(&args),
        }
    })
}
