//! The segmentation of the open series: its masks, changes of it, the way back, and measurements.

use std::rc::Rc;

use medsam3_imaging::series::Place;
use medsam3_segmentation as segmentation;
use medsam3_segmentation::{
    Editor, Measuring, Origin, Runs, Segment, SegmentId, Segmentation, SegmentationError, StepKind,
};

use super::{Listed, Workspace, convert};
use crate::answers::segmentation_failure;
use crate::event_loop::breathe;
use crate::failure;
use crate::protocol::{EditRequest, Failure, MaskInfo, PatchBox, PicturePlace, Response, Stage};

impl Workspace {
    /// Sends the document.
    ///
    /// # Errors
    ///
    /// No series is open.
    pub fn document(&self, id: u32) -> Result<(), Failure> {
        let listed = self.opened()?;
        self.send_document(id, &listed, Vec::new());
        Ok(())
    }

    fn send_document(&self, id: u32, listed: &Listed, changed: Vec<segmentation::ChangedMask>) {
        let document = convert::document(listed, changed);
        self.out.send(&Response::Document { id, document });
    }

    /// Changes the document and sends it.
    fn change(
        &self,
        id: u32,
        change: impl FnOnce(
            &Listed,
            &mut Editor,
        ) -> Result<Vec<segmentation::ChangedMask>, SegmentationError>,
    ) -> Result<(), Failure> {
        let listed = self.opened()?;
        let changed = change(&listed, &mut listed.editor.borrow_mut());
        let changed = changed.map_err(|error| segmentation_failure(&error))?;
        self.send_document(id, &listed, changed);
        Ok(())
    }

    /// Adds an empty segment.
    ///
    /// # Errors
    ///
    /// No series is open.
    pub fn new_segment(&self, id: u32, name: String) -> Result<(), Failure> {
        self.change(id, |_, editor| {
            let segment = Segment::new(name, Origin::of_person());
            editor.add(StepKind::NewSegment, vec![segment], true);
            Ok(Vec::new())
        })
    }

    /// Changes the pixels of a segment; `pixels` are those of a stroke's patch.
    ///
    /// # Errors
    ///
    /// No series is open, no such segment or picture, a locked segment, a patch of another size.
    pub fn edit(
        &self,
        id: u32,
        segment: u32,
        edit: EditRequest,
        pixels: &[u8],
    ) -> Result<(), Failure> {
        if let EditRequest::Paint { patch, .. } | EditRequest::Erase { patch, .. } = edit
            && patch.width as usize * patch.height as usize != pixels.len()
        {
            return Err(failure::unreadable_message());
        }
        self.change(id, |listed, editor| {
            let segment = SegmentId(segment);
            let place = |slice: u32, frame: u32| Place {
                slice: slice as usize,
                frame: frame as usize,
            };
            match edit {
                EditRequest::Paint {
                    slice,
                    frame,
                    patch,
                } => {
                    let runs = runs_of(patch, pixels, editor.segmentation());
                    editor.paint(segment, place(slice, frame), &runs, false)
                }
                EditRequest::Erase {
                    slice,
                    frame,
                    patch,
                } => {
                    let runs = runs_of(patch, pixels, editor.segmentation());
                    editor.paint(segment, place(slice, frame), &runs, true)
                }
                EditRequest::FillHoles => {
                    editor.edit(StepKind::FillHoles, segment, segmentation::fill_holes)
                }
                EditRequest::RemoveIslands { least } => {
                    editor.edit(StepKind::RemoveIslands, segment, |document, index| {
                        segmentation::remove_islands(document, index, least as usize)
                    })
                }
                EditRequest::KeepLargest => {
                    editor.edit(StepKind::KeepLargest, segment, segmentation::keep_largest)
                }
                EditRequest::Interpolate => {
                    let spacing = match listed.series.spacing_mm() {
                        Some([Some(column), Some(row), _]) => [column, row],
                        _ => [1.0, 1.0],
                    };
                    editor.edit(StepKind::Interpolate, segment, |document, index| {
                        segmentation::interpolate(document, index, spacing)
                    })
                }
                EditRequest::Union { other } => {
                    let other = editor.index(SegmentId(other))?;
                    editor.edit(StepKind::Union, segment, |document, index| {
                        segmentation::union(document, index, other)
                    })
                }
                EditRequest::Difference { other } => {
                    let other = editor.index(SegmentId(other))?;
                    editor.edit(StepKind::Difference, segment, |document, index| {
                        segmentation::difference(document, index, other)
                    })
                }
            }
        })
    }

