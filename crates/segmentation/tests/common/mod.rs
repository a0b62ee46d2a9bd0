//! Series for tests, made as DICOM files in memory: CT of 16 bits, any orientation, slices in any order;
//! and clips.

#![allow(dead_code, reason = "each test file uses a part")]

use dicom_core::value::PrimitiveValue;
use dicom_core::{DataElement, Tag, VR};
use dicom_dictionary_std::{tags, uids};
use dicom_object::InMemDicomObject;
use dicom_object::meta::FileMetaTableBuilder;
use medsam3_imaging::Mask;
use medsam3_imaging::series::{MemorySource, Series, SharedSource, find};
use medsam3_segmentation::{Origin, Segment, Segmentation};
use std::sync::Arc;

/// What a series is made of.
pub struct Recipe {
    pub columns: usize,
    pub rows: usize,
    pub slices: usize,
    /// Directions of rows and columns.
    pub orientation: [f64; 6],
    /// Between columns, rows and slices.
    pub spacing: [f64; 3],
    pub origin: [f64; 3],
    /// Files in the order of falling positions.
    pub descending: bool,
    pub uid: &'static str,
    /// Slice Thickness, where it is said.
    pub thickness: Option<&'static str>,
}

pub const OBLIQUE: [f64; 6] = [0.8, 0.6, 0.0, -0.36, 0.48, 0.8];

impl Default for Recipe {
    fn default() -> Self {
        Self {
            columns: 40,
            rows: 32,
            slices: 12,
            orientation: OBLIQUE,
            spacing: [0.7, 1.1, 2.5],
            origin: [-10.5, 20.25, 30.0],
            descending: false,
            uid: "1.2.826.0.1.3680043.10.999.1",
            thickness: Some("2"),
        }
    }
}

/// Gray value of a voxel.
pub fn gray(column: usize, row: usize, slice: usize) -> i16 {
    ((column * 7 + row * 13 + slice * 29) % 401) as i16 - 100
}

impl Recipe {
    pub fn normal(&self) -> [f64; 3] {
        let [a, b, c, x, y, z] = self.orientation;
        [b * z - c * y, c * x - a * z, a * y - b * x]
    }

    pub fn series(&self) -> Series {
        let mut sources: Vec<SharedSource> = (0..self.slices)
            .map(|slice| {
                let name = format!("{slice}.dcm");
                Arc::new(MemorySource::new(name, self.file(slice))) as SharedSource
            })
            .collect();
        if self.descending {
            sources.reverse();
        }
        let mut listing = find(sources);
        assert_eq!(listing.series.len(), 1, "{:?}", listing.failures);
        listing.series.remove(0)
    }

    fn file(&self, slice: usize) -> Vec<u8> {
        let mut object = InMemDicomObject::new_empty();
        let mut put = |tag: Tag, vr: VR, value: PrimitiveValue| {
            object.put(DataElement::new(tag, vr, value));
        };
        let text = |text: &str| PrimitiveValue::from(text);
        let numbers = |values: &[f64]| {
            PrimitiveValue::Strs(values.iter().map(|value| format!("{value}")).collect())
        };
        let us = |value: usize| PrimitiveValue::from(value as u16);
        let instance = format!("{}.1.{}", self.uid, slice + 1);
        put(tags::SPECIFIC_CHARACTER_SET, VR::CS, text("ISO_IR 100"));
        put(tags::SOP_CLASS_UID, VR::UI, text(uids::CT_IMAGE_STORAGE));
        put(tags::SOP_INSTANCE_UID, VR::UI, text(&instance));
        put(tags::STUDY_DATE, VR::DA, text("20260102"));
        put(tags::MODALITY, VR::CS, text("CT"));
        put(tags::PATIENT_NAME, VR::PN, text("Müller^Jürgen"));
        put(tags::PATIENT_ID, VR::LO, text("ID-4711"));
        if let Some(thickness) = self.thickness {
            put(tags::SLICE_THICKNESS, VR::DS, text(thickness));
        }
        put(
            tags::STUDY_INSTANCE_UID,
            VR::UI,
            text(&format!("{}.7", self.uid)),
        );
        put(
            tags::SERIES_INSTANCE_UID,
            VR::UI,
            text(&format!("{}.8", self.uid)),
        );
        // Numbers against the order of positions, where that is wanted.
        let number = if self.descending {
            self.slices - slice
        } else {
            slice + 1
        };
        put(tags::INSTANCE_NUMBER, VR::IS, text(&number.to_string()));
        let along = slice as f64 * self.spacing[2];
        let normal = self.normal();
        let at: Vec<f64> = self
            .origin
            .iter()
            .zip(normal)
            .map(|(start, part)| start + along * part)
            .collect();
        put(tags::IMAGE_POSITION_PATIENT, VR::DS, numbers(&at));
        put(
            tags::IMAGE_ORIENTATION_PATIENT,
            VR::DS,
            numbers(&self.orientation),
        );
        put(
            tags::FRAME_OF_REFERENCE_UID,
            VR::UI,
            text(&format!("{}.9", self.uid)),
        );
        put(tags::SAMPLES_PER_PIXEL, VR::US, us(1));
        put(
            tags::PHOTOMETRIC_INTERPRETATION,
            VR::CS,
            text("MONOCHROME2"),
        );
        put(tags::ROWS, VR::US, us(self.rows));
        put(tags::COLUMNS, VR::US, us(self.columns));
        put(
            tags::PIXEL_SPACING,
            VR::DS,
            numbers(&[self.spacing[1], self.spacing[0]]),
        );
        put(tags::BITS_ALLOCATED, VR::US, us(16));
        put(tags::BITS_STORED, VR::US, us(16));
        put(tags::HIGH_BIT, VR::US, us(15));
        put(tags::PIXEL_REPRESENTATION, VR::US, us(1));
        put(tags::RESCALE_INTERCEPT, VR::DS, text("0"));
        put(tags::RESCALE_SLOPE, VR::DS, text("1"));
        let pixels: Vec<u16> = (0..self.rows * self.columns)
            .map(|at| gray(at % self.columns, at / self.columns, slice) as u16)
            .collect();
        put(tags::PIXEL_DATA, VR::OW, PrimitiveValue::U16(pixels.into()));
        encoded(object, uids::CT_IMAGE_STORAGE, &instance)
    }
}

