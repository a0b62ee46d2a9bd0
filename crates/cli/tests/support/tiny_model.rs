//! The real program on a real file: a model folder with random weights, small enough for a test, and a PNG that is not
//! square.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use medsam3_model::burn::tensor::Device;
use medsam3_model::{Sam3Config, parameters};
use medsam3_weights::{MaskRule, ModelDescription, Precision, PromptEntry, Provenance, Writer};

const TOKENIZER: &[u8] = include_bytes!("../../../../weights/default/tokenizer.json");

pub fn tiny() -> Sam3Config {
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

/// The model folder, with the same random weights every time.
pub fn write_model(folder: &Path, mask_rule: MaskRule, prompts: Vec<PromptEntry>) {
    let device = Device::flex();
    device.seed(11);
    let config = tiny();
    let description = ModelDescription {
        name: "random".to_owned(),
        config: serde_json::to_value(&config).unwrap(),
        precision: Precision::F16,
        licence: "CC0-1.0".to_owned(),
        provenance: Provenance::default(),
        mask_rule,
        prompts,
    };
    let mut writer = Writer::create(folder, description).unwrap();
    parameters::save(&config.init(&device), &mut |info, values| {
        writer.tensor(&info.name, &info.shape, &values).unwrap();
    });
    writer.file("tokenizer.json", TOKENIZER).unwrap();
    writer.finish().unwrap();
}

pub struct Fixture {
    folder: tempfile::TempDir,
}

impl Fixture {
    pub fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let prompt = PromptEntry {
            canonical: "left lung".to_owned(),
            synonyms: Vec::new(),
            threshold: 0.0,
            category: String::new(),
            mask_rule: None,
            mask_threshold: None,
        };
        write_model(&folder.path().join("model"), MaskRule::Union, vec![prompt]);
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

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn run(&self, arguments: &[&str]) -> Output {
        Command::new(env!("CARGO_BIN_EXE_medsam3"))
            .current_dir(self.folder.path())
            .args(arguments)
            .output()
            .unwrap()
    }

    pub fn segment(&self, more: &[&str]) -> Output {
        self.run(
            &[
                ["segment", "--model", "model", "--device", "cpu"].as_slice(),
                more,
            ]
            .concat(),
        )
    }
}
