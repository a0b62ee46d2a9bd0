//! `medsam3 segment`: images and prompts in, one record per pair out, masks as PNG and measurements as CSV. The image is
//! encoded once, however many prompts there are.

mod arguments;
mod names;
mod output;
mod record;
mod table;

use std::path::Path;

use anyhow::Result;
use medsam3_engine::{EngineError, LoadOptions, PromptOptions, Segmenter};
use medsam3_weights::DirectorySource;

pub use arguments::{Arguments, probability};
use output::{Output, Place, Target};
use record::{FailureRecord, Record};

use crate::failure::{self, CommandError, SomeFailed, Stopped, UsageError};
use crate::progress::Batch;
use crate::{device, model_folder, signals, terminal};

/// Segments every input by every prompt. An input that fails is reported, and the others go on.
pub fn run(arguments: &Arguments) -> Result<()> {
    let prompts = arguments.prompts();
    let mut output = Output::new(
        arguments.target(),
        &arguments.inputs,
        &prompts,
        arguments.json,
    )?;
    let folder = model_folder::find(arguments.model.as_deref())?;
    let chosen = device::open(arguments.device)?;
    let total = arguments.inputs.len();
    let batch = Batch::new(total);
    let control = batch.control(signals::cancel_on_signal()?);
    let cancel = control.cancel.clone();
    let options = LoadOptions {
        image_side: arguments.size,
        hold: chosen.hold,
        ..LoadOptions::default()
    };
    let source = DirectorySource::new(folder);
    let segmenter = Segmenter::load(source, chosen.device, options, control);
    let mut segmenter = pollster::block_on(segmenter).map_err(|error| match error {
        // The one part of the configuration that the user gave.
        EngineError::Config { reason } if arguments.size.is_some() => {
            UsageError(format!("--size does not suit this model: {reason}")).into()
        }
        error => anyhow::Error::from(error),
    })?;

    let mut failed = 0;
    for (at, input) in arguments.inputs.iter().enumerate() {
        batch.begin();
        let mut job = Job {
            arguments,
            prompts: &prompts,
            segmenter: &mut segmenter,
            output: &mut output,
            device: &chosen.name,
        };
        let done = job.input(at, input);
        // Whatever became of this input, the results of earlier ones and of its first prompts are kept.
        let flushed = output.flush();
        match done {
            Err(error) if failure::is_cancelled(&error) => {
                flushed?;
                return Err(stopped(at, total));
            }
            // Nobody reads any more, or the output cannot be written: the next input would meet the same.
            Err(error) if error.is::<terminal::StdoutError>() => return Err(error),
            Err(error) => {
                failed += 1;
                report(arguments, input, &error)?;
            }
            Ok(()) => {}
        }
        flushed?;
        batch.finish();
        if cancel.is_cancelled() && at + 1 < total {
            return Err(stopped(at + 1, total));
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

fn report(arguments: &Arguments, input: &Path, error: &anyhow::Error) -> Result<()> {
    let input = input.to_string_lossy();
    if !arguments.json {
        note!("{input}:");
        failure::print(error);
        return Ok(());
    }
    terminal::json(&FailureRecord {
        input: &input,
        error: failure::describe(error),
    })
}

struct Job<'a> {
    arguments: &'a Arguments,
    prompts: &'a [String],
    segmenter: &'a mut Segmenter,
    output: &'a mut Output,
    device: &'a str,
}

impl Job<'_> {
    fn input(&mut self, at: usize, input: &Path) -> Result<()> {
        let bytes = read(input)?;
        let picture = medsam3_imaging::open(&bytes)?;
        let (frame, frames) = (self.arguments.frame, picture.frame_count());
        if frame >= frames {
            return Err(CommandError {
                code: "FRAME-RANGE",
                message: format!(
                    "there is no frame {frame}; the file has {frames}, counted from 0"
                ),
                next_step: "Choose another frame with --frame.",
            }
            .into());
        }
        let image = picture.render(frame, self.arguments.window)?;
        let spacing_mm = picture.pixel_spacing_mm();
        pollster::block_on(self.segmenter.open(&image))?;
        for (prompt_at, prompt) in self.prompts.iter().enumerate() {
            let options = PromptOptions {
                threshold: self.arguments.threshold,
                mask_threshold: None,
                mask_rule: self.arguments.mask.map(Into::into),
            };
            let result = pollster::block_on(self.segmenter.prompt(prompt, options))?;
            let place = Place {
                input: at,
                frame: (frames > 1).then_some(frame),
                prompt: prompt_at,
            };
            let mask_file = self.output.mask(place, &result.mask)?;
            let about = record::About {
                input: &input.to_string_lossy(),
                frame,
                device: self.device,
                model: &self.segmenter.manifest().name,
                spacing_mm,
                notes: picture.notes(),
            };
            self.output
                .record(&Record::new(&about, &result, mask_file))?;
        }
        Ok(())
    }
}

/// The bytes of an input.
fn read(input: &Path) -> Result<Vec<u8>> {
    if input.is_dir() {
        return Err(CommandError {
            code: "INPUT-FOLDER",
            message: "this is a folder".to_owned(),
            next_step: "Name the files in it, for example FOLDER/*.dcm.",
        }
        .into());
    }
    std::fs::read(input).map_err(|error| {
        CommandError {
            code: "INPUT-READ",
            message: format!("the file cannot be read: {error}"),
            next_step: "Check its name and that you may read it.",
        }
        .into()
    })
}

impl Arguments {
    fn target(&self) -> Option<Target<'_>> {
        let folder = self.out.as_deref()?;
        Some(Target {
            folder,
            formats: &self.formats,
            overwrite: self.overwrite,
        })
    }
}
