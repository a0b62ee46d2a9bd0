//! Reads a model folder strictly: the manifest first, then each file's size and SHA-256 before anything of it is
//! used, then one tensor, or any range of its bytes, at a time. A shard is hashed in pieces of 1 MiB, so host memory
//! holds what was asked for and no more.

use std::collections::BTreeSet;

use crate::hash::RunningHash;
use crate::index::{Run, TensorIndex};
use crate::layout::{self, HEADER_LENGTH_BYTES};
use crate::manifest::MANIFEST_FILE;
use crate::{FileEntry, Manifest, Misshapen, Source, TensorInfo, WeightsError};

const CHUNK_BYTES: usize = 1 << 20;
/// A manifest lists 1500 tensors in 200 KB; one of this size is not a manifest.
const MANIFEST_LIMIT_BYTES: u64 = 16 << 20;

/// A model folder opened for reading.
#[derive(Debug)]
pub struct Reader<S> {
    source: S,
    manifest: Manifest,
    tensors: TensorIndex,
    verified: BTreeSet<usize>,
}

impl<S: Source> Reader<S> {
    /// Reads and checks the manifest; no other file is touched.
    ///
    /// # Errors
    /// [`WeightsError::File`], [`WeightsError::Version`] or [`WeightsError::Manifest`].
    pub fn open(source: S) -> Result<Self, WeightsError> {
        let bytes = source.size(MANIFEST_FILE)?;
        if bytes > MANIFEST_LIMIT_BYTES {
            return Err(WeightsError::Manifest {
                reason: format!("it has {bytes} bytes"),
            });
        }
        let bytes = read(&source, MANIFEST_FILE, 0, bytes as usize)?;
        let manifest = Manifest::parse(&bytes)?;
        let tensors = TensorIndex::new(&manifest)?;
        Ok(Self {
            source,
            manifest,
            tensors,
            verified: BTreeSet::new(),
        })
    }

