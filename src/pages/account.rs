//! The pages of somebody's account: what they keep here, the question before it is deleted, the terminal that asks to
//! be let in.

use minijinja::Value;
use serde::Serialize;

use crate::pages::moment::Moment;
use crate::pages::{Html, PageError, Pages};

/// What a person keeps here.
#[derive(Clone, Debug, Serialize)]
pub struct AccountPage<'a> {
    /// Whose it is.
    pub email: &'a str,
    /// What was done just now: "The session has ended."
    pub notice: Option<&'a str>,
    /// Why what was asked for was not done.
    pub refusal: Option<&'a str>,
    /// The browsers, the newest sign-in first.
    pub sessions: &'a [SessionRow],
    /// The tokens, the newest first.
    pub tokens: &'a [TokenRow],
    /// What happened lately, the newest first.
    pub activity: &'a [ActivityRow],
    /// A token that was made just now, shown this once.
    pub made: Option<MadeToken<'a>>,
    /// Whether the sign-in is recent enough for a token to be made.
    pub is_fresh: bool,
    /// Where the links and forms lead.
    pub urls: AccountUrls<'a>,
}

/// Where the links and forms of the account lead.
#[derive(Clone, Debug, Serialize)]
pub struct AccountUrls<'a> {
    /// The profile.
    pub home: &'a str,
    /// Where sessions are ended.
    pub sessions: &'a str,
    /// Where tokens are made and revoked.
    pub tokens: &'a str,
    /// Where a sign-in starts that leads back here.
    pub fresh_sign_in: &'a str,
    /// Everything kept about the person, as a file.
    pub download: &'a str,
    /// The question before the account is deleted.
    pub delete: &'a str,
}

/// A browser that is signed in.
#[derive(Clone, Debug, Serialize)]
pub struct SessionRow {
    /// What the form calls it by.
    pub id: String,
    /// Browser and system in words.
    pub browser: String,
    /// Where the sign-in came from; empty where nobody knows.
    pub address: String,
    /// When the sign-in was.
    pub signed_in: Moment,
    /// When it was last used.
    pub last_seen: Moment,
    /// Whether it is the one that shows this page.
    pub is_current: bool,
}

/// A token.
#[derive(Clone, Debug, Serialize)]
pub struct TokenRow {
    /// What the form calls it by.
    pub id: String,
    /// What the person calls it.
    pub name: String,
    /// What it may be used for.
    pub scope: &'static str,
    /// Its last four characters.
    pub last_four: String,
    /// When it was made.
    pub created: Moment,
    /// When it ends, or when it did.
    pub expires: Moment,
    /// Whether it has ended.
    pub is_expired: bool,
    /// When it was last used.
    pub last_used: Option<Moment>,
}

/// Something that happened.
#[derive(Clone, Debug, Serialize)]
pub struct ActivityRow {
    /// What.
    pub words: &'static str,
    /// From where; empty where nobody knows.
    pub address: String,
    /// When.
    pub at: Moment,
}

/// A token that was made just now.
#[derive(Clone, Debug, Serialize)]
pub struct MadeToken<'a> {
    /// What the person calls it.
    pub name: &'a str,
    /// The token itself.
    pub value: &'a str,
    /// The address to ask with it.
    pub me_url: &'a str,
}

/// "Delete your account?"
#[derive(Clone, Debug, Serialize)]
pub struct DeletePage<'a> {
    /// Whose it is.
    pub email: &'a str,
    /// What becomes of the row in the site's own table, in a sentence.
    pub row: &'a str,
    /// Whether the sign-in is recent enough.
    pub is_fresh: bool,
    /// Where a sign-in starts that leads back here.
    pub fresh_sign_in_url: &'a str,
    /// Where the form posts to.
    pub delete_url: &'a str,
    /// Where "Keep it" leads.
    pub account_url: &'a str,
}

/// The code that a terminal shows is typed here, and what waits under it decided about.
#[derive(Clone, Debug, Serialize)]
pub struct DevicePage<'a> {
    /// As whom the terminal would be signed in.
    pub email: &'a str,
    /// What waits under the code that was typed; `None`: it is to be typed.
    pub waiting: Option<WaitingDevice>,
    /// Why the code was not taken.
    pub refusal: Option<&'a str>,
    /// Whether the sign-in is recent enough.
    pub is_fresh: bool,
    /// Where the forms post to.
    pub device_url: &'a str,
    /// Where a sign-in starts that leads back here.
    pub fresh_sign_in_url: &'a str,
    /// Where "Leave it" leads.
    pub home_url: &'a str,
}

/// A terminal that waits.
#[derive(Clone, Debug, Serialize)]
pub struct WaitingDevice {
    /// The code, as it was typed.
    pub code: String,
    /// What the machine calls itself.
    pub machine: String,
    /// Where it asked from; empty where nobody knows.
    pub address: String,
    /// When it asked.
    pub asked: Moment,
    /// What it wants to see, in words.
    pub scope: &'static str,
}

impl Pages {
    /// What a person keeps here.
    pub fn account(&self, page: &AccountPage<'_>) -> Result<Html, PageError> {
        self.render("account.html", page, Value::UNDEFINED)
    }

    /// The question before an account is deleted.
    pub fn delete(&self, page: &DeletePage<'_>) -> Result<Html, PageError> {
        self.render("delete.html", page, Value::UNDEFINED)
    }

    /// A terminal that asks to be let in.
    pub fn device(&self, page: &DevicePage<'_>) -> Result<Html, PageError> {
        self.render("device.html", page, Value::UNDEFINED)
    }
}
