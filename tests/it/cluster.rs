//! Three instances behind HAProxy on three nodes of a cluster, each of which asks another node first, so that nothing is seen
//! because it happens to be near. Each story is told on every kind of cluster. These tests take minutes and a network of their
//! own: `tests/run cluster`.

use std::env;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use reqwest::Method;

use crate::site::cluster::{Cluster, NODES, Replication};
use crate::site::crowd::Crowd;
use crate::site::fleet::{DATABASE, Fleet};
use crate::site::galera::Galera;
use crate::site::group_replication::GroupReplication;
use crate::site::history::USERS;
use crate::site::program::{PATIENCE, PAUSE};
use crate::site::visitors::{Anonymous, SAME_ORIGIN, TYPED, Visitor};

/// How often each race is run.
const ROUNDS: usize = 300;

/// How many people are about at the same time: they write, and so every node has something to catch up with.
const PEOPLE: usize = 4;

/// The numbers of all rounds, dealt to the people.
fn rounds(person: usize) -> impl Iterator<Item = usize> {
    (person..ROUNDS).step_by(PEOPLE)
}

/// Makes each story a test on each kind of cluster.
macro_rules! on_each_kind {
    ($kind:ident $cluster:ident: $($story:ident)*) => {
        mod $kind {
            $(
                #[tokio::test(flavor = "multi_thread")]
                async fn $story() {
                    super::$story(super::$cluster).await;
                }
            )*
        }
    };
    ($($story:ident)*) => {
        on_each_kind!(galera Galera: $($story)*);
        on_each_kind!(group_replication GroupReplication: $($story)*);
    };
}

on_each_kind! {
    a_session_that_is_ended_through_one_instance_is_refused_by_all_at_once
    a_sign_in_that_comes_back_to_all_instances_at_once_ends_in_one_session
    a_node_that_dies_or_freezes_signs_nobody_out_and_lets_nobody_in
    without_a_majority_it_is_503_until_there_is_one
    on_both_sides_of_a_split_whoever_signed_out_stays_out
    whatever_breaks_a_crowd_keeps_what_it_was_promised
    the_instances_are_restarted_one_by_one_and_nobody_notices
}

async fn a_session_that_is_ended_through_one_instance_is_refused_by_all_at_once(
    replication: impl Replication + 'static,
) {
    let Some(cluster) = Cluster::start(replication).await else { return };
    let fleet = Fleet::before(&cluster).await;
    let person = async |person: usize| {
        let mut missed = 0;
        for round in rounds(person) {
            let here = round % NODES;
            let others = [(here + 1) % NODES, (here + 2) % NODES];
            let browser = fleet.sign_in(&format!("leaving-{person}"), [here, here]).await;
            // What others still hold after the sign-out.
            let thief = browser.also_at(&fleet.public_url);
            let before = join_all(others.map(|there| fleet.who(&thief, there))).await;
            assert_eq!(before, [200, 200], "round {round}: signed in through one, known to the others at once");
            let ended = fleet.ask(&browser, here, Method::POST, "/logout", SAME_ORIGIN).await;
            assert_eq!(ended.status, 303, "{ended:#?}");
            let after = join_all([here, others[0], others[1]].map(|there| fleet.who(&thief, there))).await;
            missed += after.iter().filter(|status| **status != 401).count();
        }
        missed
    };
    let missed: Vec<usize> = join_all((0..PEOPLE).map(person)).await;
    assert_eq!(missed.iter().sum::<usize>(), 0, "of {ROUNDS} sign-outs so many were not known everywhere at once");
}

async fn a_sign_in_that_comes_back_to_all_instances_at_once_ends_in_one_session(
    replication: impl Replication + 'static,
) {
    let Some(cluster) = Cluster::start(replication).await else { return };
    let fleet = Fleet::before(&cluster).await;
    for round in 0..ROUNDS {
        let (subject, begun) = (format!("thrice-{round}"), Anonymous::at(&fleet.public_url));
        let callback = fleet.begin(&begun, round % NODES, &subject).await;
        let browsers = [(); NODES].map(|()| begun.also_at(&fleet.public_url));
        let back = |instance: usize| fleet.ask(&browsers[instance], instance, Method::GET, &callback, TYPED);
        let answers = join_all((0..NODES).map(back)).await;
        let mut statuses: Vec<_> = answers.iter().map(|answer| answer.status).collect();
        statuses.sort_unstable();
        assert!(statuses[0] == 303 && statuses[1..].iter().all(|status| *status >= 400), "{answers:#?}");
        let winner = answers.iter().position(|answer| answer.status == 303).expect("one");
        let known = join_all((0..NODES).map(|instance| fleet.who(&browsers[winner], instance))).await;
        assert_eq!(known, [200; NODES], "round {round}");
    }
    let sessions = format!("select count(*), count(distinct user_id) from {DATABASE}.doorward_sessions");
    let (rounds, deadline) = (|| Some(ROUNDS.to_string()), Instant::now() + PATIENCE);
    for node in &cluster.nodes {
        // A node that we ask past the instances may not have heard of the last one yet.
        while node.rows(&sessions).await != [[rounds(), rounds()]] {
            assert!(Instant::now() < deadline, "{:?}: one session and one user a round", node.rows(&sessions).await);
            tokio::time::sleep(PAUSE).await;
        }
    }
}

