//! The zip archive of a checkpoint: its members by number, stored ones read by range, packed ones unpacked as far as
//! asked and no further. What claims to unpack to more than weights ever do is refused before it is unpacked.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read, Seek as _, SeekFrom};

use flate2::read::DeflateDecoder;
use rawzip::{CompressionMethod, ErrorKind, RECOMMENDED_BUFFER_SIZE, ZipArchive};

use super::super::safetensors::read_elements;
use super::super::{CheckpointError, Stored, unreadable};

/// The pickle of a training checkpoint with 4,400 tensors has 1 MB.
const PICKLE_LIMIT_BYTES: u64 = 16 << 20;
/// Weights pack to nine tenths of their size; a run of zeros to a thousandth.
const RATIO_LIMIT: u64 = 100;
/// Below this nobody is harmed.
const HARMLESS_BYTES: u64 = 1 << 20;

/// A checkpoint has a member for each of some thousand tensors.
const MEMBER_LIMIT: usize = 1_000_000;

pub(in super::super) struct Archive {
    file: File,
    members: Vec<Member>,
    by_name: BTreeMap<String, usize>,
    /// The archive's one folder, with its slash.
    folder: String,
}

struct Member {
    name: String,
    deflated: bool,
    /// Bytes from the start of the file.
    start: u64,
    /// Bytes in the archive and unpacked.
    packed_bytes: u64,
    bytes: u64,
}

impl Archive {
    pub(super) fn open(file: File, file_bytes: u64) -> Result<Self, CheckpointError> {
        let (file, members) = members(file, file_bytes)?;
        let mut by_name = BTreeMap::new();
        for (index, member) in members.iter().enumerate() {
            member.check(file_bytes)?;
            if by_name.insert(member.name.clone(), index).is_some() {
                return Err(format(format!("\"{}\" is in it twice", member.name)));
            }
        }
        let is_pickle =
            |name: &&String| name.ends_with("/data.pkl") && name.matches('/').count() == 1;
        let pickle = by_name.keys().find(is_pickle);
        let pickle = pickle.ok_or_else(|| {
            format("the archive has no data.pkl, so torch.save did not write it".to_owned())
        })?;
        let folder = pickle.trim_end_matches("data.pkl").to_owned();
        let mut archive = Self {
            file,
            members,
            by_name,
            folder,
        };
        archive.refuse_big_endian()?;
        Ok(archive)
    }

    fn refuse_big_endian(&mut self) -> Result<(), CheckpointError> {
        let Some(&index) = self.by_name.get(&format!("{}byteorder", self.folder)) else {
            return Ok(());
        };
        let order = self.whole(index, 16)?;
        if order == b"little" {
            return Ok(());
        }
        Err(format("its numbers are not little-endian".to_owned()))
    }

    pub(super) fn pickle(&mut self) -> Result<Vec<u8>, CheckpointError> {
        let name = format!("{}data.pkl", self.folder);
        let index = self.by_name.get(&name).copied().unwrap_or(usize::MAX);
        self.whole(index, PICKLE_LIMIT_BYTES)
    }

    /// Number and unpacked bytes of a storage.
    pub(super) fn storage(&self, key: &str) -> Option<(usize, u64)> {
        let index = *self.by_name.get(&format!("{}data/{key}", self.folder))?;
        Some((index, self.members.get(index)?.bytes))
    }

    /// A member of at most `limit` bytes.
    fn whole(&mut self, index: usize, limit: u64) -> Result<Vec<u8>, CheckpointError> {
        let Some(member) = self.members.get(index) else {
            return Ok(Vec::new());
        };
        let bomb = |unpacked: u64| CheckpointError::ZipBomb {
            member: member.name.clone(),
            packed: member.packed_bytes,
            unpacked,
        };
        if member.bytes > limit {
            return Err(bomb(member.bytes));
        }
        let mut bytes = Vec::new();
        // The table of contents may lie about the size.
        let mut unpacked = member.reader(&mut self.file, 0)?.take(limit + 1);
        let read = unpacked.read_to_end(&mut bytes);
        if bytes.len() as u64 > limit {
            return Err(bomb(bytes.len() as u64));
        }
        read.map_err(|e| damaged(&member.name, &e))?;
        Ok(bytes)
    }

    /// Values of a tensor that was compared with its storage.
    pub(in super::super) fn read(
        &mut self,
        name: &str,
        stored: &Stored,
        index: usize,
        offset: usize,
        strides: &[usize],
    ) -> Result<Vec<f32>, CheckpointError> {
        let Some(member) = self.members.get(index) else {
            return Ok(Vec::new());
        };
        let (shape, element) = (&stored.shape, &stored.element);
        let count: usize = shape.iter().product();
        let last = shape.iter().zip(strides);
        let last: usize = last
            .map(|(side, stride)| side.saturating_sub(1) * stride)
            .sum();
        let in_order = is_row_major(shape, strides);
        let span = if in_order { count } else { last + 1 };
        let skip = (offset * element.bytes()) as u64;
        let mut reader = member.reader(&mut self.file, skip)?;
        let values = read_elements(&mut reader, name, element, span)?;
        if in_order || count == 0 {
            return Ok(values);
        }
        Ok(gather(&values, shape, strides, count))
    }
}

