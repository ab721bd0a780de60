//! A real proxy in front of a site and an app, told what to do by our own `proxy-config`.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::Instant;

use doorward::config::Config;
use doorward::config::public_url::PublicUrl;
use rustls::pki_types::{CertificateDer, ServerName};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::site::binary;
use crate::site::echo::Echo;
use crate::site::instance::Site;
use crate::site::line::Line;
use crate::site::program::{PATIENCE, PAUSE, Program, free_port};
use crate::site::visitors::{Anonymous, provide_cryptography};

/// Which proxy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Proxy {
    /// nginx, with `auth_request`.
    Nginx,
    /// Caddy, with `forward_auth`.
    Caddy,
    /// HAProxy, with our script.
    Haproxy,
}

/// The session's host.
pub const OWN: &str = "auth.corp.test";
/// The app's host.
pub const APP: &str = "app.corp.test";

/// A proxy with everything behind it.
pub struct Front {
    /// The site.
    pub site: Site,
    /// The app.
    pub echo: Echo,
    /// Where the proxy listens.
    pub port: u16,
    /// The line between the site and its database, where there is one.
    pub line: Option<Line>,
    certificate: CertificateDer<'static>,
    _proxy: Program,
    _folder: TempDir,
}

/// What came back, as it came.
#[derive(Clone, Debug)]
pub struct Raw {
    /// The status.
    pub status: u16,
    /// Everything before the body.
    pub head: String,
    /// The body.
    pub body: String,
}

impl Front {
    /// A proxy of this kind in front of a site with the rules of `gate`, TOML for `[gate]` and `[groups]`. `on_a_line`: on a
    /// database whose line can be cut. `None`: the tier is missing.
    pub async fn start(proxy: Proxy, gate: &str, on_a_line: bool) -> Option<Self> {
        crate::site::tiers::Tier::Proxies.here()?;
        provide_cryptography();
        let folder = tempfile::tempdir().expect("a folder");
        let port = free_port();
        let names = ["auth.corp.test".to_owned(), "app.corp.test".to_owned(), "other.corp.test".to_owned()];
        let made = rcgen::generate_simple_self_signed(names).expect("a certificate");
        let certificate = made.cert.der().clone();
        let (chain, key) = (made.cert.pem(), made.signing_key.serialize_pem());
        for (name, text) in [("site.crt", &chain), ("site.key", &key), ("site.pem", &format!("{chain}{key}"))] {
            fs::write(folder.path().join(name), text).expect("a file");
        }
        let toml = format!(
            "public_url = \"https://{OWN}:{port}\"\nserver.listen = \"127.0.0.1:1\"\n\
             sessions.cookie_domain = \"corp.test\"\n{}",
            gate.replace("APP", &format!("{APP}:{port}"))
        );
        let rules = rules(&toml);
        let change = |config: &mut Config| {
            config.public_url = PublicUrl::parse(&format!("https://{OWN}:{port}")).expect("an address");
            config.sessions.cookie_domain = Some("corp.test".to_owned());
            (config.gate, config.groups) = (rules.gate.clone(), rules.groups.clone());
        };
        let (site, line) = if on_a_line {
            let (site, line) = Site::behind_a_line_with(change).await?;
            (site, Some(line))
        } else {
            (Site::start_with(change).await, None)
        };
        let listen = format!("127.0.0.1:{}", site.port());
        fs::write(folder.path().join("config.toml"), toml.replace("127.0.0.1:1", &listen)).expect("a file");
        let echo = Echo::start().await;
        let running = run(proxy, folder.path(), &format!("{APP}:{port}"), &echo.url);
        wait_for(port, &running);
        Some(Self { site, echo, port, line, certificate, _proxy: running, _folder: folder })
    }

    /// The address of a page of the app.
    pub fn app(&self, path: &str) -> String {
        format!("https://{APP}:{}{path}", self.port)
    }

    /// A browser with the session of the person with this subject, who signed in behind the proxy's back.
    pub async fn session_of(&self, subject: &str) -> String {
        let browser = Anonymous::at(&format!("http://127.0.0.1:{}", self.site.port()));
        let (name, handle) = self.site.session_for(&browser, subject).await;
        format!("{name}={handle}")
    }

