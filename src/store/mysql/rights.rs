//! What the account may do, read from what the server says it was granted.

use mysql_async::Conn;

use crate::store::Result;
use crate::store::examined::Rights;
use crate::store::mysql::errors::store_error;
use crate::store::mysql::pool::exec;
use crate::store::mysql::rows::value;

/// What serving does to the tables.
const SERVING: [&str; 4] = ["SELECT", "INSERT", "UPDATE", "DELETE"];

/// What making the tables ready does to the database.
const MIGRATING: [&str; 3] = ["CREATE", "ALTER", "INDEX"];

/// One line of `show grants`.
struct Grant {
    rights: Vec<String>,
    database: String,
    table: String,
}

/// The rights that are missing for the tables of ours in `database` and for `table`. `None`: the server does not tell.
pub async fn missing(conn: &mut Conn, database: &str, table: &str) -> Result<Option<Rights>> {
    let Ok((rows, _)) = exec(conn, "show grants", Vec::new()).await else { return Ok(None) };
    let lines = rows.iter().map(|row| value::<String>(row, 0)).collect::<Result<Vec<_>>>()?;
    let ours =
        "select table_name from information_schema.tables where table_schema = ? and table_name like 'doorward\\_%'";
    let (rows, _) = exec(conn, ours, vec![database.into()]).await.map_err(|error| store_error(&error))?;
    let mut tables = rows.iter().map(|row| value::<String>(row, 0)).collect::<Result<Vec<_>>>()?;
    tables.push(table.to_owned());
    Ok(Some(judged(&lines, database, &tables)))
}

fn judged(lines: &[String], database: &str, tables: &[String]) -> Rights {
    let grants: Vec<Grant> = lines.iter().filter_map(|line| parsed(line)).collect();
    let has = |right: &str, table: Option<&str>| {
        grants.iter().any(|grant| {
            let covers = (grant.database == "*" || is_like(&grant.database, database))
                && (grant.table == "*" || table.is_some_and(|table| table == grant.table));
            covers && grant.rights.iter().any(|held| held == right || held == "ALL PRIVILEGES" || held == "ALL")
        })
    };
    let mut rights = Rights { has_roles: lines.iter().any(|line| !line.contains(" ON ")), ..Rights::default() };
    for right in SERVING {
        let lacking: Vec<&str> =
            tables.iter().map(String::as_str).filter(|table| !has(right, None) && !has(right, Some(table))).collect();
        match lacking.len() {
            0 => {}
            several if several == tables.len() => rights.to_serve.push(right.to_owned()),
            _ => rights.to_serve.push(format!("{right} on {}", lacking.join(", "))),
        }
    }
    rights.to_migrate = MIGRATING.iter().filter(|right| !has(right, None)).map(|right| (*right).to_owned()).collect();
    rights
}

/// ``GRANT SELECT, INSERT (id, name) ON `site`.`users` TO `app`@`%` ``. Rights to single columns are too few for us.
fn parsed(line: &str) -> Option<Grant> {
    let (rights, rest) = line.strip_prefix("GRANT ")?.split_once(" ON ")?;
    let (place, _) = rest.split_once(" TO ")?;
    let (database, table) = place.split_once('.')?;
    let bare = |name: &str| name.trim().trim_matches('`').replace("``", "`");
    let mut depth = 0;
    let mut whole = vec![String::new()];
    for c in rights.chars() {
        match c {
            '(' => depth += 1,
            ')' => depth -= 1,
            ',' if depth == 0 => {
                whole.push(String::new());
                continue;
            }
            _ => {}
        }
        whole.last_mut()?.push(c);
    }
    let rights = whole.iter().map(|right| right.trim().to_ascii_uppercase()).collect();
    Some(Grant { rights, database: bare(database), table: bare(table) })
}

/// Whether `pattern`, as a grant writes it, means `name`: `%` for any text, `_` for any character, both escaped by `\`.
fn is_like(pattern: &str, name: &str) -> bool {
    let mut pattern = pattern.chars();
    match pattern.next() {
        None => name.is_empty(),
        Some('%') => {
            name.char_indices().map(|(at, _)| at).chain([name.len()]).any(|at| is_like(pattern.as_str(), &name[at..]))
        }
        Some('_') => {
            let mut rest = name.chars();
            rest.next().is_some() && is_like(pattern.as_str(), rest.as_str())
        }
        Some(first) => {
            let wanted = if first == '\\' { pattern.next().unwrap_or(first) } else { first };
            let mut rest = name.chars();
            rest.next() == Some(wanted) && is_like(pattern.as_str(), rest.as_str())
        }
    }
}
