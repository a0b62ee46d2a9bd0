"""Makes the small series and NIfTI files of `series/` and `nifti/` with their truth.

    pip install pydicom==3.0.2 nibabel==5.4.2 SimpleITK==2.5.7 numpy
    python make_series.py

The phantom is made of numbers (no licence but the project's own): 12 columns, 10 rows, 6 slices, a block off
centre on a ramp, so that no flip, turn or swap leaves it as it is. Series are written by pydicom. Truth of regular
series: SimpleITK (GDCM) reads them back, order, affine and values. Truth of those with a fault, with frames, or enhanced: the numbers
that they were made from. Truth of NIfTI: nibabel.
"""

import gzip
import json
import shutil
import zipfile
from pathlib import Path

import nibabel as nib
import numpy as np
import pydicom
import SimpleITK as sitk
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.sequence import Sequence
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian

HERE = Path(__file__).parent
COLUMNS, ROWS, SLICES = 12, 10, 6
SPACING = (0.8, 1.25, 3.0)  # between columns, rows, slices
CT = "1.2.840.10008.5.1.4.1.1.2"
MR = "1.2.840.10008.5.1.4.1.1.4"
ENHANCED_MR = "1.2.840.10008.5.1.4.1.1.4.1"
ROOT = "1.2.826.0.1.3680043.10.1462.7"  # a made-up branch below the root of Medical Connections' free UIDs


def phantom():
    s, r, c = np.mgrid[0:SLICES, 0:ROWS, 0:COLUMNS]
    volume = 100 * s + 7 * r + 2 * c - 300
    volume[1:3, 2:5, 3:9] += 900
    return volume.astype(np.int16)


def uid(*parts):
    return ".".join([ROOT, *map(str, parts)])


def dataset(sop_class, series, instance, syntax=ExplicitVRLittleEndian):
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = sop_class
    meta.MediaStorageSOPInstanceUID = uid(series, instance)
    meta.TransferSyntaxUID = syntax
    meta.ImplementationClassUID = uid(0)
    ds = FileDataset(None, {}, file_meta=meta, preamble=b"\0" * 128)
    ds.SOPClassUID = sop_class
    ds.SOPInstanceUID = meta.MediaStorageSOPInstanceUID
    ds.StudyInstanceUID = uid(1)
    ds.SeriesInstanceUID = uid(series)
    ds.FrameOfReferenceUID = uid(2)
    ds.Modality = "CT" if sop_class == CT else "MR"
    ds.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
    ds.PatientName, ds.PatientID = "Phantom", "0"
    ds.SamplesPerPixel, ds.PhotometricInterpretation = 1, "MONOCHROME2"
    ds.Rows, ds.Columns = ROWS, COLUMNS
    ds.BitsAllocated, ds.BitsStored, ds.HighBit, ds.PixelRepresentation = 16, 16, 15, 1
    ds.RescaleSlope, ds.RescaleIntercept = "2", "-10"
    return ds


def decimals(values):
    return [f"{v:.8g}" for v in values]


def write_slices(name, series, row, column, origin, *, order=None, distances=None, shift=(0, 0, 0), extra=()):
    """One file per slice. `order[k]` is the instance number of slice k; `distances` along the normal."""
    folder = HERE / "series" / name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    row, column = np.array(row, float), np.array(column, float)
    row, column = row / np.linalg.norm(row), column / np.linalg.norm(column)
    normal = np.cross(row, column)
    volume = phantom()
    order = order or list(range(1, SLICES + 1))
    distances = distances or [k * SPACING[2] for k in range(SLICES)]
    files = [(order[k], k, order[k]) for k in range(SLICES)] + list(extra)
    for instance, k, sop in files:
        ds = dataset(CT if name != "oblique" else MR, series, sop, ImplicitVRLittleEndian if name == "sagittal" else ExplicitVRLittleEndian)
        ds.InstanceNumber = instance
        position = np.array(origin) + distances[k] * normal + distances[k] * np.array(shift)
        ds.ImagePositionPatient = decimals(position)
        ds.ImageOrientationPatient = decimals([*row, *column])
        ds.PixelSpacing = decimals([SPACING[1], SPACING[0]])
        ds.SliceThickness = "3"
        ds.PixelData = volume[k].tobytes()
        # The file's name says nothing about the order.
        ds.save_as(folder / f"{(instance * 37) % 101:03d}{'abc'[files.index((instance, k, sop)) // SLICES]}.dcm", enforce_file_format=True)
    affine = np.eye(4)
    affine[:3, 0], affine[:3, 1] = row * SPACING[0], column * SPACING[1]
    affine[:3, 2] = (normal + np.array(shift)) * (distances[1] - distances[0])
    affine[:3, 3] = origin
    return {"folder": name, "affine": affine.tolist(), "values": (volume.astype(int) * 2 - 10).ravel().tolist(), "problems": []}


