//! The site's own table of users is used as it stands, whatever its makers chose.

use doorward::model::UserId;
use doorward::store::{Refusal, StoreError};

use crate::site::databases::{Database, Kind};
use crate::store::{ADA, ISSUER, clock, first_sign_in, hashed, holder, on_every_database, opened, ready, refused};

on_every_database!(suite:
    the_tutorials_table_is_adopted_as_it_stands,
    the_tutorials_program_goes_on_with_replace,
    a_unique_email_refuses_and_names_the_key,
    an_id_that_is_a_number_is_refused,
    a_further_column_that_must_be_filled_is_refused_before_anything_is_written,
    a_further_column_that_fills_itself_is_welcome,
    an_id_that_is_no_key_is_refused,
    a_view_is_refused,
    columns_that_are_missing_are_not_written,
    columns_that_must_not_be_null_get_an_empty_text,
    a_key_that_takes_two_ids_for_one_refuses_the_second,
    foreign_keys_on_the_table_hold,
    the_site_may_change_its_table_while_we_run,
    a_rule_of_the_sites_own_that_refuses_a_row_refuses_the_sign_in,
);

/// The table of the tutorials, as people make it.
const TUTORIAL: &str = "create table users (id varchar(255) primary key, email varchar(255) not null, \
                        name varchar(255), picture varchar(255))";

/// Why the table cannot be adopted.
async fn refusal(database: &Database) -> String {
    match database.store(clock()).prepare(Some(ISSUER)).await {
        Err(StoreError::Schema(sentence)) => {
            assert!(sentence.contains("users_table"), "no way out: {sentence}");
            sentence
        }
        other => panic!("{other:?}"),
    }
}

async fn shape(database: &Database) -> String {
    let statement = match database.kind {
        Kind::Sqlite => "select '', sql from sqlite_master where name = 'users'",
        _ => "show create table users",
    };
    database.rows(statement).await[0][1].clone().expect("a statement")
}

mod suite {
    use super::*;

    pub async fn the_tutorials_table_is_adopted_as_it_stands(database: Database) {
        let old = format!("insert into users values ('{ADA}', 'old@example.com', 'Old', null)");
        database.run(&[TUTORIAL, &old, "insert into users values ('108', 'b@example.com', 'B', 'p')"]).await;
        let before = shape(&database).await;
        let plan = database.store(clock()).plan(None).await.expect("a plan");
        assert!(plan[0].contains("use the table users as it is"), "{plan:?}");
        let store = ready(&database).await;
        opened(&store, &first_sign_in(ADA, 1)).await;
        opened(&store, &first_sign_in("110169484474386276335", 2)).await;
        assert!(holder(&store, 1).await.is_some() && holder(&store, 2).await.is_some());
        assert_eq!(shape(&database).await, before);
        let rows = database.rows("select id, email from users order by id").await;
        let rows: Vec<_> =
            rows.into_iter().map(|row| row.into_iter().flatten().collect::<Vec<_>>().join(" ")).collect();
        assert_eq!(
            rows,
            ["108 b@example.com", &format!("{ADA} ada@example.com"), "110169484474386276335 ada@example.com"]
        );
        assert!(store.user(&UserId::new("108")).await.expect("an answer").is_none(), "who never signed in is no user");
    }

    pub async fn the_tutorials_program_goes_on_with_replace(database: Database) {
        database.run(&[TUTORIAL]).await;
        let store = ready(&database).await;
        opened(&store, &first_sign_in(ADA, 1)).await;
        let replace =
            format!("replace into users (id, email, name, picture) values ('{ADA}', 'r@example.com', 'R', null)");
        database.run(&[&replace]).await;
        let (_, user) = holder(&store, 1).await.expect("the session is not the tutorial's to end");
        assert_eq!(user.identity.email, "ada@example.com");
        opened(&store, &first_sign_in(ADA, 2)).await;
        assert_eq!(database.value("select email from users").await, "ada@example.com");
        database.run(&[&replace]).await;
    }

