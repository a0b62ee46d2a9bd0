//! Round trips through the writer and the strict reader, and every way a folder can be wrong.

use std::fs;

use serde_json::json;

use super::*;
use crate::{DirectorySource, MemorySource, Reader, Source as _};

fn description(precision: Precision) -> ModelDescription {
    ModelDescription {
        name: "test".to_owned(),
        config: json!({"side": 28}),
        precision,
        licence: "CC0-1.0".to_owned(),
        provenance: Provenance::default(),
        mask_rule: MaskRule::Semantic,
        prompts: vec![PromptEntry {
            canonical: "lungs".to_owned(),
            synonyms: vec!["lung fields".to_owned()],
            threshold: 0.4,
            category: "chest X-ray".to_owned(),
            mask_rule: None,
            mask_threshold: Some(0.45),
        }],
    }
}

fn values(count: usize) -> Vec<f32> {
    (0..count).map(|i| (i as f32).sin() * 3.0).collect()
}

/// Three tensors over two shards, a tokenizer and a card.
fn write(folder: &Path, precision: Precision) -> Manifest {
    let mut writer = Writer::with_shard_limit(folder, description(precision), 2048).unwrap();
    writer
        .tensor("detector.a.weight", &[12, 20], &values(240))
        .unwrap();
    writer
        .tensor("detector.a.bias", &[3], &[1.0, -0.0, 65504.0])
        .unwrap();
    writer
        .tensor("detector.b", &[2, 1, 50], &values(100))
        .unwrap();
    writer.file("tokenizer.json", b"{}").unwrap();
    writer.file("MODEL_CARD.md", b"# Card").unwrap();
    writer.finish().unwrap()
}

fn in_memory(folder: &Path) -> MemorySource {
    let entries = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    entries
        .map(|path| {
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            (name, fs::read(&path).unwrap())
        })
        .collect()
}

#[test]
fn f32_comes_back_bit_for_bit_from_disk_and_from_memory() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path().join("model");
    let manifest = write(&folder, Precision::F32);
    assert_eq!(manifest.files.len(), 3, "two shards and the tokenizer");

    let mut disk = Reader::open(DirectorySource::new(&folder)).unwrap();
    let mut memory = Reader::open(in_memory(&folder)).unwrap();
    assert_eq!(disk.manifest(), &manifest);
    for (name, expected) in [
        ("detector.a.weight", values(240)),
        ("detector.a.bias", vec![1.0, -0.0, 65504.0]),
        ("detector.b", values(100)),
    ] {
        let bits = |values: Vec<f32>| values.into_iter().map(f32::to_bits).collect::<Vec<_>>();
        let expected = bits(expected);
        assert_eq!(bits(disk.tensor(name).unwrap()), expected);
        assert_eq!(bits(memory.tensor(name).unwrap()), expected);
    }
    assert_eq!(disk.file("tokenizer.json").unwrap(), b"{}");
    let mut heard = Vec::new();
    let mut fresh = Reader::open(DirectorySource::new(&folder)).unwrap();
    fresh
        .verify(|done, total| heard.push((done, total)))
        .unwrap();
    let total = manifest.total_bytes();
    assert_eq!(heard.last(), Some(&(total, total)));
    assert!(heard.is_sorted());
}

/// The shards must be readable by any safetensors reader, here the crate's own.
#[test]
fn shards_are_plain_safetensors_within_the_limit() {
    let folder = tempfile::tempdir().unwrap();
    let manifest = write(&folder.path().join("model"), Precision::F32);
    for entry in manifest.files.iter().filter(|f| !f.tensors.is_empty()) {
        let bytes = fs::read(folder.path().join("model").join(&entry.name)).unwrap();
        assert!(bytes.len() <= 2048);
        let shard = safetensors::SafeTensors::deserialize(&bytes).unwrap();
        for tensor in &entry.tensors {
            let view = shard.tensor(&tensor.name).unwrap();
            assert_eq!(view.shape(), tensor.shape);
            let from = tensor.offset as usize;
            assert_eq!(view.data(), &bytes[from..from + view.data().len()]);
        }
    }
}

