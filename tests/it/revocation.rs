//! A session that is ended is refused by every instance on its next request: also while the instances are busy, when many
//! questions leave for the database as one. And what `sessions.cache` takes from that promise, and what it leaves.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use doorward::credential::Plain;
use doorward::store::StoreError;
use tokio::task::JoinSet;

use crate::site::instance::Site;
use crate::site::place::Place;
use crate::site::program::PATIENCE;
use crate::site::visitors::{Anonymous, Visitor};

/// How many people ask all the time, how many of each, and how many sign out meanwhile.
const CROWD: usize = 6;
const ASKERS: usize = 2;
const LEAVING: usize = 8;

/// People who ask again and again through both instances, until they are told to stop. Each must hear their own name.
struct Crowd {
    stop: Arc<AtomicBool>,
    answers: Arc<AtomicUsize>,
    asking: JoinSet<()>,
}

impl Crowd {
    async fn gather(site: &Site, other: &Site) -> Self {
        let mut crowd = Self { stop: Arc::default(), answers: Arc::default(), asking: JoinSet::new() };
        for person in 0..CROWD {
            let name = format!("crowd-{person}");
            let here = site.sign_in(&name).await;
            for instance in [&site.url, &other.url] {
                for _ in 0..ASKERS {
                    crowd.ask(here.browser().also_at(instance), name.clone());
                }
            }
        }
        crowd
    }

    fn ask(&mut self, browser: Anonymous, name: String) {
        let (stop, answers) = (Arc::clone(&self.stop), Arc::clone(&self.answers));
        self.asking.spawn(async move {
            while !stop.load(Ordering::Relaxed) {
                let answer = browser.get("/api/me").await;
                assert_eq!(answer.status, 200, "{answer:#?}");
                assert_eq!(answer.json()["id"], name.as_str(), "somebody hears another's name");
                answers.fetch_add(1, Ordering::Relaxed);
            }
        });
    }