def read_back(truth):
    """Order, affine and values as SimpleITK has them, which must be what was meant."""
    folder = str(HERE / "series" / truth["folder"])
    names = sitk.ImageSeriesReader.GetGDCMSeriesFileNames(folder)
    image = sitk.ReadImage(names) if len(names) > 1 else sitk.ReadImage(names[0])
    affine = np.eye(4)
    affine[:3, :3] = np.array(image.GetDirection()).reshape(3, 3) * np.array(image.GetSpacing())
    affine[:3, 3] = image.GetOrigin()
    assert np.allclose(affine, truth["affine"], atol=1e-4), (truth["folder"], affine, truth["affine"])
    values = sitk.GetArrayFromImage(image)
    assert np.array_equal(values.ravel(), truth["values"]), truth["folder"]
    return {**truth, "affine": affine.tolist(), "read_by": f"SimpleITK {sitk.__version__}"}


def write_enhanced(series):
    folder = HERE / "series" / "enhanced"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    ds = dataset(ENHANCED_MR, series, 1)
    ds.ImageType = ["ORIGINAL", "PRIMARY", "VOLUME", "NONE"]
    ds.InstanceNumber, ds.NumberOfFrames = 1, SLICES
    del ds.RescaleSlope, ds.RescaleIntercept
    row, column = np.array([0.0, 1, 0]), np.array([0.0, 0, -1])
    normal, origin = np.cross(row, column), np.array([30.0, -40, 55])
    shared = Dataset()
    measures, orientation, transform = Dataset(), Dataset(), Dataset()
    measures.PixelSpacing = decimals([SPACING[1], SPACING[0]])
    measures.SliceThickness = "3"
    orientation.ImageOrientationPatient = decimals([*row, *column])
    transform.RescaleSlope, transform.RescaleIntercept, transform.RescaleType = "2", "-10", "US"
    shared.PixelMeasuresSequence = Sequence([measures])
    shared.PlaneOrientationSequence = Sequence([orientation])
    shared.PixelValueTransformationSequence = Sequence([transform])
    ds.SharedFunctionalGroupsSequence = Sequence([shared])
    groups, frames = [], []
    for k in [3, 0, 5, 1, 4, 2]:
        group, place = Dataset(), Dataset()
        place.ImagePositionPatient = decimals(origin + k * SPACING[2] * normal)
        group.PlanePositionSequence = Sequence([place])
        groups.append(group)
        frames.append(phantom()[k])
    ds.PerFrameFunctionalGroupsSequence = Sequence(groups)
    # A position outside the groups, which does not count.
    ds.ImagePositionPatient = ["1", "2", "3"]
    ds.PixelData = np.stack(frames).tobytes()
    ds.save_as(folder / "frames.dcm", enforce_file_format=True)
    affine = np.eye(4)
    affine[:3, 0], affine[:3, 1], affine[:3, 2] = row * SPACING[0], column * SPACING[1], normal * SPACING[2]
    affine[:3, 3] = origin
    return {"folder": "enhanced", "affine": affine.tolist(), "values": (phantom().astype(int) * 2 - 10).ravel().tolist(), "problems": []}


def write_time_points(series):
    """Two time points of every slice, numbered time by time."""
    folder = HERE / "series" / "time-points"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for time in range(2):
        for k in range(SLICES):
            ds = dataset(MR, series, 1 + time * SLICES + k)
            ds.InstanceNumber = 1 + time * SLICES + k
            ds.TemporalPositionIdentifier = time + 1
            ds.ImagePositionPatient = decimals([5, 6, 7 + k * SPACING[2]])
            ds.ImageOrientationPatient = decimals([1, 0, 0, 0, 1, 0])
            ds.PixelSpacing = decimals([SPACING[1], SPACING[0]])
            ds.PixelData = (phantom()[k] + time).tobytes()
            ds.save_as(folder / f"{(ds.InstanceNumber * 37) % 101:03d}.dcm", enforce_file_format=True)
    affine = np.diag([*SPACING, 1.0])
    affine[:3, 3] = 5, 6, 7
    values = np.stack([phantom(), phantom() + 1]).astype(int) * 2 - 10
    return {"folder": "time-points", "frames": 2, "affine": affine.tolist(), "values": values.ravel().tolist(), "problems": []}


