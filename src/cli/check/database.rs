//! What the database says, and what Doorward would make in it.

use std::sync::Arc;

use tokio::time::timeout;

use crate::cli::check::{self, Finding, Outcome, PATIENCE, cluster};
use crate::cli::failure::Failure;
use crate::clock::{Clock, SystemClock};
use crate::config::Config;
use crate::config::database::Place;
use crate::login::sealing;
use crate::names::Names;
use crate::random::{self, OsRandom};
use crate::store::examined::{Cluster, Encryption, Examined};
use crate::store::{self, Key, Store, StoreError};

/// By how many seconds our clock and the database's may differ without a word.
const SKEW: u64 = 5;

/// What the database said.
pub struct Seen {
    plan: Result<Vec<String>, Failure>,
    warnings: Vec<String>,
    /// What each host said of itself, by its name.
    examined: Vec<(String, Result<Examined, Failure>)>,
    /// The keys by which a running instance is recognised; none where nothing is ready yet.
    pub keys: Vec<Key>,
}

/// Asks the database of `config`.
pub async fn ask(config: &Config) -> Seen {
    let clock = Arc::new(SystemClock);
    let store = store::open(&config.database, Names::from_system(), clock.clone());
    let issuer = config.provider.as_ref().map(|provider| provider.issuer.as_str());
    let place = place(config);
    let late = || {
        let message = format!("the database gave no answer within {} seconds ({place})", PATIENCE.as_secs());
        Failure::unavailable(message).hint("check host and port under [database]")
    };
    let planned = timeout(PATIENCE, async { store::Result::Ok((store.plan(issuer).await?, store.warnings().await?)) });
    let planned = planned.await;
    let examined = match &planned {
        // What stands in the way of the tables says nothing of the server: it may be looked at all the same.
        Ok(_) => timeout(PATIENCE, store.examine()).await.unwrap_or_default(),
        Err(_) => Vec::new(),
    };
    let examined = examined.into_iter().map(|at| (at.host, at.found.map_err(Failure::from))).collect();
    let seen = match planned {
        Ok(Ok((plan, warnings))) => {
            let keys =
                if plan.is_empty() { keys(&*store, issuer, &*clock).await.unwrap_or_default() } else { Vec::new() };
            Seen { plan: Ok(plan), warnings, examined, keys }
        }
        Ok(Err(error)) => Seen { plan: Err(error.into()), warnings: Vec::new(), examined, keys: Vec::new() },
        Err(_) => Seen { plan: Err(late()), warnings: Vec::new(), examined, keys: Vec::new() },
    };
    // Nothing of ours is open that could lose something.
    let _ = timeout(PATIENCE, store.close()).await;
    seen
}

/// The keys of a database where all is ready; to prepare it once more changes nothing.
async fn keys(store: &dyn Store, issuer: Option<&str>, clock: &dyn Clock) -> Result<Vec<Key>, StoreError> {
    store.prepare(issuer).await?;
    let now = clock.now();
    Ok(sealing::in_use(store.sealing_keys(&random::bytes(&OsRandom), now).await?, now))
}

fn place(config: &Config) -> String {
    match &config.database.place {
        Place::Sqlite(path) => format!("SQLite in {}", path.display()),
        Place::Mysql(place) => format!("{} at {} as {}", place.name, place.whereabouts(), place.user),
    }
}

impl Seen {
    /// What a start would make in it.
    pub fn plan(&self, config: &Config) -> Vec<Finding> {
        let place = place(config);
        let plan = match &self.plan {
            Ok(plan) if plan.is_empty() => Finding::fine(format!("database: {place}: ready")),
            Ok(plan) => {
                let plan = plan.join("\n  ");
                Finding::fine(format!("database: {place}: at the start Doorward will {plan}"))
            }
            // A node without the others refuses with words that say nothing of that.
            Err(failure) => self.trouble().unwrap_or_else(|| failure.clone().into()),
        };
        let failed = |(host, found): &(String, Result<Examined, Failure>)| {
            let failure = found.as_ref().err().filter(|_| self.servers().next().is_some())?;
            let dead = Finding::warning(format!("{host}: {}", failure.message));
            Some(dead.hint("the other hosts stand in for it: bring it back, or take it out of [database]"))
        };
        std::iter::once(plan).chain(self.examined.iter().filter_map(failed)).collect()
    }

    /// The hosts that could be looked at, and what they said.
    fn servers(&self) -> impl Iterator<Item = (&str, &Examined)> {
        self.examined.iter().filter_map(|(host, found)| Some((host.as_str(), found.as_ref().ok()?)))
    }

    /// Why its cluster keeps the server from answering, if it does.
    fn trouble(&self) -> Option<Finding> {
        let mut clusters = self.servers().map(|(_, examined)| examined.cluster.as_ref());
        let trouble = cluster::trouble(clusters.next()??)?;
        // Where another host may be better off, it is not for this one to say.
        clusters.next().is_none().then_some(trouble)
    }

