//! A run over slices of a series: every prompt on every slice, the image of a slice encoded once. The caller asks for one
//! slice after the other, so that it decides between two of them: to pause is not to ask, results so far are in its
//! hands, and after a cancel the run goes on where it stopped. Memory does not grow with the series.

use std::cell::RefCell;

use medsam3_imaging::series::{PictureReader, Place, Series};
use medsam3_imaging::{ImagingError, Rgb8, Window};

use crate::{
    Control, EmbeddingCache, EncodedImage, EngineError, PromptOptions, PromptResult, Segmenter,
    View,
};

/// What is asked of a series.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct SliceRequest {
    /// Pictures, in the order in which they are done.
    pub pictures: Vec<Place>,
    /// What to find.
    pub prompts: Vec<String>,
    /// The window for grey pictures; each picture's own where absent.
    pub window: Option<Window>,
    /// Thresholds and mask rule.
    pub options: PromptOptions,
}

/// The answers for one picture.
#[derive(Debug, Clone, PartialEq)]
pub struct SliceResult {
    /// Which picture.
    pub place: Place,
    /// Distance of rows and of columns in mm, where the picture has it.
    pub spacing_mm: Option<[f64; 2]>,
    /// The window that was applied; `None` for colour.
    pub window: Option<Window>,
    /// What was taken into account in reading the picture.
    pub notes: Vec<&'static str>,
    /// The picture as the model saw it, at its own size.
    pub image: Rgb8,
    /// One answer per prompt.
    pub answers: Vec<PromptResult>,
}

/// Why a slice has no answers.
#[derive(Debug, thiserror::Error)]
pub enum SliceError {
    /// The picture cannot be shown; the run goes on with the next slice.
    #[error("Slice {}: {source}", place.slice + 1)]
    Picture {
        /// Which picture.
        place: Place,
        /// The reason.
        source: ImagingError,
    },
    /// The engine stopped; asked again, the run tries the same slice.
    #[error(transparent)]
    Engine(#[from] EngineError),
}

/// A run under way.
pub struct SliceRun<'a> {
    segmenter: &'a Segmenter,
    reader: PictureReader<&'a Series>,
    request: SliceRequest,
    done: usize,
    /// The prompts were read, all at once.
    read: bool,
    /// Embeddings of slices seen before, and the number of the series among its pictures.
    kept: Option<(&'a RefCell<EmbeddingCache>, u32)>,
}

impl<'a> SliceRun<'a> {
    /// Begins a run; nothing is computed yet.
    #[must_use]
    pub fn new(segmenter: &'a Segmenter, series: &'a Series, request: SliceRequest) -> Self {
        Self {
            segmenter,
            reader: series.reader(),
            request,
            done: 0,
            read: false,
            kept: None,
        }
    }

    /// Takes images from a cache, and keeps new ones there: further prompts on the same slice then cost nothing of the image,
    /// on others the neck alone. `picture` is the number of the series in [`View::picture`].
    #[must_use]
    pub fn keeping(mut self, cache: &'a RefCell<EmbeddingCache>, picture: u32) -> Self {
        self.kept = Some((cache, picture));
        self
    }

    /// Slices done, those without a result among them, and slices in all.
    #[must_use]
    pub fn progress(&self) -> (usize, usize) {
        (self.done, self.request.pictures.len())
    }

    /// The answers for the next slice, `None` behind the last.
    ///
    /// # Errors
    /// [`SliceError::Picture`] for a slice that is left out, [`SliceError::Engine`] where the run stopped.
    pub async fn next(&mut self, control: &Control) -> Option<Result<SliceResult, SliceError>> {
        let &place = self.request.pictures.get(self.done)?;
        let result = self.picture(place, control).await;
        if !matches!(result, Err(SliceError::Engine(_))) {
            self.done += 1;
        }
        Some(result)
    }

    async fn picture(
        &mut self,
        place: Place,
        control: &Control,
    ) -> Result<SliceResult, SliceError> {
        let SliceRequest {
            prompts,
            window,
            options,
            ..
        } = &self.request;
        if !self.read {
            self.segmenter.read_prompts(prompts, control).await?;
            self.read = true;
        }
        let failed = |source| SliceError::Picture { place, source };
        let at = view_frame(self.reader.series(), place);
        let (picture, frame) = self
            .reader
            .picture(place.slice, place.frame)
            .map_err(failed)?;
        let image = picture.render(frame, *window).map_err(failed)?;
        let view = |picture| View {
            picture,
            frame: at,
            window: window.map(|window| [window.center, window.width]),
        };
        let kept = self.kept.map(|(cache, picture)| (cache, view(picture)));
        let encoded = encode(self.segmenter, &image, kept, control).await?;
        let mut result = SliceResult {
            place,
            spacing_mm: picture.pixel_spacing_mm(),
            window: picture.shown_window(frame, *window),
            notes: picture.notes().to_vec(),
            image,
            answers: Vec::with_capacity(prompts.len()),
        };
        for prompt in prompts {
            let answer = self.segmenter.prompt(&encoded, prompt, *options, control);
            result.answers.push(answer.await?);
        }
        Ok(result)
    }
}

/// The number of a picture among all of its series, for [`View::frame`].
#[must_use]
pub fn view_frame(series: &Series, place: Place) -> u32 {
    let frame = place.slice.saturating_mul(series.frames());
    u32::try_from(frame.saturating_add(place.frame)).unwrap_or(u32::MAX)
}

async fn encode(
    segmenter: &Segmenter,
    image: &Rgb8,
    kept: Option<(&RefCell<EmbeddingCache>, View)>,
    control: &Control,
) -> Result<EncodedImage, EngineError> {
    let Some((cache, view)) = kept else {
        return segmenter.encode(image, control).await;
    };
    let ready = cache.borrow_mut().in_view(view);
    if let Some(image) = ready {
        return Ok(image);
    }
    let known = cache.borrow_mut().recall(view);
    let embedding = match known {
        Some(embedding) => embedding,
        None => {
            let embedding = segmenter.embed(image, control).await?;
            cache.borrow_mut().keep(view, embedding)
        }
    };
    let image = segmenter.finish(embedding, control).await?;
    cache.borrow_mut().set_in_view(view, image.clone());
    Ok(image)
}

#[cfg(test)]
mod tests;
