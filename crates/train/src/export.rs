//! From a checkpoint to a model folder: the averaged weights, thresholds chosen on the validation split, the table of the
//! test split, the model card.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use burn::tensor::Device;
use medsam3_engine::{Control, LoadOptions, Segmenter};
use medsam3_eval::{Answer, MASK_THRESHOLDS, Report, Thresholds, choose_mask, choose_presence};
use medsam3_files::ScratchFolder;
use medsam3_model::{Sam3, parameters as canonical};
use medsam3_weights::{
    DirectorySource, MODEL_CARD_FILE, MaskRule, ModelDescription, Precision, PromptEntry,
    Provenance, TOKENIZER_FILE, WeightsError, Writer, check_model_target, today,
};
use pollster::block_on;

use crate::checkpoint;
use crate::config::TrainConfig;
use crate::error::TrainError;
use crate::foreign::foreign_prompts;
use crate::measure::{FOREIGN, Judge};
use crate::model_card::{self, Facts};
use crate::parameters::{self, Slot};
use crate::prepare::{Prepared, prepare};
use crate::record::{self, Record};
use medsam3_corpus::{Dataset, Split, keep_prompts, load_datasets};

/// Measures the newest checkpoint of a run and writes it to `target` as a model folder: half precision, adapters merged.
/// Returns the table of the test split, which is empty where `table` is false.
///
/// # Errors
/// See [`TrainError`]; `target` is then as it was.
pub fn export(config: &TrainConfig, target: &Path, table: bool) -> Result<Report, TrainError> {
    let data = &config.data;
    let mut datasets = load_datasets(&data.root, &data.tiers, &data.datasets)?;
    keep_prompts(&mut datasets, &data.prompts)?;

    let device = Device::flex();
    let model = config.model.init(&device);
    let Prepared {
        slots, adapters, ..
    } = prepare(config, &model)?;
    // Measuring takes minutes: whether the model can be written is known before. It is written twice, before and after.
    let bytes = 2 * size_of::<half::f16>() * slots.iter().map(Slot::len).sum::<usize>();
    check_model_target(target, bytes as u64).map_err(not_written)?;
    let newest = checkpoint::latest(&config.run.folder)?.ok_or_else(|| TrainError::Checkpoint {
        path: config.run.folder.clone(),
        reason: "the run has none".to_owned(),
    })?;
    let state = checkpoint::load(&newest, &slots, config.run.seed)?;
    let averaged = state.inference();
    let merged = adapters.merged(&averaged);
    let values = merged.iter().map(|values| values.len()).sum();
    let model = parameters::assign(model, &merged, false);

    let record = record::read(&config.run.folder)?;
    let origin = Origin::new(config, &datasets, record.as_ref());
    let tokenizer = std::fs::read(&data.tokenizer).map_err(|source| TrainError::Read {
        path: data.tokenizer.clone(),
        source,
    })?;
    let folder = ModelFolder {
        config,
        datasets: &datasets,
        origin: &origin,
        model: &model,
        tokenizer: &tokenizer,
    };

    // What is measured is what is shipped, read by what will read it.
    let scratch = ScratchFolder::beside(target).map_err(|source| TrainError::Write {
        path: target.to_owned(),
        source,
    })?;
    let unmeasured = scratch.path().join("model");
    folder.write(&unmeasured, Vec::new(), None)?;
    let segmenter = block_on(Segmenter::load(
        DirectorySource::new(&unmeasured),
        device,
        LoadOptions::default(),
        &Control::new(),
    ))?;
    let judge = Judge {
        segmenter: &segmenter,
        root: &data.root,
    };
    let foreign: Vec<Vec<String>> = (0..datasets.len())
        .map(|own| foreign_prompts(&datasets, own, data))
        .collect();
    let validation = judge.answers(&datasets, &foreign, Split::Val)?;
    let names: BTreeSet<&String> = datasets
        .iter()
        .flat_map(|set| &set.prompts)
        .map(|p| &p.canonical)
        .collect();
    let own = |answer: &&Answer| !is_foreign(&answer.key.dataset);
    let presence = choose_presence(validation.iter().filter(own));
    let of = |name: &String| {
        let answers = validation
            .iter()
            .filter(|answer| &answer.key.prompt == name);
        let mask = choose_mask(answers);
        Thresholds { presence, mask }
    };
    let thresholds: BTreeMap<String, Thresholds> = names
        .into_iter()
        .map(|name| (name.clone(), of(name)))
        .collect();
    let test = if table {
        judge.answers(&datasets, &foreign, Split::Test)?
    } else {
        Vec::new()
    };
    let report = Report::new(&test, &thresholds);

    let facts = Facts {
        config,
        datasets: &datasets,
        report: &report,
        origin: &origin,
        steps: state.step,
        values,
    };
    let card = model_card::write(&facts);
    folder.write(target, entries(&datasets, &thresholds), Some(&card))?;
    Ok(report)
}

