//! `doorward init`: what it asks, what it leaves, and what it leaves alone.

use std::fs;
use std::io::{Read as _, Write as _};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::thread;

use tempfile::TempDir;

use crate::site::binary::{self, Ran};
use crate::site::place::Place;
use crate::site::program::PATIENCE;

const CLIENT_ID: &str = "1234-init.apps.googleusercontent.com";

fn folder() -> TempDir {
    tempfile::tempdir().expect("a folder")
}

/// The file that Google's console downloads, as it downloads it.
fn google_file(folder: &Path, name: &str, redirect_uris: &[&str]) {
    let client = serde_json::json!({ "web": {
        "client_id": CLIENT_ID,
        "project_id": "an-evening",
        "client_secret": "GOCSPX-canary",
        "redirect_uris": redirect_uris,
    }});
    private(&folder.join(name), &client.to_string());
}

fn private(path: &Path, text: &str) {
    fs::write(path, text).expect("a file");
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).expect("its mode");
}

fn doorward(folder: &Path, arguments: &[&str]) -> Ran {
    binary::run(binary::command(folder).args(arguments))
}

/// The names of the files in `folder`.
fn files(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).expect("the folder").flatten();
    let mut names: Vec<_> = entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

/// What stands in `name`, and that nobody else may read it.
fn kept(folder: &Path, name: &str) -> String {
    let path = folder.join(name);
    let mode = fs::metadata(&path).unwrap_or_else(|error| panic!("{name}: {error}")).permissions().mode();
    assert_eq!(mode & 0o777, 0o600, "{name} is for its owner alone");
    fs::read_to_string(path).expect("text")
}

/// That a server would take the configuration, without a word against it.
fn holds(folder: &Path) {
    let checked = doorward(folder, &["config", "check", "--offline"]);
    assert_eq!((checked.code, checked.stderr.as_str()), (0, ""), "{checked:#?}");
}

#[test]
fn with_googles_file_in_the_folder_nothing_needs_to_be_said() {
    let folder = folder();
    let uri = "http://localhost:3000/login/callback";
    google_file(folder.path(), "client_secret_1234.json", &["http://localhost/", uri]);
    fs::write(folder.path().join("package.json"), "{\"name\": \"not a client\"}").expect("another file");
    let ran = doorward(folder.path(), &["init"]);
    assert_eq!((ran.code, ran.stdout.as_str()), (0, ""), "{ran:#?}");
    let config = kept(folder.path(), "config.toml");
    for line in ["public_url = \"http://localhost:3000\"", "client_json = \"client_secret_1234.json\""] {
        assert!(config.lines().any(|found| found == line), "{line} is not in:\n{config}");
    }
    assert!(config.contains("# ") && !config.contains("canary"), "{config}");
    assert!(ran.stderr.contains(uri) && ran.stderr.contains("lists it: done"), "{ran:#?}");
    assert!(ran.stderr.contains("doorward config check"), "{ran:#?}");
    assert!(!ran.stderr.contains("canary"), "{ran:#?}");
    holds(folder.path());
    assert_eq!(files(folder.path()), ["client_secret_1234.json", "config.toml", "package.json"]);
}

#[test]
fn a_file_that_lists_another_address_decides_where_the_site_is() {
    let folder = folder();
    google_file(folder.path(), "client.json", &["http://localhost:5000/login/callback"]);
    let ran = doorward(folder.path(), &["init", "--yes"]);
    assert_eq!(ran.code, 0, "{ran:#?}");
    let config = kept(folder.path(), "config.toml");
    for line in ["public_url = \"http://localhost:5000\"", "listen = \"localhost:5000\""] {
        assert!(config.lines().any(|found| found == line), "{line} is not in:\n{config}");
    }
    assert!(ran.stderr.contains("lists it: done"), "{ran:#?}");
    holds(folder.path());
}

