//! DICOM segmentations on a series (PS3.3 A.51): each frame on the picture that it names, or at its place. A
//! frame whose place contradicts the picture that it names is refused.

use std::collections::{BTreeSet, HashMap};

use medsam3_imaging::segmentation_file::{
    Code as FileCode, SegmentInfo, SegmentationFile, SegmentationFrame, SegmentationKind,
};
use medsam3_imaging::series::Series;

use super::Imported;
use super::plane::{Pictures, PixelMap, Plane};
use crate::document::{Place, Segment, Segmentation};
use crate::error::SegmentationError;
use crate::origin::{Method, Origin};
use crate::runs::{Run, Runs};
use crate::terms::{self, Code, Coding};

/// Reads a DICOM segmentation onto a series. Of fractions, those of at least `threshold` (0 to 1) are inside.
///
/// # Errors
///
/// [`SegmentationError::OtherSeries`] where it belongs to another series, [`SegmentationError::Unreadable`]
/// for tiles of a slide, and what is wrong with the file.
pub fn read_seg(
    series: &Series,
    bytes: &[u8],
    threshold: f64,
) -> Result<Imported, SegmentationError> {
    let file = SegmentationFile::open(bytes)?;
    if file.total_size.is_some() {
        return Err(SegmentationError::Unreadable {
            detail: "it is of the tiles of a slide, which make no series here",
        });
    }
    let pictures = Pictures::of(series);
    check_reference(&file, &pictures)?;
    let mut document = Segmentation::new(series);
    let mut indices = HashMap::new();
    for info in file.segments.iter().filter(|info| info.number != 0) {
        let index = document.push(segment(info, document.segments().len()));
        indices.insert(info.number, index);
    }
    let grid = document.grid();
    let size = [file.columns, file.rows];
    let mut left_out = 0;
    for (index, frame) in file.frames.iter().enumerate() {
        let Some((place, map)) = locate(frame, size, &pictures)? else {
            left_out += 1;
            continue;
        };
        let found = match (file.bit_runs(index), frame.segment) {
            (Some(runs), Some(number)) => {
                let runs = runs.into_iter().map(|[start, end]| Run { start, end });
                vec![(number, Runs::of_sorted(runs))]
            }
            _ => masks(&file, frame, &file.values(index)?, threshold),
        };
        for (number, runs) in found {
            let Some(&segment) = indices.get(&number) else {
                continue;
            };
            let runs = match map {
                Some(map) => map.apply(&runs, file.columns, [grid.columns, grid.rows]),
                None => runs,
            };
            let there = document.segments().get(segment);
            let before = there.and_then(|segment| segment.runs(place)).cloned();
            let runs = before.map_or_else(|| runs.clone(), |before| before.union(&runs));
            document.set_runs(segment, place, runs)?;
        }
    }
    if left_out == file.frames.len() {
        return Err(SegmentationError::OtherSeries {
            detail: "none of its frames lies on a picture of the series",
        });
    }
    Ok(Imported {
        segmentation: document,
        left_out,
    })
}

/// Whether the file may be of the series: it names pictures of it, or lies in its frame of reference.
fn check_reference(
    file: &SegmentationFile,
    pictures: &Pictures<'_>,
) -> Result<(), SegmentationError> {
    let named = file
        .referenced_series
        .iter()
        .flat_map(|series| &series.sop_instance_uids)
        .chain(
            file.frames
                .iter()
                .flat_map(|frame| &frame.sources)
                .map(|source| &source.sop_instance_uid),
        );
    let mut names_any = false;
    for uid in named {
        names_any = true;
        if pictures.knows(uid) {
            return Ok(());
        }
    }
    let frames = (
        file.frame_of_reference_uid.as_deref(),
        pictures.series.frame_of_reference_uid(),
    );
    match frames {
        (Some(theirs), Some(ours)) if theirs == ours => Ok(()),
        (Some(_), Some(_)) => Err(SegmentationError::OtherSeries {
            detail: "it names none of its pictures and lies in another frame of reference",
        }),
        // Without a frame of reference on one side, places must do, unless other pictures are named.
        _ if names_any => Err(SegmentationError::OtherSeries {
            detail: "it names other pictures",
        }),
        _ => Ok(()),
    }
}

