//! A volume as one NIfTI-1 file, gzipped: values in their own type, and the affine as sform and, where it
//! has no shear, as qform (nifti1.h, methods 2 and 3; code 1, the scanner's coordinates).

use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;

use super::header::bad;
use crate::ImagingError;
use crate::geometry::Affine;
use crate::series::{Volume, Voxels};

const HEADER: usize = 348;
/// Header, and the four bytes that say that no extension follows.
const OFFSET: usize = HEADER + 4;

/// Writes a volume as `.nii.gz`.
///
/// # Errors
///
/// [`ImagingError::Nifti`] for sizes above 32767, [`ImagingError::Unreadable`] where writing fails.
pub fn write_nifti(volume: &Volume, output: impl Write) -> Result<(), ImagingError> {
    let header = header(volume)?;
    let mut packed = GzEncoder::new(output, Compression::new(5));
    let failed = |error: std::io::Error| ImagingError::Unreadable {
        detail: format!("writing failed: {error}"),
    };
    packed.write_all(&header).map_err(failed)?;
    match &volume.voxels {
        Voxels::I16(values) => {
            write_all(&mut packed, values, |value| value.to_le_bytes()).map_err(failed)?;
        }
        Voxels::F32(values) => {
            write_all(&mut packed, values, |value| value.to_le_bytes()).map_err(failed)?;
        }
        Voxels::Rgb(values) => packed.write_all(values).map_err(failed)?,
    }
    packed
        .finish()
        .and_then(|mut output| output.flush())
        .map_err(failed)
}

/// Writes numbers a piece at a time.
fn write_all<T: Copy, const N: usize>(
    output: &mut impl Write,
    values: &[T],
    bytes: impl Fn(T) -> [u8; N],
) -> std::io::Result<()> {
    for piece in values.chunks(1 << 16) {
        let piece: Vec<u8> = piece.iter().flat_map(|&value| bytes(value)).collect();
        output.write_all(&piece)?;
    }
    Ok(())
}

fn header(volume: &Volume) -> Result<Vec<u8>, ImagingError> {
    let mut bytes = vec![0; OFFSET];
    let mut put = |at: usize, value: &[u8]| {
        if let Some(target) = bytes.get_mut(at..at.saturating_add(value.len())) {
            target.copy_from_slice(value);
        }
    };
    put(0, &(HEADER as i32).to_le_bytes());
    let sizes = [volume.columns, volume.rows, volume.slices, volume.frames];
    let rank: i16 = if volume.frames > 1 { 4 } else { 3 };
    put(40, &rank.to_le_bytes());
    for axis in 0..7 {
        let size = sizes.get(axis).copied().unwrap_or(1);
        let size = i16::try_from(size).map_err(|_size| bad("a side has more than 32767 voxels"))?;
        put(42 + 2 * axis, &size.to_le_bytes());
    }
    let (datatype, bits): (i16, i16) = match volume.voxels {
        Voxels::I16(_) => (4, 16),
        Voxels::F32(_) => (16, 32),
        Voxels::Rgb(_) => (128, 24),
    };
    put(70, &datatype.to_le_bytes());
    put(72, &bits.to_le_bytes());
    let affine = volume.affine.map(|affine| affine.lps_to_ras());
    let [x, y, z] = affine.map_or(
        volume.spacing_mm.map(|spacing| spacing.unwrap_or(1.0)),
        |affine| affine.spacing_mm(),
    );
    let quaternion = affine.as_ref().and_then(quaternion);
    let factor = quaternion.map_or(1.0, |(_, factor)| factor);
    let number = |value: f64| (value as f32).to_le_bytes();
    for (axis, value) in [factor, x, y, z, 1.0, 1.0, 1.0, 1.0]
        .into_iter()
        .enumerate()
    {
        put(76 + 4 * axis, &number(value));
    }
    put(108, &number(OFFSET as f64));
    put(112, &number(1.0));
    // Millimetres; the fourth axis has no unit, as it may be echoes as well as seconds.
    put(123, &[2]);
    if let Some(affine) = affine {
        let [_, _, _, origin] = affine.steps();
        if let Some((parts, _)) = quaternion {
            put(252, &1i16.to_le_bytes());
            for (index, value) in parts.into_iter().chain(origin).enumerate() {
                put(256 + 4 * index, &number(value));
            }
        }
        put(254, &1i16.to_le_bytes());
        for (index, value) in affine.0.iter().take(3).flatten().enumerate() {
            put(280 + 4 * index, &number(*value));
        }
    }
    put(344, b"n+1\0");
    Ok(bytes)
}

/// The last three parts of the unit quaternion of an affine's rotation, and -1 where its third axis is
/// mirrored; `None` for a sheared affine, which has none.
fn quaternion(affine: &Affine) -> Option<([f64; 3], f64)> {
    if !affine.is_orthogonal() {
        return None;
    }
    let spacing = affine.spacing_mm();
    let factor = if affine.determinant() < 0.0 {
        -1.0
    } else {
        1.0
    };
    let [column, row, slice, _] = affine.steps();
    let [sx, sy, sz] = spacing;
    let [r11, r21, r31] = column.map(|part| part / sx);
    let [r12, r22, r32] = row.map(|part| part / sy);
    let [r13, r23, r33] = slice.map(|part| part * factor / sz);
    // The largest of the four parts is divided by, so that no precision is lost.
    let trace = r11 + r22 + r33;
    let (a, b, c, d) = if trace > 0.0 {
        let a = 0.5 * (1.0 + trace).sqrt();
        let f = 0.25 / a;
        (a, (r32 - r23) * f, (r13 - r31) * f, (r21 - r12) * f)
    } else if r11 > r22 && r11 > r33 {
        let b = 0.5 * (1.0 + r11 - r22 - r33).max(0.0).sqrt();
        let f = 0.25 / b;
        ((r32 - r23) * f, b, (r12 + r21) * f, (r13 + r31) * f)
    } else if r22 > r33 {
        let c = 0.5 * (1.0 + r22 - r11 - r33).max(0.0).sqrt();
        let f = 0.25 / c;
        ((r13 - r31) * f, (r12 + r21) * f, c, (r23 + r32) * f)
    } else {
        let d = 0.5 * (1.0 + r33 - r11 - r22).max(0.0).sqrt();
        let f = 0.25 / d;
        ((r21 - r12) * f, (r13 + r31) * f, (r23 + r32) * f, d)
    };
    // The first part is implied, so it must not be negative.
    let sign = if a < 0.0 { -1.0 } else { 1.0 };
    Some(([b * sign, c * sign, d * sign], factor))
}
