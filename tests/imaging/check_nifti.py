"""Checks what `medsam3 nifti` writes against independent readings of the same files.

    pip install SimpleITK==2.5.7 nibabel==5.4.2 pydicom==3.0.2 numpy
    python check_nifti.py PROGRAM [FOLDER/dicom/series]

PROGRAM is `medsam3`, or the example `write_nifti` of `crates/imaging`, which has the two commands needed here and builds
without the model. Every series that is a volume without gaps is written, read by nibabel, and compared with what SimpleITK
(GDCM) reads from the DICOM files: the same voxels at the same points of the patient. Multi-frame objects are compared with
pydicom's reading of every frame's groups, Siemens mosaics with nibabel's. The made series of this folder always; with a second argument those of `expected.json`
there. The files are given to SimpleITK in the order of their projections, which is found here with pydicom, one file per
position.
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path

import nibabel as nib
import numpy as np
import pydicom
import SimpleITK as sitk
from nibabel.nicom.dicomwrappers import wrapper_from_file

HERE = Path(__file__).parent


def reference(files):
    """First picture of every position, in order: values [slice, row, column] and the LPS affine."""
    places = {}
    for file in files:
        ds = pydicom.dcmread(file, stop_before_pixels=True)
        row, column = np.array(ds.ImageOrientationPatient, float).reshape(2, 3)
        position = np.array(ds.ImagePositionPatient, float)
        distance = round(float(np.cross(row, column) @ position), 2)
        kept = places.get(distance)
        if kept is None or int(ds.InstanceNumber or 0) < kept[0]:
            spacing = np.array(ds.PixelSpacing, float)
            places[distance] = (int(ds.InstanceNumber or 0), file, position, row * spacing[1], column * spacing[0])
    order = [places[distance] for distance in sorted(places)]
    values = np.stack([sitk.GetArrayFromImage(sitk.ReadImage(str(file)))[0] for _, file, *_ in order])
    affine = np.eye(4)
    affine[:3, 0], affine[:3, 1], affine[:3, 3] = order[0][3], order[0][4], order[0][2]
    affine[:3, 2] = (order[-1][2] - order[0][2]) / max(1, len(order) - 1)
    return values, affine


def enhanced(files):
    """The same of multi-frame objects, by the functional groups of each frame, else the shared ones (pydicom)."""
    places = {}
    for file in files:
        ds = pydicom.dcmread(file)
        shared = (ds.get("SharedFunctionalGroupsSequence") or [pydicom.Dataset()])[0]
        pixels = ds.pixel_array
        for frame, groups in enumerate(ds.PerFrameFunctionalGroupsSequence):
            def item(name):
                found = groups.get(name) or shared.get(name)
                return found[0] if found else None
            row, column = np.array(item("PlaneOrientationSequence").ImageOrientationPatient, float).reshape(2, 3)
            position = np.array(item("PlanePositionSequence").ImagePositionPatient, float)
            spacing = np.array(item("PixelMeasuresSequence").PixelSpacing, float)
            scale = item("PixelValueTransformationSequence") or ds
            values = pixels[frame] * float(scale.get("RescaleSlope", 1)) + float(scale.get("RescaleIntercept", 0))
            distance = round(float(np.cross(row, column) @ position), 2)
            order = (int(ds.InstanceNumber or 0), frame)
            if distance not in places or order < places[distance][0]:
                places[distance] = (order, values, position, row * spacing[1], column * spacing[0])
    order = [places[distance] for distance in sorted(places)]
    affine = np.eye(4)
    affine[:3, 0], affine[:3, 1], affine[:3, 3] = order[0][3], order[0][4], order[0][2]
    affine[:3, 2] = (order[-1][2] - order[0][2]) / max(1, len(order) - 1)
    return np.stack([values for _, values, *_ in order]), affine


def mosaic(file):
    """The tiles of a Siemens mosaic by nibabel, in the order of the cross product of their directions."""
    read = wrapper_from_file(file)
    values, affine = read.get_data().transpose(2, 0, 1), read.affine[:, [1, 0, 2, 3]]
    if np.linalg.det(affine[:3, :3]) < 0:
        values = values[::-1]
        affine[:3, 3] += affine[:3, 2] * (len(values) - 1)
        affine[:3, 2] *= -1
    return values, affine


def check(program, source, files, number):
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "out.nii.gz"
        command = [program, "nifti", str(source), "--series", str(number), "--out", str(out)]
        result = subprocess.run(command, capture_output=True, text=True)
        if result.returncode:
            return None, result.stderr.splitlines()[0]
        image = nib.load(out)
        found = np.asarray(image.dataobj)
    found = found[..., 0] if found.ndim == 4 else found
    first = pydicom.dcmread(files[0], stop_before_pixels=True)
    if "MOSAIC" in first.get("ImageType", []):
        values, affine = mosaic(files[0])
    elif int(first.get("NumberOfFrames", 1)) > 1:
        values, affine = enhanced(files)
    else:
        values, affine = reference(files)
    if found.dtype.names:
        found = np.stack([found[part] for part in found.dtype.names], -1)
        found = np.moveaxis(found, -1, 0)
        values = np.moveaxis(values, -1, 0)
    ras = np.diag([-1, -1, 1, 1]) @ affine
    difference = float(np.abs(found.swapaxes(-1, -3).astype(float) - values).max())
    sform, qform = image.get_sform(), image.get_qform()
    geometry = max(float(np.abs(sform - ras).max()), float(np.abs(qform - ras).max()))
    largest = max(1.0, float(np.abs(values).max()))
    return difference <= 1e-5 * largest and geometry < 0.01, f"values {difference:.2g}, affines {geometry:.2g}"


def main():
    program = sys.argv[1]
    jobs = [(HERE / "series" / name, sorted((HERE / "series" / name).iterdir()), 1, name)
            for name in ["axial", "coronal", "sagittal", "oblique", "descending", "interleaved", "time-points", "duplicate"]]
    if len(sys.argv) > 2:
        root = Path(sys.argv[2])
        for facts in json.loads((root / "expected.json").read_text())["series"]:
            folder = root / facts["folder"]
            files = [folder / name for name in facts["files"]]
            if "mosaic" in facts:
                jobs.append((folder, files, 1, facts["folder"]))
                continue
            regular = facts["kind"] == "volume" and not {"gap", "tilt"} & set(facts["problems"])
            if not regular or not all(file.is_file() for file in files):
                continue
            multiframe = len(files) < facts["slices"]
            if multiframe and facts["modality"] not in ("CT", "MR"):
                continue
            listed = subprocess.run([program, "inspect", "--json", str(folder)], capture_output=True, text=True)
            numbers = [line["series"] for line in map(json.loads, listed.stdout.splitlines())
                       if line["kind"] == "volume" and line["slices"] == facts["slices"] and line["rows"] == facts["rows"]]
            jobs.append((folder, files, numbers[0], facts["folder"]))
    right = wrong = refused = 0
    for source, files, number, name in jobs:
        same, text = check(program, source, files, number)
        right, wrong, refused = right + (same is True), wrong + (same is False), refused + (same is None)
        print(f"{'refused' if same is None else 'right' if same else 'WRONG':8} {name}: {text}")
    print(f"{right} right, {wrong} wrong, {refused} refused")
    return 1 if wrong or not right else 0


if __name__ == "__main__":
    sys.exit(main())
