//! The report as one table: what was measured, ours, the other program's, and the ratio of the two.

use serde_json::Value;

struct Row {
    what: String,
    ours: String,
    other: String,
    ratio: String,
}

/// The table, a line per measurement, and what was left out.
pub fn render(report: &Value) -> String {
    let mut rows = Vec::new();
    size(report, &mut rows);
    operations(report, &mut rows);
    native(report, &mut rows);
    for (backend, name) in [
        ("webgpu", "page on WebGPU"),
        ("cpu", "page on the processor"),
    ] {
        browser(report, backend, name, &mut rows);
    }
    against_native(report, &mut rows);
    kernels(report, &mut rows);
    listing(report, &mut rows);
    let header = Row {
        what: "what".into(),
        ours: "ours".into(),
        other: "other".into(),
        ratio: "ratio".into(),
    };
    let width = rows
        .iter()
        .map(|row| row.what.chars().count())
        .max()
        .unwrap_or(0);
    let mut text = machine(report);
    for row in std::iter::once(&header).chain(&rows) {
        let Row {
            what,
            ours,
            other,
            ratio,
        } = row;
        let line = format!("{what:<width$}  {ours:>14}  {other:>14}  {ratio:>6}");
        text += line.trim_end();
        text.push('\n');
    }
    for reason in report["skipped"].as_array().into_iter().flatten() {
        text += &format!("left out: {}\n", reason.as_str().unwrap_or_default());
    }
    text
}

fn machine(report: &Value) -> String {
    let machine = &report["machine"];
    let said = |value: &Value| value.as_str().unwrap_or("unknown").to_owned();
    let mut text = format!(
        "commit {}{}, {}, {} threads\n",
        said(&machine["commit"]),
        if machine["uncommittedChanges"] == true {
            " with changes"
        } else {
            ""
        },
        said(&machine["processor"]),
        machine["threads"]
    );
    let adapter = &report["browser"]["adapter"];
    if adapter.is_object() {
        text += &format!(
            "Chromium {}, adapter {} {}\n",
            said(&report["browser"]["chromium"]),
            said(&adapter["vendor"]),
            said(&adapter["architecture"])
        );
    }
    text
}

fn size(report: &Value, rows: &mut Vec<Row>) {
    let size = &report["size"];
    rows.extend(alone("module, raw", bytes(&size["rawBytes"])));
    rows.extend(alone("module, brotli", bytes(&size["brotliBytes"])));
}

/// Operations per stage that the kernels issue beside those that the model needs: on the host, and on a GPU at most.
fn operations(report: &Value, rows: &mut Vec<Row>) {
    for preset in ["default", "sam3"] {
        let run = &report["operations"][preset];
        for stage in ["trunk", "neck", "text", "prompt"] {
            for (issued, name) in [("issued", "operations"), ("issued_in_tiles", "in tiles")] {
                rows.extend(pair(
                    &format!("{preset} at {}, {stage}: {name}", run["side"]),
                    run[issued][stage].as_f64(),
                    run["needed"][stage].as_f64(),
                    |count| format!("{:.3} GFLOP", count / 1e9),
                ));
            }
        }
    }
}

fn native(report: &Value, rows: &mut Vec<Row>) {
    let native = &report["native"];
    let list = |name: &str| native[name].as_array().cloned().unwrap_or_default();
    let (cpu, pytorch) = (list("cpu"), list("pytorch"));
    for stage in ["trunk", "neck", "prompt"] {
        let of = |runs: &[Value]| {
            runs.iter()
                .filter_map(|run| run["median"][stage].as_f64())
                .collect()
        };
        rows.extend(pair(
            &format!("native CPU against PyTorch: {stage}"),
            median(of(&cpu)),
            median(of(&pytorch)),
            seconds,
        ));
    }
    for stage in ["trunk", "neck", "text", "prompt"] {
        let needed = pytorch
            .first()
            .and_then(|run| run["neededFlops"][stage].as_f64());
        rows.extend(alone(
            &format!("needed for {stage}"),
            needed.map(|n| format!("{:.3} GFLOP", n / 1e9)),
        ));
    }
    let peak = cpu
        .first()
        .map_or(Value::Null, |run| run["load_peak_bytes"].clone());
    rows.extend(alone(
        "host memory at its peak while loading, native",
        bytes(&peak),
    ));
}

