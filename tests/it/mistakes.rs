//! One mistake is said once, where it was made: what is so, why, and what to do.

use std::path::Path;

use std::fs;

use doorward::config::provider::EXAMPLE;

use crate::site::binary::{self, Ran};

const CLIENT: &str =
    "[providers.google]\nclient_id = \"1.apps.googleusercontent.com\"\nclient_secret = \"canary-41\"\n";

fn check(text: &str, variable: Option<&str>) -> Ran {
    let folder = tempfile::tempdir().expect("a folder");
    binary::configure(folder.path(), text);
    let mut command = binary::command(folder.path());
    command.args(["config", "check", "--offline"]);
    binary::run(command.envs(variable.map(|name| (name, "something"))))
}

#[test]
fn one_mistake_in_the_file_is_one_line_with_its_place() {
    let table = [
        // What stands above the client, what below, and what is said.
        (
            "public_url = = \"http://localhost:3000\"\n",
            "",
            "config.toml:1:14: is not TOML: two = follow each other; take",
        ),
        (
            "",
            "[database]\nhost = \"localhost\"\nusr = \"site\"\nname = \"site\"\n",
            "config.toml:6: database.usr: there is no such key; did you mean database.user?",
        ),
        (
            "",
            "[database]\nhost = \"localhost\"\nuser = \"site\"\n",
            "config.toml:5: database.name: is missing; write name = \"…\" under [database]",
        ),
        (
            "",
            "[database]\nuser = \"site\"\nname = \"site\"\nport = \"3306\"\n",
            "config.toml:7: database.port: is text, not a number; write it without quotes",
        ),
        (
            "",
            "[server]\ncert = \"site.pem\"\n",
            "config.toml:5: server.key: is missing beside server.cert; name the file",
        ),
        (
            "",
            "[server]\nkey = \"key.pem\"\n",
            "config.toml:5: server.cert: is missing beside server.key; name the file",
        ),
        (
            "",
            "[server]\ncert = \"site.pem\"\nkeys = \"key.pem\"\n",
            "config.toml:6: server.keys: there is no such key; did",
        ),
    ];
    for (above, below, said) in table {
        let ran = check(&format!("{above}{CLIENT}{below}"), None);
        let expected = format!("error: the configuration has a problem\n  {said}");
        assert!(ran.stderr.starts_with(&expected) && ran.stderr.lines().count() == 2, "{expected}\n{}", ran.stderr);
        assert_eq!((ran.code, ran.stderr.contains("canary")), (78, false), "{ran:#?}");
    }
    let misspelt = check(&CLIENT.replace("client_secret", "client_secrt"), None);
    assert!(misspelt.stderr.contains("did you mean providers.google.client_secret?"), "{misspelt:#?}");
    assert_eq!(misspelt.stderr.lines().count(), 2, "{misspelt:#?}");
}

#[test]
fn mistakes_in_variables_are_told_together_and_so_is_one_that_is_no_setting() {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;
    let folder = tempfile::tempdir().expect("a folder");
    let mut command = binary::command(folder.path());
    command.args(["config", "check", "--offline"]);
    command.env("DOORWARD_PROVIDERS__GOOGLE__CLIENT_SECRET", "canary-41");
    command.env("DOORWARD_PROVIDERS__GOOGLE__CLIENTID", "1.apps.googleusercontent.com");
    command.env("DOORWARD_SESSIONS__IDLE", "soon").env("DOORWARD_SERVER__LISTEN", "3000");
    command
        .env("DOORWARD_PAGES__TITLE", OsStr::from_bytes(b"a\xff"))
        .env("DOORWARD_LOG__LEVEL", OsStr::from_bytes(b"\xff"));
    let ran = binary::run(&mut command);
    for words in [
        "the configuration has 6 problems\n",
        "DOORWARD_PAGES__TITLE: is not UTF-8 text; set the variable again",
        "DOORWARD_LOG__LEVEL: is not UTF-8 text",
        "DOORWARD_SERVER__LISTEN: server.listen: \"3000\" is no place to listen",
        "DOORWARD_SESSIONS__IDLE: sessions.idle: \"soon\" is not a duration",
        "providers.google.client_id: is missing",
        "DOORWARD_PROVIDERS__GOOGLE__CLIENTID: is no setting; did you mean DOORWARD_PROVIDERS__GOOGLE__CLIENT_ID?",
    ] {
        assert!(ran.stderr.contains(words), "{words}: {ran:#?}");
    }
    assert_eq!((ran.code, ran.stderr.contains("canary")), (78, false), "{ran:#?}");
}

