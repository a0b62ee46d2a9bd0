//! DICOM series with DICOM SEG: every series that a segmentation is of becomes the slices of one subject. Frames are matched by the
//! images that they refer to, else by where they lie.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::{Path, PathBuf};

use medsam3_imaging::{PictureKind, Window};

use super::canvas::{Canvas, LabelSet};
use super::dicom_file::{self, ImageFile, Known, Place, SegFile, SegFrame, short_hash};
use super::error::ImportError;
use super::manifest::{Dicom, Manifest};
use super::pattern::{Groups, Pattern};
use super::seg;
use super::unit::{Drawn, Image, Reader, join};
use crate::error::CorpusError;

/// Largest distance of a frame from its image, and difference of a direction's cosine.
const NEAR_MM: f64 = 0.1;
const SAME_DIRECTION: f64 = 1e-3;

/// A frame of an image file.
#[derive(Debug, Clone)]
struct Slice {
    file: usize,
    frame: usize,
    place: Option<Place>,
    /// Segmentation file, its frame, and the label.
    drawn: Vec<(usize, usize, u8)>,
}

struct Series {
    slices: Vec<Slice>,
    /// Labels that a segmentation of it looks for.
    looked_for: LabelSet,
}

/// The series of a source folder.
pub(super) struct DicomReader<'a> {
    manifest: &'a Manifest,
    images: Vec<(ImageFile, Groups)>,
    segs: Vec<SegFile>,
    series: Vec<Series>,
}

impl<'a> DicomReader<'a> {
    /// Reads the attributes of all files and matches segmentations with images.
    ///
    /// # Errors
    /// Files that are damaged, segments that the manifest does not name, frames of images that are not there.
    pub(super) fn new(
        manifest: &'a Manifest,
        layout: &Dicom,
        from: &Path,
        files: &BTreeSet<String>,
    ) -> Result<Self, CorpusError> {
        let default = ["**/*".to_owned()];
        let patterns = layout
            .files
            .as_ref()
            .map_or(default.as_slice(), |files| files.list());
        let (mut images, mut segs) = (Vec::new(), Vec::new());
        for text in patterns {
            let pattern =
                Pattern::new(text, &Groups::new()).map_err(|reason| ImportError::Source {
                    path: from.to_owned(),
                    reason,
                })?;
            for (name, groups) in pattern.find(files) {
                match dicom_file::read(&join(from, name))? {
                    Some(Known::Image(image)) => images.push((image, groups)),
                    Some(Known::Seg(seg)) => segs.push(seg),
                    None => {}
                }
            }
        }
        if images.is_empty() || segs.is_empty() {
            return Err(ImportError::NoFiles {
                folder: from.to_owned(),
                pattern: format!("{} (DICOM images and segmentations)", patterns.join(", ")),
            }
            .into());
        }
        let mut reader = Self {
            manifest,
            series: group(&images),
            images,
            segs,
        };
        reader.match_frames(layout)?;
        reader
            .series
            .retain(|series| series.slices.iter().any(|slice| !slice.drawn.is_empty()));
        Ok(reader)
    }

