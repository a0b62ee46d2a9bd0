"""Checks what `write_phantom` wrote with independent readers: pydicom, highdicom, SimpleITK, nibabel, scipy.

Which masks belong to which picture is in `pictures.csv`; where a picture lies is read from INPUT by pydicom, of
mosaics by nibabel.
Run: python tests/segmentation/check_written.py INPUT OUTPUT   (the folders given to write_phantom; one series in INPUT)
Needs dciodvfy, dcmqi 1.5.7, pydicom 3.0.2, highdicom 0.28.2, SimpleITK 2.5.7, nibabel 5.4.2, scipy 1.17.1, scikit-image 0.26.
"""
import csv
import io
import pathlib
import re
import subprocess
import sys
import tempfile
import warnings
import zipfile

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
    """The images of a file, a folder or a zip archive, by SOP Instance UID."""
    if source.is_file() and zipfile.is_zipfile(source):
        archive = zipfile.ZipFile(source)
        inputs = [io.BytesIO(archive.read(name)) for name in archive.namelist()]
    else:
        inputs = [source] if source.is_file() else sorted(p for p in source.rglob("*") if p.is_file())
        if len(inputs) == 1 and zipfile.is_zipfile(inputs[0]):
            archive = zipfile.ZipFile(inputs[0])
            inputs = [io.BytesIO(archive.read(name)) for name in archive.namelist()]
    found = []
    for one in inputs:
        try:
            found.append(pydicom.dcmread(one, force=True))
        except Exception:
            continue
    return {str(d.SOPInstanceUID): d for d in found if "PixelData" in d}


def planes(ds):
    """Position and direction of every frame of a file, by pydicom; of a mosaic of every tile, by nibabel."""
    if "MOSAIC" in ds.get("ImageType", []):
        # Its affine is in the patient's axes, as DICOM's. Its import warns of other makers' files.
        from nibabel.nicom.dicomwrappers import wrapper_from_data
        affine = wrapper_from_data(ds).affine
        # nibabel's axes are rows, columns, slices.
        axes = np.concatenate([affine[:3, 1] / np.linalg.norm(affine[:3, 1]), affine[:3, 0] / np.linalg.norm(affine[:3, 0])])
        count = wrapper_from_data(ds).image_shape[2]
        return [(affine[:3, 3] + n * affine[:3, 2], axes) for n in range(count)]

    def of(*items):
        position = next((i.PlanePositionSequence[0].ImagePositionPatient for i in items if i.get("PlanePositionSequence")), None)
        axes = next((i.PlaneOrientationSequence[0].ImageOrientationPatient for i in items if i.get("PlaneOrientationSequence")), None)
        if position is None and ds.get("ImagePositionPatient"):
            position, axes = ds.ImagePositionPatient, ds.get("ImageOrientationPatient")
        return (np.array(position, float), np.array(axes, float)) if position is not None and axes is not None else None

    shared = list(ds.get("SharedFunctionalGroupsSequence", []))
    groups = list(ds.get("PerFrameFunctionalGroupsSequence", []))
    return [of(*(groups[n:n + 1] if len(groups) > n else []), *shared) for n in range(int(ds.get("NumberOfFrames", 1) or 1))]


def spatial(ds):
    """Whether a segmentation has planes of its own."""
    return "FrameOfReferenceUID" in ds


def read_frames(ds, pictures):
    """Of a binary segmentation: (segment, number of the picture) -> mask and description, by pydicom alone."""
    pixels = ds.pixel_array.reshape(-1, ds.Rows, ds.Columns)
    masks = {}
    for mask, group in zip(pixels, ds.PerFrameFunctionalGroupsSequence, strict=True):
        image = group.DerivationImageSequence[0].SourceImageSequence[0]
        found = [n for n, p in enumerate(pictures) if p["instance"] == image.ReferencedSOPInstanceUID]
        if "ReferencedFrameNumber" in image:
            found = [n for n in found if pictures[n]["number"] == int(image.ReferencedFrameNumber) - 1]
        if len(found) > 1 and spatial(ds):
            at = np.array(group.PlanePositionSequence[0].ImagePositionPatient, float)
            found = [n for n in found if np.abs(pictures[n]["plane"][0] - at).max() < 0.01]
        elif len(found) > 1:
            content = group.FrameContentSequence[0]
            time = int(content.get("TemporalPositionIndex", 1)) - 1
            slice_ = int(content.InStackPositionNumber) - 1
            found = [n for n in found if (pictures[n]["slice"], pictures[n]["frame"]) == (slice_, time)]
        assert len(found) == 1, (len(found), image)
        key = (int(group.SegmentIdentificationSequence[0].ReferencedSegmentNumber), found[0])
        assert key not in masks
        masks[key] = (mask, group)
    return masks


