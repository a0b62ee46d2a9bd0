//! Measurements as a table (CSV after RFC 4180, a row per segment and frame) and as JSON with every slice;
//! labels as the table that ITK-SNAP reads beside a label map.

use std::fmt::Write as _;
use std::io::Write;

use serde_json::json;

use crate::document::Segmentation;
use crate::error::SegmentationError;
use crate::measure::Measurement;
use crate::origin::Method;

/// What stands where a length, an area or a volume cannot be given.
const NOT_CALIBRATED: &str = "not calibrated";

/// Columns of the table.
const COLUMNS: &[&str] = &[
    "number",
    "segment",
    "frame",
    "slices",
    "voxels",
    "volume_ml",
    "area_mm2",
    "mean",
    "sd",
    "min",
    "max",
    "unit",
    "long_axis_mm",
    "short_axis_mm",
    "axes_slice",
    "centroid_x_mm",
    "centroid_y_mm",
    "centroid_z_mm",
    "first_column",
    "last_column",
    "first_row",
    "last_row",
    "first_slice",
    "last_slice",
    "components",
    "code",
    "code_meaning",
    "laterality",
    "method",
    "model",
    "model_version",
    "parameters",
    "warnings",
    "note",
];

/// Writes the table. Slices count from 1, as in the page and in the table's file names.
///
/// # Errors
///
/// [`SegmentationError::Write`].
pub fn write_csv(
    segmentation: &Segmentation,
    measurements: &[Measurement],
    mut output: impl Write,
) -> Result<(), SegmentationError> {
    output.write_all(line(COLUMNS.iter().copied()).as_bytes())?;
    for measured in measurements {
        let row = row(segmentation, measured);
        output.write_all(line(row.iter().map(String::as_str)).as_bytes())?;
    }
    output.flush()?;
    Ok(())
}

fn row(segmentation: &Segmentation, measured: &Measurement) -> Vec<String> {
    let segment = measured
        .number
        .checked_sub(1)
        .and_then(|index| segmentation.segments().get(index));
    let calibrated = |value: Option<f64>| value.map_or_else(|| NOT_CALIBRATED.to_owned(), number);
    let text = |value: Option<&str>| value.unwrap_or_default().to_owned();
    let statistics = measured.statistics;
    let gray = |of: fn(&crate::Statistics) -> f64| statistics.as_ref().map(of).map(number);
    let largest = measured.largest_slice();
    let axis = |at: usize| {
        let axes = largest.and_then(|slice| slice.axes_mm);
        axes.and_then(|axes| axes.get(at).copied())
    };
    let volume = match measured.volume_ml {
        Some(volume) => number(volume),
        // A single picture has an area and no volume.
        None if measured.warnings.contains(&crate::Warning::NoVolume) => NOT_CALIBRATED.to_owned(),
        None => String::new(),
    };
    let mut row = vec![
        measured.number.to_string(),
        measured.name.clone(),
        (measured.frame + 1).to_string(),
        measured.slices.len().to_string(),
        measured.voxels.to_string(),
        volume,
        calibrated(measured.area_mm2()),
        gray(|statistics| statistics.mean).unwrap_or_default(),
        gray(|statistics| statistics.sd).unwrap_or_default(),
        gray(|statistics| statistics.min).unwrap_or_default(),
        gray(|statistics| statistics.max).unwrap_or_default(),
        text(statistics.map(|statistics| statistics.unit)),
        calibrated(axis(0)),
        calibrated(axis(1)),
        largest.map_or_else(String::new, |slice| (slice.slice + 1).to_string()),
    ];
    row.extend((0..3).map(|axis| {
        let at = measured
            .centroid_mm
            .and_then(|point| point.get(axis).copied());
        at.map_or_else(String::new, number)
    }));
    for (axis, bounds) in measured.bounding_box.iter().enumerate() {
        // Slices from 1 as elsewhere, columns and rows from 0 as pixels are.
        row.extend(
            bounds
                .iter()
                .map(|bound| (bound + usize::from(axis == 2)).to_string()),
        );
    }
    row.push(measured.components.to_string());
    let coding = segment.map(|segment| &segment.coding);
    row.push(text(coding.map(|coding| coding.kind.value.as_str())));
    row.push(text(coding.map(|coding| coding.kind.meaning.as_str())));
    let side = coding.and_then(|coding| coding.modifier.as_ref());
    row.push(text(side.map(|side| side.meaning.as_str())));
    let origin = segment.map(|segment| &segment.origin);
    row.push(text(origin.map(|origin| match origin.method {
        Method::Automatic => "automatic",
        Method::Semiautomatic => "semiautomatic",
        Method::Manual => "manual",
    })));
    row.push(text(origin.and_then(|origin| origin.model.as_deref())));
    row.push(text(
        origin.and_then(|origin| origin.model_version.as_deref()),
    ));
    row.push(origin.map(|origin| origin.parameters()).unwrap_or_default());
    let warnings: Vec<_> = measured
        .warnings
        .iter()
        .map(|warning| warning.code())
        .collect();
    row.push(warnings.join(" "));
    row.push(crate::DISCLAIMER.to_owned());
    row
}

