//! Names of the tracker and of its neck in the Hugging Face layout (`Sam3VideoModel`): `tracker_model.` and `tracker_neck.`.
//!
//! The four point embeddings here are the rows of one tensor there.

/// Pattern and replacement, applied in order.
pub(super) const RULES: [(&str, &str); 45] = [
    (
        r"^detector\.backbone\.vision_backbone\.sam2_convs\.",
        "tracker_neck.fpn_layers.",
    ),
    // Memory attention.
    (
        r"^tracker\.transformer\.encoder\.norm\b",
        "tracker_model.memory_attention.layer_norm",
    ),
    (
        r"^tracker\.transformer\.encoder\b",
        "tracker_model.memory_attention",
    ),
    (
        r"^(tracker_model\.memory_attention\.layers\.\d+)\.norm([123])\b",
        "$1.layer_norm$2",
    ),
    // Memory encoder.
    (
        r"^tracker\.maskmem_backbone\.mask_downsampler\.encoder\.12\b",
        "tracker_model.memory_encoder.mask_downsampler.final_conv",
    ),
    (
        r"^tracker\.maskmem_backbone\.mask_downsampler\.encoder\.0\b",
        "tracker_model.memory_encoder.mask_downsampler.layers.0.conv",
    ),
    (
        r"^tracker\.maskmem_backbone\.mask_downsampler\.encoder\.1\b",
        "tracker_model.memory_encoder.mask_downsampler.layers.0.layer_norm",
    ),
    (
        r"^tracker\.maskmem_backbone\.mask_downsampler\.encoder\.3\b",
        "tracker_model.memory_encoder.mask_downsampler.layers.1.conv",
    ),
    (
        r"^tracker\.maskmem_backbone\.mask_downsampler\.encoder\.4\b",
        "tracker_model.memory_encoder.mask_downsampler.layers.1.layer_norm",
    ),
    (
        r"^tracker\.maskmem_backbone\.mask_downsampler\.encoder\.6\b",
        "tracker_model.memory_encoder.mask_downsampler.layers.2.conv",
    ),
    (
        r"^tracker\.maskmem_backbone\.mask_downsampler\.encoder\.7\b",
        "tracker_model.memory_encoder.mask_downsampler.layers.2.layer_norm",
    ),
    (
        r"^tracker\.maskmem_backbone\.mask_downsampler\.encoder\.9\b",
        "tracker_model.memory_encoder.mask_downsampler.layers.3.conv",
    ),
    (
        r"^tracker\.maskmem_backbone\.mask_downsampler\.encoder\.10\b",
        "tracker_model.memory_encoder.mask_downsampler.layers.3.layer_norm",
    ),
    (
        r"^tracker\.maskmem_backbone\.fuser\.layers\.(\d)\.gamma\b",
        "tracker_model.memory_encoder.memory_fuser.layers.$1.scale",
    ),
    (
        r"^tracker\.maskmem_backbone\.fuser\.layers\.(\d)\.norm\b",
        "tracker_model.memory_encoder.memory_fuser.layers.$1.layer_norm",
    ),
    (
        r"^tracker\.maskmem_backbone\.fuser\.layers\.(\d)\.dwconv\b",
        "tracker_model.memory_encoder.memory_fuser.layers.$1.depthwise_conv",
    ),
    (
        r"^tracker\.maskmem_backbone\.fuser\.layers\.(\d)\.pwconv",
        "tracker_model.memory_encoder.memory_fuser.layers.$1.pointwise_conv",
    ),
    (
        r"^tracker\.maskmem_backbone\.fuser\b",
        "tracker_model.memory_encoder.memory_fuser",
    ),
    (
        r"^tracker\.maskmem_backbone\.pix_feat_proj\b",
        "tracker_model.memory_encoder.feature_projection",
    ),
    (
        r"^tracker\.maskmem_backbone\.out_proj\b",
        "tracker_model.memory_encoder.projection",
    ),
    (
        r"^tracker\.maskmem_backbone\b",
        "tracker_model.memory_encoder",
    ),
    // Embeddings and pointers.
    (
        r"^tracker\.maskmem_tpos_enc\b",
        "tracker_model.memory_temporal_positional_encoding",
    ),
    (
        r"^tracker\.no_mem_embed\b",
        "tracker_model.no_memory_embedding",
    ),
    (
        r"^tracker\.no_mem_pos_enc\b",
        "tracker_model.no_memory_positional_encoding",
    ),
    (r"^tracker\.no_obj_ptr\b", "tracker_model.no_object_pointer"),
    (
        r"^tracker\.no_obj_embed_spatial\b",
        "tracker_model.occlusion_spatial_embedding_parameter",
    ),
    (
        r"^tracker\.obj_ptr_tpos_proj\b",
        "tracker_model.temporal_positional_encoding_projection_layer",
    ),
    (
        r"^tracker\.obj_ptr_proj\b",
        "tracker_model.object_pointer_proj",
    ),
    // Prompt encoder.
    (
        r"^tracker\.sam_prompt_encoder\.mask_downscaling\.0\b",
        "tracker_model.prompt_encoder.mask_embed.conv1",
    ),
    (
        r"^tracker\.sam_prompt_encoder\.mask_downscaling\.1\b",
        "tracker_model.prompt_encoder.mask_embed.layer_norm1",
    ),
    (
        r"^tracker\.sam_prompt_encoder\.mask_downscaling\.3\b",
        "tracker_model.prompt_encoder.mask_embed.conv2",
    ),
    (
        r"^tracker\.sam_prompt_encoder\.mask_downscaling\.4\b",
        "tracker_model.prompt_encoder.mask_embed.layer_norm2",
    ),
    (
        r"^tracker\.sam_prompt_encoder\.mask_downscaling\.6\b",
        "tracker_model.prompt_encoder.mask_embed.conv3",
    ),
    (
        r"^tracker\.sam_prompt_encoder\.point_embeddings\.\d\b",
        "tracker_model.prompt_encoder.point_embed",
    ),
    (
        r"^tracker\.sam_prompt_encoder\.pe_layer\.positional_encoding_gaussian_matrix$",
        "tracker_model.prompt_encoder.shared_embedding.positional_embedding",
    ),
    (
        r"^tracker\.sam_prompt_encoder\b",
        "tracker_model.prompt_encoder",
    ),
    // Mask decoder.
    (
        r"^tracker\.sam_mask_decoder\.output_upscaling\.0\b",
        "tracker_model.mask_decoder.upscale_conv1",
    ),
    (
        r"^tracker\.sam_mask_decoder\.output_upscaling\.1\b",
        "tracker_model.mask_decoder.upscale_layer_norm",
    ),
    (
        r"^tracker\.sam_mask_decoder\.output_upscaling\.3\b",
        "tracker_model.mask_decoder.upscale_conv2",
    ),
    (
        r"^tracker\.sam_mask_decoder\b",
        "tracker_model.mask_decoder",
    ),
    (
        r"^(tracker_model\.mask_decoder\.transformer.*\.)norm(\d|_final_attn)\b",
        "${1}layer_norm$2",
    ),
    (
        r"^(tracker_model\.mask_decoder\.transformer\.layers\.\d\.mlp)\.lin1\b",
        "$1.proj_in",
    ),
    (
        r"^(tracker_model\.mask_decoder\.transformer\.layers\.\d\.mlp)\.lin2\b",
        "$1.proj_out",
    ),
    (
        r"^tracker\.mask_downsample\b",
        "tracker_model.mask_downsample",
    ),
    (r"^(tracker_model\..*)\.out_proj\b", "$1.o_proj"),
];

/// MLPs whose three layers are `proj_in`, `layers.0` and `proj_out` there.
const MLPS: [&str; 4] = [
    "tracker_model.object_pointer_proj.",
    "tracker_model.mask_decoder.output_hypernetworks_mlps.",
    "tracker_model.mask_decoder.iou_prediction_head.",
    "tracker_model.mask_decoder.pred_obj_score_head.",
];

/// A name of the tracker with the layers of its MLPs called as there.
pub(super) fn layers(name: &str) -> String {
    if !MLPS.iter().any(|mlp| name.starts_with(mlp)) {
        return name.to_owned();
    }
    let names = [
        (".layers.0", ".proj_in"),
        (".layers.1", ".layers.0"),
        (".layers.2", ".proj_out"),
    ];
    names
        .iter()
        .find(|(from, _)| name.contains(from))
        .map_or_else(|| name.to_owned(), |(from, to)| name.replacen(from, to, 1))
}
