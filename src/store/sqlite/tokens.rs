//! Credentials of programs.

use async_trait::async_trait;
use rusqlite::types::Value;
use rusqlite::{Connection, OptionalExtension, Params, Row, Transaction, params, params_from_iter};

use crate::clock::Timestamp;
use crate::credential::Hashed;
use crate::model::{Token, User, UserId};
use crate::store::error::ownerless;
use crate::store::short::{Range, scope};
use crate::store::sqlite::users::{USER, join_users, read_user};
use crate::store::sqlite::{Change, Sqlite};
use crate::store::{Result, Tokens};

/// What a [`Token`] is read from, in the order that [`read_token`] expects; the table is called `t`.
const TOKEN: &str = "t.hash, t.user_id, t.name, t.last_four, t.created_at, t.expires_at, t.last_used_at, \
                     t.scope";

fn read_token(row: &Row<'_>) -> rusqlite::Result<Token> {
    Ok(Token {
        hash: Hashed::from_bytes(row.get(0)?),
        user_id: UserId::new(row.get::<_, String>(1)?),
        name: row.get(2)?,
        last_four: row.get(3)?,
        created_at: Timestamp::from_unix(row.get(4)?),
        expires_at: Timestamp::from_unix(row.get(5)?),
        last_used_at: row.get::<_, Option<i64>>(6)?.map(Timestamp::from_unix),
        scope: scope(&row.get::<_, String>(7)?),
    })
}

/// Whether `user` is known and not kept out.
pub fn is_let_in(tx: &Transaction<'_>, user: &UserId) -> rusqlite::Result<bool> {
    let known = "select 1 from doorward_identities where user_id = ?1 and blocked_at is null";
    tx.prepare_cached(known)?.exists([user.as_str()])
}

/// Whether `user` has fewer than `most` tokens.
pub fn has_room(tx: &Transaction<'_>, user: &UserId, most: u32) -> rusqlite::Result<bool> {
    let count = "select count(*) < ?1 from doorward_tokens where user_id = ?2";
    tx.prepare_cached(count)?.query_row(params![most, user.as_str()], |row| row.get(0))
}

#[async_trait]
impl Tokens for Sqlite {
    async fn create_token(&self, token: &Token, most: u32) -> Result<bool> {
        let token = token.clone();
        let kept = self.write(move |tx, _| {
            if !is_let_in(tx, &token.user_id)? {
                return Ok(Change::Undo(None));
            }
            if !has_room(tx, &token.user_id, most)? {
                return Ok(Change::Undo(Some(false)));
            }
            insert_token(tx, &token)?;
            Ok(Change::Keep(Some(true)))
        });
        kept.await?.ok_or_else(ownerless)
    }

    async fn token_by_hash(&self, hash: &Hashed) -> Result<Option<(Token, User)>> {
        let hash = *hash;
        self.read(move |conn, ready| {
            let join = join_users(&ready.adopted, "t.user_id");
            let mut rows = conn.prepare_cached(&format!(
                "select {TOKEN}, {USER} from doorward_tokens t \
                 join doorward_identities i on i.user_id = t.user_id {join} where t.hash = ?1"
            ))?;
            rows.query_row([hash.as_bytes()], |row| Ok((read_token(row)?, read_user(row, 8)?))).optional()
        })
        .await
    }

    async fn touch_token(&self, hash: &Hashed, used_before: Timestamp, now: Timestamp) -> Result<()> {
        let hash = *hash;
        let statement = "update doorward_tokens set last_used_at = ?1 \
                         where hash = ?2 and (last_used_at is null or last_used_at < ?3)";
        self.write(move |tx, _| {
            tx.prepare_cached(statement)?.execute(params![now.unix(), hash.as_bytes(), used_before.unix()])?;
            Ok(Change::Keep(()))
        })
        .await
    }

    async fn tokens(
        &self,
        user: Option<&UserId>,
        after: Option<(Timestamp, Hashed)>,
        limit: u32,
    ) -> Result<Vec<Token>> {
        let user = user.map(|id| id.as_str().to_owned());
        self.read(move |conn, _| {
            let mut conditions = Vec::new();
            let mut given: Vec<Value> = Vec::new();
            if let Some(user) = user {
                conditions.push("t.user_id = ?");
                given.push(user.into());
            }
            if let Some((then, hash)) = after {
                conditions.push("t.created_at <= ? and (t.created_at < ? or t.hash < ?)");
                given.extend([then.unix().into(), then.unix().into(), hash.as_bytes().to_vec().into()]);
            }
            given.push(limit.into());
            let which =
                if conditions.is_empty() { String::new() } else { format!("where {} ", conditions.join(" and ")) };
            let which = format!("{which}order by t.created_at desc, t.hash desc limit ?");
            list(conn, &which, params_from_iter(given))
        })
        .await
    }

    async fn tokens_named(&self, short: &str) -> Result<Vec<Token>> {
        let Some(range) = Range::named(short) else { return Ok(Vec::new()) };
        let which = "where t.hash between ?1 and ?2";
        self.read(move |conn, _| list(conn, which, params![range.first, range.last])).await
    }

    async fn revoke_tokens_named(&self, short: &str, user: Option<&UserId>) -> Result<u64> {
        let Some(range) = Range::named(short) else { return Ok(0) };
        let user = user.map(|id| id.as_str().to_owned());
        self.write(move |tx, _| {
            let statement = "delete from doorward_tokens where hash between ?1 and ?2 \
                             and (?3 is null or user_id = ?3)";
            Ok(Change::Keep(tx.execute(statement, params![range.first, range.last, user])? as u64))
        })
        .await
    }

    async fn revoke_tokens_of(&self, user: &UserId) -> Result<u64> {
        let user = user.as_str().to_owned();
        self.write(move |tx, _| {
            let statement = "delete from doorward_tokens where user_id = ?1";
            Ok(Change::Keep(tx.execute(statement, [user.as_str()])? as u64))
        })
        .await
    }

    async fn sweep_tokens(&self, now: Timestamp, limit: u32) -> Result<u64> {
        self.write(move |tx, _| {
            let expired = "delete from doorward_tokens where hash in \
                           (select hash from doorward_tokens where expires_at < ?1 limit ?2)";
            Ok(Change::Keep(tx.execute(expired, params![now.unix(), limit])? as u64))
        })
        .await
    }
}

fn list(conn: &Connection, which: &str, params: impl Params) -> rusqlite::Result<Vec<Token>> {
    let mut rows = conn.prepare_cached(&format!("select {TOKEN} from doorward_tokens t {which}"))?;
    rows.query_map(params, read_token)?.collect()
}

/// Keeps a new token.
pub fn insert_token(tx: &Transaction<'_>, token: &Token) -> rusqlite::Result<()> {
    tx.prepare_cached(
        "insert into doorward_tokens (hash, user_id, name, last_four, created_at, expires_at, last_used_at, scope) \
         values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
    )?
    .execute(params![
        token.hash.as_bytes(),
        token.user_id.as_str(),
        token.name,
        token.last_four,
        token.created_at.unix(),
        token.expires_at.unix(),
        token.last_used_at.map(Timestamp::unix),
        token.scope.as_str(),
    ])?;
    Ok(())
}
