//! Which rule of the gate decides. Pure: an address, a person, a verdict.

use std::fs;

use doorward::config::sources::Sources;
use doorward::config::{self, Config};
use doorward::gate::target::Target;
use doorward::gate::{Gate, Person, Reason, Verdict};
use doorward::model::{Identity, User, UserId};

use doorward::clock::Timestamp;

fn load(rules: &str) -> Result<Config, String> {
    let folder = tempfile::tempdir().expect("a temporary folder");
    fs::write(folder.path().join("config.toml"), rules).expect("the configuration");
    let sources = Sources { folder: folder.path().to_owned(), ..Sources::default() };
    config::load(&sources).map(|loaded| loaded.config).map_err(|problems| problems.to_string())
}

fn gate(rules: &str) -> Gate {
    let config = load(rules).unwrap_or_else(|problems| panic!("{problems}"));
    Gate::new(&config.gate, &config.groups)
}

fn user(email: &str, hosted_domain: Option<&str>) -> User {
    let identity = Identity {
        provider: "google".to_owned(),
        issuer: "https://accounts.google.com".to_owned(),
        subject: "1101".to_owned(),
        email: email.to_owned(),
        email_verified: true,
        name: None,
        picture: None,
        hosted_domain: hosted_domain.map(str::to_owned),
    };
    let now = Timestamp::from_unix(1_800_000_000);
    User { id: UserId::new("1101"), identity, created_at: now, last_login_at: now, blocked_at: None }
}

fn target(host: &str, address: &str, method: Option<&str>) -> Target {
    Target::new("https", host, address, method).expect("an address")
}

fn passes(verdict: &Verdict) -> bool {
    matches!(verdict, Verdict::Pass(_))
}

const SITE: &str = r#"
[groups]
admins = ["ada@example.com", "id:7", "corp.example"]

[[gate.rules]]
host = "app.example.com"
path = "/public/*"
allow = "everyone"

[[gate.rules]]
host = "app.example.com"
path = "/admin/*"
groups = ["admins"]
tokens = false

[[gate.rules]]
host = "app.example.com"
methods = ["GET"]
allow = "signed_in"

[[gate.rules]]
host = "*.apps.example.com"
email_domains = ["example.com"]
"#;

#[test]
fn without_rules_whoever_is_signed_in_passes_everywhere() {
    let gate = gate("");
    let ada = user("ada@example.com", None);
    let anywhere = target("app.example.com", "/x", Some("GET"));
    assert_eq!(gate.decide(Some(&anywhere), Person::BySession(&ada)), Verdict::Pass(Reason::NoRules));
    assert_eq!(gate.decide(None, Person::ByToken(&ada)), Verdict::Pass(Reason::NoRules));
    assert_eq!(gate.decide(Some(&anywhere), Person::Nobody), Verdict::SignInFirst(Reason::NoRules));
}

#[test]
fn the_first_rule_that_speaks_of_a_request_decides() {
    let gate = gate(SITE);
    let (ada, bob) = (user("ada@example.com", None), user("bob@example.com", None));
    let ask = |address: &str, method: &str, person| {
        gate.decide(Some(&target("app.example.com", address, Some(method))), person)
    };
    assert_eq!(ask("/public/logo.png", "GET", Person::Nobody), Verdict::Pass(Reason::Rule(1)));
    assert_eq!(ask("/admin/users", "POST", Person::BySession(&ada)), Verdict::Pass(Reason::Rule(2)));
    assert_eq!(ask("/admin", "POST", Person::BySession(&bob)), Verdict::Deny(Reason::Rule(2)));
    assert_eq!(ask("/admin/", "GET", Person::Nobody), Verdict::SignInFirst(Reason::Rule(2)));
    assert_eq!(ask("/admin/x", "GET", Person::ByToken(&ada)), Verdict::Deny(Reason::NoTokens(2)));
    assert_eq!(ask("/report", "GET", Person::BySession(&bob)), Verdict::Pass(Reason::Rule(3)));
    assert_eq!(ask("/report", "HEAD", Person::ByToken(&bob)), Verdict::Pass(Reason::Rule(3)));
    assert_eq!(ask("/report", "POST", Person::BySession(&bob)), Verdict::Deny(Reason::NoRule));
}

#[test]
fn a_host_that_no_rule_names_is_shut_for_everybody() {
    let gate = gate(SITE);
    let ada = user("ada@example.com", None);
    for host in
        ["other.example.com", "example.com", "apps.example.com", "xapps.example.com", "app.example.com.evil.example"]
    {
        let verdict = gate.decide(Some(&target(host, "/", Some("GET"))), Person::BySession(&ada));
        assert_eq!(verdict, Verdict::Deny(Reason::UnknownHost), "{host}");
    }
    assert_eq!(gate.decide(None, Person::BySession(&ada)), Verdict::Deny(Reason::NoTarget));
}

