//! One sign-in, in one transaction: the row of the site's table, our own, the session; the one before ended.
//!
//! Another transaction in the way means: again from the beginning. A connection that dies before `commit` was sent
//! means the same on a fresh one. A connection that dies under `commit` leaves open what happened, and the answer is
//! looked up by the session's handle, which nobody else can have written.

use std::time::Duration;

use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Error};
use tokio::time::{sleep, timeout};

use crate::clock::Timestamp;
use crate::config::access::SignUp;
use crate::metrics::{self, Operation};
use crate::model::{Session, User, UserId};
use crate::store::adoption::Adopted;
use crate::store::mysql::adopt::{as_held, as_id, id_bytes};
use crate::store::mysql::audit::insert_event;
use crate::store::mysql::errors::{Remedy, duplicate_key, late, remedy, store_error};
use crate::store::mysql::hosts::Purpose;
use crate::store::mysql::pool::{Lease, Pool, exec};
use crate::store::mysql::removal::end_all;
use crate::store::mysql::{Ready, param, quoted};
use crate::store::{Refusal, Result, SignIn, SignedIn, StoreError, tombstone};

/// How long all of it may take: a cluster that loses a node holds its breath for some seconds.
const LIMIT: Duration = Duration::from_secs(10);

/// How often it is tried.
const TRIES: u8 = 5;

/// Signs in, or says why not.
pub async fn sign_in(pool: &Pool, ready: &Ready, sign_in: &SignIn) -> Result<SignedIn> {
    if let Some(refusal) = too_long(&ready.adopted, &sign_in.identity.subject) {
        return Ok(SignedIn::Refused(refusal));
    }
    let _timed = metrics::database(Operation::Write);
    timeout(LIMIT, try_often(pool, ready, sign_in)).await.map_err(|_| late("the sign-in", LIMIT))?
}

fn too_long(adopted: &Adopted, subject: &str) -> Option<Refusal> {
    let width = adopted.id.width?;
    let (length, table) = (subject.chars().count(), adopted.table.clone());
    (length > width).then_some(Refusal::IdTooLong { table, width, length })
}

/// How far a try came that failed.
enum Failed {
    /// Nothing of it is kept.
    Before(Error),
    /// `commit` was sent for this user, and failed or was not answered.
    Under(Error, Box<User>),
}

impl From<Error> for Failed {
    fn from(error: Error) -> Self {
        Self::Before(error)
    }
}

async fn try_often(pool: &Pool, ready: &Ready, sign_in: &SignIn) -> Result<SignedIn> {
    let mut last = StoreError::Unavailable("it was not asked".to_owned());
    // Whom a `commit` without an answer was about; it may be done only after the next try has begun.
    let mut unanswered: Option<User> = None;
    let mut needs_fresh = false;
    for attempt in 0..TRIES {
        if attempt > 0 {
            sleep(pause(&sign_in.session, attempt)).await;
        }
        let taken = if needs_fresh { pool.take_fresh(Purpose::Write).await } else { pool.take(Purpose::Write).await };
        let mut lease = match taken {
            Ok(lease) => lease,
            Err(error) if unanswered.is_some() => {
                last = error;
                continue;
            }
            Err(error) => return Err(error),
        };
        if let Some(user) = &unanswered
            && is_kept(lease.conn(), &sign_in.session).await.map_err(|error| store_error(&error))?
        {
            lease.give_back();
            return Ok(SignedIn::Opened(user.clone()));
        }
        let error = match once(&mut lease, ready, sign_in).await {
            Ok(answer) => {
                lease.give_back();
                return Ok(answer);
            }
            Err(Failed::Under(error, user)) => {
                if remedy(&error) == Remedy::Reconnect {
                    unanswered = Some(*user);
                }
                error
            }
            Err(Failed::Before(error)) => error,
        };
        last = store_error(&error);
        let is_worth_another = pool.is_worth_another(&lease, &error);
        if is_worth_another || remedy(&error) == Remedy::Reconnect {
            if !is_worth_another && attempt > 0 && unanswered.is_none() {
                return Err(last);
            }
            needs_fresh = true;
            continue;
        }
        // After a lock wait the transaction is still open, with half of it done.
        if lease.conn().query_drop("rollback").await.is_ok() {
            lease.give_back();
        }
        // A row that stands there already was written by somebody who was faster: next time it is found.
        if matches!(remedy(&error), Remedy::None | Remedy::Elsewhere) && duplicate_key(&error).is_none() {
            return Err(last);
        }
    }
    Err(last)
}