#[test]
fn f16_rounds_to_nearest_even() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path().join("model");
    let mut writer = Writer::create(&folder, description(Precision::F16)).unwrap();
    // IEEE 754 half precision: 11 significant bits. 2049 and 2051 are ties; 1e-8 is below half the least
    // subnormal 2^-24; 0.1 is 0x2E66.
    writer
        .tensor("t", &[5], &[2049.0, 2051.0, 1e-8, 0.1, -65504.0])
        .unwrap();
    writer.finish().unwrap();
    let mut reader = Reader::open(DirectorySource::new(&folder)).unwrap();
    let expected = [2048.0, 2052.0, 0.0, 0.099_975_586, -65504.0];
    assert_eq!(reader.tensor("t").unwrap(), expected);
}

#[test]
fn tensors_that_do_not_fit_the_model_are_named() {
    let folder = tempfile::tempdir().unwrap();
    write(&folder.path().join("model"), Precision::F32);
    let source = DirectorySource::new(folder.path().join("model"));
    let mut reader = Reader::open(source).unwrap();
    let good: [(&str, &[usize]); 3] = [
        ("detector.a.weight", &[12, 20]),
        ("detector.a.bias", &[3]),
        ("detector.b", &[2, 1, 50]),
    ];
    reader.check_tensors(good, |_| false).unwrap();
    reader
        .check_tensors([good[0], good[2]], |name| name.ends_with(".bias"))
        .unwrap();

    let wrong: [(&str, &[usize]); 3] = [
        ("detector.a.weight", &[20, 12]),
        ("detector.b", &[2, 1, 50]),
        ("detector.c", &[1]),
    ];
    let error = reader.check_tensors(wrong, |_| false).unwrap_err();
    assert_eq!(error.code(), "WEIGHTS-TENSORS");
    let WeightsError::Tensors {
        missing,
        unexpected,
        misshapen,
    } = &error
    else {
        panic!("{error}");
    };
    assert_eq!(missing, &["detector.c"]);
    assert_eq!(unexpected, &["detector.a.bias"]);
    assert_eq!(misshapen.len(), 1);
    assert_eq!(misshapen[0].name, "detector.a.weight");
    assert_eq!(
        error.to_string(),
        "The model folder does not fit the model: 1 missing (detector.c); 1 unexpected (detector.a.bias); \
         1 of another shape (detector.a.weight is [12, 20], not [20, 12])."
    );
    let error = reader.tensor("detector.c").unwrap_err();
    assert_eq!(error.code(), "WEIGHTS-TENSORS");
}

/// Damages one file in memory and gives the code of the first error on reading everything.
fn code_after(damage: impl Fn(&str, &mut Vec<u8>)) -> &'static str {
    let folder = tempfile::tempdir().unwrap();
    let manifest = write(&folder.path().join("model"), Precision::F32);
    let good = in_memory(&folder.path().join("model"));
    let mut damaged = good.clone();
    for file in manifest
        .files
        .iter()
        .map(|f| f.name.as_str())
        .chain([MANIFEST_FILE])
    {
        let size = good.size(file).unwrap() as usize;
        let mut bytes = vec![0; size];
        good.read_at(file, 0, &mut bytes).unwrap();
        damage(file, &mut bytes);
        damaged.insert(file, bytes);
    }
    let read_all = || {
        let mut reader = Reader::open(damaged)?;
        for name in ["detector.a.weight", "detector.a.bias", "detector.b"] {
            reader.tensor(name)?;
        }
        reader.file("tokenizer.json")?;
        Ok::<_, WeightsError>(())
    };
    read_all().map_or_else(|e| e.code(), |()| "none")
}