/// FWD-04
#[test]
fn a_host_is_the_same_however_it_is_written() {
    let gate = gate(SITE);
    let bob = user("bob@example.com", None);
    for host in ["APP.Example.COM", "app.example.com.", "app.example.com:443", "app.example.com:8443"] {
        let verdict = gate.decide(Some(&target(host, "/r", Some("GET"))), Person::BySession(&bob));
        assert_eq!(verdict, Verdict::Pass(Reason::Rule(3)), "{host}");
    }
    let below = target("Wiki.APPS.example.com", "/", None);
    assert_eq!(gate.decide(Some(&below), Person::BySession(&bob)), Verdict::Pass(Reason::Rule(4)));
}

/// FWD-02: nothing that another program could take for a path outside is let in as public, and nothing that another
/// program could take for the admins' part is decided by a later, milder rule.
#[test]
fn no_trick_with_the_path_passes_a_rule() {
    let gate = gate(SITE);
    let bob = user("bob@example.com", None);
    let tricks = [
        "/private?x=/public/",
        "/public/../private",
        "/public/./../private",
        "/public/..%2fprivate",
        "/public%2f..%2fprivate",
        "/public%2Fx",
        "/public/%2e%2e/private",
        "/public/%2e%2E/private",
        "/public/.%2e/private",
        "/public/%252e%252e/private",
        "/public%252f..%252fprivate",
        "/public;/../private",
        "/public;x/../private",
        "/public/..;/private",
        "/public%3b/../private",
        "/public%23/x",
        "/public#/x",
        "/public%00",
        "/public/%00/x",
        "/public/%0a/x",
        "/public\\..\\private",
        "/public/..\\private",
        "/public%5c..%5cprivate",
        "//private",
        "//public/x",
        "/public//../private",
        "/PUBLIC/x",
        "/Public",
        "/publicity",
        "/public%",
        "/public%2",
        "/public%zz",
        "/public/%ff",
        "/public/%c0%ae%c0%ae/private",
        "/%70ublic/../private",
        "/private/public/",
        "/public%3f/../../private",
    ];
    for address in tricks {
        let Ok(trick) = Target::new("https", "app.example.com", address, Some("GET")) else { continue };
        let verdict = gate.decide(Some(&trick), Person::Nobody);
        assert!(!passes(&verdict), "{address}: {verdict:?}");
    }
    for address in [
        "/admin;x/users",
        "/ADMIN/users",
        "/admin%2fusers",
        "//admin/users",
        "/x/../admin",
        "/%61dmin/users",
        "/admin\\users",
        "/./admin",
        "/admin%00",
    ] {
        let Ok(trick) = Target::new("https", "app.example.com", address, Some("GET")) else { continue };
        let verdict = gate.decide(Some(&trick), Person::BySession(&bob));
        assert!(!passes(&verdict), "{address}: {verdict:?}");
    }
    // What can be read in one way only is read, encoded or not.
    for address in
        ["/public", "/public/", "/public/a%20b", "/%70ublic/x", "/public/x?next=/../../etc", "/public/caf%C3%A9"]
    {
        let verdict = gate.decide(Some(&target("app.example.com", address, Some("GET"))), Person::Nobody);
        assert_eq!(verdict, Verdict::Pass(Reason::Rule(1)), "{address}");
    }
}

#[test]
fn a_host_whose_rules_look_at_no_path_takes_every_path() {
    let gate = gate(SITE);
    let bob = user("bob@example.com", None);
    for address in ["/api/v4/projects/a%2Fb", "//double", "/a;b=c", "/../x"] {
        let verdict = gate.decide(Some(&target("wiki.apps.example.com", address, None)), Person::BySession(&bob));
        assert_eq!(verdict, Verdict::Pass(Reason::Rule(4)), "{address}");
    }
}

#[test]
fn a_rule_about_methods_needs_to_know_the_method() {
    let gate = gate("[[gate.rules]]\nhost = \"a.example\"\nmethods = [\"GET\"]\nallow = \"everyone\"\n");
    let verdict = gate.decide(Some(&target("a.example", "/", None)), Person::Nobody);
    assert_eq!(verdict, Verdict::Deny(Reason::Uncertain(1)));
    let verdict = gate.decide(Some(&target("a.example", "/", Some("get"))), Person::Nobody);
    assert_eq!(verdict, Verdict::Deny(Reason::Uncertain(1)), "an app may take it for GET");
}

