//! What a test needs beyond the crate itself, and whether this machine has it. A tier that is missing is said aloud
//! and skipped; with `CI=true` it fails instead, so that nobody takes a skipped proof for a proof.

use std::env;

/// Something that `tests/run` sets up, and the variable by which it says so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tier {
    /// A MariaDB server and an account that may create databases.
    MariaDb,
    /// A MySQL server, likewise.
    MySql,
    /// Chromium with its driver.
    Browser,
    /// The npm package `oidc-provider` and a Node to run it.
    IndependentIssuer,
    /// The npm package `axe-core`, which knows what people cannot read, reach or hear.
    Axe,
    /// Go, for the one program of the documentation that is written in it.
    Go,
    /// Python's PyJWT, which one program of the documentation uses.
    PyJwt,
    /// nginx, Caddy and HAProxy.
    Proxies,
    /// Prometheus, with promtool beside it.
    Prometheus,
    /// A fresh Debian system in a folder, to be copied.
    Debian,
    /// A network of the tests' own, with Galera and HAProxy: for how many seconds things are broken in it.
    Cluster,
    /// The folder with a MySQL server for it, beside its libraries.
    GroupReplication,
    /// The executable that the README's build command makes.
    StaticBinary,
    /// Minutes: what is too slow for the ordinary run. Such tests lie in a module called `long`, by which `tests/run long`
    /// finds them.
    Long,
    /// Root's powers over the kernel: networks, a packet filter, small disks, calls that fail.
    Kernel,
}

impl Tier {
    /// The environment variable that turns the tier on and says where it is.
    pub const fn variable(self) -> &'static str {
        match self {
            Self::MariaDb => "DOORWARD_TEST_MARIADB_URL",
            Self::MySql => "DOORWARD_TEST_MYSQL_URL",
            Self::Browser => "DOORWARD_TEST_BROWSER",
            Self::IndependentIssuer => "DOORWARD_TEST_OIDC_PROVIDER",
            Self::Axe => "DOORWARD_TEST_AXE",
            Self::Go => "DOORWARD_TEST_GO",
            Self::PyJwt => "DOORWARD_TEST_PYJWT",
            Self::Proxies => "DOORWARD_TEST_PROXIES",
            Self::Prometheus => "DOORWARD_TEST_PROMETHEUS",
            Self::Debian => "DOORWARD_TEST_DEBIAN",
            Self::Cluster => "DOORWARD_TEST_CLUSTER",
            Self::GroupReplication => "DOORWARD_TEST_MYSQL_ROOT",
            Self::StaticBinary => "DOORWARD_TEST_STATIC_BINARY",
            Self::Long => "DOORWARD_TEST_LONG",
            Self::Kernel => "DOORWARD_TEST_KERNEL",
        }
    }

    /// What `tests/run` said of the tier. `None`: skip the test. Panics instead when `CI=true`.
    #[expect(clippy::disallowed_methods, reason = "tiers are turned on by the environment")]
    pub fn here(self) -> Option<String> {
        let variable = self.variable();
        if let Some(value) = env::var(variable).ok().filter(|value| !value.is_empty()) {
            return Some(value);
        }
        let may_be_missing = env::var("DOORWARD_TEST_MAY_BE_MISSING").unwrap_or_default();
        let may_be_missing = may_be_missing.split(' ').any(|name| name == variable);
        let is_ci = env::var("CI").is_ok_and(|value| value == "true");
        assert!(!is_ci || may_be_missing, "{self:?} is missing although CI=true: set {variable}, or use tests/run");
        #[expect(clippy::print_stderr, reason = "whoever runs the tests must see what was not proved")]
        {
            eprintln!("SKIPPED: {self:?} is not here; {variable} is not set (tests/run sets it up)");
        }
        None
    }
}
