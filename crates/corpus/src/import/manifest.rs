//! A dataset's manifest (`configs/datasets/<name>.toml`): what it is, under which terms, how its files are laid out and what
//! their values mean. See `docs/datasets.md`.

use std::collections::BTreeMap;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::error::ImportError;
pub use super::layout::{
    Coco, Crowds, Dicom, Folders, Layout, MaskRule, Missing, Nifti, OneOrMany, Plane, Reading,
};
pub use super::orientation::Exif;
use crate::Split;

/// One published dataset.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// Folder name in the corpus, as configurations use it: lower case letters, digits and `_`.
    pub name: String,
    /// Full title.
    pub title: String,
    /// Imaging modality in words.
    pub modality: String,
    /// Part of the body in words.
    #[serde(default)]
    pub body_part: Option<String>,
    /// `train`, or `external`: never trained on.
    #[serde(default)]
    pub role: Role,
    /// Names of the labels; the first has index 1.
    pub labels: Vec<String>,
    /// Terms of use.
    pub licence: Terms,
    /// Where it is published.
    pub source: Source,
    /// What can be asked of it.
    pub prompts: Vec<Asked>,
    /// Parts.
    #[serde(default)]
    pub split: SplitRule,
    /// How images are written.
    #[serde(default)]
    pub images: ImageRule,
    /// Which images and slices are taken.
    #[serde(default)]
    pub select: Select,
    /// How the files are laid out.
    pub layout: Layout,
}

/// What a dataset is for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Trained on and measured.
    #[default]
    Train,
    /// Measured alone.
    External,
}

/// Licence with the tier that it belongs to.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Terms {
    /// Name of the licence.
    pub name: String,
    /// `A` permissive, `B` share-alike or group terms, `C` research alone or not stated.
    pub tier: String,
}

/// Where a dataset is published.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Source {
    /// Address of its page.
    pub url: String,
    /// The paper to cite.
    pub citation: String,
}

/// A prompt and the labels that it means.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Asked {
    /// The name used in tables.
    pub canonical: String,
    /// Other words for it.
    #[serde(default)]
    pub synonyms: Vec<String>,
    /// Labels whose union is the target.
    pub labels: Vec<String>,
}

/// Which images belong to which part.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SplitRule {
    /// The named part of the path that says it.
    pub group: Option<String>,
    /// What its values mean: `train`, `val` or `test`.
    pub names: BTreeMap<String, Split>,
    /// Share of the remaining subjects for validation.
    pub val: f64,
    /// Share of the remaining subjects for the test.
    pub test: f64,
}

/// How images are written.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ImageRule {
    /// Longest side in pixels; larger images are made smaller. Unchanged where absent.
    pub max_side: Option<u32>,
    /// Centre and width that grey values (HU for CT) are shown by.
    pub window: Option<[f32; 2]>,
    /// Shares in percent of the values of a volume, or of a 16-bit image, that are shown black and white; for NIfTI without a window
    /// 0.5 and 99.5.
    pub percentiles: Option<[f32; 2]>,
}

/// Which images and slices are taken.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Select {
    /// Every how manieth slice of a volume or image of a list.
    pub every: Option<usize>,
    /// Every how manieth of those without a label: 0 none of them, 1 all. Slices of volumes by default 0, other images 1.
    pub empty_every: Option<usize>,
    /// A slice with fewer labelled pixels is not taken: at its end an organ is a few uncertain pixels. By default 1.
    pub least_pixels: Option<usize>,
}

impl Manifest {
    /// Reads and checks a manifest.
    ///
    /// # Errors
    /// [`ImportError::Manifest`] with the file and what is wrong in it.
    pub fn read(path: &Path) -> Result<Self, ImportError> {
        let bad = |reason: String| ImportError::Manifest {
            path: path.to_owned(),
            reason,
        };
        let text = std::fs::read_to_string(path).map_err(|error| bad(error.to_string()))?;
        let manifest: Self = toml::from_str(&text).map_err(|error| bad(error.to_string()))?;
        manifest.check().map_err(bad)?;
        Ok(manifest)
    }

    /// Index of a label, from 1.
    pub(super) fn label(&self, name: &str) -> Option<u8> {
        let at = self.labels.iter().position(|label| label == name)?;
        u8::try_from(at + 1).ok()
    }

    fn check(&self) -> Result<(), String> {
        let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
        if self.name.is_empty() || !self.name.chars().all(plain) {
            return Err(format!(
                "the name `{}` has other characters than a-z, 0-9 and _",
                self.name
            ));
        }
        if !["A", "B", "C"].contains(&self.licence.tier.as_str()) {
            return Err(format!(
                "the tier `{}` is none of A, B and C",
                self.licence.tier
            ));
        }
        if self.labels.is_empty() || self.labels.len() > 255 {
            return Err("there must be 1 to 255 labels".to_owned());
        }
        let mut named = self.labels.clone();
        named.sort();
        named.dedup();
        if named.len() != self.labels.len() || named.iter().any(String::is_empty) {
            return Err("every label needs a name of its own".to_owned());
        }
        if self.prompts.is_empty() {
            return Err("there is no prompt".to_owned());
        }
        for prompt in &self.prompts {
            if prompt.labels.is_empty() || prompt.canonical.trim().is_empty() {
                return Err(format!(
                    "the prompt `{}` needs words and labels",
                    prompt.canonical
                ));
            }
            self.declared(
                prompt.labels.iter(),
                &format!("the prompt `{}`", prompt.canonical),
            )?;
        }
        let SplitRule {
            group,
            names,
            val,
            test,
        } = &self.split;
        let share = |share: f64| (0.0..1.0).contains(&share);
        if !share(*val) || !share(*test) || !share(val + test) {
            return Err("split.val and split.test are shares from 0 to below 1".to_owned());
        }
        if group.is_some() == names.is_empty() {
            return Err("split.group and split.names need one another".to_owned());
        }
        self.layout.check(self)
    }

    /// Whether all `names` are labels; the empty name is the background.
    pub(super) fn declared<'a>(
        &self,
        mut names: impl Iterator<Item = &'a String>,
        what: &str,
    ) -> Result<(), String> {
        match names.find(|name| !name.is_empty() && self.label(name).is_none()) {
            None => Ok(()),
            Some(name) => Err(format!(
                "{what} names `{name}`, which is not among the labels"
            )),
        }
    }
}
