//! Progress on a terminal; silence where standard error is a file or a pipe.

use std::io::IsTerminal as _;

use indicatif::{ProgressBar, ProgressStyle};
use medsam3_engine::{CancelToken, Control, Progress, Stage};

/// A control that draws one line of progress and is cancelled by `cancel`.
pub fn control(cancel: CancelToken) -> Control {
    let control = Control::new().with_cancel(cancel);
    if !std::io::stderr().is_terminal() {
        return control;
    }
    let bar = ProgressBar::new(1);
    if let Ok(style) = ProgressStyle::with_template("{msg:20} {bar:30} {percent:>3}%") {
        bar.set_style(style);
    }
    control.on_progress(move |progress| draw(&bar, &progress))
}

fn draw(bar: &ProgressBar, progress: &Progress) {
    let &Progress {
        stage, done, total, ..
    } = progress;
    bar.set_message(match stage {
        Stage::VerifyingWeights => "checking the model",
        Stage::ReadingWeights => "loading the model",
        Stage::EncodingImage => "reading the image",
        Stage::EncodingPrompt => "reading the prompt",
        Stage::Grounding => "looking",
        Stage::Masks => "drawing masks",
    });
    bar.set_length(total.max(1));
    bar.set_position(done);
    // A result may be printed next.
    if stage == Stage::Masks && done == total {
        bar.finish_and_clear();
        bar.reset();
    }
}
