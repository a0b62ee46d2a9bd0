//! JPEG-LS (ITU-T T.87), lossless and near-lossless, one or more components in every interleave mode. In: a
//! stream. Out: `[rows, columns, components]`. This file reads the segments (annex C); `scan` decodes the
//! samples (annex A). Written here because no crate in Rust decodes colour; checked against CharLS.

mod bits;
mod model;
mod scan;

use super::{CodecError, Geometry, Samples, push_cell};
use model::Parameters;

/// The frame header.
#[derive(Debug)]
struct Frame {
    precision: u32,
    /// Identifiers of the components, in the order of the samples.
    components: Vec<u8>,
}

/// Coding parameters of an LSE segment of kind 1; 0 stands for the default.
#[derive(Debug, Clone, Copy, Default)]
struct Preset {
    max_value: i32,
    thresholds: [i32; 3],
    reset: i32,
}

/// Decodes one frame.
///
/// # Errors
///
/// [`CodecError`]; mapping tables, restart intervals and the colour transforms of HP are unsupported.
pub(crate) fn decode(bytes: &[u8], geometry: &Geometry) -> Result<Samples, CodecError> {
    if !bytes.starts_with(&[0xFF, 0xD8]) {
        return Err(CodecError::Damaged);
    }
    let mut at = 2usize;
    let mut frame = None;
    let mut preset = Preset::default();
    let mut planes: Vec<Option<Vec<u16>>> = Vec::new();
    loop {
        let (marker, body, next) = segment(bytes, at).ok_or(CodecError::Damaged)?;
        at = next;
        match marker {
            0xF7 => {
                let read = frame_header(body, geometry)?;
                planes = vec![None; read.components.len()];
                frame = Some(read);
            }
            0xF8 => lse(body, &mut preset)?,
            // A restart interval of 0 means none.
            0xDD if body.iter().any(|&byte| byte != 0) => {
                return Err(CodecError::Unsupported("JPEG-LS with restart intervals"));
            }
            0xE8 if body.starts_with(b"mrfx") && body.get(4).is_some_and(|&kind| kind != 0) => {
                return Err(CodecError::Unsupported(
                    "JPEG-LS with a colour transform of HP",
                ));
            }
            0xDA => {
                let frame = frame.as_ref().ok_or(CodecError::Damaged)?;
                at += scan_segment(bytes, at, body, frame, preset, geometry, &mut planes)?;
                if planes.iter().all(Option::is_some) {
                    return interleaved(frame, planes, geometry);
                }
                at = next_marker(bytes, at);
            }
            0xD9 => return Err(CodecError::Damaged),
            _ => {}
        }
    }
}

/// Marker, body and the offset after the segment at `at`.
fn segment(bytes: &[u8], mut at: usize) -> Option<(u8, &[u8], usize)> {
    while *bytes.get(at)? == 0xFF && *bytes.get(at.checked_add(1)?)? == 0xFF {
        at = at.checked_add(1)?;
    }
    let &[0xFF, marker, high, low] = bytes.get(at..at.checked_add(4)?)? else {
        return None;
    };
    let end = at
        .checked_add(2)?
        .checked_add(usize::from(u16::from_be_bytes([high, low])))?;
    Some((marker, bytes.get(at.checked_add(4)?..end)?, end))
}

/// Offset of the next marker, over the padding that some writers leave behind a scan.
fn next_marker(bytes: &[u8], at: usize) -> usize {
    let rest = bytes.get(at..).unwrap_or_default();
    let gap = rest
        .windows(2)
        .position(|pair| matches!(pair, &[0xFF, marker] if marker >= 0x80));
    at.saturating_add(gap.unwrap_or(rest.len()))
}

fn word(body: &[u8], at: usize) -> Option<u16> {
    let bytes = body.get(at..at.checked_add(2)?)?;
    Some(u16::from_be_bytes(bytes.try_into().ok()?))
}

