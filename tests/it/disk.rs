//! A disk that is full or fails under the database: nobody is told what is not kept, whoever is signed in stays so, and
//! what was kept is whole.

use doorward::names::Names;
use doorward::store::{self, StoreError};
use rusqlite::Connection;
use serde_json::json;

use crate::database_away::{begin, try_with};
use crate::site::binary::Binary;
use crate::site::databases::Server;
use crate::site::demo;
use crate::site::instance::Site;
use crate::site::kernel::{FailingCalls, SmallDisk};
use crate::site::place::Kept;
use crate::site::program::{PAUSE, free_port};
use crate::site::visitors::{Anonymous, Visitor};
use crate::store::{clock, first_sign_in};

/// What a person sees while nothing can be kept: no sign-in, and everything else.
async fn reading_goes_on(site: &Site, signed_in: &Anonymous) {
    let mut number = 0;
    let answer = loop {
        let answer = begin(site, &format!("latecomer-{number}")).await;
        if answer.status != 303 {
            break answer;
        }
        // A page that the last refusal left is filled.
        number += 1;
        assert!(number < 200, "a full disk takes everything");
    };
    assert_eq!(answer.status, 503, "{answer:#?}");
    assert!(!answer.header("retry-after").is_empty(), "{answer:#?}");
    assert!(!answer.set_cookies().iter().any(|cookie| cookie.starts_with(&format!("{}=", site.session_cookie()))));
    assert_eq!(signed_in.get("/api/me").await.status, 200);
    assert!(signed_in.visit("/").await.body.contains("Log out"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_whose_disk_is_full_lets_nobody_in_and_nobody_out() {
    let Some(disk) = SmallDisk::of(64 * 1024) else { return };
    let Some(server) = Server::start_on(&disk, Vec::new()) else { return };
    let site = Site::over(Kept::at(&server.url()).await).await;
    let ada = site.sign_in("ada").await;
    let crowd = store::open(&site.database.config(None), Names::from_system(), clock());
    crowd.prepare(Some(site.provider.issuer())).await.expect("ready");
    disk.fill();
    // The pages that the tables have are filled first.
    let mut number = 0;
    let told = loop {
        number += 1;
        assert!(number < 20_000, "a full disk takes everything");
        match crowd.sign_in(&first_sign_in(&format!("crowd-{number}"), number)).await {
            Ok(_) => {}
            Err(error) => break error,
        }
    };
    assert!(matches!(told, StoreError::ReadOnly(_)), "after {number}: {told:?}");
    let kept = site.database.count("doorward_sessions where user_id like 'crowd-%'").await;
    assert_eq!(kept, i64::from(number) - 1, "what was confirmed is there, what was refused is not");
    reading_goes_on(&site, ada.browser()).await;
    disk.make_room();
    let back = begin(&site, "latecomer").await;
    assert_eq!(back.status, 303, "{back:#?}");
    assert_eq!(ada.get("/api/me").await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_whose_disk_is_full_is_read_and_stays_whole() {
    let Some(disk) = SmallDisk::of(700) else { return };
    let folder = tempfile::tempdir_in(disk.path()).expect("a folder");
    let file = folder.path().join("doorward.db");
    let site = Site::over(Kept::Sqlite(folder)).await;
    let ada = site.sign_in("ada").await;
    let leaver = site.sign_in("leaver").await;
    let copy = leaver.browser().also_at(&site.url);
    disk.fill();
    let mut number = 0;
    loop {
        let browser = site.anonymous();
        let answer = try_with(&site, &browser, &format!("crowd-{number}")).await;
        if answer.status == 503 {
            break;
        }
        assert_eq!(answer.status, 303, "{answer:#?}");
        assert_eq!(browser.get("/api/me").await.status, 200, "confirmed and not kept");
        number += 1;
        assert!(number < 1000, "a full disk takes everything");
    }
    let kept = site.database.count("doorward_sessions where user_id like 'crowd-%'").await;
    assert_eq!(kept, number, "what was confirmed is there, what was refused is not");
    reading_goes_on(&site, ada.browser()).await;
    // Logging out is done, or the page says that it is not, and it is made good.
    let left = leaver.post("/logout").await;
    assert!(matches!(left.status, 303 | 503), "{left:#?}");
    assert_eq!(leaver.browser().cookie(&site.session_cookie()), None);
    assert_eq!(copy.get("/api/me").await.status, 401, "here it counts at once");
    disk.make_room();
    let back = begin(&site, "latecomer").await;
    assert_eq!(back.status, 303, "{back:#?}");
    while site.database.count("doorward_sessions where user_id = 'leaver'").await > 0 {
        tokio::time::sleep(PAUSE).await;
    }
    assert_eq!(ada.get("/api/me").await.status, 200);
    let conn = Connection::open(&file).expect("the file");
    let verdict: String = conn.query_row("pragma integrity_check", [], |row| row.get(0)).expect("a verdict");
    assert_eq!(verdict, "ok");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_brought_to_the_disk_is_not_confirmed_and_what_was_is_there() {
    let port = free_port();
    let (_provider, config) = demo::provider(port);
    let mut site = Binary::serve_on(port, &config);
    let file = site.folder.path().join("doorward.db");
    let ada = Anonymous::at(&site.public_url);
    assert_eq!(ada.follow_as("ada").await.status, 200);
    let Some(failing) = FailingCalls::of(site.program.id(), "fsync,fdatasync", "EIO") else { return };
    let grace = Anonymous::at(&site.public_url);
    let refused = grace.follow_as("grace").await;
    assert_eq!(refused.status, 503, "{refused:#?}\n{}", site.program.said());
    assert!(!refused.header("retry-after").is_empty(), "{refused:#?}");
    assert_eq!(grace.get("api/me").await.status, 401);
    assert_eq!(ada.get("api/me").await.json()["via"], json!("session"), "reading goes on");
    failing.end();
    let grace = Anonymous::at(&site.public_url);
    assert_eq!(grace.follow_as("grace").await.status, 200);
    site.program.signal("KILL");
    site.program.wait();
    site.start_again();
    for person in [&ada, &grace] {
        assert_eq!(person.get("api/me").await.json()["via"], json!("session"), "what was confirmed is there");
    }
    let conn = Connection::open(&file).expect("the file");
    let verdict: String = conn.query_row("pragma integrity_check", [], |row| row.get(0)).expect("a verdict");
    assert_eq!(verdict, "ok");
}
