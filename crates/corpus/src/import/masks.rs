//! Mask values to labels: binary, grey values, colours, object ids, one file per object, contours.

use std::collections::HashMap;
use std::path::Path;

use super::canvas::{Canvas, LabelSet};
use super::error::ImportError;
use super::layout::parse_colour;
use super::manifest::{Manifest, MaskRule, Reading};
use super::polygon;
use super::raster::{MaskFile, Values};
use crate::error::CorpusError;

/// The mask rules of a manifest with their labels as indices.
pub(super) struct Rules<'a> {
    manifest: &'a Manifest,
    list: &'a [MaskRule],
}

impl<'a> Rules<'a> {
    pub(super) fn new(manifest: &'a Manifest, list: &'a [MaskRule]) -> Self {
        Self { manifest, list }
    }

    pub(super) fn list(&self) -> &'a [MaskRule] {
        self.list
    }

    /// Whether any rule tells objects apart.
    pub(super) fn objects(&self) -> bool {
        let objects = |rule: &MaskRule| matches!(rule.read, Reading::Ids | Reading::Objects);
        self.list.iter().any(objects)
    }

    /// Every label that a rule can give.
    pub(super) fn labels_of(&self, rule: &MaskRule) -> LabelSet {
        let names = rule
            .label
            .iter()
            .chain(rule.values.values())
            .chain(rule.colours.values());
        names.filter_map(|name| self.manifest.label(name)).collect()
    }

    fn one(&self, rule: &MaskRule) -> u8 {
        // `MaskRule::check` has seen that it is declared.
        rule.label
            .as_deref()
            .and_then(|name| self.manifest.label(name))
            .unwrap_or_default()
    }

    /// Labels by grey value; 0 is none of them.
    pub(super) fn values(&self, rule: &MaskRule) -> HashMap<u16, u8> {
        let pair = |(value, name): (&String, &String)| {
            Some((
                value.parse().ok()?,
                self.manifest.label(name).unwrap_or_default(),
            ))
        };
        let mut values: HashMap<u16, u8> = rule.values.iter().filter_map(pair).collect();
        values.entry(0).or_default();
        values
    }

    fn colours(&self, rule: &MaskRule) -> Vec<([u8; 3], u8)> {
        let pair = |(colour, name): (&String, &String)| {
            Some((
                parse_colour(colour)?,
                self.manifest.label(name).unwrap_or_default(),
            ))
        };
        let mut colours: Vec<_> = rule.colours.iter().filter_map(pair).collect();
        if !colours.iter().any(|(colour, _)| *colour == [0; 3]) {
            colours.push(([0; 3], 0));
        }
        colours
    }
}

/// Draws a mask file.
///
/// # Errors
/// A file of another size or kind than it should be, a value that the rule does not name.
pub(super) fn raster(
    path: &Path,
    rules: &Rules<'_>,
    rule: &MaskRule,
    mask: &MaskFile,
    canvas: &mut Canvas,
) -> Result<(), CorpusError> {
    if (mask.width, mask.height) != (canvas.width, canvas.height) {
        return Err(CorpusError::MaskSize {
            path: path.to_owned(),
            found: (mask.width, mask.height),
            image: (canvas.width, canvas.height),
        });
    }
    if rule.read == Reading::Colours {
        return colours(
            path,
            &rules.colours(rule),
            rule.tolerance,
            &mask.values,
            canvas,
        );
    }
    let Values::Gray(values) = &mask.values else {
        return Err(ImportError::Source {
            path: path.to_owned(),
            reason: "the mask is in colour; read it with `read = \"colours\"`".to_owned(),
        }
        .into());
    };
    numbers(path, rules, rule, values, Scale::of(mask), canvas)
}

/// What the values of a binary mask are measured by.
#[derive(Debug, Clone, Copy)]
pub(super) struct Scale {
    range: u16,
    lossy: bool,
}

impl Scale {
    /// Everything above 0.
    pub(super) const VOLUME: Self = Self {
        range: 1,
        lossy: false,
    };

    pub(super) fn of(mask: &MaskFile) -> Self {
        Self {
            range: mask.range,
            lossy: mask.lossy,
        }
    }

    /// Largest value that is background: the rule's, else by the file's own values. A file of 0 and one other value says by
    /// itself what is inside; 16 bits that hold no more than 8 are 8.
    fn threshold(self, rule: &MaskRule, values: &[u16]) -> u16 {
        if let Some(threshold) = rule.threshold {
            return threshold;
        }
        let inside = || values.iter().filter(|value| **value != 0);
        let first = inside().next();
        if !self.lossy && inside().all(|value| Some(value) == first) {
            return 0;
        }
        match values.iter().max() {
            Some(0..=255) => self.range.min(255) / 2,
            _ => self.range / 2,
        }
    }
}

/// Whether a binary mask holds values but none above its threshold.
pub(super) fn is_below_threshold(rule: &MaskRule, values: &[u16], scale: Scale) -> bool {
    let binary = matches!(rule.read, Reading::Binary | Reading::Objects);
    let most = values.iter().max().copied().unwrap_or(0);
    binary && most > 0 && most <= scale.threshold(rule, values)
}

