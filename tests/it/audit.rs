//! What is recorded of sign-ins and refusals, and that nothing in it is more than text.

use std::sync::Arc;
use std::time::Duration;

use doorward::access::Access;
use doorward::audit;
use doorward::config::access::Access as Rules;
use doorward::model::{Actor, Browser, Event, EventKind, Origin, UserId};
use doorward::store::{EventFilter, Refusal, StoreError};
use reqwest::Method;

use crate::site::databases::Database;
use crate::site::desk::Desk;
use crate::site::instance::Site;
use crate::site::log::Log;
use crate::site::place::Place;
use crate::site::visitors::{SAME_ORIGIN, Visitor};
use crate::store::{ADA, NOW, clock, event, first_sign_in, on_every_database, opened, ready};

on_every_database!(suite:
    events_are_listed_by_user_kind_and_time_the_newest_first,
    every_event_comes_back_as_it_was_given,
    the_sweep_takes_what_is_too_old_and_no_more_than_it_may,
    a_sign_in_that_is_undone_leaves_no_event,
);

mod suite {
    use super::*;

    pub async fn events_are_listed_by_user_kind_and_time_the_newest_first(database: Database) {
        let store = ready(&database).await;
        for number in 0..6_u64 {
            let at = NOW + Duration::from_secs(number * 60);
            let kind = if number % 2 == 0 { EventKind::Login } else { EventKind::Logout };
            let subject = if number < 3 { "one" } else { "two" };
            store.record(&Event { at, ..event(kind, subject) }).await.expect("recorded");
        }
        let list = |filter: EventFilter, limit| {
            let store = Arc::clone(&store);
            async move {
                let events = store.events(&filter, limit).await.expect("an answer");
                let minutes = events.iter().map(|one| one.event.at.since(NOW).as_secs() / 60).collect::<Vec<_>>();
                (minutes, events.last().map(|one| one.number))
            }
        };
        let all = EventFilter::default();
        let (minutes, last) = list(all.clone(), 4).await;
        assert_eq!(minutes, [5, 4, 3, 2]);
        assert_eq!(list(EventFilter { before: last, ..all.clone() }, 4).await.0, [1, 0], "the next page");
        let user = Some(UserId::new("two"));
        assert_eq!(list(EventFilter { user: user.clone(), ..all.clone() }, 9).await.0, [5, 4, 3]);
        let kind = Some(EventKind::Login);
        assert_eq!(list(EventFilter { user, kind, ..all.clone() }, 9).await.0, [4]);
        let since = Some(NOW + Duration::from_secs(180));
        assert_eq!(list(EventFilter { since, ..all.clone() }, 9).await.0, [5, 4, 3]);
        assert_eq!(list(EventFilter { user: Some(UserId::new("TWO")), ..all }, 9).await.0, [0; 0], "case counts");
    }

    pub async fn every_event_comes_back_as_it_was_given(database: Database) {
        let store = ready(&database).await;
        let hostile = "x'; drop table users; -- \\ \" % _ 🦊 é";
        let origin =
            Origin { actor: Actor::Operator, request_id: "5eaf00d".to_owned(), address: "2001:db8::7".to_owned() };
        for kind in EventKind::ALL {
            let given = audit::event(&*clock(), kind, Some(&UserId::new(hostile)), &origin, "a_reason", hostile);
            store.record(&given).await.expect("recorded");
            let found = store.events(&EventFilter::default(), 1).await.expect("an answer");
            assert_eq!(found[0].event, given);
        }
        let nobodys = audit::event(&*clock(), EventKind::Logout, None, &Origin::default(), "", "");
        store.record(&nobodys).await.expect("recorded");
        assert_eq!(store.events(&EventFilter::default(), 1).await.expect("an answer")[0].event, nobodys);
        // The longest that an event can hold fits into the columns, four bytes a character.
        let long = "🦊".repeat(2000);
        let origin = Origin { address: long.clone(), ..origin };
        let longest = audit::event(&*clock(), EventKind::Block, Some(&UserId::new(ADA)), &origin, &long, &long);
        store.record(&longest).await.expect("recorded");
        assert_eq!(store.events(&EventFilter::default(), 1).await.expect("an answer")[0].event, longest);
        // What another version has a word for is no error.
        database.run(&["update doorward_audit set kind = 'tea_time'"]).await;
        let events = store.events(&EventFilter::default(), 1).await.expect("an answer");
        assert_eq!(events[0].event.kind, EventKind::Other);
    }

