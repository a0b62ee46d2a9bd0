//! Decoded pixels against pydicom, on the fixtures and, where `PYDICOM_DATA` names the folders of the
//! pydicom packages (separated by `:`), on every file of them.

mod common;

use std::path::{Path, PathBuf};

use medsam3_imaging::{Picture, PictureKind, open};
use serde_json::Value;

/// What differs between a picture and what pydicom found.
fn differences(picture: &Picture, golden: &Value) -> Vec<String> {
    let mut found = Vec::new();
    let mut compare = |what: String, ours: f64, theirs: f64, tolerance: f64| {
        if (ours - theirs).abs() > tolerance {
            found.push(format!("{what}: {ours} instead of {theirs}"));
        }
    };
    let number = |key: &str| golden[key].as_f64().unwrap();
    compare("rows".into(), picture.height() as f64, number("rows"), 0.0);
    compare(
        "columns".into(),
        picture.width() as f64,
        number("columns"),
        0.0,
    );
    compare(
        "frames".into(),
        picture.frame_count() as f64,
        number("frames"),
        0.0,
    );
    // Two IDCTs may round to either side, and chroma is interpolated at full strength.
    let lossy = golden["lossy"].as_bool().unwrap();
    for checked in golden["checked"].as_array().unwrap() {
        let frame = checked["frame"].as_u64().unwrap() as usize;
        let channels = if picture.kind() == PictureKind::Gray {
            1
        } else {
            3
        };
        let values: Vec<f64> = if channels == 1 {
            let values = picture.gray_values(frame).unwrap();
            values.iter().map(|&value| f64::from(value)).collect()
        } else {
            let rendered = picture.render(frame, None).unwrap();
            rendered
                .pixels
                .iter()
                .map(|&value| f64::from(value))
                .collect()
        };
        let (pixel, mean) = if lossy { (3.0, 0.1) } else { (0.0, 1e-9) };
        let golden_of = |key: &str| checked[key].as_f64().unwrap();
        // f32 holds 24 bits of a value.
        let scale = golden_of("max").abs().max(golden_of("min").abs()).max(1.0) * 6e-8;
        let sum: f64 = values.iter().sum();
        let low = values.iter().copied().fold(f64::INFINITY, f64::min);
        let high = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let at = format!("frame {frame}");
        compare(
            format!("{at} mean"),
            sum / values.len() as f64,
            golden_of("mean"),
            mean + scale,
        );
        compare(format!("{at} min"), low, golden_of("min"), pixel + scale);
        compare(format!("{at} max"), high, golden_of("max"), pixel + scale);
        for sample in checked["samples"].as_array().unwrap() {
            let index = sample[0].as_u64().unwrap() as usize;
            for (channel, theirs) in sample[1].as_array().unwrap().iter().enumerate() {
                compare(
                    format!("{at} pixel {index} channel {channel}"),
                    values[index * channels + channel],
                    theirs.as_f64().unwrap(),
                    pixel + scale,
                );
            }
        }
    }
    let kind = if picture.kind() == PictureKind::Gray {
        "Gray"
    } else {
        "Rgb"
    };
    if kind != golden["kind"] {
        found.push(format!("kind {kind} instead of {}", golden["kind"]));
    }
    if picture.modality() != golden["modality"].as_str() {
        found.push(format!("modality {:?}", picture.modality()));
    }
    if let Some(window) = golden["window"].as_array() {
        let ours = picture.default_window().unwrap();
        compare_window(&mut found, [ours.center, ours.width], window);
    }
    found
}

fn compare_window(found: &mut Vec<String>, ours: [f32; 2], theirs: &[Value]) {
    for (ours, theirs) in ours.into_iter().zip(theirs) {
        let theirs = theirs.as_f64().unwrap();
        if (f64::from(ours) - theirs).abs() > 1e-6 * theirs.abs().max(1.0) {
            found.push(format!("window {ours} instead of {theirs}"));
        }
    }
}

#[test]
fn fixtures_decode_as_pydicom_decodes_them() {
    let goldens = common::json("dicom.json");
    let goldens = goldens.as_object().unwrap();
    let files = common::files("dicom", &["dcm"]);
    assert_eq!(files.len(), goldens.len());
    assert!(files.len() >= 25);
    let mut through_window = 0;
    for (name, bytes) in files {
        let golden = &goldens[&name];
        match (open(&bytes), golden["error"].as_str()) {
            (Ok(picture), None) => {
                let found = differences(&picture, golden);
                assert!(found.is_empty(), "{name}: {found:?}");
                let spacing = golden["spacing_mm"].as_array();
                let spacing = spacing.map(|pair| [0, 1].map(|i| pair[i].as_f64().unwrap()));
                assert_eq!(picture.pixel_spacing_mm(), spacing, "{name}");
                assert_eq!(picture.format(), "DICOM");
                if let Some(shown) = golden["rendered"].as_array() {
                    let rendered = picture.render(0, None).unwrap();
                    for pair in shown {
                        let index = pair[0].as_u64().unwrap() as usize;
                        let ours = rendered.pixels[index * 3];
                        assert_eq!(
                            u64::from(ours),
                            pair[1].as_u64().unwrap(),
                            "{name} at {index}"
                        );
                        through_window += 1;
                    }
                }
            }
            (Err(error), Some(code)) => assert_eq!(error.code(), code, "{name}: {error}"),
            (Ok(_), Some(code)) => panic!("{name} opened instead of {code}"),
            (Err(error), None) => panic!("{name}: {error}"),
        }
    }
    assert!(through_window >= 200, "{through_window}");
}

