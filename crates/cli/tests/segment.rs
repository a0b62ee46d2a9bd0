//! The real program on a real file: a model folder with random weights, small enough for a test, and a PNG that is not
//! square. What is asserted is the contract of the command: exit codes, records, files, sizes.

#[path = "support/tiny_model.rs"]
mod tiny_model;

use std::path::Path;
use std::process::Output;

use medsam3_model::burn::tensor::Device;
use medsam3_model::parameters;
use serde_json::Value;
use tiny_model::{Fixture, tiny};

fn lines(output: &Output) -> Vec<Value> {
    let text = String::from_utf8(output.stdout.clone()).unwrap();
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

fn errors(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

fn mask(path: &Path) -> image::GrayImage {
    let image::DynamicImage::ImageLuma8(mask) = image::open(path).unwrap() else {
        panic!("an 8-bit grey image")
    };
    mask
}

#[test]
fn a_record_and_a_mask_for_every_input_and_prompt() {
    let fixture = Fixture::new();
    let output = fixture.segment(&[
        "phantom.png",
        "--prompt",
        "Left Lung",
        "--prompt",
        "heart",
        "--json",
        "--out",
        "masks",
        "--formats",
        "png,csv",
    ]);
    assert_eq!(output.status.code(), Some(0), "{}", errors(&output));
    let records = lines(&output);
    assert_eq!(records.len(), 2);
    let [lung, heart] = [&records[0], &records[1]];
    assert_eq!(
        (lung["input"].as_str(), lung["prompt"].as_str()),
        (Some("phantom.png"), Some("Left Lung"))
    );
    assert_eq!(lung["threshold"], 0.0, "the manifest's for this prompt");
    assert_eq!(heart["threshold"], 0.5, "the default");
    assert_eq!(lung["instances"].as_array().unwrap().len(), 10);
    assert_eq!(lung["area_mm2"], Value::Null, "a PNG has no pixel spacing");
    assert_eq!(
        (lung["width"].as_u64(), lung["height"].as_u64()),
        (Some(90), Some(60))
    );
    assert_eq!(
        lung["seconds"]["image"], heart["seconds"]["image"],
        "the image was encoded once"
    );
    let presence = lung["presence"].as_f64().unwrap();
    assert!(0.0 < presence && presence < 1.0);

    let mask = mask(&fixture.path("masks/phantom.left-lung.png"));
    assert_eq!(mask.dimensions(), (90, 60));
    assert!(mask.pixels().all(|pixel| pixel[0] == 0 || pixel[0] == 255));
    let inside = mask.pixels().filter(|pixel| pixel[0] == 255).count() as u64;
    assert_eq!(lung["area_px"].as_u64(), Some(inside));
    assert_eq!(lung["mask"], "phantom.left-lung.png");
    assert!(fixture.path("masks/phantom.heart.png").is_file());
    let table = std::fs::read_to_string(fixture.path("masks/measurements.csv")).unwrap();
    assert_eq!(table.lines().count(), 3);
    assert!(table.starts_with(
        "input,series,slice,frame,prompt,presence,score,instances,area_px,area_mm2,slices,volume_ml,mean,\
         standard_deviation,minimum,maximum,unit,words_known,mask,model\n"
    ));
}

#[test]
fn bad_usage_exits_with_2_and_says_why() {
    let fixture = Fixture::new();
    let refused = |more: &[&str], reason: &str| {
        let output = fixture.segment(more);
        assert_eq!(output.status.code(), Some(2), "{more:?}");
        assert!(
            errors(&output).contains(reason),
            "{more:?}: {}",
            errors(&output)
        );
    };
    refused(&["phantom.png"], "--prompt");
    refused(&["--prompt", "lung"], "INPUT");
    refused(&["phantom.png", "--prompt", "  "], "empty");
    refused(
        &["phantom.png", "--prompt", "lung", "--threshold", "2"],
        "0 and 1",
    );
    refused(
        &["phantom.png", "--prompt", "lung", "--window", "40"],
        "40,400",
    );
    refused(
        &["phantom.png", "--prompt", "lung", "--formats", "gif"],
        "rtstruct, csv, json and sr are",
    );
    refused(
        &["phantom.png", "--prompt", "lung", "--slices", "5-4"],
        "counted from 1",
    );
    refused(
        &["phantom.png", "--prompt", "lung", "--window", "spleen"],
        "soft-tissue",
    );
    refused(
        &["phantom.png", "--prompt", "lung", "--size", "57"],
        "multiple",
    );
}

#[test]
fn an_input_that_fails_is_named_and_the_others_go_on() {
    let fixture = Fixture::new();
    std::fs::write(fixture.path("notes.png"), "no image").unwrap();
    let output = fixture.segment(&[
        "notes.png",
        "absent.png",
        "phantom.png",
        "--prompt",
        "lung",
        "--json",
    ]);
    assert_eq!(output.status.code(), Some(1));
    let records = lines(&output);
    assert_eq!(records[0]["input"], "notes.png");
    let expected = medsam3_imaging::open(b"no image").unwrap_err().code();
    assert_eq!(records[0]["error"]["code"], expected);
    assert!(
        records[1]["error"]["message"]
            .as_str()
            .unwrap()
            .contains("cannot be read")
    );
    assert_eq!(records[2]["input"], "phantom.png");
    assert!(records[2]["presence"].is_f64());
}

#[test]
fn a_damaged_model_is_refused_by_name() {
    let fixture = Fixture::new();
    let output = fixture.run(&["inspect", "model", "--json"]);
    assert_eq!(output.status.code(), Some(0), "{}", errors(&output));
    let found = lines(&output).remove(0);
    assert_eq!(found["verified"], true);
    let expected: usize = parameters::parameters(&tiny().init(&Device::flex()))
        .iter()
        .map(|info| info.shape.iter().product::<usize>())
        .sum();
    assert_eq!(found["parameters_total"].as_u64(), Some(expected as u64));
    assert_eq!(found["parameters"].get("not used"), None);

    let shard = fixture.path("model/model-00001.safetensors");
    let mut bytes = std::fs::read(&shard).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&shard, bytes).unwrap();
    for output in [
        fixture.run(&["inspect", "model"]),
        fixture.segment(&["phantom.png", "--prompt", "lung"]),
    ] {
        assert_eq!(output.status.code(), Some(1));
        assert!(
            errors(&output).contains("[WEIGHTS-HASH]"),
            "{}",
            errors(&output)
        );
    }
}
