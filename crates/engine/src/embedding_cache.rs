//! Embeddings of slices seen before, least recently used first out, within a budget of device memory: going back to a
//! slice costs the neck alone. Beside them, outside the budget, the slice that was asked about last, ready for prompts:
//! asking it again costs nothing.

use crate::{Embedding, EncodedImage};

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

/// The embeddings kept, the one used last at the end. Of one model: another one's embeddings are of no use to it.
#[derive(Debug)]
pub struct EmbeddingCache {
    budget_bytes: u64,
    half: bool,
    kept: Vec<(View, Embedding)>,
    in_view: Option<(View, EncodedImage)>,
}

impl EmbeddingCache {
    /// Keeps up to `budget_bytes`, as f16 where `half` (see [`crate::Segmenter::keeps_half`]).
    #[must_use]
    pub fn new(budget_bytes: u64, half: bool) -> Self {
        Self {
            budget_bytes,
            half,
            kept: Vec::new(),
            in_view: None,
        }
    }

    /// The view that was asked about last, if it is this one. If it is another, that is let go: two views' maps are not
    /// needed at a time.
    pub fn in_view(&mut self, view: View) -> Option<EncodedImage> {
        self.in_view = self.in_view.take().filter(|(known, _)| *known == view);
        self.in_view.as_ref().map(|(_, image)| image.clone())
    }

    /// Makes this the view that was asked about last.
    pub fn set_in_view(&mut self, view: View, image: EncodedImage) {
        self.in_view = Some((view, image));
    }

    /// What is kept.
    #[must_use]
    pub fn usage(&self) -> EmbeddingUse {
        EmbeddingUse {
            budget_bytes: self.budget_bytes,
            used_bytes: self.kept.iter().map(|(_, kept)| kept.bytes()).sum(),
            slices: self.kept.len(),
        }
    }

    /// Sets the budget and drops what no longer fits.
    pub fn set_budget(&mut self, bytes: u64) {
        self.budget_bytes = bytes;
        self.shrink_to(bytes);
    }

    /// The embedding of a view, which now is the one used last.
    pub fn recall(&mut self, view: View) -> Option<Embedding> {
        let at = self.kept.iter().position(|(kept, _)| *kept == view)?;
        let found = self.kept.remove(at);
        let embedding = found.1.clone();
        self.kept.push(found);
        Some(embedding)
    }

    /// Keeps an embedding if it fits the budget at all; those used longest ago make room. Returns it in the form that is
    /// kept, so that a slice looks the same whenever it is shown.
    pub fn keep(&mut self, view: View, embedding: Embedding) -> Embedding {
        let embedding = if self.half {
            embedding.halved()
        } else {
            embedding
        };
        self.kept.retain(|(kept, _)| *kept != view);
        if let Some(room) = self.budget_bytes.checked_sub(embedding.bytes()) {
            self.shrink_to(room);
            self.kept.push((view, embedding.clone()));
        }
        embedding
    }

    /// Whether a view is not there and an embedding of so many bytes would push out no other.
    #[must_use]
    pub fn has_room_for(&self, view: View, bytes: u64) -> bool {
        let known = self.kept.iter().any(|(kept, _)| *kept == view);
        !known && self.usage().used_bytes + bytes <= self.budget_bytes
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
    use medsam3_model::burn::tensor::{Device, Tensor};

    fn view(frame: u32) -> View {
        View {
            picture: 1,
            frame,
            window: Some([40.0, 400.0]),
        }
    }

    /// 32 f32 values, 128 bytes.
    fn embedding() -> Embedding {
        Embedding {
            width: 4,
            height: 4,
            trunk: Tensor::zeros([1, 2, 2, 8], &Device::flex()),
            seconds: 0.0,
        }
    }

    #[test]
    fn the_one_used_longest_ago_makes_room() {
        let mut cache = EmbeddingCache::new(3 * 128 + 50, false);
        for frame in 0..3 {
            cache.keep(view(frame), embedding());
        }
        assert!(!cache.has_room_for(view(3), 128));
        assert!(cache.recall(view(0)).is_some());
        cache.keep(view(3), embedding());
        let holds = |cache: &EmbeddingCache| {
            let kept: Vec<View> = cache.kept.iter().map(|(view, _)| *view).collect();
            (0..4).map(|i| kept.contains(&view(i))).collect::<Vec<_>>()
        };
        assert_eq!(
            holds(&cache),
            [true, false, true, true],
            "1 was used longest ago"
        );
        let other_window = View {
            window: None,
            ..view(0)
        };
        assert!(cache.recall(other_window).is_none());
        cache.keep(view(3), embedding());
        let used = cache.usage();
        assert_eq!((used.used_bytes, used.slices), (3 * 128, 3), "none twice");
        cache.set_budget(128);
        assert_eq!(holds(&cache), [false, false, false, true]);
        cache.set_budget(127);
        cache.keep(view(5), embedding());
        assert_eq!(cache.usage().slices, 0, "what does not fit is not kept");
    }

    #[test]
    fn halves_take_half() {
        let mut cache = EmbeddingCache::new(1000, true);
        assert_eq!(cache.keep(view(0), embedding()).bytes(), 64);
        assert_eq!(cache.usage().used_bytes, 64);
        assert!(!cache.has_room_for(view(0), 64), "it is there");
    }
}
