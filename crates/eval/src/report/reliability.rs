//! A reliability diagram as SVG: how often predictions of a probability came true, against that probability.

use std::fmt::Write as _;

use crate::metrics::Calibration;

const SIDE: f64 = 220.0;
const MARGIN: f64 = 30.0;

/// The diagram; a dot's area grows with its number of predictions.
pub(super) fn svg(title: &str, calibration: &Calibration) -> String {
    let whole = SIDE + 2.0 * MARGIN;
    let x = |value: f64| MARGIN + value * SIDE;
    let y = |value: f64| MARGIN + (1.0 - value) * SIDE;
    let mut text = format!(
        "<svg viewBox=\"0 0 {whole} {whole}\" width=\"{whole}\" height=\"{whole}\" role=\"img\" aria-label=\"{}\">",
        htmlize::escape_attribute(title)
    );
    // Writing to a string cannot fail.
    let _ = write!(
        text,
        "<rect x=\"{MARGIN}\" y=\"{MARGIN}\" width=\"{SIDE}\" height=\"{SIDE}\" class=\"frame\"/>\
         <line x1=\"{}\" y1=\"{}\" x2=\"{}\" y2=\"{}\" class=\"perfect\"/>\
         <text x=\"{}\" y=\"{}\">probability</text><text x=\"{}\" y=\"{}\">came true</text>",
        x(0.0),
        y(0.0),
        x(1.0),
        y(1.0),
        x(0.4),
        whole - 8.0,
        2.0,
        MARGIN - 10.0
    );
    for bin in &calibration.bins {
        let radius = 2.0 + 14.0 * (bin.count as f64 / calibration.count.max(1) as f64).sqrt();
        let _ = write!(
            text,
            "<circle cx=\"{:.1}\" cy=\"{:.1}\" r=\"{radius:.1}\"><title>{} of {} predictions: {:.3}, came true {:.3}</title></circle>",
            x(bin.probability),
            y(bin.frequency),
            bin.count,
            calibration.count,
            bin.probability,
            bin.frequency
        );
    }
    text + "</svg>"
}
