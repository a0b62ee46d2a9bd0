"""Makes measurements.json: the phantom of crates/segmentation/tests, measured by independent programs.

numpy 2.4.6 (intensities), scipy 1.17.1 (components, distances), SimpleITK 2.5.7 (volume, centroid), scikit-image
(outlines). Run: python tests/segmentation/make_measurements.py
"""
import json
import pathlib

import numpy as np
import SimpleITK as sitk
from scipy import ndimage
from scipy.spatial.distance import cdist
from skimage.measure import find_contours

size, spacing = (40, 32, 12), (0.7, 1.1, 2.5)
row, column = np.array([0.8, 0.6, 0.0]), np.array([-0.36, 0.48, 0.8])
normal = np.cross(row, column)
z, y, x = np.mgrid[: size[2], : size[1], : size[0]]
gray = (x * 7 + y * 13 + z * 29) % 401 - 100
kidney = ((x - 15) ** 2 * 4 + (y - 14) ** 2 * 9 + (z - 5) ** 2 * 36 < 900) & ((x - 13) ** 2 + (y - 12) ** 2 >= 9)
tumor = ((x + 2 * y + 3 * z > 70) & (x < 36)) | ((x < 4) & (y < 3) & (z == 0))


def measure(mask):
    image = sitk.GetImageFromArray(mask.astype(np.uint8))
    image.SetSpacing(spacing)
    image.SetOrigin((-10.5, 20.25, 30.0))
    image.SetDirection(np.c_[row, column, normal].ravel().tolist())
    shape = sitk.LabelShapeStatisticsImageFilter()
    shape.Execute(image)
    slices = {}
    for number in np.flatnonzero(mask.any((1, 2))):
        plane = mask[number]
        outline = np.concatenate(find_contours(np.pad(plane, 1).astype(float), 0.5)) - 1
        points = outline[:, ::-1] * spacing[:2]
        lengths = cdist(points, points)
        a, b = np.unravel_index(lengths.argmax(), lengths.shape)
        # Of equally long axes the one with the same number is not known: the extents are then compared by hand.
        direction = (points[b] - points[a]) / lengths.max()
        across = points @ np.array([-direction[1], direction[0]])
        slices[int(number)] = {
            "area_mm2": float(plane.sum() * spacing[0] * spacing[1]),
            "long_mm": float(lengths.max()),
            "short_mm": float(np.ptp(across)),
        }
    values = gray[mask].astype(float)
    at = np.argwhere(mask)
    return {
        "voxels": int(mask.sum()),
        "volume_ml": shape.GetPhysicalSize(1) / 1000,
        "centroid_mm": shape.GetCentroid(1),
        "components": int(ndimage.label(mask, np.ones((3, 3, 3)))[1]),
        "mean": values.mean(), "sd": values.std(), "min": values.min(), "max": values.max(),
        "bounding_box": [[int(at[:, axis].min()), int(at[:, axis].max())] for axis in (2, 1, 0)],
        "slices": slices,
    }


def surface(mask):
    padded = np.pad(mask, 1)
    return (padded & ~ndimage.binary_erosion(padded))[1:-1, 1:-1, 1:-1]


a, b = surface(kidney), surface(tumor)
sampling = spacing[::-1]
to_b = ndimage.distance_transform_edt(~b, sampling)[a]
to_a = ndimage.distance_transform_edt(~a, sampling)[b]
both = int((kidney & tumor).sum())
result = {
    "segments": [measure(kidney), measure(tumor)],
    "comparison": {
        "dice": 2 * both / int(kidney.sum() + tumor.sum()),
        "iou": both / int((kidney | tumor).sum()),
        "hd95": max(np.percentile(to_b, 95), np.percentile(to_a, 95)),
        "nsd": ((to_a <= 3.0).sum() + (to_b <= 3.0).sum()) / (len(to_a) + len(to_b)),
    },
}
path = pathlib.Path(__file__).with_name("measurements.json")
path.write_text(json.dumps(result, indent=1) + "\n")
print(result["comparison"], [s["voxels"] for s in result["segments"]])
