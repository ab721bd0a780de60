//! What the operator says is read from four places, checked as a whole, and never shown where it is secret.

use std::fs;
use std::path::Path;
use std::time::Duration;

use doorward::config::access::SignUp;
use doorward::config::database::{self, Mysql, Place};
use doorward::config::database_url::masked;
use doorward::config::problem::{Problem, Problems};
use doorward::config::secret::Secret;
use doorward::config::server::{Listen, Tls, TrustedProxy};
use doorward::config::sources::{Flag, Sources};
use doorward::config::users::OnDelete;
use doorward::config::{self, Config, Loaded, show};
use tempfile::TempDir;

/// A configuration in the making.
struct Said {
    folder: TempDir,
    sources: Sources,
}

/// A provider that needs nothing else.
const GOOGLE: &str = "[providers.google]\nclient_id = \"1.apps.googleusercontent.com\"\nclient_secret = \"s3cret\"\n";

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// What no message may hold.
const CANARY: &str = "canary-7f3a";

fn nothing() -> Said {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let sources = Sources { folder: folder.path().to_owned(), takes_tutorial_variables: true, ..Sources::default() };
    Said { folder, sources }
}

/// A `config.toml` of this text.
fn file(text: &str) -> Said {
    nothing().with("config.toml", text)
}

impl Said {
    /// A further file beside `config.toml`.
    fn with(self, name: &str, text: &str) -> Self {
        let path = self.folder.path().join(name);
        fs::write(&path, text).expect("a file");
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).expect("a mode");
        }
        self
    }

    fn variable(mut self, name: &str, value: &str) -> Self {
        self.sources.environment.push((name.to_owned(), value.to_owned()));
        self
    }

    fn flag(mut self, key: &str, flag: &str, value: &str) -> Self {
        self.sources.flags.push(Flag { key: key.to_owned(), flag: flag.to_owned(), value: value.to_owned() });
        self
    }

    fn try_load(&self) -> Result<Loaded, Problems> {
        config::load(&self.sources)
    }

    fn load(&self) -> Loaded {
        self.try_load().unwrap_or_else(|problems| panic!("{problems}"))
    }

    fn config(&self) -> Config {
        self.load().config
    }

    fn problems(&self) -> Vec<Problem> {
        match self.try_load() {
            Err(Problems(problems)) => problems,
            Ok(loaded) => panic!("no problem in {:#?}", loaded.config),
        }
    }

    /// The keys of all problems.
    fn refused(&self) -> Vec<String> {
        self.problems().into_iter().map(|problem| problem.key).collect()
    }

    /// The one problem, as it is shown, with the folder left out.
    fn problem(&self) -> String {
        let problems = self.problems();
        assert_eq!(problems.len(), 1, "{problems:#?}");
        problems[0].to_string().replace(&format!("{}/", self.folder.path().display()), "")
    }
}

fn mysql(config: &Config) -> &Mysql {
    match &config.database.place {
        Place::Mysql(mysql) => mysql,
        Place::Sqlite(path) => panic!("SQLite in {}", path.display()),
    }
}

#[test]
fn with_nothing_said_the_defaults_hold_and_there_is_no_provider() {
    let said = nothing();
    let loaded = said.load();
    assert_eq!(loaded.file, None);
    assert_eq!(loaded.warnings, Vec::<String>::new());
    assert!(loaded.config.provider.is_none());
    assert_eq!(loaded.config.sessions, Config::default().sessions);
    assert_eq!(loaded.config.server, Config::default().server);
    assert_eq!(loaded.config.database.place, Place::Sqlite(said.folder.path().join("doorward.db")));
}

#[test]
fn flags_outweigh_the_environment_which_outweighs_the_file_which_outweighs_the_tutorials() {
    let parts = "[database]\nname = \"file\"\nuser = \"file\"\nhost = \"file\"\n";
    let said =
        file(&format!("server.listen = \"localhost:1\"\nlog.level = \"error\"\nsessions.idle = \"1d\"\n{parts}"))
            .variable("MYSQL_HOST", "tutorial")
            .variable("MYSQL_PASSWORD", "tutorial")
            .variable("DOORWARD_DATABASE__USER", "environment")
            .variable("DOORWARD_LOG__LEVEL", "warn")
            .variable("DOORWARD_SERVER__LISTEN", "localhost:2")
            .flag("server.listen", "--listen", "localhost:3");
    let config = said.config();
    assert_eq!(config.server.listen, Listen::Tcp { host: "localhost".to_owned(), port: 3 });
    assert_eq!(config.log.level, "warn");
    assert_eq!(config.sessions.idle, Duration::from_secs(86_400));
    let mysql = mysql(&config);
    assert_eq!((mysql.host.as_str(), mysql.user.as_str(), mysql.name.as_str()), ("file", "environment", "file"));
    assert_eq!(mysql.password, Secret::new("tutorial"));
}

#[test]
fn every_problem_is_told_at_once_with_line_key_and_remedy() {
    let said = file(
        "public_url = \"http://example.com\"\nfoo = 1\n[sessions]\nidle = \"7 dayz\"\nlifetme = \"1d\"\n\
         [server]\nlisten = \"3000\"\n[log]\nformat = 3\n[database]\nusers_table = \"a b\"\n",
    );
    let problems = said.problems();
    let lines: Vec<_> = problems.iter().map(|problem| (problem.key.as_str(), problem.line)).collect();
    assert_eq!(
        lines,
        [
            ("foo", Some(2)),
            ("sessions.lifetme", Some(5)),
            ("public_url", Some(1)),
            ("server.listen", Some(7)),
            ("database.users_table", Some(11)),
            ("sessions.idle", Some(4)),
            ("log.format", Some(9)),
        ]
    );
    assert!(problems.iter().all(|problem| !problem.remedy.is_empty()), "{problems:#?}");
    let shown = Problems(problems).to_string();
    let folder = said.folder.path().display();
    let line = format!("\n  {folder}/config.toml:4: sessions.idle: \"7 dayz\" is not a duration; write 12h or 7d");
    assert!(shown.starts_with("the configuration has 7 problems\n") && shown.contains(&line), "{shown}");
}

