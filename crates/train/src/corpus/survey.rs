//! What of a configuration's data is on this machine: a dry run names what is missing and goes on with the rest.

use super::format::{Dataset, Index, Prompt, Split, read_json};
use crate::config::DataConfig;
use crate::error::TrainError;

/// Datasets that are here and folders that are not.
#[derive(Debug)]
pub struct Survey {
    /// In the order of the index.
    pub found: Vec<Dataset>,
    /// Names in `data.datasets` without a folder here, in the order of the configuration.
    pub missing: Vec<String>,
}

/// Looks for the datasets of a configuration. A corpus without `index.json` has none.
///
/// # Errors
/// A dataset of role `external`, and files that are there but cannot be read.
pub fn survey(data: &DataConfig) -> Result<Survey, TrainError> {
    let root = &data.root;
    let index_file = root.join("index.json");
    let index: Index = if index_file.is_file() {
        read_json(&index_file)?
    } else {
        Index::default()
    };
    let file = |name: &str| root.join(name).join("dataset.json");
    let (mut found, mut missing) = (Vec::new(), Vec::new());
    for entry in &index.datasets {
        let named = data.datasets.contains(&entry.name);
        if named && entry.role != "train" {
            return Err(TrainError::ExternalDataset {
                name: entry.name.clone(),
            });
        }
        if entry.role != "train" || !(named || data.tiers.contains(&entry.tier)) {
            continue;
        }
        if file(&entry.name).is_file() {
            found.push(read_json(&file(&entry.name))?);
        } else if !named {
            missing.push(entry.name.clone());
        }
    }
    let here = |name: &&String| found.iter().any(|set: &Dataset| &&set.name == name);
    missing.extend(data.datasets.iter().filter(|name| !here(name)).cloned());
    keep_prompts(&mut found, data)?;
    Ok(Survey { found, missing })
}

/// Leaves of every dataset in `data.prompts` the prompts that stand there, in those words; what else they are called stays a
/// synonym.
///
/// # Errors
/// [`TrainError::Config`] for a prompt that its dataset does not have.
pub fn keep_prompts(datasets: &mut [Dataset], data: &DataConfig) -> Result<(), TrainError> {
    for set in datasets {
        let Some(wanted) = data.prompts.get(&set.name) else {
            continue;
        };
        let kept = wanted.iter().map(|words| find(set, words));
        set.prompts = kept.collect::<Result<_, _>>()?;
    }
    Ok(())
}

fn find(set: &Dataset, words: &str) -> Result<Prompt, TrainError> {
    // The tokenizer sees lower case alone.
    let words = words.to_lowercase();
    let names = |prompt: &Prompt| -> Vec<String> {
        let all = std::iter::once(&prompt.canonical).chain(&prompt.synonyms);
        all.cloned().collect()
    };
    let is = |name: &String| name.to_lowercase() == words;
    let prompt = set
        .prompts
        .iter()
        .find(|prompt| names(prompt).iter().any(is));
    let prompt = prompt.ok_or_else(|| TrainError::Config {
        reason: format!(
            "data.prompts asks {} for {words:?}, which it does not have",
            set.name
        ),
    })?;
    Ok(Prompt {
        synonyms: names(prompt).into_iter().filter(|name| !is(name)).collect(),
        canonical: words,
        indices: prompt.indices.clone(),
    })
}

/// A dataset with the first training item alone, so that one picture of each is decoded.
pub fn first_of_each(datasets: &[Dataset]) -> Vec<Dataset> {
    let one = |set: &Dataset| {
        let mut items = set.items.iter();
        let first = items.find(|item| item.split == Split::Train)?.clone();
        Some(Dataset {
            items: vec![first],
            ..set.clone()
        })
    };
    datasets.iter().filter_map(one).collect()
}

/// Images that are trained on.
pub fn training_images(datasets: &[Dataset]) -> usize {
    let items = datasets.iter().flat_map(|set| &set.items);
    items.filter(|item| item.split == Split::Train).count()
}
