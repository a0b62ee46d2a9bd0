"""Reference values of the losses, the matching and the optimiser, from PyTorch, torchvision and SciPy.

    python tests/train/make_goldens.py > tests/train/goldens.json

Needs torch, torchvision and scipy. Values are computed in float64 and rounded to 12 digits.
"""

import json
import math

import numpy as np
import torch
import torch.nn.functional as F
from scipy.optimize import linear_sum_assignment
from torchvision.ops import box_convert, box_iou, generalized_box_iou_loss, sigmoid_focal_loss

torch.manual_seed(0)
torch.set_default_dtype(torch.float64)


def listed(tensor):
    return [float(f"{value:.12g}") for value in torch.as_tensor(tensor).flatten().tolist()]


def with_gradient(function, *inputs):
    inputs = [x.clone().requires_grad_() for x in inputs]
    value = function(*inputs)
    value.backward()
    return listed(value)[0], [listed(x.grad) for x in inputs]


def boxes_case(predicted, target):
    def l1(p):
        return F.l1_loss(p, target, reduction="sum")

    def giou(p):
        a, b = (box_convert(x, "cxcywh", "xyxy") for x in (p, target))
        return generalized_box_iou_loss(a, b, reduction="sum", eps=1e-7)

    l1_value, (l1_gradient,) = with_gradient(l1, predicted)
    giou_value, (giou_gradient,) = with_gradient(giou, predicted)
    return {
        "predicted": listed(predicted), "target": listed(target),
        "l1": l1_value, "l1_gradient": l1_gradient, "giou": giou_value, "giou_gradient": giou_gradient,
    }


def mask_case(logits, targets, alpha):
    def focal(x):
        return sigmoid_focal_loss(x, targets, alpha=alpha, gamma=2, reduction="none").mean(1).sum()

    def dice(x):
        p = x.sigmoid()
        return (1 - (2 * (p * targets).sum(1) + 1) / (p.sum(1) + targets.sum(1) + 1)).sum()

    focal_value, (focal_gradient,) = with_gradient(focal, logits)
    dice_value, (dice_gradient,) = with_gradient(dice, logits)
    return {
        "logits": listed(logits), "targets": listed(targets), "alpha": alpha, "masks": logits.shape[0],
        "focal": focal_value, "focal_gradient": focal_gradient, "dice": dice_value, "dice_gradient": dice_gradient,
    }


def classification_case(logits, matches, has_objects):
    """facebookresearch/sam3 IABCEMdetr, text-only: alpha 0.25, gamma 2, pos_weight 10, mean over batch and queries."""

    def loss(x):
        p = x.sigmoid()
        target, positive = torch.zeros_like(x), torch.zeros_like(x)
        for row, query, iou in matches:
            target[row, query] = (p[row, query].detach() ** 0.25 * iou**0.75).clamp(min=0.01)
            positive[row, query] = 1
        keep = torch.tensor(has_objects).double()[:, None]
        on = F.binary_cross_entropy_with_logits(x, target, reduction="none") * positive * 10
        off = F.binary_cross_entropy_with_logits(x, torch.zeros_like(x), reduction="none") * (1 - positive) * p**2
        return ((on + off) * keep).mean()

    value, (gradient,) = with_gradient(loss, logits)
    return {
        "logits": listed(logits), "rows": logits.shape[0], "matches": matches, "has_objects": has_objects,
        "value": value, "gradient": gradient,
    }


def presence_case(logits, present):
    target = torch.tensor(present).double()
    value, (gradient,) = with_gradient(lambda x: 0.5 * F.binary_cross_entropy_with_logits(x, target), logits)
    return {"logits": listed(logits), "present": present, "value": value, "gradient": gradient}


def matching_case(logits, predicted, objects):
    p = logits.sigmoid()
    cls = -0.25 * (1 - p) ** 2 * F.logsigmoid(logits) + 0.75 * p**2 * F.logsigmoid(-logits)
    cost = 2 * cls[:, None] + 5 * torch.cdist(predicted, objects, p=1)
    a, b = (box_convert(x, "cxcywh", "xyxy") for x in (predicted, objects))
    for i in range(len(a)):
        for j in range(len(b)):
            cost[i, j] -= 2 * (1 - generalized_box_iou_loss(a[i], b[j], eps=1e-7))
    rows, columns = linear_sum_assignment(cost.numpy())
    return {
        "logits": listed(logits), "predicted": listed(predicted), "objects": listed(objects),
        "cost": float(cost.numpy()[rows, columns].sum()),
        "pairs": [[int(r), int(c)] for r, c in zip(rows, columns)],
    }


