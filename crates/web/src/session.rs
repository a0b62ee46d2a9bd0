//! What is open and loaded in the worker, and the answer to each request.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use async_lock::Mutex;
use burn::tensor::Device;
use js_sys::{ArrayBuffer, Uint8Array};
use medsam3_engine::kernels::tune;
use medsam3_engine::{
    Control, EmbeddingCache, EncodedImage, EngineError, Hold, LoadOptions, Progress, PromptOptions,
    Segmenter, Stage as Work, View, split_prompts,
};
use medsam3_imaging::{ImagingError, Picture, PictureKind, Rgb8, Window};
use send_wrapper::SendWrapper;
use wasm_bindgen::{JsCast, JsValue};

use crate::answers::{
    cache_info, engine_failure, fraction, imaging_failure, model_info, picture_info, prompt_answer,
    rule, stage,
};
use crate::backend::{self, GpuWatch};
use crate::blob;
use crate::event_loop::breathe;
use crate::failure;
use crate::jobs::Jobs;
use crate::outbox::Outbox;
use crate::prefetch::Prefetch;
use crate::protocol::{
    Backend, BackendChoice, Failure, MaskRule, PicturePlace, Request, Response, Seconds, Stage,
    WindowLevel,
};
use crate::self_test;
use crate::source::PageSource;
use crate::workspace::{self, Workspace};

/// A text encoder of more bytes than this leaves the device when the prompts of a request are read.
const TEXT_ENCODER_BYTES: u64 = 64 << 20;
/// What kept embeddings may take until the page says otherwise: on a GPU 12 slices of the full model in f32, twice as
/// many in f16; on the CPU they lie in the module's own memory.
const EMBEDDING_MIB_ON_GPU: u32 = 256;
const EMBEDDING_MIB_ON_CPU: u32 = 32;

/// State of the worker. Nothing is borrowed across an await: requests interleave.
pub struct Session {
    out: Outbox,
    pub(crate) picture: RefCell<Option<Picture>>,
    /// Counts pictures, so that an embedding is never taken for that of another one.
    pub(crate) opened: Rc<Cell<u32>>,
    pub(crate) processor: RefCell<Option<Processor>>,
    pub(crate) model: RefCell<Option<Rc<Model>>>,
    /// What the page said about the memory of embeddings.
    embedding_mib: Cell<Option<u32>>,
    /// The request that the engine's progress belongs to.
    working: Rc<Cell<Working>>,
    pub(crate) prefetch: Prefetch,
    /// Held by the request that the engine works on: the next one waits.
    turn: Mutex<()>,
    /// Series and segmentations.
    workspace: Workspace,
}

/// A model and what it made of pictures. Work that is under way holds it, so that one which was replaced meanwhile goes
/// when its last work ends.
pub(crate) struct Model {
    pub(crate) segmenter: Segmenter,
    pub(crate) embeddings: RefCell<EmbeddingCache>,
    /// The view that was asked about last.
    in_view: RefCell<Option<(View, EncodedImage)>>,
}

pub(crate) struct Processor {
    pub(crate) backend: Backend,
    device: Device,
    watch: GpuWatch,
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

impl Session {
    /// Nothing open, nothing loaded.
    pub fn new(out: Outbox, jobs: Jobs) -> Self {
        let opened = Rc::<Cell<u32>>::default();
        Self {
            workspace: Workspace::new(out.clone(), jobs, Rc::clone(&opened)),
            out,
            picture: RefCell::default(),
            opened,
            processor: RefCell::default(),
            model: RefCell::default(),
            embedding_mib: Cell::default(),
            working: Rc::default(),
            prefetch: Prefetch::default(),
            turn: Mutex::new(()),
        }
    }

