"""Checks what `write_phantom` wrote with independent readers: pydicom, highdicom, SimpleITK, nibabel, scipy.

Run: python tests/segmentation/check_written.py INPUT OUTPUT   (the folders given to write_phantom; one series in INPUT)
Needs pydicom 3.0.2, highdicom 0.28.2, SimpleITK 2.5.7, nibabel 5.4.2, scipy 1.17.1, scikit-image 0.26.
"""
import csv
import pathlib
import subprocess
import sys
import tempfile
import warnings

import highdicom as hd
import nibabel as nib
import numpy as np
import pydicom
import SimpleITK as sitk
from highdicom._standard_utils import get_iod_module_map, get_module_attribute_map, get_sop_class_iod_map

warnings.filterwarnings("ignore")
source, out = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2])
failures = []


def check(name, ok, detail=""):
    print(("ok   " if ok else "FAIL ") + name, detail)
    if not ok:
        failures.append(name)


def images():
    paths = [source] if source.is_file() else sorted(p for p in source.rglob("*") if p.is_file())
    found = []
    for path in paths:
        try:
            found.append(pydicom.dcmread(path, force=True))
        except Exception:
            continue
    return {str(d.SOPInstanceUID): d for d in found if "PixelData" in d}


def read_frames(ds):
    """Of a binary segmentation: (segment, source instance, source frame) -> mask, by pydicom alone."""
    pixels = ds.pixel_array.reshape(-1, ds.Rows, ds.Columns)
    masks = {}
    for pixels, group in zip(pixels, ds.PerFrameFunctionalGroupsSequence, strict=True):
        image = group.DerivationImageSequence[0].SourceImageSequence[0]
        number = group.SegmentIdentificationSequence[0].ReferencedSegmentNumber
        key = (int(number), str(image.ReferencedSOPInstanceUID), int(image.get("ReferencedFrameNumber", 1)))
        assert key not in masks
        masks[key] = (pixels, group)
    return masks


def planes(ds):
    """Every frame of an image: position, by pydicom alone; None where it has none."""
    # A classic object with empty functional groups is still classic.
    if "PerFrameFunctionalGroupsSequence" in ds and not ds.get("ImagePositionPatient"):
        for group in ds.PerFrameFunctionalGroupsSequence:
            has = "PlanePositionSequence" in group
            yield np.array(group.PlanePositionSequence[0].ImagePositionPatient, float) if has else None
    else:
        for _ in range(int(ds.get("NumberOfFrames", 1))):
            yield np.array(ds.ImagePositionPatient, float) if ds.get("ImagePositionPatient") else None


def orders_evenly(entries):
    at = np.array([float(normal @ p) for *_, p in entries])
    # A tilted gantry makes no volume for dcmqi.
    if np.linalg.norm(np.cross(entries[-1][2] - entries[0][2], normal)) > 0.1:
        return False
    steps = np.diff(at)
    return len(steps) == 0 or np.ptp(steps) < 0.05 * steps.mean()


def orientation(ds):
    if ds.get("ImageOrientationPatient"):
        return np.array(ds.ImageOrientationPatient, float)
    groups = [*ds.get("SharedFunctionalGroupsSequence", []), *ds.get("PerFrameFunctionalGroupsSequence", [])]
    for group in groups:
        if "PlaneOrientationSequence" in group:
            return np.array(group.PlaneOrientationSequence[0].ImageOrientationPatient, float)
    return None


files = images()
seg = pydicom.dcmread(out / "seg.dcm")
masks = read_frames(seg)
segments = len(seg.SegmentSequence)
truth = np.fromfile(out / "truth.bin", np.uint8)

# The order of slices and frames is that of positions along the normal; without places, of the file's frames.
entries = [(uid, frame + 1, position) for uid, ds in files.items() for frame, position in enumerate(planes(ds))]
placed = all(position is not None for *_, position in entries) and orientation(next(iter(files.values()))) is not None
if placed and "FrameOfReferenceUID" not in seg:
    sys.exit("pixels of several sizes: not checked here")
truth = truth.reshape(segments, len(entries), seg.Rows, seg.Columns)
if placed:
    axes = orientation(next(iter(files.values())))
    normal = np.cross(axes[:3], axes[3:])
    instance = {uid: int(ds.get("InstanceNumber") or 0) for uid, ds in files.items()}
    entries.sort(key=lambda entry: (round(float(normal @ entry[2]), 2), instance[entry[0]], entry[1]))
else:
    number = {uid: int(ds.get("InstanceNumber") or 0) for uid, ds in files.items()}
    entries.sort(key=lambda entry: (number[entry[0]], entry[1]))

