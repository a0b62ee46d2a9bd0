//! NIfTI-1 files (`.nii`, `.nii.gz`): header, values with their scaling, and the affine that says where the axes point. Its own few
//! lines, because the field's crate asks for features of numeric crates that Burn shares, and would have Burn built twice.
//! Offsets are those of `nifti1.h`.

use std::fs::File;
use std::io::{BufRead as _, BufReader, Read};
use std::path::Path;

use flate2::read::MultiGzDecoder;

use super::error::ImportError;
use crate::error::CorpusError;

const HEADER: usize = 348;
/// 8 GiB of values: larger volumes are damage more often than data.
const MOST_VALUES: u64 = 1 << 31;

/// The first volume of a file.
#[derive(Debug, Clone)]
pub(super) struct Volume {
    /// Voxels along the stored axes; the first one is contiguous.
    pub(super) dim: [usize; 3],
    /// Scaled values, in the order of the file.
    pub(super) values: Vec<f32>,
    /// Voxel to millimetres: right, anterior and superior grow.
    pub(super) affine: [[f64; 4]; 3],
    /// Volumes of the file.
    pub(super) count: usize,
}

/// Reads a file.
///
/// # Errors
/// A file that cannot be read or is no NIfTI-1, by name.
pub(super) fn read(path: &Path) -> Result<Volume, CorpusError> {
    let failed = |source| CorpusError::Read {
        path: path.to_owned(),
        source,
    };
    let mut file = BufReader::new(File::open(path).map_err(failed)?);
    // By content: names do not always tell.
    let zipped = file.fill_buf().map_err(failed)?.starts_with(&[0x1f, 0x8b]);
    let mut source: Box<dyn Read> = if zipped {
        Box::new(MultiGzDecoder::new(file))
    } else {
        Box::new(file)
    };
    let bad = |reason: &str| {
        CorpusError::from(ImportError::Source {
            path: path.to_owned(),
            reason: reason.to_owned(),
        })
    };
    let mut header = [0; HEADER];
    source.read_exact(&mut header).map_err(failed)?;
    let header = Header::parse(header).map_err(bad)?;
    let mut skipped = source.by_ref().take((header.offset - HEADER) as u64);
    std::io::copy(&mut skipped, &mut std::io::sink()).map_err(failed)?;
    let bytes = header.dim.iter().product::<usize>() * header.kind.bytes();
    let mut data = Vec::new();
    source
        .take(bytes as u64)
        .read_to_end(&mut data)
        .map_err(failed)?;
    if data.len() < bytes {
        return Err(bad("the file is cut short"));
    }
    Ok(Volume {
        dim: header.dim,
        values: header.values(&data),
        affine: header.affine,
        count: header.count,
    })
}

#[derive(Debug, Clone, Copy)]
enum Kind {
    U8,
    I8,
    U16,
    I16,
    U32,
    I32,
    F32,
    F64,
    I64,
    U64,
}

impl Kind {
    fn of(code: i16) -> Option<Self> {
        Some(match code {
            2 => Self::U8,
            256 => Self::I8,
            512 => Self::U16,
            4 => Self::I16,
            768 => Self::U32,
            8 => Self::I32,
            16 => Self::F32,
            64 => Self::F64,
            1024 => Self::I64,
            1280 => Self::U64,
            _ => return None,
        })
    }

    fn bytes(self) -> usize {
        match self {
            Self::U8 | Self::I8 => 1,
            Self::U16 | Self::I16 => 2,
            Self::U32 | Self::I32 | Self::F32 => 4,
            Self::F64 | Self::I64 | Self::U64 => 8,
        }
    }
}

struct Header {
    little: bool,
    dim: [usize; 3],
    kind: Kind,
    offset: usize,
    scale: Option<[f64; 2]>,
    affine: [[f64; 4]; 3],
    count: usize,
}

