//! Files that PyTorch itself wrote (`tests/conversion/make_fixtures.py`), and files that nobody should write.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::PathBuf;

use rawzip::{CompressionMethod, ZipArchiveWriter};
use serde::Deserialize;

use super::*;

fn fixture(name: &str) -> PathBuf {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/conversion");
    PathBuf::from(folder).join(name)
}

#[derive(Deserialize)]
struct Expected {
    shape: Vec<usize>,
    values: Vec<f32>,
}

/// Strided views, shared storages, every floating type, parameters, nested or not, stored or deflated, protocols 2
/// and 5: the values are PyTorch's own.
#[test]
fn tensors_of_torch_save_come_back_as_pytorch_has_them() {
    let json = std::fs::read(fixture("expected.json")).unwrap();
    let expected: BTreeMap<String, Expected> = serde_json::from_slice(&json).unwrap();
    assert_eq!(expected.len(), 12);
    for file in ["flat.pt", "nested.pt", "protocol5.pt", "deflated.pt"] {
        let mut checkpoint = Checkpoint::open(fixture(file)).unwrap();
        assert_eq!(checkpoint.tensors().count(), 14, "{file}");
        for (name, expected) in &expected {
            assert_eq!(
                checkpoint.shape(name),
                Some(expected.shape.as_slice()),
                "{file} {name}"
            );
            assert_eq!(
                checkpoint.read(name).unwrap(),
                expected.values,
                "{file} {name}"
            );
        }
        let error = checkpoint.read("rotary").unwrap_err();
        assert_eq!(error.code(), "CHECKPOINT-DTYPE");
        assert!(error.to_string().contains("complex64"), "{error}");
        let error = checkpoint.read("counter").unwrap_err();
        assert!(error.to_string().contains("int64"), "{error}");
        assert_eq!(
            checkpoint.read("nobody").unwrap_err().code(),
            "CHECKPOINT-TENSORS"
        );
        let beside: &[&str] = if file == "nested.pt" || file == "protocol5.pt" {
            &[
                "optimizer",
                "epoch",
                "best",
                "size",
                "dtype",
                "device",
                "time",
            ]
        } else {
            &[]
        };
        assert_eq!(checkpoint.left_out(), beside, "{file}");
    }
}

fn refusal(bytes: &[u8]) -> CheckpointError {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("checkpoint");
    std::fs::write(&path, bytes).unwrap();
    Checkpoint::open(path).err().unwrap()
}

#[test]
fn a_function_is_never_called_and_is_named() {
    let error = Checkpoint::open(fixture("calls.pt")).err().unwrap();
    assert_eq!(error.code(), "CHECKPOINT-GLOBAL");
    // CPython's os.system is that of the module posix.
    assert!(error.to_string().contains("\"posix.system\""), "{error}");
}

#[test]
fn a_file_cut_anywhere_is_refused() {
    let whole = std::fs::read(fixture("nested.pt")).unwrap();
    for keep in [5, 100, whole.len() / 2, whole.len() - 30, whole.len() - 1] {
        let error = refusal(&whole[..keep]);
        assert_eq!(error.code(), "CHECKPOINT-TRUNCATED", "{keep}: {error}");
    }
    assert_eq!(refusal(b"").code(), "CHECKPOINT-FORMAT");
    assert_eq!(refusal(b"PK\x03").code(), "CHECKPOINT-FORMAT");
    assert_eq!(
        refusal(b"\x80\x02}q\x00.").code(),
        "CHECKPOINT-FORMAT",
        "old torch.save"
    );
}

/// A zip of stored members, but for those that are to be deflated.
fn archive(members: &[(&str, &[u8], bool)]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut zip = ZipArchiveWriter::new(&mut bytes);
    for (name, data, deflate) in members {
        let method = if *deflate {
            CompressionMethod::DEFLATE
        } else {
            CompressionMethod::STORE
        };
        let (mut entry, config) = zip
            .new_file(name)
            .compression_method(method)
            .start()
            .unwrap();
        let descriptor = if *deflate {
            let level = flate2::Compression::best();
            let mut data_writer =
                config.wrap(flate2::write::DeflateEncoder::new(&mut entry, level));
            data_writer.write_all(data).unwrap();
            let (encoder, descriptor) = data_writer.finish().unwrap();
            encoder.finish().unwrap();
            descriptor
        } else {
            let mut data_writer = config.wrap(&mut entry);
            data_writer.write_all(data).unwrap();
            data_writer.finish().unwrap().1
        };
        entry.finish(descriptor).unwrap();
    }
    zip.finish().unwrap();
    bytes
}

