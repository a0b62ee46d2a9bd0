//! What can be measured on the segments of a series: size, intensity, extent and place, per segment and frame.
//! Millimetres and millilitres only where the spacing is known; what makes a number doubtful is said with it.

use std::collections::BTreeMap;

use medsam3_imaging::PictureKind;
use medsam3_imaging::series::{Kind, PictureReader, Problem, Series};
use serde::Serialize;

use crate::components::Pieces;
use crate::diameter;
use crate::document::{Place, Segment, Segmentation};
use crate::error::SegmentationError;

/// What is to be said beside the numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Warning {
    /// The size of a pixel is not known: areas and lengths are in pixels alone.
    NotCalibrated,
    /// The distance of slices is not known or not even: there is no volume.
    NoVolume,
    /// The mask reaches the first slice: the structure may go on beyond the scan.
    TouchesFirstSlice,
    /// The mask reaches the last slice.
    TouchesLastSlice,
    /// The mask reaches the edge of a picture.
    TouchesImageEdge,
    /// Slices of the series are missing, and nothing of them is counted.
    MissingSlices,
}

impl Warning {
    /// The stable code.
    pub fn code(self) -> &'static str {
        match self {
            Self::NotCalibrated => "not-calibrated",
            Self::NoVolume => "no-volume",
            Self::TouchesFirstSlice => "touches-first-slice",
            Self::TouchesLastSlice => "touches-last-slice",
            Self::TouchesImageEdge => "touches-image-edge",
            Self::MissingSlices => "missing-slices",
        }
    }
}

/// Gray values within a mask: HU for CT, else in the units of the series.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Statistics {
    /// Arithmetic mean.
    pub mean: f64,
    /// Standard deviation of the pixels (divided by their number).
    pub sd: f64,
    /// Smallest value.
    pub min: f64,
    /// Largest value.
    pub max: f64,
    /// `"HU"` for CT, else `"value"`.
    pub unit: &'static str,
}

/// One picture of a segment.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SliceMeasurement {
    /// Slice, from 0.
    pub slice: usize,
    /// Pixels of the mask.
    pub pixels: usize,
    /// Area in mm².
    pub area_mm2: Option<f64>,
    /// Largest diameter and extent at right angles to it, in pixels.
    pub axes_px: [f64; 2],
    /// The same in mm.
    pub axes_mm: Option<[f64; 2]>,
}

/// A segment at one frame of the series, measured.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Measurement {
    /// Number of the segment, from 1.
    pub number: usize,
    /// Its name.
    pub name: String,
    /// Frame of the series, from 0.
    pub frame: usize,
    /// Pixels of all slices.
    pub voxels: usize,
    /// Volume in ml.
    pub volume_ml: Option<f64>,
    /// Gray values; `None` in colour and without finite values.
    pub statistics: Option<Statistics>,
    /// Slices with pixels, in order.
    pub slices: Vec<SliceMeasurement>,
    /// Index in `slices` of the one with the largest diameter.
    pub largest: usize,
    /// Mean column, row and slice.
    pub centroid_px: [f64; 3],
    /// The same in the patient (LPS), in mm.
    pub centroid_mm: Option<[f64; 3]>,
    /// First and last column, row and slice.
    pub bounding_box: [[usize; 2]; 3],
    /// Pieces that hang together by faces, edges or corners.
    pub components: usize,
    /// What is to be said beside the numbers.
    pub warnings: Vec<Warning>,
}

impl Measurement {
    /// The slice with the largest diameter.
    pub fn largest_slice(&self) -> Option<&SliceMeasurement> {
        self.slices.get(self.largest)
    }

    /// Area of all slices in mm²: of a single picture, its area.
    pub fn area_mm2(&self) -> Option<f64> {
        self.slices.iter().map(|slice| slice.area_mm2).sum()
    }
}

/// Measures every segment at every frame where it has pixels. Each file of the series is read once.
///
/// # Errors
///
/// [`SegmentationError::OtherSeries`], and whatever reading the pictures gives.
pub fn measure(
    series: &Series,
    segmentation: &Segmentation,
) -> Result<Vec<Measurement>, SegmentationError> {
    let all = vec![true; segmentation.segments().len()];
    let mut measuring = Measuring::new(series, segmentation, all)?;
    while measuring.step()? {}
    Ok(measuring.finish())
}

