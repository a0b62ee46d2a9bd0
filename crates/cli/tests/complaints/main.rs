//! Public complaints about programs of this kind, each as a test of the real program. `tests/complaints/cases.tsv` has a
//! row for each, with its source and the test that stands for it.

mod endings;
mod images;
mod listed;
mod messages;
mod prompts;
mod results;
mod training;

#[path = "../support/shapes.rs"]
mod shapes;
#[path = "../support/tiny_model.rs"]
mod tiny_model;

use std::process::Output;

use serde_json::Value;

/// Standard output as JSON lines.
fn records(output: &Output) -> Vec<Value> {
    let text = String::from_utf8(output.stdout.clone()).unwrap();
    let line = |line| serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}"));
    text.lines().map(line).collect()
}

/// Standard error.
fn errors(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Asserts that a program did what it was asked for.
fn succeeded(output: Output) -> Output {
    assert!(output.status.success(), "{}", errors(&output));
    output
}

/// The names in a folder, without hidden ones.
fn names(folder: &std::path::Path) -> Vec<String> {
    let mut names: Vec<String> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
        .filter(|name| !name.starts_with('.'))
        .collect();
    names.sort();
    names
}

/// The hidden names in a folder: locks stay, temporary files must not.
fn leftovers(folder: &std::path::Path) -> Vec<String> {
    std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
        .filter(|name| name.starts_with(".medsam3-"))
        .collect()
}