    pub async fn a_unique_email_refuses_and_names_the_key(database: Database) {
        let key = if database.kind == Kind::Sqlite { "users.email" } else { "one_address" };
        database
            .run(&[
                "create table users (id varchar(255) primary key, email varchar(255) not null, name varchar(255), \
                 picture varchar(255), constraint one_address unique (email))",
                "insert into users (id, email, name) values ('another-person', 'ada@example.com', 'Another')",
            ])
            .await;
        let store = ready(&database).await;
        let refusal = refused(&store, &first_sign_in(ADA, 1)).await;
        assert_eq!(refusal, Refusal::UniqueKey { table: "users".to_owned(), key: key.to_owned() });
        let rows = database.rows("select id, name from users").await;
        assert_eq!(rows, [vec![Some("another-person".to_owned()), Some("Another".to_owned())]]);
        assert_eq!(database.value("select count(*) from doorward_identities").await, "0");
        // Somebody known whose new address is another's: the same.
        let mut known = first_sign_in(ADA, 2);
        known.identity.email = "free@example.com".to_owned();
        opened(&store, &known).await;
        let refusal = refused(&store, &first_sign_in(ADA, 3)).await;
        assert_eq!(refusal.reason(), "unique_key");
        let (_, user) = holder(&store, 2).await.expect("the session before stays");
        assert_eq!(user.identity.email, "free@example.com");
    }

    pub async fn an_id_that_is_a_number_is_refused(database: Database) {
        database.run(&["create table users (id int primary key, email varchar(255) not null)"]).await;
        let sentence = refusal(&database).await;
        assert!(sentence.contains("users") && sentence.to_lowercase().contains("id as int"), "{sentence}");
    }

    pub async fn a_further_column_that_must_be_filled_is_refused_before_anything_is_written(database: Database) {
        database
            .run(&["create table users (id varchar(255) primary key, email varchar(255), phone varchar(20) not null)"])
            .await;
        let sentence = refusal(&database).await;
        assert!(sentence.contains("phone"), "{sentence}");
        let ours = match database.kind {
            Kind::Sqlite => "select count(*) from sqlite_master where name like 'doorward%'",
            _ => {
                "select count(*) from information_schema.tables where table_schema = database() \
                 and table_name like 'doorward%'"
            }
        };
        assert_eq!(database.value(ours).await, "0");
        assert!(database.store(clock()).plan(None).await.is_err(), "the plan says it too");
    }

    pub async fn a_further_column_that_fills_itself_is_welcome(database: Database) {
        let generated = "shout varchar(255) generated always as (upper(email)) stored";
        let serial = match database.kind {
            Kind::Sqlite => "serial integer",
            _ => "serial int not null auto_increment unique",
        };
        let table = format!(
            "create table users (ID varchar(255) primary key, Email varchar(255) not null, {serial}, {generated}, \
             role varchar(20) not null default 'user', seen timestamp not null default current_timestamp, note text)"
        );
        database.run(&[&table]).await;
        let store = ready(&database).await;
        opened(&store, &first_sign_in(ADA, 1)).await;
        opened(&store, &first_sign_in(ADA, 2)).await;
        assert_eq!(database.value("select shout from users where role = 'user'").await, "ADA@EXAMPLE.COM");
        assert!(holder(&store, 2).await.is_some());
    }

    pub async fn an_id_that_is_no_key_is_refused(database: Database) {
        database
            .run(&["create table users (id varchar(255) not null, email varchar(255), primary key (id, email))"])
            .await;
        let sentence = refusal(&database).await;
        assert!(sentence.contains("unique"), "{sentence}");
    }

    pub async fn a_view_is_refused(database: Database) {
        database
            .run(&[
                "create table people (id varchar(255) primary key, email varchar(255))",
                "create view users as select * from people",
            ])
            .await;
        let sentence = refusal(&database).await;
        assert!(sentence.contains("view"), "{sentence}");
    }

