"""Writes waves.png: the picture that the full model is measured on, 168 x 168, the waves of crates/model/src/synthetic.rs
rounded to eight bits.

    python make_waves.py
"""
import math, pathlib, struct, zlib

SIDE = 168


def value(c, y, x):
    return (
        0.5 * math.sin(0.013 * (c + 1) * x + 0.7 * c)
        + 0.3 * math.cos(0.017 * y * (c + 1) + 0.002 * x)
        + 0.2 * math.sin(0.31 * x + 0.29 * y + c)
    )


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def row(y):
    pixels = (value(c, y, x) for x in range(SIDE) for c in range(3))
    return bytes([0]) + bytes(max(0, min(255, round((v + 1) * 127.5))) for v in pixels)


header = struct.pack(">IIBBBBB", SIDE, SIDE, 8, 2, 0, 0, 0)
body = zlib.compress(b"".join(row(y) for y in range(SIDE)), 9)
parts = [chunk(b"IHDR", header), chunk(b"IDAT", body), chunk(b"IEND", b"")]
pathlib.Path(__file__).with_name("waves.png").write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(parts))