    /// Sends a request as it stands to a host behind the proxy.
    pub async fn ask(&self, method: &str, host: &str, path: &str, headers: &[(&str, &str)]) -> Raw {
        let port = self.port;
        let mut request = format!("{method} {path} HTTP/1.1\r\nHost: {host}:{port}\r\nConnection: close\r\n");
        for (name, value) in headers {
            request.push_str(&format!("{name}: {value}\r\n"));
        }
        request.push_str("\r\n");
        let mut stream = self.connect(host).await;
        stream.write_all(request.as_bytes()).await.expect("it reads");
        stream.flush().await.expect("it reads");
        let mut answer = Vec::new();
        // Some close without TLS's goodbye.
        let _ = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut answer)).await.expect("in time");
        Raw::read(&answer)
    }

    /// A connection to the proxy, as to `host`.
    pub async fn connect(&self, host: &str) -> TlsStream<TcpStream> {
        let mut roots = rustls::RootCertStore::empty();
        roots.add(self.certificate.clone()).expect("a certificate");
        let config = rustls::ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
        let tcp = TcpStream::connect(("127.0.0.1", self.port)).await.expect("it listens");
        let name = ServerName::try_from(host.to_owned()).expect("a name");
        TlsConnector::from(Arc::new(config)).connect(name, tcp).await.expect("its certificate is ours")
    }
}

impl Raw {
    /// Reads an answer.
    pub fn read(bytes: &[u8]) -> Self {
        let text = String::from_utf8_lossy(bytes);
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
        let status = status.unwrap_or_else(|| panic!("no status in {text:?}"));
        Self { status, head: head.to_owned(), body: body.to_owned() }
    }

    /// The first header of this name; empty where there is none.
    pub fn header(&self, name: &str) -> &str {
        crate::site::echo::header(&self.head, name).unwrap_or_default()
    }
}

fn rules(toml: &str) -> Config {
    let folder = tempfile::tempdir().expect("a folder");
    fs::write(folder.path().join("config.toml"), toml).expect("a file");
    let sources = doorward::config::sources::Sources { folder: folder.path().to_owned(), ..Default::default() };
    doorward::config::load(&sources).unwrap_or_else(|problems| panic!("{problems}")).config
}

/// Prints our own configuration for the proxy, and starts it with that.
fn run(proxy: Proxy, folder: &Path, app: &str, upstream: &str) -> Program {
    let at = |name: &str| folder.join(name).display().to_string();
    let print = |arguments: &[&str]| {
        let mut command = binary::command(folder);
        command.arg("proxy-config").args(arguments).args(["--host", app, "--upstream", upstream]);
        let ran = binary::run(&mut command);
        assert_eq!((ran.code, ran.stderr.as_str()), (0, ""), "{ran:#?}");
        ran.stdout
    };
    let (crt, key, pem) = (at("site.crt"), at("site.key"), at("site.pem"));
    match proxy {
        Proxy::Nginx => {
            let text = print(&["nginx", "--cert", &crt, "--key", &key]);
            nginx(folder, &text)
        }
        Proxy::Caddy => {
            let text = print(&["caddy", "--cert", &crt, "--key", &key]);
            // On a machine of its own Caddy also listens on port 80; here that is somebody else's.
            let text = format!("{{\n\tadmin off\n\tauto_https disable_redirects\n}}\n{text}");
            fs::write(folder.join("Caddyfile"), text).expect("a file");
            let mut command = Command::new("caddy");
            command.args(["run", "--adapter", "caddyfile", "--config", &at("Caddyfile")]);
            Program::start(command.env("HOME", folder).env("XDG_DATA_HOME", folder).env("XDG_CONFIG_HOME", folder))
        }
        Proxy::Haproxy => {
            let lua = at("doorward.lua");
            fs::write(folder.join("doorward.lua"), print(&["haproxy", "--lua"])).expect("a file");
            let text = print(&["haproxy", "--cert", &pem, "--lua-file", &lua]);
            fs::write(folder.join("haproxy.cfg"), text).expect("a file");
            Program::start(Command::new("haproxy").args(["-db", "-f", &at("haproxy.cfg")]))
        }
    }
}

/// Starts nginx in `folder` with this text in its `http` block.
pub fn nginx(folder: &Path, http: &str) -> Program {
    let at = |name: &str| folder.join(name).display().to_string();
    let temporary: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        .map(|kind| format!("{kind}_temp_path {};\n", at(kind)))
        .concat();
    let user = if is_root() { "user root;\n" } else { "" };
    // One process: whoever ends the first of several by force leaves the others behind.
    let main = format!(
        "{user}daemon off;\nmaster_process off;\npid {};\nerror_log stderr;\nevents {{}}\nhttp {{\naccess_log off;\n{temporary}{http}\n}}\n",
        at("nginx.pid")
    );
    fs::write(folder.join("nginx.conf"), main).expect("a file");
    Program::start(Command::new("nginx").args(["-c", &at("nginx.conf"), "-p", &at("")]))
}

fn is_root() -> bool {
    let id = Command::new("id").arg("-u").output().expect("id");
    id.stdout.trim_ascii() == b"0"
}

/// Waits until the proxy listens.
pub fn wait_for(port: u16, proxy: &Program) {
    let deadline = Instant::now() + PATIENCE;
    while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
        assert!(Instant::now() < deadline, "the proxy does not listen:\n{}", proxy.said());
        std::thread::sleep(PAUSE);
    }
}