    /// Changes what is said of a segment.
    ///
    /// # Errors
    ///
    /// No series is open, or no such segment.
    pub fn change_segment(
        &self,
        id: u32,
        segment: u32,
        name: Option<String>,
        color: Option<[u8; 3]>,
        locked: Option<bool>,
    ) -> Result<(), Failure> {
        self.change(id, |_, editor| {
            let segment = SegmentId(segment);
            editor.change(segment, name, color)?;
            if let Some(locked) = locked {
                editor.set_locked(segment, locked)?;
            }
            Ok(Vec::new())
        })
    }

    /// Takes a segment out.
    ///
    /// # Errors
    ///
    /// No series is open, no such segment, or it is locked.
    pub fn delete_segment(&self, id: u32, segment: u32) -> Result<(), Failure> {
        self.change(id, |_, editor| editor.delete(SegmentId(segment)))
    }

    /// Takes the last step back.
    ///
    /// # Errors
    ///
    /// No series is open, or a run that is under way is the last step.
    pub fn undo(&self, id: u32) -> Result<(), Failure> {
        self.change(id, |_, editor| editor.undo())
    }

    /// Brings it back.
    ///
    /// # Errors
    ///
    /// No series is open.
    pub fn redo(&self, id: u32) -> Result<(), Failure> {
        self.change(id, |_, editor| editor.redo())
    }

    /// Sends the masks on a picture.
    ///
    /// # Errors
    ///
    /// No series is open, or there is no reference.
    pub fn masks(
        &self,
        id: u32,
        place: PicturePlace,
        segments: Option<&[u32]>,
        of_reference: bool,
    ) -> Result<(), Failure> {
        let listed = self.opened()?;
        let editor = if of_reference {
            listed.reference.borrow()
        } else {
            listed.editor.borrow()
        };
        let grid = editor.segmentation().grid();
        let area = match listed.series.spacing_mm() {
            Some([Some(column), Some(row), _]) => Some(column * row),
            _ => None,
        };
        let mut masks = Vec::new();
        let mut pixels = Vec::new();
        for (segment, _, found) in editor.segments() {
            let wanted = segments.is_none_or(|wanted| wanted.contains(&segment.0));
            let Some(runs) = found.runs(convert::place(place)).filter(|_| wanted) else {
                continue;
            };
            let count = runs.count();
            masks.push(MaskInfo {
                segment: segment.0,
                pixels: count as u32,
                area_mm2: area.map(|area| area * count as f64),
            });
            pixels.push(runs.to_mask(grid.columns, grid.rows).bits);
        }
        let pixels: Vec<&[u8]> = pixels.iter().map(Vec::as_slice).collect();
        self.out
            .send_with(&Response::Masks { id, place, masks }, &pixels);
        Ok(())
    }

    /// Measures segments; other requests are answered between two pictures.
    ///
    /// # Errors
    ///
    /// No series is open, or a picture cannot be read.
    pub async fn measure(&self, id: u32, segments: Option<&[u32]>) -> Result<(), Failure> {
        let listed = self.opened()?;
        let (document, ids, version) = snapshot(&listed);
        let is_wanted = |id: &SegmentId| segments.is_none_or(|wanted| wanted.contains(&id.0));
        let wanted = ids.iter().map(is_wanted).collect();
        let measurements = self.measured(id, &listed, &document, wanted).await?;
        self.out.send(&Response::Measured {
            id,
            version,
            measurements: measurements
                .iter()
                .filter_map(|measured| {
                    let segment = ids.get(measured.number.checked_sub(1)?)?;
                    Some(convert::measurement(*segment, measured))
                })
                .collect(),
        });
        Ok(())
    }

    /// Measures picture by picture.
    pub(super) async fn measured(
        &self,
        id: u32,
        listed: &Listed,
        document: &Segmentation,
        wanted: Vec<bool>,
    ) -> Result<Vec<segmentation::Measurement>, Failure> {
        let failed = |error: SegmentationError| segmentation_failure(&error);
        let mut measuring = Measuring::new(&listed.series, document, wanted).map_err(failed)?;
        while measuring.step().map_err(failed)? {
            let (done, total) = measuring.progress();
            let fraction = done as f32 / total.max(1) as f32;
            self.out.progress(id, Stage::Measure, Some(fraction));
            breathe().await;
        }
        Ok(measuring.finish())
    }
}

/// The document as it is now, with the ids of its segments.
pub(super) fn snapshot(listed: &Rc<Listed>) -> (Segmentation, Vec<SegmentId>, u32) {
    let editor = listed.editor.borrow();
    let ids = editor.segments().map(|(id, ..)| id).collect();
    (editor.segmentation().clone(), ids, editor.version())
}

/// The pixels of a stroke.
fn runs_of(patch: PatchBox, pixels: &[u8], document: &Segmentation) -> Runs {
    let grid = document.grid();
    let corner = [patch.left as usize, patch.top as usize];
    let columns = patch.width as usize;
    Runs::of_patch(pixels, corner, columns, [grid.columns, grid.rows])
}
