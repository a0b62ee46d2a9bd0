"""Makes `tiff/` and `tiff.json`: TIFF in the forms in which it comes, and the pixels that tifffile and Pillow read.

    pip install numpy pillow==13.0.0 tifffile==2026.3.3 imagecodecs==2026.3.6
    python make_tiff.py

Cut from `resize/nuclei.png` (CC0 1.0, BBBC038). Gray values are compared as they are stored (tifffile), colours as Pillow
shows them; alpha and colours of 16 bits, which Pillow does not bring to 8, by the formulas below.
"""

import hashlib
import json
from pathlib import Path

import numpy as np
import tifffile
from PIL import Image

HERE = Path(__file__).parent
OUT = HERE / "tiff"
PICTURE = np.array(Image.open(HERE / "resize/nuclei.png").convert("RGB"))[10:30, 12:36]
GRAY = PICTURE[..., 1].copy()
DEEP = (GRAY.astype(np.uint16) * 251 + np.arange(24, dtype=np.uint16))
ALPHA = np.tile(np.linspace(0, 255, 24).round().astype(np.uint8), (20, 1))
TRUTH = {}


def sha(values):
    return hashlib.sha256(np.ascontiguousarray(values).tobytes()).hexdigest()


def note(name, kind, values, pages=1, **more):
    """Gray values as f32, or RGB as bytes; of all pages, one after the other."""
    values = np.asarray(values)
    size = values.shape[-2:] if kind == "Gray" else values.shape[-3:-1]
    values = values.astype("<f4" if kind == "Gray" else np.uint8)
    TRUTH[name] = {"kind": kind, "height": size[0], "width": size[1], "pages": pages, "sha256": sha(values), **more}


def gray(name, values, pages=1, more=None, **options):
    tifffile.imwrite(OUT / name, values, photometric=options.pop("photometric", "minisblack"), metadata=None, **options)
    read = tifffile.imread(OUT / name)
    assert np.array_equal(read, values), name
    note(name, "Gray", read, pages, **(more or {}))


def color(name, values, shown=None, **options):
    options = {"photometric": "rgb", "metadata": None, **options}
    tifffile.imwrite(OUT / name, values, **options)
    if shown is None:
        shown = np.array(Image.open(OUT / name).convert("RGB"))
    note(name, "Rgb", shown)


