//! Opening an image: the trunk block by block, so that it can be told how far it is and stopped; then the neck. Trunk
//! outputs of views are kept, so that going back to a slice costs the neck alone.

use medsam3_imaging::{Rgb8, normalise, resize_square};
use medsam3_model::burn::tensor::{DType, Tensor, TensorData};
use web_time::Instant;

use super::{OpenImage, Segmenter};
use crate::embeddings::{Embedding, EmbeddingUse, View};
use crate::readback::settle;
use crate::{EngineError, Stage};

impl Segmenter {
    /// Width and height in pixels of the image that is open.
    pub fn image_size(&self) -> Option<(usize, usize)> {
        self.image.as_ref().map(|image| (image.width, image.height))
    }

    /// Encodes an image for the prompts to come. On an error, the image that was open stays open.
    ///
    /// # Errors
    /// [`EngineError::ImageEmpty`], [`EngineError::Cancelled`], or the device's.
    pub async fn open(&mut self, image: &Rgb8) -> Result<(), EngineError> {
        let start = Instant::now();
        let trunk = self.encode(image, true).await?;
        self.show(None, (image.width, image.height), trunk, start)
            .await
    }

    /// As [`Segmenter::open`], for an image that is the given view of a picture: its embedding is kept.
    ///
    /// # Errors
    /// As [`Segmenter::open`].
    pub async fn open_view(&mut self, view: View, image: &Rgb8) -> Result<(), EngineError> {
        let start = Instant::now();
        let trunk = self.encode(image, true).await?;
        let trunk = self.keep(view, image, trunk);
        self.show(Some(view), (image.width, image.height), trunk, start)
            .await
    }

    /// Opens a view whose embedding is still there; says whether it was.
    ///
    /// # Errors
    /// [`EngineError::Cancelled`], or the device's.
    pub async fn recall(&mut self, view: View) -> Result<bool, EngineError> {
        let in_view = self.image.as_ref().and_then(|image| image.view);
        if in_view == Some(view) {
            return Ok(true);
        }
        let Some(kept) = self.embeddings.recall(view) else {
            return Ok(false);
        };
        let start = Instant::now();
        self.control.step(Stage::EncodingImage, 0, 1).await?;
        let size = (kept.width, kept.height);
        self.show(Some(view), size, kept.trunk, start).await?;
        self.work.images_recalled += 1;
        self.control.step(Stage::EncodingImage, 1, 1).await?;
        Ok(true)
    }

    /// Encodes a view that may be asked for next, if its embedding is not there and fits beside those that are; says
    /// whether it did. What is open stays open. May be dropped at any await.
    ///
    /// # Errors
    /// As [`Segmenter::open`].
    pub async fn prefetch(&mut self, view: View, image: &Rgb8) -> Result<bool, EngineError> {
        if !self.has_room_for(view) {
            return Ok(false);
        }
        let trunk = self.encode(image, false).await?;
        self.keep(view, image, trunk);
        Ok(true)
    }

    /// Whether [`Segmenter::prefetch`] would encode this view.
    pub fn has_room_for(&self, view: View) -> bool {
        let grid = self.config.image_side / self.config.vit.patch.max(1);
        let values = grid * grid * self.config.vit.width;
        let bytes = values * if self.half { 2 } else { 4 };
        !self.embeddings.holds(view) && !self.embeddings.is_full_for(bytes as u64)
    }

    /// Sets how many bytes kept embeddings may take, and drops what no longer fits.
    pub fn set_embedding_bytes(&mut self, bytes: u64) {
        self.embeddings.set_budget(bytes);
        self.device.memory_cleanup();
    }

    /// What embeddings are kept.
    pub fn embedding_use(&self) -> EmbeddingUse {
        self.embeddings.usage()
    }

    /// Forgets the image that is open, and the embeddings kept.
    pub fn close(&mut self) {
        self.image = None;
        let budget = self.embeddings.usage().budget_bytes;
        self.embeddings.set_budget(0);
        self.embeddings.set_budget(budget);
        self.device.memory_cleanup();
    }

    /// The trunk's output, `[1, grid, grid, width]`. `told` says whether progress is reported.
    async fn encode(&mut self, image: &Rgb8, told: bool) -> Result<Tensor<4>, EngineError> {
        let pixels = image
            .width
            .checked_mul(image.height)
            .and_then(|n| n.checked_mul(3));
        if image.pixels.is_empty() || pixels != Some(image.pixels.len()) {
            return Err(EngineError::ImageEmpty);
        }
        let blocks = self.config.vit.depth as u64;
        // Preparing the image and the neck count as a step each.
        let total = blocks + 2;
        self.pause(told, 0, total).await?;
        let side = self.config.image_side;
        let input = normalise(&resize_square(image, side));
        let input = TensorData::new(input, [1, 3, side, side]);
        let input = Tensor::<4>::from_data(input, &self.device);
        let mut pass = self.model.backbone.vision_backbone.trunk.begin(input);
        for block in 0..blocks {
            self.pause(told, 1 + block, total).await?;
            pass = self.model.backbone.vision_backbone.trunk.advance(pass);
            // One block at a time in the device's queue: a cancel, or a request during a prefetch, waits for no more.
            settle(&pass.x).await?;
        }
        self.work.images_encoded += 1;
        self.pause(told, 1 + blocks, total).await?;
        // The trunk's scratch memory is larger than the neck's and of other sizes.
        self.device.memory_cleanup();
        Ok(pass.x)
    }

    async fn pause(&self, told: bool, done: u64, total: u64) -> Result<(), EngineError> {
        if told {
            self.control.step(Stage::EncodingImage, done, total).await
        } else {
            self.control.rest().await
        }
    }

    /// Keeps an embedding and returns it in the form that is kept, so that a slice looks the same whenever it is opened.
    fn keep(&mut self, view: View, image: &Rgb8, trunk: Tensor<4>) -> Tensor<4> {
        let trunk = if self.half {
            trunk.cast(DType::F16)
        } else {
            trunk
        };
        self.embeddings.keep(Embedding {
            view,
            width: image.width,
            height: image.height,
            trunk: trunk.clone(),
        });
        trunk
    }

    /// Runs the neck and makes the image the open one.
    async fn show(
        &mut self,
        view: Option<View>,
        (width, height): (usize, usize),
        trunk: Tensor<4>,
        start: Instant,
    ) -> Result<(), EngineError> {
        let features = self.model.neck(&trunk.cast(DType::F32));
        for map in &features.maps {
            settle(map).await?;
        }
        let steps = self.config.vit.depth as u64 + 2;
        self.control
            .step(Stage::EncodingImage, steps, steps)
            .await?;
        self.image = Some(OpenImage {
            view,
            width,
            height,
            features,
            seconds: start.elapsed().as_secs_f64(),
        });
        self.device.memory_cleanup();
        Ok(())
    }
}
