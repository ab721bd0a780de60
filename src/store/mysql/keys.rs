//! Keys that all instances share.

use async_trait::async_trait;

use crate::clock::Timestamp;
use crate::store::mysql::rows::{bytes, value};
use crate::store::mysql::{Mysql, READ, WRITE, param};
use crate::store::{Key, Keys, Result};

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
}

impl Mysql {
    async fn list_keys(&self) -> Result<Vec<Key>> {
        let rows = self.pool.rows(READ, "select id, secret from doorward_keys order by id desc", Vec::new()).await?;
        rows.iter().map(|row| Ok(Key { id: value(row, 0)?, secret: bytes(row, 1)? })).collect()
    }
}