#[test]
fn a_misspelt_key_is_refused_with_the_one_that_was_meant() {
    let cases = [
        ("[sessions]\nidel = \"7d\"", "sessions.idel", "did you mean sessions.idle?"),
        ("idle = \"7d\"", "idle", "did you mean sessions.idle?"),
        (
            "[server]\npublic_url = \"https://a.example\"",
            "server.public_url",
            "did you mean public_url? It stands above",
        ),
        (
            "[provider.google]\nclient_id = \"x\"",
            "provider.google.client_id",
            "did you mean providers.google.client_id?",
        ),
        ("[providers.acme]\nclientid = \"x\"", "providers.acme.clientid", "did you mean providers.acme.client_id?"),
        ("[wholly]\nunrelated = 1", "wholly.unrelated", "take it out"),
        ("sessions = 5", "sessions", "write [sessions] on a line of its own"),
        ("[sessions.idle]\ndays = 7", "sessions.idle.days", "see config.toml.example"),
    ];
    for (text, key, remedy) in cases {
        let problems = file(text).problems();
        let problem = problems.iter().find(|problem| problem.key == key);
        let problem = problem.unwrap_or_else(|| panic!("{text}: {problems:#?}"));
        assert!(problem.remedy.contains(remedy), "{text}: {problem}");
    }
}

#[test]
fn an_unknown_variable_of_ours_only_warns() {
    let said =
        nothing().variable("DOORWARD_PORT_3000_TCP", "tcp://10.0.0.1:3000").variable("DOORWARD_SESSIONS__IDEL", "1d");
    let warnings = said.load().warnings;
    assert_eq!(
        warnings,
        [
            "the environment variable DOORWARD_PORT_3000_TCP is no setting",
            "the environment variable DOORWARD_SESSIONS__IDEL is no setting; did you mean DOORWARD_SESSIONS__IDLE?",
        ]
    );
}

#[test]
fn a_syntax_error_names_file_line_and_column_and_repeats_nothing() {
    let text = format!("public_url = \"http://localhost\"\n[database]\npassword = \"{CANARY}\nname = \"x\"\n");
    let said = file(&text);
    let problem = said.problem();
    assert!(problem.starts_with("config.toml:3:"), "{problem}");
    assert!(problem.contains("is not TOML"), "{problem}");
    assert!(!problem.contains(CANARY), "{problem}");
    let twice = file("[sessions]\nidle = \"7d\"\nidle = \"8d\"\n").problem();
    assert!(twice.starts_with("config.toml:3:1:"), "{twice}");
}

#[test]
fn a_file_that_was_asked_for_must_be_there_and_be_text() {
    let mut said = nothing();
    said.sources.file = Some(said.folder.path().join("other.toml"));
    assert!(said.problem().starts_with("other.toml: cannot be read"), "{}", said.problem());
    fs::write(said.folder.path().join("other.toml"), [0xff, 0xfe, b'a', 0]).expect("a file");
    assert!(said.problem().contains("is not UTF-8 text"), "{}", said.problem());
    fs::write(said.folder.path().join("other.toml"), "\u{feff}pages.title = \"Ada's\"\r\n").expect("a file");
    assert_eq!(said.config().pages.title, "Ada's");
}

#[test]
fn secrets_of_every_shape_arrive_as_the_very_text() {
    for secret in ["00123", "1e5", "true", "[x]", "{a=1}", "null", " spaces ", "a,b", "\"quoted\"", "ключ"] {
        let from_environment = nothing()
            .variable("DOORWARD_PROVIDERS__GOOGLE__CLIENT_ID", "1.apps.googleusercontent.com")
            .variable("DOORWARD_PROVIDERS__GOOGLE__CLIENT_SECRET", secret)
            .config();
        let variable = "DOORWARD_PROVIDERS__GOOGLE__CLIENT_SECRET_FILE";
        let said =
            file("[providers.google]\nclient_id = \"1.apps.googleusercontent.com\"").with("s", &format!("{secret}\n"));
        let from_file = said.variable(variable, "s").config();
        let from_tutorial = nothing()
            .variable("GOOGLE_CLIENT_ID", "1.apps.googleusercontent.com")
            .variable("GOOGLE_CLIENT_SECRET", secret)
            .config();
        let from_toml = file(&format!(
            "[providers.google]\nclient_id = \"1.apps.googleusercontent.com\"\nclient_secret = '{secret}'"
        ));
        for config in [from_environment, from_file, from_tutorial, from_toml.config()] {
            assert_eq!(config.provider.expect("a provider").client_secret.reveal(), secret);
        }
    }
}

#[test]
fn one_line_end_of_a_secret_file_is_trimmed_and_nothing_else() {
    for (text, secret) in [("a\n", "a"), ("a\r\n", "a"), ("a", "a"), (" a ", " a "), ("\u{feff}a\n", "a")] {
        let said = file("database = { name = \"n\", user = \"u\", password_file = \"p\" }").with("p", text);
        assert_eq!(mysql(&said.config()).password.reveal(), secret, "{text:?}");
    }
    let several = file("database = { name = \"n\", user = \"u\", password_file = \"p\" }").with("p", "a\n\n");
    assert!(several.problem().contains("holds several lines"), "{}", several.problem());
    let absent = file("database = { name = \"n\", user = \"u\", password_file = \"p\" }");
    assert!(absent.problem().contains("cannot be read"), "{}", absent.problem());
}

