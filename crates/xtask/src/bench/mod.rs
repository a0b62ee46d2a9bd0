//! `cargo xtask bench`: one table and one JSON file of what the model costs, here and in other programs on the same
//! weights. Exact counts first; times only as ratios of runs that took turns, because machines are shared.
//!
//! What is missing (a Python with PyTorch, a browser, a Vulkan driver) is named and left out, never guessed.

mod machine;
mod table;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};
use serde_json::{Map, Value, json};

use crate::process::{output, run, say};
use crate::workspace::Workspace;
use crate::{adapter, page, setup};

const MODEL: &str = "weights/default";
const IMAGE: &str = "public/samples/chest-xray.jpg";
const PROMPT: &str = "lungs";
/// What the exporting and timing scripts import.
const PYTHON_MODULES: &str = "torch, onnx, onnxscript, onnxruntime, tokenizers, safetensors, PIL";

/// What to measure.
#[derive(clap::Args)]
pub struct Arguments {
    /// Rounds of each comparison; medians are given
    #[arg(long, value_name = "N", default_value_t = 3)]
    rounds: usize,
    /// Only the parts named: size, native, browser, kernels, listing
    #[arg(
        long,
        value_name = "PART",
        value_delimiter = ',',
        default_value = "size,native,browser,kernels,listing"
    )]
    parts: Vec<String>,
    /// Where the JSON goes
    #[arg(long, value_name = "FILE", default_value = ".cache/bench.json")]
    out: PathBuf,
}

/// Measures, prints the table, writes the JSON.
pub fn bench(workspace: &Workspace, arguments: &Arguments) -> Result<bool> {
    let wanted = |part: &str| arguments.parts.iter().any(|name| name == part);
    let folder = workspace.path(".cache/bench");
    fs::create_dir_all(&folder)?;
    let mut report = Map::new();
    let mut skipped = Vec::new();
    report.insert("machine".into(), machine::describe(workspace));

    if wanted("size") || wanted("browser") {
        setup::toolchain(workspace)?;
        setup::page_tools(workspace)?;
        setup::node_packages(workspace)?;
        page::build(workspace)?;
    }
    if wanted("size") {
        report.insert("size".into(), size(workspace)?);
    }
    let python = python(workspace);
    if wanted("native") || wanted("browser") {
        match &python {
            Some(python) => export(workspace, python, &folder)?,
            None => skipped.push(format!(
                "ONNX Runtime Web and PyTorch: no Python with {PYTHON_MODULES} (set MEDSAM3_PYTHON)"
            )),
        }
    }
    if wanted("native") {
        report.insert("operations".into(), operations(workspace)?);
        let native = native(
            workspace,
            arguments.rounds,
            python.as_deref(),
            &folder,
            &mut skipped,
        )?;
        report.insert("native".into(), native);
    }
    if wanted("browser") {
        match (python.is_some(), setup::chromium(workspace)) {
            (true, Some(chromium)) => {
                let browser = browser(workspace, arguments.rounds, &chromium, &folder)?;
                report.insert("browser".into(), browser);
            }
            (true, None) => skipped.push("browser: no Chromium".into()),
            (false, _) => {}
        }
    }
    if wanted("kernels") {
        match kernels(workspace)? {
            Some(kernels) => drop(report.insert("kernels".into(), kernels)),
            None => skipped.push("kernels on a GPU: no Vulkan driver".into()),
        }
    }
    if wanted("listing") {
        report.insert("listing".into(), listing(workspace, &folder)?);
    }
    report.insert("skipped".into(), json!(skipped));
    let report = Value::Object(report);
    let out = workspace.root.join(&arguments.out);
    fs::write(&out, serde_json::to_string_pretty(&report)?)
        .with_context(|| format!("cannot write {}", out.display()))?;
    print!("{}", table::render(&report));
    println!("written as JSON to {}", out.display());
    Ok(true)
}

/// Raw and compressed size of the module that the browser downloads.
fn size(workspace: &Workspace) -> Result<Value> {
    let mut node = workspace.command("node");
    json_of(node.args(["web/tools/size.mjs", "dist"]))
}

/// The Python that has what the scripts import.
fn python(workspace: &Workspace) -> Option<String> {
    let chosen = std::env::var("MEDSAM3_PYTHON").unwrap_or_else(|_| "python3".into());
    let imports = format!("import {PYTHON_MODULES}");
    let works = output(workspace.command(&chosen).args(["-c", &imports])).is_ok();
    works.then_some(chosen)
}

/// The default model as ONNX graphs, and the picture that every program looks at.
fn export(workspace: &Workspace, python: &str, folder: &Path) -> Result<()> {
    say("exporting the default model to ONNX");
    let mut command = workspace.command(python);
    command
        .args(["tests/benchmarks/export_onnx.py", MODEL])
        .arg(folder)
        .args(["--image", IMAGE, "--prompt", PROMPT]);
    output(&mut command).map(drop)
}

/// Operations that the default and the full model take, by arithmetic.
fn operations(workspace: &Workspace) -> Result<Value> {
    let program = program(workspace)?;
    let mut counts = Map::new();
    for preset in ["default", "sam3"] {
        let mut command = Command::new(&program);
        command.args(["bench", "--synthetic", preset, "--count"]);
        counts.insert(preset.into(), json_of(&mut command)?);
    }
    Ok(Value::Object(counts))
}

