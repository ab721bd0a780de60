//! JSON that is written as it is read.

use http::StatusCode;
use poem::{IntoResponse, Response};
use poem_openapi::payload::{Json, Payload};
use poem_openapi::registry::{MetaSchemaRef, Registry};
use poem_openapi::types::Type;
use serde::Serialize;

/// A payload of JSON. The library's own builds a tree of values first and writes that, which for an answer that is given
/// to every request of every program costs more than finding out what to say.
pub struct Written<T>(pub T);

impl<T: Type> Payload for Written<T> {
    const CONTENT_TYPE: &'static str = Json::<T>::CONTENT_TYPE;

    fn check_content_type(content_type: &str) -> bool {
        Json::<T>::check_content_type(content_type)
    }

    fn schema_ref() -> MetaSchemaRef {
        T::schema_ref()
    }

    fn register(registry: &mut Registry) {
        T::register(registry);
    }
}

impl<T: Serialize + Send> IntoResponse for Written<T> {
    fn into_response(self) -> Response {
        match serde_json::to_vec(&self.0) {
            Ok(text) => Response::builder().content_type("application/json; charset=utf-8").body(text),
            // Only keys that are no text, or a writer that fails, stop it; here is neither.
            Err(_) => Response::builder().status(StatusCode::INTERNAL_SERVER_ERROR).finish(),
        }
    }
}
