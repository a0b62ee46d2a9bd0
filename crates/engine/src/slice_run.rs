//! A run over slices of a series: every prompt on every slice, the image of a slice encoded once. The caller asks for one
//! slice after the other, so that it decides between two of them: to pause is not to ask, results so far are in its
//! hands, and after a cancel the run goes on where it stopped. Memory does not grow with the series.

use medsam3_imaging::series::{PictureReader, Place, Series};
use medsam3_imaging::{ImagingError, Rgb8, Window};

use crate::{Control, EngineError, PromptOptions, PromptResult, Segmenter};

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
    reader: PictureReader<'a>,
    request: SliceRequest,
    done: usize,
    /// The prompts were read, all at once.
    read: bool,
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
        }
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
        let (picture, frame) = self
            .reader
            .picture(place.slice, place.frame)
            .map_err(failed)?;
        let image = picture.render(frame, *window).map_err(failed)?;
        let encoded = self.segmenter.encode(&image, control).await?;
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

#[cfg(test)]
mod tests;
