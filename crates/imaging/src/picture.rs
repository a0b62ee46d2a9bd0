//! One opened image: frames of one size, decoded on demand and kept.
//! A gray frame is `[height, width]` modality values (f32); a colour frame is `[height, width, 3]` u8.

use std::sync::OnceLock;

use crate::mask::BoundingBox;
use crate::outliers;
use crate::voi::Voi;
use crate::{ImagingError, Window};

/// Whether a picture has gray values that a window applies to, or colours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PictureKind {
    /// One value per pixel.
    Gray,
    /// Red, green and blue, 8 bits each.
    Rgb,
}

/// An 8-bit colour image, row-major, three bytes per pixel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rgb8 {
    /// Columns.
    pub width: usize,
    /// Rows.
    pub height: usize,
    /// `[height, width, 3]`.
    pub pixels: Vec<u8>,
}

/// A part of an ultrasound picture that shows tissue at a scale of its own (PS3.3 C.8.5.5).
#[derive(Debug, Clone, PartialEq)]
pub struct Region {
    /// The pixels that it covers.
    pub bounds: BoundingBox,
    /// Whether its pixels are those that are seen where regions overlap (Region Flags, bit 0).
    pub in_front: bool,
    /// Distance of neighbouring rows and of neighbouring columns, in mm.
    pub spacing_mm: [f64; 2],
}

/// The note for a default window that does not span all values.
pub(crate) const OUTLIERS_LEFT_OUT: &str =
    "A few pixels far from the rest are outside the window that the image opens with.";

/// The values of one decoded frame.
#[derive(Debug, Clone)]
pub(crate) enum Frame {
    /// Modality values and, without padding pixels, their smallest and largest.
    Gray {
        values: Vec<f32>,
        range: Option<(f32, f32)>,
    },
    /// Red, green, blue.
    Rgb(Vec<u8>),
}

impl Frame {
    /// A gray frame in which every pixel counts towards the range.
    pub(crate) fn gray(values: Vec<f32>) -> Self {
        let range = range_of(values.iter().copied());
        Self::Gray { values, range }
    }
}

/// Smallest and largest finite value, `None` where there is none.
pub(crate) fn range_of(values: impl Iterator<Item = f32>) -> Option<(f32, f32)> {
    values
        .filter(|value| value.is_finite())
        .fold(None, |range, value| match range {
            None => Some((value, value)),
            Some((low, high)) => Some((f32::min(low, value), f32::max(high, value))),
        })
}

/// Where frames beyond the decoded ones come from.
pub(crate) trait FrameSource: Send + Sync + std::fmt::Debug {
    /// Decodes one frame.
    fn decode(&self, frame: usize) -> Result<Frame, ImagingError>;
    /// The window that the file gives for a frame.
    fn window(&self, frame: usize) -> Option<Window>;
    /// The shape of the transform that the window belongs to, `None` for a line.
    fn voi(&self, frame: usize) -> Option<&Voi>;
}

/// What a picture says about itself apart from its pixels.
#[derive(Debug, Clone)]
pub(crate) struct Description {
    pub(crate) width: usize,
    pub(crate) height: usize,
    pub(crate) kind: PictureKind,
    pub(crate) format: &'static str,
    pub(crate) modality: Option<String>,
    pub(crate) spacing_mm: Option<[f64; 2]>,
    /// Parts of an ultrasound picture that have a scale.
    pub(crate) regions: Vec<Region>,
    /// White is the smallest value (MONOCHROME1).
    pub(crate) inverted: bool,
}

/// One opened file: one or more frames of one size.
#[derive(Debug)]
pub struct Picture {
    description: Description,
    frames: Vec<OnceLock<Frame>>,
    source: Option<Box<dyn FrameSource>>,
    default_window: Option<Window>,
    notes: Vec<&'static str>,
}

impl Picture {
    /// A picture of one decoded frame.
    pub(crate) fn single(
        description: Description,
        frame: Frame,
        default_window: Option<Window>,
    ) -> Self {
        Self {
            description,
            frames: vec![OnceLock::from(frame)],
            source: None,
            default_window,
            notes: Vec::new(),
        }
    }