#[test]
fn a_redirect_uri_that_the_file_does_not_list_is_said_with_the_place_to_add_it() {
    let folder = folder();
    google_file(folder.path(), "client.json", &["http://localhost:5000/callback"]);
    let ran = doorward(folder.path(), &["init", "--yes"]);
    assert_eq!(ran.code, 0, "{ran:#?}");
    for words in ["does not list http://localhost:3000/login/callback", "https://console.cloud.google.com/auth/clients"]
    {
        assert!(ran.stderr.contains(words), "{words}: {ran:#?}");
    }
}

#[test]
fn everything_can_be_said_by_flags() {
    let folder = folder();
    private(&folder.path().join("secret"), "GOCSPX-canary\n");
    fs::create_dir(folder.path().join("site")).expect("a folder");
    let config = folder.path().join("site/door.toml");
    let config = config.to_str().expect("text");
    let ran = doorward(
        folder.path(),
        &[
            "init",
            "--config",
            config,
            "--client-id",
            CLIENT_ID,
            "--client-secret-file",
            "secret",
            "--public-url",
            "https://example.com/auth",
            "--database-url",
            "sqlite:people.db",
            "--app",
            "https://example.com",
        ],
    );
    assert_eq!(ran.code, 0, "{ran:#?}");
    assert!(ran.stderr.contains("https://example.com/auth/login/callback"), "{ran:#?}");
    let command = format!("doorward --config {config} config check");
    assert!(ran.stderr.contains(&command), "{command}: {ran:#?}");
    kept(&folder.path().join("site"), "door.toml");
    let shown = doorward(folder.path(), &["config", "show", "--config", config]);
    assert_eq!((shown.code, shown.stderr.as_str()), (0, ""), "{shown:#?}");
    for line in ["home = \"https://example.com/\"", "origins = [\"https://example.com\"]", "url = \"sqlite:people.db\""]
    {
        assert!(shown.stdout.contains(line), "{line}: {shown:#?}");
    }
}

#[test]
fn another_place_to_listen_is_another_address_to_register() {
    let folder = folder();
    private(&folder.path().join("secret"), "GOCSPX-canary\n");
    let client = ["init", "--client-id", CLIENT_ID, "--client-secret-file", "secret"];
    let ran = doorward(folder.path(), &[&client[..], &["--listen", "localhost:4000"]].concat());
    assert!(ran.code == 0 && ran.stderr.contains("http://localhost:4000/login/callback"), "{ran:#?}");
    let config = kept(folder.path(), "config.toml");
    assert!(config.contains("listen = \"localhost:4000\"") && config.contains("\"http://localhost:4000\""), "{config}");
    holds(folder.path());
    let proxy = ["--force", "--listen", "unix:/run/doorward.sock", "--public-url", "https://example.com"];
    let ran = doorward(folder.path(), &[&client[..], &proxy].concat());
    assert_eq!(ran.code, 0, "{ran:#?}");
    let config = kept(folder.path(), "config.toml");
    assert!(config.contains("listen = \"unix:/run/doorward.sock\"") && !config.contains("self-signed"), "{config}");
    holds(folder.path());
}

#[test]
fn what_is_there_is_not_written_over_without_force() {
    let folder = folder();
    google_file(folder.path(), "client.json", &["http://localhost:3000/login/callback"]);
    binary::configure(folder.path(), "# mine\n");
    let refused = doorward(folder.path(), &["init", "--yes"]);
    assert!(refused.code == 1 && refused.stderr.contains("--force"), "{refused:#?}");
    assert_eq!(kept(folder.path(), "config.toml"), "# mine\n");
    assert_eq!(doorward(folder.path(), &["init", "--yes", "--force"]).code, 0);
    holds(folder.path());
}

#[test]
fn what_cannot_hold_is_refused_and_leaves_nothing() {
    let folder = folder();
    google_file(folder.path(), "client.json", &["http://localhost:3000/login/callback"]);
    for (arguments, code, word) in [
        (&["--app", "localhost:8000"][..], 2, "--app"),
        (&["--app", "http://example.com"], 2, "--app"),
        (&["--database-url", "postgres://localhost/x"], 2, "use MySQL"),
        (&["--public-url", "http://example.com"], 2, "--public-url"),
        (&["--client-json", "absent.json"], 78, "absent.json"),
        (&["--client-id", "1.apps.googleusercontent.com"], 2, "--client-secret-file"),
        (&["--client-id", "two words", "--client-secret-file", "client.json"], 78, "client_id"),
    ] {
        let ran = doorward(folder.path(), &[&["init", "--yes"], arguments].concat());
        assert_eq!(ran.code, code, "{arguments:?}: {ran:#?}");
        assert!(ran.stderr.contains(word) && !ran.stderr.contains("canary"), "{arguments:?}: {ran:#?}");
        assert_eq!(files(folder.path()), ["client.json"], "{arguments:?}");
    }
}

