//! `medsam3 segment`: images and series and prompts in, one record per picture and prompt out, masks and measurements as
//! files. A picture is encoded once, however many prompts there are.

mod arguments;
mod names;
mod output;
mod record;
mod series_results;
mod summary;
mod table;
mod targets;

use anyhow::Result;
use medsam3_engine::{
    Control, EngineError, LoadOptions, PromptOptions, Segmenter, SliceError, SliceRequest,
    SliceResult, SliceRun,
};
use medsam3_weights::DirectorySource;

pub use arguments::{Arguments, probability};
use names::Named;
use output::{Output, Which};
use record::{FailureRecord, Record};
use series_results::SeriesResults;
use targets::{Job, Target};

use crate::failure::{self, SomeFailed, Stopped, UsageError};
use crate::progress::Batch;
use crate::{device, model_folder, signals, terminal};

/// Segments every input by every prompt. An input that fails is reported, and the others go on.
pub fn run(arguments: &Arguments) -> Result<()> {
    let prompts = arguments.prompts();
    let jobs = targets::find(arguments);
    let segmented = || {
        jobs.iter().filter_map(|job| match job {
            Job::Segment(target) => Some(target.as_ref()),
            Job::Failed(..) => None,
        })
    };
    let named: Vec<&Named> = segmented().map(|target| &target.named).collect();
    let mut output = Output::new(arguments, &named, &prompts)?;
    let folder = model_folder::find(arguments.model.as_deref())?;
    let chosen = device::open(arguments.device)?;
    let batch = Batch::new(segmented().map(|target| target.pictures.len()).sum());
    let control = batch.control(signals::cancel_on_signal()?);
    let options = LoadOptions {
        image_side: arguments.size,
        hold: chosen.hold,
        ..LoadOptions::default()
    };
    let source = DirectorySource::new(folder);
    let segmenter = Segmenter::load(source, chosen.device, options, &control);
    let segmenter = pollster::block_on(segmenter).map_err(|error| match error {
        // The one part of the configuration that the user gave.
        EngineError::Config { reason } if arguments.size.is_some() => {
            UsageError(format!("--size does not suit this model: {reason}")).into()
        }
        error => anyhow::Error::from(error),
    })?;

    let mut work = Work {
        arguments,
        prompts: &prompts,
        segmenter: &segmenter,
        output: &mut output,
        device: &chosen.name,
        batch: &batch,
        control: &control,
    };
    let total = jobs.len();
    let (mut failed, mut at) = (0, 0);
    for (number, job) in jobs.iter().enumerate() {
        let (input, done) = match job {
            Job::Failed(input, error) => {
                failed += 1;
                report(arguments, input, error)?;
                continue;
            }
            Job::Segment(target) => (&target.input, work.series(at, target)),
        };
        at += 1;
        match done {
            Err(error) if failure::is_cancelled(&error) => return Err(stopped(number, total)),
            // Nobody reads any more, or the output cannot be written: the next input would meet the same.
            Err(error) if error.is::<terminal::StdoutError>() => return Err(error),
            Err(error) => {
                failed += 1;
                report(arguments, input, &error)?;
            }
            Ok(left_out) => failed += usize::from(left_out > 0),
        }
        if control.cancel.is_cancelled() && number + 1 < total {
            return Err(stopped(number + 1, total));
        }
    }
    if failed > 0 {
        return Err(SomeFailed { failed, total }.into());
    }
    Ok(())
}

fn stopped(done: usize, total: usize) -> anyhow::Error {
    Stopped {
        done,
        total,
        unit: "images",
    }
    .into()
}

fn report(arguments: &Arguments, input: &str, error: &anyhow::Error) -> Result<()> {
    if !arguments.json {
        note!("{input}:");
        failure::print(error);
        return Ok(());
    }
    terminal::json(&FailureRecord {
        input,
        error: failure::describe(error),
    })
}

/// What all inputs share.
struct Work<'a> {
    arguments: &'a Arguments,
    prompts: &'a [String],
    segmenter: &'a Segmenter,
    output: &'a mut Output,
    device: &'a str,
    batch: &'a Batch,
    control: &'a Control,
}

impl Work<'_> {
    /// Segments the pictures of a series and gives the number of those that cannot be shown, each of which is reported.
    fn series(&mut self, at: usize, target: &Target) -> Result<usize> {
        let request = SliceRequest {
            pictures: target.pictures.clone(),
            prompts: self.prompts.to_vec(),
            window: self.arguments.window.as_ref().map(|choice| choice.window),
            options: PromptOptions {
                threshold: self.arguments.threshold,
                mask_threshold: None,
                mask_rule: self.arguments.mask.map(Into::into),
            },
        };
        self.output.check_free(at, target.series.kind())?;
        let manifest = self.segmenter.manifest();
        let mut run = SliceRun::new(self.segmenter, &target.series, request);
        let deidentify = self.arguments.deidentify;
        let mut results = SeriesResults::new(at, target, manifest, self.prompts, deidentify);
        let mut left_out = 0;
        loop {
            self.batch.begin();
            let Some(result) = pollster::block_on(run.next(self.control)) else {
                break;
            };
            match result {
                Ok(result) => {
                    let which = self.picture(at, target, &result)?;
                    results.add(which, &result, self.output)?;
                }
                Err(SliceError::Engine(error)) => {
                    if run.progress().0 > 0 {
                        results.finish(self.output, true)?;
                    }
                    return Err(error.into());
                }
                // The only picture is the whole input.
                Err(SliceError::Picture { source, .. }) if target.pictures.len() == 1 => {
                    return Err(source.into());
                }
                Err(error) => {
                    left_out += 1;
                    report(self.arguments, &target.input, &error.into())?;
                }
            }
            // Whatever becomes of the next picture, the results so far are kept.
            self.output.flush()?;
            self.batch.finish();
        }
        results.finish(self.output, false)?;
        Ok(left_out)
    }

    /// Says the answers for a picture and writes its masks; gives what its results are called after.
    fn picture(&mut self, at: usize, target: &Target, result: &SliceResult) -> Result<Which> {
        let series = &target.series;
        let which = Which {
            target: at,
            slice: (series.slices() > 1).then_some(result.place.slice + 1),
            frame: (series.frames() > 1).then_some(result.place.frame),
            prompt: 0,
        };
        for (prompt, answer) in result.answers.iter().enumerate() {
            let which = Which { prompt, ..which };
            let mask_file = self.output.mask(series.kind(), which, &answer.mask)?;
            let about = record::About {
                input: &target.input,
                series: target.number,
                place: result.place,
                is_one_of_several: series.slices() * series.frames() > 1,
                device: self.device,
                model: &self.segmenter.manifest().name,
                spacing_mm: result.spacing_mm,
                window: result.window,
                notes: &result.notes,
            };
            let record = Record::new(&about, answer, mask_file);
            self.output.say(&record, &record.row(), series.kind())?;
        }
        Ok(which)
    }
}
