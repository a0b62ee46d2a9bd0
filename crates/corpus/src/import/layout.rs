//! The part of a manifest that says how the files of a dataset are laid out: image and mask folders, COCO, NIfTI, DICOM.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::manifest::Manifest;
use super::orientation::Exif;
use super::pattern::{Groups, Pattern};

/// The layouts that can be read.
#[derive(Debug, Clone, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum Layout {
    /// Images, and one or more mask files beside each.
    Folders(Folders),
    /// Images and the annotations of COCO's object detection format.
    Coco(Coco),
    /// NIfTI volumes with label volumes on the same grid, cut into slices.
    Nifti(Nifti),
    /// DICOM series with DICOM SEG.
    Dicom(Dicom),
}

/// One value or a list.
#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
pub enum OneOrMany {
    /// One.
    One(String),
    /// Several, in the order in which they are tried.
    Many(Vec<String>),
}

impl OneOrMany {
    /// All of them.
    pub fn list(&self) -> &[String] {
        match self {
            Self::One(one) => std::slice::from_ref(one),
            Self::Many(many) => many,
        }
    }
}

/// Image and mask folders.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Folders {
    /// Path patterns of the images.
    pub images: OneOrMany,
    /// Path patterns of files that fit `images` and are none.
    #[serde(default)]
    pub exclude: Vec<String>,
    /// Name of an item; `{id}` by default.
    #[serde(default)]
    pub id: Option<String>,
    /// Whom it was taken from; `{subject}` where the path has it, else the item itself.
    #[serde(default)]
    pub subject: Option<String>,
    /// How pictures turned by EXIF were annotated, where their sizes do not tell.
    #[serde(default)]
    pub exif: Option<Exif>,
    /// What the masks are. Labels may lie on one another: a pixel keeps all of its own.
    pub masks: Vec<MaskRule>,
}

/// One kind of mask file.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MaskRule {
    /// Path patterns with the named parts of the image's path; of several the first that fits any file counts, and all files
    /// that it fits.
    pub path: OneOrMany,
    /// How its pixels are read.
    pub read: Reading,
    /// The label, where the reading gives only one.
    #[serde(default)]
    pub label: Option<String>,
    /// Grey values and their labels; `""` is background, and so is 0 unless it is named.
    #[serde(default)]
    pub values: BTreeMap<String, String>,
    /// Colours `#rrggbb` and their labels; `""` is background, and so is black unless it is named.
    #[serde(default)]
    pub colours: BTreeMap<String, String>,
    /// Largest difference per channel at which a colour still counts; the nearest one is taken. For masks stored as JPEG.
    #[serde(default)]
    pub tolerance: u8,
    /// Largest value that is background in a binary mask; by default half of the file's range.
    #[serde(default)]
    pub threshold: Option<u16>,
    /// What an image without this file means.
    #[serde(default)]
    pub missing: Missing,
}

/// How the pixels of a mask are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Reading {
    /// Above the threshold is the label.
    Binary,
    /// Grey values name labels.
    Values,
    /// Colours name labels.
    Colours,
    /// Every grey value but 0 is an object of the label.
    Ids,
    /// Every file is an object of the label, binary.
    Objects,
    /// A text file with the corners of a polygon, `x y` in pixels a line.
    Contour,
}

/// What an image without a mask file means.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Missing {
    /// The download is not complete.
    #[default]
    Error,
    /// The annotators found nothing.
    Background,
    /// Nobody looked for these labels.
    Unlabelled,
    /// The image is left out.
    Skip,
}

/// COCO's object detection format.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Coco {
    /// Path patterns of the JSON files; their named parts may be used by `images`.
    pub annotations: OneOrMany,
    /// Path of an image; `{file_name}` is that of the JSON.
    pub images: String,
    /// Whom an image was taken from: a pattern on `file_name` with `{subject}`.
    #[serde(default)]
    pub subject: Option<String>,
    /// Category names and their labels; `""` leaves a category out. Without it labels are called like categories.
    #[serde(default)]
    pub categories: BTreeMap<String, String>,
    /// What `iscrowd` means.
    #[serde(default)]
    pub crowds: Crowds,
    /// How pictures turned by EXIF were annotated, where their sizes do not tell.
    #[serde(default)]
    pub exif: Option<Exif>,
}

/// What objects with `iscrowd` are.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Crowds {
    /// Several objects in one outline: their label is unknown on that image.
    #[default]
    Unlabelled,
    /// Single objects, as CVAT exports masks.
    Objects,
}

/// NIfTI-1 volumes.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Nifti {
    /// Path patterns of the volumes.
    pub images: OneOrMany,
    /// Path patterns of files that fit `images` and are none.
    #[serde(default)]
    pub exclude: Vec<String>,
    /// Name of a volume; `{id}` by default. The number of the slice is added.
    #[serde(default)]
    pub id: Option<String>,
    /// Whom it was taken from; the volume by default.
    #[serde(default)]
    pub subject: Option<String>,
    /// Label volumes: `binary`, `values` or `ids`.
    pub masks: Vec<MaskRule>,
    /// How it is cut.
    #[serde(default)]
    pub plane: Plane,
}

