//! Programs that wait for their person to let them in.

use async_trait::async_trait;
use mysql_async::{Conn, Row};

use crate::clock::Timestamp;
use crate::credential::Hashed;
use crate::model::{Device, DeviceState, Token, UserId};
use crate::store::mysql::pool::exec;
use crate::store::mysql::rows::{bytes, value};
use crate::store::mysql::tokens::{INSERT_TOKEN, has_room, is_let_in, token_params};
use crate::store::mysql::transaction::{Change, transact};
use crate::store::mysql::{Mysql, READ, WRITE, param};
use crate::store::short::scope;
use crate::store::{Devices, Redeemed, Result};

/// What a [`Device`] is read from, in the order that [`device`] expects.
const DEVICE: &str =
    "code, user_code, machine, address, scope, created_at, expires_at, polled_at, pause, state, user_id, network";

fn device(row: &Row) -> Result<Device> {
    let user_id = value::<Option<String>>(row, 10)?.map(UserId::new);
    Ok(Device {
        code: Hashed::from_bytes(bytes(row, 0)?),
        user_code: Hashed::from_bytes(bytes(row, 1)?),
        machine: value(row, 2)?,
        address: value(row, 3)?,
        network: value(row, 11)?,
        scope: scope(&value::<String>(row, 4)?),
        created_at: Timestamp::from_unix(value(row, 5)?),
        expires_at: Timestamp::from_unix(value(row, 6)?),
        polled_at: value::<Option<i64>>(row, 7)?.map(Timestamp::from_unix),
        pause: value(row, 8)?,
        state: DeviceState::read(&value::<String>(row, 9)?, user_id),
    })
}

#[async_trait]
impl Devices for Mysql {
    async fn ask_device(&self, device: &Device, most: u32, most_of_network: u32) -> Result<bool> {
        self.ready()?;
        let now = device.created_at.unix();
        let pending = "select count(*), cast(coalesce(sum(network = ?), 0) as signed) from doorward_devices \
                       where expires_at > ?";
        let rows = self.pool.rows(READ, pending, vec![param(device.network.as_str()), param(now)]).await?;
        let (all, of_network): (i64, i64) = match rows.first() {
            Some(row) => (value(row, 0)?, value(row, 1)?),
            None => (0, 0),
        };
        if all >= i64::from(most) || of_network >= i64::from(most_of_network) {
            return Ok(false);
        }
        // A code that stands there already is this very one, kept before the connection died.
        let sql = "insert into doorward_devices (code, user_code, machine, address, scope, created_at, expires_at, \
                   pause, state, network) values (?, ?, ?, ?, ?, ?, ?, ?, 'pending', ?) on duplicate key update code = code";
        let params = vec![
            param(device.code.as_bytes()),
            param(device.user_code.as_bytes()),
            param(device.machine.as_str()),
            param(device.address.as_str()),
            param(device.scope.as_str()),
            param(now),
            param(device.expires_at.unix()),
            param(device.pause),
            param(device.network.as_str()),
        ];
        self.pool.change(WRITE, sql, params).await?;
        // Two that drew the same short code: the second has no row of its own, and asks again.
        let sql = "select 1 from doorward_devices where code = ?";
        Ok(!self.pool.rows(READ, sql, vec![param(device.code.as_bytes())]).await?.is_empty())
    }

    async fn device_by_user_code(&self, user_code: &Hashed) -> Result<Option<Device>> {
        self.find("user_code", user_code).await
    }

    async fn decide_device(&self, user_code: &Hashed, user: &UserId, approved: bool, now: Timestamp) -> Result<bool> {
        self.ready()?;
        let state = if approved { "approved" } else { "denied" };
        // What they decided already is decided once more: the answer to it may have been lost.
        let sql = "update doorward_devices set state = ?, user_id = ? where user_code = ? and expires_at > ? \
                   and (state = 'pending' or (state = ? and user_id = ?))";
        let (user, code) = (user.as_str(), user_code.as_bytes());
        let params = vec![param(state), param(user), param(code), param(now.unix()), param(state), param(user)];
        Ok(self.pool.change(WRITE, sql, params).await? > 0)
    }

    async fn device_by_code(&self, code: &Hashed) -> Result<Option<Device>> {
        self.find("code", code).await
    }

    async fn note_poll(&self, code: &Hashed, now: Timestamp, pause: u32) -> Result<()> {
        self.ready()?;
        let sql = "update doorward_devices set polled_at = ?, pause = ? where code = ?";
        self.pool.change(WRITE, sql, vec![param(now.unix()), param(pause), param(code.as_bytes())]).await.map(drop)
    }

    async fn redeem_device(&self, code: &Hashed, token: &Token, most: u32) -> Result<Redeemed> {
        self.ready()?;
        let given = (code, token, most);
        transact(&self.pool, &given, |conn, (code, token, most)| Box::pin(redeem(conn, code, token, *most))).await
    }

    async fn sweep_devices(&self, before: Timestamp, limit: u32) -> Result<u64> {
        self.ready()?;
        let sql = "delete from doorward_devices where expires_at < ? order by expires_at limit ?";
        self.pool.change(WRITE, sql, vec![param(before.unix()), param(limit)]).await
    }
}

impl Mysql {
    async fn find(&self, column: &str, hash: &Hashed) -> Result<Option<Device>> {
        self.ready()?;
        let sql = format!("select {DEVICE} from doorward_devices where {column} = ?");
        let rows = self.pool.rows(READ, &sql, vec![param(hash.as_bytes())]).await?;
        rows.first().map(device).transpose()
    }
}

/// Of two that redeem at once the delete lets one through.
async fn redeem(conn: &mut Conn, code: &Hashed, token: &Token, most: u32) -> mysql_async::Result<Change<Redeemed>> {
    if !is_let_in(conn, &token.user_id).await? {
        return Ok(Change::Undo(Redeemed::Late));
    }
    let sql = "delete from doorward_devices where code = ? and state = 'approved' and user_id = ?";
    let (_, found) = exec(conn, sql, vec![param(code.as_bytes()), param(token.user_id.as_str())]).await?;
    if found == 0 {
        return Ok(Change::Undo(Redeemed::Late));
    }
    if !has_room(conn, &token.user_id, most).await? {
        return Ok(Change::Undo(Redeemed::Full));
    }
    exec(conn, INSERT_TOKEN, token_params(token)).await?;
    Ok(Change::Keep(Redeemed::Done))
}
