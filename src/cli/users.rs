//! `doorward users`: who has signed in. Reads the database, whether or not a server runs beside it.

use clap::Subcommand;
use serde_json::{Value, json};

use crate::cli::context::Context;
use crate::cli::database::{self, Opened};
use crate::cli::failure::Failure;
use crate::cli::output::{print, talk};
use crate::cli::table::{self, Table};
use crate::model::{User, UserId};

/// How many rows one question to the database brings.
const PAGE: u32 = 500;

/// `doorward users …`
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Lists the people who have signed in, in the order of their ids
    List {
        /// Prints JSON instead of a table
        #[arg(long)]
        json: bool,
        /// How many to list at the most
        #[arg(long, default_value_t = 1000, value_name = "N")]
        limit: usize,
    },
}

/// Runs `doorward users …`.
pub async fn run(args: Args, context: Context) -> Result<(), Failure> {
    let Command::List { json, limit } = args.command;
    let opened = database::open(&context).await?;
    let listed = list(&opened, limit).await;
    opened.close().await;
    let (users, is_all) = listed?;
    if json {
        print(&table::json(&users.iter().map(described).collect::<Vec<_>>()))?;
    } else {
        print(&tabulated(&users).render())?;
    }
    if !is_all {
        talk(&format!("only the first {limit} are listed; --limit N lists more"));
    }
    Ok(())
}

/// At most `limit` users, and whether that is all of them.
async fn list(opened: &Opened, limit: usize) -> Result<(Vec<User>, bool), Failure> {
    let mut users: Vec<User> = Vec::new();
    loop {
        let after: Option<&UserId> = users.last().map(|user| &user.id);
        let page = opened.users.list(after, PAGE).await?;
        let is_last = page.len() < PAGE as usize;
        users.extend(page);
        if users.len() > limit {
            users.truncate(limit);
            return Ok((users, false));
        }
        if is_last {
            return Ok((users, true));
        }
    }
}

fn tabulated(users: &[User]) -> Table {
    let mut table = Table::new(&["ID", "EMAIL", "NAME", "PROVIDER", "FIRST SIGN-IN", "LAST SIGN-IN", "BLOCKED"]);
    for user in users {
        let identity = &user.identity;
        table.push([
            user.id.to_string(),
            identity.email.clone(),
            identity.name.clone().unwrap_or_default(),
            identity.provider.clone(),
            user.created_at.to_string(),
            user.last_login_at.to_string(),
            user.blocked_at.map(|since| since.to_string()).unwrap_or_default(),
        ]);
    }
    table
}

/// A user as JSON: the words of `/api/me`, and what only the operator sees.
fn described(user: &User) -> Value {
    let identity = &user.identity;
    json!({
        "id": user.id.as_str(),
        "email": identity.email,
        "email_verified": identity.email_verified,
        "name": identity.name,
        "picture": identity.picture,
        "provider": identity.provider,
        "issuer": identity.issuer,
        "hosted_domain": identity.hosted_domain,
        "created_at": user.created_at.to_string(),
        "last_login_at": user.last_login_at.to_string(),
        "blocked_at": user.blocked_at.map(|since| since.to_string()),
    })
}
