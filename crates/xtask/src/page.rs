//! Builds the page into `dist/` with Trunk, unless nothing it is made of has changed.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result};

use crate::fingerprint;
use crate::process::{run, say};
use crate::workspace::Workspace;

/// Everything the page is made of. Crates that only native programs use are not in it.
const INPUTS: [&str; 13] = [
    ".cargo",
    "Cargo.lock",
    "Cargo.toml",
    "crates/engine",
    "crates/imaging",
    "crates/kernels",
    "crates/model",
    "crates/weights",
    "crates/web",
    "public",
    "rust-toolchain.toml",
    "trunk.toml",
    "web",
];

/// Builds the page; says whether there was anything to do.
pub fn build(workspace: &Workspace) -> Result<()> {
    let inputs: Vec<PathBuf> = INPUTS
        .iter()
        .chain(&["weights"])
        .map(|input| workspace.path(input))
        .collect();
    let skip = ["node_modules", "dist", "tests"];
    let now = fingerprint::of(&workspace.root, &inputs, &skip)?;
    // Beside dist, not in it: what is in dist is served.
    let stamp = workspace.path(".cache/page.sha256");
    let built = workspace.path("dist/index.html").is_file();
    if built && fs::read_to_string(&stamp).is_ok_and(|before| before == now) {
        say("the page is up to date");
        return Ok(());
    }
    say("building the page (trunk --config trunk.toml build --release --offline)");
    // Removed first: a build that is broken off must not look like the last good one.
    if stamp.exists() {
        fs::remove_file(&stamp)?;
    }
    // Trunk hands `--offline` on to cargo.
    run(workspace.cargo().args(["fetch", "--locked", "--quiet"]))?;
    let mut trunk = workspace.command("trunk");
    trunk.args([
        "--config",
        "trunk.toml",
        "build",
        "--release",
        "--offline",
        "--locked",
    ]);
    // Trunk reads NO_COLOR as a boolean and stops at "1".
    run(trunk
        .env_remove("NO_COLOR")
        .env("TRUNK_SKIP_VERSION_CHECK", "true"))
    .context("the page did not build")?;
    fs::create_dir_all(workspace.path(".cache"))?;
    fs::write(&stamp, fingerprint::of(&workspace.root, &inputs, &skip)?)?;
    Ok(())
}
