//! The site's own table of users as the server describes it, and how to compare with its ids.

use mysql_async::{Conn, Row};

use crate::store::adoption::{Adopted, Column, Holds, UniqueKey, unusable};
use crate::store::mysql::errors::store_error;
use crate::store::mysql::pool::exec;
use crate::store::mysql::rows::value;
use crate::store::mysql::{param, quoted};
use crate::store::{Result, StoreError};

const COLUMNS: &str = "select column_name, data_type, column_type, character_maximum_length, character_octet_length, \
                       is_nullable, column_default, extra, character_set_name, collation_name, table_name \
                       from information_schema.columns where table_schema = database() and table_name = ? \
                       order by ordinal_position";

/// Keys as their name, the number of their columns, whether one of them is the whole of `id`, and all of them.
const KEYS: &str = "select index_name, count(*), max(lower(column_name) = 'id' and sub_part is null), \
                    group_concat(column_name order by seq_in_index) \
                    from information_schema.statistics \
                    where table_schema = database() and table_name = ? and non_unique = 0 group by index_name";

/// The kind of the table or view called `table`, `None` where there is none.
pub async fn kind_of(conn: &mut Conn, table: &str) -> Result<Option<String>> {
    let sql = "select table_name, table_type, @@lower_case_table_names \
               from information_schema.tables where table_schema = database() and table_name = ?";
    let (rows, _) = exec(conn, sql, vec![param(table)]).await.map_err(|error| store_error(&error))?;
    for row in &rows {
        let (name, folds): (String, i64) = (value(row, 0)?, value(row, 2)?);
        // Some servers find a table here by any case that they would not find in a statement.
        if name == table || (folds != 0 && name.eq_ignore_ascii_case(table)) {
            return value(row, 1).map(Some);
        }
    }
    Ok(None)
}

/// The table of users, where there is one.
pub async fn adopt(conn: &mut Conn, table: &str) -> Result<Option<Adopted>> {
    let Some(kind) = kind_of(conn, table).await? else { return Ok(None) };
    if kind.contains("VIEW") {
        return Err(unusable(table, "is a view, and people must be written to a table"));
    }
    if table.to_ascii_lowercase().starts_with("doorward_") {
        return Err(StoreError::Schema(format!("{table} is a table of Doorward's own: choose another users_table")));
    }
    let (rows, _) = exec(conn, COLUMNS, vec![param(table)]).await.map_err(|error| store_error(&error))?;
    let columns = rows.iter().map(column).collect::<Result<Vec<_>>>()?;
    let (keys, _) = exec(conn, KEYS, vec![param(table)]).await.map_err(|error| store_error(&error))?;
    let (mut id_keys, mut unique_keys) = (Vec::new(), Vec::new());
    for key in &keys {
        if value::<i64>(key, 1)? == 1 && value::<i64>(key, 2)? == 1 {
            id_keys.push(value(key, 0)?);
        }
        // Of an index over an expression nobody tells the columns.
        let columns = value::<Option<String>>(key, 3)?.unwrap_or_else(|| "value".to_owned());
        let columns = columns.split(',').map(str::to_owned).collect();
        unique_keys.push(UniqueKey { name: value(key, 0)?, columns });
    }
    Ok(Some(Adopted::new(table, columns, id_keys)?.with_unique_keys(unique_keys)))
}

fn column(row: &Row) -> Result<Column> {
    let data_type = value::<String>(row, 1)?.to_ascii_lowercase();
    let (width, octets) = (value::<Option<u64>>(row, 3)?, value::<Option<u64>>(row, 4)?);
    let extra = value::<Option<String>>(row, 7)?.unwrap_or_default().to_ascii_uppercase();
    let default: Option<String> = value(row, 6)?;
    let holds = match data_type.as_str() {
        "char" | "varchar" | "tinytext" | "text" | "mediumtext" | "longtext" => Holds::Text,
        // `binary` fills every value up with zero bytes.
        "varbinary" | "tinyblob" | "blob" | "mediumblob" | "longblob" => Holds::Bytes,
        _ => Holds::Other,
    };
    let counts_octets = holds == Holds::Bytes || data_type.ends_with("text");
    let limit = |limit: Option<u64>| limit.map(|limit| usize::try_from(limit).unwrap_or(usize::MAX));
    Ok(Column {
        name: value(row, 0)?,
        type_name: value(row, 2)?,
        holds,
        width: limit(width),
        octets: if counts_octets { limit(octets) } else { None },
        is_nullable: value::<String>(row, 5)?.eq_ignore_ascii_case("yes"),
        // A list of words falls back on its first.
        has_default: default.is_some()
            || data_type == "enum"
            || extra.contains("AUTO_INCREMENT")
            || extra.contains("DEFAULT_GENERATED"),
        is_generated: extra.replace("DEFAULT_GENERATED", "").contains("GENERATED"),
        charset: value(row, 8)?,
        collation: value(row, 9)?,
    })
}

/// A word that the server gave us as the name of a character set or collation.
fn plain(name: &str) -> &str {
    let is_plain = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    if is_plain { name } else { "utf8mb4" }
}

/// `bytes`, an expression of our own tables or a parameter, as a value that the key of `adopted` finds.
pub fn as_id(adopted: &Adopted, bytes: &str) -> String {
    match (&adopted.id.charset, &adopted.id.collation) {
        (Some(charset), Some(collation)) => {
            format!("convert(convert({bytes} using utf8mb4) using {}) collate {}", plain(charset), plain(collation))
        }
        _ => format!("convert({bytes} using binary)"),
    }
}

/// The bytes of the id of the table called `alias`, to be compared with ours.
pub fn id_bytes(adopted: &Adopted, alias: &str) -> String {
    let id = quoted(&adopted.id.name);
    match adopted.id.charset {
        Some(_) => format!("convert(convert({alias}.{id} using utf8mb4) using binary)"),
        None => format!("{alias}.{id}"),
    }
}

/// Joins what has a `user_id` to the row of the site's table, which may have been deleted. The first comparison finds
/// the row by the table's own key, whatever it takes for equal; the second looks at the bytes.
pub fn join_users(adopted: &Adopted, user_id: &str) -> String {
    let (table, id) = (quoted(&adopted.table), quoted(&adopted.id.name));
    format!("join {table} u on u.{id} = {} and {} = {user_id}", as_id(adopted, user_id), id_bytes(adopted, "u"))
}

/// `text` as the column would hold it: what its character set lacks becomes a question mark. Asked of the server
/// apart from the write, which would fail in strict mode.
pub async fn as_held(conn: &mut Conn, column: &Column, text: &str) -> mysql_async::Result<String> {
    let Some(charset) = column.charset.as_deref().filter(|charset| *charset != "utf8mb4") else {
        return Ok(text.to_owned());
    };
    if text.is_ascii() {
        return Ok(text.to_owned());
    }
    let there_and_back =
        format!("select convert(convert(convert(? using utf8mb4) using {}) using utf8mb4)", plain(charset));
    let (rows, _) = exec(conn, &there_and_back, vec![param(text)]).await?;
    let held: Option<String> = rows.first().and_then(|row| row.get_opt(0)).and_then(|held| held.ok());
    Ok(held.unwrap_or_default())
}