    fn match_frames(&mut self, layout: &Dicom) -> Result<(), ImportError> {
        let known: BTreeMap<String, &String> = layout
            .segments
            .iter()
            .map(|(name, label)| (name.to_lowercase(), label))
            .collect();
        let mut by_uid: HashMap<(&str, usize), (usize, usize)> = HashMap::new();
        for (at, series) in self.series.iter().enumerate() {
            for (slice, Slice { file, frame, .. }) in series.slices.iter().enumerate() {
                by_uid.insert((self.images[*file].0.uid.as_str(), *frame), (at, slice));
            }
        }
        let mut found = Vec::new();
        let mut looked_for: Vec<(usize, LabelSet)> = Vec::new();
        for (number, seg) in self.segs.iter().enumerate() {
            let mut labels: HashMap<i64, u8> = HashMap::new();
            for (segment, names) in &seg.segments {
                labels.insert(*segment, self.label_of(&known, names, &seg.path)?);
            }
            for (frame, of) in seg.frames.iter().enumerate() {
                let bad = |reason: &str| ImportError::Source {
                    path: seg.path.clone(),
                    reason: format!("frame {} {reason}", frame + 1),
                };
                let &label = labels
                    .get(&of.segment)
                    .ok_or_else(|| bad("is of a segment that is not described"))?;
                let referred = of.sources.iter().filter_map(|(uid, frame)| {
                    let frame = usize::try_from(frame.unwrap_or(1) - 1).ok()?;
                    by_uid.get(&(uid.as_str(), frame)).copied()
                });
                let (at, slice) = self.choose(referred.collect(), seg, of).ok_or_else(|| {
                    bad("is of an image that is not there, or lies on other pixels than it")
                })?;
                // Every segment of the file was looked for in this series, also where it has no frame.
                looked_for.push((at, labels.values().copied().collect()));
                found.push((at, slice, (number, frame, label)));
            }
        }
        for (at, slice, drawn) in found {
            let slice = self
                .series
                .get_mut(at)
                .and_then(|series| series.slices.get_mut(slice));
            if let Some(slice) = slice {
                slice.drawn.push(drawn);
            }
        }
        for (at, labels) in looked_for {
            if let Some(series) = self.series.get_mut(at) {
                series.looked_for.extend(labels);
            }
        }
        Ok(())
    }

    /// The label of a segment, 0 where it is left out.
    fn label_of(
        &self,
        known: &BTreeMap<String, &String>,
        names: &[String],
        path: &Path,
    ) -> Result<u8, ImportError> {
        let mapped = names
            .iter()
            .find_map(|name| known.get(&name.to_lowercase()));
        if let Some(label) = mapped {
            return Ok(self.manifest.label(label).unwrap_or(0));
        }
        let same = |name: &String| {
            let at = self
                .manifest
                .labels
                .iter()
                .position(|label| label.eq_ignore_ascii_case(name))?;
            u8::try_from(at + 1).ok()
        };
        names
            .iter()
            .find_map(same)
            .ok_or_else(|| ImportError::UnknownValue {
                path: path.to_owned(),
                value: format!("the segment `{}`", names.join("` / `")),
            })
    }

    /// Of the images referred to the one whose pixels the frame lies on, else of all.
    fn choose(
        &self,
        referred: Vec<(usize, usize)>,
        seg: &SegFile,
        frame: &SegFrame,
    ) -> Option<(usize, usize)> {
        let fits = |&(at, slice): &(usize, usize)| -> bool {
            let Some(slice) = self
                .series
                .get(at)
                .and_then(|series| series.slices.get(slice))
            else {
                return false;
            };
            let image = &self.images[slice.file].0;
            let near = match (slice.place, frame.place) {
                (Some(one), Some(other)) => same_place(one, other),
                // Without a place of its own a frame lies on the image that it refers to.
                _ => !referred.is_empty(),
            };
            image.size == seg.size && near
        };
        if !referred.is_empty() {
            return referred.iter().copied().find(fits);
        }
        let same_patient = |file: usize| {
            let image = &self.images[file].0;
            image.reference.is_some() && image.reference == seg.reference
        };
        let all = self.series.iter().enumerate().flat_map(|(at, series)| {
            let slices = series.slices.iter().enumerate();
            slices
                .filter(|(_, slice)| same_patient(slice.file))
                .map(move |(slice, _)| (at, slice))
        });
        frame.place?;
        all.into_iter().find(fits)
    }
}

fn same_place(one: Place, other: Place) -> bool {
    let far = one
        .position
        .iter()
        .zip(other.position)
        .map(|(a, b)| (a - b).powi(2))
        .sum::<f64>()
        .sqrt();
    let turned = one
        .orientation
        .iter()
        .zip(other.orientation)
        .any(|(a, b)| (a - b).abs() > SAME_DIRECTION);
    far <= NEAR_MM && !turned
}

