//! Where results go: records to standard output, masks and a table of measurements to the output folder. Nothing that
//! is there is replaced unless the user asks for it, and no file is ever half there.

use std::fmt::Display;
use std::io::{self, Write as _};
use std::path::PathBuf;

use anyhow::Result;
use medsam3_files::{Existing, atomic_write, atomic_write_bytes};
use medsam3_imaging::Mask;
use medsam3_imaging::series::Kind;
use medsam3_segmentation::SegmentationError;
use serde::Serialize;

use super::arguments::{Arguments, Format};
use super::names::{self, Named};
use super::record::Row;
use super::table::Table;
use crate::failure::CommandError;
use crate::results::{check_folder, existing};
use crate::terminal;

/// Free space that a run needs to begin: masks are small, and their number is not known.
const NEEDED_BYTES: u64 = 1 << 20;

/// Takes results as they come.
pub struct Output {
    folder: Option<Folder>,
    table: Option<Table>,
    json: bool,
}

/// Where files go, and what they are called.
struct Folder {
    path: PathBuf,
    existing: Existing,
    /// What was asked for; without it, what suits each series.
    formats: Option<Vec<Format>>,
    stems: Vec<String>,
    slugs: Vec<String>,
}

/// Which result a mask belongs to.
#[derive(Clone, Copy)]
pub struct Which {
    /// Which of the series.
    pub target: usize,
    /// Which slice from 1, of a series with several.
    pub slice: Option<usize>,
    /// Which frame from 0, of a series with several.
    pub frame: Option<usize>,
    /// Which of the prompts.
    pub prompt: usize,
}

impl Output {
    /// Makes the folder, if one is asked for, and tries whether it can be written.
    ///
    /// # Errors
    /// A folder that cannot be made or written, or a table in it that is not ours.
    pub fn new(arguments: &Arguments, named: &[&Named], prompts: &[String]) -> Result<Self> {
        let json = arguments.json;
        let Some(path) = &arguments.out else {
            return Ok(Self {
                folder: None,
                table: None,
                json,
            });
        };
        check_folder(
            path,
            NEEDED_BYTES,
            "Choose another folder with --out, or check its permissions and the free space.",
        )?;
        let folder = Folder {
            path: path.clone(),
            existing: existing(arguments.overwrite),
            formats: arguments.formats.clone(),
            stems: names::stems(named),
            slugs: names::slugs(prompts),
        };
        let none = folder.formats.as_ref();
        let table = none.is_none_or(|formats| formats.contains(&Format::Csv));
        let table = table.then(|| Table::open(path, arguments.overwrite));
        Ok(Self {
            folder: Some(folder),
            table: table.transpose()?,
            json,
        })
    }

    /// Writes the mask of a picture, if such masks are asked for, and gives the file's name.
    ///
    /// # Errors
    /// A file of that name with another content, unless it may be replaced.
    pub fn mask(&self, kind: Kind, which: Which, mask: &Mask) -> Result<Option<String>> {
        match &self.folder {
            Some(folder) if folder.wants(Format::Png, kind) => {
                let name = folder.mask_name(which);
                folder.write(&name, &mask.to_png())?;
                Ok(Some(name))
            }
            _ => Ok(None),
        }
    }

    /// Whether a format is asked for, or suits a series where none is.
    pub fn wants(&self, format: Format, kind: Kind) -> bool {
        let wants = |folder: &Folder| folder.wants(format, kind);
        self.folder.as_ref().is_some_and(wants)
    }

    /// `<stem>.<prompt>.nii.gz`; of a series that was not done to its end `<stem>.partial.<prompt>.nii.gz`.
    pub fn volume_name(&self, target: usize, prompt: usize, partial: bool) -> String {
        let [stem, slug] = self.parts(target, prompt);
        format!("{stem}{}.{slug}.nii.gz", partial_mark(partial))
    }

    /// `<stem>.<ending>`, or `<stem>.partial.<ending>`.
    pub fn series_name(&self, target: usize, ending: &str, partial: bool) -> String {
        let [stem, _] = self.parts(target, 0);
        format!("{stem}{}.{ending}", partial_mark(partial))
    }

    /// Writes the picture with all masks, if that is asked for.
    ///
    /// # Errors
    /// As [`Output::mask`], and what making it gives.
    pub fn overlay(
        &self,
        kind: Kind,
        which: Which,
        draw: impl FnOnce() -> Result<Vec<u8>, SegmentationError>,
    ) -> Result<()> {
        match &self.folder {
            Some(folder) if folder.wants(Format::Overlay, kind) => {
                let [stem, _] = folder.parts(which.target, which.prompt);
                let name = names::mask(&stem, which.slice, which.frame, "overlay");
                folder.write(&name, &draw()?)
            }
            _ => Ok(()),
        }
    }

    fn parts(&self, target: usize, prompt: usize) -> [String; 2] {
        let folder = self.folder.as_ref();
        folder
            .map(|folder| folder.parts(target, prompt))
            .unwrap_or_default()
    }

