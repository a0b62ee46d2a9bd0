//! The measures against independent implementations (`tests/eval/make_goldens.py` writes `tests/eval/goldens.json`):
//! scikit-learn, SciPy, MONAI, surface-distance, pycocotools, torchmetrics.

use medsam3_eval::{
    Bootstrap, IOU_THRESHOLDS, InstanceMatch, Resamples, average_precision, calibration, dice, f1,
    hd95_px, iou, match_instances, nsd, overlap,
};
use medsam3_imaging::{Mask, ObjectMap};
use serde_json::Value;

fn cases(kind: &str) -> Vec<Value> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/eval/goldens.json");
    let all: Value =
        serde_json::from_slice(&std::fs::read(path).expect("goldens.json")).expect("JSON");
    all[kind].as_array().expect("cases").clone()
}

fn mask(rows: &Value) -> Mask {
    let rows: Vec<&str> = rows
        .as_array()
        .expect("rows")
        .iter()
        .map(|row| row.as_str().expect("a row"))
        .collect();
    Mask {
        width: rows[0].len(),
        height: rows.len(),
        bits: rows.concat().chars().map(|c| u8::from(c == '#')).collect(),
    }
}

fn number(value: &Value) -> f64 {
    value.as_f64().expect("a number")
}

fn count(value: &Value) -> usize {
    value.as_u64().expect("a count") as usize
}

fn close(what: &str, found: f64, expected: f64, tolerance: f64) {
    assert!(
        (found - expected).abs() <= tolerance,
        "{what}: {found} is not {expected}"
    );
}

#[test]
fn overlap_and_surface_distances_match() {
    let mut compared = 0;
    for case in cases("overlap") {
        let name = case["name"].as_str().expect("a name");
        let (found, truth) = (mask(&case["found"]), mask(&case["truth"]));
        let counts = overlap(&found, &truth).expect("one grid");
        if let Some(expected) = case.get("dice") {
            close(name, dice(counts), number(expected), 1e-12);
            close(name, iou(counts), number(&case["iou"]), 1e-12);
        }
        let Some(expected) = case.get("hd95") else {
            continue;
        };
        close(
            &format!("HD95, {name}"),
            hd95_px(&found, &truth),
            number(expected),
            1e-9,
        );
        close(
            &format!("HD95 the other way, {name}"),
            hd95_px(&truth, &found),
            number(expected),
            1e-9,
        );
        for (tolerance, expected) in case["nsd"].as_object().expect("NSD by tolerance") {
            let at: f64 = tolerance.parse().expect("a tolerance");
            close(
                &format!("NSD at {at}, {name}"),
                nsd(&found, &truth, at),
                number(expected),
                1e-9,
            );
            compared += 1;
        }
    }
    assert!(compared >= 60, "{compared} surface distances compared");
}

#[test]
fn empty_masks_are_counted_at_the_ends_of_the_scale() {
    let empty = Mask::empty(30, 40);
    let mut some = empty.clone();
    some.bits[200] = 1;
    assert_eq!(
        (hd95_px(&empty, &empty), nsd(&empty, &empty, 1.0)),
        (0.0, 1.0)
    );
    for (found, truth) in [(&empty, &some), (&some, &empty)] {
        assert_eq!((hd95_px(found, truth), nsd(found, truth, 1.0)), (50.0, 0.0));
    }
}

#[test]
fn instances_match() {
    for (at, case) in cases("instances").iter().enumerate() {
        let threshold = number(&case["threshold"]);
        let images: Vec<InstanceMatch> = case["images"]
            .as_array()
            .expect("images")
            .iter()
            .map(|image| {
                let width = count(&image["width"]);
                let ids: Vec<u16> = image["ids"]
                    .as_array()
                    .expect("ids")
                    .iter()
                    .map(|id| count(id) as u16)
                    .collect();
                let drawn = ObjectMap {
                    width,
                    height: ids.len() / width,
                    ids,
                };
                let masks: Vec<(f64, Mask)> = image["detections"]
                    .as_array()
                    .expect("detections")
                    .iter()
                    .map(|found| (number(&found["score"]), mask(&found["mask"])))
                    .collect();
                let detections: Vec<(f64, &Mask)> =
                    masks.iter().map(|(score, mask)| (*score, mask)).collect();
                let found = match_instances(&detections, &drawn, threshold).expect("one grid");
                let expected = [&image["drawn"], &image["kept"], &image["matched"]].map(count);
                assert_eq!([found.drawn, found.kept, found.matched], expected);
                found
            })
            .collect();
        let once: Vec<(&InstanceMatch, u32)> = images.iter().map(|image| (image, 1)).collect();
        close(
            &format!("F1 of case {at}"),
            f1(&once).expect("objects"),
            number(&case["f1"]),
            1e-12,
        );
        for (threshold, expected) in case["ap"]
            .as_array()
            .expect("AP by threshold")
            .iter()
            .enumerate()
        {
            let found = average_precision(&once, threshold).expect("objects");
            let what = format!("AP at {} of case {at}", IOU_THRESHOLDS[threshold]);
            close(&what, found, number(expected), 1e-9);
        }
        // Counting every image twice changes neither.
        let twice: Vec<(&InstanceMatch, u32)> = images.iter().map(|image| (image, 2)).collect();
        assert_eq!(f1(&once), f1(&twice));
    }
}

#[test]
fn calibration_matches() {
    for case in cases("calibration") {
        let predictions: Vec<(f64, bool)> = case["probabilities"]
            .as_array()
            .expect("probabilities")
            .iter()
            .map(number)
            .zip(
                case["outcomes"]
                    .as_array()
                    .expect("outcomes")
                    .iter()
                    .map(|is| is == true),
            )
            .collect();
        let found = calibration(&predictions, count(&case["bins"])).expect("predictions");
        close("calibration error", found.ece, number(&case["ece"]), 1e-6);
        close("Brier score", found.brier, number(&case["brier"]), 1e-12);
    }
    assert_eq!(calibration(&[], 15), None);
}

/// Random numbers differ from SciPy's, so that ends of intervals agree only within the error of 20 000 resamples.
#[test]
fn intervals_match_scipy() {
    for case in cases("bootstrap") {
        let values: Vec<Vec<f64>> = case["values"]
            .as_array()
            .expect("subjects")
            .iter()
            .map(|subject| {
                subject
                    .as_array()
                    .expect("values")
                    .iter()
                    .map(number)
                    .collect()
            })
            .collect();
        let names: Vec<String> = (0..values.len()).map(|at| format!("{at:03}")).collect();
        let options = Bootstrap {
            replicates: 20_000,
            seed: 5,
        };
        let resamples = Resamples::new(names.iter().map(String::as_str), options, 0);
        let mean = |counts: &[u32]| {
            let pairs = || {
                values
                    .iter()
                    .zip(counts)
                    .map(|(values, &count)| (values, f64::from(count)))
            };
            let sum: f64 = pairs()
                .map(|(values, count)| count * values.iter().sum::<f64>())
                .sum();
            Some(
                sum / pairs()
                    .map(|(values, count)| count * values.len() as f64)
                    .sum::<f64>(),
            )
        };
        let found = resamples.estimate(values.len(), mean).expect("a mean");
        close("mean", found.value, number(&case["mean"]), 1e-12);
        let [low, high] = found.interval.expect("an interval");
        let (expected_low, expected_high) =
            (number(&case["interval"][0]), number(&case["interval"][1]));
        let tolerance = 0.02 * (expected_high - expected_low);
        close("lower end", low, expected_low, tolerance);
        close("upper end", high, expected_high, tolerance);
    }
}
