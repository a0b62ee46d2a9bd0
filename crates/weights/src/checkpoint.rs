//! Published checkpoints, read tensor by tensor: PyTorch's `.pt` (a zip archive with a pickle, which is read as data
//! and never executed) and safetensors. Only the model is looked at; an optimizer's state beside it is never read.

mod element;
mod error;
mod pickle;
mod pytorch;
mod safetensors;
mod sharded;

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use element::Element;
pub use error::CheckpointError;

/// What a file's first bytes say: a zip archive.
const ZIP: &[u8; 4] = b"PK\x03\x04";

/// An open checkpoint.
pub struct Checkpoint {
    tensors: BTreeMap<String, Stored>,
    left_out: Vec<String>,
    container: Container,
}

enum Container {
    PyTorch(pytorch::Archive),
    Safetensors(Vec<File>),
}

/// A tensor in the file.
#[derive(Debug, Clone)]
struct Stored {
    element: Element,
    shape: Vec<usize>,
    place: Place,
}

#[derive(Debug, Clone)]
enum Place {
    /// A member of the archive, seen through strides; both counted in elements.
    Member {
        member: usize,
        offset: usize,
        strides: Vec<usize>,
    },
    /// Which of the files, and bytes from its start.
    File { file: usize, offset: u64 },
}

impl Checkpoint {
    /// Reads the table of contents; no tensor is read.
    ///
    /// # Errors
    /// [`CheckpointError::File`], [`CheckpointError::Format`], [`CheckpointError::Truncated`],
    /// [`CheckpointError::ZipBomb`], [`CheckpointError::Global`] or [`CheckpointError::Pickle`].
    pub fn open(path: impl AsRef<Path>) -> Result<Self, CheckpointError> {
        let path = path.as_ref();
        let mut file = File::open(path).map_err(unreadable)?;
        let mut start = Vec::new();
        let length = file.metadata().map_err(unreadable)?.len();
        file.by_ref()
            .take(ZIP.len() as u64)
            .read_to_end(&mut start)
            .map_err(unreadable)?;
        if start == ZIP {
            let (archive, tensors, left_out) = pytorch::open(file, length)?;
            return Ok(Self {
                tensors: unwrapped(tensors),
                left_out,
                container: Container::PyTorch(archive),
            });
        }
        let (files, tensors) = match sharded::index(&mut file, length)? {
            Some(index) => sharded::open(path, &index)?,
            None => {
                let tensors = safetensors::open(&mut file, length, 0)?;
                (vec![file], tensors)
            }
        };
        Ok(Self {
            tensors: unwrapped(tensors),
            left_out: Vec::new(),
            container: Container::Safetensors(files),
        })
    }

    /// Names and shapes of the model's tensors, in alphabetical order.
    pub fn tensors(&self) -> impl Iterator<Item = (&str, &[usize])> {
        let shape = |(name, stored)| -> (&str, &[usize]) {
            let (name, stored): (&String, &Stored) = (name, stored);
            (name, &stored.shape)
        };
        self.tensors.iter().map(shape)
    }

    /// The shape of a tensor.
    #[must_use]
    pub fn shape(&self, name: &str) -> Option<&[usize]> {
        self.tensors.get(name).map(|stored| stored.shape.as_slice())
    }

    /// What lies beside the model in the file and is never read, e.g. `optimizer`.
    #[must_use]
    pub fn left_out(&self) -> &[String] {
        &self.left_out
    }

    /// Values of a tensor in row-major order, as f32.
    ///
    /// # Errors
    /// [`CheckpointError::Tensors`] when there is none of that name, [`CheckpointError::Dtype`] when it holds no
    /// floating-point numbers, [`CheckpointError::Truncated`], [`CheckpointError::ZipBomb`] or
    /// [`CheckpointError::File`].
    pub fn read(&mut self, name: &str) -> Result<Vec<f32>, CheckpointError> {
        let stored = self.tensors.get(name);
        let stored = stored.ok_or_else(|| CheckpointError::Tensors {
            missing: vec![name.to_owned()],
            unexpected: Vec::new(),
            misshapen: Vec::new(),
        })?;
        if let Element::Other(dtype) = &stored.element {
            return Err(CheckpointError::Dtype {
                name: name.to_owned(),
                dtype: dtype.clone(),
            });
        }
        match (&mut self.container, &stored.place) {
            (Container::Safetensors(files), Place::File { file, offset }) => {
                let file = files.get_mut(*file);
                let file = file.ok_or_else(|| nowhere(name))?;
                safetensors::read(file, name, stored, *offset)
            }
            (
                Container::PyTorch(archive),
                Place::Member {
                    member,
                    offset,
                    strides,
                },
            ) => archive.read(name, stored, *member, *offset, strides),
            // Each container makes places of its own kind only.
            _ => Err(nowhere(name)),
        }
    }
}

fn nowhere(name: &str) -> CheckpointError {
    CheckpointError::Format {
        reason: format!("\"{name}\" lies nowhere"),
    }
}

/// What trainers put in front of every name: wrappers of PyTorch for several GPUs and for compiled models, and the
/// modules that hold the model.
const WRAPPERS: [&str; 5] = ["module.", "_orig_mod.", "state_dict.", "model.", "ema."];

/// The tensors without the prefixes that all of them share.
fn unwrapped(mut tensors: BTreeMap<String, Stored>) -> BTreeMap<String, Stored> {
    let shared = |tensors: &BTreeMap<String, Stored>| {
        let all = |prefix: &&str| tensors.keys().all(|name| name.starts_with(*prefix));
        WRAPPERS.into_iter().find(all)
    };
    while !tensors.is_empty()
        && let Some(prefix) = shared(&tensors)
    {
        let strip = |(name, stored): (String, Stored)| {
            let plain = name.strip_prefix(prefix).unwrap_or(&name).to_owned();
            (plain, stored)
        };
        tensors = tensors.into_iter().map(strip).collect();
    }
    tensors
}

/// The system's error, without the path: that is the user's.
#[allow(clippy::needless_pass_by_value)]
fn unreadable(error: std::io::Error) -> CheckpointError {
    CheckpointError::File {
        reason: error.to_string(),
    }
}

#[cfg(test)]
mod tests;
