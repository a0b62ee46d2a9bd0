//! Decodes images, masks and instance maps once, at the size training reads them, into memory.
//!
//! Out: square rasters of `side` x `side` pixels (the aspect is not kept, as in the model's own preprocessing);
//! grey images keep one channel.

use std::path::Path;

use image::imageops::{FilterType, resize};
use image::metadata::Orientation;
use image::{DynamicImage, ImageBuffer, ImageDecoder as _, ImageReader, Luma, Rgb};
use rayon::prelude::*;

use crate::error::CorpusError;
use crate::format::{Dataset, Item, Split};
use crate::truth::{check_labels, check_size};

/// A square picture, row-major, `channels` interleaved.
#[derive(Debug, Clone)]
pub struct Raster<T> {
    /// Width and height in pixels.
    pub side: usize,
    /// 1 or 3.
    pub channels: usize,
    /// `side * side * channels` values.
    pub values: Vec<T>,
}

impl Raster<u8> {
    /// The picture at another side, smoothed with a triangle as wide as a target pixel, as the reference's resize does.
    #[must_use]
    pub fn resized(&self, side: usize) -> Self {
        let (from, to) = (self.side as u32, side as u32);
        let values = self.values.as_slice();
        let resized = if self.channels == 1 {
            ImageBuffer::<Luma<u8>, _>::from_raw(from, from, values)
                .map(|picture| resize(&picture, to, to, FilterType::Triangle).into_raw())
        } else {
            ImageBuffer::<Rgb<u8>, _>::from_raw(from, from, values)
                .map(|picture| resize(&picture, to, to, FilterType::Triangle).into_raw())
        };
        Self {
            side,
            channels: self.channels,
            values: resized.unwrap_or_default(),
        }
    }
}

/// One item in memory.
#[derive(Debug, Clone)]
pub struct Sample {
    /// Index of its dataset in the list that was loaded.
    pub dataset: usize,
    /// Index of the item in that dataset.
    pub item: usize,
    /// Grey or RGB, 8 bit.
    pub image: Raster<u8>,
    /// Label index per pixel, 0 is background.
    pub labels: Raster<u8>,
    /// Instance id per pixel, 0 is background; only where the corpus has them.
    pub instances: Option<Raster<u16>>,
}

/// Loads every item of `split`, on all cores, in the order of the datasets.
///
/// # Errors
/// The first file that is missing, damaged or of an unexpected kind.
pub fn load_samples(
    root: &Path,
    datasets: &[Dataset],
    split: Split,
    side: usize,
) -> Result<Vec<Sample>, CorpusError> {
    let jobs: Vec<(usize, usize)> = datasets
        .iter()
        .enumerate()
        .flat_map(|(d, set)| {
            set.items
                .iter()
                .enumerate()
                .map(move |(i, item)| (d, i, item))
        })
        .filter(|(_, _, item)| item.split == split)
        .map(|(d, i, _)| (d, i))
        .collect();
    jobs.into_par_iter()
        .map(|(dataset, item)| {
            let set = &datasets[dataset];
            let (image, labels, instances) =
                load_item(&root.join(&set.name), set, &set.items[item], side)?;
            Ok(Sample {
                dataset,
                item,
                image,
                labels,
                instances,
            })
        })
        .collect()
}

type Rasters = (Raster<u8>, Raster<u8>, Option<Raster<u16>>);

fn load_item(
    folder: &Path,
    set: &Dataset,
    item: &Item,
    side: usize,
) -> Result<Rasters, CorpusError> {
    let path = folder.join(&item.image);
    refuse_turned(&path)?;
    let image = decode(&path)?;
    let image_size = (image.width() as usize, image.height() as usize);
    let size = u32::try_from(side).unwrap_or(u32::MAX);
    let gray = matches!(image, DynamicImage::ImageLuma8(_));
    let small = image.resize_exact(size, size, FilterType::Triangle);
    let image = if gray {
        Raster {
            side,
            channels: 1,
            values: small.into_luma8().into_raw(),
        }
    } else {
        Raster {
            side,
            channels: 3,
            values: small.into_rgb8().into_raw(),
        }
    };

    let path = folder.join(&item.mask);
    let DynamicImage::ImageLuma8(mask) = decode(&path)? else {
        return Err(CorpusError::MaskKind { path });
    };
    check_size(&path, &mask, image_size)?;
    check_labels(&path, mask.as_raw(), set, item)?;
    let labels = nearest(
        mask.as_raw(),
        mask.width() as usize,
        mask.height() as usize,
        side,
    );

    let instances = match &item.instances {
        None => None,
        Some(name) => {
            let path = folder.join(name);
            let DynamicImage::ImageLuma16(map) = decode(&path)? else {
                return Err(CorpusError::MaskKind { path });
            };
            check_size(&path, &map, image_size)?;
            Some(nearest(
                map.as_raw(),
                map.width() as usize,
                map.height() as usize,
                side,
            ))
        }
    };
    Ok((image, labels, instances))
}

pub(crate) fn decode(path: &Path) -> Result<DynamicImage, CorpusError> {
    ImageReader::open(path)
        .map_err(|source| CorpusError::Read {
            path: path.to_owned(),
            source,
        })?
        .decode()
        .map_err(|source| CorpusError::Decode {
            path: path.to_owned(),
            source,
        })
}

/// A picture with an EXIF orientation is not one of the corpus' format.
pub(crate) fn refuse_turned(path: &Path) -> Result<(), CorpusError> {
    let reader = ImageReader::open(path).map_err(|source| CorpusError::Read {
        path: path.to_owned(),
        source,
    })?;
    // What cannot be decoded is named by who decodes it.
    let turn = reader
        .into_decoder()
        .and_then(|mut decoder| decoder.orientation());
    match turn {
        Ok(turn) if turn != Orientation::NoTransforms => Err(CorpusError::Turned {
            path: path.to_owned(),
        }),
        _ => Ok(()),
    }
}

/// The pixel under the centre of each target pixel: labels must not be blended.
fn nearest<T: Copy>(values: &[T], width: usize, height: usize, side: usize) -> Raster<T> {
    let at = |i: usize, n: usize| ((2 * i + 1) * n / (2 * side)).min(n - 1);
    let values = (0..side)
        .flat_map(|y| (0..side).map(move |x| (x, y)))
        .map(|(x, y)| values[at(y, height) * width + at(x, width)])
        .collect();
    Raster {
        side,
        channels: 1,
        values,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nearest_takes_the_pixel_under_the_centre() {
        let map = nearest(&[1_u8, 2, 3, 4, 5, 6], 3, 2, 6);
        assert_eq!(map.values[..6], [1, 1, 2, 2, 3, 3]);
        assert_eq!(map.values[30..], [4, 4, 5, 5, 6, 6]);
        assert_eq!(
            nearest(&[1_u8, 2, 3, 4, 5, 6], 6, 1, 2).values,
            [2, 5, 2, 5]
        );
    }
}
