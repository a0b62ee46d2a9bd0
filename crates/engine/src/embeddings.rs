//! Embeddings of slices seen before, least recently used first out, within a budget of device memory. The trunk is 96 %
//! of the work on an image (reference 2.2) and its output small: `[1, grid, grid, width]`, 10.6 MB as f16 at full size.
//! The neck's maps are ten times as large and quickly made again: only the slice in view has them.

use medsam3_model::burn::tensor::{DType, Tensor};

/// What an embedding was made of: a slice of a picture as seen through a window.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct View {
    /// The picture, by a number of the caller's that no other picture ever has.
    pub picture: u32,
    /// The slice or frame of it.
    pub frame: u32,
    /// Centre and width of the window in modality values; none for pictures without.
    pub window: Option<[f32; 2]>,
}

/// How much is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EmbeddingUse {
    /// Bytes that may be kept.
    pub budget_bytes: u64,
    /// Bytes that are.
    pub used_bytes: u64,
    /// Slices that are.
    pub slices: usize,
}

/// An embedding and the size of the image it stands for.
#[derive(Debug, Clone)]
pub(crate) struct Embedding {
    pub(crate) view: View,
    pub(crate) width: usize,
    pub(crate) height: usize,
    /// In the form it is kept in: f16 or f32.
    pub(crate) trunk: Tensor<4>,
}

impl Embedding {
    fn bytes(&self) -> u64 {
        let values = self.trunk.dims().iter().product::<usize>();
        let size = if self.trunk.dtype() == DType::F16 {
            2
        } else {
            4
        };
        (values * size) as u64
    }
}

/// The embeddings kept, the one used last at the end.
#[derive(Debug, Default)]
pub(crate) struct Embeddings {
    budget_bytes: u64,
    kept: Vec<Embedding>,
}

impl Embeddings {
    pub(crate) fn new(budget_bytes: u64) -> Self {
        Self {
            budget_bytes,
            kept: Vec::new(),
        }
    }

    pub(crate) fn usage(&self) -> EmbeddingUse {
        EmbeddingUse {
            budget_bytes: self.budget_bytes,
            used_bytes: self.kept.iter().map(Embedding::bytes).sum(),
            slices: self.kept.len(),
        }
    }

    /// Sets the budget and drops what no longer fits.
    pub(crate) fn set_budget(&mut self, bytes: u64) {
        self.budget_bytes = bytes;
        self.shrink_to(bytes);
    }

    pub(crate) fn holds(&self, view: View) -> bool {
        self.kept.iter().any(|kept| kept.view == view)
    }

    /// The embedding of a view, which now is the one used last.
    pub(crate) fn recall(&mut self, view: View) -> Option<Embedding> {
        let at = self.kept.iter().position(|kept| kept.view == view)?;
        let found = self.kept.remove(at);
        self.kept.push(found.clone());
        Some(found)
    }

    /// Keeps an embedding if it fits the budget at all; those used longest ago make room.
    pub(crate) fn keep(&mut self, embedding: Embedding) {
        self.kept.retain(|kept| kept.view != embedding.view);
        let Some(room) = self.budget_bytes.checked_sub(embedding.bytes()) else {
            return;
        };
        self.shrink_to(room);
        self.kept.push(embedding);
    }

    /// Whether a further embedding of this size would only push out others.
    pub(crate) fn is_full_for(&self, bytes: u64) -> bool {
        self.usage().used_bytes + bytes > self.budget_bytes
    }

    fn shrink_to(&mut self, bytes: u64) {
        while !self.kept.is_empty() && self.usage().used_bytes > bytes {
            self.kept.remove(0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use medsam3_model::burn::tensor::Device;

    fn view(frame: u32) -> View {
        View {
            picture: 1,
            frame,
            window: Some([40.0, 400.0]),
        }
    }

    fn embedding(frame: u32) -> Embedding {
        Embedding {
            view: view(frame),
            width: 4,
            height: 4,
            trunk: Tensor::zeros([1, 2, 2, 8], &Device::flex()),
        }
    }

    #[test]
    fn the_one_used_longest_ago_makes_room() {
        // Each takes 32 f32 values, 128 bytes.
        let mut kept = Embeddings::new(3 * 128 + 50);
        for frame in 0..3 {
            kept.keep(embedding(frame));
        }
        assert!(kept.is_full_for(128));
        assert!(kept.recall(view(0)).is_some());
        kept.keep(embedding(3));
        let holds = |kept: &Embeddings| (0..4).map(|i| kept.holds(view(i))).collect::<Vec<_>>();
        assert_eq!(
            holds(&kept),
            [true, false, true, true],
            "1 was used longest ago"
        );
        let other_window = View {
            window: None,
            ..view(0)
        };
        assert!(kept.recall(other_window).is_none());
        kept.keep(embedding(3));
        let used = kept.usage();
        assert_eq!((used.used_bytes, used.slices), (3 * 128, 3), "none twice");
        kept.set_budget(128);
        assert_eq!(holds(&kept), [false, false, false, true]);
        kept.set_budget(127);
        kept.keep(embedding(5));
        assert_eq!(kept.usage().slices, 0, "what does not fit is not kept");
    }
}
