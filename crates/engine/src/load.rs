//! A model folder onto a device: every file verified, names and shapes compared with the model's, then one tensor at
//! a time from the source to the device. Host memory holds one tensor, and the device's queue is emptied every 32 MiB,
//! so that a model of gigabytes passes through a browser tab's small heap. The text encoder, 42 % of the full model,
//! is left in the folder until a prompt needs it, and its token table for good: the rows of a prompt are read singly.

use std::collections::BTreeSet;

use medsam3_model::burn::module::Module;
use medsam3_model::burn::tensor::{DType, Device};
use medsam3_model::parameters::{self, Held, ParameterInfo, Values};
use medsam3_model::text_encoder_ve::VETextEncoder;
use medsam3_model::{Q8, Sam3, Sam3Config};
use medsam3_weights::{Manifest, Part, Precision, Reader, Source, TOKENIZER_FILE};

use crate::readback::settle_device;
use crate::vocabulary::{VOCABULARY_TENSOR, Vocabulary};
use crate::{Control, EngineError, Stage, Tokenizer};

/// Where the text encoder stands in the model.
const TEXT_PATH: &str = "backbone.language_backbone";
/// Where the names of its tensors begin.
const TEXT: &str = "detector.backbone.language_backbone.";
/// The one tensor that is never loaded.
const TOKEN_TABLE: &str = "detector.backbone.language_backbone.encoder.token_embedding.weight";
/// Bytes sent to the device before its queue is awaited.
const BYTES_AT_A_TIME: u64 = 32 << 20;

/// What stored weights become on the device.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Hold {
    /// All f32: what a CPU computes with best.
    #[default]
    Single,
    /// As they are stored, to save memory: int8 matrices stay int8, and f16 matrices stay f16 where the device has
    /// 16-bit floats (`half`); where it has not they become f32.
    Stored {
        /// The device stores and converts 16-bit floats.
        half: bool,
    },
}

impl Hold {
    /// As stored, with 16-bit floats where this GPU has them.
    pub fn stored_on(device: &Device) -> Self {
        Self::Stored {
            half: device.supports_dtype(DType::F16),
        }
    }
}

/// What may be chosen on loading.
#[derive(Debug, Clone, Copy)]
pub struct LoadOptions {
    /// Side in pixels of the square that the model sees, a multiple of its patch side; the manifest's where absent.
    pub image_side: Option<usize>,
    /// What weights become on the device.
    pub hold: Hold,
    /// A text encoder that takes more bytes than this on the device is dropped after use.
    pub text_encoder_bytes: u64,
}

impl Default for LoadOptions {
    /// For a program with memory to spare.
    fn default() -> Self {
        Self {
            image_side: None,
            hold: Hold::Single,
            text_encoder_bytes: u64::MAX,
        }
    }
}

/// The configuration in a manifest, with the side asked for.
fn config_of(manifest: &Manifest, options: &LoadOptions) -> Result<Sam3Config, EngineError> {
    let config: Sam3Config =
        serde_json::from_value(manifest.config.clone()).map_err(|e| EngineError::Config {
            reason: e.to_string(),
        })?;
    config.validate()?;
    match options.image_side {
        Some(side) => Ok(config.with_image_side(side)?),
        None => Ok(config),
    }
}

/// A model folder that tensors are still taken from.
pub(crate) struct Folder {
    reader: Reader<Box<dyn Source + Send>>,
    hold: Hold,
}

/// A model without its text encoder, and what belongs to it.
pub(crate) struct Loaded {
    pub(crate) model: Sam3,
    pub(crate) config: Sam3Config,
    pub(crate) tokenizer: Tokenizer,
    pub(crate) vocabulary: Vocabulary,
}

impl Folder {
    /// Opens a folder; only its manifest is read.
    pub(crate) fn open(source: Box<dyn Source + Send>, hold: Hold) -> Result<Self, EngineError> {
        let reader = Reader::open(source)?;
        Ok(Self { reader, hold })
    }

    pub(crate) fn manifest(&self) -> &Manifest {
        self.reader.manifest()
    }

    /// What the matrices became on the device: `f32`, `f16` or `q8`.
    pub(crate) fn held_as(&self) -> Precision {
        match (self.manifest().precision, self.hold) {
            (Precision::Q8, Hold::Stored { .. }) => Precision::Q8,
            (Precision::F16, Hold::Stored { half: true }) => Precision::F16,
            _ => Precision::F32,
        }
    }

