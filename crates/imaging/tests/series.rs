//! The small made series and NIfTI files of `tests/imaging`: order, affine, values and faults against
//! SimpleITK, nibabel and the numbers that they were made from (`make_series.py`).

mod common;

use std::sync::Arc;

use medsam3_imaging::series::{
    Kind, Listing, MemorySource, Place, Problem, Series, SharedSource, Volume, Voxels, find,
    sources_of_paths,
};
use medsam3_imaging::{NiftiFile, write_nifti};
use serde_json::Value;

fn list(path: &str) -> Listing {
    find(sources_of_paths(&[common::folder().join(path)]).unwrap())
}

fn only(listing: &Listing) -> &Series {
    assert!(listing.failures.is_empty(), "{:?}", listing.failures);
    let [series] = listing.series.as_slice() else {
        panic!("{listing:?}");
    };
    series
}

fn floats(value: &Value) -> Vec<f64> {
    let numbers = value.as_array().unwrap().iter();
    numbers.map(|number| number.as_f64().unwrap()).collect()
}

fn values(volume: &Volume) -> Vec<f64> {
    match &volume.voxels {
        Voxels::I16(values) => values.iter().map(|&value| f64::from(value)).collect(),
        Voxels::F32(values) => values.iter().map(|&value| f64::from(value)).collect(),
        Voxels::Rgb(_) => panic!("colour"),
    }
}

fn assert_affine(found: Option<medsam3_imaging::Affine>, expected: &Value, name: &str) {
    let Some(found) = found else {
        assert!(expected.is_null(), "{name}");
        return;
    };
    for (row, expected) in found.0.iter().zip(expected.as_array().unwrap()) {
        for (value, expected) in row.iter().zip(floats(expected)) {
            assert!((value - expected).abs() < 1e-4, "{name}: {found:?}");
        }
    }
}

#[test]
fn made_series_have_their_order_geometry_and_faults() {
    let truth = common::json("series/truth.json");
    let spacing = floats(&truth["spacing_mm"]);
    for truth in truth["series"].as_array().unwrap() {
        let name = truth["folder"].as_str().unwrap();
        let listing = list(&format!("series/{name}"));
        let series = only(&listing);
        assert_eq!(series.kind(), Kind::Volume, "{name}");
        let frames = truth["frames"].as_u64().unwrap_or(1) as usize;
        let sizes = (
            series.columns(),
            series.rows(),
            series.slices(),
            series.frames(),
        );
        assert_eq!(sizes, (12, 10, 6, frames), "{name}");
        assert_affine(series.affine(), &truth["affine"], name);
        for (found, expected) in series.spacing_mm().unwrap().iter().zip(&spacing) {
            assert!((found.unwrap() - expected).abs() < 1e-4, "{name}");
        }
        let codes: Vec<_> = series
            .problems()
            .iter()
            .map(|problem| problem.code())
            .collect();
        assert_eq!(serde_json::json!(codes), truth["problems"], "{name}");
        if name == "tilt" {
            let error = series.volume().unwrap_err();
            assert_eq!(error.code(), "SERIES-NO-VOLUME");
            continue;
        }
        let volume = series.volume().unwrap();
        let found = values(&volume);
        let expected = floats(&truth["values"]);
        if let Some(grid) = truth["grid"].as_array() {
            assert_eq!(volume.missing, [3]);
            assert_eq!(volume.slices, 7);
            let slices: Vec<_> = found.chunks(120).collect();
            let lowest = expected.iter().copied().fold(f64::INFINITY, f64::min);
            assert!(slices[3].iter().all(|&value| value == lowest));
            for (slice, expected) in grid.iter().zip(expected.chunks(120)) {
                assert_eq!(slices[slice.as_u64().unwrap() as usize], expected, "{name}");
            }
        } else {
            assert!(volume.missing.is_empty());
            assert_eq!(found, expected, "{name}");
        }
    }
}

/// Of a file of many frames, too, and what it gives is what each picture by itself is.
#[test]
fn a_reader_opens_every_file_once() {
    let mut frames_of_one_file = 0;
    for name in ["enhanced", "axial", "time-points", "gap"] {
        let listing = list(&format!("series/{name}"));
        let series = only(&listing);
        let mut reader = series.reader();
        let order = series.reading_order();
        assert_eq!(order.len(), series.slices() * series.frames(), "{name}");
        for Place { slice, frame } in order {
            let (picture, at) = reader.picture(slice, frame).unwrap();
            let values = picture.gray_values(at).unwrap().to_vec();
            let (alone, at) = series.open(slice, frame).unwrap();
            assert_eq!(alone.gray_values(at).unwrap(), values, "{name} {slice}");
        }
        assert_eq!(reader.files_opened(), series.file_names().len(), "{name}");
        if series.file_names().len() == 1 {
            frames_of_one_file += series.slices() * series.frames();
        }
    }
    assert!(frames_of_one_file > 2);
}