    /// Fails where a file of a series is there already, before hours are spent on it.
    ///
    /// # Errors
    /// The first such file, unless it may be replaced.
    pub fn check_free(&self, target: usize, kind: Kind) -> Result<()> {
        let Some(folder) = &self.folder else {
            return Ok(());
        };
        let mut names = Vec::new();
        if folder.wants(Format::Nifti, kind) {
            let prompts = 0..folder.slugs.len();
            names.extend(prompts.map(|prompt| self.volume_name(target, prompt, false)));
        }
        for (format, ending) in Format::of_a_series() {
            if folder.wants(format, kind) {
                names.push(self.series_name(target, ending, false));
            }
        }
        let taken = |name: &&String| folder.path.join(name).exists();
        match names.iter().find(taken) {
            Some(name) if folder.existing == Existing::Keep => Err(already_there(name).into()),
            _ => Ok(()),
        }
    }

    /// Writes a file of the folder, whole or not at all.
    ///
    /// # Errors
    /// A file of that name, unless it may be replaced; what cannot be put into the format.
    pub fn file(
        &self,
        name: &str,
        write: impl FnOnce(&mut dyn io::Write) -> Result<(), SegmentationError>,
    ) -> Result<()> {
        let Some(folder) = &self.folder else {
            return Ok(());
        };
        let mut refused = None;
        let written = atomic_write(&folder.path.join(name), folder.existing, |file| {
            let mut file = io::BufWriter::new(file);
            match write(&mut file) {
                Ok(()) => file.flush(),
                Err(SegmentationError::Write(error)) => Err(error),
                Err(error) => {
                    refused = Some(error);
                    Err(io::Error::other("not written"))
                }
            }
        });
        match (refused, written) {
            (Some(error), _) => Err(error.into()),
            (None, Err(error)) if error.kind() == io::ErrorKind::AlreadyExists => {
                Err(already_there(name).into())
            }
            (None, Err(error)) => Err(not_written(name, &error).into()),
            (None, Ok(())) => Ok(()),
        }
    }

    /// Says a picture's or a series' record and notes it for the table.
    pub fn say(
        &mut self,
        record: &(impl Serialize + Display),
        row: &Row<'_>,
        kind: Kind,
    ) -> Result<()> {
        if self.wants(Format::Csv, kind)
            && let Some(table) = &mut self.table
        {
            table.add(row)?;
        }
        if self.json {
            terminal::json(record)
        } else {
            Ok(say!("{record}")?)
        }
    }

    /// Brings what was noted to the disk: after every picture, so that no end of the program costs more than one.
    pub fn flush(&mut self) -> Result<()> {
        self.table.as_mut().map_or(Ok(()), Table::write)
    }
}

impl Folder {
    fn wants(&self, format: Format, kind: Kind) -> bool {
        let suited: &[Format] = match kind {
            Kind::Image => &[Format::Png],
            Kind::Volume => &[Format::Nifti, Format::Csv],
            Kind::Stack | Kind::Cine => &[Format::Png, Format::Csv],
        };
        let formats = self.formats.as_deref().unwrap_or(suited);
        // A report refers to the segmentation beside it.
        formats.contains(&format) || (format == Format::Seg && formats.contains(&Format::Sr))
    }

    /// The stem of a series and the slug of a prompt.
    fn parts(&self, target: usize, prompt: usize) -> [String; 2] {
        let part = |list: &[String], at: usize| list.get(at).cloned().unwrap_or_default();
        [part(&self.stems, target), part(&self.slugs, prompt)]
    }

    fn mask_name(&self, which: Which) -> String {
        let [stem, slug] = self.parts(which.target, which.prompt);
        names::mask(&stem, which.slice, which.frame, &slug)
    }

    fn write(&self, name: &str, bytes: &[u8]) -> Result<()> {
        let path = self.path.join(name);
        match atomic_write_bytes(&path, self.existing, bytes) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                // The same result again takes nothing away.
                if std::fs::read(&path).is_ok_and(|old| old == bytes) {
                    return Ok(());
                }
                Err(already_there(name).into())
            }
            Err(error) => Err(not_written(name, &error).into()),
            Ok(()) => Ok(()),
        }
    }
}

/// What is not written leaves what was there before.
pub fn not_written(name: &str, error: &io::Error) -> CommandError {
    CommandError {
        code: "OUTPUT-WRITE",
        message: format!("{name} was not written: {error}"),
        next_step: "Check the free space and the folder's permissions, or choose another folder with --out.",
    }
}

fn partial_mark(partial: bool) -> &'static str {
    if partial { ".partial" } else { "" }
}

fn already_there(name: &str) -> CommandError {
    CommandError {
        code: "OUTPUT-EXISTS",
        message: format!("{name} is already there and is another file"),
        next_step: "Use --overwrite to replace it, or choose another folder with --out.",
    }
}
