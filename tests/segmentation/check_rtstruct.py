"""Rasterises the RT Structure Set that `write_phantom` wrote with rt-utils, and by matplotlib-free pixel centres.

Run: python tests/segmentation/check_rtstruct.py INPUT OUTPUT   (as check_written.py; INPUT a folder of single-frame files)
Needs rt-utils 1.2.7, pydicom 3.0.2, scikit-image.
"""
import pathlib
import subprocess
import sys

import numpy as np
import pydicom
from rt_utils import RTStructBuilder
from skimage.draw import polygon2mask

source, out = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2])
failures = []


def check(name, ok, detail=""):
    print(("ok   " if ok else "FAIL ") + name, detail)
    if not ok:
        failures.append(name)


ds = pydicom.dcmread(out / "rtstruct.dcm")
files = [pydicom.dcmread(p) for p in sorted(source.rglob("*")) if p.is_file()]
first = files[0]
axes = np.array(first.ImageOrientationPatient, float)
normal = np.cross(axes[:3], axes[3:])
files.sort(key=lambda f: float(normal @ np.array(f.ImagePositionPatient, float)))
truth = np.fromfile(out / "truth.bin", np.uint8).reshape(-1, len(files), first.Rows, first.Columns)
names = [roi.ROIName for roi in ds.StructureSetROISequence]
spacing = np.array(first.PixelSpacing, float)

if first.Rows == first.Columns:
    # rt-utils swaps the sides of pictures that are no squares, and the spacings of pixels that are none.
    book = RTStructBuilder.create_from(dicom_series_path=str(source), rt_struct_path=str(out / "rtstruct.dcm"))
    for number, name in enumerate(names):
        mask = np.moveaxis(book.get_roi_mask_by_name(name), -1, 0)
        both = int((mask & (truth[number] > 0)).sum())
        dice = 2 * both / (int(mask.sum()) + int(truth[number].sum()))
        check(f"rt-utils: {name}", dice >= 0.99, f"Dice {dice:.6f}")

for number, roi in enumerate(ds.ROIContourSequence):
    area = 0.0
    mask = np.zeros_like(truth[number])
    for contour in roi.ContourSequence:
        points = np.array(contour.ContourData, float).reshape(-1, 3)
        index = [f.SOPInstanceUID for f in files].index(contour.ContourImageSequence[0].ReferencedSOPInstanceUID)
        steps = points - np.array(files[index].ImagePositionPatient, float)
        x, y = steps @ axes[:3] / spacing[1], steps @ axes[3:] / spacing[0]
        assert np.abs(steps @ normal).max() < 1e-3
        area += abs(float(x @ np.roll(y, -1) - y @ np.roll(x, -1))) / 2 * spacing.prod()
        mask[index] ^= polygon2mask(mask.shape[1:], np.c_[y, x]).astype(np.uint8)
    expected = int(truth[number].sum()) * spacing.prod()
    check(f"area: {names[number]}", abs(area - expected) <= 0.01 * expected, f"{area:.2f} mm2, of pixels {expected:.2f}")
    differ = int((mask != truth[number]).sum())
    check(f"skimage: {names[number]}", differ == 0, f"{differ} differ")
said = subprocess.run(["dciodvfy", out / "rtstruct.dcm"], capture_output=True, text=True)
errors = [line for line in (said.stdout + said.stderr).splitlines() if line.startswith("Error")]
check("dciodvfy rtstruct.dcm", not errors, "; ".join(errors[:4]))
print("FAILED" if failures else "all right", failures)
sys.exit(bool(failures))
