"""Results of the kernels' operations by PyTorch in float64, for crates/kernels/tests.

    python3 -m venv /tmp/fixtures && /tmp/fixtures/bin/pip install torch==2.15.* numpy safetensors
    /tmp/fixtures/bin/python tests/kernels/make_fixtures.py

Writes tests/kernels/kernels.safetensors. Inputs are random with a fixed seed and stored with the results, as float32.
"""

import math
import pathlib

import torch
from safetensors.torch import save_file

torch.manual_seed(20)
tensors = {}


def keep(name, tensor):
    tensors[name] = tensor.detach().to(torch.float32).contiguous()


def draw(*shape):
    # Rounded to float32 first: the Rust side computes from what is stored.
    return torch.randn(*shape).to(torch.float64)


def rope(name, batch, grid, window, heads, head_dim):
    """Rotation as a complex product, windows by padding and reshaping; a token beyond the grid is a bias."""
    rows, columns = grid
    high, wide = window
    width = heads * head_dim
    qkv, bias = draw(batch, rows, columns, 3 * width), draw(3 * width)
    angles = draw(high * wide, head_dim // 2).to(torch.float32).to(torch.float64)
    down, across = math.ceil(rows / high), math.ceil(columns / wide)
    padded = bias.expand(batch, down * high, across * wide, 3 * width).clone()
    padded[:, :rows, :columns] = qkv
    windows = padded.unfold(1, high, high).unfold(2, wide, wide)  # b, down, across, channels, high, wide
    windows = windows.permute(0, 1, 2, 4, 5, 3).reshape(batch * down * across, high * wide, 3, heads, head_dim)
    q, k, v = windows.unbind(2)
    cos, sin = angles.cos().to(torch.float32), angles.sin().to(torch.float32)
    turn = torch.complex(cos.to(torch.float64), sin.to(torch.float64))

    def turned(x):
        pairs = torch.view_as_complex(x.reshape(*x.shape[:-1], head_dim // 2, 2).contiguous())
        return torch.view_as_real(pairs * turn[None, :, None]).flatten(-2)

    keep(f"{name}/qkv", qkv)
    keep(f"{name}/bias", bias)
    keep(f"{name}/cos", cos.repeat_interleave(2, 1))
    keep(f"{name}/sin", sin.repeat_interleave(2, 1))
    for part, x in [("q", turned(q)), ("k", turned(k)), ("v", v)]:
        keep(f"{name}/{part}", x.flatten(2))


def attention(name, batch, queries, keys, heads, head_dim, bias=False, masked=None, sharp=1.0):
    """`scaled_dot_product_attention` on [batch, tokens, heads * head_dim]; `masked` keys are left out."""
    q, k, v = sharp * draw(batch, queries, heads * head_dim), draw(batch, keys, heads * head_dim), draw(batch, keys, heads * head_dim)
    keep(f"{name}/q", q)
    keep(f"{name}/k", k)
    keep(f"{name}/v", v)
    extra = torch.zeros(batch, heads, queries, keys, dtype=torch.float64)
    if bias:
        drawn = 2 * draw(batch, heads, queries, keys)
        keep(f"{name}/bias", drawn)
        extra = extra + drawn
    if masked == "keys":
        leave_out = torch.rand(batch, 1, 1, keys) < 0.4
        leave_out[..., 0] = False
    elif masked == "causal":
        leave_out = torch.ones(queries, keys, dtype=torch.bool).triu(1)[None, None]
    if masked:
        keep(f"{name}/masked", leave_out)
        extra = extra.masked_fill(leave_out, float("-inf"))
    heads_of = [x.unflatten(2, (heads, head_dim)).transpose(1, 2) for x in (q, k, v)]
    out = torch.nn.functional.scaled_dot_product_attention(*heads_of, attn_mask=extra)
    keep(f"{name}/out", out.transpose(1, 2).flatten(2))


rope("rope/fitting", 2, (6, 9), (3, 3), 2, 8)
rope("rope/padded", 2, (5, 7), (4, 3), 3, 16)
rope("rope/global", 1, (5, 7), (5, 7), 2, 32)
rope("rope/head_6", 1, (4, 4), (2, 3), 2, 6)

attention("attention/head_64", 1, 37, 53, 2, 64)
attention("attention/head_32", 1, 81, 81, 2, 32)
attention("attention/head_16", 3, 19, 5, 2, 16)
attention("attention/head_12", 1, 16, 16, 4, 12, masked="causal")
attention("attention/head_8", 2, 13, 41, 4, 8, bias=True)
attention("attention/key_mask", 3, 7, 33, 2, 32, masked="keys")
attention("attention/bias_and_mask", 2, 9, 35, 2, 64, bias=True, masked="keys")
attention("attention/one_key", 2, 5, 1, 2, 32)
attention("attention/one_query", 2, 1, 67, 2, 64)
# Scores in the hundreds: the exponentials overflow unless the largest is taken away first.
attention("attention/sharp", 1, 11, 29, 1, 64, sharp=60.0)

save_file(tensors, pathlib.Path(__file__).with_name("kernels.safetensors"))
