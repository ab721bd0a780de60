//! What a person is told when something goes wrong at the door: what is so, what to do, and a button that does it. Nothing
//! of the request is repeated, and nothing of the cause beyond what the reader can use.

use crate::login::{Failed, LoginError};
use crate::store::{Refusal, StoreError};
use crate::web::error::Fault;
use crate::web::paths::{ACCOUNT, HOME, LOGIN, Paths};

/// What a person is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Told {
    /// The heading.
    pub heading: &'static str,
    /// What is so.
    pub what: &'static str,
    /// What to do.
    pub advice: &'static str,
    /// The button: its words and where it leads.
    pub way_on: (&'static str, String),
}

impl Fault {
    /// What a person is told, with addresses of ours as `paths` write them.
    pub fn told(&self, paths: &Paths) -> Told {
        let home = || ("Go to the start page", paths.to(HOME));
        let told = |heading, what, advice, way_on| Told { heading, what, advice, way_on };
        match self {
            Self::NotFound => told(
                "Page not found",
                "There is no page at this address.",
                "Check the address, or go on from the start page.",
                home(),
            ),
            Self::MethodNotAllowed(_) => told(
                "That does not work here",
                "This address exists, but not for this kind of request.",
                "Go on from the start page. A program reads in the header Allow what it may send.",
                home(),
            ),
            Self::BadToken => told(
                "This token admits nobody",
                "The API token is not known here: it was revoked, its time is over, or part of it is missing.",
                "Make a new one on the page of your account, or with doorward login at a terminal.",
                ("Go to your account", paths.to(ACCOUNT)),
            ),
            Self::NotSignedIn => told(
                "You are not signed in",
                "This can only be seen by somebody who is signed in.",
                "Sign in and try again.",
                ("Sign in", paths.to(LOGIN)),
            ),
            Self::NotANavigation => told(
                "Open this page yourself",
                "A sign-in starts only when a person opens this page, not in the background.",
                "Use the button to start.",
                ("Sign in", paths.to(LOGIN)),
            ),
            Self::NotThroughTheGate { .. } | Self::Closed | Self::Circle(_) => shut_gate(self, paths),
            Self::Ambiguous => told(
                "This request cannot be read",
                "Something in it is missing, is there twice, or is not what belongs there.",
                "Start again from the start page; for programs /api/docs says what belongs there.",
                home(),
            ),
            Self::ScopeTooNarrow | Self::SessionRequired | Self::SignInAgain => too_little(self, paths),
            Self::NoneOfYours => told(
                "Nothing of that name",
                "You have no session or token with this id; perhaps it has ended already.",
                "Look at the list again.",
                ("Go to your account", paths.to(ACCOUNT)),
            ),
            Self::TooManyTokens => told(
                "That is one token too many",
                "You have as many tokens as anybody may have here.",
                "Revoke one that you no longer need; then make the new one.",
                ("Go to your account", paths.to(ACCOUNT)),
            ),
            Self::Held => told(
                "It cannot be deleted here",
                "This site's own data refers to your account and may not be left without it; nothing was changed.",
                "Ask whoever runs the site: its log names what stands in the way.",
                ("Go to your account", paths.to(ACCOUNT)),
            ),
            Self::TooMany(_) => told(
                "Too many attempts",
                "From your network this was asked for so often that it has to pause. Nobody was signed out.",
                "Wait a minute, then try again.",
                home(),
            ),
            Self::TooManyWait => told(
                "Too many wait already",
                "So many terminals wait to be let in, here or at your address, that no more are taken.",
                "Decide about those, or try again in a few minutes.",
                home(),
            ),
            Self::BadValue(why) => {
                told("That cannot be taken", why, "Change it and try again.", ("Go to your account", paths.to(ACCOUNT)))
            }
            Self::WrongKind => told(
                "That cannot be read",
                "The body is of another kind than this address takes.",
                "Send it as application/json, and say so in Content-Type.",
                home(),
            ),
            Self::ForeignOrigin => told(
                "This did not come from our page",
                "Another site, or a program, asked for a change in your name, and it was not made.",
                "If you meant to do it, do it on this site's own page.",
                home(),
            ),
            Self::BodyTooLarge | Self::BodyTooSlow | Self::BodyBroken | Self::UriTooLong => not_taken(self, paths),
            Self::TooBusy => told(
                "Too busy for a moment",
                "More is being sent to this site at once than it can take in.",
                "Nothing was changed; try again in a moment.",
                home(),
            ),
            Self::NoProvider => told(
                "Nobody can sign in yet",
                "This site has no sign-in provider in its configuration.",
                "Whoever runs the site must add one; config.toml.example shows how.",
                home(),
            ),
            Self::Login(failed) => login_told(failed, paths),
            Self::Store(error) => store_told(error, paths),
            Self::LogoutOwed => told(
                "Signed out of this browser only",
                "This browser has forgotten you, but the database could not be told yet.",
                "The sign-out is finished as soon as the database answers; until then do not count on it elsewhere.",
                home(),
            ),
            Self::Page(_) | Self::Defect => told(
                "Something broke here",
                "This is a defect of the site, not of anything you did; nothing was changed.",
                "Try again, and tell whoever runs the site the number below if it stays.",
                ("Try again", paths.to(HOME)),
            ),
        }
    }
}