/// Asks an instance until it answers with `status`; 503 is all that may come before.
async fn until(fleet: &Fleet, browser: &Anonymous, instance: usize, status: u16) {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let answer = fleet.who(browser, instance).await;
        if answer == status {
            return;
        }
        let said = || fleet.instances[instance].program.said();
        assert!(
            answer == 503 && Instant::now() < deadline,
            "instance {instance}: {answer} before {status}\n{}",
            said()
        );
        tokio::time::sleep(PAUSE).await;
    }
}

/// Signs out at an instance, again and again until that is confirmed. What others still hold of the session.
async fn signed_out(fleet: &Fleet, browser: &Anonymous, instance: usize) -> Anonymous {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let leaving = browser.also_at(&fleet.public_url);
        let answer = fleet.ask(&leaving, instance, Method::POST, "/logout", SAME_ORIGIN).await;
        if answer.status == 303 {
            return browser.also_at(&fleet.public_url);
        }
        let said = || fleet.instances[instance].program.said();
        assert!(answer.status == 503 && Instant::now() < deadline, "instance {instance}: {answer:#?}\n{}", said());
    }
}

async fn a_node_that_dies_or_freezes_signs_nobody_out_and_lets_nobody_in(replication: impl Replication + 'static) {
    let Some(mut cluster) = Cluster::start(replication).await else { return };
    let fleet = Fleet::before(&cluster).await;
    let ada = fleet.sign_in("ada", [0, 0]).await;
    for (node, dies) in [(0, true), (1, false), (2, true), (0, false)] {
        let elsewhere = (node + 1) % NODES;
        let leaving = fleet.sign_in("leaving", [elsewhere, elsewhere]).await;
        if dies {
            cluster.kill(node);
        } else {
            cluster.freeze(node);
        }
        let thief = signed_out(&fleet, &leaving, elsewhere).await;
        for instance in 0..NODES {
            until(&fleet, &ada, instance, 200).await;
            until(&fleet, &thief, instance, 401).await;
        }
        fleet.sign_in("meanwhile", [node, elsewhere]).await;
        if dies {
            cluster.start_again(node).await;
        } else {
            cluster.thaw(node);
            // It may not know yet what it slept through, and must not pretend.
            for _ in 0..100 {
                let answer = fleet.who(&thief, node).await;
                assert!([401, 503].contains(&answer), "{answer} from the instance that asks node {node} first");
            }
        }
        cluster.until_together().await;
    }
}

async fn without_a_majority_it_is_503_until_there_is_one(replication: impl Replication + 'static) {
    let Some(mut cluster) = Cluster::start(replication).await else { return };
    let fleet = Fleet::before(&cluster).await;
    let (ada, leaving) = (fleet.sign_in("ada", [0, 0]).await, fleet.sign_in("leaving", [1, 1]).await);
    let thief = signed_out(&fleet, &leaving, 1).await;
    cluster.kill(0);
    cluster.kill(1);
    cluster.until_alone(2).await;
    for instance in 0..NODES {
        until(&fleet, &ada, instance, 503).await;
        // The one that ended it still knows that.
        let answer = fleet.who(&thief, instance).await;
        assert!([401, 503].contains(&answer), "{answer} from instance {instance}");
    }
    let through_the_proxy = ada.get("/api/me").await;
    assert_eq!(through_the_proxy.status, 503, "{through_the_proxy:#?}");
    cluster.carry_on_alone(2).await;
    cluster.start_again(0).await;
    cluster.start_again(1).await;
    cluster.until_together().await;
    for instance in 0..NODES {
        until(&fleet, &ada, instance, 200).await;
        until(&fleet, &thief, instance, 401).await;
    }
    fleet.sign_in("afterwards", [0, 2]).await;
}

async fn on_both_sides_of_a_split_whoever_signed_out_stays_out(replication: impl Replication + 'static) {
    let Some(mut cluster) = Cluster::start(replication).await else { return };
    let fleet = Fleet::before(&cluster).await;
    for alone in 0..NODES {
        let (here, there) = ((alone + 1) % NODES, (alone + 2) % NODES);
        let (ada, leaving) = (fleet.sign_in("ada", [here, there]).await, fleet.sign_in("leaving", [here, there]).await);
        cluster.cut_off(alone);
        let thief = signed_out(&fleet, &leaving, here).await;
        // The instance that asks the lonely node first reaches it all the time.
        for _ in 0..100 {
            let answer = fleet.who(&thief, alone).await;
            assert!([401, 503].contains(&answer), "{answer} on the other side");
        }
        for instance in 0..NODES {
            until(&fleet, &ada, instance, 200).await;
            until(&fleet, &thief, instance, 401).await;
        }
        fleet.sign_in("meanwhile", [alone, here]).await;
        cluster.mend();
        cluster.until_together().await;
        for instance in 0..NODES {
            until(&fleet, &thief, instance, 401).await;
        }
    }
}

