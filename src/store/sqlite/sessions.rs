//! Browsers that are signed in.

use async_trait::async_trait;
use rusqlite::types::Value;
use rusqlite::{Connection, OptionalExtension, Params, Row, Transaction, params, params_from_iter};

use crate::clock::Timestamp;
use crate::credential::Hashed;
use crate::model::{Session, User, UserId};
use crate::store::adoption::Adopted;
use crate::store::order::in_order_of;
use crate::store::short::Range;
use crate::store::sqlite::users::{USER, join_users, read_user};
use crate::store::sqlite::{Change, Ready, Sqlite};
use crate::store::{Result, Sessions};

/// What a [`Session`] is read from, in the order that [`read_session`] expects; the table is called `s`.
const SESSION: &str =
    "s.handle, s.user_id, s.created_at, s.last_seen_at, s.expires_at, s.address, s.user_agent, s.proved_at";

fn read_session(row: &Row<'_>) -> rusqlite::Result<Session> {
    Ok(Session {
        handle: Hashed::from_bytes(row.get(0)?),
        user_id: UserId::new(row.get::<_, String>(1)?),
        created_at: Timestamp::from_unix(row.get(2)?),
        last_seen_at: Timestamp::from_unix(row.get(3)?),
        expires_at: Timestamp::from_unix(row.get(4)?),
        address: row.get(5)?,
        user_agent: row.get(6)?,
        proved_at: row.get::<_, Option<i64>>(7)?.map(Timestamp::from_unix),
    })
}

#[async_trait]
impl Sessions for Sqlite {
    async fn sessions_by_handle(&self, handles: &[Hashed]) -> Result<Vec<Option<(Session, User)>>> {
        let handles = handles.to_vec();
        self.read(move |conn, ready| find(conn, ready, &handles)).await
    }

    async fn touch_session(&self, handle: &Hashed, seen_before: Timestamp, now: Timestamp) -> Result<()> {
        let handle = *handle;
        let statement = "update doorward_sessions set last_seen_at = ?1 where handle = ?2 and last_seen_at < ?3";
        self.write(move |tx, _| {
            tx.prepare_cached(statement)?.execute(params![now.unix(), handle.as_bytes(), seen_before.unix()])?;
            Ok(Change::Keep(()))
        })
        .await
    }

    async fn end_session(&self, handle: &Hashed) -> Result<Option<UserId>> {
        let handle = *handle;
        self.write(move |tx, _| {
            let whose = "select user_id from doorward_sessions where handle = ?1";
            let user = tx.prepare_cached(whose)?.query_row([handle.as_bytes()], |row| row.get::<_, String>(0));
            let user = user.optional()?.map(UserId::new);
            tx.execute("delete from doorward_sessions where handle = ?1", [handle.as_bytes()])?;
            Ok(Change::Keep(user))
        })
        .await
    }

    async fn end_sessions_named(&self, short: &str, user: Option<&UserId>) -> Result<u64> {
        let Some(range) = Range::named(short) else { return Ok(0) };
        let user = user.map(|id| id.as_str().to_owned());
        self.write(move |tx, _| {
            let statement = "delete from doorward_sessions where handle between ?1 and ?2 \
                             and (?3 is null or user_id = ?3)";
            Ok(Change::Keep(tx.execute(statement, params![range.first, range.last, user])? as u64))
        })
        .await
    }

    async fn end_sessions_of(&self, user: &UserId, kept: Option<&Hashed>) -> Result<u64> {
        let (user, kept) = (user.as_str().to_owned(), kept.copied());
        self.write(move |tx, _| {
            let statement = "delete from doorward_sessions where user_id = ?1 and (?2 is null or handle <> ?2)";
            let kept = kept.as_ref().map(Hashed::as_bytes);
            Ok(Change::Keep(tx.execute(statement, params![user, kept])? as u64))
        })
        .await
    }

    async fn sessions(
        &self,
        user: Option<&UserId>,
        after: Option<(Timestamp, Hashed)>,
        limit: u32,
    ) -> Result<Vec<Session>> {
        let user = user.map(|id| id.as_str().to_owned());
        self.read(move |conn, _| {
            let mut conditions = Vec::new();
            let mut given: Vec<Value> = Vec::new();
            if let Some(user) = user {
                conditions.push("s.user_id = ?");
                given.push(user.into());
            }
            if let Some((then, handle)) = after {
                conditions.push("s.created_at <= ? and (s.created_at < ? or s.handle < ?)");
                given.extend([then.unix().into(), then.unix().into(), handle.as_bytes().to_vec().into()]);
            }
            given.push(limit.into());
            let which =
                if conditions.is_empty() { String::new() } else { format!("where {} ", conditions.join(" and ")) };
            let which = format!("{which}order by s.created_at desc, s.handle desc limit ?");
            list(conn, &which, params_from_iter(given))
        })
        .await
    }

