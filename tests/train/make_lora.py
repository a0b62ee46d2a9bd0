"""Reference values of low-rank adapters: three steps of PyTorch on a linear layer with an adapter in PEFT's formula,
y = x W^T + alpha / rank * (x A^T) B^T, with B zero at the start, W frozen and torch.optim.AdamW over A and B.

    python tests/train/make_lora.py > tests/train/lora.json

Needs torch. `merged_gradients` are those of the same loss with respect to the merged weight, which the trainer finds.
"""

import json

import torch
import torch.nn.functional as F

torch.manual_seed(3)
OUTPUTS, INPUTS, RANK, ALPHA, STEPS = 4, 5, 2, 3.0, 3


def listed(tensor):
    return [float(f"{value:.9g}") for value in tensor.detach().flatten().tolist()]


weight, bias = torch.randn(OUTPUTS, INPUTS), torch.randn(OUTPUTS)
a, b = torch.randn(RANK, INPUTS).requires_grad_(), torch.zeros(OUTPUTS, RANK).requires_grad_()
scale = ALPHA / RANK
case = {
    "outputs": OUTPUTS, "inputs": INPUTS, "rank": RANK, "alpha": ALPHA, "weight": listed(weight), "a": listed(a), "b": listed(b), "steps": [],
}
optimizer = torch.optim.AdamW([a, b], lr=0.05, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.1)
for _ in range(STEPS):
    x, factors = torch.randn(7, INPUTS), torch.randn(7, OUTPUTS)
    merged = (weight + scale * b @ a).detach().requires_grad_()
    (F.linear(x, merged, bias).sin() * factors).sum().backward()
    optimizer.zero_grad()
    (((F.linear(x, weight, bias) + scale * F.linear(F.linear(x, a), b)).sin()) * factors).sum().backward()
    step = {"merged_gradient": listed(merged.grad), "a_gradient": listed(a.grad), "b_gradient": listed(b.grad)}
    optimizer.step()
    case["steps"].append(step | {"a": listed(a), "b": listed(b), "merged": listed(weight + scale * b @ a)})
print(json.dumps(case, indent=1))
