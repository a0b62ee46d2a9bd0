//! What a batch says of its images.

use crate::tiny_model::Fixture;
use crate::{errors, records};

#[test]
fn a_batch_with_a_bad_image_says_which_and_how_many() {
    let fixture = Fixture::new();
    std::fs::write(fixture.path("notes.png"), "no image").unwrap();
    let output = fixture.segment(&[
        "phantom.png",
        "notes.png",
        "phantom.png",
        "--prompt",
        "left lung",
        "--json",
    ]);
    assert_eq!(output.status.code(), Some(1));
    let records = records(&output);
    assert_eq!(records.len(), 3);
    assert_eq!(records[1]["input"], "notes.png");
    assert!(
        errors(&output).contains("1 of 3 inputs failed"),
        "{}",
        errors(&output)
    );
}
