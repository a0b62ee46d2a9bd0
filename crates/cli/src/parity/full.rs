//! The full golden: Meta's own model at full size, prompt "Polyp". Small tensors are whole, larger ones are samples at
//! `floor(i * numel / 4096)`. Tensors there are sequence first, which for one image is the same order.

use super::golden::Golden;
use super::{Report, Row, channels_first, compare, iou};
use anyhow::Result;
use medsam3_model::burn::tensor::{Bool, Device, Int, Tensor, TensorData};
use medsam3_model::trace::{Recorded, record};
use medsam3_model::{Sam3Config, parameters, synthetic};
use std::convert::Infallible;
use std::time::Instant;

/// Start, "polyp", end.
const POLYP: [i32; 4] = [49406, 6833, 335, 49407];

/// Golden name, path here, and whether the golden has channels first. A call's number follows `#`.
const TENSORS: [(&str, &str, bool); 30] = [
    (
        "patch_embed#0",
        "backbone.vision_backbone.trunk.patch_embed.proj",
        false,
    ),
    ("ln_pre#0", "backbone.vision_backbone.trunk.ln_pre", false),
    ("blk0#0", "backbone.vision_backbone.trunk.blocks.0", false),
    ("blk7#0", "backbone.vision_backbone.trunk.blocks.7", false),
    ("blk31#0", "backbone.vision_backbone.trunk.blocks.31", false),
    (
        "trunk[0]#0",
        "backbone.vision_backbone.trunk.blocks.31",
        true,
    ),
    (
        "bo.backbone_fpn[0]",
        "backbone.vision_backbone.convs.0.conv_3x3",
        true,
    ),
    (
        "bo.backbone_fpn[1]",
        "backbone.vision_backbone.convs.1.conv_3x3",
        true,
    ),
    (
        "bo.backbone_fpn[2]",
        "backbone.vision_backbone.convs.2.conv_3x3",
        true,
    ),
    ("text[1]#0", "backbone.language_backbone.resizer", false),
    ("geo[0]#0", "geometry_encoder.encode_norm", false),
    ("enc_l0#0", "transformer.encoder.layers.0", false),
    ("enc.memory#0", "transformer.encoder.layers.5", false),
    (
        "out.encoder_hidden_states",
        "transformer.encoder.layers.5",
        false,
    ),
    (
        "rph#0",
        "transformer.decoder.ref_point_head.layers.1",
        false,
    ),
    (
        "rph#5",
        "transformer.decoder.ref_point_head.layers.1",
        false,
    ),
    (
        "rpbx#0",
        "transformer.decoder.boxRPB_embed_x.layers.1",
        false,
    ),
    (
        "rpbx#5",
        "transformer.decoder.boxRPB_embed_x.layers.1",
        false,
    ),
    ("bbox#0", "transformer.decoder.bbox_embed.layers.2", false),
    ("bbox#5", "transformer.decoder.bbox_embed.layers.2", false),
    (
        "pres#0",
        "transformer.decoder.presence_token_head.layers.2",
        false,
    ),
    (
        "pres#5",
        "transformer.decoder.presence_token_head.layers.2",
        false,
    ),
    ("dec[0]#0", "transformer.decoder.norm", false),
    ("score#0", "dot_prod_scoring", false),
    (
        "seg_xattn[0]#0",
        "segmentation_head.cross_attend_prompt.out_proj",
        false,
    ),
    ("pixdec#0", "segmentation_head.pixel_decoder", true),
    (
        "maskembed#0",
        "segmentation_head.mask_predictor.mask_embed.layers.2",
        false,
    ),
    (
        "seg.semantic_seg#0",
        "segmentation_head.semantic_seg_head",
        true,
    ),
    (
        "out.semantic_seg",
        "segmentation_head.semantic_seg_head",
        true,
    ),
    (
        "bo.vision_features",
        "backbone.vision_backbone.convs.2.conv_3x3",
        true,
    ),
];

