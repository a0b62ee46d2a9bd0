//! Results are never lost: names of their own, nothing replaced without being asked, whole files in any race.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::tiny_model::Fixture;
use crate::{errors, leftovers, names, records, succeeded};

fn rows(folder: &Path) -> Vec<Vec<String>> {
    let text = fs::read_to_string(folder.join("measurements.csv")).unwrap();
    let mut reader = csv::Reader::from_reader(text.as_bytes());
    let rows = reader
        .records()
        .map(|row| row.unwrap().iter().map(str::to_owned).collect());
    rows.collect()
}

#[test]
fn files_named_by_uid_have_a_mask_each() {
    let fixture = Fixture::new();
    for number in 1..=3 {
        let name = format!("1.2.840.113619.2.{number}");
        fs::copy(fixture.path("phantom.png"), fixture.path(&name)).unwrap();
        succeeded(fixture.segment(&[
            &name,
            "--prompt",
            "lungs",
            "--out",
            "out",
            "--formats",
            "png,csv",
        ]));
    }
    let masks: Vec<String> = (1..=3)
        .map(|number| format!("1.2.840.113619.2.{number}.lungs.png"))
        .collect();
    assert_eq!(
        names(&fixture.path("out")),
        [masks.as_slice(), &["measurements.csv".to_owned()]].concat()
    );
    assert_eq!(rows(&fixture.path("out")).len(), 3);
}

#[test]
fn inputs_and_prompts_of_one_name_have_a_mask_each() {
    let fixture = Fixture::new();
    let picture = image::open(fixture.path("phantom.png")).unwrap().to_rgb8();
    picture.save(fixture.path("phantom.jpg")).unwrap();
    fs::create_dir(fixture.path("b")).unwrap();
    fs::copy(fixture.path("phantom.png"), fixture.path("b/phantom.png")).unwrap();
    let output = succeeded(fixture.segment(&[
        "phantom.png",
        "phantom.jpg",
        "b/phantom.png",
        "--prompt",
        "left lung",
        "--prompt",
        "left-lung",
        "--out",
        "out",
        "--json",
    ]));
    let mut said: Vec<String> = records(&output)
        .iter()
        .map(|record| record["mask"].as_str().unwrap().to_owned())
        .collect();
    said.sort();
    said.dedup();
    assert_eq!(said.len(), 6, "{said:?}");
    assert_eq!(names(&fixture.path("out")), said);
}

#[test]
fn frames_of_one_file_have_a_mask_each() {
    let fixture = Fixture::new();
    let cine = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/complaints/cine.dcm");
    for frame in ["0", "1"] {
        succeeded(fixture.segment(&[
            cine.to_str().unwrap(),
            "--frame",
            frame,
            "--prompt",
            "left lung",
            "--out",
            "out",
            "--formats",
            "png,csv",
        ]));
    }
    assert_eq!(
        names(&fixture.path("out")),
        [
            "cine.frame-0.left-lung.png",
            "cine.frame-1.left-lung.png",
            "measurements.csv"
        ]
    );
    let frames: Vec<String> = rows(&fixture.path("out"))
        .iter()
        .filter(|row| !row[2].is_empty())
        .map(|row| row[3].clone())
        .collect();
    assert_eq!(frames, ["0", "1"], "beside a row for each run");
}

#[test]
fn a_file_that_is_there_stays_unless_it_may_be_replaced() {
    let fixture = Fixture::new();
    fs::create_dir(fixture.path("out")).unwrap();
    let mask = fixture.path("out/phantom.left-lung.png");
    fs::write(&mask, "drawn by hand").unwrap();
    let ask = ["phantom.png", "--prompt", "left lung", "--out", "out"];
    let refused = fixture.segment(&ask);
    assert_eq!(refused.status.code(), Some(1));
    assert!(
        errors(&refused).contains("[OUTPUT-EXISTS]") && errors(&refused).contains("--overwrite")
    );
    assert_eq!(fs::read(&mask).unwrap(), b"drawn by hand");
    succeeded(fixture.segment(&[ask.as_slice(), &["--overwrite"]].concat()));
    assert!(image::open(&mask).is_ok());
    // The same result again takes nothing away.
    succeeded(fixture.segment(&ask));
    assert!(leftovers(&fixture.path("out")).is_empty());
}