    /// What of the site's own table will be in somebody's way.
    pub fn users_table(&self, config: &Config) -> Vec<Finding> {
        let table = &config.database.users_table;
        match &self.plan {
            Err(_) => vec![Finding::skipped("the database comes first")],
            Ok(_) if self.warnings.is_empty() => {
                vec![Finding::fine(format!("nothing in {table} stands in the way"))]
            }
            Ok(_) => self.warnings.iter().map(Finding::warning).collect(),
        }
    }
}

/// What a start would make in it.
pub fn plan(seen: &check::Seen) -> Vec<Finding> {
    seen.database.as_ref().map_or_else(Vec::new, |database| database.plan(seen.config()))
}

/// What of the site's own table will be in somebody's way.
pub fn users_table(seen: &check::Seen) -> Vec<Finding> {
    seen.database.as_ref().map_or_else(Vec::new, |database| database.users_table(seen.config()))
}

/// Judges what was found, if there is something of the kind; of several hosts each, those together of which the same is to be
/// said. What does not work at one of them is a warning where it works at another, which then serves.
fn judged<T>(
    seen: &check::Seen,
    part: impl Fn(&Examined) -> Option<T>,
    judge: impl Fn(T, &str) -> Finding,
) -> Vec<Finding> {
    let Some(database) = &seen.database else { return Vec::new() };
    let mut found: Vec<(Finding, Vec<&str>)> = Vec::new();
    for (host, examined) in database.servers() {
        let finding = match part(examined) {
            Some(part) => judge(part, &examined.server),
            None => Finding::skipped(format!("{}: there is nothing to look at", examined.server)),
        };
        match found.iter_mut().find(|(same, _)| *same == finding) {
            Some((_, hosts)) => hosts.push(host),
            None => found.push((finding, vec![host])),
        }
    }
    if found.is_empty() {
        return vec![Finding::skipped("the database could not be looked at")];
    }
    if database.examined.len() == 1 {
        return found.into_iter().map(|(finding, _)| finding).collect();
    }
    let works_somewhere = found.iter().any(|(finding, _)| matches!(finding.outcome, Outcome::Fine | Outcome::Warning));
    let told = |(mut finding, hosts): (Finding, Vec<&str>)| {
        finding.found = format!("{}: {}", hosts.join(", "), finding.found);
        if works_somewhere && matches!(finding.outcome, Outcome::Failure(_)) {
            finding.outcome = Outcome::Warning;
        }
        finding
    };
    found.into_iter().map(told).collect()
}

/// Whether the server is new enough.
pub fn version(seen: &check::Seen) -> Vec<Finding> {
    let failed = seen.database.as_ref().and_then(|database| match (&database.plan, &database.examined[..]) {
        // Damage, and whatever else planning did not stumble upon.
        (Ok(_), [(_, Err(failure)), ..]) if database.servers().next().is_none() => Some(failure.clone()),
        _ => None,
    });
    // Where changes are to be made another host is asked.
    let may_be_read_only =
        seen.database.as_ref().is_some_and(|database| database.servers().any(|(_, examined)| !examined.is_read_only));
    if let Some(failure) = failed {
        return vec![failure.into()];
    }
    judged(
        seen,
        |examined| Some(examined.clone()),
        |examined, server| match examined.too_old {
            Some(oldest) => Finding::wrong(format!("{server} is older than Doorward can work with"))
                .hint(format!("{oldest} or later is needed")),
            None if examined.is_read_only && may_be_read_only => {
                Finding::fine(format!("{server}, takes no changes (read_only)"))
            }
            None if examined.is_read_only => Finding::wrong(format!("{server} takes no changes (read_only)")).hint(
                // To end it there would tear the group apart.
                match examined.cluster {
                    Some(Cluster::Group { .. }) => {
                        "name all members of its group in [database] host: whichever is the primary is found"
                    }
                    _ => "name the server that takes them, or end read_only there: SET GLOBAL read_only = OFF",
                },
            ),
            None => Finding::fine(server.to_owned()),
        },
    )
}

/// Whether what is said to the server can be overheard.
pub fn encryption(seen: &check::Seen) -> Vec<Finding> {
    judged(
        seen,
        |examined| examined.encryption.clone(),
        |encryption, _| match encryption {
            Encryption::By(cipher) => Finding::fine(cipher),
            Encryption::NeedsNone => Finding::fine("not encrypted, and does not leave this machine"),
            Encryption::None => {
                Finding::warning("people's names and addresses travel to the database for all on the way to read")
                    .hint("take tls = \"off\" out of [database]; ca_file names the authority where it is your own")
            }
        },
    )
}

