//! Programs that wait for their person to let them in.

use async_trait::async_trait;
use rusqlite::{OptionalExtension, Row, params};

use crate::clock::Timestamp;
use crate::credential::Hashed;
use crate::model::{Device, DeviceState, Token, UserId};
use crate::store::short::scope;
use crate::store::sqlite::tokens::{has_room, insert_token, is_let_in};
use crate::store::sqlite::{Change, Sqlite};
use crate::store::{Devices, Redeemed, Result};

/// What a [`Device`] is read from, in the order that [`read_device`] expects.
const DEVICE: &str =
    "code, user_code, machine, address, scope, created_at, expires_at, polled_at, pause, state, user_id, network";

fn read_device(row: &Row<'_>) -> rusqlite::Result<Device> {
    let user_id = row.get::<_, Option<String>>(10)?.map(UserId::new);
    Ok(Device {
        code: Hashed::from_bytes(row.get(0)?),
        user_code: Hashed::from_bytes(row.get(1)?),
        machine: row.get(2)?,
        address: row.get(3)?,
        network: row.get(11)?,
        scope: scope(&row.get::<_, String>(4)?),
        created_at: Timestamp::from_unix(row.get(5)?),
        expires_at: Timestamp::from_unix(row.get(6)?),
        polled_at: row.get::<_, Option<i64>>(7)?.map(Timestamp::from_unix),
        pause: row.get(8)?,
        state: DeviceState::read(&row.get::<_, String>(9)?, user_id),
    })
}

#[async_trait]
impl Devices for Sqlite {
    async fn ask_device(&self, device: &Device, most: u32, most_of_network: u32) -> Result<bool> {
        let device = device.clone();
        self.write(move |tx, _| {
            let now = device.created_at.unix();
            let pending = "select count(*), coalesce(sum(network = ?1), 0) from doorward_devices where expires_at > ?2";
            let (all, of_network): (u32, u32) =
                tx.query_row(pending, params![device.network, now], |row| Ok((row.get(0)?, row.get(1)?)))?;
            if all >= most || of_network >= most_of_network {
                return Ok(Change::Undo(false));
            }
            let sql = "insert into doorward_devices (code, user_code, machine, address, scope, created_at, expires_at, \
                       pause, state, network) values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, 'pending', ?9)";
            tx.prepare_cached(sql)?.execute(params![
                device.code.as_bytes(),
                device.user_code.as_bytes(),
                device.machine,
                device.address,
                device.scope.as_str(),
                now,
                device.expires_at.unix(),
                device.pause,
                device.network,
            ])?;
            Ok(Change::Keep(true))
        })
        .await
    }

    async fn device_by_user_code(&self, user_code: &Hashed) -> Result<Option<Device>> {
        let user_code = *user_code;
        self.read(move |conn, _| {
            let sql = format!("select {DEVICE} from doorward_devices where user_code = ?1");
            conn.prepare_cached(&sql)?.query_row([user_code.as_bytes()], read_device).optional()
        })
        .await
    }

    async fn decide_device(&self, user_code: &Hashed, user: &UserId, approved: bool, now: Timestamp) -> Result<bool> {
        let (user_code, user) = (*user_code, user.as_str().to_owned());
        let state = if approved { "approved" } else { "denied" };
        self.write(move |tx, _| {
            let sql = "update doorward_devices set state = ?1, user_id = ?2 where user_code = ?3 and expires_at > ?4 \
                       and (state = 'pending' or (state = ?1 and user_id = ?2))";
            let decided = tx.prepare_cached(sql)?.execute(params![state, user, user_code.as_bytes(), now.unix()])?;
            Ok(Change::Keep(decided > 0))
        })
        .await
    }

    async fn device_by_code(&self, code: &Hashed) -> Result<Option<Device>> {
        let code = *code;
        self.read(move |conn, _| {
            let sql = format!("select {DEVICE} from doorward_devices where code = ?1");
            conn.prepare_cached(&sql)?.query_row([code.as_bytes()], read_device).optional()
        })
        .await
    }

    async fn note_poll(&self, code: &Hashed, now: Timestamp, pause: u32) -> Result<()> {
        let code = *code;
        self.write(move |tx, _| {
            let sql = "update doorward_devices set polled_at = ?1, pause = ?2 where code = ?3";
            tx.prepare_cached(sql)?.execute(params![now.unix(), pause, code.as_bytes()])?;
            Ok(Change::Keep(()))
        })
        .await
    }

    async fn redeem_device(&self, code: &Hashed, token: &Token, most: u32) -> Result<Redeemed> {
        let (code, token) = (*code, token.clone());
        self.write(move |tx, _| {
            let sql = "delete from doorward_devices where code = ?1 and state = 'approved' and user_id = ?2";
            if !is_let_in(tx, &token.user_id)?
                || tx.execute(sql, params![code.as_bytes(), token.user_id.as_str()])? == 0
            {
                return Ok(Change::Undo(Redeemed::Late));
            }
            if !has_room(tx, &token.user_id, most)? {
                return Ok(Change::Undo(Redeemed::Full));
            }
            insert_token(tx, &token)?;
            Ok(Change::Keep(Redeemed::Done))
        })
        .await
    }

    async fn sweep_devices(&self, before: Timestamp, limit: u32) -> Result<u64> {
        self.write(move |tx, _| {
            let sql = "delete from doorward_devices where code in \
                       (select code from doorward_devices where expires_at < ?1 limit ?2)";
            Ok(Change::Keep(tx.execute(sql, params![before.unix(), limit])? as u64))
        })
        .await
    }
}
