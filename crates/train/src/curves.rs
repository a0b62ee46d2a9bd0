//! `curves.svg` of a run folder: loss terms, learning rate and validation over the optimiser steps, from `metrics.jsonl`.

use std::fs;
use std::path::Path;

use medsam3_files::{Existing, atomic_write_bytes};
use plotters::coord::ranged1d::{Ranged, ValueFormatter};
use plotters::prelude::*;
use serde_json::Value;

use crate::error::TrainError;
use crate::metrics::METRICS_FILE;

/// The drawing's name in the run folder.
pub const CURVES_FILE: &str = "curves.svg";
const SIZE: (u32, u32) = (960, 1080);
/// Points of a curve at most: steps are averaged in between.
const POINTS: usize = 160;
/// How much wider a diagram is than its curves, for the legend beside them.
const LEGEND: f64 = 1.22;
/// The terms of the loss, before their weights.
const TERMS: [&str; 11] = [
    "total",
    "semantic_dice",
    "semantic_focal",
    "presence",
    "classification",
    "box_l1",
    "box_giou",
    "mask_dice",
    "mask_focal",
    "many_classification",
    "many_box_giou",
];

/// A named line, its points in the order of the steps.
#[derive(Debug, Clone, PartialEq)]
struct Curve {
    name: String,
    points: Vec<(f64, f64)>,
}

/// Draws the curves of the run in `folder`; without a step there is nothing to draw.
///
/// # Errors
/// Metrics that cannot be read, a drawing that cannot be written.
pub fn draw(folder: &Path) -> Result<(), TrainError> {
    let path = folder.join(METRICS_FILE);
    let text = fs::read_to_string(&path).map_err(|source| TrainError::Read { path, source })?;
    let lines: Vec<Value> = text
        .lines()
        .filter_map(|line| serde_json::from_str(line).ok())
        .collect();
    let of_kind = |kind: &str| -> Vec<&Value> {
        let same = |line: &&Value| line.get("kind").is_some_and(|found| found == kind);
        lines.iter().filter(same).collect()
    };
    let (steps, validations) = (of_kind("step"), of_kind("validation"));
    if steps.is_empty() {
        return Ok(());
    }
    let terms = TERMS.map(|name| averaged(name, &steps)).into_iter();
    let losses: Vec<Curve> = terms
        .filter(|curve| curve.points.iter().any(|point| point.1 > 0.0))
        .collect();
    let rate = [averaged("learning_rate", &steps)];
    let validation = [
        over_prompts("Dice", &validations, "dice", "images"),
        over_prompts(
            "Dice without the presence",
            &validations,
            "dice_ungated",
            "images",
        ),
        over_prompts(
            "found where absent",
            &validations,
            "false_positive",
            "absent",
        ),
    ];
    let drawn = drawing(&losses, &rate, &validation).map_err(|error| TrainError::Other {
        context: "drawing the curves",
        reason: error.to_string(),
    })?;
    let path = folder.join(CURVES_FILE);
    atomic_write_bytes(&path, Existing::Replace, drawn.as_bytes())
        .map_err(|source| TrainError::Write { path, source })
}

/// A value of the steps, averaged over spans of equal length.
fn averaged(name: &str, steps: &[&Value]) -> Curve {
    let values: Vec<(f64, f64)> = steps
        .iter()
        .filter_map(|line| Some((line.get("step")?.as_f64()?, line.get(name)?.as_f64()?)))
        .collect();
    let span = values.len().div_ceil(POINTS).max(1);
    let mean = |points: &[(f64, f64)]| {
        let count = points.len() as f64;
        let sum = points
            .iter()
            .fold((0.0, 0.0), |a, b| (a.0 + b.0, a.1 + b.1));
        (sum.0 / count, sum.1 / count)
    };
    Curve {
        name: name.replace('_', " "),
        points: values.chunks(span).map(mean).collect(),
    }
}

/// The mean over the prompts of a validation, those left out that have no image to count.
fn over_prompts(name: &str, validations: &[&Value], value: &str, count: &str) -> Curve {
    let mean = |line: &&Value| {
        let scores = line.get("scores")?.as_object()?;
        let counted: Vec<f64> = scores
            .values()
            .filter(|score| score.get(count).and_then(Value::as_u64) > Some(0))
            .filter_map(|score| score.get(value)?.as_f64())
            .collect();
        let mean = counted.iter().sum::<f64>() / counted.len() as f64;
        Some((line.get("step")?.as_f64()?, mean)).filter(|point| point.1.is_finite())
    };
    Curve {
        name: name.to_owned(),
        points: validations.iter().filter_map(mean).collect(),
    }
}

type Failed = Box<dyn std::error::Error>;

