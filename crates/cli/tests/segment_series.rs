//! `medsam3 segment` on series: the small made ones of `tests/imaging` (geometry by SimpleITK, see there) and a model with
//! random weights. What is asserted is what lies on what: slices, affines, volumes, files.

#[path = "support/tiny_model.rs"]
mod tiny_model;

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::Arc;

use medsam3_imaging::series::{FileSource, Series, SharedSource, Voxels, find, sources_of_paths};
use serde_json::{Value, json};
use tiny_model::Fixture;

fn made(name: &str) -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/imaging/series");
    root.join(name).to_str().unwrap().to_owned()
}

fn segment(fixture: &Fixture, input: &str, more: &[&str]) -> Output {
    let mut arguments = vec![input, "--prompt", "left lung, heart", "--json"];
    arguments.extend(more);
    fixture.segment(&arguments)
}

fn lines(output: &Output) -> Vec<Value> {
    assert!(output.status.success(), "{}", errors(output));
    let text = String::from_utf8(output.stdout.clone()).unwrap();
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

fn errors(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

fn names(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).unwrap();
    let mut names: Vec<String> = entries
        .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
        .filter(|name| !name.starts_with('.'))
        .collect();
    names.sort();
    names
}

fn sorted<const N: usize>(mut names: [String; N]) -> [String; N] {
    names.sort();
    names
}

fn only_series(path: &Path) -> Series {
    let sources: Vec<SharedSource> = if path.is_dir() {
        sources_of_paths(&[path.to_owned()]).unwrap()
    } else {
        vec![Arc::new(FileSource::new(path).unwrap())]
    };
    let mut listing = find(sources);
    assert_eq!(listing.series.len(), 1);
    listing.series.remove(0)
}

/// The mask of a slice as the records of that slice describe it, and as the volume has it.
#[test]
fn a_volume_is_written_on_the_grid_of_its_series() {
    for name in ["axial", "oblique", "descending", "enhanced", "gap"] {
        let fixture = Fixture::new();
        let input = made(name);
        let lines = lines(&segment(&fixture, &input, &["--out", "out"]));
        let source = only_series(Path::new(&input));
        let slices = source.slices();
        let of = |kind: &str| -> Vec<&Value> {
            lines.iter().filter(|line| line["kind"] == kind).collect()
        };
        let (pictures, series) = (of("picture"), of("series"));
        assert_eq!((pictures.len(), series.len()), (2 * slices, 2), "{name}");
        let numbers: Vec<_> = pictures
            .iter()
            .step_by(2)
            .map(|line| &line["slice"])
            .collect();
        assert_eq!(json!(numbers), json!((1..=slices).collect::<Vec<_>>()));
        assert_eq!(
            names(&fixture.path("out")),
            sorted([
                format!("{name}.heart.nii.gz"),
                format!("{name}.left-lung.nii.gz"),
                "measurements.csv".to_owned()
            ])
        );

        let written = only_series(&fixture.path(&format!("out/{name}.left-lung.nii.gz")));
        let (mask, expected) = (written.volume().unwrap(), source.volume().unwrap());
        let (found, wanted) = (mask.affine.unwrap(), expected.affine.unwrap());
        for (row, wanted) in found.0.iter().zip(wanted.0) {
            for (a, b) in row.iter().zip(wanted) {
                assert!((a - b).abs() < 1e-4, "{name}: {found:?} {wanted:?}");
            }
        }
        let Voxels::I16(voxels) = mask.voxels else {
            panic!("0 and 1")
        };
        let grid: Vec<usize> = source
            .places()
            .iter()
            .enumerate()
            .map(|(slice, place)| place.grid_index.unwrap_or(slice))
            .collect();
        let pixels = mask.rows * mask.columns;
        for (slice, line) in pictures.iter().step_by(2).enumerate() {
            let at = grid.get(slice).copied().unwrap_or(slice) * pixels;
            let inside = voxels[at..at + pixels].iter().filter(|&&v| v == 1).count();
            assert_eq!(line["area_px"], inside, "{name}, slice {slice}");
        }
        let inside = voxels.iter().filter(|&&value| value == 1).count();
        assert!(
            inside > 0,
            "random weights with a threshold of 0 find something"
        );
        let lung = series[0];
        assert_eq!(
            (&lung["prompt"], &lung["voxels"]),
            (&json!("left lung"), &json!(inside))
        );
        // 0.8 x 1.25 x 3 mm.
        let volume = lung["volume_ml"].as_f64().unwrap();
        assert!(
            (volume / (inside as f64 * 0.003) - 1.0).abs() < 1e-6,
            "{name}: {volume}"
        );
        assert_eq!(lung["files"], json!([format!("{name}.left-lung.nii.gz")]));

        let mut table = csv::Reader::from_path(fixture.path("out/measurements.csv")).unwrap();
        let rows: Vec<_> = table.records().map(Result::unwrap).collect();
        assert_eq!(rows.len(), 2 * slices + 2);
        let of_series: Vec<_> = rows.iter().filter(|row| row[2].is_empty()).collect();
        assert_eq!(of_series.len(), 2);
        assert_eq!(of_series[0][11].parse::<f64>().unwrap(), volume);
    }
}

#[test]
fn an_archive_gives_what_its_folder_gives() {
    let fixture = Fixture::new();
    let masks = ["axial", "axial.zip"].map(|name| {
        lines(&segment(
            &fixture,
            &made(name),
            &["--out", name, "--formats", "nifti"],
        ));
        std::fs::read(fixture.path(&format!("{name}/axial.left-lung.nii.gz"))).unwrap()
    });
    assert_eq!(masks[0], masks[1]);
}

#[test]
fn slices_and_series_are_chosen_from_one() {
    let fixture = Fixture::new();
    let slices = |more: &[&str]| -> Vec<u64> {
        let lines = lines(&segment(&fixture, &made("axial"), more));
        let pictures = lines.iter().filter(|line| line["kind"] == "picture");
        pictures
            .step_by(2)
            .map(|line| line["slice"].as_u64().unwrap())
            .collect()
    };
    assert_eq!(slices(&["--slices", "2-3"]), [2, 3]);
    assert_eq!(slices(&["--slices", "6"]), [6]);
    assert_eq!(slices(&["--slices", "middle", "--series", "1"]), [4]);
    let png = ["--slices", "2", "--out", "png", "--formats", "png"];
    assert_eq!(slices(&png), [2]);
    assert_eq!(
        names(&fixture.path("png")),
        ["axial.slice-2.heart.png", "axial.slice-2.left-lung.png"]
    );
    for (more, code) in [
        (["--slices", "6-7"], "SLICE-RANGE"),
        (["--series", "2"], "SERIES-RANGE"),
        (["--frame", "1"], "FRAME-RANGE"),
    ] {
        let output = segment(&fixture, &made("axial"), &more);
        assert_eq!(output.status.code(), Some(1));
        let said = String::from_utf8(output.stdout).unwrap();
        assert!(said.contains(code), "{said}");
    }
}

/// Several series in one folder: each has results of its own, and what is no image is passed over.
#[test]
fn every_series_of_a_folder_has_results_of_its_own() {
    let fixture = Fixture::new();
    let folder = fixture.path("study");
    std::fs::create_dir(&folder).unwrap();
    for name in ["axial", "sagittal"] {
        for file in std::fs::read_dir(made(name)).unwrap() {
            let file: PathBuf = file.unwrap().path();
            let own = format!("{name}-{}", file.file_name().unwrap().to_string_lossy());
            std::fs::copy(&file, folder.join(own)).unwrap();
        }
    }
    std::fs::write(folder.join("readme.txt"), "no image").unwrap();
    std::fs::copy(fixture.path("phantom.png"), folder.join("phantom.png")).unwrap();
    let more = [
        "--slices",
        "middle",
        "--out",
        "out",
        "--formats",
        "png,nifti",
    ];
    lines(&segment(&fixture, "study", &more));
    let names = names(&fixture.path("out"));
    for name in [
        "study-series-1.left-lung.nii.gz",
        "study-series-3.heart.nii.gz",
        "study-series-1.slice-4.heart.png",
        "phantom.left-lung.png",
    ] {
        assert!(names.iter().any(|found| found == name), "{name}: {names:?}");
    }
}

#[test]
fn what_is_there_is_refused_before_the_work() {
    let fixture = Fixture::new();
    std::fs::create_dir(fixture.path("out")).unwrap();
    let mine = fixture.path("out/axial.heart.nii.gz");
    std::fs::write(&mine, "drawn by hand").unwrap();
    let refused = segment(&fixture, &made("axial"), &["--out", "out"]);
    assert_eq!(refused.status.code(), Some(1));
    let said = String::from_utf8(refused.stdout).unwrap();
    assert!(
        said.contains("OUTPUT-EXISTS") && !said.contains("\"picture\""),
        "{said}"
    );
    assert_eq!(std::fs::read(&mine).unwrap(), b"drawn by hand");
    lines(&segment(
        &fixture,
        &made("axial"),
        &["--out", "out", "--overwrite"],
    ));
    assert_ne!(std::fs::read(&mine).unwrap(), b"drawn by hand");
}

/// HU are said of CT alone.
#[test]
fn a_window_by_name_is_one_of_ct() {
    let fixture = Fixture::new();
    let modality = only_series(Path::new(&made("axial")))
        .modality()
        .map(str::to_owned);
    let output = segment(
        &fixture,
        &made("axial"),
        &["--window", "lung", "--slices", "1"],
    );
    if modality.as_deref() == Some("CT") {
        let window = &lines(&output)[0]["window"];
        assert_eq!(*window, json!({"center": -600.0, "width": 1500.0}));
    } else {
        assert_eq!(output.status.code(), Some(1));
        let said = String::from_utf8(output.stdout).unwrap();
        assert!(said.contains("WINDOW-MODALITY"), "{said}");
    }
}

/// A run that is stopped keeps its rows, and what it writes of the series says that it is not all of it.
#[cfg(unix)]
#[test]
fn a_stopped_run_keeps_what_is_done() {
    use std::io::{BufRead as _, BufReader};
    let fixture = Fixture::new();
    // Enough slices for a signal to arrive among them.
    let inputs = vec![made("axial"); 200];
    let mut child = Command::new(env!("CARGO_BIN_EXE_medsam3"))
        .current_dir(fixture.path(""))
        .args(["segment", "--model", "model", "--device", "cpu", "--json"])
        .args(["--prompt", "left lung", "--out", "out"])
        .args(&inputs)
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::null())
        .spawn()
        .unwrap();
    let mut said = BufReader::new(child.stdout.take().unwrap()).lines();
    said.next().unwrap().unwrap();
    let killed = Command::new("kill")
        .args(["-INT", &child.id().to_string()])
        .status();
    assert!(killed.unwrap().success());
    let rest: Vec<String> = said.map(Result::unwrap).collect();
    assert_eq!(child.wait().unwrap().code(), Some(130));
    let done = 1 + rest
        .iter()
        .filter(|line| line.contains("\"picture\""))
        .count();
    let names = names(&fixture.path("out"));
    let volumes = names
        .iter()
        .filter(|name| name.ends_with(".nii.gz"))
        .count();
    let partial = names
        .iter()
        .filter(|name| name.contains(".partial."))
        .count();
    assert_eq!(volumes - partial, done / 6, "{names:?}");
    assert_eq!(partial, usize::from(!done.is_multiple_of(6)), "{names:?}");
    let table = std::fs::read_to_string(fixture.path("out/measurements.csv")).unwrap();
    assert_eq!(table.lines().count(), 1 + done + volumes);
}

