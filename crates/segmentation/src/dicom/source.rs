//! What a DICOM object takes from the series that it refers to: patient and study, what was lost in
//! compression, and of each picture its instance, frame and plane.

use dicom_core::Tag;
use dicom_dictionary_std::{tags, uids};
use dicom_object::InMemDicomObject;
use medsam3_imaging::series::{Kind, Problem, Series};
use medsam3_imaging::{Orientation, Vector, dicom_attributes};

use super::stamp::uid_of;
use crate::document::{Place, Segmentation};
use crate::error::SegmentationError;

/// Patient (PS3.3 C.7.1.1), clinical trial (C.7.1.3), study (C.7.2.1) and patient study (C.7.2.2) modules.
pub(super) const PATIENT_AND_STUDY: &[Tag] = &[
    tags::STUDY_DATE,
    tags::STUDY_TIME,
    tags::ACCESSION_NUMBER,
    tags::REFERRING_PHYSICIAN_NAME,
    tags::STUDY_DESCRIPTION,
    tags::PATIENT_NAME,
    tags::PATIENT_ID,
    tags::ISSUER_OF_PATIENT_ID,
    tags::PATIENT_BIRTH_DATE,
    tags::PATIENT_SEX,
    tags::PATIENT_AGE,
    tags::PATIENT_SIZE,
    tags::PATIENT_WEIGHT,
    tags::PATIENT_IDENTITY_REMOVED,
    tags::DEIDENTIFICATION_METHOD,
    tags::DEIDENTIFICATION_METHOD_CODE_SEQUENCE,
    tags::CLINICAL_TRIAL_SPONSOR_NAME,
    tags::CLINICAL_TRIAL_PROTOCOL_ID,
    tags::CLINICAL_TRIAL_PROTOCOL_NAME,
    tags::CLINICAL_TRIAL_SITE_ID,
    tags::CLINICAL_TRIAL_SITE_NAME,
    tags::CLINICAL_TRIAL_SUBJECT_ID,
    tags::CLINICAL_TRIAL_SUBJECT_READING_ID,
    tags::STUDY_INSTANCE_UID,
    tags::STUDY_ID,
];

/// Read beside it.
const OTHER: &[Tag] = &[
    tags::SPECIFIC_CHARACTER_SET,
    tags::SLICE_THICKNESS,
    tags::POSITION_REFERENCE_INDICATOR,
    tags::PATIENT_ORIENTATION,
    tags::LOSSY_IMAGE_COMPRESSION,
    tags::LOSSY_IMAGE_COMPRESSION_RATIO,
    tags::LOSSY_IMAGE_COMPRESSION_METHOD,
    tags::SHARED_FUNCTIONAL_GROUPS_SEQUENCE,
];

/// Classes of images without the Multi-frame module (PS3.3 A.2 to A.4, A.6, A.8.1, A.21, A.26 to A.28, A.32.1 to
/// A.32.4, A.32.11): a reference to one has no frame number. Files of them that hold a clip or the tiles of a mosaic
/// are told apart by stack and temporal position, and by place.
const SINGLE_FRAME: &[&str] = &[
    uids::COMPUTED_RADIOGRAPHY_IMAGE_STORAGE,
    uids::DIGITAL_X_RAY_IMAGE_STORAGE_FOR_PRESENTATION,
    uids::DIGITAL_X_RAY_IMAGE_STORAGE_FOR_PROCESSING,
    uids::DIGITAL_MAMMOGRAPHY_X_RAY_IMAGE_STORAGE_FOR_PRESENTATION,
    uids::DIGITAL_MAMMOGRAPHY_X_RAY_IMAGE_STORAGE_FOR_PROCESSING,
    uids::DIGITAL_INTRA_ORAL_X_RAY_IMAGE_STORAGE_FOR_PRESENTATION,
    uids::DIGITAL_INTRA_ORAL_X_RAY_IMAGE_STORAGE_FOR_PROCESSING,
    uids::CT_IMAGE_STORAGE,
    uids::MR_IMAGE_STORAGE,
    uids::ULTRASOUND_IMAGE_STORAGE,
    uids::SECONDARY_CAPTURE_IMAGE_STORAGE,
    uids::VL_ENDOSCOPIC_IMAGE_STORAGE,
    uids::VL_MICROSCOPIC_IMAGE_STORAGE,
    uids::VL_SLIDE_COORDINATES_MICROSCOPIC_IMAGE_STORAGE,
    uids::VL_PHOTOGRAPHIC_IMAGE_STORAGE,
    uids::DERMOSCOPIC_PHOTOGRAPHY_IMAGE_STORAGE,
    uids::POSITRON_EMISSION_TOMOGRAPHY_IMAGE_STORAGE,
];

