//! One hash over the content of files and folders: tells whether a build or an install is still up to date.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use sha2::{Digest, Sha256};

/// SHA-256 in hexadecimal of some bytes.
pub fn sha256_hex(bytes: &[u8]) -> String {
    Sha256::digest(bytes)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

/// A hash over the names and contents of all files below `inputs`, which may be files, folders or missing. Folders named in `skip` are left out.
pub fn of(root: &Path, inputs: &[PathBuf], skip: &[&str]) -> Result<String> {
    let mut files = Vec::new();
    for input in inputs {
        collect(input, skip, &mut files)?;
    }
    files.sort();
    files.dedup();
    let mut hasher = Sha256::new();
    for file in files {
        let bytes = fs::read(&file).with_context(|| format!("cannot read {}", file.display()))?;
        let name = file
            .strip_prefix(root)
            .unwrap_or(&file)
            .to_string_lossy()
            .into_owned();
        hasher.update(name.as_bytes());
        hasher.update([0]);
        hasher.update(Sha256::digest(&bytes));
    }
    Ok(hasher
        .finalize()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect())
}

fn collect(path: &Path, skip: &[&str], files: &mut Vec<PathBuf>) -> Result<()> {
    if path.is_file() {
        files.push(path.to_path_buf());
    } else if path.is_dir() {
        for entry in fs::read_dir(path)? {
            let entry = entry?;
            if !skip.iter().any(|name| entry.file_name() == *name) {
                collect(&entry.path(), skip, files)?;
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_with_content_and_name_but_not_with_skipped_folders() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path();
        let inputs = [root.join("a"), root.join("missing")];
        let now = || of(root, &inputs, &["node_modules"]).unwrap();
        fs::create_dir_all(root.join("a/node_modules")).unwrap();
        fs::write(root.join("a/one"), "1").unwrap();
        let first = now();
        fs::write(root.join("a/node_modules/x"), "x").unwrap();
        assert_eq!(first, now());
        fs::write(root.join("a/one"), "2").unwrap();
        let second = now();
        assert_ne!(first, second);
        fs::rename(root.join("a/one"), root.join("a/two")).unwrap();
        assert_ne!(second, now());
    }

    #[test]
    fn sha256_of_the_standard_example() {
        // FIPS 180-2, appendix B.1
        assert_eq!(
            sha256_hex(b"abc"),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
    }
}
