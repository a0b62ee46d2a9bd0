//! How long it takes to list a folder of slices and to show the first one, and how much memory.
//!
//! `cargo run -p medsam3-imaging --example list_series -- make FOLDER 300` writes 300 slices of 512 x 512,
//! `... -- list FOLDER` lists them, shows the first slice, and prints seconds and the peak of the process' memory in
//! bytes as JSON. `cargo xtask bench --parts listing` runs both.

use std::path::{Path, PathBuf};
use std::time::Instant;

use dicom_core::{DataElement, PrimitiveValue, VR};
use dicom_dictionary_std::{tags, uids};
use dicom_object::{FileMetaTableBuilder, InMemDicomObject};
use medsam3_imaging::series::{SeriesReport, find, sources_of_paths};

const SIDE: u16 = 512;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["make", folder, count] => make(Path::new(folder), count.parse()?),
        ["list", folder] => list(PathBuf::from(folder)),
        _ => Err("usage: make FOLDER COUNT | list FOLDER".into()),
    }
}

/// Slices in an order that neither their names nor their instance numbers give.
fn make(folder: &Path, count: usize) -> Result<(), Box<dyn std::error::Error>> {
    std::fs::create_dir_all(folder)?;
    for slice in 0..count {
        let uid = format!("1.2.826.0.1.3680043.10.1462.8.{slice}");
        let text = |tag, vr, text: String| DataElement::new(tag, vr, PrimitiveValue::from(text));
        let number = |tag, value: u16| DataElement::new(tag, VR::US, PrimitiveValue::from(value));
        let pixels: Vec<u16> = (0..u32::from(SIDE) * u32::from(SIDE))
            .map(|at| ((at / 512 + at % 512 + slice as u32) % 4096) as u16)
            .collect();
        let series = "1.2.826.0.1.3680043.10.1462.8".to_owned();
        let object = InMemDicomObject::from_element_iter([
            text(
                tags::SOP_CLASS_UID,
                VR::UI,
                uids::CT_IMAGE_STORAGE.to_owned(),
            ),
            text(tags::SOP_INSTANCE_UID, VR::UI, uid.clone()),
            text(tags::MODALITY, VR::CS, "CT".to_owned()),
            text(tags::SERIES_INSTANCE_UID, VR::UI, series),
            text(tags::INSTANCE_NUMBER, VR::IS, (count - slice).to_string()),
            text(
                tags::IMAGE_POSITION_PATIENT,
                VR::DS,
                format!("-180\\-180\\{slice}"),
            ),
            text(
                tags::IMAGE_ORIENTATION_PATIENT,
                VR::DS,
                "1\\0\\0\\0\\1\\0".to_owned(),
            ),
            text(tags::PIXEL_SPACING, VR::DS, "0.7\\0.7".to_owned()),
            text(
                tags::PHOTOMETRIC_INTERPRETATION,
                VR::CS,
                "MONOCHROME2".to_owned(),
            ),
            number(tags::SAMPLES_PER_PIXEL, 1),
            number(tags::ROWS, SIDE),
            number(tags::COLUMNS, SIDE),
            number(tags::BITS_ALLOCATED, 16),
            number(tags::BITS_STORED, 12),
            number(tags::HIGH_BIT, 11),
            number(tags::PIXEL_REPRESENTATION, 0),
            DataElement::new(tags::PIXEL_DATA, VR::OW, PrimitiveValue::U16(pixels.into())),
        ]);
        let meta = FileMetaTableBuilder::new()
            .media_storage_sop_class_uid(uids::CT_IMAGE_STORAGE)
            .media_storage_sop_instance_uid(uid)
            .transfer_syntax(uids::EXPLICIT_VR_LITTLE_ENDIAN)
            .build()?;
        let name = format!("{:05}.dcm", (slice * 7919) % 100_003);
        object
            .with_exact_meta(meta)
            .write_to_file(folder.join(name))?;
    }
    Ok(())
}

fn list(folder: PathBuf) -> Result<(), Box<dyn std::error::Error>> {
    let start = Instant::now();
    let listing = find(sources_of_paths(&[folder])?);
    let listed = start.elapsed().as_secs_f64();
    let series = listing.series.first().ok_or("no series")?;
    let (picture, frame) = series.open(0, 0)?;
    let shown = picture.render(frame, None)?;
    let seconds = start.elapsed().as_secs_f64();
    let figures = serde_json::json!({
        "series": SeriesReport::of(series),
        "shown": [shown.width, shown.height],
        "listedSeconds": listed,
        "shownSeconds": seconds,
        "peakBytes": peak_memory(),
    });
    println!("{figures}");
    Ok(())
}

/// The largest resident set so far, as Linux tells it.
fn peak_memory() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM"))?;
    let kilobytes: u64 = line.split_whitespace().nth(1)?.parse().ok()?;
    Some(kilobytes * 1024)
}
