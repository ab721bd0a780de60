//! What happened, while it is of interest.

use async_trait::async_trait;
use mysql_async::{Conn, Row, Value};

use crate::clock::Timestamp;
use crate::model::{Actor, Event, EventKind, Origin, Recorded, UserId};
use crate::store::mysql::pool::exec;
use crate::store::mysql::rows::value;
use crate::store::mysql::transaction::change_once;
use crate::store::mysql::{Mysql, READ, WRITE, param};
use crate::store::{Audit, EventFilter, Result};

const INSERT: &str = "insert into doorward_audit (happened_at, kind, user_id, actor, reason, detail, request_id, \
                      address) values (?, ?, ?, ?, ?, ?, ?, ?)";

#[async_trait]
impl Audit for Mysql {
    async fn record(&self, event: &Event) -> Result<()> {
        self.ready()?;
        change_once(&self.pool, WRITE, INSERT, values(event)).await.map(drop)
    }

    async fn events(&self, filter: &EventFilter, limit: u32) -> Result<Vec<Recorded>> {
        self.ready()?;
        let conditions = [
            filter.user.as_ref().map(|user| ("user_id = ?", param(user.as_str()))),
            filter.kind.map(|kind| ("kind = ?", param(kind.word()))),
            filter.since.map(|since| ("happened_at >= ?", param(since.unix()))),
            filter.before.map(|before| ("number < ?", param(before))),
        ];
        let (which, mut params): (Vec<&str>, Vec<Value>) = conditions.into_iter().flatten().unzip();
        params.push(param(limit));
        let which = if which.is_empty() { String::new() } else { format!("where {} ", which.join(" and ")) };
        let sql = format!(
            "select number, happened_at, kind, user_id, actor, reason, detail, request_id, address from doorward_audit \
             {which}order by number desc limit ?"
        );
        self.pool.rows(READ, &sql, params).await?.iter().map(recorded).collect()
    }

    async fn forget_refusals_of(&self, user: &UserId) -> Result<u64> {
        self.ready()?;
        let sql = "delete from doorward_audit where user_id = ? and kind = 'refusal'";
        self.pool.change(WRITE, sql, vec![param(user.as_str())]).await
    }

    async fn sweep_events(&self, moment: Timestamp, limit: u32) -> Result<u64> {
        self.ready()?;
        let sql = "delete from doorward_audit where happened_at < ? order by happened_at limit ?";
        self.pool.change(WRITE, sql, vec![param(moment.unix()), param(limit)]).await
    }
}

fn recorded(row: &Row) -> Result<Recorded> {
    let (kind, actor): (String, String) = (value(row, 2)?, value(row, 4)?);
    let actor = if actor == Actor::Operator.word() { Actor::Operator } else { Actor::Person };
    let event = Event {
        at: Timestamp::from_unix(value(row, 1)?),
        kind: EventKind::named(&kind).unwrap_or(EventKind::Other),
        user_id: value::<Option<String>>(row, 3)?.map(UserId::new),
        origin: Origin { actor, request_id: value(row, 7)?, address: value(row, 8)? },
        reason: value(row, 5)?,
        detail: value(row, 6)?,
    };
    Ok(Recorded { number: value(row, 0)?, event })
}

fn values(event: &Event) -> Vec<Value> {
    vec![
        param(event.at.unix()),
        param(event.kind.word()),
        param(event.user_id.as_ref().map(UserId::as_str)),
        param(event.origin.actor.word()),
        param(event.reason.as_str()),
        param(event.detail.as_str()),
        param(event.origin.request_id.as_str()),
        param(event.origin.address.as_str()),
    ]
}

/// Records `event`.
pub async fn insert_event(conn: &mut Conn, event: &Event) -> mysql_async::Result<()> {
    exec(conn, INSERT, values(event)).await.map(drop)
}
