//! `doorward users`: who has signed in; keeping people out, and forgetting them. Works beside a running server: what is
//! changed here holds on every instance from its next request on.

use clap::Subcommand;
use serde_json::{Value, json};

use crate::cli::context::Context;
use crate::cli::database::{self, Opened};
use crate::cli::failure::Failure;
use crate::cli::output::{print, talk};
use crate::cli::table::{self, Table, harmless};
use crate::cli::{access, audit, sessions, tokens};
use crate::model::{Origin, User, UserId};
use crate::store::Deleted;
use crate::users::Filter;

/// How many sessions, tokens and events of one person are exported at the most.
const MOST_EXPORTED: u32 = 100_000;

/// `doorward users …`
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Lists the people who have signed in, in the order of their ids
    List(List),
    /// Shows one person: what the provider said, how many sessions and tokens there are
    Show {
        /// Who
        #[arg(value_name = "ID_OR_EMAIL")]
        user: String,
        /// Prints JSON instead of lines
        #[arg(long)]
        json: bool,
    },
    /// Keeps a person out from now on and ends their sessions and tokens
    Block {
        /// Who
        #[arg(value_name = "ID_OR_EMAIL")]
        user: String,
        /// Why, for the record
        #[arg(long, value_name = "TEXT", default_value = "")]
        note: String,
        /// Prints JSON instead of a sentence
        #[arg(long)]
        json: bool,
    },
    /// Lets a person in again who was blocked, even if their account was deleted since
    Unblock {
        /// Who; a deleted person by the id alone
        #[arg(value_name = "ID_OR_EMAIL")]
        user: String,
        /// Prints JSON instead of a sentence
        #[arg(long)]
        json: bool,
    },
    /// Forgets a person: identity, sessions, tokens, record; a block stays
    ///
    /// The row in the table of users is treated as [users] on_delete says. Of somebody who was only ever refused, the record
    /// is all there is; name them by the id that `doorward audit` shows.
    Delete {
        /// Who
        #[arg(value_name = "ID_OR_EMAIL")]
        user: String,
        /// Does it without asking back; nothing brings it back
        #[arg(long)]
        yes: bool,
        /// Prints JSON instead of a sentence
        #[arg(long)]
        json: bool,
    },
    /// Prints all that is kept about a person, as JSON; somebody who was only ever refused by the id in the record
    Export {
        /// Who
        #[arg(value_name = "ID_OR_EMAIL")]
        user: String,
    },
}

#[derive(Debug, clap::Args)]
struct List {
    /// Only those with this address
    #[arg(long, value_name = "ADDRESS", value_parser = access::address)]
    email: Option<String>,
    /// Only those with an address at this domain; reads everybody's
    #[arg(long, value_name = "DOMAIN", value_parser = access::hosted_domain)]
    domain: Option<String>,
    /// Only those of this Workspace domain, as Google signed it; reads everybody's
    #[arg(long, value_name = "DOMAIN", value_parser = access::hosted_domain)]
    hosted_domain: Option<String>,
    /// Only those who are blocked
    #[arg(long)]
    blocked: bool,
    /// Only those whose ids come after this one: where a listing that was not all of them goes on
    #[arg(long, value_name = "ID")]
    after: Option<String>,
    /// How many to list at the most
    #[arg(long, default_value_t = 1000, value_name = "N", value_parser = table::limit)]
    limit: u32,
    /// Prints JSON instead of a table
    #[arg(long)]
    json: bool,
}

/// Runs `doorward users …`.
pub async fn run(args: Args, context: Context) -> Result<(), Failure> {
    let opened = database::open(&context).await?;
    let done = match args.command {
        Command::List(which) => list(&opened, which).await,
        Command::Show { user, json } => show(&opened, &user, json).await,
        Command::Block { user, note, json } => block(&opened, &user, &note, json).await,
        Command::Unblock { user, json } => unblock(&opened, &user, json).await,
        Command::Delete { user, yes, json } => delete(&opened, &user, yes, json).await,
        Command::Export { user } => export(&opened, &user).await,
    };
    opened.close().await;
    done
}

async fn list(opened: &Opened, which: List) -> Result<(), Failure> {
    let List { email, domain, hosted_domain, blocked, after, limit, json } = which;
    let filter = Filter { email, domain, hosted_domain, is_blocked: blocked };
    let after = after.map(UserId::new);
    let (users, has_more) = opened.users.list(&filter, after.as_ref(), limit as usize).await?;
    if json {
        print(&table::json(&users.iter().map(described).collect::<Vec<_>>()))?;
    } else {
        print(&tabulated(&users).render())?;
    }
    if let Some(last) = users.last().filter(|_| has_more) {
        let last = harmless(last.id.as_str());
        talk(&format!("there are more: --after {last} goes on from here, --limit N lists more at once"));
    }
    Ok(())
}