#[test]
fn without_a_client_and_a_terminal_it_says_what_to_give() {
    let folder = folder();
    let ran = doorward(folder.path(), &["init"]);
    assert_eq!((ran.code, ran.stdout.as_str()), (2, ""), "{ran:#?}");
    for word in ["--client-json", "--client-id", "https://console.cloud.google.com/auth/clients"] {
        assert!(ran.stderr.contains(word), "{word}: {ran:#?}");
    }
    google_file(folder.path(), "one.json", &[]);
    google_file(folder.path(), "two.json", &[]);
    let ran = doorward(folder.path(), &["init"]);
    assert!(ran.code == 2 && ran.stderr.contains("one.json, two.json"), "{ran:#?}");
    assert_eq!(files(folder.path()), ["one.json", "two.json"]);
}

/// Runs `doorward init` at a terminal where somebody waits for each question before typing the answer. All that the
/// terminal shows, and how it ended.
fn at_a_terminal(folder: &Path, answers: &[(&str, &str)]) -> Ran {
    at_a_terminal_with(folder, "", answers)
}

/// The same, with `flags`.
fn at_a_terminal_with(folder: &Path, flags: &str, answers: &[(&str, &str)]) -> Ran {
    let doorward = format!("{} init {flags}", env!("CARGO_BIN_EXE_doorward"));
    let mut command = Command::new("script");
    command.args(["--quiet", "--return", "--command", &doorward, "/dev/null"]);
    command.current_dir(folder).env_clear().env("PATH", "/usr/bin:/bin");
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("script(1), of Debian's bsdutils");
    let (mut keys, mut screen) = (child.stdin.take().expect("it is piped"), child.stdout.take().expect("likewise"));
    let (show, shown) = mpsc::channel();
    thread::spawn(move || {
        let mut part = [0; 1024];
        while let Ok(length @ 1..) = screen.read(&mut part) {
            if show.send(String::from_utf8_lossy(&part[..length]).into_owned()).is_err() {
                return;
            }
        }
    });
    let mut all = String::new();
    for (question, answer) in answers {
        let before = all.len();
        while !all[before..].contains(question) {
            all += &shown.recv_timeout(PATIENCE).unwrap_or_else(|error| panic!("no {question:?} ({error}):\n{all}"));
        }
        keys.write_all(answer.as_bytes()).expect("somebody reads");
    }
    drop(keys);
    while let Ok(part) = shown.recv_timeout(PATIENCE) {
        all += &part;
    }
    let code = child.wait().expect("it ends").code().unwrap_or(-1);
    Ran { code, stdout: all.replace('\r', ""), stderr: String::new() }
}

#[test]
fn a_person_answers_three_questions() {
    let folder = folder();
    let answers = [
        ("the client id", &*format!("{CLIENT_ID}\n")),
        ("client secret", "GOCSPX-typed\n"),
        ("Where to remember", "7\n"),
        ("Where to remember", "2\n"),
        ("mysql://user", "sqlite:people.db\n"),
    ];
    let ran = at_a_terminal(folder.path(), &answers);
    assert!(!ran.stdout.contains("typed"), "the secret is shown: {ran:#?}");
    assert_eq!(ran.code, 0, "{ran:#?}");
    for words in [
        "Web application",
        "http://localhost:3000/login/callback",
        "client secret",
        "XAMPP",
        "answer with a number from 1 to 3",
    ] {
        assert!(ran.stdout.contains(words), "{words}: {ran:#?}");
    }
    assert_eq!(kept(folder.path(), "google-secret"), "GOCSPX-typed\n");
    let config = kept(folder.path(), "config.toml");
    assert!(config.contains(CLIENT_ID) && !config.contains("typed"), "{config}");
    assert!(config.contains("url = \"sqlite:people.db\""), "{config}");
    holds(folder.path());
}

