//! `medsam3 train --dry-run` as a program: the paper's configuration against counts from elsewhere, and a corpus of which a
//! part is missing.

#[path = "support/shapes.rs"]
mod shapes;

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;
use shapes::{config, write_corpus};

/// Tensors of `sam3.pt`, name and shape, listed by PyTorch.
const KEYS: &str = include_str!("../../../tests/parity/checkpoint_keys.txt");

fn repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../..")
        .join(path)
}

/// Runs in `folder`, so that what is written by a relative path is seen.
fn train(folder: &Path, config: &Path, more: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_medsam3"));
    command.current_dir(folder).arg("train").arg(config);
    command.args(more).output().expect("the program runs")
}

fn report(output: &Output) -> Value {
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    serde_json::from_slice(&output.stdout).expect("one JSON object")
}

fn count(value: &Value) -> u64 {
    value.as_u64().expect("a count")
}

fn near(what: &str, found: &Value, expected: f64, within: f64) {
    let found = found.as_f64().expect("a number");
    let off = (found - expected).abs();
    assert!(
        off <= within * expected.abs(),
        "{what}: {found} is not {expected}"
    );
}

/// Tensors and parameters under a beginning of names, of those that the path from image and text to masks has.
fn published(prefix: &str) -> (u64, u64) {
    let tensors = KEYS.lines().filter_map(|line| {
        let (name, shape) = line.split_once(['\t', ' '])?;
        let used = name.starts_with(prefix) && !medsam3_model::parameters::is_unused(name);
        let extents = shape.split(|c: char| !c.is_ascii_digit());
        let extents = extents.filter_map(|extent| extent.parse::<u64>().ok());
        used.then(|| extents.product::<u64>())
    });
    tensors.fold((0, 0), |(tensors, all), own| (tensors + 1, all + own))
}

fn paper(folder: &Path) -> Value {
    let tokenizer = repository("weights/default/tokenizer.json");
    let tokenizer = format!("data.tokenizer={tokenizer:?}");
    let file = repository("configs/medical-sam3.toml");
    report(&train(
        folder,
        &file,
        &["--dry-run", "--json", "--set", &tokenizer],
    ))
}

#[test]
fn the_papers_run_has_the_papers_size() {
    let folder = tempfile::tempdir().expect("a folder");
    let found = paper(folder.path());
    let left = std::fs::read_dir(folder.path()).expect("a folder").count();
    assert_eq!(left, 0, "a dry run wrote something");

    // Parts against the tensors of sam3.pt, and the two largest against the numbers that were published of them.
    let parts = [
        ("trunk", "backbone.vision_backbone.trunk."),
        ("neck", "backbone.vision_backbone.convs."),
        ("text encoder", "backbone.language_backbone."),
        ("geometry encoder", "geometry_encoder."),
        ("fusion encoder", "transformer.encoder."),
        ("decoder", "transformer.decoder."),
        ("mask head", "segmentation_head."),
        ("scoring", "dot_prod_scoring."),
    ];
    let rows = found["modules"].as_array().expect("parts");
    assert_eq!(rows.len(), parts.len());
    for (row, (name, prefix)) in rows.iter().zip(parts) {
        assert_eq!(row["name"], name);
        let (tensors, parameters) = published(&format!("detector.{prefix}"));
        assert_eq!(count(&row["tensors"]), tensors, "{name}");
        assert_eq!(count(&row["parameters"]), parameters, "{name}");
        assert_eq!(row["trained"], row["parameters"], "{name}");
    }
    assert_eq!(count(&rows[0]["parameters"]), 446_237_696);
    assert_eq!(count(&rows[2]["parameters"]), 353_724_672 - 1024 * 512);
    // 840 M of the image model, less what the path from image and text to masks does not have: level 3 of the neck, the text
    // projection, points and boxes of the geometry encoder, the third convolution of the pixel decoder.
    let unused = 852_480 + 524_288 + 3_412_480 + 590_592;
    assert_eq!(count(&found["parameters"]), 840_509_750 - unused);

    // 33 datasets, none of which is here.
    let missing = found["missing"].as_array().expect("names");
    assert_eq!(
        (missing.len(), &found["corpus_found"]),
        (33, &Value::Bool(false))
    );
    assert!(missing.contains(&"kvasir_seg".into()) && missing.contains(&"ps_fh_aop_2023".into()));
    // An epoch is 76,956 images, four at a time.
    assert_eq!(count(&found["schedule"]["images"]), 76_956);
    assert_eq!(count(&found["schedule"]["steps"]), 19_239 * 10);
    let rates = found["schedule"]["rates"].as_array().expect("rates");
    let rate =
        |step: u64| &rates.iter().find(|r| r["step"] == step).expect("the step")["learning_rate"];
    near("warm-up", rate(1), 3e-4 / 100.0, 1e-5);
    near("peak", rate(100), 3e-4, 1e-5);
    near(
        "epoch 1",
        rate(19_239),
        3e-4 / f64::sqrt((19_239.0 + 10.0 - 100.0) / 10.0),
        1e-5,
    );
    assert_eq!(rate(192_390).as_f64(), Some(0.0));

    // A made-up picture is asked for the first dataset's prompt, once per device.
    let batch = &found["batch"];
    assert_eq!((count(&batch["images"]), count(&batch["side"])), (4, 1008));
    assert_eq!(batch["made_up"], true);
    let asked = batch["rows"].as_array().expect("rows");
    assert_eq!(asked.len(), 4);
    assert!(
        asked
            .iter()
            .all(|row| row["prompt"] == "coronary artery segment" && row["objects"] == 1)
    );
}

