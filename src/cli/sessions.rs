//! `doorward sessions`: which browsers are signed in, and ending that. A session that is revoked here is refused by
//! every running instance on its next request.

use std::net::IpAddr;
use std::time::Duration;

use clap::Subcommand;
use serde_json::{Value, json};

use crate::cli::context::Context;
use crate::cli::database::{self, Opened};
use crate::cli::failure::Failure;
use crate::cli::output::{print, talk};
use crate::cli::table::{self, Table};
use crate::model::{EventKind, Origin, Session};
use crate::sessions::Filter;

/// How many sessions are looked at before they are ended.
const AT_ONCE: usize = 500;

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
        #[command(flatten)]
        which: Which,
        /// Only those that come after this one: where a listing that was not all of them goes on
        #[arg(long, value_name = "ID")]
        after: Option<String>,
        /// How many to list at the most
        #[arg(long, default_value_t = 1000, value_name = "N", value_parser = table::limit)]
        limit: u32,
        /// Prints JSON instead of a table
        #[arg(long)]
        json: bool,
    },
    /// Ends a session, or all that the options name
    #[command(group = clap::ArgGroup::new("either").required(true).multiple(true)
        .args(["id", "user", "address", "idle_for", "all"]))]
    Revoke {
        /// The session's id, as `sessions list` prints it
        #[arg(conflicts_with_all = ["user", "address", "idle_for", "all"])]
        id: Option<String>,
        #[command(flatten)]
        which: Which,
        /// Everybody's: after a backup was restored, in which sessions stand that were ended since
        #[arg(long, conflicts_with_all = ["user", "address", "idle_for"])]
        all: bool,
        /// With --all: ends them without asking back
        #[arg(long, requires = "all")]
        yes: bool,
        /// Prints JSON instead of a sentence
        #[arg(long)]
        json: bool,
    },
}

/// What sessions are told apart by; all that is given must hold.
#[derive(Debug, clap::Args)]
struct Which {
    /// Those of this user
    #[arg(long, value_name = "ID_OR_EMAIL")]
    user: Option<String>,
    /// Those that were opened from this address
    #[arg(long, value_name = "ADDRESS", value_parser = address)]
    address: Option<String>,
    /// Those that were not used for this long, such as 12h or 3d
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    idle_for: Option<Duration>,
}

fn address(text: &str) -> Result<String, String> {
    let address: Result<IpAddr, _> = text.parse();
    address
        .map(|address| address.to_string())
        .map_err(|_| "not an address; write it as `sessions list` prints it".to_owned())
}

fn duration(text: &str) -> Result<Duration, String> {
    humantime::parse_duration(text).map_err(|_| "not a duration; write 12h or 3d".to_owned())
}

impl Which {
    async fn filter(self, opened: &Opened) -> Result<Filter, Failure> {
        let user = match self.user {
            Some(text) => Some(opened.the_user(&text).await?.id),
            None => None,
        };
        Ok(Filter { user, address: self.address, idle_for: self.idle_for })
    }
}

/// Runs `doorward sessions …`.
pub async fn run(args: Args, context: Context) -> Result<(), Failure> {
    let opened = database::open(&context).await?;
    let done = match args.command {
        Command::List { which, after, limit, json } => list(&opened, which, after.as_deref(), limit, json).await,
        Command::Revoke { id: Some(id), json, .. } => revoke(&opened, &id, json).await,
        Command::Revoke { all: true, yes, json, .. } => revoke_everybodys(&opened, yes, json).await,
        Command::Revoke { which, json, .. } => revoke_all(&opened, which, json).await,
    };
    opened.close().await;
    done
}

async fn list(opened: &Opened, which: Which, after: Option<&str>, limit: u32, json: bool) -> Result<(), Failure> {
    let filter = which.filter(opened).await?;
    let after = match after {
        Some(id) => Some(the_session(opened, id).await?),
        None => None,
    };
    let (sessions, has_more) = opened.sessions.search(&filter, after.as_ref(), limit as usize).await?;
    if json {
        print(&table::json(&sessions.iter().map(described).collect::<Vec<_>>()))?;
    } else {
        print(&tabulated(&sessions).render())?;
    }
    if let Some(last) = sessions.last().filter(|_| has_more) {
        let last = last.handle.short();
        talk(&format!("there are more: --after {last} goes on from here, --limit N lists more at once"));
    }
    Ok(())
}

fn tabulated(sessions: &[Session]) -> Table {
    let mut table = Table::new(&["ID", "USER", "SIGNED IN", "LAST SEEN", "ENDS", "ADDRESS", "BROWSER"]);
    for session in sessions {
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
    table
}

/// The one session that `id` names.
async fn the_session(opened: &Opened, id: &str) -> Result<Session, Failure> {
    opened.sessions.named(id).await?.pop().ok_or_else(|| {
        let message = format!("no session has the id {}", table::harmless(id));
        Failure::not_so(message).hint("`doorward sessions list` prints the ids")
    })
}

async fn revoke(opened: &Opened, id: &str, json: bool) -> Result<(), Failure> {
    let session = the_session(opened, id).await?;
    end(opened, &session).await?;
    if json {
        return print(&format!("{}\n", json!({"ended": 1})));
    }
    talk("the session is ended");
    Ok(())
}

async fn revoke_all(opened: &Opened, which: Which, json: bool) -> Result<(), Failure> {
    let filter = which.filter(opened).await?;
    let (mut ended, mut after): (usize, Option<Session>) = (0, None);
    loop {
        let (sessions, has_more) = opened.sessions.search(&filter, after.as_ref(), AT_ONCE).await?;
        for session in &sessions {
            ended += usize::from(end(opened, session).await?);
        }
        after = sessions.into_iter().last();
        if !has_more {
            break;
        }
    }
    if json {
        return print(&format!("{}\n", json!({"ended": ended})));
    }
    talk(&format!("sessions ended: {ended}"));
    Ok(())
}

async fn revoke_everybodys(opened: &Opened, is_meant: bool, json: bool) -> Result<(), Failure> {
    if !is_meant {
        let open = opened.sessions.count().await?;
        let message = format!("this would sign everybody out, in all browsers: {open} sessions");
        return Err(Failure::not_so(message).hint("the same with --yes does it"));
    }
    let ended = opened.sessions.end_everybodys().await?;
    opened.audit.note(EventKind::SessionRevoked, None, &Origin::operator(), "", "all").await;
    if json {
        return print(&format!("{}\n", json!({"ended": ended})));
    }
    talk(&format!("sessions ended: {ended}; everybody signs in again"));
    Ok(())
}

async fn end(opened: &Opened, session: &Session) -> Result<bool, Failure> {
    let was_there = opened.sessions.end_listed(session).await?;
    if was_there {
        let (user, origin, id) = (Some(&session.user_id), Origin::operator(), session.handle.short());
        opened.audit.note(EventKind::SessionRevoked, user, &origin, "", &id).await;
    }
    Ok(was_there)
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