def one_to_many_case(logits, predicted, objects, k=4, alpha=0.3, threshold=0.4):
    """facebookresearch/sam3 BinaryOneToManyMatcher: a pair is positive above the quantile 1 - k / queries and the threshold."""
    a, b = (box_convert(x, "cxcywh", "xyxy") for x in (predicted, objects))
    pairs, ious = [], []
    if len(objects):
        iou = torch.nan_to_num(box_iou(a, b))
        score = alpha * logits.sigmoid()[:, None] + (1 - alpha) * iou
        if len(predicted) > k:
            quantile = torch.quantile(score, 1 - k / len(predicted), dim=0, interpolation="linear")
        else:
            quantile = torch.full((len(objects),), -math.inf)
        for query, object in torch.nonzero((score > quantile) & (score > threshold)).tolist():
            pairs.append([query, object])
            ious.append(float(iou[query, object]))
    return {
        "logits": listed(logits), "predicted": listed(predicted), "objects": listed(objects), "k": k, "alpha": alpha,
        "threshold": threshold, "pairs": pairs, "ious": ious,
    }


def near(objects, copies, noise):
    """Boxes scattered around the objects, some of them good."""
    boxes = objects.repeat(copies, 1)
    return (boxes + torch.randn_like(boxes) * noise).clamp(min=0.01)


def schedule_case(base, warmup, timescale, cooldown, total):
    """Meta's InverseSquareRootParamScheduler with its linear warm-up and cool-down, at steps 1 to total."""
    rates = []
    for s in range(1, total + 1):
        rate = base
        if s < warmup:
            rate *= s / warmup
        else:
            rate *= math.sqrt(timescale / (s + timescale - warmup))
            if cooldown:
                rate *= min(1.0, (total - s) / cooldown)
        rates.append(rate)
    return {"base": base, "warmup": warmup, "timescale": timescale, "cooldown": cooldown, "total": total, "rates": rates}


def layer_decay_case(depth, gamma):
    """The ids of get_vit_lr_decay_rate in ViTDet (detectron2), which SAM 3 uses for its trunk."""
    trunk = "detector.backbone.vision_backbone.trunk."
    names = [trunk + "pos_embed", trunk + "patch_embed.proj.weight", trunk + "ln_pre.bias", "detector.transformer.decoder.norm.weight"]
    names += [f"{trunk}blocks.{i}.attn.qkv.weight" for i in range(depth)]

    def layer_id(name):
        if not name.startswith(trunk):
            return depth + 1
        return int(name.split(".blocks.")[1].split(".")[0]) + 1 if ".blocks." in name else 0

    return {"depth": depth, "gamma": gamma, "names": names, "factors": [gamma ** (depth + 1 - layer_id(name)) for name in names]}


