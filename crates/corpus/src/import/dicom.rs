//! DICOM series with DICOM SEG: every series that a segmentation is of becomes the slices of one subject. Frames are matched by the
//! images that they refer to, else by where they lie.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::{Path, PathBuf};

use medsam3_imaging::segmentation_file::{SegmentationFile, SegmentationFrame, SegmentationKind};
use medsam3_imaging::series::{PictureInfo, Place, Series as Images};
use medsam3_imaging::{ImagingError, Picture, PictureKind, Window};

use super::canvas::{Canvas, LabelSet};
use super::dicom_file::{self, Found, SegFile, bad, same_plane, short_hash};
use super::error::ImportError;
use super::manifest::{Dicom, Manifest};
use super::pattern::{Groups, Pattern};
use super::unit::{Drawn, Image, Reader, join};
use crate::error::CorpusError;

/// Labels of the segments of a file by number; 0 is left out.
type Labels = HashMap<u16, u8>;

struct Series {
    images: Images,
    /// Stands for its UID in the names of its slices.
    name: String,
    /// Of each picture the segmentation files and their frames.
    drawn: Vec<Vec<(usize, usize)>>,
    /// Labels that a segmentation of it looks for.
    looked_for: LabelSet,
}

impl Series {
    fn pictures(&self) -> impl Iterator<Item = (usize, PictureInfo<'_>)> {
        (0..self.drawn.len()).filter_map(|at| Some((at, self.picture(at)?)))
    }

    fn picture(&self, at: usize) -> Option<PictureInfo<'_>> {
        let frames = self.images.frames().max(1);
        self.images.picture_info(at / frames, at % frames)
    }
}

