//! Who may come in is asked again at every use: a block, a deletion and a changed rule are met by sessions and tokens
//! alike, on every instance.

use doorward::config::Config;
use doorward::config::users::OnDelete;
use doorward::model::{Origin, UserId};
use doorward::store::Deleted;

use crate::site::instance::Site;
use crate::site::place::Place;
use crate::site::visitors::{TokenHolder, Visitor};

/// A browser and a program of the same person, both let in at both instances.
async fn visitors(first: &Site, second: &Site, subject: &str) -> (impl Visitor + use<>, TokenHolder) {
    let browser = first.sign_in(subject).await.browser().also_at(&second.url);
    let program = TokenHolder::at(&second.url, &first.token_of(subject).await);
    assert_eq!(browser.get("/api/me").await.status, 200);
    assert_eq!(program.get("/api/me").await.status, 200);
    (browser, program)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_block_is_met_by_another_instance_on_its_next_request() {
    for place in Place::all() {
        let Some(first) = Site::on(place).await else { continue };
        let second = first.second_instance().await;
        let (browser, program) = visitors(&first, &second, "ada").await;
        let (others_browser, others_program) = visitors(&first, &second, "grace").await;
        let blocked = first.users().block(&UserId::new("ada"), &Origin::operator(), "").await.expect("an answer");
        assert!(blocked.is_some_and(|ended| ended.sessions > 0 && ended.tokens > 0), "{blocked:?}");
        assert_eq!(browser.get("/api/me").await.status, 401, "{place:?}");
        assert_eq!(program.get("/api/me").await.status, 401, "{place:?}");
        assert_eq!(others_browser.get("/api/me").await.status, 200);
        assert_eq!(others_program.get("/api/me").await.status, 200);
    }
}

/// A session or a token that a race or a restored backup left behind is judged all the same.
#[tokio::test(flavor = "multi_thread")]
async fn a_session_of_a_blocked_user_that_is_still_there_admits_nobody() {
    for place in Place::all() {
        let Some(first) = Site::on(place).await else { continue };
        let second = first.second_instance().await;
        let (browser, program) = visitors(&first, &second, "ada").await;
        assert_eq!(first.database.execute("update doorward_identities set blocked_at = 1").await, 1);
        assert_eq!(browser.get("/api/me").await.status, 401, "{place:?}");
        assert_eq!(program.get("/api/me").await.status, 401, "{place:?}");
        first.database.execute("update doorward_identities set blocked_at = null").await;
        assert_eq!(browser.get("/api/me").await.status, 200, "{place:?}: it was the block that kept them out");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_rule_holds_for_those_who_are_in_wherever_it_was_read() {
    let block = |config: &mut Config| config.access.blocked = vec!["ada@example.com".to_owned()];
    let list = |config: &mut Config| config.access.emails = vec!["grace@example.com".to_owned()];
    let first = Site::start().await;
    for change in [&block as &dyn Fn(&mut Config), &list] {
        let second = first.second_instance_with(change).await;
        let browser = first.sign_in("ada").await.browser().also_at(&second.url);
        let program = TokenHolder::at(&second.url, &first.token_of("ada").await);
        assert_eq!(browser.get("/api/me").await.status, 401);
        assert_eq!(program.get("/api/me").await.status, 401);
        let grace = first.sign_in("grace").await.browser().also_at(&second.url);
        assert_eq!(grace.get("/api/me").await.status, 200);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_user_is_out_on_every_instance_at_once() {
    for place in Place::all() {
        let Some(first) = Site::on(place).await else { continue };
        let second = first.second_instance_with(|config| config.users.on_delete = OnDelete::Keep).await;
        let (browser, program) = visitors(&first, &second, "ada").await;
        let deleted = first.users().delete(&UserId::new("ada"), &Origin::default()).await;
        assert_eq!(deleted.expect("an answer"), Deleted::Done);
        assert_eq!(browser.get("/api/me").await.status, 401, "{place:?}");
        assert_eq!(program.get("/api/me").await.status, 401, "{place:?}");
    }
}

/// IDN-10: the page names the account, and its way on leads to the provider's chooser and nowhere else.
#[tokio::test]
async fn whoever_is_denied_reads_which_account_it_was_and_can_choose_another() {
    for prompt in [None, Some("select_account".to_owned()), Some("login".to_owned())] {
        let site = Site::start_with(|config| {
            config.access.blocked = vec!["mallory@example.com".to_owned()];
            config.provider.as_mut().expect("a provider").prompt = prompt;
        })
        .await;
        let browser = site.anonymous();
        let request = browser.visit("/login?rd=/reports").await.location();
        let callback = site.authorize(&browser, &request, "mallory").await;
        let denied = browser.visit(callback.as_str()).await;
        assert_eq!(denied.status, 403, "{denied:#?}");
        assert!(denied.body.contains("mallory@example.com") && denied.body.contains("Use another account"));
        assert_eq!(browser.cookie(&site.session_cookie()), None, "a session was opened");
        let way_on = "/login?rd=%2Freports&amp;prompt=select_account";
        let plain = way_on.replace("%2F", "/");
        assert!(denied.body.contains(way_on) || denied.body.contains(&plain), "{}", denied.body);
        let again = browser.visit("/login?rd=/reports&prompt=select_account").await.location();
        let asked = again.query_pairs().find(|(name, _)| name == "prompt").expect("a prompt").1.into_owned();
        assert!(asked.split(' ').any(|word| word == "select_account"), "{asked}");
        let events = site.audit().of(&UserId::new("mallory"), 9).await.expect("an answer");
        assert_eq!(events.len(), 1, "one event for each refusal: {events:#?}");
        assert_eq!(events[0].event.reason, "on_the_blocked_list");
        assert!(!events[0].event.origin.request_id.is_empty() && !events[0].event.origin.address.is_empty());
    }
}
