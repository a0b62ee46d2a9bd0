//! `measurements.csv` of the output folder: rows are added, never lost, also where several programs write at once.

use std::io;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use medsam3_files::{Existing, Lock, atomic_write_bytes};

use super::output::not_written;
use super::record::Row;
use crate::failure::CommandError;

const TABLE: &str = "measurements.csv";
/// Held while the table is read and written.
const LOCK_FILE: &str = ".medsam3.lock";

/// The table of an output folder.
pub struct Table {
    path: PathBuf,
    lock: PathBuf,
    overwrite: bool,
    pending: Vec<Vec<String>>,
}

impl Table {
    /// The table of `folder`. With `overwrite`, rows of the same picture and prompt are replaced.
    ///
    /// # Errors
    /// A file of that name that is no table of this program: it is the user's.
    pub fn open(folder: &Path, overwrite: bool) -> Result<Self> {
        let table = Self {
            path: folder.join(TABLE),
            lock: folder.join(LOCK_FILE),
            overwrite,
            pending: Vec::new(),
        };
        table.read()?;
        Ok(table)
    }

    /// Notes a row.
    pub fn add(&mut self, row: &Row<'_>) -> Result<()> {
        self.pending.push(fields(row)?);
        Ok(())
    }

    /// Brings the noted rows to the disk.
    ///
    /// # Errors
    /// A folder that cannot be written; the rows are kept for the next try.
    pub fn write(&mut self) -> Result<()> {
        if self.pending.is_empty() {
            return Ok(());
        }
        // A file system without locks is better written without one than not at all.
        let _lock = match Lock::wait(&self.lock) {
            Err(error) if error.kind() == io::ErrorKind::Unsupported => None,
            other => Some(other.context("locking the table of measurements")?),
        };
        let mut rows = self.read()?;
        if self.overwrite {
            let key = |row: &Vec<String>| row.get(..Row::KEY).map(<[String]>::to_vec);
            rows.retain(|old| !self.pending.iter().any(|new| key(new) == key(old)));
        }
        rows.extend(self.pending.iter().cloned());
        let mut table = csv::Writer::from_writer(Vec::new());
        table.write_record(Row::COLUMNS)?;
        for row in &rows {
            table.write_record(row)?;
        }
        let bytes = table
            .into_inner()
            .context("writing the table of measurements")?;
        atomic_write_bytes(&self.path, Existing::Replace, &bytes)
            .map_err(|error| not_written(TABLE, &error))?;
        self.pending.clear();
        Ok(())
    }

    /// The rows that are there.
    fn read(&self) -> Result<Vec<Vec<String>>> {
        let text = match std::fs::read(&self.path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            other => other.context("reading the table of measurements")?,
        };
        let mut reader = csv::Reader::from_reader(text.as_slice());
        let ours = reader
            .headers()
            .is_ok_and(|found| found == Row::COLUMNS.as_slice());
        let rows: Result<Vec<Vec<String>>, csv::Error> = reader
            .records()
            .map(|row| Ok(row?.iter().map(str::to_owned).collect()))
            .collect();
        match rows {
            Ok(rows) if ours => Ok(rows),
            _ => Err(CommandError {
                code: "OUTPUT-EXISTS",
                message: format!("{TABLE} is already there and is not a table of this version"),
                next_step: "Move it away, or choose another folder with --out.",
            }
            .into()),
        }
    }
}

/// A row as a table has it.
fn fields(row: &Row<'_>) -> Result<Vec<String>> {
    let mut writer = csv::WriterBuilder::new()
        .has_headers(false)
        .from_writer(Vec::new());
    writer.serialize(row)?;
    let bytes = writer.into_inner().context("writing a row")?;
    let mut reader = csv::ReaderBuilder::new()
        .has_headers(false)
        .from_reader(bytes.as_slice());
    let record = reader.records().next().context("writing a row")??;
    Ok(record.iter().map(str::to_owned).collect())
}
