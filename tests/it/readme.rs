//! The README's own lines, run as they are written; only the port and the place of the binary differ.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use crate::site::binary::{self, Binary};
use crate::site::echo::Echo;
use crate::site::front;
use crate::site::program::free_port;
use crate::site::tiers::Tier;
use crate::site::visitors::{Anonymous, Visitor};
use crate::wrong_turns;

fn readme() -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md")).expect("README.md")
}

/// The lines of all fenced blocks in `language`, without the indentation of a list they may stand in.
fn blocks(language: &str) -> Vec<Vec<String>> {
    let mut found = Vec::new();
    let mut block: Option<Vec<String>> = None;
    for line in readme().lines() {
        match (line.trim().strip_prefix("```"), &mut block) {
            (Some(opened), None) if opened == language => block = Some(Vec::new()),
            (Some(_), None) => block = Some(vec!["(another language)".to_owned()]),
            (Some(_), Some(_)) => found.extend(block.take()),
            (None, Some(lines)) => lines.push(line.trim().to_owned()),
            (None, None) => {}
        }
    }
    found.retain(|lines| lines.first().is_none_or(|line| line != "(another language)"));
    found
}

/// The fenced blocks in `language` that stand at the margin, letter for letter.
pub fn whole_blocks(language: &str) -> Vec<String> {
    let (readme, fence) = (readme(), format!("\n```{language}\n"));
    let opened = readme.split(&fence).skip(1);
    opened.map(|rest| rest.split("\n```").next().unwrap_or_default().to_owned() + "\n").collect()
}

/// What stands between backquotes and begins with `words`.
pub fn quoted(words: &str) -> String {
    let readme = readme();
    let found = readme.split('`').find(|text| text.starts_with(words));
    found.unwrap_or_else(|| panic!("the README says no {words:?}")).to_owned()
}

#[test]
fn every_command_of_ours_in_the_readme_is_understood() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut tried = 0;
    for line in blocks("sh").concat() {
        let line = line.split(" #").next().unwrap_or_default().trim().to_owned();
        let ours = line.strip_prefix("doorward ").or_else(|| line.strip_prefix("cargo run --release -- "));
        let Some(arguments) = ours else { continue };
        // Everything before --help is parsed as it would be, and nothing is done.
        let ran = binary::run(binary::command(folder.path()).args(arguments.split_whitespace()).arg("--help"));
        assert_eq!(ran.code, 0, "{line}: {ran:#?}");
        tried += 1;
    }
    assert!(tried >= 2, "the README names {tried} commands: is it read rightly?");
}

#[test]
fn the_configuration_in_the_readme_is_fine() {
    let folder = tempfile::tempdir().expect("a folder");
    let secret = folder.path().join("google-secret");
    fs::write(&secret, "GOCSPX-readme\n").expect("a secret");
    fs::set_permissions(&secret, fs::Permissions::from_mode(0o600)).expect("its mode");
    let block = blocks("toml").into_iter().next().expect("the README shows a configuration");
    assert!(block.iter().filter(|line| !line.is_empty()).count() <= 7, "it promises to be short: {block:#?}");
    // The README writes … for what is the reader's own.
    let config = block.join("\n").replace("….", "1234-readme.");
    fs::write(folder.path().join("config.toml"), config).expect("a configuration");
    let arguments = ["--config", "config.toml", "config", "check", "--offline"];
    let ran = binary::run(binary::command(folder.path()).args(arguments));
    assert_eq!(ran.code, 0, "{ran:#?}");
}

#[test]
fn the_configuration_for_a_program_beside_it_is_what_init_writes() {
    let folder = tempfile::tempdir().expect("a folder");
    let secret = folder.path().join("google-secret");
    fs::write(&secret, "GOCSPX-readme\n").expect("a secret");
    fs::set_permissions(&secret, fs::Permissions::from_mode(0o600)).expect("its mode");
    let apps = blocks("toml").into_iter().find(|lines| lines[0] == "[apps]").expect("the README shows [apps]");
    let init = quoted("doorward init --app");
    let arguments = init.split(' ').skip(1).chain(["--yes", "--client-id", "1.apps.googleusercontent.com"]);
    let arguments = arguments.chain(["--client-secret-file", "google-secret"]);
    let ran = binary::run(binary::command(folder.path()).args(arguments));
    assert_eq!(ran.code, 0, "{ran:#?}");
    let written = fs::read_to_string(folder.path().join("config.toml")).expect("a configuration");
    for line in apps {
        assert!(written.lines().any(|found| found == line), "{line} is not in:\n{written}");
    }
}

#[test]
fn the_look_in_the_readme_is_fine() {
    let folder = tempfile::tempdir().expect("a folder");
    let look = blocks("toml").into_iter().find(|block| block[0] == "[pages]").expect("the README shows a look");
    fs::write(folder.path().join("logo.svg"), "<svg xmlns=\"http://www.w3.org/2000/svg\"/>").expect("a logo");
    let exported = binary::run(binary::command(folder.path()).args(["pages", "export", "pages"]));
    assert_eq!(exported.code, 0, "{exported:#?}");
    let more = ["dir = \"pages\"", "reload = true"];
    assert!(more.iter().all(|line| readme().contains(&format!("`{line}`"))), "the README names both lines");
    let config = format!("{}\n{}\n{}\n", binary::PROVIDER_AWAY, look.join("\n"), more.join("\n"));
    binary::configure(folder.path(), &config);
    let shown = binary::run(binary::command(folder.path()).args(["--config", "config.toml", "config", "show"]));
    assert_eq!(shown.code, 0, "{shown:#?}");
    for value in ["Tea Society", "logo.svg", "#0f766e", "true"] {
        assert!(shown.stdout.contains(value), "{value}: {shown:#?}");
    }
}

