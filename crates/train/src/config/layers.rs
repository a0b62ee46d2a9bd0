//! Configurations in layers: an experiment says only what differs from the file that it extends.

use std::path::Path;

use toml::{Table, Value};

use crate::error::TrainError;

/// An experiment on a leg on a base; deeper chains are circles or mistakes.
const DEEPEST: usize = 8;
const EXTENDS: &str = "extends";

/// The table of `path` laid over those that it extends, and the lines `over` over that.
///
/// # Errors
/// [`TrainError::Read`], [`TrainError::Toml`], and [`TrainError::Config`] for a chain without an end.
pub(super) fn read(path: &Path, over: &[String]) -> Result<Table, TrainError> {
    let mut table = read_layers(path)?;
    for line in over {
        let line = toml::from_str(line).map_err(|source| TrainError::Toml { source })?;
        lay_over(&mut table, line);
    }
    Ok(table)
}

fn read_layers(path: &Path) -> Result<Table, TrainError> {
    let mut table = read_one(path)?;
    let mut path = path.to_owned();
    for _ in 0..DEEPEST {
        let Some(base) = table.remove(EXTENDS) else {
            return Ok(table);
        };
        let Value::String(base) = base else {
            return Err(TrainError::Config {
                reason: format!("`{EXTENDS}` must be the path of a configuration"),
            });
        };
        path = path.with_file_name(base);
        let mut below = read_one(&path)?;
        lay_over(&mut below, table);
        table = below;
    }
    Err(TrainError::Config {
        reason: format!("`{EXTENDS}` goes through more than {DEEPEST} files"),
    })
}

fn read_one(path: &Path) -> Result<Table, TrainError> {
    let text = std::fs::read_to_string(path).map_err(|source| TrainError::Read {
        path: path.to_owned(),
        source,
    })?;
    toml::from_str(&text).map_err(|source| TrainError::Toml { source })
}

fn lay_over(below: &mut Table, above: Table) {
    for (key, value) in above {
        match (below.get_mut(&key), value) {
            (Some(Value::Table(below)), Value::Table(above)) => lay_over(below, above),
            (_, value) => {
                below.insert(key, value);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(folder: &Path, name: &str, text: &str) {
        std::fs::write(folder.join(name), text).expect("written");
    }

    #[test]
    fn what_is_set_above_wins_and_the_rest_stays() {
        let folder = tempfile::tempdir().expect("a folder");
        write(
            folder.path(),
            "base.toml",
            "a = 1\nlist = [1, 2]\n[t]\nx = 1\ny = 2\n[t.deep]\nz = 3\n",
        );
        write(
            folder.path(),
            "leg.toml",
            "extends = \"base.toml\"\nlist = [3]\n[t]\ny = 5\n",
        );
        write(
            folder.path(),
            "test.toml",
            "extends = \"leg.toml\"\na = 7\n[t.deep]\nz = 9\n",
        );
        let over = ["t.x = 8".to_owned()];
        let read = read(&folder.path().join("test.toml"), &over).expect("read");
        let expected: Table =
            toml::from_str("a = 7\nlist = [3]\n[t]\nx = 8\ny = 5\n[t.deep]\nz = 9\n")
                .expect("TOML");
        assert_eq!(read, expected);
    }

    #[test]
    fn a_circle_is_an_error() {
        let folder = tempfile::tempdir().expect("a folder");
        write(folder.path(), "a.toml", "extends = \"a.toml\"\n");
        let error = read(&folder.path().join("a.toml"), &[]).expect_err("a circle");
        assert_eq!(error.code(), "TRAIN-CONFIG");
    }
}