/// Measurements that are made picture by picture, so that a caller can say how far they are, and stop.
pub struct Measuring<'a> {
    series: &'a Series,
    segmentation: &'a Segmentation,
    /// Which of the segments.
    wanted: Vec<bool>,
    reader: PictureReader<&'a Series>,
    /// Pictures with masks in the order of reading, each with the segments that have one there.
    pictures: Vec<(Place, Vec<usize>)>,
    done: usize,
    sums: BTreeMap<(usize, usize), Sum>,
}

impl<'a> Measuring<'a> {
    /// Reads nothing yet. `wanted` says of each segment whether it is to be measured.
    ///
    /// # Errors
    ///
    /// [`SegmentationError::OtherSeries`].
    pub fn new(
        series: &'a Series,
        segmentation: &'a Segmentation,
        wanted: Vec<bool>,
    ) -> Result<Self, SegmentationError> {
        segmentation.check_series(series)?;
        let mut masks: BTreeMap<Place, Vec<usize>> = BTreeMap::new();
        for (index, segment) in segmentation.segments().iter().enumerate() {
            if wanted.get(index) == Some(&true) {
                for (place, _) in segment.masks() {
                    masks.entry(place).or_default().push(index);
                }
            }
        }
        let order = series.reading_order().into_iter();
        let pictures = order
            .filter_map(|place| Some((place, masks.remove(&place)?)))
            .collect();
        Ok(Self {
            series,
            segmentation,
            wanted,
            reader: series.reader(),
            pictures,
            done: 0,
            sums: BTreeMap::new(),
        })
    }

    /// Pictures read, and pictures in all.
    pub fn progress(&self) -> (usize, usize) {
        (self.done, self.pictures.len())
    }

    /// Reads the gray values of the next picture; `false` when there is none.
    ///
    /// # Errors
    ///
    /// Whatever reading the picture gives.
    pub fn step(&mut self) -> Result<bool, SegmentationError> {
        let Some((place, indices)) = self.pictures.get(self.done) else {
            return Ok(false);
        };
        let place = *place;
        self.done += 1;
        let (picture, at) = self.reader.picture(place.slice, place.frame)?;
        if picture.kind() != PictureKind::Gray {
            return Ok(true);
        }
        let values = picture.gray_values(at)?;
        for &index in indices {
            let segment = self.segmentation.segments().get(index);
            let sum = self.sums.entry((index, place.frame)).or_insert(Sum::EMPTY);
            for run in segment
                .and_then(|segment| segment.runs(place))
                .into_iter()
                .flat_map(|runs| runs.iter())
            {
                let range = run.start as usize..run.end as usize;
                values
                    .get(range)
                    .unwrap_or_default()
                    .iter()
                    .for_each(|&value| sum.add(value));
            }
        }
        Ok(true)
    }

    /// The measurements, with the gray values that were read.
    pub fn finish(mut self) -> Vec<Measurement> {
        let mut all = Vec::new();
        for (index, segment) in self.segmentation.segments().iter().enumerate() {
            if self.wanted.get(index) != Some(&true) {
                continue;
            }
            let mut frames: Vec<usize> = segment.masks().map(|(place, _)| place.frame).collect();
            frames.sort_unstable();
            frames.dedup();
            for frame in frames {
                let sum = self.sums.remove(&(index, frame));
                let unit = match self.series.modality() {
                    Some("CT") => "HU",
                    _ => "value",
                };
                let statistics = sum.and_then(|sum| sum.statistics(unit));
                let mut measured = geometry(self.series, segment, frame);
                measured.number = index + 1;
                measured.statistics = statistics;
                all.push(measured);
            }
        }
        all
    }
}

/// Mean and squares of the values so far (Welford).
#[derive(Clone, Copy)]
struct Sum {
    count: f64,
    mean: f64,
    squares: f64,
    min: f64,
    max: f64,
}

impl Sum {
    const EMPTY: Self = Self {
        count: 0.0,
        mean: 0.0,
        squares: 0.0,
        min: f64::INFINITY,
        max: f64::NEG_INFINITY,
    };

    fn add(&mut self, value: f32) {
        let value = f64::from(value);
        if !value.is_finite() {
            return;
        }
        self.count += 1.0;
        let step = value - self.mean;
        self.mean += step / self.count;
        self.squares += step * (value - self.mean);
        self.min = self.min.min(value);
        self.max = self.max.max(value);
    }

    fn statistics(self, unit: &'static str) -> Option<Statistics> {
        (self.count > 0.0).then(|| Statistics {
            mean: self.mean,
            sd: (self.squares / self.count).sqrt(),
            min: self.min,
            max: self.max,
            unit,
        })
    }
}

