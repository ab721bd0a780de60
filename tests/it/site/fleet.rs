//! Three instances of the real binary on one cluster, behind a real HAProxy with the very lines of `docs/cluster.md`.

use std::fs;
use std::process::Command;
use std::sync::Arc;
use std::time::Instant;

use doorward::clock::{Clock, SystemClock};
use reqwest::Method;
use tempfile::TempDir;

use crate::site::binary::Binary;
use crate::site::cluster::{Cluster, NODES};
use crate::site::front;
use crate::site::program::{PATIENCE, PAUSE, Program, free_port};
use crate::site::provider::{CLIENT_SECRET, ScriptedProvider, person};
use crate::site::visitors::{Anonymous, Answer, TYPED, Visitor};

/// The database of the instances.
pub const DATABASE: &str = "doorward";

/// Instances of one site.
pub struct Fleet {
    /// Where browsers find it: the proxy.
    pub public_url: String,
    /// Each instance asks another node first.
    pub instances: Vec<Binary>,
    /// Who vouches for people.
    pub provider: Arc<ScriptedProvider>,
    proxy: Program,
    _folder: TempDir,
}

impl Fleet {
    /// One instance for each node of the cluster, on a database that nobody has made ready yet. Returns when the proxy sends
    /// people to all of them.
    pub async fn before(cluster: &Cluster) -> Self {
        let provider = Arc::new(ScriptedProvider::start().await);
        // A name that needs no escaping in a configuration.
        provider.script().client_id = "fleet".to_owned();
        let (issuer, port) = (provider.issuer().to_owned(), free_port());
        let public_url = format!("http://localhost:{port}");
        let instance = |first: usize| {
            let rest = format!(
                "server.shutdown_delay = \"3s\"\n[providers.test]\nissuer = \"{issuer}\"\nclient_id = \"fleet\"\n\
                 client_secret = \"{CLIENT_SECRET}\"\n\
                 [database]\nurl = \"{}\"\ntls = \"off\"\n",
                cluster.url(first, DATABASE)
            );
            let public_url = public_url.clone();
            tokio::task::spawn_blocking(move || Binary::behind(&public_url, &rest))
        };
        // All at once on an empty database, as after an installation.
        let instances = futures_util::future::join_all((0..NODES).map(instance)).await;
        let instances: Vec<_> = instances.into_iter().map(|instance| instance.expect("it starts")).collect();
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("haproxy.cfg");
        let ports: Vec<_> = instances.iter().map(|instance| instance.port).collect();
        fs::write(&file, configuration(port, &ports)).expect("a file");
        let proxy = Program::start(Command::new("haproxy").arg("-db").arg("-f").arg(&file));
        front::wait_for(port, &proxy);
        let fleet = Self { public_url, instances, provider, proxy, _folder: folder };
        for instance in 0..NODES {
            fleet.until_ready(instance).await;
        }
        fleet
    }

    /// Where the instances are reached past the proxy, and the proxy.
    pub fn addresses(&self) -> Vec<String> {
        let instances = self.instances.iter().map(|instance| format!("http://127.0.0.1:{}", instance.port));
        instances.chain([self.public_url.clone()]).collect()
    }

    /// Asks one instance, past the proxy, as a browser that brings what `browser` holds.
    pub async fn ask(
        &self,
        browser: &Anonymous,
        instance: usize,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
    ) -> Answer {
        let target = format!("http://localhost:{}{path}", self.instances[instance].port);
        let host = self.public_url.trim_start_matches("http://");
        browser.ask(method, &target, &[&[("host", host)], headers].concat()).await
    }

    /// Begins a sign-in at one instance, and has the person with this subject agree. What their browser is to bring back.
    pub async fn begin(&self, browser: &Anonymous, instance: usize, subject: &str) -> String {
        let login = self.ask(browser, instance, Method::GET, "/login", TYPED).await;
        let agreed = {
            let mut script = self.provider.script();
            script.person = person(subject, &format!("{subject}@example.com"), &format!("{subject} of tests"));
            script.now = SystemClock.now().unix();
            drop(script);
            self.provider.approve(&login.location())
        };
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        query.append_pair("code", &agreed.code.expect("a code")).append_pair("state", &agreed.state.expect("a state"));
        format!("/login/callback?{}", query.finish())
    }

    /// Signs somebody in who begins at one instance and comes back to another.
    pub async fn sign_in(&self, subject: &str, [here, there]: [usize; 2]) -> Anonymous {
        let browser = Anonymous::at(&self.public_url);
        let callback = self.begin(&browser, here, subject).await;
        let answer = self.ask(&browser, there, Method::GET, &callback, TYPED).await;
        assert_eq!(answer.status, 303, "{answer:#?}");
        browser
    }

    /// The status with which an instance answers who somebody is.
    pub async fn who(&self, browser: &Anonymous, instance: usize) -> u16 {
        self.ask(browser, instance, Method::GET, "/api/me", &[]).await.status
    }

    /// Waits until an instance says that it can serve.
    pub async fn until_ready(&self, instance: usize) {
        // Every statement that makes a table is waited for by the whole cluster.
        let (nobody, deadline) = (Anonymous::at(&self.public_url), Instant::now() + 3 * PATIENCE);
        loop {
            let answer = self.ask(&nobody, instance, Method::GET, "/readyz", &[]).await;
            if answer.status == 200 {
                return;
            }
            let said = || self.instances[instance].program.said();
            assert!(Instant::now() < deadline, "{answer:#?}\n{}\n{}", said(), self.proxy.said());
            tokio::time::sleep(PAUSE).await;
        }
    }
}

/// What the documentation shows, with the addresses of here.
fn configuration(port: u16, instances: &[u16]) -> String {
    let documentation = fs::read_to_string("docs/cluster.md").expect("the documentation");
    let shown = documentation.split("```haproxy\n").nth(1).and_then(|rest| rest.split("```").next());
    let mut text = shown.expect("lines for HAProxy in docs/cluster.md").to_owned();
    let mut put = |shown: &str, here: String| {
        assert!(text.contains(shown), "{shown} does not stand in docs/cluster.md:\n{text}");
        text = text.replace(shown, &here);
    };
    put("bind :443 ssl crt /etc/haproxy/site.pem alpn h2,http/1.1", format!("bind 127.0.0.1:{port}"));
    for (number, instance) in instances.iter().enumerate() {
        put(&format!("192.0.2.{}:3000", number + 1), format!("127.0.0.1:{instance}"));
    }
    text
}
