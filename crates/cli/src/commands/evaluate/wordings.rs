//! `--wordings FILE`: a dataset's images asked in other words than its own prompts, each wording beside the prompts that it
//! stands for.
//!
//! ```toml
//! [[wording]]
//! dataset = "spider_mri"
//! group = "composition"
//! text = "L4 vertebra"
//! labels = [2]               # what should be found
//! beside = ["vertebrae"]     # prompts of the dataset, whose masks, united, are held against the same truth
//! ```

use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use medsam3_corpus::{Dataset, Prompt};
use medsam3_eval::{Bootstrap, Case, Comparison, compare};
use serde::{Deserialize, Serialize};

/// A file of wordings.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Wordings {
    wording: Vec<Wording>,
}

/// Other words for something drawn in a dataset.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Wording {
    /// Whose images are asked.
    pub dataset: String,
    /// What sort of wording it is.
    pub group: String,
    /// What is typed.
    pub text: String,
    /// Labels of the dataset whose union should be found.
    pub labels: Vec<u8>,
    /// Prompts of the dataset to compare with.
    pub beside: Vec<String>,
}

/// One line of the comparison.
#[derive(Debug, Serialize)]
pub struct WordingRow {
    /// What was asked.
    #[serde(flatten)]
    pub wording: Wording,
    /// How it did.
    #[serde(flatten)]
    pub comparison: Comparison,
}

impl Wordings {
    /// Reads them.
    ///
    /// # Errors
    /// A file that cannot be read or says something else.
    pub fn read(path: &Path) -> Result<Self> {
        let name = || path.display().to_string();
        let text = std::fs::read_to_string(path).with_context(name)?;
        toml::from_str(&text).with_context(name)
    }

    /// Lets every dataset ask its wordings and the prompts beside them, and drops datasets without any.
    ///
    /// # Errors
    /// A prompt or a label that a dataset does not have, and no wording at all for the datasets chosen.
    pub fn ask_instead(&self, datasets: &mut Vec<Dataset>) -> Result<()> {
        for set in datasets.iter_mut() {
            let mut asked: Vec<Prompt> = Vec::new();
            for wording in self.wording.iter().filter(|one| one.dataset == set.name) {
                for name in &wording.beside {
                    let prompt = set.prompts.iter().find(|prompt| &prompt.canonical == name);
                    let prompt = prompt.with_context(|| {
                        format!(
                            "{} has no prompt \"{name}\", which \"{}\" stands beside",
                            set.name, wording.text
                        )
                    })?;
                    push(&mut asked, prompt.clone());
                }
                let known = |label: &&u8| set.labels.contains_key(label);
                if let Some(unknown) = wording.labels.iter().find(|label| !known(label)) {
                    anyhow::bail!(
                        "{} has no label {unknown}, which \"{}\" names",
                        set.name,
                        wording.text
                    );
                }
                push(
                    &mut asked,
                    Prompt {
                        canonical: wording.text.clone(),
                        synonyms: vec![],
                        indices: wording.labels.clone(),
                    },
                );
            }
            set.prompts = asked;
            set.items.iter_mut().for_each(|item| item.prompts.clear());
        }
        datasets.retain(|set| !set.prompts.is_empty());
        ensure!(
            !datasets.is_empty(),
            "no wording is for the datasets that were chosen"
        );
        Ok(())
    }

    /// Every wording beside its prompts, in the file's order.
    pub fn compare(&self, cases: &[Case]) -> Vec<WordingRow> {
        let row = |wording: &Wording| {
            let Wording {
                dataset,
                text,
                beside,
                ..
            } = wording;
            Some(WordingRow {
                wording: wording.clone(),
                comparison: compare(cases, dataset, text, beside, Bootstrap::default())?,
            })
        };
        self.wording.iter().filter_map(row).collect()
    }
}

fn push(asked: &mut Vec<Prompt>, prompt: Prompt) {
    if !asked.iter().any(|one| one.canonical == prompt.canonical) {
        asked.push(prompt);
    }
}