    /// A picture whose frames are decoded by `source`; the first one is decoded here.
    pub(crate) fn from_source(
        description: Description,
        frame_count: usize,
        source: Box<dyn FrameSource>,
    ) -> Result<Self, ImagingError> {
        let mut picture = Self {
            description,
            frames: std::iter::repeat_with(OnceLock::new)
                .take(frame_count)
                .collect(),
            source: Some(source),
            default_window: None,
            notes: Vec::new(),
        };
        picture.frame(0)?;
        if let Frame::Gray { values, range } = picture.frame(0)? {
            let own = picture.source.as_ref().and_then(|source| source.window(0));
            let spanning = range.map(|range| outliers::window(values, range));
            let (window, left_out) = match (own, spanning) {
                (Some(window), _) => (Some(window), false),
                (None, Some((window, left_out))) => (Some(window), left_out),
                (None, None) => (None, false),
            };
            picture.default_window = window;
            if left_out {
                picture.notes.push(OUTLIERS_LEFT_OUT);
            }
        }
        Ok(picture)
    }

    /// The same picture with what should be said about it.
    pub(crate) fn with_notes(mut self, notes: impl IntoIterator<Item = &'static str>) -> Self {
        self.notes.extend(notes);
        self
    }

    /// What was taken into account in reading the file that a person should know, as whole sentences: where the
    /// distances come from, what of the file was set aside. Empty for most files.
    pub fn notes(&self) -> &[&'static str] {
        &self.notes
    }

    /// Columns.
    pub fn width(&self) -> usize {
        self.description.width
    }

    /// Rows.
    pub fn height(&self) -> usize {
        self.description.height
    }

    /// Number of frames, at least 1.
    pub fn frame_count(&self) -> usize {
        self.frames.len()
    }

    /// Gray or colour.
    pub fn kind(&self) -> PictureKind {
        self.description.kind
    }