/// The series of a source folder.
pub(super) struct DicomReader<'a> {
    manifest: &'a Manifest,
    groups: HashMap<PathBuf, Groups>,
    segs: Vec<(SegFile, Labels)>,
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
        let mut groups: HashMap<PathBuf, Groups> = HashMap::new();
        let mut paths = Vec::new();
        for text in patterns {
            let pattern =
                Pattern::new(text, &Groups::new()).map_err(|reason| ImportError::Source {
                    path: from.to_owned(),
                    reason,
                })?;
            for (name, parts) in pattern.find(files) {
                let path = join(from, name);
                if groups.insert(path.clone(), parts).is_none() {
                    paths.push(path);
                }
            }
        }
        let Found {
            series,
            segmentations,
        } = dicom_file::read(paths)?;
        if series.is_empty() || segmentations.is_empty() {
            return Err(ImportError::NoFiles {
                folder: from.to_owned(),
                pattern: format!("{} (DICOM images and segmentations)", patterns.join(", ")),
            }
            .into());
        }
        let mut reader = Self {
            manifest,
            groups,
            segs: Vec::new(),
            series: named(series),
        };
        for seg in segmentations {
            let labels = reader.labels(layout, &seg)?;
            reader.segs.push((seg, labels));
        }
        reader.match_frames()?;
        reader
            .series
            .retain(|series| series.drawn.iter().any(|drawn| !drawn.is_empty()));
        Ok(reader)
    }

    /// Finds the picture of every frame.
    fn match_frames(&mut self) -> Result<(), ImportError> {
        let mut by_uid: HashMap<(&str, usize), (usize, usize)> = HashMap::new();
        for (at, series) in self.series.iter().enumerate() {
            for (slice, picture) in series.pictures() {
                by_uid.insert((picture.sop_instance, picture.frame), (at, slice));
            }
        }
        let mut found = Vec::new();
        for (number, (seg, _)) in self.segs.iter().enumerate() {
            for (frame, of) in seg.frames.iter().enumerate() {
                let referred = of.sources.iter().flat_map(|source| {
                    // An image of one frame is referred to without a number.
                    let frames: &[usize] = match source.frames.as_slice() {
                        [] => &[0],
                        frames => frames,
                    };
                    frames
                        .iter()
                        .map(|frame| (source.sop_instance_uid.as_str(), *frame))
                });
                let referred = referred.filter_map(|key| by_uid.get(&key).copied());
                let place = self.choose(referred.collect(), seg, of).ok_or_else(|| {
                    ImportError::Source {
                        path: seg.path.clone(),
                        reason: format!(
                            "frame {} is of an image that is not there, or lies on other pixels \
                                 than it",
                            frame + 1
                        ),
                    }
                })?;
                found.push((place, (number, frame)));
            }
        }
        for ((at, slice), drawn) in found {
            let Some(series) = self.series.get_mut(at) else {
                continue;
            };
            if let Some(frames) = series.drawn.get_mut(slice) {
                frames.push(drawn);
            }
            // Every segment of the file was looked for in this series, also where it has no frame.
            if let Some((_, labels)) = self.segs.get(drawn.0) {
                series.looked_for.extend(labels.values());
            }
        }
        Ok(())
    }

    /// The labels of the segments of a file; 0 where one is left out.
    fn labels(&self, layout: &Dicom, seg: &SegFile) -> Result<Labels, ImportError> {
        let known: BTreeMap<String, &String> = layout
            .segments
            .iter()
            .map(|(name, label)| (name.to_lowercase(), label))
            .collect();
        let mut labels = Labels::new();
        // Number 0 of a label map is its background.
        for segment in seg.segments.iter().filter(|segment| segment.number != 0) {
            let names = dicom_file::names(segment);
            let mapped = names
                .iter()
                .find_map(|name| known.get(&name.to_lowercase()))
                .map(|label| self.manifest.label(label).unwrap_or(0));
            let same = |name: &String| {
                let mut labels = self.manifest.labels.iter();
                let at = labels.position(|label| label.eq_ignore_ascii_case(name))?;
                u8::try_from(at + 1).ok()
            };
            let label = mapped.or_else(|| names.iter().find_map(same));
            let label = label.ok_or_else(|| ImportError::UnknownValue {
                path: seg.path.clone(),
                value: format!("the segment `{}`", names.join("` / `")),
            })?;
            labels.insert(segment.number, label);
        }
        Ok(labels)
    }

    /// Of the images referred to the one whose pixels the frame lies on, else of all.
    fn choose(
        &self,
        referred: Vec<(usize, usize)>,
        seg: &SegFile,
        frame: &SegmentationFrame,
    ) -> Option<(usize, usize)> {
        let plane = (frame.position, frame.orientation);
        let fits = |&(at, slice): &(usize, usize)| -> bool {
            let picture = self.series.get(at).and_then(|series| series.picture(slice));
            let Some(picture) = picture else {
                return false;
            };
            // Without a place of its own a frame lies on the image that it refers to.
            let near = same_plane((picture.position, picture.orientation), plane)
                .unwrap_or(!referred.is_empty());
            [picture.columns, picture.rows] == seg.size && near
        };
        if !referred.is_empty() {
            return referred.iter().copied().find(fits);
        }
        let same_patient = |series: &Series| {
            let reference = series.images.frame_of_reference_uid();
            reference.is_some() && reference == seg.reference.as_deref()
        };
        let series = self.series.iter().enumerate();
        series
            .filter(|(_, series)| same_patient(series))
            .flat_map(|(at, series)| (0..series.drawn.len()).map(move |slice| (at, slice)))
            .find(fits)
    }
}

