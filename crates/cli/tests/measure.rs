//! `medsam3 segment` writes SEG, RT Structure Set and NIfTI of a made series; `medsam3 measure` reads each back: the same
//! voxels, the same volume, Dice 1 against each other. What the formats hold is compared with other programs' readers in
//! `crates/segmentation`.

#[path = "support/tiny_model.rs"]
mod tiny_model;

use std::path::Path;
use std::process::Output;

use serde_json::Value;
use tiny_model::Fixture;

fn made(name: &str) -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/imaging/series");
    root.join(name).to_str().unwrap().to_owned()
}

fn errors(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

fn lines(output: &Output) -> Vec<Value> {
    assert!(output.status.success(), "{}", errors(output));
    let text = String::from_utf8(output.stdout.clone()).unwrap();
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

#[test]
fn what_segment_writes_is_measured_alike_in_every_format() {
    for name in ["axial", "oblique", "descending", "enhanced"] {
        let fixture = Fixture::new();
        let series = made(name);
        let said = lines(&fixture.segment(&[
            &series,
            "--prompt",
            "left lung",
            "--json",
            "--out",
            "out",
            "--formats",
            "seg,rtstruct,nifti,nifti-labelmap,seg-labelmap,json,overlay",
            "--deidentify",
        ]));
        let summary = said.iter().find(|line| line["kind"] == "series").unwrap();
        assert_eq!(summary["files"].as_array().unwrap().len(), 7, "{summary}");
        assert!(
            fixture
                .path(&format!("out/{name}.slice-2.overlay.png"))
                .is_file()
        );
        let reference = format!("out/{name}.left-lung.nii.gz");
        for file in [
            "seg.dcm",
            "labelmap.seg.dcm",
            "rtstruct.dcm",
            "left-lung.nii.gz",
            "labelmap.nii.gz",
        ] {
            let path = format!("out/{name}.{file}");
            let more = ["--reference", &reference, "--json"];
            let measured = lines(&fixture.run(&[&["measure", &series, &path][..], &more].concat()));
            assert_eq!(measured.len(), 1, "{path}");
            let of = &measured[0];
            assert_eq!(of["comparison"]["dice"], 1.0, "{path}: {of}");
            assert_eq!(of["voxels"], summary["voxels"], "{path}");
            assert_eq!(of["volume_ml"], summary["volume_ml"], "{path}");
            assert_eq!(of["statistics"], summary["statistics"], "{path}");
        }
    }
}

#[test]
fn a_segmentation_of_another_series_is_refused() {
    let fixture = Fixture::new();
    let axial = made("axial");
    lines(&fixture.segment(&[
        &axial,
        "--prompt",
        "left lung",
        "--json",
        "--out",
        "out",
        "--formats",
        "seg,nifti",
    ]));
    for (file, code) in [
        ("out/axial.seg.dcm", "[SEGMENT-OTHER-SERIES]"),
        ("out/axial.left-lung.nii.gz", "[SEGMENT-OTHER-SERIES]"),
        ("phantom.png", "[IMAGE-UNKNOWN]"),
    ] {
        let refused = fixture.run(&["measure", &made("sagittal"), file]);
        assert_eq!(refused.status.code(), Some(1), "{file}");
        assert!(
            errors(&refused).contains(code),
            "{file}: {}",
            errors(&refused)
        );
    }
    let table = ["--csv", "table.csv"];
    let measure = ["measure", &axial, "out/axial.seg.dcm"];
    let written = fixture.run(&[&measure[..], &table].concat());
    assert!(written.status.success(), "{}", errors(&written));
    let text = std::fs::read_to_string(fixture.path("table.csv")).unwrap();
    assert_eq!(text.lines().count(), 2);
    let again = fixture.run(&[&measure[..], &table].concat());
    assert!(
        errors(&again).contains("[OUTPUT-EXISTS]"),
        "{}",
        errors(&again)
    );
}
