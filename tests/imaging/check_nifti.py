"""Checks what `medsam3 nifti` writes against independent readings of the same files.

    pip install SimpleITK==2.5.7 nibabel==5.4.2 pydicom==3.0.2 numpy
    python check_nifti.py PATH/TO/medsam3 [FOLDER/dicom/series]

Every series that is a volume of gray values without gaps is written, read by nibabel, and compared with what
SimpleITK (GDCM) reads from the DICOM files: the same voxels at the same points of the patient. The made series of this
folder always; with a second argument those of `expected.json` there. The files are given to SimpleITK in
the order of their projections, which is found here with pydicom, one file per position.
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


def check(program, source, files, number):
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "out.nii.gz"
        command = [program, "nifti", str(source), "--series", str(number), "--out", str(out)]
        result = subprocess.run(command, capture_output=True, text=True)
        if result.returncode:
            return None, result.stderr.splitlines()[0]
        image = nib.load(out)
        image.get_fdata()
        found = np.asarray(image.dataobj)
    found = found[..., 0] if found.ndim == 4 else found
    values, affine = reference(files)
    if values.ndim != 3:
        return None, "colour"
    ras = np.diag([-1, -1, 1, 1]) @ affine
    difference = float(np.abs(found.transpose(2, 1, 0).astype(float) - values).max())
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
            regular = facts["kind"] == "volume" and not {"gap", "tilt"} & set(facts["problems"])
            if not regular or not all(file.is_file() for file in files) or len(files) < facts["slices"]:
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
