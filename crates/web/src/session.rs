//! What is open and loaded in the worker, and the answer to each request.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use burn::tensor::Device;
use js_sys::Uint8Array;
use medsam3_engine::{Control, EngineError, LoadOptions, PromptOptions, Segmenter, split_prompts};
use medsam3_imaging::{ImagingError, Picture, PictureKind, Window};

use crate::answers::{
    engine_failure, fraction, imaging_failure, model_info, picture_info, prompt_answer, rule, stage,
};
use crate::backend::{self, GpuWatch};
use crate::failure;
use crate::jobs::breathe;
use crate::outbox::Outbox;
use crate::protocol::{
    BackendChoice, Failure, MaskRule, Request, Response, Seconds, Stage, WindowLevel,
};
use crate::source::PageSource;

/// State of the worker. Nothing is borrowed across an await: requests interleave.
pub struct Session {
    out: Outbox,
    picture: RefCell<Option<Picture>>,
    /// Counts pictures, so that an embedding is never taken for that of another one.
    opened: Cell<u32>,
    processor: RefCell<Option<Processor>>,
    segmenter: RefCell<Option<Segmenter>>,
    /// The view whose embedding the segmenter holds.
    embedded: Cell<Option<View>>,
    /// The request that the engine's progress belongs to.
    working: Rc<Cell<Working>>,
}

struct Processor {
    device: Device,
    watch: GpuWatch,
}

/// What the model looks at: a frame of a picture through a window.
#[derive(Clone, Copy, PartialEq)]
struct View {
    picture: u32,
    frame: u32,
    window: Option<WindowLevel>,
}

#[derive(Clone, Copy, Default)]
struct Working {
    id: u32,
    prompt: usize,
    prompts: usize,
}

/// A `segment` request without its id.
struct Ask {
    prompts: String,
    frame: u32,
    window: Option<WindowLevel>,
    rule: MaskRule,
    threshold: Option<f32>,
}

/// The segmenter while it is at work; put back when the work ends or is cancelled.
struct Taken<'a> {
    slot: &'a RefCell<Option<Segmenter>>,
    segmenter: Option<Segmenter>,
}

impl Drop for Taken<'_> {
    fn drop(&mut self) {
        self.slot.replace(self.segmenter.take());
    }
}

impl Session {
    /// Nothing open, nothing loaded.
    pub fn new(out: Outbox) -> Self {
        Self {
            out,
            picture: RefCell::default(),
            opened: Cell::default(),
            processor: RefCell::default(),
            segmenter: RefCell::default(),
            embedded: Cell::default(),
            working: Rc::default(),
        }
    }

    /// Answers any request but `cancel`.
    ///
    /// # Errors
    ///
    /// The failure for the page; what was open and loaded stays so.
    pub async fn answer(&self, request: Request, buffers: Vec<Uint8Array>) -> Result<(), Failure> {
        match request {
            Request::Start { id, backend } => self.start(id, backend).await,
            Request::LoadModel { id, files } => self.load_model(id, files, buffers).await,
            Request::Open { id } => self.open(id, &buffers).await,
            Request::Frame { id, frame } => self.frame(id, frame),
            Request::Segment {
                id,
                prompts,
                frame,
                window,
                rule,
                threshold,
            } => {
                let ask = Ask {
                    prompts,
                    frame,
                    window,
                    rule,
                    threshold,
                };
                self.segment(id, ask).await
            }
            Request::Cancel { .. } => Ok(()),
        }
    }

    async fn start(&self, id: u32, choice: BackendChoice) -> Result<(), Failure> {
        self.out.progress(id, Stage::Device, None);
        let chosen = backend::choose(choice).await;
        self.processor.replace(Some(Processor {
            device: chosen.device,
            watch: chosen.watch,
        }));
        self.out.send(&Response::Started {
            id,
            backend: chosen.backend,
            why_cpu: chosen.why_cpu,
        });
        Ok(())
    }

    async fn load_model(
        &self,
        id: u32,
        files: Vec<String>,
        buffers: Vec<Uint8Array>,
    ) -> Result<(), Failure> {
        let device = self
            .processor
            .borrow()
            .as_ref()
            .map(|processor| processor.device.clone());
        let device = device.ok_or_else(failure::no_model)?;
        self.working.set(Working {
            id,
            ..Working::default()
        });
        let (out, working) = (self.out.clone(), self.working.clone());
        let control = Control::new()
            .on_progress(move |progress| {
                let Working {
                    id,
                    prompt,
                    prompts,
                } = working.get();
                out.progress(
                    id,
                    stage(progress.stage),
                    Some(fraction(progress, prompt, prompts)),
                );
            })
            .with_pause(|| Box::pin(breathe()));
        let source = PageSource::new(files, buffers);
        let loaded = Segmenter::load(source, device, LoadOptions::default(), control).await;
        let segmenter = loaded.map_err(|e| engine_failure(&e))?;
        self.gpu_is_well()?;
        let model = model_info(&segmenter);
        self.embedded.set(None);
        self.segmenter.replace(Some(segmenter));
        self.out.send(&Response::ModelLoaded { id, model });
        Ok(())
    }

