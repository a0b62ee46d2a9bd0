"""SAM 3 for images in plain PyTorch, on a model folder's own weights: the peer that the benchmarks export and time.

Semantics are Meta's (class token of the geometry encoder behind the text tokens, every norm with epsilon 1e-5), names
are those of `sam3.pt`. Maps are channels first here, as PyTorch and ONNX Runtime like them best.
"""

import json
import math
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from torch import nn

EPSILON = 1e-5


def load_folder(folder):
    """Configuration and f32 tensors of a model folder, keyed without the leading `detector.`."""
    folder = Path(folder)
    manifest = json.loads((folder / "manifest.json").read_text())
    tensors = {}
    for entry in manifest["files"]:
        if entry["name"].endswith(".safetensors"):
            tensors |= load_file(folder / entry["name"])
    return manifest, {name.removeprefix("detector."): value.float() for name, value in tensors.items()}


class Part(nn.Module):
    """A module that looks its tensors up by their names in the checkpoint."""

    def __init__(self, config, tensors, prefixes):
        super().__init__()
        self.config = config
        self.values = nn.ParameterDict()
        for name, value in tensors.items():
            if name.startswith(prefixes):
                self.values[name.replace(".", "/")] = nn.Parameter(value, requires_grad=False)

    def at(self, name):
        return self.values[name.replace(".", "/")]

    def linear(self, x, name):
        return F.linear(x, self.at(f"{name}.weight"), self.at(f"{name}.bias"))

    def norm(self, x, name):
        return F.layer_norm(x, x.shape[-1:], self.at(f"{name}.weight"), self.at(f"{name}.bias"), EPSILON)

    def conv(self, x, name, padding=0):
        return F.conv2d(x, self.at(f"{name}.weight"), self.at(f"{name}.bias"), padding=padding)

    def double(self, x, name):
        return F.conv_transpose2d(x, self.at(f"{name}.weight"), self.at(f"{name}.bias"), stride=2)

    def mlp(self, x, name, layers):
        for i in range(layers):
            x = self.linear(x, f"{name}.layers.{i}")
            x = F.relu(x) if i + 1 < layers else x
        return x

    def attention(self, name, query, key, value, heads, mask=None):
        """`[b, n, d]` over `[b, m, d]`; `mask` is added to the scores."""
        weights = self.at(f"{name}.in_proj_weight").chunk(3)
        biases = self.at(f"{name}.in_proj_bias").chunk(3)
        q, k, v = (split(F.linear(x, w, b), heads) for x, w, b in zip((query, key, value), weights, biases))
        x = F.scaled_dot_product_attention(q, k, v, attn_mask=mask)
        return self.linear(merge(x), f"{name}.out_proj")


def split(x, heads):
    return x.unflatten(2, (heads, -1)).transpose(1, 2)


def merge(x):
    return x.transpose(1, 2).flatten(2)


def rope_table(head_dim, side, scale):
    """Angles `[tokens, head_dim / 2]`: the first half of the pairs turns with x, the second with y."""
    quarter = head_dim // 4
    frequencies = 10_000.0 ** (-4.0 * torch.arange(quarter, dtype=torch.float64) / head_dim)
    place = torch.arange(side, dtype=torch.float64) * scale
    y, x = torch.meshgrid(place, place, indexing="ij")
    return torch.cat([x.flatten()[:, None] * frequencies, y.flatten()[:, None] * frequencies], dim=1)


def rotate(x, cos, sin):
    """Turns the interleaved pairs of `[b, heads, tokens, head_dim]`."""
    u, v = x.unflatten(-1, (-1, 2)).unbind(-1)
    return torch.stack([u * cos - v * sin, u * sin + v * cos], dim=-1).flatten(-2)


