//! Every key there is, in the order in which a person reads them, with its default.
//!
//! The list is what the file, the environment and `config show` are held against; `config.toml.example` is held against
//! it by a test. Knows nothing of what a key means.

/// A key, as `[section]` and name make it: `sessions.idle`. A `*` stands for any provider's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Key {
    /// `sessions.idle`, `providers.*.client_id`
    pub name: &'static str,
    /// The default as TOML, for Google where it is a provider's; `None` where there is none.
    pub default: Option<&'static str>,
    /// Whether its value is a secret or may contain one.
    pub is_secret: bool,
}

const fn key(name: &'static str, default: &'static str) -> Key {
    Key { name, default: Some(default), is_secret: false }
}

const fn unset(name: &'static str) -> Key {
    Key { name, default: None, is_secret: false }
}

const fn secret(name: &'static str) -> Key {
    Key { name, default: None, is_secret: true }
}

/// Every key there is.
pub const KEYS: &[Key] = &[
    key("public_url", r#""http://localhost:3000""#),
    key("server.listen", r#""localhost:3000""#),
    key("server.tls", r#""off""#),
    unset("server.cert"),
    unset("server.key"),
    key("server.trusted_proxies", r#"["loopback"]"#),
    key("server.max_connections", "20000"),
    key("server.shutdown_delay", r#""0s""#),
    unset("providers.*.client_id"),
    secret("providers.*.client_secret"),
    unset("providers.*.client_secret_file"),
    unset("providers.*.client_json"),
    key("providers.*.issuer", r#""https://accounts.google.com""#),
    key("providers.*.label", r#""Google""#),
    key("providers.*.prompt", r#""select_account""#),
    key("providers.*.trust_email", "false"),
    key(
        "providers.*.picture_hosts",
        r#"["lh3.googleusercontent.com", "lh4.googleusercontent.com", "lh5.googleusercontent.com", "lh6.googleusercontent.com"]"#,
    ),
    key("providers.*.name_claim", r#""name""#),
    key("providers.*.algorithms", r#"["RS256"]"#),
    unset("providers.*.ca_file"),
    Key { name: "database.url", default: Some(r#""sqlite:doorward.db""#), is_secret: true },
    unset("database.url_file"),
    key("database.host", r#""localhost""#),
    key("database.port", "3306"),
    unset("database.user"),
    secret("database.password"),
    unset("database.password_file"),
    unset("database.name"),
    key("database.users_table", r#""users""#),
    key("database.tls", r#""auto""#),
    unset("database.ca_file"),
    key("database.max_connections", "16"),
    key("sessions.idle", r#""7d""#),
    key("sessions.lifetime", r#""30d""#),
    key("sessions.persistent", "true"),
    key("sessions.cache", r#""0s""#),
    unset("sessions.cookie_domain"),
    key("apps.home", r#""/""#),
    key("apps.after_logout", r#""/""#),
    key("apps.origins", "[]"),
    key("access.hosted_domains", "[]"),
    key("access.email_domains", "[]"),
    key("access.emails", "[]"),
    key("access.blocked", "[]"),
    key("access.sign_up", r#""open""#),
    key("users.on_delete", r#""anonymise""#),
    key("audit.retention", r#""90d""#),
    unset("groups.*"),
    key("gate.user", r#""email""#),
    unset("gate.rules"),
    key("gate.oauth2_proxy", "false"),
    key("limits.sign_ins_per_minute", "60"),
    key("limits.bad_tokens_per_minute", "30"),
    key("pages.title", r#""Doorward""#),
    unset("pages.logo"),
    unset("pages.accent"),
    unset("pages.dir"),
    key("pages.reload", "false"),
    key("log.level", r#""info""#),
    key("log.format", r#""auto""#),
    unset("metrics.listen"),
];

/// The key that `path` is, or `None`: `providers.google.client_id` is `providers.*.client_id`.
pub fn find(path: &str) -> Option<&'static Key> {
    KEYS.iter().find(|key| is_under(path, key.name) && segments(path) == segments(key.name))
}

/// The key under which `path` lies as if the key were a section: `sessions.idle` for `sessions.idle.days`.
pub fn above(path: &str) -> Option<&'static Key> {
    KEYS.iter().find(|key| segments(path) > segments(key.name) && is_under(path, key.name))
}

/// Whether `path` is a section: `sessions`, `providers`, `providers.google`.
pub fn is_section(path: &str) -> bool {
    KEYS.iter().any(|key| segments(path) < segments(key.name) && is_above(path, key.name))
}

/// The key that was most likely meant by `path`, spelled with the provider that `path` names.
pub fn nearest(path: &str) -> Option<String> {
    let last = path.rsplit('.').next().unwrap_or(path);
    let provider = path.strip_prefix("providers.").and_then(|rest| rest.split('.').next()).unwrap_or("google");
    let spelled = KEYS.iter().map(|key| key.name.replace('*', provider));
    // The right word in the wrong section is the likeliest mistake; then a slip of the fingers.
    let scored = spelled.map(|name| {
        let is_same_word = name.rsplit('.').next() == Some(last);
        let likeness = strsim::normalized_damerau_levenshtein(path, &name);
        (if is_same_word { likeness.max(0.9) } else { likeness }, name)
    });
    let best = scored.max_by(|left, right| left.0.total_cmp(&right.0));
    best.filter(|(likeness, _)| *likeness > 0.7).map(|(_, name)| name)
}

fn segments(path: &str) -> usize {
    path.split('.').count()
}

/// Whether `path` begins with the whole of `pattern`.
fn is_under(path: &str, pattern: &str) -> bool {
    segments(path) >= segments(pattern) && is_above(path, pattern)
}

/// Whether `path` and `pattern` agree as far as the shorter goes.
fn is_above(path: &str, pattern: &str) -> bool {
    path.split('.').zip(pattern.split('.')).all(|(one, other)| other == "*" || one == other)
}