fn not_written(error: WeightsError) -> TrainError {
    TrainError::Other {
        context: "writing the model",
        reason: error.to_string(),
    }
}

/// What a model folder is made of, but for what is measured.
struct ModelFolder<'a> {
    config: &'a TrainConfig,
    datasets: &'a [Dataset],
    origin: &'a Origin,
    model: &'a Sam3,
    tokenizer: &'a [u8],
}

impl ModelFolder<'_> {
    /// Writes the folder, in half precision.
    fn write(
        &self,
        target: &Path,
        prompts: Vec<PromptEntry>,
        card: Option<&str>,
    ) -> Result<(), TrainError> {
        let Self {
            config,
            datasets,
            origin,
            ..
        } = self;
        let description = ModelDescription {
            name: origin.name.clone(),
            config: serde_json::to_value(&config.model).map_err(|source| TrainError::Json {
                path: target.to_owned(),
                source,
            })?,
            precision: Precision::F16,
            licence: origin.licence.clone(),
            provenance: Provenance {
                source: format!(
                    "{} on {} datasets, see {MODEL_CARD_FILE}",
                    origin.start,
                    datasets.len()
                ),
                commit: origin.commit.clone(),
                date: today(),
                recipe: origin.file.clone(),
            },
            mask_rule: MaskRule::Semantic,
            prompts,
        };
        let mut writer = Writer::create(target, description).map_err(not_written)?;
        let mut result = Ok(());
        canonical::save(self.model, &mut |info, values| {
            if result.is_ok() {
                result = writer.tensor(&info.name, &info.shape, &values);
            }
        });
        result.map_err(not_written)?;
        writer
            .file(TOKENIZER_FILE, self.tokenizer)
            .map_err(not_written)?;
        if let Some(card) = card {
            let card = card.as_bytes();
            writer.file(MODEL_CARD_FILE, card).map_err(not_written)?;
        }
        writer.finish().map_err(not_written)?;
        Ok(())
    }
}

/// Where a model comes from, in words.
pub(crate) struct Origin {
    /// Its name.
    pub(crate) name: String,
    /// The configuration that was named when it was trained.
    pub(crate) file: String,
    /// Commit at the first step; empty where that is not known.
    pub(crate) commit: String,
    /// Licence of the weights.
    pub(crate) licence: String,
    /// What its first weights were.
    pub(crate) start: String,
}

impl Origin {
    fn new(config: &TrainConfig, datasets: &[Dataset], record: Option<&Record>) -> Self {
        let folder = config.run.folder.file_name().unwrap_or_default();
        let git = record.and_then(|record| record.sessions.first()?.git.as_ref());
        let start = record.and_then(|record| record.start.as_ref());
        let file = record.map_or(&config.file, |record| &record.config_file);
        Self {
            name: (config.export.name.clone())
                .unwrap_or_else(|| folder.to_string_lossy().into_owned()),
            file: file.display().to_string(),
            commit: git.map(|git| git.commit.clone()).unwrap_or_default(),
            licence: record.map_or_else(
                || model_card::licence(datasets).to_owned(),
                |record| record.licence.clone(),
            ),
            start: match (start, &config.run.start_from) {
                (Some(start), _) => format!(
                    "trained on from {} ({}, SHA-256 {})",
                    start.folder.display(),
                    start.file,
                    start.sha256
                ),
                (None, Some(folder)) => format!("trained on from {}", folder.display()),
                (None, None) => "trained from scratch".to_owned(),
            },
        }
    }
}

/// One entry per canonical prompt, with the synonyms of all datasets that have it.
fn entries(datasets: &[Dataset], thresholds: &BTreeMap<String, Thresholds>) -> Vec<PromptEntry> {
    let mut entries: BTreeMap<&str, PromptEntry> = BTreeMap::new();
    for set in datasets {
        for prompt in &set.prompts {
            let chosen = thresholds
                .get(&prompt.canonical)
                .copied()
                .unwrap_or(Thresholds::DEFAULT);
            let entry = entries
                .entry(&prompt.canonical)
                .or_insert_with(|| PromptEntry {
                    canonical: prompt.canonical.clone(),
                    synonyms: Vec::new(),
                    threshold: chosen.presence,
                    category: set.modality.clone(),
                    mask_rule: None,
                    mask_threshold: Some(MASK_THRESHOLDS[chosen.mask]),
                });
            for synonym in &prompt.synonyms {
                if !entry.synonyms.contains(synonym) {
                    entry.synonyms.push(synonym.clone());
                }
            }
        }
    }
    entries.into_values().collect()
}

/// Whether a row of a report is about prompts that are foreign to their images.
pub fn is_foreign(dataset: &str) -> bool {
    dataset == FOREIGN
}