/// What is told while the database does not do what it is asked.
fn store_told(error: &StoreError, paths: &Paths) -> Told {
    let (heading, what, advice) = match error {
        StoreError::ReadOnly(_) => (
            "Nothing can be changed right now",
            "This site's database takes no changes at the moment; whoever is signed in stays so.",
            "Try again in some minutes. Whoever runs the site finds the reason in its log.",
        ),
        StoreError::Refused(_) => (
            "The database did not take this",
            "This site's database refused what was asked of it; you have not been signed out.",
            "Try again; if it stays, tell whoever runs the site the number below.",
        ),
        StoreError::Schema(_) => (
            "The database is not ready",
            "This site's database cannot be used as it stands; you have not been signed out.",
            "Whoever runs the site finds the reason in its log. Try again later.",
        ),
        StoreError::Unavailable(_) => (
            "One moment, please",
            "This site's database cannot be asked right now; you have not been signed out.",
            "Try again in a few seconds.",
        ),
    };
    Told { heading, what, advice, way_on: ("Try again", paths.to(HOME)) }
}

/// What is told of a request that did not arrive as it should.
fn not_taken(fault: &Fault, paths: &Paths) -> Told {
    let (what, advice) = match fault {
        Fault::UriTooLong => (
            "The address is longer than any that this site has.",
            "Go on from the start page, without what was added to the address.",
        ),
        Fault::BodyTooLarge => {
            ("What was sent is larger than anything this site needs.", "Send less, or go on from the start page.")
        }
        Fault::BodyTooSlow => (
            "What was sent took too long to arrive.",
            "Try again where the connection is better, or go on from the start page.",
        ),
        _ => ("What was sent broke off before its end.", "Try again, or go on from the start page."),
    };
    let way_on = ("Go to the start page", paths.to(HOME));
    Told { heading: "This request cannot be taken", what, advice, way_on }
}

/// What is told to somebody whose credential holds, but not for this.
fn too_little(fault: &Fault, paths: &Paths) -> Told {
    let told = |heading, what, advice, way_on| Told { heading, what, advice, way_on };
    let account = paths.to(ACCOUNT);
    match fault {
        Fault::ScopeTooNarrow => told(
            "This token does not reach as far",
            "The token may show who you are, and no more.",
            "Use a token with the scope account.",
            ("Go to your account", account),
        ),
        Fault::SessionRequired => told(
            "Only you can do this",
            "A token may look and not touch: changes need a person at a browser.",
            "Do it on the page of your account.",
            ("Go to your account", account),
        ),
        _ => told(
            "Please sign in again",
            "Your sign-in lies more than ten minutes back, and this must not be done from a browser that was left open.",
            "Sign in again; you come back to your account.",
            ("Sign in again", paths.fresh_sign_in(ACCOUNT)),
        ),
    }
}

/// What is told to somebody whom an app behind the gate does not let in, or does not see.
fn shut_gate(fault: &Fault, paths: &Paths) -> Told {
    let told = |heading, what, advice, way_on| Told { heading, what, advice, way_on };
    match fault {
        Fault::NotThroughTheGate { return_to, .. } => told(
            "You may not see this",
            "You are signed in, but this page is not open to your account.",
            "Use another account, or ask whoever runs the site.",
            ("Use another account", paths.other_account(return_to.as_ref())),
        ),
        Fault::Circle(return_to) => told(
            "You are signed in, but the app does not see it",
            "The page you came from asks you to sign in although you just did: your browser does not bring it this \
             site's cookie.",
            "If your browser blocks cookies, allow them for this site. If not, whoever runs the site finds in its log \
             what is set up wrong.",
            ("Sign in again", paths.other_account(Some(return_to))),
        ),
        _ => told(
            "This page is not open to anybody",
            "Whoever runs this site has not opened this address.",
            "Check the address, or ask whoever runs the site.",
            ("Go to the start page", paths.to(HOME)),
        ),
    }
}