#[test]
fn refusals_name_what_they_refuse() {
    let error = open(&common::fixture("dicom/JPEG2000.dcm")).unwrap_err();
    let text = error.to_string();
    assert!(text.contains("1.2.840.10008.1.2.4.91"), "{text}");
    assert!(text.contains("JPEG 2000"), "{text}");
    let error = open(&common::fixture("dicom/MR_truncated.dcm")).unwrap_err();
    // 64 x 64 x 2 bytes declared; 200 bytes fewer are there.
    assert_eq!(
        error.to_string(),
        "The DICOM file is cut short: 8192 bytes are declared and 8130 are there."
    );
    for bytes in [&b""[..], b"hello", &[0; 200], &common::fixture("README.md")] {
        assert_eq!(open(bytes).unwrap_err().code(), "IMAGE-UNKNOWN");
    }
}

#[test]
fn padding_is_outside_the_range_and_the_first_window_counts() {
    let picture = open(&common::fixture("dicom/derived_packed_high.dcm")).unwrap();
    // Stored -500 is padding; the next value, -499, is -349.75 after slope 0.5 and intercept -100.25.
    let (low, high) = picture.value_range(0).unwrap();
    assert!(low > -350.25 && low <= -340.0, "{low}");
    assert_eq!(high, 149.25);
    let window = picture.default_window().unwrap();
    assert_eq!((window.center, window.width), (40.0, 80.0));
}

#[test]
fn every_file_of_the_pydicom_packages() {
    let Ok(folders) = std::env::var("PYDICOM_DATA") else {
        eprintln!("SKIPPED: PYDICOM_DATA is not set to the folders of the pydicom test files");
        return;
    };
    let goldens = common::json("corpus.json");
    let mut files = Vec::new();
    for folder in folders.split(':') {
        collect(Path::new(folder), &mut files);
    }
    assert!(files.len() > 100, "{} files", files.len());
    let (mut right, mut refused, mut wrong) = (0, 0, Vec::new());
    for path in files {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let started = std::time::Instant::now();
        let result = open(&std::fs::read(&path).unwrap());
        assert!(started.elapsed().as_secs() < 20, "{name} took too long");
        match (result, goldens.get(&name)) {
            (Ok(picture), Some(golden)) => {
                let found = differences(&picture, golden);
                if found.is_empty() {
                    right += 1;
                } else {
                    wrong.push(format!("{name}: {:?}", &found[..found.len().min(3)]));
                }
            }
            (Err(error), Some(_)) if error.code() == "DICOM-TRANSFER-SYNTAX" => refused += 1,
            (Err(error), Some(_)) if error.code() == "DICOM-PIXEL-FORMAT" => {
                eprintln!("refused {name}: {error}");
                refused += 1;
            }
            (Err(error), Some(_)) => wrong.push(format!("{name}: {error}")),
            (Ok(_), None) => eprintln!("no golden for {name}, which opened"),
            (Err(_), None) => refused += 1,
        }
    }
    eprintln!("{right} right, {refused} refused, {} wrong", wrong.len());
    assert!(wrong.is_empty(), "{wrong:#?}");
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, files);
        } else {
            files.push(path);
        }
    }
}

/// NEMA's working group 4 set, whose lossless files must equal the uncompressed truth.
#[test]
fn wg04_lossless_equals_the_truth() {
    let Ok(shared) = std::env::var("MEDSAM3_SHARED") else {
        eprintln!("SKIPPED: MEDSAM3_SHARED is not set to the folder with dicom/wg04");
        return;
    };
    let folder = Path::new(&shared).join("dicom/wg04");
    let truths = common::json("wg04.json");
    let mut compared = 0;
    for syntax in ["JPLL", "RLE"] {
        for entry in std::fs::read_dir(folder.join(syntax)).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            let image = name.split('_').next().unwrap();
            let picture = open(&std::fs::read(&path).unwrap());
            let picture = picture.unwrap_or_else(|error| panic!("{name}: {error}"));
            let found = differences(&picture, &truths[image]);
            assert!(found.is_empty(), "{name}: {found:?}");
            compared += 1;
        }
    }
    assert!(compared >= 10);
    for entry in std::fs::read_dir(folder.join("JPLY")).unwrap() {
        let error = open(&std::fs::read(entry.unwrap().path()).unwrap()).unwrap_err();
        assert_eq!(error.code(), "DICOM-PIXEL-FORMAT");
    }
}

/// The Sunnybrook cine series has neither preamble nor meta group.
#[test]
fn sunnybrook_cine_opens() {
    let Ok(shared) = std::env::var("MEDSAM3_SHARED") else {
        eprintln!("SKIPPED: MEDSAM3_SHARED is not set to the folder with data/volumes");
        return;
    };
    let mut files = Vec::new();
    collect(
        &Path::new(&shared).join("data/volumes/dicom_mr_cine/cine_slice"),
        &mut files,
    );
    assert!(!files.is_empty());
    for path in files {
        let picture = open(&std::fs::read(&path).unwrap()).unwrap();
        assert_eq!((picture.width(), picture.height()), (256, 256));
        assert_eq!(picture.modality(), Some("MR"));
        assert!(picture.pixel_spacing_mm().is_some());
    }
}
