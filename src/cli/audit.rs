//! `doorward audit`: what happened to people's access, the newest first.

use std::time::Duration;

use serde_json::{Value, json};

use crate::cli::context::Context;
use crate::cli::database;
use crate::cli::failure::Failure;
use crate::cli::output::{print, talk};
use crate::cli::table::{self, Table};
use crate::clock::{Clock, SystemClock};
use crate::model::{EventKind, Recorded, UserId};
use crate::store::EventFilter;

/// `doorward audit`
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Only what is about this person; an id need not be a user's any more
    #[arg(long, value_name = "ID_OR_EMAIL")]
    user: Option<String>,
    /// Only what is of this kind
    #[arg(long, value_name = "KIND", value_parser = kind)]
    event: Option<EventKind>,
    /// Only the last while, such as 2h or 7d
    #[arg(long, value_name = "DURATION", value_parser = while_ago)]
    since: Option<Duration>,
    /// Only what came before this number: where a listing that was not all goes on
    #[arg(long, value_name = "NUMBER", value_parser = |text: &str| table::number(text, u64::MAX))]
    before: Option<u64>,
    /// How many to list at the most
    #[arg(long, default_value_t = 100, value_name = "N", value_parser = table::limit)]
    limit: u32,
    /// Prints JSON instead of a table
    #[arg(long)]
    json: bool,
}

fn kind(text: &str) -> Result<EventKind, String> {
    let all: Vec<_> = EventKind::ALL.into_iter().map(EventKind::word).collect();
    EventKind::named(text).ok_or_else(|| format!("not a kind; the kinds are {}", all.join(", ")))
}

fn while_ago(text: &str) -> Result<Duration, String> {
    humantime::parse_duration(text).map_err(|_| "not a duration; write 2h or 7d".to_owned())
}

/// Runs `doorward audit`.
pub async fn run(args: Args, context: Context) -> Result<(), Failure> {
    let opened = database::open(&context).await?;
    let listed = list(&opened, &args).await;
    opened.close().await;
    let events = listed?;
    if args.json {
        print(&table::json(&events.iter().map(described).collect::<Vec<_>>()))?;
    } else {
        print(&tabulated(&events).render())?;
    }
    if let (Some(user), true) = (&args.user, events.is_empty()) {
        let user = table::harmless(user);
        talk(&format!(
            "nothing like that is on record about {user}; `doorward audit` shows the ids of all in the column USER"
        ));
    }
    if let Some(last) = events.last().filter(|_| events.len() == args.limit as usize) {
        talk(&format!("there may be more: --before {} goes on from here", last.number));
    }
    Ok(())
}

async fn list(opened: &database::Opened, args: &Args) -> Result<Vec<Recorded>, Failure> {
    let user = match &args.user {
        Some(text) if text.contains('@') => Some(opened.the_user(text).await?.id),
        // Whoever was refused, or deleted, is nobody's row and still of interest.
        Some(text) => Some(UserId::new(text.as_str())),
        None => None,
    };
    let since = args.since.map(|since| SystemClock.now() - since);
    let filter = EventFilter { user, kind: args.event, since, before: args.before };
    Ok(opened.audit.list(&filter, args.limit).await?)
}

fn tabulated(events: &[Recorded]) -> Table {
    let mut table = Table::new(&["NUMBER", "WHEN", "EVENT", "USER", "BY", "ADDRESS", "REQUEST", "REASON", "DETAIL"]);
    for Recorded { number, event } in events {
        table.push([
            number.to_string(),
            event.at.to_string(),
            event.kind.word().to_owned(),
            event.user_id.as_ref().map(ToString::to_string).unwrap_or_default(),
            event.origin.actor.word().to_owned(),
            event.origin.address.clone(),
            event.origin.request_id.clone(),
            event.reason.clone(),
            event.detail.clone(),
        ]);
    }
    table
}

/// An event as JSON.
pub fn described(recorded: &Recorded) -> Value {
    let Recorded { number, event } = recorded;
    json!({
        "number": number,
        "at": event.at.to_string(),
        "event": event.kind.word(),
        "user_id": event.user_id.as_ref().map(UserId::as_str),
        "by": event.origin.actor.word(),
        "address": event.origin.address,
        "request_id": event.origin.request_id,
        "reason": event.reason,
        "detail": event.detail,
    })
}
