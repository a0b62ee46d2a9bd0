//! What of a configuration's data is on this machine: a dry run names what is missing and goes on with the rest.

use std::collections::BTreeMap;
use std::path::Path;

use crate::error::CorpusError;
use crate::format::{Dataset, Index, Prompt, Split, read_json};

/// What a training wants of a corpus.
#[derive(Debug, Clone, Copy)]
pub struct Selection<'a> {
    /// The corpus' folder.
    pub root: &'a Path,
    /// Every dataset of these tiers.
    pub tiers: &'a [String],
    /// Datasets by name, whatever their tier.
    pub datasets: &'a [String],
    /// By dataset the prompts that are kept; all where it is not named.
    pub prompts: &'a BTreeMap<String, Vec<String>>,
}

/// Datasets that are here and folders that are not.
#[derive(Debug)]
pub struct Survey {
    /// In the order of the index.
    pub found: Vec<Dataset>,
    /// Names that were asked for without a folder here, in their order.
    pub missing: Vec<String>,
}

/// Looks for the datasets of a configuration. A corpus without `index.json` has none.
///
/// # Errors
/// A dataset of role `external`, and files that are there but cannot be read.
pub fn survey(data: Selection<'_>) -> Result<Survey, CorpusError> {
    let root = data.root;
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
            return Err(CorpusError::ExternalDataset {
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
    keep_prompts(&mut found, data.prompts)?;
    Ok(Survey { found, missing })
}

/// Leaves of every dataset in `prompts` the prompts that stand there, in those words; what else they are called stays a
/// synonym.
///
/// # Errors
/// [`CorpusError::UnknownPrompt`] for a prompt that its dataset does not have.
pub fn keep_prompts(
    datasets: &mut [Dataset],
    prompts: &BTreeMap<String, Vec<String>>,
) -> Result<(), CorpusError> {
    for set in datasets {
        let Some(wanted) = prompts.get(&set.name) else {
            continue;
        };
        let kept = wanted.iter().map(|words| find(set, words));
        set.prompts = kept.collect::<Result<_, _>>()?;
    }
    Ok(())
}

fn find(set: &Dataset, words: &str) -> Result<Prompt, CorpusError> {
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
    let prompt = prompt.ok_or_else(|| CorpusError::UnknownPrompt {
        dataset: set.name.clone(),
        words: words.clone(),
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
