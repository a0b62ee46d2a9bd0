//! The values of one slice: stored numbers of any type and byte order to scaled `f32`, or colours.

use super::header::{Header, Kind};

/// Values of some voxels, in the order of the file.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Slice {
    /// Scaled.
    Gray(Vec<f32>),
    /// Red, green, blue.
    Rgb(Vec<u8>),
}

/// Reads all whole values of `bytes`.
pub(super) fn values(header: &Header, bytes: &[u8]) -> Slice {
    let scaled = |value: f64| match header.scale {
        Some([slope, intercept]) => (value * slope + intercept) as f32,
        None => value as f32,
    };
    macro_rules! numbers {
        ($kind:ty, $width:literal) => {{
            let (numbers, _) = bytes.as_chunks::<$width>();
            Slice::Gray(
                numbers
                    .iter()
                    .map(|&number| {
                        let number = if header.little {
                            <$kind>::from_le_bytes(number)
                        } else {
                            <$kind>::from_be_bytes(number)
                        };
                        scaled(number as f64)
                    })
                    .collect(),
            )
        }};
    }
    match header.kind {
        Kind::U8 => numbers!(u8, 1),
        Kind::I8 => numbers!(i8, 1),
        Kind::U16 => numbers!(u16, 2),
        Kind::I16 => numbers!(i16, 2),
        Kind::U32 => numbers!(u32, 4),
        Kind::I32 => numbers!(i32, 4),
        Kind::U64 => numbers!(u64, 8),
        Kind::I64 => numbers!(i64, 8),
        Kind::F32 => numbers!(f32, 4),
        Kind::F64 => numbers!(f64, 8),
        Kind::Rgb => Slice::Rgb(bytes.to_vec()),
        Kind::Rgba => Slice::Rgb(
            bytes
                .as_chunks::<4>()
                .0
                .iter()
                .flat_map(|&[red, green, blue, _]| [red, green, blue])
                .collect(),
        ),
    }
}
