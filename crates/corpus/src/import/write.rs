//! Writes a dataset folder in the corpus' format: images as they came or as PNG, 8-bit index maps, 16-bit object maps.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use image::imageops::FilterType;
use image::{GrayImage, ImageBuffer, Luma};
use serde::Serialize;

use super::canvas::{Indices, LabelSet};
use super::error::ImportError;
use super::unit::{Drawn, Image};
use crate::Split;
use crate::error::CorpusError;

/// An item of `dataset.json`.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Item {
    pub(super) id: String,
    pub(super) image: String,
    pub(super) mask: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) instances: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) n_instances: Option<u16>,
    pub(super) split: Split,
    pub(super) subject: String,
    /// Columns and rows.
    pub(super) size: [usize; 2],
    pub(super) orig_size: [usize; 2],
    pub(super) labels: Vec<u8>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) unlabelled: Vec<u8>,
    /// Single labels, before combinations have indices; for the counts.
    #[serde(skip)]
    pub(super) single: LabelSet,
    #[serde(skip)]
    pub(super) unseen: LabelSet,
}

/// A drawn image with the indices of its combinations, ready for files.
pub(super) struct Ready {
    drawn: Drawn,
    original: (usize, usize),
    /// Index of every set of the canvas.
    indices: Vec<u8>,
    single: LabelSet,
    unseen: LabelSet,
}

impl Ready {
    /// Makes the image smaller where it is larger than `max_side` and looks up the indices.
    ///
    /// # Errors
    /// Indices that run out.
    pub(super) fn new(
        mut drawn: Drawn,
        max_side: Option<u32>,
        indices: &mut Indices,
    ) -> Result<Self, CorpusError> {
        let original = drawn.image.size();
        let before = drawn.canvas.labels();
        shrink(&mut drawn, max_side);
        let single = drawn.canvas.labels();
        // What vanished in the smaller mask is in the image nevertheless.
        let lost = before.difference(&single).copied();
        let unseen: LabelSet = drawn.unlabelled.iter().copied().chain(lost).collect();
        let used = drawn.canvas.used();
        let places = drawn.canvas.sets.iter().zip(used).map(|(set, used)| {
            let index = if used { indices.of(set) } else { Some(0) };
            index.ok_or_else(|| ImportError::TooManyLabels {
                path: drawn.path.clone(),
            })
        });
        let indices = places.collect::<Result<Vec<u8>, _>>()?;
        Ok(Self {
            drawn,
            original,
            indices,
            single,
            unseen,
        })
    }

    /// Writes the files below `folder`.
    ///
    /// # Errors
    /// A file that cannot be written, by name.
    pub(super) fn write(
        &self,
        folder: &Path,
        split: Split,
        objects: bool,
    ) -> Result<Item, CorpusError> {
        let Drawn {
            id,
            subject,
            image,
            canvas,
            ..
        } = &self.drawn;
        let (width, height) = image.size();
        let image = write_image(folder, id, image)?;
        let values = canvas
            .pixels
            .iter()
            .map(|set| self.indices.get(usize::from(*set)).copied().unwrap_or(0));
        let values: Vec<u8> = values.collect();
        let labels: std::collections::BTreeSet<u8> =
            values.iter().copied().filter(|value| *value != 0).collect();
        let mask = format!("masks/{id}.png");
        let map = GrayImage::from_raw(side(width), side(height), values).unwrap_or_default();
        save(&folder.join(&mask), |path| map.save(path))?;
        let mut instances = None;
        if objects {
            let name = format!("instances/{id}.png");
            let values = canvas.objects.clone();
            let map: ImageBuffer<Luma<u16>, Vec<u16>> =
                ImageBuffer::from_raw(side(width), side(height), values).unwrap_or_default();
            save(&folder.join(&name), |path| map.save(path))?;
            instances = Some(name);
        }
        Ok(Item {
            id: id.clone(),
            image,
            mask,
            n_instances: instances.is_some().then_some(canvas.object_count),
            instances,
            split,
            subject: subject.clone(),
            size: [width, height],
            orig_size: [self.original.0, self.original.1],
            labels: labels.into_iter().collect(),
            unlabelled: Vec::new(),
            single: self.single.clone(),
            unseen: self.unseen.clone(),
        })
    }
}

fn side(pixels: usize) -> u32 {
    u32::try_from(pixels).unwrap_or(u32::MAX)
}