#[test]
fn every_damage_is_found() {
    assert_eq!(code_after(|_, _| ()), "none");
    let shard = |name: &str| name == "model-00002.safetensors";
    // One bit anywhere: in the header, in the first value, in the last.
    for place in [0, 20, 300, usize::MAX] {
        let flip = |name: &str, bytes: &mut Vec<u8>| {
            if shard(name) {
                let last = bytes.len() - 1;
                bytes[place.min(last)] ^= 1;
            }
        };
        assert_eq!(code_after(flip), "WEIGHTS-HASH");
    }
    let cut = |name: &str, bytes: &mut Vec<u8>| {
        if shard(name) {
            bytes.pop();
        }
    };
    assert_eq!(code_after(cut), "WEIGHTS-TRUNCATED");
    let tokenizer = |name: &str, bytes: &mut Vec<u8>| {
        if name == "tokenizer.json" {
            bytes[1] = b'[';
        }
    };
    assert_eq!(code_after(tokenizer), "WEIGHTS-HASH");
    let edit = |from: &'static str, to: &'static str| {
        move |name: &str, bytes: &mut Vec<u8>| {
            if name == MANIFEST_FILE {
                let text = String::from_utf8(bytes.clone()).unwrap();
                assert!(text.contains(from), "{text}");
                *bytes = text.replacen(from, to, 1).into_bytes();
            }
        }
    };
    let version = edit("\"format_version\": 2", "\"format_version\": 7");
    assert_eq!(code_after(version), "WEIGHTS-VERSION");
    assert_eq!(
        code_after(edit("\"precision\"", "\"preciSion\"")),
        "WEIGHTS-MANIFEST"
    );
    // The bytes are right but the manifest lays them out otherwise.
    assert_eq!(
        code_after(edit("detector.b", "detector.B")),
        "WEIGHTS-TENSORS"
    );
    assert_eq!(code_after(edit(" 12,\n", " 6,\n")), "WEIGHTS-LAYOUT");
    let absent = edit("model-00002.safetensors", "model-00003.safetensors");
    assert_eq!(code_after(absent), "WEIGHTS-FILE");
}

#[test]
fn what_cannot_be_stored_is_refused_and_leaves_the_old_model() {
    let parent = tempfile::tempdir().unwrap();
    let folder = parent.path().join("model");
    let before = write(&folder, Precision::F32);

    let mut writer = Writer::with_shard_limit(&folder, description(Precision::F16), 2048).unwrap();
    let code = |result: Result<(), WeightsError>| result.unwrap_err().code();
    assert_eq!(
        code(writer.tensor("big", &[1], &[65520.0])),
        "WEIGHTS-NOT-STORABLE"
    );
    assert_eq!(
        code(writer.tensor("nan", &[1], &[f32::NAN])),
        "WEIGHTS-NOT-STORABLE"
    );
    assert_eq!(
        code(writer.tensor("few", &[2, 2], &[0.0; 3])),
        "WEIGHTS-VALUE-COUNT"
    );
    assert_eq!(
        code(writer.tensor("huge", &[2000], &[0.0; 2000])),
        "WEIGHTS-TENSOR-TOO-LARGE"
    );
    writer.tensor("once", &[1], &[1.0]).unwrap();
    assert_eq!(
        code(writer.tensor("once", &[1], &[1.0])),
        "WEIGHTS-DUPLICATE"
    );
    assert_eq!(code(writer.file("../escape", b"")), "WEIGHTS-MANIFEST");
    drop(writer);

    let reader = Reader::open(DirectorySource::new(&folder)).unwrap();
    assert_eq!(reader.manifest(), &before);
    assert_eq!(
        fs::read_dir(parent.path()).unwrap().count(),
        1,
        "nothing is left beside it"
    );
}

#[test]
fn a_model_is_replaced_as_a_whole_and_keeps_its_card() {
    let parent = tempfile::tempdir().unwrap();
    let folder = parent.path().join("model");
    write(&folder, Precision::F32);
    let mut writer = Writer::create(&folder, description(Precision::F16)).unwrap();
    writer.tensor("only", &[1], &[2.0]).unwrap();
    writer.finish().unwrap();
    let mut names: Vec<_> = fs::read_dir(&folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    assert_eq!(
        names,
        ["MODEL_CARD.md", "manifest.json", "model-00001.safetensors"]
    );
    assert_eq!(fs::read(folder.join("MODEL_CARD.md")).unwrap(), b"# Card");
    assert_eq!(fs::read_dir(parent.path()).unwrap().count(), 1);
}

#[test]
fn a_folder_that_is_not_a_models_is_left_alone() {
    let parent = tempfile::tempdir().unwrap();
    fs::write(parent.path().join("thesis.txt"), "years of work").unwrap();
    let refused = Writer::create(parent.path(), description(Precision::F32));
    assert_eq!(refused.err().unwrap().code(), "WEIGHTS-NOT-A-MODEL-FOLDER");
    assert!(parent.path().join("thesis.txt").exists());
}