/// A series as another object refers to it.
pub(super) struct SourceSeries<'a> {
    pub(super) series: &'a Series,
    /// Of its first picture.
    pub(super) attributes: InMemDicomObject,
    /// Whether pixels have places in the patient.
    pub(super) placed: bool,
    /// Frame of Reference UID, where they have.
    pub(super) frame_of_reference: Option<String>,
}

/// One picture.
pub(super) struct Instance<'a> {
    pub(super) sop_class: &'a str,
    pub(super) sop_instance: &'a str,
    /// From 1, where the file has several and its class may have them.
    pub(super) frame_number: Option<u32>,
    pub(super) plane: Option<(Vector, Orientation)>,
}

impl<'a> SourceSeries<'a> {
    /// Reads the header of the first picture of the series that a segmentation lies on.
    ///
    /// # Errors
    ///
    /// [`SegmentationError::OtherSeries`], and [`SegmentationError::NotWritable`] for a series that is no DICOM or
    /// whose pictures have no identity.
    pub(super) fn of(
        series: &'a Series,
        segmentation: &Segmentation,
        format: &'static str,
    ) -> Result<Self, SegmentationError> {
        segmentation.check_series(series)?;
        let refuse = |detail| SegmentationError::NotWritable {
            format,
            detail,
            next_step: "Write NIfTI or PNG instead, which need no DICOM series.",
        };
        if series.format() != "DICOM" {
            return Err(refuse(
                "it is no DICOM series, and has no study to belong to",
            ));
        }
        if series.problems().contains(&Problem::MixedSize) {
            return Err(refuse("its pictures have different sizes"));
        }
        let mut pictures = (0..series.slices())
            .flat_map(|slice| (0..series.frames()).map(move |frame| (slice, frame)));
        let mut placed = series.spacing_mm().is_some() && series.slices() > 0;
        let identified = pictures.all(|(slice, frame)| {
            series.picture_info(slice, frame).is_some_and(|picture| {
                placed &= picture.in_patient
                    && picture.position.is_some()
                    && picture.orientation.is_some();
                !picture.sop_instance.is_empty() && !picture.sop_class.is_empty()
            })
        });
        if !identified {
            return Err(refuse("its pictures have no SOP Instance UID to refer to"));
        }
        let first = series.file_and_frame(0, 0).map(|(file, _)| file);
        let sources = series.sources();
        let source = first
            .and_then(|file| sources.get(file))
            .ok_or_else(|| refuse("it has no picture"))?;
        let wanted: Vec<Tag> = PATIENT_AND_STUDY.iter().chain(OTHER).copied().collect();
        // Anonymisers take the frame of reference away and leave the positions: it is then one of the
        // series' own, the same in every object that is made on it.
        let frame_of_reference = series.frame_of_reference_uid().map_or_else(
            || uid_of(&["frame of reference", series.uid().unwrap_or_default()]),
            str::to_owned,
        );
        Ok(Self {
            attributes: dicom_attributes(source.as_ref(), &wanted)?,
            series,
            placed,
            frame_of_reference: placed.then_some(frame_of_reference),
        })
    }

