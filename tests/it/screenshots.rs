//! Pictures of every page and state, for people to look at: `tests/run screenshots` takes them and writes down what
//! there is to see. The tests see to it that the list names every sample.

use std::env;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use thirtyfour::Key;

use crate::site::browser::{Browser, VIEWS};
use crate::site::demo::Demo;
use crate::site::gallery::{self, Gallery};
use crate::site::tiers::Tier;

/// What the samples cannot show: the pretend provider's pages, a real picture, the focus of the keyboard.
const ELSEWHERE: [&str; 7] = [
    "demo/login",
    "demo/login-focus",
    "demo/choose",
    "demo/choose-focus",
    "demo/profile",
    "demo/profile-focus",
    "demo/docs",
];

const HEAD: &str = "# What there is to see

Every page and every state of it. Each line stands for four pictures: `light-360`, `dark-360`, `dark-1280` and
`light-1280`, named for the scheme and the width in points.

    tests/run screenshots [DIR]

takes them all with Chromium, each as `DIR/ROOM/NAME-SCHEME-WIDTH.png`, and writes this list anew. `plain` is our own
look, `own` an owner's (`[pages] title`, `logo`, `accent`, `custom.css`), `right-to-left` a layout with `dir=\"rtl\"`,
`errors` what is said of everything that can go wrong, `demo` a running `doorward demo`.
";

/// Where the pictures go. `None`: none are taken now.
fn folder() -> Option<PathBuf> {
    env::var_os("DOORWARD_TEST_SCREENSHOTS").map(PathBuf::from)
}

fn list() -> String {
    let mut list = HEAD.to_owned();
    let mut last = String::new();
    let gallery = gallery::list();
    for picture in gallery.iter().map(String::as_str).chain(ELSEWHERE) {
        let (room, name) = picture.split_once('/').expect("a room and a name");
        if room != last {
            let _ = write!(list, "\n## {room}\n\n");
            room.clone_into(&mut last);
        }
        let _ = writeln!(list, "- {name}");
    }
    list
}

#[test]
fn the_list_of_pictures_names_every_sample_of_the_pages() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/screenshots.md");
    let list = list();
    if folder().is_some() {
        fs::write(&file, &list).expect("the list");
    }
    let committed = fs::read_to_string(&file).expect("docs/screenshots.md");
    let missing: Vec<_> = list.lines().filter(|line| !committed.lines().any(|known| known == *line)).collect();
    let gone: Vec<_> = committed.lines().filter(|known| !list.lines().any(|line| line == *known)).collect();
    assert!(
        committed == list,
        "docs/screenshots.md does not list what there is: tests/run screenshots writes it anew\n\
         missing: {missing:#?}\nno longer there: {gone:#?}"
    );
}

/// Takes the four pictures of what `browser` shows.
async fn take(browser: &Browser, folder: &Path, picture: &str) {
    let (room, _) = picture.split_once('/').expect("a room and a name");
    fs::create_dir_all(folder.join(room)).expect("a folder");
    for view in VIEWS {
        browser.view(view).await;
        browser.photograph(&folder.join(format!("{picture}-{}.png", view.name()))).await;
    }
}

// A browser that a failed test leaves is closed from another thread.
#[tokio::test(flavor = "multi_thread")]
async fn every_picture_is_taken_when_asked_for() {
    let Some(folder) = folder() else { return };
    if Tier::Browser.here().is_none() {
        return;
    }
    let profile = tempfile::tempdir().expect("a folder");
    let browser = Browser::open(profile.path()).await;
    let gallery = Gallery::open().await;
    for picture in &gallery.pictures {
        browser.visit(&gallery.address(picture)).await;
        take(&browser, &folder, picture).await;
    }
    let demo = Demo::start();
    let mut elsewhere = ELSEWHERE.into_iter();
    let mut next = || elsewhere.next().expect("a name");
    browser.visit(&demo.address).await;
    take(&browser, &folder, next()).await;
    browser.tab_to("Sign in with Google").await;
    take(&browser, &folder, next()).await;
    browser.press(Key::Enter).await;
    browser.sees("Choose who to be").await;
    take(&browser, &folder, next()).await;
    browser.tab_to("Ada").await;
    take(&browser, &folder, next()).await;
    browser.press(Key::Enter).await;
    browser.sees("Log out").await;
    take(&browser, &folder, next()).await;
    browser.tab_to("Log out").await;
    take(&browser, &folder, next()).await;
    browser.visit(&format!("{}/api/docs", demo.address)).await;
    take(&browser, &folder, next()).await;
    assert_eq!(elsewhere.next(), None, "a picture of the list was not taken");
    browser.close().await;
}