/// What a person is told whose sign-in failed. The way on keeps where they wanted to go.
fn login_told(failed: &Failed, paths: &Paths) -> Told {
    let again = paths.login(failed.return_to.as_ref());
    let other = paths.other_account(failed.return_to.as_ref());
    let told = |heading, what, advice, way_on| Told { heading, what, advice, way_on };
    match &failed.error {
        LoginError::NoPendingLogin | LoginError::Stale | LoginError::OtherProvider => told(
            "Please sign in again",
            "This sign-in is not known to this browser any more: it was used already, took longer than ten minutes, or \
             was begun elsewhere.",
            "Start again; if that does not help, allow cookies for this site.",
            ("Sign in again", again),
        ),
        LoginError::Incomplete(_) | LoginError::OtherIssuer | LoginError::BadIdToken(_) => told(
            "The answer could not be trusted",
            "What came back from the sign-in provider does not hold, so nobody was signed in.",
            "Start again; if it happens twice, tell whoever runs the site the number below.",
            ("Sign in again", again),
        ),
        LoginError::Declined => told(
            "You did not sign in",
            "The sign-in was cancelled at the provider.",
            "Start again whenever you like.",
            ("Sign in", again),
        ),
        LoginError::ProviderError(_) | LoginError::CodeRefused(_) => told(
            "The provider refused",
            "The sign-in provider did not accept this site's request, so nobody was signed in.",
            "Try again; if it stays, whoever runs the site finds the reason in its log.",
            ("Try again", again),
        ),
        LoginError::ProviderUnavailable(_) => told(
            "The provider is not answering",
            "The sign-in provider cannot be asked right now. Whoever is signed in stays signed in.",
            "Try again in a moment.",
            ("Try again", again),
        ),
        LoginError::NotAskedAgain(_) => told(
            "The provider did not ask you again",
            "This page wants you to show anew who you are, and the sign-in provider let you through without that.",
            "Sign out at the provider, then sign in again.",
            ("Sign in again", paths.fresh_sign_in_for(failed.return_to.as_ref())),
        ),
        LoginError::ClockSkew(_) => told(
            "The clocks do not agree",
            "This site's clock and the provider's are too far apart for a sign-in to be trusted.",
            "Whoever runs the site must set its clock; then try again.",
            ("Try again", again),
        ),
        LoginError::EmailUnverified(_) => told(
            "Your email is not verified",
            "The provider does not vouch that this email address is yours, and this site needs that.",
            "Verify the address with the provider, or use another account.",
            ("Use another account", other),
        ),
        LoginError::EmailMalformed => told(
            "Your email cannot be used",
            "The account has no email address, or one of a form this site cannot trust.",
            "Use another account.",
            ("Use another account", other),
        ),
        LoginError::NotAllowed { .. } => told(
            "You may not come in",
            "You signed in, but this account is not among those that this site lets in.",
            "Use another account, or ask whoever runs the site.",
            ("Use another account", other),
        ),
        LoginError::Refused { refusal, .. } => told(
            "You may not come in",
            refusal_sentence(refusal),
            "Use another account, or ask whoever runs the site; the number below helps them.",
            ("Use another account", other),
        ),
        LoginError::Store(error) => Told { way_on: ("Try again", again), ..Fault::Store(error.clone()).told(paths) },
    }
}

/// Why somebody who proved who they are is refused, without names of tables: the log has those.
fn refusal_sentence(refusal: &Refusal) -> &'static str {
    match refusal {
        Refusal::Blocked => "Whoever runs this site has blocked this account.",
        Refusal::Newcomer { .. } => "This site lets in only people whom it knows already, and not this account.",
        Refusal::SimilarId { .. } | Refusal::Claimed => {
            "This account's number is taken by another one in this site's table of users."
        }
        Refusal::IdTooLong { .. } => "This account's number does not fit into this site's table of users.",
        Refusal::UniqueKey { .. } => {
            "This site's table of users allows each value once, and another row already holds yours, your email most \
             likely."
        }
    }
}
