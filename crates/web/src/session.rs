//! What is open and loaded in the worker, and the answer to each request.

use std::cell::RefCell;

use js_sys::Uint8Array;
use medsam3_imaging::{ImagingError, Picture, PictureKind, Window};

use crate::answers::{imaging_failure, picture_info};
use crate::backend::{self, GpuWatch};
use crate::failure;
use crate::jobs::breathe;
use crate::outbox::Outbox;
use crate::protocol::{BackendChoice, Failure, Request, Response, Stage};

/// State of the worker. Nothing is borrowed across an await: requests interleave.
pub struct Session {
    out: Outbox,
    picture: RefCell<Option<Picture>>,
    processor: RefCell<Option<Processor>>,
}

struct Processor {
    device: burn::tensor::Device,
    watch: GpuWatch,
}

impl Session {
    /// Nothing open, nothing loaded.
    pub fn new(out: Outbox) -> Self {
        Self {
            out,
            picture: RefCell::default(),
            processor: RefCell::default(),
        }
    }

    /// Answers any request but `cancel`.
    ///
    /// # Errors
    ///
    /// The failure for the page; the state is as it was before the request.
    pub async fn answer(&self, request: Request, buffers: Vec<Uint8Array>) -> Result<(), Failure> {
        match request {
            Request::Start { id, backend } => self.start(id, backend).await,
            Request::Open { id } => self.open(id, buffers).await,
            Request::Frame { id, frame } => self.frame(id, frame),
            _ => Ok(()),
        }
    }

    async fn start(&self, id: u32, choice: BackendChoice) -> Result<(), Failure> {
        self.out.progress(id, Stage::Device, None);
        let chosen = backend::choose(choice).await;
        self.processor.replace(Some(Processor { device: chosen.device, watch: chosen.watch }));
        self.out.send(&Response::Started { id, backend: chosen.backend, why_cpu: chosen.why_cpu });
        Ok(())
    }

    async fn open(&self, id: u32, buffers: Vec<Uint8Array>) -> Result<(), Failure> {
        self.out.progress(id, Stage::Decode, None);
        breathe().await;
        let bytes = buffers.first().map(Uint8Array::to_vec).unwrap_or_default();
        let picture = medsam3_imaging::open(&bytes).map_err(|e| imaging_failure(&e))?;
        let info = picture_info(&picture);
        self.picture.replace(Some(picture));
        self.out.send(&Response::Opened { id, picture: info });
        Ok(())
    }

    fn frame(&self, id: u32, frame: u32) -> Result<(), Failure> {
        let picture = self.picture.borrow();
        let picture = picture.as_ref().ok_or_else(failure::no_picture)?;
        let index = frame as usize;
        let (minimum, maximum, bytes) = pixels(picture, index).map_err(|e| imaging_failure(&e))?;
        self.out.send_with(&Response::Frame { id, frame, minimum, maximum }, &[&bytes]);
        Ok(())
    }
}

/// Smallest value, largest value, and the pixels as the page reads them.
fn pixels(picture: &Picture, frame: usize) -> Result<(f32, f32, Vec<u8>), ImagingError> {
    match picture.kind() {
        PictureKind::Rgb => Ok((0.0, 255.0, picture.render(frame, None::<Window>)?.pixels)),
        PictureKind::Gray => {
            let values = picture.gray_values(frame)?;
            let (minimum, maximum) = picture.value_range(frame).unwrap_or((0.0, 1.0));
            Ok((minimum, maximum, values.iter().flat_map(|value| value.to_le_bytes()).collect()))
        }
    }
}
