//! What one prompt should find in one view: the semantic mask, the objects, their boxes.
//!
//! Maps are sampled at [`SUBCELLS`] times the mask grid; a target cell is the share of its sub-cells that are covered.

use medsam3_corpus::connected_components;

/// Samples per cell and axis.
pub const SUBCELLS: usize = 4;

/// How a mask without instance ids falls into objects.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Objects {
    /// The whole mask is one object.
    Union,
    /// Every label index is one.
    Labels,
    /// Every connected component is one.
    Components,
}

/// What a prompt should find.
#[derive(Debug, Clone)]
pub struct Target {
    /// Share of each cell of the mask grid that belongs to the prompt, `[grid * grid]`.
    pub semantic: Vec<f32>,
    /// Whether anything is there.
    pub present: bool,
    /// cxcywh in 0..1 of every object.
    pub boxes: Vec<[f32; 4]>,
    /// Object number per sub-cell from 1, 0 elsewhere, `[fine * fine]`.
    objects: Vec<u16>,
    fine: usize,
}

impl Target {
    /// Nothing to find.
    pub fn absent(grid: usize) -> Self {
        Self {
            semantic: vec![0.0; grid * grid],
            present: false,
            boxes: vec![],
            objects: vec![],
            fine: 0,
        }
    }

    /// Reads the target of `indices` from a label map (and an instance map) of side `grid * SUBCELLS`.
    pub fn new(
        labels: &[u8],
        instances: Option<&[u16]>,
        indices: &[u8],
        rule: Objects,
        grid: usize,
    ) -> Self {
        let fine = grid * SUBCELLS;
        let inside: Vec<bool> = labels.iter().map(|label| indices.contains(label)).collect();
        if !inside.contains(&true) {
            return Self::absent(grid);
        }
        let ids: Vec<u16> = match (instances, rule) {
            (Some(map), _) => map
                .iter()
                .zip(&inside)
                .map(|(&id, &is)| if is { id } else { 0 })
                .collect(),
            (None, Objects::Union) => inside.iter().map(|&is| u16::from(is)).collect(),
            (None, Objects::Labels) => labels
                .iter()
                .zip(&inside)
                .map(|(&label, &is)| if is { u16::from(label) } else { 0 })
                .collect(),
            (None, Objects::Components) => connected_components(&inside, fine),
        };
        let (objects, boxes) = number_and_box(&ids, fine);
        let semantic = cover(inside.iter().copied(), fine);
        Self {
            semantic,
            present: true,
            boxes,
            objects,
            fine,
        }
    }

    /// The mask of one object on the grid, `[grid * grid]`.
    pub fn object_mask(&self, object: usize) -> Vec<f32> {
        cover(
            self.objects.iter().map(|&id| usize::from(id) == object + 1),
            self.fine,
        )
    }
}

/// Renumbers ids from 1 without gaps, in the order of their first cell, and boxes them.
fn number_and_box(ids: &[u16], side: usize) -> (Vec<u16>, Vec<[f32; 4]>) {
    let mut numbers = std::collections::HashMap::new();
    let mut bounds: Vec<[usize; 4]> = Vec::new();
    let objects = ids
        .iter()
        .enumerate()
        .map(|(at, &id)| {
            if id == 0 {
                return 0;
            }
            let (x, y) = (at % side, at / side);
            let number = *numbers.entry(id).or_insert_with(|| {
                bounds.push([x, y, x, y]);
                bounds.len()
            });
            let [x0, y0, x1, y1] = bounds[number - 1];
            bounds[number - 1] = [x0.min(x), y0.min(y), x1.max(x), y1.max(y)];
            u16::try_from(number).unwrap_or(u16::MAX)
        })
        .collect();
    let boxes = bounds
        .into_iter()
        .map(|[x0, y0, x1, y1]| {
            let [x0, y0, x1, y1] = [x0, y0, x1 + 1, y1 + 1].map(|edge| edge as f32 / side as f32);
            [(x0 + x1) / 2.0, (y0 + y1) / 2.0, x1 - x0, y1 - y0]
        })
        .collect();
    (objects, boxes)
}

/// Share of each block of `SUBCELLS` x `SUBCELLS` that is inside.
fn cover(inside: impl Iterator<Item = bool>, fine: usize) -> Vec<f32> {
    let grid = fine / SUBCELLS;
    let mut cells = vec![0.0; grid * grid];
    let share = 1.0 / (SUBCELLS * SUBCELLS) as f32;
    for (at, _) in inside.enumerate().filter(|(_, is)| *is) {
        cells[at / fine / SUBCELLS * grid + at % fine / SUBCELLS] += share;
    }
    cells
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2 x 2 cells, 8 x 8 sub-cells: label 1 fills columns 0..6 of rows 0..2, label 2 one corner.
    fn labels() -> Vec<u8> {
        let mut map = vec![0; 64];
        for y in 0..2 {
            for x in 0..6 {
                map[y * 8 + x] = 1;
            }
        }
        map[63] = 2;
        map
    }

    #[test]
    fn cells_hold_their_covered_share_and_boxes_their_edges() {
        let target = Target::new(&labels(), None, &[1], Objects::Union, 2);
        assert_eq!(target.semantic, [0.5, 0.25, 0.0, 0.0]);
        assert_eq!(target.boxes, [[0.375, 0.125, 0.75, 0.25]]);
        assert_eq!(target.object_mask(0), target.semantic);
    }

    #[test]
    fn a_mask_falls_into_objects_by_rule() {
        let count = |rule| Target::new(&labels(), None, &[1, 2], rule, 2).boxes.len();
        assert_eq!(
            [Objects::Union, Objects::Labels, Objects::Components].map(count),
            [1, 2, 2]
        );
        let mut ids = vec![0_u16; 64];
        ids[0] = 900;
        ids[1] = 7;
        ids[63] = 5;
        let target = Target::new(&labels(), Some(&ids), &[1], Objects::Union, 2);
        assert_eq!(
            target.boxes.len(),
            2,
            "the instance of another label is not part of the prompt"
        );
        assert_eq!(target.boxes[1], [0.1875, 0.0625, 0.125, 0.125]);
    }

    #[test]
    fn an_absent_prompt_has_no_object() {
        let target = Target::new(&labels(), None, &[3], Objects::Labels, 2);
        assert!(!target.present && target.boxes.is_empty() && target.semantic == [0.0; 4]);
    }
}
