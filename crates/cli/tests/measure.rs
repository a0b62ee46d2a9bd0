//! `medsam3 segment` writes SEG, RT Structure Set and NIfTI of a made series; `medsam3 measure` reads each back: the same
//! voxels, the same volume, Dice 1 against each other. What the formats hold is compared with other programs' readers in
//! `crates/segmentation`.

#[path = "support/tiny_model.rs"]
mod tiny_model;

use std::path::Path;
use std::process::Output;

use dicom_core::Tag;
use dicom_dictionary_std::tags;
use dicom_object::{InMemDicomObject, open_file};
use serde_json::{Value, json};
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

/// Items of a sequence of a data set.
fn items(object: &InMemDicomObject, tag: Tag) -> &[InMemDicomObject] {
    object.get(tag).unwrap().items().unwrap()
}

/// Every number of a report: derivation or name, value.
fn numbers(item: &InMemDicomObject) -> Vec<(String, f64)> {
    let Some(children) = item.get(tags::CONTENT_SEQUENCE) else {
        return Vec::new();
    };
    let code = |item: &InMemDicomObject, tag| {
        let meaning = items(item, tag)[0].get(tags::CODE_MEANING).unwrap();
        meaning.to_str().unwrap().into_owned()
    };
    let mut found = Vec::new();
    for child in children.items().unwrap() {
        if child.get(tags::VALUE_TYPE).unwrap().to_str().unwrap() == "NUM" {
            let below = child.get(tags::CONTENT_SEQUENCE);
            let derivation = below.map(|below| &below.items().unwrap()[0]);
            let name = match derivation.map(|item| code(item, tags::CONCEPT_NAME_CODE_SEQUENCE)) {
                Some(name) if name == "Derivation" => {
                    code(derivation.unwrap(), tags::CONCEPT_CODE_SEQUENCE)
                }
                _ => code(child, tags::CONCEPT_NAME_CODE_SEQUENCE),
            };
            let value = &items(child, tags::MEASURED_VALUE_SEQUENCE)[0];
            let value = value.get(tags::NUMERIC_VALUE).unwrap();
            found.push((name, value.to_float64().unwrap()));
        }
        found.extend(numbers(child));
    }
    found
}

/// A report comes with the segmentation that it refers to, and says what the record of the series says.
#[test]
fn a_report_says_what_the_record_says() {
    let fixture = Fixture::new();
    let said = lines(&fixture.segment(&[
        &made("axial"),
        "--prompt",
        "left lung",
        "--json",
        "--out",
        "out",
        "--formats",
        "sr",
    ]));
    let summary = said.iter().find(|line| line["kind"] == "series").unwrap();
    assert_eq!(
        summary["files"],
        json!(["axial.seg.dcm", "axial.sr.dcm"]),
        "{summary}"
    );
    let open = |name: &str| open_file(fixture.path(name)).unwrap().into_inner();
    let (report, seg) = (open("out/axial.sr.dcm"), open("out/axial.seg.dcm"));
    let study = &items(&report, tags::CURRENT_REQUESTED_PROCEDURE_EVIDENCE_SEQUENCE)[0];
    let series = &items(study, tags::REFERENCED_SERIES_SEQUENCE)[1];
    let referenced = &items(series, tags::REFERENCED_SOP_SEQUENCE)[0];
    assert_eq!(
        referenced
            .get(tags::REFERENCED_SOP_INSTANCE_UID)
            .unwrap()
            .to_str()
            .unwrap(),
        seg.get(tags::SOP_INSTANCE_UID).unwrap().to_str().unwrap()
    );
    let found = numbers(&report);
    let value = |name: &str| found.iter().find(|(of, _)| of == name).unwrap().1;
    for (name, expected) in [
        ("Volume", &summary["volume_ml"]),
        ("Mean", &summary["statistics"]["mean"]),
        ("Standard Deviation", &summary["statistics"]["sd"]),
        ("Maximum", &summary["statistics"]["max"]),
    ] {
        let expected = expected.as_f64().unwrap();
        let off = (value(name) - expected).abs();
        assert!(
            off <= 1e-9 * expected.abs(),
            "{name}: {} {expected}",
            value(name)
        );
    }
}

/// Of a single image the file of measurements has its pixels, and no millimetres where there are none.
#[test]
fn an_image_is_measured_where_a_file_asks_for_it() {
    let fixture = Fixture::new();
    let said = lines(&fixture.segment(&[
        "phantom.png",
        "--prompt",
        "left lung",
        "--json",
        "--out",
        "out",
        "--formats",
        "json",
    ]));
    let file = std::fs::read(fixture.path("out/phantom.json")).unwrap();
    let file: Value = serde_json::from_slice(&file).unwrap();
    let measured = &file["measurements"][0];
    assert_eq!(measured["voxels"], said[0]["area_px"]);
    assert!(measured["voxels"].as_u64().unwrap() > 0);
    assert_eq!(measured["slices"][0]["area_mm2"], Value::Null);
    assert_eq!(measured["warnings"][0], "not-calibrated");
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
