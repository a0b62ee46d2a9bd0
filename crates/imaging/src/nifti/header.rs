//! The header of NIfTI-1 (348 bytes) and NIfTI-2 (540 bytes): sizes, type of the values, scaling, and the
//! affine by the standard's order: sform, else qform, else none. Everything is checked against what a
//! volume can be before memory is taken.

use crate::ImagingError;
use crate::geometry::{Affine, Vector};

/// Bytes of the longer header.
pub(super) const LONGEST: usize = 540;

/// Most bytes of values in one file.
const MAX_BYTES: u64 = if cfg!(target_arch = "wasm32") {
    1 << 30
} else {
    1 << 34
};

/// Which part of a volume a file is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Part {
    /// Header and values.
    Whole,
    /// The header of a pair.
    Header,
}

/// Whether bytes begin as a NIfTI header does. Analyze files, which have no magic, are none.
pub(crate) fn sniff(start: &[u8]) -> Option<Part> {
    match (start.get(344..348), start.get(4..8)) {
        (Some(b"n+1\0"), _) | (_, Some(b"n+2\0")) => Some(Part::Whole),
        (Some(b"ni1\0"), _) | (_, Some(b"ni2\0")) => Some(Part::Header),
        _ => None,
    }
}

/// How a value is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    U8,
    I8,
    U16,
    I16,
    U32,
    I32,
    U64,
    I64,
    F32,
    F64,
    Rgb,
    Rgba,
}

impl Kind {
    fn of(code: i64) -> Result<Self, ImagingError> {
        Ok(match code {
            2 => Self::U8,
            256 => Self::I8,
            512 => Self::U16,
            4 => Self::I16,
            768 => Self::U32,
            8 => Self::I32,
            1280 => Self::U64,
            1024 => Self::I64,
            16 => Self::F32,
            64 => Self::F64,
            128 => Self::Rgb,
            2304 => Self::Rgba,
            32 | 1792 | 2048 => return Err(bad("its values are complex numbers")),
            1 => return Err(bad("its values are single bits")),
            1536 => return Err(bad("its values are 128-bit numbers")),
            _ => return Err(bad("the type of its values is unknown")),
        })
    }

    pub(super) fn bytes(self) -> usize {
        match self {
            Self::U8 | Self::I8 => 1,
            Self::U16 | Self::I16 => 2,
            Self::Rgb => 3,
            Self::U32 | Self::I32 | Self::F32 | Self::Rgba => 4,
            Self::U64 | Self::I64 | Self::F64 => 8,
        }
    }
}

/// What a header says.
#[derive(Debug, Clone)]
pub(super) struct Header {
    pub(super) little: bool,
    pub(super) part: Part,
    /// Sizes of all dimensions that the file has.
    pub(super) shape: Vec<usize>,
    pub(super) kind: Kind,
    /// Where the values begin.
    pub(super) offset: u64,
    /// Slope and intercept, `None` where values are stored as they are.
    pub(super) scale: Option<[f64; 2]>,
    /// To the patient's axes LPS, in mm.
    pub(super) affine: Option<Affine>,
    /// Along the three axes of space, in mm; `None` for nonsense.
    pub(super) spacing_mm: Option<Vector>,
}

pub(super) fn bad(detail: &'static str) -> ImagingError {
    ImagingError::Nifti { detail }
}

/// Reads numbers of one byte order.
struct Numbers<'a> {
    bytes: &'a [u8],
    little: bool,
}

impl Numbers<'_> {
    fn array<const N: usize>(&self, at: usize) -> Result<[u8; N], ImagingError> {
        let end = at.saturating_add(N);
        let mut bytes: [u8; N] = self
            .bytes
            .get(at..end)
            .and_then(|slice| slice.try_into().ok())
            .ok_or_else(|| bad("its header is cut short"))?;
        if !self.little {
            bytes.reverse();
        }
        Ok(bytes)
    }

    fn i16(&self, at: usize) -> Result<i64, ImagingError> {
        Ok(i64::from(i16::from_le_bytes(self.array(at)?)))
    }

    fn i32(&self, at: usize) -> Result<i64, ImagingError> {
        Ok(i64::from(i32::from_le_bytes(self.array(at)?)))
    }

    fn i64(&self, at: usize) -> Result<i64, ImagingError> {
        Ok(i64::from_le_bytes(self.array(at)?))
    }

    fn f32(&self, at: usize) -> Result<f64, ImagingError> {
        Ok(f64::from(f32::from_le_bytes(self.array(at)?)))
    }

    fn f64(&self, at: usize) -> Result<f64, ImagingError> {
        Ok(f64::from_le_bytes(self.array(at)?))
    }

    /// `N` numbers, `width` bytes apart.
    fn many<const N: usize>(
        &self,
        at: usize,
        width: usize,
        read: impl Fn(&Self, usize) -> Result<f64, ImagingError>,
    ) -> Result<[f64; N], ImagingError> {
        let mut numbers = [0.0; N];
        for (index, number) in numbers.iter_mut().enumerate() {
            *number = read(self, at.saturating_add(index * width))?;
        }
        Ok(numbers)
    }
}

