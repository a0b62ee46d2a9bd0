//! Serves the built page and model folders over HTTP/1.1: GET and HEAD of files, whole or by range (RFC 9110), with
//! the response headers of the page's `_headers`. It receives nothing, lists no folder and keeps no log.
//!
//! `medsam3 serve`, `cargo xtask serve` and the browser tests stand on it. tower-http's `ServeDir` does ranges,
//! validators and stored compression; what is here decides which files there are and which headers they get.

mod answer;
mod content;
mod error;
mod header_rules;
mod models;
#[cfg(test)]
mod pack;
mod page;
mod range;
mod server;
mod site;

pub use error::ServeError;
pub use page::{CarriedFile, Page, carried};
pub use server::{Options, Server};