    /// Answers any request but those about other requests. What needs the engine is done one after the other; the rest at
    /// once, also while the engine works.
    ///
    /// # Errors
    ///
    /// The failure for the page; what was open and loaded stays so.
    pub async fn answer(
        self: Rc<Self>,
        request: Request,
        buffers: Vec<JsValue>,
    ) -> Result<(), Failure> {
        let request = match self.answer_at_once(request, &buffers).await {
            Ok(done) => return done,
            Err(request) => request,
        };
        // Whoever asks for something goes first.
        self.stop_prefetch().await;
        let _turn = self.turn.lock().await;
        match request {
            Request::Start {
                id,
                backend,
                kernels,
            } => self.start(id, backend, kernels).await,
            Request::LoadModel {
                id,
                files,
                image_side,
            } => {
                let source = PageSource::handed_over(files, buffers);
                self.load_model(id, source, image_side).await
            }
            Request::OpenStored {
                id,
                model,
                image_side,
            } => {
                let source = PageSource::stored(&model).await?;
                self.load_model(id, source, image_side).await
            }
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
            Request::SegmentSeries {
                id,
                prompts,
                scope,
                at,
                window,
                rule,
                threshold,
                mask_threshold,
                on_protected,
            } => {
                let ask = workspace::Ask {
                    prompts,
                    scope,
                    at,
                    window,
                    rule,
                    threshold,
                    mask_threshold,
                    on_protected,
                };
                let loaded = self.loaded()?;
                let model = workspace::Model {
                    segmenter: &loaded.segmenter,
                    embeddings: &loaded.embeddings,
                    is_well: &|| self.gpu_is_well(),
                };
                self.workspace.segment_series(id, ask, model).await
            }
            _ => Err(failure::unreadable_message()),
        }
    }

    /// Answers what needs no engine, and gives back what does.
    async fn answer_at_once(
        &self,
        request: Request,
        buffers: &[JsValue],
    ) -> Result<Result<(), Failure>, Request> {
        let desk = &self.workspace;
        Ok(match request {
            Request::Cache { id, budget_mib } => self.cache(id, budget_mib),
            Request::Open { id } => self.open(id, buffers).await,
            Request::Frame { id, frame } => self.frame(id, frame),
            Request::OpenFiles { id, names } => {
                desk.open_files(id, blob::sources(names, buffers.to_vec()))
                    .await
            }
            Request::OpenSeries { id, series } => desk.open_series(id, series),
            Request::Slice {
                id,
                slice,
                frame,
                compact,
            } => desk.slice(id, PicturePlace { slice, frame }, compact),
            Request::Thumbnail { id, series, side } => desk.thumbnail(id, series, side),
            Request::Document { id } => desk.document(id),
            Request::Masks {
                id,
                slice,
                frame,
                segments,
                reference,
            } => {
                let place = PicturePlace { slice, frame };
                desk.masks(id, place, segments.as_deref(), reference)
            }
            Request::Measure { id, segments } => desk.measure(id, segments.as_deref()).await,
            Request::NewSegment { id, name } => desk.new_segment(id, name),
            Request::Edit { id, segment, edit } => {
                desk.edit(id, segment, edit, &bytes_of(buffers.first()))
            }
            Request::ChangeSegment {
                id,
                segment,
                name,
                color,
                locked,
            } => desk.change_segment(id, segment, name, color, locked),
            Request::DeleteSegment { id, segment } => desk.delete_segment(id, segment),
            Request::Undo { id } => desk.undo(id),
            Request::Redo { id } => desk.redo(id),
            Request::Export {
                id,
                formats,
                deidentify,
            } => desk.export(id, &formats, deidentify).await,
            Request::ImportSegmentation { id, found, into } => {
                let source = match found {
                    Some(index) => desk.found(index),
                    None => blob::sources(vec![String::new()], buffers.to_vec())
                        .pop()
                        .ok_or_else(failure::unreadable_message),
                };
                source.and_then(|source| desk.import(id, &source, into))
            }
            Request::Compare {
                id,
                segment,
                reference,
                frame,
                tolerance,
            } => desk.compare(id, segment, reference, frame, tolerance),
            other => return Err(other),
        })
    }

