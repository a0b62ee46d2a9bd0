//! `inspect` and `nifti` on the small made series of `tests/imaging` (truth by SimpleITK and nibabel, see there).

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::Arc;

use medsam3_imaging::NiftiFile;
use medsam3_imaging::series::{FileSource, SharedSource};
use serde_json::Value;

fn fixture(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../tests/imaging")
        .join(path)
}

fn run(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_medsam3"))
        .args(arguments)
        .output()
        .expect("the program")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn inspect_lists_the_series_of_a_folder_one_line_each() {
    let folder = fixture("series");
    let output = run(&["inspect", "--json", folder.to_str().expect("a path")]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let lines: Vec<Value> = text(&output.stdout)
        .lines()
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect();
    // Eleven folders; the archive holds the first of them once more.
    assert_eq!(lines.len(), 11);
    let of = |problem: &str| {
        let has = |line: &&Value| line["problems"].to_string().contains(problem);
        lines.iter().filter(has).count()
    };
    assert_eq!((of("tilt"), of("gap"), of("\"duplicate")), (1, 1, 2));
    for (index, line) in lines.iter().enumerate() {
        assert_eq!(line["series"], index + 1);
        assert_eq!(line["kind"], "volume");
        assert_eq!((&line["rows"], &line["columns"]), (&10.into(), &12.into()));
        assert!(line["affine"][3][3].is_f64() && line["spacing_mm"][2].is_f64());
    }
    let words = run(&["inspect", fixture("series/gap").to_str().expect("a path")]);
    assert!(
        text(&words.stdout).contains("6 slices"),
        "{}",
        text(&words.stdout)
    );
    assert!(text(&words.stdout).contains("[gap]"));
}

#[test]
fn nifti_writes_the_volume_or_says_why_not() {
    let folder = tempfile::tempdir().expect("a folder");
    let out = folder.path().join("out.nii.gz");
    let write = |input: &str, more: &[&str]| {
        let input = fixture(input);
        let paths = [
            "nifti",
            input.to_str().expect("a path"),
            "--out",
            out.to_str().expect("a path"),
        ];
        run(&[&paths, more].concat())
    };
    let output = write("series/oblique", &["--json"]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let written: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(written["shape"], serde_json::json!([12, 10, 6, 1]));
    let source: SharedSource = Arc::new(FileSource::new(&out).expect("the file"));
    let file = NiftiFile::open(&source, None).expect("NIfTI");
    assert_eq!(file.shape(), [12, 10, 6]);
    let names: Vec<_> = std::fs::read_dir(folder.path())
        .expect("a folder")
        .collect();
    assert_eq!(names.len(), 1, "nothing is left beside it");

    let tilted = write("series/tilt", &[]);
    assert_eq!(tilted.status.code(), Some(1));
    assert!(text(&tilted.stderr).contains("SERIES-NO-VOLUME"));
    let several = write("series", &[]);
    assert_eq!(several.status.code(), Some(2));
    assert!(
        text(&several.stderr).contains("11 series"),
        "{}",
        text(&several.stderr)
    );
    let kept = write("series", &["--series", "1"]);
    assert!(
        text(&kept.stderr).contains("OUTPUT-EXISTS"),
        "nothing is replaced without being asked"
    );
    assert!(
        write("series", &["--series", "1", "--overwrite"])
            .status
            .success()
    );
    assert_eq!(write("series", &["--series", "12"]).status.code(), Some(2));
    let gap = write("series/gap", &["--overwrite"]);
    assert!(gap.status.success() && text(&gap.stderr).contains("slice 4 of 7"));
    let report = write("dicom/test-SR.dcm", &[]);
    assert_eq!(report.status.code(), Some(1));
}
