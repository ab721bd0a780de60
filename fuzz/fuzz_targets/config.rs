//! Whatever stands in the configuration file, it is read or refused with sentences, no secret in it is in one of these,
//! and what is shown of it says the same when it is read in its turn.
#![no_main]

use std::fs;
use std::path::PathBuf;
use std::sync::LazyLock;

use doorward::config::problem::Problems;
use doorward::config::sources::Sources;
use doorward::config::{Loaded, show};
use libfuzzer_sys::{Corpus, fuzz_target};
use tempfile::TempDir;

/// In the seeds, the value of every secret.
const SECRET: &str = "hush-hush-5ecret";

static FOLDER: LazyLock<TempDir> = LazyLock::new(|| tempfile::tempdir().expect("a folder"));

fuzz_target!(|data: &[u8]| -> Corpus {
    let said = match load(data) {
        Ok(loaded) => {
            let shown = show::toml(&loaded.settings);
            the_same_again(&loaded, &shown);
            format!("{:?}\n{:?}\n{shown}", loaded.warnings, loaded.config)
        }
        Err(problems) => {
            assert!(!problems.0.is_empty(), "refused without a reason");
            assert!(problems.0.iter().all(|problem| !problem.what.is_empty() && !problem.remedy.is_empty()));
            problems.to_string()
        }
    };
    let text = String::from_utf8_lossy(data);
    let is_a_secret = |line: &str| {
        let Some((key, value)) = line.split_once('=') else { return false };
        let key = key.trim().rsplit('.').next().unwrap_or_default();
        match key {
            "client_secret" | "password" => value.trim() == format!("\"{SECRET}\""),
            "url" => value.trim().starts_with(&format!("\"mysql://root:{SECRET}@")),
            _ => false,
        }
    };
    // Only where the secret stands nowhere else: a key of that name is repeated in the message.
    if text.matches(SECRET).count() == 1 && text.lines().any(is_a_secret) {
        assert!(!said.contains(SECRET), "{said}");
    }
    Corpus::Keep
});

fn load(text: &[u8]) -> Result<Loaded, Problems> {
    let path: PathBuf = FOLDER.path().join("config.toml");
    fs::write(&path, text).expect("a file");
    doorward::config::load(&Sources { file: Some(path), ..Sources::default() })
}

/// `doorward config show` is a configuration, with every key said and secrets masked.
fn the_same_again(loaded: &Loaded, shown: &str) {
    assert!(shown.parse::<toml_edit::DocumentMut>().is_ok(), "no TOML:\n{shown}");
    let values = |loaded: &Loaded| -> Vec<(String, String)> {
        loaded.settings.iter().map(|setting| (setting.key.clone(), setting.value.clone())).collect()
    };
    match load(shown.as_bytes()) {
        Ok(again) => assert_eq!(values(&again), values(loaded)),
        Err(problems) => panic!("{problems}\n{shown}"),
    }
}
