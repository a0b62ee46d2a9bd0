//! Names of the published layouts, against the reference's own map (`tests/conversion/make_key_lists.py`).

use ::safetensors::Dtype;
use ::safetensors::tensor::TensorView;

use super::*;

const MAP: &str = include_str!("../../../../tests/conversion/huggingface_names.tsv");

fn shape(text: &str) -> Vec<usize> {
    let sides = text.trim_matches(['[', ']']).split(", ");
    sides
        .filter(|s| !s.is_empty())
        .map(|s| s.parse().unwrap())
        .collect()
}

/// All tensors of the image model: each has the names and shapes there that the reference's map gives it.
#[test]
fn hugging_face_names_and_shapes_are_those_of_the_reference() {
    let names = Names {
        layout: CheckpointLayout::HuggingFace,
        grid: None,
        prefix: HF_DETECTOR,
    };
    let mut count = 0;
    for line in MAP.lines().filter(|line| !line.starts_with('#')) {
        let columns: Vec<&str> = line.split('\t').collect();
        let tensor = NeededTensor {
            name: columns[0].to_owned(),
            shape: shape(columns[1]),
        };
        let found = names.of(&tensor.name);
        assert_eq!(found.join(" "), columns[2]);
        assert_eq!(
            names.shape(&tensor, found.len()),
            shape(columns[3]),
            "{line}"
        );
        count += 1;
    }
    assert_eq!(count, 1078);
    assert_eq!(unused().len(), 702, "every line of unused.tsv is read");
}

const NORM: &str = "detector.backbone.vision_backbone.trunk.ln_pre.weight";
const QKV: &str = "detector.backbone.vision_backbone.trunk.blocks.0.attn.qkv.bias";

fn needed() -> Vec<NeededTensor> {
    [(POSITIONS, vec![1, 3, 2]), (NORM, vec![2]), (QKV, vec![6])]
        .map(|(name, shape)| NeededTensor {
            name: name.to_owned(),
            shape,
        })
        .into()
}

/// A safetensors checkpoint of ascending values.
fn checkpoint(tensors: &[(&str, &[usize])]) -> Checkpoint {
    let stored: Vec<(Vec<u8>, Vec<usize>)> = tensors
        .iter()
        .map(|(_, shape)| {
            let count = shape.iter().product::<usize>() as u16;
            let bytes = (1..=count).flat_map(|v| f32::from(v).to_le_bytes());
            (bytes.collect(), shape.to_vec())
        })
        .collect();
    let views = tensors
        .iter()
        .zip(&stored)
        .map(|((name, _), (bytes, shape))| {
            (
                *name,
                TensorView::new(Dtype::F32, shape.clone(), bytes).unwrap(),
            )
        });
    let bytes = ::safetensors::serialize(views, None).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("c.safetensors");
    std::fs::write(&path, bytes).unwrap();
    // The open file outlives its name.
    Checkpoint::open(&path).unwrap()
}

#[test]
fn four_layouts_are_told_apart_and_give_the_same_tensors() {
    let table = "backbone.vision_backbone.trunk.blocks.0.attn.freqs_cis";
    let detector_table = format!("detector.{table}");
    let meta = |rows: usize| {
        checkpoint(&[
            (POSITIONS, &[1, 3, 2]),
            (NORM, &[2]),
            (QKV, &[6]),
            (&detector_table, &[rows, 4]),
        ])
    };
    let plain = |name: &str| name.trim_start_matches("detector.").to_owned();
    let of_2d = checkpoint(&[
        (&plain(POSITIONS), &[1, 3, 2]),
        (&plain(NORM), &[2]),
        (&plain(QKV), &[6]),
        (table, &[16, 4]),
    ]);
    let expected = [
        vec![0.0, 0.0, 3.0, 4.0, 5.0, 6.0],
        vec![1.0, 2.0],
        vec![1.0, 2.0, 3.0, 4.0, 5.0, 6.0],
    ];
    for (mut checkpoint, layout, grid) in [
        (meta(16), CheckpointLayout::Sam3, 4),
        (meta(1296), CheckpointLayout::Medical3d, 36),
        (of_2d, CheckpointLayout::Medical2d, 4),
    ] {
        let plan = Plan::new(&checkpoint, &needed(), false).unwrap();
        assert_eq!((plan.layout(), plan.grid()), (layout, Some(grid)));
        for (index, expected) in expected.iter().enumerate() {
            assert_eq!(&plan.read(&mut checkpoint, index).unwrap(), expected);
        }
    }
    let backbone = "vision_encoder.backbone";
    for prefix in ["", "detector_model."] {
        let at = |name: &str| format!("{prefix}{backbone}.{name}");
        let third = |which: &str| at(&format!("layers.0.attention.{which}_proj.bias"));
        let mut checkpoint = checkpoint(&[
            (&at("embeddings.position_embeddings"), &[1, 2, 2]),
            (&at("layer_norm.weight"), &[2]),
            (&third("q"), &[2]),
            (&third("k"), &[2]),
            (&third("v"), &[2]),
        ]);
        let plan = Plan::new(&checkpoint, &needed(), false).unwrap();
        assert_eq!(
            (plan.layout(), plan.grid()),
            (CheckpointLayout::HuggingFace, None)
        );
        let positions = [0.0, 0.0, 1.0, 2.0, 3.0, 4.0];
        assert_eq!(plan.read(&mut checkpoint, 0).unwrap(), positions);
        let fused = [1.0, 2.0, 1.0, 2.0, 1.0, 2.0];
        assert_eq!(plan.read(&mut checkpoint, 2).unwrap(), fused);
    }
}

#[test]
fn every_missing_unexpected_and_misshapen_tensor_is_named() {
    let open = checkpoint(&[
        (POSITIONS, &[1, 2, 2]),
        (QKV, &[6]),
        ("detector.surprise", &[1]),
        ("detector.head.weight", &[2]),
        ("tracker.no_obj_ptr", &[1, 255]),
    ]);
    let error = Plan::new(&open, &needed(), true).unwrap_err();
    assert_eq!(
        error.to_string(),
        format!(
            "The checkpoint does not fit the model: 1 missing ({NORM}); 2 unexpected (detector.head.weight, \
             detector.surprise); 2 of another shape ({POSITIONS} is [1, 2, 2], not [1, 3, 2], tracker.no_obj_ptr is \
             [1, 255], not [1, 256])."
        )
    );
    // Of a model of another size, the shapes of what is not used are nobody's business.
    let CheckpointError::Tensors { misshapen, .. } =
        Plan::new(&open, &needed(), false).unwrap_err()
    else {
        panic!("another error");
    };
    assert_eq!(misshapen.len(), 1);

    let none = checkpoint(&[("encoder.weight", &[1])]);
    let error = Plan::new(&none, &needed(), true).unwrap_err();
    assert_eq!(error.code(), "CHECKPOINT-LAYOUT");
    assert!(error.to_string().contains("encoder.weight"));
}
