"""Makes tiny_box.safetensors: the small image model of make_fixture.py prompted by text and two boxes, one of them a
counterexample; and points, which `transformers` leaves out of the model: their tokens by Meta's formula
(`geometry_encoders.py`, `_encode_points`) in PyTorch's own operations, then through the same layers.

    pip install torch==2.15.0 torchvision transformers==5.23.0 safetensors numpy
    python tests/parity/make_box_fixture.py
"""

from pathlib import Path

import torch
import torch.nn.functional as F
from make_fixture import image, tiny_model, weights
from safetensors.torch import save_file

BOXES = torch.tensor([[[0.5, 0.45, 0.3, 0.4], [0.25, 0.7, 0.2, 0.1]]])
LABELS = torch.tensor([[1, 0]])
POINTS = torch.tensor([[[0.31, 0.62], [0.97, 0.04], [0.5, 0.5]]])
POINT_LABELS = torch.tensor([[1, 0, 1]])
WIDTH = 32
KEPT = [
    "vision_layer_norm", "boxes_direct_project", "boxes_pool_project", "boxes_pos_enc_project", "final_proj",
    "prompt_layer_norm", "layers.0", "layers.1", "output_layer_norm",
]


def linear(name: str, inputs: int, x: torch.Tensor) -> torch.Tensor:
    weight = weights(f"geometry_encoder.{name}.weight", torch.Size([WIDTH, inputs]))
    return F.linear(x, weight, weights(f"geometry_encoder.{name}.bias", torch.Size([WIDTH])))


def main() -> None:
    model = tiny_model()
    encoder = model.geometry_encoder
    tensors: dict[str, torch.Tensor] = {}
    given = {}

    def keep(name: str):
        def hook(_module, _inputs, output):
            output = output[0] if isinstance(output, tuple) else output
            tensors[f"boxes/{name}"] = output.detach().clone()

        return hook

    handles = [encoder.get_submodule(name).register_forward_hook(keep(name)) for name in KEPT]
    handles.append(
        encoder.register_forward_pre_hook(lambda _m, _a, kwargs: given.update(kwargs), with_kwargs=True)
    )
    handles.append(model.detr_encoder.layers[-1].register_forward_hook(keep("memory")))
    ids = torch.tensor([[510, 5, 77, 300, 511] + [0] * 11])
    with torch.inference_mode():
        out = model(
            pixel_values=image(168), input_ids=ids, attention_mask=(torch.arange(16) < 5).long()[None],
            input_boxes=BOXES, input_boxes_labels=LABELS,
        )
    for handle in handles:
        handle.remove()
    for name in ["pred_masks", "pred_boxes", "pred_logits", "presence_logits", "semantic_seg"]:
        tensors[f"boxes/out.{name}"] = getattr(out, name)

    with torch.inference_mode():
        maps = given["img_feats"][-1]
        position = given["img_pos_embeds"][-1]
        tensors["map"] = maps.permute(0, 2, 3, 1)
        normed = encoder.vision_layer_norm(maps.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)
        sampled = F.grid_sample(normed, POINTS.unsqueeze(2) * 2 - 1, align_corners=False).squeeze(-1).transpose(1, 2)
        x, y = encoder.position_encoding.encode_1d_positions(POINTS[0, :, 0], POINTS[0, :, 1])
        tokens = (
            linear("points_direct_project", 2, POINTS)
            + linear("points_pool_project", WIDTH, sampled)
            + linear("points_pos_enc_project", WIDTH, torch.cat([x, y], -1)[None])
            + encoder.label_embed(POINT_LABELS)
        )
        tensors["points/tokens"] = tokens
        # Points, boxes, class token.
        boxes, _ = encoder._encode_boxes(BOXES, torch.ones(1, 2), LABELS, normed)
        both = torch.cat([tokens, boxes, encoder.cls_embed.weight[None]], 1)
        both = encoder.prompt_layer_norm(encoder.final_proj(both))
        flat, flat_position = maps.flatten(2).transpose(1, 2), position.flatten(2).transpose(1, 2)
        for layer in encoder.layers:
            both = layer(prompt_feats=both, vision_feats=flat, vision_pos_encoding=flat_position, prompt_mask=None)
        tensors["points_and_boxes/encoded"] = encoder.output_layer_norm(both)
    tensors = {name: tensor.contiguous().clone() for name, tensor in tensors.items()}
    save_file(tensors, Path(__file__).with_name("tiny_box.safetensors"))


if __name__ == "__main__":
    main()