    /// What the manifest says.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// Names of all tensors, in alphabetical order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.tensors.names()
    }

    /// How a tensor is stored.
    ///
    /// # Errors
    /// [`WeightsError::NoSuchTensor`].
    pub fn info(&self, name: &str) -> Result<&TensorInfo, WeightsError> {
        self.tensors.info(name)
    }

    /// Compares the folder's tensors with those of a model, given as canonical name and shape in PyTorch's layout.
    /// Tensors that the model lacks are accepted, and never read, where `accepted` says so.
    ///
    /// # Errors
    /// [`WeightsError::Tensors`], which names all that are missing, unexpected or of another shape.
    pub fn check_tensors<'a>(
        &self,
        expected: impl IntoIterator<Item = (&'a str, &'a [usize])>,
        accepted: impl Fn(&str) -> bool,
    ) -> Result<(), WeightsError> {
        let mut missing = Vec::new();
        let mut misshapen = Vec::new();
        let names = self.names().filter(|name| !accepted(name));
        let mut unexpected: BTreeSet<&str> = names.collect();
        for (name, shape) in expected {
            unexpected.remove(name);
            match self.info(name) {
                Err(_) => missing.push(name.to_owned()),
                Ok(tensor) if tensor.shape != shape => misshapen.push(Misshapen {
                    name: name.to_owned(),
                    expected: shape.to_vec(),
                    found: tensor.shape.clone(),
                }),
                Ok(_) => {}
            }
        }
        if missing.is_empty() && unexpected.is_empty() && misshapen.is_empty() {
            return Ok(());
        }
        Err(WeightsError::Tensors {
            missing,
            unexpected: unexpected.into_iter().map(str::to_owned).collect(),
            misshapen,
        })
    }

    /// Verifies every file; `progress` hears the bytes done and the bytes in all.
    ///
    /// # Errors
    /// As [`Reader::verify_file`], for the first file that is not as the manifest says.
    pub fn verify(&mut self, mut progress: impl FnMut(u64, u64)) -> Result<(), WeightsError> {
        let total = self.manifest.total_bytes();
        let mut done = 0;
        for index in 0..self.manifest.files.len() {
            self.verify_file(index, |bytes| progress(done + bytes, total))?;
            done += self.manifest.files.get(index).map_or(0, |file| file.bytes);
            progress(done, total);
        }
        Ok(())
    }

    /// Verifies the manifest's file number `index` once: size, SHA-256 and, for a shard, its header. `progress` hears
    /// the bytes done. For callers that have other work between two files.
    ///
    /// # Errors
    /// [`WeightsError::File`], [`WeightsError::Truncated`], [`WeightsError::Hash`] or [`WeightsError::Layout`].
    pub fn verify_file(
        &mut self,
        index: usize,
        mut progress: impl FnMut(u64),
    ) -> Result<(), WeightsError> {
        let Some(file) = self.manifest.files.get(index) else {
            return Ok(());
        };
        if self.verified.contains(&index) {
            return Ok(());
        }
        let found = self.source.size(&file.name)?;
        if found != file.bytes {
            return Err(WeightsError::Truncated {
                file: file.name.clone(),
                expected: file.bytes,
                found,
            });
        }
        let mut hash = RunningHash::default();
        let mut buffer = vec![0; CHUNK_BYTES.min(file.bytes as usize)];
        let mut done = 0;
        while done < file.bytes {
            let len = buffer.len().min((file.bytes - done) as usize);
            let chunk = buffer.get_mut(..len).unwrap_or_default();
            self.source.read_at(&file.name, done, chunk)?;
            hash.update(chunk);
            done += len as u64;
            progress(done);
        }
        if hash.finish() != file.sha256 {
            return Err(WeightsError::Hash {
                file: file.name.clone(),
            });
        }
        if !file.tensors.is_empty() {
            let header = read_header(&self.source, file)?;
            layout::check_header(file, &header)?;
        }
        self.verified.insert(index);
        Ok(())
    }

    /// The numbers of the manifest's files that hold a tensor, in the order of its rows.
    ///
    /// # Errors
    /// [`WeightsError::NoSuchTensor`].
    pub fn files_of(&self, name: &str) -> Result<Vec<usize>, WeightsError> {
        self.tensors.files(name)
    }

    /// Whether the folder has this file; a model may be fetched without some of its parts.
    pub fn has_file(&self, name: &str) -> bool {
        self.source.size(name).is_ok()
    }

    /// Takes every file as verified: for a source whose keeper hashed each file when it stored it and lets nobody
    /// else write. Sizes are still checked by the reads themselves.
    pub fn assume_verified(&mut self) {
        self.verified = (0..self.manifest.files.len()).collect();
    }

    /// Fills `buffer` with the stored bytes of a tensor from byte `offset` of its values on, row-major, whatever
    /// files they lie in; each of these is verified first.
    ///
    /// # Errors
    /// [`WeightsError::NoSuchTensor`], [`WeightsError::OutOfRange`], or as [`Reader::verify_file`].
    pub fn read_at(
        &mut self,
        name: &str,
        offset: u64,
        buffer: &mut [u8],
    ) -> Result<(), WeightsError> {
        self.read_run(name, Run::Values, offset, buffer)
    }

    /// As [`Reader::read_at`], of the little-endian f16 scales of a q8 tensor: `[..., ceil(last axis / 32)]`.
    ///
    /// # Errors
    /// As [`Reader::read_at`].
    pub fn read_scales_at(
        &mut self,
        name: &str,
        offset: u64,
        buffer: &mut [u8],
    ) -> Result<(), WeightsError> {
        self.read_run(name, Run::Scales, offset, buffer)
    }

    fn read_run(
        &mut self,
        name: &str,
        run: Run,
        offset: u64,
        mut buffer: &mut [u8],
    ) -> Result<(), WeightsError> {
        for range in self.tensors.ranges(name, run, offset, buffer.len())? {
            self.verify_file(range.file, |_| ())?;
            let (part, rest) = buffer.split_at_mut(range.len);
            if let Some(file) = self.manifest.files.get(range.file) {
                self.source.read_at(&file.name, range.offset, part)?;
            }
            buffer = rest;
        }
        Ok(())
    }

    /// The values of one tensor in row-major order, widened to f32; its files are verified first.
    ///
    /// # Errors
    /// As [`Reader::read_at`].
    pub fn tensor(&mut self, name: &str) -> Result<Vec<f32>, WeightsError> {
        // A damaged manifest must not reserve gigabytes: sizes are compared with the files before a buffer is made.
        for file in self.tensors.files(name)? {
            self.verify_file(file, |_| ())?;
        }
        let info = self.tensors.info(name)?.clone();
        let mut bytes = vec![0; info.bytes as usize];
        let mut scales = vec![0; info.scales_bytes as usize];
        self.read_at(name, 0, &mut bytes)?;
        self.read_scales_at(name, 0, &mut scales)?;
        Ok(layout::decode(&info, &bytes, &scales))
    }

    /// A whole file that the manifest lists, e.g. `tokenizer.json`, after verification.
    ///
    /// # Errors
    /// [`WeightsError::File`] when the manifest does not list it, else as [`Reader::verify_file`].
    pub fn file(&mut self, name: &str) -> Result<Vec<u8>, WeightsError> {
        let position = self.manifest.files.iter().position(|f| f.name == name);
        let index = position.ok_or_else(|| WeightsError::File {
            file: name.to_owned(),
            reason: "the manifest does not list it".to_owned(),
        })?;
        self.verify_file(index, |_| ())?;
        let bytes = self.manifest.files.get(index).map_or(0, |file| file.bytes);
        read(&self.source, name, 0, bytes as usize)
    }
}

/// Asks for the size before the buffer is made: a damaged header must not reserve gigabytes.
fn read(
    source: &impl Source,
    file: &str,
    offset: u64,
    len: usize,
) -> Result<Vec<u8>, WeightsError> {
    let (expected, found) = (offset.saturating_add(len as u64), source.size(file)?);
    if expected > found {
        return Err(WeightsError::Truncated {
            file: file.to_owned(),
            expected,
            found,
        });
    }
    let mut bytes = vec![0; len];
    source.read_at(file, offset, &mut bytes)?;
    Ok(bytes)
}

fn read_header(source: &impl Source, file: &FileEntry) -> Result<Vec<u8>, WeightsError> {
    let not_safetensors = || WeightsError::Layout {
        file: file.name.clone(),
        reason: "it is not a safetensors file".to_owned(),
    };
    if file.bytes < HEADER_LENGTH_BYTES as u64 {
        return Err(not_safetensors());
    }
    let mut length = [0; HEADER_LENGTH_BYTES];
    source.read_at(&file.name, 0, &mut length)?;
    let length = u64::from_le_bytes(length);
    let start = HEADER_LENGTH_BYTES as u64;
    if length > file.bytes - start {
        return Err(not_safetensors());
    }
    read(source, &file.name, start, length as usize)
}