async fn show(opened: &Opened, text: &str, json: bool) -> Result<(), Failure> {
    let user = opened.the_user(text).await?;
    let sessions = opened.sessions.list(Some(&user.id), MOST_EXPORTED).await?.len();
    let tokens = opened.tokens.list(Some(&user.id), MOST_EXPORTED).await?.len();
    let mut shown = described(&user);
    shown["sessions"] = json!(sessions);
    shown["tokens"] = json!(tokens);
    if json {
        return print(&format!("{shown}\n"));
    }
    let mut text = String::new();
    for (name, value) in shown.as_object().into_iter().flatten() {
        let value = value.as_str().map_or_else(|| value.to_string(), harmless);
        let value = if value == "null" { "–".to_owned() } else { value };
        text.push_str(&format!("{name:14} {value}\n"));
    }
    print(&text)
}

/// The id that `text` means: one user's, or, where nobody is found, itself, since a person whose row the site deleted, or
/// who was deleted here, is still known by it.
async fn id_of(opened: &Opened, text: &str) -> Result<(UserId, Option<User>), Failure> {
    match opened.users.meant_by(text).await?.is_empty() && !text.contains('@') {
        true => Ok((UserId::new(text), None)),
        false => opened.the_user(text).await.map(|user| (user.id.clone(), Some(user))),
    }
}

fn unknown(text: &str) -> Failure {
    let message = format!("nobody who has signed in has the id or the email {}", harmless(text));
    Failure::not_so(message)
        .hint("`doorward users list` prints both; of somebody who was only refused `doorward audit` shows the id")
}

async fn block(opened: &Opened, text: &str, note: &str, json: bool) -> Result<(), Failure> {
    let (id, user) = id_of(opened, text).await?;
    let ended = opened.users.block(&id, &Origin::operator(), note).await?.ok_or_else(|| unknown(text))?;
    if json {
        let done = json!({
            "id": id.as_str(), "blocked": true, "sessions_ended": ended.sessions, "tokens_revoked": ended.tokens,
        });
        return print(&format!("{done}\n"));
    }
    let was = if user.is_some_and(|user| user.blocked_at.is_some()) { "was blocked already" } else { "is blocked" };
    talk(&format!(
        "{} {was}; sessions ended: {}, tokens revoked: {}",
        harmless(id.as_str()),
        ended.sessions,
        ended.tokens
    ));
    Ok(())
}

async fn unblock(opened: &Opened, text: &str, json: bool) -> Result<(), Failure> {
    let (id, _) = id_of(opened, text).await?;
    let id_text = harmless(id.as_str());
    if !opened.users.unblock(&id, opened.issuer.as_deref(), &Origin::operator()).await? {
        let failure = Failure::not_so(format!("{id_text} is not blocked by `doorward users block`"));
        return Err(failure.hint("`doorward access explain --email ADDRESS` tells whether [access] keeps them out"));
    }
    if json {
        return print(&format!("{}\n", json!({"id": id.as_str(), "blocked": false})));
    }
    talk(&format!("{id_text} may sign in again; sessions and tokens that ended stay ended"));
    Ok(())
}

async fn delete(opened: &Opened, text: &str, is_meant: bool, json: bool) -> Result<(), Failure> {
    let (id, user) = id_of(opened, text).await?;
    if user.is_none() && opened.audit.of(&id, 1).await?.is_empty() {
        return Err(unknown(text));
    }
    let id_text = harmless(id.as_str());
    let on_delete = opened.users.on_delete().word();
    if !is_meant {
        let message = format!(
            "this would forget {id_text} for good: identity, sessions, tokens and record; users.on_delete is \
             {on_delete:?} for the row in the table of users"
        );
        return Err(Failure::not_so(message).hint("the same with --yes does it"));
    }
    match opened.users.delete(&id, &Origin::operator()).await? {
        Deleted::Done if json => {
            print(&format!("{}\n", json!({"id": id.as_str(), "deleted": true, "on_delete": on_delete})))
        }
        Deleted::Done => {
            talk(&format!("{id_text} is forgotten; the row in the table of users: {on_delete}"));
            Ok(())
        }
        Deleted::Unknown => match opened.users.forget_stranger(&id).await? {
            0 => Err(unknown(text)),
            events if json => print(&format!("{}\n", json!({"id": id.as_str(), "deleted": true, "events": events}))),
            events => {
                talk(&format!("{id_text} is no user; that they were refused is forgotten, events: {events}"));
                Ok(())
            }
        },
        Deleted::Held(why) => {
            let message = format!("{id_text} was not deleted, and nothing was changed: {why} stands in the way");
            Err(Failure::not_so(message)
                .hint("delete what refers to the row first, or set [users] on_delete to \"anonymise\" or \"keep\""))
        }
    }
}

async fn export(opened: &Opened, text: &str) -> Result<(), Failure> {
    let (id, user) = id_of(opened, text).await?;
    let of_user = Some(&id);
    let events = opened.audit.of(&id, MOST_EXPORTED).await?;
    if user.is_none() && events.is_empty() {
        return Err(unknown(text));
    }
    let all = json!({
        "user": user.as_ref().map(described),
        "sessions": opened.sessions.list(of_user, MOST_EXPORTED).await?.iter().map(sessions::described).collect::<Vec<_>>(),
        "tokens": opened.tokens.list(of_user, MOST_EXPORTED).await?.iter().map(tokens::described).collect::<Vec<_>>(),
        "events": events.iter().map(audit::described).collect::<Vec<_>>(),
    });
    print(&format!("{all:#}\n"))
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