#[test]
fn a_file_named_twice_counts_once() {
    let folder = common::folder().join("series/axial");
    let (name, _) = common::files("series/axial", &["dcm"]).remove(0);
    let listing = find(sources_of_paths(&[folder.join(name), folder]).unwrap());
    assert_eq!(only(&listing).file_names().len(), 6);
    assert!(only(&listing).problems().is_empty());
}

#[test]
fn an_archive_is_the_folder_in_it_and_the_rest_is_counted() {
    let listing = list("series/axial.zip");
    let series = only(&listing);
    assert_eq!(listing.skipped, 1);
    let folder = list("series/axial");
    assert_eq!(series.affine(), only(&folder).affine());
    assert_eq!(
        series.volume().unwrap().voxels,
        only(&folder).volume().unwrap().voxels
    );
}

#[test]
fn damaged_archives_are_errors_and_never_panic() {
    let bytes = common::fixture("series/axial.zip");
    let open = |bytes: Vec<u8>| {
        let listing = find(vec![
            Arc::new(MemorySource::new("a.zip", bytes)) as SharedSource
        ]);
        for series in &listing.series {
            let _ = series.volume();
        }
        listing
    };
    let cut = open(bytes[..bytes.len() / 2].to_vec());
    assert!(cut.series.is_empty());
    assert_eq!(cut.failures[0].error.code(), "ARCHIVE-DAMAGED");
    // An entry that unpacks to more than the directory says: its size stands 24 bytes into its record.
    let record = bytes
        .windows(4)
        .position(|four| four == b"PK\x01\x02")
        .unwrap();
    let mut liar = bytes.clone();
    liar[record + 24] -= 1;
    let liar = open(liar);
    assert_eq!(liar.series[0].slices(), 5);
    assert_eq!(liar.failures[0].error.code(), "ARCHIVE-DAMAGED");
    for at in (0..bytes.len()).step_by(97) {
        let mut bytes = bytes.clone();
        bytes[at] ^= 0xFF;
        let _ = open(bytes);
    }
}

#[test]
fn a_folder_of_everything_is_sorted_out() {
    let mut sources: Vec<SharedSource> = Vec::new();
    let mut add = |name: &str, bytes: Vec<u8>| {
        sources.push(Arc::new(MemorySource::new(name, bytes)));
    };
    for (name, bytes) in common::files("series/gap", &["dcm"]) {
        add(&format!("a/{name}"), bytes);
    }
    add("f.png", common::fixture("phantom/f_gray16.png"));
    add("volume", common::fixture("nifti/oblique.nii.gz"));
    add("report.dcm", common::fixture("dicom/test-SR.dcm"));
    add("._f.png", b"\x89PNG\r\n\x1a\n".to_vec());
    add("Thumbs.db", vec![0xD0; 4000]);
    add("empty", Vec::new());
    add("liar.nii", b"a text that calls itself a volume".to_vec());
    let listing = find(sources);
    let kinds: Vec<_> = listing
        .series
        .iter()
        .map(|series| (series.format(), series.kind()))
        .collect();
    assert_eq!(
        kinds,
        [
            ("DICOM", Kind::Volume),
            ("PNG", Kind::Image),
            ("NIfTI", Kind::Volume)
        ]
    );
    assert_eq!((listing.others.len(), listing.skipped), (1, 3));
    assert_eq!(listing.failures[0].name, "liar.nii");
    assert_eq!(listing.series[1].problems(), [Problem::NoSpacing]);
    assert_eq!(
        (listing.series[1].columns(), listing.series[1].rows()),
        (60, 44)
    );
}

#[test]
fn nifti_files_are_as_nibabel_reads_them() {
    let truth = common::json("nifti/truth.json");
    let files = truth["files"].as_array().unwrap();
    assert_eq!(files.len(), 11);
    for truth in files {
        let name = truth["file"].as_str().unwrap();
        let listing = list(&format!("nifti/{name}"));
        let series = only(&listing);
        assert_affine(series.affine(), &truth["affine_lps"], name);
        let shape: Vec<f64> = floats(&truth["shape"]);
        let volume = series.volume().unwrap();
        assert_eq!(
            [volume.columns, volume.rows, volume.slices],
            [12, 10, 6],
            "{name}"
        );
        assert_eq!(volume.frames as f64, shape.get(3).copied().unwrap_or(1.0));
        assert_eq!(values(&volume), floats(&truth["values"]), "{name}");
    }
}