def on_black(values, alpha, white=255):
    values, alpha = values.astype(np.uint32), alpha.astype(np.uint32)
    return (values * alpha + white // 2) // white


def refused(name, what):
    TRUTH[name] = {"refused": what}


def main():
    OUT.mkdir(exist_ok=True)
    gray("gray8.tif", GRAY)
    gray("gray8_lzw_strips.tif", GRAY, compression="lzw", rowsperstrip=7, predictor=True)
    gray("gray8_big_endian.tif", GRAY, byteorder=">", compression="deflate")
    gray("gray16_big_endian.tif", DEEP, byteorder=">", compression="deflate", predictor=True, rowsperstrip=3)
    gray("gray16_tiles.tif", DEEP, tile=(16, 16), compression="lzw")
    gray("gray16_signed.tif", DEEP.astype(np.int32).astype(np.int16))
    gray("gray8_signed.tif", GRAY.view(np.int8), compression="packbits")
    gray("float32.tif", (DEEP / 7).astype(np.float32), compression="deflate", predictor=3)
    gray("bigtiff.tif", DEEP, bigtiff=True, byteorder=">", compression="lzw", predictor=True)
    gray("white_is_zero16.tif", DEEP, photometric="miniswhite", more={"inverted": True})
    gray("white_is_zero.tif", GRAY, photometric="miniswhite",
         more={"inverted": True, "shown": sha(np.repeat(255 - GRAY[..., None], 3, 2))})
    assert np.array_equal(np.array(Image.open(OUT / "white_is_zero.tif")), 255 - GRAY)
    for bits, name in ((2, "gray2"), (4, "gray4")):
        # By hand: neither library writes few bits. Rows begin at a byte, the first sample is in the highest bits.
        few = (GRAY >> (8 - bits))[:, :23]
        per = 8 // bits
        padded = np.pad(few, ((0, 0), (0, -23 % per)))
        packed = sum(padded[:, i::per].astype(int) << (8 - bits * (i + 1)) for i in range(per)).astype(np.uint8)
        tags = [(256, 3, 1, 23), (257, 3, 1, 20), (258, 3, 1, bits), (259, 3, 1, 1), (262, 3, 1, 1), (277, 3, 1, 1), (278, 3, 1, 20)]
        data = packed.tobytes()
        tags += [(273, 4, 1, 8), (279, 4, 1, len(data))]
        entries = b"".join(tag.to_bytes(2, "little") + kind.to_bytes(2, "little") + count.to_bytes(4, "little")
                           + value.to_bytes(4, "little") for tag, kind, count, value in sorted(tags))
        body = b"II*\0" + (8 + len(data)).to_bytes(4, "little") + data + len(tags).to_bytes(2, "little") + entries + bytes(4)
        (OUT / f"{name}.tif").write_bytes(body)
        assert np.array_equal(tifffile.imread(OUT / f"{name}.tif"), few)
        note(f"{name}.tif", "Gray", few.astype(int) * (255 // (2**bits - 1)))
    Image.fromarray(GRAY > 120).save(OUT / "one_bit.tif", compression="packbits")
    note("one_bit.tif", "Gray", np.array(Image.open(OUT / "one_bit.tif").convert("L")))
    tifffile.imwrite(OUT / "gray_alpha.tif", np.stack([GRAY, ALPHA], -1), photometric="minisblack", extrasamples=["unassalpha"],
                     planarconfig="contig", metadata=None)
    note("gray_alpha.tif", "Gray", on_black(GRAY, ALPHA))

    color("rgb.tif", PICTURE, compression="packbits", rowsperstrip=6)
    color("rgb_planes.tif", PICTURE.transpose(2, 0, 1).copy(), shown=PICTURE, planarconfig="separate", compression="lzw", predictor=True)
    color("rgb_tiles.tif", PICTURE, tile=(16, 16), compression="deflate", predictor=True)
    wide = PICTURE.astype(np.uint16) * 257 - (PICTURE > 3) * np.uint16(100)
    color("rgb16.tif", wide, shown=(wide.astype(np.uint32) * 255 + 32767) // 65535, compression="lzw", byteorder=">")
    color("rgba.tif", np.dstack([PICTURE, ALPHA]), shown=on_black(PICTURE, ALPHA[..., None]), extrasamples=["unassalpha"])
    multiplied = np.dstack([on_black(PICTURE, ALPHA[..., None]).astype(np.uint8), ALPHA])
    color("rgba_multiplied.tif", multiplied, shown=multiplied[..., :3], extrasamples=["assocalpha"])
    Image.fromarray(PICTURE).convert("CMYK").point(lambda ink: ink * 3 // 4).save(OUT / "cmyk.tif", compression="tiff_lzw")
    note("cmyk.tif", "Rgb", np.array(Image.open(OUT / "cmyk.tif").convert("RGB")))
    Image.fromarray(PICTURE).quantize(64).save(OUT / "palette.tif", compression="tiff_deflate")
    note("palette.tif", "Rgb", np.array(Image.open(OUT / "palette.tif").convert("RGB")))

    for orientation in range(2, 9):
        name = f"orientation_{orientation}.tif"
        tifffile.imwrite(OUT / name, PICTURE, photometric="rgb", metadata=None, compression="lzw",
                         extratags=[(274, 3, 1, orientation, True)])
        note(name, "Rgb", np.array(Image.open(OUT / name).convert("RGB")))

    pages = np.stack([DEEP, DEEP[::-1], DEEP // 3])
    with tifffile.TiffWriter(OUT / "stack.tif") as file:
        for page in pages:
            file.write(page, photometric="minisblack", compression="lzw", metadata=None)
        file.write(GRAY[::2, ::2], photometric="minisblack", subfiletype=1, metadata=None)
    note("stack.tif", "Gray", pages, pages=3)

    Image.fromarray(PICTURE).save(OUT / "jpeg.tif", compression="jpeg")
    refused("jpeg.tif", "JPEG compression")
    Image.fromarray(GRAY > 120).save(OUT / "fax.tif", compression="group4")
    refused("fax.tif", "fax compression")
    Image.fromarray(PICTURE).convert("LAB").save(OUT / "lab.tif")
    refused("lab.tif", "L*a*b*")
    tifffile.imwrite(OUT / "zstd.tif", GRAY, compression="zstd", metadata=None)
    refused("zstd.tif", "Zstandard")
    tifffile.imwrite(OUT / "float64.tif", GRAY.astype(np.float64), metadata=None)
    refused("float64.tif", "kind of bits")
    with tifffile.TiffWriter(OUT / "two_sizes.tif") as file:
        file.write(GRAY, photometric="minisblack", metadata=None)
        file.write(GRAY[:10], photometric="minisblack", metadata=None)
    refused("two_sizes.tif", "different sizes")
    (HERE / "tiff.json").write_text(json.dumps(TRUTH, indent=1, sort_keys=True) + "\n")


if __name__ == "__main__":
    main()
