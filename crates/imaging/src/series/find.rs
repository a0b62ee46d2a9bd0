//! From named bytes to series: archives are opened, every file is told by its content, headers are read
//! without pixels, and files are put together by their Series Instance UID. What is no image is counted.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use super::arrange::{Arranged, arrange};
use super::problem::Problem;
use super::source::SharedSource;
use super::{Kind, Pixels, Series, archive, picture_size};
use crate::dicom::mosaic;
use crate::dicom::summary::{self, Summary};
use crate::nifti::{self, NiftiFile, Part};
use crate::{ImagingError, Picture, standard};

/// Bytes that tell what a file is: NIfTI's magic stands at 344.
const SNIFFED_BYTES: usize = 348;

/// A file of a series.
#[derive(Debug)]
pub(super) struct File {
    pub(super) source: SharedSource,
    /// `None` outside DICOM.
    pub(super) summary: Option<Summary>,
}

impl File {
    /// Reads and opens the file; the tiles of a mosaic are its frames.
    pub(super) fn open(&self) -> Result<Picture, ImagingError> {
        let picture = crate::open(&super::read_all(self.source.as_ref())?)?;
        match self.summary.as_ref().and_then(|summary| summary.mosaic) {
            Some(mosaic) => mosaic::cut(picture, mosaic),
            None => Ok(picture),
        }
    }
}

/// What was found.
#[derive(Debug, Default)]
pub struct Listing {
    /// In the order in which their first files were found.
    pub series: Vec<Series>,
    /// DICOM objects that are no pictures: segmentations, structure sets, reports.
    pub others: Vec<OtherObject>,
    /// Images that are damaged or of a kind that is not read.
    pub failures: Vec<Failure>,
    /// Files that are no images at all.
    pub skipped: usize,
}

/// A DICOM object that is no picture.
#[derive(Debug)]
pub struct OtherObject {
    /// Its bytes.
    pub source: SharedSource,
    /// SOP Class UID.
    pub sop_class: String,
    /// Modality (0008,0060), such as `"SEG"`.
    pub modality: Option<String>,
    /// Whether it says that it is a segmentation, of pixels or of surfaces.
    pub is_segmentation: bool,
}

/// An image that cannot be listed.
#[derive(Debug)]
pub struct Failure {
    /// The file's name.
    pub name: String,
    /// Why.
    pub error: ImagingError,
}

/// What a group of files has in common.
#[derive(Debug, PartialEq, Eq, Hash)]
enum Key {
    Series(String),
    /// A cine in a file of its own; frames of several such files are no frames of one another.
    Cine(String, String),
    /// Files without Series Instance UID: those of one folder, study, modality and size.
    Unnamed(String, Option<String>, Option<String>, usize, usize),
}

/// The files of a series as they are found.
#[derive(Default)]
struct Group {
    sources: Vec<SharedSource>,
    summaries: Vec<Summary>,
}

/// One entry of the list in the making.
enum Found {
    Group(usize),
    Series(Box<Series>),
}

/// Lists the series in some files. Only a file that is an archive as a whole is opened as one.
pub fn find(sources: Vec<SharedSource>) -> Listing {
    let mut search = Search::new(sources);
    while search.step() {}
    search.finish()
}

/// A search that is done file by file, so that a caller can say how far it is, and stop.
pub struct Search {
    sources: Vec<SharedSource>,
    by_name: HashMap<String, usize>,
    done: usize,
    listing: Listing,
    used_as_values: BTreeSet<usize>,
    not_images: BTreeSet<usize>,
    keys: HashMap<Key, usize>,
    groups: Vec<Group>,
    order: Vec<Found>,
}

impl Search {
    /// Opens the archives among some files; no other file is looked into yet.
    pub fn new(sources: Vec<SharedSource>) -> Self {
        let mut listing = Listing::default();
        let sources = unpack(sources, &mut listing);
        let by_name = sources
            .iter()
            .enumerate()
            .map(|(index, source)| (source.name().to_owned(), index))
            .collect();
        Self {
            sources,
            by_name,
            done: 0,
            listing,
            used_as_values: BTreeSet::new(),
            not_images: BTreeSet::new(),
            keys: HashMap::new(),
            groups: Vec::new(),
            order: Vec::new(),
        }
    }

    /// Files looked into, and files in all, those in archives among them.
    pub fn progress(&self) -> (usize, usize) {
        (self.done, self.sources.len())
    }

    /// Looks into the next file; `false` when there is none.
    pub fn step(&mut self) -> bool {
        let index = self.done;
        let Some(source) = self.sources.get(index).map(Arc::clone) else {
            return false;
        };
        self.done += 1;
        match look(&source) {
            Ok(found) => self.take(&source, found),
            Err(ImagingError::NotAnImage) => {
                self.not_images.insert(index);
            }
            Err(error) => self.fail(&source, error),
        }
        true
    }

