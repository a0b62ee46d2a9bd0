//! COCO's object detection format: one JSON for many images, objects as polygons or run lengths. Crowds are no single objects:
//! they are left out, and their label counts as not drawn on that image.

use std::collections::{BTreeSet, HashMap};
use std::path::{Path, PathBuf};

use image::metadata::Orientation;
use serde::Deserialize;

use super::canvas::{Canvas, LabelSet};
use super::error::ImportError;
use super::files::safe;
use super::manifest::{Coco, Crowds, Exif, Manifest};
use super::notes::{Kind, Notes};
use super::orientation;
use super::pattern::{Groups, Pattern, fill};
use super::polygon;
use super::raster;
use super::unit::{Drawn, Reader, join};
use crate::error::CorpusError;

#[derive(Deserialize)]
struct File {
    images: Vec<ImageEntry>,
    annotations: Vec<Annotation>,
    categories: Vec<Category>,
}

#[derive(Deserialize)]
struct ImageEntry {
    id: i64,
    file_name: String,
    /// What it was annotated on; 0 as not said.
    #[serde(default)]
    width: Option<f64>,
    #[serde(default)]
    height: Option<f64>,
}

#[derive(Deserialize)]
struct Category {
    id: i64,
    name: String,
}

#[derive(Deserialize)]
struct Annotation {
    image_id: i64,
    category_id: i64,
    #[serde(default)]
    iscrowd: Option<Flag>,
    segmentation: Option<Segmentation>,
}

/// 0 and 1, or false and true.
#[derive(Clone, Copy, Deserialize)]
#[serde(untagged)]
enum Flag {
    Logical(bool),
    Number(f64),
}

