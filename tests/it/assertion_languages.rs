//! The programs of `docs/gate.md` that check an assertion, run as they are written; only the port differs.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use doorward::assertion::{Assertions, Subject};
use doorward::clock::{Clock, ManualClock, SystemClock, Timestamp};
use doorward::credential::Hashed;
use doorward::model::{Identity, User, UserId};
use doorward::names::Names;
use doorward::store;

use crate::site::binary;
use crate::site::person::person;
use crate::site::place::Place;
use crate::site::provider::wire::{Canned, bind, listen};
use crate::site::tiers::Tier;

const AUDIENCE: &str = "https://app.example.com";

fn page() -> String {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/gate.md");
    fs::read_to_string(page).expect("the page")
}

/// The one program in this language.
fn program(fence: &str) -> String {
    let (page, fence) = (page(), format!("\n```{fence}\n"));
    assert_eq!(page.matches(&fence).count(), 1, "one program in {fence}");
    let (_, rest) = page.split_once(&fence).expect("it was counted");
    rest.split("\n```").next().unwrap_or_default().to_owned() + "\n"
}

/// Assertions as our own code signs them at three moments and for two apps, and the keys to check them by.
struct Signed {
    issuer: String,
    keys: String,
    good: String,
    expired: String,
    for_another_app: String,
    from_another_issuer: String,
    by_another_key: String,
    changed: String,
    unsigned: String,
}

async fn signer(clock: &Arc<ManualClock>, issuer: &str) -> Assertions {
    let database = Place::Sqlite.fresh().await.expect("SQLite is always here");
    let shared: Arc<dyn Clock> = Arc::clone(clock) as Arc<dyn Clock>;
    let store = store::open(&database.config(None), Names::from_system(), Arc::clone(&shared));
    store.prepare(Some("https://accounts.google.com")).await.expect("ready");
    // The file goes with the test's folder; the store keeps it open.
    std::mem::forget(database);
    Assertions::new(store, shared, issuer.to_owned())
}

async fn signed(port: u16) -> Signed {
    let issuer = format!("http://localhost:{port}");
    let now = SystemClock.now();
    let clock = Arc::new(ManualClock::at(Timestamp::from_unix(now.unix() - 301)));
    let ours = signer(&clock, &issuer).await;
    let sign = async |assertions: &Assertions, audience: &str| {
        let user = ada();
        let credential = Hashed::from_bytes([7; 32]);
        let subject = Subject { credential, session: Some("0707"), user: &user, groups: &["admins"] };
        assertions.sign(subject, audience).await.expect("an assertion").to_string()
    };
    let expired = sign(&ours, AUDIENCE).await;
    clock.advance(std::time::Duration::from_secs(301));
    let good = sign(&ours, AUDIENCE).await;
    let for_another_app = sign(&ours, "https://other.example.com").await;
    let from_another_issuer = {
        let keys_of_ours = ours.key_set().await.expect("keys");
        let elsewhere = signer(&clock, "https://evil.example").await;
        assert_ne!(elsewhere.key_set().await.expect("keys"), keys_of_ours);
        sign(&elsewhere, AUDIENCE).await
    };
    let by_another_key = sign(&signer(&clock, &issuer).await, AUDIENCE).await;
    let parts: Vec<&str> = good.split('.').collect();
    let mut claims: serde_json::Value =
        serde_json::from_slice(&URL_SAFE_NO_PAD.decode(parts[1]).expect("base64url")).expect("JSON");
    claims["sub"] = "root".into();
    let claims = URL_SAFE_NO_PAD.encode(claims.to_string());
    let changed = format!("{}.{claims}.{}", parts[0], parts[2]);
    let none = URL_SAFE_NO_PAD.encode(r#"{"alg":"none","typ":"JWT"}"#);
    let unsigned = format!("{none}.{claims}.");
    let keys = ours.key_set().await.expect("keys").to_string();
    Signed { issuer, keys, good, expired, for_another_app, from_another_issuer, by_another_key, changed, unsigned }
}

fn ada() -> User {
    let identity = Identity {
        provider: "google".to_owned(),
        issuer: "https://accounts.google.com".to_owned(),
        subject: "1101".to_owned(),
        email: "ada@example.com".to_owned(),
        email_verified: true,
        name: Some("Ada Lovelace".to_owned()),
        picture: None,
        hosted_domain: None,
    };
    let now = Timestamp::from_unix(1);
    User { id: UserId::new("1101"), identity, created_at: now, last_login_at: now, blocked_at: None }
}

impl Signed {
    fn bad(&self) -> [&str; 8] {
        [
            &self.expired,
            &self.for_another_app,
            &self.from_another_issuer,
            &self.by_another_key,
            &self.changed,
            &self.unsigned,
            "a.b",
            "",
        ]
    }
}

async fn tells_true_from_false(fence: &str, file: &str, command: &'static [&'static str], tier: Tier) {
    let Some(here) = tier.here() else { return };
    // One Python among several may have the library.
    let interpreter = if tier == Tier::PyJwt { here } else { command[0].to_owned() };
    let socket = bind("127.0.0.1:0".parse().expect("an address")).await;
    let port = socket.local_addr().expect("an address").port();
    let signed = signed(port).await;
    let keys: serde_json::Value = serde_json::from_str(&signed.keys).expect("JSON");
    let _serving = listen(socket, move |_| Canned::json(keys.clone()));
    let folder = tempfile::tempdir().expect("a folder");
    let text = program(fence).replace("localhost:3000", &format!("localhost:{port}"));
    fs::write(folder.path().join(file), text).expect("the program");
    let says = async |assertion: &str| {
        let (at, file, assertion) = (folder.path().to_owned(), file.to_owned(), assertion.to_owned());
        let interpreter = interpreter.clone();
        let run = move || {
            let mut program = Command::new(interpreter);
            program.args(&command[1..]).arg(file).current_dir(at);
            binary::run(program.env("ASSERTION", assertion).env("GO111MODULE", "off"))
        };
        tokio::task::spawn_blocking(run).await.expect("no panic")
    };
    let hello = says(&signed.good).await;
    assert_eq!((hello.code, hello.stdout.as_str()), (0, "Hello, Ada Lovelace (1101)\n"), "{hello:#?}");
    for bad in signed.bad() {
        let ran = says(bad).await;
        let is_refused = ran.stdout == "This does not come from Doorward\n" || (ran.code != 0 && ran.stdout.is_empty());
        assert!(is_refused, "{bad}: {ran:#?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_program_in_python_tells_true_from_false() {
    tells_true_from_false("python", "check.py", &["python3"], Tier::PyJwt).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_program_in_php_tells_true_from_false() {
    tells_true_from_false("php", "check.php", &["php"], Tier::Browser).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_program_for_node_tells_true_from_false() {
    tells_true_from_false("js", "check.mjs", &["node"], Tier::Browser).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_program_in_go_tells_true_from_false() {
    tells_true_from_false("go", "check.go", &["go", "run"], Tier::Go).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_function_in_rust_tells_true_from_false() {
    let ours = include_str!("site/person.rs");
    assert!(ours.ends_with(&program("rust")), "the page and tests/it/site/person.rs differ");
    let signed = signed(3000).await;
    let who = |assertion: &str| person(assertion, &signed.keys, &signed.issuer, AUDIENCE, SystemClock.now().unix());
    assert_eq!(who(&signed.good).expect("it holds")["name"], "Ada Lovelace");
    for bad in signed.bad() {
        assert_eq!(who(bad), None, "{bad}");
    }
}