    /// Verifies the folder and loads all of it but the text encoder.
    ///
    /// # Errors
    /// [`EngineError::Weights`], [`EngineError::Config`], [`EngineError::Tokenizer`], [`EngineError::Cancelled`], or
    /// the device's.
    pub(crate) async fn load(
        &mut self,
        device: &Device,
        options: &LoadOptions,
        control: &Control,
    ) -> Result<Loaded, EngineError> {
        let config = config_of(self.manifest(), options)?;
        let model = config.init(device);
        let expected = parameters::parameters(&model);
        self.reader.check_tensors(
            expected
                .iter()
                .map(|info| (info.name.as_str(), info.shape.as_slice())),
            |name| parameters::is_unused(name) || name == VOCABULARY_TENSOR,
        )?;
        self.verify(Part::Image, control).await?;
        let tokenizer = self.reader.file(TOKENIZER_FILE)?;
        let tokenizer =
            Tokenizer::from_json(&tokenizer, config.text.vocabulary, config.text.context)?;
        let vocabulary = Vocabulary::open(&mut self.reader)?;
        let image_part = |name: &str| !name.starts_with(TEXT);
        let model = self.place(model, "", &image_part, device, control).await?;
        Ok(Loaded {
            model,
            config,
            tokenizer,
            vocabulary,
        })
    }

    /// Loads the text encoder, all but its token table.
    ///
    /// # Errors
    /// [`EngineError::TextEncoderAbsent`] where its files are not in the folder, else as [`Folder::load`].
    pub(crate) async fn load_text_encoder(
        &mut self,
        encoder: VETextEncoder,
        device: &Device,
        control: &Control,
    ) -> Result<VETextEncoder, EngineError> {
        self.verify(Part::Text, control).await?;
        let wanted = |name: &str| name != TOKEN_TABLE;
        self.place(encoder, TEXT_PATH, &wanted, device, control)
            .await
    }

    /// Whether the folder has the files of the text encoder; a model can be fetched without them.
    pub(crate) fn has_text_encoder(&self) -> bool {
        let files = self.manifest().files.iter();
        let mut text = files.filter(|file| file.part == Part::Text);
        text.all(|file| self.reader.has_file(&file.name))
    }

    /// Bytes that the text encoder takes on the device.
    pub(crate) fn text_encoder_bytes(&self, encoder: &VETextEncoder) -> u64 {
        let text = parameters::parameters_at(encoder, TEXT_PATH).into_iter();
        let text = text.filter(|info| info.name != TOKEN_TABLE);
        text.map(|info| self.bytes_on_device(&info)).sum()
    }

    /// Rows of the token table for these ids, one behind the other.
    pub(crate) fn token_rows(&mut self, ids: &[i32]) -> Result<Vec<f32>, EngineError> {
        let rows: Vec<usize> = ids.iter().map(|&id| id.unsigned_abs() as usize).collect();
        Ok(self.reader.rows(TOKEN_TABLE, &rows)?)
    }

    /// Rows of the vocabulary pack's features, one behind the other.
    pub(crate) fn vocabulary_rows(
        &mut self,
        rows: std::ops::Range<usize>,
    ) -> Result<Vec<f32>, EngineError> {
        let rows: Vec<usize> = rows.collect();
        Ok(self.reader.rows(VOCABULARY_TENSOR, &rows)?)
    }

    /// Verifies the files of one part, pausing between two of them.
    async fn verify(&mut self, part: Part, control: &Control) -> Result<(), EngineError> {
        let files = self.manifest().files.iter().enumerate();
        let files = files.filter(|(_, file)| file.part == part);
        let files: Vec<(usize, u64)> = files.map(|(index, file)| (index, file.bytes)).collect();
        if part == Part::Text && !self.has_text_encoder() {
            return Err(EngineError::TextEncoderAbsent);
        }
        if files.is_empty() {
            return Ok(());
        }
        let total = files.iter().map(|(_, bytes)| bytes).sum();
        let mut done = 0;
        for (index, bytes) in files {
            control.step(Stage::VerifyingWeights, done, total).await?;
            self.reader.verify_file(index, |of_file| {
                control.report(Stage::VerifyingWeights, done + of_file, total);
            })?;
            done += bytes;
        }
        control.step(Stage::VerifyingWeights, total, total).await
    }