impl Header {
    fn parse(bytes: [u8; HEADER]) -> Result<Self, &'static str> {
        let at = |offset: usize| {
            [
                bytes[offset],
                bytes[offset + 1],
                bytes[offset + 2],
                bytes[offset + 3],
            ]
        };
        let little = match (i32::from_le_bytes(at(0)), i32::from_be_bytes(at(0))) {
            (348, _) => true,
            (_, 348) => false,
            (540, _) | (_, 540) => return Err("NIfTI-2 cannot be read; save it as NIfTI-1"),
            _ => return Err("this is not a NIfTI file"),
        };
        if bytes[344..347] != *b"n+1" {
            return Err("header and values in two files cannot be read; save it as one .nii");
        }
        let short = |offset: usize| {
            let pair = [bytes[offset], bytes[offset + 1]];
            if little {
                i16::from_le_bytes(pair)
            } else {
                i16::from_be_bytes(pair)
            }
        };
        let float = |offset: usize| {
            let four = at(offset);
            f64::from(if little {
                f32::from_le_bytes(four)
            } else {
                f32::from_be_bytes(four)
            })
        };
        let rank = short(40);
        let mut dim = [1_usize; 3];
        for (axis, size) in dim
            .iter_mut()
            .enumerate()
            .take(usize::try_from(rank).unwrap_or(0))
        {
            *size = usize::try_from(short(42 + 2 * axis))
                .ok()
                .filter(|size| *size > 0)
                .ok_or("an axis has no voxels")?;
        }
        // Time and what else lies beyond the third axis.
        let further = (3..usize::try_from(rank).unwrap_or(0).min(7)).map(|axis| {
            let size = short(42 + 2 * axis);
            usize::try_from(size).unwrap_or(1).max(1)
        });
        let count = further.product();
        if dim.iter().map(|size| *size as u64).product::<u64>() > MOST_VALUES || rank < 2 {
            return Err("the sizes of the volume make no sense");
        }
        let kind = Kind::of(short(70))
            .ok_or("values of this type cannot be read (complex, RGB or 128 bits)")?;
        let offset = float(108);
        if !(HEADER as f64..1e9).contains(&offset) {
            return Err("the values begin at no sensible place");
        }
        let (slope, inter) = (float(112), float(116));
        let scaled = slope.is_finite() && slope != 0.0 && inter.is_finite();
        let spacing = [1, 2, 3].map(|axis| float(76 + 4 * axis).abs());
        let affine = if short(254) > 0 {
            [280, 296, 312].map(|row| [0, 4, 8, 12].map(|column| float(row + column)))
        } else if short(252) > 0 {
            let mirrored = float(76) < 0.0;
            quaternion(
                [256, 260, 264].map(float),
                spacing,
                mirrored,
                [268, 272, 276].map(float),
            )
        } else {
            // What the file does not say is taken as nibabel does: the first axis points left.
            let mut affine = [[0.0; 4]; 3];
            for (axis, row) in affine.iter_mut().enumerate() {
                row[axis] = spacing[axis] * if axis == 0 { -1.0 } else { 1.0 };
            }
            affine
        };
        Ok(Self {
            little,
            dim,
            kind,
            offset: offset as usize,
            scale: scaled.then_some([slope, inter]),
            affine,
            count,
        })
    }

    fn values(&self, data: &[u8]) -> Vec<f32> {
        let [slope, inter] = self.scale.unwrap_or([1.0, 0.0]);
        let scaled = |value: f64| (value * slope + inter) as f32;
        macro_rules! numbers {
            ($kind:ty, $bytes:literal) => {{
                let (numbers, _) = data.as_chunks::<$bytes>();
                let read = |bytes: &[u8; $bytes]| {
                    if self.little {
                        <$kind>::from_le_bytes(*bytes)
                    } else {
                        <$kind>::from_be_bytes(*bytes)
                    }
                };
                numbers
                    .iter()
                    .map(|bytes| scaled(read(bytes) as f64))
                    .collect()
            }};
        }
        match self.kind {
            Kind::U8 => numbers!(u8, 1),
            Kind::I8 => numbers!(i8, 1),
            Kind::U16 => numbers!(u16, 2),
            Kind::I16 => numbers!(i16, 2),
            Kind::U32 => numbers!(u32, 4),
            Kind::I32 => numbers!(i32, 4),
            Kind::F32 => numbers!(f32, 4),
            Kind::F64 => numbers!(f64, 8),
            Kind::I64 => numbers!(i64, 8),
            Kind::U64 => numbers!(u64, 8),
        }
    }
}

/// The rotation of a unit quaternion, with spacing and origin (`nifti1.h`, method 2).
fn quaternion(
    [b, c, d]: [f64; 3],
    spacing: [f64; 3],
    mirrored: bool,
    origin: [f64; 3],
) -> [[f64; 4]; 3] {
    let squares = b * b + c * c + d * d;
    let (a, [b, c, d]) = if squares > 1.0 {
        let length = squares.sqrt();
        (0.0, [b / length, c / length, d / length])
    } else {
        ((1.0 - squares).sqrt(), [b, c, d])
    };
    let rotation = [
        [
            a * a + b * b - c * c - d * d,
            2.0 * (b * c - a * d),
            2.0 * (b * d + a * c),
        ],
        [
            2.0 * (b * c + a * d),
            a * a + c * c - b * b - d * d,
            2.0 * (c * d - a * b),
        ],
        [
            2.0 * (b * d - a * c),
            2.0 * (c * d + a * b),
            a * a + d * d - b * b - c * c,
        ],
    ];
    let [x, y, z] = spacing;
    let steps = [x, y, if mirrored { -z } else { z }];
    let mut affine = [[0.0; 4]; 3];
    for ((row, turned), start) in affine.iter_mut().zip(rotation).zip(origin) {
        let [x, y, z] = steps;
        let [i, j, k] = turned;
        *row = [i * x, j * y, k * z, start];
    }
    affine
}
