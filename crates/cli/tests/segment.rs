//! The real program on a real file: a model folder with random weights, small enough for a test, and a PNG that is not
//! square. What is asserted is the contract of the command: exit codes, records, files, sizes.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use medsam3_model::burn::tensor::Device;
use medsam3_model::{Sam3Config, parameters};
use medsam3_weights::{MaskRule, ModelDescription, Precision, PromptEntry, Provenance, Writer};
use serde_json::Value;

const TOKENIZER: &[u8] = include_bytes!("../../../weights/default/tokenizer.json");

fn tiny() -> Sam3Config {
    let mut config = Sam3Config::default_small();
    config.image_side = 56;
    config.vit.width = 16;
    config.vit.depth = 2;
    config.vit.heads = 2;
    config.vit.mlp_hidden = 32;
    config.vit.window = 2;
    config.vit.global_blocks = vec![1];
    config.vit.pretrain_grid = 4;
    config.text.width = 16;
    config.text.depth = 1;
    config.text.heads = 2;
    config.text.mlp_hidden = 32;
    config.transformer.width = 16;
    config.transformer.heads = 2;
    config.transformer.feed_forward = 32;
    config.transformer.queries = 10;
    config
}

struct Fixture {
    folder: tempfile::TempDir,
}

impl Fixture {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let device = Device::flex();
        device.seed(11);
        let config = tiny();
        let prompt = PromptEntry {
            canonical: "left lung".to_owned(),
            synonyms: Vec::new(),
            threshold: 0.0,
            category: String::new(),
            mask_rule: None,
            mask_threshold: None,
        };
        let description = ModelDescription {
            name: "random".to_owned(),
            config: serde_json::to_value(&config).unwrap(),
            precision: Precision::F16,
            licence: "CC0-1.0".to_owned(),
            provenance: Provenance::default(),
            mask_rule: MaskRule::Union,
            prompts: vec![prompt],
        };
        let mut writer = Writer::create(folder.path().join("model"), description).unwrap();
        parameters::save(&config.init(&device), &mut |info, values| {
            writer.tensor(&info.name, &info.shape, &values).unwrap();
        });
        writer.file("tokenizer.json", TOKENIZER).unwrap();
        writer.finish().unwrap();
        let picture = image::RgbImage::from_fn(90, 60, |x, y| {
            if x < 30 && y < 30 {
                image::Rgb([220, 210, 200])
            } else {
                image::Rgb([x as u8, y as u8, 20])
            }
        });
        picture.save(folder.path().join("phantom.png")).unwrap();
        Self { folder }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn run(&self, arguments: &[&str]) -> Output {
        Command::new(env!("CARGO_BIN_EXE_medsam3"))
            .current_dir(self.folder.path())
            .args(arguments)
            .output()
            .unwrap()
    }

    fn segment(&self, more: &[&str]) -> Output {
        self.run(
            &[
                ["segment", "--model", "model", "--device", "cpu"].as_slice(),
                more,
            ]
            .concat(),
        )
    }
}

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
    assert!(table.starts_with("input,frame,prompt,presence,score,instances,area_px,area_mm2\n"));
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
        &[
            "phantom.png",
            "--prompt",
            "lung",
            "--out",
            "x",
            "--formats",
            "nifti",
        ],
        "not in this version",
    );
    refused(
        &["phantom.png", "--prompt", "lung", "--size", "57"],
        "multiple",
    );
    refused(
        &[
            "phantom.png",
            "phantom.png",
            "--prompt",
            "lung",
            "--out",
            "x",
        ],
        "phantom.lung.png",
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
            .contains("reading the file")
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
