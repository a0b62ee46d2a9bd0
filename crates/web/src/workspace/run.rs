//! A run over pictures of the open series: every prompt on every picture, what is in view first. Masks go into the document
//! as they come; whatever ends the run, they stay there.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use medsam3_engine::imaging::Window;
use medsam3_engine::{
    Control, EmbeddingCache, EngineError, Progress, PromptOptions, Segmenter, SliceError,
    SliceRequest, SliceResult, SliceRun, Stage as Work, outward, split_prompts,
};
use medsam3_imaging::series::Place;
use medsam3_segmentation::{Origin, Runs, SegmentId, SegmentationError, Taken};
use send_wrapper::SendWrapper;
use web_time::Instant;

use super::{Ahead, Listed, Workspace, convert};
use crate::answers::{
    engine_failure, imaging_failure, prompt_answer, rule, segmentation_failure, stage,
};
use crate::failure;
use crate::jobs::Jobs;
use crate::protocol::{
    Failure, MaskRule, OnProtected, PicturePlace, Response, Scope, SegmentAnswer, WindowLevel,
};

/// A `segment-series` request without its id.
pub struct Ask {
    pub prompts: Vec<String>,
    pub scope: Scope,
    pub at: PicturePlace,
    pub window: Option<WindowLevel>,
    pub rule: MaskRule,
    pub threshold: Option<f32>,
    pub mask_threshold: Option<f32>,
    pub on_protected: OnProtected,
}

/// What a run asks.
pub struct Model<'a> {
    pub segmenter: &'a Segmenter,
    pub embeddings: &'a RefCell<EmbeddingCache>,
    /// What the device reported, which explains a failure better than its consequence does.
    pub is_well: &'a dyn Fn() -> Result<(), Failure>,
}

/// Share of the work on a picture that is the image's.
const IMAGE: f32 = 0.6;

impl Workspace {
    /// Segments pictures of the open series, and gives where to look ahead then.
    ///
    /// # Errors
    ///
    /// No series is open, no prompt has a word, a segment is protected, or the engine stopped.
    pub async fn segment_series(
        &self,
        id: u32,
        ask: Ask,
        model: Model<'_>,
    ) -> Result<Ahead, Failure> {
        let listed = self.opened()?;
        let prompts = split_prompts(&ask.prompts.join(","));
        if prompts.is_empty() {
            return Err(engine_failure(&EngineError::PromptEmpty));
        }
        let at = convert::place(ask.at);
        let pictures = pictures(&listed, ask.scope, at)?;
        let window = ask.window.map(|window| Window {
            center: window.center,
            width: window.width,
        });
        (model.is_well)()?;
        let segments = begin(&listed, &prompts, ask.on_protected, model.segmenter)?;
        // Also when this future is dropped by a cancel.
        let _end = EndOfRun(Rc::clone(&listed));
        let request = SliceRequest {
            pictures,
            prompts: prompts.clone(),
            window,
            options: PromptOptions {
                threshold: ask.threshold,
                mask_threshold: ask.mask_threshold,
                mask_rule: rule(ask.rule),
            },
        };
        let clock = Rc::new(Clock::start());
        let advance = Rc::new(Advance::new(request.pictures.len(), prompts.len()));
        let control = self.control_of_run(id, &clock, &advance);
        let mut run = SliceRun::new(model.segmenter, &listed.series, request)
            .keeping(model.embeddings, listed.picture);
        while let Some(result) = run.next(&control).await {
            (model.is_well)()?;
            let (done, total) = run.progress();
            advance.picture_done(done);
            let seconds = clock.seconds();
            let left = seconds / done.max(1) as f64 * (total - done.min(total)) as f64;
            match result {
                Ok(result) => self.report(id, &listed, &segments, &result, [done, total], left)?,
                Err(SliceError::Engine(error)) => return Err(engine_failure(&error)),
                Err(SliceError::Picture { place, source }) => {
                    let failure = imaging_failure(&source);
                    self.left_out(id, place, [done, total], left, failure);
                }
            }
        }
        let (done, total) = run.progress();
        let changed = listed.editor.borrow_mut().end_run();
        self.out.send(&Response::SeriesSegmented {
            id,
            done: done as u32,
            total: total as u32,
            seconds: clock.seconds(),
            document: convert::document(&listed, changed),
        });
        drop(run);
        let listed = Rc::clone(&listed);
        Ok(Ahead { listed, at, window })
    }