    async fn open(&self, id: u32, buffers: &[Uint8Array]) -> Result<(), Failure> {
        self.out.progress(id, Stage::Decode, None);
        breathe().await;
        let bytes = buffers.first().map(Uint8Array::to_vec).unwrap_or_default();
        let picture = medsam3_imaging::open(&bytes).map_err(|e| imaging_failure(&e))?;
        let info = picture_info(&picture);
        self.picture.replace(Some(picture));
        self.opened.set(self.opened.get().wrapping_add(1));
        self.out.send(&Response::Opened { id, picture: info });
        Ok(())
    }

    fn frame(&self, id: u32, frame: u32) -> Result<(), Failure> {
        let picture = self.picture.borrow();
        let picture = picture.as_ref().ok_or_else(failure::no_picture)?;
        let (minimum, maximum, bytes) =
            pixels(picture, frame as usize).map_err(|e| imaging_failure(&e))?;
        self.out.send_with(
            &Response::Frame {
                id,
                frame,
                minimum,
                maximum,
            },
            &[&bytes],
        );
        Ok(())
    }

    async fn segment(&self, id: u32, ask: Ask) -> Result<(), Failure> {
        let prompts = split_prompts(&ask.prompts);
        if prompts.is_empty() {
            return Err(engine_failure(&EngineError::PromptEmpty));
        }
        self.gpu_is_well()?;
        let mut taken = Taken {
            slot: &self.segmenter,
            segmenter: self.segmenter.take(),
        };
        let segmenter = taken.segmenter.as_mut().ok_or_else(failure::no_model)?;
        self.working.set(Working {
            id,
            prompt: 0,
            prompts: prompts.len(),
        });
        let mut seconds = Seconds::default();
        let fresh = self.embed(segmenter, &ask).await?;
        let spacing = self
            .picture
            .borrow()
            .as_ref()
            .and_then(Picture::pixel_spacing_mm);
        let options = PromptOptions {
            threshold: ask.threshold,
            mask_rule: rule(ask.rule),
            ..PromptOptions::default()
        };
        for (index, prompt) in prompts.iter().enumerate() {
            self.working.set(Working {
                id,
                prompt: index,
                prompts: prompts.len(),
            });
            let result = segmenter.prompt(prompt, options).await;
            // What the GPU reported explains a failure better than its consequence does.
            self.gpu_is_well()?;
            let result = result.map_err(|e| engine_failure(&e))?;
            seconds.image = if fresh { result.seconds.image } else { 0.0 };
            seconds.prompts += result.seconds.text + result.seconds.prompt + result.seconds.masks;
            let answer = prompt_answer(index, &result, spacing, segmenter.config().text.context);
            self.out.send_with(
                &Response::Prompt { id, result: answer },
                &[&result.mask.bits],
            );
        }
        self.out.send(&Response::Segmented { id, seconds });
        Ok(())
    }

    /// Makes the segmenter hold the embedding of what is asked about; says whether it had to compute it.
    async fn embed(&self, segmenter: &mut Segmenter, ask: &Ask) -> Result<bool, Failure> {
        let view = View {
            picture: self.opened.get(),
            frame: ask.frame,
            window: ask.window,
        };
        let image = {
            let picture = self.picture.borrow();
            let picture = picture.as_ref().ok_or_else(failure::no_picture)?;
            if self.embedded.get() == Some(view) {
                return Ok(false);
            }
            let window = ask.window.map(|w| Window {
                center: w.center,
                width: w.width,
            });
            picture
                .render(ask.frame as usize, window)
                .map_err(|e| imaging_failure(&e))?
        };
        self.embedded.set(None);
        let opened = segmenter.open(&image).await;
        self.gpu_is_well()?;
        opened.map_err(|e| engine_failure(&e))?;
        self.embedded.set(Some(view));
        Ok(true)
    }

    fn gpu_is_well(&self) -> Result<(), Failure> {
        let fault = self
            .processor
            .borrow()
            .as_ref()
            .and_then(|processor| processor.watch.fault());
        fault.map_or(Ok(()), Err)
    }
}

/// Smallest value, largest value, and the pixels as the page reads them.
fn pixels(picture: &Picture, frame: usize) -> Result<(f32, f32, Vec<u8>), ImagingError> {
    match picture.kind() {
        PictureKind::Rgb => Ok((0.0, 255.0, picture.render(frame, None)?.pixels)),
        PictureKind::Gray => {
            let values = picture.gray_values(frame)?;
            let (minimum, maximum) = picture.value_range(frame).unwrap_or((0.0, 1.0));
            Ok((
                minimum,
                maximum,
                values
                    .iter()
                    .flat_map(|value| value.to_le_bytes())
                    .collect(),
            ))
        }
    }
}
