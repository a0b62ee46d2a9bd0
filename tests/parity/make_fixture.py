"""Makes tiny.safetensors: a small SAM 3 of the `transformers` library on synthetic weights, with what its modules give.

    pip install torch==2.15.0 transformers==5.23.0 safetensors numpy
    python tests/parity/make_fixture.py

Weights depend on the tensor's name and index alone (crates/model/src/synthetic.rs makes the same ones), so none are stored.
A dummy box with label -10 makes `transformers` append the class token that Meta's own code appends to every text prompt.
"""

from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file
from transformers import Sam3Config, Sam3Model

# Modules whose outputs are kept: one of each kind, and what every stage hands on.
KEPT = [
    "vision_encoder.backbone.embeddings.patch_embeddings.projection",
    "vision_encoder.backbone.layer_norm",
    "vision_encoder.backbone.layers.0.layer_norm1",
    "vision_encoder.backbone.layers.0.attention.q_proj",
    "vision_encoder.backbone.layers.0.attention.k_proj",
    "vision_encoder.backbone.layers.0.attention.v_proj",
    "vision_encoder.backbone.layers.0.attention.o_proj",
    "vision_encoder.backbone.layers.0.mlp.fc2",
    "vision_encoder.backbone.layers.0",
    "vision_encoder.backbone.layers.1.attention.o_proj",
    "vision_encoder.backbone.layers.1",
    "vision_encoder.backbone.layers.2",
    "vision_encoder.backbone.layers.3",
    "vision_encoder.neck.fpn_layers.0.scale_layers.0",
    "vision_encoder.neck.fpn_layers.0.scale_layers.2",
    "vision_encoder.neck.fpn_layers.0.proj2",
    "vision_encoder.neck.fpn_layers.1.scale_layers.0",
    "vision_encoder.neck.fpn_layers.1.proj2",
    "vision_encoder.neck.fpn_layers.2.proj1",
    "vision_encoder.neck.fpn_layers.2.proj2",
    "text_encoder.text_model.embeddings.token_embedding",
    "text_encoder.text_model.encoder.layers.0",
    "text_encoder.text_model.encoder.layers.2",
    "text_encoder.text_model.final_layer_norm",
    "text_projection",
    "geometry_encoder.layers.0",
    "geometry_encoder.output_layer_norm",
    "detr_encoder.layers.0",
    "detr_encoder.layers.1",
    "detr_decoder.ref_point_head",
    "detr_decoder.ref_point_head.layer2",
    "detr_decoder.box_rpb_embed_x.layer2",
    "detr_decoder.box_rpb_embed_y.layer2",
    "detr_decoder.layers.0.self_attn_layer_norm",
    "detr_decoder.layers.0.text_cross_attn_layer_norm",
    "detr_decoder.layers.0.vision_cross_attn_layer_norm",
    "detr_decoder.layers.0.mlp_layer_norm",
    "detr_decoder.layers.2.mlp_layer_norm",
    "detr_decoder.output_layer_norm",
    "detr_decoder.box_head.layer3",
    "detr_decoder.presence_head.layer3",
    "dot_product_scoring.text_mlp_out_norm",
    "dot_product_scoring.query_proj",
    "dot_product_scoring",
    "mask_decoder.prompt_cross_attn.o_proj",
    "mask_decoder.pixel_decoder.conv_layers.0",
    "mask_decoder.pixel_decoder.norms.0",
    "mask_decoder.pixel_decoder",
    "mask_decoder.mask_embedder.layers.2",
]
OUTPUTS = ["pred_masks", "pred_boxes", "pred_logits", "presence_logits", "semantic_seg"]


