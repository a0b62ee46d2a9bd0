//! An opened NIfTI file: the header at once, slices when they are asked for. A plain file is read slice by
//! slice; a gzipped one is unpacked as a whole the first time, no further than its header says.

use std::io::Read;
use std::sync::{Arc, OnceLock};

use flate2::read::MultiGzDecoder;

use super::header::{Header, LONGEST, Part, bad};
use super::values::{Slice, values};
use crate::ImagingError;
use crate::geometry::{Affine, Vector};
use crate::picture::{Description, Frame};
use crate::series::{SharedSource, Source, read_all};
use crate::window::Window;
use crate::{Picture, PictureKind, limits};

/// Whether bytes begin as gzip does (RFC 1952).
pub(super) fn is_gzip(start: &[u8]) -> bool {
    start.starts_with(&[0x1F, 0x8B, 0x08])
}

/// The first bytes of a source, unpacked where it is gzipped. A stream that ends early gives fewer.
pub(crate) fn unpacked_start(source: &dyn Source, length: usize) -> Result<Vec<u8>, ImagingError> {
    let start = source.read(0, length)?;
    if !is_gzip(&start) {
        return Ok(start);
    }
    // Deflated data are hardly ever longer than they were; a header packed with a name may be.
    let packed = source.read(0, length.saturating_add(64 << 10))?;
    let mut bytes = Vec::new();
    let _cut = MultiGzDecoder::new(packed.as_slice())
        .take(length as u64)
        .read_to_end(&mut bytes);
    Ok(bytes)
}

/// A NIfTI volume or series of volumes.
#[derive(Debug)]
pub struct NiftiFile {
    header: Header,
    /// Where the values are: this file, or the other one of a pair.
    values: SharedSource,
    packed: bool,
    unpacked: OnceLock<Arc<Vec<u8>>>,
}

impl NiftiFile {
    /// Reads the header. `values` is the second file of a pair.
    ///
    /// # Errors
    ///
    /// [`ImagingError::NotAnImage`] for what is no NIfTI, [`ImagingError::Nifti`] and
    /// [`ImagingError::TooLarge`] for what is damaged or of a kind that is not read.
    pub fn open(
        source: &SharedSource,
        values: Option<&SharedSource>,
    ) -> Result<Self, ImagingError> {
        let header = Header::parse(&unpacked_start(source.as_ref(), LONGEST)?)?;
        let values = match (header.part, values) {
            (Part::Whole, _) => source,
            (Part::Header, Some(values)) => values,
            (Part::Header, None) => return Err(bad("its values, an .img file, are not there")),
        };
        let packed = is_gzip(&values.read(0, 4)?);
        Ok(Self {
            header,
            values: Arc::clone(values),
            packed,
            unpacked: OnceLock::new(),
        })
    }

    /// Sizes of the dimensions that the file has, the fastest first.
    pub fn shape(&self) -> &[usize] {
        &self.header.shape
    }

    /// Columns, rows, slices and volumes.
    pub fn sizes(&self) -> [usize; 4] {
        self.header.sizes()
    }

    /// Voxel (first, second, third index) to patient LPS in mm, by sform, else qform, else unknown.
    pub fn affine(&self) -> Option<Affine> {
        self.header.affine
    }

    /// Distance of neighbours along the three axes, in mm.
    pub fn spacing_mm(&self) -> Option<Vector> {
        self.header.spacing_mm
    }

    /// Bytes of the values from `offset`.
    fn bytes(&self, offset: u64, length: usize) -> Result<Vec<u8>, ImagingError> {
        let start = self.header.offset.saturating_add(offset);
        let bytes = if self.packed {
            let all = self.unpack()?;
            let start = usize::try_from(start).unwrap_or(usize::MAX);
            let end = start.saturating_add(length).min(all.len());
            all.get(start..end).unwrap_or_default().to_vec()
        } else {
            self.values.read(start, length)?
        };
        if bytes.len() < length {
            return Err(bad("it is cut short"));
        }
        Ok(bytes)
    }

