//! What is drawn on one image: for every pixel the set of its labels, and the object that it belongs to.
//! A dataset's index map has one index per pixel, so every combination of labels that occurs gets an index of its own
//! ([`Indices`]) and no label is painted over by another.

use std::collections::{BTreeMap, BTreeSet, HashMap};

/// Labels by index, from 1.
pub(super) type LabelSet = BTreeSet<u8>;

/// `[height, width]` pixels with their labels and objects.
#[derive(Debug, Clone)]
pub(super) struct Canvas {
    pub(super) width: usize,
    pub(super) height: usize,
    /// Place in `sets` per pixel; the first set is empty.
    pub(super) pixels: Vec<u16>,
    /// Combinations of labels on this image.
    pub(super) sets: Vec<LabelSet>,
    /// Object per pixel from 1, 0 for none.
    pub(super) objects: Vec<u16>,
    /// Objects drawn.
    pub(super) object_count: u16,
    /// Pixels of objects that a later object took.
    pub(super) overlapped: usize,
    /// A set and a label, and the place of both together.
    joined: HashMap<(u16, u8), u16>,
}

impl Canvas {
    pub(super) fn new(width: usize, height: usize) -> Self {
        Self {
            width,
            height,
            pixels: vec![0; width * height],
            sets: vec![LabelSet::new()],
            objects: vec![0; width * height],
            object_count: 0,
            overlapped: 0,
            joined: HashMap::new(),
        }
    }

    /// Adds `label` to a pixel.
    ///
    /// # Errors
    /// More combinations than a map can tell apart, in words.
    pub(super) fn label(&mut self, at: usize, label: u8) -> Result<(), String> {
        let Some(set) = self.pixels.get_mut(at) else {
            return Err("a mask reaches beyond its image".to_owned());
        };
        if let Some(&joined) = self.joined.get(&(*set, label)) {
            *set = joined;
            return Ok(());
        }
        let mut labels = self
            .sets
            .get(usize::from(*set))
            .cloned()
            .unwrap_or_default();
        labels.insert(label);
        let place = match self.sets.iter().position(|other| *other == labels) {
            Some(place) => place,
            None => {
                self.sets.push(labels);
                self.sets.len() - 1
            }
        };
        let place =
            u16::try_from(place).map_err(|_number| "too many combinations of labels".to_owned())?;
        self.joined.insert((*set, label), place);
        *set = place;
        Ok(())
    }

    /// A new object of `label` on the pixels `inside`; an empty one is none.
    ///
    /// # Errors
    /// More than 65535 objects, in words.
    pub(super) fn object(
        &mut self,
        label: u8,
        inside: impl Iterator<Item = usize>,
    ) -> Result<(), String> {
        let mut inside = inside.peekable();
        if inside.peek().is_none() {
            return Ok(());
        }
        let next = self
            .object_count
            .checked_add(1)
            .ok_or("more than 65535 objects")?;
        self.object_count = next;
        for at in inside {
            self.label(at, label)?;
            if let Some(object) = self.objects.get_mut(at) {
                self.overlapped += usize::from(*object != 0);
                *object = next;
            }
        }
        Ok(())
    }

    /// Pixels with any label.
    pub(super) fn labelled(&self) -> usize {
        self.pixels.iter().filter(|set| **set != 0).count()
    }

    /// Which of the sets occur.
    pub(super) fn used(&self) -> Vec<bool> {
        let mut used = vec![false; self.sets.len()];
        for &set in &self.pixels {
            if let Some(used) = used.get_mut(usize::from(set)) {
                *used = true;
            }
        }
        used
    }

    /// All labels that occur.
    pub(super) fn labels(&self) -> LabelSet {
        let sets = self.sets.iter().zip(self.used()).filter(|(_, used)| *used);
        sets.flat_map(|(set, _)| set.iter().copied()).collect()
    }

    /// The canvas at another size: labels of the pixel under the centre of each new one, as training reads masks.
    pub(super) fn resized(&self, width: usize, height: usize) -> Self {
        let at = |i: usize, new: usize, old: usize| {
            ((2 * i + 1) * old / (2 * new)).min(old.saturating_sub(1))
        };
        let take = |values: &[u16]| -> Vec<u16> {
            let rows = (0..height).map(|y| at(y, height, self.height) * self.width);
            rows.flat_map(|row| (0..width).map(move |x| row + at(x, width, self.width)))
                .filter_map(|place| values.get(place).copied())
                .collect()
        };
        Self {
            width,
            height,
            pixels: take(&self.pixels),
            objects: take(&self.objects),
            ..self.clone()
        }
    }
}

/// Indices of a dataset: its labels, then the combinations in the order in which they come up.
#[derive(Debug)]
pub(super) struct Indices {
    combinations: BTreeMap<LabelSet, u8>,
    last: u8,
}

impl Indices {
    /// For labels `1..=labels`.
    pub(super) fn new(labels: u8) -> Self {
        Self {
            combinations: BTreeMap::new(),
            last: labels,
        }
    }

    /// The index of a set of labels, `None` where all 255 are in use.
    pub(super) fn of(&mut self, set: &LabelSet) -> Option<u8> {
        match (set.len(), set.first()) {
            (_, None) => Some(0),
            (1, Some(&label)) => Some(label),
            _ => {
                if let Some(&index) = self.combinations.get(set) {
                    return Some(index);
                }
                self.last = self.last.checked_add(1)?;
                self.combinations.insert(set.clone(), self.last);
                Some(self.last)
            }
        }
    }

    /// The combinations with their indices.
    pub(super) fn combinations(&self) -> impl Iterator<Item = (&LabelSet, u8)> {
        self.combinations.iter().map(|(set, index)| (set, *index))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_that_lie_on_one_another_keep_their_pixels() {
        let mut canvas = Canvas::new(4, 1);
        for at in 0..3 {
            canvas.label(at, 1).expect("a label");
        }
        canvas.label(2, 2).expect("a label");
        canvas.label(3, 2).expect("a label");
        canvas.label(3, 2).expect("the same label again");
        let mut indices = Indices::new(2);
        let map: Vec<_> = canvas
            .pixels
            .iter()
            .map(|&set| indices.of(&canvas.sets[usize::from(set)]))
            .collect();
        assert_eq!(map, [Some(1), Some(1), Some(3), Some(2)]);
        assert_eq!(canvas.labels(), LabelSet::from([1, 2]));
        assert!(canvas.label(4, 1).is_err());
    }

    #[test]
    fn objects_are_counted_and_a_later_one_takes_shared_pixels() {
        let mut canvas = Canvas::new(3, 2);
        canvas.object(1, [0, 1].into_iter()).expect("an object");
        canvas.object(1, std::iter::empty()).expect("none");
        canvas.object(1, [1, 2].into_iter()).expect("an object");
        assert_eq!((canvas.object_count, canvas.overlapped), (2, 1));
        assert_eq!(canvas.objects, [1, 2, 2, 0, 0, 0]);
        let half = canvas.resized(1, 1);
        assert_eq!(
            (half.objects, half.pixels),
            (vec![0], vec![0]),
            "the pixel under the centre, rounded down as training does"
        );
    }

    #[test]
    fn indices_run_out_after_255() {
        let mut indices = Indices::new(254);
        assert_eq!(indices.of(&LabelSet::from([1, 2])), Some(255));
        assert_eq!(indices.of(&LabelSet::from([1, 3])), None);
        assert_eq!(indices.of(&LabelSet::from([1, 2])), Some(255));
    }
}
