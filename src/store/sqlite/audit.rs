//! What happened, while it is of interest.

use async_trait::async_trait;
use rusqlite::{Connection, Row, ToSql, params};

use crate::clock::Timestamp;
use crate::model::{Actor, Event, EventKind, Origin, Recorded, UserId};
use crate::store::sqlite::{Change, Sqlite};
use crate::store::{Audit, EventFilter, Result};

#[async_trait]
impl Audit for Sqlite {
    async fn record(&self, event: &Event) -> Result<()> {
        let event = event.clone();
        self.write(move |tx, _| insert_event(tx, &event).map(Change::Keep)).await
    }

    async fn events(&self, filter: &EventFilter, limit: u32) -> Result<Vec<Recorded>> {
        let filter = filter.clone();
        self.read(move |conn, _| list(conn, &filter, limit)).await
    }

    async fn forget_refusals_of(&self, user: &UserId) -> Result<u64> {
        let user = user.as_str().to_owned();
        let sql = "delete from doorward_audit where user_id = ?1 and kind = 'refusal'";
        self.write(move |tx, _| Ok(Change::Keep(tx.execute(sql, [user.as_str()])? as u64))).await
    }

    async fn sweep_events(&self, moment: Timestamp, limit: u32) -> Result<u64> {
        self.write(move |tx, _| {
            let old = "delete from doorward_audit where number in \
                       (select number from doorward_audit where happened_at < ?1 limit ?2)";
            Ok(Change::Keep(tx.execute(old, params![moment.unix(), limit])? as u64))
        })
        .await
    }
}

fn list(conn: &Connection, filter: &EventFilter, limit: u32) -> rusqlite::Result<Vec<Recorded>> {
    let user = filter.user.as_ref().map(UserId::as_str);
    let (kind, since) = (filter.kind.map(EventKind::word), filter.since.map(Timestamp::unix));
    let before = filter.before.map(|before| i64::try_from(before).unwrap_or(i64::MAX));
    let mut which = Vec::new();
    let mut given: Vec<&dyn ToSql> = Vec::new();
    if let Some(user) = &user {
        which.push("user_id = ?");
        given.push(user);
    }
    if let Some(kind) = &kind {
        which.push("kind = ?");
        given.push(kind);
    }
    if let Some(since) = &since {
        which.push("happened_at >= ?");
        given.push(since);
    }
    if let Some(before) = &before {
        which.push("number < ?");
        given.push(before);
    }
    given.push(&limit);
    let which = if which.is_empty() { String::new() } else { format!("where {} ", which.join(" and ")) };
    let mut rows = conn.prepare_cached(&format!(
        "select number, happened_at, kind, user_id, actor, reason, detail, request_id, address from doorward_audit \
         {which}order by number desc limit ?"
    ))?;
    rows.query_map(given.as_slice(), read_event)?.collect()
}

fn read_event(row: &Row<'_>) -> rusqlite::Result<Recorded> {
    let (kind, actor): (String, String) = (row.get(2)?, row.get(4)?);
    let actor = if actor == Actor::Operator.word() { Actor::Operator } else { Actor::Person };
    let event = Event {
        at: Timestamp::from_unix(row.get(1)?),
        kind: EventKind::named(&kind).unwrap_or(EventKind::Other),
        user_id: row.get::<_, Option<String>>(3)?.map(UserId::new),
        origin: Origin { actor, request_id: row.get(7)?, address: row.get(8)? },
        reason: row.get(5)?,
        detail: row.get(6)?,
    };
    Ok(Recorded { number: row.get::<_, i64>(0)?.unsigned_abs(), event })
}

/// Records `event`.
pub fn insert_event(conn: &Connection, event: &Event) -> rusqlite::Result<()> {
    conn.prepare_cached(
        "insert into doorward_audit (happened_at, kind, user_id, actor, reason, detail, request_id, address) \
         values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
    )?
    .execute(params![
        event.at.unix(),
        event.kind.word(),
        event.user_id.as_ref().map(UserId::as_str),
        event.origin.actor.word(),
        event.reason,
        event.detail,
        event.origin.request_id,
        event.origin.address,
    ])?;
    Ok(())
}
