//! What a whole sign-in costs: the request that starts it and the one that ends it, with a provider that agrees to
//! everything. What the provider and the browser spend is theirs.

use std::time::{Duration, Instant};

use doorward::clock::{Clock, SystemClock};
use url::Url;

use crate::arguments::Arguments;
use crate::database::{MariaDb, runtime};
use crate::report::{head, row};
use crate::site::provider::{CLIENT_SECRET, ScriptedProvider, person};
use crate::site::visitors::{Anonymous, Visitor, provide_cryptography};
use crate::subject::Subject;

/// Our name at the provider.
const CLIENT_ID: &str = "client-of-bench";

/// Sign-ins before the measure begins, and in it.
const FIRST: u32 = 50;
const COUNTED: u32 = 1_000;

/// CPU time of a sign-in.
pub fn login(arguments: &Arguments) {
    provide_cryptography();
    head("A full sign-in, MariaDB", &["binary", "sign-ins", "CPU ms of Doorward", "of the database", "ms in all"]);
    for binary in &arguments.binaries {
        // One for each: the ids in it are those of one provider.
        let database = MariaDb::start(256);
        runtime().block_on(async {
            let provider = ScriptedProvider::start().await;
            provider.script().now = SystemClock.now().unix();
            provider.script().client_id = CLIENT_ID.to_owned();
            let config = format!(
                "[providers.test]\nissuer = \"{}\"\nclient_id = \"{CLIENT_ID}\"\nclient_secret = \"{CLIENT_SECRET}\"\n",
                provider.issuer()
            );
            let url = database.url();
            let subject = Subject::doorward_with(binary, &url, &config);
            sign_in(&subject, &provider, 0..FIRST).await;
            let before = (subject.cpu_seconds(), database.cpu_seconds());
            let took = sign_in(&subject, &provider, FIRST..FIRST + COUNTED).await;
            let each = |seconds: f64| seconds * 1e3 / f64::from(COUNTED);
            row(&[
                subject.name.clone(),
                COUNTED.to_string(),
                format!("{:.2}", each(subject.cpu_seconds() - before.0)),
                format!("{:.2}", each(database.cpu_seconds() - before.1)),
                format!("{:.2}", each(took.as_secs_f64())),
            ]);
        });
    }
}

/// Signs that many people in, one after the other. How long it took.
async fn sign_in(subject: &Subject, provider: &ScriptedProvider, people: std::ops::Range<u32>) -> Duration {
    let begun = Instant::now();
    let base = format!("http://localhost:{}", subject.port);
    for number in people {
        let browser = Anonymous::at(&base);
        let request = browser.visit("/login").await.location();
        let answer = {
            let mut script = provider.script();
            script.now = SystemClock.now().unix();
            script.person = person(&format!("p{number}"), &format!("p{number}@example.com"), "Ada Lovelace");
            drop(script);
            provider.approve(&request)
        };
        let mut callback = Url::parse(&format!("{base}/login/callback")).expect("an address");
        callback.query_pairs_mut().append_pair("code", &answer.code.expect("a code"));
        callback.query_pairs_mut().append_pair("state", &answer.state.expect("a state"));
        let back = browser.visit(callback.as_str()).await;
        assert_eq!(back.status, 303, "{back:?}");
    }
    begun.elapsed()
}
