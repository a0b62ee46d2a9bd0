//! `medsam3 evaluate` as a program, on a corpus made here and a model with random weights: what is asserted is the contract
//! (rows, counts, report, exit codes) and that a file that is wrong is named.

#[path = "support/tiny_model.rs"]
#[allow(dead_code, reason = "its picture is for commands that segment")]
mod tiny_model;

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use image::{GrayImage, ImageBuffer, Luma};
use medsam3_weights::MaskRule;
use serde_json::{Value, json};
use tiny_model::write_model;

/// Three external images of two subjects: a square (label 1) in all, a bar (label 2) in the first, not drawn in the last; one
/// more prompt with a mask of its own in the second.
fn write_corpus(root: &Path) {
    let folder = root.join("shapes");
    std::fs::create_dir_all(&folder).unwrap();
    let label = |number: u32, x: u32, y: u32| match (x < 20 && y < 20, number == 0 && x > 50) {
        (true, _) => 1,
        (_, true) => 2,
        _ => 0,
    };
    let items: Vec<Value> = (0..3_u32)
        .map(|number| {
            let mask = GrayImage::from_fn(64, 48, |x, y| Luma([label(number, x, y)]));
            mask.save(folder.join(format!("{number}.mask.png"))).unwrap();
            let image = GrayImage::from_fn(64, 48, |x, y| Luma([60 + 80 * label(number, x, y)]));
            image.save(folder.join(format!("{number}.png"))).unwrap();
            let ids: ImageBuffer<Luma<u16>, Vec<u16>> =
                ImageBuffer::from_fn(64, 48, |x, y| Luma([u16::from(label(number, x, y) > 0) * (1 + (x / 10) as u16)]));
            ids.save(folder.join(format!("{number}.ids.png"))).unwrap();
            let own = if number == 1 { json!([{ "prompt": "corner", "mask": "1.mask.png" }]) } else { json!([]) };
            json!({
                "id": number.to_string(), "image": format!("{number}.png"), "mask": format!("{number}.mask.png"),
                "instances": format!("{number}.ids.png"), "split": "test", "subject": if number < 2 { "a" } else { "b" },
                "labels": if number == 0 { vec![1, 2] } else { vec![1] },
                "unlabelled": if number == 2 { vec![2] } else { vec![] }, "prompts": own,
            })
        })
        .collect();
    let dataset = json!({
        "name": "shapes", "title": "Shapes", "modality": "drawing", "role": "external",
        "licence": { "name": "CC0", "tier": "A" }, "labels": { "1": "square", "2": "bar" },
        "prompts": [
            { "canonical": "square", "synonyms": [], "indices": [1] },
            { "canonical": "bar", "synonyms": [], "indices": [2] },
        ],
        "items": items,
    });
    std::fs::write(folder.join("dataset.json"), dataset.to_string()).unwrap();
    let index = json!({ "datasets": [{ "name": "shapes", "role": "external", "tier": "A" }] });
    std::fs::write(root.join("index.json"), index.to_string()).unwrap();
}

struct Fixture {
    folder: tempfile::TempDir,
}

impl Fixture {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        write_model(&folder.path().join("model"), MaskRule::Semantic, Vec::new());
        write_corpus(&folder.path().join("corpus"));
        Self { folder }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn evaluate(&self, more: &[&str]) -> Output {
        let always = [
            "evaluate", "--model", "model", "--corpus", "corpus", "--device", "cpu",
        ];
        Command::new(env!("CARGO_BIN_EXE_medsam3"))
            .current_dir(self.folder.path())
            .args([always.as_slice(), more].concat())
            .output()
            .unwrap()
    }

    /// Runs on a corpus with one file changed: the program fails and names `file`.
    fn fails_naming(&self, file: &str, code: &str) {
        let output = self.evaluate(&["--json"]);
        let text = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{text}");
        assert!(text.contains(file) && text.contains(code), "{text}");
    }
}

