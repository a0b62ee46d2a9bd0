//! The report for people.

use std::fmt::{Display, Formatter, Result};

use super::{GroupRow, Report};

/// Bytes as gigabytes.
fn gb(bytes: u64) -> String {
    format!("{:.2} GB", bytes as f64 / 1e9)
}

fn millions(values: usize) -> String {
    format!("{:.2} M", values as f64 / 1e6)
}

fn tera(operations: u64) -> String {
    format!("{:.2} TFLOP", operations as f64 / 1e12)
}

impl Display for Report {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        let side = self.image_side;
        writeln!(
            f,
            "{} at side {side}: nothing is written",
            self.config.display()
        )?;
        self.parameters(f)?;
        self.steps(f)?;
        self.shown(f)?;
        self.held(f)?;
        self.computed(f)?;
        self.data(f)?;
        if let Some(step) = &self.step {
            let peak = step.peak_memory_bytes.map_or("unknown".to_owned(), gb);
            writeln!(
                f,
                "\none step: {:.1} s, peak of the process {peak}, loss {:.3}, gradient norm {:.3}",
                step.seconds, step.loss.total, step.gradient_norm
            )?;
        }
        Ok(())
    }
}

impl Report {
    fn parameters(&self, f: &mut Formatter<'_>) -> Result {
        writeln!(
            f,
            "\n{:<24} {:>8} {:>14} {:>14}",
            "part", "tensors", "parameters", "trained"
        )?;
        for row in &self.modules {
            writeln!(
                f,
                "{:<24} {:>8} {:>14} {:>14}",
                row.name, row.tensors, row.parameters, row.trained
            )?;
        }
        let tensors: usize = self.modules.iter().map(|row| row.tensors).sum();
        writeln!(
            f,
            "{:<24} {tensors:>8} {:>14} {:>14}",
            "all", self.parameters, self.trained
        )?;
        if self.adapters > 0 {
            writeln!(f, "{} weights have an adapter", self.adapters)?;
        }
        writeln!(
            f,
            "\n{:<24} {:>8} {:>14} {:>20}  {:<12} weight decay",
            "group", "tensors", "parameters", "peak rate", "layer decay"
        )?;
        for row in &self.groups {
            let GroupRow {
                name,
                tensors,
                parameters,
                ..
            } = row;
            let rate = match (row.lowest_learning_rate, row.learning_rate) {
                (low, high) if low == high => format!("{high:.2e}"),
                (low, high) => format!("{low:.2e} to {high:.2e}"),
            };
            let layers = row
                .layer_decay
                .map_or("-".to_owned(), |gamma| gamma.to_string());
            let constant = if row.constant { ", constant rate" } else { "" };
            writeln!(
                f,
                "{name:<24} {tensors:>8} {parameters:>14} {rate:>20}  {layers:<12} {} on {}{constant}",
                row.weight_decay,
                millions(row.decayed)
            )?;
        }
        Ok(())
    }

    fn steps(&self, f: &mut Formatter<'_>) -> Result {
        let schedule = &self.schedule;
        let images = match (schedule.images, schedule.counted) {
            (images, true) => format!("{images} training images"),
            (images, false) => format!("{images} training images as published"),
        };
        let epochs = schedule
            .epochs
            .map_or(String::new(), |epochs| format!("{epochs} epochs of "));
        writeln!(
            f,
            "\n{epochs}{images}, {} a step: {} steps",
            schedule.images_per_step, schedule.steps
        )?;
        for rate in &schedule.rates {
            writeln!(
                f,
                "  learning rate at step {:>8}: {:.3e}",
                rate.step, rate.learning_rate
            )?;
        }
        Ok(())
    }

    fn shown(&self, f: &mut Formatter<'_>) -> Result {
        let batch = &self.batch;
        let what = if batch.made_up {
            ", a made-up picture"
        } else {
            ""
        };
        let [low, high] = batch.range;
        writeln!(
            f,
            "\nfirst batch: {} images of {side}x{side} pixels in {low:.2} to {high:.2}{what}",
            batch.images,
            side = batch.side
        )?;
        for row in &batch.rows {
            writeln!(
                f,
                "  image {}: {:?}, {} tokens, {} objects on {:.1} % of it",
                row.image,
                row.prompt,
                row.tokens,
                row.objects,
                row.share * 100.0
            )?;
        }
        Ok(())
    }

    fn held(&self, f: &mut Formatter<'_>) -> Result {
        let memory = &self.memory;
        let kept = &memory.activations;
        writeln!(
            f,
            "\nmemory: weights {}, gradients {} times {}, AdamW's moments {}, average {}: {} on the host",
            gb(memory.weights),
            memory.gradient_sets,
            gb(memory.gradients),
            gb(memory.moments),
            gb(memory.average),
            gb(memory.host)
        )?;
        writeln!(
            f,
            "  a worker keeps about {} from the forward pass (trunk {}, fusion encoder {}, neck {}, other {}), {} if blocks are computed again",
            gb(kept.total(false)),
            gb(kept.trunk),
            gb(kept.fusion),
            gb(kept.neck),
            gb(kept.prompt),
            gb(kept.total(true))
        )?;
        writeln!(
            f,
            "  a GPU keeps attention's weights besides, at least {}: in all {}, {} if blocks are computed again",
            gb(kept.attention_weights),
            gb(memory.device),
            gb(memory.device_recomputed)
        )?;
        writeln!(f, "  the corpus in memory: at most {}", gb(memory.corpus))
    }

    fn computed(&self, f: &mut Formatter<'_>) -> Result {
        let work = &self.operations;
        writeln!(
            f,
            "\na step computes {}: forward {} (images {}, prompts {}), backward {}, again {}",
            tera(work.step),
            tera(work.forward),
            tera(work.forward_image),
            tera(work.forward_prompt),
            tera(work.backward),
            tera(work.again)
        )
    }

    fn data(&self, f: &mut Formatter<'_>) -> Result {
        writeln!(f)?;
        if !self.corpus_found {
            writeln!(
                f,
                "no corpus at {}: it has no index.json",
                self.corpus.display()
            )?;
        }
        for set in &self.datasets {
            writeln!(
                f,
                "{}: {} training and {} validation images, prompts {:?}",
                set.name, set.train, set.val, set.prompts
            )?;
        }
        if !self.missing.is_empty() {
            writeln!(
                f,
                "missing datasets ({}): {}",
                self.missing.len(),
                self.missing.join(", ")
            )?;
        }
        if let Some(start) = &self.start {
            let found = if start.found {
                ""
            } else {
                ", which is missing"
            };
            writeln!(f, "starts from {}{found}", start.folder.display())?;
        }
        Ok(())
    }
}