wrong = 0
shifted = 0.0
for segment in range(segments):
    for index, (uid, frame, position) in enumerate(entries):
        found = masks.pop((segment + 1, uid, frame), None)
        expected = truth[segment, index]
        if found is None:
            wrong += int(expected.any())
            continue
        wrong += int((found[0] != expected).sum())
        if placed:
            at = np.array(found[1].PlanePositionSequence[0].ImagePositionPatient, float)
            shifted = max(shifted, float(np.abs(at - position).max()))
check("pydicom: voxels", wrong == 0 and not masks, f"{wrong} differ, {len(masks)} left over")
check("pydicom: planes", shifted < 1e-4, f"{shifted:g} mm" if placed else "without places")

read = hd.seg.segread(out / "seg.dcm")
check("highdicom: segread", read.number_of_segments == segments, str(read.segmentation_type))
sources = list(dict.fromkeys(uid for uid, *_ in entries))
if len(sources) == len(entries):
    stack = read.get_pixels_by_source_instance(sources, assert_missing_frames_are_empty=True, ignore_spatial_locations=True)
else:
    # Of every file all frames that are wanted, put back in the order of the series.
    stack = np.zeros((len(entries), seg.Rows, seg.Columns, segments), np.uint8)
    for uid in sources:
        at = [n for n, entry in enumerate(entries) if entry[0] == uid]
        stack[at] = read.get_pixels_by_source_frame(uid, [entries[n][1] for n in at], ignore_spatial_locations=True,
                                                    assert_missing_frames_are_empty=True)
check("highdicom: pixels by source", np.array_equal(np.moveaxis(stack, -1, 0), truth))
spread = len({round(float(normal @ p), 3) for *_, p in entries}) if placed else 0
if spread == len(entries) and spread > 1:
    try:
        volume = read.get_volume(allow_missing_positions=True)
        ours = nib.load(out / "segment-1.nii.gz")
        to_lps = np.diag([-1, -1, 1, 1]) @ ours.affine
        mine = np.asarray(ours.dataobj)  # column, row, slice
        # highdicom's array is [slice, row, column] with its own affine: compare voxels by their places.
        theirs = volume.array[..., 0]
        index = np.argwhere(theirs > 0)
        points = (volume.affine @ np.c_[index, np.ones(len(index))].T).T
        back = np.rint(np.linalg.solve(to_lps, points.T).T[:, :3])
        error = np.abs(np.linalg.solve(to_lps, points.T).T[:, :3] - back).max()
        hits = mine[tuple(back.astype(int).T)]
        check("highdicom: volume on the NIfTI's affine", bool(hits.all()) and len(index) == int(mine.sum()) and error < 1e-2,
              f"{len(index)} voxels, {error:.1e}")
    except Exception as error:  # an irregular series makes no volume
        print("     highdicom: no volume:", error)

ours = [out / f"segment-{n + 1}.nii.gz" for n in range(segments)]
if ours[0].stat().st_size:
    for number, path in enumerate(ours):
        a = nib.load(path)
        b = sitk.ReadImage(str(path))
        count = int(truth[number].sum())
        same = int(np.asarray(a.dataobj).sum()) == count == int(sitk.GetArrayViewFromImage(b).sum())
        if placed:
            at = (np.diag([-1, -1, 1, 1]) @ a.affine)[:3, 3]
            same &= np.allclose(at, entries[0][2], atol=1e-3) and np.allclose(b.GetOrigin()[:3], entries[0][2], atol=1e-3)
        check(f"nibabel and SimpleITK: segment {number + 1}", bool(same))

label = pydicom.dcmread(out / "labelmap.dcm")
check("labelmap: pydicom", label.SegmentationType == "LABELMAP")
labels = hd.seg.segread(out / "labelmap.dcm")
check("labelmap: highdicom", list(labels.segment_numbers) == list(range(1, segments)))
apart = np.delete(truth, 1, 0)
sums = {n: int((label.pixel_array == n).sum()) for n in range(1, segments)}
check("labelmap: counts", all(sums[n] == int(apart[n - 1].sum()) for n in sums), str(sums))

anonymous = pydicom.dcmread(out / "deidentified.dcm")
original = next(iter(files.values()))
leaks = [str(original.get(k)) for k in ("PatientName", "PatientID", "AccessionNumber", "StudyDate") if original.get(k)]
kept = [str(e.value) for e in anonymous.iterall() if e.VR not in ("UI", "SQ", "OB", "OW")]
check("de-identified", not any(leak in text for leak in leaks for text in kept if len(leak) > 2), f"{len(leaks)} values looked for")
for key in ("PatientName", "PatientID", "PatientBirthDate", "StudyInstanceUID", "StudyDate", "AccessionNumber"):
    if str(seg.get(key, "")) != str(original.get(key, "")):
        check(f"patient and study: {key}", False, f"{seg.get(key)!r} {original.get(key)!r}")
