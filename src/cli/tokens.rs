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
use crate::model::{EventKind, Origin, Scope, Token};

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
        /// Only those that come after this one: where a listing that was not all of them goes on
        #[arg(long, value_name = "ID")]
        after: Option<String>,
        /// How many to list at the most
        #[arg(long, default_value_t = 1000, value_name = "N", value_parser = table::limit)]
        limit: u32,
    },
    /// Revokes a token, or all of a user, at once and on every instance
    #[command(group = clap::ArgGroup::new("which").required(true))]
    Revoke {
        /// The token's id, as `tokens list` prints it
        #[arg(group = "which")]
        id: Option<String>,
        /// Revokes all tokens of this user
        #[arg(long, group = "which", value_name = "ID_OR_EMAIL")]
        user: Option<String>,
        /// Revokes everybody's tokens: after a backup was restored, in which tokens stand that were revoked since
        #[arg(long, group = "which")]
        all: bool,
        /// With --all: revokes them without asking back
        #[arg(long, requires = "all")]
        yes: bool,
        /// Prints JSON instead of a sentence
        #[arg(long)]
        json: bool,
    },
}

fn life(text: &str) -> Result<Duration, String> {
    let life = humantime::parse_duration(text).map_err(|_| "not a duration; write 12h or 90d".to_owned())?;
    match life {
        life if life < Duration::from_secs(60) => Err("shorter than a minute; write 12h or 90d".to_owned()),
        life if life > LONGEST => Err("longer than ten years; write 90d, and make a new token in time".to_owned()),
        life => Ok(life),
    }
}

fn scope(text: &str) -> Result<Scope, String> {
    let words = Scope::ALL.map(Scope::as_str).join(", ");
    Scope::named(text).ok_or_else(|| format!("not a scope; write one of {words}"))
}

fn name(text: &str) -> Result<String, String> {
    let name = text.trim();
    match name.chars().count() {
        0 => Err("empty; write a name that tells this token from the others".to_owned()),
        length if length > LONGEST_NAME => Err(format!("longer than {LONGEST_NAME} characters; write a shorter one")),
        _ if name.chars().any(char::is_control) => {
            Err("with control characters in it; write it on one line".to_owned())
        }
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
        Command::List { user, json, after, limit } => {
            list(&opened, user.as_deref(), json, (after.as_deref(), limit)).await
        }
        Command::Revoke { id: Some(id), json, .. } => revoke(&opened, &id, json).await,
        Command::Revoke { all: true, yes, json, .. } => revoke_everybodys(&opened, yes, json).await,
        Command::Revoke { user, json, .. } => revoke_all(&opened, user.as_deref().unwrap_or_default(), json).await,
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
    if user.blocked_at.is_some() {
        let (email, id) = (table::harmless(&user.identity.email), table::harmless(user.id.as_str()));
        let failure = Failure::not_so(format!("{email} is blocked, and a token of theirs would admit nobody"));
        return Err(failure.hint(format!("`doorward users unblock {id}` lets them in again")));
    }
    let id = user.id.clone();
    let (value, token) = opened.tokens.create(user.id, name, scope, life).await?;
    let made = token.hash.short();
    opened.audit.note(EventKind::TokenCreated, Some(&id), &Origin::operator(), "", &made).await;
    if json {
        let mut described = described(&token);
        described["token"] = json!(value.reveal());
        return print(&format!("{described}\n"));
    }
    let email = table::harmless(&user.identity.email);
    talk(&format!("a token for {email}, until {}; it is shown only now", token.expires_at));
    print(&format!("{}\n", value.reveal()))
}

async fn list(
    opened: &Opened,
    user: Option<&str>,
    json: bool,
    (after, limit): (Option<&str>, u32),
) -> Result<(), Failure> {
    let user = match user {
        Some(text) => Some(opened.the_user(text).await?.id),
        None => None,
    };
    let after = match after {
        Some(id) => Some(the_token(opened, id).await?),
        None => None,
    };
    // One more tells whether there are more.
    let mut tokens = opened.tokens.list_after(user.as_ref(), after.as_ref(), limit.saturating_add(1)).await?;
    let has_more = tokens.len() > limit as usize;
    tokens.truncate(limit as usize);
    if json {
        print(&table::json(&tokens.iter().map(described).collect::<Vec<_>>()))?;
    } else {
        print(&tabulated(&tokens).render())?;
    }
    if let Some(last) = tokens.last().filter(|_| has_more) {
        let last = last.hash.short();
        talk(&format!("there are more: --after {last} goes on from here, --limit N lists more at once"));
    }
    Ok(())
}

fn tabulated(tokens: &[Token]) -> Table {
    let mut table = Table::new(&["ID", "USER", "NAME", "SCOPE", "TOKEN", "CREATED", "EXPIRES", "LAST USED"]);
    for token in tokens {
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
    table
}

/// The one token that `id` names.
async fn the_token(opened: &Opened, id: &str) -> Result<Token, Failure> {
    opened.tokens.named(id).await?.pop().ok_or_else(|| {
        let message = format!("no token has the id {}", table::harmless(id));
        Failure::not_so(message).hint("`doorward tokens list` prints the ids")
    })
}

async fn revoke(opened: &Opened, id: &str, json: bool) -> Result<(), Failure> {
    let token = the_token(opened, id).await?;
    if opened.tokens.revoke_named(id).await? > 0 {
        let (user, origin, id) = (Some(&token.user_id), Origin::operator(), token.hash.short());
        opened.audit.note(EventKind::TokenRevoked, user, &origin, "", &id).await;
    }
    if json {
        return print(&format!("{}\n", json!({"revoked": 1})));
    }
    talk("the token is revoked");
    Ok(())
}

async fn revoke_all(opened: &Opened, text: &str, json: bool) -> Result<(), Failure> {
    let user = opened.the_user(text).await?;
    let revoked = opened.tokens.revoke_all(&user.id).await?;
    if revoked > 0 {
        opened.audit.note(EventKind::TokenRevoked, Some(&user.id), &Origin::operator(), "", "all").await;
    }
    if json {
        return print(&format!("{}\n", json!({"revoked": revoked})));
    }
    talk(&format!("tokens of {} revoked: {revoked}", table::harmless(&user.identity.email)));
    Ok(())
}

async fn revoke_everybodys(opened: &Opened, is_meant: bool, json: bool) -> Result<(), Failure> {
    if !is_meant {
        let message = "this would end the access of every program that comes with a token";
        return Err(Failure::not_so(message).hint("the same with --yes does it"));
    }
    let revoked = opened.tokens.revoke_everybodys().await?;
    opened.audit.note(EventKind::TokenRevoked, None, &Origin::operator(), "", "all").await;
    if json {
        return print(&format!("{}\n", json!({"revoked": revoked})));
    }
    talk(&format!("tokens revoked: {revoked}; each program needs a new one"));
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
