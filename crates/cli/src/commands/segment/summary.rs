//! What is said at the end of a series, per prompt: a JSON line, a row of the table, or text.

use std::fmt;

use medsam3_segmentation::{Measurement, Statistics};
use serde::Serialize;

use super::record::Row;

/// A prompt over a whole series.
#[derive(Debug, Serialize)]
pub struct Summary<'a> {
    /// `series`, beside the `picture` of [`super::record`].
    pub kind: &'static str,
    pub input: &'a str,
    /// From 1, as `medsam3 inspect` counts.
    pub series: usize,
    pub prompt: &'a str,
    pub words_known: bool,
    /// Pictures that were asked for, and those that have an answer.
    pub pictures: [usize; 2],
    /// The largest presence and score of any picture.
    pub presence: f32,
    pub score: f32,
    /// Pictures with a mask.
    pub slices: usize,
    pub voxels: usize,
    /// `None` where the spacing or the distance of slices is not known.
    pub volume_ml: Option<f64>,
    /// Values within the mask; `None` for colour and for several frames.
    pub statistics: Option<Statistics>,
    /// What makes the numbers doubtful, by stable codes.
    pub warnings: Vec<&'static str>,
    /// Names of the files in the output folder.
    pub files: Vec<String>,
    pub model: &'a str,
}

impl Summary<'_> {
    /// Takes over what was measured; a cine has a measurement per frame and no volume.
    pub fn measured(&mut self, measurements: &[&Measurement]) {
        self.slices = measurements.iter().map(|of| of.slices.len()).sum();
        self.voxels = measurements.iter().map(|of| of.voxels).sum();
        let mut warnings: Vec<_> = measurements.iter().flat_map(|of| &of.warnings).collect();
        warnings.sort();
        warnings.dedup();
        self.warnings = warnings.into_iter().map(|warning| warning.code()).collect();
        if let [only] = measurements {
            self.volume_ml = only.volume_ml;
            self.statistics = only.statistics;
        }
    }

    /// As a row.
    pub fn row(&self) -> Row<'_> {
        let of = |value: fn(&Statistics) -> f64| self.statistics.as_ref().map(value);
        Row {
            input: self.input,
            series: self.series,
            prompt: self.prompt,
            presence: self.presence,
            score: self.score,
            area_px: Some(self.voxels),
            slices: Some(self.slices),
            volume_ml: self.volume_ml,
            mean: of(|statistics| statistics.mean),
            standard_deviation: of(|statistics| statistics.sd),
            minimum: of(|statistics| statistics.min),
            maximum: of(|statistics| statistics.max),
            unit: self.statistics.as_ref().map(|statistics| statistics.unit),
            words_known: self.words_known,
            mask: self.files.first().map(String::as_str),
            model: self.model,
            ..Row::default()
        }
    }
}

impl fmt::Display for Summary<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [asked, done] = self.pictures;
        write!(
            f,
            "{}  \"{}\"  in {} of {done} slices",
            self.input, self.prompt, self.slices
        )?;
        if done < asked {
            write!(f, " ({asked} were asked for)")?;
        }
        match self.volume_ml {
            Some(volume) => write!(f, "  {volume:.2} ml")?,
            None => write!(f, "  {} pixels", self.voxels)?,
        }
        if let Some(Statistics { mean, sd, unit, .. }) = &self.statistics {
            write!(f, "  {mean:.1} ± {sd:.1} {unit}")?;
        }
        for file in &self.files {
            write!(f, "\n  {file}")?;
        }
        for warning in &self.warnings {
            write!(f, "\n  warning [{warning}]")?;
        }
        Ok(())
    }
}
