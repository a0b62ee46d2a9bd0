"""Makes gradients.safetensors: gradients of the reference model (the small SAM 3 of tests/parity, `transformers`) in double
precision, and finite differences of the same loss along a fixed direction for each part of the model.

    pip install torch==2.15.0 transformers==5.23.0 safetensors numpy
    python tests/train/make_gradients.py

The loss is the mean of every output times fixed numbers; weights, image and those numbers depend on names alone
(crates/model/src/synthetic.rs makes the same ones). Of each gradient the file holds its norm and up to 96 of its values, evenly spaced.
"""

import importlib.util
import sys
from pathlib import Path

import torch
from safetensors.torch import save_file

HERE = Path(__file__).parent
spec = importlib.util.spec_from_file_location("make_fixture", HERE.parent / "parity" / "make_fixture.py")
fixture = importlib.util.module_from_spec(spec)
spec.loader.exec_module(fixture)

OUTPUTS = ["pred_masks", "pred_boxes", "pred_logits", "presence_logits", "semantic_seg"]
PARTS = [
    "vision_encoder.backbone.", "vision_encoder.neck.", "text_encoder.", "text_projection.", "geometry_encoder.",
    "detr_encoder.", "detr_decoder.", "dot_product_scoring.", "mask_decoder.",
]
SAMPLES = 96
STEP = 1e-7


class Detached:
    """Box refinement cuts the gradient between decoder layers. A finite difference is blind to such a cut, so the values that
    the unchanged model cuts are recorded and put in place of those of the changed one."""

    def __init__(self):
        self.values, self.replay, self.original = [], None, torch.Tensor.detach

    def __enter__(self):
        def detach(tensor):
            if self.replay is None:
                self.values.append(self.original(tensor))
                return self.values[-1]
            return next(self.replay)

        torch.Tensor.detach = detach

    def __exit__(self, *_):
        torch.Tensor.detach = self.original


def loss(model):
    ids = torch.tensor([[510, 5, 77, 300, 511] + [0] * 11])
    outputs = model(
        pixel_values=fixture.image(168).double(), input_ids=ids, attention_mask=(torch.arange(16) < 5).long()[None],
        input_boxes=torch.zeros(1, 1, 4, dtype=torch.float64), input_boxes_labels=torch.full((1, 1), -10),
    )
    total = 0
    for name in OUTPUTS:
        output = getattr(outputs, name)
        factors = torch.from_numpy(fixture.unit(f"gradient.{name}", output.numel())).double()
        total = total + (output.flatten() * factors).mean()
    return total


def main():
    # The rotary embedding casts to single precision, which small differences would not survive.
    torch.Tensor.float = torch.Tensor.double
    model = fixture.tiny_model().double()
    cut = Detached()
    with cut:
        value = loss(model)
    assert cut.values, "nothing was cut"
    value.backward()
    tensors, differences = {}, {}
    gradients = {name: p.grad for name, p in model.named_parameters() if p.grad is not None}
    for name, gradient in gradients.items():
        flat = gradient.flatten()
        stride = max(1, len(flat) // SAMPLES)
        tensors[f"norm/{name}"] = flat.norm()[None].to(torch.float32)
        tensors[f"values/{name}"] = flat[::stride][:SAMPLES].to(torch.float32).clone()
    parameters = dict(model.named_parameters())
    with torch.no_grad():
        for part in PARTS:
            names = [name for name in gradients if name.startswith(part)]
            assert names, part
            directions = {
                name: torch.from_numpy(fixture.unit(f"direction.{name}", parameters[name].numel())).double().view_as(parameters[name])
                for name in names
            }
            ends = []
            for sign in (1, -1):
                for name in names:
                    parameters[name] += sign * STEP * directions[name]
                cut.replay = iter(cut.values)
                with cut:
                    ends.append(loss(model).item())
                for name in names:
                    parameters[name] -= sign * STEP * directions[name]
            difference = (ends[0] - ends[1]) / (2 * STEP)
            along = sum((gradients[name] * directions[name]).sum().item() for name in names)
            print(f"{part:28} {difference:.9f} by differences, {along:.9f} by back-propagation", file=sys.stderr)
            assert abs(difference - along) < 1e-4 * abs(along), part
            differences[part] = difference
    for part, value in differences.items():
        tensors[f"difference/{part}"] = torch.tensor([value], dtype=torch.float64)
    save_file(tensors, HERE / "gradients.safetensors")


if __name__ == "__main__":
    main()
