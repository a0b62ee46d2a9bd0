//! Where results go: records to standard output, masks and a table of measurements to the output folder. Nothing that
//! is there is replaced unless the user asks for it, and no file is ever half there.

use std::io;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use medsam3_files::{Existing, atomic_write_bytes, check_output_folder};
use medsam3_imaging::Mask;

use super::arguments::Format;
use super::names;
use super::record::Record;
use super::table::Table;
use crate::failure::CommandError;
use crate::terminal;

/// Free space that a run needs to begin: masks are small, and their number is not known.
const NEEDED_BYTES: u64 = 1 << 20;

/// The folder asked for.
#[derive(Clone, Copy)]
pub struct Target<'a> {
    /// Its path.
    pub folder: &'a Path,
    /// What to write into it.
    pub formats: &'a [Format],
    /// Whether results that are there may be replaced.
    pub overwrite: bool,
}

/// Takes results as they come.
pub struct Output {
    masks: Option<Masks>,
    table: Option<Table>,
    json: bool,
}

/// Where masks go, and what they are called.
struct Masks {
    folder: PathBuf,
    existing: Existing,
    stems: Vec<String>,
    slugs: Vec<String>,
}

/// Which result a mask belongs to.
#[derive(Clone, Copy)]
pub struct Place {
    /// Which of the inputs.
    pub input: usize,
    /// Which frame, of a file with several.
    pub frame: Option<usize>,
    /// Which of the prompts.
    pub prompt: usize,
}

impl Output {
    /// Makes the folder, if one is asked for, and tries whether it can be written.
    ///
    /// # Errors
    /// A folder that cannot be made or written, or a table in it that is not ours.
    pub fn new(
        target: Option<Target<'_>>,
        inputs: &[PathBuf],
        prompts: &[String],
        json: bool,
    ) -> Result<Self> {
        let Some(target) = target else {
            return Ok(Self {
                masks: None,
                table: None,
                json,
            });
        };
        let folder = target.folder;
        check_output_folder(folder, NEEDED_BYTES).map_err(|error| CommandError {
            code: "OUTPUT-FOLDER",
            message: format!("{} cannot be written: {error}", folder.display()),
            next_step: "Choose another folder with --out, or check its permissions and the free space.",
        })?;
        let wanted = |format| target.formats.contains(&format);
        let masks = wanted(Format::Png).then(|| Masks {
            folder: folder.to_owned(),
            existing: if target.overwrite {
                Existing::Replace
            } else {
                Existing::Keep
            },
            stems: names::stems(inputs),
            slugs: names::slugs(prompts),
        });
        let table = wanted(Format::Csv).then(|| Table::open(folder, target.overwrite));
        Ok(Self {
            masks,
            table: table.transpose()?,
            json,
        })
    }

    /// Writes a mask, if masks are asked for, and gives the file's name.
    ///
    /// # Errors
    /// A file of that name with another content, unless it may be replaced.
    pub fn mask(&self, place: Place, mask: &Mask) -> Result<Option<String>> {
        self.masks
            .as_ref()
            .map(|masks| masks.write(place, mask))
            .transpose()
    }

    /// Says a record and notes it for the table.
    pub fn record(&mut self, record: &Record<'_>) -> Result<()> {
        if let Some(table) = &mut self.table {
            table.add(&record.row())?;
        }
        if self.json {
            terminal::json(record)
        } else {
            Ok(say!("{record}")?)
        }
    }

    /// Brings what was noted to the disk: after every input, so that no end of the program costs more than one.
    pub fn flush(&mut self) -> Result<()> {
        self.table.as_mut().map_or(Ok(()), Table::write)
    }
}

impl Masks {
    fn write(&self, place: Place, mask: &Mask) -> Result<String> {
        let part = |list: &[String], at: usize| list.get(at).cloned().unwrap_or_default();
        let (stem, slug) = (
            part(&self.stems, place.input),
            part(&self.slugs, place.prompt),
        );
        let name = names::mask(&stem, place.frame, &slug);
        let (path, bytes) = (self.folder.join(&name), mask.to_png());
        match atomic_write_bytes(&path, self.existing, &bytes) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                // The same result again takes nothing away.
                if std::fs::read(&path).is_ok_and(|old| old == bytes) {
                    return Ok(name);
                }
                Err(CommandError {
                    code: "OUTPUT-EXISTS",
                    message: format!("{name} is already there and is another file"),
                    next_step: "Use --overwrite to replace it, or choose another folder with --out.",
                }
                .into())
            }
            written => {
                written.with_context(|| format!("writing {name}"))?;
                Ok(name)
            }
        }
    }
}
