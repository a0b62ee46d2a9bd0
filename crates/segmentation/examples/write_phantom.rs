//! Writes an asymmetric phantom over every series in a folder, in every format, for the independent readers
//! of tests/segmentation: `cargo run -p medsam3-segmentation --example write_phantom -- INPUT OUTPUT`.
//! Beside each series lie `truth.bin`, one byte per voxel, `[segment, slice, frame, row, column]`, and `pictures.csv`,
//! the picture of each slice and frame: SOP Instance UID, frame in the file, tile of a mosaic (from 0).

use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::BufWriter;
use std::path::Path;

use medsam3_imaging::series::{find, sources_of_paths};
use medsam3_imaging::{Mask, Window};
use medsam3_segmentation::{
    DicomOptions, Origin, Segment, Segmentation, SegmentationError, Stamp, label_table, measure,
    write_csv, write_json, write_label_map, write_rtstruct, write_seg, write_segment_nifti,
    write_sr,
};

/// Whether a voxel is inside of a segment; no two mirror images are alike.
fn inside(segment: usize, at: [usize; 3], [width, height, slices]: [usize; 3]) -> bool {
    let [x, y, z] = at;
    let part = |value: usize, of: usize| (value as f64 + 0.5) / of as f64;
    let (u, v, w) = (part(x, width), part(y, height), part(z, slices));
    match segment {
        // A corner block with a hole, in the first part of the slices.
        0 => {
            let hole = (0.25..0.35).contains(&u) && (0.2..0.3).contains(&v);
            (0.1..0.45).contains(&u) && (0.1..0.4).contains(&v) && w < 0.7 && !hole
        }
        // A wedge that overlaps it.
        1 => u > 0.3 && v > 0.25 && u + 0.8 * v < 0.95 && w > 0.2,
        // Two islands.
        _ => {
            let disc = |a: f64, b: f64, r: f64| ((u - a).powi(2) + (v - b).powi(2)).sqrt() < r;
            disc(0.75, 0.7, 0.12) || (disc(0.6, 0.85, 0.05) && w > 0.5)
        }
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let (Some(input), Some(output)) = (arguments.next(), arguments.next()) else {
        return Err("usage: write_phantom INPUT OUTPUT".into());
    };
    let sources = sources_of_paths(&[Path::new(&input).to_owned()])?;
    for (number, series) in find(sources).series.into_iter().enumerate() {
        let folder = Path::new(&output).join(number.to_string());
        fs::create_dir_all(&folder)?;
        let mut document = Segmentation::new(&series);
        let grid = document.grid();
        let mut truth = Vec::new();
        for (index, name) in ["left lung", "liver", "Ödem, unbekannt"].iter().enumerate() {
            let origin = Origin {
                threshold: Some(0.5),
                window: Some(Window {
                    center: 40.0,
                    width: 400.0,
                }),
                ..Origin::of_model("medsam3-default", "0".repeat(64), *name)
            };
            document.add(Segment::new(*name, origin));
            for slice in 0..grid.slices {
                for frame in 0..grid.frames {
                    let mut mask = Mask::empty(grid.columns, grid.rows);
                    for (at, bit) in mask.bits.iter_mut().enumerate() {
                        let place = [at % grid.columns, at / grid.columns, slice];
                        let size = [grid.columns, grid.rows, grid.slices];
                        // Frames differ: every other one has nothing of the last segment.
                        let there = index < 2 || frame % 2 == 0;
                        *bit = u8::from(there && inside(index, place, size));
                    }
                    truth.extend_from_slice(&mask.bits);
                    document.set_mask(index, slice, frame, &mask)?;
                }
            }
        }
        fs::write(folder.join("truth.bin"), truth)?;
        let mut pictures = String::from("slice,frame,instance,number,tile\n");
        for (slice, frame) in
            (0..grid.slices).flat_map(|slice| (0..grid.frames).map(move |frame| (slice, frame)))
        {
            if let Some(info) = series.picture_info(slice, frame) {
                let tile = info.tile.map_or_else(String::new, |tile| tile.to_string());
                let (instance, number) = (info.sop_instance, info.frame);
                writeln!(pictures, "{slice},{frame},{instance},{number},{tile}")?;
            }
        }
        fs::write(folder.join("pictures.csv"), pictures)?;
        let create = |name: &str| File::create(folder.join(name)).map(BufWriter::new);
        let said = |what: &str, result: Result<(), SegmentationError>| match result {
            Ok(()) => println!("{what}: written"),
            Err(error) => println!("{what}: {} {error}", error.code()),
        };
        println!(
            "{number}: {} {:?} {grid:?}",
            series.kind().name(),
            series.modality()
        );
        let options = DicomOptions::new(Stamp::now()?);
        said(
            "seg",
            write_seg(&series, &document, &options, create("seg.dcm")?),
        );
        said(
            "rtstruct",
            write_rtstruct(&series, &document, &options, create("rtstruct.dcm")?),
        );
        for index in 0..document.segments().len() {
            let file = create(&format!("segment-{}.nii.gz", index + 1))?;
            said(
                "nifti",
                write_segment_nifti(&series, &document, index, file),
            );
        }
        let measured = measure(&series, &document)?;
        let report = DicomOptions::new(Stamp::now()?);
        let seg = options.stamp;
        let file = create("report.dcm")?;
        said(
            "report",
            write_sr(&series, &document, &measured, &seg, &report, file),
        );
        let anonymous = DicomOptions {
            deidentify: true,
            ..DicomOptions::new(Stamp::now()?)
        };
        let file = create("report-deidentified.dcm")?;
        said(
            "de-identified report",
            write_sr(&series, &document, &measured, &seg, &anonymous, file),
        );
        write_csv(&document, &measured, create("measurements.csv")?)?;
        write_json(&document, &measured, create("measurements.json")?)?;
        // Without the overlapping segment.
        let mut apart = document.clone();
        apart.remove(1);
        let labels = DicomOptions {
            label_map: true,
            ..DicomOptions::new(Stamp::now()?)
        };
        said(
            "labelmap",
            write_seg(&series, &apart, &labels, create("labelmap.dcm")?),
        );
        said(
            "label nifti",
            write_label_map(&series, &apart, create("labels.nii.gz")?),
        );
        fs::write(folder.join("labels.txt"), label_table(&apart))?;
        let anonymous = DicomOptions {
            deidentify: true,
            ..DicomOptions::new(Stamp::now()?)
        };
        said(
            "deidentified",
            write_seg(&series, &document, &anonymous, create("deidentified.dcm")?),
        );
    }
    Ok(())
}
