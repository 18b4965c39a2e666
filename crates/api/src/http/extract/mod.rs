//! How handlers take their input: strictly, with our error shape.
//!
//! Unknown fields and parameters are rejected whatever the type's own attributes say, values of the wrong type come
//! back with the name of their field, and no text with a NUL passes, because PostgreSQL cannot store one.

mod json;
mod path;
mod problem;
mod query;

pub use json::{Json, JsonText, parse_json};
pub use path::Path;
pub use query::{CommaList, Query};