fn lines(output: &Output) -> Vec<Value> {
    assert_eq!(
        output.status.code(),
        Some(0),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let text = String::from_utf8(output.stdout.clone()).unwrap();
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

#[test]
fn every_prompt_is_counted_by_what_its_images_say() {
    let fixture = Fixture::new();
    let lines = lines(&fixture.evaluate(&["--dataset", "shapes", "--json", "--report", "report"]));
    let row = |prompt: &str| lines.iter().find(|line| line["prompt"] == prompt).unwrap();
    let counts = |prompt: &str| {
        (
            row(prompt)["images"].as_u64(),
            row(prompt)["absent"].as_u64(),
        )
    };
    assert_eq!(counts("square"), (Some(3), Some(0)));
    assert_eq!(
        counts("bar"),
        (Some(1), Some(1)),
        "the last image says nothing about the bar"
    );
    assert_eq!(counts("corner"), (Some(1), Some(0)), "a prompt of one item");
    assert_eq!(row("square")["subjects"], 2);
    assert_eq!(lines.last().unwrap()["kind"], "summary");
    for file in ["report.md", "report.html", "report.json", "cases.jsonl"] {
        assert!(fixture.path("report").join(file).is_file(), "{file}");
    }
    let pictures = std::fs::read_dir(fixture.path("report/pictures"))
        .unwrap()
        .count();
    assert_eq!(
        pictures, 5,
        "three of the square, one of the bar, one of the corner"
    );
}

#[test]
fn every_rule_measures_a_mask_of_its_own() {
    let fixture = Fixture::new();
    let run =
        |rule: &str| lines(&fixture.evaluate(&["--json", "--rule", rule, "--threshold", "0"]));
    let [best, union, instances, semantic] = ["best", "union", "instances", "semantic"].map(run);
    let square = |lines: &[Value]| {
        lines
            .iter()
            .find(|line| line["prompt"] == "square")
            .cloned()
            .unwrap()
    };
    let iou = |lines: &[Value]| square(lines)["iou"]["value"].as_f64().unwrap();
    assert_eq!(iou(&union), iou(&instances));
    assert!(
        [&best, &union, &semantic]
            .into_iter()
            .all(|lines| (0.0..=1.0).contains(&iou(lines)))
    );
    assert_eq!(square(&union)["instances"], Value::Null);
    // Twenty columns in ids of ten columns each: two objects in each of three images.
    assert_eq!(square(&instances)["instances"]["drawn"], 6);
    assert_eq!(
        square(&instances)["instances"]["kept"],
        30,
        "all ten queries of three images score above 0"
    );
}

#[test]
fn a_file_that_is_wrong_is_named() {
    let fixture = Fixture::new();
    let mask = fixture.path("corpus/shapes/1.mask.png");
    let good = std::fs::read(&mask).unwrap();
    GrayImage::from_pixel(63, 48, Luma([0]))
        .save(&mask)
        .unwrap();
    fixture.fails_naming("1.mask.png", "CORPUS-MASK-SIZE");
    GrayImage::from_pixel(64, 48, Luma([7]))
        .save(&mask)
        .unwrap();
    fixture.fails_naming("1.mask.png", "CORPUS-UNKNOWN-LABEL");
    std::fs::write(&mask, &good[..40]).unwrap();
    fixture.fails_naming("1.mask.png", "CORPUS-DECODE");
    std::fs::write(&mask, &good).unwrap();
    let image = fixture.path("corpus/shapes/2.png");
    let bytes = std::fs::read(&image).unwrap();
    std::fs::write(&image, &bytes[..bytes.len() / 2]).unwrap();
    fixture.fails_naming("2.png", "");
    std::fs::write(&image, bytes).unwrap();
    let output = fixture.evaluate(&["--split", "val"]);
    let text = String::from_utf8(output.stderr).unwrap();
    assert!(
        output.status.code() == Some(1)
            && text.contains("CORPUS-EMPTY-SPLIT")
            && text.contains("index.json"),
        "{text}"
    );
    let output = fixture.evaluate(&["--split", "val", "--dataset", "shapes"]);
    assert!(
        String::from_utf8(output.stderr)
            .unwrap()
            .contains("dataset.json")
    );
}

#[test]
#[cfg(target_os = "linux")]
fn a_full_disk_is_named() {
    let fixture = Fixture::new();
    std::fs::create_dir(fixture.path("report")).unwrap();
    std::os::unix::fs::symlink("/dev/full", fixture.path("report/report.html")).unwrap();
    let output = fixture.evaluate(&["--report", "report"]);
    let text = String::from_utf8(output.stderr).unwrap();
    assert!(
        output.status.code() == Some(1)
            && text.contains("EVAL-WRITE")
            && text.contains("report.html"),
        "{text}"
    );
}

#[test]
fn other_words_are_compared_with_the_prompts_that_they_stand_for() {
    let fixture = Fixture::new();
    let file = fixture.path("wordings.toml");
    let write = |label: u8, beside: &str| {
        let text = format!(
            "[[wording]]\ndataset = \"shapes\"\ngroup = \"composition\"\ntext = \"square and bar\"\nlabels = [1, {label}]\nbeside = [\"square\", \"{beside}\"]\n"
        );
        std::fs::write(&file, text).unwrap();
    };
    write(2, "bar");
    let lines = lines(&fixture.evaluate(&["--wordings", "wordings.toml", "--json"]));
    let of =
        |kind: &str| -> Vec<&Value> { lines.iter().filter(|line| line["kind"] == kind).collect() };
    assert_eq!(
        of("row").len(),
        3,
        "the wording and the two prompts beside it"
    );
    let [row] = of("wording")[..] else {
        panic!("one wording: {lines:?}");
    };
    assert_eq!(row["beside"], json!(["square", "bar"]));
    assert_eq!(row["images"], 2, "in the last image the bar was not drawn");
    let value = |name: &str| row[name]["value"].as_f64().unwrap();
    assert!((value("dice") - value("dice_beside") - value("difference")).abs() < 1e-12);
    for (label, beside, named) in [(2, "disc", "disc"), (9, "bar", "label 9")] {
        write(label, beside);
        let output = fixture.evaluate(&["--wordings", "wordings.toml"]);
        let text = String::from_utf8(output.stderr).unwrap();
        assert!(
            output.status.code() == Some(1) && text.contains(named),
            "{text}"
        );
    }
}
