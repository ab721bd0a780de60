//! `/api/device`: a program asks to be let in, and asks again until its person has decided (RFC 8628).

use std::sync::Arc;

use poem::web::Data;
use poem_openapi::payload::{Form, Json};
use poem_openapi::types::Example;
use poem_openapi::{ApiResponse, Object, OpenApi};
use serde::Deserialize;

use crate::credential::Plain;
use crate::devices::{LIFE, PAUSE, Polled};
use crate::model::{EventKind, Scope};
use crate::web::api::refused::Unheard;
use crate::web::app::App;
use crate::web::error::Fault;
use crate::web::paths;
use crate::web::visit::Visit;

/// What a device asks with (RFC 8628, section 3.4).
pub const GRANT_TYPE: &str = "urn:ietf:params:oauth:grant-type:device_code";

/// A wish to be let in.
#[derive(Clone, Debug, Object, Deserialize)]
#[oai(example)]
pub struct DeviceRequest {
    /// What the program calls itself; every program may ask, and none is told from another by this.
    #[serde(default)]
    pub client_id: Option<String>,
    /// What the token shall be good for: `me` unless `account` is asked for.
    #[serde(default)]
    pub scope: Option<String>,
    /// What the person is told of the machine: letters, digits, `-`, `_`, `.` and blanks, 60 at the most.
    #[serde(default)]
    pub machine: Option<String>,
}

impl Example for DeviceRequest {
    fn example() -> Self {
        let some = |text: &str| Some(text.to_owned());
        Self { client_id: some("doorward"), scope: some("me"), machine: some("laptop") }
    }
}

/// What a program shows its person, and what it asks with.
#[derive(Clone, Debug, Object)]
#[oai(example)]
pub struct DeviceCodes {
    /// What the program asks with whether it may come in. Secret.
    pub device_code: String,
    /// What the person types.
    pub user_code: String,
    /// Where the person types it.
    pub verification_uri: String,
    /// Seconds until both codes end.
    pub expires_in: u64,
    /// Seconds to leave between two questions.
    pub interval: u32,
}

impl Example for DeviceCodes {
    fn example() -> Self {
        Self {
            device_code: "q1v5n2x8c0b7m4k9j6h3g1f5d2s8a0p7o4i9u6y3t1r".to_owned(),
            user_code: "BCDF-GHJK".to_owned(),
            verification_uri: "https://example.com/device".to_owned(),
            expires_in: LIFE.as_secs(),
            interval: PAUSE,
        }
    }
}

/// The question whether a program may come in.
#[derive(Clone, Object, Deserialize)]
#[oai(example)]
pub struct DeviceTokenRequest {
    /// `urn:ietf:params:oauth:grant-type:device_code`
    #[serde(default)]
    pub grant_type: Option<String>,
    /// The program's code.
    #[serde(default)]
    pub device_code: Option<String>,
    /// As in the first request.
    #[serde(default)]
    pub client_id: Option<String>,
}

impl Example for DeviceTokenRequest {
    fn example() -> Self {
        Self {
            grant_type: Some(GRANT_TYPE.to_owned()),
            device_code: Some(DeviceCodes::example().device_code),
            client_id: Some("doorward".to_owned()),
        }
    }
}

/// A token for the program.
#[derive(Clone, Object)]
#[oai(example)]
pub struct DeviceToken {
    /// The API token.
    pub access_token: String,
    /// Always `Bearer`.
    pub token_type: String,
    /// Seconds until it ends.
    pub expires_in: u64,
    /// What it is good for.
    pub scope: String,
}

impl Example for DeviceToken {
    fn example() -> Self {
        Self {
            access_token: "dw_pat_ThisIsOnlyAnExampleAndAdmitsNobodyAnywhere00003x7Qd".to_owned(),
            token_type: "Bearer".to_owned(),
            expires_in: 7_776_000,
            scope: "me".to_owned(),
        }
    }
}

/// Why there is no token (RFC 6749, section 5.2, and RFC 8628, section 3.5).
#[derive(Clone, Debug, Object)]
#[oai(example)]
pub struct OAuthError {
    /// `authorization_pending`, `slow_down`, `access_denied`, `expired_token`, `invalid_grant`, `invalid_request`,
    /// `invalid_scope` or `unsupported_grant_type`.
    pub error: String,
    /// What to do.
    pub error_description: String,
}

impl Example for OAuthError {
    fn example() -> Self {
        refusal("authorization_pending")
    }
}

/// Answers to a wish.
#[derive(ApiResponse)]
#[oai(bad_request_handler = "malformed_wish")]
pub enum DeviceAnswer {
    /// The codes.
    #[oai(status = 200)]
    Codes(Json<DeviceCodes>),
    /// No wish that can be understood.
    #[oai(status = 400)]
    Refused(Json<OAuthError>),
}

