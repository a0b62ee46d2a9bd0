//! A segmentation as a document: segments over the pictures of one series, each with its name, colour, code
//! and origin, and a mask on every picture where it has pixels. Segments may overlap.

use std::collections::BTreeMap;

use medsam3_imaging::Mask;
pub use medsam3_imaging::series::Place;
use medsam3_imaging::series::Series;
use serde::{Deserialize, Serialize};

use crate::error::SegmentationError;
use crate::origin::Origin;
use crate::runs::Runs;
use crate::terms::{self, Coding};

/// The pictures that masks lie on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Grid {
    /// Of every picture.
    pub columns: usize,
    /// Of every picture.
    pub rows: usize,
    /// Slice positions, in the order of the series.
    pub slices: usize,
    /// Pictures per slice position.
    pub frames: usize,
}

impl Grid {
    /// Of a series.
    pub fn of(series: &Series) -> Self {
        Self {
            columns: series.columns(),
            rows: series.rows(),
            slices: series.slices(),
            frames: series.frames(),
        }
    }

    /// Pixels of one picture.
    pub fn pixels(&self) -> usize {
        self.columns.saturating_mul(self.rows)
    }

    /// Whether a picture is one of them.
    pub fn contains(&self, place: Place) -> bool {
        place.slice < self.slices && place.frame < self.frames
    }
}

/// One thing that was found or drawn.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Segment {
    /// What a person calls it; a prompt as it was typed.
    pub name: String,
    /// Red, green, blue (sRGB).
    pub color: [u8; 3],
    /// What it is, in SNOMED CT.
    pub coding: Coding,
    /// Who made it, and how.
    pub origin: Origin,
    masks: BTreeMap<Place, Runs>,
}

impl Segment {
    /// A segment without pixels. Its code follows from the name; its colour is the first of the palette
    /// until it is added to a [`Segmentation`].
    pub fn new(name: impl Into<String>, origin: Origin) -> Self {
        let name = name.into();
        Self {
            coding: terms::coding(&name),
            color: terms::color(0),
            name,
            origin,
            masks: BTreeMap::new(),
        }
    }

    /// The pictures where it has pixels, in order, with them.
    pub fn masks(&self) -> impl Iterator<Item = (Place, &Runs)> {
        self.masks.iter().map(|(&place, runs)| (place, runs))
    }

    /// Its pixels on one picture, `None` where it has none.
    pub fn runs(&self, place: Place) -> Option<&Runs> {
        self.masks.get(&place)
    }

    /// Whether it has no pixel at all.
    pub fn is_empty(&self) -> bool {
        self.masks.is_empty()
    }

    /// Pixels on all pictures.
    pub fn count(&self) -> usize {
        self.masks.values().map(Runs::count).sum()
    }

    /// Whether a pixel of both is the same one.
    pub fn overlaps(&self, other: &Self) -> bool {
        self.masks.iter().any(|(place, runs)| {
            other
                .runs(*place)
                .is_some_and(|others| !runs.intersection(others).is_empty())
        })
    }

    /// Replaces the pixels on one picture, and gives those that were there. The size is the caller's
    /// to check: [`Segmentation::set_runs`].
    pub(crate) fn replace(&mut self, place: Place, runs: Runs) -> Runs {
        let old = if runs.is_empty() {
            self.masks.remove(&place)
        } else {
            self.masks.insert(place, runs)
        };
        old.unwrap_or_default()
    }
}

/// Segments over a series.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Segmentation {
    grid: Grid,
    segments: Vec<Segment>,
}

impl Segmentation {
    /// Without segments, over the pictures of a series.
    pub fn new(series: &Series) -> Self {
        Self::on(Grid::of(series))
    }

    /// Without segments, over pictures.
    pub fn on(grid: Grid) -> Self {
        Self {
            grid,
            segments: Vec::new(),
        }
    }

    /// The pictures that it lies on.
    pub fn grid(&self) -> Grid {
        self.grid
    }

