"""Makes measurements.json: the phantom of crates/segmentation/tests on three grids, measured by independent programs.

numpy 2.4.6, scipy 1.17.1 (intensities, components, distances), SimpleITK 2.5.7 (volume, centroid), scikit-image 0.26
(outlines). Run: python tests/segmentation/make_measurements.py
"""
import json
import pathlib

import numpy as np
from measuring import measure
from scipy import ndimage

SIZE = (40, 32, 12)
GRIDS = [
    {"spacing": (0.7, 1.1, 2.5), "orientation": [0.8, 0.6, 0.0, -0.36, 0.48, 0.8], "descending": False},
    {"spacing": (1.5, 0.4, 5.0), "orientation": [1.0, 0.0, 0.0, 0.0, 1.0, 0.0], "descending": True},
    {"spacing": (0.31, 0.29, 0.9), "orientation": [0.0, -1.0, 0.0, 0.0, 0.0, 1.0], "descending": False},
]
ORIGIN = (-10.5, 20.25, 30.0)
z, y, x = np.mgrid[: SIZE[2], : SIZE[1], : SIZE[0]]
gray = (x * 7 + y * 13 + z * 29) % 401 - 100
kidney = ((x - 15) ** 2 * 4 + (y - 14) ** 2 * 9 + (z - 5) ** 2 * 36 < 900) & ((x - 13) ** 2 + (y - 12) ** 2 >= 9)
tumor = ((x + 2 * y + 3 * z > 70) & (x < 36)) | ((x < 4) & (y < 3) & (z == 0))


def surface(mask):
    padded = np.pad(mask, 1)
    return (padded & ~ndimage.binary_erosion(padded))[1:-1, 1:-1, 1:-1]


phantoms = []
for grid in GRIDS:
    row, column = np.array(grid["orientation"][:3]), np.array(grid["orientation"][3:])
    direction = np.c_[row, column, np.cross(row, column)]
    a, b = surface(kidney), surface(tumor)
    sampling = grid["spacing"][::-1]
    to_b = ndimage.distance_transform_edt(~b, sampling)[a]
    to_a = ndimage.distance_transform_edt(~a, sampling)[b]
    both = int((kidney & tumor).sum())
    phantoms.append(grid | {
        "segments": [measure(mask, gray, grid["spacing"], ORIGIN, direction) for mask in (kidney, tumor)],
        "comparison": {
            "dice": 2 * both / int(kidney.sum() + tumor.sum()),
            "iou": both / int((kidney | tumor).sum()),
            "hd95": max(np.percentile(to_b, 95), np.percentile(to_a, 95)),
            "nsd": ((to_a <= 3.0).sum() + (to_b <= 3.0).sum()) / (len(to_a) + len(to_b)),
        },
    })
path = pathlib.Path(__file__).with_name("measurements.json")
path.write_text(json.dumps({"phantoms": phantoms}) + "\n")
print([p["comparison"] for p in phantoms])