    pub async fn columns_that_are_missing_are_not_written(database: Database) {
        database.run(&["create table users (id varchar(255) primary key)"]).await;
        let store = ready(&database).await;
        opened(&store, &first_sign_in(ADA, 1)).await;
        opened(&store, &first_sign_in(ADA, 2)).await;
        let (_, user) = holder(&store, 2).await.expect("a session");
        assert_eq!(user.identity.name.as_deref(), Some("Ada Lovelace"), "ours knows it all the same");
        assert_eq!(database.value("select count(*) from users").await, "1");
    }

    pub async fn columns_that_must_not_be_null_get_an_empty_text(database: Database) {
        database
            .run(&["create table users (id varchar(255) primary key, email varchar(255) not null, \
                   name varchar(255) not null, picture varchar(255) not null)"])
            .await;
        let store = ready(&database).await;
        let mut sign_in = first_sign_in(ADA, 1);
        sign_in.identity.name = None;
        sign_in.identity.picture = None;
        opened(&store, &sign_in).await;
        let rows = database.rows("select name, picture from users").await;
        assert_eq!(rows, [vec![Some(String::new()), Some(String::new())]]);
        assert_eq!(holder(&store, 1).await.expect("a session").1.identity, sign_in.identity);
    }

    pub async fn a_key_that_takes_two_ids_for_one_refuses_the_second(database: Database) {
        let collation = if database.kind == Kind::Sqlite { "collate nocase" } else { "collate utf8mb4_general_ci" };
        let charset = if database.kind == Kind::Sqlite { "" } else { "character set utf8mb4" };
        let table = format!(
            "create table users (id varchar(255) {charset} {collation} primary key, email varchar(255) not null)"
        );
        database.run(&[&table]).await;
        let store = ready(&database).await;
        opened(&store, &first_sign_in("AbCdEfGhIjKlMnOpQrStUv", 1)).await;
        let refusal = refused(&store, &first_sign_in("abcdefghijklmnopqrstuv", 2)).await;
        let existing = "AbCdEfGhIjKlMnOpQrStUv".to_owned();
        assert_eq!(refusal, Refusal::SimilarId { table: "users".to_owned(), existing });
        assert!(holder(&store, 2).await.is_none());
        assert_eq!(holder(&store, 1).await.expect("untouched").1.id.as_str(), "AbCdEfGhIjKlMnOpQrStUv");
        let both = store.sessions_by_handle(&[hashed(1), hashed(2)]).await.expect("an answer");
        assert!(both[0].is_some() && both[1].is_none());
    }

    pub async fn the_site_may_change_its_table_while_we_run(database: Database) {
        database.run(&[TUTORIAL]).await;
        let store = ready(&database).await;
        opened(&store, &first_sign_in(ADA, 1)).await;
        database.run(&["alter table users drop column picture", "alter table users add column score int"]).await;
        if database.kind != Kind::Sqlite {
            let converted = "alter table users convert to character set utf16 collate utf16_general_ci";
            database.run(&[converted]).await;
        }
        assert!(holder(&store, 1).await.is_some());
        assert!(store.user(&UserId::new(ADA)).await.expect("an answer").is_some());
        opened(&store, &first_sign_in(ADA, 2)).await;
        let demanding = TUTORIAL.replace("picture varchar(255)", "phone varchar(20) not null");
        database.run(&["drop table users", &demanding]).await;
        let answer = store.sign_in(&first_sign_in(ADA, 3)).await;
        let Err(StoreError::Schema(sentence)) = answer else { panic!("{answer:?}") };
        assert!(sentence.contains("phone"), "{sentence}");
        database.run(&["drop table users"]).await;
        let answer = store.sign_in(&first_sign_in(ADA, 3)).await;
        assert!(matches!(answer, Err(StoreError::Schema(_))), "{answer:?}");
        store.prepare(Some(ISSUER)).await.expect("created anew");
        opened(&store, &first_sign_in(ADA, 3)).await;
    }