#[test]
fn xampps_database_is_one_key_away() {
    let folder = folder();
    google_file(folder.path(), "client.json", &["http://localhost:3000/login/callback"]);
    let ran = at_a_terminal(folder.path(), &[("Where to remember", "1\n"), ("Which database", "flask_login\n")]);
    assert_eq!(ran.code, 0, "{ran:#?}");
    let config = kept(folder.path(), "config.toml");
    for line in ["user = \"root\"", "password = \"\"", "name = \"flask_login\""] {
        assert!(config.lines().any(|found| found == line), "{line} is not in:\n{config}");
    }
    holds(folder.path());
}

#[test]
fn a_typed_secret_replaces_an_old_one_only_together_with_a_configuration_that_holds() {
    let folder = folder();
    private(&folder.path().join("google-secret"), "GOCSPX-old\n");
    let refused = at_a_terminal(folder.path(), &[]);
    assert!(refused.code == 1 && refused.stdout.contains("google-secret is there already"), "{refused:#?}");
    assert!(!refused.stdout.contains("the client id"), "it is refused before anything is asked: {refused:#?}");
    let type_in = |id: &str| {
        let id = format!("{id}\n");
        let answers = [("the client id", id.as_str()), ("client secret", "GOCSPX-new\n"), ("Where to remember", "3\n")];
        at_a_terminal_with(folder.path(), "--force", &answers)
    };
    let refused = type_in("two words");
    assert!(refused.code == 78 && refused.stdout.contains("client_id"), "{refused:#?}");
    assert_eq!(kept(folder.path(), "google-secret"), "GOCSPX-old\n");
    assert_eq!(files(folder.path()), ["google-secret"]);
    let written = type_in(CLIENT_ID);
    assert_eq!(written.code, 0, "{written:#?}");
    assert_eq!(kept(folder.path(), "google-secret"), "GOCSPX-new\n");
    holds(folder.path());
}

#[test]
fn who_leaves_in_the_middle_leaves_nothing() {
    let folder = folder();
    // Control-D, as a terminal sends it.
    let ran = at_a_terminal(folder.path(), &[("the client id", &format!("{CLIENT_ID}\n")), ("client secret", "\u{4}")]);
    assert!(ran.code == 1 && ran.stdout.contains("nothing was written"), "{ran:#?}");
    assert_eq!(files(folder.path()), Vec::<String>::new());
}

#[tokio::test]
async fn the_database_is_looked_at_and_not_touched() {
    for place in Place::all() {
        let Some(database) = place.fresh().await else { continue };
        database.execute("create table users (id varchar(255) primary key, email varchar(255) unique)").await;
        database.execute("insert into users values ('1101', 'ada@example.com')").await;
        let folder = folder();
        google_file(folder.path(), "client.json", &["http://localhost:3000/login/callback"]);
        let ran = doorward(folder.path(), &["init", "--yes", "--database-url", &database.url()]);
        assert_eq!(ran.code, 0, "{ran:#?}");
        for words in ["use the table users as it is", "takes each email once", "takes over the row"] {
            assert!(ran.stderr.contains(words), "{place:?}: {words}: {ran:#?}");
        }
        let planned = doorward(folder.path(), &["migrate", "--dry-run"]);
        assert!(planned.code == 0 && planned.stdout.contains("doorward_meta"), "nothing was made yet: {planned:#?}");
        assert!(planned.stderr.contains("takes over the row"), "{planned:#?}");
        assert_eq!(doorward(folder.path(), &["migrate"]).code, 0);
        let again = doorward(folder.path(), &["config", "check"]);
        assert!(!again.stderr.contains("takes over the row"), "it is adopted: {again:#?}");
        assert!(again.stdout.contains("ready") && again.stderr.contains("takes each email once"), "{again:#?}");
    }
}
