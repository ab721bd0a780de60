//! A close look at the server, the account and the table of users. Asks and changes nothing.

use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Value};
use tokio::time::timeout;

use crate::clock::Clock;
use crate::store::examined::{AtHost, Cluster, Encryption, Examined, IdColumn};
use crate::store::mysql::adopt::adopt;
use crate::store::mysql::errors::{code, connect_error, late, store_error};
use crate::store::mysql::hosts::{self, is_local};
use crate::store::mysql::pool::{Pool, exec};
use crate::store::mysql::prepare::LIMIT;
use crate::store::mysql::rights;
use crate::store::mysql::rows::value;
use crate::store::{Result, StoreError};

/// Looks at the one server of `pool`.
pub async fn at_host(pool: &Pool, table: &str, clock: &dyn Clock) -> AtHost {
    AtHost { host: pool.place().whereabouts(), found: examine(pool, table, clock).await }
}

/// Looks at the server of `pool` and, where they are there already, at the database and its table of users.
async fn examine(pool: &Pool, table: &str, clock: &dyn Clock) -> Result<Examined> {
    let work = async {
        let place = pool.place();
        let opened = match pool.connect_to(Some(&place.name)).await? {
            Err(error) if code(&error) == Some(1049) => pool.connect_to(None).await?,
            opened => opened,
        };
        let mut conn = opened.map_err(|error| connect_error(&error, place))?;
        hosts::as_it_is(&mut conn).await;
        let examined = look(&mut conn, pool, table, clock).await;
        // It is closed either way.
        let _ = conn.disconnect().await;
        examined
    };
    timeout(LIMIT, work).await.map_err(|_| late("looking at the server", LIMIT))?
}

async fn look(conn: &mut Conn, pool: &Pool, table: &str, clock: &dyn Clock) -> Result<Examined> {
    let place = pool.place();
    let texts = "select concat(version(), ''), concat(@@global.sql_mode, ''), concat(@@global.read_only, ''), \
                 concat(@@global.max_connections, ''), concat(unix_timestamp(), ''), concat(ifnull(database(), ''), '')";
    let said = row(conn, texts).await?;
    let [version, mode, read_only, most, time, database] = &said[..] else {
        return Err(StoreError::Refused("the server does not tell what it is".to_owned()));
    };
    let (server, too_old) = named(version);
    let cipher = status(conn, "Ssl_cipher").await.unwrap_or_default();
    let encryption = match cipher.as_str() {
        "" if is_local(&place.host) => Encryption::NeedsNone,
        "" => Encryption::None,
        cipher => Encryption::By(cipher.to_owned()),
    };
    let id = match adopt(conn, table).await {
        Ok(Some(users)) if !database.is_empty() => {
            Some(IdColumn { type_name: users.id.type_name, collation: users.id.charset.zip(users.id.collation) })
        }
        // What stands in the way of the table is found when its steps are planned.
        _ => None,
    };
    let used = status(conn, "Threads_connected").await.and_then(|used| used.parse().ok());
    Ok(Examined {
        server,
        too_old,
        encryption: Some(encryption),
        rights: rights::missing(conn, &place.name, table).await?,
        id,
        is_strict: Some(mode.contains("STRICT_TRANS_TABLES") || mode.contains("STRICT_ALL_TABLES")),
        ahead: time.parse::<i64>().ok().map(|theirs| clock.now().unix() - theirs),
        is_read_only: !matches!(read_only.to_ascii_uppercase().as_str(), "0" | "OFF"),
        cluster: Some(cluster(conn).await),
        connections: used.zip(most.parse().ok()),
    })
}

/// The server in people's words, and what it would have to be where it is too old.
fn named(version: &str) -> (String, Option<&'static str>) {
    // `5.5.5-10.11.14-MariaDB`: what old clients are told, before what it is.
    let number = version.strip_prefix("5.5.5-").unwrap_or(version);
    let number: String = number.chars().take_while(|c| c.is_ascii_digit() || *c == '.').collect();
    let mut parts = number.split('.').map(|part| part.parse::<u32>().unwrap_or(0));
    let this = (parts.next().unwrap_or(0), parts.next().unwrap_or(0));
    if version.to_ascii_lowercase().contains("mariadb") {
        (format!("MariaDB {number}"), (this < (10, 4)).then_some("MariaDB 10.4"))
    } else {
        (format!("MySQL {number}"), (this < (8, 0)).then_some("MySQL 8.0"))
    }
}

async fn cluster(conn: &mut Conn) -> Cluster {
    // A node that lost its cluster counts nobody, itself included; only its switch tells it from a server by itself.
    let is_node = said(conn, "show session variables like 'wsrep_on'").await.is_some_and(|on| hosts::is_on(&on));
    if is_node {
        let nodes = status(conn, "wsrep_cluster_size").await.unwrap_or_else(|| "0".to_owned());
        let state = status(conn, "wsrep_local_state_comment").await.unwrap_or_default();
        let is_ready = status(conn, "wsrep_ready").await.is_some_and(|ready| ready.eq_ignore_ascii_case("on"));
        let has_majority = status(conn, "wsrep_cluster_status").await.is_some_and(|status| status == "Primary");
        return Cluster::Galera { nodes, state, is_ready, has_majority };
    }
    let group = said(conn, "show variables like 'group_replication_group_name'").await.unwrap_or_default();
    if group.is_empty() {
        return Cluster::Alone;
    }
    let has_majority = conn.query_drop(hosts::MEMBERSHIP).await.is_ok();
    let members = "select concat(count(*), ''), concat(ifnull(max(case when member_id = @@server_uuid then member_state \
                   end), ''), '') from performance_schema.replication_group_members where member_id <> ''";
    // Not every account may look there.
    match row(conn, members).await.as_deref() {
        Ok([members, state]) => Cluster::Group { members: members.parse().ok(), state: state.clone(), has_majority },
        _ => Cluster::Group { members: None, state: String::new(), has_majority },
    }
}

/// A counter of the server's, if it has one of this name.
async fn status(conn: &mut Conn, name: &str) -> Option<String> {
    said(conn, &format!("show session status like '{name}'")).await
}

/// What a line of `show …` says, if there is one.
async fn said(conn: &mut Conn, sql: &str) -> Option<String> {
    let (rows, _) = exec(conn, sql, Vec::<Value>::new()).await.ok()?;
    value(rows.first()?, 1).ok()
}

/// The first row of an answer, all of it text.
async fn row(conn: &mut Conn, sql: &str) -> Result<Vec<String>> {
    let (rows, _) = exec(conn, sql, Vec::new()).await.map_err(|error| store_error(&error))?;
    let Some(row) = rows.first() else { return Ok(Vec::new()) };
    (0..row.len()).map(|place| value(row, place)).collect()
}