    pub async fn the_sweep_takes_what_is_too_old_and_no_more_than_it_may(database: Database) {
        let store = ready(&database).await;
        for number in 0..5_u64 {
            let at = NOW + Duration::from_secs(number);
            store.record(&Event { at, ..event(EventKind::Login, ADA) }).await.expect("recorded");
        }
        let moment = NOW + Duration::from_secs(3);
        assert_eq!(store.sweep_events(moment, 2).await.expect("an answer"), 2);
        assert_eq!(store.sweep_events(moment, 2).await.expect("an answer"), 1);
        assert_eq!(store.sweep_events(moment, 2).await.expect("an answer"), 0);
        let left = store.events(&EventFilter::default(), 9).await.expect("an answer");
        assert_eq!(left.iter().map(|one| one.event.at.since(NOW).as_secs()).collect::<Vec<_>>(), [4, 3]);
    }

    pub async fn a_sign_in_that_is_undone_leaves_no_event(database: Database) {
        let store = ready(&database).await;
        opened(&store, &first_sign_in(ADA, 1)).await;
        // The same handle twice cannot be: the whole sign-in is undone.
        assert!(store.sign_in(&first_sign_in(ADA, 1)).await.is_err());
        assert_eq!(store.events(&EventFilter::default(), 9).await.expect("an answer").len(), 1);
    }
}

fn browser() -> Browser {
    Browser {
        address: "192.0.2.7".to_owned(),
        user_agent: "Mozilla".to_owned(),
        request_id: "5eaf00d".to_owned(),
        ..Browser::default()
    }
}

/// AUD-01: a sign-in is one event, with whom it is about, whence it came and under which request.
#[tokio::test]
async fn a_sign_in_is_recorded_with_its_request_and_session() {
    let desk = Desk::open().await;
    let (begun, answer) = desk.approved().await;
    let finished = desk.login.finish(answer, vec![begun.pending], browser(), None).await.expect("an honest provider");
    let events = desk.store.events();
    let [event] = events.as_slice() else { panic!("{events:#?}") };
    assert_eq!((event.kind, event.user_id.as_ref()), (EventKind::Login, Some(&finished.user.id)));
    assert_eq!((event.origin.request_id.as_str(), event.origin.address.as_str()), ("5eaf00d", "192.0.2.7"));
    assert_eq!(event.detail, finished.session.hashed().short());
}

/// The words of `access explain`, of the log and of the record are the same.
#[tokio::test]
async fn a_refusal_is_recorded_with_the_words_that_explain_and_log_use() {
    let log = Log::default();
    let _kept = log.keep();
    let rules = Rules { emails: vec!["grace@example.com".to_owned()], ..Rules::default() };
    let desk = Desk::open_with(|config, _| config.access = rules.clone()).await;
    let (begun, answer) = desk.approved().await;
    log.take();
    desk.login.finish(answer, vec![begun.pending], browser(), None).await.expect_err("not on the list");
    let events = desk.store.events();
    let [event] = events.as_slice() else { panic!("{events:#?}") };
    assert_eq!((event.kind, event.reason.as_str()), (EventKind::Refusal, "not_on_the_list"));
    assert!(event.user_id.is_some() && event.origin.request_id == "5eaf00d", "{event:?}");
    let email = desk.provider.script().person["email"].as_str().expect("an address").to_owned();
    assert_eq!(event.detail, format!("{email} is not listed in access.emails"));
    let text = log.take();
    let line = text.lines().find(|line| line.contains("a sign-in failed")).expect("a line");
    assert!(line.contains(&event.detail) && line.contains("refusal") && line.contains("not_on_the_list"), "{line}");
    let identity = doorward::model::Identity {
        provider: String::new(),
        issuer: String::new(),
        subject: String::new(),
        email,
        email_verified: true,
        name: None,
        picture: None,
        hosted_domain: None,
    };
    assert_eq!(Access::new(rules).explain(&identity), event.detail);
}

#[tokio::test]
async fn a_blocked_person_who_tries_is_recorded() {
    let desk = Desk::open().await;
    desk.store.refuse(Refusal::Blocked);
    desk.sign_in().await.expect_err("blocked");
    let events = desk.store.events();
    let [event] = events.as_slice() else { panic!("{events:#?}") };
    assert_eq!((event.kind, event.reason.as_str()), (EventKind::Refusal, "blocked"));
}

