"""Reference values of the measures in crates/eval, each from an independent implementation.

    pip install numpy scipy scikit-learn monai surface-distance pycocotools torch torchmetrics
    python tests/eval/make_goldens.py > tests/eval/goldens.json

| measure | from |
|---|---|
| Dice, IoU, Brier score | scikit-learn |
| HD95 | SciPy's distance transform; must agree with MONAI, compute_hausdorff_distance(percentile=95) |
| NSD | surface-distance (the package of Nikolov et al.); must agree with MONAI, compute_surface_dice(use_subvoxels=True) |
| AP | pycocotools |
| F1 pairs | scipy.optimize.linear_sum_assignment |
| calibration error | torchmetrics |
| intervals | scipy.stats.bootstrap over subjects |

Prints the versions it was run with into the file.
"""

import contextlib
import importlib.metadata
import io
import json
import sys

import numpy as np
import surface_distance
import torch
from monai.metrics import compute_hausdorff_distance, compute_surface_dice
from pycocotools import mask as coco_mask
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval
from scipy import ndimage, stats
from scipy.optimize import linear_sum_assignment
from sklearn.metrics import brier_score_loss, f1_score, jaccard_score
from torchmetrics.classification import BinaryCalibrationError

rng = np.random.default_rng(20261124)


def rows(mask):
    return ["".join("#" if bit else "." for bit in row) for row in mask]


def blob(height, width, share, smooth=2.5):
    field = ndimage.gaussian_filter(rng.standard_normal((height, width)), smooth)
    return field > np.quantile(field, 1 - share)


def hd95_by_scipy(a, b):
    def edge(mask):
        padded = np.pad(mask, 1)
        return padded & ~ndimage.binary_erosion(padded)

    a, b = edge(a), edge(b)
    directed = [np.percentile(ndimage.distance_transform_edt(~to)[of], 95) for of, to in ((a, b), (b, a))]
    return max(directed)


def overlap_case(name, found, truth):
    found, truth = found.astype(bool), truth.astype(bool)
    case = {"name": name, "found": rows(found), "truth": rows(truth)}
    flat = truth.ravel(), found.ravel()
    if found.any() or truth.any():
        case["dice"] = float(f1_score(*flat, zero_division=0))
        case["iou"] = float(jaccard_score(*flat, zero_division=0))
    if found.any() and truth.any():
        batch = [torch.from_numpy(mask)[None, None].float() for mask in (found, truth)]
        one_hot = [torch.cat([1 - mask, mask], 1) for mask in batch]
        case["hd95"] = float(hd95_by_scipy(found, truth))
        # MONAI computes in single precision.
        monai = float(compute_hausdorff_distance(*one_hot, include_background=False, percentile=95))
        assert abs(case["hd95"] - monai) <= 1e-6 * monai, (name, case["hd95"], monai)
        distances = surface_distance.compute_surface_distances(truth, found, spacing_mm=(1.0, 1.0))
        case["nsd"] = {}
        for tolerance in (0.0, 0.75, 1.0, 2.0, 3.5):
            value = surface_distance.compute_surface_dice_at_tolerance(distances, tolerance)
            monai = float(compute_surface_dice(*one_hot, [tolerance], use_subvoxels=True))
            assert abs(value - monai) < 1e-5, (name, tolerance, value, monai)
            case["nsd"][str(tolerance)] = float(value)
    return case


def overlap_cases():
    empty = np.zeros((14, 19), bool)
    dot, far_dot, line, ring = empty.copy(), empty.copy(), empty.copy(), empty.copy()
    dot[5, 6] = True
    far_dot[12, 18] = True
    line[3, 2:17] = True
    ring[2:12, 3:15] = True
    ring[5:9, 6:12] = False
    full = ~empty
    checker = (np.indices(empty.shape).sum(0) % 2).astype(bool)
    pairs = [
        ("one pixel each", dot, far_dot), ("identical", ring, ring), ("a line against a ring", line, ring),
        ("everything against a dot", full, dot), ("a checkerboard", checker, ring), ("missed", empty, ring),
        ("false alarm", ring, empty), ("nothing at all", empty, empty), ("at the edge", full, ring),
    ]
    for number in range(6):
        height, width = [(40, 33), (25, 60), (31, 31)][number % 3]
        truth = blob(height, width, rng.uniform(0.05, 0.5))
        found = ndimage.shift(truth.astype(float), rng.uniform(-4, 4, 2), order=1) > 0.5
        if number % 2:
            found |= blob(height, width, 0.1)
        pairs.append((f"blobs {number}", found, truth))
    return [overlap_case(*pair) for pair in pairs]


def instance_image(height, width, objects, noise):
    """Disjoint objects as a label map, detections near them (which may overlap) and false ones."""
    labels = np.zeros((height, width), np.uint16)
    detections = []
    for number in range(objects):
        y, x = rng.integers(4, height - 4), rng.integers(4, width - 4)
        radius = rng.uniform(2.5, 5.5)
        disc = lambda dy, dx, r: np.hypot(*(np.indices(labels.shape) - np.array([y + dy, x + dx])[:, None, None])) < r
        labels[disc(0, 0, radius) & (labels == 0)] = 10 * number + 3
        for _ in range(rng.integers(0, 3)):
            found = disc(*(rng.uniform(-1, 1, 2) * noise), radius + rng.uniform(-1, 1) * noise)
            if found.any():
                detections.append((float(rng.uniform(0.05, 1)), found))
    for _ in range(rng.integers(0, 3)):
        detections.append((float(rng.uniform(0.05, 0.8)), blob(height, width, 0.05)))
    return labels, detections