/// A pause that differs between those who stood in each other's way; the hash of the handle is random enough.
fn pause(session: &Session, attempt: u8) -> Duration {
    let byte = session.handle.as_bytes()[usize::from(attempt)];
    Duration::from_millis(10 + u64::from(byte) * (u64::from(attempt) + 1) / 8)
}

/// Whether the session stands in the database.
async fn is_kept(conn: &mut Conn, session: &Session) -> mysql_async::Result<bool> {
    let sql = "select 1 from doorward_sessions where handle = ?";
    let (rows, _) = exec(conn, sql, vec![param(session.handle.as_bytes())]).await?;
    Ok(!rows.is_empty())
}

/// One try. Leaves the transaction open where it fails.
async fn once(lease: &mut Lease, ready: &Ready, sign_in: &SignIn) -> std::result::Result<SignedIn, Failed> {
    lease.begin().await?;
    let conn = lease.conn();
    match remember(conn, ready, sign_in).await? {
        SignedIn::Refused(refusal) => {
            conn.query_drop("rollback").await?;
            Ok(SignedIn::Refused(refusal))
        }
        SignedIn::Opened(user) => match conn.query_drop("commit").await {
            Ok(()) => Ok(SignedIn::Opened(user)),
            Err(error) => Err(Failed::Under(error, Box::new(user))),
        },
    }
}

async fn remember(conn: &mut Conn, ready: &Ready, sign_in: &SignIn) -> mysql_async::Result<SignedIn> {
    let (identity, now) = (&sign_in.identity, sign_in.session.created_at);
    let sql = "select user_id, created_at, blocked_at from doorward_identities where issuer = ? and subject = ? \
               for update";
    let params = vec![param(identity.issuer.as_str()), param(identity.subject.as_str())];
    let known: Option<(String, i64, Option<i64>)> = conn.exec_first(sql, params).await?;
    let (id, created_at, is_new) = match known {
        Some((_, _, Some(_))) => return Ok(SignedIn::Refused(Refusal::Blocked)),
        Some((id, created_at, None)) => (id, Timestamp::from_unix(created_at), false),
        None => (identity.subject.clone(), now, true),
    };
    if is_new && is_kept_out(conn, sign_in).await? {
        return Ok(SignedIn::Refused(Refusal::Blocked));
    }
    if is_new && is_claimed(conn, &id, sign_in).await? {
        return Ok(SignedIn::Refused(Refusal::Claimed));
    }
    let user =
        User { id: UserId::new(id), identity: identity.clone(), created_at, last_login_at: now, blocked_at: None };
    // Our own row first: those who sign in for the first time twice meet here, not in the site's table.
    write_identity(conn, &user, is_new).await?;
    if is_new {
        // Nothing that was written while they were being deleted comes back with them.
        end_all(conn, user.id.as_str()).await?;
    }
    // Rows that were there before us belong to the issuer on record; another one's equal subject is somebody else.
    let may_take_over = !is_new || ready.issuer.as_ref() == Some(&user.identity.issuer);
    if let Some(refusal) = write_row(conn, &ready.adopted, &user, may_take_over, sign_in.sign_up).await? {
        return Ok(SignedIn::Refused(refusal));
    }
    if let Some(previous) = &sign_in.previous {
        let sql = "delete from doorward_sessions where handle = ?";
        exec(conn, sql, vec![param(previous.as_bytes())]).await?;
    }
    insert_session(conn, &sign_in.session, &user.id).await?;
    end_oldest(conn, &user.id, &sign_in.session, sign_in.most_sessions).await?;
    insert_event(conn, &sign_in.event).await?;
    Ok(SignedIn::Opened(user))
}

