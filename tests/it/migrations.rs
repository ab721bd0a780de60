//! Making a database ready: from nothing, beside others who do the same, and not at all where that would be wrong.

use std::sync::Arc;
use std::time::Duration;

use doorward::config::database::{Database as Config, Place};
use doorward::config::secret::Secret;
use doorward::names::Names;
use doorward::store::migrate::SQLITE;
use doorward::store::{self, StoreError};

use crate::site::databases::{Database, Kind};
use crate::store::{ADA, ISSUER, clock, first_sign_in, on_every_database, opened, ready};

on_every_database!(suite:
    the_plan_writes_nothing_and_names_what_preparing_does,
    preparing_again_changes_nothing,
    five_instances_that_start_together_all_come_up,
    the_public_table_is_the_one_that_the_contract_describes,
    a_step_that_died_half_way_is_done_again,
    a_lease_left_by_the_dead_holds_nobody_up_for_ever,
    a_database_from_the_future_is_refused,
    the_next_version_that_only_adds_keeps_this_one_working,
    a_step_that_was_changed_is_refused,
    another_issuer_is_refused_and_told_how_to_go_on,
    commands_without_an_issuer_leave_it_open,
    the_public_table_may_have_another_name,
);

/// Tables that are ours or public.
async fn tables(database: &Database) -> Vec<String> {
    let statement = match database.kind {
        Kind::Sqlite => "select name from sqlite_master where type = 'table' order by name",
        _ => "select table_name from information_schema.tables where table_schema = database() order by table_name",
    };
    database.rows(statement).await.into_iter().filter_map(|row| row.into_iter().next().flatten()).collect()
}

/// Every table that there is in the end: the public one, the list of steps, and what the steps create.
fn all() -> Vec<String> {
    let created = SQLITE.iter().flat_map(|step| step.sql.split("create table if not exists ").skip(1));
    let created = created.filter_map(|rest| rest.split_whitespace().next()).map(str::to_owned);
    let mut all: Vec<String> = created.chain(["doorward_meta".to_owned(), "users".to_owned()]).collect();
    all.sort();
    all
}

mod suite {
    use super::*;

    pub async fn the_plan_writes_nothing_and_names_what_preparing_does(database: Database) {
        let store = database.store(clock());
        let plan = store.plan(None).await.expect("a plan");
        for line in ["users", "doorward_meta", "step 1"] {
            assert!(plan.iter().any(|planned| planned.contains(line)), "{line} in {plan:?}");
        }
        match &database.config.place {
            Place::Sqlite(path) => assert!(!path.exists(), "planning leaves no file"),
            Place::Mysql(_) => assert!(tables(&database).await.is_empty(), "planning leaves no table"),
        }
        store.prepare(Some(ISSUER)).await.expect("ready");
        assert_eq!(store.plan(None).await.expect("a plan"), Vec::<String>::new());
    }

    pub async fn preparing_again_changes_nothing(database: Database) {
        let store = ready(&database).await;
        opened(&store, &first_sign_in(ADA, 1)).await;
        let meta = "select name, value, changed_at from doorward_meta where name <> 'lease' order by name";
        let before = database.rows(meta).await;
        assert!(before.len() >= 2, "a step and the issuer: {before:?}");
        store.prepare(Some(ISSUER)).await.expect("ready");
        ready(&database).await;
        assert_eq!(database.rows(meta).await, before);
        assert_eq!(tables(&database).await, all());
        assert_eq!(database.value("select count(*) from doorward_sessions").await, "1");
    }

    pub async fn five_instances_that_start_together_all_come_up(database: Database) {
        let tasks: Vec<_> = (0..5)
            .map(|number| {
                let store = database.store(clock());
                tokio::spawn(async move {
                    store.prepare(Some(ISSUER)).await?;
                    store.sign_in(&first_sign_in(&format!("person-{number}"), number)).await
                })
            })
            .collect();
        for task in tasks {
            task.await.expect("no panic").expect("ready, and somebody signed in");
        }
        assert_eq!(tables(&database).await, all());
        assert_eq!(
            database.value("select count(*) from doorward_meta where name like 'step %'").await,
            SQLITE.len().to_string()
        );
    }

    pub async fn the_public_table_is_the_one_that_the_contract_describes(database: Database) {
        ready(&database).await;
        let long = "x".repeat(255);
        let insert = format!("insert into users (id, email, name, picture) values ('{long}', 'e', null, null)");
        database.run(&[&insert]).await;
        assert!(database.try_rows(&insert).await.is_err(), "the id is the key");
        assert!(database.try_rows("insert into users (id, email) values ('y', null)").await.is_err());
        if database.kind != Kind::Sqlite {
            let columns = database
                .rows(
                    "select column_name, column_type, character_set_name, is_nullable from information_schema.columns \
                     where table_schema = database() and table_name = 'users' order by ordinal_position",
                )
                .await;
            let words: Vec<String> =
                columns.into_iter().map(|row| row.into_iter().flatten().collect::<Vec<_>>().join(" ")).collect();
            assert_eq!(
                words,
                [
                    "id varchar(255) utf8mb4 NO",
                    "email varchar(320) utf8mb4 NO",
                    "name varchar(255) utf8mb4 YES",
                    "picture varchar(2048) utf8mb4 YES"
                ]
            );
            let id = "select collation_name from information_schema.columns where table_schema = database() \
                      and table_name = 'users' and column_name = 'id'";
            assert_eq!(database.value(id).await, "utf8mb4_bin");
        }
    }

