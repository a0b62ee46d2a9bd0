//! `manifest.json`: what the model is, where it comes from, under which licence, and for each file its bytes,
//! SHA-256 and tensors (name, dtype, shape in PyTorch's layout, byte offset from the start of the file).
//! A tensor larger than a shard is cut by rows of its first axis over several files.

use serde::{Deserialize, Serialize};

use crate::WeightsError;
use crate::index::TensorIndex;

/// Version of the folder format that this crate writes: 2 brought q8, tensors cut over shards, parts and the
/// vocabulary pack.
pub const FORMAT_VERSION: u32 = 2;
/// The oldest version that this crate reads. A folder of version 1 says nothing that version 2 does not.
pub const OLDEST_FORMAT_VERSION: u32 = 1;
/// The manifest's name in the folder.
pub const MANIFEST_FILE: &str = "manifest.json";
/// The tokenizer's name in the folder.
pub const TOKENIZER_FILE: &str = "tokenizer.json";
/// The model card's name in the folder; for people, so it is not hashed.
pub const MODEL_CARD_FILE: &str = "MODEL_CARD.md";
/// No shard is larger: browsers store and hash files of this size without strain.
pub const SHARD_LIMIT_BYTES: u64 = 64 << 20;

/// How numbers are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Precision {
    /// IEEE single precision, four bytes.
    F32,
    /// IEEE half precision, two bytes; widened to f32 on reading.
    F16,
    /// Signed bytes in blocks of 32 along the last axis, each with an f16 scale: value = byte * scale, symmetric,
    /// bytes in -127..=127. Of a model: its large matrices; the rest is f16.
    Q8,
}

impl Precision {
    /// Bytes of one value; scales come on top.
    #[must_use]
    pub const fn bytes(self) -> usize {
        match self {
            Self::F32 => 4,
            Self::F16 => 2,
            Self::Q8 => 1,
        }
    }

    /// `"f32"`, `"f16"` or `"q8"`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::F32 => "f32",
            Self::F16 => "f16",
            Self::Q8 => "q8",
        }
    }
}

/// Which of the model's two masks a person sees.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MaskRule {
    /// The union of the instances kept.
    #[default]
    Union,
    /// The semantic head, shown where the concept is present.
    Semantic,
}

/// What a prompt is called, and the thresholds that suit it (chosen on validation data).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PromptEntry {
    /// The wording shown to people, e.g. `left lung`.
    pub canonical: String,
    /// Other wordings of the same concept.
    #[serde(default)]
    pub synonyms: Vec<String>,
    /// Instances (union) or the whole image (semantic, by presence) are kept above this probability.
    pub threshold: f32,
    /// Heading under which a list of prompts shows it, e.g. `chest X-ray`.
    #[serde(default)]
    pub category: String,
    /// Mask rule for this prompt where it differs from the model's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mask_rule: Option<MaskRule>,
    /// A pixel belongs to the mask above this probability; 0.5 where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mask_threshold: Option<f32>,
}

/// Where the weights come from.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Provenance {
    /// What the weights were made from: a training corpus or a published checkpoint.
    pub source: String,
    /// Commit of this repository that wrote them.
    pub commit: String,
    /// Day of writing, `YYYY-MM-DD`.
    pub date: String,
    /// The recipe, e.g. the name of the training configuration.
    pub recipe: String,
}

/// One tensor in a shard, or the rows of it that the shard holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TensorEntry {
    /// Canonical name.
    pub name: String,
    /// How its values are stored.
    pub dtype: Precision,
    /// Shape of the whole tensor in PyTorch's layout.
    pub shape: Vec<usize>,
    /// Bytes from the start of the file to the first value.
    pub offset: u64,
    /// q8 only: bytes from the start of the file to the first scale, an f16 for each block of 32 values of a row.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scales_offset: Option<u64>,
    /// The rows of the first axis that this file holds, first and one past the last; all of them where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rows: Option<[usize; 2]>,
}

impl TensorEntry {
    /// Name of the values in the safetensors header: the canonical one, with the first row behind it where the tensor
    /// is cut.
    pub(crate) fn stored_name(&self) -> String {
        match self.rows {
            Some([first, _]) => format!("{}.rows.{first}", self.name),
            None => self.name.clone(),
        }
    }

    /// Name of the scales in the safetensors header.
    pub(crate) fn scales_name(&self) -> String {
        format!("{}.scales", self.stored_name())
    }

    /// Shape of what this file holds.
    pub(crate) fn stored_shape(&self) -> Vec<usize> {
        let mut shape = self.shape.clone();
        if let (Some([first, end]), Some(rows)) = (self.rows, shape.first_mut()) {
            *rows = end.saturating_sub(first);
        }
        shape
    }