def series():
    axial = dict(row=[1, 0, 0], column=[0, 1, 0], origin=[-20.5, 30.25, -12])
    truths = [
        read_back(write_slices("axial", 10, **axial)),
        read_back(write_slices("coronal", 11, [1, 0, 0], [0, 0, -1], [-20, 12, 40])),
        read_back(write_slices("sagittal", 12, [0, 1, 0], [0, 0, -1], [9, -31, 44])),
        read_back(write_slices("oblique", 13, [0.9, 0.3, -0.1], [-0.3, 0.9, 0.0], [3, 4, 5])),
        read_back(write_slices("descending", 14, **axial, order=[6, 5, 4, 3, 2, 1])),
        read_back(write_slices("interleaved", 15, **axial, order=[1, 4, 2, 5, 3, 6])),
        write_enhanced(16),
        write_time_points(17),
        {**write_slices("tilt", 18, **axial, shift=(0, 0.3, 0)), "problems": ["tilt"]},
        {**write_slices("gap", 19, **axial, distances=[0, 3, 6, 12, 15, 18]), "problems": ["gap"], "grid": [0, 1, 2, 4, 5, 6]},
        {**write_slices("duplicate", 20, **axial, extra=[(7, 2, 7), (3, 2, 3)]), "problems": ["duplicate"]},
    ]
    with zipfile.ZipFile(HERE / "series" / "axial.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted((HERE / "series" / "axial").iterdir()):
            info = zipfile.ZipInfo(f"disc/{path.name}", (2026, 1, 1, 0, 0, 0))
            info.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(info, path.read_bytes())
        archive.writestr(zipfile.ZipInfo("disc/README.TXT", (2026, 1, 1, 0, 0, 0)), "Not an image.\n")
    spacing = list(SPACING)
    text = {"writer": f"pydicom {pydicom.__version__}", "spacing_mm": spacing, "series": truths}
    (HERE / "series" / "truth.json").write_text(json.dumps(text) + "\n")


def nifti():
    folder = HERE / "nifti"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    data = phantom().transpose(2, 1, 0)  # first index fastest
    c, s = np.cos(0.4), np.sin(0.4)
    oblique = np.array([[-0.8 * c, 1.25 * s, 0, 11], [-0.8 * s, -1.25 * c, 0, -22], [0, 0, 3, 33], [0, 0, 0, 1]])
    sheared = oblique.copy()
    sheared[0, 2] = 0.7

    def save(name, image):
        nib.save(image, folder / name)

    one = nib.Nifti1Image(data, oblique)
    one.header.set_xyzt_units("mm")
    one.set_sform(oblique, 1)
    one.set_qform(oblique, 1)
    save("oblique.nii.gz", one)
    qform = nib.Nifti1Image(data, oblique)
    qform.set_qform(oblique, 1)
    qform.set_sform(None, 0)
    save("qform.nii.gz", qform)
    shear = nib.Nifti1Image(data, sheared)
    shear.set_sform(sheared, 1)
    shear.set_qform(None, 0)
    save("sheared.nii.gz", shear)
    save("int64.nii.gz", nib.Nifti1Image(data.astype(np.int64), oblique, dtype=np.int64))
    save("two.nii.gz", nib.Nifti2Image(data.astype(np.float64) / 4, oblique))
    big = nib.Nifti1Image(data.astype(">f4"), oblique, nib.Nifti1Header(endianness=">"))
    save("big.nii.gz", big)
    scaled = nib.Nifti1Image(data, oblique)
    scaled.header.set_slope_inter(0.5, -3)
    save("scaled.nii.gz", scaled)
    save("four.nii.gz", nib.Nifti1Image(np.stack([data, data + 1], -1), oblique))
    none = nib.Nifti1Image(data, None)
    none.header.set_zooms(SPACING)
    save("no-form.nii.gz", none)
    # Endings that lie: plain values called .gz, and the reverse.
    plain = gzip.decompress((folder / "oblique.nii.gz").read_bytes())
    (folder / "plain.nii.gz").write_bytes(plain)
    (folder / "packed.nii").write_bytes((folder / "oblique.nii.gz").read_bytes())
    truths = []
    for path in sorted(folder.iterdir()):
        lies = {"plain.nii.gz": "oblique.nii.gz", "packed.nii": "oblique.nii.gz"}
        image = nib.load(folder / lies.get(path.name, path.name))
        known = image.header["sform_code"] > 0 or image.header["qform_code"] > 0
        lps = (np.diag([-1, -1, 1, 1]) @ image.affine).tolist() if known else None
        values = np.asarray(image.dataobj, dtype=float).transpose().ravel()
        truths.append({"file": path.name, "shape": list(image.shape), "affine_lps": lps, "values": values.tolist()})
    text = {"reader": f"nibabel {nib.__version__}", "files": truths}
    (folder / "truth.json").write_text(json.dumps(text) + "\n")


if __name__ == "__main__":
    series()
    nifti()