/// Builds the native program.
pub fn program(workspace: &Workspace) -> Result<PathBuf> {
    say("building the native program");
    let words = "build --locked --workspace --bin medsam3";
    run(workspace.cargo().args(words.split(' ')))?;
    Ok(workspace.target_dir.join("debug/medsam3"))
}

/// Our own program on the processor and on the software adapter, in turns with PyTorch on the processor.
fn native(
    workspace: &Workspace,
    rounds: usize,
    python: Option<&str>,
    folder: &Path,
    skipped: &mut Vec<String>,
) -> Result<Value> {
    let program = program(workspace)?;
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    // The picture at the model's own size, where there is one, so that no program resizes.
    let square = folder.join("input.png");
    let picture = if square.is_file() {
        square
    } else {
        workspace.path(IMAGE)
    };
    let ours = |device: &str| {
        let mut command = Command::new(&program);
        command
            .current_dir(&workspace.root)
            .args(["bench", "--json", "--model", MODEL, "--device", device])
            .args(["--prompt", PROMPT, "--rounds", "5", "--image"])
            .arg(&picture);
        command
    };
    let mut cpu = Vec::new();
    let mut pytorch = Vec::new();
    for round in 1..=rounds {
        say(&format!("native on the processor, round {round}"));
        cpu.push(json_of(&mut ours("cpu"))?);
        if let Some(python) = python {
            let mut peer = workspace.command(python);
            peer.args(["tests/benchmarks/pytorch_cpu.py", MODEL, "--prompt", PROMPT])
                .args([
                    "--rounds",
                    "5",
                    "--threads",
                    &threads.to_string(),
                    "--image",
                ])
                .arg(&picture);
            pytorch.push(json_of(&mut peer)?);
        }
    }
    let mut native = Map::new();
    native.insert("cpu".into(), json!(cpu));
    native.insert("pytorch".into(), json!(pytorch));
    match adapter::environment() {
        Some((name, variables)) => {
            say(&format!("native on {name}"));
            let mut command = ours("gpu");
            command.envs(variables);
            native.insert("gpu".into(), json_of(&mut command)?);
        }
        None => skipped.push("native GPU: no Vulkan driver".into()),
    }
    Ok(Value::Object(native))
}

/// The page and ONNX Runtime Web in one browser.
fn browser(workspace: &Workspace, rounds: usize, chromium: &str, folder: &Path) -> Result<Value> {
    setup::npm_ci(workspace, "tests/benchmarks")?;
    // It serves both pages.
    let program = program(workspace)?;
    say("the page and ONNX Runtime Web in Chromium");
    let mut node = workspace.command("node");
    node.arg("tests/benchmarks/browser.mjs")
        .arg(folder)
        .args(["--rounds", &rounds.to_string()])
        .env("CHROMIUM", chromium)
        .env("MEDSAM3_CLI", program)
        .env("MEDSAM3_DIST", workspace.path("dist"));
    json_of(&mut node)
}

/// Each kernel's share of the adapter's own peak at the full model's shapes; `None` without a Vulkan driver. Lavapipe is
/// preferred: SwiftShader needs minutes for one of these products.
fn kernels(workspace: &Workspace) -> Result<Option<Value>> {
    let Some((name, variables)) = adapter::fastest() else {
        return Ok(None);
    };
    say(&format!("kernels at the full model's shapes on {name}"));
    let program = program(workspace)?;
    let run = |device: &str| {
        let mut command = Command::new(&program);
        command
            .args(["bench", "--kernels", "--device", device])
            .envs(variables.clone());
        json_of(&mut command)
    };
    Ok(Some(json!({"gpu": run("gpu")?, "cpu": run("cpu")?})))
}

/// How long folders of 300 and 1,500 slices of 512 x 512 take to be listed and to show their first slice, and the
/// memory that takes, in the release build.
fn listing(workspace: &Workspace, folder: &Path) -> Result<Value> {
    let example = |arguments: &[&str]| {
        let mut cargo = workspace.cargo();
        let words =
            "run --quiet --locked --release --package medsam3-imaging --example list_series --";
        cargo.args(words.split(' ')).args(arguments);
        cargo
    };
    let mut listings = Vec::new();
    for slices in ["300", "1500"] {
        say(&format!("listing {slices} slices"));
        let series = folder.join(format!("slices-{slices}"));
        let path = series.to_str().context("the folder's name is not UTF-8")?;
        if series.exists() {
            fs::remove_dir_all(&series)?;
        }
        output(&mut example(&["make", path, slices]))?;
        listings.push(json_of(&mut example(&["list", path]))?);
        fs::remove_dir_all(&series)?;
    }
    Ok(json!(listings))
}

/// Runs a program that prints one JSON value, from a line of its own on; what it says on standard error is passed on.
fn json_of(command: &mut Command) -> Result<Value> {
    let text = output(command.stderr(Stdio::inherit()))?;
    let Some(start) = text.find(['{', '[']) else {
        bail!("no JSON in the output");
    };
    serde_json::from_str(&text[start..]).context("the output is not JSON")
}