def adamw_case(steps=5):
    """torch.optim.AdamW in float32 after torch.nn.utils.clip_grad_norm_ over all parameters."""
    torch.set_default_dtype(torch.float32)
    a, b = torch.randn(2, 3).requires_grad_(), torch.randn(4).requires_grad_()
    start = [listed(a), listed(b)]
    groups = [{"params": [a], "weight_decay": 0.1}, {"params": [b], "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, lr=0.01, betas=(0.9, 0.999), eps=1e-8)
    gradients, norms, average = [], [], [a.detach().clone(), b.detach().clone()]
    for step in range(1, steps + 1):
        a.grad, b.grad = torch.randn(2, 3) * step, torch.randn(4)
        gradients.append([listed(a.grad), listed(b.grad)])
        norms.append(float(torch.nn.utils.clip_grad_norm_([a, b], 1.5)))
        optimizer.step()
        decay = min(0.5, (1 + step) / (10 + step))
        average = [decay * old + (1 - decay) * new.detach() for old, new in zip(average, (a, b))]
    torch.set_default_dtype(torch.float64)
    return {
        "start": start, "gradients": gradients, "norms": norms,
        "end": [listed(a.detach()), listed(b.detach())], "average": [listed(x) for x in average],
    }


def random_boxes(n):
    return torch.cat([torch.rand(n, 2) * 0.6 + 0.2, torch.rand(n, 2) * 0.35 + 0.02], 1)


same = random_boxes(2)
apart = torch.tensor([[0.1, 0.1, 0.1, 0.1], [0.2, 0.2, 0.4, 0.4], [0.5, 0.5, 0.0, 0.0]])
far = torch.tensor([[0.9, 0.8, 0.1, 0.2], [0.25, 0.2, 0.1, 0.1], [0.5, 0.6, 0.2, 0.1]])
pixels = torch.randn(3, 40) * 3
shares = (torch.rand(3, 40) * 5).round().clamp(0, 4) / 4
few = random_boxes(3)
none = torch.zeros(0, 4)
extreme = torch.tensor([[60.0, -60.0, 30.0, -30.0], [0.0, 1e-8, -12.0, 12.0]])

print(json.dumps({
    "boxes": [boxes_case(random_boxes(5), random_boxes(5)), boxes_case(same, same), boxes_case(apart, far)],
    "masks": [
        mask_case(pixels, shares, 0.6),
        mask_case(pixels, shares, 0.25),
        mask_case(pixels[:1], torch.zeros(1, 40), 0.25),
        mask_case(torch.full((2, 40), -30.0), torch.zeros(2, 40), 0.6),
        mask_case(extreme, torch.tensor([[1.0, 1.0, 0.0, 0.0], [1.0, 0.0, 1.0, 0.0]]), 0.6),
    ],
    "classification": [
        classification_case(torch.randn(3, 6) * 2, [[0, 1, 0.8], [0, 4, 0.0], [2, 5, 1.0]], [True, False, True]),
        classification_case(torch.randn(2, 4), [], [False, False]),
        classification_case(torch.tensor([[12.0, -12.0, 0.0]]), [[0, 1, 1e-4], [0, 2, 0.5]], [True]),
    ],
    "presence": [presence_case(torch.randn(5) * 3, [True, False, True, False, False])],
    "matching": [
        matching_case(torch.randn(8), random_boxes(8), random_boxes(3)),
        matching_case(torch.randn(4), random_boxes(4), random_boxes(9)),
        matching_case(torch.randn(5), random_boxes(5), random_boxes(1)),
        matching_case(torch.tensor([1.0, 2.0, 3.0, 4.0]), few[:1].repeat(4, 1), few[:1]),
        matching_case(torch.tensor([8.0, -8.0, 12.0]), random_boxes(3), torch.tensor([[0.4, 0.5, 0.0, 0.0]])),
    ],
    "one_to_many": [
        one_to_many_case(torch.randn(24) * 2, near(few, 8, 0.02), few),
        one_to_many_case(torch.randn(40) + 1, near(few[:1], 40, 0.05), few[:1]),
        one_to_many_case(torch.randn(6) + 2, near(random_boxes(9), 1, 0.01)[:6], random_boxes(9)),
        one_to_many_case(torch.randn(3) + 2, near(few, 1, 0.01), few),
        one_to_many_case(torch.randn(8), random_boxes(8), none),
        one_to_many_case(torch.full((12,), 2.0), few[:1].repeat(12, 1), few[:1]),
        one_to_many_case(torch.arange(12.0), few[:1].repeat(12, 1), few[:1].repeat(2, 1)),
        one_to_many_case(torch.full((9,), 8.0), random_boxes(9), torch.tensor([[0.4, 0.5, 0.0, 0.0]])),
    ],
    "schedule": [schedule_case(5e-4, 100, 10, 50, 400), schedule_case(8e-5, 20, 20, 20, 120), schedule_case(1.0, 0, 20, 0, 30)],
    "layer_decay": [layer_decay_case(32, 0.85), layer_decay_case(32, 0.9), layer_decay_case(6, 0.85)],
    "adamw": adamw_case(),
}, indent=1))