/// Whether the account may do what serving and migrating need.
pub fn rights(seen: &check::Seen) -> Vec<Finding> {
    let config = seen.config();
    let is_ready = seen.database.as_ref().is_some_and(|seen| seen.plan.as_ref().is_ok_and(Vec::is_empty));
    let Place::Mysql(place) = &config.database.place else {
        return judged(seen, |_| None::<()>, |(), _| Finding::skipped(""));
    };
    let grant = |rights: &str| {
        let (name, user) = (place.name.replace('`', "``"), &place.user);
        format!("an administrator types: GRANT {rights} ON `{name}`.* TO '{user}'@'…', with the host in place of …")
    };
    judged(
        seen,
        |examined| examined.rights.clone(),
        |rights, _| {
            let (serve, migrate) = (rights.to_serve.join("; "), rights.to_migrate.join(", "));
            if rights.has_roles && !(serve.is_empty() && migrate.is_empty()) {
                return Finding::skipped(format!("{} has roles, whose rights the server does not tell", place.user));
            }
            match (serve.is_empty(), migrate.is_empty()) {
                (false, _) => Finding::wrong(format!("the account {} lacks {serve}", place.user))
                    .hint(grant("SELECT, INSERT, UPDATE, DELETE")),
                (true, false) if is_ready => Finding::fine(format!(
                    "all that serving needs; for `doorward migrate` after an upgrade {} lacks {migrate}",
                    place.user
                )),
                (true, false) => {
                    Finding::wrong(format!("the account {} lacks {migrate}, and tables are missing", place.user)).hint(
                        format!(
                            "{}; or run `doorward migrate` with an account that has them",
                            grant("CREATE, ALTER, INDEX")
                        ),
                    )
                }
                (true, true) => Finding::fine("all that serving and migrating need"),
            }
        },
    )
}

/// How ids are compared: two subjects that differ in case only are two people.
pub fn id(seen: &check::Seen) -> Vec<Finding> {
    let table = &seen.config().database.users_table;
    judged(
        seen,
        |examined| examined.id.clone(),
        |id, _| {
            match &id.collation {
        None => Finding::fine(format!("{table}.id is {}, compared byte by byte", id.type_name)),
        Some((charset, collation)) if collation.ends_with("_bin") => {
            Finding::fine(format!("{table}.id is {} in {charset}, compared by {collation}", id.type_name))
        }
        Some((charset, collation)) => Finding::warning(format!(
            "{table}.id is {} in {charset}, and {collation} takes ids for equal that differ in case or accents: whoever \
             comes second is turned away. Google's ids are digits, so that it does not matter there",
            id.type_name
        ))
        .hint(format!(
            "where nothing of yours needs it: ALTER TABLE `{table}` MODIFY id {} CHARACTER SET {charset} COLLATE \
             {charset}_bin NOT NULL",
            id.type_name
        )),
    }
        },
    )
}

/// Whether the server refuses what does not fit, from everybody.
pub fn strictness(seen: &check::Seen) -> Vec<Finding> {
    judged(
        seen,
        |examined| examined.is_strict,
        |is_strict, _| {
            if is_strict {
                return Finding::fine("the server refuses what does not fit");
            }
            Finding::warning(
            "the server's sql_mode is not strict: Doorward's own connections are, but your programs' values are cut to \
             what fits, without a word",
        )
        .hint("SET GLOBAL sql_mode = CONCAT(@@sql_mode, ',STRICT_TRANS_TABLES'), and the same in the server's file")
        },
    )
}

/// Whether our clocks agree: sessions end by ours, other instances' by theirs.
pub fn clock(seen: &check::Seen) -> Vec<Finding> {
    judged(
        seen,
        |examined| examined.ahead,
        |ahead, _| {
            if ahead.unsigned_abs() <= SKEW {
                return Finding::fine(format!("this machine's clock and the database's are {ahead} seconds apart"));
            }
            Finding::warning(format!(
                "this machine's clock and the database's are {} seconds apart",
                ahead.unsigned_abs()
            ))
            .hint("set both by NTP: timedatectl set-ntp true")
        },
    )
}

/// Who else keeps the data, and whether this one is among them.
pub fn cluster(seen: &check::Seen) -> Vec<Finding> {
    let is_said = seen.database.as_ref().is_some_and(|database| database.plan.is_err() && database.trouble().is_some());
    judged(
        seen,
        |examined| examined.cluster.clone(),
        |cluster, _| match cluster::trouble(&cluster) {
            Some(_) if is_said => Finding::skipped("the database comes first"),
            _ => cluster::judge(&cluster),
        },
    )
}

/// Whether there will be enough connections for this instance.
pub fn connections(seen: &check::Seen) -> Vec<Finding> {
    let Place::Mysql(place) = &seen.config().database.place else {
        return judged(seen, |_| None::<()>, |(), _| Finding::skipped(""));
    };
    judged(
        seen,
        |examined| examined.connections,
        |(used, most), _| {
            let (ours, is) = (place.max_connections as u64, if used == 1 { "is" } else { "are" });
            let said =
                format!("{used} of the server's {most} connections {is} in use, and Doorward takes up to {ours}");
            // Those of a running instance are among the used ones.
            if ours < most && used.saturating_mul(10) < most.saturating_mul(9) {
                return Finding::fine(said);
            }
            Finding::warning(format!("{said}: \"Too many connections\" will come"))
                .hint("lower [database] max_connections here, raise max_connections there, or end who does not let go")
        },
    )
}