#[test]
fn rows_of_earlier_runs_are_kept() {
    let fixture = Fixture::new();
    let ask = |prompt: &str, more: &[&str]| {
        let ask = [
            "phantom.png",
            "--prompt",
            prompt,
            "--out",
            "out",
            "--formats",
            "csv",
        ];
        succeeded(fixture.segment(&[ask.as_slice(), more].concat()));
        rows(&fixture.path("out"))
    };
    ask("left lung", &[]);
    assert_eq!(ask("heart", &[]).len(), 2);
    let replaced = ask("heart", &["--overwrite"]);
    let prompts: Vec<&str> = replaced.iter().map(|row| row[4].as_str()).collect();
    assert_eq!(
        prompts,
        ["left lung", "heart"],
        "the row of the same question is replaced, the other kept"
    );
    fs::write(
        fixture.path("out/measurements.csv"),
        "my,own,table\n1,2,3\n",
    )
    .unwrap();
    let refused = fixture.segment(&[
        "phantom.png",
        "--prompt",
        "x",
        "--out",
        "out",
        "--formats",
        "csv",
    ]);
    assert!(
        errors(&refused).contains("[OUTPUT-EXISTS]"),
        "{}",
        errors(&refused)
    );
    let mine = fs::read_to_string(fixture.path("out/measurements.csv")).unwrap();
    assert_eq!(mine, "my,own,table\n1,2,3\n");
}

/// 64 programs at once write the same and other masks and one table into one folder; `MEDSAM3_ROUNDS` says how often.
#[test]
fn many_programs_may_write_into_one_folder() {
    const AT_ONCE: usize = 64;
    let rounds = std::env::var("MEDSAM3_ROUNDS").ok();
    let rounds: usize = rounds.and_then(|rounds| rounds.parse().ok()).unwrap_or(1);
    let fixture = Fixture::new();
    for round in 0..rounds {
        let children: Vec<_> = (0..AT_ONCE)
            .map(|number| {
                let own = format!("structure {}", round * AT_ONCE + number);
                Command::new(env!("CARGO_BIN_EXE_medsam3"))
                    .current_dir(fixture.path(""))
                    .args([
                        "segment",
                        "--model",
                        "model",
                        "--device",
                        "cpu",
                        "phantom.png",
                    ])
                    .args([
                        "--prompt",
                        "left lung",
                        "--prompt",
                        &own,
                        "--out",
                        "out",
                        "--formats",
                        "png,csv",
                    ])
                    .stdout(Stdio::null())
                    .stderr(Stdio::piped())
                    .spawn()
                    .unwrap()
            })
            .collect();
        for child in children {
            let output = child.wait_with_output().unwrap();
            assert!(output.status.success(), "{}", errors(&output));
        }
    }
    let out = fixture.path("out");
    let rows = rows(&out);
    assert_eq!(
        rows.len(),
        2 * AT_ONCE * rounds,
        "every row of every program"
    );
    assert!(rows.iter().all(|row| row.len() == 20));
    let masks = names(&out)
        .into_iter()
        .filter(|name| name.ends_with(".png"));
    let masks: Vec<String> = masks.collect();
    assert_eq!(masks.len(), AT_ONCE * rounds + 1);
    for mask in masks {
        image::open(out.join(&mask)).unwrap_or_else(|e| panic!("{mask}: {e}"));
    }
    assert!(leftovers(&out).is_empty());
}

#[test]
fn a_folder_that_cannot_be_written_is_found_before_the_work() {
    let fixture = Fixture::new();
    fs::write(fixture.path("file"), "x").unwrap();
    let refused = fixture.segment(&[
        "phantom.png",
        "--prompt",
        "left lung",
        "--out",
        "file",
        "--json",
    ]);
    assert_eq!(refused.status.code(), Some(1));
    assert!(refused.stdout.is_empty(), "nothing was computed");
    assert!(
        errors(&refused).contains("[OUTPUT-FOLDER]"),
        "{}",
        errors(&refused)
    );
}

#[cfg(unix)]
#[test]
fn a_linked_output_folder_is_followed() {
    let fixture = Fixture::new();
    fs::create_dir(fixture.path("real")).unwrap();
    std::os::unix::fs::symlink("real", fixture.path("link")).unwrap();
    succeeded(fixture.segment(&["phantom.png", "--prompt", "left lung", "--out", "link"]));
    assert!(fixture.path("link").is_symlink());
    assert_eq!(names(&fixture.path("real")), ["phantom.left-lung.png"]);
}
