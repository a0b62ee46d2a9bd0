//! The order of the pictures of one series, by where they lie (PS3.3 C.7.6.2.1.1): positions along the
//! normal of the pictures, several pictures at one position as frames, and from both the kind of series,
//! the distance of slices, the affine, and what is wrong. Instance numbers order only what has no place.

use std::collections::{BTreeSet, HashSet};

use super::problem::Problem;
use super::{Kind, SlicePlace};
use crate::dicom::summary::{FramePlace, Summary};
use crate::geometry::{Affine, Orientation, Vector, add_scaled, dot, length};

/// Distance along the normal below which two pictures are at one position.
const SAME_POSITION_MM: f64 = 0.01;

/// Part of a step by which steps may differ, of rounding and table movement.
const EVEN_STEPS: f64 = 0.03;

/// Movement in the plane per mm along the normal that is a tilt: the tangent of 0.2 degrees.
const TILT: f64 = 0.0035;

/// Steps of a grid beyond which missing slices are no gap in it.
const MAX_GRID: f64 = 20_000.0;

/// One picture of the series.
#[derive(Clone, Copy)]
struct Item<'a> {
    file: usize,
    frame: usize,
    summary: &'a Summary,
    place: &'a FramePlace,
}

impl<'a> Item<'a> {
    /// What says that two pictures at one position are the same one.
    fn identity(&self) -> (&'a str, &'a str, Option<i64>) {
        (
            &self.place.meaning,
            &self.place.time,
            self.summary.instance_number,
        )
    }
}

/// A series in order.
#[derive(Debug)]
pub(super) struct Arranged {
    pub(super) kind: Kind,
    pub(super) frames: usize,
    /// File and frame in it, slice by slice, the frames of each together.
    pub(super) pictures: Vec<(usize, usize)>,
    /// Between columns, between rows.
    pub(super) in_plane_mm: Option<[f64; 2]>,
    pub(super) step_mm: Option<f64>,
    pub(super) affine: Option<Affine>,
    /// Of each slice, where it lies on the grid of the affine.
    pub(super) places: Vec<SlicePlace>,
    pub(super) problems: BTreeSet<Problem>,
}

/// Orders the pictures of some files, in the order in which they were found.
pub(super) fn arrange(files: &[Summary]) -> Arranged {
    let mut problems: BTreeSet<Problem> = files
        .iter()
        .flat_map(|file| file.problems.iter().copied())
        .collect();
    let items = items(files, &mut problems);
    let in_plane_mm = common_spacing(&items);
    let size = |item: &Item<'_>| (item.summary.rows, item.summary.columns);
    let same_size = items.windows(2).all(|pair| match pair {
        [a, b] => size(a) == size(b),
        _ => true,
    });
    if !same_size {
        problems.insert(Problem::MixedSize);
    } else if in_plane_mm.is_none() {
        let any = items.iter().any(|item| item.place.spacing_mm.is_some());
        problems.insert(if any {
            Problem::MixedSpacing
        } else {
            Problem::NoSpacing
        });
    }
    let unordered = |kind, problems| Arranged {
        kind,
        frames: if kind == Kind::Cine { items.len() } else { 1 },
        pictures: items.iter().map(|item| (item.file, item.frame)).collect(),
        in_plane_mm,
        step_mm: None,
        affine: None,
        places: Vec::new(),
        problems,
    };
    let placed: Option<Vec<(Orientation, Vector)>> = items
        .iter()
        .map(|item| Some((item.place.orientation?, item.place.position?)))
        .collect();
    let (Some(placed), true) = (placed, same_size) else {
        let one_file = items.iter().all(|item| item.file == 0);
        let kind = match items.len() {
            0 | 1 => Kind::Image,
            _ if one_file && same_size => Kind::Cine,
            _ => Kind::Stack,
        };
        let tomographic = files.first().and_then(|file| file.modality.as_deref());
        if same_size
            && kind == Kind::Stack
            && matches!(tomographic, Some("CT" | "MR" | "PT" | "NM"))
        {
            problems.insert(Problem::NoPosition);
        }
        return unordered(kind, problems);
    };
    let Some(&(orientation, _)) = placed.first() else {
        return unordered(Kind::Image, problems);
    };
    if placed
        .iter()
        .any(|(other, _)| !other.is_close_to(orientation))
    {
        problems.insert(Problem::MixedOrientation);
        return Arranged {
            pictures: by_orientation(&items, &placed),
            ..unordered(Kind::Stack, problems)
        };
    }
    parallel(&items, &placed, orientation, in_plane_mm, problems)
}