#[test]
fn what_only_stands_for_a_client_is_not_taken_for_one() {
    let (id, secret) = EXAMPLE;
    let example = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("config.toml.example"));
    let example = example.expect("config.toml.example");
    assert!(example.contains(id) && example.contains(secret), "they are the example's");
    let ran = check(&example.replace("database.", "# database."), None);
    for key in ["client_id", "client_secret"] {
        let words = format!("warning: providers.google.{key} still holds what config.toml.example says");
        assert!(ran.stderr.contains(&words), "{ran:#?}");
    }
    for placeholder in ["…", "GOCSPX-…", "..."] {
        let ran = check(&CLIENT.replace("canary-41", placeholder), None);
        assert!(
            ran.stderr.contains("config.toml:3: providers.google.client_secret: is a placeholder; copy"),
            "{ran:#?}"
        );
    }
    assert_eq!(check(CLIENT, None).stderr, "");
}

#[test]
fn the_variables_of_our_own_tests_are_no_mistake_and_others_are_said() {
    let ran = check(CLIENT, Some("DOORWARD_TEST_BROWSER"));
    assert_eq!((ran.code, ran.stderr.as_str()), (0, ""), "{ran:#?}");
    let ran = check(CLIENT, Some("DOORWARD_TESTS"));
    assert!(ran.stderr.contains("the environment variable DOORWARD_TESTS is no setting"), "{ran:#?}");
}

#[test]
fn an_app_that_is_no_origin_is_said_once_and_nothing_is_written() {
    let folder = tempfile::tempdir().expect("a folder");
    let ran = binary::run(binary::command(folder.path()).args(["init", "--yes", "--app", "localhost:8000"]));
    let expected = "error: --app \"localhost:8000\" is not an origin\n\
                    hint: write scheme, host and port, such as http://localhost:8000, and nothing more\n";
    assert_eq!((ran.code, ran.stderr.as_str()), (2, expected), "{ran:#?}");
    assert_eq!(folder.path().read_dir().expect("a folder").count(), 0);
}

/// A command line that cannot be right: how it ends, and what the message must hold: the thing, and what to do about it.
type Mistake = (&'static [&'static str], i32, &'static [&'static str]);

