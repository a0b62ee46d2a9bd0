//! Messages: the cause once, a next step that fits the command, few names.

use std::fs;

use crate::errors;
use crate::tiny_model::Fixture;

#[test]
fn every_failure_has_a_next_step_and_says_its_cause_once() {
    let fixture = Fixture::new();
    fs::create_dir(fixture.path("folder")).unwrap();
    let segment = |input: &str, more: &[&str]| {
        let ask = [input, "--prompt", "left lung"];
        errors(&fixture.segment(&[ask.as_slice(), more].concat()))
    };
    let evaluate = fixture.run(&["evaluate", "--model", "model", "--corpus", "nowhere"]);
    let train = fixture.run(&["train", "nowhere.toml"]);
    let cases = [
        (segment("folder", &[]), "[INPUT-EMPTY]", "Name DICOM"),
        (
            segment("nowhere.png", &[]),
            "[INPUT-READ]",
            "Check its name",
        ),
        (
            segment("phantom.png", &["--frame", "9"]),
            "[FRAME-RANGE]",
            "--frame",
        ),
        (errors(&evaluate), "[", "index.json"),
        (errors(&train), "[TRAIN-READ]", "Check"),
    ];
    for (said, code, next_step) in cases {
        assert!(said.contains(code) && said.contains(next_step), "{said}");
        assert!(said.matches("No such file").count() <= 1, "{said}");
    }
    assert!(
        !errors(&evaluate).contains("data.root"),
        "advice of another command: {}",
        errors(&evaluate)
    );
}

#[test]
fn a_long_prompt_makes_a_name_that_can_be_written() {
    let fixture = Fixture::new();
    let long = "ä".repeat(400);
    let output = fixture.segment(&["phantom.png", "--prompt", &long, "--out", "out"]);
    assert!(output.status.success(), "{}", errors(&output));
    let names = crate::names(&fixture.path("out"));
    assert_eq!(names.len(), 1);
    assert!(names[0].len() < 255);
}
