//! Tensors larger than a shard, and q8: any range of bytes reads as if the tensor were whole.

use super::*;
use crate::{MemorySource, Reader};

const TABLE: &str = "detector.backbone.language_backbone.encoder.token_embedding.weight";
const SHAPE: [usize; 2] = [50, 64];

fn values() -> Vec<f32> {
    (0..3200).map(|i| (i as f32 * 0.7).sin() * 3.0).collect()
}

/// A table of 50 rows of 64 that does not fit a shard of 2 KiB, a tensor before it and one behind it.
fn write(precision: Precision) -> (tempfile::TempDir, Manifest) {
    let folder = tempfile::tempdir().unwrap();
    let description = ModelDescription {
        name: "cut".to_owned(),
        config: serde_json::Value::Null,
        precision,
        licence: "CC0-1.0".to_owned(),
        provenance: Provenance::default(),
        mask_rule: MaskRule::Union,
        prompts: Vec::new(),
    };
    let target = folder.path().join("model");
    let mut writer = Writer::with_shard_limit(&target, description, 2048).unwrap();
    writer.tensor("detector.a", &[3], &[1.0, 2.0, 3.0]).unwrap();
    writer.tensor(TABLE, &SHAPE, &values()).unwrap();
    writer.tensor("detector.z", &[2], &[4.0, 5.0]).unwrap();
    let manifest = writer.finish().unwrap();
    (folder, manifest)
}

fn reader(folder: &tempfile::TempDir) -> Reader<crate::DirectorySource> {
    Reader::open(crate::DirectorySource::new(folder.path().join("model"))).unwrap()
}

#[test]
fn a_tensor_larger_than_a_shard_is_cut_by_rows_and_reads_as_one() {
    let (folder, manifest) = write(Precision::F32);
    let holders = |manifest: &Manifest| {
        let has = |file: &&FileEntry| file.tensors.iter().any(|t| t.name == TABLE);
        manifest.files.iter().filter(has).count()
    };
    // 64 f32 are 256 bytes: 50 rows are 12,800 bytes, and no file has more than 2,048.
    assert!(holders(&manifest) >= 7);
    for file in &manifest.files {
        assert!(file.bytes <= 2048);
        assert_eq!(file.part == Part::Text, file.name.starts_with("text-"));
    }
    let mut reader = reader(&folder);
    reader.verify(|_, _| ()).unwrap();
    assert_eq!(reader.tensor(TABLE).unwrap(), values());
    let info = reader.info(TABLE).unwrap();
    assert_eq!(
        (info.shape.as_slice(), info.bytes, info.scales_bytes),
        (&SHAPE[..], 12_800, 0)
    );
    let whole: Vec<u8> = values().iter().flat_map(|v| v.to_le_bytes()).collect();
    // Every start and several lengths, across the cuts.
    for offset in (0..whole.len()).step_by(97) {
        for len in [0, 1, 256, 3000] {
            let mut buffer = vec![0; len.min(whole.len() - offset)];
            reader.read_at(TABLE, offset as u64, &mut buffer).unwrap();
            assert_eq!(buffer, whole[offset..offset + buffer.len()]);
        }
    }
    for (offset, len) in [(12_800, 1), (12_799, 2), (u64::MAX, 2)] {
        let error = reader.read_at(TABLE, offset, &mut vec![0; len]);
        assert_eq!(error.unwrap_err().code(), "WEIGHTS-OUT-OF-RANGE");
    }
}

#[test]
fn q8_reads_back_within_half_a_step_and_small_tensors_stay_f16() {
    let (folder, manifest) = write(Precision::Q8);
    assert_eq!(manifest.precision, Precision::Q8);
    let mut reader = reader(&folder);
    reader.verify(|_, _| ()).unwrap();
    assert_eq!(reader.info("detector.a").unwrap().dtype, Precision::F16);
    let info = reader.info(TABLE).unwrap().clone();
    // One byte a value, two bytes for each of two blocks a row; cut, because a shard here has 2,048 bytes.
    assert_eq!(
        (info.dtype, info.bytes, info.scales_bytes),
        (Precision::Q8, 3200, 200)
    );
    let back = reader.tensor(TABLE).unwrap();
    let mut scales = vec![0; 200];
    reader.read_scales_at(TABLE, 0, &mut scales).unwrap();
    for (block, (value, back)) in values().chunks(32).zip(back.chunks(32)).enumerate() {
        let scale = [scales[2 * block], scales[2 * block + 1]];
        let step = half::f16::from_le_bytes(scale).to_f32();
        let largest = value.iter().fold(0.0_f32, |m, v| m.max(v.abs()));
        assert!(step >= largest / 127.0 && step < largest / 126.8);
        for (value, back) in value.iter().zip(back) {
            assert!((value - back).abs() <= step * 0.500_01);
        }
    }
    // The scales are a tensor of their own for any other safetensors reader.
    let text = manifest
        .files
        .iter()
        .find(|f| f.part == Part::Text)
        .unwrap();
    let bytes = std::fs::read(folder.path().join("model").join(&text.name)).unwrap();
    let shard = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    let scales = shard.tensor(&format!("{TABLE}.rows.0.scales")).unwrap();
    assert_eq!(scales.dtype(), safetensors::Dtype::F16);
    assert_eq!(scales.shape()[1], 2);
}

#[test]
fn a_manifest_whose_pieces_do_not_make_a_tensor_is_refused() {
    let (_folder, manifest) = write(Precision::Q8);
    let refusal = |change: &dyn Fn(&mut Manifest)| {
        let mut changed = manifest.clone();
        change(&mut changed);
        let json = serde_json::to_vec(&changed).unwrap();
        let mut source = MemorySource::new();
        source.insert(MANIFEST_FILE, json);
        Reader::open(source).map(drop).unwrap_err().to_string()
    };
    let edit = |number: usize, edit: &dyn Fn(&mut TensorEntry)| {
        refusal(&|manifest| {
            let tensors = manifest.files.iter_mut().flat_map(|file| &mut file.tensors);
            edit(tensors.filter(|t| t.name == TABLE).nth(number).unwrap());
        })
    };
    assert!(edit(1, &|t| t.name = "other".to_owned()).contains("lacks its rows"));
    assert!(edit(1, &|t| t.rows = Some([0, 5])).contains("twice"));
    assert!(edit(0, &|t| t.rows = Some([20, 20])).contains("outside"));
    assert!(edit(0, &|t| t.rows = Some([40, 51])).contains("outside"));
    assert!(edit(0, &|t| t.scales_offset = None).contains("outside"));
    assert!(edit(0, &|t| t.scales_offset = Some(u64::MAX)).contains("outside"));
    assert!(edit(0, &|t| t.shape = vec![50, 32]).contains("two dtypes or shapes"));
    assert!(edit(0, &|t| t.dtype = Precision::F16).contains("outside"));
}
