//! Checkpoints: weights, moments, average and step in one safetensors file, which is whole or not there.
//!
//! Random numbers follow from seed and step, so that the step is all of their state.

use std::borrow::Cow;
use std::collections::HashMap;
use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};

use medsam3_files::{Existing, atomic_write_at};
use safetensors::tensor::{Metadata, View};
use safetensors::{Dtype, SafeTensorError, serialize_to_file};

use crate::adamw::State;
use crate::error::TrainError;
use crate::parameters::Slot;

/// How many checkpoints are kept.
const KEPT: usize = 2;
const PARTS: [&str; 4] = ["weights", "first", "second", "average"];

/// Writes `state` into `folder` and removes all but the last two checkpoints.
///
/// # Errors
/// A folder that cannot be written.
pub fn save(
    folder: &Path,
    slots: &[Slot],
    state: &State,
    seed: u64,
) -> Result<PathBuf, TrainError> {
    let write = |path: &Path, source| TrainError::Write {
        path: path.to_owned(),
        source,
    };
    let parts = [&state.weights, &state.first, &state.second, &state.average];
    let views = PARTS.iter().zip(parts).flat_map(|(part, values)| {
        let held = slots.iter().zip(values).filter(|(_, v)| !v.is_empty());
        held.map(move |(slot, values)| (format!("{part}/{}", slot.name), Values { slot, values }))
    });
    let metadata = HashMap::from([
        ("step".to_owned(), state.step.to_string()),
        ("seed".to_owned(), seed.to_string()),
    ]);

    let path = folder.join(format!("checkpoint-{:07}.safetensors", state.step));
    atomic_write_at(&path, Existing::Replace, |unfinished| {
        let written = serialize_to_file(views, Some(metadata), unfinished);
        written.map_err(|error| match error {
            SafeTensorError::IoError(source) => source,
            other => std::io::Error::other(other.to_string()),
        })
    })
    .map_err(|source| write(&path, source))?;
    let all = list(folder)?;
    for old in &all[..all.len().saturating_sub(KEPT)] {
        std::fs::remove_file(old).map_err(|source| write(old, source))?;
    }
    Ok(path)
}

/// The newest checkpoint of a run.
///
/// # Errors
/// A folder that cannot be read.
pub fn latest(folder: &Path) -> Result<Option<PathBuf>, TrainError> {
    Ok(list(folder)?.pop())
}

fn list(folder: &Path) -> Result<Vec<PathBuf>, TrainError> {
    let read = |source| TrainError::Read {
        path: folder.to_owned(),
        source,
    };
    let mut found: Vec<PathBuf> = std::fs::read_dir(folder)
        .map_err(read)?
        .filter_map(|entry| entry.ok().map(|entry| entry.path()))
        .filter(|path| path.extension().is_some_and(|e| e == "safetensors"))
        .filter(|path| {
            path.file_stem()
                .is_some_and(|s| s.to_string_lossy().starts_with("checkpoint-"))
        })
        .collect();
    found.sort();
    Ok(found)
}

/// Reads a checkpoint for a model with these slots.
///
/// # Errors
/// Unreadable files, tensors that are missing or of another shape, another seed.
pub fn load(path: &Path, slots: &[Slot], seed: u64) -> Result<State, TrainError> {
    let (state, made_with) = read(path, slots)?;
    if made_with != seed {
        return Err(TrainError::Checkpoint {
            path: path.to_owned(),
            reason: "it was made with another seed".to_owned(),
        });
    }
    Ok(state)
}

/// Reads a checkpoint of whatever seed, and the seed. One tensor at a time: at full size the file has 14 GB.
///
/// # Errors
/// Unreadable files, tensors that are missing or of another shape.
pub fn read(path: &Path, slots: &[Slot]) -> Result<(State, u64), TrainError> {
    let mut file = Open::new(path)?;
    let step = usize::try_from(file.number("step")?).map_err(|error| bad(path, &error))?;
    let seed = file.number("seed")?;
    let trained = slots.iter().filter(|slot| slot.state_len(1) > 0).count();
    let found = file.header.tensors().len();
    // A run without an average has one part less.
    let averaged = found == slots.len() + 3 * trained;
    if !averaged && found != slots.len() + 2 * trained {
        let expected = slots.len() + 3 * trained;
        return Err(bad(
            path,
            &format!(
                "it has {found} tensors, not the {expected} of what this configuration trains"
            ),
        ));
    }
    let mut part = |part: &str| -> Result<Vec<Vec<f32>>, TrainError> {
        let held = |slot: &Slot| match part {
            "weights" => true,
            "average" => averaged && slot.state_len(1) > 0,
            _ => slot.state_len(1) > 0,
        };
        slots
            .iter()
            .map(|slot| {
                if held(slot) {
                    file.tensor(&format!("{part}/{}", slot.name), &slot.shape)
                } else {
                    Ok(Vec::new())
                }
            })
            .collect()
    };
    let state = State {
        step,
        weights: part("weights")?,
        first: part("first")?,
        second: part("second")?,
        average: part("average")?,
    };
    Ok((state, seed))
}

