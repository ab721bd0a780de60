//! Keys that all instances share.

use async_trait::async_trait;
use rusqlite::{Connection, Row, params};

use crate::clock::Timestamp;
use crate::store::sqlite::{Change, Sqlite};
use crate::store::{Key, Keys, Result, SigningKey};

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

    async fn add_sealing_key(&self, key: &Key) -> Result<()> {
        let key = key.clone();
        self.write(move |tx, _| {
            let sql = "insert or ignore into doorward_keys (id, secret, created_at) values (?1, ?2, ?3)";
            tx.execute(sql, params![key.id, key.secret, key.created_at.unix()])?;
            Ok(Change::Keep(()))
        })
        .await
    }

    async fn forget_sealing_keys_before(&self, id: u32) -> Result<u64> {
        self.write(move |tx, _| {
            let forgotten = tx.execute("delete from doorward_keys where id < ?1", params![id])?;
            Ok(Change::Keep(forgotten as u64))
        })
        .await
    }

    async fn signing_keys(&self) -> Result<Vec<SigningKey>> {
        self.read(|conn, _| {
            let sql =
                "select number, private_key, created_at, signs_from from doorward_signing_keys order by number desc";
            let mut rows = conn.prepare_cached(sql)?;
            let key = |row: &Row<'_>| {
                Ok(SigningKey {
                    number: row.get(0)?,
                    pkcs8: row.get(1)?,
                    created_at: Timestamp::from_unix(row.get(2)?),
                    signs_from: Timestamp::from_unix(row.get(3)?),
                })
            };
            rows.query_map([], key)?.collect()
        })
        .await
    }

    async fn add_signing_key(&self, key: &SigningKey) -> Result<()> {
        let key = key.clone();
        self.write(move |tx, _| {
            let sql = "insert or ignore into doorward_signing_keys (number, private_key, created_at, signs_from) \
                       values (?1, ?2, ?3, ?4)";
            let (created_at, signs_from) = (key.created_at.unix(), key.signs_from.unix());
            tx.execute(sql, params![key.number, key.pkcs8, created_at, signs_from])?;
            Ok(Change::Keep(()))
        })
        .await
    }

    async fn forget_signing_keys_before(&self, number: u32) -> Result<u64> {
        self.write(move |tx, _| {
            let forgotten = tx.execute("delete from doorward_signing_keys where number < ?1", params![number])?;
            Ok(Change::Keep(forgotten as u64))
        })
        .await
    }
}

fn list(conn: &Connection) -> rusqlite::Result<Vec<Key>> {
    let mut rows = conn.prepare_cached("select id, secret, created_at from doorward_keys order by id desc")?;
    let key =
        |row: &Row<'_>| Ok(Key { id: row.get(0)?, secret: row.get(1)?, created_at: Timestamp::from_unix(row.get(2)?) });
    rows.query_map([], key)?.collect()
}
