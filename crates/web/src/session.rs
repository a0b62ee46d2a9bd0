//! What is open and loaded in the worker, and the answer to each request.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use async_lock::Mutex;
use burn::tensor::Device;
use js_sys::{ArrayBuffer, Uint8Array};
use medsam3_engine::kernels::tune;
use medsam3_engine::{Control, EmbeddingCache, Hold, LoadOptions, Progress, Segmenter};
use send_wrapper::SendWrapper;
use wasm_bindgen::{JsCast, JsValue};

use crate::answers::{cache_info, engine_failure, loaded_share, model_info, stage};
use crate::backend::{self, GpuWatch};
use crate::blob;
use crate::event_loop::breathe;
use crate::failure;
use crate::jobs::Jobs;
use crate::outbox::Outbox;
use crate::prefetch::Prefetch;
use crate::protocol::{Backend, BackendChoice, Failure, PicturePlace, Request, Response, Stage};
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
    pub(crate) processor: RefCell<Option<Processor>>,
    pub(crate) model: RefCell<Option<Rc<Model>>>,
    /// What the page said about the memory of embeddings.
    embedding_mib: Cell<Option<u32>>,
    pub(crate) prefetch: Prefetch,
    /// Held by the request that the engine works on: the next one waits.
    turn: Mutex<()>,
    /// Series and segmentations.
    pub(crate) workspace: Workspace,
}

/// A model and what it made of pictures. Work that is under way holds it, so that one which was replaced meanwhile goes
/// when its last work ends.
pub(crate) struct Model {
    pub(crate) segmenter: Segmenter,
    pub(crate) embeddings: RefCell<EmbeddingCache>,
}

pub(crate) struct Processor {
    pub(crate) backend: Backend,
    device: Device,
    watch: GpuWatch,
}

impl Session {
    /// Nothing open, nothing loaded.
    pub fn new(out: Outbox, jobs: Jobs) -> Self {
        Self {
            workspace: Workspace::new(out.clone(), jobs),
            out,
            processor: RefCell::default(),
            model: RefCell::default(),
            embedding_mib: Cell::default(),
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
                let ahead = self.workspace.segment_series(id, ask, model).await?;
                self.prefetch_around(ahead);
                Ok(())
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
        let loaded = Segmenter::load(source, device, options, &self.control(id)).await;
        let segmenter = loaded.map_err(|e| engine_failure(&e))?;
        self.gpu_is_well()?;
        let info = model_info(&segmenter);
        let embeddings = EmbeddingCache::new(mib(embedding_mib), segmenter.keeps_half());
        self.model.replace(Some(Rc::new(Model {
            segmenter,
            embeddings: RefCell::new(embeddings),
        })));
        self.out.send(&Response::ModelLoaded { id, model: info });
        Ok(())
    }

    /// Progress of loading a model, and pauses in which the worker hears the next request.
    fn control(&self, id: u32) -> Control {
        // A worker has one thread: the wrapper only says so.
        let told = SendWrapper::new(self.out.clone());
        pausing().on_progress(move |progress| {
            let fraction = Some(loaded_share(&progress));
            let Progress {
                stage: of,
                done,
                total,
                part,
            } = progress;
            let bytes = Some([done as f64, total as f64]);
            told.progress_of(id, stage(of), fraction, bytes, part);
        })
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

    pub(crate) fn gpu_is_well(&self) -> Result<(), Failure> {
        let fault = self
            .processor
            .borrow()
            .as_ref()
            .and_then(|processor| processor.watch.fault());
        fault.map_or(Ok(()), Err)
    }
}

/// Pauses in which the worker hears its messages.
pub(crate) fn pausing() -> Control {
    Control::new().with_pause(|| Box::pin(SendWrapper::new(breathe())))
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