/// Answers to the question.
#[derive(ApiResponse)]
#[oai(bad_request_handler = "malformed_question")]
pub enum DeviceTokenAnswer {
    /// The token, given this once.
    #[oai(status = 200)]
    Token(Json<DeviceToken>),
    /// Not yet, or never: `error` says which.
    #[oai(status = 400)]
    Refused(Json<OAuthError>),
}

fn malformed_wish(_: poem::Error) -> DeviceAnswer {
    DeviceAnswer::Refused(Json(refusal("invalid_request")))
}

fn malformed_question(_: poem::Error) -> DeviceTokenAnswer {
    DeviceTokenAnswer::Refused(Json(refusal("invalid_request")))
}

fn refusal(error: &str) -> OAuthError {
    let description = match error {
        "authorization_pending" => "Nobody has decided yet: ask again after the interval.",
        "slow_down" => "You ask too often: leave five seconds more from now on.",
        "access_denied" => "The person said no: begin again only if they ask for it.",
        "expired_token" => "The code is too old: begin again.",
        "invalid_grant" => "There is no such code, or its token was taken already: begin again.",
        "invalid_scope" => "There is no such scope: ask for me or account.",
        "unsupported_grant_type" => "This grant type is not known: send urn:ietf:params:oauth:grant-type:device_code.",
        _ => "Send a form with each parameter at most once; /api/docs lists them.",
    };
    OAuthError { error: error.to_owned(), error_description: description.to_owned() }
}

/// The doors for programs that nobody has let in yet.
pub struct DeviceApi;

#[OpenApi]
impl DeviceApi {
    /// Asks to be let in
    ///
    /// For a program without a browser (RFC 8628, section 3.1): show the person `user_code` and `verification_uri`, and
    /// ask at `/device/token` until they have decided. Anybody may ask; what is asked for is granted by the person.
    #[oai(path = "/device", method = "post", operation_id = "ask_device")]
    async fn ask(
        &self,
        app: Data<&Arc<App>>,
        visit: Data<&Arc<Visit>>,
        wish: Form<DeviceRequest>,
    ) -> Result<DeviceAnswer, Unheard> {
        let scope = wish.scope.as_deref().filter(|word| !word.is_empty()).map_or(Some(Scope::Me), Scope::named);
        let Some(scope) = scope else { return Ok(DeviceAnswer::Refused(Json(refusal("invalid_scope")))) };
        let machine = wish.machine.as_deref().unwrap_or_default();
        let asked = app.devices.ask(machine, &visit.address, scope).await.map_err(Fault::from)?;
        let asked = asked.ok_or(Fault::TooManyWait)?;
        Ok(DeviceAnswer::Codes(Json(DeviceCodes {
            device_code: asked.code.reveal().to_owned(),
            user_code: asked.user_code,
            verification_uri: app.public_url.join(paths::DEVICE),
            expires_in: LIFE.as_secs(),
            interval: PAUSE,
        })))
    }

    /// May I come in?
    ///
    /// Leave `interval` seconds between two questions, and five more after each `slow_down` (RFC 8628, section 3.5).
    #[oai(path = "/device/token", method = "post", operation_id = "poll_device")]
    async fn poll(
        &self,
        app: Data<&Arc<App>>,
        visit: Data<&Arc<Visit>>,
        question: Form<DeviceTokenRequest>,
    ) -> Result<DeviceTokenAnswer, Unheard> {
        let refused = |error: &str| Ok(DeviceTokenAnswer::Refused(Json(refusal(error))));
        let Some(code) = question.0.device_code else { return refused("invalid_request") };
        match question.0.grant_type.as_deref() {
            None => return refused("invalid_request"),
            Some(GRANT_TYPE) => {}
            Some(_) => return refused("unsupported_grant_type"),
        }
        match app.devices.poll(&Plain::presented(code)).await.map_err(Fault::from)? {
            Polled::Pending => refused("authorization_pending"),
            Polled::TooFast => refused("slow_down"),
            Polled::Denied => refused("access_denied"),
            Polled::Full => Ok(DeviceTokenAnswer::Refused(Json(OAuthError {
                error: "access_denied".to_owned(),
                error_description: "The person has as many tokens as anybody may: they revoke one, then begin again."
                    .to_owned(),
            }))),
            Polled::Expired => refused("expired_token"),
            Polled::Unknown => refused("invalid_grant"),
            Polled::Token(value, token) => {
                let detail = format!("{}, {}", token.hash.short(), token.name);
                app.record(EventKind::TokenCreated, &token.user_id, &visit.origin(), &detail).await;
                Ok(DeviceTokenAnswer::Token(Json(DeviceToken {
                    access_token: value.reveal().to_owned(),
                    token_type: "Bearer".to_owned(),
                    expires_in: token.expires_at.since(token.created_at).as_secs(),
                    scope: token.scope.to_string(),
                })))
            }
        }
    }
}