    /// The segments in the order of their numbers, which count from 1.
    pub fn segments(&self) -> &[Segment] {
        &self.segments
    }

    /// A segment, to rename or recolour it.
    pub fn segment_mut(&mut self, index: usize) -> Option<&mut Segment> {
        self.segments.get_mut(index)
    }

    /// Adds a segment with the next colour of the palette, and gives its index.
    pub fn add(&mut self, mut segment: Segment) -> usize {
        segment.color = terms::color(self.segments.len());
        self.push(segment)
    }

    /// Adds a segment with the colour that it has, and gives its index.
    pub fn push(&mut self, segment: Segment) -> usize {
        self.segments.push(segment);
        self.segments.len() - 1
    }

    /// Puts a segment at a place, or behind the last; those after it move down. Gives its index.
    pub fn insert(&mut self, index: usize, segment: Segment) -> usize {
        let index = index.min(self.segments.len());
        self.segments.insert(index, segment);
        index
    }

    /// Takes a segment out; those after it move up.
    pub fn remove(&mut self, index: usize) -> Option<Segment> {
        (index < self.segments.len()).then(|| self.segments.remove(index))
    }

    /// Puts the mask of a segment on one picture, in place of what is there.
    ///
    /// # Errors
    ///
    /// [`SegmentationError::NoSuchSegment`], [`SegmentationError::NoSuchPicture`],
    /// [`SegmentationError::MaskSize`].
    pub fn set_mask(
        &mut self,
        index: usize,
        slice: usize,
        frame: usize,
        mask: &Mask,
    ) -> Result<(), SegmentationError> {
        let expected = [self.grid.columns, self.grid.rows];
        let found = [mask.width, mask.height];
        if expected != found || mask.bits.len() != self.grid.pixels() {
            return Err(SegmentationError::MaskSize { expected, found });
        }
        self.set_runs(index, Place { slice, frame }, Runs::of_mask(mask))?;
        Ok(())
    }

    /// Puts the pixels of a segment on one picture, and gives those that were there.
    ///
    /// # Errors
    ///
    /// As [`Segmentation::set_mask`].
    pub fn set_runs(
        &mut self,
        index: usize,
        place: Place,
        runs: Runs,
    ) -> Result<Runs, SegmentationError> {
        if !self.grid.contains(place) {
            return Err(SegmentationError::NoSuchPicture {
                slice: place.slice,
                frame: place.frame,
            });
        }
        let pixels = self.grid.pixels();
        if runs
            .iter()
            .last()
            .is_some_and(|run| run.end as usize > pixels)
        {
            return Err(SegmentationError::MaskSize {
                expected: [self.grid.columns, self.grid.rows],
                found: [0, 0],
            });
        }
        let segment = self
            .segments
            .get_mut(index)
            .ok_or(SegmentationError::NoSuchSegment { index })?;
        Ok(segment.replace(place, runs))
    }

    /// The mask of a segment on one picture, `None` where it has no pixel there.
    pub fn mask(&self, index: usize, slice: usize, frame: usize) -> Option<Mask> {
        let runs = self.segments.get(index)?.runs(Place { slice, frame })?;
        Some(runs.to_mask(self.grid.columns, self.grid.rows))
    }

    /// Whether two segments share a pixel.
    pub fn has_overlaps(&self) -> bool {
        self.segments.iter().enumerate().any(|(index, segment)| {
            let others = self.segments.iter().skip(index + 1);
            others.into_iter().any(|other| segment.overlaps(other))
        })
    }

    /// Whether the document lies on the pictures of a series.
    ///
    /// # Errors
    ///
    /// [`SegmentationError::OtherSeries`].
    pub fn check_series(&self, series: &Series) -> Result<(), SegmentationError> {
        if self.grid == Grid::of(series) {
            Ok(())
        } else {
            Err(SegmentationError::OtherSeries {
                detail: "the number or the size of the pictures differs",
            })
        }
    }
}