/// The fields of either version that are read.
struct Fields {
    dim: [i64; 8],
    datatype: i64,
    pixdim: [f64; 8],
    offset: f64,
    slope: f64,
    intercept: f64,
    qform_code: i64,
    sform_code: i64,
    quaternion: [f64; 3],
    shift: [f64; 3],
    sform: [[f64; 4]; 3],
    units: i64,
}

impl Fields {
    /// Offsets of `nifti1.h`.
    fn first(n: &Numbers<'_>) -> Result<Self, ImagingError> {
        let mut dim = [0; 8];
        for (index, size) in dim.iter_mut().enumerate() {
            *size = n.i16(40 + 2 * index)?;
        }
        Ok(Self {
            dim,
            datatype: n.i16(70)?,
            pixdim: n.many(76, 4, Numbers::f32)?,
            offset: n.f32(108)?,
            slope: n.f32(112)?,
            intercept: n.f32(116)?,
            qform_code: n.i16(252)?,
            sform_code: n.i16(254)?,
            quaternion: n.many(256, 4, Numbers::f32)?,
            shift: n.many(268, 4, Numbers::f32)?,
            sform: [
                n.many(280, 4, Numbers::f32)?,
                n.many(296, 4, Numbers::f32)?,
                n.many(312, 4, Numbers::f32)?,
            ],
            units: i64::from(u8::from_le_bytes(n.array(123)?)),
        })
    }

    /// Offsets of `nifti2.h`.
    fn second(n: &Numbers<'_>) -> Result<Self, ImagingError> {
        let mut dim = [0; 8];
        for (index, size) in dim.iter_mut().enumerate() {
            *size = n.i64(16 + 8 * index)?;
        }
        Ok(Self {
            dim,
            datatype: n.i16(12)?,
            pixdim: n.many(104, 8, Numbers::f64)?,
            offset: n.i64(168)? as f64,
            slope: n.f64(176)?,
            intercept: n.f64(184)?,
            qform_code: n.i32(344)?,
            sform_code: n.i32(348)?,
            quaternion: n.many(352, 8, Numbers::f64)?,
            shift: n.many(376, 8, Numbers::f64)?,
            sform: [
                n.many(400, 8, Numbers::f64)?,
                n.many(432, 8, Numbers::f64)?,
                n.many(464, 8, Numbers::f64)?,
            ],
            units: n.i32(500)?,
        })
    }
}