pub fn run(golden: &Golden, config: &Sam3Config, device: &Device) -> Result<Report> {
    let model = parameters::load(config.init(device), &mut |info| {
        Ok::<_, Infallible>(synthetic::weights(&info.name, &info.shape))
    })?;
    let side = config.image_side;
    let image = TensorData::new(synthetic::image(side, side), [1, 3, side, side]);
    let context = config.text.context;
    let ids: Vec<i32> = (0..context)
        .map(|i| POLYP.get(i).copied().unwrap_or(0))
        .collect();
    let valid: Vec<bool> = ids.iter().map(|id| *id != 0).collect();
    let image = Tensor::<4>::from_data(image, device);
    let ids = Tensor::<2, Int>::from_data(TensorData::new(ids, [1, context]), device);
    let valid = Tensor::<2, Bool>::from_data(TensorData::new(valid, [1, context]), device);

    let start = Instant::now();
    let ((grounding, masks), recorded) = record(
        |path| TENSORS.iter().any(|(_, wanted, _)| *wanted == path),
        || {
            let features = model.encode_image(image);
            let text = model.encode_text(ids, valid);
            let grounding = model.ground(&features, &text);
            let masks = model.masks(&grounding.pixels, grounding.hs.clone());
            (grounding, masks)
        },
    );
    let seconds = start.elapsed().as_secs_f64();

    let mut rows = Vec::new();
    for (name, path, maps) in TENSORS {
        let calls: Vec<&Recorded> = recorded
            .iter()
            .filter(|tensor| tensor.path == path)
            .collect();
        let number = name
            .rsplit_once('#')
            .and_then(|(_, number)| number.parse::<usize>().ok())
            .unwrap_or(0);
        // Outputs of all layers in one tensor there are calls here.
        let ours: Vec<f32> = if name == "dec[0]#0" || name == "score#0" {
            calls
                .iter()
                .flat_map(|call| call.values.iter().copied())
                .collect()
        } else {
            let Some(call) = calls.get(number) else {
                continue;
            };
            if maps {
                channels_first(&call.values, &call.shape)
            } else {
                call.values.clone()
            }
        };
        rows.extend(row(golden, name, &ours)?);
    }
    let values = |tensor: TensorData| tensor.iter::<f32>().collect::<Vec<_>>();
    let masks = values(masks.into_data());
    let outputs = [
        ("out.pred_logits", values(grounding.logits.into_data())),
        (
            "out.presence_logit_dec",
            values(grounding.presence.into_data()),
        ),
        ("out.pred_boxes", values(grounding.boxes.into_data())),
        ("out.queries", values(grounding.hs.into_data())),
        ("out.pred_masks", masks.clone()),
    ];
    for (name, ours) in outputs {
        rows.extend(row(golden, name, &ours)?);
    }
    let mask_iou = golden
        .get("out.pred_masks@s4096")
        .map(|tensor| iou(&tensor.values, &sample(&masks, tensor.values.len())));
    Ok(Report {
        kind: "full",
        rows,
        left_out: Vec::new(),
        mask_iou,
        bf16_ulps: None,
        seconds,
        peak_memory_bytes: None,
    })
}

/// Compares with the whole tensor or with its sample, whichever the golden has.
pub(super) fn row(golden: &Golden, name: &str, ours: &[f32]) -> Result<Option<Row>> {
    if let Some(tensor) = golden.get(name) {
        return compare(name, &tensor.values, ours).map(Some);
    }
    let sampled = format!("{name}@s4096");
    golden
        .get(&sampled)
        .map(|tensor| compare(&sampled, &tensor.values, &sample(ours, tensor.values.len())))
        .transpose()
}

fn sample(values: &[f32], count: usize) -> Vec<f32> {
    (0..count)
        .map(|i| values[i * values.len() / count])
        .collect()
}
