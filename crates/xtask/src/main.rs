//! `cargo xtask`: set-up and chores, the same on a developer's machine and in CI.
//!
//! `serve` builds the page and serves it, `package` puts it into the program, `test` runs everything and ends with
//! `N passed, N failed, N skipped`, `check` is the quick part of `test`. Each installs what it needs and skips what is
//! already there.

mod adapter;
mod bench;
mod clones;
mod counts;
mod fingerprint;
mod gpu;
mod licences;
mod package;
mod page;
mod process;
mod serve;
mod setup;
mod skips;
mod steps;
mod workspace;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};

use workspace::Workspace;

/// Set-up and chores of the project.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Cli {
    #[command(subcommand)]
    chore: Chore,
}

#[derive(Subcommand)]
enum Chore {
    /// Set up, build the page and serve it; prints the address once it answers
    Serve {
        /// Port on 127.0.0.1; the first free one from 8080 if not given
        #[arg(long)]
        port: Option<u16>,
        /// Do not open a browser
        #[arg(long)]
        no_open: bool,
        /// Offer this model folder (as `medsam3 convert` writes it) to the page; may be given several times
        #[arg(long, value_name = "DIR")]
        model: Vec<PathBuf>,
        /// Accepted for scripts; the page is always an optimised build, since an unoptimised model is too slow to use
        #[arg(long)]
        release: bool,
    },
    /// Build `medsam3` with the page in it: one file that serves everything (`medsam3 serve`)
    Package,
    /// Set up and run every check and test; ends with `N passed, N failed, N skipped`
    Test {
        /// Run one step alone
        #[arg(long, value_name = "NAME", value_parser = steps::names())]
        only: Option<String>,
    },
    /// Formatting, lints and the WebAssembly build of the page's code
    Check,
    /// Measure the model and the page against other programs; one table, and JSON
    Bench(bench::Arguments),
    /// Measure the GPU of this machine in every respect; one table, and JSON; or pack that for another machine
    Gpu(gpu::Arguments),
    /// Install what the other chores need, and nothing else
    Setup,
}

fn main() -> ExitCode {
    match run(Cli::parse().chore) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Whether the chore succeeded; an error is one that kept it from running at all.
fn run(chore: Chore) -> Result<bool> {
    let workspace = Workspace::find()?;
    clones::claim(&workspace)?;
    match chore {
        Chore::Serve {
            port,
            no_open,
            model,
            release: _,
        } => serve::serve(&workspace, port, !no_open, &model),
        Chore::Package => package::package(&workspace),
        Chore::Test { only: Some(name) } => steps::run_all(&workspace, &[name.as_str()]),
        Chore::Test { only: None } => steps::run_all(&workspace, steps::ALL),
        Chore::Check => steps::run_all(&workspace, steps::CHECK),
        Chore::Bench(arguments) => bench::bench(&workspace, &arguments),
        Chore::Gpu(arguments) => gpu::gpu(&workspace, &arguments),
        Chore::Setup => setup::everything(&workspace).map(|()| true),
    }
}