fn bad(path: &Path, reason: &dyn std::fmt::Display) -> TrainError {
    TrainError::Checkpoint {
        path: path.to_owned(),
        reason: reason.to_string(),
    }
}

/// Values on their way into a file, turned into bytes when it is their turn.
struct Values<'a> {
    slot: &'a Slot,
    values: &'a [f32],
}

impl View for Values<'_> {
    fn dtype(&self) -> Dtype {
        Dtype::F32
    }

    fn shape(&self) -> &[usize] {
        &self.slot.shape
    }

    fn data(&self) -> Cow<'_, [u8]> {
        self.values.iter().flat_map(|v| v.to_le_bytes()).collect()
    }

    fn data_len(&self) -> usize {
        size_of_val(self.values)
    }
}

/// A file whose header has been read.
struct Open {
    path: PathBuf,
    file: File,
    header: Metadata,
    /// Where the values begin.
    start: u64,
}

impl Open {
    fn new(path: &Path) -> Result<Self, TrainError> {
        let failed = |source| TrainError::Read {
            path: path.to_owned(),
            source,
        };
        let mut file = File::open(path).map_err(failed)?;
        let length = file.metadata().map_err(failed)?.len();
        let mut size = [0; 8];
        file.read_exact(&mut size).map_err(failed)?;
        let size = u64::from_le_bytes(size);
        if size.saturating_add(8) > length {
            return Err(bad(path, &"it is cut short"));
        }
        let mut header = Vec::new();
        (&mut file)
            .take(size)
            .read_to_end(&mut header)
            .map_err(failed)?;
        let header: Metadata =
            serde_json::from_slice(&header).map_err(|error| bad(path, &error))?;
        let start = 8 + size;
        if start + header.data_len() as u64 != length {
            return Err(bad(path, &"it is cut short"));
        }
        Ok(Self {
            path: path.to_owned(),
            file,
            header,
            start,
        })
    }

    fn number(&self, key: &str) -> Result<u64, TrainError> {
        let text = self.header.metadata().as_ref().and_then(|map| map.get(key));
        text.and_then(|text| text.parse().ok())
            .ok_or_else(|| bad(&self.path, &format!("{key} is missing")))
    }

    fn tensor(&mut self, name: &str, shape: &[usize]) -> Result<Vec<f32>, TrainError> {
        let Some(info) = self.header.info(name) else {
            return Err(bad(&self.path, &format!("{name} is missing")));
        };
        let (from, to) = info.data_offsets;
        let count = shape.iter().product::<usize>();
        if info.shape != shape || info.dtype != Dtype::F32 || to - from != 4 * count {
            return Err(bad(
                &self.path,
                &format!("{name} has the shape {:?}, not {shape:?}", info.shape),
            ));
        }
        let failed = |source| TrainError::Read {
            path: self.path.clone(),
            source,
        };
        let mut bytes = vec![0; to - from];
        self.file
            .seek(SeekFrom::Start(self.start + from as u64))
            .and_then(|_| self.file.read_exact(&mut bytes))
            .map_err(failed)?;
        let fours = bytes.as_chunks::<4>().0.iter();
        Ok(fours.map(|&four| f32::from_le_bytes(four)).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn slot(name: &str, shape: &[usize], rate: f32) -> Slot {
        Slot {
            name: name.into(),
            shape: shape.to_vec(),
            linear: false,
            decay: true,
            rate,
            constant: false,
            adapted: false,
        }
    }

    #[test]
    fn a_checkpoint_comes_back_exactly_and_two_are_kept() {
        let folder =
            std::env::temp_dir().join(format!("medsam3-checkpoint-{}", std::process::id()));
        std::fs::create_dir_all(&folder).expect("folder");
        let slots = vec![
            slot("a", &[2, 3], 1.0),
            slot("b", &[1], 1.0),
            slot("frozen", &[2], 0.0),
        ];
        let weights = vec![
            vec![0.1, -1e-30, 3.0, f32::MIN_POSITIVE, 5.5, 6.0],
            vec![7.0],
            vec![8.0, 9.0],
        ];
        let mut state = State::new(weights, &slots);
        assert!(state.first[2].is_empty() && state.average[2].is_empty());
        assert_eq!(state.inference()[2], [8.0, 9.0]);
        for step in 1..=3 {
            state.step = step;
            state.second[0][1] = 0.25 * step as f32;
            save(&folder, &slots, &state, 11).expect("saved");
        }
        let newest = latest(&folder).expect("listed").expect("one");
        assert_eq!(load(&newest, &slots, 11).expect("loaded"), state);
        assert_eq!(list(&folder).expect("listed").len(), 2);
        assert!(matches!(
            load(&newest, &slots, 12),
            Err(TrainError::Checkpoint { .. })
        ));
        let thawed: Vec<Slot> = slots.iter().map(|s| slot(&s.name, &s.shape, 1.0)).collect();
        let turned = [vec![slot("a", &[3, 2], 1.0)], slots[1..].to_vec()].concat();
        for other in [&slots[..2], &thawed, &turned] {
            assert!(matches!(
                load(&newest, other, 11),
                Err(TrainError::Checkpoint { .. })
            ));
        }
        std::fs::remove_dir_all(folder).expect("clean up");
    }
}