/// Everything but the gray values.
fn geometry(series: &Series, segment: &Segment, frame: usize) -> Measurement {
    let (width, height) = (series.columns(), series.rows());
    let in_plane = match series.spacing_mm() {
        Some([Some(column), Some(row), _]) => Some([column, row]),
        _ => None,
    };
    let mut slices = Vec::new();
    let mut sums = [0.0; 3];
    let mut grid_sum = 0.0;
    let mut voxels = 0;
    let mut bounds = [[usize::MAX, 0]; 3];
    for (place, runs) in segment.masks().filter(|(place, _)| place.frame == frame) {
        let pixels = runs.count();
        voxels += pixels;
        let grow = |bound: &mut [usize; 2], first: usize, last: usize| {
            let [low, high] = bound;
            *low = (*low).min(first);
            *high = (*high).max(last);
        };
        let [columns, rows, planes] = &mut bounds;
        grow(planes, place.slice, place.slice);
        let [x, y, z] = &mut sums;
        for (row, left, right) in runs.rows(width) {
            grow(columns, left, right - 1);
            grow(rows, row, row);
            let count = (right - left) as f64;
            *x += count * (left + right - 1) as f64 / 2.0;
            *y += count * row as f64;
        }
        *z += (pixels * place.slice) as f64;
        let grid_index = series
            .places()
            .get(place.slice)
            .and_then(|slice| slice.grid_index)
            .unwrap_or(place.slice);
        grid_sum += (pixels * grid_index) as f64;
        slices.push(SliceMeasurement {
            slice: place.slice,
            pixels,
            area_mm2: in_plane.map(|[column, row]| pixels as f64 * column * row),
            axes_px: diameter::axes(runs, width, [1.0, 1.0]).unwrap_or_default(),
            axes_mm: in_plane.and_then(|spacing| diameter::axes(runs, width, spacing)),
        });
    }
    let length = |slice: &SliceMeasurement| slice.axes_mm.unwrap_or(slice.axes_px)[0];
    let largest = (0..slices.len())
        .max_by(|&a, &b| {
            let of = |index: usize| slices.get(index).map_or(0.0, length);
            // The first of equal ones.
            of(a).total_cmp(&of(b)).then(b.cmp(&a))
        })
        .unwrap_or_default();
    let centroid_px = sums.map(|sum| sum / voxels.max(1) as f64);
    let [x, y, _] = centroid_px;
    let volume_ml = volume_of_voxel(series).map(|volume| voxels as f64 * volume / 1000.0);
    let warnings = warnings(series, in_plane.is_some(), &bounds, [width, height]);
    Measurement {
        number: 0,
        name: segment.name.clone(),
        frame,
        voxels,
        volume_ml,
        statistics: None,
        largest,
        slices,
        centroid_px,
        centroid_mm: series
            .affine()
            .map(|affine| affine.apply([x, y, grid_sum / voxels.max(1) as f64])),
        bounding_box: bounds,
        components: Pieces::of(segment, frame, width).sizes.len(),
        warnings,
    }
}

/// What a voxel of a volume with even slices takes in mm³; `None` for any other series.
pub fn volume_of_voxel(series: &Series) -> Option<f64> {
    if series.kind() != Kind::Volume {
        return None;
    }
    // With a tilted gantry the slices are sheared: their distance along the normal counts.
    match series.spacing_mm()? {
        [Some(column), Some(row), Some(step)] => Some(column * row * step),
        _ => None,
    }
}

fn warnings(
    series: &Series,
    calibrated: bool,
    [columns, rows, slices]: &[[usize; 2]; 3],
    [width, height]: [usize; 2],
) -> Vec<Warning> {
    let mut warnings = Vec::new();
    if !calibrated {
        warnings.push(Warning::NotCalibrated);
    }
    if series.slices() > 1 {
        if volume_of_voxel(series).is_none() {
            warnings.push(Warning::NoVolume);
        }
        if slices[0] == 0 {
            warnings.push(Warning::TouchesFirstSlice);
        }
        if slices[1] + 1 == series.slices() {
            warnings.push(Warning::TouchesLastSlice);
        }
    }
    if columns[0] == 0 || rows[0] == 0 || columns[1] + 1 >= width || rows[1] + 1 >= height {
        warnings.push(Warning::TouchesImageEdge);
    }
    if series.problems().contains(&Problem::Gap) {
        warnings.push(Warning::MissingSlices);
    }
    warnings
}
