//! JPEG 2000 (ITU-T T.800), 5/3 and 9/7, through rust-j2k: a bare codestream or one in a JP2 box. The main
//! header is read here first: for the size, for what rust-j2k does not decode, and for the colour transform.
//! What archives hold beside the standard is put right before: bytes behind the end, wrong tile-part counts.

use rust_j2k::Component;

use super::{CodecError, Geometry, Samples, push_cell};

const SOC: [u8; 2] = [0xFF, 0x4F];
const SIZ: u16 = 0xFF51;
const CAP: u16 = 0xFF50;
const COD: u16 = 0xFF52;
const SOT: u16 = 0xFF90;
const JP2_SIGNATURE: [u8; 12] = [0, 0, 0, 12, b'j', b'P', b' ', b' ', 0x0D, 0x0A, 0x87, 0x0A];

/// Whether the bytes start a JPEG 2000 stream of either kind. Two bytes alone may be coded data.
pub(crate) fn starts(bytes: &[u8]) -> bool {
    bytes.starts_with(&[0xFF, 0x4F, 0xFF, 0x51]) || bytes.starts_with(&JP2_SIGNATURE)
}

/// What the main header says.
#[derive(Debug, Default)]
struct MainHeader {
    rows: u64,
    columns: u64,
    components: usize,
    subsampled: bool,
    high_throughput: bool,
    color_transform: bool,
    irreversible: bool,
    /// Offset of the first tile-part.
    tiles: usize,
}

/// Decodes one frame.
///
/// # Errors
///
/// [`CodecError`]; High-Throughput JPEG 2000 and subsampled components are unsupported.
pub(crate) fn decode(bytes: &[u8], geometry: &Geometry) -> Result<Samples, CodecError> {
    let stream = trimmed(codestream(bytes).ok_or(CodecError::Damaged)?);
    let header = main_header(stream).ok_or(CodecError::Damaged)?;
    if header.high_throughput {
        return Err(CodecError::Unsupported("High-Throughput JPEG 2000"));
    }
    if (header.rows, header.columns) != (geometry.rows as u64, geometry.columns as u64)
        || header.components != geometry.components
    {
        return Err(CodecError::OtherSize);
    }
    if header.subsampled {
        return Err(CodecError::Unsupported(
            "JPEG 2000 with subsampled components",
        ));
    }
    let image = match rust_j2k::decode(stream) {
        Ok(image) => image,
        Err(_) => rust_j2k::decode(&without_part_counts(stream, header.tiles))
            .map_err(|_cause| CodecError::Damaged)?,
    };
    let first = image.components.first().ok_or(CodecError::Damaged)?;
    let pixels = geometry.pixels();
    if image.components.len() != geometry.components
        || image.components.iter().any(|c| c.samples.len() != pixels)
    {
        return Err(CodecError::OtherSize);
    }
    let bytes_per_cell = geometry.cell_bytes(u16::from(first.bit_depth));
    let mut cells = Vec::with_capacity(geometry.samples().saturating_mul(bytes_per_cell));
    let mut planes: Vec<_> = image.components.iter().map(values).collect();
    for _ in 0..pixels {
        for (signed, plane) in &mut planes {
            let value = plane.next().ok_or(CodecError::Damaged)?;
            let value = if header.irreversible {
                geometry.clamp(value, *signed)
            } else {
                value
            };
            push_cell(&mut cells, bytes_per_cell, value);
        }
    }
    Ok(Samples {
        cells,
        bytes_per_cell,
        is_rgb: header.color_transform,
    })
}

fn values(component: &Component) -> (bool, impl Iterator<Item = i64>) {
    let values = component.samples.iter().map(|&value| i64::from(value));
    (component.signed, values)
}

fn array<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    bytes.get(at..at.checked_add(N)?)?.try_into().ok()
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    array(bytes, at).map(u16::from_be_bytes)
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    array(bytes, at).map(u32::from_be_bytes)
}

/// The codestream of a JP2 file (T.800 annex I), or the bytes themselves.
fn codestream(bytes: &[u8]) -> Option<&[u8]> {
    if !bytes.starts_with(&JP2_SIGNATURE) {
        return Some(bytes);
    }
    let mut at = 0usize;
    loop {
        let length = u32_at(bytes, at)?;
        let kind: [u8; 4] = array(bytes, at.checked_add(4)?)?;
        let (head, length) = match length {
            0 => (8, None),
            1 => {
                let length = u64::from_be_bytes(array(bytes, at.checked_add(8)?)?);
                (16, Some(usize::try_from(length).ok()?))
            }
            length => (8, Some(length as usize)),
        };
        let end = length.map_or(Some(bytes.len()), |length| at.checked_add(length))?;
        let start = at.checked_add(head)?;
        if kind == *b"jp2c" {
            return bytes.get(start..end.min(bytes.len()));
        }
        if end < start {
            return None;
        }
        at = end;
    }
}

/// Without the zeros behind the end of the codestream that make fragments even.
fn trimmed(stream: &[u8]) -> &[u8] {
    let zeros = stream.iter().rev().take_while(|&&byte| byte == 0).count();
    let end = stream.len() - zeros;
    match stream.get(..end) {
        Some(whole) if whole.ends_with(&[0xFF, 0xD9]) => whole,
        _ => stream,
    }
}

/// Reads the marker segments before the first tile-part (T.800 annex A).
fn main_header(stream: &[u8]) -> Option<MainHeader> {
    let mut header = MainHeader::default();
    if !stream.starts_with(&SOC) {
        return None;
    }
    let mut at = SOC.len();
    loop {
        let marker = u16_at(stream, at)?;
        if marker == SOT {
            header.tiles = at;
            return (header.components > 0).then_some(header);
        }
        let length = usize::from(u16_at(stream, at.checked_add(2)?)?);
        let end = at.checked_add(2)?.checked_add(length)?;
        let body = stream.get(at.checked_add(4)?..end)?;
        match marker {
            SIZ => {
                let side = |at| u32_at(body, at).map(u64::from);
                header.columns = side(2)?.checked_sub(side(10)?)?;
                header.rows = side(6)?.checked_sub(side(14)?)?;
                header.components = usize::from(u16_at(body, 34)?);
                let parts = body.get(36..)?.chunks_exact(3);
                if parts.len() != header.components {
                    return None;
                }
                for part in parts {
                    header.subsampled |= part.get(1..) != Some(&[1, 1]);
                }
            }
            CAP => header.high_throughput = true,
            COD => {
                header.color_transform = *body.get(4)? == 1;
                header.irreversible = *body.get(9)? == 0;
            }
            _ => {}
        }
        at = end;
    }
}

/// The stream with every number of tile-parts (TNsot) unknown: some writers count them wrong.
fn without_part_counts(stream: &[u8], first: usize) -> Vec<u8> {
    let mut stream = stream.to_vec();
    let mut at = first;
    while u16_at(&stream, at) == Some(SOT) {
        let length = u32_at(&stream, at.saturating_add(6)).unwrap_or_default();
        if let Some(count) = stream.get_mut(at.saturating_add(11)) {
            *count = 0;
        }
        // Shorter than its own header, or 0 for "to the end": the last one.
        if length < 14 {
            break;
        }
        at = at.saturating_add(length as usize);
    }
    stream
}
