//! The people.

use async_trait::async_trait;
use rusqlite::{Connection, OptionalExtension, Row, Transaction, params, params_from_iter};

use crate::clock::Timestamp;
use crate::config::access::SignUp;
use crate::model::{Identity, User, UserId};
use crate::store::adoption::{Adopted, gone};
use crate::store::sqlite::audit::insert_event;
use crate::store::sqlite::prepare::{adopt, quoted};
use crate::store::sqlite::removal::end_all;
use crate::store::sqlite::sessions::{end_oldest, insert_session};
use crate::store::sqlite::{Change, Ready, Sqlite};
use crate::store::{Refusal, Result, SignIn, SignedIn, Users, tombstone};

/// What a [`User`] is read from, in the order that [`read_user`] expects; the table is called `i`.
pub const USER: &str = "i.user_id, i.provider, i.issuer, i.subject, i.email, i.email_verified, i.hosted_domain, \
                        i.name, i.picture, i.created_at, i.last_login_at, i.blocked_at";

/// The user in a row of [`USER`] that begins at column `first`.
pub fn read_user(row: &Row<'_>, first: usize) -> rusqlite::Result<User> {
    let id: String = row.get(first)?;
    let identity = Identity {
        provider: row.get(first + 1)?,
        issuer: row.get(first + 2)?,
        subject: row.get(first + 3)?,
        email: row.get(first + 4)?,
        email_verified: row.get(first + 5)?,
        hosted_domain: row.get(first + 6)?,
        name: row.get(first + 7)?,
        picture: row.get(first + 8)?,
    };
    Ok(User {
        id: UserId::new(id),
        identity,
        created_at: Timestamp::from_unix(row.get(first + 9)?),
        last_login_at: Timestamp::from_unix(row.get(first + 10)?),
        blocked_at: row.get::<_, Option<i64>>(first + 11)?.map(Timestamp::from_unix),
    })
}

/// Joins what has a `user_id` to the identity and to the row of the site's table, which may have been deleted. The
/// first comparison finds the row by the table's own key, whatever it takes for equal; the second looks at the bytes.
pub fn join_users(adopted: &Adopted, user_id: &str) -> String {
    let (table, id) = (quoted(&adopted.table), quoted(&adopted.id.name));
    format!("join {table} u on u.{id} = {user_id} and cast(u.{id} as blob) = cast({user_id} as blob)")
}

#[async_trait]
impl Users for Sqlite {
    async fn sign_in(&self, sign_in: &SignIn) -> Result<SignedIn> {
        let sign_in = sign_in.clone();
        self.write(move |tx, ready| {
            // The table is the site's to change while we run, and a look at it costs next to nothing here.
            let table = &ready.adopted.table;
            let adopted = match adopt(tx, table).and_then(|found| found.ok_or_else(|| gone(table))) {
                Ok(adopted) => adopted,
                Err(error) => return Ok(Change::Undo(Err(error))),
            };
            Ok(match remember(tx, &adopted, ready.issuer.as_deref(), &sign_in)? {
                opened @ SignedIn::Opened(_) => Change::Keep(Ok(opened)),
                refused @ SignedIn::Refused(_) => Change::Undo(Ok(refused)),
            })
        })
        .await?
    }

    async fn user(&self, id: &UserId) -> Result<Option<User>> {
        let id = id.as_str().to_owned();
        let found = self.read(move |conn, ready| list(conn, ready, "where i.user_id = ?1", params![id])).await?;
        Ok(found.into_iter().next())
    }

    async fn users_by_email(&self, email: &str) -> Result<Vec<User>> {
        let folded = email.to_ascii_lowercase();
        let which = "where i.email_folded = ?1 order by i.user_id";
        self.read(move |conn, ready| list(conn, ready, which, params![folded])).await
    }

    async fn users(&self, after: Option<&UserId>, limit: u32) -> Result<Vec<User>> {
        let after = after.map(|id| id.as_str().to_owned()).unwrap_or_default();
        let which = "where i.user_id > ?1 order by i.user_id limit ?2";
        self.read(move |conn, ready| list(conn, ready, which, params![after, limit])).await
    }

