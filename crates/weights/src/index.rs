//! Where each tensor lies: the files that hold its rows, in order, so that any range of its bytes can be read without
//! the caller knowing of shards. Built from a manifest, which it also checks.

use std::collections::BTreeMap;

use crate::manifest::count;
use crate::{Manifest, Precision, TensorEntry, WeightsError};

/// What can be asked of a tensor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TensorInfo {
    /// How its values are stored.
    pub dtype: Precision,
    /// Shape in PyTorch's layout.
    pub shape: Vec<usize>,
    /// Bytes of all its values.
    pub bytes: u64,
    /// Bytes of all its scales; 0 unless q8.
    pub scales_bytes: u64,
}

/// A tensor's two runs of bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Run {
    Values,
    Scales,
}

/// The bytes of a tensor that one file holds.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Piece {
    file: usize,
    first_row: usize,
    end_row: usize,
    values: Range,
    scales: Range,
}

/// Bytes of a run: where they begin in the file and how many they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Range {
    offset: u64,
    len: u64,
}

/// Bytes to read from one file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct FileRange {
    pub(crate) file: usize,
    pub(crate) offset: u64,
    pub(crate) len: usize,
}

#[derive(Debug)]
struct Tensor {
    info: TensorInfo,
    pieces: Vec<Piece>,
}

/// All tensors of a model folder by canonical name.
#[derive(Debug)]
pub(crate) struct TensorIndex(BTreeMap<String, Tensor>);

impl TensorIndex {
    /// Refuses tensors that lie outside their file, are there twice, or in part only.
    pub(crate) fn new(manifest: &Manifest) -> Result<Self, WeightsError> {
        let mut tensors: BTreeMap<String, Tensor> = BTreeMap::new();
        for (file, entry) in manifest.files.iter().enumerate() {
            for tensor in &entry.tensors {
                let piece = piece(file, entry.bytes, tensor)
                    .ok_or_else(|| invalid(format!("\"{}\" lies outside its file", tensor.name)))?;
                let known = tensors
                    .entry(tensor.name.clone())
                    .or_insert_with(|| Tensor {
                        info: TensorInfo {
                            dtype: tensor.dtype,
                            shape: tensor.shape.clone(),
                            bytes: 0,
                            scales_bytes: 0,
                        },
                        pieces: Vec::new(),
                    });
                if known.info.dtype != tensor.dtype || known.info.shape != tensor.shape {
                    return Err(invalid(format!(
                        "\"{}\" has two dtypes or shapes",
                        tensor.name
                    )));
                }
                known.info.bytes += piece.values.len;
                known.info.scales_bytes += piece.scales.len;
                known.pieces.push(piece);
            }
        }
        for (name, tensor) in &mut tensors {
            complete(name, tensor)?;
        }
        Ok(Self(tensors))
    }

    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    pub(crate) fn info(&self, name: &str) -> Result<&TensorInfo, WeightsError> {
        self.tensor(name).map(|tensor| &tensor.info)
    }

    /// The files that hold a tensor, in the order of its rows.
    pub(crate) fn files(&self, name: &str) -> Result<Vec<usize>, WeightsError> {
        let pieces = &self.tensor(name)?.pieces;
        Ok(pieces.iter().map(|piece| piece.file).collect())
    }

    /// The file ranges that together are bytes `offset..offset + len` of a run, in order.
    pub(crate) fn ranges(
        &self,
        name: &str,
        run: Run,
        offset: u64,
        len: usize,
    ) -> Result<Vec<FileRange>, WeightsError> {
        let Tensor { info, pieces } = self.tensor(name)?;
        let bytes = match run {
            Run::Values => info.bytes,
            Run::Scales => info.scales_bytes,
        };
        let end = offset.checked_add(len as u64);
        let Some(end) = end.filter(|end| *end <= bytes) else {
            return Err(WeightsError::OutOfRange {
                name: name.to_owned(),
                bytes,
                offset,
                len,
            });
        };
        let mut ranges = Vec::new();
        let mut start_of_piece = 0;
        for piece in pieces {
            let range = match run {
                Run::Values => piece.values,
                Run::Scales => piece.scales,
            };
            let end_of_piece = start_of_piece + range.len;
            let (from, to) = (offset.max(start_of_piece), end.min(end_of_piece));
            if from < to {
                ranges.push(FileRange {
                    file: piece.file,
                    offset: range.offset + (from - start_of_piece),
                    len: (to - from) as usize,
                });
            }
            start_of_piece = end_of_piece;
        }
        Ok(ranges)
    }

    fn tensor(&self, name: &str) -> Result<&Tensor, WeightsError> {
        self.0.get(name).ok_or_else(|| WeightsError::NoSuchTensor {
            name: name.to_owned(),
        })
    }
}

fn invalid(reason: String) -> WeightsError {
    WeightsError::Manifest { reason }
}

/// `None` where the entry does not lie within a file of `file_bytes`.
fn piece(file: usize, file_bytes: u64, tensor: &TensorEntry) -> Option<Piece> {
    let rows = tensor.shape.first().copied().unwrap_or(1);
    let [first_row, end_row] = tensor.rows.unwrap_or([0, rows]);
    let cut_well = tensor.rows.is_none()
        || (first_row < end_row && end_row <= rows && !tensor.shape.is_empty());
    let within = |range: &Range| {
        let end = range.offset.checked_add(range.len);
        end.is_some_and(|end| end <= file_bytes)
    };
    let values = Range {
        offset: tensor.offset,
        len: tensor.bytes()? as u64,
    };
    let scales = Range {
        offset: tensor.scales_offset.unwrap_or(0),
        len: tensor.scales_bytes()? as u64,
    };
    // The whole must be countable too, or sums of pieces could overflow.
    count(&tensor.shape)?.checked_mul(tensor.dtype.bytes())?;
    let has_scales = tensor.dtype == Precision::Q8;
    let good = cut_well
        && within(&values)
        && within(&scales)
        && tensor.scales_offset.is_some() == has_scales;
    good.then_some(Piece {
        file,
        first_row,
        end_row,
        values,
        scales,
    })
}

/// The pieces of a tensor are all of its rows, each once.
fn complete(name: &str, tensor: &mut Tensor) -> Result<(), WeightsError> {
    tensor.pieces.sort_by_key(|piece| piece.first_row);
    let rows = tensor.info.shape.first().copied().unwrap_or(1);
    let mut next = 0;
    for piece in &tensor.pieces {
        if piece.first_row < next || (piece.first_row == next && next == rows && rows > 0) {
            return Err(invalid(format!("it names the tensor \"{name}\" twice")));
        }
        if piece.first_row > next {
            break;
        }
        next = piece.end_row;
    }
    if next != rows {
        return Err(invalid(format!("\"{name}\" lacks its rows from {next} on")));
    }
    if rows == 0 && tensor.pieces.len() > 1 {
        return Err(invalid(format!("it names the tensor \"{name}\" twice")));
    }
    Ok(())
}
