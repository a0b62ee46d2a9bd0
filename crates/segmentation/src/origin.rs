//! Who made a segment and how: what every format writes as far as it can.

use medsam3_imaging::Window;
use serde::{Deserialize, Serialize};

/// How much of it a person did (Segment Algorithm Type, 0062,0008).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Method {
    /// A model alone.
    #[default]
    Automatic,
    /// A model, and a person who corrected it.
    Semiautomatic,
    /// A person alone.
    Manual,
}

impl Method {
    /// As Segment Algorithm Type and ROI Generation Algorithm (3006,0036) have it.
    pub(crate) fn defined_term(self) -> &'static str {
        match self {
            Self::Automatic => "AUTOMATIC",
            Self::Semiautomatic => "SEMIAUTOMATIC",
            Self::Manual => "MANUAL",
        }
    }
}

/// Who made a segment, and how.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Origin {
    /// Model, person, or both.
    pub method: Method,
    /// The model's name.
    pub model: Option<String>,
    /// What tells the model's weights from others: their SHA-256 in hexadecimal digits, or a version.
    pub model_version: Option<String>,
    /// The prompt as it was typed.
    pub prompt: Option<String>,
    /// Score from which instances were kept.
    pub threshold: Option<f64>,
    /// Probability from which a pixel is inside.
    pub mask_threshold: Option<f64>,
    /// The gray values that the model saw.
    pub window: Option<Window>,
    /// The best score of the instances.
    pub score: Option<f64>,
}

impl Origin {
    /// Of a model.
    pub fn of_model(
        model: impl Into<String>,
        model_version: impl Into<String>,
        prompt: impl Into<String>,
    ) -> Self {
        Self {
            method: Method::Automatic,
            model: Some(model.into()),
            model_version: Some(model_version.into()),
            prompt: Some(prompt.into()),
            ..Self::default()
        }
    }

    /// Of a person.
    pub fn of_person() -> Self {
        Self {
            method: Method::Manual,
            ..Self::default()
        }
    }

    /// After a person corrected it.
    #[must_use]
    pub fn edited(self) -> Self {
        Self {
            method: match self.method {
                Method::Manual => Method::Manual,
                Method::Automatic | Method::Semiautomatic => Method::Semiautomatic,
            },
            ..self
        }
    }

    /// The parameters as one line, `prompt="left lung"; threshold=0.8; window=-600/1500`; empty without any.
    pub fn parameters(&self) -> String {
        let mut parts = Vec::new();
        if let Some(prompt) = &self.prompt {
            parts.push(format!("prompt=\"{prompt}\""));
        }
        if let Some(threshold) = self.threshold {
            parts.push(format!("threshold={threshold}"));
        }
        if let Some(threshold) = self.mask_threshold {
            parts.push(format!("mask_threshold={threshold}"));
        }
        if let Some(Window { center, width }) = self.window {
            parts.push(format!("window={center}/{width}"));
        }
        if let Some(score) = self.score {
            parts.push(format!("score={score}"));
        }
        parts.join("; ")
    }
}
