//! Names of the Hugging Face layout (`Sam3Model`) for canonical tensors of the image model.
//!
//! There fused projections are three tensors (q, k, v, concatenated along the first axis here), and the position
//! embedding lacks the row of the class token. The rules are those of the published conversion.

use regex_lite::Regex;
use std::sync::LazyLock;

mod tracker;

/// Pattern and replacement, applied in order.
const RULES: [(&str, &str); 58] = [
    // Trunk.
    (
        r"^detector\.backbone\.vision_backbone\.trunk\.pos_embed$",
        "vision_encoder.backbone.embeddings.position_embeddings",
    ),
    (
        r"^detector\.backbone\.vision_backbone\.trunk\.patch_embed\.proj\b",
        "vision_encoder.backbone.embeddings.patch_embeddings.projection",
    ),
    (
        r"^detector\.backbone\.vision_backbone\.trunk\.ln_pre\b",
        "vision_encoder.backbone.layer_norm",
    ),
    (
        r"^detector\.backbone\.vision_backbone\.trunk\.blocks\.(\d+)\b",
        "vision_encoder.backbone.layers.$1",
    ),
    (
        r"^(vision_encoder\.backbone\.layers\.\d+)\.norm([12])\b",
        "$1.layer_norm$2",
    ),
    (
        r"^(vision_encoder\.backbone\.layers\.\d+)\.attn\.proj\b",
        "$1.attention.o_proj",
    ),
    (
        r"^(vision_encoder\.backbone\.layers\.\d+)\.attn\.qkv\b",
        "$1.attention.QKV",
    ),
    // Neck.
    (
        r"^detector\.backbone\.vision_backbone\.convs\.",
        "vision_encoder.neck.fpn_layers.",
    ),
    (r"(fpn_layers\.\d)\.dconv_2x2_1\b", "$1.scale_layers.2"),
    (r"(fpn_layers\.\d)\.dconv_2x2(_0)?\b", "$1.scale_layers.0"),
    (r"(fpn_layers\.\d)\.conv_1x1\b", "$1.proj1"),
    (r"(fpn_layers\.\d)\.conv_3x3\b", "$1.proj2"),
    // Text encoder.
    (
        r"^detector\.backbone\.language_backbone\.encoder\.positional_embedding$",
        "text_encoder.text_model.embeddings.position_embedding.weight",
    ),
    (
        r"^detector\.backbone\.language_backbone\.encoder\.token_embedding\b",
        "text_encoder.text_model.embeddings.token_embedding",
    ),
    (
        r"^detector\.backbone\.language_backbone\.encoder\.ln_final\b",
        "text_encoder.text_model.final_layer_norm",
    ),
    (
        r"^detector\.backbone\.language_backbone\.encoder\.transformer\.resblocks\.",
        "text_encoder.text_model.encoder.layers.",
    ),
    (
        r"^detector\.backbone\.language_backbone\.resizer\b",
        "text_projection",
    ),
    (
        r"(text_model\.encoder\.layers\.\d+)\.ln_([12])\b",
        "$1.layer_norm$2",
    ),
    (
        r"(text_model\.encoder\.layers\.\d+)\.mlp\.c_fc\b",
        "$1.mlp.fc1",
    ),
    (
        r"(text_model\.encoder\.layers\.\d+)\.mlp\.c_proj\b",
        "$1.mlp.fc2",
    ),
    (
        r"(text_model\.encoder\.layers\.\d+)\.attn\.in_proj_(weight|bias)$",
        "$1.self_attn.QKV.$2",
    ),
    (
        r"(text_model\.encoder\.layers\.\d+)\.attn\.out_proj\b",
        "$1.self_attn.out_proj",
    ),
    // Geometry encoder.
    (
        r"^detector\.geometry_encoder\.encode\.",
        "geometry_encoder.layers.",
    ),
    (
        r"^detector\.geometry_encoder\.img_pre_norm\b",
        "geometry_encoder.vision_layer_norm",
    ),
    (
        r"^detector\.geometry_encoder\.norm\b",
        "geometry_encoder.prompt_layer_norm",
    ),
    (
        r"^detector\.geometry_encoder\.encode_norm\b",
        "geometry_encoder.output_layer_norm",
    ),
    (r"^detector\.geometry_encoder\.", "geometry_encoder."),
    // DETR encoder and decoder.
    (r"^detector\.transformer\.encoder\.", "detr_encoder."),
    (r"^detector\.transformer\.decoder\.", "detr_decoder."),
    (
        r"^((geometry_encoder|detr_encoder)\.layers\.\d+)\.cross_attn_image\b",
        "$1.cross_attn",
    ),
    (
        r"^((geometry_encoder|detr_encoder)\.layers\.\d+)\.norm([123])\b",
        "$1.layer_norm$3",
    ),
    (
        r"^(detr_decoder\.layers\.\d+)\.cross_attn\b",
        "$1.vision_cross_attn",
    ),
    (
        r"^(detr_decoder\.layers\.\d+)\.ca_text\b",
        "$1.text_cross_attn",
    ),
    (
        r"^(detr_decoder\.layers\.\d+)\.norm1\b",
        "$1.vision_cross_attn_layer_norm",
    ),
    (
        r"^(detr_decoder\.layers\.\d+)\.catext_norm\b",
        "$1.text_cross_attn_layer_norm",
    ),
    (
        r"^(detr_decoder\.layers\.\d+)\.norm2\b",
        "$1.self_attn_layer_norm",
    ),
    (
        r"^(detr_decoder\.layers\.\d+)\.norm3\b",
        "$1.mlp_layer_norm",
    ),
    (
        r"^((geometry_encoder|detr_encoder|detr_decoder)\.layers\.\d+)\.linear([12])\b",
        "$1.mlp.fc$3",
    ),
    (r"^detr_decoder\.norm\b", "detr_decoder.output_layer_norm"),
    (r"presence_token_out_norm", "presence_layer_norm"),
    (r"presence_token_head\b", "presence_head"),
    (r"detr_decoder\.bbox_embed\b", "detr_decoder.box_head"),
    (r"boxRPB_embed_", "box_rpb_embed_"),
    // Heads.
    (r"^detector\.segmentation_head\.", "mask_decoder."),
    (r"mask_predictor\.mask_embed\b", "mask_embedder"),
    (r"instance_seg_head", "instance_projection"),
    (r"semantic_seg_head", "semantic_projection"),
    (r"cross_attend_prompt", "prompt_cross_attn"),
    (
        r"mask_decoder\.cross_attn_norm",
        "mask_decoder.prompt_cross_attn_norm",
    ),
    (
        r"^detector\.dot_prod_scoring\.prompt_mlp\.out_norm",
        "dot_product_scoring.text_mlp_out_norm",
    ),
    (
        r"^detector\.dot_prod_scoring\.prompt_mlp\.layers\.0",
        "dot_product_scoring.text_mlp.layer1",
    ),
    (
        r"^detector\.dot_prod_scoring\.prompt_mlp\.layers\.1",
        "dot_product_scoring.text_mlp.layer2",
    ),
    (
        r"^detector\.dot_prod_scoring\.prompt_proj",
        "dot_product_scoring.text_proj",
    ),
    (
        r"^detector\.dot_prod_scoring\.hs_proj",
        "dot_product_scoring.query_proj",
    ),
    (r"^detector\.dot_prod_scoring$", "dot_product_scoring"),
    (r"^(.*)\.in_proj_(weight|bias)$", "$1.QKV.$2"),
    (
        r"^((geometry_encoder|detr_encoder|detr_decoder|mask_decoder)\..*)\.out_proj\b",
        "$1.o_proj",
    ),
    (
        r"^(detr_decoder\.(box_head|presence_head|ref_point_head|box_rpb_embed_[xy]))\.layers\.(\d)\b",
        "$1.layer<$3>",
    ),
];