    /// Puts the masks of a picture into the document and sends them.
    fn report(
        &self,
        id: u32,
        listed: &Listed,
        segments: &[SegmentId],
        result: &SliceResult,
        [done, total]: [usize; 2],
        seconds_left: f64,
    ) -> Result<(), Failure> {
        let mut answers = Vec::new();
        let mut masks: Vec<&[u8]> = Vec::new();
        for (index, (answer, &segment)) in result.answers.iter().zip(segments).enumerate() {
            let taken = match self.take(listed, segment, result, index) {
                Ok(taken) => taken,
                // A picture of another size than the series says.
                Err(error @ SegmentationError::MaskSize { .. }) => {
                    let failure = segmentation_failure(&error);
                    self.left_out(id, result.place, [done, total], seconds_left, failure);
                    return Ok(());
                }
                Err(error) => return Err(segmentation_failure(&error)),
            };
            answers.push(SegmentAnswer {
                segment: (taken != Taken::Gone).then_some(segment.0),
                left_alone: taken == Taken::LeftAlone,
                answer: prompt_answer(index, answer, result.spacing_mm),
            });
            masks.push(&answer.mask.bits);
        }
        self.out.send_with(
            &Response::SliceSegmented {
                id,
                place: convert::picture_place(result.place),
                done: done as u32,
                total: total as u32,
                seconds_left,
                answers,
                failure: None,
            },
            &masks,
        );
        Ok(())
    }

    fn take(
        &self,
        listed: &Listed,
        segment: SegmentId,
        result: &SliceResult,
        index: usize,
    ) -> Result<Taken, SegmentationError> {
        let mut editor = listed.editor.borrow_mut();
        let grid = editor.segmentation().grid();
        let Some(answer) = result.answers.get(index) else {
            return Ok(Taken::Gone);
        };
        let found = [answer.mask.width, answer.mask.height];
        let expected = [grid.columns, grid.rows];
        if found != expected {
            return Err(SegmentationError::MaskSize { expected, found });
        }
        let runs = Runs::of_mask(&answer.mask);
        editor.take(segment, result.place, runs, |origin| {
            origin.threshold = Some(f64::from(answer.thresholds.score));
            origin.mask_threshold = Some(f64::from(answer.thresholds.mask));
            origin.window = result.window;
            let best = f64::from(answer.best_score);
            origin.score = Some(origin.score.unwrap_or_default().max(best));
        })
    }

    fn left_out(
        &self,
        id: u32,
        place: Place,
        [done, total]: [usize; 2],
        seconds_left: f64,
        failure: Failure,
    ) {
        self.out.send(&Response::SliceSegmented {
            id,
            place: convert::picture_place(place),
            done: done as u32,
            total: total as u32,
            seconds_left,
            answers: Vec::new(),
            failure: Some(failure),
        });
    }

    /// Progress of the whole run, and pauses in which the worker hears its messages.
    fn control_of_run(&self, id: u32, clock: &Rc<Clock>, advance: &Rc<Advance>) -> Control {
        // A worker has one thread: the wrappers only say so.
        let told = SendWrapper::new((self.out.clone(), Rc::clone(advance)));
        let waits = SendWrapper::new((self.jobs.clone(), Rc::clone(clock)));
        Control::new()
            .on_progress(move |progress| {
                let (out, advance) = &*told;
                let fraction = advance.hear(&progress);
                out.progress(id, stage(progress.stage), Some(fraction));
            })
            .with_pause(move || {
                let (jobs, clock) = (*waits).clone();
                Box::pin(SendWrapper::new(wait(jobs, clock, id)))
            })
    }
}

