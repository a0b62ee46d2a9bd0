//! The conversion itself: hash, plan, tensors, vocabulary, verification, rename. One tensor in memory at a time.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use anyhow::{Context as _, Result};
use medsam3_engine::{CancelToken, Tokenizer};
use medsam3_model::burn::tensor::Device;
use medsam3_model::{Sam3Config, parameters};
use medsam3_weights::{
    Checkpoint, CheckpointError, CheckpointLayout, MODEL_CARD_FILE, Manifest, MaskRule,
    ModelDescription, NeededTensor, Plan, Precision, Provenance, RunningHash, TOKENIZER_FILE,
    VOCABULARY_TENSOR, VocabularyBuilder, Writer, check_model_target, today,
};

use super::report::Progress;
use super::words;

/// CLIP's tokenizer, the same for every SAM 3.
const TOKENIZER: &[u8] = include_bytes!("../../../../../weights/default/tokenizer.json");
const HASHED_AT_ONCE: usize = 8 << 20;

/// What to convert, and into what.
pub struct Job<'a> {
    pub checkpoint: &'a Path,
    pub out: &'a Path,
    pub precision: Precision,
    pub name: String,
    pub licence: &'a str,
    pub config: Sam3Config,
    pub vocabulary: bool,
}

/// What was converted.
pub struct Converted {
    pub layout: CheckpointLayout,
    pub checkpoint_sha256: String,
    pub left_out: Vec<String>,
    pub tensors: usize,
    pub prompts: usize,
    pub manifest: Manifest,
}

impl Job<'_> {
    pub fn run(mut self, cancel: &CancelToken, progress: &mut Progress) -> Result<Converted> {
        let needed = needed(&self.config);
        let mut checkpoint = Checkpoint::open(self.checkpoint)?;
        let published = same_model(&self.config, &Sam3Config::sam3());
        let plan = Plan::new(&checkpoint, &needed, published)?;
        if let Some(grid) = plan.grid() {
            self.config = self
                .config
                .clone()
                .with_image_side(grid * self.config.vit.patch)?;
        }
        // Hours of reading are not begun for a disk that is too small.
        check_model_target(self.out, self.needed_bytes(&plan))?;
        let checkpoint_sha256 = hash(self.checkpoint, cancel, progress)?;
        let mut writer = Writer::create(self.out, self.description(&plan, &checkpoint_sha256)?)?;
        let total = plan.tensors().len();
        for (index, tensor) in plan.tensors().enumerate() {
            stop_if(cancel)?;
            progress.step("writing", index as u64, total as u64);
            let values = plan.read(&mut checkpoint, index)?;
            writer.tensor(&tensor.name, &tensor.shape, &values)?;
        }
        progress.step("writing", total as u64, total as u64);
        writer.file(TOKENIZER_FILE, TOKENIZER)?;
        let card = self.card(&plan, &checkpoint_sha256);
        writer.file(MODEL_CARD_FILE, card.as_bytes())?;
        let prompts = if self.vocabulary {
            self.write_vocabulary(&plan, &mut checkpoint, &mut writer, cancel, progress)?
        } else {
            0
        };
        let sealed = writer.seal()?;
        let mut reader = sealed.reader()?;
        let expected = needed.iter().map(|t| (t.name.as_str(), t.shape.as_slice()));
        reader.check_tensors(expected, |name| name == VOCABULARY_TENSOR)?;
        for index in 0..reader.manifest().files.len() {
            stop_if(cancel)?;
            let files = reader.manifest().files.len() as u64;
            progress.step("verifying", index as u64, files);
            reader.verify_file(index, |_| ())?;
        }
        stop_if(cancel)?;
        let manifest = sealed.put_in_place()?;
        Ok(Converted {
            layout: plan.layout(),
            checkpoint_sha256,
            left_out: checkpoint.left_out().to_vec(),
            tensors: total,
            prompts,
            manifest,
        })
    }

    /// Bytes of the model's tensors, without headers and vocabulary.
    fn needed_bytes(&self, plan: &Plan) -> u64 {
        let each = match self.precision {
            Precision::F32 => 4,
            Precision::F16 => 2,
            Precision::Q8 => 1,
        };
        let values = |shape: &[usize]| shape.iter().map(|&side| side as u64).product::<u64>();
        plan.tensors()
            .map(|tensor| each * values(&tensor.shape))
            .sum()
    }

    fn description(&self, plan: &Plan, sha256: &str) -> Result<ModelDescription> {
        Ok(ModelDescription {
            name: self.name.clone(),
            config: serde_json::to_value(&self.config).context("writing the configuration")?,
            precision: self.precision,
            licence: self.licence.to_owned(),
            provenance: Provenance {
                source: format!("{} checkpoint, SHA-256 {sha256}", plan.layout().name()),
                commit: format!("medsam3 {}", env!("CARGO_PKG_VERSION")),
                date: today(),
                recipe: format!("medsam3 convert --precision {}", self.precision.name()),
            },
            mask_rule: MaskRule::Union,
            prompts: Vec::new(),
        })
    }

    fn card(&self, plan: &Plan, sha256: &str) -> String {
        format!(
            "# {}\n\nConverted by `medsam3 convert` from a checkpoint in the layout of {}, SHA-256 `{sha256}`.\n\n\
             * Precision: {}.\n* Licence and attribution: {}.\n* Limits: research and teaching only; not a medical \
             device. The publisher's own statements on data and accuracy (Dice) apply; converting changed neither.\n",
            self.name,
            plan.layout().name(),
            self.precision.name(),
            self.licence
        )
    }

    /// Number of prompts in the pack.
    fn write_vocabulary(
        &self,
        plan: &Plan,
        checkpoint: &mut Checkpoint,
        writer: &mut Writer,
        cancel: &CancelToken,
        progress: &mut Progress,
    ) -> Result<usize> {
        let text = &self.config.text;
        let tokenizer = Tokenizer::from_json(TOKENIZER, text.vocabulary, text.context)?;
        let words = words::all();
        let mut tokens = Vec::with_capacity(words.len());
        for word in &words {
            tokens.push(tokenizer.encode(&word.prompt)?);
        }
        let names: Vec<&str> = plan.tensors().map(|tensor| tensor.name.as_str()).collect();
        let mut read = |name: &str| {
            if cancel.is_cancelled() {
                return Err(CheckpointError::Interrupted);
            }
            let index = names.iter().position(|known| *known == name);
            plan.read(checkpoint, index.unwrap_or(usize::MAX))
        };
        let features = medsam3_engine::encode_prompts(
            &self.config,
            &tokens,
            &Device::flex(),
            &mut read,
            &mut |done, total| progress.step("vocabulary", done, total),
        )
        .map_err(|error| match error {
            medsam3_model::LoadError::Source { source, .. } => anyhow::Error::from(source),
            other => other.into(),
        })?;
        let channels = self.config.transformer.width;
        let mut pack = VocabularyBuilder::default();
        for (word, values) in words.iter().zip(&features) {
            let rows = values.len() / channels;
            pack.add(
                &word.prompt,
                &word.concept,
                word.snomed.as_deref(),
                rows,
                values,
            )?;
        }
        writer.vocabulary(&pack, channels)?;
        Ok(words.len())
    }
}

