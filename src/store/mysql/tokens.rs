//! Credentials of programs.

use async_trait::async_trait;
use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Value};

use crate::clock::Timestamp;
use crate::credential::Hashed;
use crate::model::{Token, User, UserId};
use crate::store::error::ownerless;
use crate::store::mysql::adopt::join_users;
use crate::store::mysql::pool::exec;
use crate::store::mysql::rows::{TOKEN, USER, token, user};
use crate::store::mysql::transaction::{Change, change_once, transact};
use crate::store::mysql::{Mysql, READ, Ready, VISITOR, WRITE, param};
use crate::store::short::Range;
use crate::store::{Result, Tokens};

/// Keeps a new token. A hash that stands there already is this very token, kept before the connection died.
pub const INSERT_TOKEN: &str = "insert into doorward_tokens \
    (hash, user_id, name, last_four, created_at, expires_at, last_used_at, scope) \
    values (?, ?, ?, ?, ?, ?, ?, ?) on duplicate key update hash = hash";

/// The parameters of [`INSERT_TOKEN`].
pub fn token_params(token: &Token) -> Vec<Value> {
    vec![
        param(token.hash.as_bytes()),
        param(token.user_id.as_str()),
        param(token.name.as_str()),
        param(token.last_four.as_str()),
        param(token.created_at.unix()),
        param(token.expires_at.unix()),
        param(token.last_used_at.map(Timestamp::unix)),
        param(token.scope.as_str()),
    ]
}

/// Whether `user` is known and not kept out. Held until the end of the transaction: whoever blocks or deletes them
/// meanwhile comes after it, and finds what it wrote.
pub async fn is_let_in(conn: &mut Conn, user: &UserId) -> mysql_async::Result<bool> {
    let sql = "select 1 from doorward_identities where user_id = ? and blocked_at is null for update";
    let (known, _) = exec(conn, sql, vec![param(user.as_str())]).await?;
    Ok(!known.is_empty())
}

/// Whether `user` has fewer than `most` tokens. Holds for the rest of a transaction in which [`is_let_in`] was asked.
pub async fn has_room(conn: &mut Conn, user: &UserId, most: u32) -> mysql_async::Result<bool> {
    let sql = "select count(*) < ? from doorward_tokens where user_id = ?";
    Ok(conn.exec_first(sql, vec![param(most), param(user.as_str())]).await?.unwrap_or(false))
}

/// Keeps `token`. `None`: its user is out; `false`: they have `most` already.
async fn keep(conn: &mut Conn, token: &Token, most: u32) -> mysql_async::Result<Change<Option<bool>>> {
    if !is_let_in(conn, &token.user_id).await? {
        return Ok(Change::Undo(None));
    }
    if !has_room(conn, &token.user_id, most).await? {
        return Ok(Change::Undo(Some(false)));
    }
    exec(conn, INSERT_TOKEN, token_params(token)).await?;
    Ok(Change::Keep(Some(true)))
}

#[async_trait]
impl Tokens for Mysql {
    async fn create_token(&self, token: &Token, most: u32) -> Result<bool> {
        self.ready()?;
        let given = (token, most);
        let kept = transact(&self.pool, &given, |conn, (token, most)| Box::pin(keep(conn, token, *most))).await?;
        kept.ok_or_else(ownerless)
    }

    async fn token_by_hash(&self, hash: &Hashed) -> Result<Option<(Token, User)>> {
        let sql = |ready: &Ready| {
            let join = join_users(&ready.adopted, "i.user_id");
            format!(
                "select {TOKEN}, {USER} from doorward_tokens t \
                 join doorward_identities i on i.user_id = t.user_id {join} where t.hash = ?"
            )
        };
        let mut rows = self.ask(VISITOR, sql, || vec![param(hash.as_bytes())]).await?;
        rows.first_mut().map(|row| Ok((token(row)?, user(row, 8)?))).transpose()
    }

    async fn touch_token(&self, hash: &Hashed, used_before: Timestamp, now: Timestamp) -> Result<()> {
        self.ready()?;
        let sql = "update doorward_tokens set last_used_at = ? \
                   where hash = ? and (last_used_at is null or last_used_at < ?)";
        let params = vec![param(now.unix()), param(hash.as_bytes()), param(used_before.unix())];
        self.pool.change(WRITE, sql, params).await.map(drop)
    }

    async fn tokens(
        &self,
        user: Option<&UserId>,
        after: Option<(Timestamp, Hashed)>,
        limit: u32,
    ) -> Result<Vec<Token>> {
        self.ready()?;
        let mut conditions = Vec::new();
        let mut params: Vec<Value> = Vec::new();
        if let Some(user) = user {
            conditions.push("t.user_id = ?");
            params.push(param(user.as_str()));
        }
        if let Some((then, hash)) = after {
            conditions.push("t.created_at <= ? and (t.created_at < ? or t.hash < ?)");
            params.extend([param(then.unix()), param(then.unix()), param(hash.as_bytes())]);
        }
        params.push(param(limit));
        let which = if conditions.is_empty() { String::new() } else { format!("where {} ", conditions.join(" and ")) };
        let newest = "order by t.created_at desc, t.hash desc limit ?";
        let sql = format!("select {TOKEN} from doorward_tokens t {which}{newest}");
        self.pool.rows(READ, &sql, params).await?.iter_mut().map(token).collect()
    }

    async fn tokens_named(&self, short: &str) -> Result<Vec<Token>> {
        self.ready()?;
        let Some(range) = Range::named(short) else { return Ok(Vec::new()) };
        let sql = format!("select {TOKEN} from doorward_tokens t where t.hash between ? and ?");
        let params = vec![param(range.first), param(range.last)];
        self.pool.rows(READ, &sql, params).await?.iter_mut().map(token).collect()
    }

    async fn revoke_tokens_named(&self, short: &str, user: Option<&UserId>) -> Result<u64> {
        self.ready()?;
        let Some(range) = Range::named(short) else { return Ok(0) };
        let mut params = vec![param(range.first), param(range.last)];
        params.extend(user.map(|id| param(id.as_str())));
        let whose = if user.is_some() { " and user_id = ?" } else { "" };
        let sql = format!("delete from doorward_tokens where hash between ? and ?{whose}");
        change_once(&self.pool, WRITE, &sql, params).await
    }

    async fn revoke_tokens_of(&self, user: &UserId) -> Result<u64> {
        self.ready()?;
        let sql = "delete from doorward_tokens where user_id = ?";
        change_once(&self.pool, WRITE, sql, vec![param(user.as_str())]).await
    }

    async fn sweep_tokens(&self, now: Timestamp, limit: u32) -> Result<u64> {
        self.ready()?;
        let sql = "delete from doorward_tokens where expires_at < ? order by expires_at limit ?";
        self.pool.change(WRITE, sql, vec![param(now.unix()), param(limit)]).await
    }
}
