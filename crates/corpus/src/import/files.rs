//! Which files of a source folder are images, and which masks belong to them.

use std::collections::BTreeSet;
use std::path::Path;

use unicode_normalization::UnicodeNormalization as _;
use walkdir::{DirEntry, WalkDir};

use super::error::ImportError;
use super::layout::FileRules;
use super::manifest::{MaskRule, Missing};
use super::pattern::{Groups, Pattern, fill};
use super::unit::join;
use crate::error::CorpusError;

/// An image or a volume.
#[derive(Debug, Clone)]
pub(super) struct Found {
    /// Relative to the source folder.
    pub(super) path: String,
    /// Named parts of the path.
    pub(super) groups: Groups,
    /// Name of the item, safe as a file name.
    pub(super) id: String,
    pub(super) subject: String,
}

/// The mask files of an image, or what their absence means.
pub(super) enum Masks {
    Files(Vec<String>),
    Background,
    Unlabelled,
    Skip,
}

/// All files below `from`, relative, with `/`.
///
/// # Errors
/// A folder that cannot be read.
pub(super) fn list(from: &Path) -> Result<BTreeSet<String>, CorpusError> {
    let mut files = BTreeSet::new();
    // Hidden files are not of the dataset: macOS writes `._a.png` beside `a.png`.
    let shown = |entry: &DirEntry| {
        entry.depth() == 0 || !entry.file_name().to_string_lossy().starts_with('.')
    };
    let walk = WalkDir::new(from).follow_links(true).into_iter();
    for entry in walk.filter_entry(shown) {
        let entry = entry.map_err(|error| CorpusError::Read {
            path: error.path().unwrap_or(from).to_owned(),
            source: error.into(),
        })?;
        if !entry.file_type().is_file() {
            continue;
        }
        if let Ok(path) = entry.path().strip_prefix(from) {
            let parts: Vec<_> = path.iter().map(|part| part.to_string_lossy()).collect();
            files.insert(parts.join("/"));
        }
    }
    Ok(files)
}

/// The files that fit one of the patterns of a layout and none of those that it leaves out, in their order.
///
/// # Errors
/// A pattern that no file fits, names that cannot be made.
pub(super) fn images(
    from: &Path,
    files: &BTreeSet<String>,
    layout: &FileRules<'_>,
) -> Result<Vec<Found>, ImportError> {
    let FileRules {
        images,
        exclude,
        id,
        subject,
        ..
    } = *layout;
    let bad = |reason: String| ImportError::Source {
        path: from.to_owned(),
        reason,
    };
    let compile = |text: &String| Pattern::new(text, &Groups::new()).map_err(bad);
    let exclude = exclude.iter().map(compile).collect::<Result<Vec<_>, _>>()?;
    let mut found = Vec::new();
    for text in images {
        let pattern = compile(text)?;
        let before = found.len();
        for (path, groups) in pattern.find(files) {
            if exclude.iter().any(|other| other.groups(path).is_some()) {
                continue;
            }
            let id = safe(&fill(id.unwrap_or("{id}"), &groups).map_err(bad)?);
            let subject = match (subject, groups.get("subject")) {
                (Some(template), _) => fill(template, &groups).map_err(bad)?,
                (None, Some(subject)) => subject.clone(),
                (None, None) => id.clone(),
            };
            found.push(Found {
                path: path.to_owned(),
                groups,
                id,
                subject,
            });
        }
        if found.len() == before {
            return Err(ImportError::NoFiles {
                folder: from.to_owned(),
                pattern: text.clone(),
            });
        }
    }
    Ok(found)
}

/// The masks of an image by a rule.
///
/// # Errors
/// None, where the rule says that it must have one.
pub(super) fn masks_of(
    from: &Path,
    files: &BTreeSet<String>,
    rule: &MaskRule,
    groups: &Groups,
    image: &Path,
) -> Result<Masks, ImportError> {
    for text in rule.path.list() {
        let pattern = Pattern::new(text, groups).map_err(|reason| ImportError::Source {
            path: from.to_owned(),
            reason,
        })?;
        let found: Vec<String> = pattern
            .find(files)
            .map(|(path, _)| path.to_owned())
            .collect();
        if !found.is_empty() {
            return Ok(Masks::Files(found));
        }
    }
    match rule.missing {
        Missing::Background => Ok(Masks::Background),
        Missing::Unlabelled => Ok(Masks::Unlabelled),
        Missing::Skip => Ok(Masks::Skip),
        Missing::Error => Err(ImportError::NoMask {
            image: image.to_owned(),
            pattern: rule.path.list().first().map_or_else(String::new, |text| {
                let filled = fill(text, groups).unwrap_or_else(|_| text.clone());
                join(from, &filled).display().to_string()
            }),
        }),
    }
}

/// A name that is a file name everywhere. Letters of every script stay, composed: names that differ by them are different.
pub(super) fn safe(name: &str) -> String {
    let plain = |c: char| {
        if c.is_alphanumeric() || "._-".contains(c) {
            c
        } else {
            '_'
        }
    };
    let name: String = name.nfc().map(plain).collect();
    name.trim_start_matches('.').to_owned()
}
