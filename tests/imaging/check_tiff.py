"""Checks TIFF of random forms against tifffile, which writes them: every value of every page.

    pip install numpy tifffile==2026.3.3 imagecodecs==2026.3.6
    cargo build --release -p medsam3-imaging --example decode_native
    python check_tiff.py PATH/TO/decode_native [COUNT]

Sizes, types, compressions, predictors, byte orders, strips, tiles and planes follow from a fixed seed.
"""

import hashlib
import random
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import tifffile


def picture(choose, numbers):
    """Values as they are written, [pages, rows, columns] or [rows, columns, 3], and whether they are colours."""
    rows, columns = choose.randint(1, 90), choose.randint(1, 90)
    color = choose.random() < 0.5
    dtype = choose.choice(["u1", "u2"] if color else ["u1", "u2", "i1", "i2", "f4"])
    shape = (rows, columns, 3) if color else (choose.choice([1, 1, 1, 3]), rows, columns)
    values = numbers.normal(size=shape).cumsum(axis=1) * 20 * (300 if dtype == "u2" else 1)
    values = values.astype("f4") if dtype == "f4" else values.astype("i8").astype(dtype)
    if color and dtype == "u2":
        values[0, 0, 0] = 65535  # so that all sixteen bits are used
    return values, color


def write(path, values, color, choose):
    compression = choose.choice([None, "lzw", "deflate", "packbits"])
    options = {"compression": compression, "metadata": None, "photometric": "rgb" if color else "minisblack"}
    if compression in ("lzw", "deflate") and choose.random() < 0.6:
        options["predictor"] = 3 if values.dtype.kind == "f" else 2
    if choose.random() < 0.5:
        options["tile"] = choose.choice([(16, 16), (32, 16), (48, 64)])
    elif choose.random() < 0.6:
        options["rowsperstrip"] = choose.randint(1, values.shape[-2])
    pages = [values] if color else values
    if color and choose.random() < 0.4:
        pages, options["planarconfig"] = [values.transpose(2, 0, 1).copy()], "separate"
    with tifffile.TiffWriter(path, bigtiff=choose.random() < 0.3, byteorder=choose.choice("<>")) as file:
        for page in pages:
            file.write(page, **options)
    return options


def main():
    program, count = sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 500
    choose, numbers = random.Random(5), np.random.default_rng(5)
    with tempfile.TemporaryDirectory() as folder:
        paths, expected, forms = [], [], []
        for index in range(count):
            values, color = picture(choose, numbers)
            paths.append(str(Path(folder) / f"{index}.tif"))
            forms.append((values.shape, values.dtype.str, write(paths[-1], values, color, choose)))
            if color and values.dtype.itemsize == 2:
                values = (values.astype("u4") * 255 + 32767) // 65535
            shown = np.ascontiguousarray(values.astype("u1" if color else "<f4"))
            expected.append(hashlib.sha256(shown.tobytes()).hexdigest())
        result = subprocess.run([program], input="\n".join(paths), capture_output=True, text=True, check=True)
    found = [line.strip() for line in result.stdout.splitlines()]
    wrong = [(form, line) for form, line, truth in zip(forms, found, expected, strict=True) if line != truth]
    for form, line in wrong:
        print(f"WRONG {form}: {line}")
    print(f"{count - len(wrong)} right, {len(wrong)} wrong")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