if placed:
    check("frame of reference", seg.FrameOfReferenceUID == original.get("FrameOfReferenceUID", seg.FrameOfReferenceUID))

for name in ("seg.dcm", "deidentified.dcm"):
    said = subprocess.run(["dciodvfy", out / name], capture_output=True, text=True)
    errors = [line for line in (said.stdout + said.stderr).splitlines() if line.startswith("Error")]
    check(f"dciodvfy {name}", not errors, "; ".join(errors))



def violations(ds):
    """Attributes of type 1 and 2 of the mandatory modules that are missing, by the tables in highdicom."""
    iod = get_sop_class_iod_map()[ds.SOPClassUID]
    for module in get_iod_module_map()[iod]:
        if module["usage"] != "M":
            continue
        for row in get_module_attribute_map()[module["key"]]:
            items = [ds]
            for part in row["path"]:
                items = [child for item in items for child in item.get(part, [])]
            # Which groups a frame has depends on conditions; what is in them does not.
            if row["path"] and row["path"][-1].endswith("FunctionalGroupsSequence"):
                continue
            for item in items:
                value = item.get(row["keyword"])
                if row["type"] == "1" and (value is None or value == "") or row["type"] == "2" and row["keyword"] not in item:
                    yield "/".join([*row["path"], row["keyword"]])


for name in ("seg.dcm", "labelmap.dcm", "deidentified.dcm"):
    wrong_attributes = sorted(set(violations(pydicom.dcmread(out / name))))
    check(f"IOD tables {name}", not wrong_attributes, str(wrong_attributes[:6]))

# dcmqi, the reader of 3D Slicer: a segment is cropped to its slices, so voxels are compared by their places.
if spread == len(entries) and spread > 1 and orders_evenly(entries):
    with tempfile.TemporaryDirectory() as folder:
        run = subprocess.run([pathlib.Path(sys.executable).parent / "segimage2itkimage", "--inputDICOM", out / "seg.dcm",
                              "--outputDirectory", folder, "--outputType", "nii"], capture_output=True, text=True)
        for number in range(1, segments + 1):
            path = pathlib.Path(folder) / f"{number}.nii.gz"
            if not path.exists():
                check(f"dcmqi: segment {number}", False, (run.stdout + run.stderr)[-300:])
                continue
            theirs, mine = nib.load(path), nib.load(out / f"segment-{number}.nii.gz")
            index = np.argwhere(np.asarray(theirs.dataobj) > 0)
            points = nib.affines.apply_affine(np.linalg.inv(mine.affine) @ theirs.affine, index)
            hits = np.asarray(mine.dataobj)[tuple(np.rint(points).astype(int).T)]
            error = np.abs(points - np.rint(points)).max()
            check(f"dcmqi: segment {number}", bool(hits.all()) and len(index) == int(np.asarray(mine.dataobj).sum()) and error < 1e-2,
                  f"{len(index)} voxels, {error:.1e}")

# Measurements of single-frame series.
rows = list(csv.DictReader((out / "measurements.csv").open(newline="")))
frames_per_slice = 1 if not placed else len(entries) // max(spread, 1)
if frames_per_slice == 1:
    values = []
    for uid, frame, _ in entries:
        ds = files[uid]
        try:
            array = ds.pixel_array
        except Exception:
            values = None
            break
        array = array.reshape(-1, ds.Rows, ds.Columns, *array.shape[3:] if ds.SamplesPerPixel > 1 else ())
        array = array[frame - 1]
        values.append(pydicom.pixels.apply_modality_lut(array, ds) if ds.SamplesPerPixel == 1 else None)
    for segment in range(segments):
        mine = [row for row in rows if row["number"] == str(segment + 1)]
        for row in mine:
            at = int(row["frame"]) - 1
            inside = truth[segment] if placed or len(sources) > 1 else truth[segment, at:at + 1]
            count = int(inside.sum())
            good = int(row["voxels"]) == count
            if values and values[0] is not None and row["mean"]:
                pick = values if placed or len(sources) > 1 else values[at:at + 1]
                picked = np.concatenate([np.asarray(v, float)[m > 0] for v, m in zip(pick, inside)])
                expected = [picked.mean(), picked.std(), picked.min(), picked.max()]
                got = [float(row[k]) for k in ("mean", "sd", "min", "max")]
                good &= bool(np.allclose(got, expected, rtol=1e-6, atol=1e-9))
            check(f"measured {row['segment']} frame {at + 1}", good, f"{row['voxels']} {row['mean']} {row['volume_ml']} {row['area_mm2']}")
print("FAILED" if failures else "all right", failures)
sys.exit(bool(failures))
