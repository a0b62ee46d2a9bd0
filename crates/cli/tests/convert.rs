//! `medsam3 convert` as a program: four layouts of one model, every wrong file, a stop in the middle.

mod support;

use std::collections::BTreeMap;
use std::fs::File;
use std::io::BufWriter;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use medsam3_model::{Sam3Config, synthetic};
use medsam3_weights::{
    DirectorySource, Manifest, Precision, Reader, VOCABULARY_FILE, VOCABULARY_TENSOR,
};
use support::pytorch::{self, Nesting};
use support::{Layout, Tensor, safetensors_file};

/// The parity fixture's model, but with a table for every token of the tokenizer.
fn config() -> Sam3Config {
    let mut config = Sam3Config::tiny_parity();
    config.text.vocabulary = 49408;
    config.text.context = 32;
    config
}

struct Place {
    folder: tempfile::TempDir,
}

impl Place {
    fn new() -> Self {
        let place = Self {
            folder: tempfile::tempdir().unwrap(),
        };
        let json = serde_json::to_vec(&config()).unwrap();
        std::fs::write(place.path("config.json"), json).unwrap();
        place
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn write(&self, name: &str, tensors: &[Tensor], nesting: Nesting) -> PathBuf {
        let path = self.path(name);
        let mut file = BufWriter::new(File::create(&path).unwrap());
        if name.ends_with(".safetensors") {
            safetensors_file::write(&mut file, tensors).unwrap();
        } else {
            pytorch::write(file, tensors, nesting).unwrap();
        }
        path
    }

    fn command(&self, checkpoint: &Path, more: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_medsam3"));
        command.arg("convert").arg(checkpoint).arg("--out");
        command.arg(self.path("model")).arg("--config");
        command.arg(self.path("config.json")).args(more);
        command
    }

    fn convert(&self, checkpoint: &Path, more: &[&str]) -> Output {
        self.command(checkpoint, more).output().unwrap()
    }

    fn reader(&self) -> Reader<DirectorySource> {
        Reader::open(DirectorySource::new(self.path("model"))).unwrap()
    }

    /// Names beside the inputs: the model folder and nothing half-written.
    fn left(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.folder.path()).unwrap();
        let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        names.filter(|name| name.contains("model")).collect()
    }
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// The checkpoints that the tool writes at full size are the published ones, by name and shape.
#[test]
fn synthetic_checkpoints_have_the_published_tensors() {
    let layout = Layout::of("sam3").unwrap();
    let tensors = support::tensors(layout, &Sam3Config::sam3());
    let mut found: Vec<_> = tensors.into_iter().map(|t| (t.name, t.shape)).collect();
    let mut published = support::published();
    found.sort();
    published.sort();
    assert_eq!(published.len(), 1465);
    assert_eq!(found, published);
}

#[test]
fn four_layouts_become_the_same_model() {
    let place = Place::new();
    let mut hashes: BTreeMap<&str, Vec<(String, String)>> = BTreeMap::new();
    for (layout, file, nesting, said, side) in [
        (Layout::Sam3, "sam3.pt", Nesting::Flat, "sam3.pt", 168),
        (
            Layout::HuggingFace,
            "hf.safetensors",
            Nesting::Flat,
            "Hugging Face",
            168,
        ),
        (
            Layout::Medical2d,
            "2d.pt",
            Nesting::WithOptimizer,
            "Medical SAM3 2-D",
            168,
        ),
        (
            Layout::Medical3d,
            "3d.pt",
            Nesting::Nested,
            "Medical SAM3 3-D",
            504,
        ),
    ] {
        let tensors = support::tensors(layout, &config());
        let checkpoint = place.write(file, &tensors, nesting);
        let output = place.convert(
            &checkpoint,
            &["--precision", "f32", "--json", "--no-vocabulary"],
        );
        assert!(output.status.success(), "{}", stderr(&output));
        let lines = String::from_utf8(output.stdout).unwrap();
        let result: serde_json::Value =
            serde_json::from_str(lines.lines().last().unwrap()).unwrap();
        assert_eq!(result["layout"], said);
        assert_eq!(result["image_side"], side);
        assert_eq!(result["verified"], true);
        let left_out = serde_json::json!(match nesting {
            Nesting::Flat => vec![],
            Nesting::Nested => vec!["epoch"],
            Nesting::WithOptimizer => vec!["optimizer", "epoch"],
        });
        assert_eq!(result["left_out"], left_out);

        let mut reader = place.reader();
        reader.verify(|_, _| ()).unwrap();
        let names: Vec<String> = reader.names().map(str::to_owned).collect();
        for name in &names {
            let shape = reader.info(name).unwrap().shape.clone();
            let mut expected = synthetic::weights(name, &shape);
            if name.ends_with("trunk.pos_embed") {
                expected[..shape[2]].fill(0.0);
            }
            assert!(reader.tensor(name).unwrap() == expected, "{said}: {name}");
        }
        let files = &reader.manifest().files;
        let of_files = files.iter().map(|f| (f.name.clone(), f.sha256.clone()));
        hashes.insert(said, of_files.collect());
    }
    let first = hashes.values().next().unwrap().clone();
    assert!(
        hashes.values().all(|files| *files == first),
        "the shards differ"
    );
}

#[test]
fn f16_and_q8_models_bring_a_vocabulary_and_can_be_inspected() {
    let place = Place::new();
    let tensors = support::tensors(Layout::Medical2d, &config());
    let checkpoint = place.write("2d.pt", &tensors, Nesting::Nested);
    let mut features = Vec::new();
    for precision in [Precision::F16, Precision::Q8] {
        let output = place.convert(&checkpoint, &["--precision", precision.name()]);
        assert!(output.status.success(), "{}", stderr(&output));
        let inspected = Command::new(env!("CARGO_BIN_EXE_medsam3"))
            .arg("inspect")
            .args([place.path("model").as_os_str(), "--json".as_ref()])
            .output()
            .unwrap();
        assert!(inspected.status.success(), "{}", stderr(&inspected));
        let mut reader = place.reader();
        assert_eq!(reader.manifest().precision, precision);
        let qkv = "detector.backbone.vision_backbone.trunk.blocks.0.attn.qkv.weight";
        assert_eq!(reader.info(qkv).unwrap().dtype, precision);
        let list = reader.file(VOCABULARY_FILE).unwrap();
        let list: Vec<serde_json::Value> = serde_json::from_slice(&list).unwrap();
        assert!(list.len() > 1000);
        let polyp = list
            .iter()
            .find(|entry| entry["prompt"] == "colonic polyp")
            .unwrap();
        assert_eq!(polyp["concept"], "colon polyp");
        assert_eq!(polyp["snomed"], "68496003");
        let shape = reader.info(VOCABULARY_TENSOR).unwrap().shape.clone();
        let last = list.last().unwrap();
        let rows = last["offset"].as_u64().unwrap() + last["tokens"].as_u64().unwrap();
        assert_eq!(shape, [rows as usize, 32]);
        features.push(reader.tensor(VOCABULARY_TENSOR).unwrap());
    }
    assert_eq!(
        features[0], features[1],
        "they come from the checkpoint, not from what is stored"
    );
    assert_eq!(place.left(), ["model"]);
}

#[test]
fn what_does_not_fit_is_named_and_nothing_is_written() {
    let place = Place::new();
    let whole = support::tensors(Layout::Medical2d, &config());
    let refused = |tensors: &[Tensor], code: &str, named: &[&str]| {
        let checkpoint = place.write("wrong.pt", tensors, Nesting::Nested);
        let output = place.convert(&checkpoint, &[]);
        assert_eq!(output.status.code(), Some(1));
        let said = stderr(&output);
        assert!(said.contains(&format!("[{code}]")), "{said}");
        for name in named {
            assert!(said.contains(name), "{said}");
        }
        assert!(place.left().is_empty());
    };
    let mut misshapen = whole.clone();
    misshapen[0] = whole[0].clone().with_shape(&[1, 18, 64]);
    refused(
        &misshapen,
        "CHECKPOINT-TENSORS",
        &["of another shape (backbone.vision_backbone.trunk.pos_embed"],
    );

    let missing = &whole[3..];
    let names: Vec<&str> = whole[..3].iter().map(|t| t.name.as_str()).collect();
    refused(
        missing,
        "CHECKPOINT-TENSORS",
        &[&["3 missing"], names.as_slice()].concat(),
    );

    let mut extra = whole.clone();
    extra[5].name = "backbone.stranger".to_owned();
    let gone = whole[5].name.as_str();
    refused(
        &extra,
        "CHECKPOINT-TENSORS",
        &["1 missing", gone, "1 unexpected (backbone.stranger)"],
    );

    let checkpoint = place.write("cut.pt", &whole, Nesting::Nested);
    let bytes = std::fs::metadata(&checkpoint).unwrap().len();
    File::options()
        .write(true)
        .open(&checkpoint)
        .unwrap()
        .set_len(bytes - 1)
        .unwrap();
    let said = stderr(&place.convert(&checkpoint, &[]));
    assert!(said.contains("[CHECKPOINT-TRUNCATED]"), "{said}");

    let fixtures = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/conversion/");
    let said = stderr(&place.convert(&Path::new(fixtures).join("calls.pt"), &[]));
    assert!(
        said.contains("[CHECKPOINT-GLOBAL]") && said.contains("posix.system"),
        "{said}"
    );
    let said = stderr(&place.convert(&Path::new(fixtures).join("flat.pt"), &[]));
    assert!(said.contains("[CHECKPOINT-LAYOUT]"), "{said}");
    assert!(place.left().is_empty());
}

/// Stopped while it writes: the model that was there stays, and nothing lies beside it.
#[cfg(unix)]
#[test]
fn a_stop_leaves_the_old_model() {
    use std::io::{BufRead as _, BufReader};
    use std::process::Stdio;

    let place = Place::new();
    let tensors = support::tensors(Layout::Sam3, &config());
    let checkpoint = place.write("sam3.pt", &tensors, Nesting::Flat);
    let output = place.convert(&checkpoint, &["--precision", "f32", "--no-vocabulary"]);
    assert!(output.status.success(), "{}", stderr(&output));
    let before: Manifest = place.reader().manifest().clone();

    let mut command = place.command(&checkpoint, &["--precision", "f16", "--json"]);
    let mut child = command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let writing = lines
        .by_ref()
        .find(|line| line.as_ref().unwrap().contains("\"writing\""));
    assert!(writing.is_some());
    let id = child.id().to_string();
    assert!(
        Command::new("kill")
            .args(["-INT", &id])
            .status()
            .unwrap()
            .success()
    );
    // Its progress must have somewhere to go until it ends.
    let rest = lines.count();
    let output = child.wait_with_output().unwrap();
    assert_eq!(
        output.status.code(),
        Some(130),
        "after {rest} lines: {}",
        stderr(&output)
    );
    assert!(
        stderr(&output).contains("[CONVERT-INTERRUPTED]"),
        "{}",
        stderr(&output)
    );
    assert_eq!(place.reader().manifest(), &before);
    assert_eq!(place.left(), ["model"]);
}
