//! What is found in a series, kept sparsely until its end; then measured and written.

use anyhow::Result;
use medsam3_engine::{PromptResult, SliceResult};
use medsam3_imaging::series::Kind;
use medsam3_segmentation::{
    DicomOptions, Measurement, Origin, Segment, Segmentation, Stamp, label_table, measure,
    overlay_png, write_segment_nifti, write_sr,
};
use medsam3_weights::Manifest;

use super::arguments::Format;
use super::output::{Output, Which};
use super::summary::Summary;
use super::targets::Target;

/// How much of an overlay's colour is the mask's.
const OPACITY: f64 = 0.4;

/// The segments of a series, one per prompt.
pub struct SeriesResults<'a> {
    /// Which of the series.
    at: usize,
    target: &'a Target,
    manifest: &'a Manifest,
    prompts: Vec<Prompt>,
    document: Segmentation,
    done: usize,
    deidentify: bool,
}

/// What is known of a prompt beside its masks.
struct Prompt {
    words: String,
    words_known: bool,
    presence: f32,
    score: f32,
}

impl<'a> SeriesResults<'a> {
    /// Nothing found yet. With `deidentify`, DICOM results will not say who the patient is.
    pub fn new(
        at: usize,
        target: &'a Target,
        manifest: &'a Manifest,
        prompts: &[String],
        deidentify: bool,
    ) -> Self {
        let mut document = Segmentation::new(&target.series);
        let hash = manifest.weights_sha256();
        for words in prompts {
            let origin = Origin::of_model(manifest.name.as_str(), hash.as_str(), words.as_str());
            document.add(Segment::new(words.as_str(), origin));
        }
        let unasked = |words: &String| Prompt {
            words: words.clone(),
            words_known: true,
            presence: 0.0,
            score: 0.0,
        };
        Self {
            at,
            target,
            manifest,
            prompts: prompts.iter().map(unasked).collect(),
            document,
            done: 0,
            deidentify,
        }
    }

    /// Takes the answers for a picture, and draws it with its masks where that is asked for.
    ///
    /// # Errors
    /// A picture of another size than the series says, a file that cannot be written.
    pub fn add(&mut self, which: Which, result: &SliceResult, output: &Output) -> Result<()> {
        for (index, answer) in result.answers.iter().enumerate() {
            let place = result.place;
            (self.document).set_mask(index, place.slice, place.frame, &answer.mask)?;
            if self.done == 0
                && let Some(segment) = self.document.segment_mut(index)
            {
                segment.origin.threshold = Some(f64::from(answer.thresholds.score));
                segment.origin.mask_threshold = Some(f64::from(answer.thresholds.mask));
                segment.origin.window = result.window;
            }
            if let Some(prompt) = self.prompts.get_mut(index) {
                prompt.hear(answer);
            }
        }
        self.done += 1;
        output.overlay(self.target.series.kind(), which, || {
            let (document, place) = (&self.document, result.place);
            overlay_png(&result.image, document, place.slice, place.frame, OPACITY)
        })
    }

    /// Measures, writes and says it. `stopped` tells that pictures are missing because the run ended early: files are named
    /// so, lest a slice that was not looked at passes for one without a finding.
    ///
    /// # Errors
    /// The file that cannot be written, or what reading the series for its values gives.
    pub fn finish(mut self, output: &mut Output, stopped: bool) -> Result<()> {
        let kind = self.target.series.kind();
        for (index, prompt) in self.prompts.iter().enumerate() {
            if let Some(segment) = self.document.segment_mut(index) {
                segment.origin.score = Some(f64::from(prompt.score));
            }
        }
        // Of an image the records have said what is known, unless a file of measurements is asked for.
        let in_file = output.wants(Format::Json, kind) || output.wants(Format::Sr, kind);
        let measurements = match kind {
            Kind::Image if !in_file => Vec::new(),
            _ => measure(&self.target.series, &self.document)?,
        };
        let seg = Stamp::now()?;
        let mut shared = Vec::new();
        for (format, ending) in Format::of_a_series() {
            if output.wants(format, kind) {
                let name = output.series_name(self.at, ending, stopped);
                shared.extend(self.write(output, format, name, &measurements, seg)?);
            }
        }
        for (index, prompt) in self.prompts.iter().enumerate() {
            let mut files = Vec::new();
            if output.wants(Format::Nifti, kind) {
                let name = output.volume_name(self.at, index, stopped);
                output.file(&name, |file| {
                    write_segment_nifti(&self.target.series, &self.document, index, file)
                })?;
                files.push(name);
            }
            files.extend(shared.iter().cloned());
            if kind == Kind::Image {
                continue;
            }
            let of_prompt = measurements.iter().filter(|of| of.number == index + 1);
            let mut summary = Summary {
                kind: "series",
                input: &self.target.input,
                series: self.target.number,
                prompt: &prompt.words,
                words_known: prompt.words_known,
                pictures: [self.target.pictures.len(), self.done],
                presence: prompt.presence,
                score: prompt.score,
                slices: 0,
                voxels: 0,
                volume_ml: None,
                statistics: None,
                warnings: Vec::new(),
                files,
                model: &self.manifest.name,
            };
            summary.measured(&of_prompt.collect::<Vec<_>>());
            output.say(&summary, &summary.row(), kind)?;
        }
        output.flush()
    }

    /// Writes all segments as one file, and gives the names of what was written. Where nothing was found there is no DICOM
    /// object: it would hold nothing. `seg` is the identity of the DICOM segmentation, which a report refers to.
    fn write(
        &self,
        output: &Output,
        format: Format,
        name: String,
        measurements: &[Measurement],
        seg: Stamp,
    ) -> Result<Vec<String>> {
        let (series, document) = (&self.target.series, &self.document);
        let found = document
            .segments()
            .iter()
            .any(|segment| !segment.is_empty());
        if format.is_dicom() && !found {
            return Ok(Vec::new());
        }
        let options = DicomOptions {
            deidentify: self.deidentify,
            ..DicomOptions::new(match format {
                Format::Seg => seg,
                _ => Stamp::now()?,
            })
        };
        output.file(&name, |file| match format.of_document() {
            Some(format) => format.write(series, document, measurements, &options, file),
            None => write_sr(series, document, measurements, &seg, &options, file),
        })?;
        if format == Format::NiftiLabelmap {
            let table = name.replace(".nii.gz", ".txt");
            output.file(&table, |file| {
                Ok(file.write_all(label_table(document).as_bytes())?)
            })?;
            return Ok(vec![name, table]);
        }
        Ok(vec![name])
    }
}

impl Prompt {
    fn hear(&mut self, answer: &PromptResult) {
        self.words_known = answer.words_known;
        self.presence = self.presence.max(answer.presence);
        self.score = self.score.max(answer.best_score);
    }
}
