//! Keys that all instances share.

use async_trait::async_trait;
use rusqlite::{Connection, params};

use crate::clock::Timestamp;
use crate::store::sqlite::{Change, Sqlite};
use crate::store::{Key, Keys, Result};

#[async_trait]
impl Keys for Sqlite {
    async fn sealing_keys(&self, fresh: &[u8; 32], now: Timestamp) -> Result<Vec<Key>> {
        let keys = self.read(|conn, _| list(conn)).await?;
        if !keys.is_empty() {
            return Ok(keys);
        }
        let fresh = *fresh;
        self.write(move |tx, _| {
            // Whoever comes second finds the first one's key.
            let first = "insert or ignore into doorward_keys (id, secret, created_at) values (1, ?1, ?2)";
            tx.execute(first, params![fresh, now.unix()])?;
            Ok(Change::Keep(list(tx)?))
        })
        .await
    }
}

fn list(conn: &Connection) -> rusqlite::Result<Vec<Key>> {
    let mut rows = conn.prepare_cached("select id, secret from doorward_keys order by id desc")?;
    rows.query_map([], |row| Ok(Key { id: row.get(0)?, secret: row.get(1)? }))?.collect()
}
