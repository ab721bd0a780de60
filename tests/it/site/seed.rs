//! Sessions that nobody signed in for, written into a store as a sign-in would: for tests that need more of them than
//! there is time to sign in.

use std::time::Duration;

use doorward::audit;
use doorward::clock::{Clock, ManualClock, Timestamp};
use doorward::config::access::SignUp;
use doorward::credential::Plain;
use doorward::model::{EventKind, Identity, Origin, Session, UserId};
use doorward::random::OsRandom;
use doorward::store::SignIn;

/// What opens a session of the person with `subject` at `issuer` at the moment `then`; and its handle.
pub fn sign_in(issuer: &str, subject: &str, then: Timestamp) -> (Plain, SignIn) {
    let handle = Plain::new(&OsRandom);
    let user_id = UserId::new(subject);
    let identity = Identity {
        provider: "test".to_owned(),
        issuer: issuer.to_owned(),
        subject: subject.to_owned(),
        email: format!("{subject}@example.com"),
        email_verified: true,
        name: None,
        picture: None,
        hosted_domain: None,
    };
    let session = Session {
        handle: handle.hashed(),
        user_id: user_id.clone(),
        created_at: then,
        last_seen_at: then,
        expires_at: then + Duration::from_secs(30 * 24 * 60 * 60),
        proved_at: Some(then),
        address: String::new(),
        user_agent: String::new(),
    };
    let clock = ManualClock::at(then);
    let event = audit::event(&clock as &dyn Clock, EventKind::Login, Some(&user_id), &Origin::operator(), "", "");
    let sign_in = SignIn { identity, session, previous: None, most_sessions: u32::MAX, sign_up: SignUp::Open, event };
    (handle, sign_in)
}
