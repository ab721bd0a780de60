//! A crowd goes about while things break, and what it was told keeps every promise. The judge of that is judged first.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::site::binary::Binary;
use crate::site::crowd::Crowd;
use crate::site::databases::{Row, Server};
use crate::site::history::{Credential, Deed, History, Operation, Person, Promise, Told, USERS, Verdict, subject};
use crate::site::program::{PATIENCE, PAUSE, free_port};
use crate::site::provider::{CLIENT_SECRET, ScriptedProvider};

/// A history that was made up: in which everything takes five seconds, and begins when it is said to.
struct Made(History);

impl Made {
    /// In which person 1 opens the credential 10, and person 2 the credential 20, and both work.
    fn up() -> Self {
        let made = Self(History::begin());
        for person in [1, 2] {
            made.told(0, person, None, Deed::Open(10 * person), Told::Done);
            made.shows(10, 10 * person, Told::Are(Some(person)));
        }
        made
    }

    fn told(&self, begun: u64, person: Person, with: Option<Credential>, deed: Deed, told: Told) {
        self.note(Operation {
            begun: Duration::from_secs(begun),
            ended: Duration::from_secs(begun + 5),
            address: 0,
            person,
            with,
            deed,
            told,
            lost_cookie: false,
        });
    }

    fn note(&self, operation: Operation) {
        self.0.note(operation);
    }

    /// The owner of `credential` asks who they are.
    fn shows(&self, begun: u64, credential: Credential, told: Told) {
        self.told(begun, credential / 10, Some(credential), Deed::Show, told);
    }

    /// The owner of `credential` signs out with it.
    fn ends(&self, begun: u64, credential: Credential, told: Told) {
        self.told(begun, credential / 10, Some(credential), Deed::End(credential), told);
    }

    /// Everybody looks for a last time. The made-up times lie after the end of it all.
    fn verdict(self) -> Verdict {
        self.0.close();
        let mut users: Vec<_> = [1, 2].map(user).into();
        users.push(user(3));
        for credential in [10, 20] {
            let was_ended = self.0.since(0).iter().any(|operation| operation.deed == Deed::End(credential));
            if !was_ended {
                self.shows(1_000, credential, Told::Are(Some(credential / 10)));
            }
        }
        self.0.verdict(&users)
    }

    /// The promises that were broken, each once.
    fn broken(self) -> Vec<Promise> {
        promises(&self.verdict())
    }
}

fn promises(verdict: &Verdict) -> Vec<Promise> {
    let mut promises: Vec<_> = verdict.broken.iter().map(|(promise, _)| *promise).collect();
    promises.sort_unstable();
    promises.dedup();
    promises
}

fn user(person: Person) -> Row {
    [&subject(person), "https://issuer.test", &subject(person)].map(|text| Some(text.to_owned())).into()
}

#[test]
fn a_history_in_which_all_is_well_breaks_nothing() {
    let made = Made::up();
    made.shows(20, 10, Told::Unavailable);
    made.shows(20, 10, Told::Nothing);
    made.shows(20, 10, Told::Other(500));
    made.ends(30, 20, Told::Done);
    made.shows(36, 20, Told::Nobody);
    let verdict = made.verdict();
    verdict.must_hold();
    let counted = (verdict.opened, verdict.ended, verdict.refused, verdict.unavailable, verdict.failed);
    assert_eq!(counted, (2, 1, 1, 1, 2), "{verdict}");
}

#[test]
fn what_was_not_confirmed_may_have_happened_or_not() {
    for told in [Told::Are(Some(2)), Told::Nobody, Told::SentAway] {
        let made = Made::up();
        made.ends(20, 20, Told::Unavailable);
        made.shows(30, 20, told);
        assert_eq!(made.broken(), [], "{told:?} after an end that was not confirmed");
        let made = Made::up();
        made.ends(20, 20, Told::Done);
        made.shows(24, 20, told);
        assert_eq!(made.broken(), [], "{told:?} while it is being ended");
    }
}

#[test]
fn whoever_is_let_in_after_the_end_is_noticed() {
    let made = Made::up();
    made.ends(20, 20, Told::Done);
    made.shows(26, 20, Told::Are(Some(2)));
    assert_eq!(made.broken(), [Promise::Ended]);
    let made = Made::up();
    made.ends(20, 20, Told::Nothing);
    made.shows(30, 20, Told::Nobody);
    made.shows(36, 20, Told::Are(Some(2)));
    assert_eq!(made.broken(), [Promise::Ended], "refused, and let in again");
    let made = Made::up();
    made.ends(20, 20, Told::Done);
    made.told(26, 2, Some(20), Deed::Open(21), Told::Done);
    made.told(36, 2, Some(21), Deed::End(21), Told::Done);
    assert_eq!(made.broken(), [Promise::Ended], "a token for a session that has ended");
}

#[test]
fn whoever_is_signed_out_by_nobody_is_noticed() {
    let made = Made::up();
    made.shows(20, 10, Told::Nobody);
    assert!(made.broken().contains(&Promise::Kept));
    let made = Made::up();
    made.told(20, 2, Some(20), Deed::End(20), Told::Missing);
    assert_eq!(made.broken(), [Promise::Kept], "nobody ended it before");
    let made = Made::up();
    made.shows(20, 20, Told::Nobody);
    made.ends(30, 20, Told::Done);
    assert_eq!(made.broken(), [Promise::Kept], "it is ended only later");
}

