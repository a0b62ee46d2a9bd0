//! Decoded pixels against pydicom, on the fixtures and, where `PYDICOM_DATA` names the folders of the
//! pydicom packages (separated by `:`), on every file of them.

mod common;

use std::path::{Path, PathBuf};

use medsam3_imaging::{Picture, PictureKind, open};
use serde_json::Value;
use sha2::{Digest, Sha256};

/// Every value of a frame, and the number of channels.
fn values(picture: &Picture, frame: usize) -> (Vec<f64>, usize) {
    if picture.kind() == PictureKind::Gray {
        let values = picture.gray_values(frame).unwrap();
        (values.iter().map(|&value| f64::from(value)).collect(), 1)
    } else {
        let rendered = picture.render(frame, None).unwrap();
        (rendered.pixels.into_iter().map(f64::from).collect(), 3)
    }
}

/// SHA-256 over every pixel of every frame, as `make_goldens.py` takes it: f32 little endian, or u8.
fn digest(picture: &Picture) -> String {
    let mut hash = Sha256::new();
    for frame in 0..picture.frame_count() {
        let (values, channels) = values(picture, frame);
        let bytes: Vec<u8> = if channels == 1 {
            let values = values.iter().map(|&value| value as f32);
            values.flat_map(f32::to_le_bytes).collect()
        } else {
            values.iter().map(|&value| value as u8).collect()
        };
        hash.update(bytes);
    }
    hash.finalize().iter().map(|b| format!("{b:02x}")).collect()
}

