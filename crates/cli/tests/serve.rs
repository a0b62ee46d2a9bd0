//! `medsam3 serve` as a program: what it prints, what it answers, how it ends. What is served and how has its tests in
//! `crates/server`.

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

use serde_json::Value;

fn medsam3(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_medsam3"));
    command.arg("serve").args(arguments);
    command
}

/// Runs one that is to be refused.
fn refused(arguments: &[&str]) -> (Option<i32>, String) {
    let Output { status, stderr, .. } = medsam3(arguments).output().unwrap();
    (status.code(), String::from_utf8(stderr).unwrap())
}

fn page(folder: &Path) -> &str {
    fs::write(folder.join("_headers"), "/*\n  X-Common: yes\n").unwrap();
    fs::write(folder.join("index.html"), "<p>here</p>").unwrap();
    folder.to_str().unwrap()
}

/// Starts one and reads the line that says where it is.
fn start(arguments: &[&str]) -> (Child, String) {
    let mut command = medsam3(arguments);
    let piped = command.stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child = piped.spawn().unwrap();
    let mut line = String::new();
    let stdout = child.stdout.take().unwrap();
    BufReader::new(stdout).read_line(&mut line).unwrap();
    (child, line)
}

fn get(address: &str, path: &str) -> String {
    let host = address.strip_prefix("http://").unwrap();
    let host = host.strip_suffix('/').unwrap();
    let mut stream = TcpStream::connect(host).unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

#[test]
fn the_page_and_the_models_are_served_at_the_address_that_is_printed() {
    let folder = tempfile::tempdir().unwrap();
    let page = page(folder.path());
    let model = concat!(env!("CARGO_MANIFEST_DIR"), "/../../weights/default");
    let (mut child, line) = start(&[page, "--port", "0", "--json", "--model", model]);
    let said: Value = serde_json::from_str(&line).unwrap();
    assert_eq!(said["models"], serde_json::json!(["default"]));
    assert_eq!(said["public"], false);
    let address = said["address"].as_str().unwrap();
    let answer = get(address, "/");
    assert!(answer.starts_with("HTTP/1.1 200 ") && answer.ends_with("<p>here</p>"));
    assert!(answer.contains("x-common: yes"), "{answer}");
    let answer = get(address, "/models/default/manifest.json");
    assert!(answer.contains("\"format_version\""));
    child.kill().unwrap();
    child.wait().unwrap();
}

#[cfg(unix)]
#[test]
fn a_signal_ends_it_well() {
    let folder = tempfile::tempdir().unwrap();
    let (mut child, line) = start(&[page(folder.path()), "--port", "0"]);
    assert!(
        line.starts_with("The page is at http://127.0.0.1:"),
        "{line}"
    );
    let sent = Command::new("kill")
        .args(["-TERM", &child.id().to_string()])
        .status();
    assert!(sent.unwrap().success());
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

#[test]
fn what_cannot_be_served_says_why_and_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let page = page(folder.path());
    let docs = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs");
    for (arguments, exit, code) in [
        (&[docs][..], 1, "SERVE-PAGE"),
        (&[page, "--model", docs], 1, "SERVE-MODEL"),
        (&[page, "--bind", "192.0.2.1"], 1, "SERVE-BIND"),
        (&[page, "--bind", "everywhere"], 2, "invalid IP address"),
        (&[page, "--port", "70000"], 2, "70000"),
    ] {
        let (found, words) = refused(arguments);
        assert_eq!(found, Some(exit), "{words}");
        assert!(words.contains(code), "{words}");
        assert!(words.lines().count() >= 2, "{words}");
    }
}