/// As many digits as tell it from its neighbours.
fn number(value: f64) -> String {
    format!("{value}")
}

fn line<'a>(fields: impl Iterator<Item = &'a str>) -> String {
    let fields: Vec<String> = fields.map(field).collect();
    let mut line = fields.join(",");
    line.push_str("\r\n");
    line
}

fn field(text: &str) -> String {
    // A spreadsheet would run what begins like a formula.
    let formula = text.starts_with(['=', '@', '\t', '\r'])
        || (text.starts_with(['+', '-']) && text.parse::<f64>().is_err());
    let text = if formula {
        format!("'{text}")
    } else {
        text.to_owned()
    };
    if text.contains([',', '"', '\n', '\r']) {
        format!("\"{}\"", text.replace('"', "\"\""))
    } else {
        text
    }
}

/// Writes measurements with every slice, and who made the segments, as JSON.
///
/// # Errors
///
/// [`SegmentationError::Write`].
pub fn write_json(
    segmentation: &Segmentation,
    measurements: &[Measurement],
    mut output: impl Write,
) -> Result<(), SegmentationError> {
    let segments: Vec<_> = segmentation
        .segments()
        .iter()
        .zip(1..)
        .map(|(segment, number)| {
            json!({
                "number": number,
                "name": segment.name,
                "color": segment.color,
                "coding": segment.coding,
                "origin": segment.origin,
            })
        })
        .collect();
    let document = json!({
        "note": crate::DISCLAIMER,
        "grid": segmentation.grid(),
        "segments": segments,
        "measurements": measurements,
    });
    serde_json::to_writer_pretty(&mut output, &document).map_err(std::io::Error::from)?;
    output.write_all(b"\n")?;
    output.flush()?;
    Ok(())
}

/// What the labels of a label map are, in the format of ITK-SNAP's label description file.
pub fn label_table(segmentation: &Segmentation) -> String {
    let mut table = format!(
        "# ITK-SnAP Label Description File\n# {}\n    0     0    0    0        0  0  0    \"Clear Label\"\n",
        crate::DISCLAIMER
    );
    for (segment, number) in segmentation.segments().iter().zip(1..) {
        let [red, green, blue] = segment.color;
        let name: String = segment
            .name
            .chars()
            .map(|letter| match letter {
                '"' => '\'',
                other if other.is_control() => ' ',
                other => other,
            })
            .collect();
        let _infallible = writeln!(
            table,
            "{number:>5} {red:>5} {green:>4} {blue:>4}        1  1  1    \"{name}\""
        );
    }
    table
}

#[cfg(test)]
mod tests {
    use super::field;

    #[test]
    fn fields_are_quoted_and_no_formulas() {
        assert_eq!(
            field("left lung, \"upper\""),
            "\"left lung, \"\"upper\"\"\""
        );
        assert_eq!(field("=1+1"), "'=1+1");
        assert_eq!(field("-600.5"), "-600.5");
        assert_eq!(field("-cmd"), "'-cmd");
    }
}