    async fn blocked_users(&self, after: Option<&UserId>, limit: u32) -> Result<Vec<User>> {
        let after = after.map(|id| id.as_str().to_owned()).unwrap_or_default();
        let which = "where i.blocked_at is not null and i.user_id > ?1 order by i.user_id limit ?2";
        self.read(move |conn, ready| list(conn, ready, which, params![after, limit])).await
    }
}

fn list(conn: &Connection, ready: &Ready, which: &str, params: &[&dyn rusqlite::ToSql]) -> rusqlite::Result<Vec<User>> {
    let join = join_users(&ready.adopted, "i.user_id");
    let mut rows = conn.prepare_cached(&format!("select {USER} from doorward_identities i {join} {which}"))?;
    rows.query_map(params, |row| read_user(row, 0))?.collect()
}

/// The whole sign-in, within a transaction that is undone where it is refused.
fn remember(
    tx: &Transaction<'_>,
    adopted: &Adopted,
    issuer: Option<&str>,
    sign_in: &SignIn,
) -> rusqlite::Result<SignedIn> {
    let identity = &sign_in.identity;
    let known = tx
        .prepare_cached(
            "select user_id, created_at, blocked_at from doorward_identities where issuer = ?1 and subject = ?2",
        )?
        .query_row([&identity.issuer, &identity.subject], |row| {
            Ok((row.get::<_, String>(0)?, row.get::<_, i64>(1)?, row.get::<_, Option<i64>>(2)?))
        })
        .optional()?;
    let now = sign_in.session.created_at;
    let (id, created_at, is_new) = match known {
        Some((_, _, Some(_))) => return Ok(SignedIn::Refused(Refusal::Blocked)),
        Some((id, created_at, None)) => (id, Timestamp::from_unix(created_at), false),
        None => (identity.subject.clone(), now, true),
    };
    if is_new && is_kept_out(tx, sign_in)? {
        return Ok(SignedIn::Refused(Refusal::Blocked));
    }
    if is_new && is_claimed(tx, &id)? {
        return Ok(SignedIn::Refused(Refusal::Claimed));
    }
    let user =
        User { id: UserId::new(id), identity: identity.clone(), created_at, last_login_at: now, blocked_at: None };
    // Rows that were there before us belong to the issuer on record; another one's equal subject is somebody else.
    let may_take_over = !is_new || issuer == Some(&user.identity.issuer);
    if let Some(refusal) = write_row(tx, adopted, &user, may_take_over, sign_in.sign_up)? {
        return Ok(SignedIn::Refused(refusal));
    }
    write_identity(tx, &user, is_new)?;
    if is_new {
        // Nothing that was written while they were being deleted comes back with them.
        end_all(tx, user.id.as_str())?;
    }
    if let Some(previous) = &sign_in.previous {
        tx.execute("delete from doorward_sessions where handle = ?1", [previous.as_bytes()])?;
    }
    insert_session(tx, &sign_in.session, &user.id)?;
    end_oldest(tx, &user.id, &sign_in.session, sign_in.most_sessions)?;
    insert_event(tx, &sign_in.event)?;
    Ok(SignedIn::Opened(user))
}

/// Whether they were blocked before they were deleted.
fn is_kept_out(tx: &Transaction<'_>, sign_in: &SignIn) -> rusqlite::Result<bool> {
    let left = tombstone::of(&sign_in.identity.issuer, &sign_in.identity.subject);
    tx.prepare_cached("select 1 from doorward_blocks where identity = ?1")?.exists([left])
}

/// Whether another identity has this id already.
fn is_claimed(tx: &Transaction<'_>, id: &str) -> rusqlite::Result<bool> {
    tx.prepare_cached("select 1 from doorward_identities where user_id = ?1")?.exists([id])
}

