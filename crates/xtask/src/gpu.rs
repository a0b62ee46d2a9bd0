//! `cargo xtask gpu`: everything about the GPU of this machine in one JSON file and one table; with `--pack` as a folder
//! and an archive that do the same on a machine with a driver and nothing else.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail};
use serde_json::Value;

use crate::process::{output, run, say};
use crate::workspace::Workspace;
use crate::{bench, setup};

/// Where to measure and what to write.
#[derive(clap::Args)]
pub struct Arguments {
    /// Folder for report.json and report.md
    #[arg(long, value_name = "DIR", default_value = ".cache/gpu")]
    out: PathBuf,
    /// A Python with PyTorch and transformers, whose times on the same card stand beside ours
    #[arg(long, value_name = "PYTHON")]
    python: Option<PathBuf>,
    /// Measure nothing; make DIR and DIR.tar.xz for a machine without network or toolchain (Linux)
    #[arg(long, value_name = "DIR")]
    pack: Option<PathBuf>,
}

/// The program, the kernels' tests as a program, and what both need beside them.
const MODEL: &str = "weights/default";
const CONFIGS: [&str; 2] = ["configs/default.toml", "configs/before-fundus.toml"];
const PEERS: [&str; 2] = [
    "tests/benchmarks/torch_stages.py",
    "tests/benchmarks/models.py",
];
/// Vulkan's loader, which a machine with a driver alone may lack.
const LOADERS: [&str; 2] = [
    "/usr/lib/x86_64-linux-gnu/libvulkan.so.1",
    "/usr/lib/aarch64-linux-gnu/libvulkan.so.1",
];

/// Measures, or packs.
pub fn gpu(workspace: &Workspace, arguments: &Arguments) -> Result<bool> {
    setup::toolchain(workspace)?;
    let programs = Programs::build(workspace)?;
    if let Some(folder) = &arguments.pack {
        return pack(workspace, &programs, &workspace.root.join(folder));
    }
    let out = workspace.root.join(&arguments.out);
    let mut command = workspace.command(&programs.medsam3.to_string_lossy());
    command
        .args(["bench", "--device", "gpu", "--rounds", "3", "--report"])
        .arg(&out)
        .args(["--training", CONFIGS[0], "--kernel-tests"])
        .arg(&programs.kernel_tests);
    if let Some(python) = &arguments.python {
        command.arg("--peer").arg(python).arg(PEERS[0]);
    }
    run(&mut command)?;
    say(&format!("written to {}", out.display()));
    Ok(true)
}

struct Programs {
    medsam3: PathBuf,
    kernel_tests: PathBuf,
}

impl Programs {
    fn build(workspace: &Workspace) -> Result<Self> {
        let medsam3 = bench::program(workspace)?;
        say("building the kernels' tests");
        let words =
            "test --locked --package medsam3-kernels --test all --no-run --message-format json";
        let messages = output(workspace.cargo().args(words.split(' ')))?;
        let kernel_tests = messages
            .lines()
            .filter_map(|line| serde_json::from_str::<Value>(line).ok())
            .filter(|message| message["target"]["name"] == "all")
            .find_map(|message| message["executable"].as_str().map(PathBuf::from))
            .context("cargo named no program of the kernels' tests")?;
        Ok(Self {
            medsam3,
            kernel_tests,
        })
    }
}

/// Starts everything in the pack's own folder, with the loader that came along where the machine has none.
const RUN: &str = r#"#!/bin/sh
# Measures the GPU of this machine: report/report.md and report/report.json. Needs its Vulkan driver and nothing else.
# "./run.sh PYTHON" sets PyTorch beside it, where that Python has torch and transformers.
cd "$(dirname "$0")" || exit 1
if ! ldconfig -p 2>/dev/null | grep -q libvulkan.so.1; then
  export LD_LIBRARY_PATH="$PWD/lib${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}"
fi
export WGPU_BACKEND="${WGPU_BACKEND:-vulkan}"
peer=""
[ -n "$1" ] && peer="--peer $1 tests/benchmarks/torch_stages.py"
exec ./medsam3 bench --device gpu --rounds 3 --report report --training configs/default.toml \
  --kernel-tests ./kernel-tests $peer
"#;

fn pack(workspace: &Workspace, programs: &Programs, folder: &Path) -> Result<bool> {
    if folder.exists() {
        bail!("{} is there already; name another folder", folder.display());
    }
    let into = |name: &str| -> Result<PathBuf> {
        let path = folder.join(name);
        let parent = path.parent().context("a path in the pack")?;
        fs::create_dir_all(parent).with_context(|| format!("making {}", parent.display()))?;
        Ok(path)
    };
    for (program, name) in [
        (&programs.medsam3, "medsam3"),
        (&programs.kernel_tests, "kernel-tests"),
    ] {
        run(Command::new("strip")
            .arg("-o")
            .arg(into(name)?)
            .arg(program))?;
    }
    let model = fs::read_dir(workspace.path(MODEL))?;
    let model = model.map(|entry| Ok(format!("{MODEL}/{}", entry?.file_name().to_string_lossy())));
    let model = model.collect::<Result<Vec<_>>>()?;
    let others = CONFIGS.iter().chain(&PEERS).map(|name| (*name).to_owned());
    for name in model.into_iter().chain(others) {
        fs::copy(workspace.path(&name), into(&name)?).with_context(|| format!("copying {name}"))?;
    }
    match LOADERS.iter().find(|loader| Path::new(loader).is_file()) {
        Some(loader) => drop(fs::copy(loader, into("lib/libvulkan.so.1")?)?),
        None => say("no Vulkan loader here; the other machine must have its own"),
    }
    let script = into("run.sh")?;
    fs::write(&script, RUN)?;
    run(Command::new("chmod").arg("+x").arg(&script))?;

    let name = folder.file_name().context("the pack's folder has a name")?;
    let archive = folder.with_added_extension("tar.xz");
    say("compressing");
    run(Command::new("tar")
        .arg("-C")
        .arg(folder.parent().unwrap_or(Path::new(".")))
        .args(["-cJf"])
        .arg(&archive)
        .arg(name))?;
    let bytes = fs::metadata(&archive)?.len();
    println!("{} ({:.0} MB)", archive.display(), bytes as f64 / 1e6);
    Ok(true)
}
