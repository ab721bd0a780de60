//! The programs of `docs/ask-from-your-language.md`, run as they are written; only the port differs.

use std::fs;
use std::path::Path;
use std::process::Command;

use doorward::model::{Scope, UserId};

use crate::site::binary;
use crate::site::instance::Site;
use crate::site::tiers::Tier;
use crate::site::visitors::{SignedIn, Visitor};

struct Language {
    /// As the fence of its block says.
    fence: &'static str,
    file: &'static str,
    command: &'static [&'static str],
    tier: Tier,
}

const LANGUAGES: &[Language] = &[
    Language { fence: "php", file: "ask.php", command: &["php"], tier: Tier::Browser },
    Language { fence: "python", file: "ask.py", command: &["python3"], tier: Tier::Browser },
    Language { fence: "js", file: "ask.mjs", command: &["node"], tier: Tier::Browser },
    Language { fence: "go", file: "ask.go", command: &["go", "run"], tier: Tier::Go },
];

/// The one program in `language`.
fn program(language: &Language) -> String {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/ask-from-your-language.md");
    let page = fs::read_to_string(page).expect("the page");
    let fence = format!("\n```{}\n", language.fence);
    assert_eq!(page.matches(&fence).count(), 1, "one program in {}", language.fence);
    let (_, rest) = page.split_once(&fence).expect("it was counted");
    rest.split("\n```").next().unwrap_or_default().to_owned() + "\n"
}

/// What the program says with `variable` set to `value`.
async fn says(language: &'static Language, folder: &Path, variable: &'static str, value: &str) -> String {
    let (folder, value) = (folder.to_owned(), value.to_owned());
    let run = move || {
        let mut command = Command::new(language.command[0]);
        command.args(&language.command[1..]).arg(language.file).current_dir(&folder);
        let ran = binary::run(command.env(variable, value).env("GOFLAGS", "-mod=mod").env("GO111MODULE", "off"));
        assert_eq!(ran.code, 0, "{}: {ran:#?}", language.fence);
        ran.stdout
    };
    tokio::task::spawn_blocking(run).await.expect("no panic")
}

async fn every_answer_is_told_apart(language: &'static Language) {
    if language.tier.here().is_none() {
        return;
    }
    let Some((site, line)) = Site::behind_a_line().await else { return };
    let folder = tempfile::tempdir().expect("a folder");
    let port = site.url.rsplit(':').next().expect("a port");
    fs::write(folder.path().join(language.file), program(language).replace("3000", port)).expect("the program");
    let ada: SignedIn = site.sign_in("ada").await;
    let cookie = ada.browser().cookie(&site.session_cookie()).expect("a session");
    let life = std::time::Duration::from_secs(3600);
    let made = site.tokens().create(UserId::new("ada"), "x".to_owned(), Scope::Me, life).await.expect("a token");
    let token = made.0.reveal().to_owned();
    let ask = async |variable, value: &str| says(language, folder.path(), variable, value).await;
    let hello = "Hello, ada of tests (ada)\n";
    assert_eq!(ask("DOORWARD_TOKEN", &token).await, hello, "{}", language.fence);
    assert_eq!(ask("DOORWARD_COOKIE", &cookie).await, hello, "{}", language.fence);
    let nobody = "Nobody is signed in\n";
    assert_eq!(ask("DOORWARD_TOKEN", "dw_pat_wrong").await, nobody, "{}", language.fence);
    assert_eq!(ask("DOORWARD_COOKIE", &cookie.replace(|c: char| c.is_lowercase(), "A")).await, nobody);
    assert_eq!(ask("DOORWARD_COOKIE", "x\r\nEvil: 1").await, nobody, "{}", language.fence);
    line.cut();
    let later = "It cannot be told right now: ask again\n";
    assert_eq!(ask("DOORWARD_COOKIE", &cookie).await, later, "{}", language.fence);
    assert_eq!(ask("DOORWARD_TOKEN", &token).await, later, "{}", language.fence);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_program_in_php_tells_every_answer_apart() {
    every_answer_is_told_apart(&LANGUAGES[0]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_program_in_python_tells_every_answer_apart() {
    every_answer_is_told_apart(&LANGUAGES[1]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_program_for_node_tells_every_answer_apart() {
    every_answer_is_told_apart(&LANGUAGES[2]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_program_in_go_tells_every_answer_apart() {
    every_answer_is_told_apart(&LANGUAGES[3]).await;
}
