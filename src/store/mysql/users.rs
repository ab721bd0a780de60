//! The people.

use async_trait::async_trait;
use mysql_async::Value;

use crate::model::{User, UserId};
use crate::store::mysql::adopt::join_users;
use crate::store::mysql::rows::{USER, user};
use crate::store::mysql::{Mysql, READ, Ready, param, sign_in};
use crate::store::{Result, SignIn, SignedIn, StoreError, Users};

#[async_trait]
impl Users for Mysql {
    async fn sign_in(&self, sign_in: &SignIn) -> Result<SignedIn> {
        match sign_in::sign_in(&self.pool, &*self.ready()?, sign_in).await {
            // The site may have changed its table since we looked; nothing was written, so it may be tried again.
            Err(StoreError::Refused(_)) => sign_in::sign_in(&self.pool, &*self.look_again().await?, sign_in).await,
            answer => answer,
        }
    }

    async fn user(&self, id: &UserId) -> Result<Option<User>> {
        let found = self.list_users("where i.user_id = ?", vec![param(id.as_str())]).await?;
        Ok(found.into_iter().next())
    }

    async fn users_by_email(&self, email: &str) -> Result<Vec<User>> {
        let folded = email.to_ascii_lowercase();
        self.list_users("where i.email_folded = ? order by i.user_id", vec![param(folded)]).await
    }

    async fn users(&self, after: Option<&UserId>, limit: u32) -> Result<Vec<User>> {
        let after = after.map(UserId::as_str).unwrap_or_default();
        let which = "where i.user_id > ? order by i.user_id limit ?";
        self.list_users(which, vec![param(after), param(limit)]).await
    }

    async fn blocked_users(&self, after: Option<&UserId>, limit: u32) -> Result<Vec<User>> {
        let after = after.map(UserId::as_str).unwrap_or_default();
        let which = "where i.blocked_at is not null and i.user_id > ? order by i.user_id limit ?";
        self.list_users(which, vec![param(after), param(limit)]).await
    }
}

impl Mysql {
    async fn list_users(&self, which: &str, params: Vec<Value>) -> Result<Vec<User>> {
        let sql = |ready: &Ready| {
            let join = join_users(&ready.adopted, "i.user_id");
            format!("select straight_join {USER} from doorward_identities i {join} {which}")
        };
        self.ask(READ, sql, || params.clone()).await?.iter_mut().map(|row| user(row, 0)).collect()
    }
}
