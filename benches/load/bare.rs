//! The measure of all things: a poem handler that says what Doorward says, and asks nobody.

use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue};
use poem::listener::TcpListener;
use poem::web::Data;
use poem::{EndpointExt, Response, Route, Server, get, handler};

/// The first argument that makes this program the bare handler.
pub const ARGUMENT: &str = "--bare";

struct Answer {
    headers: HeaderMap,
    body: Bytes,
}

impl Answer {
    /// Takes a recorded answer apart. The date and the length are the server's to say.
    fn recorded(file: &str) -> Self {
        let text = std::fs::read_to_string(file).expect("a recorded answer");
        let (head, body) = text.split_once("\r\n\r\n").expect("a head and a body");
        let mut headers = HeaderMap::new();
        for line in head.lines().skip(1) {
            let (name, value) = line.split_once(": ").expect("a header");
            if !["date", "content-length"].contains(&name) {
                let name = HeaderName::try_from(name).expect("a name");
                headers.insert(name, HeaderValue::try_from(value).expect("a value"));
            }
        }
        Self { headers, body: Bytes::from(body.to_owned()) }
    }
}

#[handler]
fn me(answer: Data<&Arc<Answer>>) -> Response {
    let mut response = Response::builder().body(answer.body.clone());
    *response.headers_mut() = answer.headers.clone();
    response
}

/// Says what is recorded in `file` on `port`, until it is killed.
pub fn serve(port: &str, file: &str) {
    let answer = Arc::new(Answer::recorded(file));
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    let doors = Route::new().at("/api/me", get(me)).data(answer);
    let served = runtime.block_on(Server::new(TcpListener::bind(format!("127.0.0.1:{port}"))).run(doors));
    served.expect("a free port");
}