#[cfg(unix)]
#[test]
fn a_file_without_an_end_is_not_read_to_its_end() {
    let secret = file("database = { name = \"n\", user = \"u\", password_file = \"/dev/zero\" }");
    assert!(secret.problem().contains("/dev/zero is larger than 64 KiB"), "{}", secret.problem());
    let mut whole = nothing();
    whole.sources.file = Some("/dev/zero".into());
    assert!(whole.problem().contains("is larger than a megabyte"), "{}", whole.problem());
    let large = file(&format!("# {}\n{GOOGLE}", "x".repeat(1024 * 1024)));
    assert!(large.problem().contains("is larger than a megabyte"), "{}", large.problem());
}

#[test]
fn no_message_and_no_debug_output_holds_a_secret() {
    let bad = [
        format!("[providers.google]\nclient_id = \"a\"\nclient_secret = [\"{CANARY}\"]"),
        format!("[providers.google]\nclient_id = \"a\"\nclient_secret = {{ x = \"{CANARY}\" }}"),
        format!("[providers.google]\nclient_id = \"a\"\nclient_secret = \"{CANARY}\"\nclient_secret_file = \"f\""),
        format!("[database]\nurl = \"mysql://root:{CANARY}@localhost:99999/x\""),
        format!("[database]\nurl = \"mysql://root:{CANARY}#@localhost/x\""),
        format!("[database]\nurl = \"postgres://root:{CANARY}@localhost/x\""),
        format!("[database]\nurl = \"{CANARY}\""),
        format!("[database]\nurl = \"mysql://root:{CANARY}@localhost/x\"\npassword = \"{CANARY}\""),
        format!("[database]\nurl_file = \"{}\"", "secret-url"),
        format!("[providers.google]\nclient_json = \"client.json\"\n# {CANARY}"),
        format!("[providers.google]\nclient_secret = \"{CANARY}\"\nclient_secret = \"{CANARY}\""),
        format!("client_secret = \"{CANARY}\""),
        format!("[providers.google]\nclient_id = \"a\"\nclient_secret = {CANARY}"),
        format!("[providers.google]\nclient_id = \"a\"\nclient_secret = \"{CANARY}\\q\""),
        format!("[providers.google]\nclient_id = \"a\"\nclient_secret = 7{CANARY}"),
    ];
    for text in bad {
        let said = file(&text).with("client.json", &format!("{{\"web\":\"{CANARY}\"")).with("secret-url", CANARY);
        let problems = said.try_load().expect_err(&text);
        assert!(!format!("{problems} {problems:?}").contains(CANARY), "{text}: {problems}");
    }
    let good = format!(
        "public_url = \"http://localhost:3000\"\n[providers.google]\nclient_id = \"1\"\n\
                        client_secret = \"{CANARY}\"\n[database]\nurl = \"mysql://root:{CANARY}@localhost/x\""
    );
    let loaded = file(&good).load();
    let shown = show::toml(&loaded.settings);
    assert!(shown.contains("client_secret = \"…\"") && shown.contains("mysql://root:…@localhost/x"), "{shown}");
    assert!(!format!("{shown} {loaded:?} {:?}", loaded.warnings).contains(CANARY));
}

#[test]
fn a_setting_said_twice_in_one_place_is_a_problem_and_in_two_places_the_heavier_counts() {
    let both = file(&format!("{GOOGLE}client_secret_file = \"s\"")).with("s", "other");
    assert_eq!(both.problem().split(": ").nth(1), Some("providers.google.client_secret_file"));
    let heavier = file(GOOGLE).with("s", "other").variable("DOORWARD_PROVIDERS__GOOGLE__CLIENT_SECRET_FILE", "s");
    assert_eq!(heavier.config().provider.expect("a provider").client_secret.reveal(), "other");
    let url_and_parts = file("[database]\nurl = \"mysql://u@h/d\"\nhost = \"h\"");
    assert!(url_and_parts.problem().contains("database.url: is set beside host"), "{}", url_and_parts.problem());
    let flag =
        file("[database]\nhost = \"h\"\nuser = \"u\"\nname = \"d\"").flag("database.url", "--database-url", "sqlite:x");
    assert_eq!(flag.config().database.place, Place::Sqlite(flag.folder.path().join("x")));
    let parts = file("[database]\nurl = \"sqlite:x\"").variable("DOORWARD_DATABASE__NAME", "d");
    assert_eq!(mysql(&parts.variable("DOORWARD_DATABASE__USER", "u").config()).name, "d");
    let password = file("[database]\nurl = \"mysql://u@h/d\"").variable("DOORWARD_DATABASE__PASSWORD", "p");
    assert_eq!(password.refused(), ["database.url"]);
}

#[test]
fn what_is_shown_of_a_database_hides_its_password_and_nothing_else() {
    let shown = |url: &str| {
        let loaded = file(&format!("database.url = {url:?}")).load();
        let setting = loaded.settings.into_iter().find(|setting| setting.key == "database.url");
        setting.expect("it was said").value
    };
    for (url, expected) in [
        ("mysql://root:p%40ss@127.0.0.1:3306/site", "mysql://root:…@127.0.0.1:3306/site"),
        ("mysql://root:p@s:s@db.example/site", "mysql://root:…@db.example/site"),
        ("mysql://root:pass@db.example/site@home", "mysql://root:…@db.example/site@home"),
        ("mysql://root:pass@db.example/site?charset=a@b", "mysql://root:…@db.example/site?charset=a@b"),
        ("mysql://root@db.example/site:of@home", "mysql://root@db.example/site:of@home"),
        ("mariadb+x://root:pass@db.example/site", "mariadb+x://root:…@db.example/site"),
        ("sqlite:some@where:else.db", "sqlite:some@where:else.db"),
    ] {
        assert_eq!(shown(url), format!("{expected:?}"));
    }
    assert_eq!(masked("mysql://root:123/45@db.example/site"), "mysql://root:…@db.example/site", "read by nobody");
    let hidden = file("database.url = \"mysql:\\n//root:pass@db.example/site\"");
    assert!(hidden.problem().contains("database.url: names no host"), "{}", hidden.problem());
}