/// No room for the results: said before the work, and an earlier result stays as it was.
#[cfg(unix)]
#[test]
fn a_disk_without_room_is_said_and_nothing_is_lost() {
    let fixture = Fixture::new();
    let formats = ["--out", "out", "--formats", "seg,nifti,csv"];
    lines(&segment(&fixture, &made("axial"), &formats));
    let before = ["out/axial.seg.dcm", "out/measurements.csv"]
        .map(|name| std::fs::read(fixture.path(name)).unwrap());
    // A limit on the size of files is met as a full disk is.
    let limited = Command::new("bash")
        .current_dir(fixture.path(""))
        .args(["-c", "ulimit -f 1; exec \"$0\" \"$@\""])
        .arg(env!("CARGO_BIN_EXE_medsam3"))
        .args([
            "segment",
            "--model",
            "model",
            "--device",
            "cpu",
            "--overwrite",
        ])
        .args([&made("axial"), "--prompt", "left lung, heart"])
        .args(formats)
        .output()
        .unwrap();
    assert_eq!(limited.status.code(), Some(1), "{}", errors(&limited));
    assert!(
        errors(&limited).contains("[OUTPUT-WRITE]"),
        "{}",
        errors(&limited)
    );
    let after = ["out/axial.seg.dcm", "out/measurements.csv"]
        .map(|name| std::fs::read(fixture.path(name)).unwrap());
    assert!(before == after);
    assert_eq!(names(&fixture.path("out")).len(), 4);
}