/// The frames of every series in the order of their place along its normal, else of their numbers.
fn group(images: &[(ImageFile, Groups)]) -> Vec<Series> {
    let mut series: BTreeMap<&str, Vec<Slice>> = BTreeMap::new();
    for (at, (file, _)) in images.iter().enumerate() {
        let slices = file.frames.iter().enumerate().map(|(frame, place)| Slice {
            file: at,
            frame,
            place: *place,
            drawn: Vec::new(),
        });
        series.entry(&file.series).or_default().extend(slices);
    }
    let along = |slice: &Slice| {
        slice.place.map_or(
            0.0,
            |Place {
                 position: [x, y, z],
                 orientation: [a, b, c, d, e, f],
             }| { x * (b * f - c * e) + y * (c * d - a * f) + z * (a * e - b * d) },
        )
    };
    let sorted = series.into_values().map(|mut slices| {
        let number = |slice: &Slice| {
            (
                images.get(slice.file).map_or(0, |image| image.0.number),
                slice.frame,
            )
        };
        slices.sort_by(|a, b| {
            along(a)
                .total_cmp(&along(b))
                .then(number(a).cmp(&number(b)))
        });
        Series {
            slices,
            looked_for: LabelSet::new(),
        }
    });
    sorted.collect()
}

impl Reader for DicomReader<'_> {
    fn units(&self) -> usize {
        self.series.len()
    }

    fn volumes(&self) -> bool {
        true
    }

    fn objects(&self) -> bool {
        false
    }

    fn read(&self, unit: usize) -> Result<Vec<Drawn>, CorpusError> {
        let Some(series) = self.series.get(unit) else {
            return Ok(Vec::new());
        };
        let all = (1..=u8::MAX).take(self.manifest.labels.len());
        let unlabelled: LabelSet = all
            .filter(|label| !series.looked_for.contains(label))
            .collect();
        let mut pixels: HashMap<usize, seg::SegPixels> = HashMap::new();
        let mut drawn = Vec::new();
        for (number, slice) in series.slices.iter().enumerate() {
            let (file, groups) = &self.images[slice.file];
            let image = self.image(&file.path, slice.frame)?;
            let (width, height) = image.size();
            let mut canvas = Canvas::new(width, height);
            for &(at, frame, label) in slice.drawn.iter().filter(|drawn| drawn.2 != 0) {
                let segmentation = &self.segs[at];
                let bad = |reason: String| ImportError::Source {
                    path: segmentation.path.clone(),
                    reason,
                };
                if let std::collections::hash_map::Entry::Vacant(entry) = pixels.entry(at) {
                    entry.insert(seg::read(&segmentation.path, width * height)?);
                }
                let places = pixels.get(&at).and_then(|pixels| pixels.frame(frame));
                for place in places.ok_or_else(|| bad("the file is cut short".to_owned()))? {
                    canvas.label(place, label).map_err(bad)?;
                }
            }
            drawn.push(Drawn {
                id: format!("{}-{number:04}", short_hash(&file.series)),
                subject: file.subject.clone(),
                groups: groups.clone(),
                path: file.path.clone(),
                image,
                canvas,
                unlabelled: unlabelled.clone(),
                notes: Default::default(),
            });
        }
        Ok(drawn)
    }
}

impl DicomReader<'_> {
    /// A frame as it is shown: by the manifest's window, else by the file's own.
    fn image(&self, path: &PathBuf, frame: usize) -> Result<Image, CorpusError> {
        let bytes = std::fs::read(path).map_err(|source| CorpusError::Read {
            path: path.clone(),
            source,
        })?;
        let window = self
            .manifest
            .images
            .window
            .map(|[center, width]| Window { center, width });
        let picture = medsam3_imaging::open(&bytes);
        let shown =
            picture.and_then(|picture| Ok((picture.kind(), picture.render(frame, window)?)));
        let (kind, shown) = shown.map_err(|error| ImportError::Source {
            path: path.clone(),
            reason: error.to_string(),
        })?;
        if kind == PictureKind::Gray {
            let values = shown.pixels.iter().step_by(3).copied().collect();
            return Ok(Image::gray(shown.width, shown.height, values));
        }
        let size = [shown.width, shown.height].map(|side| u32::try_from(side).unwrap_or(u32::MAX));
        let pixels = image::RgbImage::from_raw(size[0], size[1], shown.pixels).unwrap_or_default();
        Ok(Image {
            pixels: image::DynamicImage::ImageRgb8(pixels),
            file: None,
        })
    }
}