/// The pictures by instance number and frame, without files that were sent twice.
fn items<'a>(files: &'a [Summary], problems: &mut BTreeSet<Problem>) -> Vec<Item<'a>> {
    let mut items: Vec<Item<'a>> = files
        .iter()
        .enumerate()
        .flat_map(|(file, summary)| {
            summary
                .frames
                .iter()
                .enumerate()
                .map(move |(frame, place)| Item {
                    file,
                    frame,
                    summary,
                    place,
                })
        })
        .collect();
    items.sort_by_key(|item| {
        (
            item.summary.instance_number.unwrap_or(i64::MAX),
            item.file,
            item.frame,
        )
    });
    let mut seen = HashSet::new();
    items.retain(|item| {
        if item.summary.sop_instance.is_empty() {
            return true;
        }
        // Some writers give all slices one UID: those differ in number or place.
        let place = item
            .place
            .position
            .map(|position| position.map(f64::to_bits));
        let new = seen.insert((
            item.summary.sop_instance.as_str(),
            item.frame,
            item.summary.instance_number,
            place,
        ));
        if !new {
            problems.insert(Problem::Duplicate);
        }
        new
    });
    items
}

/// The size of a pixel that all pictures share.
fn common_spacing(items: &[Item<'_>]) -> Option<[f64; 2]> {
    let [a, b] = items.first()?.place.spacing_mm?;
    let near = |a: f64, b: f64| (a - b).abs() <= 1e-3 * a.abs();
    items
        .iter()
        .all(|item| {
            item.place
                .spacing_mm
                .is_some_and(|[c, d]| near(a, c) && near(b, d))
        })
        .then_some([a, b])
}

/// Pictures of several orientations: those of one together, in order of their positions.
fn by_orientation(items: &[Item<'_>], placed: &[(Orientation, Vector)]) -> Vec<(usize, usize)> {
    let mut groups: Vec<(Orientation, Vec<(f64, usize)>)> = Vec::new();
    for (index, (orientation, position)) in placed.iter().enumerate() {
        let distance = |group: Orientation| dot(group.normal(), *position);
        match groups
            .iter_mut()
            .find(|(group, _)| group.is_close_to(*orientation))
        {
            Some((group, members)) => members.push((distance(*group), index)),
            None => groups.push((*orientation, vec![(distance(*orientation), index)])),
        }
    }
    let mut order = Vec::new();
    for (_, mut members) in groups {
        members.sort_by(|a, b| a.0.total_cmp(&b.0));
        order.extend(
            members
                .into_iter()
                .filter_map(|(_, index)| items.get(index))
                .map(|item| (item.file, item.frame)),
        );
    }
    order
}

/// The pictures at one position.
struct Position<'a> {
    /// Along the normal, in mm.
    distance: f64,
    /// Of the first picture.
    origin: Vector,
    items: Vec<Item<'a>>,
}

/// Pictures that are all parallel.
fn parallel(
    items: &[Item<'_>],
    placed: &[(Orientation, Vector)],
    orientation: Orientation,
    in_plane_mm: Option<[f64; 2]>,
    mut problems: BTreeSet<Problem>,
) -> Arranged {
    let normal = orientation.normal();
    let pixel = in_plane_mm.map_or(1.0, |[column, row]| column.min(row));
    let near = SAME_POSITION_MM.min(0.05 * pixel);
    let mut sorted: Vec<(f64, Vector, Item<'_>)> = placed
        .iter()
        .zip(items)
        .map(|((_, position), item)| (dot(normal, *position), *position, *item))
        .collect();
    // Stable: pictures of one position stay in the order of their instance numbers.
    sorted.sort_by(|a, b| a.0.total_cmp(&b.0));
    let mut positions: Vec<Position<'_>> = Vec::new();
    for (distance, origin, item) in sorted {
        match positions.last_mut() {
            Some(last) if distance - last.distance <= near => {
                if length(add_scaled(origin, -1.0, last.origin)) > 0.1 * pixel + near {
                    problems.insert(Problem::MixedPosition);
                }
                last.items.push(item);
            }
            _ => positions.push(Position {
                distance,
                origin,
                items: vec![item],
            }),
        }
    }
    for position in &mut positions {
        // Distances within the tolerance may have come in another order than the instances.
        position.items.sort_by_key(|item| {
            (
                item.summary.instance_number.unwrap_or(i64::MAX),
                item.file,
                item.frame,
            )
        });
    }
    let frames = if problems.contains(&Problem::MixedPosition) {
        // Every picture is one of its own.
        positions = positions
            .into_iter()
            .flat_map(|position| {
                position.items.into_iter().map(move |item| Position {
                    distance: position.distance,
                    origin: item.place.position.unwrap_or(position.origin),
                    items: vec![item],
                })
            })
            .collect();
        1
    } else {
        frames(&mut positions, &mut problems)
    };
    let pictures = positions
        .iter()
        .flat_map(|position| position.items.iter().take(frames))
        .map(|item| (item.file, item.frame))
        .collect();
    let in_patient = items.iter().all(|item| item.place.in_patient);
    let grid = grid(&positions, normal, pixel, &mut problems);
    let kind = match (positions.len(), frames) {
        (1, 1) => Kind::Image,
        (1, _) => Kind::Cine,
        _ if grid.is_some() && in_plane_mm.is_some() => Kind::Volume,
        _ => Kind::Stack,
    };
    let step_mm = grid
        .as_ref()
        .filter(|_| positions.len() > 1)
        .map(|grid| dot(grid.step, normal));
    let origin = positions.first().map(|position| position.origin);
    let affine = match (&grid, in_plane_mm, origin) {
        (Some(grid), Some([column, row]), Some(origin)) if in_patient => Some(Affine::from_steps(
            orientation.row.map(|part| part * column),
            orientation.column.map(|part| part * row),
            grid.step,
            origin,
        )),
        _ => None,
    };
    let start = positions.first().map_or(0.0, |position| position.distance);
    let places = positions
        .iter()
        .enumerate()
        .map(|(slice, position)| SlicePlace {
            distance_mm: position.distance - start,
            grid_index: grid
                .as_ref()
                .and_then(|grid| grid.indices.get(slice).copied()),
        })
        .collect();
    Arranged {
        kind,
        frames,
        pictures,
        in_plane_mm,
        step_mm,
        affine,
        places,
        problems,
    }
}

/// How many pictures every position has; what is more at some positions is left out and said.
fn frames(positions: &mut [Position<'_>], problems: &mut BTreeSet<Problem>) -> usize {
    let count = |positions: &[Position<'_>]| {
        let counts = || positions.iter().map(|position| position.items.len());
        (
            counts().min().unwrap_or_default(),
            counts().max().unwrap_or_default(),
        )
    };
    let (least, most) = count(positions);
    if most <= 1 {
        return least;
    }
    // Where half of the positions have one picture, another one at the same place is the same slice again.
    let single = positions
        .iter()
        .filter(|position| position.items.len() == 1)
        .count();
    if single * 2 >= positions.len() {
        problems.insert(Problem::Duplicate);
        return 1;
    }
    for position in positions.iter_mut() {
        let mut seen = HashSet::new();
        position.items.retain(|item| {
            let new = item.summary.frames.len() > 1 || seen.insert(item.identity());
            if !new {
                problems.insert(Problem::Duplicate);
            }
            new
        });
    }
    let (least, most) = count(positions);
    if least != most {
        problems.insert(Problem::UnevenFrames);
        return least;
    }
    same_meanings(positions);
    least
}

/// Puts the frames of every position in the order of meanings (echo, weighting, magnitude and phase) that
/// the first position has, where instance numbers give another one.
fn same_meanings(positions: &mut [Position<'_>]) {
    let Some((first, others)) = positions.split_first_mut() else {
        return;
    };
    let rank = |meaning: &str| {
        first
            .items
            .iter()
            .position(|item| *item.place.meaning == *meaning)
    };
    for position in others {
        let known = position
            .items
            .iter()
            .all(|item| rank(&item.place.meaning).is_some());
        if known {
            // Those of one meaning stay in order of time, at the places that the first position has.
            let mut sorted: Vec<Item<'_>> = Vec::with_capacity(position.items.len());
            let mut left = position.items.clone();
            for wanted in &first.items {
                let found = left
                    .iter()
                    .position(|item| item.place.meaning == wanted.place.meaning);
                if let Some(found) = found {
                    sorted.push(left.remove(found));
                }
            }
            if left.is_empty() {
                position.items = sorted;
            }
        }
    }
}

/// The regular grid that slice positions lie on.
struct Grid {
    /// From slice to slice, in mm.
    step: Vector,
    /// Of each position.
    indices: Vec<usize>,
}

/// The grid of some positions, `None` where they are on none.
fn grid(
    positions: &[Position<'_>],
    normal: Vector,
    pixel: f64,
    problems: &mut BTreeSet<Problem>,
) -> Option<Grid> {
    let (first, last) = (positions.first()?, positions.last()?);
    let total = last.distance - first.distance;
    if positions.len() == 1 {
        return Some(Grid {
            step: normal,
            indices: vec![0],
        });
    }
    if total <= 0.0 {
        return None;
    }
    // Movement in the plane per mm along the normal.
    let across = add_scaled(add_scaled(last.origin, -1.0, first.origin), -total, normal)
        .map(|part| part / total);
    if length(across) > TILT && length(across) * total > 0.1 * pixel {
        problems.insert(Problem::Tilt);
    }
    let off_line = positions.iter().any(|position| {
        let distance = position.distance - first.distance;
        let expected = add_scaled(add_scaled(first.origin, distance, normal), distance, across);
        length(add_scaled(position.origin, -1.0, expected)) > 0.3 * pixel
    });
    if off_line {
        problems.insert(Problem::MixedPosition);
    }
    let steps: Vec<f64> = positions
        .windows(2)
        .filter_map(|pair| match pair {
            [a, b] => Some(b.distance - a.distance),
            _ => None,
        })
        .collect();
    let least = steps.iter().copied().fold(f64::INFINITY, f64::min);
    let mean = total / steps.len() as f64;
    let even = steps
        .iter()
        .all(|step| (step - mean).abs() <= EVEN_STEPS * mean);
    if !even {
        problems.insert(Problem::Gap);
    }
    let count = |distance: f64, step: f64| (distance / step).round();
    let mut index = 0.0;
    let mut indices = vec![0];
    for step in &steps {
        let unit = if even { mean } else { least };
        let counted = count(*step, unit).max(1.0);
        if !even && (step - counted * unit).abs() > EVEN_STEPS * unit * counted.sqrt() {
            return None;
        }
        index += counted;
        if index > MAX_GRID {
            return None;
        }
        indices.push(index as usize);
    }
    let direction = add_scaled(last.origin, -1.0, first.origin);
    (!off_line).then(|| Grid {
        step: direction.map(|part| part / index),
        indices,
    })
}
