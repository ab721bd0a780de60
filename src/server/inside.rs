//! What lies behind the listeners and can be changed while they listen: the front door, and the certificate.
//!
//! A request is answered by whichever was there when it came; a connection that is open keeps its certificate.

use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};
use std::time::Duration;

use poem::{Endpoint, Request, Response};
use tokio_rustls::TlsAcceptor;

use crate::metrics;
use crate::server::tls::Certificate;
use crate::web::FrontDoor;
use crate::web::app::App;

/// What is in force.
pub struct Inside {
    now: RwLock<Now>,
    body_patience: Duration,
}

struct Now {
    app: Arc<App>,
    door: Arc<FrontDoor>,
    tls: Option<TlsAcceptor>,
}

impl Inside {
    /// The door to `app`, which waits so long for bodies, behind `certificate`.
    pub fn new(app: Arc<App>, certificate: Option<&Certificate>, body_patience: Duration) -> Self {
        Self { now: RwLock::new(Now::new(app, certificate, body_patience)), body_patience }
    }

    /// The same for `app` and `certificate` from now on.
    pub fn change(&self, app: Arc<App>, certificate: Option<&Certificate>) {
        let next = Now::new(app, certificate, self.body_patience);
        *self.now.write().unwrap_or_else(PoisonError::into_inner) = next;
    }

    /// What requests reach now.
    pub fn app(&self) -> Arc<App> {
        Arc::clone(&self.now().app)
    }

    /// How a connection made now is encrypted; `None`: it is not.
    pub fn tls(&self) -> Option<TlsAcceptor> {
        self.now().tls.clone()
    }

    fn now(&self) -> RwLockReadGuard<'_, Now> {
        self.now.read().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Now {
    fn new(app: Arc<App>, certificate: Option<&Certificate>, body_patience: Duration) -> Self {
        let door = Arc::new(FrontDoor::new(Arc::clone(&app)).waiting_for_bodies(body_patience));
        if let Some(ends_at) = certificate.and_then(|certificate| certificate.ends_at) {
            metrics::certificate_ends(ends_at.unix());
        }
        let tls = certificate.map(|certificate| TlsAcceptor::from(Arc::clone(&certificate.config)));
        Self { app, door, tls }
    }
}

impl Endpoint for Inside {
    type Output = Response;

    async fn call(&self, request: Request) -> poem::Result<Response> {
        let door = Arc::clone(&self.now().door);
        door.call(request).await
    }
}
