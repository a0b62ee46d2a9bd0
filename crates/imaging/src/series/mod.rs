//! What a person has, as series: files, folders, archives and discs in, and out of them a list of series
//! with their geometry. Headers are read first and pixels when a slice is asked for. Slices are in the
//! order of their places in the patient, so that the affine's third axis grows with their number.

mod archive;
mod arrange;
mod find;
#[cfg(not(target_arch = "wasm32"))]
mod folder;
mod picture_size;
mod plane;
mod problem;
mod reader;
mod report;
mod source;
mod turn;
mod volume;

use std::sync::Arc;

use serde::{Deserialize, Serialize};

pub use find::{Failure, Listing, OtherObject, Search, find};
#[cfg(not(target_arch = "wasm32"))]
pub use folder::{FileSource, sources_of_paths};
pub use plane::{Plane, direction_letters};
pub use problem::Problem;
pub use reader::PictureReader;
pub use report::{SeriesReport, TransferSyntaxes};
pub use source::{MemorySource, Shareable, SharedSource, Source};
pub use volume::{Volume, Voxels};

pub(crate) use source::read_all;

use crate::ImagingError;
use crate::geometry::{Affine, Orientation, Vector};
use crate::nifti::NiftiFile;

/// What the pictures of a series make together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// One picture.
    Image,
    /// Pictures that make no volume.
    Stack,
    /// Parallel slices on a regular grid.
    Volume,
    /// One position over time.
    Cine,
}

impl Kind {
    /// As in the contract.
    pub fn name(self) -> &'static str {
        match self {
            Self::Image => "image",
            Self::Stack => "stack",
            Self::Volume => "volume",
            Self::Cine => "cine",
        }
    }
}

/// Which picture of a series.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub struct Place {
    /// Slice position, from 0.
    pub slice: usize,
    /// Picture at that position, from 0: time, echo; of a cine the frame.
    pub frame: usize,
}

/// Where a slice lies among the others.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SlicePlace {
    /// Along the normal from the first slice, in mm.
    pub distance_mm: f64,
    /// Its index on the grid of the affine; differs from its number where slices are missing.
    pub grid_index: Option<usize>,
}

/// One picture of a series and the file that it comes from.
#[derive(Debug, Clone)]
pub struct PictureInfo<'a> {
    /// The file's name.
    pub name: &'a str,
    /// Frame in the file, from 0.
    pub frame: usize,
    /// Which tile of the frame, where it is a mosaic.
    pub tile: Option<usize>,
    /// Rows of the file that it is in; 0 where only the pixels say it.
    pub rows: usize,
    /// Columns of the file that it is in; 0 where only the pixels say it.
    pub columns: usize,
    /// SOP Class UID, empty outside DICOM.
    pub sop_class: &'a str,
    /// SOP Instance UID, empty outside DICOM.
    pub sop_instance: &'a str,
    /// Centre of the first voxel in mm.
    pub position: Option<Vector>,
    /// Directions of rows and columns.
    pub orientation: Option<Orientation>,
    /// Whether both are in the patient's axes, and not in those of a probe.
    pub in_patient: bool,
}

/// One series.
#[derive(Debug)]
pub struct Series {
    kind: Kind,
    format: &'static str,
    modality: Option<String>,
    uid: Option<String>,
    study_uid: Option<String>,
    patient_id: Option<String>,
    frame_of_reference_uid: Option<String>,
    number: Option<i64>,
    rows: usize,
    columns: usize,
    slices: usize,
    frames: usize,
    in_plane_mm: Option<[f64; 2]>,
    step_mm: Option<f64>,
    affine: Option<Affine>,
    places: Vec<SlicePlace>,
    transfer_syntaxes: Vec<String>,
    problems: Vec<Problem>,
    pixels: Pixels,
}

/// Where the pictures come from.
#[derive(Debug)]
enum Pixels {
    /// Files, and for each picture, slice by slice, its file and frame.
    Files {
        files: Vec<find::File>,
        pictures: Vec<(usize, usize)>,
    },
    Nifti {
        source: SharedSource,
        file: Box<NiftiFile>,
    },
}

