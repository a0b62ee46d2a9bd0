"""Matrix products and norms by PyTorch in float64, for crates/kernels/tests/product.rs and layer_norm.rs.

    python3 -m venv /tmp/fixtures && /tmp/fixtures/bin/pip install torch==2.15.* numpy safetensors
    /tmp/fixtures/bin/python tests/kernels/make_product_fixtures.py

Writes tests/kernels/products.safetensors. Inputs are random with a fixed seed and stored with the results, as float32.
"""

import pathlib

import torch
from safetensors.torch import save_file
from torch.nn import functional as F

torch.manual_seed(21)
tensors = {}
ACTIVATIONS = {"none": lambda x: x, "relu": F.relu, "gelu": F.gelu}


def keep(name, tensor):
    tensors[name] = tensor.detach().to(torch.float32).contiguous()


def draw(*shape):
    # Rounded to float32 first: the Rust side computes from what is stored.
    return torch.randn(*shape).to(torch.float64)


def linear(name, shape, n, activation, bias=True):
    """Weight stored as [in, out]."""
    x, weight = draw(*shape), draw(shape[-1], n)
    b = draw(n) if bias else None
    keep(f"{name}/x", x)
    keep(f"{name}/weight", weight)
    if bias:
        keep(f"{name}/bias", b)
    keep(f"{name}/out", ACTIVATIONS[activation](F.linear(x, weight.T, b)))


def q8(name, rows, k, n, activation):
    """Weight [out, in] as integers and one scale for 32 of them; every integer from -127 to 127 occurs."""
    x, bias = draw(rows, k), draw(n)
    integers = torch.randint(-127, 128, (n, k))
    integers[0, :2] = torch.tensor([-127, 127])
    scales = (torch.rand(n, k // 32) * 0.1 + 0.001).to(torch.float16).to(torch.float64)
    weight = (integers.view(n, k // 32, 32) * scales[..., None]).view(n, k)
    keep(f"{name}/x", x)
    keep(f"{name}/integers", integers)
    keep(f"{name}/scales", scales)
    keep(f"{name}/bias", bias)
    keep(f"{name}/out", ACTIVATIONS[activation](F.linear(x, weight, bias)))


def matmul(name, left, right):
    a, b = draw(*left), draw(*right)
    keep(f"{name}/a", a)
    keep(f"{name}/b", b)
    keep(f"{name}/out", a @ b)


def conv(name, batch, size, channels, outputs):
    """Channels last; weight stored as [kernel row, kernel column, in, out] in one matrix of 9 * in rows."""
    x, weight, bias = draw(batch, channels, *size), draw(outputs, channels, 3, 3), draw(outputs)
    keep(f"{name}/x", x.permute(0, 2, 3, 1))
    keep(f"{name}/weight", weight.permute(2, 3, 1, 0).reshape(9 * channels, outputs))
    keep(f"{name}/bias", bias)
    keep(f"{name}/out", F.conv2d(x, weight, bias, padding=1).permute(0, 2, 3, 1))


linear("linear/vectors", (37, 52), 76, "gelu")
linear("linear/odd", (5, 7), 3, "relu")
linear("linear/odd_inner", (33, 51), 20, "none")
linear("linear/odd_outer", (9, 20), 33, "gelu")
linear("linear/tall", (130, 36), 20, "relu")
linear("linear/wide", (3, 8), 140, "none")
linear("linear/one", (1, 1), 1, "none")
linear("linear/maps", (2, 3, 5, 24), 12, "none", bias=False)

q8("q8/few_rows", 9, 64, 12, "none")
q8("q8/many_rows", 131, 96, 72, "gelu")
q8("q8/odd_outer", 70, 32, 33, "relu")
q8("q8/one_row", 1, 32, 4, "none")

matmul("matmul/odd", (3, 19, 13), (3, 13, 9))
matmul("matmul/vectors", (2, 2, 33, 64), (2, 2, 64, 72))

conv("conv/small", 1, (5, 7), 4, 8)
conv("conv/odd_channels", 2, (9, 4), 3, 5)
conv("conv/one_pixel", 1, (1, 1), 4, 4)
conv("conv/batch", 2, (11, 13), 16, 20)
conv("conv/wider_than_a_tile", 1, (3, 70), 20, 68)

# Far from zero: a sum of squares alone would lose the variance.
for name, shape, offset in [("norm/vectors", (7, 5, 192), 0.0), ("norm/odd", (9, 33), 3.0), ("norm/narrow", (1, 2), 0.0), ("norm/far", (5, 64), 500.0)]:
    x, y, gamma, beta = draw(*shape) + offset, draw(*shape), draw(shape[-1]), draw(shape[-1])
    x = x.to(torch.float32).to(torch.float64)
    keep(f"{name}/x", x)
    keep(f"{name}/y", y)
    keep(f"{name}/gamma", gamma)
    keep(f"{name}/beta", beta)
    keep(f"{name}/out", F.layer_norm(x, shape[-1:], gamma, beta, 1e-5))
    keep(f"{name}/sum", x + y)
    keep(f"{name}/sum_out", F.layer_norm(x + y, shape[-1:], gamma, beta, 1e-5))

# More pixels than a chunk of the kernel, a mean far from zero, one channel to a group.
for name, shape, groups, offset in [("group/chunks", (2, 27, 20, 6), 2, 0.0), ("group/far", (1, 7, 5, 8), 8, 300.0), ("group/odd", (1, 3, 3, 9), 3, -2.0)]:
    x, gamma, beta = draw(*shape) + offset, draw(shape[-1]), draw(shape[-1])
    x = x.to(torch.float32).to(torch.float64)
    keep(f"{name}/x", x)
    keep(f"{name}/gamma", gamma)
    keep(f"{name}/beta", beta)
    out = F.group_norm(x.permute(0, 3, 1, 2), groups, gamma, beta, 1e-5).permute(0, 2, 3, 1)
    keep(f"{name}/out", out)
    keep(f"{name}/rectified", F.relu(out))

save_file(tensors, pathlib.Path(__file__).with_name("products.safetensors"))
