//! `medsam3 segment`: images and prompts in, one record per pair out, masks as PNG and measurements as CSV. The image is
//! encoded once, however many prompts there are.

mod arguments;
mod output;
mod record;

use std::path::Path;

use anyhow::{Context as _, Result};
use medsam3_engine::{EngineError, LoadOptions, PromptOptions, Segmenter};
use medsam3_weights::DirectorySource;

pub use arguments::{Arguments, probability};
use output::{Output, Target};
use record::{FailureRecord, Record};

use crate::failure::{self, SomeFailed, UsageError};
use crate::{device, interrupt, model_folder, progress};

/// Segments every input by every prompt. An input that fails is reported, and the others go on.
pub fn run(arguments: &Arguments) -> Result<()> {
    let mut output = Output::new(arguments.target(), arguments.json)?;
    output.refuse_collisions(&arguments.inputs, &arguments.prompts)?;
    let folder = model_folder::find(arguments.model.as_deref())?;
    let chosen = device::open(arguments.device)?;
    let control = progress::control(interrupt::cancel_on_interrupt()?);
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
    for input in &arguments.inputs {
        let mut job = Job {
            arguments,
            segmenter: &mut segmenter,
            output: &mut output,
            device: &chosen.name,
        };
        if let Err(error) = job.input(input) {
            if matches!(error.downcast_ref(), Some(EngineError::Cancelled)) {
                return Err(error);
            }
            failed += 1;
            let input = input.to_string_lossy();
            if arguments.json {
                let error = failure::describe(&error);
                println!(
                    "{}",
                    serde_json::to_string(&FailureRecord {
                        input: &input,
                        error
                    })?
                );
            } else {
                eprintln!("{input}:");
                failure::print(&error);
            }
        }
    }
    output.finish()?;
    if failed > 0 {
        return Err(SomeFailed {
            failed,
            total: arguments.inputs.len(),
        }
        .into());
    }
    Ok(())
}

struct Job<'a> {
    arguments: &'a Arguments,
    segmenter: &'a mut Segmenter,
    output: &'a mut Output,
    device: &'a str,
}

impl Job<'_> {
    fn input(&mut self, input: &Path) -> Result<()> {
        let bytes = std::fs::read(input).context("reading the file")?;
        let picture = medsam3_imaging::open(&bytes)?;
        let frame = self.arguments.frame;
        if frame >= picture.frame_count() {
            let frames = picture.frame_count();
            anyhow::bail!("there is no frame {frame}; the file has {frames}, counted from 0");
        }
        let image = picture.render(frame, self.arguments.window)?;
        let spacing_mm = picture.pixel_spacing_mm();
        pollster::block_on(self.segmenter.open(&image))?;
        for prompt in &self.arguments.prompts {
            let options = PromptOptions {
                threshold: self.arguments.threshold,
                mask_threshold: None,
                mask_rule: self.arguments.mask.map(Into::into),
            };
            let result = pollster::block_on(self.segmenter.prompt(prompt, options))?;
            let mask_file = self.output.mask(input, prompt, &result.mask)?;
            let about = record::About {
                input: &input.to_string_lossy(),
                frame,
                device: self.device,
                model: &self.segmenter.manifest().name,
                spacing_mm,
            };
            self.output
                .record(&Record::new(&about, &result, mask_file))?;
        }
        Ok(())
    }
}

impl Arguments {
    fn target(&self) -> Option<Target<'_>> {
        let folder = self.out.as_deref()?;
        Some(Target {
            folder,
            formats: &self.formats,
        })
    }
}
