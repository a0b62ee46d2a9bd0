//! A server in a thread, and requests written byte by byte: clients of libraries would tidy up what is to be tested.

// Each test program uses a part of it.
#![allow(dead_code, reason = "shared by several test programs")]

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;
use std::{fs, thread};

use medsam3_server::{Options, Page, ServeError, Server};

/// A server that stops when it is dropped.
pub struct Served {
    pub address: SocketAddr,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<Result<(), ServeError>>>,
}

impl Served {
    pub fn start(options: &Options) -> Self {
        let server = Server::bind(options).unwrap();
        let address = server.address();
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = thread::spawn(move || server.run_until(|| stopped.load(Ordering::Relaxed)));
        Self {
            address,
            stop,
            thread: Some(thread),
        }
    }

    /// A folder on any free port of loopback.
    pub fn folder(folder: &Path) -> Self {
        Self::start(&options(folder))
    }

    /// Stops it and waits for its end.
    pub fn stop(&mut self) -> Result<(), ServeError> {
        self.stop.store(true, Ordering::Relaxed);
        self.thread
            .take()
            .map_or(Ok(()), |thread| thread.join().unwrap())
    }

    pub fn get(&self, path: &str) -> Answer {
        self.get_with(path, &[])
    }

    pub fn get_with(&self, path: &str, headers: &[(&str, &str)]) -> Answer {
        self.ask("GET", path, headers)
    }

    /// One request on a connection of its own.
    pub fn ask(&self, method: &str, path: &str, headers: &[(&str, &str)]) -> Answer {
        let mut request = format!("{method} {path} HTTP/1.1\r\nConnection: close\r\n");
        if !headers.iter().any(|(name, _)| *name == "Host") {
            request.push_str("Host: localhost\r\n");
        }
        for (name, value) in headers {
            request.push_str(&format!("{name}: {value}\r\n"));
        }
        request.push_str("\r\n");
        Answer::read(&self.raw(request.as_bytes()))
    }

    /// What is answered until the server closes the connection.
    pub fn raw(&self, request: &[u8]) -> Vec<u8> {
        let mut stream = self.connect();
        stream.write_all(request).unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).unwrap();
        answer
    }

    pub fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address).unwrap();
        let limit = Some(Duration::from_secs(20));
        stream.set_read_timeout(limit).unwrap();
        stream
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        // A test that has failed already is not to end in a second panic.
        let _ = self.stop();
    }
}

/// An answer taken apart.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Answer {
    pub fn read(bytes: &[u8]) -> Self {
        let end = bytes
            .windows(4)
            .position(|four| four == b"\r\n\r\n")
            .unwrap();
        let head = String::from_utf8(bytes[..end].to_vec()).unwrap();
        let mut lines = head.split("\r\n");
        let status = lines.next().unwrap().split(' ').nth(1).unwrap();
        let headers = lines.map(|line| {
            let (name, value) = line.split_once(": ").unwrap();
            (name.to_ascii_lowercase(), value.to_owned())
        });
        Self {
            status: status.parse().unwrap(),
            headers: headers.collect(),
            body: bytes[end + 4..].to_vec(),
        }
    }

    pub fn header(&self, name: &str) -> &str {
        let found = self.headers.iter().find(|(own, _)| own == name);
        found.map_or("", |(_, value)| value)
    }

    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }
}

pub fn options(folder: &Path) -> Options {
    Options {
        port: Some(0),
        ..Options::new(Page::Folder(folder.to_owned()))
    }
}

/// Writes files below a folder.
pub fn write(folder: &Path, files: &[(&str, &[u8])]) {
    for (path, bytes) in files {
        let path = folder.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }
}

/// A small page: its index, a script, a module, a worker with headers of its own.
pub fn page(folder: &Path) {
    let headers =
        "/*\n  X-Common: yes\n/app/worker.js\n  Content-Security-Policy: connect-src 'none'\n";
    write(
        folder,
        &[
            ("_headers", headers.as_bytes()),
            ("index.html", b"<p>here</p>"),
            ("app/main.js", b"script()"),
            ("app/worker.js", b"work()"),
            ("engine_bg.wasm", b"\0asm"),
            ("samples/index.json", b"[]"),
            ("digits", b"0123456789"),
        ],
    );
}
