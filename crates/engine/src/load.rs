//! A model folder onto a device: every file verified, names and shapes compared with the model's, then one tensor at
//! a time from the source to the device.

use medsam3_model::burn::tensor::Device;
use medsam3_model::parameters::{self, ParameterInfo};
use medsam3_model::{Sam3, Sam3Config};
use medsam3_weights::{Reader, Source, TOKENIZER_FILE};

use crate::{Control, EngineError, Stage, Tokenizer};

/// What may be chosen on loading.
#[derive(Debug, Clone, Copy, Default)]
pub struct LoadOptions {
    /// Side in pixels of the square that the model sees, a multiple of its patch side; the manifest's where absent.
    pub image_side: Option<usize>,
}

/// The configuration in a manifest, with the side asked for.
pub(crate) fn config_of<S: Source>(
    reader: &Reader<S>,
    options: LoadOptions,
) -> Result<Sam3Config, EngineError> {
    let config: Sam3Config =
        serde_json::from_value(reader.manifest().config.clone()).map_err(|e| {
            EngineError::Config {
                reason: e.to_string(),
            }
        })?;
    config.validate()?;
    match options.image_side {
        Some(side) => Ok(config.with_image_side(side)?),
        None => Ok(config),
    }
}

/// Verifies a model folder and loads it onto a device.
///
/// # Errors
/// [`EngineError::Weights`], [`EngineError::Config`], [`EngineError::Tokenizer`], [`EngineError::Cancelled`], or the
/// device's.
pub async fn load_model<S: Source>(
    reader: &mut Reader<S>,
    device: &Device,
    options: LoadOptions,
    control: &Control,
) -> Result<(Sam3, Sam3Config, Tokenizer), EngineError> {
    let config = config_of(reader, options)?;
    let model = config.init(device);
    let expected = parameters::parameters(&model);
    reader.check_tensors(
        expected
            .iter()
            .map(|info| (info.name.as_str(), info.shape.as_slice())),
        parameters::is_unused,
    )?;
    let total = reader.manifest().total_bytes();
    let sizes: Vec<u64> = reader.manifest().files.iter().map(|f| f.bytes).collect();
    let mut done = 0;
    for (index, bytes) in sizes.into_iter().enumerate() {
        let stage = Stage::VerifyingWeights;
        control.step(stage, done, total).await?;
        reader.verify_file(index, |more| control.report(stage, done + more, total))?;
        done += bytes;
    }
    control.step(Stage::VerifyingWeights, done, total).await?;
    let tokenizer = reader.file(TOKENIZER_FILE)?;
    let tokenizer = Tokenizer::from_json(&tokenizer, config.text.vocabulary, config.text.context)?;

    let total = expected.len() as u64;
    control.step(Stage::ReadingWeights, 0, total).await?;
    let mut done = 0;
    let mut tensor = |info: &ParameterInfo| -> Result<Vec<f32>, EngineError> {
        control.check()?;
        let values = reader.tensor(&info.name)?;
        done += 1;
        control.report(Stage::ReadingWeights, done, total);
        Ok(values)
    };
    let model = parameters::load(model, &mut tensor)?;
    control.check()?;
    Ok((model, config, tokenizer))
}
