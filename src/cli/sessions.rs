//! `doorward sessions`: which browsers are signed in, and ending that. A session that is revoked here is refused by
//! every running instance on its next request.

use clap::Subcommand;
use serde_json::{Value, json};

use crate::cli::context::Context;
use crate::cli::database;
use crate::cli::failure::Failure;
use crate::cli::output::{print, talk};
use crate::cli::table::{self, Table};
use crate::model::Session;

/// `doorward sessions …`
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Lists the sessions that have not ended, the newest first
    List {
        /// Only those of this user
        #[arg(long, value_name = "ID_OR_EMAIL")]
        user: Option<String>,
        /// Prints JSON instead of a table
        #[arg(long)]
        json: bool,
        /// How many to list at the most
        #[arg(long, default_value_t = 1000, value_name = "N")]
        limit: u32,
    },
    /// Ends a session, or all sessions of a user
    #[command(group = clap::ArgGroup::new("which").required(true))]
    Revoke {
        /// The session's id, as `sessions list` prints it
        #[arg(group = "which")]
        id: Option<String>,
        /// Ends all sessions of this user
        #[arg(long, group = "which", value_name = "ID_OR_EMAIL")]
        user: Option<String>,
    },
}

/// Runs `doorward sessions …`.
pub async fn run(args: Args, context: Context) -> Result<(), Failure> {
    let opened = database::open(&context).await?;
    let done = match args.command {
        Command::List { user, json, limit } => list(&opened, user.as_deref(), json, limit).await,
        Command::Revoke { id: Some(id), .. } => revoke(&opened, &id).await,
        Command::Revoke { user, .. } => revoke_all(&opened, user.as_deref().unwrap_or_default()).await,
    };
    opened.close().await;
    done
}

async fn list(opened: &database::Opened, user: Option<&str>, json: bool, limit: u32) -> Result<(), Failure> {
    let user = match user {
        Some(text) => Some(opened.the_user(text).await?.id),
        None => None,
    };
    let sessions = opened.sessions.list(user.as_ref(), limit).await?;
    if json {
        return print(&table::json(&sessions.iter().map(described).collect::<Vec<_>>()));
    }
    let mut table = Table::new(&["ID", "USER", "SIGNED IN", "LAST SEEN", "ENDS", "ADDRESS", "BROWSER"]);
    for session in &sessions {
        table.push([
            session.handle.short(),
            session.user_id.to_string(),
            session.created_at.to_string(),
            session.last_seen_at.to_string(),
            session.expires_at.to_string(),
            session.address.clone(),
            session.user_agent.clone(),
        ]);
    }
    print(&table.render())
}

async fn revoke(opened: &database::Opened, id: &str) -> Result<(), Failure> {
    if opened.sessions.end_named(id).await? == 0 {
        let message = format!("no session has the id {}", table::harmless(id));
        return Err(Failure::not_so(message).hint("`doorward sessions list` prints the ids"));
    }
    talk("the session is ended");
    Ok(())
}

async fn revoke_all(opened: &database::Opened, text: &str) -> Result<(), Failure> {
    let user = opened.the_user(text).await?;
    let count = opened.sessions.end_all(&user.id).await?;
    talk(&format!("sessions of {} ended: {count}", table::harmless(&user.identity.email)));
    Ok(())
}

/// A session as JSON.
pub fn described(session: &Session) -> Value {
    json!({
        "id": session.handle.short(),
        "user_id": session.user_id.as_str(),
        "created_at": session.created_at.to_string(),
        "last_seen_at": session.last_seen_at.to_string(),
        "expires_at": session.expires_at.to_string(),
        "address": session.address,
        "user_agent": session.user_agent,
    })
}