#[test]
fn what_does_not_work_at_the_end_is_noticed() {
    let made = Made::up();
    made.told(20, 2, None, Deed::Open(21), Told::Done);
    assert_eq!(made.broken(), [Promise::Kept], "nobody looked");
    let made = Made::up();
    made.told(20, 2, None, Deed::Open(21), Told::Done);
    made.shows(1_000, 21, Told::Unavailable);
    assert_eq!(made.broken(), [Promise::Kept], "503 to the end");
    let made = Made::up();
    let elsewhere = Operation { address: 1, ..made.0.since(0)[1] };
    made.note(elsewhere);
    let verdict = made.verdict();
    assert_eq!(promises(&verdict), [Promise::Kept], "it works at one of two addresses: {verdict}");
}

#[test]
fn users_that_are_doubled_missing_or_of_nobody_are_noticed() {
    let with = |users: &[Row]| {
        let made = Made::up();
        made.0.close();
        for credential in [10, 20] {
            made.shows(1_000, credential, Told::Are(Some(credential / 10)));
        }
        promises(&made.0.verdict(users))
    };
    assert_eq!(with(&[user(1), user(2)]), []);
    assert_eq!(with(&[user(1)]), [Promise::OneUser], "missing");
    assert_eq!(with(&[user(1), user(2), user(2)]), [Promise::OneUser], "twice the same");
    let mut second = user(2);
    second[0] = Some("another id".to_owned());
    assert_eq!(with(&[user(1), user(2), second]), [Promise::OneUser], "two users of one identity");
    assert_eq!(with(&[user(1), user(2), vec![Some("3".to_owned()), None, None]]), [Promise::OneUser], "nobody's");
}

#[test]
fn whoever_hears_anothers_name_is_noticed() {
    for told in [Told::Are(Some(1)), Told::Are(None)] {
        let made = Made::up();
        made.shows(20, 20, told);
        assert_eq!(made.broken(), [Promise::OwnName], "{told:?}");
    }
}

#[test]
fn whoever_loses_a_cookie_or_is_sent_to_the_provider_is_noticed() {
    let made = Made::up();
    made.shows(20, 20, Told::SentAway);
    assert!(made.broken().contains(&Promise::NotSentAway));
    let made = Made::up();
    let unavailable = Operation { told: Told::Unavailable, lost_cookie: true, ..made.0.since(0)[1] };
    made.note(unavailable);
    assert_eq!(made.broken(), [Promise::NotSentAway]);
    let made = Made::up();
    made.ends(20, 20, Told::Unavailable);
    let signing_out = Operation { lost_cookie: true, ..*made.0.since(0).last().expect("an end") };
    made.note(signing_out);
    assert_eq!(made.broken(), [], "whoever signs out loses it rightly, also while the store is away");
}

#[test]
fn silence_is_measured_between_good_answers_and_up_to_the_end() {
    let history = History::begin();
    let answered = |ended: u64, told: Told| {
        let ended = Duration::from_millis(ended);
        let deed = Deed::Show;
        let operation =
            Operation { begun: ended, ended, address: 0, person: 1, with: None, deed, told, lost_cookie: false };
        history.note(operation);
    };
    answered(10, Told::Done);
    answered(15, Told::Unavailable);
    answered(30, Told::Nobody);
    assert_eq!(history.verdict(&[]).longest_silence, Duration::from_millis(20));
    answered(70, Told::Nothing);
    assert_eq!(history.verdict(&[]).longest_silence, Duration::from_millis(40));
}

/// How many people there are, and how much they do between two faults.
const PEOPLE: usize = 8;
const BETWEEN: usize = 150;

/// A configuration for what reaches the provider and the database; the crowd's provider knows us by a plain name.
fn config(provider: &ScriptedProvider, database: &str) -> String {
    provider.script().client_id = "crowd".to_owned();
    let issuer = provider.issuer();
    format!(
        "[providers.test]\nissuer = \"{issuer}\"\nclient_id = \"crowd\"\nclient_secret = \"{CLIENT_SECRET}\"\n\
         [database]\nurl = \"{database}\"\n"
    )
}

/// Waits until the crowd was answered well so many times more.
async fn until_served(history: &History, more: usize) {
    let first = history.length();
    let deadline = Instant::now() + PATIENCE;
    while history.since(first).iter().filter(|operation| operation.is_success()).count() < more {
        assert!(Instant::now() < deadline, "nobody is served");
        tokio::time::sleep(PAUSE).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crowd_keeps_all_it_was_promised_while_an_instance_dies_and_the_database_freezes() {
    let Some(server) = Server::start() else { return };
    let database = server.database().await;
    let provider = Arc::new(ScriptedProvider::start().await);
    let url = format!("{}{}", server.url().trim_end_matches("mysql"), database.place().name);
    let config = config(&provider, &url);
    let first = Binary::serve_on(free_port(), &config);
    let mut second = Binary::behind(&first.public_url, &config);
    let addresses = [first.port, second.port].map(|port| format!("http://127.0.0.1:{port}"));
    let crowd = Crowd::new(&addresses, &first.public_url, provider, PEOPLE).resting(Duration::from_millis(20));
    let history = crowd.history();
    let history = crowd
        .run(async {
            until_served(&history, BETWEEN).await;
            second.program.signal("KILL");
            second.program.wait();
            until_served(&history, BETWEEN).await;
            server.signal("STOP");
            let frozen = history.now();
            while history.now() < frozen + Duration::from_secs(1) {
                tokio::time::sleep(PAUSE).await;
            }
            server.signal("CONT");
            until_served(&history, BETWEEN).await;
            second.start_again();
            until_served(&history, 2 * BETWEEN).await;
        })
        .await;
    let verdict = history.verdict(&database.rows(USERS).await);
    verdict.must_hold();
    let has_happened = verdict.ended > 0 && verdict.refused > 0 && verdict.failed > 0;
    assert!(has_happened && verdict.longest_silence > Duration::from_millis(500), "the story was too short: {verdict}");
}
