//! The report as tables for docs and for people.

use std::fmt::{self, Write as _};

use super::{AdapterReport, Part};

/// The whole report as Markdown.
pub fn render(report: &AdapterReport) -> String {
    let mut text = String::new();
    // Writing into a string cannot fail.
    let _ = write(&mut text, report);
    text
}

fn write(f: &mut String, report: &AdapterReport) -> fmt::Result {
    let adapter = &report.adapter;
    writeln!(f, "# {} on {}\n", report.program, adapter.name)?;
    let (limits, features) = (&adapter.limits, &adapter.features);
    let yes = |has: bool| if has { "yes" } else { "no" };
    writeln!(f, "| adapter | |\n|---|---|")?;
    writeln!(
        f,
        "| driver | {} ({}, {}) |",
        adapter.driver, adapter.backend, adapter.kind
    )?;
    writeln!(
        f,
        "| limits | buffer {}, binding {}, {} bindings, workgroup {} threads and {} bytes |",
        gb(limits.largest_buffer),
        gb(limits.largest_binding),
        limits.bindings,
        limits.workgroup_threads,
        limits.workgroup_memory
    )?;
    writeln!(
        f,
        "| features | f16 in shaders {}, in tensors {}; subgroups {}; timestamps {} |",
        yes(features.shader_f16),
        yes(features.tensors_in_f16),
        yes(features.subgroups),
        yes(features.timestamps)
    )?;
    checks(f, report)?;
    kernels(f, report)?;
    full_model(f, report)?;
    rest(f, report)?;
    writeln!(f, "\nMeasured in {:.0} s.", report.seconds)
}

fn checks(f: &mut String, report: &AdapterReport) -> fmt::Result {
    match report.kernel_tests.done() {
        Some(tests) => {
            writeln!(
                f,
                "| kernel tests | {} passed, {} failed, {} skipped ({:.0} s) |",
                tests.passed,
                tests.failed.len(),
                tests.skipped.len(),
                tests.seconds
            )?;
            for failed in &tests.failed {
                writeln!(f, "| failed | {} |", failed.replace('|', "/"))?;
            }
        }
        None => writeln!(f, "| kernel tests | {} |", reason(&report.kernel_tests))?,
    }
    let wrong = report.self_test.iter().filter(|case| !case.is_right);
    let wrong: Vec<&str> = wrong.map(|case| case.case).collect();
    let largest = report.self_test.iter().filter_map(|case| case.error);
    writeln!(
        f,
        "| self-test | {} of {} right, largest error {:.1e}{} |",
        report.self_test.len() - wrong.len(),
        report.self_test.len(),
        largest.fold(0.0, f32::max),
        if wrong.is_empty() {
            String::new()
        } else {
            format!("; wrong: {}", wrong.join(", "))
        }
    )
}

fn kernels(f: &mut String, report: &AdapterReport) -> fmt::Result {
    writeln!(f, "\n## Kernels\n")?;
    let Some(kernels) = report.kernels.done() else {
        return writeln!(f, "{}", reason(&report.kernels));
    };
    writeln!(
        f,
        "Peak {:.1} TFLOP/s (multiply-adds in registers); largest dispatch {:.1} GFLOP; longest kernel {:.1} ms.\n",
        kernels.peak_gflops / 1e3,
        report.largest_dispatch as f64 / 1e9,
        kernels.longest_seconds * 1e3
    )?;
    writeln!(
        f,
        "| kernel | ms | GFLOP/s | share of peak | variants, ms |\n|---|---:|---:|---:|---|"
    )?;
    for problem in &kernels.kernels {
        let variants: Vec<String> = problem
            .variants
            .iter()
            .map(|variant| {
                let time = variant
                    .seconds
                    .map_or("does not work".to_owned(), |seconds| {
                        format!("{:.2}", seconds * 1e3)
                    });
                format!("{} {time}", variant.name)
            })
            .collect();
        writeln!(
            f,
            "| {} | {:.2} | {:.0} | {:.2} | {} |",
            problem.name,
            problem.seconds * 1e3,
            problem.gflops,
            problem.share_of_peak,
            variants.join("; ")
        )?;
    }
    Ok(())
}

fn full_model(f: &mut String, report: &AdapterReport) -> fmt::Result {
    writeln!(f, "\n## The full model, made weights\n")?;
    writeln!(
        f,
        "| | side | image, s | TFLOP/s | text, s | further prompt, s | of the image | first, s | device memory |\n|---|---:|---:|---:|---:|---:|---:|---:|---:|"
    )?;
    for run in &report.full_model {
        let Some(run) = run.done() else {
            writeln!(f, "| {} | | | | | | | | |", reason(run))?;
            continue;
        };
        writeln!(
            f,
            "| {} {:?} | {} | {:.3} | {:.1} | {:.3} | {:.3} | {:.0} % | {:.1} | {} |",
            run.preset,
            run.precision,
            run.side,
            run.image_seconds,
            run.image_gflops / 1e3,
            run.text_seconds,
            run.prompt_seconds,
            100.0 * run.prompt_seconds / run.image_seconds,
            run.first_seconds,
            run.device_bytes.map_or("unknown".to_owned(), gb)
        )?;
    }
    for peer in &report.pytorch {
        let Some(peer) = peer.done() else {
            writeln!(f, "| PyTorch: {} | | | | | | | | |", reason(peer))?;
            continue;
        };
        writeln!(
            f,
            "| {} {} | {} | {:.3} | | {:.3} | {:.3} | {:.0} % | | {} |",
            peer.program,
            peer.dtype,
            peer.side,
            peer.image_seconds,
            peer.text_seconds,
            peer.prompt_seconds,
            100.0 * peer.prompt_seconds / peer.image_seconds,
            peer.device_bytes.map_or("unknown".to_owned(), gb)
        )?;
    }
    Ok(())
}

fn rest(f: &mut String, report: &AdapterReport) -> fmt::Result {
    writeln!(f, "\n## The default model\n")?;
    match report.default_model.done() {
        Some(model) => writeln!(
            f,
            "Image {:.1} ms, prompt {:.1} ms, masks {:.1} ms; first image {:.2} s.",
            1e3 * (model.median.trunk + model.median.neck),
            1e3 * model.median.prompt,
            1e3 * model.median.masks,
            model.first.trunk + model.first.neck + model.first.prompt + model.first.masks
        )?,
        None => writeln!(f, "{}", reason(&report.default_model))?,
    }
    writeln!(f, "\n## Training the default model\n")?;
    let Some(training) = report.training.done() else {
        return writeln!(f, "{}", reason(&report.training));
    };
    writeln!(
        f,
        "| images of a step | s | images/s | first step, s |\n|---:|---:|---:|---:|"
    )?;
    for step in &training.steps {
        writeln!(
            f,
            "| {} | {:.3} | {:.1} | {:.1} |",
            step.images, step.seconds, step.images_per_second, step.first_seconds
        )?;
    }
    Ok(())
}

fn reason<T>(part: &Part<T>) -> String {
    part.reason().unwrap_or_default().replace(['|', '\n'], " ")
}

fn gb(bytes: u64) -> String {
    format!("{:.2} GB", bytes as f64 / 1e9)
}
