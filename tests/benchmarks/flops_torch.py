"""Writes flops.json: what PyTorch's own counter finds in the `transformers` model, module by module.

    pip install torch==2.15.0 transformers==5.23.0
    python tests/benchmarks/flops_torch.py

Nothing is computed: fake tensors have shapes alone. Attention is the eager one, so that its two
products are seen as products.
"""

import json
from pathlib import Path

import torch
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils.flop_counter import FlopCounterMode
from transformers import Sam3Model

import models

KEPT = ["vision_encoder.backbone", "vision_encoder.neck", "text_encoder", "text_projection", "detr_encoder",
        "detr_decoder", "mask_decoder", "dot_product_scoring", "geometry_encoder"]


# One for all: the library keeps position tables from one model to the next.
FAKE = FakeTensorMode()


def count(name, side):
    with FAKE:
        model = Sam3Model(models.config(name, side)).eval()
        model.set_attn_implementation("eager")
        # The size of the grid is read from a tensor there, which a fake one does not tell.
        axis = torch.zeros(side // 14)
        model.detr_decoder._get_coords = lambda height, width, dtype, device: (axis, axis)
        image = torch.zeros(1, 3, side, side)
        ids, _ = models.prompt(name)
        with torch.inference_mode(), FlopCounterMode(display=False) as counter:
            model(pixel_values=image, input_ids=ids)
    counts = {module: sum(by.values()) for module, by in counter.get_flop_counts().items()}
    found = {kept: counts.get(f"Sam3Model.{kept}", 0) for kept in KEPT}
    # The coarsest level is computed and dropped there.
    found["vision_encoder.neck.unused"] = counts.get("Sam3Model.vision_encoder.neck.fpn_layers.3", 0)
    # The projection of the pooled text feeds nothing.
    found["text_encoder.unused"] = counts.get("Sam3Model.text_encoder.text_projection", 0)
    found["total"] = counts["Global"]
    return found


if __name__ == "__main__":
    sides = [("tiny-parity", 168), ("default", 252), ("sam3", 1008), ("sam3", 504), ("sam3", 672)]
    result = {f"{name} {side}": count(name, side) for name, side in sides}
    Path(__file__).with_name("flops.json").write_text(json.dumps(result, indent=1) + "\n")
    print(json.dumps(result, indent=1))