    /// How many answers there were.
    async fn disperse(mut self) -> usize {
        self.stop.store(true, Ordering::Relaxed);
        while let Some(asked) = self.asking.join_next().await {
            asked.expect("everybody hears their own name");
        }
        self.answers.load(Ordering::Relaxed)
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn under_load_whoever_signs_out_through_one_instance_is_refused_by_the_other_at_once() {
    for place in Place::all() {
        let Some(site) = Site::on(place).await else { continue };
        let other = site.second_instance().await;
        let crowd = Crowd::gather(&site, &other).await;
        for number in 0..LEAVING {
            let ada = site.sign_in(&format!("leaving-{number}")).await;
            let there = ada.browser().also_at(&other.url);
            assert_eq!(there.get("/api/me").await.status, 200, "{place:?}");
            if number % 2 == 0 {
                assert_eq!(ada.post("/logout").await.status, 303, "{place:?}");
            } else {
                let handle = ada.browser().cookie(&site.session_cookie()).expect("the session's cookie");
                let short = Plain::presented(handle).hashed().short();
                assert_eq!(other.sessions().end_named(&short).await.expect("ended"), 1, "{place:?}");
            }
            let answers = [there.get("/api/me").await.status, ada.get("/api/me").await.status];
            assert_eq!(answers, [401, 401], "{place:?}: sign-out {number}");
        }
        let answers = crowd.disperse().await;
        assert!(answers > CROWD * ASKERS * 2, "{place:?}: {answers} answers are no load");
    }
}

#[tokio::test]
async fn with_a_cache_another_instance_refuses_within_its_time_and_this_one_at_once() {
    const CACHE: Duration = Duration::from_millis(1500);
    for place in Place::all() {
        let Some(site) = Site::on_with(place, |config| config.sessions.cache = CACHE).await else { continue };
        let other = site.second_instance().await;
        let ada = site.sign_in("ada").await;
        let there = ada.browser().also_at(&other.url);
        for _ in 0..3 {
            assert_eq!([ada.get("/api/me").await.status, there.get("/api/me").await.status], [200, 200], "{place:?}");
        }
        let asked = Instant::now();
        assert_eq!(there.get("/api/me").await.status, 200, "{place:?}");
        assert_eq!(ada.post("/logout").await.status, 303, "{place:?}");
        assert_eq!(ada.get("/api/me").await.status, 401, "{place:?}: this instance knows");
        let ended = Instant::now();
        while there.get("/api/me").await.status == 200 {
            // Whoever looks a moment too early is told the old answer; nobody is, once the time has passed.
            assert!(ended.elapsed() < CACHE + PATIENCE / 10, "{place:?}: it goes on for {:?}", asked.elapsed());
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        assert!(ended.elapsed() <= CACHE + Duration::from_secs(1), "{place:?}: {:?}", ended.elapsed());
    }
}

#[tokio::test]
async fn with_a_cache_a_sign_out_under_way_while_the_configuration_is_read_again_is_known_after_it() {
    for (before, after) in [(60, 60), (0, 60), (60, 30)] {
        let site = Site::start_with(|config| config.sessions.cache = Duration::from_secs(before)).await;
        let ada = site.sign_in("ada").await;
        let handle = Plain::presented(ada.browser().cookie(&site.session_cookie()).expect("a session"));
        let (old, new) = site.read_again(|config| config.sessions.cache = Duration::from_secs(after));
        assert!(new.sessions.find(&handle).await.expect("SQLite").is_some(), "{before} {after}");
        old.sessions.end(&handle).await.expect("SQLite");
        assert!(new.sessions.find(&handle).await.expect("SQLite").is_none(), "{before} {after}: it is said again");
    }
}

#[tokio::test]
async fn with_a_cache_an_answer_is_given_again_while_the_database_is_away_but_never_beyond_the_session() {
    let Some((site, line)) = Site::behind_a_line_with(|config| config.sessions.cache = Duration::from_secs(60)).await
    else {
        return;
    };
    let ada = site.sign_in("ada").await;
    assert_eq!(ada.get("/api/me").await.status, 200);
    line.cut();
    assert_eq!(ada.get("/api/me").await.status, 200, "it is said again without asking");
    site.clock.advance(Duration::from_secs(8 * 24 * 60 * 60));
    assert_eq!(ada.get("/api/me").await.status, 503, "a session that has rested too long is not said again");
}

#[tokio::test]
async fn without_a_cache_nothing_is_said_again() {
    let Some((site, line)) = Site::behind_a_line().await else { return };
    let ada = site.sign_in("ada").await;
    assert_eq!(ada.get("/api/me").await.status, 200);
    line.cut();
    assert_eq!(ada.get("/api/me").await.status, 503);
}

/// More than wait at the most: 4,096 in the queue, and one batch that is under way.
const TOO_MANY: usize = 6_000;

#[tokio::test]
async fn too_many_at_once_are_told_so_quickly_and_nothing_stays_behind() {
    let Some((site, line)) = Site::behind_a_line().await else { return };
    let ada = site.sign_in("ada").await;
    assert_eq!(ada.get("/api/me").await.status, 200);
    line.freeze();
    let mut asking = JoinSet::new();
    for number in 0..TOO_MANY {
        let sessions = site.sessions().clone();
        asking.spawn(async move {
            let asked = Instant::now();
            let answer = sessions.find(&Plain::presented(format!("{number:043}"))).await;
            (answer, asked.elapsed())
        });
    }
    let (mut turned_away, mut late) = (Vec::new(), 0);
    let refused = ada.get("/api/me").await;
    assert_eq!((refused.status, refused.header("retry-after").is_empty()), (503, false), "{refused:#?}");
    while let Some(asked) = asking.join_next().await {
        match asked.expect("no panic") {
            (Err(StoreError::Unavailable(why)), took) if why.contains("too many") => turned_away.push(took),
            (Err(StoreError::Unavailable(_)), _) => late += 1,
            (answer, took) => panic!("{answer:?} after {took:?}"),
        }
    }
    assert!(late <= 4_096 + 2 * 256, "{late} waited");
    assert!(turned_away.len() >= TOO_MANY - 4_096 - 2 * 256, "{} were turned away", turned_away.len());
    turned_away.sort_unstable();
    let median = turned_away[turned_away.len() / 2];
    assert!(median < Duration::from_millis(300), "half of them waited {median:?} to be turned away");
    line.thaw();
    site.until_status(ada.browser(), "/api/me", 200).await;
}
