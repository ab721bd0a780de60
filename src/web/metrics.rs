//! `/metrics`, which has a listener of its own: what is counted is nobody's business who comes to sign in.

use std::sync::Arc;

use http::{Method, StatusCode};
use poem::{Endpoint, Request, Response};

use crate::metrics;
use crate::web::app::App;

/// Where Prometheus asks.
pub const METRICS: &str = "/metrics";

/// The door of that listener, and there is no other.
pub struct MetricsDoor(Arc<App>);

impl MetricsDoor {
    /// What `app` counts.
    pub const fn new(app: Arc<App>) -> Self {
        Self(app)
    }
}

impl Endpoint for MetricsDoor {
    type Output = Response;

    async fn call(&self, request: Request) -> poem::Result<Response> {
        let answer =
            Response::builder().header("cache-control", "no-store").header("x-content-type-options", "nosniff");
        if request.uri().path() != METRICS {
            let hint = format!("there is nothing here but {METRICS}\n");
            return Ok(answer.status(StatusCode::NOT_FOUND).content_type("text/plain; charset=utf-8").body(hint));
        }
        if !matches!(*request.method(), Method::GET | Method::HEAD) {
            let answer = answer.status(StatusCode::METHOD_NOT_ALLOWED).header("allow", "GET, HEAD");
            return Ok(answer.content_type("text/plain; charset=utf-8").body("ask with GET\n"));
        }
        self.0.measure().await;
        Ok(answer.content_type(metrics::CONTENT_TYPE).body(metrics::text()))
    }
}
