//! Set-up: what the build and the tests need beyond cargo itself, from package registries alone.
//! Every function looks first and does nothing where the thing is there.

use std::env;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;

use anyhow::{Context, Result, bail};

use crate::fingerprint;
use crate::process::{output, run, say};
use crate::workspace::Workspace;

const WASM_TARGET: &str = "wasm32-unknown-unknown";
/// The last release of Trunk that builds with the toolchain of `rust-toolchain.toml`.
const TRUNK_VERSION: &str = "0.21.14";
/// Debian packages that the tests run in or on: the browser (it also brings the SwiftShader Vulkan driver) and the Vulkan loader.
const DEBIAN_PACKAGES: [&str; 2] = ["chromium", "libvulkan1"];

/// All of it, for `cargo xtask setup`.
pub fn everything(workspace: &Workspace) -> Result<()> {
    toolchain(workspace)?;
    page_tools(workspace)?;
    node_packages(workspace)?;
    if let Err(missing) = test_packages(workspace) {
        say(&format!("{missing:#}"));
    }
    say("everything is set up");
    Ok(())
}

/// The WebAssembly target, rustfmt and clippy.
pub fn toolchain(workspace: &Workspace) -> Result<()> {
    let sysroot = output(workspace.command("rustc").args(["--print", "sysroot"]))?;
    if !Path::new(sysroot.trim())
        .join("lib/rustlib")
        .join(WASM_TARGET)
        .is_dir()
    {
        say(&format!("adding the Rust target {WASM_TARGET}"));
        run(workspace
            .command("rustup")
            .args(["target", "add", WASM_TARGET]))
        .context("without rustup, install the target from your distribution")?;
    }
    for (component, program) in [("rustfmt", "rustfmt"), ("clippy", "clippy-driver")] {
        if !Path::new(sysroot.trim())
            .join("bin")
            .join(program)
            .is_file()
            && workspace.which("rustup").is_some()
        {
            say(&format!("adding the Rust component {component}"));
            run(workspace
                .command("rustup")
                .args(["component", "add", component]))?;
        }
    }
    Ok(())
}

/// Trunk, and wasm-bindgen at exactly the version of `Cargo.lock`: Trunk would download another one.
pub fn page_tools(workspace: &Workspace) -> Result<()> {
    // Trunk never downloads here (`--offline`), so it is built without TLS.
    cargo_tool(
        workspace,
        "trunk",
        "trunk",
        TRUNK_VERSION,
        &["--no-default-features"],
    )?;
    let lock = fs::read_to_string(workspace.path("Cargo.lock"))?;
    let version =
        locked_version(&lock, "wasm-bindgen").context("Cargo.lock has no wasm-bindgen")?;
    cargo_tool(
        workspace,
        "wasm-bindgen-cli",
        "wasm-bindgen",
        version,
        &["--bin", "wasm-bindgen"],
    )
}

/// The packages of the page and of the browser tests, by `npm ci`.
pub fn node_packages(workspace: &Workspace) -> Result<()> {
    let Some(node) = workspace.which("node") else {
        bail!("node is missing: install Node.js 20 or newer, with npm");
    };
    let version = output(workspace.command(&node.to_string_lossy()).arg("--version"))?;
    let major = version
        .trim()
        .trim_start_matches('v')
        .split('.')
        .next()
        .and_then(|text| text.parse::<u32>().ok());
    if major.is_none_or(|major| major < 20) {
        bail!(
            "Node.js {} is too old: 20 or newer is needed",
            version.trim()
        );
    }
    for folder in ["web", "tests/browser"] {
        npm_ci(workspace, folder)?;
    }
    Ok(())
}

/// Installs the Debian packages for the tests where that is possible; otherwise an error that says what to install.
pub fn test_packages(workspace: &Workspace) -> Result<()> {
    let missing: Vec<&str> = DEBIAN_PACKAGES
        .into_iter()
        .filter(|package| !is_there(workspace, package))
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    let by_hand = format!(
        "apt-get install -y --no-install-recommends {}",
        missing.join(" ")
    );
    if workspace.which("apt-get").is_none() {
        bail!(
            "{} missing: install it with your system's package manager",
            missing.join(" and ")
        );
    }
    let is_root = output(Command::new("id").arg("-u")).is_ok_and(|id| id.trim() == "0");
    if !is_root {
        bail!("{} missing: run `sudo {by_hand}`", missing.join(" and "));
    }
    say(&format!("installing {} from Debian", missing.join(" and ")));
    let apt = |args: &[&str]| {
        run(Command::new("apt-get")
            .args(args)
            .env("DEBIAN_FRONTEND", "noninteractive")
            .stdout(Stdio::null()))
    };
    apt(&["update", "-q"])?;
    let mut args = vec!["install", "-y", "-q", "--no-install-recommends"];
    args.extend(&missing);
    apt(&args).with_context(|| format!("`{by_hand}` failed"))
}