    /// Bytes of the values that this file holds, or `None` when the shape overflows.
    pub(crate) fn bytes(&self) -> Option<usize> {
        count(&self.stored_shape())?.checked_mul(self.dtype.bytes())
    }

    /// Bytes of the scales that this file holds; 0 unless q8.
    pub(crate) fn scales_bytes(&self) -> Option<usize> {
        match self.dtype {
            Precision::Q8 => count(&scales_shape(&self.stored_shape()))?.checked_mul(2),
            Precision::F32 | Precision::F16 => Some(0),
        }
    }
}

/// Values of a q8 block: each has a scale of its own.
pub const Q8_BLOCK: usize = 32;

/// Number of values, or `None` when the shape overflows.
pub(crate) fn count(shape: &[usize]) -> Option<usize> {
    let mut shape = shape.iter();
    shape.try_fold(1_usize, |n, &side| n.checked_mul(side))
}

/// Shape of the scales of a q8 tensor: blocks of 32 along the last axis.
#[must_use]
pub fn scales_shape(shape: &[usize]) -> Vec<usize> {
    let mut shape = shape.to_vec();
    if let Some(last) = shape.last_mut() {
        *last = last.div_ceil(Q8_BLOCK);
    }
    shape
}

/// When a file of the model is needed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Part {
    /// From the start.
    #[default]
    Image,
    /// Only for prompts outside the vocabulary pack: the text encoder.
    Text,
}

impl Part {
    /// The part that a canonical tensor belongs to. The two never share a file.
    #[must_use]
    pub fn of_tensor(name: &str) -> Self {
        if name.starts_with("detector.backbone.language_backbone.") {
            Self::Text
        } else {
            Self::Image
        }
    }

    fn is_image(&self) -> bool {
        *self == Self::Image
    }
}

/// One file of the folder.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FileEntry {
    /// Name inside the folder, without any directory.
    pub name: String,
    /// Size.
    pub bytes: u64,
    /// SHA-256, 64 lower-case hexadecimal digits.
    pub sha256: String,
    /// When it is needed.
    #[serde(default, skip_serializing_if = "Part::is_image")]
    pub part: Part,
    /// The tensors in it; empty for `tokenizer.json` and other files.
    #[serde(default)]
    pub tensors: Vec<TensorEntry>,
}

/// The whole manifest.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// [`OLDEST_FORMAT_VERSION`] to [`FORMAT_VERSION`].
    pub format_version: u32,
    /// The model's name.
    pub name: String,
    /// The model's configuration, as the model crate writes it.
    pub config: serde_json::Value,
    /// How the tensors are stored.
    pub precision: Precision,
    /// Licence of the weights.
    pub licence: String,
    /// Where the weights come from.
    pub provenance: Provenance,
    /// The mask that is shown unless a prompt or the user says otherwise.
    #[serde(default)]
    pub mask_rule: MaskRule,
    /// What the model knows by name, with thresholds.
    #[serde(default)]
    pub prompts: Vec<PromptEntry>,
    /// Every file but this one and the model card.
    pub files: Vec<FileEntry>,
}

impl Manifest {
    /// Parses and checks a manifest.
    ///
    /// # Errors
    /// [`WeightsError::Version`] before anything else is looked at; [`WeightsError::Manifest`] when it is not the
    /// JSON it should be, names a file outside the folder, or names a file or tensor twice.
    pub fn parse(bytes: &[u8]) -> Result<Self, WeightsError> {
        #[derive(Deserialize)]
        struct VersionOnly {
            format_version: u64,
        }
        let invalid = |e: serde_json::Error| WeightsError::Manifest {
            reason: e.to_string(),
        };
        let VersionOnly { format_version } = serde_json::from_slice(bytes).map_err(invalid)?;
        let supported = u64::from(OLDEST_FORMAT_VERSION)..=u64::from(FORMAT_VERSION);
        if !supported.contains(&format_version) {
            return Err(WeightsError::Version {
                found: format_version,
                supported: FORMAT_VERSION,
            });
        }
        let manifest: Self = serde_json::from_slice(bytes).map_err(invalid)?;
        manifest.check()?;
        Ok(manifest)
    }

    /// The prompt entry whose canonical wording or synonym is `prompt`, compared in lower case.
    #[must_use]
    pub fn prompt(&self, prompt: &str) -> Option<&PromptEntry> {
        let wanted = prompt.trim().to_lowercase();
        let is = |wording: &String| wording.trim().to_lowercase() == wanted;
        let canonical = self.prompts.iter().find(|p| is(&p.canonical));
        canonical.or_else(|| self.prompts.iter().find(|p| p.synonyms.iter().any(is)))
    }

