//! Prompts as people type them: several in one, odd spaces, words that the model has never seen, nothing at all.

use serde_json::Value;

use crate::tiny_model::Fixture;
use crate::{errors, records, succeeded};

fn ask(fixture: &Fixture, prompts: &[&str]) -> Vec<Value> {
    let prompts = prompts.iter().flat_map(|prompt| ["--prompt", prompt]);
    let arguments: Vec<&str> = ["phantom.png", "--json"]
        .into_iter()
        .chain(prompts)
        .collect();
    records(&succeeded(fixture.segment(&arguments)))
}

#[test]
fn commas_separate_prompts() {
    let found = ask(&Fixture::new(), &["left lung, right lung", "heart"]);
    let prompts: Vec<&str> = found
        .iter()
        .map(|record| record["prompt"].as_str().unwrap())
        .collect();
    assert_eq!(prompts, ["left lung", "right lung", "heart"]);
}

#[test]
fn white_space_and_case_change_nothing() {
    let fixture = Fixture::new();
    let plain = ask(&fixture, &["left lung"]);
    for odd in [
        "left  lung",
        "left\u{a0}lung",
        " LEFT\tlung",
        "left l\u{200b}ung",
    ] {
        let found = ask(&fixture, &[odd]);
        for field in [
            "threshold",
            "mask_threshold",
            "presence",
            "area_px",
            "words_known",
        ] {
            assert_eq!(found[0][field], plain[0][field], "{field} of {odd:?}");
        }
    }
    assert_eq!(plain[0]["threshold"], 0.0, "the manifest's");
}

#[test]
fn words_that_were_never_trained_on_are_marked() {
    let fixture = Fixture::new();
    let found = ask(&fixture, &["left lung", "Hello World", "肺"]);
    assert_eq!(found[0]["words_known"], true);
    assert_eq!(found[0]["warnings"], serde_json::json!([]));
    for record in &found[1..] {
        assert_eq!(record["words_known"], false);
        let marked = record["warnings"].as_array().unwrap().iter();
        let marked = marked
            .filter(|warning| warning["code"] == "PROMPT-UNKNOWN")
            .count();
        let shown = record["area_px"].as_u64().unwrap() > 0;
        assert_eq!(marked, usize::from(shown), "{record}");
    }
    let output =
        succeeded(fixture.segment(&["phantom.png", "--prompt", "Hello World", "--threshold", "0"]));
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains("warning [PROMPT-UNKNOWN]"), "{text}");
}

#[test]
fn a_prompt_without_a_letter_is_refused() {
    let fixture = Fixture::new();
    for nothing in [",,,", "\u{200b}", "...", "  ", "\u{feff}\u{ad}"] {
        let refused = fixture.segment(&["phantom.png", "--prompt", nothing]);
        assert_eq!(refused.status.code(), Some(2), "{nothing:?}");
        assert!(errors(&refused).contains("empty"), "{}", errors(&refused));
    }
}
