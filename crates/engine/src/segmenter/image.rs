//! Encoding an image: the trunk block by block, so that it can be told how far it is and stopped; then the neck.

use medsam3_imaging::{Rgb8, normalise, resize_square};
use medsam3_model::burn::tensor::{DType, Tensor, TensorData};
use web_time::Instant;

use super::{Segmenter, count};
use crate::readback::settle;
use crate::{Control, Embedding, EncodedImage, EngineError, Stage};

impl Segmenter {
    /// Trunk and neck: all that prompts need of an image.
    ///
    /// # Errors
    /// [`EngineError::ImageEmpty`], [`EngineError::Cancelled`], or the device's.
    pub async fn encode(
        &self,
        image: &Rgb8,
        control: &Control,
    ) -> Result<EncodedImage, EngineError> {
        let embedding = self.embed(image, control).await?;
        self.finish(embedding, control).await
    }

    /// The trunk alone, nearly all of the work: its output is what an [`crate::EmbeddingCache`] keeps. May be dropped at
    /// any await.
    ///
    /// # Errors
    /// As [`Segmenter::encode`].
    pub async fn embed(&self, image: &Rgb8, control: &Control) -> Result<Embedding, EngineError> {
        let pixels = image
            .width
            .checked_mul(image.height)
            .and_then(|n| n.checked_mul(3));
        if image.pixels.is_empty() || pixels != Some(image.pixels.len()) {
            return Err(EngineError::ImageEmpty);
        }
        let start = Instant::now();
        let total = self.image_steps();
        control.step(Stage::EncodingImage, 0, total).await?;
        let side = self.config.image_side;
        let input = normalise(&resize_square(image, side));
        let input = TensorData::new(input, [1, 3, side, side]);
        let input = Tensor::<4>::from_data(input, &self.device);
        let trunk = &self.model.backbone.vision_backbone.trunk;
        let mut pass = trunk.begin(input);
        for block in 0..self.config.vit.depth as u64 {
            control.step(Stage::EncodingImage, 1 + block, total).await?;
            pass = trunk.advance(pass);
            // One block at a time in the device's queue: a cancel, or a request during work ahead of need, waits for no
            // more.
            settle(&pass.x).await?;
        }
        count(&self.work.images_encoded);
        // The trunk's scratch memory is larger than the neck's and of other sizes.
        self.device.memory_cleanup();
        Ok(Embedding {
            width: image.width,
            height: image.height,
            trunk: pass.x,
            seconds: start.elapsed().as_secs_f64(),
        })
    }

    /// The neck: makes an embedding ready for prompts.
    ///
    /// # Errors
    /// [`EngineError::Cancelled`], or the device's.
    pub async fn finish(
        &self,
        embedding: Embedding,
        control: &Control,
    ) -> Result<EncodedImage, EngineError> {
        let start = Instant::now();
        let total = self.image_steps();
        control.step(Stage::EncodingImage, total - 1, total).await?;
        let features = self.model.neck(&embedding.trunk.cast(DType::F32));
        for map in &features.maps {
            settle(map).await?;
        }
        self.device.memory_cleanup();
        control.step(Stage::EncodingImage, total, total).await?;
        Ok(EncodedImage {
            width: embedding.width,
            height: embedding.height,
            features,
            seconds: embedding.seconds + start.elapsed().as_secs_f64(),
        })
    }

    /// Bytes that an embedding takes where it is kept.
    #[must_use]
    pub fn embedding_bytes(&self) -> u64 {
        let grid = self.config.image_side / self.config.vit.patch.max(1);
        let values = grid * grid * self.config.vit.width;
        (values * if self.half { 2 } else { 4 }) as u64
    }

    /// Whether embeddings are best kept as f16: weights are, because memory is short.
    #[must_use]
    pub fn keeps_half(&self) -> bool {
        self.half
    }

    /// Preparing the image and the neck count as a step each, beside the trunk's blocks.
    fn image_steps(&self) -> u64 {
        self.config.vit.depth as u64 + 2
    }
}
