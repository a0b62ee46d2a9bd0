//! Where results go: records to standard output, masks and a table of measurements to the output folder. Files are
//! written beside their name and renamed, so that none is ever half there.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use medsam3_imaging::Mask;

use super::arguments::Format;
use super::record::Record;
use crate::failure::UsageError;

const TABLE: &str = "measurements.csv";

/// The folder asked for.
#[derive(Clone, Copy)]
pub struct Target<'a> {
    /// Its path.
    pub folder: &'a Path,
    /// What to write into it.
    pub formats: &'a [Format],
}

/// Takes results as they come.
pub struct Output {
    folder: Option<PathBuf>,
    masks: bool,
    table: Option<csv::Writer<Vec<u8>>>,
    json: bool,
}

impl Output {
    /// Makes the folder, if one is asked for.
    pub fn new(target: Option<Target<'_>>, json: bool) -> Result<Self> {
        let Some(Target { folder, formats }) = target else {
            return Ok(Self {
                folder: None,
                masks: false,
                table: None,
                json,
            });
        };
        std::fs::create_dir_all(folder).context("making the output folder")?;
        let wanted = |format| formats.contains(&format);
        Ok(Self {
            folder: Some(folder.to_owned()),
            masks: wanted(Format::Png),
            table: wanted(Format::Csv).then(|| csv::Writer::from_writer(Vec::new())),
            json,
        })
    }

    /// Two results under one name would leave one of them.
    pub fn refuse_collisions(&self, inputs: &[PathBuf], prompts: &[String]) -> Result<()> {
        if !self.masks {
            return Ok(());
        }
        let mut named = BTreeMap::new();
        for input in inputs {
            for prompt in prompts {
                let name = mask_name(input, prompt);
                if let Some(other) = named.insert(name.clone(), input) {
                    let (a, b) = (other.display(), input.display());
                    let reason =
                        format!("two masks would be named {name} ({a} and {b}); run them apart");
                    return Err(UsageError(reason).into());
                }
            }
        }
        Ok(())
    }

    /// Writes a mask, if masks are asked for, and gives the file's name.
    pub fn mask(&self, input: &Path, prompt: &str, mask: &Mask) -> Result<Option<String>> {
        let Some(folder) = self.folder.as_deref().filter(|_| self.masks) else {
            return Ok(None);
        };
        let name = mask_name(input, prompt);
        write_whole(&folder.join(&name), &mask.to_png()).context("writing a mask")?;
        Ok(Some(name))
    }

    /// Says a record and notes it for the table.
    pub fn record(&mut self, record: &Record<'_>) -> Result<()> {
        let mut out = std::io::stdout().lock();
        if self.json {
            writeln!(out, "{}", serde_json::to_string(record)?)?;
        } else {
            writeln!(out, "{record}")?;
        }
        if let Some(table) = &mut self.table {
            table.serialize(record.row())?;
        }
        Ok(())
    }

    /// Writes the table.
    pub fn finish(&mut self) -> Result<()> {
        if let (Some(folder), Some(table)) = (&self.folder, self.table.take()) {
            let table = table
                .into_inner()
                .map_err(|e| anyhow::anyhow!("{}", e.error()))?;
            write_whole(&folder.join(TABLE), &table).context("writing the table")?;
        }
        Ok(())
    }
}

/// `<stem>.<prompt>.png`, the prompt in lower case and everything but letters and digits as `-`.
fn mask_name(input: &Path, prompt: &str) -> String {
    let stem = input
        .file_stem()
        .map(|stem| stem.to_string_lossy().into_owned());
    let plain = |c: char| if c.is_alphanumeric() { c } else { '-' };
    let prompt: String = prompt.trim().to_lowercase().chars().map(plain).collect();
    format!("{}.{prompt}.png", stem.unwrap_or_default())
}

fn write_whole(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let part = path.with_extension("part");
    std::fs::write(&part, bytes)?;
    std::fs::rename(&part, path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn masks_are_named_by_stem_and_prompt() {
        assert_eq!(
            mask_name(Path::new("a/chest.1.dcm"), " Left Lung"),
            "chest.1.left-lung.png"
        );
        assert_eq!(
            mask_name(Path::new("IM0001"), "L4/L5 disc"),
            "IM0001.l4-l5-disc.png"
        );
        assert_eq!(
            mask_name(Path::new("x.png"), "Ödem, größer"),
            "x.ödem--größer.png"
        );
    }

    #[test]
    fn masks_of_one_name_are_bad_usage() {
        let folder = tempfile::tempdir().unwrap();
        let target = Target {
            folder: folder.path(),
            formats: &[Format::Png],
        };
        let output = Output::new(Some(target), false).unwrap();
        let inputs = ["a/1.png", "b/1.jpg"].map(PathBuf::from);
        let prompts = ["lung".to_owned()];
        let error = output.refuse_collisions(&inputs, &prompts).unwrap_err();
        assert!(error.is::<UsageError>() && error.to_string().contains("1.lung.png"));
        let prompts = ["Left lung".to_owned(), "left-lung".to_owned()];
        assert!(output.refuse_collisions(&inputs[..1], &prompts).is_err());
        output
            .refuse_collisions(&inputs[..1], &prompts[..1])
            .unwrap();
    }
}
