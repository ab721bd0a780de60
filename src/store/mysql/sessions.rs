//! Browsers that are signed in.

use async_trait::async_trait;
use mysql_async::Value;

use crate::clock::Timestamp;
use crate::credential::Hashed;
use crate::model::{Session, User, UserId};
use crate::store::adoption::Adopted;
use crate::store::mysql::adopt::join_users;
use crate::store::mysql::rows::{SESSION, USER, session, user, value};
use crate::store::mysql::transaction::change_once;
use crate::store::mysql::{Mysql, READ, VISITOR, WRITE, param};
use crate::store::order::in_order_of;
use crate::store::short::Range;
use crate::store::{Result, Sessions};

/// How many handles a statement asks for: a statement for each number would push the others out of the cache.
const SIZES: [usize; 5] = [1, 4, 16, 64, 256];

/// The statements that ask for so many handles, written once.
pub struct Lookups([String; SIZES.len()]);

impl Lookups {
    /// The statements where people stand in `adopted`: three lookups by key for each handle.
    pub fn new(adopted: &Adopted) -> Self {
        let join = join_users(adopted, "i.user_id");
        Self(SIZES.map(|size| {
            let marks = vec!["?"; size].join(", ");
            format!(
                "select {SESSION}, {USER} from doorward_sessions s join doorward_identities i on i.user_id = s.user_id \
                 {join} where s.handle in ({marks})"
            )
        }))
    }
}

#[async_trait]
impl Sessions for Mysql {
    async fn sessions_by_handle(&self, handles: &[Hashed]) -> Result<Vec<Option<(Session, User)>>> {
        let mut found = Vec::with_capacity(handles.len());
        for chunk in handles.chunks(SIZES[SIZES.len() - 1]) {
            let place = SIZES.partition_point(|size| *size < chunk.len());
            let filled = || chunk.iter().chain(std::iter::repeat(&chunk[0])).take(SIZES[place]);
            let params = || filled().map(|handle| param(handle.as_bytes())).collect();
            for mut row in self.ask(VISITOR, |ready| ready.lookups.0[place].clone(), params).await? {
                found.push((session(&mut row)?, user(&mut row, 8)?));
            }
        }
        Ok(in_order_of(handles, found))
    }

    async fn touch_session(&self, handle: &Hashed, seen_before: Timestamp, now: Timestamp) -> Result<()> {
        self.ready()?;
        let sql = "update doorward_sessions set last_seen_at = ? where handle = ? and last_seen_at < ?";
        let params = vec![param(now.unix()), param(handle.as_bytes()), param(seen_before.unix())];
        self.pool.change(WRITE, sql, params).await.map(drop)
    }

    async fn end_session(&self, handle: &Hashed) -> Result<Option<UserId>> {
        self.ready()?;
        let whose = "select user_id from doorward_sessions where handle = ?";
        let rows = self.pool.rows(READ, whose, vec![param(handle.as_bytes())]).await?;
        let Some(row) = rows.first() else { return Ok(None) };
        let user = UserId::new(value::<String>(row, 0)?);
        let sql = "delete from doorward_sessions where handle = ?";
        let ended = change_once(&self.pool, WRITE, sql, vec![param(handle.as_bytes())]).await? > 0;
        Ok(ended.then_some(user))
    }

    async fn end_sessions_named(&self, short: &str, user: Option<&UserId>) -> Result<u64> {
        self.ready()?;
        let Some(range) = Range::named(short) else { return Ok(0) };
        let mut params = vec![param(range.first), param(range.last)];
        params.extend(user.map(|id| param(id.as_str())));
        let whose = if user.is_some() { " and user_id = ?" } else { "" };
        let sql = format!("delete from doorward_sessions where handle between ? and ?{whose}");
        change_once(&self.pool, WRITE, &sql, params).await
    }

    async fn end_sessions_of(&self, user: &UserId, kept: Option<&Hashed>) -> Result<u64> {
        self.ready()?;
        let mut params = vec![param(user.as_str())];
        params.extend(kept.map(|handle| param(handle.as_bytes())));
        let but = if kept.is_some() { " and handle <> ?" } else { "" };
        let sql = format!("delete from doorward_sessions where user_id = ?{but}");
        change_once(&self.pool, WRITE, &sql, params).await
    }

    async fn sessions(
        &self,
        user: Option<&UserId>,
        after: Option<(Timestamp, Hashed)>,
        limit: u32,
    ) -> Result<Vec<Session>> {
        self.ready()?;
        let mut conditions = Vec::new();
        let mut params: Vec<Value> = Vec::new();
        if let Some(user) = user {
            conditions.push("s.user_id = ?");
            params.push(param(user.as_str()));
        }
        if let Some((then, handle)) = after {
            conditions.push("s.created_at <= ? and (s.created_at < ? or s.handle < ?)");
            params.extend([param(then.unix()), param(then.unix()), param(handle.as_bytes())]);
        }
        params.push(param(limit));
        let which = if conditions.is_empty() { String::new() } else { format!("where {} ", conditions.join(" and ")) };
        let newest = "order by s.created_at desc, s.handle desc limit ?";
        let sql = format!("select {SESSION} from doorward_sessions s {which}{newest}");
        self.pool.rows(READ, &sql, params).await?.iter_mut().map(session).collect()
    }

    async fn sessions_named(&self, short: &str) -> Result<Vec<Session>> {
        self.ready()?;
        let Some(range) = Range::named(short) else { return Ok(Vec::new()) };
        let sql = format!("select {SESSION} from doorward_sessions s where s.handle between ? and ?");
        let params = vec![param(range.first), param(range.last)];
        self.pool.rows(READ, &sql, params).await?.iter_mut().map(session).collect()
    }

    async fn count_sessions(&self, now: Timestamp, idle_since: Timestamp) -> Result<u64> {
        self.ready()?;
        let sql = "select count(*) from doorward_sessions where expires_at > ? and last_seen_at > ?";
        let rows = self.pool.rows(READ, sql, vec![param(now.unix()), param(idle_since.unix())]).await?;
        rows.first().map_or(Ok(0), |row| value(row, 0))
    }

    async fn sweep_sessions(&self, now: Timestamp, idle_since: Timestamp, limit: u32) -> Result<u64> {
        self.ready()?;
        let expired = "delete from doorward_sessions where expires_at < ? order by expires_at limit ?";
        let expired = self.pool.change(WRITE, expired, vec![param(now.unix()), param(limit)]).await?;
        let rest = u64::from(limit).saturating_sub(expired);
        let idle = "delete from doorward_sessions where last_seen_at < ? order by last_seen_at limit ?";
        let idle = self.pool.change(WRITE, idle, vec![param(idle_since.unix()), param(rest)]).await?;
        Ok(expired + idle)
    }
}