    /// Whether all values that the header promises are there, before memory is taken for them.
    pub(crate) fn check_length(&self) -> Result<(), ImagingError> {
        let found = if self.packed {
            self.unpack()?.len() as u64
        } else {
            self.values.size()
        };
        if found < self.needed() {
            return Err(bad("it is cut short"));
        }
        Ok(())
    }

    /// Bytes of the file with the values up to the last of them.
    fn needed(&self) -> u64 {
        let voxels = self
            .sizes()
            .iter()
            .fold(1u64, |product, &size| product.saturating_mul(size as u64));
        voxels
            .saturating_mul(self.header.kind.bytes() as u64)
            .saturating_add(self.header.offset)
    }

    fn unpack(&self) -> Result<Arc<Vec<u8>>, ImagingError> {
        if let Some(bytes) = self.unpacked.get() {
            return Ok(Arc::clone(bytes));
        }
        let packed = read_all(self.values.as_ref())?;
        let mut bytes = Vec::new();
        let damaged = |_cause| bad("its compression is damaged");
        let mut stream = MultiGzDecoder::new(packed.as_slice());
        stream
            .by_ref()
            .take(self.needed())
            .read_to_end(&mut bytes)
            .map_err(damaged)?;
        // The checksum is behind the last byte.
        stream.read(&mut [0]).map_err(damaged)?;
        Ok(Arc::clone(self.unpacked.get_or_init(|| Arc::new(bytes))))
    }

    /// The values of one slice of one volume, row by row.
    pub(crate) fn slice(&self, slice: usize, volume: usize) -> Result<Slice, ImagingError> {
        let [columns, rows, slices, volumes] = self.sizes();
        let index = volume.saturating_mul(slices).saturating_add(slice);
        if slice >= slices || volume >= volumes {
            return Err(ImagingError::FrameOutOfRange {
                frame: index,
                count: slices.saturating_mul(volumes),
            });
        }
        let pixels = limits::frame_pixels(columns as u64, rows as u64)?;
        let length = pixels.saturating_mul(self.header.kind.bytes());
        let bytes = self.bytes((index as u64).saturating_mul(length as u64), length)?;
        Ok(values(&self.header, &bytes))
    }

    /// The scaled values of a volume, the first axis fastest: not turned to the patient.
    ///
    /// # Errors
    ///
    /// [`ImagingError::FrameOutOfRange`], and [`ImagingError::Nifti`] for colours and where the file is cut
    /// short.
    pub fn values(&self, volume: usize) -> Result<Vec<f32>, ImagingError> {
        let [_, _, slices, _] = self.sizes();
        let mut all = Vec::new();
        for slice in 0..slices {
            match self.slice(slice, volume)? {
                Slice::Gray(values) => all.extend(values),
                Slice::Rgb(_) => return Err(bad("its voxels are colours, not values")),
            }
        }
        Ok(all)
    }

    /// One slice as a picture, in the order in which the file stores it: not turned to the patient.
    ///
    /// # Errors
    ///
    /// [`ImagingError::FrameOutOfRange`], and [`ImagingError::Nifti`] where the file is cut short.
    pub fn picture(&self, slice: usize, volume: usize) -> Result<Picture, ImagingError> {
        let [columns, rows, ..] = self.sizes();
        let (kind, frame) = match self.slice(slice, volume)? {
            Slice::Gray(values) => (PictureKind::Gray, Frame::gray(values)),
            Slice::Rgb(pixels) => (PictureKind::Rgb, Frame::Rgb(pixels)),
        };
        let window = match &frame {
            Frame::Gray { range, .. } => range.map(|(low, high)| Window::from_range(low, high)),
            Frame::Rgb(_) => None,
        };
        let description = Description {
            width: columns,
            height: rows,
            kind,
            format: "NIfTI",
            modality: None,
            spacing_mm: self.spacing_mm().map(|[column, row, _]| [row, column]),
            regions: Vec::new(),
            inverted: false,
        };
        Ok(Picture::single(description, frame, window))
    }
}
