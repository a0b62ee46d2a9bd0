//! One request, one answer: what may be asked and by whom, which bytes, with which headers. Nothing of a request is
//! kept, and its body is never read.

use std::net::IpAddr;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::header::{
    ACCEPT_ENCODING, ALLOW, CONTENT_TYPE, ETAG, HOST, IF_RANGE, LAST_MODIFIED, RANGE,
};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, Uri};
use axum::response::{IntoResponse as _, Response};
use percent_encoding::percent_decode_str;
use tower_http::services::ServeDir;
use tower_http::services::fs::{Backend as _, DefaultServeDirFallback};

use crate::range::{is_single_range, is_suffix};
use crate::site::Site;

/// Bytes that are read from a file at once.
const CHUNK: usize = 256 << 10;

/// Where a path that is none leads: to the headers of every file, and no more.
const NOWHERE: &str = "/-";

/// What every answer needs.
#[derive(Clone)]
pub struct Answering {
    site: Site,
    files: ServeDir<DefaultServeDirFallback, Site>,
    /// Whether only this machine can ask; then only by a name of this machine.
    loopback: bool,
}

impl Answering {
    pub fn new(site: Site, loopback: bool) -> Self {
        let files = ServeDir::with_backend("", site.clone())
            .redirect_to_trailing_slash(false)
            .precompressed_br()
            .precompressed_gzip()
            .with_buf_chunk_size(CHUNK);
        Self {
            site,
            files,
            loopback,
        }
    }
}

/// Answers.
pub async fn answer(State(answering): State<Answering>, request: Request) -> Response {
    let path = plain_path(request.uri());
    let mut response = match (&path, request.method()) {
        _ if answering.loopback && !names_this_machine(&request) => {
            let words = "This server answers to localhost and 127.0.0.1 only.\n";
            (StatusCode::MISDIRECTED_REQUEST, words).into_response()
        }
        (_, method) if method != Method::GET && method != Method::HEAD => {
            (StatusCode::METHOD_NOT_ALLOWED, [(ALLOW, "GET, HEAD")]).into_response()
        }
        (None, _) => not_found(),
        (Some(path), _) => answering.file(path, request).await,
    };
    if response.status() == StatusCode::NOT_FOUND {
        response = not_found();
    }
    say_utf8(response.headers_mut());
    let path = path.as_deref().unwrap_or(NOWHERE);
    answering.site.headers().set(path, response.headers_mut());
    response
}

impl Answering {
    async fn file(&self, path: &str, request: Request) -> Response {
        // `ServeDir` would answer with a compressed copy of a file that is not there.
        let path = path.trim_start_matches('/').into();
        if self.site.metadata(path).await.is_err() {
            return not_found();
        }
        let (parts, _) = request.into_parts();
        let ask = |headers: HeaderMap| {
            let mut request = Request::new(Body::empty());
            *request.method_mut() = parts.method.clone();
            *request.uri_mut() = parts.uri.clone();
            *request.headers_mut() = headers;
            let mut files = self.files.clone();
            async move {
                match files.try_call(request).await {
                    Ok(response) => response.map(Body::new),
                    Err(_) => not_found(),
                }
            }
        };
        let mut whole = parts.headers;
        let range = whole.remove(RANGE);
        let range = range.filter(|range| range.to_str().is_ok_and(is_single_range));
        let if_range = whole.remove(IF_RANGE);
        let Some(range) = range else {
            return ask(whole).await;
        };
        // A part is one of the file itself, as the model store reckons, and never one of a compressed copy.
        whole.remove(ACCEPT_ENCODING);
        if let Some(if_range) = if_range {
            let unchanged = ask(whole.clone()).await;
            if !still_is(&if_range, unchanged.headers()) {
                return unchanged;
            }
        }
        let mut part = whole.clone();
        part.insert(RANGE, range.clone());
        let response = ask(part).await;
        let longer_than_the_file = response.status() == StatusCode::RANGE_NOT_SATISFIABLE
            && range.to_str().is_ok_and(is_suffix);
        if longer_than_the_file {
            return ask(whole).await;
        }
        response
    }
}

/// Whether the validator of an `If-Range` is the file's: its `ETag`, or its date.
fn still_is(if_range: &HeaderValue, headers: &HeaderMap) -> bool {
    [ETAG, LAST_MODIFIED]
        .iter()
        .any(|name| headers.get(name) == Some(if_range))
}

/// The decoded path, if every part of it is a plain name: each file has one address, so that no other spelling gets
/// it without the headers of its path.
fn plain_path(uri: &Uri) -> Option<String> {
    let path = percent_decode_str(uri.path()).decode_utf8().ok()?;
    let names = path.strip_prefix('/')?;
    let plain = |name: &str| {
        !name.is_empty() && name != "." && name != ".." && !name.contains(['\\', '\0'])
    };
    (names.is_empty() || names.split('/').all(plain)).then(|| path.into_owned())
}

/// Whether the request names this machine, by whatever port. A page elsewhere whose name was pointed at this machine
/// (DNS rebinding) names another.
fn names_this_machine(request: &Request) -> bool {
    let host = request.headers().get(HOST);
    let host = host.and_then(|host| host.to_str().ok());
    let authority = request.uri().host().or(host).unwrap_or_default();
    let name = match authority.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => authority,
    };
    let ip = name.trim_start_matches('[').trim_end_matches(']');
    name.eq_ignore_ascii_case("localhost") || ip.parse().is_ok_and(|ip: IpAddr| ip.is_loopback())
}

/// Everything the page is made of is UTF-8.
fn say_utf8(headers: &mut HeaderMap) {
    let text = |kind: &str| {
        let text = kind.starts_with("text/") || kind == "application/json";
        text && !kind.contains("charset")
    };
    let kind = headers
        .get(CONTENT_TYPE)
        .and_then(|kind| kind.to_str().ok());
    let Some(kind) = kind.filter(|kind| text(kind)) else {
        return;
    };
    if let Ok(kind) = HeaderValue::try_from(format!("{kind}; charset=utf-8")) {
        headers.insert(CONTENT_TYPE, kind);
    }
}

fn not_found() -> Response {
    (StatusCode::NOT_FOUND, "Not found\n").into_response()
}
