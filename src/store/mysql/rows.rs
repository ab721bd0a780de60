//! From a row to what it holds.

use mysql_async::Row;
use mysql_async::prelude::FromValue;

use crate::clock::Timestamp;
use crate::credential::Hashed;
use crate::model::{Identity, Session, Token, User, UserId};
use crate::store::short::scope;
use crate::store::{Result, StoreError};

/// What a [`User`] is read from, in the order that [`user`] expects; the table is called `i`.
pub const USER: &str = "i.user_id, i.provider, i.issuer, i.subject, i.email, i.email_verified, i.hosted_domain, \
                        i.name, i.picture, i.created_at, i.last_login_at, i.blocked_at";

/// What a [`Session`] is read from, in the order that [`session`] expects; the table is called `s`.
pub const SESSION: &str =
    "s.handle, s.user_id, s.created_at, s.last_seen_at, s.expires_at, s.address, s.user_agent, s.proved_at";

/// What a [`Token`] is read from, in the order that [`token`] expects; the table is called `t`.
pub const TOKEN: &str = "t.hash, t.user_id, t.name, t.last_four, t.created_at, t.expires_at, t.last_used_at, \
                         t.scope";

/// The value in a column of `row`.
pub fn value<T: FromValue>(row: &Row, place: usize) -> Result<T> {
    match row.get_opt(place) {
        Some(Ok(value)) => Ok(value),
        // The value itself may be secret: it is not told.
        _ => Err(StoreError::Refused(format!("column {place} of a row holds what it should not"))),
    }
}

/// The value in a column of `row`, which does not hold it any more: texts are not copied.
fn taken<T: FromValue>(row: &mut Row, place: usize) -> Result<T> {
    match row.take_opt(place) {
        Some(Ok(value)) => Ok(value),
        _ => Err(StoreError::Refused(format!("column {place} of a row holds what it should not"))),
    }
}

fn moment(row: &mut Row, place: usize) -> Result<Timestamp> {
    taken(row, place).map(Timestamp::from_unix)
}

fn moment_if_any(row: &mut Row, place: usize) -> Result<Option<Timestamp>> {
    Ok(taken::<Option<i64>>(row, place)?.map(Timestamp::from_unix))
}

/// 32 bytes in a column of `row`.
pub fn bytes(row: &Row, place: usize) -> Result<[u8; 32]> {
    let bytes: Vec<u8> = value(row, place)?;
    bytes.try_into().map_err(|_| StoreError::Refused(format!("column {place} of a row does not hold 32 bytes")))
}

fn hash(row: &mut Row, place: usize) -> Result<[u8; 32]> {
    let bytes: Vec<u8> = taken(row, place)?;
    bytes.try_into().map_err(|_| StoreError::Refused(format!("column {place} of a row does not hold 32 bytes")))
}

/// The user in a row of [`USER`] that begins at column `first`.
pub fn user(row: &mut Row, first: usize) -> Result<User> {
    let identity = Identity {
        provider: taken(row, first + 1)?,
        issuer: taken(row, first + 2)?,
        subject: taken(row, first + 3)?,
        email: taken(row, first + 4)?,
        email_verified: taken(row, first + 5)?,
        hosted_domain: taken(row, first + 6)?,
        name: taken(row, first + 7)?,
        picture: taken(row, first + 8)?,
    };
    Ok(User {
        id: UserId::new(taken::<String>(row, first)?),
        identity,
        created_at: moment(row, first + 9)?,
        last_login_at: moment(row, first + 10)?,
        blocked_at: moment_if_any(row, first + 11)?,
    })
}

/// The session in a row of [`SESSION`].
pub fn session(row: &mut Row) -> Result<Session> {
    Ok(Session {
        handle: Hashed::from_bytes(hash(row, 0)?),
        user_id: UserId::new(taken::<String>(row, 1)?),
        created_at: moment(row, 2)?,
        last_seen_at: moment(row, 3)?,
        expires_at: moment(row, 4)?,
        address: taken(row, 5)?,
        user_agent: taken(row, 6)?,
        proved_at: moment_if_any(row, 7)?,
    })
}

/// The token in a row of [`TOKEN`].
pub fn token(row: &mut Row) -> Result<Token> {
    Ok(Token {
        hash: Hashed::from_bytes(hash(row, 0)?),
        user_id: UserId::new(taken::<String>(row, 1)?),
        name: taken(row, 2)?,
        last_four: taken(row, 3)?,
        created_at: moment(row, 4)?,
        expires_at: moment(row, 5)?,
        last_used_at: moment_if_any(row, 6)?,
        scope: scope(&value::<String>(row, 7)?),
    })
}
