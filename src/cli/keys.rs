//! `doorward keys`: the keys that sign assertions for the apps behind the gate, and those that seal sign-ins under way.
//! Instances that run read a new key within a minute, apps read theirs from `/.well-known/jwks.json`.

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
use crate::login::sealing::{SealingKeyStatus, SealingKeys};
use crate::random::OsRandom;
use crate::store::Store;

/// By how many seconds clocks may differ where a key is made that others read before it is used.
const MOST_SKEW: u64 = 60;

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
        /// The keys that seal sign-ins under way, in place of those that sign
        #[arg(long)]
        sealing: bool,
    },
    /// Makes a new key: one that signs, in use after ten minutes, while the one before stays published for a week; or, with
    /// --sealing, one that seals
    Rotate {
        /// Lets it sign at once: apps that have not read it yet refuse what it signs until they do
        #[arg(long)]
        now: bool,
        /// A key that seals sign-ins under way, in place of one that signs: it seals in three minutes, and the one
        /// before opens what was begun until then; with --now, whoever is signing in has to begin again
        #[arg(long)]
        sealing: bool,
    },
}

/// Runs `doorward keys …`.
pub async fn run(args: Args, context: Context) -> Result<(), Failure> {
    let (config, store) = database::unprepared(&context)?;
    let issuer = config.provider.as_ref().map(|provider| provider.issuer.as_str());
    let prepared = store.prepare(issuer).await.map_err(Failure::from);
    let assertions = Assertions::new(Arc::clone(&store), Arc::new(SystemClock), config.public_url.to_string());
    let sealing = SealingKeys::new(Arc::clone(&store), Arc::new(SystemClock), Arc::new(OsRandom));
    let done = match (prepared, args.command) {
        (Err(failure), _) => Err(failure),
        (Ok(()), Command::List { json, sealing: false }) => list(&assertions, json).await,
        (Ok(()), Command::List { json, sealing: true }) => list_sealing(&sealing, json).await,
        (Ok(()), Command::Rotate { now, sealing: is_sealing }) => match told_the_time(&*store, now).await {
            Err(failure) => Err(failure),
            Ok(()) if is_sealing => rotate_sealing(&sealing, now).await,
            Ok(()) => rotate(&assertions, now).await,
        },
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

/// By a clock that is behind, a key is in use before instances have read it, and the one before it is given up too early.
async fn told_the_time(store: &dyn Store, at_once: bool) -> Result<(), Failure> {
    if at_once {
        return Ok(());
    }
    // A host that cannot be looked at tells no time; where none can, the rotation itself fails and says why.
    let looked_at = store.examine().await;
    let apart = looked_at.iter().filter_map(|at| at.found.as_ref().ok()?.ahead).map(i64::unsigned_abs);
    let seconds = apart.max().unwrap_or_default();
    if seconds <= MOST_SKEW {
        return Ok(());
    }
    let message = format!(
        "this machine's clock and the database's are {seconds} seconds apart, and a new key is in use by the clock"
    );
    Err(Failure::not_so(message).hint("set both by NTP (timedatectl set-ntp true), or run this on another machine"))
}

async fn list_sealing(keys: &SealingKeys, json: bool) -> Result<(), Failure> {
    let keys = keys.list().await?;
    if json {
        let described = |key: &SealingKeyStatus| {
            json!({
                "id": key.id,
                "created_at": key.created_at.to_string(),
                "seals_from": key.seals_from.to_string(),
                "is_sealing": key.is_sealing,
            })
        };
        return print(&table::json(&keys.iter().map(described).collect::<Vec<_>>()));
    }
    let mut table = Table::new(&["ID", "CREATED", "SEALS FROM", "SEALING"]);
    for key in &keys {
        let is_sealing = if key.is_sealing { "yes" } else { "no" };
        table.push([key.id.to_string(), key.created_at.to_string(), key.seals_from.to_string(), is_sealing.to_owned()]);
    }
    print(&table.render())
}

async fn rotate_sealing(keys: &SealingKeys, at_once: bool) -> Result<(), Failure> {
    let key = keys.rotate(at_once).await?;
    talk(&if at_once {
        "the new key seals; instances that run read it within a minute, and whoever is signing in begins again"
            .to_owned()
    } else {
        format!("the new key seals from {}; the one before opens what was begun until then", key.seals_from)
    });
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
