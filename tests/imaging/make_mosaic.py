"""Makes `mosaic/` and `mosaic.json`: Siemens mosaics with both layouts of the private header, and the volume that nibabel finds.

    pip install numpy==2.4.6 pydicom==3.0.2 nibabel==5.4.2
    python make_mosaic.py

Seven oblique slices of 6 x 8 pixels as tiles of one picture, as the scanner sends them: the position is that of a picture as
large as the mosaic around the centre of the first slice. `reversed`: slices against the cross product of the picture's
directions, as in sagittal mosaics. `time-1` and `time-2`: two time points of one series. nibabel.nicom reads geometry and voxels.
"""

import json
import struct
from pathlib import Path

import numpy as np
from nibabel.nicom.dicomwrappers import MosaicWrapper, wrapper_from_data
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, MRImageStorage

HERE = Path(__file__).parent
OUT = HERE / "mosaic"
ROWS, COLUMNS, TILES, ACROSS = 6, 8, 7, 3
UID = "1.2.826.0.1.3680043.10.1462.19"


def csa(entries, newer):
    """The header as spm_dicom_headers and nibabel describe it: every item of a multiple of four bytes."""
    first = len(entries[1][2])  # what nibabel takes off a length of CSA1
    parts = [b"SV10\4\3\2\1" if newer else b"", struct.pack("<II", len(entries), 77)]
    for name, vr, items in entries:
        parts.append(name.encode().ljust(64, b"\0") + struct.pack("<i4siii", len(items), vr.encode() + b"\0\0", 3, len(items), 77))
        for item in items:
            text = item.encode() + b"\0"
            sizes = (len(text), len(text), 77, len(text)) if newer else (len(text) + first, len(text), 77, len(text))
            parts.append(struct.pack("<iiii", *sizes) + text + bytes(-len(text) % 4))
    return b"".join(parts)


def mosaic(name, series, newer, sign, time):
    turn = np.radians(20)
    row, column = np.array([1.0, 0, 0]), np.array([0, np.cos(turn), np.sin(turn)])
    normal = np.cross(row, column) * sign
    spacing, step = np.array([2.5, 2.0]), 3.6  # rows, columns
    volume = (np.arange(TILES * ROWS * COLUMNS).reshape(TILES, ROWS, COLUMNS) * 3 + 1000 * time).astype(np.uint16)
    picture = np.zeros((ACROSS * ROWS, ACROSS * COLUMNS), np.uint16)
    for tile in range(TILES):
        down, right = divmod(tile, ACROSS)
        picture[down * ROWS:(down + 1) * ROWS, right * COLUMNS:(right + 1) * COLUMNS] = volume[tile]
    first = np.array([-20.0, 11.0, 7.0])
    position = first - row * spacing[1] * (ACROSS - 1) * COLUMNS / 2 - column * spacing[0] * (ACROSS - 1) * ROWS / 2

    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = MRImageStorage, f"{UID}.{series}.{time}"
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    ds = FileDataset(None, {}, file_meta=meta, preamble=bytes(128))
    ds.SOPClassUID, ds.SOPInstanceUID = meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID
    ds.SeriesInstanceUID, ds.StudyInstanceUID = f"{UID}.{series}", UID
    ds.Modality, ds.Manufacturer, ds.ImageType = "MR", "SIEMENS", ["ORIGINAL", "PRIMARY", "M", "ND", "MOSAIC"]
    ds.InstanceNumber = ds.AcquisitionNumber = time
    ds.ImagePositionPatient, ds.ImageOrientationPatient = [float(f"{x:.8f}") for x in position], [float(f"{x:.8f}") for x in [*row, *column]]
    ds.PixelSpacing, ds.SpacingBetweenSlices, ds.SliceThickness = list(spacing), step, 3.0
    ds.Rows, ds.Columns = picture.shape
    ds.SamplesPerPixel, ds.PhotometricInterpretation = 1, "MONOCHROME2"
    ds.BitsAllocated, ds.BitsStored, ds.HighBit, ds.PixelRepresentation = 16, 16, 15, 0
    block = ds.private_block(0x29, "SIEMENS CSA HEADER", create=True)
    numbers = [f"{x:.8f}" for x in normal]
    entries = [("EchoLinePosition", "IS", []), ("EchoColumnPosition", "IS", ["32", "16"]),
               ("NumberOfImagesInMosaic", "US", [f"{TILES}       "]), ("SliceNormalVector", "FD", numbers), ("AcquisitionMatrixText", "SH", [f"{COLUMNS}p*{ROWS}"])]
    block.add_new(0x10, "OB", csa(entries, newer))
    ds.PixelData = picture.tobytes()
    ds.save_as(OUT / name, enforce_file_format=True)

    read = wrapper_from_data(ds)
    assert isinstance(read, MosaicWrapper)
    voxels, affine = read.get_data().transpose(2, 0, 1), read.affine[:, [1, 0, 2, 3]]
    assert np.array_equal(voxels, volume) and np.allclose(affine[:3, 3], first, atol=1e-6)
    if np.linalg.det(affine[:3, :3]) < 0:
        voxels = voxels[::-1]
        affine[:3, 3] += affine[:3, 2] * (TILES - 1)
        affine[:3, 2] *= -1
    return {"affine": affine.round(8).tolist(), "voxels": voxels.astype(int).ravel().tolist()}


def main():
    OUT.mkdir(exist_ok=True)
    truth = {
        "csa2.dcm": mosaic("csa2.dcm", 1, True, 1, 1),
        "csa1.dcm": mosaic("csa1.dcm", 2, False, 1, 1),
        "reversed.dcm": mosaic("reversed.dcm", 3, True, -1, 1),
        "time-1.dcm": mosaic("time-1.dcm", 4, True, 1, 1),
        "time-2.dcm": mosaic("time-2.dcm", 4, True, 1, 2),
    }
    (HERE / "mosaic.json").write_text(json.dumps({"sizes": [COLUMNS, ROWS, TILES], "files": truth}) + "\n")


if __name__ == "__main__":
    main()