    fn fail(&mut self, source: &SharedSource, error: ImagingError) {
        self.listing.failures.push(failure(source, error));
    }

    fn take(&mut self, source: &SharedSource, found: Content) {
        match found {
            Content::Dicom(summary) if summary.is_segmentation() || !summary.has_pixels => {
                self.listing.others.push(OtherObject {
                    is_segmentation: summary.is_segmentation(),
                    source: Arc::clone(source),
                    sop_class: summary.sop_class.clone(),
                    modality: summary.modality.clone(),
                });
            }
            Content::Dicom(summary) if summary.rows == 0 || summary.columns == 0 => {
                let error = ImagingError::DicomMalformed {
                    detail: "the number of rows or columns is missing or zero",
                };
                self.fail(source, error);
            }
            Content::Dicom(summary) => {
                let (groups, order) = (&mut self.groups, &mut self.order);
                let group = *self.keys.entry(key(source, &summary)).or_insert_with(|| {
                    groups.push(Group::default());
                    order.push(Found::Group(groups.len() - 1));
                    groups.len() - 1
                });
                if let Some(group) = self.groups.get_mut(group) {
                    group.sources.push(Arc::clone(source));
                    group.summaries.push(*summary);
                }
            }
            Content::Nifti(part) => {
                let values = match part {
                    Part::Whole => None,
                    Part::Header => values_of(source.name(), &self.by_name),
                };
                self.used_as_values.extend(values);
                let values = values.and_then(|values| self.sources.get(values));
                match NiftiFile::open(source, values) {
                    Ok(file) => {
                        let series = of_nifti(Arc::clone(source), file);
                        self.order.push(Found::Series(Box::new(series)));
                    }
                    Err(error) => self.fail(source, error),
                }
            }
            Content::Picture => match of_picture(source) {
                Ok(series) => self.order.push(Found::Series(Box::new(series))),
                Err(error) => self.fail(source, error),
            },
        }
    }

    /// The series in the files that were looked into.
    pub fn finish(self) -> Listing {
        let mut listing = self.listing;
        listing.skipped += self.not_images.difference(&self.used_as_values).count();
        let mut groups: Vec<Option<Group>> = self.groups.into_iter().map(Some).collect();
        for found in self.order {
            match found {
                Found::Series(series) => listing.series.push(*series),
                Found::Group(index) => {
                    let group = groups.get_mut(index).and_then(Option::take);
                    listing.series.extend(group.map(of_group));
                }
            }
        }
        listing
    }
}

fn failure(source: &SharedSource, error: ImagingError) -> Failure {
    Failure {
        name: source.name().to_owned(),
        error,
    }
}

/// Puts the files of archives in the place of archives.
fn unpack(sources: Vec<SharedSource>, listing: &mut Listing) -> Vec<SharedSource> {
    let mut unpacked = Vec::with_capacity(sources.len());
    for source in sources {
        match source.read(0, 4) {
            Ok(start) if archive::is_zip(&start) => match archive::entries(&source) {
                Ok(entries) => unpacked.extend(entries),
                Err(error) => listing.failures.push(failure(&source, error)),
            },
            _ => unpacked.push(source),
        }
    }
    unpacked
}

/// What a file is.
enum Content {
    Dicom(Box<Summary>),
    Nifti(Part),
    Picture,
}

fn look(source: &SharedSource) -> Result<Content, ImagingError> {
    // Resource forks that macOS leaves on discs and in archives begin like what they belong to.
    let file_name = source.name().rsplit('/').next().unwrap_or_default();
    if file_name.starts_with("._") {
        return Err(ImagingError::NotAnImage);
    }
    let start = source.read(0, SNIFFED_BYTES)?;
    if standard::sniff(&start).is_some() {
        return Ok(Content::Picture);
    }
    if let Some(part) = nifti::sniff(&nifti::unpacked_start(source.as_ref(), SNIFFED_BYTES)?) {
        return Ok(Content::Nifti(part));
    }
    let lower = file_name.to_ascii_lowercase();
    if [".nii", ".nii.gz"].iter().any(|end| lower.ends_with(end)) {
        // Named as a volume and none: said, not skipped.
        return Err(ImagingError::Nifti {
            detail: "it is none in spite of its name",
        });
    }
    summary::read(source.as_ref()).map(|summary| Content::Dicom(Box::new(summary)))
}

fn key(source: &SharedSource, summary: &Summary) -> Key {
    let placed = summary
        .frames
        .iter()
        .all(|frame| frame.position.is_some() && frame.orientation.is_some());
    match &summary.series {
        Some(series) if summary.frames.len() > 1 && !placed => {
            Key::Cine(series.clone(), summary.sop_instance.clone())
        }
        Some(series) => Key::Series(series.clone()),
        None => {
            let name = source.name();
            let folder = name.rsplit_once('/').map_or("", |(folder, _)| folder);
            Key::Unnamed(
                folder.to_owned(),
                summary.study.clone(),
                summary.modality.clone(),
                summary.rows,
                summary.columns,
            )
        }
    }
}

