//! What the inputs stand for: the series in each, and of each series the pictures that are asked for. Everything is listed
//! before anything is computed, so that wrong inputs are known early and no two results get one name.

use std::path::{Path, PathBuf};

use anyhow::Result;
use medsam3_imaging::series::{Kind, Listing, Place, Series};

use super::arguments::{Arguments, SliceChoice, WindowChoice};
use super::names::Named;
use crate::commands::inspect_images;
use crate::failure::CommandError;

/// A series, or a single image, that is to be segmented.
pub struct Target {
    /// The input as the user named it; of an image in a folder or an archive its own name.
    pub input: String,
    /// Which series of the input, from 1.
    pub number: usize,
    /// The series.
    pub series: Series,
    /// Which of its pictures, in order.
    pub pictures: Vec<Place>,
    /// What its results are called after.
    pub named: Named,
}

/// What is done next.
pub enum Job {
    /// A series to be segmented.
    Segment(Box<Target>),
    /// Something that cannot be: its name and the reason.
    Failed(String, anyhow::Error),
}

/// All there is to do, in the order of the inputs.
pub fn find(arguments: &Arguments) -> Vec<Job> {
    let mut jobs = Vec::new();
    for input in &arguments.inputs {
        let label = input.to_string_lossy().into_owned();
        match inspect_images::list(std::slice::from_ref(input)) {
            Err(error) => jobs.push(Job::Failed(label, error)),
            Ok(listing) => of_input(arguments, input, &label, listing, &mut jobs),
        }
    }
    jobs
}

fn of_input(
    arguments: &Arguments,
    input: &Path,
    label: &str,
    listing: Listing,
    jobs: &mut Vec<Job>,
) {
    let found = listing.series.len();
    let nothing = found == 0;
    for failure in listing.failures {
        // The one file that was named needs no other name.
        let label = if nothing {
            label.to_owned()
        } else {
            failure.name
        };
        jobs.push(Job::Failed(label, failure.error.into()));
    }
    if nothing && (input.is_dir() || listing.skipped + listing.others.len() > 0) {
        jobs.push(Job::Failed(
            label.to_owned(),
            no_image(input, listing.others.len()),
        ));
        return;
    }
    if let Some(number) = arguments.series
        && !(1..=found).contains(&number)
    {
        let error = CommandError {
            code: "SERIES-RANGE",
            message: format!("there is no series {number}; there are {found}, counted from 1"),
            next_step: "`medsam3 inspect` lists them.",
        };
        jobs.push(Job::Failed(label.to_owned(), error.into()));
        return;
    }
    let whole = found == 1 && !input.is_dir();
    for (at, series) in listing.series.into_iter().enumerate() {
        let number = at + 1;
        if arguments.series.is_some_and(|wanted| wanted != number) {
            continue;
        }
        let file = series.file_names().first().map(|name| (*name).to_owned());
        let (input, named) = match file {
            _ if whole => (label.to_owned(), Named::file(input)),
            Some(file) if series.kind() == Kind::Image => {
                let named = Named::file(&PathBuf::from(&file));
                (file, named)
            }
            _ => {
                let number = (found > 1).then_some(number);
                (label.to_owned(), Named::series(input, number))
            }
        };
        jobs.push(match pictures(arguments, &series) {
            Ok(pictures) => Job::Segment(Box::new(Target {
                input,
                number,
                series,
                pictures,
                named,
            })),
            Err(error) => Job::Failed(input, error.into()),
        });
    }
}

/// Why an input without a series has none.
fn no_image(input: &Path, others: usize) -> anyhow::Error {
    if others == 0
        && input.is_file()
        && let Ok(bytes) = std::fs::read(input)
        && let Err(error) = medsam3_imaging::open(&bytes)
    {
        return error.into();
    }
    let message = match others {
        0 => "there is no image in it".to_owned(),
        others => format!("there are {others} DICOM objects without pictures in it, and no image"),
    };
    CommandError {
        code: "INPUT-EMPTY",
        message,
        next_step: "Name DICOM, NIfTI, PNG, JPEG or TIFF files, or a folder or zip archive with some.",
    }
    .into()
}

/// The pictures of a series that are asked for.
fn pictures(arguments: &Arguments, series: &Series) -> Result<Vec<Place>, CommandError> {
    check_window(arguments.window.as_ref(), series)?;
    let (slices, frames) = (series.slices(), series.frames());
    if let Some(frame) = arguments.frame
        && frame >= frames
    {
        return Err(CommandError {
            code: "FRAME-RANGE",
            message: format!("there is no frame {frame}; there are {frames}, counted from 0"),
            next_step: "Choose another one with --frame, or slices with --slices.",
        });
    }
    // Of a cine the frames are what slices are of a volume.
    let along_frames = slices == 1 && frames > 1 && arguments.frame.is_none();
    let count = if along_frames { frames } else { slices };
    let (first, last) = match arguments.slices {
        SliceChoice::All => (1, count),
        SliceChoice::Middle => (count / 2 + 1, count / 2 + 1),
        SliceChoice::Range(first, last) => (first, last),
    };
    if last > count {
        return Err(CommandError {
            code: "SLICE-RANGE",
            message: format!(
                "there are no slices {first}-{last}; there are {count}, counted from 1"
            ),
            next_step: "Choose others with --slices.",
        });
    }
    let place = |number: usize| {
        if along_frames {
            Place {
                slice: 0,
                frame: number - 1,
            }
        } else {
            Place {
                slice: number - 1,
                frame: arguments.frame.unwrap_or(0),
            }
        }
    };
    Ok((first..=last).map(place).collect())
}

/// A window by name is in HU, which other modalities do not have.
fn check_window(window: Option<&WindowChoice>, series: &Series) -> Result<(), CommandError> {
    match (
        window.and_then(|window| window.name.as_deref()),
        series.modality(),
    ) {
        (Some(name), Some(modality)) if modality != "CT" => Err(CommandError {
            code: "WINDOW-MODALITY",
            message: format!("the window \"{name}\" is one of CT, in HU; this is {modality}"),
            next_step: "Give centre and width in the values of this series, or leave --window out.",
        }),
        _ => Ok(()),
    }
}