/// How many people go about while things break, and how long each rests between two requests.
const CROWD: usize = 24;
const REST: Duration = Duration::from_millis(100);

/// How long a node or an instance is gone that nobody gives up meanwhile.
const SHORT: Duration = Duration::from_secs(2);

/// For how long things are broken.
#[expect(clippy::disallowed_methods, reason = "tests/run says so in the environment")]
fn time_to_break() -> Duration {
    let seconds = env::var("DOORWARD_TEST_CLUSTER").expect("how many seconds");
    Duration::from_secs(seconds.parse().expect("a number of seconds"))
}

/// What is broken, one after the other.
#[derive(Clone, Copy, Debug)]
enum Fault {
    NodeKilled,
    NodeFrozen,
    NodeFrozenForAMoment,
    NodeCutOff,
    InstanceKilled,
    InstanceFrozen,
}

const FAULTS: [Fault; 6] = [
    Fault::NodeKilled,
    Fault::InstanceKilled,
    Fault::NodeFrozen,
    Fault::NodeCutOff,
    Fault::InstanceFrozen,
    Fault::NodeFrozenForAMoment,
];

/// Breaks something of node or instance `which`, and mends it.
async fn break_and_mend(cluster: &mut Cluster, fleet: &mut Fleet, fault: Fault, which: usize) {
    let (pause, long) = (tokio::time::sleep, cluster.patience());
    match fault {
        Fault::NodeKilled => {
            cluster.kill(which);
            pause(long).await;
            cluster.start_again(which).await;
        }
        Fault::NodeFrozen | Fault::NodeFrozenForAMoment => {
            cluster.freeze(which);
            pause(if matches!(fault, Fault::NodeFrozen) { long } else { SHORT }).await;
            cluster.thaw(which);
        }
        Fault::NodeCutOff => {
            cluster.cut_off(which);
            pause(long).await;
            cluster.mend();
        }
        Fault::InstanceKilled => {
            fleet.instances[which].program.signal("KILL");
            fleet.instances[which].program.wait();
            pause(SHORT).await;
            fleet.instances[which].start_again();
        }
        Fault::InstanceFrozen => {
            fleet.instances[which].program.signal("STOP");
            pause(SHORT).await;
            fleet.instances[which].program.signal("CONT");
        }
    }
    cluster.until_together().await;
}

async fn whatever_breaks_a_crowd_keeps_what_it_was_promised(replication: impl Replication + 'static) {
    let Some(mut cluster) = Cluster::start(replication).await else { return };
    let mut fleet = Fleet::before(&cluster).await;
    let crowd = Crowd::new(&fleet.addresses(), &fleet.public_url, Arc::clone(&fleet.provider), CROWD).resting(REST);
    let (begun, mut broken) = (Instant::now(), Vec::new());
    let story = async {
        for (round, fault) in FAULTS.into_iter().cycle().enumerate() {
            if begun.elapsed() > time_to_break() {
                break;
            }
            // Over two rounds of all faults each meets another node.
            let which = (round + round / FAULTS.len()) % NODES;
            let from = begun.elapsed();
            break_and_mend(&mut cluster, &mut fleet, fault, which).await;
            broken.push(format!("{fault:?} {which} from {from:.1?} to {:.1?}", begun.elapsed()));
            tokio::time::sleep(SHORT).await;
        }
    };
    let history = crowd.run(story).await;
    let users = cluster.nodes[0].rows_in(DATABASE, USERS).await;
    let verdict = history.verdict(&users);
    report(&format!("after {:.0?}, {} faults ({}):\n{verdict}", begun.elapsed(), broken.len(), broken.join(", ")));
    verdict.must_hold();
    assert!(verdict.ended > 0 && verdict.refused > 0, "too little happened: {verdict}");
}

async fn the_instances_are_restarted_one_by_one_and_nobody_notices(replication: impl Replication + 'static) {
    let Some(cluster) = Cluster::start(replication).await else { return };
    let mut fleet = Fleet::before(&cluster).await;
    let proxy = [fleet.public_url.clone()];
    let crowd = Crowd::new(&proxy, &fleet.public_url, Arc::clone(&fleet.provider), CROWD).resting(REST);
    let story = async {
        for round in 0..2 * NODES {
            tokio::time::sleep(SHORT).await;
            let instance = round % NODES;
            let status = fleet.instances[instance].program.terminate();
            assert!(status.success(), "{status}: {}", fleet.instances[instance].program.said());
            fleet.instances[instance].start_again();
            fleet.until_ready(instance).await;
        }
        tokio::time::sleep(SHORT).await;
    };
    let verdict = crowd.run(story).await.verdict(&cluster.nodes[0].rows_in(DATABASE, USERS).await);
    report(&format!("{} restarts, one by one: {verdict}", 2 * NODES));
    verdict.must_hold();
    assert_eq!((verdict.unavailable, verdict.failed), (0, 0), "{verdict}");
}

#[expect(clippy::print_stderr, reason = "whoever waits for minutes wants to read what came of it")]
fn report(text: &str) {
    eprintln!("{text}");
}