/// The model's tensors, in the order in which a loader takes them.
fn needed(config: &Sam3Config) -> Vec<NeededTensor> {
    let infos = parameters::parameters(&config.init(&Device::flex()));
    let needed = infos.into_iter().map(|info| NeededTensor {
        name: info.name,
        shape: info.shape,
    });
    needed.collect()
}

/// Whether two configurations have the same weights: the image side does not matter.
fn same_model(a: &Sam3Config, b: &Sam3Config) -> bool {
    let mut a = a.clone();
    a.image_side = b.image_side;
    a == *b
}

/// SHA-256 of the checkpoint, which its publisher may state.
fn hash(path: &Path, cancel: &CancelToken, progress: &mut Progress) -> Result<String> {
    let mut file = File::open(path).context("reading the checkpoint")?;
    let total = file.metadata().context("reading the checkpoint")?.len();
    let mut hash = RunningHash::default();
    let mut buffer = vec![0; HASHED_AT_ONCE];
    let mut done = 0;
    loop {
        stop_if(cancel)?;
        progress.step("hashing", done, total);
        let read = file.read(&mut buffer).context("reading the checkpoint")?;
        if read == 0 {
            return Ok(hash.finish());
        }
        hash.update(buffer.get(..read).unwrap_or_default());
        done += read as u64;
    }
}

fn stop_if(cancel: &CancelToken) -> Result<(), CheckpointError> {
    if cancel.is_cancelled() {
        return Err(CheckpointError::Interrupted);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_published_model_is_recognised_at_any_side() {
        let sam3 = Sam3Config::sam3();
        let at_504 = Sam3Config::sam3().with_image_side(504).unwrap();
        assert!(same_model(&at_504, &sam3));
        assert!(!same_model(&Sam3Config::tiny_parity(), &sam3));
    }
}