    /// `"DICOM"`, `"NIfTI"`, `"PNG"`, `"JPEG"` or `"TIFF"`.
    pub fn format(&self) -> &'static str {
        self.description.format
    }

    /// Modality (0008,0060), such as `"MR"`; `None` outside DICOM.
    pub fn modality(&self) -> Option<&str> {
        self.description.modality.as_deref()
    }

    /// Distance of neighbouring rows and of neighbouring columns in the patient, in mm.
    ///
    /// `None` where the file is not calibrated: a detector's own Imager Pixel Spacing is not a
    /// distance in the patient unless the file gives the magnification too ([`Self::notes`] says so).
    pub fn pixel_spacing_mm(&self) -> Option<[f64; 2]> {
        self.description.spacing_mm
    }

    /// The two-dimensional regions of an ultrasound picture, in the order of the file; empty for all others.
    pub fn regions(&self) -> &[Region] {
        &self.description.regions
    }

    /// The spacing that holds for everything within a box, such as that of a mask: the picture's own
    /// ([`Self::pixel_spacing_mm`]), else that of the ultrasound region around the box. `None` for a box that
    /// leaves its region, and where regions of different scales lie on one another.
    pub fn pixel_spacing_mm_within(&self, bounds: BoundingBox) -> Option<[f64; 2]> {
        if self.description.spacing_mm.is_some() {
            return self.description.spacing_mm;
        }
        let overlap = |region: &&Region| {
            let outer = region.bounds;
            outer.left < bounds.right
                && bounds.left < outer.right
                && outer.top < bounds.bottom
                && bounds.top < outer.bottom
        };
        let seen: Vec<&Region> = self.regions().iter().filter(overlap).collect();
        let in_front = seen.iter().any(|region| region.in_front);
        let mut seen = seen
            .into_iter()
            .filter(|region| region.in_front == in_front);
        let region = seen.next()?;
        let outer = region.bounds;
        let inside = outer.left <= bounds.left
            && outer.top <= bounds.top
            && bounds.right <= outer.right
            && bounds.bottom <= outer.bottom;
        (inside && seen.all(|other| other.spacing_mm == region.spacing_mm))
            .then_some(region.spacing_mm)
    }

    /// The window that a gray picture opens with: the file's first, else its range of values, from
    /// which a few pixels far from the rest are left out.
    pub fn default_window(&self) -> Option<Window> {
        self.default_window
    }

    /// The shape of the transform of the first frame's window, `None` for a line.
    pub(crate) fn voi(&self) -> Option<&Voi> {
        self.source.as_ref()?.voi(0)
    }

    /// Whether a gray picture shows its smallest values white (MONOCHROME1).
    pub fn inverted(&self) -> bool {
        self.description.inverted
    }

    /// Smallest and largest modality value of a gray frame, padding pixels left out.
    ///
    /// `None` for colour, for a frame that does not exist or decode, and for one that is all padding.
    pub fn value_range(&self, frame: usize) -> Option<(f32, f32)> {
        match self.frame(frame) {
            Ok(Frame::Gray { range, .. }) => *range,
            _ => None,
        }
    }

    /// Modality values (HU for CT) of a gray frame, `[height, width]`.
    ///
    /// # Errors
    ///
    /// [`ImagingError::NotGray`] for colour, and whatever decoding the frame gives.
    pub fn gray_values(&self, frame: usize) -> Result<&[f32], ImagingError> {
        match self.frame(frame)? {
            Frame::Gray { values, .. } => Ok(values),
            Frame::Rgb(_) => Err(ImagingError::NotGray),
        }
    }

    /// The frame as a person sees it, which is also what the model gets.
    ///
    /// `window` applies to gray alone; `None` takes the frame's own window, else the default one.
    ///
    /// # Errors
    ///
    /// Whatever decoding the frame gives.
    pub fn render(&self, frame: usize, window: Option<Window>) -> Result<Rgb8, ImagingError> {
        let pixels = match self.frame(frame)? {
            Frame::Rgb(pixels) => pixels.clone(),
            Frame::Gray { values, .. } => {
                let window = window.unwrap_or_else(|| self.own_window(frame));
                let voi = self.source.as_ref().and_then(|source| source.voi(frame));
                let invert = if self.description.inverted { 255 } else { 0 };
                let mut pixels = Vec::with_capacity(values.len().saturating_mul(3));
                for &value in values {
                    let shown =
                        voi.map_or_else(|| window.apply(value), |voi| voi.apply(value, window));
                    // Exclusive or with 255 is 255 minus the value.
                    pixels.extend([shown ^ invert; 3]);
                }
                pixels
            }
        };
        Ok(Rgb8 {
            width: self.width(),
            height: self.height(),
            pixels,
        })
    }

    /// The window that [`Self::render`] shows a frame through; `None` for colour.
    pub fn shown_window(&self, frame: usize, window: Option<Window>) -> Option<Window> {
        let gray = self.kind() == PictureKind::Gray;
        gray.then(|| window.unwrap_or_else(|| self.own_window(frame)))
    }

    fn own_window(&self, frame: usize) -> Window {
        let own = self.source.as_ref().and_then(|source| source.window(frame));
        own.or(self.default_window)
            .unwrap_or(Window::from_range(0.0, 255.0))
    }

    /// Forgets decoded frames, which a long cine would otherwise add up in memory. They are decoded
    /// again when asked for.
    pub fn release_frames(&mut self) {
        if self.source.is_some() {
            for frame in &mut self.frames {
                frame.take();
            }
        }
    }

    fn frame(&self, index: usize) -> Result<&Frame, ImagingError> {
        let slot = self
            .frames
            .get(index)
            .ok_or(ImagingError::FrameOutOfRange {
                frame: index,
                count: self.frames.len(),
            })?;
        if let Some(frame) = slot.get() {
            return Ok(frame);
        }
        let Some(source) = &self.source else {
            return Err(ImagingError::DicomFrameDamaged { frame: index });
        };
        let decoded = source.decode(index)?;
        Ok(slot.get_or_init(|| decoded))
    }
}