async fn wait(jobs: Jobs, clock: Rc<Clock>, id: u32) {
    clock.halted(jobs.step(id).await);
}

/// Begins the step of the history, and gives the segment of each prompt.
fn begin(
    listed: &Listed,
    prompts: &[String],
    on_protected: OnProtected,
    segmenter: &Segmenter,
) -> Result<Vec<SegmentId>, Failure> {
    use medsam3_segmentation::OnProtected as On;
    let manifest = segmenter.manifest();
    let hash = manifest.weights_sha256();
    let origin = |prompt: &String| Origin::of_model(&manifest.name, &hash, prompt);
    let on_protected = match on_protected {
        OnProtected::Refuse => On::Refuse,
        OnProtected::Add => On::Add,
        OnProtected::Replace => On::Replace,
    };
    let mut editor = listed.editor.borrow_mut();
    let segments = editor.begin_run(prompts.iter().map(origin).collect(), on_protected);
    segments.map_err(|error| segmentation_failure(&error))
}

/// Ends the step of the history.
struct EndOfRun(Rc<Listed>);

impl Drop for EndOfRun {
    fn drop(&mut self) {
        if let Ok(mut editor) = self.0.editor.try_borrow_mut() {
            editor.end_run();
        }
    }
}

/// The pictures of a scope in the order in which they are done.
fn pictures(listed: &Listed, scope: Scope, at: Place) -> Result<Vec<Place>, Failure> {
    let series = &listed.series;
    let (count, view) = if listed.runs_along_frames() {
        (series.frames(), at.frame)
    } else {
        (series.slices(), at.slice)
    };
    let (first, last) = match scope {
        Scope::Slice => (view, view),
        Scope::Range { first, last } => (first as usize, last as usize),
        Scope::All => (0, count.saturating_sub(1)),
    };
    if first > last || last >= count || at.frame >= series.frames() {
        return Err(failure::no_such_slices());
    }
    let place = |number| listed.place_along(number, at.frame);
    Ok(outward(view, first, last).into_iter().map(place).collect())
}

/// Seconds of work, without those in which the run was halted.
struct Clock {
    start: Instant,
    halted: Cell<f64>,
}

impl Clock {
    fn start() -> Self {
        Self {
            start: Instant::now(),
            halted: Cell::default(),
        }
    }

    fn halted(&self, seconds: f64) {
        self.halted.set(self.halted.get() + seconds);
    }

    fn seconds(&self) -> f64 {
        (self.start.elapsed().as_secs_f64() - self.halted.get()).max(0.0)
    }
}

/// How far a run is.
struct Advance {
    pictures: usize,
    prompts: usize,
    /// Pictures done.
    done: Cell<usize>,
    /// Prompts answered on the present one.
    answered: Cell<usize>,
}

impl Advance {
    fn new(pictures: usize, prompts: usize) -> Self {
        Self {
            pictures,
            prompts,
            done: Cell::default(),
            answered: Cell::default(),
        }
    }

    fn picture_done(&self, done: usize) {
        self.done.set(done);
        self.answered.set(0);
    }

    /// The share of the whole run that is done.
    fn hear(&self, progress: &Progress) -> f32 {
        let part = progress.done as f32 / progress.total.max(1) as f32;
        if progress.stage == Work::Grounding && progress.done == progress.total {
            self.answered.set(self.answered.get() + 1);
        }
        let within = match progress.stage {
            Work::EncodingImage => IMAGE * part,
            // The text encoder, fetched before the first picture for a prompt that is not in the vocabulary.
            Work::VerifyingWeights | Work::ReadingWeights => 0.0,
            Work::EncodingPrompt | Work::Grounding | Work::Masks => {
                let answered = self.answered.get() as f32 / self.prompts.max(1) as f32;
                IMAGE + (1.0 - IMAGE) * answered.min(1.0)
            }
        };
        (self.done.get() as f32 + within) / self.pictures.max(1) as f32
    }
}