/// Whether they were blocked before they were deleted.
async fn is_kept_out(conn: &mut Conn, sign_in: &SignIn) -> mysql_async::Result<bool> {
    let left = tombstone::of(&sign_in.identity.issuer, &sign_in.identity.subject);
    let (rows, _) = exec(conn, "select 1 from doorward_blocks where identity = ?", vec![param(left)]).await?;
    Ok(!rows.is_empty())
}

/// Whether another identity has this id already.
async fn is_claimed(conn: &mut Conn, id: &str, sign_in: &SignIn) -> mysql_async::Result<bool> {
    // Their own may have been written since it was looked for, by a sign-in at the same moment.
    let sql = "select 1 from doorward_identities where user_id = ? and not (issuer = ? and subject = ?)";
    let identity = &sign_in.identity;
    let params = vec![param(id), param(identity.issuer.as_str()), param(identity.subject.as_str())];
    let (rows, _) = exec(conn, sql, params).await?;
    Ok(!rows.is_empty())
}

/// Writes the row of the site's table: found by its id alone, so that no other unique key can hand one person's row to
/// another.
async fn write_row(
    conn: &mut Conn,
    adopted: &Adopted,
    user: &User,
    may_take_over: bool,
    sign_up: SignUp,
) -> mysql_async::Result<Option<Refusal>> {
    let similar = |existing: String| Refusal::SimilarId { table: adopted.table.clone(), existing };
    let (subject, mark) = (user.id.as_str(), as_id(adopted, "?"));
    let (table, id) = (quoted(&adopted.table), quoted(&adopted.id.name));
    let found = format!("select {} from {table} u where u.{id} = {mark} for update", id_bytes(adopted, "u"));
    let (found, _) = exec(conn, &found, vec![param(subject)]).await?;
    let found: Vec<Vec<u8>> = found.iter().filter_map(|row| row.get(0)).collect();
    if let Some(existing) = found.iter().find(|id| *id != subject.as_bytes()) {
        return Ok(Some(similar(String::from_utf8_lossy(existing).into_owned())));
    }
    // A column of fixed width gives back no blanks at the end: the row would never be found again.
    if subject.ends_with(' ') && adopted.id.type_name.to_ascii_lowercase().starts_with("char") {
        return Ok(Some(similar(subject.trim_end().to_owned())));
    }
    let is_theirs = !found.is_empty();
    if is_theirs && !may_take_over {
        return Ok(Some(Refusal::Claimed));
    }
    if !is_theirs && sign_up == SignUp::Existing {
        return Ok(Some(Refusal::Newcomer { table: adopted.table.clone() }));
    }
    let (names, mut given) = values(conn, adopted, user).await?;
    if is_theirs && names.is_empty() {
        return Ok(None);
    }
    given.push(param(subject));
    if !is_theirs {
        // Whose row the site deleted was signed out by that: a row written again must not let the old ones in again.
        end_all(conn, subject).await?;
    }
    let statement = if is_theirs {
        let sets: Vec<String> = names.iter().map(|name| format!("{name} = ?")).collect();
        format!("update {table} set {} where {id} = {mark}", sets.join(", "))
    } else {
        let marks = "?, ".repeat(names.len());
        let names: String = names.iter().map(|name| format!("{name}, ")).collect();
        format!("insert into {table} ({names}{id}) values ({marks}{mark})")
    };
    match exec(conn, &statement, given).await {
        Ok(_) => Ok(None),
        Err(error) => match duplicate_key(&error) {
            // Somebody else wrote the row of the same id meanwhile: next time it is found.
            Some(key) if adopted.id_keys.contains(&key) => Err(error),
            Some(key) => Ok(Some(Refusal::UniqueKey { table: adopted.table.clone(), key })),
            None => Err(error),
        },
    }
}

