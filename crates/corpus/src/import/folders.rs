//! Images and mask files beside them: the layout of most published 2-D datasets.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::canvas::Canvas;
use super::canvas::LabelSet;
use super::error::ImportError;
use super::files::{self, Found};
use super::manifest::{Folders, Manifest, Reading};
use super::masks::{self, Rules};
use super::raster;
use super::unit::{Drawn, Reader, join};
use crate::error::CorpusError;

/// The images of a source folder.
pub(super) struct FolderReader<'a> {
    manifest: &'a Manifest,
    from: PathBuf,
    files: BTreeSet<String>,
    rules: Rules<'a>,
    images: Vec<Found>,
}

impl<'a> FolderReader<'a> {
    /// Finds the images.
    ///
    /// # Errors
    /// A folder that cannot be read, a pattern that nothing fits.
    pub(super) fn new(
        manifest: &'a Manifest,
        layout: &'a Folders,
        from: &Path,
        files: BTreeSet<String>,
    ) -> Result<Self, ImportError> {
        let images = files::images(
            from,
            &files,
            layout.images.list(),
            &layout.exclude,
            layout.id.as_deref(),
            layout.subject.as_deref(),
        )?;
        Ok(Self {
            manifest,
            from: from.to_owned(),
            rules: Rules::new(manifest, &layout.masks),
            files,
            images,
        })
    }
}

impl Reader for FolderReader<'_> {
    fn units(&self) -> usize {
        self.images.len()
    }

    fn volumes(&self) -> bool {
        false
    }

    fn objects(&self) -> bool {
        self.rules.objects()
    }

    fn read(&self, unit: usize) -> Result<Vec<Drawn>, CorpusError> {
        let Some(found) = self.images.get(unit) else {
            return Ok(Vec::new());
        };
        let path = join(&self.from, &found.path);
        let mut unlabelled = LabelSet::new();
        let mut jobs = Vec::new();
        for rule in self.rules.list() {
            match files::masks_of(&self.from, &self.files, rule, &found.groups, &path)? {
                files::Masks::Files(masks) => jobs.push((rule, masks)),
                files::Masks::Background => {}
                files::Masks::Unlabelled => unlabelled.extend(self.rules.labels_of(rule)),
                files::Masks::Skip => return Ok(Vec::new()),
            }
        }
        let image = raster::read_image(&path, &self.manifest.images)?;
        let (width, height) = image.size();
        let mut canvas = Canvas::new(width, height);
        for (rule, names) in jobs {
            for name in names {
                let file = join(&self.from, &name);
                if rule.read == Reading::Contour {
                    masks::contour(&file, &self.rules, rule, &mut canvas)?;
                } else {
                    let mask = raster::read_mask(&file)?;
                    masks::raster(&file, &self.rules, rule, &mask, &mut canvas)?;
                }
            }
        }
        Ok(vec![Drawn {
            id: found.id.clone(),
            subject: found.subject.clone(),
            groups: found.groups.clone(),
            path,
            image,
            canvas,
            unlabelled,
        }])
    }
}