/// A pickle of `{"w": tensor}` of one axis, whose storage claims `elements`.
fn pickle(elements: i32, offset: i32, side: i32, stride: i32) -> Vec<u8> {
    let int = |value: i32| [b"J".as_slice(), &value.to_le_bytes()].concat();
    let text = |text: &str| {
        let len = (text.len() as u32).to_le_bytes();
        [b"X".as_slice(), &len, text.as_bytes()].concat()
    };
    [
        b"\x80\x02}".as_slice(),
        &text("w"),
        b"ctorch._utils\n_rebuild_tensor_v2\n((",
        &text("storage"),
        b"ctorch\nFloatStorage\n",
        &text("0"),
        &text("cpu"),
        &int(elements),
        b"tQ",
        &int(offset),
        &int(side),
        b"\x85",
        &int(stride),
        b"\x85\x89NtRs.",
    ]
    .concat()
}

#[test]
fn a_zip_bomb_is_refused_with_its_member() {
    let zeros = vec![0; 64 << 20];
    let small = pickle(16 << 20, 0, 16 << 20, 1);
    let storage = archive(&[("a/data.pkl", &small, false), ("a/data/0", &zeros, true)]);
    assert!(storage.len() < 200_000, "{}", storage.len());
    let error = refusal(&storage);
    assert_eq!(error.code(), "CHECKPOINT-ZIP-BOMB");
    assert!(error.to_string().contains("\"a/data/0\""), "{error}");

    // The pickle itself, and one whose table of contents lies about its size.
    let pickle_bomb = archive(&[("a/data.pkl", &zeros, true)]);
    assert_eq!(refusal(&pickle_bomb).code(), "CHECKPOINT-ZIP-BOMB");
    let mut lying = pickle_bomb;
    let size = (64_u32 << 20).to_le_bytes();
    let mut patched = 0;
    for at in 0..lying.len() - 4 {
        if lying[at..at + 4] == size {
            lying[at..at + 4].copy_from_slice(&1000_u32.to_le_bytes());
            patched += 1;
        }
    }
    assert!(patched >= 1);
    assert_eq!(refusal(&lying).code(), "CHECKPOINT-ZIP-BOMB");
}

#[test]
fn a_tensor_that_does_not_fit_its_storage_is_refused() {
    let data = [0_u8; 24];
    let open = |elements, offset, side, stride| {
        let pickle = pickle(elements, offset, side, stride);
        archive(&[("a/data.pkl", &pickle, false), ("a/data/0", &data, false)])
    };
    for (elements, offset, side, stride) in [
        (7, 0, 6, 1),
        (6, 0, 7, 1),
        (6, 1, 6, 1),
        (6, 0, 4, 2),
        (6, 0, i32::MAX, i32::MAX),
        (i32::MAX, 0, 6, 1),
    ] {
        let error = refusal(&open(elements, offset, side, stride));
        assert_eq!(error.code(), "CHECKPOINT-FORMAT", "{error}");
        assert!(error.to_string().contains("\"w\""), "{error}");
    }
    for (elements, offset, side, stride) in
        [(-1, 0, 6, 1), (6, -1, 6, 1), (6, 0, -6, 1), (6, 0, 6, -1)]
    {
        let error = refusal(&open(elements, offset, side, stride));
        assert_eq!(error.code(), "CHECKPOINT-PICKLE", "{error}");
    }
    let missing = archive(&[("a/data.pkl", &pickle(6, 0, 6, 1), false)]);
    assert_eq!(refusal(&missing).code(), "CHECKPOINT-FORMAT");
    let none = archive(&[("a/readme", b"hello", false)]);
    assert!(refusal(&none).to_string().contains("data.pkl"));
}

#[test]
fn safetensors_of_any_float_are_read_and_a_cut_one_is_refused() {
    use ::safetensors::Dtype;
    use ::safetensors::tensor::TensorView;
    let single: Vec<u8> = [1.5_f32, -2.0]
        .iter()
        .flat_map(|v| v.to_le_bytes())
        .collect();
    let brain: Vec<u8> = [0.5_f32, 3.0]
        .iter()
        .flat_map(|v| half::bf16::from_f32(*v).to_le_bytes())
        .collect();
    let views = [
        ("a", TensorView::new(Dtype::F32, vec![2], &single).unwrap()),
        (
            "b",
            TensorView::new(Dtype::BF16, vec![1, 2], &brain).unwrap(),
        ),
        ("c", TensorView::new(Dtype::U8, vec![8], &single).unwrap()),
    ];
    let bytes = ::safetensors::serialize(views, None).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.safetensors");
    std::fs::write(&path, &bytes).unwrap();
    let mut checkpoint = Checkpoint::open(&path).unwrap();
    assert_eq!(checkpoint.read("a").unwrap(), [1.5, -2.0]);
    assert_eq!(checkpoint.read("b").unwrap(), [0.5, 3.0]);
    assert_eq!(checkpoint.shape("b"), Some([1, 2].as_slice()));
    assert_eq!(checkpoint.read("c").unwrap_err().code(), "CHECKPOINT-DTYPE");
    for keep in [20, bytes.len() - 1] {
        assert_eq!(
            refusal(&bytes[..keep]).code(),
            "CHECKPOINT-TRUNCATED",
            "{keep}"
        );
    }
    assert_eq!(refusal(&u64::MAX.to_le_bytes()).code(), "CHECKPOINT-FORMAT");
}