impl Header {
    /// Reads the first bytes of a file.
    pub(super) fn parse(bytes: &[u8]) -> Result<Self, ImagingError> {
        let part = sniff(bytes).ok_or(ImagingError::NotAnImage)?;
        let size = <[u8; 4]>::try_from(bytes.get(..4).unwrap_or_default())
            .map_err(|_length| bad("its header is cut short"))?;
        let (version, little) = match (u32::from_le_bytes(size), u32::from_be_bytes(size)) {
            (348, _) => (1, true),
            (_, 348) => (1, false),
            (540, _) => (2, true),
            (_, 540) => (2, false),
            _ => return Err(bad("the size of its header is wrong")),
        };
        let numbers = Numbers { bytes, little };
        let fields = if version == 1 {
            Fields::first(&numbers)?
        } else {
            Fields::second(&numbers)?
        };
        let kind = Kind::of(fields.datatype)?;
        let shape = shape(fields.dim, kind)?;
        let least = if part == Part::Header {
            0.0
        } else if version == 1 {
            348.0
        } else {
            540.0
        };
        // Files with a zero offset exist; the values follow the header and its extension flag.
        let offset = match fields.offset {
            0.0 if part == Part::Whole => least + 4.0,
            offset => offset,
        };
        if !(least..1e12).contains(&offset) {
            return Err(bad("its values begin at no sensible place"));
        }
        let scaled =
            fields.slope.is_finite() && fields.slope != 0.0 && fields.intercept.is_finite();
        let identity = fields.slope == 1.0 && fields.intercept == 0.0;
        // xyzt_units: 1 metre, 2 millimetre, 3 micrometre, 0 unknown, which is taken as millimetre.
        let to_mm = match fields.units & 7 {
            1 => 1e3,
            3 => 1e-3,
            _ => 1.0,
        };
        let affine = affine(&fields, to_mm);
        let [_, x, y, z, ..] = fields.pixdim;
        let distances = [x, y, z].map(|distance| distance.abs() * to_mm);
        let known = |spacing: Vector| {
            spacing
                .iter()
                .all(|&part| part.is_finite() && part > 0.0)
                .then_some(spacing)
        };
        Ok(Self {
            little,
            part,
            kind,
            offset: offset as u64,
            scale: (scaled && !identity).then_some([fields.slope, fields.intercept]),
            spacing_mm: affine.map_or(known(distances), |affine| known(affine.spacing_mm())),
            affine: affine.map(|affine| affine.lps_to_ras()),
            shape,
        })
    }

    /// Columns, rows, slices, and volumes, which further dimensions multiply.
    pub(super) fn sizes(&self) -> [usize; 4] {
        let at = |axis: usize| self.shape.get(axis).copied().unwrap_or(1);
        let volumes = self.shape.iter().skip(3).product();
        [at(0), at(1), at(2), volumes]
    }
}

fn shape(dim: [i64; 8], kind: Kind) -> Result<Vec<usize>, ImagingError> {
    let [rank, sizes @ ..] = dim;
    let rank = usize::try_from(rank)
        .ok()
        .filter(|rank| (1..=7).contains(rank))
        .ok_or_else(|| bad("its number of dimensions is not 1 to 7"))?;
    let mut shape = Vec::with_capacity(rank);
    let mut bytes = kind.bytes() as u64;
    for size in sizes.into_iter().take(rank) {
        let size = u64::try_from(size)
            .ok()
            .filter(|&size| size > 0)
            .ok_or_else(|| bad("an axis has no voxels"))?;
        bytes = bytes.saturating_mul(size);
        if bytes > MAX_BYTES {
            return Err(ImagingError::TooLarge {
                what: "values in bytes",
                needed: bytes,
                limit: MAX_BYTES,
            });
        }
        shape.push(size as usize);
    }
    Ok(shape)
}

/// Voxel indices to RAS in mm.
fn affine(fields: &Fields, to_mm: f64) -> Option<Affine> {
    let rows = if fields.sform_code > 0 {
        fields.sform
    } else if fields.qform_code > 0 {
        qform(fields)
    } else {
        return None;
    };
    let [x, y, z] = rows.map(|row| row.map(|value| value * to_mm));
    let affine = Affine([x, y, z, [0.0, 0.0, 0.0, 1.0]]);
    affine.is_regular().then_some(affine)
}

/// The rotation of a unit quaternion, with spacings and origin (nifti1.h, method 2).
fn qform(fields: &Fields) -> [[f64; 4]; 3] {
    let [b, c, d] = fields.quaternion;
    let squares = b * b + c * c + d * d;
    // Stored in 32 bits, a first part of 0 comes out as a little more: the threshold is nibabel's.
    let (a, [b, c, d]) = if 1.0 - squares < 3.0 * f64::from(f32::EPSILON) {
        let length = squares.sqrt();
        (0.0, [b / length, c / length, d / length])
    } else {
        ((1.0 - squares).sqrt(), [b, c, d])
    };
    let [factor, x, y, z, ..] = fields.pixdim;
    let steps = [
        x.abs(),
        y.abs(),
        if factor < 0.0 { -z.abs() } else { z.abs() },
    ];
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
    let [x, y, z] = steps;
    let mut rows = [[0.0; 4]; 3];
    for ((row, turned), start) in rows.iter_mut().zip(rotation).zip(fields.shift) {
        let [i, j, k] = turned;
        *row = [i * x, j * y, k * z, start];
    }
    rows
}