impl Member {
    /// Its bytes from byte `skip` of what it unpacks to.
    fn reader<'a>(
        &self,
        file: &'a mut File,
        skip: u64,
    ) -> Result<Box<dyn Read + 'a>, CheckpointError> {
        let from = if self.deflated { 0 } else { skip };
        let seek = SeekFrom::Start(self.start.saturating_add(from));
        file.seek(seek).map_err(unreadable)?;
        let stored = file.take(self.packed_bytes.saturating_sub(from));
        if !self.deflated {
            return Ok(Box::new(stored));
        }
        let mut unpacked = DeflateDecoder::new(stored);
        let skipped = std::io::copy(&mut unpacked.by_ref().take(skip), &mut std::io::sink());
        skipped.map_err(|e| damaged(&self.name, &e))?;
        Ok(Box::new(unpacked))
    }

    /// Compares its sizes with each other and with the file's.
    fn check(&self, file_bytes: u64) -> Result<(), CheckpointError> {
        let end = self.start.saturating_add(self.packed_bytes);
        if end > file_bytes {
            return Err(CheckpointError::Truncated {
                what: format!("the member \"{}\"", self.name),
                expected: end,
                found: file_bytes,
            });
        }
        if !self.deflated && self.bytes != self.packed_bytes {
            return Err(format(format!("\"{}\" has two sizes", self.name)));
        }
        let allowed = self.packed_bytes.saturating_mul(RATIO_LIMIT);
        if self.bytes > allowed.max(HARMLESS_BYTES) {
            return Err(CheckpointError::ZipBomb {
                member: self.name.clone(),
                packed: self.packed_bytes,
                unpacked: self.bytes,
            });
        }
        Ok(())
    }
}

/// All members, by the table of contents at the end of the file and the header in front of each.
fn members(file: File, file_bytes: u64) -> Result<(File, Vec<Member>), CheckpointError> {
    let mut buffer = vec![0; RECOMMENDED_BUFFER_SIZE];
    let refused = |error: rawzip::Error| match error.into_kind() {
        // It begins as an archive does, so what is missing is its end.
        ErrorKind::MissingEndOfCentralDirectory
        | ErrorKind::InvalidEndOfCentralDirectory
        | ErrorKind::Eof => CheckpointError::Truncated {
            what: "the archive with its table of contents".to_owned(),
            expected: file_bytes.saturating_add(1),
            found: file_bytes,
        },
        ErrorKind::IO(error) => unreadable(error),
        other => format(format!("the archive: {other}")),
    };
    let zip = ZipArchive::from_file(file, &mut buffer).map_err(refused)?;
    let mut found = Vec::new();
    let mut entries = zip.entries(&mut buffer);
    while let Some(entry) = entries.next_entry().map_err(refused)? {
        let name = String::from_utf8_lossy(entry.file_path().as_bytes()).into_owned();
        let deflated = entry.compression_method() == CompressionMethod::DEFLATE;
        if !deflated && entry.compression_method() != CompressionMethod::STORE {
            return Err(format(format!(
                "\"{name}\" is packed in another way than deflate"
            )));
        }
        if entry.flags().is_encrypted() {
            return Err(format(format!("\"{name}\" is encrypted")));
        }
        if found.len() >= MEMBER_LIMIT {
            return Err(format("it has more members than any checkpoint".to_owned()));
        }
        found.push((name, deflated, entry.wayfinder()));
    }
    let mut members = Vec::with_capacity(found.len());
    for (name, deflated, wayfinder) in found {
        let (start, end) = zip
            .get_entry(wayfinder)
            .map_err(refused)?
            .compressed_data_range();
        members.push(Member {
            name,
            deflated,
            start,
            packed_bytes: end.saturating_sub(start),
            bytes: wayfinder.uncompressed_size_hint(),
        });
    }
    Ok((zip.into_inner().into_inner(), members))
}

/// Whether elements lie one behind the other; an axis of one element may have any stride.
fn is_row_major(shape: &[usize], strides: &[usize]) -> bool {
    let mut step = 1;
    for (side, stride) in shape.iter().zip(strides).rev() {
        if *side != 1 && *stride != step {
            return false;
        }
        step *= side;
    }
    true
}

/// Row-major values of a view whose first element is the first of `values`.
fn gather(values: &[f32], shape: &[usize], strides: &[usize], count: usize) -> Vec<f32> {
    let mut index = vec![0; shape.len()];
    let mut from = 0;
    let mut gathered = Vec::with_capacity(count);
    for _ in 0..count {
        gathered.push(values.get(from).copied().unwrap_or(f32::NAN));
        for ((place, side), stride) in index.iter_mut().zip(shape).zip(strides).rev() {
            *place += 1;
            from += stride;
            if *place < *side {
                break;
            }
            from -= stride * side;
            *place = 0;
        }
    }
    gathered
}

fn damaged(member: &str, error: &std::io::Error) -> CheckpointError {
    format(format!("\"{member}\" cannot be unpacked: {error}"))
}

fn format(reason: String) -> CheckpointError {
    CheckpointError::Format { reason }
}