/// Series with a name for each. Several cines of one series, which are series of their own here, are told apart by their image.
fn named(found: Vec<Images>) -> Vec<Series> {
    let mut taken: BTreeSet<String> = BTreeSet::new();
    let mut series = Vec::with_capacity(found.len());
    for images in found {
        let mut one = Series {
            name: short_hash(images.uid().unwrap_or_default()),
            drawn: vec![Vec::new(); images.slices() * images.frames()],
            looked_for: LabelSet::new(),
            images,
        };
        if !taken.insert(one.name.clone()) {
            let first = one
                .picture(0)
                .map(|picture| picture.sop_instance.to_owned());
            one.name = short_hash(&first.unwrap_or_default());
            taken.insert(one.name.clone());
        }
        series.push(one);
    }
    series
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
        let whose = series.images.patient_id().or(series.images.study_uid());
        let subject = short_hash(whose.unwrap_or_default());
        let mut opened: HashMap<usize, SegmentationFile> = HashMap::new();
        let frames = series.images.frames().max(1);
        let mut pictures = series.images.reader();
        let mut drawn = Vec::with_capacity(series.drawn.len());
        for Place { slice, frame } in series.images.reading_order() {
            let at = slice * frames + frame;
            let Some(info) = series.picture(at) else {
                continue;
            };
            let path = PathBuf::from(info.name);
            let image = pictures
                .picture(slice, frame)
                .and_then(|(picture, frame)| self.image(picture, frame))
                .map_err(|error| bad(&path, &error))?;
            let (width, height) = image.size();
            let mut canvas = Canvas::new(width, height);
            for &(seg, frame) in series.drawn.get(at).into_iter().flatten() {
                self.draw(seg, frame, &mut opened, &mut canvas)?;
            }
            let one = Drawn {
                id: format!("{}-{at:04}", series.name),
                subject: subject.clone(),
                groups: self.groups.get(&path).cloned().unwrap_or_default(),
                path,
                image,
                canvas,
                unlabelled: unlabelled.clone(),
                notes: Default::default(),
            };
            drawn.push((at, one));
        }
        drawn.sort_by_key(|(at, _)| *at);
        Ok(drawn.into_iter().map(|(_, drawn)| drawn).collect())
    }
}

impl DicomReader<'_> {
    /// Draws a frame of a segmentation, which is opened once for all frames of a series.
    fn draw(
        &self,
        number: usize,
        frame: usize,
        opened: &mut HashMap<usize, SegmentationFile>,
        canvas: &mut Canvas,
    ) -> Result<(), CorpusError> {
        let Some((seg, labels)) = self.segs.get(number) else {
            return Ok(());
        };
        let failed = |reason: String| ImportError::Source {
            path: seg.path.clone(),
            reason,
        };
        let file = match opened.entry(number) {
            std::collections::hash_map::Entry::Occupied(entry) => entry.into_mut(),
            std::collections::hash_map::Entry::Vacant(entry) => {
                let file = dicom_file::open_segmentation(&seg.path);
                entry.insert(file.map_err(|error| bad(&seg.path, &error))?)
            }
        };
        let found = [file.columns, file.rows];
        if found != [canvas.width, canvas.height] {
            return Err(CorpusError::MaskSize {
                path: seg.path.clone(),
                found: found.into(),
                image: (canvas.width, canvas.height),
            });
        }
        let of = seg.frames.get(frame).and_then(|frame| frame.segment);
        let label = of.and_then(|segment| labels.get(&segment).copied());
        if file.kind != SegmentationKind::LabelMap && label.unwrap_or(0) == 0 {
            return Ok(());
        }
        let values = file.values(frame).map_err(|error| bad(&seg.path, &error))?;
        for (at, &value) in values.iter().enumerate() {
            let label = match file.kind {
                SegmentationKind::Binary => label.filter(|_| value != 0),
                // Half and more is inside.
                SegmentationKind::Fractional { maximum } => {
                    label.filter(|_| value >= maximum.div_ceil(2))
                }
                SegmentationKind::LabelMap if value == 0 => None,
                SegmentationKind::LabelMap => {
                    let label = labels.get(&value).copied();
                    Some(label.ok_or_else(|| {
                        failed(format!(
                            "it holds the segment {value}, which is not described"
                        ))
                    })?)
                }
            };
            if let Some(label) = label.filter(|label| *label != 0) {
                canvas.label(at, label).map_err(failed)?;
            }
        }
        Ok(())
    }

    /// A frame as it is shown: by the manifest's window, else by the file's own.
    fn image(&self, picture: &Picture, frame: usize) -> Result<Image, ImagingError> {
        let window = self
            .manifest
            .images
            .window
            .map(|[center, width]| Window { center, width });
        let shown = picture.render(frame, window)?;
        if picture.kind() == PictureKind::Gray {
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
