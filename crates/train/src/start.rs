//! The start of a fine-tuning run: the weights of a model folder, or the averaged ones of an earlier run (paper section 3: every weight of SAM 3 is where
//! Medical SAM3 starts, and every weight is trained).

use std::path::Path;

use medsam3_model::Sam3;
use medsam3_model::parameters::{self, ParameterInfo};
use medsam3_weights::{DirectorySource, Reader, VOCABULARY_TENSOR};

use crate::error::TrainError;
use crate::{checkpoint, parameters as values};

/// `model` with the values of `folder`: a run folder's newest checkpoint, else a model folder.
///
/// # Errors
/// A damaged checkpoint or one of another model; as [`from_model_folder`].
pub fn from_folder(model: Sam3, folder: &Path) -> Result<Sam3, TrainError> {
    let newest = if folder.is_dir() {
        checkpoint::latest(folder)?
    } else {
        None
    };
    let Some(path) = newest else {
        return from_model_folder(model, folder);
    };
    let (slots, _) = values::collect(&model);
    let (state, _) = checkpoint::read(&path, &slots)?;
    Ok(values::assign(model, &state.inference(), false))
}

/// `model` with the values of a verified model folder of the same configuration.
///
/// # Errors
/// [`TrainError::Start`] for a folder that is damaged or lacks, adds or shapes tensors differently; all are named.
pub fn from_model_folder(model: Sam3, folder: &Path) -> Result<Sam3, TrainError> {
    let bad = |reason: &dyn std::fmt::Display| TrainError::Start {
        folder: folder.to_owned(),
        reason: reason.to_string(),
    };
    let mut reader = Reader::open(DirectorySource::new(folder)).map_err(|e| bad(&e))?;
    let expected = parameters::parameters(&model);
    reader
        .check_tensors(
            expected
                .iter()
                .map(|info| (info.name.as_str(), info.shape.as_slice())),
            |name| parameters::is_unused(name) || name == VOCABULARY_TENSOR,
        )
        .map_err(|e| bad(&e))?;
    reader.verify(|_, _| ()).map_err(|e| bad(&e))?;
    let mut read = |info: &ParameterInfo| -> Result<Vec<f32>, TrainError> {
        reader.tensor(&info.name).map_err(|e| bad(&e))
    };
    parameters::load(model, &mut read).map_err(|e| bad(&e))
}

#[cfg(test)]
mod tests {
    use burn::tensor::Device;
    use medsam3_model::Sam3Config;

    use super::*;

    const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../weights/default");

    fn default_config() -> Sam3Config {
        let text = std::fs::read_to_string(Path::new(FOLDER).join("manifest.json"));
        let manifest: serde_json::Value =
            serde_json::from_str(&text.expect("a manifest")).expect("JSON");
        serde_json::from_value(manifest["config"].clone()).expect("a configuration")
    }

    /// The values are compared with the shards themselves, read by the safetensors crate.
    #[test]
    fn every_tensor_is_the_folders() {
        let model = default_config().init(&Device::flex());
        let model = from_model_folder(model, Path::new(FOLDER)).expect("a start");
        let shards: Vec<Vec<u8>> = std::fs::read_dir(FOLDER)
            .expect("a folder")
            .filter_map(|entry| Some(entry.ok()?.path()))
            .filter(|path| path.extension().is_some_and(|e| e == "safetensors"))
            .map(|path| std::fs::read(path).expect("readable"))
            .collect();
        let shards: Vec<safetensors::SafeTensors<'_>> = shards
            .iter()
            .map(|bytes| safetensors::SafeTensors::deserialize(bytes).expect("safetensors"))
            .collect();
        let mut compared = 0;
        parameters::save(&model, &mut |info: ParameterInfo, values: Vec<f32>| {
            let view = shards.iter().find_map(|s| s.tensor(&info.name).ok());
            let view = view.expect(&info.name);
            let halves = view.data().as_chunks::<2>().0.iter();
            let expected: Vec<f32> = halves
                .map(|&pair| half::f16::from_le_bytes(pair).to_f32())
                .collect();
            assert!(values == expected, "{} differs", info.name);
            compared += 1;
        });
        assert!(compared > 100, "only {compared} tensors");
    }

    /// A run starts from the average that an earlier run's newest checkpoint holds, whatever that run's seed was.
    #[test]
    fn a_run_goes_on_from_the_average_of_another() {
        let folder = tempfile::tempdir().expect("a folder");
        let model = default_config().init(&Device::flex());
        let (slots, weights) = values::collect(&model);
        let mut state = crate::adamw::State::new(weights, &slots);
        state.step = 3;
        for (at, value) in state.average.iter_mut().flatten().enumerate() {
            *value = at as f32 * 1e-6;
        }
        checkpoint::save(folder.path(), &slots, &state, 99).expect("saved");
        let started = from_folder(model, folder.path()).expect("a start");
        assert_eq!(values::collect(&started).1, state.average);
    }

    #[test]
    fn a_folder_of_another_size_is_refused_by_name() {
        let mut config = default_config();
        config.transformer.queries += 1;
        let model = config.init(&Device::flex());
        let error = from_model_folder(model, Path::new(FOLDER)).expect_err("another shape");
        assert_eq!(error.code(), "TRAIN-START");
        assert!(error.to_string().contains("query_embed"), "{error}");
    }
}
