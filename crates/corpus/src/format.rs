//! `index.json` and `dataset.json`: what they hold, which datasets a training may read, and what an item
//! says about a prompt.

use std::collections::BTreeMap;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::error::CorpusError;

/// Part of a dataset, split by subject where subjects are known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Split {
    /// Seen by the optimiser.
    Train,
    /// Chooses thresholds and recipes.
    Val,
    /// Measures, once.
    Test,
}

/// Under which terms a dataset may be used.
#[derive(Debug, Clone, Deserialize)]
pub struct Licence {
    /// Name of the licence.
    pub name: String,
    /// `A` permissive, `B` share-alike or group terms, `C` research alone.
    pub tier: String,
}

/// What a prompt of a dataset means: the union of some label indices.
#[derive(Debug, Clone, Deserialize)]
pub struct Prompt {
    /// The name used in tables.
    pub canonical: String,
    /// Other words for it.
    #[serde(default)]
    pub synonyms: Vec<String>,
    /// Label indices whose union is the target.
    pub indices: Vec<u8>,
}

/// One image with its mask.
#[derive(Debug, Clone, Deserialize)]
pub struct Item {
    /// Unique within the dataset.
    pub id: String,
    /// Image file, relative to the dataset's folder.
    pub image: String,
    /// Mask file, relative to the dataset's folder.
    pub mask: String,
    /// 16-bit instance ids, where the dataset has them.
    #[serde(default)]
    pub instances: Option<String>,
    /// Which part it belongs to.
    pub split: Split,
    /// Whom it was taken from, where that is known.
    #[serde(default)]
    pub subject: Option<String>,
    /// Label indices that occur in the mask.
    pub labels: Vec<u8>,
    /// Label indices that may be in the image but were not drawn.
    #[serde(default)]
    pub unlabelled: Vec<u8>,
    /// Prompts of this item alone, each with a mask of its own.
    #[serde(default)]
    pub prompts: Vec<OwnPrompt>,
}

/// A prompt that belongs to one item.
#[derive(Debug, Clone, Deserialize)]
pub struct OwnPrompt {
    /// The words.
    pub prompt: String,
    /// Mask file, relative to the dataset's folder; any value but 0 is inside.
    pub mask: String,
}

/// What an item says about a prompt of its own dataset.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Labelling {
    /// Some pixels belong to it.
    Positive,
    /// The annotators looked for it and found none.
    Absent,
    /// Part of it was not drawn: neither a positive nor a negative.
    Unknown,
}

/// One dataset of the corpus.
#[derive(Debug, Clone, Deserialize)]
pub struct Dataset {
    /// Folder name.
    pub name: String,
    /// Full title.
    pub title: String,
    /// Imaging modality in words.
    pub modality: String,
    /// `train` or `external`; external sets are never trained on.
    pub role: String,
    /// Terms of use.
    pub licence: Licence,
    /// Where it comes from, as published.
    #[serde(default)]
    pub source: serde_json::Value,
    /// Label indices by number, with their meaning.
    #[serde(default)]
    pub labels: BTreeMap<u8, String>,
    /// What can be asked of it.
    pub prompts: Vec<Prompt>,
    /// Its images.
    pub items: Vec<Item>,
}

impl Item {
    /// What this item says about `prompt`.
    pub fn labelling(&self, prompt: &Prompt) -> Labelling {
        if prompt
            .indices
            .iter()
            .any(|index| self.unlabelled.contains(index))
        {
            Labelling::Unknown
        } else if prompt
            .indices
            .iter()
            .any(|index| self.labels.contains(index))
        {
            Labelling::Positive
        } else {
            Labelling::Absent
        }
    }
}

/// `index.json`.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct Index {
    pub(crate) datasets: Vec<IndexEntry>,
}

/// A dataset in `index.json`.
#[derive(Debug, Deserialize)]
pub(crate) struct IndexEntry {
    pub(crate) name: String,
    pub(crate) role: String,
    pub(crate) tier: String,
}

/// Reads the datasets with role `train` whose tier is in `tiers` or whose name is in `names`, in the order of the index.
///
/// # Errors
/// A name that the index does not list, one of role `external`, and files that cannot be read.
pub fn load_datasets(
    root: &Path,
    tiers: &[String],
    names: &[String],
) -> Result<Vec<Dataset>, CorpusError> {
    let index: Index = read_json(&root.join("index.json"))?;
    for name in names {
        match index.datasets.iter().find(|entry| &entry.name == name) {
            None => return Err(CorpusError::UnknownDataset { name: name.clone() }),
            Some(entry) if entry.role != "train" => {
                return Err(CorpusError::ExternalDataset { name: name.clone() });
            }
            Some(_) => {}
        }
    }
    index
        .datasets
        .iter()
        .filter(|entry| entry.role == "train")
        .filter(|entry| tiers.contains(&entry.tier) || names.contains(&entry.name))
        .map(|entry| read_json(&root.join(&entry.name).join("dataset.json")))
        .collect()
}

