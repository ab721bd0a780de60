//! `doorward tokens`: API tokens for people's programs. A token's value is printed once, when it is created, and kept
//! nowhere.

use std::time::Duration;

use clap::Subcommand;
use serde_json::{Value, json};

use crate::cli::context::Context;
use crate::cli::database::{self, Opened};
use crate::cli::failure::Failure;
use crate::cli::output::{print, talk};
use crate::cli::table::{self, Table};
use crate::model::{Scope, Token};

/// The longest a token may live: ten years.
const LONGEST: Duration = Duration::from_secs(3653 * 24 * 60 * 60);

/// What a token may be called, in characters.
const LONGEST_NAME: usize = 100;

/// `doorward tokens …`
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Creates a token and prints it, this once
    Create {
        /// Whose it is
        #[arg(long, value_name = "ID_OR_EMAIL")]
        user: String,
        /// What to call it
        #[arg(long, default_value = "command line", value_parser = name)]
        name: String,
        /// What it may be used for: `me` shows who its user is, `account` reads their sessions and tokens as well
        #[arg(long, default_value = "me", value_parser = scope)]
        scope: Scope,
        /// How long it lives, such as 12h or 90d
        #[arg(long, default_value = "90d", value_name = "DURATION", value_parser = life)]
        expires: Duration,
        /// Prints JSON instead of the bare token
        #[arg(long)]
        json: bool,
    },
    /// Lists the tokens, the newest first
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
    /// Revokes a token at once, on every instance
    Revoke {
        /// The token's id, as `tokens list` prints it
        id: String,
    },
}

fn life(text: &str) -> Result<Duration, String> {
    let life = humantime::parse_duration(text).map_err(|_| "not a duration; write 12h or 90d".to_owned())?;
    match life {
        life if life < Duration::from_secs(60) => Err("shorter than a minute".to_owned()),
        life if life > LONGEST => Err("longer than ten years".to_owned()),
        life => Ok(life),
    }
}

fn scope(text: &str) -> Result<Scope, String> {
    let words = Scope::ALL.map(Scope::as_str).join(", ");
    Scope::named(text).ok_or_else(|| format!("no such scope; there are {words}"))
}

fn name(text: &str) -> Result<String, String> {
    let name = text.trim();
    match name.chars().count() {
        0 => Err("a token needs a name to be told apart by".to_owned()),
        length if length > LONGEST_NAME => Err(format!("longer than {LONGEST_NAME} characters")),
        _ if name.chars().any(char::is_control) => Err("holds control characters".to_owned()),
        _ => Ok(name.to_owned()),
    }
}

/// Runs `doorward tokens …`.
pub async fn run(args: Args, context: Context) -> Result<(), Failure> {
    let opened = database::open(&context).await?;
    let done = match args.command {
        Command::Create { user, name, scope, expires, json } => {
            create(&opened, &user, (name, scope, expires), json).await
        }
        Command::List { user, json, limit } => list(&opened, user.as_deref(), json, limit).await,
        Command::Revoke { id } => revoke(&opened, &id).await,
    };
    opened.close().await;
    done
}

async fn create(
    opened: &Opened,
    user: &str,
    (name, scope, life): (String, Scope, Duration),
    json: bool,
) -> Result<(), Failure> {
    let user = opened.the_user(user).await?;
    let (value, token) = opened.tokens.create(user.id, name, scope, life).await?;
    if json {
        let mut described = described(&token);
        described["token"] = json!(value.reveal());
        return print(&format!("{described}\n"));
    }
    let email = table::harmless(&user.identity.email);
    talk(&format!("a token for {email}, until {}; it is shown only now", token.expires_at));
    print(&format!("{}\n", value.reveal()))
}

async fn list(opened: &Opened, user: Option<&str>, json: bool, limit: u32) -> Result<(), Failure> {
    let user = match user {
        Some(text) => Some(opened.the_user(text).await?.id),
        None => None,
    };
    let tokens = opened.tokens.list(user.as_ref(), limit).await?;
    if json {
        return print(&table::json(&tokens.iter().map(described).collect::<Vec<_>>()));
    }
    let mut table = Table::new(&["ID", "USER", "NAME", "SCOPE", "TOKEN", "CREATED", "EXPIRES", "LAST USED"]);
    for token in &tokens {
        table.push([
            token.hash.short(),
            token.user_id.to_string(),
            token.name.clone(),
            token.scope.to_string(),
            format!("…{}", token.last_four),
            token.created_at.to_string(),
            token.expires_at.to_string(),
            token.last_used_at.map_or_else(|| "never".to_owned(), |used| used.to_string()),
        ]);
    }
    print(&table.render())
}

async fn revoke(opened: &Opened, id: &str) -> Result<(), Failure> {
    if opened.tokens.revoke_named(id).await? == 0 {
        let message = format!("no token has the id {}", table::harmless(id));
        return Err(Failure::not_so(message).hint("`doorward tokens list` prints the ids"));
    }
    talk("the token is revoked");
    Ok(())
}

/// A token as JSON.
pub fn described(token: &Token) -> Value {
    json!({
        "id": token.hash.short(),
        "user_id": token.user_id.as_str(),
        "name": token.name,
        "scope": token.scope.as_str(),
        "last_four": token.last_four,
        "created_at": token.created_at.to_string(),
        "expires_at": token.expires_at.to_string(),
        "last_used_at": token.last_used_at.map(|used| used.to_string()),
    })
}
