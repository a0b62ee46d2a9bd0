//! A folder as Rust source: an array of its files with their bytes, for the build script. Paths are relative to the
//! folder, with `/`, in order; the compiler itself watches and reads the files (`include_bytes!`).

use std::path::Path;
use std::time::UNIX_EPOCH;
use std::{fmt::Write as _, fs, io};

/// The expression `&[CarriedFile { .. }, ..]` of all files below `folder`, which must be a built page.
///
/// # Errors
/// A folder without `index.html` and `_headers`, a name that is not UTF-8, or a folder that cannot be read.
pub fn source_of(folder: &Path) -> io::Result<String> {
    for needed in ["index.html", "_headers"] {
        if !folder.join(needed).is_file() {
            let message = format!("{} is not a built page: no {needed}", folder.display());
            return Err(io::Error::other(message));
        }
    }
    let mut files = Vec::new();
    collect(folder, "", &mut files)?;
    files.sort();
    let mut source = String::from("&[\n");
    for path in files {
        let file = folder.join(&path);
        let modified = fs::metadata(&file)?.modified()?;
        let modified = modified.duration_since(UNIX_EPOCH).unwrap_or_default();
        let (seconds, nanoseconds) = (modified.as_secs(), modified.subsec_nanos());
        let full = file.to_str().ok_or_else(|| not_utf8(&file))?;
        // Debug formatting of a string is a literal of Rust.
        writeln!(
            source,
            "    CarriedFile {{ path: {path:?}, modified: ({seconds}, {nanoseconds}), bytes: include_bytes!({full:?}) }},"
        )
        .map_err(io::Error::other)?;
    }
    source.push(']');
    Ok(source)
}

fn collect(folder: &Path, prefix: &str, files: &mut Vec<String>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let path = entry.path();
        let name = entry.file_name();
        let name = name.to_str().ok_or_else(|| not_utf8(&path))?;
        if path.is_dir() {
            collect(&path, &format!("{prefix}{name}/"), files)?;
        } else {
            files.push(format!("{prefix}{name}"));
        }
    }
    Ok(())
}

fn not_utf8(path: &Path) -> io::Error {
    io::Error::other(format!("{} is not a name in UTF-8", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_of_a_page_is_named_once_and_in_order() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        fs::create_dir_all(root.join("app/chunks")).unwrap();
        for name in [
            "index.html",
            "_headers",
            "app/main.js",
            "app/chunks/a \"b\".js",
        ] {
            fs::write(root.join(name), name).unwrap();
        }
        let source = source_of(root).unwrap();
        let paths: Vec<&str> = source
            .lines()
            .filter_map(|line| line.trim().strip_prefix("CarriedFile { path: "))
            .filter_map(|rest| rest.split(", modified").next())
            .collect();
        let expected = [
            "\"_headers\"",
            "\"app/chunks/a \\\"b\\\".js\"",
            "\"app/main.js\"",
            "\"index.html\"",
        ];
        assert_eq!(paths, expected);
        assert_eq!(source.matches("include_bytes!(").count(), 4);
    }

    #[test]
    fn a_folder_that_is_no_page_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("index.html"), "").unwrap();
        let error = source_of(folder.path()).unwrap_err().to_string();
        assert!(error.contains("no _headers"), "{error}");
    }
}