    pub async fn a_step_that_died_half_way_is_done_again(database: Database) {
        let store = ready(&database).await;
        opened(&store, &first_sign_in(ADA, 1)).await;
        database.run(&["delete from doorward_meta where name like 'step %'", "drop table doorward_tokens"]).await;
        let store = database.store(clock());
        assert_eq!(store.plan(None).await.expect("a plan").len(), SQLITE.len());
        store.prepare(Some(ISSUER)).await.expect("ready");
        assert_eq!(tables(&database).await, all());
        assert_eq!(database.value("select count(*) from doorward_sessions").await, "1", "nothing is emptied");
    }

    pub async fn a_lease_left_by_the_dead_holds_nobody_up_for_ever(database: Database) {
        ready(&database).await;
        if database.kind == Kind::Sqlite {
            // A file's lock dies with its holder: there is no lease to be left.
            assert_eq!(database.value("select count(*) from doorward_meta where name = 'lease'").await, "0");
            return;
        }
        let fresh =
            "update doorward_meta set value = 'somebody', changed_at = unix_timestamp() + 2 where name = 'lease'";
        database.run(&["delete from doorward_meta where name like 'step %'", fresh]).await;
        let store = database.store(clock());
        let preparing = tokio::spawn(async move { store.prepare(Some(ISSUER)).await });
        let expired = "select count(*) from doorward_meta where name = 'lease' and value = 'somebody' \
                       and changed_at >= unix_timestamp()";
        while database.value(expired).await == "1" {
            assert!(!preparing.is_finished(), "the lease is somebody else's until it ends");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        preparing.await.expect("no panic").expect("taken over");
    }

    pub async fn a_database_from_the_future_is_refused(database: Database) {
        ready(&database).await;
        database
            .run(&["insert into doorward_meta (name, value, changed_at) values ('step 9000', '9000 abc', 1)"])
            .await;
        let store = database.store(clock());
        for answer in [store.prepare(Some(ISSUER)).await, store.plan(None).await.map(drop)] {
            let Err(StoreError::Schema(sentence)) = answer else { panic!("{answer:?}") };
            assert!(sentence.contains("newer Doorward") && sentence.contains("9000"), "{sentence}");
        }
        assert!(matches!(store.check_readable().await, Err(StoreError::Unavailable(_))), "it is not ready");
    }

    pub async fn the_next_version_that_only_adds_keeps_this_one_working(database: Database) {
        ready(&database).await;
        database
            .run(&[
                "insert into doorward_meta (name, value, changed_at) values ('step 8999', '1 abc', 1)",
                "alter table doorward_sessions add column colour text",
            ])
            .await;
        let store = ready(&database).await;
        opened(&store, &first_sign_in(ADA, 1)).await;
    }

    pub async fn a_step_that_was_changed_is_refused(database: Database) {
        ready(&database).await;
        database.run(&["update doorward_meta set value = '1 0000000000000000' where name = 'step 0001'"]).await;
        let answer = database.store(clock()).prepare(Some(ISSUER)).await;
        assert!(matches!(answer, Err(StoreError::Schema(_))), "{answer:?}");
    }

    pub async fn another_issuer_is_refused_and_told_how_to_go_on(database: Database) {
        ready(&database).await;
        for other in ["https://id.example.org", "https://accounts.google.com/", "https://ACCOUNTS.google.com"] {
            let planned = database.store(clock()).plan(Some(other)).await;
            let answer = database.store(clock()).prepare(Some(other)).await;
            let Err(StoreError::Schema(sentence)) = answer else { panic!("{answer:?}") };
            assert!(matches!(&planned, Err(StoreError::Schema(said)) if *said == sentence), "{planned:?}");
            for word in [ISSUER, other, "[database] url"] {
                assert!(sentence.contains(word), "{word} in: {sentence}");
            }
        }
        ready(&database).await;
    }

    pub async fn commands_without_an_issuer_leave_it_open(database: Database) {
        let store = database.store(clock());
        store.prepare(None).await.expect("ready");
        assert_eq!(database.value("select count(*) from doorward_meta where name = 'issuer'").await, "0");
        opened(&ready(&database).await, &first_sign_in(ADA, 1)).await;
        assert_eq!(database.value("select value from doorward_meta where name = 'issuer'").await, ISSUER);
        database.store(clock()).prepare(None).await.expect("ready");
    }

    pub async fn the_public_table_may_have_another_name(mut database: Database) {
        database.config.users_table = "our `odd\" table".to_owned();
        let store = ready(&database).await;
        opened(&store, &first_sign_in(ADA, 1)).await;
        let quoted = if database.kind == Kind::Sqlite { "\"our `odd\"\" table\"" } else { "`our ``odd\" table`" };
        assert_eq!(database.value(&format!("select id from {quoted}")).await, ADA);
        for reserved in ["doorward_sessions", "DOORWARD_META"] {
            database.config.users_table = reserved.to_owned();
            let answer = database.store(clock()).prepare(Some(ISSUER)).await;
            assert!(matches!(answer, Err(StoreError::Schema(_))), "{reserved}: {answer:?}");
        }
    }
}

/// The sentence of a refusal.
async fn refusal(config: &Config) -> String {
    let store = store::open(config, Names::from_system(), clock());
    match store.prepare(Some(ISSUER)).await {
        Err(StoreError::Schema(sentence)) => sentence,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_missing_folder_is_named_with_the_command_that_makes_it() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("not/here/doorward.db");
    let config = Config { place: Place::Sqlite(path), users_table: "users".to_owned() };
    let sentence = refusal(&config).await;
    assert!(sentence.contains("mkdir -p") && sentence.contains("not/here"), "{sentence}");
}

#[cfg(unix)]
#[tokio::test]
async fn the_file_is_readable_by_its_owner_alone() {
    use std::os::unix::fs::PermissionsExt;
    let database = Database::sqlite();
    let store = ready(&database).await;
    opened(&store, &first_sign_in(ADA, 1)).await;
    let Place::Sqlite(path) = &database.config.place else { panic!("a file") };
    let folder = path.parent().expect("a folder");
    let mut seen = 0;
    for entry in std::fs::read_dir(folder).expect("a folder") {
        let entry = entry.expect("an entry");
        let mode = entry.metadata().expect("a file").permissions().mode();
        assert_eq!(mode & 0o077, 0, "{:?}", entry.file_name());
        seen += 1;
    }
    assert!(seen >= 2, "the file and its log");
    assert_eq!(database.value("pragma journal_mode").await, "wal");
}

#[tokio::test]
async fn what_is_no_database_is_left_alone() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("notes.txt");
    let text = "these are notes and no database, ".repeat(100);
    std::fs::write(&path, &text).expect("written");
    let config = Config { place: Place::Sqlite(path.clone()), users_table: "users".to_owned() };
    let sentence = refusal(&config).await;
    assert!(sentence.contains("is none"), "{sentence}");
    assert_eq!(std::fs::read_to_string(&path).expect("read"), text);
}

#[tokio::test]
async fn a_missing_database_is_created() {
    for database in Database::servers().await {
        let Place::Mysql(place) = &database.config.place else { panic!("a server") };
        database.run(&[&format!("drop database {}", place.name)]).await;
        let store = database.store(clock());
        let plan = store.plan(None).await.expect("a plan");
        assert!(plan[0].contains("create the database"), "{plan:?}");
        opened(&ready(&database).await, &first_sign_in(ADA, 1)).await;
        assert_eq!(tables(&database).await, all());
    }
}

#[tokio::test]
async fn an_account_that_may_not_is_told_what_to_type_and_never_the_password() {
    for database in Database::servers().await {
        let mut place = database.place();
        let account = format!("poor{}", std::process::id());
        database
            .run(&[
                &format!("drop user if exists {account}@'%'"),
                &format!("create user {account}@'%' identified by 'hunter-two'"),
            ])
            .await;
        place.user.clone_from(&account);
        place.password = Secret::new("hunter-two");
        let config = |place| Config { place: Place::Mysql(place), users_table: "users".to_owned() };
        let sentence = refusal(&config(place.clone())).await;
        assert!(sentence.contains("CREATE DATABASE") && sentence.contains("GRANT ALL ON"), "{sentence}");
        assert!(sentence.contains(&place.name) && sentence.contains(&account), "{sentence}");
        place.password = Secret::new("hunter-three");
        let sentence = refusal(&config(place)).await;
        assert!(sentence.contains("password") && !sentence.contains("hunter"), "{sentence}");
        database.run(&[&format!("drop user {account}@'%'")]).await;
    }
}

#[tokio::test]
async fn an_account_that_may_only_read_and_write_rows_serves_tables_that_are_ready() {
    for database in Database::servers().await {
        ready(&database).await;
        let mut place = database.place();
        let account = format!("rows{}", std::process::id());
        database
            .run(&[
                &format!("drop user if exists {account}@'%'"),
                &format!("create user {account}@'%' identified by 'x'"),
                &format!("grant select, insert, update, delete on {}.* to {account}@'%'", place.name),
            ])
            .await;
        place.user.clone_from(&account);
        place.password = Secret::new("x");
        let config = Config { place: Place::Mysql(place), users_table: "users".to_owned() };
        let store = store::open(&config, Names::from_system(), clock());
        store.prepare(Some(ISSUER)).await.expect("nothing is to be done");
        opened(&Arc::clone(&store), &first_sign_in(ADA, 1)).await;
        store.check_writable().await.expect("writable");
        store.close().await;
        database.run(&[&format!("drop user {account}@'%'")]).await;
    }
}
