//! What is drawn on an item, at the image's own size: for every prompt that it says something about, the mask and the single
//! objects. A mask that does not fit its image or its dataset is an error that names the file.

use std::path::Path;

use image::{DynamicImage, GenericImageView};
use medsam3_imaging::{Mask, ObjectMap, Rgb8};

use crate::error::CorpusError;
use crate::format::{Dataset, Item, Labelling};
use crate::store::{decode, refuse_turned};

/// Decodes the image of an item, as the page and the program see it.
///
/// # Errors
/// A file that cannot be read or is not an image, by name.
pub fn read_image(path: &Path) -> Result<Rgb8, CorpusError> {
    let bytes = std::fs::read(path).map_err(|source| CorpusError::Read {
        path: path.to_owned(),
        source,
    })?;
    medsam3_imaging::open(&bytes)
        .and_then(|picture| picture.render(0, None))
        .map_err(|source| CorpusError::Image {
            path: path.to_owned(),
            source,
        })
}

/// A prompt and what should be found.
#[derive(Debug, Clone)]
pub struct Truth {
    /// What is asked.
    pub prompt: String,
    /// Its pixels.
    pub mask: Mask,
    /// Instance ids of the corpus within the mask, `[height, width]`, where it has them.
    instances: Option<Vec<u16>>,
}

impl Truth {
    /// The objects one by one: the corpus' instances, else the 8-connected components of the mask.
    pub fn objects(&self) -> ObjectMap {
        let Mask { width, height, .. } = self.mask;
        let ids = self
            .instances
            .clone()
            .unwrap_or_else(|| self.mask.region_ids());
        ObjectMap { width, height, ids }
    }
}

/// Every prompt that `item` says something about, with its truth. `size` is the image's width and height.
///
/// # Errors
/// A picture that EXIF turns, a mask that cannot be read, is of another kind or size than it should be, or holds a label that `set` does not declare.
pub fn questions(
    folder: &Path,
    set: &Dataset,
    item: &Item,
    size: (usize, usize),
) -> Result<Vec<Truth>, CorpusError> {
    let (width, height) = size;
    refuse_turned(&folder.join(&item.image))?;
    let asked: Vec<_> = set
        .prompts
        .iter()
        .filter(|prompt| item.labelling(prompt) != Labelling::Unknown)
        .collect();
    let mut questions = Vec::with_capacity(asked.len() + item.prompts.len());
    if !asked.is_empty() {
        let path = folder.join(&item.mask);
        let labels = read_gray(&path, size)?;
        check_labels(&path, &labels, set, item)?;
        let instances = match &item.instances {
            None => None,
            Some(name) => Some(read_ids(&folder.join(name), size)?),
        };
        for prompt in asked {
            let inside = |label: &u8| prompt.indices.contains(label);
            let within = |ids: &Vec<u16>| {
                let pairs = ids.iter().zip(&labels);
                pairs
                    .map(|(&id, label)| if inside(label) { id } else { 0 })
                    .collect()
            };
            questions.push(Truth {
                prompt: prompt.canonical.clone(),
                mask: Mask {
                    width,
                    height,
                    bits: labels.iter().map(|label| u8::from(inside(label))).collect(),
                },
                instances: instances.as_ref().map(within),
            });
        }
    }
    for own in &item.prompts {
        let values = read_gray(&folder.join(&own.mask), size)?;
        let bits = values.iter().map(|&value| u8::from(value != 0)).collect();
        questions.push(Truth {
            prompt: own.prompt.clone(),
            mask: Mask {
                width,
                height,
                bits,
            },
            instances: None,
        });
    }
    Ok(questions)
}

fn read_gray(path: &Path, image: (usize, usize)) -> Result<Vec<u8>, CorpusError> {
    let DynamicImage::ImageLuma8(map) = decode(path)? else {
        return Err(CorpusError::MaskKind {
            path: path.to_owned(),
        });
    };
    check_size(path, &map, image)?;
    Ok(map.into_raw())
}

fn read_ids(path: &Path, image: (usize, usize)) -> Result<Vec<u16>, CorpusError> {
    let DynamicImage::ImageLuma16(map) = decode(path)? else {
        return Err(CorpusError::MaskKind {
            path: path.to_owned(),
        });
    };
    check_size(path, &map, image)?;
    Ok(map.into_raw())
}

/// A mask lies on the pixels of its image.
pub(crate) fn check_size(
    path: &Path,
    map: &impl GenericImageView,
    image: (usize, usize),
) -> Result<(), CorpusError> {
    let found = (map.width() as usize, map.height() as usize);
    if found == image {
        return Ok(());
    }
    Err(CorpusError::MaskSize {
        path: path.to_owned(),
        found,
        image,
    })
}

/// A mask holds the background and what its dataset or its item declares.
pub(crate) fn check_labels(
    path: &Path,
    labels: &[u8],
    set: &Dataset,
    item: &Item,
) -> Result<(), CorpusError> {
    let mut declared = [false; 256];
    declared[0] = true;
    let named = set.labels.keys().chain(&item.labels);
    let prompted = set.prompts.iter().flat_map(|prompt| &prompt.indices);
    for &label in named.chain(prompted) {
        declared[usize::from(label)] = true;
    }
    match labels.iter().find(|&&label| !declared[usize::from(label)]) {
        None => Ok(()),
        Some(&label) => Err(CorpusError::UnknownLabel {
            path: path.to_owned(),
            label,
        }),
    }
}