#[test]
fn groups_are_made_of_addresses_domains_and_ids() {
    let gate = gate(
        "[groups]\nadmins = [\"Ada@Example.com\"]\nstaff = [\"corp.example\"]\nseven = [\"id:7\"]\nbeta = [\"ada@example.com\"]\n",
    );
    let groups = |user: &User| gate.groups_of(user).collect::<Vec<_>>().join(",");
    assert_eq!(groups(&user("ADA@example.com", None)), "admins,beta");
    assert_eq!(groups(&user("bob@corp.example", None)), "", "an address at a domain is no membership of it");
    assert_eq!(groups(&user("bob@other.example", Some("Corp.example"))), "staff");
    let mut seven = user("x@y.example", None);
    seven.id = UserId::new("7");
    assert_eq!(groups(&seven), "seven");
    let mut unverified = user("ada@example.com", None);
    unverified.identity.email_verified = false;
    assert_eq!(groups(&unverified), "");
}

#[test]
fn a_rule_that_cannot_be_meant_is_refused_with_its_number() {
    let rule = |fields: &str| {
        load(&format!("[[gate.rules]]\nhost = \"ok.example\"\nallow = \"nobody\"\n[[gate.rules]]\n{fields}\n"))
    };
    let cases = [
        ("allow = \"everyone\"", "number 2 names no host"),
        ("host = \"a.example\"", "number 2 says of nobody that they may pass"),
        ("host = \"a.example\"\nallow = \"all\"", "number 2 has a wrong allow: \"all\" is not one of its words"),
        ("host = \"https://a.example\"\nallow = \"everyone\"", "a wrong host: \"https://a.example\" is no host"),
        ("host = \"*\"\nallow = \"everyone\"", "\"*\" is no host"),
        ("host = \"a.example\"\npath = \"public\"\nallow = \"everyone\"", "does not begin with a slash"),
        ("host = \"a.example\"\npath = \"/a/../b\"\nallow = \"everyone\"", "has empty segments or dots"),
        ("host = \"a.example\"\npath = \"/a*b\"\nallow = \"everyone\"", "no patterns"),
        ("host = \"a.example\"\nallow = \"everyone\"\nemails = [\"ada@example.com\"]", "beside a list"),
        ("host = \"a.example\"\nemails = []", "a wrong emails: is an empty list"),
        ("host = \"a.example\"\nemails = [\"ada\"]", "a wrong emails: \"ada\" is not an email address"),
        ("host = \"a.example\"\ngroups = [\"admins\"]", "there is no group \"admins\""),
        (
            "host = \"a.example\"\nmethod = \"GET\"\nallow = \"everyone\"",
            "holds \"method\", which no rule has; did you mean methods?",
        ),
        ("host = \"a.example\"\nmethods = [\"get\"]\nallow = \"everyone\"", "in capitals"),
        (
            "host = \"a.example\"\ntokens = \"yes\"\nallow = \"everyone\"",
            "a wrong tokens: is text, neither true nor false",
        ),
    ];
    for (fields, said) in cases {
        let problems = rule(fields).err().unwrap_or_else(|| panic!("{fields} was taken"));
        assert!(problems.contains(said), "{fields}: {problems}");
    }
    let several = rule("path = \"x\"\nallow = \"all\"").expect_err("it was taken");
    assert_eq!(several.lines().count(), 4, "all that is wrong at once: {several}");
}

#[test]
fn a_session_is_shared_only_with_a_domain_of_ones_own() {
    let with = |public_url: &str, domain: &str| {
        load(&format!("public_url = \"{public_url}\"\nsessions.cookie_domain = \"{domain}\"\n"))
    };
    for (public_url, domain) in [
        ("https://auth.example.com", "example.com"),
        ("https://auth.example.com", ".Example.com"),
        ("https://auth.example.com/x", "auth.example.com"),
        ("https://auth.corp.test", "corp.test"),
        ("https://auth.ada.github.io", "ada.github.io"),
    ] {
        let taken = with(public_url, domain).map(|config| config.sessions.cookie_domain);
        assert_eq!(taken, Ok(Some(domain.trim_start_matches('.').to_lowercase())));
    }
    for (public_url, domain, said) in [
        ("https://auth.example.com", "example.org", "is not a domain that the host of public_url lies in"),
        ("https://auth.example.com", "ample.com", "is not a domain that the host of public_url lies in"),
        ("https://auth.example.com", "x.auth.example.com", "is not a domain that the host of public_url lies in"),
        ("https://auth.example.com", "com", "belongs to many owners"),
        ("https://auth.example.co.uk", "co.uk", "belongs to many owners"),
        ("https://ada.github.io", "github.io", "belongs to many owners"),
        ("https://auth.corp.test", "test", "belongs to many owners"),
        ("https://192.0.2.7", "192.0.2.7", "cannot be the domain of an address"),
        ("http://auth.localhost:3000", "localhost", "plain http"),
        ("https://auth.example.com", "https://example.com", "is not a domain"),
    ] {
        let problems = with(public_url, domain).err().unwrap_or_else(|| panic!("{domain} was taken for {public_url}"));
        assert!(problems.contains(said), "{domain} for {public_url}: {problems}");
    }
}
