//! `doorward keys`: the keys that sign assertions for the apps behind the gate. Instances that run read a new key within a
//! minute, apps from `/.well-known/jwks.json`.

use std::sync::Arc;

use clap::Subcommand;
use serde_json::{Value, json};

use crate::assertion::{Assertions, KeyStatus};
use crate::cli::context::Context;
use crate::cli::database;
use crate::cli::failure::Failure;
use crate::cli::output::{print, talk};
use crate::cli::table::{self, Table};
use crate::clock::SystemClock;

/// `doorward keys …`
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Lists the keys, the newest first
    List {
        /// Prints JSON instead of a table
        #[arg(long)]
        json: bool,
    },
    /// Makes a new key, which signs in ten minutes; the one before stays published for a week
    Rotate {
        /// Lets it sign at once: apps that have not read it yet refuse what it signs until they do
        #[arg(long)]
        now: bool,
    },
}

/// Runs `doorward keys …`.
pub async fn run(args: Args, context: Context) -> Result<(), Failure> {
    let (config, store) = database::unprepared(&context)?;
    let issuer = config.provider.as_ref().map(|provider| provider.issuer.as_str());
    let prepared = store.prepare(issuer).await.map_err(Failure::from);
    let assertions = Assertions::new(Arc::clone(&store), Arc::new(SystemClock), config.public_url.to_string());
    let done = match (prepared, args.command) {
        (Err(failure), _) => Err(failure),
        (Ok(()), Command::List { json }) => list(&assertions, json).await,
        (Ok(()), Command::Rotate { now }) => rotate(&assertions, now).await,
    };
    store.close().await;
    done
}

async fn list(assertions: &Assertions, json: bool) -> Result<(), Failure> {
    let keys = assertions.list().await?;
    if json {
        return print(&table::json(&keys.iter().map(described).collect::<Vec<_>>()));
    }
    let mut table = Table::new(&["ID", "CREATED", "SIGNS FROM", "SIGNING"]);
    for key in &keys {
        let is_signing = if key.is_signing { "yes" } else { "no" };
        table.push([key.id.clone(), key.created_at.to_string(), key.signs_from.to_string(), is_signing.to_owned()]);
    }
    print(&table.render())
}

async fn rotate(assertions: &Assertions, at_once: bool) -> Result<(), Failure> {
    let key = assertions.rotate(at_once).await?;
    talk(&format!("the new key signs from {}; until then the one before does", key.signs_from));
    print(&format!("{}\n", key.id))
}

fn described(key: &KeyStatus) -> Value {
    json!({
        "id": key.id,
        "created_at": key.created_at.to_string(),
        "signs_from": key.signs_from.to_string(),
        "is_signing": key.is_signing,
    })
}
