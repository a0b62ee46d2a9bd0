"""Measures a mask on a grid in the patient with programs that share no code with ours: SimpleITK (count, volume, centroid),
scipy (components, intensities), scikit-image (outlines of slices), numpy.
"""
import numpy as np
import SimpleITK as sitk
from scipy import ndimage
from scipy.spatial import ConvexHull
from scipy.spatial.distance import cdist
from skimage.measure import find_contours


def diameters(plane, spacing):
    """Largest diameter of an outline at half a pixel, and the extents at right angles to it: one of each longest."""
    outline = np.concatenate(find_contours(np.pad(plane, 1).astype(float), 0.5)) - 1
    points = outline[:, ::-1] * spacing
    points = points[ConvexHull(points).vertices]
    lengths = cdist(points, points)
    across = set()
    for a, b in np.argwhere(np.triu(lengths >= lengths.max() * (1 - 1e-9))):
        direction = (points[b] - points[a]) / lengths[a, b]
        across.add(round(float(np.ptp(points @ np.array([-direction[1], direction[0]]))), 9))
    return float(lengths.max()), sorted(across)


def measure(mask, gray, spacing, origin, direction):
    """Of `[slice, row, column]` arrays; spacing of columns, rows and slices; direction as SimpleITK has it."""
    image = sitk.GetImageFromArray(mask.astype(np.uint8))
    image.SetSpacing([float(s) for s in spacing])
    image.SetOrigin([float(o) for o in origin])
    image.SetDirection([float(d) for d in np.ravel(direction)])
    shape = sitk.LabelShapeStatisticsImageFilter()
    shape.Execute(image)
    slices = {}
    for number in np.flatnonzero(mask.any((1, 2))):
        long, short = diameters(mask[number], spacing[:2])
        slices[int(number)] = {
            "area_mm2": float(mask[number].sum() * spacing[0] * spacing[1]),
            "long_mm": long,
            "short_mm": short,
        }
    at = np.argwhere(mask)
    gray = gray.astype(float)
    return {
        "voxels": shape.GetNumberOfPixels(1),
        "volume_ml": shape.GetPhysicalSize(1) / 1000,
        "centroid_mm": shape.GetCentroid(1),
        "components": int(ndimage.label(mask, np.ones((3, 3, 3)))[1]),
        "mean": float(ndimage.mean(gray, mask)),
        "sd": float(ndimage.standard_deviation(gray, mask)),
        "min": float(ndimage.minimum(gray, mask)),
        "max": float(ndimage.maximum(gray, mask)),
        "bounding_box": [[int(at[:, axis].min()), int(at[:, axis].max())] for axis in (2, 1, 0)],
        "slices": slices,
    }