#[test]
fn a_database_may_have_several_hosts() {
    let url = file("database.url = \"mysql://u:p,%40w@db1:3307,db2,[::1]:3308/d\"").config();
    assert_eq!(mysql(&url).whereabouts(), "db1:3307, db2:3306, [::1]:3308");
    assert_eq!((mysql(&url).password.reveal(), mysql(&url).name.as_str()), ("p,@w", "d"));
    let parts = file("[database]\nhost = \"db1, db2\"\nport = 3307\nuser = \"u\"\nname = \"d\"").config();
    assert_eq!(mysql(&parts).whereabouts(), "db1:3307, db2:3307");
    for url in ["mysql://u@db1,/d", "mysql://u@,db2/d", "mysql://u@db1,db2:x/d"] {
        assert_eq!(file(&format!("database.url = \"{url}\"")).refused(), ["database.url"], "{url}");
    }
    assert_eq!(file("[database]\nhost = \"db1,\"\nuser = \"u\"\nname = \"d\"").refused(), ["database.host"]);
}

#[test]
fn a_database_can_be_said_in_one_line() {
    let config = |url: &str| file(&format!("database.url = \"{url}\"")).config();
    let found = config("mysql://ro%40ot:p%2Fs%23%3A%40s@db.example:3307/my%20site");
    let expected = Mysql {
        host: "db.example".to_owned(),
        port: 3307,
        others: Vec::new(),
        user: "ro@ot".to_owned(),
        password: Secret::new("p/s#:@s"),
        name: "my site".to_owned(),
        tls: database::Tls::Auto,
        max_connections: 16,
    };
    assert_eq!(mysql(&found), &expected);
    assert_eq!(mysql(&config("mysql://root:@localhost/d")).password, Secret::new(""));
    assert_eq!(mysql(&config("mysql://root@[::1]/d")).host, "::1");
    assert_eq!(mysql(&config("mysql+pymysql://root@h/d?charset=utf8mb4")).port, 3306);
    let refused = [
        "mysql://root@/d",
        "mysql://h/d",
        "mysql://root@h",
        "mysql://root@h/d/e",
        "mysql://r@h/d?ssl-mode=x",
        "sqlite:",
        "sqlite::memory:",
        "sqlite:///x",
        "sqlite:x?mode=ro",
        "oracle://h/d",
        "",
    ];
    for url in refused {
        assert_eq!(file(&format!("database.url = \"{url}\"")).refused(), ["database.url"], "{url}");
    }
    for (url, words) in [
        (
            "mysql://site:p/w@localhost/site",
            "holds a / before its last @, as a password does that is not percent-encoded; write %2F",
        ),
        ("mysql://site:1/w@localhost/site", "write %2F for that /; or write the parts"),
        ("mysql://site:p#w@localhost/site", "write %23 for that #"),
        ("mysql://site:p?w@localhost/site", "write %3F for that ?"),
        ("mysql://site:p@w/x@localhost/site", "write %2F for that /"),
        (
            "mysql://site:100%ff@localhost/site",
            "a password that is not UTF-8 text once its % are read as percent-encoding; write %25",
        ),
        ("mysql://site@localhost/site#x", "holds a #, behind which nothing counts"),
    ] {
        let problem = file(&format!("database.url = \"{url}\"")).problem();
        assert!(problem.contains(words), "{problem}");
    }
}

#[test]
fn a_database_in_parts_takes_an_empty_password_and_asks_for_what_is_missing() {
    let said = file("[database]\nuser = \"root\"\npassword = \"\"\nname = \"d\"\ntls = \"on\"\nca_file = \"ca.pem\"");
    let config = said.config();
    assert_eq!(mysql(&config).host, "localhost");
    assert_eq!(mysql(&config).password, Secret::new(""));
    assert_eq!(mysql(&config).tls, database::Tls::On { ca_file: Some(said.folder.path().join("ca.pem")) });
    let both = file("database.host = \"h\"").problem();
    assert!(both.contains("database.user: is missing, and so is database.name; write both under [database]"), "{both}");
    // Of a lone key that is wrong nobody knows whether a server was meant at all.
    for port in ["0", "99999", "\"x\"", "true"] {
        assert_eq!(file(&format!("database.port = {port}")).refused(), ["database.port"], "{port}");
    }
    assert_eq!(file("database.port = 3307").refused(), ["database.user"]);
    assert_eq!(file("database = { port = 0, user = \"u\" }").refused(), ["database.port", "database.name"]);
    let socket = file("[database]\nhost = \"/run/mysqld.sock\"\nuser = \"u\"\nname = \"d\"");
    assert_eq!(socket.refused(), ["database.host"]);
    let off = file("[database]\nuser = \"u\"\nname = \"d\"\ntls = \"off\"\nca_file = \"x\"");
    assert_eq!(off.refused(), ["database.ca_file"]);
}