    pub async fn a_rule_of_the_sites_own_that_refuses_a_row_refuses_the_sign_in(database: Database) {
        let ruled =
            TUTORIAL.replace("picture varchar(255))", "picture varchar(255), check (email <> 'ada@example.com'))");
        database.run(&[&ruled]).await;
        let store = ready(&database).await;
        let answer = store.sign_in(&first_sign_in(ADA, 1)).await;
        assert!(matches!(answer, Err(StoreError::Refused(_))), "{answer:?}");
        for table in ["users", "doorward_identities", "doorward_sessions"] {
            assert_eq!(database.value(&format!("select count(*) from {table}")).await, "0", "{table}");
        }
    }

    pub async fn foreign_keys_on_the_table_hold(database: Database) {
        database
            .run(&[
                TUTORIAL,
                "create table posts (id integer primary key, author varchar(255), \
                 foreign key (author) references users (id) on delete cascade)",
            ])
            .await;
        let store = ready(&database).await;
        opened(&store, &first_sign_in(ADA, 1)).await;
        database.run(&[&format!("insert into posts values (1, '{ADA}')")]).await;
        opened(&store, &first_sign_in(ADA, 2)).await;
        assert_eq!(database.value("select count(*) from posts").await, "1", "a sign-in deletes no row");
    }
}

/// The tutorials' table in this character set and collation, with a name that is a little narrower.
fn tutorial_in(charset: &str, collation: &str) -> String {
    let narrow = TUTORIAL.replace("name varchar(255)", "name varchar(220)");
    format!("{narrow} default character set {charset} collate {collation}")
}

const CHARSETS: &[(&str, &str)] = &[
    ("latin1", "latin1_swedish_ci"),
    ("utf8mb3", "utf8mb3_general_ci"),
    ("utf8mb4", "utf8mb4_general_ci"),
    ("utf8mb4", "utf8mb4_unicode_ci"),
    ("utf8mb4", "utf8mb4_bin"),
    ("ascii", "ascii_bin"),
    ("utf16", "utf16_general_ci"),
    ("sjis", "sjis_japanese_ci"),
];

async fn charsets(database: &Database) -> Vec<(&'static str, &'static str)> {
    let own = database
        .value("select count(*) from information_schema.collations where collation_name = 'utf8mb4_0900_ai_ci'");
    let own: &[_] = if own.await == "1" { &[("utf8mb4", "utf8mb4_0900_ai_ci")] } else { &[] };
    // A key of 255 characters of four bytes is too wide for the oldest servers only.
    CHARSETS.iter().chain(own).copied().collect()
}

#[tokio::test]
async fn names_and_pictures_that_do_not_fit_are_cut_or_left_out_in_every_character_set() {
    for database in Database::servers().await {
        for (charset, collation) in charsets(&database).await {
            database.run(&["drop table if exists users", &tutorial_in(charset, collation)]).await;
            let store = ready(&database).await;
            let subject = format!("1101-{collation}");
            let mut sign_in = first_sign_in(&subject, 1);
            sign_in.identity.name = Some(format!("{}{}", "🍣".repeat(200), "é".repeat(55)));
            sign_in.identity.picture = Some(format!("https://lh3.example/{}", "p".repeat(2000)));
            sign_in.session.handle = hashed(subject.len() as u32);
            let user = opened(&store, &sign_in).await;
            let row = &database
                .rows("select char_length(name), picture, hex(convert(name using utf8mb4)) from users")
                .await[0];
            assert_eq!(row[0].as_deref(), Some("220"), "{collation}");
            assert_eq!(row[1], None, "{collation}: half a picture leads nowhere");
            let is_whole = charset == "utf8mb4" || charset == "utf16";
            let first = if is_whole { "F09F8DA3" } else { "3F3F3F3F" };
            assert!(row[2].as_ref().is_some_and(|name| name.starts_with(first)), "{collation}: {:?}", row[2]);
            assert_eq!(user.identity, sign_in.identity, "ours keeps it whole");
            let again = opened(&store, &sign_in_again(&sign_in)).await;
            assert_eq!(again.id, user.id, "{collation}");
            let found = store.sessions_by_handle(&[sign_in.session.handle]).await.expect("an answer");
            assert!(found[0].is_some(), "{collation}");
            database.run(&["delete from doorward_sessions", "delete from doorward_identities"]).await;
        }
    }
}