def unit(name: str, count: int) -> np.ndarray:
    """Uniform values in [-1, 1): splitmix64 seeded by FNV-1a of the name."""
    seed = 0xCBF29CE484222325
    for byte in name.encode():
        seed = ((seed ^ byte) * 0x100000001B3) & 0xFFFFFFFFFFFFFFFF
    with np.errstate(over="ignore"):
        z = np.uint64(seed) + np.arange(1, count + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        z = z ^ (z >> np.uint64(31))
    return (z >> np.uint64(40)).astype(np.float32) * np.float32(2.0**-23) - np.float32(1)


def weights(name: str, shape: torch.Size) -> torch.Tensor:
    """Small biases, other vectors near one, matrices scaled by their fan-in."""
    if len(shape) > 1:
        centre, scale = 0.0, np.sqrt(3.0 / np.prod(shape[1:]))
    elif name.endswith("bias"):
        centre, scale = 0.0, 0.02
    else:
        centre, scale = 1.0, 0.1
    values = np.float32(centre) + np.float32(scale) * unit(name, int(np.prod(shape)))
    return torch.from_numpy(values).view(shape)


def image(side: int) -> torch.Tensor:
    """Smooth waves, already normalised."""
    y = np.arange(side, dtype=np.float64)[:, None]
    x = np.arange(side, dtype=np.float64)[None, :]
    waves = [
        0.5 * np.sin(0.013 * (c + 1) * x + 0.7 * c)
        + 0.3 * np.cos(0.017 * y * (c + 1) + 0.002 * x)
        + 0.2 * np.sin(0.31 * x + 0.29 * y + c)
        for c in range(3)
    ]
    return torch.from_numpy(np.stack(waves).astype(np.float32))[None]


def trunk_at(side: int, trunk: dict) -> torch.Tensor:
    """The trunk's output for an image side at which windows must be padded: 126 is 9 x 9 tokens, windows hold 4 x 4."""
    from transformers.models.sam3.configuration_sam3 import Sam3ViTConfig
    from transformers.models.sam3.modeling_sam3 import Sam3ViTModel

    options = {name: value for name, value in trunk.items() if name != "model_type"}
    model = Sam3ViTModel(Sam3ViTConfig(**{**options, "image_size": side})).eval()
    fill(model, "vision_encoder.backbone.")
    with torch.inference_mode():
        return model(image(side)).last_hidden_state


def fill(model: torch.nn.Module, prefix: str = "") -> None:
    with torch.no_grad():
        for name, tensor in model.state_dict().items():
            if tensor.is_floating_point():
                tensor.copy_(weights(prefix + name, tensor.shape))


def tiny_config() -> tuple[Sam3Config, dict]:
    """The small model's configuration, and its trunk's."""
    detr = dict(hidden_size=32, num_attention_heads=4, intermediate_size=64)
    trunk = dict(
        model_type="sam3_vit_model", hidden_size=64, intermediate_size=296, num_hidden_layers=4,
        num_attention_heads=4, image_size=168, patch_size=14, window_size=4, global_attn_indexes=[1, 3],
        pretrain_image_size=56, layer_norm_eps=1e-5,
    )
    text = dict(
        model_type="clip_text_model", vocab_size=512, hidden_size=48, intermediate_size=192, projection_dim=16,
        num_hidden_layers=3, num_attention_heads=4, max_position_embeddings=16, hidden_act="gelu",
        bos_token_id=510, eos_token_id=511, pad_token_id=0,
    )
    config = Sam3Config(
        vision_config=dict(
            backbone_config=trunk, fpn_hidden_size=32, backbone_feature_sizes=[[48, 48], [24, 24], [12, 12]]
        ),
        text_config=text,
        geometry_encoder_config=dict(num_layers=2, roi_size=7, **detr),
        detr_encoder_config=dict(num_layers=2, **detr),
        detr_decoder_config=dict(num_layers=3, num_queries=12, **detr),
        mask_decoder_config=dict(hidden_size=32, num_attention_heads=4),
    )
    return config, trunk


def tiny_model() -> Sam3Model:
    """The small model on synthetic weights."""
    model = Sam3Model(tiny_config()[0]).eval()
    fill(model)
    return model


def main() -> None:
    model = tiny_model()

    calls: dict[str, list[torch.Tensor]] = {}

    def keep(name: str):
        def hook(_module, _inputs, output):
            output = output[0] if isinstance(output, tuple) else output
            calls.setdefault(name, []).append(output.detach().clone())

        return hook

    for name, module in model.named_modules():
        if name in KEPT:
            module.register_forward_hook(keep(name))
    pixels = image(168)
    ids = torch.tensor([[510, 5, 77, 300, 511] + [0] * 11])
    mask = (torch.arange(16) < 5).long()[None]
    with torch.inference_mode():
        outputs = model(
            pixel_values=pixels, input_ids=ids, attention_mask=mask,
            input_boxes=torch.zeros(1, 1, 4), input_boxes_labels=torch.full((1, 1), -10),
        )
    tensors = {"in.pixel_values": pixels, "in.input_ids": ids, "in.attention_mask": mask}
    for name in OUTPUTS:
        tensors[f"text_cls/out.{name}"] = getattr(outputs, name)
    for name, values in calls.items():
        for index, value in enumerate(values):
            tensors[f"text_cls/{name}" + (f"#{index}" if len(values) > 1 else "")] = value
    tensors["side_126/trunk"] = trunk_at(126, tiny_config()[1])
    tensors = {name: tensor.contiguous().clone() for name, tensor in tensors.items()}
    save_file(tensors, Path(__file__).with_name("tiny.safetensors"))


if __name__ == "__main__":
    main()