fn browser(report: &Value, backend: &str, name: &str, rows: &mut Vec<Row>) {
    let run = &report["browser"][backend];
    let (ours, other) = (&run["ours"], &run["onnxRuntimeWeb"]);
    let mut both = |what: &str, field: &str, show: fn(f64) -> String| {
        rows.extend(pair(
            &format!("{name}: {what}"),
            ours[field].as_f64(),
            other[field].as_f64(),
            show,
        ));
    };
    both("image", "imageSeconds", seconds);
    both("prompt", "promptSeconds", seconds);
    both(
        "first image, shaders compiled",
        "firstImageSeconds",
        seconds,
    );
    both("ready after", "secondsToReady", seconds);
    both("WebAssembly heap", "wasmHeapBytes", megabytes);
    if backend == "webgpu" {
        both("dispatches per image", "imageDispatches", count);
        both("submits per image", "imageSubmits", count);
        both("dispatches per prompt", "promptDispatches", count);
        both("bytes at the peak", "peakBytes", megabytes);
        both("largest binding", "largestBinding", megabytes);
    }
    // What slows a machine down slows both sides of a turn: these say more than the medians above.
    for (what, field) in [
        ("image, in turns", "imageRatio"),
        ("image, in turns, processor seconds", "imageProcessorRatio"),
        ("prompt, in turns", "promptRatio"),
        (
            "prompt, in turns, processor seconds",
            "promptProcessorRatio",
        ),
    ] {
        if let Some(ratio) = run[field].as_f64() {
            rows.push(Row {
                what: format!("{name}: {what}"),
                ours: String::new(),
                other: String::new(),
                ratio: format!("{ratio:.2}"),
            });
        }
    }
    let agreement = run["difference"]["dice"].as_f64();
    rows.extend(alone(
        &format!("{name}: Dice of the two masks"),
        agreement.map(|dice| format!("{dice:.5}")),
    ));
}

/// The page against the native program: the same adapter, and the same processor (one thread against all). Image and
/// prompt together: a GPU's stages are queued, and only the masks at their end are waited for.
fn against_native(report: &Value, rows: &mut Vec<Row>) {
    let runs = |name: &str| {
        report["native"][name]
            .as_array()
            .cloned()
            .unwrap_or_default()
    };
    for (backend, name, native) in [
        (
            "webgpu",
            "software adapter",
            vec![report["native"]["gpu"].clone()],
        ),
        ("cpu", "processor", runs("cpu")),
    ] {
        let whole = |run: &Value| {
            let stages = ["trunk", "neck", "prompt", "masks"];
            let seconds = stages.iter().map(|stage| run["median"][stage].as_f64());
            seconds.sum::<Option<f64>>()
        };
        let native = median(native.iter().filter_map(whole).collect());
        let ours = &report["browser"][backend]["ours"];
        let page = ours["imageSeconds"]
            .as_f64()
            .zip(ours["promptSeconds"].as_f64())
            .map(|(image, prompt)| image + prompt);
        if native.is_some() {
            rows.extend(pair(
                &format!("page against native, {name}: image and prompt"),
                page,
                native,
                seconds,
            ));
        }
    }
}

/// A kernel's rate beside the adapter's own peak; the ratio is its share.
fn kernels(report: &Value, rows: &mut Vec<Row>) {
    for (device, name) in [("gpu", "adapter"), ("cpu", "processor")] {
        let run = &report["kernels"][device];
        for kernel in run["kernels"].as_array().into_iter().flatten() {
            let what = format!("{name}: {}", kernel["name"].as_str().unwrap_or_default());
            let (rate, peak) = (kernel["gflops"].as_f64(), run["peak_gflops"].as_f64());
            rows.extend(pair(&what, rate, peak, |rate| format!("{rate:.1} GFLOP/s")));
        }
    }
}

/// Folders of slices beside what they may take: 2 s for 300, 400 MB for 1,500.
fn listing(report: &Value, rows: &mut Vec<Row>) {
    for run in report["listing"].as_array().into_iter().flatten() {
        let slices = run["series"]["slices"].as_u64().unwrap_or_default();
        let name = format!("{slices} slices");
        let figure = |field: &str| run[field].as_f64();
        let (most_seconds, most_bytes) = if slices <= 300 {
            (Some(2.0), None)
        } else {
            (None, Some(400e6))
        };
        rows.extend(pair(
            &format!("{name}: listed"),
            figure("listedSeconds"),
            None,
            seconds,
        ));
        rows.extend(pair(
            &format!("{name}: first shown, against the limit"),
            figure("shownSeconds"),
            most_seconds,
            seconds,
        ));
        rows.extend(pair(
            &format!("{name}: memory at its peak, against the limit"),
            figure("peakBytes"),
            most_bytes,
            megabytes,
        ));
    }
}

fn alone(what: &str, ours: Option<String>) -> Option<Row> {
    Some(Row {
        what: what.to_owned(),
        ours: ours?,
        other: String::new(),
        ratio: String::new(),
    })
}

fn pair(what: &str, ours: Option<f64>, other: Option<f64>, show: fn(f64) -> String) -> Option<Row> {
    let ours = ours?;
    let ratio = other.filter(|other| *other > 0.0).map(|other| ours / other);
    Some(Row {
        what: what.to_owned(),
        ours: show(ours),
        other: other.map(show).unwrap_or_default(),
        ratio: ratio.map(|ratio| format!("{ratio:.2}")).unwrap_or_default(),
    })
}

fn seconds(value: f64) -> String {
    format!("{value:.3} s")
}

fn count(value: f64) -> String {
    format!("{value:.0}")
}

fn megabytes(value: f64) -> String {
    format!("{:.1} MB", value / 1e6)
}

fn bytes(value: &Value) -> Option<String> {
    value.as_f64().map(megabytes)
}

/// The middle value, or the upper of the two in the middle.
fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied()
}

#[cfg(test)]
mod tests;
