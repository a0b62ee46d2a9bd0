//! The arguments of `medsam3 segment`, each checked on parsing: a wrong one is bad usage (exit code 2).

use std::path::PathBuf;

use clap::ValueEnum;
use medsam3_imaging::Window;
use medsam3_segmentation::DocumentFormat;
use medsam3_weights::MaskRule;

use crate::device::DeviceChoice;

/// Finds what the prompts name in images and series: DICOM, NIfTI, PNG, JPEG, TIFF; files, folders, zip archives, DICOMDIRs.
///
/// Prints one record per picture and prompt: presence, instances (score, box in pixels, area in pixels and, where the pixel
/// spacing is known, in mm²), seconds per stage; and at the end of a series one record per prompt: slices, volume in ml, mean
/// and spread of the values. With --out, writes of a single image the mask at its own size as <stem>.<prompt>.png (255 inside,
/// 0 outside; the prompt in lower case, everything but letters and digits as "-"), of a series <stem>.<prompt>.nii.gz with its
/// affine and a row per slice in measurements.csv.
#[derive(clap::Args)]
#[command(after_help = "Examples:
  medsam3 segment chest.dcm --prompt \"left lung\" --prompt \"right lung\" --out masks
  medsam3 segment slides/*.png --prompt \"cell nuclei\" --json --threshold 0.3
  medsam3 segment ct.dcm --prompt liver --window 60,400 --mask semantic --out masks --formats png,csv
  medsam3 segment ct-folder --prompt \"liver, spleen\" --slices 40-80 --window soft-tissue --out masks --formats seg,nifti,csv

Research and teaching only. Not a medical device.")]
pub struct Arguments {
    /// Files, folders, zip archives or DICOMDIRs; their series are found by geometry
    #[arg(required = true, value_name = "INPUT")]
    pub inputs: Vec<PathBuf>,
    /// What to find, in words; several by commas, or by giving it several times
    #[arg(long = "prompt", required = true, value_name = "P", value_parser = prompt)]
    pub prompts: Vec<String>,
    /// The model folder; by default the model that comes with the program
    #[arg(long, value_name = "DIR")]
    pub model: Option<PathBuf>,
    /// Which device runs the model
    #[arg(long, value_enum, default_value_t = DeviceChoice::Auto)]
    pub device: DeviceChoice,
    /// Side in pixels of the square that the model sees, a multiple of its patch side (14); by default the model's own
    #[arg(long, value_name = "N")]
    pub size: Option<usize>,
    /// Keep instances with a score above this, 0 to 1; by default what the model suggests for the prompt, else 0.5
    #[arg(long, value_name = "T", value_parser = probability)]
    pub threshold: Option<f32>,
    /// Window for grey images: centre and width in the file's own values (HU for CT), or for CT soft-tissue, lung, liver, bone
    /// or brain; by default the file's window
    #[arg(long, value_name = "C,W|NAME", value_parser = window, allow_hyphen_values = true)]
    pub window: Option<WindowChoice>,
    /// The mask to write: the union of the instances kept, or the semantic head; by default what the model suggests
    #[arg(long, value_enum)]
    pub mask: Option<MaskChoice>,
    /// Which slices of a series: all, middle, or a range counted from 1, such as 40-80; of a cine which frames
    #[arg(long, value_name = "all|middle|A-B", default_value = "all", value_parser = slices)]
    pub slices: SliceChoice,
    /// Which series of each input, as `medsam3 inspect` numbers them; by default all
    #[arg(long, value_name = "N")]
    pub series: Option<usize>,
    /// Which picture where there are several at one position (time, echo), counted from 0; by default the first, of a cine all
    #[arg(long, value_name = "N")]
    pub frame: Option<usize>,
    /// Folder for masks and measurements; without it nothing is written
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// What to write into it: png (a mask per picture and prompt), overlay (a picture with all masks), nifti (a mask per prompt),
    /// nifti-labelmap, seg, seg-labelmap, rtstruct (all prompts), csv (measurements.csv), json (measurements), sr (measurements
    /// as a Structured Report, with the seg that it refers to); by default png for an image, nifti and csv for a volume, png and csv for other series
    #[arg(long, value_name = "F,F", value_delimiter = ',', value_parser = format)]
    pub formats: Option<Vec<Format>>,
    /// Leave the patient and the dates out of DICOM results; UIDs stay, or they would fit no image
    #[arg(long)]
    pub deidentify: bool,
    /// Replace results of the same name in that folder; without it they stay, and other results are an error
    #[arg(long, requires = "out")]
    pub overwrite: bool,
    /// One JSON object per line instead of text
    #[arg(long)]
    pub json: bool,
}

/// The user's choice of mask.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum MaskChoice {
    /// The union of the instances kept.
    Union,
    /// The semantic head, shown where the prompt is present.
    Semantic,
}

impl From<MaskChoice> for MaskRule {
    fn from(choice: MaskChoice) -> Self {
        match choice {
            MaskChoice::Union => Self::Union,
            MaskChoice::Semantic => Self::Semantic,
        }
    }
}

impl Format {
    /// The formats that hold all of a series in one file, with how its name ends, without the point before it.
    pub fn of_a_series() -> impl Iterator<Item = (Self, &'static str)> {
        let documents = [
            Self::Seg,
            Self::SegLabelmap,
            Self::Rtstruct,
            Self::NiftiLabelmap,
            Self::Json,
        ];
        let documents = documents.into_iter();
        documents
            .filter_map(|format| Some((format, format.of_document()?.ending())))
            .chain([(Self::Sr, "sr.dcm")])
    }

    /// The same among the formats of a whole document, but for the report, which refers to another file.
    pub fn of_document(self) -> Option<DocumentFormat> {
        match self {
            Self::Seg => Some(DocumentFormat::Seg),
            Self::SegLabelmap => Some(DocumentFormat::SegLabelmap),
            Self::Rtstruct => Some(DocumentFormat::Rtstruct),
            Self::NiftiLabelmap => Some(DocumentFormat::NiftiLabelmap),
            Self::Json => Some(DocumentFormat::Json),
            Self::Png | Self::Overlay | Self::Nifti | Self::Csv | Self::Sr => None,
        }
    }

    /// Whether it is a DICOM object, which is not written where nothing was found: it would hold nothing.
    pub fn is_dicom(self) -> bool {
        matches!(
            self,
            Self::Seg | Self::SegLabelmap | Self::Rtstruct | Self::Sr
        )
    }
}

/// A file format of results.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// A mask per picture as an 8-bit grey image.
    Png,
    /// All masks over a picture, as an image.
    Overlay,
    /// A mask per series and prompt as a NIfTI volume.
    Nifti,
    /// All masks of a series as numbers in one NIfTI volume, with a table; they must not overlap.
    NiftiLabelmap,
    /// All masks of a series as a DICOM segmentation, a bit for each.
    Seg,
    /// All masks of a series as numbers in one DICOM segmentation; they must not overlap.
    SegLabelmap,
    /// All masks of a series as contours in a DICOM RT Structure Set.
    Rtstruct,
    /// A table of measurements.
    Csv,
    /// Segments and measurements of a series.
    Json,
    /// Measurements as a DICOM Structured Report, which refers to the DICOM segmentation.
    Sr,
}

fn format(text: &str) -> Result<Format, String> {
    match text {
        "png" => Ok(Format::Png),
        "overlay" => Ok(Format::Overlay),
        "nifti" => Ok(Format::Nifti),
        "nifti-labelmap" => Ok(Format::NiftiLabelmap),
        "seg" => Ok(Format::Seg),
        "seg-labelmap" => Ok(Format::SegLabelmap),
        "rtstruct" => Ok(Format::Rtstruct),
        "csv" => Ok(Format::Csv),
        "json" => Ok(Format::Json),
        "sr" => Ok(Format::Sr),
        _ => Err(
            "not a format; png, overlay, nifti, nifti-labelmap, seg, seg-labelmap, rtstruct, csv, json and sr are"
                .to_owned(),
        ),
    }
}

/// The user's choice of slices.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SliceChoice {
    /// Every slice.
    All,
    /// The one in the middle.
    Middle,
    /// First and last, counted from 1.
    Range(usize, usize),
}

fn slices(text: &str) -> Result<SliceChoice, String> {
    const SHAPE: &str = "write all, middle, a number, or a range such as 40-80";
    let number = |text: &str| {
        text.trim()
            .parse::<usize>()
            .map_err(|_no_number| SHAPE.to_owned())
    };
    match text {
        "all" => Ok(SliceChoice::All),
        "middle" => Ok(SliceChoice::Middle),
        _ => {
            let (first, last) = match text.split_once('-') {
                Some((first, last)) => (number(first)?, number(last)?),
                None => (number(text)?, number(text)?),
            };
            if first == 0 || first > last {
                return Err("slices are counted from 1, and a range goes upwards".to_owned());
            }
            Ok(SliceChoice::Range(first, last))
        }
    }
}

/// The user's choice of window.
#[derive(Debug, Clone, PartialEq)]
pub struct WindowChoice {
    /// Centre and width.
    pub window: Window,
    /// The name it was asked for by, which stands for HU.
    pub name: Option<String>,
}

impl Arguments {
    /// Every prompt once, in order.
    pub fn prompts(&self) -> Vec<String> {
        medsam3_engine::split_prompts(&self.prompts.join(","))
    }
}

fn prompt(text: &str) -> Result<String, String> {
    if medsam3_engine::split_prompts(text).is_empty() {
        return Err("the prompt is empty; type what to find, for example \"lungs\"".to_owned());
    }
    Ok(text.to_owned())
}

/// A number within 0 and 1.
pub fn probability(text: &str) -> Result<f32, String> {
    let value: f32 = text
        .parse()
        .map_err(|_not_a_number| "not a number".to_owned())?;
    if (0.0..=1.0).contains(&value) {
        Ok(value)
    } else {
        Err("not within 0 and 1".to_owned())
    }
}

fn window(text: &str) -> Result<WindowChoice, String> {
    if let Some(window) = Window::named(text) {
        let name = Some(text.to_owned());
        return Ok(WindowChoice { window, name });
    }
    let numbers = text.split_once(',').and_then(|(center, width)| {
        let number = |text: &str| text.trim().parse::<f32>().ok().filter(|n| n.is_finite());
        Some((number(center)?, number(width)?))
    });
    match numbers {
        Some((center, width)) if width > 0.0 => Ok(WindowChoice {
            window: Window { center, width },
            name: None,
        }),
        Some(_) => Err("the width must be above 0".to_owned()),
        None => {
            let names: Vec<_> = Window::names().collect();
            Err(format!(
                "write centre and width as two numbers, e.g. 40,400, or one of {}",
                names.join(", ")
            ))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_are_two_numbers() {
        let parsed = window("-600,1500").unwrap();
        assert_eq!(
            (parsed.window.center, parsed.window.width),
            (-600.0, 1500.0)
        );
        assert_eq!(window("lung").unwrap().window, parsed.window);
        for wrong in ["40", "40,0", "40,-1", "a,b", "40,400,1", "nan,1", ""] {
            assert!(window(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn slices_are_counted_from_one() {
        assert_eq!(slices("40-80"), Ok(SliceChoice::Range(40, 80)));
        assert_eq!(slices("7"), Ok(SliceChoice::Range(7, 7)));
        for wrong in ["0", "0-3", "5-4", "-3", "a-b", "1-2-3", ""] {
            assert!(slices(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn formats_are_told_from_nonsense() {
        assert!(format("gif").unwrap_err().contains("not a format"));
        assert_eq!(format("csv"), Ok(Format::Csv));
    }
}
