//! `cargo xtask serve`: set up, build, serve `dist/` with the headers the page is shipped with, say where.

use std::env;
use std::ffi::OsStr;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::page;
use crate::process::say;
use crate::setup;
use crate::workspace::Workspace;

const FIRST_PORT: u16 = 8080;

/// Serves the page, and model folders for it to download, until it is interrupted.
pub fn serve(
    workspace: &Workspace,
    port: Option<u16>,
    open: bool,
    models: &[PathBuf],
) -> Result<bool> {
    let models = models
        .iter()
        .map(|model| model_folder(model))
        .collect::<Result<Vec<_>>>()?;
    setup::toolchain(workspace)?;
    setup::page_tools(workspace)?;
    setup::node_packages(workspace)?;
    page::build(workspace)?;

    let port = match port {
        Some(port) if is_free(port) => port,
        Some(port) => bail!("port {port} is in use: give another one with --port"),
        None => (FIRST_PORT..FIRST_PORT + 100)
            .find(|port| is_free(*port))
            .context("no free port from 8080 on")?,
    };
    let mut server = workspace
        .command("node")
        .args([
            "web/tools/serve.mjs",
            "--root",
            "dist",
            "--port",
            &port.to_string(),
        ])
        .args(
            models
                .iter()
                .flat_map(|model| [OsStr::new("--model"), model.as_os_str()]),
        )
        // It prints its address too, and a moment too early.
        .stdout(Stdio::null())
        .spawn()
        .context("cannot start the server")?;
    let address = format!("http://127.0.0.1:{port}/");
    let answered = wait_until_served(&mut server, port);
    if answered.is_err() {
        // It may have ended by itself already.
        let _ = server.kill();
    }
    answered?;
    println!("The page is at {address} (stop with Ctrl-C)");
    if open {
        open_browser(&address);
    }
    Ok(server.wait()?.success())
}

/// The full path of a model folder, whatever folder the server runs in.
fn model_folder(path: &Path) -> Result<PathBuf> {
    if !path.join("manifest.json").is_file() {
        bail!(
            "{} is not a model folder: it has no manifest.json (`medsam3 convert` writes one)",
            path.display()
        );
    }
    let folder = path.canonicalize()?;
    // It becomes a part of an address, and the name by which the page keeps the model apart from others.
    let plain = |name: &str| {
        !name.starts_with('.')
            && name
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || "._-".contains(c))
    };
    if !folder
        .file_name()
        .and_then(OsStr::to_str)
        .is_some_and(plain)
    {
        bail!(
            "rename {}: the page reads names of letters, digits, '.', '-' and '_'",
            folder.display()
        );
    }
    Ok(folder)
}

fn is_free(port: u16) -> bool {
    TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok()
}

fn wait_until_served(server: &mut Child, port: u16) -> Result<()> {
    let deadline = Instant::now() + Duration::from_secs(20);
    while Instant::now() < deadline {
        if let Some(status) = server.try_wait()? {
            bail!("the server ended at once ({status})");
        }
        if answers(port) {
            return Ok(());
        }
        thread::sleep(Duration::from_millis(50));
    }
    bail!("the server does not answer on port {port}");
}

/// Whether the page itself is answered with 200.
fn answers(port: u16) -> bool {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let Ok(mut stream) = TcpStream::connect_timeout(&address, Duration::from_secs(1)) else {
        return false;
    };
    let request = format!("GET / HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: close\r\n\r\n");
    let mut start = [0; 12];
    let asked = stream
        .set_read_timeout(Some(Duration::from_secs(2)))
        .is_ok()
        && stream.write_all(request.as_bytes()).is_ok();
    asked && stream.read_exact(&mut start).is_ok() && start.starts_with(b"HTTP/1.1 200")
}

fn open_browser(address: &str) {
    let opener = if cfg!(target_os = "macos") {
        "open"
    } else {
        "xdg-open"
    };
    let has_screen = cfg!(target_os = "macos")
        || env::var_os("DISPLAY").is_some()
        || env::var_os("WAYLAND_DISPLAY").is_some();
    let opened = has_screen
        && Command::new(opener)
            .arg(address)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .is_ok();
    if !opened {
        say("no browser was opened: open the address yourself");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one_answer(answer: &'static str) -> u16 {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut request = [0; 256];
            let _ = stream.read(&mut request).unwrap();
            stream.write_all(answer.as_bytes()).unwrap();
        });
        port
    }

    #[test]
    fn only_a_page_that_is_there_counts_as_served() {
        assert!(answers(one_answer("HTTP/1.1 200 OK\r\n\r\n")));
        assert!(!answers(one_answer("HTTP/1.1 404 Not Found\r\n\r\n")));
    }

    #[test]
    fn only_a_model_folder_is_offered() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        let model = root.join("weights/default");
        assert_eq!(model_folder(&model).unwrap(), model.canonicalize().unwrap());
        let error = model_folder(&root.join("docs")).unwrap_err().to_string();
        assert!(error.contains("manifest.json"), "{error}");
    }

    #[test]
    fn a_taken_port_is_not_free() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        assert!(!is_free(listener.local_addr().unwrap().port()));
    }
}
