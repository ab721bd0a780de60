//! One mistake is said once, where it was made.

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
