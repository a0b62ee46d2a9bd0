//! Where the fixtures of `tests/imaging` are, and how to read them.

#![allow(dead_code)]

use std::path::PathBuf;

use serde_json::Value;

/// `tests/imaging` of the repository.
pub fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tests/imaging")
}

/// Bytes of a fixture.
pub fn fixture(path: &str) -> Vec<u8> {
    let path = folder().join(path);
    std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// A JSON fixture.
pub fn json(path: &str) -> Value {
    serde_json::from_slice(&fixture(path)).unwrap()
}

/// All files of a fixture folder, sorted.
pub fn files(folder_name: &str, extensions: &[&str]) -> Vec<(String, Vec<u8>)> {
    let mut files: Vec<_> = std::fs::read_dir(folder().join(folder_name))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| {
            path.extension()
                .is_some_and(|e| extensions.iter().any(|wanted| e == *wanted))
        })
        .map(|path| {
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            (name, std::fs::read(path).unwrap())
        })
        .collect();
    files.sort();
    files
}

/// Upper bytes of the generator of Numerical Recipes, as `make_resize_goldens.py` has it.
pub fn random_bytes(count: usize, seed: u32) -> Vec<u8> {
    let mut state = seed;
    std::iter::repeat_with(|| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    })
    .take(count)
    .collect()
}