/// Draws whole numbers, `[height, width]`, of a picture or of a slice of a volume.
///
/// # Errors
/// A value that the rule does not name, too many objects.
pub(super) fn numbers(
    path: &Path,
    rules: &Rules<'_>,
    rule: &MaskRule,
    values: &[u16],
    scale: Scale,
    canvas: &mut Canvas,
) -> Result<(), CorpusError> {
    let failed = |reason: String| ImportError::Source {
        path: path.to_owned(),
        reason,
    };
    match rule.read {
        Reading::Values => {
            let labels = rules.values(rule);
            for (at, value) in values.iter().enumerate() {
                match labels.get(value) {
                    Some(0) => {}
                    Some(&label) => canvas.label(at, label).map_err(failed)?,
                    None => return Err(unknown(path, format!("the value {value}"))),
                }
            }
        }
        Reading::Ids => {
            let mut places: HashMap<u16, Vec<usize>> = HashMap::new();
            for (at, &value) in values.iter().enumerate().filter(|(_, value)| **value != 0) {
                places.entry(value).or_default().push(at);
            }
            let mut ids: Vec<_> = places.into_iter().collect();
            ids.sort_unstable_by_key(|(id, _)| *id);
            for (_, places) in ids {
                canvas
                    .object(rules.one(rule), places.into_iter())
                    .map_err(failed)?;
            }
        }
        _ => {
            let threshold = scale.threshold(rule, values);
            let inside = values
                .iter()
                .enumerate()
                .filter(|(_, value)| **value > threshold);
            // Beside objects a plain mask is one object of its label.
            canvas
                .object(rules.one(rule), inside.map(|(at, _)| at))
                .map_err(failed)?;
        }
    }
    Ok(())
}

fn colours(
    path: &Path,
    named: &[([u8; 3], u8)],
    tolerance: u8,
    values: &Values,
    canvas: &mut Canvas,
) -> Result<(), CorpusError> {
    let mut seen: HashMap<[u8; 3], u8> = HashMap::new();
    let count = canvas.width * canvas.height;
    for at in 0..count {
        let colour = match values {
            Values::Gray(values) => values.get(at).map(|value| [value.to_le_bytes()[0]; 3]),
            Values::Colour(values) => values.get(at).copied(),
        };
        let Some(colour) = colour else { continue };
        let label = match seen.get(&colour) {
            Some(&label) => label,
            None => {
                let near = nearest(named, colour, tolerance);
                let label = near.ok_or_else(|| {
                    let [r, g, b] = colour;
                    unknown(path, format!("the colour #{r:02x}{g:02x}{b:02x}"))
                })?;
                seen.insert(colour, label);
                label
            }
        };
        if label != 0 {
            canvas
                .label(at, label)
                .map_err(|reason| ImportError::Source {
                    path: path.to_owned(),
                    reason,
                })?;
        }
    }
    Ok(())
}

/// The label of the nearest colour by the largest difference of a channel.
fn nearest(named: &[([u8; 3], u8)], colour: [u8; 3], tolerance: u8) -> Option<u8> {
    let distance = |other: &[u8; 3]| {
        let channels = other.iter().zip(colour);
        channels.map(|(a, b)| a.abs_diff(b)).max().unwrap_or(0)
    };
    let (nearest, label) = named.iter().min_by_key(|(other, _)| distance(other))?;
    (distance(nearest) <= tolerance).then_some(*label)
}

/// Draws the polygon of a text file.
///
/// # Errors
/// A line that is not two numbers.
pub(super) fn contour(
    path: &Path,
    rules: &Rules<'_>,
    rule: &MaskRule,
    canvas: &mut Canvas,
) -> Result<(), CorpusError> {
    let text = std::fs::read_to_string(path).map_err(|source| CorpusError::Read {
        path: path.to_owned(),
        source,
    })?;
    let failed = |reason: String| ImportError::Source {
        path: path.to_owned(),
        reason,
    };
    let mut corners = Vec::new();
    for (at, line) in text
        .lines()
        .enumerate()
        .filter(|(_, line)| !line.trim().is_empty())
    {
        let numbers = line
            .split(|c: char| c.is_whitespace() || c == ',')
            .filter(|part| !part.is_empty());
        let numbers: Option<Vec<f64>> = numbers.map(|part| part.parse().ok()).collect();
        let Some(&[x, y]) = numbers.as_deref() else {
            return Err(failed(format!("line {} is not two numbers", at + 1)).into());
        };
        corners.extend([x, y]);
    }
    let inside = polygon::fill(&corners, canvas.width, canvas.height).map_err(failed)?;
    let places = inside
        .iter()
        .enumerate()
        .filter(|(_, inside)| **inside)
        .map(|(at, _)| at);
    canvas.object(rules.one(rule), places).map_err(failed)?;
    Ok(())
}

fn unknown(path: &Path, value: String) -> CorpusError {
    ImportError::UnknownValue {
        path: path.to_owned(),
        value,
    }
    .into()
}
