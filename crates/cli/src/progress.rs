//! Progress on a terminal; silence where standard error is a file or a pipe.

use std::io::IsTerminal as _;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Instant;

use indicatif::{HumanDuration, ProgressBar, ProgressStyle};
use medsam3_engine::{CancelToken, Control, Progress, Stage};

/// One line: which image of how many, what is being done with it, and how long the rest will take.
#[derive(Clone)]
pub struct Batch {
    bar: Option<ProgressBar>,
    images: Arc<Images>,
}

struct Images {
    total: usize,
    done: AtomicUsize,
    begun: OnceLock<Instant>,
}

impl Batch {
    /// Progress over `total` images.
    pub fn new(total: usize) -> Self {
        let bar = std::io::stderr().is_terminal().then(|| {
            let bar = ProgressBar::new(1);
            if let Ok(style) =
                ProgressStyle::with_template("{prefix}{msg:20} {bar:30} {percent:>3}%")
            {
                bar.set_style(style);
            }
            bar
        });
        let images = Images {
            total,
            done: AtomicUsize::new(0),
            begun: OnceLock::new(),
        };
        Self {
            bar,
            images: Arc::new(images),
        }
    }

    /// A control that draws here and is cancelled by `cancel`.
    pub fn control(&self, cancel: CancelToken) -> Control {
        let control = Control::new().with_cancel(cancel);
        let Some(bar) = self.bar.clone() else {
            return control;
        };
        let images = Arc::clone(&self.images);
        control.on_progress(move |progress| {
            bar.set_prefix(images.prefix());
            draw(&bar, &progress);
        })
    }

    /// The next image begins.
    pub fn begin(&self) {
        let _ = self.images.begun.set(Instant::now());
    }

    /// An image is done.
    pub fn finish(&self) {
        self.images.done.fetch_add(1, Ordering::Relaxed);
    }
}

impl Images {
    /// `image 7 of 20, 3 minutes left: `, and nothing for one image.
    fn prefix(&self) -> String {
        let (Some(begun), true) = (self.begun.get(), self.total > 1) else {
            return String::new();
        };
        let (done, total) = (self.done.load(Ordering::Relaxed), self.total);
        let left = match u32::try_from(done) {
            Ok(some @ 1..) => {
                let rest = u32::try_from(total - done.min(total)).unwrap_or(u32::MAX);
                format!(", {} left", HumanDuration(begun.elapsed() / some * rest))
            }
            _ => String::new(),
        };
        format!("image {} of {total}{left}: ", (done + 1).min(total))
    }
}

fn draw(bar: &ProgressBar, progress: &Progress) {
    let &Progress {
        stage, done, total, ..
    } = progress;
    bar.set_message(match stage {
        Stage::VerifyingWeights => "checking the model",
        Stage::ReadingWeights => "loading the model",
        Stage::EncodingImage => "encoding the image",
        Stage::EncodingPrompt => "encoding the prompt",
        Stage::Grounding => "finding",
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_says_which_image_and_one_image_does_not() {
        let batch = Batch::new(20);
        assert_eq!(batch.images.prefix(), "", "while the model is loaded");
        batch.begin();
        assert_eq!(batch.images.prefix(), "image 1 of 20: ");
        (0..6).for_each(|_| batch.finish());
        let prefix = batch.images.prefix();
        assert!(
            prefix.starts_with("image 7 of 20, ") && prefix.ends_with(" left: "),
            "{prefix}"
        );
        let one = Batch::new(1);
        one.begin();
        assert_eq!(one.images.prefix(), "");
    }
}