fn drawing(losses: &[Curve], rate: &[Curve], validation: &[Curve]) -> Result<String, Failed> {
    let mut text = String::new();
    {
        let area = SVGBackend::with_string(&mut text, SIZE).into_drawing_area();
        area.fill(&WHITE)?;
        let (top, rest) = area.split_vertically(SIZE.1 * 2 / 5);
        let (middle, bottom) = rest.split_vertically(SIZE.1 / 4);
        let last = losses.iter().flat_map(|curve| &curve.points).map(|p| p.0);
        let last = last.fold(1.0, f64::max);
        let values = losses.iter().flat_map(|curve| &curve.points).map(|p| p.1);
        let least = values
            .clone()
            .filter(|v| *v > 0.0)
            .fold(f64::INFINITY, f64::min);
        let most = values.fold(least * 10.0, f64::max);
        let log = (least * 0.8..most * 1.25).log_scale();
        panel(
            &top,
            "Loss and its terms before their weights",
            last,
            losses,
            log,
        )?;
        let most = rate.iter().flat_map(|curve| &curve.points).map(|p| p.1);
        let most = most.fold(f64::MIN_POSITIVE, f64::max);
        panel(&middle, "Learning rate", last, rate, 0.0..most * 1.1)?;
        let title = "Validation, mean over prompts and datasets";
        panel(&bottom, title, last, validation, 0.0..1.0)?;
        area.present()?;
    }
    Ok(text)
}

/// One diagram with its legend.
fn panel<Y>(
    area: &DrawingArea<SVGBackend<'_>, plotters::coord::Shift>,
    title: &str,
    last: f64,
    curves: &[Curve],
    values: Y,
) -> Result<(), Failed>
where
    Y: plotters::coord::ranged1d::AsRangedCoord<Value = f64>,
    Y::CoordDescType: Ranged<ValueType = f64> + ValueFormatter<f64>,
{
    let mut chart = ChartBuilder::on(area)
        .caption(title, ("sans-serif", 18))
        .margin(12)
        .margin_right(24)
        .x_label_area_size(36)
        .y_label_area_size(64)
        .build_cartesian_2d(0.0..last * LEGEND, values)?;
    chart
        .configure_mesh()
        .light_line_style(WHITE)
        .x_label_formatter(&|step| format!("{step:.0}"))
        .y_label_formatter(&|value| short(*value))
        .x_desc("optimiser step")
        .draw()?;
    for (at, curve) in curves.iter().enumerate() {
        let colour = Palette99::pick(at).to_rgba();
        let style = colour.stroke_width(2);
        chart
            .draw_series(LineSeries::new(curve.points.iter().copied(), style))?
            .label(&curve.name)
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 18, y)], style));
        if curve.points.len() < 40 {
            let dots = curve
                .points
                .iter()
                .map(|&at| Circle::new(at, 3, colour.filled()));
            chart.draw_series(dots)?;
        }
    }
    if curves.len() > 1 {
        chart
            .configure_series_labels()
            .position(SeriesLabelPosition::UpperRight)
            .background_style(WHITE.mix(0.85))
            .label_font(("sans-serif", 12))
            .draw()?;
    }
    Ok(())
}

/// Three significant digits at most.
fn short(value: f64) -> String {
    match value.abs() {
        0.0 => "0".to_owned(),
        v if v < 1e-2 => format!("{value:.1e}"),
        v if v < 10.0 => format!("{}", (value * 100.0).round() / 100.0),
        _ => format!("{value:.0}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn steps_are_averaged_in_spans_and_prompts_without_images_left_out() {
        let lines: Vec<Value> = (1..=320)
            .map(|step| json!({ "step": step, "box_l1": step % 2 }))
            .collect();
        let curve = averaged("box_l1", &lines.iter().collect::<Vec<_>>());
        assert_eq!(curve.points.len(), 160);
        assert_eq!(curve.points[1], (3.5, 0.5));
        let scores = json!({ "step": 7, "scores": {
            "a": { "dice": 0.5, "images": 3 }, "b": { "dice": 0.0, "images": 0 }, "c": { "dice": 1.0, "images": 1 },
        } });
        let curve = over_prompts("Dice", &[&scores], "dice", "images");
        assert_eq!(curve.points, [(7.0, 0.75)]);
    }

    /// Every curve is a polyline of the drawing with as many points as it has values.
    #[test]
    fn every_curve_is_drawn_with_all_its_points() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut lines: Vec<Value> = (1..=9)
            .map(|step| json!({ "kind": "step", "step": step, "learning_rate": 1e-3, "total": 9.0 / f64::from(step), "presence": 0.5 }))
            .collect();
        let score = json!({ "dice": 0.25, "dice_ungated": 0.5, "images": 4, "false_positive": 0.75, "absent": 2 });
        for step in [4, 8] {
            lines.push(json!({ "kind": "validation", "step": step, "scores": { "d/p": score } }));
        }
        let text: String = lines.iter().map(|line| format!("{line}\n")).collect();
        fs::write(folder.path().join(METRICS_FILE), text).expect("written");
        draw(folder.path()).expect("a drawing");
        let drawn = fs::read_to_string(folder.path().join(CURVES_FILE)).expect("readable");
        let points = |line: &str| {
            line.split("points=\"").nth(1).map(|rest| {
                rest.split('"')
                    .next()
                    .unwrap_or("")
                    .split_whitespace()
                    .count()
            })
        };
        let of = |count: usize| {
            let long =
                |line: &&str| line.contains("stroke-width=\"2\"") && points(line) == Some(count);
            drawn.lines().filter(long).count()
        };
        assert_eq!(of(9), 3, "total, presence and learning rate");
        // Three curves, and the two ends of the lines of all legends: five entries.
        assert_eq!(of(2), 3 + 5);
        for words in ["Learning rate", "found where absent", "presence"] {
            assert!(drawn.contains(words), "{words}");
        }
    }
}