    async fn start(
        &self,
        id: u32,
        choice: BackendChoice,
        kernels: Option<String>,
    ) -> Result<(), Failure> {
        self.out.progress(id, Stage::Device, None);
        let chosen = backend::choose(choice).await;
        let measured = tune(&chosen.device, kernels.as_deref()).await;
        let (chosen, self_test) = self_test::checked(chosen, || {
            self.out.progress(id, Stage::SelfTest, None);
        })
        .await;
        self.processor.replace(Some(Processor {
            backend: chosen.backend,
            device: chosen.device,
            watch: chosen.watch,
        }));
        self.out.send(&Response::Started {
            id,
            backend: chosen.backend,
            why_cpu: chosen.why_cpu,
            kernels: measured.map(|measured| measured.to_json()),
            self_test,
        });
        Ok(())
    }

    async fn load_model(
        &self,
        id: u32,
        source: PageSource,
        image_side: Option<u32>,
    ) -> Result<(), Failure> {
        let processor = |processor: &Processor| (processor.device.clone(), processor.backend);
        let processor = self.processor.borrow().as_ref().map(processor);
        let (device, backend) = processor.ok_or_else(failure::no_model)?;
        // What was loaded makes room before the next one comes.
        self.model.replace(None);
        let options = LoadOptions {
            image_side: image_side.map(|side| side as usize),
            hold: match backend {
                Backend::Webgpu => Hold::stored_on(&device),
                Backend::Cpu => Hold::Single,
            },
            text_encoder_bytes: TEXT_ENCODER_BYTES,
        };
        let embedding_mib = self.embedding_mib.get().unwrap_or(match backend {
            Backend::Webgpu => EMBEDDING_MIB_ON_GPU,
            Backend::Cpu => EMBEDDING_MIB_ON_CPU,
        });
        self.working.set(Working {
            id,
            ..Working::default()
        });
        let loaded = Segmenter::load(source, device, options, &self.control()).await;
        let segmenter = loaded.map_err(|e| engine_failure(&e))?;
        self.gpu_is_well()?;
        let info = model_info(&segmenter);
        let embeddings = EmbeddingCache::new(mib(embedding_mib), segmenter.keeps_half());
        self.model.replace(Some(Rc::new(Model {
            segmenter,
            embeddings: RefCell::new(embeddings),
            in_view: RefCell::default(),
        })));
        self.out.send(&Response::ModelLoaded { id, model: info });
        Ok(())
    }

    /// Progress of the request that is being worked on, and pauses in which the worker hears the next one.
    pub(crate) fn control(&self) -> Control {
        // A worker has one thread: the wrapper only says so.
        let told = SendWrapper::new((self.out.clone(), self.working.clone()));
        Control::new()
            .on_progress(move |progress| {
                let (out, working) = &*told;
                let Working {
                    id,
                    prompt,
                    prompts,
                } = working.get();
                let fraction = fraction(&progress, prompt, prompts);
                let Progress {
                    stage: of,
                    done,
                    total,
                    part,
                } = progress;
                let loading = matches!(of, Work::VerifyingWeights | Work::ReadingWeights);
                let bytes = loading.then_some([done as f64, total as f64]);
                out.progress_of(id, stage(of), Some(fraction), bytes, part);
            })
            .with_pause(|| Box::pin(SendWrapper::new(breathe())))
    }

    /// The model that is loaded.
    fn loaded(&self) -> Result<Rc<Model>, Failure> {
        self.model.borrow().clone().ok_or_else(failure::no_model)
    }

    fn cache(&self, id: u32, budget_mib: Option<u32>) -> Result<(), Failure> {
        let model = self.loaded()?;
        let mut embeddings = model.embeddings.borrow_mut();
        if let Some(budget) = budget_mib {
            self.embedding_mib.set(Some(budget));
            embeddings.set_budget(mib(budget));
            model.segmenter.device().memory_cleanup();
        }
        let cache = cache_info(embeddings.usage());
        self.out.send(&Response::Cache { id, cache });
        Ok(())
    }

