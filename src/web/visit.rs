//! What is known of a request before anything is done about it: its name, whence it comes, what kind of answer it wants.

use http::{HeaderMap, Method};
use poem::web::RemoteAddr;
use poem::{Addr, Request};

use crate::model::{Actor, Browser, Origin};
use crate::web::app::App;
use crate::web::guard::client_address::{self, Peer};
use crate::web::guard::navigation;
use crate::web::guard::trace::Trace;
use crate::web::paths::{self, Door};

/// One request, as far as every answer needs to know it.
#[derive(Clone, Debug)]
pub struct Visit {
    /// Its name, in the answer, on the page and in the log.
    pub request_id: String,
    /// The trace that it belongs to.
    pub trace: Trace,
    /// The client's address.
    pub address: String,
    /// Whether whoever connected is a proxy that we trust.
    pub is_behind_proxy: bool,
    /// The method as it came, before anything turned a HEAD into a GET.
    pub method: Method,
    /// The path as it came, without the query.
    pub path: String,
    /// The door that it knocks on, if there is one.
    pub door: Option<&'static Door>,
    /// Whether it is about `/api`.
    pub is_api: bool,
    /// Whether an error should be a page.
    pub wants_page: bool,
    /// Whether the answer is shown under the host of an app behind a proxy, not under ours.
    pub is_shown_elsewhere: bool,
}

impl Visit {
    /// Reads `request`.
    pub fn of(app: &App, request: &Request) -> Self {
        let peer = peer(request.remote_addr());
        let path = request.uri().path().to_owned();
        let below = app.paths.below(&path);
        let is_api = below.is_some_and(paths::is_for_programs);
        let is_shown_elsewhere = matches!(below, Some(paths::GATE | paths::OAUTH2_AUTH));
        let door = below.and_then(paths::door);
        let (request_id, is_behind_proxy) = (app.request_id(), client_address::is_trusted(peer, &app.trusted_proxies));
        let taken = if is_behind_proxy { Trace::taken(request.headers()) } else { None };
        Self {
            trace: taken.unwrap_or_else(|| Trace::begun(app.request_id() + &request_id)),
            request_id,
            address: client_address::client_address(peer, request.headers(), &app.trusted_proxies),
            is_behind_proxy,
            method: request.method().clone(),
            door,
            is_api,
            wants_page: !is_api && navigation::wants_html(request.headers()),
            is_shown_elsewhere,
            path,
        }
    }

    /// Where a sign-in comes from.
    pub fn browser(&self, headers: &HeaderMap) -> Browser {
        let user_agent = headers.get(http::header::USER_AGENT).map(|value| value.as_bytes()).unwrap_or_default();
        Browser {
            address: self.address.clone(),
            user_agent: String::from_utf8_lossy(user_agent).into_owned(),
            request_id: self.request_id.clone(),
            traceparent: self.trace.traceparent(&self.request_id),
        }
    }

    /// Where a change comes from that a person asks for.
    pub fn origin(&self) -> Origin {
        Origin { actor: Actor::Person, request_id: self.request_id.clone(), address: self.address.clone() }
    }
}

fn peer(remote: &RemoteAddr) -> Peer {
    match &remote.0 {
        Addr::SocketAddr(address) => Peer::Tcp(address.ip()),
        _ => Peer::Unix,
    }
}
