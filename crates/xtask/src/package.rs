//! `cargo xtask package`: the `medsam3` program with the built page in it, one file to hand on.

use std::fs;

use anyhow::{Context as _, Result};

use crate::process::{run, say};
use crate::workspace::Workspace;
use crate::{page, setup};

/// Builds the page, adds compressed copies of its files, and builds the program around it.
pub fn package(workspace: &Workspace) -> Result<bool> {
    setup::toolchain(workspace)?;
    setup::page_tools(workspace)?;
    setup::node_packages(workspace)?;
    page::build(workspace)?;

    // Not in dist: tests and benchmarks change copies of its files.
    let folder = workspace.target_dir.join("package/page");
    say("compressing the page's files (a minute or two)");
    run(workspace
        .command("node")
        .args(["web/tools/compress.mjs", "dist"])
        .arg(&folder))?;

    say("building medsam3 with the page");
    let words = "build --locked --release --package medsam3-cli";
    run(workspace
        .cargo()
        .args(words.split(' '))
        .env("MEDSAM3_PAGE", &folder))?;
    let name = format!("medsam3{}", std::env::consts::EXE_SUFFIX);
    let program = workspace.target_dir.join("release").join(name);
    let bytes = fs::metadata(&program)
        .with_context(|| format!("{} was not built", program.display()))?
        .len();
    println!("{} ({:.0} MB)", program.display(), bytes as f64 / 1e6);
    Ok(true)
}
