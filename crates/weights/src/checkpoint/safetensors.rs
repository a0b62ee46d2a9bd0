//! A safetensors file of any size: its header, then one tensor at a time by range.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom};

use safetensors::Dtype;
use safetensors::tensor::Metadata;

use super::element::Element;
use super::{CheckpointError, Place, Stored, unreadable};
use crate::layout::HEADER_LENGTH_BYTES;

/// The format's own limit of a header.
const HEADER_LIMIT_BYTES: u64 = 100_000_000;
/// Read at a time: a whole number of elements of any kind.
pub(super) const CHUNK_BYTES: usize = 4 << 20;

/// The tensors of the file, which has this number among those of its checkpoint.
pub(super) fn open(
    file: &mut File,
    file_bytes: u64,
    number: usize,
) -> Result<BTreeMap<String, Stored>, CheckpointError> {
    let no = |reason: String| CheckpointError::Format { reason };
    let neither = || no("it is neither a PyTorch archive nor safetensors".to_owned());
    let mut length = [0; HEADER_LENGTH_BYTES];
    file.rewind().map_err(unreadable)?;
    file.read_exact(&mut length).map_err(|_short| neither())?;
    let length = u64::from_le_bytes(length);
    let data_start = length.saturating_add(HEADER_LENGTH_BYTES as u64);
    if length > HEADER_LIMIT_BYTES {
        return Err(neither());
    }
    if data_start > file_bytes {
        return Err(CheckpointError::Truncated {
            what: "the header".to_owned(),
            expected: data_start,
            found: file_bytes,
        });
    }
    let mut header = vec![0; length as usize];
    file.read_exact(&mut header).map_err(unreadable)?;
    if header.first() != Some(&b'{') {
        return Err(neither());
    }
    let metadata: Metadata =
        serde_json::from_slice(&header).map_err(|e| no(format!("its safetensors header: {e}")))?;
    let mut tensors = BTreeMap::new();
    for (name, info) in metadata.tensors() {
        let (start, end) = info.data_offsets;
        let end = data_start.saturating_add(end as u64);
        if end > file_bytes {
            return Err(CheckpointError::Truncated {
                what: format!("the tensor \"{name}\""),
                expected: end,
                found: file_bytes,
            });
        }
        let stored = Stored {
            element: element(info.dtype),
            shape: info.shape.clone(),
            place: Place::File {
                file: number,
                offset: data_start + start as u64,
            },
        };
        tensors.insert(name, stored);
    }
    Ok(tensors)
}

fn element(dtype: Dtype) -> Element {
    match dtype {
        Dtype::F64 => Element::F64,
        Dtype::F32 => Element::F32,
        Dtype::F16 => Element::F16,
        Dtype::BF16 => Element::Bf16,
        other => Element::Other(format!("{other:?}").to_lowercase()),
    }
}

/// The header's sizes were compared with the file's and with each other.
pub(super) fn read(
    file: &mut File,
    name: &str,
    stored: &Stored,
    offset: u64,
) -> Result<Vec<f32>, CheckpointError> {
    let elements = stored.shape.iter().product::<usize>();
    file.seek(SeekFrom::Start(offset)).map_err(unreadable)?;
    read_elements(file, name, &stored.element, elements)
}

/// `elements` from where the reader is, a few MiB of bytes at a time.
pub(super) fn read_elements(
    reader: &mut impl std::io::Read,
    name: &str,
    element: &Element,
    elements: usize,
) -> Result<Vec<f32>, CheckpointError> {
    let mut left = elements * element.bytes();
    let mut values = Vec::with_capacity(elements);
    let mut buffer = vec![0; CHUNK_BYTES.min(left)];
    while left > 0 {
        let len = buffer.len().min(left);
        let chunk = buffer.get_mut(..len).unwrap_or_default();
        reader
            .read_exact(chunk)
            .map_err(|error| match error.kind() {
                std::io::ErrorKind::UnexpectedEof => CheckpointError::Truncated {
                    what: format!("the tensor \"{name}\""),
                    expected: (elements * element.bytes()) as u64,
                    found: (elements * element.bytes() - left) as u64,
                },
                _ => unreadable(error),
            })?;
        element.decode(chunk, &mut values);
        left -= len;
    }
    Ok(values)
}