/// Writing gives back what nibabel wrote: the fields of sizes, type and geometry byte for byte up to the
/// sign of zero and rounding, and the voxels.
#[test]
fn written_files_have_the_header_that_nibabel_writes() {
    let unpack = |bytes: &[u8]| {
        let mut plain = Vec::new();
        std::io::Read::read_to_end(&mut flate2::read::GzDecoder::new(bytes), &mut plain).unwrap();
        plain
    };
    for name in ["oblique.nii.gz", "sheared.nii.gz", "four.nii.gz"] {
        let listing = list(&format!("nifti/{name}"));
        let volume = only(&listing).volume().unwrap();
        let mut written = Vec::new();
        write_nifti(&volume, &mut written).unwrap();
        let (written, expected) = (
            unpack(&written),
            unpack(&common::fixture(&format!("nifti/{name}"))),
        );
        assert_eq!(written.len(), expected.len(), "{name}");
        assert_eq!(written[40..56], expected[40..56], "{name}: dim");
        assert_eq!(written[70..74], expected[70..74], "{name}: type");
        assert_eq!(written[352..], expected[352..], "{name}: voxels");
        let float =
            |bytes: &[u8], at: usize| f32::from_le_bytes(bytes[at..at + 4].try_into().unwrap());
        let geometry = if name == "oblique.nii.gz" {
            // nibabel's files without a qform of its own have code 0 or 2 there.
            assert_eq!(written[252..256], expected[252..256], "{name}: codes");
            (76..92).chain(256..328).step_by(4)
        } else {
            (80..92).chain(280..328).step_by(4)
        };
        for at in geometry {
            let (a, b) = (float(&written, at), float(&expected, at));
            assert!((a - b).abs() < 1e-5, "{name}: {a}, not {b} at {at}");
        }
        let source: SharedSource = Arc::new(MemorySource::new("x", written));
        let again = NiftiFile::open(&source, None).unwrap();
        assert!(again.affine().is_some());
    }
}

#[test]
fn damaged_headers_never_panic() {
    let list = |name: &str, bytes: Vec<u8>| {
        let source: SharedSource = Arc::new(MemorySource::new(name, bytes));
        let listing = find(vec![source]);
        for series in &listing.series {
            let _ = series.volume();
        }
        listing.series.len() + listing.others.len() + listing.failures.len() + listing.skipped
    };
    let mut files = common::files("dicom", &["dcm"]);
    files.extend(common::files("series/enhanced", &["dcm"]));
    files.extend(
        common::files("series/oblique", &["dcm"])
            .into_iter()
            .take(1),
    );
    assert!(files.len() > 25);
    for (name, bytes) in files {
        let bytes = &bytes[..bytes.len().min(6000)];
        for end in (0..bytes.len()).step_by(127) {
            assert_eq!(list(&name, bytes[..end].to_vec()), 1, "{name} {end}");
        }
        for at in (128..bytes.len().min(3000)).step_by(29) {
            let mut bytes = bytes.to_vec();
            bytes[at] ^= 0xFF;
            assert_eq!(list(&name, bytes), 1, "{name} {at}");
        }
    }
}

#[test]
fn damaged_nifti_files_never_panic() {
    let packed = common::fixture("nifti/oblique.nii.gz");
    let mut plain = Vec::new();
    std::io::Read::read_to_end(&mut flate2::read::GzDecoder::new(&packed[..]), &mut plain).unwrap();
    let open = |bytes: Vec<u8>| {
        let listing = find(vec![Arc::new(MemorySource::new("a", bytes)) as SharedSource]);
        listing
            .series
            .iter()
            .filter(|series| series.volume().is_ok())
            .count()
    };
    for end in (0..plain.len()).step_by(11) {
        assert_eq!(open(plain[..end].to_vec()), 0, "{end}");
    }
    for end in (0..packed.len()).step_by(7) {
        assert_eq!(open(packed[..end].to_vec()), 0, "{end}");
    }
    for at in 0..352 {
        for value in [0x00, 0x7F, 0x80, 0xFF] {
            let mut bytes = plain.clone();
            bytes[at] = value;
            open(bytes);
        }
    }
}
