//! Which files are served, with which headers, to whom.

mod support;

use support::{Answer, Served, options, page, write};

#[test]
fn the_folder_is_served_and_nothing_beside_it() {
    let root = tempfile::tempdir().unwrap();
    page(&root.path().join("page"));
    write(root.path(), &[("secret", b"secret")]);
    #[cfg(unix)]
    std::os::unix::fs::symlink(root.path().join("secret"), root.path().join("page/link")).unwrap();
    let served = Served::folder(&root.path().join("page"));

    let index = served.get("/");
    assert_eq!((index.status, index.text()), (200, "<p>here</p>"));
    assert_eq!(index.header("x-common"), "yes");
    assert_eq!(index.header("content-type"), "text/html; charset=utf-8");
    assert_eq!(served.get("/index.html").text(), "<p>here</p>");
    assert_eq!(served.get("/?backend=cpu").text(), "<p>here</p>");
    for absent in [
        "/link",
        "/absent",
        "/_headers",
        "/../secret",
        "/..%2fsecret",
        "/%2e%2e/secret",
        "/app/..%5c..%5csecret",
        "/%00",
        "/%",
        "/%ff",
        "/digits/",
        "/index.html/x",
    ] {
        let answer = served.get(absent);
        assert_eq!(
            (answer.status, answer.text()),
            (404, "Not found\n"),
            "{absent}"
        );
        assert_eq!(answer.header("x-common"), "yes", "{absent}");
    }
}

#[test]
fn a_folder_is_not_listed() {
    let root = tempfile::tempdir().unwrap();
    page(root.path());
    let served = Served::folder(root.path());
    for folder in ["/app", "/app/", "/samples", "/samples/", "//"] {
        let answer = served.get(folder);
        assert_eq!(
            (answer.status, answer.text()),
            (404, "Not found\n"),
            "{folder}"
        );
    }
}

#[test]
fn nothing_is_received() {
    let root = tempfile::tempdir().unwrap();
    page(root.path());
    let served = Served::folder(root.path());
    for method in ["POST", "PUT", "DELETE", "OPTIONS", "PATCH"] {
        let answer = served.ask(method, "/", &[("Content-Length", "0")]);
        assert_eq!(
            (answer.status, answer.header("allow")),
            (405, "GET, HEAD"),
            "{method}"
        );
    }
}

#[test]
fn each_kind_of_file_says_what_it_is() {
    let root = tempfile::tempdir().unwrap();
    page(root.path());
    let served = Served::folder(root.path());
    for (path, kind) in [
        ("/app/main.js", "text/javascript; charset=utf-8"),
        ("/engine_bg.wasm", "application/wasm"),
        ("/samples/index.json", "application/json; charset=utf-8"),
        ("/digits", "application/octet-stream"),
    ] {
        assert_eq!(served.get(path).header("content-type"), kind, "{path}");
    }
}

#[test]
fn a_file_has_one_address_and_its_headers_there() {
    let root = tempfile::tempdir().unwrap();
    page(root.path());
    let served = Served::folder(root.path());
    let policy = |path: &str| {
        let answer = served.get(path);
        (
            answer.status,
            answer.header("content-security-policy").to_owned(),
        )
    };
    let own = "connect-src 'none'".to_owned();
    assert_eq!(policy("/app/worker.js"), (200, own.clone()));
    assert_eq!(policy("/app/%77orker.js"), (200, own.clone()));
    assert_eq!(policy("/app/worker.js?x"), (200, own));
    assert_eq!(policy("/app/main.js"), (200, String::new()));
    for other in [
        "/app//worker.js",
        "//app/worker.js",
        "/./app/worker.js",
        "/app/worker.js/",
    ] {
        assert_eq!(policy(other).0, 404, "{other}");
    }
}

#[test]
fn a_head_is_the_answer_without_its_body() {
    let root = tempfile::tempdir().unwrap();
    page(root.path());
    let served = Served::folder(root.path());
    let head = served.ask("HEAD", "/digits", &[]);
    assert_eq!((head.status, head.body.len()), (200, 0));
    assert_eq!(head.header("content-length"), "10");
    assert_eq!(head.header("x-common"), "yes");
    assert_eq!(head.header("etag"), served.get("/digits").header("etag"));
}

#[test]
fn what_has_not_changed_is_not_sent_again() {
    let root = tempfile::tempdir().unwrap();
    page(root.path());
    let served = Served::folder(root.path());
    let first = served.get("/digits");
    let tag = first.header("etag").to_owned();
    assert!(tag.starts_with('"'), "a strong validator, {tag}");
    let again = served.get_with("/digits", &[("If-None-Match", &tag)]);
    assert_eq!((again.status, again.body.len()), (304, 0));
    assert_eq!(again.header("x-common"), "yes");
    let date = first.header("last-modified").to_owned();
    let since = served.get_with("/digits", &[("If-Modified-Since", &date)]);
    assert_eq!(since.status, 304);
    write(root.path(), &[("digits", b"9876543210+")]);
    let changed = served.get_with("/digits", &[("If-None-Match", &tag)]);
    assert_eq!((changed.status, changed.text()), (200, "9876543210+"));
}

#[test]
fn a_loopback_server_answers_to_names_of_this_machine_alone() {
    let root = tempfile::tempdir().unwrap();
    page(root.path());
    let served = Served::folder(root.path());
    let status = |host: &str| served.get_with("/", &[("Host", host)]).status;
    for own in [
        "localhost",
        "LOCALHOST:8080",
        "127.0.0.1",
        "127.0.0.1:99",
        "[::1]",
        "[::1]:80",
    ] {
        assert_eq!(status(own), 200, "{own}");
    }
    for other in [
        "attacker.example",
        "attacker.example:8080",
        "localhost.attacker.example",
        "127.0.0.1.attacker.example",
        "192.168.0.7",
        "",
    ] {
        let refused = served.get_with("/", &[("Host", other)]);
        assert_eq!(
            (refused.status, refused.header("x-common")),
            (421, "yes"),
            "{other}"
        );
    }
    let without = Answer::read(&served.raw(b"GET / HTTP/1.0\r\n\r\n"));
    assert_eq!(without.status, 421);
    let absolute =
        b"GET http://attacker.example/ HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    assert_eq!(Answer::read(&served.raw(absolute)).status, 421);
}

#[test]
fn a_server_for_other_machines_answers_to_any_name() {
    let root = tempfile::tempdir().unwrap();
    page(root.path());
    let mut options = options(root.path());
    options.bind = "0.0.0.0".parse().unwrap();
    let mut served = Served::start(&options);
    served.address.set_ip("127.0.0.1".parse().unwrap());
    assert_eq!(
        served.get_with("/", &[("Host", "ward.example")]).status,
        200
    );
}

#[test]
fn one_connection_carries_several_requests() {
    let root = tempfile::tempdir().unwrap();
    page(root.path());
    let served = Served::folder(root.path());
    let two = b"GET /digits HTTP/1.1\r\nHost: localhost\r\n\r\n\
        GET /app/main.js HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    let answers = String::from_utf8(served.raw(two)).unwrap();
    assert_eq!(answers.matches("HTTP/1.1 200").count(), 2);
    assert!(answers.contains("0123456789") && answers.ends_with("script()"));
}