#[test]
fn the_tutorials_variables_fill_what_nobody_says_and_are_named() {
    let tutorial = |said: Said| {
        said.variable("GOOGLE_CLIENT_ID", "1.apps.googleusercontent.com")
            .variable("GOOGLE_CLIENT_SECRET", "s")
            .variable("MYSQL_HOST", "db")
            .variable("MYSQL_PORT", "tcp://10.0.0.1:3306")
            .variable("MYSQL_USER", "root")
            .variable("MYSQL_PASSWORD", "")
            .variable("MYSQL_DB", "site")
    };
    let loaded = tutorial(nothing()).load();
    let found = mysql(&loaded.config);
    assert_eq!((found.host.as_str(), found.port, found.name.as_str()), ("db", 3306, "site"));
    assert_eq!(loaded.config.provider.as_ref().map(|provider| provider.client_secret.reveal()), Some("s"));
    assert!(loaded.warnings.contains(&"database.host is taken from MYSQL_HOST".to_owned()), "{:?}", loaded.warnings);
    let mut ignored = tutorial(nothing());
    ignored.sources.takes_tutorial_variables = false;
    let ignored = ignored.load();
    assert!(ignored.config.provider.is_none() && ignored.warnings.is_empty());
    assert!(matches!(ignored.config.database.place, Place::Sqlite(_)));
    let said = tutorial(file(
        "database.url = \"sqlite:x\"\n[providers.acme]\nissuer = \"https://acme.example\"\n\
                              client_id = \"a\"\nclient_secret = \"b\"",
    ));
    let said = said.load();
    assert!(matches!(said.config.database.place, Place::Sqlite(_)) && said.warnings.is_empty(), "{:?}", said.warnings);
    assert_eq!(said.config.provider.expect("a provider").name, "acme");
}

#[test]
fn a_database_url_of_another_program_is_left_alone() {
    let ours = nothing().variable("DATABASE_URL", "mysql://root@h/d").variable("MYSQL_HOST", "other");
    assert_eq!(mysql(&ours.config()).host, "h");
    for other in ["postgres://u@h/d", "sqlite:///app.db"] {
        let loaded = nothing().variable("DATABASE_URL", other).load();
        assert!(matches!(loaded.config.database.place, Place::Sqlite(_)));
        assert_eq!(loaded.warnings.len(), 1, "{:?}", loaded.warnings);
    }
    let kubernetes = nothing().variable("MYSQL_PORT", "tcp://10.0.0.1:3306").variable("MYSQL_PASSWORD", "x").load();
    assert!(kubernetes.warnings.is_empty() && matches!(kubernetes.config.database.place, Place::Sqlite(_)));
}

#[test]
fn googles_own_file_gives_id_and_secret_and_is_held_against_public_url() {
    let json = |uri: &str| {
        format!(
            r#"{{"web":{{"client_id":"1.apps.googleusercontent.com","client_secret":"s","redirect_uris":["{uri}"]}}}}"#
        )
    };
    let said = file("public_url = \"https://a.example/auth\"\nproviders.google.client_json = \"c.json\"");
    let said = said.with("c.json", &json("https://a.example/auth/login/callback"));
    let loaded = said.load();
    assert_eq!(loaded.warnings, Vec::<String>::new());
    let provider = loaded.config.provider.expect("a provider");
    assert_eq!((provider.client_id.as_str(), provider.client_secret.reveal()), ("1.apps.googleusercontent.com", "s"));
    assert_eq!(provider.registered_redirect_uris, Some(vec!["https://a.example/auth/login/callback".to_owned()]));
    let said = said.with("c.json", &json("https://a.example/login/callback"));
    let warnings = said.load().warnings;
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    assert!(warnings[0].contains("does not list https://a.example/auth/login/callback"), "{warnings:?}");
    let beside = file(&format!("{GOOGLE}client_json = \"c.json\"")).with("c.json", &json("x"));
    assert_eq!(beside.refused(), ["providers.google.client_json", "providers.google.client_json"]);
    for bad in ["", "{}", "[]", "{\"web\":{}}", "{\"web\":{\"client_id\":7,\"client_secret\":\"s\"}}"] {
        let said = file("providers.google.client_json = \"c.json\"").with("c.json", bad);
        assert_eq!(said.refused(), ["providers.google.client_json"], "{bad}");
    }
}

#[test]
fn a_provider_needs_a_client_and_another_than_google_an_issuer() {
    let empty = file("[providers.google]");
    assert_eq!(empty.refused(), ["providers.google.client_id", "providers.google.client_secret"]);
    assert_eq!(empty.problems()[0].line, Some(1));
    let client = "client_id = \"a\"\nclient_secret = \"b\"\n";
    assert_eq!(file(&format!("[providers.acme]\n{client}")).refused(), ["providers.acme.issuer"]);
    for name in ["Google", "a b", "googlé", ""] {
        let text = format!("[providers.\"{name}\"]\nissuer = \"https://a.example\"\n{client}");
        assert_eq!(file(&text).refused(), [format!("providers.{name}")]);
    }
    let nameless = nothing().variable("DOORWARD_PROVIDERS____ISSUER", "https://a.example");
    assert!(nameless.refused().contains(&"providers.".to_owned()), "{:?}", nameless.refused());
    let two = format!("{GOOGLE}[providers.acme]\nissuer = \"https://acme.example\"\n{client}");
    assert_eq!(file(&two).refused(), ["providers.google"]);
    for issuer in [
        "http://acme.example",
        "acme.example",
        "https://acme.example?x",
        "https://u@acme.example",
        "",
        "https://acme.example/.well-known/openid-configuration",
    ] {
        let text = format!("[providers.acme]\nissuer = \"{issuer}\"\n{client}");
        assert_eq!(file(&text).refused(), ["providers.acme.issuer"], "{issuer}");
    }
    for issuer in ["https://acme.example/", "https://Acme.example/tenant", "http://127.0.0.1:9", "http://localhost:9/x"]
    {
        let config = file(&format!("[providers.acme]\nissuer = \"{issuer}\"\n{client}")).config();
        assert_eq!(config.provider.expect("a provider").issuer, issuer, "byte for byte");
    }
}

#[test]
fn only_asymmetric_signatures_are_taken() {
    for algorithm in ["none", "HS256", "rs256", "", "EdDSA"] {
        let said = file(&format!("{GOOGLE}algorithms = [\"RS256\", \"{algorithm}\"]"));
        assert_eq!(said.refused(), ["providers.google.algorithms"], "{algorithm}");
    }
    assert_eq!(file(&format!("{GOOGLE}algorithms = []")).refused(), ["providers.google.algorithms"]);
    let config = file(&format!("{GOOGLE}algorithms = [\"PS256\", \"ES384\"]")).config();
    assert_eq!(config.provider.expect("a provider").algorithms, ["PS256", "ES384"]);
}