fn shrink(drawn: &mut Drawn, max_side: Option<u32>) {
    let (width, height) = drawn.image.size();
    let longest = width.max(height);
    let Some(most) = max_side
        .map(|side| side as usize)
        .filter(|most| longest > *most)
    else {
        return;
    };
    let scaled =
        |pixels: usize| ((pixels * most) as f64 / longest as f64).round().max(1.0) as usize;
    let (width, height) = (scaled(width), scaled(height));
    let pixels = drawn
        .image
        .pixels
        .resize_exact(side(width), side(height), FilterType::Triangle);
    drawn.image = Image { pixels, file: None };
    drawn.canvas = drawn.canvas.resized(width, height);
}

/// A file of its own is copied, everything else becomes a PNG.
fn write_image(folder: &Path, id: &str, image: &Image) -> Result<String, CorpusError> {
    let Some(source) = &image.file else {
        let name = format!("images/{id}.png");
        save(&folder.join(&name), |path| image.pixels.save(path))?;
        return Ok(name);
    };
    let jpeg = source
        .extension()
        .is_some_and(|ending| ending.to_string_lossy().to_lowercase().starts_with('j'));
    let name = format!("images/{id}.{}", if jpeg { "jpg" } else { "png" });
    let path = folder.join(&name);
    let bytes = fs::read(source).map_err(|error| CorpusError::Read {
        path: source.clone(),
        source: error,
    })?;
    fs::write(&path, bytes).map_err(|source| CorpusError::Write { path, source })?;
    Ok(name)
}

fn save(
    path: &Path,
    write: impl FnOnce(&Path) -> Result<(), image::ImageError>,
) -> Result<(), CorpusError> {
    write(path).map_err(|error| CorpusError::Write {
        path: path.to_owned(),
        source: match error {
            image::ImageError::IoError(source) => source,
            other => std::io::Error::other(other.to_string()),
        },
    })
}

/// All indices that hold each label, by label.
pub(super) fn indices_of(labels: u8, indices: &Indices) -> BTreeMap<u8, Vec<u8>> {
    let mut all: BTreeMap<u8, Vec<u8>> = (1..=labels).map(|label| (label, vec![label])).collect();
    for (set, index) in indices.combinations() {
        for label in set {
            all.entry(*label).or_default().push(index);
        }
    }
    all
}

/// Names of every index: `a`, and `a + b` for a combination.
pub(super) fn names(labels: &[String], indices: &Indices) -> BTreeMap<u8, String> {
    let name = |label: u8| -> Cow<'_, str> {
        let at = usize::from(label).wrapping_sub(1);
        labels
            .get(at)
            .map_or(Cow::Borrowed(""), |name| Cow::Borrowed(name.as_str()))
    };
    let single = (1..=u8::MAX)
        .zip(labels)
        .map(|(index, name)| (index, name.clone()));
    let combined = indices.combinations().map(|(set, index)| {
        let parts: Vec<Cow<'_, str>> = set.iter().map(|label| name(*label)).collect();
        (index, parts.join(" + "))
    });
    single.chain(combined).collect()
}

#[cfg(test)]
mod tests {
    use image::DynamicImage;

    use super::super::canvas::Canvas;
    use super::*;

    /// A label that the smaller mask lost is neither present nor absent.
    #[test]
    fn a_label_that_vanishes_by_shrinking_is_unknown() {
        let mut canvas = Canvas::new(8, 8);
        canvas.label(0, 1).expect("a pixel");
        for at in 32..64 {
            canvas.label(at, 2).expect("half");
        }
        let drawn = Drawn {
            id: "a".into(),
            subject: "a".into(),
            groups: BTreeMap::new(),
            path: "a.png".into(),
            image: Image {
                pixels: DynamicImage::new_luma8(8, 8),
                file: None,
            },
            canvas,
            unlabelled: LabelSet::new(),
            notes: Default::default(),
        };
        let ready = Ready::new(drawn, Some(2), &mut Indices::new(2)).expect("ready");
        assert_eq!(
            (ready.single, ready.unseen),
            (LabelSet::from([2]), LabelSet::from([1]))
        );
    }

    #[test]
    fn prompts_hold_the_combinations_of_their_labels() {
        let mut indices = Indices::new(2);
        indices.of(&LabelSet::from([1, 2]));
        assert_eq!(
            indices_of(2, &indices),
            BTreeMap::from([(1, vec![1, 3]), (2, vec![2, 3])])
        );
        assert_eq!(
            names(&["disc".into(), "cup".into()], &indices)[&3],
            "disc + cup"
        );
    }
}
