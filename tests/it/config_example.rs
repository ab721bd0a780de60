//! `config.toml.example` is held against the code: every key, every default, every example in it.

use std::fs;
use std::path::Path;

use doorward::config::keys::KEYS;
use doorward::config::provider;
use doorward::config::sources::Sources;
use doorward::config::{self, Config, Loaded};

fn example() -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("config.toml.example")).expect("config.toml.example")
}

/// Whether a comment, without its mark, is a key with a value.
fn is_setting(text: &str) -> bool {
    text.split_once(" = ").is_some_and(|(key, _)| key.chars().all(|c| c.is_ascii_lowercase() || "._".contains(c)))
}

/// The example with the lines of one mark uncommented.
fn uncommented(mark: &str) -> String {
    let uncomment = |line: &str| match line.strip_prefix(mark) {
        Some(text) if is_setting(text) => text.to_owned(),
        _ => line.to_owned(),
    };
    example().lines().map(uncomment).collect::<Vec<_>>().join("\n")
}

fn load(text: &str) -> Loaded {
    let folder = tempfile::tempdir().expect("a temporary folder");
    fs::write(folder.path().join("config.toml"), text).expect("the configuration");
    let sources = Sources { folder: folder.path().to_owned(), ..Sources::default() };
    config::load(&sources).unwrap_or_else(|problems| panic!("{problems}"))
}

#[test]
fn the_first_six_lines_are_all_that_is_set_and_they_suffice() {
    let example = example();
    let set: Vec<_> = example.lines().filter(|line| !line.is_empty() && !line.starts_with('#')).collect();
    assert_eq!(set, example.lines().skip(1).take(6).collect::<Vec<_>>());
    let config = load(&set.join("\n")).config;
    assert_eq!(config.provider.expect("a provider").name, "google");
    assert!(matches!(config.database.place, config::database::Place::Mysql(_)), "{:?}", config.database);
}

#[test]
fn every_commented_default_is_the_default_of_the_code() {
    let Config {
        public_url,
        server,
        provider,
        database,
        sessions,
        apps,
        access,
        users,
        audit,
        groups,
        gate,
        limits,
        pages,
        log,
        metrics,
    } = load(&uncommented("# ")).config;
    let set = load(&example()).config;
    let default = Config::default();
    assert_eq!(public_url, default.public_url);
    assert_eq!(server, default.server);
    assert_eq!(sessions, default.sessions);
    assert_eq!(apps, default.apps);
    assert_eq!(access, default.access);
    assert_eq!(users, default.users);
    assert_eq!(audit, default.audit);
    assert_eq!(groups, default.groups);
    assert_eq!(gate, default.gate);
    assert_eq!(limits, default.limits);
    assert_eq!(pages, default.pages);
    assert_eq!(log, default.log);
    assert_eq!(metrics, default.metrics);
    // Here the six lines say something; the rest is as it would be without the line.
    assert_eq!(database, set.database);
    assert_eq!(database.users_table, default.database.users_table);
    assert_eq!(provider, set.provider);
    let google = provider::google();
    let found = provider.expect("a provider");
    let (client_id, client_secret) = (found.client_id.clone(), found.client_secret.clone());
    assert_eq!(found, provider::Provider { client_id, client_secret, ..google });
}

#[test]
fn a_commented_default_says_what_the_list_of_keys_says() {
    for key in KEYS {
        let name = key.name.replace("groups.*", "groups.admins").replace('*', "google");
        let stands = |mark: &str, value: &str| example().lines().any(|line| line == format!("{mark}{name} = {value}"));
        let lines = example().lines().filter(|line| line.contains(&format!("{name} = "))).count();
        assert_eq!(lines, 1, "{name} stands once in config.toml.example");
        // Of the ways to name a database one is in use, so that the others can only be examples.
        if let Some(default) = key.default.filter(|_| name != "database.url") {
            assert!(stands("# ", default) || stands("", default), "{name} = {default} is not in config.toml.example");
        }
    }
}

#[test]
fn the_example_holds_no_key_that_the_code_does_not_know() {
    let example = example();
    for line in example.lines() {
        let text = line.trim_start_matches("# ").trim_start_matches("## ");
        if is_setting(text) {
            let (key, _) = text.split_once(" = ").expect("a setting");
            assert!(config::keys::find(key).is_some(), "{key}");
        }
    }
}

#[test]
fn every_alternative_in_the_example_is_taken_in_place_of_what_it_replaces() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let files = [
        ("google-secret", "s3cret\n"),
        ("database-password", "s3cret\n"),
        ("database-url", "mysql://root@localhost/doorward\n"),
        (
            "client_secret_1234567890.json",
            r#"{"web":{"client_id":"1.apps.googleusercontent.com","client_secret":"s"}}"#,
        ),
    ];
    for (name, text) in files {
        fs::write(folder.path().join(name), text).expect("a file");
    }
    fs::write(folder.path().join("logo.svg"), "<svg xmlns=\"http://www.w3.org/2000/svg\"/>").expect("a logo");
    fs::create_dir(folder.path().join("pages")).expect("a folder");
    let example = example();
    let set: Vec<_> = example.lines().skip(1).take(6).collect();
    let alternatives: Vec<_> = example.lines().filter_map(|line| line.strip_prefix("## ")).collect();
    assert_eq!(alternatives.len(), 16, "{alternatives:?}");
    for alternative in alternatives {
        let replaced: &[&str] = match alternative.split(" = ").next().expect("a key") {
            "providers.google.client_secret_file" => &["client_secret"],
            "providers.google.client_json" => &["client_secret", "client_id"],
            "database.password_file" => &["password"],
            "database.url" | "database.url_file" => &["database."],
            _ => &[],
        };
        let kept = set.iter().filter(|line| !replaced.iter().any(|word| line.contains(word)));
        let together = match alternative.split(" = ").next().expect("a key") {
            "server.cert" => "server.key = \"privkey.pem\"\npublic_url = \"https://localhost:3000\"",
            "sessions.cookie_domain" => "public_url = \"https://auth.example.com\"",
            "server.key" => "server.cert = \"fullchain.pem\"\npublic_url = \"https://localhost:3000\"",
            _ => "",
        };
        let kept = kept.filter(|line| together.is_empty() || !line.starts_with("public_url"));
        let text = kept.chain([&alternative, &together]).copied().collect::<Vec<_>>().join("\n");
        fs::write(folder.path().join("config.toml"), &text).expect("the configuration");
        let sources = Sources { folder: folder.path().to_owned(), ..Sources::default() };
        let loaded = config::load(&sources).unwrap_or_else(|problems| panic!("{alternative}: {problems}"));
        let key = alternative.split(" = ").next();
        assert!(loaded.settings.iter().any(|setting| Some(setting.key.as_str()) == key), "{alternative} has no effect");
    }
}