/// The browser that the tests drive: `CHROMIUM` if set, else the first found on the path.
pub fn chromium(workspace: &Workspace) -> Option<String> {
    env::var("CHROMIUM")
        .ok()
        .filter(|path| Path::new(path).is_file())
        .or_else(|| {
            [
                "chromium",
                "chromium-browser",
                "google-chrome-stable",
                "google-chrome",
            ]
            .into_iter()
            .find_map(|name| workspace.which(name))
            .map(|path| path.to_string_lossy().into_owned())
        })
}

fn is_there(workspace: &Workspace, package: &str) -> bool {
    if package == "chromium" && chromium(workspace).is_some() {
        return true;
    }
    let mut query = Command::new("dpkg-query");
    output(query.args(["-W", "-f=${Status}", package]))
        .is_ok_and(|status| status.contains("install ok installed"))
}

/// Installs a program from crates.io into the project's own cache, once per version.
fn cargo_tool(
    workspace: &Workspace,
    package: &str,
    program: &str,
    version: &str,
    extra: &[&str],
) -> Result<()> {
    let path = workspace.tools().join("bin").join(program);
    let installed = path
        .is_file()
        .then(|| output(Command::new(&path).arg("--version")).ok())
        .flatten();
    if installed.is_some_and(|text| text.split_whitespace().any(|word| word == version)) {
        return Ok(());
    }
    say(&format!(
        "installing {package} {version} (once, some minutes)"
    ));
    let exact = format!("={version}");
    let jobs = thread::available_parallelism()
        .map_or(1, usize::from)
        .to_string();
    let install = |locked: &[&str]| {
        let mut command = workspace.cargo();
        command
            .args([
                "install",
                package,
                "--version",
                &exact,
                "--jobs",
                &jobs,
                "--root",
            ])
            .arg(workspace.tools())
            .arg("--target-dir")
            .arg(workspace.tools().join("build"))
            .args(extra)
            .args(locked);
        // These programs run for seconds: what counts is how long they take to build.
        for (name, value) in [
            ("OPT_LEVEL", "1"),
            ("LTO", "off"),
            ("CODEGEN_UNITS", "16"),
            ("DEBUG", "0"),
        ] {
            command.env(format!("CARGO_PROFILE_RELEASE_{name}"), value);
        }
        run(&mut command)
    };
    install(&["--locked"]).or_else(|error| {
        // A lock file that names a release since withdrawn cannot be used; the version of the tool itself stays pinned.
        say(&format!(
            "{error:#}; trying without the package's own lock file"
        ));
        install(&[])
    })
}

/// The version of a package in the text of a `Cargo.lock`.
fn locked_version<'a>(lock: &'a str, package: &str) -> Option<&'a str> {
    let name = format!("name = \"{package}\"");
    let mut lines = lock.lines().skip_while(|line| *line != name);
    lines
        .nth(1)?
        .strip_prefix("version = \"")?
        .strip_suffix('"')
}

/// Installs one folder's npm packages, once per lock file.
pub fn npm_ci(workspace: &Workspace, folder: &str) -> Result<()> {
    let dir = workspace.path(folder);
    let lock = dir.join("package-lock.json");
    if !lock.is_file() {
        return Ok(());
    }
    let modules = dir.join("node_modules");
    let stamp = modules.join(".xtask-stamp");
    let wanted = fingerprint::sha256_hex(&fs::read(&lock)?);
    if fs::read_to_string(&stamp).is_ok_and(|found| found == wanted) {
        return Ok(());
    }
    say(&format!("installing the npm packages of {folder}"));
    let mut npm = workspace.command("npm");
    run(npm
        .current_dir(&dir)
        .args(["ci", "--no-audit", "--no-fund", "--loglevel=error"]))?;
    fs::create_dir_all(&modules)?;
    fs::write(&stamp, wanted)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_locked_version_is_that_of_the_package_and_not_of_a_namesake() {
        let lock = "[[package]]\nname = \"wasm-bindgen-macro\"\nversion = \"9.9.9\"\n\n[[package]]\nname = \"wasm-bindgen\"\nversion = \"0.2.130\"\nsource = \"x\"\n";
        assert_eq!(locked_version(lock, "wasm-bindgen"), Some("0.2.130"));
        assert_eq!(locked_version(lock, "wasm"), None);
    }
}