#[test]
fn the_configuration_for_a_container_is_fine() {
    let blocks = blocks("toml");
    let is_database = |line: &&String| line.as_str() == "[database]";
    let (first, database) = (&blocks[0], &blocks[1]);
    let site = first.iter().take_while(|line| !is_database(line)).cloned().collect::<Vec<_>>();
    assert!(database.iter().any(|line| line.starts_with("tls")), "{database:#?}");
    let folder = tempfile::tempdir().expect("a folder");
    for secret in ["google-secret", "database-password"] {
        let secret = folder.path().join(secret);
        fs::write(&secret, "readme\n").expect("a secret");
        fs::set_permissions(&secret, fs::Permissions::from_mode(0o600)).expect("its mode");
    }
    binary::configure(folder.path(), &[site, database.clone()].concat().join("\n"));
    // What holds: the server of the other container, in plain; the image's own word on where to listen.
    let mut command = binary::command(folder.path());
    for line in dockerfile().lines().filter_map(|line| line.strip_prefix("ENV ")) {
        let (name, value) = line.split_once('=').expect("NAME=value");
        command.env(name, value);
    }
    let shown = binary::run(command.args(["config", "show"]));
    assert_eq!(shown.code, 0, "{shown:#?}");
    for value in ["\"mysql\"", "0.0.0.0:3000", "off"] {
        assert!(shown.stdout.contains(value), "{value}: {shown:#?}");
    }
    assert!(!shown.stderr.contains("unknown") && !shown.stderr.contains("warning"), "{shown:#?}");
}

fn dockerfile() -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("Dockerfile")).expect("Dockerfile")
}

#[test]
fn the_image_holds_the_static_binary_alone_and_its_commands_are_understood() {
    let dockerfile = dockerfile();
    let (build, image) = dockerfile.split_once("FROM scratch\n").expect("the last stage begins with nothing");
    let flags = "RUSTFLAGS=\"-C target-feature=+crt-static\" cargo build --release";
    assert!(build.contains(flags) && readme().contains(flags), "it is built as the README says");
    let user = image.lines().find_map(|line| line.strip_prefix("USER ")).expect("a user");
    let is_nobody = |id: &str| id.parse::<u32>().is_ok_and(|id| id > 0);
    assert!(user.split(':').all(is_nobody), "{user} is not a number, or is root");
    let check = image.split_once("CMD ").expect("a health check").1.lines().next().expect("a line");
    let check: Vec<String> = serde_json::from_str(check).expect("a command without a shell: there is none");
    let folder = tempfile::tempdir().expect("a folder");
    let ran = binary::run(binary::command(folder.path()).args(&check[1..]).arg("--help"));
    assert_eq!((check[0].as_str(), ran.code), ("/doorward", 0), "{ran:#?}");
}

#[test]
fn the_curl_lines_in_the_readme_get_what_they_say() {
    let site = Binary::serve(binary::PROVIDER_AWAY);
    let curl: Vec<_> = blocks("sh").concat().into_iter().filter(|line| line.starts_with("curl ")).collect();
    assert!(!curl.is_empty(), "the README shows no curl line");
    for line in curl {
        let (command, _) = line.split_once(" #").expect("a comment says what comes back");
        let command = command.replace("http://localhost:3000", &site.public_url);
        let ran = binary::run(Command::new("sh").arg("-c").arg(format!("{command} --silent --show-error")));
        assert_eq!(ran.code, 0, "{ran:#?}");
        // The token of the README is a placeholder: nobody is known by it.
        assert!(ran.stdout.starts_with("HTTP/1.1 401 "), "{command}: {ran:#?}");
    }
}

#[test]
fn the_test_command_of_the_readme_is_there() {
    let top = Path::new(env!("CARGO_MANIFEST_DIR"));
    assert!(blocks("sh").concat().iter().any(|line| line == "./tests/run"), "the README names its test command");
    for script in ["tests/run", ".ci/run"] {
        let mode = fs::metadata(top.join(script)).expect(script).permissions().mode();
        assert_eq!(mode & 0o111, 0o111, "{script} cannot be run");
    }
}

#[tokio::test]
async fn its_nginx_block_shares_a_host_with_a_program_of_ones_own() {
    if Tier::Proxies.here().is_none() {
        return;
    }
    let [block] = whole_blocks("nginx").try_into().expect("one block for nginx");
    let (port, own) = (free_port(), Echo::start().await);
    let provider = wrong_turns::provider().await;
    let folder = tempfile::tempdir().expect("a folder");
    let site = Binary::below("/auth", port, &wrong_turns::google(&provider));
    let block = block.replace("http://localhost:3000", &format!("http://127.0.0.1:{}", site.port));
    let rest = format!("location / {{ proxy_pass {}; }}", own.url);
    let nginx = front::nginx(folder.path(), &format!("server {{ listen 127.0.0.1:{port};\n{block}\n{rest}\n}}"));
    front::wait_for(port, &nginx);

    let browser = Anonymous::at(&site.public_url);
    let last = browser.follow("login").await;
    assert_eq!(last.url.as_str(), format!("http://localhost:{port}/"), "a sign-in ends at one's own page: {last:#?}");
    assert!(last.body.starts_with("GET / HTTP/1."), "{last:#?}");
    let (name, handle) = browser.cookies().into_iter().next().expect("a session");
    assert!(last.body.contains(&format!("{name}={handle}")), "one's own program is shown the cookie to ask with");
    let me = browser.get("api/me").await;
    assert_eq!((me.status, me.url.path()), (200, "/auth/api/me"), "{me:#?}");
}
