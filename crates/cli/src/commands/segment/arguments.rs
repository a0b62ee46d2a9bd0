//! The arguments of `medsam3 segment`, each checked on parsing: a wrong one is bad usage (exit code 2).

use std::path::PathBuf;

use clap::ValueEnum;
use medsam3_imaging::Window;
use medsam3_weights::MaskRule;

use crate::device::DeviceChoice;

/// Finds what the prompts name in images (DICOM, PNG, JPEG; known by their content).
///
/// Prints one record per input and prompt: presence, instances (score, box in pixels, area in pixels and, where the file
/// has a pixel spacing, in mm²), seconds per stage. With --out, writes the mask at the input's own size as
/// <stem>.<prompt>.png (255 inside, 0 outside; the prompt in lower case, everything but letters and digits as "-").
#[derive(clap::Args)]
#[command(after_help = "Examples:
  medsam3 segment chest.dcm --prompt \"left lung\" --prompt \"right lung\" --out masks
  medsam3 segment slides/*.png --prompt \"cell nuclei\" --json --threshold 0.3
  medsam3 segment ct.dcm --prompt liver --window 60,400 --mask semantic --out masks --formats png,csv

Research and teaching only. Not a medical device.")]
pub struct Arguments {
    /// Images: DICOM, PNG or JPEG
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
    /// Window centre and width for grey images, in the file's own values (HU for CT); by default the file's window
    #[arg(long, value_name = "C,W", value_parser = window, allow_hyphen_values = true)]
    pub window: Option<Window>,
    /// The mask to write: the union of the instances kept, or the semantic head; by default what the model suggests
    #[arg(long, value_enum)]
    pub mask: Option<MaskChoice>,
    /// Frame of a multi-frame file, counted from 0
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub frame: usize,
    /// Folder for masks and measurements; without it nothing is written
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// What to write into it: png (masks), csv (measurements.csv)
    #[arg(long, value_name = "F,F", value_delimiter = ',', default_value = "png", value_parser = format)]
    pub formats: Vec<Format>,
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

/// A file format of results.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// A mask as an 8-bit grey image.
    Png,
    /// A table of measurements.
    Csv,
}

fn format(text: &str) -> Result<Format, String> {
    match text {
        "png" => Ok(Format::Png),
        "csv" => Ok(Format::Csv),
        "seg" | "nifti" => Err("not in this version; png and csv are".to_owned()),
        _ => Err("not a format; png and csv are".to_owned()),
    }
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

fn window(text: &str) -> Result<Window, String> {
    let numbers = text.split_once(',').and_then(|(center, width)| {
        let number = |text: &str| text.trim().parse::<f32>().ok().filter(|n| n.is_finite());
        Some((number(center)?, number(width)?))
    });
    match numbers {
        Some((center, width)) if width > 0.0 => Ok(Window { center, width }),
        Some(_) => Err("the width must be above 0".to_owned()),
        None => Err("write centre and width as two numbers, e.g. 40,400".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_are_two_numbers() {
        let parsed = window("-600,1500").unwrap();
        assert_eq!((parsed.center, parsed.width), (-600.0, 1500.0));
        for wrong in ["40", "40,0", "40,-1", "a,b", "40,400,1", "nan,1", ""] {
            assert!(window(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn formats_to_come_are_told_from_nonsense() {
        assert!(format("seg").unwrap_err().contains("not in this version"));
        assert!(format("gif").unwrap_err().contains("not a format"));
        assert_eq!(format("csv"), Ok(Format::Csv));
    }
}