#[test]
fn the_papers_groups_have_their_rates_and_costs() {
    let folder = tempfile::tempdir().expect("a folder");
    let found = paper(folder.path());
    let group = |name: &str| {
        let groups = found["groups"].as_array().expect("groups");
        groups
            .iter()
            .find(|row| row["name"] == name)
            .expect("the group")
    };
    // Block i of 32 has 0.85^(32 - i), what is before the blocks 0.85^33.
    let trunk = group("trunk");
    let layers = trunk["layers"].as_array().expect("layers");
    assert_eq!(layers.len(), 33);
    for (layer, exponent) in layers.iter().zip(1..) {
        near(
            "layer",
            &layer["learning_rate"],
            5e-5 * 0.85_f64.powi(exponent),
            1e-5,
        );
        let expected = if exponent == 33 {
            577 * 1024 + 1024 * 3 * 14 * 14 + 2 * 1024
        } else {
            13_907_584
        };
        assert_eq!(count(&layer["parameters"]), expected, "exponent {exponent}");
    }
    for (name, rate) in [
        ("neck", 5e-5),
        ("text encoder", 5e-5),
        ("geometry encoder", 1e-4),
        ("fusion encoder", 1e-5),
        ("decoder, masks, scoring", 3e-4),
    ] {
        near(name, &group(name)["learning_rate"], rate, 1e-5);
        assert_eq!(group(name)["constant"], name == "fusion encoder", "{name}");
        near(name, &group(name)["weight_decay"], 0.05, 1e-5);
    }

    // Two GFLOP per multiplication and addition as PyTorch's counter has them: 5,611 per image, 443 per prompt, of which the
    // decoder's 20.4 come twice; four images.
    let work = &found["operations"];
    near("image", &work["forward_image"], 4.0 * 5_611e9, 0.001);
    near(
        "prompt",
        &work["forward_prompt"],
        4.0 * (443e9 + 20.4e9),
        0.005,
    );
    assert_eq!(count(&work["backward"]), 2 * count(&work["forward"]));
    // The ViT's 5,398.6 but for the patch embedding's 6.2, and the fusion encoder's 255.9.
    near("again", &work["again"], 4.0 * (5_392.4e9 + 255.9e9), 0.001);
    // Four bytes each; the optimiser has two moments, and no average is kept.
    let memory = &found["memory"];
    let weights = 4 * count(&found["parameters"]);
    assert_eq!(count(&memory["weights"]), weights);
    assert_eq!(count(&memory["gradients"]), weights);
    assert_eq!(count(&memory["moments"]), 2 * weights);
    assert_eq!(count(&memory["average"]), 0);
    let kept = &memory["activations"];
    assert!(count(&kept["trunk_recomputed"]) * 8 < count(&kept["trunk"]));
    assert!(count(&kept["fusion_recomputed"]) * 4 < count(&kept["fusion"]));
}

