//! From masks to a report on disk, checked against values worked out by hand.

use std::path::{Path, PathBuf};

use medsam3_eval::{
    About, Bootstrap, Case, Confidence, DatasetFacts, EvalError, Evaluation, Question, write_report,
};
use medsam3_imaging::{Mask, Rgb8};

const SIDE: usize = 20;

/// Columns `from..to` of a square image.
fn band(from: usize, to: usize) -> Mask {
    let bits = (0..SIDE * SIDE)
        .map(|at| u8::from((from..to).contains(&(at % SIDE))))
        .collect();
    Mask {
        width: SIDE,
        height: SIDE,
        bits,
    }
}

fn case(subject: &str, presence: f64, found: &Mask, truth: &Mask) -> Case {
    let question = Question {
        dataset: "stare".into(),
        prompt: "a|b <i>".into(),
        item: format!("{subject}-1"),
        subject: subject.into(),
    };
    Case::measure(
        question,
        Confidence {
            presence,
            score: presence,
        },
        found,
        truth,
        None,
        1.0,
    )
    .expect("one grid")
}

/// Dice 1, 0.5 and 0 where it is there; one of two images without it shows something.
fn cases() -> Vec<Case> {
    let empty = band(0, 0);
    vec![
        case("a", 0.9, &band(0, 10), &band(0, 10)),
        case("b", 0.9, &band(0, 10), &band(5, 15)),
        case("c", 0.1, &empty, &band(0, 10)),
        case("d", 0.1, &empty, &empty),
        case("e", 0.8, &band(0, 2), &empty),
    ]
}

fn about() -> About {
    About {
        model: "m".into(),
        split: "test".into(),
        rule: "The mask.".into(),
        device: "cpu".into(),
        command: "medsam3 evaluate --corpus C".into(),
        tolerance_px: 1.0,
        images: 5,
        seconds: 2.0,
        datasets: vec![DatasetFacts {
            name: "stare".into(),
            title: "STARE <b>".into(),
            licence: "C".into(),
            role: "external".into(),
        }],
    }
}

fn open(_: &Case) -> Result<Rgb8, EvalError> {
    Ok(Rgb8 {
        width: SIDE,
        height: SIDE,
        pixels: vec![90; SIDE * SIDE * 3],
    })
}

fn folder(name: &str) -> PathBuf {
    let folder = std::env::temp_dir().join(format!("medsam3-report-{name}-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("folder");
    folder
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).expect("a text file")
}

#[test]
fn misses_and_empty_ground_truth_are_counted() {
    let evaluation = Evaluation::new(
        &cases(),
        Bootstrap {
            replicates: 500,
            seed: 1,
        },
    );
    let row = &evaluation.rows[0];
    assert_eq!(
        (row.images, row.missed, row.absent, row.subjects),
        (3, 1, 2, 5)
    );
    let value = |estimate: Option<medsam3_eval::Estimate>| estimate.expect("an estimate").value;
    assert!((value(row.dice) - 0.5).abs() < 1e-12);
    assert!((value(row.iou) - (1.0 + 1.0 / 3.0) / 3.0).abs() < 1e-12);
    assert!((value(row.false_positive_rate) - 0.5).abs() < 1e-12);
    assert!((value(row.dice_all) - 2.5 / 5.0).abs() < 1e-12);
    // Apart by five columns, and the diagonal where nothing was shown.
    let diagonal = (SIDE as f64) * std::f64::consts::SQRT_2;
    assert!((value(row.hd95_px) - (0.0 + 5.0 + diagonal) / 3.0).abs() < 1e-12);
    let [low, high] = row
        .dice
        .and_then(|dice| dice.interval)
        .expect("an interval");
    assert!(
        low < 0.2 && high > 0.8 && low >= 0.0 && high <= 1.0,
        "three subjects leave {low} to {high}"
    );
    assert!((value(evaluation.mean_dice) - 0.5).abs() < 1e-12);
    let presence = evaluation.presence.expect("predictions");
    // Bins 0.1: one of two came true; 0.8: none of one; 0.9: two of two.
    assert!((presence.ece - (2.0 * 0.4 + 0.8 + 2.0 * 0.1) / 5.0).abs() < 1e-12);
}

#[test]
fn a_report_is_complete_and_escaped() {
    let folder = folder("complete");
    let cases = cases();
    let evaluation = Evaluation::new(
        &cases,
        Bootstrap {
            replicates: 100,
            seed: 1,
        },
    );
    write_report(&folder, &about(), &evaluation, &cases, open).expect("written");
    let markdown = read(&folder.join("report.md"));
    assert!(
        markdown.contains("| stare | a\\|b \\<i> | 3 | 5 | 0.500 ["),
        "{markdown}"
    );
    assert!(
        markdown.contains("Medical SAM3 Dice") && markdown.contains("| 0.544 | 0.378 | 20 |"),
        "the paper's STARE"
    );
    let html = read(&folder.join("report.html"));
    assert!(
        html.contains("a|b &lt;i&gt;") && !html.contains("STARE <b>") && !html.contains("<script")
    );
    for rank in ["best", "median", "worst"] {
        let file = format!("pictures/stare.a-b--i-.{rank}.jpg");
        assert!(markdown.contains(&file) && html.contains(&file));
        image::open(folder.join(file)).expect("a picture");
    }
    let json: serde_json::Value =
        serde_json::from_str(&read(&folder.join("report.json"))).expect("JSON");
    assert_eq!(json["evaluation"]["rows"][0]["images"], 3);
    let lines = read(&folder.join("cases.jsonl"));
    assert_eq!(lines.lines().count(), 5);
    assert!(
        lines
            .lines()
            .all(|line| serde_json::from_str::<serde_json::Value>(line).is_ok())
    );
    std::fs::remove_dir_all(folder).expect("clean up");
}

#[test]
#[cfg(target_os = "linux")]
fn a_full_disk_names_the_file() {
    for file in ["report.md", "cases.jsonl"] {
        let folder = folder(&format!("full-{file}"));
        std::os::unix::fs::symlink("/dev/full", folder.join(file)).expect("a link");
        let cases = cases();
        let evaluation = Evaluation::new(
            &cases,
            Bootstrap {
                replicates: 10,
                seed: 1,
            },
        );
        let error =
            write_report(&folder, &about(), &evaluation, &cases, open).expect_err("a full disk");
        assert_eq!(error.code(), "EVAL-WRITE");
        assert!(error.to_string().contains(file), "{error}");
        std::fs::remove_dir_all(folder).expect("clean up");
    }
}