/// A slip for an address, and what belongs to so many that nobody has an address there.
const NOBODYS: [&str; 4] = ["ada", "com", "co.uk", "COM"];

/// IDN-08: what would let in the wrong people, or nobody, without a word.
#[test]
fn an_access_list_refuses_entries_that_cannot_be_meant() {
    for entry in
        ["", " ", "*", "*@example.com", "ada@example.com ", "\\uFEFFada@example.com", "ada", "@example.com", "a@b@"]
    {
        let said = file(&format!("access.emails = [\"{entry}\"]"));
        assert_eq!(said.refused(), ["access.emails"], "{entry:?}");
    }
    for entry in [
        "",
        "*",
        "*.example.com",
        ".example.com",
        "@example.com",
        "exam ple.com",
        "example.com\\u200B",
        "a..b",
        "a.b;c.d",
    ]
    .into_iter()
    .chain(NOBODYS)
    {
        for key in ["access.email_domains", "access.hosted_domains"] {
            assert_eq!(file(&format!("{key} = [\"{entry}\"]")).refused(), [key], "{entry:?}");
        }
    }
    let unset = nothing().variable("DOORWARD_ACCESS__EMAILS", "");
    assert_eq!(unset.refused(), ["access.emails"], "an empty variable must not open the door to everyone");
    let said = file("access.emails = [\"Ada@Example.com\"]")
        .variable("DOORWARD_ACCESS__EMAIL_DOMAINS", "A.example, b.example");
    let access = said.config().access;
    assert_eq!(
        (access.emails, access.email_domains),
        (vec!["ada@example.com".to_owned()], vec!["a.example".to_owned(), "b.example".to_owned()])
    );
}

#[test]
fn the_blocked_are_addresses_and_domains_and_whoever_may_sign_up_is_one_of_two_words() {
    let said = file("access = { blocked = [\"Eve@Example.com\", \"Evil.example\"], sign_up = \"existing\" }");
    let access = said.config().access;
    assert_eq!(access.blocked, ["eve@example.com", "evil.example"]);
    assert_eq!(access.sign_up, SignUp::Existing);
    assert_eq!(nothing().config().access.sign_up, SignUp::Open);
    let slips = ["", "*", "@evil.example", "eve@", "*.evil.example", "evil..example", "a@b,c@d", "evil.example "];
    for entry in slips.into_iter().chain(NOBODYS) {
        assert_eq!(file(&format!("access.blocked = [\"{entry}\"]")).refused(), ["access.blocked"], "{entry:?}");
    }
    let problem = file("access.blocked = [\"ada\"]").problem();
    assert!(problem.contains("\"ada\" is neither a domain nor an address; write a whole domain"), "{problem}");
    // Somebody's own, though others may have one below it; and a machine of one's own behind an @.
    let said = file("access = { blocked = [\"github.io\"], emails = [\"ada@intranet\"] }");
    assert_eq!(said.config().access.blocked, ["github.io"]);
    let problem = file("access.sign_up = \"closed\"").problem();
    assert!(problem.contains("\"open\" or \"existing\""), "{problem}");
}

#[test]
fn a_rule_that_means_less_than_it_seems_to_is_warned_of() {
    let warnings = |text: &str| file(text).load().warnings.join("\n");
    let warned = warnings("access.email_domains = [\"gmail.com\", \"corp.com\"]");
    assert!(warned.contains("Google vouches only") && warned.contains("corp.com"), "{warned}");
    let warned = warnings("access.hosted_domains = [\"gmail.com\"]");
    assert!(warned.contains("lets nobody in") && warned.contains("gmail.com"), "{warned}");
    for fine in ["access.email_domains = [\"gmail.com\"]", "access.hosted_domains = [\"corp.com\"]", ""] {
        assert_eq!(warnings(fine), "", "{fine}");
    }
}

#[test]
fn rows_of_the_deleted_and_the_record_are_kept_as_said() {
    let config = file("users.on_delete = \"keep\"\naudit.retention = \"30d\"").config();
    assert_eq!((config.users.on_delete, config.audit.retention), (OnDelete::Keep, 30 * DAY));
    let config = nothing().config();
    assert_eq!((config.users.on_delete, config.audit.retention), (OnDelete::Anonymise, 90 * DAY));
    assert_eq!(file("users.on_delete = \"forget\"").refused(), ["users.on_delete"]);
    for wrong in ["23h", "0s", "1000y", "soon"] {
        assert_eq!(file(&format!("audit.retention = \"{wrong}\"")).refused(), ["audit.retention"], "{wrong}");
    }
}

#[test]
fn sessions_last_five_minutes_at_the_least_and_no_longer_than_their_lifetime() {
    assert_eq!(file("sessions.idle = \"299s\"").refused(), ["sessions.idle"]);
    assert_eq!(file("sessions = { idle = \"2d\", lifetime = \"1d\" }").refused(), ["sessions.lifetime"]);
    assert_eq!(file("sessions.idle = \"31d\"").refused(), ["sessions.idle"]);
    // As people write it, not in the months of the calendar.
    for (idle, shown) in [("40d", "40d"), ("31days 12h", "756h"), ("4weeks 3d", "31d"), ("50000m 1s", "3000001s")] {
        let problem = file(&format!("sessions.idle = \"{idle}\"")).problem();
        let expected = format!("a session would end after 30d though it may rest for {shown}; make");
        assert!(problem.contains(&expected), "{problem}");
    }
    assert_eq!(file("sessions = { idle = \"x\", lifetime = \"1h\" }").refused(), ["sessions.idle"]);
    assert_eq!(file("sessions.idle = 7").refused(), ["sessions.idle"]);
    assert_eq!(file("sessions.persistent = \"true\"").refused(), ["sessions.persistent"]);
    assert_eq!(file("sessions.cache = \"2 minutes\"").refused(), ["sessions.cache"]);
    assert_eq!(file("server.shutdown_delay = \"11m\"").refused(), ["server.shutdown_delay"]);
    let twenty_years = file("sessions = { idle = \"5m\", lifetime = \"7300d\" }").config().sessions;
    assert_eq!(twenty_years.lifetime, Duration::from_secs(7300 * 86_400));
}