    /// Loads the wanted parameters, awaiting the device now and then.
    async fn place<M: Module>(
        &mut self,
        mut part: M,
        at: &str,
        wanted: &dyn Fn(&str) -> bool,
        device: &Device,
        control: &Control,
    ) -> Result<M, EngineError> {
        let parameters = parameters::parameters_at(&part, at).into_iter();
        let parameters: Vec<(String, u64)> = parameters
            .filter(|info| wanted(&info.name))
            .map(|info| (info.name.clone(), self.bytes_on_device(&info)))
            .collect();
        let total = parameters.iter().map(|(_, bytes)| bytes).sum();
        let mut done = 0;
        control.step(Stage::ReadingWeights, 0, total).await?;
        for group in groups(&parameters) {
            let names: BTreeSet<&str> = group.iter().map(|(name, _)| name.as_str()).collect();
            let mut source = |info: &ParameterInfo| -> Result<Values, EngineError> {
                control.check()?;
                // Sends what was handed over so far: until then the back end keeps it in the host's memory.
                device.flush()?;
                let values = self.values(info)?;
                done += self.bytes_on_device(info);
                control.report_part(Stage::ReadingWeights, done, total, &info.name);
                Ok(values)
            };
            part = parameters::load_some(part, at, &|name| names.contains(name), &mut source)?;
            settle_device(device).await?;
            control.step(Stage::ReadingWeights, done, total).await?;
        }
        // What the uploads passed through is not needed again.
        device.memory_cleanup();
        Ok(part)
    }

    fn values(&mut self, info: &ParameterInfo) -> Result<Values, EngineError> {
        let name = &info.name;
        match self.precision_on_device(info) {
            Precision::F16 => Ok(Values::F16(self.reader.stored_bytes(name)?)),
            Precision::F32 => Ok(Values::F32(self.reader.tensor(name)?)),
            Precision::Q8 => {
                let (values, scales) = self.reader.q8(name)?;
                let &[outputs, inputs] = info.shape.as_slice() else {
                    return Err(not_in_blocks(name));
                };
                let matrix = Q8::new(values, scales, [outputs, inputs]);
                Ok(Values::Q8(matrix.map_err(|_count| not_in_blocks(name))?))
            }
        }
    }

    /// What a parameter becomes on the device.
    fn precision_on_device(&self, info: &ParameterInfo) -> Precision {
        let Hold::Stored { half } = self.hold else {
            return Precision::F32;
        };
        let stored = self.reader.info(&info.name).map(|stored| stored.dtype);
        match (info.held, stored) {
            (Held::Matrix, Ok(Precision::Q8)) => Precision::Q8,
            (Held::Matrix, Ok(Precision::F16)) if half => Precision::F16,
            _ => Precision::F32,
        }
    }

    fn bytes_on_device(&self, info: &ParameterInfo) -> u64 {
        let values = info.shape.iter().product::<usize>() as u64;
        match self.precision_on_device(info) {
            Precision::F32 => 4 * values,
            Precision::F16 => 2 * values,
            // A byte, and an f32 for each 32 of them.
            Precision::Q8 => values + values / 8,
        }
    }
}

fn not_in_blocks(name: &str) -> EngineError {
    EngineError::Config {
        reason: format!("the tensor {name} is not a matrix in blocks of 32"),
    }
}

/// Runs of parameters of about [`BYTES_AT_A_TIME`] each.
fn groups(parameters: &[(String, u64)]) -> Vec<&[(String, u64)]> {
    let mut bytes = 0;
    let full = |_: &(String, u64), next: &(String, u64)| {
        bytes += next.1;
        let fits = bytes < BYTES_AT_A_TIME;
        if !fits {
            bytes = next.1;
        }
        fits
    };
    parameters.chunk_by(full).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_hold_everything_in_order_and_little_at_a_time() {
        let sizes = [10, 30, 1, 1, 1, 40, 5, 5];
        let parameters: Vec<(String, u64)> = sizes
            .iter()
            .enumerate()
            .map(|(i, mib)| (i.to_string(), mib << 20))
            .collect();
        let groups = groups(&parameters);
        assert_eq!(groups.concat(), parameters);
        let bytes = |group: &&[(String, u64)]| group.iter().map(|p| p.1).sum::<u64>();
        // One tensor may be larger than a group; no group is by more than one tensor.
        assert!(
            groups
                .iter()
                .all(|g| g.len() == 1 || bytes(g) <= BYTES_AT_A_TIME + (10 << 20))
        );
        assert!(groups.len() >= 3);
    }
}