impl Series {
    /// Image, stack, volume or cine.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// `"DICOM"`, `"NIfTI"`, `"PNG"`, `"JPEG"` or `"TIFF"`.
    pub fn format(&self) -> &'static str {
        self.format
    }

    /// Modality (0008,0060), such as `"MR"`; `None` outside DICOM.
    pub fn modality(&self) -> Option<&str> {
        self.modality.as_deref()
    }

    /// Series Instance UID.
    pub fn uid(&self) -> Option<&str> {
        self.uid.as_deref()
    }

    /// Study Instance UID.
    pub fn study_uid(&self) -> Option<&str> {
        self.study_uid.as_deref()
    }

    /// Patient ID: which series are of one person. It names that person, so it is never shown or written as it is.
    pub fn patient_id(&self) -> Option<&str> {
        self.patient_id.as_deref()
    }

    /// Frame of Reference UID.
    pub fn frame_of_reference_uid(&self) -> Option<&str> {
        self.frame_of_reference_uid.as_deref()
    }

    /// Series Number (0020,0011).
    pub fn number(&self) -> Option<i64> {
        self.number
    }

    /// Rows of the first picture.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Columns of the first picture.
    pub fn columns(&self) -> usize {
        self.columns
    }

    /// Slice positions; pictures, where they have none.
    pub fn slices(&self) -> usize {
        self.slices
    }

    /// Pictures per slice position.
    pub fn frames(&self) -> usize {
        self.frames
    }

    /// Between columns, rows and slices (along their normal), in mm. `None` where even the size of a pixel
    /// is unknown, and its third number `None` where there is no one distance of slices.
    pub fn spacing_mm(&self) -> Option<[Option<f64>; 3]> {
        self.in_plane_mm
            .map(|[column, row]| [Some(column), Some(row), self.step_mm])
    }

    /// Voxel (column, row, slice) to patient LPS in mm. Where slices are missing, the slice index of a
    /// picture is that of its [`SlicePlace`].
    pub fn affine(&self) -> Option<Affine> {
        self.affine
    }

    /// Where each slice lies; empty for pictures without a place and for NIfTI, which has no gaps.
    pub fn places(&self) -> &[SlicePlace] {
        &self.places
    }

    /// UIDs of the transfer syntaxes that occur, sorted.
    pub fn transfer_syntaxes(&self) -> &[String] {
        &self.transfer_syntaxes
    }

    /// What is to be said about it, sorted.
    pub fn problems(&self) -> &[Problem] {
        &self.problems
    }

    /// Names of the files that it is made of.
    pub fn file_names(&self) -> Vec<&str> {
        match &self.pixels {
            Pixels::Files { files, .. } => files.iter().map(|file| file.source.name()).collect(),
            Pixels::Nifti { source, .. } => vec![source.name()],
        }
    }

    /// The file and frame of a picture, `None` out of range.
    pub fn picture_info(&self, slice: usize, frame: usize) -> Option<PictureInfo<'_>> {
        match &self.pixels {
            Pixels::Files { files, pictures } => {
                let &(file, frame) = pictures.get(self.index(slice, frame).ok()?)?;
                let file = files.get(file)?;
                let summary = file.summary.as_ref();
                let place = summary.and_then(|summary| summary.frames.get(frame));
                let mosaic = summary.is_some_and(|summary| summary.mosaic.is_some());
                Some(PictureInfo {
                    name: file.source.name(),
                    frame: if mosaic { 0 } else { frame },
                    tile: mosaic.then_some(frame),
                    rows: summary.map_or(0, |summary| summary.rows),
                    columns: summary.map_or(0, |summary| summary.columns),
                    sop_class: summary.map_or("", |summary| &summary.sop_class),
                    sop_instance: summary.map_or("", |summary| &summary.sop_instance),
                    position: place.and_then(|place| place.position),
                    orientation: place.and_then(|place| place.orientation),
                    in_patient: place.is_some_and(|place| place.in_patient),
                })
            }
            Pixels::Nifti { source, .. } => Some(PictureInfo {
                name: source.name(),
                frame: self.index(slice, frame).ok()?,
                tile: None,
                rows: self.rows,
                columns: self.columns,
                sop_class: "",
                sop_instance: "",
                position: None,
                orientation: None,
                in_patient: false,
            }),
        }
    }

    /// Which of [`Series::sources`] holds a picture, and which frame of it; `None` out of range.
    pub fn file_and_frame(&self, slice: usize, frame: usize) -> Option<(usize, usize)> {
        let index = self.index(slice, frame).ok()?;
        match &self.pixels {
            Pixels::Files { pictures, .. } => pictures.get(index).copied(),
            Pixels::Nifti { .. } => Some((0, index)),
        }
    }

    /// Place of a picture among all.
    fn index(&self, slice: usize, frame: usize) -> Result<usize, ImagingError> {
        if slice < self.slices && frame < self.frames {
            Ok(slice.saturating_mul(self.frames).saturating_add(frame))
        } else {
            Err(ImagingError::FrameOutOfRange {
                frame: slice.saturating_mul(self.frames).saturating_add(frame),
                count: self.slices.saturating_mul(self.frames),
            })
        }
    }

    /// The files of the series with how they are shared, for who reads them otherwise.
    pub fn sources(&self) -> Vec<SharedSource> {
        match &self.pixels {
            Pixels::Files { files, .. } => {
                files.iter().map(|file| Arc::clone(&file.source)).collect()
            }
            Pixels::Nifti { source, .. } => vec![Arc::clone(source)],
        }
    }
}