    async fn open(&self, id: u32, buffers: &[JsValue]) -> Result<(), Failure> {
        self.out.progress(id, Stage::Decode, None);
        breathe().await;
        let bytes = bytes_of(buffers.first());
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

    async fn segment(self: &Rc<Self>, id: u32, ask: Ask) -> Result<(), Failure> {
        let prompts = split_prompts(&ask.prompts);
        if prompts.is_empty() {
            return Err(engine_failure(&EngineError::PromptEmpty));
        }
        self.gpu_is_well()?;
        let model = self.loaded()?;
        let control = self.control();
        self.working.set(Working {
            id,
            prompt: 0,
            prompts: prompts.len(),
        });
        let mut seconds = Seconds::default();
        let view = View {
            picture: self.opened.get(),
            frame: ask.frame,
            window: ask.window.map(|window| [window.center, window.width]),
        };
        let (image, fresh) = self.encode(&model, view, &control).await?;
        // All at once, so that a large text encoder is fetched once for all of them.
        let read = model.segmenter.read_prompts(&prompts, &control).await;
        self.gpu_is_well()?;
        read.map_err(|e| engine_failure(&e))?;
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
            let result = model.segmenter.prompt(&image, prompt, options, &control);
            let result = result.await;
            // What the GPU reported explains a failure better than its consequence does.
            self.gpu_is_well()?;
            let result = result.map_err(|e| engine_failure(&e))?;
            seconds.image = if fresh { result.seconds.image } else { 0.0 };
            seconds.prompts += result.seconds.text + result.seconds.prompt + result.seconds.masks;
            let answer = prompt_answer(index, &result, spacing);
            self.out.send_with(
                &Response::Prompt { id, result: answer },
                &[&result.mask.bits],
            );
        }
        self.out.send(&Response::Segmented { id, seconds });
        self.prefetch_around(view);
        Ok(())
    }

    /// The view that is asked about, ready for prompts, and whether the trunk had to run for it.
    async fn encode(
        &self,
        model: &Model,
        view: View,
        control: &Control,
    ) -> Result<(EncodedImage, bool), Failure> {
        if let Some((known, image)) = &*model.in_view.borrow()
            && *known == view
        {
            return Ok((image.clone(), false));
        }
        // Two views' maps are not needed at a time.
        model.in_view.replace(None);
        let recalled = model.embeddings.borrow_mut().recall(view);
        let fresh = recalled.is_none();
        let embedding = match recalled {
            Some(embedding) => embedding,
            None => {
                let image = self.render(view)?;
                let embedding = model.segmenter.embed(&image, control).await;
                self.gpu_is_well()?;
                let embedding = embedding.map_err(|e| engine_failure(&e))?;
                model.embeddings.borrow_mut().keep(view, embedding)
            }
        };
        let image = model.segmenter.finish(embedding, control).await;
        self.gpu_is_well()?;
        let image = image.map_err(|e| engine_failure(&e))?;
        model.in_view.replace(Some((view, image.clone())));
        Ok((image, fresh))
    }

    /// The pixels of a view of the open picture.
    pub(crate) fn render(&self, view: View) -> Result<Rgb8, Failure> {
        let picture = self.picture.borrow();
        let picture = picture.as_ref().ok_or_else(failure::no_picture)?;
        let window = view.window.map(|[center, width]| Window { center, width });
        let rendered = picture.render(view.frame as usize, window);
        rendered.map_err(|e| imaging_failure(&e))
    }

    pub(crate) fn gpu_is_well(&self) -> Result<(), Failure> {
        let fault = self
            .processor
            .borrow()
            .as_ref()
            .and_then(|processor| processor.watch.fault());
        fault.map_or(Ok(()), Err)
    }
}

/// What is in an `ArrayBuffer`.
fn bytes_of(buffer: Option<&JsValue>) -> Vec<u8> {
    let buffer = buffer.and_then(|buffer| buffer.dyn_ref());
    let bytes = buffer.map(|buffer: &ArrayBuffer| Uint8Array::new(buffer).to_vec());
    bytes.unwrap_or_default()
}

fn mib(count: u32) -> u64 {
    u64::from(count) << 20
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