def orders_evenly(entries):
    at = np.array([float(normal @ p) for *_, p in entries])
    # A tilted gantry makes no volume for dcmqi.
    if np.linalg.norm(np.cross(entries[-1][2] - entries[0][2], normal)) > 0.1:
        return False
    steps = np.diff(at)
    return len(steps) == 0 or np.ptp(steps) < 0.05 * steps.mean()


files = images()
seg = pydicom.dcmread(out / "seg.dcm")
pictures = [{k: int(v) if v.isdigit() and k != "instance" else v for k, v in row.items()}
            for row in csv.DictReader((out / "pictures.csv").open(newline=""))]
for picture in pictures:
    number = picture["number"] if picture["tile"] == "" else picture["tile"]
    picture["plane"] = planes(files[picture["instance"]])[number]
segments = len(seg.SegmentSequence)
placed = spatial(seg)
if not placed:
    print("     the segmentation has no planes, its frames have references alone")
truth = np.fromfile(out / "truth.bin", np.uint8).reshape(segments, len(pictures), seg.Rows, seg.Columns)
# (instance, frame of the file from 1, position) of every picture.
entries = [(p["instance"], p["number"] + 1, p["plane"] and p["plane"][0]) for p in pictures]
normal = None
if placed:
    axes = pictures[0]["plane"][1]
    normal = np.cross(axes[:3], axes[3:])

masks = read_frames(seg, pictures)
wrong = 0
shifted = turned = 0.0
for segment in range(segments):
    for index, picture in enumerate(pictures):
        found = masks.pop((segment + 1, index), None)
        expected = truth[segment, index]
        if found is None:
            wrong += int(expected.any())
            continue
        mask, group = found
        wrong += int((mask != expected).sum())
        if placed:
            at = np.array(group.PlanePositionSequence[0].ImagePositionPatient, float)
            shifted = max(shifted, float(np.abs(at - picture["plane"][0]).max()))
            has_own = "PlaneOrientationSequence" in group
            own = group if has_own else seg.SharedFunctionalGroupsSequence[0]
            own = np.array(own.PlaneOrientationSequence[0].ImageOrientationPatient, float)
            turned = max(turned, float(np.abs(own - picture["plane"][1]).max()))
check("pydicom: voxels", wrong == 0 and not masks, f"{wrong} differ, {len(masks)} left over")
check("pydicom: planes", shifted < 1e-3 and turned < 1e-4, f"{shifted:g} mm, {turned:g}" if placed else "without places")

read = hd.seg.segread(out / "seg.dcm")
check("highdicom: segread", read.number_of_segments == segments, str(read.segmentation_type))
sources = list(dict.fromkeys(uid for uid, *_ in entries))
several = {uid for uid in sources if sum(uid == other for other, *_ in entries) > 1}
if several and "ReferencedFrameNumber" not in seg.PerFrameFunctionalGroupsSequence[0].DerivationImageSequence[0].SourceImageSequence[0]:
    # A class of single frames, whose frames highdicom cannot tell apart by reference: the masks in their order.
    stack = np.zeros((len(entries), seg.Rows, seg.Columns, segments), np.uint8)
    order = {(int(g.SegmentIdentificationSequence[0].ReferencedSegmentNumber), *map(int, g.FrameContentSequence[0].DimensionIndexValues)): n
             for n, g in enumerate(seg.PerFrameFunctionalGroupsSequence)}
    for (segment, _, *at), n in order.items():
        index = next(i for i, p in enumerate(pictures) if [p["slice"], p["frame"]][:len(at)] == [v - 1 for v in at])
        stack[index, ..., segment - 1] = read.pixel_array.reshape(-1, seg.Rows, seg.Columns)[n]
