//! The steps of `cargo xtask test`: each is run, timed and counted; a table and one line of totals close the run.

use std::fs;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};

use crate::counts::{Counts, Skip, of_cargo_test, of_node_test};
use crate::process::{Finished, run, run_reading, say};
use crate::skips::Allowed;
use crate::workspace::{Workspace, in_ci};
use crate::{adapter, licences, page, setup};

/// Steps of a whole run: the cheap ones first, then what they protect.
pub const ALL: &[&str] = &[
    "fmt",
    "licences",
    "clippy",
    "wasm",
    "native",
    "kernels",
    "page",
    "page-unit",
    "browser",
];
/// Steps that only run when they are named: minutes of shader compilation on drivers that a machine may have.
pub const ON_REQUEST: &[&str] = &["drivers"];
/// Steps of `cargo xtask check`.
pub const CHECK: &[&str] = &["fmt", "licences", "clippy", "wasm"];

const MINUTE: Duration = Duration::from_secs(60);

/// Names for `--only`.
pub fn names() -> clap::builder::PossibleValuesParser {
    clap::builder::PossibleValuesParser::new([ALL, ON_REQUEST].concat())
}

struct Row {
    name: String,
    counts: Counts,
    took: Duration,
}

/// Runs the named steps; true if nothing failed.
pub fn run_all(workspace: &Workspace, names: &[&str]) -> Result<bool> {
    println!("build output: {}", workspace.target_dir.display());
    let mut rows = Vec::new();
    for name in names {
        let started = Instant::now();
        say(&format!("step {name}"));
        let counts = step(workspace, name).unwrap_or_else(|error| {
            println!("{name}: {error:#}");
            Counts::one_failed()
        });
        rows.push(Row {
            name: (*name).to_owned(),
            counts,
            took: started.elapsed(),
        });
    }
    let readme = fs::read_to_string(workspace.path("tests/README.md")).unwrap_or_default();
    forbid_skips(&mut rows, &Allowed::parse(&readme), in_ci());
    Ok(report(&rows))
}

fn step(workspace: &Workspace, name: &str) -> Result<Counts> {
    match name {
        "fmt" => cargo_step(workspace, "fmt --all --check"),
        "licences" => licence_step(workspace),
        "clippy" => cargo_step(
            workspace,
            "clippy --locked --workspace --all-targets -- -D warnings",
        ),
        "wasm" => cargo_step(
            workspace,
            "clippy --locked --package medsam3-web --target wasm32-unknown-unknown -- -D warnings",
        ),
        "native" => native(workspace),
        "kernels" => kernels(workspace),
        "drivers" => drivers(workspace),
        "page" => prepare_page(workspace).map(|()| Counts::one_passed()),
        "page-unit" => page_unit(workspace),
        "browser" => browser(workspace),
        _ => bail!("there is no step {name}"),
    }
}

/// A command of cargo that counts as one thing that held.
fn cargo_step(workspace: &Workspace, words: &str) -> Result<Counts> {
    setup::toolchain(workspace)?;
    run(workspace.cargo().args(words.split(' ')))?;
    Ok(Counts::one_passed())
}

fn licence_step(workspace: &Workspace) -> Result<Counts> {
    let (held, failures) = licences::check(workspace)?;
    for failure in &failures {
        println!("licences: {failure}");
    }
    Ok(Counts {
        passed: held,
        failed: failures.len(),
        skipped: Vec::new(),
    })
}

/// All native tests in one invocation of cargo, with a software Vulkan driver where there is one.
fn native(workspace: &Workspace) -> Result<Counts> {
    let mut skipped = Vec::new();
    if let Err(missing) = setup::test_packages(workspace) {
        say(&format!("{missing:#}"));
    }
    let mut cargo = workspace.cargo();
    let words = "test --locked --workspace --no-fail-fast -- --show-output";
    cargo.args(words.split(' '));
    match adapter::environment() {
        Some((name, variables)) => {
            say(&format!("native GPU tests run on {name}"));
            cargo.envs(variables);
        }
        None => skipped.push(Skip {
            name: "native GPU tests".into(),
            reason: "no software Vulkan driver".into(),
        }),
    }
    let finished = run_reading(&mut cargo, 40 * MINUTE)?;
    let mut counts = judge(&finished, of_cargo_test(&finished.lines));
    counts.skipped.extend(skipped);
    Ok(counts)
}

/// A build with a kernel that is broken on purpose, which the self-test must find.
fn kernels(workspace: &Workspace) -> Result<Counts> {
    let Some(adapter) = adapter::environment() else {
        return Ok(Counts::default());
    };
    on_adapter(
        workspace,
        adapter,
        "test --locked --package medsam3-kernels --features sabotage --test self_test -- --show-output",
    )
}

/// The kernels' tests on every software driver of this machine but the one of [`native`].
fn drivers(workspace: &Workspace) -> Result<Counts> {
    let mut counts = Counts::default();
    for adapter in adapter::all().into_iter().skip(1) {
        counts.add(on_adapter(
            workspace,
            adapter,
            "test --locked --package medsam3-kernels --no-fail-fast -- --show-output",
        )?);
    }
    if counts.passed + counts.failed == 0 {
        counts.skipped.push(Skip {
            name: "drivers".into(),
            reason:
                "no second software Vulkan driver; on Debian lavapipe is in mesa-vulkan-drivers"
                    .into(),
        });
    }
    Ok(counts)
}

