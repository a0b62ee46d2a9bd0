//! `medsam3 export` as a program: a run with adapters becomes a model folder with merged weights that segments.

#[path = "support/shapes.rs"]
mod shapes;

use std::path::Path;
use std::process::{Command, Output};

use medsam3_weights::sha256_hex;
use safetensors::SafeTensors;
use serde_json::Value;
use shapes::{config, write_corpus};

const RANK: usize = 2;
const ALPHA: f32 = 6.0;

fn medsam3(arguments: &[&str]) -> Output {
    let output = Command::new(env!("CARGO_BIN_EXE_medsam3"))
        .args(arguments)
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    output
}

fn json(path: &Path) -> Value {
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

fn values(file: &SafeTensors<'_>, name: &str) -> Vec<f32> {
    let view = file.tensor(name).unwrap();
    let bytes = view.data().as_chunks::<4>().0.iter();
    bytes.map(|&four| f32::from_le_bytes(four)).collect()
}

#[test]
fn a_run_with_adapters_becomes_a_model_folder() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    write_corpus(root);
    let file = config(root, "run", 6);
    let lora = format!(
        "schedule.lora = {{ rank = {RANK}, alpha = {ALPHA}, learning_rate = 0.02, prefixes = [\"detector.transformer.\"] }}"
    );
    let file = file.to_str().unwrap();
    medsam3(&["train", file, "--set", &lora, "--set", "run.seed = 3"]);
    let run = root.join("run");

    let record = json(&run.join("run.json"));
    let index = std::fs::read(root.join("index.json")).unwrap();
    assert_eq!(record["corpus_index_sha256"], sha256_hex(&index));
    assert_eq!(record["datasets"]["shapes"]["train"], 8);
    assert_eq!(record["sessions"][0]["step"], 0);
    let kept = std::fs::read_to_string(run.join("config.toml")).unwrap();
    assert!(
        kept.contains("seed = 3") && kept.contains("rank = 2"),
        "{kept}"
    );
    assert!(run.join("curves.svg").is_file());

    // The run folder is enough: its own configuration says what was set on the command line.
    let (run, model) = (run.to_str().unwrap(), root.join("model"));
    medsam3(&["export", run, "--out", model.to_str().unwrap()]);
    let manifest = json(&model.join("manifest.json"));
    assert_eq!(manifest["name"], "run");
    assert_eq!(manifest["licence"], "CC-BY-4.0");
    assert_eq!(manifest["provenance"]["recipe"], file);
    let source = manifest["provenance"]["source"].as_str().unwrap();
    assert!(source.starts_with("trained from scratch"), "{source}");

    let bytes = std::fs::read(root.join("run/checkpoint-0000006.safetensors")).unwrap();
    let checkpoint = SafeTensors::deserialize(&bytes).unwrap();
    let shards: Vec<Vec<u8>> = std::fs::read_dir(&model)
        .unwrap()
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.extension().is_some_and(|e| e == "safetensors"))
        .map(|path| std::fs::read(path).unwrap())
        .collect();
    let exported: Vec<SafeTensors<'_>> = shards
        .iter()
        .map(|bytes| SafeTensors::deserialize(bytes).unwrap())
        .collect();
    let names = exported.iter().flat_map(SafeTensors::names);
    assert!(names.into_iter().all(|name| !name.contains("lora")));
    let adapted: Vec<&str> = checkpoint
        .names()
        .into_iter()
        .filter_map(|name| name.strip_prefix("average/")?.strip_suffix(".lora_B"))
        .collect();
    assert!(adapted.len() > 10, "{} adapters", adapted.len());
    let mut moved = 0;
    for name in adapted {
        let weight = values(&checkpoint, &format!("weights/{name}"));
        let a = values(&checkpoint, &format!("average/{name}.lora_A"));
        let b = values(&checkpoint, &format!("average/{name}.lora_B"));
        moved += usize::from(b.iter().any(|&value| value != 0.0));
        let view = exported
            .iter()
            .find_map(|shard| shard.tensor(name).ok())
            .unwrap();
        let &[outputs, inputs] = view.shape() else {
            panic!("{name} is no matrix");
        };
        for (at, pair) in view.data().as_chunks::<2>().0.iter().enumerate() {
            let (output, input) = (at / inputs, at % inputs);
            let sum: f32 = (0..RANK)
                .map(|k| b[output * RANK + k] * a[k * inputs + input])
                .sum();
            let expected = weight[input * outputs + output] + ALPHA / RANK as f32 * sum;
            let found = half(*pair);
            assert!(
                (found - expected).abs() <= 1e-3 * expected.abs() + 1e-6,
                "{name}[{output}, {input}]: {found} is not {expected}"
            );
        }
    }
    assert!(moved > 10, "only {moved} adapters were trained");

    let picture = root.join("shapes/9.jpg");
    let output = medsam3(&[
        "segment",
        picture.to_str().unwrap(),
        "--prompt",
        "disc",
        "--model",
        model.to_str().unwrap(),
        "--device",
        "cpu",
        "--json",
        "--out",
        root.to_str().unwrap(),
    ]);
    let line: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert!(line["presence"].is_number(), "{line}");
}

/// IEEE half precision, by its definition.
fn half(bytes: [u8; 2]) -> f32 {
    let bits = u16::from_le_bytes(bytes);
    let (exponent, fraction) = (i32::from(bits >> 10 & 31), f32::from(bits & 1023));
    let magnitude = match exponent {
        0 => fraction * 2f32.powi(-24),
        _ => (1024.0 + fraction) * 2f32.powi(exponent - 25),
    };
    if bits >> 15 == 1 {
        -magnitude
    } else {
        magnitude
    }
}