def pairs_by_scipy(labels, kept):
    ids = [number for number in np.unique(labels) if number]
    if not ids or not kept:
        return 0
    iou = np.array([[(mask & (labels == i)).sum() / (mask | (labels == i)).sum() for i in ids] for mask in kept])
    hits = (iou >= 0.5).astype(float)
    chosen = linear_sum_assignment(hits, maximize=True)
    return int(hits[chosen].sum())


def coco_ap(images):
    """Average precision of pycocotools at each IoU threshold, all detections of an image counted."""
    def encode(mask):
        run_lengths = coco_mask.encode(np.asfortranarray(mask.astype(np.uint8)))
        return {**run_lengths, "counts": run_lengths["counts"].decode()}

    ground_truth = {"images": [], "annotations": [], "categories": [{"id": 1, "name": "object"}]}
    results = []
    for number, (labels, detections) in enumerate(images, 1):
        ground_truth["images"].append({"id": number, "height": labels.shape[0], "width": labels.shape[1]})
        for i in np.unique(labels):
            if i:
                mask = labels == i
                ground_truth["annotations"].append({
                    "id": len(ground_truth["annotations"]) + 1, "image_id": number, "category_id": 1, "iscrowd": 0,
                    "area": int(mask.sum()), "segmentation": encode(mask),
                })
        results += [
            {"image_id": number, "category_id": 1, "score": score, "segmentation": encode(mask)} for score, mask in detections
        ]
    with contextlib.redirect_stdout(io.StringIO()):
        coco = COCO()
        coco.dataset = {**ground_truth, "info": {}}
        coco.createIndex()
        evaluation = COCOeval(coco, coco.loadRes(results), "segm")
        evaluation.params.maxDets = [1000]
        evaluation.evaluate()
        evaluation.accumulate()
    return [float(value) for value in evaluation.eval["precision"][:, :, 0, 0, 0].mean(1)]


def instance_case(images, threshold=0.3):
    kept = [[mask for score, mask in detections if score > threshold] for _, detections in images]
    matched = [pairs_by_scipy(labels, masks) for (labels, _), masks in zip(images, kept)]
    drawn = [len(np.unique(labels)) - 1 if (labels == 0).any() else len(np.unique(labels)) for labels, _ in images]
    count = sum(map(len, kept)) + sum(drawn)
    return {
        "threshold": threshold,
        "images": [
            {
                "width": labels.shape[1], "ids": labels.ravel().tolist(),
                "detections": [{"score": score, "mask": rows(mask)} for score, mask in detections],
                "kept": len(masks), "drawn": objects, "matched": pairs,
            }
            for (labels, detections), masks, objects, pairs in zip(images, kept, drawn, matched)
        ],
        "f1": 2 * sum(matched) / count,
        "ap": coco_ap(images),
    }


def instance_cases():
    none = (np.zeros((20, 24), np.uint16), [(0.9, blob(20, 24, 0.1))])
    missed = (instance_image(30, 28, 3, 0)[0], [])
    labels = instance_image(32, 32, 1, 0)[0]
    repeated = (labels, [(score, labels > 0) for score in (0.4, 0.9, 0.7)])
    return [
        instance_case([instance_image(36, 44, 6, 1.2) for _ in range(5)]),
        instance_case([instance_image(40, 40, 9, 2.0) for _ in range(4)] + [none, missed]),
        instance_case([repeated, instance_image(30, 30, 4, 0.5)]),
    ]


def calibration_case(probabilities, outcomes, bins):
    error = BinaryCalibrationError(n_bins=bins, norm="l1")(torch.tensor(probabilities), torch.tensor(outcomes).int())
    return {
        "bins": bins, "probabilities": probabilities.tolist(), "outcomes": [bool(is_) for is_ in outcomes],
        "ece": float(error), "brier": float(brier_score_loss(outcomes, probabilities)),
    }


def calibration_cases():
    probabilities = rng.uniform(0, 0.999, 400)
    honest = rng.uniform(size=400) < probabilities
    boastful = rng.uniform(size=400) < probabilities**2
    few = np.array([0.02, 0.98])
    return [
        calibration_case(probabilities, honest, 15), calibration_case(probabilities, boastful, 10),
        calibration_case(few, np.array([False, True]), 15),
    ]


def bootstrap_case(subjects, per_subject):
    """The mean over all images, subjects drawn whole."""
    sizes = rng.integers(1, per_subject + 1, subjects)
    values = [np.clip(rng.normal(rng.uniform(0.4, 0.9), 0.08, size), 0, 1) for size in sizes]
    sums, counts = np.array([v.sum() for v in values]), sizes.astype(float)
    result = stats.bootstrap(
        (sums, counts), lambda s, n, axis=-1: s.sum(axis=axis) / n.sum(axis=axis), paired=True, vectorized=True,
        n_resamples=200_000, method="percentile", random_state=np.random.default_rng(1),
    )
    return {
        "values": [v.tolist() for v in values], "mean": float(sums.sum() / counts.sum()),
        "interval": [float(result.confidence_interval.low), float(result.confidence_interval.high)],
    }


packages = ["numpy", "scipy", "scikit-learn", "monai", "surface-distance", "pycocotools", "torch", "torchmetrics"]
json.dump({
    "versions": {name: importlib.metadata.version(name) for name in packages},
    "overlap": overlap_cases(),
    "instances": instance_cases(),
    "calibration": calibration_cases(),
    "bootstrap": [bootstrap_case(12, 6), bootstrap_case(40, 1), bootstrap_case(3, 4)],
}, sys.stdout, separators=(",", ":"))
print()