#[test]
fn places_to_listen_and_proxies_are_read() {
    let listen = |text: &str| file(&format!("server.listen = \"{text}\"")).config().server.listen;
    let tcp = |host: &str, port| Listen::Tcp { host: host.to_owned(), port };
    assert_eq!(listen("localhost:0"), tcp("localhost", 0));
    assert_eq!(listen("[::]:3000"), tcp("::", 3000));
    assert_eq!(listen("0.0.0.0:80"), tcp("0.0.0.0", 80));
    assert_eq!(listen("unix:/run/d.sock"), Listen::Unix(Path::new("/run/d.sock").to_owned()));
    let relative = file("server.listen = \"unix:d.sock\"");
    assert_eq!(relative.config().server.listen, Listen::Unix(relative.folder.path().join("d.sock")));
    let both =
        |server: &str, metrics: &str| file(&format!("server.listen = {server:?}\nmetrics.listen = {metrics:?}\n"));
    for (server, metrics) in [
        ("localhost:3000", "localhost:3000"),
        ("0.0.0.0:3000", "127.0.0.1:3000"),
        ("127.0.0.1:3000", "0.0.0.0:3000"),
        ("[::]:3000", "127.0.0.1:3000"),
        ("[::1]:3000", "localhost:3000"),
        ("0.0.0.0:3000", "localhost:3000"),
        ("Site.example:3000", "site.example:3000"),
        ("unix:d.sock", "unix:d.sock"),
    ] {
        let said = both(server, metrics);
        assert_eq!(said.refused(), ["metrics.listen"], "{server} {metrics}");
        assert!(said.problem().contains("is where server.listen takes connections"), "{}", said.problem());
    }
    for (server, metrics) in [
        ("localhost:3000", "localhost:9464"),
        ("localhost:0", "localhost:0"),
        ("127.0.0.1:3000", "127.0.0.2:3000"),
        ("0.0.0.0:3000", "[::1]:3000"),
        ("site.example:3000", "localhost:3000"),
        ("unix:d.sock", "unix:metrics.sock"),
        ("unix:d.sock", "localhost:3000"),
    ] {
        assert!(both(server, metrics).config().metrics.listen.is_some(), "{server} {metrics}");
    }
    for text in
        ["3000", ":3000", "localhost", "localhost:", "localhost:99999", "::1:3000", "http://localhost:3000", "unix:"]
    {
        assert_eq!(file(&format!("server.listen = \"{text}\"")).refused(), ["server.listen"], "{text}");
    }
    // Whoever comes through a socket file is the proxy in front of us, named or not.
    let unix = relative.load();
    assert_eq!(unix.config.server.trusted_proxies, [TrustedProxy::Loopback, TrustedProxy::Unix]);
    assert_eq!(unix.warnings, Vec::<String>::new());
    let shown = unix.settings.iter().find(|setting| setting.key == "server.trusted_proxies").expect("a setting");
    assert_eq!(shown.value, "[\"loopback\", \"unix\"]");
    let doubted = file("server = { listen = \"unix:d.sock\", trusted_proxies = [\"10.0.0.0/8\"] }").load();
    assert!(doubted.warnings.len() == 1 && doubted.warnings[0].contains("in circles"), "{:?}", doubted.warnings);
    let said = file("server.trusted_proxies = [\"loopback\", \"unix\", \"10.0.0.0/8\", \"::1\"]");
    let proxies = said.config().server.trusted_proxies;
    assert_eq!(proxies[..2], [TrustedProxy::Loopback, TrustedProxy::Unix]);
    assert_eq!(proxies[3], TrustedProxy::Net("::1/128".parse().expect("a network")));
    assert_eq!(file("server.trusted_proxies = [\"10.0.0.0/33\", \"proxy\"]").refused(), ["server.trusted_proxies"; 2]);
    assert_eq!(file("server.trusted_proxies = [\"0.0.0.0/0\"]").load().warnings.len(), 1);
}

#[test]
fn public_url_follows_the_port_where_nobody_says_it() {
    let said = nothing().flag("server.listen", "--listen", "localhost:4000");
    assert_eq!(said.config().public_url.to_string(), "http://localhost:4000");
    for url in
        ["http://example.com", "ftp://localhost", "https://u:p@example.com", "https://example.com/?a", "example.com"]
    {
        assert_eq!(file(&format!("public_url = \"{url}\"")).refused(), ["public_url"], "{url}");
    }
    for url in ["https://example.com/auth/", "http://127.0.0.1:3000", "http://[::1]:3000"] {
        file(&format!("public_url = \"{url}\"")).config();
    }
}

#[test]
fn our_own_tls_wants_one_certificate_and_an_https_address() {
    let server = |text: &str| file(&format!("public_url = \"https://localhost:3000\"\n[server]\n{text}"));
    assert_eq!(server("cert = \"c.pem\"").refused(), ["server.key"]);
    assert_eq!(server("key = \"k.pem\"").refused(), ["server.cert"]);
    assert_eq!(server("tls = \"self-signed\"\ncert = \"c.pem\"\nkey = \"k.pem\"").refused(), ["server.tls"]);
    assert_eq!(server("tls = \"on\"").refused(), ["server.tls"]);
    assert_eq!(file("public_url = \"http://localhost\"\nserver.tls = \"self-signed\"").refused(), ["public_url"]);
    let said = server("cert = \"c.pem\"\nkey = \"k.pem\"").with("k.pem", "key");
    let (cert, key) = (said.folder.path().join("c.pem"), said.folder.path().join("k.pem"));
    assert_eq!(said.config().server.tls, Tls::Files { cert, key });
    assert_eq!(file("server.tls = \"self-signed\"").config().public_url.to_string(), "https://localhost:3000");
}

