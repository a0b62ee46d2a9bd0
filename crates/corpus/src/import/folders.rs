//! Images and mask files beside them: the layout of most published 2-D datasets.

use std::collections::BTreeSet;
use std::path::Path;

use image::metadata::Orientation;

use super::canvas::Canvas;
use super::error::ImportError;
use super::manifest::{Folders, Manifest, Reading};
use super::masked::{Asked, Masked};
use super::masks;
use super::notes::{Kind, Notes};
use super::orientation::{self, Exif};
use super::raster::{self, MaskFile, Values};
use super::unit::{Drawn, Reader};
use crate::error::CorpusError;

/// The images of a source folder.
pub(super) struct FolderReader<'a> {
    manifest: &'a Manifest,
    images: Masked<'a>,
    exif: Option<Exif>,
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
        Ok(Self {
            manifest,
            images: Masked::new(manifest, layout.files(), from, files)?,
            exif: layout.exif,
        })
    }
}

impl FolderReader<'_> {
    /// How the masks of a picture saw it; all must have seen the same.
    fn seen<'m>(
        &self,
        path: &Path,
        size: (usize, usize),
        turn: Orientation,
        masks: impl Iterator<Item = (&'m Path, Option<&'m MaskFile>)>,
    ) -> Result<Exif, ImportError> {
        if turn == Orientation::NoTransforms {
            // A mask of another size is named by itself.
            return Ok(Exif::Stored);
        }
        let mut found = None;
        for (file, mask) in masks {
            let drawn_on = mask.map(|mask| (mask.width, mask.height));
            let rule = match mask {
                Some(mask) if mask.turned => Some(Exif::Upright),
                _ => self.exif,
            };
            let seen = orientation::seen(path, size, turn, drawn_on, rule)?;
            if found.is_some_and(|other| other != seen) {
                return Err(ImportError::OtherPixels {
                    path: file.to_owned(),
                    reason: "it lies on the picture turned otherwise than the other masks"
                        .to_owned(),
                });
            }
            found = Some(seen);
        }
        Ok(found.or(self.exif).unwrap_or(Exif::Upright))
    }
}

impl Reader for FolderReader<'_> {
    fn units(&self) -> usize {
        self.images.found.len()
    }

    fn volumes(&self) -> bool {
        false
    }

    fn objects(&self) -> bool {
        self.images.rules.objects()
    }

    fn read(&self, unit: usize) -> Result<Vec<Drawn>, CorpusError> {
        let Some(found) = self.images.found.get(unit) else {
            return Ok(Vec::new());
        };
        let path = self.images.path(&found.path);
        let Some(Asked { masks, unlabelled }) = self.images.masks_of(found)? else {
            return Ok(Vec::new());
        };
        let mut opened = Vec::new();
        for (rule, name) in masks {
            let file = self.images.path(&name);
            let contour = rule.read == Reading::Contour;
            let mask = (!contour).then(|| raster::read_mask(&file)).transpose()?;
            opened.push((rule, name, file, mask));
        }
        let mut notes = Notes::default();
        let image = raster::read_image(&path, &self.manifest.images, |size, turn| {
            let masks = opened
                .iter()
                .map(|(_, _, file, mask)| (file.as_path(), mask.as_ref()));
            let seen = self.seen(&path, size, turn, masks)?;
            if turn != Orientation::NoTransforms && seen == Exif::Upright {
                notes.add(Kind::Upright, &found.path);
            }
            Ok(seen)
        })?;
        let (width, height) = image.size();
        let mut canvas = Canvas::new(width, height);
        for (rule, name, file, mask) in &opened {
            let Some(mask) = mask else {
                masks::contour(file, &self.images.rules, rule, &mut canvas)?;
                continue;
            };
            if let Values::Gray(values) = &mask.values
                && masks::is_below_threshold(rule, values, masks::Scale::of(mask))
            {
                notes.add(Kind::BelowThreshold, name);
            }
            masks::raster(file, &self.images.rules, rule, mask, &mut canvas)?;
        }
        Ok(vec![Drawn {
            id: found.id.clone(),
            subject: found.subject.clone(),
            groups: found.groups.clone(),
            path,
            image,
            canvas,
            unlabelled,
            notes,
        }])
    }
}
