//! A model folder that lies in the browser's memory, outside the module's: reads copy only the range
//! asked for, so that the module never holds a whole shard.

use std::collections::BTreeMap;

use js_sys::Uint8Array;
use medsam3_weights::{Source, WeightsError};

/// The files that the page handed over.
pub struct PageSource {
    files: BTreeMap<String, Uint8Array>,
}

impl PageSource {
    /// Pairs names with buffers.
    pub fn new(names: Vec<String>, buffers: Vec<Uint8Array>) -> Self {
        Self {
            files: names.into_iter().zip(buffers).collect(),
        }
    }

    fn file(&self, name: &str) -> Result<&Uint8Array, WeightsError> {
        self.files.get(name).ok_or_else(|| WeightsError::File {
            file: name.to_owned(),
            reason: "it was not handed over".to_owned(),
        })
    }
}

impl Source for PageSource {
    fn size(&self, file: &str) -> Result<u64, WeightsError> {
        Ok(u64::from(self.file(file)?.length()))
    }

    fn read_at(&self, file: &str, offset: u64, buffer: &mut [u8]) -> Result<(), WeightsError> {
        let bytes = self.file(file)?;
        let end = offset.saturating_add(buffer.len() as u64);
        let range = u32::try_from(offset).ok().zip(u32::try_from(end).ok());
        match range {
            Some((start, end)) if end <= bytes.length() => {
                bytes.subarray(start, end).copy_to(buffer);
                Ok(())
            }
            _ => Err(WeightsError::Truncated {
                file: file.to_owned(),
                expected: end,
                found: u64::from(bytes.length()),
            }),
        }
    }
}