/// How a volume is cut.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Plane {
    /// Seen from the feet, front at the top, the patient's right at the left.
    #[default]
    Axial,
    /// Seen from the front, head at the top, the patient's right at the left.
    Coronal,
    /// Seen from the patient's left, head at the top, front at the left.
    Sagittal,
    /// Third axis of the file by its second by its first, for volumes without a patient.
    Stored,
}

/// DICOM images with DICOM SEG.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Dicom {
    /// Path patterns of images and segmentations alike; `**/*` by default.
    #[serde(default)]
    pub files: Option<OneOrMany>,
    /// Segments by label, by the meaning or the value of their type's code (case does not count), and their labels; `""` leaves a
    /// segment out. Without it labels are called like segments.
    #[serde(default)]
    pub segments: BTreeMap<String, String>,
}

impl Layout {
    /// What a manifest of this layout must hold.
    pub(super) fn check(&self, manifest: &Manifest) -> Result<(), String> {
        match self {
            Self::Folders(folders) => folders.files().check(manifest, false),
            Self::Nifti(nifti) => nifti.files().check(manifest, true),
            Self::Coco(Coco {
                annotations,
                subject,
                categories,
                ..
            }) => {
                for pattern in annotations.list().iter().chain(subject) {
                    Pattern::new(pattern, &Groups::new())?;
                }
                manifest.declared(categories.values(), "layout.categories")
            }
            Self::Dicom(Dicom { files, segments }) => {
                for pattern in files.iter().flat_map(OneOrMany::list) {
                    Pattern::new(pattern, &Groups::new())?;
                }
                manifest.declared(segments.values(), "layout.segments")
            }
        }
    }
}

/// What the layouts with mask files beside images or volumes say alike.
#[derive(Debug, Clone, Copy)]
pub(super) struct FileRules<'a> {
    /// Path patterns of the images or volumes.
    pub(super) images: &'a [String],
    /// Path patterns of files that fit `images` and are none.
    pub(super) exclude: &'a [String],
    /// Name of an item.
    pub(super) id: Option<&'a str>,
    /// Whom it was taken from.
    pub(super) subject: Option<&'a str>,
    /// What the masks are.
    pub(super) masks: &'a [MaskRule],
}

impl Folders {
    pub(super) fn files(&self) -> FileRules<'_> {
        FileRules {
            images: self.images.list(),
            exclude: &self.exclude,
            id: self.id.as_deref(),
            subject: self.subject.as_deref(),
            masks: &self.masks,
        }
    }
}

impl Nifti {
    pub(super) fn files(&self) -> FileRules<'_> {
        FileRules {
            images: self.images.list(),
            exclude: &self.exclude,
            id: self.id.as_deref(),
            subject: self.subject.as_deref(),
            masks: &self.masks,
        }
    }
}

impl FileRules<'_> {
    fn check(&self, manifest: &Manifest, volumes: bool) -> Result<(), String> {
        for pattern in self.images.iter().chain(self.exclude) {
            Pattern::new(pattern, &Groups::new())?;
        }
        if self.masks.is_empty() {
            return Err("layout.masks is empty".to_owned());
        }
        let mut rules = self.masks.iter();
        rules.try_for_each(|rule| rule.check(manifest, volumes))
    }
}

impl MaskRule {
    fn check(&self, manifest: &Manifest, volumes: bool) -> Result<(), String> {
        let Self {
            path,
            read,
            label,
            values,
            colours,
            ..
        } = self;
        let what = format!(
            "the mask `{}`",
            path.list().first().map_or("", String::as_str)
        );
        if path.list().is_empty() {
            return Err("a mask has no path".to_owned());
        }
        if volumes && !matches!(read, Reading::Binary | Reading::Values | Reading::Ids) {
            return Err(format!("{what}: volumes are read as binary, values or ids"));
        }
        let one_label = !matches!(read, Reading::Values | Reading::Colours);
        if one_label != label.is_some()
            || (*read == Reading::Values) == values.is_empty()
            || (*read == Reading::Colours) == colours.is_empty()
        {
            return Err(format!(
                "{what}: values and colours name labels, every other reading has one `label`"
            ));
        }
        manifest.declared(
            label.iter().chain(values.values()).chain(colours.values()),
            &what,
        )?;
        if let Some(bad) = values.keys().find(|value| value.parse::<u16>().is_err()) {
            return Err(format!(
                "{what}: `{bad}` is not a grey value from 0 to 65535"
            ));
        }
        match colours.keys().find(|colour| parse_colour(colour).is_none()) {
            Some(bad) => Err(format!("{what}: `{bad}` is not a colour as #rrggbb")),
            None => Ok(()),
        }
    }
}

/// `#rrggbb` as red, green and blue.
pub(super) fn parse_colour(text: &str) -> Option<[u8; 3]> {
    let digits = text
        .strip_prefix('#')
        .filter(|digits| digits.len() == 6 && digits.is_ascii())?;
    let channel = |at: usize| u8::from_str_radix(digits.get(at..at + 2)?, 16).ok();
    Some([channel(0)?, channel(2)?, channel(4)?])
}
