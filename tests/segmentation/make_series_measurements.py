"""Makes series_measurements.json: published segmentations of three real series, measured by independent programs.

Masks: dcmqi's NRRD label map (SimpleITK) and the NIfTI masks beside two structure sets (nibabel), laid on the slices as
make_import.py does. Gray values: pydicom 3.0.2. Measures: measuring.py.
Run: MEDSAM3_SHARED=... python tests/segmentation/make_series_measurements.py
"""
import json
import pathlib

import numpy as np
import pydicom
from make_import import CT, S, load, nifti_voxels, nrrd_voxels
from measuring import measure

R = "series/rtstruct/"
cases = []
for kind, file, image, masks in [
    ("seg", S + "ct-liver-spine/liver.dcm", CT, lambda: nrrd_voxels(S + "ct-liver-spine/liver_seg.nrrd", CT)),
    ("rtstruct", R + "mr-tumour/rtstruct.dcm", R + "mr-tumour/image",
     lambda: nifti_voxels(R + "mr-tumour/mask.nii.gz", R + "mr-tumour/image")),
    ("rtstruct", R + "pet-tumour/rtstruct.dcm", R + "pet-tumour/image",
     lambda: nifti_voxels(R + "pet-tumour/mask.nii.gz", R + "pet-tumour/image")),
]:
    files, axes, normal = load(image)
    mask = masks() > 0
    gray = np.stack([pydicom.pixels.apply_modality_lut(f.pixel_array, f).astype(float) for f in files])
    places = [np.array(f.ImagePositionPatient, float) for f in files]
    step = float(normal @ (places[-1] - places[0])) / (len(files) - 1)
    between_rows, between_columns = map(float, files[0].PixelSpacing)
    direction = np.c_[axes[:3], axes[3:], normal]
    measured = measure(mask, gray, (between_columns, between_rows, step), places[0], direction)
    cases.append({"kind": kind, "file": file, "image": image, "measured": measured})
    print(file, mask.shape, (between_columns, between_rows, step), measured["voxels"], measured["volume_ml"], measured["mean"])
path = pathlib.Path(__file__).with_name("series_measurements.json")
path.write_text(json.dumps({"cases": cases}) + "\n")