static COMPILED: LazyLock<Vec<(Regex, &str)>> = LazyLock::new(|| {
    tracker::RULES
        .iter()
        .chain(&RULES)
        .filter_map(|(pattern, to)| Some((Regex::new(pattern).ok()?, *to)))
        .collect()
});

/// Names of the tensor (or module) in the Hugging Face layout: one, or three (q, k, v) where it is fused here.
pub fn names(canonical: &str) -> Vec<String> {
    let mut name = canonical.to_owned();
    for (pattern, to) in COMPILED.iter() {
        name = pattern.replace(&name, *to).into_owned();
    }
    // Their MLP layers count from one; the tracker's have names for the first and the last.
    if name.starts_with("tracker_model.") {
        name = tracker::layers(&name);
    }
    if let (Some(open), Some(close)) = (name.find('<'), name.find('>'))
        && let Some(index) = name
            .get(open + 1..close)
            .and_then(|digits| digits.parse::<usize>().ok())
    {
        name.replace_range(open..=close, &(index + 1).to_string());
    }
    if name.contains(".QKV") {
        ["q_proj", "k_proj", "v_proj"]
            .map(|third| name.replace("QKV", third))
            .into()
    } else {
        vec![name]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_rule_compiles() {
        assert_eq!(COMPILED.len(), tracker::RULES.len() + RULES.len());
    }

    #[test]
    fn names_of_the_tracker_are_those_of_the_published_listing() {
        for (canonical, expected) in [
            (
                "detector.backbone.vision_backbone.sam2_convs.0.dconv_2x2_1.bias",
                "tracker_neck.fpn_layers.0.scale_layers.2.bias",
            ),
            (
                "tracker.transformer.encoder.layers.3.cross_attn_image.out_proj.weight",
                "tracker_model.memory_attention.layers.3.cross_attn_image.o_proj.weight",
            ),
            (
                "tracker.maskmem_backbone.mask_downsampler.encoder.10.weight",
                "tracker_model.memory_encoder.mask_downsampler.layers.3.layer_norm.weight",
            ),
            (
                "tracker.maskmem_backbone.fuser.layers.1.gamma",
                "tracker_model.memory_encoder.memory_fuser.layers.1.scale",
            ),
            (
                "tracker.sam_mask_decoder.transformer.norm_final_attn.bias",
                "tracker_model.mask_decoder.transformer.layer_norm_final_attn.bias",
            ),
            (
                "tracker.sam_mask_decoder.output_hypernetworks_mlps.2.layers.1.weight",
                "tracker_model.mask_decoder.output_hypernetworks_mlps.2.layers.0.weight",
            ),
            (
                "tracker.obj_ptr_proj.layers.2.bias",
                "tracker_model.object_pointer_proj.proj_out.bias",
            ),
            (
                "tracker.mask_downsample.weight",
                "tracker_model.mask_downsample.weight",
            ),
        ] {
            assert_eq!(names(canonical), [expected]);
        }
    }

    #[test]
    fn fused_projections_split_and_layers_count_from_one() {
        assert_eq!(
            names("detector.backbone.vision_backbone.trunk.blocks.7.attn.qkv.weight"),
            ["q", "k", "v"]
                .map(|p| format!("vision_encoder.backbone.layers.7.attention.{p}_proj.weight"))
        );
        assert_eq!(
            names("detector.transformer.decoder.bbox_embed.layers.2.bias"),
            ["detr_decoder.box_head.layer3.bias"]
        );
        assert_eq!(
            names("detector.transformer.encoder.layers.1.cross_attn_image.out_proj.weight"),
            ["detr_encoder.layers.1.cross_attn.o_proj.weight"]
        );
        assert_eq!(
            names("detector.backbone.vision_backbone.convs.0.dconv_2x2_0.weight"),
            ["vision_encoder.neck.fpn_layers.0.scale_layers.0.weight"]
        );
    }
}
