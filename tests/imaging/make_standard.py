"""Writes PNG and JPEG files in the forms in which they come, and the pixels that Pillow reads in them.

    python make_standard.py

needs Pillow, numpy and opencv-python-headless; starts from `resize/nuclei.png`. Lossless truth is stored as a hash, lossy as a PNG.
"""

import hashlib
import json
from pathlib import Path

import cv2
import numpy as np
from PIL import Image, ImageOps

HERE = Path(__file__).parent
OUT = HERE / "standard"


def upright(path: Path) -> Image.Image:
    """As it is seen: turned by EXIF, transparent parts on black, sixteen bits as eight."""
    if path.name.startswith("rgb16"):
        words = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)[..., ::-1].astype(np.uint32)
        white = 4095 if "12bit" in path.name else 65535
        return Image.fromarray(((words * 255 + white // 2) // white).astype(np.uint8))
    image = ImageOps.exif_transpose(Image.open(path))
    if image.mode in ("RGBA", "LA") or "transparency" in image.info:
        image = image.convert("RGBA")
        channels = np.asarray(image).astype(np.uint32)
        shown = (channels[..., :3] * channels[..., 3:] + 127) // 255
        return Image.fromarray(shown.astype(np.uint8))
    return image.convert("RGB")


def kind(path: Path) -> str:
    return "Gray" if Image.open(path).mode in ("L", "1", "LA") else "Rgb"


def main() -> None:
    OUT.mkdir(exist_ok=True)
    nuclei = Image.open(HERE / "resize" / "nuclei.png").convert("RGB").crop((10, 20, 71, 73))  # odd sizes
    array = np.asarray(nuclei)
    alpha = np.dstack([array, np.tile(np.arange(array.shape[1], dtype=np.uint8) * 4, (array.shape[0], 1))])
    Image.fromarray(alpha).save(OUT / "rgba.png", optimize=True)
    nuclei.quantize(16).save(OUT / "palette.png", optimize=True)
    nuclei.convert("1").save(OUT / "one_bit.png", optimize=True)
    nuclei.convert("L").save(OUT / "gray.jpg", quality=90)
    for name, sampling in (("444", 0), ("420", 2)):
        nuclei.save(OUT / f"color_{name}.jpg", quality=90, subsampling=sampling)
    nuclei.save(OUT / "progressive.jpg", quality=90, progressive=True)

    gray = nuclei.convert("L")
    ramp = alpha[..., 3]
    Image.fromarray(np.dstack([np.asarray(gray), ramp]), "LA").save(OUT / "gray_alpha.png", optimize=True)
    nuclei.convert("CMYK").save(OUT / "cmyk.jpg", quality=90)
    turned = Image.Exif()
    turned[0x0112] = 6
    nuclei.save(OUT / "orientation_6.png", exif=turned, optimize=True)
    late = (OUT / "orientation_6.png").read_bytes()
    start = late.index(b"eXIf") - 4
    end = start + 12 + int.from_bytes(late[start : start + 4], "big")
    # The chunk may also stand behind the pixels; IEND takes the last twelve bytes.
    (OUT / "orientation_6_late.png").write_bytes(late[:start] + late[end:-12] + late[start:end] + late[-12:])
    clear = nuclei.quantize(16)
    clear.save(OUT / "palette_clear.png", transparency=3, optimize=True)
    cv2.imwrite(str(OUT / "rgb16.png"), array[..., ::-1].astype(np.uint16) * 257)
    # Twelve bits in sixteen: 255 becomes 4095.
    cv2.imwrite(str(OUT / "rgb16_12bit.png"), (array[..., ::-1].astype(np.float64) * 4095 / 255).round().astype(np.uint16))
    hot = np.asarray(gray).astype(np.uint16) * 4
    hot[7, 9] = 65535
    cv2.imwrite(str(OUT / "gray16_hot.png"), hot)

    entries = {}
    for path in sorted(OUT.iterdir()):
        if path.name.endswith("_truth.png") or path.name.startswith("gray16"):
            continue
        image = upright(path)
        pixels = np.asarray(image)
        entry = {"width": image.width, "height": image.height, "kind": kind(path)}
        if path.suffix == ".png":
            entry["sha256"] = hashlib.sha256(pixels.tobytes()).hexdigest()
        else:
            Image.fromarray(pixels).save(OUT / f"{path.stem}_truth.png", optimize=True)
        entries[path.name] = entry
    lines = ",\n".join(f"{json.dumps(name)}: {json.dumps(entry)}" for name, entry in entries.items())
    (HERE / "standard.json").write_text("{\n" + lines + "\n}\n")


if __name__ == "__main__":
    main()
