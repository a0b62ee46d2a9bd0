//! Images or volumes with mask files beside them: what the layouts `folders` and `nifti` have in common.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::canvas::LabelSet;
use super::error::ImportError;
use super::files::{self, Found, Masks};
use super::layout::FileRules;
use super::manifest::{Manifest, MaskRule};
use super::masks::Rules;
use super::unit::join;

/// The images or volumes of a source folder, and the rules for their masks.
pub(super) struct Masked<'a> {
    from: PathBuf,
    /// All files below it.
    files: BTreeSet<String>,
    pub(super) rules: Rules<'a>,
    pub(super) found: Vec<Found>,
}

/// What the rules say of one image or volume.
#[derive(Debug, Default)]
pub(super) struct Asked<'a> {
    /// Mask files, relative to the source folder, in the order of the rules.
    pub(super) masks: Vec<(&'a MaskRule, String)>,
    /// Labels that nobody looked for.
    pub(super) unlabelled: LabelSet,
}

impl<'a> Masked<'a> {
    /// Finds the images or volumes.
    ///
    /// # Errors
    /// A pattern that nothing fits, names that cannot be made.
    pub(super) fn new(
        manifest: &'a Manifest,
        layout: FileRules<'a>,
        from: &Path,
        files: BTreeSet<String>,
    ) -> Result<Self, ImportError> {
        Ok(Self {
            found: files::images(from, &files, &layout)?,
            from: from.to_owned(),
            rules: Rules::new(manifest, layout.masks),
            files,
        })
    }

    /// `path` of the source folder.
    pub(super) fn path(&self, path: &str) -> PathBuf {
        join(&self.from, path)
    }

    /// The mask files by all rules; `None` where a rule leaves the image or volume out.
    ///
    /// # Errors
    /// A mask that must be there and is not.
    pub(super) fn masks_of(&self, found: &Found) -> Result<Option<Asked<'a>>, ImportError> {
        let image = self.path(&found.path);
        let mut asked = Asked::default();
        for rule in self.rules.list() {
            match files::masks_of(&self.from, &self.files, rule, &found.groups, &image)? {
                Masks::Files(names) => {
                    asked
                        .masks
                        .extend(names.into_iter().map(|name| (rule, name)));
                }
                Masks::Background => {}
                Masks::Unlabelled => asked.unlabelled.extend(self.rules.labels_of(rule)),
                Masks::Skip => return Ok(None),
            }
        }
        Ok(Some(asked))
    }
}