/// The picture of a frame, and how its pixels lie on it (`None`: as they are). `None` for a frame of none.
#[allow(clippy::type_complexity)]
fn locate(
    frame: &SegmentationFrame,
    size: [usize; 2],
    pictures: &Pictures<'_>,
) -> Result<Option<(Place, Option<PixelMap>)>, SegmentationError> {
    let series = pictures.series;
    let plane = match (frame.position, frame.orientation) {
        (Some(origin), Some(orientation)) => {
            let own = match series.spacing_mm() {
                Some([Some(column), Some(row), _]) => Some([column, row]),
                _ => None,
            };
            frame.spacing_mm.or(own).map(|spacing| Plane {
                origin,
                orientation,
                spacing,
            })
        }
        _ => None,
    };
    let slice = plane.and_then(|plane| {
        let [width, height] = size.map(|side| side.saturating_sub(1) as f64);
        let Plane {
            origin,
            orientation,
            spacing: [across, down],
        } = plane;
        let corner = |column: f64, row: f64| {
            let mut point = origin;
            for ((part, right), below) in point
                .iter_mut()
                .zip(orientation.row)
                .zip(orientation.column)
            {
                *part += right * column * across + below * row * down;
            }
            point
        };
        pictures.slice_of(&[
            corner(width / 2.0, height / 2.0),
            origin,
            corner(width, 0.0),
            corner(0.0, height),
        ])
    });
    let same_size = size == [series.columns(), series.rows()];
    let named = named(frame, slice, pictures);
    match (named, plane, slice) {
        // By place, and the frame of it by name.
        (named, Some(plane), Some(slice)) => {
            let frame_index = match named {
                Some(place) if place.slice != slice => return Err(contradiction()),
                Some(place) => place.frame,
                None if series.frames() == 1 => 0,
                None => {
                    return Err(SegmentationError::OtherSeries {
                        detail: "it does not say which of the frames at a slice it is of",
                    });
                }
            };
            let own = pictures.plane(slice);
            let map = own.and_then(|own| PixelMap::between(&plane, size, own));
            let Some(map) = map else {
                return Err(SegmentationError::OtherSeries {
                    detail: "its pixels do not fall on the pixels of the series",
                });
            };
            let place = Place {
                slice,
                frame: frame_index,
            };
            Ok(Some((place, Some(map))))
        }
        // It has a place, and that is none of the series.
        (Some(place), Some(_), None) if pictures.plane(place.slice).is_some() => {
            Err(contradiction())
        }
        (Some(place), ..) if same_size => Ok(Some((place, None))),
        (Some(_), ..) => Err(SegmentationError::OtherSeries {
            detail: "its pictures have another size",
        }),
        _ => Ok(None),
    }
}

fn contradiction() -> SegmentationError {
    SegmentationError::OtherSeries {
        detail: "a frame lies at another place than the picture that it names",
    }
}

/// The one picture that a frame names. Where it names several (a file with frames as a whole, or the many that a
/// grid of its own was made from), the one of them in the slice that it lies in, else at its stack and temporal
/// position.
fn named(
    frame: &SegmentationFrame,
    slice: Option<usize>,
    pictures: &Pictures<'_>,
) -> Option<Place> {
    let mut places = BTreeSet::new();
    for source in &frame.sources {
        let uid = &source.sop_instance_uid;
        if source.frames.is_empty() {
            places.extend(pictures.find(uid, None));
        }
        for &number in &source.frames {
            places.extend(pictures.find(uid, Some(number)));
        }
    }
    let only = |places: &BTreeSet<Place>| places.first().copied().filter(|_| places.len() == 1);
    only(&places).or_else(|| {
        let slice = slice.or(frame.stack_position);
        places.retain(|place| slice.is_none_or(|slice| place.slice == slice));
        only(&places).or_else(|| {
            let time = frame.temporal_position;
            places.retain(|place| time.is_some_and(|time| place.frame == time));
            only(&places)
        })
    })
}

/// The pixels of every segment in a frame.
fn masks(
    file: &SegmentationFile,
    frame: &SegmentationFrame,
    values: &[u16],
    threshold: f64,
) -> Vec<(u16, Runs)> {
    let of =
        |inside: &dyn Fn(u16) -> bool| Runs::of_bits(values.iter().map(|&value| inside(value)));
    match (file.kind, frame.segment) {
        (SegmentationKind::Binary, Some(number)) => vec![(number, of(&|value| value != 0))],
        (SegmentationKind::Fractional { maximum }, Some(number)) => {
            let least = (threshold * f64::from(maximum)).max(1.0);
            vec![(number, of(&|value| f64::from(value) >= least))]
        }
        (SegmentationKind::LabelMap, _) => {
            let mut numbers: Vec<u16> =
                values.iter().copied().filter(|&value| value != 0).collect();
            numbers.sort_unstable();
            numbers.dedup();
            numbers
                .into_iter()
                .map(|number| (number, of(&|value| value == number)))
                .collect()
        }
        _ => Vec::new(),
    }
}

fn segment(info: &SegmentInfo, index: usize) -> Segment {
    let name = if info.label.is_empty() {
        format!("Segment {}", info.number)
    } else {
        info.label.clone()
    };
    let method = match info.algorithm_type.as_deref() {
        Some("MANUAL") => Method::Manual,
        Some("SEMIAUTOMATIC") => Method::Semiautomatic,
        _ => Method::Automatic,
    };
    let mut segment = Segment::new(
        name,
        Origin {
            method,
            model: info.algorithm_name.clone(),
            ..Origin::default()
        },
    );
    segment.color = info
        .cielab
        .map_or_else(|| terms::color(index), crate::dicom::rgb);
    if let (Some(category), Some(kind)) = (&info.category, &info.property_type) {
        segment.coding = Coding {
            category: code(category),
            kind: code(kind),
            modifier: info.type_modifiers.first().map(code),
            known: true,
        };
    }
    segment
}

fn code(code: &FileCode) -> Code {
    Code {
        value: code.value.clone(),
        scheme: code.scheme.clone(),
        meaning: code.meaning.clone(),
    }
}
