//! Makes the tables ready, in one transaction: of instances that start together the others wait, and find it done.

use rusqlite::{Connection, OptionalExtension, TransactionBehavior, params};

use crate::clock::Timestamp;
use crate::store::adoption::{self, Adopted, Column, Holds, UniqueKey, unusable};
use crate::store::migrate::{ISSUER, SQLITE, Survey};
use crate::store::sqlite::store_error;
use crate::store::{Result, StoreError};

const META: &str = "create table if not exists doorward_meta (
    name text not null primary key,
    value text not null,
    changed_at integer not null
) strict, without rowid";

/// Does what is missing and records `issuer`. What is there afterwards.
pub fn prepare(conn: &mut Connection, table: &str, issuer: Option<&str>, now: Timestamp) -> Result<Survey> {
    let found = survey(conn, table)?;
    if found.is_complete() && !found.must_record(issuer)? {
        return Ok(found);
    }
    let tx = conn.transaction_with_behavior(TransactionBehavior::Immediate).map_err(store_error)?;
    // Another instance may have been faster.
    let found = survey(&tx, table)?;
    let record = found.must_record(issuer)?;
    let keep = |name: &str, value: &str| {
        let kept = "insert into doorward_meta (name, value, changed_at) values (?1, ?2, ?3)";
        tx.execute(kept, params![name, value, now.unix()]).map_err(store_error)
    };
    if found.users.is_some() && !found.has_meta && has_rows(&tx, table)? {
        tracing::warn!("{}", adoption::takes_over(table));
    }
    tx.execute_batch(META).map_err(store_error)?;
    if found.users.is_none() {
        tx.execute_batch(&users_table(table)).map_err(store_error)?;
    }
    for step in &found.pending {
        for statement in step.statements() {
            match tx.execute_batch(&statement) {
                // Whoever died half-way had added it already.
                Err(error) if error.to_string().contains("duplicate column name") => {}
                done => done.map_err(store_error)?,
            }
        }
        let (name, value) = step.record();
        keep(&name, &value)?;
    }
    if let Some(issuer) = issuer.filter(|_| record) {
        keep(ISSUER, issuer)?;
    }
    let done = survey(&tx, table)?;
    tx.commit().map_err(store_error)?;
    Ok(done)
}

/// What of the table of users will fail somebody later, or is to be known before it is adopted.
pub fn warnings(conn: &Connection, table: &str) -> Result<Vec<String>> {
    let Some(users) = adopt(conn, table)? else { return Ok(Vec::new()) };
    let mut warnings = users.warnings();
    if kind_of(conn, "doorward_meta").map_err(store_error)?.is_none() && has_rows(conn, table)? {
        warnings.push(adoption::takes_over(table));
    }
    Ok(warnings)
}

fn has_rows(conn: &Connection, table: &str) -> Result<bool> {
    let row = format!("select 1 from {} limit 1", quoted(table));
    let found = conn.query_row(&row, [], |_| Ok(())).optional().map_err(store_error)?;
    Ok(found.is_some())
}

/// Looks at what is there.
pub fn survey(conn: &Connection, table: &str) -> Result<Survey> {
    let users = adopt(conn, table)?;
    let meta = match kind_of(conn, "doorward_meta").map_err(store_error)? {
        Some(_) => Some(read_meta(conn).map_err(store_error)?),
        None => None,
    };
    Survey::new(SQLITE, meta.as_deref(), users)
}

fn read_meta(conn: &Connection) -> rusqlite::Result<Vec<(String, String)>> {
    let mut rows = conn.prepare("select name, value from doorward_meta order by name")?;
    rows.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?.collect()
}

/// The public table, as the contract describes it.
fn users_table(table: &str) -> String {
    format!(
        "create table {} (id varchar(255) not null primary key, email varchar(320) not null, name varchar(255), \
         picture varchar(2048))",
        quoted(table)
    )
}

/// `name` as an identifier.
pub fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// `table`, `view`, or nothing of that name.
fn kind_of(conn: &Connection, name: &str) -> rusqlite::Result<Option<String>> {
    let kind = "select type from sqlite_master where lower(name) = lower(?1) and type in ('table', 'view')";
    conn.query_row(kind, [name], |row| row.get(0)).optional()
}

/// The table of users as it is now, where there is one.
pub fn adopt(conn: &Connection, table: &str) -> Result<Option<Adopted>> {
    let Some(kind) = kind_of(conn, table).map_err(store_error)? else { return Ok(None) };
    if kind == "view" {
        return Err(unusable(table, "is a view, and people must be written to a table"));
    }
    if table.to_ascii_lowercase().starts_with("doorward_") {
        return Err(StoreError::Schema(format!("{table} is a table of Doorward's own: choose another users_table")));
    }
    let columns = columns(conn, table).map_err(store_error)?;
    let keys = unique_keys(conn, table).map_err(store_error)?;
    let is_id = |key: &&UniqueKey| matches!(key.columns.as_slice(), [only] if only.eq_ignore_ascii_case("id"));
    let id_keys = keys.iter().filter(is_id).map(|key| key.name.clone()).collect();
    Ok(Some(Adopted::new(table, columns, id_keys)?.with_unique_keys(keys)))
}

fn columns(conn: &Connection, table: &str) -> rusqlite::Result<Vec<Column>> {
    let mut rows =
        conn.prepare("select name, type, \"notnull\", dflt_value, hidden, pk from pragma_table_xinfo(?1)")?;
    rows.query_map([table], |row| {
        let type_name: String = row.get(1)?;
        let (not_null, default, hidden): (bool, Option<String>, i64) = (row.get(2)?, row.get(3)?, row.get(4)?);
        let is_rowid = row.get::<_, i64>(5)? > 0 && type_name.eq_ignore_ascii_case("integer");
        Ok(Column {
            name: row.get(0)?,
            holds: holds(&type_name),
            // SQLite reads the width of a type and holds nobody to it.
            width: None,
            octets: None,
            is_nullable: !not_null,
            has_default: default.is_some() || is_rowid,
            is_generated: matches!(hidden, 2 | 3),
            charset: None,
            collation: None,
            type_name,
        })
    })?
    .collect()
}

/// What SQLite makes of a declared type (its "type affinity"): in a column of numbers `007` would become `7`.
fn holds(type_name: &str) -> Holds {
    let name = type_name.to_ascii_uppercase();
    if name.contains("INT") {
        Holds::Other
    } else if ["CHAR", "CLOB", "TEXT"].iter().any(|word| name.contains(word)) || name.is_empty() {
        Holds::Text
    } else if name.contains("BLOB") {
        Holds::Bytes
    } else {
        Holds::Other
    }
}

/// The unique keys with their columns.
fn unique_keys(conn: &Connection, table: &str) -> rusqlite::Result<Vec<UniqueKey>> {
    let mut keys = conn.prepare("select name from pragma_index_list(?1) where \"unique\" and not partial")?;
    let keys: Vec<String> = keys.query_map([table], |row| row.get(0))?.collect::<rusqlite::Result<_>>()?;
    let mut columns = conn.prepare("select coalesce(name, '') from pragma_index_info(?1)")?;
    let with_columns = |name: String| {
        let columns = columns.query_map([&name], |row| row.get(0))?.collect::<rusqlite::Result<_>>()?;
        Ok(UniqueKey { name, columns })
    };
    keys.into_iter().map(with_columns).collect()
}
