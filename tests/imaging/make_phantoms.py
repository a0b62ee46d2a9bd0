"""Writes an asymmetric, non-square phantom in every form that a file can turn, mirror or shift.

    python make_phantoms.py

needs pydicom 3.0.2, numpy and Pillow. The letter F stands off centre; `phantom/f.txt` is the truth ('#' inside).
"""

from pathlib import Path

import numpy as np
from PIL import Image, ImageOps
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian, RLELossless

OUT = Path(__file__).parent / "phantom"
ROWS, COLUMNS = 44, 60
SPACING = [0.7, 0.4]  # rows, columns; mm


def letter() -> np.ndarray:
    inside = np.zeros((ROWS, COLUMNS), bool)
    inside[6:36, 9:16] = True  # stem
    inside[6:12, 16:41] = True  # long arm
    inside[18:24, 16:31] = True  # short arm
    return inside


def write_dicom(name: str, pixels: np.ndarray, syntax=ExplicitVRLittleEndian, bare: bool = False, **values) -> None:
    dataset = Dataset()
    dataset.SOPClassUID = "1.2.840.10008.5.1.4.1.1.7"
    dataset.SOPInstanceUID = "2.25.1"
    dataset.Modality = "OT"
    dataset.Rows, dataset.Columns = ROWS, COLUMNS
    dataset.PixelSpacing = SPACING
    dataset.SamplesPerPixel = 3 if pixels.shape[-1] == 3 or pixels.shape[0] == 3 else 1
    dataset.PhotometricInterpretation = "MONOCHROME2"
    bits = pixels.dtype.itemsize * 8
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = bits, bits, bits - 1
    dataset.PixelRepresentation = int(pixels.dtype.kind == "i")
    for key, value in values.items():
        setattr(dataset, key, value)
    big = syntax == ExplicitVRBigEndian
    dataset.PixelData = pixels.astype(pixels.dtype.newbyteorder(">" if big else "<")).tobytes()
    dataset["PixelData"].VR = "OW" if bits == 16 else "OB"
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian if bare else syntax
    if syntax == RLELossless:
        dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        dataset.compress(RLELossless, generate_instance_uid=False)
    path = OUT / f"{name}.dcm"
    if bare:
        # Neither preamble nor meta group, as the Sunnybrook cine series has it.
        del dataset.file_meta
        dataset.save_as(path, implicit_vr=True, little_endian=True, enforce_file_format=False)
    else:
        dataset.save_as(path, enforce_file_format=True)


def main() -> None:
    OUT.mkdir(exist_ok=True)
    inside = letter()
    (OUT / "f.txt").write_text("\n".join("".join("#" if bit else "." for bit in row) for row in inside) + "\n")

    hounsfield = np.where(inside, 60, -900)
    ct = dict(RescaleSlope="1", RescaleIntercept="-1024", WindowCenter="40", WindowWidth="400")
    stored = (hounsfield + 1024).astype(np.int16)
    write_dicom("f_explicit", stored, **ct)
    write_dicom("f_big_endian", stored, ExplicitVRBigEndian, **ct)
    write_dicom("f_rle", stored, RLELossless, **ct)
    write_dicom("f_bare_implicit", stored, bare=True, **ct)
    write_dicom("f_monochrome1", np.where(inside, 10, 200).astype(np.uint8), PhotometricInterpretation="MONOCHROME1")
    color = np.where(inside[..., None], [255, 250, 245], [5, 20, 10]).astype(np.uint8)
    write_dicom("f_rgb_planar", color.transpose(2, 0, 1), PhotometricInterpretation="RGB", PlanarConfiguration=1)
    two = np.stack([~inside, inside]).astype(np.uint8) * 200
    write_dicom("f_second_frame", two, NumberOfFrames=2)

    eight = np.where(inside, 230, 20).astype(np.uint8)
    Image.fromarray(eight).save(OUT / "f_gray8.png")
    Image.fromarray(np.where(inside, 40000, 1000).astype(np.uint16)).save(OUT / "f_gray16.png")
    Image.fromarray(color).save(OUT / "f_rgb.png")
    # How the stored picture must lie so that the orientation tag brings it upright (EXIF 2.3, tag 0x0112).
    stored_for = {
        1: eight, 2: eight[:, ::-1], 3: eight[::-1, ::-1], 4: eight[::-1],
        5: eight.T, 6: np.rot90(eight, 1), 7: np.rot90(eight.T, 2), 8: np.rot90(eight, -1),
    }
    for orientation, pixels in stored_for.items():
        exif = Image.Exif()
        exif[0x0112] = orientation
        Image.fromarray(np.ascontiguousarray(pixels)).save(OUT / f"f_orientation_{orientation}.jpg", quality=95, exif=exif)
        upright = np.asarray(ImageOps.exif_transpose(Image.open(OUT / f"f_orientation_{orientation}.jpg")))
        assert ((upright > 127) == inside).all()


if __name__ == "__main__":
    main()