fn sign_in_again(first: &doorward::store::SignIn) -> doorward::store::SignIn {
    let mut again = first.clone();
    again.session.handle = hashed(9_999);
    again
}

#[tokio::test]
async fn a_lookup_reads_by_keys_alone_in_every_character_set() {
    for database in Database::servers().await {
        for (charset, collation) in charsets(&database).await {
            database.run(&["drop table if exists users", &tutorial_in(charset, collation)]).await;
            let store = ready(&database).await;
            for number in 0..40 {
                opened(&store, &first_sign_in(&format!("person-{collation}-{number}"), number)).await;
            }
            database.run(&["analyze table users, doorward_identities, doorward_sessions"]).await;
            let handles: Vec<_> = (0..16).map(hashed).collect();
            let rows_read = rows_read_by(&database, || async {
                let found = store.sessions_by_handle(&handles).await.expect("an answer");
                assert!(found.iter().all(Option::is_some), "{collation}");
            })
            .await;
            // Three rows for each of sixteen handles, and some for the server's own books.
            assert!(rows_read <= 16 * 3 + 16, "{collation}: {rows_read} rows were read");
            database.run(&["delete from doorward_sessions", "delete from doorward_identities"]).await;
        }
    }
}

/// How many rows the server's tables gave by walking along them or along an index while `work` went on: a scan shows,
/// a lookup by key does not.
async fn rows_read_by<F: Future<Output = ()>>(database: &Database, work: impl Fn() -> F) -> u64 {
    let walked = "select sum(variable_value) from TABLE where variable_name in \
                  ('Handler_read_next', 'Handler_read_rnd_next', 'Handler_read_prev', 'Handler_read_first')";
    let table = if database.kind == Kind::MariaDb {
        "information_schema.global_status"
    } else {
        "performance_schema.global_status"
    };
    let walked = walked.replace("TABLE", table);
    let count = async || database.value(&walked).await.parse::<f64>().expect("a number") as u64;
    // Other tests use the server at the same time: the quietest of some tries counts.
    let mut least = u64::MAX;
    for _ in 0..12 {
        let before = count().await;
        let between = count().await;
        work().await;
        let after = count().await;
        let own = between - before;
        least = least.min((after - between).saturating_sub(own));
    }
    least
}

#[tokio::test]
async fn an_id_that_is_too_narrow_is_refused_and_a_subject_that_is_too_long_likewise() {
    for database in Database::servers().await {
        database.run(&["create table users (id varchar(20) primary key, email varchar(255))"]).await;
        let sentence = refusal(&database).await;
        assert!(sentence.contains("20 characters"), "{sentence}");
        database.run(&["drop table users", "create table users (id varchar(21) primary key, email varchar(10))"]).await;
        let store = ready(&database).await;
        opened(&store, &first_sign_in(ADA, 1)).await;
        assert_eq!(
            database.value("select coalesce(email, 'nothing') from users").await,
            "nothing",
            "half an address is another's"
        );
        let refusal = refused(&store, &first_sign_in(&format!("{ADA}0"), 2)).await;
        assert_eq!(refusal, Refusal::IdTooLong { table: "users".to_owned(), width: 21, length: 22 });
    }
}

#[tokio::test]
async fn an_id_of_bytes_is_as_good_as_one_of_characters() {
    for database in Database::servers().await {
        database.run(&["create table users (id varbinary(255) primary key, email varchar(255), name tinytext)"]).await;
        let store = ready(&database).await;
        let mut sign_in = first_sign_in("AbCdEfGhIjKlMnOpQrStUv", 1);
        sign_in.identity.name = Some("🍣".repeat(200));
        opened(&store, &sign_in).await;
        opened(&store, &first_sign_in("abcdefghijklmnopqrstuv", 2)).await;
        assert!(holder(&store, 1).await.is_some() && holder(&store, 2).await.is_some());
        database.run(&["drop table users", "create table users (id binary(32) primary key, email varchar(255))"]).await;
        let sentence = refusal(&database).await;
        assert!(sentence.contains("binary(32)"), "{sentence}");
    }
}