/// Reads datasets to measure on, external ones included: those in `names`, or all of the index where `names` is empty.
///
/// # Errors
/// A name that the index does not list, and files that cannot be read.
pub fn load_to_measure(root: &Path, names: &[String]) -> Result<Vec<Dataset>, CorpusError> {
    let index: Index = read_json(&root.join("index.json"))?;
    let listed = |name: &&String| index.datasets.iter().any(|entry| &entry.name == *name);
    if let Some(unknown) = names.iter().find(|name| !listed(name)) {
        return Err(CorpusError::UnknownDataset {
            name: unknown.clone(),
        });
    }
    index
        .datasets
        .iter()
        .filter(|entry| names.is_empty() || names.contains(&entry.name))
        .map(|entry| read_json(&root.join(&entry.name).join("dataset.json")))
        .collect()
}

pub(crate) fn read_json<T: serde::de::DeserializeOwned>(path: &Path) -> Result<T, CorpusError> {
    let bytes = std::fs::read(path).map_err(|source| CorpusError::Read {
        path: path.to_owned(),
        source,
    })?;
    serde_json::from_slice(&bytes).map_err(|source| CorpusError::Json {
        path: path.to_owned(),
        source,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn item(labels: &[u8], unlabelled: &[u8]) -> Item {
        Item {
            id: "a".into(),
            image: String::new(),
            mask: String::new(),
            instances: None,
            split: Split::Train,
            subject: None,
            labels: labels.to_vec(),
            unlabelled: unlabelled.to_vec(),
            prompts: vec![],
        }
    }

    fn prompt(indices: &[u8]) -> Prompt {
        Prompt {
            canonical: "p".into(),
            synonyms: vec![],
            indices: indices.to_vec(),
        }
    }

    #[test]
    fn what_was_not_drawn_is_neither_positive_nor_negative() {
        assert_eq!(
            item(&[1], &[2]).labelling(&prompt(&[1])),
            Labelling::Positive
        );
        assert_eq!(
            item(&[1], &[2]).labelling(&prompt(&[2])),
            Labelling::Unknown
        );
        assert_eq!(
            item(&[1], &[2]).labelling(&prompt(&[1, 2])),
            Labelling::Unknown
        );
        assert_eq!(item(&[1], &[]).labelling(&prompt(&[3])), Labelling::Absent);
    }

    #[test]
    fn external_datasets_are_refused_and_tiers_filter() {
        let root = std::env::temp_dir().join(format!("medsam3-corpus-{}", std::process::id()));
        let write = |name: &str, role: &str, tier: &str| {
            std::fs::create_dir_all(root.join(name)).expect("folder");
            let json = serde_json::json!({
                "name": name, "title": name, "modality": "CT", "role": role,
                "licence": {"name": "CC0", "tier": tier}, "prompts": [], "items": []
            });
            std::fs::write(root.join(name).join("dataset.json"), json.to_string()).expect("file");
            serde_json::json!({"name": name, "role": role, "tier": tier})
        };
        let entries = [
            write("a", "train", "A"),
            write("b", "train", "B"),
            write("c", "train", "C"),
            write("x", "external", "A"),
        ];
        std::fs::write(
            root.join("index.json"),
            serde_json::json!({"datasets": entries}).to_string(),
        )
        .expect("index");

        let names = |tiers: &[&str], extra: &[&str]| {
            let own = |list: &[&str]| list.iter().map(|s| (*s).to_owned()).collect::<Vec<_>>();
            load_datasets(&root, &own(tiers), &own(extra))
                .map(|sets| sets.into_iter().map(|set| set.name).collect::<Vec<_>>())
        };
        assert_eq!(names(&["A"], &[]).expect("read"), ["a"]);
        assert_eq!(names(&["A"], &["b"]).expect("read"), ["a", "b"]);
        assert_eq!(names(&["A", "B", "C"], &[]).expect("read"), ["a", "b", "c"]);
        assert!(matches!(
            names(&["A"], &["x"]),
            Err(CorpusError::ExternalDataset { .. })
        ));
        assert!(matches!(
            names(&["A"], &["y"]),
            Err(CorpusError::UnknownDataset { .. })
        ));
        let measured = |extra: &[&str]| {
            let names: Vec<String> = extra.iter().map(|s| (*s).to_owned()).collect();
            load_to_measure(&root, &names)
                .map(|sets| sets.into_iter().map(|set| set.name).collect::<Vec<_>>())
        };
        assert_eq!(measured(&["x"]).expect("read"), ["x"]);
        assert_eq!(measured(&[]).expect("read"), ["a", "b", "c", "x"]);
        assert!(matches!(
            measured(&["y"]),
            Err(CorpusError::UnknownDataset { .. })
        ));
        std::fs::remove_dir_all(root).expect("clean up");
    }
}
