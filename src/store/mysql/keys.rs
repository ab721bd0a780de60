//! Keys that all instances share.

use async_trait::async_trait;

use crate::clock::Timestamp;
use crate::store::mysql::rows::{bytes, value};
use crate::store::mysql::{Mysql, READ, WRITE, param};
use crate::store::{Key, Keys, Result, SigningKey};

#[async_trait]
impl Keys for Mysql {
    async fn sealing_keys(&self, fresh: &[u8; 32], now: Timestamp) -> Result<Vec<Key>> {
        self.ready()?;
        let keys = self.list_keys().await?;
        if !keys.is_empty() {
            return Ok(keys);
        }
        // Whoever comes second finds the first one's key.
        let first =
            "insert into doorward_keys (id, secret, created_at) values (1, ?, ?) on duplicate key update id = id";
        self.pool.change(WRITE, first, vec![param(fresh), param(now.unix())]).await?;
        self.list_keys().await
    }

    async fn add_sealing_key(&self, key: &Key) -> Result<()> {
        self.ready()?;
        let sql = "insert into doorward_keys (id, secret, created_at) values (?, ?, ?) on duplicate key update id = id";
        let params = vec![param(key.id), param(key.secret), param(key.created_at.unix())];
        self.pool.change(WRITE, sql, params).await.map(drop)
    }

    async fn forget_sealing_keys_before(&self, id: u32) -> Result<u64> {
        self.ready()?;
        self.pool.change(WRITE, "delete from doorward_keys where id < ?", vec![param(id)]).await
    }

    async fn signing_keys(&self) -> Result<Vec<SigningKey>> {
        self.ready()?;
        let sql = "select number, private_key, created_at, signs_from from doorward_signing_keys order by number desc";
        let rows = self.pool.rows(READ, sql, Vec::new()).await?;
        let key = |row| {
            Ok(SigningKey {
                number: value(row, 0)?,
                pkcs8: value(row, 1)?,
                created_at: Timestamp::from_unix(value(row, 2)?),
                signs_from: Timestamp::from_unix(value(row, 3)?),
            })
        };
        rows.iter().map(key).collect()
    }

    async fn add_signing_key(&self, key: &SigningKey) -> Result<()> {
        self.ready()?;
        let sql = "insert into doorward_signing_keys (number, private_key, created_at, signs_from) \
                   values (?, ?, ?, ?) on duplicate key update number = number";
        let params = vec![
            param(key.number),
            param(key.pkcs8.as_slice()),
            param(key.created_at.unix()),
            param(key.signs_from.unix()),
        ];
        self.pool.change(WRITE, sql, params).await.map(drop)
    }

    async fn forget_signing_keys_before(&self, number: u32) -> Result<u64> {
        self.ready()?;
        let sql = "delete from doorward_signing_keys where number < ?";
        self.pool.change(WRITE, sql, vec![param(number)]).await
    }
}

impl Mysql {
    async fn list_keys(&self) -> Result<Vec<Key>> {
        let sql = "select id, secret, created_at from doorward_keys order by id desc";
        let rows = self.pool.rows(READ, sql, Vec::new()).await?;
        let key = |row| {
            let created_at = Timestamp::from_unix(value(row, 2)?);
            Ok(Key { id: value(row, 0)?, secret: bytes(row, 1)?, created_at })
        };
        rows.iter().map(key).collect()
    }
}