elif len(sources) == len(entries):
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
# The name that takes the place of every other.
leaks = [leak for leak in leaks if leak != "Anonymous"]
kept = [str(e.value) for e in anonymous.iterall() if e.VR not in ("UI", "SQ", "OB", "OW")]
check("de-identified", not any(leak in text for leak in leaks for text in kept if len(leak) > 2), f"{len(leaks)} values looked for")
for key in ("PatientName", "PatientID", "PatientBirthDate", "StudyInstanceUID", "StudyDate", "AccessionNumber"):
    theirs = str(original.get(key, ""))
    # 20120000 is no date, and would make the segmentation invalid too.
    if key.endswith("Date") and re.search("0000$|00$", theirs):
        theirs = ""
    if str(seg.get(key, "")) != theirs:
        check(f"patient and study: {key}", False, f"{seg.get(key)!r} {original.get(key)!r}")
if placed:
    # A series should have one; where its files contradict each other, it is one of them.
    theirs = {ds.FrameOfReferenceUID for ds in files.values() if ds.get("FrameOfReferenceUID")}
    check("frame of reference", not theirs or seg.FrameOfReferenceUID in theirs, f"{len(theirs)} in the series")

# UIDs of the source that are not valid must be repeated, or the object would refer to nothing.
levels = ("SOPInstanceUID", "SeriesInstanceUID", "StudyInstanceUID", "FrameOfReferenceUID")
invalid = {str(ds.get(key)) for ds in files.values() for key in levels if re.search(r"\.0\d", str(ds.get(key)))}
for name in ("seg.dcm", "deidentified.dcm"):
    said = subprocess.run(["dciodvfy", out / name], capture_output=True, text=True)
    errors = [line for line in (said.stdout + said.stderr).splitlines() if line.startswith("Error")]
    ours = [line for line in errors if not any(f"<{uid}>" in line for uid in invalid)]
    if len(ours) < len(errors):
        print(f"     {len(errors) - len(ours)} errors are of the source's own UIDs")
        ours = [line for line in ours if "dataset contains invalid data values" not in line]
    errors = ours
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

# Measurements: counts, and of gray pictures the values that pydicom decodes.
rows = list(csv.DictReader((out / "measurements.csv").open(newline="")))


def gray(picture):
    """Values of a picture, None in colour or where pydicom has no decoder."""
    ds = files[picture["instance"]]
    if ds.SamplesPerPixel > 1 or picture["tile"] != "":
        return None
    try:
        array = ds.pixel_array.reshape(-1, ds.Rows, ds.Columns)[picture["number"]]
    except Exception:
        return None
    shared = list(ds.get("SharedFunctionalGroupsSequence", []))
    groups = list(ds.get("PerFrameFunctionalGroupsSequence", []))[picture["number"]:picture["number"] + 1]
    for item in groups + shared:
        if item.get("PixelValueTransformationSequence"):
            lut = item.PixelValueTransformationSequence[0]
            return array * float(lut.RescaleSlope) + float(lut.RescaleIntercept)
    return np.asarray(pydicom.pixels.apply_modality_lut(array, ds), float)


for row in rows:
    masks = truth[int(row["number"]) - 1]
    chosen = [n for n, p in enumerate(pictures) if p["frame"] == int(row["frame"]) - 1]
    count = sum(int(masks[n].sum()) for n in chosen)
    good = int(row["voxels"]) == count
    if row["mean"]:
        values = {n: gray(pictures[n]) for n in chosen}
        if all(value is not None for value in values.values()):
            picked = np.concatenate([values[n][masks[n] > 0] for n in chosen])
            expected = [picked.mean(), picked.std(), picked.min(), picked.max()]
            got = [float(row[k]) for k in ("mean", "sd", "min", "max")]
            good &= bool(np.allclose(got, expected, rtol=1e-6, atol=1e-9))
    check(f"measured {row['segment']} frame {row['frame']}", good,
          f"{row['voxels']} {row['mean']} {row['volume_ml']} {row['area_mm2']}")
print("FAILED" if failures else "all right", failures)
sys.exit(bool(failures))