fn on_adapter(
    workspace: &Workspace,
    (name, variables): adapter::Adapter,
    words: &str,
) -> Result<Counts> {
    say(&format!("{words} on {name}"));
    let mut cargo = workspace.cargo();
    cargo.args(words.split(' ')).envs(variables);
    // Lavapipe compiles the attention's variants for ten minutes where the machine does other work too.
    let finished = run_reading(&mut cargo, 60 * MINUTE)?;
    Ok(judge(&finished, of_cargo_test(&finished.lines)))
}

fn prepare_page(workspace: &Workspace) -> Result<()> {
    setup::toolchain(workspace)?;
    setup::page_tools(workspace)?;
    setup::node_packages(workspace)?;
    page::build(workspace)
}

/// Type check and unit tests of the page's TypeScript.
fn page_unit(workspace: &Workspace) -> Result<Counts> {
    setup::node_packages(workspace)?;
    run(workspace
        .command("npm")
        .args(["--prefix", "web", "run", "check"]))?;
    let mut counts = Counts::one_passed();
    let finished = run_reading(
        workspace.command("npm").args(["--prefix", "web", "test"]),
        10 * MINUTE,
    )?;
    counts.add(judge(&finished, of_node_test(&finished.lines)));
    Ok(counts)
}

/// The page in a real browser, compared with the native program.
fn browser(workspace: &Workspace) -> Result<Counts> {
    prepare_page(workspace)?;
    let missing = setup::test_packages(workspace).err();
    let Some(chromium) = setup::chromium(workspace) else {
        let reason = missing.map_or_else(
            || "no Chromium".to_owned(),
            |missing| format!("{missing:#}"),
        );
        return Ok(Counts {
            skipped: vec![Skip {
                name: "browser".into(),
                reason,
            }],
            ..Counts::default()
        });
    };
    say("building the native program that the page is compared with");
    // Of the whole workspace, as the native tests are: one package alone would choose other features of shared crates,
    // and Burn would be compiled once more.
    let words = "build --locked --workspace --bin medsam3";
    run(workspace.cargo().args(words.split(' ')))?;
    let mut npm = workspace.command("npm");
    npm.args(["--prefix", "tests/browser", "test"])
        .env("CHROMIUM", chromium)
        .env("MEDSAM3_DIST", workspace.path("dist"))
        .env("MEDSAM3_CLI", workspace.target_dir.join("debug/medsam3"));
    let finished = run_reading(&mut npm, 30 * MINUTE)?;
    Ok(judge(&finished, of_node_test(&finished.lines)))
}

/// A run that failed without a failed test (it did not build, or broke off), or that ran no test at all, is a failure.
fn judge(finished: &Finished, mut counts: Counts) -> Counts {
    let ran_none = counts.passed + counts.failed + counts.skipped.len() == 0;
    if counts.failed == 0 && (!finished.success || finished.timed_out || ran_none) {
        counts.failed = 1;
    }
    counts
}

/// In CI a skip counts as a failure unless it is on the list.
fn forbid_skips(rows: &mut [Row], allowed: &Allowed, ci: bool) {
    for row in rows.iter_mut() {
        for skip in &row.counts.skipped {
            let note = if allowed.covers(skip) {
                "allowed"
            } else {
                "not on the list in tests/README.md"
            };
            println!(
                "SKIPPED {}: {}: {} ({note})",
                row.name, skip.name, skip.reason
            );
        }
        if ci {
            let before = row.counts.skipped.len();
            row.counts.skipped.retain(|skip| allowed.covers(skip));
            row.counts.failed += before - row.counts.skipped.len();
        }
    }
}

/// Prints the table and, as the last line, the totals.
fn report(rows: &[Row]) -> bool {
    println!(
        "\n{:<10} {:>7} {:>7} {:>7} {:>8}",
        "step", "passed", "failed", "skipped", "seconds"
    );
    let mut total = Counts::default();
    for row in rows {
        let counts = &row.counts;
        let skipped = counts.skipped.len();
        println!(
            "{:<10} {:>7} {:>7} {skipped:>7} {:>8.1}",
            row.name,
            counts.passed,
            counts.failed,
            row.took.as_secs_f64()
        );
        total.add(counts.clone());
    }
    println!(
        "{} passed, {} failed, {} skipped",
        total.passed,
        total.failed,
        total.skipped.len()
    );
    total.failed == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn finished(success: bool) -> Finished {
        Finished {
            success,
            timed_out: false,
            lines: Vec::new(),
        }
    }

    #[test]
    fn a_run_without_a_test_or_without_success_has_failed() {
        assert_eq!(judge(&finished(true), Counts::default()).failed, 1);
        assert_eq!(judge(&finished(false), Counts::one_passed()).failed, 1);
        assert_eq!(judge(&finished(false), Counts::one_failed()).failed, 1);
        assert_eq!(judge(&finished(true), Counts::one_passed()).failed, 0);
    }

    #[test]
    fn only_ci_forbids_skips_and_only_unlisted_ones() {
        let skip = |name: &str| Skip {
            name: name.into(),
            reason: String::new(),
        };
        let allowed = Allowed::parse("## Allowed skips\n* `golden`: large\n");
        let rows = || {
            let counts = Counts {
                passed: 1,
                failed: 0,
                skipped: vec![skip("golden"), skip("other")],
            };
            [Row {
                name: "native".into(),
                counts,
                took: Duration::ZERO,
            }]
        };
        let mut at_home = rows();
        forbid_skips(&mut at_home, &allowed, false);
        assert_eq!(
            (at_home[0].counts.failed, at_home[0].counts.skipped.len()),
            (0, 2)
        );
        let mut in_ci = rows();
        forbid_skips(&mut in_ci, &allowed, true);
        assert_eq!(
            (in_ci[0].counts.failed, in_ci[0].counts.skipped.len()),
            (1, 1)
        );
    }
}