    async fn sessions_named(&self, short: &str) -> Result<Vec<Session>> {
        let Some(range) = Range::named(short) else { return Ok(Vec::new()) };
        let which = "where s.handle between ?1 and ?2";
        self.read(move |conn, _| list(conn, which, params![range.first, range.last])).await
    }

    async fn count_sessions(&self, now: Timestamp, idle_since: Timestamp) -> Result<u64> {
        self.read(move |conn, _| {
            let sql = "select count(*) from doorward_sessions where expires_at > ?1 and last_seen_at > ?2";
            conn.query_row(sql, params![now.unix(), idle_since.unix()], |row| row.get::<_, i64>(0))
        })
        .await
        .map(|count| u64::try_from(count).unwrap_or(0))
    }

    async fn sweep_sessions(&self, now: Timestamp, idle_since: Timestamp, limit: u32) -> Result<u64> {
        self.write(move |tx, _| {
            let expired = "delete from doorward_sessions where handle in \
                           (select handle from doorward_sessions where expires_at < ?1 limit ?2)";
            let expired = tx.execute(expired, params![now.unix(), limit])?;
            let idle = "delete from doorward_sessions where handle in \
                        (select handle from doorward_sessions where last_seen_at < ?1 limit ?2)";
            let idle = tx.execute(idle, params![idle_since.unix(), i64::from(limit) - expired as i64])?;
            Ok(Change::Keep((expired + idle) as u64))
        })
        .await
    }
}

fn find(conn: &Connection, ready: &Ready, handles: &[Hashed]) -> rusqlite::Result<Vec<Option<(Session, User)>>> {
    let mut found = Vec::with_capacity(handles.len());
    for chunk in handles.chunks(SIZES[SIZES.len() - 1]) {
        let place = SIZES.partition_point(|size| *size < chunk.len());
        let mut statement = conn.prepare_cached(&ready.lookups.0[place])?;
        let filled = chunk.iter().chain(std::iter::repeat(&chunk[0])).take(SIZES[place]);
        let mut rows = statement.query(params_from_iter(filled.map(Hashed::as_bytes)))?;
        while let Some(row) = rows.next()? {
            found.push((read_session(row)?, read_user(row, 8)?));
        }
    }
    Ok(in_order_of(handles, found))
}

/// How many handles a statement asks for: a statement for each number would push the others out of the cache.
const SIZES: [usize; 5] = [1, 4, 16, 64, 256];

/// The statements that ask for so many handles, written once.
pub struct Lookups([String; SIZES.len()]);

impl Lookups {
    /// The statements where people stand in `adopted`: three lookups by key for each handle.
    pub fn new(adopted: &Adopted) -> Self {
        let join = join_users(adopted, "s.user_id");
        Self(SIZES.map(|size| {
            let marks = vec!["?"; size].join(", ");
            format!(
                "select {SESSION}, {USER} from doorward_sessions s join doorward_identities i on i.user_id = s.user_id \
                 {join} where s.handle in ({marks})"
            )
        }))
    }
}

fn list(conn: &Connection, which: &str, params: impl Params) -> rusqlite::Result<Vec<Session>> {
    let mut rows = conn.prepare_cached(&format!("select {SESSION} from doorward_sessions s {which}"))?;
    rows.query_map(params, read_session)?.collect()
}

/// Opens `session` for `user_id`.
pub fn insert_session(tx: &Transaction<'_>, session: &Session, user_id: &UserId) -> rusqlite::Result<()> {
    tx.prepare_cached(
        "insert into doorward_sessions (handle, user_id, created_at, last_seen_at, expires_at, address, user_agent, \
         proved_at) values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
    )?
    .execute(params![
        session.handle.as_bytes(),
        user_id.as_str(),
        session.created_at.unix(),
        session.last_seen_at.unix(),
        session.expires_at.unix(),
        session.address,
        session.user_agent,
        session.proved_at.map(Timestamp::unix),
    ])?;
    Ok(())
}

/// Ends the oldest sessions of `user_id`, so that no more than `most` are left; `newest` is one of those.
pub fn end_oldest(tx: &Transaction<'_>, user_id: &UserId, newest: &Session, most: u32) -> rusqlite::Result<()> {
    // The newest is named because others may have been opened in the same second.
    tx.prepare_cached(
        "delete from doorward_sessions where handle in (select handle from doorward_sessions \
         where user_id = ?1 and handle <> ?2 order by created_at desc, handle desc limit -1 offset ?3)",
    )?
    .execute(params![user_id.as_str(), newest.handle.as_bytes(), most.saturating_sub(1)])?;
    Ok(())
}
