//! Keeping people out, and forgetting them.

use async_trait::async_trait;
use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Error, Value};

use crate::config::users::OnDelete;
use crate::model::{Event, UserId};
use crate::store::adoption::Adopted;
use crate::store::mysql::adopt::{as_id, id_bytes};
use crate::store::mysql::audit::insert_event;
use crate::store::mysql::errors::duplicate_key;
use crate::store::mysql::pool::exec;
use crate::store::mysql::transaction::{Change, transact};
use crate::store::mysql::{Mysql, Ready, param, quoted};
use crate::store::{Deleted, Ended, Removal, Result, StoreError, tombstone};

#[async_trait]
impl Removal for Mysql {
    async fn block_user(&self, id: &UserId, event: &Event) -> Result<Option<Ended>> {
        self.ready()?;
        let given = (id.as_str(), event);
        transact(&self.pool, &given, |conn, (id, event)| Box::pin(block(conn, id, event))).await
    }

    async fn unblock_user(&self, id: &UserId, issuer: Option<&str>, event: &Event) -> Result<bool> {
        self.ready()?;
        let given = (id.as_str(), issuer, event);
        transact(&self.pool, &given, |conn, (id, issuer, event)| Box::pin(unblock(conn, id, *issuer, event))).await
    }

    async fn delete_user(&self, id: &UserId, on_delete: OnDelete, event: &Event) -> Result<Deleted> {
        match self.forget(&*self.ready()?, id, on_delete, event).await {
            // The site may have changed its table since we looked; nothing was written, so it may be tried again.
            Err(StoreError::Refused(_)) => self.forget(&*self.look_again().await?, id, on_delete, event).await,
            answer => answer,
        }
    }
}

impl Mysql {
    async fn forget(&self, ready: &Ready, id: &UserId, on_delete: OnDelete, event: &Event) -> Result<Deleted> {
        let given = (&ready.adopted, id.as_str(), on_delete, event);
        transact(&self.pool, &given, |conn, (adopted, id, on_delete, event)| {
            Box::pin(forget(conn, adopted, id, *on_delete, event))
        })
        .await
    }
}

async fn block(conn: &mut Conn, id: &str, event: &Event) -> mysql_async::Result<Change<Option<Ended>>> {
    let sql = "update doorward_identities set blocked_at = coalesce(blocked_at, ?) where user_id = ?";
    let (_, found) = exec(conn, sql, vec![param(event.at.unix()), param(id)]).await?;
    if found == 0 {
        return Ok(Change::Undo(None));
    }
    let ended = end_all(conn, id).await?;
    insert_event(conn, event).await?;
    Ok(Change::Keep(Some(ended)))
}

async fn unblock(conn: &mut Conn, id: &str, issuer: Option<&str>, event: &Event) -> mysql_async::Result<Change<bool>> {
    let sql = "update doorward_identities set blocked_at = null where user_id = ? and blocked_at is not null";
    let (_, mut lifted) = exec(conn, sql, vec![param(id)]).await?;
    if let Some(issuer) = issuer {
        let sql = "delete from doorward_blocks where identity = ?";
        lifted += exec(conn, sql, vec![param(tombstone::of(issuer, id))]).await?.1;
    }
    if lifted == 0 {
        return Ok(Change::Undo(false));
    }
    insert_event(conn, event).await?;
    Ok(Change::Keep(true))
}

/// Ends all sessions and tokens of a user.
pub async fn end_all(conn: &mut Conn, id: &str) -> mysql_async::Result<Ended> {
    let (_, sessions) = exec(conn, "delete from doorward_sessions where user_id = ?", vec![param(id)]).await?;
    let (_, tokens) = exec(conn, "delete from doorward_tokens where user_id = ?", vec![param(id)]).await?;
    // A terminal that they let in and that has not fetched its token.
    exec(conn, "delete from doorward_devices where user_id = ?", vec![param(id)]).await?;
    Ok(Ended { sessions, tokens })
}

async fn forget(
    conn: &mut Conn,
    adopted: &Adopted,
    id: &str,
    on_delete: OnDelete,
    event: &Event,
) -> mysql_async::Result<Change<Deleted>> {
    let sql = "select issuer, subject, blocked_at from doorward_identities where user_id = ? for update";
    let known: Option<(String, String, Option<i64>)> = conn.exec_first(sql, vec![param(id)]).await?;
    let Some((issuer, subject, blocked_at)) = known else { return Ok(Change::Undo(Deleted::Unknown)) };
    if let Some(held) = treat_row(conn, adopted, id, on_delete).await? {
        return Ok(Change::Undo(Deleted::Held(held)));
    }
    if let Some(blocked_at) = blocked_at {
        let sql = "insert into doorward_blocks (identity, blocked_at) values (?, ?) \
                   on duplicate key update identity = identity";
        exec(conn, sql, vec![param(tombstone::of(&issuer, &subject)), param(blocked_at)]).await?;
    }
    end_all(conn, id).await?;
    exec(conn, "delete from doorward_audit where user_id = ?", vec![param(id)]).await?;
    exec(conn, "delete from doorward_identities where user_id = ?", vec![param(id)]).await?;
    insert_event(conn, event).await?;
    Ok(Change::Keep(Deleted::Done))
}

/// Does to the row of the site's table what `on_delete` says. What forbids it, if anything.
async fn treat_row(
    conn: &mut Conn,
    adopted: &Adopted,
    id: &str,
    on_delete: OnDelete,
) -> mysql_async::Result<Option<String>> {
    let (table, column) = (quoted(&adopted.table), quoted(&adopted.id.name));
    let which = format!("where u.{column} = {} and {} = ?", as_id(adopted, "?"), id_bytes(adopted, "u"));
    let done = match on_delete {
        OnDelete::Keep => return Ok(None),
        OnDelete::Delete => exec(conn, &format!("delete u from {table} u {which}"), vec![param(id), param(id)]).await,
        OnDelete::Anonymise => {
            let blanks = adopted.blanks(id).into_iter();
            let (sets, mut given): (Vec<String>, Vec<Value>) =
                blanks.map(|(column, value)| (format!("u.{} = ?", quoted(&column.name)), param(value))).unzip();
            if sets.is_empty() {
                return Ok(None);
            }
            given.extend([param(id), param(id)]);
            exec(conn, &format!("update {table} u set {} {which}", sets.join(", ")), given).await
        }
    };
    match done {
        Ok(_) => Ok(None),
        Err(Error::Server(error)) if matches!(error.code, 1217 | 1451) => Ok(Some(referrer(&error.message))),
        // What a trigger of the site's says with SIGNAL.
        Err(Error::Server(error)) if error.code == 1644 => Ok(Some(format!("a trigger of {}", adopted.table))),
        Err(error) => match duplicate_key(&error) {
            Some(key) => Ok(Some(format!("the unique key {key} of {}", adopted.table))),
            None => Err(error),
        },
    }
}

/// The foreign key that error 1451 names: `` … fails (`shop`.`orders`, CONSTRAINT `orders_user` FOREIGN KEY … ``.
fn referrer(message: &str) -> String {
    let named = message.split_once(" fails (").and_then(|(_, rest)| {
        let (table, rest) = rest.split_once(", CONSTRAINT ")?;
        let table = table.rsplit_once(".`").map_or(table, |(_, table)| table);
        let key = rest.split(' ').next()?;
        Some(format!("the foreign key {} of {}", key.trim_matches('`'), table.trim_matches('`')))
    });
    named.unwrap_or_else(|| "a foreign key of another table".to_owned())
}