/// How far a pixel of a lossy codec may be from another decoder's, in stored values. Two inverse DCTs of 8 bits
/// may round to either side, and chroma is interpolated in two ways; the others have no chroma in our files.
fn tolerance(golden: &Value) -> f64 {
    let lossy = golden["lossy"].as_bool().unwrap();
    match golden["syntax"].as_str() {
        _ if !lossy => 0.0,
        Some("1.2.840.10008.1.2.4.50" | "1.2.840.10008.1.2.4.55") => 3.0,
        // Colours rounded to the range of video before they were written.
        Some("1.2.840.10008.1.2.1") => 3.0,
        Some("1.2.840.10008.1.2.4.51") => 2.0,
        _ => 1.0,
    }
}

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
    let slope = golden["slope"].as_f64().unwrap();
    let pixel = tolerance(golden) * slope;
    let lossy = pixel > 0.0;
    for checked in golden["checked"].as_array().unwrap() {
        let frame = checked["frame"].as_u64().unwrap() as usize;
        let (values, channels) = values(picture, frame);
        let mean = if lossy { 0.1 * slope } else { 1e-9 };
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
    // Last, as it says least.
    if let Some(theirs) = golden["sha256"].as_str()
        && digest(picture) != theirs
    {
        found.push("not every pixel of every frame is the same".into());
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
                let close = |pair: [f64; 2]| pair.map(|mm| (mm * 1e9).round());
                let ours = picture.pixel_spacing_mm().map(close);
                assert_eq!(ours, spacing.map(close), "{name}");
                let said = [
                    "derived_slope_zero.dcm",
                    "derived_magnified.dcm",
                    "derived_uncalibrated.dcm",
                    "derived_ultrasound.dcm",
                    "derived_ultrasound_two_scales.dcm",
                ];
                let expected = usize::from(said.contains(&name.as_str()));
                assert_eq!(
                    picture.notes().len(),
                    expected,
                    "{name}: {:?}",
                    picture.notes()
                );
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

/// Gray and colour in every interleave mode, lossless and near-lossless, as CharLS decodes them.
#[test]
fn jpeg_ls_decodes_as_charls_decodes_it() {
    let goldens = common::json("jpeg_ls.json");
    let goldens = goldens.as_object().unwrap();
    assert!(goldens.len() >= 80);
    for (name, golden) in goldens {
        let digits = golden["file"].as_str().unwrap().as_bytes();
        let bytes: Vec<u8> = digits
            .chunks(2)
            .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap())
            .collect();
        let picture = open(&bytes).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(golden["sha256"], digest(&picture), "{name}");
    }
}

#[test]
fn refusals_name_what_they_refuse() {
    // The declared syntax counts, whatever the stream is.
    let reversible = b"1.2.840.10008.1.2.4.91";
    let mut bytes = common::fixture("dicom/JPEG2000.dcm");
    let at = bytes.windows(22).position(|window| window == reversible);
    let named = [
        (
            "1.2.840.10008.1.2.4.56",
            "JPEG Full Progression",
            "uncompressed",
        ),
        (
            "1.2.840.10008.1.2.4.66",
            "JPEG Lossless, Hierarchical",
            "uncompressed",
        ),
        ("1.2.840.10008.1.2.4.93", "JPEG 2000 Part 2", "uncompressed"),
        ("1.2.840.10008.1.2.4.100", "MPEG2", "video"),
        ("1.2.840.10008.1.2.4.110", "JPEG XL", "uncompressed"),
        (
            "1.2.840.10008.1.2.4.201",
            "High-Throughput JPEG 2000",
            "pydicom",
        ),
    ];
    for (uid, name, advice) in named {
        // Odd and even lengths take the same 24 bytes in the copy below.
        let mut value = uid.as_bytes().to_vec();
        value.resize(value.len().next_multiple_of(2), 0);
        let at = at.unwrap();
        let length = usize::from(bytes[at - 2]);
        bytes[at - 2] = value.len() as u8;
        bytes.splice(at..at + length, value);
        let error = open(&bytes).unwrap_err();
        assert_eq!(error.code(), "DICOM-TRANSFER-SYNTAX");
        let text = error.to_string();
        assert!(text.contains(uid) && text.contains(name), "{text}");
        assert!(error.next_step().contains(advice), "{}", error.next_step());
    }
    let error = open(&common::fixture("dicom/MR_truncated.dcm")).unwrap_err();
    // 64 x 64 x 2 bytes declared; 200 bytes fewer are there.
    assert_eq!(
        error.to_string(),
        "The DICOM file is cut short: 8192 bytes are declared and 8130 are there."
    );
    // Cut before its pixels, between two elements or within one, an image is cut and not a report.
    let whole = common::fixture("dicom/MR_small.dcm");
    let pixels = whole
        .windows(4)
        .rposition(|window| window == [0xE0, 0x7F, 0x10, 0]);
    for end in [700, pixels.unwrap(), pixels.unwrap() + 5] {
        let error = open(&whole[..end]).unwrap_err();
        assert_eq!(error.code(), "DICOM-TRUNCATED", "{end}: {error}");
    }
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

/// What became of the files of one folder.
#[derive(Default)]
struct Tally {
    /// Right and refused by transfer syntax.
    by_syntax: std::collections::BTreeMap<String, (usize, usize)>,
    whole: usize,
    wrong: Vec<String>,
}

impl Tally {
    fn folder(&mut self, folder: &Path, goldens: &Value) {
        let mut files = Vec::new();
        collect(folder, &mut files);
        for path in files {
            let name = path.strip_prefix(folder).unwrap().to_string_lossy();
            let Some(golden) = goldens.get(&*name) else {
                continue;
            };
            let started = std::time::Instant::now();
            let opened = open(&std::fs::read(&path).unwrap());
            let (right, refused) = self
                .by_syntax
                .entry(golden["syntax"].as_str().unwrap().to_owned())
                .or_default();
            match opened {
                Ok(picture) => {
                    let mut found = differences(&picture, golden);
                    if golden["lossy"] == true {
                        let file = path.file_name().unwrap().to_string_lossy();
                        if let Some(more) = whole_differences(&picture, &file, golden) {
                            found.extend(more);
                            self.whole += 1;
                        }
                    } else {
                        self.whole += 1;
                    }
                    if found.is_empty() {
                        *right += 1;
                    } else {
                        let first = &found[..found.len().min(3)];
                        self.wrong.push(format!("{name}: {first:?}"));
                    }
                }
                Err(error)
                    if matches!(error.code(), "DICOM-TRANSFER-SYNTAX" | "DICOM-PIXEL-FORMAT") =>
                {
                    println!("refused {name}: {error}");
                    *refused += 1;
                }
                Err(error) => self.wrong.push(format!("{name}: {error}")),
            }
            assert!(started.elapsed().as_secs() < 20, "{name} took too long");
        }
    }

    /// Prints the table of `docs/dicom.md`; gives the number of right files.
    fn finish(self, what: &str) -> usize {
        let (mut all_right, mut all_refused) = (0, 0);
        for (syntax, (right, refused)) in &self.by_syntax {
            println!("| {what} | {syntax} | {right} | {refused} |");
            all_right += right;
            all_refused += refused;
        }
        let whole = self.whole;
        let wrong = self.wrong.len();
        println!(
            "{what}: {all_right} right ({whole} in every pixel), {all_refused} refused, {wrong} wrong"
        );
        assert!(self.wrong.is_empty(), "{:#?}", self.wrong);
        all_right
    }
}

/// Every pixel of a lossy file against the folder that `make_goldens.py` wrote, where it is given.
fn whole_differences(picture: &Picture, file: &str, golden: &Value) -> Option<Vec<String>> {
    let folder = std::env::var("PYDICOM_PIXELS").ok()?;
    let theirs = std::fs::read(Path::new(&folder).join(file)).unwrap();
    let gray = picture.kind() == PictureKind::Gray;
    let mut theirs: Box<dyn Iterator<Item = f64>> = if gray {
        let words = theirs.chunks_exact(4);
        Box::new(words.map(|word| f64::from(f32::from_le_bytes(word.try_into().unwrap()))))
    } else {
        Box::new(theirs.iter().map(|&byte| f64::from(byte)))
    };
    let allowed = tolerance(golden) * golden["slope"].as_f64().unwrap() + 1e-3;
    let mut found = Vec::new();
    for frame in 0..picture.frame_count() {
        let mut largest = 0.0;
        for ours in values(picture, frame).0 {
            largest = f64::max(largest, (ours - theirs.next().unwrap()).abs());
        }
        if largest > allowed {
            found.push(format!("frame {frame} differs by {largest}"));
        }
    }
    assert!(theirs.next().is_none());
    Some(found)
}

#[test]
fn every_file_of_the_pydicom_packages() {
    let Ok(folders) = std::env::var("PYDICOM_DATA") else {
        println!("skipped: PYDICOM_DATA is not set to the folders of the pydicom test files");
        return;
    };
    let goldens = common::json("corpus.json");
    let mut tally = Tally::default();
    for folder in folders.split(':') {
        tally.folder(Path::new(folder), &goldens);
    }
    assert!(tally.finish("pydicom") >= goldens.as_object().unwrap().len());
}

#[test]
fn every_file_of_the_conformance_sets() {
    let Ok(shared) = std::env::var("MEDSAM3_SHARED") else {
        println!("skipped: MEDSAM3_SHARED is not set to the folder with dicom");
        return;
    };
    let goldens = common::json("shared.json");
    let mut tally = Tally::default();
    tally.folder(&Path::new(&shared).join("dicom"), &goldens);
    assert!(tally.finish("shared") >= 400);
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
        println!("skipped: MEDSAM3_SHARED is not set to the folder with dicom/wg04");
        return;
    };
    let folder = Path::new(&shared).join("dicom/wg04");
    let truths = common::json("wg04.json");
    let mut compared = 0;
    for syntax in ["J2KR", "JLSL", "JPLL", "RLE"] {
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
    assert!(compared >= 20);
}

/// The Sunnybrook cine series has neither preamble nor meta group.
#[test]
fn sunnybrook_cine_opens() {
    let Ok(shared) = std::env::var("MEDSAM3_SHARED") else {
        println!("skipped: MEDSAM3_SHARED is not set to the folder with data/volumes");
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
