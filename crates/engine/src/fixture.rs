//! For tests: a model folder with random weights, small enough to load in a moment.

use std::sync::{Arc, Mutex};

use medsam3_imaging::Rgb8;
use medsam3_model::burn::tensor::Device;
use medsam3_model::{Sam3Config, parameters};
use medsam3_weights::{DirectorySource, MaskRule, ModelDescription, Precision, Provenance, Writer};
use pollster::block_on;

use crate::{
    CancelToken, Control, EncodedImage, EngineError, LoadOptions, Progress, PromptOptions,
    PromptResult, Segmenter, Stage,
};

const TOKENIZER: &[u8] = include_bytes!("../../../weights/default/tokenizer.json");

/// Every part of the model, as little of each as there can be.
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
    config.transformer.queries = 20;
    config
}

/// Writes the model folder, but for the tensor `leave_out`.
pub fn write_model(
    folder: &std::path::Path,
    config: &Sam3Config,
    leave_out: &str,
    precision: Precision,
) {
    let device = Device::flex();
    device.seed(7);
    let description = ModelDescription {
        name: "random".to_owned(),
        config: serde_json::to_value(config).unwrap(),
        precision,
        licence: "CC0-1.0".to_owned(),
        provenance: Provenance::default(),
        mask_rule: MaskRule::Union,
        prompts: Vec::new(),
    };
    let mut writer = Writer::create(folder, description).unwrap();
    parameters::save(&config.init(&device), &mut |info, values| {
        if info.name != leave_out {
            writer.tensor(&info.name, &info.shape, &values).unwrap();
        }
    });
    writer.file("tokenizer.json", TOKENIZER).unwrap();
    writer.finish().unwrap();
}

/// A folder with the tiny model, and a control that writes progress down.
pub struct Fixture {
    /// The model is in its folder `model`.
    pub folder: tempfile::TempDir,
    heard: Arc<Mutex<Vec<Progress>>>,
    /// Writes progress down; its cancel can be pulled.
    pub control: Control,
}

impl Default for Fixture {
    fn default() -> Self {
        Self::new()
    }
}

impl Fixture {
    /// The tiny model in f32.
    pub fn new() -> Self {
        Self::with(&tiny(), Precision::F32)
    }

    /// A model of `config`, stored in `precision`.
    pub fn with(config: &Sam3Config, precision: Precision) -> Self {
        let folder = tempfile::tempdir().unwrap();
        write_model(&folder.path().join("model"), config, "", precision);
        let heard = Arc::<Mutex<Vec<Progress>>>::default();
        let ours = heard.clone();
        let control = Control::new()
            .with_cancel(CancelToken::new())
            .on_progress(move |progress| ours.lock().unwrap().push(progress));
        Self {
            folder,
            heard,
            control,
        }
    }

    /// Loads it onto the CPU.
    pub fn load(&self) -> Result<Segmenter, EngineError> {
        self.load_with(LoadOptions::default())
    }

    /// Loads it onto the CPU as `options` say.
    pub fn load_with(&self, options: LoadOptions) -> Result<Segmenter, EngineError> {
        let source = DirectorySource::new(self.folder.path().join("model"));
        block_on(Segmenter::load(
            source,
            Device::flex(),
            options,
            &self.control,
        ))
    }

    /// Encodes a picture under [`Self::control`].
    pub fn encode(&self, segmenter: &Segmenter, image: &Rgb8) -> Result<EncodedImage, EngineError> {
        block_on(segmenter.encode(image, &self.control))
    }

    /// Answers a prompt under [`Self::control`].
    pub fn prompt(
        &self,
        segmenter: &Segmenter,
        image: &EncodedImage,
        text: &str,
    ) -> Result<PromptResult, EngineError> {
        block_on(segmenter.prompt(image, text, ALL, &self.control))
    }

    /// Stages of which progress was heard, in their order.
    pub fn stages(&self) -> Vec<Stage> {
        let mut heard = self.heard.lock().unwrap();
        let mut stages: Vec<Stage> = heard.drain(..).map(|p| p.stage).collect();
        stages.dedup();
        stages
    }
}

/// A picture that is not square, with a bright rectangle off its centre.
pub fn picture(width: usize, height: usize) -> Rgb8 {
    let inside = |x: usize, y: usize| x * 3 < width && y * 2 < height;
    let pixels = (0..width * height).flat_map(|i| {
        let (x, y) = (i % width, i / width);
        if inside(x, y) {
            [220, 200, 180]
        } else {
            [(x % 32) as u8, (y % 64) as u8, 20]
        }
    });
    Rgb8 {
        width,
        height,
        pixels: pixels.collect(),
    }
}

/// Random weights are sure of nothing: keep everything.
pub const ALL: PromptOptions = PromptOptions {
    threshold: Some(0.0),
    mask_threshold: None,
    mask_rule: None,
};