#[rustfmt::skip]
const MISTAKES: &[Mistake] = &[
    (&["tokens", "create", "--user", "ada@example.com"], 1, &["the email ada@example.com", "`doorward users list`"]),
    (&["tokens", "create", "--user", "a", "--name", ""], 2, &["--name", "tells this token from the others"]),
    (&["tokens", "create", "--user", "a", "--expires", "3"], 2, &["'3'", "write 12h or 90d"]),
    (&["tokens", "create", "--user", "a", "--expires", "3s"], 2, &["'3s'", "shorter than a minute; write 12h"]),
    (&["tokens", "create", "--user", "a", "--expires", "100y"], 2, &["'100y'", "longer than ten years; write 90d"]),
    (&["tokens", "create", "--user", "a", "--scope", "all"], 2, &["'all'", "write one of me, account"]),
    (&["tokens", "revoke", "zzz"], 1, &["the id zzz", "`doorward tokens list` prints the ids"]),
    (&["tokens", "list", "--after", "zzz"], 1, &["the id zzz", "`doorward tokens list` prints the ids"]),
    (&["tokens", "list", "--limit", "0"], 2, &["'0'", "a number from 1 to 100000"]),
    (&["users", "list", "--limit", "many"], 2, &["'many'", "a number from 1 to 100000"]),
    (&["users", "list", "--email", "ada"], 2, &["\"ada\" is not an email address", "write ada@example.com"]),
    (&["users", "list", "--domain", "a b"], 2, &["--domain", "write"]),
    (&["users", "show", "zzz"], 1, &["the email zzz", "`doorward users list` prints both"]),
    (&["users", "block", "zzz"], 1, &["the email zzz", "`doorward audit` shows the id"]),
    (&["users", "unblock", "zzz"], 1, &["zzz is not blocked", "`doorward access explain"]),
    (&["users", "delete", "zzz"], 1, &["the email zzz", "`doorward users list` prints both"]),
    (&["users", "export", "zzz"], 1, &["the email zzz", "`doorward users list` prints both"]),
    (&["sessions", "revoke", "zzz"], 1, &["the id zzz", "`doorward sessions list` prints the ids"]),
    (&["sessions", "revoke"], 2, &["--user", "--address", "--idle-for"]),
    (&["sessions", "revoke", "--address", "home"], 2, &["'home'", "write it as `sessions list` prints it"]),
    (&["sessions", "list", "--idle-for", "long"], 2, &["'long'", "write 12h or 3d"]),
    (&["access", "explain", "--email", "ada"], 2, &["\"ada\" is not an email address", "write ada@example.com"]),
    (&["access", "explain", "--url", "app"], 2, &["'app'", "write https://app.example.com/admin/"]),
    (&["access", "explain", "--url", "https://a.example/", "--method", "get"], 2, &["\"get\" is no method", "in capitals"]),
    (&["audit", "--event", "x"], 2, &["'x'", "the kinds are login, refusal"]),
    (&["audit", "--since", "x"], 2, &["'x'", "write 2h or 7d"]),
    (&["audit", "--before", "x"], 2, &["'x'", "as the listing printed it"]),
    (&["audit", "--user", "ada@example.com"], 1, &["the email ada@example.com", "`doorward users list`"]),
    (&["pages", "export", "config.toml"], 1, &["config.toml could not be written", "name a folder"]),
    (&["pages", "export", "/proc/x"], 1, &["/proc/x could not be written: No such file", "name a folder"]),
    (&["manual", "config.toml"], 1, &["into config.toml", "name a folder"]),
    (&["completions", "csh"], 2, &["'csh'", "bash", "zsh"]),
    (&["login", "--server", "site"], 2, &["'site'", "is not the address of a site", "write https://example.com"]),
    (&["login", "--server", "http://example.com"], 2, &["could read the token", "write https://"]),
    (&["login", "--server", "http://localhost:9"], 69, &["http://localhost:9 cannot be asked", "Connection refused", "check the address"]),
    (&["me"], 1, &["not signed in anywhere", "doorward login --server"]),
    (&["logout"], 1, &["not signed in anywhere", "doorward login --server"]),
    (&["proxy-config", "nginx", "--host", "http://a"], 2, &["\"http://a\" is not the name of a host", "app.example.com:8443"]),
    (&["proxy-config", "nginx", "--host", "a.example", "--lua"], 2, &["--lua", "proxy-config haproxy --lua"]),
    (&["proxy-config", "nginx", "--host", "a.example", "--upstream", "a"], 2, &["'a'", "write http://127.0.0.1:8000"]),
    (&["proxy-config", "caddy", "--host", "a.example", "--listen", "unix:/tmp/x"], 2, &["Unix socket", "set server.listen"]),
    (&["healthcheck", "--listen", "localhost:9"], 1, &["localhost:9: Connection refused", "start it"]),
    (&["init"], 1, &["config.toml is there already", "--force writes over it"]),
    (&["init", "--config", "new.toml"], 2, &["no client is named", "--client-json FILE"]),
    (&["config", "check", "--config", "none.toml"], 78, &["none.toml: cannot be read: No such file", "name a file"]),
    (&["config", "show", "--public-url", "site"], 78, &["--public-url: public_url:", "write https://example.com"]),
    (&["config", "show", "--log-level", "loud"], 2, &["\"loud\" is not a level", "write off, error"]),
    (&["migrate", "--database-url", "mysql://root@localhost:9/x"], 69, &["nobody answers as MySQL at localhost:9", "Start the database"]),
    (&["keys", "list", "--database-url", "mysql://root@site.invalid/x"], 69, &["no address for site.invalid", "Correct the host"]),
    (&["serve", "--listen", "192.0.2.1:3000"], 69, &["192.0.2.1:3000", "server.listen must be an address of this machine"]),
    (&["serve", "--listen", "unix:/none/x"], 69, &["unix:/none/x", "make the folder first"]),
    (&["serve", "--listen", "unix:config.toml"], 69, &["a file that is no socket is there", "move the file away"]),
];