/// Strangers write nothing into the store: only whom a provider vouched for is recorded.
#[tokio::test]
async fn attempts_of_nobody_in_particular_are_in_the_log_alone() {
    let desk = Desk::open().await;
    let (begun, answer) = desk.approved().await;
    desk.login.finish(answer, Vec::new(), browser(), None).await.expect_err("no pending login");
    let (_, other) = desk.approved().await;
    desk.finish(other, &begun).await.expect_err("another's state");
    assert_eq!(desk.store.events(), []);
}

/// A record that cannot be written undoes nothing and is told of.
#[tokio::test]
async fn an_event_that_cannot_be_kept_is_a_line_in_the_log() {
    let log = Log::default();
    let _kept = log.keep();
    let desk = Desk::open().await;
    desk.store.fail(Some(StoreError::Unavailable("it is away".to_owned())));
    let store = Arc::clone(&desk.store) as doorward::store::SharedStore;
    let record = audit::Audit::new(store, clock(), &doorward::config::audit::Audit::default());
    let hostile = "a\r\nINFO doorward: signed in\u{1b}[2J\u{202e}";
    let origin = Origin { address: hostile.to_owned(), ..Origin::default() };
    record.record(&record.event(EventKind::Logout, None, &origin, hostile, hostile)).await;
    let text = log.take();
    let lines: Vec<_> = text.lines().collect();
    assert!(lines.iter().any(|line| line.contains("signed out") && line.contains("logout")), "{text}");
    assert!(lines.iter().any(|line| line.contains("WARN") && line.contains("log alone")), "{text}");
    assert!(!text.contains(['\u{1b}', '\r', '\u{202e}']), "{text:?}");
    assert!(!lines.iter().any(|line| line.starts_with("INFO")), "a line was forged: {text}");
}

/// AUD-01: what a person does to their own access is one event each, with the number of its request and the address.
#[tokio::test(flavor = "multi_thread")]
async fn what_people_do_to_their_own_access_is_recorded_once() {
    for place in Place::all() {
        let Some(site) = Site::on(place).await else { continue };
        let (first, second) = (site.sign_in("ada").await, site.sign_in("ada").await);
        let third = site.sign_in("ada").await;
        let events = |limit| {
            let audit = site.audit().clone();
            async move { audit.of(&UserId::new("ada"), limit).await.expect("an answer") }
        };
        let newest = || async { events(1).await.remove(0).event };
        assert_eq!(events(9).await.len(), 3, "{place:?}: three sign-ins");

        let made = first.submit("/account/tokens", &[("name", "Laptop"), ("scope", "me"), ("days", "30")]).await;
        assert_eq!(made.status, 200, "{made:#?}");
        let event = newest().await;
        assert_eq!((event.kind, event.origin.actor), (EventKind::TokenCreated, Actor::Person), "{event:?}");
        assert_eq!(event.origin.request_id, made.header("x-request-id"), "{place:?}");
        assert!(!event.origin.address.is_empty());
        let id = event.detail;

        let revoked = first.ask(Method::DELETE, &format!("/api/tokens/{id}"), SAME_ORIGIN).await;
        assert_eq!(revoked.status, 204, "{revoked:#?}");
        let event = newest().await;
        assert_eq!((event.kind, event.detail), (EventKind::TokenRevoked, id));

        let others = second.ask(Method::DELETE, "/api/sessions?keep=current", SAME_ORIGIN).await;
        assert_eq!(others.status, 200, "{others:#?}");
        let event = newest().await;
        assert_eq!((event.kind, event.detail.as_str()), (EventKind::SessionRevoked, "all others"));
        assert_eq!((first.get("/api/me").await.status, third.get("/api/me").await.status), (401, 401));
        // Nothing was ended, so nothing is recorded.
        second.ask(Method::DELETE, "/api/sessions?keep=current", SAME_ORIGIN).await;
        assert_eq!(events(99).await.len(), 6);

        let out = second.ask(Method::POST, "/logout", SAME_ORIGIN).await;
        assert_eq!(out.status, 303, "{out:#?}");
        let event = newest().await;
        assert_eq!((event.kind, event.origin.request_id.as_str()), (EventKind::Logout, out.header("x-request-id")));
        second.ask(Method::POST, "/logout", SAME_ORIGIN).await;
        assert_eq!(events(99).await.len(), 7, "{place:?}: whoever is out is not out again");
    }
}