#[test]
fn a_port_that_browsers_would_not_find_is_warned_of() {
    let warnings = |listen: &str, public_url: &str| {
        file(&format!("server.listen = \"{listen}\"\npublic_url = \"{public_url}\"")).load().warnings
    };
    let warned = warnings("localhost:3000", "http://localhost:8080");
    assert!(warned.len() == 1 && warned[0].contains("8080") && warned[0].contains("3000"), "{warned:?}");
    for (listen, public_url) in [
        ("localhost:8080", "http://localhost:8080"),
        ("localhost:80", "http://localhost"),
        ("localhost:0", "http://localhost:8080"),
        // A proxy speaks TLS there.
        ("localhost:3000", "https://example.com"),
        ("unix:d.sock", "http://localhost"),
    ] {
        assert_eq!(warnings(listen, public_url), Vec::<String>::new(), "{listen} {public_url}");
    }
}

#[test]
fn people_are_sent_only_to_this_site_and_the_origins_of_its_programs() {
    let said = file(
        "[apps]\norigins = [\"https://app.example\"]\nhome = \"https://app.example/start\"\nafter_logout = \"/bye\"",
    );
    assert_eq!(said.config().apps.home, "https://app.example/start");
    for home in [
        "//evil.example",
        "/\\\\evil.example",
        "https://evil.example",
        "https://app.example.evil.example/",
        "start",
        "javascript:alert(1)",
        "/a\\nb",
        "http:app.example",
        "https://u@app.example/",
        "/login",
        "/LOGOUT?x=1",
        "/%6cogin",
        "/api/me",
        "http://localhost:3000/login",
        "",
    ] {
        let text = format!("[apps]\norigins = [\"https://app.example\"]\nhome = \"{home}\"");
        assert_eq!(file(&text).refused(), ["apps.home"], "{home}");
    }
    let below = |home: &str| file(&format!("public_url = \"https://example.com/auth\"\napps.home = \"{home}\""));
    assert_eq!(below("/login").config().apps.home, "/login", "a page of the site's own");
    assert_eq!(below("/auth/login").refused(), ["apps.home"]);
    for origin in
        ["*", "null", "app.example", "https://app.example/path", "http://app.example", "https://u@app.example"]
    {
        assert_eq!(file(&format!("apps.origins = [\"{origin}\"]")).refused(), ["apps.origins"], "{origin}");
    }
}

#[test]
fn a_table_name_that_would_need_quoting_is_refused() {
    for name in ["", "a b", "users;", "a`b", "1users", "doorward_users", "a.b", &"x".repeat(65)] {
        assert_eq!(file(&format!("database.users_table = \"{name}\"")).refused(), ["database.users_table"], "{name}");
    }
    assert_eq!(file("database.users_table = \"site_users\"").config().database.users_table, "site_users");
}

#[test]
fn the_log_takes_levels_and_nothing_that_only_looks_like_one() {
    assert_eq!(file("log.level = \"info,doorward::login=debug\"").config().log.level, "info,doorward::login=debug");
    for level in ["verbose", "", "info,", "doorward=", "doorward=loud"] {
        assert_eq!(file(&format!("log.level = \"{level}\"")).refused(), ["log.level"], "{level}");
    }
}

#[cfg(unix)]
#[test]
fn a_file_with_a_secret_that_everybody_may_read_is_worth_a_warning() {
    use std::os::unix::fs::PermissionsExt;
    let exposed = |text: &str| {
        let said = file(text).with("s", "secret");
        for name in ["config.toml", "s"] {
            let path = said.folder.path().join(name);
            fs::set_permissions(path, fs::Permissions::from_mode(0o644)).expect("a mode");
        }
        said.load().warnings
    };
    assert!(
        exposed(GOOGLE).iter().any(|warning| warning.contains("config.toml holds a secret")),
        "{:?}",
        exposed(GOOGLE)
    );
    let by_file =
        exposed("[providers.google]\nclient_id = \"1.apps.googleusercontent.com\"\nclient_secret_file = \"s\"");
    assert_eq!(by_file.len(), 1, "{by_file:?}");
    assert!(by_file[0].contains("/s holds a secret"), "{by_file:?}");
    assert_eq!(exposed("database.url = \"sqlite:x\""), Vec::<String>::new());
    assert_eq!(file(GOOGLE).load().warnings, Vec::<String>::new());
}

#[test]
fn what_is_shown_is_toml_and_says_where_each_value_comes_from() {
    let said = file(&format!("{GOOGLE}[sessions]\nidle = \"1d\"")).variable("DOORWARD_PAGES__TITLE", "A \"b\"");
    let shown = show::toml(&said.load().settings);
    let lines: Vec<_> = shown.lines().collect();
    assert!(lines.contains(&"title = 'A \"b\"'  # DOORWARD_PAGES__TITLE"), "{shown}");
    assert!(
        lines.iter().any(|line| line.starts_with("idle = \"1d\"  # ") && line.ends_with("config.toml:5")),
        "{shown}"
    );
    assert!(lines.contains(&"lifetime = \"30d\"  # default"), "{shown}");
    let document: toml_edit::DocumentMut = shown.parse().expect("TOML");
    assert_eq!(document["providers"]["google"]["client_secret"].as_str(), Some("…"));
}