def sine_map(side, channels):
    """`[1, side * side, channels]`"""
    half = channels // 2
    frequencies = 10_000.0 ** (2 * torch.arange(half // 2, dtype=torch.float64) / half)
    place = (torch.arange(side, dtype=torch.float64) + 1) / (side + 1e-6) * 2 * math.pi
    angles = place[:, None] / frequencies
    along = torch.stack([angles.sin(), angles.cos()], dim=-1).flatten(1)
    y = along[:, None].expand(side, side, half)
    x = along[None].expand(side, side, half)
    return torch.cat([y, x], dim=-1).reshape(1, side * side, channels).float()


class ImageEncoder(Part):
    """Trunk and neck: `[1, 3, side, side]` in -1..1 to three maps `[1, d, n, n]`, finest first."""

    def __init__(self, config, tensors):
        super().__init__(config, tensors, "backbone.vision_backbone.")
        vit = config["vit"]
        head_dim = vit["width"] // vit["heads"]
        grid = config["image_side"] // vit["patch"]
        for name, side, scale in [("window", vit["window"], 1.0), ("global", grid, vit["window"] / grid)]:
            angles = rope_table(head_dim, side, scale)
            self.register_buffer(f"cos_{name}", angles.cos().float(), persistent=False)
            self.register_buffer(f"sin_{name}", angles.sin().float(), persistent=False)
        # The first row belongs to a class token that the detector does not have.
        side, width = vit["pretrain_grid"], vit["width"]
        table = self.at("backbone.vision_backbone.trunk.pos_embed")[:, 1:].reshape(1, side, side, width)
        times = -(-grid // side)
        self.register_buffer("position", table.repeat(1, times, times, 1)[:, :grid, :grid].contiguous(), persistent=False)

    def attend(self, x, name, cos, sin):
        heads = self.config["vit"]["heads"]
        q, k, v = (split(part, heads) for part in self.linear(x, f"{name}.qkv").chunk(3, dim=-1))
        x = F.scaled_dot_product_attention(rotate(q, cos, sin), rotate(k, cos, sin), v)
        return self.linear(merge(x), f"{name}.proj")

    def block(self, x, index):
        name = f"backbone.vision_backbone.trunk.blocks.{index}"
        vit = self.config["vit"]
        _, rows, columns, width = x.shape
        h = self.norm(x, f"{name}.norm1")
        if index in vit["global_blocks"]:
            h = self.attend(h.flatten(1, 2), f"{name}.attn", self.cos_global, self.sin_global)
            h = h.reshape(1, rows, columns, width)
        else:
            side = vit["window"]
            pad = -rows % side
            h = F.pad(h, (0, 0, 0, pad, 0, pad)) if pad else h
            count = (rows + pad) // side
            h = h.reshape(count, side, count, side, width).transpose(1, 2).reshape(count * count, side * side, width)
            h = self.attend(h, f"{name}.attn", self.cos_window, self.sin_window)
            h = h.reshape(count, count, side, side, width).transpose(1, 2).reshape(1, rows + pad, columns + pad, width)
            h = h[:, :rows, :columns]
        x = x + h
        h = self.linear(self.norm(x, f"{name}.norm2"), f"{name}.mlp.fc1")
        return x + self.linear(F.gelu(h), f"{name}.mlp.fc2")

    def trunk(self, image):
        """`[1, width, grid, grid]`"""
        vit = self.config["vit"]
        weight = self.at("backbone.vision_backbone.trunk.patch_embed.proj.weight")
        x = F.conv2d(image, weight, stride=vit["patch"]).permute(0, 2, 3, 1)
        x = self.norm(x + self.position, "backbone.vision_backbone.trunk.ln_pre")
        for index in range(vit["depth"]):
            x = self.block(x, index)
        return x.permute(0, 3, 1, 2)

    def neck(self, trunk):
        maps = []
        for level in range(3):
            name = f"backbone.vision_backbone.convs.{level}"
            x = trunk
            if level == 0:
                x = F.gelu(self.double(x, f"{name}.dconv_2x2_0"))
                x = self.double(x, f"{name}.dconv_2x2_1")
            if level == 1:
                x = self.double(x, f"{name}.dconv_2x2")
            maps.append(self.conv(self.conv(x, f"{name}.conv_1x1"), f"{name}.conv_3x3", padding=1))
        return tuple(maps)

    def forward(self, image):
        return self.neck(self.trunk(image))


class TextEncoder(Part):
    """Ids `[1, context]` to tokens `[1, context, d]`."""

    def __init__(self, config, tensors):
        super().__init__(config, tensors, "backbone.language_backbone.")

    def forward(self, ids):
        text = self.config["text"]
        base = "backbone.language_backbone"
        count = ids.shape[1]
        x = F.embedding(ids, self.at(f"{base}.encoder.token_embedding.weight"))
        x = x + self.at(f"{base}.encoder.positional_embedding")[:count]
        future = torch.full((count, count), float("-inf")).triu(1)
        for i in range(text["depth"]):
            name = f"{base}.encoder.transformer.resblocks.{i}"
            h = self.norm(x, f"{name}.ln_1")
            x = x + self.attention(f"{name}.attn", h, h, h, text["heads"], future)
            h = self.linear(self.norm(x, f"{name}.ln_2"), f"{name}.mlp.c_fc")
            x = x + self.linear(F.gelu(h), f"{name}.mlp.c_proj")
        return self.linear(self.norm(x, f"{base}.encoder.ln_final"), f"{base}.resizer")


class Grounding(Part):
    """Maps, text tokens `[1, n, d]` and their validity (1 or 0, `[1, n]`) to logits, boxes, presence, masks."""

    def __init__(self, config, tensors):
        super().__init__(config, tensors, ("geometry_encoder.", "transformer.", "segmentation_head.", "dot_prod_scoring."))
        grid = config["image_side"] // config["vit"]["patch"]
        width = config["transformer"]["width"]
        self.register_buffer("position", sine_map(grid, width), persistent=False)
        self.register_buffer("coordinates", torch.arange(grid).float() / grid, persistent=False)
        half = width // 2
        frequencies = 10_000.0 ** (2 * torch.arange(half // 2, dtype=torch.float64) / half)
        self.register_buffer("box_scale", (2 * math.pi / frequencies).float(), persistent=False)

    def pre_norm(self, x, name, memory_key, memory_value, placed, mask):
        heads = self.config["transformer"]["heads"]
        h = self.norm(x, f"{name}.norm1")
        key = h + placed if placed is not None else h
        x = x + self.attention(f"{name}.self_attn", key, key, h, heads)
        h = self.norm(x, f"{name}.norm2")
        x = x + self.attention(f"{name}.cross_attn_image", h, memory_key, memory_value, heads, mask)
        h = F.relu(self.linear(self.norm(x, f"{name}.norm3"), f"{name}.linear1"))
        return x + self.linear(h, f"{name}.linear2")

    def geometry(self, image):
        x = self.at("geometry_encoder.cls_embed.weight")[None]
        x = self.norm(self.linear(x, "geometry_encoder.final_proj"), "geometry_encoder.norm")
        for i in range(self.config["transformer"]["geometry_layers"]):
            x = self.pre_norm(x, f"geometry_encoder.encode.{i}", image + self.position, image, None, None)
        return self.norm(x, "geometry_encoder.encode_norm")

    def box_bias(self, boxes):
        """`[1, heads, q, grid * grid]`"""
        cx, cy, w, h = boxes.unbind(-1)

        def along(low, high, name):
            edges = torch.stack([low, high], dim=-1)
            distance = (self.coordinates[None, None, :, None] - edges[:, :, None]) * 8.0
            log = distance.sign() * (distance.abs() + 1.0).log() / math.log(8.0)
            return self.mlp(log, f"transformer.decoder.{name}", 2)

        x = along(cx - w / 2, cx + w / 2, "boxRPB_embed_x")
        y = along(cy - h / 2, cy + h / 2, "boxRPB_embed_y")
        bias = y[:, :, :, None] + x[:, :, None]
        return bias.flatten(2, 3).permute(0, 3, 1, 2)

    def query_position(self, boxes):
        angles = boxes[..., [1, 0, 2, 3]][..., None] * self.box_scale
        sine = torch.stack([angles.sin(), angles.cos()], dim=-1).flatten(2)
        return self.mlp(sine, "transformer.decoder.ref_point_head", 2)

    def decode(self, memory, prompt, mask):
        config, name = self.config["transformer"], "transformer.decoder"
        heads = config["heads"]
        presence = self.at(f"{name}.presence_token.weight")
        t = torch.cat([presence, self.at(f"{name}.query_embed.weight")])[None]
        boxes = self.at(f"{name}.reference_points.weight").sigmoid()[None]
        keys = memory + self.position
        for i in range(config["decoder_layers"]):
            layer = f"{name}.layers.{i}"
            position = F.pad(self.query_position(boxes), (0, 0, 1, 0))
            bias = F.pad(self.box_bias(boxes), (0, 0, 1, 0))
            placed = t + position
            t = self.norm(t + self.attention(f"{layer}.self_attn", placed, placed, t, heads), f"{layer}.norm2")
            h = self.attention(f"{layer}.ca_text", t + position, prompt, prompt, heads, mask)
            t = self.norm(t + h, f"{layer}.catext_norm")
            h = self.attention(f"{layer}.cross_attn", t + position, keys, memory, heads, bias)
            t = self.norm(t + h, f"{layer}.norm1")
            h = F.relu(self.linear(t, f"{layer}.linear1"))
            t = self.norm(t + self.linear(h, f"{layer}.linear2"), f"{layer}.norm3")
            hs = self.norm(t[:, 1:], f"{name}.norm")
            before = (boxes.clamp(min=1e-3) / (1 - boxes).clamp(min=1e-3)).log()
            boxes = (before + self.mlp(hs, f"{name}.bbox_embed", 3)).sigmoid()
            token = self.norm(t[:, 0], f"{name}.presence_token_out_norm")
            present = self.mlp(token, f"{name}.presence_token_head", 3)
        return hs, boxes, present

    def score(self, hs, prompt, valid):
        name = "dot_prod_scoring"
        prompt = self.norm(prompt + self.mlp(prompt, f"{name}.prompt_mlp", 2), f"{name}.prompt_mlp.out_norm")
        pooled = (prompt * valid[..., None]).sum(1) / valid.sum(1, keepdim=True)
        pooled = self.linear(pooled, f"{name}.prompt_proj")
        logits = self.linear(hs, f"{name}.hs_proj") @ pooled[..., None]
        return (logits[..., 0] / math.sqrt(hs.shape[-1])).clamp(-12.0, 12.0)

    def forward(self, fine, middle, coarse, text, valid):
        config, head = self.config["transformer"], "segmentation_head"
        grid = coarse.shape[-1]
        image = coarse.flatten(2).transpose(1, 2)
        prompt = torch.cat([text, self.geometry(image)], dim=1)
        valid = F.pad(valid, (0, 1), value=1.0)
        mask = ((1.0 - valid) * -1e9)[:, None, None]
        memory = image
        for i in range(config["encoder_layers"]):
            memory = self.pre_norm(memory, f"transformer.encoder.layers.{i}", prompt, prompt, self.position, mask)
        hs, boxes, presence = self.decode(memory, prompt, mask)
        logits = self.score(hs, prompt, valid)
        h = self.norm(memory, f"{head}.cross_attn_norm")
        x = memory + self.attention(f"{head}.cross_attend_prompt", h, prompt, prompt, config["heads"], mask)
        x = x.transpose(1, 2).unflatten(2, (grid, grid))
        for i, finer in enumerate([middle, fine]):
            x = F.interpolate(x, scale_factor=2.0, mode="nearest") + finer
            x = self.conv(x, f"{head}.pixel_decoder.conv_layers.{i}", padding=1)
            gamma, beta = (self.at(f"{head}.pixel_decoder.norms.{i}.{end}") for end in ("weight", "bias"))
            x = F.relu(F.group_norm(x, 8, gamma, beta, EPSILON))
        semantic = self.conv(x, f"{head}.semantic_seg_head")[:, 0]
        queries = self.mlp(hs, f"{head}.mask_predictor.mask_embed", 3)
        masks = queries @ self.conv(x, f"{head}.instance_seg_head").flatten(2)
        return logits, boxes, presence[:, 0], semantic, masks.unflatten(2, (4 * grid, 4 * grid))