    /// Study Instance UID; of a series without one a UID that follows from the series, the same in every object.
    pub(super) fn study_uid(&self) -> String {
        self.series.study_uid().map_or_else(
            || uid_of(&["study", self.series.uid().unwrap_or_default()]),
            str::to_owned,
        )
    }

    /// A picture, `None` out of range.
    pub(super) fn instance(&self, place: Place) -> Option<Instance<'a>> {
        let picture = self.series.picture_info(place.slice, place.frame)?;
        let plane = picture.position.zip(picture.orientation);
        let several = !SINGLE_FRAME.contains(&picture.sop_class) && self.has_many_frames(place);
        let number = u32::try_from(picture.frame).ok()?.checked_add(1)?;
        Some(Instance {
            sop_class: picture.sop_class,
            sop_instance: picture.sop_instance,
            frame_number: several.then_some(number),
            plane: plane.filter(|_| self.placed),
        })
    }

    /// Whether the file of a picture has more than one.
    fn has_many_frames(&self, place: Place) -> bool {
        let file = |place: Place| {
            let found = self.series.file_and_frame(place.slice, place.frame)?;
            Some(found.0)
        };
        if self
            .series
            .picture_info(place.slice, place.frame)
            .is_some_and(|picture| picture.frame > 0)
        {
            return true;
        }
        // A neighbour of the same file says so too.
        let neighbours = [
            Place {
                frame: place.frame + 1,
                ..place
            },
            Place {
                slice: place.slice + 1,
                ..place
            },
        ];
        let before = place
            .slice
            .checked_sub(1)
            .map(|slice| Place { slice, ..place });
        neighbours
            .into_iter()
            .chain(before)
            .any(|other| file(other).is_some() && file(other) == file(place))
    }

    /// All pictures in order.
    pub(super) fn instances(&self) -> impl Iterator<Item = Instance<'a>> + '_ {
        let frames = self.series.frames();
        (0..self.series.slices()).flat_map(move |slice| {
            (0..frames).filter_map(move |frame| self.instance(Place { slice, frame }))
        })
    }

    /// Distances of rows and of columns, as Pixel Spacing has them.
    pub(super) fn pixel_spacing(&self) -> Option<[f64; 2]> {
        match self.series.spacing_mm()? {
            [Some(column), Some(row), _] => Some([row, column]),
            _ => None,
        }
    }

    /// Distance of slices along their normal, where there is one.
    pub(super) fn slice_spacing(&self) -> Option<f64> {
        self.series.spacing_mm().and_then(|[.., slice]| slice)
    }

    /// Thickness of a slice as the series says, else the distance of slices.
    pub(super) fn slice_thickness(&self) -> Option<f64> {
        let positive = |object: &InMemDicomObject| {
            let value = object.get(tags::SLICE_THICKNESS)?.to_float64().ok()?;
            (value.is_finite() && value > 0.0).then_some(value)
        };
        let shared = || {
            let groups = self
                .attributes
                .get(tags::SHARED_FUNCTIONAL_GROUPS_SEQUENCE)?;
            let measures = groups
                .items()?
                .first()?
                .get(tags::PIXEL_MEASURES_SEQUENCE)?;
            positive(measures.items()?.first()?)
        };
        positive(&self.attributes)
            .or_else(shared)
            .or_else(|| self.slice_spacing())
    }

    /// Whether frames of an image on this series can have planes: these must have a thickness (C.7.6.16.2.1), and
    /// one that is made up would become a volume.
    pub(super) fn makes_planes(&self) -> bool {
        self.placed && self.slice_thickness().is_some()
    }

    /// Whether all pictures are parallel.
    pub(super) fn is_parallel(&self) -> bool {
        self.series.kind() != Kind::Stack
            || !self.series.problems().contains(&Problem::MixedOrientation)
    }
}
