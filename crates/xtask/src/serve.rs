//! `cargo xtask serve`: set up, build, serve `dist/` with the headers the page is shipped with, say where.

use std::env;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use anyhow::{Result, anyhow};
use medsam3_server::{Options, Page, ServeError, Server};

use crate::page;
use crate::process::say;
use crate::setup;
use crate::workspace::Workspace;

/// Serves the page, and model folders for it to download, until it is interrupted.
pub fn serve(
    workspace: &Workspace,
    port: Option<u16>,
    open: bool,
    models: &[PathBuf],
) -> Result<bool> {
    let options = Options {
        port,
        models: models.to_vec(),
        ..Options::new(Page::Folder(workspace.path("dist")))
    };
    // Before an hour of building.
    options.check_models().map_err(explained)?;
    setup::toolchain(workspace)?;
    setup::page_tools(workspace)?;
    setup::node_packages(workspace)?;
    page::build(workspace)?;

    let server = Server::bind(&options).map_err(explained)?;
    let address = server.url();
    // It listens: a browser that is faster than the next lines waits for its answer.
    println!("The page is at {address} (stop with Ctrl-C)");
    if open {
        open_browser(&address);
    }
    server.run_until(|| false).map_err(explained)?;
    Ok(true)
}

fn explained(error: ServeError) -> anyhow::Error {
    anyhow!("{error}. {}", error.next_step())
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
