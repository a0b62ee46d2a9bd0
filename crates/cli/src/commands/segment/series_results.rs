//! What is found in a series, kept sparsely until its end; then measured and written.

use anyhow::Result;
use medsam3_engine::{PromptResult, SliceResult};
use medsam3_imaging::series::Kind;
use medsam3_segmentation::{
    DicomOptions, Origin, Segment, Segmentation, SegmentationError, Stamp, measure, write_rtstruct,
    write_seg, write_segment_nifti,
};
use medsam3_weights::Manifest;

use super::arguments::Format;
use super::output::Output;
use super::summary::Summary;
use super::targets::Target;

/// The segments of a series, one per prompt.
pub struct SeriesResults<'a> {
    /// Which of the series.
    at: usize,
    target: &'a Target,
    manifest: &'a Manifest,
    prompts: Vec<Prompt>,
    document: Segmentation,
    done: usize,
}

/// What is known of a prompt beside its masks.
struct Prompt {
    words: String,
    words_known: bool,
    presence: f32,
    score: f32,
}

impl<'a> SeriesResults<'a> {
    /// Nothing found yet.
    pub fn new(at: usize, target: &'a Target, manifest: &'a Manifest, prompts: &[String]) -> Self {
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
        }
    }

    /// Takes the answers for a picture.
    ///
    /// # Errors
    /// A picture of another size than the series says.
    pub fn add(&mut self, result: &SliceResult) -> Result<(), SegmentationError> {
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
        Ok(())
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
        let mut shared = Vec::new();
        if self
            .document
            .segments()
            .iter()
            .any(|segment| !segment.is_empty())
        {
            shared.extend(self.write_dicom(output, Format::Seg, stopped)?);
            shared.extend(self.write_dicom(output, Format::Rtstruct, stopped)?);
        }
        let measurements = match kind {
            Kind::Image => Vec::new(),
            _ => measure(&self.target.series, &self.document)?,
        };
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
            output.summary(&summary, kind)?;
        }
        output.flush()
    }

    /// Writes all segments as one DICOM object, if that is asked for, and gives the file's name.
    fn write_dicom(
        &self,
        output: &Output,
        format: Format,
        stopped: bool,
    ) -> Result<Option<String>> {
        if !output.wants(format, self.target.series.kind()) {
            return Ok(None);
        }
        let suffix = match format {
            Format::Rtstruct => "rtstruct",
            _ => "seg",
        };
        let name = output.dicom_name(self.at, suffix, stopped);
        let options = DicomOptions::new(Stamp::now()?);
        let (series, document) = (&self.target.series, &self.document);
        output.file(&name, |file| match format {
            Format::Rtstruct => write_rtstruct(series, document, &options, file),
            _ => write_seg(series, document, &options, file),
        })?;
        Ok(Some(name))
    }
}

impl Prompt {
    fn hear(&mut self, answer: &PromptResult) {
        self.words_known = answer.words_known;
        self.presence = self.presence.max(answer.presence);
        self.score = self.score.max(answer.best_score);
    }
}