/// The file with the values of a header of a pair: the same name with another ending.
fn values_of(name: &str, by_name: &HashMap<String, usize>) -> Option<usize> {
    let plain = name.strip_suffix(".gz").unwrap_or(name);
    let stem = plain.rsplit_once('.').map_or(plain, |(stem, _)| stem);
    [".img", ".img.gz", ".IMG"]
        .iter()
        .find_map(|ending| by_name.get(&format!("{stem}{ending}")).copied())
}

fn of_group(group: Group) -> Series {
    let Group { sources, summaries } = group;
    let mut arranged: Arranged = arrange(&summaries);
    let mut syntaxes = BTreeMap::new();
    for summary in &summaries {
        *syntaxes.entry(&summary.transfer_syntax).or_insert(0usize) += 1;
    }
    let transfer_syntaxes = syntaxes.into_keys().cloned().collect();
    let first = arranged
        .pictures
        .first()
        .and_then(|&(file, _)| summaries.get(file))
        .or(summaries.first());
    if first.is_some_and(|first| first.series.is_none()) && summaries.len() > 1 {
        arranged.problems.insert(Problem::NoInstanceUid);
    }
    let frames = arranged.frames.max(1);
    let (rows, columns) = first.map_or((0, 0), |first| (first.rows, first.columns));
    let text = |of: fn(&Summary) -> &Option<String>| first.and_then(|first| of(first).clone());
    Series {
        kind: arranged.kind,
        format: "DICOM",
        modality: text(|summary| &summary.modality),
        uid: text(|summary| &summary.series),
        study_uid: text(|summary| &summary.study),
        patient_id: text(|summary| &summary.patient_id),
        frame_of_reference_uid: text(|summary| &summary.frame_of_reference),
        number: first.and_then(|first| first.series_number),
        rows,
        columns,
        slices: arranged.pictures.len() / frames,
        frames,
        in_plane_mm: arranged.in_plane_mm,
        step_mm: arranged.step_mm,
        affine: arranged.affine,
        places: arranged.places,
        transfer_syntaxes,
        problems: arranged.problems.into_iter().collect(),
        pixels: Pixels::Files {
            pictures: arranged.pictures,
            files: sources
                .into_iter()
                .zip(summaries)
                .map(|(source, summary)| File {
                    source,
                    summary: Some(summary),
                })
                .collect(),
        },
    }
}

/// A series without any of DICOM's facts.
fn plain(format: &'static str, rows: usize, columns: usize, pixels: Pixels) -> Series {
    Series {
        kind: Kind::Image,
        format,
        modality: None,
        uid: None,
        study_uid: None,
        patient_id: None,
        frame_of_reference_uid: None,
        number: None,
        rows,
        columns,
        slices: 1,
        frames: 1,
        in_plane_mm: None,
        step_mm: None,
        affine: None,
        places: Vec::new(),
        transfer_syntaxes: Vec::new(),
        problems: Vec::new(),
        pixels,
    }
}

fn of_nifti(source: SharedSource, file: NiftiFile) -> Series {
    let [columns, rows, slices, frames] = file.sizes();
    let spacing = file.spacing_mm();
    let affine = file.affine();
    let mut problems = Vec::new();
    if spacing.is_none() {
        problems.push(Problem::NoSpacing);
    }
    if affine.is_none() {
        problems.push(Problem::NoPosition);
    }
    Series {
        kind: match (slices, frames) {
            (1, 1) => Kind::Image,
            (1, _) => Kind::Cine,
            _ => Kind::Volume,
        },
        slices,
        frames,
        in_plane_mm: spacing.map(|[column, row, _]| [column, row]),
        step_mm: spacing.map(|[.., slice]| slice),
        affine,
        problems,
        ..plain(
            "NIfTI",
            rows,
            columns,
            Pixels::Nifti {
                source,
                file: Box::new(file),
            },
        )
    }
}

/// A PNG or JPEG, which is one image, or a TIFF, whose pages are a stack; opened for its size.
fn of_picture(source: &SharedSource) -> Result<Series, ImagingError> {
    let size = picture_size::read(&super::read_all(source.as_ref())?)?;
    let file = File {
        source: Arc::clone(source),
        summary: None,
    };
    let pixels = Pixels::Files {
        files: vec![file],
        pictures: (0..size.pages).map(|page| (0, page)).collect(),
    };
    Ok(Series {
        kind: if size.pages > 1 {
            Kind::Stack
        } else {
            Kind::Image
        },
        slices: size.pages,
        problems: vec![Problem::NoSpacing],
        ..plain(size.format, size.rows, size.columns, pixels)
    })
}