fn frame_header(body: &[u8], geometry: &Geometry) -> Result<Frame, CodecError> {
    let &[precision, _, _, _, _, count, ref parts @ ..] = body else {
        return Err(CodecError::Damaged);
    };
    let (rows, columns) = (word(body, 1), word(body, 3));
    let components: Vec<u8> = parts
        .chunks_exact(3)
        .filter_map(|part| part.first().copied())
        .collect();
    if !(2..=16).contains(&precision) || components.len() != usize::from(count) {
        return Err(CodecError::Damaged);
    }
    if rows.map(usize::from) != Some(geometry.rows)
        || columns.map(usize::from) != Some(geometry.columns)
        || components.len() != geometry.components
    {
        return Err(CodecError::OtherSize);
    }
    if parts.chunks_exact(3).any(|part| part.get(1) != Some(&0x11)) {
        return Err(CodecError::Unsupported(
            "JPEG-LS with subsampled components",
        ));
    }
    Ok(Frame {
        precision: u32::from(precision),
        components,
    })
}

fn lse(body: &[u8], preset: &mut Preset) -> Result<(), CodecError> {
    match body.first() {
        Some(1) => {
            let value = |at| word(body, at).map(i32::from).ok_or(CodecError::Damaged);
            *preset = Preset {
                max_value: value(1)?,
                thresholds: [value(3)?, value(5)?, value(7)?],
                reset: value(9)?,
            };
            Ok(())
        }
        Some(2 | 3) => Err(CodecError::Unsupported("JPEG-LS with a mapping table")),
        _ => Err(CodecError::Unsupported("JPEG-LS with extensions")),
    }
}

/// Decodes one scan into the planes that it names; gives the number of bytes of its samples.
fn scan_segment(
    bytes: &[u8],
    start: usize,
    body: &[u8],
    frame: &Frame,
    preset: Preset,
    geometry: &Geometry,
    planes: &mut [Option<Vec<u16>>],
) -> Result<usize, CodecError> {
    let (&count, rest) = body.split_first().ok_or(CodecError::Damaged)?;
    let Some((selectors, &[near, interleave, transform])) = rest
        .split_at_checked(usize::from(count).saturating_mul(2))
        .map(|(selectors, tail)| (selectors, tail.first_chunk::<3>().unwrap_or(&[0, 9, 0])))
    else {
        return Err(CodecError::Damaged);
    };
    if transform & 0x0F != 0 {
        return Err(CodecError::Unsupported("JPEG-LS with a point transform"));
    }
    let mut members = Vec::new();
    for selector in selectors.chunks_exact(2) {
        let &[id, table] = selector else { continue };
        if table != 0 {
            return Err(CodecError::Unsupported("JPEG-LS with a mapping table"));
        }
        let position = frame.components.iter().position(|&known| known == id);
        members.push(position.ok_or(CodecError::Damaged)?);
    }
    let by_sample = match (interleave, members.len()) {
        (0, 1) | (1, 1..) => false,
        (2, 1..) => true,
        _ => return Err(CodecError::Damaged),
    };
    let parameters =
        Parameters::new(frame.precision, i32::from(near), preset).ok_or(CodecError::Damaged)?;
    let data = bytes.get(start..).unwrap_or_default();
    let size = (geometry.rows, geometry.columns);
    let (decoded, used) = scan::decode(data, &parameters, size, members.len(), by_sample)
        .ok_or(CodecError::Damaged)?;
    for (&member, plane) in members.iter().zip(decoded) {
        let slot = planes.get_mut(member).ok_or(CodecError::Damaged)?;
        *slot = Some(plane);
    }
    Ok(used)
}

fn interleaved(
    frame: &Frame,
    planes: Vec<Option<Vec<u16>>>,
    geometry: &Geometry,
) -> Result<Samples, CodecError> {
    let bytes_per_cell = geometry.cell_bytes(frame.precision as u16);
    let mut cells = Vec::with_capacity(geometry.samples().saturating_mul(bytes_per_cell));
    let planes: Vec<Vec<u16>> = planes.into_iter().flatten().collect();
    let mut samples: Vec<_> = planes.iter().map(|plane| plane.iter()).collect();
    for _ in 0..geometry.pixels() {
        for plane in &mut samples {
            let &value = plane.next().ok_or(CodecError::Damaged)?;
            push_cell(&mut cells, bytes_per_cell, i64::from(value));
        }
    }
    Ok(Samples {
        cells,
        bytes_per_cell,
        is_rgb: false,
    })
}