impl Flag {
    fn is_set(self) -> bool {
        match self {
            Self::Logical(set) => set,
            Self::Number(number) => number != 0.0,
        }
    }
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Segmentation {
    Polygons(Vec<Vec<f64>>),
    Runs {
        /// Rows and columns.
        size: [usize; 2],
        counts: Counts,
    },
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Counts {
    Plain(Vec<u64>),
    Compressed(String),
}

struct Unit {
    json: PathBuf,
    image: PathBuf,
    /// As the annotations call it.
    name: String,
    id: String,
    subject: String,
    groups: Groups,
    /// Labels with their outlines, in the order of the file.
    objects: Vec<(u8, Segmentation)>,
    unlabelled: LabelSet,
    drawn_on: Option<(usize, usize)>,
    notes: Notes,
}

/// The images of all annotation files.
pub(super) struct CocoReader<'a> {
    manifest: &'a Manifest,
    exif: Option<Exif>,
    units: Vec<Unit>,
}

impl<'a> CocoReader<'a> {
    /// Reads the annotation files.
    ///
    /// # Errors
    /// A file that is not COCO, a category that the manifest does not name, a pattern that nothing fits.
    pub(super) fn new(
        manifest: &'a Manifest,
        layout: &Coco,
        from: &Path,
        files: &BTreeSet<String>,
    ) -> Result<Self, CorpusError> {
        let mut units = Vec::new();
        let bad = |path: &Path, reason: String| ImportError::Source {
            path: path.to_owned(),
            reason,
        };
        for text in layout.annotations.list() {
            let pattern = Pattern::new(text, &Groups::new()).map_err(|reason| bad(from, reason))?;
            let before = units.len();
            for (name, groups) in pattern.find(files) {
                units.extend(annotations(manifest, layout, from, name, &groups)?);
            }
            if units.len() == before {
                return Err(ImportError::NoFiles {
                    folder: from.to_owned(),
                    pattern: text.clone(),
                }
                .into());
            }
        }
        Ok(Self {
            manifest,
            exif: layout.exif,
            units,
        })
    }
}

fn annotations(
    manifest: &Manifest,
    layout: &Coco,
    from: &Path,
    name: &str,
    groups: &Groups,
) -> Result<Vec<Unit>, CorpusError> {
    let json = join(from, name);
    let bad = |reason: String| ImportError::Source {
        path: json.clone(),
        reason,
    };
    let bytes = std::fs::read(&json).map_err(|source| CorpusError::Read {
        path: json.clone(),
        source,
    })?;
    let file: File = serde_json::from_slice(&bytes).map_err(|source| CorpusError::Json {
        path: json.clone(),
        source,
    })?;
    let mut labels: HashMap<i64, u8> = HashMap::new();
    let mut names: HashMap<i64, String> = HashMap::new();
    for Category { id, name } in file.categories {
        let label = layout.categories.get(&name).unwrap_or(&name);
        // 0 leaves a category out; one that is not known matters only where it is used.
        if layout.categories.get(&name).is_some_and(String::is_empty) {
            labels.insert(id, 0);
        } else if let Some(label) = manifest.label(label) {
            labels.insert(id, label);
        }
        names.insert(id, name);
    }
    let subject = layout
        .subject
        .as_deref()
        .map(|text| Pattern::new(text, &Groups::new()));
    let subject = subject.transpose().map_err(bad)?;
    let mut units = Vec::new();
    let mut places: HashMap<i64, usize> = HashMap::new();
    for ImageEntry {
        id,
        file_name,
        width,
        height,
    } in file.images
    {
        let mut groups = groups.clone();
        let stem = file_name
            .rsplit_once('.')
            .map_or(file_name.as_str(), |(stem, _)| stem);
        let prefix: String = groups.values().map(|value| format!("{value}-")).collect();
        let item = safe(&format!("{prefix}{stem}"));
        let known = subject
            .as_ref()
            .and_then(|pattern| pattern.groups(&file_name)?.remove("subject"));
        groups.insert("file_name".to_owned(), file_name.clone());
        let image = join(from, &fill(&layout.images, &groups).map_err(bad)?);
        if places.insert(id, units.len()).is_some() {
            return Err(bad(format!("two images have the id {id}")).into());
        }
        units.push(Unit {
            json: json.clone(),
            image,
            subject: known.unwrap_or_else(|| item.clone()),
            id: item,
            name: file_name,
            groups,
            objects: Vec::new(),
            unlabelled: LabelSet::new(),
            drawn_on: drawn_on(width, height),
            notes: Notes::default(),
        });
    }
    for annotation in file.annotations {
        let Annotation {
            image_id,
            category_id,
            iscrowd,
            segmentation,
        } = annotation;
        let unit = places
            .get(&image_id)
            .and_then(|place| units.get_mut(*place));
        let unit = unit.ok_or_else(|| {
            bad(format!(
                "an annotation is of image {image_id}, which is not listed"
            ))
        })?;
        let label = *labels
            .get(&category_id)
            .ok_or_else(|| ImportError::UnknownValue {
                path: json.clone(),
                value: match names.get(&category_id) {
                    Some(name) => format!("the category `{name}`"),
                    None => format!("the category {category_id}, which it does not list,"),
                },
            })?;
        let crowd = iscrowd.is_some_and(Flag::is_set);
        match segmentation {
            _ if label == 0 => {}
            _ if crowd && layout.crowds == Crowds::Unlabelled => {
                unit.notes.add(Kind::Crowds, &unit.name);
                unit.unlabelled.insert(label);
            }
            Some(segmentation) if !segmentation.is_empty() => {
                unit.objects.push((label, segmentation));
            }
            // A box alone says that something is there, but not where it ends.
            _ => {
                unit.notes.add(Kind::NoOutline, &unit.name);
                unit.unlabelled.insert(label);
            }
        }
    }
    Ok(units)
}

impl Reader for CocoReader<'_> {
    fn units(&self) -> usize {
        self.units.len()
    }

    fn volumes(&self) -> bool {
        false
    }

    fn objects(&self) -> bool {
        true
    }