#[test]
fn every_command_says_what_is_wrong_and_what_to_do() {
    let folder = tempfile::tempdir().expect("a folder");
    binary::configure(folder.path(), CLIENT);
    let run =
        |arguments: &[&str]| binary::run(binary::command(folder.path()).env("HOME", folder.path()).args(arguments));
    assert_eq!(run(&["migrate"]).code, 0);
    for (arguments, code, words) in MISTAKES {
        let ran = run(arguments);
        assert_eq!((ran.code, ran.stdout.as_str()), (*code, ""), "{arguments:?}: {ran:#?}");
        is_for_people(&ran.stderr);
        for word in *words {
            assert!(ran.stderr.contains(word), "{word:?} is not in what {arguments:?} says:\n{}", ran.stderr);
        }
    }
}

/// Says that something is wrong, and shows nothing of what only programmers know.
fn is_for_people(said: &str) {
    assert!(said.lines().any(|line| line.starts_with("error: ")), "{said}");
    for inside in ["os error", "ParseIntError", "invalid digit", "..=", "panicked", "{ ", "Err(", "canary"] {
        assert!(!said.contains(inside), "{inside:?} is in:\n{said}");
    }
}

#[test]
fn what_is_wrong_in_the_file_is_said_with_its_value_its_reason_and_the_remedy() {
    // What stands below the client, from line 4 on, and the problems, in their order.
    let table: &[(&str, &[&str])] = &[
        ("[gate]\nuser = \"name\"", &["5: gate.user: \"name\" is not one of its words; write \"email\" or \"id\""]),
        (
            "[[gate.rules]]\nhst = \"a.example\"\nallow = \"nobody\"",
            &["4: gate.rules: number 1 holds \"hst\", which no rule has; did you mean host?"],
        ),
        (
            "[[gate.rules]]\nhost = \"a.example\"\nmethods = [\"get\"]\nemails = [\"ada\"]",
            &[
                "4: gate.rules: number 1 has a wrong methods: \"get\" is no method; write GET, POST",
                "4: gate.rules: number 1 has a wrong emails: \"ada\" is not an email address; write ada@example.com",
            ],
        ),
        (
            "[[gate.rules]]\nhost = \"a.example\"\nallow = \"nobody\"\n[[gate.rules]]\nallow = \"nobody\"",
            &["7: gate.rules: number 2 names no host; add host = "],
        ),
        (
            "[groups]\nstaff = [\"id:\"]",
            &["5: groups.staff: \"id:\" is no id; write id: and what `doorward users list`"],
        ),
        (
            "[pages]\ntitle = \"\"\nlogo = \"none.svg\"\naccent = \"red\"\ndir = \"none\"",
            &[
                "5: pages.title: is empty; write the name of your site",
                "6: pages.logo: \"none.svg\" cannot be read: No such file or directory; name a picture that is there",
                "7: pages.accent: \"red\" is not a colour; write it as \"#rrggbb\"",
                "8: pages.dir: \"none\" is no folder that can be read: No such file or directory; make one with `doorward",
            ],
        ),
        ("[pages]\nlogo = \"config.toml\"", &["5: pages.logo: \"config.toml\" is none of the pictures"]),
        (
            "[limits]\nsign_ins_per_minute = 9999\nbad_tokens_per_minute = \"few\"",
            &[
                "5: limits.sign_ins_per_minute: 9999 is not a number that fits; write a whole number from 0 to 3600",
                "6: limits.bad_tokens_per_minute: is text, not a number; write a whole number from 0 to 3600",
            ],
        ),
        (
            "[metrics]\nlisten = \"here\"",
            &["5: metrics.listen: \"here\" is no place to listen; write a name or an address"],
        ),
        ("[log]\nlevel = \"loud\"", &["5: log.level: \"loud\" is not a level; write off, error, warn"]),
        (
            "[apps]\nhome = \"http://localhost:8000/\"",
            &["5: apps.home: \"http://localhost:8000/\" is no place we send people to; write origins = ["],
        ),
        ("[gate]\n[server]\n[gate]", &["6:1: says gate twice; keep one of them"]),
    ];
    for (below, problems) in table {
        let ran = check(&format!("{CLIENT}{below}\n"), None);
        assert_eq!((ran.code, ran.stdout.as_str()), (78, ""), "{below}: {ran:#?}");
        is_for_people(&ran.stderr);
        let lines: Vec<&str> = ran.stderr.lines().skip(1).collect();
        assert_eq!(lines.len(), problems.len(), "{below}: {}", ran.stderr);
        for (line, problem) in lines.iter().zip(*problems) {
            assert!(line.starts_with(&format!("  config.toml:{problem}")), "{problem}\n{line}");
        }
    }
}