#[test]
fn a_part_of_a_corpus_is_used_and_the_rest_is_named() {
    let folder = tempfile::tempdir().expect("a folder");
    let root = folder.path();
    write_corpus(root);
    let config = config(root, "run", 0);
    let sets = |more: &[&str]| {
        let mut all = vec!["--dry-run", "--json"];
        for line in [
            "schedule.epochs=3",
            "data.tiers=[]",
            "data.datasets=[\"nowhere\", \"shapes\"]",
        ]
        .iter()
        .chain(more)
        {
            all.extend(["--set", line]);
        }
        train(root, &config, &all)
    };
    let found = report(&sets(&[
        "data.prompts.shapes=[\"Circle\"]",
        "data.expected_images=21",
        "data.canonical_share=1.0",
    ]));
    assert_eq!(found["missing"], serde_json::json!(["nowhere"]));
    assert_eq!(
        found["datasets"][0]["prompts"],
        serde_json::json!(["circle"])
    );
    assert_eq!(count(&found["datasets"][0]["train"]), 8);
    // Three times 21 images in steps of four.
    assert_eq!(count(&found["schedule"]["steps"]), 3 * 6);
    assert_eq!(found["batch"]["made_up"], false);
    let rows = found["batch"]["rows"].as_array().expect("rows");
    assert!(rows.iter().all(|row| row["prompt"] == "circle"));
    assert!(!root.join("run").exists(), "a dry run wrote its run folder");

    // What a training would be refused for is refused here too.
    for line in [
        "data.prompts.shapes=[\"square\"]",
        "data.prompts.nothing=[\"disc\"]",
        "schedule.steps=5",
        "run.devices=[\"tpu\"]",
        "schedule.groups=[{ name = \"typo\", prefixes = [\"detector.trunk.\"] }]",
    ] {
        let output = sets(&[line]);
        let errors = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{line}: {errors}");
        let code = match line.starts_with("data.prompts.shapes") {
            true => "[CORPUS-UNKNOWN-PROMPT]",
            false => "[TRAIN-CONFIG]",
        };
        assert!(errors.contains(code), "{line}: {errors}");
    }

    // A whole corpus is counted, and a step can be tried.
    let more = [
        "--dry-run",
        "--step",
        "--json",
        "--set",
        "schedule.epochs=3",
    ];
    let found = report(&train(root, &config, &more));
    assert_eq!(count(&found["schedule"]["steps"]), 3 * 2);
    assert!(
        found["step"]["loss"]["total"]
            .as_f64()
            .is_some_and(f64::is_finite)
    );
    assert!(!root.join("run").exists(), "a dry run wrote its run folder");
}

#[test]
fn epochs_are_trained_and_written_down() {
    let folder = tempfile::tempdir().expect("a folder");
    let root = folder.path();
    write_corpus(root);
    let config = config(root, "run", 0);
    let output = train(root, &config, &["--set", "schedule.epochs=2"]);
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let metrics = std::fs::read_to_string(root.join("run/metrics.jsonl")).expect("metrics");
    let lines = metrics
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok());
    assert_eq!(lines.filter(|line| line["kind"] == "step").count(), 2 * 2);
    let found = report(&train(
        root,
        &root.join("run/config.toml"),
        &["--dry-run", "--json"],
    ));
    assert_eq!(count(&found["schedule"]["epochs"]), 2);
    assert_eq!(count(&found["schedule"]["steps"]), 2 * 2);
}