/// The columns beside the id, quoted, and what goes into them.
async fn values(
    conn: &mut Conn,
    adopted: &Adopted,
    user: &User,
) -> mysql_async::Result<(Vec<String>, Vec<mysql_async::Value>)> {
    let mut held = user.identity.clone();
    if let Some(column) = &adopted.email {
        held.email = as_held(conn, column, &held.email).await?;
    }
    for (column, text) in [(&adopted.name, &mut held.name), (&adopted.picture, &mut held.picture)] {
        if let (Some(column), Some(text)) = (column, text) {
            *text = as_held(conn, column, text).await?;
        }
    }
    let values = adopted.values(&user.identity, &held);
    Ok(values.into_iter().map(|(column, value)| (quoted(&column.name), param(value))).unzip())
}

async fn write_identity(conn: &mut Conn, user: &User, is_new: bool) -> mysql_async::Result<()> {
    let sql = if is_new {
        "insert into doorward_identities (provider, email, email_folded, email_verified, hosted_domain, name, \
         picture, last_login_at, issuer, subject, user_id, created_at) \
         values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
    } else {
        "update doorward_identities set provider = ?, email = ?, email_folded = ?, email_verified = ?, \
         hosted_domain = ?, name = ?, picture = ?, last_login_at = ? \
         where issuer = ? and subject = ? and user_id = ? and created_at = ?"
    };
    let identity = &user.identity;
    let params = vec![
        param(identity.provider.as_str()),
        param(identity.email.as_str()),
        param(identity.email.to_ascii_lowercase()),
        param(identity.email_verified),
        param(identity.hosted_domain.as_deref()),
        param(identity.name.as_deref()),
        param(identity.picture.as_deref()),
        param(user.last_login_at.unix()),
        param(identity.issuer.as_str()),
        param(identity.subject.as_str()),
        param(user.id.as_str()),
        param(user.created_at.unix()),
    ];
    exec(conn, sql, params).await.map(drop)
}

async fn insert_session(conn: &mut Conn, session: &Session, user_id: &UserId) -> mysql_async::Result<()> {
    let sql = "insert into doorward_sessions (handle, user_id, created_at, last_seen_at, expires_at, address, \
               user_agent, proved_at) values (?, ?, ?, ?, ?, ?, ?, ?)";
    let params = vec![
        param(session.handle.as_bytes()),
        param(user_id.as_str()),
        param(session.created_at.unix()),
        param(session.last_seen_at.unix()),
        param(session.expires_at.unix()),
        param(session.address.as_str()),
        param(session.user_agent.as_str()),
        param(session.proved_at.map(Timestamp::unix)),
    ];
    exec(conn, sql, params).await.map(drop)
}

/// Ends the oldest sessions of `user_id`, so that no more than `most` are left; `newest` is one of those.
async fn end_oldest(conn: &mut Conn, user_id: &UserId, newest: &Session, most: u32) -> mysql_async::Result<()> {
    // Looked up first and ended one by one: a delete that searches would lock the rows of others' sign-ins.
    let sql = "select handle from doorward_sessions where user_id = ? and handle <> ? \
               order by created_at desc, handle desc limit 1000 offset ?";
    let params = vec![param(user_id.as_str()), param(newest.handle.as_bytes()), param(most.saturating_sub(1))];
    let (rows, _) = exec(conn, sql, params).await?;
    for handle in rows.iter().filter_map(|row| row.get::<Vec<u8>, _>(0)) {
        exec(conn, "delete from doorward_sessions where handle = ?", vec![param(handle)]).await?;
    }
    Ok(())
}