#[test]
fn a_certificate_that_cannot_be_served_is_said_with_its_key_and_the_remedy() {
    let folder = tempfile::tempdir().expect("a folder");
    let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).expect("a file");
    let make = || rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("a certificate");
    let (one, other) = (make(), make());
    write("one.crt", &one.cert.pem());
    write("other.key", &other.signing_key.serialize_pem());
    write("torn.crt", &one.cert.pem().replacen('M', "!", 1));
    for (cert, key, said) in [
        ("none.crt", "other.key", "server.cert: none.crt cannot be read: No such file or directory; name a file"),
        (
            "other.key",
            "other.key",
            "server.cert: other.key holds no certificate (a line -----BEGIN CERTIFICATE-----); name",
        ),
        ("torn.crt", "other.key", "server.cert: torn.crt holds a certificate that was cut off or changed; name"),
        ("one.crt", "one.crt", "server.key: one.crt holds no private key (a line -----BEGIN PRIVATE KEY-----); name"),
        (
            "one.crt",
            "other.key",
            "server.key: other.key holds another key than that of the certificate in one.crt; name",
        ),
    ] {
        let said_by = |command: &[&str]| serve_https(folder.path(), cert, key, command);
        for ran in [said_by(&["config", "check", "--offline"]), said_by(&["serve"])] {
            assert_eq!(ran.code, 78, "{ran:#?}");
            assert!(ran.stderr.contains(&format!("error: {said}")), "{said}\n{}", ran.stderr);
            is_for_people(&ran.stderr);
        }
    }
}

fn serve_https(folder: &Path, cert: &str, key: &str, command: &[&str]) -> Ran {
    let server = format!("[server]\nlisten = \"localhost:0\"\ncert = {cert:?}\nkey = {key:?}\n");
    binary::configure(folder, &format!("public_url = \"https://localhost:3000\"\n{CLIENT}{server}"));
    binary::run(binary::command(folder).args(command))
}

#[test]
fn a_page_of_the_owners_that_breaks_is_said_once_by_the_check() {
    let folder = tempfile::tempdir().expect("a folder");
    let pages = folder.path().join("own");
    fs::create_dir(&pages).expect("a folder");
    fs::write(pages.join("login.html"), "{% extends \"layout.html\" %}\n{% block main %}{{ nothing }}{% endblock %}\n")
        .expect("a file");
    fs::write(pages.join("error.html"), "{% if").expect("a file");
    binary::configure(folder.path(), &format!("{CLIENT}[pages]\ndir = \"own\"\n"));
    let ran = binary::run(binary::command(folder.path()).args(["config", "check", "--offline"]));
    assert_eq!(ran.code, 0, "{ran:#?}");
    assert_eq!(ran.stderr.lines().count(), 2, "{ran:#?}");
    let has = |place: &str| ran.stderr.contains(&format!("warning: own/{place}: "));
    assert!(has("error.html:1") && has("login.html:2") && ran.stderr.contains("ours is used in its place"), "{ran:#?}");
}