fn encoded(object: InMemDicomObject, class: &str, instance: &str) -> Vec<u8> {
    let meta = FileMetaTableBuilder::new()
        .media_storage_sop_class_uid(class)
        .media_storage_sop_instance_uid(instance)
        .transfer_syntax(uids::EXPLICIT_VR_LITTLE_ENDIAN);
    let mut bytes = Vec::new();
    let file = object.with_meta(meta).expect("a file meta group");
    file.write_all(&mut bytes).expect("written");
    bytes
}

/// A file of an image class with several gray frames of 12 x 10 pixels and no place in the patient.
pub fn clip(class: &'static str, frames: usize) -> Vec<u8> {
    let mut object = InMemDicomObject::new_empty();
    let instance = "1.2.826.0.1.3680043.10.999.3.1";
    for (tag, vr, value) in [
        (tags::SOP_CLASS_UID, VR::UI, class),
        (tags::SOP_INSTANCE_UID, VR::UI, instance),
        (
            tags::STUDY_INSTANCE_UID,
            VR::UI,
            "1.2.826.0.1.3680043.10.999.3.2",
        ),
        (
            tags::SERIES_INSTANCE_UID,
            VR::UI,
            "1.2.826.0.1.3680043.10.999.3.3",
        ),
        (tags::MODALITY, VR::CS, "US"),
        (tags::PHOTOMETRIC_INTERPRETATION, VR::CS, "MONOCHROME2"),
        (tags::NUMBER_OF_FRAMES, VR::IS, &frames.to_string()),
    ] {
        object.put(DataElement::new(tag, vr, PrimitiveValue::from(value)));
    }
    for (tag, value) in [
        (tags::SAMPLES_PER_PIXEL, 1u16),
        (tags::ROWS, 10),
        (tags::COLUMNS, 12),
        (tags::BITS_ALLOCATED, 8),
        (tags::BITS_STORED, 8),
        (tags::HIGH_BIT, 7),
        (tags::PIXEL_REPRESENTATION, 0),
    ] {
        object.put(DataElement::new(tag, VR::US, PrimitiveValue::from(value)));
    }
    let pixels: Vec<u8> = (0..frames * 120).map(|at| (at % 251) as u8).collect();
    object.put(DataElement::new(
        tags::PIXEL_DATA,
        VR::OB,
        PrimitiveValue::U8(pixels.into()),
    ));
    encoded(object, class, instance)
}

/// The segments of the phantom, on the grid of [`Recipe::default`]: an ellipsoid with a channel, and a wedge
/// that overlaps it, with an island in the first corner. tests/segmentation/make_measurements.py draws the same.
pub fn inside(segment: usize, x: i64, y: i64, z: i64) -> bool {
    match segment {
        0 => {
            let ellipsoid = (x - 15).pow(2) * 4 + (y - 14).pow(2) * 9 + (z - 5).pow(2) * 36 < 900;
            ellipsoid && (x - 13).pow(2) + (y - 12).pow(2) >= 9
        }
        _ => (x + 2 * y + 3 * z > 70 && x < 36) || (x < 4 && y < 3 && z == 0),
    }
}

/// Both segments of the phantom on a series of the default size.
pub fn phantom(series: &Series) -> Segmentation {
    let mut document = Segmentation::new(series);
    let grid = document.grid();
    for (index, name) in ["left kidney", "tumor"].into_iter().enumerate() {
        document.add(Segment::new(
            name,
            Origin::of_model("medsam3-test", "abc123", name),
        ));
        for slice in 0..grid.slices {
            let mut mask = Mask::empty(grid.columns, grid.rows);
            for (at, bit) in mask.bits.iter_mut().enumerate() {
                let (x, y) = (at % grid.columns, at / grid.columns);
                *bit = u8::from(inside(index, x as i64, y as i64, slice as i64));
            }
            document.set_mask(index, slice, 0, &mask).unwrap();
        }
    }
    document
}
