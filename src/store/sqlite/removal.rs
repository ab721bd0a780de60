//! Keeping people out, and forgetting them.

use async_trait::async_trait;
use rusqlite::{OptionalExtension, Transaction, params, params_from_iter};

use crate::config::users::OnDelete;
use crate::model::{Event, UserId};
use crate::store::adoption::{Adopted, gone};
use crate::store::sqlite::audit::insert_event;
use crate::store::sqlite::prepare::{adopt, quoted};
use crate::store::sqlite::users::unique_key;
use crate::store::sqlite::{Change, Sqlite};
use crate::store::{Deleted, Ended, Removal, Result, tombstone};

#[async_trait]
impl Removal for Sqlite {
    async fn block_user(&self, id: &UserId, event: &Event) -> Result<Option<Ended>> {
        let (id, event) = (id.as_str().to_owned(), event.clone());
        self.write(move |tx, _| {
            let block = "update doorward_identities set blocked_at = coalesce(blocked_at, ?1) where user_id = ?2";
            if tx.execute(block, params![event.at.unix(), id])? == 0 {
                return Ok(Change::Undo(None));
            }
            let ended = end_all(tx, &id)?;
            insert_event(tx, &event)?;
            Ok(Change::Keep(Some(ended)))
        })
        .await
    }

    async fn unblock_user(&self, id: &UserId, issuer: Option<&str>, event: &Event) -> Result<bool> {
        let (id, event) = (id.as_str().to_owned(), event.clone());
        let left = issuer.map(|issuer| tombstone::of(issuer, &id));
        self.write(move |tx, _| {
            let lift = "update doorward_identities set blocked_at = null where user_id = ?1 and blocked_at is not null";
            let mut lifted = tx.execute(lift, [&id])?;
            if let Some(left) = left {
                lifted += tx.execute("delete from doorward_blocks where identity = ?1", [left])?;
            }
            if lifted == 0 {
                return Ok(Change::Undo(false));
            }
            insert_event(tx, &event)?;
            Ok(Change::Keep(true))
        })
        .await
    }

    async fn delete_user(&self, id: &UserId, on_delete: OnDelete, event: &Event) -> Result<Deleted> {
        let (id, event) = (id.as_str().to_owned(), event.clone());
        self.write(move |tx, ready| {
            // The table is the site's to change while we run.
            let table = &ready.adopted.table;
            let adopted = match adopt(tx, table).and_then(|found| found.ok_or_else(|| gone(table))) {
                Ok(adopted) => adopted,
                Err(error) => return Ok(Change::Undo(Err(error))),
            };
            Ok(match forget(tx, &adopted, &id, on_delete, &event)? {
                Deleted::Done => Change::Keep(Ok(Deleted::Done)),
                nothing => Change::Undo(Ok(nothing)),
            })
        })
        .await?
    }
}

/// Ends all sessions and tokens of a user.
pub fn end_all(tx: &Transaction<'_>, id: &str) -> rusqlite::Result<Ended> {
    let sessions = tx.execute("delete from doorward_sessions where user_id = ?1", [id])? as u64;
    let tokens = tx.execute("delete from doorward_tokens where user_id = ?1", [id])? as u64;
    // A terminal that they let in and that has not fetched its token.
    tx.execute("delete from doorward_devices where user_id = ?1", [id])?;
    Ok(Ended { sessions, tokens })
}

fn forget(
    tx: &Transaction<'_>,
    adopted: &Adopted,
    id: &str,
    on_delete: OnDelete,
    event: &Event,
) -> rusqlite::Result<Deleted> {
    let known = tx
        .prepare_cached("select issuer, subject, blocked_at from doorward_identities where user_id = ?1")?
        .query_row([id], |row| Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?, row.get::<_, Option<i64>>(2)?)))
        .optional()?;
    let Some((issuer, subject, blocked_at)) = known else { return Ok(Deleted::Unknown) };
    if let Some(held) = treat_row(tx, adopted, id, on_delete)? {
        return Ok(Deleted::Held(held));
    }
    if let Some(blocked_at) = blocked_at {
        let keep = "insert or ignore into doorward_blocks (identity, blocked_at) values (?1, ?2)";
        tx.execute(keep, params![tombstone::of(&issuer, &subject), blocked_at])?;
    }
    end_all(tx, id)?;
    tx.execute("delete from doorward_audit where user_id = ?1", [id])?;
    tx.execute("delete from doorward_identities where user_id = ?1", [id])?;
    insert_event(tx, event)?;
    Ok(Deleted::Done)
}

/// Does to the row of the site's table what `on_delete` says. What forbids it, if anything.
fn treat_row(
    tx: &Transaction<'_>,
    adopted: &Adopted,
    id: &str,
    on_delete: OnDelete,
) -> rusqlite::Result<Option<String>> {
    let (table, column) = (quoted(&adopted.table), quoted(&adopted.id.name));
    let which = format!("where {column} = ? and cast({column} as blob) = cast(? as blob)");
    let done = match on_delete {
        OnDelete::Keep => return Ok(None),
        OnDelete::Delete => tx.execute(&format!("delete from {table} {which}"), [id, id]),
        OnDelete::Anonymise => {
            let (sets, mut given): (Vec<String>, Vec<Option<String>>) = adopted
                .blanks(id)
                .into_iter()
                .map(|(column, value)| (format!("{} = ?", quoted(&column.name)), value))
                .unzip();
            if sets.is_empty() {
                return Ok(None);
            }
            given.extend([Some(id.to_owned()), Some(id.to_owned())]);
            tx.execute(&format!("update {table} set {} {which}", sets.join(", ")), params_from_iter(given))
        }
    };
    match done {
        Ok(_) => Ok(None),
        Err(error) if is_foreign_key(&error) => Ok(Some(referrers(tx, &adopted.table)?)),
        Err(error) => match unique_key(&error) {
            Some(key) => Ok(Some(format!("the unique key {key} of {}", adopted.table))),
            None => Err(error),
        },
    }
}

fn is_foreign_key(error: &rusqlite::Error) -> bool {
    let code = error.sqlite_error().map(|failure| failure.extended_code);
    // A reference that forbids says one, a trigger that stands for one the other.
    matches!(code, Some(rusqlite::ffi::SQLITE_CONSTRAINT_FOREIGNKEY | rusqlite::ffi::SQLITE_CONSTRAINT_TRIGGER))
}

/// The tables whose foreign keys lead to `table`: SQLite does not say which of them forbids a deletion.
fn referrers(tx: &Transaction<'_>, table: &str) -> rusqlite::Result<String> {
    let mut rows = tx.prepare(
        "select distinct m.name from sqlite_master m, pragma_foreign_key_list(m.name) k \
         where m.type = 'table' and lower(k.\"table\") = lower(?1) order by m.name",
    )?;
    let tables: Vec<String> = rows.query_map([table], |row| row.get(0))?.collect::<rusqlite::Result<_>>()?;
    Ok(format!("a foreign key of {}", if tables.is_empty() { "another table".to_owned() } else { tables.join(" or ") }))
}