    fn read(&self, unit: usize) -> Result<Vec<Drawn>, CorpusError> {
        let Some(unit) = self.units.get(unit) else {
            return Ok(Vec::new());
        };
        let mut notes = unit.notes.clone();
        let image = raster::read_image(&unit.image, &self.manifest.images, |size, turn| {
            let seen = orientation::seen(&unit.image, size, turn, unit.drawn_on, self.exif)?;
            if turn != Orientation::NoTransforms && seen == Exif::Upright {
                notes.add(Kind::Upright, &unit.name);
            }
            Ok(seen)
        })?;
        let mut empty = LabelSet::new();
        let (width, height) = image.size();
        let mut canvas = Canvas::new(width, height);
        for (label, segmentation) in &unit.objects {
            let inside =
                pixels(segmentation, width, height).map_err(|reason| ImportError::Source {
                    path: unit.json.clone(),
                    reason: format!("{}: {reason}", unit.image.display()),
                })?;
            if !inside.contains(&true) {
                // Run lengths say that nothing is there; an outline says that something is.
                let runs = matches!(segmentation, Segmentation::Runs { .. });
                notes.add(
                    if runs {
                        Kind::EmptyRuns
                    } else {
                        Kind::Degenerate
                    },
                    &unit.name,
                );
                if !runs {
                    empty.insert(*label);
                }
                continue;
            }
            if let Segmentation::Polygons(polygons) = segmentation {
                for _ in polygons.iter().filter(|corners| is_degenerate(corners)) {
                    notes.add(Kind::Degenerate, &unit.name);
                }
            }
            let places = inside
                .iter()
                .enumerate()
                .filter(|(_, inside)| **inside)
                .map(|(at, _)| at);
            canvas
                .object(*label, places)
                .map_err(|reason| ImportError::Source {
                    path: unit.json.clone(),
                    reason: format!("{}: {reason}", unit.image.display()),
                })?;
        }
        // Never absent for want of a pixel.
        let labels = canvas.labels();
        let lost = empty.difference(&labels).copied();
        let unlabelled = unit.unlabelled.iter().copied().chain(lost).collect();
        Ok(vec![Drawn {
            id: unit.id.clone(),
            subject: unit.subject.clone(),
            groups: unit.groups.clone(),
            path: unit.image.clone(),
            image,
            canvas,
            unlabelled,
            notes,
        }])
    }
}

/// Width and height that the annotations were made on, where they are said.
fn drawn_on(width: Option<f64>, height: Option<f64>) -> Option<(usize, usize)> {
    let side = |side: f64| (side >= 1.0 && side.fract() == 0.0).then_some(side as usize);
    Some((side(width?)?, side(height?)?))
}

fn is_degenerate(corners: &[f64]) -> bool {
    corners.len() < 6 && corners.len().is_multiple_of(2)
}

impl Segmentation {
    /// Nothing is said about where the object is.
    fn is_empty(&self) -> bool {
        match self {
            Self::Polygons(polygons) => polygons.iter().all(Vec::is_empty),
            Self::Runs { counts, .. } => match counts {
                Counts::Plain(counts) => counts.is_empty(),
                Counts::Compressed(text) => text.is_empty(),
            },
        }
    }
}

/// `[height, width]`; several polygons are one object.
fn pixels(segmentation: &Segmentation, width: usize, height: usize) -> Result<Vec<bool>, String> {
    match segmentation {
        Segmentation::Polygons(polygons) => {
            let mut all = vec![false; width * height];
            // Two points enclose nothing.
            for corners in polygons.iter().filter(|corners| !is_degenerate(corners)) {
                let inside = polygon::fill(corners, width, height)?;
                all.iter_mut()
                    .zip(inside)
                    .for_each(|(pixel, inside)| *pixel |= inside);
            }
            Ok(all)
        }
        Segmentation::Runs { size, counts } => {
            if *size != [height, width] {
                let [rows, columns] = size;
                return Err(format!(
                    "a mask of {columns} x {rows} pixels on an image of {width} x {height}"
                ));
            }
            match counts {
                Counts::Plain(counts) => polygon::runs(counts, width, height),
                Counts::Compressed(text) => {
                    polygon::runs(&polygon::decompress(text)?, width, height)
                }
            }
        }
    }
}