    /// What tells these weights from others: the SHA-256 of the names and hashes of the files with tensors, in their order.
    #[must_use]
    pub fn weights_sha256(&self) -> String {
        let weights = self.files.iter().filter(|file| !file.tensors.is_empty());
        let lines: String = weights
            .map(|file| format!("{} {}\n", file.sha256, file.name))
            .collect();
        crate::sha256_hex(lines.as_bytes())
    }

    /// Bytes of all files together.
    #[must_use]
    pub fn total_bytes(&self) -> u64 {
        self.files.iter().map(|file| file.bytes).sum()
    }

    fn check(&self) -> Result<(), WeightsError> {
        let invalid = |reason: String| Err(WeightsError::Manifest { reason });
        let mut names = std::collections::BTreeSet::new();
        for file in &self.files {
            if !is_plain_name(&file.name) || file.name == MANIFEST_FILE {
                return invalid(format!("\"{}\" is not a file name it may use", file.name));
            }
            if !names.insert(("file", file.name.as_str())) {
                return invalid(format!("it names the file \"{}\" twice", file.name));
            }
            if !file.tensors.is_empty() && file.bytes > SHARD_LIMIT_BYTES {
                return invalid(format!("\"{}\" is larger than a shard may be", file.name));
            }
        }
        TensorIndex::new(self)?;
        let probability = |p: f32| (0.0..=1.0).contains(&p);
        for prompt in &self.prompts {
            if !probability(prompt.threshold) || !prompt.mask_threshold.is_none_or(probability) {
                return invalid(format!(
                    "a threshold of \"{}\" is not within 0 and 1",
                    prompt.canonical
                ));
            }
        }
        Ok(())
    }
}

/// Letters, digits, `.`, `-` and `_`, not starting with a dot: such a name cannot leave the folder on any system.
pub(crate) fn is_plain_name(name: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
    !name.is_empty() && !name.starts_with('.') && name.chars().all(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn manifest_json() -> serde_json::Value {
        serde_json::json!({
            "format_version": 1, "name": "m", "config": {"side": 252}, "precision": "f16",
            "licence": "CC0-1.0",
            "provenance": {"source": "s", "commit": "c", "date": "2026-01-01", "recipe": "r"},
            "prompts": [{"canonical": "left lung", "synonyms": ["Lung, left"], "threshold": 0.3}],
            "files": [{"name": "model-00001.safetensors", "bytes": 100, "sha256": "", "tensors": [
                {"name": "a", "dtype": "f16", "shape": [2, 3], "offset": 88}]}],
        })
    }

    fn parse(value: &serde_json::Value) -> Result<Manifest, WeightsError> {
        Manifest::parse(value.to_string().as_bytes())
    }

    #[test]
    fn prompts_are_found_by_any_wording() {
        let manifest = parse(&manifest_json()).unwrap();
        assert_eq!(manifest.mask_rule, MaskRule::Union);
        assert_eq!(manifest.prompt(" Left LUNG").unwrap().threshold, 0.3);
        assert_eq!(
            manifest.prompt("lung, left").unwrap().canonical,
            "left lung"
        );
        assert!(manifest.prompt("lung").is_none());
    }

    #[test]
    fn another_version_is_said_before_anything_else() {
        let error = Manifest::parse(br#"{"format_version": 3, "all": "else"}"#).unwrap_err();
        assert_eq!(error.code(), "WEIGHTS-VERSION");
    }

    #[test]
    fn a_manifest_that_contradicts_itself_is_refused() {
        let change = |pointer: &str, value: serde_json::Value| {
            let mut json = manifest_json();
            *json.pointer_mut(pointer).unwrap() = value;
            parse(&json).unwrap_err().to_string()
        };
        for name in ["../x", "a/b", "", ".x", "manifest.json", "c:\\x"] {
            assert!(change("/files/0/name", name.into()).contains("file name"));
        }
        assert!(change("/files/0/tensors/0/offset", 89.into()).contains("outside"));
        assert!(change("/files/0/tensors/0/offset", u64::MAX.into()).contains("outside"));
        let huge = serde_json::json!([u64::MAX, 4]);
        assert!(change("/files/0/tensors/0/shape", huge).contains("outside"));
        assert!(change("/files/0/bytes", ((64 << 20) + 1).into()).contains("larger"));
        assert!(change("/prompts/0/threshold", 1.5.into()).contains("threshold"));
        assert!(change("/precision", "q4".into()).contains("q4"));

        let mut twice = manifest_json();
        let tensor = twice["files"][0]["tensors"][0].clone();
        twice["files"][0]["tensors"]
            .as_array_mut()
            .unwrap()
            .push(tensor);
        assert!(parse(&twice).unwrap_err().to_string().contains("twice"));
        let mut unknown = manifest_json();
        unknown["surprise"] = 1.into();
        assert!(
            parse(&unknown)
                .unwrap_err()
                .to_string()
                .contains("surprise")
        );
    }
}
