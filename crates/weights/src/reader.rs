//! Reads a model folder strictly: the manifest first, then each file's size and SHA-256 before anything of it is
//! used, then one tensor at a time. A shard is hashed in pieces of 1 MiB, so host memory holds one tensor at most.

use std::collections::{BTreeMap, BTreeSet};

use crate::hash::RunningHash;
use crate::layout::{self, HEADER_LENGTH_BYTES};
use crate::manifest::MANIFEST_FILE;
use crate::{FileEntry, Manifest, Misshapen, Source, TensorEntry, WeightsError};

const CHUNK_BYTES: u64 = 1 << 20;
/// A manifest lists 1500 tensors in 200 KB; one of this size is not a manifest.
const MANIFEST_LIMIT_BYTES: u64 = 16 << 20;

/// A model folder opened for reading.
#[derive(Debug)]
pub struct Reader<S> {
    source: S,
    manifest: Manifest,
    /// Tensor name -> index of the file, index within the file.
    tensors: BTreeMap<String, (usize, usize)>,
    verified: BTreeSet<usize>,
}

impl<S: Source> Reader<S> {
    /// Reads and checks the manifest; no other file is touched.
    ///
    /// # Errors
    /// [`WeightsError::File`], [`WeightsError::Version`] or [`WeightsError::Manifest`].
    pub async fn open(source: S) -> Result<Self, WeightsError> {
        let bytes = source.size(MANIFEST_FILE).await?;
        if bytes > MANIFEST_LIMIT_BYTES {
            return Err(WeightsError::Manifest {
                reason: format!("it has {bytes} bytes"),
            });
        }
        let bytes = source.read(MANIFEST_FILE, 0, bytes as usize).await?;
        let manifest = Manifest::parse(&bytes)?;
        let mut tensors = BTreeMap::new();
        for (file_index, file) in manifest.files.iter().enumerate() {
            for (tensor_index, tensor) in file.tensors.iter().enumerate() {
                tensors.insert(tensor.name.clone(), (file_index, tensor_index));
            }
        }
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
        let mut unexpected: BTreeSet<&str> = self
            .tensors
            .keys()
            .map(String::as_str)
            .filter(|name| !accepted(name))
            .collect();
        for (name, shape) in expected {
            unexpected.remove(name);
            match self.entry(name) {
                Err(_) => missing.push(name.to_owned()),
                Ok((_, _, tensor)) if tensor.shape != shape => misshapen.push(Misshapen {
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
    /// As [`Reader::tensor`], for the first file that is not as the manifest says.
    pub async fn verify(&mut self, mut progress: impl FnMut(u64, u64)) -> Result<(), WeightsError> {
        let total = self.manifest.total_bytes();
        let mut done = 0;
        for index in 0..self.manifest.files.len() {
            let before = done;
            self.verify_file(index, |bytes| progress(before + bytes, total))
                .await?;
            done += self.manifest.files.get(index).map_or(0, |file| file.bytes);
            progress(done, total);
        }
        Ok(())
    }

    /// The values of one tensor in row-major order; its file is verified first.
    ///
    /// # Errors
    /// [`WeightsError::NoSuchTensor`], [`WeightsError::File`], [`WeightsError::Truncated`],
    /// [`WeightsError::Hash`] or [`WeightsError::Layout`].
    pub async fn tensor(&mut self, name: &str) -> Result<Vec<f32>, WeightsError> {
        let (file_index, _, _) = self.entry(name)?;
        self.verify_file(file_index, |_| ()).await?;
        let (_, file, tensor) = self.entry(name)?;
        // `Manifest::parse` refused shapes that overflow.
        let bytes = tensor.bytes().unwrap_or(0);
        let bytes = self.source.read(&file.name, tensor.offset, bytes).await?;
        Ok(layout::decode(tensor, &bytes))
    }

    /// A whole file that the manifest lists, e.g. `tokenizer.json`, after verification.
    ///
    /// # Errors
    /// [`WeightsError::File`] when the manifest does not list it, else as [`Reader::tensor`].
    pub async fn file(&mut self, name: &str) -> Result<Vec<u8>, WeightsError> {
        let position = self.manifest.files.iter().position(|f| f.name == name);
        let unlisted = || WeightsError::File {
            file: name.to_owned(),
            reason: "the manifest does not list it".to_owned(),
        };
        let index = position.ok_or_else(unlisted)?;
        self.verify_file(index, |_| ()).await?;
        let file = self.manifest.files.get(index).ok_or_else(unlisted)?;
        self.source.read(name, 0, file.bytes as usize).await
    }

    fn entry(&self, name: &str) -> Result<(usize, &FileEntry, &TensorEntry), WeightsError> {
        let find = || {
            let &(file_index, tensor_index) = self.tensors.get(name)?;
            let file = self.manifest.files.get(file_index)?;
            Some((file_index, file, file.tensors.get(tensor_index)?))
        };
        find().ok_or_else(|| WeightsError::NoSuchTensor {
            name: name.to_owned(),
        })
    }

    /// Size, SHA-256 and, for a shard, header; each file once.
    async fn verify_file(
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
        let found = self.source.size(&file.name).await?;
        if found != file.bytes {
            return Err(WeightsError::Truncated {
                file: file.name.clone(),
                expected: file.bytes,
                found,
            });
        }
        let mut hash = RunningHash::default();
        let mut done = 0;
        while done < file.bytes {
            let len = CHUNK_BYTES.min(file.bytes - done);
            hash.update(&self.source.read(&file.name, done, len as usize).await?);
            done += len;
            progress(done);
        }
        if hash.finish() != file.sha256 {
            return Err(WeightsError::Hash {
                file: file.name.clone(),
            });
        }
        if !file.tensors.is_empty() {
            let header = read_header(&self.source, file).await?;
            layout::check_header(file, &header)?;
        }
        self.verified.insert(index);
        Ok(())
    }
}

async fn read_header(source: &impl Source, file: &FileEntry) -> Result<Vec<u8>, WeightsError> {
    let not_safetensors = || WeightsError::Layout {
        file: file.name.clone(),
        reason: "it is not a safetensors file".to_owned(),
    };
    if file.bytes < HEADER_LENGTH_BYTES as u64 {
        return Err(not_safetensors());
    }
    let length = source.read(&file.name, 0, HEADER_LENGTH_BYTES).await?;
    let length: [u8; HEADER_LENGTH_BYTES] = length
        .try_into()
        .map_err(|_wrong_length: Vec<u8>| not_safetensors())?;
    let length = u64::from_le_bytes(length);
    if length > file.bytes - HEADER_LENGTH_BYTES as u64 {
        return Err(not_safetensors());
    }
    let start = HEADER_LENGTH_BYTES as u64;
    source.read(&file.name, start, length as usize).await
}
