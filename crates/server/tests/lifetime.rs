//! Starting, stopping, and a page that the program carries.

mod support;

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, TcpListener};
use std::time::{Duration, Instant};

use medsam3_server::{CarriedFile, Options, Page, Server, carried};
use support::{Answer, Served, options, page, write};

#[test]
fn a_port_that_is_taken_is_an_error_and_none_given_finds_another() {
    let root = tempfile::tempdir().unwrap();
    page(root.path());
    let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let mut options = options(root.path());
    options.port = Some(taken.local_addr().unwrap().port());
    let error = Server::bind(&options).err().unwrap();
    assert_eq!(error.code(), "SERVE-PORT");
    options.port = None;
    let (first, second) = (
        Server::bind(&options).unwrap(),
        Server::bind(&options).unwrap(),
    );
    assert!(first.address().port() >= 8080 && first.address() != second.address());
    let url = first.url();
    assert_eq!(url, format!("http://127.0.0.1:{}/", first.address().port()));
    assert!(!first.is_public());
}

#[test]
fn other_machines_are_served_only_where_that_was_asked_for() {
    let root = tempfile::tempdir().unwrap();
    page(root.path());
    let mut options = options(root.path());
    assert!(options.bind.is_loopback());
    options.bind = Ipv4Addr::UNSPECIFIED.into();
    let server = Server::bind(&options).unwrap();
    assert!(server.is_public());
    assert!(
        server.url().starts_with("http://127.0.0.1:"),
        "{}",
        server.url()
    );
    // An address of documentation, which no machine has (RFC 5737).
    options.bind = "192.0.2.1".parse().unwrap();
    assert_eq!(Server::bind(&options).err().unwrap().code(), "SERVE-BIND");
}

#[test]
fn a_folder_that_is_no_page_is_refused_with_the_reason() {
    let root = tempfile::tempdir().unwrap();
    let refused = |name: &str| {
        let error = Server::bind(&options(&root.path().join(name)))
            .err()
            .unwrap();
        (error.code(), error.to_string())
    };
    assert_eq!(refused("absent").0, "SERVE-PAGE");
    write(root.path(), &[("docs/index.html", b"")]);
    let (code, words) = refused("docs");
    assert!(
        code == "SERVE-PAGE" && words.contains("_headers"),
        "{words}"
    );
    write(
        root.path(),
        &[("wrong/_headers", b"/*\n  Content Security Policy\n")],
    );
    let (code, words) = refused("wrong");
    assert!(code == "SERVE-PAGE" && words.contains("line 2"), "{words}");
}

#[test]
fn it_stops_at_once_whoever_is_still_connected() {
    let root = tempfile::tempdir().unwrap();
    page(root.path());
    write(root.path(), &[("large", &vec![7; 64 << 20])]);
    let mut served = Served::folder(root.path());
    // One that has been answered and keeps its connection, one that says nothing, one that does not read on.
    let mut idle = served.connect();
    idle.write_all(b"GET /digits HTTP/1.1\r\nHost: localhost\r\n\r\n")
        .unwrap();
    let mut start = [0; 12];
    idle.read_exact(&mut start).unwrap();
    assert_eq!(&start, b"HTTP/1.1 200");
    let _silent = served.connect();
    let mut stuck = served.connect();
    stuck
        .write_all(b"GET /large HTTP/1.1\r\nHost: localhost\r\n\r\n")
        .unwrap();
    stuck.read_exact(&mut start).unwrap();
    let asked = Instant::now();
    served.stop().unwrap();
    assert!(
        asked.elapsed() < Duration::from_secs(4),
        "{:?}",
        asked.elapsed()
    );
}

#[test]
fn a_download_that_is_read_on_is_finished_before_it_stops() {
    let root = tempfile::tempdir().unwrap();
    page(root.path());
    let bytes = vec![7; 8 << 20];
    write(root.path(), &[("large", &bytes)]);
    let mut served = Served::folder(root.path());
    let mut stream = served.connect();
    stream
        .write_all(b"GET /large HTTP/1.1\r\nHost: localhost\r\n\r\n")
        .unwrap();
    let mut answer = vec![0; 12];
    stream.read_exact(&mut answer).unwrap();
    let rest = std::thread::spawn(move || {
        stream.read_to_end(&mut answer).unwrap();
        answer
    });
    served.stop().unwrap();
    assert!(Answer::read(&rest.join().unwrap()).body == bytes);
}

static CARRIED: [CarriedFile; 4] = [
    CarriedFile {
        path: "_headers",
        modified: (1_700_000_000, 0),
        bytes: b"/*\n  X-Common: yes\n",
    },
    CarriedFile {
        path: "app/main.js",
        modified: (1_700_000_000, 5),
        bytes: b"script()",
    },
    CarriedFile {
        path: "app/main.js.br",
        modified: (1_700_000_001, 0),
        bytes: b"BR",
    },
    CarriedFile {
        path: "index.html",
        modified: (1_700_000_000, 0),
        bytes: b"<p>here</p>",
    },
];

#[test]
fn a_page_that_the_program_carries_is_served_as_one_on_the_disk() {
    let served = Served::start(&Options {
        port: Some(0),
        ..Options::new(Page::Carried(&CARRIED))
    });
    let index = served.get("/");
    assert_eq!((index.status, index.text()), (200, "<p>here</p>"));
    assert_eq!(index.header("x-common"), "yes");
    // 1.7e9 seconds after 1970, by `date -u -d @1700000000`.
    assert_eq!(
        index.header("last-modified"),
        "Tue, 14 Nov 2023 22:13:20 GMT"
    );
    let tag = index.header("etag").to_owned();
    assert_eq!(served.get_with("/", &[("If-None-Match", &tag)]).status, 304);
    let part = served.get_with("/app/main.js", &[("Range", "bytes=2-4")]);
    assert_eq!((part.status, part.text()), (206, "rip"));
    let compressed = served.get_with("/app/main.js", &[("Accept-Encoding", "br")]);
    assert_eq!(
        (compressed.header("content-encoding"), compressed.text()),
        ("br", "BR")
    );
    for absent in [
        "/app",
        "/_headers",
        "/app/",
        "/absent",
        "/models/index.json",
    ] {
        assert_eq!(served.get(absent).status, 404, "{absent}");
    }
}

#[test]
fn only_a_program_that_was_built_with_a_page_carries_one() {
    let built_with = option_env!("MEDSAM3_PAGE").is_some_and(|page| !page.is_empty());
    assert_eq!(carried().is_some(), built_with);
}