/// Writes the row of the site's table: found by its id alone, so that no other unique key can hand one person's row to
/// another.
fn write_row(
    tx: &Transaction<'_>,
    adopted: &Adopted,
    user: &User,
    may_take_over: bool,
    sign_up: SignUp,
) -> rusqlite::Result<Option<Refusal>> {
    let (table, id) = (quoted(&adopted.table), quoted(&adopted.id.name));
    let subject = user.id.as_str();
    let found = format!("select cast({id} as blob) from {table} where {id} = ?1");
    let found: Vec<Vec<u8>> =
        tx.prepare_cached(&found)?.query_map([subject], |row| row.get(0))?.collect::<rusqlite::Result<_>>()?;
    let is_theirs = found.iter().any(|id| id == subject.as_bytes());
    if let Some(existing) = found.iter().find(|id| *id != subject.as_bytes()) {
        let existing = String::from_utf8_lossy(existing).into_owned();
        return Ok(Some(Refusal::SimilarId { table: adopted.table.clone(), existing }));
    }
    if is_theirs && !may_take_over {
        return Ok(Some(Refusal::Claimed));
    }
    if !is_theirs && sign_up == SignUp::Existing {
        return Ok(Some(Refusal::Newcomer { table: adopted.table.clone() }));
    }
    let values = adopted.values(&user.identity, &user.identity);
    let names: Vec<String> = values.iter().map(|(column, _)| quoted(&column.name)).collect();
    let mut given: Vec<Option<String>> = values.into_iter().map(|(_, value)| value).collect();
    given.push(Some(subject.to_owned()));
    if !is_theirs {
        // Whose row the site deleted was signed out by that: a row written again must not let the old ones in again.
        end_all(tx, subject)?;
    }
    let statement = if is_theirs {
        if names.is_empty() {
            return Ok(None);
        }
        let sets: Vec<String> = names.iter().map(|name| format!("{name} = ?")).collect();
        format!("update {table} set {} where {id} = ?", sets.join(", "))
    } else {
        let marks = vec!["?"; given.len()].join(", ");
        let names: String = names.iter().map(|name| format!("{name}, ")).collect();
        format!("insert into {table} ({names}{id}) values ({marks})")
    };
    match tx.prepare_cached(&statement)?.execute(params_from_iter(given)) {
        Ok(_) => Ok(None),
        Err(error) => match unique_key(&error) {
            Some(key) => Ok(Some(Refusal::UniqueKey { table: adopted.table.clone(), key })),
            None => Err(error),
        },
    }
}

/// The columns of the unique key that an error speaks of.
pub fn unique_key(error: &rusqlite::Error) -> Option<String> {
    let rusqlite::Error::SqliteFailure(failure, Some(message)) = error else { return None };
    let is_unique = matches!(
        failure.extended_code,
        rusqlite::ffi::SQLITE_CONSTRAINT_UNIQUE | rusqlite::ffi::SQLITE_CONSTRAINT_PRIMARYKEY
    );
    let key = message.rsplit(": ").next().unwrap_or(message);
    is_unique.then(|| key.to_owned())
}

fn write_identity(tx: &Transaction<'_>, user: &User, is_new: bool) -> rusqlite::Result<()> {
    let statement = if is_new {
        "insert into doorward_identities (provider, email, email_folded, email_verified, hosted_domain, name, \
         picture, last_login_at, issuer, subject, user_id, created_at) \
         values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)"
    } else {
        "update doorward_identities set provider = ?1, email = ?2, email_folded = ?3, email_verified = ?4, \
         hosted_domain = ?5, name = ?6, picture = ?7, last_login_at = ?8 \
         where issuer = ?9 and subject = ?10 and user_id = ?11 and created_at = ?12"
    };
    let identity = &user.identity;
    tx.prepare_cached(statement)?.execute(params![
        identity.provider,
        identity.email,
        identity.email.to_ascii_lowercase(),
        identity.email_verified,
        identity.hosted_domain,
        identity.name,
        identity.picture,
        user.last_login_at.unix(),
        identity.issuer,
        identity.subject,
        user.id.as_str(),
        user.created_at.unix(),
    ])?;
    Ok(())
}
